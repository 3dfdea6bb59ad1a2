/* Write batches and their application.
 *
 * Deleted ranges. A range that RocksDB deletes as such makes reads slow until it has been swept out
 * (rocks_sweep.c), so where there are few keys each of them is deleted instead. Which keys there
 * are is this engine's own matter: replicas of a range agree on what can be read and not on what
 * garbage collection has left of it, so nobody else can name the keys. And it is known only when
 * all that came before has been written. So a batch notes ranges, and when it is applied looks for
 * their keys; their deletions and then the rest are written as one. Where the batch itself has
 * written to the range before, the deletion has its place between other writes, and RocksDB deletes
 * the range.
 *
 * As one, since not all of it comes from a log that would be replayed: a replica whose state was
 * deleted and that is not said to be empty would go on without it. */
#include "node/store/rocks_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/faults.h"

/* To be deleted before the batch is written. */
struct noted_range {
    struct noted_range *next;
    enum engine_cf cf;
    struct slice start, end; /* end empty: to the end */
};

struct rocks_wbatch {
    struct engine_wbatch base;
    struct rocks_engine *engine;
    rocksdb_writebatch_t *wb;
    uint32_t *buckets; /* of the data keys written, for rocks_iter.c */
    size_t bucket_count;
    size_t bucket_cap;
    size_t size;
    struct rocks_picked picked;
    bool all_changed; /* a range was deleted, or the bucket list could not grow */
    bool deletes_range;
    struct noted_range *noted;
    struct arena noted_arena;
};

enum {
    BUCKETS_MAX = 4096, /* beyond that a batch counts as changing everything */
    FEW_KEYS = 4096,    /* of a range: each is deleted */
};

static struct rocks_wbatch *batch_of(const struct engine_wbatch *b)
{
    return (struct rocks_wbatch *)(void *)(uintptr_t)b;
}

