#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"

/* Lanes: which loop drives a group of several members, and the heartbeats of node pairs.
 *
 * Idle groups lean on a struct raft_link per pair of nodes (node/raft/quiesce.c), which is plain
 * memory shared by all groups of the pair. So that no lock is needed, the ranges are dealt to
 * RAFT_LANES lanes, each lane has links of its own, and all its groups of several members are
 * *pinned*: driven by the one loop that the lane belongs to. A group of one member has no link and
 * goes on floating (inbox.c); when it is to get a second one, it is pinned first.
 *
 * Every 100 ms the loop sends one heartbeat per link that has groups, lets leaders that are awake
 * add theirs, wakes those that sleep on a link that has died, and writes the leases of sleeping
 * leaders forward (they grow with the link, without any event of the group). An idle range
 * therefore costs a look at a few words three times a second, and no message. */

enum { REFRESH_BEATS = 3 }; /* leases of sleepers; they hold for about nine beats */

struct peer *peer_get(struct range_store *rs, node_id_t node)
{
    struct peer *head = atomic_load_explicit(&rs->peers, memory_order_acquire);
    for (struct peer *p = head; p != NULL; p = p->next) {
        if (p->node == node) {
            return p;
        }
    }
    struct peer *fresh = mem_calloc(1, sizeof(*fresh));
    if (fresh == NULL) {
        return NULL;
    }
    fresh->node = node;
    for (unsigned i = 0; i < RAFT_LANES; i++) {
        raft_link_init(&fresh->lanes[i].link, rs->incarnation);
    }
    pthread_mutex_lock(&rs->map_lock);
    struct peer *p = atomic_load(&rs->peers);
    while (p != NULL && p->node != node) {
        p = p->next;
    }
    if (p == NULL) {
        fresh->next = atomic_load(&rs->peers);
        atomic_store_explicit(&rs->peers, fresh, memory_order_release);
        p = fresh;
        fresh = NULL;
    }
    pthread_mutex_unlock(&rs->map_lock);
    mem_free(fresh);
    return p;
}

struct raft_link *replica_link(void *ctx, uint64_t member)
{
    struct replica *r = ctx;
    node_id_t node = replica_node_of(r, member);
    if (node == 0 || node == r->rs->ident.node_id || !atomic_load(&r->pinned)) {
        return NULL;
    }
    struct peer *p = peer_get(r->rs, node);
    return p == NULL ? NULL : &p->lanes[range_lane(r->id)].link;
}

struct loop *range_store_lane_loop(const struct range_store *rs, unsigned lane)
{
    ASSERT(lane < RAFT_LANES);
    return rs->loops[lane % rs->loop_count].loop;
}

/* ---- the replicas of a loop ---- */

static void start_beating(struct range_loop *l)
{
    if (!l->beating && !atomic_load(&l->rs->closing)) {
        l->beating = true;
        db_err err =
            loop_timer_start(l->loop, &l->beat_timer, clock_mono_ns() + RANGE_HEARTBEAT_NS);
        ASSERT(err == ERR_OK);
    }
}

void lane_enter(struct range_loop *l, struct replica *r)
{
    ASSERT(lane_loop(l->rs, r->id) == l && !atomic_load(&r->on_lane));
    list_push_back(&l->pinned, &r->lane_link);
    l->links_dirty = true;
    atomic_store(&r->on_lane, true);
    replica_publish_info(l, r);
    start_beating(l);
}

static void wake_up(struct range_loop *l, struct replica *r)
{
    if (r->asleep) {
        r->asleep = false;
        list_remove(&r->asleep_link);
        atomic_fetch_sub_explicit(&l->rs->stat_asleep, 1, memory_order_relaxed);
    }
}

void lane_leave(struct range_loop *l, struct replica *r)
{
    if (atomic_load(&r->on_lane)) {
        wake_up(l, r);
        list_remove(&r->lane_link);
        l->links_dirty = true;
        atomic_store(&r->on_lane, false);
    }
}

void lane_note_sleep(struct range_loop *l, struct replica *r)
{
    bool quiet = raft_is_quiescent(r->raft) && atomic_load(&r->on_lane);
    if (quiet == r->asleep) {
        return;
    }
    if (!quiet) {
        wake_up(l, r);
        return;
    }
    r->asleep = true;
    list_push_back(&l->asleep, &r->asleep_link);
    atomic_fetch_add_explicit(&l->rs->stat_asleep, 1, memory_order_relaxed);
    replica_publish_info(l, r);
}

