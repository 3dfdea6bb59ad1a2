/* Row locks: shared and exclusive, by transaction, with FIFO queues.
 *
 * A record (struct row_rec) is one transaction's lock or wait on one key. It is first entered in
 * the transaction's list, so that a release of everything finds it whatever its state, then queued
 * at the key's entry; granting it changes its state and list only. Who frees it: the waiter when
 * the wait failed or was cancelled, a release when it was held. When a release of everything has
 * taken the list away (detached) while a waiter fails, the release frees.
 *
 * Order of mutexes: transaction shard before key shard, graph shard before key shard; otherwise one
 * at a time.
 *
 * Fairness: a request waits behind every conflicting lock of others and behind every waiter before
 * it, except that an upgrade from S to X goes in front, and a transaction that already holds enough
 * never waits. On a grant the newest version of the key must stay the newest while the lock is
 * held: the locker therefore waits for the end of a latch that another command has on the key just
 * then; commands that come later see the row lock (row_lock_conflict) and stay off. */
#include "node/lock/lock_table.h"

#include "node/lock/lock_int.h"
#include "node/store/keyspace.h"

bool lock__modes_conflict(enum kv_lock_mode a, enum kv_lock_mode b)
{
    return a >= KV_LOCK_EXCLUSIVE || b >= KV_LOCK_EXCLUSIVE;
}

/* ---- transactions ---- */

struct txn_shard *lock__txn_shard(struct lock_table *t, ts_t start_ts)
{
    return &t->txns[(start_ts * 0x9e3779b97f4a7c15ull >> 32) % TXN_SHARDS];
}

static struct lock_txn **txn_bucket(struct txn_shard *s, ts_t start_ts)
{
    return &s->buckets[(start_ts * 0x9e3779b97f4a7c15ull >> 40) % TXN_BUCKETS];
}

/* Under the mutex. NULL: not there, or out of memory. */
struct lock_txn *lock__txn_find(struct txn_shard *s, ts_t start_ts, bool add)
{
    struct lock_txn **bucket = txn_bucket(s, start_ts);
    struct lock_txn *x = *bucket;
    while (x != NULL && x->start_ts != start_ts) {
        x = x->next;
    }
    if (x == NULL && add) {
        x = mem_alloc(sizeof(*x));
        if (x != NULL) {
            x->start_ts = start_ts;
            x->owner = 0;
            x->count = x->pack_at = 0;
            x->packed = false;
            memset(x->hulls, 0, sizeof(x->hulls));
            list_init(&x->recs);
            list_init(&x->spans);
            x->next = *bucket;
            *bucket = x;
        }
    }
    return x;
}

void lock__txn_drop_if_empty(struct txn_shard *s, ts_t start_ts)
{
    struct lock_txn **p = txn_bucket(s, start_ts);
    while (*p != NULL && (*p)->start_ts != start_ts) {
        p = &(*p)->next;
    }
    if (*p != NULL && list_empty(&(*p)->recs) && list_empty(&(*p)->spans) && !(*p)->packed) {
        struct lock_txn *x = *p;
        *p = x->next;
        mem_free(x);
    }
}

void lock__txn_forget_one(struct txn_shard *s, ts_t start_ts)
{
    struct lock_txn *x = lock__txn_find(s, start_ts, false);
    ASSERT(x != NULL && x->count != 0);
    x->count--;
    lock__txn_drop_if_empty(s, start_ts);
}

/* Freed by the address of the record, which begins what was allocated. */
_Static_assert(offsetof(struct insert_rec, rec) == 0, "a record comes first");

static size_t rec_size(enum kv_lock_mode mode)
{
    return mode == KV_LOCK_INSERT ? sizeof(struct insert_rec) : sizeof(struct row_rec);
}

size_t lock__rec_cost(const struct row_rec *rec)
{
    return rec_size(rec->mode) + sizeof(struct lock_txn) / 4;
}

