/* The replicas of one node: each range's Raft group driven against the shared log and the engine.
 *
 * A range is [start, end) of the key space. Its replica evaluates KV commands (node/eval), hands
 * their results to Raft, and applies what is committed. Reads run on the loop of the fiber that
 * asks; the Raft side of a range is driven by one loop at a time (see inbox.c).
 *
 * Durability: a write is acknowledged when its entry is durable in the Raft log and applied to the
 * engine, whose own writes need not be durable: after a crash the log is replayed from the applied
 * index that the engine holds durably. */
#ifndef SKEIN_NODE_RANGE_RANGE_H
#define SKEIN_NODE_RANGE_RANGE_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/loop.h"
#include "node/eval/eval.h"
#include "node/log/log.h"
#include "node/range/space.h"
#include "node/range/transport.h"
#include "node/store/engine.h"
#include "proto/kv_api.h"

struct range_store;

/* The first two ranges of a new cluster. */
enum { RANGE_ID_META = 1, RANGE_ID_FIRST = 2, RANGE_ID_NEXT = 3 };
enum { STORE_FORMAT_VERSION = 1 };

/* What the range store needs of the layer above it (node/meta). */
struct range_hooks {
    void *ctx;
    /* A timestamp greater than all given before. May park. */
    db_err (*now_ts)(void *ctx, struct diag *diag, ts_t *ret_ts);
    /* An id that no range ever had. May park. */
    db_err (*new_range_id)(void *ctx, struct diag *diag, range_id_t *ret_id);
    /* A range that this replica leads has come or changed. On the loop that drives it: must not
     * park. desc is borrowed. */
    void (*changed)(void *ctx, const struct range_desc *desc);
    /* May be NULL. This node's lease of a range has begun (everything before it is applied, reads
     * and writes are served) or ended (nothing is served any more; it may begin again in a later
     * term). begin and end of one range alternate and come in order. On the loop that drives it:
     * must not park. A lease that is about to run out because the others are not heard of is not an
     * end: whoever serves from memory asks range_store_lease_valid at each request. */
    void (*lease)(void *ctx, const struct range_desc *desc, bool held);
    /* May be NULL. The range that begins where `left` (led here) ends comes to where left is: its
     * members on the same nodes, its lease here. Not if it has more than bytes_max or is not to be
     * merged by itself (range_store_weigh); UINT64_MAX: whatever it is. Parks. ERR_BUSY (it is not
     * to be merged now), ERR_LIMIT (too large), ERR_UNAVAILABLE, and those of moving it. */
    db_err (*gather)(void *ctx, const struct range_desc *left, uint64_t bytes_max,
                     struct diag *diag);
    /* May be NULL. This node is about to hand the lease of the range over (on), or it is over,
     * however it went: what is better written down by who leads now is written meanwhile. On a
     * fiber; may park. */
    void (*handing_over)(void *ctx, range_id_t range, bool on);
    /* May be NULL. The range that holds the key, as the cluster's index knows it (never ahead of
     * what was decided, perhaps behind); in the arena. May park. */
    db_err (*where)(void *ctx, struct slice key, struct arena *arena, struct range_desc *ret_desc);
    /* May be NULL. lock_graph_watch of the store's graph. */
    bool (*lock_waits)(void *ctx);
};

struct store_ident {
    uint32_t format_version;
    uint8_t cluster_id[16];
    node_id_t node_id;
};

struct range_store_opts {
    struct loop_group *loops;
    struct engine *engine;
    struct raft_log *log;
    struct replica_transport *transport; /* NULL: groups of one member only. Outlives the store */
    /* Of an empty engine: write this identity and hold no range; members of other nodes' ranges
     * come by range_store_receive_snapshot. NULL: bootstrap a new cluster. Read during open only.
     */
    const struct store_ident *join;
    /* A directory on the engine's file system for snapshots on their way in; made if it is not
     * there, emptied at the start. Copied. NULL: this node takes no snapshots. */
    const char *snapshot_dir;
    /* The log is kept (within bounds) for a member that was heard of within this time; 0: a minute
     */
    uint32_t member_away_ms;
    /* By a replica that does not know what the others have, between once and twice this time; 0: 10
     * s
     */
    uint32_t log_keep_ms;
    uint64_t snapshot_rate_max;      /* bytes per second sent, all snapshots together; 0: 128 MiB */
    const struct range_hooks *hooks; /* outlives the store */
    uint64_t range_size_max;         /* split above; 0: 256 MiB */
    uint64_t log_size_max; /* Raft log bytes above which the engine is flushed to free it; 0: 64
                              MiB */
    /* Small neighbours without load are merged when neither was split for so long; 0: never */
    uint32_t merge_after_ms;
    uint32_t split_load;    /* units of load per second above which a range of several members is
                               split; 0: never. See load.c */
    size_t lock_memory_max; /* of one range's lock table; 0: its default */
    size_t lock_pack_from;  /* struct lock_table_opts; 0: its default */
    /* The file system to be watched, and what is kept back on it (space_prepare). The path outlives
     * the store. NULL: it is not watched. */
    const char *data_dir;
    struct space_plan space;
    /* The node cannot go on (the log or the engine failed): once, from any thread. */
    void (*on_fatal)(void *arg, db_err err, const char *text);
    void *on_fatal_arg;
};

