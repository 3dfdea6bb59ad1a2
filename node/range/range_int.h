/* Private to node/range. */
#ifndef SKEIN_NODE_RANGE_RANGE_INT_H
#define SKEIN_NODE_RANGE_RANGE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/ebr.h"
#include "base/fiber.h"
#include "base/list.h"
#include "base/periodic.h"
#include "node/range/gone.h"
#include "node/range/limits.h"
#include "node/range/range.h"

struct replica;
struct range_loop;
struct receiving;

/* ---- what a replica is told (inbox.c) ---- */

enum inbox_kind {
    INBOX_PROPOSE,     /* struct proposal */
    INBOX_OPENED,      /* the Raft core is there */
    INBOX_LEASE_READY, /* the lock table is ready for the lease */
    INBOX_COMPACT,
    INBOX_FETCHED,
    INBOX_RAFT, /* struct raft_in: a message of another member */
    INBOX_CALL, /* struct call_msg */
};

struct inbox_msg {
    struct inbox_msg *next;
    enum inbox_kind kind;
};

enum entry_kind {
    ENTRY_BATCH = 1,
    ENTRY_SPLIT = 2,
    ENTRY_REPLICAS = 3, /* where new replicas are; see membership.c */
    ENTRY_FREEZE = 4,   /* the three of a merge; see merge.c */
    ENTRY_THAW = 5,
    ENTRY_MERGE = 6,
    ENTRY_LOCKS = 7, /* row locks for the next leader; see handover.c */
};
enum { ENTRY_KIND_LAST = ENTRY_LOCKS };

/* Row locks as of this place in the log. */
struct handed_locks {
    uint64_t index; /* 0: none */
    uint8_t *bytes;
    size_t len;
};

struct split_ctx {
    struct replica *right; /* made in advance, not registered; taken by apply */
};

/* Lives on the stack of the fiber that waits for it. */
struct proposal {
    struct inbox_msg msg;
    struct list link; /* waiting, in flight, or being applied */
    enum entry_kind kind;
    uint64_t epoch_version; /* the entry is void under another */
    uint64_t lease_term;    /* 0: any */
    struct slice payload;
    struct split_ctx *split;
    bool moves_locks; /* of a merge: the right range's evaluation is frozen here */
    uint64_t index;
    uint64_t term;
    db_err result;
    struct waiter waiter;
};

struct compact_msg {
    struct inbox_msg msg;
    uint64_t index; /* durably applied */
    bool short_of_space;
    struct waiter waiter;
};

struct lease_msg {
    struct inbox_msg msg;
    uint64_t term;
    db_err err;
};

/* Owns itself and references of the entries' blobs. */
struct raft_in {
    struct inbox_msg msg;
    node_id_t from;
    struct raft_msg m;
    struct raft_entry entries[];
};

/* Something to be done where the replica is driven; on the stack of the fiber that waits for it. */
struct call_msg {
    struct inbox_msg msg;
    db_err (*fn)(struct range_loop *l, struct replica *r, void *arg);
    void *arg;
    struct waiter waiter;
};

/* Log entries brought from the disk; owned by the replica once it has arrived. */
struct log_fetch {
    struct inbox_msg msg;
    struct replica *replica;
    uint64_t lo;
    uint64_t hi;
    struct arena arena;
    struct raft_log_page page;
    db_err err;
};

/* ---- a replica ---- */

struct range_view {
    struct ebr_node ebr;
    struct range_desc desc; /* its keys follow in memory */
};

struct apply_slot {
    struct list link; /* in the loop's apply batch */
    bool linked;
    uint64_t index;
    uint64_t term;
};

enum { OWNER_NONE = 0 }; /* else: index of the loop + 1 */

/* What a struct replica stands for. An EMPTY one goes when nobody uses it (retire.c): what has to
 * be remembered of it is 16 bytes in the table of what is gone. */
enum replica_state {
    REPLICA_EMPTY,      /* no member, or one that waits for its first snapshot: no core, no data */
    REPLICA_INSTALLING, /* the first snapshot is coming in */
    REPLICA_LIVE,
    REPLICA_LEAVING, /* no member any more: the data is being deleted; then EMPTY */
};
/* Where a replica is: ids are never used twice, so what was true stays true. */
struct replica_addr {
    uint64_t replica_id;
    node_id_t node;
};
enum { ADDRS_MAX = 2 * RAFT_MEMBERS_MAX };

/* For others than the owner to read. */
struct replica_info {
    enum raft_role role;
    bool quiescent;
    uint64_t raft_term;
    unsigned member_count;
    struct range_member_status members[RAFT_MEMBERS_MAX];
};

/* Commands under way on a replica, by loop: they come and go with every request, so loops do not
 * share a line. A fiber takes itself off where it has put itself on. */
enum { REPLICA_USER_STRIPES = 4 };
struct replica_users {
    _Alignas(64) _Atomic unsigned count;
};