void lock__rec_free(struct lock_table *t, struct row_rec *rec)
{
    atomic_fetch_sub_explicit(&t->rows, 1, memory_order_release);
    lock__release_memory(t, lock__rec_cost(rec));
    mem_free(rec);
}

db_err lock__rec_make(struct lock_table *t, struct lock_shard *s, ts_t start_ts, lock_owner_t owner,
                      enum kv_lock_mode mode, struct row_rec **ret_rec)
{
    size_t cost = rec_size(mode) + sizeof(struct lock_txn) / 4;
    TRY(lock__charge(t, cost));
    struct row_rec *rec = mem_calloc(1, rec_size(mode));
    if (rec == NULL) {
        lock__release_memory(t, cost);
        return ERR_NOMEM;
    }
    rec->start_ts = start_ts;
    rec->owner = owner;
    rec->mode = mode;
    atomic_init(&rec->shard, s);
    list_init(&rec->link);
    list_init(&rec->graph_link);
    list_init(&rec->txn_link);
    atomic_fetch_add_explicit(&t->rows, 1, memory_order_seq_cst);
    *ret_rec = rec;
    return ERR_OK;
}

/* ret_many: there are enough of the transaction for some to be packed. */
static db_err rec_new(struct lock_table *t, struct lock_shard *shard, ts_t start_ts,
                      lock_owner_t owner, enum kv_lock_mode mode, struct row_rec **ret_rec,
                      bool *ret_many)
{
    struct row_rec *rec;
    struct txn_shard *ts = lock__txn_shard(t, start_ts);
    TRY(lock__rec_make(t, shard, start_ts, owner, mode, &rec));
    pthread_mutex_lock(&ts->mutex);
    struct lock_txn *x = lock__txn_find(ts, start_ts, true);
    if (x != NULL) {
        x->owner = owner != 0 ? owner : x->owner;
        list_push_back(&x->recs, &rec->txn_link);
        x->count++;
        *ret_many = lock__should_pack(t, x);
    }
    pthread_mutex_unlock(&ts->mutex);
    if (x == NULL) {
        lock__rec_free(t, rec);
        return ERR_NOMEM;
    }
    *ret_rec = rec;
    return ERR_OK;
}

/* The locking fiber is done with a record that is in no entry (FAILED or CANCELED). */
static void rec_abandon(struct row_rec *rec)
{
    struct lock_table *t = atomic_load_explicit(&rec->shard, memory_order_acquire)->table;
    struct txn_shard *ts = lock__txn_shard(t, rec->start_ts);
    bool detached;
    pthread_mutex_lock(&ts->mutex);
    detached = rec->detached;
    if (!detached) {
        list_remove(&rec->txn_link);
        lock__txn_forget_one(ts, rec->start_ts);
    }
    pthread_mutex_unlock(&ts->mutex);
    if (detached) {
        struct lock_shard *s = lock__shard_of(&rec->shard);
        bool last = rec->state == ROW_CANCELED;
        if (!last) {
            rec->state = ROW_DEAD;
        }
        pthread_mutex_unlock(&s->mutex);
        if (!last) {
            return;
        }
    }
    lock__rec_free(t, rec);
}

/* ---- the queue of a key; all under the shard's mutex ---- */

static bool holders_conflict(const struct lock_entry *e, const struct row_rec *rec)
{
    LIST_FOREACH (it, &e->holders) {
        const struct row_rec *h = CONTAINER_OF(it, struct row_rec, link);
        if (h->start_ts != rec->start_ts && lock__modes_conflict(h->mode, rec->mode)) {
            return true;
        }
    }
    return false;
}

bool lock__waiter_blocks(const struct row_rec *w, const struct row_rec *rec)
{
    return w->start_ts != rec->start_ts && lock__modes_conflict(w->mode, rec->mode) &&
           !lock__span_blocks(w);
}

