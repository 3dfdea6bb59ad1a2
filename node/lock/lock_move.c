/* Row locks that move: sealing and import for a lease transfer, split and merge of ranges. The
 * callers have closed the gate of the tables, so that there are no latches; row locks may be taken
 * and released all the time, which is why split and merge hold every mutex of both tables,
 * transaction shards before key shards, the left table before the right. */
#include "node/lock/lock_table.h"

#include "node/lock/lock_int.h"
#include "node/store/keyspace.h"

static void lock_all(struct lock_table *t, struct lock_table *u)
{
    struct lock_table *both[2] = {t, u};
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < TXN_SHARDS; i++) {
            pthread_mutex_lock(&both[k]->txns[i].mutex);
        }
    }
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < LOCK_SHARDS; i++) {
            pthread_mutex_lock(&both[k]->shards[i].mutex);
        }
    }
}

static void unlock_all(struct lock_table *t, struct lock_table *u)
{
    struct lock_table *both[2] = {t, u};
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < LOCK_SHARDS; i++) {
            pthread_mutex_unlock(&both[k]->shards[i].mutex);
        }
        for (size_t i = 0; i < TXN_SHARDS; i++) {
            pthread_mutex_unlock(&both[k]->txns[i].mutex);
        }
    }
}

/* ---- seal, import ---- */

static void lock_one(struct lock_table *t)
{
    for (size_t i = 0; i < TXN_SHARDS; i++) {
        pthread_mutex_lock(&t->txns[i].mutex);
    }
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        pthread_mutex_lock(&t->shards[i].mutex);
    }
}

static void unlock_one(struct lock_table *t)
{
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        pthread_mutex_unlock(&t->shards[i].mutex);
    }
    for (size_t i = 0; i < TXN_SHARDS; i++) {
        pthread_mutex_unlock(&t->txns[i].mutex);
    }
}

/* All mutexes held. A lock whose transaction has been detached is on its way out. */
static db_err export_entry(const struct lock_entry *e,
                           db_err (*fn)(void *arg, const struct lock_export *l), void *arg)
{
    LIST_FOREACH (it, &e->holders) {
        const struct row_rec *h = CONTAINER_OF(it, struct row_rec, link);
        struct lock_export l = {
            .key = entry_key(e), .start_ts = h->start_ts, .owner = h->owner, .mode = h->mode};
        if (!h->detached) {
            TRY(fn(arg, &l));
        }
    }
    return ERR_OK;
}

static db_err export_spans(const struct lock_table *t,
                           db_err (*fn)(void *arg, const struct lock_export *l), void *arg)
{
    for (size_t i = 0; i < TXN_SHARDS; i++) {
        for (size_t b = 0; b < TXN_BUCKETS; b++) {
            for (const struct lock_txn *x = t->txns[i].buckets[b]; x != NULL; x = x->next) {
                LIST_FOREACH (it, &x->spans) {
                    const struct span_rec *r = CONTAINER_OF(it, struct span_rec, txn_link);
                    struct lock_export l = {.span = true,
                                            .key = r->node.start,
                                            .end = r->node.end,
                                            .start_ts = r->start_ts,
                                            .owner = r->owner};
                    TRY(fn(arg, &l));
                }
            }
        }
    }
    return ERR_OK;
}

static db_err export_all(struct lock_table *t, db_err (*fn)(void *arg, const struct lock_export *l),
                         void *arg)
{
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        struct lock_shard *s = &t->shards[i];
        for (size_t b = 0; b < s->bucket_count; b++) {
            for (const struct lock_entry *e = s->buckets[b]; e != NULL; e = e->next) {
                TRY(export_entry(e, fn, arg));
            }
        }
    }
    return export_spans(t, fn, arg);
}

