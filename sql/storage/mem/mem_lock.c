#include "sql/storage/mem/mem_int.h"

#include "base/alloc.h"
#include "base/assert.h"

/* Row locks: a hash table in shards, each with its own mutex (held for a few instructions, never
 * across a park). A lock has holders and a FIFO of waiters; a request waits when it conflicts with
 * a holder or, to be fair, with somebody who waits already. A holder of S that wants X goes to the
 * front. A lock for an insert waits for spans of others too (mem_span.c); as long as it only waits
 * for those it is in nobody's way.
 *
 * Deadlocks. Only who must wait takes the graph mutex; it enters itself into the list of waits,
 * then walks from the transactions in its way to those in their way. It is the last edge that
 * closes a cycle, so the walk of the newcomer finds every cycle, and the newcomer is the victim. A
 * wait stays in the list until its owner is awake again, so a lock named there lives: it has that
 * waiter, or that waiter as a holder that cannot run. */

struct mem_holder {
    struct mem_txn *txn;
    enum mem_lock_kind kind;
};

struct mem_lock {
    struct mem_lock *next; /* in the bucket */
    uint64_t hash;
    struct list waiters;
    unsigned holder_count;
    unsigned holder_cap;
    struct mem_holder *holders; /* `one`, or from the heap */
    struct mem_holder one;
    uint32_t key_len;
    uint8_t key[];
};

struct mem_waiter {
    struct list node;
    struct waiter wait;
    struct mem_txn *txn;
    enum mem_lock_kind kind;
    struct mem_mark *mark; /* with MEM_LOCK_INSERT */
    bool granted;
};

enum { GRAPH_MAX = 256 }; /* transactions one walk visits; more counts as a deadlock */

db_err mem_locks_init(struct mem_locks *l)
{
    pthread_mutex_init(&l->graph, NULL);
    mem_spans_init(&l->spans);
    for (unsigned i = 0; i < MEM_LOCK_SHARDS; i++) {
        struct mem_lock_shard *sh = &l->shards[i];
        pthread_mutex_init(&sh->mutex, NULL);
        sh->bucket_count = 64;
        sh->buckets = mem_calloc(sh->bucket_count, sizeof(*sh->buckets));
        if (sh->buckets == NULL) {
            return ERR_NOMEM;
        }
    }
    return ERR_OK;
}

void mem_locks_fini(struct mem_locks *l)
{
    for (unsigned i = 0; i < MEM_LOCK_SHARDS; i++) {
        ASSERT(l->shards[i].lock_count == 0);
        mem_free(l->shards[i].buckets);
        pthread_mutex_destroy(&l->shards[i].mutex);
    }
    pthread_mutex_destroy(&l->graph);
    mem_spans_fini(&l->spans);
}

static uint64_t hash_key(struct slice key)
{
    uint64_t h = 0xcbf29ce484222325ull ^ key.len;
    const uint8_t *p = key.ptr;
    size_t n = key.len;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        h = (h ^ w) * 0x9fb21c651e98df25ull;
        h ^= h >> 32;
    }
    for (; n > 0; n--, p++) {
        h = (h ^ *p) * 0x100000001b3ull;
    }
    h ^= h >> 29;
    return h * 0xbf58476d1ce4e5b9ull;
}

/* Under the shard's mutex from here on. */

static void grow_buckets(struct mem_lock_shard *sh)
{
    size_t count = sh->bucket_count * 2;
    struct mem_lock **grown = mem_calloc(count, sizeof(*grown));
    if (grown == NULL) {
        return; /* longer chains, that is all */
    }
    for (size_t i = 0; i < sh->bucket_count; i++) {
        for (struct mem_lock *k = sh->buckets[i], *next; k != NULL; k = next) {
            next = k->next;
            struct mem_lock **bucket = &grown[(k->hash >> 6) & (count - 1)];
            k->next = *bucket;
            *bucket = k;
        }
    }
    mem_free(sh->buckets);
    sh->buckets = grown;
    sh->bucket_count = count;
}

static struct mem_lock *find_or_make(struct mem_lock_shard *sh, struct slice key, uint64_t hash)
{
    struct mem_lock **bucket = &sh->buckets[(hash >> 6) & (sh->bucket_count - 1)];
    for (struct mem_lock *k = *bucket; k != NULL; k = k->next) {
        if (k->hash == hash && k->key_len == key.len && memcmp(k->key, key.ptr, key.len) == 0) {
            return k;
        }
    }
    struct mem_lock *k = mem_alloc(sizeof(*k) + key.len);
    if (k == NULL) {
        return NULL;
    }
    *k = (struct mem_lock){.hash = hash, .holder_cap = 1, .key_len = (uint32_t)key.len};
    k->holders = &k->one;
    list_init(&k->waiters);
    memcpy(k->key, key.ptr, key.len);
    k->next = *bucket;
    *bucket = k;
    if (++sh->lock_count > sh->bucket_count) {
        grow_buckets(sh);
    }
    return k;
}