static bool waiters_conflict(const struct lock_entry *e, const struct row_rec *rec)
{
    LIST_FOREACH (it, &e->row_waiters) {
        if (lock__waiter_blocks(CONTAINER_OF(it, struct row_rec, link), rec)) {
            return true;
        }
    }
    return false;
}

static struct row_rec *find_held(const struct lock_entry *e, ts_t start_ts)
{
    LIST_FOREACH (it, &e->holders) {
        struct row_rec *h = CONTAINER_OF(it, struct row_rec, link);
        if (h->start_ts == start_ts) {
            return h;
        }
    }
    return NULL;
}

void lock__grant_waiters(struct lock_entry *e)
{
    LIST_FOREACH_SAFE (it, &e->row_waiters) {
        struct row_rec *rec = CONTAINER_OF(it, struct row_rec, link);
        if (lock__span_blocks(rec)) {
            continue;
        }
        if (holders_conflict(e, rec)) {
            return;
        }
        list_remove(&rec->link);
        rec->state = ROW_HELD;
        list_push_back(&e->holders, &rec->link);
        wait_signal(rec->w, ERR_OK);
    }
}

static void grant_waiters(struct lock_shard *s, struct lock_entry *e)
{
    if (LIKELY(!s->table->sealed)) {
        lock__grant_waiters(e);
    }
}

static void forget_upgrade_of(struct list *recs, const struct row_rec *old)
{
    LIST_FOREACH (it, recs) {
        struct row_rec *rec = CONTAINER_OF(it, struct row_rec, link);
        if (rec->upgrade_of == old) {
            rec->upgrade_of = NULL;
        }
    }
}

/* A held lock goes. Several requests may be about to replace it: a client that has lost the answer
 * to one asks again. */
void lock__take_out(struct lock_shard *s, struct row_rec *rec)
{
    list_remove(&rec->link);
    lock__unmark(s, rec);
    rec->state = ROW_FAILED;
    forget_upgrade_of(&rec->entry->row_waiters, rec);
    forget_upgrade_of(&rec->entry->holders, rec);
}

/* ... and waiters get their turn. */
static void remove_held(struct lock_shard *s, struct row_rec *rec)
{
    struct lock_entry *e = rec->entry;
    lock__take_out(s, rec);
    grant_waiters(s, e);
    lock__drop_if_idle(s, e);
}

/* ---- locking ---- */

struct row_request {
    struct lock_table *t;
    struct slice key;
    struct row_rec *rec;
    enum kv_wait wait;
    uint64_t deadline_ns;      /* the request's */
    uint64_t wait_deadline_ns; /* of the lock wait */
    bool have;                 /* was held already */
    bool packed;               /* one is to be waited for */
    bool many;                 /* the transaction has many records */
    bool import;               /* conflicts with nothing: all was held together before */
};

bool lock__beyond_end(const struct lock_table *t, struct slice key)
{
    return t->end != NULL && slice_cmp(key, slice_of(t->end, t->end_len)) >= 0;
}

/* Has the transaction the lock packed? One that another transaction has already, or a latch, comes
 * first: the set may hold the key by chance. */
static bool own_packed(const struct row_request *q, const struct lock_shard *s,
                       const struct lock_entry *e, uint64_t hash)
{
    const struct row_rec *rec = q->rec;
    return lock__packed_mode(s, hash, rec->start_ts) >= rec->mode &&
           (e == NULL || (e->latch == NULL && !holders_conflict(e, rec)));
}

/* Tries to take the lock, else queues (state WAITING) if the request may wait. The shard's mutex is
 * held; *ret_entry is the key's entry if the lock is held on return, and was not before. */
