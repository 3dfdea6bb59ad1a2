/* Scans past very many intents that are not in their way: right, and no slower than what they
 * read. */
#include "node/eval/eval.h"

#include "base/test_main.h"
#include "node/eval/testing.h"
#include "node/mvcc/mvcc.h"

enum { MANY = 4000, PAGE = 10, OVERHEAD = 300 };

/* ---- steps over intents are counted ---- */

static const struct engine_ops *g_engine_ops;
static const struct engine_iter_ops *g_iter_ops;
static size_t g_steps;

static db_err counted_next(struct engine_iter *it)
{
    g_steps++;
    return g_iter_ops->next(it);
}

static db_err counted_prev(struct engine_iter *it)
{
    g_steps++;
    return g_iter_ops->prev(it);
}

static db_err counted_open(struct engine *e, enum engine_cf cf, const struct engine_iter_opts *opts,
                           struct engine_iter **ret_iter)
{
    static struct engine_iter_ops counted;
    TRY(g_engine_ops->iter_open(e, cf, opts, ret_iter));
    if (cf == ENGINE_LOCK && (*ret_iter)->ops != &counted) {
        g_iter_ops = (*ret_iter)->ops;
        counted = *g_iter_ops;
        counted.next = counted_next;
        counted.prev = counted_prev;
        (*ret_iter)->ops = &counted;
    }
    return ERR_OK;
}

static void count_steps(struct engine *e)
{
    static struct engine_ops counted;
    g_engine_ops = e->ops;
    counted = *e->ops;
    counted.iter_open = counted_open;
    e->ops = &counted;
}

/* ---- rows r000000, r000002 ... and a transaction that changes them and adds those between ---- */

struct many {
    struct fake_range f;
    struct arena keep;
    struct arena request;
    struct slice keys[2 * MANY];
    ts_t start_ts;
};

static struct kv_request fresh(struct many *m)
{
    arena_reset(&m->request);
    return request(&m->request);
}

static void write_keys(struct many *m, size_t first, size_t count, size_t step, ts_t start_ts,
                       bool commit)
{
    struct kv_reply reply = {0};
    struct kv_prewrite_resp resp;
    struct kv_prewrite_req pw = {
        .r = fresh(m), .primary = m->keys[first], .start_ts = start_ts, .try_1pc = commit};
    struct kv_mutation *muts = ARENA_ARRAY(&m->request, struct kv_mutation, count);
    CHECK(muts != NULL);
    for (size_t i = 0; i < count; i++) {
        muts[i] = (struct kv_mutation){
            .op = KV_PUT, .key = m->keys[first + i * step], .value = SLICE_LIT("row")};
    }
    pw.mutations = muts;
    pw.count = count;
    pw.ttl_ms = 1000;
    CHECK_OK(eval_prewrite(&m->f.r, &pw, NULL, &reply, &resp));
}

static void open_many(struct many *m, const char *name)
{
    fake_open(&m->f, name);
    arena_init(&m->keep, NULL, NULL, 0);
    arena_init(&m->request, NULL, NULL, 0);
    for (unsigned i = 0; i < 2 * MANY; i++) {
        char *key = arena_printf(&m->keep, "r%06u", i);
        CHECK(key != NULL);
        m->keys[i] = slice_str(key);
    }
    CHECK_OK(eval_range_lease_begin(&m->f.r, SLICE_EMPTY, SLICE_EMPTY, m->f.term, NULL));
    write_keys(m, 0, MANY, 2, now_ts(&m->f), true);
    count_steps(m->f.r.engine);
}

static void close_many(struct many *m)
{
    m->f.r.engine->ops = g_engine_ops;
    arena_fini(&m->request);
    arena_fini(&m->keep);
    fake_close(&m->f);
}

/* Reads all, page by page; how many rows came. Each page steps over what it covers and not much
 * more. */
static size_t read_all(struct many *m, ts_t read_ts, ts_t own_ts, bool reverse, size_t step)
{
    struct slice start = SLICE_EMPTY;
    struct slice end = SLICE_EMPTY;
    size_t rows = 0;
    bool more = true;
    while (more) {
        struct kv_reply reply = {0};
        struct kv_scan_resp page;
        struct kv_scan_req scan = {.r = fresh(m),
                                   .start = start,
                                   .end = end,
                                   .reverse = reverse,
                                   .rows_max = PAGE,
                                   .read_ts = read_ts,
                                   .own_ts = own_ts};
        g_steps = 0;
        CHECK_OK(eval_scan(&m->f.r, &scan, NULL, &reply, &page));
        CHECK(g_steps < OVERHEAD);
        for (size_t i = 0; i < page.count; i++, rows++) {
            size_t at = reverse ? (MANY - 1 - rows) * step : rows * step;
            CHECK(slice_eq(page.pairs[i].key, m->keys[at]));
            CHECK(slice_eq(page.pairs[i].value, SLICE_LIT("row")));
        }
        more = page.more;
        if (more) {
            struct slice *resume = reverse ? &end : &start;
            CHECK_OK(arena_copy(&m->keep, page.resume, resume));
        }
    }
    return rows;
}

