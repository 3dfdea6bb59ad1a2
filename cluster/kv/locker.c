#include "cluster/kv/kv_int.h"

#include "base/alloc.h"
#include "base/assert.h"

/* Row locks at the leaseholders, range by range, in key order. The part of the key space is noted
 * before the request leaves, so that locks are given back whatever comes of it; each key's version
 * is noted after, which is what the commit is checked against. */

enum kv_lock_mode kv_mode_of(enum storage_read_mode mode)
{
    return mode == STORAGE_READ_EXCLUSIVE ? KV_LOCK_EXCLUSIVE
           : mode == STORAGE_READ_SHARED  ? KV_LOCK_SHARED
                                          : KV_LOCK_NONE;
}

enum kv_wait kv_wait_of(enum storage_wait wait)
{
    return wait == STORAGE_WAIT ? KV_WAIT : wait == STORAGE_NOWAIT ? KV_NOWAIT : KV_SKIP_LOCKED;
}

static size_t in_range(const struct slice *keys, size_t count, struct slice end)
{
    size_t n = 0;
    while (n < count && n < LOCK_KEYS_MAX && (end.len == 0 || slice_cmp(keys[n], end) < 0)) {
        n++;
    }
    return n;
}

static db_err note_all(struct ctxn *t, struct lock_span *span, const struct kv_lock_req *req,
                       const struct kv_lock_resp *resp, enum storage_read_mode mode)
{
    for (size_t i = 0; i < req->count; i++) {
        const struct kv_value *v = &resp->values[i];
        if (!v->skipped) {
            TRY(ctxn_note_lock(t, span, resp->lock_term, req->keys[i], mode, v->found,
                               v->version_ts));
        }
    }
    return ERR_OK;
}

/* The keys that lie in the first key's range. */
static db_err lock_some(struct ctxn *t, const struct slice *keys, size_t count,
                        enum storage_read_mode mode, enum storage_wait wait, bool want_values,
                        struct arena *arena, struct diag *diag, struct kv_value *ret_values,
                        size_t *ret_done)
{
    struct attempt at;
    struct resolver resolver;
    attempt_init(&at, t->env->router);
    resolver_init(&resolver, t->env);
    for (;;) {
        struct route route;
        struct lock_span *span;
        struct kv_reply reply = {0};
        struct kv_lock_resp resp = {0};
        TRY(route_find(&at, keys[0], arena, diag, &route));
        TRY(ctxn_note_span(t, &route.loc, &span));
        struct kv_lock_req req = {.r = route_request(&route, fiber_deadline(), arena),
                                  .keys = keys,
                                  .count = in_range(keys, count, route.loc.end),
                                  .own_ts = t->start_ts,
                                  .mode = kv_mode_of(mode),
                                  .wait = kv_wait_of(wait),
                                  .lock_wait_ms = ctxn_lock_wait_ms(t),
                                  .want_values = want_values};
        ASSERT(req.count > 0);
        db_err err = route.kv->ops->lock(route.kv, &req, diag, &reply, &resp);
        if (err == ERR_OK) {
            TRY(note_all(t, span, &req, &resp, mode));
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

db_err lock_keys(struct ctxn *t, const struct slice *keys, size_t count,
                 enum storage_read_mode mode, enum storage_wait wait, bool want_values,
                 struct arena *arena, struct diag *diag, struct kv_value *ret_values)
{
    TRY(ctxn_need_start(t, diag));
    for (size_t i = 0; i < count;) {
        size_t done = 0;
        TRY(lock_some(t, keys + i, count - i, mode, wait, want_values, arena, diag, ret_values + i,
                      &done));
        i += done;
    }
    return ERR_OK;
}
