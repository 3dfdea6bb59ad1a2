/* Garbage collection of versions on a whole node: what a running transaction reads stays, through
 * flushes and compactions; what nobody reads goes; what is gone is an error and not a wrong answer.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/fiber.h"
#include "base/test_main.h"
#include "node/eval/eval.h"
#include "node/main/node.h"
#include "node/store/keyspace.h"

enum { ROWS = 50, WRITERS = 3, READERS = 4 };

struct world {
    struct loop_group *loops;
    struct node *n;
    struct storage *s;
    struct engine *e;
    _Atomic bool stop;
    _Atomic int running;
    _Atomic unsigned writes, rounds;
};

static struct slice key(struct arena *a, unsigned i)
{
    char *text = arena_printf(a, "\2gc/%03u", i);
    CHECK(text != NULL);
    return slice_str(text);
}

static struct storage_txn *begin(struct world *w, enum storage_isolation isolation)
{
    struct storage_txn_opts opts = {.isolation = isolation};
    struct storage_txn *t;
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &t));
    CHECK_OK(storage_txn_stmt_begin(t, NULL));
    return t;
}

/* All rows get the same number, in one transaction. */
static void write_all(struct world *w, unsigned value)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    struct storage_txn *t = begin(w, STORAGE_REPEATABLE_READ);
    for (unsigned i = 0; i < ROWS; i++) {
        char *text = arena_printf(&a, "%u", value);
        CHECK(text != NULL);
        CHECK_OK(storage_put(t, key(&a, i), slice_str(text), STORAGE_W_BLIND, NULL));
    }
    CHECK_OK(storage_txn_commit(t, NULL, NULL));
    arena_fini(&a);
}

/* The one number that all rows hold in the transaction's snapshot. */
static unsigned read_all(struct storage_txn *t)
{
    struct arena a;
    struct storage_scan *scan;
    const struct storage_kv *rows;
    size_t count;
    size_t seen = 0;
    unsigned value = 0;
    arena_init(&a, NULL, NULL, 0);
    struct storage_scan_opts so = {.start = key(&a, 0), .end = key(&a, ROWS), .batch_rows = 7};
    CHECK_OK(storage_scan_open(t, &so, NULL, &scan));
    for (;;) {
        CHECK_OK(storage_scan_next(scan, NULL, &rows, &count));
        if (count == 0) {
            break;
        }
        for (size_t i = 0; i < count; i++, seen++) {
            char text[16] = {0};
            CHECK(rows[i].value.len < sizeof(text));
            memcpy(text, rows[i].value.ptr, rows[i].value.len);
            unsigned v = (unsigned)strtoul(text, NULL, 10);
            CHECK(seen == 0 || v == value);
            value = v;
        }
    }
    storage_scan_close(scan);
    CHECK(seen == ROWS);
    arena_fini(&a);
    return value;
}

static void collect(struct world *w)
{
    /* the report of a node takes up to a second */
    uint64_t before = engine_safe_point(w->e);
    for (int i = 0; i < 4000 && engine_safe_point(w->e) == before; i++) {
        write_all(w, atomic_fetch_add(&w->writes, 1) + 1);
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    CHECK(engine_safe_point(w->e) > before);
    CHECK_OK(engine_flush_wait(w->e));
}

static void compact(void *arg)
{
    struct world *w = arg;
    CHECK_OK(engine_compact(w->e, ENGINE_DATA, SLICE_EMPTY, SLICE_EMPTY));
}

static size_t versions_of_row(struct world *w)
{
    struct arena a;
    struct slice at;
    struct engine_iter *it;
    size_t n = 0;
    arena_init(&a, NULL, NULL, 0);
    struct slice k = key(&a, 7);
    struct engine_iter_opts opts = {.tier = ENGINE_ANY, .keys = &k, .key_count = 1};
    CHECK_OK(data_key_make(&a, k, TS_MAX, &at));
    CHECK_OK(engine_iter_open(w->e, ENGINE_DATA, &opts, &it));
    for (CHECK_OK(engine_iter_seek(it, at)); it->valid; n++) {
        CHECK_OK(engine_iter_next(it));
    }
    engine_iter_close(it);
    arena_fini(&a);
    return n;
}

static void held_fiber(void *arg)
{
    struct world *w = arg;
    write_all(w, 1000000);
    struct storage_txn *t = begin(w, STORAGE_REPEATABLE_READ);
    CHECK(read_all(t) == 1000000);
    struct storage_txn *cursor = begin(w, STORAGE_READ_COMMITTED);
    struct arena a;
    struct storage_scan *scan;
    const struct storage_kv *rows;
    size_t count;
    arena_init(&a, NULL, NULL, 0);
    struct storage_scan_opts so = {.start = key(&a, 0), .end = key(&a, ROWS), .batch_rows = 5};
    CHECK_OK(storage_scan_open(cursor, &so, NULL, &scan));
    CHECK_OK(storage_scan_next(scan, NULL, &rows, &count));
    CHECK_OK(storage_txn_stmt_begin(cursor, NULL)); /* the next statement, the cursor is open */
    for (int i = 0; i < 2; i++) {
        collect(w);
        CHECK(read_all(t) == 1000000);
        CHECK(read_all(cursor) == atomic_load(&w->writes));
        CHECK_OK(storage_txn_stmt_begin(cursor, NULL));
        blocking_run(compact, w);
        CHECK(read_all(t) == 1000000);
    }
    CHECK_OK(storage_scan_next(scan, NULL, &rows, &count));
    CHECK(count > 0 && slice_eq(rows[0].value, SLICE_LIT("1000000")));
    storage_scan_close(scan);
    storage_txn_rollback(cursor);
    storage_txn_rollback(t);
    collect(w);
    collect(w); /* the first report may have come while the transactions still ran */
    blocking_run(compact, w);
    CHECK(versions_of_row(w) <
          150); /* of some 500: those since the last report, about a second's */

    struct storage_txn_opts opts = {
        .isolation = STORAGE_REPEATABLE_READ, .read_only = true, .as_of = 1000};
    bool found;
    struct slice v;
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &t));
    CHECK(storage_get(t, key(&a, 1), STORAGE_READ_PLAIN, STORAGE_WAIT, &a, NULL, &found, &v) ==
          ERR_SNAPSHOT_TOO_OLD);
    storage_txn_rollback(t);
    arena_fini(&a);
}

