/* The lock table of one range at its leaseholder: latches, row and span locks, pending writes.
 *
 * One entry per key in use holds all three, so that what one of them decides the others see under
 * the same shard lock. The essay in lock_table.c gives the rules and the memory-ordering argument.
 *
 *  - A *latch* keeps two evaluations off the same key at the same time; held for one command.
 *  - A *row lock* (shared or exclusive, by start_ts) belongs to a transaction until released.
 *  - A *pending* mark says that a latched key is being committed: readers wait for it.
 *
 * Usable from all loops. What parks is said at each function; the rest takes a mutex for a few
 * instructions. Keys are copied. */
#ifndef SKEIN_NODE_LOCK_LOCK_TABLE_H
#define SKEIN_NODE_LOCK_LOCK_TABLE_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "proto/kv_api.h"

struct lock_table;
struct lock_entry;
struct lock_graph;

/* The node-wide wait-for graph: one per node, shared by all lock tables, outlives them. */
MUST_USE db_err lock_graph_new(struct lock_graph **ret_graph);
void lock_graph_free(struct lock_graph *g);

/* ---- deadlocks over several nodes: who looks at the waits of all (node/meta/deadlock.c) ----
 *
 * fn is called when a wait has begun and nobody watches; it must not park. True: from now on
 * somebody does, until lock_graph_unwatch. Before the first table. */
void lock_graph_watch(struct lock_graph *g, bool (*fn)(void *ctx), void *ctx);
/* A wait that is not for a row, and that the graph does not know, begins or ends: it counts as a
 * wait of this node. */
void lock_graph_other_wait(struct lock_graph *g, bool begins);
size_t lock_graph_other_waits(const struct lock_graph *g);
/* Who watches, goes. False: there are waits, it goes on. */
bool lock_graph_unwatch(struct lock_graph *g);
size_t lock_graph_waits(const struct lock_graph *g);
/* The waits that began at or before `until_ns`, ascending by number, and who is in their way; at
 * most max edges of them. Edges that follow from others are left out. ERR_NOMEM. */
MUST_USE db_err lock_graph_edges(struct lock_graph *g, uint64_t until_ns, unsigned max,
                                 struct arena *arena, struct kv_wait_edge **ret_edges,
                                 unsigned *ret_count);
/* Ends the wait of this number and transaction with ERR_DEADLOCK. False: it is over. */
bool lock_graph_refuse(struct lock_graph *g, uint64_t wait, ts_t waiter);

struct lock_table_opts {
    size_t memory_max; /* of entries and locks; ERR_LOCK_TABLE_FULL past it; 0 = 32 MiB */
    size_t pack_from;  /* locks of a transaction; of more (of 1,024 when half of the memory is used)
                          the oldest take some 8 bytes each, and lock_table_look shows them by the
                          stretch; 0 = 16,384 */
};
MUST_USE db_err lock_table_new(struct lock_graph *graph, const struct lock_table_opts *opts,
                               struct lock_table **ret_table);
/* Nobody may wait in it or hold a latch. */
void lock_table_free(struct lock_table *t);

/* ---- latches ----------------------------------------------------------------------------- */

enum { LATCH_INLINE = 4 };

/* In the memory of the fiber that holds it. */
struct latch_guard {
    struct lock_table *table;
    size_t count;
    struct lock_entry **entries;
    struct lock_entry *inline_entries[LATCH_INLINE];
    bool all;
    bool announced;
    _Atomic bool pending;
    const struct slice *keys; /* the caller's, ascending; live until latch_release */
    size_t key_count;
    size_t room; /* memory taken for entries, and not used */
    _Atomic uint64_t commit_ts;
    uint64_t seq; /* of the announcement */
    struct list link;
};

/* Latches the keys (ascending, each once), waiting in FIFO order, and before that for room in the
 * table if others with latches have it. Parks. ERR_TIMEOUT, ERR_CANCELED, ERR_LOCK_TABLE_FULL,
 * ERR_NOMEM, ERR_NOT_LEADER (table closed): nothing is held. Keys live as long as the guard. */
MUST_USE db_err latch_acquire(struct lock_table *t, const struct slice *keys, size_t count,
                              uint64_t deadline_ns, struct latch_guard *ret_guard);
/* Keeps all latches out, waiting for those that are held; later ones wait. Parks. */
MUST_USE db_err latch_acquire_all(struct lock_table *t, uint64_t deadline_ns,
                                  struct latch_guard *ret_guard);
/* Ends pending too, and wakes readers. */
void latch_release(struct latch_guard *g);

/* From now on readers of the keys wait (commit_ts unknown). Call it before the commit timestamp is
 * asked for; tell the timestamp when it is known so that older readers pass. For a guard from
 * latch_acquire_all: all keys. */
