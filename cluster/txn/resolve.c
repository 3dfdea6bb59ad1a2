#include "cluster/txn/txn.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"

/* What to do with an intent of another transaction.
 *
 * Its primary knows. Committed or rolled back: the intent follows. Running: wait, its owner will
 * finish. Past its time to live and not async: the primary has just been rolled back by asking.
 * Past its time and async: the transaction is committed if and only if all its keys have their
 * intents, so all are asked, and each that has none is marked so that it can never get one; then
 * the primary is told, and the intent at hand follows.
 *
 * An async one that has all its intents is committed before its time is over, too: its coordinator
 * has only not come to settle them, or has died. So whoever has waited for it longer than that
 * takes asks for its other keys without marking any; if one has no intent, time tells. */

#define LOOK_AFTER_NS (200 * NS_PER_MS)

/* Calls check_txn for one key. */
static db_err ask(struct resolver *r, const struct kv_lock_info *lock, struct slice key, ts_t now,
                  bool rollback_missing, struct arena *arena, struct diag *diag,
                  struct kv_check_txn_resp *ret_resp)
{
    struct attempt at;
    attempt_init(&at, r->env->router);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        TRY(route_find(&at, key, NULL, diag, &route));
        struct kv_check_txn_req req = {.r = route_request(&route, fiber_deadline(), arena),
                                       .primary = key,
                                       .start_ts = lock->start_ts,
                                       .caller_ts = now,
                                       .rollback_missing = rollback_missing};
        db_err err = route.kv->ops->check_txn(route.kv, &req, diag, &reply, ret_resp);
        if (err == ERR_OK || err == ERR_TXN_NOT_FOUND) {
            return err;
        }
        if (err == ERR_COMMIT_UNKNOWN) { /* safe to repeat */
            err = ERR_UNAVAILABLE;
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

/* Makes intents of the transaction versions (commit_ts) or nothing (0): the key's, or all of the
 * key's range. */
static db_err settle(struct resolver *r, const struct kv_lock_info *lock, struct slice key,
                     ts_t commit_ts, bool whole_range, struct arena *arena, struct diag *diag)
{
    struct attempt at;
    attempt_init(&at, r->env->router);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        TRY(route_find(&at, key, NULL, diag, &route));
        struct kv_resolve_req req = {.r = route_request(&route, fiber_deadline(), arena),
                                     .start_ts = lock->start_ts,
                                     .commit_ts = commit_ts,
                                     .keys = &key,
                                     .count = whole_range ? 0 : 1};
        db_err err = route.kv->ops->resolve(route.kv, &req, diag, &reply);
        if (err == ERR_OK) {
            atomic_fetch_add_explicit(&r->env->resolved, 1, memory_order_relaxed);
            return ERR_OK;
        }
        if (err == ERR_COMMIT_UNKNOWN) {
            err = ERR_UNAVAILABLE;
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

/* Async commit: asks all keys. *ret_commit_ts 0: rolled back. Not past its time: ERR_TXN_NOT_FOUND
 * when one has no intent yet. */
static db_err ask_secondaries(struct resolver *r, const struct kv_lock_info *lock,
                              const struct kv_check_txn_resp *primary, ts_t now,
                              struct arena *arena, struct diag *diag, ts_t *ret_commit_ts)
{
    ts_t commit_ts = primary->min_commit_ts;
    bool over = primary->ttl_ms == 0;
    for (size_t i = 0; i < primary->secondary_count; i++) {
        struct kv_check_txn_resp resp;
        TRY(ask(r, lock, primary->secondaries[i], now, over, arena, diag, &resp));
        if (resp.state == KV_TXN_ROLLED_BACK) {
            *ret_commit_ts = 0;
            return ERR_OK;
        }
        if (resp.state == KV_TXN_COMMITTED) {
            *ret_commit_ts = resp.commit_ts;
            return ERR_OK;
        }
        commit_ts = resp.min_commit_ts > commit_ts ? resp.min_commit_ts : commit_ts;
    }
    *ret_commit_ts = commit_ts;
    return ERR_OK;
}

static bool waited(const struct resolver *r)
{
    return r->at.start_ns != 0 && clock_mono_ns() - r->at.start_ns > LOOK_AFTER_NS;
}

static db_err resolve(struct resolver *r, const struct kv_lock_info *lock, bool often,
                      struct arena *arena, struct diag *diag)
{
    struct kv_check_txn_resp resp = {0};
    ts_t now;
    TRY(ts_client_next(r->env->ts, diag, &now));
    bool expired = (lock->start_ts >> TS_LOGICAL_BITS) + lock->ttl_ms <= now >> TS_LOGICAL_BITS;
    db_err err = ask(r, lock, lock->primary, now, expired, arena, diag, &resp);
    if (err == ERR_TXN_NOT_FOUND) { /* its primary is on its way, or it never comes: time tells */
        return attempt_wait(&r->at, diag);
    }
    TRY(err);
    ts_t commit_ts = 0;
    switch (resp.state) {
    case KV_TXN_COMMITTED: commit_ts = resp.commit_ts; break;
    case KV_TXN_ROLLED_BACK: break;
    case KV_TXN_RUNNING:
        if (!resp.async_commit || (resp.ttl_ms != 0 && !waited(r))) {
            return attempt_wait(&r->at, diag);
        }
        err = ask_secondaries(r, lock, &resp, now, arena, diag, &commit_ts);
        if (err == ERR_TXN_NOT_FOUND) {
            return attempt_wait(&r->at, diag);
        }
        TRY(err);
        TRY(settle(r, lock, lock->primary, commit_ts, false, arena, diag));
        if (commit_ts == 0) {
            break;
        }
        /* its coordinator may have rolled the primary back meanwhile, which then counts */
        err = ask(r, lock, lock->primary, now, false, arena, diag, &resp);
        if (err == ERR_TXN_NOT_FOUND || (err == ERR_OK && resp.state == KV_TXN_RUNNING)) {
            return attempt_wait(&r->at, diag);
        }
        TRY(err);
        commit_ts = resp.state == KV_TXN_COMMITTED ? resp.commit_ts : 0;
        break;
    }
    return settle(r, lock, lock->key, commit_ts, often, arena, diag);
}

db_err resolve_lock(struct resolver *r, const struct kv_lock_info *lock, struct diag *diag)
{
    struct arena a;
    ASSERT(lock->start_ts != 0);
    r->met->count = lock->start_ts == r->met->start_ts ? r->met->count + 1 : 1;
    r->met->start_ts = lock->start_ts;
    arena_init(&a, NULL, NULL, 0);
    db_err err = resolve(r, lock, r->met->count > 2, &a, diag);
    arena_fini(&a);
    return err;
}
