/* The libuv backend: each loop on a thread of its own.
 *
 * We drive libuv turn by turn (UV_RUN_ONCE): the order of a turn is ours, and libuv is asked for
 * nothing but events. Whether it may wait for them is decided at the last moment, in a prepare
 * handle: uv_run calls back for timers and other things of its users before it waits, and such a
 * callback may have woken a fiber or armed a timer. uv_stop there makes the poll look without
 * waiting. All timers of the loop share one uv_timer, armed anew only when the earliest deadline
 * has changed.
 *
 * Other threads end the wait through an eventfd of ours and not through a uv_async: a loop that has
 * been woken by one spins until its sender has left uv_async_send, and the sender is often put
 * aside by the very thread that it has woken. That took a tenth of the processor under writes.
 *
 * The end: a group ends when it was asked to and no fiber lives on any of its loops. Whoever ends
 * the last fiber nudges all loops, each of which then sees that and leaves. What was posted too
 * late is run by the thread that stops the group, after it has joined the others and no thread from
 * outside is in loop_post any more (see loop.c); then it closes the handles. */
#include "base/loop.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fiber.h"
#include "base/loop_int.h"

static void uv_backend_wake(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t n = write(loop->wake_fd, &one, sizeof(one));
    ASSERT(n == (ssize_t)sizeof(one));
}

/* A set of descriptors can itself be asked whether one of them is ready. */
static bool uv_backend_has_events(struct loop *loop)
{
    struct pollfd p = {.fd = uv_backend_fd(&loop->uv), .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}

static const struct loop_backend g_uv_backend = {"uv", false, uv_backend_wake,
                                                 uv_backend_has_events};

/* Its only purpose is to end the wait. The counter is never read: each write is a new edge. */
static void on_wake(uv_poll_t *poll UNUSED, int status UNUSED, int events UNUSED)
{
}

/* libuv registers a descriptor with its next poll, level-triggered; made edge-triggered there, a
 * wake-up costs its receiver no read. */
static bool wake_by_edge(struct loop *loop)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.fd = loop->wake_fd};
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    return epoll_ctl(uv_backend_fd(&loop->uv), EPOLL_CTL_MOD, loop->wake_fd, &ev) == 0;
}

static void wake_close(struct loop *loop)
{
    uv_close((uv_handle_t *)&loop->wake_poll, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    close(loop->wake_fd);
}

static bool wake_open(struct loop *loop)
{
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0) {
        return false;
    }
    if (uv_poll_init(&loop->uv, &loop->wake_poll, loop->wake_fd) != 0) {
        close(loop->wake_fd);
        return false;
    }
    int rc = uv_poll_start(&loop->wake_poll, UV_READABLE, on_wake);
    ASSERT(rc == 0);
    if (!wake_by_edge(loop)) {
        wake_close(loop);
        return false;
    }
    return true;
}

static void on_uv_timer(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    loop->uv_timer_deadline_ns = DEADLINE_NONE;
}

static void on_prepare(uv_prepare_t *prepare);

static db_err uv_init_loop(struct loop *loop)
{
    if (uv_loop_init(&loop->uv) != 0) {
        return ERR_IO;
    }
    loop->uv.data = loop;
    if (!wake_open(loop)) {
        int rc = uv_loop_close(&loop->uv);
        ASSERT(rc == 0);
        return ERR_IO;
    }
    if (loop__watch_open(loop) != ERR_OK) {
        wake_close(loop);
        int rc = uv_loop_close(&loop->uv);
        ASSERT(rc == 0);
        return ERR_IO;
    }
    int rc = uv_timer_init(&loop->uv, &loop->uv_timer);
    ASSERT(rc == 0);
    loop->uv_timer.data = loop;
    rc = uv_prepare_init(&loop->uv, &loop->prepare);
    ASSERT(rc == 0);
    rc = uv_prepare_start(&loop->prepare, on_prepare);
    ASSERT(rc == 0);
    loop->prepare.data = loop;
    return ERR_OK;
}

