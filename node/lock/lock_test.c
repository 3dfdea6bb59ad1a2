/* Row locks, latches, pending writes, deadlocks, splits: step by step, in fibers of one loop. */
#include "node/lock/lock_table.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/test_main.h"

struct fixture {
    struct lock_graph *g;
    struct lock_table *t;
};

static void open_fixture(struct fixture *f)
{
    CHECK_OK(lock_graph_new(&f->g));
    CHECK_OK(lock_table_new(f->g, NULL, &f->t));
}

static void close_fixture(struct fixture *f)
{
    CHECK(row_lock_count(f->t) == 0);
    lock_table_free(f->t);
    lock_graph_free(f->g);
}

struct attempt {
    struct lock_table *t;
    const char *key;
    ts_t ts;
    enum kv_lock_mode mode;
    bool done;
    db_err err;
};

static void attempt_fiber(void *arg)
{
    struct attempt *a = arg;
    a->err = row_lock(a->t, slice_str(a->key), a->ts, 0, a->mode, KV_WAIT, 5000, DEADLINE_NONE);
    a->done = true;
}

static void start(struct attempt *a)
{
    CHECK_OK(fiber_spawn(loop_current(), attempt_fiber, a));
    CHECK_OK(fiber_sleep(NS_PER_MS));
}

static db_err now(struct fixture *f, const char *key, ts_t ts, enum kv_lock_mode mode)
{
    return row_lock(f->t, slice_str(key), ts, 0, mode, KV_NOWAIT, 0, DEADLINE_NONE);
}

static void modes_fiber(void *arg UNUSED)
{
    struct fixture f;
    open_fixture(&f);
    CHECK_OK(now(&f, "k", 1, KV_LOCK_SHARED));
    CHECK_OK(now(&f, "k", 2, KV_LOCK_SHARED));
    CHECK(now(&f, "k", 3, KV_LOCK_EXCLUSIVE) == ERR_LOCK_NOWAIT);
    CHECK(now(&f, "k", 1, KV_LOCK_EXCLUSIVE) == ERR_LOCK_NOWAIT);
    /* First come first served: a shared request waits behind an exclusive one, an upgrade goes in
     * front of both. */
    struct attempt x = {f.t, "k", 3, KV_LOCK_EXCLUSIVE, false, ERR_OK};
    struct attempt s = {f.t, "k", 4, KV_LOCK_SHARED, false, ERR_OK};
    struct attempt up = {f.t, "k", 1, KV_LOCK_EXCLUSIVE, false, ERR_OK};
    start(&x);
    start(&s);
    start(&up);
    CHECK(!x.done && !s.done && !up.done);
    CHECK_OK(row_unlock_all(f.t, 2));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(up.done && up.err == ERR_OK && !x.done && !s.done);
    CHECK(row_lock_held(f.t, SLICE_LIT("k"), 1) == KV_LOCK_EXCLUSIVE);
    CHECK_OK(now(&f, "k", 1, KV_LOCK_SHARED)); /* reentrant */
    CHECK_OK(row_unlock_all(f.t, 1));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(x.done && !s.done);
    CHECK_OK(row_unlock(f.t, SLICE_LIT("k"), 3));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(s.done && s.err == ERR_OK);
    /* Time-out; a release of all ends a wait of the same transaction. */
    CHECK(row_lock(f.t, SLICE_LIT("k"), 5, 0, KV_LOCK_EXCLUSIVE, KV_WAIT, 5, DEADLINE_NONE) ==
          ERR_LOCK_WAIT_TIMEOUT);
    struct attempt gone = {f.t, "k", 6, KV_LOCK_EXCLUSIVE, false, ERR_OK};
    start(&gone);
    CHECK_OK(row_unlock_all(f.t, 6));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(gone.done && gone.err == ERR_CANCELED);
    struct attempt closed = {f.t, "k", 7, KV_LOCK_EXCLUSIVE, false, ERR_OK};
    start(&closed);
    lock_table_close(f.t);
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(closed.done && closed.err == ERR_NOT_LEADER);
    CHECK(now(&f, "k", 8, KV_LOCK_SHARED) == ERR_NOT_LEADER);
    close_fixture(&f);
}

