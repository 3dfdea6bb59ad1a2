/* Blocks are chained; each is twice the last up to ARENA_BLOCK_MAX, larger requests get a block of
 * their own size. arena_reset keeps the first (oldest) block, which is the one every short
 * statement fits in. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"

enum { ARENA_BLOCK_MIN = 4096, ARENA_BLOCK_MAX = 256 * 1024 };

struct arena_block {
    struct arena_block *next; /* older */
    size_t size;              /* with this header */
};

#ifdef SKEIN_ARENA_POISON
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);

enum { GAP = 16 }; /* behind each piece */

static void forbid(const void *from, const void *to)
{
    __asan_poison_memory_region(from, (size_t)((const uint8_t *)to - (const uint8_t *)from));
}

static void permit(const void *from, size_t size)
{
    __asan_unpoison_memory_region(from, size);
}

static uint8_t *behind(const struct arena *a, uint8_t *p)
{
    return (size_t)(a->end - p) < GAP ? a->end : p + GAP;
}
#else
enum { GAP = 0 };

static void forbid(const void *from UNUSED, const void *to UNUSED)
{
}

static void permit(const void *from UNUSED, size_t size UNUSED)
{
}

static uint8_t *behind(const struct arena *a UNUSED, uint8_t *p)
{
    return p;
}
#endif

void mem_tracker_init(struct mem_tracker *t, struct mem_tracker *parent, size_t limit)
{
    t->parent = parent;
    t->limit = limit;
    atomic_init(&t->used, 0);
    atomic_init(&t->peak, 0);
    atomic_init(&t->refused, 0);
}

db_err mem_tracker_charge(struct mem_tracker *t, size_t size)
{
    for (struct mem_tracker *m = t; m != NULL; m = m->parent) {
        size_t now = atomic_fetch_add_explicit(&m->used, size, memory_order_relaxed) + size;
        if (m->limit != 0 && now > m->limit) {
            for (struct mem_tracker *u = t;; u = u->parent) {
                atomic_fetch_sub_explicit(&u->used, size, memory_order_relaxed);
                if (u == m) {
                    break;
                }
            }
            atomic_fetch_add_explicit(&m->refused, 1, memory_order_relaxed);
            return ERR_LIMIT;
        }
        if (now > atomic_load_explicit(&m->peak, memory_order_relaxed)) {
            atomic_store_explicit(&m->peak, now, memory_order_relaxed);
        }
    }
    return ERR_OK;
}

void mem_tracker_release(struct mem_tracker *t, size_t size)
{
    for (struct mem_tracker *m = t; m != NULL; m = m->parent) {
        size_t before = atomic_fetch_sub_explicit(&m->used, size, memory_order_relaxed);
        ASSERT(before >= size);
    }
}

void arena_init(struct arena *a, struct arena *parent, struct mem_tracker *tracker, size_t limit)
{
    *a = (struct arena){.tracker = tracker, .limit = limit, .parent = parent};
    if (parent != NULL) {
        a->next_sibling = parent->first_child;
        parent->first_child = a;
    }
}

static void free_block(struct arena *a, struct arena_block *b)
{
    ASSERT(a->used >= b->size);
    a->used -= b->size;
    if (a->tracker != NULL) {
        mem_tracker_release(a->tracker, b->size);
    }
    permit(b, b->size); /* the heap may not be the sanitizer's */
    mem_free(b);
}

static void run_callbacks(struct arena *a)
{
    while (a->callbacks != NULL) {
        struct arena_callback *c = a->callbacks;
        a->callbacks = c->next;
        c->fn(c->arg);
    }
}

void arena_reset(struct arena *a)
{
    run_callbacks(a);
    for (struct arena *c = a->first_child; c != NULL; c = c->next_sibling) {
        arena_reset(c);
    }
    struct arena_block *b = a->blocks;
    while (b != NULL && b->next != NULL) {
        struct arena_block *older = b->next;
        free_block(a, b);
        b = older;
    }
    a->blocks = b;
    a->pos = b == NULL ? NULL : (uint8_t *)(b + 1);
    a->end = b == NULL ? NULL : (uint8_t *)b + b->size;
    if (b != NULL) {
        forbid(a->pos, a->end);
    }
}

