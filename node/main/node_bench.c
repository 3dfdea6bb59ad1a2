/* What the way from the storage interface to the disk costs: point reads and one-row commits over a
 * real node, beside the bare fdatasync of this disk.
 *
 *   node_main_node_bench [loops] [seconds per run] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/rand.h"
#include "node/main/node.h"

enum { ROWS = 100000, FIBERS_MAX = 64, SAMPLES = 1 << 16 };

struct bench {
    struct loop_group *loops;
    struct storage *s;
    unsigned fibers;
    uint64_t until_ns;
    void (*op)(struct bench *b, struct rand *rand, struct arena *a);
    _Atomic uint64_t done;
    _Atomic unsigned running;
    uint64_t *latency; /* ns, sampled */
    _Atomic uint64_t samples;
};

struct bench_fiber {
    struct bench *b;
    unsigned index;
};

static struct slice key_of(uint8_t *buf, uint64_t n)
{
    memcpy(buf, "\2bench/", 7);
    for (int i = 0; i < 8; i++) {
        buf[7 + i] = (uint8_t)(n >> (56 - 8 * i));
    }
    return slice_of(buf, 15);
}

static void op_get(struct bench *b, struct rand *rand, struct arena *a)
{
    uint8_t buf[16];
    struct storage_txn_opts opts = {
        .isolation = STORAGE_REPEATABLE_READ, .autocommit = true, .single_get = true};
    struct storage_txn *t;
    bool found = false;
    struct slice v;
    db_err err = storage_txn_begin(b->s, &opts, NULL, &t);
    ASSERT(err == ERR_OK);
    err = storage_get(t, key_of(buf, rand_below(rand, ROWS)), STORAGE_READ_PLAIN, STORAGE_WAIT, a,
                      NULL, &found, &v);
    ASSERT(err == ERR_OK && found);
    err = storage_txn_commit(t, NULL, NULL);
    ASSERT(err == ERR_OK);
}

static void op_put(struct bench *b, struct rand *rand, struct arena *a)
{
    uint8_t buf[16];
    uint8_t value[120] = {1};
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .autocommit = true};
    struct storage_txn *t;
    (void)a;
    db_err err = storage_txn_begin(b->s, &opts, NULL, &t);
    ASSERT(err == ERR_OK);
    err = storage_put(t, key_of(buf, rand_below(rand, ROWS)), slice_of(value, sizeof(value)),
                      STORAGE_W_BLIND, NULL);
    ASSERT(err == ERR_OK);
    err = storage_txn_commit(t, NULL, NULL);
    ASSERT(err == ERR_OK);
}

/* As UPDATE ... WHERE pk = ?: lock and read, write, commit. */
static void op_update(struct bench *b, struct rand *rand, struct arena *a)
{
    uint8_t buf[16];
    uint8_t value[120] = {2};
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .autocommit = true};
    struct storage_txn *t;
    bool found = false;
    struct slice v;
    db_err err = storage_txn_begin(b->s, &opts, NULL, &t);
    ASSERT(err == ERR_OK);
    struct slice key = key_of(buf, rand_below(rand, ROWS));
    err = storage_get(t, key, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, a, NULL, &found, &v);
    ASSERT(err == ERR_OK && found);
    err = storage_put(t, key, slice_of(value, sizeof(value)), STORAGE_W_LOCKED, NULL);
    ASSERT(err == ERR_OK);
    err = storage_txn_commit(t, NULL, NULL);
    ASSERT(err == ERR_OK);
}

static void bench_fiber(void *arg)
{
    struct bench_fiber *f = arg;
    struct bench *b = f->b;
    struct rand rand;
    struct arena a;
    uint64_t done = 0;
    rand_seed(&rand, f->index + 1);
    arena_init(&a, NULL, NULL, 0);
    for (uint64_t now = clock_mono_ns(); now < b->until_ns;) {
        arena_reset(&a);
        b->op(b, &rand, &a);
        uint64_t end = clock_mono_ns();
        if ((done++ & 7) == 0) {
            b->latency[atomic_fetch_add(&b->samples, 1) % SAMPLES] = end - now;
        }
        now = end;
        db_err err = fiber_checkpoint();
        ASSERT(err == ERR_OK);
    }
    arena_fini(&a);
    atomic_fetch_add(&b->done, done);
    atomic_fetch_sub(&b->running, 1);
}

