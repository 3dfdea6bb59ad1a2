/* sim_cluster: whole nodes from seeds.
 *     sim_cluster --seeds N --start S --jobs J     many, each in a process of its own
 *     sim_cluster --seed X [-v]                    one, with a trace
 *     sim_cluster --twice ...                      each seed twice: both runs must be the same
 * and, in the program that has deliberate faults (sim_cluster_teeth):
 *     --teeth                                      each of them must be caught
 *     --break MASK                                 one run with some of them */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/nodes/run.h"

enum { JOBS_MAX = 64 };

struct args {
    uint64_t seeds, start, seed, jobs;
    unsigned breaks;
    bool single, verbose, twice, teeth;
};

struct job {
    struct run_result result[2];
    struct world_totals sum;
    uint64_t runs, failed;
};

static void add(struct world_totals *sum, const struct world_totals *t)
{
    sum->turns_ns += t->turns_ns;
    sum->commits += t->commits;
    sum->unknown += t->unknown;
    sum->refused += t->refused;
    sum->reads += t->reads;
    sum->audits += t->audits;
    sum->old_reads += t->old_reads;
    sum->by_copies += t->by_copies;
    sum->spills += t->spills;
    sum->kills += t->kills;
    sum->cuts += t->cuts;
    sum->splits += t->splits;
    sum->merges += t->merges;
    sum->moves += t->moves;
    sum->transfers += t->transfers;
    sum->drifts += t->drifts;
}

static bool same_twice(uint64_t seed, struct job *job)
{
    if (!run_apart(seed, false, &job->result[1])) {
        return false;
    }
    if (job->result[0].digest != job->result[1].digest) {
        printf("seed %llu FAILED two runs of it differ\n", (unsigned long long)seed);
        return false;
    }
    return true;
}

static void worker(const struct args *a, uint64_t number, struct job *job)
{
    for (uint64_t i = number; i < a->seeds; i += a->jobs) {
        bool ok = run_apart(a->start + i, false, &job->result[0]);
        ok = ok && (!a->twice || same_twice(a->start + i, job));
        add(&job->sum, &job->result[0].totals);
        job->runs++;
        job->failed += !ok;
    }
    fflush(stdout);
    _exit(0);
}

static void print_totals(const struct job *jobs, uint64_t count, double seconds)
{
    struct world_totals t = {0};
    uint64_t runs = 0, failed = 0;
    for (uint64_t j = 0; j < count; j++) {
        add(&t, &jobs[j].sum);
        runs += jobs[j].runs;
        failed += jobs[j].failed;
    }
    printf("%llu seeds, %llu failed, %.0f s, %.0f s simulated\n", (unsigned long long)runs,
           (unsigned long long)failed, seconds, (double)t.turns_ns / 1e9);
    const struct {
        const char *name;
        uint64_t n;
    } rows[] = {{"commits", t.commits},     {"unknown", t.unknown},
                {"refused", t.refused},     {"register reads", t.reads},
                {"audits", t.audits},       {"reads that may be old", t.old_reads},
                {"by copies", t.by_copies}, {"spilled", t.spills},
                {"kills", t.kills},         {"partitions", t.cuts},
                {"splits", t.splits},       {"merges", t.merges},
                {"moves", t.moves},         {"leases", t.transfers},
                {"drifts", t.drifts}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        printf("%s%llu %s", i == 0 ? "" : ", ", (unsigned long long)rows[i].n, rows[i].name);
    }
    putchar('\n');
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run_many(const struct args *a)
{
    struct job *jobs = run_shared(a->jobs * sizeof(*jobs));
    double begin = seconds_now();
    uint64_t bad = 0;
    fflush(stdout);
    for (uint64_t j = 0; j < a->jobs; j++) {
        if (fork() == 0) {
            worker(a, j, &jobs[j]);
        }
    }
    for (uint64_t j = 0; j < a->jobs; j++) {
        int status = 0;
        bad += wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    for (uint64_t j = 0; j < a->jobs; j++) {
        bad += jobs[j].failed;
    }
    print_totals(jobs, a->jobs, seconds_now() - begin);
    return bad != 0 ? 1 : 0;
}

static int run_single(const struct args *a)
{
    struct run_result r = {0};
    bool ok = run_seed(a->seed, a->verbose, false, &r);
    printf("seed %llu %s, digest %016llx, %.3f s simulated\n", (unsigned long long)a->seed,
           ok ? "ok" : "FAILED", (unsigned long long)r.digest, (double)r.totals.turns_ns / 1e9);
    fflush(stdout);
    _exit(ok ? 0 : 1); /* what dead nodes have left needs no care */
}

static bool parse_args(int argc, char **argv, struct args *ret_args)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
                                            {"start", required_argument, NULL, 's'},
                                            {"seed", required_argument, NULL, 'x'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"twice", no_argument, NULL, 't'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"teeth", no_argument, NULL, 'b' + 1},
                                            {"break", required_argument, NULL, 'b'},
                                            {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "v", options, NULL)) != -1) {
        uint64_t value = optarg != NULL ? strtoull(optarg, NULL, 0) : 0;
        switch (c) {
        case 'n': ret_args->seeds = value; break;
        case 's': ret_args->start = value; break;
        case 'j': ret_args->jobs = value >= 1 && value <= JOBS_MAX ? value : 1; break;
        case 'x':
            ret_args->seed = value;
            ret_args->single = true;
            break;
        case 't': ret_args->twice = true; break;
        case 'v': ret_args->verbose = true; break;
        case 'b': ret_args->breaks = (unsigned)value; break;
        case 'b' + 1: ret_args->teeth = true; break;
        default: return false;
        }
    }
    return optind == argc;
}

static int run_teeth(const struct args *a)
{
#ifdef SKEIN_SIM_BREAKS
    return teeth_run(a->seeds, a->start, a->jobs);
#else
    (void)a;
    fprintf(stderr, "this build has no deliberate faults: use sim_cluster_teeth\n");
    return 2;
#endif
}

int main(int argc, char **argv)
{
    struct args a = {.start = 1, .seeds = 50, .jobs = 1};
    char options[32] = "";
    if (!parse_args(argc, argv, &a)) {
        fprintf(
            stderr,
            "usage: %s [--seeds N] [--start S] [--jobs J] [--twice] | --seed X [-v] | --teeth\n",
            argv[0]);
        return 2;
    }
    if (a.breaks != 0) {
        snprintf(options, sizeof(options), " --break %u", a.breaks);
    }
    run_prepare(argv[0], options);
#ifdef SKEIN_SIM_BREAKS
    teeth_set(a.breaks);
#endif
    if (a.teeth) {
        return run_teeth(&a);
    }
    return a.single ? run_single(&a) : run_many(&a);
}
