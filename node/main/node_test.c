#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test_main.h"
#include "base/faults.h"
#include "base/fiber.h"
#include "base/rand.h"
#include "cluster/kv/kv.h"
#include "node/main/node.h"
#include "sql/storage/conformance.h"

static char g_dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(g_dir, sizeof(g_dir), "./node_test.XXXXXX");
    return mkdtemp(g_dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char cmd[128];
    snprintf(cmd, sizeof(cmd), "rm -rf %s", g_dir);
    return system(cmd);
}

static struct loop_group *start_loops(unsigned count)
{
    struct loop_group_opts opts = {.count = count};
    struct loop_group *g;
    assert_int_equal(loop_group_start(&opts, &g), ERR_OK);
    return g;
}

static struct node *start_node(struct loop_group *loops, uint64_t range_size_max)
{
    struct node_opts opts = {.data_dir = g_dir,
                             .loops = loops,
                             .memory_size = 64 << 20,
                             .log_segment_size = 4 << 20,
                             .range_size_max = range_size_max};
    struct diag diag;
    struct node *n = NULL;
    diag_reset(&diag);
    db_err err = node_start(&opts, &diag, &n);
    if (err != ERR_OK) {
        fail_msg("node_start: %s: %s", err_name(err), diag.text);
    }
    return n;
}

struct conf_job {
    struct storage *s;
    struct conformance_opts opts;
    struct conformance_report report;
};

static void run_conformance(void *arg)
{
    struct conf_job *j = arg;
    storage_conformance_run(j->s, &j->opts, &j->report);
}

static void test_conformance(void **state)
{
    (void)state;
    struct loop_group *loops = start_loops(3);
    struct node *n = start_node(loops, 0);
    struct conf_job j = {
        .s = node_storage(n),
        .opts = {.loops = loops, .print = true, .seed = 1, .prefix = SLICE_LIT("\2c")}};
    assert_int_equal(loop_run_main(run_conformance, &j), ERR_OK);
    node_stop(n);
    loop_group_stop(loops);
    if (j.report.failed != 0) {
        fail_msg("%s", j.report.first);
    }
    assert_true(j.report.run > 20);
}

/* With write buffers that go to disk when they have a few entries: nothing else changes. */
static void test_conformance_spilled(void **state)
{
    (void)state;
    static const size_t entries[] = {1, 3};
    for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
        struct loop_group *loops = start_loops(3);
        struct node *n = start_node(loops, 0);
        struct cluster_storage_stats stats;
        char prefix[] = {2, 's', (char)('0' + i), 0};
        struct conf_job j = {.s = node_storage(n),
                             .opts = {.loops = loops, .seed = 1, .prefix = slice_str(prefix)}};
        cluster_storage_spill(j.s, entries[i], g_dir);
        assert_int_equal(loop_run_main(run_conformance, &j), ERR_OK);
        cluster_storage_stats(j.s, &stats);
        node_stop(n);
        loop_group_stop(loops);
        if (j.report.failed != 0) {
            fail_msg("%s", j.report.first);
        }
        printf("  %llu of %zu entries\n", (unsigned long long)stats.spills, entries[i]);
        assert_true(stats.spills > 30);
    }
}

/* ---- many ranges ---- */

struct split_job {
    struct node *n;
    struct slice *keys;
    size_t count;
    db_err err;
};

static db_err find_range(struct node *n, struct slice key, range_id_t *ret_id)
{
    struct arena a;
    struct range_desc *descs;
    unsigned count = 0;
    arena_init(&a, NULL, NULL, 0);
    db_err err = meta_lookup(node_meta(n), key, SLICE_EMPTY, 1, &a, NULL, &descs, &count);
    if (err == ERR_OK && (count != 1 || !range_desc_contains(&descs[0], key))) {
        err = ERR_NOT_FOUND;
    }
    if (err == ERR_OK) {
        *ret_id = descs[0].id;
    }
    arena_fini(&a);
    return err;
}

/* How long a range is waited for: a disk may stand still for seconds. */
#define RANGE_TIME_NS (60 * NS_PER_S)

/* A range that was merged needs a moment until the index has it. */
static db_err find_range_soon(struct node *n, struct slice key, range_id_t *ret_id)
{
    uint64_t until = clock_mono_ns() + RANGE_TIME_NS;
    db_err err = find_range(n, key, ret_id);
    while (err != ERR_OK && clock_mono_ns() < until) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
        err = find_range(n, key, ret_id);
    }
    return err;
}

