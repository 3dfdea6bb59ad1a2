/* Iterators over RocksDB, and when an idle one may be taken again.
 *
 * Making an iterator costs about as much as half a point read, but an old one does not see what was
 * applied since (the C API has no refresh). So changes (batches, ingests) are numbered: one that is
 * about to be made takes the next number n (`started`) and stores it in `changed[hash of key]` for
 * each key it will write. When it is over, and all before it are, `settled` reaches n. An iterator
 * remembers the value of `settled` that was read *before* it was made: it sees all changes up to
 * that. A point read may take an idle iterator of version v when changed[] of its key is <= v: what
 * the iterator cannot see does not concern the key. A scan takes one only if no change at all has
 * begun since.
 *
 * A scan has bounds: RocksDB passes over deleted entries by itself until it meets one that is not,
 * and what lies beside the range may be a table of which only such are left.
 *
 * Why this is safe: a change that somebody must see is visible in RocksDB by then, so its number
 * had been stored before. If that is <= v the change was over before the iterator was made.
 * Numbering changes when they are over would not do: RocksDB shows a batch before the write
 * returns, and readers learn of it without being told, for one by an intent that is not there any
 * more; they must then see what came in its place.
 *
 * A collision of hashes costs a fresh iterator, no more.
 *
 * An idle iterator pins memtables and files, so the upkeep thread drops those older than a second;
 * it sleeps when there are none. */
#include "node/store/rocks_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"

static void destroy(struct rocks_iter *ri)
{
    if (ri->it != NULL) {
        rocksdb_iter_destroy(ri->it);
    }
    if (ri->own_options != NULL) {
        rocksdb_readoptions_destroy(ri->own_options);
    }
    mem_free(ri);
}

/* Slots are tried from a place of the thread's own, so that loops do not fight for one line. */
static unsigned slot_start(void)
{
    static _Atomic unsigned next;
    static _Thread_local unsigned mine;
    if (mine == 0) {
        mine = atomic_fetch_add_explicit(&next, 4, memory_order_relaxed) + 1;
    }
    return mine - 1;
}

static struct rocks_iter *take(struct rocks_iter *_Atomic *slots)
{
    unsigned start = slot_start();
    for (unsigned i = 0; i < ITER_SLOTS; i++) {
        struct rocks_iter *_Atomic *slot = &slots[(start + i) % ITER_SLOTS];
        if (atomic_load_explicit(slot, memory_order_relaxed) != NULL) {
            struct rocks_iter *ri = atomic_exchange_explicit(slot, NULL, memory_order_acquire);
            if (ri != NULL) {
                return ri;
            }
        }
    }
    return NULL;
}

