/* Rows that are locked by a scan come in pages of little memory, however large they are: they are
 * found by their keys. */
#include "node/eval/eval.h"

#include "base/alloc.h"
#include "base/test_main.h"
#include "node/eval/testing.h"

enum { COUNT = 40, VALUE = 1 << 20, MEMORY = 24 << 20, AT_FIRST = 16 };

struct many {
    struct fake_range f;
    struct arena keep;
    struct mem_tracker limit;
    struct slice keys[COUNT];
    ts_t start_ts;
};

static void prewrite_at(struct many *m, int count, size_t size)
{
    uint8_t *value = mem_calloc(1, size);
    for (int i = 0; i < count; i++) {
        struct arena a;
        char *name = arena_printf(&m->keep, "key%03d", i);
        m->keys[i] = slice_str(name);
        arena_init(&a, NULL, NULL, 0);
        struct kv_mutation mut = {.op = KV_PUT, .key = m->keys[i], .value = slice_of(value, size)};
        struct kv_prewrite_req req = {.r = request(&a),
                                      .mutations = &mut,
                                      .count = 1,
                                      .primary = m->keys[0],
                                      .start_ts = m->start_ts,
                                      .ttl_ms = 1000};
        struct kv_reply reply = {0};
        struct kv_prewrite_resp resp;
        CHECK_OK(eval_prewrite(&m->f.r, &req, NULL, &reply, &resp));
        arena_fini(&a);
    }
    mem_free(value);
}

static void prewrite_all(struct many *m, int count, size_t size)
{
    m->start_ts = now_ts(&m->f);
    prewrite_at(m, count, size);
}

static void commit_all(struct many *m, size_t count)
{
    struct arena a;
    struct kv_reply reply = {0};
    arena_init(&a, NULL, NULL, 0);
    struct kv_txn_keys_req req = {.r = request(&a),
                                  .keys = m->keys,
                                  .count = count,
                                  .start_ts = m->start_ts,
                                  .commit_ts = now_ts(&m->f)};
    CHECK_OK(eval_commit(&m->f.r, &req, NULL, &reply));
    arena_fini(&a);
}

static void locked_fiber(void *arg)
{
    bool reverse = arg != NULL;
    struct many m;
    size_t rows = 0;
    struct slice start = SLICE_LIT("a");
    struct slice end = SLICE_LIT("z");
    bool more = true;
    fake_open(&m.f, "locked");
    arena_init(&m.keep, NULL, NULL, 0);
    CHECK_OK(eval_range_lease_begin(&m.f.r, SLICE_EMPTY, SLICE_EMPTY, m.f.term, NULL));
    prewrite_all(&m, COUNT, VALUE);
    commit_all(&m, COUNT);
    ts_t own = now_ts(&m.f);
    while (more) {
        struct arena a;
        struct kv_reply reply = {0};
        struct kv_scan_resp resp = {0};
        mem_tracker_init(&m.limit, NULL, MEMORY);
        arena_init(&a, NULL, &m.limit, 0);
        struct kv_scan_req req = {.r = request(&a),
                                  .start = start,
                                  .end = end,
                                  .reverse = reverse,
                                  .rows_max = 1000,
                                  .bytes_max = VALUE,
                                  .own_ts = own,
                                  .lock = KV_LOCK_EXCLUSIVE};
        CHECK_OK(eval_scan(&m.f.r, &req, NULL, &reply, &resp));
        for (size_t i = 0; i < resp.count; i++, rows++) {
            CHECK(slice_eq(resp.pairs[i].key, m.keys[reverse ? COUNT - 1 - rows : rows]));
            CHECK(resp.pairs[i].value.len == VALUE);
        }
        more = resp.more;
        if (more) {
            CHECK_OK(arena_copy(&m.keep, resp.resume, reverse ? &end : &start));
        }
        arena_fini(&a);
    }
    CHECK(rows == COUNT && row_lock_count(m.f.r.locks) == COUNT);
    CHECK_OK(row_unlock_all(m.f.r.locks, own));
    arena_fini(&m.keep);
    fake_close(&m.f);
}

