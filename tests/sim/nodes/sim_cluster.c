/* sim_cluster: whole nodes from seeds.
 *     sim_cluster --seeds N --start S --jobs J     many, each in a process of its own
 *     sim_cluster --seed X [-v]                    one, with a trace
 *     sim_cluster --twice ...                      each seed twice: both runs must be the same */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/nodes/world.h"

struct args {
    uint64_t seeds, start, seed, jobs;
    bool single, verbose, twice;
};

struct shared {
    struct world_totals totals[64];
    uint64_t runs[64], failed[64];
    uint64_t digest[64][2];
};

static uint64_t g_seed; /* that runs in this process */
static const char *g_program;
static char g_dir[DIR_SIZE];

/* ---- one run ---- */

static void draw_settings(struct world *w)
{
    w->gc_age_ms = 500 + rand_below(&w->rand, 5000);
    w->log_size_max = (32 << 10) << rand_below(&w->rand, 6);
    w->dead_after_ms = rand_below(&w->rand, 2) == 0 ? 60000 : 3000;
}

static void start_all(struct world *w)
{
    for (unsigned i = 1; i <= w->opts.members && !w->failed; i++) {
        member_start(&w->members[i]);
        if (!member_wait_up(&w->members[i], 60 * NS_PER_S) && !w->failed) {
            world_violated(w, "%s does not come up", w->members[i].host);
        }
    }
}

static db_err count_voters(void *arg, const struct range_desc *desc, bool serving)
{
    unsigned *spread = arg;
    *spread += serving && desc->id <= RANGE_ID_FIRST && desc->replica_count >= 3;
    return ERR_OK;
}

static void wait_spread(struct world *w)
{
    uint64_t until = clock_mono_ns() + 60 * NS_PER_S;
    unsigned spread = 0;
    while (spread < 2 && !w->failed) {
        spread = 0;
        for (unsigned i = 1; i <= w->opts.members; i++) {
            db_err err = range_store_each(node_ranges(w->members[i].node), count_voters, &spread);
            (void)err;
        }
        if (clock_mono_ns() > until) {
            world_violated(w, "the first ranges do not get three replicas");
        }
        db_err err = fiber_sleep(20 * NS_PER_MS);
        (void)err;
    }
}

static void wait_clients(struct world *w)
{
    uint64_t until = clock_mono_ns() + 90 * NS_PER_S;
    w->stopping = true;
    for (;;) {
        unsigned running = 0;
        bool up = true;
        for (unsigned i = 1; i <= w->opts.members; i++) {
            running += w->members[i].clients;
            up = up && w->members[i].state == MEMBER_UP;
        }
        if ((running == 0 && up) || w->failed) {
            return;
        }
        if (clock_mono_ns() > until) {
            world_violated(w,
                           up ? "%u clients are stuck after all has healed"
                              : "not all members come back (%u clients)",
                           running);
        }
        db_err err = fiber_sleep(5 * NS_PER_MS);
        (void)err;
    }
}

static void scenario(struct world *w)
{
    start_all(w);
    if (w->failed) {
        return;
    }
    wait_spread(w);
    if (w->failed) {
        return;
    }
    workload_load(w);
    faults_split_first(w);
    for (unsigned i = 1; i <= w->opts.members && !w->failed; i++) {
        clients_start(&w->members[i]);
    }
    faults_run(w, 8 * NS_PER_S);
    faults_heal(w);
    db_err err = fiber_sleep(3 * NS_PER_S);
    (void)err;
    wait_clients(w);
    if (!w->failed) {
        workload_judge(w);
    }
}

static bool run_seed(uint64_t seed, bool verbose, struct world_totals *ret_totals,
                     uint64_t *ret_digest)
{
    static struct world w; /* the log's sink looks at it to the very end */
    struct rand r;
    rand_seed(&r, seed ^ 0x5eed);
    struct world_opts o = {.seed = seed,
                           .verbose = verbose,
                           .members = rand_below(&r, 4) == 0 ? 5 : 3,
                           .loops = 1 + (unsigned)rand_below(&r, 2)};
    g_seed = seed;
    world_init(&w, &o);
    snprintf(g_dir, sizeof(g_dir), "%s", w.dir);
    draw_settings(&w);
    world_run(&w, scenario, 300 * NS_PER_S);
    *ret_digest = loop_group_sim_digest(w.group) * 31 + w.tick;
    *ret_totals = w.totals;
    world_fini(&w);
    if (w.failed) {
        printf("seed %llu FAILED %s\n    replay: %s --seed %llu -v\n", (unsigned long long)seed,
               w.violation, g_program, (unsigned long long)seed);
    }
    fflush(stdout);
    return !w.failed;
}

/* A failed assertion of the product is a violation too. */
static void on_abort(int sig)
{
    char text[256];
    (void)sig;
    int n = snprintf(text, sizeof(text), "seed %llu ABORTED\n    replay: %s --seed %llu -v\n",
                     (unsigned long long)g_seed, g_program, (unsigned long long)g_seed);
    ssize_t written = write(STDOUT_FILENO, text, (size_t)n);
    (void)written;
    if (g_dir[0] != '\0') {
        n = snprintf(text, sizeof(text), "rm -rf %s", g_dir);
        int rc = system(text);
        (void)rc;
    }
    signal(SIGABRT, SIG_DFL);
    raise(SIGABRT);
}

