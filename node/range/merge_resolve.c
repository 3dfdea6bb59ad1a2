#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/faults.h"
#include "base/log.h"

/* A range that was left frozen: merged or not?
 *
 * Whoever leads it finds out, once a second: it is thawed if the merge can never be applied any
 * more, and lets go of itself if it was.
 *
 * The token. Each range knows the id of the range to its right (range_desc.right_id). A split gives
 * the left half the new id and the right half what the left one had; a merge gives the left range
 * what the right one had. A range keeps its first key all its life, so nothing else changes it, and
 * what names a range R as the one to the right is at one place in one log at a time: call that R's
 * token. The entry that merges R takes the token away for good, for ids are never used again. So
 * who holds R's token proves that R was not merged up to there.
 *
 * The fence. R is frozen under version V. Its MERGE was evaluated before that by the range that had
 * the token then, and is void under any later version of that range. Now whoever seems to hold the
 * token puts a FENCE into its log, after the freeze, and when it is applied looks whether the token
 * is still there. If it is:
 *   - the same range has it as had it then: a MERGE before the fence would have taken it, one
 *     behind the fence is void.
 *   - another one has it: it was handed on by an entry of the first range's log that raised the
 *     version (a split) or ended it (its freeze, before it was merged itself); a MERGE before that
 *     would have taken it, one behind it is void. It was not handed on by the asked one to the
 *     first before the freeze: that would stand before the fence in the asked one's log.
 * In both cases R is not merged and will not be for what was frozen under V: it may be thawed, if
 * it still stands at V. A frozen range refuses fences: what becomes of itself is not known.
 *
 * Who is asked. Where the left neighbour is led on the same node, all this is local. If it has a
 * replica here, the leases come together first: the right one's goes to where the left one's is, or
 * if it has no member there, the left one's is asked to come. Whose lease begins beside the left
 * one's goes on at once: the left one's may be on its way elsewhere soon, and so on for ever. If it
 * has none here (its members have moved away, while the frozen range's could not) it is looked up
 * in the index of ranges and its replicas are asked; the one that leads puts the fence and answers
 * if it has the token. Messages may be lost, late, or go to the wrong range: no answer comes, or
 * the answer names V and is still true, and the question is asked again.
 *
 * Was it merged? The index learns descriptors that are applied. If it has R's first key in another
 * range under a version above V, the merge is what made it so: before R began, its key was under
 * lower ones. */

enum { LEFT_LOOKS = 8, TAIL = 16 };

/* ---- what was decided ---- */

struct drop {
    uint64_t version;
};

static db_err drop_merged(struct range_loop *l, struct replica *r, void *arg)
{
    const struct drop *d = arg;
    if (!replica_runs(r) || replica_desc(r)->epoch.version != d->version ||
        replica_desc(r)->merging_into == 0) {
        return ERR_BUSY;
    }
    return replica_drop_merged(l, r, NULL);
}

static db_err was_merged(struct replica *r, uint64_t version)
{
    struct drop d = {version};
    return replica_call(r, drop_merged, &d);
}

struct beside {
    range_id_t right_id; /* 0: it is not known */
    uint64_t version;
    bool joins; /* the range ends at the key */
};

static struct beside look_right(struct replica *r, struct slice key)
{
    unsigned slot = ebr_enter(&r->rs->ebr);
    const struct range_desc *d = replica_desc(r);
    struct beside b = {d->right_id, d->epoch.version, slice_eq(d->end, key)};
    ebr_leave(&r->rs->ebr, slot);
    return b;
}

/* Raises the version of the range, reserved and led here. *ret_beside: what is to its right after
 * that. */
static db_err fence(struct replica *left, struct slice key, struct diag *diag,
                    struct beside *ret_beside)
{
    struct beside before = look_right(left, key);
    TRY(merge_propose_thaw(left, MERGE_FENCE, before.version, diag));
    struct beside after = look_right(left, key);
    if (after.version <= before.version) {
        return ERR_BUSY;
    }
    FAULT(range_merge_fenced);
    *ret_beside = after;
    return ERR_OK;
}

