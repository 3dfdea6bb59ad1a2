/* Scripted runs: histories that have broken other implementations, and promises of the contract
 * that a random run would not notice missing (what costs nothing when idle, what needs no
 * time-out). */
#include "tests/sim/sim.h"

#include <string.h>

#include "base/assert.h"

/* Only the nodes in mask can talk, among themselves. */
static void connect_only(struct sim *s, uint32_t mask)
{
    for (uint32_t a = 0; a < s->node_count; a++) {
        for (uint32_t b = 0; b < s->node_count; b++) {
            s->blocked[a][b] = ((mask >> a) & 1) == 0 || ((mask >> b) & 1) == 0;
        }
    }
}

static struct raft_status status_of(struct sim *s, uint32_t slot)
{
    struct raft_status st = {0};
    ASSERT(s->nodes[slot].up);
    raft_status(s->nodes[slot].replicas[0].raft, &st);
    return st;
}

/* Makes the node leader; returns at the very moment it is, before any of its appends has arrived.
 */
static void elect(struct sim *s, uint32_t slot)
{
    uint64_t until = s->now + 10 * NS_PER_S;
    uint64_t next = s->now;
    while (s->now < until && s->violation[0] == '\0') {
        struct sim_replica *rep = &s->nodes[slot].replicas[0];
        if (raft_role(rep->raft) == RAFT_LEADER) {
            return;
        }
        if (s->now >= next) {
            struct raft_event ev = {.type = RAFT_EV_CAMPAIGN};
            (void)(sim_step(rep, &ev) == ERR_OK);
            next = s->now + 5 * NS_PER_MS;
        }
        sim_run_until(s, s->now + 20 * NS_PER_US);
    }
    sim_violation(s, "script: node %u is not elected", slot);
}

static uint64_t match_of(struct sim *s, uint32_t leader, uint32_t peer)
{
    struct raft_status st = status_of(s, leader);
    for (uint32_t i = 0; i < st.peer_count; i++) {
        if (st.peers[i].id == peer + 1) {
            return st.peers[i].match;
        }
    }
    return 0;
}

static void converge(struct sim *s)
{
    connect_only(s, (1u << s->node_count) - 1);
    for (uint32_t i = 0; i < s->node_count; i++) {
        sim_node_start(&s->nodes[i]);
    }
    sim_check_liveness(s);
}

/* Figure 8 of the paper: an entry of an old term reaches a majority under a new leader, and is
 * overwritten by another leader whose last term is later. It must not have been committed by
 * counting. */
static void figure8(struct sim *s)
{
    elect(s, 0);
    sim_run_until(s, s->now + 300 * NS_PER_MS);
    uint64_t base = status_of(s, 0).commit;
    uint64_t entry = base + 1;
    connect_only(s, 0x03); /* (a) the first leader reaches one follower, and dies */
    if (sim_propose(&s->nodes[0].replicas[0], 1, 32) != ERR_OK) {
        sim_violation(s, "script: proposal refused");
        return;
    }
    sim_run_until(s, s->now + 20 * NS_PER_MS);
    sim_node_crash(&s->nodes[0]);
    connect_only(
        s, 0x1c); /* (b) the fifth is elected by the others, and writes its entry nowhere else */
    elect(s, 4);
    connect_only(s, 0);
    sim_run_until(s, s->now + 20 * NS_PER_MS);
    sim_node_crash(&s->nodes[4]);
    sim_node_start(
        &s->nodes[0]); /* (c) the first comes back and brings its old entry to a majority */
    connect_only(s, 0x0f);
    elect(s, 0);
    connect_only(s, 0x07);
    uint64_t until = s->now + NS_PER_S;
    while (s->now < until && s->violation[0] == '\0' &&
           (match_of(s, 0, 2) < entry || match_of(s, 0, 1) < entry)) {
        sim_run_until(s, s->now + 20 * NS_PER_US);
    }
    connect_only(s, 0);
    if (s->violation[0] == '\0' && match_of(s, 0, 2) != entry) {
        sim_violation(s, "script: the old entry did not reach the third node alone");
    }
    sim_run_until(s, s->now + 5 * NS_PER_MS);
    if (status_of(s, 0).commit > base) {
        sim_violation(s, "figure 8: an entry of an old term was committed by counting");
    }
    sim_node_crash(&s->nodes[0]); /* (d) the fifth overwrites it */
    sim_node_start(&s->nodes[4]);
    connect_only(s, 0x1c);
    elect(s, 4);
    sim_run_until(s, s->now + 100 * NS_PER_MS);
    if (s->violation[0] == '\0' && status_of(s, 4).commit < entry + 1) {
        sim_violation(s, "script: the fifth node does not commit");
    }
    converge(s);
}

