#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/faults.h"
#include "base/log.h"
#include "node/store/varint.h"

/* Members come and go.
 *
 * Two kinds of entries. ENTRY_REPLICAS announces replicas: the descriptor gets them as learners, so
 * that all members know on which node an id is before any configuration names it (they learn it
 * already when the entry is written, see receive.c). The Raft configuration entries then decide who
 * counts; applying one writes the descriptor anew from the configuration, in the same engine batch.
 * Both raise epoch.conf; an announcement is void when it was made under another one. Ids are made
 * of the epoch.conf that announces them, so they are never used twice.
 *
 * A change of members (range_store_change_replicas), at the leader:
 *     announce the new replicas -> add them as learners -> wait until they have caught up, with a
 *     snapshot first -> promote them and remove others, in one configuration change.
 * Every step first looks at what is there, so it goes on where another leader has stopped. What is
 * left over when nobody goes on is a learner that costs no quorum anything. */

enum {
    CATCH_UP_ENTRIES = 2000, /* behind the last commit by less: near enough to become a voter */
    POLL_MS = 2,
};
#define SETTLE_NS  (30 * NS_PER_S) /* a configuration entry commits, or the group is in trouble */
#define STALL_NS   (60 * NS_PER_S) /* a learner that does not get on at all */
#define GONE_NS    (8 * NS_PER_S) /* ... and whose node is not heard of: others wait for the range */
#define STAYING_NS (3 * NS_PER_S) /* members that stay come up to date, or it is not the time */

/* ---- configurations and descriptors ---- */

static enum replica_kind kind_of(uint8_t roles, bool joint)
{
    if ((roles & RAFT_ROLE_OUTGOING) != 0) {
        return (roles & RAFT_ROLE_VOTER) != 0 ? REPLICA_VOTER : REPLICA_OUTGOING;
    }
    if ((roles & RAFT_ROLE_VOTER) != 0) {
        return joint ? REPLICA_INCOMING : REPLICA_VOTER;
    }
    return REPLICA_LEARNER;
}

static bool desc_is_joint(const struct range_desc *d)
{
    for (unsigned i = 0; i < d->replica_count; i++) {
        if (d->replicas[i].kind == REPLICA_INCOMING || d->replicas[i].kind == REPLICA_OUTGOING) {
            return true;
        }
    }
    return false;
}

static int cmp_members(const struct raft_member *a, const struct raft_member *b)
{
    return a->id < b->id ? -1 : a->id > b->id;
}

db_err members_conf_of(const struct range_desc *desc, struct raft_conf *ret_conf)
{
    struct raft_conf conf = {.count = desc->replica_count};
    bool joint = desc_is_joint(desc);
    if (desc->replica_count > RAFT_MEMBERS_MAX) {
        return ERR_LIMIT;
    }
    for (unsigned i = 0; i < conf.count; i++) {
        uint8_t roles = 0;
        switch (desc->replicas[i].kind) {
        case REPLICA_VOTER: roles = RAFT_ROLE_VOTER | (joint ? RAFT_ROLE_OUTGOING : 0); break;
        case REPLICA_INCOMING: roles = RAFT_ROLE_VOTER; break;
        case REPLICA_OUTGOING: roles = RAFT_ROLE_OUTGOING; break;
        case REPLICA_LEARNER: roles = RAFT_ROLE_LEARNER; break;
        }
        struct raft_member m = {desc->replicas[i].replica_id, roles};
        unsigned at = i;
        for (; at > 0 && cmp_members(&conf.members[at - 1], &m) > 0; at--) {
            conf.members[at] = conf.members[at - 1];
        }
        conf.members[at] = m;
    }
    *ret_conf = conf;
    return ERR_OK;
}

uint64_t desc_replica_on(const struct range_desc *desc, node_id_t node)
{
    for (unsigned i = 0; i < desc->replica_count; i++) {
        if (desc->replicas[i].node == node) {
            return desc->replicas[i].replica_id;
        }
    }
    return 0;
}

/* ---- applying ---- */