static void drop_if_unused(struct mem_lock_shard *sh, struct mem_lock *k)
{
    if (k->holder_count != 0 || !list_empty(&k->waiters)) {
        return;
    }
    struct mem_lock **link = &sh->buckets[(k->hash >> 6) & (sh->bucket_count - 1)];
    while (*link != k) {
        link = &(*link)->next;
    }
    *link = k->next;
    sh->lock_count--;
    if (k->holders != &k->one) {
        mem_free(k->holders);
    }
    mem_free(k);
}

static struct mem_holder *holder_of(struct mem_lock *k, const struct mem_txn *t)
{
    for (unsigned i = 0; i < k->holder_count; i++) {
        if (k->holders[i].txn == t) {
            return &k->holders[i];
        }
    }
    return NULL;
}

static bool conflict(enum mem_lock_kind a, enum mem_lock_kind b)
{
    return a != MEM_LOCK_SHARED || b != MEM_LOCK_SHARED;
}

static bool conflicts_with_holders(const struct mem_lock *k, const struct mem_txn *t,
                                   enum mem_lock_kind kind)
{
    for (unsigned i = 0; i < k->holder_count; i++) {
        if (k->holders[i].txn != t && conflict(kind, k->holders[i].kind)) {
            return true;
        }
    }
    return false;
}

static bool waits_for_spans(struct mem_locks *l, const struct mem_lock *k,
                            const struct mem_waiter *w)
{
    return w->kind == MEM_LOCK_INSERT &&
           mem_span_blocks(&l->spans, w->txn, slice_of(k->key, k->key_len));
}

static bool conflicts_with_waiters(struct mem_locks *l, const struct mem_lock *k,
                                   enum mem_lock_kind kind)
{
    LIST_FOREACH (it, &k->waiters) {
        const struct mem_waiter *w = CONTAINER_OF(it, struct mem_waiter, node);
        if (conflict(kind, w->kind) && !waits_for_spans(l, k, w)) {
            return true;
        }
    }
    return false;
}

static db_err reserve_holder(struct mem_lock *k)
{
    if (k->holder_count < k->holder_cap) {
        return ERR_OK;
    }
    unsigned cap = k->holder_cap * 2;
    struct mem_holder *grown = mem_alloc(cap * sizeof(*grown));
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    memcpy(grown, k->holders, k->holder_count * sizeof(*grown));
    if (k->holders != &k->one) {
        mem_free(k->holders);
    }
    k->holders = grown;
    k->holder_cap = cap;
    return ERR_OK;
}

static void add_holder(struct mem_locks *l, struct mem_lock *k, struct mem_txn *t,
                       enum mem_lock_kind kind, struct mem_mark *mark)
{
    struct mem_holder *h = holder_of(k, t);
    if (h != NULL) {
        h->kind = h->kind > kind ? h->kind : kind;
    } else {
        ASSERT(k->holder_count < k->holder_cap);
        k->holders[k->holder_count++] = (struct mem_holder){t, kind};
    }
    if (mark != NULL) {
        mem_mark_held(&l->spans, mark);
    }
}

/* Grants from the front as far as it goes. */
static void grant_waiters(struct mem_locks *l, struct mem_lock *k)
{
    LIST_FOREACH_SAFE (it, &k->waiters) {
        struct mem_waiter *w = CONTAINER_OF(it, struct mem_waiter, node);
        if (waits_for_spans(l, k, w)) {
            continue;
        }
        if (conflicts_with_holders(k, w->txn, w->kind) || reserve_holder(k) != ERR_OK) {
            return;
        }
        list_remove(&w->node);
        add_holder(l, k, w->txn, w->kind, w->mark);
        w->granted = true;
        wait_signal(&w->wait, 0);
    }
}

static void remove_holder(struct mem_locks *l, struct mem_lock_shard *sh, struct mem_lock *k,
                          const struct mem_txn *t)
{
    struct mem_holder *h = holder_of(k, t);
    ASSERT(h != NULL);
    *h = k->holders[--k->holder_count];
    grant_waiters(l, k);
    drop_if_unused(sh, k);
}

/* ---- deadlocks; under the graph mutex ---- */

static unsigned add_blocker(uint64_t *ids, unsigned count, uint64_t id)
{
    for (unsigned i = 0; i < count; i++) {
        if (ids[i] == id) {
            return count;
        }
    }
    if (count < GRAPH_MAX) {
        ids[count++] = id;
    }
    return count;
}