/* A client that has lost the answer asks again while its first request still waits. */
static void asked_twice_fiber(void *arg UNUSED)
{
    struct fixture f;
    open_fixture(&f);
    CHECK_OK(now(&f, "k", 1, KV_LOCK_SHARED));
    CHECK_OK(now(&f, "k", 2, KV_LOCK_SHARED));
    struct attempt first = {f.t, "k", 1, KV_LOCK_EXCLUSIVE, false, ERR_OK};
    struct attempt again = first;
    start(&first);
    start(&again);
    CHECK(!first.done && !again.done && row_lock_count(f.t) == 4);
    CHECK_OK(row_unlock_all(f.t, 2));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(first.done && first.err == ERR_OK && again.done && again.err == ERR_OK);
    CHECK(row_lock_held(f.t, SLICE_LIT("k"), 1) == KV_LOCK_EXCLUSIVE);
    CHECK(row_lock_count(f.t) == 2); /* the shared one was replaced once */
    CHECK_OK(row_unlock_all(f.t, 1));
    close_fixture(&f);
}

static void deadlock_fiber(void *arg UNUSED)
{
    struct fixture f;
    static char keys[50][8];
    static struct attempt a[50];
    open_fixture(&f);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "k%d", i);
        CHECK_OK(now(&f, keys[i], (ts_t)(i + 1), KV_LOCK_EXCLUSIVE));
    }
    for (int i = 0; i < 49; i++) {
        a[i] = (struct attempt){f.t, keys[i + 1], (ts_t)(i + 1), KV_LOCK_EXCLUSIVE, false, ERR_OK};
        start(&a[i]);
        CHECK(!a[i].done);
    }
    CHECK(row_lock(f.t, SLICE_LIT("k0"), 50, 0, KV_LOCK_SHARED, KV_WAIT, 5000, DEADLINE_NONE) ==
          ERR_DEADLOCK);
    for (int i = 49; i >= 0; i--) {
        CHECK_OK(row_unlock_all(f.t, (ts_t)(i + 1)));
        CHECK_OK(fiber_sleep(NS_PER_MS));
        CHECK(i == 0 || (a[i - 1].done && a[i - 1].err == ERR_OK));
    }
    /* Two upgrades of one shared lock. */
    CHECK_OK(now(&f, "u", 1, KV_LOCK_SHARED));
    CHECK_OK(now(&f, "u", 2, KV_LOCK_SHARED));
    struct attempt up = {f.t, "u", 1, KV_LOCK_EXCLUSIVE, false, ERR_OK};
    start(&up);
    CHECK(row_lock(f.t, SLICE_LIT("u"), 2, 0, KV_LOCK_EXCLUSIVE, KV_WAIT, 5000, DEADLINE_NONE) ==
          ERR_DEADLOCK);
    CHECK_OK(row_unlock_all(f.t, 2));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(up.done && up.err == ERR_OK);
    CHECK_OK(row_unlock_all(f.t, 1));
    close_fixture(&f);
}

static bool watch(void *ctx)
{
    unsigned *calls = ctx;
    (*calls)++;
    return *calls > 1;
}

