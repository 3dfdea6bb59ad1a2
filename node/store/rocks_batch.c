/* Write batches and their application. */
#include "node/store/rocks_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/faults.h"

struct rocks_wbatch {
    struct engine_wbatch base;
    struct rocks_engine *engine;
    rocksdb_writebatch_t *wb;
    uint32_t *buckets; /* of the data keys written, for rocks_iter.c */
    size_t bucket_count;
    size_t bucket_cap;
    size_t size;
    bool all_changed; /* a range was deleted, or the bucket list could not grow */
    bool deletes_range;
};

enum { BUCKETS_MAX = 4096 }; /* beyond that a batch counts as changing everything */

static struct rocks_wbatch *batch_of(const struct engine_wbatch *b)
{
    return (struct rocks_wbatch *)(void *)(uintptr_t)b;
}

static void note_key(struct rocks_wbatch *b, enum engine_cf cf, struct slice key)
{
    if (cf != ENGINE_DATA || b->all_changed) {
        return;
    }
    if (b->bucket_count == b->bucket_cap) {
        size_t cap = b->bucket_cap == 0 ? 64 : b->bucket_cap * 2;
        uint32_t *grown =
            cap > BUCKETS_MAX ? NULL : mem_realloc(b->buckets, cap * sizeof(*b->buckets));
        if (grown == NULL) {
            b->all_changed = true;
            return;
        }
        b->buckets = grown;
        b->bucket_cap = cap;
    }
    b->buckets[b->bucket_count++] = (uint32_t)(key_hash(data_key_user(key)) % CHANGE_BUCKETS);
}

static void batch_put(struct engine_wbatch *base, enum engine_cf cf, struct slice key,
                      struct slice value)
{
    struct rocks_wbatch *b = batch_of(base);
    rocksdb_writebatch_put_cf(b->wb, b->engine->cf[cf], (const char *)key.ptr, key.len,
                              (const char *)value.ptr, value.len);
    b->size += key.len + value.len + 16;
    note_key(b, cf, key);
}

static void batch_del(struct engine_wbatch *base, enum engine_cf cf, struct slice key, bool single)
{
    struct rocks_wbatch *b = batch_of(base);
    if (single) {
        rocksdb_writebatch_singledelete_cf(b->wb, b->engine->cf[cf], (const char *)key.ptr,
                                           key.len);
    } else {
        rocksdb_writebatch_delete_cf(b->wb, b->engine->cf[cf], (const char *)key.ptr, key.len);
    }
    b->size += key.len + 16;
    note_key(b, cf, key);
}

/* RocksDB has no open-ended range deletion: the end is then the last key plus a byte (which sorts
 * behind it in both orders, as long as the whole batch is applied before another one adds keys: one
 * apply at a time per range). */
static db_err last_key(struct rocks_engine *r, enum engine_cf cf, struct buf *out)
{
    struct engine_iter_opts opts = {.tier = ENGINE_ANY};
    struct engine_iter *it;
    TRY(rocks__iter_open(&r->base, cf, &opts, &it));
    db_err err = engine_iter_seek_for_prev(it, SLICE_EMPTY);
    if (err == ERR_OK && it->valid) {
        static const uint8_t beyond[DATA_TS_SIZE + 1];
        struct slice user = cf == ENGINE_DATA ? data_key_user(it->key) : it->key;
        err = buf_append_slice(out, user);
        if (err == ERR_OK) {
            err = buf_append(out, beyond, cf == ENGINE_DATA ? DATA_TS_SIZE + 1 : 1);
        }
    }
    engine_iter_close(it);
    return err;
}

static db_err batch_delete_range(struct engine_wbatch *base, enum engine_cf cf, struct slice start,
                                 struct slice end)
{
    struct rocks_wbatch *b = batch_of(base);
    struct buf last;
    buf_init(&last, STORE_BATCH_SIZE_MAX);
    if (end.len == 0) {
        db_err err = last_key(b->engine, cf, &last);
        if (err != ERR_OK) {
            buf_fini(&last);
            return err;
        }
        end = buf_slice(&last);
    }
    int order = cf == ENGINE_DATA ? data_key_cmp(start, end) : slice_cmp(start, end);
    if (order < 0) { /* RocksDB calls an empty range an error */
        rocksdb_writebatch_delete_range_cf(b->wb, b->engine->cf[cf], (const char *)start.ptr,
                                           start.len, (const char *)end.ptr, end.len);
        b->size += start.len + end.len + 16;
        b->all_changed = true;
        b->deletes_range = true;
    }
    buf_fini(&last);
    return ERR_OK;
}

