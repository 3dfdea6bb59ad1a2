#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct mem_allocator *g_allocator;

void mem_set_allocator(const struct mem_allocator *allocator)
{
    g_allocator = allocator;
}

void *mem_alloc(size_t size)
{
    return g_allocator == NULL ? malloc(size) : g_allocator->alloc(g_allocator->ctx, size);
}

void *mem_calloc(size_t count, size_t size)
{
    if (g_allocator == NULL) {
        return calloc(count, size);
    }
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    void *ptr = mem_alloc(count * size);
    if (ptr != NULL) {
        memset(ptr, 0, count * size);
    }
    return ptr;
}

void *mem_realloc(void *ptr, size_t size)
{
    return g_allocator == NULL ? realloc(ptr, size)
                               : g_allocator->realloc(g_allocator->ctx, ptr, size);
}

void mem_free(void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    if (g_allocator == NULL) {
        free(ptr);
    } else {
        g_allocator->free(g_allocator->ctx, ptr);
    }
}

void *mem_calloc_aligned(size_t size, size_t align)
{
    if (size > SIZE_MAX - align - sizeof(void *)) {
        return NULL;
    }
    void *raw = mem_calloc(1, size + align + sizeof(void *));
    if (raw == NULL) {
        return NULL;
    }
    uintptr_t at = ((uintptr_t)raw + sizeof(void *) + align - 1) & ~(uintptr_t)(align - 1);
    ((void **)at)[-1] = raw;
    return (void *)at;
}

void mem_free_aligned(void *ptr)
{
    if (ptr != NULL) {
        mem_free(((void **)ptr)[-1]);
    }
}

char *mem_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mem_alloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}
