#include "node/range/range_int.h"

#include "base/log.h"

/* Once a second, for groups of several members:
 *
 * A leader whose disk is full cannot make anything durable, but its group can: it hands the lease
 * to a member that is up to date and whose node has not said that its own disk is full.
 *
 * A member that nobody talks to any more asks the others whether it still is one. A voter would
 * find out by standing for election, a learner never stands. But all those it knows may have been
 * replaced while its node was away: when nobody answers it looks itself up in the index of ranges.
 */

#define HAND_OFF_NS (5 * NS_PER_S)
#define ASK_NS      (5 * NS_PER_S)
#define LOOK_UP_NS  (8 * NS_PER_S)

/* The voter that has most of the log, on a node with space; 0: none. */
static uint64_t successor(struct range_loop *l, const struct replica *r)
{
    const struct range_desc *d = replica_desc(r);
    struct raft_status st;
    uint64_t best = 0;
    uint64_t match = 0;
    uint64_t now = clock_mono_ns();
    raft_status(r->raft, &st);
    for (uint32_t i = 0; i < st.peer_count; i++) {
        const struct raft_peer_status *p = &st.peers[i];
        node_id_t node = replica_node_of(r, p->id);
        struct peer *peer =
            node == 0 || node == l->rs->ident.node_id ? NULL : peer_get(l->rs, node);
        if (peer != NULL && (p->roles & RAFT_ROLE_VOTER) != 0 && p->state == RAFT_REPLICATE &&
            (st.quiescent || p->acked_sent_ns + RANGE_ELECTION_NS > now) && p->match > match &&
            !peer->lanes[range_lane(d->id)].full) {
            best = p->id;
            match = p->match;
        }
    }
    return best;
}

static void hand_off(struct range_loop *l, struct replica *r, uint64_t now)
{
    uint64_t to = successor(l, r);
    if (to == 0) {
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_TRANSFER, .u.transfer_to = to};
    db_err err;
    r->handed_off_ns = now;
    if (replica_step(l, r, &ev, &err)) {
        LOG_INFO("range.lease.handed_off", F_U64("range", r->id), F_U64("to_replica", to),
                 F_ERR(err));
        replica_mark_dirty(l, r);
    }
}

static void ask(struct range_loop *l, struct replica *r, uint64_t now)
{
    const struct range_desc *d = replica_desc(r);
    r->asked_ns = now;
    for (unsigned i = 0; i < d->replica_count; i++) {
        struct raft_msg m = {.type = REPLICA_MSG_ASK,
                             .from = r->replica_id,
                             .to = d->replicas[i].replica_id,
                             .term = 1};
        if (m.to != m.from) {
            replica_send(l, r, &m);
        }
    }
    range_loop_kick(l);
}

static db_err tend(struct range_loop *l, struct replica *r, void *arg)
{
    uint64_t now = clock_mono_ns();
    (void)arg;
    if (!replica_runs(r) || !atomic_load(&r->on_lane)) {
        return ERR_OK;
    }
    if (raft_role(r->raft) == RAFT_LEADER) {
        if (atomic_load(&l->rs->disk_full) != 0 && now - r->handed_off_ns > HAND_OFF_NS) {
            hand_off(l, r, now);
        }
    } else if (!atomic_load(&r->asleep) && now - atomic_load(&r->heard_ns) > ASK_NS &&
               now - r->asked_ns > ASK_NS) {
        ask(l, r, now);
    }
    return ERR_OK;
}

static db_err leave(struct range_loop *l, struct replica *r, void *arg)
{
    (void)arg;
    LOG_INFO("range.removed.found", F_U64("range", r->id), F_U64("replica", r->replica_id));
    replica_leave(l, r);
    return ERR_OK;
}

static void look_up(struct replica *r)
{
    const struct range_hooks *h = r->rs->opts.hooks;
    uint64_t now = clock_mono_ns();
    if (h->where == NULL || now - atomic_load(&r->heard_ns) < LOOK_UP_NS ||
        now - r->looked_up_ns < LOOK_UP_NS) {
        return;
    }
    struct range_desc d;
    struct slice start;
    struct arena a;
    r->looked_up_ns = now;
    arena_init(&a, NULL, NULL, 0);
    unsigned slot = ebr_enter(&r->rs->ebr);
    db_err err = arena_copy(&a, replica_desc(r)->start, &start);
    ebr_leave(&r->rs->ebr, slot);
    if (err == ERR_OK) {
        err = h->where(h->ctx, start, &a, &d);
    }
    if (err == ERR_OK && d.id == r->id && replica_was_removed(&d, r->replica_id)) {
        err = replica_call(r, leave, NULL);
    }
    arena_fini(&a);
}

void replica_tend(struct replica *r)
{
    if (!replica_is(r, REPLICA_LIVE) || !atomic_load(&r->on_lane)) {
        return;
    }
    bool leads = atomic_load(&r->lease_term) != 0;
    if (leads ? atomic_load(&r->rs->disk_full) != 0
              : !atomic_load(&r->asleep) && clock_mono_ns() - atomic_load(&r->heard_ns) > ASK_NS) {
        db_err err = replica_call(r, tend, NULL);
        (void)err;
        if (!leads) {
            look_up(r);
        }
    }
}