struct blocker_list {
    uint64_t *ids;
    unsigned count;
};

static void add_span_holder(void *ctx, uint64_t id)
{
    struct blocker_list *b = ctx;
    b->count = add_blocker(b->ids, b->count, id);
}

/* Adds the transactions that `id`'s wait is for. */
static unsigned add_blockers_of(struct mem_locks *l, uint64_t id, uint64_t *ids, unsigned count)
{
    struct mem_wait *w = l->waits;
    while (w != NULL && w->txn_id != id) {
        w = w->next;
    }
    if (w == NULL) {
        return count;
    }
    pthread_mutex_lock(&w->shard->mutex);
    struct mem_waiter *self = NULL;
    LIST_FOREACH (it, &w->lock->waiters) {
        struct mem_waiter *m = CONTAINER_OF(it, struct mem_waiter, node);
        if (m->txn->id == id) {
            self = m;
            break;
        }
    }
    if (self != NULL) { /* else: granted already */
        for (unsigned i = 0; i < w->lock->holder_count; i++) {
            const struct mem_holder *h = &w->lock->holders[i];
            if (h->txn->id != id && conflict(self->kind, h->kind)) {
                count = add_blocker(ids, count, h->txn->id);
            }
        }
        LIST_FOREACH (it, &w->lock->waiters) {
            struct mem_waiter *m = CONTAINER_OF(it, struct mem_waiter, node);
            if (m == self) {
                break;
            }
            if (conflict(self->kind, m->kind) && !waits_for_spans(l, w->lock, m)) {
                count = add_blocker(ids, count, m->txn->id);
            }
        }
        if (self->kind == MEM_LOCK_INSERT) {
            struct blocker_list b = {ids, count};
            mem_span_blockers(&l->spans, self->txn, slice_of(w->lock->key, w->lock->key_len),
                              add_span_holder, &b);
            count = b.count;
        }
    }
    pthread_mutex_unlock(&w->shard->mutex);
    return count;
}

static bool closes_cycle(struct mem_locks *l, uint64_t id)
{
    uint64_t ids[GRAPH_MAX];
    unsigned count = add_blockers_of(l, id, ids, 0);
    for (unsigned i = 0; i < count; i++) {
        count = add_blockers_of(l, ids[i], ids, count);
        for (unsigned k = i; k < count; k++) {
            if (ids[k] == id) {
                return true;
            }
        }
    }
    return count == GRAPH_MAX;
}

/* ---- the interface ---- */

static void remember_held(struct mem_txn *t, struct mem_lock_shard *sh, struct mem_lock *k,
                          struct mem_mark *mark, struct mem_held *held)
{
    held->lock = k;
    held->shard = sh;
    held->mark = mark;
    held->next = t->held;
    t->held = held;
}

/* Takes the waiter out of the queue if it is still there; false: it has been granted. */
static bool withdraw(struct mem_locks *l, struct mem_lock_shard *sh, struct mem_lock *k,
                     struct mem_waiter *w)
{
    pthread_mutex_lock(&sh->mutex);
    bool granted = w->granted;
    if (!granted) {
        list_remove(&w->node);
        if (w->mark != NULL) {
            mem_unmark(&l->spans, w->mark);
        }
        grant_waiters(l, k);
        drop_if_unused(sh, k);
    }
    pthread_mutex_unlock(&sh->mutex);
    return !granted;
}

/* A wait stays in the list until its owner is awake again, so its lock lives. */
static void wake_inserts(struct mem_locks *l)
{
    for (struct mem_wait *w = l->waits; w != NULL; w = w->next) {
        if (w->insert) {
            pthread_mutex_lock(&w->shard->mutex);
            grant_waiters(l, w->lock);
            pthread_mutex_unlock(&w->shard->mutex);
        }
    }
}

void mem_locks_wake_inserts(struct mem_locks *l)
{
    pthread_mutex_lock(&l->graph);
    wake_inserts(l);
    pthread_mutex_unlock(&l->graph);
}

static void forget_wait(struct mem_locks *l, struct mem_wait *wait)
{
    pthread_mutex_lock(&l->graph);
    struct mem_wait **link = &l->waits;
    while (*link != wait) {
        link = &(*link)->next;
    }
    *link = wait->next;
    pthread_mutex_unlock(&l->graph);
}

/* Enters the queue (the shard's mutex is held, and released here) and waits. */
static db_err wait_for_lock(struct mem_locks *l, struct mem_lock_shard *sh, struct mem_lock *k,
                            struct mem_waiter *w, bool upgrade, uint32_t timeout_ms)
{
    wait_init(&w->wait);
    if (upgrade) {
        list_push_front(&k->waiters, &w->node);
    } else {
        list_push_back(&k->waiters, &w->node);
    }
    pthread_mutex_unlock(&sh->mutex);

