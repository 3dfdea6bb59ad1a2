#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/counter.h"
#include "base/rand.h"
#include "sql/storage/write_buffer.h"

static struct wb_entry *touch(struct write_buffer *wb, const char *key)
{
    struct wb_entry *e = NULL;
    assert_int_equal(wb_touch(wb, slice_str(key), &e), ERR_OK);
    return e;
}

static void test_order_and_seek(void **state)
{
    (void)state;
    struct write_buffer wb;
    struct rand rand;
    wb_init(&wb);
    rand_seed(&rand, 7);
    bool there[1000] = {false};
    for (int i = 0; i < 600; i++) {
        char key[8];
        unsigned n = (unsigned)rand_below(&rand, 1000);
        snprintf(key, sizeof(key), "%04u", n);
        assert_int_equal(wb_put(&wb, touch(&wb, key), SLICE_LIT("v"), false), ERR_OK);
        there[n] = true;
    }
    unsigned at = 0;
    for (struct wb_entry *e = wb_first(&wb); e != NULL; e = wb_next(e)) {
        while (!there[at]) {
            at++;
        }
        char key[8];
        snprintf(key, sizeof(key), "%04u", at++);
        assert_true(slice_eq(e->key, slice_str(key)));
        struct wb_entry *before = wb_seek_before(&wb, e->key);
        assert_true(before == NULL ? e == wb_first(&wb) : wb_next(before) == e);
        assert_ptr_equal(wb_seek(&wb, e->key), e);
    }
    assert_null(wb_seek(&wb, SLICE_LIT("9999x")));
    wb_fini(&wb);
}

static void test_savepoints_and_charge(void **state)
{
    (void)state;
    struct mem_tracker mem;
    struct write_buffer wb;
    mem_tracker_init(&mem, NULL, 0);
    wb_init(&wb);
    wb_begin(&wb, &mem);
    struct wb_entry *a = touch(&wb, "a");
    assert_int_equal(wb.write_count, 0);
    assert_int_equal(wb_put(&wb, a, SLICE_LIT("1"), true), ERR_OK);
    uint64_t s1 = wb_savepoint(&wb);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(wb_put(&wb, a, SLICE_LIT("22"), false), ERR_OK);
    }
    assert_int_equal(wb.undo_count, 1);
    assert_true(a->now.must_be_new);
    assert_int_equal(wb_delete(&wb, touch(&wb, "b")), ERR_OK);
    assert_int_equal(wb.write_count, 2);
    assert_int_equal(wb_rollback_to(&wb, s1 + 5), ERR_INVALID);
    assert_int_equal(wb_rollback_to(&wb, s1), ERR_OK);
    assert_int_equal(wb.write_count, 1);
    assert_true(slice_eq(a->now.value, SLICE_LIT("1")));
    assert_true(mem.used > 0);
    wb_reset(&wb);
    assert_int_equal(mem.used, 0);
    assert_null(wb_find(&wb, SLICE_LIT("a")));
    wb_fini(&wb);
}

static uint64_t take(uint64_t *last, uint64_t floor, uint64_t count, uint64_t step, uint64_t offset)
{
    uint64_t first = 0;
    assert_int_equal(counter_take(last, floor, count, step, offset, &first), ERR_OK);
    return first;
}

static void test_sequence_take(void **state)
{
    (void)state;
    uint64_t last = 0;
    uint64_t first = 77;
    assert_int_equal(take(&last, 0, 1, 1, 0), 1);
    assert_int_equal(take(&last, 0, 10, 1, 0), 2);
    assert_int_equal(take(&last, 0, 1, 1, 0), 12);
    assert_int_equal(take(&last, 0, 2, 10, 3), 13);
    assert_int_equal(last, 23);
    assert_int_equal(take(&last, 40, 1, 10, 10), 50);
    last = UINT64_MAX;
    assert_int_equal(counter_take(&last, 0, 1, 1, 0, &first), ERR_LIMIT);
    last = UINT64_MAX - 1;
    assert_int_equal(counter_take(&last, 0, 2, 1, 0, &first), ERR_LIMIT);
    assert_int_equal(counter_take(&last, 0, 1, 10, 3, &first), ERR_LIMIT);
    assert_int_equal(first, 77);
    assert_int_equal(take(&last, 0, 1, 1, 0), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_seek),
        cmocka_unit_test(test_savepoints_and_charge),
        cmocka_unit_test(test_sequence_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