/* ---- many ---- */

/* Each run has a process: what killed nodes leave behind goes with it. */
static bool run_apart(uint64_t seed, struct shared *sh, uint64_t job, unsigned which)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        bool ok = run_seed(seed, false, &sh->totals[job], &sh->digest[job][which]);
        _exit(ok ? 0 : 1);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void add(struct world_totals *sum, const struct world_totals *t)
{
    sum->turns_ns += t->turns_ns;
    sum->commits += t->commits;
    sum->unknown += t->unknown;
    sum->refused += t->refused;
    sum->reads += t->reads;
    sum->audits += t->audits;
    sum->kills += t->kills;
    sum->cuts += t->cuts;
    sum->splits += t->splits;
    sum->moves += t->moves;
    sum->transfers += t->transfers;
    sum->drifts += t->drifts;
}

static void worker(const struct args *a, uint64_t job, struct shared *sh)
{
    struct world_totals sum = {0};
    for (uint64_t i = job; i < a->seeds; i += a->jobs) {
        bool ok = run_apart(a->start + i, sh, job, 0);
        if (ok && a->twice) {
            ok = run_apart(a->start + i, sh, job, 1);
            if (ok && sh->digest[job][0] != sh->digest[job][1]) {
                printf("seed %llu FAILED two runs of it differ\n",
                       (unsigned long long)(a->start + i));
                ok = false;
            }
        }
        add(&sum, &sh->totals[job]);
        sh->runs[job]++;
        sh->failed[job] += !ok;
    }
    sh->totals[job] = sum;
    fflush(stdout);
    _exit(0);
}

static void print_totals(const struct shared *sh, uint64_t jobs, double seconds)
{
    struct world_totals t = {0};
    uint64_t runs = 0, failed = 0;
    for (uint64_t j = 0; j < jobs; j++) {
        add(&t, &sh->totals[j]);
        runs += sh->runs[j];
        failed += sh->failed[j];
    }
    printf("%llu seeds, %llu failed, %.0f s, %.0f s simulated: %llu commits, %llu unknown, %llu "
           "refused, %llu reads, %llu audits; %llu kills, %llu partitions, %llu splits, %llu "
           "moves, %llu lease transfers, %llu drifts\n",
           (unsigned long long)runs, (unsigned long long)failed, seconds, (double)t.turns_ns / 1e9,
           (unsigned long long)t.commits, (unsigned long long)t.unknown,
           (unsigned long long)t.refused, (unsigned long long)t.reads, (unsigned long long)t.audits,
           (unsigned long long)t.kills, (unsigned long long)t.cuts, (unsigned long long)t.splits,
           (unsigned long long)t.moves, (unsigned long long)t.transfers,
           (unsigned long long)t.drifts);
}

static int run_many(const struct args *a)
{
    struct shared *sh =
        mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct timespec t0, t1;
    ASSERT(sh != MAP_FAILED);
    fflush(stdout);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (uint64_t j = 0; j < a->jobs; j++) {
        if (fork() == 0) {
            worker(a, j, sh);
        }
    }
    int bad = 0;
    uint64_t failed = 0;
    for (uint64_t j = 0; j < a->jobs; j++) {
        int status = 0;
        bad |= wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &t1);
    for (uint64_t j = 0; j < a->jobs; j++) {
        failed += sh->failed[j];
    }
    print_totals(sh, a->jobs,
                 (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9);
    return bad || failed != 0 ? 1 : 0;
}

static bool parse_args(int argc, char **argv, struct args *ret_args)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
                                            {"start", required_argument, NULL, 's'},
                                            {"seed", required_argument, NULL, 'x'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"twice", no_argument, NULL, 't'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "v", options, NULL)) != -1) {
        uint64_t value = optarg != NULL ? strtoull(optarg, NULL, 0) : 0;
        switch (c) {
        case 'n': ret_args->seeds = value; break;
        case 's': ret_args->start = value; break;
        case 'j': ret_args->jobs = value >= 1 && value <= 64 ? value : 1; break;
        case 'x':
            ret_args->seed = value;
            ret_args->single = true;
            break;
        case 't': ret_args->twice = true; break;
        case 'v': ret_args->verbose = true; break;
        default: return false;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct args a = {.start = 1, .seeds = 50, .jobs = 1};
    g_program = argv[0];
    if (!parse_args(argc, argv, &a)) {
        fprintf(stderr, "usage: %s [--seeds N] [--start S] [--jobs J] [--twice] | --seed X [-v]\n",
                argv[0]);
        return 2;
    }
    signal(SIGABRT, on_abort);
    if (a.single) {
        struct world_totals t;
        uint64_t digest;
        bool ok = run_seed(a.seed, a.verbose, &t, &digest);
        printf("seed %llu %s, digest %016llx, %.3f s simulated\n", (unsigned long long)a.seed,
               ok ? "ok" : "FAILED", (unsigned long long)digest, (double)t.turns_ns / 1e9);
        fflush(stdout);
        _exit(ok ? 0 : 1);
    }
    return run_many(&a);
}
