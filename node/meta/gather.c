#include "base/fiber.h"
#include "node/meta/meta_int.h"

/* Brings a range to its left neighbour, which is led here, so that the two can be merged: its
 * members onto the same nodes, then its lease to this one. Placement may want its replicas or its
 * lease elsewhere; it acts in rounds, a merge follows at once, and one that came too late is tried
 * again later. */

enum { STEPS_MAX = 8 };
#define PAUSE_NS (50 * NS_PER_MS)

static node_id_t has(const struct range_desc *d, node_id_t node)
{
    for (unsigned i = 0; i < d->replica_count; i++) {
        if (d->replicas[i].node == node) {
            return node;
        }
    }
    return 0;
}

/* Some node of a that b has too (or has not); not `but`. */
static node_id_t pick(const struct range_desc *a, const struct range_desc *b, bool in_b,
                      node_id_t but)
{
    for (unsigned i = 0; i < a->replica_count; i++) {
        node_id_t node = a->replicas[i].node;
        if (node != but && (has(b, node) != 0) == in_b) {
            return node;
        }
    }
    return 0;
}

static db_err find(struct meta *m, struct slice key, struct arena *a, struct diag *diag,
                   struct range_desc *ret_desc)
{
    struct meta_service *c = m->opts.client;
    struct range_desc *descs;
    unsigned count = 0;
    TRY(c->ops->lookup(c, key, SLICE_EMPTY, 1, a, diag, &descs, &count));
    if (count == 0 || !slice_eq(descs[0].start, key) || descs[0].leader_hint == 0) {
        return diag_set(diag, ERR_UNAVAILABLE, "the range to the right is not known now");
    }
    *ret_desc = descs[0];
    return ERR_OK;
}

/* Onto the left one's nodes. The leader cannot leave: it hands over first, to one that stays. */
static db_err move(const struct meta_actions *act, const struct range_desc *left,
                   const struct range_desc *right, node_id_t self, struct diag *diag)
{
    struct replica_change ch[2 * RANGE_REPLICAS_MAX];
    size_t n = 0;
    if (has(left, right->leader_hint) == 0) {
        node_id_t stays = pick(left, right, true, 0);
        if (stays != 0) {
            return act->transfer_lease(act->ctx, right->leader_hint, right->id, stays,
                                       LEASE_WITH_LOCKS, diag);
        }
        node_id_t goes = pick(right, left, false, right->leader_hint);
        ch[n++] = (struct replica_change){REPLICA_ADD, self};
        if (goes != 0) {
            ch[n++] = (struct replica_change){REPLICA_REMOVE, goes};
        }
        return act->change_replicas(act->ctx, right->leader_hint, right->id, ch, n, diag);
    }
    for (unsigned i = 0; i < left->replica_count; i++) {
        if (has(right, left->replicas[i].node) == 0) {
            ch[n++] = (struct replica_change){REPLICA_ADD, left->replicas[i].node};
        }
    }
    for (unsigned i = 0; i < right->replica_count; i++) {
        if (has(left, right->replicas[i].node) == 0) {
            ch[n++] = (struct replica_change){REPLICA_REMOVE, right->replicas[i].node};
        }
    }
    return n > RANGE_REPLICAS_MAX
               ? diag_set(diag, ERR_LIMIT, "too many replicas to move")
               : act->change_replicas(act->ctx, right->leader_hint, right->id, ch, n, diag);
}

static bool same_nodes(const struct range_desc *a, const struct range_desc *b)
{
    return a->replica_count == b->replica_count && pick(a, b, false, 0) == 0;
}

static db_err step(struct meta *m, const struct range_desc *left, uint64_t bytes_max,
                   struct arena *a, struct diag *diag, bool *ret_done)
{
    const struct meta_actions *act = m->opts.actions;
    struct range_desc right = {0};
    TRY(find(m, left->end, a, diag, &right));
    if (bytes_max != UINT64_MAX) {
        uint64_t bytes;
        TRY(act->weigh(act->ctx, right.leader_hint, right.id, diag, &bytes));
        if (bytes > bytes_max) {
            return ERR_LIMIT;
        }
    }
    if (!same_nodes(left, &right)) {
        return move(act, left, &right, m->self, diag);
    }
    if (right.leader_hint != m->self) {
        TRY(act->transfer_lease(act->ctx, right.leader_hint, right.id, m->self, LEASE_WITH_LOCKS,
                                diag));
    }
    *ret_done = true;
    return ERR_OK;
}

db_err meta_gather(struct meta *m, const struct range_desc *left, uint64_t bytes_max,
                   struct diag *diag)
{
    const struct meta_actions *act = m->opts.actions;
    bool done = false;
    if (m->opts.client == NULL || act == NULL || act->weigh == NULL || !atomic_load(&m->started)) {
        return diag_set(diag, ERR_UNAVAILABLE, "nobody to ask for the range to the right");
    }
    for (unsigned i = 0; i < STEPS_MAX && !done; i++) {
        struct arena a;
        arena_init(&a, NULL, NULL, 0);
        db_err err = step(m, left, bytes_max, &a, diag, &done);
        arena_fini(&a);
        TRY(err);
        if (!done) { /* until its leader has told the index */
            TRY(fiber_sleep(PAUSE_NS << i));
        }
    }
    return done ? ERR_OK : diag_set(diag, ERR_UNAVAILABLE, "the range to the right does not come");
}
