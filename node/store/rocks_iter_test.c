/* Idle iterators and batches that are being applied: whoever has seen a part of a batch must see
 * all of it, whichever family he looks into next and whether or not the write has returned. */
#include "node/store/engine.h"

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/faults.h"
#include "base/test_main.h"
#include "node/store/keyspace.h"

enum { WRITERS = 3, READERS = 3, ROUNDS = 400 };

static struct engine *open_fresh(const char *path)
{
    char cmd[128];
    struct engine *e;
    struct diag d;
    struct engine_opts opts = {.path = path, .memory_size = 32 << 20};
    (void)snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", path);
    CHECK(system(cmd) == 0);
    diag_reset(&d);
    CHECK_OK(engine_open_rocks(&opts, &d, &e));
    return e;
}

static void close_and_remove(struct engine *e, const char *path)
{
    char cmd[128];
    engine_close(e, false);
    (void)snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", path);
    CHECK(system(cmd) == 0);
}

/* One batch: the version `ts` of the key, and `ts` in the lock family. */
static void write_both(struct engine *e, struct engine_wbatch *b, struct slice key, uint64_t ts)
{
    struct arena a;
    struct slice k;
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(data_key_make(&a, key, ts, &k));
    CHECK_OK(engine_wbatch_put(b, ENGINE_DATA, k, SLICE_LIT("Pv")));
    CHECK_OK(engine_wbatch_put(b, ENGINE_LOCK, key, slice_of(&ts, sizeof(ts))));
    CHECK_OK(engine_apply(e, b, NULL));
    arena_fini(&a);
}

static uint64_t in_lock_family(struct engine *e, struct slice key)
{
    struct arena a;
    struct slice v;
    uint64_t ts = 0;
    bool found;
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_get(e, ENGINE_LOCK, key, &a, &found, &v));
    if (found) {
        memcpy(&ts, v.ptr, sizeof(ts));
    }
    arena_fini(&a);
    return ts;
}

/* The newest version of the key, by an iterator of a scan or of a point read. */
static uint64_t newest(struct engine *e, struct slice key, bool point)
{
    struct engine_iter_opts opts = {.tier = ENGINE_CACHED};
    struct engine_iter *it;
    struct arena a;
    struct slice at;
    uint64_t ts = 0;
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(data_key_make(&a, key, UINT64_MAX, &at));
    if (point) {
        opts.keys = &key;
        opts.key_count = 1;
    } else {
        opts.lower = at;
        CHECK_OK(data_key_make(&a, key, 0, &opts.upper));
    }
    CHECK_OK(engine_iter_open(e, ENGINE_DATA, &opts, &it));
    CHECK_OK(engine_iter_seek(it, at));
    if (it->valid && slice_eq(data_key_user(it->key), key)) {
        ts = data_key_ts(it->key);
    }
    engine_iter_close(it);
    arena_fini(&a);
    return ts;
}

struct late_write {
    struct engine *e;
    struct slice key;
};

static void *write_late(void *arg)
{
    struct late_write *w = arg;
    struct engine_wbatch *b;
    CHECK_OK(engine_wbatch_new(w->e, &b));
    write_both(w->e, b, w->key, 2);
    engine_wbatch_free(b);
    return NULL;
}

/* The write has not returned yet, and idle iterators from before it lie about. */
static void test_visible_before_return(void **state UNUSED)
{
    char dir[64];
    (void)snprintf(dir, sizeof(dir), "rocks_iter_test_%d_a", (int)getpid());
    struct engine *e = open_fresh(dir);
    struct late_write w = {.e = e, .key = SLICE_LIT("k")};
    struct engine_wbatch *b;
    pthread_t thread;
    uint64_t hits = 0, acted = 0;
    CHECK_OK(engine_wbatch_new(e, &b));
    write_both(e, b, w.key, 1);
    assert_int_equal(newest(e, w.key, false), 1);
    assert_int_equal(newest(e, w.key, true), 1);
    CHECK_OK(faults_set("store_batch_visible", "delay=300:count=1"));
    CHECK(pthread_create(&thread, NULL, write_late, &w) == 0);
    while (in_lock_family(e, w.key) != 2) {
        usleep(100);
    }
    for (int i = 0; i < 3; i++) { /* an iterator made now is no better for those that come later */
        assert_int_equal(newest(e, w.key, false), 2);
        assert_int_equal(newest(e, w.key, true), 2);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_OK(faults_hits("store_batch_visible", &hits, &acted));
    assert_int_equal(acted, 1);
    faults_reset();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(newest(e, w.key, false), 2);
        assert_int_equal(newest(e, w.key, true), 2);
    }
    engine_wbatch_free(b);
    close_and_remove(e, dir);
}

struct crowd {
    struct engine *e;
    _Atomic int writers;
    _Atomic int next;
    _Atomic uint64_t reads;
    _Atomic uint64_t wrong;
};

static struct slice key_of(unsigned i, char *buf)
{
    return slice_of(buf, (size_t)snprintf(buf, 16, "key%u", i));
}

static void *crowd_writer(void *arg)
{
    struct crowd *c = arg;
    struct engine_wbatch *b;
    char buf[16];
    struct slice key = key_of((unsigned)atomic_fetch_add(&c->next, 1), buf);
    CHECK_OK(engine_wbatch_new(c->e, &b));
    for (uint64_t ts = 1; ts <= ROUNDS; ts++) {
        write_both(c->e, b, key, ts);
    }
    engine_wbatch_free(b);
    atomic_fetch_sub(&c->writers, 1);
    return NULL;
}

