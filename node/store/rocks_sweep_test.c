/* Deleted ranges: what is there is never missed (see rocks_sweep.c), and what is deleted is all
 * that was there (see rocks_batch.c). */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test_main.h"
#include "base/clock.h"
#include "base/faults.h"
#include "base/rand.h"
#include "node/store/engine.h"
#include "node/store/keyspace.h"

#define DIR "./sweep_test.db"

static struct engine *open_engine(bool manual)
{
    struct engine_opts opts = {.path = DIR, .memory_size = 32 << 20, .manual = manual};
    struct diag diag = {0};
    struct engine *e;
    CHECK_OK(engine_open_rocks(&opts, &diag, &e));
    return e;
}

static struct slice data_key(struct arena *a, const char *user, uint64_t ts)
{
    struct slice key;
    CHECK_OK(data_key_make(a, slice_str(user), ts, &key));
    return key;
}

static void apply(struct engine *e, struct engine_wbatch *b)
{
    CHECK_OK(engine_apply(e, b, NULL));
}

static db_err look(struct engine *e, enum engine_tier tier, const char *user, bool *ret_found);

/* Old rows in one file, which is in the cache; their deletion and a new row in front of them in the
 * next, which is not. */
static void fill(struct engine *e)
{
    struct arena a;
    struct engine_wbatch *b;
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_wbatch_new(e, &b));
    bool found;
    for (int i = 0; i < 10; i++) {
        char name[2] = {(char)('m' + i), 0};
        CHECK_OK(engine_wbatch_put(b, ENGINE_DATA, data_key(&a, name, 10), SLICE_LIT("Pold")));
    }
    apply(e, b);
    CHECK_OK(engine_flush_wait(e));
    CHECK_OK(look(e, ENGINE_ANY, "p", &found));
    CHECK(found);
    /* The batch has written there: the range is deleted as such. */
    CHECK_OK(engine_wbatch_put(b, ENGINE_DATA, data_key(&a, "q", 11), SLICE_LIT("Plate")));
    CHECK_OK(engine_wbatch_delete_range(b, ENGINE_DATA, data_key(&a, "m", UINT64_MAX),
                                        data_key(&a, "zz", UINT64_MAX)));
    apply(e, b);
    CHECK_OK(engine_wbatch_put(b, ENGINE_DATA, data_key(&a, "k", 20), SLICE_LIT("Pnew")));
    apply(e, b);
    CHECK_OK(engine_flush_wait(e));
    engine_wbatch_free(b);
    arena_fini(&a);
}

/* ERR_WOULD_BLOCK, or whether the row's newest version is there. */
static db_err look(struct engine *e, enum engine_tier tier, const char *user, bool *ret_found)
{
    struct arena a;
    struct engine_iter *it;
    struct slice key = slice_str(user);
    struct engine_iter_opts opts = {.tier = tier};
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_iter_open(e, ENGINE_DATA, &opts, &it));
    db_err err = engine_iter_seek(it, data_key(&a, user, UINT64_MAX));
    *ret_found = err == ERR_OK && it->valid && slice_eq(data_key_user(it->key), key);
    engine_iter_close(it);
    arena_fini(&a);
    return err;
}

static void remove_all(void)
{
    CHECK(system("rm -rf " DIR) == 0);
}

static void test_nothing_is_missed(void **state)
{
    bool found;
    (void)state;
    remove_all();
    struct engine *e = open_engine(true);
    fill(e);
    db_err err = look(e, ENGINE_CACHED, "k", &found);
    assert_true(err == ERR_WOULD_BLOCK || (err == ERR_OK && found));
    assert_int_equal(look(e, ENGINE_ANY, "k", &found), ERR_OK);
    assert_true(found);
    assert_int_equal(look(e, ENGINE_ANY, "p", &found), ERR_OK);
    assert_false(found);
    engine_close(e, false);
    remove_all();
}

static bool cached_in_time(struct engine *e)
{
    uint64_t until = clock_mono_ns() + 20 * NS_PER_S;
    bool found = false;
    while (look(e, ENGINE_CACHED, "k", &found) != ERR_OK) {
        CHECK_OK(look(e, ENGINE_ANY, "k", &found)); /* into the cache */
        if (clock_mono_ns() > until) {
            return false;
        }
    }
    return found;
}

