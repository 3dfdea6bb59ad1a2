#include "sql/storage/mem/mem.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/counter.h"
#include "sql/storage/mem/mem_int.h"

/* The vtable, and what lies outside of transactions: sequences and whole ranges. */

struct mem_sequence {
    struct mem_sequence *next;
    uint64_t last; /* highest number given */
    size_t key_len;
    uint8_t key[];
};

static struct mem_storage *storage_of(struct storage *s)
{
    ASSERT(s->ops == &mem_storage_ops);
    return CONTAINER_OF(s, struct mem_storage, base);
}

static struct storage_caps mem_caps(struct storage *s)
{
    (void)s;
    return (struct storage_caps){.persistent = false, .distributed = false, .pushdown = false};
}

static void mem_close(struct storage *base)
{
    struct mem_storage *s = storage_of(base);
    mem_txn_pool_fini(s);
    mem_locks_fini(&s->locks);
    mem_store_fini(&s->store);
    for (size_t i = 0; i < MEM_SEQUENCE_BUCKETS; i++) {
        for (struct mem_sequence *q = s->sequences[i], *next; q != NULL; q = next) {
            next = q->next;
            mem_free(q);
        }
    }
    pthread_mutex_destroy(&s->seq_lock);
    pthread_mutex_destroy(&s->pool_lock);
    mem_free_aligned(s);
}

/* Under seq_lock. NULL: out of memory. */
static struct mem_sequence *find_sequence(struct mem_storage *s, struct slice key)
{
    size_t h = 5381;
    for (size_t i = 0; i < key.len; i++) {
        h = h * 33 + key.ptr[i];
    }
    struct mem_sequence **bucket = &s->sequences[h % MEM_SEQUENCE_BUCKETS];
    for (struct mem_sequence *q = *bucket; q != NULL; q = q->next) {
        if (q->key_len == key.len && memcmp(q->key, key.ptr, key.len) == 0) {
            return q;
        }
    }
    struct mem_sequence *q = mem_alloc(sizeof(*q) + key.len);
    if (q != NULL) {
        *q = (struct mem_sequence){.next = *bucket, .key_len = key.len};
        memcpy(q->key, key.ptr, key.len);
        *bucket = q;
    }
    return q;
}

static db_err mem_sequence_next(struct storage *base, struct slice key, uint64_t floor,
                                uint64_t count, uint64_t step, uint64_t offset, struct diag *diag,
                                uint64_t *ret_first)
{
    struct mem_storage *s = storage_of(base);
    db_err err = ERR_NOMEM;
    pthread_mutex_lock(&s->seq_lock);
    struct mem_sequence *q = find_sequence(s, key);
    if (q != NULL) {
        err = counter_take(&q->last, floor, count, step, offset, ret_first);
    }
    pthread_mutex_unlock(&s->seq_lock);
    return err == ERR_LIMIT ? diag_set(diag, err, "the sequence has no more numbers") : err;
}

static db_err mem_sequence_raise(struct storage *base, struct slice key, uint64_t value,
                                 struct diag *diag)
{
    (void)diag;
    struct mem_storage *s = storage_of(base);
    pthread_mutex_lock(&s->seq_lock);
    struct mem_sequence *q = find_sequence(s, key);
    if (q != NULL && q->last < value) {
        q->last = value;
    }
    pthread_mutex_unlock(&s->seq_lock);
    return q == NULL ? ERR_NOMEM : ERR_OK;
}

static db_err mem_sequence_peek(struct storage *base, struct slice key, struct diag *diag,
                                uint64_t *ret_next)
{
    (void)diag;
    struct mem_storage *s = storage_of(base);
    pthread_mutex_lock(&s->seq_lock);
    const struct mem_sequence *q = find_sequence(s, key);
    uint64_t last = q == NULL ? 0 : q->last;
    pthread_mutex_unlock(&s->seq_lock);
    *ret_next = last + 1;
    return q == NULL ? ERR_NOMEM : ERR_OK;
}

static db_err mem_delete_range(struct storage *base, struct slice start, struct slice end,
                               struct diag *diag)
{
    (void)diag;
    mem_store_delete_range(&storage_of(base)->store, start, end);
    return ERR_OK;
}

static db_err mem_estimate(struct storage *base, struct slice start, struct slice end,
                           uint64_t *ret_rows, uint64_t *ret_bytes)
{
    mem_store_estimate(&storage_of(base)->store, start, end, ret_rows, ret_bytes);
    return ERR_OK;
}

const struct storage_ops mem_storage_ops = {
    .name = "mem",
    .caps = mem_caps,
    .close = mem_close,
    .txn_begin = mem_txn_begin,
    .txn_stmt_begin = mem_txn_stmt_begin,
    .txn_take_snapshot = mem_txn_take_snapshot,
    .txn_commit = mem_txn_commit,
    .txn_rollback = mem_txn_rollback,
    .txn_savepoint = mem_txn_savepoint,
    .txn_rollback_to = mem_txn_rollback_to,
    .txn_has_writes = mem_txn_has_writes,
    .get_outdated = mem_txn_get_outdated,
    .get = mem_txn_get,
    .multi_get = mem_txn_multi_get,
    .scan_open = mem_scan_open,
    .scan_next = mem_scan_next,
    .scan_close = mem_scan_close,
    .put = mem_txn_put,
    .del = mem_txn_del,
    .lock = mem_txn_lock,
    .sequence_next = mem_sequence_next,
    .sequence_raise = mem_sequence_raise,
    .sequence_peek = mem_sequence_peek,
    .delete_range = mem_delete_range,
    .estimate = mem_estimate,
};

db_err mem_storage_new(const struct mem_storage_opts *opts, struct storage **ret_storage)
{
    struct mem_storage *s = mem_calloc_aligned(sizeof(*s), _Alignof(struct mem_storage));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->base.ops = &mem_storage_ops;
    pthread_mutex_init(&s->seq_lock, NULL);
    pthread_mutex_init(&s->pool_lock, NULL);
    db_err err = mem_store_init(&s->store, opts == NULL ? 0 : opts->bytes_max);
    err = err_first(err, mem_locks_init(&s->locks));
    if (err != ERR_OK) {
        mem_close(&s->base);
        return err;
    }
    *ret_storage = &s->base;
    return ERR_OK;
}

void mem_storage_stats(struct storage *base, struct mem_storage_stats *ret_stats)
{
    struct mem_store *s = &storage_of(base)->store;
    *ret_stats = (struct mem_storage_stats){
        .keys = atomic_load(&s->keys),
        .versions = atomic_load(&s->versions),
        .bytes = atomic_load(&s->bytes),
        .commits = atomic_load(&s->commits),
        .retired = atomic_load(&s->retired),
    };
}
