/* The fiber scheduler of a loop: switching, waking, waiting, deadlines, cancellation.
 *
 * Every switch goes between the scheduler (the loop's own stack) and one fiber; two jumps take a
 * fiber off and the next one on. A fiber is in exactly one place: running, ready (this turn),
 * yielded (next turn), parked, or on its way to its loop in another loop's outgoing batch.
 *
 * Wait and signal. state goes IDLE → PARKED (the waiter, about to park) and IDLE or PARKED →
 * SIGNALED (the signaller). Deadline and cancellation take PARKED → IDLE. Only the one who takes it
 * away from PARKED wakes the fiber, so a fiber is woken once. After its exchange the signaller does
 * not touch the waiter; a fiber it has found PARKED cannot run before it was woken, so the handle
 * it has read before stays good.
 *
 * Waking across loops: the fiber is put on a batch for its loop that leaves at the end of the turn
 * (and every few fibers), with one compare-and-swap and at most one posted task, however many
 * fibers it holds. Threads that are no loops push at once; the first of them posts the task, the
 * others find company.
 *
 * Deadlines: a fiber's timer is not stopped when the wait ends in time. It stays armed for as long
 * as it is not later than the next wait needs, so that a statement with one deadline arms it once,
 * not at every wait. If it fires too early it is armed again for the time that is wanted then.
 *
 * Cancellation from another thread only sets a flag and posts the fiber's own task: the waiter lies
 * on the fiber's stack and is looked at by its loop alone. A fiber that ends with that task under
 * way is kept until it has arrived. */
#include "base/fiber.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fiber_int.h"
#include "base/metrics.h"

#define TIME_SLICE_NS (1 * NS_PER_MS)

enum { WAIT_IDLE, WAIT_PARKED, WAIT_SIGNALED };

struct fiber *fiber_self(void)
{
    struct loop *loop = loop_current();
    return loop == NULL ? NULL : loop->sched.current;
}

struct loop *fiber_loop(const struct fiber *f)
{
    return f->loop;
}

/* --- switching --- */

static void run_fiber(struct loop *loop, struct fiber *f)
{
    struct fiber_sched *s = &loop->sched;
    s->current = f;
    f->slice_start_ns = 0;
    sched_leave(s, f);
    struct transfer_t back = jump_fcontext(f->context, f);
    sched_entered(s);
    f->context = back.fctx;
    s->current = NULL;
    if (UNLIKELY(f->done)) {
        loop_timer_stop(loop, &f->timer);
        if ((atomic_load_explicit(&f->cancel, memory_order_acquire) & FIBER_CANCEL_QUEUED) == 0) {
            fiber__release(f);
        }
    }
}

/* Back to the scheduler; returns when the fiber is run again. */
static void switch_out(struct fiber *f)
{
    struct fiber_sched *s = &f->loop->sched;
    fiber_leave(s, f);
    struct transfer_t back = jump_fcontext(s->context, NULL);
    fiber_entered(s, f);
    s->context = back.fctx;
}

static void fiber_main(struct transfer_t from)
{
    struct fiber *f = from.data;
    struct fiber_sched *s = &f->loop->sched;
    fiber_entered(s, f);
    s->context = from.fctx;
    f->fn(f->arg);
    f->done = true;
    switch_out(f);
    __builtin_unreachable();
}

/* --- life --- */

static void on_timer(struct loop_timer *timer);
static void on_cancel(struct loop_task *task);

static db_err fiber_new(struct loop *loop, fiber_fn fn, void *arg, struct fiber **ret_fiber)
{
    if (atomic_fetch_add(&loop->fibers_live, 1) >= loop->group->fibers_max) {
        atomic_fetch_sub(&loop->fibers_live, 1);
        return ERR_BUSY;
    }
    struct fiber *f = fiber__stack_get(loop);
    if (f == NULL) {
        atomic_fetch_sub(&loop->fibers_live, 1);
        return ERR_NOMEM;
    }
    list_init(&f->link);
    list_init(&f->all);
    f->loop = loop;
    f->waiting = NULL;
    f->wait_deadline_ns = DEADLINE_NONE;
    f->deadline_ns = DEADLINE_NONE;
    f->done = false;
    loop_timer_init(&f->timer, on_timer);
    atomic_init(&f->cancel, 0);
    f->cancel_task.fn = on_cancel;
    f->fn = fn;
    f->arg = arg;
    f->local = NULL;
#ifdef SKEIN_ASAN
    f->asan_fake_stack = NULL;
#endif
    f->context = make_fcontext(f->stack_floor + f->stack_size, f->stack_size, fiber_main);
    if (loop->backend->simulated) {
        list_push_back(&loop->sched.all, &f->all);
    }
    metrics_add(METRIC_fibers_started, 1);
    metrics_add(METRIC_fibers_live, 1);
    *ret_fiber = f;
    return ERR_OK;
}

