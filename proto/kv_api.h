/* The KV service: what the client side of the cluster (cluster/) asks of the member that holds a
 * range (node/).
 *
 * A local call passes these structs as they are; rpc/ carries them between nodes (control fields in
 * protobuf-c, keys and values as raw payload). Both sides include this header and nothing of each
 * other.
 *
 * The transaction protocol (Percolator's shape with locks kept in memory at the leaseholder):
 *  - A transaction is named by start_ts, unique, from the timestamp oracle. Its writes stay at the
 * coordinator.
 *  - `lock` takes row locks in the range's in-memory lock table and returns the newest committed
 * versions with their commit_ts; plain reads take no lock.
 *  - `prewrite` checks each mutation and either commits at once (try_1pc: all mutations of the
 * transaction are in this request) or writes intents into the lock column family through Raft.
 *  - With intents in all ranges the coordinator gets commit_ts and calls `commit` on the primary's
 * range (the point of no return), then on the others. Async commit: the transaction is committed
 * once all prewrites have returned.
 *  - Whoever meets an intent whose owner seems dead asks the primary's range with `check_txn` and
 * then `resolve`s.
 *
 * A reader at read_ts must not miss a commit at or below read_ts that is still on its way through
 * Raft. So a writer first enters its keys in the lock table as *pending*, only then takes commit_ts
 * from the oracle, proposes, and leaves the table after apply. A reader looks into the table after
 * it has its read_ts: a pending key with commit_ts unknown or <= read_ts makes it wait (the service
 * parks; nothing is returned to the client). A read of the newest version of one key (read_ts =
 * TS_MAX) need not wait: the write is not acknowledged yet.
 *
 * Fencing: locks live in memory and go with the lease. Each mutation of a locked key carries the
 * commit_ts of the version that was seen under the lock (version_ts), and the request the term
 * under which locks were given (lock_term). If the term is still the same the locks held all the
 * time; otherwise every mutation is validated against version_ts: ERR_LOCK_LOST when something
 * newer has been committed (version_ts 0: when anything has been). Shared and span locks have no
 * such versions: a commit proves that they were held until its timestamp was given (shared_term, or
 * a lock request of mode NONE after it), else it fails with ERR_LOCK_LOST.
 *
 * A 1PC whose reply is lost is asked about: the version of its primary has its start_ts, which the
 * next leaseholder finds. A repeated 1PC leaves a record when it commits, and check_txn one when it
 * finds nothing, at the primary: the first try, should it come late, meets it and fails.
 *
 * All calls may park. Returned slices are in the request's arena. Errors of all calls:
 * ERR_NOT_LEADER, ERR_STALE_EPOCH, ERR_RANGE_NOT_FOUND (route again; resp->header tells what is
 * known), ERR_TIMEOUT, ERR_CANCELED, ERR_UNAVAILABLE, ERR_NOMEM, ERR_LIMIT, ERR_DISK_FULL,
 * ERR_COMMIT_UNKNOWN (writes only). */
#ifndef SKEIN_PROTO_KV_API_H
#define SKEIN_PROTO_KV_API_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"

typedef uint64_t range_id_t;
typedef uint64_t node_id_t;
typedef uint64_t ts_t; /* physical ms << TS_LOGICAL_BITS | counter */

#define TS_LOGICAL_BITS 18
#define TS_MAX          UINT64_MAX

/* Who holds a lock: the process that coordinates the transaction. 0: nobody that could die without
 * this node. Else the node's id in the upper half, how often it was started in the lower. */
typedef uint64_t lock_owner_t;
static inline lock_owner_t lock_owner_make(uint64_t node, uint64_t incarnation)
{
    return node << 32 | (incarnation & UINT32_MAX);
}
static inline uint64_t lock_owner_node(lock_owner_t o)
{
    return o >> 32;
}
static inline uint64_t lock_owner_incarnation(lock_owner_t o)
{
    return o & UINT32_MAX;
}

/* Key space: first byte. Meta's own keys come first, then the catalog and other system tables, then
 * tables' rows. */
#define KEYSPACE_META   0x00
#define KEYSPACE_SYSTEM 0x01
#define KEYSPACE_TABLE  0x02

enum { RANGE_REPLICAS_MAX = 9 };

