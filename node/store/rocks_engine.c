/* The engine on RocksDB: opening, gets, statistics. Options are in rocks_options.c, iterators in
 * rocks_iter.c, batches in rocks_batch.c, flushes in rocks_flush.c, GC in rocks_gc.c.
 *
 * Full disk: a flush that meets it waits for space (rocks_disk.cc). Reads go on, and so do writes
 * until the memtables that are allowed are full: then they stall. Nothing of what was applied is
 * lost meanwhile, since the memtables stay. The Raft log, which holds
 * the same writes, is truncated only up to the durable applied index. */
#include "node/store/rocks_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static db_err err_of_text(const char *text)
{
    if (begins(text, "Result incomplete")) {
        return ERR_WOULD_BLOCK;
    }
    if (begins(text, "IO error: No space left on device")) {
        return ERR_DISK_FULL;
    }
    if (begins(text, "IO error: While lock file") || begins(text, "IO error: lock ")) {
        return ERR_BUSY;
    }
    if (begins(text, "Corruption")) {
        return ERR_CORRUPT;
    }
    if (begins(text, "Not implemented")) {
        return ERR_UNSUPPORTED;
    }
    if (begins(text, "Invalid argument")) {
        return ERR_INVALID;
    }
    return ERR_IO;
}

db_err rocks__err(char *text, struct diag *diag)
{
    db_err err = err_of_text(text);
    if (err != ERR_WOULD_BLOCK) {
        (void)diag_set(diag, err, "store: %s", text);
    }
    rocksdb_free(text);
    return err;
}

/* Takes over p. Where a file is not open yet, RocksDB answers a cached read with "found" and an
 * empty value (it means: may exist). So an empty value does not count in that tier; a value that
 * really is empty costs a second read. */
static db_err copy_pinned(struct rocks_engine *r, rocksdb_pinnableslice_t *p, enum engine_tier tier,
                          struct arena *arena, bool *ret_found, struct slice *ret_value)
{
    db_err err = ERR_OK;
    if (p == NULL) {
        *ret_found = false;
        return ERR_OK;
    }
    size_t len;
    const char *value = rocksdb_pinnableslice_value(p, &len);
    if (UNLIKELY(len == 0 && tier == ENGINE_CACHED)) {
        atomic_fetch_add_explicit(&r->reads_blocked, 1, memory_order_relaxed);
        err = ERR_WOULD_BLOCK;
    } else {
        err = arena_copy(arena, slice_of(value, len), ret_value);
    }
    rocksdb_pinnableslice_destroy(p);
    if (err == ERR_OK) {
        *ret_found = true;
    }
    return err;
}

static db_err get_with(struct rocks_engine *r, rocksdb_column_family_handle_t *cf,
                       const rocksdb_readoptions_t *ro, enum engine_tier tier, struct slice key,
                       struct arena *arena, bool *ret_found, struct slice *ret_value)
{
    char *text = NULL;
    rocksdb_pinnableslice_t *p =
        rocksdb_get_pinned_cf(r->db, ro, cf, (const char *)key.ptr, key.len, &text);
    if (UNLIKELY(text != NULL)) {
        db_err err = rocks__err(text, NULL);
        if (err == ERR_WOULD_BLOCK) {
            atomic_fetch_add_explicit(&r->reads_blocked, 1, memory_order_relaxed);
        }
        return err;
    }
    return copy_pinned(r, p, tier, arena, ret_found, ret_value);
}

static db_err rocks_get(struct engine *e, enum engine_cf cf, struct slice key,
                        enum engine_tier tier, struct arena *arena, bool *ret_found,
                        struct slice *ret_value)
{
    struct rocks_engine *r = rocks_of(e);
    return get_with(r, r->cf[cf], r->read.get[tier], tier, key, arena, ret_found, ret_value);
}

static db_err rocks_get_durable(struct engine *e, struct slice key, struct arena *arena,
                                bool *ret_found, struct slice *ret_value)
{
    struct rocks_engine *r = rocks_of(e);
    return get_with(r, r->cf[ENGINE_LOCAL], r->read.persisted, ENGINE_ANY, key, arena, ret_found,
                    ret_value);
}