static void run_splits(void *arg)
{
    struct split_job *j = arg;
    for (size_t i = 0; i < j->count && j->err == ERR_OK; i++) {
        range_id_t id;
        range_id_t new_id;
        struct diag diag;
        db_err err;
        uint64_t until = clock_mono_ns() + RANGE_TIME_NS;
        for (;;) { /* a range that was split needs a moment until it serves */
            diag_reset(&diag);
            err = find_range(j->n, j->keys[i], &id);
            if (err == ERR_OK) {
                err = range_store_split(node_ranges(j->n), id, j->keys[i], &diag, &new_id);
            }
            if (err == ERR_OK || clock_mono_ns() >= until) {
                break;
            }
            CHECK_OK(fiber_sleep(NS_PER_MS));
        }
        if (err != ERR_OK) {
            fprintf(stderr, "split: %s (%s)\n", err_name(err), diag.text);
        }
        j->err = err;
    }
}

/* The suite's keys are prefix | case | '/' | rest: splits fall into the middle of cases. */
static void test_conformance_many_ranges(void **state)
{
    (void)state;
    struct slice keys[] = {
        SLICE_LIT("\2cbank/\0\0\0\0\0\0\0\5"),
        SLICE_LIT("\2cincrements/\0\0\0\0\0\0\0\2"),
        SLICE_LIT("\2cinsert/b"),
        SLICE_LIT("\2cinsert_deferred/b"),
        SLICE_LIT("\2cinsert_race/11"),
        SLICE_LIT("\2cput_get_commit/b"),
        SLICE_LIT("\2crepeatable_read/b"),
        SLICE_LIT("\2csavepoints/b"),
        SLICE_LIT("\2cscan_big_rows/\0\0\0\0\0\0\0\7"),
        SLICE_LIT("\2cscan_limit/\0\0\0\0\0\0\0\7"),
        SLICE_LIT("\2cscan_merge/\0\0\0\0\0\0\0\x64"),
        SLICE_LIT("\2cscan_merge/\0\0\0\0\0\0\0\x80"),
        SLICE_LIT("\2cscan_random/\0\0\0\0\0\0\0\x64"),
        SLICE_LIT("\2cscan_random/\0\0\0\0\0\0\1\x64"),
        SLICE_LIT("\2cscan_while_writing/\0\0\0\0\0\0\1"),
        SLICE_LIT("\2csnapshot_conflict/b"),
        SLICE_LIT("\2cdeadlock/b"),
        SLICE_LIT("\2cdelete_range/\0\0\0\0\0\0\3"),
        SLICE_LIT("\2clock_scan_modes/\0\0\0\0\0\0\0\5"),
        SLICE_LIT("\2cmulti_get/\0\0\0\0\0\0\0\x40"),
    };
    struct loop_group *loops = start_loops(3);
    struct node *n = start_node(loops, 0);
    struct split_job sj = {.n = n, .keys = keys, .count = ARRAY_COUNT(keys)};
    assert_int_equal(loop_run_main(run_splits, &sj), ERR_OK);
    assert_int_equal(sj.err, ERR_OK);
    struct conf_job j = {
        .s = node_storage(n),
        .opts = {.loops = loops, .print = true, .seed = 2, .prefix = SLICE_LIT("\2c")}};
    assert_int_equal(loop_run_main(run_conformance, &j), ERR_OK);
    if (j.report.failed != 0) {
        fail_msg("%s", j.report.first);
    }
    struct cluster_storage_stats cs;
    cluster_storage_stats(node_storage(n), &cs);
    assert_true(cs.commits_1pc > 0 && cs.commits_async > 0 && cs.commits_2pc > 0);
    node_stop(n);
    n = start_node(loops, 0); /* and on what a restart finds */
    struct range_store_stats st;
    range_store_get_stats(node_ranges(n), &st);
    assert_int_equal(st.ranges, 2 + ARRAY_COUNT(keys));
    j.opts.only = "bank";
    j.opts.prefix = SLICE_LIT("\2x");
    assert_int_equal(
        loop_run_main(run_conformance, &(struct conf_job){.s = node_storage(n), .opts = j.opts}),
        ERR_OK);
    node_stop(n);
    loop_group_stop(loops);
}

