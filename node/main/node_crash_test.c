/* Kills a node again and again while it writes, and audits what it acknowledged.
 *
 * The child is this very program, started anew for each cycle. It reports on a pipe: first what it
 * found after the start (the audit), then every commit that was acknowledged to it. The parent
 * kills it at a random moment and compares the next audit with the acknowledgements: nothing
 * acknowledged may be missing, nothing may be there that was never asked for, and the bank's total
 * is constant. SKEIN_CRASH_CYCLES sets the number of cycles. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_main.h"
#include "base/faults.h"
#include "base/fiber.h"
#include "base/rand.h"
#include "node/main/node.h"

enum { WRITERS = 6, TELLERS = 4, ACCOUNTS = 12, MONEY = 1000 };

struct note {
    uint32_t
        kind; /* 0: audit of a writer's rows, 1: bank total, 2: ready, 3: a row is acknowledged */
    uint32_t who;
    uint64_t value;
};

static const char *g_program;

/* ---- the child ---- */

struct child {
    struct node *node;
    struct storage *s;
    int pipe;
    uint64_t next[WRITERS];
    uint64_t seed;
};

struct child_fiber {
    struct child *c;
    uint32_t index;
};

static void tell(struct child *c, uint32_t kind, uint32_t who, uint64_t value)
{
    struct note n = {kind, who, value};
    CHECK(write(c->pipe, &n, sizeof(n)) == sizeof(n)); /* below PIPE_BUF: atomic */
}

static struct slice key_of(uint8_t *buf, const char *table, uint32_t who, uint64_t n)
{
    int len = snprintf((char *)buf, 48, "\2%s/%02u/%012llu", table, who, (unsigned long long)n);
    return slice_of(buf, (size_t)len);
}

static struct storage_txn *begin(struct child *c, bool autocommit)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .autocommit = autocommit};
    struct storage_txn *t;
    CHECK_OK(storage_txn_begin(c->s, &opts, NULL, &t));
    return t;
}

/* A writer's rows must be 0, 1, 2, ... without a hole. */
static uint64_t count_rows(struct child *c, uint32_t who)
{
    uint8_t from[48];
    uint8_t to[48];
    uint64_t n = 0;
    struct storage_txn *t = begin(c, false);
    struct storage_scan_opts so = {.start = key_of(from, "row", who, 0),
                                   .end = key_of(to, "row", who, 999999999999ull)};
    struct storage_scan *scan;
    CHECK_OK(storage_scan_open(t, &so, NULL, &scan));
    for (;;) {
        const struct storage_kv *rows;
        size_t count;
        CHECK_OK(storage_scan_next(scan, NULL, &rows, &count));
        for (size_t i = 0; i < count; i++, n++) {
            uint8_t want[48];
            CHECK(slice_eq(rows[i].key, key_of(want, "row", who, n)));
            CHECK(rows[i].value.len == 200 && memcmp(rows[i].value.ptr, &n, 8) == 0);
        }
        if (count == 0) {
            break;
        }
    }
    storage_scan_close(scan);
    storage_txn_rollback(t);
    return n;
}

static uint64_t bank_total(struct child *c)
{
    uint64_t total = 0;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    struct storage_txn *t = begin(c, false);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        uint8_t buf[48];
        bool found = false;
        struct slice v;
        CHECK_OK(storage_get(t, key_of(buf, "acc", i, 0), STORAGE_READ_PLAIN, STORAGE_WAIT, &a,
                             NULL, &found, &v));
        if (found) {
            uint64_t money;
            memcpy(&money, v.ptr, 8);
            total += money;
        }
    }
    storage_txn_rollback(t);
    arena_fini(&a);
    return total;
}

static void open_bank(struct child *c)
{
    uint64_t money = MONEY;
    struct storage_txn *t = begin(c, false);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        uint8_t buf[48];
        CHECK_OK(storage_put(t, key_of(buf, "acc", i, 0), slice_of(&money, 8), 0, NULL));
    }
    CHECK_OK(storage_txn_commit(t, NULL, NULL));
}

static void writer(void *arg)
{
    struct child_fiber *f = arg;
    struct child *c = f->c;
    for (;;) {
        uint8_t buf[48];
        uint8_t value[200] = {0};
        uint64_t n = c->next[f->index];
        memcpy(value, &n, 8);
        struct storage_txn *t = begin(c, true);
        CHECK_OK(storage_put(t, key_of(buf, "row", f->index, n), slice_of(value, sizeof(value)),
                             STORAGE_W_INSERT | STORAGE_W_DEFER, NULL));
        CHECK_OK(storage_txn_commit(t, NULL, NULL));
        c->next[f->index]++;
        tell(c, 3, f->index, n);
    }
}

