/* Timers of a loop: an intrusive heap by deadline. The backend waits for events until
 * loop__timers_next_ns at most. */
#include "base/loop.h"

#include "base/assert.h"
#include "base/loop_int.h"

static inline bool timer_less(const struct heap_node *a, const struct heap_node *b)
{
    return CONTAINER_OF(a, const struct loop_timer, node)->deadline_ns <
           CONTAINER_OF(b, const struct loop_timer, node)->deadline_ns;
}

void loop_timer_init(struct loop_timer *timer, void (*fn)(struct loop_timer *timer))
{
    *timer = (struct loop_timer){.fn = fn};
}

db_err loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns)
{
    ASSERT_SLOW(loop_current() == loop);
    loop_timer_stop(loop, timer);
    timer->deadline_ns = deadline_ns;
    timer->armed = true;
    heap_insert(&loop->timers, &timer->node, timer_less);
    return ERR_OK;
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    if (timer->armed) {
        ASSERT_SLOW(loop_current() == loop);
        heap_remove(&loop->timers, &timer->node, timer_less);
        timer->armed = false;
    }
}

uint64_t loop__timers_next_ns(const struct loop *loop)
{
    const struct heap_node *n = heap_min(&loop->timers);
    return n == NULL ? DEADLINE_NONE : CONTAINER_OF(n, const struct loop_timer, node)->deadline_ns;
}

void loop__timers_run(struct loop *loop)
{
    if (heap_min(&loop->timers) == NULL) {
        return;
    }
    uint64_t now_ns = loop_now_ns(loop);
    /* A timer that re-arms itself for a time that has passed gets its next chance in the next turn.
     */
    for (size_t left = loop->timers.count; left > 0; left--) {
        if (loop__timers_next_ns(loop) > now_ns) {
            break;
        }
        struct loop_timer *t =
            CONTAINER_OF(heap_pop(&loop->timers, timer_less), struct loop_timer, node);
        t->armed = false;
        t->fn(t);
    }
}