/* Readers learn of a batch before its writer does: by an intent that has gone. */
static void test_late_writers(void **state)
{
    (void)state;
    static const char *const cases[] = {"bank", "insert"};
    struct slice keys[] = {SLICE_LIT("\2cbank/\0\0\0\0\0\0\0\5"), SLICE_LIT("\2cinsert/b"),
                           SLICE_LIT("\2cinsert_deferred/b")};
    struct loop_group *loops = start_loops(3);
    struct node *n = start_node(loops, 0);
    struct split_job sj = {.n = n, .keys = keys, .count = ARRAY_COUNT(keys)};
    assert_int_equal(loop_run_main(run_splits, &sj), ERR_OK);
    assert_int_equal(sj.err, ERR_OK);
    assert_int_equal(faults_set("store_batch_visible", "delay=1:prob=0.2"), ERR_OK);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct conf_job j = {
            .s = node_storage(n),
            .opts = {.loops = loops, .only = cases[i], .seed = 3, .prefix = SLICE_LIT("\2c")}};
        assert_int_equal(loop_run_main(run_conformance, &j), ERR_OK);
        if (j.report.failed != 0) {
            fail_msg("%s", j.report.first);
        }
    }
    faults_reset();
    node_stop(n);
    loop_group_stop(loops);
}

/* ---- splits while transactions run ---- */

struct load_job {
    struct node *n;
    struct loop_group *loops;
    struct conformance_report report;
    const char *only;
    char prefix[16];
    void (*reshape)(void *arg); /* NULL: splits alone */
    _Atomic bool splitting;
    unsigned splits;
};

static void splitter(void *arg)
{
    struct load_job *j = arg;
    for (unsigned i = 1; i < 4; i++) {
        char key[64];
        int len = snprintf(key, sizeof(key), "%s%s/", j->prefix, j->only);
        memset(key + len, 0, 7);
        key[len + 7] = (char)(i * 3 % 8);
        struct slice at = slice_of(key, (size_t)len + 8);
        struct split_job sj = {.n = j->n, .keys = &at, .count = 1};
        CHECK_OK(fiber_sleep(3 * NS_PER_MS));
        run_splits(&sj);
        CHECK_OK(sj.err);
        j->splits++;
    }
    j->splitting = false;
}

static void run_load(void *arg)
{
    struct load_job *j = arg;
    struct conformance_opts opts = {
        .loops = j->loops, .only = j->only, .seed = 5, .prefix = slice_str(j->prefix)};
    j->splitting = true;
    CHECK_OK(
        fiber_spawn(loop_group_get(j->loops, 0), j->reshape != NULL ? j->reshape : splitter, j));
    storage_conformance_run(node_storage(j->n), &opts, &j->report);
    while (j->splitting) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
}

/* The same range over and over: split in the middle of the case's keys, and merged again. */
static void reshaper(void *arg)
{
    struct load_job *j = arg;
    for (unsigned i = 0; i < 12; i++) {
        char key[64];
        range_id_t left = 0;
        range_id_t right;
        struct diag diag;
        int len = snprintf(key, sizeof(key), "%s%s/", j->prefix, j->only);
        memset(key + len, 0, 7);
        key[len + 7] = (char)(1 + i % 7);
        struct slice at = slice_of(key, (size_t)len + 8);
        struct split_job sj = {.n = j->n, .keys = &at, .count = 1};
        CHECK_OK(find_range_soon(j->n, at, &left));
        run_splits(&sj);
        CHECK_OK(sj.err);
        CHECK_OK(fiber_sleep(2 * NS_PER_MS));
        db_err err = ERR_BUSY;
        uint64_t until = clock_mono_ns() + RANGE_TIME_NS;
        while (err != ERR_OK && clock_mono_ns() < until) {
            diag_reset(&diag);
            err = range_store_merge(node_ranges(j->n), left, &diag, &right);
            CHECK_OK(fiber_sleep(NS_PER_MS));
        }
        CHECK_OK(err);
        j->splits++;
    }
    j->splitting = false;
}

static void test_merges_under_load(void **state)
{
    (void)state;
    struct loop_group *loops = start_loops(3);
    struct node *n = start_node(loops, 0);
    static const char *const cases[] = {"bank", "increments", "insert_race", "bank"};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct load_job j = {.n = n, .loops = loops, .only = cases[i], .reshape = reshaper};
        snprintf(j.prefix, sizeof(j.prefix), "\2%zu", i);
        assert_int_equal(loop_run_main(run_load, &j), ERR_OK);
        if (j.report.failed != 0) {
            fail_msg("%s", j.report.first);
        }
        assert_int_equal(j.splits, 12);
    }
    node_stop(n);
    loop_group_stop(loops);
}

