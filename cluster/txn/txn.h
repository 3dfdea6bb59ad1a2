/* The coordinator's side of a transaction: its timestamps, its buffered writes, what it has locked
 * where, and its end.
 *
 * A transaction belongs to one fiber at a time. Everything it needs lives in a pooled object: a
 * point read takes no memory of its own.
 *
 * Writes are buffered until the commit, and what is known of locks with them: in memory, and beyond
 * a part of what the session may take in a file of this node (spill.c).
 *
 * The ways to commit (commit.c): nothing written, only locks are given back; all writes in one
 * range, one call commits them (1PC); a few writes in several ranges, acknowledged when all are
 * prewritten (async commit); else the primary's commit is the point of no return (2PC). */
#ifndef SKEIN_CLUSTER_TXN_TXN_H
#define SKEIN_CLUSTER_TXN_TXN_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/loop.h"
#include "cluster/route/route.h"
#include "cluster/time/ts_client.h"
#include "sql/storage/storage.h"
#include "sql/storage/write_buffer.h"
#include "sql/storage/write_runs.h"
#include "sql/storage/write_spill.h"

enum {
    TXN_SHARDS = 16,
    TXN_POOL_MAX = 128, /* kept by a shard */
    TXN_LOCK_WAIT_DEFAULT_MS = 50000,
    CTXN_BORROW_MAX = 256 * 1024,
    CTXN_SPILL_LEAST = 1 << 20,
};

struct txn_shard {
    _Alignas(64) pthread_mutex_t mutex; /* guards the rest */
    struct list active;                 /* transactions with a timestamp */
    struct ctxn *pool;
    unsigned pool_count;
    _Atomic uint64_t asked; /* timestamps asked for */
};

/* Of reads that need not be of now; see cluster/kv/follower.c. */
enum { CLOSED_RANGES = 256, FAR_READS_FIRST = 2 };
struct closed_range {
    range_id_t range;
    uint64_t version; /* of its epoch */
    ts_t ts;          /* at or below it, all is in the log up to index */
    uint64_t index;
    uint64_t absent_ns; /* until then it is not looked for on this node */
};

struct shared_snapshot {
    pthread_mutex_t lock; /* guards the rest */
    ts_t ts;
    uint64_t asked_ns; /* before it was asked for */
    struct closed_range closed[CLOSED_RANGES];
};

/* What all transactions of a node share. */
struct txn_env {
    struct router *router;
    struct ts_client *ts;
    const struct storage_ops *ops; /* of the storage whose transactions these are */
    struct txn_shard shards[TXN_SHARDS];
    _Atomic ts_t floor; /* timestamps given from now on are greater */
    uint64_t asked;     /* by all shards, when floor was set; the reporter's */
    struct shared_snapshot shared;
    _Atomic uint64_t follower_reads, closed_asked;
    _Atomic unsigned background; /* fibers that finish commits */
    _Atomic uint64_t commits_1pc, commits_async, commits_2pc, resolved;
    _Atomic uint64_t doubts_settled, doubts_left; /* 1PC whose reply was lost: known, unknown */
    _Atomic uint64_t spills;
    size_t spill_bytes; /* of a write buffer, from which on a spill is thought of */
    size_t spill_entries;
    const char *spill_dir; /* tests: of transactions without one */
};

void txn_env_init(struct txn_env *env, struct router *router, struct ts_client *ts,
                  const struct storage_ops *ops);
/* Waits for the background work; no transaction may be left. From a fiber. */
void txn_env_fini(struct txn_env *env);
/* What running transactions read, and those that come will. snapshots has room for KV_READS_MAX.
 * One caller at a time; may park. Errors: those of ts_client_next. */
MUST_USE db_err txn_env_reads(struct txn_env *env, struct diag *diag, ts_t *snapshots,
                              struct kv_reads *ret_reads);

/* Row locks were asked for in this part of the key space. */
struct lock_span {
    struct lock_span *next;
    range_id_t range;
    uint64_t lock_term; /* that slot names with the range; of one in span_of: its own */
    uint32_t slot;      /* 0: none yet */
    struct slice start; /* the range's bounds then; see lock_arena */
    struct slice end;
};

/* Locked against inserts, as a lock table of this number knows it. */
struct gap_lock {
    struct gap_lock *next;
    uint64_t lock_term;
    struct slice start; /* see lock_arena */
    struct slice end;
};

enum txn_state { TXN_ACTIVE, TXN_ABORTED };

/* Whose intents were met last, and how often. Who meets the third of a transaction has all of them
 * settled that are in the range: a large one may have left many thousand, and each alone would
 * cost a write to the log. */
struct intents_met {
    ts_t start_ts;
    unsigned count;
};

