#include <sys/wait.h>

#include "base/faults.h"
#include "node/range/testing.h"

/* The process of all three nodes dies at a point of taking a snapshot. Each run is in processes of
 * their own: one that dies, one that starts again from what is on the disk. Afterwards everything
 * acknowledged is there, the interrupted replica is brought back, and all hold the same. */

enum { KEYS = 3000 };
/* How a run ends that does not die. Entries may still be in the leader's memory when the log has
 * let go of them; a member that gets those needs no snapshot, and the run is to be made again. */
enum { NO_SNAPSHOT = 3, CAUGHT_UP = 4, TRIES = 5 };
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
        CHECK_OK(t_put(c, key_of(kb, i), slice_str(vb), 10 * NS_PER_S));
    }
}

/* The leader keeps entries for a member that it has heard of lately: asked until it has let go of
 * those that member 3 lacks. */
static void forget_what_3_lacks(struct tcluster *c)
{
    enum { ROUNDS = 150, IN_FLIGHT = 100 };
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

static void wait_to_die(struct tcluster *c)
{
    struct range_status led = {0};
    struct range_status st = {0};
    for (int i = 0; i < 600; i++) {
        CHECK_OK(fiber_sleep(100 * NS_PER_MS));
        CHECK_OK(range_store_status(c->nodes[1].rs, 2, &led));
        CHECK_OK(range_store_status(c->nodes[3].rs, 2, &st));
        if (st.applied == led.applied) {
            _exit(CAUGHT_UP);
        }
    }
    for (unsigned i = 0; i < led.member_count; i++) {
        const struct range_member_status *m = &led.members[i];
        printf("member on node %u: match %llu, live %d, caught up %d\n", (unsigned)m->node,
               (unsigned long long)m->match, m->live, m->caught_up);
    }
    printf("node 1: leader %u, compacted %llu, applied %llu; node 3: leader %u, applied %llu\n",
           (unsigned)led.leader_node, (unsigned long long)led.compacted,
           (unsigned long long)led.applied, (unsigned)st.leader_node,
           (unsigned long long)st.applied);
    fflush(stdout);
}

static void until_it_dies(struct tcluster *c)
{
    t_start_all(c);
    put_many(c, 0, KEYS / 2);
    CHECK_OK(t_add(c, 2, 2));
    char action[64];
    snprintf(action, sizeof(action), "crash");
    if (g_had_core) {
        CHECK_OK(t_add(c, 2, 3));
        t_isolate(c, 3, true);
        put_many(c, KEYS / 2, KEYS);
        forget_what_3_lacks(c);
        CHECK_OK(faults_set(g_point, action));
        t_isolate(c, 3, false);
        wait_to_die(c);
    } else {
        put_many(c, KEYS / 2, KEYS);
        CHECK_OK(faults_set(g_point, action));
        CHECK_OK(t_add(c, 2, 3));
    }
    _exit(NO_SNAPSHOT);
}

static void start_again(struct tcluster *c)
{
    char kb[32];
    char want[32];
    char got[64];
    t_start(c, 1);
    t_start(c, 2);
    t_start(c, 3);
    CHECK(t_wait_leader(c, 2, 10 * NS_PER_S) != 0);
    for (unsigned i = 0; i < KEYS; i++) {
        value_of(i, want);
        CHECK_OK(t_get(c, key_of(kb, i), got, 10 * NS_PER_S));
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

static int in_process(void (*fn)(struct tcluster *c))
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        t_run_in(g_dir, 3, fn);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void crash_at(const char *point, bool had_core)
{
    char cmd[128];
    g_point = point;
    g_had_core = had_core;
    int status = CAUGHT_UP;
    for (int i = 0; i < TRIES && status == CAUGHT_UP; i++) {
        snprintf(g_dir, sizeof(g_dir), "./snapshot_crash.XXXXXX");
        assert_non_null(mkdtemp(g_dir));
        status = in_process(until_it_dies);
        if (status == 137) {
            assert_int_equal(in_process(start_again), 0);
        }
        snprintf(cmd, sizeof(cmd), "rm -rf %s", g_dir);
        assert_int_equal(system(cmd), 0);
    }
    assert_int_equal(status, 137);
}

static void test_new_member(void **state)
{
    (void)state;
    crash_at("range_snapshot_chunk", false);
    crash_at("range_snapshot_cleared", false);
    crash_at("range_snapshot_ingested", false);
    crash_at("range_snapshot_before_finish", false);
}

static void test_member_behind(void **state)
{
    (void)state;
    crash_at("range_snapshot_chunk", true);
    crash_at("range_snapshot_cleared", true);
    crash_at("range_snapshot_ingested", true);
    crash_at("range_snapshot_before_finish", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_member),
        cmocka_unit_test(test_member_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