enum replica_kind { REPLICA_VOTER, REPLICA_LEARNER, REPLICA_INCOMING, REPLICA_OUTGOING };

struct replica_desc {
    node_id_t node;
    uint64_t replica_id;
    enum replica_kind kind;
};

struct range_epoch {
    uint64_t version; /* counts splits and merges */
    uint64_t conf;    /* counts membership changes */
};

struct range_desc {
    range_id_t id;
    struct slice start; /* inclusive */
    struct slice end;   /* exclusive; empty = the end of the key space */
    struct range_epoch epoch;
    unsigned replica_count;
    struct replica_desc replicas[RANGE_REPLICAS_MAX];
    node_id_t leader_hint; /* who was last heard to lead, 0: unknown; no part of what is stored */
    uint32_t load;         /* as its leader last told: see node/range/load.c; not stored */
    /* Not 0: frozen, to become a part of that range, its left neighbour; serves nobody. Stored, not
     * sent to clients. */
    range_id_t merging_into;
    /* The range that begins at `end`; 0: none does, or it is not known (a store of before this was
     * kept). Stored, not sent to clients. */
    range_id_t right_id;
};

struct kv_request {
    range_id_t range;
    struct range_epoch epoch;
    uint64_t deadline_ns; /* clock_mono_ns at the caller; DEADLINE_NONE */
    struct arena *arena;  /* results go here; lives longer than the call */
    lock_owner_t owner;   /* of the row locks that the call may take */
    /* Plain reads (get, multi_get, scan) at a timestamp that is closed here: any replica answers
     * that has applied the log up to this place (`closed` tells which), with ERR_NOT_LEADER when it
     * has not, or an intent is in the way. 0: only the leaseholder. Does not travel: for the
     * replica on this node. */
    uint64_t applied_min;
};

/* An intent in the way. */
struct kv_lock_info {
    struct slice key;
    struct slice primary;
    ts_t start_ts;
    ts_t min_commit_ts; /* async commit, else 0 */
    uint32_t ttl_ms;
    bool async_commit;
};

/* Filled on routing errors and ERR_KEY_LOCKED. */
struct kv_reply {
    node_id_t leader;    /* ERR_NOT_LEADER: 0 = unknown */
    unsigned desc_count; /* ERR_STALE_EPOCH: the ranges that now cover the old one */
    const struct range_desc *descs;
    struct kv_lock_info lock;  /* ERR_KEY_LOCKED: an intent of another transaction */
    struct slice conflict_key; /* ERR_KEY_EXISTS, ERR_WRITE_CONFLICT, ERR_LOCK_LOST */
};

struct kv_pair {
    struct slice key;
    struct slice value;
};

/* INSERT: exclusive, of a key that is to be inserted: waits for span locks of others too. */
enum kv_lock_mode { KV_LOCK_NONE, KV_LOCK_SHARED, KV_LOCK_EXCLUSIVE, KV_LOCK_INSERT };
enum kv_wait { KV_WAIT, KV_NOWAIT, KV_SKIP_LOCKED };

struct kv_value {
    bool found;
    bool skipped;    /* KV_SKIP_LOCKED left it out */
    ts_t version_ts; /* commit_ts of the newest version, also of a deletion; 0 = none kept */
    struct slice value;
};

struct kv_get_req {
    struct kv_request r;
    struct slice key;
    ts_t read_ts; /* TS_MAX: newest */
    ts_t own_ts;  /* start_ts of the reader's transaction or 0; own intents are no obstacle */
};

struct kv_multi_get_req {
    struct kv_request r;
    const struct slice *keys; /* ascending */
    size_t count;
    ts_t read_ts;
    ts_t own_ts;
};

struct kv_scan_req {
    struct kv_request r;
    struct slice start;
    struct slice end; /* both inside the range */
    bool reverse;
    bool keys_only;
    uint32_t rows_max; /* > 0 */
    size_t bytes_max;  /* ends after the row that reaches it */
    ts_t read_ts;      /* ignored with a lock mode: newest */
    ts_t own_ts;
    enum kv_lock_mode lock; /* locks each row returned */
    enum kv_wait wait;
    uint32_t lock_wait_ms;
    bool gaps; /* with a lock mode: and keeps others from inserting into what was read */
    /* Without a lock mode and forward; count not 0: of the rows only the first under each of these
     * beginnings of keys (ascending). A node of an earlier version answers with all rows. */
    const struct slice *under;
    size_t under_count;
};

