#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sql/diag/diag_area.h"
#include "sql/diag/err_map.h"
#include "sql/diag/my_error.h"

static void test_registry_is_sorted(void **state)
{
    (void)state;
    static const uint16_t numbers[] = {
#define MYERR(symbol, number, sqlstate, text) number,
#include "sql/diag/mysql_errors.def"
#undef MYERR
    };
    for (size_t i = 1; i < ARRAY_COUNT(numbers); i++) {
        assert_true(numbers[i - 1] < numbers[i]);
    }
}

static void test_message(void **state)
{
    (void)state;
    struct diag d;
    assert_int_equal(my_error(&d, ER_DUP_ENTRY, "1", "t.PRIMARY"), ERR_SQL);
    assert_int_equal(d.number, 1062);
    assert_string_equal(d.sqlstate, "23000");
    assert_string_equal(d.text, "Duplicate entry '1' for key 't.PRIMARY'");
    assert_string_equal(my_error_symbol(1062), "ER_DUP_ENTRY");
    assert_null(my_error_symbol(9));
}

static void test_map_keeps_ambiguity(void **state)
{
    (void)state;
    struct diag d;
    diag_reset(&d);
    err_to_mysql(ERR_COMMIT_UNKNOWN, &d);
    assert_int_equal(d.err, ERR_COMMIT_UNKNOWN);
    assert_int_equal(d.number, ER_ERROR_DURING_COMMIT);
    diag_set(&d, ERR_DISK_FULL, "segment 7");
    err_to_mysql(ERR_DISK_FULL, &d);
    assert_int_equal(d.number, 1021);
    assert_non_null(strstr(d.text, "segment 7"));
    my_error(&d, ER_NO_DB_ERROR);
    err_to_mysql(ERR_SQL, &d);
    assert_int_equal(d.number, 1046);
}

static void test_area_limits(void **state)
{
    (void)state;
    struct diag_area a;
    diag_area_init(&a, NULL);
    a.max = 3;
    for (int i = 0; i < 5; i++) {
        diag_area_add(&a, DIAG_WARNING, ER_WARN_DATA_OUT_OF_RANGE, SLICE_LIT("x"));
    }
    a.notes = false;
    diag_area_add(&a, DIAG_NOTE, 1003, SLICE_LIT("y"));
    assert_int_equal(a.count, 3);
    assert_int_equal(a.warning_count, 5);
    diag_area_clear(&a);
    assert_int_equal(a.count, 0);
    diag_area_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry_is_sorted),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_map_keeps_ambiguity),
        cmocka_unit_test(test_area_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
