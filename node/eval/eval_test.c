/* Evaluation over a real engine and a range that applies at once: a random history against a model,
 * and transfers on several loops with snapshot readers in between. */
#include "node/eval/eval.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fiber.h"
#include "base/rand.h"
#include "base/test_main.h"
#include "node/eval/eval_int.h"
#include "node/eval/testing.h"
#include "node/mvcc/mvcc.h"

/* ---- the model ---- */

enum { MODEL_KEYS = 40, MODEL_VERSIONS = 4000 };

struct model_version {
    ts_t ts;
    unsigned key;
    bool del;
    uint64_t value;
};

struct model {
    struct model_version v[MODEL_VERSIONS];
    size_t count;
};

static struct slice model_key(struct arena *a, unsigned k)
{
    /* Lengths differ, so that keys are prefixes of each other. */
    char *p = arena_printf(a, "k%.*s%u", (int)(k % 5), "\xff\x01zzz", k / 5);
    CHECK(p != NULL);
    return slice_str(p);
}

static const struct model_version *model_get(const struct model *m, unsigned key, ts_t ts)
{
    const struct model_version *best = NULL;
    for (size_t i = 0; i < m->count; i++) {
        if (m->v[i].key == key && m->v[i].ts <= ts && (best == NULL || m->v[i].ts > best->ts)) {
            best = &m->v[i];
        }
    }
    return best;
}

struct model_order {
    struct slice key;
    unsigned k;
};

static int cmp_order(const void *a, const void *b)
{
    return slice_cmp(((const struct model_order *)a)->key, ((const struct model_order *)b)->key);
}

static void check_reads(struct fake_range *f, const struct model *m, struct rand *rnd, ts_t ts,
                        const struct model_order *order, struct arena *a)
{
    struct kv_reply reply = {0};
    for (int i = 0; i < 4; i++) {
        unsigned k = (unsigned)rand_below(rnd, MODEL_KEYS);
        const struct model_version *want = model_get(m, k, ts);
        struct kv_get_req req = {.r = request(a), .key = model_key(a, k), .read_ts = ts};
        struct kv_value got;
        CHECK_OK(eval_get(&f->r, &req, NULL, &reply, &got));
        CHECK(got.found == (want != NULL && !want->del));
        if (got.found) {
            CHECK(got.version_ts == want->ts);
            CHECK(got.value.len == 8 && memcmp(got.value.ptr, &want->value, 8) == 0);
        }
    }
    unsigned lo = (unsigned)rand_below(rnd, MODEL_KEYS);
    unsigned hi = lo + (unsigned)rand_below(rnd, MODEL_KEYS - lo);
    bool reverse = rand_below(rnd, 2) == 0;
    struct kv_scan_req req = {.r = request(a),
                              .start = order[lo].key,
                              .end = order[hi].key,
                              .reverse = reverse,
                              .rows_max = 1 + (uint32_t)rand_below(rnd, 5),
                              .bytes_max = 1000,
                              .read_ts = ts};
    unsigned at = reverse ? hi : lo;
    for (;;) {
        struct kv_scan_resp resp;
        CHECK_OK(eval_scan(&f->r, &req, NULL, &reply, &resp));
        for (size_t i = 0; i < resp.count; i++) {
            const struct model_version *want = NULL;
            while (want == NULL || want->del) {
                CHECK(reverse ? at > lo : at < hi);
                at = reverse ? at - 1 : at;
                want = model_get(m, order[at].k, ts);
                CHECK(want == NULL || want->del || slice_eq(resp.pairs[i].key, order[at].key));
                at = reverse ? at : at + 1;
            }
            CHECK(memcmp(resp.pairs[i].value.ptr, &want->value, 8) == 0);
        }
        if (!resp.more) {
            break;
        }
        *(reverse ? &req.end : &req.start) = resp.resume;
    }
    while (reverse ? at > lo : at < hi) {
        at = reverse ? at - 1 : at;
        const struct model_version *want = model_get(m, order[at].k, ts);
        CHECK(want == NULL || want->del);
        at = reverse ? at : at + 1;
    }
}

static bool may_have_intents(struct fake_range *f)
{
    return (atomic_load(&f->r.intents) & ((UINT64_C(1) << INTENTS_BITS) - 1)) != 0;
}