static size_t batch_size(const struct engine_wbatch *base)
{
    return batch_of(base)->size;
}

static void batch_reset(struct engine_wbatch *base)
{
    struct rocks_wbatch *b = batch_of(base);
    rocksdb_writebatch_clear(b->wb);
    b->bucket_count = 0;
    b->size = 0;
    b->all_changed = false;
    b->deletes_range = false;
}

static void batch_free(struct engine_wbatch *base)
{
    struct rocks_wbatch *b = batch_of(base);
    rocksdb_writebatch_destroy(b->wb);
    mem_free(b->buckets);
    mem_free(b);
}

static const struct engine_wbatch_ops batch_ops = {
    .put = batch_put,
    .del = batch_del,
    .delete_range = batch_delete_range,
    .size = batch_size,
    .reset = batch_reset,
    .free = batch_free,
};

db_err rocks__wbatch_new(struct engine *e, struct engine_wbatch **ret_batch)
{
    struct rocks_wbatch *b = mem_calloc(1, sizeof(*b));
    if (b == NULL) {
        return ERR_NOMEM;
    }
    b->base.ops = &batch_ops;
    b->engine = rocks_of(e);
    b->wb = rocksdb_writebatch_create();
    *ret_batch = &b->base;
    return ERR_OK;
}

static void raise_to(_Atomic uint64_t *p, uint64_t v)
{
    uint64_t old = atomic_load_explicit(p, memory_order_relaxed);
    while (old < v && !atomic_compare_exchange_weak_explicit(p, &old, v, memory_order_release,
                                                             memory_order_relaxed)) {
    }
}

void rocks__change_begin(struct rocks_engine *r, struct rocks_change *c)
{
    pthread_mutex_lock(&r->change_mutex);
    c->number = atomic_load_explicit(&r->started, memory_order_relaxed) + 1;
    atomic_store_explicit(&r->started, c->number, memory_order_release);
    list_push_back(&r->changes, &c->link);
    pthread_mutex_unlock(&r->change_mutex);
}

void rocks__change_all(struct rocks_engine *r, const struct rocks_change *c)
{
    raise_to(&r->range_version, c->number);
}

void rocks__change_end(struct rocks_engine *r, struct rocks_change *c)
{
    pthread_mutex_lock(&r->change_mutex);
    list_remove(&c->link);
    uint64_t settled = atomic_load_explicit(&r->started, memory_order_relaxed);
    if (!list_empty(&r->changes)) {
        settled = CONTAINER_OF(r->changes.next, struct rocks_change, link)->number - 1;
    }
    atomic_store_explicit(&r->settled, settled, memory_order_release);
    pthread_mutex_unlock(&r->change_mutex);
}

static void tell_buckets(struct rocks_engine *r, const struct rocks_wbatch *b,
                         const struct rocks_change *c)
{
    if (b->all_changed) {
        rocks__change_all(r, c);
        return;
    }
    for (size_t i = 0; i < b->bucket_count; i++) {
        raise_to(&r->changed[b->buckets[i]], c->number);
    }
}

db_err rocks__apply(struct engine *e, struct engine_wbatch *base, bool may_block, struct diag *diag)
{
    struct rocks_engine *r = rocks_of(e);
    struct rocks_wbatch *b = batch_of(base);
    struct rocks_change change;
    char *text = NULL;
    rocks__change_begin(r, &change);
    tell_buckets(r, b, &change);
    if (UNLIKELY(b->deletes_range)) {
        rocks__range_deletion(r);
    }
    rocksdb_write(r->db, r->write[may_block], b->wb, &text);
    FAULT(store_batch_visible);
    rocks__change_end(r, &change);
    if (UNLIKELY(text != NULL)) {
        db_err err = rocks__err(text, diag);
        if (err != ERR_WOULD_BLOCK) {
            atomic_store_explicit(&r->background_err, err, memory_order_relaxed);
        }
        return err;
    }
    if (UNLIKELY(atomic_load_explicit(&r->background_err, memory_order_relaxed) != ERR_OK)) {
        atomic_store_explicit(&r->background_err, ERR_OK, memory_order_relaxed);
    }
    batch_reset(base);
    return ERR_OK;
}
