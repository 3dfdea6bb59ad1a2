#include "node/meta/placement.h"

#include "base/assert.h"

/* The order of concerns: replicas that are missing, replicas that are in the wrong place, replicas
 * too many, the lease, evenness. One step at a time: the next round sees its result. */

/* Evenness is worth a move only beyond this difference of two nodes, or it would never rest.
 *
 * Up to LEASES_TOGETHER leases in the whole cluster are not spread but gathered where the meta
 * range is led: a commit takes its timestamp there, and a transaction over several ranges is
 * prepared on one node. What a small database could win by a second node's processors is less than
 * what each commit would pay for a message there and back. That is so as long as one node can
 * do it: ranges with load are spread by load, however few they are. */
enum { REPLICA_SPREAD = 2, LEASE_SPREAD = 2, LEASES_TOGETHER = 8, LOAD_MARGIN_PART = 4 };

static const struct node_info *node_of(const struct placement_view *v, node_id_t id)
{
    for (unsigned i = 0; i < v->count; i++) {
        if (v->nodes[i].id == id) {
            return &v->nodes[i];
        }
    }
    return NULL;
}

static bool may_hold(const struct node_info *n)
{
    return n != NULL && n->state == NODE_ACTIVE && n->liveness != NODE_DEAD;
}

static bool leaves(const struct node_info *n)
{
    return n == NULL || n->state != NODE_ACTIVE;
}

static bool may_receive(const struct node_info *n)
{
    return may_hold(n) && n->liveness == NODE_ALIVE &&
           (n->flags & (NODE_DRAINING | NODE_DISK_FULL)) == 0;
}

static bool may_lead(const struct node_info *n)
{
    return may_receive(n);
}

static bool holds(const struct range_desc *d, node_id_t node)
{
    for (unsigned i = 0; i < d->replica_count; i++) {
        if (d->replicas[i].node == node) {
            return true;
        }
    }
    return false;
}

static bool is_voter(const struct range_desc *d, node_id_t node)
{
    for (unsigned i = 0; i < d->replica_count; i++) {
        if (d->replicas[i].node == node && d->replicas[i].kind == REPLICA_VOTER) {
            return true;
        }
    }
    return false;
}

/* As many as there are nodes to hold them, dead ones included: those come back, or are replaced
 * when others have room. An even number is not grown to, but not shrunk from either: two copies are
 * still safer for the data than one. */
static unsigned wanted(const struct placement_view *v, unsigned have)
{
    unsigned nodes = 0;
    for (unsigned i = 0; i < v->count; i++) {
        nodes += v->nodes[i].state == NODE_ACTIVE;
    }
    unsigned n = v->replicas < nodes ? v->replicas : nodes;
    n = n < RANGE_REPLICAS_MAX ? n : RANGE_REPLICAS_MAX;
    if (n == 0) {
        return 1;
    }
    return n % 2 == 1 || have >= n ? n : n - 1;
}

/* The node with the fewest replicas that could take one more; NULL: none. */
static const struct node_info *target(const struct placement_view *v, const struct range_desc *d,
                                      const struct placement_step *s)
{
    const struct node_info *best = NULL;
    for (unsigned i = 0; i < v->count; i++) {
        const struct node_info *n = &v->nodes[i];
        bool chosen = false;
        for (unsigned k = 0; k < s->count; k++) {
            chosen = chosen || s->changes[k].node == n->id;
        }
        if (!chosen && may_receive(n) && !holds(d, n->id) &&
            (best == NULL || n->ranges < best->ranges)) {
            best = n;
        }
    }
    return best;
}

static void add_change(struct placement_step *s, enum replica_change_op op, node_id_t node)
{
    ASSERT(s->count < PLACEMENT_CHANGES_MAX);
    s->kind = PLACEMENT_REPLICAS;
    s->changes[s->count++] = (struct replica_change){op, node};
}

/* In this order those in wrong places are replaced or removed: as long as one is dead the change of
 * another may lack a majority, and the leader makes the changes. */
enum place { PLACE_DEAD, PLACE_LEAVING, PLACE_LEADER, PLACE_GOOD };

static enum place place_of(const struct placement_view *v, const struct range_desc *d,
                           node_id_t node)
{
    const struct node_info *n = node_of(v, node);
    if (may_hold(n)) {
        return PLACE_GOOD;
    }
    if (node == d->leader_hint) {
        return PLACE_LEADER;
    }
    return n == NULL || n->liveness == NODE_DEAD ? PLACE_DEAD : PLACE_LEAVING;
}

/* Voters in good places. A learner that was left over counts as missing: adding it again completes
 * it. */
static unsigned count_good(const struct placement_view *v, const struct range_desc *d,
                           bool *ret_bad, node_id_t *ret_learner)
{
    unsigned good = 0;
    *ret_bad = false;
    *ret_learner = 0;
    for (unsigned i = 0; i < d->replica_count; i++) {
        const struct replica_desc *r = &d->replicas[i];
        if (place_of(v, d, r->node) != PLACE_GOOD) {
            *ret_bad = true;
        } else if (r->kind == REPLICA_LEARNER) {
            *ret_learner = r->node;
        } else {
            good++;
        }
    }
    return good;
}

