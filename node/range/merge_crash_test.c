#include <sys/wait.h>

#include "base/faults.h"
#include "base/test_apart.h"
#include "node/range/merge_testing.h"

/* The process of all nodes dies at a point of a merge. Each run is in processes of their own: one
 * that dies, one that starts again from what is on the disk. Afterwards everything acknowledged is
 * there, all members hold the same, both ranges serve or have become one, and what was not merged
 * can be. */

enum { KEYS = 60, MIDDLE = 30 }; /* written one after another: each waits for the disk */
static char g_dir[64];
static const char *g_point;
static unsigned g_nodes;
static bool g_flushed; /* the engine has all of it durably before the merge begins */

static void flush_all(struct tcluster *c)
{
    for (node_id_t id = 1; id <= c->count; id++) {
        range_store_upkeep(c->nodes[id].rs, true);
    }
}

static void prepare(struct tcluster *c, range_id_t *ret_right)
{
    if (c->count == 1) {
        t_start_all(c);
    } else {
        three_members(c);
    }
    keys_from_to(c, 0, KEYS, 0);
    *ret_right = split_at(c, MIDDLE);
    CHECK(t_wait_leader(c, *ret_right, 60 * NS_PER_S) == 1);
    keys_from_to(c, MIDDLE - 10, MIDDLE + 10, 1000);
    if (c->count > 1) {
        t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    }
    wait_settled(c, 2);
    wait_settled(c, *ret_right);
    if (g_flushed) {
        flush_all(c);
    }
}

static void until_it_dies(struct tcluster *c)
{
    range_id_t right;
    prepare(c, &right);
    CHECK_OK(faults_set(g_point, "crash"));
    if (strcmp(g_point, "range_merge_fenced") == 0) { /* the leader is cut off in the middle */
        CHECK_OK(faults_set("range_merge_before_commit", "delay=9000:count=1"));
        struct merging_fiber m;
        start_merge(c, &m);
        CHECK_OK(fiber_sleep(300 * NS_PER_MS));
        t_isolate(c, 1, true);
        CHECK_OK(fiber_sleep(20 * NS_PER_S));
    }
    merge_ok(c, 2, right);
    for (int i = 0; i < 50; i++) {
        flush_all(c);
        CHECK_OK(fiber_sleep(20 * NS_PER_MS));
    }
    _exit(3); /* it should have died */
}

static void start_again(struct tcluster *c)
{
    struct arena a;
    struct range_desc d;
    char kb[32];
    arena_init(&a, NULL, NULL, 0);
    for (node_id_t id = 1; id <= c->count; id++) {
        t_start(c, id);
    }
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) != 0);
    expect_all(c, 0, MIDDLE - 10, 0);
    expect_all(c, MIDDLE - 10, MIDDLE + 10, 1000);
    expect_all(c, MIDDLE + 10, KEYS, 0);
    keys_from_to(c, MIDDLE - 5, MIDDLE + 5, 2000);
    for (int i = 0; i < 6000 && !t_led(c, key_of(kb, KEYS), &a, &d); i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    fprintf(stderr, "  %s: %s\n", g_point, d.id == 2 ? "merged" : "not merged");
    if (d.id != 2) {
        merge_ok(c, 2, d.id);
    }
    arena_fini(&a);
    keys_from_to(c, MIDDLE - 5, MIDDLE + 5, 3000);
    if (c->count > 1) {
        t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    }
    node_id_t last = c->count;
    t_stop(c, last, true);
    t_start(c, last);
    put_ok(c, 1, 1);
    expect_all(c, MIDDLE - 5, MIDDLE + 5, 3000);
    if (c->count > 1) {
        t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    }
    struct range_store_stats st = {0};
    for (int i = 0; i < 6000 && st.ranges != 2; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
        range_store_get_stats(c->nodes[1].rs, &st);
    }
    CHECK(st.ranges == 2);
    t_stop_all(c);
}

static int in_process(void (*fn)(struct tcluster *c))
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        t_run_in(g_dir, g_nodes, fn);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct run {
    const char *point;
    unsigned nodes;
    bool flushed;
};

static void test_crash(void **state)
{
    const struct run *run = *state;
    char cmd[128];
    g_point = run->point;
    g_nodes = run->nodes;
    g_flushed = run->flushed;
    snprintf(g_dir, sizeof(g_dir), "./merge_crash.XXXXXX");
    assert_non_null(mkdtemp(g_dir));
    assert_int_equal(in_process(until_it_dies), 137);
    assert_int_equal(in_process(start_again), 0);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", g_dir);
    assert_int_equal(system(cmd), 0);
}

static struct run runs[] = {
    {"range_merge_begin", 1, false},         {"range_merge_begin", 1, true},
    {"range_merge_frozen", 1, false},        {"range_merge_frozen", 1, true},
    {"range_merge_before_commit", 1, false}, {"range_merge_before_commit", 1, true},
    {"range_merge_right_halted", 1, false},  {"range_merge_right_halted", 1, true},
    {"range_merge_in_engine", 1, false},     {"range_merge_in_engine", 1, true},
    {"range_merge_before_forget", 1, false}, {"range_merge_before_forget", 1, true},
    {"range_merge_begin", 3, true},          {"range_merge_frozen", 3, false},
    {"range_merge_before_commit", 3, true},  {"range_merge_right_halted", 3, false},
    {"range_merge_in_engine", 3, true},      {"range_merge_before_forget", 3, false},
    {"range_merge_fenced", 3, false},
};

int main(int argc, char **argv)
{
    struct CMUnitTest tests[ARRAY_COUNT(runs)];
    for (size_t i = 0; i < ARRAY_COUNT(runs); i++) {
        tests[i] = (struct CMUnitTest){runs[i].point, test_crash, NULL, NULL, &runs[i]};
    }
    return tests_run_apart(tests, ARRAY_COUNT(tests), argc, argv);
}
