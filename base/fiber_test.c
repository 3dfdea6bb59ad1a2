#include "base/fiber.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/rand.h"
#include "base/test_main.h"

static struct loop_group *start(unsigned count, unsigned fibers_max)
{
    struct loop_group *group = NULL;
    const struct loop_group_opts opts = {.count = count, .fibers_max = fibers_max};
    assert_int_equal(loop_group_start(&opts, &group), ERR_OK);
    return group;
}

/* --- spawn, local slot, many fibers --- */

enum { MANY = 3000 };
static _Atomic unsigned g_ran;

static void count_main(void *arg)
{
    CHECK(fiber_get_local() == NULL);
    fiber_set_local(arg);
    for (int i = 0; i < 3; i++) {
        fiber_yield();
        CHECK(fiber_get_local() == arg);
    }
    atomic_fetch_add(&g_ran, 1);
}

static void test_spawn_many(void **state UNUSED)
{
    struct loop_group *group = start(3, 0);
    for (unsigned i = 0; i < MANY; i++) {
        db_err err =
            fiber_spawn(loop_group_get(group, i % 3), count_main, (void *)(uintptr_t)(i + 1));
        assert_int_equal(err, ERR_OK);
    }
    loop_group_stop(group);
    assert_int_equal(atomic_load(&g_ran), MANY);
    assert_null(fiber_self());
    assert_true(fiber_stack_left() > 64 * 1024);
}

/* --- limit --- */

static struct waiter g_gate;
static _Atomic bool g_gate_ready;

static void gate_main(void *arg UNUSED)
{
    wait_init(&g_gate);
    atomic_store(&g_gate_ready, true);
    CHECK_OK(wait_block(&g_gate, DEADLINE_NONE));
    CHECK(g_gate.result == 42);
}

static void test_limit(void **state UNUSED)
{
    struct loop_group *group = start(1, 1);
    struct loop *loop = loop_group_get(group, 0);
    assert_int_equal(fiber_spawn(loop, gate_main, NULL), ERR_OK);
    assert_int_equal(fiber_spawn(loop, gate_main, NULL), ERR_BUSY);
    while (!atomic_load(&g_gate_ready)) {
        usleep(100);
    }
    wait_signal(&g_gate, 42);
    loop_group_stop(group);
}

/* --- spawn_now --- */

static char g_now_order[8];
static unsigned g_now_count;
static struct loop_task g_now_task;
static bool g_now_done;

static void now_fiber(void *arg UNUSED)
{
    g_now_order[g_now_count++] = 'b';
    fiber_yield();
    g_now_order[g_now_count++] = 'd';
    g_now_done = true;
}

static void on_now(struct loop_task *task UNUSED)
{
    g_now_order[g_now_count++] = 'a';
    CHECK_OK(fiber_spawn_now(now_fiber, NULL));
    g_now_order[g_now_count++] = 'c';
}

static void now_main(void *arg UNUSED)
{
    g_now_task.fn = on_now;
    loop_post(loop_current(), &g_now_task);
    while (!g_now_done) {
        fiber_yield();
    }
}

static void test_spawn_now(void **state UNUSED)
{
    assert_int_equal(loop_run_main(now_main, NULL), ERR_OK);
    assert_string_equal(g_now_order, "abcd");
}

/* --- ping-pong across loops --- */

enum { ROUNDS = 5000 };
struct ball {
    struct waiter ping;
    struct waiter pong;
    struct loop *other;
    unsigned returned;
    struct waiter *back;
};

static void pong_main(void *arg)
{
    struct ball *b = arg;
    b->returned++;
    wait_signal(b->back, (int)b->returned);
}

static void ping_main(void *arg)
{
    struct ball *b = arg;
    for (unsigned i = 1; i <= ROUNDS; i++) {
        wait_init(&b->ping);
        b->back = &b->ping;
        db_err err;
        while ((err = fiber_spawn(b->other, pong_main, b)) == ERR_BUSY) {
            fiber_yield(); /* the last one has signalled but not ended */
        }
        CHECK_OK(err);
        CHECK_OK(wait_block(&b->ping, DEADLINE_NONE));
        CHECK((unsigned)b->ping.result == i);
    }
}

static void test_ping_pong(void **state UNUSED)
{
    struct loop_group *group = start(2, 0);
    enum { BALLS = 10 };
    struct ball balls[BALLS];
    memset(balls, 0, sizeof(balls));
    for (unsigned i = 0; i < BALLS; i++) {
        balls[i].other = loop_group_get(group, (i + 1) % 2);
        assert_int_equal(fiber_spawn(loop_group_get(group, i % 2), ping_main, &balls[i]), ERR_OK);
    }
    loop_group_stop(group);
    for (unsigned i = 0; i < BALLS; i++) {
        assert_int_equal(balls[i].returned, ROUNDS);
    }
}

