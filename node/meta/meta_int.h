/* Private to node/meta. */
#ifndef SKEIN_NODE_META_META_INT_H
#define SKEIN_NODE_META_META_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/fiber.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/periodic.h"
#include "base/sha_crypt.h"
#include "node/meta/meta.h"
#include "node/meta/placement.h"
#include "node/meta/wait_graph.h"

/* Second byte of a meta key, after KEYSPACE_META. */
enum meta_key_kind {
    META_KEY_TSO = 't',
    META_KEY_SEQUENCE = 's', /* | name */
    META_KEY_RANGE = 'r',    /* | start key */
    META_KEY_NODE = 'n',     /* | node id */
    META_KEY_TOKEN = 'j',
    META_KEY_CA = 'c',
};

#define TSO_WINDOW ((ts_t)3000 << TS_LOGICAL_BITS) /* 3 s persisted ahead */
/* ... when the oracle is ahead of the clock already: enough numbers, and restarts one after the
 * other do not carry it far away. */
#define TSO_WINDOW_AHEAD ((ts_t)100 << TS_LOGICAL_BITS)
/* While space is short: a window that outlasts the store's looking for space, and how long a
 * request waits for a write that waits for space. */
#define TSO_FULL_FACTOR  10
#define TSO_FULL_WAIT_NS (500 * NS_PER_MS)

struct tso {
    _Alignas(64) _Atomic ts_t next;
    _Atomic uint64_t ahead_ns; /* up to when `next` was moved on ahead of the clock; 0: it is not */
    _Alignas(64) _Atomic ts_t limit; /* nothing at or above has been persisted as taken */
    _Atomic bool extending;          /* a fiber writes a new limit */
    struct fiber_mutex lock;         /* guards the rest */
    struct fiber_cond extended;      /* that fiber has ended */
    uint64_t term;                   /* of the lease that the numbers were loaded under */
    ts_t need;                       /* what the next limit has to reach */
    uint64_t round;                  /* writes that have ended, and how the last one did */
    db_err err;
};

enum {
    SEQ_BLOCK_MIN = 32,
    SEQ_BLOCK_MAX = 65536, /* numbers that a crash may skip */
};

struct sequence {
    struct hash_node node;
    pthread_mutex_t mutex; /* guards last, limit, term, block */
    uint64_t last;         /* highest number given */
    uint64_t limit;        /* highest number that may be given without writing */
    uint64_t term; /* of the lease that it was loaded under; true only under that; 0: never */
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

/* ---- members ---- */

enum { NODES_MAX = REPORT_NODES, TOKEN_HASH_SIZE = SHA256_SIZE };

struct member {
    struct node_info info;
    uint64_t heard_ns; /* 0: not since this node leads */
    bool fenced;       /* since it was heard of */
    bool fencing;      /* ... is being written: it is not heard meanwhile */
};

/* The leader's; guarded by `mutex`. */
struct registry {
    struct fiber_mutex writing; /* from reading a record to having written it; before `mutex` */
    pthread_mutex_t mutex;
    struct member members[NODES_MAX];
    unsigned count;
    uint64_t version;
    uint64_t since_ns; /* when this node began to lead */
    bool has_token;
    bool has_ca;
    uint8_t token_hash[TOKEN_HASH_SIZE];
};

/* gather.c: range_hooks.gather. */
MUST_USE db_err meta_gather(struct meta *m, const struct range_desc *left, uint64_t bytes_max,
                            struct diag *diag);

/* Ranges led here that the leader of the meta range is to be told of. */
enum { REPORT_IDS_MAX = 256 };
struct reporter {
    pthread_mutex_t mutex; /* guards the rest */
    range_id_t ids[REPORT_IDS_MAX];
    unsigned count;
    bool all;     /* more than fit, or all of them again */
    bool running; /* its fiber is under way */
};

struct meta {
    struct meta_opts opts;
    char token[128];
    struct range_hooks hooks;
    struct range_store *rs;
    struct engine *engine;
    node_id_t self;

    /* Leadership of the meta range. */
    _Atomic bool started;
    _Atomic bool running;      /* state is loaded, as of `term` */
    _Atomic uint64_t term;     /* of the lease it was loaded under */
    pthread_mutex_t lead_lock; /* guards the next three */
    bool lead_held;
    unsigned lead_changes;
    bool lead_fiber;

    _Atomic unsigned fibers;
    struct tso tso;

    pthread_mutex_t seq_lock; /* guards the table */
    struct hash_table sequences;
    _Atomic int handing_over; /* no number is reserved meanwhile */

    struct range_index index;
    struct registry registry;
    struct reporter reporter;
    struct periodic heartbeat;
    struct periodic placement;
    struct placement *placement_state;
    _Atomic uint64_t twin_since_ns;  /* the heartbeat's: refused since then, for a twin */
    _Atomic uint64_t seen_meta_term; /* the heartbeat's: of the last answer */
    _Atomic uint64_t told_all_ns;    /* when all ranges led here were last told of */

