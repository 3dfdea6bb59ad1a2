/* commit: intents become versions. Safe to repeat: what is committed already stays so.
 *
 * A key without an intent of the transaction was committed (by this coordinator's earlier try or by
 * somebody who resolved it), rolled back, or never written. The record at the key tells, or the
 * version at commit_ts itself; without either the transaction was never there. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

static db_err missing(struct eval_range *r, const struct kv_txn_keys_req *req, struct slice key,
                      struct arena *a, struct diag *diag)
{
    enum mvcc_txn_record rec;
    ts_t ts;
    struct kv_value v;
    TRY(mvcc_txn_get(r->engine, key, req->start_ts, a, &rec, &ts));
    if (rec == MVCC_TXN_COMMITTED) {
        return ERR_OK;
    }
    if (rec == MVCC_TXN_ROLLED_BACK) {
        return diag_set(diag, ERR_TXN_ABORTED, "%s", err_text(ERR_TXN_ABORTED));
    }
    TRY(mvcc_get(r->engine, key, req->commit_ts, a, &v));
    return v.version_ts == req->commit_ts
               ? ERR_OK
               : diag_set(diag, ERR_TXN_NOT_FOUND, "%s", err_text(ERR_TXN_NOT_FOUND));
}

/* eval_keys_fn. */
static db_err run(struct eval_write *w, const struct kv_txn_keys_req *req, const struct slice *keys,
                  size_t count, struct arena *a, struct diag *diag, struct kv_reply *reply)
{
    for (size_t i = 0; i < count; i++) {
        bool found;
        struct mvcc_intent in;
        arena_reset(a);
        TRY(mvcc_intent_get(w->r->engine, keys[i], a, &found, &in));
        if (!found || in.start_ts != req->start_ts) {
            TRY(missing(w->r, req, keys[i], a, diag));
            continue;
        }
        if (req->commit_ts <= in.start_ts || req->commit_ts < in.min_commit_ts) {
            return diag_set(diag, ERR_INVALID, "commit: timestamp below what was promised");
        }
        TRY(eval__write_step(w, eval__end_size(keys[i], &in), diag, reply));
        TRY(mvcc_write_commit(&w->batch, keys[i], &in, req->commit_ts));
        w->intents_removed++;
    }
    return eval__write_propose(w, diag, reply);
}

db_err eval_commit(struct eval_range *r, const struct kv_txn_keys_req *req, struct diag *diag,
                   struct kv_reply *reply)
{
    return eval__write_keys(r, req, run, diag, reply);
}
