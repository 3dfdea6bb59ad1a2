/* An allocator for tests that counts: mem_set_allocator(&counting_allocator). */
#ifndef SKEIN_BASE_TEST_COUNTING_H
#define SKEIN_BASE_TEST_COUNTING_H

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"

static _Atomic size_t counting_live;    /* bytes, as the C library rounds them; of what it gave */
static _Atomic uint64_t counting_calls; /* for memory */

static void *counting_realloc(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    size_t before = malloc_usable_size(ptr);
    void *p = (realloc)(ptr, size);
    if (p != NULL) {
        atomic_fetch_add_explicit(&counting_live, malloc_usable_size(p) - before,
                                  memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&counting_calls, 1, memory_order_relaxed);
    return p;
}

static void *counting_alloc(void *ctx, size_t size)
{
    return counting_realloc(ctx, NULL, size);
}

static void counting_free(void *ctx, void *ptr)
{
    (void)ctx;
    atomic_fetch_sub_explicit(&counting_live, malloc_usable_size(ptr), memory_order_relaxed);
    (free)(ptr);
}

static const struct mem_allocator counting_allocator = {"counting", counting_alloc,
                                                        counting_realloc, counting_free, NULL};

#endif
