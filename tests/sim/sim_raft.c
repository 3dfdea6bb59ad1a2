/* sim_raft: runs seeds and scenarios of the Raft simulation.
 *
 *   sim_raft --seeds N [--start S] [--jobs J]   seeds S .. S+N-1, spread over J processes, and all
 * scenarios sim_raft --seed X [-v]                      one seed, with a trace sim_raft --scenario
 * NAME [-v]               one scripted run sim_raft_teeth --teeth [--seeds N]          every
 * deliberate fault of the core must be caught within N seeds sim_raft_teeth --break MASK --seed X
 * [-v]   one of them, with a trace
 *
 * The exit code is 0 when all invariants held (with --teeth: when every fault was caught). */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "node/raft/raft_int.h"
#include "tests/sim/sim.h"

static const uint64_t fault_time_ns = 15 * NS_PER_S;

struct args {
    uint64_t start, seeds, jobs;
    bool single, verbose, teeth;
    uint64_t seed;
    unsigned breaks;
    const char *scenario;
};

struct totals {
    uint64_t runs, events, proposals, commits, reads, elections, crashes, snapshots, conf_changes,
        transfers, quiesced;
};

/* Shared with child processes. */
struct shared {
    struct totals totals[64];
    uint64_t failed_seed[64];
    char violation[64][SIM_VIOLATION_SIZE];
};

static uint64_t g_seed; /* for the message of a failed assertion */
static const char *g_scenario;
static unsigned g_breaks;

static void print_replay(void)
{
    char what[96];
    if (g_scenario != NULL) {
        snprintf(what, sizeof(what), "--scenario %s", g_scenario);
    } else {
        snprintf(what, sizeof(what), "--seed %lu", (unsigned long)g_seed);
    }
    if (g_breaks != 0) {
        printf("  replay: sim_raft_teeth --break %u %s -v\n", g_breaks, what);
    } else {
        printf("  replay: sim_raft %s -v\n", what);
    }
    fflush(stdout);
}

static void on_abort(int sig)
{
    (void)sig;
    print_replay();
}

static void add_totals(struct totals *t, const struct sim *s)
{
    t->runs++;
    t->events += s->events;
    t->proposals += s->proposals;
    t->commits += s->commits;
    t->reads += s->reads_done;
    t->elections += s->elections;
    t->crashes += s->crashes;
    t->snapshots += s->snapshots;
    t->conf_changes += s->conf_changes;
    t->transfers += s->transfers;
    t->quiesced += s->quiesced;
}

/* True if all is well. */
static bool run_seed(uint64_t seed, bool verbose, struct totals *totals, char *ret_violation)
{
    struct sim *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        abort();
    }
    g_seed = seed;
    struct sim_options opt = {.seed = seed, .verbose = verbose};
    sim_init(s, &opt);
    sim_run_until(s, fault_time_ns);
    if (s->violation[0] == '\0') {
        sim_heal(s);
        sim_check_liveness(s);
    }
    add_totals(totals, s);
    bool ok = s->violation[0] == '\0';
    snprintf(ret_violation, SIM_VIOLATION_SIZE, "%s", s->violation);
    sim_fini(s);
    mem_free(s);
    return ok;
}

static bool run_scenario(const struct sim_scenario *sc, bool verbose, char *ret_violation)
{
    struct sim *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        abort();
    }
    g_scenario = sc->name;
    struct sim_options opt = sc->opt;
    opt.verbose = verbose;
    sim_init(s, &opt);
    sc->run(s);
    bool ok = s->violation[0] == '\0';
    snprintf(ret_violation, SIM_VIOLATION_SIZE, "%s", s->violation);
    sim_fini(s);
    mem_free(s);
    g_scenario = NULL;
    return ok;
}

static int run_scenarios(const char *only, bool verbose)
{
    int failed = 0;
    bool found = only == NULL;
    for (size_t i = 0; i < sim_scenario_count; i++) {
        if (only != NULL && strcmp(only, sim_scenarios[i].name) != 0) {
            continue;
        }
        found = true;
        char violation[SIM_VIOLATION_SIZE];
        bool ok = run_scenario(&sim_scenarios[i], verbose, violation);
        printf("scenario %-20s %s %s\n", sim_scenarios[i].name, ok ? "ok" : "FAILED", violation);
        if (!ok) {
            g_scenario = sim_scenarios[i].name;
            print_replay();
            g_scenario = NULL;
            failed++;
        }
    }
    if (!found) {
        fprintf(stderr, "no scenario %s\n", only);
        return 2;
    }
    return failed == 0 ? 0 : 1;
}

/* ---- many seeds ---- */