/* Under a steady pipelined load, commits must go on while the load goes on, not when it stops. */
static void pipelined_load(struct sim *s)
{
    if (!sim_wait_leader(s, 0, 5 * NS_PER_S)) {
        sim_violation(s, "script: no leader");
        return;
    }
    uint64_t stop = s->now + 3 * NS_PER_S;
    uint64_t seen = s->groups[0].commit;
    uint64_t seen_at = s->now;
    uint64_t gap_max = 0;
    uint64_t lag_max = 0;
    while (s->now < stop && s->violation[0] == '\0') {
        struct sim_replica *leader = sim_leader(s, 0);
        if (leader == NULL || sim_propose(leader, 2, 64) != ERR_OK) {
            sim_violation(s, "pipelined load: a proposal is refused");
            return;
        }
        uint64_t lag = raft_last_index(leader->raft) - s->groups[0].commit;
        lag_max = lag > lag_max ? lag : lag_max;
        sim_run_until(s, s->now + 100 * NS_PER_US);
        if (s->groups[0].commit > seen) {
            seen = s->groups[0].commit;
            gap_max = s->now - seen_at > gap_max ? s->now - seen_at : gap_max;
            seen_at = s->now;
        }
    }
    sim_trace(s, "gap %lu us, lag %lu entries", (unsigned long)(gap_max / 1000),
              (unsigned long)lag_max);
    if (gap_max > 5 * NS_PER_MS || lag_max > 200 || seen < 2 * 29000) {
        sim_violation(s, "pipelined load: gap %lu us, lag %lu entries, commit %lu",
                      (unsigned long)(gap_max / 1000), (unsigned long)lag_max, (unsigned long)seen);
    }
    converge(s);
}

/* A group of one: leader as soon as its vote is durable, commits as soon as an entry is, and sends
 * nothing. */
static void sole_voter(struct sim *s)
{
    for (unsigned round = 0; round < 3; round++) {
        sim_run_until(s, s->now + 3 * NS_PER_MS);
        struct sim_replica *rep = &s->nodes[0].replicas[0];
        if (raft_role(rep->raft) != RAFT_LEADER ||
            !raft_lease(rep->raft, sim_local(rep->node, s->now)).valid) {
            sim_violation(s, "sole voter: no leader with a lease after 3 ms");
            return;
        }
        db_err err = sim_propose(rep, 10, 20);
        sim_run_until(s, s->now + 1100 * NS_PER_US);
        if (err != ERR_OK || rep->state.applied != raft_last_index(rep->raft)) {
            sim_violation(s, "sole voter: not applied after one sync");
            return;
        }
        sim_node_crash(&s->nodes[0]);
        sim_node_start(&s->nodes[0]);
    }
    if (s->sent != 0) {
        sim_violation(s, "sole voter: %lu messages sent", (unsigned long)s->sent);
    }
}

/* An idle group falls asleep, keeps its lease without a message of its own, and wakes for a write
 * at once. */
static void sleep_and_wake(struct sim *s)
{
    if (!sim_wait_leader(s, 0, 5 * NS_PER_S)) {
        sim_violation(s, "script: no leader");
        return;
    }
    sim_run_until(s, s->now + 3 * NS_PER_S);
    uint64_t sent = s->sent;
    struct sim_replica *leader = sim_leader(s, 0);
    for (unsigned i = 0; i < 100; i++) {
        sim_run_until(s, s->now + 100 * NS_PER_MS);
        if (!raft_is_quiescent(leader->raft) ||
            !raft_lease(leader->raft, sim_local(leader->node, s->now)).valid) {
            sim_violation(s, "sleep: awake, or without a lease");
            return;
        }
    }
    if (s->sent != sent) {
        sim_violation(s, "sleep: %lu messages while idle", (unsigned long)(s->sent - sent));
        return;
    }
    db_err err = sim_propose(leader, 1, 20);
    sim_run_until(s, s->now + 5 * NS_PER_MS);
    if (err != ERR_OK || s->groups[0].commit != raft_last_index(leader->raft)) {
        sim_violation(s, "sleep: a write does not commit at once");
    }
    /* Asleep again, the leader's node dies: the others must notice through the link. */
    sim_run_until(s, s->now + 3 * NS_PER_S);
    sim_node_crash(leader->node);
    if (!sim_wait_leader(s, 0, 4 * NS_PER_S)) {
        sim_violation(s, "sleep: nobody takes over from a dead leader");
    }
    converge(s);
}