/* ---- both are led here ---- */

/* Reserved, and so is the left one. */
static db_err fence_and_thaw(struct replica *r, const struct range_desc *d, struct replica *left,
                             struct diag *diag)
{
    struct beside b;
    TRY(fence(left, d->start, diag, &b));
    if (!replica_is(r, REPLICA_LIVE)) {
        return ERR_OK; /* the fence came after a merge, which has taken it */
    }
    if (!b.joins) { /* it was split before it was reserved: what it knows is another's neighbour */
        return ERR_BUSY;
    }
    if (b.right_id != 0 && b.right_id != r->id) { /* merged, which came here by a snapshot */
        return was_merged(r, d->epoch.version);
    }
    return merge_propose_thaw(r, MERGE_THAW, d->epoch.version, diag);
}

static db_err with_both(struct replica *r, const struct range_desc *d, struct replica *left,
                        struct diag *diag)
{
    if (atomic_exchange(&left->reshaping, true)) {
        return ERR_BUSY;
    }
    if (atomic_exchange(&r->reshaping, true)) {
        atomic_store(&left->reshaping, false);
        return ERR_BUSY;
    }
    db_err err = fence_and_thaw(r, d, left, diag);
    atomic_store(&r->reshaping, false);
    atomic_store(&left->reshaping, false);
    return err;
}

/* ---- bringing them together ---- */

/* To where the left range is led; or on to another member, which may know. */
static db_err pass_on(struct replica *r, node_id_t to)
{
    struct range_store *rs = r->rs;
    struct diag diag;
    diag_reset(&diag);
    if (to == 0) {
        unsigned slot = ebr_enter(&rs->ebr);
        const struct range_desc *d = replica_desc(r);
        unsigned pick = (unsigned)(clock_mono_ns() / NS_PER_S);
        for (unsigned i = 0; i < d->replica_count && (to == 0 || to == rs->ident.node_id); i++) {
            to = d->replicas[(pick + i) % d->replica_count].node;
        }
        ebr_leave(&rs->ebr, slot);
    }
    return to == 0 || to == rs->ident.node_id
               ? ERR_UNAVAILABLE
               : range_store_transfer_lease(rs, r->id, to, LEASE_MAY_LOSE_LOCKS, &diag);
}

static db_err send_yield(struct range_loop *l, struct replica *left, void *arg)
{
    struct raft_status st;
    (void)arg;
    if (!replica_runs(left) || !atomic_load(&left->on_lane)) {
        return ERR_UNAVAILABLE;
    }
    raft_status(left->raft, &st);
    if (st.leader == 0 || st.leader == st.id ||
        (raft_conf_roles(&st.conf, st.id) & RAFT_ROLE_VOTER) == 0) {
        return ERR_UNAVAILABLE;
    }
    struct raft_msg m = {
        .type = REPLICA_MSG_YIELD, .from = left->replica_id, .to = st.leader, .term = 1};
    replica_send(l, left, &m);
    range_loop_kick(l);
    return ERR_BUSY; /* until it comes */
}

/* The left range has a leader, but not here. It may be where the right one has no member: the left
 * one can have got others since, while the right one, frozen, cannot. */
static db_err bring_together(struct replica *r, const struct range_desc *d, struct replica *left)
{
    node_id_t leader = atomic_load(&left->leader_node);
    if (leader != 0 && desc_replica_on(d, leader) == 0 &&
        replica_call(left, send_yield, NULL) == ERR_BUSY) {
        return ERR_BUSY;
    }
    return pass_on(r, leader != 0 && desc_replica_on(d, leader) == 0 ? 0 : leader);
}

/* ---- asking another node ---- */

struct around {
    struct range_desc left;  /* ends where the range begins; id 0: none was found */
    struct range_desc owner; /* has the range's first key */
};

/* What the index says of the two sides of the key. There is no last key before it: it is walked
 * from one a bit to the left. */
