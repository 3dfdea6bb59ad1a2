#include "cluster/txn/commit_int.h"

#include "base/assert.h"
#include "base/faults.h"
#include "cluster/txn/hands.h"

/* From the write buffer to intents in all ranges.
 *
 * The mutations are gathered in key order, divided by range and size, and prewritten by several
 * fibers at once. A range that has changed meanwhile is found again, so a group may go to more than
 * one. Prewrites may be repeated: what is there already is left as it is. */

static enum kv_check check_of(const struct ctxn *t, const struct wb_entry *e)
{
    if (e->now.must_be_new) {
        return KV_CHECK_NOT_EXISTS;
    }
    if (e->lock == WB_LOCK_EXCLUSIVE && e->has_version) {
        return KV_CHECK_LOCKED;
    }
    return t->opts.isolation == STORAGE_SNAPSHOT && t->read_ts != 0 ? KV_CHECK_VERSION
                                                                    : KV_CHECK_NONE;
}

static bool takes_part(const struct wb_entry *e)
{
    return wb_is_write(e) || (e->lock == WB_LOCK_EXCLUSIVE && e->has_version);
}

bool commit_is_shared(const struct commit *c, const struct wb_entry *e)
{
    return (e->lock == WB_LOCK_SHARED || (c->read_only && e->lock == WB_LOCK_EXCLUSIVE)) &&
           e->has_version && !wb_is_write(e);
}

db_err commit_collect_shared(struct commit *c)
{
    size_t count = 0;
    for (const struct wb_entry *e = wb_first(&c->t->wb); e != NULL; e = wb_next(e)) {
        count += commit_is_shared(c, e);
    }
    if (LIKELY(count == 0)) {
        return ERR_OK;
    }
    c->shared = arena_alloc(c->arena, count * sizeof(*c->shared));
    c->shared_slots = arena_alloc(c->arena, count * sizeof(*c->shared_slots));
    if (c->shared == NULL || c->shared_slots == NULL) {
        return ERR_NOMEM;
    }
    for (const struct wb_entry *e = wb_first(&c->t->wb); e != NULL; e = wb_next(e)) {
        if (commit_is_shared(c, e)) {
            c->shared[c->shared_count] = e->key;
            c->shared_slots[c->shared_count++] = e->slot;
        }
    }
    return ERR_OK;
}

bool commit_mutation(const struct ctxn *t, const struct wb_entry *e, struct kv_mutation *ret_m,
                     uint32_t *ret_slot)
{
    if (!takes_part(e)) {
        return false;
    }
    struct kv_mutation m = {.op = e->now.op == WB_PUT      ? KV_PUT
                                  : e->now.op == WB_DELETE ? KV_DELETE
                                                           : KV_LOCK_ONLY,
                            .check = check_of(t, e),
                            .key = e->key};
    m.value = m.op == KV_PUT ? e->now.value : SLICE_EMPTY;
    m.inserts = m.op == KV_PUT && e->fresh;
    /* Whoever locks a row and does not write it may have kept others out of something else: that
     * the row is as it was proves nothing, its lock must have been held. Nothing that is there
     * passes for version 0. A statement alone has relied on no more than its rows, and of a row
     * that was not there the lock may have given way to one of the gap. */
    bool by_version = m.op != KV_LOCK_ONLY || t->opts.autocommit || !e->exists;
    m.version_ts = m.check == KV_CHECK_LOCKED    ? (by_version ? e->version_ts : 0)
                   : m.check == KV_CHECK_VERSION ? t->read_ts
                                                 : 0;
    *ret_m = m;
    *ret_slot = m.check == KV_CHECK_LOCKED ? e->slot : 0;
    return true;
}

