/* What operators may do with the cluster, on any node of it: what must run elsewhere is sent there.
 *
 * The state of a node (to leave or not) is the meta range's. Draining is the node's own and ends
 * with its process: /readyz says no at once, so that load balancers go elsewhere, clients that come
 * all the same are refused, heartbeats say it, so that no lease comes here any more, and those that
 * are here are handed over. Who is connected stays until the node is stopped. */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/log.h"
#include "node/main/membership.h"
#include "node/main/server_int.h"
#include "node/service/rpc_services.h"

enum { PAGE = 256, DRAIN_ROUNDS = 20 };
#define ASK_NS         (5 * NS_PER_S) /* asked again so long, with pauses */
#define ASK_PAUSE_NS   (50 * NS_PER_MS)
#define DRAIN_PAUSE_NS (250 * NS_PER_MS)

static struct membership *members_of(struct server *s)
{
    return node_membership(s->node);
}

static node_id_t self_of(struct server *s)
{
    return range_store_ident(node_ranges(s->node)).node_id;
}

/* ---- this node ---- */

void operate_close(struct server *s, bool closed)
{
    admin_set_state(s->admin, closed ? ADMIN_DRAINING : ADMIN_READY);
    if (s->node != NULL) {
        membership_drain(members_of(s), closed);
    }
    pthread_mutex_lock(&s->mutex);
    if (s->wire != NULL) {
        wire_server_refuse(s->wire, closed);
    }
    pthread_mutex_unlock(&s->mutex);
}

static uint64_t leases_here(struct server *s)
{
    struct range_store_stats st;
    range_store_get_stats(node_ranges(s->node), &st);
    return st.leases;
}

db_err operate_drain(void *ctx, bool on, struct diag *diag)
{
    struct server *s = ctx;
    if (!atomic_load(&s->serving)) {
        return diag_set(diag, ERR_BUSY, "the node is starting or stopping");
    }
    LOG_INFO("server.drain", F_STR("on", on ? "yes" : "no"));
    operate_close(s, on);
    meta_heartbeat_round(node_meta(s->node)); /* or leases would come back */
    for (int i = 0; on && i < DRAIN_ROUNDS && leases_here(s) != 0; i++) {
        node_hand_over(s->node);
        TRY(fiber_sleep(DRAIN_PAUSE_NS));
    }
    if (on && leases_here(s) != 0) {
        LOG_WARN("server.drain.leases", F_U64("leases", leases_here(s)));
    }
    return ERR_OK;
}

void operate_leaving(void *ctx, bool leaving)
{
    struct server *s = ctx;
    atomic_store(&s->leaving, leaving);
    if (atomic_load(&s->serving)) {
        operate_close(s, leaving);
    }
}

void operate_left(void *ctx, const char *text)
{
    struct server *s = ctx;
    if (!atomic_exchange(&s->said_left, true)) {
        LOG_INFO("server.left", F_STR("reason", text));
        server_ask_to_stop(s);
    }
}

/* ---- nodes ---- */

static unsigned op_nodes(void *ctx, bool fresh, struct node_info *out, unsigned max)
{
    struct server *s = ctx;
    if (fresh) {
        meta_heartbeat_round(node_meta(s->node));
    }
    return membership_nodes(members_of(s), out, max);
}

/* As of now. ERR_NOT_FOUND. */
static db_err find_node(struct server *s, node_id_t id, struct diag *diag,
                        struct node_info *ret_info)
{
    struct node_info *all = mem_calloc(PAGE, sizeof(*all));
    db_err err = all == NULL ? ERR_NOMEM : ERR_NOT_FOUND;
    unsigned count = all == NULL ? 0 : op_nodes(s, true, all, PAGE);
    for (unsigned i = 0; i < count && i < PAGE; i++) {
        if (all[i].id == id) {
            *ret_info = all[i];
            err = ERR_OK;
        }
    }
    mem_free(all);
    return err == ERR_NOT_FOUND ? diag_set(diag, err, "there is no node %" PRIu64, id) : err;
}

static db_err set_state(struct server *s, node_id_t node, enum node_state state, struct diag *diag)
{
    struct meta_service *c = membership_meta_client(members_of(s));
    TRY(c->ops->set_node_state(c, node, state, diag));
    meta_heartbeat_round(node_meta(s->node)); /* what is shown from now on has it */
    return ERR_OK;
}

/* Whether what was asked of a range's leader is asked once more, after a pause: the leader may just
 * have changed, or change the range for another reason. Has parked the fiber then. */
static bool ask_again(uint64_t began, db_err err)
{
    bool passes = err == ERR_NOT_LEADER || err == ERR_BUSY || err == ERR_UNAVAILABLE;
    return passes && clock_mono_ns() - began < ASK_NS && fiber_sleep(ASK_PAUSE_NS) == ERR_OK;
}

