#include "wire/result/format.h"

#include <math.h>
#include <stdlib.h>

#include "base/rand.h"
#include "base/test_main.h"

static void check(size_t n, const char *got, const char *want)
{
    assert_int_equal(n, strlen(want));
    assert_memory_equal(got, want, n);
}

static void test_integers(void **state)
{
    (void)state;
    char b[FORMAT_MAX];
    check(format_u64(b, 0), b, "0");
    check(format_u64(b, 9), b, "9");
    check(format_u64(b, 10), b, "10");
    check(format_u64(b, 100), b, "100");
    check(format_u64(b, UINT64_MAX), b, "18446744073709551615");
    check(format_i64(b, INT64_MIN), b, "-9223372036854775808");
    check(format_i64(b, -1), b, "-1");
}

/* As MySQL 9.7 answers. */
static void test_doubles(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {0.0, "0"},
        {-0.0, "-0"},
        {1e14, "100000000000000"},
        {1e15, "1e15"},
        {999999999999999.0, "999999999999999"},
        {9999999999999990.0, "9.99999999999999e15"},
        {123456789012345678.0, "1.2345678901234568e17"},
        {1e-4, "0.0001"},
        {1e-5, "0.00001"},
        {1e-15, "0.000000000000001"},
        {1e-16, "1e-16"},
        {1.5e-10, "0.00000000015"},
        {123456.789, "123456.789"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {5e-324, "5e-324"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e5 / 3, "33333.333333333336"},
        {1.0 / 3, "0.3333333333333333"},
        {2e-14 / 3, "0.0000000000000066666666666666664"},
        {2e-17 / 3, "6.6666666666666674e-18"},
        {-12345678901234.56, "-12345678901234.56"},
        {1.25e-15, "0.00000000000000125"},
        {-1655663276152741.2, "-1655663276152741.2"},
        {4311233254614841.5, "4311233254614841.5"},
        {0x1p+534, "5.623642243178996e160"},
        {0x1p-97, "6.310887241768095e-30"},
    };
    char b[FORMAT_MAX];
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        check(format_double(b, cases[i].v, 31), b, cases[i].text);
    }
    check(format_double(b, 1.005, 5), b, "1.00500");
    check(format_double(b, -2.5, 0), b, "-2");
    assert_true(format_double(b, 1.7e308, 30) < FORMAT_MAX);
}

static void test_floats(void **state)
{
    (void)state;
    static const struct {
        float v;
        const char *text;
    } cases[] = {
        {1e15f, "1e15"},
        {1e14f, "100000000000000"},
        {16777216.0f, "16777200"},
        {3.14159265f, "3.14159"},
        {1e-15f, "0.000000000000001"},
        {1e-16f, "1e-16"},
        {1.17e-38f, "1.17e-38"},
        {123456.0f, "123456"},
        {1234567.0f, "1234570"},
        {0.1f, "0.1"},
        {1e6f, "1000000"},
        {-1e20f, "-1e20"},
    };
    char b[FORMAT_MAX];
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        check(format_float(b, cases[i].v, 31), b, cases[i].text);
    }
    check(format_float(b, 2.5f, 3), b, "2.500");
}

/* Whatever it looks like, it reads back the same. */
static void test_round_trip(void **state)
{
    (void)state;
    struct rand r;
    char b[FORMAT_MAX + 1];
    rand_seed(&r, 1);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = rand_u64(&r);
        double v;
        memcpy(&v, &bits, sizeof(v));
        if (i % 2 == 0) {
            v = (double)(int64_t)rand_below(&r, 1000000000) / 100;
        }
        if (!isfinite(v)) {
            continue;
        }
        b[format_double(b, v, 31)] = '\0';
        assert_true(strtod(b, NULL) == v);
    }
}

static void test_times(void **state)
{
    (void)state;
    struct sql_time t = {.year = 1, .month = 2, .day = 3, .hour = 4, .minute = 5, .second = 6};
    char b[FORMAT_MAX];
    check(format_date(b, &t), b, "0001-02-03");
    check(format_datetime(b, &t), b, "0001-02-03 04:05:06");
    t.microsecond = 1200;
    t.decimals = 4;
    check(format_datetime(b, &t), b, "0001-02-03 04:05:06.0012");
    t.hour = 838;
    t.negative = true;
    check(format_time(b, &t), b, "-838:05:06.0012");
    t = (struct sql_time){0};
    check(format_date(b, &t), b, "0000-00-00");
    check(format_time(b, &t), b, "00:00:00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers), cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_floats),   cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
