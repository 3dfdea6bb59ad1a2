/* The storage engine of one node: ordered bytes in three column families.
 *
 * All ranges of the node share one engine. Writes are made durable by the Raft log, not here: an
 * applied batch lives in memory until a flush, and a flush is atomic over the column families, so
 * that after a crash the engine holds exactly what was applied up to some point in time. Each
 * range's applied index travels in the same batch and tells where the log has to be replayed from.
 *
 * Reads have two tiers. ENGINE_CACHED never touches a file: where it would, it returns
 * ERR_WOULD_BLOCK and may be used on a loop. ENGINE_ANY may block the thread: use it on the
 * blocking pool (blocking_run) or off the loops. engine_get and engine_multi_get do both: cached
 * first, then on the blocking pool (they may park).
 *
 * Errors of all calls: ERR_IO, ERR_CORRUPT, ERR_NOMEM. Of writes also ERR_DISK_FULL; batches
 * stall before that. When space returns, the engine notices by itself.
 *
 * Thread-safe, but an iterator, a batch and an SST writer belong to one user at a time. */
#ifndef SKEIN_NODE_STORE_ENGINE_H
#define SKEIN_NODE_STORE_ENGINE_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"
#include "node/store/store_batch.h"

enum engine_tier { ENGINE_CACHED, ENGINE_ANY };

struct engine_ops;
struct engine_snapshot;
struct engine_wbatch;
struct engine_sst;

struct engine {
    const struct engine_ops *ops;
};

struct engine_opts {
    const char *path;
    size_t memory_size;       /* for block cache and memtables together; 0 = 256 MiB */
    size_t memtable_size_max; /* of one memtable; 0: by memory_size alone. After a full disk the
                               * engine takes writes again when this much is free */
    unsigned jobs_max;        /* background flushes and compactions; 0 = by the number of cores */
    /* Nothing happens behind the caller's back (simulator): a flush that is asked for is a task of
     * the loop that asks (without one, at once), and nothing is compacted unasked. */
    bool manual;
};

/* Opens or creates. ERR_BUSY: another process has it open. */
MUST_USE db_err engine_open_rocks(const struct engine_opts *opts, struct diag *diag,
                                  struct engine **ret_engine);
/* Flushes first unless `crash` (what was not flushed is then lost, as by a kill). Every iterator,
 * snapshot, batch and flush request must be gone. NULL is fine. */
void engine_close(struct engine *e, bool crash);

/* ---- reads ------------------------------------------------------------------------------- */

/* The position of an iterator: key and value are borrowed until the next move or close. */
struct engine_iter {
    const struct engine_iter_ops *ops;
    bool valid;
    struct slice key;
    struct slice value;
};

struct engine_iter_opts {
    enum engine_tier tier;
    /* Not NULL (ENGINE_DATA, no snapshot): only versions of these user keys are looked for. Filters
     * may answer, an idle iterator may be taken again, and a seek (not seek_for_prev) becomes
     * invalid where the versions of its user key end. Borrowed during the open. */
    const struct slice *keys;
    size_t key_count;
    /* Not empty (no `keys`): nothing outside of [lower, upper) is looked at, however much was
     * deleted there; a move beyond makes the iterator invalid. Keys of the family, borrowed until
     * the close. Only with both bounds may an idle iterator be taken again. */
    struct slice lower, upper;
    bool bulk;                              /* a long pass that should not fill the cache */
    const struct engine_snapshot *snapshot; /* NULL: the state at open */
};

/* Cheap: iterators are pooled. Sees the state at open (or the snapshot's). */
MUST_USE db_err engine_iter_open(struct engine *e, enum engine_cf cf,
                                 const struct engine_iter_opts *opts,
                                 struct engine_iter **ret_iter);
void engine_iter_close(struct engine_iter *it); /* NULL is fine */

struct engine_iter_ops {
    db_err (*seek)(struct engine_iter *it, struct slice key);
    db_err (*seek_for_prev)(struct engine_iter *it, struct slice key);
    db_err (*next)(struct engine_iter *it);
    db_err (*prev)(struct engine_iter *it);
    void (*close)(struct engine_iter *it);
};

/* First entry >= key; last entry <= key; an empty key: the first, the last entry. it->valid is
 * false at the end. ERR_WOULD_BLOCK (cached tier): the position is lost; go on with a new iterator
 * of the other tier. */
