/* Packed locks: many in little memory, and locks like all others for everybody else. */
#include <stdio.h>
#include <unistd.h>

#include "base/rand.h"
#include "node/lock/testing.h"

struct name {
    char text[24];
};

static struct slice key_of(struct name *n, const char *table, unsigned i)
{
    (void)snprintf(n->text, sizeof(n->text), "%s%06u", table, i);
    return slice_str(n->text);
}

static void start_on(struct attempt *a, struct lock_table *t, unsigned i, ts_t ts,
                     enum kv_lock_mode mode)
{
    struct name key;
    *a = (struct attempt){.t = t, .ts = ts, .mode = mode};
    (void)key_of(&key, "t", i);
    memcpy(a->key, key.text, sizeof(a->key));
    start(a);
}

/* ---- many ---- */

enum { MANY = 50000 };

static void lock_many(struct lock_table *t, ts_t ts, enum kv_lock_mode mode, unsigned n)
{
    struct name key;
    for (unsigned i = 0; i < n; i++) {
        CHECK_OK(now(t, key_of(&key, "t", i), ts, mode));
    }
}

static void many_fiber(void *arg)
{
    enum kv_lock_mode mode = (enum kv_lock_mode)(uintptr_t)arg;
    struct fixture f;
    struct name key;
    /* a record each would take 15 MB */
    open_table(&f, 3 << 20, 0);
    lock_many(f.t, 1, mode, MANY);
    lock_many(f.t, 1, mode, MANY); /* again */
    CHECK(row_lock_count(f.t) < 6000);
    for (unsigned i = 0; i < MANY; i++) {
        struct slice k = key_of(&key, "t", i);
        CHECK(row_lock_held(f.t, k, 1) == mode);
        CHECK(row_lock_held(f.t, k, 2) == KV_LOCK_NONE);
        if (i % 10 == 0) {
            CHECK(now(f.t, k, 2, KV_LOCK_EXCLUSIVE) == ERR_LOCK_NOWAIT);
            CHECK(now(f.t, k, 2, KV_LOCK_SHARED) ==
                  (mode == KV_LOCK_SHARED ? ERR_OK : ERR_LOCK_NOWAIT));
        }
        /* of others nothing is locked */
        CHECK_OK(now(f.t, key_of(&key, "u", i % 1000), 3, KV_LOCK_EXCLUSIVE));
    }
    CHECK_OK(row_unlock_all(f.t, 1));
    CHECK_OK(row_unlock_all(f.t, 2));
    CHECK_OK(row_unlock_all(f.t, 3));
    CHECK(row_lock_count(f.t) == 0);
    lock_many(f.t, 4, mode, MANY); /* all memory has come back */
    CHECK_OK(row_unlock_all(f.t, 4));
    close_table(&f);
}

static void test_many(void **state UNUSED)
{
    for (uintptr_t mode = KV_LOCK_SHARED; mode <= KV_LOCK_INSERT; mode++) {
        CHECK_OK(loop_run_main(many_fiber, (void *)mode));
    }
}

/* ---- waits ---- */

static void waits_fiber(void *arg UNUSED)
{
    struct fixture f;
    struct name key;
    struct attempt a, b;
    open_table(&f, 0, 8);
    lock_many(f.t, 1, KV_LOCK_EXCLUSIVE, 1000);
    CHECK(row_lock_count(f.t) < 300);
    /* those who wait for a packed lock are served in their order */
    start_on(&a, f.t, 3, 2, KV_LOCK_EXCLUSIVE);
    start_on(&b, f.t, 3, 3, KV_LOCK_SHARED);
    CHECK(!a.done && !b.done);
    CHECK_OK(row_unlock_all(f.t, 1));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(a.done && a.err == ERR_OK && !b.done);
    CHECK_OK(row_unlock_all(f.t, 2));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(b.done && b.err == ERR_OK);
    CHECK_OK(row_unlock_all(f.t, 3));
    /* a cycle through a packed lock */
    lock_many(f.t, 1, KV_LOCK_EXCLUSIVE, 1000);
    CHECK_OK(now(f.t, SLICE_LIT("mine"), 2, KV_LOCK_EXCLUSIVE));
    start_on(&a, f.t, 500, 2, KV_LOCK_EXCLUSIVE);
    CHECK(!a.done);
    CHECK(row_lock(f.t, SLICE_LIT("mine"), 1, 0, KV_LOCK_SHARED, KV_WAIT, 5000, DEADLINE_NONE) ==
          ERR_DEADLOCK);
    CHECK_OK(row_unlock_all(f.t, 1));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(a.done && a.err == ERR_OK);
    CHECK_OK(row_unlock_all(f.t, 2));
    /* shared ones: for all who want them; who wants more waits for all, with an upgrade first */
    lock_many(f.t, 1, KV_LOCK_SHARED, 1000);
    lock_many(f.t, 2, KV_LOCK_SHARED, 1000);
    start_on(&a, f.t, 3, 3, KV_LOCK_EXCLUSIVE);
    start_on(&b, f.t, 3, 1, KV_LOCK_EXCLUSIVE);
    CHECK(!a.done && !b.done);
    CHECK_OK(row_unlock_all(f.t, 2));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(!a.done && b.done && b.err == ERR_OK);
    CHECK(row_lock_held(f.t, key_of(&key, "t", 3), 1) == KV_LOCK_EXCLUSIVE);
    CHECK(row_lock_held(f.t, key_of(&key, "t", 4), 1) == KV_LOCK_SHARED);
    CHECK_OK(row_unlock_all(f.t, 1));
    CHECK_OK(fiber_sleep(NS_PER_MS));
    CHECK(a.done && a.err == ERR_OK);
    CHECK_OK(row_unlock_all(f.t, 3));
    close_table(&f);
}