static db_err transfer(struct child *c, struct rand *rand, struct arena *a)
{
    uint32_t from = (uint32_t)rand_below(rand, ACCOUNTS);
    uint32_t to = (from + 1 + (uint32_t)rand_below(rand, ACCOUNTS - 1)) % ACCOUNTS;
    uint32_t who[2] = {from, to};
    uint64_t money[2];
    db_err err = ERR_OK;
    struct storage_txn *t = begin(c, false);
    for (int i = 0; i < 2; i++) {
        uint8_t buf[48];
        bool found = false;
        struct slice v;
        TRY_GOTO(storage_get(t, key_of(buf, "acc", who[i], 0), STORAGE_READ_EXCLUSIVE, STORAGE_WAIT,
                             a, NULL, &found, &v),
                 out);
        CHECK(found);
        memcpy(&money[i], v.ptr, 8);
    }
    uint64_t amount = money[0] == 0 ? 0 : rand_below(rand, money[0]) + 1;
    money[0] -= amount;
    money[1] += amount;
    for (int i = 0; i < 2; i++) {
        uint8_t buf[48];
        TRY_GOTO(storage_put(t, key_of(buf, "acc", who[i], 0), slice_of(&money[i], 8),
                             STORAGE_W_LOCKED, NULL),
                 out);
    }
    return storage_txn_commit(t, NULL, NULL);
out:
    storage_txn_rollback(t);
    return err;
}

static void teller(void *arg)
{
    struct child_fiber *f = arg;
    struct rand rand;
    struct arena a;
    rand_seed(&rand, f->c->seed + f->index);
    arena_init(&a, NULL, NULL, 0);
    for (;;) {
        arena_reset(&a);
        db_err err = transfer(f->c, &rand, &a);
        CHECK(err == ERR_OK || err == ERR_DEADLOCK);
    }
}

static void split_bank(struct child *c)
{
    struct range_store_stats st;
    range_store_get_stats(node_ranges(c->node), &st);
    if (st.ranges == 2) { /* transfers then go over two ranges, rows over another two */
        uint8_t buf[48];
        range_id_t id;
        struct diag diag;
        CHECK_OK(range_store_split(node_ranges(c->node), RANGE_ID_FIRST,
                                   key_of(buf, "row", WRITERS / 2, 0), &diag, &id));
        CHECK_OK(range_store_split(node_ranges(c->node), RANGE_ID_FIRST,
                                   key_of(buf, "acc", ACCOUNTS / 2, 0), &diag, &id));
    }
}

static void child_fiber_main(void *arg)
{
    struct child *c = arg;
    static struct child_fiber fibers[WRITERS + TELLERS];
    uint64_t total = bank_total(c);
    for (uint32_t i = 0; i < WRITERS; i++) {
        c->next[i] = count_rows(c, i);
        tell(c, 0, i, c->next[i]);
    }
    if (total == 0) {
        open_bank(c);
        total = bank_total(c);
    }
    tell(c, 1, 0, total);
    split_bank(c);
    tell(c, 2, 0, 0);
    struct loop_group *loops = *(struct loop_group **)fiber_get_local();
    for (uint32_t i = 0; i < WRITERS + TELLERS; i++) {
        fibers[i] = (struct child_fiber){c, i};
        CHECK_OK(fiber_spawn(loop_group_get(loops, i % loop_group_count(loops)),
                             i < WRITERS ? writer : teller, &fibers[i]));
    }
}

struct child_start {
    struct child *c;
    struct loop_group *loops;
};

static void child_entry(void *arg)
{
    struct child_start *s = arg;
    fiber_set_local(&s->loops);
    child_fiber_main(s->c);
}

/* One point by cycle, after some hits. */
static void arm(uint64_t seed)
{
    static const char *const points[] = {"txn_after_prewrite", "txn_after_primary",
                                         "range_before_submit", "range_before_apply",
                                         "range_before_split_apply"};
    char action[64];
    uint64_t cycle = seed / 100;
    const char *point = points[cycle / 2 % ARRAY_COUNT(points)];
    bool once = cycle / 2 % ARRAY_COUNT(points) == 4;
    if (cycle % 2 == 1) {
        snprintf(action, sizeof(action), "crash:after=%llu",
                 once ? 0ull : (unsigned long long)(cycle * 37 % 400));
        db_err err = faults_set(point, action);
        CHECK(err == ERR_OK || err == ERR_UNSUPPORTED);
    }
}