void latch_begin_pending(struct latch_guard *g);
void latch_set_commit_ts(struct latch_guard *g, ts_t commit_ts);

/* Before the holder looks for span locks (span_lock_conflict): who has taken one waits for the end
 * of the latches that were announced by then. */
void latch_announce(struct latch_guard *g);
/* Waits for the end of those on keys of [start, end) (end empty: to the end). Parks. ERR_TIMEOUT,
 * ERR_CANCELED. */
MUST_USE db_err latch_wait_announced(struct lock_table *t, struct slice start, struct slice end,
                                     uint64_t deadline_ns);

/* Waits until no write that may commit at or below read_ts is pending on the key, or on any key of
 * [start, end) (end empty: to the end). One atomic load when nothing is pending. Parks else.
 * ERR_TIMEOUT, ERR_CANCELED. */
MUST_USE db_err pending_wait_key(struct lock_table *t, struct slice key, ts_t read_ts,
                                 uint64_t deadline_ns);
MUST_USE db_err pending_wait_range(struct lock_table *t, struct slice start, struct slice end,
                                   ts_t read_ts, uint64_t deadline_ns);

/* ---- row locks --------------------------------------------------------------------------- */

/* Locks the key for the transaction; reentrant; S then X upgrades. Waits in FIFO order behind
 * conflicting locks and waiters, then for a latch of another command on the key, so that on return
 * the newest version of the key stays the newest. Parks.
 *   wait KV_WAIT: ERR_LOCK_WAIT_TIMEOUT after wait_ms; ERR_DEADLOCK when the wait would close a
 *   cycle on this node (the requester is the victim).
 *   KV_NOWAIT, KV_SKIP_LOCKED: ERR_LOCK_NOWAIT at once.
 * KV_LOCK_INSERT is exclusive and waits for the span locks of others on the key as well; while it
 * only waits for those, requests behind it do not wait for it (so that one of them can insert).
 * ERR_BUSY: the table is sealed; later, perhaps at another node.
 * Also ERR_LOCK_TABLE_FULL, ERR_NOMEM, ERR_CANCELED, ERR_TIMEOUT (deadline_ns), ERR_NOT_LEADER
 * (closed), ERR_LOCK_LOST (the owner was taken for dead meanwhile). */
MUST_USE db_err row_lock(struct lock_table *t, struct slice key, ts_t start_ts, lock_owner_t owner,
                         enum kv_lock_mode mode, enum kv_wait wait, uint32_t wait_ms,
                         uint64_t deadline_ns);
/* The mode in which the transaction holds the key. */
enum kv_lock_mode row_lock_held(struct lock_table *t, struct slice key, ts_t start_ts);
/* Under the guard's latches: the index of the first key on which another transaction than start_ts
 * holds a row lock, or count. Near-zero cost when there are no row locks. */
size_t row_lock_conflict(struct latch_guard *g, ts_t start_ts);
/* Gives back one lock (unless it is packed: then it stays until all go), or all of a transaction
 * (O(its locks)); waiters get them. Not held: fine.
 * ERR_BUSY: the table is sealed, nothing has been given back. */
MUST_USE db_err row_unlock(struct lock_table *t, struct slice key, ts_t start_ts);
MUST_USE db_err row_unlock_all(struct lock_table *t, ts_t start_ts);
size_t row_lock_count(const struct lock_table *t); /* with span locks */

/* ---- span locks ----
 *
 * A transaction that has read a stretch of keys keeps others from inserting into it. Span locks do
 * not conflict with each other, nor with locks of rows that are there; KV_LOCK_INSERT waits for
 * them. The order of who reads:
 *   span_lock; latch_wait_announced: inserts that had passed their check have been applied;
 *   read; span_keep what was read;
 *   insert_next: inserts of others that are under way: wait for the row lock, and read again. */

/* Takes it; waits for nobody. ret_id 0: the transaction holds all of it already. Errors of
 * row_lock.
 */
MUST_USE db_err span_lock(struct lock_table *t, struct slice start, struct slice end, ts_t start_ts,
                          lock_owner_t owner, uint64_t *ret_id);
/* Leaves of a span lock just taken only [start, end), which is a part of it; joins it with one of
 * the transaction's that it touches. Does nothing when it has been released (or id is 0). */
void span_keep(struct lock_table *t, ts_t start_ts, uint64_t id, struct slice start,
               struct slice end);
void span_drop(struct lock_table *t, ts_t start_ts, uint64_t id);
/* The first key of [start, end) that another transaction holds with KV_LOCK_INSERT, in the arena.
 * If there is none, but the transaction has very many such locks around there, then the key of one
 * of these, which may lie outside. Two atomic loads when there are none. */
