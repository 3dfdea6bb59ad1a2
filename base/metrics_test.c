#include "base/metrics.h"

#include <pthread.h>
#include <string.h>

#include "base/rand.h"
#include "base/test_main.h"

enum { THREADS = 8, ADDS = 50000 };

static void *adder(void *arg UNUSED)
{
    for (unsigned i = 0; i < ADDS; i++) {
        metrics_add(METRIC_loop_turns, 1);
        metrics_add(METRIC_fibers_live, 2);
        metrics_sub(METRIC_fibers_live, 1);
        metrics_observe(METRIC_blocking_wait, i);
    }
    return NULL;
}

/* Counts of threads that have ended stay; reading meanwhile is allowed. */
static void test_threads(void **state UNUSED)
{
    for (unsigned round = 1; round <= 2; round++) {
        pthread_t threads[THREADS];
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_create(&threads[i], NULL, adder, NULL);
        }
        int64_t last = 0;
        for (unsigned i = 0; i < 100; i++) {
            int64_t now = metrics_get(METRIC_loop_turns);
            assert_true(now >= last);
            last = now;
        }
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        assert_int_equal(metrics_get(METRIC_loop_turns), round * THREADS * ADDS);
        assert_int_equal(metrics_get(METRIC_fibers_live), round * THREADS * ADDS);
        struct metrics_histogram h;
        metrics_get_histogram(METRIC_blocking_wait, &h);
        assert_int_equal(h.count, round * THREADS * ADDS);
        assert_int_equal(h.sum, (uint64_t)round * THREADS * ADDS * (ADDS - 1) / 2);
        assert_in_range(metrics_quantile(METRIC_blocking_wait, &h, 0.5), ADDS / 2, ADDS);
    }
}

/* A value falls into the first bucket whose bound it does not pass. */
static void test_buckets(void **state UNUSED)
{
    struct metrics_histogram before;
    struct metrics_histogram after;
    struct rand r;
    rand_seed(&r, 4);
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t value = rand_u64(&r) >> rand_below(&r, 64);
        if (i < METRICS_BUCKETS) {
            value = metrics_bucket_bound(METRIC_blocking_wait, i);
        } else if (i < 2 * METRICS_BUCKETS) {
            value = metrics_bucket_bound(METRIC_blocking_wait, i - METRICS_BUCKETS) + 1;
        }
        unsigned want = 0;
        while (want < METRICS_BUCKETS && metrics_bucket_bound(METRIC_blocking_wait, want) < value) {
            want++;
        }
        metrics_get_histogram(METRIC_blocking_wait, &before);
        metrics_observe(METRIC_blocking_wait, value);
        metrics_get_histogram(METRIC_blocking_wait, &after);
        assert_int_equal(after.buckets[want], before.buckets[want] + 1);
    }
    for (unsigned i = 1; i < METRICS_BUCKETS; i++) {
        assert_true(metrics_bucket_bound(METRIC_blocking_wait, i) >
                    metrics_bucket_bound(METRIC_blocking_wait, i - 1));
    }
}

static double source_value(void *ctx)
{
    return *(const double *)ctx;
}

static void test_render(void **state UNUSED)
{
    double value = 12.5;
    struct metrics_source a = {.name = "skein_test",
                               .labels = "k=\"a\"",
                               .help = "A test",
                               .value = source_value,
                               .ctx = &value};
    struct metrics_source b = a;
    b.labels = "k=\"b\"";
    struct metrics_source taken = a;
    taken.name = "skein_fibers";
    assert_int_equal(metrics_register(&a), ERR_OK);
    assert_int_equal(metrics_register(&b), ERR_OK);
    struct metrics_source twice = a;
    assert_int_equal(metrics_register(&twice), ERR_EXISTS);
    assert_int_equal(metrics_register(&taken), ERR_EXISTS);
    metrics_add(METRIC_log_lines_warn, 3);
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_int_equal(metrics_render(&out), ERR_OK);
    assert_int_equal(buf_append_u8(&out, 0), ERR_OK);
    const char *text = (const char *)out.ptr;
    const char *help = strstr(text, "# HELP skein_log_lines_total Lines written to the log\n"
                                    "# TYPE skein_log_lines_total counter\n");
    assert_non_null(help);
    assert_null(strstr(help + 10, "# HELP skein_log_lines_total"));
    assert_non_null(strstr(text, "skein_log_lines_total{level=\"warn\"} 3\n"));
    assert_non_null(strstr(text, "# TYPE skein_fibers gauge\nskein_fibers "));
    assert_non_null(strstr(text, "skein_blocking_wait_seconds_bucket{le=\"1.024e-06\"} "));
    assert_non_null(strstr(text, "skein_blocking_wait_seconds_bucket{le=\"+Inf\"} "));
    assert_non_null(strstr(text, "skein_blocking_wait_seconds_count "));
    assert_non_null(strstr(text, "# TYPE skein_test gauge\nskein_test{k=\"a\"} 12.5\n"
                                 "skein_test{k=\"b\"} 12.5\n"));
    buf_fini(&out);
    metrics_unregister(&a);
    metrics_unregister(&b);
    buf_init(&out, 100);
    assert_int_equal(metrics_render(&out), ERR_LIMIT);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_render),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
