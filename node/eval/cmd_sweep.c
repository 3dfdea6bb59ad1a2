/* sweep: intents that transactions of long ago have left, for the caller to settle them; and the
 * records of such transactions, once there are none anywhere. */
#include "node/eval/eval.h"

#include "base/fiber.h"
#include "node/eval/eval_int.h"

enum { SWEEP_PAGE = 256, SWEEP_RECORDS = 1000 };

/* The first intent of a transaction that began before `before`, as an error. */
static db_err find_old(struct eval_range *r, const struct kv_sweep_req *req, struct slice start,
                       struct slice end, struct diag *diag, struct kv_reply *reply)
{
    struct mvcc_intent_at *at;
    size_t count = SWEEP_PAGE;
    while (eval__may_have_intents(r) && count == SWEEP_PAGE) {
        TRY(mvcc_intent_scan(r->engine, start, end, 0, false, SWEEP_PAGE, req->r.arena, &at,
                             &count));
        for (size_t i = 0; i < count; i++) {
            if (at[i].intent.start_ts < req->before) {
                return eval__key_locked(&at[i].intent, at[i].key, diag, reply);
            }
        }
        if (count == SWEEP_PAGE) { /* on behind the last one: its key and a zero byte */
            struct slice last = at[count - 1].key;
            uint8_t *next = arena_alloc(req->r.arena, last.len + 1);
            if (next == NULL) {
                return ERR_NOMEM;
            }
            memcpy(next, last.ptr, last.len);
            next[last.len] = 0;
            start = slice_of(next, last.len + 1);
            TRY(fiber_checkpoint());
        }
    }
    return ERR_OK;
}

db_err eval_sweep(struct eval_range *r, const struct kv_sweep_req *req, struct diag *diag,
                  struct kv_reply *reply)
{
    struct slice none = SLICE_EMPTY;
    struct slice start, end;
    uint64_t term;
    size_t dropped = SWEEP_RECORDS;
    TRY(eval__check(r, &req->r, none, none, diag, reply, &term));
    TRY(r->ops->bounds(r, req->r.arena, &start, &end));
    if (!req->drop) {
        TRY(find_old(r, req, start, end, diag, reply));
        eval__intents_gone(r, &req->r);
    }
    while (req->drop && dropped == SWEEP_RECORDS) {
        TRY(eval_gc(r, &req->r, start, end, req->before, SWEEP_RECORDS, diag, reply, &dropped));
    }
    return eval__check_again(r, &req->r, none, none, term, diag, reply);
}