/* --- deadlines --- */

static void deadline_main(void *arg UNUSED)
{
    struct waiter w;
    wait_init(&w);
    uint64_t begin = clock_mono_ns();
    CHECK(wait_block(&w, begin + 20 * NS_PER_MS) == ERR_TIMEOUT);
    CHECK(clock_mono_ns() - begin >= 20 * NS_PER_MS);
    CHECK(!wait_signaled(&w));

    /* The fiber's own deadline is the earlier one; a timer armed too early must not cut a later
     * wait short. */
    begin = clock_mono_ns();
    fiber_set_deadline(begin + 10 * NS_PER_MS);
    CHECK(fiber_sleep(NS_PER_S) == ERR_TIMEOUT);
    CHECK(fiber_checkpoint() == ERR_TIMEOUT);
    CHECK(wait_block(&w, DEADLINE_NONE) == ERR_TIMEOUT);
    fiber_set_deadline(clock_mono_ns() + 5 * NS_PER_MS);
    wait_init(&w);
    CHECK(wait_block(&w, clock_mono_ns() + NS_PER_MS) == ERR_TIMEOUT);
    fiber_set_deadline(DEADLINE_NONE);
    begin = clock_mono_ns();
    CHECK_OK(fiber_sleep(30 * NS_PER_MS));
    CHECK(clock_mono_ns() - begin >= 30 * NS_PER_MS);

    /* A signal after a time-out is not lost. */
    wait_init(&w);
    CHECK(wait_block(&w, clock_mono_ns() + NS_PER_MS) == ERR_TIMEOUT);
    wait_signal(&w, 7);
    wait_block_uncancelable(&w);
    CHECK(w.result == 7);
}

static void test_deadline(void **state UNUSED)
{
    assert_int_equal(loop_run_main(deadline_main, NULL), ERR_OK);
}

/* --- cancellation --- */

static struct fiber *_Atomic g_victim;

static void victim_main(void *arg UNUSED)
{
    atomic_store(&g_victim, fiber_self());
    CHECK(fiber_sleep(100 * NS_PER_S) == ERR_CANCELED);
    CHECK(fiber_canceled());
    CHECK(fiber_checkpoint() == ERR_CANCELED);
    CHECK(fiber_sleep(NS_PER_S) == ERR_CANCELED);
    fiber_clear_cancel();
    CHECK_OK(fiber_checkpoint());
}

static void test_cancel(void **state UNUSED)
{
    struct loop_group *group = start(1, 0);
    for (int i = 0; i < 50; i++) {
        atomic_store(&g_victim, NULL);
        assert_int_equal(fiber_spawn(loop_group_get(group, 0), victim_main, NULL), ERR_OK);
        struct fiber *f;
        while ((f = atomic_load(&g_victim)) == NULL) {
        }
        fiber_cancel(f);
    }
    loop_group_stop(group);
}

/* --- a storm of signals, time-outs and cancellations: TSan's and ASan's field --- */

enum { STORM_FIBERS = 64, STORM_ROUNDS = 300 };
struct storm {
    pthread_mutex_t lock;
    struct waiter *waiter; /* guarded by lock */
    struct fiber *fiber;   /* guarded by lock */
    bool over;             /* guarded by lock */
    unsigned seed;
};

static void storm_main(void *arg)
{
    struct storm *s = arg;
    struct rand r;
    rand_seed(&r, s->seed);
    pthread_mutex_lock(&s->lock);
    s->fiber = fiber_self();
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < STORM_ROUNDS; i++) {
        struct waiter w;
        wait_init(&w);
        pthread_mutex_lock(&s->lock);
        s->waiter = &w;
        pthread_mutex_unlock(&s->lock);
        db_err err = wait_block(&w, clock_mono_ns() + rand_below(&r, 2 * NS_PER_MS));
        pthread_mutex_lock(&s->lock);
        bool taken = s->waiter == NULL;
        s->waiter = NULL;
        pthread_mutex_unlock(&s->lock);
        if (err != ERR_OK && taken) {
            wait_block_uncancelable(&w);
        }
        CHECK(err == ERR_OK || err == ERR_TIMEOUT || err == ERR_CANCELED);
        fiber_clear_cancel();
    }
    pthread_mutex_lock(&s->lock);
    s->fiber = NULL;
    s->over = true;
    pthread_mutex_unlock(&s->lock);
}