struct ctxn {
    struct storage_txn base;
    struct txn_env *env;
    struct ctxn *pool_next;
    struct txn_shard *shard;
    struct list active_link; /* guarded by shard->mutex */
    bool active;
    enum txn_state state;
    struct storage_txn_opts opts;
    uint32_t fences; /* of this node when it began */
    ts_t start_ts;   /* its name; 0: not needed yet */
    ts_t read_ts;    /* of its plain reads; 0: no snapshot yet */
    /* Written by the owner, read by the reporter as the two above, all atomically. */
    ts_t bound;   /* a timestamp is being asked for and will be greater; else 0 */
    ts_t scan_ts; /* the lowest that an open scan reads at; else 0 */
    unsigned scan_count;
    unsigned far_reads; /* plain reads in the snapshot that were another node's to answer */
    unsigned copy_from; /* so many, and the copy on this node is tried (cluster/kv/follower.c) */
    struct write_buffer wb;
    struct write_runs *runs;   /* STORAGE_W_BULK: beside the buffer; NULL: none */
    bool runs_checked;         /* they have rows that must be as the snapshot shows them */
    struct write_spill *spill; /* what was in the buffer before; NULL: nothing */
    struct arena kept;         /* with a spill: spans and gaps */
    struct arena first;        /* the buffer's first one: somebody may still borrow from it */
    size_t first_charge;
    struct arena scratch; /* of the commit */
    struct lock_span *spans;
    struct lock_span **span_of; /* by wb_entry.slot - 1 */
    uint32_t span_count;
    uint32_t span_cap;
    struct gap_lock *gaps;  /* the newest first */
    unsigned early_inserts; /* locks for inserts of keys that need no other lock */
    struct intents_met met; /* by reads of rows and locks, one after the other */
};

static inline struct ctxn *ctxn_of(struct storage_txn *t)
{
    return CONTAINER_OF(t, struct ctxn, base);
}

static inline bool ctxn_has_writes(const struct ctxn *t)
{
    return t->wb.write_count != 0 || t->runs != NULL ||
           (t->spill != NULL && write_spill_has_writes(t->spill));
}
/* May a key be one that the transaction has written? */
static inline bool ctxn_may_have_own(const struct ctxn *t)
{
    return t->wb.write_count != 0 || UNLIKELY(t->spill != NULL);
}

MUST_USE db_err ctxn_begin(struct txn_env *env, const struct storage_txn_opts *opts,
                           struct ctxn **ret_txn);
/* Gives locks back and the object to the pool. Writes are forgotten. Parks only for locks. */
void ctxn_end(struct ctxn *t);
/* Ends it whatever it returns; errors as storage_txn_commit. */
MUST_USE db_err ctxn_commit(struct ctxn *t, struct diag *diag, ts_t *ret_ts);

/* Makes sure that the transaction has its name, its snapshot. May park. */
MUST_USE db_err ctxn_need_start(struct ctxn *t, struct diag *diag);
MUST_USE db_err ctxn_need_snapshot(struct ctxn *t, struct diag *diag);
/* From now on nothing above the timestamp that is returned is collected, until unhold; everybody is
 * given greater ones. For one that has its name. */
ts_t ctxn_hold(struct ctxn *t);
void ctxn_unhold(struct ctxn *t);
void ctxn_drop_snapshot(struct ctxn *t); /* READ COMMITTED, before a statement */
/* A scan may go on reading in a snapshot that has been dropped. */
void ctxn_scan_opens(struct ctxn *t, ts_t read_ts);
void ctxn_scan_closes(struct ctxn *t);

/* How plain reads are really done (SERIALIZABLE locks them). */
enum storage_read_mode ctxn_read_mode(const struct ctxn *t, enum storage_read_mode mode);
static inline uint32_t ctxn_lock_wait_ms(const struct ctxn *t)
{
    return t->opts.lock_wait_timeout_ms != 0 ? t->opts.lock_wait_timeout_ms
                                             : TXN_LOCK_WAIT_DEFAULT_MS;
}

/* What is left of a wait for a lock that began then: a lease that moves meanwhile does not begin it
 * anew. At least 1. */
static inline uint32_t ctxn_lock_wait_left_ms(const struct ctxn *t, uint64_t began_ns)
{
    uint32_t all = ctxn_lock_wait_ms(t);
    uint64_t gone = (clock_mono_ns() - began_ns) / NS_PER_MS;
    return gone < all ? all - (uint32_t)gone : 1;
}

/* Before row locks are asked for in a range, so that they are given back whatever comes of it. */
MUST_USE db_err ctxn_note_span(struct ctxn *t, const struct range_location *loc,
                               struct lock_span **ret_span);
