#include "base/alloc.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "node/service/rpc_services.h"
#include "proto/kv_codec.h"

/* The meta service for other nodes, for nodes that join, and what the leader of a range is asked to
 * do with it. */

static db_err member_call(struct meta *m, enum meta_method method, const struct meta_call *call,
                          struct arena *arena, struct diag *diag, struct meta_answer *a)
{
    switch ((int)method) {
    case META_METHOD_TIMESTAMPS:
        return call->count > UINT32_MAX
                   ? ERR_INVALID
                   : meta_timestamps(m, (uint32_t)call->count, diag, &a->first);
    case META_METHOD_LOOKUP:
        return meta_lookup(m, call->start, call->end, (unsigned)call->count, arena, diag, &a->descs,
                           &a->desc_count);
    case META_METHOD_SEQUENCE_NEXT:
        return call->step == 0 ? ERR_INVALID
                               : meta_sequence_next(m, call->name, call->floor, call->count,
                                                    call->step, call->offset, diag, &a->first);
    case META_METHOD_REPORT_READS: return meta_report_reads(m, call->node, &call->reads, diag);
    case META_METHOD_RANGES_CHANGED:
        return meta_ranges_changed(m, call->node, call->descs, call->desc_count, diag);
    case META_METHOD_HEARTBEAT:
        return call->self == NULL ? ERR_INVALID
                                  : meta_heartbeat(m, call->self, arena, diag, &a->dir);
    case META_METHOD_JOIN: /* passed on by the member that was asked */
        return call->self == NULL ? ERR_INVALID
                                  : meta_join(m, call->name, call->self, arena, diag, &a->dir);
    case META_METHOD_SET_NODE_STATE: return meta_set_node_state(m, call->node, call->state, diag);
    case META_METHOD_FENCE:
        return call->count > UINT32_MAX ? ERR_INVALID
                                        : meta_fence(m, call->node, (uint32_t)call->count, diag);
    case META_METHOD_REPORT_WAITS:
        return meta_report_waits(m, call->node, call->waits, call->wait_count, arena, diag,
                                 &a->victims, &a->victim_count);
    default: return diag_set(diag, ERR_UNSUPPORTED, "no meta method %d", (int)method);
    }
}

static db_err answer(struct rpc_request *req, db_err err, const struct diag *diag,
                     struct meta_answer *a)
{
    struct buf header;
    if (err == ERR_NOT_LEADER) {
        a->leader = diag->data;
    }
    buf_init(&header, KV_WIRE_HEADER_MAX);
    db_err result = meta_answer_encode(err, diag, a, &header);
    if (result == ERR_OK) {
        result = rpc_respond(req, buf_slice(&header), NULL, 0);
    }
    buf_fini(&header);
    return result;
}

static db_err decode(struct rpc_request *req, struct diag *diag, enum meta_method *ret_method,
                     struct meta_call *ret_call)
{
    const struct rpc_msg *msg = rpc_request_msg(req);
    if (msg->header.len == 0) {
        return diag_set(diag, ERR_CORRUPT, "a meta call without a method");
    }
    *ret_method = (enum meta_method)msg->header.ptr[0];
    db_err err = meta_call_decode(slice_from(msg->header, 1), rpc_request_arena(req), ret_call);
    return err == ERR_OK ? err : diag_set(diag, err, "a malformed meta call");
}

static db_err meta_handler(void *ctx, struct rpc_request *req, struct diag *diag)
{
    struct rpc_services *s = ctx;
    struct meta_call call;
    struct meta_answer a = {0};
    enum meta_method method;
    TRY(decode(req, diag, &method, &call));
    db_err err = member_call(s->meta, method, &call, rpc_request_arena(req), diag, &a);
    return answer(req, err, diag, &a);
}

/* Any member takes it and asks the leader. */
static db_err join_handler(void *ctx, struct rpc_request *req, struct diag *diag)
{
    struct rpc_services *s = ctx;
    struct meta_call call;
    struct meta_answer a = {0};
    enum meta_method method;
    TRY(decode(req, diag, &method, &call));
    if (method != META_METHOD_JOIN || call.self == NULL) {
        return diag_set(diag, ERR_INVALID, "a node that joins may ask for nothing else");
    }
    db_err err = s->meta_anywhere->ops->join(s->meta_anywhere, call.name, call.self,
                                             rpc_request_arena(req), diag, &a.dir);
    return answer(req, err, diag, &a);
}

/* ---- at the leader of a range ---- */

static db_err change_replicas(struct range_store *rs, const struct range_admin_call *c,
                              struct diag *diag)
{
    struct replica_change changes[RANGE_ADMIN_CHANGES_MAX];
    for (unsigned i = 0; i < c->change_count; i++) {
        changes[i] = (struct replica_change){c->changes[i].remove ? REPLICA_REMOVE : REPLICA_ADD,
                                             c->changes[i].node};
    }
    return range_store_change_replicas(rs, c->range, changes, c->change_count, diag);
}

static db_err range_admin_handler(void *ctx, struct rpc_request *req, struct diag *diag)
{
    struct rpc_services *s = ctx;
    struct range_admin_call c;
    range_id_t new_id = 0;
    uint8_t bytes[8];
    db_err err = range_admin_decode(rpc_request_msg(req)->header, rpc_request_arena(req), &c);
    if (err != ERR_OK) {
        return diag_set(diag, err, "a malformed call");
    }
    switch ((int)c.op) {
    case RANGE_ADMIN_CHANGE_REPLICAS: TRY(change_replicas(s->ranges, &c, diag)); break;
    case RANGE_ADMIN_TRANSFER_LEASE:
        TRY(range_store_transfer_lease(s->ranges, c.range, c.node,
                                       c.may_lose_locks ? LEASE_MAY_LOSE_LOCKS : LEASE_WITH_LOCKS,
                                       diag));
        break;
    case RANGE_ADMIN_MERGE: TRY(range_store_merge(s->ranges, c.range, diag, &new_id)); break;
    case RANGE_ADMIN_WEIGH: TRY(range_store_weigh(s->ranges, c.range, diag, &new_id)); break;
    default: TRY(range_store_split(s->ranges, c.range, c.key, diag, &new_id)); break;
    }
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(new_id >> (56 - 8 * i));
    }
    return rpc_respond(req, slice_of(bytes, sizeof(bytes)), NULL, 0);
}