/* One transaction: 1PC, or 2PC that commits, is rolled back, or is abandoned and resolved. */
static void model_txn(struct fake_range *f, struct model *m, struct rand *rnd,
                      const struct model_order *order, struct arena *a)
{
    struct kv_mutation mut[4];
    struct slice keys[4];
    uint64_t values[4];
    unsigned at[4];
    size_t n = 0;
    struct kv_reply reply = {0};
    for (unsigned i = (unsigned)rand_below(rnd, 8); i < MODEL_KEYS && n < 4;
         i += 1 + (unsigned)rand_below(rnd, 16)) {
        values[n] = rand_u64(rnd);
        at[n] = i;
        keys[n] = order[i].key;
        mut[n] = (struct kv_mutation){.op = rand_below(rnd, 4) == 0 ? KV_DELETE : KV_PUT,
                                      .key = keys[n],
                                      .value = slice_of(&values[n], 8)};
        n++;
    }
    struct kv_prewrite_req pw = {.r = request(a),
                                 .mutations = mut,
                                 .count = n,
                                 .primary = keys[0],
                                 .start_ts = now_ts(f),
                                 .ttl_ms = 0,
                                 .try_1pc = rand_below(rnd, 2) == 0,
                                 .async_commit = rand_below(rnd, 2) == 0};
    pw.async_commit = pw.async_commit && !pw.try_1pc;
    struct kv_prewrite_resp resp;
    struct diag d;
    diag_reset(&d);
    db_err err = eval_prewrite(&f->r, &pw, &d, &reply, &resp);
    if (err != ERR_OK) {
        (void)fprintf(stderr, "prewrite: %s: %s\n", err_name(err), d.text);
    }
    CHECK_OK(err);
    ts_t commit_ts = resp.commit_ts;
    if (!pw.try_1pc) {
        struct kv_get_req get = {.r = request(a), .key = keys[0], .read_ts = now_ts(f)};
        struct kv_value v;
        CHECK(eval_get(&f->r, &get, NULL, &reply, &v) == ERR_KEY_LOCKED);
        CHECK(reply.lock.start_ts == pw.start_ts && slice_eq(reply.lock.primary, keys[0]));
        get.own_ts = pw.start_ts;
        CHECK_OK(eval_get(&f->r, &get, NULL, &reply, &v));
        CHECK_OK(eval_prewrite(&f->r, &pw, NULL, &reply, &resp)); /* a retry */
        struct kv_txn_keys_req end = {
            .r = request(a), .keys = keys, .count = n, .start_ts = pw.start_ts};
        struct kv_resolve_req resolve = {.r = request(a), .start_ts = pw.start_ts};
        uint64_t what = rand_below(rnd, 3);
        if (what == 0) {
            CHECK_OK(eval_rollback(&f->r, &end, NULL, &reply));
            CHECK_OK(eval_rollback(&f->r, &end, NULL, &reply));
            CHECK(eval_prewrite(&f->r, &pw, NULL, &reply, &resp) == ERR_TXN_ABORTED);
        } else {
            end.commit_ts = commit_ts = now_ts(f);
            end.count = what == 1 ? n : 1;
            CHECK_OK(eval_commit(&f->r, &end, NULL, &reply));
            CHECK_OK(eval_commit(&f->r, &end, NULL, &reply));
            struct kv_check_txn_req check = {
                .r = request(a), .primary = keys[0], .start_ts = pw.start_ts};
            struct kv_check_txn_resp state;
            CHECK_OK(eval_check_txn(&f->r, &check, NULL, &reply, &state));
            CHECK(state.state == KV_TXN_COMMITTED && state.commit_ts == commit_ts);
            resolve.commit_ts = commit_ts;
            end.count = 1;
            CHECK(eval_rollback(&f->r, &end, NULL, &reply) == ERR_TXN_COMMITTED);
        }
        CHECK_OK(eval_resolve(&f->r, &resolve, NULL, &reply));
    }
    for (size_t i = 0; i < n && commit_ts != 0; i++) {
        CHECK(m->count < MODEL_VERSIONS);
        m->v[m->count++] = (struct model_version){.ts = commit_ts,
                                                  .key = order[at[i]].k,
                                                  .del = mut[i].op == KV_DELETE,
                                                  .value = values[i]};
    }
}

static void model_fiber(void *arg UNUSED)
{
    static struct model m;
    struct fake_range f;
    struct rand rnd;
    struct arena keep, a;
    struct model_order order[MODEL_KEYS];
    fake_open(&f, "model");
    arena_init(&keep, NULL, NULL, 0);
    arena_init(&a, NULL, NULL, 0);
    rand_seed(&rnd, 42);
    for (unsigned k = 0; k < MODEL_KEYS; k++) {
        order[k] = (struct model_order){model_key(&keep, k), k};
    }
    qsort(order, MODEL_KEYS, sizeof(order[0]), cmp_order);
    CHECK_OK(eval_range_lease_begin(&f.r, SLICE_EMPTY, SLICE_EMPTY, f.term, NULL));
    ts_t safe = 0;
    for (int i = 0; i < 1200; i++) {
        model_txn(&f, &m, &rnd, order, &a);
        CHECK(!may_have_intents(&f));
        ts_t newest = now_ts(&f);
        for (int k = 0; k < 3; k++) {
            check_reads(&f, &m, &rnd, safe + rand_below(&rnd, newest - safe + 1), order, &a);
        }
        check_reads(&f, &m, &rnd, TS_MAX, order, &a);
        if (i % 100 == 50) {
            safe = safe + rand_below(&rnd, newest - safe + 1);
            engine_set_safe_point(f.r.engine, safe, NULL, 0);
            CHECK_OK(engine_flush_wait(f.r.engine));
        }
        if (i % 300 == 299) {
            CHECK_OK(engine_compact(f.r.engine, ENGINE_DATA, SLICE_EMPTY, SLICE_EMPTY));
            size_t dropped;
            struct buf cursor;
            struct kv_reply reply = {0};
            struct kv_request req = request(&a);
            buf_init(&cursor, 1 << 20);
            CHECK_OK(eval_gc(&f.r, &req, SLICE_EMPTY, SLICE_EMPTY, safe, 100000, &cursor, NULL,
                             &reply, &dropped));
            buf_fini(&cursor);
        }
        arena_reset(&a);
    }
    struct engine_stats st;
    engine_get_stats(f.r.engine, &st);
    CHECK(st.gc_versions > 0);
    arena_fini(&a);
    arena_fini(&keep);
    fake_close(&f);
}