/* What a search over all nodes is told, and what it may do. */
static void edges_fiber(void *arg UNUSED)
{
    struct fixture f;
    struct arena a;
    struct kv_wait_edge *e;
    unsigned n;
    unsigned calls = 0;
    open_fixture(&f);
    arena_init(&a, NULL, NULL, 0);
    lock_graph_watch(f.g, watch, &calls);
    CHECK_OK(now(&f, "k", 1, KV_LOCK_SHARED));
    CHECK_OK(now(&f, "k", 2, KV_LOCK_SHARED));
    struct attempt x = {f.t, "k", 3, KV_LOCK_EXCLUSIVE, false, ERR_OK};
    struct attempt s = {f.t, "k", 4, KV_LOCK_SHARED, false, ERR_OK};
    struct attempt y = {f.t, "k", 5, KV_LOCK_EXCLUSIVE, false, ERR_OK};
    start(&x);
    uint64_t until = clock_mono_ns();
    start(&s);
    start(&y);
    CHECK(calls == 2 && lock_graph_waits(f.g) == 3);
    CHECK(!lock_graph_unwatch(f.g)); /* there are waits */
    CHECK_OK(lock_graph_edges(f.g, until, 100, &a, &e, &n));
    CHECK(n == 2 && e[0].waiter == 3 && e[0].blocker == 1 && e[1].blocker == 2);
    uint64_t wait = e[0].wait;
    /* 4 waits for 3, who is before it, and by that for the others; 5 for 4 and for 3. */
    CHECK_OK(lock_graph_edges(f.g, clock_mono_ns(), 100, &a, &e, &n));
    CHECK(n == 5 && e[2].waiter == 4 && e[2].blocker == 3);
    CHECK(e[3].waiter == 5 && e[3].blocker == 3 && e[4].blocker == 4);
    CHECK_OK(lock_graph_edges(f.g, clock_mono_ns(), 3, &a, &e, &n));
    CHECK(n == 3);
    CHECK(!lock_graph_refuse(f.g, wait, 4) && !lock_graph_refuse(f.g, wait + 1, 3));
    CHECK(lock_graph_refuse(f.g, wait, 3));
    CHECK(!lock_graph_refuse(f.g, wait, 3));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(x.done && x.err == ERR_DEADLOCK && s.done && s.err == ERR_OK && !y.done);
    CHECK_OK(row_unlock_all(f.t, 3));
    for (ts_t ts = 1; ts <= 4; ts++) {
        CHECK_OK(row_unlock_all(f.t, ts));
    }
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(y.done && y.err == ERR_OK && lock_graph_waits(f.g) == 0);
    CHECK_OK(row_unlock_all(f.t, 5));
    CHECK(lock_graph_unwatch(f.g) && calls == 2);
    arena_fini(&a);
    close_fixture(&f);
}

static void pending_fiber(void *arg UNUSED)
{
    struct fixture f;
    struct latch_guard g, h;
    struct slice keys[2] = {SLICE_LIT("b"), SLICE_LIT("d")};
    uint64_t soon;
    open_fixture(&f);
    CHECK_OK(pending_wait_key(f.t, keys[0], 10, DEADLINE_NONE));
    CHECK_OK(latch_acquire(f.t, keys, 2, DEADLINE_NONE, &g));
    soon = clock_mono_ns() + NS_PER_MS;
    CHECK(latch_acquire(f.t, keys + 1, 1, soon, &h) == ERR_TIMEOUT);
    CHECK_OK(pending_wait_key(f.t, keys[0], 10, DEADLINE_NONE)); /* latched, not pending */
    latch_begin_pending(&g);
    soon = clock_mono_ns() + NS_PER_MS;
    CHECK(pending_wait_key(f.t, keys[0], 10, soon) == ERR_TIMEOUT);
    CHECK(pending_wait_range(f.t, SLICE_LIT("a"), SLICE_LIT("c"), 10, soon) == ERR_TIMEOUT);
    CHECK_OK(pending_wait_key(f.t, SLICE_LIT("c"), 10, soon));
    CHECK_OK(pending_wait_range(f.t, SLICE_LIT("c"), SLICE_LIT("d"), 10, soon));
    CHECK_OK(pending_wait_range(f.t, SLICE_LIT("e"), SLICE_EMPTY, 10, soon));
    latch_set_commit_ts(&g, 20);
    CHECK_OK(pending_wait_key(f.t, keys[0], 19, DEADLINE_NONE));
    soon = clock_mono_ns() + NS_PER_MS;
    CHECK(pending_wait_key(f.t, keys[0], 20, soon) == ERR_TIMEOUT);
    CHECK(latch_acquire_all(f.t, soon, &h) == ERR_TIMEOUT);
    CHECK_OK(latch_acquire(f.t, &(struct slice){(const uint8_t *)"x", 1}, 1, DEADLINE_NONE, &h));
    latch_release(&h);
    CHECK(row_lock_conflict(&g, 1) == 2);
    latch_release(&g);
    CHECK_OK(latch_acquire_all(f.t, DEADLINE_NONE, &h));
    soon = clock_mono_ns() + NS_PER_MS;
    CHECK(latch_acquire(f.t, keys, 2, soon, &g) == ERR_TIMEOUT);
    latch_release(&h);
    CHECK_OK(now(&f, "d", 9, KV_LOCK_SHARED));
    CHECK_OK(latch_acquire(f.t, keys, 2, DEADLINE_NONE, &g));
    CHECK(row_lock_conflict(&g, 1) == 1 && row_lock_conflict(&g, 9) == 2);
    latch_release(&g);
    CHECK_OK(row_unlock_all(f.t, 9));
    close_fixture(&f);
}

