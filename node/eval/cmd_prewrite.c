/* prewrite: checks each mutation and commits at once (1PC) or leaves intents.
 *
 * 1PC: latches, checks, pending, a fresh commit_ts, propose, release of the transaction's row locks
 * in this range, latches off. The order "pending before timestamp" is what readers rely on.
 *
 * A key on which another transaction has a row lock may not be written: the latches are given back,
 * the row lock is taken (waiting, with deadlock detection) and everything begins again. So a write
 * without locks of its own, such as an autocommit INSERT, respects those of others. The locks taken
 * here belong to the transaction and go with it. In the same way a key that is to be inserted waits
 * for span locks of others, unless the transaction has its lock for an insert: then they wait for
 * this one.
 *
 * A 1PC that is repeated because the outcome of an earlier try is unknown (the range lost its
 * leader, the connection its reply) first looks whether that try was applied. It cannot be on its
 * way any more: what an earlier leaseholder had in its log is applied before the lease of now
 * began, or never will be; and what is being evaluated here has the latches. If it was applied, the
 * version that it wrote at its primary bears its name. If not, the request may still lie in some
 * queue; so the repetition, when it commits, records that at the primary, and every 1PC looks for
 * such a record of its own (eval.c says why this costs nothing).
 *
 * Intents of a transaction that is already known at the key (a retry) are left as they are, and so
 * is the bound of an async commit that they carry: whoever finds all intents in place computes the
 * commit timestamp from these, and must come to the same as the coordinator. A rollback record at
 * the key means that somebody has decided that the transaction never commits. */
#include "node/eval/eval.h"

#include "base/sim_break.h"
#include "node/eval/eval_int.h"

enum { ABSENT_KEYS_MIN = 16 }; /* keys to be looked for from which on new ones are expected */

struct prewrite {
    struct eval_range *r;
    const struct kv_prewrite_req *req;
    struct slice *keys;
    struct kv_value *newest; /* of the keys that have to be read */
    bool *have_intent;       /* own, from an earlier try */
    size_t intent_count;     /* such keys */
    ts_t min_commit_ts;      /* async: the largest of them */
    bool inserts;            /* some mutation does */
    uint64_t lock_term;      /* that locks of the transaction must be known by; 0: none is good */
    struct eval_write w;
};

static db_err conflict(struct slice key, db_err err, struct diag *diag, struct kv_reply *reply)
{
    reply->conflict_key = key;
    return diag_set(diag, err, "%s", err_text(err));
}

/* Under announced latches: the index of the first key that another transaction's span lock keeps
 * from being inserted, or count. */
static size_t span_conflict(struct prewrite *p)
{
    const struct kv_prewrite_req *req = p->req;
    if (LIKELY(!p->inserts || span_lock_count(p->r->locks) == 0)) {
        return req->count;
    }
    for (size_t i = 0; i < req->count; i++) {
        if (req->mutations[i].inserts &&
            span_lock_conflict(p->r->locks, p->keys[i], req->start_ts) &&
            row_lock_held(p->r->locks, p->keys[i], req->start_ts) != KV_LOCK_INSERT) {
            return i;
        }
    }
    return req->count;
}

/* Latches all keys while no other transaction has a row lock on any, or a span lock on one that is
 * new. */
static db_err begin(struct prewrite *p, struct diag *diag, struct kv_reply *reply)
{
    const struct kv_prewrite_req *req = p->req;
    for (;;) {
        TRY(eval__write_begin(&p->w, p->r, &req->r, p->keys, req->count, diag, reply));
        if (p->inserts) {
            latch_announce(&p->w.guard);
        }
        size_t at = row_lock_conflict(&p->w.guard, req->start_ts);
        if (LIKELY(at == req->count)) {
            at = span_conflict(p);
        }
        if (LIKELY(at == req->count)) {
            return ERR_OK;
        }
        eval__write_end(&p->w);
        uint32_t wait_ms = req->lock_wait_ms != 0 ? req->lock_wait_ms : EVAL_LOCK_WAIT_MS_MAX;
        enum kv_lock_mode mode = req->mutations[at].inserts ? KV_LOCK_INSERT : KV_LOCK_EXCLUSIVE;
        db_err err = row_lock(p->r->locks, p->keys[at], req->start_ts, req->r.owner, mode, KV_WAIT,
                              wait_ms, req->r.deadline_ns);
        if (err != ERR_OK) {
            return conflict(p->keys[at], err, diag, reply);
        }
    }
}

