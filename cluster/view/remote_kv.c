#include "cluster/view/remote_kv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/faults.h"
#include "base/fiber.h"
#include "proto/kv_codec.h"

/* A call is a byte with the method and the protobuf header, then the payload (proto/kv_codec.h). */

static bool writes(enum kv_method m)
{
    switch ((int)m) {
    case KV_METHOD_PREWRITE:
    case KV_METHOD_COMMIT:
    case KV_METHOD_ROLLBACK:
    case KV_METHOD_CHECK_TXN:
    case KV_METHOD_RESOLVE:
    case KV_METHOD_HEARTBEAT:
    case KV_METHOD_SWEEP:
    case KV_METHOD_DELETE_RANGE: return true;
    default: return false;
    }
}

/* What a failed call means to who asked. */
static db_err outcome(enum kv_method m, db_err err, const struct rpc_reply *reply,
                      struct diag *diag)
{
    bool lost = err == ERR_OUTCOME_UNKNOWN || (reply->executed_maybe && err != ERR_OK);
    if (lost && writes(m)) {
        return diag_set(
            diag, ERR_COMMIT_UNKNOWN,
            "the connection to the node that holds the range was lost while a write was "
            "on its way");
    }
    switch ((int)err) {
    case ERR_OUTCOME_UNKNOWN:
    case ERR_CLOSED: return ERR_UNAVAILABLE;
    case ERR_CANCELED: /* by whom? If not here, then the other node gave up, or took the call for
                          one whose connection had gone */
        return fiber_canceled() ? err : ERR_UNAVAILABLE;
    default: return err;
    }
}

static void drop_blob(void *blob)
{
    blob_unref(blob);
}

static db_err decode(enum kv_method m, const struct rpc_msg *msg, size_t count, struct arena *arena,
                     struct diag *diag, struct kv_reply *reply, union kv_any_resp *resp)
{
    if (msg->blob != NULL) { /* what is decoded points there */
        struct blob *kept = blob_ref(msg->blob);
        db_err err = arena_on_reset(arena, drop_blob, kept);
        if (err != ERR_OK) {
            blob_unref(kept);
            return err;
        }
    }
    return kv_reply_decode(m, msg->header, msg->payload, count, arena, diag, reply, resp);
}

/* ---- for tests: a call whose caller has given it up, and that arrives nevertheless ---- */

struct late_call {
    struct rpc_peer *peer;
    struct kv_wire w;
};

static db_err send_wire(struct rpc_peer *peer, struct kv_wire *w, uint64_t deadline_ns,
                        struct diag *diag, struct rpc_reply *back)
{
    struct rpc_part part = RPC_PART(buf_slice(&w->payload));
    struct rpc_call c = {.method = RPC_M_kv,
                         .header = buf_slice(&w->header),
                         .parts = &part,
                         .part_count = w->payload.len != 0 ? 1 : 0,
                         .deadline_ns = deadline_ns};
    return rpc_call(peer, &c, diag, back);
}

static void late_main(void *arg)
{
    struct late_call *l = arg;
    struct rpc_reply back = {0};
    struct diag diag;
    diag_reset(&diag);
    FAULT(kv_call_late);
    db_err err = send_wire(l->peer, &l->w, clock_mono_ns() + NS_PER_S, &diag, &back);
    (void)err; /* nobody waits for it */
    rpc_msg_release(&back.msg);
    kv_wire_fini(&l->w);
    mem_free(l);
}