static void test_model(void **state UNUSED)
{
    CHECK_OK(loop_run_main(model_fiber, NULL));
}

/* ---- checks of mutations, expiry, fencing ---- */

static db_err put_1pc(struct fake_range *f, struct arena *a, const char *key, enum kv_check check,
                      ts_t version_ts, uint64_t lock_term, ts_t start_ts, ts_t *ret_ts)
{
    struct kv_mutation m = {.op = KV_PUT,
                            .check = check,
                            .key = slice_str(key),
                            .value = SLICE_LIT("v"),
                            .version_ts = version_ts};
    struct kv_prewrite_req pw = {.r = request(a),
                                 .mutations = &m,
                                 .count = 1,
                                 .primary = m.key,
                                 .start_ts = start_ts,
                                 .lock_term = lock_term,
                                 .try_1pc = true};
    struct kv_prewrite_resp resp;
    struct kv_reply reply = {0};
    TRY(eval_prewrite(&f->r, &pw, NULL, &reply, &resp));
    *ret_ts = resp.commit_ts;
    return ERR_OK;
}

static void checks_fiber(void *arg UNUSED)
{
    struct fake_range f;
    struct arena a;
    struct kv_reply reply = {0};
    ts_t ts, ts2;
    fake_open(&f, "checks");
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(eval_range_lease_begin(&f.r, SLICE_EMPTY, SLICE_EMPTY, f.term, NULL));
    CHECK_OK(put_1pc(&f, &a, "a", KV_CHECK_NOT_EXISTS, 0, 0, now_ts(&f), &ts));
    CHECK(put_1pc(&f, &a, "a", KV_CHECK_NOT_EXISTS, 0, 0, now_ts(&f), &ts2) == ERR_KEY_EXISTS);
    CHECK(put_1pc(&f, &a, "a", KV_CHECK_VERSION, ts - 1, 0, now_ts(&f), &ts2) ==
          ERR_WRITE_CONFLICT);
    CHECK_OK(put_1pc(&f, &a, "a", KV_CHECK_VERSION, ts, 0, now_ts(&f), &ts2));
    /* Fencing: held since; term changed and nothing newer; term changed and something newer. */
    struct slice key = SLICE_LIT("a");
    struct kv_lock_req lk = {.r = request(&a),
                             .keys = &key,
                             .count = 1,
                             .own_ts = now_ts(&f),
                             .mode = KV_LOCK_EXCLUSIVE,
                             .lock_wait_ms = 10,
                             .want_values = true};
    struct kv_lock_resp lr;
    CHECK_OK(eval_lock(&f.r, &lk, NULL, &reply, &lr));
    CHECK(lr.values[0].found && lr.values[0].version_ts == ts2 && lr.lock_term == 7);
    struct kv_lock_req other = lk;
    other.own_ts = now_ts(&f);
    CHECK(eval_lock(&f.r, &other, NULL, &reply, &lr) == ERR_LOCK_WAIT_TIMEOUT);
    other.wait = KV_NOWAIT;
    CHECK(eval_lock(&f.r, &other, NULL, &reply, &lr) == ERR_LOCK_NOWAIT);
    other.wait = KV_SKIP_LOCKED;
    CHECK_OK(eval_lock(&f.r, &other, NULL, &reply, &lr));
    CHECK(lr.values[0].skipped);
    CHECK_OK(put_1pc(&f, &a, "a", KV_CHECK_LOCKED, ts2, 7, lk.own_ts, &ts));
    CHECK(row_lock_count(f.r.locks) == 0);
    CHECK_OK(put_1pc(&f, &a, "a", KV_CHECK_LOCKED, ts, 6, now_ts(&f), &ts2));
    CHECK(put_1pc(&f, &a, "a", KV_CHECK_LOCKED, ts, 6, now_ts(&f), &ts) == ERR_LOCK_LOST);
    /* An owner that is gone: check_txn rolls it back when its time is over, not before. */
    struct kv_mutation m = {.op = KV_PUT, .key = key, .value = SLICE_LIT("x")};
    struct kv_prewrite_req pw = {.r = request(&a),
                                 .mutations = &m,
                                 .count = 1,
                                 .primary = key,
                                 .start_ts = now_ts(&f),
                                 .ttl_ms = 1000};
    struct kv_prewrite_resp resp;
    CHECK_OK(eval_prewrite(&f.r, &pw, NULL, &reply, &resp));
    struct kv_check_txn_req ct = {
        .r = request(&a), .primary = key, .start_ts = pw.start_ts, .caller_ts = now_ts(&f)};
    struct kv_check_txn_resp state;
    CHECK_OK(eval_check_txn(&f.r, &ct, NULL, &reply, &state));
    CHECK(state.state == KV_TXN_RUNNING && state.ttl_ms > 0);
    struct kv_heartbeat_req hb = {
        .r = request(&a), .primary = key, .start_ts = pw.start_ts, .ttl_ms = 5000};
    CHECK_OK(eval_heartbeat(&f.r, &hb, NULL, &reply));
    ct.caller_ts = 3000ull << TS_LOGICAL_BITS;
    CHECK_OK(eval_check_txn(&f.r, &ct, NULL, &reply, &state));
    CHECK(state.state == KV_TXN_RUNNING && state.ttl_ms == 2000);
    ct.caller_ts = 6000ull << TS_LOGICAL_BITS;
    CHECK_OK(eval_check_txn(&f.r, &ct, NULL, &reply, &state));
    CHECK(state.state == KV_TXN_ROLLED_BACK);
    struct kv_txn_keys_req cm = {.r = request(&a),
                                 .keys = &key,
                                 .count = 1,
                                 .start_ts = pw.start_ts,
                                 .commit_ts = now_ts(&f)};
    CHECK(eval_commit(&f.r, &cm, NULL, &reply) == ERR_TXN_ABORTED);
    ct.start_ts = now_ts(&f);
    CHECK(eval_check_txn(&f.r, &ct, NULL, &reply, &state) == ERR_TXN_NOT_FOUND);
    ct.rollback_missing = true;
    CHECK_OK(eval_check_txn(&f.r, &ct, NULL, &reply, &state));
    pw.start_ts = ct.start_ts;
    CHECK(eval_prewrite(&f.r, &pw, NULL, &reply, &resp) == ERR_TXN_ABORTED);
    struct kv_delete_range_req dr = {
        .r = request(&a), .start = SLICE_LIT("a"), .end = SLICE_LIT("b")};
    CHECK_OK(eval_delete_range(&f.r, &dr, NULL, &reply));
    struct kv_get_req get = {.r = request(&a), .key = key, .read_ts = TS_MAX};
    struct kv_value v;
    CHECK_OK(eval_get(&f.r, &get, NULL, &reply, &v));
    CHECK(!v.found && v.version_ts == 0);
    arena_fini(&a);
    fake_close(&f);
}

