#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

db_err eval_release(struct eval_range *r, const struct kv_release_req *req,
                    struct diag *diag UNUSED, struct kv_reply *reply UNUSED)
{
    /* No check of lease or epoch: forgetting is right wherever the locks are by now. */
    row_unlock_all(r->locks, req->start_ts);
    return ERR_OK;
}
