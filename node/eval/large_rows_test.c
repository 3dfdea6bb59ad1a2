/* Rows of some MB each that are locked by a scan come in pages of little memory. */
#include "node/eval/eval.h"

#include "base/alloc.h"
#include "base/test_main.h"
#include "node/eval/testing.h"

enum { COUNT = 40, VALUE = 1 << 20, MEMORY = 24 << 20 };

struct many {
    struct fake_range f;
    struct arena keep;
    struct mem_tracker limit;
    struct slice keys[COUNT];
    ts_t start_ts;
};

static void prewrite_all(struct many *m)
{
    uint8_t *value = mem_calloc(1, VALUE);
    m->start_ts = now_ts(&m->f);
    for (int i = 0; i < COUNT; i++) {
        struct arena a;
        char *name = arena_printf(&m->keep, "key%03d", i);
        m->keys[i] = slice_str(name);
        arena_init(&a, NULL, NULL, 0);
        struct kv_mutation mut = {.op = KV_PUT, .key = m->keys[i], .value = slice_of(value, VALUE)};
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

static void commit_all(struct many *m)
{
    struct arena a;
    struct kv_reply reply = {0};
    arena_init(&a, NULL, NULL, 0);
    struct kv_txn_keys_req req = {.r = request(&a),
                                  .keys = m->keys,
                                  .count = COUNT,
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
    prewrite_all(&m);
    commit_all(&m);
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

static void test_locked_rows(void **state UNUSED)
{
    CHECK_OK(loop_run_main(locked_fiber, NULL));
    CHECK_OK(loop_run_main(locked_fiber, (void *)1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_locked_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