static void pages_fiber(void *arg UNUSED)
{
    static struct many m;
    open_many(&m, "pages");
    ts_t before = now_ts(&m.f);
    m.start_ts = now_ts(&m.f);
    write_keys(&m, 0, 2 * MANY, 1, m.start_ts, false);
    /* A reader of an older snapshot, and the transaction itself. */
    CHECK(read_all(&m, before, 0, false, 2) == MANY);
    CHECK(read_all(&m, before, 0, true, 2) == MANY);
    CHECK(read_all(&m, now_ts(&m.f), m.start_ts, false, 2) == MANY);
    CHECK(read_all(&m, now_ts(&m.f), m.start_ts, true, 2) == MANY);
    close_many(&m);
}

static void test_pages(void **state UNUSED)
{
    CHECK_OK(loop_run_main(pages_fiber, NULL));
}

/* One page of everything: rows of all stretches, in order, and limits for all together. */
static void whole_fiber(void *arg UNUSED)
{
    static struct many m;
    struct kv_reply reply = {0};
    struct kv_scan_resp page;
    open_many(&m, "whole");
    ts_t before = now_ts(&m.f);
    write_keys(&m, 0, 2 * MANY, 1, now_ts(&m.f), false);
    for (int reverse = 0; reverse < 2; reverse++) {
        struct kv_scan_req scan = {
            .r = fresh(&m), .rows_max = 2 * MANY, .read_ts = before, .reverse = reverse != 0};
        CHECK_OK(eval_scan(&m.f.r, &scan, NULL, &reply, &page));
        CHECK(page.count == MANY && !page.more && g_steps != 0);
        for (size_t i = 0; i < MANY; i++) {
            size_t at = 2 * (reverse != 0 ? MANY - 1 - i : i);
            CHECK(slice_eq(page.pairs[i].key, m.keys[at]));
        }
        scan.r = fresh(&m);
        scan.bytes_max = 10 * MANY / 2; /* of ten each */
        CHECK_OK(eval_scan(&m.f.r, &scan, NULL, &reply, &page));
        CHECK(page.count == MANY / 2 && page.more);
        scan.r = fresh(&m);
        scan.bytes_max = 0;
        scan.rows_max = MANY - 1;
        CHECK_OK(eval_scan(&m.f.r, &scan, NULL, &reply, &page));
        CHECK(page.count == MANY - 1 && page.more);
    }
    close_many(&m);
}

static void test_whole(void **state UNUSED)
{
    CHECK_OK(loop_run_main(whole_fiber, NULL));
}

/* One that is in the way, far behind those that are not. */
static void blocked_fiber(void *arg UNUSED)
{
    static struct many m;
    struct kv_reply reply = {0};
    struct kv_scan_resp page;
    open_many(&m, "blocked");
    ts_t old = now_ts(&m.f);
    ts_t before = now_ts(&m.f);
    const size_t at = 2 * MANY - 101;
    write_keys(&m, at, 1, 1, old, false);
    ts_t young = now_ts(&m.f);
    write_keys(&m, 0, at, 1, young, false);
    struct kv_scan_req scan = {.r = fresh(&m), .rows_max = 2 * MANY, .read_ts = before};
    CHECK_OK(eval_scan(&m.f.r, &scan, NULL, &reply, &page));
    CHECK(page.count == (at + 1) / 2 && page.more && slice_eq(page.resume, m.keys[at]));
    scan.r = fresh(&m);
    scan.start = m.keys[at];
    CHECK(eval_scan(&m.f.r, &scan, NULL, &reply, &page) == ERR_KEY_LOCKED);
    CHECK(reply.lock.start_ts == old && slice_eq(reply.lock.key, m.keys[at]));
    scan.r = fresh(&m);
    scan.start = SLICE_EMPTY;
    scan.reverse = true;
    CHECK_OK(eval_scan(&m.f.r, &scan, NULL, &reply, &page));
    CHECK(page.count == MANY - (at + 1) / 2 && page.more);
    CHECK(slice_starts_with(page.resume, m.keys[at]) && page.resume.len == m.keys[at].len + 1);
    /* A sweep for what is older than the others finds it behind them. */
    struct kv_sweep_req sweep = {.r = fresh(&m), .before = before};
    reply = (struct kv_reply){0};
    CHECK(eval_sweep(&m.f.r, &sweep, NULL, &reply) == ERR_KEY_LOCKED);
    CHECK(reply.lock.start_ts == old && slice_eq(reply.lock.key, m.keys[at]));
    sweep = (struct kv_sweep_req){.r = fresh(&m), .before = old};
    CHECK_OK(eval_sweep(&m.f.r, &sweep, NULL, &reply));
    close_many(&m);
}

static void test_blocked(void **state UNUSED)
{
    CHECK_OK(loop_run_main(blocked_fiber, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_blocked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