/* Sleepers of the lane that lean on the link to the node. */
static void wake_lane(struct range_loop *l, unsigned lane, node_id_t node)
{
    LIST_FOREACH_SAFE (it, &l->asleep) {
        struct replica *r = CONTAINER_OF(it, struct replica, asleep_link);
        if (range_lane(r->id) != lane || !replica_runs(r)) {
            continue;
        }
        bool leads = raft_role(r->raft) == RAFT_LEADER;
        if (leads ? desc_replica_on(replica_desc(r), node) == 0
                  : atomic_load(&r->leader_node) != node) {
            continue;
        }
        struct raft_event ev = {.type = RAFT_EV_WAKE};
        db_err err;
        replica_own(l, r);
        if (replica_step(l, r, &ev, &err)) {
            wake_up(l, r);
            replica_mark_dirty(l, r);
        }
    }
}

/* ---- link messages ---- */

static void send_link(struct range_loop *l, node_id_t to, struct link_msg *msg)
{
    struct replica_transport *t = l->rs->opts.transport;
    msg->flags =
        atomic_load_explicit(&l->rs->disk_full, memory_order_relaxed) != 0 ? LINK_F_DISK_FULL : 0;
    t->ops->send_link(t, to, msg);
    l->sent = true;
    range_loop_kick(l);
}

static void take_link(struct range_loop *l, node_id_t from, const struct link_msg *m)
{
    struct range_store *rs = l->rs;
    struct peer *p = peer_get(rs, from);
    if (p == NULL) {
        return;
    }
    struct lane_link *ll = &p->lanes[m->lane];
    ll->full = (m->flags & LINK_F_DISK_FULL) != 0;
    if (m->kind == LINK_HEARTBEAT) {
        if (m->incarnation == 0 || m->incarnation > UINT32_MAX) {
            return;
        }
        ll->live = true;
        owners_heard(p, (uint32_t)m->incarnation);
        bool restarted =
            raft_link_heard(&ll->link, m->incarnation, clock_mono_ns(), RANGE_ELECTION_NS);
        struct link_msg ack = {.kind = LINK_ACK,
                               .lane = m->lane,
                               .incarnation = m->incarnation,
                               .sent_ns = m->sent_ns,
                               .epoch = ll->link.promise_epoch};
        send_link(l, from, &ack);
        if (restarted) {
            wake_lane(l, m->lane, from);
        }
    } else if (m->incarnation == rs->incarnation && m->sent_ns <= clock_mono_ns() &&
               raft_link_acked(&ll->link, m->epoch, m->sent_ns)) {
        wake_lane(l, m->lane, from);
    }
}

struct link_task {
    struct loop_task task;
    struct range_loop *l;
    node_id_t from;
    struct link_msg msg;
};

static void link_task_run(struct loop_task *task)
{
    struct link_task *t = CONTAINER_OF(task, struct link_task, task);
    if (!atomic_load(&t->l->rs->closing)) {
        take_link(t->l, t->from, &t->msg);
    }
    atomic_fetch_sub(&t->l->rs->fibers, 1);
    mem_free(t);
}

void range_store_receive_link(struct range_store *rs, node_id_t from, const struct link_msg *msg)
{
    if (msg->lane >= RAFT_LANES || from == rs->ident.node_id || rs->opts.transport == NULL ||
        atomic_load(&rs->closing)) {
        return;
    }
    struct range_loop *l = &rs->loops[msg->lane % rs->loop_count];
    if (range_loop_self(rs) == l) {
        take_link(l, from, msg);
        return;
    }
    struct link_task *t = mem_calloc(1, sizeof(*t));
    if (t == NULL) {
        return; /* lost, as on a network */
    }
    t->task.fn = link_task_run;
    t->l = l;
    t->from = from;
    t->msg = *msg;
    atomic_fetch_add(&rs->fibers, 1); /* the store does not go before it has run */
    loop_post(l->loop, &t->task);
}

/* ---- the beat ---- */

static void count_groups(struct range_loop *l)
{
    struct range_store *rs = l->rs;
    l->links_dirty = false;
    for (struct peer *p = atomic_load(&rs->peers); p != NULL; p = p->next) {
        for (unsigned lane = l->index; lane < RAFT_LANES; lane += rs->loop_count) {
            p->lanes[lane].groups = 0;
        }
    }
    LIST_FOREACH (it, &l->pinned) {
        struct replica *r = CONTAINER_OF(it, struct replica, lane_link);
        const struct range_desc *d = replica_desc(r);
        for (unsigned i = 0; i < d->replica_count; i++) {
            struct peer *p =
                d->replicas[i].node == rs->ident.node_id ? NULL : peer_get(rs, d->replicas[i].node);
            if (p != NULL) {
                p->lanes[range_lane(r->id)].groups++;
            }
        }
    }
}

