#include "tests/sim/nodes/run.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/faults.h"

/* A run: the members start and join, the first ranges get their replicas, rows are loaded, clients
 * work while faults happen; then all heals, the clients end, and everything is read and judged. */

#define FAULTS_NS  (8 * NS_PER_S)
#define QUIET_NS   (3 * NS_PER_S)
#define RUN_MAX_NS (300 * NS_PER_S)

static uint64_t g_seed; /* that runs in this process */
static const char *g_program;
static const char *g_options;
static char g_dir[DIR_SIZE];

static void draw_settings(struct world *w)
{
    w->gc_age_ms = 500 + rand_below(&w->rand, 5000);
    w->log_size_max = (32 << 10) << rand_below(&w->rand, 6);
    w->merge_after_ms = rand_below(&w->rand, 2) == 0 ? 0 : 2000;
    w->dead_after_ms = rand_below(&w->rand, 2) == 0 ? 60000 : 3000;
}

/* Coordinators that take their time: intents of commits that were acknowledged stay a while, and
 * some are written when others have given the transaction up. Calls that are lost and come late. */
static void arm_faults(struct world *w)
{
    char list[512];
    struct diag diag = {0};
    snprintf(list, sizeof(list),
             "txn_before_finish=delay=%u:prob=0.05:seed=%llu;"
             "txn_prewrite_group=delay=%u:prob=0.003:seed=%llu;"
             "kv_call_lost=drop:prob=0.02:seed=%llu;kv_call_late=delay=%u",
             100 + (unsigned)rand_below(&w->rand, 900), (unsigned long long)w->opts.seed,
             3000 + (unsigned)rand_below(&w->rand, 1500), (unsigned long long)w->opts.seed,
             (unsigned long long)w->opts.seed, 1 + (unsigned)rand_below(&w->rand, 400));
    db_err err = faults_set_list(list, &diag);
    ASSERT(err == ERR_OK || err == ERR_UNSUPPORTED); /* not in every build */
}

static void start_all(struct world *w)
{
    for (unsigned i = 1; i <= w->opts.members && !w->failed; i++) {
        member_start(&w->members[i]);
        if (!member_wait_up(&w->members[i], 60 * NS_PER_S) && !w->failed) {
            world_stuck(w, "%s does not come up", w->members[i].host);
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
            world_stuck(w, "the first ranges do not get three replicas");
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
            world_stuck(w,
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
    faults_run(w, FAULTS_NS);
    faults_heal(w);
    db_err err = fiber_sleep(QUIET_NS);
    (void)err;
    wait_clients(w);
    if (!w->failed) {
        workload_judge(w);
    }
}

static void print_replay(uint64_t seed)
{
    printf("    replay: %s%s --seed %llu -v\n", g_program, g_options, (unsigned long long)seed);
}

bool run_seed(uint64_t seed, bool verbose, bool quiet, struct run_result *result)
{
    static struct world w; /* the log's sink looks at it to the very end */
    struct rand r;
    rand_seed(&r, seed ^ 0x5eed);
    unsigned size = (unsigned)rand_below(&r, 8);
    struct world_opts o = {.seed = seed,
                           .verbose = verbose,
                           .members = size == 0   ? 6
                                      : size == 1 ? 5
                                                  : 3,
                           .loops = 1 + (unsigned)rand_below(&r, 2)};
    g_seed = seed;
    world_init(&w, &o);
    snprintf(g_dir, sizeof(g_dir), "%s", w.dir);
    draw_settings(&w);
    arm_faults(&w);
    world_run(&w, scenario, RUN_MAX_NS);
    if (w.failed) {
        faults_tell_ranges(&w);
    }
    result->digest = loop_group_sim_digest(w.group) * 31 + w.tick;
    result->totals = w.totals;
    result->ended = true;
    result->stuck = w.stuck;
    snprintf(result->violation, sizeof(result->violation), "%s", w.violation);
    world_fini(&w);
    if (w.failed && !quiet) {
        printf("seed %llu FAILED %s\n", (unsigned long long)seed, w.violation);
        print_replay(seed);
    }
    fflush(stdout);
    return !w.failed;
}

static void remove_files(void)
{
    char text[256];
    if (g_dir[0] != '\0') {
        snprintf(text, sizeof(text), "rm -rf %s", g_dir);
        int rc = system(text);
        (void)rc;
    }
}

static void on_abort(int sig)
{
    char text[512];
    (void)sig;
    if (g_seed != 0) {
        int n =
            snprintf(text, sizeof(text), "seed %llu ABORTED\n    replay: %s%s --seed %llu -v\n",
                     (unsigned long long)g_seed, g_program, g_options, (unsigned long long)g_seed);
        ssize_t written = write(STDERR_FILENO, text, (size_t)n);
        (void)written;
    }
    remove_files();
    signal(SIGABRT, SIG_DFL);
    raise(SIGABRT);
}

void run_prepare(const char *program, const char *options)
{
    g_program = program;
    g_options = options;
    signal(SIGABRT, on_abort);
}

/* What killed nodes leave behind goes with the process. */
bool run_apart(uint64_t seed, bool quiet, struct run_result *result)
{
    int status = 0;
    fflush(stdout);
    *result = (struct run_result){0};
    pid_t pid = fork();
    if (pid == 0) {
        if (quiet && freopen("/dev/null", "w", stderr) == NULL) {
            _exit(2);
        }
        _exit(run_seed(seed, false, quiet, result) ? 0 : 1);
    }
    bool ended = waitpid(pid, &status, 0) == pid;
    if (!quiet && ended && WIFSIGNALED(status)) { /* it could not say so itself */
        printf("seed %llu FAILED it died of signal %d\n", (unsigned long long)seed,
               WTERMSIG(status));
    }
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void *run_shared(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(p != MAP_FAILED);
    memset(p, 0, size);
    return p;
}
