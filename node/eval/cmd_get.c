/* get: pending writes, then intents, then the version, then the lease again. The order matters: see
 * proto/kv_api.h and node/lock/lock_table.c. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

db_err eval_get(struct eval_range *r, const struct kv_get_req *req, struct diag *diag,
                struct kv_reply *reply, struct kv_value *ret_value)
{
    struct slice none = SLICE_EMPTY;
    struct kv_value v;
    uint64_t term;
    TRY(eval__check(r, &req->r, req->key, none, diag, reply, &term));
    if (req->read_ts != TS_MAX) {
        TRY(eval__await_keys(r, &req->r, &req->key, 1, req->read_ts, diag));
    }
    TRY(eval__intents_of_keys(r, &req->key, 1, req->read_ts, req->own_ts, req->r.arena, diag,
                              reply));
    TRY(mvcc_get(r->engine, req->key, req->read_ts, req->r.arena, &v));
    TRY(eval__check_history(r, req->read_ts, diag));
    TRY(eval__check_again(r, &req->r, req->key, none, term, diag, reply));
    if (r->ops->note_load != NULL) {
        r->ops->note_load(r, req->key, 1);
    }
    *ret_value = v;
    return ERR_OK;
}
