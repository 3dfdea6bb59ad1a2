/* Private to node/raft: the state of one replica and the functions its files share. */
#ifndef SKEIN_NODE_RAFT_RAFT_INT_H
#define SKEIN_NODE_RAFT_RAFT_INT_H

#include "base/assert.h"
#include "base/rand.h"
#include "node/raft/limits.h"
#include "node/raft/raft.h"

/* Deliberate faults, compiled in only for the simulator's proof that it would find them. */
enum {
    RAFT_BREAK_COMMIT_OLD_TERM = 1 << 0,    /* commits entries of older terms by counting */
    RAFT_BREAK_COUNT_UNPERSISTED = 1 << 1,  /* the leader's own match does not wait for its disk */
    RAFT_BREAK_VOTE_IGNORES_LEASE = 1 << 2, /* votes while a promise is in force */
    RAFT_BREAK_VOTE_UNPERSISTED = 1 << 3,   /* answers vote requests before the vote is durable */
    RAFT_BREAK_ACK_UNPERSISTED = 1 << 4,    /* acknowledges entries before they are durable */
    RAFT_BREAK_READ_NO_QUORUM = 1 << 5,     /* read index without asking anybody */
    RAFT_BREAK_TRANSFER_KEEPS_LEASE = 1 << 6,
    RAFT_BREAK_VOTE_STALE_LOG = 1 << 7,  /* votes for candidates whose log is behind */
    RAFT_BREAK_RESTART_FORGETS = 1 << 8, /* votes at once after a restart */
    RAFT_BREAK_JOINT_NEW_ONLY = 1 << 9,  /* joint decisions by the new majority alone */
    RAFT_BREAK_KEEP_EPOCH =
        1 << 10, /* breaks a promise given to a link without raising its epoch */
    RAFT_BREAK_APPEND_NO_CHECK = 1 << 11, /* takes appends whose previous entry does not match */
    RAFT_BREAK_COMMIT_ALONE = 1 << 12,    /* commits what the leader alone holds */
};
#ifdef SKEIN_RAFT_TEST_FLAGS
extern unsigned raft_test_flags;
#define RAFT_BROKEN(flag) ((raft_test_flags & (flag)) != 0)
#else
#define RAFT_BROKEN(flag) false
#endif

struct raft__inflight {
    uint64_t last_index;
    size_t bytes;
};

/* What a leader knows of one member. PROBE: one append at a time until the logs are known to meet.
 * REPLICATE: appends are sent ahead, within the window. SNAPSHOT: nothing is sent until the offer
 * has come to an end. */
struct raft__progress {
    uint64_t id;
    uint64_t match; /* durable there, and equal to ours */
    uint64_t next;  /* first entry to send */
    uint64_t pending_snapshot;
    uint64_t acked_sent_ns; /* our clock when the newest message it answered was sent */
    uint64_t read_acked;    /* newest read round it answered */
    uint64_t commit_sent;
    uint64_t settled_ns; /* the last snapshot ended; what it says of the time before is old */
    uint64_t link_epoch; /* asleep under this epoch of its link; 0: awake */
    struct raft_link *link;
    struct raft__inflight *window; /* ring */
    uint32_t window_cap;
    uint32_t window_head;
    uint32_t window_count;
    size_t window_bytes;
    enum raft_progress_state state;
    bool probe_paused;
    bool stateless;        /* it has a log at best: only a snapshot helps */
    bool page_blocked;     /* the log could not give its entries at once */
    bool acked_since_beat; /* an append was acknowledged since the last heartbeat */
};

struct raft__write {
    uint64_t seq;
    uint64_t last; /* entries up to here are durable with it */
    uint64_t term;
    uint64_t vote;
};

struct raft__pending_read {
    uint64_t context;
    uint64_t id;    /* a follower's: what the leader echoes */
    uint64_t from;  /* 0: asked here */
    uint64_t round; /* leader: resolved when a quorum has answered this round */
    uint64_t since_ns;
};

/* In order of heat: a group is one of thousands, and what a proposal touches should be few cache
 * lines. */
struct raft {
    uint64_t id;
    uint64_t now;
    uint64_t term;
    uint64_t vote;
    uint64_t leader;
    enum raft_role role;
    bool in_ready;
    bool quiescent;
    bool apply_blocked;
    bool send_due;
    bool ack_due;
    bool vote_resp_due; /* `vote` waits to become durable before its owner is told */
    bool lease_given_up;
    bool snapshot_pending, snapshot_handed;
    /* Of conf, kept by raft__conf_note: */
    bool conf_joint, self_voter, sole_voter;

