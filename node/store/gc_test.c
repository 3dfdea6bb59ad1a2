/* Garbage collection against a model: whatever is flushed and compacted when, every point that is
 * protected reads what it read before, and scans that pay for old versions get rid of them. */
#include "node/store/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/test_main.h"
#include "node/store/keyspace.h"

enum { KEYS = 12, VERSIONS = 3000, POINTS = 5 };

struct version {
    uint64_t ts;
    unsigned key;
    bool del;
};

struct world {
    struct engine *e;
    struct engine_wbatch *b;
    struct arena a;
    char dir[64];
    struct version v[VERSIONS];
    size_t count;
    uint64_t safe;
    uint64_t points[POINTS];
    size_t point_count;
};

static void open_world(struct world *w, const char *name)
{
    struct diag d;
    diag_reset(&d);
    memset(w, 0, sizeof(*w));
    (void)snprintf(w->dir, sizeof(w->dir), "gc_test_%d_%s", (int)getpid(), name);
    struct engine_opts opts = {.path = w->dir, .memory_size = 32 << 20};
    CHECK_OK(engine_open_rocks(&opts, &d, &w->e));
    CHECK_OK(engine_wbatch_new(w->e, &w->b));
    arena_init(&w->a, NULL, NULL, 0);
}

static void close_world(struct world *w)
{
    char cmd[128];
    engine_wbatch_free(w->b);
    engine_close(w->e, false);
    arena_fini(&w->a);
    (void)snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", w->dir);
    CHECK(system(cmd) == 0);
}

static struct slice user_key(struct world *w, unsigned key)
{
    char *text = arena_printf(&w->a, "key%.*s%u", (int)(key % 3), "xy", key);
    CHECK(text != NULL);
    return slice_str(text);
}

static void put(struct world *w, unsigned key, uint64_t ts, bool del)
{
    struct slice k;
    char value[32];
    (void)snprintf(value, sizeof(value), del ? "D" : "P%llu", (unsigned long long)ts);
    CHECK_OK(data_key_make(&w->a, user_key(w, key), ts, &k));
    CHECK_OK(engine_wbatch_put(w->b, ENGINE_DATA, k, slice_str(value)));
    CHECK_OK(engine_apply(w->e, w->b, NULL));
}

/* Does the store say at ts what the model says? */
static void check_at(struct world *w, unsigned key, uint64_t ts)
{
    const struct version *want = NULL;
    struct slice user = user_key(w, key);
    struct slice at;
    struct engine_iter *it;
    for (size_t i = 0; i < w->count; i++) {
        if (w->v[i].key == key && w->v[i].ts <= ts) {
            want = &w->v[i];
        }
    }
    CHECK_OK(data_key_make(&w->a, user, ts, &at));
    struct engine_iter_opts opts = {.tier = ENGINE_ANY, .keys = &user, .key_count = 1};
    CHECK_OK(engine_iter_open(w->e, ENGINE_DATA, &opts, &it));
    CHECK_OK(engine_iter_seek(it, at));
    if (want == NULL || want->del) {
        CHECK(!it->valid || it->value.ptr[0] == DATA_DELETE);
    } else {
        CHECK(it->valid && data_key_ts(it->key) == want->ts && it->value.ptr[0] == DATA_PUT);
    }
    engine_iter_close(it);
}

static void check_all(struct world *w, struct rand *rnd, uint64_t now)
{
    for (unsigned key = 0; key < KEYS; key++) {
        check_at(w, key, UINT64_MAX - 1);
        check_at(w, key, w->safe + rand_below(rnd, now - w->safe + 1));
        for (size_t i = 0; i < w->point_count; i++) {
            CHECK(engine_may_read(w->e, w->points[i]));
            check_at(w, key, w->points[i]);
        }
    }
    arena_reset(&w->a);
}