db_err replica_put_desc(struct range_loop *l, struct replica *r, const struct range_desc *desc,
                        bool gone)
{
    struct apply_batch *b = &l->apply[l->apply_cur];
    struct applied_change *c = mem_calloc(1, sizeof(*c));
    struct range_view *v = range_view_new(desc);
    db_err err = c == NULL || v == NULL ? ERR_NOMEM : ERR_OK;
    if (err == ERR_OK && gone) {
        struct store_gone g = {.id = r->id,
                               .min_replica_id = (desc->epoch.conf + 1) << 8,
                               .has_bounds = true,
                               .start = desc->start,
                               .end = desc->end};
        err = store_delete_desc(b->wb, r->id);
        err = err == ERR_OK ? store_put_gone(b->wb, &g) : err;
    } else if (err == ERR_OK) {
        err = store_put_desc(b->wb, desc);
    }
    if (err != ERR_OK) {
        mem_free(c);
        mem_free(v);
        return err;
    }
    list_init(&c->link);
    c->replica = r;
    c->view = v;
    c->kind = CHANGE_DESC;
    c->gone = gone;
    r->apply_view = v;
    list_push_back(&b->changes, &c->link);
    return ERR_OK;
}

struct replicas_entry {
    uint64_t conf; /* the epoch.conf it was made under */
    uint64_t add_count;
    struct replica_addr add[RANGE_REPLICAS_MAX];
    uint64_t drop_count; /* announced, and in no configuration */
    uint64_t drop[RANGE_REPLICAS_MAX];
};

static db_err encode_replicas(struct buf *b, const struct replicas_entry *e)
{
    uint8_t bytes[(3 + 3 * RANGE_REPLICAS_MAX) * VARINT_MAX];
    size_t n = varint_put(bytes, e->conf);
    n += varint_put(bytes + n, e->add_count);
    for (uint64_t i = 0; i < e->add_count; i++) {
        n += varint_put(bytes + n, e->add[i].replica_id);
        n += varint_put(bytes + n, e->add[i].node);
    }
    n += varint_put(bytes + n, e->drop_count);
    for (uint64_t i = 0; i < e->drop_count; i++) {
        n += varint_put(bytes + n, e->drop[i]);
    }
    return buf_append(b, bytes, n);
}

static db_err decode_replicas(struct slice payload, struct replicas_entry *e)
{
    const uint8_t *pos = payload.ptr;
    const uint8_t *end = payload.ptr + payload.len;
    memset(e, 0, sizeof(*e));
    if (!varint_get(&pos, end, &e->conf) || !varint_get(&pos, end, &e->add_count) ||
        e->add_count > RANGE_REPLICAS_MAX) {
        return ERR_CORRUPT;
    }
    for (uint64_t i = 0; i < e->add_count; i++) {
        if (!varint_get(&pos, end, &e->add[i].replica_id) ||
            !varint_get(&pos, end, &e->add[i].node)) {
            return ERR_CORRUPT;
        }
    }
    if (!varint_get(&pos, end, &e->drop_count) || e->drop_count > RANGE_REPLICAS_MAX) {
        return ERR_CORRUPT;
    }
    for (uint64_t i = 0; i < e->drop_count; i++) {
        if (!varint_get(&pos, end, &e->drop[i])) {
            return ERR_CORRUPT;
        }
    }
    return pos == end ? ERR_OK : ERR_CORRUPT;
}

void members_learn_entry(struct replica *r, const struct raft_entry *e)
{
    enum entry_kind kind;
    uint64_t version;
    struct slice payload;
    struct replicas_entry re;
    if (e->type == RAFT_ENTRY_NORMAL && e->data.len > 1 && e->data.ptr[0] == ENTRY_REPLICAS &&
        entry_header_get(e->data, &kind, &version, &payload) == ERR_OK &&
        decode_replicas(payload, &re) == ERR_OK) {
        for (uint64_t i = 0; i < re.add_count; i++) {
            replica_learn(r, re.add[i].replica_id, re.add[i].node);
        }
    }
}

static void drop_replica(struct range_desc *d, uint64_t id)
{
    unsigned n = 0;
    for (unsigned i = 0; i < d->replica_count; i++) {
        if (d->replicas[i].replica_id != id) {
            d->replicas[n++] = d->replicas[i];
        }
    }
    d->replica_count = n;
}