static void test_checks(void **state UNUSED)
{
    CHECK_OK(loop_run_main(checks_fiber, NULL));
}

/* ---- a lease that goes and comes ---- */

static db_err put_intent(struct fake_range *f, struct arena *a, const char *key, ts_t start_ts,
                         struct kv_prewrite_resp *ret_resp)
{
    struct kv_reply reply = {0};
    struct kv_mutation m = {.op = KV_PUT, .key = slice_str(key), .value = SLICE_LIT("v")};
    struct kv_prewrite_req pw = {.r = request(a),
                                 .mutations = &m,
                                 .count = 1,
                                 .primary = m.key,
                                 .start_ts = start_ts,
                                 .ttl_ms = 1000,
                                 .async_commit = true};
    return eval_prewrite(&f->r, &pw, NULL, &reply, ret_resp);
}

static bool is_locked(struct fake_range *f, struct arena *a, const char *key)
{
    struct kv_reply reply = {0};
    struct kv_value v;
    struct kv_get_req get = {.r = request(a), .key = slice_str(key), .read_ts = now_ts(f)};
    return eval_get(&f->r, &get, NULL, &reply, &v) == ERR_KEY_LOCKED;
}

/* A write hears of its fate after the intents were counted anew: they stay counted. */
static void late_outcomes_fiber(void *arg UNUSED)
{
    struct fake_range f;
    struct arena a;
    struct kv_prewrite_resp resp;
    struct kv_reply reply = {0};
    fake_open(&f, "late");
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(eval_range_lease_begin(&f.r, SLICE_EMPTY, SLICE_EMPTY, f.term, NULL));
    CHECK_OK(put_intent(&f, &a, "a", now_ts(&f), &resp));
    f.lose_lease = true;
    f.outcome = ERR_NOT_LEADER; /* not applied: what it added is taken off */
    CHECK(put_intent(&f, &a, "b", now_ts(&f), &resp) == ERR_NOT_LEADER);
    CHECK(is_locked(&f, &a, "a") && !is_locked(&f, &a, "b"));
    ts_t start_ts = now_ts(&f);
    CHECK_OK(put_intent(&f, &a, "c", start_ts, &resp));
    struct slice key = SLICE_LIT("c");
    struct kv_txn_keys_req commit = {.r = request(&a),
                                     .keys = &key,
                                     .count = 1,
                                     .start_ts = start_ts,
                                     .commit_ts = resp.min_commit_ts};
    f.lose_lease = true;
    f.outcome = ERR_OK; /* applied: what it removed is taken off */
    CHECK_OK(eval_commit(&f.r, &commit, NULL, &reply));
    CHECK(is_locked(&f, &a, "a") && !is_locked(&f, &a, "c"));
    arena_fini(&a);
    fake_close(&f);
}

/* Nobody knows how many intents there are: who settles all of the range finds that none is left,
 * but not while a write may still come. */
