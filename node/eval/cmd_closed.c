/* closed: the protocol of a scan of the whole range at ts, without reading: whatever may commit at
 * or below ts is waited for, and what comes later commits above, because its timestamp is asked for
 * after it is pending. So everything that belongs to ts is applied here; a replica that has applied
 * as much has it too: as versions, or as the intents of commits whose timestamp others know. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

db_err eval_closed(struct eval_range *r, const struct kv_closed_req *req, struct diag *diag,
                   struct kv_reply *reply, struct kv_closed_resp *ret_resp)
{
    struct slice none = SLICE_EMPTY;
    struct slice start, end;
    uint64_t term, index;
    if (r->ops->position == NULL) {
        return diag_set(diag, ERR_UNSUPPORTED, "a range without a log");
    }
    TRY(eval__check(r, &req->r, none, none, diag, reply, &term));
    TRY(r->ops->bounds(r, req->r.arena, &start, &end));
    struct kv_request now = req->r;
    now.deadline_ns = req->no_wait ? 1 : now.deadline_ns;
    db_err err = eval__await_range(r, &now, start, end, req->ts, diag);
    if (err == ERR_TIMEOUT && req->no_wait) {
        return diag_set(diag, ERR_BUSY, "a write that may belong to it is on its way");
    }
    TRY(err);
    index = r->ops->position(r);
    TRY(eval__check_again(r, &req->r, none, none, term, diag, reply));
    ret_resp->index = index;
    return ERR_OK;
}