struct replica {
    struct eval_range eval;
    struct range_store *rs;
    range_id_t id;
    uint64_t replica_id;
    struct replica *_Atomic map_next; /* changed under map_lock */

    /* Who may look at it after a park; see retire.c. */
    struct replica_users users[REPLICA_USER_STRIPES];
    _Atomic unsigned holds;
    _Atomic bool retired;         /* not in the map any more */
    struct replica *retired_next; /* guarded by upkeep_lock */
    bool claimed;                 /* nobody drives it, and nobody will; likewise */
    struct ebr_node ebr;

    /* Read by all loops. */
    struct range_view *_Atomic view;
    _Atomic uint64_t lease_term; /* 0: does not serve */
    _Atomic uint64_t lease_until_ns;
    _Atomic node_id_t leader_node;
    _Atomic uint64_t applied_index;
    _Atomic uint64_t lives; /* how often its state was given up */
    _Atomic uint64_t compacted_index;
    _Atomic uint64_t written_bytes; /* proposed since the start; the owner's, as proposal_count */
    _Atomic uint64_t size;
    _Atomic uint64_t proposal_count;
    _Atomic bool reshaping;          /* a split, merge or change of members is under way */
    _Atomic range_id_t merging_into; /* as in the descriptor */
    _Atomic bool log_left;           /* merged away; its log goes when that is durable */
    uint64_t log_left_flush;         /* set before log_left: a flush begun after this one */
    _Atomic int state;               /* enum replica_state; moves are the owner's */
    _Atomic uint64_t min_replica_id; /* lower ids never come (back) to this node */
    _Atomic range_id_t gone_into;    /* merged away: the range that it became a part of, if known */
    _Atomic bool pinned;             /* only the loop of its lane drives it; never undone */
    _Atomic bool on_lane;            /* and does */
    pthread_mutex_t info_lock;
    struct replica_info info; /* guarded by info_lock */

    /* Upkeep's. */
    uint64_t looked_at;   /* written_bytes when the size was last asked for */
    uint64_t looked_term; /* and in which term of the lease */
    bool look_again;      /* it was split, or could not be */

    _Atomic uint64_t shaped_ns; /* when it was split last, or came up */
    uint64_t merge_look_ns;     /* the merge queue's: not before that */
    _Atomic uint64_t load_units;
    struct load_sample *_Atomic load_sample; /* stays once it is there */
    _Atomic uint32_t load_rate;              /* units per second, of late */
    uint64_t load_seen, load_seen_ns;        /* upkeep's, as are these */
    uint32_t load_told;                      /* to the index of ranges, ... */
    uint64_t load_told_term;                 /* ... in this term of the lease */
    unsigned load_rounds;                    /* over the limit, in a row */
    uint64_t load_rest_ns;                   /* no split by load before that */

    /* Ownership; see inbox.c. */
    struct inbox_msg *_Atomic inbox; /* newest first */
    _Atomic unsigned owner;
    struct replica *notify_next;
    _Atomic bool notified;
    _Atomic bool kicked; /* to be looked at although the inbox may be empty */

    /* The owner's. */
    struct list dirty_link;
    bool dirty;
    struct list rest_link;
    bool resting;
    struct list awake_link; /* wants ticks */
    bool awake;
    struct list lane_link; /* of the loop's pinned ones */
    struct list asleep_link;
    _Atomic bool asleep; /* quiescent */
    struct raft *raft;   /* NULL until opened */
    uint64_t log_first;
    uint64_t log_last;    /* durable, as the core may read it */
    struct list pending;  /* proposals not yet given to the core */
    struct list inflight; /* given, in order of index */
    size_t inflight_count;
    size_t inflight_bytes;
    unsigned submits;              /* log submissions not yet completed */
    struct apply_slot slot[2];     /* by apply batch */
    struct range_view *apply_view; /* as of the last entry put into an apply batch */
    uint64_t apply_version;        /* epoch.version as of the last entry put into an apply batch */
    struct raft_conf applied_conf; /* in force at the last entry put into an apply batch */
    struct replica_addr addrs[ADDRS_MAX];
    unsigned addr_count;
    unsigned addr_next; /* to be overwritten when full */
    bool leading;
    uint64_t lead_term;
    uint64_t lead_index;        /* of the first entry of this leader's term */
    struct handed_locks handed; /* by a leader before */
    struct handed_locks taken;  /* ... and the lease that begins takes them */
    bool lease_told;            /* hooks->lease(true) was called */
    uint64_t kept_bytes;        /* retain.c */
    uint64_t keep_from[2];
    uint64_t keep_mark, keep_old, keep_mark_ns;
    uint64_t handed_off_ns;    /* when the lease was last offered to others for a full disk */
    uint64_t asked_ns;         /* when others were last asked whether this is a member */
    uint64_t looked_up_ns;     /* when the index was; the upkeep fiber's */
    _Atomic uint64_t heard_ns; /* of a leader */
    uint64_t snapshot_hold;    /* the log keeps what comes after it while snapshots_out */
    uint64_t orphan_since_ns;  /* members without a state keep it from being elected */
    uint64_t orphan_heard_ns;
    uint64_t offer_failed;    /* a member whose snapshot could not be begun */
    struct receiving *staged; /* what the core is being asked about */
    /* Of the snapshot that is being received for a replica with a core, until it is installed or
     * given up; guarded by map_lock. */
    const struct range_desc *incoming;
    bool installing;
    _Atomic bool receiving;
    unsigned snapshots_out;             /* on their way to others */
    _Atomic uint64_t snapshot_progress; /* chunks sent */
    uint64_t campaign_until_ns; /* after a split: stands for election until there is a leader */
    struct loop_timer campaign_timer;
    uint64_t lease_wait_index; /* the lease begins when this is applied; 0: nothing awaited */
    bool lease_starting;
    bool keep_locks; /* the locks are those of before: the lease that begins keeps them */
    struct lease_msg lease_msg;
    struct inbox_msg opened_msg;
    struct raft *opened;     /* the core that comes with opened_msg; `raft` from then on */
    struct merge_hold *hold; /* applying waits for the range to be merged; see merge_apply.c */
    bool resync;             /* leaving to come back by a snapshot */
    uint64_t want_lo;        /* the core asked for entries that are not in memory; 0: it did not */
    uint64_t want_hi;
    bool fetching;
    struct log_fetch *fetched;
    db_err broken; /* the core failed: the replica is stopped */
    bool ran;      /* a core of it has run since the store was opened */
};

