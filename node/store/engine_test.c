/* Conformance of the engine, what it says of sizes, its crash behaviour, GC and a full disk. */
#include "node/store/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/rand.h"
#include "base/test_main.h"
#include "node/store/keyspace.h"

static void remove_tree(const char *path)
{
    char cmd[256];
    (void)snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", path);
    CHECK(system(cmd) == 0);
}

static const char *fresh_dir(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof(path), "engine_test_%d_%s", (int)getpid(), name);
    remove_tree(path);
    return path;
}

static struct engine *open_with(const char *path, size_t memory_size)
{
    struct engine *e;
    struct diag d;
    diag_reset(&d);
    struct engine_opts opts = {.path = path, .memory_size = memory_size};
    db_err err = engine_open_rocks(&opts, &d, &e);
    if (err != ERR_OK) {
        (void)fprintf(stderr, "open: %s %s\n", err_name(err), d.text);
    }
    CHECK_OK(err);
    return e;
}

static struct engine *open_at(const char *path)
{
    return open_with(path, 32 << 20);
}

static void put(struct engine_wbatch *b, struct arena *a, const char *user, uint64_t ts,
                const char *value)
{
    struct slice k;
    CHECK_OK(data_key_make(a, slice_str(user), ts, &k));
    CHECK_OK(engine_wbatch_put(b, ENGINE_DATA, k, slice_str(value)));
}

static size_t count_all(struct engine *e, enum engine_cf cf)
{
    struct engine_iter *it;
    size_t n = 0;
    CHECK_OK(engine_iter_open(e, cf, &(struct engine_iter_opts){.tier = ENGINE_ANY}, &it));
    CHECK_OK(engine_iter_seek(it, SLICE_EMPTY));
    while (it->valid) {
        n++;
        CHECK_OK(engine_iter_next(it));
    }
    engine_iter_close(it);
    return n;
}

static void test_batch_encoding(void **state UNUSED)
{
    struct store_batch b;
    store_batch_init(&b);
    uint8_t dk[9] = {'k'};
    CHECK_OK(store_batch_put(&b, ENGINE_DATA, slice_of(dk, 9), SLICE_LIT("v")));
    CHECK_OK(store_batch_delete(&b, ENGINE_LOCK, SLICE_LIT("x")));
    CHECK_OK(store_batch_delete_range(&b, ENGINE_LOCAL, SLICE_LIT("a"), SLICE_LIT("b")));
    struct slice enc = store_batch_encoded(&b);
    struct store_batch_reader r;
    struct store_op op;
    bool more;
    CHECK_OK(store_batch_reader_init(&r, enc));
    CHECK_OK(store_batch_reader_next(&r, &more, &op));
    assert_true(more && op.kind == STORE_PUT && op.cf == ENGINE_DATA && op.key.len == 9);
    CHECK_OK(store_batch_reader_next(&r, &more, &op));
    assert_true(more && op.kind == STORE_DELETE && slice_eq(op.key, SLICE_LIT("x")));
    CHECK_OK(store_batch_reader_next(&r, &more, &op));
    assert_true(more && op.kind == STORE_DELETE_RANGE && slice_eq(op.value, SLICE_LIT("b")));
    CHECK_OK(store_batch_reader_next(&r, &more, &op));
    assert_false(more);
    /* Every truncation and every flipped bit is refused or reads within bounds. */
    for (size_t cut = 0; cut < enc.len; cut++) {
        uint8_t *copy = mem_alloc(cut + 1);
        CHECK(copy != NULL);
        memcpy(copy, enc.ptr, cut);
        if (store_batch_reader_init(&r, slice_of(copy, cut)) == ERR_OK) {
            while (store_batch_reader_next(&r, &more, &op) == ERR_OK && more) {
            }
        }
        mem_free(copy);
    }
    store_batch_fini(&b);
}

