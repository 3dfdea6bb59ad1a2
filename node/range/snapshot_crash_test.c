#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/faults.h"
#include "node/range/testing.h"

/* The process of all three nodes dies at a point of taking a snapshot, by a new member or by one
 * that fell behind. Each run is in processes of its own: one that dies, one that starts again from
 * what is on the disk. Afterwards everything acknowledged is there, the interrupted replica is
 * brought back, and all hold the same. */

/* The large values push all that member 3 lacks out of the leader's memory: see put_large. */
enum { KEYS = 400, LARGE_VALUES = 160 };
static char g_dir[64];
static const char *g_point;
static bool g_had_core; /* the snapshot is for a member that fell behind, not for a new one */

static void value_of(unsigned i, char out[32])
{
    snprintf(out, 32, "v%u", i);
}

static void put_many(struct tcluster *c, unsigned from, unsigned to)
{
    char kb[32];
    char vb[32];
    for (unsigned i = from; i < to; i++) {
        value_of(i, vb);
        CHECK_OK(t_put(c, key_of(kb, i), slice_str(vb), 60 * NS_PER_S));
    }
}

/* The leader keeps entries for a member that it has heard of lately: asked until its log has let go
 * of those that member 3 lacks. Then only a snapshot can help. */
static void forget_what_3_lacks(struct tcluster *c)
{
    enum { ROUNDS = 150, IN_FLIGHT = 50 };
    struct range_status away;
    CHECK_OK(range_store_status(c->nodes[3].rs, 2, &away));
    for (int i = 0; i < ROUNDS; i++) {
        bool gone = true;
        for (int id = 1; id <= 2; id++) {
            struct range_status st;
            range_store_upkeep(c->nodes[id].rs, true);
            CHECK_OK(range_store_status(c->nodes[id].rs, 2, &st));
            gone = gone && st.compacted > away.applied + IN_FLIGHT;
        }
        if (gone) {
            return;
        }
        CHECK_OK(fiber_sleep(200 * NS_PER_MS));
    }
    bool let_go = false;
    CHECK(let_go);
}

static void print_and_fail(struct tcluster *c)
{
    for (int id = 1; id <= 3; id++) {
        CHECK_OK(range_store_each(c->nodes[id].rs, t_print_range, &c->nodes[id]));
    }
    T_FAIL("a snapshot is sent");
}

static void until_it_dies(struct tcluster *c)
{
    c->log_keep_ms = 300;
    t_start_all(c);
    put_many(c, 0, KEYS / 2);
    CHECK_OK(t_add(c, 2, 2));
    if (g_had_core) {
        CHECK_OK(t_add(c, 2, 3));
        t_isolate(c, 3, true);
        put_many(c, KEYS / 2, KEYS);
        put_large(c, LARGE_VALUES);
        forget_what_3_lacks(c);
        CHECK_OK(faults_set(g_point, "crash"));
        t_isolate(c, 3, false);
        CHECK_OK(fiber_sleep(60 * NS_PER_S));
        print_and_fail(c);
    } else {
        put_many(c, KEYS / 2, KEYS);
        CHECK_OK(faults_set(g_point, "crash"));
        CHECK_OK(t_add(c, 2, 3));
        T_FAIL("a new member has its state by a snapshot");
    }
}

static void start_again(struct tcluster *c)
{
    char kb[32];
    char want[32];
    char got[64];
    t_start(c, 1);
    t_start(c, 2);
    t_start(c, 3);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) != 0);
    for (unsigned i = 0; i < KEYS; i++) {
        value_of(i, want);
        CHECK_OK(t_get(c, key_of(kb, i), got, 60 * NS_PER_S));
        CHECK(strcmp(got, want) == 0);
    }
    CHECK_OK(t_add(c, 2, 3)); /* goes on, or is done */
    put_many(c, 0, 10);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop(c, 3, true);
    t_start(c, 3);
    put_many(c, 0, 10);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static const struct {
    const char *point;
    bool had_core;
} g_runs[] = {
    {"range_snapshot_chunk", false},         {"range_snapshot_chunk", true},
    {"range_snapshot_cleared", false},       {"range_snapshot_cleared", true},
    {"range_snapshot_ingested", false},      {"range_snapshot_ingested", true},
    {"range_snapshot_before_finish", false}, {"range_snapshot_before_finish", true},
};
enum { RUNS = sizeof(g_runs) / sizeof(g_runs[0]) };

static pid_t begin(unsigned run, void (*fn)(struct tcluster *c))
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        g_point = g_runs[run].point;
        g_had_core = g_runs[run].had_core;
        snprintf(g_dir + strlen(g_dir), sizeof(g_dir) - strlen(g_dir), "/%u", run);
        CHECK(mkdir(g_dir, 0700) == 0 || errno == EEXIST);
        t_run_in(g_dir, 3, fn);
        _exit(0);
    }
    return pid;
}

/* All runs at the same time: they wait more than they work. */
static void all_end_with(void (*fn)(struct tcluster *c), int want)
{
    pid_t pids[RUNS];
    unsigned wrong = 0;
    for (unsigned i = 0; i < RUNS; i++) {
        pids[i] = begin(i, fn);
    }
    for (unsigned i = 0; i < RUNS; i++) {
        int status = 0;
        CHECK(waitpid(pids[i], &status, 0) == pids[i]);
        int got = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (got != want) {
            fprintf(stderr, "%s%s: ended with %d, not %d\n", g_runs[i].point,
                    g_runs[i].had_core ? ", behind" : ", new", got, want);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void test_crash(void **state)
{
    char cmd[128];
    (void)state;
    snprintf(g_dir, sizeof(g_dir), "./snapshot_crash.XXXXXX");
    assert_non_null(mkdtemp(g_dir));
    all_end_with(until_it_dies, 137);
    all_end_with(start_again, 0);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", g_dir);
    assert_int_equal(system(cmd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