db_err members_apply_replicas(struct range_loop *l, struct replica *r, struct slice payload,
                              db_err *ret_result)
{
    struct replicas_entry e;
    TRY(decode_replicas(payload, &e));
    struct range_desc d = r->apply_view->desc;
    if (e.conf != d.epoch.conf) {
        *ret_result = ERR_STALE_EPOCH;
        return ERR_OK;
    }
    for (uint64_t i = 0; i < e.drop_count; i++) {
        if (raft_conf_roles(&r->applied_conf, e.drop[i]) == 0) {
            drop_replica(&d, e.drop[i]);
        }
    }
    if (d.replica_count + e.add_count > RANGE_REPLICAS_MAX) {
        *ret_result = ERR_LIMIT;
        return ERR_OK;
    }
    for (uint64_t i = 0; i < e.add_count; i++) {
        d.replicas[d.replica_count++] =
            (struct replica_desc){e.add[i].node, e.add[i].replica_id, REPLICA_LEARNER};
    }
    d.epoch.conf++;
    return replica_put_desc(l, r, &d, false);
}

db_err members_apply_conf(struct range_loop *l, struct replica *r, const struct raft_entry *e)
{
    struct raft_conf conf;
    TRY(raft_conf_decode(e->data, &conf));
    bool joint = raft_conf_is_joint(&conf);
    const struct range_desc *old = &r->apply_view->desc;
    struct range_desc d = *old;
    d.replica_count = 0;
    if (conf.count > RANGE_REPLICAS_MAX) {
        return ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < conf.count; i++) {
        node_id_t node = 0;
        for (unsigned k = 0; k < old->replica_count && node == 0; k++) {
            node = old->replicas[k].replica_id == conf.members[i].id ? old->replicas[k].node : 0;
        }
        if (node == 0) {
            return ERR_CORRUPT; /* announced before, always */
        }
        d.replicas[d.replica_count++] =
            (struct replica_desc){node, conf.members[i].id, kind_of(conf.members[i].roles, joint)};
    }
    d.epoch.conf++;
    r->applied_conf = conf;
    bool gone = raft_conf_roles(&conf, r->replica_id) == 0;
    if (!gone) {
        TRY(store_put_conf(l->apply[l->apply_cur].wb, r->id, &conf, e->index));
    }
    return replica_put_desc(l, r, &d, gone);
}

void members_finish(struct range_loop *l, struct applied_change *c)
{
    struct replica *r = c->replica;
    struct replica_desc removed[RANGE_REPLICAS_MAX];
    unsigned count = 0;
    const struct range_desc *old = replica_desc(r);
    const struct range_desc *now = &c->view->desc;
    for (unsigned i = 0; i < old->replica_count; i++) {
        bool stays = false;
        for (unsigned k = 0; k < now->replica_count; k++) {
            stays = stays || now->replicas[k].replica_id == old->replicas[i].replica_id;
        }
        if (!stays) {
            removed[count++] = old->replicas[i];
        }
        replica_learn(r, old->replicas[i].replica_id, old->replicas[i].node);
    }
    range_view_publish(r, c->view);
    l->links_dirty = true;
    if (replica_runs(r)) {
        replica_publish_info(l, r);
    }
    if (c->gone) {
        replica_leave(l, r);
    } else {
        for (unsigned i = 0; i < count; i++) {
            replica_tell_removed(l, r, removed[i].node, removed[i].replica_id);
        }
        if (l->rs->opts.hooks != NULL && atomic_load(&r->lease_term) != 0) {
            l->rs->opts.hooks->changed(l->rs->opts.hooks->ctx, replica_desc(r));
        }
    }
    mem_free(c);
}

/* ---- changing members ---- */

struct change {
    struct range_store *rs;
    struct replica *r;
    const struct replica_change *changes;
    size_t count;
    struct diag *diag;
    struct range_desc desc;
    struct arena arena;
};

static db_err pin(struct range_loop *l, struct replica *r, void *arg)
{
    (void)l;
    (void)arg;
    if (!replica_runs(r)) {
        return ERR_NOT_LEADER;
    }
    atomic_store(&r->pinned, true);
    replica_mark_dirty(l, r);
    return ERR_OK;
}

static db_err look(struct range_loop *l, struct replica *r, void *arg)
{
    if (!replica_runs(r) || atomic_load(&l->rs->stopping)) {
        return ERR_NOT_LEADER;
    }
    raft_status(r->raft, arg);
    return ((struct raft_status *)arg)->role == RAFT_LEADER ? ERR_OK : ERR_NOT_LEADER;
}

/* The status, and whether the nodes of all members answer this one. */
struct watch {
    struct raft_status status;
    bool all_heard;
};

