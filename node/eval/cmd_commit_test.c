/* What a commit's timestamp may be: above the start, and not below what was promised. */
#include "node/eval/eval.h"

#include "base/test_main.h"
#include "node/eval/testing.h"

static struct kv_prewrite_resp prewritten(struct fake_range *f, struct arena *a, bool async,
                                          struct slice *key, ts_t start_ts)
{
    struct kv_mutation m = {.op = KV_PUT, .key = *key, .value = SLICE_LIT("v")};
    struct kv_prewrite_req req = {.r = request(a),
                                  .mutations = &m,
                                  .count = 1,
                                  .primary = *key,
                                  .start_ts = start_ts,
                                  .ttl_ms = 1000,
                                  .async_commit = async};
    struct kv_reply reply = {0};
    struct kv_prewrite_resp resp;
    CHECK_OK(eval_prewrite(&f->r, &req, NULL, &reply, &resp));
    return resp;
}

static db_err commit(struct fake_range *f, struct arena *a, struct slice *key, ts_t start_ts,
                     ts_t commit_ts)
{
    struct kv_reply reply = {0};
    struct kv_txn_keys_req req = {
        .r = request(a), .keys = key, .count = 1, .start_ts = start_ts, .commit_ts = commit_ts};
    return eval_commit(&f->r, &req, NULL, &reply);
}

static void bounds_fiber(void *arg UNUSED)
{
    struct fake_range f;
    struct arena a;
    struct slice key = SLICE_LIT("k");
    fake_open(&f, "commit");
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(eval_range_lease_begin(&f.r, SLICE_EMPTY, SLICE_EMPTY, f.term, NULL));
    ts_t start = now_ts(&f);
    (void)prewritten(&f, &a, false, &key, start);
    CHECK(commit(&f, &a, &key, start, start - 1) == ERR_INVALID);
    CHECK(commit(&f, &a, &key, start, start) == ERR_INVALID);
    CHECK_OK(commit(&f, &a, &key, start, start + 1));
    f.ts += 10;
    start = now_ts(&f);
    f.ts += 10;
    ts_t promised = prewritten(&f, &a, true, &key, start).min_commit_ts;
    CHECK(promised > start + 1);
    CHECK(commit(&f, &a, &key, start, promised - 1) == ERR_INVALID);
    CHECK_OK(commit(&f, &a, &key, start, promised));
    arena_fini(&a);
    fake_close(&f);
}

static void test_bounds(void **state UNUSED)
{
    CHECK_OK(loop_run_main(bounds_fiber, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