    /* The log: what the log ops hold, overlaid by the vector of entries in memory [last + 1 -
     * count, last]. */
    struct raft_entry *base;
    size_t head, count, cap;
    size_t memory_bytes;
    size_t uncommitted_bytes; /* of those in memory */
    uint64_t last, last_term;
    uint64_t persisted;
    uint64_t handed; /* given out to be persisted */
    uint64_t commit;
    uint64_t applying; /* given out to be applied */
    uint64_t applied;

    uint64_t hs_term, hs_vote; /* durable */
    struct raft_hard_state hs_handed;
    bool save_commit; /* the next hard state is due when the commit index has moved */
    uint64_t write_seq;
    uint32_t write_head, write_count;

    struct raft_msg *out;
    size_t out_count, out_cap;

    /* What the owner was told last. */
    enum raft_role told_role;
    uint64_t told_leader, told_term;
    struct raft_lease told_lease;

    /* Leader. */
    struct raft__progress *peers; /* by position in conf; NULL unless prepared to lead */
    uint32_t peers_cap;
    uint32_t ready_committed;
    uint64_t term_start; /* index of the no-op */
    uint64_t leader_since;
    uint64_t heartbeat_at;
    uint64_t active_at; /* last time there was something to do */
    uint64_t transfer_to, transfer_deadline;

    /* Follower. */
    uint64_t verified; /* our log is the leader's up to here, in this term */
    uint64_t acked;    /* the last match told to the leader */
    uint64_t ack_sent_ns;
    uint64_t election_deadline;
    uint64_t election_wait; /* randomised */
    unsigned stood;         /* elections in a row that had no leader for their end */
    uint64_t promise_until;
    uint64_t promised_to, promised_term;
    uint64_t promised_epoch;
    struct raft_link *promised_link; /* or NULL */
    uint64_t
        silent_until; /* after a start: nothing releases what may have been promised before it */

    struct raft__pending_read *reads; /* in order */
    size_t read_count, read_cap;
    uint64_t read_round; /* newest round sent */
    uint64_t read_id;
    struct raft_read *reads_done;
    size_t reads_done_count, reads_done_cap;

    struct raft__write writes[RAFT_WRITES_MAX];
    uint64_t conf_index;
    struct raft_conf conf; /* the last one in the log */
    struct raft_config cfg;

    /* Candidate. */
    uint32_t votes_granted, votes_refused; /* bits by position in conf */
    bool votes_requested;
    bool campaign_transfer;

    struct rand rand;
    struct arena pages;
    uint64_t prev_conf_index;
    struct raft_conf prev_conf; /* what conf falls back to when its entry is overwritten */
    struct raft_snapshot_meta snapshot;
    struct raft_snapshot_meta offer;
};

/* raft.c */
struct raft_msg *raft__out(struct raft *r, uint8_t type, uint64_t to);
MUST_USE db_err raft__out_reserve(struct raft *r, size_t extra);
void raft__become_follower(struct raft *r, uint64_t term, uint64_t leader);
void raft__reset_election(struct raft *r);
MUST_USE db_err raft__prepare_to_lead(struct raft *r, uint32_t members);

/* entries.c */
MUST_USE db_err raft__entries_reserve(struct raft *r, size_t extra);
void raft__entries_push(struct raft *r, const struct raft_entry *entries, size_t count);
void raft__entries_pushed(struct raft *r, size_t count);
MUST_USE db_err raft__entries_truncate(struct raft *r, uint64_t from);
void raft__entries_evict(struct raft *r);
void raft__entries_reset(struct raft *r, uint64_t index, uint64_t term);
void raft__entries_fini(struct raft *r);
MUST_USE db_err raft__term_of(const struct raft *r, uint64_t index, uint64_t *ret_term);
MUST_USE db_err raft__entries_get(struct raft *r, uint64_t lo, uint64_t hi, size_t max_bytes,
                                  const struct raft_entry **ret_entries, size_t *ret_count);
void raft__commit_to(struct raft *r, uint64_t index);
MUST_USE db_err raft__persisted(struct raft *r, uint64_t seq);
MUST_USE db_err raft__find_conflict(const struct raft *r, uint64_t index, uint64_t term,
                                    uint64_t *ret_index, uint64_t *ret_term);

static inline size_t raft__entry_cost(const struct raft_entry *e)
{
    return e->data.len + sizeof(struct raft_entry);
}

static inline uint64_t raft__memory_first(const struct raft *r)
{
    return r->last + 1 - r->count;
}