static db_err look_around(struct range_loop *l, struct replica *r, void *arg)
{
    struct watch *w = arg;
    TRY(look(l, r, &w->status));
    w->all_heard = true;
    const struct range_desc *d = replica_desc(r);
    for (unsigned i = 0; i < d->replica_count; i++) {
        struct peer *p = d->replicas[i].node == l->rs->ident.node_id
                             ? NULL
                             : peer_get(l->rs, d->replicas[i].node);
        w->all_heard = w->all_heard && (p == NULL || p->lanes[range_lane(r->id)].live);
    }
    return ERR_OK;
}

static db_err reload(struct change *c)
{
    arena_reset(&c->arena);
    return replica_copy_desc(c->r, &c->arena, &c->desc);
}

static db_err pin_replica(struct replica *r)
{
    TRY(replica_call(r, pin, NULL));
    while (!atomic_load(&r->on_lane)) {
        if (!replica_is(r, REPLICA_LIVE) || atomic_load(&r->rs->stopping)) {
            return ERR_NOT_LEADER;
        }
        TRY(fiber_sleep(POLL_MS * NS_PER_MS));
    }
    return ERR_OK;
}

/* Waits until the last configuration in the log is applied here and final. */
static db_err settle(struct change *c, struct raft_status *ret_status)
{
    uint64_t until = clock_mono_ns() + SETTLE_NS;
    for (;;) {
        TRY(replica_call(c->r, look, ret_status));
        if (ret_status->applied >= ret_status->conf_index &&
            !raft_conf_is_joint(&ret_status->conf)) {
            return ERR_OK;
        }
        if (clock_mono_ns() >= until) {
            return diag_set(c->diag, ERR_TIMEOUT,
                            "range %llu: a change of members is not committed",
                            (unsigned long long)c->r->id);
        }
        TRY(fiber_sleep(POLL_MS * NS_PER_MS));
    }
}

struct conf_step {
    const struct raft_change *changes;
    size_t count;
};

static db_err step_conf(struct range_loop *l, struct replica *r, void *arg)
{
    const struct conf_step *s = arg;
    struct raft_event ev = {.type = RAFT_EV_CONF_CHANGE,
                            .u.conf_change = {.changes = s->changes, .count = s->count}};
    db_err err = ERR_NOT_LEADER;
    if (replica_runs(r) && !replica_step(l, r, &ev, &err)) {
        err = ERR_UNAVAILABLE;
    }
    replica_mark_dirty(l, r);
    return err;
}

static db_err change_conf(struct change *c, const struct raft_change *changes, size_t count)
{
    struct conf_step s = {changes, count};
    uint64_t until = clock_mono_ns() + SETTLE_NS;
    db_err err;
    while ((err = replica_call(c->r, step_conf, &s)) == ERR_BUSY && clock_mono_ns() < until) {
        TRY(fiber_sleep(10 * NS_PER_MS));
    }
    return err == ERR_OK ? ERR_OK
                         : diag_set(c->diag, err, "range %llu: the members cannot be changed: %s",
                                    (unsigned long long)c->r->id, err_text(err));
}

static bool wanted(const struct change *c, node_id_t node, enum replica_change_op op)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->changes[i].node == node && c->changes[i].op == op) {
            return true;
        }
    }
    return false;
}

/* Announces the additions that no replica stands for yet, and takes back announcements that are to
 * be removed and never came into a configuration. */
static db_err announce(struct change *c)
{
    for (int tries = 0;; tries++) {
        struct raft_status st;
        TRY(settle(c, &st));
        TRY(reload(c));
        struct replicas_entry e = {.conf = c->desc.epoch.conf};
        for (size_t i = 0; i < c->count; i++) {
            uint64_t id = desc_replica_on(&c->desc, c->changes[i].node);
            if (c->changes[i].op == REPLICA_ADD && id == 0) {
                e.add[e.add_count] = (struct replica_addr){
                    (c->desc.epoch.conf + 1) << 8 | (e.add_count + 1), c->changes[i].node};
                e.add_count++;
            } else if (c->changes[i].op == REPLICA_REMOVE && id != 0 &&
                       raft_conf_roles(&st.conf, id) == 0) {
                e.drop[e.drop_count++] = id;
            }
        }
        if (e.add_count == 0 && e.drop_count == 0) {
            return ERR_OK;
        }
        struct buf b;
        buf_init(&b, 4096);
        db_err err = encode_replicas(&b, &e);
        if (err == ERR_OK) {
            struct proposal p = {.kind = ENTRY_REPLICAS, .payload = buf_slice(&b)};
            err = replica_propose(c->r, &p, c->diag);
        }
        buf_fini(&b);
        if (err != ERR_STALE_EPOCH || tries == 10) {
            TRY(err);
            return reload(c);
        }
    }
}