static void choose_missing(const struct placement_view *v, const struct range_desc *d,
                           unsigned good, unsigned want, node_id_t learner,
                           struct placement_step *s)
{
    s->why = "add replicas";
    unsigned missing = want - good;
    if (learner != 0) {
        add_change(s, REPLICA_ADD, learner);
        missing--;
    }
    while (missing > 0 && s->count < PLACEMENT_CHANGES_MAX) {
        const struct node_info *n = target(v, d, s);
        if (n == NULL) {
            break;
        }
        add_change(s, REPLICA_ADD, n->id);
        missing--;
    }
    /* from one voter to two is a step back: wait until both are there */
    if (missing > 0 && (good + s->count) % 2 == 0 && learner == 0) {
        *s = (struct placement_step){0};
    }
}

static bool fewer_leases(const struct node_info *a, const struct node_info *b)
{
    return a->leases < b->leases;
}

static bool less_load(const struct node_info *a, const struct node_info *b)
{
    return a->load < b->load;
}

/* The first in the order of the members that may take the lease over; NULL: there is none. */
static const struct node_info *next_leader(const struct placement_view *v,
                                           const struct range_desc *d,
                                           bool (*before)(const struct node_info *a,
                                                          const struct node_info *b))
{
    const struct node_info *best = NULL;
    for (unsigned i = 0; i < v->count; i++) {
        const struct node_info *n = &v->nodes[i];
        if (n->id != d->leader_hint && may_lead(n) && is_voter(d, n->id) &&
            (best == NULL || before(n, best))) {
            best = n;
        }
    }
    return best;
}

static void choose_lease(const struct placement_view *v, const struct range_desc *d, bool evenness,
                         struct placement_step *s)
{
    const struct node_info *from = node_of(v, d->leader_hint);
    const struct node_info *best = next_leader(v, d, fewer_leases);
    if (best == NULL || from == NULL || (evenness && from->leases < best->leases + LEASE_SPREAD)) {
        return;
    }
    s->kind = PLACEMENT_LEASE;
    s->lease_to = best->id;
    s->idle = evenness;
    s->why = evenness ? "spread leases" : "lease leaves a node";
}

/* Leases in the whole cluster, as the nodes last told. */
static unsigned leases_of_all(const struct placement_view *v)
{
    unsigned n = 0;
    for (unsigned i = 0; i < v->count; i++) {
        n += v->nodes[i].leases;
    }
    return n;
}

/* To the member with the least load, if that makes the fuller of the two nodes emptier: by a good
 * part of what moves, as what is known of loads is some seconds old. */
static void choose_lease_for_load(const struct placement_view *v, const struct range_desc *d,
                                  struct placement_step *s)
{
    const struct node_info *from = node_of(v, d->leader_hint);
    const struct node_info *best = next_leader(v, d, less_load);
    uint64_t moved = (uint64_t)d->load + d->load / LOAD_MARGIN_PART;
    if (v->load_may_move && best != NULL && from != NULL && best->load + moved <= from->load) {
        s->kind = PLACEMENT_LEASE;
        s->lease_to = best->id;
        s->for_load = s->idle = true;
        s->why = "spread load";
    }
}

/* A lease that nothing forces to move: with load it is that which is spread; without, with many it
 * is evenness that counts, with few nearness to the meta range. */
static void choose_lease_place(const struct placement_view *v, const struct range_desc *d,
                               struct placement_step *s)
{
    if (v->load_worth != 0 && d->load >= v->load_worth) {
        choose_lease_for_load(v, d, s);
    } else if (leases_of_all(v) > LEASES_TOGETHER) {
        choose_lease(v, d, true, s);
    } else if (v->meta_leader != 0 && v->meta_leader != d->leader_hint &&
               may_lead(node_of(v, v->meta_leader)) && is_voter(d, v->meta_leader)) {
        s->kind = PLACEMENT_LEASE;
        s->lease_to = v->meta_leader;
        s->idle = true;
        s->why = "lease to the meta range's";
    }
}

/* Removes one voter in a good place: not the leader, the fullest node first. */
static void choose_surplus(const struct placement_view *v, const struct range_desc *d,
                           struct placement_step *s)
{
    const struct node_info *worst = NULL;
    for (unsigned i = 0; i < d->replica_count; i++) {
        const struct node_info *n = node_of(v, d->replicas[i].node);
        if (n != NULL && n->id != d->leader_hint && (worst == NULL || n->ranges > worst->ranges)) {
            worst = n;
        }
    }
    if (worst != NULL) {
        add_change(s, REPLICA_REMOVE, worst->id);
        s->why = "remove a surplus replica";
    }
}

static void choose_even(const struct placement_view *v, const struct range_desc *d,
                        struct placement_step *s)
{
    const struct node_info *to = target(v, d, s);
    const struct node_info *from = NULL;
    for (unsigned i = 0; i < d->replica_count; i++) {
        const struct node_info *n = node_of(v, d->replicas[i].node);
        if (n != NULL && n->id != d->leader_hint && (from == NULL || n->ranges > from->ranges)) {
            from = n;
        }
    }
    if (to != NULL && from != NULL && from->ranges >= to->ranges + REPLICA_SPREAD) {
        add_change(s, REPLICA_ADD, to->id);
        add_change(s, REPLICA_REMOVE, from->id);
        s->why = "spread replicas";
    }
}

