#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static const struct clock_ops *g_clock; /* NULL: the system's */

uint64_t clock_mono_ns(void)
{
    if (__builtin_expect(g_clock != NULL, 0)) {
        return g_clock->mono_ns(g_clock->ctx);
    }
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_wall_us(void)
{
    if (__builtin_expect(g_clock != NULL, 0)) {
        return g_clock->wall_us(g_clock->ctx);
    }
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / NS_PER_US;
}

void clock_set(const struct clock_ops *ops)
{
    g_clock = ops;
}
