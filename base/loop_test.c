#include "base/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/test_main.h"

static struct loop_group *start(unsigned count)
{
    struct loop_group *group = NULL;
    const struct loop_group_opts opts = {.count = count};
    assert_int_equal(loop_group_start(&opts, &group), ERR_OK);
    return group;
}

static void test_start_stop(void **state UNUSED)
{
    for (unsigned i = 0; i < 20; i++) {
        struct loop_group *group = start(1 + i % 4);
        assert_int_equal(loop_group_count(group), 1 + i % 4);
        assert_int_equal(loop_index(loop_group_get(group, 0)), 0);
        assert_null(loop_current());
        loop_group_stop(group);
    }
    loop_group_stop(NULL);
}

enum { POSTERS = 4, POSTS = 20000 };

struct post {
    struct loop_task task;
    unsigned poster;
    unsigned sequence;
};

static struct {
    unsigned next[POSTERS]; /* only on the loop */
    _Atomic unsigned done;
    struct loop *loop;
} g_mpsc;

static void on_post(struct loop_task *task)
{
    struct post *p = CONTAINER_OF(task, struct post, task);
    CHECK(loop_current() == g_mpsc.loop);
    CHECK(g_mpsc.next[p->poster] == p->sequence);
    g_mpsc.next[p->poster]++;
    atomic_fetch_add(&g_mpsc.done, 1);
    mem_free(p);
}

static void *poster_main(void *arg)
{
    unsigned poster = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < POSTS; i++) {
        struct post *p = mem_calloc(1, sizeof(*p));
        CHECK(p != NULL);
        p->task.fn = on_post;
        p->poster = poster;
        p->sequence = i;
        loop_post(g_mpsc.loop, &p->task);
        if (i % 1024 == 0) {
            usleep(100); /* so that the loop falls asleep now and then */
        }
    }
    return NULL;
}

/* Many threads post: nothing is lost, each thread's order is kept. */
static void test_mpsc(void **state UNUSED)
{
    struct loop_group *group = start(1);
    g_mpsc.loop = loop_group_get(group, 0);
    pthread_t threads[POSTERS];
    for (unsigned i = 0; i < POSTERS; i++) {
        pthread_create(&threads[i], NULL, poster_main, (void *)(uintptr_t)i);
    }
    for (unsigned i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
    }
    loop_group_stop(group); /* runs what is queued */
    assert_int_equal(atomic_load(&g_mpsc.done), POSTERS * POSTS);
}

/* --- order within a turn --- */

static struct {
    char order[16];
    unsigned count;
    struct loop_task end, end_again, post, after;
    struct waiter *waiter;
} g_turn;

static void note(char c)
{
    g_turn.order[g_turn.count++] = c;
}

static void on_end_again(struct loop_task *task UNUSED)
{
    note('e');
}

static void on_end(struct loop_task *task UNUSED)
{
    note('E');
    wait_signal(g_turn.waiter, 0);
    g_turn.end_again.fn = on_end_again;
    loop_at_turn_end(loop_current(), &g_turn.end_again);
}

static void on_late_post(struct loop_task *task UNUSED)
{
    note('P');
}

static void on_after(struct loop_task *task UNUSED)
{
    note('A');
}

static void waiting_main(void *arg UNUSED)
{
    struct waiter w;
    wait_init(&w);
    g_turn.waiter = &w;
    CHECK_OK(wait_block(&w, DEADLINE_NONE));
    note('W');
}

static void turn_main(void *arg UNUSED)
{
    CHECK_OK(fiber_spawn(loop_current(), waiting_main, NULL));
    fiber_yield();
    uint64_t turn = loop_turn_number(loop_current());
    g_turn.after.fn = on_after;
    loop_after_turn(loop_current(), &g_turn.after);
    g_turn.end.fn = on_end;
    g_turn.post.fn = on_late_post;
    loop_post(loop_current(), &g_turn.post);
    loop_at_turn_end(loop_current(), &g_turn.end);
    note('F');
    fiber_yield();
    CHECK(loop_turn_number(loop_current()) == turn + 1);
    note('G');
}

static void test_turn_order(void **state UNUSED)
{
    assert_int_equal(loop_run_main(turn_main, NULL), ERR_OK);
    assert_string_equal(g_turn.order, "FEeWAPG");
}

/* --- timers --- */

enum { TIMERS = 200 };
struct test_timer {
    struct loop_timer timer;
    unsigned fired;
    bool stopped;
};
static struct test_timer g_timers[TIMERS];
static uint64_t g_last_deadline;
static unsigned g_fired;