/* Opens all replicas of the engine. A new engine becomes the first node of a new cluster, or with
 * opts->join a node of that cluster without ranges. From a fiber on a loop of the group; parks. The
 * replicas begin to run at once: what the log holds beyond the engine is applied again. Errors:
 * ERR_UNSUPPORTED (another format version), ERR_INVALID (the engine belongs to another cluster or
 * node than opts->join says), ERR_CORRUPT, ERR_IO, ERR_NOMEM, ERR_DISK_FULL. */
MUST_USE db_err range_store_open(const struct range_store_opts *opts, struct diag *diag,
                                 struct range_store **ret_store);
/* Waits until every replica of this node either leads, has caught up with its log and has a lease,
 * or knows a leader on another node. Parks. ERR_TIMEOUT, ERR_IO. */
MUST_USE db_err range_store_wait_ready(struct range_store *rs, uint64_t deadline_ns);
/* What range_store_wait_ready still waits for. */
struct range_unready {
    unsigned count;
    range_id_t first; /* one of them */
    bool alone;       /* one of them has no other member: it waits for its log alone */
};
void range_store_unready(struct range_store *rs, struct range_unready *ret_unready);
/* Refuses new proposals, lets those in flight end, ends the store's own fibers. Parks. After that
 * the log and the engine can be closed. */
void range_store_stop(struct range_store *rs);
/* Frees all. Stopped, and no call is under way. NULL is fine. */
void range_store_free(struct range_store *rs);

/* The identity that an engine holds, before it is opened as a store. Blocks. ERR_UNSUPPORTED,
 * ERR_CORRUPT, ERR_IO. */
MUST_USE db_err range_store_read_ident(struct engine *e, struct diag *diag, bool *ret_found,
                                       struct store_ident *ret_ident);
struct store_ident range_store_ident(const struct range_store *rs);
/* Who waits for row locks of the node's ranges; lives as long as the store. */
struct lock_graph *range_store_lock_graph(const struct range_store *rs);
struct engine *range_store_engine(const struct range_store *rs);
uint32_t range_store_incarnation(const struct range_store *rs); /* how often it was opened */

/* ---- from other nodes (see transport.h) ---- */

/* A message of the range's group. From any thread of the loop group; never parks. The message is
 * borrowed; references of its entries' blobs are taken. Messages to a replica that is not here are
 * answered as their kind wants (a snapshot is asked for; who was removed is told). */
void range_store_receive(struct range_store *rs, node_id_t from, range_id_t range,
                         const struct raft_msg *msg);
void range_store_receive_link(struct range_store *rs, node_id_t from, const struct link_msg *msg);
/* A snapshot comes in: reads all of it, then makes it visible, atomically and durably. The return
 * is the verdict that the sender gets. From a fiber; parks. Errors: ERR_BUSY (too many at one time,
 * or in the way of another range that has to be split first: later again), ERR_INVALID (stale, or
 * not for this node), ERR_CORRUPT, ERR_DISK_FULL, ERR_IO, ERR_NOMEM, and the reader's. */
MUST_USE db_err range_store_receive_snapshot(struct range_store *rs, node_id_t from,
                                             struct slice header, struct snapshot_reader *reader,
                                             struct diag *diag);
/* The connection to a node broke: what was sent to it lately may be lost. A hint; any thread of the
 * loop group; never parks. */
void range_store_peer_down(struct range_store *rs, node_id_t node);
/* What the members' directory says of a node: whether it lives decides about the row locks of its
 * transactions. Any thread; does not park. */
void range_store_note_member(struct range_store *rs, const struct node_info *node);
/* The loop that drives the groups of a lane. */
struct loop *range_store_lane_loop(const struct range_store *rs, unsigned lane);

/* ---- membership ---- */

enum replica_change_op { REPLICA_ADD, REPLICA_REMOVE };

