#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fiber.h"
#include "sql/storage/conformance.h"
#include "sql/storage/mem/mem.h"

struct job {
    struct conformance_opts opts;
    struct conformance_report report;
    struct mem_storage_stats stats;
    _Atomic int done;
};

static void run(void *arg)
{
    struct job *job = arg;
    struct storage *s;
    db_err err = mem_storage_new(NULL, &s);
    if (err == ERR_OK) {
        storage_conformance_run(s, &job->opts, &job->report);
        mem_storage_stats(s, &job->stats);
        storage_close(s);
    }
    job->done = 1;
}

static void test_conformance_one_loop(void **state)
{
    (void)state;
    struct job job = {.opts = {.print = true, .seed = 1}};
    assert_int_equal(loop_run_main(run, &job), ERR_OK);
    assert_int_equal(job.done, 1);
    if (job.report.failed != 0) {
        fail_msg("%s", job.report.first);
    }
    assert_true(job.report.run > 20);
    /* what was overwritten is gone: the only snapshots have ended */
    assert_true(job.stats.versions <= job.stats.keys + 64);
}

static void test_conformance_many_loops(void **state)
{
    (void)state;
    struct loop_group_opts gopts = {.count = 4};
    struct loop_group *group;
    assert_int_equal(loop_group_start(&gopts, &group), ERR_OK);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct job job = {.opts = {.loops = group, .seed = seed}};
        assert_int_equal(loop_run_main(run, &job), ERR_OK);
        if (job.report.failed != 0) {
            fail_msg("%s", job.report.first);
        }
    }
    loop_group_stop(group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance_one_loop),
        cmocka_unit_test(test_conformance_many_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