static db_err count_lock(void *arg, const struct lock_export *l UNUSED)
{
    ++*(int *)arg;
    return ERR_OK;
}

static db_err no_fence(void *arg UNUSED, uint64_t node UNUSED, ts_t start_ts UNUSED)
{
    CHECK(false);
    return ERR_OK;
}

static db_err now_in(struct lock_table *t, const char *key, ts_t ts)
{
    return row_lock(t, slice_str(key), ts, 0, KV_LOCK_EXCLUSIVE, KV_NOWAIT, 0, DEADLINE_NONE);
}

static void split_fiber(void *arg UNUSED)
{
    struct fixture f;
    struct lock_table *right;
    struct latch_guard g;
    int n = 0;
    open_fixture(&f);
    CHECK_OK(lock_table_new(f.g, NULL, &right));
    CHECK_OK(now(&f, "a", 1, KV_LOCK_EXCLUSIVE));
    CHECK_OK(now(&f, "m", 1, KV_LOCK_EXCLUSIVE));
    CHECK_OK(now(&f, "z", 2, KV_LOCK_SHARED));
    struct attempt waits = {f.t, "m", 3, KV_LOCK_EXCLUSIVE, false, ERR_OK};
    start(&waits);
    CHECK_OK(latch_acquire_all(f.t, DEADLINE_NONE, &g));
    CHECK_OK(lock_table_split(f.t, SLICE_LIT("m"), right));
    latch_release(&g);
    CHECK(now(&f, "n", 1, KV_LOCK_SHARED) == ERR_STALE_EPOCH);
    CHECK(row_lock_held(right, SLICE_LIT("m"), 1) == KV_LOCK_EXCLUSIVE);
    CHECK_OK(row_unlock_all(f.t, 1));
    CHECK(!waits.done && row_lock_count(f.t) == 0 && row_lock_count(right) == 3);
    CHECK_OK(row_unlock_all(right, 1));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(waits.done && waits.err == ERR_OK);
    CHECK_OK(lock_table_seal(right, no_fence, count_lock, &n));
    CHECK(row_unlock_all(right, 2) == ERR_BUSY && now_in(right, "q", 8) == ERR_BUSY);
    lock_table_unseal(right);
    CHECK(n == 2);
    CHECK_OK(lock_table_merge(f.t, right));
    CHECK(row_lock_count(f.t) == 2 && row_lock_count(right) == 0);
    CHECK_OK(row_unlock_all(f.t, 2));
    CHECK_OK(row_unlock_all(f.t, 3));
    /* A range that was merged elsewhere: its table learns the new end. */
    CHECK_OK(lock_table_split(f.t, slice_str("m"), right));
    CHECK(now_in(f.t, "q", 9) == ERR_STALE_EPOCH);
    CHECK_OK(lock_table_set_end(f.t, slice_str("r")));
    CHECK(now_in(f.t, "q", 9) == ERR_OK && now_in(f.t, "s", 9) == ERR_STALE_EPOCH);
    CHECK_OK(lock_table_set_end(f.t, SLICE_EMPTY));
    CHECK_OK(now_in(f.t, "s", 9));
    CHECK_OK(row_unlock_all(f.t, 9));
    lock_table_free(right);
    close_fixture(&f);
    /* A bounded table says so. */
    struct lock_table *small;
    CHECK_OK(lock_graph_new(&f.g));
    CHECK_OK(lock_table_new(f.g, &(struct lock_table_opts){.memory_max = 4096}, &small));
    db_err err = ERR_OK;
    for (unsigned i = 0; i < 100 && err == ERR_OK; i++) {
        char key[8];
        (void)snprintf(key, sizeof(key), "%u", i);
        err = row_lock(small, slice_str(key), 1, 0, KV_LOCK_EXCLUSIVE, KV_NOWAIT, 0, DEADLINE_NONE);
    }
    CHECK(err == ERR_LOCK_TABLE_FULL);
    CHECK_OK(row_unlock_all(small, 1));
    lock_table_free(small);
    lock_graph_free(f.g);
}

/* ---- room for latches ---- */

enum { CROWD = 12, CROWD_KEYS = 100, CROWD_ROUNDS = 20 };

