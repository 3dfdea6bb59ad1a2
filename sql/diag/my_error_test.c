#include "sql/diag/my_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sql/diag/diag_area.h"
#include "sql/diag/err_map.h"

static const struct {
    unsigned number;
    const char *sqlstate, *symbol, *format;
} rows[] = {
#define MYERR(symbol, number, sqlstate, format)        {number, sqlstate, #symbol, format},
#define MYERR_UNSEEN(symbol, number, sqlstate, format) {number, sqlstate, #symbol, format},
#define MYERR_NO_TEXT(symbol, number, sqlstate)        {number, sqlstate, #symbol, #symbol},
#include "sql/diag/mysql_errors.def"
#undef MYERR
#undef MYERR_UNSEEN
#undef MYERR_NO_TEXT
};

/* Only the conversions that the header of the registry names. */
static void check_format(const char *format)
{
    for (const char *p = strchr(format, '%'); p != NULL; p = strchr(p, '%')) {
        p++;
        p += strspn(p, "-.0123456789*");
        size_t longs = strspn(p, "l");
        p += longs;
        if (strchr(longs == 0 ? "sdux%" : "du", *p) == NULL || longs > 2) {
            fail_msg("%s: at '%s'", format, p);
        }
        p++;
    }
}

static void registry(void **state)
{
    (void)state;
    assert_true(ARRAY_COUNT(rows) > 1900);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_true(i == 0 || rows[i - 1].number < rows[i].number);
        assert_int_equal(strlen(rows[i].sqlstate), 5);
        check_format(rows[i].format);
        assert_string_equal(my_error_symbol((enum my_errno)rows[i].number), rows[i].symbol);
        assert_string_equal(my_error_sqlstate((enum my_errno)rows[i].number), rows[i].sqlstate);
    }
    assert_string_equal(my_error_symbol((enum my_errno)1), "ER_UNKNOWN_ERROR");
}

static void texts(void **state)
{
    (void)state;
    struct diag d;
    diag_reset(&d);
    assert_int_equal(my_error(&d, ER_DUP_ENTRY, "1", "t.PRIMARY"), ERR_SQL);
    assert_int_equal(d.number, 1062);
    assert_string_equal(d.sqlstate, "23000");
    assert_string_equal(d.text, "Duplicate entry '1' for key 't.PRIMARY'");
    assert_int_equal(my_error(NULL, ER_DUP_ENTRY, "1", "k"), ERR_SQL);
    my_error_at(&d, 7, ER_NO_SUCH_TABLE, "s", "t");
    assert_int_equal(d.position, 8);
    my_error_as(&d, ER_TRUNCATED_WRONG_VALUE, ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, "datetime", "x",
                "c", 1L);
    assert_string_equal(d.text, "Incorrect datetime value: 'x' for column 'c' at row 1");
    assert_int_equal(d.number, 1292);
}

/* A cut never leaves half a character. */
static void cut(void **state)
{
    (void)state;
    char key[200];
    for (size_t i = 0; i < 99; i++) {
        memcpy(key + 2 * i, "\xC3\xA4", 2);
    }
    key[198] = '\0';
    struct diag d;
    my_error(&d, ER_DUP_ENTRY, key + 1, "k"); /* 64 bytes from the middle of a character on */
    assert_null(strstr(d.text, "'\xA4"));
    const char *end = strstr(d.text, "' for key");
    assert_non_null(end);
    assert_int_equal((unsigned char)end[-1], 0xA4);
    assert_int_equal((unsigned char)end[-2], 0xC3);
}