struct replica_change {
    enum replica_change_op op;
    node_id_t node;
};

/* Makes the changes, all or none of the voters' at once: a new replica is first a learner that gets
 * a snapshot and catches up; then additions become voters and removals leave, in one step of the
 * group (joint when there is more than one). What is done already counts as done, so a call that
 * failed, or was cut off by a change of leaders, is repeated on the new leader: a learner that was
 * left over (kind REPLICA_LEARNER in the descriptor) is used or can be removed. On the leader;
 * parks, for as long as the new replicas take. ERR_NOT_LEADER, ERR_RANGE_NOT_FOUND, ERR_BUSY (being
 * split or changed), ERR_INVALID (no voter would be left; too many; no transport), ERR_TIMEOUT (a
 * new replica does not catch up), ERR_UNAVAILABLE, ERR_CANCELED; and those of a proposal. */
MUST_USE db_err range_store_change_replicas(struct range_store *rs, range_id_t range,
                                            const struct replica_change *changes, size_t count,
                                            struct diag *diag);
/* What becomes of row locks that do not fit the one entry of the log that takes them along: is the
 * lease not handed over, or are they lost, as with a node that dies (their transactions are refused
 * at the commit, unless nobody came between)? Only who has no choice may lose them. */
enum lease_locks { LEASE_WITH_LOCKS, LEASE_MAY_LOSE_LOCKS };

/* Hands the lease to the voter on that node: writes wait, none of them fails for it. Parks until it
 * has it. To this node itself: nothing to do if it holds it. ERR_NOT_LEADER, ERR_RANGE_NOT_FOUND,
 * ERR_INVALID (no voter there), ERR_BUSY (being split or changed; row locks that cannot go along:
 * later), ERR_UNAVAILABLE (it does not answer, or is behind), ERR_TIMEOUT (it did not take it: this
 * node goes on). */
MUST_USE db_err range_store_transfer_lease(struct range_store *rs, range_id_t range, node_id_t node,
                                           enum lease_locks locks, struct diag *diag);
/* The term of this node's lease of the range if it holds it at this moment, else 0. A few loads;
 * any thread. What was read from the range's state between two calls that return the same term was
 * true all the time in between. */
uint64_t range_store_lease_term(struct range_store *rs, range_id_t range);
/* Does this node hold the range's lease at this moment? A few loads; any thread. */
bool range_store_lease_valid(struct range_store *rs, range_id_t range);

/* The replica of a range as node/eval sees it, for a command, across all its parks: it stays until
 * the caller is done with it, in the same fiber, also when the range is merged away or moves
 * meanwhile (its checks say so then). On a loop of the store. ERR_RANGE_NOT_FOUND. */
MUST_USE db_err range_store_find(struct range_store *rs, range_id_t id,
                                 struct eval_range **ret_range);
void range_store_done(struct eval_range *range);
/* Calls fn for each replica with its present descriptor (borrowed), in no order, until it fails.
 * serving: its lease is here. Any thread; fn may not park. */
MUST_USE db_err range_store_each(struct range_store *rs,
                                 db_err (*fn)(void *arg, const struct range_desc *desc,
                                              bool serving),
                                 void *arg);

/* lock_table_look on the tables of all ranges of this node. */
struct lock_info;
MUST_USE db_err range_store_look_locks(struct range_store *rs,
                                       db_err (*fn)(void *arg, const struct lock_info *l),
                                       void *arg);

/* Replicates and applies a batch of node/meta's own, without evaluation, on a range that this node
 * leads in that term (0: any), ERR_NOT_LEADER otherwise. Parks. Errors as eval_range_ops.propose.
 */
MUST_USE db_err range_store_write(struct range_store *rs, range_id_t id, uint64_t lease_term,
                                  const struct store_batch *batch, struct diag *diag);

/* Splits the range so that a new one begins at `at`. Parks. ERR_INVALID: not strictly inside;
 * ERR_NOT_LEADER, ERR_RANGE_NOT_FOUND, ERR_BUSY (being split), and those of a proposal. */
MUST_USE db_err range_store_split(struct range_store *rs, range_id_t id, struct slice at,
                                  struct diag *diag, range_id_t *ret_new_id);