static void none_left_fiber(void *arg UNUSED)
{
    struct fake_range f;
    struct arena a;
    struct kv_prewrite_resp resp;
    struct kv_reply reply = {0};
    fake_open(&f, "none_left");
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(eval_range_lease_begin(&f.r, SLICE_EMPTY, SLICE_EMPTY, f.term, NULL));
    ts_t start_ts = now_ts(&f);
    CHECK_OK(put_intent(&f, &a, "a", start_ts, &resp));
    atomic_store(&f.r.intents, INTENTS_UNKNOWN);
    ts_t other_ts = now_ts(&f);
    CHECK_OK(put_intent(&f, &a, "b", other_ts, &resp));
    struct kv_resolve_req resolve = {.r = request(&a), .start_ts = start_ts};
    CHECK_OK(eval_resolve(&f.r, &resolve, NULL, &reply));
    CHECK(may_have_intents(&f) && !is_locked(&f, &a, "a") && is_locked(&f, &a, "b"));
    resolve.start_ts = other_ts;
    CHECK_OK(eval_resolve(&f.r, &resolve, NULL, &reply));
    CHECK(!may_have_intents(&f) && !is_locked(&f, &a, "b"));

    f.unknown = true;
    CHECK(put_intent(&f, &a, "c", now_ts(&f), &resp) == ERR_COMMIT_UNKNOWN);
    CHECK_OK(eval_resolve(&f.r, &resolve, NULL, &reply));
    CHECK(may_have_intents(&f));
    f.term++;
    CHECK_OK(eval_range_lease_begin(&f.r, SLICE_EMPTY, SLICE_EMPTY, f.term, NULL));
    CHECK(!may_have_intents(&f));
    arena_fini(&a);
    fake_close(&f);
}

static void test_none_left(void **state UNUSED)
{
    assert_int_equal(loop_run_main(none_left_fiber, NULL), ERR_OK);
}

static void test_late_outcomes(void **state UNUSED)
{
    assert_int_equal(loop_run_main(late_outcomes_fiber, NULL), ERR_OK);
}

/* All who compute the commit timestamp of an async commit come to the same, also when the
 * coordinator had to ask twice. */
static void repeated_fiber(void *arg UNUSED)
{
    struct fake_range f;
    struct arena a;
    struct kv_prewrite_resp first, second;
    fake_open(&f, "repeated");
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(eval_range_lease_begin(&f.r, SLICE_EMPTY, SLICE_EMPTY, f.term, NULL));
    ts_t start_ts = now_ts(&f);
    CHECK_OK(put_intent(&f, &a, "a", start_ts, &first));
    (void)now_ts(&f);
    CHECK_OK(put_intent(&f, &a, "a", start_ts, &second));
    CHECK(first.min_commit_ts > start_ts && second.min_commit_ts == first.min_commit_ts);
    /* shared locks of another term are gone */
    struct kv_reply reply = {0};
    struct kv_mutation m = {.op = KV_PUT, .key = SLICE_LIT("b"), .value = SLICE_LIT("v")};
    struct kv_prewrite_req pw = {.r = request(&a),
                                 .mutations = &m,
                                 .count = 1,
                                 .primary = m.key,
                                 .start_ts = now_ts(&f),
                                 .try_1pc = true,
                                 .shared_term = f.term - 1};
    CHECK(eval_prewrite(&f.r, &pw, NULL, &reply, &first) == ERR_LOCK_LOST);
    pw.shared_term = f.term;
    CHECK_OK(eval_prewrite(&f.r, &pw, NULL, &reply, &first));
    arena_fini(&a);
    fake_close(&f);
}

static void test_repeated_prewrite(void **state UNUSED)
{
    assert_int_equal(loop_run_main(repeated_fiber, NULL), ERR_OK);
}

/* ---- owners that were taken for dead ---- */

static bool everybody(void *ctx UNUSED, lock_owner_t owner UNUSED)
{
    return true;
}

struct holder {
    struct fake_range *f;
    struct arena *a;
    ts_t start_ts;
    ts_t version_ts;
    uint64_t lock_term;
};

static db_err hold(struct holder *h, lock_owner_t owner, const char *key, enum kv_lock_mode mode)
{
    struct slice k = slice_str(key);
    struct kv_lock_req lk = {.r = request(h->a),
                             .keys = &k,
                             .count = 1,
                             .own_ts = h->start_ts,
                             .mode = mode,
                             .lock_wait_ms = 10,
                             .want_values = true};
    struct kv_lock_resp lr;
    struct kv_reply reply = {0};
    lk.r.owner = owner;
    TRY(eval_lock(&h->f->r, &lk, NULL, &reply, &lr));
    h->version_ts = lr.values[0].version_ts;
    h->lock_term = lr.lock_term;
    return ERR_OK;
}

/* As a coordinator that was stopped and has come back commits. */
static db_err commit_held(struct holder *h, lock_owner_t owner, const char *key, bool written,
                          uint64_t shared_term)
{
    struct kv_mutation m = {.op = KV_PUT,
                            .check = written ? KV_CHECK_LOCKED : KV_CHECK_NONE,
                            .key = slice_str(key),
                            .value = SLICE_LIT("mine"),
                            .version_ts = h->version_ts};
    struct kv_prewrite_req pw = {.r = request(h->a),
                                 .mutations = &m,
                                 .count = 1,
                                 .primary = m.key,
                                 .start_ts = h->start_ts,
                                 .lock_term = written ? h->lock_term : 0,
                                 .try_1pc = true,
                                 .shared_term = shared_term,
                                 .lock_wait_ms = 1000};
    struct kv_prewrite_resp resp;
    struct kv_reply reply = {0};
    pw.r.owner = owner;
    return eval_prewrite(&h->f->r, &pw, NULL, &reply, &resp);
}

static void overtaker_fiber(void *arg)
{
    struct holder *h = arg;
    CHECK_OK(fiber_sleep(5 * NS_PER_MS));
    CHECK_OK(commit_held(h, lock_owner_make(3, 1), "a", true, 0));
}