static void close_handle(uv_handle_t *handle, void *arg UNUSED)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void uv_fini_loop(struct loop *loop)
{
    loop__set_current(loop);
    uv_walk(&loop->uv, close_handle, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop__set_current(NULL);
}

static void uv_close_loop(struct loop *loop)
{
    int rc = uv_loop_close(&loop->uv);
    ASSERT(rc == 0);
    close(loop->wake_fd);
    loop__watch_close(loop);
}

/* True when a timer is due already. */
static bool arm_uv_timer(struct loop *loop)
{
    uint64_t next_ns = loop__timers_next_ns(loop);
    if (next_ns == DEADLINE_NONE) {
        if (loop->uv_timer_deadline_ns != DEADLINE_NONE) {
            uv_timer_stop(&loop->uv_timer);
            loop->uv_timer_deadline_ns = DEADLINE_NONE;
        }
        return false;
    }
    if (next_ns == loop->uv_timer_deadline_ns) {
        return false;
    }
    if (next_ns <= clock_mono_ns()) {
        return true;
    }
    /* libuv counts in whole ms of the same clock: never early, less than 1 ms late. */
    uv_update_time(&loop->uv);
    uint64_t target_ms = (next_ns + NS_PER_MS - 1) / NS_PER_MS;
    uint64_t now_ms = uv_now(&loop->uv);
    uv_timer_start(&loop->uv_timer, on_uv_timer, target_ms > now_ms ? target_ms - now_ms : 1, 0);
    loop->uv_timer_deadline_ns = next_ns;
    return false;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;
    bool work = loop__has_work(loop) || arm_uv_timer(loop);
    if (!work) {
        atomic_store(&loop->asleep, true);
        work = atomic_load(&loop->inbox) != NULL;
    }
    if (work) {
        uv_stop(&loop->uv);
    }
    loop->now_ns = 0;
}

static void poll_events(struct loop *loop)
{
    loop->now_ns = 0;
    uv_run(&loop->uv, UV_RUN_ONCE);
    loop->now_ns = 0;
    atomic_store_explicit(&loop->asleep, false, memory_order_release);
}

static bool should_end(struct loop *loop)
{
    return atomic_load(&loop->group->stopping) && !loop__has_work(loop) &&
           loop__group_idle(loop->group);
}

static void run_loop(struct loop *loop)
{
    loop__set_current(loop);
    for (;;) {
        loop__turn(loop);
        if (should_end(loop)) {
            break;
        }
        poll_events(loop);
    }
    loop__set_current(NULL);
}

static void *thread_main(void *arg)
{
    struct loop *loop = arg;
    char name[16];
    snprintf(name, sizeof(name), "loop-%u", loop->index);
    pthread_setname_np(pthread_self(), name);
    run_loop(loop);
    return NULL;
}

/* A group whose libuv loops are ready and whose threads are not started. */
static db_err new_group(const struct loop_group_opts *opts, unsigned count,
                        struct loop_group **ret_group)
{
    struct loop_group *group;
    TRY(loop__group_new(&g_uv_backend, count, opts->fiber_stack_size, opts->fibers_max, &group));
    for (unsigned i = 0; i < count; i++) {
        db_err err = uv_init_loop(group->loops[i]);
        if (err != ERR_OK) {
            while (i > 0) {
                i--;
                uv_fini_loop(group->loops[i]);
                uv_close_loop(group->loops[i]);
            }
            loop__group_free(group);
            return err;
        }
    }
    *ret_group = group;
    return ERR_OK;
}

static void close_group(struct loop_group *group)
{
    loop__outsiders_leave(group);
    loop__group_drain(group);
    for (unsigned i = 0; i < group->count; i++) {
        uv_fini_loop(group->loops[i]);
    }
    loop__group_drain(group); /* what the close callbacks have posted */
    for (unsigned i = 0; i < group->count; i++) {
        uv_close_loop(group->loops[i]);
    }
    loop__group_free(group);
}

static void join_threads(struct loop_group *group, unsigned count)
{
    atomic_store(&group->stopping, true);
    loop__nudge_all(group);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(group->loops[i]->thread, NULL);
    }
}

db_err loop_group_start(const struct loop_group_opts *opts, struct loop_group **ret_group)
{
    unsigned count = opts->count;
    if (count == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        count = cores > 0 ? (unsigned)cores : 1;
    }
    struct loop_group *group;
    TRY(new_group(opts, count, &group));
    for (unsigned i = 0; i < count; i++) {
        struct loop *loop = group->loops[i];
        if (pthread_create(&loop->thread, NULL, thread_main, loop) != 0) {
            join_threads(group, i);
            close_group(group);
            return ERR_NOMEM;
        }
    }
    *ret_group = group;
    return ERR_OK;
}

void loop__uv_stop(struct loop_group *group)
{
    join_threads(group, group->count);
    close_group(group);
}

db_err loop_run_main(void (*fn)(void *arg), void *arg)
{
    if (loop_current() != NULL) {
        return ERR_BUSY;
    }
    struct loop_group *group;
    const struct loop_group_opts opts = {.count = 1};
    TRY(new_group(&opts, 1, &group));
    db_err err = fiber_spawn(group->loops[0], fn, arg);
    if (err == ERR_OK) {
        atomic_store(&group->stopping, true);
        run_loop(group->loops[0]);
    }
    close_group(group);
    return err;
}
