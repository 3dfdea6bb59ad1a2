/* What every loop does, whoever drives it.
 *
 * A turn has a fixed order: tasks posted before it began, timers that are due, ready fibers,
 * turn-end tasks (until none is left), wake-ups for other loops, the fibers that these tasks have
 * woken. Then come after-turn tasks; what they post to their own loop (a sync's completion) gets a
 * turn at once, without a look at events before it. Then the backend waits for events, or only
 * looks for them when something is still to be run.
 *
 * The inbox is a stack that any thread pushes to with one compare-and-swap and that the owner
 * empties with one exchange and turns round: per poster the order is kept, there is no ABA problem
 * because nobody pops single elements, and the poster that finds it empty knows that it is the one
 * who has to wake the loop.
 *
 * Sleeping: the owner sets `asleep`, then looks at the inbox once more; a poster pushes, then looks
 * at `asleep`. Both are sequentially consistent, so at least one of the two sees the other. Whoever
 * turns `asleep` off makes the one system call. A loop that is running is never woken.
 *
 * The end of a group: once pushed, a task may run, end the last fiber and with it the group while
 * its poster has yet to wake the loop. Posters on loops of the group are joined before the loops
 * are closed. Others (the blocking pool, threads of libraries) are counted while they are in
 * loop_post, from before the push, and whoever closes the group waits until none is left. So a
 * thread may post to a group as long as a fiber waits for it, and needs nothing else. */
#include "base/loop.h"

#include <sched.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/loop_int.h"
#include "base/metrics.h"

static _Thread_local struct loop *t_loop;

struct loop *loop_current(void)
{
    return t_loop;
}

void loop__set_current(struct loop *loop)
{
    t_loop = loop;
}

unsigned loop_index(const struct loop *loop)
{
    return loop->index;
}

unsigned loop_group_count(const struct loop_group *group)
{
    return group->count;
}

struct loop *loop_group_get(const struct loop_group *group, unsigned index)
{
    ASSERT(index < group->count);
    return group->loops[index];
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return loop->backend->simulated ? NULL : &loop->uv;
}

uint64_t loop_now_ns(const struct loop *loop)
{
    if (loop->now_ns == 0) {
        /* The cache is not part of the loop's state as the caller sees it. */
        ((struct loop *)loop)->now_ns = clock_mono_ns();
    }
    return loop->now_ns;
}

void loop__wake(struct loop *loop)
{
    if (atomic_load(&loop->asleep) && atomic_exchange(&loop->asleep, false)) {
        metrics_add(METRIC_loop_wakeups, 1);
        loop->backend->wake(loop);
    }
}

static void push(struct loop *loop, struct loop_task *task)
{
    struct loop_task *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do {
        atomic_store_explicit(&task->next, head, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak(&loop->inbox, &head, task));
    if (head == NULL) {
        loop__wake(loop);
    }
}

void loop_post(struct loop *loop, struct loop_task *task)
{
    struct loop_group *group = loop->group;
    if (t_loop != NULL && t_loop->group == group) {
        push(loop, task);
        return;
    }
    atomic_fetch_add_explicit(&group->outsiders, 1, memory_order_relaxed);
    push(loop, task);
    atomic_fetch_sub_explicit(&group->outsiders, 1, memory_order_release);
}

void loop__outsiders_leave(struct loop_group *group)
{
    while (atomic_load_explicit(&group->outsiders, memory_order_acquire) != 0) {
        sched_yield();
    }
}

static void queue_task(struct loop_task **first, struct loop_task **last, struct loop_task *task)
{
    atomic_store_explicit(&task->next, NULL, memory_order_relaxed);
    if (*last == NULL) {
        *first = task;
    } else {
        atomic_store_explicit(&(*last)->next, task, memory_order_relaxed);
    }
    *last = task;
}

void loop_at_turn_end(struct loop *loop, struct loop_task *task)
{
    ASSERT_SLOW(loop_current() == loop);
    queue_task(&loop->turn_end_first, &loop->turn_end_last, task);
}

void loop_after_turn(struct loop *loop, struct loop_task *task)
{
    ASSERT_SLOW(loop_current() == loop);
    queue_task(&loop->after_turn_first, &loop->after_turn_last, task);
}

bool loop_is_occupied(struct loop *loop)
{
    ASSERT_SLOW(loop_current() == loop);
    return loop__has_work(loop) || loop__timers_next_ns(loop) <= clock_mono_ns();
}

bool loop_is_wanted(struct loop *loop)
{
    return loop_is_occupied(loop) || loop->backend->has_events(loop);
}

uint64_t loop_turn_number(const struct loop *loop)
{
    return loop->turns;
}

static bool run_inbox(struct loop *loop)
{
    if (atomic_load_explicit(&loop->inbox, memory_order_relaxed) == NULL) {
        return false;
    }
    struct loop_task *newest = atomic_exchange(&loop->inbox, NULL);
    struct loop_task *oldest = NULL;
    while (newest != NULL) {
        struct loop_task *next = atomic_load_explicit(&newest->next, memory_order_relaxed);
        atomic_store_explicit(&newest->next, oldest, memory_order_relaxed);
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct loop_task *task = oldest;
        oldest = atomic_load_explicit(&task->next, memory_order_relaxed);
        task->fn(task);
    }
    return true;
}

static void run_tasks(struct loop_task **first, struct loop_task **last)
{
    struct loop_task *task;
    while ((task = *first) != NULL) {
        *first = atomic_load_explicit(&task->next, memory_order_relaxed);
        if (*first == NULL) {
            *last = NULL;
        }
        task->fn(task);
    }
}

static void run_turn_end(struct loop *loop)
{
    run_tasks(&loop->turn_end_first, &loop->turn_end_last);
}

static void turn(struct loop *loop)
{
    metrics_add(METRIC_loop_turns, 1);
    loop->turns++;
    run_inbox(loop);
    loop__timers_run(loop);
    fiber__run_ready(loop);
    run_turn_end(loop);
    fiber__flush_wakes(loop);
    if (!list_empty(&loop->sched.ready)) { /* the turn's end woke them: their replies go before the
                                              look at events */
        fiber__run_woken(loop);
        fiber__flush_wakes(loop);
    }
}

void loop__turn(struct loop *loop)
{
    turn(loop);
    if (loop->after_turn_first == NULL) {
        return;
    }
    run_tasks(&loop->after_turn_first, &loop->after_turn_last);
    fiber__flush_wakes(loop);
    if (atomic_load_explicit(&loop->inbox, memory_order_relaxed) != NULL) {
        loop->now_ns = 0; /* they may have taken long */
        turn(loop);       /* after-turn tasks of this one wait until events had their look */
    }
}

bool loop__has_work(const struct loop *loop)
{
    return !list_empty(&loop->sched.ready) || !list_empty(&loop->sched.yielded) ||
           loop->turn_end_first != NULL || loop->after_turn_first != NULL ||
           atomic_load_explicit(&loop->inbox, memory_order_relaxed) != NULL;
}

/* A fiber that spawns one on another loop and then ends could hide from somebody who counts the
 * second loop before and the first loop after that. Such spawns are counted, and the sum is taken
 * again when there was one meanwhile. */
bool loop__group_idle(struct loop_group *group)
{
    for (;;) {
        unsigned before = atomic_load(&group->remote_spawns);
        bool idle = true;
        for (unsigned i = 0; i < group->count; i++) {
            idle = idle && atomic_load(&group->loops[i]->fibers_live) == 0;
        }
        if (!idle || atomic_load(&group->remote_spawns) == before) {
            return idle;
        }
    }
}

static void on_nudge(struct loop_task *task)
{
    struct loop *loop = CONTAINER_OF(task, struct loop, nudge_task);
    atomic_store(&loop->nudge_queued, false);
}

void loop__nudge_all(struct loop_group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        struct loop *loop = group->loops[i];
        if (!atomic_exchange(&loop->nudge_queued, true)) {
            loop_post(loop, &loop->nudge_task);
        }
    }
}