/* Deleted ranges are swept out, those of an earlier life too, and the cache serves again. */
static void test_swept(void **state)
{
    (void)state;
    remove_all();
    struct engine *e = open_engine(true);
    fill(e);
    engine_close(e, false);
    e = open_engine(false);
    assert_true(cached_in_time(e));
    fill(e);
    assert_true(cached_in_time(e));
    engine_close(e, false);
    remove_all();
}

/* A few keys are deleted one by one, and the cache serves on. */
static void test_few_keys(void **state)
{
    struct arena a;
    struct engine_wbatch *b;
    bool found;
    (void)state;
    remove_all();
    struct engine *e = open_engine(true);
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_wbatch_new(e, &b));
    for (int i = 0; i < 10; i++) {
        char name[2] = {(char)('k' + i), 0};
        CHECK_OK(engine_wbatch_put(b, ENGINE_DATA, data_key(&a, name, 10), SLICE_LIT("Pold")));
    }
    apply(e, b);
    CHECK_OK(engine_wbatch_delete_range(b, ENGINE_DATA, data_key(&a, "m", UINT64_MAX),
                                        data_key(&a, "r", UINT64_MAX)));
    assert_int_equal(engine_try_apply(e, b, NULL), ERR_WOULD_BLOCK); /* it looks for them */
    apply(e, b);
    for (int i = 0; i < 10; i++) {
        char name[2] = {(char)('k' + i), 0};
        CHECK_OK(look(e, ENGINE_CACHED, name, &found));
        assert_int_equal(found, name[0] < 'm' || name[0] >= 'r');
    }
    engine_wbatch_free(b);
    arena_fini(&a);
    engine_close(e, false);
    remove_all();
}

/* ---- whatever a batch does to a range, in its order ---- */

enum { KEYS = 64, BATCHES = 3000, OPS_MAX = 8 };

static struct slice numbered(char out[16], unsigned i)
{
    (void)snprintf(out, 16, "k%02u", i);
    return slice_str(out);
}

static void one_op(struct engine_wbatch *b, struct rand *rnd, int *model)
{
    char key[16], end[16];
    unsigned i = (unsigned)rand_below(rnd, KEYS);
    unsigned until = i + 1 + (unsigned)rand_below(rnd, KEYS - i);
    char value[16];
    switch (rand_below(rnd, 4)) {
    case 0:
    case 1:
        model[i] = 1 + (int)rand_below(rnd, 1000);
        (void)snprintf(value, sizeof(value), "%d", model[i]);
        CHECK_OK(engine_wbatch_put(b, ENGINE_LOCK, numbered(key, i), slice_str(value)));
        return;
    case 2:
        model[i] = 0;
        CHECK_OK(engine_wbatch_delete(b, ENGINE_LOCK, numbered(key, i)));
        return;
    default:
        for (unsigned k = i; k < until; k++) {
            model[k] = 0;
        }
        CHECK_OK(engine_wbatch_delete_range(b, ENGINE_LOCK, numbered(key, i),
                                            until == KEYS ? SLICE_EMPTY : numbered(end, until)));
    }
}

static void compare(struct engine *e, const int *model)
{
    struct engine_iter *it;
    CHECK_OK(engine_iter_open(e, ENGINE_LOCK, &(struct engine_iter_opts){.tier = ENGINE_ANY}, &it));
    CHECK_OK(engine_iter_seek(it, SLICE_EMPTY));
    for (unsigned i = 0; i < KEYS; i++) {
        char key[16], value[16];
        if (model[i] == 0) {
            continue;
        }
        (void)snprintf(value, sizeof(value), "%d", model[i]);
        assert_true(it->valid && slice_eq(it->key, numbered(key, i)) &&
                    slice_eq(it->value, slice_str(value)));
        CHECK_OK(engine_iter_next(it));
    }
    assert_false(it->valid);
    engine_iter_close(it);
}

static void test_order(void **state)
{
    static int model[KEYS];
    struct engine_wbatch *b;
    struct rand rnd;
    (void)state;
    remove_all();
    struct engine *e = open_engine(true);
    CHECK_OK(engine_wbatch_new(e, &b));
    rand_seed(&rnd, 11);
    for (unsigned n = 0; n < BATCHES; n++) {
        for (uint64_t ops = 1 + rand_below(&rnd, OPS_MAX); ops > 0; ops--) {
            one_op(b, &rnd, model);
        }
        apply(e, b);
        compare(e, model);
        if (n % 500 == 0) {
            CHECK_OK(engine_flush_wait(e));
        }
    }
    engine_wbatch_free(b);
    engine_close(e, false);
    remove_all();
}

