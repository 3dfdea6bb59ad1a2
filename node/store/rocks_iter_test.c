/* Idle iterators and batches that are being applied: whoever has seen a part of a batch must see
 * all of it, whichever family he looks into next and whether or not the write has returned. */
#include "node/store/engine.h"

#include <pthread.h>
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
    if (point) {
        opts.keys = &key;
        opts.key_count = 1;
    }
    CHECK_OK(data_key_make(&a, key, UINT64_MAX, &at));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_visible_before_return),
        cmocka_unit_test(test_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
