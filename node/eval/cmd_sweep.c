/* sweep: intents that transactions of long ago have left, for the caller to settle them; and the
 * records of such transactions, once there are none anywhere. */
#include "node/eval/eval.h"

#include "base/fiber.h"
#include "node/eval/eval_int.h"

enum { SWEEP_PAGE = 256, SWEEP_RECORDS = 1000 };

/* An old intent, as an error; nothing if it has gone meanwhile. */
static db_err tell_old(struct eval_range *r, const struct kv_sweep_req *req, struct slice key,
                       struct diag *diag, struct kv_reply *reply)
{
    bool found;
    struct mvcc_intent in;
    struct slice copy;
    TRY(mvcc_intent_get(r->engine, key, req->r.arena, &found, &in));
    if (!found || in.start_ts >= req->before) {
        return ERR_OK;
    }
    TRY(arena_copy(req->r.arena, key, &copy));
    return eval__key_locked(&in, copy, diag, reply);
}

/* A page of them; from: where the next begins. */
static db_err find_in_page(struct eval_range *r, const struct kv_sweep_req *req, struct slice end,
                           struct arena *page, struct buf *from, struct diag *diag,
                           struct kv_reply *reply, bool *ret_more)
{
    struct mvcc_intent_name *at;
    size_t count;
    TRY(mvcc_intent_scan(r->engine, buf_slice(from), end, 0, SWEEP_PAGE, page, &at, &count));
    for (size_t i = 0; i < count; i++) {
        if (at[i].start_ts < req->before) {
            TRY(tell_old(r, req, at[i].key, diag, reply));
        }
    }
    *ret_more = count == SWEEP_PAGE;
    if (*ret_more) { /* on behind the last one: its key and a zero byte */
        buf_reset(from);
        TRY(buf_append_slice(from, at[count - 1].key));
        TRY(buf_append_u8(from, 0));
    }
    return fiber_checkpoint();
}

/* The first intent of a transaction that began before `before`, as an error. */
static db_err find_old(struct eval_range *r, const struct kv_sweep_req *req, struct slice start,
                       struct slice end, struct diag *diag, struct kv_reply *reply)
{
    struct arena page;
    struct buf from;
    bool more = true;
    arena_init(&page, NULL, NULL, 0);
    buf_init(&from, STORE_BATCH_SIZE_MAX);
    db_err err = buf_append_slice(&from, start);
    while (err == ERR_OK && more && eval__may_have_intents(r)) {
        arena_reset(&page);
        err = find_in_page(r, req, end, &page, &from, diag, reply, &more);
    }
    buf_fini(&from);
    arena_fini(&page);
    return err;
}

static db_err drop_records(struct eval_range *r, const struct kv_sweep_req *req, struct slice start,
                           struct slice end, struct diag *diag, struct kv_reply *reply)
{
    struct buf cursor;
    size_t dropped = SWEEP_RECORDS;
    db_err err = ERR_OK;
    buf_init(&cursor, STORE_BATCH_SIZE_MAX);
    while (err == ERR_OK && dropped == SWEEP_RECORDS) {
        err = eval_gc(r, &req->r, start, end, req->before, SWEEP_RECORDS, &cursor, diag, reply,
                      &dropped);
    }
    buf_fini(&cursor);
    return err;
}

db_err eval_sweep(struct eval_range *r, const struct kv_sweep_req *req, struct diag *diag,
                  struct kv_reply *reply)
{
    struct slice none = SLICE_EMPTY;
    struct slice start, end;
    uint64_t term;
    TRY(eval__check(r, &req->r, none, none, diag, reply, &term));
    TRY(r->ops->bounds(r, req->r.arena, &start, &end));
    if (req->drop) {
        TRY(drop_records(r, req, start, end, diag, reply));
    } else {
        TRY(find_old(r, req, start, end, diag, reply));
        eval__intents_gone(r, &req->r);
    }
    return eval__check_again(r, &req->r, none, none, term, diag, reply);
}
