/* Fibers: straight-line code that parks instead of blocking a loop.
 *
 * A fiber runs on one loop for its whole life. Whatever waits (reply, commit, lock, timer, blocking
 * job) parks the fiber and the loop runs others. Stacks are pooled, mmap'd, with a guard page. ASan
 * and TSan are told of every switch. Built on Boost.Context's C ABI (make_fcontext, jump_fcontext).
 *
 * "May park" in a header means: only call it from a fiber, and hold no pthread mutex across it. */
#ifndef SKEIN_BASE_FIBER_H
#define SKEIN_BASE_FIBER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/spin.h"

struct fiber;
typedef void (*fiber_fn)(void *arg);

/* Starts fn(arg) in a new fiber on the loop, from any thread. The fiber frees itself when fn
 * returns. ERR_BUSY when the loop has its maximum of fibers, ERR_NOMEM. */
MUST_USE db_err fiber_spawn(struct loop *loop, fiber_fn fn, void *arg);
/* As fiber_spawn on the current loop, but begins to run fn at once, before returning to the caller
 * (which must not be a fiber: an event callback), until it parks. The cheap way to start a command.
 */
MUST_USE db_err fiber_spawn_now(fiber_fn fn, void *arg);

struct fiber *fiber_self(void); /* NULL outside fibers */
struct loop *fiber_loop(const struct fiber *f);

/* Deadline and cancellation of the running fiber: waits end with ERR_TIMEOUT or ERR_CANCELED.
 * Cancel is for any thread while the fiber lives (the holder of the handle makes sure of that). */
void fiber_set_deadline(uint64_t deadline_ns); /* DEADLINE_NONE to clear */
uint64_t fiber_deadline(void);
void fiber_cancel(struct fiber *f);
void fiber_clear_cancel(void);
bool fiber_canceled(void);

/* What must be done although the fiber was cancelled, or is past its deadline: from begin to end it
 * has this deadline, and that it was cancelled is put aside. One more cancellation breaks the wait
 * of that moment: who must go on nevertheless puts it aside as well. */
struct undisturbed {
    uint64_t deadline_ns;
    bool canceled;
};
void undisturbed_begin(struct undisturbed *u, uint64_t deadline_ns);
void undisturbed_go_on(struct undisturbed *u);
void undisturbed_end(const struct undisturbed *u);
/* Calls fn again and again, undisturbed and with pauses, until it succeeds or the time is over.
 * Returns what it said last. Parks. */
MUST_USE db_err undisturbed_try(uint64_t time_ns, uint64_t pause_ns, db_err (*fn)(void *arg),
                                void *arg);

/* One-shot wait: the waiter owns the memory; exactly one signal is expected. The signal may come
 * before, during or after wait_block is entered, from any thread. When wait_block returns
 * ERR_TIMEOUT or ERR_CANCELED no signal has been consumed: the owner must make sure under the
 * signaller's lock that no signal can still come (or call wait_block_uncancelable) before the
 * memory goes. */
struct waiter {
    struct fiber *fiber;
    _Atomic int state;
    int result;
};
void wait_init(struct waiter *w); /* from the fiber that will wait */
/* Parks until signalled, the deadline (min of this and the fiber's), or cancellation. ret: the
 * signal's result. */
MUST_USE db_err wait_block(struct waiter *w, uint64_t deadline_ns);
void wait_block_uncancelable(struct waiter *w);
void wait_signal(struct waiter *w, int result); /* any thread; w may be gone when this returns */
bool wait_signaled(const struct waiter *w);

MUST_USE db_err fiber_sleep(uint64_t ns);
/* Lets others run; then goes on. */
void fiber_yield(void);
/* Yields if the fiber has run longer than its time slice (1 ms). Cheap: call it at every chunk or
 * batch. Returns ERR_CANCELED or ERR_TIMEOUT when the fiber should stop. */
MUST_USE db_err fiber_checkpoint(void);
/* The same for loops of many small steps: counts the work that was done, in units of some
 * nanoseconds, and comes to a checkpoint when that is a part of a time slice. *io_work begins with
 * 0. */
enum { FIBER_WORK_MAX = 1 << 14 };
MUST_USE static inline db_err fiber_work(uint32_t *io_work, size_t units)
{
    size_t room = FIBER_WORK_MAX - *io_work;
    if (LIKELY(units < room)) {
        *io_work += (uint32_t)units;
        return ERR_OK;
    }
    *io_work = 0;
    return fiber_checkpoint();
}
/* Bytes of stack left, for depth checks of recursive code. A large number outside fibers. */
size_t fiber_stack_left(void);
/* Makes sure of so many bytes of stack from here on: it grows by whole pages, up to 64 times the
 * size that fibers begin with. Costs a comparison when there is enough. Recursive code whose depth
 * its input decides asks for each step, or once for a depth that it knows. ERR_LIMIT: it may not
 * grow that far (or this is no fiber); ERR_NOMEM. */
MUST_USE db_err fiber_stack_reserve(size_t bytes);
/* Bytes that the stack has grown by: who goes on with the same work in another fiber reserves as
 * much there. */
size_t fiber_stack_grown(void);
/* How large it may grow, or the thread's stack outside fibers. */
size_t fiber_stack_size(void);
/* Gives back what it has grown by, unless that is in use. An ended fiber's goes by itself. */
void fiber_stack_shrink(void);
/* A slot for the layer that spawned the fiber (the statement's context). */
void fiber_set_local(void *local);
void *fiber_get_local(void);

/* Mutex that parks; FIFO; usable from fibers of different loops. Owner and waiters are fibers. */
struct fiber_mutex {
    struct spin lock; /* guards the rest */
    bool held;
    struct list waiters;
};
void fiber_mutex_init(struct fiber_mutex *m);
void fiber_mutex_lock(struct fiber_mutex *m);
void fiber_mutex_unlock(struct fiber_mutex *m);

/* Condition: fibers wait in FIFO order; signal wakes one, broadcast all. The caller guards its
 * predicate with a fiber_mutex that wait releases and takes again. ERR_TIMEOUT, ERR_CANCELED. */
struct fiber_cond {
    struct spin lock;
    struct list waiters;
};
void fiber_cond_init(struct fiber_cond *c);
MUST_USE db_err fiber_cond_wait(struct fiber_cond *c, struct fiber_mutex *m, uint64_t deadline_ns);
void fiber_cond_signal(struct fiber_cond *c);
void fiber_cond_broadcast(struct fiber_cond *c);

/* Runs fn(arg) on the blocking pool (a few threads) and parks until it is done. Never cancelled
 * half-way. Outside a fiber it runs inline. */
void blocking_run(void (*fn)(void *arg), void *arg);

#endif