static void test_order_and_iter(void **state UNUSED)
{
    const char *dir = fresh_dir("order");
    struct engine *e = open_at(dir);
    struct engine_wbatch *b;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_wbatch_new(e, &b));
    /* Keys that are prefixes of each other keep their versions together. */
    const char *keys[] = {"a", "ab", "abc", "b"};
    for (size_t i = 0; i < 4; i++) {
        for (uint64_t ts = 1; ts <= 3; ts++) {
            put(b, &a, keys[i], ts << 40, "Pv");
        }
    }
    CHECK_OK(engine_apply(e, b, NULL));
    for (int round = 0; round < 2; round++) {
        struct engine_iter *it;
        CHECK_OK(
            engine_iter_open(e, ENGINE_DATA, &(struct engine_iter_opts){.tier = ENGINE_ANY}, &it));
        CHECK_OK(engine_iter_seek(it, SLICE_EMPTY));
        for (size_t i = 0; i < 12; i++) {
            CHECK(it->valid);
            assert_true(slice_eq(data_key_user(it->key), slice_str(keys[i / 3])));
            assert_int_equal(data_key_ts(it->key), (3 - i % 3) << 40);
            CHECK_OK(engine_iter_next(it));
        }
        CHECK(!it->valid);
        CHECK_OK(engine_iter_seek_for_prev(it, SLICE_EMPTY));
        for (size_t i = 12; i-- > 0;) {
            CHECK(it->valid);
            assert_int_equal(data_key_ts(it->key), (3 - i % 3) << 40);
            CHECK_OK(engine_iter_prev(it));
        }
        engine_iter_close(it);
        CHECK_OK(engine_flush_wait(e)); /* the second round reads files */
    }
    /* A pooled one-key iterator sees what is applied later, and never a neighbour. */
    for (int i = 0; i < 50; i++) {
        struct slice key = SLICE_LIT("ab");
        struct slice at;
        struct engine_iter *it;
        struct engine_iter_opts o = {.tier = ENGINE_CACHED, .keys = &key, .key_count = 1};
        put(b, &a, i % 2 == 0 ? "ab" : "zz", (uint64_t)(10 + i) << 40, "Pn");
        CHECK_OK(engine_apply(e, b, NULL));
        CHECK_OK(data_key_make(&a, key, UINT64_MAX, &at));
        CHECK_OK(engine_iter_open(e, ENGINE_DATA, &o, &it));
        CHECK_OK(engine_iter_seek(it, at));
        CHECK(it->valid);
        assert_int_equal(data_key_ts(it->key), (uint64_t)(10 + (i & ~1)) << 40);
        engine_iter_close(it);
        key = SLICE_LIT("aa");
        CHECK_OK(data_key_make(&a, key, UINT64_MAX, &at));
        CHECK_OK(engine_iter_open(e, ENGINE_DATA, &o, &it));
        CHECK_OK(engine_iter_seek(it, at));
        CHECK(!it->valid);
        engine_iter_close(it);
    }
    /* Range deletion takes the versions of its keys only. */
    struct slice from, to;
    CHECK_OK(data_key_make(&a, SLICE_LIT("ab"), UINT64_MAX, &from));
    CHECK_OK(data_key_make(&a, SLICE_LIT("b"), UINT64_MAX, &to));
    CHECK_OK(engine_wbatch_delete_range(b, ENGINE_DATA, from, to));
    CHECK_OK(engine_apply(e, b, NULL));
    assert_int_equal(count_all(e, ENGINE_DATA), 6 + 25);
    CHECK_OK(engine_wbatch_delete_range(b, ENGINE_DATA, to, SLICE_EMPTY));
    CHECK_OK(engine_apply(e, b, NULL));
    assert_int_equal(count_all(e, ENGINE_DATA), 3);
    engine_wbatch_free(b);
    engine_close(e, false);
    arena_fini(&a);
    remove_tree(dir);
}

