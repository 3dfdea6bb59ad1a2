#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "node/service/rpc_services.h"
#include "proto/kv_codec.h"

/* The KV service for other nodes: decode, call the local service, encode. The request's keys and
 * values are used where they lie in the received message; results are copied once, into the reply's
 * payload. */

/* Values of MULTI_GET and LOCK: an array as long as the request's. */
static struct kv_value *values_for(struct arena *arena, size_t count)
{
    return ARENA_ARRAY(arena, struct kv_value, count);
}

static db_err read_call(struct kv_service *kv, enum kv_method m, const union kv_any_req *q,
                        struct diag *diag, struct kv_reply *reply, union kv_any_resp *resp,
                        size_t *ret_count)
{
    switch ((int)m) {
    case KV_METHOD_GET: return kv->ops->get(kv, &q->get, diag, reply, &resp->value);
    case KV_METHOD_MULTI_GET:
        *ret_count = q->multi_get.count;
        resp->values = values_for(q->r.arena, *ret_count);
        return resp->values == NULL
                   ? ERR_NOMEM
                   : kv->ops->multi_get(kv, &q->multi_get, diag, reply, resp->values);
    case KV_METHOD_SCAN: return kv->ops->scan(kv, &q->scan, diag, reply, &resp->scan);
    case KV_METHOD_LOCK:
        *ret_count = q->lock.count;
        resp->lock.values = values_for(q->r.arena, *ret_count);
        return resp->lock.values == NULL ? ERR_NOMEM
                                         : kv->ops->lock(kv, &q->lock, diag, reply, &resp->lock);
    case KV_METHOD_CLOSED: return kv->ops->closed(kv, &q->closed, diag, reply, &resp->closed);
    case KV_METHOD_ESTIMATE:
        return kv->ops->estimate(kv, &q->estimate, diag, reply, &resp->estimate);
    case KV_METHOD_FRAGMENT:
        return kv->ops->fragment(kv, &q->fragment, diag, reply, &resp->fragment);
    default: return diag_set(diag, ERR_UNSUPPORTED, "no KV method %d", (int)m);
    }
}

static db_err any_call(struct kv_service *kv, enum kv_method m, const union kv_any_req *q,
                       struct diag *diag, struct kv_reply *reply, union kv_any_resp *resp,
                       size_t *ret_count)
{
    *ret_count = 0;
    switch ((int)m) {
    case KV_METHOD_PREWRITE:
        return kv->ops->prewrite(kv, &q->prewrite, diag, reply, &resp->prewrite);
    case KV_METHOD_COMMIT: return kv->ops->commit(kv, &q->txn_keys, diag, reply);
    case KV_METHOD_ROLLBACK: return kv->ops->rollback(kv, &q->txn_keys, diag, reply);
    case KV_METHOD_RELEASE: return kv->ops->release(kv, &q->release, diag, reply);
    case KV_METHOD_CHECK_TXN:
        return kv->ops->check_txn(kv, &q->check_txn, diag, reply, &resp->check_txn);
    case KV_METHOD_RESOLVE: return kv->ops->resolve(kv, &q->resolve, diag, reply);
    case KV_METHOD_HEARTBEAT: return kv->ops->heartbeat(kv, &q->heartbeat, diag, reply);
    case KV_METHOD_SWEEP: return kv->ops->sweep(kv, &q->sweep, diag, reply);
    case KV_METHOD_DELETE_RANGE: return kv->ops->delete_range(kv, &q->delete_range, diag, reply);
    default: return read_call(kv, m, q, diag, reply, resp, ret_count);
    }
}

static db_err answer(struct rpc_request *req, enum kv_method m, db_err err, const struct diag *diag,
                     const struct kv_reply *reply, const union kv_any_resp *resp, size_t count)
{
    struct kv_wire w;
    kv_wire_init(&w);
    db_err result = kv_reply_encode(m, err, diag, reply, resp, count, &w);
    if (result == ERR_OK) {
        struct rpc_part part = RPC_PART(buf_slice(&w.payload));
        result = rpc_respond(req, buf_slice(&w.header), &part, w.payload.len != 0 ? 1 : 0);
    }
    kv_wire_fini(&w);
    return result;
}

static db_err kv_handler(void *ctx, struct rpc_request *req, struct diag *diag)
{
    struct rpc_services *s = ctx;
    const struct rpc_msg *msg = rpc_request_msg(req);
    union kv_any_req q;
    union kv_any_resp resp;
    struct kv_reply reply = {0};
    size_t count = 0;
    if (msg->header.len == 0) {
        return diag_set(diag, ERR_CORRUPT, "a KV call without a method");
    }
    enum kv_method m = (enum kv_method)msg->header.ptr[0];
    db_err err =
        kv_request_decode(m, slice_from(msg->header, 1), msg->payload, rpc_request_arena(req), &q);
    if (err != ERR_OK) {
        return diag_set(diag, err, "a malformed KV call");
    }
    memset(&resp, 0, sizeof(resp));
    q.r.deadline_ns = fiber_deadline();
    err = any_call(s->kv, m, &q, diag, &reply, &resp, &count);
    return answer(req, m, err, diag, &reply, &resp, count);
}

void rpc_kv_register(struct rpc_services *s, struct rpc_server *server)
{
    rpc_server_handle_call(server, RPC_M_kv, kv_handler, s);
}
