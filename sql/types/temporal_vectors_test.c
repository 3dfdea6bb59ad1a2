/* Intervals, EXTRACT, TIMESTAMPDIFF, WEEK, DATE_FORMAT and STR_TO_DATE against what MySQL answered
 * (vectors/), and time zones. */
#include "sql/types/temporal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "sql/types/decimal.h"
#include "sql/types/timezone.h"

enum { FIELDS_MAX = 10 };

static const char *const unit_names[INTERVAL__COUNT] = {
    "YEAR",
    "QUARTER",
    "MONTH",
    "WEEK",
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "MICROSECOND",
    "YEAR_MONTH",
    "DAY_HOUR",
    "DAY_MINUTE",
    "DAY_SECOND",
    "HOUR_MINUTE",
    "HOUR_SECOND",
    "MINUTE_SECOND",
    "DAY_MICROSECOND",
    "HOUR_MICROSECOND",
    "MINUTE_MICROSECOND",
    "SECOND_MICROSECOND",
};

static enum interval_unit unit_of(const char *name)
{
    for (int i = 0; i < INTERVAL__COUNT; i++) {
        if (strcmp(unit_names[i], name) == 0) {
            return (enum interval_unit)i;
        }
    }
    fail();
    return INTERVAL_YEAR;
}

static int64_t stamp(const char *text)
{
    int64_t v;
    int32_t offset;
    assert_int_equal(datetime_parse(slice_str(text), 6, 0, &v, &offset, NULL) & TEMPORAL_INVALID,
                     0);
    return v;
}

/* Runs `check` for each line; it writes what we answer and returns the field with MySQL's answer.
 */
static void run(const char *name, unsigned fields,
                unsigned (*check)(char **field, char *out, size_t size))
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", TYPES_VECTORS, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char line[1024];
    unsigned count = 0;
    unsigned failures = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        char shown[1024];
        char *field[FIELDS_MAX];
        char out[512];
        line[strcspn(line, "\n")] = '\0';
        snprintf(shown, sizeof(shown), "%s", line);
        unsigned n = 0;
        for (char *p = line; p != NULL && n < FIELDS_MAX; n++) {
            field[n] = p;
            p = strchr(p, '\t');
            if (p != NULL) {
                *p++ = '\0';
            }
        }
        assert_int_equal(n, fields);
        unsigned answer = check(field, out, sizeof(out));
        count++;
        if (strcmp(out, field[answer]) != 0 && ++failures < 30) {
            fprintf(stderr, "%s: [%s] got [%s]\n", name, shown, out);
        }
    }
    fclose(f);
    fprintf(stderr, "%s: %u lines, %u differ\n", name, count, failures);
    assert_int_equal(failures, 0);
}

static void put_datetime(bool ok, int64_t v, char *out)
{
    char text[TEMPORAL_TEXT_MAX];
    snprintf(out, 64, ok ? "%.*s" : "\\N", (int)datetime_to_text(v, 6, text), text);
}

static unsigned check_interval(char **field, char *out, size_t size)
{
    enum interval_unit unit = unit_of(field[2]);
    struct interval iv;
    char both[2][64];
    struct decimal seconds;
    bool ok = unit == INTERVAL_SECOND ? (decimal_from_text(slice_str(field[1]), &seconds),
                                         interval_from_seconds(&seconds, &iv))
                                      : interval_from_text(slice_str(field[1]), unit, &iv);
    for (int i = 0; i < 2; i++) {
        int64_t v = 0;
        bool done = ok && datetime_add_interval(stamp(field[0]), &iv, i == 1, unit, &v);
        put_datetime(done, v, both[i]);
    }
    snprintf(out, size, "%s", both[0]);
    if (strcmp(out, field[3]) == 0) {
        snprintf(out, size, "%s", both[1]);
        return 4;
    }
    return 3;
}

static unsigned check_extract(char **field, char *out, size_t size)
{
    struct time_parts p;
    datetime_unpack(stamp(field[0]), &p);
    snprintf(out, size, "%lld", (long long)temporal_extract(&p, false, unit_of(field[1])));
    return 2;
}

static unsigned check_diff(char **field, char *out, size_t size)
{
    snprintf(out, size, "%lld",
             (long long)datetime_diff(stamp(field[1]), stamp(field[2]), unit_of(field[0])));
    return 3;
}

