/* Transactions that are larger than an entry of the log, and than what a request may hold in
 * memory: they are settled a part at a time, and nobody is in their way. */
#include "node/eval/eval.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/test_main.h"
#include "node/eval/testing.h"
#include "node/mvcc/mvcc.h"

enum { ROWS = 28, ROW_SIZE = 1 << 20, ENTRY_MAX = 23 << 20, REQUEST_MAX = 8 << 20 };

static uint8_t g_bytes[ENTRY_MAX];

struct large {
    struct fake_range f;
    struct arena keep;    /* of keys */
    struct arena request; /* small */
    struct slice keys[ROWS];
    ts_t start_ts;
};

static void open_large(struct large *l, const char *name)
{
    fake_open(&l->f, name);
    arena_init(&l->keep, NULL, NULL, 0);
    arena_init(&l->request, NULL, NULL, REQUEST_MAX);
    for (unsigned i = 0; i < ROWS; i++) {
        char *key = arena_printf(&l->keep, "row%04u", i);
        CHECK(key != NULL);
        l->keys[i] = slice_str(key);
    }
    CHECK_OK(eval_range_lease_begin(&l->f.r, SLICE_EMPTY, SLICE_EMPTY, l->f.term, NULL));
    l->f.batch_max = ENTRY_MAX;
}

static void close_large(struct large *l)
{
    arena_fini(&l->request);
    arena_fini(&l->keep);
    fake_close(&l->f);
}

static struct kv_request fresh(struct large *l)
{
    arena_reset(&l->request);
    return request(&l->request);
}

static db_err prewrite_row(struct large *l, unsigned i, size_t size)
{
    struct kv_mutation m = {.op = KV_PUT, .key = l->keys[i], .value = slice_of(g_bytes, size)};
    struct kv_prewrite_req pw = {.r = fresh(l),
                                 .mutations = &m,
                                 .count = 1,
                                 .primary = l->keys[0],
                                 .start_ts = l->start_ts,
                                 .ttl_ms = 1000};
    struct kv_prewrite_resp resp;
    struct kv_reply reply = {0};
    return eval_prewrite(&l->f.r, &pw, NULL, &reply, &resp);
}

static void prewrite_all(struct large *l)
{
    l->start_ts = now_ts(&l->f);
    for (unsigned i = 0; i < ROWS; i++) {
        CHECK_OK(prewrite_row(l, i, ROW_SIZE));
    }
}

/* No intent is left; the rows are of that time. */
static void expect_rows(struct large *l, ts_t version_ts)
{
    CHECK((atomic_load(&l->f.r.intents) & ((UINT64_C(1) << INTENTS_BITS) - 1)) == 0);
    for (unsigned i = 0; i < ROWS; i++) {
        struct kv_reply reply = {0};
        struct kv_value v;
        struct kv_get_req get = {.r = fresh(l), .key = l->keys[i], .read_ts = TS_MAX};
        CHECK_OK(eval_get(&l->f.r, &get, NULL, &reply, &v));
        CHECK(v.version_ts == version_ts);
    }
}

static void settle_fiber(void *arg UNUSED)
{
    static struct large l;
    struct kv_reply reply = {0};
    open_large(&l, "settle");
    /* The coordinator commits all keys at once. */
    prewrite_all(&l);
    ts_t ts = now_ts(&l.f);
    struct kv_txn_keys_req end = {
        .r = fresh(&l), .keys = l.keys, .count = ROWS, .start_ts = l.start_ts, .commit_ts = ts};
    CHECK_OK(eval_commit(&l.f.r, &end, NULL, &reply));
    expect_rows(&l, ts);
    /* Who meets its intents settles all of the range. */
    prewrite_all(&l);
    ts = now_ts(&l.f);
    struct kv_resolve_req resolve = {.r = fresh(&l), .start_ts = l.start_ts, .commit_ts = ts};
    CHECK_OK(eval_resolve(&l.f.r, &resolve, NULL, &reply));
    expect_rows(&l, ts);
    /* It is taken back, in both ways. */
    prewrite_all(&l);
    end = (struct kv_txn_keys_req){
        .r = fresh(&l), .keys = l.keys, .count = ROWS, .start_ts = l.start_ts};
    CHECK_OK(eval_rollback(&l.f.r, &end, NULL, &reply));
    expect_rows(&l, ts);
    prewrite_all(&l);
    resolve = (struct kv_resolve_req){.r = fresh(&l), .start_ts = l.start_ts};
    CHECK_OK(eval_resolve(&l.f.r, &resolve, NULL, &reply));
    expect_rows(&l, ts);
    close_large(&l);
}

static void test_settle(void **state UNUSED)
{
    CHECK_OK(loop_run_main(settle_fiber, NULL));
}

/* ---- who only passes by ---- */

static void *small_alloc(void *ctx UNUSED, size_t size)
{
    return size > ROW_SIZE / 2 ? NULL : malloc(size);
}

static void *small_realloc(void *ctx UNUSED, void *ptr, size_t size)
{
    return size > ROW_SIZE / 2 ? NULL : realloc(ptr, size);
}

static void small_free(void *ctx UNUSED, void *ptr)
{
    free(ptr);
}