static void test_waits(void **state UNUSED)
{
    CHECK_OK(loop_run_main(waits_fiber, NULL));
}

/* ---- a command that is under way ---- */

static void latches_fiber(void *arg UNUSED)
{
    struct fixture f;
    struct name names[3];
    struct slice keys[3];
    struct latch_guard g;
    open_table(&f, 0, 8);
    lock_many(f.t, 1, KV_LOCK_EXCLUSIVE, 1000);
    keys[0] = SLICE_LIT("a");
    keys[1] = key_of(&names[1], "t", 7);
    keys[2] = key_of(&names[2], "t", 8);
    CHECK_OK(latch_acquire(f.t, keys, 3, DEADLINE_NONE, &g));
    CHECK(row_lock_conflict(&g, 1) == 3);
    CHECK(row_lock_conflict(&g, 2) == 1);
    latch_release(&g);
    CHECK_OK(row_unlock_all(f.t, 1));
    close_table(&f);
}

static void test_latches(void **state UNUSED)
{
    CHECK_OK(loop_run_main(latches_fiber, NULL));
}

/* ---- inserts and gaps ---- */

static bool next(struct lock_table *t, const char *start_key, const char *end_key, ts_t ts,
                 struct slice *ret)
{
    static struct arena arena;
    bool found;
    arena_init(&arena, NULL, NULL, 0);
    CHECK_OK(insert_next(t, slice_str(start_key), slice_str(end_key), ts, &arena, &found, ret));
    bool mine = found && row_lock_held(t, *ret, 1) == KV_LOCK_INSERT;
    CHECK(!found || mine);
    arena_fini(&arena);
    return found;
}

static void inserts_fiber(void *arg UNUSED)
{
    struct fixture f;
    struct slice k;
    struct name key;
    open_table(&f, 0, 8);
    /* two indexes, one of them out of order */
    for (unsigned i = 0; i < 2000; i++) {
        CHECK_OK(now(f.t, key_of(&key, "p", 5000 + i), 1, KV_LOCK_INSERT));
        CHECK_OK(now(f.t, key_of(&key, "u", 5000 + i * 7919u % 2000), 1, KV_LOCK_INSERT));
    }
    CHECK(row_lock_count(f.t) < 600);
    CHECK(next(f.t, "p", "q", 2, &k) && next(f.t, "u", "v", 2, &k) &&
          next(f.t, "p005100", "p005101", 2, &k));
    CHECK(!next(f.t, "a", "p", 2, &k) && !next(f.t, "q", "u", 2, &k) && !next(f.t, "v", "", 2, &k));
    CHECK(!next(f.t, "p000000", "p004000", 2, &k) && !next(f.t, "u008000", "v", 2, &k));
    CHECK(!next(f.t, "p", "", 1, &k)); /* its own */
    CHECK_OK(row_unlock_all(f.t, 1));
    CHECK(!next(f.t, "a", "", 2, &k));
    /* many places: not more than the table has room for are remembered one by one */
    for (unsigned i = 0; i < 500; i++) {
        CHECK_OK(now(f.t, key_of(&key, "w", i * 7919u % 500 * 100), 1, KV_LOCK_INSERT));
    }
    for (unsigned i = 0; i < 500; i++) {
        struct name end;
        (void)key_of(&key, "w", i * 100);
        (void)key_of(&end, "w", i * 100 + 1);
        CHECK(next(f.t, key.text, end.text, 2, &k));
    }
    CHECK_OK(row_unlock_all(f.t, 1));
    close_table(&f);
}

static void test_inserts(void **state UNUSED)
{
    CHECK_OK(loop_run_main(inserts_fiber, NULL));
}

/* ---- to be shown ---- */