/* ---- an operator's command that another node passed on ---- */

enum { CTL_DRAIN = 1, CTL_UNDRAIN = 2 };

static db_err ctl_handler(void *ctx, struct rpc_request *req, struct diag *diag)
{
    struct rpc_services *s = ctx;
    struct slice h = rpc_request_msg(req)->header;
    if (h.len != 1 || (h.ptr[0] != CTL_DRAIN && h.ptr[0] != CTL_UNDRAIN) || s->drain == NULL) {
        return diag_set(diag, ERR_UNSUPPORTED, "no such command of an operator");
    }
    TRY(s->drain(s->drain_ctx, h.ptr[0] == CTL_DRAIN, diag));
    return rpc_respond(req, SLICE_EMPTY, NULL, 0);
}

db_err rpc_drain(struct rpc_client *client, node_id_t node, bool on, struct diag *diag)
{
    struct rpc_peer *peer = rpc_client_peer(client, node);
    const uint8_t op = on ? CTL_DRAIN : CTL_UNDRAIN;
    struct rpc_call call = {.method = RPC_M_ctl, .header = slice_of(&op, 1)};
    struct rpc_reply back = {0};
    if (peer == NULL) {
        return ERR_NOMEM;
    }
    db_err err = rpc_call(peer, &call, diag, &back);
    rpc_msg_release(&back.msg);
    return err;
}

void rpc_meta_register(struct rpc_services *s, struct rpc_server *server)
{
    rpc_server_handle_call(server, RPC_M_meta, meta_handler, s);
    rpc_server_handle_call(server, RPC_M_join, join_handler, s);
    rpc_server_handle_call(server, RPC_M_range_admin, range_admin_handler, s);
    rpc_server_handle_call(server, RPC_M_ctl, ctl_handler, s);
}

/* ---- asking the leader of a range ---- */

static db_err ask(struct rpc_client *client, node_id_t leader, const struct range_admin_call *c,
                  struct diag *diag, range_id_t *ret_new_id)
{
    struct rpc_peer *peer = rpc_client_peer(client, leader);
    struct buf header;
    struct rpc_reply back = {0};
    if (peer == NULL) {
        return ERR_NOMEM;
    }
    buf_init(&header, 1 << 20);
    db_err err = range_admin_encode(c, &header);
    if (err == ERR_OK) {
        struct rpc_call call = {.method = RPC_M_range_admin, .header = buf_slice(&header)};
        err = rpc_call(peer, &call, diag, &back);
        if (err == ERR_OK && back.msg.header.len != 8) {
            err = diag_set(diag, ERR_CORRUPT, "a malformed reply");
        }
        range_id_t id = 0;
        for (unsigned i = 0; err == ERR_OK && i < 8; i++) {
            id = id << 8 | back.msg.header.ptr[i];
        }
        rpc_msg_release(&back.msg);
        if (err == ERR_OK) {
            *ret_new_id = id;
        }
    }
    buf_fini(&header);
    return err;
}

db_err rpc_change_replicas(struct rpc_client *client, node_id_t leader, range_id_t range,
                           const struct replica_change *changes, size_t count, struct diag *diag)
{
    struct range_admin_call c = {.op = RANGE_ADMIN_CHANGE_REPLICAS, .range = range};
    range_id_t none;
    if (count > RANGE_ADMIN_CHANGES_MAX) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        c.changes[i] =
            (struct range_admin_change){changes[i].op == REPLICA_REMOVE, changes[i].node};
    }
    c.change_count = (unsigned)count;
    return ask(client, leader, &c, diag, &none);
}

db_err rpc_transfer_lease(struct rpc_client *client, node_id_t leader, range_id_t range,
                          node_id_t to, enum lease_locks locks, struct diag *diag)
{
    struct range_admin_call c = {.op = RANGE_ADMIN_TRANSFER_LEASE,
                                 .range = range,
                                 .node = to,
                                 .may_lose_locks = locks == LEASE_MAY_LOSE_LOCKS};
    range_id_t none;
    return ask(client, leader, &c, diag, &none);
}

db_err rpc_split(struct rpc_client *client, node_id_t leader, range_id_t range, struct slice at,
                 struct diag *diag, range_id_t *ret_new_id)
{
    struct range_admin_call c = {.op = RANGE_ADMIN_SPLIT, .range = range, .key = at};
    return ask(client, leader, &c, diag, ret_new_id);
}

db_err rpc_merge(struct rpc_client *client, node_id_t leader, range_id_t left, struct diag *diag,
                 range_id_t *ret_right)
{
    struct range_admin_call c = {.op = RANGE_ADMIN_MERGE, .range = left};
    return ask(client, leader, &c, diag, ret_right);
}

db_err rpc_weigh(struct rpc_client *client, node_id_t leader, range_id_t range, struct diag *diag,
                 uint64_t *ret_bytes)
{
    struct range_admin_call c = {.op = RANGE_ADMIN_WEIGH, .range = range};
    return ask(client, leader, &c, diag, ret_bytes);
}
