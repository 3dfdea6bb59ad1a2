/* Private to base/: what loops, their two backends and the fiber scheduler share. */
#ifndef SKEIN_BASE_LOOP_INT_H
#define SKEIN_BASE_LOOP_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/rand.h"

enum {
    CACHE_LINE = 64,
    LOOP_FIBERS_PER_TURN = 512, /* then events get their turn again */
    LOOP_FIBERS_PER_FLUSH = 16, /* wake-ups of other loops wait for at most so many fibers */
    FIBER_STACK_DEFAULT = 256 * 1024,
    FIBERS_MAX_DEFAULT = 100000,
};

struct fiber;

/* What differs between a loop on a thread of its own and a simulated one. */
struct loop_backend {
    const char *name;
    bool simulated;
    void (*wake)(
        struct loop *loop); /* from any thread: end the wait for events, or do not begin it */
    bool (*has_events)(struct loop *loop); /* that were not fetched yet */
};

/* Fibers to be woken on one other loop, newest first, chained by fiber->remote_next. */
struct wake_batch {
    struct fiber *newest;
    struct fiber *oldest;
};

/* The fiber scheduler's part of a loop. Only the loop's own thread, but for the remote and live
 * fields. */
struct fiber_sched {
    struct fiber *current;
    void *context;       /* where the scheduler stands while a fiber runs */
    struct list ready;   /* run in this turn */
    struct list yielded; /* run in the next turn */
    struct list pool;    /* ended fibers with their stacks, warm ones first */
    struct list all;     /* simulated loops only: every live fiber */
    unsigned pool_count;
    struct wake_batch *outgoing; /* [group->count] */
    unsigned *dirty;             /* indices of the outgoing batches that are not empty */
    unsigned dirty_count;
    void *asan_fake_stack;
    const void *asan_stack_bottom;
    size_t asan_stack_size;
    void *tsan_fiber;
    struct list blocking_jobs; /* to be handed to the blocking pool at the end of the turn */
    struct loop_task blocking_task;
    bool blocking_task_queued;
    struct loop_timer blocking_timer; /* blocking.c: do its jobs wait for too long? */
};

struct loop {
    const struct loop_backend *backend;
    struct loop_group *group;
    unsigned index;
    void *memory;    /* what was allocated */
    uint64_t now_ns; /* 0: not asked yet in this turn */
    struct heap timers;
    struct loop_task *turn_end_first;
    struct loop_task *turn_end_last;
    struct loop_task *after_turn_first;
    struct loop_task *after_turn_last;
    uint64_t turns;
    struct fiber_sched sched;

    /* uv backend */
    uv_loop_t uv;
    int wake_fd; /* eventfd: ends the wait for events */
    uv_poll_t wake_poll;
    uv_prepare_t prepare; /* right before the wait: see loop_uv.c */
    uv_timer_t uv_timer;
    uint64_t uv_timer_deadline_ns; /* what uv_timer is armed for; DEADLINE_NONE: it is not */
    pthread_t thread;
    int watch_fd; /* epoll set of fd_watch.c */
    uv_poll_t watch_poll;
    pthread_mutex_t watch_lock;     /* guards the slots */
    struct watch_slot *watch_slots; /* fd_watch.c */
    uint32_t watch_slot_count;
    uint32_t watch_free; /* the first free slot + 1; 0: none */

    /* sim backend */
    int64_t drift_ppm;
    uint64_t drift_global_ns; /* group time and this loop's time when the drift was last changed */
    uint64_t drift_local_ns;
    bool paused;

    /* Written by other threads. */
    _Alignas(CACHE_LINE) struct loop_task *_Atomic inbox; /* newest first */
    struct fiber *_Atomic remote_ready;                   /* newest first */
    struct loop_task remote_ready_task;
    struct loop_task nudge_task;
    _Atomic bool nudge_queued;
    _Atomic unsigned fibers_live;
    _Alignas(CACHE_LINE) _Atomic bool asleep;
};

struct loop_group {
    const struct loop_backend *backend;
    struct loop **loops;
    unsigned count;
    size_t stack_size;
    unsigned fibers_max;
    _Atomic bool stopping;
    _Atomic unsigned remote_spawns; /* spawns from one loop onto another: see loop__group_idle */
    _Atomic unsigned outsiders;     /* threads of other groups or none that are in loop_post */

    pthread_mutex_t depot_lock;
    struct list depot; /* ended fibers that any loop may take; guarded by depot_lock */
    unsigned depot_count;

    struct loop_group_sim *sim;
};

/* fd_watch.c: of one loop; closed after its handles. */
struct watch_slot;
MUST_USE db_err loop__watch_open(struct loop *loop);
void loop__watch_close(struct loop *loop);

/* loop.c */
MUST_USE db_err loop__group_new(const struct loop_backend *backend, unsigned count,
                                size_t stack_size, unsigned fibers_max,
                                struct loop_group **ret_group);
void loop__group_free(struct loop_group *group); /* after every loop was left */
void loop__set_current(struct loop *loop);
/* One turn: posted tasks, due timers, ready fibers, turn-end tasks; and after-turn tasks with what
 * they have posted. */
void loop__turn(struct loop *loop);
/* Something is left to run without waiting for an event or a timer. */
bool loop__has_work(const struct loop *loop);
/* No fiber lives on any loop of the group. */
bool loop__group_idle(struct loop_group *group);
void loop__nudge_all(struct loop_group *group);
/* Runs what is left in the inboxes of a group whose threads have ended. */
void loop__group_drain(struct loop_group *group);
void loop__wake(struct loop *loop);
/* Waits until every thread that is not the group's has left loop_post. */
void loop__outsiders_leave(struct loop_group *group);

/* loop_timer.c */
void loop__timers_run(struct loop *loop);
uint64_t loop__timers_next_ns(const struct loop *loop); /* DEADLINE_NONE: none */

/* loop_uv.c */
void loop__uv_stop(struct loop_group *group);
/* loop_sim.c */
void loop__sim_stop(struct loop_group *group);
uint64_t loop__sim_rand_below(struct loop *loop, uint64_t bound);

/* fiber.c */
MUST_USE db_err fiber__sched_init(struct loop *loop);
void fiber__sched_fini(struct loop *loop);
/* Runs what is ready, including what becomes ready meanwhile, up to a number that lets events have
 * their turn. run_ready: also what has yielded before this turn; it goes last. */
void fiber__run_ready(struct loop *loop);
void fiber__run_woken(struct loop *loop);
void fiber__flush_wakes(struct loop *loop);
void fiber__drop_all(struct loop *loop);
/* fiber_stack.c */
void fiber__depot_fini(struct loop_group *group);

#endif
