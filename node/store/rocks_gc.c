/* Garbage collection of versions while RocksDB compacts.
 *
 * Behind the safe point nobody reads: of each row only the newest version at or below it matters.
 * The filter sees the entries of one compaction in order, the versions of a row newest first. Per
 * row:
 *   - versions above the safe point stay;
 *   - the first one at or below it (in this compaction; call it s) stays if it is a row;
 *   - every later one is older than s and is dropped. That is right whatever other files hold: a
 *     version newer than s only makes s itself superfluous. Something at or below the safe point
 *     always remains in front of what lies deeper, so nothing can resurface, except where s is a
 *     deletion that is dropped:
 *   - if s is a deletion it may go only when *no* older version of the row exists anywhere, in
 *     deeper levels in particular, which this compaction does not see. So the filter asks the
 *     database for an older version. It still finds those that this very compaction drops: the
 *     deletion then goes in the next one. Older versions cannot appear later: commits of one row
 *     have ascending timestamps, and what RocksDB's own tombstones hide now stays hidden by them.
 *
 * RocksDB turns a dropped entry into a tombstone where a deeper level may hold the same key, so an
 * entry that was written twice (a replay of the log) does not come back either.
 *
 * One filter object serves one (sub)compaction, on one thread. A subcompaction that starts in the
 * middle of a row only keeps more. If memory for the current key runs out, everything stays. */
#include "node/store/rocks_int.h"

#include "base/alloc.h"
#include "base/clock.h"

struct gc_filter {
    struct rocks_engine *engine;
    uint64_t safe_point;
    struct buf user_key; /* of the row whose versions are passing */
    bool have_key;
    bool covered; /* a version at or below the safe point has passed */
};

static bool older_exists(struct rocks_engine *r, struct slice data_key, bool *ret_exists)
{
    struct slice user = data_key_user(data_key);
    uint64_t ts = data_key_ts(data_key);
    if (ts == 0) {
        *ret_exists = false;
        return true;
    }
    struct engine_iter_opts opts = {
        .tier = ENGINE_ANY, .keys = &user, .key_count = 1, .bulk = true};
    struct engine_iter *it;
    struct buf key;
    buf_init(&key, STORE_BATCH_SIZE_MAX);
    if (data_key_set(&key, user, ts - 1) != ERR_OK) {
        buf_fini(&key);
        return false;
    }
    bool known = false;
    if (rocks__iter_open(&r->base, ENGINE_DATA, &opts, &it) == ERR_OK) {
        known = engine_iter_seek(it, buf_slice(&key)) == ERR_OK;
        *ret_exists = it->valid;
        engine_iter_close(it);
    }
    buf_fini(&key);
    return known;
}

static unsigned char gc_filter_one(void *state, int level UNUSED, const char *key_ptr,
                                   size_t key_len, const char *value, size_t value_len,
                                   char **new_value UNUSED, size_t *new_len UNUSED,
                                   unsigned char *changed UNUSED)
{
    struct gc_filter *f = state;
    struct slice key = slice_of(key_ptr, key_len);
    if (f->safe_point == 0 || key.len < DATA_TS_SIZE || value_len == 0) {
        return 0;
    }
    struct slice user = data_key_user(key);
    if (!f->have_key || !slice_eq(buf_slice(&f->user_key), user)) {
        buf_reset(&f->user_key);
        f->have_key = buf_append_slice(&f->user_key, user) == ERR_OK;
        f->covered = false;
    }
    if (data_key_ts(key) > f->safe_point) {
        return 0;
    }
    if (f->covered) {
        atomic_fetch_add_explicit(&f->engine->gc_versions, 1, memory_order_relaxed);
        return 1;
    }
    f->covered = f->have_key;
    bool exists = true;
    if ((uint8_t)value[0] == DATA_DELETE &&
        atomic_load_explicit(&f->engine->gc_ready, memory_order_acquire) &&
        older_exists(f->engine, key, &exists) && !exists) {
        atomic_fetch_add_explicit(&f->engine->gc_tombstones, 1, memory_order_relaxed);
        return 1;
    }
    return 0;
}

static void gc_filter_free(void *state)
{
    struct gc_filter *f = state;
    buf_fini(&f->user_key);
    mem_free(f);
}

static const char *gc_name(void *state UNUSED)
{
    return "skein.gc";
}

static rocksdb_compactionfilter_t *gc_filter_new(void *state,
                                                 rocksdb_compactionfiltercontext_t *ctx UNUSED)
{
    struct rocks_engine *r = state;
    struct gc_filter *f = mem_calloc(1, sizeof(*f));
    if (f == NULL) {
        return NULL; /* this compaction then filters nothing */
    }
    f->engine = r;
    f->safe_point = atomic_load_explicit(&r->safe_point, memory_order_relaxed);
    buf_init(&f->user_key, STORE_BATCH_SIZE_MAX);
    return rocksdb_compactionfilter_create(f, gc_filter_free, gc_filter_one, gc_name);
}

static void gc_factory_free(void *state UNUSED)
{
}

rocksdb_compactionfilterfactory_t *rocks__gc_factory(struct rocks_engine *r)
{
    return rocksdb_compactionfilterfactory_create(r, gc_factory_free, gc_filter_new, gc_name);
}
