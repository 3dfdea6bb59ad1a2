/* What switching, spawning, waking and handing work to another thread cost. Prints one line per
 * case. */
#include "base/fiber.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/blocking.h"

enum {
    SWITCHES = 20 * 1000 * 1000,
    SPAWNS = 2 * 1000 * 1000,
    HOPS = 200 * 1000,
    JOBS = 100 * 1000
};

static void report(const char *what, uint64_t begin_ns, uint64_t count)
{
    printf("%-44s %8.1f ns\n", what, (double)(clock_mono_ns() - begin_ns) / (double)count);
}

/* Two fibers signal each other: a wait, a signal and two jumps for each hand-over. */
static struct waiter *g_waiting[2];

static void hand_over_main(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < SWITCHES / 4; i++) {
        struct waiter w;
        wait_init(&w);
        g_waiting[me] = &w;
        if (g_waiting[1 - me] != NULL) {
            struct waiter *other = g_waiting[1 - me];
            g_waiting[1 - me] = NULL;
            wait_signal(other, 0);
        }
        wait_block_uncancelable(&w);
    }
    if (g_waiting[1 - me] != NULL) {
        wait_signal(g_waiting[1 - me], 0);
    }
}

static void yield_main(void *arg UNUSED)
{
    for (unsigned i = 0; i < SWITCHES / 2 / 256; i++) {
        fiber_yield();
    }
}

static void empty_main(void *arg UNUSED)
{
}

static struct loop *g_other;
static struct waiter *g_hop_back;

static void hop_main(void *arg UNUSED)
{
    wait_signal(g_hop_back, 0);
}

static void empty_job(void *arg UNUSED)
{
}

static void bench_yield(void *arg UNUSED)
{
    for (int i = 0; i < 256; i++) {
        db_err err = fiber_spawn(loop_current(), yield_main, NULL);
        ASSERT(err == ERR_OK);
    }
}

static void bench_hand_over(void *arg UNUSED)
{
    for (uintptr_t i = 0; i < 2; i++) {
        db_err err = fiber_spawn(loop_current(), hand_over_main, (void *)i);
        ASSERT(err == ERR_OK);
    }
}

static void bench_spawn(void *arg UNUSED)
{
    for (unsigned i = 0; i < SPAWNS; i++) {
        db_err err = fiber_spawn(loop_current(), empty_main, NULL);
        ASSERT(err == ERR_OK);
        if (i % 32 == 31) {
            fiber_yield();
        }
    }
}

static void bench_checkpoint(void *arg UNUSED)
{
    for (unsigned i = 0; i < SWITCHES; i++) {
        db_err err = fiber_checkpoint();
        ASSERT(err == ERR_OK);
    }
}

static void bench_deadline_wait(void *arg UNUSED)
{
    fiber_set_deadline(clock_mono_ns() + 3600 * NS_PER_S);
    for (unsigned i = 0; i < SPAWNS; i++) {
        struct waiter w;
        wait_init(&w);
        g_hop_back = &w;
        db_err err = fiber_spawn(loop_current(), hop_main, NULL);
        ASSERT(err == ERR_OK);
        err = wait_block(&w, DEADLINE_NONE);
        ASSERT(err == ERR_OK);
    }
}

static void bench_hop(void *arg UNUSED)
{
    uint64_t begin = clock_mono_ns();
    for (unsigned i = 0; i < HOPS; i++) {
        struct waiter w;
        wait_init(&w);
        g_hop_back = &w;
        db_err err = fiber_spawn(g_other, hop_main, NULL);
        ASSERT(err == ERR_OK);
        wait_block_uncancelable(&w);
    }
    report("spawn on another loop and back", begin, HOPS);
}

static void bench_blocking(void *arg UNUSED)
{
    uint64_t begin = clock_mono_ns();
    for (unsigned i = 0; i < JOBS; i++) {
        blocking_run(empty_job, NULL);
    }
    report("blocking_run, one at a time", begin, JOBS);
}

static void run_main(const char *what, void (*fn)(void *), uint64_t count)
{
    uint64_t begin = clock_mono_ns();
    db_err err = loop_run_main(fn, NULL);
    ASSERT(err == ERR_OK);
    report(what, begin, count);
}

int main(void)
{
    run_main("switch (hand-over: wait, signal, 2 jumps) / 2", bench_hand_over, SWITCHES);
    run_main("switch (yield among 256, with turns) / 2", bench_yield, SWITCHES);
    run_main("spawn, run and end", bench_spawn, SPAWNS);
    run_main("spawn + wait with a deadline + wake", bench_deadline_wait, SPAWNS);
    run_main("checkpoint", bench_checkpoint, SWITCHES);
    struct loop_group *group;
    const struct loop_group_opts opts = {.count = 2};
    db_err err = loop_group_start(&opts, &group);
    ASSERT(err == ERR_OK);
    g_other = loop_group_get(group, 1);
    err = fiber_spawn(loop_group_get(group, 0), bench_hop, NULL);
    ASSERT(err == ERR_OK);
    loop_group_stop(group);
    run_main("loop_run_main", empty_main, 1);
    err = loop_run_main(bench_blocking, NULL);
    ASSERT(err == ERR_OK);
    blocking_pool_stop();
    return 0;
}