void fiber__release(struct fiber *f)
{
    struct loop *loop = f->loop;
    metrics_sub(METRIC_fibers_live, 1);
    list_remove(&f->all);
    fiber__stack_put(f);
    unsigned before = atomic_fetch_sub(&loop->fibers_live, 1);
    ASSERT(before > 0);
    if (UNLIKELY(atomic_load(&loop->group->stopping)) && before == 1 &&
        loop__group_idle(loop->group)) {
        loop__nudge_all(loop->group);
    }
}

/* --- waking --- */

static void push_remote(struct loop *loop, struct fiber *newest, struct fiber *oldest)
{
    struct fiber *head = atomic_load_explicit(&loop->remote_ready, memory_order_relaxed);
    do {
        oldest->remote_next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->remote_ready, &head, newest,
                                                    memory_order_acq_rel, memory_order_relaxed));
    if (head == NULL) {
        loop_post(loop, &loop->remote_ready_task);
    }
}

static void on_remote_ready(struct loop_task *task)
{
    struct loop *loop = CONTAINER_OF(task, struct loop, remote_ready_task);
    struct fiber *f = atomic_exchange_explicit(&loop->remote_ready, NULL, memory_order_acq_rel);
    /* Newest first: each goes before the one that was put there last. */
    struct list *at = &loop->sched.ready;
    while (f != NULL) {
        struct fiber *next = f->remote_next;
        list_insert_before(at, &f->link);
        at = &f->link;
        f = next;
    }
}

void fiber__flush_wakes(struct loop *loop)
{
    struct fiber_sched *s = &loop->sched;
    while (s->dirty_count > 0) {
        s->dirty_count--;
        unsigned index = s->dirty[s->dirty_count];
        struct wake_batch batch = s->outgoing[index];
        s->outgoing[index] = (struct wake_batch){NULL, NULL};
        push_remote(loop->group->loops[index], batch.newest, batch.oldest);
    }
}

static void make_ready(struct fiber *f)
{
    struct loop *loop = f->loop;
    struct loop *here = loop_current();
    if (here == loop) {
        list_push_back(&loop->sched.ready, &f->link);
        return;
    }
    if (here == NULL || here->group != loop->group) {
        push_remote(loop, f, f);
        return;
    }
    struct wake_batch *batch = &here->sched.outgoing[loop->index];
    f->remote_next = batch->newest;
    batch->newest = f;
    if (batch->oldest == NULL) {
        batch->oldest = f;
        here->sched.dirty[here->sched.dirty_count++] = loop->index;
    }
}

db_err fiber_spawn(struct loop *loop, fiber_fn fn, void *arg)
{
    struct fiber *f;
    if (loop != loop_current()) {
        atomic_fetch_add(&loop->group->remote_spawns, 1);
    }
    TRY(fiber_new(loop, fn, arg, &f));
    make_ready(f);
    return ERR_OK;
}

db_err fiber_spawn_now(fiber_fn fn, void *arg)
{
    struct loop *loop = loop_current();
    ASSERT(loop != NULL);
    ASSERT(loop->sched.current == NULL);
    struct fiber *f;
    TRY(fiber_new(loop, fn, arg, &f));
    run_fiber(loop, f);
    return ERR_OK;
}