struct kv_scan_resp {
    struct kv_pair *pairs;
    ts_t *versions; /* with a lock mode: version_ts by row, else NULL */
    size_t count;
    bool more;           /* go on at resume */
    struct slice resume; /* forward: the next start; reverse: the next end */
    uint64_t lock_term;  /* with a lock mode */
};

/* What becomes of the lock of a key that is not there: it stays; the key is locked against inserts
 * only, for which others may do the same; it goes. */
enum kv_absent { KV_ABSENT_LOCK, KV_ABSENT_SPAN, KV_ABSENT_FREE };

struct kv_lock_req {
    struct kv_request r;
    const struct slice *keys; /* ascending */
    size_t count;
    ts_t own_ts;
    enum kv_lock_mode mode; /* NONE: only asks for lock_term */
    enum kv_absent absent;  /* others than LOCK: not with KV_LOCK_INSERT */
    bool unread;            /* the newest versions are not asked for: values are empty */
    enum kv_wait wait;
    uint32_t lock_wait_ms; /* ERR_LOCK_WAIT_TIMEOUT after that */
    bool want_values;
};

struct kv_lock_resp {
    struct kv_value *values; /* count of the request */
    uint64_t lock_term;
};

enum kv_op { KV_PUT, KV_DELETE, KV_LOCK_ONLY };
enum kv_check {
    KV_CHECK_NONE,
    KV_CHECK_NOT_EXISTS, /* ERR_KEY_EXISTS */
    KV_CHECK_VERSION,    /* nothing newer than version_ts: ERR_WRITE_CONFLICT */
    KV_CHECK_LOCKED,     /* the row lock is held since version_ts was seen: ERR_LOCK_LOST */
};

struct kv_mutation {
    enum kv_op op;
    enum kv_check check;
    bool inserts; /* a put of a key that may not be there: waits for span locks of others */
    struct slice key;
    struct slice value;
    ts_t version_ts;
};

struct kv_prewrite_req {
    struct kv_request r;
    const struct kv_mutation *mutations; /* ascending by key, each key once */
    size_t count;
    struct slice primary; /* 1PC: one that is written, if any is; its version gets start_ts */
    ts_t start_ts;
    uint64_t lock_term; /* 0: no locks were taken in this range */
    uint32_t ttl_ms;
    bool try_1pc; /* these are all mutations of the transaction */
    bool async_commit;
    const struct slice *secondaries; /* async commit, in the primary's request */
    size_t secondary_count;
    uint32_t lock_wait_ms; /* for row locks of others on keys that are not locked; 0: the maximum */
    uint64_t shared_term;  /* 1PC: shared or span locks were given here under this term and must
                              still be  held, else ERR_LOCK_LOST; 0: there are none */
    uint32_t fences;       /* of the owner's node, as it knew when the transaction began: below what
                              is known here, the transaction may have used an old schema:
                              ERR_TXN_ABORTED */
    /* 1PC: 0 at the first try. Else the outcome of an earlier one is unknown: if it was applied, at
     * a timestamp above this, that is the answer, and if it was not it will never be. */
    ts_t retried_above;
};

struct kv_prewrite_resp {
    ts_t commit_ts;     /* 1PC: committed at; else 0 */
    ts_t min_commit_ts; /* async commit */
};

struct kv_txn_keys_req { /* commit, rollback */
    struct kv_request r;
    const struct slice *keys;
    size_t count;
    ts_t start_ts;
    ts_t commit_ts; /* commit only */
};

struct kv_release_req { /* forget the row locks of a transaction in this range */
    struct kv_request r;
    ts_t start_ts;
};

enum kv_txn_state { KV_TXN_RUNNING, KV_TXN_COMMITTED, KV_TXN_ROLLED_BACK };

struct kv_check_txn_req {
    struct kv_request r;
    struct slice primary;
    ts_t start_ts;
    ts_t caller_ts;        /* now, from the oracle: against the intent's ttl */
    bool rollback_missing; /* no trace of the transaction: record that it may never commit */
    /* Not 0: it may have been committed by 1PC, above this, with `primary` as the request said.
     * When it cannot be told any more (its node was fenced, or history is gone) and there is no
     * trace: ERR_SNAPSHOT_TOO_OLD. */
    ts_t retried_above;
    uint32_t fences; /* with retried_above: as for prewrite */
};

