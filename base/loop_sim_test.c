#include "base/loop.h"

#include <string.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/test_main.h"

static struct loop_group *start_sim(unsigned count, uint64_t seed)
{
    struct loop_group *group = NULL;
    const struct loop_sim_opts opts = {.count = count, .seed = seed};
    assert_int_equal(loop_group_start_sim(&opts, &group), ERR_OK);
    return group;
}

/* Fibers on several loops write down what they do; the trace must be the same for the same seed. */
static char g_trace[4096];

static void trace(char c)
{
    size_t len = strlen(g_trace);
    CHECK(len + 1 < sizeof(g_trace));
    g_trace[len] = c;
    g_trace[len + 1] = '\0';
}

static void blocking_part(void *arg UNUSED)
{
    trace('!');
}

static void tracer_main(void *arg)
{
    char c = (char)(uintptr_t)arg;
    for (unsigned i = 0; i < 20; i++) {
        trace(c);
        CHECK_OK(fiber_checkpoint());
        if (i % 5 == 0) {
            CHECK_OK(fiber_sleep(((uint64_t)c % 7 + i) * NS_PER_S));
        }
        if (i % 7 == 0) {
            blocking_run(blocking_part, NULL);
        }
    }
}

static void run_traced(uint64_t seed, char *ret_trace)
{
    memset(g_trace, 0, sizeof(g_trace));
    struct loop_group *group = start_sim(3, seed);
    assert_null(loop_uv(loop_group_get(group, 0)));
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(
            fiber_spawn(loop_group_get(group, i % 3), tracer_main, (void *)(uintptr_t)('a' + i)),
            ERR_OK);
    }
    loop_group_stop(group);
    memcpy(ret_trace, g_trace, sizeof(g_trace));
}

static void test_reproducible(void **state UNUSED)
{
    static char first[sizeof(g_trace)];
    static char second[sizeof(g_trace)];
    static char other[sizeof(g_trace)];
    run_traced(5, first);
    run_traced(5, second);
    run_traced(6, other);
    assert_string_equal(first, second);
    assert_string_not_equal(first, other);
    assert_int_equal(strlen(first), 9 * (20 + 3));
}

/* --- the virtual clock --- */

static unsigned g_days;

static void sleeper_main(void *arg UNUSED)
{
    for (;;) {
        uint64_t before = clock_mono_ns();
        if (fiber_sleep(24 * 3600 * NS_PER_S) != ERR_OK) {
            return;
        }
        CHECK(clock_mono_ns() - before == 24 * 3600 * NS_PER_S);
        g_days++;
        if (g_days == 40) {
            loop_group_sim_break((struct loop_group *)arg);
        }
    }
}

static void test_virtual_time(void **state UNUSED)
{
    struct loop_group *group = start_sim(1, 1);
    uint64_t begin = loop_group_sim_now_ns(group);
    uint64_t wall = clock_wall_us();
    assert_int_equal(fiber_spawn(loop_group_get(group, 0), sleeper_main, group), ERR_OK);
    loop_group_sim_run(group, begin + 30 * 24 * 3600 * NS_PER_S + 5);
    assert_int_equal(g_days, 30);
    assert_int_equal(loop_group_sim_now_ns(group), begin + 30 * 24 * 3600 * NS_PER_S + 5);
    assert_int_equal(clock_wall_us() - wall, 30ull * 24 * 3600 * 1000000);
    loop_group_sim_run(group, begin + 60 * 24 * 3600 * NS_PER_S);
    assert_int_equal(g_days, 40);
    /* A process that goes away: its fiber never runs again. */
    loop_sim_kill(loop_group_get(group, 0));
    assert_true(loop_group_sim_settle(group, DEADLINE_NONE));
    assert_int_equal(g_days, 40);
    loop_group_stop(group);
}

static void test_one_at_a_time(void **state UNUSED)
{
    struct loop_group *group = start_sim(1, 1);
    struct loop_group *second = NULL;
    const struct loop_sim_opts opts = {.count = 1};
    assert_int_equal(loop_group_start_sim(&opts, &second), ERR_BUSY);
    assert_null(second);
    loop_group_stop(group);
}

/* --- drift --- */

static uint64_t g_woke[2];
static struct loop_group *g_group;

static void drift_main(void *arg)
{
    CHECK_OK(fiber_sleep(1000 * NS_PER_S));
    g_woke[(uintptr_t)arg] = loop_group_sim_now_ns(g_group);
}

static void test_drift(void **state UNUSED)
{
    g_group = start_sim(2, 1);
    uint64_t begin = loop_group_sim_now_ns(g_group);
    loop_sim_set_drift(loop_group_get(g_group, 0), 1000);
    loop_sim_set_drift(loop_group_get(g_group, 1), -1000);
    for (uintptr_t i = 0; i < 2; i++) {
        assert_int_equal(fiber_spawn(loop_group_get(g_group, (unsigned)i), drift_main, (void *)i),
                         ERR_OK);
    }
    assert_true(loop_group_sim_settle(g_group, DEADLINE_NONE));
    /* 1000 s on a clock that is 0.1 % fast pass in 999.0 s; on a slow one in 1001.0 s. */
    assert_in_range(g_woke[0] - begin, 999 * NS_PER_S, 999 * NS_PER_S + 2 * NS_PER_MS);
    assert_in_range(g_woke[1] - begin, 1001 * NS_PER_S, 1001 * NS_PER_S + 2 * NS_PER_MS);
    loop_group_stop(g_group);
}

/* --- waits across loops, and fibers that nothing wakes --- */

static struct waiter *g_waiter;
static int g_got;

static void wait_main(void *arg UNUSED)
{
    struct waiter w;
    wait_init(&w);
    g_waiter = &w;
    CHECK_OK(wait_block(&w, DEADLINE_NONE));
    g_got = w.result;
    wait_init(&w);
    CHECK(wait_block(&w, DEADLINE_NONE) == ERR_OK);
    CHECK(false); /* nobody signals */
}

static void signal_main(void *arg UNUSED)
{
    wait_signal(g_waiter, 9);
}

static void test_stranded(void **state UNUSED)
{
    struct loop_group *group = start_sim(2, 1);
    assert_int_equal(fiber_spawn(loop_group_get(group, 0), wait_main, NULL), ERR_OK);
    assert_true(loop_group_sim_settle(group, DEADLINE_NONE));
    assert_int_equal(fiber_spawn(loop_group_get(group, 1), signal_main, NULL), ERR_OK);
    assert_true(loop_group_sim_settle(group, DEADLINE_NONE));
    assert_int_equal(g_got, 9);
    loop_group_stop(group); /* drops the one that waits for ever */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reproducible),  cmocka_unit_test(test_virtual_time),
        cmocka_unit_test(test_one_at_a_time), cmocka_unit_test(test_drift),
        cmocka_unit_test(test_stranded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
