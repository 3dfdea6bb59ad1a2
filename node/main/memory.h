/* The node's memory limit and its division. */
#ifndef SKEIN_NODE_MAIN_MEMORY_H
#define SKEIN_NODE_MAIN_MEMORY_H

#include <stdint.h>

struct memory_plan {
    uint64_t limit;
    uint64_t store;         /* block cache and memtables */
    uint64_t statements;    /* all together */
    uint64_t one_statement; /* one alone */
    uint64_t plan_cache;
    uint64_t range_locks; /* row locks of one range; only large statements come near it */
};

/* What the machine, or the control group that the process runs in, has. */
uint64_t memory_of_machine(void);
/* limit 0: a quarter of the machine's memory. */
struct memory_plan memory_divide(uint64_t limit);
/* Gives back what has been free for a while; call it every few seconds. Threads that have nothing
 * to do never would by themselves. */
void memory_purge(void);
/* What the allocator has given out, and what it holds; 0 where it cannot tell. Any thread. */
void memory_allocated(uint64_t *ret_allocated, uint64_t *ret_held);

#endif
