/* Private to node/store: the RocksDB engine. */
#ifndef SKEIN_NODE_STORE_ROCKS_INT_H
#define SKEIN_NODE_STORE_ROCKS_INT_H

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/rand.h"
#include "node/store/engine.h"
#include "node/store/keyspace.h"
#include "node/store/rocks_shim.h"

enum {
    ITER_SLOTS = 16,             /* idle iterators of one sort */
    ROCKS_L0_FILES = 4,          /* so many files of level 0 are merged into the next */
    ROCKS_BASE_SIZE = 256 << 20, /* of that level, at most */
    CHANGE_BUCKETS = 1 << 14,    /* 128 KiB: see rocks_iter.c */
    ITER_IDLE_NS_MAX = 1000000000,
};

#define ROCKS_DATA_FAMILY "data"

/* The ways an iterator reads; each has one immutable set of read options. */
struct rocks_read_options {
    rocksdb_readoptions_t *get[2];        /* by tier */
    rocksdb_readoptions_t *persisted;     /* skips memtables */
    rocksdb_readoptions_t *iter[2][2][2]; /* tier, one key, bulk */
};

struct rocks_iter {
    struct engine_iter base;
    rocksdb_iterator_t *it;
    struct rocks_engine *engine;
    enum engine_cf cf;
    uint64_t version; /* all changes up to this number are seen */
    uint64_t opened_ns;
    bool poolable;
    bool one_key;
    bool blind; /* of the cached tier, and there are deleted ranges: rocks_sweep.c */
    rocksdb_readoptions_t *own_options; /* with a snapshot or bounds; else NULL */
};

/* A batch or an ingest under way. */
struct rocks_change {
    struct list link;
    uint64_t number;
};

/* Keys of what memtables hold, picked by chance (rocks_sample.c). */
struct rocks_sample_key;
struct rocks_sample {
    pthread_mutex_t mutex; /* guards all but the atomics; nothing is locked under it */
    struct rocks_sample_key **keys;
    size_t count, cap, size; /* size: bytes of keys */
    uint64_t memtable;       /* the active one, counted */
    uint64_t flushing;       /* the first that the flush which runs does not take */
    _Atomic uint32_t gap;    /* one key of about so many is picked */
    _Atomic uint64_t batches;
};

/* Those of a batch that is not written yet. */
struct rocks_picked {
    struct rocks_sample_key *first;
    struct rand rand;
    uint64_t left; /* keys until the next one that is picked */
    uint32_t gap;
};

struct rocks_engine {
    struct engine base;
    char *path;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *meta; /* the default family: flush marks */
    rocksdb_column_family_handle_t *cf[ENGINE_CF_COUNT];
    rocksdb_cache_t *cache;
    rocksdb_options_t *options[ENGINE_CF_COUNT + 1]; /* [0]: the database and default family */
    struct rocks_disk *disk;
    struct rocks_read_options read;
    rocksdb_writeoptions_t *write[2]; /* [1]: may stall */
    rocksdb_compactoptions_t *compact_options;

    /* Changes are numbered; see rocks_iter.c. */
    pthread_mutex_t change_mutex;
    struct list changes;            /* under way, ascending; guarded by change_mutex */
    _Atomic uint64_t started;       /* the last number given; written under change_mutex */
    _Atomic uint64_t settled;       /* all up to here are over; written under change_mutex */
    _Atomic uint64_t range_version; /* the last range deletion or ingest */
    _Atomic uint64_t *changed;      /* by key hash: the last change to such a key */
    struct rocks_iter *_Atomic one_key_slots[ITER_SLOTS];
    struct rocks_iter *_Atomic scan_slots[ITER_SLOTS];
    _Atomic bool pool_used;

    /* GC (rocks_gc.c). */
    pthread_mutex_t gc_mutex; /* guards the points; safe_point is written under it */
    _Atomic uint64_t safe_point;
    uint64_t *gc_points; /* snapshots below the safe point, ascending */
    size_t gc_point_count;
    /* The points that garbage collection goes by, which a restart finds (rocks_points.c). */
    pthread_mutex_t kept_mutex; /* guards the next three; before gc_mutex */
    uint64_t kept_safe_point;
    uint64_t *kept_points;
    size_t kept_count;
    _Atomic bool gc_ready; /* db may be read from a compaction */
    _Atomic uint64_t gc_versions;
    _Atomic uint64_t gc_tombstones;
    _Atomic uint64_t stepped; /* see rocks_flush.c */
    _Atomic uint64_t gc_flushes;
    _Atomic uint64_t gc_flush_kept; /* entries that flushes have written */
    uint64_t gc_flush_pause_ns;     /* upkeep thread only, as the next */
    uint64_t gc_flush_next_ns;

    /* Deleted ranges (rocks_sweep.c). */
    _Atomic bool ranges_deleted; /* some may be in memtables or files; written under sweep_mutex */
    unsigned ranges_coming;      /* announced, and not yet written; guarded by sweep_mutex */
    uint64_t range_deletions;    /* counts those that are; guarded by sweep_mutex */
    pthread_t sweeper;
    pthread_mutex_t sweep_mutex;
    pthread_cond_t sweep_cond;
    bool sweep_stop; /* guarded by sweep_mutex */
    bool sweeper_started;

    struct rocks_sample sample;

    _Atomic uint64_t reads_cached;
    _Atomic uint64_t reads_blocked;
    _Atomic int background_err;
    _Atomic bool flush_waits; /* for space; written under mutex */