/* The same of what may be asked twice: also when it was done, perhaps, and no answer came. */
static bool ask_unheard_again(uint64_t began, db_err err)
{
    bool unheard = err == ERR_OUTCOME_UNKNOWN || err == ERR_COMMIT_UNKNOWN;
    return ask_again(began, unheard ? ERR_UNAVAILABLE : err);
}

static db_err op_drain(void *ctx, node_id_t node, bool on, struct diag *diag)
{
    struct server *s = ctx;
    struct node_info info;
    TRY(find_node(s, node, diag, &info));
    if (info.state == NODE_LEFT) {
        return diag_set(diag, ERR_INVALID, "node %" PRIu64 " has left for good", node);
    }
    if (!on && info.state == NODE_DECOMMISSIONING) {
        TRY(set_state(s, node, NODE_ACTIVE, diag));
    }
    if (node == self_of(s)) {
        return operate_drain(s, on, diag);
    }
    struct rpc_client *client = membership_client(members_of(s));
    uint64_t began = clock_mono_ns();
    db_err err;
    do {
        diag_reset(diag);
        err = client == NULL ? ERR_UNAVAILABLE : rpc_drain(client, node, on, diag);
    } while (ask_unheard_again(began, err));
    return err;
}

static db_err op_decommission(void *ctx, node_id_t node, struct diag *diag, bool *ret_left)
{
    struct server *s = ctx;
    struct node_info info;
    TRY(find_node(s, node, diag, &info));
    if (info.state != NODE_LEFT) {
        db_err err = set_state(s, node, NODE_DECOMMISSIONING, diag);
        if (err != ERR_OK &&
            (find_node(s, node, diag, &info) != ERR_OK || info.state != NODE_LEFT)) {
            return err;
        }
    }
    *ret_left = info.state == NODE_LEFT;
    return ERR_OK;
}

/* ---- ranges ---- */

/* The range with this id, or with id 0 the one that holds the key; in the arena. */
static db_err find_range(struct server *s, range_id_t id, struct slice key, struct arena *a,
                         struct diag *diag, struct range_desc *ret_desc)
{
    struct meta_service *c = membership_meta_client(members_of(s));
    struct range_desc *descs;
    unsigned count = 0;
    do {
        TRY(c->ops->lookup(c, key, SLICE_EMPTY, id == 0 ? 1 : PAGE, a, diag, &descs, &count));
        for (unsigned i = 0; i < count; i++) {
            if (descs[i].id == id || (id == 0 && range_desc_contains(&descs[i], key))) {
                *ret_desc = descs[i];
                return descs[i].leader_hint != 0
                           ? ERR_OK
                           : diag_set(diag, ERR_UNAVAILABLE,
                                      "nobody is known to lead range %" PRIu64, descs[i].id);
            }
        }
        key = count != 0 ? descs[count - 1].end : SLICE_EMPTY;
    } while (id != 0 && count == PAGE && key.len != 0);
    return id != 0 ? diag_set(diag, ERR_NOT_FOUND, "there is no range %" PRIu64, id)
                   : diag_set(diag, ERR_NOT_FOUND, "no range holds the key");
}

static const struct replica_desc *replica_on(const struct range_desc *d, node_id_t node)
{
    for (unsigned i = 0; i < d->replica_count; i++) {
        if (d->replicas[i].node == node) {
            return &d->replicas[i];
        }
    }
    return NULL;
}

static db_err try_lease(struct server *s, range_id_t range, node_id_t to, struct diag *diag)
{
    const struct meta_actions *act = membership_actions(members_of(s));
    struct range_desc d;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    db_err err = find_range(s, range, SLICE_EMPTY, &a, diag, &d);
    if (err == ERR_OK && d.leader_hint != to) {
        err = act->transfer_lease(act->ctx, d.leader_hint, range, to, LEASE_WITH_LOCKS, diag);
    }
    arena_fini(&a);
    return err;
}

static db_err op_lease(void *ctx, range_id_t range, node_id_t to, struct diag *diag)
{
    db_err err;
    uint64_t began = clock_mono_ns();
    do {
        diag_reset(diag);
        err = try_lease(ctx, range, to, diag);
    } while (ask_unheard_again(began, err));
    return err;
}

/* ret_asked: a leader was asked, and may have split the range even if its answer does not come. */
static db_err try_split(struct server *s, struct slice key, struct diag *diag, bool *ret_asked,
                        range_id_t *ret_range, range_id_t *ret_new)
{
    struct rpc_client *client = membership_client(members_of(s));
    struct range_desc d;
    struct arena a;
    range_id_t id = 0;
    arena_init(&a, NULL, NULL, 0);
    db_err err = find_range(s, 0, key, &a, diag, &d);
    *ret_asked = err == ERR_OK;
    if (err == ERR_OK && (d.leader_hint == self_of(s) || client == NULL)) {
        err = range_store_split(node_ranges(s->node), d.id, key, diag, &id);
    } else if (err == ERR_OK) {
        err = rpc_split(client, d.leader_hint, d.id, key, diag, &id);
    }
    arena_fini(&a);
    if (err == ERR_OK) {
        *ret_range = d.id;
        *ret_new = id;
    }
    return err;
}