void fiber__run_woken(struct loop *loop)
{
    struct fiber_sched *s = &loop->sched;
    for (unsigned ran = 1; ran <= LOOP_FIBERS_PER_TURN; ran++) {
        struct list *n = list_pop_front(&s->ready);
        if (n == NULL) {
            break;
        }
        run_fiber(loop, CONTAINER_OF(n, struct fiber, link));
        if (ran % LOOP_FIBERS_PER_FLUSH == 0 && s->dirty_count > 0) {
            fiber__flush_wakes(loop);
        }
    }
}

void fiber__run_ready(struct loop *loop)
{
    struct fiber_sched *s = &loop->sched;
    while (!list_empty(&s->yielded)) {
        list_push_back(&s->ready, list_pop_front(&s->yielded));
    }
    fiber__run_woken(loop);
}

/* --- waiting --- */

/* The fiber's wait ends with err unless a signal was faster. Only on the fiber's loop. */
static void break_wait(struct fiber *f, db_err err)
{
    struct waiter *w = f->waiting;
    int parked = WAIT_PARKED;
    if (w != NULL &&
        atomic_compare_exchange_strong_explicit(&w->state, &parked, WAIT_IDLE, memory_order_acq_rel,
                                                memory_order_acquire)) {
        f->waiting = NULL;
        f->wait_err = err;
        list_push_back(&f->loop->sched.ready, &f->link);
    }
}

static void arm_timer(struct fiber *f, uint64_t deadline_ns)
{
    db_err err = loop_timer_start(f->loop, &f->timer, deadline_ns);
    ASSERT(err == ERR_OK);
}

static void on_timer(struct loop_timer *timer)
{
    struct fiber *f = CONTAINER_OF(timer, struct fiber, timer);
    if (f->waiting == NULL || f->wait_deadline_ns == DEADLINE_NONE) {
        return;
    }
    if (f->wait_deadline_ns > timer->deadline_ns) {
        arm_timer(f, f->wait_deadline_ns);
        return;
    }
    break_wait(f, ERR_TIMEOUT);
}

static void on_cancel(struct loop_task *task)
{
    struct fiber *f = CONTAINER_OF(task, struct fiber, cancel_task);
    unsigned before =
        atomic_fetch_and_explicit(&f->cancel, ~(unsigned)FIBER_CANCEL_QUEUED, memory_order_acq_rel);
    if (f->done) {
        fiber__release(f);
    } else if ((before & FIBER_CANCELED) != 0) {
        break_wait(f, ERR_CANCELED);
    }
}

void fiber_cancel(struct fiber *f)
{
    if (loop_current() == f->loop) {
        atomic_fetch_or_explicit(&f->cancel, FIBER_CANCELED, memory_order_acq_rel);
        break_wait(f, ERR_CANCELED);
        return;
    }
    unsigned before = atomic_fetch_or_explicit(&f->cancel, FIBER_CANCELED | FIBER_CANCEL_QUEUED,
                                               memory_order_acq_rel);
    if ((before & FIBER_CANCEL_QUEUED) == 0) {
        loop_post(f->loop, &f->cancel_task);
    }
}

void fiber_clear_cancel(void)
{
    struct fiber *f = fiber_self();
    ASSERT(f != NULL);
    atomic_fetch_and_explicit(&f->cancel, ~(unsigned)FIBER_CANCELED, memory_order_relaxed);
}

static inline bool is_canceled(const struct fiber *f)
{
    return (atomic_load_explicit(&f->cancel, memory_order_relaxed) & FIBER_CANCELED) != 0;
}

bool fiber_canceled(void)
{
    struct fiber *f = fiber_self();
    return f != NULL && is_canceled(f);
}

void fiber_set_deadline(uint64_t deadline_ns)
{
    struct fiber *f = fiber_self();
    ASSERT(f != NULL);
    f->deadline_ns = deadline_ns;
}

uint64_t fiber_deadline(void)
{
    struct fiber *f = fiber_self();
    return f == NULL ? DEADLINE_NONE : f->deadline_ns;
}

void undisturbed_begin(struct undisturbed *u, uint64_t deadline_ns)
{
    *u = (struct undisturbed){.deadline_ns = fiber_deadline()};
    fiber_set_deadline(deadline_ns);
    undisturbed_go_on(u);
}

void undisturbed_go_on(struct undisturbed *u)
{
    if (fiber_canceled()) {
        u->canceled = true;
        fiber_clear_cancel();
    }
}

