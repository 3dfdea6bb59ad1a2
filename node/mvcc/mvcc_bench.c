/* Point gets and scans of 100 rows over 500,000 rows in the block cache, part of them rewritten in
 * memtables. Prints ns per get and us per scan. */
#include "node/mvcc/mvcc.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/assert.h"

#define MUST(call) ASSERT((call) == ERR_OK)

enum { ROWS = 500000, GETS = 300000, SCANS = 5000, SCAN_ROWS = 100, RECENT = 20000 };

static struct slice row_key(uint8_t out[18], uint64_t i)
{
    memset(out, 0, 18);
    out[0] = KEYSPACE_TABLE;
    put_be64(out + 1, 77);
    out[9] = 1;
    put_be64(out + 10, i ^ (1ull << 63));
    return slice_of(out, 18);
}

static void load(struct engine *e, uint64_t first, uint64_t count, uint64_t step, ts_t ts)
{
    struct engine_wbatch *wb;
    struct store_batch b;
    uint8_t key[18];
    char value[100];
    memset(value, 'x', sizeof(value));
    store_batch_init(&b);
    MUST(engine_wbatch_new(e, &wb));
    for (uint64_t i = 0; i < count; i++) {
        MUST(mvcc_write_version(&b, row_key(key, (first + i * step) % ROWS), ts, KV_PUT,
                                slice_of(value, sizeof(value))));
        if (i % 1000 == 999 || i + 1 == count) {
            MUST(engine_wbatch_add(wb, store_batch_encoded(&b)));
            MUST(engine_apply(e, wb, NULL));
            store_batch_reset(&b);
        }
    }
    engine_wbatch_free(wb);
    store_batch_fini(&b);
}

static void bench_gets(struct engine *e, bool writes)
{
    struct rand rnd;
    struct arena a;
    uint8_t key[18];
    size_t found = 0;
    arena_init(&a, NULL, NULL, 0);
    rand_seed(&rnd, 1);
    for (int warm = 0; warm < 2; warm++) {
        uint64_t t0 = clock_mono_ns();
        uint64_t spent_writing = 0;
        for (size_t i = 0; i < GETS; i++) {
            struct kv_value v;
            MUST(mvcc_get(e, row_key(key, rand_below(&rnd, ROWS)), 5000, &a, &v));
            found += v.found;
            arena_reset(&a);
            if (writes && i % 10 == 9) {
                uint64_t w0 = clock_mono_ns();
                load(e, rand_below(&rnd, ROWS), 1, 1, 6000 + i);
                spent_writing += clock_mono_ns() - w0;
            }
        }
        if (warm == 1) {
            (void)printf("get%s: %.0f ns (%zu found)\n", writes ? ", a write per 10" : "",
                         (double)(clock_mono_ns() - t0 - spent_writing) / GETS, found);
        }
    }
    arena_fini(&a);
}

static void bench_scans(struct engine *e, bool reverse)
{
    struct rand rnd;
    struct arena a;
    uint8_t from[18], to[18];
    size_t rows = 0;
    arena_init(&a, NULL, NULL, 0);
    rand_seed(&rnd, 2);
    uint64_t t0 = clock_mono_ns();
    for (size_t i = 0; i < SCANS; i++) {
        uint64_t at = rand_below(&rnd, ROWS - SCAN_ROWS);
        struct mvcc_scan s = {.start = row_key(from, at),
                              .end = row_key(to, at + SCAN_ROWS),
                              .read_ts = 5000,
                              .rows_max = 1000,
                              .reverse = reverse};
        struct mvcc_rows r = {0};
        MUST(mvcc_scan(e, &s, &a, &r));
        rows += r.count;
        arena_reset(&a);
    }
    (void)printf("scan of %d rows%s: %.1f us\n", SCAN_ROWS, reverse ? ", backward" : "",
                 (double)(clock_mono_ns() - t0) / SCANS / 1000);
    ASSERT(rows == (size_t)SCANS * SCAN_ROWS);
    arena_fini(&a);
}

int main(void)
{
    struct engine *e;
    struct engine_opts opts = {.path = "mvcc_bench.db", .memory_size = 512 << 20};
    ASSERT(system("rm -rf mvcc_bench.db") == 0);
    MUST(engine_open_rocks(&opts, NULL, &e));
    uint64_t t0 = clock_mono_ns();
    load(e, 0, ROWS, 7919, 1000);
    (void)printf("load: %.2f us a row\n", (double)(clock_mono_ns() - t0) / ROWS / 1000);
    MUST(engine_flush_wait(e));
    MUST(engine_compact(e, ENGINE_DATA, SLICE_EMPTY, SLICE_EMPTY));
    load(e, 1, RECENT, 104729, 2000);
    MUST(engine_flush_wait(e));
    load(e, 2, RECENT, 15485863, 3000);
    bench_gets(e, false);
    bench_scans(e, false);
    bench_scans(e, true);
    bench_gets(e, true);
    engine_close(e, true);
    ASSERT(system("rm -rf mvcc_bench.db") == 0);
    return 0;
}