void arena_fini(struct arena *a)
{
    run_callbacks(a);
    while (a->first_child != NULL) {
        arena_fini(a->first_child);
    }
    while (a->blocks != NULL) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free_block(a, b);
    }
    a->pos = a->end = NULL;
    if (a->parent != NULL) {
        struct arena **link = &a->parent->first_child;
        while (*link != a) {
            link = &(*link)->next_sibling;
        }
        *link = a->next_sibling;
        a->parent = NULL;
    }
}

/* size bytes at p, which lie in the block up to end. */
static void *give(struct arena *a, uintptr_t p, size_t size)
{
    permit((void *)p, size);
    a->pos = behind(a, (uint8_t *)(p + size));
    return (void *)p;
}

void *arena_alloc_slow(struct arena *a, size_t size, size_t align)
{
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size_t want = a->blocks == NULL ? ARENA_BLOCK_MIN : a->blocks->size * 2;
    if (want > ARENA_BLOCK_MAX) {
        want = ARENA_BLOCK_MAX;
    }
    size_t need = sizeof(struct arena_block) + size + align + GAP;
    if (want < need) {
        want = need;
    }
    if (a->limit != 0 && (want > a->limit || a->used > a->limit - want)) {
        return NULL;
    }
    if (a->tracker != NULL && mem_tracker_charge(a->tracker, want) != ERR_OK) {
        return NULL;
    }
    struct arena_block *b = mem_alloc(want);
    if (b == NULL) {
        if (a->tracker != NULL) {
            mem_tracker_release(a->tracker, want);
        }
        return NULL;
    }
    b->size = want;
    b->next = a->blocks;
    a->blocks = b;
    a->used += want;
    uintptr_t p = ((uintptr_t)(b + 1) + align - 1) & ~(uintptr_t)(align - 1);
    a->end = (uint8_t *)b + want;
    forbid(b + 1, a->end);
    return give(a, p, size);
}

void *arena_alloc_aligned(struct arena *a, size_t size, size_t align)
{
    uintptr_t p = ((uintptr_t)a->pos + align - 1) & ~(uintptr_t)(align - 1);
    if (a->pos != NULL && p <= (uintptr_t)a->end && size <= (uintptr_t)a->end - p) {
        return give(a, p, size);
    }
    return arena_alloc_slow(a, size, align < 8 ? 8 : align);
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / 2 / size) {
        return NULL;
    }
    void *p = arena_alloc(a, count * size);
    if (p != NULL) {
        memset(p, 0, count * size);
    }
    return p;
}

/* With so many zero bytes behind it. */
static db_err copy_and(struct arena *a, struct slice s, size_t zeros, struct slice *ret_copy)
{
    uint8_t *p = arena_alloc(a, s.len + zeros);
    if (p == NULL) {
        return arena_refusal(a);
    }
    if (s.len != 0) {
        memcpy(p, s.ptr, s.len);
    }
    memset(p + s.len, 0, zeros);
    *ret_copy = (struct slice){p, s.len + zeros};
    return ERR_OK;
}

db_err arena_copy(struct arena *a, struct slice s, struct slice *ret_copy)
{
    return copy_and(a, s, 0, ret_copy);
}

db_err arena_copy_next(struct arena *a, struct slice s, struct slice *ret_next)
{
    return copy_and(a, s, 1, ret_next);
}

char *arena_strdup(struct arena *a, struct slice s)
{
    char *p = arena_alloc(a, s.len + 1);
    if (p != NULL) {
        if (s.len != 0) {
            memcpy(p, s.ptr, s.len);
        }
        p[s.len] = '\0';
    }
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        return NULL;
    }
    char *p = arena_alloc(a, (size_t)n + 1);
    if (p != NULL) {
        va_start(args, fmt);
        vsnprintf(p, (size_t)n + 1, fmt, args);
        va_end(args);
    }
    return p;
}

db_err arena_on_reset(struct arena *a, void (*fn)(void *arg), void *arg)
{
    struct arena_callback *c = arena_alloc(a, sizeof(*c));
    if (c == NULL) {
        return ERR_NOMEM;
    }
    *c = (struct arena_callback){a->callbacks, fn, arg};
    a->callbacks = c;
    return ERR_OK;
}