struct kv_check_txn_resp {
    enum kv_txn_state state;
    ts_t commit_ts;    /* COMMITTED */
    uint32_t ttl_ms;   /* RUNNING: what is left */
    bool async_commit; /* RUNNING, expired and async: ask the secondaries */
    const struct slice *secondaries;
    size_t secondary_count;
    ts_t min_commit_ts;
};

struct kv_resolve_req { /* all intents of a transaction in [start, end) of this range, or the named
                           keys */
    struct kv_request r;
    ts_t start_ts;
    ts_t commit_ts; /* 0: roll back */
    const struct slice *keys;
    size_t count; /* 0: the whole range */
};

struct kv_heartbeat_req {
    struct kv_request r;
    struct slice primary;
    ts_t start_ts;
    uint32_t ttl_ms;
};

struct kv_delete_range_req {
    struct kv_request r;
    struct slice start;
    struct slice end;
};

/* What ended transactions have left in a range. The caller knows that no transaction with a
 * start_ts below `before` runs any more anywhere. */
struct kv_sweep_req {
    struct kv_request r;
    ts_t before;
    bool drop; /* false: ERR_KEY_LOCKED with an intent of such a transaction, if there is one; true:
                  drops their records, when the caller has found that no range has one */
};

/* From which place of the range's log on does a replica have everything that is committed at or
 * below ts, a timestamp that was given before the call, as a version or an intent? Waits for what
 * is on its way. True as long as the epoch's version is that of the request. */
struct kv_closed_req {
    struct kv_request r;
    ts_t ts;
    bool no_wait; /* ERR_BUSY instead */
};

struct kv_closed_resp {
    uint64_t index;
};

struct kv_estimate_req {
    struct kv_request r;
    struct slice start;
    struct slice end; /* empty: to the end of the range */
};

struct kv_estimate_resp {
    uint64_t rows;
    uint64_t bytes;
};

/* A fragment of a plan, to be run over [start, end) at read_ts. What it is made of, and what comes
 * back, is SQL's (sql/pushdown): bytes here. */
struct kv_fragment_req {
    struct kv_request r;
    struct slice start;
    struct slice end; /* both inside the range; empty: the range's own */
    ts_t read_ts;
    ts_t own_ts;
    struct slice plan;
    size_t bytes_max; /* the page ends soon after it has grown to that */
};

struct kv_fragment_resp {
    struct slice page; /* of the keys before resume */
    bool more;         /* go on at resume */
    struct slice resume;
};

struct kv_service {
    const struct kv_service_ops *ops;
};