static db_err check_intents(struct prewrite *p, struct diag *diag, struct kv_reply *reply)
{
    const struct kv_prewrite_req *req = p->req;
    if (LIKELY(!eval__may_have_intents(p->r))) {
        return ERR_OK;
    }
    for (size_t i = 0; i < req->count; i++) {
        bool found;
        struct mvcc_intent in;
        TRY(mvcc_intent_get(p->r->engine, p->keys[i], req->r.arena, &found, &in));
        if (found && in.start_ts != req->start_ts) {
            return eval__key_locked(&in, p->keys[i], diag, reply);
        }
        p->have_intent[i] = found;
        p->intent_count += found;
        if (found && in.min_commit_ts > p->min_commit_ts) {
            p->min_commit_ts = in.min_commit_ts;
        }
    }
    return ERR_OK;
}

/* ERR_OK: nothing is recorded there. */
static db_err check_record(struct prewrite *p, struct slice key, struct diag *diag,
                           ts_t *ret_commit_ts)
{
    enum mvcc_txn_record rec;
    ts_t commit_ts = 0;
    TRY(mvcc_txn_get(p->r->engine, key, p->req->start_ts, p->req->r.arena, &rec, &commit_ts));
    *ret_commit_ts = commit_ts;
    if (rec == MVCC_TXN_NONE) {
        return ERR_OK;
    }
    db_err err = rec == MVCC_TXN_COMMITTED ? ERR_TXN_COMMITTED : ERR_TXN_ABORTED;
    return diag_set(diag, err, "%s", err_text(err));
}

/* 1PC: has this very transaction been decided? *ret_commit_ts not 0: an earlier try did it all. */
static db_err check_decided(struct prewrite *p, struct diag *diag, ts_t *ret_commit_ts)
{
    const struct kv_prewrite_req *req = p->req;
    bool retried = req->retried_above != 0;
    ts_t commit_ts = 0;
    if (eval__may_have_record(p->r, p->w.term, req->start_ts) && !SIM_BROKEN(LATE_1PC)) {
        db_err err = check_record(p, req->primary, diag, &commit_ts);
        if (err != ERR_OK && (err != ERR_TXN_COMMITTED || !retried)) {
            return err;
        }
    }
    if (retried && commit_ts == 0 && !SIM_BROKEN(RETRY_BLIND)) {
        TRY(mvcc_version_of(p->r->engine, req->primary, req->start_ts, req->retried_above,
                            req->r.arena, &commit_ts));
        if (commit_ts == 0 && engine_safe_point(p->r->engine) > req->retried_above) {
            return diag_set(diag, ERR_SNAPSHOT_TOO_OLD, "%s", err_text(ERR_SNAPSHOT_TOO_OLD));
        }
    }
    *ret_commit_ts = commit_ts;
    return ERR_OK;
}

/* Somebody may have decided about the transaction at one of the keys. */
static db_err check_records(struct prewrite *p, struct diag *diag)
{
    for (size_t i = 0; i < p->req->count; i++) {
        ts_t commit_ts;
        TRY(check_record(p, p->keys[i], diag, &commit_ts));
    }
    return ERR_OK;
}

/* Was the row lock held since the version was seen? Then nothing can be newer. */
static bool lock_still_held(struct prewrite *p, const struct kv_mutation *m)
{
    return p->req->lock_term != 0 && p->req->lock_term == p->lock_term &&
           row_lock_held(p->r->locks, m->key, p->req->start_ts) >= KV_LOCK_EXCLUSIVE;
}

static bool must_read(struct prewrite *p, const struct kv_mutation *m)
{
    switch (m->check) {
    case KV_CHECK_NONE: return false;
    case KV_CHECK_NOT_EXISTS:
    case KV_CHECK_VERSION: return true;
    case KV_CHECK_LOCKED: return !SIM_BROKEN(FENCE) && !lock_still_held(p, m);
    }
    return true;
}

static db_err check_one(const struct kv_mutation *m, const struct kv_value *newest,
                        struct diag *diag, struct kv_reply *reply)
{
    switch ((int)m->check) {
    case KV_CHECK_NOT_EXISTS:
        return newest->found ? conflict(m->key, ERR_KEY_EXISTS, diag, reply) : ERR_OK;
    case KV_CHECK_VERSION:
        return newest->version_ts > m->version_ts
                   ? conflict(m->key, ERR_WRITE_CONFLICT, diag, reply)
                   : ERR_OK;
    case KV_CHECK_LOCKED:
        return newest->version_ts > m->version_ts ? conflict(m->key, ERR_LOCK_LOST, diag, reply)
                                                  : ERR_OK;
    default: return ERR_OK;
    }
}

