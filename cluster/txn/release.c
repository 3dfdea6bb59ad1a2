#include "cluster/txn/commit_int.h"

#include "base/fiber.h"

/* Row locks are given back range by range. A range that cannot be reached for long has lost its
 * lease, and the locks with it. The fiber may be cancelled or past its
 * deadline: its locks must go all the same, so both are put aside meanwhile. */

static db_err release_in(struct txn_env *env, ts_t start_ts, struct slice key, struct arena *arena,
                         struct slice *ret_end)
{
    struct attempt at;
    attempt_init(&at, env->router);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        struct diag diag;
        diag_reset(&diag);
        TRY(route_find(&at, key, arena, &diag, &route));
        struct kv_release_req req = {.r = route_request(&route, DEADLINE_NONE, arena),
                                     .start_ts = start_ts};
        db_err err = route.kv->ops->release(route.kv, &req, &diag, &reply);
        if (err == ERR_OK) {
            *ret_end = route.loc.end;
            return ERR_OK;
        }
        TRY(attempt_again(&at, err, &route, &reply, &diag));
    }
}

void release_locks(struct txn_env *env, ts_t start_ts, struct slice start, struct slice end)
{
    struct undisturbed u;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    undisturbed_begin(&u, clock_mono_ns() + 20 * NS_PER_S);
    for (struct slice key = start;;) {
        struct slice next = SLICE_EMPTY;
        if (release_in(env, start_ts, key, &a, &next) != ERR_OK || next.len == 0 ||
            (end.len != 0 && slice_cmp(next, end) >= 0)) {
            break;
        }
        key = next;
    }
    arena_fini(&a);
    undisturbed_end(&u);
}