static void owners_fiber(void *arg UNUSED)
{
    struct fake_range f;
    struct arena a;
    lock_owner_t two = lock_owner_make(2, 1);
    lock_owner_t three = lock_owner_make(3, 1);
    ts_t ts;
    fake_open(&f, "owners");
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(eval_range_lease_begin(&f.r, SLICE_EMPTY, SLICE_EMPTY, f.term, NULL));
    CHECK_OK(put_1pc(&f, &a, "a", KV_CHECK_NONE, 0, 0, now_ts(&f), &ts));
    /* nobody came in between: it commits */
    struct holder mine = {.f = &f, .a = &a, .start_ts = now_ts(&f)};
    CHECK_OK(hold(&mine, two, "a", KV_LOCK_EXCLUSIVE));
    CHECK(mine.lock_term == f.term && lock_table_reap(f.r.locks, everybody, NULL) == 1);
    CHECK_OK(commit_held(&mine, two, "a", true, 0));
    /* somebody has the lock by now and commits while the old holder asks for it again */
    mine = (struct holder){.f = &f, .a = &a, .start_ts = now_ts(&f)};
    CHECK_OK(hold(&mine, two, "a", KV_LOCK_EXCLUSIVE));
    CHECK(lock_table_reap(f.r.locks, everybody, NULL) == 1);
    struct holder other = {.f = &f, .a = &a, .start_ts = now_ts(&f)};
    CHECK_OK(hold(&other, three, "a", KV_LOCK_EXCLUSIVE));
    CHECK(other.lock_term == f.term);
    CHECK_OK(fiber_spawn(loop_current(), overtaker_fiber, &other));
    CHECK(commit_held(&mine, two, "a", true, 0) == ERR_LOCK_LOST);
    CHECK_OK(row_unlock_all(f.r.locks, mine.start_ts));
    /* shared locks cannot be validated, and what is locked after is no proof of what was before */
    mine = (struct holder){.f = &f, .a = &a, .start_ts = now_ts(&f)};
    CHECK_OK(hold(&mine, two, "a", KV_LOCK_SHARED));
    uint64_t shared_term = mine.lock_term;
    CHECK(lock_table_reap(f.r.locks, everybody, NULL) == 1);
    CHECK_OK(hold(&mine, two, "a", KV_LOCK_SHARED));
    CHECK(mine.lock_term == 0);
    CHECK(commit_held(&mine, two, "b", false, shared_term) == ERR_LOCK_LOST);
    CHECK_OK(row_unlock_all(f.r.locks, mine.start_ts));
    mine.start_ts = now_ts(&f); /* a transaction that began later is not concerned */
    CHECK_OK(hold(&mine, two, "a", KV_LOCK_SHARED));
    CHECK(mine.lock_term == f.term);
    CHECK_OK(commit_held(&mine, two, "b", false, mine.lock_term));
    CHECK(row_lock_count(f.r.locks) == 0);
    arena_fini(&a);
    fake_close(&f);
}

static void test_owners(void **state UNUSED)
{
    assert_int_equal(loop_run_main(owners_fiber, NULL), ERR_OK);
}

/* The lease is lost, and with it the locks, when all has been looked at and nothing was answered:
 * the answer does not say that they are of the lease that comes then. */
static void late_loss_fiber(void *arg UNUSED)
{
    struct fake_range f;
    struct arena a;
    ts_t ts;
    fake_open(&f, "late");
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(eval_range_lease_begin(&f.r, SLICE_EMPTY, SLICE_EMPTY, f.term, NULL));
    CHECK_OK(put_1pc(&f, &a, "a", KV_CHECK_NONE, 0, 0, now_ts(&f), &ts));
    struct holder mine = {.f = &f, .a = &a, .start_ts = now_ts(&f)};
    f.lose_after_checks = 2;
    CHECK_OK(hold(&mine, lock_owner_make(2, 1), "a", KV_LOCK_SHARED));
    CHECK(f.lose_after_checks == 0 && row_lock_count(f.r.locks) == 0);
    CHECK(mine.lock_term != atomic_load(&f.r.lock_number));
    struct kv_scan_req scan = {.r = request(&a),
                               .start = SLICE_LIT("a"),
                               .end = SLICE_LIT("b"),
                               .rows_max = 10,
                               .bytes_max = 1000,
                               .own_ts = mine.start_ts,
                               .lock = KV_LOCK_SHARED,
                               .lock_wait_ms = 10};
    struct kv_scan_resp rows;
    struct kv_reply reply = {0};
    f.lose_after_checks = 2;
    CHECK_OK(eval_scan(&f.r, &scan, NULL, &reply, &rows));
    CHECK(f.lose_after_checks == 0 && row_lock_count(f.r.locks) == 0 && rows.count == 1);
    CHECK(rows.lock_term != atomic_load(&f.r.lock_number));
    arena_fini(&a);
    fake_close(&f);
}

static void test_late_loss(void **state UNUSED)
{
    assert_int_equal(loop_run_main(late_loss_fiber, NULL), ERR_OK);
}

/* ---- transfers on several loops ---- */

enum { ACCOUNTS = 12, WORKERS = 24, TRANSFERS = 60, START_MONEY = 1000 };

struct bank {
    struct fake_range f;
    _Atomic unsigned left;
    _Atomic unsigned done, aborted, scans;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
};

