/* The pool of threads behind blocking_run (base/fiber.h): for what must block (fsync, a read that
 * misses the cache, spills, name resolution). One pool for the process, started at its first use.
 */
#ifndef SKEIN_BASE_BLOCKING_H
#define SKEIN_BASE_BLOCKING_H

#include <stddef.h>

struct blocking_opts {
    unsigned threads;     /* kept; 0: 4 */
    unsigned threads_max; /* while jobs queue up; 0: 16; at least `threads` */
};

/* Before the first blocking_run of a fiber, or after blocking_pool_stop. */
void blocking_configure(const struct blocking_opts *opts);
/* Ends the threads and waits for that. No job may be under way. The next blocking_run starts the
 * pool again. */
void blocking_pool_stop(void);

struct blocking_stats {
    unsigned threads;
    unsigned idle;
    size_t queued;
};
void blocking_get_stats(struct blocking_stats *ret_stats);

#endif