static void pass_by_fiber(void *arg UNUSED)
{
    static const struct mem_allocator small = {"small", small_alloc, small_realloc, small_free,
                                               NULL};
    static struct large l;
    struct kv_reply reply = {0};
    open_large(&l, "pass_by");
    ts_t before = now_ts(&l.f);
    prewrite_all(&l);
    /* A reader of an older snapshot. */
    struct kv_scan_req scan = {.r = fresh(&l), .rows_max = 100, .read_ts = before};
    struct kv_scan_resp rows;
    CHECK_OK(eval_scan(&l.f.r, &scan, NULL, &reply, &rows));
    CHECK(rows.count == 0 && !rows.more);
    /* A sweep for what is older; then for this one, which is named. */
    struct kv_sweep_req sweep = {.r = fresh(&l), .before = before};
    CHECK_OK(eval_sweep(&l.f.r, &sweep, NULL, &reply));
    sweep = (struct kv_sweep_req){.r = fresh(&l), .before = l.start_ts + 1};
    CHECK(eval_sweep(&l.f.r, &sweep, NULL, &reply) == ERR_KEY_LOCKED);
    CHECK(reply.lock.start_ts == l.start_ts && slice_eq(reply.lock.key, l.keys[0]));
    /* The next leaseholder. */
    eval_range_lease_end(&l.f.r);
    mem_set_allocator(&small);
    db_err err = eval_range_lease_begin(&l.f.r, SLICE_EMPTY, SLICE_EMPTY, ++l.f.term, NULL);
    mem_set_allocator(NULL);
    CHECK_OK(err);
    CHECK((atomic_load(&l.f.r.intents) & ((UINT64_C(1) << INTENTS_BITS) - 1)) == ROWS);
    close_large(&l);
}

static void test_pass_by(void **state UNUSED)
{
    CHECK_OK(loop_run_main(pass_by_fiber, NULL));
}

/* ---- the largest row: what can be prewritten can be committed ---- */

static void largest_fiber(void *arg UNUSED)
{
    enum { INTENT_REST = 60 }; /* about what an entry with its intent takes besides */
    static struct large l;
    struct kv_reply reply = {0};
    open_large(&l, "largest");
    arena_fini(&l.request);
    arena_init(&l.request, NULL, NULL, 0);
    l.start_ts = now_ts(&l.f);
    CHECK(prewrite_row(&l, 0, ENTRY_MAX - INTENT_REST) == ERR_LIMIT);
    CHECK_OK(prewrite_row(&l, 0, (22 << 20) - 2 * INTENT_REST));
    ts_t ts = now_ts(&l.f);
    struct kv_txn_keys_req end = {
        .r = fresh(&l), .keys = l.keys, .count = 1, .start_ts = l.start_ts, .commit_ts = ts};
    CHECK_OK(eval_commit(&l.f.r, &end, NULL, &reply));
    close_large(&l);
}

static void test_largest(void **state UNUSED)
{
    CHECK_OK(loop_run_main(largest_fiber, NULL));
}

/* ---- nothing to write, and records ---- */

/* A transaction that locked and wrote nothing, whose lease is lost while it commits. */
static void mere_lock_fiber(void *arg UNUSED)
{
    static struct large l;
    struct kv_reply reply = {0};
    struct kv_prewrite_resp resp;
    open_large(&l, "mere_lock");
    struct kv_mutation m = {.op = KV_LOCK_ONLY, .check = KV_CHECK_VERSION, .key = l.keys[0]};
    struct kv_prewrite_req pw = {.r = fresh(&l),
                                 .mutations = &m,
                                 .count = 1,
                                 .primary = l.keys[0],
                                 .start_ts = now_ts(&l.f),
                                 .try_1pc = true};
    CHECK_OK(eval_prewrite(&l.f.r, &pw, NULL, &reply, &resp));
    l.f.lose_at_now = true;
    pw.start_ts = now_ts(&l.f);
    CHECK(eval_prewrite(&l.f.r, &pw, NULL, &reply, &resp) == ERR_NOT_LEADER);
    close_large(&l);
}

static void test_mere_lock(void **state UNUSED)
{
    CHECK_OK(loop_run_main(mere_lock_fiber, NULL));
}

static void record(struct large *l, struct slice key)
{
    struct kv_reply reply = {0};
    struct kv_txn_keys_req end = {
        .r = fresh(l), .keys = &key, .count = 1, .start_ts = now_ts(&l->f)};
    CHECK_OK(eval_rollback(&l->f.r, &end, NULL, &reply));
    l->start_ts = end.start_ts;
}

/* Each call goes on where the one before has ended. */
static void records_fiber(void *arg UNUSED)
{
    static struct large l;
    struct kv_reply reply = {0};
    struct buf cursor;
    size_t dropped;
    enum mvcc_txn_record rec;
    ts_t ts;
    open_large(&l, "records");
    buf_init(&cursor, 1 << 10);
    for (unsigned i = 0; i < 3; i++) {
        record(&l, l.keys[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        struct kv_request req = fresh(&l);
        CHECK_OK(eval_gc(&l.f.r, &req, SLICE_EMPTY, SLICE_EMPTY, TS_MAX, 1, &cursor, NULL, &reply,
                         &dropped));
        CHECK(dropped == (i < 3));
        if (i == 0) {
            record(&l, SLICE_LIT("before all")); /* passed by now */
        }
    }
    CHECK_OK(mvcc_txn_get(l.f.r.engine, SLICE_LIT("before all"), l.start_ts, &l.keep, &rec, &ts));
    CHECK(rec == MVCC_TXN_ROLLED_BACK);
    buf_fini(&cursor);
    close_large(&l);
}

static void test_records(void **state UNUSED)
{
    CHECK_OK(loop_run_main(records_fiber, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settle),  cmocka_unit_test(test_pass_by),
        cmocka_unit_test(test_largest), cmocka_unit_test(test_mere_lock),
        cmocka_unit_test(test_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