MUST_USE db_err insert_next(struct lock_table *t, struct slice start, struct slice end,
                            ts_t start_ts, struct arena *arena, bool *ret_found,
                            struct slice *ret_key);
/* Does another transaction keep this one from inserting the key? One atomic load when there are no
 * span locks. */
bool span_lock_conflict(struct lock_table *t, struct slice key, ts_t start_ts);
size_t span_lock_count(const struct lock_table *t);

/* ---- owners that die ----
 *
 * Locks of an owner that is dead are given to others. Whether it is can be a mistake (it was only
 * stopped for a while), so what it held is *fenced*: its transactions that had begun by then can
 * hold locks again, but nobody may conclude any more that they held them all the time. */

/* Gives back all locks and ends all waits of transactions whose owner is dead, as `dead` says; it
 * is called under a mutex and may not park. The fence is there before the first lock goes. How many
 * transactions that were. Cheap when there are no row locks. */
size_t lock_table_reap(struct lock_table *t, bool (*dead)(void *ctx, lock_owner_t owner),
                       void *ctx);
/* Were locks of this transaction, perhaps, taken away in the lifetime of the table? */
bool lock_table_fenced(struct lock_table *t, lock_owner_t owner, ts_t start_ts);

/* ---- for who wants to see them ---- */

/* A wait that has no number yet. */
#define LOCK_WAIT_NEW UINT64_MAX
struct lock_info {
    bool span;     /* of [key, end); else of a row */
    size_t packed; /* not 0: so many rows have such a lock, between key and end, which are two of
                      them (one, if they are the same). Of ranges that were one when they were
                      locked, each tells of all */
    struct slice key;
    struct slice end;
    ts_t start_ts;
    enum kv_lock_mode mode; /* of a row */
    uint64_t wait;          /* its number (lock_graph_edges); 0: it is held */
    bool for_span;          /* waits for span locks, not for the row */
};
/* Calls fn for each lock, held or waited for, in no order, until it fails; for packed ones at most
 * 16 times for a transaction and mode, and once more for each that somebody waits for. Under a
 * mutex: it may not park. */
MUST_USE db_err lock_table_look(struct lock_table *t,
                                db_err (*fn)(void *arg, const struct lock_info *l), void *arg);

/* ---- leases, splits ---------------------------------------------------------------------- */

/* Forgets all row locks; every waiter ends with ERR_NOT_LEADER. Latches stay with their holders.
 * While closed, locking and latching fail with ERR_NOT_LEADER; open again with lock_table_open. */
void lock_table_close(struct lock_table *t);
void lock_table_open(struct lock_table *t, bool keep_locks);
/* The table's range ends here (empty: nowhere), whatever splits and merges it was told of: a range
 * that is merged while another node leads it grows without its table. */
MUST_USE db_err lock_table_set_end(struct lock_table *t, struct slice end);

/* Seals the table, so that what is exported stays what is held: until it is opened, closed or
 * unsealed no lock is given, to nobody, and none is taken back; waiters wait on. Then calls
 * `fence` for each fence and `lock` for each row lock held (not the waiters), in no order, under
 * the table's mutexes: they may not park. On an error of theirs, which ends it, or ERR_LIMIT (there
 * are packed locks), the table is not sealed. The caller has latch_acquire_all: no command is under
 * way. */
struct lock_export;
MUST_USE db_err lock_table_seal(struct lock_table *t,
                                db_err (*fence)(void *arg, uint64_t node, ts_t start_ts),
                                db_err (*lock)(void *arg, const struct lock_export *l), void *arg);
void lock_table_unseal(struct lock_table *t); /* waiters get what has become free */

struct lock_export {
    bool span;        /* of [key, end); mode is KV_LOCK_NONE */
    struct slice key; /* of a row; start of a span */
    struct slice end;
    ts_t start_ts;
    lock_owner_t owner;
    enum kv_lock_mode mode;
};
/* What lock_table_seal has told of another table; nobody uses this one yet. Errors of row_lock. */
MUST_USE db_err lock_table_import(struct lock_table *t, const struct lock_export *l);
void lock_table_import_fence(struct lock_table *t, uint64_t node, ts_t start_ts);
/* Moves row locks and waiters at or above `at`, and the parts of span locks there, to the new,
 * empty `right`; merge moves all of `right` to t. The caller has latch_acquire_all on both.
 * ERR_NOMEM: nothing has moved. */
MUST_USE db_err lock_table_split(struct lock_table *t, struct slice at, struct lock_table *right);
MUST_USE db_err lock_table_merge(struct lock_table *t, struct lock_table *right);

#endif