static void *storm_thread(void *arg)
{
    struct storm *storms = arg;
    struct rand r;
    rand_seed(&r, (uintptr_t)pthread_self());
    for (unsigned over = 0; over < STORM_FIBERS;) {
        over = 0;
        for (unsigned i = 0; i < STORM_FIBERS; i++) {
            struct storm *s = &storms[i];
            pthread_mutex_lock(&s->lock);
            over += s->over;
            struct waiter *w = NULL;
            uint64_t dice = rand_below(&r, 4);
            if (dice == 0 && s->fiber != NULL) {
                fiber_cancel(s->fiber);
            } else if (dice == 1) {
                w = s->waiter;
                s->waiter = NULL;
            }
            pthread_mutex_unlock(&s->lock);
            if (w != NULL) {
                wait_signal(w, 1);
            }
        }
        usleep(50);
    }
    return NULL;
}

static void test_storm(void **state UNUSED)
{
    struct loop_group *group = start(2, 0);
    static struct storm storms[STORM_FIBERS];
    for (unsigned i = 0; i < STORM_FIBERS; i++) {
        pthread_mutex_init(&storms[i].lock, NULL);
        storms[i].seed = i;
        assert_int_equal(fiber_spawn(loop_group_get(group, i % 2), storm_main, &storms[i]), ERR_OK);
    }
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, storm_thread, storms);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    loop_group_stop(group);
}

/* --- mutex and condition across loops --- */

enum { MUTEX_FIBERS = 40, MUTEX_ROUNDS = 500 };
static struct {
    struct fiber_mutex mutex;
    struct fiber_cond cond;
    uint64_t sum; /* guarded by mutex */
    unsigned arrived;
    unsigned left;
} g_sync;

static void mutex_main(void *arg UNUSED)
{
    for (int i = 0; i < MUTEX_ROUNDS; i++) {
        fiber_mutex_lock(&g_sync.mutex);
        uint64_t before = g_sync.sum;
        if (i % 16 == 0) {
            fiber_yield();
        }
        g_sync.sum = before + 1;
        fiber_mutex_unlock(&g_sync.mutex);
    }
    /* A barrier, with waits that time out and come back. */
    fiber_mutex_lock(&g_sync.mutex);
    g_sync.arrived++;
    if (g_sync.arrived == MUTEX_FIBERS) {
        fiber_cond_broadcast(&g_sync.cond);
    }
    while (g_sync.arrived < MUTEX_FIBERS) {
        db_err err = fiber_cond_wait(&g_sync.cond, &g_sync.mutex, clock_mono_ns() + NS_PER_MS);
        CHECK(err == ERR_OK || err == ERR_TIMEOUT);
    }
    g_sync.left++;
    fiber_cond_signal(&g_sync.cond);
    while (g_sync.left < MUTEX_FIBERS) {
        CHECK_OK(fiber_cond_wait(&g_sync.cond, &g_sync.mutex, DEADLINE_NONE));
        fiber_cond_signal(&g_sync.cond);
    }
    fiber_cond_broadcast(&g_sync.cond);
    fiber_mutex_unlock(&g_sync.mutex);
}

static void test_mutex(void **state UNUSED)
{
    fiber_mutex_init(&g_sync.mutex);
    fiber_cond_init(&g_sync.cond);
    struct loop_group *group = start(4, 0);
    for (unsigned i = 0; i < MUTEX_FIBERS; i++) {
        assert_int_equal(fiber_spawn(loop_group_get(group, i % 4), mutex_main, NULL), ERR_OK);
    }
    loop_group_stop(group);
    assert_int_equal(g_sync.sum, MUTEX_FIBERS * MUTEX_ROUNDS);
    assert_int_equal(g_sync.left, MUTEX_FIBERS);
}

/* --- undisturbed --- */

static unsigned g_tries;

static db_err succeed_at_third(void *arg UNUSED)
{
    CHECK(!fiber_canceled());
    fiber_cancel(fiber_self()); /* whoever cancels does not end it */
    return ++g_tries == 3 ? ERR_OK : ERR_UNAVAILABLE;
}

static db_err never_succeed(void *arg UNUSED)
{
    g_tries++;
    return ERR_UNAVAILABLE;
}

static void undisturbed_main(void *arg UNUSED)
{
    uint64_t deadline = clock_mono_ns() + NS_PER_S;
    fiber_set_deadline(deadline);
    fiber_cancel(fiber_self());
    CHECK(undisturbed_try(NS_PER_S, NS_PER_MS, succeed_at_third, NULL) == ERR_OK);
    CHECK(g_tries == 3);
    CHECK(fiber_canceled());
    CHECK(fiber_deadline() == deadline);
    fiber_clear_cancel();
    CHECK(undisturbed_try(10 * NS_PER_MS, NS_PER_MS, never_succeed, NULL) == ERR_UNAVAILABLE);
    CHECK(g_tries > 4);
    CHECK(!fiber_canceled());
}