static db_err look_around(struct range_store *rs, struct slice key, struct arena *arena,
                          struct around *ret)
{
    const struct range_hooks *h = rs->opts.hooks;
    struct around a = {0};
    if (h == NULL || h->where == NULL || key.len == 0) {
        return ERR_UNAVAILABLE;
    }
    uint8_t *bytes = arena_alloc(arena, key.len + TAIL);
    if (bytes == NULL) {
        return ERR_NOMEM;
    }
    memcpy(bytes, key.ptr, key.len);
    struct slice at = slice_of(bytes, key.len - 1); /* right before the key if that ends with 0 */
    if (bytes[key.len - 1] != 0) {
        bytes[key.len - 1]--;
        memset(bytes + key.len, 0xff, TAIL);
        at.len = key.len + TAIL;
    }
    for (unsigned i = 0; i < LEFT_LOOKS; i++) {
        struct range_desc d;
        TRY(h->where(h->ctx, at, arena, &d));
        if (range_desc_contains(&d, key)) {
            a.owner = d;
            *ret = a;
            return ERR_OK;
        }
        if (d.end.len == 0 || slice_cmp(d.end, at) <= 0) {
            return ERR_NOT_FOUND; /* a hole, for a moment */
        }
        a.left = slice_eq(d.end, key) ? d : a.left;
        at = d.end;
    }
    return ERR_NOT_FOUND;
}

static void send_to(struct range_store *rs, node_id_t to, range_id_t range,
                    const struct raft_msg *m)
{
    struct replica_transport *t = rs->opts.transport;
    if (t != NULL && to != rs->ident.node_id && !atomic_load(&rs->closing)) {
        t->ops->send(t, to, range, m);
        if (t->ops->flush != NULL) {
            t->ops->flush(t);
        }
    }
}

static void ask(struct replica *r, const struct range_desc *d, const struct range_desc *left)
{
    for (unsigned i = 0; i < left->replica_count; i++) {
        struct raft_msg m = {.type = REPLICA_MSG_MERGE_ASK,
                             .to = left->replicas[i].replica_id,
                             .term = 1,
                             .index = r->id,
                             .hint = desc_replica_on(d, r->rs->ident.node_id),
                             .context = d->epoch.version};
        send_to(r->rs, left->replicas[i].node, left->id, &m);
    }
}

/* The left range is not on this node. */
static db_err ask_elsewhere(struct replica *r, const struct range_desc *d, struct arena *arena)
{
    struct around a = {0};
    db_err err = look_around(r->rs, d->start, arena, &a);
    if (err != ERR_OK) {
        LOG_DEBUG("range.merge.look", F_U64("range", r->id), F_ERR(err));
        return pass_on(r, 0);
    }
    if (a.owner.id != r->id && a.owner.epoch.version > d->epoch.version) {
        return was_merged(r, d->epoch.version);
    }
    if (a.left.id == 0) {
        return ERR_UNAVAILABLE;
    }
    ask(r, d, &a.left);
    return ERR_BUSY; /* until it answers */
}

/* ---- the one that is asked ---- */

struct question {
    struct replica *replica; /* held */
    node_id_t from;
    range_id_t range;
    uint64_t to;
    uint64_t version;
};

static void answer_fiber(void *arg)
{
    struct question q = *(struct question *)arg;
    struct range_store *rs = q.replica->rs;
    struct beside b = {0};
    mem_free(arg);
    if (!atomic_exchange(&q.replica->reshaping, true)) {
        db_err err = fence(q.replica, SLICE_EMPTY, NULL, &b);
        atomic_store(&q.replica->reshaping, false);
        LOG_INFO("range.merge.asked", F_U64("range", q.replica->id), F_U64("right", q.range),
                 F_U64("version", q.version), F_ERR(err), F_U64("beside", b.right_id));
    }
    if (b.right_id == q.range) {
        struct raft_msg m = {
            .type = REPLICA_MSG_MERGE_VOID, .to = q.to, .term = 1, .context = q.version};
        send_to(rs, q.from, q.range, &m);
    }
    replica_let_go(q.replica);
    atomic_fetch_sub(&rs->fibers, 1);
}

