/* The Raft core: one replica of one group as a pure state machine.
 *
 * The core does no I/O, knows no clock and no thread. What happens outside is told to it with
 * raft_step; what must happen outside is asked of it with raft_ready. One owner (loop) calls all
 * functions of one group; groups are independent of each other. Nothing here parks a fiber or
 * blocks.
 *
 *     raft_step(raft, &event) ...            any number of events
 *     if (raft_has_ready(raft)) {
 *         raft_ready(raft, &rd)
 *         1. publish rd.lease, and revoke what was published before, if rd.lease_changed
 *         2. start to make rd.hard_state and rd.entries durable;
 *            later, when they are: RAFT_EV_PERSISTED with rd.persist_seq
 *         3. send rd.messages: at once, no message waits for 2 (the core holds back what does)
 *         4. start to install rd.snapshot, when there is one
 *         5. apply rd.committed; when that is done: RAFT_EV_APPLIED
 *         6. answer rd.reads
 *         raft_advance(raft)
 *     }
 *
 * Between raft_ready and raft_advance no event may be stepped. Several persist_seq may be on their
 * way at one time; they must become durable in order. Everything a ready points to is borrowed and
 * valid until raft_advance (the log copies entries when they are added to its batch, messages are
 * encoded or their blobs referenced, entries to apply are put into the write batch).
 *
 * Entry data lives in a struct blob: a reference-counted piece of memory that holds the data
 * of one or many entries (a proposal, a received message). The core takes its own references and
 * copies no data. An entry whose blob is NULL has been paged from the log, or carries no data.
 *
 * Time is in nanoseconds of the local monotonic clock and comes with every event: now_ns must be
 * the time at which the event is stepped (an earlier one would weaken the promises that leases rest
 * on). Rates of two clocks may differ as far as lease_margin_ns covers it: election_timeout_ns *
 * (rate difference) < lease_margin_ns.
 *
 * Memory comes from base/alloc.h. After ERR_NOMEM the replica is as sound as before: the event may
 * be stepped again, or counts as lost. */
#ifndef SKEIN_NODE_RAFT_RAFT_H
#define SKEIN_NODE_RAFT_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/blob.h"
#include "base/err.h"
#include "base/slice.h"

struct raft;

/* ---- entries ---- */

enum raft_entry_type {
    RAFT_ENTRY_NORMAL = 0,
    RAFT_ENTRY_NOOP = 1, /* a leader's first entry of its term; nothing to apply but the index */
    RAFT_ENTRY_CONF = 2, /* data: the whole new configuration, raft_conf_decode */
};

struct raft_entry {
    uint64_t index;
    uint64_t term;
    struct slice data; /* inside blob, or in the page arena */
    struct blob *blob; /* or NULL */
    uint8_t type;      /* enum raft_entry_type */
};

/* ---- configuration of the group ---- */

enum { RAFT_MEMBERS_MAX = 16 };

/* Roles of a member, as bits. A configuration is joint when any member is OUTGOING; then majorities
 * of the VOTERs and of the OUTGOINGs are needed. A member that becomes a learner out of a voter is
 * OUTGOING|LEARNER on the way. */
enum {
    RAFT_ROLE_VOTER = 1,
    RAFT_ROLE_OUTGOING = 2,
    RAFT_ROLE_LEARNER = 4,
};

struct raft_member {
    uint64_t id; /* the replica's id, not 0; never used again for another replica */
    uint8_t roles;
};

struct raft_conf {
    uint32_t count;
    struct raft_member members[RAFT_MEMBERS_MAX]; /* in order of id */
};

bool raft_conf_is_joint(const struct raft_conf *conf);
/* The roles of a member; 0 when it is none. */
uint8_t raft_conf_roles(const struct raft_conf *conf, uint64_t id);
/* The portable form, as it stands in RAFT_ENTRY_CONF entries. encode writes at most
 * RAFT_CONF_ENCODED_MAX bytes and returns how many. decode: ERR_CORRUPT. */
enum { RAFT_CONF_ENCODED_MAX = 2 + RAFT_MEMBERS_MAX * 9 };
size_t raft_conf_encode(const struct raft_conf *conf, uint8_t *ret_bytes);
MUST_USE db_err raft_conf_decode(struct slice bytes, struct raft_conf *ret_conf);

enum raft_change_op {
    RAFT_CHANGE_ADD_VOTER,   /* a new member, or a learner that is promoted */
    RAFT_CHANGE_ADD_LEARNER, /* a new member, or a voter that is demoted */
    RAFT_CHANGE_REMOVE,
};