static void test_undisturbed(void **state UNUSED)
{
    assert_int_equal(loop_run_main(undisturbed_main, NULL), ERR_OK);
}

/* --- time slice --- */

static bool g_stop_spinning;
static unsigned g_spun;

static void spinner_main(void *arg UNUSED)
{
    while (!g_stop_spinning) {
        CHECK_OK(fiber_checkpoint());
        g_spun++;
    }
}

static void slice_main(void *arg UNUSED)
{
    CHECK_OK(fiber_spawn(loop_current(), spinner_main, NULL));
    CHECK_OK(fiber_spawn(loop_current(), spinner_main, NULL));
    CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    g_stop_spinning = true;
}

static void test_time_slice(void **state UNUSED)
{
    assert_int_equal(loop_run_main(slice_main, NULL), ERR_OK);
    assert_true(g_spun > 10);
}

/* --- stack --- */

static unsigned recurse(unsigned depth)
{
    volatile char frame[512];
    frame[0] = (char)depth;
    if (fiber_stack_left() < 16 * 1024) {
        return depth;
    }
    return recurse(depth + 1) + (frame[0] == (char)depth ? 0 : 1);
}

static void stack_main(void *arg)
{
    CHECK(fiber_stack_left() > 200 * 1024);
    CHECK(fiber_stack_left() < 256 * 1024);
    *(unsigned *)arg = recurse(0);
}

/* It grows as far as it may, keeps what lies above, and gives back what it got. */
static void growing_main(void *arg)
{
    const size_t first = fiber_stack_left();
    CHECK(fiber_stack_grown() == 0);
    CHECK_OK(fiber_stack_reserve(first / 2));
    CHECK(fiber_stack_grown() == 0);
    CHECK_OK(fiber_stack_reserve(first + 1));
    CHECK(fiber_stack_grown() >= first);
    CHECK(fiber_stack_reserve(fiber_stack_size()) == ERR_LIMIT);
    CHECK_OK(fiber_stack_reserve(fiber_stack_size() / 2));
    CHECK(fiber_stack_left() >= fiber_stack_size() / 2);
    *(unsigned *)arg = recurse(0);
    fiber_yield();
    fiber_stack_shrink();
    CHECK(fiber_stack_grown() == 0);
    CHECK(fiber_stack_left() == first);
    CHECK_OK(fiber_stack_reserve(first + 1)); /* left to the end of the fiber */
}

static void test_stack_grows(void **state UNUSED)
{
    unsigned depth = 0;
    assert_int_equal(loop_run_main(growing_main, &depth), ERR_OK);
    assert_true(depth > 2000);
    assert_true(fiber_stack_size() > 0);
    assert_int_equal(fiber_stack_reserve(1024), ERR_OK);
    assert_int_equal(fiber_stack_reserve(SIZE_MAX / 2), ERR_LIMIT);
    assert_int_equal(fiber_stack_grown(), 0);
}

/* One fiber of many that grew, one after the other on the same stacks, meets no other's. */
static void grown_main(void *arg)
{
    CHECK(fiber_stack_grown() == 0);
    CHECK_OK(fiber_stack_reserve(((size_t)(uintptr_t)arg % 7 + 1) * 512 * 1024));
    unsigned depth = recurse(0);
    fiber_yield();
    CHECK(recurse(0) == depth);
    atomic_fetch_add(&g_ran, 1);
}

static void test_stacks_grow(void **state UNUSED)
{
    enum { FIBERS = 200 };
    struct loop_group *group = start(3, 0);
    atomic_store(&g_ran, 0);
    for (unsigned i = 0; i < FIBERS; i++) {
        assert_int_equal(
            fiber_spawn(loop_group_get(group, i % 3), grown_main, (void *)(uintptr_t)(i + 1)),
            ERR_OK);
    }
    loop_group_stop(group);
    assert_int_equal(atomic_load(&g_ran), FIBERS);
}

static void test_stack(void **state UNUSED)
{
    unsigned depth = 0;
    assert_int_equal(loop_run_main(stack_main, &depth), ERR_OK);
    assert_true(depth > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spawn_many),  cmocka_unit_test(test_limit),
        cmocka_unit_test(test_spawn_now),   cmocka_unit_test(test_ping_pong),
        cmocka_unit_test(test_deadline),    cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_storm),       cmocka_unit_test(test_mutex),
        cmocka_unit_test(test_time_slice),  cmocka_unit_test(test_stack),
        cmocka_unit_test(test_stack_grows), cmocka_unit_test(test_stacks_grow),
        cmocka_unit_test(test_undisturbed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
