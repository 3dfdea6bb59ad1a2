#include "sql/storage/mem/mem_int.h"

#include "base/alloc.h"
#include "base/assert.h"

/* Row locks: a hash table in shards, each with its own mutex (held for a few instructions, never
 * across a park). A lock has holders and a FIFO of waiters; a request waits when it conflicts with
 * a holder or, to be fair, with somebody who waits already. A holder of S that wants X goes to the
 * front.
 *
 * Deadlocks. Only who must wait takes the graph mutex; it enters itself into the list of waits,
 * then walks from the transactions in its way to those in their way. It is the last edge that
 * closes a cycle, so the walk of the newcomer finds every cycle, and the newcomer is the victim. A
 * wait stays in the list until its owner is awake again, so a lock named there lives: it has that
 * waiter, or that waiter as a holder that cannot run. */

struct mem_holder {
    struct mem_txn *txn;
    bool exclusive;
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
    bool exclusive;
    bool granted;
};

enum { GRAPH_MAX = 256 }; /* transactions one walk visits; more counts as a deadlock */

db_err mem_locks_init(struct mem_locks *l)
{
    pthread_mutex_init(&l->graph, NULL);
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

static bool conflicts_with_holders(const struct mem_lock *k, const struct mem_txn *t,
                                   bool exclusive)
{
    for (unsigned i = 0; i < k->holder_count; i++) {
        if (k->holders[i].txn != t && (exclusive || k->holders[i].exclusive)) {
            return true;
        }
    }
    return false;
}

static bool conflicts_with_waiters(const struct mem_lock *k, bool exclusive)
{
    LIST_FOREACH (it, &k->waiters) {
        if (exclusive || CONTAINER_OF(it, struct mem_waiter, node)->exclusive) {
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

static void add_holder(struct mem_lock *k, struct mem_txn *t, bool exclusive)
{
    struct mem_holder *h = holder_of(k, t);
    if (h != NULL) {
        h->exclusive = h->exclusive || exclusive;
    } else {
        ASSERT(k->holder_count < k->holder_cap);
        k->holders[k->holder_count++] = (struct mem_holder){t, exclusive};
    }
}

/* Grants from the front as far as it goes. */
static void grant_waiters(struct mem_lock *k)
{
    while (!list_empty(&k->waiters)) {
        struct mem_waiter *w = CONTAINER_OF(k->waiters.next, struct mem_waiter, node);
        if (conflicts_with_holders(k, w->txn, w->exclusive) || reserve_holder(k) != ERR_OK) {
            return;
        }
        list_remove(&w->node);
        add_holder(k, w->txn, w->exclusive);
        w->granted = true;
        wait_signal(&w->wait, 0);
    }
}

static void remove_holder(struct mem_lock_shard *sh, struct mem_lock *k, const struct mem_txn *t)
{
    struct mem_holder *h = holder_of(k, t);
    ASSERT(h != NULL);
    *h = k->holders[--k->holder_count];
    grant_waiters(k);
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
            if (h->txn->id != id && (self->exclusive || h->exclusive)) {
                count = add_blocker(ids, count, h->txn->id);
            }
        }
        LIST_FOREACH (it, &w->lock->waiters) {
            struct mem_waiter *m = CONTAINER_OF(it, struct mem_waiter, node);
            if (m == self) {
                break;
            }
            if (self->exclusive || m->exclusive) {
                count = add_blocker(ids, count, m->txn->id);
            }
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
                          struct mem_held *held)
{
    held->lock = k;
    held->shard = sh;
    held->next = t->held;
    t->held = held;
}

/* Takes the waiter out of the queue if it is still there; false: it has been granted. */
static bool withdraw(struct mem_lock_shard *sh, struct mem_lock *k, struct mem_waiter *w)
{
    pthread_mutex_lock(&sh->mutex);
    bool granted = w->granted;
    if (!granted) {
        list_remove(&w->node);
        grant_waiters(k);
        drop_if_unused(sh, k);
    }
    pthread_mutex_unlock(&sh->mutex);
    return !granted;
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

    struct mem_wait wait = {.txn_id = w->txn->id, .lock = k, .shard = sh};
    pthread_mutex_lock(&l->graph);
    wait.next = l->waits;
    l->waits = &wait;
    bool deadlock = closes_cycle(l, wait.txn_id);
    pthread_mutex_unlock(&l->graph);

    db_err err =
        deadlock ? ERR_DEADLOCK : wait_block(&w->wait, clock_mono_ns() + timeout_ms * NS_PER_MS);
    if (err == ERR_TIMEOUT && fiber_deadline() > clock_mono_ns()) {
        err = ERR_LOCK_WAIT_TIMEOUT;
    }
    forget_wait(l, &wait);
    if (err != ERR_OK && !withdraw(sh, k, w)) {
        wait_block_uncancelable(
            &w->wait); /* the grant came first: take its signal, keep the lock */
        err = ERR_OK;
    }
    return err;
}

db_err mem_lock_acquire(struct mem_locks *l, struct mem_txn *t, struct slice key, bool exclusive,
                        enum storage_wait wait, uint32_t timeout_ms)
{
    uint64_t hash = hash_key(key);
    struct mem_lock_shard *sh = &l->shards[hash % MEM_LOCK_SHARDS];
    struct mem_held *held = arena_alloc(&t->wb.arena, sizeof(*held));
    if (held == NULL) {
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
    struct mem_holder *own = holder_of(k, t);
    bool upgrade = own != NULL;
    bool enough = own != NULL && (own->exclusive || !exclusive);
    bool blocked = !enough && (conflicts_with_holders(k, t, exclusive) ||
                               (!upgrade && conflicts_with_waiters(k, exclusive)));
    if (!blocked) {
        add_holder(k, t, exclusive);
        pthread_mutex_unlock(&sh->mutex);
    } else if (wait != STORAGE_WAIT) {
        pthread_mutex_unlock(&sh->mutex);
        return ERR_LOCK_NOWAIT;
    } else {
        struct mem_waiter w = {.txn = t, .exclusive = exclusive};
        TRY(wait_for_lock(l, sh, k, &w, upgrade, timeout_ms));
    }
    if (!upgrade) {
        remember_held(t, sh, k, held);
    }
    return ERR_OK;
}

static void release_one(struct mem_txn *t, struct mem_held *h)
{
    pthread_mutex_lock(&h->shard->mutex);
    remove_holder(h->shard, h->lock, t);
    pthread_mutex_unlock(&h->shard->mutex);
}

void mem_lock_release_last(struct mem_locks *l, struct mem_txn *t)
{
    (void)l;
    struct mem_held *h = t->held;
    ASSERT(h != NULL);
    t->held = h->next;
    release_one(t, h);
}

void mem_lock_release_all(struct mem_locks *l, struct mem_txn *t)
{
    while (t->held != NULL) {
        mem_lock_release_last(l, t);
    }
}