static void test_get_snapshot_ingest(void **state UNUSED)
{
    const char *dir = fresh_dir("get");
    struct engine *e = open_at(dir);
    struct engine_wbatch *b;
    struct arena a;
    bool found[3];
    struct slice v[3];
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_wbatch_new(e, &b));
    CHECK_OK(engine_wbatch_put(b, ENGINE_LOCK, SLICE_LIT("k1"), SLICE_LIT("one")));
    CHECK_OK(engine_wbatch_put(b, ENGINE_LOCK, SLICE_LIT("k3"), SLICE_LIT("three")));
    CHECK_OK(engine_apply(e, b, NULL));
    struct slice keys[3] = {SLICE_LIT("k1"), SLICE_LIT("k2"), SLICE_LIT("k3")};
    CHECK_OK(engine_multi_get(e, ENGINE_LOCK, keys, 3, &a, found, v));
    assert_true(found[0] && !found[1] && found[2] && slice_eq(v[2], SLICE_LIT("three")));
    struct engine_snapshot *snap;
    CHECK_OK(engine_snapshot_open(e, &snap));
    CHECK_OK(engine_wbatch_delete(b, ENGINE_LOCK, keys[0]));
    CHECK_OK(engine_apply(e, b, NULL));
    CHECK_OK(engine_get(e, ENGINE_LOCK, keys[0], &a, &found[0], &v[0]));
    assert_false(found[0]);
    struct engine_iter *it;
    CHECK_OK(engine_iter_open(
        e, ENGINE_LOCK, &(struct engine_iter_opts){.tier = ENGINE_ANY, .snapshot = snap}, &it));
    CHECK_OK(engine_iter_seek(it, keys[0]));
    assert_true(it->valid && slice_eq(it->key, keys[0]));
    engine_iter_close(it);
    engine_snapshot_close(e, snap);

    char path[200];
    (void)snprintf(path, sizeof(path), "%s/in.sst", dir);
    struct engine_sst *s;
    uint64_t size;
    CHECK_OK(engine_sst_open(e, ENGINE_DATA, path, &s));
    assert_int_equal(engine_sst_finish(s, &size), ERR_INVALID);
    for (uint64_t i = 0; i < 1000; i++) {
        char user[16];
        struct slice k;
        (void)snprintf(user, sizeof(user), "i%05u", (unsigned)i);
        CHECK_OK(data_key_make(&a, slice_str(user), 7, &k));
        CHECK_OK(engine_sst_put(s, k, SLICE_LIT("Px")));
    }
    CHECK_OK(engine_sst_finish(s, &size));
    engine_sst_close(s);
    const char *paths[1] = {path};
    CHECK_OK(engine_ingest(e, ENGINE_DATA, paths, 1, NULL));
    assert_int_equal(count_all(e, ENGINE_DATA), 1000);
    char copy[200];
    (void)snprintf(copy, sizeof(copy), "%s.copy", dir);
    CHECK_OK(engine_checkpoint(e, copy, NULL));
    struct engine_opts second = {.path = dir};
    struct engine *other;
    assert_int_equal(engine_open_rocks(&second, NULL, &other), ERR_BUSY);
    engine_wbatch_free(b);
    engine_close(e, false);
    e = open_at(copy);
    assert_int_equal(count_all(e, ENGINE_DATA), 1000);
    assert_int_equal(count_all(e, ENGINE_LOCK), 1);
    struct engine_stats st;
    engine_get_stats(e, &st);
    assert_true(st.sst_count >= 1);
    engine_close(e, false);
    remove_tree(copy);
    remove_tree(dir);
    arena_fini(&a);
}

static struct slice key_of_user(struct arena *a, const char *user)
{
    struct slice key;
    CHECK_OK(data_key_make(a, slice_str(user), UINT64_MAX, &key));
    return key;
}

enum { TABLE_ROWS = 10000, TABLE_VALUE = 50, FILLS = 30 };

/* Rows of two tables that take turns, as those of a table and of an index do. */
static void fill_tables(struct engine *e, struct arena *a, uint64_t ts)
{
    struct engine_wbatch *b;
    char value[TABLE_VALUE + 1];
    memset(value, 'v', TABLE_VALUE);
    value[TABLE_VALUE] = '\0';
    CHECK_OK(engine_wbatch_new(e, &b));
    for (unsigned i = 0; i < TABLE_ROWS; i++) {
        char user[16];
        (void)snprintf(user, sizeof(user), "a%06u", i);
        put(b, a, user, ts, value);
        user[0] = 'b';
        put(b, a, user, ts, value);
    }
    CHECK_OK(engine_apply(e, b, NULL));
    engine_wbatch_free(b);
}

/* What is said of a table in memory and in files. */
static void check_table(struct engine *e, struct arena *a, char table, uint64_t entries_is,
                        bool in_files)
{
    uint64_t entries;
    uint64_t bytes;
    uint64_t size;
    char low[2] = {table, '\0'};
    char high[2] = {(char)(table + 1), '\0'};
    struct slice from = key_of_user(a, low);
    struct slice to = key_of_user(a, high);
    engine_in_memory(e, from, to, &entries, &bytes);
    CHECK_OK(engine_approximate_size(e, ENGINE_DATA, from, to, &size));
    assert_in_range(entries, entries_is * 2 / 3,
                    entries_is * 4 / 3); /* of a sample, at six sigma */
    assert_in_range(bytes, entries * TABLE_VALUE, entries * 2 * TABLE_VALUE);
    assert_true((size != 0) == in_files);
}

