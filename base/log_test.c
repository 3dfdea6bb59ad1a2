#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/test_main.h"

static char g_line[16384];
static size_t g_len;

static void sink(void *ctx UNUSED, enum log_level level UNUSED, const char *line, size_t len)
{
    assert_true(len < sizeof(g_line));
    assert_int_equal(line[len - 1], '\n');
    memcpy(g_line, line, len);
    g_line[len] = '\0';
    g_len = len;
}

static uint64_t fixed_time(void *ctx UNUSED)
{
    return 1936422489000123u; /* 2031-05-13 07:08:09.000123 UTC */
}

static const struct clock_ops g_fixed = {"fixed", fixed_time, fixed_time, NULL};

static int set_up(void **state UNUSED)
{
    clock_set(&g_fixed);
    log_set_sink(sink, NULL);
    g_len = 0;
    g_line[0] = '\0';
    return 0;
}

static int tear_down(void **state UNUSED)
{
    clock_set(NULL);
    log_set_sink(NULL, NULL);
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    return 0;
}

static void test_text(void **state UNUSED)
{
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    LOG_WARN("range.split.retry", F_U64("range", 7), F_I64("delta", -3), F_STR("name", "plain"),
             F_STR("quoted", "a b\"c\n"), F_F64("load", 0.5), F_ERR(ERR_NOT_LEADER),
             F_STR("none", NULL), F_SLICE("empty", SLICE_EMPTY));
    assert_string_equal(
        g_line, "2031-05-13T07:08:09.000123Z WARN  range.split.retry range=7 delta=-3 name=plain "
                "quoted=\"a b\\\"c\\n\" load=0.5 error=NOT_LEADER none=(null) empty=\"\"\n");
    LOG_INFO("start");
    assert_string_equal(g_line, "2031-05-13T07:08:09.000123Z INFO  start\n");
}

static void test_json(void **state UNUSED)
{
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    LOG_ERROR("x.y", F_U64("u", UINT64_MAX), F_STR("s", "q\"\\\t\x01/\xc3\xa4\xff\xed\xa0\x80"),
              F_F64("nan", NAN), F_F64("f", 1e300));
    assert_string_equal(
        g_line, "{\"ts\":\"2031-05-13T07:08:09.000123Z\",\"level\":\"error\",\"event\":\"x.y\","
                "\"u\":18446744073709551615,\"s\":\"q\\\"\\\\\\t\\u0001/\xc3\xa4\\ufffd\\ufffd"
                "\\ufffd\\ufffd\",\"nan\":null,\"f\":1e+300}\n");
}

static void test_levels(void **state UNUSED)
{
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    int64_t before = metrics_get(METRIC_log_lines_info);
    LOG_INFO("not.shown", F_U64("x", 1));
    LOG_DEBUG("not.shown");
    assert_int_equal(g_len, 0);
    assert_int_equal(metrics_get(METRIC_log_lines_info), before);
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    assert_false(log_enabled(LOG_LEVEL_INFO));
}

/* Long values are cut, long lines end early, and stay well-formed. */
static void test_limits(void **state UNUSED)
{
    static char big[5000];
    memset(big, 'b', sizeof(big) - 1);
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    LOG_INFO("long.value", F_STR("v", big), F_U64("after", 1));
    assert_non_null(strstr(g_line, "bbb...\",\"after\":1}\n"));
    memset(big, '\x02', sizeof(big) - 1);
    LOG_INFO("long.line", F_U64("before", 1), F_STR("v", big), F_U64("after", 1));
    assert_non_null(strstr(g_line, "\"before\":1,\"truncated\":true}\n"));
    assert_null(strstr(g_line, "after"));
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    LOG_INFO("long.line", F_STR("v", big), F_U64("after", 1));
    assert_string_equal(g_line, "2031-05-13T07:08:09.000123Z INFO  long.line truncated=true\n");
}

/* Without a sink: one line on stderr. */
static void test_stderr(void **state UNUSED)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    int saved = dup(STDERR_FILENO);
    dup2(fds[1], STDERR_FILENO);
    log_set_sink(NULL, NULL);
    LOG_INFO("to.stderr", F_U64("n", 1));
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fds[1]);
    ssize_t n = read(fds[0], g_line, sizeof(g_line) - 1);
    close(fds[0]);
    assert_true(n > 0);
    g_line[n] = '\0';
    assert_string_equal(g_line, "2031-05-13T07:08:09.000123Z INFO  to.stderr n=1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_levels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stderr, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