db_err lock_table_seal(struct lock_table *t,
                       db_err (*fence)(void *arg, uint64_t node, ts_t start_ts),
                       db_err (*lock)(void *arg, const struct lock_export *l), void *arg)
{
    db_err err = ERR_OK;
    lock_one(t);
    pthread_mutex_lock(&t->fence_mutex);
    for (unsigned i = 0; i < atomic_load(&t->fence_count) && err == ERR_OK; i++) {
        err = fence(arg, t->fences[i].node, t->fences[i].start_ts);
    }
    if (t->fence_all != 0 || lock__any_packed(t)) {
        err = ERR_LIMIT;
    }
    pthread_mutex_unlock(&t->fence_mutex);
    if (err == ERR_OK) {
        err = export_all(t, lock, arg);
    }
    t->sealed = err == ERR_OK;
    unlock_one(t);
    return err;
}

void lock_table_unseal(struct lock_table *t)
{
    lock_one(t);
    t->sealed = false;
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        struct lock_shard *s = &t->shards[i];
        for (size_t b = 0; b < s->bucket_count; b++) {
            for (struct lock_entry *e = s->buckets[b]; e != NULL; e = e->next) {
                lock__grant_waiters(e);
            }
        }
    }
    unlock_one(t);
}

void lock_table_import_fence(struct lock_table *t, uint64_t node, ts_t start_ts)
{
    lock__fence(t, node, start_ts);
}

/* ---- split, merge ---- */

static db_err prepare_txns(struct lock_table *to, const struct lock_entry *e)
{
    const struct list *lists[2] = {&e->holders, &e->row_waiters};
    for (int k = 0; k < 2; k++) {
        LIST_FOREACH (it, lists[k]) {
            const struct row_rec *rec = CONTAINER_OF(it, struct row_rec, link);
            struct lock_txn *x =
                lock__txn_find(lock__txn_shard(to, rec->start_ts), rec->start_ts, true);
            if (x == NULL) {
                return ERR_NOMEM;
            }
            x->owner = rec->owner != 0 ? rec->owner : x->owner;
        }
    }
    return ERR_OK;
}

static void move_recs(struct lock_table *from, struct lock_table *to, struct lock_shard *shard,
                      struct list *list)
{
    LIST_FOREACH (it, list) {
        struct row_rec *rec = CONTAINER_OF(it, struct row_rec, link);
        size_t cost = lock__rec_cost(rec);
        if (rec->marked) {
            lock__unmark(atomic_load_explicit(&rec->shard, memory_order_relaxed), rec);
            lock__mark(shard, rec);
        }
        atomic_store_explicit(&rec->shard, shard, memory_order_release);
        atomic_fetch_sub_explicit(&from->rows, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&to->rows, 1, memory_order_seq_cst);
        lock__release_memory(from, cost);
        atomic_fetch_add_explicit(&to->memory, cost, memory_order_relaxed);
        if (!rec->detached) {
            struct lock_txn *x =
                lock__txn_find(lock__txn_shard(to, rec->start_ts), rec->start_ts, false);
            lock__txn_find(lock__txn_shard(from, rec->start_ts), rec->start_ts, false)->count--;
            list_remove(&rec->txn_link);
            list_push_back(&x->recs, &rec->txn_link);
            x->count++;
        }
    }
}

/* Entries of one key are never in both tables: the caller splits into an empty table, or merges
 * neighbours. */
static void move_entry(struct lock_table *from, struct lock_table *to, struct lock_entry *e)
{
    struct lock_shard *shard = lock__shard(to, e->hash);
    size_t size = sizeof(*e) + e->key_len;
    ASSERT(e->latch == NULL && list_empty(&e->latch_waiters));
    atomic_store_explicit(&e->shard, shard, memory_order_release);
    move_recs(from, to, shard, &e->holders);
    move_recs(from, to, shard, &e->row_waiters);
    e->next = shard->buckets[e->hash & (shard->bucket_count - 1)];
    shard->buckets[e->hash & (shard->bucket_count - 1)] = e;
    shard->count++;
    lock__release_memory(from, size);
    atomic_fetch_add_explicit(&to->memory, size, memory_order_relaxed);
    lock__grant_waiters(e); /* who just now ends a span lock looks for them in the other table */
}

