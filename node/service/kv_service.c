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

/* SAMPLE_ROWS give the size of a row. COUNTED_ROWS are counted one by one where memtables hold some
 * of them, or files hold few: what is said of few is too rough for a plan. */
enum { SAMPLE_ROWS = 128, COUNTED_ROWS = 1024, SAMPLE_BYTES = 256 * 1024 };

struct size_job {
    struct engine *engine;
    struct slice low, high; /* data keys */
    uint64_t size;
    db_err err;
};

static void size_in_files(void *arg)
{
    struct size_job *j = arg;
    j->err = engine_approximate_size(j->engine, ENGINE_DATA, j->low, j->high, &j->size);
}

struct sampled {
    struct mvcc_rows rows;
    uint64_t in_files;       /* bytes */
    uint64_t entries, bytes; /* in memtables */
};

static uint64_t sampled_row_size(const struct sampled *s)
{
    return s->rows.count == 0 ? 100 : s->rows.bytes / s->rows.count + 24;
}

static db_err sample(struct engine *engine, const struct kv_estimate_req *req, struct sampled *s)
{
    struct arena *a = req->r.arena;
    struct mvcc_scan scan = {.start = req->start,
                             .end = req->end,
                             .rows_max = SAMPLE_ROWS,
                             .bytes_max = SAMPLE_BYTES,
                             .read_ts = TS_MAX};
    struct size_job j = {.engine = engine};
    TRY(mvcc_scan(engine, &scan, a, &s->rows));
    if (!s->rows.more) {
        return ERR_OK;
    }
    TRY(data_key_make(a, req->start, UINT64_MAX, &j.low));
    if (req->end.len != 0) {
        TRY(data_key_make(a, req->end, UINT64_MAX, &j.high));
    }
    blocking_run(size_in_files, &j);
    TRY(j.err);
    s->in_files = j.size;
    engine_in_memory(engine, j.low, j.high, &s->entries, &s->bytes);
    if (s->entries == 0 && s->in_files / sampled_row_size(s) >= COUNTED_ROWS) {
        return ERR_OK;
    }
    scan.start = s->rows.resume;
    scan.rows_max = COUNTED_ROWS;
    s->rows.more = false;
    return mvcc_scan(engine, &scan, a, &s->rows);
}

/* The first rows are counted; for the rest the engine says what its files hold, by the size of a
 * row, and its memtables, an entry a row (also where it is a version or a deletion, as in files).
 * The count reads what is applied and waits for no write on its way: an estimate need not be exact,
 * and must not stand still with a full disk. */
static db_err estimate(struct engine *engine, const struct kv_estimate_req *req, struct diag *diag,
                       struct kv_estimate_resp *ret_resp)
{
    struct sampled s = {0};
    db_err err = sample(engine, req, &s);
    if (err != ERR_OK) {
        return diag_set(diag, err, "the sample of an estimate");
    }
    struct kv_estimate_resp resp = {.rows = s.rows.count, .bytes = s.rows.bytes};
    if (s.rows.more) {
        uint64_t rows = s.in_files / sampled_row_size(&s) + s.entries;
        uint64_t bytes = s.in_files + s.bytes;
        resp.bytes = bytes > resp.bytes ? bytes : resp.bytes;
        resp.rows = rows > resp.rows ? rows : resp.rows;
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
