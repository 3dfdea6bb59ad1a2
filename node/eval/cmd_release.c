/* release: forgets the row locks of a transaction in this range. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

db_err eval_release(struct eval_range *r, const struct kv_release_req *req, struct diag *diag,
                    struct kv_reply *reply)
{
    struct slice none = SLICE_EMPTY;
    uint64_t term;
    /* Forgetting is right wherever the locks are by now; the check comes after it, so that a caller
     * who does not know of a split (which publishes the new epoch before it moves locks) learns
     * that some of them may have moved on. */
    TRY(row_unlock_all(r->locks, req->start_ts));
    return eval__check(r, &req->r, none, none, diag, reply, &term);
}