static db_err add_learners(struct change *c)
{
    struct raft_change ch[RANGE_REPLICAS_MAX];
    struct raft_status st;
    size_t n = 0;
    TRY(replica_call(c->r, look, &st));
    for (unsigned i = 0; i < c->desc.replica_count; i++) {
        const struct replica_desc *d = &c->desc.replicas[i];
        if (wanted(c, d->node, REPLICA_ADD) && raft_conf_roles(&st.conf, d->replica_id) == 0) {
            ch[n++] = (struct raft_change){RAFT_CHANGE_ADD_LEARNER, d->replica_id};
        }
    }
    if (n == 0) {
        return ERR_OK;
    }
    TRY(change_conf(c, ch, n));
    return settle(c, &st);
}

/* Are all additions near the end of the log? *ret_sum: grows while they get on. */
static bool caught_up(const struct change *c, const struct raft_status *st, uint64_t *ret_sum)
{
    bool all = true;
    *ret_sum = 0;
    for (uint32_t i = 0; i < st->peer_count; i++) {
        const struct raft_peer_status *p = &st->peers[i];
        node_id_t node = 0;
        for (unsigned k = 0; k < c->desc.replica_count; k++) {
            node = c->desc.replicas[k].replica_id == p->id ? c->desc.replicas[k].node : node;
        }
        if (node == 0 || node == c->rs->ident.node_id || !wanted(c, node, REPLICA_ADD)) {
            continue;
        }
        all = all && p->state == RAFT_REPLICATE && p->match != 0 &&
              p->match + CATCH_UP_ENTRIES >= st->commit;
        *ret_sum += p->match;
    }
    return all;
}

static db_err wait_caught_up(struct change *c)
{
    uint64_t last = 0;
    uint64_t moved = clock_mono_ns(); /* it got on */
    uint64_t heard = moved;
    for (;;) {
        struct watch w;
        uint64_t sum;
        TRY(replica_call(c->r, look_around, &w));
        if (caught_up(c, &w.status, &sum)) {
            return ERR_OK;
        }
        uint64_t now = clock_mono_ns();
        uint64_t progress = sum + atomic_load(&c->r->snapshot_progress);
        moved = progress != last ? now : moved;
        heard = w.all_heard || progress != last ? now : heard;
        last = progress;
        if (now - moved >= STALL_NS || now - heard >= GONE_NS) {
            return diag_set(c->diag, ERR_TIMEOUT,
                            "range %llu: a new replica does not catch up; it stays a learner",
                            (unsigned long long)c->r->id);
        }
        TRY(fiber_sleep(5 * POLL_MS * NS_PER_MS));
    }
}

/* Will a quorum of those who are voters afterwards be up to date? A voter may have nothing at all:
 * a split has made it one while its node was behind, and only a leader can give it its state. With
 * too many of those, and the leader gone, nobody could be elected ever again. */
static bool quorum_stays(const struct change *c, const struct raft_status *st)
{
    unsigned voters = 0;
    unsigned good = 0;
    uint64_t now = clock_mono_ns();
    for (uint32_t i = 0; i < st->peer_count; i++) {
        const struct raft_peer_status *p = &st->peers[i];
        node_id_t node = 0;
        for (unsigned k = 0; k < c->desc.replica_count; k++) {
            node = c->desc.replicas[k].replica_id == p->id ? c->desc.replicas[k].node : node;
        }
        bool stays = (p->roles & RAFT_ROLE_VOTER) != 0 && !wanted(c, node, REPLICA_REMOVE);
        if (node == 0 || (!stays && !wanted(c, node, REPLICA_ADD))) {
            continue;
        }
        voters++;
        good += node == c->rs->ident.node_id ||
                (p->state == RAFT_REPLICATE && p->match != 0 &&
                 p->match + CATCH_UP_ENTRIES >= st->commit &&
                 (st->quiescent || p->acked_sent_ns + RANGE_ELECTION_NS > now));
    }
    return good > voters / 2;
}