/* Very many keys go as a range, with an end or without. */
static void test_many_keys(void **state)
{
    enum { MANY = 5000 };
    struct arena a;
    struct engine_wbatch *b;
    bool found;
    (void)state;
    remove_all();
    struct engine *e = open_engine(true);
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_wbatch_new(e, &b));
    for (int with_end = 0; with_end < 2; with_end++) {
        for (unsigned i = 0; i < MANY; i++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "m%06u", i);
            CHECK_OK(engine_wbatch_put(b, ENGINE_DATA, data_key(&a, name, 10), SLICE_LIT("P")));
        }
        apply(e, b);
        struct slice end = with_end != 0 ? data_key(&a, "m004990", UINT64_MAX) : SLICE_EMPTY;
        CHECK_OK(
            engine_wbatch_delete_range(b, ENGINE_DATA, data_key(&a, "m000010", UINT64_MAX), end));
        apply(e, b);
        CHECK_OK(look(e, ENGINE_ANY, "m000009", &found));
        assert_true(found);
        CHECK_OK(look(e, ENGINE_ANY, "m000010", &found));
        assert_false(found);
        CHECK_OK(look(e, ENGINE_ANY, "m004989", &found));
        assert_false(found);
        CHECK_OK(look(e, ENGINE_ANY, "m004999", &found));
        assert_int_equal(found, with_end);
    }
    engine_wbatch_free(b);
    arena_fini(&a);
    engine_close(e, false);
    remove_all();
}

static void delete_many(struct engine *e, struct engine_wbatch *b, struct arena *a, char first)
{
    enum { MANY = 5000 };
    char name[16];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "%c%06u", first, i);
        CHECK_OK(engine_wbatch_put(b, ENGINE_DATA, data_key(a, name, 10), SLICE_LIT("P")));
    }
    apply(e, b);
    (void)snprintf(name, sizeof(name), "%c", first);
    struct slice start = data_key(a, name, UINT64_MAX);
    (void)snprintf(name, sizeof(name), "%c", first + 1);
    CHECK_OK(engine_wbatch_delete_range(b, ENGINE_DATA, start, data_key(a, name, UINT64_MAX)));
    apply(e, b);
}

static void *delete_late(void *arg)
{
    struct engine *e = arg;
    struct arena a;
    struct engine_wbatch *b;
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_wbatch_new(e, &b));
    delete_many(e, b, &a, 'e');
    delete_many(e, b, &a, 'm');
    engine_wbatch_free(b);
    arena_fini(&a);
    return NULL;
}

/* RocksDB lets a write wait while it is behind with its work. The thread that sweeps another range
 * out comes by meanwhile, and finds nothing more. */
static void test_late_deletion(void **state)
{
    pthread_t thread;
    bool found = false;
    (void)state;
    CHECK_OK(faults_set("store_before_delete_range", "delay=3000:after=1:count=1"));
    remove_all();
    struct engine *e = open_engine(false);
    assert_int_equal(pthread_create(&thread, NULL, delete_late, e), 0);
    for (uint64_t acted = 0, hits = 0; acted == 0;) { /* it is about to write, for 3 s */
        (void)usleep(1000);
        CHECK_OK(faults_hits("store_before_delete_range", &hits, &acted));
    }
    (void)usleep(1500000);
    assert_int_equal(look(e, ENGINE_ANY, "m000100", &found), ERR_OK); /* into the cache */
    assert_true(found);
    assert_int_equal(pthread_join(thread, NULL), 0);
    faults_reset();
    db_err err = look(e, ENGINE_CACHED, "m000100", &found);
    assert_true(err == ERR_WOULD_BLOCK || (err == ERR_OK && !found));
    assert_int_equal(look(e, ENGINE_ANY, "m000100", &found), ERR_OK);
    assert_false(found);
    engine_close(e, false);
    remove_all();
}

/* ---- the deletion of a range and what goes with it are seen, and lost, together ---- */

struct torn {
    struct engine *e;
    _Atomic bool stop;
    _Atomic unsigned torn;
    unsigned looks;
};

