#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fiber.h"
#include "sql/storage/conformance.h"
#include "sql/storage/mem/mem.h"
#include "sql/storage/split.h"

static struct storage *shared, *split;
static char failure[512];

static bool is_own(struct slice key)
{
    return key.ptr[0] == 'o';
}

static db_err open_both(void)
{
    struct split_storage_opts opts = {.is_own = is_own};
    TRY(mem_storage_new(NULL, &shared));
    opts.shared = shared;
    TRY(mem_storage_new(NULL, &opts.own));
    return split_storage_new(&opts, &split);
}

static void close_both(void)
{
    storage_close(split);
    storage_close(shared);
}

#define CHECK(condition)                                                                           \
    if (!(condition)) {                                                                            \
        snprintf(failure, sizeof(failure), "line %d: %s", __LINE__, #condition);                   \
        return;                                                                                    \
    }

static void conformance(void *arg)
{
    struct conformance_report report;
    struct conformance_opts opts = {.prefix = slice_str(arg), .seed = 1};
    CHECK(open_both() == ERR_OK);
    storage_conformance_run(split, &opts, &report);
    close_both();
    if (report.failed != 0) {
        snprintf(failure, sizeof(failure), "%s", report.first);
    }
}

static bool has(struct storage_txn *t, const char *key)
{
    struct arena a;
    struct slice value;
    bool found = false;
    arena_init(&a, NULL, NULL, 0);
    db_err err =
        storage_get(t, slice_str(key), STORAGE_READ_PLAIN, STORAGE_WAIT, &a, NULL, &found, &value);
    arena_fini(&a);
    return err == ERR_OK && found;
}

static db_err put(struct storage_txn *t, const char *key)
{
    return storage_put(t, slice_str(key), SLICE_LIT("v"), STORAGE_W_INSERT, NULL);
}

/* A transaction begun without the own side becomes one of both; its savepoints stay good. */
static void adopt(void *arg)
{
    (void)arg;
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
    struct storage_txn *t;
    uint64_t before;
    uint64_t between;
    CHECK(open_both() == ERR_OK);
    CHECK(storage_txn_begin(shared, &opts, NULL, &t) == ERR_OK);
    CHECK(put(t, "s1") == ERR_OK);
    CHECK(storage_txn_savepoint(t, &before) == ERR_OK);
    CHECK(put(t, "s2") == ERR_OK);
    CHECK(split_storage_adopt(split, t, &opts, NULL, &t) == ERR_OK);
    CHECK(put(t, "o1") == ERR_OK);
    CHECK(storage_txn_savepoint(t, &between) == ERR_OK);
    CHECK(put(t, "o2") == ERR_OK && put(t, "s3") == ERR_OK);
    CHECK(split_txn_has_shared_writes(t));
    CHECK(storage_txn_rollback_to(t, between) == ERR_OK);
    CHECK(has(t, "s1") && has(t, "s2") && has(t, "o1") && !has(t, "o2") && !has(t, "s3"));
    CHECK(storage_txn_rollback_to(t, before) == ERR_OK);
    CHECK(has(t, "s1") && !has(t, "s2") && !has(t, "o1"));
    CHECK(put(t, "o3") == ERR_OK);
    CHECK(storage_txn_commit(t, NULL, NULL) == ERR_OK);
    CHECK(storage_txn_begin(split, &opts, NULL, &t) == ERR_OK);
    CHECK(has(t, "s1") && has(t, "o3") && !has(t, "o1"));
    CHECK(put(t, "o4") == ERR_OK && !split_txn_has_shared_writes(t));
    storage_txn_rollback(t);
    CHECK(storage_txn_begin(split, &opts, NULL, &t) == ERR_OK);
    CHECK(!has(t, "o4"));
    storage_txn_rollback(t);
    close_both();
}

/* The shared side refuses the commit: nothing of the own side is kept. */
static void one_commit(void *arg)
{
    (void)arg;
    struct storage_txn_opts opts = {.isolation = STORAGE_SNAPSHOT};
    struct storage_txn *t;
    struct storage_txn *other;
    CHECK(open_both() == ERR_OK);
    CHECK(storage_txn_begin(split, &opts, NULL, &t) == ERR_OK);
    CHECK(put(t, "o1") == ERR_OK);
    CHECK(storage_put(t, SLICE_LIT("s1"), SLICE_LIT("v"), STORAGE_W_INSERT | STORAGE_W_DEFER,
                      NULL) == ERR_OK);
    CHECK(storage_txn_begin(shared, &opts, NULL, &other) == ERR_OK);
    CHECK(storage_put(other, SLICE_LIT("s1"), SLICE_LIT("v"), STORAGE_W_INSERT | STORAGE_W_DEFER,
                      NULL) == ERR_OK);
    CHECK(storage_txn_commit(other, NULL, NULL) == ERR_OK);
    CHECK(storage_txn_commit(t, NULL, NULL) == ERR_KEY_EXISTS);
    CHECK(storage_txn_begin(split, &opts, NULL, &t) == ERR_OK);
    CHECK(!has(t, "o1") && has(t, "s1"));
    storage_txn_rollback(t);
    close_both();
}

static void run(void (*fn)(void *), const char *arg)
{
    failure[0] = '\0';
    assert_int_equal(loop_run_main(fn, (void *)(uintptr_t)arg), ERR_OK);
    if (failure[0] != '\0') {
        fail_msg("%s", failure);
    }
}

static void test_conformance_shared(void **state)
{
    (void)state;
    run(conformance, "s");
}

static void test_conformance_own(void **state)
{
    (void)state;
    run(conformance, "o");
}

static void test_adopt(void **state)
{
    (void)state;
    run(adopt, NULL);
}

static void test_one_commit(void **state)
{
    (void)state;
    run(one_commit, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance_shared),
        cmocka_unit_test(test_conformance_own),
        cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_one_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
