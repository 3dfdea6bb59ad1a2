#include "cluster/txn/commit_int.h"

#include "base/assert.h"
#include "base/faults.h"

/* The end of a transaction that has written.
 *
 *   one range, not too much: one call checks and commits (1PC; one_phase.c).
 *   several ranges, few keys: async commit. Every intent carries a lower bound of the commit
 *     timestamp, the primary's names all keys; when all are written the transaction is committed,
 *     at the largest of the bounds. The intents are settled after the reply.
 *   else 2PC: all intents, then a commit timestamp, then the primary's commit decides.
 *
 * Shared locks on keys that are not written, and locks of gaps, must be held until after the commit
 * timestamp was given. They go with a lease. 1PC in the one range that has them all names the term;
 * else it is 2PC, which asks for them before it decides. A transaction that has written nothing
 * asks too, whatever kind its locks are of: what it read by and by under locks that were lost is no
 * state of any moment, and its client may have relied on keeping others out.
 *
 * When a prewrite fails, or the statement is cancelled before the decision, the intents are taken
 * back, the primary's first: whoever meets another one then need not wait. With 2PC nothing was
 * decided, so failure is certain whatever becomes of that. With async commit it is certain only
 * when the primary's rollback is recorded: somebody may have found all intents in place. */

db_err commit_copy_conflict(struct ctxn *t, struct slice key)
{
    if (t->base.conflict == NULL) {
        return ERR_OK;
    }
    buf_reset(t->base.conflict);
    return buf_append_slice(t->base.conflict, key);
}

void commit_note_spans(struct commit *c)
{
    struct attempt at;
    struct diag diag;
    attempt_init(&at, c->env->router);
    diag_reset(&diag);
    for (size_t i = 0; i < c->group_count; i++) {
        struct route route;
        struct lock_span *span;
        if (route_find(&at, c->muts[c->groups[i].first].key, c->arena, &diag, &route) != ERR_OK ||
            ctxn_note_span(c->t, &route.loc, &span) != ERR_OK) {
            return;
        }
    }
}

/* ---- several ranges ---- */

db_err commit_ttl(struct commit *c, struct diag *diag)
{
    ts_t now;
    TRY(ts_client_next(c->env->ts, diag, &now));
    uint64_t age_ms = (now >> TS_LOGICAL_BITS) - (c->start_ts >> TS_LOGICAL_BITS);
    c->ttl_ms = age_ms > UINT32_MAX - COMMIT_TTL_MS ? UINT32_MAX : (uint32_t)age_ms + COMMIT_TTL_MS;
    return ERR_OK;
}

static db_err prepare_intents(struct commit *c, struct diag *diag)
{
    TRY(commit_ttl(c, diag));
    c->primary = c->muts[0].key;
    c->async = c->count <= COMMIT_ASYNC_KEYS_MAX && c->key_bytes <= COMMIT_ASYNC_BYTES_MAX &&
               c->shared_count == 0 && c->t->gaps == NULL;
    if (c->async) {
        c->secondaries = ARENA_ARRAY(c->arena, struct slice, c->count);
        if (c->secondaries == NULL) {
            return ERR_NOMEM;
        }
        for (size_t i = 1; i < c->count; i++) {
            c->secondaries[i - 1] = c->muts[i].key;
        }
    }
    return ERR_OK;
}

static db_err rollback_groups(struct commit *c, struct diag *diag)
{
    db_err first = ERR_OK;
    for (size_t i = 0; i < c->group_count; i++) {
        const struct commit_group *g = &c->groups[i];
        if (!g->started && i != 0) {
            continue;
        }
        struct slice *keys = ARENA_ARRAY(c->arena, struct slice, g->count);
        db_err err = keys == NULL ? ERR_NOMEM : ERR_OK;
        for (size_t k = 0; err == ERR_OK && k < g->count; k++) {
            keys[k] = c->muts[g->first + k].key;
        }
        if (err == ERR_OK) {
            err = finish_keys(c->env, FINISH_ROLLBACK, c->start_ts, 0, keys, g->count, diag);
        }
        first = i == 0 ? err : first;
        if (c->async && first != ERR_OK) {
            return first; /* it is committed, or may be: the other intents are not ours to take */
        }
    }
    return first; /* of the primary's group: that is what counts */
}

