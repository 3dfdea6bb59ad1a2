/* Generations: the first accounts, changes of two nodes on one storage at the same time, readers
 * that meet whole changes only. Run it under TSan. */
#include "sql/priv/acl.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fiber.h"
#include "base/test_main.h"
#include "sql/priv/check.h"
#include "sql/storage/mem/mem.h"

enum { NODES = 2, WRITERS = 4, READERS = 4, CHANGES = 40, LOOPS = 3 };

struct world {
    struct storage *storage;
    struct accounts *nodes[NODES];
    struct loop_group *group;
    _Atomic int writers, done;
};

static const struct slice joe = {(const uint8_t *)"joe", 3};
static const struct slice any = {(const uint8_t *)"%", 1};

static void open_all(struct world *w)
{
    *w = (struct world){0};
    CHECK_OK(mem_storage_new(NULL, &w->storage));
    CHECK_OK(loop_group_start(&(struct loop_group_opts){.count = LOOPS}, &w->group));
}

static void close_all(struct world *w)
{
    loop_group_stop(w->group);
    for (int i = 0; i < NODES; i++) {
        accounts_close(w->nodes[i]);
    }
    storage_close(w->storage);
}

static void make_joe(struct world *w)
{
    struct acl_change *c;
    struct acl_user *u;
    struct account a;
    struct diag d;
    CHECK_OK(acl_change_begin(w->nodes[0], &d, &c));
    account_init(&a, joe, any);
    CHECK_OK(acl_change_add(c, &a, &u));
    CHECK_OK(acl_change_commit(c, &d));
}

static void first_accounts(void *arg)
{
    struct world *w = arg;
    struct diag d;
    for (int i = 0; i < NODES; i++) {
        CHECK_OK(accounts_open(w->storage, &d, &w->nodes[i]));
        const struct acl *acl = accounts_acquire(w->nodes[i]);
        const struct acl_user *root = acl_find(acl, SLICE_LIT("root"), SLICE_LIT("localhost"));
        CHECK(root != NULL && root->account.developer);
        CHECK(root->global == priv_all(PRIV_LEVEL_GLOBAL, true) && root->dynamic == DYN_ALL);
        CHECK(acl_find(acl, SLICE_LIT("mysql.sys"), SLICE_LIT("localhost"))->account.locked);
        CHECK(acl->count == 4);
        acl_release(acl);
    }
    make_joe(w);
    struct acl_change *c;
    struct acl_user *u;
    CHECK_OK(acl_change_begin(w->nodes[1], &d, &c)); /* sees what the other node has made */
    CHECK_OK(acl_change_edit(c, joe, any, &u));
    CHECK(u != NULL);
    u->global = PRIV_FILE;
    acl_change_abort(c);
    CHECK_OK(acl_change_begin(w->nodes[1], &d, &c));
    CHECK_OK(acl_change_rename(c, joe, any, SLICE_LIT("ann"), any));
    CHECK_OK(acl_change_commit(c, &d));
    CHECK_OK(accounts_reload(w->nodes[0], &d));
    const struct acl *acl = accounts_acquire(w->nodes[0]);
    CHECK(acl_find(acl, joe, any) == NULL);
    CHECK(acl_find(acl, SLICE_LIT("ann"), any)->global == 0);
    acl_release(acl);
    CHECK_OK(acl_change_begin(w->nodes[0], &d, &c));
    CHECK_OK(acl_change_drop(c, SLICE_LIT("ann"), any));
    CHECK(acl_change_drop(c, SLICE_LIT("ann"), any) == ERR_NOT_FOUND);
    CHECK_OK(acl_change_commit(c, &d));
    atomic_fetch_add(&w->done, 1);
}

static void test_first_accounts(void **state)
{
    (void)state;
    struct world w;
    open_all(&w);
    CHECK_OK(fiber_spawn(loop_group_get(w.group, 0), first_accounts, &w));
    while (atomic_load(&w.done) == 0) {
        usleep(1000);
    }
    close_all(&w);
}

/* ---- at the same time ---- */

/* Two grants at a time: nobody may see one of them. */
static void write_some(void *arg)
{
    struct world *w = arg;
    int me = atomic_fetch_add(&w->writers, 1);
    struct accounts *a = w->nodes[me % NODES];
    struct diag d;
    for (int i = 0; i < CHANGES; i++) {
        struct acl_change *c;
        struct acl_user *u;
        char one[32];
        char two[32];
        snprintf(one, sizeof(one), "a%d_%d", me, i);
        snprintf(two, sizeof(two), "b%d_%d", me, i);
        CHECK_OK(acl_change_begin(a, &d, &c));
        CHECK_OK(acl_change_edit(c, joe, any, &u));
        CHECK_OK(acl_user_set_db(u, slice_str(one), PRIV_SELECT));
        CHECK_OK(acl_user_set_db(u, slice_str(two), PRIV_SELECT));
        CHECK_OK(acl_change_commit(c, &d));
    }
    atomic_fetch_add(&w->done, 1);
}

static void read_some(void *arg)
{
    struct world *w = arg;
    int me = atomic_fetch_add(&w->writers, 1);
    struct accounts *a = w->nodes[me % NODES];
    struct priv_session p = {.accounts = NULL};
    struct diag d;
    uint32_t last = 0;
    CHECK_OK(
        priv_login(&p, a, joe, any, SLICE_LIT("localhost"), SLICE_EMPTY, PRIV_ROLES_ALL, NULL, 0));
    while (last < 2 * WRITERS * CHANGES) {
        CHECK_OK(accounts_reload(a, &d));
        CHECK_OK(priv_refresh(&p));
        const struct acl_user *self = priv_self(&p);
        CHECK(self != NULL && self->db_count % 2 == 0 && self->db_count >= last);
        last = self->db_count;
        CHECK_OK(fiber_sleep(NS_PER_MS / 5));
    }
    priv_fini(&p);
    atomic_fetch_add(&w->done, 1);
}

static void prepare(void *arg)
{
    struct world *w = arg;
    struct diag d;
    for (int i = 0; i < NODES; i++) {
        CHECK_OK(accounts_open(w->storage, &d, &w->nodes[i]));
    }
    make_joe(w);
    CHECK_OK(accounts_reload(w->nodes[1], &d));
    atomic_fetch_add(&w->done, 1);
}

static void test_at_the_same_time(void **state)
{
    (void)state;
    struct world w;
    open_all(&w);
    CHECK_OK(fiber_spawn(loop_group_get(w.group, 0), prepare, &w));
    while (atomic_load(&w.done) != 1) {
        usleep(1000);
    }
    for (int i = 0; i < WRITERS; i++) {
        CHECK_OK(fiber_spawn(loop_group_get(w.group, (unsigned)i % LOOPS), write_some, &w));
    }
    for (int i = 0; i < READERS; i++) {
        CHECK_OK(fiber_spawn(loop_group_get(w.group, (unsigned)i % LOOPS), read_some, &w));
    }
    while (atomic_load(&w.done) != 1 + WRITERS + READERS) {
        usleep(1000);
    }
    close_all(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_accounts),
        cmocka_unit_test(test_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
