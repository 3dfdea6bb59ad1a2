#include "cluster/kv/kv_int.h"

#include "base/assert.h"
#include "base/fiber.h"
#include "cluster/txn/hands.h"

/* Point reads: the transaction's own writes first, then the range. */

/* One committed value at the transaction's snapshot, or the newest. */
static db_err fetch(struct ctxn *t, struct slice key, ts_t read_ts, struct arena *arena,
                    struct diag *diag, struct kv_value *ret_value)
{
    struct attempt at;
    struct follower f = {0};
    attempt_init(&at, t->env->router);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        TRY(route_find(&at, key, NULL, diag, &route));
        struct kv_get_req req = {.r = route_request(&route, fiber_deadline(), arena),
                                 .key = key,
                                 .read_ts = read_ts,
                                 .own_ts = t->start_ts};
        follower_choose(&f, t, read_ts, &route, &req.r, diag);
        db_err err = route.kv->ops->get(route.kv, &req, diag, &reply, ret_value);
        if (follower_refused(&f, t, err, diag)) {
            continue;
        }
        if (LIKELY(err == ERR_OK)) {
            return ERR_OK;
        }
        if (err == ERR_KEY_LOCKED) {
            struct resolver resolver;
            resolver_init(&resolver, t->env, &t->met);
            do {
                TRY(resolve_lock(&resolver, &reply.lock, diag));
                err = route.kv->ops->get(route.kv, &req, diag, &reply, ret_value);
            } while (err == ERR_KEY_LOCKED);
            if (err == ERR_OK) {
                return ERR_OK;
            }
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

static bool lock_held(const struct wb_entry *e, enum storage_read_mode mode)
{
    return e != NULL && (e->lock == WB_LOCK_EXCLUSIVE ||
                         (e->lock == WB_LOCK_SHARED && !storage_mode_exclusive(mode)));
}

static db_err read_ts_of(struct ctxn *t, bool single, struct diag *diag, ts_t *ret_ts)
{
    if (single && t->opts.autocommit && t->opts.single_get && t->read_ts == 0 &&
        t->opts.fresh_from_ns == 0) {
        *ret_ts = TS_MAX;
        return ERR_OK;
    }
    TRY(ctxn_need_snapshot(t, diag));
    *ret_ts = t->read_ts;
    return ERR_OK;
}

static db_err own_value(const struct ctxn *t, const struct wb_entry *e, struct arena *arena,
                        bool *ret_found, struct slice *ret_value)
{
    *ret_found = e->now.op == WB_PUT;
    if (*ret_found && ctxn_copies(t)) {
        return arena_copy(arena, e->now.value, ret_value);
    }
    if (*ret_found) {
        *ret_value = e->now.value;
    }
    return ERR_OK;
}

/* A plain read does not bring the entry back into the buffer. Nothing there: WB_NONE. */
static db_err look_on_disk(struct ctxn *t, struct slice key, struct arena *arena, struct diag *diag,
                           struct wb_entry *ret_entry)
{
    bool found;
    struct wb_entry e = {0};
    TRY(write_spill_find(t->spill, key, arena, diag, &found, &e));
    *ret_entry = e;
    return ERR_OK;
}

db_err cluster_get(struct storage_txn *base, struct slice key, enum storage_read_mode mode,
                   enum storage_wait wait, struct arena *arena, struct diag *diag, bool *ret_found,
                   struct slice *ret_value)
{
    struct ctxn *t = ctxn_of(base);
    struct wb_entry *e;
    struct wb_entry spilled;
    struct kv_value v = {0};
    mode = ctxn_read_mode(t, mode);
    if (mode == STORAGE_READ_PLAIN) {
        e = wb_find(&t->wb, key);
        if (UNLIKELY(e == NULL && t->spill != NULL)) {
            TRY(look_on_disk(t, key, arena, diag, &spilled));
            e = &spilled;
        }
    } else {
        TRY(ctxn_make_room(t, diag));
        TRY(ctxn_find(t, key, diag, &e));
    }
    if (mode != STORAGE_READ_PLAIN && !lock_held(e, mode)) {
        TRY(lock_keys(t, &key, 1, mode, wait, true, arena, diag, &v));
        if (v.skipped) {
            *ret_found = false;
            return ERR_OK;
        }
        e = wb_find(&t->wb, key);
    } else if (e == NULL || !wb_is_write(e)) {
        ts_t ts = TS_MAX;
        if (mode == STORAGE_READ_PLAIN) {
            TRY(read_ts_of(t, true, diag, &ts));
        }
        TRY(fetch(t, key, ts, arena, diag, &v));
    }
    if (e != NULL && wb_is_write(e)) {
        if (e == &spilled) {
            *ret_found = e->now.op == WB_PUT;
            *ret_value = *ret_found ? e->now.value : *ret_value;
            return ERR_OK;
        }
        return own_value(t, e, arena, ret_found, ret_value);
    }
    *ret_found = v.found;
    if (v.found) {
        *ret_value = v.value;
    }
    return ERR_OK;
}

db_err cluster_get_outdated(struct storage_txn *base, struct slice key, struct arena *arena,
                            struct diag *diag, bool *ret_outdated, bool *ret_found,
                            struct slice *ret_value)
{
    struct ctxn *t = ctxn_of(base);
    struct wb_entry *e = NULL;
    struct kv_value v = {0};
    if (t->read_ts != 0) {
        TRY(ctxn_find(t, key, diag, &e));
    }
    if (LIKELY(e == NULL || !e->has_version || e->version_ts <= t->read_ts)) {
        *ret_outdated = false;
        return ERR_OK;
    }
    TRY(fetch(t, key, t->read_ts, arena, diag, &v));
    *ret_outdated = true;
    *ret_found = v.found;
    if (v.found) {
        *ret_value = v.value;
    }
    return ERR_OK;
}

/* ---- many ---- */

struct sort_ctx {
    const struct slice *keys;
};

static int cmp_indexed(const void *a, const void *b, void *ctx)
{
    const struct sort_ctx *s = ctx;
    return slice_cmp(s->keys[*(const uint32_t *)a], s->keys[*(const uint32_t *)b]);
}

db_err sort_keys(const struct slice *keys, size_t count, struct arena *arena, uint32_t **ret_order)
{
    uint32_t *order = ARENA_ARRAY(arena, uint32_t, count);
    if (order == NULL) {
        return ERR_NOMEM;
    }
    bool sorted = true;
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
        sorted = sorted && (i == 0 || slice_cmp(keys[i - 1], keys[i]) <= 0);
    }
    if (!sorted) {
        struct sort_ctx ctx = {keys};
        qsort_r(order, count, sizeof(*order), cmp_indexed, &ctx);
    }
    *ret_order = order;
    return ERR_OK;
}

static db_err fetch_some(struct ctxn *t, const struct slice *keys, size_t count, ts_t read_ts,
                         struct arena *arena, struct diag *diag, struct kv_value *values,
                         size_t *ret_done)
{
    struct attempt at;
    struct resolver resolver;
    struct intents_met met = {0};
    struct follower f = {0};
    attempt_init(&at, t->env->router);
    resolver_init(&resolver, t->env, &met);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        TRY(route_find(&at, keys[0], arena, diag, &route));
        struct kv_multi_get_req req = {.r = route_request(&route, fiber_deadline(), arena),
                                       .keys = keys,
                                       .count = keys_in_range(keys, count, route.loc.end),
                                       .read_ts = read_ts,
                                       .own_ts = t->start_ts};
        follower_choose(&f, t, read_ts, &route, &req.r, diag);
        db_err err = route.kv->ops->multi_get(route.kv, &req, diag, &reply, values);
        if (follower_refused(&f, t, err, diag)) {
            continue;
        }
        if (err == ERR_OK) {
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

/* ---- several ranges at once ----
 *
 * Keys of several ranges, some of them led elsewhere, are asked for by several fibers, so that the
 * ways there and back are waited for together. Each has memory of its own, because what is not
 * cached is read on other threads; it goes with the caller's. */

struct fetch_group {
    size_t first, count;
    struct arena arena;
    struct diag diag;
    db_err err;
};

struct fetch_job {
    struct ctxn *t;
    const struct slice *keys;
    ts_t read_ts;
    struct kv_value *values;
    struct fetch_group *groups;
    size_t group_count;
    size_t next;
    bool stop; /* one has failed, or nobody wants them any more */
};

enum { FETCH_WORKERS_MAX = 15 };

static db_err fetch_run(struct ctxn *t, const struct slice *keys, size_t count, ts_t read_ts,
                        struct arena *arena, struct diag *diag, struct kv_value *values)
{
    for (size_t i = 0; i < count;) {
        size_t done = 0;
        TRY(fetch_some(t, keys + i, count - i, read_ts, arena, diag, values + i, &done));
        i += done;
    }
    return ERR_OK;
}

static void run_groups(void *arg)
{
    struct fetch_job *job = arg;
    while (job->next < job->group_count && !job->stop) {
        struct fetch_group *g = &job->groups[job->next++];
        g->err = fetch_run(job->t, job->keys + g->first, g->count, job->read_ts, &g->arena,
                           &g->diag, job->values + g->first);
        job->stop = job->stop || g->err != ERR_OK;
    }
}

static void drop_group(void *group)
{
    arena_fini(&((struct fetch_group *)group)->arena);
}

static db_err fetch_together(struct fetch_job *job, struct diag *diag)
{
    struct hand hands[FETCH_WORKERS_MAX];
    size_t want =
        job->group_count - 1 < FETCH_WORKERS_MAX ? job->group_count - 1 : FETCH_WORKERS_MAX;
    size_t started = hands_start(hands, want, run_groups, job);
    run_groups(job);
    hands_await(hands, started, &job->stop);
    for (size_t i = 0; i < job->group_count; i++) {
        if (job->groups[i].err != ERR_OK) {
            if (diag != NULL) {
                *diag = job->groups[i].diag;
            }
            return job->groups[i].err;
        }
    }
    return job->stop ? ERR_CANCELED : ERR_OK;
}

/* Divides the keys by range. One group only if there is nothing to be won. */
static db_err plan_groups(struct fetch_job *job, size_t count, struct arena *arena,
                          struct diag *diag)
{
    struct router *router = job->t->env->router;
    struct attempt at;
    size_t cap = 0;
    bool away = false;
    attempt_init(&at, router);
    for (size_t i = 0; i < count;) {
        struct route route;
        TRY(route_find(&at, job->keys[i], arena, diag, &route));
        size_t n = keys_in_range(job->keys + i, count - i, route.loc.end);
        if (job->group_count == cap) {
            cap = cap == 0 ? 8 : cap * 2;
            struct fetch_group *grown = ARENA_ARRAY(arena, struct fetch_group, cap);
            if (grown == NULL) {
                return ERR_NOMEM;
            }
            if (job->group_count != 0) {
                memcpy(grown, job->groups, job->group_count * sizeof(*grown));
            }
            job->groups = grown;
        }
        job->groups[job->group_count++] = (struct fetch_group){.first = i, .count = n};
        away = away || route.kv != router->view->self_kv;
        i += n;
    }
    job->group_count = away ? job->group_count : 1;
    return ERR_OK;
}

static db_err fetch_plain(struct ctxn *t, const struct slice *keys, size_t count, ts_t read_ts,
                          struct arena *arena, struct diag *diag, struct kv_value *values)
{
    struct fetch_job job = {.t = t, .keys = keys, .read_ts = read_ts, .values = values};
    if (count > 1 && node_view_others(t->env->router->view)) {
        TRY(plan_groups(&job, count, arena, diag));
    }
    if (job.group_count <= 1) {
        return fetch_run(t, keys, count, read_ts, arena, diag, values);
    }
    for (size_t i = 0; i < job.group_count; i++) {
        struct fetch_group *g = &job.groups[i];
        arena_init(&g->arena, NULL, arena->tracker, 0);
        diag_reset(&g->diag);
        TRY(arena_on_reset(arena, drop_group, g));
    }
    return fetch_together(&job, diag);
}

static db_err fetch_all(struct ctxn *t, const struct slice *keys, size_t count,
                        enum storage_read_mode mode, enum storage_wait wait, struct arena *arena,
                        struct diag *diag, struct kv_value *values)
{
    if (count == 0) {
        return ERR_OK;
    }
    if (mode != STORAGE_READ_PLAIN) {
        return lock_keys(t, keys, count, mode, wait, true, arena, diag, values);
    }
    ts_t ts;
    TRY(read_ts_of(t, false, diag, &ts));
    return fetch_plain(t, keys, count, ts, arena, diag, values);
}

db_err cluster_multi_get(struct storage_txn *base, const struct slice *keys, size_t count,
                         enum storage_read_mode mode, enum storage_wait wait, struct arena *arena,
                         struct diag *diag, bool *ret_found, struct slice *ret_values)
{
    struct ctxn *t = ctxn_of(base);
    uint32_t *order;
    mode = ctxn_read_mode(t, mode);
    if (mode != STORAGE_READ_PLAIN) {
        TRY(ctxn_make_room(t, diag));
    }
    TRY(sort_keys(keys, count, arena, &order));
    /* the distinct keys that must be asked for */
    struct slice *ask = arena_alloc(arena, count * sizeof(*ask));
    uint32_t *where = arena_alloc(arena, count * sizeof(*where)); /* of keys[i] in ask; else none */
    struct kv_value *values = ARENA_ARRAY(arena, struct kv_value, count);
    size_t n = 0;
    if (ask == NULL || where == NULL || values == NULL) {
        return ERR_NOMEM;
    }
    struct wb_entry *disk = NULL; /* of keys[i], not in the buffer */
    if (UNLIKELY(t->spill != NULL && mode == STORAGE_READ_PLAIN)) {
        disk = arena_calloc(arena, count, sizeof(*disk));
        if (disk == NULL) {
            return ERR_NOMEM;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct slice key = keys[order[i]];
        struct wb_entry *e = NULL;
        if (mode != STORAGE_READ_PLAIN) {
            TRY(ctxn_find(t, key, diag, &e));
        } else if (ctxn_may_have_own(t)) {
            e = wb_find(&t->wb, key);
        }
        if (UNLIKELY(e == NULL && disk != NULL)) {
            e = &disk[order[i]];
            TRY(look_on_disk(t, key, arena, diag, e));
        }
        bool own = e != NULL && wb_is_write(e);
        if (own && (mode == STORAGE_READ_PLAIN || lock_held(e, mode))) {
            where[order[i]] = UINT32_MAX;
            continue;
        }
        if (n == 0 || !slice_eq(ask[n - 1], key)) {
            ask[n++] = key;
        }
        where[order[i]] = (uint32_t)(n - 1);
    }
    TRY(fetch_all(t, ask, n, mode, wait, arena, diag, values));
    for (size_t i = 0; i < count; i++) {
        const struct wb_entry *e = t->wb.write_count == 0 ? NULL : wb_find(&t->wb, keys[i]);
        const struct kv_value *v = where[i] == UINT32_MAX ? NULL : &values[where[i]];
        ret_values[i] = SLICE_EMPTY;
        if (v != NULL && v->skipped) {
            ret_found[i] = false;
        } else if (e != NULL && wb_is_write(e)) {
            TRY(own_value(t, e, arena, &ret_found[i], &ret_values[i]));
        } else if (e == NULL && disk != NULL && wb_is_write(&disk[i])) {
            ret_found[i] = disk[i].now.op == WB_PUT;
            ret_values[i] = ret_found[i] ? disk[i].now.value : SLICE_EMPTY;
        } else {
            ret_found[i] = v->found;
            ret_values[i] = v->found ? v->value : SLICE_EMPTY;
        }
    }
    return ERR_OK;
}