/* Takes the request over, if the fault is armed. */
static bool lose(enum kv_method m, struct rpc_peer *peer, struct kv_wire *w)
{
    bool may = m == KV_METHOD_PREWRITE || m == KV_METHOD_COMMIT || m == KV_METHOD_ROLLBACK ||
               m == KV_METHOD_RESOLVE || m == KV_METHOD_CHECK_TXN;
    if (!may || !FAULT_DROP(kv_call_lost)) {
        return false;
    }
    struct late_call *l = mem_alloc(sizeof(*l));
    if (l == NULL) {
        return false;
    }
    l->peer = peer;
    kv_wire_init(&l->w);
    if (buf_append_slice(&l->w.header, buf_slice(&w->header)) != ERR_OK ||
        buf_append_slice(&l->w.payload, buf_slice(&w->payload)) != ERR_OK ||
        fiber_spawn(loop_current(), late_main, l) != ERR_OK) {
        kv_wire_fini(&l->w);
        mem_free(l);
        return false;
    }
    return true;
}

static db_err call(struct kv_service *s, enum kv_method m, const union kv_any_req *req,
                   size_t count, struct diag *diag, struct kv_reply *reply, union kv_any_resp *resp)
{
    struct rpc_peer *peer = CONTAINER_OF(s, struct remote_kv_service, base)->peer;
    struct kv_wire w;
    struct rpc_reply back = {0};
    kv_wire_init(&w);
    db_err err = buf_append_u8(&w.header, (uint8_t)m);
    if (err == ERR_OK) {
        err = kv_request_encode(m, req, &w);
    }
    if (err == ERR_OK && UNLIKELY(lose(m, peer, &w))) {
        err = diag_set(diag, ERR_COMMIT_UNKNOWN, "%s", err_text(ERR_COMMIT_UNKNOWN));
    } else if (err == ERR_OK) {
        err = send_wire(peer, &w, req->r.deadline_ns, diag, &back);
        bool heard = err == ERR_OK;
        if (heard) {
            err = decode(m, &back.msg, count, req->r.arena, diag, reply, resp);
        }
        err = !heard || err == ERR_CANCELED ? outcome(m, err, &back, diag) : err;
        rpc_msg_release(&back.msg);
    }
    kv_wire_fini(&w);
    return err;
}

/* ---- the calls ---- */

#define AS_ANY(req) ((const union kv_any_req *)(const void *)(req))

static db_err kv_get(struct kv_service *s, const struct kv_get_req *req, struct diag *diag,
                     struct kv_reply *reply, struct kv_value *ret_value)
{
    union kv_any_resp resp;
    TRY(call(s, KV_METHOD_GET, AS_ANY(req), 0, diag, reply, &resp));
    *ret_value = resp.value;
    return ERR_OK;
}

static db_err kv_multi_get(struct kv_service *s, const struct kv_multi_get_req *req,
                           struct diag *diag, struct kv_reply *reply, struct kv_value *ret_values)
{
    union kv_any_resp resp = {.values = ret_values};
    return call(s, KV_METHOD_MULTI_GET, AS_ANY(req), req->count, diag, reply, &resp);
}

static db_err kv_scan(struct kv_service *s, const struct kv_scan_req *req, struct diag *diag,
                      struct kv_reply *reply, struct kv_scan_resp *ret_resp)
{
    union kv_any_resp resp;
    TRY(call(s, KV_METHOD_SCAN, AS_ANY(req), 0, diag, reply, &resp));
    *ret_resp = resp.scan;
    return ERR_OK;
}

static db_err kv_lock(struct kv_service *s, const struct kv_lock_req *req, struct diag *diag,
                      struct kv_reply *reply, struct kv_lock_resp *ret_resp)
{
    union kv_any_resp resp = {
        .lock = {.values = ARENA_ARRAY(req->r.arena, struct kv_value, req->count)}};
    if (resp.lock.values == NULL) {
        return ERR_NOMEM;
    }
    TRY(call(s, KV_METHOD_LOCK, AS_ANY(req), req->count, diag, reply, &resp));
    *ret_resp = resp.lock;
    return ERR_OK;
}

static db_err kv_prewrite(struct kv_service *s, const struct kv_prewrite_req *req,
                          struct diag *diag, struct kv_reply *reply,
                          struct kv_prewrite_resp *ret_resp)
{
    union kv_any_resp resp;
    TRY(call(s, KV_METHOD_PREWRITE, AS_ANY(req), 0, diag, reply, &resp));
    *ret_resp = resp.prewrite;
    return ERR_OK;
}

