#include "cluster/txn/txn.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fiber.h"

/* Begin, timestamps, what is locked, end. */

enum { SCRATCH_KEEP = 64 * 1024 };

void txn_env_init(struct txn_env *env, struct router *router, struct ts_client *ts,
                  const struct storage_ops *ops)
{
    memset(env, 0, sizeof(*env));
    env->router = router;
    env->ts = ts;
    env->ops = ops;
    for (unsigned i = 0; i < TXN_SHARDS; i++) {
        pthread_mutex_init(&env->shards[i].mutex, NULL);
        list_init(&env->shards[i].active);
    }
}

static void ctxn_free(struct ctxn *t)
{
    wb_fini(&t->wb);
    arena_fini(&t->scratch);
    mem_free(t->span_of);
    mem_free(t);
}

void txn_env_fini(struct txn_env *env)
{
    while (atomic_load(&env->background) != 0) {
        db_err err = fiber_sleep(NS_PER_MS);
        (void)err;
    }
    for (unsigned i = 0; i < TXN_SHARDS; i++) {
        struct txn_shard *s = &env->shards[i];
        ASSERT(list_empty(&s->active));
        while (s->pool != NULL) {
            struct ctxn *t = s->pool;
            s->pool = t->pool_next;
            ctxn_free(t);
        }
        pthread_mutex_destroy(&s->mutex);
    }
}

ts_t txn_env_min_ts(struct txn_env *env)
{
    ts_t min = 0;
    for (unsigned i = 0; i < TXN_SHARDS; i++) {
        struct txn_shard *s = &env->shards[i];
        pthread_mutex_lock(&s->mutex);
        LIST_FOREACH (it, &s->active) {
            const struct ctxn *t = CONTAINER_OF(it, struct ctxn, active_link);
            ts_t ts = t->read_ts != 0 && (t->start_ts == 0 || t->read_ts < t->start_ts)
                          ? t->read_ts
                          : t->start_ts;
            if (ts != 0 && (min == 0 || ts < min)) {
                min = ts;
            }
        }
        pthread_mutex_unlock(&s->mutex);
    }
    return min;
}

static struct txn_shard *this_shard(struct txn_env *env)
{
    struct loop *loop = loop_current();
    return &env->shards[loop == NULL ? 0 : loop_index(loop) % TXN_SHARDS];
}

static void enter_active(struct ctxn *t, ts_t start_ts, ts_t read_ts)
{
    pthread_mutex_lock(&t->shard->mutex);
    t->start_ts = start_ts;
    t->read_ts = read_ts;
    if (!t->active) {
        t->active = true;
        list_push_back(&t->shard->active, &t->active_link);
    }
    pthread_mutex_unlock(&t->shard->mutex);
}

db_err ctxn_begin(struct txn_env *env, const struct storage_txn_opts *opts, struct ctxn **ret_txn)
{
    struct txn_shard *s = this_shard(env);
    pthread_mutex_lock(&s->mutex);
    struct ctxn *t = s->pool;
    if (t != NULL) {
        s->pool = t->pool_next;
        s->pool_count--;
    }
    pthread_mutex_unlock(&s->mutex);
    if (t == NULL) {
        t = mem_calloc(1, sizeof(*t));
        if (t == NULL) {
            return ERR_NOMEM;
        }
        wb_init(&t->wb);
        arena_init(&t->scratch, NULL, NULL, 0);
        list_init(&t->active_link);
        t->base.ops = env->ops;
        t->env = env;
    }
    t->shard = s;
    t->opts = *opts;
    t->state = TXN_ACTIVE;
    t->start_ts = 0;
    t->read_ts = opts->as_of;
    wb_begin(&t->wb, opts->mem);
    if (opts->as_of != 0) {
        enter_active(t, 0, opts->as_of);
    }
    *ret_txn = t;
    return ERR_OK;
}

static void leave_active(struct ctxn *t)
{
    if (t->active) {
        pthread_mutex_lock(&t->shard->mutex);
        t->active = false;
        list_remove(&t->active_link);
        pthread_mutex_unlock(&t->shard->mutex);
    }
}

db_err ctxn_need_start(struct ctxn *t, struct diag *diag)
{
    if (t->start_ts != 0) {
        return ERR_OK;
    }
    ts_t ts;
    TRY(ts_client_next(t->env->ts, diag, &ts));
    enter_active(t, ts, t->read_ts);
    return ERR_OK;
}

