/* lock: row locks on keys, and the newest version of each.
 *
 * A lock is taken first and the row read after, so what is returned stays the newest version as
 * long as the lock is held. An intent of another transaction on a locked key is reported: the
 * caller resolves it and asks again (the lock is then held already).
 *
 * A key that is not there: under its lock nobody inserts it, so the transaction can take a span
 * lock of this one key and give the row lock back; others may then look for the key too, as with
 * InnoDB's gap locks. */
#include "node/eval/eval.h"

#include "node/eval/eval_int.h"

static db_err lock_error(db_err err, struct slice key, struct diag *diag, struct kv_reply *reply)
{
    if (err != ERR_OK) {
        reply->conflict_key = key;
        (void)diag_set(diag, err, "%s", err_text(err));
    }
    return err;
}

/* Keys that were skipped are not read. */
static db_err read_locked(struct eval_range *r, const struct kv_lock_req *req,
                          struct kv_value *values, struct diag *diag, struct kv_reply *reply)
{
    struct slice *keys = ARENA_ARRAY(req->r.arena, struct slice, req->count);
    struct kv_value *found = ARENA_ARRAY(req->r.arena, struct kv_value, req->count);
    size_t n = 0;
    if (keys == NULL || found == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < req->count; i++) {
        if (!values[i].skipped) {
            keys[n++] = req->keys[i];
        }
    }
    if (n == 0) {
        return ERR_OK;
    }
    TRY(eval__intents_of_keys(r, keys, n, TS_MAX, req->own_ts, req->r.arena, diag, reply));
    TRY(mvcc_multi_get(r->engine, keys, n, TS_MAX, req->r.arena, found));
    n = 0;
    for (size_t i = 0; i < req->count; i++) {
        if (!values[i].skipped) {
            values[i] = found[n++];
            if (!req->want_values) {
                values[i].value = SLICE_EMPTY;
            }
        }
    }
    return ERR_OK;
}

static db_err let_go_absent(struct eval_range *r, const struct kv_lock_req *req,
                            const struct kv_value *values, struct diag *diag,
                            struct kv_reply *reply)
{
    for (size_t i = 0; i < req->count; i++) {
        struct slice key = req->keys[i];
        if (values[i].found || values[i].skipped) {
            continue;
        }
        if (req->absent == KV_ABSENT_SPAN) {
            struct slice end;
            uint64_t id;
            TRY(arena_copy_next(req->r.arena, key, &end));
            TRY(lock_error(span_lock(r->locks, key, end, req->own_ts, req->r.owner, &id), key, diag,
                           reply));
        }
        db_err err = row_unlock(r->locks, key, req->own_ts);
        (void)err; /* sealed: it goes with the others */
    }
    return ERR_OK;
}

db_err eval_lock(struct eval_range *r, const struct kv_lock_req *req, struct diag *diag,
                 struct kv_reply *reply, struct kv_lock_resp *ret_resp)
{
    struct slice none = SLICE_EMPTY;
    struct kv_value *values = ARENA_ARRAY(req->r.arena, struct kv_value, req->count);
    uint64_t term;
    if (values == NULL) {
        return ERR_NOMEM;
    }
    TRY(eval__check_keys(r, &req->r, req->keys, req->count, diag, reply, &term));
    for (size_t i = 0; i < req->count && req->mode != KV_LOCK_NONE; i++) {
        db_err err = row_lock(r->locks, req->keys[i], req->own_ts, req->r.owner, req->mode,
                              req->wait, req->lock_wait_ms, req->r.deadline_ns);
        if (err == ERR_LOCK_NOWAIT && req->wait == KV_SKIP_LOCKED) {
            values[i].skipped = true;
        } else if (err != ERR_OK) {
            return lock_error(err, req->keys[i], diag, reply);
        }
    }
    if (req->mode != KV_LOCK_NONE && !req->unread) {
        TRY(read_locked(r, req, values, diag, reply));
        if (req->absent != KV_ABSENT_LOCK) {
            TRY(let_go_absent(r, req, values, diag, reply));
        }
    }
    uint64_t lock_term = eval__lock_term(r, &req->r, req->own_ts); /* before: the lease's */
    if (req->count != 0) {
        TRY(eval__check_again(r, &req->r, req->keys[0], none, term, diag, reply));
    }
    ret_resp->values = values;
    ret_resp->lock_term = lock_term;
    return ERR_OK;
}