struct shown {
    size_t records, stretches, packed;
    size_t by_mode[KV_LOCK_INSERT + 1];
    char first[24], last[24];
};

static db_err show(void *arg, const struct lock_info *l)
{
    struct shown *s = arg;
    CHECK(l->start_ts == 1 && !l->span && l->wait == 0);
    s->by_mode[l->mode] += l->packed != 0 ? l->packed : 1;
    if (l->packed == 0) {
        s->records++;
        return ERR_OK;
    }
    CHECK(slice_cmp(l->key, l->end) <= 0 && l->key.len == 7 && l->end.len == 7);
    s->stretches++;
    s->packed += l->packed;
    if (s->first[0] == 0 || slice_cmp(l->key, slice_str(s->first)) < 0) {
        memcpy(s->first, l->key.ptr, 7);
    }
    if (slice_cmp(l->end, slice_str(s->last)) > 0) {
        memcpy(s->last, l->end.ptr, 7);
    }
    return ERR_OK;
}

/* All are, in few words: each key in a stretch or by itself. */
static void shown_fiber(void *arg UNUSED)
{
    struct fixture f;
    struct name key;
    open_table(&f, 0, 8);
    lock_many(f.t, 1, KV_LOCK_EXCLUSIVE, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_OK(now(f.t, key_of(&key, "i", i * 7919u % 1000), 1, KV_LOCK_INSERT));
        CHECK_OK(now(f.t, key_of(&key, "s", i * 31u % 1000), 1, KV_LOCK_SHARED));
    }
    struct shown s = {0};
    CHECK_OK(lock_table_look(f.t, show, &s));
    CHECK(s.by_mode[KV_LOCK_EXCLUSIVE] == 1000 && s.by_mode[KV_LOCK_INSERT] == 1000 &&
          s.by_mode[KV_LOCK_SHARED] == 1000);
    CHECK(s.records < 300 && s.stretches > 0 && s.stretches <= 3 * 16);
    CHECK(s.packed + s.records == 3000);
    CHECK(s.first[0] == 'i' && s.last[0] == 't');
    CHECK_OK(row_unlock_all(f.t, 1));
    s = (struct shown){0};
    CHECK_OK(lock_table_look(f.t, show, &s));
    CHECK(s.records == 0 && s.stretches == 0);
    close_table(&f);
}

static void test_shown(void **state UNUSED)
{
    CHECK_OK(loop_run_main(shown_fiber, NULL));
}

/* ---- moves ---- */

static db_err any_fence(void *arg UNUSED, uint64_t node UNUSED, ts_t start_ts UNUSED)
{
    return ERR_OK;
}

static db_err count_lock(void *arg, const struct lock_export *l UNUSED)
{
    ++*(size_t *)arg;
    return ERR_OK;
}

static bool everybody(void *ctx UNUSED, lock_owner_t owner UNUSED)
{
    return true;
}

static void check_all(struct lock_table *t, unsigned from, unsigned to, ts_t ts)
{
    struct name key;
    for (unsigned i = from; i < to; i++) {
        struct slice k = key_of(&key, "t", i);
        CHECK(row_lock_held(t, k, ts) == KV_LOCK_EXCLUSIVE);
        CHECK(now(t, k, 99, KV_LOCK_SHARED) == ERR_LOCK_NOWAIT);
    }
}

static void moves_fiber(void *arg UNUSED)
{
    struct fixture f;
    struct lock_table *right;
    struct latch_guard g, h;
    struct slice k;
    struct name key;
    size_t told = 0;
    open_table(&f, 0, 8);
    lock_many(f.t, 1, KV_LOCK_EXCLUSIVE, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_OK(now(f.t, key_of(&key, "w", i), 1, KV_LOCK_INSERT));
    }
    CHECK(lock_table_seal(f.t, any_fence, count_lock, &told) == ERR_LIMIT); /* cannot be told of */
    CHECK_OK(lock_table_new(f.g, &f.opts, &right));
    CHECK_OK(latch_acquire_all(f.t, DEADLINE_NONE, &g));
    CHECK_OK(latch_acquire_all(right, DEADLINE_NONE, &h));
    CHECK_OK(lock_table_split(f.t, key_of(&key, "t", 500), right));
    latch_release(&h);
    latch_release(&g);
    check_all(f.t, 0, 500, 1);
    check_all(right, 500, 1000, 1);
    CHECK(next(right, "w", "x", 2, &k));
    CHECK(now(f.t, key_of(&key, "t", 700), 2, KV_LOCK_SHARED) == ERR_STALE_EPOCH);
    CHECK_OK(latch_acquire_all(f.t, DEADLINE_NONE, &g));
    CHECK_OK(latch_acquire_all(right, DEADLINE_NONE, &h));
    CHECK_OK(lock_table_merge(f.t, right));
    latch_release(&h);
    latch_release(&g);
    CHECK(row_lock_count(right) == 0);
    lock_table_free(right);
    check_all(f.t, 0, 1000, 1);
    CHECK(next(f.t, "w", "x", 2, &k) && !next(f.t, "x", "", 2, &k));
    CHECK_OK(row_unlock_all(f.t, 1));
    CHECK(row_lock_count(f.t) == 0 && !next(f.t, "a", "", 2, &k));
    /* with its owner they go */
    for (unsigned i = 0; i < 100; i++) {
        CHECK_OK(row_lock(f.t, key_of(&key, "t", i), 5, lock_owner_make(2, 1), KV_LOCK_EXCLUSIVE,
                          KV_NOWAIT, 0, DEADLINE_NONE));
    }
    CHECK(lock_table_reap(f.t, everybody, NULL) == 1);
    CHECK(row_lock_count(f.t) == 0);
    lock_many(f.t, 6, KV_LOCK_EXCLUSIVE, 100);
    lock_table_close(f.t); /* and with the lease */
    lock_table_open(f.t, true);
    CHECK(row_lock_count(f.t) == 0);
    close_table(&f);
}