static void *crowd_reader(void *arg)
{
    struct crowd *c = arg;
    unsigned n = 0;
    while (atomic_load(&c->writers) > 0) {
        char buf[16];
        struct slice key = key_of(n % WRITERS, buf);
        uint64_t seen = in_lock_family(c->e, key);
        uint64_t first = newest(c->e, key, n % 2 == 0);
        uint64_t second = newest(c->e, key, n % 3 == 0);
        if (first < seen || second < first) {
            atomic_fetch_add(&c->wrong, 1);
        }
        atomic_fetch_add(&c->reads, 1);
        n++;
    }
    return NULL;
}

/* Many at once; some writes return late, so that they end in another order than they began. */
static void test_crowd(void **state UNUSED)
{
    char dir[64];
    (void)snprintf(dir, sizeof(dir), "rocks_iter_test_%d_b", (int)getpid());
    struct crowd c = {.e = open_fresh(dir), .writers = WRITERS};
    pthread_t threads[WRITERS + READERS];
    CHECK_OK(faults_set("store_batch_visible", "delay=3:prob=0.2:seed=1"));
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, i < WRITERS ? crowd_writer : crowd_reader, &c) ==
              0);
    }
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    faults_reset();
    assert_true(c.reads > 100);
    assert_int_equal(c.wrong, 0);
    close_and_remove(c.e, dir);
}

/* `count` keys from prefix0000 on; version 1 of each, or its deletion. */
static void many(struct engine *e, const char *prefix, unsigned count, bool put)
{
    struct engine_wbatch *b;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_wbatch_new(e, &b));
    for (unsigned i = 0; i < count; i++) {
        char text[32];
        struct slice k,
            user = slice_of(text, (size_t)snprintf(text, sizeof(text), "%s%04u", prefix, i));
        CHECK_OK(data_key_make(&a, user, 1, &k));
        CHECK_OK(put ? engine_wbatch_put(b, ENGINE_DATA, k, SLICE_LIT("Pv"))
                     : engine_wbatch_delete(b, ENGINE_DATA, k));
        CHECK_OK(put ? engine_wbatch_put(b, ENGINE_LOCK, user, SLICE_LIT("v"))
                     : engine_wbatch_delete(b, ENGINE_LOCK, user));
    }
    CHECK_OK(engine_apply(e, b, NULL));
    engine_wbatch_free(b);
    arena_fini(&a);
}

/* Entries of the family in [lower, upper), one way or the other. */
static unsigned entries(struct engine *e, enum engine_cf cf, const char *lower, const char *upper,
                        bool back)
{
    struct engine_iter_opts opts = {.tier = ENGINE_CACHED,
                                    .lower = slice_of(lower, strlen(lower)),
                                    .upper = slice_of(upper, strlen(upper))};
    struct engine_iter *it;
    struct arena a;
    unsigned count = 0;
    arena_init(&a, NULL, NULL, 0);
    if (cf == ENGINE_DATA) {
        CHECK_OK(data_key_make(&a, opts.lower, UINT64_MAX, &opts.lower));
        CHECK_OK(data_key_make(&a, opts.upper, UINT64_MAX, &opts.upper));
    }
    CHECK_OK(engine_iter_open(e, cf, &opts, &it));
    CHECK_OK(back ? engine_iter_seek_for_prev(it, opts.upper) : engine_iter_seek(it, opts.lower));
    while (it->valid) {
        count++;
        CHECK_OK(back ? engine_iter_prev(it) : engine_iter_next(it));
    }
    engine_iter_close(it);
    arena_fini(&a);
    return count;
}

/* Iterators end at their bounds, also one that had others before, and what is deleted beyond them
 * is not walked through. */
static void check_bounds(struct engine *e)
{
    rocksdb_perfcontext_t *perf = rocksdb_perfcontext_create();
    rocksdb_set_perf_level(rocksdb_enable_count);
    for (int cf = 0; cf < 2; cf++) {
        enum engine_cf family = cf == 0 ? ENGINE_DATA : ENGINE_LOCK;
        for (int back = 0; back < 2; back++) {
            assert_int_equal(entries(e, family, "b", "c", back), 100);
            assert_int_equal(entries(e, family, "b0010", "b0020", back), 10);
            assert_int_equal(entries(e, family, "d", "e", back), 100);
            assert_int_equal(entries(e, family, "d0099", "d01", back), 1);
            assert_int_equal(entries(e, family, "b0099", "d0001", back), 2);
            assert_int_equal(entries(e, family, "c", "d", back), 0);
            rocksdb_perfcontext_reset(perf);
            assert_int_equal(entries(e, family, "b", "c", back), 100);
            assert_int_equal(entries(e, family, "d", "e", back), 100);
            assert_in_range(rocksdb_perfcontext_metric(perf, rocksdb_internal_delete_skipped_count),
                            0, 8);
        }
    }
    rocksdb_set_perf_level(rocksdb_disable);
    rocksdb_perfcontext_destroy(perf);
}

static void test_bounds(void **state UNUSED)
{
    char dir[64];
    (void)snprintf(dir, sizeof(dir), "rocks_iter_test_%d_c", (int)getpid());
    struct engine *e = open_fresh(dir);
    const char *const alive[] = {"b", "d"}, *const gone[] = {"a", "c", "e"};
    for (unsigned i = 0; i < 2; i++) {
        many(e, alive[i], 100, true);
    }
    for (unsigned i = 0; i < 3; i++) {
        many(e, gone[i], 1000, true);
    }
    CHECK_OK(engine_flush_wait(e));
    for (unsigned i = 0; i < 3; i++) {
        many(e, gone[i], 1000, false);
    }
    check_bounds(e); /* deletions in the memtable, rows in a file */
    CHECK_OK(engine_flush_wait(e));
    check_bounds(e);
    close_and_remove(e, dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_visible_before_return),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