struct raft_change {
    enum raft_change_op op;
    uint64_t id;
};

/* ---- durable state ---- */

struct raft_hard_state {
    uint64_t term;
    uint64_t vote;   /* 0: none */
    uint64_t commit; /* a hint: may be older than the truth */
};

struct raft_snapshot_meta {
    uint64_t index;
    uint64_t term;
    struct raft_conf conf; /* in force at index */
};

/* The durable log as the core reads it. All members are required. What has been handed out in a
 * ready is visible here not later than its RAFT_EV_PERSISTED is stepped; what the core still holds
 * in memory is not asked for. */
struct raft_log_ops {
    const char *name;
    /* First index that can be read; last_index + 1 when the log is empty. Grows when the owner
     * compacts. */
    uint64_t (*first_index)(void *ctx);
    uint64_t (*last_index)(void *ctx);
    /* For first_index - 1 (the snapshot's; 0 for index 0) up to last_index. Does not block.
     * ERR_NOT_FOUND: compacted away. */
    db_err (*term)(void *ctx, uint64_t index, uint64_t *ret_term);
    /* Entries lo, lo + 1, ... below hi: as many as fit max_bytes of data, at least one, possibly
     * fewer. Entries and data are put into (or held alive by) the arena, which the core resets in
     * raft_advance. ERR_WOULD_BLOCK: not at hand; the owner fetches them and steps
     * RAFT_EV_LOG_READY (the core also asks again at later events). ERR_NOT_FOUND: lo has been
     * compacted away. */
    db_err (*entries)(void *ctx, uint64_t lo, uint64_t hi, size_t max_bytes, struct arena *arena,
                      const struct raft_entry **ret_entries, size_t *ret_count);
    /* What a snapshot would be offered at: index >= first_index - 1, applied. ERR_WOULD_BLOCK: ask
     * again later. */
    db_err (*snapshot_meta)(void *ctx, struct raft_snapshot_meta *ret_meta);
};

/* ---- liveness between two nodes, shared by all their groups ----
 *
 * An idle group sends nothing: its replicas lean on the heartbeat that one node sends another for
 * all groups together. node/range keeps one raft_link per peer node and gives it to the groups
 * (raft_config.link). A link holds two independent directions:
 *
 * - promise_*: what this node promises the peer. In groups that are quiescent under a leader on the
 * peer, no vote for anybody else before promise_until_ns, as long as promise_epoch stands.
 *
 * - held_*: what the peer promises to this node. It has acknowledged a heartbeat sent at
 * held_sent_ns (our clock), in its promise_epoch held_epoch.
 *
 * A replica that is about to break a promise (which it may once it has run out) raises
 * promise_epoch first; later acknowledgements carry the new epoch, so that the peer's groups which
 * rely on the old one wake up. An epoch is never used twice, also not after a restart: start from
 * (node incarnation << 32).
 *
 * All groups of the cluster use the same election timeout. */
struct raft_link {
    uint64_t peer_incarnation;
    uint64_t promise_epoch;
    uint64_t promise_until_ns;
    uint64_t held_epoch;
    uint64_t held_sent_ns;
};

void raft_link_init(struct raft_link *link, uint64_t own_incarnation);
/* A heartbeat of the peer has come in. The answer to send carries {the heartbeat's sent_ns,
 * link->promise_epoch}. Returns true if the peer has restarted: wake (RAFT_EV_WAKE) the groups
 * whose leader is on the peer. */
bool raft_link_heard(struct raft_link *link, uint64_t peer_incarnation, uint64_t now_ns,
                     uint64_t election_timeout_ns);
/* The peer's answer has come in (to a heartbeat of this incarnation of ours; others are dropped).
 * Returns true if the epoch has changed: wake the groups that lead over the peer. */
bool raft_link_acked(struct raft_link *link, uint64_t epoch, uint64_t sent_ns);

/* ---- messages ---- */

