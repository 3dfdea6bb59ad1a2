/* One node: its clock, and the owner's side of the core's contract for each of its replicas. */
#include "tests/sim/sim.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

/* ---- clock ---- */

static uint64_t scale(uint64_t ns, int64_t ppm)
{
    return (uint64_t)((int64_t)ns + (int64_t)(ns / 1000000u) * ppm);
}

uint64_t sim_local(const struct sim_node *n, uint64_t now)
{
    return n->clock_offset + scale(now, n->clock_ppm);
}

static uint64_t true_time(const struct sim_node *n, uint64_t local)
{
    uint64_t since = local > n->clock_offset ? local - n->clock_offset : 0;
    return scale(since, -n->clock_ppm) + NS_PER_US;
}

/* ---- the owner of a replica ---- */

static void apply_entry(struct sim_replica *rep, const struct raft_entry *e)
{
    struct sim_state *st = &rep->state;
    sim_check_apply(rep, e);
    st->applied = e->index;
    st->term = e->term;
    uint64_t head[2] = {e->index, e->term};
    st->hash = sim_hash(st->hash, head, sizeof(head));
    st->hash = sim_hash(st->hash, e->data.ptr, e->data.len);
    if (e->type == RAFT_ENTRY_CONF) {
        struct raft_conf conf;
        db_err err = raft_conf_decode(e->data, &conf);
        ASSERT(err == ERR_OK);
        st->conf = conf;
        st->conf_index = e->index;
    } else if (e->type == RAFT_ENTRY_NORMAL && e->data.len >= 9) {
        memcpy(&st->regs[e->data.ptr[0] % SIM_REGS], e->data.ptr + 1, 8);
    }
}

static void apply(struct sim_replica *rep, const struct raft_ready *rd)
{
    struct sim *s = rep->sim;
    for (size_t i = 0; i < rd->committed_count; i++) {
        apply_entry(rep, &rd->committed[i]);
    }
    struct sim_group *g = &s->groups[rep->group];
    uint64_t *known = &g->states[rep->state.applied];
    if (rd->committed_count > 0 && *known == 0) {
        *known = rep->state.hash;
    }
    if (rd->committed_count > 0 && *known != rep->state.hash) {
        sim_violation(s, "state-machine safety: replica %lu differs at index %lu",
                      (unsigned long)rep->id, (unsigned long)rep->state.applied);
    }
}

static void tell_applied(struct sim_replica *rep)
{
    struct sim *s = rep->sim;
    if (!s->opt.scripted && sim_chance(s, 200)) {
        struct sim_event *ev =
            sim_schedule(s, sim_pick(s, 10, 20000) * NS_PER_US, SIM_EV_APPLIED, rep->node->slot);
        ev->group = rep->group;
        ev->a = rep->born;
        ev->b = rep->state.applied;
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_APPLIED, .u.applied_index = rep->state.applied};
    ev.now_ns = sim_local(rep->node, s->now);
    if (raft_step(rep->raft, &ev) != ERR_OK) {
        sim_violation(s, "replica %lu refuses applied", (unsigned long)rep->id);
    }
}

/* Everything the core wants done, in the order of its contract. */
static void serve_ready(struct sim_replica *rep)
{
    struct sim *s = rep->sim;
    for (unsigned turns = 0; raft_has_ready(rep->raft) && s->violation[0] == '\0'; turns++) {
        if (turns > 10000) {
            sim_violation(s, "replica %lu is never done", (unsigned long)rep->id);
            return;
        }
        struct raft_ready rd;
        db_err err = raft_ready(rep->raft, &rd);
        if (err != ERR_OK) {
            sim_violation(s, "replica %lu: ready fails: %s", (unsigned long)rep->id, err_name(err));
            return;
        }
        if (rd.lease_changed) {
            rep->published = rd.lease;
        }
        if (rd.soft_changed) {
            sim_trace(s, "g%u r%lu role %d term %lu leader %lu", rep->group, (unsigned long)rep->id,
                      (int)rd.role, (unsigned long)rd.term, (unsigned long)rd.leader);
        }
        sim_disk_submit(rep, &rd);
        sim_check_step(rep);
        for (size_t i = 0; i < rd.message_count; i++) {
            sim_send(rep, &rd.messages[i]);
        }
        apply(rep, &rd);
        for (size_t i = 0; i < rd.read_count; i++) {
            sim_check_read(rep, &rd.reads[i]);
        }
        bool applied = rd.committed_count > 0;
        raft_advance(rep->raft);
        if (applied) {
            tell_applied(rep);
        }
    }
}