static void area(void **state)
{
    (void)state;
    struct diag_area a;
    diag_area_init(&a);
    a.max = 3;
    for (int i = 0; i < 5; i++) {
        diag_area_warn(&a, WARN_DATA_TRUNCATED, "c", (long)i);
    }
    diag_area_note(&a, ER_BAD_TABLE_ERROR, "t");
    assert_int_equal(a.count, 3);
    assert_int_equal(a.total, 6);
    assert_int_equal(a.errors, 0);
    assert_true(
        slice_eq(a.conditions[2].text, SLICE_LIT("Data truncated for column 'c' at row 2")));
    diag_area_reset(&a);
    a.notes_off = true;
    diag_area_note(&a, ER_BAD_TABLE_ERROR, "t");
    assert_int_equal(a.total, 0);
    struct diag d;
    my_error(&d, ER_NO_SUCH_TABLE, "s", "t");
    diag_area_add(&a, DIAG_ERROR, &d);
    assert_int_equal(a.errors, 1);
    assert_int_equal(a.conditions[0].number, 1146);
    assert_string_equal(a.conditions[0].sqlstate, "42S02");
    struct diag_area_mark mark = diag_area_mark(&a);
    diag_area_warn(&a, WARN_DATA_TRUNCATED, "c", 1L);
    diag_area_add(&a, DIAG_ERROR, &d);
    diag_area_forget_since(&a, &mark);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.total, 1);
    assert_int_equal(a.errors, 1);
    assert_int_equal(a.conditions[0].number, 1146);
    mark = (struct diag_area_mark){0};
    diag_area_forget_since(&a, &mark);
    assert_int_equal(a.total, 0);
    diag_area_warn(NULL, ER_DUP_ENTRY, "x", "y");
    assert_string_equal(diag_level_name(DIAG_NOTE), "Note");
    diag_area_fini(&a);
}

static void mapping(void **state)
{
    (void)state;
    static const struct {
        db_err err;
        unsigned number;
        const char *sqlstate;
    } cases[] = {
        {ERR_LOCK_WAIT_TIMEOUT, 1205, "HY000"},
        {ERR_DEADLOCK, 1213, "40001"},
        {ERR_KEY_EXISTS, 1062, "23000"},
        {ERR_COMMIT_UNKNOWN, 20001, "40003"},
        {ERR_NOMEM, 1041, "HY000"},
        {ERR_LIMIT, 20003, "HY000"},
        {ERR_DISK_FULL, 1021, "HY000"},
        {ERR_CANCELED, 1317, "70100"},
        {ERR_TIMEOUT, 3024, "HY000"},
        {ERR_UNSUPPORTED, 1235, "42000"},
        {ERR_LOCK_NOWAIT, 3572, "HY000"},
        {ERR_LOCK_TABLE_FULL, 1206, "HY000"},
        {ERR_WRITE_CONFLICT, 1213, "40001"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct diag d;
        diag_reset(&d);
        err_map(&d, cases[i].err);
        assert_int_equal(d.number, cases[i].number);
        assert_string_equal(d.sqlstate, cases[i].sqlstate);
        assert_true(d.text[0] != '\0');
    }
    /* Every code has a number, and an unknown outcome is nobody's plain failure. */
    for (int e = 1; e < ERR__COUNT; e++) {
        struct diag d;
        diag_set(&d, (db_err)e, "the detail");
        err_map(&d, (db_err)e);
        assert_true(d.number != 0);
        assert_true(err_class((db_err)e) != ERR_CLASS_AMBIGUOUS || d.number > 20000);
    }
    struct diag d;
    diag_set(&d, ERR_UNSUPPORTED, "window functions");
    err_map(&d, ERR_UNSUPPORTED);
    assert_string_equal(d.text, "This version of MySQL doesn't yet support 'window functions'");
    err_map(&d, ERR_DEADLOCK); /* keeps what is there */
    assert_int_equal(d.number, 1235);
    assert_true(err_map_aborts_txn(ERR_DEADLOCK));
    assert_false(err_map_aborts_txn(ERR_LOCK_WAIT_TIMEOUT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry), cmocka_unit_test(texts),   cmocka_unit_test(cut),
        cmocka_unit_test(area),     cmocka_unit_test(mapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