static db_err try_lock(struct row_request *q, struct lock_shard *s, uint64_t hash, struct waiter *w,
                       struct lock_entry **ret_entry)
{
    struct row_rec *rec = q->rec;
    struct lock_entry *e;
    if (rec->state == ROW_CANCELED) {
        return rec->reason;
    }
    if (lock__beyond_end(q->t, q->key)) {
        return ERR_STALE_EPOCH;
    }
    if (UNLIKELY(q->t->sealed)) {
        return ERR_BUSY;
    }
    if (UNLIKELY(lock__any_packed(q->t)) && !q->import) {
        e = lock__find(s, q->key, hash);
        q->have = own_packed(q, s, e, hash);
        bool blocked = !q->have && lock__packed_blocks(s, e, hash, rec);
        q->packed = blocked && q->wait == KV_WAIT;
        if (q->have || blocked) {
            return q->have ? ERR_OK : q->packed ? ERR_WOULD_BLOCK : ERR_LOCK_NOWAIT;
        }
    }
    TRY(lock__find_or_add(s, q->key, hash, NULL, &e));
    struct row_rec *held = find_held(e, rec->start_ts);
    if (held != NULL && held->mode >= rec->mode) {
        q->have = true;
        *ret_entry = e;
        return ERR_OK;
    }
    rec->entry = e;
    rec->upgrade_of = held;
    if (rec->mode == KV_LOCK_INSERT) {
        lock__mark(s, rec); /* before the look for span locks: span.c */
    }
    bool waits = !q->import && (holders_conflict(e, rec) || lock__span_blocks(rec) ||
                                (held == NULL && waiters_conflict(e, rec)));
    if (!waits) {
        rec->state = ROW_HELD;
        list_push_back(&e->holders, &rec->link);
        *ret_entry = e;
        return ERR_OK;
    }
    if (q->wait != KV_WAIT) {
        lock__unmark(s, rec);
        lock__drop_if_idle(s, e);
        return ERR_LOCK_NOWAIT;
    }
    rec->state = ROW_WAITING;
    rec->w = w;
    if (held != NULL) {
        list_push_front(&e->row_waiters, &rec->link);
    } else {
        list_push_back(&e->row_waiters, &rec->link);
    }
    return ERR_WOULD_BLOCK;
}

/* Gives up a wait unless it has been granted or cancelled meanwhile. ret: the state it ended in. */
static enum row_state give_up(struct row_rec *rec, struct waiter *w)
{
    struct lock_shard *s = lock__shard_of(&rec->shard);
    enum row_state state = rec->state;
    if (state == ROW_WAITING) {
        struct lock_entry *e = rec->entry;
        list_remove(&rec->link);
        lock__unmark(s, rec);
        rec->state = ROW_FAILED;
        grant_waiters(s, e); /* those behind may have waited for this one only */
        lock__drop_if_idle(s, e);
        state = ROW_FAILED;
        pthread_mutex_unlock(&s->mutex);
        return state;
    }
    pthread_mutex_unlock(&s->mutex);
    wait_block_uncancelable(w);
    return state;
}

bool lock__refuse(struct row_rec *rec, db_err err)
{
    struct lock_shard *s = lock__shard_of(&rec->shard);
    bool waits = rec->state == ROW_WAITING;
    if (waits) {
        struct lock_entry *e = rec->entry;
        list_remove(&rec->link);
        lock__unmark(s, rec);
        rec->state = ROW_FAILED;
        wait_signal(rec->w, (int)err);
        grant_waiters(s, e);
        lock__drop_if_idle(s, e);
    }
    pthread_mutex_unlock(&s->mutex);
    return waits;
}

/* Waits in the queue. On ERR_OK the lock is held; else the record is out of the entry. */
static db_err wait_in_queue(struct row_request *q, struct waiter *w)
{
    struct row_rec *rec = q->rec;
    lock__graph_add(q->t->graph, rec);
    lock__graph_check(q->t->graph, rec);
    uint64_t until = q->wait_deadline_ns < q->deadline_ns ? q->wait_deadline_ns : q->deadline_ns;
    db_err err = wait_block(w, until);
    lock__graph_remove(q->t->graph, rec);
    if (err == ERR_OK) {
        return (db_err)w->result;
    }
    enum row_state state = give_up(rec, w);
    if (state == ROW_HELD) {
        return ERR_OK;
    }
    if (state == ROW_CANCELED) {
        return (db_err)w->result;
    }
    return err == ERR_TIMEOUT && q->wait_deadline_ns <= q->deadline_ns ? ERR_LOCK_WAIT_TIMEOUT
                                                                       : err;
}