struct crowd {
    struct lock_table *t;
    unsigned left, inside, inside_max;
};

struct crowd_member {
    struct crowd *c;
    unsigned number;
};

/* Keys that nobody else has, and one that all have. */
static void crowd_fiber(void *arg)
{
    const struct crowd_member *m = arg;
    static char names[CROWD][CROWD_KEYS][16];
    static struct slice all[CROWD][CROWD_KEYS];
    struct slice *keys = all[m->number];
    for (unsigned i = 0; i < CROWD_KEYS; i++) {
        (void)snprintf(names[m->number][i], 16, i == 0 ? "a" : "m%02u.%04u", m->number, i);
        keys[i] = slice_str(names[m->number][i]);
    }
    for (unsigned round = 0; round < CROWD_ROUNDS; round++) {
        struct latch_guard g;
        CHECK_OK(
            latch_acquire(m->c->t, keys + round % 2, CROWD_KEYS - round % 2, DEADLINE_NONE, &g));
        m->c->inside++;
        m->c->inside_max = m->c->inside > m->c->inside_max ? m->c->inside : m->c->inside_max;
        CHECK_OK(fiber_sleep(NS_PER_MS / 10));
        m->c->inside--;
        latch_release(&g);
    }
    m->c->left--;
}

static struct slice *crowd_keys(char names[CROWD_KEYS][16], struct slice keys[CROWD_KEYS],
                                unsigned set)
{
    for (unsigned i = 0; i < CROWD_KEYS; i++) {
        (void)snprintf(names[i], 16, "s%u.%04u", set, i);
        keys[i] = slice_str(names[i]);
    }
    return keys;
}

/* Many at a time that need more than there is, all together: each gets its turn. */
static void room_fiber(void *arg UNUSED)
{
    struct crowd c = {.left = CROWD};
    struct crowd_member members[CROWD];
    static char names[8][CROWD_KEYS][16];
    static struct slice keys[8][CROWD_KEYS];
    struct latch_guard g[8];
    struct lock_graph *graph;
    CHECK_OK(lock_graph_new(&graph));
    CHECK_OK(lock_table_new(graph, &(struct lock_table_opts){.memory_max = 45 << 10}, &c.t));
    for (unsigned i = 0; i < CROWD; i++) {
        members[i] = (struct crowd_member){&c, i};
        CHECK_OK(fiber_spawn(loop_current(), crowd_fiber, &members[i]));
    }
    while (c.left != 0) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    CHECK(c.inside_max >= 2 && c.inside_max < CROWD);
    /* Who gives up leaves nothing behind; who needs little has room beside those who need much. */
    unsigned n = 0;
    db_err err = ERR_OK;
    while (err == ERR_OK && n < 8) {
        uint64_t until = clock_mono_ns() + 5 * NS_PER_MS;
        err = latch_acquire(c.t, crowd_keys(names[n], keys[n], n), CROWD_KEYS, until, &g[n]);
        n += err == ERR_OK;
    }
    CHECK(err == ERR_TIMEOUT && n >= 2 && n < 8);
    struct slice one = SLICE_LIT("one");
    CHECK_OK(latch_acquire(c.t, &one, 1, DEADLINE_NONE, &g[n]));
    for (unsigned i = 0; i <= n; i++) {
        latch_release(&g[i]);
    }
    /* Row locks are not waited for. */
    err = ERR_OK;
    for (unsigned i = 0; i < 1000 && err == ERR_OK; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "r%u", i);
        err = row_lock(c.t, slice_str(key), 1, 0, KV_LOCK_EXCLUSIVE, KV_NOWAIT, 0, DEADLINE_NONE);
    }
    CHECK(err == ERR_LOCK_TABLE_FULL);
    CHECK(latch_acquire(c.t, keys[0], CROWD_KEYS, DEADLINE_NONE, &g[0]) == ERR_LOCK_TABLE_FULL);
    CHECK_OK(row_unlock_all(c.t, 1));
    CHECK_OK(latch_acquire(c.t, keys[0], CROWD_KEYS, DEADLINE_NONE, &g[0]));
    latch_release(&g[0]);
    lock_table_free(c.t);
    lock_graph_free(graph);
}

static void test_room(void **state UNUSED)
{
    CHECK_OK(loop_run_main(room_fiber, NULL));
}

