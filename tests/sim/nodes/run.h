/* One run of a seed: what happens in it, and a process of its own for it. */
#ifndef SKEIN_TESTS_SIM_NODES_RUN_H
#define SKEIN_TESTS_SIM_NODES_RUN_H

#include "tests/sim/nodes/world.h"

/* What a run tells; in memory that processes share. */
struct run_result {
    struct world_totals totals;
    uint64_t digest;
    bool ended; /* else it was aborted: a failed assertion */
    bool stuck; /* failed, but no answer was wrong */
    char violation[VIOLATION_SIZE];
};

/* In this process, which is of no further use then. quiet: nothing is printed. */
bool run_seed(uint64_t seed, bool verbose, bool quiet, struct run_result *result);
/* In a process of its own. */
bool run_apart(uint64_t seed, bool quiet, struct run_result *result);
/* Memory that child processes share with this one; zeroed. */
void *run_shared(size_t size);
/* A failed assertion is told with the seed, too. program: for the line that replays it. */
void run_prepare(const char *program, const char *options);

#ifdef SKEIN_SIM_BREAKS
/* Sets what is broken from now on. */
void teeth_set(unsigned breaks);
/* Every deliberate fault must be caught. 0: they were. */
int teeth_run(uint64_t seeds, uint64_t start, uint64_t jobs);
#endif

#endif