void loop__group_drain(struct loop_group *group)
{
    bool again;
    do {
        again = false;
        for (unsigned i = 0; i < group->count; i++) {
            struct loop *loop = group->loops[i];
            loop__set_current(loop);
            again = run_inbox(loop) || again;
            again = loop->turn_end_first != NULL || again;
            run_turn_end(loop);
            again = loop->after_turn_first != NULL || again;
            run_tasks(&loop->after_turn_first, &loop->after_turn_last);
        }
    } while (again);
    loop__set_current(NULL);
}

static db_err loop_new(struct loop_group *group, unsigned index, struct loop **ret_loop)
{
    /* The allocator aligns to 16 bytes only. */
    char *memory = mem_calloc(1, sizeof(struct loop) + CACHE_LINE);
    if (memory == NULL) {
        return ERR_NOMEM;
    }
    uintptr_t aligned = ((uintptr_t)memory + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct loop *loop = (struct loop *)aligned;
    loop->memory = memory;
    loop->backend = group->backend;
    loop->group = group;
    loop->index = index;
    heap_init(&loop->timers);
    atomic_init(&loop->inbox, NULL);
    loop->nudge_task.fn = on_nudge;
    loop->uv_timer_deadline_ns = DEADLINE_NONE;
    db_err err = fiber__sched_init(loop);
    if (err != ERR_OK) {
        mem_free(memory);
        return err;
    }
    *ret_loop = loop;
    return ERR_OK;
}

db_err loop__group_new(const struct loop_backend *backend, unsigned count, size_t stack_size,
                       unsigned fibers_max, struct loop_group **ret_group)
{
    struct loop_group *group = mem_calloc(1, sizeof(*group));
    if (group == NULL) {
        return ERR_NOMEM;
    }
    group->backend = backend;
    group->stack_size = stack_size != 0 ? stack_size : FIBER_STACK_DEFAULT;
    group->fibers_max = fibers_max != 0 ? fibers_max : FIBERS_MAX_DEFAULT;
    pthread_mutex_init(&group->depot_lock, NULL);
    list_init(&group->depot);
    group->loops = mem_calloc(count, sizeof(struct loop *));
    if (group->loops == NULL) {
        loop__group_free(group);
        return ERR_NOMEM;
    }
    /* The schedulers size their tables by it. */
    group->count = count;
    for (unsigned i = 0; i < count; i++) {
        db_err err = loop_new(group, i, &group->loops[i]);
        if (err != ERR_OK) {
            loop__group_free(group);
            return err;
        }
    }
    *ret_group = group;
    return ERR_OK;
}

void loop__group_free(struct loop_group *group)
{
    for (unsigned i = 0; group->loops != NULL && i < group->count; i++) {
        if (group->loops[i] != NULL) {
            fiber__sched_fini(group->loops[i]);
            mem_free(group->loops[i]->memory);
        }
    }
    fiber__depot_fini(group);
    pthread_mutex_destroy(&group->depot_lock);
    mem_free(group->loops);
    mem_free(group);
}

void loop_group_stop(struct loop_group *group)
{
    if (group == NULL) {
        return;
    }
    ASSERT(loop_current() == NULL || loop_current()->group != group);
    if (group->backend->simulated) {
        loop__sim_stop(group);
    } else {
        loop__uv_stop(group);
    }
}