static void beat_links(struct range_loop *l)
{
    struct range_store *rs = l->rs;
    if (l->links_dirty) {
        count_groups(l);
    }
    for (struct peer *p = atomic_load(&rs->peers); p != NULL; p = p->next) {
        for (unsigned lane = l->index; lane < RAFT_LANES; lane += rs->loop_count) {
            struct lane_link *ll = &p->lanes[lane];
            if (ll->groups == 0) {
                continue;
            }
            uint64_t now = clock_mono_ns();
            struct link_msg m = {.kind = LINK_HEARTBEAT,
                                 .lane = (uint8_t)lane,
                                 .incarnation = rs->incarnation,
                                 .sent_ns = now};
            send_link(l, p->node, &m);
            bool dead = ll->link.promise_until_ns <= now ||
                        ll->link.held_sent_ns + RANGE_ELECTION_NS <= now;
            if (dead && ll->live) {
                ll->live = false;
                wake_lane(l, lane, p->node);
            }
        }
    }
}

static void beat_awake(struct range_loop *l)
{
    LIST_FOREACH (it, &l->awake) {
        struct replica *r = CONTAINER_OF(it, struct replica, awake_link);
        if (!atomic_load_explicit(&r->on_lane, memory_order_relaxed) || !replica_runs(r)) {
            continue;
        }
        replica_publish_info(l, r);
        if (raft_heartbeat_due(r->raft)) {
            struct raft_event ev = {.type = RAFT_EV_HEARTBEAT};
            db_err err;
            if (replica_step(l, r, &ev, &err)) {
                replica_mark_dirty(l, r);
            }
        }
    }
}

static void refresh_leases(struct range_loop *l)
{
    uint64_t now = clock_mono_ns();
    LIST_FOREACH (it, &l->asleep) {
        struct replica *r = CONTAINER_OF(it, struct replica, asleep_link);
        if (r->leading && replica_runs(r)) {
            struct raft_lease lease = raft_lease(r->raft, now);
            if (lease.valid && lease.term == r->lead_term) {
                atomic_store_explicit(&r->lease_until_ns, lease.until_ns, memory_order_release);
            }
        }
    }
}

void range_loop_beat(struct loop_timer *timer)
{
    struct range_loop *l = CONTAINER_OF(timer, struct range_loop, beat_timer);
    l->beating = false;
    if (atomic_load(&l->rs->closing) || list_empty(&l->pinned)) {
        return;
    }
    beat_links(l);
    beat_awake(l);
    if (++l->beats % REFRESH_BEATS == 0) {
        refresh_leases(l);
    }
    start_beating(l);
}

/* ---- a connection broke ---- */

struct down_task {
    struct loop_task task;
    struct range_loop *l;
    node_id_t node;
};

static void down_task_run(struct loop_task *task)
{
    struct down_task *t = CONTAINER_OF(task, struct down_task, task);
    struct range_loop *l = t->l;
    LIST_FOREACH (it, &l->awake) {
        struct replica *r = CONTAINER_OF(it, struct replica, awake_link);
        uint64_t member = replica_runs(r) ? desc_replica_on(replica_desc(r), t->node) : 0;
        if (member != 0 && raft_role(r->raft) == RAFT_LEADER) {
            struct raft_event ev = {.type = RAFT_EV_UNREACHABLE, .u.peer = member};
            db_err err;
            if (replica_step(l, r, &ev, &err)) {
                replica_mark_dirty(l, r);
            }
        }
    }
    atomic_fetch_sub(&l->rs->fibers, 1);
    mem_free(t);
}

void range_store_peer_down(struct range_store *rs, node_id_t node)
{
    unsigned loops = rs->loop_count < RAFT_LANES ? rs->loop_count : RAFT_LANES;
    for (unsigned i = 0; i < loops && !atomic_load(&rs->closing); i++) {
        struct down_task *t = mem_calloc(1, sizeof(*t));
        if (t == NULL) {
            return; /* the next heartbeats find out */
        }
        t->task.fn = down_task_run;
        t->l = &rs->loops[i];
        t->node = node;
        atomic_fetch_add(&rs->fibers, 1);
        loop_post(t->l->loop, &t->task);
    }
}

/* ---- the end ---- */

static void close_lane(void *arg)
{
    struct call_msg *c = arg;
    struct range_loop *l = c->arg;
    loop_timer_stop(l->loop, &l->beat_timer);
    LIST_FOREACH (it, &l->pinned) {
        struct replica *r = CONTAINER_OF(it, struct replica, lane_link);
        replica_own(l, r);
        if (r->leading) {
            replica_lease_end(l, r);
        }
        if (r->awake) {
            r->awake = false;
            list_remove(&r->awake_link);
        }
        loop_timer_stop(l->loop, &r->campaign_timer);
        replica_mark_dirty(l, r);
    }
    wait_signal(&c->waiter, 0);
}

void lanes_close(struct range_store *rs)
{
    atomic_store(&rs->closing, true);
    for (unsigned i = 0; rs->loops != NULL && i < rs->loop_count; i++) {
        struct call_msg c = {.arg = &rs->loops[i]};
        wait_init(&c.waiter);
        if (rs->loops[i].loop != NULL && fiber_spawn(rs->loops[i].loop, close_lane, &c) == ERR_OK) {
            wait_block_uncancelable(&c.waiter);
        }
    }
}