static inline struct replica *replica_of(struct eval_range *r)
{
    return CONTAINER_OF(r, struct replica, eval);
}

/* ---- a loop's part (turn.c, ready.c, apply.c) ---- */

struct submit_item {
    struct replica *replica;
    uint64_t persist_seq; /* 0: a part of a larger write */
    bool has_hard_state;
    struct raft_hard_state hard_state;
    size_t first; /* of the submission's entries */
    size_t count;
    uint64_t compact_index; /* != 0: a compaction instead */
    uint64_t compact_term;
};

/* One batch given to the log, with what is needed to give it once more. */
struct submission {
    struct list link;
    struct range_loop *loop;
    struct raft_log_batch *batch; /* while being filled */
    struct submit_item *items;
    size_t item_count;
    size_t item_cap;
    struct raft_entry *entries; /* with references on their blobs */
    size_t entry_count;
    size_t entry_cap;
    bool full; /* takes no more */
};

enum change_kind {
    CHANGE_SPLIT,
    CHANGE_DESC, /* of members, or frozen or not */
    CHANGE_MERGE,
};

/* A side effect of an applied entry, once the engine has it: the range's descriptor has changed. */
struct applied_change {
    struct list link;
    struct replica *replica;
    struct range_view *view;
    struct replica *right;         /* a split, and its right half is here */
    struct range_view *right_view; /* that was EMPTY before; NULL: it is a new one */
    bool moved_locks;
    bool right_led; /* a merge: the right range's lease was here to the end */
    enum change_kind kind;
    bool gone; /* this replica is none any more */
};

struct apply_batch {
    struct engine_wbatch *wb;
    struct list slots;     /* struct apply_slot */
    struct list proposals; /* to be woken */
    struct list changes;   /* struct applied_change */
    uint64_t entries;
};

struct range_loop {
    struct range_store *rs;
    struct loop *loop;
    unsigned index;
    struct list dirty;
    struct list resting; /* worked on in this round: may go to rest */
    struct list awake;
    struct loop_timer tick_timer;
    bool ticking;
    struct list pinned; /* replicas that this loop alone drives (lane.c) */
    struct list asleep;
    struct loop_timer beat_timer;
    bool beating;
    unsigned beats;
    bool links_dirty; /* the groups of each link are to be counted anew */
    bool sent;        /* messages were given to the transport, which is to be flushed */
    struct loop_task turn_task;
    bool turn_queued;
    struct loop_task notify_task;
    struct replica *_Atomic notify_head;

    struct submission *filling;
    struct list free_submissions;
    struct list failed; /* submissions to be repeated, in order */
    struct list held;   /* to be submitted after those */
    struct loop_timer retry_timer;
    unsigned submits;

    struct apply_batch apply[2];
    unsigned apply_cur; /* is being filled */
    bool applying;      /* the other one is with a fiber, because the engine stalled */
    struct raft_log_entry *scratch;
    size_t scratch_cap;
};

/* A lane's link to another node, the loop's of the lane alone. */
struct lane_link {
    struct raft_link link;
    bool live;       /* heard of, and both directions hold */
    bool full;       /* its disk, as it says */
    unsigned groups; /* ranges of the lane with a member on both nodes */
};

struct peer {
    struct peer *next; /* set before it is published */
    node_id_t node;
    _Atomic uint32_t incarnation; /* the newest that was heard of; 0: none */
    _Atomic unsigned silent;      /* looks since it was heard of (owners.c) */
    _Atomic bool left;            /* the cluster, for good */
    _Atomic uint32_t fences;      /* how often others went on without it */
    struct lane_link lanes[RAFT_LANES];
};

