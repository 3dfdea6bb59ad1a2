#include "base/double_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "base/test_main.h"

static void expect(double v, const char *text)
{
    char got[DOUBLE_TEXT_MAX];
    double_shortest(v, got);
    assert_string_equal(got, text);
}

static void test_known(void **state UNUSED)
{
    expect(0.1, "1.00000000000000e-01");
    expect(-1.5, "-1.50000000000000e+00");
    expect(1.7976931348623157e308, "1.7976931348623157e+308");
    expect(5e-324, "5e-324");
    expect(2.2250738585072014e-308, "2.2250738585072014e-308");
    /* 2^-549, ...: the nearest of 16 digits is another number, the next one is not */
    expect(ldexp(1, -549), "5.426657103235053e-166");
    expect(ldexp(-1, -788), "-6.142758149716505e-238");
    expect(ldexp(1, 481), "6.243497100631985e+144");
}

static unsigned digits_of(const char *text)
{
    unsigned n = 0;
    for (; *text != 'e'; text++) {
        n += *text >= '0' && *text <= '9';
    }
    return n;
}

/* Each reads back, and no text of one digit less does, neither the nearest nor its neighbours. */
static void check_one(double v)
{
    char text[DOUBLE_TEXT_MAX];
    double_shortest(v, text);
    assert_true(strtod(text, NULL) == v);
    unsigned digits = digits_of(text);
    if (digits <= 15) {
        return;
    }
    snprintf(text, sizeof(text), "%.*e", (int)digits - 2, v);
    char unit[DOUBLE_TEXT_MAX]; /* of the last digit */
    snprintf(unit, sizeof(unit), "1e%ld", strtol(strchr(text, 'e') + 1, NULL, 10) - digits + 2);
    for (int k = -1; k <= 1; k++) {
        char near[DOUBLE_TEXT_MAX];
        snprintf(near, sizeof(near), "%.*e", (int)digits - 2,
                 strtod(text, NULL) + k * strtod(unit, NULL));
        assert_true(strtod(near, NULL) != v);
    }
}

static void test_all(void **state UNUSED)
{
    struct rand r;
    rand_seed(&r, 4);
    for (int e = -1022; e < 1024; e++) {
        check_one(ldexp(1, e));
    }
    for (int i = 0; i < 100000; i++) {
        check_one(ldexp(1 + rand_unit(&r), (int)rand_below(&r, 2000) - 1000));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
