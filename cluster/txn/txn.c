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
    env->spill_bytes = CTXN_SPILL_LEAST;
    env->spill_entries = SIZE_MAX;
    pthread_mutex_init(&env->shared.lock, NULL);
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
    pthread_mutex_destroy(&env->shared.lock);
}

static struct txn_shard *this_shard(struct txn_env *env)
{
    struct loop *loop = loop_current();
    return &env->shards[loop == NULL ? 0 : loop_index(loop) % TXN_SHARDS];
}

/* ---- what is read ----
 *
 * Garbage collection must not drop what a transaction reads, also one that has been given a
 * timestamp and not come to note it. So a transaction first shows a bound, a timestamp that was
 * given before (env->floor), then asks, notes what it got, and takes the bound away. The reporter
 * asks for a timestamp itself and then looks at all transactions: one that shows neither bound nor
 * timestamps has not asked yet, and will be given more than the reporter was.
 *
 * When nobody has asked since the last report the reporter does not either: an idle node leaves
 * the oracle alone. */

struct reads_scan {
    ts_t floor;
    ts_t *ts; /* ascending */
    size_t count;
};

/* Keeps the lowest; what does not fit is protected by a lower floor. */
static void note_read(struct reads_scan *r, ts_t ts)
{
    if (ts == 0 || ts >= r->floor) {
        return;
    }
    size_t at = r->count;
    while (at > 0 && r->ts[at - 1] > ts) {
        at--;
    }
    if (at > 0 && r->ts[at - 1] == ts) {
        return;
    }
    if (r->count == KV_READS_MAX) {
        if (at == r->count) {
            r->floor = ts;
            return;
        }
        r->floor = r->ts[--r->count];
    }
    memmove(&r->ts[at + 1], &r->ts[at], (r->count - at) * sizeof(*r->ts));
    r->ts[at] = ts;
    r->count++;
}

static void note_txn(struct reads_scan *r, const struct ctxn *t)
{
    ts_t bound = __atomic_load_n(&t->bound, __ATOMIC_SEQ_CST);
    if (bound != 0 && bound < r->floor) {
        r->floor = bound;
    }
    note_read(r, __atomic_load_n(&t->read_ts, __ATOMIC_RELAXED));
    note_read(r, __atomic_load_n(&t->start_ts, __ATOMIC_RELAXED));
    note_read(r, __atomic_load_n(&t->scan_ts, __ATOMIC_RELAXED));
}

db_err txn_env_reads(struct txn_env *env, struct diag *diag, ts_t *snapshots,
                     struct kv_reads *ret_reads)
{
    uint64_t asked = 0;
    for (unsigned i = 0; i < TXN_SHARDS; i++) {
        asked += atomic_load_explicit(&env->shards[i].asked, memory_order_relaxed);
    }
    ts_t now = atomic_load(&env->floor);
    if (asked != env->asked || now == 0) {
        TRY(ts_client_next(env->ts, diag, &now));
        env->asked = asked;
    }
    struct reads_scan r = {.floor = now, .ts = snapshots};
    for (unsigned i = 0; i < TXN_SHARDS; i++) {
        struct txn_shard *s = &env->shards[i];
        pthread_mutex_lock(&s->mutex);
        LIST_FOREACH (it, &s->active) {
            note_txn(&r, CONTAINER_OF(it, struct ctxn, active_link));
        }
        pthread_mutex_unlock(&s->mutex);
    }
    while (r.count != 0 && snapshots[r.count - 1] >= r.floor) {
        r.count--; /* a bound came after it */
    }
    atomic_store(&env->floor, now);
    *ret_reads = (struct kv_reads){.floor = r.floor, .snapshots = snapshots, .count = r.count};
    return ERR_OK;
}

static void set_ts(ts_t *at, ts_t ts)
{
    __atomic_store_n(at, ts, __ATOMIC_RELAXED);
}

static void enter_active(struct ctxn *t)
{
    if (!t->active) {
        pthread_mutex_lock(&t->shard->mutex);
        t->active = true;
        list_push_back(&t->shard->active, &t->active_link);
        pthread_mutex_unlock(&t->shard->mutex);
    }
}

/* Asks for a timestamp under the protection of a bound, which stays until bound_ends. A name may
 * have been taken ahead, but not before the bound: what is protected from then on covers it. */
static db_err ask(struct ctxn *t, bool name, struct diag *diag, ts_t *ret_ts)
{
    ts_t floor = atomic_load(&t->env->floor);
    __atomic_store_n(&t->bound, floor != 0 ? floor : 1, __ATOMIC_SEQ_CST);
    enter_active(t);
    atomic_fetch_add(&t->shard->asked, 1);
    return name ? ts_client_name(t->env->ts, floor, diag, ret_ts)
                : ts_client_next(t->env->ts, diag, ret_ts);
}

