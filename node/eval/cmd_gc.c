/* gc: transaction records nobody will ask for any more. Versions are dropped by the store's
 * compactions behind the engine's safe point. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

db_err eval_gc(struct eval_range *r, const struct kv_request *req, struct slice start,
               struct slice end, ts_t before, size_t max, struct buf *cursor, struct diag *diag,
               struct kv_reply *reply, size_t *ret_dropped)
{
    struct eval_write w;
    size_t count = 0;
    TRY(eval__write_begin(&w, r, req, NULL, 0, diag, reply));
    db_err err = mvcc_txn_gc(r->engine, start, end, before, max, cursor, &w.batch, &count);
    if (err == ERR_OK) {
        err = eval__write_propose(&w, diag, reply);
    }
    eval__write_end(&w);
    if (err == ERR_OK) {
        *ret_dropped = count;
    }
    return err;
}
