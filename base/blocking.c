/* A job lies on the stack of the fiber that waits for it, and a fiber has at most one: the queue
 * needs no memory, and its length is bounded by the number of fibers that may live
 * (loop_group_opts.fibers_max).
 *
 * Both directions are batched. The jobs of one loop and turn are handed over together at the end of
 * the turn, with one lock and one signal per sleeping worker they can use. Finished jobs go back
 * through wait_signal, which wakes a loop once however many workers finish before it looks.
 *
 * Workers start when there is a job and nobody idle, up to `threads`; past that, up to
 * `threads_max`, only while the queue is longer than GROW_QUEUE_PER_THREAD jobs per worker, or when
 * it has not moved for STILL_MS: then all are in jobs that last (a write that waits for the disk),
 * and a short one would wait for them. A timer of the loop whose jobs wait sees to that. Those
 * extra ones end when they have been idle for IDLE_END_S. When not even one thread can be started,
 * the loop runs its jobs itself. */
#include "base/blocking.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/assert.h"
#include "base/fiber.h"
#include "base/list.h"
#include "base/loop_int.h"
#include "base/metrics.h"

enum {
    THREADS_DEFAULT = 4,
    THREADS_MAX_DEFAULT = 16,
    GROW_QUEUE_PER_THREAD = 2,
    STILL_MS = 20,
    IDLE_END_S = 5,
};

struct job {
    struct list link;
    void (*fn)(void *arg);
    void *arg;
    struct waiter waiter;
    uint64_t queued_ns;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work; /* idle workers wait here */
    pthread_cond_t gone; /* blocking_pool_stop waits here */
    struct list queue;   /* all below: guarded by lock */
    size_t queued;
    uint64_t moved_ns; /* when a job was last taken, or the first one came */
    unsigned threads;
    unsigned idle;
    unsigned threads_base;
    unsigned threads_max;
    bool ready; /* queue initialised */
    bool stopping;
} g_pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .gone = PTHREAD_COND_INITIALIZER,
    .threads_base = THREADS_DEFAULT,
    .threads_max = THREADS_MAX_DEFAULT,
};

void blocking_configure(const struct blocking_opts *opts)
{
    pthread_mutex_lock(&g_pool.lock);
    ASSERT(g_pool.threads == 0);
    g_pool.threads_base = opts->threads != 0 ? opts->threads : THREADS_DEFAULT;
    g_pool.threads_max = opts->threads_max != 0 ? opts->threads_max : THREADS_MAX_DEFAULT;
    if (g_pool.threads_max < g_pool.threads_base) {
        g_pool.threads_max = g_pool.threads_base;
    }
    pthread_mutex_unlock(&g_pool.lock);
}