static void worker(const struct args *a, uint64_t job, struct shared *sh)
{
    for (uint64_t i = job; i < a->seeds; i += a->jobs) {
        char violation[SIM_VIOLATION_SIZE];
        if (!run_seed(a->start + i, false, &sh->totals[job], violation)) {
            printf("seed %lu FAILED %s\n", (unsigned long)(a->start + i), violation);
            print_replay();
            sh->failed_seed[job] = a->start + i;
            exit(1);
        }
    }
    exit(0);
}

static int wait_all(uint64_t jobs)
{
    int failed = 0;
    for (uint64_t j = 0; j < jobs; j++) {
        int status = 0;
        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            failed = 1;
        }
    }
    return failed;
}

static struct shared *shared_new(void)
{
    void *p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                   -1, 0);
    if (p == MAP_FAILED) {
        abort();
    }
    memset(p, 0, sizeof(struct shared));
    return p;
}

static void print_totals(const struct shared *sh, uint64_t jobs)
{
    struct totals t = {0};
    for (uint64_t j = 0; j < jobs; j++) {
        const struct totals *c = &sh->totals[j];
        t.runs += c->runs;
        t.events += c->events;
        t.proposals += c->proposals;
        t.commits += c->commits;
        t.reads += c->reads;
        t.elections += c->elections;
        t.crashes += c->crashes;
        t.snapshots += c->snapshots;
        t.conf_changes += c->conf_changes;
        t.transfers += c->transfers;
        t.quiesced += c->quiesced;
    }
    printf("%lu seeds: %lu events, %lu proposals, %lu commits, %lu reads, %lu elections, "
           "%lu crashes, %lu snapshots, %lu configuration changes, %lu transfers, %lu sleeps\n",
           (unsigned long)t.runs, (unsigned long)t.events, (unsigned long)t.proposals,
           (unsigned long)t.commits, (unsigned long)t.reads, (unsigned long)t.elections,
           (unsigned long)t.crashes, (unsigned long)t.snapshots, (unsigned long)t.conf_changes,
           (unsigned long)t.transfers, (unsigned long)t.quiesced);
}

static int run_many(const struct args *a)
{
    int failed = run_scenarios(NULL, false);
    struct shared *sh = shared_new();
    fflush(stdout);
    for (uint64_t j = 0; j < a->jobs; j++) {
        if (fork() == 0) {
            worker(a, j, sh);
        }
    }
    failed |= wait_all(a->jobs);
    print_totals(sh, a->jobs);
    return failed;
}

/* ---- teeth ---- */

#ifdef SKEIN_RAFT_TEST_FLAGS
static const struct {
    unsigned flag;
    const char *name;
} teeth[] = {
    {RAFT_BREAK_COMMIT_OLD_TERM, "commit old terms by counting"},
    {RAFT_BREAK_COUNT_UNPERSISTED, "count the leader's undurable match"},
    {RAFT_BREAK_VOTE_IGNORES_LEASE, "vote in spite of a promise"},
    {RAFT_BREAK_VOTE_UNPERSISTED, "answer votes before they are durable"},
    {RAFT_BREAK_ACK_UNPERSISTED, "acknowledge undurable entries"},
    {RAFT_BREAK_READ_NO_QUORUM, "read index without a quorum"},
    {RAFT_BREAK_TRANSFER_KEEPS_LEASE, "keep the lease during a transfer"},
    {RAFT_BREAK_VOTE_STALE_LOG, "vote for a log that is behind"},
    {RAFT_BREAK_RESTART_FORGETS, "vote at once after a restart"},
    {RAFT_BREAK_JOINT_NEW_ONLY, "joint decisions by the new half"},
    {RAFT_BREAK_KEEP_EPOCH, "break a link's promise silently"},
    {RAFT_BREAK_APPEND_NO_CHECK, "append without a matching log"},
    {RAFT_BREAK_COMMIT_ALONE, "commit without a quorum"},
};

enum { CAUGHT_BY_SEED = 1, CAUGHT_BY_SCENARIO = 3 };

/* Runs in a process of its own: a failed assertion of the core is a catch too. */
static void bite(const struct args *a, unsigned flag, struct shared *sh, size_t slot)
{
    signal(SIGABRT, SIG_DFL);
    if (freopen("/dev/null", "w", stderr) == NULL) {
        exit(2);
    }
    raft_test_flags = flag;
    struct totals t = {0};
    char violation[SIM_VIOLATION_SIZE];
    for (uint64_t i = 0; i < a->seeds; i++) {
        sh->failed_seed[slot] = a->start + i;
        if (!run_seed(a->start + i, false, &t, violation)) {
            snprintf(sh->violation[slot], SIM_VIOLATION_SIZE, "%s", violation);
            exit(CAUGHT_BY_SEED);
        }
    }
    for (size_t i = 0; i < sim_scenario_count; i++) {
        bool ok = run_scenario(&sim_scenarios[i], false, violation);
        /* That a script could not be followed proves nothing. */
        if (!ok && strstr(violation, "script:") == NULL) {
            snprintf(sh->violation[slot], SIM_VIOLATION_SIZE, "%s", violation);
            sh->failed_seed[slot] = i;
            exit(CAUGHT_BY_SCENARIO);
        }
    }
    exit(0);
}