struct worker {
    struct bank *b;
    uint64_t seed;
};

static struct slice account(struct arena *a, uint64_t i)
{
    char *p = arena_printf(a, "acct%02u", (unsigned)i);
    CHECK(p != NULL);
    return slice_str(p);
}

static void check_total(struct bank *b, struct arena *a)
{
    struct kv_reply reply = {0};
    struct kv_scan_req req = {.r = request(a),
                              .start = SLICE_LIT("a"),
                              .end = SLICE_LIT("b"),
                              .rows_max = 100,
                              .bytes_max = 1 << 20,
                              .read_ts = now_ts(&b->f)};
    struct kv_scan_resp resp;
    uint64_t total = 0;
    db_err err = eval_scan(&b->f.r, &req, NULL, &reply, &resp);
    if (err == ERR_KEY_LOCKED || (err == ERR_OK && resp.more)) {
        return; /* a 2PC in progress */
    }
    CHECK_OK(err);
    CHECK(resp.count == ACCOUNTS);
    for (size_t i = 0; i < resp.count; i++) {
        uint64_t v;
        memcpy(&v, resp.pairs[i].value.ptr, 8);
        total += v;
    }
    CHECK(total == (uint64_t)ACCOUNTS * START_MONEY);
    atomic_fetch_add(&b->scans, 1);
}

static db_err commit_two(struct bank *b, struct kv_prewrite_req *pw, struct slice *keys)
{
    struct kv_prewrite_resp resp;
    struct kv_reply reply = {0};
    TRY(eval_prewrite(&b->f.r, pw, NULL, &reply, &resp));
    if (pw->try_1pc) {
        return ERR_OK;
    }
    struct kv_txn_keys_req cm = {.r = pw->r,
                                 .keys = keys,
                                 .count = 2,
                                 .start_ts = pw->start_ts,
                                 .commit_ts =
                                     pw->async_commit ? resp.min_commit_ts : now_ts(&b->f)};
    return eval_commit(&b->f.r, &cm, NULL, &reply);
}

static db_err transfer(struct bank *b, struct rand *rnd, struct arena *a, ts_t start_ts)
{
    struct kv_reply reply = {0};
    struct kv_value v[2];
    struct slice keys[2];
    uint64_t money[2];
    uint64_t term = 0;
    uint64_t from = rand_below(rnd, ACCOUNTS);
    uint64_t to = (from + 1 + rand_below(rnd, ACCOUNTS - 1)) % ACCOUNTS;
    keys[0] = account(a, from);
    keys[1] = account(a, to);
    for (int i = 0; i < 2; i++) { /* not in key order: deadlocks happen */
        struct kv_lock_resp lr;
        struct kv_lock_req lk = {.r = request(a),
                                 .keys = &keys[i],
                                 .count = 1,
                                 .own_ts = start_ts,
                                 .mode =
                                     i == 0 && from % 3 == 0 ? KV_LOCK_SHARED : KV_LOCK_EXCLUSIVE,
                                 .lock_wait_ms = 5000,
                                 .want_values = true};
        db_err err = eval_lock(&b->f.r, &lk, NULL, &reply, &lr);
        if (err == ERR_OK && lk.mode == KV_LOCK_SHARED) {
            lk.mode = KV_LOCK_EXCLUSIVE; /* an upgrade */
            err = eval_lock(&b->f.r, &lk, NULL, &reply, &lr);
        }
        TRY(err);
        v[i] = lr.values[0];
        term = lr.lock_term;
        CHECK(v[i].found);
        memcpy(&money[i], v[i].value.ptr, 8);
    }
    uint64_t amount = money[0] < 10 ? money[0] : rand_below(rnd, 10);
    money[0] -= amount;
    money[1] += amount;
    struct kv_mutation m[2];
    for (int i = 0; i < 2; i++) {
        int k = from < to ? i : 1 - i;
        m[i] = (struct kv_mutation){.op = KV_PUT,
                                    .check = KV_CHECK_LOCKED,
                                    .key = keys[k],
                                    .value = slice_of(&money[k], 8),
                                    .version_ts = v[k].version_ts};
    }
    uint64_t way = rand_below(rnd, 4);
    struct kv_prewrite_req pw = {.r = request(a),
                                 .mutations = m,
                                 .count = 2,
                                 .primary = keys[0],
                                 .start_ts = start_ts,
                                 .lock_term = term,
                                 .ttl_ms = 10000,
                                 .try_1pc = way >= 2,
                                 .async_commit = way == 1};
    return commit_two(b, &pw, keys);
}

static void worker_fiber(void *arg)
{
    struct worker *w = arg;
    struct bank *b = w->b;
    struct rand rnd;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    rand_seed(&rnd, w->seed);
    for (int i = 0; i < TRANSFERS; i++) {
        ts_t start_ts = now_ts(&b->f);
        db_err err = transfer(b, &rnd, &a, start_ts);
        if (err != ERR_OK && err != ERR_DEADLOCK && err != ERR_KEY_LOCKED) {
            (void)fprintf(stderr, "transfer: %s\n", err_name(err));
        }
        CHECK(err == ERR_OK || err == ERR_DEADLOCK || err == ERR_KEY_LOCKED);
        CHECK_OK(row_unlock_all(b->f.r.locks, start_ts));
        atomic_fetch_add(err == ERR_OK ? &b->done : &b->aborted, 1);
        check_total(b, &a);
        arena_reset(&a);
    }
    arena_fini(&a);
    if (atomic_fetch_sub(&b->left, 1) == 1) {
        pthread_mutex_lock(&b->mutex);
        pthread_cond_signal(&b->cond);
        pthread_mutex_unlock(&b->mutex);
    }
}