/* After a grant that took more than a moment (the record is busy): an upgraded S goes; a latch of
 * another command on the key is waited for; and the transaction may have been released meanwhile.
 */
static db_err settle(struct row_request *q)
{
    struct row_rec *rec = q->rec;
    struct row_rec *old = NULL;
    db_err err = ERR_OK;
    struct lock_shard *s = lock__shard_of(&rec->shard);
    if (rec->state == ROW_HELD && rec->upgrade_of != NULL) {
        old = rec->upgrade_of->busy ? NULL : rec->upgrade_of; /* used by its own fiber: it stays */
        rec->upgrade_of = NULL;
        if (old != NULL) {
            lock__take_out(s, old);
        }
    }
    if (rec->state == ROW_HELD && rec->entry->latch != NULL) {
        err = lock__wait_latch(s, rec->entry, q->deadline_ns);
    } else {
        pthread_mutex_unlock(&s->mutex);
    }
    if (old != NULL) {
        rec_abandon(old);
    }
    s = lock__shard_of(&rec->shard);
    bool canceled = rec->state != ROW_HELD;
    db_err reason = rec->reason;
    rec->busy = false;
    pthread_mutex_unlock(&s->mutex);
    if (canceled) {
        lock__rec_free(s->table, rec);
        return reason;
    }
    return err;
}

static db_err lock_with(struct row_request *q)
{
    uint64_t hash = key_hash(q->key);
    struct lock_shard *s = lock__shard(q->t, hash);
    struct lock_entry *e = NULL;
    struct waiter w;
    wait_init(&w);
    pthread_mutex_lock(&s->mutex);
    db_err err = try_lock(q, s, hash, &w, &e);
    while (UNLIKELY(q->packed)) {
        pthread_mutex_unlock(&s->mutex);
        err = lock__unpack(q->t, q->key, hash, q->rec);
        q->packed = false;
        pthread_mutex_lock(&s->mutex);
        if (err == ERR_OK) {
            err = try_lock(q, s, hash, &w, &e);
        }
    }
    bool slow = err == ERR_WOULD_BLOCK ||
                (err == ERR_OK && !q->have && (e->latch != NULL || q->rec->upgrade_of != NULL));
    q->rec->busy = slow;
    if (q->rec->state == ROW_NEW) {
        q->rec->state = ROW_FAILED;
    }
    pthread_mutex_unlock(&s->mutex);
    if (err == ERR_WOULD_BLOCK) {
        err = wait_in_queue(q, &w);
    }
    if (err == ERR_OK && !q->have) {
        return slow ? settle(q) : ERR_OK;
    }
    rec_abandon(q->rec);
    return err;
}

static db_err request(struct row_request *q, ts_t start_ts, lock_owner_t owner,
                      enum kv_lock_mode mode)
{
    ASSERT(mode != KV_LOCK_NONE);
    if (atomic_load_explicit(&q->t->closed, memory_order_acquire)) {
        return ERR_NOT_LEADER;
    }
    TRY(rec_new(q->t, lock__shard(q->t, key_hash(q->key)), start_ts, owner, mode, &q->rec,
                &q->many));
    db_err err = lock_with(q);
    if (UNLIKELY(q->many)) {
        lock__pack(q->t, start_ts);
    }
    return err;
}