static void test_moves(void **state UNUSED)
{
    CHECK_OK(loop_run_main(moves_fiber, NULL));
}

/* ---- on four loops ---- */

enum { CELLS = 24, FIBERS = 12, ROUNDS = 1500 };

static struct {
    struct lock_table *t;
    _Atomic uint64_t ts, deadlocks, waits;
    _Atomic unsigned left;
    uint64_t cells[CELLS]; /* guarded by the row locks */
} g_race;

/* Moves something between two cells, having looked at some others: their sum stays. */
static void transfer(struct rand *r, ts_t ts)
{
    struct name key;
    unsigned at[5];
    for (unsigned i = 0; i < 5; i++) {
        at[i] = (unsigned)rand_below(r, CELLS);
        enum kv_lock_mode mode = i < 2 ? KV_LOCK_EXCLUSIVE : KV_LOCK_SHARED;
        struct slice k = key_of(&key, "c", at[i]);
        db_err err = now(g_race.t, k, ts, mode);
        if (err == ERR_LOCK_NOWAIT) {
            g_race.waits++;
            err = row_lock(g_race.t, k, ts, 0, mode, KV_WAIT, 60000, DEADLINE_NONE);
        }
        CHECK(err == ERR_OK || err == ERR_DEADLOCK);
        if (err == ERR_DEADLOCK) {
            g_race.deadlocks++;
            return;
        }
        if (rand_below(r, 4) == 0) {
            fiber_yield();
        }
    }
    uint64_t seen = g_race.cells[at[2]] + g_race.cells[at[3]] + g_race.cells[at[4]];
    uint64_t some = g_race.cells[at[0]] / 3;
    g_race.cells[at[0]] -= some;
    fiber_yield();
    g_race.cells[at[1]] += some;
    bool same = true;
    for (unsigned i = 2; i < 5; i++) {
        same = same && at[i] != at[0] && at[i] != at[1];
    }
    CHECK(!same || seen == g_race.cells[at[2]] + g_race.cells[at[3]] + g_race.cells[at[4]]);
}

static void race_fiber(void *arg)
{
    struct rand r;
    rand_seed(&r, (uintptr_t)arg);
    for (int i = 0; i < ROUNDS; i++) {
        ts_t ts = ++g_race.ts;
        transfer(&r, ts);
        CHECK_OK(row_unlock_all(g_race.t, ts));
        CHECK_OK(fiber_checkpoint());
    }
    g_race.left--;
}

static void test_race(void **state UNUSED)
{
    struct fixture f;
    struct loop_group *g;
    uint64_t sum = 0;
    open_table(&f, 0, 2);
    g_race.t = f.t;
    g_race.left = FIBERS;
    for (unsigned i = 0; i < CELLS; i++) {
        g_race.cells[i] = 1000;
    }
    CHECK_OK(loop_group_start(&(struct loop_group_opts){.count = 4}, &g));
    for (uintptr_t i = 0; i < FIBERS; i++) {
        CHECK_OK(fiber_spawn(loop_group_get(g, (unsigned)i % 4), race_fiber, (void *)(i + 1)));
    }
    while (g_race.left != 0) {
        (void)usleep(1000);
    }
    loop_group_stop(g);
    for (unsigned i = 0; i < CELLS; i++) {
        sum += g_race.cells[i];
    }
    CHECK(sum == CELLS * 1000 && g_race.waits > 0);
    close_table(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),    cmocka_unit_test(test_waits),
        cmocka_unit_test(test_latches), cmocka_unit_test(test_inserts),
        cmocka_unit_test(test_moves),   cmocka_unit_test(test_race),
        cmocka_unit_test(test_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
