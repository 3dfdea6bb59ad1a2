/* Private to node/lock. */
#ifndef SKEIN_NODE_LOCK_LOCK_INT_H
#define SKEIN_NODE_LOCK_LOCK_INT_H

#include <pthread.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fiber.h"
#include "base/span_tree.h"
#include "node/lock/lock_table.h"

enum {
    LOCK_SHARDS = 16,
    LOCK_BUCKETS = 64, /* per shard at first; doubles */
    TXN_SHARDS = 8,
    TXN_BUCKETS = 64,
    PENDING_SHARDS = 4,
    GRAPH_SHARDS = 32,
    GRAPH_NODES_MAX = 1024, /* a search gives up beyond: the wait then ends by its time-out */
    LOCK_MEMORY_DEFAULT = 32 << 20,
    FENCES_MAX = 64,     /* nodes; beyond, one fence holds for all */
    PACK_FROM = 16384,   /* records of a transaction; beyond, its oldest are packed */
    PACK_TIGHT = 1024,   /* the same, when half of the memory is used */
    PACK_BATCH = 256,    /* so many at a time */
    PACK_PARTS_BITS = 8, /* of a shard's set */
    PACK_MODES = KV_LOCK_INSERT,
    HULLS_MAX = 16,
};

/* A reader, or a locker, that waits for the end of a latch. Guarded by the mutex of the shard (a
 * key) or of the pending list (a range). */
struct pending_wait {
    struct list link;
    struct waiter w;
    bool woken;
};

/* A writer that waits for a latch. Guarded by the shard's mutex. */
struct latch_wait {
    struct list link;
    struct waiter w;
    struct latch_guard *guard;
    bool granted;
};

struct lock_entry {
    struct lock_entry *next;
    struct lock_shard *_Atomic shard; /* changes in a split only */
    uint64_t hash;
    struct latch_guard *latch;
    struct list latch_waiters; /* struct latch_wait */
    struct list readers;       /* struct pending_wait */
    struct list holders;       /* struct row_rec in state HELD */
    struct list row_waiters;   /* struct row_rec in state WAITING, first come first */
    size_t key_len;
    uint8_t key[];
};

struct lock_shard {
    pthread_mutex_t mutex;
    struct lock_table *table;
    struct lock_entry **buckets;
    size_t bucket_count;
    size_t count;
    struct span_tree marks; /* insert_rec.node: locks for an insert, held or waited for */
    struct packed_set *packed;
};

/* NEW: in no entry yet. FAILED: the locking fiber has given up. CANCELED: a release has let go of
 * the record, the locking fiber frees it. DEAD: the reverse. */
enum row_state { ROW_NEW, ROW_WAITING, ROW_HELD, ROW_FAILED, ROW_CANCELED, ROW_DEAD };

/* A row lock, held or waited for. state, entry, link: guarded by the mutex of `shard`; txn_link and
 * detached: by the mutex of the transaction shard. */
struct row_rec {
    struct list link;     /* entry's holders or row_waiters */
    struct list txn_link; /* lock_txn's */
    struct list graph_link;
    ts_t start_ts;
    lock_owner_t owner;
    enum kv_lock_mode mode;
    enum row_state state;
    db_err reason; /* ROW_CANCELED: what the locking fiber returns */
    bool busy;     /* held, but the locking fiber still uses the record */
    bool detached; /* taken out of the transaction's list by a release of all */
    bool marked;   /* its node is in the shard's marks */
    struct lock_shard *_Atomic shard;
    struct lock_entry *entry;
    /* Its number while it is in the graph, and when that began. It waits in the entry a moment
     * before: then who looks at that finds 0. */
    _Atomic uint64_t wait;
    uint64_t wait_ns;
    struct row_rec *upgrade_of; /* S held by the same transaction that this X will replace */
    struct waiter *w;           /* while waiting */
};

/* Every record of KV_LOCK_INSERT. */
struct insert_rec {
    struct row_rec rec;
    struct span_node node; /* the key: its entry's bytes */
};

/* A span lock. In its transaction's list and in the table's tree, or on its way out. */
struct span_rec {
    struct span_node node; /* bounds: in `bytes` */
    struct list txn_link;
    ts_t start_ts;
    lock_owner_t owner;
    uint64_t id;
    size_t cost;
    struct span_rec *halves[2]; /* during a split */
    uint8_t bytes[];
};