    /* The upkeep thread (rocks_flush.c). */
    bool manual; /* there is no such thread */
    pthread_t upkeep;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct engine_flush *flushes; /* guarded by mutex, as the next; newest first */
    struct engine_flush *served;  /* waiting for the flush that runs */
    bool stop;                    /* guarded by mutex, as the next */
    bool hurry;                   /* flushes fail rather than wait */
    unsigned flush_waiters;       /* threads */
    bool upkeep_started;
    uint64_t flush_count; /* upkeep thread only */
};

static inline struct rocks_engine *rocks_of(const struct engine *e)
{
    return (struct rocks_engine *)(void *)(uintptr_t)e;
}

/* RocksDB's C API reports errors as texts only; their first words are the status code. Frees the
 * text. diag may be NULL. */
db_err rocks__err(char *text, struct diag *diag);

/* rocks_options.c */
MUST_USE db_err rocks__options_make(struct rocks_engine *r, const struct engine_opts *opts);
void rocks__options_free(struct rocks_engine *r);
/* A set of read options of the caller's own. */
rocksdb_readoptions_t *rocks__iter_options(enum engine_tier tier, bool one_key, bool bulk);

/* rocks_iter.c */
MUST_USE db_err rocks__iter_open(struct engine *e, enum engine_cf cf,
                                 const struct engine_iter_opts *opts,
                                 struct engine_iter **ret_iter);
void rocks__iter_trim(struct rocks_engine *r, uint64_t older_than_ns);

/* rocks_batch.c */
MUST_USE db_err rocks__wbatch_new(struct engine *e, struct engine_wbatch **ret_batch);
MUST_USE db_err rocks__apply(struct engine *e, struct engine_wbatch *b, bool may_block,
                             struct diag *diag);
/* Around everything that readers may come to see: a change begins, tells what it will touch, is
 * made, and ends, whether it succeeded or not. */
void rocks__change_begin(struct rocks_engine *r, struct rocks_change *c);
void rocks__change_all(struct rocks_engine *r, const struct rocks_change *c); /* any key */
void rocks__change_end(struct rocks_engine *r, struct rocks_change *c);

/* rocks_sample.c */
void rocks__sample_init(struct rocks_sample *s);
void rocks__sample_fini(struct rocks_sample *s);
void rocks__picked_init(struct rocks_sample *s, struct rocks_picked *p);
void rocks__picked_reset(struct rocks_picked *p); /* the batch is empty again */
/* Adds a key of the batch to what is picked, an entry of `size` bytes. */
void rocks__pick(struct rocks_sample *s, struct rocks_picked *p, struct slice key, size_t size);
/* The batch can be read. */
void rocks__sample_written(struct rocks_sample *s, struct rocks_picked *p);
/* state: the sample. */
void rocks__sample_told(void *state, enum rocks_memtable_event event);
/* Of [start, end), data keys; end empty: to the end. */
void rocks__sample_ask(struct rocks_sample *s, struct slice start, struct slice end,
                       uint64_t *ret_entries, uint64_t *ret_bytes);

/* rocks_gc.c */
extern const struct rocks_filter_ops rocks__gc_ops; /* state: the engine */
void rocks__set_safe_point(struct engine *e, uint64_t ts, const uint64_t *snapshots, size_t count);
bool rocks__may_read(struct engine *e, uint64_t ts);
/* Under gc_mutex. */
bool rocks__may_read_locked(const struct rocks_engine *r, uint64_t ts);

/* rocks_engine.c */
uint64_t rocks__property(struct rocks_engine *r, rocksdb_column_family_handle_t *cf,
                         const char *name);

/* rocks_flush.c */
MUST_USE db_err rocks__upkeep_start(struct rocks_engine *r);
void rocks__upkeep_stop(struct rocks_engine *r);
void rocks__flush_async(struct engine *e, struct engine_flush *f);
/* Flushes all families atomically; blocks. */
MUST_USE db_err rocks__flush(struct rocks_engine *r);
/* Flushes wait for space: so that nobody else does, requests are answered. state: the engine. */
void rocks__flush_told(void *state, bool waits);
void rocks__pool_touched(struct rocks_engine *r);
void rocks__note_stepped(struct engine *e, uint64_t steps);

void rocks__hurry(struct engine *e);

/* rocks_points.c */
/* The points in force are written down, if that can be done: the kept ones. Under kept_mutex;
 * blocks. */
MUST_USE db_err rocks__points_keep(struct rocks_engine *r);
MUST_USE db_err rocks__gone_points(struct engine *e, struct arena *arena,
                                   struct engine_points *ret_points);
MUST_USE db_err rocks__join_points(struct engine *e, const struct engine_points *points);
/* The same points for a copy of the database. Blocks. */
MUST_USE db_err rocks__points_copy(struct rocks_engine *r, const char *dir);
/* Begins with what is found. ERR_CORRUPT. Before the database is opened. */
MUST_USE db_err rocks__points_load(struct rocks_engine *r, struct diag *diag);

/* rocks_sweep.c */
/* Before a batch is written that deletes a range, and behind it, whether it was written or not. */
void rocks__range_deletion_begin(struct rocks_engine *r);
void rocks__range_deletion_end(struct rocks_engine *r);
MUST_USE db_err rocks__sweep_start(struct rocks_engine *r);
void rocks__sweep_stop(struct rocks_engine *r);

/* rocks_sst.c */
MUST_USE db_err rocks__sst_open(struct engine *e, enum engine_cf cf, const char *path,
                                struct engine_sst **ret_sst);
MUST_USE db_err rocks__ingest(struct engine *e, enum engine_cf cf, const char *const *paths,
                              size_t count, struct diag *diag);
MUST_USE db_err rocks__checkpoint(struct engine *e, const char *dir, struct diag *diag);

#endif
