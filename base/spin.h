/* A lock for a few instructions: whoever waits for it burns its core, and gives it up now and then
 * in case the holder has lost its own. The holder may not park or block. */
#ifndef SKEIN_BASE_SPIN_H
#define SKEIN_BASE_SPIN_H

#include <sched.h>
#include <stdatomic.h>

struct spin {
    _Atomic int taken; /* zeroed memory is an open lock */
};

static inline void spin_lock(struct spin *s)
{
    enum { SPINS_BEFORE_YIELD = 1000 };
    unsigned spins = 0;
    while (atomic_exchange_explicit(&s->taken, 1, memory_order_acquire) != 0) {
        while (atomic_load_explicit(&s->taken, memory_order_relaxed) != 0) {
            if (++spins % SPINS_BEFORE_YIELD == 0) {
                sched_yield();
            }
        }
    }
}

static inline void spin_unlock(struct spin *s)
{
    atomic_store_explicit(&s->taken, 0, memory_order_release);
}

#endif
