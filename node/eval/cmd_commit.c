/* commit: intents become versions. Safe to repeat: what is committed already stays so.
 *
 * A key without an intent of the transaction was committed (by this coordinator's earlier try or by
 * somebody who resolved it), rolled back, or never written. The record at the key tells, or the
 * version at commit_ts itself; without either the transaction was never there. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

static db_err missing(struct eval_range *r, const struct kv_txn_keys_req *req, struct slice key,
                      struct diag *diag)
{
    enum mvcc_txn_record rec;
    ts_t ts;
    struct kv_value v;
    TRY(mvcc_txn_get(r->engine, key, req->start_ts, req->r.arena, &rec, &ts));
    if (rec == MVCC_TXN_COMMITTED) {
        return ERR_OK;
    }
    if (rec == MVCC_TXN_ROLLED_BACK) {
        return diag_set(diag, ERR_TXN_ABORTED, "%s", err_text(ERR_TXN_ABORTED));
    }
    TRY(mvcc_get(r->engine, key, req->commit_ts, req->r.arena, &v));
    return v.version_ts == req->commit_ts
               ? ERR_OK
               : diag_set(diag, ERR_TXN_NOT_FOUND, "%s", err_text(ERR_TXN_NOT_FOUND));
}

static db_err run(struct eval_write *w, const struct kv_txn_keys_req *req, const struct slice *keys,
                  size_t count, struct diag *diag, struct kv_reply *reply)
{
    for (size_t i = 0; i < count; i++) {
        bool found;
        struct mvcc_intent in;
        TRY(mvcc_intent_get(w->r->engine, keys[i], req->r.arena, &found, &in));
        if (!found || in.start_ts != req->start_ts) {
            TRY(missing(w->r, req, keys[i], diag));
            continue;
        }
        if (req->commit_ts <= in.start_ts || req->commit_ts < in.min_commit_ts) {
            return diag_set(diag, ERR_INVALID, "commit: timestamp below what was promised");
        }
        TRY(mvcc_write_commit(&w->batch, keys[i], &in, req->commit_ts));
        w->intents_removed++;
    }
    return eval__write_propose(w, diag, reply);
}

db_err eval_commit(struct eval_range *r, const struct kv_txn_keys_req *req, struct diag *diag,
                   struct kv_reply *reply)
{
    struct eval_write w;
    struct slice *keys;
    size_t count;
    TRY(eval__sorted_keys(&req->r, req->keys, req->count, &keys, &count));
    TRY(eval__write_begin(&w, r, &req->r, keys, count, diag, reply));
    db_err err = run(&w, req, keys, count, diag, reply);
    eval__write_end(&w);
    return err;
}