static db_err kv_check_txn(struct kv_service *s, const struct kv_check_txn_req *req,
                           struct diag *diag, struct kv_reply *reply,
                           struct kv_check_txn_resp *ret_resp)
{
    union kv_any_resp resp;
    TRY(call(s, KV_METHOD_CHECK_TXN, AS_ANY(req), 0, diag, reply, &resp));
    *ret_resp = resp.check_txn;
    return ERR_OK;
}

static db_err kv_closed(struct kv_service *s, const struct kv_closed_req *req, struct diag *diag,
                        struct kv_reply *reply, struct kv_closed_resp *ret_resp)
{
    union kv_any_resp resp;
    TRY(call(s, KV_METHOD_CLOSED, AS_ANY(req), 0, diag, reply, &resp));
    *ret_resp = resp.closed;
    return ERR_OK;
}

static db_err kv_estimate(struct kv_service *s, const struct kv_estimate_req *req,
                          struct diag *diag, struct kv_reply *reply,
                          struct kv_estimate_resp *ret_resp)
{
    union kv_any_resp resp;
    TRY(call(s, KV_METHOD_ESTIMATE, AS_ANY(req), 0, diag, reply, &resp));
    *ret_resp = resp.estimate;
    return ERR_OK;
}

static db_err kv_fragment(struct kv_service *s, const struct kv_fragment_req *req,
                          struct diag *diag, struct kv_reply *reply,
                          struct kv_fragment_resp *ret_resp)
{
    union kv_any_resp resp;
    TRY(call(s, KV_METHOD_FRAGMENT, AS_ANY(req), 0, diag, reply, &resp));
    *ret_resp = resp.fragment;
    return ERR_OK;
}

#define WITHOUT_RESULT(name, method, type)                                                         \
    static db_err kv_##name(struct kv_service *s, const struct type *req, struct diag *diag,       \
                            struct kv_reply *reply)                                                \
    {                                                                                              \
        union kv_any_resp resp;                                                                    \
        return call(s, method, AS_ANY(req), 0, diag, reply, &resp);                                \
    }
WITHOUT_RESULT(commit, KV_METHOD_COMMIT, kv_txn_keys_req)
WITHOUT_RESULT(rollback, KV_METHOD_ROLLBACK, kv_txn_keys_req)
WITHOUT_RESULT(release, KV_METHOD_RELEASE, kv_release_req)
WITHOUT_RESULT(resolve, KV_METHOD_RESOLVE, kv_resolve_req)
WITHOUT_RESULT(heartbeat, KV_METHOD_HEARTBEAT, kv_heartbeat_req)
WITHOUT_RESULT(delete_range, KV_METHOD_DELETE_RANGE, kv_delete_range_req)
WITHOUT_RESULT(sweep, KV_METHOD_SWEEP, kv_sweep_req)

static const struct kv_service_ops remote_kv_ops = {
    .name = "remote",
    .get = kv_get,
    .multi_get = kv_multi_get,
    .scan = kv_scan,
    .lock = kv_lock,
    .prewrite = kv_prewrite,
    .commit = kv_commit,
    .rollback = kv_rollback,
    .release = kv_release,
    .check_txn = kv_check_txn,
    .resolve = kv_resolve,
    .heartbeat = kv_heartbeat,
    .delete_range = kv_delete_range,
    .sweep = kv_sweep,
    .closed = kv_closed,
    .estimate = kv_estimate,
    .fragment = kv_fragment,
};

void remote_kv_service_init(struct remote_kv_service *s, struct rpc_peer *peer)
{
    ASSERT(peer != NULL);
    *s = (struct remote_kv_service){.base = {&remote_kv_ops}, .peer = peer};
}
