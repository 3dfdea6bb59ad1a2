/* resolve: commits or rolls back what a transaction left, its named keys or all in the range. Safe
 * to repeat; keys without an intent of the transaction are passed over. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

static db_err resolve_latched(struct eval_write *w, const struct kv_resolve_req *req,
                              const struct slice *keys, size_t count, struct diag *diag,
                              struct kv_reply *reply)
{
    for (size_t i = 0; i < count; i++) {
        bool found;
        struct mvcc_intent in;
        TRY(mvcc_intent_get(w->r->engine, keys[i], req->r.arena, &found, &in));
        if (!found || in.start_ts != req->start_ts) {
            continue;
        }
        if (req->commit_ts != 0 && req->commit_ts <= in.start_ts) {
            return diag_set(diag, ERR_INVALID, "resolve: commit_ts is not above start_ts");
        }
        TRY(req->commit_ts != 0 ? mvcc_write_commit(&w->batch, keys[i], &in, req->commit_ts)
                                : mvcc_write_rollback(&w->batch, keys[i], &in));
        w->intents_removed++;
    }
    return eval__write_propose(w, diag, reply);
}

static db_err resolve_keys(struct eval_range *r, const struct kv_resolve_req *req,
                           const struct slice *keys, size_t count, struct diag *diag,
                           struct kv_reply *reply)
{
    struct eval_write w;
    TRY(eval__write_begin(&w, r, &req->r, keys, count, diag, reply));
    db_err err = resolve_latched(&w, req, keys, count, diag, reply);
    eval__write_end(&w);
    return err;
}

static db_err resolve_range(struct eval_range *r, const struct kv_resolve_req *req,
                            struct diag *diag, struct kv_reply *reply)
{
    struct slice none = SLICE_EMPTY;
    struct slice start = SLICE_EMPTY;
    struct slice end = SLICE_EMPTY;
    struct slice from = SLICE_EMPTY; /* a page does not step over what those before have removed */
    for (;;) {
        struct mvcc_intent_at *intents;
        struct slice *keys;
        size_t count;
        uint64_t term;
        TRY(eval__check(r, &req->r, none, none, diag, reply, &term));
        TRY(r->ops->bounds(r, req->r.arena, &start, &end));
        start = slice_cmp(from, start) > 0 ? from : start;
        TRY(mvcc_intent_scan(r->engine, start, end, req->start_ts, false, EVAL_RESOLVE_PAGE,
                             req->r.arena, &intents, &count));
        if (count == 0) {
            break;
        }
        keys = ARENA_ARRAY(req->r.arena, struct slice, count);
        if (keys == NULL) {
            return ERR_NOMEM;
        }
        for (size_t i = 0; i < count; i++) {
            keys[i] = intents[i].key;
        }
        TRY(resolve_keys(r, req, keys, count, diag, reply));
        if (count < EVAL_RESOLVE_PAGE) {
            break;
        }
        from = keys[count - 1];
    }
    eval__intents_gone(r, &req->r);
    return ERR_OK;
}

db_err eval_resolve(struct eval_range *r, const struct kv_resolve_req *req, struct diag *diag,
                    struct kv_reply *reply)
{
    struct slice *keys;
    size_t count;
    if (req->count == 0) {
        return resolve_range(r, req, diag, reply);
    }
    TRY(eval__sorted_keys(&req->r, req->keys, req->count, &keys, &count));
    return resolve_keys(r, req, keys, count, diag, reply);
}
