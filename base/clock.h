/* Time. All code asks here, so that the simulator can run it on a virtual clock. Thread-safe. */
#ifndef SKEIN_BASE_CLOCK_H
#define SKEIN_BASE_CLOCK_H

#include <stdint.h>

struct clock_ops {
    const char *name;
    uint64_t (*mono_ns)(void *ctx); /* never goes back, no relation to the calendar */
    uint64_t (*wall_us)(void *ctx); /* microseconds since 1970-01-01 UTC; may jump */
    void *ctx;
};

uint64_t clock_mono_ns(void);
uint64_t clock_wall_us(void);
/* Replaces the source (NULL: the system's). For tests and the simulator; not thread-safe. */
void clock_set(const struct clock_ops *ops);

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull
/* A deadline that never comes. */
#define DEADLINE_NONE UINT64_MAX

#endif
