/* /nodes, /node/drain, /node/undrain and /node/decommission. */
#include <microhttpd.h>
#include <stdio.h>

#include "base/alloc.h"
#include "node/admin/admin_int.h"

enum { NODES_SHOWN_MAX = 256 };

static const char *state_name(const struct node_info *n)
{
    static const char *const names[] = {
        [NODE_ACTIVE] = "active", [NODE_DECOMMISSIONING] = "decommissioning", [NODE_LEFT] = "left"};
    return n->state == NODE_ACTIVE && (n->flags & NODE_DRAINING) != 0 ? "draining"
                                                                      : names[n->state];
}

static const char *liveness_name(const struct node_info *n)
{
    static const char *const names[] = {
        [NODE_DEAD] = "dead", [NODE_SUSPECT] = "suspect", [NODE_ALIVE] = "alive"};
    return n->state == NODE_LEFT ? "-" : names[n->liveness];
}

static db_err put_json(struct buf *b, const struct node_info *nodes, unsigned count)
{
    TRY(buf_printf(b, "["));
    for (unsigned i = 0; i < count; i++) {
        const struct node_info *n = &nodes[i];
        TRY(buf_printf(b, "%s\n{\"id\":%llu,\"state\":\"%s\",\"liveness\":\"%s\"",
                       i == 0 ? "" : ",", (unsigned long long)n->id, state_name(n),
                       liveness_name(n)));
        TRY(buf_printf(b, ",\"heard_ms\":%u,\"ranges\":%u,\"leases\":%u,\"disk_full\":%s",
                       n->heard_ms, n->ranges, n->leases,
                       (n->flags & NODE_DISK_FULL) != 0 ? "true" : "false"));
        TRY(buf_printf(b, ",\"mysql\":"));
        TRY(json_string(b, n->mysql));
        TRY(buf_printf(b, ",\"rpc\":"));
        TRY(json_string(b, n->rpc));
        TRY(buf_printf(b, ",\"admin\":"));
        TRY(json_string(b, n->admin));
        TRY(buf_printf(b, ",\"version\":"));
        TRY(json_string(b, n->version));
        TRY(buf_printf(b, "}"));
    }
    return buf_printf(b, "\n]\n");
}

static db_err put_table(struct buf *b, const struct node_info *nodes, unsigned count)
{
    static const char form[] = "%-4s %-16s %-8s %7s %7s %-8s %-22s %-22s %s\n";
    TRY(buf_printf(b, form, "id", "state", "liveness", "ranges", "leases", "version", "mysql",
                   "rpc", "admin"));
    for (unsigned i = 0; i < count; i++) {
        const struct node_info *n = &nodes[i];
        char id[24], ranges[16], leases[16];
        snprintf(id, sizeof(id), "%llu", (unsigned long long)n->id);
        snprintf(ranges, sizeof(ranges), "%u", n->ranges);
        snprintf(leases, sizeof(leases), "%u", n->leases);
        TRY(buf_printf(b, form, id, state_name(n), liveness_name(n), ranges, leases, n->version,
                       n->mysql, n->rpc, n->admin));
    }
    return ERR_OK;
}

static void sort_by_id(struct node_info *nodes, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        for (unsigned k = i; k > 0 && nodes[k - 1].id > nodes[k].id; k--) {
            struct node_info swap = nodes[k];
            nodes[k] = nodes[k - 1];
            nodes[k - 1] = swap;
        }
    }
}

/* ---- health ---- */

struct health_round {
    struct range_store *ranges;
    unsigned wanted; /* voters of each range */
    uint64_t under;
};

static db_err look_at(void *arg, const struct range_desc *desc, bool serving)
{
    struct health_round *h = arg;
    struct range_status st;
    unsigned good = 0;
    if (!serving || range_store_status(h->ranges, desc->id, &st) != ERR_OK) {
        return ERR_OK;
    }
    for (unsigned i = 0; i < st.member_count; i++) {
        const struct range_member_status *m = &st.members[i];
        good += m->kind == REPLICA_VOTER && m->live && m->caught_up;
    }
    h->under += good < h->wanted || good < desc->replica_count;
    return ERR_OK;
}