static int cmp_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void run(struct bench *b, const char *name, unsigned fibers, double seconds,
                void (*op)(struct bench *b, struct rand *rand, struct arena *a))
{
    static struct bench_fiber f[FIBERS_MAX];
    b->op = op;
    atomic_store(&b->done, 0);
    atomic_store(&b->samples, 0);
    atomic_store(&b->running, fibers);
    uint64_t start = clock_mono_ns();
    b->until_ns = start + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < fibers; i++) {
        f[i] = (struct bench_fiber){b, i};
        db_err err = fiber_spawn(loop_group_get(b->loops, i % loop_group_count(b->loops)),
                                 bench_fiber, &f[i]);
        ASSERT(err == ERR_OK);
    }
    while (atomic_load(&b->running) != 0) {
        usleep(1000);
    }
    double took = (double)(clock_mono_ns() - start) / 1e9;
    size_t n = b->samples < SAMPLES ? b->samples : SAMPLES;
    qsort(b->latency, n, sizeof(*b->latency), cmp_u64);
    printf("%-22s %3u fibers  %10.0f /s   p50 %8.1f us   p99 %8.1f us\n", name, fibers,
           (double)b->done / took, n == 0 ? 0 : (double)b->latency[n / 2] / 1e3,
           n == 0 ? 0 : (double)b->latency[n * 99 / 100] / 1e3);
    fflush(stdout);
}

static void load(void *arg)
{
    struct bench *b = arg;
    uint8_t value[120] = {0};
    for (uint64_t n = 0; n < ROWS; n += 1000) {
        struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
        struct storage_txn *t;
        db_err err = storage_txn_begin(b->s, &opts, NULL, &t);
        ASSERT(err == ERR_OK);
        for (uint64_t k = n; k < n + 1000; k++) {
            uint8_t buf[16];
            err = storage_put(t, key_of(buf, k), slice_of(value, sizeof(value)), STORAGE_W_BLIND,
                              NULL);
            ASSERT(err == ERR_OK);
        }
        err = storage_txn_commit(t, NULL, NULL);
        ASSERT(err == ERR_OK);
    }
}

static void bare_sync(const char *dir)
{
    char path[128];
    uint8_t block[4096] = {0};
    snprintf(path, sizeof(path), "%s/bare", dir);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    ASSERT(fd >= 0);
    ASSERT(posix_fallocate(fd, 0, 16 << 20) == 0 && fsync(fd) == 0);
    for (off_t at = 0; at < 16 << 20; at += (off_t)sizeof(block)) { /* no unwritten extents */
        ASSERT(pwrite(fd, block, sizeof(block), at) == (ssize_t)sizeof(block));
    }
    ASSERT(fsync(fd) == 0);
    enum { N = 500 };
    uint64_t start = clock_mono_ns();
    for (int i = 0; i < N; i++) {
        block[0] = (uint8_t)i;
        ASSERT(pwrite(fd, block, sizeof(block), (off_t)i * 4096) == (ssize_t)sizeof(block));
        ASSERT(fdatasync(fd) == 0);
    }
    double us = (double)(clock_mono_ns() - start) / 1e3 / N;
    printf("%-22s              %10.0f /s   mean %7.1f us\n", "bare write+fdatasync", 1e6 / us, us);
    close(fd);
}

int main(int argc, char **argv)
{
    char dir[64] = "./node_bench.XXXXXX";
    char cmd[128];
    struct loop_group_opts lo = {.count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 4};
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 2.0;
    struct bench b = {0};
    struct node *n;
    struct diag diag;
    static const unsigned fibers[] = {1, 8, 32};
    diag_reset(&diag);
    ASSERT(mkdtemp(dir) != NULL);
    bare_sync(dir);
    b.latency = mem_calloc(SAMPLES, sizeof(*b.latency));
    db_err err = loop_group_start(&lo, &b.loops);
    ASSERT(err == ERR_OK && b.latency != NULL);
    struct node_opts opts = {.data_dir = dir, .loops = b.loops};
    uint64_t start = clock_mono_ns();
    err = node_start(&opts, &diag, &n);
    ASSERT(err == ERR_OK);
    printf("node_start of a new directory: %.1f ms, %u loops\n",
           (double)(clock_mono_ns() - start) / 1e6, lo.count);
    b.s = node_storage(n);
    err = loop_run_main(load, &b);
    ASSERT(err == ERR_OK);
    for (size_t i = 0; i < ARRAY_COUNT(fibers); i++) {
        run(&b, "point get", fibers[i], seconds, op_get);
    }
    for (size_t i = 0; i < ARRAY_COUNT(fibers); i++) {
        run(&b, "1PC commit, one row", fibers[i], seconds, op_put);
    }
    for (size_t i = 0; i < ARRAY_COUNT(fibers); i++) {
        run(&b, "lock, write, commit", fibers[i], seconds, op_update);
    }
    struct range_store_stats st;
    range_store_get_stats(node_ranges(n), &st);
    printf("proposals %llu, log submissions %llu, engine batches %llu, owner moves %llu\n",
           (unsigned long long)st.proposals, (unsigned long long)st.log_submits,
           (unsigned long long)st.applies, (unsigned long long)st.owner_moves);
    start = clock_mono_ns();
    node_stop(n);
    printf("node_stop: %.1f ms\n", (double)(clock_mono_ns() - start) / 1e6);
    loop_group_stop(b.loops);
    mem_free(b.latency);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    return system(cmd);
}
