/* All locks of a table, for who wants to see them. */
#include "node/lock/lock_int.h"

/* An insert that waits for nobody's lock of the row itself waits for locks of spans. */
static bool waits_for_span(const struct row_rec *w)
{
    LIST_FOREACH (it, &w->entry->holders) {
        if (CONTAINER_OF(it, struct row_rec, link)->start_ts != w->start_ts) {
            return false;
        }
    }
    return w->mode == KV_LOCK_INSERT;
}

static db_err look_at_entry(const struct lock_entry *e,
                            db_err (*fn)(void *arg, const struct lock_info *l), void *arg)
{
    LIST_FOREACH (it, &e->holders) {
        const struct row_rec *h = CONTAINER_OF(it, struct row_rec, link);
        const struct lock_info l = {.key = entry_key(e), .start_ts = h->start_ts, .mode = h->mode};
        TRY(fn(arg, &l));
    }
    LIST_FOREACH (it, &e->row_waiters) {
        const struct row_rec *w = CONTAINER_OF(it, struct row_rec, link);
        uint64_t wait = atomic_load_explicit(&w->wait, memory_order_relaxed);
        const struct lock_info l = {.key = entry_key(e),
                                    .start_ts = w->start_ts,
                                    .mode = w->mode,
                                    .wait = wait != 0 ? wait : LOCK_WAIT_NEW,
                                    .for_span = waits_for_span(w)};
        TRY(fn(arg, &l));
    }
    return ERR_OK;
}

static db_err look_at_shard(struct lock_shard *s,
                            db_err (*fn)(void *arg, const struct lock_info *l), void *arg)
{
    db_err err = ERR_OK;
    pthread_mutex_lock(&s->mutex);
    for (size_t b = 0; b < s->bucket_count && err == ERR_OK; b++) {
        for (const struct lock_entry *e = s->buckets[b]; e != NULL && err == ERR_OK; e = e->next) {
            err = look_at_entry(e, fn, arg);
        }
    }
    pthread_mutex_unlock(&s->mutex);
    return err;
}

static db_err look_at_spans(const struct lock_txn *x,
                            db_err (*fn)(void *arg, const struct lock_info *l), void *arg)
{
    LIST_FOREACH (it, &x->spans) {
        const struct span_rec *r = CONTAINER_OF(it, struct span_rec, txn_link);
        const struct lock_info l = {
            .span = true, .key = r->node.start, .end = r->node.end, .start_ts = r->start_ts};
        TRY(fn(arg, &l));
    }
    return ERR_OK;
}

/* What is not found by its key. */
static db_err look_at_txns(struct txn_shard *s, db_err (*fn)(void *arg, const struct lock_info *l),
                           void *arg)
{
    db_err err = ERR_OK;
    pthread_mutex_lock(&s->mutex);
    for (size_t b = 0; b < TXN_BUCKETS && err == ERR_OK; b++) {
        for (const struct lock_txn *x = s->buckets[b]; x != NULL && err == ERR_OK; x = x->next) {
            err = look_at_spans(x, fn, arg);
            err = err == ERR_OK ? lock__packed_look(x, fn, arg) : err;
        }
    }
    pthread_mutex_unlock(&s->mutex);
    return err;
}

db_err lock_table_look(struct lock_table *t, db_err (*fn)(void *arg, const struct lock_info *l),
                       void *arg)
{
    if (atomic_load(&t->rows) == 0) {
        return ERR_OK;
    }
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        TRY(look_at_shard(&t->shards[i], fn, arg));
    }
    bool more = span_lock_count(t) != 0 || lock__any_packed(t);
    for (size_t i = 0; i < TXN_SHARDS && more; i++) {
        TRY(look_at_txns(&t->txns[i], fn, arg));
    }
    return ERR_OK;
}