static void set_timer(struct sim_replica *rep)
{
    struct sim *s = rep->sim;
    uint64_t deadline = raft_deadline(rep->raft);
    if (deadline == DEADLINE_NONE) {
        return;
    }
    uint64_t at = true_time(rep->node, deadline);
    at = at > s->now ? at : s->now + NS_PER_US;
    if (rep->timer_at > s->now && rep->timer_at <= at) {
        return; /* the one that is set will look again */
    }
    rep->timer_at = at;
    struct sim_event *ev = sim_schedule(s, at - s->now, SIM_EV_TIMER, rep->node->slot);
    ev->group = rep->group;
    ev->a = rep->born;
    ev->b = at;
}

db_err sim_step(struct sim_replica *rep, struct raft_event *ev)
{
    struct sim *s = rep->sim;
    ASSERT(rep->raft != NULL);
    ev->now_ns = sim_local(rep->node, s->now);
    bool slept = raft_is_quiescent(rep->raft);
    db_err err = raft_step(rep->raft, ev);
    if (err == ERR_CORRUPT || err == ERR_IO || err == ERR_NOT_FOUND ||
        (err == ERR_INVALID && ev->type == RAFT_EV_MESSAGE)) {
        sim_violation(s, "replica %lu: event %d fails: %s", (unsigned long)rep->id, (int)ev->type,
                      err_name(err));
        return err;
    }
    s->quiesced += !slept && raft_is_quiescent(rep->raft) ? 1 : 0;
    sim_check_step(rep);
    serve_ready(rep);
    set_timer(rep);
    return err;
}

/* ---- life ---- */

void sim_node_init(struct sim *s, uint32_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    n->sim = s;
    n->slot = slot;
    n->clock_ppm = s->opt.scripted ? 0 : (int64_t)sim_pick(s, 0, 40000) - 20000;
    n->disk_min_ns = s->opt.scripted ? s->opt.disk_ns : 50 * NS_PER_US;
    n->disk_max_ns = s->opt.scripted ? s->opt.disk_ns : sim_pick(s, 1, 10) * NS_PER_MS;
    for (uint32_t g = 0; g < s->group_count; g++) {
        struct sim_replica *rep = &n->replicas[g];
        rep->sim = s;
        rep->node = n;
        rep->group = g;
        rep->id = slot + 1;
    }
}

static void replica_free(struct sim_replica *rep)
{
    raft_free(rep->raft);
    rep->raft = NULL;
    rep->born++;
    rep->timer_at = 0;
    rep->staged_valid = false;
    rep->log_ready_due = false;
    rep->published = (struct raft_lease){0};
    rep->seen_role = RAFT_FOLLOWER;
}

void sim_node_fini(struct sim_node *n)
{
    for (uint32_t g = 0; g < n->sim->group_count; g++) {
        replica_free(&n->replicas[g]);
        sim_log_fini(&n->replicas[g].mem);
        sim_log_fini(&n->replicas[g].disk);
    }
    sim_disk_crash(n);
    mem_free(n->writes);
}

static void replica_start(struct sim_replica *rep)
{
    struct sim *s = rep->sim;
    sim_log_copy(&rep->mem, &rep->disk);
    rep->state = rep->durable_state;
    struct raft_config c = s->base;
    c.id = rep->id;
    c.hard_state = rep->hs;
    c.conf = rep->state.conf;
    c.conf_index = rep->state.conf_index;
    c.applied = rep->state.applied;
    c.log = &sim_log_ops;
    c.log_ctx = rep;
    c.link = sim_link_of;
    c.link_ctx = rep;
    c.now_ns = sim_local(rep->node, s->now);
    c.seed = rand_u64(&s->rand);
    rep->seen_term = 0;
    rep->seen_commit = 0;
    db_err err = raft_new(&c, &rep->raft);
    if (err != ERR_OK) {
        sim_violation(s, "replica %lu does not start: %s", (unsigned long)rep->id, err_name(err));
        return;
    }
    serve_ready(rep);
    set_timer(rep);
}