/* Under the lock: waits for a job. NULL: the worker should end. */
static struct job *next_job(void)
{
    for (;;) {
        struct list *n = list_pop_front(&g_pool.queue);
        if (n != NULL) {
            g_pool.queued--;
            g_pool.moved_ns = clock_mono_ns();
            return CONTAINER_OF(n, struct job, link);
        }
        if (g_pool.stopping) {
            return NULL;
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += IDLE_END_S;
        g_pool.idle++;
        int rc = pthread_cond_timedwait(&g_pool.work, &g_pool.lock, &until);
        g_pool.idle--;
        if (rc == ETIMEDOUT && list_empty(&g_pool.queue) && g_pool.threads > g_pool.threads_base) {
            return NULL;
        }
    }
}

static void *worker_main(void *arg UNUSED)
{
    pthread_setname_np(pthread_self(), "blocking");
    pthread_mutex_lock(&g_pool.lock);
    struct job *job;
    while ((job = next_job()) != NULL) {
        pthread_mutex_unlock(&g_pool.lock);
        metrics_observe(METRIC_blocking_wait, clock_mono_ns() - job->queued_ns);
        metrics_add(METRIC_blocking_jobs, 1);
        job->fn(job->arg);
        wait_signal(&job->waiter, 0); /* the job is gone now */
        pthread_mutex_lock(&g_pool.lock);
    }
    g_pool.threads--;
    if (g_pool.threads == 0) {
        pthread_cond_broadcast(&g_pool.gone);
    }
    pthread_mutex_unlock(&g_pool.lock);
    return NULL;
}

static bool start_worker(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    bool ok = pthread_create(&thread, &attr, worker_main, NULL) == 0;
    pthread_attr_destroy(&attr);
    g_pool.threads += ok;
    return ok;
}

static bool stands_still(void)
{
    return clock_mono_ns() - g_pool.moved_ns >= STILL_MS * NS_PER_MS;
}

static bool should_grow(void)
{
    if (g_pool.queued <= g_pool.idle) {
        return false;
    }
    if (g_pool.threads < g_pool.threads_base) {
        return true;
    }
    return g_pool.threads < g_pool.threads_max &&
           (g_pool.queued > (size_t)GROW_QUEUE_PER_THREAD * g_pool.threads || stands_still());
}

/* Under the lock: moves the loop's jobs to the queue and sees to it that somebody runs them. False:
 * nobody can, the queue was not touched. */
static bool enqueue(struct list *jobs)
{
    if (!g_pool.ready) {
        list_init(&g_pool.queue);
        g_pool.ready = true;
    }
    if (g_pool.threads == 0 && !start_worker()) {
        return false;
    }
    size_t added = 0;
    struct list *n;
    if (g_pool.queued == 0) {
        g_pool.moved_ns = clock_mono_ns();
    }
    while ((n = list_pop_front(jobs)) != NULL) {
        list_push_back(&g_pool.queue, n);
        added++;
    }
    g_pool.queued += added;
    /* A worker that is being started takes a job too; it may be one too many, never one too few. */
    unsigned started = 0;
    while (should_grow() && started < added && start_worker()) {
        started++;
    }
    for (size_t i = 0; i < added && i < g_pool.idle; i++) {
        pthread_cond_signal(&g_pool.work);
    }
    return true;
}

/* Jobs wait, and more workers could be had. */
static bool to_be_watched(void)
{
    return g_pool.queued > g_pool.idle && g_pool.threads < g_pool.threads_max;
}

static void on_watch(struct loop_timer *timer)
{
    pthread_mutex_lock(&g_pool.lock);
    if (should_grow()) {
        (void)start_worker();
    }
    bool again = to_be_watched();
    pthread_mutex_unlock(&g_pool.lock);
    if (again) {
        db_err err =
            loop_timer_start(loop_current(), timer, clock_mono_ns() + STILL_MS * NS_PER_MS);
        ASSERT(err == ERR_OK);
    }
}

static void watch(struct fiber_sched *s)
{
    if (!s->blocking_timer.armed) {
        loop_timer_init(&s->blocking_timer, on_watch);
        db_err err = loop_timer_start(loop_current(), &s->blocking_timer,
                                      clock_mono_ns() + STILL_MS * NS_PER_MS);
        ASSERT(err == ERR_OK);
    }
}

static void on_turn_end(struct loop_task *task)
{
    struct fiber_sched *s = CONTAINER_OF(task, struct fiber_sched, blocking_task);
    s->blocking_task_queued = false;
    pthread_mutex_lock(&g_pool.lock);
    bool queued = enqueue(&s->blocking_jobs);
    bool watched = queued && to_be_watched();
    pthread_mutex_unlock(&g_pool.lock);
    if (watched) {
        watch(s);
    }
    struct list *n;
    while (!queued && (n = list_pop_front(&s->blocking_jobs)) != NULL) {
        struct job *job = CONTAINER_OF(n, struct job, link);
        job->fn(job->arg);
        wait_signal(&job->waiter, 0);
    }
}

void blocking_run(void (*fn)(void *arg), void *arg)
{
    struct fiber *f = fiber_self();
    if (f == NULL) {
        fn(arg);
        return;
    }
    struct loop *loop = fiber_loop(f);
    if (loop->backend->simulated) {
        fn(arg);
        fiber_yield(); /* others run meanwhile, as they would */
        return;
    }
    struct job job = {.fn = fn, .arg = arg, .queued_ns = clock_mono_ns()};
    wait_init(&job.waiter);
    struct fiber_sched *s = &loop->sched;
    list_push_back(&s->blocking_jobs, &job.link);
    if (!s->blocking_task_queued) {
        s->blocking_task_queued = true;
        s->blocking_task.fn = on_turn_end;
        loop_at_turn_end(loop, &s->blocking_task);
    }
    wait_block_uncancelable(&job.waiter);
}

void blocking_pool_stop(void)
{
    pthread_mutex_lock(&g_pool.lock);
    g_pool.stopping = true;
    pthread_cond_broadcast(&g_pool.work);
    while (g_pool.threads > 0) {
        pthread_cond_wait(&g_pool.gone, &g_pool.lock);
    }
    g_pool.stopping = false;
    pthread_mutex_unlock(&g_pool.lock);
}

void blocking_get_stats(struct blocking_stats *ret_stats)
{
    pthread_mutex_lock(&g_pool.lock);
    *ret_stats = (struct blocking_stats){g_pool.threads, g_pool.idle, g_pool.queued};
    pthread_mutex_unlock(&g_pool.lock);
}