/* The locks of a transaction in a shard that are no records any more: 48 bits of the keys' hashes,
 * by mode. Guarded by the shard's mutex. See packed.c. */
struct packed_part {
    uint32_t *high; /* `cap` of them, then as many uint16_t; both 0: free */
    uint32_t cap, count;
};

struct packed_set {
    struct packed_set *next;
    ts_t start_ts;
    lock_owner_t owner;
    struct packed_part *modes[PACK_MODES]; /* by mode - 1; NULL: none */
};

/* Where a transaction's packed locks of a mode lie: each of them between two of these keys, which
 * are such locks themselves. Ascending. */
struct packed_hull {
    struct slice min, max; /* `min` owns its memory, and so does `max` unless it is the same */
    size_t locks;          /* between them; after a split, those of both halves */
};

struct packed_hulls {
    struct list link; /* of the table */
    ts_t start_ts;
    enum kv_lock_mode mode;
    size_t count;
    struct packed_hull at[HULLS_MAX + 1];
};

/* What a transaction had packed, taken out of a table. */
struct packed_gone {
    struct packed_set *sets;
    struct list hulls; /* struct packed_hulls */
};

/* All locks of transactions, taken out of a table. */
struct locks_gone {
    struct list recs;  /* struct row_rec, detached */
    struct list spans; /* struct span_rec */
    struct packed_gone packed;
};

struct lock_txn {
    struct lock_txn *next;
    ts_t start_ts;
    lock_owner_t owner;
    struct list recs;
    size_t count;                           /* of recs */
    size_t pack_at;                         /* with less than that it is no use to try again */
    bool packed;                            /* some shards have a set of it */
    struct list spans;                      /* struct span_rec, the newest first */
    struct packed_hulls *hulls[PACK_MODES]; /* by mode - 1; NULL: none */
};

struct txn_shard {
    pthread_mutex_t mutex;
    struct lock_txn *buckets[TXN_BUCKETS];
};

struct pending_shard {
    pthread_mutex_t mutex;
    struct list guards;
    struct list waiters; /* struct pending_wait; woken when a guard leaves */
    uint64_t seq;        /* of the guard that came last */
};

/* Transactions of the node up to start_ts may have lost locks. */
struct lock_fence {
    uint64_t node;
    ts_t start_ts;
};

struct lock_table {
    struct lock_graph *graph;
    size_t memory_max;
    _Atomic size_t memory;
    size_t pack_from;
    _Atomic size_t rows;  /* records, held or waiting, span locks, and sets of packed ones */
    _Atomic size_t marks; /* records of KV_LOCK_INSERT in an entry */
    _Atomic size_t span_count;
    _Atomic size_t packed;       /* sets */
    _Atomic size_t insert_hulls; /* structs packed_hulls of KV_LOCK_INSERT */
    _Atomic size_t pending;      /* guards */
    _Atomic size_t pending_all;
    _Atomic bool closed;
    bool sealed; /* written under all mutexes, read under any of a shard */
    struct lock_shard shards[LOCK_SHARDS];
    struct txn_shard txns[TXN_SHARDS];
    struct pending_shard pend[PENDING_SHARDS];
    pthread_mutex_t fence_mutex;  /* guards fences and fence_all; after any other */
    _Atomic unsigned fence_count; /* written under it */
    struct lock_fence fences[FENCES_MAX];
    ts_t fence_all; /* of the nodes that have no place */
    /* Changed under the mutex of a transaction shard and this one, looked at under this one; after
     * any other. */
    pthread_mutex_t span_mutex;
    struct span_tree spans;
    struct list hulls; /* struct packed_hulls; they change under both mutexes */
    uint64_t span_id;
    uint8_t
        *end; /* keys at or above belong to another table since a split; guarded by all shards */
    size_t end_len;

    /* Room for latches (room.c). */
    _Atomic size_t room_users;
    _Atomic size_t room_waiting;
    pthread_mutex_t room_mutex;
    struct list room_waiters; /* struct room_wait, first come first; guarded by room_mutex */

    /* The gate: latches count in, an exclusive holder keeps them out. */
    _Atomic int64_t gate;
    pthread_mutex_t gate_mutex;
    struct list gate_waiters;      /* struct latch_wait; guarded by gate_mutex */
    struct list exclusive_waiters; /* struct latch_wait */
    struct latch_wait *exclusive;  /* waits for the gate to become empty */
    bool exclusive_held;
};

