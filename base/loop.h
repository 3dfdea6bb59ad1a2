/* Event loops: one libuv loop per core, each on a thread of its own.
 *
 * An object has one owner loop. Other threads reach it by posting a task to that loop. Tasks posted
 * from one thread run in order. Posting wakes the loop at most once per turn. */
#ifndef SKEIN_BASE_LOOP_H
#define SKEIN_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct loop;
struct loop_group;
typedef struct uv_loop_s uv_loop_t;

/* A unit of work for a loop. The memory belongs to the poster and must live until fn has begun; fn
 * may free it. */
struct loop_task {
    struct loop_task *_Atomic next;
    void (*fn)(struct loop_task *task);
};

struct loop_group_opts {
    unsigned count;          /* 0: one per core */
    size_t fiber_stack_size; /* 0: 256 KiB */
    unsigned fibers_max;     /* per loop; 0: 100,000 */
};

/* Starts `count` threads, each with a loop, and waits until they run. ERR_NOMEM, ERR_IO. */
MUST_USE db_err loop_group_start(const struct loop_group_opts *opts, struct loop_group **ret_group);
/* Asks every loop to end once its fibers have ended, waits for the threads, frees all. NULL is
 * fine. Not from a loop of the group. */
void loop_group_stop(struct loop_group *group);
unsigned loop_group_count(const struct loop_group *group);
struct loop *loop_group_get(const struct loop_group *group, unsigned index);

/* The loop that runs on this thread, or NULL. */
struct loop *loop_current(void);
unsigned loop_index(const struct loop *loop);
/* The libuv loop, for handles of this loop's thread only. */
uv_loop_t *loop_uv(struct loop *loop);

/* Runs task->fn on the loop's thread. From any thread. Not inline even when already there: it runs
 * on a later turn. */
void loop_post(struct loop *loop, struct loop_task *task);
/* Runs fn(arg) at the end of the current turn, before the loop waits for events. Only from the
 * loop's own thread. For what gathers work of one turn (one write batch, one wake-up of another
 * thread). */
void loop_at_turn_end(struct loop *loop, struct loop_task *task);

/* Monotonic ns as of the start of this turn (cheap); clock_mono_ns() when exact. */
uint64_t loop_now_ns(const struct loop *loop);

/* Timers, only from the loop's own thread. The timer's memory is the caller's; start re-arms, stop
 * is idempotent. */
struct loop_timer {
    void (*fn)(struct loop_timer *timer);
    uint64_t deadline_ns; /* internal */
    uint32_t heap_index;  /* internal; 0 = not armed */
};
void loop_timer_init(struct loop_timer *timer, void (*fn)(struct loop_timer *timer));
MUST_USE db_err loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

/* Runs fn(arg) in a fiber on a private loop on the calling thread until that fiber and all it
 * spawned have ended. For tests, tools and main(). */
MUST_USE db_err loop_run_main(void (*fn)(void *arg), void *arg);

#endif
