#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"

/* Messages of other members: how they come in, who answers for a replica that is not here, and
 * where the replicas of a group are.
 *
 * A replica that is no member here yet, or waits for a snapshot, has no core and must not vote.
 * What a leader asks of it is answered from nothing: "I have no state" (so that a snapshot is
 * sent); so is who stands for election, and may have to lend it its own (snapshot_send.c). Such an
 * answer names no time and no read round, so it never counts for a lease: the shell
 * may stand in for a replica that has voted in its former life. It may have a log, too: a restart
 * forgets what the engine had not made durable, and when the left half of a split then gets a
 * snapshot of a later time, nothing brings the right half's first state back. The log still holds
 * what was acknowledged with it, so a snapshot has to go together with it (snapshot_receive.c).
 *
 * Addresses. A group's messages name replicas by id; which node an id is on stands in the
 * descriptor, and is known earlier from the entry that announces a new replica (it is learnt when
 * the entry is written, not applied, so a new leader knows everybody whom its configuration names)
 * and from messages themselves. Ids are never used twice, so nothing learnt ever becomes wrong.
 *
 * Who was removed may not know it: the others stop talking to it. It asks for votes, then; any
 * member that has applied its removal tells it. That is final: `from` is older than the descriptor
 * (ids are made from epoch.conf) and not in it. */

void raft_in_free(struct raft_in *in)
{
    for (size_t i = 0; i < in->m.entry_count; i++) {
        blob_unref(in->entries[i].blob);
    }
    mem_free(in);
}

/* ---- sending ---- */

void replica_send(struct range_loop *l, struct replica *r, const struct raft_msg *msg)
{
    struct replica_transport *t = l->rs->opts.transport;
    node_id_t to = replica_node_of(r, msg->to);
    if (t == NULL || to == 0 || to == l->rs->ident.node_id || atomic_load(&l->rs->closing)) {
        return;
    }
    t->ops->send(t, to, r->id, msg);
    l->sent = true;
    atomic_fetch_add_explicit(&l->rs->stat_out, 1, memory_order_relaxed);
}

void replica_tell_removed(struct range_loop *l, struct replica *r, node_id_t node,
                          uint64_t replica_id)
{
    struct replica_transport *t = l->rs->opts.transport;
    struct raft_msg m = {.type = REPLICA_MSG_REMOVED,
                         .from = r->replica_id,
                         .to = replica_id,
                         .term = 1,
                         .index = replica_desc(r)->epoch.conf};
    if (t != NULL && node != l->rs->ident.node_id && !atomic_load(&l->rs->closing)) {
        t->ops->send(t, node, r->id, &m);
        l->sent = true;
        range_loop_kick(l);
    }
}

/* ---- where replicas are ---- */

void replica_learn(struct replica *r, uint64_t replica_id, node_id_t node)
{
    for (unsigned i = 0; i < r->addr_count; i++) {
        if (r->addrs[i].replica_id == replica_id) {
            return;
        }
    }
    unsigned at = r->addr_count < ADDRS_MAX ? r->addr_count++ : r->addr_next++ % ADDRS_MAX;
    r->addrs[at] = (struct replica_addr){replica_id, node};
}

node_id_t replica_node_of(const struct replica *r, uint64_t replica_id)
{
    const struct range_desc *d = replica_desc(r);
    for (unsigned i = 0; i < d->replica_count; i++) {
        if (d->replicas[i].replica_id == replica_id) {
            return d->replicas[i].node;
        }
    }
    for (unsigned i = 0; i < r->addr_count; i++) {
        if (r->addrs[i].replica_id == replica_id) {
            return r->addrs[i].node;
        }
    }
    return 0;
}

/* ---- coming in ---- */

static void answer(struct range_store *rs, node_id_t to, range_id_t range,
                   const struct raft_msg *resp)
{
    struct replica_transport *t = rs->opts.transport;
    if (t == NULL) {
        return;
    }
    t->ops->send(t, to, range, resp);
    if (t->ops->flush != NULL) {
        t->ops->flush(t);
    }
}

