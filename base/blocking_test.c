#include "base/blocking.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/fiber.h"
#include "base/test_main.h"

enum { FIBERS = 200, ROUNDS = 50 };
static _Atomic unsigned g_jobs;

struct work {
    pthread_t caller;
    unsigned in;
    unsigned out;
    bool elsewhere;
};

static void job(void *arg)
{
    struct work *w = arg;
    w->out = w->in * 2;
    w->elsewhere = !pthread_equal(pthread_self(), w->caller);
    CHECK(fiber_self() == NULL);
    if (w->in % 64 == 0) {
        usleep(200);
    }
    atomic_fetch_add(&g_jobs, 1);
}

static void worker_fiber(void *arg UNUSED)
{
    struct loop *loop = loop_current();
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct work w = {.caller = pthread_self(), .in = i};
        blocking_run(job, &w);
        CHECK(w.out == 2 * i);
        CHECK(w.elsewhere);
        CHECK(loop_current() == loop);
    }
}

static void test_many_jobs(void **state UNUSED)
{
    struct loop_group *group = NULL;
    const struct loop_group_opts opts = {.count = 3};
    assert_int_equal(loop_group_start(&opts, &group), ERR_OK);
    for (unsigned i = 0; i < FIBERS; i++) {
        assert_int_equal(fiber_spawn(loop_group_get(group, i % 3), worker_fiber, NULL), ERR_OK);
    }
    loop_group_stop(group);
    assert_int_equal(atomic_load(&g_jobs), FIBERS * ROUNDS);
    struct blocking_stats stats;
    blocking_get_stats(&stats);
    assert_int_equal(stats.queued, 0);
    assert_in_range(stats.threads, 1, 16);
    blocking_pool_stop();
    blocking_get_stats(&stats);
    assert_int_equal(stats.threads, 0);
}

static void test_outside_fiber(void **state UNUSED)
{
    struct work w = {.caller = pthread_self(), .in = 3};
    blocking_run(job, &w);
    assert_int_equal(w.out, 6);
    assert_false(w.elsewhere);
}

/* More slow jobs than kept threads: the pool grows, but not past its maximum. */
static _Atomic unsigned g_at_once;
static _Atomic unsigned g_peak;

static void slow_job(void *arg UNUSED)
{
    unsigned now = atomic_fetch_add(&g_at_once, 1) + 1;
    unsigned peak = atomic_load(&g_peak);
    while (now > peak && !atomic_compare_exchange_weak(&g_peak, &peak, now)) {
    }
    usleep(5000);
    atomic_fetch_sub(&g_at_once, 1);
}

static void slow_fiber(void *arg UNUSED)
{
    blocking_run(slow_job, NULL);
}

static void slow_main(void *arg UNUSED)
{
    for (unsigned i = 0; i < 60; i++) {
        CHECK_OK(fiber_spawn(loop_current(), slow_fiber, NULL));
    }
}

static void test_growth(void **state UNUSED)
{
    const struct blocking_opts opts = {.threads = 2, .threads_max = 6};
    blocking_configure(&opts);
    assert_int_equal(loop_run_main(slow_main, NULL), ERR_OK);
    assert_in_range(atomic_load(&g_peak), 3, 6);
    blocking_pool_stop();
}

/* All kept threads are in jobs that last: a short one does not wait for them. */
static _Atomic bool g_go_on;

static void long_job(void *arg UNUSED)
{
    while (!atomic_load(&g_go_on)) {
        usleep(1000);
    }
}

static void long_fiber(void *arg UNUSED)
{
    blocking_run(long_job, NULL);
}

static void short_job(void *arg UNUSED)
{
    atomic_store(&g_go_on, true);
}

static void stuck_main(void *arg UNUSED)
{
    for (unsigned i = 0; i < 2; i++) {
        CHECK_OK(fiber_spawn(loop_current(), long_fiber, NULL));
    }
    CHECK_OK(fiber_sleep(50 * NS_PER_MS));
    blocking_run(short_job, NULL);
}

static void test_stuck(void **state UNUSED)
{
    const struct blocking_opts opts = {.threads = 2, .threads_max = 3};
    blocking_configure(&opts);
    (void)alarm(20);
    assert_int_equal(loop_run_main(stuck_main, NULL), ERR_OK);
    (void)alarm(0);
    blocking_pool_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_jobs),
        cmocka_unit_test(test_outside_fiber),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
