/* The random run: clients, and everything that goes wrong. */
#include "tests/sim/sim.h"

#include <string.h>

#include "base/assert.h"

static struct sim_node *random_node(struct sim *s, bool up)
{
    for (unsigned tries = 0; tries < 20; tries++) {
        struct sim_node *n = &s->nodes[sim_pick(s, 0, s->node_count - 1)];
        if (n->up == up) {
            return n;
        }
    }
    return NULL;
}

/* ---- clients ---- */

void sim_client(struct sim *s)
{
    sim_schedule(s, sim_pick(s, 1, s->healed ? 200 : s->client_interval_ms) * NS_PER_MS,
                 SIM_EV_CLIENT, 0);
    if (s->now < s->client_pause_until) {
        return;
    }
    if (sim_chance(s, 5)) {
        s->client_pause_until = s->now + sim_pick(s, 500, 4000) * NS_PER_MS;
    }
    uint32_t group = (uint32_t)sim_pick(s, 0, s->group_count - 1);
    struct sim_node *n = random_node(s, true);
    if (n == NULL || n->replicas[group].raft == NULL) {
        return;
    }
    struct sim_replica *rep = &n->replicas[group];
    if (sim_chance(s, 300)) {
        (void)(sim_read(rep) == ERR_OK);
        for (uint32_t i = 0; i < s->node_count;
             i++) { /* whoever believes to lead, rightly or not */
            struct sim_replica *other = &s->nodes[i].replicas[group];
            if (other->raft != NULL && other != rep && raft_role(other->raft) == RAFT_LEADER) {
                (void)(sim_read(other) == ERR_OK);
            }
        }
        return;
    }
    if (raft_role(rep->raft) != RAFT_LEADER) {
        rep = sim_leader(s, group);
    }
    if (rep != NULL && !s->healed) { /* afterwards only sim_check_liveness writes */
        (void)(sim_propose(rep, (uint32_t)sim_pick(s, 1, 12), (uint32_t)sim_pick(s, 9, 60)) ==
               ERR_OK);
    }
}

/* ---- faults ---- */

static void partition(struct sim *s)
{
    memset(s->blocked, 0, sizeof(s->blocked));
    uint64_t kind = sim_pick(s, 0, 5);
    uint64_t side = sim_pick(s, 1, (1u << s->node_count) - 1);
    if (kind == 3) { /* single directed edges */
        for (unsigned i = 0; i < s->node_count; i++) {
            s->blocked[sim_pick(s, 0, s->node_count - 1)][sim_pick(s, 0, s->node_count - 1)] = true;
        }
        return;
    }
    if (kind >= 4) { /* pairs that cannot reach each other, while others reach both */
        for (uint64_t i = sim_pick(s, 1, 2); i > 0; i--) {
            uint64_t a = sim_pick(s, 0, s->node_count - 1);
            uint64_t b = sim_pick(s, 0, s->node_count - 1);
            s->blocked[a][b] = s->blocked[b][a] = true;
        }
        return;
    }
    for (uint32_t a = 0; a < s->node_count; a++) {
        for (uint32_t b = 0; b < s->node_count; b++) {
            bool left = ((side >> a) & 1) != 0;
            bool right = ((side >> b) & 1) != 0;
            /* two-way, or only from one side to the other */
            s->blocked[a][b] = kind < 2 ? left != right : left && !right;
        }
    }
    sim_trace(s, "partition kind %u side %x", (unsigned)kind, (unsigned)side);
}

static void crash(struct sim *s)
{
    struct sim_node *n = random_node(s, true);
    if (sim_chance(s, 400)) { /* leaders are the interesting ones */
        struct sim_replica *leader = sim_leader(s, (uint32_t)sim_pick(s, 0, s->group_count - 1));
        n = leader != NULL ? leader->node : n;
    }
    if (n == NULL) {
        return;
    }
    sim_node_crash(n);
    uint64_t down = sim_chance(s, 500) ? sim_pick(s, 1, 50) : sim_pick(s, 50, 4000);
    sim_schedule(s, down * NS_PER_MS, SIM_EV_RESTART, n->slot);
}

static void crash_all(struct sim *s)
{
    for (uint32_t i = 0; i < s->node_count; i++) {
        if (s->nodes[i].up) {
            sim_node_crash(&s->nodes[i]);
            sim_schedule(s, sim_pick(s, 1, 1500) * NS_PER_MS, SIM_EV_RESTART, i);
        }
    }
}

static void slow_disk(struct sim *s)
{
    struct sim_node *n = &s->nodes[sim_pick(s, 0, s->node_count - 1)];
    if (n->disk_max_ns > 20 * NS_PER_MS) {
        n->disk_min_ns = 50 * NS_PER_US;
        n->disk_max_ns = sim_pick(s, 1, 10) * NS_PER_MS;
    } else {
        n->disk_min_ns = 20 * NS_PER_MS;
        n->disk_max_ns = sim_pick(s, 50, 600) * NS_PER_MS;
    }
    sim_trace(s, "node %u disk <= %lu us", n->slot, (unsigned long)(n->disk_max_ns / 1000));
}