static unsigned check_week(char **field, char *out, size_t size)
{
    struct time_parts p;
    unsigned year;
    datetime_unpack(stamp(field[0]), &p);
    unsigned mode = (unsigned)(field[1][0] - '0');
    uint32_t days = date_to_days(p.year, p.month, p.day);
    unsigned week = date_week(&p, mode, &year);
    unsigned own_week = date_week(&p, mode | 2, &year);
    unsigned y;
    unsigned m;
    unsigned d;
    char text[TEMPORAL_TEXT_MAX];
    (void)date_from_days(days, &y, &m, &d);
    unsigned len = date_to_text(datetime_make(y, m, d, 0, 0, 0, 0), text);
    snprintf(out, size, "%u|%u|%u|%u|%u|%.*s", week, year * 100 + own_week, days,
             date_weekday(days, false), date_weekday(days, true) + 1, (int)len, text);
    static char want[256];
    snprintf(want, sizeof(want), "%s|%s|%s|%s|%s|%s", field[2], field[3], field[4], field[5],
             field[6], field[7]);
    field[2] = want;
    return 2;
}

static unsigned check_format(char **field, char *out, size_t size)
{
    struct time_parts p;
    struct buf b;
    bool is_null;
    buf_init(&b, 4096);
    datetime_unpack(stamp(field[0]), &p);
    assert_int_equal(
        temporal_format(&p, false, slice_str(field[1]), date_locale_en_us, &b, &is_null), ERR_OK);
    snprintf(out, size, "%.*s", is_null ? 2 : (int)b.len, is_null ? "\\N" : (const char *)b.ptr);
    buf_fini(&b);
    return 2;
}

static unsigned check_str_to_date(char **field, char *out, size_t size)
{
    struct time_parts p;
    enum type_id kind;
    bool trailing;
    char text[TEMPORAL_TEXT_MAX];
    if (!temporal_parse_format(slice_str(field[0]), slice_str(field[1]), &p, &kind, &trailing) ||
        (kind != TYPE_TIME && (datetime_check(datetime_pack(&p), 0) & TEMPORAL_INVALID) != 0)) {
        snprintf(out, size, "\\N");
        return 2;
    }
    unsigned decimals;
    assert_int_equal(temporal_format_kind(slice_str(field[1]), &decimals), kind);
    unsigned len = kind == TYPE_TIME   ? time_to_text(time_pack(&p), decimals, text)
                   : kind == TYPE_DATE ? date_to_text(datetime_pack(&p), text)
                                       : datetime_to_text(datetime_pack(&p), decimals, text);
    snprintf(out, size, "%.*s", (int)len, text);
    return 2;
}

static void test_interval(void **state UNUSED)
{
    run("interval.txt", 5, check_interval);
}
static void test_extract(void **state UNUSED)
{
    run("extract.txt", 3, check_extract);
}
static void test_diff(void **state UNUSED)
{
    run("diff.txt", 4, check_diff);
}
static void test_week(void **state UNUSED)
{
    run("week.txt", 8, check_week);
}
static void test_format(void **state UNUSED)
{
    run("format.txt", 3, check_format);
}
static void test_str_to_date(void **state UNUSED)
{
    run("str_to_date.txt", 3, check_str_to_date);
}

static void test_days(void **state UNUSED)
{
    for (uint32_t days = 366; days < 3652424; days += 13) {
        unsigned y;
        unsigned m;
        unsigned d;
        assert_true(date_from_days(days, &y, &m, &d));
        assert_int_equal(date_to_days(y, m, d), days);
    }
}

static void expect_nearest(const char *local, int order, const char *utc)
{
    int64_t stored;
    int64_t v;
    int32_t offset;
    unsigned cond =
        datetime_parse(slice_str(local), 6, TEMPORAL_F_INVALID_DATES, &v, &offset, NULL);
    assert_int_equal(cond & TEMPORAL_INVALID, 0);
    assert_int_equal(timestamp_nearest(timezone_utc(), v, &stored), order);
    assert_true(stored == stamp(utc));
}