/* What upkeep knows of flushes, in bytes of the log's statistics. Guarded by upkeep_lock. */
struct flush_state {
    bool begun;
    uint64_t replayed; /* from before the start and not flushed since */
    uint64_t flushed_bytes;
    uint64_t last_bytes;
    unsigned quiet_rounds;
};

enum { REPLICA_BUCKETS = 4096 };

struct range_store {
    struct range_store_opts opts;
    struct store_ident ident;
    struct lock_graph *graph;
    struct range_loop *loops;
    unsigned loop_count;
    struct ebr ebr; /* of views */

    pthread_mutex_t map_lock; /* guards insertion, and who may take which part of the key space */
    struct replica *_Atomic buckets[REPLICA_BUCKETS];
    struct gone_table gone; /* in no bucket: what is remembered. Moves between are under map_lock */
    struct replica *retired; /* out of the map, to be freed; guarded by upkeep_lock */
    _Atomic uint64_t replica_objects;
    _Atomic unsigned gone_looks; /* fibers that ask the engine for what the table has let go of */
    struct peer *_Atomic peers;  /* only grows; guarded by map_lock */
    uint64_t incarnation;        /* how often this store was opened */
    uint64_t opened_ns;          /* when it began to open: no replica had run before */
    char *snapshot_dir;          /* NULL: takes none */
    _Atomic unsigned snapshots_out, snapshots_in;
    _Atomic uint64_t snapshot_next_ns; /* when the rate allows more */
    _Atomic uint64_t replica_count;

    _Atomic bool stopping;
    _Atomic bool closing; /* later than stopping: nothing is sent or taken any more */
    _Atomic bool failed;
    _Atomic unsigned disk_full; /* enum full_reason; 0: writes are taken */
    struct periodic space_watch;
    _Atomic uint64_t space_free; /* bytes, when last looked */
    bool ballast;                /* the file is there; the watch's own */
    _Atomic unsigned proposers;  /* inside propose */
    struct periodic upkeep;
    struct periodic owner_watch;
    struct periodic merge_queue;
    unsigned merge_at; /* the bucket where its next round begins */
    struct fiber_mutex upkeep_lock;
    struct flush_state flush;
    _Atomic uint64_t flush_begun; /* numbers them */
    _Atomic uint64_t flush_done;  /* the last that has succeeded */
    _Atomic unsigned logs_left;
    _Atomic unsigned fibers; /* the store's own short ones */

    _Atomic uint64_t stat_proposals, stat_submits, stat_applies, stat_entries, stat_moves,
        stat_splits, stat_flushes, stat_leases, stat_asleep, stat_in, stat_out, stat_snap_sent,
        stat_snap_received, stat_snap_bytes, stat_removed, stat_merges;
};

/* ---- desc.c ---- */
enum { LOCAL_RANGE_DESC = 0x80, LOCAL_RANGE_CONF = 0x81, LOCAL_RANGE_GONE = 0x82 };
MUST_USE db_err store_conf_decode(struct slice value, struct raft_conf *ret_conf,
                                  uint64_t *ret_index);
struct range_view *range_view_new(const struct range_desc *desc); /* NULL: no memory */
void range_view_publish(struct replica *r, struct range_view *v);
/* For the owner, and for others inside a guard. */
static inline const struct range_desc *replica_desc(const struct replica *r)
{
    return &atomic_load(&r->view)->desc;
}
MUST_USE db_err store_put_desc(struct engine_wbatch *wb, const struct range_desc *desc);
MUST_USE db_err store_put_conf(struct engine_wbatch *wb, range_id_t id,
                               const struct raft_conf *conf, uint64_t conf_index);
MUST_USE db_err store_put_ident(struct engine_wbatch *wb, const struct store_ident *ident);
MUST_USE db_err store_get_ident(struct engine *e, struct diag *diag, bool *ret_found,
                                struct store_ident *ret_ident);
MUST_USE db_err store_get_conf(struct engine *e, range_id_t id, struct raft_conf *ret_conf,
                               uint64_t *ret_index);
/* Calls fn for each descriptor in the engine. Blocks. */
MUST_USE db_err store_each_desc(struct engine *e, struct diag *diag,
                                db_err (*fn)(void *arg, const struct range_desc *desc), void *arg);
/* Counts the opens: durably one more than ever before. */
MUST_USE db_err store_next_incarnation(struct engine *e, struct diag *diag, uint64_t *ret_number);
/* In the place of a descriptor: nothing of the range is here, and replicas below min_replica_id
 * never will be. Bounds not NULL: what the engine has of them is to be deleted. keep_log: the hard
 * state in the log still counts (a snapshot was being installed). into: of a range that was merged
 * away, what it became a part of; 0: not known. */
