#include "cluster/txn/commit_int.h"

#include "base/metrics.h"

/* All writes in one range: one call checks and commits.
 *
 * Its reply may be lost: the range loses its leader while the entry is on its way, or the
 * connection breaks. Then it is unknown whether the writes were applied, and they may be later,
 * when the request still lies in some queue. Others can not be asked, there are no intents. But the
 * version written at the primary bears the transaction's name, and each range serves only when what
 * earlier leaseholders had in its log is applied. So the coordinator asks whoever leads the range
 * of the primary now:
 *
 *   there is the version: committed, then;
 *   there is none: the same request is sent once more, marked as a repetition, and is committed at
 *     most once: it looks again, under the latches, and leaves a record that a late first try
 * meets; it can not be sent (the range was split), or fails for good (a lock was lost): before that
 * is said to anybody a record at the primary sees to it that the first try fails as well.
 *
 * What remains unknown: nobody could be asked in time, the statement was killed meanwhile, or the
 * answer would be no proof, because this node was taken for dead (a table may have been dropped
 * with the version) or garbage collection may have passed, which this node holds back as long as
 * meta hears of it. */

struct one_phase {
    struct commit *c;
    const struct kv_mutation *named; /* the primary; NULL: nothing is written */
    ts_t above;                      /* a commit is */
    bool doubt;                      /* a try may have been applied */
    bool done;
    ts_t commit_ts;
};

/* The call has given back all locks of the transaction in this range. */
static void forget_span(struct ctxn *t, const struct range_location *loc)
{
    struct lock_span **link = &t->spans;
    while (*link != NULL) {
        struct lock_span *s = *link;
        if (s->range == loc->id && slice_eq(s->start, loc->start) && slice_eq(s->end, loc->end)) {
            *link = s->next;
        } else {
            link = &s->next;
        }
    }
}

/* Shared locks, and locks of gaps, that are all in this range, under one term: the term under which
 * it commits. */
static bool shared_here(const struct commit *c, const struct range_location *loc,
                        uint64_t *ret_term)
{
    uint64_t term = 0;
    for (size_t i = 0; i < c->shared_count; i++) {
        const struct lock_span *s = c->t->span_of[c->shared_slots[i] - 1];
        if (slice_cmp(c->shared[i], loc->start) < 0 ||
            (loc->end.len != 0 && slice_cmp(c->shared[i], loc->end) >= 0) || s->lock_term == 0 ||
            (term != 0 && term != s->lock_term)) {
            return false;
        }
        term = s->lock_term;
    }
    for (const struct gap_lock *g = c->t->gaps; g != NULL; g = g->next) {
        bool inside = slice_cmp(g->start, loc->start) >= 0 &&
                      (loc->end.len == 0 || (g->end.len != 0 && slice_cmp(g->end, loc->end) <= 0));
        if (!inside || g->lock_term == 0 || (term != 0 && term != g->lock_term)) {
            return false;
        }
        term = g->lock_term;
    }
    *ret_term = term;
    return true;
}

static bool fits_1pc(const struct commit *c, const struct range_location *loc)
{
    return c->bytes <= COMMIT_1PC_BYTES_MAX && c->count <= COMMIT_1PC_KEYS_MAX &&
           (loc->end.len == 0 || slice_cmp(c->muts[c->count - 1].key, loc->end) < 0);
}

static void committed(struct one_phase *o, ts_t commit_ts)
{
    o->done = true;
    o->commit_ts = commit_ts;
}

static db_err note_span(struct one_phase *o, const struct route *route)
{
    struct lock_span *span;
    return ctxn_note_span(o->c->t, &route->loc, &span);
}

/* Asks the range of the primary. ERR_OK: it is committed (o->done), or with `fence` never will be;
 * ERR_TXN_NOT_FOUND, without `fence`: not committed yet. */
