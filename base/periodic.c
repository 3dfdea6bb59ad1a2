#include "base/periodic.h"

static void periodic_main(void *arg)
{
    struct periodic *p = arg;
    fiber_mutex_lock(&p->mutex);
    uint64_t next = clock_mono_ns() + p->interval_ns;
    while (!p->stop) {
        db_err err = fiber_cond_wait(&p->wake, &p->mutex, next);
        if (err == ERR_OK || p->stop) {
            continue;
        }
        fiber_clear_cancel();
        fiber_mutex_unlock(&p->mutex);
        p->fn(p->arg);
        fiber_mutex_lock(&p->mutex);
        next = clock_mono_ns() + p->interval_ns;
    }
    p->ended = true;
    fiber_cond_broadcast(&p->wake);
    fiber_mutex_unlock(&p->mutex);
}

db_err periodic_start(struct periodic *p, struct loop *loop, uint64_t interval_ns,
                      void (*fn)(void *arg), void *arg)
{
    p->fn = fn;
    p->arg = arg;
    p->interval_ns = interval_ns;
    p->stop = p->ended = p->started = false;
    atomic_store(&p->stopping, false);
    fiber_mutex_init(&p->mutex);
    fiber_cond_init(&p->wake);
    TRY(fiber_spawn(loop, periodic_main, p));
    p->started = true;
    return ERR_OK;
}

void periodic_stop(struct periodic *p)
{
    if (!p->started) {
        return;
    }
    atomic_store(&p->stopping, true);
    fiber_mutex_lock(&p->mutex);
    p->stop = true;
    fiber_cond_broadcast(&p->wake);
    while (!p->ended) {
        db_err err = fiber_cond_wait(&p->wake, &p->mutex, DEADLINE_NONE);
        (void)err;
    }
    fiber_mutex_unlock(&p->mutex);
    p->started = false;
}
