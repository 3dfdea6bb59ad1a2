/* The network: loss, delay, reordering, duplication, one-way and two-way partitions; snapshots in
 * transit; and the heartbeats of node pairs that keep the links. */
#include "tests/sim/sim.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

void sim_packet_free(struct sim_packet *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->msg.entry_count; i++) {
        blob_unref(p->entries[i].blob);
    }
    mem_free(p);
}

/* The receiver's entries share one blob, as those of a decoded message do. */
static struct sim_packet *packet_copy(const struct raft_msg *m)
{
    struct sim_packet *p = mem_calloc(1, sizeof(*p) + m->entry_count * sizeof(struct raft_entry));
    ASSERT(p != NULL);
    p->msg = *m;
    size_t size = 0;
    for (size_t i = 0; i < m->entry_count; i++) {
        size += m->entries[i].data.len;
    }
    struct blob *blob = m->entry_count > 0 ? blob_new(size) : NULL;
    size_t at = 0;
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct raft_entry *e = &m->entries[i];
        p->entries[i] = *e;
        p->entries[i].blob = blob;
        p->entries[i].data = slice_of(blob->data + at, e->data.len);
        if (e->data.len > 0) {
            memcpy(blob->data + at, e->data.ptr, e->data.len);
        }
        at += e->data.len;
        blob_ref(blob);
    }
    blob_unref(blob);
    p->msg.entries = m->entry_count > 0 ? p->entries : NULL;
    return p;
}

static uint64_t delay(struct sim *s)
{
    if (sim_chance(s, s->late_permille)) {
        return sim_pick(s, s->delay_max_ns, 50 * s->delay_max_ns);
    }
    return sim_pick(s, s->delay_min_ns, s->delay_max_ns);
}

static void send_snapshot(struct sim_replica *rep, struct sim_packet *p, uint32_t to)
{
    struct sim *s = rep->sim;
    bool lost = s->blocked[rep->node->slot][to] || sim_chance(s, 100);
    uint64_t takes = sim_pick(s, 5, 200) * NS_PER_MS;
    /* What is sent is the state of now, which may be later than what was offered. */
    p->state = rep->state;
    p->meta = (struct raft_snapshot_meta){rep->state.applied, rep->state.term, rep->state.conf};
    p->msg.snapshot = &p->meta;
    p->msg.index = p->meta.index;
    p->msg.log_term = p->meta.term;
    struct sim_event *status = sim_schedule(s, takes + sim_pick(s, 0, 20) * NS_PER_MS,
                                            SIM_EV_SNAPSHOT_STATUS, rep->node->slot);
    status->group = rep->group;
    status->a = rep->born;
    status->b = p->msg.to;
    status->c = lost ? 0 : 1;
    if (lost) {
        sim_packet_free(p);
        return;
    }
    struct sim_event *ev = sim_schedule(s, takes, SIM_EV_MESSAGE, to);
    ev->group = rep->group;
    ev->from = rep->node->slot;
    ev->packet = p;
}

void sim_send(struct sim_replica *rep, const struct raft_msg *m)
{
    struct sim *s = rep->sim;
    uint32_t from = rep->node->slot;
    uint32_t to = (uint32_t)((m->to - 1) % SIM_ID_STRIDE);
    ASSERT(to < s->node_count && to != from);
    s->sent++;
    sim_trace(s, "g%u r%lu>r%lu type %u flags %u term %lu index %lu/%lu entries %lu commit %lu",
              rep->group, (unsigned long)m->from, (unsigned long)m->to, m->type, m->flags,
              (unsigned long)m->term, (unsigned long)m->index, (unsigned long)m->log_term,
              (unsigned long)m->entry_count, (unsigned long)m->commit);
    if (m->type == RAFT_MSG_SNAPSHOT) {
        send_snapshot(rep, packet_copy(m), to);
        return;
    }
    unsigned copies = sim_chance(s, s->dup_permille) ? 2 : 1;
    for (unsigned i = 0; i < copies; i++) {
        if (s->blocked[from][to] || sim_chance(s, s->loss_permille)) {
            s->drops++;
            continue;
        }
        struct sim_packet *p = packet_copy(m);
        struct sim_event *ev = sim_schedule(s, delay(s), SIM_EV_MESSAGE, to);
        ev->group = rep->group;
        ev->from = from;
        ev->packet = p;
    }
}