static bool node_dead(void *ctx, lock_owner_t owner)
{
    return lock_owner_node(owner) == *(const uint64_t *)ctx;
}

/* Locks of a dead owner go to those who wait; what it held is fenced, and nothing else. */
static void owners_fiber(void *arg UNUSED)
{
    struct fixture f;
    struct lock_table *right;
    struct latch_guard g;
    lock_owner_t one = lock_owner_make(1, 5);
    lock_owner_t two = lock_owner_make(2, 9);
    uint64_t dead = 2;
    open_fixture(&f);
    CHECK_OK(lock_table_new(f.g, NULL, &right));
    CHECK_OK(row_lock(f.t, SLICE_LIT("a"), 10, two, KV_LOCK_EXCLUSIVE, KV_NOWAIT, 0, 0));
    CHECK_OK(row_lock(f.t, SLICE_LIT("z"), 10, two, KV_LOCK_SHARED, KV_NOWAIT, 0, 0));
    CHECK_OK(row_lock(f.t, SLICE_LIT("b"), 11, one, KV_LOCK_EXCLUSIVE, KV_NOWAIT, 0, 0));
    CHECK_OK(row_lock(f.t, SLICE_LIT("c"), 12, 0, KV_LOCK_EXCLUSIVE, KV_NOWAIT, 0, 0));
    struct attempt waits = {f.t, "a", 13, KV_LOCK_EXCLUSIVE, false, ERR_OK};
    start(&waits);
    CHECK(!waits.done && !lock_table_fenced(f.t, two, 10));
    CHECK(lock_table_reap(f.t, node_dead, &dead) == 1);
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(waits.done && waits.err == ERR_OK);
    CHECK(row_lock_held(f.t, SLICE_LIT("z"), 10) == KV_LOCK_NONE);
    CHECK(row_lock_held(f.t, SLICE_LIT("b"), 11) == KV_LOCK_EXCLUSIVE);
    CHECK(row_lock_held(f.t, SLICE_LIT("c"), 12) == KV_LOCK_EXCLUSIVE);
    CHECK(lock_table_fenced(f.t, two, 10) && lock_table_fenced(f.t, two, 9));
    CHECK(!lock_table_fenced(f.t, two, 11) && !lock_table_fenced(f.t, one, 10));
    CHECK(lock_table_reap(f.t, node_dead, &dead) == 0);
    /* fences move with a split, and end with the table's lifetime */
    CHECK_OK(latch_acquire_all(f.t, DEADLINE_NONE, &g));
    CHECK_OK(lock_table_split(f.t, SLICE_LIT("m"), right));
    latch_release(&g);
    CHECK(lock_table_fenced(right, two, 10) && !lock_table_fenced(right, two, 11));
    lock_table_close(right);
    lock_table_open(right, true);
    CHECK(lock_table_fenced(right, two, 10));
    lock_table_open(right, false);
    CHECK(!lock_table_fenced(right, two, 10));
    CHECK_OK(row_unlock_all(f.t, 11));
    CHECK_OK(row_unlock_all(f.t, 12));
    CHECK_OK(row_unlock_all(f.t, 13));
    lock_table_free(right);
    close_fixture(&f);
}

static void test_owners(void **state UNUSED)
{
    CHECK_OK(loop_run_main(owners_fiber, NULL));
}

static void test_modes(void **state UNUSED)
{
    CHECK_OK(loop_run_main(modes_fiber, NULL));
}
static void test_edges(void **state UNUSED)
{
    CHECK_OK(loop_run_main(edges_fiber, NULL));
}

static void test_asked_twice(void **state UNUSED)
{
    CHECK_OK(loop_run_main(asked_twice_fiber, NULL));
}
static void test_deadlock(void **state UNUSED)
{
    CHECK_OK(loop_run_main(deadlock_fiber, NULL));
}
static void test_pending(void **state UNUSED)
{
    CHECK_OK(loop_run_main(pending_fiber, NULL));
}
static void test_split(void **state UNUSED)
{
    CHECK_OK(loop_run_main(split_fiber, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),       cmocka_unit_test(test_deadlock),
        cmocka_unit_test(test_edges),       cmocka_unit_test(test_pending),
        cmocka_unit_test(test_split),       cmocka_unit_test(test_owners),
        cmocka_unit_test(test_asked_twice), cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