db_err commit_collect(struct commit *c)
{
    struct ctxn *t = c->t;
    size_t count = 0;
    for (const struct wb_entry *e = wb_first(&t->wb); e != NULL; e = wb_next(e)) {
        count += takes_part(e);
    }
    c->muts = arena_alloc(c->arena, count * sizeof(*c->muts));
    c->slots = arena_alloc(c->arena, count * sizeof(*c->slots));
    if (c->muts == NULL || c->slots == NULL) {
        return ERR_NOMEM;
    }
    TRY(commit_collect_shared(c));
    for (const struct wb_entry *e = wb_first(&t->wb); e != NULL; e = wb_next(e)) {
        struct kv_mutation *m = &c->muts[c->count];
        if (!commit_mutation(t, e, m, &c->slots[c->count])) {
            continue;
        }
        c->count++;
        c->bytes += m->key.len + m->value.len + 32;
        c->key_bytes += m->key.len;
    }
    ASSERT(c->count == count);
    return ERR_OK;
}

uint64_t commit_lock_term(const struct commit *c, size_t first, size_t count)
{
    uint64_t term = 0;
    for (size_t i = first; i < first + count; i++) {
        if (c->slots[i] == 0) {
            continue;
        }
        const struct lock_span *s = c->t->span_of[c->slots[i] - 1];
        if (s->lock_term == 0 || (term != 0 && term != s->lock_term)) {
            return 0;
        }
        term = s->lock_term;
    }
    return term;
}

/* ---- shared locks ---- */

static db_err lock_lost(struct diag *diag)
{
    return diag_set(diag, ERR_LOCK_LOST, "%s", err_text(ERR_LOCK_LOST));
}