MUST_USE static inline db_err engine_iter_seek(struct engine_iter *it, struct slice key)
{
    return it->ops->seek(it, key);
}
MUST_USE static inline db_err engine_iter_seek_for_prev(struct engine_iter *it, struct slice key)
{
    return it->ops->seek_for_prev(it, key);
}
/* Only when valid. */
MUST_USE static inline db_err engine_iter_next(struct engine_iter *it)
{
    return it->ops->next(it);
}
MUST_USE static inline db_err engine_iter_prev(struct engine_iter *it)
{
    return it->ops->prev(it);
}

/* The value goes to the arena. Parks only for what is not cached. */
MUST_USE db_err engine_get(struct engine *e, enum engine_cf cf, struct slice key,
                           struct arena *arena, bool *ret_found, struct slice *ret_value);
/* Never parks. ERR_WOULD_BLOCK for ENGINE_CACHED. */
MUST_USE db_err engine_get_tier(struct engine *e, enum engine_cf cf, struct slice key,
                                enum engine_tier tier, struct arena *arena, bool *ret_found,
                                struct slice *ret_value);
/* As engine_get for ascending keys; found and values have `count` elements. May park. */
MUST_USE db_err engine_multi_get(struct engine *e, enum engine_cf cf, const struct slice *keys,
                                 size_t count, struct arena *arena, bool *ret_found,
                                 struct slice *ret_values);

/* A view that later writes do not change. Holds back RocksDB's clean-up, not the GC of versions:
 * close it soon. */
MUST_USE db_err engine_snapshot_open(struct engine *e, struct engine_snapshot **ret_snapshot);
void engine_snapshot_close(struct engine *e, struct engine_snapshot *snapshot);

/* Bytes in files of [start, end) (end empty: to the end), an estimate; memtables do not count. */
MUST_USE db_err engine_approximate_size(struct engine *e, enum engine_cf cf, struct slice start,
                                        struct slice end, uint64_t *ret_size);
/* What engine_approximate_size leaves out of ENGINE_DATA: entries of the memtables (each version
 * and deletion is one) and their bytes, from a sample: of n entries about the root of 32 n too many
 * or too few. Never parks, reads memory only. */
void engine_in_memory(struct engine *e, struct slice start, struct slice end, uint64_t *ret_entries,
                      uint64_t *ret_bytes);

/* ---- writes ------------------------------------------------------------------------------ */

/* Gathers what one loop turn applies. Reusable after engine_apply or engine_wbatch_reset. */
MUST_USE db_err engine_wbatch_new(struct engine *e, struct engine_wbatch **ret_batch);
void engine_wbatch_free(struct engine_wbatch *b);
void engine_wbatch_reset(struct engine_wbatch *b);
/* Adds all operations of an encoded store_batch (node/store/store_batch.h). ERR_CORRUPT: the bytes
 * are no store_batch; the engine batch is as before. */
MUST_USE db_err engine_wbatch_add(struct engine_wbatch *b, struct slice encoded);
MUST_USE db_err engine_wbatch_put(struct engine_wbatch *b, enum engine_cf cf, struct slice key,
                                  struct slice value);
MUST_USE db_err engine_wbatch_delete(struct engine_wbatch *b, enum engine_cf cf, struct slice key);
/* Deletes what [start, end) has when the batch is applied, and what the batch has written there
 * before; end empty: to the end. In ENGINE_DATA give data keys (see node/store/keyspace.h). */
MUST_USE db_err engine_wbatch_delete_range(struct engine_wbatch *b, enum engine_cf cf,
                                           struct slice start, struct slice end);
/* Puts the applied position of a range (its key is made by node/store/keyspace.h). */
MUST_USE db_err engine_wbatch_applied(struct engine_wbatch *b, uint64_t range_id, uint64_t index,
                                      uint64_t term);
size_t engine_wbatch_size(const struct engine_wbatch *b);

/* Writes the batch atomically and resets it (kept on failure). In a fiber a stalled write parks,
 * else it blocks; outside a fiber it blocks. ERR_DISK_FULL. */
MUST_USE db_err engine_apply(struct engine *e, struct engine_wbatch *b, struct diag *diag);

/* As engine_apply where nothing may wait: ERR_WOULD_BLOCK when the write would stall, or deletes
 * ranges (the batch is kept). */
MUST_USE db_err engine_try_apply(struct engine *e, struct engine_wbatch *b, struct diag *diag);

/* Starts a flush of all column families; fn is called on another thread when everything applied
 * before this call is durable (or with the error). The memory is the caller's until fn begins. */