enum { MULTI_GET_BATCH = 64 };

static db_err multi_get_batch(struct rocks_engine *r, enum engine_cf cf, const struct slice *keys,
                              size_t count, enum engine_tier tier, struct arena *arena,
                              bool *ret_found, struct slice *ret_values)
{
    const char *ptrs[MULTI_GET_BATCH] = {NULL};
    size_t lens[MULTI_GET_BATCH] = {0};
    rocksdb_pinnableslice_t *values[MULTI_GET_BATCH];
    char *texts[MULTI_GET_BATCH];
    db_err err = ERR_OK;
    ASSERT(count <= MULTI_GET_BATCH);
    for (size_t i = 0; i < count; i++) {
        ptrs[i] = (const char *)keys[i].ptr;
        lens[i] = keys[i].len;
        values[i] = NULL;
        texts[i] = NULL;
    }
    rocksdb_batched_multi_get_cf(r->db, r->read.get[tier], r->cf[cf], count, ptrs, lens, values,
                                 texts, true);
    for (size_t i = 0; i < count; i++) {
        if (texts[i] != NULL) {
            err = err_first(err, rocks__err(texts[i], NULL));
        } else {
            err = err_first(err,
                            copy_pinned(r, values[i], tier, arena, &ret_found[i], &ret_values[i]));
        }
    }
    return err;
}

static db_err rocks_multi_get(struct engine *e, enum engine_cf cf, const struct slice *keys,
                              size_t count, enum engine_tier tier, struct arena *arena,
                              bool *ret_found, struct slice *ret_values)
{
    struct rocks_engine *r = rocks_of(e);
    for (size_t i = 0; i < count; i += MULTI_GET_BATCH) {
        size_t n = count - i < MULTI_GET_BATCH ? count - i : MULTI_GET_BATCH;
        TRY(multi_get_batch(r, cf, keys + i, n, tier, arena, ret_found + i, ret_values + i));
    }
    return ERR_OK;
}

static db_err rocks_snapshot_open(struct engine *e, struct engine_snapshot **ret_snapshot)
{
    const rocksdb_snapshot_t *s = rocksdb_create_snapshot(rocks_of(e)->db);
    if (s == NULL) {
        return ERR_NOMEM;
    }
    *ret_snapshot = (struct engine_snapshot *)(uintptr_t)s;
    return ERR_OK;
}

static void rocks_snapshot_close(struct engine *e, struct engine_snapshot *snapshot)
{
    rocksdb_release_snapshot(rocks_of(e)->db, (const rocksdb_snapshot_t *)(const void *)snapshot);
}

static db_err rocks_approximate_size(struct engine *e, enum engine_cf cf, struct slice start,
                                     struct slice end, uint64_t *ret_size)
{
    static const uint8_t last[64] = {[0 ... 63] = 0xff};
    struct rocks_engine *r = rocks_of(e);
    char *text = NULL;
    uint64_t size = 0;
    if (end.len == 0) {
        end = slice_of(last, sizeof(last));
    }
    const char *starts[1] = {(const char *)start.ptr};
    const char *ends[1] = {(const char *)end.ptr};
    rocksdb_approximate_sizes_cf(r->db, r->cf[cf], 1, starts, &start.len, ends, &end.len, &size,
                                 &text);
    if (text != NULL) {
        return rocks__err(text, NULL);
    }
    *ret_size = size;
    return ERR_OK;
}

static void rocks_in_memory(struct engine *e, struct slice start, struct slice end,
                            uint64_t *ret_entries, uint64_t *ret_bytes)
{
    rocks__sample_ask(&rocks_of(e)->sample, start, end, ret_entries, ret_bytes);
}

static uint64_t rocks_safe_point(const struct engine *e)
{
    return atomic_load_explicit(&rocks_of(e)->safe_point, memory_order_acquire);
}

