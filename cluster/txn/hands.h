/* Several fibers of one loop that do parts of one job, and stop as the one that waits for them.
 *
 *     struct hand hands[MAX];
 *     size_t n = hands_start(hands, want, work, job);   work takes parts of the job until none are
 *     work(job);                                        left, or job->stop
 *     hands_await(hands, n, &job->stop);
 *
 * All are fibers of the caller's loop: the job needs no atomics. */
#ifndef SKEIN_CLUSTER_TXN_HANDS_H
#define SKEIN_CLUSTER_TXN_HANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fiber.h"

struct hand {
    void (*work)(void *job);
    void *job;
    struct fiber *fiber; /* while it runs */
    uint64_t deadline_ns;
    struct waiter done;
};

/* Starts work(job) in up to `want` fibers, with the caller's deadline; fewer when there are no more
 * fibers. Returns how many. From the fiber that will wait; the hands lie still until then. */
size_t hands_start(struct hand *hands, size_t want, void (*work)(void *job), void *job);
/* Parks until all have ended. When the caller is cancelled, or past its deadline, *inout_stop
 * becomes true and they are cancelled. */
void hands_await(struct hand *hands, size_t count, bool *inout_stop);

#endif