/* Transactions without a record left in the table. */
static void drop_empty_txns(struct lock_table *t)
{
    for (size_t i = 0; i < TXN_SHARDS; i++) {
        for (size_t b = 0; b < TXN_BUCKETS; b++) {
            struct lock_txn **p = &t->txns[i].buckets[b];
            while (*p != NULL) {
                struct lock_txn *x = *p;
                if (list_empty(&x->recs) && list_empty(&x->spans) && !x->packed) {
                    *p = x->next;
                    mem_free(x);
                } else {
                    p = &x->next;
                }
            }
        }
    }
}

/* All mutexes held. at empty: everything. */
static db_err move_keys(struct lock_table *from, struct lock_table *to, struct slice at)
{
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            lock__spans_move(from, to, at);
        }
        for (size_t i = 0; i < LOCK_SHARDS; i++) {
            struct lock_shard *s = &from->shards[i];
            for (size_t b = 0; b < s->bucket_count; b++) {
                struct lock_entry **p = &s->buckets[b];
                while (*p != NULL) {
                    struct lock_entry *e = *p;
                    if (slice_cmp(entry_key(e), at) < 0) {
                        p = &e->next;
                    } else if (pass == 0) {
                        TRY(prepare_txns(to, e));
                        p = &e->next;
                    } else {
                        *p = e->next;
                        s->count--;
                        move_entry(from, to, e);
                    }
                }
            }
        }
    }
    return ERR_OK;
}

static db_err move_from(struct lock_table *from, struct lock_table *to, struct slice at)
{
    db_err err = lock__spans_prepare(from, to, at);
    err = err != ERR_OK ? err : lock__packed_copy(from, to);
    if (err == ERR_OK) {
        err = move_keys(from, to, at);
    }
    if (err != ERR_OK) {
        lock__spans_undo(from, to);
    }
    return err;
}

db_err lock_table_split(struct lock_table *t, struct slice at, struct lock_table *right)
{
    uint8_t *end = mem_alloc(at.len);
    uint8_t *right_end = t->end == NULL ? NULL : mem_alloc(t->end_len);
    if (end == NULL || (t->end != NULL && right_end == NULL)) {
        mem_free(end);
        mem_free(right_end);
        return ERR_NOMEM;
    }
    memcpy(end, at.ptr, at.len);
    lock_all(t, right);
    db_err err = move_from(t, right, at);
    if (err == ERR_OK) {
        if (right_end != NULL) {
            memcpy(right_end, t->end, t->end_len);
        }
        mem_free(right->end);
        right->end = right_end;
        right->end_len = t->end_len;
        right_end = t->end;
        t->end = end;
        t->end_len = at.len;
        end = NULL;
    } else {
        lock__packed_drop(right);
    }
    drop_empty_txns(t);
    drop_empty_txns(right);
    lock__fences_join(right, t);
    unlock_all(t, right);
    mem_free(end);
    mem_free(right_end);
    return err;
}

db_err lock_table_set_end(struct lock_table *t, struct slice end)
{
    uint8_t *copy = NULL;
    if (end.len != 0) {
        copy = mem_alloc(end.len);
        if (copy == NULL) {
            return ERR_NOMEM;
        }
        memcpy(copy, end.ptr, end.len);
    }
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        pthread_mutex_lock(&t->shards[i].mutex);
    }
    uint8_t *old = t->end;
    t->end = copy;
    t->end_len = end.len;
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        pthread_mutex_unlock(&t->shards[i].mutex);
    }
    mem_free(old);
    return ERR_OK;
}

db_err lock_table_merge(struct lock_table *t, struct lock_table *right)
{
    lock_all(t, right);
    db_err err = move_from(right, t, SLICE_EMPTY);
    if (err == ERR_OK) {
        uint8_t *old = t->end;
        t->end = right->end;
        t->end_len = right->end_len;
        right->end = NULL;
        mem_free(old);
        lock__packed_drop(right);
    }
    drop_empty_txns(t);
    drop_empty_txns(right);
    lock__fences_join(t, right);
    unlock_all(t, right);
    return err;
}