void admin__health(const struct admin *a, struct range_store *ranges,
                   struct cluster_health *ret_health)
{
    struct cluster_health h = {0};
    unsigned active = 0;
    struct node_info *nodes = mem_calloc(NODES_SHOWN_MAX, sizeof(*nodes));
    unsigned count = nodes == NULL || a->opts.cluster == NULL
                         ? 0
                         : a->opts.cluster->nodes(a->opts.ctx, false, nodes, NODES_SHOWN_MAX);
    for (unsigned i = 0; i < count && i < NODES_SHOWN_MAX; i++) {
        const struct node_info *n = &nodes[i];
        if (n->state == NODE_LEFT) {
            continue;
        }
        h.nodes++;
        active += n->state == NODE_ACTIVE;
        h.alive += n->liveness == NODE_ALIVE;
        h.suspect += n->liveness == NODE_SUSPECT;
        h.dead += n->liveness == NODE_DEAD;
        h.draining += n->state != NODE_ACTIVE || (n->flags & NODE_DRAINING) != 0;
    }
    mem_free(nodes);
    unsigned wanted = a->opts.replicas < active ? a->opts.replicas : active;
    wanted = wanted > 0 && wanted % 2 == 0 ? wanted - 1 : wanted; /* as placement aims */
    struct health_round round = {.ranges = ranges, .wanted = wanted};
    if (range_store_each(ranges, look_at, &round) == ERR_OK) {
        h.under_replicated = round.under;
    }
    *ret_health = h;
}

/* ---- pages ---- */

void admin__nodes(struct request *r)
{
    const struct admin_opts *o = &r->admin->opts;
    struct node_info *nodes = mem_calloc(NODES_SHOWN_MAX, sizeof(*nodes));
    if (nodes == NULL || o->cluster == NULL) {
        mem_free(nodes);
        request_fail(r, MHD_HTTP_NOT_FOUND, "this node is in no cluster");
        return;
    }
    unsigned count = o->cluster->nodes(o->ctx, true, nodes, NODES_SHOWN_MAX);
    count = count < NODES_SHOWN_MAX ? count : NODES_SHOWN_MAX;
    sort_by_id(nodes, count);
    bool table = strcmp(r->query, "table") == 0;
    r->content_type = table ? "text/plain; charset=utf-8" : "application/json";
    db_err err = table ? put_table(&r->reply, nodes, count) : put_json(&r->reply, nodes, count);
    mem_free(nodes);
    if (err != ERR_OK) {
        request_fail(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "%s", err_text(err));
    }
}

/* The node of ?key=NODE; 0: it is answered. */
static node_id_t wanted_node(struct request *r)
{
    unsigned long long node = 0;
    char rest;
    if (r->admin->opts.cluster == NULL) {
        request_fail(r, MHD_HTTP_NOT_FOUND, "this node is in no cluster");
    } else if (sscanf(r->query, "%llu%c", &node, &rest) != 1 || node == 0) {
        node = 0;
        request_fail(r, MHD_HTTP_BAD_REQUEST, "wanted: ?key=NODE");
    }
    return node;
}

static void answer(struct request *r, node_id_t node, db_err err, const struct diag *diag,
                   const char *state)
{
    r->content_type = "application/json";
    if (err != ERR_OK) {
        request_fail(r, MHD_HTTP_CONFLICT, "%s",
                     diag->text[0] != '\0' ? diag->text : err_text(err));
    } else if (buf_printf(&r->reply, "{\"node\":%llu,\"state\":\"%s\"}\n", (unsigned long long)node,
                          state) != ERR_OK) {
        request_fail(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    }
}

static void drain(struct request *r, bool on)
{
    const struct admin_opts *o = &r->admin->opts;
    struct diag diag = {0};
    node_id_t node = wanted_node(r);
    if (node != 0) {
        db_err err = o->cluster->drain(o->ctx, node, on, &diag);
        answer(r, node, err, &diag, on ? "draining" : "active");
    }
}

void admin__node_drain(struct request *r)
{
    drain(r, true);
}

void admin__node_undrain(struct request *r)
{
    drain(r, false);
}

void admin__node_decommission(struct request *r)
{
    const struct admin_opts *o = &r->admin->opts;
    struct diag diag = {0};
    bool left = false;
    node_id_t node = wanted_node(r);
    if (node != 0) {
        db_err err = o->cluster->decommission(o->ctx, node, &diag, &left);
        answer(r, node, err, &diag, left ? "left" : "decommissioning");
    }
}