/* The catch counts only if the sound core passes the same run. */
static bool control(int code, uint64_t which)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        raft_test_flags = 0;
        struct totals t = {0};
        char violation[SIM_VIOLATION_SIZE];
        bool ok = code == CAUGHT_BY_SCENARIO ? run_scenario(&sim_scenarios[which], false, violation)
                                             : run_seed(which, false, &t, violation);
        exit(ok ? 0 : 1);
    }
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool print_bite(size_t i, int status, const struct shared *sh)
{
    bool assertion = !WIFEXITED(status);
    int code = assertion ? CAUGHT_BY_SEED : WEXITSTATUS(status);
    if (code == CAUGHT_BY_SEED) {
        printf("%-36s caught by seed %lu%s: sim_raft_teeth --break %u --seed %lu -v\n",
               teeth[i].name, (unsigned long)sh->failed_seed[i], assertion ? " (assertion)" : "",
               teeth[i].flag, (unsigned long)sh->failed_seed[i]);
    } else if (code == CAUGHT_BY_SCENARIO) {
        const char *name = sim_scenarios[sh->failed_seed[i]].name;
        printf("%-36s caught by scenario %s: sim_raft_teeth --break %u --scenario %s -v\n",
               teeth[i].name, name, teeth[i].flag, name);
    } else {
        printf("%-36s MISSED\n", teeth[i].name);
        return false;
    }
    printf("    %s\n", sh->violation[i]);
    if (!control(code, sh->failed_seed[i])) {
        printf("    but the sound core fails there too: no proof\n");
        return false;
    }
    return true;
}

static int run_teeth(const struct args *a)
{
    struct shared *sh = shared_new();
    pid_t pids[ARRAY_COUNT(teeth)];
    int statuses[ARRAY_COUNT(teeth)];
    int missed = 0;
    fflush(stdout);
    for (size_t next = 0, done = 0; done < ARRAY_COUNT(teeth);) {
        for (; next < ARRAY_COUNT(teeth) && next - done < a->jobs; next++) {
            pids[next] = fork();
            if (pids[next] == 0) {
                bite(a, teeth[next].flag, sh, next);
            }
        }
        if (waitpid(pids[done], &statuses[done], 0) < 0) {
            return 2;
        }
        done++;
    }
    for (size_t i = 0; i < ARRAY_COUNT(teeth); i++) {
        missed += print_bite(i, statuses[i], sh) ? 0 : 1;
    }
    printf("%zu deliberate faults, %d missed\n", ARRAY_COUNT(teeth), missed);
    return missed == 0 ? 0 : 1;
}
#else
static int run_teeth(const struct args *a)
{
    (void)a;
    fprintf(stderr, "this build has no deliberate faults: use sim_raft_teeth\n");
    return 2;
}
#endif

static bool parse_args(int argc, char **argv, struct args *ret_args)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
                                            {"start", required_argument, NULL, 's'},
                                            {"seed", required_argument, NULL, 'x'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"scenario", required_argument, NULL, 'c'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"teeth", no_argument, NULL, 't'},
                                            {"break", required_argument, NULL, 'b'},
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
        case 'c': ret_args->scenario = optarg; break;
        case 'v': ret_args->verbose = true; break;
        case 't': ret_args->teeth = true; break;
        case 'b': ret_args->breaks = (unsigned)value; break;
        default: return false;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct args a = {.start = 1, .seeds = 100, .jobs = 1};
    if (!parse_args(argc, argv, &a)) {
        fprintf(stderr,
                "usage: %s [--seeds N] [--start S] [--jobs J] | --seed X [-v] | --scenario NAME"
                " [-v] | --teeth\n",
                argv[0]);
        return 2;
    }
    signal(SIGABRT, on_abort);
#ifdef SKEIN_RAFT_TEST_FLAGS
    raft_test_flags = g_breaks = a.breaks;
#endif
    if (a.teeth) {
        return run_teeth(&a);
    }
    if (a.scenario != NULL) {
        return run_scenarios(a.scenario, a.verbose);
    }
    if (a.single) {
        struct totals t = {0};
        char violation[SIM_VIOLATION_SIZE];
        bool ok = run_seed(a.seed, a.verbose, &t, violation);
        printf("seed %lu %s %s\n", (unsigned long)a.seed, ok ? "ok" : "FAILED", violation);
        return ok ? 0 : 1;
    }
    return run_many(&a);
}