struct store_gone {
    range_id_t id;
    uint64_t min_replica_id;
    range_id_t into;
    bool keep_log;
    bool has_bounds;
    struct slice start, end;
};
MUST_USE db_err store_put_gone(struct engine_wbatch *wb, const struct store_gone *gone);
/* Deletes what stands for a replica that is here: descriptor and configuration; or not: gone. */
MUST_USE db_err store_delete_desc(struct engine_wbatch *wb, range_id_t id);
MUST_USE db_err store_delete_gone(struct engine_wbatch *wb, range_id_t id);
/* The lowest replica that may be here, by that record; 0: there is none. Blocks. */
MUST_USE db_err store_min_replica(struct engine *e, range_id_t id, uint64_t *ret_min);
MUST_USE db_err store_each_gone(struct engine *e, struct diag *diag,
                                db_err (*fn)(void *arg, const struct store_gone *gone), void *arg);
/* Where a key of ENGINE_LOCAL lies, when transaction records are walked from that of `start` on. */
enum txn_record_place { TXN_RECORD_INSIDE, TXN_RECORD_OUTSIDE, TXN_RECORD_BEYOND };
enum txn_record_place txn_record_place(struct slice key, struct slice start, struct slice end);
/* Deletes all that [start, end) has in the engine (not the range's own records). Blocks. */
MUST_USE db_err store_delete_data(struct engine *e, struct engine_wbatch *wb, struct slice start,
                                  struct slice end);

/* ---- bootstrap.c ---- */
MUST_USE db_err store_bootstrap(struct range_store *rs, struct diag *diag);

/* ---- replica.c ---- */
/* Not yet in the map, no core. The descriptor names this node, or (an EMPTY one) has no replicas.
 */
MUST_USE db_err replica_new(struct range_store *rs, const struct range_desc *desc,
                            struct replica **ret_replica);
/* An EMPTY one that is to become LIVE under this descriptor. */
MUST_USE db_err replica_assign(struct replica *r, const struct range_desc *desc);
static inline bool replica_is(const struct replica *r, enum replica_state state)
{
    return atomic_load(&r->state) == (int)state;
}
/* It can be driven. */
static inline bool replica_runs(const struct replica *r)
{
    return r->raft != NULL && r->broken == ERR_OK && replica_is(r, REPLICA_LIVE);
}
/* The replica of this node in the descriptor; 0: none. */
uint64_t desc_replica_on(const struct range_desc *desc, node_id_t node);
void replica_free(struct replica *r);
/* Under map_lock, or before anybody else is there. What was remembered of the range while no
 * replica stood for it is the replica's from now on. */
void replica_register(struct range_store *rs, struct replica *r);
/* What is found is there until the fiber parks, on a loop of the store; longer only for who holds
 * it (replica_hold), or runs on the upkeep fiber, which alone lets replicas go. */
struct replica *replica_find(struct range_store *rs, range_id_t id);
/* NULL also when it is not LIVE. */
struct replica *replica_find_live(struct range_store *rs, range_id_t id);
/* For the caller, who lets it go: a LIVE one. ERR_RANGE_NOT_FOUND. */
MUST_USE db_err replica_find_held(struct range_store *rs, range_id_t range, struct diag *diag,
                                  struct replica **ret_replica);
/* ... with a lease. ERR_RANGE_NOT_FOUND, ERR_NOT_LEADER. */
MUST_USE db_err replica_find_led(struct range_store *rs, range_id_t range, struct diag *diag,
                                 struct replica **ret_replica);
/* Copies the present descriptor. */
MUST_USE db_err replica_copy_desc(struct replica *r, struct arena *arena,
                                  struct range_desc *ret_desc);
/* Opens the core in a fiber of its own and lets the replica run. */
MUST_USE db_err replica_start(struct replica *r);
extern const struct eval_range_ops replica_eval_ops;

/* ---- retire.c ---- */
/* The object stays until it is let go, whatever becomes of the range. By who has just found it, or
 * holds it, or drives it. */
static inline void replica_hold(struct replica *r)
{
    atomic_fetch_add(&r->holds, 1);
}
void replica_let_go(struct replica *r);
/* Replicas that stand for nothing and that nobody uses are freed, in several rounds. Upkeep's, with
 * its lock; parks. */
void replicas_retire(struct range_store *rs);
/* Into the table of what is gone. Under map_lock. ERR_NOMEM. */
MUST_USE db_err replica_remember_gone(struct range_store *rs, const struct replica *r);

/* ---- neighbours.c ---- */
/* At the start: right neighbours that descriptors do not name, where they are certain. Parks. */
MUST_USE db_err neighbours_fill(struct range_store *rs, struct diag *diag);

/* ---- inbox.c ---- */
/* The part of the loop that runs here; NULL on other threads. */
struct range_loop *range_loop_self(struct range_store *rs);
void inbox_push(struct replica *r, struct inbox_msg *msg);
struct inbox_msg *inbox_take(struct replica *r); /* oldest first; the owner's */
void replica_mark_dirty(struct range_loop *l, struct replica *r);
void range_loop_notified(struct loop_task *task);
/* Gives the ownership up if nothing is left to do. */
void replica_rest(struct range_loop *l, struct replica *r);

