/* Stacks. Each is an anonymous mapping, much longer than a fiber needs as a rule, of which only the
 * high end is accessible; struct fiber sits at its top. What lies below is the guard, and room for
 * a fiber that asks for more (fiber_stack_reserve); it has no pages, and counts nowhere.
 *
 * A loop keeps a few ended fibers warm in a pool of its own (no lock); what it has too many of goes
 * to the group's depot (a mutex), from where other loops and foreign threads take; what is too many
 * there is unmapped. Stacks in the depot give their pages back to the kernel but for the topmost
 * few, so that an idle node stays small.
 *
 * Tops are shifted against each other by some cache lines: they would all fall into the same sets
 * of the first-level cache otherwise. */
#include "base/fiber_int.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(lo, hi) 0u
#define VALGRIND_STACK_DEREGISTER(id)   ((void)(id))
#endif

enum {
    POOL_MAX = 64,         /* warm stacks of a loop */
    DEPOT_MAX = 1024,      /* cold stacks of a group */
    COLD_KEEP = 16 * 1024, /* bytes at the top that a cold stack keeps */
    COLORS = 16,
#if defined(SKEIN_ASAN) || defined(SKEIN_TSAN)
    GROWTH_MAX = 200, /* its frames are several times as large */
#else
    GROWTH_MAX = 64, /* how many times its size a stack may grow to */
#endif
};

static size_t pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

static struct fiber *map_fiber(size_t stack_size)
{
    static _Atomic unsigned color_next;
    size_t usable = pages(stack_size);
    size_t map_size = usable * GROWTH_MAX + pages(1);
    char *map = mmap(NULL, map_size, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(map + map_size - usable, usable, PROT_READ | PROT_WRITE) != 0) {
        munmap(map, map_size);
        return NULL;
    }
    unsigned color =
        atomic_fetch_add_explicit(&color_next, 1, memory_order_relaxed) % COLORS * 2 * CACHE_LINE;
    char *top = map + map_size - color;
    top -= (sizeof(struct fiber) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct fiber *f = (struct fiber *)(void *)top;
    f->map = map;
    f->map_size = map_size;
    f->stack_floor = map + pages(1);
    f->stack_lo = f->stack_lo_first = map + map_size - usable;
    f->stack_size = (size_t)(top - f->stack_floor);
    f->valgrind_id = VALGRIND_STACK_REGISTER(f->stack_floor, top);
#ifdef SKEIN_TSAN
    f->tsan_fiber = __tsan_create_fiber(0);
#endif
    return f;
}

static void unmap_fiber(struct fiber *f)
{
#ifdef SKEIN_TSAN
    __tsan_destroy_fiber(f->tsan_fiber);
#endif
    VALGRIND_STACK_DEREGISTER(f->valgrind_id);
    int rc = munmap(f->map, f->map_size);
    ASSERT(rc == 0);
}

static struct fiber *take(struct list *from)
{
    struct list *n = list_pop_front(from);
    return n == NULL ? NULL : CONTAINER_OF(n, struct fiber, link);
}

struct fiber *fiber__stack_get(struct loop *loop)
{
    struct loop_group *group = loop->group;
    struct loop *here = loop_current();
    struct fiber *f = NULL;
    if (here != NULL && here->group == group) {
        f = take(&here->sched.pool);
        if (f != NULL) {
            here->sched.pool_count--;
            return f;
        }
    }
    pthread_mutex_lock(&group->depot_lock);
    f = take(&group->depot);
    group->depot_count -= f != NULL;
    pthread_mutex_unlock(&group->depot_lock);
    return f != NULL ? f : map_fiber(group->stack_size);
}

db_err fiber__stack_grow(struct fiber *f, size_t bytes)
{
    size_t room = (size_t)(f->stack_lo - f->stack_floor);
    size_t used = (size_t)((char *)f - f->stack_lo);
    size_t more = pages(bytes > used ? bytes : used); /* twice as much, at least */
    if (bytes > room) {
        return ERR_LIMIT;
    }
    more = more < room ? more : room;
    if (mprotect(f->stack_lo - more, more, PROT_READ | PROT_WRITE) != 0) {
        return ERR_NOMEM;
    }
    f->stack_lo -= more;
    return ERR_OK;
}

void fiber__stack_shrink(struct fiber *f)
{
    size_t grown = (size_t)(f->stack_lo_first - f->stack_lo);
    /* What cannot be made inaccessible again stays usable, and has no pages either. */
    madvise(f->stack_lo, grown, MADV_DONTNEED);
    if (mprotect(f->stack_lo, grown, PROT_NONE) == 0) {
        f->stack_lo = f->stack_lo_first;
    }
}

static void cool(struct fiber *f)
{
    size_t size = (size_t)((char *)f - f->stack_lo);
    if (size > COLD_KEEP) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        madvise(f->stack_lo, (size - COLD_KEEP) / page * page, MADV_DONTNEED);
    }
}

void fiber__stack_put(struct fiber *f)
{
    struct fiber_sched *s = &f->loop->sched;
    struct loop_group *group = f->loop->group;
#ifdef SKEIN_ASAN
    /* The last frames were never left. */
    __asan_unpoison_memory_region(f->stack_lo, (size_t)((char *)f - f->stack_lo));
#endif
    if (f->stack_lo != f->stack_lo_first) {
        fiber__stack_shrink(f);
    }
    if (s->pool_count < POOL_MAX) {
        list_push_front(&s->pool, &f->link);
        s->pool_count++;
        return;
    }
    cool(f);
    pthread_mutex_lock(&group->depot_lock);
    bool kept = group->depot_count < DEPOT_MAX;
    if (kept) {
        list_push_front(&group->depot, &f->link);
        group->depot_count++;
    }
    pthread_mutex_unlock(&group->depot_lock);
    if (!kept) {
        unmap_fiber(f);
    }
}

static void unmap_list(struct list *l)
{
    struct fiber *f;
    while ((f = take(l)) != NULL) {
        unmap_fiber(f);
    }
}

void fiber__depot_fini(struct loop_group *group)
{
    unmap_list(&group->depot);
}

static _Thread_local const char *t_stack_lo;
static _Thread_local size_t t_stack_size;

const char *fiber__thread_stack_lo(void)
{
    if (t_stack_lo == NULL) {
        pthread_attr_t attr;
        void *lo = NULL;
        if (pthread_getattr_np(pthread_self(), &attr) == 0) {
            pthread_attr_getstack(&attr, &lo, &t_stack_size);
            pthread_attr_destroy(&attr);
        }
        t_stack_lo = lo;
    }
    return t_stack_lo;
}

size_t fiber__thread_stack_size(void)
{
    return fiber__thread_stack_lo() == NULL ? 0 : t_stack_size;
}
