/* Private to base/: the fiber itself, its stack, and what sanitizers must be told of a switch. */
#ifndef SKEIN_BASE_FIBER_INT_H
#define SKEIN_BASE_FIBER_INT_H

#include "base/fiber.h"
#include "base/loop_int.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SKEIN_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define SKEIN_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SKEIN_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define SKEIN_TSAN 1
#endif

/* Boost.Context's C ABI: it has no C header. */
typedef void *fcontext_t;
struct transfer_t {
    fcontext_t fctx; /* who jumped here */
    void *data;
};
struct transfer_t jump_fcontext(fcontext_t to, void *data);
fcontext_t make_fcontext(void *stack_top, size_t size, void (*fn)(struct transfer_t));

enum {
    FIBER_CANCELED = 1,      /* waits end with ERR_CANCELED */
    FIBER_CANCEL_QUEUED = 2, /* cancel_task is on its way to the fiber's loop */
};

/* Lives at the top of its own stack, so that starting one touches no other memory. */
struct fiber {
    struct list link; /* ready, yielded, pool or depot */
    struct list all;
    struct loop *loop;
    fcontext_t context;     /* where it stands while it does not run */
    struct waiter *waiting; /* parked in a wait that may be broken off */
    uint64_t wait_deadline_ns;
    uint64_t deadline_ns;
    uint64_t slice_start_ns; /* 0: the first checkpoint sets it */
    db_err wait_err;
    bool done;
    struct loop_timer timer; /* may stay armed, too early, after a wait: see fiber.c */
    struct fiber *remote_next;
    _Atomic unsigned cancel;
    struct loop_task cancel_task;
    fiber_fn fn;
    void *arg;
    void *local;
    char *stack_lo;       /* what is below is the guard; moves down when the stack grows */
    char *stack_lo_first; /* where it is at first */
    char *stack_floor;    /* how far it may grow */
    size_t stack_size;    /* from there to the top */
    void *map;
    size_t map_size;
#ifdef SKEIN_ASAN
    void *asan_fake_stack;
#endif
#ifdef SKEIN_TSAN
    void *tsan_fiber;
#endif
    unsigned valgrind_id;
};

/* fiber_stack.c: a fiber with a stack and nothing else set. From the current loop's pool, the
 * group's depot, or new; from any thread. NULL when memory (or the kernel's count of mappings) is
 * out. */
struct fiber *fiber__stack_get(struct loop *loop);
/* Only from the thread of the fiber's loop. */
void fiber__stack_put(struct fiber *f);
/* The running fiber's own: so many bytes more below what it has (fiber_stack_reserve). */
MUST_USE db_err fiber__stack_grow(struct fiber *f, size_t bytes);
void fiber__stack_shrink(struct fiber *f);
/* Lowest address of the calling thread's own stack. */
const char *fiber__thread_stack_lo(void);
size_t fiber__thread_stack_size(void);

/* fiber.c */
void fiber__release(struct fiber *f);

/* Marks the switch from the scheduler to a fiber and back. */
#if defined(SKEIN_ASAN)
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack_save, const void **bottom_old,
                                     size_t *size_old);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#endif
#if defined(SKEIN_TSAN)
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

static inline void sched_leave(struct fiber_sched *s UNUSED, struct fiber *f UNUSED)
{
#ifdef SKEIN_ASAN
    __sanitizer_start_switch_fiber(&s->asan_fake_stack, f->stack_floor, f->stack_size);
#endif
#ifdef SKEIN_TSAN
    s->tsan_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->tsan_fiber, 0);
#endif
}

static inline void sched_entered(struct fiber_sched *s UNUSED)
{
#ifdef SKEIN_ASAN
    __sanitizer_finish_switch_fiber(s->asan_fake_stack, NULL, NULL);
#endif
}

static inline void fiber_leave(struct fiber_sched *s UNUSED, struct fiber *f UNUSED)
{
#ifdef SKEIN_ASAN
    __sanitizer_start_switch_fiber(f->done ? NULL : &f->asan_fake_stack, s->asan_stack_bottom,
                                   s->asan_stack_size);
#endif
#ifdef SKEIN_TSAN
    __tsan_switch_to_fiber(s->tsan_fiber, 0);
#endif
}

static inline void fiber_entered(struct fiber_sched *s UNUSED, struct fiber *f UNUSED)
{
#ifdef SKEIN_ASAN
    __sanitizer_finish_switch_fiber(f->asan_fake_stack, &s->asan_stack_bottom, &s->asan_stack_size);
#endif
}

#endif