/* Runs fn where the replica is driven and gives its return. Parks. */
MUST_USE db_err replica_call(struct replica *r,
                             db_err (*fn)(struct range_loop *l, struct replica *r, void *arg),
                             void *arg);
/* The loop of the range's lane. */
static inline struct range_loop *lane_loop(struct range_store *rs, range_id_t id)
{
    return &rs->loops[range_lane(id) % rs->loop_count];
}
/* The replica is driven here, but only the loop of its lane should do it: nothing new is begun. */
static inline bool replica_draining(const struct range_loop *l, const struct replica *r)
{
    return atomic_load_explicit(&r->pinned, memory_order_relaxed) && lane_loop(r->rs, r->id) != l;
}
/* On the loop that alone may drive it: takes the ownership if it is at rest. */
void replica_own(struct range_loop *l, struct replica *r);

/* ---- space.c ---- */
/* Why new writes are refused: bits of range_store.disk_full. */
enum full_reason {
    FULL_SOON = 1,   /* little is left: what ends transactions goes on */
    FULL_LOG = 2,    /* the log has refused entries */
    FULL_ENGINE = 4, /* the engine has refused a batch */
    FULL_KEPT = 8,   /* log or engine goes on with what is kept for what is on its way */
};
/* These say that little is left, and do not stop what ends transactions. */
enum { FULL_MILD = FULL_SOON | FULL_KEPT };
/* Looks whether log or engine go on with what is kept: cheap, after every write. */
void space_note(struct range_store *rs);
void range_store_set_full(struct range_store *rs, enum full_reason why, bool full);
/* ERR_DISK_FULL with its text. */
MUST_USE db_err space_refuse(struct diag *diag);
MUST_USE db_err space_start(struct range_store *rs);
void space_stop(struct range_store *rs);
/* Is there room for a flush of the engine? */
bool space_for_flush(const struct range_store *rs);

/* ---- turn.c ---- */
/* The end of this turn is to be worked on although no replica is dirty. */
void range_loop_kick(struct range_loop *l);
MUST_USE db_err range_loop_init(struct range_store *rs, unsigned index);
void range_loop_fini(struct range_loop *l);
void range_loop_turn(struct loop_task *task);
void replica_work(struct range_loop *l, struct replica *r);
/* Steps an event now; false when the replica broke. */
bool replica_step(struct range_loop *l, struct replica *r, struct raft_event *ev, db_err *ret_err);
void replica_break(struct range_loop *l, struct replica *r, db_err err);
/* Ticks as long as the core has a deadline. */
void replica_keep_awake(struct range_loop *l, struct replica *r);
void range_store_fatal(struct range_store *rs, db_err err, const char *text);

/* ---- ready.c ---- */
/* Steps what waits and does all that the core asks for. */
void replica_drive(struct range_loop *l, struct replica *r);
void range_loop_submit(struct range_loop *l);
void range_loop_retry(struct loop_timer *timer);
void replica_fetched(struct range_loop *l, struct replica *r, struct log_fetch *f);
void log_fetch_free(struct log_fetch *f);
void replica_compact(struct range_loop *l, struct replica *r, uint64_t index, bool short_of_space);
extern const struct raft_log_ops replica_log_ops;
extern _Thread_local bool replica_log_may_block;

/* ---- lease.c ---- */
void replica_soft_change(struct range_loop *l, struct replica *r, const struct raft_ready *rd);
void replica_lease_check(struct range_loop *l, struct replica *r);
void replica_lease_ready(struct range_loop *l, struct replica *r, const struct lease_msg *m);
void replica_lease_end(struct range_loop *l, struct replica *r);
/* The same, but the lock table stays as it is: whoever called it sees to that. */
void replica_lease_stop(struct range_loop *l, struct replica *r);

/* ---- apply.c ---- */
void replica_apply_entries(struct range_loop *l, struct replica *r,
                           const struct raft_entry *entries, size_t count);
/* What was applied last goes into the batch with its place. */
void replica_applied_note(struct range_loop *l, struct replica *r, const struct raft_entry *last);
void range_loop_apply(struct range_loop *l);
void proposal_done(struct proposal *p, db_err result);

/* ---- propose.c ---- */
MUST_USE db_err replica_propose(struct replica *r, struct proposal *p, struct diag *diag);
void replica_step_proposals(struct range_loop *l, struct replica *r);
void replica_fail_pending(struct replica *r, db_err err);
/* Entry bytes of a proposal: kind, epoch version, payload. */
size_t entry_header_put(uint8_t *out, enum entry_kind kind, uint64_t epoch_version);
MUST_USE db_err entry_header_get(struct slice entry, enum entry_kind *ret_kind,
                                 uint64_t *ret_version, struct slice *ret_payload);