static void test_splits_under_load(void **state)
{
    (void)state;
    struct loop_group *loops = start_loops(3);
    struct node *n = start_node(loops, 0);
    static const char *const cases[] = {"bank", "increments", "bank", "insert_race", "bank"};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct load_job j = {.n = n, .loops = loops, .only = cases[i]};
        snprintf(j.prefix, sizeof(j.prefix), "\2%zu", i);
        assert_int_equal(loop_run_main(run_load, &j), ERR_OK);
        if (j.report.failed != 0) {
            fail_msg("%s", j.report.first);
        }
        assert_int_equal(j.splits, 3);
    }
    node_stop(n);
    loop_group_stop(loops);
}

/* ---- restart ---- */

struct rows_job {
    struct storage *s;
    uint64_t from;
    uint64_t to;
    uint64_t found;
    uint64_t sequence;
    ts_t last_ts;
    db_err err;
};

static struct slice row_key(uint64_t n, uint8_t *buf)
{
    int len = snprintf((char *)buf, 32, "\2row/%010llu", (unsigned long long)n);
    return slice_of(buf, (size_t)len);
}

static void write_rows(void *arg)
{
    struct rows_job *j = arg;
    struct diag diag;
    for (uint64_t n = j->from; n < j->to; n++) {
        struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .autocommit = true};
        struct storage_txn *t;
        uint8_t buf[32];
        CHECK_OK(storage_txn_begin(j->s, &opts, &diag, &t));
        CHECK_OK(storage_put(t, row_key(n, buf), slice_of(&n, 8),
                             STORAGE_W_INSERT | STORAGE_W_DEFER, &diag));
        CHECK_OK(storage_txn_commit(t, &diag, &j->last_ts));
        CHECK_OK(storage_sequence_next(j->s, SLICE_LIT("\2seq"), 0, 1, 1, 0, &diag, &j->sequence));
    }
}

static void read_rows(void *arg)
{
    struct rows_job *j = arg;
    struct diag diag;
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
    struct storage_txn *t;
    struct storage_scan *scan;
    struct storage_scan_opts so = {.start = SLICE_LIT("\2row/"), .end = SLICE_LIT("\2row0")};
    CHECK_OK(storage_txn_begin(j->s, &opts, &diag, &t));
    CHECK_OK(storage_scan_open(t, &so, &diag, &scan));
    for (;;) {
        const struct storage_kv *rows;
        size_t count;
        CHECK_OK(storage_scan_next(scan, &diag, &rows, &count));
        if (count == 0) {
            break;
        }
        j->found += count;
    }
    storage_scan_close(scan);
    storage_txn_rollback(t);
}

static void test_restart(void **state)
{
    (void)state;
    struct loop_group *loops = start_loops(2);
    uint64_t last_sequence = 0;
    ts_t last_ts = 0;
    for (uint64_t round = 0; round < 4; round++) {
        struct node *n = start_node(loops, 0);
        struct rows_job r = {.s = node_storage(n)};
        assert_int_equal(loop_run_main(read_rows, &r), ERR_OK);
        assert_int_equal(r.found, round * 500);
        struct rows_job w = {.s = node_storage(n), .from = round * 500, .to = round * 500 + 500};
        assert_int_equal(loop_run_main(write_rows, &w), ERR_OK);
        assert_true(w.sequence == last_sequence + 500); /* a clean stop skips nothing */
        assert_true(w.last_ts > last_ts);
        last_sequence = w.sequence;
        last_ts = w.last_ts;
        node_stop(n);
    }
    loop_group_stop(loops);
}

static void test_second_start_refused(void **state)
{
    (void)state;
    struct loop_group *loops = start_loops(1);
    struct node *n = start_node(loops, 0);
    struct node_opts opts = {.data_dir = g_dir, .loops = loops};
    struct diag diag;
    struct node *second = NULL;
    diag_reset(&diag);
    assert_int_equal(node_start(&opts, &diag, &second), ERR_BUSY);
    assert_null(second);
    node_stop(n);
    loop_group_stop(loops);
}

/* ---- splits by size, the log forgotten ---- */

struct fill_job {
    struct node *n;
    db_err err;
    uint64_t ranges;
};

