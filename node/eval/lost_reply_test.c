/* A 1PC whose reply was lost: it is asked about, repeated, fenced, and applied at most once. */
#include "node/eval/eval.h"

#include "base/test_main.h"
#include "node/eval/testing.h"
#include "node/mvcc/mvcc.h"

struct doubt {
    struct fake_range *f;
    struct arena *a;
    struct kv_prewrite_req pw;
    struct kv_mutation m;
    ts_t commit_ts;
};

static void doubt_begin(struct doubt *d, struct fake_range *f, struct arena *a, const char *key)
{
    *d = (struct doubt){.f = f, .a = a};
    d->m = (struct kv_mutation){.op = KV_PUT, .key = slice_str(key), .value = SLICE_LIT("once")};
    d->pw = (struct kv_prewrite_req){.r = request(a),
                                     .mutations = &d->m,
                                     .count = 1,
                                     .primary = d->m.key,
                                     .start_ts = now_ts(f),
                                     .try_1pc = true};
}

static db_err doubt_send(struct doubt *d, bool again)
{
    struct kv_prewrite_resp resp;
    struct kv_reply reply = {0};
    d->pw.retried_above = again ? d->pw.start_ts : 0;
    TRY(eval_prewrite(&d->f->r, &d->pw, NULL, &reply, &resp));
    d->commit_ts = resp.commit_ts;
    return ERR_OK;
}

static db_err doubt_ask(struct doubt *d, bool fence, enum kv_txn_state *ret_state, ts_t *ret_ts)
{
    struct kv_reply reply = {0};
    struct kv_check_txn_resp resp;
    struct kv_check_txn_req ct = {.r = request(d->a),
                                  .primary = d->m.key,
                                  .start_ts = d->pw.start_ts,
                                  .rollback_missing = fence,
                                  .retried_above = d->pw.start_ts};
    TRY(eval_check_txn(&d->f->r, &ct, NULL, &reply, &resp));
    *ret_state = resp.state;
    *ret_ts = resp.commit_ts;
    return ERR_OK;
}

static unsigned versions_above(struct doubt *d, ts_t ts)
{
    unsigned n = 0;
    struct kv_value v = {.version_ts = TS_MAX};
    do {
        CHECK_OK(mvcc_get(d->f->r.engine, d->m.key, v.version_ts - 1, d->a, &v));
        n += v.version_ts > ts;
    } while (v.version_ts > ts);
    return n;
}

/* The leader is lost with an entry on its way that was applied, or was not. */
static void lost_replies_fiber(void *arg UNUSED)
{
    struct fake_range f;
    struct arena a;
    struct doubt d, other;
    enum kv_txn_state state;
    ts_t ts = 0;
    fake_open(&f, "lost_replies");
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(eval_range_lease_begin(&f.r, SLICE_EMPTY, SLICE_EMPTY, f.term, NULL));

    /* Not applied: asking without a fence changes nothing, the repetition commits, once. */
    f.outcome = ERR_COMMIT_UNKNOWN;
    f.lose_lease = true;
    doubt_begin(&d, &f, &a, "a");
    CHECK(doubt_send(&d, false) == ERR_COMMIT_UNKNOWN);
    CHECK(doubt_ask(&d, false, &state, &ts) == ERR_TXN_NOT_FOUND);
    CHECK_OK(doubt_send(&d, true));
    CHECK_OK(doubt_ask(&d, false, &state, &ts));
    CHECK(state == KV_TXN_COMMITTED && ts == d.commit_ts);
    CHECK_OK(doubt_send(&d, true)); /* also its reply was lost */
    CHECK(ts == d.commit_ts && versions_above(&d, d.pw.start_ts) == 1);
    /* Somebody else writes, then the first request comes out of its queue. */
    doubt_begin(&other, &f, &a, "a");
    CHECK_OK(doubt_send(&other, false));
    CHECK(doubt_send(&d, false) == ERR_TXN_COMMITTED);
    CHECK(versions_above(&d, d.pw.start_ts) == 2);

    /* Applied, only nobody heard of it; others have written since. */
    doubt_begin(&d, &f, &a, "b");
    CHECK_OK(doubt_send(&d, false));
    ts = d.commit_ts;
    doubt_begin(&other, &f, &a, "b");
    CHECK_OK(doubt_send(&other, false));
    CHECK_OK(doubt_send(&d, true));
    CHECK(d.commit_ts == ts && versions_above(&d, d.pw.start_ts) == 2);
    CHECK_OK(doubt_ask(&d, true, &state, &ts));
    CHECK(state == KV_TXN_COMMITTED && ts == d.commit_ts);

    /* Given up: after that no request of the transaction is applied, under no lease. */
    doubt_begin(&d, &f, &a, "c");
    CHECK_OK(doubt_ask(&d, true, &state, &ts));
    CHECK(state == KV_TXN_ROLLED_BACK);
    CHECK(doubt_send(&d, false) == ERR_TXN_ABORTED && doubt_send(&d, true) == ERR_TXN_ABORTED);
    f.outcome = ERR_OK;
    f.lose_lease = true;
    doubt_begin(&other, &f, &a, "d");
    CHECK_OK(doubt_send(&other, false));
    CHECK(doubt_send(&d, false) == ERR_TXN_ABORTED && versions_above(&d, d.pw.start_ts) == 0);
    doubt_begin(&other, &f, &a, "d"); /* the lease has given a timestamp: younger ones look not */
    CHECK_OK(doubt_send(&other, false));
    CHECK(atomic_load(&f.r.records_term) == f.term);
    CHECK(doubt_send(&d, false) == ERR_TXN_ABORTED);

    /* What garbage collection may have taken is no proof. */
    doubt_begin(&d, &f, &a, "e");
    engine_set_safe_point(f.r.engine, now_ts(&f), NULL, 0);
    CHECK(doubt_ask(&d, true, &state, &ts) == ERR_SNAPSHOT_TOO_OLD);
    CHECK(doubt_send(&d, true) == ERR_SNAPSHOT_TOO_OLD);
    arena_fini(&a);
    fake_close(&f);
}

static void test_lost_replies(void **state UNUSED)
{
    CHECK_OK(loop_run_main(lost_replies_fiber, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lost_replies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
