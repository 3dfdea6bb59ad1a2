/* The one door to the heap. Tests replace the allocator to make the n-th allocation fail.
 *
 * mem_alloc/mem_calloc/mem_realloc return NULL when memory is out; mem_free(NULL) is fine.
 * Per-statement memory comes from an arena (base/arena.h), not from here. Thread-safe. */
#ifndef SKEIN_BASE_ALLOC_H
#define SKEIN_BASE_ALLOC_H

#include <stddef.h>

struct mem_allocator {
    const char *name;
    void *(*alloc)(void *ctx, size_t size);
    void *(*realloc)(void *ctx, void *ptr, size_t size);
    void (*free)(void *ctx, void *ptr);
    void *ctx;
};

__attribute__((malloc)) void *mem_alloc(size_t size);
__attribute__((malloc)) void *mem_calloc(size_t count, size_t size);
void *mem_realloc(void *ptr, size_t size);
void mem_free(void *ptr);
/* Zeroed, at an address that is a multiple of align (a power of two): for objects with cache-line
 * aligned members. Freed by mem_free_aligned only; NULL is fine. */
__attribute__((malloc)) void *mem_calloc_aligned(size_t size, size_t align);
void mem_free_aligned(void *ptr);
/* A NUL-terminated copy; NULL when memory is out. */
__attribute__((malloc)) char *mem_strdup(const char *text);

/* For tests: replaces the allocator (NULL: back to the C library's). Not thread-safe. */
void mem_set_allocator(const struct mem_allocator *allocator);

#endif