/* Leadership moves within a few message delays, and no lease is held twice on the way (checked at
 * every event). */
static void quick_transfer(struct sim *s)
{
    if (!sim_wait_leader(s, 0, 5 * NS_PER_S)) {
        sim_violation(s, "script: no leader");
        return;
    }
    for (unsigned i = 0; i < 10 && s->violation[0] == '\0'; i++) {
        sim_run_until(s, s->now + 300 * NS_PER_MS);
        struct sim_replica *leader = sim_leader(s, 0);
        uint64_t to = leader->id % s->node_count + 1;
        struct raft_event ev = {.type = RAFT_EV_TRANSFER, .u.transfer_to = to};
        db_err err = sim_step(leader, &ev);
        sim_run_until(s, s->now + 5 * NS_PER_MS);
        leader = sim_leader(s, 0);
        if (err != ERR_OK || leader == NULL || leader->id != to) {
            sim_violation(s, "transfer: the target does not lead after 5 ms");
        }
    }
    converge(s);
}

/* Keeps asking the node to stand for election. */
static void push_campaign(struct sim *s, uint32_t slot, uint64_t for_ns)
{
    uint64_t until = s->now + for_ns;
    while (s->now < until && s->violation[0] == '\0') {
        struct raft_event ev = {.type = RAFT_EV_CAMPAIGN};
        (void)(sim_step(&s->nodes[slot].replicas[0], &ev) == ERR_OK);
        sim_run_until(s, s->now + 10 * NS_PER_MS);
    }
}

static void cut_pair(struct sim *s, uint32_t a, uint32_t b)
{
    ASSERT(a != b);
    s->blocked[a][b] = s->blocked[b][a] = true;
}

/* The leader and one follower cannot reach each other; the third reaches both, and stays true to
 * the leader. */
static void stubborn_voter(struct sim *s)
{
    elect(s, 0);
    sim_run_until(s, s->now + 500 * NS_PER_MS);
    cut_pair(s, 0, 1);
    for (unsigned i = 0; i < 50 && s->violation[0] == '\0'; i++) {
        push_campaign(s, 1, 100 * NS_PER_MS);
        struct sim_replica *rep = &s->nodes[0].replicas[0];
        if (!raft_lease(rep->raft, sim_local(rep->node, s->now)).valid) {
            sim_violation(s, "stubborn voter: the leader has lost its lease");
        }
    }
    converge(s);
}

/* The third is restarted: it has forgotten its promise, but must not act so while the leader leans
 * on it. */
static void forgetful_voter(struct sim *s)
{
    elect(s, 0);
    sim_run_until(s, s->now + 500 * NS_PER_MS);
    cut_pair(s, 0, 1);
    push_campaign(s, 1, 3 * NS_PER_S);
    sim_node_crash(&s->nodes[2]);
    cut_pair(s, 0, 2);
    sim_node_start(&s->nodes[2]);
    push_campaign(s, 1, 3 * NS_PER_S);
    if (s->violation[0] == '\0' && raft_role(s->nodes[1].replicas[0].raft) != RAFT_LEADER) {
        sim_violation(s, "forgetful voter: it never votes again");
    }
    converge(s);
}

/* Two candidates of one term; the third votes for one, crashes before its vote is durable, and is
 * asked by the other. Whoever it told of its first vote must not exist. */
