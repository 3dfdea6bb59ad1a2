#include "cluster/txn/commit_int.h"

#include "base/assert.h"
#include "base/log.h"

/* A commit of many intents takes time; until it is done its primary tells the others that the owner
 * lives. Each beat moves the end of that life further. */

#define BEAT_NS (1 * NS_PER_S)

static db_err beat(struct heartbeat *h, struct arena *arena, struct diag *diag)
{
    struct attempt at;
    ts_t now;
    attempt_init(&at, h->env->router);
    TRY(ts_client_next(h->env->ts, diag, &now));
    uint32_t age_ms = (uint32_t)((now >> TS_LOGICAL_BITS) - (h->start_ts >> TS_LOGICAL_BITS));
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        TRY(route_find(&at, h->primary, NULL, diag, &route));
        struct kv_heartbeat_req req = {.r = route_request(&route, DEADLINE_NONE, arena),
                                       .primary = h->primary,
                                       .start_ts = h->start_ts,
                                       .ttl_ms = age_ms + COMMIT_TTL_MS};
        db_err err = route.kv->ops->heartbeat(route.kv, &req, diag, &reply);
        if (err == ERR_OK || err == ERR_TXN_NOT_FOUND) {
            return ERR_OK; /* not prewritten yet, or over */
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

/* Owner and heart are fibers of one loop. */
static void heartbeat_main(void *arg)
{
    struct heartbeat *h = arg;
    struct arena a;
    struct diag diag;
    arena_init(&a, NULL, NULL, 0);
    diag_reset(&diag);
    h->fiber = fiber_self();
    while (!h->stop && fiber_sleep(BEAT_NS) == ERR_OK) {
        arena_reset(&a);
        db_err err = beat(h, &a, &diag);
        if (err != ERR_OK && !h->stop) {
            LOG_WARN("txn.heartbeat", F_U64("start_ts", h->start_ts), F_ERR(err));
        }
    }
    arena_fini(&a);
    h->running = false;
    if (h->ended != NULL) {
        wait_signal(h->ended, 0);
    }
}

void heartbeat_start(struct heartbeat *h, struct txn_env *env, struct slice primary, ts_t start_ts)
{
    *h = (struct heartbeat){.env = env, .primary = primary, .start_ts = start_ts, .running = true};
    if (fiber_spawn(loop_current(), heartbeat_main, h) != ERR_OK) {
        h->running = false; /* without: others may end the transaction if it is slow */
    }
}

void heartbeat_stop(struct heartbeat *h)
{
    struct waiter ended;
    h->stop = true;
    if (h->fiber != NULL && h->running) { /* it sleeps, or its beat waits for a range */
        fiber_cancel(h->fiber);
    }
    if (h->running) {
        wait_init(&ended);
        h->ended = &ended;
        wait_block_uncancelable(&ended);
    }
}
