#include "sql/diag/my_error.h"

#include "base/test_main.h"
#include "sql/diag/diag_area.h"
#include "sql/diag/err_map.h"

static void test_message(void **state)
{
    (void)state;
    struct diag d;
    diag_reset(&d);
    assert_int_equal(my_error(&d, ER_DUP_ENTRY, "1", "t.PRIMARY"), ERR_SQL);
    assert_int_equal(d.number, 1062);
    assert_string_equal(d.sqlstate, "23000");
    assert_string_equal(d.text, "Duplicate entry '1' for key 't.PRIMARY'");
    assert_string_equal(my_error_symbol(ER_DUP_ENTRY), "ER_DUP_ENTRY");
}

static void test_map_keeps_what_sql_said(void **state)
{
    (void)state;
    struct diag d;
    diag_reset(&d);
    my_error(&d, ER_NO_DB_ERROR);
    err_map(&d, ERR_SQL);
    assert_int_equal(d.number, 1046);
    diag_reset(&d);
    err_map(&d, ERR_LOCK_WAIT_TIMEOUT);
    assert_int_equal(d.number, 1205);
    assert_int_equal(err_map_number(ERR_DEADLOCK), 1213);
    assert_true(err_map_aborts_txn(ERR_DEADLOCK));
    assert_false(err_map_aborts_txn(ERR_LOCK_WAIT_TIMEOUT));
}

static void test_area_counts_what_it_does_not_keep(void **state)
{
    (void)state;
    struct diag_area a;
    diag_area_init(&a);
    a.max = 3;
    for (int i = 0; i < 5; i++) {
        diag_area_warn(&a, ER_WARN_DATA_OUT_OF_RANGE, "c", 1L);
    }
    a.notes_off = true;
    diag_area_note(&a, ER_BAD_TABLE_ERROR, "t");
    assert_int_equal(a.count, 3);
    assert_int_equal(a.total, 5);
    diag_area_reset(&a);
    assert_int_equal(a.count, 0);
    assert_int_equal(a.total, 0);
    diag_area_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_map_keeps_what_sql_said),
        cmocka_unit_test(test_area_counts_what_it_does_not_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