/* What has just been written counts, though no file has it; once it is flushed, it is in files. */
static void test_sizes_in_memory(void **state UNUSED)
{
    const char *dir = fresh_dir("sizes");
    struct engine *e = open_with(dir, (size_t)1 << 30);
    struct arena a;
    uint64_t entries;
    uint64_t bytes;
    arena_init(&a, NULL, NULL, 0);
    fill_tables(e, &a, 5);
    check_table(e, &a, 'a', TABLE_ROWS, false);
    check_table(e, &a, 'b', TABLE_ROWS, false);
    check_table(e, &a, 'c', 0, false);
    engine_in_memory(e, key_of_user(&a, "a"), SLICE_EMPTY, &entries, &bytes); /* to the end */
    assert_in_range(entries, TABLE_ROWS * 3 / 2, TABLE_ROWS * 5 / 2);
    engine_in_memory(e, key_of_user(&a, "a001000"), key_of_user(&a, "a004000"), &entries, &bytes);
    assert_in_range(entries, 3000 / 3, 3000 * 5 / 3);
    CHECK_OK(engine_flush_wait(e));
    check_table(e, &a, 'a', 0, true);
    fill_tables(e, &a, 6);
    check_table(e, &a, 'a', TABLE_ROWS, true);
    for (uint64_t ts = 7; ts < 6 + FILLS; ts++) { /* more than the sample has room for */
        fill_tables(e, &a, ts);
        arena_reset(&a);
    }
    check_table(e, &a, 'b', (uint64_t)FILLS * TABLE_ROWS, true);
    CHECK_OK(engine_flush_wait(e));
    check_table(e, &a, 'b', 0, true);
    engine_close(e, false);
    remove_tree(dir);
    arena_fini(&a);
}

enum { CRASH_RANGES = 5 };

/* Applies batches that touch all families, each under an index, with flushes at random places (by
 * hand and by full memtables), then dies without a word. */
static void crash_child(const char *dir, uint64_t seed)
{
    struct engine *e = open_at(dir);
    struct engine_wbatch *b;
    struct rand rnd;
    struct arena a;
    char value[2048];
    arena_init(&a, NULL, NULL, 0);
    rand_seed(&rnd, seed);
    memset(value, 'x', sizeof(value));
    value[0] = DATA_PUT;
    CHECK_OK(engine_wbatch_new(e, &b));
    uint64_t at[CRASH_RANGES] = {0};
    for (uint64_t r = 0; r < CRASH_RANGES; r++) {
        uint64_t term;
        CHECK_OK(engine_applied(e, r, &at[r], &term));
    }
    uint64_t turns = 2000 + rand_below(&rnd, 12000);
    for (uint64_t i = 0; i < turns; i++) {
        uint64_t r = rand_below(&rnd, CRASH_RANGES);
        char user[32];
        struct slice k;
        uint64_t index = ++at[r];
        (void)snprintf(user, sizeof(user), "r%u.%09u", (unsigned)r, (unsigned)index);
        CHECK_OK(data_key_make(&a, slice_str(user), 5, &k));
        CHECK_OK(engine_wbatch_put(b, ENGINE_DATA, k, slice_of(value, rand_below(&rnd, 2000) + 1)));
        CHECK_OK(engine_wbatch_put(b, ENGINE_LOCK, slice_str(user), SLICE_LIT("l")));
        CHECK_OK(engine_wbatch_applied(b, r, index, 3));
        CHECK_OK(engine_apply(e, b, NULL));
        if (rand_below(&rnd, 4000) == 0) {
            CHECK_OK(engine_flush_wait(e));
            uint64_t durable, term;
            CHECK_OK(engine_applied_durable(e, r, &durable, &term));
            CHECK(durable == index && term == 3);
        }
        arena_reset(&a);
    }
    _exit(0);
}