/* For a replica without a core. */
static void answer_shell(struct range_store *rs, node_id_t from, range_id_t range,
                         const struct raft_msg *m)
{
    struct raft_msg resp = {.flags = RAFT_MSG_F_NO_STATE,
                            .from = m->to,
                            .to = m->from,
                            .term = m->term,
                            .context = m->sent_ns};
    if (rs->snapshot_dir == NULL) {
        return;
    }
    if (m->type == RAFT_MSG_APPEND) {
        resp.type = RAFT_MSG_APPEND_RESP;
        resp.flags |= RAFT_MSG_F_REJECT;
        resp.index = m->index;
    } else if (m->type == RAFT_MSG_HEARTBEAT) {
        resp.type = RAFT_MSG_HEARTBEAT_RESP;
    } else if (m->type == RAFT_MSG_PREVOTE) {
        resp.type = RAFT_MSG_PREVOTE_RESP; /* not for the core, see snapshot_sponsor */
        resp.flags |= RAFT_MSG_F_REJECT;
    } else {
        return;
    }
    answer(rs, from, range, &resp);
}

/* Who promised something to a replica that is not here any more is free: without this, members that
 * sleep on the link to its node would refuse each other their votes for as long as that lives. */
static void answer_poke(struct range_store *rs, node_id_t from, range_id_t range,
                        const struct raft_msg *m)
{
    struct raft_msg resp = {.type = RAFT_MSG_RELEASE,
                            .from = m->to,
                            .to = m->from,
                            .term = m->term,
                            .context = m->context};
    answer(rs, from, range, &resp);
}

static bool is_question(uint8_t type)
{
    return type == RAFT_MSG_PREVOTE || type == RAFT_MSG_VOTE || type == RAFT_MSG_POKE;
}

/* Who asks for a range that was merged away: also after a restart, when the others may be few that
 * have not heard of it and cannot lead any more. */
static void answer_merged(struct range_store *rs, node_id_t from, range_id_t range,
                          const struct raft_msg *m)
{
    struct raft_msg resp = {
        .type = REPLICA_MSG_REMOVED, .from = m->to, .to = m->from, .term = 1, .index = 0};
    if (m->type != REPLICA_MSG_ASK && !is_question(m->type)) {
        return;
    }
    answer(rs, from, range, &resp);
}

/* Where no replica runs. min: lower ones do not come (back) to this node. waits: one that may come
 * needs a state. */
static void answer_absent(struct range_store *rs, node_id_t from, range_id_t range,
                          const struct raft_msg *m, uint64_t min, bool waits)
{
    bool merged = min == REPLICA_ID_NEVER;
    if (m->type == RAFT_MSG_POKE && !merged) {
        answer_poke(rs, from, range, m);
    } else if (waits && m->to >= min) {
        answer_shell(rs, from, range, m);
    } else if (merged) {
        answer_merged(rs, from, range, m);
    }
}

/* What only the engine remembers. */
struct gone_look {
    struct range_store *rs;
    node_id_t from;
    range_id_t range;
    struct raft_msg m; /* of which no more is used than what it says of itself */
    uint64_t min;
    db_err err;
};

static void look_job(void *arg)
{
    struct gone_look *k = arg;
    k->err = store_min_replica(k->rs->opts.engine, k->range, &k->min);
}

static void look_fiber(void *arg)
{
    struct gone_look *k = arg;
    struct range_store *rs = k->rs;
    blocking_run(look_job, k);
    if (k->err == ERR_OK && !atomic_load(&rs->closing) && replica_find(rs, k->range) == NULL) {
        answer_absent(rs, k->from, k->range, &k->m, k->min, true);
    }
    mem_free(k);
    atomic_fetch_sub(&rs->gone_looks, 1);
    atomic_fetch_sub(&rs->fibers, 1);
}

