#include "cluster/kv/kv_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/metrics.h"

/* Row locks at the leaseholders, range by range, in key order. The part of the key space is noted
 * before the request leaves, so that locks are given back whatever comes of it; each key's version
 * is noted after, which is what the commit is checked against. */

enum kv_lock_mode kv_mode_of(enum storage_read_mode mode)
{
    return mode == STORAGE_READ_PLAIN     ? KV_LOCK_NONE
           : storage_mode_exclusive(mode) ? KV_LOCK_EXCLUSIVE
                                          : KV_LOCK_SHARED;
}

static enum kv_absent absent_of(const struct ctxn *t, enum storage_read_mode mode)
{
    return !storage_mode_range(mode) || t->opts.isolation == STORAGE_SNAPSHOT ? KV_ABSENT_LOCK
           : storage_locks_gaps(t->opts.isolation)                            ? KV_ABSENT_SPAN
                                                                              : KV_ABSENT_FREE;
}

enum kv_wait kv_wait_of(enum storage_wait wait)
{
    return wait == STORAGE_WAIT ? KV_WAIT : wait == STORAGE_NOWAIT ? KV_NOWAIT : KV_SKIP_LOCKED;
}

/* What the requests for some keys have in common. */
struct ask {
    enum storage_read_mode mode; /* noted for the keys */
    struct kv_lock_req req;      /* without keys */
};

static db_err note_gap_of_key(struct ctxn *t, uint64_t lock_term, struct slice key)
{
    struct slice end;
    TRY(arena_copy_next(lock_arena(t), key, &end));
    return ctxn_note_gap(t, lock_term, key, end);
}

static db_err note_all(struct ctxn *t, struct lock_span *span, const struct kv_lock_req *req,
                       const struct kv_lock_resp *resp, enum storage_read_mode mode)
{
    for (size_t i = 0; i < req->count; i++) {
        const struct kv_value *v = &resp->values[i];
        if (v->skipped || req->unread) {
            continue;
        }
        if (v->found || req->absent == KV_ABSENT_LOCK) {
            TRY(ctxn_note_lock(t, span, resp->lock_term, req->keys[i], mode, v->found,
                               v->version_ts));
        } else if (req->absent == KV_ABSENT_SPAN) {
            TRY(note_gap_of_key(t, resp->lock_term, req->keys[i]));
        }
    }
    return ERR_OK;
}

/* The keys that lie in the first key's range. */
static db_err lock_some(struct ctxn *t, const struct slice *keys, size_t count,
                        const struct ask *ask, struct arena *arena, struct diag *diag,
                        struct kv_value *ret_values, size_t *ret_done)
{
    struct attempt at;
    struct resolver resolver;
    uint64_t began_ns = clock_mono_ns();
    attempt_init(&at, t->env->router);
    resolver_init(&resolver, t->env, &t->met);
    for (;;) {
        struct route route;
        struct lock_span *span;
        struct kv_reply reply = {0};
        struct kv_lock_resp resp = {0};
        TRY(route_find(&at, keys[0], arena, diag, &route));
        TRY(ctxn_note_span(t, &route.loc, &span));
        struct kv_lock_req req = ask->req;
        req.r = route_request(&route, fiber_deadline(), arena);
        req.keys = keys;
        req.count = keys_in_range(keys, count, route.loc.end);
        req.own_ts = t->start_ts;
        req.lock_wait_ms = ctxn_lock_wait_left_ms(t, began_ns);
        ASSERT(req.count > 0);
        metrics_add(METRIC_kv_lock_requests, 1);
        db_err err = route.kv->ops->lock(route.kv, &req, diag, &reply, &resp);
        if (err == ERR_OK) {
            TRY(note_all(t, span, &req, &resp, ask->mode));
            memcpy(ret_values, resp.values, req.count * sizeof(*ret_values));
            *ret_done = req.count;
            return ERR_OK;
        }
        if (err == ERR_KEY_LOCKED) {
            TRY(resolve_lock(&resolver, &reply.lock, diag));
            continue;
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

static db_err lock_all(struct ctxn *t, const struct slice *keys, size_t count,
                       const struct ask *ask, struct arena *arena, struct diag *diag,
                       struct kv_value *ret_values)
{
    TRY(ctxn_need_start(t, diag));
    for (size_t i = 0; i < count;) {
        size_t done = 0;
        TRY(lock_some(t, keys + i, count - i, ask, arena, diag, ret_values + i, &done));
        i += done;
    }
    return ERR_OK;
}

db_err lock_keys(struct ctxn *t, const struct slice *keys, size_t count,
                 enum storage_read_mode mode, enum storage_wait wait, bool want_values,
                 struct arena *arena, struct diag *diag, struct kv_value *ret_values)
{
    const struct ask ask = {.mode = mode,
                            .req = {.mode = kv_mode_of(mode),
                                    .absent = absent_of(t, mode),
                                    .wait = kv_wait_of(wait),
                                    .want_values = want_values}};
    return lock_all(t, keys, count, &ask, arena, diag, ret_values);
}

db_err lock_keys_for_insert(struct ctxn *t, const struct slice *keys, size_t count,
                            struct arena *arena, struct diag *diag, struct kv_value *ret_values)
{
    const struct ask ask = {.mode = STORAGE_READ_EXCLUSIVE,
                            .req = {.mode = KV_LOCK_INSERT, .wait = KV_SKIP_LOCKED}};
    TRY(lock_all(t, keys, count, &ask, arena, diag, ret_values));
    for (size_t i = 0; i < count; i++) {
        struct wb_entry *e;
        TRY(ctxn_find(t, keys[i], diag, &e));
        if (e != NULL && !ret_values[i].skipped) {
            e->may_insert = true;
        }
    }
    return ERR_OK;
}

db_err lock_for_insert(struct ctxn *t, struct wb_entry *e, bool seen, struct diag *diag)
{
    struct ask ask = {.mode = STORAGE_READ_EXCLUSIVE,
                      .req = {.mode = KV_LOCK_INSERT, .wait = KV_WAIT, .unread = !seen}};
    struct arena a;
    struct kv_value v;
    size_t done;
    TRY(ctxn_need_start(t, diag));
    arena_init(&a, NULL, NULL, 0);
    db_err err = lock_some(t, &e->key, 1, &ask, &a, diag, &v, &done);
    arena_fini(&a);
    e->may_insert = e->may_insert || err == ERR_OK;
    return err;
}