static db_err op_split(void *ctx, struct slice key, struct diag *diag, range_id_t *ret_range,
                       range_id_t *ret_new)
{
    db_err err;
    bool asked;
    uint64_t began = clock_mono_ns();
    do {
        diag_reset(diag);
        err = try_split(ctx, key, diag, &asked, ret_range, ret_new);
    } while (!(asked && err == ERR_UNAVAILABLE) && ask_again(began, err));
    return err;
}

static db_err try_merge(struct server *s, range_id_t range, struct diag *diag,
                        range_id_t *ret_right)
{
    struct rpc_client *client = membership_client(members_of(s));
    struct range_desc d;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    db_err err = find_range(s, range, SLICE_EMPTY, &a, diag, &d);
    node_id_t leader = err == ERR_OK ? d.leader_hint : 0;
    arena_fini(&a);
    TRY(err);
    return leader == self_of(s) || client == NULL
               ? range_store_merge(node_ranges(s->node), range, diag, ret_right)
               : rpc_merge(client, leader, range, diag, ret_right);
}

/* Leases that move at the same time, and members that are a little behind, are waited for. */
static db_err op_merge(void *ctx, range_id_t range, struct diag *diag, range_id_t *ret_right)
{
    db_err err;
    uint64_t began = clock_mono_ns();
    do {
        diag_reset(diag);
        err = try_merge(ctx, range, diag, ret_right);
    } while (ask_again(began, err));
    return err;
}

/* One attempt with the range as it is now. The leader cannot go: it hands over first, to another of
 * the voters. */
static db_err try_move(struct server *s, range_id_t range, node_id_t from, node_id_t to,
                       struct arena *a, struct diag *diag)
{
    const struct meta_actions *act = membership_actions(members_of(s));
    const struct replica_change changes[] = {{REPLICA_ADD, to}, {REPLICA_REMOVE, from}};
    struct range_desc d;
    TRY(find_range(s, range, SLICE_EMPTY, a, diag, &d));
    const struct replica_desc *there = replica_on(&d, to);
    if (replica_on(&d, from) == NULL) {
        return there != NULL && there->kind == REPLICA_VOTER
                   ? ERR_OK
                   : diag_set(diag, ERR_INVALID,
                              "range %" PRIu64 " has no replica on node %" PRIu64, range, from);
    }
    if (there != NULL && there->kind == REPLICA_VOTER) {
        return diag_set(diag, ERR_INVALID,
                        "range %" PRIu64 " has a replica on node %" PRIu64 " already", range, to);
    }
    for (unsigned i = 0; d.leader_hint == from && i < d.replica_count; i++) {
        const struct replica_desc *r = &d.replicas[i];
        if (r->node != from && r->kind == REPLICA_VOTER &&
            act->transfer_lease(act->ctx, from, range, r->node, LEASE_WITH_LOCKS, diag) == ERR_OK) {
            d.leader_hint = r->node;
        }
    }
    if (d.leader_hint == from && d.replica_count == 1) { /* the only one: two for a moment */
        TRY(act->change_replicas(act->ctx, from, range, changes, 1, diag));
        TRY(act->transfer_lease(act->ctx, from, range, to, LEASE_WITH_LOCKS, diag));
        return act->change_replicas(act->ctx, to, range, changes + 1, 1, diag);
    }
    return d.leader_hint == from
               ? diag_set(diag, ERR_BUSY, "no other replica takes range %" PRIu64 "'s lease", range)
               : act->change_replicas(act->ctx, d.leader_hint, range, changes, 2, diag);
}

static db_err op_move(void *ctx, range_id_t range, node_id_t from, node_id_t to, struct diag *diag)
{
    struct server *s = ctx;
    struct node_info info;
    struct arena a;
    TRY(find_node(s, to, diag, &info));
    if (info.state != NODE_ACTIVE || info.liveness != NODE_ALIVE) {
        return diag_set(diag, ERR_INVALID, "node %" PRIu64 " takes no replicas now", to);
    }
    db_err err;
    uint64_t began = clock_mono_ns();
    do {
        diag_reset(diag);
        arena_init(&a, NULL, NULL, 0);
        err = try_move(s, range, from, to, &a, diag);
        arena_fini(&a);
    } while (ask_unheard_again(began, err));
    return err;
}

const struct admin_cluster g_admin_cluster = {
    .nodes = op_nodes,
    .drain = op_drain,
    .decommission = op_decommission,
    .move = op_move,
    .lease = op_lease,
    .split = op_split,
    .merge = op_merge,
};