void undisturbed_end(const struct undisturbed *u)
{
    fiber_set_deadline(u->deadline_ns);
    if (u->canceled) {
        fiber_cancel(fiber_self());
    }
}

db_err undisturbed_try(uint64_t time_ns, uint64_t pause_ns, db_err (*fn)(void *arg), void *arg)
{
    struct undisturbed u;
    uint64_t end = clock_mono_ns() + time_ns;
    undisturbed_begin(&u, end);
    db_err err = fn(arg);
    while (err != ERR_OK && clock_mono_ns() < end) {
        undisturbed_go_on(&u);
        db_err slept = fiber_sleep(pause_ns);
        (void)slept; /* cut short by one more cancellation */
        undisturbed_go_on(&u);
        err = fn(arg);
    }
    undisturbed_end(&u);
    return err;
}

void wait_init(struct waiter *w)
{
    w->fiber = fiber_self();
    w->result = 0;
    atomic_init(&w->state, WAIT_IDLE);
}

bool wait_signaled(const struct waiter *w)
{
    return atomic_load_explicit(&w->state, memory_order_acquire) == WAIT_SIGNALED;
}

/* Parks unless the signal has come. breakable: by deadline_ns and cancellation. */
static db_err park(struct fiber *f, struct waiter *w, uint64_t deadline_ns, bool breakable)
{
    f->waiting = breakable ? w : NULL;
    f->wait_deadline_ns = deadline_ns;
    f->wait_err = ERR_OK;
    int idle = WAIT_IDLE;
    if (!atomic_compare_exchange_strong_explicit(&w->state, &idle, WAIT_PARKED,
                                                 memory_order_acq_rel, memory_order_acquire)) {
        f->waiting = NULL;
        return ERR_OK;
    }
    if (deadline_ns != DEADLINE_NONE && (!f->timer.armed || f->timer.deadline_ns > deadline_ns)) {
        arm_timer(f, deadline_ns);
    }
    switch_out(f);
    f->waiting = NULL;
    return f->wait_err;
}

db_err wait_block(struct waiter *w, uint64_t deadline_ns)
{
    struct fiber *f = w->fiber;
    ASSERT(f != NULL && f == fiber_self());
    if (wait_signaled(w)) {
        return ERR_OK;
    }
    if (UNLIKELY(is_canceled(f))) {
        return ERR_CANCELED;
    }
    if (f->deadline_ns < deadline_ns) {
        deadline_ns = f->deadline_ns;
    }
    if (deadline_ns != DEADLINE_NONE && deadline_ns <= loop_now_ns(f->loop)) {
        return ERR_TIMEOUT;
    }
    return park(f, w, deadline_ns, true);
}

void wait_block_uncancelable(struct waiter *w)
{
    struct fiber *f = w->fiber;
    ASSERT(f != NULL && f == fiber_self());
    if (!wait_signaled(w)) {
        db_err err = park(f, w, DEADLINE_NONE, false);
        ASSERT(err == ERR_OK);
    }
}

void wait_signal(struct waiter *w, int result)
{
    struct fiber *f = w->fiber;
    w->result = result;
    int before = atomic_exchange_explicit(&w->state, WAIT_SIGNALED, memory_order_acq_rel);
    ASSERT(before != WAIT_SIGNALED);
    if (before == WAIT_PARKED) {
        make_ready(f);
    }
}

db_err fiber_sleep(uint64_t ns)
{
    struct waiter w;
    wait_init(&w);
    uint64_t now_ns = clock_mono_ns();
    uint64_t until_ns = ns < DEADLINE_NONE - now_ns ? now_ns + ns : DEADLINE_NONE;
    bool cut_short = w.fiber->deadline_ns < until_ns;
    db_err err = wait_block(&w, until_ns);
    ASSERT(err != ERR_OK);
    return err == ERR_TIMEOUT && !cut_short ? ERR_OK : err;
}

void fiber_yield(void)
{
    struct fiber *f = fiber_self();
    ASSERT(f != NULL);
    list_push_back(&f->loop->sched.yielded, &f->link);
    switch_out(f);
}