void sim_node_start(struct sim_node *n)
{
    struct sim *s = n->sim;
    if (n->up) {
        return;
    }
    sim_trace(s, "node %u starts", n->slot);
    n->up = true;
    n->incarnation++;
    /* A new machine life, a new clock. */
    n->clock_offset = sim_pick(s, 1, 1000) * NS_PER_S;
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        raft_link_init(&n->links[i], n->incarnation);
        n->link_live[i] = false;
    }
    for (uint32_t g = 0; g < s->group_count; g++) {
        replica_start(&n->replicas[g]);
    }
    struct sim_event *ev = sim_schedule(s, sim_pick(s, 1, 100) * NS_PER_MS, SIM_EV_BEAT, n->slot);
    ev->a = n->incarnation;
}

void sim_node_crash(struct sim_node *n)
{
    ASSERT(n->up);
    sim_trace(n->sim, "node %u crashes", n->slot);
    n->sim->crashes++;
    n->up = false;
    sim_disk_crash(n);
    for (uint32_t g = 0; g < n->sim->group_count; g++) {
        replica_free(&n->replicas[g]);
    }
}

/* The replica has been removed from its group: a fresh one with a new id takes its place on the
 * node. */
void sim_replica_new_generation(struct sim_replica *rep)
{
    struct sim_group *g = &rep->sim->groups[rep->group];
    replica_free(rep);
    sim_log_fini(&rep->mem);
    sim_log_fini(&rep->disk);
    rep->hs = (struct raft_hard_state){0};
    memset(&rep->durable_state, 0, sizeof(rep->durable_state));
    rep->id = rep->node->slot + 1 + SIM_ID_STRIDE * ++g->generation;
    if (rep->node->up) {
        replica_start(rep);
    }
}

/* ---- events ---- */

static void deliver(struct sim_replica *rep, struct sim_event *ev)
{
    struct sim_packet *p = ev->packet;
    struct sim *s = rep->sim;
    /* Nothing comes through a partition, also not what was on its way. */
    if (s->blocked[ev->from][rep->node->slot]) {
        s->drops++;
        return;
    }
    if (p->msg.to != rep->id) {
        if (p->msg.type == RAFT_MSG_POKE && p->msg.to < rep->id) {
            /* For a replica that is gone: its owner answers in its place. */
            struct raft_msg m = {.type = RAFT_MSG_RELEASE, .from = p->msg.to, .to = p->msg.from};
            m.term = p->msg.term;
            m.context = p->msg.context;
            sim_send(rep, &m);
        }
        s->drops++;
        return;
    }
    if (p->msg.type == RAFT_MSG_SNAPSHOT) {
        if (raft_term(rep->raft) > p->msg.term) {
            return;
        }
        struct raft_status st;
        raft_status(rep->raft, &st);
        if (!rep->staged_valid || st.commit >= rep->staged.applied) {
            rep->staged = p->state;
            rep->staged_valid = true;
        } else {
            return; /* one is being installed */
        }
    }
    struct raft_event e = {.type = RAFT_EV_MESSAGE, .u.message = &p->msg};
    (void)(sim_step(rep, &e) == ERR_OK);
}

static void step_simple(struct sim_replica *rep, enum raft_event_type type)
{
    struct raft_event e = {.type = type};
    (void)(sim_step(rep, &e) == ERR_OK);
}