db_err row_lock(struct lock_table *t, struct slice key, ts_t start_ts, lock_owner_t owner,
                enum kv_lock_mode mode, enum kv_wait wait, uint32_t wait_ms, uint64_t deadline_ns)
{
    uint64_t now = clock_mono_ns();
    struct row_request q = {.t = t,
                            .key = key,
                            .wait = wait,
                            .deadline_ns = deadline_ns,
                            .wait_deadline_ns = now + wait_ms * NS_PER_MS};
    return request(&q, start_ts, owner, mode);
}

db_err lock_table_import(struct lock_table *t, const struct lock_export *l)
{
    struct row_request q = {
        .t = t, .key = l->key, .wait = KV_NOWAIT, .deadline_ns = DEADLINE_NONE, .import = true};
    uint64_t id;
    return l->span ? span_lock(t, l->key, l->end, l->start_ts, l->owner, &id)
                   : request(&q, l->start_ts, l->owner, l->mode);
}

enum kv_lock_mode row_lock_held(struct lock_table *t, struct slice key, ts_t start_ts)
{
    if (atomic_load_explicit(&t->rows, memory_order_acquire) == 0) {
        return KV_LOCK_NONE;
    }
    uint64_t hash = key_hash(key);
    struct lock_shard *s = lock__shard(t, hash);
    enum kv_lock_mode mode = KV_LOCK_NONE;
    pthread_mutex_lock(&s->mutex);
    struct lock_entry *e = lock__find(s, key, hash);
    if (e != NULL) {
        LIST_FOREACH (it, &e->holders) {
            struct row_rec *h = CONTAINER_OF(it, struct row_rec, link);
            if (h->start_ts == start_ts && h->mode > mode) {
                mode = h->mode;
            }
        }
    }
    if (UNLIKELY(lock__any_packed(t))) {
        enum kv_lock_mode packed = lock__packed_mode(s, hash, start_ts);
        mode = packed > mode ? packed : mode;
    }
    pthread_mutex_unlock(&s->mutex);
    return mode;
}

size_t row_lock_conflict(struct latch_guard *g, ts_t start_ts)
{
    struct lock_table *t = g->table;
    ASSERT(!g->all);
    if (atomic_load_explicit(&t->rows, memory_order_seq_cst) == 0) {
        return g->count;
    }
    for (size_t i = 0; i < g->count; i++) {
        struct lock_entry *e = g->entries[i];
        struct lock_shard *s = lock__shard_of(&e->shard);
        bool conflict = false;
        LIST_FOREACH (it, &e->holders) {
            conflict = conflict || CONTAINER_OF(it, struct row_rec, link)->start_ts != start_ts;
        }
        conflict = conflict ||
                   (UNLIKELY(lock__any_packed(t)) && lock__packed_by_other(s, e->hash, start_ts));
        pthread_mutex_unlock(&s->mutex);
        if (conflict) {
            return i;
        }
    }
    return g->count;
}

size_t row_lock_count(const struct lock_table *t)
{
    return atomic_load_explicit(&t->rows, memory_order_relaxed);
}

/* ---- releasing ---- */

/* The record has been detached from its transaction by the caller. */
static void release_detached(struct row_rec *rec, db_err reason)
{
    struct lock_shard *s = lock__shard_of(&rec->shard);
    struct lock_table *t = s->table;
    struct lock_entry *e = rec->entry;
    bool mine = false;
    switch (rec->state) {
    case ROW_HELD:
        mine = !rec->busy;
        remove_held(s, rec);
        break;
    case ROW_WAITING:
        list_remove(&rec->link);
        lock__unmark(s, rec);
        wait_signal(rec->w, (int)reason);
        grant_waiters(s, e);
        lock__drop_if_idle(s, e);
        break;
    case ROW_DEAD: mine = true; break;
    case ROW_NEW:
    case ROW_FAILED:
    case ROW_CANCELED: break;
    }
    rec->state = ROW_CANCELED;
    rec->reason = reason;
    pthread_mutex_unlock(&s->mutex);
    if (mine) {
        lock__rec_free(t, rec);
    }
}