/* Some snapshots end, the safe point goes on, some of what it passes stays as a snapshot. */
static void advance(struct world *w, struct rand *rnd, uint64_t now)
{
    uint64_t safe = w->safe + rand_below(rnd, now - w->safe + 1);
    size_t n = 0;
    for (size_t i = 0; i < w->point_count; i++) {
        if (rand_below(rnd, 3) != 0) {
            w->points[n++] = w->points[i];
        }
    }
    uint64_t low = w->safe;
    while (n < POINTS && low < safe && rand_below(rnd, 3) != 0) {
        low += rand_below(rnd, safe - low);
        if (n != 0 && low == w->points[n - 1]) {
            break;
        }
        w->points[n++] = low;
    }
    w->point_count = n;
    w->safe = safe;
    engine_set_safe_point(w->e, safe, w->points, n);
}

static void test_model(void **state UNUSED)
{
    static struct world w;
    struct rand rnd;
    uint64_t now = 1;
    rand_seed(&rnd, 7);
    open_world(&w, "model");
    while (w.count < VERSIONS) {
        now += 1 + rand_below(&rnd, 3);
        unsigned key = (unsigned)(rand_below(&rnd, 4) == 0 ? rand_below(&rnd, KEYS) : 0);
        w.v[w.count] = (struct version){now, key, rand_below(&rnd, 5) == 0};
        put(&w, key, now, w.v[w.count++].del);
        uint64_t what = rand_below(&rnd, 60);
        if (what == 0) {
            advance(&w, &rnd, now);
        } else if (what == 1) {
            CHECK_OK(engine_flush_wait(w.e));
            check_all(&w, &rnd, now);
        } else if (what == 2 && rand_below(&rnd, 4) == 0) {
            CHECK_OK(engine_compact(w.e, ENGINE_DATA, SLICE_EMPTY, SLICE_EMPTY));
            check_all(&w, &rnd, now);
        }
    }
    check_all(&w, &rnd, now);
    struct engine_stats st;
    engine_get_stats(w.e, &st);
    assert_true(st.gc_versions > 100 && st.gc_tombstones > 0);
    close_world(&w);
}

static size_t entries(struct world *w)
{
    struct engine_iter *it;
    size_t n = 0;
    CHECK_OK(
        engine_iter_open(w->e, ENGINE_DATA, &(struct engine_iter_opts){.tier = ENGINE_ANY}, &it));
    CHECK_OK(engine_iter_seek(it, SLICE_EMPTY));
    while (it->valid) {
        n++;
        CHECK_OK(engine_iter_next(it));
    }
    engine_iter_close(it);
    return n;
}

/* A flush alone leaves one version of a row for each point. */
static void test_flush(void **state UNUSED)
{
    static struct world w;
    uint64_t points[] = {10, 10, 55};
    open_world(&w, "flush");
    for (unsigned ts = 1; ts <= 100; ts++) {
        put(&w, 0, ts, false);
    }
    engine_set_safe_point(w.e, 90, points, 3);
    CHECK_OK(engine_flush_wait(w.e));
    assert_int_equal(entries(&w), 10 + 1 + 2); /* above 90; 90; 55 and 10 */
    assert_true(engine_may_read(w.e, 95) && engine_may_read(w.e, 90));
    assert_true(engine_may_read(w.e, 55) && engine_may_read(w.e, 10));
    assert_false(engine_may_read(w.e, 89) || engine_may_read(w.e, 54) || engine_may_read(w.e, 9));

    /* What was not protected cannot be from now on. */
    uint64_t late[] = {10, 30, 92};
    engine_set_safe_point(w.e, 95, late, 3);
    assert_true(engine_may_read(w.e, 10) && engine_may_read(w.e, 92));
    assert_false(engine_may_read(w.e, 30) || engine_may_read(w.e, 55));
    engine_set_safe_point(w.e, 94, NULL, 0); /* changes nothing */
    assert_true(engine_may_read(w.e, 10) && !engine_may_read(w.e, 94));
    close_world(&w);
}

/* The memtable is flushed when scans have paid for its old versions; nobody asks for a flush. */
static void test_stepped(void **state UNUSED)
{
    static struct world w;
    struct engine_stats st = {0};
    open_world(&w, "stepped");
    for (unsigned ts = 1; ts <= 5000; ts++) {
        put(&w, ts % 5, ts, false);
        arena_reset(&w.a);
    }
    engine_set_safe_point(w.e, 5000, NULL, 0);
    uint64_t until = clock_mono_ns() + 20 * NS_PER_S;
    while (st.gc_flushes == 0 && clock_mono_ns() < until) {
        engine_note_stepped(w.e, 5000);
        (void)usleep(10000);
        engine_get_stats(w.e, &st);
    }
    assert_int_equal(st.gc_flushes, 1);
    assert_int_equal(entries(&w), 5);
    close_world(&w);
}