db_err ctxn_need_snapshot(struct ctxn *t, struct diag *diag)
{
    if (t->read_ts != 0) {
        return ERR_OK;
    }
    ts_t ts;
    TRY(ts_client_next(t->env->ts, diag, &ts));
    enter_active(t, t->start_ts != 0 ? t->start_ts : ts, ts);
    return ERR_OK;
}

void ctxn_drop_snapshot(struct ctxn *t)
{
    if (t->read_ts != 0 && t->opts.as_of == 0) {
        enter_active(t, t->start_ts, 0);
    }
}

enum storage_read_mode ctxn_read_mode(const struct ctxn *t, enum storage_read_mode mode)
{
    bool lock = mode == STORAGE_READ_PLAIN && t->opts.isolation == STORAGE_SERIALIZABLE &&
                !t->opts.autocommit && !t->opts.read_only;
    return lock ? STORAGE_READ_SHARED : mode;
}

/* ---- locks ---- */

db_err ctxn_note_span(struct ctxn *t, const struct range_location *loc, struct lock_span **ret_span)
{
    for (struct lock_span *s = t->spans; s != NULL; s = s->next) {
        if (s->range == loc->id && slice_eq(s->start, loc->start) && slice_eq(s->end, loc->end)) {
            *ret_span = s;
            return ERR_OK;
        }
    }
    struct lock_span *s = arena_calloc(&t->wb.arena, 1, sizeof(*s));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->range = loc->id;
    TRY(arena_copy(&t->wb.arena, loc->start, &s->start));
    TRY(arena_copy(&t->wb.arena, loc->end, &s->end));
    s->next = t->spans;
    t->spans = s;
    *ret_span = s;
    return ERR_OK;
}

/* The number by which entries name (span, term). */
static db_err span_slot(struct ctxn *t, struct lock_span *span, uint64_t lock_term,
                        uint32_t *ret_slot)
{
    for (uint32_t i = t->span_count; i-- > 0 && i + 8 > t->span_count;) {
        if (t->span_of[i]->range == span->range && t->span_of[i]->lock_term == lock_term) {
            *ret_slot = i + 1;
            return ERR_OK;
        }
    }
    if (t->span_count == t->span_cap) {
        uint32_t cap = t->span_cap == 0 ? 8 : t->span_cap * 2;
        struct lock_span **grown = mem_realloc(t->span_of, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        t->span_of = grown;
        t->span_cap = cap;
    }
    struct lock_span *s = arena_calloc(&t->wb.arena, 1, sizeof(*s));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->range = span->range;
    s->lock_term = lock_term;
    t->span_of[t->span_count++] = s;
    *ret_slot = t->span_count;
    return ERR_OK;
}

db_err ctxn_note_lock(struct ctxn *t, struct lock_span *span, uint64_t lock_term, struct slice key,
                      enum storage_read_mode mode, bool exists, ts_t version_ts)
{
    struct wb_entry *e;
    uint32_t slot;
    TRY(wb_touch(&t->wb, key, &e));
    TRY(span_slot(t, span, lock_term, &slot));
    uint8_t lock = mode == STORAGE_READ_EXCLUSIVE ? WB_LOCK_EXCLUSIVE : WB_LOCK_SHARED;
    if (e->lock < lock) {
        /* an upgrade keeps the first version seen only if S was never lost: see it anew */
        e->lock = lock;
        e->has_version = true;
        e->exists = exists;
        e->version_ts = version_ts;
        e->slot = slot;
    }
    return ERR_OK;
}

/* ---- end ---- */

void ctxn_end(struct ctxn *t)
{
    struct txn_env *env = t->env;
    for (struct lock_span *s = t->spans; s != NULL; s = s->next) {
        release_locks(env, t->start_ts, s->start, s->end);
    }
    leave_active(t);
    t->spans = NULL;
    t->span_count = 0;
    t->base.conflict = NULL;
    wb_reset(&t->wb);
    if (t->scratch.blocks != NULL) {
        if (t->scratch.used > SCRATCH_KEEP) {
            arena_fini(&t->scratch);
            arena_init(&t->scratch, NULL, NULL, 0);
        } else {
            arena_reset(&t->scratch);
        }
    }
    struct txn_shard *s = this_shard(env);
    pthread_mutex_lock(&s->mutex);
    bool keep = s->pool_count < TXN_POOL_MAX;
    if (keep) {
        t->pool_next = s->pool;
        s->pool = t;
        s->pool_count++;
    }
    pthread_mutex_unlock(&s->mutex);
    if (!keep) {
        ctxn_free(t);
    }
}
