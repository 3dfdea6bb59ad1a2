/* Region memory: allocate freely, release all at once.
 *
 * An arena has a byte limit, may charge what it takes to a struct mem_tracker (shared by the arenas
 * and operators of one statement), and runs reset callbacks (newest first) when it is reset or
 * freed, for what is not memory: iterators, spill files, handles. A child arena is freed with its
 * parent. Not thread-safe: one owner. */
#ifndef SKEIN_BASE_ARENA_H
#define SKEIN_BASE_ARENA_H

#include "base/err.h"
#include "base/slice.h"

/* Counts bytes of one statement (parent: of a session, then of the node). `used` is changed with
 * relaxed atomics so that a tracker may be shared between loops. limit 0 = none of its own. */
struct mem_tracker {
    struct mem_tracker *parent; /* or NULL; outlives this one */
    size_t limit;
    _Atomic size_t used;
    _Atomic size_t peak;
    _Atomic size_t refused; /* times that this limit was met */
};

void mem_tracker_init(struct mem_tracker *t, struct mem_tracker *parent, size_t limit);
/* ERR_LIMIT, with nothing charged, when this tracker's or a parent's limit would be passed. */
MUST_USE db_err mem_tracker_charge(struct mem_tracker *t, size_t size);
void mem_tracker_release(struct mem_tracker *t, size_t size);

/* Under AddressSanitizer what was not given out is poisoned, and so is a gap behind each piece. */
#if defined(__SANITIZE_ADDRESS__)
#define SKEIN_ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SKEIN_ARENA_POISON 1
#endif
#endif

struct arena_block;
struct arena_callback {
    struct arena_callback *next;
    void (*fn)(void *arg);
    void *arg;
};

struct arena {
    uint8_t *pos;
    uint8_t *end;
    struct arena_block *blocks;
    struct arena_callback *callbacks;
    struct mem_tracker *tracker;
    size_t used;  /* bytes taken from the heap */
    size_t limit; /* 0 = none of its own */
    struct arena *parent;
    struct arena *first_child;
    struct arena *next_sibling;
};

/* The arena lives in the caller's memory; parent and tracker may be NULL. */
void arena_init(struct arena *a, struct arena *parent, struct mem_tracker *tracker, size_t limit);
/* Runs callbacks, resets children, frees the blocks but one (so that a hot loop allocates nothing).
 */
void arena_reset(struct arena *a);
/* As reset, and gives everything back. The arena may be used again after arena_init. */
void arena_fini(struct arena *a);

/* 8-byte aligned, uninitialised. NULL when the limit is passed or memory is out. A size of 0
 * gives a valid, non-NULL pointer. */
void *arena_alloc_slow(struct arena *a, size_t size, size_t align);
void *arena_alloc_aligned(struct arena *a, size_t size,
                          size_t align); /* align: a power of two <= 64 */
static inline void *arena_alloc(struct arena *a, size_t size)
{
#ifdef SKEIN_ARENA_POISON
    return arena_alloc_aligned(a, size, 8);
#else
    uintptr_t p = ((uintptr_t)a->pos + 7u) & ~(uintptr_t)7u;
    if (LIKELY(a->pos != NULL && size <= (uintptr_t)a->end - (uintptr_t)a->pos &&
               p + size <= (uintptr_t)a->end)) {
        a->pos = (uint8_t *)(p + size);
        return (void *)p;
    }
    return arena_alloc_slow(a, size, 8);
#endif
}
void *arena_calloc(struct arena *a, size_t count, size_t size);
/* Why arena_alloc gave NULL: ERR_LIMIT for one that has a limit or a tracker (memory of the machine
 * itself is hardly ever out), else ERR_NOMEM. */
static inline db_err arena_refusal(const struct arena *a)
{
    return a->limit != 0 || a->tracker != NULL ? ERR_LIMIT : ERR_NOMEM;
}
/* A copy owned by the arena; ret has ptr NULL and len 0 only for failure of a non-empty slice. */
MUST_USE db_err arena_copy(struct arena *a, struct slice s, struct slice *ret_copy);
/* The next key: the least string of bytes above s. */
MUST_USE db_err arena_copy_next(struct arena *a, struct slice s, struct slice *ret_next);
char *arena_strdup(struct arena *a, struct slice s); /* NUL-terminated; NULL on failure */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3); /* NULL on failure */
/* Calls fn(arg) at the next reset or fini. ERR_NOMEM/ERR_LIMIT: fn was not registered and not
 * called. */
MUST_USE db_err arena_on_reset(struct arena *a, void (*fn)(void *arg), void *arg);

#define ARENA_NEW(a, type)          ((type *)arena_calloc((a), 1, sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_calloc((a), (count), sizeof(type)))

#endif