/* Where much lies below, a flush is dear: its files have to be merged with that. */
static void test_stepped_beside_much(void **state UNUSED)
{
    static struct world w;
    struct engine_stats st = {0};
    open_world(&w, "much");
    for (unsigned key = 0; key < 40000; key++) {
        put(&w, key, 1, false);
        arena_reset(&w.a);
    }
    CHECK_OK(engine_flush_wait(w.e));
    for (unsigned ts = 2; ts <= 2500; ts++) {
        put(&w, ts % 5, ts, false);
        arena_reset(&w.a);
    }
    engine_set_safe_point(w.e, 2500, NULL, 0);
    engine_note_stepped(w.e, 100000); /* more than the memtable's own entries would cost */
    (void)usleep(2500000);
    engine_get_stats(w.e, &st);
    assert_int_equal(st.gc_flushes, 0);
    uint64_t until = clock_mono_ns() + 20 * NS_PER_S;
    engine_note_stepped(w.e, 400000);
    while (st.gc_flushes == 0 && clock_mono_ns() < until) {
        engine_note_stepped(w.e, 0);
        (void)usleep(10000);
        engine_get_stats(w.e, &st);
    }
    assert_int_equal(st.gc_flushes, 1);
    close_world(&w);
}

/* ---- what a restart knows ---- */

static void open_again(struct world *w)
{
    struct diag d;
    diag_reset(&d);
    struct engine_opts opts = {.path = w->dir, .memory_size = 32 << 20};
    engine_wbatch_free(w->b);
    engine_close(w->e, true);
    CHECK_OK(engine_open_rocks(&opts, &d, &w->e));
    CHECK_OK(engine_wbatch_new(w->e, &w->b));
}

static void put_versions(struct world *w, uint64_t from, uint64_t to)
{
    for (uint64_t ts = from; ts <= to; ts += 10) {
        put(w, 0, ts, false);
    }
}

/* Versions went by these points: who is not among them is refused, also by the next process, which
 * nobody has told of any. */
static void test_restart(void **state UNUSED)
{
    static struct world w;
    const uint64_t listed[] = {15};
    open_world(&w, "restart");
    put_versions(&w, 10, 50);
    engine_set_safe_point(w.e, 45, listed, 1);
    CHECK_OK(engine_flush_wait(w.e));
    assert_int_equal(entries(&w), 3);        /* of 10, 40 and 50 */
    engine_set_safe_point(w.e, 60, NULL, 0); /* nothing went by these */
    open_again(&w);
    assert_int_equal(engine_safe_point(w.e), 45);
    CHECK(engine_may_read(w.e, 15) && engine_may_read(w.e, 45) && engine_may_read(w.e, 46));
    CHECK(!engine_may_read(w.e, 14) && !engine_may_read(w.e, 16) && !engine_may_read(w.e, 44));
    /* Who was refused once is not taken up. */
    const uint64_t wrong[] = {15, 25};
    engine_set_safe_point(w.e, 46, wrong, 2);
    CHECK(engine_may_read(w.e, 15) && !engine_may_read(w.e, 25));
    close_world(&w);
}

/* What cannot be written down is not gone by. */
static void test_not_kept(void **state UNUSED)
{
    static struct world w;
    char path[128];
    open_world(&w, "not_kept");
    put_versions(&w, 10, 50);
    engine_set_safe_point(w.e, 25, NULL, 0);
    CHECK_OK(engine_flush_wait(w.e));
    assert_int_equal(entries(&w), 4);
    (void)snprintf(path, sizeof(path), "%s/GC_POINTS.new", w.dir);
    CHECK(mkdir(path, 0700) == 0);
    put_versions(&w, 60, 90);
    engine_set_safe_point(w.e, 85, NULL, 0);
    CHECK_OK(engine_flush_wait(w.e));
    assert_int_equal(entries(&w), 8);
    CHECK(rmdir(path) == 0);
    open_again(&w);
    assert_int_equal(engine_safe_point(w.e), 25);
    close_world(&w);
}