enum raft_msg_type {
    RAFT_MSG_PREVOTE = 1,
    RAFT_MSG_PREVOTE_RESP,
    RAFT_MSG_VOTE,
    RAFT_MSG_VOTE_RESP,
    RAFT_MSG_APPEND,
    RAFT_MSG_APPEND_RESP,
    RAFT_MSG_HEARTBEAT, /* small and frequent: coalesce those of one node pair into one packet */
    RAFT_MSG_HEARTBEAT_RESP,
    RAFT_MSG_SNAPSHOT, /* an offer; see struct raft_ready.messages */
    RAFT_MSG_TIMEOUT_NOW,
    RAFT_MSG_READ, /* a follower asks its leader for a read index */
    RAFT_MSG_READ_RESP,
    RAFT_MSG_POKE,    /* a sleeping follower asks its leader: are you still? */
    RAFT_MSG_RELEASE, /* no; also to be sent by an owner that gets a POKE for a replica it no longer
                         holds */
    RAFT_MSG__END
};

enum {
    RAFT_MSG_F_REJECT = 1,   /* responses: no */
    RAFT_MSG_F_TRANSFER = 2, /* vote requests: the old leader has given up its lease */
    RAFT_MSG_F_QUIESCE = 4,  /* heartbeat and response: the group goes to sleep */
    /* What an owner answers by itself for a member of which it has no state machine, though perhaps
     * a log: entries do not help it, only a snapshot does. `context` echoes sent_ns of what is
     * answered. What the member has acknowledged it still holds: its owner must not take a snapshot
     * that would make it forget some of it, nor let it vote before. */
    RAFT_MSG_F_NO_STATE = 8,
};

/* All fields of all types; unused ones are 0. All are to be carried. */
struct raft_msg {
    uint8_t type;  /* enum raft_msg_type */
    uint8_t flags; /* RAFT_MSG_F_ */
    uint64_t from;
    uint64_t to;
    uint64_t term;
    uint64_t index;    /* APPEND: before the first entry. APPEND_RESP: match, or the index refused.
                          VOTE: last */
    uint64_t log_term; /* the term of index; APPEND_RESP|REJECT: the term of hint */
    uint64_t commit;
    uint64_t hint;                    /* APPEND_RESP|REJECT: where the logs may still agree */
    uint64_t sent_ns;                 /* the leader's clock, echoed by responses */
    uint64_t context;                 /* READ: the asker's cookie; HEARTBEAT: read round; echoed */
    uint64_t epoch;                   /* HEARTBEAT_RESP|QUIESCE: promise_epoch */
    const struct raft_entry *entries; /* APPEND */
    size_t entry_count;
    const struct raft_snapshot_meta *snapshot; /* SNAPSHOT */
};

/* ---- events ---- */

enum raft_event_type {
    RAFT_EV_MESSAGE,
    RAFT_EV_TICK, /* time has passed; needed when raft_deadline has come, harmless more often */
    RAFT_EV_HEARTBEAT, /* the node pairs' heartbeats leave now: a leader that is not quiescent adds
                          its own */
    RAFT_EV_PROPOSE,
    RAFT_EV_PERSISTED,
    RAFT_EV_APPLIED,
    RAFT_EV_READ,
    RAFT_EV_TRANSFER,
    RAFT_EV_CONF_CHANGE,
    RAFT_EV_CAMPAIGN, /* stand for election now (pre-vote and other replicas' promises still hold)
                       */
    RAFT_EV_SAVE_COMMIT, /* the log is to know soon how far is committed: a start applies so far
                            without waiting for a leader */
    RAFT_EV_SNAPSHOT_STATUS,
    RAFT_EV_SNAPSHOT_INSTALLED,
    RAFT_EV_UNREACHABLE, /* a message to `peer` is known to be lost */
    RAFT_EV_LOG_READY,
    RAFT_EV_WAKE,      /* end quiescence: the link to a peer has changed or died */
    RAFT_EV_COMMITTED, /* the owner knows from elsewhere that an entry of the group is committed */
};

