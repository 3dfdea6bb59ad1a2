/* rollback: intents go. A key without one gets a record, so that a prewrite that is still under way
 * finds it and fails. Refused for what has been committed. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

/* eval_keys_fn. */
static db_err run(struct eval_write *w, const struct kv_txn_keys_req *req, const struct slice *keys,
                  size_t count, struct arena *a, struct diag *diag, struct kv_reply *reply)
{
    for (size_t i = 0; i < count; i++) {
        bool found;
        struct mvcc_intent in = {0};
        enum mvcc_txn_record rec;
        ts_t ts;
        arena_reset(a);
        TRY(mvcc_intent_get(w->r->engine, keys[i], a, &found, &in));
        in.value = SLICE_EMPTY; /* it is not written again */
        TRY(eval__write_step(w, eval__end_size(keys[i], &in), diag, reply));
        if (found && in.start_ts == req->start_ts) {
            TRY(mvcc_write_rollback(&w->batch, keys[i], &in));
            w->intents_removed++;
            continue;
        }
        TRY(mvcc_txn_get(w->r->engine, keys[i], req->start_ts, a, &rec, &ts));
        if (rec == MVCC_TXN_COMMITTED) {
            return diag_set(diag, ERR_TXN_COMMITTED, "%s", err_text(ERR_TXN_COMMITTED));
        }
        if (rec == MVCC_TXN_NONE) {
            eval__note_record(w->r, req->start_ts);
            TRY(mvcc_write_txn_record(&w->batch, keys[i], req->start_ts, MVCC_TXN_ROLLED_BACK, 0));
        }
    }
    return eval__write_propose(w, diag, reply);
}

db_err eval_rollback(struct eval_range *r, const struct kv_txn_keys_req *req, struct diag *diag,
                     struct kv_reply *reply)
{
    return eval__write_keys(r, req, run, diag, reply);
}