struct engine_flush {
    struct engine_flush *next; /* internal */
    void (*fn)(struct engine_flush *f, db_err err);
};
void engine_flush_async(struct engine *e, struct engine_flush *f);
/* The same, waiting: parks in a fiber, else blocks. */
MUST_USE db_err engine_flush_wait(struct engine *e);
/* Flushes wait for space on a full disk. Those who ask for one get ERR_DISK_FULL; batches are still
 * taken, as long as there is memory for them: a few memtables. */
static inline bool engine_flush_waits(const struct engine *e);
/* Flushes are to fail from now on rather than wait for space: the node stops. */
static inline void engine_hurry(struct engine *e);

/* The applied position of a range: as applied, and as it would be found after a crash now. 0 and 0
 * when there is none. engine_applied_durable may block the thread. */
MUST_USE db_err engine_applied(struct engine *e, uint64_t range_id, uint64_t *ret_index,
                               uint64_t *ret_term);
MUST_USE db_err engine_applied_durable(struct engine *e, uint64_t range_id, uint64_t *ret_index,
                                       uint64_t *ret_term);

/* Writes a sorted file that can be ingested; keys must ascend in the order of the family. All may
 * block. */
MUST_USE db_err engine_sst_open(struct engine *e, enum engine_cf cf, const char *path,
                                struct engine_sst **ret_sst);
MUST_USE db_err engine_sst_put(struct engine_sst *s, struct slice key, struct slice value);
/* Makes the file complete and durable. ERR_INVALID when nothing was put. */
MUST_USE db_err engine_sst_finish(struct engine_sst *s, uint64_t *ret_size);
void engine_sst_close(struct engine_sst *s); /* NULL is fine; an unfinished file stays: remove it */
/* Moves the files in, atomically per family; they cover what was there before. Durable on return.
 * Blocks. */
MUST_USE db_err engine_ingest(struct engine *e, enum engine_cf cf, const char *const *paths,
                              size_t count, struct diag *diag);

/* ---- upkeep ------------------------------------------------------------------------------ */

/* From now on versions may be dropped that nobody can see who reads at or above ts, or exactly at
 * one of the snapshots (ascending, all below ts; copied). Whoever reads below ts later on must be
 * listed in every call until then. A call with a lower ts than an earlier one changes nothing. An
 * engine that is opened again knows what versions were dropped by before. */
void engine_set_safe_point(struct engine *e, uint64_t ts, const uint64_t *snapshots, size_t count);
uint64_t engine_safe_point(const struct engine *e);
/* By which points versions were dropped, for somebody who gets a copy of what is here. Asked when
 * all iterators that the copy is made with are open. Memory from the arena. */
struct engine_points {
    uint64_t safe_point; /* 0: none was */
    const uint64_t *snapshots;
    size_t count;
};
MUST_USE db_err engine_gone_points(struct engine *e, struct arena *arena,
                                   struct engine_points *ret_points);
/* Before such a copy joins what is here: from now on, and after a restart, only those may be read
 * that may be read here and there. Blocks. ERR_DISK_FULL. */
MUST_USE db_err engine_join_points(struct engine *e, const struct engine_points *points);
/* Asked *after* reading at ts: was everything there that belongs to that moment? */
bool engine_may_read_slow(struct engine *e, uint64_t ts);
static inline bool engine_may_read(struct engine *e, uint64_t ts)
{
    return LIKELY(ts >= engine_safe_point(e)) || engine_may_read_slow(e, ts);
}
/* A scan has stepped over so many versions that garbage collection may drop (a seek counts as
 * several): the engine cleans up when readers pay more for them than that costs. */
static inline void engine_note_stepped(struct engine *e, uint64_t steps);
/* Compacts [start, end) of a family now. Blocks. */
MUST_USE db_err engine_compact(struct engine *e, enum engine_cf cf, struct slice start,
                               struct slice end);
/* A consistent copy (hard links) of the durable state after a flush. Blocks. */
MUST_USE db_err engine_checkpoint(struct engine *e, const char *dir, struct diag *diag);

struct engine_stats {
    uint64_t memtable_size;
    uint64_t block_cache_size;
    uint64_t table_readers_size; /* index and filter blocks */
    uint64_t sst_size;
    uint64_t sst_count;
    uint64_t pending_compaction_size;
    uint64_t running_jobs;
    uint64_t reads_blocked; /* ERR_WOULD_BLOCK */
    uint64_t gc_versions;   /* stretches of old versions of a row that were dropped */
    uint64_t gc_tombstones; /* deletions dropped */
    uint64_t gc_flushes;    /* flushes for the sake of readers: engine_note_stepped */
    bool write_stopped;     /* stalled or read-only */
    db_err
        background_err; /* ERR_OK; ERR_DISK_FULL: a flush waits for space; else needs a restart */
};
void engine_get_stats(struct engine *e, struct engine_stats *ret_stats);

