/* Durable entries per second and their latency: this log, and the same entries in RocksDB's WAL
 * (sync = 1).
 *
 *     node_log_log_bench DIR [SECONDS [SPIN_US]]
 *
 * A producer is a loop that keeps `window` batches of `batch` entries on their way, each for a
 * group of its own. With SPIN_US only this log runs. The RocksDB side runs as many threads as there
 * are batches on their way, each with one WriteBatch at a time: that is how its group commit is
 * fed. Before them, the bare disk: one thread, write and fdatasync in a preallocated file. DIR must
 * be on the disk to be measured; what is made in it is removed. */
#include "node/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rocksdb/c.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/fiber.h"
#include "base/loop.h"

enum { SAMPLES_MAX = 2000000, PRODUCERS_MAX = 16, BATCH_MAX = 200 };

struct load {
    const char *dir;
    unsigned producers;
    unsigned window;
    unsigned batch;
    unsigned size;
    uint64_t duration_ns;
};

struct samples {
    uint32_t *us10; /* tenths of a microsecond */
    _Atomic size_t count;
};

static struct samples samples;

static void sample(uint64_t ns)
{
    size_t i = atomic_fetch_add(&samples.count, 1);
    if (i < SAMPLES_MAX) {
        samples.us10[i] = (uint32_t)(ns / 100);
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double cpu_seconds(void)
{
    struct rusage ru;
    (void)getrusage(RUSAGE_SELF, &ru);
    return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
           (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static void report(const char *name, const struct load *l, uint64_t entries, uint64_t ns,
                   double cpu)
{
    size_t n = atomic_load(&samples.count);
    n = n < SAMPLES_MAX ? n : SAMPLES_MAX;
    qsort(samples.us10, n, sizeof(samples.us10[0]), by_value);
    double secs = (double)ns / 1e9;
    printf("%-10s %2u x %2u x %3u  %9.0f entries/s  p50 %8.1f us  p99 %8.1f us  max %8.1f us  "
           "cpu %.2f us/entry\n",
           name, l->producers, l->window, l->batch, (double)entries / secs,
           n == 0 ? 0.0 : samples.us10[n / 2] / 10.0,
           n == 0 ? 0.0 : samples.us10[n * 99 / 100] / 10.0,
           n == 0 ? 0.0 : samples.us10[n - 1] / 10.0,
           entries == 0 ? 0.0 : cpu * 1e6 / (double)entries);
    (void)fflush(stdout);
    atomic_store(&samples.count, 0);
}

/* ---- the bare disk */

static void bench_raw(const struct load *l)
{
    char path[512];
    static uint8_t block[1 << 20];
    (void)snprintf(path, sizeof(path), "%s/raw", l->dir);
    int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
    ASSERT(fd >= 0);
    for (int i = 0; i < 64; i++) {
        ASSERT(pwrite(fd, block, sizeof(block), (off_t)i << 20) == (ssize_t)sizeof(block));
    }
    ASSERT(fsync(fd) == 0);
    memset(block, 7, sizeof(block));
    size_t size = l->batch * (l->size + 8) + 48;
    uint64_t t0 = clock_mono_ns();
    uint64_t n = 0;
    off_t off = 0;
    while (clock_mono_ns() - t0 < l->duration_ns / 2) {
        uint64_t a = clock_mono_ns();
        off = off + (off_t)size > 64 << 20 ? 0 : off;
        ASSERT(pwrite(fd, block, size, off) == (ssize_t)size);
        ASSERT(fdatasync(fd) == 0);
        off += (off_t)size;
        sample(clock_mono_ns() - a);
        n += l->batch;
    }
    report("fdatasync", l, n, clock_mono_ns() - t0, 0);
    (void)close(fd);
    (void)unlink(path);
}

/* ---- this log */

struct bench_log {
    struct raft_log *log;
    uint64_t until_ns;
    _Atomic uint64_t entries;
    _Atomic unsigned running;
};

struct slot {
    struct producer *producer;
    uint64_t group;
    uint64_t next_index;
    uint64_t started_ns;
};

struct producer {
    struct loop_task task;
    struct bench_log *bench;
    const struct load *load;
    struct loop *loop;
    struct slot slots[64];
    unsigned id;
};

static void slot_submit(struct slot *s);

static void slot_done(void *arg, db_err err)
{
    struct slot *s = arg;
    struct bench_log *b = s->producer->bench;
    ASSERT(err == ERR_OK);
    sample(clock_mono_ns() - s->started_ns);
    atomic_fetch_add_explicit(&b->entries, s->producer->load->batch, memory_order_relaxed);
    if (clock_mono_ns() < b->until_ns) {
        slot_submit(s);
    } else {
        atomic_fetch_sub(&b->running, 1);
    }
}

static void slot_submit(struct slot *s)
{
    static uint8_t data[4096];
    const struct load *l = s->producer->load;
    struct raft_log *log = s->producer->bench->log;
    struct raft_log_entry e[BATCH_MAX];
    struct raft_log_batch *b = NULL;
    for (unsigned i = 0; i < l->batch; i++) {
        e[i] = (struct raft_log_entry){s->next_index + i, 1, 0, slice_of(data, l->size)};
    }
    s->started_ns = clock_mono_ns();
    db_err err = raft_log_batch_new(log, l->batch * (l->size + 8u) + 256, &b);
    ASSERT(err == ERR_OK);
    err = raft_log_batch_append(b, s->group, e, l->batch);
    ASSERT(err == ERR_OK);
    if (s->next_index > 200000 && s->next_index % 5000 < l->batch) {
        err = raft_log_batch_compact(b, s->group, s->next_index - 100000, 1);
        ASSERT(err == ERR_OK);
    }
    s->next_index += l->batch;
    raft_log_submit(log, b, slot_done, s);
}

static void producer_start(struct loop_task *task)
{
    struct producer *p = CONTAINER_OF(task, struct producer, task);
    for (unsigned i = 0; i < p->load->window; i++) {
        p->slots[i] = (struct slot){p, 1 + p->id * 64u + i, 1, 0};
        slot_submit(&p->slots[i]);
    }
}

static db_err unlink_name(void *ctx, const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", (const char *)ctx, name);
    return disk_unlink(disk_real(), path);
}

static void remove_dir(char *dir)
{
    db_err err = disk_list(disk_real(), dir, unlink_name, dir);
    err = err_first(err, disk_rmdir(disk_real(), dir));
    ASSERT(err == ERR_OK);
}

static void bench_log(const struct load *l, unsigned spin_us)
{
    char dir[512];
    struct bench_log bench = {0};
    static struct producer producers[PRODUCERS_MAX];
    struct loop_group *loops = NULL;
    struct diag diag;
    const struct raft_log_opts opts = {.spin_us = spin_us};
    (void)snprintf(dir, sizeof(dir), "%s/log", l->dir);
    db_err err = disk_mkdir(disk_real(), dir);
    ASSERT(err == ERR_OK);
    err = raft_log_open(dir, &opts, &diag, &bench.log);
    ASSERT(err == ERR_OK);
    const struct loop_group_opts lo = {.count = l->producers};
    err = loop_group_start(&lo, &loops);
    ASSERT(err == ERR_OK);
    (void)usleep(300000); /* the spare segments are there */
    double cpu = cpu_seconds();
    uint64_t t0 = clock_mono_ns();
    bench.until_ns = t0 + l->duration_ns;
    atomic_store(&bench.running, l->producers * l->window);
    for (unsigned i = 0; i < l->producers; i++) {
        producers[i] = (struct producer){
            .bench = &bench, .load = l, .loop = loop_group_get(loops, i), .id = i};
        producers[i].task.fn = producer_start;
        loop_post(producers[i].loop, &producers[i].task);
    }
    while (atomic_load(&bench.running) != 0) {
        (void)usleep(1000);
    }
    uint64_t ns = clock_mono_ns() - t0;
    cpu = cpu_seconds() - cpu;
    loop_group_stop(loops);
    struct raft_log_stats st;
    raft_log_stats(bench.log, &st);
    report("skein log", l, atomic_load(&bench.entries), ns, cpu);
    printf("           rounds %llu (%.0f/s), %.1f KiB each, write %.1f us, sync %.1f us, wakeups "
           "%llu, "
           "stalls %llu, segments %llu\n",
           (unsigned long long)st.rounds, (double)st.rounds * 1e9 / (double)ns,
           (double)st.bytes / (double)st.rounds / 1024,
           (double)st.write_ns / (double)st.rounds / 1e3,
           (double)st.sync_ns / (double)st.rounds / 1e3, (unsigned long long)st.wakeups,
           (unsigned long long)st.stalls, (unsigned long long)st.newest_segment);
    raft_log_close(bench.log);
    remove_dir(dir);
}

/* ---- RocksDB's WAL */

struct rocks_thread {
    rocksdb_t *db;
    const struct load *load;
    uint64_t until_ns;
    uint64_t entries;
    uint64_t id;
};

static void *rocks_main(void *arg)
{
    struct rocks_thread *t = arg;
    static const char data[4096];
    rocksdb_writeoptions_t *wo = rocksdb_writeoptions_create();
    rocksdb_writebatch_t *wb = rocksdb_writebatch_create();
    rocksdb_writeoptions_set_sync(wo, 1);
    uint64_t index = 1;
    while (clock_mono_ns() < t->until_ns) {
        uint64_t a = clock_mono_ns();
        char *err = NULL;
        rocksdb_writebatch_clear(wb);
        for (unsigned i = 0; i < t->load->batch; i++, index++) {
            uint64_t key[2] = {__builtin_bswap64(t->id), __builtin_bswap64(index)};
            rocksdb_writebatch_put(wb, (const char *)key, sizeof(key), data, t->load->size);
        }
        rocksdb_write(t->db, wo, wb, &err);
        ASSERT(err == NULL);
        sample(clock_mono_ns() - a);
        t->entries += t->load->batch;
    }
    rocksdb_writebatch_destroy(wb);
    rocksdb_writeoptions_destroy(wo);
    return NULL;
}

static void bench_rocks(const struct load *l)
{
    char dir[512];
    char *err = NULL;
    static struct rocks_thread t[256];
    static pthread_t threads[256];
    unsigned n = l->producers * l->window;
    (void)snprintf(dir, sizeof(dir), "%s/rocks", l->dir);
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_write_buffer_size(o, 256u << 20);
    rocksdb_options_set_max_write_buffer_number(o, 4);
    rocksdb_options_set_recycle_log_file_num(o, 4);
    rocksdb_options_set_disable_auto_compactions(o, 1);
    rocksdb_t *db = rocksdb_open(o, dir, &err);
    ASSERT(err == NULL);
    double cpu = cpu_seconds();
    uint64_t t0 = clock_mono_ns();
    for (unsigned i = 0; i < n; i++) {
        t[i] = (struct rocks_thread){db, l, t0 + l->duration_ns, 0, i};
        ASSERT(pthread_create(&threads[i], NULL, rocks_main, &t[i]) == 0);
    }
    uint64_t entries = 0;
    for (unsigned i = 0; i < n; i++) {
        (void)pthread_join(threads[i], NULL);
        entries += t[i].entries;
    }
    report("rocksdb", l, entries, clock_mono_ns() - t0, cpu_seconds() - cpu);
    rocksdb_close(db);
    rocksdb_destroy_db(o, dir, &err);
    rocksdb_options_destroy(o);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: %s DIR [SECONDS] [SPIN_US]\n", argv[0]);
        return 2;
    }
    uint64_t seconds = argc > 2 ? strtoull(argv[2], NULL, 10) : 3;
    unsigned spin = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    static const struct load loads[] = {
        {.producers = 1, .window = 1, .batch = 1, .size = 128},
        {.producers = 4, .window = 8, .batch = 1, .size = 128},
        {.producers = 1, .window = 1, .batch = 100, .size = 128},
        {.producers = 1, .window = 8, .batch = 100, .size = 128},
        {.producers = 2, .window = 8, .batch = 100, .size = 128},
        {.producers = 4, .window = 4, .batch = 100, .size = 128},
        {.producers = 4, .window = 16, .batch = 100, .size = 128},
    };
    samples.us10 = mem_calloc(SAMPLES_MAX, sizeof(samples.us10[0]));
    ASSERT(samples.us10 != NULL);
    (void)mkdir(argv[1], 0700);
    printf("producers x window x batch, entries of 128 bytes\n");
    for (size_t i = 0; i < ARRAY_COUNT(loads); i++) {
        struct load l = loads[i];
        l.dir = argv[1];
        l.duration_ns = seconds * NS_PER_S;
        if (l.producers == 1 && l.window == 1) {
            bench_raw(&l);
        }
        bench_log(&l, spin);
        if (argc <= 3) {
            bench_rocks(&l);
        }
    }
    mem_free(samples.us10);
    return 0;
}
