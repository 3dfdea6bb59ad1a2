/* Applied indexes: a few keys of ENGINE_LOCAL that every batch writes anew, between others. */
#include "node/store/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fiber.h"
#include "base/rand.h"
#include "base/test_main.h"
#include "node/store/keyspace.h"

enum { RANGES = 5, WRITES = 4000, FLUSH_EACH = 1500 };

static void remove_tree(const char *path)
{
    char cmd[256];
    (void)snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", path);
    CHECK(system(cmd) == 0);
}

static void check_one(struct engine *e, uint64_t range, uint64_t index)
{
    uint64_t got = 0;
    uint64_t term = 0;
    CHECK_OK(engine_applied(e, range, &got, &term));
    CHECK(got == index && term == (index == 0 ? 0 : 7));
}

/* Neighbours in the family, before, between and behind the keys of the ranges. */
static void put_others(struct engine_wbatch *b, struct rand *r)
{
    uint8_t key[LOCAL_RANGE_KEY_SIZE + 1];
    local_range_key(key, rand_below(r, RANGES + 2), (uint8_t)(0x80 + rand_below(r, 3)));
    CHECK_OK(engine_wbatch_put(b, ENGINE_LOCAL, slice_of(key, LOCAL_RANGE_KEY_SIZE),
                               SLICE_LIT("descriptor")));
    key[0] = LOCAL_TXN;
    key[1] = (uint8_t)rand_below(r, 200);
    CHECK_OK(engine_wbatch_put(b, ENGINE_LOCAL, slice_of(key, 9 + rand_below(r, 3)),
                               SLICE_LIT("record")));
}

static void check_order(struct engine *e)
{
    struct engine_iter *it;
    uint8_t last[64];
    size_t len = 0;
    CHECK_OK(
        engine_iter_open(e, ENGINE_LOCAL, &(struct engine_iter_opts){.tier = ENGINE_ANY}, &it));
    CHECK_OK(engine_iter_seek(it, SLICE_EMPTY));
    while (it->valid) {
        CHECK(slice_cmp(slice_of(last, len), it->key) < 0 && it->key.len <= sizeof(last));
        memcpy(last, it->key.ptr, it->key.len);
        len = it->key.len;
        CHECK_OK(engine_iter_next(it));
    }
    engine_iter_close(it);
}

static void run(void *arg UNUSED)
{
    char dir[64];
    struct diag d;
    struct engine *e;
    struct engine_wbatch *b;
    struct rand r;
    uint64_t applied[RANGES] = {0};
    (void)snprintf(dir, sizeof(dir), "overwritten_test_%d", (int)getpid());
    remove_tree(dir);
    diag_reset(&d);
    rand_seed(&r, 1);
    CHECK_OK(engine_open_rocks(
        &(struct engine_opts){.path = dir, .memory_size = 32 << 20, .manual = true}, &d, &e));
    CHECK_OK(engine_wbatch_new(e, &b));
    for (unsigned i = 1; i <= WRITES; i++) {
        uint64_t range = rand_below(&r, RANGES);
        applied[range] = i;
        CHECK_OK(engine_wbatch_applied(b, range, i, 7));
        if (rand_below(&r, 3) == 0) {
            put_others(b, &r);
        }
        CHECK_OK(engine_apply(e, b, &d));
        for (uint64_t k = 0; k < RANGES; k++) {
            check_one(e, k, applied[k]);
        }
        if (i % FLUSH_EACH == 0) {
            CHECK_OK(engine_flush_wait(e));
        }
    }
    check_order(e);
    engine_wbatch_free(b);
    engine_close(e, false);
    remove_tree(dir);
}

static void test_overwritten(void **state UNUSED)
{
    assert_int_equal(loop_run_main(run, NULL), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_overwritten)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
