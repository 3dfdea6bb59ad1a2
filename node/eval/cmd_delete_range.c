/* delete_range: all versions and intents of [start, end) go at once, for dropped tables. Not
 * transactional and not versioned: the caller knows that nobody reads or writes there any more.
 * Transaction records stay: a primary may lie there whose secondaries do not. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

db_err eval_delete_range(struct eval_range *r, const struct kv_delete_range_req *req,
                         struct diag *diag, struct kv_reply *reply)
{
    struct eval_write w = {.r = r, .req = &req->r};
    if (req->start.len == 0 || slice_cmp(req->start, req->end) >= 0) {
        return diag_set(diag, ERR_INVALID, "delete_range: empty or unbounded range");
    }
    TRY(latch_acquire_all(r->locks, req->r.deadline_ns, &w.guard));
    latch_begin_pending(&w.guard);
    store_batch_init(&w.batch);
    db_err err = eval__check(r, &req->r, req->start, req->end, diag, reply, &w.term);
    if (err == ERR_OK) {
        err = mvcc_write_delete_range(&w.batch, req->start, req->end);
    }
    if (err == ERR_OK) {
        err = eval__write_propose(&w, diag, reply);
    }
    eval__write_end(&w);
    return err;
}