/* ---- links ---- */

struct raft_link *sim_link_of(void *ctx, uint64_t member)
{
    struct sim_replica *rep = ctx;
    uint32_t slot = (uint32_t)((member - 1) % SIM_ID_STRIDE);
    ASSERT(slot < rep->sim->node_count);
    return slot == rep->node->slot ? NULL : &rep->node->links[slot];
}

static void link_send(struct sim_node *n, uint32_t to, enum sim_event_type type, uint64_t a,
                      uint64_t b, uint64_t c)
{
    struct sim *s = n->sim;
    if (s->blocked[n->slot][to] || sim_chance(s, s->loss_permille)) {
        return;
    }
    struct sim_event *ev = sim_schedule(s, delay(s), type, to);
    ev->from = n->slot;
    ev->a = a;
    ev->b = b;
    ev->c = c;
}

static void wake(struct sim_node *n, uint32_t peer)
{
    for (uint32_t g = 0; g < n->sim->group_count; g++) {
        struct sim_replica *rep = &n->replicas[g];
        if (rep->raft == NULL || !raft_is_quiescent(rep->raft)) {
            continue;
        }
        struct raft_status st;
        raft_status(rep->raft, &st);
        uint64_t leader_slot = (st.leader - 1) % SIM_ID_STRIDE;
        if (st.role == RAFT_LEADER && sim_chance(n->sim, n->sim->wake_skip_permille)) {
            continue;
        }
        if (st.role == RAFT_LEADER || leader_slot == peer) {
            struct raft_event ev = {.type = RAFT_EV_WAKE};
            (void)(sim_step(rep, &ev) == ERR_OK);
        }
    }
}

void sim_link_event(struct sim_node *n, const struct sim_event *ev)
{
    struct sim *s = n->sim;
    struct raft_link *link = &n->links[ev->from];
    uint64_t now = sim_local(n, s->now);
    if (ev->type == SIM_EV_LINK) {
        n->link_live[ev->from] = true;
        bool restarted = raft_link_heard(link, ev->a, now, s->base.election_timeout_ns);
        link_send(n, ev->from, SIM_EV_LINK_ACK, ev->a, ev->b, link->promise_epoch);
        if (restarted) {
            wake(n, ev->from);
        }
        return;
    }
    if (ev->a == n->incarnation && raft_link_acked(link, ev->c, ev->b)) {
        wake(n, ev->from);
    }
}

void sim_beat(struct sim_node *n)
{
    struct sim *s = n->sim;
    uint64_t now = sim_local(n, s->now);
    for (uint32_t to = 0; to < s->node_count; to++) {
        if (to == n->slot) {
            continue;
        }
        link_send(n, to, SIM_EV_LINK, n->incarnation, now, 0);
        struct raft_link *link = &n->links[to];
        bool dead = link->promise_until_ns <= now ||
                    link->held_sent_ns + s->base.election_timeout_ns <= now;
        if (dead && n->link_live[to]) {
            n->link_live[to] = false;
            wake(n, to);
        }
    }
    for (uint32_t g = 0; s->base.external_heartbeat && g < s->group_count; g++) {
        struct sim_replica *rep = &n->replicas[g];
        if (rep->raft != NULL && raft_heartbeat_due(rep->raft)) {
            struct raft_event ev = {.type = RAFT_EV_HEARTBEAT};
            (void)(sim_step(rep, &ev) == ERR_OK);
        }
    }
    struct sim_event *ev = sim_schedule(s, 100 * NS_PER_MS, SIM_EV_BEAT, n->slot);
    ev->a = n->incarnation;
}
