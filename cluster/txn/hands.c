#include "cluster/txn/hands.h"

#include "base/loop.h"

static void hand_main(void *arg)
{
    struct hand *h = arg;
    h->fiber = fiber_self();
    fiber_set_deadline(h->deadline_ns);
    h->work(h->job);
    h->fiber = NULL;
    wait_signal(&h->done, 0);
}

size_t hands_start(struct hand *hands, size_t want, void (*work)(void *job), void *job)
{
    size_t n = 0;
    for (; n < want; n++) {
        struct hand *h = &hands[n];
        *h = (struct hand){.work = work, .job = job, .deadline_ns = fiber_deadline()};
        wait_init(&h->done);
        if (fiber_spawn(loop_current(), hand_main, h) != ERR_OK) {
            break; /* fewer hands */
        }
    }
    return n;
}

void hands_await(struct hand *hands, size_t count, bool *inout_stop)
{
    for (size_t i = 0; i < count; i++) {
        if (LIKELY(wait_block(&hands[i].done, DEADLINE_NONE) == ERR_OK)) {
            continue;
        }
        *inout_stop = true; /* they stop as the caller does */
        for (size_t k = i; k < count; k++) {
            if (hands[k].fiber != NULL) {
                fiber_cancel(hands[k].fiber);
            }
        }
        wait_block_uncancelable(&hands[i].done);
    }
}