/* For implementations; callers use the functions above. */
struct engine_ops {
    const char *name;
    void (*close)(struct engine *e, bool crash);
    db_err (*iter_open)(struct engine *e, enum engine_cf cf, const struct engine_iter_opts *opts,
                        struct engine_iter **ret_iter);
    db_err (*get)(struct engine *e, enum engine_cf cf, struct slice key, enum engine_tier tier,
                  struct arena *arena, bool *ret_found, struct slice *ret_value);
    db_err (*multi_get)(struct engine *e, enum engine_cf cf, const struct slice *keys, size_t count,
                        enum engine_tier tier, struct arena *arena, bool *ret_found,
                        struct slice *ret_values);
    db_err (*get_durable)(struct engine *e, struct slice key, struct arena *arena, bool *ret_found,
                          struct slice *ret_value); /* ENGINE_LOCAL */
    db_err (*snapshot_open)(struct engine *e, struct engine_snapshot **ret_snapshot);
    void (*snapshot_close)(struct engine *e, struct engine_snapshot *snapshot);
    db_err (*approximate_size)(struct engine *e, enum engine_cf cf, struct slice start,
                               struct slice end, uint64_t *ret_size);
    void (*in_memory)(struct engine *e, struct slice start, struct slice end, uint64_t *ret_entries,
                      uint64_t *ret_bytes);
    db_err (*wbatch_new)(struct engine *e, struct engine_wbatch **ret_batch);
    db_err (*apply)(struct engine *e, struct engine_wbatch *b, bool may_block, struct diag *diag);
    void (*flush_async)(struct engine *e, struct engine_flush *f);
    db_err (*sst_open)(struct engine *e, enum engine_cf cf, const char *path,
                       struct engine_sst **ret_sst);
    db_err (*ingest)(struct engine *e, enum engine_cf cf, const char *const *paths, size_t count,
                     struct diag *diag);
    db_err (*gone_points)(struct engine *e, struct arena *arena, struct engine_points *ret_points);
    db_err (*join_points)(struct engine *e, const struct engine_points *points);
    void (*set_safe_point)(struct engine *e, uint64_t ts, const uint64_t *snapshots, size_t count);
    uint64_t (*safe_point)(const struct engine *e);
    bool (*may_read)(struct engine *e, uint64_t ts);
    bool (*flush_waits)(const struct engine *e);
    void (*hurry)(struct engine *e);
    void (*note_stepped)(struct engine *e, uint64_t steps);
    db_err (*compact)(struct engine *e, enum engine_cf cf, struct slice start, struct slice end);
    db_err (*checkpoint)(struct engine *e, const char *dir, struct diag *diag);
    void (*stats)(struct engine *e, struct engine_stats *ret_stats);
};

static inline void engine_hurry(struct engine *e)
{
    e->ops->hurry(e);
}

static inline bool engine_flush_waits(const struct engine *e)
{
    return e->ops->flush_waits(e);
}

static inline void engine_note_stepped(struct engine *e, uint64_t steps)
{
    if (steps != 0) {
        e->ops->note_stepped(e, steps);
    }
}

/* Base parts of an implementation's batch and SST writer. */
struct engine_wbatch_ops {
    void (*put)(struct engine_wbatch *b, enum engine_cf cf, struct slice key, struct slice value);
    void (*del)(struct engine_wbatch *b, enum engine_cf cf, struct slice key, bool single);
    db_err (*delete_range)(struct engine_wbatch *b, enum engine_cf cf, struct slice start,
                           struct slice end);
    size_t (*size)(const struct engine_wbatch *b);
    void (*reset)(struct engine_wbatch *b);
    void (*free)(struct engine_wbatch *b);
};
struct engine_wbatch {
    const struct engine_wbatch_ops *ops;
};
struct engine_sst_ops {
    db_err (*put)(struct engine_sst *s, struct slice key, struct slice value);
    db_err (*finish)(struct engine_sst *s, uint64_t *ret_size);
    void (*close)(struct engine_sst *s);
};
struct engine_sst {
    const struct engine_sst_ops *ops;
};

#endif