static void on_test_timer(struct loop_timer *timer)
{
    struct test_timer *t = CONTAINER_OF(timer, struct test_timer, timer);
    CHECK(!t->stopped);
    CHECK(timer->deadline_ns <= clock_mono_ns());
    CHECK(timer->deadline_ns >= g_last_deadline);
    g_last_deadline = timer->deadline_ns;
    t->fired++;
    g_fired++;
}

static void timers_main(void *arg UNUSED)
{
    struct loop *loop = loop_current();
    uint64_t now = loop_now_ns(loop);
    for (unsigned i = 0; i < TIMERS; i++) {
        loop_timer_init(&g_timers[i].timer, on_test_timer);
        CHECK_OK(loop_timer_start(loop, &g_timers[i].timer, now + NS_PER_S));
        CHECK_OK(loop_timer_start(loop, &g_timers[i].timer, now + (i * 7919 % 50) * NS_PER_MS));
    }
    for (unsigned i = 0; i < TIMERS; i += 3) {
        loop_timer_stop(loop, &g_timers[i].timer);
        loop_timer_stop(loop, &g_timers[i].timer);
        g_timers[i].stopped = true;
    }
    CHECK_OK(fiber_sleep(80 * NS_PER_MS));
    for (unsigned i = 0; i < TIMERS; i++) {
        CHECK(g_timers[i].fired == (g_timers[i].stopped ? 0 : 1));
    }
}

static void test_timers(void **state UNUSED)
{
    assert_int_equal(loop_run_main(timers_main, NULL), ERR_OK);
    assert_int_equal(g_fired, TIMERS - (TIMERS + 2) / 3);
}

/* --- libuv handles beside ours --- */

static uv_timer_t g_user_timer;
static bool g_user_timer_fired;

static struct waiter *g_user_waiter;

static void on_user_timer(uv_timer_t *t)
{
    g_user_timer_fired = true;
    if (g_user_waiter != NULL) {
        wait_signal(g_user_waiter, 0); /* closing here would keep libuv from waiting anyway */
    } else {
        uv_close((uv_handle_t *)t, NULL);
    }
}

static void uv_main(void *arg UNUSED)
{
    CHECK(loop_uv(loop_current()) != NULL);
    CHECK(uv_timer_init(loop_uv(loop_current()), &g_user_timer) == 0);
    CHECK(uv_timer_start(&g_user_timer, on_user_timer, 5, 0) == 0);
    while (!g_user_timer_fired) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
}

/* A callback that libuv runs before it waits, because its timer is due already, wakes a fiber: no
 * wait then. */
static void uv_wake_main(void *arg UNUSED)
{
    struct waiter w;
    wait_init(&w);
    g_user_waiter = &w;
    g_user_timer_fired = false;
    CHECK(uv_timer_init(loop_uv(loop_current()), &g_user_timer) == 0);
    CHECK(uv_timer_start(&g_user_timer, on_user_timer, 0, 0) == 0);
    CHECK_OK(wait_block(&w, DEADLINE_NONE));
    CHECK(g_user_timer_fired);
    g_user_waiter = NULL;
    uv_close((uv_handle_t *)&g_user_timer, NULL);
    fiber_yield(); /* the handle is free again after this turn */
}

/* Deadlines that pass between the turn and the wait: none is slept over. */
static void busy_timer_main(void *arg UNUSED)
{
    for (unsigned i = 0; i < 200; i++) {
        uint64_t until = clock_mono_ns() + 2 * NS_PER_MS;
        struct waiter w;
        wait_init(&w);
        CHECK(fiber_sleep(i * 10 * NS_PER_US) == ERR_OK);
        CHECK(wait_block(&w, until) == ERR_TIMEOUT);
        CHECK(clock_mono_ns() >= until);
    }
}

static void test_no_lost_wakeups(void **state UNUSED)
{
    for (int i = 0; i < 20; i++) {
        assert_int_equal(loop_run_main(uv_wake_main, NULL), ERR_OK);
    }
    assert_int_equal(loop_run_main(busy_timer_main, NULL), ERR_OK);
}

/* --- is the loop wanted? --- */

static struct {
    struct loop_task after;
    int fd[2];
    unsigned asked;
    bool answers[4];
    struct waiter *waiter;
} g_wanted;

static void on_ask(struct loop_task *task)
{
    static const uint64_t one = 1;
    struct loop *loop = loop_current();
    g_wanted.answers[0] = loop_is_wanted(loop);
    CHECK(write(g_wanted.fd[1], &one, 1) == 1);
    g_wanted.answers[1] = loop_is_wanted(loop);
    g_wanted.answers[2] = loop_is_occupied(loop);
    (void)task;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    char c;
    CHECK(status == 0 && events == UV_READABLE);
    CHECK(read(g_wanted.fd[0], &c, 1) == 1);
    uv_poll_stop(poll);
    wait_signal(g_wanted.waiter, 0);
}