/* ---- retain.c ---- */
/* Entries up to last_index, of so many bytes, are on their way into the log. */
void retain_note(struct replica *r, uint64_t last_index, uint64_t bytes);
/* How far the log may forget, when all up to index is durably applied here. */
uint64_t retain_limit(struct replica *r, uint64_t index, bool short_of_space);

/* ---- lane.c ---- */
/* NULL: no memory. */
struct peer *peer_get(struct range_store *rs, node_id_t node);

/* ---- handover.c ---- */
void handed_drop(struct handed_locks *h);
/* An entry of the kind is applied. */
MUST_USE db_err handed_apply(struct replica *r, uint64_t index, struct slice payload);
/* Into the lock table, which has been opened and is empty; on an error it has some of them. */
MUST_USE db_err handed_take(struct replica *r, const struct handed_locks *h);

/* ---- owners.c: who coordinates transactions, and lives ---- */
MUST_USE db_err owners_start(struct range_store *rs);
void owners_stop(struct range_store *rs);
/* A heartbeat came in. Any thread. */
void owners_heard(struct peer *p, uint32_t incarnation);
uint32_t owners_fences(struct range_store *rs, node_id_t node);
struct raft_link *replica_link(void *ctx, uint64_t member);
/* The pinned replica runs from now on. */
void lane_enter(struct range_loop *l, struct replica *r);
void lane_leave(struct range_loop *l, struct replica *r);
/* After the core was driven. */
void lane_note_sleep(struct range_loop *l, struct replica *r);
void range_loop_beat(struct loop_timer *timer);
/* Every group comes to rest where it stands. Parks. */
void lanes_close(struct range_store *rs);

/* ---- receive.c ---- */
void replica_message(struct range_loop *l, struct replica *r, struct raft_in *in);
void raft_in_free(struct raft_in *in);
void replica_send(struct range_loop *l, struct replica *r, const struct raft_msg *msg);
void replica_learn(struct replica *r, uint64_t replica_id, node_id_t node);
node_id_t replica_node_of(const struct replica *r, uint64_t replica_id); /* 0: not known */
/* Tells a replica on that node that it is no member. */
/* By a descriptor that was applied somewhere: that replica is no member any more. */
bool replica_was_removed(const struct range_desc *d, uint64_t replica_id);
void replica_tell_removed(struct range_loop *l, struct replica *r, node_id_t node,
                          uint64_t replica_id);

/* ---- membership.c ---- */
/* Entries that change the members, put into the apply batch. *ret_result: what the proposer is
 * told. */
MUST_USE db_err members_apply_replicas(struct range_loop *l, struct replica *r,
                                       struct slice payload, db_err *ret_result);
MUST_USE db_err members_apply_conf(struct range_loop *l, struct replica *r,
                                   const struct raft_entry *e);
void members_finish(struct range_loop *l, struct applied_change *c);
/* Puts a descriptor of the same keys, with what follows from it, into the apply batch. */
MUST_USE db_err replica_put_desc(struct range_loop *l, struct replica *r,
                                 const struct range_desc *desc, bool gone);
/* What an entry says of where replicas are. Entries of other kinds say nothing. */
void members_learn_entry(struct replica *r, const struct raft_entry *e);
MUST_USE db_err members_conf_of(const struct range_desc *desc, struct raft_conf *ret_conf);

/* ---- remove.c ---- */
/* The node is no member of the range any more. */
void replica_leave(struct range_loop *l, struct replica *r);
/* The node stays a member, but what is here is of no use: it goes, and comes back by a snapshot. */
void replica_resync(struct range_loop *l, struct replica *r);
/* Its range is no more and nobody needs what is here; where it is driven. */
MUST_USE db_err replica_drop_merged(struct range_loop *l, struct replica *r, void *arg);
/* It takes part in nothing any more; state and lease are done with. Locks stay if keep_locks. */
void replica_halt(struct range_loop *l, struct replica *r, bool keep_locks);
/* After replica_halt, where it is driven: frees the core once nothing is under way. ERR_BUSY. */
MUST_USE db_err replica_end_core(struct range_loop *l, struct replica *r, void *arg);
/* Deletes what [start, end) has here, of a replica that was halted. Parks. */
MUST_USE db_err replica_delete_halted(struct replica *r);
/* The log of a range that was merged away goes, if that is durable. Upkeep's; parks. */
void replica_forget_log(struct replica *r);
/* At the start: deletes what an unfinished removal or snapshot has left. Parks. */
MUST_USE db_err replicas_clean_up(struct range_store *rs, struct diag *diag);

/* ---- snapshot_send.c, snapshot_receive.c ---- */
/* The core offers a member a snapshot. */
void snapshot_offer(struct range_loop *l, struct replica *r, const struct raft_msg *m);
/* A member without a state has been asked for its vote. */
void snapshot_sponsor(struct range_loop *l, struct replica *r, uint64_t member);
/* The core takes the one that was given to it last. */
void snapshot_accepted(struct range_loop *l, struct replica *r,
                       const struct raft_snapshot_meta *meta);