static bool get_number(struct engine *e, enum engine_cf cf, const char *key, unsigned *ret)
{
    struct arena a;
    struct slice value;
    bool found;
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_get_tier(e, cf, slice_str(key), ENGINE_ANY, &a, &found, &value));
    *ret = 0;
    if (found && value.len == sizeof(*ret)) {
        memcpy(ret, value.ptr, sizeof(*ret));
    }
    arena_fini(&a);
    return found;
}

/* As long as the number is the same, so is what it says of the range. */
static void *look_for_torn(void *arg)
{
    struct torn *t = arg;
    while (!atomic_load(&t->stop)) {
        unsigned before, after, ignored;
        bool said = get_number(t->e, ENGINE_LOCAL, "full", &before);
        bool there = get_number(t->e, ENGINE_LOCK, "k05", &ignored);
        if (said && get_number(t->e, ENGINE_LOCAL, "full", &after) && before == after && !there) {
            atomic_fetch_add(&t->torn, 1);
        }
        t->looks++;
    }
    return NULL;
}

static void test_together(void **state)
{
    enum { ROUNDS = 20000 };
    struct torn t = {.e = NULL};
    struct engine_wbatch *b;
    pthread_t thread;
    char key[16];
    (void)state;
    remove_all();
    t.e = open_engine(true);
    CHECK_OK(engine_wbatch_new(t.e, &b));
    assert_int_equal(pthread_create(&thread, NULL, look_for_torn, &t), 0);
    for (unsigned n = 1; n <= ROUNDS; n++) {
        for (unsigned i = 0; i < 10; i++) {
            CHECK_OK(engine_wbatch_put(b, ENGINE_LOCK, numbered(key, i), SLICE_LIT("1")));
        }
        CHECK_OK(engine_wbatch_put(b, ENGINE_LOCAL, SLICE_LIT("full"), slice_of(&n, sizeof(n))));
        apply(t.e, b);
        CHECK_OK(engine_wbatch_delete_range(b, ENGINE_LOCK, SLICE_LIT("k"), SLICE_LIT("l")));
        CHECK_OK(engine_wbatch_delete(b, ENGINE_LOCAL, SLICE_LIT("full")));
        apply(t.e, b);
    }
    atomic_store(&t.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(t.looks > 100);
    assert_int_equal(atomic_load(&t.torn), 0);
    engine_wbatch_free(b);
    engine_close(t.e, false);
    remove_all();
}

static void ingest(struct engine *e, const char *user)
{
    struct engine_sst *s;
    uint64_t size;
    const char *path = DIR "/in.sst";
    CHECK_OK(engine_sst_open(e, ENGINE_LOCK, path, &s));
    CHECK_OK(engine_sst_put(s, slice_str(user), SLICE_LIT("v")));
    CHECK_OK(engine_sst_finish(s, &size));
    engine_sst_close(s);
    CHECK_OK(engine_ingest(e, ENGINE_LOCK, &path, 1, NULL));
}

/* A level of several files of which the first is in the cache and the next is not: where a scan
 * goes on from one to the other nothing may be missed either. There are no deleted ranges. */
static void test_next_file(void **state)
{
    struct engine *e;
    struct engine_iter *it;
    struct arena a;
    struct slice value;
    bool found;
    (void)state;
    remove_all();
    e = open_engine(true);
    ingest(e, "b2");
    ingest(e, "b3");
    ingest(e, "b7");
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_get(e, ENGINE_LOCK, SLICE_LIT("b2"), &a, &found, &value));
    CHECK_OK(engine_get(e, ENGINE_LOCK, SLICE_LIT("b7"), &a, &found, &value));
    assert_true(found);
    CHECK_OK(
        engine_iter_open(e, ENGINE_LOCK, &(struct engine_iter_opts){.tier = ENGINE_CACHED}, &it));
    CHECK_OK(engine_iter_seek(it, SLICE_LIT("b")));
    assert_true(it->valid && slice_eq(it->key, SLICE_LIT("b2")));
    db_err err = engine_iter_next(it);
    assert_true(err == ERR_WOULD_BLOCK ||
                (err == ERR_OK && it->valid && slice_eq(it->key, SLICE_LIT("b3"))));
    engine_iter_close(it);
    arena_fini(&a);
    engine_close(e, false);
    remove_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_missed), cmocka_unit_test(test_swept),
        cmocka_unit_test(test_few_keys),          cmocka_unit_test(test_order),
        cmocka_unit_test(test_many_keys),         cmocka_unit_test(test_late_deletion),
        cmocka_unit_test(test_together),          cmocka_unit_test(test_next_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
