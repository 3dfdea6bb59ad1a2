#include "cluster/kv/kv_int.h"

/* Is there anything under these beginnings of keys? One call for those of a range, which looks at
 * the first row of each.
 *
 * What cannot be told by it is "perhaps": a prefix that a border of ranges divides, and one under
 * which this transaction has written; all of them when what it has written is on disk. */

enum { UNDER_MAX = 1024 }; /* of one call */

static bool begins_with(struct slice key, struct slice prefix)
{
    return key.len >= prefix.len && memcmp(key.ptr, prefix.ptr, prefix.len) == 0;
}

static bool own_under(const struct ctxn *t, struct slice prefix)
{
    const struct wb_entry *e = t->wb.write_count == 0 ? NULL : wb_seek(&t->wb, prefix);
    for (; e != NULL && begins_with(e->key, prefix); e = wb_next(e)) {
        if (wb_is_write(e) && e->now.op == WB_PUT) {
            return true;
        }
    }
    return false;
}

/* The first key above all that begin with the prefix, in the arena; empty: there is none. */
static db_err end_of(struct slice prefix, struct arena *arena, struct slice *ret)
{
    struct slice end;
    TRY(arena_copy(arena, prefix, &end));
    end.len = prefix_end((uint8_t *)(uintptr_t)end.ptr, end.len);
    *ret = end;
    return ERR_OK;
}

/* Those that lie in the range as a whole: ascending, from the first. */
static db_err whole_ones(const struct slice *prefixes, size_t count, struct slice range_end,
                         struct arena *arena, size_t *ret_count, struct slice *ret_end)
{
    size_t n = 0;
    for (; n < count && n < UNDER_MAX; n++) {
        struct slice end;
        if (range_end.len != 0 && slice_cmp(prefixes[n], range_end) >= 0) {
            break;
        }
        TRY(end_of(prefixes[n], arena, &end));
        if (range_end.len != 0 && (end.len == 0 || slice_cmp(end, range_end) > 0)) {
            break;
        }
        *ret_end = end;
    }
    *ret_count = n;
    return ERR_OK;
}

static void mark(const struct slice *prefixes, size_t count, const struct kv_scan_resp *resp,
                 bool *any)
{
    size_t at = 0;
    for (size_t i = 0; i < resp->count; i++) {
        struct slice key = resp->pairs[i].key;
        while (at < count && slice_cmp(prefixes[at], key) <= 0 && !begins_with(key, prefixes[at])) {
            at++;
        }
        for (size_t k = at; k < count && begins_with(key, prefixes[k]); k++) {
            any[k] = true;
        }
    }
    /* Only a node of an earlier version, which tells all rows, does not come to the end. */
    for (size_t k = 0; k < count && resp->more; k++) {
        any[k] = any[k] || slice_cmp(prefixes[k], resp->resume) >= 0 ||
                 begins_with(resp->resume, prefixes[k]);
    }
}

/* *ret_done: so many from the first are known. */
static db_err look(struct ctxn *t, const struct slice *prefixes, size_t count, struct arena *arena,
                   struct diag *diag, bool *any, size_t *ret_done)
{
    struct attempt at;
    struct resolver resolver;
    struct intents_met met = {0};
    attempt_init(&at, t->env->router);
    resolver_init(&resolver, t->env, &met);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        struct kv_scan_resp resp = {0};
        struct slice end = SLICE_EMPTY;
        size_t n;
        TRY(route_find(&at, prefixes[0], arena, diag, &route));
        TRY(whole_ones(prefixes, count, route.loc.end, arena, &n, &end));
        if (n == 0) { /* divided */
            any[0] = true;
            *ret_done = 1;
            return ERR_OK;
        }
        struct kv_scan_req req = {.r = route_request(&route, fiber_deadline(), arena),
                                  .start = prefixes[0],
                                  .end = end,
                                  .keys_only = true,
                                  .rows_max = UNDER_MAX,
                                  .bytes_max = SCAN_BYTES_MAX,
                                  .read_ts = TS_MAX,
                                  .own_ts = t->start_ts,
                                  .under = prefixes,
                                  .under_count = n};
        db_err err = route.kv->ops->scan(route.kv, &req, diag, &reply, &resp);
        if (err == ERR_OK) {
            mark(prefixes, n, &resp, any);
            *ret_done = n;
            return ERR_OK;
        }
        if (err == ERR_KEY_LOCKED) {
            TRY(resolve_lock(&resolver, &reply.lock, diag));
            continue;
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

db_err cluster_any_under(struct storage_txn *base, const struct slice *prefixes, size_t count,
                         struct arena *arena, struct diag *diag, bool *ret_any)
{
    struct ctxn *t = ctxn_of(base);
    struct slice *sorted = ARENA_ARRAY(arena, struct slice, count);
    bool *any = ARENA_ARRAY(arena, bool, count);
    uint32_t *order;
    if (sorted == NULL || any == NULL) {
        return ERR_NOMEM;
    }
    if (t->runs != NULL || t->spill != NULL) {
        for (size_t i = 0; i < count; i++) {
            ret_any[i] = true;
        }
        return ERR_OK;
    }
    TRY(ctxn_need_start(t, diag));
    TRY(sort_keys(prefixes, count, arena, &order));
    for (size_t i = 0; i < count; i++) {
        sorted[i] = prefixes[order[i]];
        any[i] = false;
    }
    for (size_t i = 0; i < count;) {
        size_t done = 0;
        TRY(look(t, sorted + i, count - i, arena, diag, any + i, &done));
        i += done;
    }
    for (size_t i = 0; i < count; i++) {
        ret_any[order[i]] = any[i] || own_under(t, sorted[i]);
    }
    return ERR_OK;
}