MUST_USE db_err snapshot_dir_open(struct range_store *rs, struct diag *diag);

/* ---- tend.c ---- */
/* What a group of several members needs now and then. Parks. */
void replica_tend(struct replica *r);

/* ---- status.c ---- */
void replica_publish_info(struct range_loop *l, struct replica *r);

/* ---- split.c ---- */
/* Puts the split into the apply batch; later in the same batch the new epoch counts. */
MUST_USE db_err split_apply(struct range_loop *l, struct replica *r, uint64_t term,
                            struct slice payload, struct split_ctx *ctx);
void split_finish(struct range_loop *l, struct applied_change *c);
void split_campaign(struct loop_timer *timer);
MUST_USE db_err split_find_middle(struct range_store *rs, const struct range_desc *desc,
                                  struct arena *arena, bool *ret_found, struct slice *ret_key);

/* ---- merge.c, merge_apply.c, merge_resolve.c ---- */
/* The entries of a merge, put into the apply batch. *ret_result: what the proposer is told. */
MUST_USE db_err merge_apply_freeze(struct range_loop *l, struct replica *r, struct slice payload,
                                   db_err *ret_result);
MUST_USE db_err merge_apply_thaw(struct range_loop *l, struct replica *r, struct slice payload,
                                 db_err *ret_result);
/* May begin a hold (r->hold), which then owns p. */
MUST_USE db_err merge_apply(struct range_loop *l, struct replica *r, const struct raft_entry *e,
                            struct slice payload, struct proposal *p, db_err *ret_result);
/* Entries that are committed after the merge that is waited for. */
MUST_USE db_err merge_hold_entries(struct replica *r, const struct raft_entry *entries,
                                   size_t count);
/* Nobody waits for the merge's outcome any more. */
void merge_hold_orphan(struct replica *r);
void merge_hold_free(struct replica *r);
void merge_finish(struct range_loop *l, struct applied_change *c);
struct merge_freeze {
    uint64_t conf; /* epoch.conf of the range that is frozen */
    range_id_t into;
};
struct merge_entry {
    uint64_t conf; /* of the left range */
    range_id_t right;
    uint64_t right_version; /* as frozen */
    uint64_t freeze_index;  /* where its log ends */
    uint64_t freeze_term;
    struct slice end;
};
enum merge_thaw { MERGE_FENCE = 1, MERGE_THAW = 2 };
MUST_USE db_err merge_freeze_encode(struct buf *b, const struct merge_freeze *f);
MUST_USE db_err merge_entry_encode(struct buf *b, const struct merge_entry *m);
/* As range_store_merge, if the right range is not larger than that. */
MUST_USE db_err merge_right_of(struct range_store *rs, range_id_t left, uint64_t bytes_max,
                               struct diag *diag, range_id_t *ret_right);
/* ENTRY_THAW of either kind under that version of the range, which is led here. Parks. */
MUST_USE db_err merge_propose_thaw(struct replica *r, enum merge_thaw what, uint64_t version,
                                   struct diag *diag);
/* The replica of this node whose range ends, or else begins, at the key; NULL: there is none. The
 * caller lets it go. */
struct replica *merge_find_beside(struct range_store *rs, struct slice key, bool ends);
bool merge_same_nodes(const struct range_desc *a, const struct range_desc *b);
/* Is some range of this node frozen to become a part of this one? */
bool merge_pending_into(struct range_store *rs, range_id_t id);
/* A range that is led here and was left frozen goes on. Parks. */
void merge_resolve(struct replica *r);
/* Its lease has begun here: when it was left frozen and the left one is led here too, it goes on
 * without waiting for upkeep. */
void merge_lease_begun(struct range_loop *l, struct replica *r);

/* Messages about a range that was left frozen, where the replica is driven: to the one on its left,
 * and the answer. */
void merge_asked(struct range_loop *l, struct replica *r, node_id_t from, const struct raft_msg *m);
void merge_told_void(struct range_loop *l, struct replica *r, const struct raft_msg *m);

/* ---- merge_queue.c ---- */
MUST_USE db_err merge_queue_start(struct range_store *rs);
void merge_queue_stop(struct range_store *rs);

/* ---- load.c ---- */
struct load_sample;
void load_note(struct eval_range *er, struct slice key, unsigned units);
/* Upkeep's, each round: measures, and splits if there is too much. Parks. */
void load_look(struct replica *r, uint64_t now);
void load_free(struct replica *r);

/* Bytes of a range's versions, roughly; in files they are compressed. */
struct data_size {
    uint64_t in_files;
    uint64_t in_memory;
};
/* What is flushed meanwhile may count twice, but is never left out. Blocks. */
MUST_USE db_err range_data_size(struct range_store *rs, const struct range_desc *desc,
                                struct data_size *ret_size);

/* ---- truncate.c ---- */
MUST_USE db_err upkeep_start(struct range_store *rs);
void upkeep_stop(struct range_store *rs);

#endif
