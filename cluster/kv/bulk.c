#include "cluster/kv/kv_int.h"

#include "base/assert.h"

/* What lies outside of transactions: sequences, whole ranges, estimates. */

db_err cluster_sequence_next(struct storage *base, struct slice key, uint64_t floor, uint64_t count,
                             uint64_t step, uint64_t offset, struct diag *diag, uint64_t *ret_first)
{
    struct meta_service *m = cluster_of(base)->router.meta;
    struct attempt at;
    attempt_init(&at, &cluster_of(base)->router);
    for (;;) {
        db_err err = m->ops->sequence_next(m, key, floor, count, step, offset, diag, ret_first);
        enum err_class class = err_class(err);
        if (err == ERR_OK || err == ERR_DISK_FULL ||
            (class != ERR_CLASS_RETRY_SAME && class != ERR_CLASS_RETRY_ROUTE)) {
            return err;
        }
        at.count++;
        TRY(attempt_wait(&at, diag));
    }
}

db_err cluster_sequence_raise(struct storage *base, struct slice key, uint64_t value,
                              struct diag *diag)
{
    uint64_t next;
    return cluster_sequence_next(base, key, value, 0, 1, 0, diag, &next);
}

db_err cluster_sequence_peek(struct storage *base, struct slice key, struct diag *diag,
                             uint64_t *ret_next)
{
    return cluster_sequence_next(base, key, 0, 0, 1, 0, diag, ret_next);
}

static struct slice min_end(struct slice a, struct slice b)
{
    if (a.len == 0 || b.len == 0) {
        return a.len == 0 ? b : a;
    }
    return slice_cmp(a, b) < 0 ? a : b;
}

static db_err delete_in(struct cluster_storage *s, struct slice start, struct slice end,
                        struct arena *arena, struct diag *diag, struct slice *ret_next)
{
    struct attempt at;
    attempt_init(&at, &s->router);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        TRY(route_find(&at, start, arena, diag, &route));
        struct kv_delete_range_req req = {.r = route_request(&route, fiber_deadline(), arena),
                                          .start = start,
                                          .end = min_end(end, route.loc.end)};
        db_err err = route.kv->ops->delete_range(route.kv, &req, diag, &reply);
        if (err == ERR_OK) {
            *ret_next = route.loc.end;
            return ERR_OK;
        }
        if (err == ERR_COMMIT_UNKNOWN) { /* safe to repeat */
            err = ERR_UNAVAILABLE;
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

db_err cluster_delete_range(struct storage *base, struct slice start, struct slice end,
                            struct diag *diag)
{
    struct arena a;
    db_err err = ERR_OK;
    arena_init(&a, NULL, NULL, 0);
    for (struct slice at = start;;) {
        struct slice next = SLICE_EMPTY;
        err = delete_in(cluster_of(base), at, end, &a, diag, &next);
        if (err != ERR_OK || next.len == 0 || (end.len != 0 && slice_cmp(next, end) >= 0)) {
            break;
        }
        at = next;
    }
    arena_fini(&a);
    return err;
}

static db_err estimate_in(struct cluster_storage *s, struct slice start, struct slice end,
                          struct arena *arena, struct kv_estimate_resp *ret_resp,
                          struct slice *ret_next)
{
    struct attempt at;
    struct diag diag;
    attempt_init(&at, &s->router);
    diag_reset(&diag);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        TRY(route_find(&at, start, arena, &diag, &route));
        struct kv_estimate_req req = {.r = route_request(&route, fiber_deadline(), arena),
                                      .start = start,
                                      .end = min_end(end, route.loc.end)};
        db_err err = route.kv->ops->estimate(route.kv, &req, &diag, &reply, ret_resp);
        if (err == ERR_OK) {
            *ret_next = route.loc.end;
            return ERR_OK;
        }
        TRY(attempt_again(&at, err, &route, &reply, &diag));
    }
}

db_err cluster_estimate(struct storage *base, struct slice start, struct slice end,
                        uint64_t *ret_rows, uint64_t *ret_bytes)
{
    struct arena a;
    uint64_t rows = 0;
    uint64_t bytes = 0;
    db_err err = ERR_OK;
    arena_init(&a, NULL, NULL, 0);
    for (struct slice at = start;;) {
        struct slice next = SLICE_EMPTY;
        struct kv_estimate_resp resp = {0};
        err = estimate_in(cluster_of(base), at, end, &a, &resp, &next);
        rows += resp.rows;
        bytes += resp.bytes;
        if (err != ERR_OK || next.len == 0 || (end.len != 0 && slice_cmp(next, end) >= 0)) {
            break;
        }
        at = next;
    }
    arena_fini(&a);
    TRY(err);
    *ret_rows = rows;
    *ret_bytes = bytes;
    return ERR_OK;
}