#define GATE_CLOSED ((int64_t)1 << 62)

static inline struct slice entry_key(const struct lock_entry *e)
{
    return slice_of(e->key, e->key_len);
}

/* lock_table.c */
struct lock_shard *lock__shard(struct lock_table *t, uint64_t hash);
struct lock_entry *lock__find(struct lock_shard *s, struct slice key, uint64_t hash);
/* Under the shard's mutex. io_room: what has been taken for it before; NULL: nothing.
 * ERR_LOCK_TABLE_FULL, ERR_NOMEM. */
MUST_USE db_err lock__find_or_add(struct lock_shard *s, struct slice key, uint64_t hash,
                                  size_t *io_room, struct lock_entry **ret_entry);
static inline size_t lock__entry_size(struct slice key)
{
    return sizeof(struct lock_entry) + key.len;
}
/* Frees the entry if nothing uses it. Under the shard's mutex. */
void lock__drop_if_idle(struct lock_shard *s, struct lock_entry *e);
MUST_USE db_err lock__charge(struct lock_table *t, size_t size);
void lock__release_memory(struct lock_table *t, size_t size);
/* Locks the mutex of the shard that *where names, which may change until then. */
struct lock_shard *lock__shard_of(struct lock_shard *_Atomic *where);
/* Waits for the end of the latch that is on the entry now. Called with the shard's mutex, which it
 * gives back. */
MUST_USE db_err lock__wait_latch(struct lock_shard *s, struct lock_entry *e, uint64_t deadline_ns);

/* room.c */
/* Memory for entries of latches that are about to be taken, by somebody who holds none. Parks.
 * ERR_LOCK_TABLE_FULL, ERR_TIMEOUT, ERR_CANCELED. */
MUST_USE db_err lock__room_take(struct lock_table *t, size_t size, uint64_t deadline_ns);
/* The latches have been given back; so much of the room was not used. No mutex is held. */
void lock__room_leave(struct lock_table *t, size_t unused);

/* row_lock.c */
/* Ends a wait with the error. False: it has ended. */
bool lock__refuse(struct row_rec *rec, db_err err);
/* Waiters that need not wait any more. Under the shard's mutex, and not while sealed. */
void lock__grant_waiters(struct lock_entry *e);
void lock__cancel_all_rows(struct lock_table *t);
bool lock__modes_conflict(enum kv_lock_mode a, enum kv_lock_mode b);
struct txn_shard *lock__txn_shard(struct lock_table *t, ts_t start_ts);
struct lock_txn *lock__txn_find(struct txn_shard *s, ts_t start_ts, bool add);
void lock__txn_drop_if_empty(struct txn_shard *s, ts_t start_ts);
/* After a record has left the transaction's list. */
void lock__txn_forget_one(struct txn_shard *s, ts_t start_ts);
/* What a record is charged. */
size_t lock__rec_cost(const struct row_rec *rec);
void lock__gone_init(struct locks_gone *g);
/* Takes all locks of the transaction off it. Under its shard's mutex. Then, without it: ends them
 * and who waits for them, for the reason. */
void lock__txn_detach(struct lock_table *t, struct lock_txn *x, struct locks_gone *out);
void lock__gone_release(struct lock_table *t, struct locks_gone *g, db_err reason);

/* A record that is in no list yet. */
MUST_USE db_err lock__rec_make(struct lock_table *t, struct lock_shard *s, ts_t start_ts,
                               lock_owner_t owner, enum kv_lock_mode mode,
                               struct row_rec **ret_rec);
void lock__rec_free(struct lock_table *t, struct row_rec *rec);
/* Takes a held record off its entry; nobody waits for it. Under the shard's mutex. */
void lock__take_out(struct lock_shard *s, struct row_rec *rec);

bool lock__beyond_end(const struct lock_table *t, struct slice key);
/* Must a request behind it wait for this waiter? One that only waits for span locks blocks nobody.
 * Under the shard's mutex. */
bool lock__waiter_blocks(const struct row_rec *waiter, const struct row_rec *rec);

/* span.c */
/* Does another transaction's span lock keep this record of KV_LOCK_INSERT waiting? Under the mutex
 * of its shard. False for other modes. */