static void bound_ends(struct ctxn *t)
{
    __atomic_store_n(&t->bound, 0, __ATOMIC_RELEASE);
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
    t->fences = atomic_load_explicit(&env->router->fences, memory_order_acquire);
    t->start_ts = 0;
    t->read_ts = opts->as_of;
    t->far_reads = 0;
    t->copy_from = FAR_READS_FIRST;
    ASSERT(!t->active && t->bound == 0 && t->scan_count == 0);
    wb_begin(&t->wb, opts->mem);
    if (opts->as_of != 0) {
        enter_active(t);
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

static void set_name(struct ctxn *t, ts_t ts)
{
    set_ts(&t->start_ts, ts);
    if (t->opts.told_id != NULL) {
        atomic_store_explicit(t->opts.told_id, ts, memory_order_relaxed);
    }
}

db_err ctxn_need_start(struct ctxn *t, struct diag *diag)
{
    if (t->start_ts != 0) {
        return ERR_OK;
    }
    ts_t ts;
    db_err err = ask(t, true, diag, &ts);
    if (err == ERR_OK) {
        set_name(t, ts);
    }
    bound_ends(t);
    return err;
}

/* A snapshot that was asked for at or after t->opts.fresh_from_ns holds all that was committed by
 * then. All transactions of the node share one until it is too old for who asks. */
static db_err need_old_snapshot(struct ctxn *t, struct diag *diag)
{
    struct shared_snapshot *s = &t->env->shared;
    ts_t floor = atomic_load(&t->env->floor);
    __atomic_store_n(&t->bound, floor != 0 ? floor : 1, __ATOMIC_SEQ_CST);
    enter_active(t);
    pthread_mutex_lock(&s->lock);
    bool good = s->ts > floor && s->asked_ns >= t->opts.fresh_from_ns;
    ts_t ts = s->ts;
    pthread_mutex_unlock(&s->lock);
    db_err err = ERR_OK;
    if (!good) {
        uint64_t asked_ns = clock_mono_ns();
        atomic_fetch_add(&t->shard->asked, 1);
        err = ts_client_next(t->env->ts, diag, &ts);
        pthread_mutex_lock(&s->lock);
        if (err == ERR_OK && ts > s->ts && asked_ns >= s->asked_ns) {
            s->ts = ts;
            s->asked_ns = asked_ns;
        }
        pthread_mutex_unlock(&s->lock);
    }
    if (err == ERR_OK) {
        set_ts(&t->read_ts, ts);
    }
    bound_ends(t);
    return err;
}

db_err ctxn_need_snapshot(struct ctxn *t, struct diag *diag)
{
    if (t->read_ts != 0) {
        return ERR_OK;
    }
    if (UNLIKELY(t->opts.fresh_from_ns != 0)) {
        return need_old_snapshot(t, diag);
    }
    ts_t ts;
    bool named = true;
    db_err err = ask(t, false, diag, &ts);
    if (UNLIKELY(err == ERR_DISK_FULL)) { /* reads go on; a name comes with the first write */
        named = false;
        diag_reset(diag);
        err = ts_client_last(t->env->ts, diag, &ts);
    }
    if (err == ERR_OK) {
        set_ts(&t->read_ts, ts);
        if (t->start_ts == 0 && named) {
            set_name(t, ts);
        }
    }
    bound_ends(t);
    return err;
}

ts_t ctxn_hold(struct ctxn *t)
{
    ASSERT(t->active);
    ts_t floor = atomic_load(&t->env->floor);
    __atomic_store_n(&t->bound, floor != 0 ? floor : 1, __ATOMIC_SEQ_CST);
    return floor;
}

void ctxn_unhold(struct ctxn *t)
{
    bound_ends(t);
}

void ctxn_drop_snapshot(struct ctxn *t)
{
    if (t->read_ts != 0 && t->opts.as_of == 0) {
        set_ts(&t->read_ts, 0);
        t->far_reads = 0;
        t->copy_from = FAR_READS_FIRST;
    }
}

void ctxn_scan_opens(struct ctxn *t, ts_t read_ts)
{
    if (t->scan_count++ == 0) {
        set_ts(&t->scan_ts, read_ts); /* snapshots ascend: it stays the lowest */
    }
}

void ctxn_scan_closes(struct ctxn *t)
{
    ASSERT(t->scan_count != 0);
    if (--t->scan_count == 0) {
        set_ts(&t->scan_ts, 0);
    }
}

enum storage_read_mode ctxn_read_mode(const struct ctxn *t, enum storage_read_mode mode)
{
    bool lock = mode == STORAGE_READ_PLAIN && t->opts.isolation == STORAGE_SERIALIZABLE &&
                !t->opts.read_only;
    return lock ? STORAGE_READ_SHARED_RANGE : mode;
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
    struct lock_span *s = arena_calloc(lock_arena(t), 1, sizeof(*s));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->range = loc->id;
    TRY(arena_copy(lock_arena(t), loc->start, &s->start));
    TRY(arena_copy(lock_arena(t), loc->end, &s->end));
    s->next = t->spans;
    t->spans = s;
    *ret_span = s;
    return ERR_OK;
}

/* The number by which entries name (span, term). A span has few terms. */
static db_err span_slot(struct ctxn *t, struct lock_span *span, uint64_t lock_term,
                        uint32_t *ret_slot)
{
    if (LIKELY(span->slot != 0 && span->lock_term == lock_term)) {
        *ret_slot = span->slot;
        return ERR_OK;
    }
    for (uint32_t i = t->span_count; i-- > 0;) {
        if (t->span_of[i]->range == span->range && t->span_of[i]->lock_term == lock_term) {
            span->lock_term = lock_term;
            span->slot = *ret_slot = i + 1;
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
    struct lock_span *s = arena_calloc(lock_arena(t), 1, sizeof(*s));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->range = span->range;
    s->lock_term = lock_term;
    t->span_of[t->span_count++] = s;
    span->lock_term = lock_term;
    span->slot = *ret_slot = t->span_count;
    return ERR_OK;
}

db_err ctxn_note_lock(struct ctxn *t, struct lock_span *span, uint64_t lock_term, struct slice key,
                      enum storage_read_mode mode, bool exists, ts_t version_ts)
{
    struct wb_entry *e;
    uint32_t slot;
    TRY(ctxn_touch(t, key, NULL, &e));
    TRY(span_slot(t, span, lock_term, &slot));
    uint8_t lock = storage_mode_exclusive(mode) ? WB_LOCK_EXCLUSIVE : WB_LOCK_SHARED;
    if (e->lock < lock) {
        /* An upgrade keeps the version that was seen first: it is the same if the shared lock was
         * never lost, and else what was read under it is checked, whatever the lock of now. */
        bool upgrade = e->lock == WB_LOCK_SHARED && e->has_version;
        if (!upgrade) {
            e->exists = exists;
            e->version_ts = version_ts;
        }
        if (upgrade && t->span_of[e->slot - 1]->lock_term != lock_term) {
            TRY(span_slot(t, span, 0, &slot));
        }
        e->lock = lock;
        e->has_version = true;
        e->slot = slot;
    }
    return ERR_OK;
}

static bool within(struct slice start, struct slice end, const struct gap_lock *g)
{
    return slice_cmp(g->start, start) <= 0 &&
           (g->end.len == 0 || (end.len != 0 && slice_cmp(end, g->end) <= 0));
}

db_err ctxn_note_gap(struct ctxn *t, uint64_t lock_term, struct slice start, struct slice end)
{
    struct gap_lock *g = t->gaps;
    if (g != NULL && g->lock_term == lock_term) {
        if (within(start, end, g)) {
            return ERR_OK;
        }
        if (g->end.len != 0 && slice_eq(g->end, start)) { /* the next page of a scan */
            return end.len == 0 ? (g->end = SLICE_EMPTY, ERR_OK)
                                : arena_copy(lock_arena(t), end, &g->end);
        }
        if (end.len != 0 && slice_eq(g->start, end)) {
            return arena_copy(lock_arena(t), start, &g->start);
        }
    }
    g = ARENA_NEW(lock_arena(t), struct gap_lock);
    if (g == NULL) {
        return ERR_NOMEM;
    }
    g->lock_term = lock_term;
    TRY(arena_copy(lock_arena(t), start, &g->start));
    TRY(arena_copy(lock_arena(t), end, &g->end));
    g->next = t->gaps;
    t->gaps = g;
    return ERR_OK;
}

/* ---- end ---- */

void ctxn_end(struct ctxn *t)
{
    struct txn_env *env = t->env;
    for (struct lock_span *s = t->spans; s != NULL; s = s->next) {
        release_locks(env, t->start_ts, s->start, s->end);
    }
    ASSERT(t->scan_count == 0);
    leave_active(t);
    t->spans = NULL;
    t->span_count = 0;
    t->gaps = NULL;
    t->early_inserts = 0;
    t->base.conflict = NULL;
    if (UNLIKELY(t->spill != NULL)) {
        ctxn_spill_end(t);
    }
    wb_reset(&t->wb);
    write_runs_free(t->runs);
    t->runs = NULL;
    t->runs_checked = false;
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