static bool put_back(struct rocks_iter *_Atomic *slots, struct rocks_iter *ri)
{
    unsigned start = slot_start();
    for (unsigned i = 0; i < ITER_SLOTS; i++) {
        struct rocks_iter *_Atomic *slot = &slots[(start + i) % ITER_SLOTS];
        struct rocks_iter *none = NULL;
        if (atomic_load_explicit(slot, memory_order_relaxed) == NULL &&
            atomic_compare_exchange_strong_explicit(slot, &none, ri, memory_order_release,
                                                    memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

static void trim(struct rocks_iter *_Atomic *slots, uint64_t older_than_ns)
{
    for (unsigned i = 0; i < ITER_SLOTS; i++) {
        struct rocks_iter *ri = atomic_exchange_explicit(&slots[i], NULL, memory_order_acquire);
        if (ri == NULL) {
            continue;
        }
        if (ri->opened_ns <= older_than_ns || !put_back(slots, ri)) {
            destroy(ri);
        }
    }
}

void rocks__iter_trim(struct rocks_engine *r, uint64_t older_than_ns)
{
    trim(r->one_key_slots, older_than_ns);
    trim(r->scan_slots, older_than_ns);
}

static bool fresh_for(struct rocks_engine *r, const struct rocks_iter *ri,
                      const struct engine_iter_opts *opts)
{
    if (opts->keys == NULL) {
        return atomic_load_explicit(&r->started, memory_order_acquire) == ri->version;
    }
    if (atomic_load_explicit(&r->range_version, memory_order_acquire) > ri->version) {
        return false;
    }
    for (size_t i = 0; i < opts->key_count; i++) {
        size_t b = key_hash(opts->keys[i]) % CHANGE_BUCKETS;
        if (atomic_load_explicit(&r->changed[b], memory_order_acquire) > ri->version) {
            return false;
        }
    }
    return true;
}

/* ---- moves ---- */

static inline db_err position(struct rocks_iter *ri)
{
    size_t len;
    if (LIKELY(rocksdb_iter_valid(ri->it))) {
        const char *p = rocksdb_iter_key(ri->it, &len);
        ri->base.key = slice_of(p, len);
        p = rocksdb_iter_value(ri->it, &len);
        ri->base.value = slice_of(p, len);
        ri->base.valid = true;
        return ERR_OK;
    }
    ri->base.valid = false;
    char *text = NULL;
    rocksdb_iter_get_error(ri->it, &text);
    if (LIKELY(text == NULL)) {
        return ERR_OK;
    }
    ri->poolable = false;
    db_err err = rocks__err(text, NULL);
    if (err == ERR_WOULD_BLOCK) {
        atomic_fetch_add_explicit(&ri->engine->reads_blocked, 1, memory_order_relaxed);
    }
    return err;
}

static inline struct rocks_iter *iter_of(struct engine_iter *it)
{
    return CONTAINER_OF(it, struct rocks_iter, base);
}

static db_err blocked(struct rocks_iter *ri)
{
    ri->base.valid = false;
    atomic_fetch_add_explicit(&ri->engine->reads_blocked, 1, memory_order_relaxed);
    return ERR_WOULD_BLOCK;
}

static db_err iter_seek(struct engine_iter *it, struct slice key)
{
    struct rocks_iter *ri = iter_of(it);
    if (UNLIKELY(ri->blind)) {
        return blocked(ri);
    }
    if (key.len == 0) {
        rocksdb_iter_seek_to_first(ri->it);
    } else {
        rocksdb_iter_seek(ri->it, (const char *)key.ptr, key.len);
    }
    return position(ri);
}

static db_err iter_seek_for_prev(struct engine_iter *it, struct slice key)
{
    struct rocks_iter *ri = iter_of(it);
    if (UNLIKELY(ri->blind)) {
        return blocked(ri);
    }
    if (key.len == 0) {
        rocksdb_iter_seek_to_last(ri->it);
    } else {
        rocksdb_iter_seek_for_prev(ri->it, (const char *)key.ptr, key.len);
    }
    return position(ri);
}

static db_err iter_next(struct engine_iter *it)
{
    struct rocks_iter *ri = iter_of(it);
    ASSERT(it->valid);
    rocksdb_iter_next(ri->it);
    return position(ri);
}

static db_err iter_prev(struct engine_iter *it)
{
    struct rocks_iter *ri = iter_of(it);
    ASSERT(it->valid);
    rocksdb_iter_prev(ri->it);
    return position(ri);
}

static void iter_close(struct engine_iter *it)
{
    struct rocks_iter *ri = iter_of(it);
    struct rocks_engine *r = ri->engine;
    if (ri->poolable && put_back(ri->one_key ? r->one_key_slots : r->scan_slots, ri)) {
        rocks__pool_touched(r);
        return;
    }
    destroy(ri);
}

static const struct engine_iter_ops iter_ops = {
    .seek = iter_seek,
    .seek_for_prev = iter_seek_for_prev,
    .next = iter_next,
    .prev = iter_prev,
    .close = iter_close,
};

/* RocksDB looks at the bounds where they stand in the options, anew with each seek: an idle
 * iterator gets those of its next user. It could not be rid of one, so scan_slots has iterators
 * with both. */
static void set_bounds(struct rocks_iter *ri, const struct engine_iter_opts *opts)
{
    if (opts->lower.len != 0) {
        rocksdb_readoptions_set_iterate_lower_bound(ri->own_options, (const char *)opts->lower.ptr,
                                                    opts->lower.len);
    }
    if (opts->upper.len != 0) {
        rocksdb_readoptions_set_iterate_upper_bound(ri->own_options, (const char *)opts->upper.ptr,
                                                    opts->upper.len);
    }
}

static bool poolable(enum engine_cf cf, const struct engine_iter_opts *opts)
{
    return cf == ENGINE_DATA && opts->tier == ENGINE_CACHED && !opts->bulk &&
           opts->snapshot == NULL &&
           (opts->keys != NULL || (opts->lower.len != 0 && opts->upper.len != 0));
}

static db_err make(struct rocks_engine *r, enum engine_cf cf, const struct engine_iter_opts *opts,
                   struct rocks_iter **ret_iter)
{
    struct rocks_iter *ri = mem_calloc(1, sizeof(*ri));
    if (ri == NULL) {
        return ERR_NOMEM;
    }
    ri->base.ops = &iter_ops;
    ri->engine = r;
    ri->cf = cf;
    ri->one_key = opts->keys != NULL;
    ri->poolable = poolable(cf, opts);
    ri->opened_ns = clock_mono_ns();
    ri->version = atomic_load_explicit(&r->settled, memory_order_acquire);
    const rocksdb_readoptions_t *ro = r->read.iter[opts->tier][ri->one_key][opts->bulk];
    if (opts->snapshot != NULL || opts->lower.len != 0 || opts->upper.len != 0) {
        ri->own_options = rocks__iter_options(opts->tier, ri->one_key, opts->bulk);
        rocksdb_readoptions_set_snapshot(ri->own_options,
                                         (const rocksdb_snapshot_t *)(const void *)opts->snapshot);
        set_bounds(ri, opts);
        ro = ri->own_options;
    }
    ri->it = rocksdb_create_iterator_cf(r->db, ro, r->cf[cf]);
    /* Asked afterwards: what the iterator sees was announced before it was written. */
    ri->blind = opts->tier == ENGINE_CACHED &&
                atomic_load_explicit(&r->ranges_deleted, memory_order_acquire);
    ri->poolable = ri->poolable && !ri->blind;
    *ret_iter = ri;
    return ERR_OK;
}

db_err rocks__iter_open(struct engine *e, enum engine_cf cf, const struct engine_iter_opts *opts,
                        struct engine_iter **ret_iter)
{
    struct rocks_engine *r = rocks_of(e);
    struct rocks_iter *ri = NULL;
    if (poolable(cf, opts)) {
        ri = take(opts->keys != NULL ? r->one_key_slots : r->scan_slots);
        if (ri != NULL && !fresh_for(r, ri, opts)) {
            destroy(ri);
            ri = NULL;
        }
        if (ri != NULL && !ri->one_key) {
            set_bounds(ri, opts);
        }
    }
    if (ri == NULL) {
        TRY(make(r, cf, opts, &ri));
    }
    ri->base.valid = false;
    *ret_iter = &ri->base;
    return ERR_OK;
}