struct kv_service_ops {
    const char *name;
    db_err (*get)(struct kv_service *s, const struct kv_get_req *req, struct diag *diag,
                  struct kv_reply *reply, struct kv_value *ret_value);
    db_err (*multi_get)(struct kv_service *s, const struct kv_multi_get_req *req, struct diag *diag,
                        struct kv_reply *reply, struct kv_value *ret_values);
    db_err (*scan)(struct kv_service *s, const struct kv_scan_req *req, struct diag *diag,
                   struct kv_reply *reply, struct kv_scan_resp *ret_resp);
    /* Keys locked before an error stay locked (the transaction releases them at its end). */
    db_err (*lock)(struct kv_service *s, const struct kv_lock_req *req, struct diag *diag,
                   struct kv_reply *reply, struct kv_lock_resp *ret_resp);
    db_err (*prewrite)(struct kv_service *s, const struct kv_prewrite_req *req, struct diag *diag,
                       struct kv_reply *reply, struct kv_prewrite_resp *ret_resp);
    db_err (*commit)(struct kv_service *s, const struct kv_txn_keys_req *req, struct diag *diag,
                     struct kv_reply *reply);
    db_err (*rollback)(struct kv_service *s, const struct kv_txn_keys_req *req, struct diag *diag,
                       struct kv_reply *reply);
    db_err (*release)(struct kv_service *s, const struct kv_release_req *req, struct diag *diag,
                      struct kv_reply *reply);
    db_err (*check_txn)(struct kv_service *s, const struct kv_check_txn_req *req, struct diag *diag,
                        struct kv_reply *reply, struct kv_check_txn_resp *ret_resp);
    db_err (*resolve)(struct kv_service *s, const struct kv_resolve_req *req, struct diag *diag,
                      struct kv_reply *reply);
    db_err (*heartbeat)(struct kv_service *s, const struct kv_heartbeat_req *req, struct diag *diag,
                        struct kv_reply *reply);
    db_err (*delete_range)(struct kv_service *s, const struct kv_delete_range_req *req,
                           struct diag *diag, struct kv_reply *reply);
    db_err (*sweep)(struct kv_service *s, const struct kv_sweep_req *req, struct diag *diag,
                    struct kv_reply *reply);
    db_err (*closed)(struct kv_service *s, const struct kv_closed_req *req, struct diag *diag,
                     struct kv_reply *reply, struct kv_closed_resp *ret_resp);
    /* Rows and bytes of [start, end), roughly; exact when there are few. */
    db_err (*estimate)(struct kv_service *s, const struct kv_estimate_req *req, struct diag *diag,
                       struct kv_reply *reply, struct kv_estimate_resp *ret_resp);
    /* May be NULL. ERR_UNSUPPORTED: the fragment cannot be run here, or had something to say to the
     * user (a warning, an error): the caller runs it itself. */
    db_err (*fragment)(struct kv_service *s, const struct kv_fragment_req *req, struct diag *diag,
                       struct kv_reply *reply, struct kv_fragment_resp *ret_resp);
};

/* What the transactions of a node read, now and later: exactly at the snapshots, else at or above
 * floor. */
struct kv_reads {
    ts_t floor;
    const ts_t *snapshots; /* ascending, below floor */
    size_t count;          /* at most KV_READS_MAX */
};
enum { KV_READS_MAX = 256 };

/* ---- waits, for finding deadlocks ---- */

/* At the node that says so, transaction `waiter` waits for a lock that `blocker` has, or is before
 * it in getting. A wait has a number at its node; it is one edge for each transaction in its way,
 * or less: what follows from others may be left out. */
struct kv_wait_edge {
    uint64_t wait;
    ts_t waiter;
    ts_t blocker;
};
/* Edges of waits for other things than rows have numbers with the upper bit, and two more that say
 * how dear the wait is: of a cycle the cheapest ends. Sessions are waiters and blockers there, with
 * the upper bit (sql/storage/coord.h). */
#define KV_WAIT_OTHER ((uint64_t)1 << 63)
static inline unsigned kv_wait_price(uint64_t wait)
{
    return (wait & KV_WAIT_OTHER) == 0 ? 0 : (unsigned)(wait >> 61 & 3);
}
enum { KV_WAITS_MAX = 4096 }; /* edges of a report */

/* ---- members of the cluster ---- */

enum { NODE_ADDRESS_MAX = 128, NODE_VERSION_MAX = 32 };

/* What was decided about a member; kept in the meta range. */
enum node_state {
    NODE_ACTIVE,
    NODE_DECOMMISSIONING, /* its replicas move away */
    NODE_LEFT,            /* holds nothing; its id is never used again */
};
enum node_liveness { NODE_DEAD, NODE_SUSPECT, NODE_ALIVE };
enum node_flag {
    NODE_DRAINING = 1,  /* takes no leases and no clients: about to stop */
    NODE_DISK_FULL = 2, /* takes no replicas */
};

struct node_info {
    node_id_t id;
    enum node_state state;
    uint64_t boot_id; /* another at each start of the process */
    char rpc[NODE_ADDRESS_MAX];
    char mysql[NODE_ADDRESS_MAX];
    char admin[NODE_ADDRESS_MAX];
    char version[NODE_VERSION_MAX]; /* of the program it runs */
    unsigned flags;                 /* enum node_flag */
    uint32_t ranges;                /* replicas it holds */
    uint32_t leases;                /* ranges it leads */
    enum node_liveness liveness;    /* as the meta range's leader sees it */
    uint32_t heard_ms;              /* since its last heartbeat */
    uint32_t incarnation;           /* how often its store was opened; 0: not known */
    uint32_t fences;                /* how often others went on without it (meta_service.fence) */
    uint32_t load;                  /* of the ranges it leads, together */
};