/* A scan that waits for its first row while all grow: the page ends where they are as large as it
 * may be by then, unless that is where it ends anyhow. */
struct scanner {
    struct many *m;
    struct arena *a;
    struct waiter done;
    size_t bytes_max;
    bool reverse;
    struct kv_scan_resp resp;
};

static void scanner_fiber(void *arg)
{
    struct scanner *s = arg;
    struct kv_reply reply = {0};
    struct kv_scan_req req = {.r = request(s->a),
                              .start = SLICE_LIT("a"),
                              .end = SLICE_LIT("z"),
                              .reverse = s->reverse,
                              .rows_max = 1000,
                              .bytes_max = s->bytes_max,
                              .own_ts = now_ts(&s->m->f),
                              .lock = KV_LOCK_EXCLUSIVE,
                              .lock_wait_ms = 10000};
    CHECK_OK(eval_scan(&s->m->f.r, &req, NULL, &reply, &s->resp));
    CHECK_OK(row_unlock_all(s->m->f.r.locks, req.own_ts));
    wait_signal(&s->done, 0);
}

static void grown(struct scanner *s, size_t rows, bool more)
{
    struct many *m = s->m;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    s->a = &a;
    s->resp = (struct kv_scan_resp){0};
    prewrite_all(m, 2 * AT_FIRST, 1);
    commit_all(m, 2 * AT_FIRST);
    m->start_ts = now_ts(&m->f);
    CHECK_OK(row_lock(m->f.r.locks, m->keys[s->reverse ? 2 * AT_FIRST - 1 : 0], m->start_ts, 0,
                      KV_LOCK_EXCLUSIVE, KV_WAIT, 1000, DEADLINE_NONE));
    wait_init(&s->done);
    CHECK_OK(fiber_spawn(loop_current(), scanner_fiber, s));
    CHECK_OK(fiber_sleep(20 * NS_PER_MS)); /* it has found them and waits */
    prewrite_at(m, 2 * AT_FIRST, 64 - 6);
    commit_all(m, 2 * AT_FIRST);
    CHECK_OK(row_unlock_all(m->f.r.locks, m->start_ts));
    wait_block_uncancelable(&s->done);
    CHECK(s->resp.count == rows && s->resp.more == more);
    for (size_t i = 0; i < rows; i++) {
        CHECK(s->resp.pairs[i].value.len == 64 - 6);
    }
    arena_fini(&a);
}

static void grown_fiber(void *arg)
{
    struct many m;
    struct scanner s = {.m = &m, .reverse = arg != NULL};
    fake_open(&m.f, "grown");
    arena_init(&m.keep, NULL, NULL, 0);
    CHECK_OK(eval_range_lease_begin(&m.f.r, SLICE_EMPTY, SLICE_EMPTY, m.f.term, NULL));
    s.bytes_max = AT_FIRST * 64 - 1;
    grown(&s, AT_FIRST, true);
    s.bytes_max = AT_FIRST * 64;
    grown(&s, AT_FIRST, true);
    s.bytes_max = AT_FIRST * 64 + 1;
    grown(&s, 2 * AT_FIRST, false);
    s.bytes_max = 2 * AT_FIRST * 64;
    grown(&s, 2 * AT_FIRST, false);
    s.bytes_max = 0;
    grown(&s, 2 * AT_FIRST, false);
    arena_fini(&m.keep);
    fake_close(&m.f);
}

static void test_grown(void **state UNUSED)
{
    CHECK_OK(loop_run_main(grown_fiber, NULL));
    CHECK_OK(loop_run_main(grown_fiber, (void *)1));
}

static void test_locked_rows(void **state UNUSED)
{
    CHECK_OK(loop_run_main(locked_fiber, NULL));
    CHECK_OK(loop_run_main(locked_fiber, (void *)1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_locked_rows),
                                       cmocka_unit_test(test_grown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
