/* An allocator for tests that fails when it is told to: mem_set_allocator(&scarce_allocator). */
#ifndef SKEIN_BASE_TEST_SCARCE_H
#define SKEIN_BASE_TEST_SCARCE_H

#include <stdint.h>

#include "base/alloc.h"
#include "base/test_main.h"

#define SCARCE_NEVER UINT32_MAX

/* So many allocations succeed; then all fail, or with `once` a single one. */
static unsigned scarce_left = SCARCE_NEVER;
static bool scarce_once;

static void *scarce_realloc(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    if (scarce_left == 0) {
        scarce_left = scarce_once ? SCARCE_NEVER : 0;
        return NULL;
    }
    scarce_left -= scarce_left == SCARCE_NEVER ? 0 : 1;
    return test_realloc(ptr, size);
}

static void *scarce_alloc(void *ctx, size_t size)
{
    return scarce_realloc(ctx, NULL, size);
}

static void scarce_free(void *ctx, void *ptr)
{
    (void)ctx;
    if (ptr != NULL) {
        test_free(ptr);
    }
}

static const struct mem_allocator scarce_allocator = {"scarce", scarce_alloc, scarce_realloc,
                                                      scarce_free, NULL};

#endif