static db_err check_versions(struct prewrite *p, struct diag *diag, struct kv_reply *reply)
{
    const struct kv_prewrite_req *req = p->req;
    struct slice *keys = ARENA_ARRAY(req->r.arena, struct slice, req->count);
    const struct kv_mutation **which =
        ARENA_ARRAY(req->r.arena, const struct kv_mutation *, req->count);
    size_t n = 0;
    if (keys == NULL || which == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < req->count; i++) {
        if (!p->have_intent[i] && must_read(p, &req->mutations[i])) {
            which[n] = &req->mutations[i];
            keys[n++] = p->keys[i];
        }
    }
    size_t absent = 0;
    if (n >= ABSENT_KEYS_MIN) { /* no version passes every check */
        TRY(mvcc_absent(p->r->engine, keys, n, &absent));
    }
    if (n == absent) {
        return ERR_OK;
    }
    TRY(mvcc_multi_get(p->r->engine, keys + absent, n - absent, TS_MAX, req->r.arena,
                       p->newest + absent));
    for (size_t i = absent; i < n; i++) {
        TRY(check_one(which[i], &p->newest[i], diag, reply));
    }
    return ERR_OK;
}

static db_err write_1pc(struct prewrite *p, ts_t commit_ts)
{
    const struct kv_prewrite_req *req = p->req;
    for (size_t i = 0; i < req->count; i++) {
        const struct kv_mutation *m = &req->mutations[i];
        bool named = m->op != KV_LOCK_ONLY && slice_eq(m->key, req->primary);
        TRY(named ? mvcc_write_named(&p->w.batch, m->key, commit_ts, m->op, m->value, req->start_ts)
                  : mvcc_write_version(&p->w.batch, m->key, commit_ts, m->op, m->value));
    }
    if (UNLIKELY(req->retried_above != 0)) {
        eval__note_record(p->r, req->start_ts);
        TRY(mvcc_write_txn_record(&p->w.batch, req->primary, req->start_ts, MVCC_TXN_COMMITTED,
                                  commit_ts));
    }
    return ERR_OK;
}

static void unlock_rows(struct prewrite *p)
{
    db_err err = row_unlock_all(p->r->locks, p->req->start_ts);
    ASSERT(err == ERR_OK); /* who seals the table keeps commands out first */
}

static db_err commit_1pc(struct prewrite *p, struct diag *diag, struct kv_reply *reply,
                         struct kv_prewrite_resp *resp)
{
    const struct kv_prewrite_req *req = p->req;
    ts_t commit_ts;
    latch_begin_pending(&p->w.guard);
    TRY(p->r->ops->now_ts(p->r, diag, &commit_ts));
    ASSERT(commit_ts > req->start_ts);
    eval__records_known(p->r, p->w.term, commit_ts);
    if (req->shared_term != 0 && lock_table_fenced(p->r->locks, req->r.owner, req->start_ts)) {
        return conflict(p->keys[0], ERR_LOCK_LOST, diag, reply); /* somebody may commit before it */
    }
    latch_set_commit_ts(&p->w.guard, commit_ts);
    TRY(write_1pc(p, commit_ts));
    if (UNLIKELY(p->w.batch.count == 0)) { /* mere locks: no entry proves that the lease was held */
        struct slice none = SLICE_EMPTY;
        TRY(eval__check_again(p->r, &req->r, p->keys[0], none, p->w.term, diag, reply));
    }
    TRY(eval__write_propose(&p->w, diag, reply));
    unlock_rows(p);
    resp->commit_ts = commit_ts;
    return ERR_OK;
}

/* An earlier try was applied. Nothing is proposed, so the lease is looked at once more. */
static db_err done_before(struct prewrite *p, ts_t commit_ts, struct diag *diag,
                          struct kv_reply *reply, struct kv_prewrite_resp *resp)
{
    struct slice none = SLICE_EMPTY;
    TRY(eval__check_again(p->r, &p->req->r, p->keys[0], none, p->w.term, diag, reply));
    unlock_rows(p);
    resp->commit_ts = commit_ts;
    return ERR_OK;
}

/* An earlier try has written all of them. Nothing is proposed, so nothing else says that they had
 * not been settled by another leaseholder. */
static db_err all_there(struct prewrite *p, struct diag *diag, struct kv_reply *reply,
                        struct kv_prewrite_resp *resp)
{
    struct slice none = SLICE_EMPTY;
    TRY(eval__check_again(p->r, &p->req->r, p->keys[0], none, p->w.term, diag, reply));
    resp->min_commit_ts = p->min_commit_ts;
    return ERR_OK;
}