static void fill(void *arg)
{
    struct fill_job *j = arg;
    struct storage *s = node_storage(j->n);
    struct diag diag;
    static uint8_t value[4000];
    struct rand rand;
    rand_seed(&rand, 1);
    for (uint64_t n = 0; n < 4000; n += 20) {
        struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
        struct storage_txn *t;
        CHECK_OK(storage_txn_begin(s, &opts, &diag, &t));
        for (uint64_t k = n; k < n + 20; k++) {
            uint8_t buf[32];
            for (size_t i = 0; i < sizeof(value); i += 8) { /* does not compress */
                uint64_t x = rand_u64(&rand);
                memcpy(value + i, &x, 8);
            }
            CHECK_OK(storage_put(t, row_key((k * 7919) % 4000, buf), slice_of(value, sizeof(value)),
                                 STORAGE_W_BLIND, &diag));
        }
        CHECK_OK(storage_txn_commit(t, &diag, NULL));
        if (n % 1000 == 0) {
            range_store_upkeep(node_ranges(j->n), true);
        }
    }
    for (int i = 0; i < 4; i++) {
        range_store_upkeep(node_ranges(j->n), true);
    }
    struct range_store_stats st;
    range_store_get_stats(node_ranges(j->n), &st);
    j->ranges = st.ranges;
    struct range_status status;
    CHECK_OK(range_store_status(node_ranges(j->n), RANGE_ID_FIRST, &status));
    CHECK(status.compacted > 10 && status.compacted <= status.applied);
}

static void test_split_by_size(void **state)
{
    (void)state;
    struct loop_group *loops = start_loops(2);
    struct node *n = start_node(loops, 4 << 20);
    struct fill_job j = {.n = n};
    assert_int_equal(loop_run_main(fill, &j), ERR_OK);
    assert_true(j.ranges >= 4);
    struct rows_job r = {.s = node_storage(n)};
    assert_int_equal(loop_run_main(read_rows, &r), ERR_OK);
    assert_int_equal(r.found, 4000);
    node_stop(n);
    n = start_node(loops, 4 << 20);
    r = (struct rows_job){.s = node_storage(n)};
    assert_int_equal(loop_run_main(read_rows, &r), ERR_OK);
    assert_int_equal(r.found, 4000);
    node_stop(n);
    loop_group_stop(loops);
}

/* Nothing asks for a flush: what is in memory counts too. */
static void fill_fast(void *arg)
{
    struct fill_job *j = arg;
    struct storage *s = node_storage(j->n);
    struct diag diag;
    static uint8_t value[4000];
    struct rand rand;
    rand_seed(&rand, 1);
    for (uint64_t n = 0; n < 2000; n += 20) {
        struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
        struct storage_txn *t;
        CHECK_OK(storage_txn_begin(s, &opts, &diag, &t));
        for (uint64_t k = n; k < n + 20; k++) {
            uint8_t buf[32];
            for (size_t i = 0; i < sizeof(value); i += 8) {
                uint64_t x = rand_u64(&rand);
                memcpy(value + i, &x, 8);
            }
            CHECK_OK(storage_put(t, row_key((k * 7919) % 4000, buf), slice_of(value, sizeof(value)),
                                 STORAGE_W_BLIND, &diag));
        }
        CHECK_OK(storage_txn_commit(t, &diag, NULL));
    }
    struct range_store_stats st;
    uint64_t give_up = clock_mono_ns() + 20 * NS_PER_S;
    do {
        CHECK_OK(fiber_sleep(50 * NS_PER_MS));
        range_store_get_stats(node_ranges(j->n), &st);
    } while (st.ranges < 5 && clock_mono_ns() < give_up);
    j->ranges = st.ranges;
}

static void test_split_from_memory(void **state)
{
    (void)state;
    struct loop_group *loops = start_loops(2);
    struct node *n = start_node(loops, 2 << 20); /* 8 MB of rows; a memtable holds as much */
    struct fill_job j = {.n = n};
    assert_int_equal(loop_run_main(fill_fast, &j), ERR_OK);
    assert_true(j.ranges >= 5);
    node_stop(n);
    loop_group_stop(loops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_conformance, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_conformance_spilled, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_conformance_many_ranges, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_late_writers, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_splits_under_load, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_merges_under_load, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_restart, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_second_start_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_split_by_size, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_split_from_memory, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