static int child_main(const char *dir, int fd, uint64_t seed)
{
    arm(seed);
    struct loop_group_opts lo = {.count = 2};
    struct child c = {.pipe = fd, .seed = seed};
    struct child_start start = {.c = &c};
    struct diag diag;
    diag_reset(&diag);
    CHECK_OK(loop_group_start(&lo, &start.loops));
    struct node_opts opts = {.data_dir = dir,
                             .loops = start.loops,
                             .memory_size = 32 << 20,
                             .log_segment_size = 1 << 20,
                             .log_size_max = 4 << 20};
    db_err err = node_start(&opts, &diag, &c.node);
    if (err != ERR_OK) {
        fprintf(stderr, "child: %s: %s\n", err_name(err), diag.text);
        return 1;
    }
    c.s = node_storage(c.node);
    CHECK_OK(fiber_spawn(loop_group_get(start.loops, 0), child_entry, &start));
    for (;;) {
        pause();
    }
}

/* ---- the parent ---- */

struct ledger {
    uint64_t acked[WRITERS]; /* rows acknowledged so far */
    uint64_t commits;
    uint64_t faults; /* cycles that ended at a fault point */
};

static pid_t start_child(const char *dir, int cycle, int *ret_fd)
{
    int fds[2];
    char fd_text[16];
    char seed_text[16];
    assert_int_equal(pipe(fds), 0);
    snprintf(fd_text, sizeof(fd_text), "%d", fds[1]);
    snprintf(seed_text, sizeof(seed_text), "%d", cycle * 100);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        execl(g_program, g_program, "--child", dir, fd_text, seed_text, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

static void take_note(struct ledger *l, const struct note *n)
{
    switch (n->kind) {
    case 0:
        if (n->value < l->acked[n->who] || n->value > l->acked[n->who] + 1) {
            fail_msg("writer %u: %llu rows acknowledged, %llu found", n->who,
                     (unsigned long long)l->acked[n->who], (unsigned long long)n->value);
        }
        l->acked[n->who] = n->value;
        break;
    case 1: assert_int_equal(n->value, ACCOUNTS * MONEY); break;
    case 3:
        assert_int_equal(n->value, l->acked[n->who]);
        l->acked[n->who]++;
        l->commits++;
        break;
    default: break;
    }
}

/* Reads until the child has ended; kills it some time after it is ready. */
static void run_cycle(const char *dir, int cycle, struct rand *rand, struct ledger *l)
{
    int fd;
    pid_t pid = start_child(dir, cycle, &fd);
    uint64_t kill_at = UINT64_MAX;
    bool killed = false;
    for (;;) {
        struct note n;
        ssize_t got = read(fd, &n, sizeof(n));
        if (got == 0) {
            break;
        }
        assert_int_equal(got, sizeof(n));
        take_note(l, &n);
        if (n.kind == 2) {
            kill_at = clock_mono_ns() + (5 + rand_below(rand, 250)) * NS_PER_MS;
        }
        if (!killed && clock_mono_ns() >= kill_at) {
            killed = true;
            assert_int_equal(kill(pid, SIGKILL), 0);
        }
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(fd);
    bool by_signal = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    bool by_fault = WIFEXITED(status) && WEXITSTATUS(status) == 137;
    l->faults += by_fault;
    if (!by_signal && !by_fault) {
        fail_msg("cycle %d: the child ended with status %d", cycle, status);
    }
}

static void test_kill(void **state)
{
    (void)state;
    char dir[64] = "./crash_test.XXXXXX";
    char cmd[128];
    struct ledger l = {0};
    struct rand rand;
    const char *cycles = getenv("SKEIN_CRASH_CYCLES");
    int count = cycles == NULL ? 12 : (int)strtol(cycles, NULL, 10);
    assert_non_null(mkdtemp(dir));
    rand_seed(&rand, (uint64_t)getpid());
    for (int i = 0; i <= count; i++) {
        run_cycle(dir, i, &rand, &l);
    }
    printf(
        "  %d kills (%llu at fault points), %llu acknowledged inserts, none lost, none invented\n",
        count + 1, (unsigned long long)l.faults, (unsigned long long)l.commits);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    assert_int_equal(system(cmd), 0);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "--child") == 0) {
        return child_main(argv[2], (int)strtol(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    }
    g_program = argv[0];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
