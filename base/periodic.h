/* Upkeep: a fiber that does something every so often until it is told to stop. */
#ifndef SKEIN_BASE_PERIODIC_H
#define SKEIN_BASE_PERIODIC_H

#include <stdatomic.h>

#include "base/fiber.h"

struct periodic {
    void (*fn)(void *arg); /* in a fiber; may park */
    void *arg;
    uint64_t interval_ns;
    struct fiber_mutex mutex;
    struct fiber_cond wake;
    bool stop; /* guarded by mutex */
    bool ended;
    bool started;
    _Atomic bool stopping; /* for fn: give up soon */
};

/* The first call comes one interval after the start. ERR_NOMEM, ERR_BUSY (no fiber). */
MUST_USE db_err periodic_start(struct periodic *p, struct loop *loop, uint64_t interval_ns,
                               void (*fn)(void *arg), void *arg);
/* Waits for a call that is under way; none follows. From a fiber. Fine when not started. */
void periodic_stop(struct periodic *p);
static inline bool periodic_stopping(const struct periodic *p)
{
    return atomic_load_explicit(&p->stopping, memory_order_relaxed);
}

#endif