static void thaw_fiber(void *arg)
{
    struct question q = *(struct question *)arg;
    struct range_store *rs = q.replica->rs;
    mem_free(arg);
    if (!atomic_exchange(&q.replica->reshaping, true)) {
        db_err err = merge_propose_thaw(q.replica, MERGE_THAW, q.version, NULL);
        atomic_store(&q.replica->reshaping, false);
        LOG_INFO("range.merge.void", F_U64("range", q.replica->id), F_U64("version", q.version),
                 F_ERR(err));
    }
    replica_let_go(q.replica);
    atomic_fetch_sub(&rs->fibers, 1);
}

/* When there is no memory: it is asked again. */
static void begin(struct range_loop *l, void (*fn)(void *arg), struct question q)
{
    struct question *copy = mem_alloc(sizeof(*copy));
    if (copy == NULL) {
        return;
    }
    *copy = q;
    atomic_fetch_add(&l->rs->fibers, 1);
    replica_hold(q.replica);
    if (fiber_spawn(l->loop, fn, copy) != ERR_OK) {
        replica_let_go(q.replica);
        atomic_fetch_sub(&l->rs->fibers, 1);
        mem_free(copy);
    }
}

void merge_asked(struct range_loop *l, struct replica *r, node_id_t from, const struct raft_msg *m)
{
    const struct range_desc *d = replica_desc(r);
    if (m->index != 0 && d->right_id == m->index && d->merging_into == 0 &&
        atomic_load(&r->lease_term) != 0) {
        begin(l, answer_fiber,
              (struct question){.replica = r,
                                .from = from,
                                .range = m->index,
                                .to = m->hint,
                                .version = m->context});
    }
}

void merge_told_void(struct range_loop *l, struct replica *r, const struct raft_msg *m)
{
    const struct range_desc *d = replica_desc(r);
    if (d->merging_into != 0 && d->epoch.version == m->context &&
        atomic_load(&r->lease_term) != 0) {
        begin(l, thaw_fiber, (struct question){.replica = r, .version = m->context});
    }
}

/* ---- now and then ---- */

static db_err resolve(struct replica *r, bool may_move, struct diag *diag)
{
    struct arena a;
    struct range_desc d;
    arena_init(&a, NULL, NULL, 0);
    db_err err = replica_copy_desc(r, &a, &d);
    if (err == ERR_OK && d.merging_into != 0) {
        struct replica *left = merge_find_beside(r->rs, d.start, true);
        if (left != NULL && atomic_load(&left->lease_term) != 0) {
            FAULT(range_merge_beside);
            err = with_both(r, &d, left, diag);
        } else if (may_move) {
            err = left == NULL ? ask_elsewhere(r, &d, &a) : bring_together(r, &d, left);
        }
        if (left != NULL) {
            replica_let_go(left);
        }
    }
    arena_fini(&a);
    return err;
}

static void resolve_if_frozen(struct replica *r, bool may_move)
{
    struct diag diag;
    if (atomic_load(&r->merging_into) == 0 || !replica_is(r, REPLICA_LIVE) ||
        atomic_load(&r->lease_term) == 0 || atomic_load(&r->reshaping)) {
        return;
    }
    diag_reset(&diag);
    db_err err = resolve(r, may_move, &diag);
    LOG_INFO("range.merge.resolved", F_U64("range", r->id), F_ERR(err), F_STR("reason", diag.text));
}

void merge_resolve(struct replica *r)
{
    resolve_if_frozen(r, true);
}

static void begun_fiber(void *arg)
{
    struct replica *r = arg;
    struct range_store *rs = r->rs;
    resolve_if_frozen(r, false);
    replica_let_go(r);
    atomic_fetch_sub(&rs->fibers, 1);
}

void merge_lease_begun(struct range_loop *l, struct replica *r)
{
    if (LIKELY(atomic_load(&r->merging_into) == 0)) {
        return;
    }
    atomic_fetch_add(&l->rs->fibers, 1);
    replica_hold(r);
    if (fiber_spawn(l->loop, begun_fiber, r) != ERR_OK) { /* upkeep will */
        replica_let_go(r);
        atomic_fetch_sub(&l->rs->fibers, 1);
    }
}