static void forgotten_vote(struct sim *s)
{
    struct raft_event ev = {.type = RAFT_EV_CAMPAIGN};
    s->nodes[1].disk_min_ns = s->nodes[1].disk_max_ns = 5 * NS_PER_MS;
    s->nodes[2].disk_min_ns = s->nodes[2].disk_max_ns = 100 * NS_PER_MS;
    (void)(sim_step(&s->nodes[0].replicas[0], &ev) == ERR_OK);
    (void)(sim_step(&s->nodes[1].replicas[0], &ev) == ERR_OK);
    /* Just so long that an answer of the third would have arrived, and nothing that follows from
     * it. */
    sim_run_until(s, s->now + 1400 * NS_PER_US);
    connect_only(s, 0x6);
    s->delay_min_ns = s->delay_max_ns = 20 * NS_PER_MS; /* the second candidate's request is slow */
    sim_run_until(s, s->now + NS_PER_MS);
    sim_node_crash(&s->nodes[2]);
    sim_node_start(&s->nodes[2]);
    if (s->violation[0] == '\0' && raft_term(s->nodes[2].replicas[0].raft) != 0) {
        sim_violation(s, "script: the vote has survived");
    }
    s->nodes[2].disk_min_ns = s->nodes[2].disk_max_ns = NS_PER_MS;
    sim_run_until(s, s->now + 30 * NS_PER_MS);
    s->delay_min_ns = s->delay_max_ns = 200 * NS_PER_US;
    sim_run_until(s, s->now + 30 * NS_PER_MS);
    if (s->violation[0] == '\0' && raft_role(s->nodes[1].replicas[0].raft) != RAFT_LEADER) {
        sim_violation(s, "script: the second candidate is not elected");
    }
    converge(s);
}

/* A leader sleeps through a partition, in which the others elect another and write. Nobody wakes
 * it. */
static struct sim_replica *let_oversleep(struct sim *s)
{
    s->wake_skip_permille = 1000;
    elect(s, 0);
    sim_run_until(s, s->now + 3 * NS_PER_S);
    struct sim_replica *rep = &s->nodes[0].replicas[0];
    if (!raft_is_quiescent(rep->raft)) {
        sim_violation(s, "script: the leader does not sleep");
        return rep;
    }
    connect_only(s, 0x6);
    sim_run_until(s, s->now + 5 * NS_PER_S);
    struct sim_replica *other = sim_leader(s, 0);
    if (s->violation[0] == '\0' && (other == rep || !raft_is_quiescent(rep->raft))) {
        sim_violation(s, "script: nobody else leads, or the old leader is awake");
    }
    if (s->violation[0] == '\0' && sim_propose(other, 3, 20) != ERR_OK) {
        sim_violation(s, "script: proposal refused");
    }
    sim_run_until(s, s->now + 100 * NS_PER_MS);
    return rep;
}

/* When the heartbeats of the nodes come back, they must not bring its lease back. */
static void oversleeping_leader(struct sim *s)
{
    (void)let_oversleep(s);
    connect_only(s, 0x7);
    sim_run_until(s, s->now + 2 * NS_PER_S);
    converge(s);
}

/* What it is asked it must not answer from what it knows. */
static void oversleeping_reader(struct sim *s)
{
    struct sim_replica *rep = let_oversleep(s);
    (void)(sim_read(rep) == ERR_OK);
    sim_run_until(s, s->now + 2 * NS_PER_S);
    converge(s);
}

#define SCRIPT(n, ...)                                                                             \
    {                                                                                              \
        .scripted = true, .voters = (n), .disk_ns = 500 * NS_PER_US, __VA_ARGS__                   \
    }
const struct sim_scenario sim_scenarios[] = {
    {"figure8", figure8, SCRIPT(5, .seed = 1, .max_message_bytes = 1)},
    {"pipelined_load", pipelined_load, SCRIPT(3, .seed = 2)},
    {"sole_voter", sole_voter, SCRIPT(1, .seed = 3)},
    {"sleep_and_wake", sleep_and_wake, SCRIPT(3, .seed = 4, .quiesce_after_ns = 300 * NS_PER_MS)},
    {"quick_transfer", quick_transfer, SCRIPT(3, .seed = 5)},
    {"stubborn_voter", stubborn_voter, SCRIPT(3, .seed = 6)},
    {"forgetful_voter", forgetful_voter, SCRIPT(3, .seed = 7)},
    {"forgotten_vote", forgotten_vote, SCRIPT(3, .seed = 11)},
    {"oversleeping_leader", oversleeping_leader,
     SCRIPT(3, .seed = 8, .quiesce_after_ns = 300 * NS_PER_MS)},
    {"oversleeping_reader", oversleeping_reader,
     SCRIPT(3, .seed = 9, .quiesce_after_ns = 300 * NS_PER_MS)},
};
const size_t sim_scenario_count = ARRAY_COUNT(sim_scenarios);