/* The leader must hand over first; a dead one has not the lease. */
static void choose_leader_goes(const struct placement_view *v, const struct range_desc *d,
                               bool missing, struct placement_step *s)
{
    const struct node_info *leader = node_of(v, d->leader_hint);
    choose_lease(v, d, false, s);
    if (s->kind == PLACEMENT_NOTHING && missing && leader != NULL &&
        leader->liveness != NODE_DEAD) { /* to whom? */
        const struct node_info *n = target(v, d, s);
        if (n != NULL) {
            add_change(s, REPLICA_ADD, n->id);
            s->why = "add a replica that can lead";
        }
    }
}

static void choose_bad(const struct placement_view *v, const struct range_desc *d, node_id_t bad,
                       unsigned good, unsigned want, struct placement_step *s)
{
    const struct node_info *n = good < want ? target(v, d, s) : NULL;
    if (n != NULL) {
        add_change(s, REPLICA_ADD, n->id);
    } else if (good < want && !leaves(node_of(v, bad))) {
        return; /* dead, and nobody could take its place: it may come back */
    }
    add_change(s, REPLICA_REMOVE, bad);
    s->why = "replace a replica";
}

static void choose_any_bad(const struct placement_view *v, const struct range_desc *d,
                           unsigned good, unsigned want, struct placement_step *s)
{
    for (enum place p = PLACE_DEAD; p <= PLACE_LEADER && s->kind == PLACEMENT_NOTHING; p++) {
        for (unsigned i = 0; i < d->replica_count && s->kind == PLACEMENT_NOTHING; i++) {
            node_id_t node = d->replicas[i].node;
            if (place_of(v, d, node) != p) {
                continue;
            }
            if (p == PLACE_LEADER) {
                choose_leader_goes(v, d, good < want, s);
            } else {
                choose_bad(v, d, node, good, want, s);
            }
        }
    }
}

void placement_choose(const struct placement_view *view, const struct range_desc *desc,
                      struct placement_step *ret_step)
{
    struct placement_step s = {0};
    bool bad;
    node_id_t learner;
    unsigned good = count_good(view, desc, &bad, &learner);
    unsigned want = wanted(view, good);
    ASSERT(desc->leader_hint != 0);
    if (bad) {
        choose_any_bad(view, desc, good, want, &s);
    } else if (good < want) {
        choose_missing(view, desc, good, want, learner, &s);
    } else if (learner != 0) {
        add_change(&s, REPLICA_REMOVE, learner);
        s.why = "remove a left-over learner";
    } else if (good > want) {
        choose_surplus(view, desc, &s);
    }
    if (s.kind == PLACEMENT_NOTHING) {
        const struct node_info *leader = node_of(view, desc->leader_hint);
        if (leader != NULL && (leader->state != NODE_ACTIVE ||
                               (leader->flags & (NODE_DRAINING | NODE_DISK_FULL)) != 0)) {
            choose_lease(view, desc, false, &s);
        }
    }
    if (s.kind == PLACEMENT_NOTHING && good == want) {
        choose_even(view, desc, &s);
    }
    if (s.kind == PLACEMENT_NOTHING && desc->id != RANGE_ID_META) {
        choose_lease_place(view, desc, &s);
    }
    *ret_step = s;
}

bool placement_done(const struct placement_step *step, const struct range_desc *desc)
{
    bool done = step->kind != PLACEMENT_LEASE || desc->leader_hint == step->lease_to;
    for (unsigned i = 0; i < step->count; i++) {
        node_id_t node = step->changes[i].node;
        done = done &&
               (step->changes[i].op == REPLICA_ADD ? is_voter(desc, node) : !holds(desc, node));
    }
    return done;
}

static struct node_info *counted(struct node_info *nodes, unsigned count, node_id_t id)
{
    for (unsigned i = 0; i < count; i++) {
        if (nodes[i].id == id) {
            return &nodes[i];
        }
    }
    return NULL;
}

void placement_count(struct node_info *nodes, unsigned count, const struct range_desc *desc,
                     const struct placement_step *step)
{
    bool moves = step != NULL && step->kind == PLACEMENT_LEASE;
    node_id_t leader = moves ? step->lease_to : desc->leader_hint;
    struct node_info *n = counted(nodes, count, leader);
    if (n != NULL) {
        n->leases++;
    }
    for (unsigned i = 0; i < desc->replica_count; i++) {
        n = counted(nodes, count, desc->replicas[i].node);
        if (n != NULL) {
            n->ranges++;
        }
    }
    for (unsigned i = 0; step != NULL && i < step->count; i++) {
        bool add = step->changes[i].op == REPLICA_ADD;
        n = counted(nodes, count, step->changes[i].node);
        if (n != NULL && add != holds(desc, n->id)) {
            n->ranges += add ? 1u : -1u;
        }
    }
}