static db_err wait_quorum_stays(struct change *c)
{
    uint64_t until = clock_mono_ns() + STAYING_NS;
    for (;;) {
        struct raft_status st;
        TRY(replica_call(c->r, look, &st));
        if (quorum_stays(c, &st)) {
            return ERR_OK;
        }
        if (clock_mono_ns() >= until) {
            return diag_set(c->diag, ERR_UNAVAILABLE,
                            "range %llu: too few of the members that stay are up to date",
                            (unsigned long long)c->r->id);
        }
        TRY(fiber_sleep(5 * POLL_MS * NS_PER_MS));
    }
}

static db_err switch_members(struct change *c)
{
    struct raft_change ch[RANGE_REPLICAS_MAX];
    struct raft_status st;
    size_t n = 0;
    bool self_goes = wanted(c, c->rs->ident.node_id, REPLICA_REMOVE);
    TRY(replica_call(c->r, look, &st));
    for (unsigned i = 0; i < c->desc.replica_count; i++) {
        const struct replica_desc *d = &c->desc.replicas[i];
        uint8_t roles = raft_conf_roles(&st.conf, d->replica_id);
        if (wanted(c, d->node, REPLICA_ADD) && (roles & RAFT_ROLE_VOTER) == 0) {
            ch[n++] = (struct raft_change){RAFT_CHANGE_ADD_VOTER, d->replica_id};
        } else if (wanted(c, d->node, REPLICA_REMOVE) && roles != 0) {
            ch[n++] = (struct raft_change){RAFT_CHANGE_REMOVE, d->replica_id};
        }
    }
    if (n == 0) {
        return ERR_OK;
    }
    TRY(change_conf(c, ch, n));
    db_err err = settle(c, &st);
    /* Who removes itself does not see the end as the leader, but as one who is gone. */
    uint64_t until = clock_mono_ns() + SETTLE_NS / 3;
    while (err == ERR_NOT_LEADER && self_goes && replica_is(c->r, REPLICA_LIVE) &&
           clock_mono_ns() < until) {
        TRY(fiber_sleep(POLL_MS * NS_PER_MS));
    }
    return err == ERR_NOT_LEADER && self_goes && !replica_is(c->r, REPLICA_LIVE) ? ERR_OK : err;
}

static db_err change_members(struct change *c)
{
    TRY(pin_replica(c->r));
    TRY(announce(c));
    TRY(add_learners(c));
    TRY(wait_caught_up(c));
    TRY(wait_quorum_stays(c));
    return switch_members(c);
}

static db_err check_changes(struct range_store *rs, const struct replica_change *changes,
                            size_t count, struct diag *diag)
{
    if (rs->opts.transport == NULL) {
        return diag_set(diag, ERR_INVALID, "this node has no connection to others");
    }
    if (count == 0 || count > RANGE_REPLICAS_MAX) {
        return diag_set(diag, ERR_INVALID, "a change of %zu members", count);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (changes[i].node == changes[k].node) {
                return diag_set(diag, ERR_INVALID, "node %llu stands twice in a change",
                                (unsigned long long)changes[i].node);
            }
        }
        if (changes[i].node == 0) {
            return diag_set(diag, ERR_INVALID, "there is no node 0");
        }
    }
    return ERR_OK;
}

static db_err reserve_and_change(struct change *c)
{
    range_id_t range = c->r->id;
    if (atomic_exchange(&c->r->reshaping, true)) {
        return diag_set(c->diag, ERR_BUSY, "range %llu is being split or changed",
                        (unsigned long long)range);
    }
    arena_init(&c->arena, NULL, NULL, 0);
    bool merging = atomic_load(&c->r->merging_into) != 0 ||
                   (merge_pending_into(c->rs, range) && !FAULT_DROP(range_merge_unseen));
    db_err err = merging ? diag_set(c->diag, ERR_BUSY, "range %llu is being merged",
                                    (unsigned long long)range)
                         : change_members(c);
    atomic_store(&c->r->reshaping, false);
    arena_fini(&c->arena);
    return err;
}

db_err range_store_change_replicas(struct range_store *rs, range_id_t range,
                                   const struct replica_change *changes, size_t count,
                                   struct diag *diag)
{
    struct change c = {.rs = rs, .changes = changes, .count = count, .diag = diag};
    TRY(check_changes(rs, changes, count, diag));
    TRY(replica_find_led(rs, range, diag, &c.r));
    atomic_fetch_add(&rs->proposers, 1); /* the store waits for us */
    db_err err = reserve_and_change(&c);
    replica_let_go(c.r);
    atomic_fetch_sub(&rs->proposers, 1);
    return err;
}
