/* check_txn: what has become of a transaction, asked at its primary (or, for async commit, at a
 * secondary: any key of the transaction can be asked). One whose time is over is rolled back,
 * unless it may have been committed without our knowing (async commit): then its other keys decide.
 *
 * Its own coordinator asks what has become of a 1PC that it heard nothing of: see cmd_prewrite.c.
 */
#include "node/eval/eval.h"

#include "base/sim_break.h"
#include "node/eval/eval_int.h"

static uint32_t ttl_left(const struct mvcc_intent *in, ts_t now)
{
    uint64_t until = (in->start_ts >> TS_LOGICAL_BITS) + in->ttl_ms;
    uint64_t now_ms = now >> TS_LOGICAL_BITS;
    return until > now_ms ? (uint32_t)(until - now_ms) : 0;
}

static db_err with_intent(struct eval_write *w, const struct kv_check_txn_req *req,
                          const struct mvcc_intent *in, struct diag *diag, struct kv_reply *reply,
                          struct kv_check_txn_resp *resp)
{
    resp->ttl_ms = ttl_left(in, req->caller_ts);
    resp->async_commit = in->async_commit;
    resp->secondaries = in->secondaries;
    resp->secondary_count = in->secondary_count;
    resp->min_commit_ts = in->min_commit_ts;
    resp->state = KV_TXN_RUNNING;
    if (resp->ttl_ms != 0 || in->async_commit) {
        return ERR_OK;
    }
    if (!slice_eq(req->primary, in->primary)) {
        return ERR_OK; /* only the primary may decide */
    }
    TRY(mvcc_write_rollback(&w->batch, req->primary, in));
    w->intents_removed = 1;
    TRY(eval__write_propose(w, diag, reply));
    resp->state = KV_TXN_ROLLED_BACK;
    return ERR_OK;
}

/* Was it committed by 1PC? Nothing found means "no" only if what it wrote would still be there: not
 * collected, nor deleted with its table by those who went on without its node. */
static db_err find_1pc(struct eval_write *w, const struct kv_check_txn_req *req, struct diag *diag,
                       ts_t *ret_commit_ts)
{
    ts_t commit_ts;
    TRY(mvcc_version_of(w->r->engine, req->primary, req->start_ts, req->retried_above, req->r.arena,
                        &commit_ts));
    if (commit_ts != 0 && !SIM_BROKEN(RETRY_BLIND)) {
        *ret_commit_ts = commit_ts;
        return ERR_OK;
    }
    bool fenced = w->r->ops->vouch != NULL &&
                  w->r->ops->vouch(w->r, req->r.owner, req->fences, diag) != ERR_OK;
    return fenced || engine_safe_point(w->r->engine) > req->retried_above
               ? diag_set(diag, ERR_SNAPSHOT_TOO_OLD, "%s", err_text(ERR_SNAPSHOT_TOO_OLD))
               : ERR_OK;
}

static db_err without_intent(struct eval_write *w, const struct kv_check_txn_req *req,
                             struct diag *diag, struct kv_reply *reply,
                             struct kv_check_txn_resp *resp)
{
    enum mvcc_txn_record rec;
    TRY(mvcc_txn_get(w->r->engine, req->primary, req->start_ts, req->r.arena, &rec,
                     &resp->commit_ts));
    if (rec == MVCC_TXN_COMMITTED) {
        resp->state = KV_TXN_COMMITTED;
        return ERR_OK;
    }
    resp->commit_ts = 0;
    if (rec == MVCC_TXN_NONE && req->retried_above != 0) {
        TRY(find_1pc(w, req, diag, &resp->commit_ts));
        if (resp->commit_ts != 0) {
            resp->state = KV_TXN_COMMITTED;
            return ERR_OK;
        }
    }
    resp->state = KV_TXN_ROLLED_BACK;
    if (rec == MVCC_TXN_ROLLED_BACK) {
        return ERR_OK;
    }
    if (!req->rollback_missing) {
        return diag_set(diag, ERR_TXN_NOT_FOUND, "%s", err_text(ERR_TXN_NOT_FOUND));
    }
    eval__note_record(w->r, req->start_ts);
    TRY(mvcc_write_txn_record(&w->batch, req->primary, req->start_ts, MVCC_TXN_ROLLED_BACK, 0));
    return eval__write_propose(w, diag, reply);
}

db_err eval_check_txn(struct eval_range *r, const struct kv_check_txn_req *req, struct diag *diag,
                      struct kv_reply *reply, struct kv_check_txn_resp *ret_resp)
{
    struct eval_write w;
    struct kv_check_txn_resp resp = {0};
    struct mvcc_intent in;
    bool found;
    TRY(eval__write_begin(&w, r, &req->r, &req->primary, 1, diag, reply));
    db_err err = mvcc_intent_get(r->engine, req->primary, req->r.arena, &found, &in);
    if (err == ERR_OK) {
        err = found && in.start_ts == req->start_ts ? with_intent(&w, req, &in, diag, reply, &resp)
                                                    : without_intent(&w, req, diag, reply, &resp);
    }
    eval__write_end(&w);
    if (err == ERR_OK) {
        struct slice none = SLICE_EMPTY;
        TRY(eval__check_again(r, &req->r, req->primary, none, w.term, diag, reply));
        *ret_resp = resp;
    }
    return err;
}