static void note_key(struct rocks_wbatch *b, enum engine_cf cf, struct slice key, size_t size)
{
    if (cf != ENGINE_DATA) {
        return;
    }
    if (UNLIKELY(b->picked.left-- == 0)) {
        rocks__pick(&b->engine->sample, &b->picked, key, size);
    }
    if (b->all_changed) {
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
    note_key(b, cf, key, key.len + value.len);
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
    note_key(b, cf, key, key.len);
}

static int cmp_keys(enum engine_cf cf, struct slice a, struct slice b)
{
    return cf == ENGINE_DATA ? data_key_cmp(a, b) : slice_cmp(a, b);
}

/* The first key behind `last`. */
static db_err end_behind(enum engine_cf cf, struct slice last, struct buf *out)
{
    static const uint8_t beyond[DATA_TS_SIZE + 1];
    buf_reset(out);
    TRY(buf_append_slice(out, cf == ENGINE_DATA ? data_key_user(last) : last));
    return buf_append(out, beyond, cf == ENGINE_DATA ? DATA_TS_SIZE + 1 : 1);
}

/* RocksDB has no open-ended range deletion: the end is then behind the last key. Empty: there is no
 * key. */
static db_err end_of_family(struct rocks_engine *r, enum engine_cf cf, struct buf *out)
{
    struct engine_iter_opts opts = {.tier = ENGINE_ANY};
    struct engine_iter *it;
    TRY(rocks__iter_open(&r->base, cf, &opts, &it));
    db_err err = engine_iter_seek_for_prev(it, SLICE_EMPTY);
    if (err == ERR_OK && it->valid) {
        err = end_behind(cf, it->key, out);
    }
    engine_iter_close(it);
    return err;
}

static void put_range(struct rocks_engine *r, rocksdb_writebatch_t *wb, enum engine_cf cf,
                      struct slice start, struct slice end)
{
    if (cmp_keys(cf, start, end) < 0) { /* RocksDB calls an empty range an error */
        rocksdb_writebatch_delete_range_cf(wb, r->cf[cf], (const char *)start.ptr, start.len,
                                           (const char *)end.ptr, end.len);
    }
}

/* What the batch has written to the range so far. */
struct touch {
    enum engine_cf cf;
    struct slice start, end;
    bool any;
    struct slice last; /* the greatest key of the family, anywhere; ptr NULL: none */
};

static void touch_key(void *arg, const uint8_t *key, size_t len)
{
    struct touch *t = arg;
    struct slice k = slice_of(key, len);
    bool inside =
        cmp_keys(t->cf, k, t->start) >= 0 && (t->end.len == 0 || cmp_keys(t->cf, k, t->end) < 0);
    t->any = t->any || inside;
    if (t->last.ptr == NULL || cmp_keys(t->cf, k, t->last) > 0) {
        t->last = k;
    }
}

/* In its place among the other writes. */
static db_err delete_in_place(struct rocks_wbatch *b, const struct touch *t)
{
    struct buf end;
    struct buf own;
    db_err err = ERR_OK;
    buf_init(&end, STORE_BATCH_SIZE_MAX);
    buf_init(&own, STORE_BATCH_SIZE_MAX);
    struct slice until = t->end;
    if (until.len == 0) {
        err = end_of_family(b->engine, t->cf, &end);
        err = err == ERR_OK ? end_behind(t->cf, t->last, &own) : err;
        bool own_is_last = end.len == 0 || cmp_keys(t->cf, buf_slice(&end), buf_slice(&own)) < 0;
        until = buf_slice(own_is_last ? &own : &end);
    }
    if (err == ERR_OK) {
        put_range(b->engine, b->wb, t->cf, t->start, until);
        b->deletes_range = true;
    }
    buf_fini(&own);
    buf_fini(&end);
    return err;
}

static db_err note_range(struct rocks_wbatch *b, enum engine_cf cf, struct slice start,
                         struct slice end)
{
    struct noted_range *n = ARENA_NEW(&b->noted_arena, struct noted_range);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->cf = cf;
    TRY(arena_copy(&b->noted_arena, start, &n->start));
    TRY(arena_copy(&b->noted_arena, end, &n->end));
    n->next = b->noted;
    b->noted = n;
    return ERR_OK;
}

static db_err batch_delete_range(struct engine_wbatch *base, enum engine_cf cf, struct slice start,
                                 struct slice end)
{
    struct rocks_wbatch *b = batch_of(base);
    struct touch t = {.cf = cf, .start = start, .end = end};
    rocks_shim_batch_keys(b->wb, b->engine->cf[cf], touch_key, &t);
    TRY(t.any ? delete_in_place(b, &t) : note_range(b, cf, start, end));
    b->size += start.len + end.len + 16;
    b->all_changed = true;
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
    b->noted = NULL;
    rocks__picked_reset(&b->picked);
    arena_reset(&b->noted_arena);
}

static void batch_free(struct engine_wbatch *base)
{
    struct rocks_wbatch *b = batch_of(base);
    rocksdb_writebatch_destroy(b->wb);
    rocks__picked_reset(&b->picked);
    arena_fini(&b->noted_arena);
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
    rocks__picked_init(&b->engine->sample, &b->picked);
    arena_init(&b->noted_arena, NULL, NULL, 0);
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

/* ---- noted ranges; all of this blocks ---- */

/* Deletions of the keys of the range; *ret_few false: there are too many for that. */
static db_err delete_few(struct rocks_engine *r, rocksdb_writebatch_t *wb,
                         const struct noted_range *n, struct buf *space, bool *ret_few)
{
    struct engine_iter_opts opts = {
        .tier = ENGINE_ANY, .bulk = true, .lower = n->start, .upper = n->end};
    struct engine_iter *it;
    size_t count = 0;
    buf_reset(space); /* keys, each behind its length */
    TRY(rocks__iter_open(&r->base, n->cf, &opts, &it));
    db_err err = engine_iter_seek(it, n->start);
    while (err == ERR_OK && it->valid && count <= FEW_KEYS) {
        count++;
        err = buf_append(space, &it->key.len, sizeof(it->key.len));
        err = err == ERR_OK ? buf_append_slice(space, it->key) : err;
        err = err == ERR_OK ? engine_iter_next(it) : err;
    }
    engine_iter_close(it);
    *ret_few = count <= FEW_KEYS;
    for (size_t at = 0; err == ERR_OK && *ret_few && at < space->len;) {
        size_t len;
        memcpy(&len, space->ptr + at, sizeof(len));
        at += sizeof(len);
        rocksdb_writebatch_delete_cf(wb, r->cf[n->cf], (const char *)space->ptr + at, len);
        at += len;
    }
    return err;
}

static void announce(struct rocks_engine *r, bool *io_announced)
{
    if (!*io_announced) {
        *io_announced = true;
        rocks__range_deletion_begin(r);
    }
}

static db_err delete_one(struct rocks_engine *r, rocksdb_writebatch_t *wb,
                         const struct noted_range *n, struct buf *space, bool *io_announced)
{
    bool few;
    struct slice end = n->end;
    TRY(delete_few(r, wb, n, space, &few));
    if (few) {
        return ERR_OK;
    }
    if (end.len == 0) {
        buf_reset(space);
        TRY(end_of_family(r, n->cf, space));
        end = buf_slice(space);
    }
    announce(r, io_announced);
    put_range(r, wb, n->cf, n->start, end);
    return ERR_OK;
}

static db_err write_out(struct rocks_engine *r, rocksdb_writebatch_t *wb, bool may_block,
                        struct diag *diag)
{
    char *text = NULL;
    rocksdb_write(r->db, r->write[may_block], wb, &text);
    return text == NULL ? ERR_OK : rocks__err(text, diag);
}

/* With the rest of the batch behind it. */
static db_err write_noted(struct rocks_wbatch *b, struct diag *diag, bool *io_announced)
{
    rocksdb_writebatch_t *wb = rocksdb_writebatch_create();
    struct buf space;
    db_err err = ERR_OK;
    buf_init(&space, SIZE_MAX);
    for (const struct noted_range *n = b->noted; n != NULL && err == ERR_OK; n = n->next) {
        err = delete_one(b->engine, wb, n, &space, io_announced);
    }
    FAULT(store_before_delete_range);
    if (err == ERR_OK) {
        rocks_shim_batch_append(wb, b->wb, b->engine->cf, ENGINE_CF_COUNT);
        err = write_out(b->engine, wb, true, diag);
    }
    buf_fini(&space);
    rocksdb_writebatch_destroy(wb);
    return err;
}

db_err rocks__apply(struct engine *e, struct engine_wbatch *base, bool may_block, struct diag *diag)
{
    struct rocks_engine *r = rocks_of(e);
    struct rocks_wbatch *b = batch_of(base);
    struct rocks_change change;
    bool announced = false;
    if (UNLIKELY(b->noted != NULL) && !may_block) {
        return ERR_WOULD_BLOCK;
    }
    rocks__change_begin(r, &change);
    tell_buckets(r, b, &change);
    if (UNLIKELY(b->deletes_range)) {
        announce(r, &announced);
    }
    db_err err = UNLIKELY(b->noted != NULL) ? write_noted(b, diag, &announced)
                                            : write_out(r, b->wb, may_block, diag);
    if (UNLIKELY(announced)) {
        rocks__range_deletion_end(r);
    }
    FAULT(store_batch_visible);
    rocks__change_end(r, &change);
    if (UNLIKELY(err != ERR_OK)) {
        if (err != ERR_WOULD_BLOCK) {
            atomic_store_explicit(&r->background_err, err, memory_order_relaxed);
        }
        return err;
    }
    if (UNLIKELY(atomic_load_explicit(&r->background_err, memory_order_relaxed) != ERR_OK)) {
        atomic_store_explicit(&r->background_err, ERR_OK, memory_order_relaxed);
    }
    if (UNLIKELY(b->picked.first != NULL)) {
        rocks__sample_written(&r->sample, &b->picked);
    }
    batch_reset(base);
    return ERR_OK;
}
