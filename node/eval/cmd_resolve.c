/* resolve: commits or rolls back what a transaction left, its named keys or all in the range. Safe
 * to repeat; keys without an intent of the transaction are passed over. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

/* a: for one key at a time. */
static db_err resolve_latched(struct eval_write *w, const struct kv_resolve_req *req,
                              const struct slice *keys, size_t count, struct arena *a,
                              struct diag *diag, struct kv_reply *reply)
{
    for (size_t i = 0; i < count; i++) {
        bool found;
        struct mvcc_intent in;
        arena_reset(a);
        TRY(mvcc_intent_get(w->r->engine, keys[i], a, &found, &in));
        if (!found || in.start_ts != req->start_ts) {
            continue;
        }
        if (req->commit_ts != 0 && req->commit_ts <= in.start_ts) {
            return diag_set(diag, ERR_INVALID, "resolve: commit_ts is not above start_ts");
        }
        TRY(eval__write_step(w, eval__end_size(keys[i], &in), diag, reply));
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
    struct arena a;
    TRY(eval__write_begin(&w, r, &req->r, keys, count, diag, reply));
    arena_init(&a, NULL, NULL, 0);
    db_err err = resolve_latched(&w, req, keys, count, &a, diag, reply);
    arena_fini(&a);
    eval__write_end(&w);
    return err;
}

/* The intents from `from` on, as many as a page has; from: the last one's key, so that the next
 * page does not step over what this one has removed. */
static db_err resolve_page(struct eval_range *r, const struct kv_resolve_req *req,
                           struct arena *page, struct buf *from, struct diag *diag,
                           struct kv_reply *reply, bool *ret_more)
{
    struct slice none = SLICE_EMPTY;
    struct slice start = SLICE_EMPTY;
    struct slice end = SLICE_EMPTY;
    struct mvcc_intent_name *names;
    size_t count;
    uint64_t term;
    TRY(eval__check(r, &req->r, none, none, diag, reply, &term));
    TRY(r->ops->bounds(r, page, &start, &end));
    start = slice_cmp(buf_slice(from), start) > 0 ? buf_slice(from) : start;
    TRY(mvcc_intent_scan(r->engine, start, end, req->start_ts, EVAL_RESOLVE_PAGE, page, &names,
                         &count));
    struct slice *keys = ARENA_ARRAY(page, struct slice, count);
    if (keys == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        keys[i] = names[i].key;
    }
    *ret_more = count == EVAL_RESOLVE_PAGE;
    if (count == 0) {
        return ERR_OK;
    }
    buf_reset(from);
    TRY(buf_append_slice(from, keys[count - 1]));
    return resolve_keys(r, req, keys, count, diag, reply);
}

static db_err resolve_range(struct eval_range *r, const struct kv_resolve_req *req,
                            struct diag *diag, struct kv_reply *reply)
{
    struct arena page;
    struct buf from;
    db_err err = ERR_OK;
    bool more = true;
    arena_init(&page, NULL, NULL, 0);
    buf_init(&from, STORE_BATCH_SIZE_MAX);
    while (err == ERR_OK && more) {
        arena_reset(&page);
        err = resolve_page(r, req, &page, &from, diag, reply, &more);
    }
    buf_fini(&from);
    arena_fini(&page);
    if (err == ERR_OK) {
        eval__intents_gone(r, &req->r);
    }
    return err;
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