    _Atomic unsigned members;   /* of the cluster, as of the last heartbeat */
    pthread_mutex_t waits_lock; /* guards waits */
    struct wait_graph *waits;
    const struct meta_other_waits *_Atomic other_waits;
    _Atomic unsigned other_waits_used;

    pthread_mutex_t report_lock; /* guards reports, and the order of safe points */
    struct reads_report *reports[REPORT_NODES];
    unsigned report_count;
    ts_t safe_point; /* what the leader has decided last; 0: nothing yet */
    ts_t *safe_points;
    size_t safe_point_count;
    struct periodic gc;
    uint64_t gc_rounds;
    _Atomic ts_t sweep_floor; /* as of the last round */
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
/* term: of the lease under which the state that is written was read. ERR_NOT_LEADER under another.
 */
MUST_USE db_err meta_kv_write(struct meta *m, uint64_t term, const struct store_batch *b,
                              struct diag *diag);
MUST_USE db_err meta_kv_write_u64(struct meta *m, uint64_t term, enum meta_key_kind kind,
                                  struct slice name, uint64_t value, struct diag *diag);
/* ERR_CORRUPT unless it is 8 bytes. */
MUST_USE db_err meta_kv_u64(struct slice value, uint64_t *ret_value);

/* tso.c */
void tso_init(struct tso *t);
MUST_USE db_err tso_load(struct meta *m, uint64_t term);
void tso_give_back(struct meta *m); /* nothing is given any more */
MUST_USE db_err tso_next(struct meta *m, uint32_t count, struct diag *diag, ts_t *ret_first);
/* The newest number, for readers when tso_next says ERR_DISK_FULL: not below any that was given,
 * given to many. tso_next goes on above it. */
ts_t tso_last(struct meta *m);

/* id_alloc.c */
void sequences_free(struct meta *m);
MUST_USE db_err sequence_next(struct meta *m, struct slice name, uint64_t floor, uint64_t count,
                              uint64_t step, uint64_t offset, struct diag *diag,
                              uint64_t *ret_first);
/* Writes the exact numbers. Parks. While others take numbers: with handing_over set. */
void sequences_give_back(struct meta *m);

/* range_index.c */
MUST_USE db_err range_index_init(struct range_index *ix);
void range_index_fini(struct range_index *ix);
/* On a loop; does not park. leader: who says so. ERR_NOMEM: he says it once more. */
MUST_USE db_err range_index_changed(struct meta *m, const struct range_desc *desc,
                                    node_id_t leader);
MUST_USE db_err range_index_load(struct meta *m);
void range_index_clear(struct range_index *ix);
MUST_USE db_err range_index_lookup(struct range_index *ix, struct slice start, struct slice end,
                                   unsigned max, struct arena *arena, struct range_desc **ret_descs,
                                   unsigned *ret_count);
void range_index_write_soon(struct meta *m);

/* safe_point.c */
MUST_USE db_err safe_point_start(struct meta *m);
void safe_point_free(struct meta *m);

/* leadership.c */
void meta_lease_changed(struct meta *m, bool held);
/* Takes the state over, or lets go of it, until that fits the lease. Parks. */
void meta_follow_lease(struct meta *m);
/* Once more, if there was no fiber for it when the lease came or went. */
void meta_follow_again(struct meta *m);
/* ERR_NOT_LEADER with the leader in diag->data. */
MUST_USE db_err meta_check(struct meta *m, struct diag *diag);

/* registry.c */
MUST_USE db_err registry_init(struct registry *g);
void registry_fini(struct registry *g);
MUST_USE db_err registry_load(struct meta *m);
/* The members now, in the arena. */
MUST_USE db_err registry_directory(struct meta *m, struct arena *arena,
                                   struct node_directory *ret_dir);

/* report.c */
void report_range(struct meta *m, range_id_t id);
void report_all(struct meta *m);
MUST_USE db_err meta_heartbeat_start(struct meta *m);

/* deadlock.c */
/* range_hooks.lock_waits. */
bool meta_watch_waits(void *ctx);
/* What another leader was told counts no more. */
void waits_forget(struct meta *m);

/* placement.c; placement.h */
MUST_USE db_err placement_start(struct meta *m);

/* Members that were heard of within that time, as far as this leader can know. */
unsigned registry_heard(struct meta *m, uint64_t within_ns);

/* safe_point.c */
/* What the leader has decided, in the arena. */
MUST_USE db_err safe_point_get(struct meta *m, struct arena *arena, struct kv_reads *ret_reads);
/* The reports of another leader's time count no more. */
void safe_point_forget(struct meta *m);

/* Spawns a fiber of meta's own on this loop (or the first of the group); meta_stop waits for it. */
MUST_USE db_err meta_spawn(struct meta *m, void (*fn)(void *arg), void *arg);
static inline void meta_fiber_ends(struct meta *m)
{
    atomic_fetch_sub(&m->fibers, 1);
}

#endif