static void expect_zone(const char *zone, const char *local, const char *utc, bool want_gap)
{
    const struct timezone *tz = NULL;
    assert_int_equal(timezone_find(slice_str(zone), NULL, &tz), ERR_OK);
    int64_t stored;
    bool gap = false;
    assert_true(timestamp_from_local(tz, stamp(local), &stored, &gap));
    assert_int_equal(gap, want_gap);
    assert_true(stored == stamp(utc));
    if (!want_gap) {
        assert_true(timestamp_to_local(tz, stored) == stamp(local));
    }
}

static void test_zones(void **state UNUSED)
{
    expect_zone("+05:30", "2024-01-31 12:00:00", "2024-01-31 06:30:00", false);
    expect_zone("-3:00", "2024-01-31 22:00:00.5", "2024-02-01 01:00:00.5", false);
    expect_zone("Europe/Berlin", "2024-01-31 12:00:00", "2024-01-31 11:00:00", false);
    expect_zone("Europe/Berlin", "2024-07-31 12:00:00", "2024-07-31 10:00:00", false);
    expect_zone("Europe/Berlin", "2024-03-31 01:59:59", "2024-03-31 00:59:59", false);
    expect_zone("Europe/Berlin", "2024-03-31 02:30:00", "2024-03-31 01:00:00", true);
    expect_zone("Europe/Berlin", "2024-03-31 03:00:00", "2024-03-31 01:00:00", false);
    expect_zone("Europe/Berlin", "2024-10-27 02:30:00", "2024-10-27 00:30:00",
                false); /* the first of two */
    expect_zone("America/New_York", "2024-12-01 00:00:00", "2024-12-01 05:00:00", false);
    const struct timezone *tz = NULL;
    struct diag diag;
    diag_reset(&diag);
    static const char *const bad[] = {"",     "Mars/Phobos", "+15:00", "-14:00",
                                      "+1",   "5",           "+05:60", "+:5",
                                      "+05:", "+5::",        "+5:3x",  "+4294967296:0"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(timezone_find(slice_str(bad[i]), &diag, &tz), ERR_SQL);
        assert_int_equal(diag.number, 1298);
    }
    int64_t utc;
    bool gap;
    assert_false(timestamp_from_local(timezone_utc(), stamp("1970-01-01 00:00:00"), &utc, &gap));
    assert_false(timestamp_from_local(timezone_utc(), stamp("2038-01-19 03:14:08"), &utc, &gap));
    assert_true(
        timestamp_from_local(timezone_utc(), stamp("2038-01-19 03:14:07.999999"), &utc, &gap));
    assert_true(timestamp_from_local(timezone_utc(), 0, &utc, &gap) && utc == 0);
    expect_nearest("1970-01-01 00:00:00", 1, "1970-01-01 00:00:01");
    expect_nearest("0000-00-01 00:00:00", 1, "1970-01-01 00:00:01");
    expect_nearest("2038-01-19 03:14:08", -1, "2038-01-19 03:14:07.999999");
    expect_nearest("9999-12-31 23:59:59", -1, "2038-01-19 03:14:07.999999");
    expect_nearest("2024-00-00 00:00:00", 1, "2024-01-01 00:00:00");
    expect_nearest("2024-05-00 10:00:00", 1, "2024-05-01 00:00:00");
    expect_nearest("2024-02-30 10:00:00", 1, "2024-03-01 00:00:00");
    expect_nearest("2024-02-29 10:00:00", 0, "2024-02-29 10:00:00");
    assert_true(timestamp_nearest(timezone_utc(), 0, &utc) == 0 && utc == 0);
    expect_zone("SYSTEM", "2024-01-31 12:00:00", "2024-01-31 09:00:00", false);
    assert_string_equal(timezone_system_abbreviation(), "GMT");
    assert_int_equal(timezone_find(SLICE_LIT("+2:00"), NULL, &tz), ERR_OK);
    assert_string_equal(timezone_name(tz), "+02:00");
}

int main(void)
{
    setenv("TZ", "GMT-3", 1); /* POSIX's sign: three hours before Greenwich */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interval), cmocka_unit_test(test_extract),
        cmocka_unit_test(test_diff),     cmocka_unit_test(test_week),
        cmocka_unit_test(test_format),   cmocka_unit_test(test_str_to_date),
        cmocka_unit_test(test_days),     cmocka_unit_test(test_zones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