/* Merges the range with its right neighbour, which is no more afterwards: its keys, locks and
 * intents are this one's. This one is led here; the other is gathered if it is elsewhere (hooks).
 * All members of both must be up to date. Writes to both wait, reads of the right one too, for some
 * milliseconds. Parks. ERR_INVALID (nothing to the right; the meta range), ERR_NOT_LEADER,
 * ERR_RANGE_NOT_FOUND (the right one is not here), ERR_BUSY (being split or changed),
 * ERR_UNAVAILABLE (a member of one does not answer or is behind, or they are on different nodes),
 * ERR_TIMEOUT; and those of a proposal: after ERR_COMMIT_UNKNOWN it is merged or goes on as it was
 * within seconds. */
MUST_USE db_err range_store_merge(struct range_store *rs, range_id_t left, struct diag *diag,
                                  range_id_t *ret_right);
/* Its bytes, roughly, if the range may be merged by itself: led here, not split lately, without
 * much load. Parks. ERR_BUSY otherwise; ERR_NOT_LEADER, ERR_RANGE_NOT_FOUND. */
MUST_USE db_err range_store_weigh(struct range_store *rs, range_id_t id, struct diag *diag,
                                  uint64_t *ret_bytes);
/* One round of merging what is small; for tests. Parks. */
void range_store_merge_round(struct range_store *rs);
/* Where requests for a range that was merged away are to go: the descriptor of the range of this
 * node that has its keys, or, a while after, that had them when it was merged (and may have been
 * split since); in the arena. From a fiber. ERR_RANGE_NOT_FOUND. */
MUST_USE db_err range_store_redirect(struct range_store *rs, range_id_t gone, struct arena *arena,
                                     struct range_desc *ret_desc);

struct range_member_status {
    node_id_t node;
    uint64_t replica_id;
    enum replica_kind kind;
    uint64_t match; /* durable there as far as the leader knows; 0 when this is not the leader */
    bool caught_up; /* has all of the log, or replicates: no probing, no wait for a snapshot */
    bool live;      /* has answered within an election time-out */
};

struct range_status {
    range_id_t id;
    bool serving;
    uint64_t replica_id;
    node_id_t leader_node; /* 0: unknown */
    enum raft_role role;   /* this and the rest below: as of the last 100 ms */
    bool quiescent;
    uint64_t raft_term;
    unsigned member_count;
    struct range_member_status members[RAFT_MEMBERS_MAX];
    uint64_t term;
    uint64_t applied;
    uint64_t compacted;
    uint64_t size;       /* bytes, as of the last check */
    unsigned owner_loop; /* of the moment; UINT32_MAX: at rest */
    uint64_t proposals;
    uint64_t load; /* units per second, of late (load.c) */
};
MUST_USE db_err range_store_status(struct range_store *rs, range_id_t id,
                                   struct range_status *ret_status);

/* Are new writes refused for want of space? Cheap; any thread. */
bool range_store_disk_full(const struct range_store *rs);

struct range_store_stats {
    uint64_t ranges;
    uint64_t proposals;
    uint64_t log_submits;
    uint64_t applies; /* engine batches */
    uint64_t applied_entries;
    uint64_t owner_moves; /* a range at rest was taken by another loop */
    uint64_t splits;
    uint64_t merges;
    uint64_t forced_flushes;
    bool disk_full;
    uint64_t leases; /* ranges whose lease is here */
    uint64_t asleep; /* replicas that are quiescent */
    uint64_t messages_in;
    uint64_t messages_out;
    uint64_t snapshots_sent; /* and taken by their receivers */
    uint64_t snapshots_received;
    uint64_t snapshot_bytes_sent;
    uint64_t replicas_removed;
    uint64_t load;    /* units per second of the ranges that are led here */
    uint64_t objects; /* in memory that stand, or stood, for a replica */
    uint64_t gone;    /* ranges that are not here any more and whose fate is kept in memory */
};
void range_store_get_stats(struct range_store *rs, struct range_store_stats *ret_stats);

/* One round of upkeep now (log truncation, size splits); for tests and tools. Parks. */
void range_store_upkeep(struct range_store *rs, bool force_flush);

/* ---- formats (docs/formats/range.md) ---- */

/* Encodes at the end of b. */
MUST_USE db_err range_desc_encode(struct buf *b, const struct range_desc *desc);
/* Keys are copied to the arena. ERR_CORRUPT, ERR_NOMEM. */
MUST_USE db_err range_desc_decode(struct slice bytes, struct arena *arena,
                                  struct range_desc *ret_desc);
MUST_USE db_err range_desc_copy(struct arena *arena, const struct range_desc *desc,
                                struct range_desc *ret_desc);
static inline bool range_desc_contains(const struct range_desc *d, struct slice key)
{
    return slice_cmp(key, d->start) >= 0 && (d->end.len == 0 || slice_cmp(key, d->end) < 0);
}

#endif