static void wanted_main(void *arg UNUSED)
{
    uv_poll_t poll;
    struct waiter w;
    CHECK(pipe(g_wanted.fd) == 0);
    CHECK(uv_poll_init(loop_uv(loop_current()), &poll, g_wanted.fd[0]) == 0);
    CHECK(uv_poll_start(&poll, UV_READABLE, on_readable) == 0);
    CHECK_OK(fiber_sleep(2 * NS_PER_MS)); /* the loop has looked for events since */
    g_wanted.after.fn = on_ask;
    loop_after_turn(loop_current(), &g_wanted.after);
    wait_init(&w);
    g_wanted.waiter = &w;
    CHECK_OK(wait_block(&w, DEADLINE_NONE));
    CHECK(!g_wanted.answers[0] && g_wanted.answers[1] && !g_wanted.answers[2]);
    CHECK(!loop_is_wanted(loop_current()));
    loop_post(loop_current(), &g_turn.post);
    CHECK(loop_is_wanted(loop_current()) && loop_is_occupied(loop_current()));
    uv_close((uv_handle_t *)&poll, NULL);
    fiber_yield();
    close(g_wanted.fd[0]);
    close(g_wanted.fd[1]);
}

/* Nothing to do; then an event that was not fetched yet; then a task. */
static void test_wanted(void **state UNUSED)
{
    g_turn.post.fn = on_late_post;
    assert_int_equal(loop_run_main(wanted_main, NULL), ERR_OK);
}

/* --- what an after-turn task leaves --- */

static struct {
    char order[8];
    unsigned count;
    struct loop_task after, post, after_again;
    int fd[2];
    struct waiter *waiter;
} g_after;

static void after_note(char c)
{
    g_after.order[g_after.count++] = c;
}

/* Nothing else would end the wait for events. */
static void on_after_again(struct loop_task *task UNUSED)
{
    after_note('a');
    wait_signal(g_after.waiter, 0);
}

static void on_after_post(struct loop_task *task UNUSED)
{
    after_note('P');
    g_after.after_again.fn = on_after_again;
    loop_after_turn(loop_current(), &g_after.after_again);
}

static void on_after_first(struct loop_task *task UNUSED)
{
    static const uint64_t one = 1;
    after_note('A');
    CHECK(write(g_after.fd[1], &one, 1) == 1);
    g_after.post.fn = on_after_post;
    loop_post(loop_current(), &g_after.post);
}

static void on_after_readable(uv_poll_t *poll, int status, int events)
{
    CHECK(status == 0 && events == UV_READABLE);
    after_note('R');
    uv_poll_stop(poll);
}

static void after_main(void *arg UNUSED)
{
    uv_poll_t poll;
    struct waiter w;
    CHECK(pipe(g_after.fd) == 0);
    CHECK(uv_poll_init(loop_uv(loop_current()), &poll, g_after.fd[0]) == 0);
    CHECK(uv_poll_start(&poll, UV_READABLE, on_after_readable) == 0);
    CHECK_OK(fiber_sleep(2 * NS_PER_MS));
    g_after.after.fn = on_after_first;
    loop_after_turn(loop_current(), &g_after.after);
    wait_init(&w);
    g_after.waiter = &w;
    CHECK_OK(wait_block(&w, DEADLINE_NONE));
    uv_close((uv_handle_t *)&poll, NULL);
    fiber_yield();
    close(g_after.fd[0]);
    close(g_after.fd[1]);
}

/* What it posts is run before the event that has come meanwhile; what that wants to be done after
 * its turn, behind the event, and without waiting for another one. */
static void test_after_turn(void **state UNUSED)
{
    assert_int_equal(loop_run_main(after_main, NULL), ERR_OK);
    assert_string_equal(g_after.order, "APRa");
}

static void test_uv(void **state UNUSED)
{
    assert_int_equal(loop_run_main(uv_main, NULL), ERR_OK);
    assert_true(g_user_timer_fired);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_stop),      cmocka_unit_test(test_mpsc),
        cmocka_unit_test(test_turn_order),      cmocka_unit_test(test_timers),
        cmocka_unit_test(test_no_lost_wakeups), cmocka_unit_test(test_uv),
        cmocka_unit_test(test_wanted),          cmocka_unit_test(test_after_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