/* What raft_step returns besides ERR_OK, by event:
 *
 * - MESSAGE: ERR_INVALID when it is not for this replica or malformed (a peer must not be able to
 * crash us); it is dropped. Entries' blobs are referenced, the rest is borrowed for the call.
 *
 * - PROPOSE: ERR_NOT_LEADER; ERR_BUSY when the limit of uncommitted bytes is reached or leadership
 * is being transferred. All entries are taken or none; they get the indexes up to raft_last_index,
 * in the term of raft_term. What becomes of them is seen in rd.committed: another term at the same
 * index means that they were lost.
 *
 * - READ: ERR_NOT_LEADER when no leader is known, ERR_BUSY when too many wait. Otherwise exactly
 * one rd.reads follows.
 *
 * - TRANSFER: ERR_NOT_LEADER; ERR_INVALID when the target is no voter; ERR_BUSY when one is under
 * way. To oneself: ends the one that is under way.
 *
 * - CONF_CHANGE: ERR_NOT_LEADER; ERR_BUSY when the last change is not done or nothing is committed
 * in this term yet; ERR_INVALID when no voter would be left, there would be too many members, or
 * nothing would change.
 *
 * - CAMPAIGN: ERR_INVALID when not a voter.
 *
 * - PERSISTED, APPLIED, SNAPSHOT_INSTALLED: ERR_INVALID for what was never handed out.
 *
 * - COMMITTED: ERR_NOT_FOUND when the log does not hold that entry; ERR_BUSY while a snapshot is
 * being installed. No leader need be known: the entry itself is the proof, and all before it is
 * committed with it.
 *
 * - All: ERR_NOMEM (see above); ERR_CORRUPT or ERR_IO when the log's term() failed in a way that is
 * no answer: the replica must be stopped. */
struct raft_event {
    enum raft_event_type type;
    uint64_t now_ns;
    union {
        const struct raft_msg *message;
        struct {
            const struct slice *data; /* each inside blob */
            size_t count;
            struct blob *blob; /* referenced by the core; the caller keeps its own reference */
        } propose;
        uint64_t persist_seq; /* PERSISTED: all up to this one are durable */
        uint64_t applied_index;
        uint64_t read_context; /* READ: any value; comes back in rd.reads */
        uint64_t transfer_to;
        struct {
            const struct raft_change *changes;
            size_t count;
        } conf_change; /* one voter more or less: a simple change; more: joint, left automatically
                        */
        struct {
            uint64_t peer;
            bool ok; /* delivered (the peer will acknowledge), or failed: offered again later */
        } snapshot_status;
        struct {
            uint64_t index; /* of rd.snapshot; state machine and log stand at it now, durably */
            bool ok;
        } snapshot_installed;
        uint64_t peer; /* UNREACHABLE */
        struct {
            uint64_t index;
            uint64_t term; /* of the entry */
        } committed;
    } u;
};

/* ---- ready ---- */

enum raft_role {
    RAFT_FOLLOWER, /* also a learner's, and that of a replica which is no member */
    RAFT_PRECANDIDATE,
    RAFT_CANDIDATE,
    RAFT_LEADER,
};

/* The leader's right to serve reads alone. Valid for local times < until_ns, in this term. */
struct raft_lease {
    bool valid;
    uint64_t term;
    uint64_t until_ns;
};

struct raft_read {
    uint64_t context;
    uint64_t index; /* the read is linearizable once this is applied */
    db_err err;     /* ERR_OK, or ERR_NOT_LEADER: ask again */
};

struct raft_ready {
    bool soft_changed; /* role, leader or term */
    enum raft_role role;
    uint64_t leader; /* 0: none known */
    uint64_t term;

    bool lease_changed;
    struct raft_lease lease;

    uint64_t persist_seq; /* 0: nothing to persist */
    bool has_hard_state;  /* to be durable with or before entries */
    struct raft_hard_state hard_state;
    const struct raft_entry *entries; /* replace what the log holds at or after entries[0].index */
    size_t entry_count;

    /* SNAPSHOT messages are offers: the owner streams the state to the peer, steps SNAPSHOT_STATUS
     * here, and gives the message to the peer's core (with the index, term and conf of what it
     * really sent) when all has arrived. */
    const struct raft_msg *messages;
    size_t message_count;

    const struct raft_entry
        *committed; /* committed and durable here, each handed out once, in order */
    size_t committed_count;

    const struct raft_read *reads;
    size_t read_count;

    const struct raft_snapshot_meta
        *snapshot; /* or NULL; handed out once, answer with SNAPSHOT_INSTALLED */
};

/* ---- the core ---- */

struct raft_config {
    uint64_t id;
    struct raft_hard_state hard_state; /* as read back from the log; zeros for a new replica */
    struct raft_conf
        conf; /* in force at `applied`: of the bootstrap, a snapshot, or the last one applied */
    uint64_t conf_index; /* index of the entry that made it; 0 for the bootstrap's */
    uint64_t applied;    /* what the state machine holds durably */
    const struct raft_log_ops *log;
    void *log_ctx;
    struct raft_link *(*link)(
        void *ctx, uint64_t member); /* NULL, or NULL for a member: never quiescent with it */
    void *link_ctx;
    uint64_t now_ns;
    bool never_ran; /* certainly: it has no promise to forget and need not keep quiet at first */
    /* No core of this member has run since then, as when the process is newer than the member: what
     * it may have promised was promised before. 0: now_ns. */
    uint64_t promised_before_ns;
    uint64_t seed; /* of the election timeouts; different on each replica */