/* Somebody found all intents of an async commit and finished it: at which time? */
static db_err committed_at(struct commit *c, struct diag *diag, ts_t *ret_ts)
{
    struct attempt at;
    attempt_init(&at, c->env->router);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        struct kv_check_txn_resp resp;
        TRY(route_find(&at, c->muts[0].key, NULL, diag, &route));
        struct kv_check_txn_req req = {.r = route_request(&route, fiber_deadline(), c->arena),
                                       .primary = c->muts[0].key,
                                       .start_ts = c->start_ts};
        db_err err = route.kv->ops->check_txn(route.kv, &req, diag, &reply, &resp);
        if (err == ERR_OK) {
            *ret_ts = resp.commit_ts;
            return resp.state == KV_TXN_COMMITTED ? ERR_OK : ERR_COMMIT_UNKNOWN;
        }
        err = err == ERR_COMMIT_UNKNOWN ? ERR_UNAVAILABLE : err; /* asking does no harm */
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

/* A prewrite has failed with `err`. */
static db_err give_up(struct commit *c, db_err err, struct slice conflict, struct diag *diag,
                      ts_t *ret_ts)
{
    if (err == ERR_KEY_EXISTS) {
        TRY(commit_copy_conflict(c->t, conflict));
    }
    commit_note_spans(c);
    struct undisturbed u;
    struct diag ignored;
    diag_reset(&ignored);
    undisturbed_begin(&u, clock_mono_ns() + 10 * NS_PER_S);
    db_err undone = rollback_groups(c, &ignored);
    if (c->async && undone == ERR_TXN_COMMITTED) {
        err = committed_at(c, diag, ret_ts);
    } else if (c->async && undone != ERR_OK) {
        err = diag_set(diag, ERR_COMMIT_UNKNOWN, "the transaction may or may not be committed: %s",
                       err_text(undone));
    }
    undisturbed_end(&u);
    return err;
}

db_err commit_primary(struct commit *c, ts_t commit_ts, struct diag *diag)
{
    struct slice key = c->primary;
    db_err err = finish_keys(c->env, FINISH_COMMIT, c->start_ts, commit_ts, &key, 1, diag);
    switch ((int)err) {
    case ERR_OK:
    case ERR_TXN_ABORTED: return err;
    case ERR_TXN_NOT_FOUND:
        return diag_set(diag, ERR_TXN_ABORTED, "the transaction took too long to commit");
    default:
        return diag_set(diag, ERR_COMMIT_UNKNOWN, "the transaction may or may not be committed: %s",
                        err_text(err));
    }
}

static db_err commit_intents(struct commit *c, struct diag *diag, ts_t *ret_ts)
{
    struct slice conflict = SLICE_EMPTY;
    struct heartbeat beat;
    TRY(prepare_intents(c, diag));
    TRY(commit_plan(c, diag));
    /* Many take long, and a few when one of them waits for a lock of somebody else. */
    bool beats = c->group_count > 1;
    if (beats) {
        heartbeat_start(&beat, c->env, c->muts[0].key, c->start_ts);
    }
    ts_t commit_ts = 0;
    db_err err = commit_prewrite_all(c, diag, &conflict);
    if (err != ERR_OK) {
        err = give_up(c, err, conflict, diag, &commit_ts);
        goto out;
    }
    commit_note_spans(c);
    FAULT(txn_after_prewrite);
    if (c->async) {
        for (size_t i = 0; i < c->group_count; i++) {
            ts_t ts = c->groups[i].min_commit_ts;
            commit_ts = ts > commit_ts ? ts : commit_ts;
        }
        atomic_fetch_add_explicit(&c->env->commits_async, 1, memory_order_relaxed);
        finish_in_background(c, commit_ts, 0);
    } else {
        err = ts_client_next(c->env->ts, diag, &commit_ts);
        err = err != ERR_OK ? err : commit_check_shared(c, diag);
        err = err == ERR_OK && fiber_canceled() ? ERR_CANCELED : err;
        if (err != ERR_OK) {
            err = give_up(c, err, conflict, diag, &commit_ts);
            goto out;
        }
        TRY_GOTO(commit_primary(c, commit_ts, diag), out);
        FAULT(txn_after_primary);
        atomic_fetch_add_explicit(&c->env->commits_2pc, 1, memory_order_relaxed);
        finish_in_background(c, commit_ts, 1);
    }
out:
    if (beats) {
        heartbeat_stop(&beat);
    }
    for (size_t i = 0; i < c->group_count; i++) {
        arena_fini(&c->groups[i].arena);
    }
    if (err == ERR_OK) {
        *ret_ts = commit_ts;
    }
    return err;
}

static db_err commit_writes(struct ctxn *t, struct diag *diag, ts_t *ret_ts)
{
    struct commit c = {.t = t, .env = t->env, .arena = &t->scratch};
    bool done;
    if (UNLIKELY(t->runs != NULL)) {
        if (write_runs_spilled(t->runs) || t->runs_checked) {
            return commit_bulk(t, diag, ret_ts);
        }
        TRY(commit_fold_runs(t, diag));
    }
    if (UNLIKELY(t->spill != NULL)) {
        return commit_bulk(t, diag, ret_ts);
    }
    TRY(ctxn_need_start(t, diag));
    c.start_ts = t->start_ts;
    TRY(commit_collect(&c));
    FAULT(txn_before_prewrite);
    TRY(commit_1pc(&c, diag, &done, ret_ts));
    return done ? ERR_OK : commit_intents(&c, diag, ret_ts);
}

static db_err commit_reads(struct ctxn *t, struct diag *diag)
{
    struct commit c = {
        .t = t, .env = t->env, .arena = &t->scratch, .start_ts = t->start_ts, .read_only = true};
    if (UNLIKELY(t->spill != NULL)) {
        TRY(ctxn_spill_rest(t, diag));
        return commit_check_spilled(&c, diag);
    }
    TRY(commit_collect_shared(&c));
    return commit_check_shared(&c, diag);
}

db_err ctxn_commit(struct ctxn *t, struct diag *diag, ts_t *ret_ts)
{
    db_err err = ERR_OK;
    ts_t ts = 0;
    if (t->state == TXN_ABORTED) {
        err = diag_set(diag, ERR_TXN_ABORTED, "%s", err_text(ERR_TXN_ABORTED));
    } else if (ctxn_has_writes(t)) {
        err = commit_writes(t, diag, &ts);
    } else if (t->spans != NULL && !t->opts.autocommit) {
        err = commit_reads(t, diag);
    }
    ASSERT(err != ERR_OK || !ctxn_has_writes(t) || ts > t->start_ts);
    ctxn_end(t);
    if (err == ERR_OK) {
        *ret_ts = ts;
    }
    return err;
}