static db_err rocks_compact(struct engine *e, enum engine_cf cf, struct slice start,
                            struct slice end)
{
    struct rocks_engine *r = rocks_of(e);
    rocksdb_compact_range_cf_opt(r->db, r->cf[cf], r->compact_options,
                                 start.len == 0 ? NULL : (const char *)start.ptr, start.len,
                                 end.len == 0 ? NULL : (const char *)end.ptr, end.len);
    return ERR_OK;
}

uint64_t rocks__property(struct rocks_engine *r, rocksdb_column_family_handle_t *cf,
                         const char *name)
{
    uint64_t v = 0;
    return rocksdb_property_int_cf(r->db, cf, name, &v) == 0 ? v : 0;
}

static bool rocks_flush_waits(const struct engine *e)
{
    return atomic_load_explicit(&rocks_of(e)->flush_waits, memory_order_relaxed);
}

static void rocks_stats(struct engine *e, struct engine_stats *ret_stats)
{
    struct rocks_engine *r = rocks_of(e);
    struct engine_stats s = {0};
    for (size_t i = 0; i < ENGINE_CF_COUNT; i++) {
        s.memtable_size += rocks__property(r, r->cf[i], "rocksdb.cur-size-all-mem-tables");
        s.table_readers_size += rocks__property(r, r->cf[i], "rocksdb.estimate-table-readers-mem");
        s.sst_size += rocks__property(r, r->cf[i], "rocksdb.total-sst-files-size");
        s.pending_compaction_size +=
            rocks__property(r, r->cf[i], "rocksdb.estimate-pending-compaction-bytes");
        for (int level = 0; level < 7; level++) {
            char name[64];
            (void)snprintf(name, sizeof(name), "rocksdb.num-files-at-level%d", level);
            char *text = rocksdb_property_value_cf(r->db, r->cf[i], name);
            s.sst_count += text == NULL ? 0 : strtoull(text, NULL, 10);
            rocksdb_free(text);
        }
    }
    s.running_jobs = rocks__property(r, r->meta, "rocksdb.num-running-compactions") +
                     rocks__property(r, r->meta, "rocksdb.num-running-flushes");
    s.block_cache_size = rocksdb_cache_get_usage(r->cache);
    s.write_stopped = rocks__property(r, r->cf[ENGINE_DATA], "rocksdb.is-write-stopped") != 0;
    s.reads_blocked = atomic_load_explicit(&r->reads_blocked, memory_order_relaxed);
    s.gc_versions = atomic_load_explicit(&r->gc_versions, memory_order_relaxed);
    s.gc_flushes = atomic_load_explicit(&r->gc_flushes, memory_order_relaxed);
    s.gc_tombstones = atomic_load_explicit(&r->gc_tombstones, memory_order_relaxed);
    s.background_err = (db_err)atomic_load_explicit(&r->background_err, memory_order_relaxed);
    s.write_stopped = s.write_stopped || s.background_err != ERR_OK;
    if (rocks_flush_waits(e)) {
        s.background_err = err_first(s.background_err, ERR_DISK_FULL);
    }
    *ret_stats = s;
}

static void destroy(struct rocks_engine *r)
{
    rocks__sweep_stop(r);
    rocks__upkeep_stop(r);
    if (r->db != NULL) {
        atomic_store_explicit(&r->gc_ready, false, memory_order_release);
        rocks__iter_trim(r, UINT64_MAX);
        rocksdb_cancel_all_background_work(r->db, 1);
        for (size_t i = 0; i < ENGINE_CF_COUNT; i++) {
            rocksdb_column_family_handle_destroy(r->cf[i]);
        }
        rocksdb_column_family_handle_destroy(r->meta);
        rocksdb_close(r->db);
    }
    rocks__options_free(r);
    rocks__sample_fini(&r->sample);
    pthread_cond_destroy(&r->cond);
    pthread_cond_destroy(&r->sweep_cond);
    pthread_mutex_destroy(&r->sweep_mutex);
    pthread_mutex_destroy(&r->mutex);
    pthread_mutex_destroy(&r->gc_mutex);
    pthread_mutex_destroy(&r->kept_mutex);
    ASSERT(list_empty(&r->changes));
    pthread_mutex_destroy(&r->change_mutex);
    mem_free(r->gc_points);
    mem_free(r->kept_points);
    mem_free(r->changed);
    mem_free(r->path);
    mem_free(r);
}

