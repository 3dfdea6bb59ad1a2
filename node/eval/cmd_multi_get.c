#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

db_err eval_multi_get(struct eval_range *r, const struct kv_multi_get_req *req, struct diag *diag,
                      struct kv_reply *reply, struct kv_value *ret_values)
{
    struct slice none = SLICE_EMPTY;
    uint64_t term;
    TRY(eval__check_keys(r, &req->r, req->keys, req->count, diag, reply, &term));
    if (req->count == 0) {
        return ERR_OK;
    }
    if (req->read_ts != TS_MAX) {
        TRY(eval__await_keys(r, &req->r, req->keys, req->count, req->read_ts, diag));
    }
    TRY(eval__intents_of_keys(r, req->keys, req->count, req->read_ts, req->own_ts, req->r.arena,
                              diag, reply));
    TRY(mvcc_multi_get(r->engine, req->keys, req->count, req->read_ts, req->r.arena, ret_values));
    TRY(eval__check_history(r, req->read_ts, diag));
    TRY(eval__check_again(r, &req->r, req->keys[0], none, term, diag, reply));
    if (r->ops->note_load != NULL && req->count != 0) {
        r->ops->note_load(r, req->keys[req->count / 2], (unsigned)req->count);
    }
    return ERR_OK;
}