    /* 0: the default in limits.h */
    uint64_t heartbeat_ns;        /* 100 ms */
    uint64_t election_timeout_ns; /* 1 s */
    uint64_t election_spread_ns; /* real time-outs are up to this longer; as long as the time-out */
    uint64_t lease_margin_ns;    /* a tenth of the election timeout */
    uint64_t quiesce_after_ns;   /* idle time before sleep; UINT64_MAX: never. 500 ms */
    size_t max_message_bytes;    /* of entry data in one message; 1 MiB */
    size_t max_inflight_bytes;   /* per follower, unacknowledged; 8 MiB */
    uint32_t max_inflight;       /* messages per follower, unacknowledged; 64 */
    size_t max_memory_bytes;     /* entry data kept in memory beyond what must be; 1 MiB */
    size_t max_uncommitted_bytes; /* a leader takes no more proposals above this; 16 MiB */
    size_t max_apply_bytes;       /* of entry data in one rd.committed; 1 MiB */

    bool external_heartbeat; /* ticks send no heartbeats, only RAFT_EV_HEARTBEAT does */
    bool eager_commit; /* tell followers of a commit at once, not with the next append or heartbeat
                        */
};

/* Opens a replica: reads the log's bounds and its configuration entries after `applied`. A sole
 * voter stands for election at once. Errors: ERR_WOULD_BLOCK (from the log's entries: call again
 * when they are at hand), ERR_INVALID (config), ERR_CORRUPT (log and hard state contradict each
 * other), ERR_IO, ERR_NOMEM. *ret_raft: raft_free. */
MUST_USE db_err raft_new(const struct raft_config *config, struct raft **ret_raft);
void raft_free(struct raft *raft); /* NULL is fine */

MUST_USE db_err raft_step(struct raft *raft, const struct raft_event *event);
bool raft_has_ready(const struct raft *raft);
/* ERR_NOMEM: nothing was handed out. ERR_CORRUPT, ERR_IO: as raft_step. */
MUST_USE db_err raft_ready(struct raft *raft, struct raft_ready *ret_ready);
void raft_advance(struct raft *raft);

/* When the next RAFT_EV_TICK is due; DEADLINE_NONE while quiescent. Changes with every event. */
uint64_t raft_deadline(const struct raft *raft);
/* A leader that is awake: wants RAFT_EV_HEARTBEAT with the next heartbeat of its node pairs. */
bool raft_heartbeat_due(const struct raft *raft);
bool raft_is_quiescent(const struct raft *raft);
/* The lease as it stands at now_ns, including what quiescence and the links give. The owner may
 * publish it for readers on other threads; it is taken back only by rd.lease, before any message
 * that could end it is sent. A sole voter's has no end (until_ns UINT64_MAX). */
struct raft_lease raft_lease(const struct raft *raft, uint64_t now_ns);

enum raft_progress_state { RAFT_PROBE, RAFT_REPLICATE, RAFT_SNAPSHOT };

struct raft_peer_status {
    uint64_t id;
    uint8_t roles;
    enum raft_progress_state state;
    uint64_t match;
    uint64_t next;
    uint64_t acked_sent_ns; /* when the newest message was sent that it has answered */
    bool stateless;         /* waits for a snapshot, whatever it has acknowledged */
};

struct raft_status {
    uint64_t id;
    enum raft_role role;
    uint64_t term;
    uint64_t vote;
    uint64_t leader;
    uint64_t commit;
    uint64_t applied;
    uint64_t persisted; /* last durable index */
    uint64_t first_index;
    uint64_t last_index;
    uint64_t last_term;
    uint64_t conf_index;
    struct raft_conf conf; /* in force: the last one in the log, committed or not */
    uint64_t transfer_to;  /* 0: none under way */
    size_t memory_bytes;
    bool quiescent;
    uint32_t peer_count; /* leader only, else 0 */
    struct raft_peer_status peers[RAFT_MEMBERS_MAX];
};
void raft_status(const struct raft *raft, struct raft_status *ret_status);
uint64_t raft_term(const struct raft *raft);
uint64_t raft_last_index(const struct raft *raft);
enum raft_role raft_role(const struct raft *raft);

#endif