static db_err write_intents(struct prewrite *p, struct diag *diag, struct kv_reply *reply,
                            struct kv_prewrite_resp *resp)
{
    const struct kv_prewrite_req *req = p->req;
    if (p->intent_count == req->count) {
        return all_there(p, diag, reply, resp);
    }
    if (req->async_commit) {
        ts_t ts;
        latch_begin_pending(&p->w.guard);
        TRY(p->r->ops->now_ts(p->r, diag, &ts));
        p->min_commit_ts = ts > p->min_commit_ts ? ts : p->min_commit_ts;
        latch_set_commit_ts(&p->w.guard, p->min_commit_ts);
    }
    for (size_t i = 0; i < req->count; i++) {
        const struct kv_mutation *m = &req->mutations[i];
        if (p->have_intent[i]) {
            continue;
        }
        bool primary = slice_eq(m->key, req->primary);
        struct mvcc_intent in = {.op = m->op,
                                 .async_commit = req->async_commit,
                                 .start_ts = req->start_ts,
                                 .min_commit_ts = req->async_commit ? p->min_commit_ts : 0,
                                 .ttl_ms = req->ttl_ms,
                                 .primary = req->primary,
                                 .value = m->op == KV_PUT ? m->value : SLICE_EMPTY};
        if (primary && req->async_commit) {
            in.secondaries = (struct slice *)(uintptr_t)req->secondaries;
            in.secondary_count = req->secondary_count;
        }
        TRY(mvcc_write_intent(&p->w.batch, m->key, &in));
        p->w.intents_added++;
    }
    if (p->w.batch.buf.len > EVAL_INTENTS_BYTES_MAX) {
        return diag_set(diag, ERR_LIMIT, "a write of %zu bytes; at most %d go at once",
                        p->w.batch.buf.len, EVAL_INTENTS_BYTES_MAX);
    }
    TRY(eval__write_propose(&p->w, diag, reply));
    resp->min_commit_ts = req->async_commit ? p->min_commit_ts : 0;
    return ERR_OK;
}

static db_err run(struct prewrite *p, struct diag *diag, struct kv_reply *reply,
                  struct kv_prewrite_resp *resp)
{
    ts_t commit_ts = 0;
    if (p->req->try_1pc) {
        TRY(check_decided(p, diag, &commit_ts));
    }
    if (UNLIKELY(commit_ts != 0)) {
        return done_before(p, commit_ts, diag, reply, resp);
    }
    p->lock_term = eval__lock_term(p->r, &p->req->r, p->req->start_ts);
    if (p->req->shared_term != 0 && p->req->shared_term != p->lock_term) {
        return conflict(p->keys[0], ERR_LOCK_LOST, diag, reply);
    }
    TRY(check_intents(p, diag, reply));
    if (!p->req->try_1pc && !SIM_BROKEN(RECORDS)) {
        TRY(check_records(p, diag));
    }
    TRY(check_versions(p, diag, reply));
    return p->req->try_1pc ? commit_1pc(p, diag, reply, resp) : write_intents(p, diag, reply, resp);
}

db_err eval_prewrite(struct eval_range *r, const struct kv_prewrite_req *req, struct diag *diag,
                     struct kv_reply *reply, struct kv_prewrite_resp *ret_resp)
{
    struct prewrite p = {.r = r, .req = req};
    struct kv_prewrite_resp resp = {0};
    if (r->ops->admit != NULL) {
        TRY(r->ops->admit(r, diag));
    }
    if (r->ops->vouch != NULL) {
        TRY(r->ops->vouch(r, req->r.owner, req->fences, diag));
    }
    p.keys = ARENA_ARRAY(req->r.arena, struct slice, req->count);
    p.newest = ARENA_ARRAY(req->r.arena, struct kv_value, req->count);
    p.have_intent = ARENA_ARRAY(req->r.arena, bool, req->count);
    if (p.keys == NULL || p.newest == NULL || p.have_intent == NULL) {
        return ERR_NOMEM;
    }
    if (req->count == 0) {
        return diag_set(diag, ERR_INVALID, "prewrite: no mutations");
    }
    for (size_t i = 0; i < req->count; i++) {
        p.keys[i] = req->mutations[i].key;
        p.inserts = p.inserts || req->mutations[i].inserts;
        if (i != 0 && slice_cmp(p.keys[i - 1], p.keys[i]) >= 0) {
            return diag_set(diag, ERR_INVALID, "prewrite: keys do not ascend");
        }
    }
    TRY(begin(&p, diag, reply));
    db_err err = run(&p, diag, reply, &resp);
    eval__write_end(&p.w);
    if (err == ERR_OK) {
        if (r->ops->note_load != NULL) {
            r->ops->note_load(r, p.keys[req->count / 2], UNITS_PER_WRITE + (unsigned)req->count);
        }
        *ret_resp = resp;
    }
    return err;
}