/* Too many at a time, no memory: the message is lost, as on a network. */
static void look_in_engine(struct range_store *rs, node_id_t from, range_id_t range,
                           const struct raft_msg *m)
{
    struct range_loop *l = range_loop_self(rs);
    bool room = atomic_fetch_add(&rs->gone_looks, 1) < RANGE_GONE_LOOKS_MAX;
    struct gone_look *k = l != NULL && room ? mem_alloc(sizeof(*k)) : NULL;
    if (k != NULL) {
        *k = (struct gone_look){.rs = rs, .from = from, .range = range, .m = *m};
        atomic_fetch_add(&rs->fibers, 1);
        if (fiber_spawn(l->loop, look_fiber, k) == ERR_OK) {
            return;
        }
        atomic_fetch_sub(&rs->fibers, 1);
        mem_free(k);
    }
    atomic_fetch_sub(&rs->gone_looks, 1);
}

static void receive_absent(struct range_store *rs, const struct replica *r, node_id_t from,
                           range_id_t range, const struct raft_msg *m)
{
    struct gone_fate f = {0};
    if (r != NULL) {
        answer_absent(rs, from, range, m, atomic_load(&r->min_replica_id),
                      replica_is(r, REPLICA_EMPTY));
    } else if (gone_get(&rs->gone, range, &f) == GONE_PERHAPS) {
        look_in_engine(rs, from, range, m);
    } else {
        answer_absent(rs, from, range, m, f.min_replica_id, true);
    }
}

void range_store_receive(struct range_store *rs, node_id_t from, range_id_t range,
                         const struct raft_msg *msg)
{
    if (atomic_load(&rs->closing) || from == rs->ident.node_id) {
        return;
    }
    atomic_fetch_add_explicit(&rs->stat_in, 1, memory_order_relaxed);
    struct replica *r = replica_find(rs, range);
    if (r == NULL || !replica_is(r, REPLICA_LIVE)) {
        receive_absent(rs, r, from, range, msg);
        return;
    }
    struct raft_in *in = mem_alloc(sizeof(*in) + msg->entry_count * sizeof(in->entries[0]));
    if (in == NULL) {
        return;
    }
    in->msg.kind = INBOX_RAFT;
    in->from = from;
    in->m = *msg;
    in->m.entries = in->entries;
    in->m.snapshot = NULL; /* snapshots come by their own way */
    for (size_t i = 0; i < msg->entry_count; i++) {
        in->entries[i] = msg->entries[i];
        if (in->entries[i].blob != NULL) {
            blob_ref(in->entries[i].blob);
        }
    }
    inbox_push(r, &in->msg);
}

static bool from_a_leader(uint8_t type)
{
    return type == RAFT_MSG_APPEND || type == RAFT_MSG_HEARTBEAT;
}

bool replica_was_removed(const struct range_desc *d, uint64_t replica_id)
{
    for (unsigned i = 0; i < d->replica_count; i++) {
        if (d->replicas[i].replica_id == replica_id) {
            return false;
        }
    }
    return replica_id >> 8 <= d->epoch.conf;
}

/* The others have merged the range. The left neighbour's replica of this node will come to that
 * too, and needs this one: it is given time, after which it gets all by a snapshot. After a start
 * the time begins anew: where all have fallen at once, most members may have the merge before them
 * still, and would have no right replica for it, then no state, and the range no majority. */
static bool left_neighbour_takes(const struct replica *r)
{
    struct range_store *rs = r->rs;
    bool there = false;
    for (unsigned i = 0; i < REPLICA_BUCKETS && !there; i++) {
        struct replica *o = atomic_load_explicit(&rs->buckets[i], memory_order_acquire);
        for (; o != NULL && !there; o = o->map_next) {
            unsigned slot = ebr_enter(&rs->ebr);
            there = replica_is(o, REPLICA_LIVE) &&
                    slice_eq(replica_desc(o)->end, replica_desc(r)->start);
            ebr_leave(&rs->ebr, slot);
        }
    }
    uint64_t heard = atomic_load(&r->heard_ns);
    uint64_t since = heard > rs->opened_ns ? heard : rs->opened_ns;
    return there && clock_mono_ns() - since < MERGE_PATIENCE_NS;
}