    struct mem_wait wait = {
        .txn_id = w->txn->id, .insert = w->kind == MEM_LOCK_INSERT, .lock = k, .shard = sh};
    pthread_mutex_lock(&l->graph);
    wait.next = l->waits;
    l->waits = &wait;
    if (wait.insert) { /* a span that ended just now did not find this wait */
        wake_inserts(l);
    }
    bool deadlock = closes_cycle(l, wait.txn_id);
    pthread_mutex_unlock(&l->graph);

    db_err err =
        deadlock ? ERR_DEADLOCK : wait_block(&w->wait, clock_mono_ns() + timeout_ms * NS_PER_MS);
    if (err == ERR_TIMEOUT && fiber_deadline() > clock_mono_ns()) {
        err = ERR_LOCK_WAIT_TIMEOUT;
    }
    forget_wait(l, &wait);
    if (err != ERR_OK && !withdraw(l, sh, k, w)) {
        wait_block_uncancelable(
            &w->wait); /* the grant came first: take its signal, keep the lock */
        err = ERR_OK;
    }
    return err;
}

/* Under the shard's mutex: has it at once, or is to wait. */
static bool is_blocked(struct mem_locks *l, const struct mem_lock *k, const struct mem_txn *t,
                       enum mem_lock_kind kind, bool upgrade)
{
    return conflicts_with_holders(k, t, kind) ||
           (kind == MEM_LOCK_INSERT &&
            mem_span_blocks(&l->spans, t, slice_of(k->key, k->key_len))) ||
           (!upgrade && conflicts_with_waiters(l, k, kind));
}

db_err mem_lock_acquire(struct mem_locks *l, struct mem_txn *t, struct slice key,
                        enum mem_lock_kind kind, enum storage_wait wait, uint32_t timeout_ms)
{
    uint64_t hash = hash_key(key);
    struct mem_lock_shard *sh = &l->shards[hash % MEM_LOCK_SHARDS];
    struct mem_held *held = arena_alloc(&t->wb.arena, sizeof(*held));
    struct mem_mark *mark =
        kind == MEM_LOCK_INSERT ? arena_alloc(&t->wb.arena, sizeof(*mark)) : NULL;
    if (held == NULL || (kind == MEM_LOCK_INSERT && mark == NULL)) {
        return ERR_NOMEM;
    }
    pthread_mutex_lock(&sh->mutex);
    struct mem_lock *k = find_or_make(sh, key, hash);
    if (k == NULL || reserve_holder(k) != ERR_OK) {
        if (k != NULL) {
            drop_if_unused(sh, k);
        }
        pthread_mutex_unlock(&sh->mutex);
        return ERR_NOMEM;
    }
    const struct mem_holder *own = holder_of(k, t);
    bool upgrade = own != NULL;
    if (own != NULL && own->kind >= kind) {
        pthread_mutex_unlock(&sh->mutex);
        return ERR_OK;
    }
    if (mark != NULL) { /* before the look for spans */
        mem_mark(&l->spans, mark, t, slice_of(k->key, k->key_len));
    }
    if (!is_blocked(l, k, t, kind, upgrade)) {
        add_holder(l, k, t, kind, mark);
        pthread_mutex_unlock(&sh->mutex);
    } else if (wait != STORAGE_WAIT) {
        if (mark != NULL) {
            mem_unmark(&l->spans, mark);
        }
        drop_if_unused(sh, k);
        pthread_mutex_unlock(&sh->mutex);
        return ERR_LOCK_NOWAIT;
    } else {
        struct mem_waiter w = {.txn = t, .kind = kind, .mark = mark};
        TRY(wait_for_lock(l, sh, k, &w, upgrade, timeout_ms));
    }
    if (!upgrade || mark != NULL) {
        remember_held(t, sh, upgrade ? NULL : k, mark, held);
    }
    return ERR_OK;
}

void mem_lock_release_last(struct mem_locks *l, struct mem_txn *t)
{
    struct mem_held *h = t->held;
    ASSERT(h != NULL);
    t->held = h->next;
    if (h->mark != NULL) {
        mem_unmark(&l->spans, h->mark);
    }
    if (h->lock != NULL) {
        pthread_mutex_lock(&h->shard->mutex);
        remove_holder(l, h->shard, h->lock, t);
        pthread_mutex_unlock(&h->shard->mutex);
    }
}

void mem_lock_release_all(struct mem_locks *l, struct mem_txn *t)
{
    while (t->held != NULL) {
        mem_lock_release_last(l, t);
    }
}