/* Takes the locks again, which are there already if nothing has happened: the term tells. */
static db_err check_some_shared(struct commit *c, size_t first, struct arena *arena,
                                struct diag *diag, size_t *ret_done)
{
    const struct lock_span *want = c->t->span_of[c->shared_slots[first] - 1];
    struct attempt at;
    size_t same = 1;
    while (first + same < c->shared_count && same < COMMIT_CHUNK_KEYS &&
           c->shared_slots[first + same] == c->shared_slots[first]) {
        same++;
    }
    attempt_init(&at, c->env->router);
    for (;;) {
        struct route route;
        struct lock_span *span;
        struct kv_reply reply = {0};
        struct kv_lock_resp resp = {0};
        TRY(route_find(&at, c->shared[first], arena, diag, &route));
        TRY(ctxn_note_span(c->t, &route.loc, &span));
        size_t n = 1;
        while (n < same &&
               (route.loc.end.len == 0 || slice_cmp(c->shared[first + n], route.loc.end) < 0)) {
            n++;
        }
        struct kv_lock_req req = {.r = route_request(&route, fiber_deadline(), arena),
                                  .keys = c->shared + first,
                                  .count = n,
                                  .own_ts = c->start_ts,
                                  .mode = KV_LOCK_SHARED,
                                  .wait = KV_NOWAIT};
        db_err err = route.kv->ops->lock(route.kv, &req, diag, &reply, &resp);
        if (err == ERR_OK) {
            *ret_done = n;
            return resp.lock_term != 0 && resp.lock_term == want->lock_term ? ERR_OK
                                                                            : lock_lost(diag);
        }
        if (err == ERR_LOCK_NOWAIT || err == ERR_KEY_LOCKED) {
            return lock_lost(diag); /* somebody else has it */
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

enum { PROVEN_MAX = 8 };

/* Where a lock table of some number is in use, as was just found. */
struct proven {
    struct range_location loc[PROVEN_MAX];
    uint64_t term[PROVEN_MAX];
    unsigned count;
};

static const struct range_location *find_proven(const struct proven *p, struct slice key,
                                                uint64_t term)
{
    for (unsigned i = 0; i < p->count && i < PROVEN_MAX; i++) {
        const struct range_location *l = &p->loc[i];
        if (p->term[i] == term && slice_cmp(key, l->start) >= 0 &&
            (l->end.len == 0 || slice_cmp(key, l->end) < 0)) {
            return l;
        }
    }
    return NULL;
}

/* Asks for the number in the range of the key. */
static db_err prove(struct commit *c, struct slice key, uint64_t term, struct arena *arena,
                    struct diag *diag, struct proven *p)
{
    struct attempt at;
    attempt_init(&at, c->env->router);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        struct kv_lock_resp resp = {0};
        TRY(route_find(&at, key, arena, diag, &route));
        struct kv_lock_req req = {.r = route_request(&route, fiber_deadline(), arena),
                                  .keys = &key,
                                  .count = 1,
                                  .own_ts = c->start_ts,
                                  .mode = KV_LOCK_NONE};
        db_err err = route.kv->ops->lock(route.kv, &req, diag, &reply, &resp);
        if (err == ERR_OK) {
            p->loc[p->count % PROVEN_MAX] = route.loc;
            p->term[p->count++ % PROVEN_MAX] = resp.lock_term;
            return resp.lock_term != 0 && resp.lock_term == term ? ERR_OK : lock_lost(diag);
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

/* The range that a gap lay in may have been split since, which keeps the number. */
static db_err check_gaps(struct commit *c, struct arena *arena, struct diag *diag)
{
    struct proven p = {.count = 0};
    for (const struct gap_lock *g = c->t->gaps; g != NULL; g = g->next) {
        struct slice key = g->start;
        for (;;) {
            const struct range_location *l = find_proven(&p, key, g->lock_term);
            if (l == NULL) {
                TRY(prove(c, key, g->lock_term, arena, diag, &p));
                l = &p.loc[(p.count - 1) % PROVEN_MAX];
            }
            if (l->end.len == 0 || (g->end.len != 0 && slice_cmp(g->end, l->end) <= 0)) {
                break;
            }
            key = l->end;
        }
    }
    return ERR_OK;
}

/* Where nothing was written: a table that is in use still, under the number that it gave the locks
 * under, has kept them. */
static db_err check_tables(struct commit *c, struct arena *a, struct diag *diag)
{
    struct proven p = {.count = 0};
    for (size_t i = 0; i < c->shared_count; i++) {
        uint64_t term = c->t->span_of[c->shared_slots[i] - 1]->lock_term;
        if (find_proven(&p, c->shared[i], term) == NULL) {
            TRY(prove(c, c->shared[i], term, a, diag, &p));
        }
    }
    return ERR_OK;
}

static db_err check_keys(struct commit *c, struct arena *a, struct diag *diag)
{
    db_err err = ERR_OK;
    if (c->read_only) {
        return check_tables(c, a, diag);
    }
    for (size_t i = 0; i < c->shared_count && err == ERR_OK;) {
        size_t done = 0;
        arena_reset(a);
        err = check_some_shared(c, i, a, diag, &done);
        i += done;
    }
    return err;
}

db_err commit_check_shared_keys(struct commit *c, struct diag *diag)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    db_err err = check_keys(c, &a, diag);
    arena_fini(&a);
    return err;
}

db_err commit_check_shared(struct commit *c, struct diag *diag)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    db_err err = check_gaps(c, &a, diag);
    err = err != ERR_OK ? err : check_keys(c, &a, diag);
    arena_fini(&a);
    return err;
}

static db_err add_group(struct commit *c, size_t first, size_t count)
{
    if (c->group_count == c->group_cap) {
        size_t cap = c->group_cap == 0 ? 4 : c->group_cap * 2;
        struct commit_group *grown = arena_calloc(c->arena, cap, sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (c->group_count != 0) {
            memcpy(grown, c->groups, c->group_count * sizeof(*grown));
        }
        c->groups = grown;
        c->group_cap = cap;
    }
    c->groups[c->group_count++] = (struct commit_group){.first = first, .count = count};
    return ERR_OK;
}

/* How many mutations from `first` on lie before `end` (empty: all) and fit one request. A large one
 * goes alone: with others it might be too much for an entry of the log. */
static size_t extent(const struct commit *c, size_t first, size_t last, struct slice end)
{
    size_t bytes = 0;
    size_t i = first;
    for (; i < last && i - first < COMMIT_CHUNK_KEYS &&
           (end.len == 0 || slice_cmp(c->muts[i].key, end) < 0);
         i++) {
        bytes += c->muts[i].key.len + c->muts[i].value.len;
        if (i != first && bytes > COMMIT_CHUNK_BYTES) {
            break;
        }
    }
    return i - first;
}

db_err commit_plan(struct commit *c, struct diag *diag)
{
    struct attempt at;
    attempt_init(&at, c->env->router);
    c->group_count = 0;
    for (size_t i = 0; i < c->count;) {
        struct route route;
        TRY(route_find(&at, c->muts[i].key, c->arena, diag, &route));
        size_t n = extent(c, i, c->count, route.loc.end);
        ASSERT(n > 0);
        TRY(add_group(c, i, n));
        i += n;
    }
    return ERR_OK;
}

/* ---- one group ---- */

static db_err prewrite_some(struct commit *c, struct commit_group *g, size_t first, size_t last,
                            size_t *ret_done)
{
    struct attempt at;
    struct resolver resolver;
    struct intents_met met = {0};
    uint64_t began_ns = clock_mono_ns();
    attempt_init(&at, c->env->router);
    resolver_init(&resolver, c->env, &met);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        struct kv_prewrite_resp resp;
        TRY(route_find(&at, c->muts[first].key, &g->arena, &g->diag, &route));
        size_t n = extent(c, first, last, route.loc.end);
        bool primary = first == 0;
        struct kv_prewrite_req req = {.r = route_request(&route, fiber_deadline(), &g->arena),
                                      .mutations = c->muts + first,
                                      .count = n,
                                      .primary = c->primary,
                                      .start_ts = c->start_ts,
                                      .lock_term = commit_lock_term(c, first, n),
                                      .ttl_ms = c->ttl_ms,
                                      .async_commit = c->async,
                                      .secondaries = primary && c->async ? c->secondaries : NULL,
                                      .secondary_count = primary && c->async ? c->count - 1 : 0,
                                      .lock_wait_ms = ctxn_lock_wait_left_ms(c->t, began_ns),
                                      .fences = c->t->fences};
        g->started = true;
        db_err err = route.kv->ops->prewrite(route.kv, &req, &g->diag, &reply, &resp);
        if (err == ERR_OK) {
            g->min_commit_ts =
                resp.min_commit_ts > g->min_commit_ts ? resp.min_commit_ts : g->min_commit_ts;
            *ret_done = n;
            return ERR_OK;
        }
        if (err == ERR_KEY_LOCKED) {
            TRY(resolve_lock(&resolver, &reply.lock, &g->diag));
            continue;
        }
        g->conflict = reply.conflict_key;
        if (err == ERR_COMMIT_UNKNOWN) { /* intents: look again, repeating does no harm */
            err = ERR_UNAVAILABLE;
        }
        TRY(attempt_again(&at, err, &route, &reply, &g->diag));
    }
}

static void prewrite_group(struct commit *c, struct commit_group *g)
{
    diag_reset(&g->diag);
    arena_init(&g->arena, NULL, NULL, 0);
    size_t last = g->first + g->count;
    FAULT(txn_prewrite_group);
    for (size_t i = g->first; i < last && g->err == ERR_OK;) {
        size_t done = 0;
        g->err = prewrite_some(c, g, i, last, &done);
        i += done;
    }
    if (g->err != ERR_OK) {
        c->stop = true;
    }
}

/* ---- all groups ---- */

static void run_groups(void *arg)
{
    struct commit *c = arg;
    while (c->next_group < c->group_count && !c->stop) {
        prewrite_group(c, &c->groups[c->next_group++]);
    }
}

/* Some may wait for locks of others: they stop when the commit is cancelled. */
db_err commit_prewrite_all(struct commit *c, struct diag *diag, struct slice *ret_conflict)
{
    struct hand hands[COMMIT_WORKERS_MAX];
    size_t want = c->group_count - 1 < COMMIT_WORKERS_MAX ? c->group_count - 1 : COMMIT_WORKERS_MAX;
    c->next_group = 0;
    c->stop = false;
    size_t started = hands_start(hands, want, run_groups, c);
    run_groups(c);
    hands_await(hands, started, &c->stop);
    for (size_t i = 0; i < c->group_count; i++) {
        struct commit_group *g = &c->groups[i];
        if (g->err != ERR_OK) {
            if (diag != NULL) {
                *diag = g->diag;
            }
            *ret_conflict = g->conflict;
            return g->err;
        }
    }
    if (UNLIKELY(c->stop)) {
        db_err err = fiber_canceled() ? ERR_CANCELED : ERR_TIMEOUT;
        return diag_set(diag, err, "%s", err_text(err));
    }
    return ERR_OK;
}
