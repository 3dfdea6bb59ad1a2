/* Log-ins that fail: blocks, what a flood of them costs, and what becomes of them when accounts are
 * renamed and dropped. */
#include "sql/priv/acl.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/fiber.h"
#include "base/test_main.h"
#include "sql/storage/mem/mem.h"
#include "sql/storage/storage.h"

enum { ATTEMPTS = 2, DAYS = 3 };

struct world {
    struct storage *storage;
    struct accounts *accounts;
    struct loop_group *group;
    _Atomic int done;
};

static const struct slice any = {(const uint8_t *)"%", 1};

static void make(struct world *w, const char *name)
{
    struct acl_change *c;
    struct acl_user *u;
    struct account a;
    struct diag d;
    CHECK_OK(acl_change_begin(w->accounts, &d, &c));
    account_init(&a, slice_str(name), any);
    a.failed_logins = ATTEMPTS;
    a.lock_days = DAYS;
    CHECK_OK(acl_change_add(c, &a, &u));
    CHECK_OK(acl_change_commit(c, &d));
}

static struct login_block log_in(struct world *w, const char *name, bool right)
{
    struct login_block b;
    struct diag d;
    const struct acl *acl = accounts_acquire(w->accounts);
    const struct acl_user *u = acl_find(acl, slice_str(name), any);
    CHECK(u != NULL);
    CHECK_OK(accounts_note_login(w->accounts, &u->account, right, &d, &b));
    acl_release(acl);
    return b;
}

static void block(struct world *w, const char *name)
{
    for (int i = 1; i < ATTEMPTS; i++) {
        CHECK(!log_in(w, name, false).blocked);
    }
    struct login_block b = log_in(w, name, false);
    CHECK(b.blocked && b.failures == ATTEMPTS && b.days == DAYS && b.days_left == DAYS);
}

static bool has_record(struct world *w, const char *name, enum storage_read_mode mode,
                       struct storage_txn **ret_txn)
{
    struct storage_txn_opts o = {.isolation = STORAGE_READ_COMMITTED};
    struct arena arena;
    struct slice value;
    struct diag d;
    struct buf key;
    bool found;
    arena_init(&arena, NULL, NULL, 0);
    buf_init(&key, 64);
    CHECK_OK(buf_append(&key,
                        "\x01"
                        "F",
                        2));
    CHECK_OK(buf_append(&key, name, strlen(name) + 1));
    CHECK_OK(buf_append(&key, "%", 2));
    CHECK_OK(storage_txn_begin(w->storage, &o, &d, ret_txn));
    CHECK_OK(
        storage_get(*ret_txn, buf_slice(&key), mode, STORAGE_WAIT, &arena, &d, &found, &value));
    buf_fini(&key);
    arena_fini(&arena);
    return found;
}

static bool is_kept(struct world *w, const char *name)
{
    struct storage_txn *txn;
    bool found = has_record(w, name, STORAGE_READ_PLAIN, &txn);
    storage_txn_rollback(txn);
    return found;
}

static void blocks(struct world *w)
{
    make(w, "a");
    CHECK(!log_in(w, "a", true).blocked);
    CHECK(!is_kept(w, "a"));
    CHECK(!log_in(w, "a", false).blocked);
    CHECK(is_kept(w, "a"));
    CHECK(!log_in(w, "a", true).blocked); /* those before do not count any more */
    CHECK(!is_kept(w, "a"));
    block(w, "a");
    CHECK(log_in(w, "a", true).blocked);
}

/* Guesses at a blocked account's password wait for nobody. */
static void flood(struct world *w)
{
    struct storage_txn *txn;
    CHECK(has_record(w, "a", STORAGE_READ_EXCLUSIVE, &txn));
    CHECK(log_in(w, "a", false).blocked);
    CHECK(log_in(w, "a", true).blocked);
    storage_txn_rollback(txn);
}

/* An old name is another account's within one change. */
static void renames(struct world *w)
{
    struct acl_change *c;
    struct diag d;
    make(w, "b");
    block(w, "b");
    CHECK_OK(acl_change_begin(w->accounts, &d, &c));
    CHECK_OK(acl_change_rename(c, SLICE_LIT("a"), any, SLICE_LIT("c"), any));
    CHECK_OK(acl_change_rename(c, SLICE_LIT("b"), any, SLICE_LIT("a"), any));
    CHECK_OK(acl_change_commit(c, &d));
    CHECK(log_in(w, "c", true).blocked);
    CHECK(log_in(w, "a", true).blocked);
    CHECK(!is_kept(w, "b"));
    CHECK_OK(acl_change_begin(w->accounts, &d, &c));
    CHECK_OK(acl_change_drop(c, SLICE_LIT("c"), any));
    CHECK_OK(acl_change_rename(c, SLICE_LIT("a"), any, SLICE_LIT("c"), any));
    CHECK_OK(acl_change_commit(c, &d));
    CHECK(log_in(w, "c", true).blocked);
    CHECK(!is_kept(w, "a"));
    CHECK_OK(acl_change_begin(w->accounts, &d, &c));
    CHECK_OK(acl_change_drop(c, SLICE_LIT("c"), any));
    CHECK_OK(acl_change_commit(c, &d));
    CHECK(!is_kept(w, "c"));
}

static void run(void *arg)
{
    struct world *w = arg;
    struct diag d;
    CHECK_OK(accounts_open(w->storage, &d, &w->accounts));
    blocks(w);
    flood(w);
    renames(w);
    make(w, "e");
    block(w, "e");
    CHECK_OK(accounts_forget_failures(w->accounts, &d));
    CHECK(!log_in(w, "e", true).blocked);
    atomic_store(&w->done, 1);
}

static void test_failed_logins(void **state)
{
    (void)state;
    struct world w = {.storage = NULL};
    CHECK_OK(mem_storage_new(NULL, &w.storage));
    CHECK_OK(loop_group_start(&(struct loop_group_opts){.count = 1}, &w.group));
    CHECK_OK(fiber_spawn(loop_group_get(w.group, 0), run, &w));
    while (atomic_load(&w.done) == 0) {
        usleep(1000);
    }
    loop_group_stop(w.group);
    accounts_close(w.accounts);
    storage_close(w.storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_logins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
