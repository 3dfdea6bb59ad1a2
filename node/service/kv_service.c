#include "node/service/service.h"

#include "base/assert.h"
#include "node/eval/eval.h"

/* Each call finds the replica and lets evaluation do the rest: it checks epoch and lease at the
 * right moments itself. */

static db_err find(struct kv_service *s, const struct kv_request *req, struct diag *diag,
                   struct eval_range **ret_range)
{
    struct local_kv_service *l = CONTAINER_OF(s, struct local_kv_service, base);
    db_err err = range_store_find(l->rs, req->range, ret_range);
    if (UNLIKELY(err != ERR_OK)) {
        return diag_set(diag, err, "range %llu is not on this node",
                        (unsigned long long)req->range);
    }
    return ERR_OK;
}

#define RESP(type, name) , type *name
#define NO_RESP
#define EVAL_CMD(cmd, flags, req_type, resp_decl)                                                  \
    static db_err kv_##cmd(struct kv_service *s, const struct req_type *req, struct diag *diag,    \
                           struct kv_reply *reply resp_decl)                                       \
    {                                                                                              \
        struct eval_range *er;                                                                     \
        TRY(find(s, &req->r, diag, &er));                                                          \
        return eval_##cmd(er, req, diag, reply RESP_ARG_##cmd);                                    \
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
#include "node/eval/commands.def"
#undef EVAL_CMD
#undef RESP
#undef NO_RESP

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
    .delete_range = kv_delete_range,
};

void local_kv_service_init(struct local_kv_service *s, struct range_store *rs)
{
    s->base.ops = &local_kv_ops;
    s->rs = rs;
}