bool lock__span_blocks(const struct row_rec *rec);
/* Calls fn for the transactions whose span locks do. As above. */
void lock__span_blockers(const struct row_rec *rec, void (*fn)(void *ctx, ts_t start_ts),
                         void *ctx);
/* Enters the record in its shard's marks, takes it out. Under the shard's mutex. */
void lock__mark(struct lock_shard *s, struct row_rec *rec);
void lock__unmark(struct lock_shard *s, struct row_rec *rec);
/* Takes the span locks of the transaction out of the table; under its shard's mutex. Then, without
 * it: wakes who waited for them and frees them. */
void lock__spans_detach(struct lock_table *t, struct lock_txn *x, struct list *out);
void lock__spans_free(struct lock_table *t, struct list *spans);
/* For a split or merge: under all mutexes but span_mutex. `at` empty: all of them. The first makes
 * what the second needs. */
MUST_USE db_err lock__spans_prepare(struct lock_table *from, struct lock_table *to,
                                    struct slice at);
void lock__spans_move(struct lock_table *from, struct lock_table *to, struct slice at);
void lock__spans_undo(struct lock_table *from, struct lock_table *to);

/* packed.c */
static inline bool lock__any_packed(const struct lock_table *t)
{
    return atomic_load_explicit(&t->packed, memory_order_acquire) != 0;
}
/* The mode in which the transaction has the key packed. Under the shard's mutex, as the next two.
 */
enum kv_lock_mode lock__packed_mode(const struct lock_shard *s, uint64_t hash, ts_t start_ts);
/* Has another transaction the key packed, in any mode? */
bool lock__packed_by_other(const struct lock_shard *s, uint64_t hash, ts_t start_ts);
/* Is there a packed lock in the way of rec that is no record of the entry (NULL: there is none)? */
bool lock__packed_blocks(const struct lock_shard *s, const struct lock_entry *e, uint64_t hash,
                         const struct row_rec *rec);
/* Such locks become records again. No mutex is held. ERR_LOCK_TABLE_FULL, ERR_NOMEM. */
MUST_USE db_err lock__unpack(struct lock_table *t, struct slice key, uint64_t hash,
                             const struct row_rec *rec);
/* Has the transaction so many records that some should be packed? Under its shard's mutex. */
bool lock__should_pack(const struct lock_table *t, const struct lock_txn *x);
/* Does that, if it has. No mutex is held. */
void lock__pack(struct lock_table *t, ts_t start_ts);
void lock__packed_gone_init(struct packed_gone *g);
/* Takes what the transaction has packed out of the table; under its shard's mutex. Then, without
 * it: frees it. */
void lock__packed_detach(struct lock_table *t, struct lock_txn *x, struct packed_gone *out);
void lock__packed_free(struct lock_table *t, struct packed_gone *g);
/* For a split or merge, under all mutexes but span_mutex: `to` gets all packed locks of `from`,
 * which keeps them, too. ERR_NOMEM: some of them. The other one drops all. */
MUST_USE db_err lock__packed_copy(struct lock_table *from, struct lock_table *to);
void lock__packed_drop(struct lock_table *t);
/* Calls fn for each stretch of the transaction's packed locks. Under its shard's mutex. */
MUST_USE db_err lock__packed_look(const struct lock_txn *x,
                                  db_err (*fn)(void *arg, const struct lock_info *l), void *arg);
/* The least key of a stretch with packed locks for inserts of another transaction that overlaps
 * [start, end). */
MUST_USE db_err lock__hull_next(struct lock_table *t, struct slice start, struct slice end,
                                ts_t start_ts, struct arena *arena, bool *ret_found,
                                struct slice *ret_key);

/* owner.c */
void lock__fence(struct lock_table *t, uint64_t node, ts_t start_ts);
void lock__fences_join(struct lock_table *to, struct lock_table *from);
void lock__fences_clear(struct lock_table *t);

/* deadlock.c */
void lock__graph_add(struct lock_graph *g, struct row_rec *rec);
void lock__graph_remove(struct lock_graph *g, struct row_rec *rec);
/* Would this wait, which is in the graph, never end? Then it is over, with ERR_DEADLOCK. */
void lock__graph_check(struct lock_graph *g, struct row_rec *rec);

#endif
