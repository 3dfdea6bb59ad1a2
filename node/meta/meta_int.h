/* Private to node/meta. */
#ifndef SKEIN_NODE_META_META_INT_H
#define SKEIN_NODE_META_META_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/fiber.h"
#include "base/hash.h"
#include "base/periodic.h"
#include "node/meta/meta.h"

/* Second byte of a meta key, after KEYSPACE_META. */
enum meta_key_kind {
    META_KEY_TSO = 't',
    META_KEY_SEQUENCE = 's', /* | name */
    META_KEY_RANGE = 'r',    /* | start key */
};

#define TSO_WINDOW ((ts_t)3000 << TS_LOGICAL_BITS) /* 3 s persisted ahead */
/* ... when the oracle is ahead of the clock already: enough numbers, and restarts one after the
 * other do not carry it far away. */
#define TSO_WINDOW_AHEAD ((ts_t)100 << TS_LOGICAL_BITS)
/* While space is short: a window that outlasts the store's looking for space, and how long a
 * request waits for it. */
#define TSO_FULL_FACTOR   10
#define TSO_FULL_WAIT_NS  (8 * NS_PER_S)
#define TSO_FULL_RETRY_NS (50 * NS_PER_MS)

struct tso {
    _Alignas(64) _Atomic ts_t next;
    _Alignas(64) _Atomic ts_t limit; /* nothing at or above has been persisted as taken */
    struct fiber_mutex lock;         /* one extension at a time */
    _Atomic bool prefetching;
};

enum {
    SEQ_BLOCK_MIN = 32,
    SEQ_BLOCK_MAX = 65536, /* numbers that a crash may skip */
};

struct sequence {
    struct hash_node node;
    pthread_mutex_t mutex; /* guards last, limit, loaded, block */
    uint64_t last;         /* highest number given */
    uint64_t limit;        /* highest number that may be given without writing */
    bool loaded;
    struct fiber_mutex extend; /* one extension at a time; guards the rest */
    uint64_t block;
    uint64_t extended_ns;
    _Atomic bool prefetching;
    struct meta *meta;
    size_t name_len;
    uint8_t name[];
};

struct index_entry {
    struct range_desc desc; /* keys follow in memory */
    bool dirty;             /* not written yet */
};

struct range_index {
    pthread_rwlock_t lock;        /* guards all */
    struct index_entry **entries; /* by start */
    size_t count;
    size_t cap;
    struct buf removed; /* start keys (u32 length, bytes) whose entries are to be deleted */
    bool lost_memory;   /* some change is not in `removed` or could not be made: rebuild */
    bool writing;       /* the fiber that writes is under way */
};

enum { REPORT_NODES = 64 };

struct reads_report {
    node_id_t node;
    uint64_t at_ns;
    ts_t floor;
    size_t count;
    ts_t snapshots[KV_READS_MAX];
};

struct meta {
    struct meta_opts opts;
    struct range_hooks hooks;
    struct range_store *rs;
    struct engine *engine;
    _Atomic bool running;
    _Atomic unsigned fibers;
    struct tso tso;

    pthread_mutex_t seq_lock; /* guards the table */
    struct hash_table sequences;

    struct range_index index;

    pthread_mutex_t report_lock; /* guards reports, and the order of safe points */
    struct reads_report *reports[REPORT_NODES];
    unsigned report_count;
    struct periodic gc;
    uint64_t gc_rounds;
};

/* meta_kv.c: state that is overwritten in place, outside of transactions. */
MUST_USE db_err meta_kv_put(struct store_batch *b, enum meta_key_kind kind, struct slice name,
                            struct slice value);
MUST_USE db_err meta_kv_delete(struct store_batch *b, enum meta_key_kind kind, struct slice name);
MUST_USE db_err meta_kv_get(struct meta *m, enum meta_key_kind kind, struct slice name,
                            struct arena *arena, bool *ret_found, struct slice *ret_value);
MUST_USE db_err meta_kv_each(struct meta *m, enum meta_key_kind kind,
                             db_err (*fn)(void *arg, struct slice name, struct slice value),
                             void *arg);
MUST_USE db_err meta_kv_write(struct meta *m, const struct store_batch *b, struct diag *diag);
MUST_USE db_err meta_kv_write_u64(struct meta *m, enum meta_key_kind kind, struct slice name,
                                  uint64_t value, struct diag *diag);
/* ERR_CORRUPT unless it is 8 bytes. */
MUST_USE db_err meta_kv_u64(struct slice value, uint64_t *ret_value);

/* tso.c */
void tso_init(struct tso *t);
MUST_USE db_err tso_load(struct meta *m);
void tso_give_back(struct meta *m); /* nothing is given any more */
MUST_USE db_err tso_next(struct meta *m, uint32_t count, struct diag *diag, ts_t *ret_first);

/* id_alloc.c */
void sequences_free(struct meta *m);
MUST_USE db_err sequence_next(struct meta *m, struct slice name, uint64_t floor, uint64_t count,
                              uint64_t step, uint64_t offset, struct diag *diag,
                              uint64_t *ret_first);
void sequences_give_back(struct meta *m);

/* range_index.c */
MUST_USE db_err range_index_init(struct range_index *ix);
void range_index_fini(struct range_index *ix);
/* On a loop; does not park. */
void range_index_changed(struct meta *m, const struct range_desc *desc);
MUST_USE db_err range_index_load(struct meta *m);
void range_index_write_soon(struct meta *m);

/* safe_point.c */
MUST_USE db_err safe_point_start(struct meta *m);
void safe_point_free(struct meta *m);

/* Spawns a fiber of meta's own on this loop (or the first of the group); meta_stop waits for it. */
MUST_USE db_err meta_spawn(struct meta *m, void (*fn)(void *arg), void *arg);
static inline void meta_fiber_ends(struct meta *m)
{
    atomic_fetch_sub(&m->fibers, 1);
}

#endif
