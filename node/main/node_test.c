#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test_main.h"
#include "base/fiber.h"
#include "node/main/node.h"
#include "sql/storage/conformance.h"

static char g_dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(g_dir, sizeof(g_dir), "./node_test.XXXXXX");
    return mkdtemp(g_dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char cmd[128];
    snprintf(cmd, sizeof(cmd), "rm -rf %s", g_dir);
    return system(cmd);
}

static struct loop_group *start_loops(unsigned count)
{
    struct loop_group_opts opts = {.count = count};
    struct loop_group *g;
    assert_int_equal(loop_group_start(&opts, &g), ERR_OK);
    return g;
}

static struct node *start_node(struct loop_group *loops, uint64_t range_size_max)
{
    struct node_opts opts = {.data_dir = g_dir,
                             .loops = loops,
                             .memory_size = 64 << 20,
                             .log_segment_size = 4 << 20,
                             .range_size_max = range_size_max};
    struct diag diag;
    struct node *n = NULL;
    diag_reset(&diag);
    db_err err = node_start(&opts, &diag, &n);
    if (err != ERR_OK) {
        fail_msg("node_start: %s: %s", err_name(err), diag.text);
    }
    return n;
}

struct conf_job {
    struct storage *s;
    struct conformance_opts opts;
    struct conformance_report report;
};

static void run_conformance(void *arg)
{
    struct conf_job *j = arg;
    storage_conformance_run(j->s, &j->opts, &j->report);
}

static void test_conformance(void **state)
{
    (void)state;
    struct loop_group *loops = start_loops(3);
    struct node *n = start_node(loops, 0);
    struct conf_job j = {
        .s = node_storage(n),
        .opts = {.loops = loops, .print = true, .seed = 1, .prefix = SLICE_LIT("\2c")}};
    assert_int_equal(loop_run_main(run_conformance, &j), ERR_OK);
    node_stop(n);
    loop_group_stop(loops);
    if (j.report.failed != 0) {
        fail_msg("%s", j.report.first);
    }
    assert_true(j.report.run > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_conformance, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