/* ---- many at once ---- */

static void writer(void *arg)
{
    struct world *w = arg;
    while (!atomic_load(&w->stop)) {
        write_all(w, atomic_fetch_add(&w->writes, 1) + 1);
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    atomic_fetch_sub(&w->running, 1);
}

static void reader(void *arg)
{
    struct world *w = arg;
    for (unsigned i = 0; !atomic_load(&w->stop); i++) {
        struct storage_txn *t = begin(w, STORAGE_REPEATABLE_READ);
        unsigned first = read_all(t);
        for (unsigned k = 0; k < i % 5; k++) {
            CHECK_OK(fiber_sleep(50 * (uint64_t)(i % 13) * NS_PER_MS / 4));
            CHECK(read_all(t) == first);
        }
        storage_txn_rollback(t);
        atomic_fetch_add(&w->rounds, 1);
    }
    atomic_fetch_sub(&w->running, 1);
}

static void load_fiber(void *arg)
{
    struct world *w = arg;
    write_all(w, 0);
    atomic_store(&w->stop, false);
    atomic_store(&w->running, WRITERS + READERS);
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        CHECK_OK(fiber_spawn(loop_group_get(w->loops, i % 2), i < WRITERS ? writer : reader, w));
    }
    struct engine_stats st = {0};
    for (int i = 0; i < 40 || (st.gc_versions == 0 && i < 1000); i++) { /* reports may be late */
        CHECK_OK(fiber_sleep(50 * NS_PER_MS));
        CHECK_OK(engine_flush_wait(w->e));
        if (i % 10 == 9) {
            blocking_run(compact, w);
            engine_get_stats(w->e, &st);
        }
    }
    atomic_store(&w->stop, true);
    while (atomic_load(&w->running) != 0) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    engine_get_stats(w->e, &st);
    CHECK(st.gc_versions > 0 && atomic_load(&w->rounds) > READERS);
}

static void start(struct world *w, const char *dir)
{
    struct diag diag;
    struct node_opts opts = {.data_dir = dir, .loops = w->loops, .memory_size = 32 << 20};
    struct arena a;
    struct range_desc *d;
    struct eval_range *er;
    unsigned n;
    diag_reset(&diag);
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(node_start(&opts, &diag, &w->n));
    w->s = node_storage(w->n);
    CHECK_OK(meta_lookup(node_meta(w->n), key(&a, 0), SLICE_EMPTY, 1, &a, NULL, &d, &n));
    CHECK_OK(range_store_find(node_ranges(w->n), d->id, &er));
    w->e = er->engine;
    range_store_done(er);
    arena_fini(&a);
}

static void test_gc(void **state)
{
    (void)state;
    char dir[64] = "./gc_test.XXXXXX";
    char cmd[128];
    static struct world w;
    struct loop_group_opts lo = {.count = 2};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(loop_group_start(&lo, &w.loops), ERR_OK);
    start(&w, dir);
    assert_int_equal(loop_run_main(held_fiber, &w), ERR_OK);
    node_stop(w.n);
    start(&w, dir);
    assert_int_equal(loop_run_main(load_fiber, &w), ERR_OK);
    node_stop(w.n);
    loop_group_stop(w.loops);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    assert_int_equal(system(cmd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gc)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
