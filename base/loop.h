/* Event loops: one libuv loop per core, each on a thread of its own.
 *
 * An object has one owner loop. Other threads reach it by posting a task to that loop. Tasks posted
 * from one thread run in order. Posting wakes the loop at most once per turn. */
#ifndef SKEIN_BASE_LOOP_H
#define SKEIN_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/heap.h"

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
/* The libuv loop, for handles of this loop's thread only. NULL for a loop of a simulated group. */
uv_loop_t *loop_uv(struct loop *loop);

/* Runs task->fn on the loop's thread. From any thread. Not inline even when already there: it runs
 * on a later turn. The group may not have ended when the call begins: a thread that is not the
 * group's posts only while a fiber of the group (or the caller of loop_group_stop) waits for it.
 * That the task ends the group while the call returns is fine. */
void loop_post(struct loop *loop, struct loop_task *task);
/* Runs fn(arg) at the end of the current turn, before the loop waits for events. Only from the
 * loop's own thread. For what gathers work of one turn (one write batch, one wake-up of another
 * thread). */
void loop_at_turn_end(struct loop *loop, struct loop_task *task);
/* Runs task->fn behind the turn-end tasks and the fibers that they have woken, before the loop
 * looks for events. Only from the loop's own thread. For what holds the loop up: the replies of the
 * turn have left. What it posts to this loop is run at once, before that look. */
void loop_after_turn(struct loop *loop, struct loop_task *task);
/* Is there something that the loop would do now instead of waiting? What is posted or ready, a
 * timer that is due, an event that was not fetched yet. Only from the loop's own thread; costs a
 * system call. */
bool loop_is_wanted(struct loop *loop);
/* The same but for events that were not fetched yet: no system call. */
bool loop_is_occupied(struct loop *loop);
/* How many turns the loop has begun. Only from the loop's own thread. */
uint64_t loop_turn_number(const struct loop *loop);

/* Monotonic ns as of the start of this turn (cheap); clock_mono_ns() when exact. */
uint64_t loop_now_ns(const struct loop *loop);

/* Timers, only from the loop's own thread. The timer's memory is the caller's; start re-arms, stop
 * is idempotent. */
struct loop_timer {
    void (*fn)(struct loop_timer *timer);
    uint64_t deadline_ns;  /* internal */
    struct heap_node node; /* internal */
    bool armed;            /* internal */
};
void loop_timer_init(struct loop_timer *timer, void (*fn)(struct loop_timer *timer));
/* Needs no memory: never fails. */
MUST_USE db_err loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

/* Runs fn(arg) in a fiber on a private loop on the calling thread until that fiber and all it
 * spawned have ended. For tests, tools and main(). */
MUST_USE db_err loop_run_main(void (*fn)(void *arg), void *arg);

/* Simulated groups: the same loops, fibers and timers, but all loops are run by one thread, in an
 * order drawn from a seed, on a virtual clock that stands still while code runs and jumps to the
 * next timer when every loop is idle. While the group exists clock_mono_ns and clock_wall_us are
 * the virtual ones (of the loop that runs, with its drift), blocking_run runs inline,
 * fiber_checkpoint yields at random. The same seed gives the same run. One simulated group at a
 * time in a process; only one thread may touch it. */
struct loop_sim_opts {
    unsigned count; /* > 0 */
    uint64_t seed;
    uint64_t start_ns;       /* virtual monotonic time at the start; 0: 1 s */
    uint64_t wall_us;        /* calendar time at the start; 0: 2030-01-01 */
    size_t fiber_stack_size; /* 0: 256 KiB */
    unsigned fibers_max;     /* per loop; 0: 100,000 */
};

/* ERR_NOMEM; ERR_BUSY when another simulated group exists. Ended by loop_group_stop, which goes on
 * running the group until all fibers have ended; fibers that nothing can wake any more are dropped
 * as by loop_sim_kill. */
MUST_USE db_err loop_group_start_sim(const struct loop_sim_opts *opts,
                                     struct loop_group **ret_group);
/* Another group in the world of the first one: its clock, its seed. What is said below of "the
 * group" is said to the first, and holds for all loops of its world; loop_group_stop of the first
 * ends all, of a later one is not allowed. For several processes with loops of their own in one
 * run. ERR_NOMEM. */
MUST_USE db_err loop_group_join_sim(struct loop_group *world, unsigned count,
                                    struct loop_group **ret_group);
/* Runs the group until the virtual time is until_ns, or sooner when loop_group_sim_break is called.
 * Not from a loop of the group. */
void loop_group_sim_run(struct loop_group *group, uint64_t until_ns);
/* Runs until nothing is ready at the present virtual time and no timer is armed, at most up to
 * until_ns. True when it came to rest. */
bool loop_group_sim_settle(struct loop_group *group, uint64_t until_ns);
/* From code that runs in the group: loop_group_sim_run returns after this turn. */
void loop_group_sim_break(struct loop_group *group);
uint64_t loop_group_sim_now_ns(const struct loop_group *group);
/* A digest of which loop ran at which time: two runs that differ here have taken different ways. */
uint64_t loop_group_sim_digest(const struct loop_group *group);
/* From now on the loop's clock runs faster (ppm > 0) or slower than the group's. |ppm| < 500,000.
 */
void loop_sim_set_drift(struct loop *loop, int64_t ppm);
/* A process that is stopped and goes on later (SIGSTOP, SIGCONT): while paused nothing of the loop
 * runs, its clock goes on. */
void loop_sim_pause(struct loop *loop, bool paused);
/* The crash of a process: drops the loop's fibers, tasks and timers as they stand; nothing of
 * theirs runs again, what they own on the heap is lost to the caller's bookkeeping. No other loop
 * may hold a waiter of theirs. The loop can be used again. Not from the loop itself. */
void loop_sim_kill(struct loop *loop);

#endif
