/* A seeded simulation of whole clusters of Raft cores in one thread, on a virtual clock.
 *
 * Everything that happens is an event in one queue, ordered by (true time, sequence number); every
 * decision is drawn from the seed. So a seed is a run, and a failing one replays exactly. A node
 * has a clock of its own (offset and rate), a disk (a queue of writes that become durable in
 * order), links to the other nodes, and one replica of each group. After every event the invariants
 * of sim_check.c are checked; a violation ends the run. */
#ifndef SKEIN_TESTS_SIM_SIM_H
#define SKEIN_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/rand.h"
#include "node/raft/raft.h"

enum {
    SIM_NODES_MAX = 7,
    SIM_GROUPS_MAX = 2,
    SIM_REGS = 4,
    SIM_ID_STRIDE = 16, /* replica id = 1 + node + SIM_ID_STRIDE * generation */
    SIM_TERMS_MAX = 4096,
    SIM_EVENTS_MAX = 3000000, /* ordinary runs have a few hundred thousand */
    SIM_VIOLATION_SIZE = 400,
};

/* ---- a log, as the checker sees it ---- */

struct sim_entry {
    struct raft_entry e; /* holds a reference on its blob */
    uint64_t chain;      /* hash of this entry and all before it */
};

struct sim_log {
    uint64_t base_index, base_term, base_chain; /* what stands before the first entry */
    struct sim_entry *v;
    size_t count, cap;
};

void sim_log_fini(struct sim_log *log);
void sim_log_reset(struct sim_log *log, uint64_t index, uint64_t term, uint64_t chain);
uint64_t sim_log_last(const struct sim_log *log);
/* Replaces what is at and after e->index. */
void sim_log_append(struct sim_log *log, const struct raft_entry *e);
void sim_log_truncate(struct sim_log *log, uint64_t from);
void sim_log_compact(struct sim_log *log, uint64_t to);
void sim_log_copy(struct sim_log *to, const struct sim_log *from);
/* The chain hash at index; false when the log does not reach it or has compacted it. */
bool sim_log_chain(const struct sim_log *log, uint64_t index, uint64_t *ret_chain);
const struct sim_entry *sim_log_at(const struct sim_log *log, uint64_t index);

/* ---- the state machine: registers and a hash of all that was applied ---- */

struct sim_state {
    uint64_t applied, term;
    uint64_t hash;
    uint64_t regs[SIM_REGS];
    struct raft_conf conf;
    uint64_t conf_index;
};

/* ---- cluster ---- */

struct sim;
struct sim_node;

struct sim_replica {
    struct sim *sim;
    struct sim_node *node;
    uint32_t group;
    uint64_t id;
    struct raft *raft;   /* NULL while the node is down */
    uint64_t born;       /* counts restarts: completions of a former life are dropped */
    struct sim_log mem;  /* with what is still on its way to the disk */
    struct sim_log disk; /* durable */
    struct raft_hard_state hs;
    struct sim_state state;         /* in memory */
    struct sim_state durable_state; /* flushed */
    struct sim_state staged;        /* a snapshot that has arrived */
    bool staged_valid;
    uint64_t timer_at;
    struct raft_lease published;
    enum raft_role seen_role;
    uint64_t seen_term, seen_commit;
    bool seen_waits; /* a part of seen_commit is not compared yet */
    bool log_ready_due;
};

struct sim_write {
    uint32_t group;
    uint64_t born;
    uint64_t seq;
    bool has_hs;
    struct raft_hard_state hs;
    struct raft_entry *entries;
    size_t count;
    bool install;
    struct sim_state state; /* install */
    uint64_t chain;
    uint64_t done_at;
};

struct sim_node {
    struct sim *sim;
    uint32_t slot;
    bool up;
    uint64_t incarnation;
    uint64_t clock_offset;
    int64_t clock_ppm;
    uint64_t disk_min_ns, disk_max_ns;
    struct sim_write *writes; /* queue */
    size_t write_head, write_count, write_cap;
    uint64_t disk_busy_until;
    struct raft_link links[SIM_NODES_MAX];
    bool link_live[SIM_NODES_MAX];
    struct sim_replica replicas[SIM_GROUPS_MAX];
};

/* What all replicas of a group have in common, by the checker's book. */
struct sim_group {
    uint64_t leader_of_term[SIM_TERMS_MAX]; /* replica id */
    uint64_t commit_of_term[SIM_TERMS_MAX]; /* highest index its leader has committed */
    uint64_t term_max;
    uint64_t commit;  /* highest known by anybody */
    uint64_t *chains; /* by index: chain hash of the committed log */
    uint64_t *states; /* by index: hash of the state machine */
    size_t chains_cap;
    struct sim_match *matches; /* log matching: (index, term) -> chain */
    size_t match_count, match_cap;
    uint64_t generation; /* of the next replica made in this group */
    uint64_t conf_busy_until;
};

struct sim_match {
    uint64_t index, term, chain;
};

enum sim_event_type {
    SIM_EV_MESSAGE,
    SIM_EV_TIMER,
    SIM_EV_DISK,
    SIM_EV_APPLIED,
    SIM_EV_LOG_READY,
    SIM_EV_BEAT,
    SIM_EV_LINK,
    SIM_EV_LINK_ACK,
    SIM_EV_SNAPSHOT_STATUS,
    SIM_EV_CLIENT,
    SIM_EV_FAULT,
    SIM_EV_RESTART,
};

