#include "cluster/txn/txn.h"

#include "base/fiber.h"

/* What long ended transactions have left. A record of a transaction says to whoever meets one of
 * its intents whether it was committed; it may go when no intent of it is left in any range, and
 * none can come. None can come of those that began before `before`: the caller knows that they do
 * not run, and that messages of theirs are not under way. So it is enough to have seen each range
 * without such intents once, in any order, whatever leases and bounds do meanwhile; then the
 * records of all ranges are dropped. Intents that are met are settled as by any reader. */

static db_err sweep_range(struct txn_env *env, struct slice key, ts_t before, bool drop,
                          struct arena *arena, struct diag *diag, struct slice *ret_end)
{
    struct attempt at;
    struct resolver resolver;
    struct intents_met met = {0};
    attempt_init(&at, env->router);
    resolver_init(&resolver, env, &met);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        TRY(route_find(&at, key, arena, diag, &route));
        struct kv_sweep_req req = {
            .r = route_request(&route, fiber_deadline(), arena), .before = before, .drop = drop};
        db_err err = route.kv->ops->sweep(route.kv, &req, diag, &reply);
        if (err == ERR_OK) {
            *ret_end = route.loc.end;
            return ERR_OK;
        }
        if (err == ERR_KEY_LOCKED) {
            TRY(resolve_lock(&resolver, &reply.lock, diag));
            continue;
        }
        if (err == ERR_COMMIT_UNKNOWN) { /* safe to repeat */
            err = ERR_UNAVAILABLE;
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

static db_err sweep_all(struct txn_env *env, ts_t before, bool drop, struct diag *diag)
{
    struct arena pages[2];
    struct slice key = SLICE_EMPTY;
    unsigned turn = 0;
    db_err err = ERR_OK;
    arena_init(&pages[0], NULL, NULL, 0);
    arena_init(&pages[1], NULL, NULL, 0);
    do {
        struct slice end = SLICE_EMPTY;
        struct arena *a = &pages[turn++ % 2]; /* the key lies in the other one */
        arena_reset(a);
        err = sweep_range(env, key, before, drop, a, diag, &end);
        key = end;
        if (err == ERR_OK) {
            err = fiber_checkpoint();
        }
    } while (err == ERR_OK && key.len != 0);
    arena_fini(&pages[0]);
    arena_fini(&pages[1]);
    return err;
}

db_err txn_env_sweep(struct txn_env *env, ts_t before, struct diag *diag)
{
    TRY(sweep_all(env, before, false, diag));
    return sweep_all(env, before, true, diag);
}