static void rocks_close(struct engine *e, bool crash)
{
    struct rocks_engine *r = rocks_of(e);
    rocks__hurry(e);
    if (!crash) {
        /* A failure here loses nothing: the log still holds what was not flushed. */
        db_err ignored = engine_flush_wait(e);
        (void)ignored;
    }
    destroy(r);
}

static const struct engine_ops rocks_ops = {
    .name = "rocksdb",
    .close = rocks_close,
    .iter_open = rocks__iter_open,
    .get = rocks_get,
    .multi_get = rocks_multi_get,
    .get_durable = rocks_get_durable,
    .snapshot_open = rocks_snapshot_open,
    .snapshot_close = rocks_snapshot_close,
    .approximate_size = rocks_approximate_size,
    .in_memory = rocks_in_memory,
    .wbatch_new = rocks__wbatch_new,
    .apply = rocks__apply,
    .flush_async = rocks__flush_async,
    .sst_open = rocks__sst_open,
    .ingest = rocks__ingest,
    .gone_points = rocks__gone_points,
    .join_points = rocks__join_points,
    .set_safe_point = rocks__set_safe_point,
    .safe_point = rocks_safe_point,
    .may_read = rocks__may_read,
    .flush_waits = rocks_flush_waits,
    .hurry = rocks__hurry,
    .note_stepped = rocks__note_stepped,
    .compact = rocks_compact,
    .checkpoint = rocks__checkpoint,
    .stats = rocks_stats,
};

static db_err open_db(struct rocks_engine *r, struct diag *diag)
{
    static const char *const names[ENGINE_CF_COUNT + 1] = {"default", ROCKS_DATA_FAMILY, "lock",
                                                           "local"};
    rocksdb_column_family_handle_t *handles[ENGINE_CF_COUNT + 1] = {NULL};
    char *text = NULL;
    r->db =
        rocksdb_open_column_families(r->options[0], r->path, ENGINE_CF_COUNT + 1, names,
                                     (const rocksdb_options_t *const *)r->options, handles, &text);
    if (text != NULL) {
        return rocks__err(text, diag);
    }
    r->meta = handles[0];
    for (size_t i = 0; i < ENGINE_CF_COUNT; i++) {
        r->cf[i] = handles[1 + i];
    }
    atomic_store_explicit(&r->gc_ready, true, memory_order_release);
    return ERR_OK;
}

db_err engine_open_rocks(const struct engine_opts *opts, struct diag *diag,
                         struct engine **ret_engine)
{
    struct rocks_engine *r = mem_calloc(1, sizeof(*r));
    pthread_condattr_t attr;
    db_err err;
    if (r == NULL) {
        return ERR_NOMEM;
    }
    r->base.ops = &rocks_ops;
    r->manual = opts->manual;
    pthread_mutex_init(&r->mutex, NULL);
    pthread_mutex_init(&r->gc_mutex, NULL);
    pthread_mutex_init(&r->kept_mutex, NULL);
    pthread_mutex_init(&r->change_mutex, NULL);
    rocks__sample_init(&r->sample);
    list_init(&r->changes);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->cond, &attr);
    pthread_cond_init(&r->sweep_cond, &attr);
    pthread_mutex_init(&r->sweep_mutex, NULL);
    pthread_condattr_destroy(&attr);
    r->path = mem_strdup(opts->path);
    r->changed = mem_calloc(CHANGE_BUCKETS, sizeof(*r->changed));
    if (r->path == NULL || r->changed == NULL) {
        err = ERR_NOMEM;
        goto fail;
    }
    TRY_GOTO(rocks__options_make(r, opts), fail);
    TRY_GOTO(rocks__points_load(r, diag), fail);
    TRY_GOTO(open_db(r, diag), fail);
    TRY_GOTO(rocks__upkeep_start(r), fail);
    TRY_GOTO(rocks__sweep_start(r), fail);
    *ret_engine = &r->base;
    return ERR_OK;
fail:
    destroy(r);
    return err;
}
