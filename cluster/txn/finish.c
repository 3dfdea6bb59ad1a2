#include "cluster/txn/commit_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/faults.h"
#include "base/log.h"

/* After the decision: intents become versions, or nothing. Nobody waits for this but readers that
 * meet an intent, and they can do it themselves. */

static size_t keys_before(const struct slice *keys, size_t count, struct slice end)
{
    size_t n = 0;
    while (n < count && n < COMMIT_CHUNK_KEYS && (end.len == 0 || slice_cmp(keys[n], end) < 0)) {
        n++;
    }
    return n;
}

static db_err finish_some(struct txn_env *env, enum finish_what what, struct kv_txn_keys_req *req,
                          struct arena *arena, struct diag *diag, size_t *ret_done)
{
    struct attempt at;
    size_t all = req->count;
    attempt_init(&at, env->router);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        TRY(route_find(&at, req->keys[0], arena, diag, &route));
        req->r = route_request(&route, DEADLINE_NONE, arena);
        req->count = keys_before(req->keys, all, route.loc.end);
        db_err err = what == FINISH_COMMIT ? route.kv->ops->commit(route.kv, req, diag, &reply)
                                           : route.kv->ops->rollback(route.kv, req, diag, &reply);
        if (err == ERR_OK) {
            *ret_done = req->count;
            return ERR_OK;
        }
        if (err == ERR_COMMIT_UNKNOWN || err == ERR_DISK_FULL) {
            err = ERR_UNAVAILABLE;
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

db_err finish_keys(struct txn_env *env, enum finish_what what, ts_t start_ts, ts_t commit_ts,
                   const struct slice *keys, size_t count, struct diag *diag)
{
    struct arena a;
    db_err err = ERR_OK;
    arena_init(&a, NULL, NULL, 0);
    for (size_t i = 0; i < count && err == ERR_OK;) {
        struct kv_txn_keys_req req = {
            .keys = keys + i, .count = count - i, .start_ts = start_ts, .commit_ts = commit_ts};
        size_t done = 0;
        arena_reset(&a);
        err = finish_some(env, what, &req, &a, diag, &done);
        i += done;
    }
    arena_fini(&a);
    return err;
}

struct finish_job {
    struct txn_env *env;
    ts_t start_ts;
    ts_t commit_ts;
    struct slice *keys;
    size_t count;
    struct lock_span *spans;
    struct arena arena;
};

static void finish_main(void *arg)
{
    struct finish_job *j = arg;
    struct txn_env *env = j->env;
    struct diag diag;
    diag_reset(&diag);
    fiber_set_deadline(DEADLINE_NONE);
    FAULT(txn_before_finish);
    db_err err =
        finish_keys(env, FINISH_COMMIT, j->start_ts, j->commit_ts, j->keys, j->count, &diag);
    if (err != ERR_OK && err != ERR_TXN_NOT_FOUND) {
        LOG_WARN("txn.finish", F_U64("start_ts", j->start_ts), F_ERR(err),
                 F_STR("reason", diag.text)); /* readers that meet the intents will do it */
    }
    for (struct lock_span *s = j->spans; s != NULL; s = s->next) {
        release_locks(env, j->start_ts, s->start, s->end);
    }
    arena_fini(&j->arena);
    mem_free(j);
    atomic_fetch_sub(&env->background, 1);
}

static db_err copy_job(struct finish_job *j, const struct commit *c, size_t first)
{
    j->keys = ARENA_ARRAY(&j->arena, struct slice, c->count - first);
    if (j->keys == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = first; i < c->count; i++) {
        TRY(arena_copy(&j->arena, c->muts[i].key, &j->keys[j->count]));
        j->count++;
    }
    for (struct lock_span *s = c->t->spans; s != NULL; s = s->next) {
        struct lock_span *copy = ARENA_NEW(&j->arena, struct lock_span);
        if (copy == NULL) {
            return ERR_NOMEM;
        }
        TRY(arena_copy(&j->arena, s->start, &copy->start));
        TRY(arena_copy(&j->arena, s->end, &copy->end));
        copy->next = j->spans;
        j->spans = copy;
    }
    return ERR_OK;
}

void finish_in_background(struct commit *c, ts_t commit_ts, size_t first)
{
    struct finish_job *j = mem_calloc(1, sizeof(*j));
    if (j != NULL) {
        arena_init(&j->arena, NULL, NULL, 0);
        j->env = c->env;
        j->start_ts = c->start_ts;
        j->commit_ts = commit_ts;
        if (copy_job(j, c, first) == ERR_OK) {
            atomic_fetch_add(&c->env->background, 1);
            if (fiber_spawn(loop_current(), finish_main, j) == ERR_OK) {
                c->t->spans = NULL; /* the job's now */
                return;
            }
            atomic_fetch_sub(&c->env->background, 1);
        }
        arena_fini(&j->arena);
        mem_free(j);
    }
    /* no memory for that: the intents stay for those who meet them; locks go with the transaction
     */
}
