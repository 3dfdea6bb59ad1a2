/* Of the limit, half goes to the store and nearly a third to statements. What is left over is for
 * connections (some 20 KiB each), fibers' stacks, the log's tail cache, index blocks and what the
 * allocator holds back. The parts are bounds, not reservations: an idle node uses little of them.
 */
#include "node/main/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#if !defined(SKEIN_NO_JEMALLOC)
#include <jemalloc/jemalloc.h>

/* No threads of its own; freed pages go back after seconds, so that an idle node is a small one. */
extern const char *malloc_conf;
const char *malloc_conf = "background_thread:false,dirty_decay_ms:3000,muzzy_decay_ms:0";
#endif

enum { MIB = 1 << 20 };

static uint64_t group_limit(void)
{
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    uint64_t limit;
    if (file == NULL) {
        return UINT64_MAX;
    }
    if (fscanf(file, "%" SCNu64, &limit) != 1) { /* "max" */
        limit = UINT64_MAX;
    }
    fclose(file);
    return limit;
}

uint64_t memory_of_machine(void)
{
    uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t group = group_limit();
    return group < all ? group : all;
}

static uint64_t at_least(uint64_t n, uint64_t least)
{
    return n < least ? least : n;
}

static uint64_t at_most(uint64_t n, uint64_t most)
{
    return n > most ? most : n;
}

struct memory_plan memory_divide(uint64_t limit)
{
    if (limit == 0) {
        limit = at_least(memory_of_machine() / 4, 256 * MIB);
    }
    struct memory_plan p = {.limit = limit, .store = limit / 2, .statements = limit / 10 * 3};
    p.one_statement = at_most(at_least(p.statements / 4, 16 * MIB), 1024ull * MIB);
    p.plan_cache = at_most(at_least(limit / 64, 4 * MIB), 64 * MIB);
    p.range_locks = at_least(limit / 16, 48 * MIB);
    return p;
}

void memory_purge(void)
{
#if !defined(SKEIN_NO_JEMALLOC)
    char name[32];
    snprintf(name, sizeof(name), "arena.%u.decay", (unsigned)MALLCTL_ARENAS_ALL);
    (void)mallctl(name, NULL, NULL, NULL, 0);
#endif
}

void memory_allocated(uint64_t *ret_allocated, uint64_t *ret_held)
{
    *ret_allocated = *ret_held = 0;
#if !defined(SKEIN_NO_JEMALLOC)
    uint64_t epoch = 1;
    size_t size = sizeof(epoch), allocated = 0, held = 0;
    if (mallctl("epoch", &epoch, &size, &epoch, size) != 0) {
        return;
    }
    size = sizeof(size_t);
    if (mallctl("stats.allocated", &allocated, &size, NULL, 0) == 0 &&
        mallctl("stats.resident", &held, &size, NULL, 0) == 0) {
        *ret_allocated = allocated;
        *ret_held = held;
    }
#endif
}
