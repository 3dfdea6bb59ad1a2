#include "node/service/service.h"

#include "base/fiber.h"
#include "node/eval/eval.h"
#include "node/mvcc/mvcc.h"
#include "node/store/keyspace.h"

/* Each call finds the replica and lets evaluation do the rest: it checks epoch and lease at the
 * right moments itself. */

/* A range that was merged into another: who asks is told which. */
static db_err not_here(struct local_kv_service *l, const struct kv_request *req, struct diag *diag,
                       struct kv_reply *reply)
{
    struct range_desc *d = reply == NULL ? NULL : ARENA_NEW(req->arena, struct range_desc);
    if (d != NULL && range_store_redirect(l->rs, req->range, req->arena, d) == ERR_OK) {
        reply->descs = d;
        reply->desc_count = 1;
        return ERR_STALE_EPOCH;
    }
    return diag_set(diag, ERR_RANGE_NOT_FOUND, "range %llu is not on this node",
                    (unsigned long long)req->range);
}

static db_err find(struct kv_service *s, const struct kv_request *req, struct diag *diag,
                   struct kv_reply *reply, struct eval_range **ret_range)
{
    struct local_kv_service *l = CONTAINER_OF(s, struct local_kv_service, base);
    db_err err = range_store_find(l->rs, req->range, ret_range);
    return LIKELY(err == ERR_OK) ? ERR_OK : not_here(l, req, diag, reply);
}

#define RESP(type, name) , type *name
#define NO_RESP
#define EVAL_CMD(cmd, flags, req_type, resp_decl)                                                  \
    static db_err kv_##cmd(struct kv_service *s, const struct req_type *req, struct diag *diag,    \
                           struct kv_reply *reply resp_decl)                                       \
    {                                                                                              \
        struct eval_range *er;                                                                     \
        TRY(find(s, &req->r, diag, reply, &er));                                                   \
        db_err err = eval_##cmd(er, req, diag, reply RESP_ARG_##cmd);                              \
        range_store_done(er);                                                                      \
        return err;                                                                                \
    }
#define RESP_ARG_get       , ret_value
#define RESP_ARG_multi_get , ret_values
#define RESP_ARG_scan      , ret_resp
#define RESP_ARG_lock      , ret_resp
#define RESP_ARG_prewrite  , ret_resp
#define RESP_ARG_commit
#define RESP_ARG_rollback
#define RESP_ARG_release
#define RESP_ARG_check_txn , ret_resp
#define RESP_ARG_resolve
#define RESP_ARG_heartbeat
#define RESP_ARG_delete_range
#define RESP_ARG_sweep
#define RESP_ARG_closed , ret_resp
#include "node/eval/commands.def"
#undef EVAL_CMD
#undef RESP
#undef NO_RESP

/* ---- estimate ---- */

enum { SAMPLE_ROWS = 128, SAMPLE_BYTES = 256 * 1024 };

struct size_job {
    struct engine *engine;
    struct slice start;
    struct slice end;
    uint64_t size;
    db_err err;
};

static void range_size(void *arg)
{
    struct size_job *j = arg;
    struct arena a;
    struct slice lo;
    struct slice hi = SLICE_EMPTY;
    arena_init(&a, NULL, NULL, 0);
    j->err = data_key_make(&a, j->start, UINT64_MAX, &lo);
    if (j->err == ERR_OK && j->end.len != 0) {
        j->err = data_key_make(&a, j->end, UINT64_MAX, &hi);
    }
    if (j->err == ERR_OK) {
        j->err = engine_approximate_size(j->engine, ENGINE_DATA, lo, hi, &j->size);
    }
    arena_fini(&a);
}

/* A sample of the first rows; what the engine says of the bytes of all, for the rest. The sample
 * reads what is applied and waits for no write on its way: an estimate need not be exact, and must
 * not stand still with a full disk. */
static db_err estimate(struct engine *engine, const struct kv_estimate_req *req, struct diag *diag,
                       struct kv_estimate_resp *ret_resp)
{
    struct mvcc_rows page = {0};
    struct mvcc_scan scan = {.start = req->start,
                             .end = req->end,
                             .rows_max = SAMPLE_ROWS,
                             .bytes_max = SAMPLE_BYTES,
                             .read_ts = TS_MAX};
    db_err err = mvcc_scan(engine, &scan, req->r.arena, &page);
    if (err != ERR_OK) {
        return diag_set(diag, err, "the sample of an estimate");
    }
    struct kv_estimate_resp resp = {.rows = page.count};
    for (size_t i = 0; i < page.count; i++) {
        resp.bytes += page.pairs[i].key.len + page.pairs[i].value.len;
    }
    if (page.more) {
        struct size_job j = {.engine = engine, .start = req->start, .end = req->end};
        uint64_t row = page.count == 0 ? 100 : resp.bytes / page.count + 24;
        blocking_run(range_size, &j);
        TRY(j.err);
        resp.bytes = j.size > resp.bytes ? j.size : resp.bytes;
        resp.rows = resp.bytes / row > resp.rows ? resp.bytes / row : resp.rows;
    }
    *ret_resp = resp;
    return ERR_OK;
}

static db_err kv_estimate(struct kv_service *s, const struct kv_estimate_req *req,
                          struct diag *diag, struct kv_reply *reply,
                          struct kv_estimate_resp *ret_resp)
{
    struct eval_range *er;
    TRY(find(s, &req->r, diag, reply, &er));
    db_err err = estimate(er->engine, req, diag, ret_resp);
    range_store_done(er);
    return err;
}

static const struct kv_service_ops local_kv_ops = {
    .name = "local",
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
    .sweep = kv_sweep,
    .closed = kv_closed,
    .delete_range = kv_delete_range,
    .estimate = kv_estimate,
    .fragment = kv_service_fragment,
};

void local_kv_service_init(struct local_kv_service *s, struct range_store *rs)
{
    s->base.ops = &local_kv_ops;
    s->rs = rs;
}