static void test_crash(void **state UNUSED)
{
    const char *dir = fresh_dir("crash");
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) { /* RocksDB's threads do not survive a fork: begin anew */
            char number[16];
            (void)snprintf(number, sizeof(number), "%u", (unsigned)seed);
            (void)execl("/proc/self/exe", "engine_test", dir, number, (char *)NULL);
            _exit(1);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        struct engine *e = open_at(dir);
        uint64_t total = 0;
        for (uint64_t r = 0; r < CRASH_RANGES; r++) {
            uint64_t index, durable, term;
            CHECK_OK(engine_applied(e, r, &index, &term));
            CHECK_OK(engine_applied_durable(e, r, &durable, &term));
            assert_int_equal(index, durable);
            total += index;
            char user[32];
            bool found;
            struct slice v;
            (void)snprintf(user, sizeof(user), "r%u.%09u", (unsigned)r, (unsigned)index);
            CHECK_OK(engine_get(e, ENGINE_LOCK, slice_str(user), &a, &found, &v));
            assert_true(found || index == 0);
            (void)snprintf(user, sizeof(user), "r%u.%09u", (unsigned)r, (unsigned)index + 1);
            CHECK_OK(engine_get(e, ENGINE_LOCK, slice_str(user), &a, &found, &v));
            assert_false(found);
        }
        assert_int_equal(count_all(e, ENGINE_DATA), total);
        assert_int_equal(count_all(e, ENGINE_LOCK), total);
        engine_close(e, true);
    }
    arena_fini(&a);
    remove_tree(dir);
}

/* Old versions go, the newest at or below the safe point stays, and a deletion stays as long as
 * something older lies deeper. */
static void test_gc(void **state UNUSED)
{
    const char *dir = fresh_dir("gc");
    struct engine *e = open_at(dir);
    struct engine_wbatch *b;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(engine_wbatch_new(e, &b));
    put(b, &a, "deleted", 10, "Pold");
    put(b, &a, "kept", 10, "P1");
    put(b, &a, "kept", 20, "P2");
    put(b, &a, "kept", 30, "P3");
    put(b, &a, "kept", 200, "P4");
    CHECK_OK(engine_apply(e, b, NULL));
    CHECK_OK(engine_compact(e, ENGINE_DATA, SLICE_EMPTY, SLICE_EMPTY)); /* deep down */
    put(b, &a, "deleted", 20, "D");
    CHECK_OK(engine_apply(e, b, NULL));
    CHECK_OK(engine_flush_wait(e));
    engine_set_safe_point(e, 100, NULL, 0);
    engine_set_safe_point(e, 50, NULL, 0);
    assert_int_equal(engine_safe_point(e), 100);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(engine_compact(e, ENGINE_DATA, SLICE_EMPTY, SLICE_EMPTY));
        struct slice key = SLICE_LIT("deleted");
        struct slice at;
        struct engine_iter *it;
        CHECK_OK(data_key_make(&a, key, 100, &at));
        CHECK_OK(engine_iter_open(
            e, ENGINE_DATA,
            &(struct engine_iter_opts){.tier = ENGINE_ANY, .keys = &key, .key_count = 1}, &it));
        CHECK_OK(engine_iter_seek(it, at));
        assert_true(!it->valid || it->value.ptr[0] == 'D');
        engine_iter_close(it);
    }
    assert_int_equal(count_all(e, ENGINE_DATA), 2); /* kept at 30 and 200 */
    struct engine_stats st;
    engine_get_stats(e, &st);
    assert_int_equal(st.gc_tombstones, 1);
    assert_int_equal(st.gc_versions, 2); /* the two of "kept" in one stretch */
    engine_wbatch_free(b);
    engine_close(e, false);
    remove_tree(dir);
    arena_fini(&a);
}

/* A tmpfs of its own, most of it taken by `filler`. */
struct full_disk {
    const char *dir;
    char path[200], filler[200];
    char value[4096]; /* does not compress */
    struct engine *e;
    struct engine_wbatch *b;
    struct arena a;
    uint64_t applied;
};

static void fill_disk(struct full_disk *f, int mib)
{
    static char noise[1 << 20];
    FILE *file = fopen(f->filler, "a");
    assert_non_null(file);
    for (int i = 0; i < mib; i++) {
        (void)fwrite(noise, 1, sizeof(noise), file);
    }
    (void)fclose(file);
}

static db_err put_row(struct full_disk *f)
{
    char user[16];
    struct slice k;
    (void)snprintf(user, sizeof(user), "%08u", (unsigned)f->applied);
    CHECK_OK(data_key_make(&f->a, slice_str(user), 5, &k));
    CHECK_OK(engine_wbatch_put(f->b, ENGINE_DATA, k, slice_of(f->value, sizeof(f->value))));
    CHECK_OK(engine_wbatch_applied(f->b, 1, f->applied + 1, 1));
    db_err err = engine_try_apply(f->e, f->b, NULL);
    f->applied += err == ERR_OK;
    arena_reset(&f->a);
    return err;
}