static db_err ask(struct one_phase *o, bool fence, struct diag *diag)
{
    struct commit *c = o->c;
    struct attempt at;
    attempt_init(&at, c->env->router);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        struct kv_check_txn_resp resp;
        TRY(route_find(&at, o->named->key, NULL, diag, &route));
        struct kv_check_txn_req req = {.r = route_request(&route, fiber_deadline(), c->arena),
                                       .primary = o->named->key,
                                       .start_ts = c->start_ts,
                                       .rollback_missing = fence,
                                       .retried_above = o->above,
                                       .fences = c->t->fences};
        db_err err = route.kv->ops->check_txn(route.kv, &req, diag, &reply, &resp);
        if (err == ERR_OK) {
            if (resp.state == KV_TXN_COMMITTED) {
                committed(o, resp.commit_ts);
            }
            return ERR_OK;
        }
        if (err == ERR_COMMIT_UNKNOWN) { /* the record's; asking again does no harm */
            err = ERR_UNAVAILABLE;
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

/* A try has failed with `err`, which may be an unknown outcome. ERR_OK: once more, or done. */
static db_err after_failure(struct one_phase *o, db_err err, struct resolver *resolver,
                            struct attempt *at, const struct route *route, struct kv_reply *reply,
                            struct diag *diag)
{
    struct commit *c = o->c;
    if (err == ERR_KEY_LOCKED) {
        err = resolve_lock(resolver, &reply->lock, diag);
    } else if (err == ERR_KEY_EXISTS) {
        TRY(commit_copy_conflict(c->t, reply->conflict_key));
    } else if (err == ERR_COMMIT_UNKNOWN && o->named != NULL) {
        o->doubt = true;
        err = ERR_UNAVAILABLE; /* as for finding who leads the range now */
    }
    if (err != ERR_OK) {
        err = attempt_again(at, err, route, reply, diag);
    }
    db_err noted = note_span(o, route);
    (void)noted; /* without memory the locks go with the lease */
    TRY(err);
    if (o->doubt) {
        err = ask(o, false, diag);
        err = err == ERR_TXN_NOT_FOUND ? ERR_OK : err;
    }
    return err;
}

/* ERR_OK and not done: it does not fit one range (any more). */
static db_err try_1pc(struct one_phase *o, struct diag *diag)
{
    struct commit *c = o->c;
    struct attempt at;
    struct resolver resolver;
    struct intents_met met = {0};
    uint64_t began_ns = clock_mono_ns();
    attempt_init(&at, c->env->router);
    resolver_init(&resolver, c->env, &met);
    while (!o->done) {
        struct route route;
        struct kv_reply reply = {0};
        struct kv_prewrite_resp resp;
        uint64_t shared_term = 0;
        TRY(route_find(&at, c->muts[0].key, c->arena, diag, &route));
        if (!fits_1pc(c, &route.loc) || !shared_here(c, &route.loc, &shared_term)) {
            return ERR_OK;
        }
        struct kv_prewrite_req req = {.r = route_request(&route, fiber_deadline(), c->arena),
                                      .mutations = c->muts,
                                      .count = c->count,
                                      .primary = o->named != NULL ? o->named->key : c->muts[0].key,
                                      .start_ts = c->start_ts,
                                      .lock_term = commit_lock_term(c, 0, c->count),
                                      .try_1pc = true,
                                      .lock_wait_ms = ctxn_lock_wait_left_ms(c->t, began_ns),
                                      .shared_term = shared_term,
                                      .fences = c->t->fences,
                                      .retried_above = o->doubt ? o->above : 0};
        db_err err = route.kv->ops->prewrite(route.kv, &req, diag, &reply, &resp);
        if (LIKELY(err == ERR_OK)) {
            forget_span(c->t, &route.loc);
            committed(o, resp.commit_ts);
        } else {
            TRY(after_failure(o, err, &resolver, &at, &route, &reply, diag));
        }
    }
    return ERR_OK;
}

/* Is there time, and somebody, to be asked? */
static bool may_ask(db_err err)
{
    return err != ERR_TIMEOUT && err != ERR_CANCELED && err != ERR_UNAVAILABLE &&
           err != ERR_SNAPSHOT_TOO_OLD;
}

/* A try may have been applied, and no other has a result: nothing is said before it is certain. */
static db_err settle(struct one_phase *o, db_err err, struct diag *diag)
{
    struct diag asked;
    diag_reset(&asked);
    db_err last = may_ask(err) ? ask(o, true, &asked) : err;
    if (last != ERR_OK) {
        return diag_set(diag, ERR_COMMIT_UNKNOWN, "the transaction may or may not be committed: %s",
                        err_text(last));
    }
    if (o->done) {
        return ERR_OK;
    }
    return err != ERR_OK ? err
                         : diag_set(diag, ERR_TXN_ABORTED, "%s: the range changed meanwhile",
                                    err_text(ERR_TXN_ABORTED));
}

db_err commit_1pc(struct commit *c, struct diag *diag, bool *ret_done, ts_t *ret_ts)
{
    struct one_phase o = {.c = c};
    ts_t floor = ctxn_hold(c->t); /* what is looked for is not collected */
    o.above = floor > c->start_ts ? floor : c->start_ts;
    for (size_t i = 0; i < c->count && o.named == NULL; i++) {
        o.named = c->muts[i].op != KV_LOCK_ONLY ? &c->muts[i] : NULL;
    }
    db_err err = try_1pc(&o, diag);
    if (UNLIKELY(o.doubt)) {
        if (!o.done) {
            err = settle(&o, err, diag);
        }
        bool left = err == ERR_COMMIT_UNKNOWN;
        atomic_fetch_add_explicit(left ? &c->env->doubts_left : &c->env->doubts_settled, 1,
                                  memory_order_relaxed);
        metrics_add(left ? METRIC_txn_doubts_left : METRIC_txn_doubts_settled, 1);
    }
    ctxn_unhold(c->t);
    TRY(err);
    *ret_done = o.done;
    if (o.done) {
        atomic_fetch_add_explicit(&c->env->commits_1pc, 1, memory_order_relaxed);
        *ret_ts = o.commit_ts;
    }
    return ERR_OK;
}
