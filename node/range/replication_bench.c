#include <sys/resource.h>

#include "node/range/testing.h"

/* Three members in one process (all three nodes' work and their fsyncs on one machine):
 * replication_bench [ranges]. Prints writes per second and latency by number of writers, beside a
 * group of one member, and what many idle ranges cost. */

struct bench_writer {
    struct tcluster *c;
    unsigned id;
    _Atomic bool *stop;
    uint64_t count;
    uint64_t sum_ns;
    struct waiter done;
};

static void bench_fiber(void *arg)
{
    struct bench_writer *w = arg;
    char kb[32];
    uint8_t value[100];
    memset(value, 'x', sizeof(value));
    while (!atomic_load(w->stop)) {
        uint64_t t = clock_mono_ns();
        struct slice key = key_of(kb, w->id * 100000 + (unsigned)(w->count % 100000));
        CHECK_OK(t_put_on(w->c, 1, key, slice_of(value, sizeof(value))));
        w->sum_ns += clock_mono_ns() - t;
        w->count++;
    }
    wait_signal(&w->done, 0);
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

enum { WRITERS_MAX = 256 };

static void measure(struct tcluster *c, const char *what, unsigned writers)
{
    static struct bench_writer w[WRITERS_MAX];
    _Atomic bool stop = false;
    uint64_t packets = atomic_load(&c->packets);
    uint64_t began = clock_mono_ns();
    double cpu = cpu_s();
    memset(w, 0, sizeof(w));
    for (unsigned i = 0; i < writers; i++) {
        w[i] = (struct bench_writer){.c = c, .id = i, .stop = &stop};
        wait_init(&w[i].done);
        CHECK_OK(fiber_spawn(loop_group_get(c->loops, i % T_LOOPS), bench_fiber, &w[i]));
    }
    CHECK_OK(fiber_sleep(2 * NS_PER_S));
    atomic_store(&stop, true);
    uint64_t count = 0;
    uint64_t sum = 0;
    for (unsigned i = 0; i < writers; i++) {
        wait_block_uncancelable(&w[i].done);
        count += w[i].count;
        sum += w[i].sum_ns;
    }
    double s = (double)(clock_mono_ns() - began) / 1e9;
    printf("%-10s %3u writers: %8.0f writes/s, %6.0f us each, %5.1f us CPU and %.2f messages a "
           "write\n",
           what, writers, (double)count / s, (double)sum / (double)count / 1e3,
           (cpu_s() - cpu) * 1e6 / (double)count,
           (double)(atomic_load(&c->packets) - packets) / (double)count);
}

static unsigned g_ranges = 300;

static void idle_ranges(struct tcluster *c)
{
    struct diag diag;
    char kb[32];
    diag_reset(&diag);
    range_id_t last = 2;
    for (unsigned i = 1; i < g_ranges; i++) {
        range_id_t id;
        CHECK(t_wait_leader(c, last, 5 * NS_PER_S) == 1);
        CHECK_OK(range_store_split(c->nodes[1].rs, last, key_of(kb, 50000000 + i), &diag, &id));
        last = id;
    }
    struct range_store_stats st;
    for (int i = 0; i < 100; i++) {
        range_store_get_stats(c->nodes[1].rs, &st);
        if (st.asleep >= g_ranges) {
            break;
        }
        CHECK_OK(fiber_sleep(100 * NS_PER_MS));
    }
    uint64_t packets = atomic_load(&c->packets);
    double cpu = cpu_s();
    CHECK_OK(fiber_sleep(5 * NS_PER_S));
    printf("%u ranges of three members, %llu asleep: %.2f%% of a core for all three nodes, %.0f "
           "messages a second\n",
           g_ranges, (unsigned long long)st.asleep, (cpu_s() - cpu) / 5 * 100,
           (double)(atomic_load(&c->packets) - packets) / 5);
}

static void bench(struct tcluster *c)
{
    t_start_all(c);
    static const unsigned counts[] = {1, 8, 64, 256};
    for (size_t i = 0; i < 4; i++) {
        measure(c, "one", counts[i]);
    }
    CHECK_OK(t_add(c, 2, 2));
    CHECK_OK(t_add(c, 2, 3));
    for (size_t i = 0; i < 4; i++) {
        measure(c, "three", counts[i]);
    }
    idle_ranges(c);
    t_stop_all(c);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        g_ranges = (unsigned)strtoul(argv[1], NULL, 10);
    }
    t_run(3, bench);
    return 0;
}