static void transfer(struct sim *s)
{
    uint32_t group = (uint32_t)sim_pick(s, 0, s->group_count - 1);
    struct sim_replica *leader = sim_leader(s, group);
    if (leader == NULL) {
        return;
    }
    struct sim_replica *to = &s->nodes[sim_pick(s, 0, s->node_count - 1)].replicas[group];
    struct raft_event ev = {.type = RAFT_EV_TRANSFER, .u.transfer_to = to->id};
    if (sim_step(leader, &ev) == ERR_OK) {
        s->transfers++;
        sim_trace(s, "g%u transfer to r%lu", group, (unsigned long)to->id);
    }
}

/* Replicas that no longer belong to their group, by the latest leader's committed configuration,
 * are thrown away, as the owner would do when meta tells it. */
static void collect_removed(struct sim *s, struct sim_replica *leader)
{
    struct raft_status st;
    raft_status(leader->raft, &st);
    if (st.conf_index > st.commit || raft_conf_is_joint(&st.conf)) {
        return;
    }
    struct raft_lease lease = raft_lease(leader->raft, sim_local(leader->node, s->now));
    if (!lease.valid || st.applied < st.conf_index || st.applied < st.commit) {
        return;
    }
    for (uint32_t i = 0; i < s->node_count; i++) {
        struct sim_replica *rep = &s->nodes[i].replicas[leader->group];
        bool used = rep->hs.term != 0 || (rep->raft != NULL && raft_term(rep->raft) != 0);
        if (raft_conf_roles(&st.conf, rep->id) == 0 && used && rep != leader) {
            sim_replica_new_generation(rep);
        }
    }
}

static void conf_change(struct sim *s)
{
    uint32_t group = (uint32_t)sim_pick(s, 0, s->group_count - 1);
    struct sim_replica *leader = sim_leader(s, group);
    if (leader == NULL) {
        return;
    }
    collect_removed(s, leader);
    struct raft_change changes[3];
    size_t count = (size_t)sim_pick(s, 1, 3);
    for (size_t i = 0; i < count; i++) {
        const struct sim_replica *rep =
            &s->nodes[sim_pick(s, 0, s->node_count - 1)].replicas[group];
        changes[i] = (struct raft_change){(enum raft_change_op)sim_pick(s, 0, 2), rep->id};
    }
    struct raft_event ev = {.type = RAFT_EV_CONF_CHANGE};
    ev.u.conf_change.changes = changes;
    ev.u.conf_change.count = count;
    if (sim_step(leader, &ev) == ERR_OK) {
        s->conf_changes++;
        sim_trace(s, "g%u r%lu changes the configuration", group, (unsigned long)leader->id);
    }
}

static void campaign(struct sim *s)
{
    struct sim_node *n = random_node(s, true);
    if (n == NULL) {
        return;
    }
    struct sim_replica *rep = &n->replicas[sim_pick(s, 0, s->group_count - 1)];
    struct raft_event ev = {.type = sim_chance(s, 500) ? RAFT_EV_CAMPAIGN : RAFT_EV_WAKE};
    (void)(sim_step(rep, &ev) == ERR_OK);
}

static void unreachable(struct sim *s)
{
    struct sim_replica *leader = sim_leader(s, 0);
    if (leader != NULL) {
        struct raft_event ev = {.type = RAFT_EV_UNREACHABLE};
        ev.u.peer = s->nodes[sim_pick(s, 0, s->node_count - 1)].replicas[0].id;
        (void)(sim_step(leader, &ev) == ERR_OK);
    }
}

void sim_fault(struct sim *s)
{
    if (s->healed) {
        return;
    }
    sim_schedule(s, sim_pick(s, 20, 600) * NS_PER_MS, SIM_EV_FAULT, 0);
    uint64_t what = sim_pick(s, 0, 99);
    if (what < 14) {
        partition(s);
    } else if (what < 30) {
        memset(s->blocked, 0, sizeof(s->blocked));
    } else if (what < 44) {
        crash(s);
    } else if (what < 46) {
        crash_all(s);
    } else if (what < 52) {
        slow_disk(s);
    } else if (what < 62) {
        transfer(s);
    } else if (what < 76) {
        conf_change(s);
    } else if (what < 80) {
        campaign(s);
    } else if (what < 82) {
        unreachable(s);
    } else {
        struct sim_node *n = random_node(s, true);
        for (uint32_t g = 0; n != NULL && g < s->group_count; g++) {
            sim_disk_flush(&n->replicas[g]);
        }
    }
}

void sim_heal(struct sim *s)
{
    sim_trace(s, "all faults end");
    s->healed = true;
    memset(s->blocked, 0, sizeof(s->blocked));
    s->loss_permille = s->dup_permille = s->late_permille = 0;
    s->page_block_permille = 0;
    for (uint32_t i = 0; i < s->node_count; i++) {
        s->nodes[i].disk_min_ns = 50 * NS_PER_US;
        s->nodes[i].disk_max_ns = 5 * NS_PER_MS;
        sim_node_start(&s->nodes[i]);
    }
}