/* A message on the wire owns what it points to. */
struct sim_packet {
    struct raft_msg msg;
    struct raft_snapshot_meta meta;
    struct sim_state state; /* SNAPSHOT */
    uint64_t chain;
    struct raft_entry entries[];
};

struct sim_event {
    uint64_t at, seq;
    enum sim_event_type type;
    uint32_t node, group, from;
    uint64_t a, b, c; /* by type */
    struct sim_packet *packet;
};

struct sim_options {
    uint64_t seed;
    bool verbose;
    bool scripted; /* no faults, no clients, lossless network of fixed delay: the scenario drives */
    uint32_t voters;           /* scripted */
    uint64_t disk_ns;          /* scripted */
    size_t max_message_bytes;  /* scripted; 0: default */
    uint64_t quiesce_after_ns; /* scripted; 0: never */
};

struct sim_read {
    uint64_t context, least;
};

struct sim {
    struct sim_options opt;
    struct rand rand;
    uint64_t now;
    uint64_t seq;
    struct sim_event *heap;
    size_t heap_count, heap_cap;
    uint32_t node_count, group_count;
    struct sim_node nodes[SIM_NODES_MAX];
    struct sim_group groups[SIM_GROUPS_MAX];
    struct raft_config base; /* limits shared by all replicas */
    bool blocked[SIM_NODES_MAX][SIM_NODES_MAX];
    uint64_t delay_min_ns, delay_max_ns;
    uint32_t loss_permille, dup_permille, late_permille;
    uint32_t page_block_permille;
    uint32_t wake_skip_permille; /* an owner that forgets to wake sleeping leaders: safety may not
                                    need it */
    uint64_t client_interval_ms;
    bool healed;
    uint64_t client_pause_until;
    uint64_t client_seq;
    struct sim_read *reads;
    size_t read_count, read_cap;
    uint64_t read_next;
    char violation[SIM_VIOLATION_SIZE]; /* "" while all is well */
    /* What has happened, to see that the run was worth it. */
    uint64_t events, proposals, commits, reads_done, elections, crashes, snapshots, conf_changes,
        transfers, quiesced, sent, drops;
};

/* sim.c */
void sim_init(struct sim *s, const struct sim_options *opt);
void sim_fini(struct sim *s);
/* Runs until the true time, or a violation. */
void sim_run_until(struct sim *s, uint64_t until);
struct sim_event *sim_schedule(struct sim *s, uint64_t delay, enum sim_event_type type,
                               uint32_t node);
uint64_t sim_pick(struct sim *s, uint64_t low, uint64_t high); /* inclusive */
bool sim_chance(struct sim *s, uint32_t permille);
void sim_violation(struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sim_trace(struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
uint64_t sim_hash(uint64_t h, const void *data, size_t size);

/* sim_node.c */
uint64_t sim_local(const struct sim_node *n, uint64_t now);
void sim_node_init(struct sim *s, uint32_t slot);
void sim_node_fini(struct sim_node *n);
void sim_node_start(struct sim_node *n);
void sim_node_crash(struct sim_node *n);
void sim_node_event(struct sim_node *n, struct sim_event *ev);
/* Gives an event to the core, does what it then asks for, checks. */
db_err sim_step(struct sim_replica *rep, struct raft_event *ev);
void sim_replica_new_generation(struct sim_replica *rep);
struct sim_replica *sim_leader(struct sim *s,
                               uint32_t group); /* the one of the latest term, or NULL */
bool sim_wait_leader(struct sim *s, uint32_t group, uint64_t within_ns);
db_err sim_propose(struct sim_replica *rep, uint32_t count, uint32_t size);
db_err sim_read(struct sim_replica *rep);

/* sim_disk.c */
extern const struct raft_log_ops sim_log_ops;
void sim_disk_submit(struct sim_replica *rep, const struct raft_ready *rd);
void sim_disk_event(struct sim_node *n);
void sim_disk_crash(struct sim_node *n);
void sim_disk_flush(
    struct sim_replica *rep); /* the state machine becomes durable, the log may be cut */

/* sim_net.c */
void sim_send(struct sim_replica *rep, const struct raft_msg *m);
void sim_packet_free(struct sim_packet *p);
void sim_beat(struct sim_node *n);
void sim_link_event(struct sim_node *n, const struct sim_event *ev);
struct raft_link *sim_link_of(void *ctx, uint64_t member);

/* sim_check.c */
void sim_check_entry(struct sim_replica *rep, const struct sim_entry *e);
void sim_check_step(struct sim_replica *rep);
void sim_check_apply(struct sim_replica *rep, const struct raft_entry *e);
void sim_check_read(struct sim_replica *rep, const struct raft_read *read);
void sim_check_leases(struct sim *s);
void sim_check_liveness(struct sim *s);
void sim_check_fini(struct sim_group *g);

/* sim_faults.c: the random run */
void sim_client(struct sim *s);
void sim_fault(struct sim *s);
void sim_heal(struct sim *s);

/* sim_scenario.c: scripted runs; "" or what went wrong is left in ret_violation. */
struct sim_scenario {
    const char *name;
    void (*run)(struct sim *s);
    struct sim_options opt;
};
extern const struct sim_scenario sim_scenarios[];
extern const size_t sim_scenario_count;

#endif
