/* Named locks of two engines over one storage: taking turns from several loops, deadlocks, orphans,
 * and what was given out alone. Run it under TSan. */
#include "sql/session/user_lock.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/test_main.h"
#include "sql/diag/my_error.h"
#include "sql/storage/mem/mem.h"

enum { NODES = 2, LOOPS = 3, FIBERS = 12, TURNS = 30, NAMES = 3 };

static struct user_locks *_Atomic g_nodes[NODES];
static _Atomic bool g_together; /* the nodes know of each other */
static _Atomic bool g_deaf;     /* wake-ups are lost */
static _Atomic int g_left;
static _Atomic uint64_t g_in[NAMES];

/* ---- what joins them ---- */

static uint64_t licence(struct sql_coord *c)
{
    (void)c;
    return 1;
}

static bool has_others(struct sql_coord *c)
{
    (void)c;
    return atomic_load(&g_together);
}

static bool owner_gone(struct sql_coord *c, uint64_t node, uint64_t engine, uint64_t connection)
{
    (void)c;
    return !user_locks_knows(atomic_load(&g_nodes[node - 1]), engine, connection);
}

static void wake_lock(struct sql_coord *c, uint64_t node, uint64_t connection)
{
    (void)c;
    if (!atomic_load(&g_deaf)) {
        user_locks_wake(atomic_load(&g_nodes[node - 1]), connection);
    }
}

static const struct sql_coord_ops g_ops = {.name = "test",
                                           .licence = licence,
                                           .has_others = has_others,
                                           .lock_owner_gone = owner_gone,
                                           .wake_lock = wake_lock};
static struct sql_coord g_coord = {&g_ops};

struct world {
    struct storage *storage;
    struct loop_group *group;
};

static void open_node(struct world *w, unsigned i)
{
    struct user_locks *u;
    CHECK_OK(user_locks_new(w->storage, &g_coord, i + 1, &u));
    atomic_store(&g_nodes[i], u);
}

static void open_all(struct world *w, bool together)
{
    atomic_store(&g_together, together);
    atomic_store(&g_deaf, false);
    CHECK_OK(mem_storage_new(NULL, &w->storage));
    CHECK_OK(loop_group_start(&(struct loop_group_opts){.count = LOOPS}, &w->group));
    for (unsigned i = 0; i < NODES; i++) {
        open_node(w, i);
    }
}

static void close_all(struct world *w)
{
    loop_group_stop(w->group);
    for (unsigned i = 0; i < NODES; i++) {
        user_locks_free(atomic_load(&g_nodes[i]));
    }
    storage_close(w->storage);
}

static void spawn(struct world *w, unsigned loop, fiber_fn fn, void *arg)
{
    atomic_fetch_add(&g_left, 1);
    CHECK_OK(fiber_spawn(loop_group_get(w->group, loop % LOOPS), fn, arg));
}

static void wait_all(void)
{
    for (int i = 0; atomic_load(&g_left) != 0; i++) {
        CHECK(i < 60000);
        usleep(1000);
    }
}

/* 1 got, 0 not, or MySQL's number of an error. */
static int get(unsigned node, uint64_t connection, const char *name, uint64_t wait_ns)
{
    struct diag diag;
    bool got = false;
    diag_reset(&diag);
    uint64_t now = clock_mono_ns();
    db_err err = user_lock_get(atomic_load(&g_nodes[node]), connection, slice_str(name),
                               now + wait_ns, &diag, &got);
    return err == ERR_OK ? got : err == ERR_SQL ? (int)diag.number : -1;
}

static int release(unsigned node, uint64_t connection, const char *name)
{
    struct diag diag;
    int ret = -2;
    diag_reset(&diag);
    CHECK_OK(
        user_lock_release(atomic_load(&g_nodes[node]), connection, slice_str(name), &diag, &ret));
    return ret;
}

static int64_t holder(unsigned node, const char *name)
{
    struct diag diag;
    int64_t ret = -2;
    diag_reset(&diag);
    CHECK_OK(user_lock_holder(atomic_load(&g_nodes[node]), slice_str(name), &diag, &ret));
    return ret;
}

/* ---- turns ---- */

static void take_turns(void *arg)
{
    uint64_t me = (uint64_t)(uintptr_t)arg;
    unsigned node = (unsigned)(me % NODES);
    static const char *const names[NAMES] = {"first", "second", "third"};
    for (unsigned i = 0; i < TURNS; i++) {
        unsigned at = (unsigned)(me + i) % NAMES;
        uint64_t nobody = 0;
        CHECK(get(node, me, names[at], 60 * NS_PER_S) == 1);
        CHECK(atomic_compare_exchange_strong(&g_in[at], &nobody, me));
        if (i % 4 == 0) {
            CHECK(get(node, me, names[at], 0) == 1);
            CHECK(release(node, me, names[at]) == 1);
            fiber_yield();
        }
        CHECK(holder(node, names[at]) == (int64_t)me);
        atomic_store(&g_in[at], 0);
        CHECK(release(node, me, names[at]) == 1);
    }
    atomic_fetch_sub(&g_left, 1);
}

static void turns(bool together)
{
    struct world w;
    open_all(&w, together);
    for (unsigned i = 0; i < FIBERS; i++) {
        uint64_t me = together ? i + 1 : 2 * (i + 1); /* alone: one node */
        spawn(&w, i, take_turns, (void *)(uintptr_t)me);
    }
    wait_all();
    close_all(&w);
}

static void test_turns_alone(void **state)
{
    (void)state;
    turns(false);
}

static void test_turns(void **state)
{
    (void)state;
    turns(true);
}

/* ---- deadlocks ---- */

static _Atomic int g_first;

