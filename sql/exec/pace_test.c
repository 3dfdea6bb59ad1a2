/* Few rows of what is slow, all rows of what is quick, each row once and in order. */
#include "sql/exec/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "sql/types/vector.h"

static void test_steps(void **state UNUSED)
{
    struct pace p = {0};
    uint32_t calls = 0;
    assert_int_equal(pace_next(&p), 1);
    for (; pace_next(&p) < CHUNK_ROWS; calls++) {
        pace_took(&p, pace_next(&p), pace_next(&p) * 10);
    }
    assert_int_equal(calls, 5);
    pace_took(&p, 3, 30); /* few rows that are quick tell nothing */
    assert_int_equal(pace_next(&p), CHUNK_ROWS);
    pace_took(&p, CHUNK_ROWS, (uint64_t)CHUNK_ROWS * NS_PER_MS);
    assert_int_equal(pace_next(&p), 1);
    pace_took(&p, 1, NS_PER_MS);
    assert_int_equal(pace_next(&p), 1);
    pace_took(&p, 1, 10);
    assert_true(pace_next(&p) > 1);
}

struct seen {
    uint32_t calls, most, rows;
    uint64_t row_ns;
    bool marks[CHUNK_ROWS];
};

static db_err look(void *arg, const uint16_t *sel, uint32_t n)
{
    struct seen *s = arg;
    s->calls++;
    s->most = n > s->most ? n : s->most;
    for (uint32_t i = 0; i < n; i++, s->rows++) {
        uint32_t row = sel == NULL ? i : sel[i];
        assert_false(s->marks[row]);
        s->marks[row] = true;
    }
    for (uint64_t end = clock_mono_ns() + s->row_ns * n; clock_mono_ns() < end;) {
    }
    return ERR_OK;
}

static void test_rows(void **state UNUSED)
{
    enum { ROWS = 100 };
    static struct seen quick, slow, chosen;
    uint16_t sel[ROWS];
    for (uint16_t i = 0; i < ROWS; i++) {
        sel[i] = i * 7;
    }
    struct pace p = {0};
    assert_int_equal(pace_rows(&p, NULL, CHUNK_ROWS, look, &quick), ERR_OK);
    assert_int_equal(quick.rows, CHUNK_ROWS);
    p = (struct pace){0};
    slow.row_ns = NS_PER_MS / 2;
    assert_int_equal(pace_rows(&p, NULL, ROWS, look, &slow), ERR_OK);
    assert_int_equal(slow.rows, ROWS);
    assert_int_equal(slow.calls, ROWS);
    assert_int_equal(slow.most, 1);
    p = (struct pace){0};
    assert_int_equal(pace_rows(&p, sel, ROWS, look, &chosen), ERR_OK);
    assert_int_equal(chosen.rows, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        assert_true(chosen.marks[sel[i]]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