void sim_node_event(struct sim_node *n, struct sim_event *ev)
{
    if (!n->up) {
        return;
    }
    struct sim_replica *rep = &n->replicas[ev->group];
    struct raft_event e = {0};
    bool mine = ev->a == rep->born;
    switch ((int)ev->type) {
    case SIM_EV_MESSAGE: deliver(rep, ev); break;
    case SIM_EV_DISK:
        if (ev->a == n->incarnation) {
            sim_disk_event(n);
        }
        break;
    case SIM_EV_BEAT:
        if (ev->a == n->incarnation) {
            sim_beat(n);
        }
        break;
    case SIM_EV_LINK:
    case SIM_EV_LINK_ACK:
        if (!n->sim->blocked[ev->from][n->slot]) {
            sim_link_event(n, ev);
        }
        break;
    case SIM_EV_TIMER:
        if (mine && ev->b == rep->timer_at) {
            rep->timer_at = 0;
            step_simple(rep, RAFT_EV_TICK);
        }
        break;
    case SIM_EV_LOG_READY:
        if (mine) {
            rep->log_ready_due = false;
            step_simple(rep, RAFT_EV_LOG_READY);
        }
        break;
    case SIM_EV_APPLIED:
        if (mine) {
            e.type = RAFT_EV_APPLIED;
            e.u.applied_index = ev->b;
            (void)(sim_step(rep, &e) == ERR_OK);
        }
        break;
    case SIM_EV_SNAPSHOT_STATUS:
        if (mine) {
            e.type = RAFT_EV_SNAPSHOT_STATUS;
            e.u.snapshot_status.peer = ev->b;
            e.u.snapshot_status.ok = ev->c != 0;
            (void)(sim_step(rep, &e) == ERR_OK);
        }
        break;
    default: ASSERT(false);
    }
}

/* ---- for workloads and scenarios ---- */

struct sim_replica *sim_leader(struct sim *s, uint32_t group)
{
    struct sim_replica *best = NULL;
    for (uint32_t i = 0; i < s->node_count; i++) {
        struct sim_replica *rep = &s->nodes[i].replicas[group];
        if (rep->raft != NULL && raft_role(rep->raft) == RAFT_LEADER &&
            (best == NULL || raft_term(rep->raft) > raft_term(best->raft))) {
            best = rep;
        }
    }
    return best;
}

bool sim_wait_leader(struct sim *s, uint32_t group, uint64_t within_ns)
{
    uint64_t until = s->now + within_ns;
    while (s->now < until && s->violation[0] == '\0') {
        struct sim_replica *leader = sim_leader(s, group);
        if (leader != NULL) {
            struct raft_status st;
            raft_status(leader->raft, &st);
            if (st.commit > 0 && st.commit == st.last_index) {
                return true;
            }
        }
        sim_run_until(s, s->now + 10 * NS_PER_MS);
    }
    return false;
}

db_err sim_propose(struct sim_replica *rep, uint32_t count, uint32_t size)
{
    enum { BATCH_MAX = 16 };
    ASSERT(count <= BATCH_MAX && size >= 9);
    struct blob *blob = blob_new((size_t)count * size);
    ASSERT(blob != NULL);
    struct slice data[BATCH_MAX];
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *p = blob->data + (size_t)i * size;
        uint64_t value = ++rep->sim->client_seq;
        memset(p, 0, size);
        p[0] = (uint8_t)(value % SIM_REGS);
        memcpy(p + 1, &value, 8);
        data[i] = slice_of(p, size);
    }
    struct raft_event ev = {.type = RAFT_EV_PROPOSE};
    ev.u.propose.data = data;
    ev.u.propose.count = count;
    ev.u.propose.blob = blob;
    db_err err = sim_step(rep, &ev);
    blob_unref(blob);
    rep->sim->proposals += err == ERR_OK ? count : 0;
    return err;
}

db_err sim_read(struct sim_replica *rep)
{
    struct sim *s = rep->sim;
    if (s->read_count == s->read_cap) {
        s->read_cap = s->read_cap == 0 ? 64 : s->read_cap * 2;
        s->reads = mem_realloc(s->reads, s->read_cap * sizeof(*s->reads));
        ASSERT(s->reads != NULL);
    }
    uint64_t context = s->read_next++;
    s->reads[s->read_count++] = (struct sim_read){context, s->groups[rep->group].commit};
    struct raft_event ev = {.type = RAFT_EV_READ, .u.read_context = context};
    db_err err = sim_step(rep, &ev);
    s->read_count -= err != ERR_OK ? 1 : 0; /* refused: there will be no answer */
    return err;
}