static bool entries_carry_blobs(const struct raft_msg *m)
{
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].blob == NULL && m->entries[i].data.len != 0) {
            return false;
        }
    }
    return true;
}

static void yield(struct range_loop *l, struct replica *r, uint64_t to)
{
    struct raft_event ev = {.type = RAFT_EV_TRANSFER, .u.transfer_to = to};
    db_err err;
    if (raft_role(r->raft) == RAFT_LEADER && replica_step(l, r, &ev, &err)) {
        LOG_INFO("range.lease.yielded", F_U64("range", r->id), F_U64("to_replica", to), F_ERR(err));
        replica_mark_dirty(l, r);
    }
}

void replica_message(struct range_loop *l, struct replica *r, struct raft_in *in)
{
    const struct raft_msg *m = &in->m;
    if (!replica_runs(r) || !entries_carry_blobs(m) || m->type == RAFT_MSG_SNAPSHOT) {
        return;
    }
    /* A range of one member is on no lane. All that others have to say to it is about a merge. */
    bool merges = m->type == REPLICA_MSG_MERGE_ASK || m->type == REPLICA_MSG_MERGE_VOID;
    if (!atomic_load(&r->on_lane) && !(merges && m->to == r->replica_id)) {
        return;
    }
    /* Also when it has an earlier replica of this node in mind. */
    if ((is_question(m->type) || m->type == REPLICA_MSG_ASK) &&
        replica_was_removed(replica_desc(r), m->from)) {
        replica_tell_removed(l, r, in->from, m->from);
        return;
    }
    if (m->to != r->replica_id) {
        if (m->type == RAFT_MSG_POKE && m->to < r->replica_id) {
            answer_poke(r->rs, in->from, r->id, m);
        }
        /* A later replica of the range on this node is addressed: ours was removed before. */
        if (m->to > r->replica_id && m->type != REPLICA_MSG_REMOVED) {
            replica_leave(l, r);
        }
        return;
    }
    if (m->type == REPLICA_MSG_REMOVED && m->index == 0) {
        if (!left_neighbour_takes(r)) {
            db_err err = replica_drop_merged(l, r, NULL);
            (void)err;
        }
        return;
    }
    if (m->type == REPLICA_MSG_REMOVED) {
        LOG_INFO("range.removed.told", F_U64("range", r->id), F_U64("replica", r->replica_id),
                 F_U64("by", in->from));
        replica_leave(l, r);
        return;
    }
    if (m->type == REPLICA_MSG_MERGE_ASK) {
        merge_asked(l, r, in->from, m);
        return;
    }
    if (m->type == REPLICA_MSG_MERGE_VOID) {
        merge_told_void(l, r, m);
        return;
    }
    if (m->from != 0) {
        replica_learn(r, m->from, in->from);
    }
    if (m->type == REPLICA_MSG_ASK) {
        return;
    }
    if (m->type == REPLICA_MSG_YIELD) {
        yield(l, r, m->from);
        return;
    }
    if (m->type == RAFT_MSG_PREVOTE_RESP && (m->flags & RAFT_MSG_F_NO_STATE) != 0) {
        snapshot_sponsor(l, r, m->from);
        return;
    }
    if (from_a_leader(m->type)) {
        atomic_store_explicit(&r->heard_ns, clock_mono_ns(), memory_order_relaxed);
    }
    struct raft_event ev = {.type = RAFT_EV_MESSAGE, .u.message = m};
    db_err err;
    if (replica_step(l, r, &ev, &err) && err == ERR_INVALID) {
        LOG_DEBUG("range.message.invalid", F_U64("range", r->id), F_U64("from", in->from),
                  F_U64("type", m->type));
    }
}