db_err fiber_checkpoint(void)
{
    struct fiber *f = fiber_self();
    if (f == NULL) {
        return ERR_OK;
    }
    if (UNLIKELY(is_canceled(f))) {
        return ERR_CANCELED;
    }
    uint64_t now_ns = clock_mono_ns();
    if (UNLIKELY(now_ns >= f->deadline_ns)) {
        return ERR_TIMEOUT;
    }
    if (f->loop->backend->simulated) {
        if (loop__sim_rand_below(f->loop, 8) == 0) {
            fiber_yield();
        }
    } else if (f->slice_start_ns == 0) {
        f->slice_start_ns = now_ns;
    } else if (now_ns - f->slice_start_ns >= TIME_SLICE_NS) {
        fiber_yield();
    }
    return is_canceled(f) ? ERR_CANCELED : ERR_OK;
}

size_t fiber_stack_left(void)
{
    struct fiber *f = fiber_self();
    const char *here = __builtin_frame_address(0);
    const char *lo = f != NULL ? f->stack_lo : fiber__thread_stack_lo();
    return lo == NULL || here <= lo ? 0 : (size_t)(here - lo);
}

db_err fiber_stack_reserve(size_t bytes)
{
    size_t left = fiber_stack_left();
    if (LIKELY(left >= bytes)) {
        return ERR_OK;
    }
    struct fiber *f = fiber_self();
    return f == NULL ? ERR_LIMIT : fiber__stack_grow(f, bytes - left);
}

size_t fiber_stack_grown(void)
{
    const struct fiber *f = fiber_self();
    return f == NULL ? 0 : (size_t)(f->stack_lo_first - f->stack_lo);
}

size_t fiber_stack_size(void)
{
    const struct fiber *f = fiber_self();
    return f != NULL ? f->stack_size : fiber__thread_stack_size();
}

void fiber_stack_shrink(void)
{
    struct fiber *f = fiber_self();
    const char *here = __builtin_frame_address(0);
    if (f != NULL && f->stack_lo != f->stack_lo_first && here > f->stack_lo_first) {
        fiber__stack_shrink(f);
    }
}

void fiber_set_local(void *local)
{
    struct fiber *f = fiber_self();
    ASSERT(f != NULL);
    f->local = local;
}

void *fiber_get_local(void)
{
    struct fiber *f = fiber_self();
    return f == NULL ? NULL : f->local;
}

/* --- the scheduler as part of a loop --- */

db_err fiber__sched_init(struct loop *loop)
{
    struct fiber_sched *s = &loop->sched;
    list_init(&s->ready);
    list_init(&s->yielded);
    list_init(&s->pool);
    list_init(&s->all);
    list_init(&s->blocking_jobs);
    atomic_init(&loop->remote_ready, NULL);
    loop->remote_ready_task.fn = on_remote_ready;
    s->outgoing = mem_calloc(loop->group->count, sizeof(s->outgoing[0]));
    s->dirty = mem_calloc(loop->group->count, sizeof(s->dirty[0]));
    if (s->outgoing == NULL || s->dirty == NULL) {
        mem_free(s->outgoing);
        mem_free(s->dirty);
        return ERR_NOMEM;
    }
    return ERR_OK;
}

void fiber__sched_fini(struct loop *loop)
{
    struct fiber_sched *s = &loop->sched;
    ASSERT(atomic_load(&loop->fibers_live) == 0);
    /* Through the depot, which is emptied after the last loop. */
    struct list *n;
    while ((n = list_pop_front(&s->pool)) != NULL) {
        list_push_front(&loop->group->depot, n);
    }
    mem_free(s->outgoing);
    mem_free(s->dirty);
}

void fiber__drop_all(struct loop *loop)
{
    struct fiber_sched *s = &loop->sched;
    ASSERT(loop->backend->simulated);
    list_init(&s->ready);
    list_init(&s->yielded);
    atomic_store(&loop->remote_ready, NULL);
    struct list *n;
    while ((n = s->all.next) != &s->all) {
        struct fiber *f = CONTAINER_OF(n, struct fiber, all);
        list_init(&f->link);
        f->timer.armed = false;
        fiber__release(f);
    }
}