static void wait_for_b(void *arg)
{
    (void)arg;
    atomic_store(&g_first, get(0, 1, "b", 60 * NS_PER_S));
    int64_t n;
    user_locks_release_all(atomic_load(&g_nodes[0]), 1, &n);
    atomic_fetch_sub(&g_left, 1);
}

static void circle(void *arg)
{
    struct world *w = arg;
    int64_t n;
    CHECK(get(0, 1, "a", 0) == 1);
    CHECK(get(1, 2, "b", 0) == 1);
    CHECK(get(1, 2, "b", 0) == 1);
    CHECK(get(1, 2, "a", 0) == 0);
    spawn(w, 1, wait_for_b, NULL);
    CHECK_OK(fiber_sleep(200 * NS_PER_MS));
    CHECK(get(1, 2, "a", 60 * NS_PER_S) == 3058);
    CHECK(holder(0, "b") == 2);
    user_locks_release_all(atomic_load(&g_nodes[1]), 2, &n);
    CHECK(n == 2);
    CHECK(get(1, 2, "a", 60 * NS_PER_S) == 1);
    user_locks_release_all(atomic_load(&g_nodes[1]), 2, &n);
    atomic_fetch_sub(&g_left, 1);
}

static void test_circle(void **state)
{
    (void)state;
    for (int deaf = 0; deaf < 2; deaf++) {
        struct world w;
        open_all(&w, true);
        atomic_store(&g_deaf, deaf != 0);
        spawn(&w, 0, circle, &w);
        wait_all();
        assert_int_equal(atomic_load(&g_first), 1);
        close_all(&w);
    }
}

/* ---- who waits for whom ---- */

static uint32_t waits(unsigned node, struct user_lock_edge *out, uint32_t max)
{
    struct arena a;
    struct diag diag;
    uint32_t n = 0;
    diag_reset(&diag);
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(user_locks_waits(atomic_load(&g_nodes[node]), UINT64_MAX, max, &a, &diag, out, &n));
    arena_fini(&a);
    return n;
}

static uint32_t wait_for_waits(unsigned node, struct user_lock_edge *out, uint32_t max,
                               uint32_t want)
{
    uint32_t n = waits(node, out, max);
    for (int i = 0; i < 15000 && n != want; i++) {
        CHECK_OK(fiber_sleep(2 * NS_PER_MS));
        n = waits(node, out, max);
    }
    return n;
}

static void take_and_give(void *arg)
{
    uint64_t me = (uint64_t)(uintptr_t)arg;
    CHECK(get(1, me, "a", 60 * NS_PER_S) == 1);
    CHECK(release(1, me, "a") == 1);
    atomic_fetch_sub(&g_left, 1);
}

/* Who has been handed the lock does not wait for itself, nor for those behind it, although it has
 * not heard of it. */
static void handed_over(void *arg)
{
    struct world *w = arg;
    struct user_lock_edge e[8];
    CHECK(get(0, 1, "a", 0) == 1);
    spawn(w, 1, take_and_give, (void *)(uintptr_t)2);
    CHECK(wait_for_waits(1, e, 8, 1) == 1);
    CHECK(e[0].waiter == 2 && e[0].blocker == 1 && e[0].blocker_node == 1);
    spawn(w, 1, take_and_give, (void *)(uintptr_t)3);
    CHECK(wait_for_waits(1, e, 8, 3) == 3);
    atomic_store(&g_deaf, true);
    CHECK(release(0, 1, "a") == 1);
    uint32_t n = waits(1, e, 8); /* it looks again within a second */
    CHECK(n <= 1);
    CHECK(n == 0 || (e[0].waiter == 3 && e[0].blocker == 2));
    atomic_store(&g_deaf, false);
    atomic_fetch_sub(&g_left, 1);
}

static void test_handed_over(void **state)
{
    (void)state;
    struct world w;
    open_all(&w, true);
    spawn(&w, 0, handed_over, &w);
    wait_all();
    close_all(&w);
}

/* ---- orphans, and a node that was alone ---- */

static void orphans(void *arg)
{
    struct world *w = arg;
    int64_t n;
    CHECK(get(0, 1, "kept", 0) == 1);
    CHECK(get(0, 1, "lost", 0) == 1);
    atomic_store(&g_together, true);
    CHECK(get(1, 2, "kept", 0) == 1); /* the first has told nobody yet */
    CHECK(release(1, 2, "kept") == 1);
    CHECK(holder(0, "kept") == 1); /* now it has */
    CHECK(get(1, 2, "kept", 50 * NS_PER_MS) == 0);
    CHECK(holder(1, "lost") == 1);
    struct user_locks *old = atomic_load(&g_nodes[0]);
    open_node(w, 0); /* another life of it */
    CHECK(holder(0, "kept") == -1 && holder(1, "lost") == -1);
    CHECK(get(1, 2, "kept", 0) == 1);
    CHECK(get(0, 1, "lost", 0) == 1);
    CHECK(get(0, 1, "kept", 0) == 0);
    user_locks_release_all(atomic_load(&g_nodes[0]), 1, &n);
    CHECK(n == 1);
    user_locks_release_all(atomic_load(&g_nodes[1]), 2, &n);
    CHECK(n == 1);
    user_locks_release_all(old, 1, &n); /* what the old life gives back is another's, or nobody's */
    user_locks_free(old);
    atomic_fetch_sub(&g_left, 1);
}

static void test_orphans(void **state)
{
    (void)state;
    struct world w;
    open_all(&w, false);
    spawn(&w, 0, orphans, &w);
    wait_all();
    close_all(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns_alone), cmocka_unit_test(test_turns),
        cmocka_unit_test(test_circle),      cmocka_unit_test(test_handed_over),
        cmocka_unit_test(test_orphans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