/* A key's lock is held since the given version was seen. */
MUST_USE db_err ctxn_note_lock(struct ctxn *t, struct lock_span *span, uint64_t lock_term,
                               struct slice key, enum storage_read_mode mode, bool exists,
                               ts_t version_ts);

/* [start, end) is locked against inserts. */
MUST_USE db_err ctxn_note_gap(struct ctxn *t, uint64_t lock_term, struct slice start,
                              struct slice end);

/* Where spans and gaps are. */
static inline struct arena *lock_arena(struct ctxn *t)
{
    return LIKELY(t->spill == NULL) ? &t->wb.arena : &t->kept;
}

/* ---- spill.c ---- */

/* Before a write, or a read with locks: a large write buffer goes to disk. Entries of it are void
 * then; rows that were borrowed from it (ctxn_copies) stay as long as the transaction. Parks.
 * ERR_LIMIT, ERR_NOMEM, ERR_IO, ERR_DISK_FULL: nothing has changed. */
MUST_USE db_err ctxn_spill(struct ctxn *t, struct diag *diag);
MUST_USE static inline db_err ctxn_make_room(struct ctxn *t, struct diag *diag)
{
    return LIKELY(t->wb.arena.used < t->env->spill_bytes &&
                  t->wb.entry_count < t->env->spill_entries)
               ? ERR_OK
               : ctxn_spill(t, diag);
}
size_t ctxn_run_bytes(const struct ctxn *t); /* of a buffer that goes to disk */
/* All of it, whatever its size, before the commit of one that has spilled. */
MUST_USE db_err ctxn_spill_rest(struct ctxn *t, struct diag *diag);
void ctxn_spill_end(struct ctxn *t);

/* The key's entry, out of the file if it is there. NULL: it has none. Parks. */
MUST_USE db_err ctxn_load(struct ctxn *t, struct slice key, struct diag *diag,
                          struct wb_entry **ret_entry);
MUST_USE static inline db_err ctxn_find(struct ctxn *t, struct slice key, struct diag *diag,
                                        struct wb_entry **ret_entry)
{
    *ret_entry = wb_find(&t->wb, key);
    return LIKELY(*ret_entry != NULL || t->spill == NULL) ? ERR_OK
                                                          : ctxn_load(t, key, diag, ret_entry);
}
/* ... or made. */
MUST_USE static inline db_err ctxn_touch(struct ctxn *t, struct slice key, struct diag *diag,
                                         struct wb_entry **ret_entry)
{
    if (UNLIKELY(t->spill != NULL)) {
        TRY(ctxn_find(t, key, diag, ret_entry));
        if (*ret_entry != NULL) {
            return ERR_OK;
        }
    }
    return wb_touch(&t->wb, key, ret_entry);
}
/* Must values be copied that are in the buffer? In a small one they stay where they are. */
static inline bool ctxn_copies(const struct ctxn *t)
{
    return UNLIKELY(t->wb.arena.used > CTXN_BORROW_MAX || t->spill != NULL);
}

uint64_t ctxn_savepoint(struct ctxn *t);
MUST_USE db_err ctxn_rollback_to(struct ctxn *t, uint64_t savepoint);

/* ---- resolve.c ---- */

/* The state of one operation that meets intents. */
struct resolver {
    struct txn_env *env;
    struct attempt at;
    struct intents_met *met;
};
/* met: of what the operation is a part of (a scan, a transaction), zeroed at first; that of several
 * fibers at once is not shared. */
static inline void resolver_init(struct resolver *r, struct txn_env *env, struct intents_met *met)
{
    *r = (struct resolver){.env = env, .met = met};
    attempt_init(&r->at, env->router);
}
/* An intent is in the way: finishes what its owner has decided, rolls it back when its time is
 * over, else waits a little. ERR_OK: try again. ERR_TIMEOUT, ERR_CANCELED, ERR_UNAVAILABLE. */
MUST_USE db_err resolve_lock(struct resolver *r, const struct kv_lock_info *lock,
                             struct diag *diag);

/* ---- sweep.c ---- */

/* Settles intents, then drops records, of transactions that began before `before`, in all ranges.
 * The caller knows that none of them runs any more, on any node, and that no message of theirs is
 * under way. Parks. Errors: those of a KV call; it can be tried again later. */
MUST_USE db_err txn_env_sweep(struct txn_env *env, ts_t before, struct diag *diag);

/* ---- release.c ---- */

/* Gives back all row locks of transaction start_ts in [start, end) (end empty: the end). Best
 * effort. */
void release_locks(struct txn_env *env, ts_t start_ts, struct slice start, struct slice end);

#endif