/* quorum.c */
enum raft__vote_result { RAFT_VOTE_PENDING, RAFT_VOTE_WON, RAFT_VOTE_LOST };
/* The largest value that a quorum of the configuration reaches; values by position in conf. */
uint64_t raft__quorum_value(const struct raft *r, const uint64_t *values);
enum raft__vote_result raft__quorum_votes(const struct raft_conf *conf, uint32_t granted,
                                          uint32_t refused);

/* config_change.c */
int raft__conf_find(const struct raft_conf *conf, uint64_t id);
/* To be called whenever conf has changed. */
void raft__conf_note(struct raft *r);
bool raft__may_campaign(const struct raft *r);
MUST_USE db_err raft__conf_change(struct raft *r, const struct raft_change *changes, size_t count);
void raft__conf_append(struct raft *r, const struct raft_conf *conf, uint64_t index);
void raft__conf_truncate(struct raft *r, uint64_t from);
/* The leader's duty after a commit: leave a joint configuration, or step down when it is in force
 * without us. */
void raft__conf_committed(struct raft *r);
MUST_USE db_err raft__conf_scan(struct raft *r);

/* progress.c */
void raft__progress_init(struct raft *r, struct raft__progress *p, uint64_t id);
void raft__progress_free(struct raft *r);
/* Moves the progress of members of the old configuration to their places in r->conf. */
void raft__progress_rebuild(struct raft *r, const struct raft_conf *old);
struct raft__progress *raft__progress_of(struct raft *r, uint64_t id); /* NULL: none */
void raft__send_appends(struct raft *r);
void raft__send_probe(struct raft *r, struct raft__progress *p);
void raft__progress_acked(struct raft *r, struct raft__progress *p, uint64_t index);
void raft__progress_probe(struct raft__progress *p, uint64_t next);

/* step_*.c */
MUST_USE db_err raft__follower_message(struct raft *r, const struct raft_msg *m);
void raft__follower_ack(struct raft *r);
void raft__follower_touch(struct raft *r, uint64_t from);
void raft__vote_request(struct raft *r, const struct raft_msg *m);
void raft__vote_persisted(struct raft *r);
void raft__snapshot_installed(struct raft *r, bool ok);
void raft__snapshot_status(struct raft *r, uint64_t peer, bool ok);
void raft__unreachable(struct raft *r, uint64_t peer);
/* raft__prepare_to_lead has been called. */
void raft__campaign(struct raft *r, bool transfer);
MUST_USE db_err raft__follower_tick(struct raft *r);
void raft__candidate_response(struct raft *r, const struct raft_msg *m);
void raft__candidate_persisted(struct raft *r);
void raft__become_leader(struct raft *r);
MUST_USE db_err raft__leader_response(struct raft *r, const struct raft_msg *m);
MUST_USE db_err raft__propose(struct raft *r, const struct raft_event *ev);
void raft__transfer_progress(struct raft *r);
void raft__leader_append(struct raft *r, uint8_t type, struct slice data, struct blob *blob);
void raft__leader_commit(struct raft *r);
void raft__leader_tick(struct raft *r);
void raft__leader_heartbeat(struct raft *r);
void raft__heartbeat_all(struct raft *r, uint8_t flags);
MUST_USE db_err raft__transfer(struct raft *r, uint64_t to);

/* lease.c */
uint64_t raft__promise_until(const struct raft *r);
bool raft__promise_holds(const struct raft *r, uint64_t candidate);
void raft__promise_break(struct raft *r);
uint64_t raft__quorum_contact(const struct raft *r, uint64_t now);
struct raft_lease raft__lease(const struct raft *r, uint64_t now);

/* read_index.c */
MUST_USE db_err raft__read(struct raft *r, uint64_t context);
MUST_USE db_err raft__read_message(struct raft *r, const struct raft_msg *m);
void raft__read_resolve(struct raft *r);
void raft__read_send(struct raft *r);
void raft__read_fail(struct raft *r, uint64_t before_ns);
MUST_USE db_err raft__read_reserve(struct raft *r);

/* quiesce.c */
void raft__wake(struct raft *r);
bool raft__can_quiesce(const struct raft *r);
void raft__quiesce_response(struct raft *r, struct raft__progress *p, const struct raft_msg *m);
void raft__poke(struct raft *r);
void raft__poke_message(struct raft *r, const struct raft_msg *m);
bool raft__quiesce_request(struct raft *r, const struct raft_msg *m, uint64_t *ret_epoch);

#endif