static void full_disk_begin(struct full_disk *f, size_t memtable_size)
{
    struct rand rnd;
    struct diag diag;
    diag_reset(&diag);
    f->dir = fresh_dir("full");
    assert_int_equal(mkdir(f->dir, 0700), 0);
    if (mount("tmpfs", f->dir, "tmpfs", 0, "size=48m") != 0) {
        remove_tree(f->dir);
        skip(); /* needs the right to mount */
    }
    (void)snprintf(f->path, sizeof(f->path), "%s/db", f->dir);
    (void)snprintf(f->filler, sizeof(f->filler), "%s/filler", f->dir);
    rand_seed(&rnd, 1);
    for (size_t i = 0; i < sizeof(f->value); i++) {
        f->value[i] = (char)rand_u64(&rnd);
    }
    f->value[0] = DATA_PUT;
    f->applied = 0;
    struct engine_opts opts = {
        .path = f->path, .memory_size = 64 << 20, .memtable_size_max = memtable_size};
    CHECK_OK(engine_open_rocks(&opts, &diag, &f->e));
    arena_init(&f->a, NULL, NULL, 0);
    CHECK_OK(engine_wbatch_new(f->e, &f->b));
}

static void full_disk_end(struct full_disk *f)
{
    engine_wbatch_free(f->b);
    uint64_t t0 = clock_mono_ns();
    engine_close(f->e, false);
    assert_true(clock_mono_ns() - t0 < 30 * NS_PER_S); /* it does not wait for space */
    assert_int_equal(umount(f->dir), 0);
    remove_tree(f->dir);
    arena_fini(&f->a);
}

/* Until the engine takes no more: what it had taken before a flush first waited, and after. */
static void write_until_stalled(struct full_disk *f)
{
    uint64_t before = 0;
    for (;;) {
        bool waits = engine_flush_waits(f->e);
        db_err err = put_row(f);
        if (err != ERR_OK && waits) {
            assert_int_equal(err, ERR_WOULD_BLOCK);
            break;
        }
        assert_true(f->applied < 40000);
        before = waits ? before : f->applied;
        if (err != ERR_OK || f->applied % 16 == 0) {
            usleep(200); /* flushes keep pace */
        }
    }
    assert_true(f->applied > before); /* memory for what was on its way */
}

static void check_full(struct full_disk *f)
{
    uint64_t index, term;
    struct engine_stats st;
    assert_true(engine_flush_waits(f->e));
    CHECK_OK(engine_applied(f->e, 1, &index, &term)); /* reads go on */
    assert_int_equal(index, f->applied);
    assert_int_equal(count_all(f->e, ENGINE_DATA), f->applied);
    assert_int_equal(engine_flush_wait(f->e), ERR_DISK_FULL);
    engine_get_stats(f->e, &st);
    assert_int_equal(st.background_err, ERR_DISK_FULL);
}

static void full_and_free(size_t memtable_size)
{
    struct full_disk f;
    full_disk_begin(&f, memtable_size);
    fill_disk(&f, 36);
    write_until_stalled(&f);
    fill_disk(&f, 48); /* nobody else has any either */
    check_full(&f);
    assert_int_equal(unlink(f.filler), 0);
    unsigned tries = 0;
    while (put_row(&f) != ERR_OK) {
        assert_true(tries++ < 1000);
        usleep(10000);
    }
    (void)fprintf(stderr, "writes again after %u ms\n", tries * 10);
    while (engine_flush_wait(f.e) != ERR_OK) {
        assert_true(tries++ < 1000);
        usleep(10000);
    }
    uint64_t index, term;
    CHECK_OK(engine_applied_durable(f.e, 1, &index, &term));
    assert_int_equal(index, f.applied);
    assert_int_equal(count_all(f.e, ENGINE_DATA), f.applied);
    full_disk_end(&f);
}

static void test_disk_full(void **state UNUSED)
{
    full_and_free(0);       /* a file meets the end half-way */
    full_and_free(4 << 20); /* it is not begun */
}

static void test_close_on_a_full_disk(void **state UNUSED)
{
    struct full_disk f;
    full_disk_begin(&f, 4 << 20);
    fill_disk(&f, 36);
    write_until_stalled(&f);
    check_full(&f);
    full_disk_end(&f);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        crash_child(argv[1], strtoull(argv[2], NULL, 10));
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_encoding),
        cmocka_unit_test(test_order_and_iter),
        cmocka_unit_test(test_get_snapshot_ingest),
        cmocka_unit_test(test_sizes_in_memory),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_gc),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_close_on_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