/* A copy from elsewhere: readable is what is in both, also for the next process, and as long as
 * that cannot be written down there is no copy. */
static void test_join(void **state UNUSED)
{
    static struct world w;
    char path[128];
    struct arena a;
    struct engine_points p;
    const uint64_t own[] = {15, 25}, other[] = {15, 25, 52, 57}, low[] = {15, 45};
    arena_init(&a, NULL, NULL, 0);
    open_world(&w, "join");
    put_versions(&w, 10, 50);
    CHECK_OK(engine_gone_points(w.e, &a, &p));
    CHECK(p.safe_point == 0 && p.count == 0);
    engine_set_safe_point(w.e, 45, own, 2);
    CHECK_OK(engine_flush_wait(w.e));
    engine_set_safe_point(w.e, 50, own, 1); /* nothing has gone by these */
    CHECK_OK(engine_gone_points(w.e, &a, &p));
    CHECK(p.safe_point == 45 && p.count == 2 && p.snapshots[1] == 25);
    (void)snprintf(path, sizeof(path), "%s/GC_POINTS.new", w.dir);
    CHECK(mkdir(path, 0700) == 0);
    assert_int_not_equal(engine_join_points(w.e, &(struct engine_points){60, other, 4}), ERR_OK);
    CHECK(rmdir(path) == 0);
    CHECK_OK(engine_join_points(w.e, &(struct engine_points){60, other, 4}));
    for (int again = 0; again < 2; again++) {
        assert_int_equal(engine_safe_point(w.e), 60);
        CHECK(engine_may_read(w.e, 15) && engine_may_read(w.e, 52) && engine_may_read(w.e, 57));
        CHECK(!engine_may_read(w.e, 25) && !engine_may_read(w.e, 45) && !engine_may_read(w.e, 59));
        open_again(&w);
    }
    CHECK_OK(engine_join_points(w.e, &(struct engine_points){50, low, 2}));
    assert_int_equal(engine_safe_point(w.e), 60);
    CHECK(engine_may_read(w.e, 15) && engine_may_read(w.e, 57) && !engine_may_read(w.e, 45));
    CHECK_OK(engine_join_points(w.e, &(struct engine_points){55, NULL, 0}));
    CHECK(!engine_may_read(w.e, 15) && !engine_may_read(w.e, 52) && engine_may_read(w.e, 57));
    arena_fini(&a);
    close_world(&w);
}

/* Damage is not taken for "nothing was dropped". */
static void test_damaged(void **state UNUSED)
{
    static struct world w;
    char path[128];
    struct diag d;
    struct engine *e;
    open_world(&w, "damaged");
    put_versions(&w, 10, 50);
    engine_set_safe_point(w.e, 25, NULL, 0);
    CHECK_OK(engine_flush_wait(w.e));
    engine_wbatch_free(w.b);
    engine_close(w.e, true);
    (void)snprintf(path, sizeof(path), "%s/GC_POINTS", w.dir);
    FILE *f = fopen(path, "r+e");
    CHECK(f != NULL && fseek(f, 12, SEEK_SET) == 0 && fputc(0x55, f) != EOF && fclose(f) == 0);
    struct engine_opts opts = {.path = w.dir, .memory_size = 32 << 20};
    diag_reset(&d);
    assert_int_equal(engine_open_rocks(&opts, &d, &e), ERR_CORRUPT);
    CHECK(strstr(d.text, "GC_POINTS") != NULL);
    CHECK(unlink(path) == 0);
    CHECK_OK(engine_open_rocks(&opts, &d, &w.e));
    CHECK_OK(engine_wbatch_new(w.e, &w.b));
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),   cmocka_unit_test(test_flush),
        cmocka_unit_test(test_stepped), cmocka_unit_test(test_stepped_beside_much),
        cmocka_unit_test(test_restart), cmocka_unit_test(test_not_kept),
        cmocka_unit_test(test_join),    cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