static void bank_setup(void *arg)
{
    struct bank *b = arg;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(eval_range_lease_begin(&b->f.r, SLICE_EMPTY, SLICE_EMPTY, b->f.term, NULL));
    struct kv_mutation m[ACCOUNTS];
    uint64_t money = START_MONEY;
    for (uint64_t i = 0; i < ACCOUNTS; i++) {
        m[i] =
            (struct kv_mutation){.op = KV_PUT, .key = account(&a, i), .value = slice_of(&money, 8)};
    }
    struct kv_prewrite_req pw = {.r = request(&a),
                                 .mutations = m,
                                 .count = ACCOUNTS,
                                 .primary = m[0].key,
                                 .start_ts = now_ts(&b->f),
                                 .try_1pc = true};
    struct kv_prewrite_resp resp;
    struct kv_reply reply = {0};
    CHECK_OK(eval_prewrite(&b->f.r, &pw, NULL, &reply, &resp));
    arena_fini(&a);
}

static void test_bank(void **state UNUSED)
{
    static struct bank b;
    static struct worker w[WORKERS];
    struct loop_group *g;
    fake_open(&b.f, "bank");
    pthread_mutex_init(&b.mutex, NULL);
    pthread_cond_init(&b.cond, NULL);
    CHECK_OK(loop_run_main(bank_setup, &b));
    b.f.slow = true;
    atomic_store(&b.left, WORKERS);
    CHECK_OK(loop_group_start(&(struct loop_group_opts){.count = 4}, &g));
    for (unsigned i = 0; i < WORKERS; i++) {
        w[i] = (struct worker){&b, i + 1};
        CHECK_OK(fiber_spawn(loop_group_get(g, i % 4), worker_fiber, &w[i]));
    }
    pthread_mutex_lock(&b.mutex);
    while (atomic_load(&b.left) != 0) {
        pthread_cond_wait(&b.cond, &b.mutex);
    }
    pthread_mutex_unlock(&b.mutex);
    loop_group_stop(g);
    (void)fprintf(stderr, "bank: %u transfers, %u aborted, %u full snapshots\n", b.done, b.aborted,
                  b.scans);
    CHECK(b.done > 0 && b.scans > 0);
    fake_close(&b.f);
}

/* The intents of both count in what two ranges become, also when nobody knows how many they are,
 * again and again: readers look for them. */
static void test_joined_intents(void **state)
{
    (void)state;
    static struct fake_range left;
    static struct fake_range right;
    fake_open(&left, "left");
    fake_open(&right, "right");
    lock_table_open(left.r.locks, false);
    for (int round = 0; round < 5; round++) {
        lock_table_open(right.r.locks, false);
        CHECK_OK(eval_range_merge(&left.r, &right.r, 77, false));
        CHECK((atomic_load(&left.r.intents) & ((UINT64_C(1) << INTENTS_BITS) - 1)) != 0);
        eval_range_lease_end(&right.r); /* nobody knows how many */
    }
    eval_range_lease_end(&left.r);
    fake_close(&left);
    fake_close(&right);
}

struct looking {
    struct fake_range *f;
    struct waiter done;
};

static void looking_fiber(void *arg)
{
    struct looking *l = arg;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    struct kv_request req = request(&a);
    eval__intents_gone(&l->f->r, &req);
    arena_fini(&a);
    wait_signal(&l->done, 0);
}

static void too_late_fiber(void *arg)
{
    struct looking l = {.f = arg};
    struct eval_range *r = &l.f->r;
    CHECK_OK(eval_range_lease_begin(r, SLICE_EMPTY, SLICE_EMPTY, 7, NULL));
    atomic_fetch_add(&r->intents, 1); /* so that there is something to find out */
    CHECK_OK(eval_range_freeze(r, DEADLINE_NONE));
    wait_init(&l.done);
    CHECK_OK(fiber_spawn(loop_current(), looking_fiber, &l));
    CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    eval_range_thaw(r); /* it may go on, and the lease ends before it does */
    l.f->term = 0;
    eval_range_lease_end(r);
    wait_block_uncancelable(&l.done);
    CHECK(eval__may_have_intents(r));
    l.f->term = 8; /* and the next one counts */
    CHECK_OK(eval_range_lease_begin(r, SLICE_EMPTY, SLICE_EMPTY, 8, NULL));
    CHECK(!eval__may_have_intents(r));
    eval_range_lease_end(r);
}

/* Who finds no intents when the lease is over does not say so: replicas without it read too. */
static void test_none_left_too_late(void **state)
{
    (void)state;
    static struct fake_range f;
    fake_open(&f, "late");
    CHECK_OK(loop_run_main(too_late_fiber, &f));
    fake_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_left_too_late),
        cmocka_unit_test(test_joined_intents),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_none_left),
        cmocka_unit_test(test_late_outcomes),

        cmocka_unit_test(test_repeated_prewrite),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_late_loss),
        cmocka_unit_test(test_bank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
