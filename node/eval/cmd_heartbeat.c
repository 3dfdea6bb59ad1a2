/* heartbeat: the owner is alive; its primary's time to live grows to ttl_ms after start_ts. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

static db_err run(struct eval_write *w, const struct kv_heartbeat_req *req, struct diag *diag,
                  struct kv_reply *reply)
{
    bool found;
    struct mvcc_intent in;
    TRY(mvcc_intent_get(w->r->engine, req->primary, req->r.arena, &found, &in));
    if (!found || in.start_ts != req->start_ts) {
        return diag_set(diag, ERR_TXN_NOT_FOUND, "%s", err_text(ERR_TXN_NOT_FOUND));
    }
    if (in.ttl_ms >= req->ttl_ms) {
        return ERR_OK;
    }
    in.ttl_ms = req->ttl_ms;
    TRY(mvcc_write_intent(&w->batch, req->primary, &in));
    return eval__write_propose(w, diag, reply);
}

db_err eval_heartbeat(struct eval_range *r, const struct kv_heartbeat_req *req, struct diag *diag,
                      struct kv_reply *reply)
{
    struct eval_write w;
    TRY(eval__write_begin(&w, r, &req->r, &req->primary, 1, diag, reply));
    db_err err = run(&w, req, diag, reply);
    eval__write_end(&w);
    return err;
}
