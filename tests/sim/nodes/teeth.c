/* Does the simulation bite? The modules are compiled with deliberate faults (base/sim_break.h), and
 * each must be caught by some seed that the sound code passes. A simulation that catches nothing
 * proves nothing. */
#include "tests/sim/nodes/run.h"

#ifdef SKEIN_SIM_BREAKS

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sim_break.h"
#include "node/raft/raft_int.h"

unsigned sim_breaks;

static const struct {
    unsigned flag;
    uint64_t seed; /* one that caught it; tried first */
    const char *name;
} g_teeth[] = {
    {SIM_BREAK_FENCE, 3, "commit without asking whether the locks were held"},
    {SIM_BREAK_LEASE, 145, "serve after the lease is over"},
    {SIM_BREAK_QUORUM, 17, "acknowledge before a quorum has it"},
    {SIM_BREAK_PENDING, 1, "snapshots that do not wait for earlier commits"},
    {SIM_BREAK_SPLIT_INTENTS, 14, "a split that forgets intents"},
    {SIM_BREAK_RECORDS, 11, "prewrite after a rollback"},
    {SIM_BREAK_RETRY_BLIND, 10, "repeat a commit that was applied"},
    {SIM_BREAK_FOLLOWER, 1, "answer from a copy that is behind"},
    {SIM_BREAK_LATE_1PC, 12, "apply a request that was given up"},
    {SIM_BREAK_SPANS, 1, "locking scans that lock no gaps"},
};

struct tooth {
    struct run_result result;
    struct run_result control;
    uint64_t seed; /* that caught it */
    uint64_t tried;
    bool caught;
    bool sound; /* the sound code passes it */
};

void teeth_set(unsigned breaks)
{
    sim_breaks = breaks;
    raft_test_flags = (breaks & SIM_BREAK_QUORUM) != 0 ? RAFT_BREAK_COMMIT_ALONE : 0;
}

static bool bites(struct tooth *t, size_t i, uint64_t seed)
{
    teeth_set(g_teeth[i].flag);
    t->tried++;
    if (run_apart(seed, true, &t->result) || t->result.stuck) {
        return false; /* a wrong answer is what counts */
    }
    teeth_set(0);
    t->sound = run_apart(seed, true, &t->control);
    t->caught = t->sound; /* a seed that fails anyway is no proof */
    t->seed = seed;
    return t->caught;
}

static void bite(struct tooth *t, size_t i, uint64_t seeds, uint64_t start)
{
    if (g_teeth[i].seed != 0 && bites(t, i, g_teeth[i].seed)) {
        return;
    }
    for (uint64_t s = start; s < start + seeds; s++) {
        if (bites(t, i, s)) {
            return;
        }
    }
}

static bool print_tooth(const struct tooth *t, size_t i)
{
    if (!t->caught) {
        printf("%-50s MISSED by %llu seeds\n", g_teeth[i].name, (unsigned long long)t->tried);
        return false;
    }
    printf("%-50s caught by seed %llu (%llu tried): sim_cluster_teeth --break %u --seed %llu -v\n"
           "    %.160s\n",
           g_teeth[i].name, (unsigned long long)t->seed, (unsigned long long)t->tried,
           g_teeth[i].flag, (unsigned long long)t->seed,
           t->result.ended ? t->result.violation : "a failed assertion");
    return true;
}

int teeth_run(uint64_t seeds, uint64_t start, uint64_t jobs)
{
    struct tooth *teeth = run_shared(ARRAY_COUNT(g_teeth) * sizeof(*teeth));
    size_t running = 0;
    int missed = 0;
    fflush(stdout);
    for (size_t i = 0; i < ARRAY_COUNT(g_teeth); i++) {
        if (running == jobs && wait(NULL) > 0) {
            running--;
        }
        if (fork() == 0) {
            bite(&teeth[i], i, seeds, start);
            _exit(0);
        }
        running++;
    }
    while (wait(NULL) > 0) {
    }
    for (size_t i = 0; i < ARRAY_COUNT(g_teeth); i++) {
        missed += !print_tooth(&teeth[i], i);
    }
    printf("%zu deliberate faults, %d missed\n", ARRAY_COUNT(g_teeth), missed);
    return missed == 0 ? 0 : 1;
}

#else
typedef int teeth_are_compiled_in_sim_cluster_teeth_only;
#endif
