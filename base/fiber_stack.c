/* Stacks. Each is an anonymous mapping with an inaccessible page at its low end; struct fiber sits
 * at the high end.
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
};

static struct fiber *map_fiber(size_t stack_size)
{
    static _Atomic unsigned color_next;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t map_size = (stack_size + page - 1) / page * page + page;
    char *map = mmap(NULL, map_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(map, page, PROT_NONE) != 0) {
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
    f->stack_lo = map + page;
    f->stack_size = (size_t)(top - f->stack_lo);
    f->valgrind_id = VALGRIND_STACK_REGISTER(f->stack_lo, top);
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

static void cool(struct fiber *f)
{
    if (f->stack_size > COLD_KEEP) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        madvise(f->stack_lo, (f->stack_size - COLD_KEEP) / page * page, MADV_DONTNEED);
    }
}

void fiber__stack_put(struct fiber *f)
{
    struct fiber_sched *s = &f->loop->sched;
    struct loop_group *group = f->loop->group;
#ifdef SKEIN_ASAN
    /* The last frames were never left. */
    __asan_unpoison_memory_region(f->stack_lo, f->stack_size);
#endif
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

const char *fiber__thread_stack_lo(void)
{
    static _Thread_local const char *t_stack_lo;
    if (t_stack_lo == NULL) {
        pthread_attr_t attr;
        void *lo = NULL;
        size_t size = 0;
        if (pthread_getattr_np(pthread_self(), &attr) == 0) {
            pthread_attr_getstack(&attr, &lo, &size);
            pthread_attr_destroy(&attr);
        }
        t_stack_lo = lo;
    }
    return t_stack_lo;
}