struct node_directory {
    uint8_t cluster_id[16];
    node_id_t you;    /* the id given to one that joins */
    uint64_t version; /* grows with each change of `nodes` but liveness and counts */
    uint64_t meta_term;
    uint64_t asked_ns; /* when it was asked for, by the clock of who asked; does not travel */
    uint64_t wall_us;  /* the wall clock of who answers; decides nothing. 0: not told */
    struct kv_reads safe_point; /* what garbage collection must keep; floor 0: everything */
    struct node_info *nodes;
    unsigned count;
    /* For one that joins a cluster with TLS: the CA's certificate, and its own with its key, as
     * PEM. Empty otherwise. */
    struct slice ca_cert;
    struct slice cert;
    struct slice key;
};

/* Meta service: what the client side asks of the meta range. Errors of all calls besides
 * those of a KV call: ERR_NOT_LEADER, with the leader's node id (0: unknown) in diag->data. */
struct meta_service {
    const struct meta_service_ops *ops;
};

struct meta_service_ops {
    const char *name;
    /* Reserves `count` timestamps; the first is returned, they are consecutive. Strictly greater
     * than every timestamp that any call returned before this one began. ERR_DISK_FULL: none can be
     * reserved; count 0 then asks for the newest that exists, not less than any returned before,
     * which many are given: good for reading at, no name of a transaction. */
    db_err (*timestamps)(struct meta_service *s, uint32_t count, struct diag *diag,
                         ts_t *ret_first);
    /* Ranges that cover [start, end), at most max, in key order; in the arena. */
    db_err (*lookup)(struct meta_service *s, struct slice start, struct slice end, unsigned max,
                     struct arena *arena, struct diag *diag, struct range_desc **ret_descs,
                     unsigned *ret_count);
    /* Numbers of a named counter, as storage_sequence_next (sql/storage/storage.h). count 0 takes
     * none: it makes sure that later ones are above floor, and answers with the next one. */
    db_err (*sequence_next)(struct meta_service *s, struct slice name, uint64_t floor,
                            uint64_t count, uint64_t step, uint64_t offset, struct diag *diag,
                            uint64_t *ret_first);
    /* What the node's transactions read; every second or so. Garbage collection keeps it. */
    db_err (*report_reads)(struct meta_service *s, node_id_t node, const struct kv_reads *reads,
                           struct diag *diag);
    /* `node` leads these ranges, which are as described. */
    db_err (*ranges_changed)(struct meta_service *s, node_id_t node, const struct range_desc *descs,
                             unsigned count, struct diag *diag);
    /* A node without identity becomes a member. ERR_INVALID: the token is wrong. */
    db_err (*join)(struct meta_service *s, struct slice token, const struct node_info *self,
                   struct arena *arena, struct diag *diag, struct node_directory *ret_dir);
    /* A member tells that it lives, and where; it learns who else does. ERR_NOT_FOUND: it is no
     * member (any more). ERR_EXISTS: its id is in use by a living process of another boot id. */
    db_err (*heartbeat)(struct meta_service *s, const struct node_info *self, struct arena *arena,
                        struct diag *diag, struct node_directory *ret_dir);
    /* ERR_NOT_FOUND; ERR_INVALID for a step that is not possible. */
    db_err (*set_node_state)(struct meta_service *s, node_id_t node, enum node_state state,
                             struct diag *diag);
    /* The caller wants to go on without a node that has not been heard of for silent_ms. ERR_OK: it
     * counts as fenced, and learns that (its `fences`) from the next heartbeat that is answered.
     * ERR_EXISTS: it was heard of since. ERR_NOT_FOUND. */
    db_err (*fence)(struct meta_service *s, node_id_t node, uint32_t silent_ms, struct diag *diag);
    /* The waits at the node now, for row locks of its ranges and others, ascending by `wait`, at
     * most KV_WAITS_MAX; a node has one report under way at a time. Back come those that are to end
     * with a deadlock, in the arena. ERR_LIMIT. */
    db_err (*report_waits)(struct meta_service *s, node_id_t node, const struct kv_wait_edge *edges,
                           unsigned count, struct arena *arena, struct diag *diag,
                           uint64_t **ret_victims, unsigned *ret_count);
};

#endif