void lock__gone_init(struct locks_gone *g)
{
    list_init(&g->recs);
    list_init(&g->spans);
    lock__packed_gone_init(&g->packed);
}

void lock__txn_detach(struct lock_table *t, struct lock_txn *x, struct locks_gone *out)
{
    struct list *l;
    while ((l = list_pop_front(&x->recs)) != NULL) {
        CONTAINER_OF(l, struct row_rec, txn_link)->detached = true;
        list_push_back(&out->recs, l);
    }
    x->count = 0;
    lock__spans_detach(t, x, &out->spans);
    lock__packed_detach(t, x, &out->packed);
}

void lock__gone_release(struct lock_table *t, struct locks_gone *g, db_err reason)
{
    struct list *l;
    while ((l = list_pop_front(&g->recs)) != NULL) {
        release_detached(CONTAINER_OF(l, struct row_rec, txn_link), reason);
    }
    lock__spans_free(t, &g->spans);
    lock__packed_free(t, &g->packed);
}

db_err row_unlock_all(struct lock_table *t, ts_t start_ts)
{
    struct locks_gone gone;
    if (atomic_load_explicit(&t->rows, memory_order_acquire) == 0) {
        return ERR_OK;
    }
    struct txn_shard *ts = lock__txn_shard(t, start_ts);
    lock__gone_init(&gone);
    pthread_mutex_lock(&ts->mutex);
    struct lock_txn *x = lock__txn_find(ts, start_ts, false);
    bool refuse = x != NULL && t->sealed;
    if (x != NULL && !refuse) {
        lock__txn_detach(t, x, &gone);
        lock__txn_drop_if_empty(ts, start_ts);
    }
    pthread_mutex_unlock(&ts->mutex);
    lock__gone_release(t, &gone, ERR_CANCELED);
    return refuse ? ERR_BUSY : ERR_OK;
}

void lock__cancel_all_rows(struct lock_table *t)
{
    for (size_t i = 0; i < TXN_SHARDS; i++) {
        struct txn_shard *ts = &t->txns[i];
        struct locks_gone gone;
        lock__gone_init(&gone);
        pthread_mutex_lock(&ts->mutex);
        for (size_t b = 0; b < TXN_BUCKETS; b++) {
            while (ts->buckets[b] != NULL) {
                struct lock_txn *x = ts->buckets[b];
                lock__txn_detach(t, x, &gone);
                ts->buckets[b] = x->next;
                mem_free(x);
            }
        }
        pthread_mutex_unlock(&ts->mutex);
        lock__gone_release(t, &gone, ERR_NOT_LEADER);
    }
}

db_err row_unlock(struct lock_table *t, struct slice key, ts_t start_ts)
{
    uint64_t hash = key_hash(key);
    struct txn_shard *ts = lock__txn_shard(t, start_ts);
    struct lock_shard *s = lock__shard(t, hash);
    struct row_rec *rec = NULL;
    bool busy = false;
    pthread_mutex_lock(&ts->mutex);
    pthread_mutex_lock(&s->mutex);
    struct lock_entry *e = lock__find(s, key, hash);
    if (e != NULL) {
        rec = find_held(e, start_ts);
        if (rec != NULL && rec->detached) {
            rec = NULL;
        }
    }
    bool refuse = rec != NULL && t->sealed;
    if (refuse) {
        rec = NULL;
    }
    if (rec != NULL) {
        busy = rec->busy;
        remove_held(s, rec);
        rec->state = ROW_CANCELED;
        rec->reason = ERR_CANCELED;
        list_remove(&rec->txn_link);
        lock__txn_forget_one(ts, start_ts);
    }
    pthread_mutex_unlock(&s->mutex);
    pthread_mutex_unlock(&ts->mutex);
    if (rec != NULL && !busy) {
        lock__rec_free(t, rec);
    }
    return refuse ? ERR_BUSY : ERR_OK;
}
