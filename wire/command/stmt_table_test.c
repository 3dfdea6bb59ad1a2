#include "wire/command/stmt_table.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "base/test_main.h"

static void test_random(void **state)
{
    (void)state;
    enum { IDS = 300, STEPS = 50000, APART = 1 << 20, TOGETHER = 6 };
    struct stmt_table t = {0};
    struct stmt *stmts = mem_calloc(IDS, sizeof(*stmts));
    bool there[IDS] = {false};
    struct rand r;
    uint32_t count = 0;
    rand_seed(&r, 5);
    assert_non_null(stmts);
    assert_null(stmt_table_find(&t, 1));
    for (uint32_t k = 0; k < IDS; k++) { /* some have the same slot, whatever the capacity */
        stmts[k].id = 1 + k / TOGETHER + k % TOGETHER * APART;
    }
    for (int i = 0; i < STEPS; i++) {
        uint32_t k = (uint32_t)rand_below(&r, IDS);
        assert_ptr_equal(stmt_table_find(&t, stmts[k].id), there[k] ? &stmts[k] : NULL);
        if (there[k]) {
            stmt_table_remove(&t, &stmts[k]);
            count--;
        } else {
            assert_int_equal(stmt_table_add(&t, &stmts[k]), ERR_OK);
            count++;
        }
        there[k] = !there[k];
        assert_int_equal(t.count, count);
    }
    for (uint32_t k = 0; k < IDS; k++) {
        assert_ptr_equal(stmt_table_find(&t, stmts[k].id), there[k] ? &stmts[k] : NULL);
    }
    stmt_table_fini(&t);
    mem_free(stmts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
