/* Span locks: who waits for them and who does not, deadlocks, moves, and a race of readers and
 * inserters on four loops. */
#include "node/lock/lock_table.h"

#include <unistd.h>

#include "base/rand.h"
#include "node/lock/testing.h"

static void pause_ms(void)
{
    CHECK_OK(fiber_sleep(NS_PER_MS));
}

static uint64_t span(struct lock_table *t, const char *a, const char *z, ts_t ts)
{
    uint64_t id;
    CHECK_OK(span_lock(t, slice_str(a), slice_str(z), ts, 0, &id));
    return id;
}

static bool next_is(struct fixture *f, const char *a, const char *z, ts_t ts, const char *want)
{
    bool found;
    struct slice key;
    struct arena arena;
    arena_init(&arena, NULL, NULL, 0);
    CHECK_OK(insert_next(f->t, slice_str(a), slice_str(z), ts, &arena, &found, &key));
    bool as_wanted = want == NULL ? !found : found && slice_eq(key, slice_str(want));
    arena_fini(&arena);
    return as_wanted;
}

static void conflicts_fiber(void *arg UNUSED)
{
    struct fixture f;
    open_table(&f, 0, 0);
    CHECK(span(f.t, "b", "d", 1) != 0 && span(f.t, "c", "z", 2) != 0);
    CHECK(span(f.t, "bb", "c", 1) == 0); /* has it */
    CHECK(span_lock_conflict(f.t, SLICE_LIT("b"), 3) &&
          !span_lock_conflict(f.t, SLICE_LIT("b"), 1));
    CHECK(!span_lock_conflict(f.t, SLICE_LIT("a"), 3) &&
          span_lock_conflict(f.t, SLICE_LIT("y"), 1));
    /* rows that are there are not concerned, inserts are */
    CHECK_OK(now(f.t, SLICE_LIT("ba"), 3, KV_LOCK_EXCLUSIVE));
    CHECK(now(f.t, SLICE_LIT("bc"), 3, KV_LOCK_INSERT) == ERR_LOCK_NOWAIT);
    CHECK_OK(now(f.t, SLICE_LIT("z"), 3, KV_LOCK_INSERT));
    CHECK_OK(now(f.t, SLICE_LIT("bc"), 1, KV_LOCK_INSERT)); /* one's own */
    CHECK(next_is(&f, "a", "zz", 9, "bc") && next_is(&f, "c", "zz", 9, "z"));
    CHECK(next_is(&f, "a", "zz", 1, "z") && next_is(&f, "c", "z", 9, NULL));
    CHECK_OK(row_unlock_all(f.t, 3));
    /* an exclusive lock becomes one for an insert, and waits for the span locks then */
    CHECK_OK(now(f.t, SLICE_LIT("cc"), 2, KV_LOCK_SHARED));
    CHECK_OK(row_unlock(f.t, SLICE_LIT("cc"), 2));
    CHECK_OK(now(f.t, SLICE_LIT("cc"), 4, KV_LOCK_EXCLUSIVE));
    struct attempt up = {f.t, "cc", 4, KV_LOCK_INSERT, false, ERR_OK};
    start(&up);
    CHECK(!up.done);
    CHECK_OK(row_unlock_all(f.t, 1));
    pause_ms();
    CHECK(!up.done);
    CHECK_OK(row_unlock_all(f.t, 2));
    pause_ms();
    CHECK(up.done && up.err == ERR_OK);
    CHECK(row_lock_held(f.t, SLICE_LIT("cc"), 4) == KV_LOCK_INSERT);
    CHECK_OK(row_unlock_all(f.t, 4));
    close_table(&f);
}

/* Who waits for span locks only is in nobody's way, least of all in the way of their holder. */
static void queue_fiber(void *arg UNUSED)
{
    struct fixture f;
    open_table(&f, 0, 0);
    CHECK(span(f.t, "a", "m", 1) != 0);
    struct attempt a = {f.t, "k", 2, KV_LOCK_INSERT, false, ERR_OK};
    struct attempt b = {f.t, "k", 3, KV_LOCK_INSERT, false, ERR_OK};
    start(&a);
    start(&b);
    CHECK(!a.done && !b.done);
    CHECK_OK(now(f.t, SLICE_LIT("k"), 4, KV_LOCK_SHARED));
    CHECK_OK(row_unlock_all(f.t, 4));
    CHECK_OK(now(f.t, SLICE_LIT("k"), 1, KV_LOCK_INSERT));
    CHECK_OK(row_unlock_all(f.t, 1));
    pause_ms();
    CHECK(a.done && a.err == ERR_OK && !b.done); /* first come first served */
    CHECK_OK(row_unlock_all(f.t, 2));
    pause_ms();
    CHECK(b.done && b.err == ERR_OK);
    CHECK_OK(row_unlock_all(f.t, 3));
    /* time-out; a release ends the wait of its own transaction */
    CHECK(span(f.t, "a", "m", 1) != 0);
    CHECK(row_lock(f.t, SLICE_LIT("k"), 2, 0, KV_LOCK_INSERT, KV_WAIT, 5, DEADLINE_NONE) ==
          ERR_LOCK_WAIT_TIMEOUT);
    a = (struct attempt){f.t, "k", 2, KV_LOCK_INSERT, false, ERR_OK};
    start(&a);
    CHECK_OK(row_unlock_all(f.t, 2));
    pause_ms();
    CHECK(a.done && a.err == ERR_CANCELED && next_is(&f, "a", "z", 9, NULL));
    /* the end of the lease */
    a = (struct attempt){f.t, "k", 2, KV_LOCK_INSERT, false, ERR_OK};
    start(&a);
    lock_table_close(f.t);
    pause_ms();
    uint64_t id;
    CHECK(a.done && a.err == ERR_NOT_LEADER);
    CHECK(span_lock(f.t, SLICE_LIT("a"), SLICE_EMPTY, 1, 0, &id) == ERR_NOT_LEADER);
    close_table(&f);
}

static void deadlock_fiber(void *arg UNUSED)
{
    struct fixture f;
    open_table(&f, 0, 0);
    /* two readers of a gap that both insert into it */
    CHECK(span(f.t, "a", "m", 1) != 0 && span(f.t, "a", "m", 2) != 0);
    struct attempt a = {f.t, "c", 1, KV_LOCK_INSERT, false, ERR_OK};
    start(&a);
    CHECK(row_lock(f.t, SLICE_LIT("d"), 2, 0, KV_LOCK_INSERT, KV_WAIT, 60000, DEADLINE_NONE) ==
          ERR_DEADLOCK);
    CHECK_OK(row_unlock_all(f.t, 2));
    pause_ms();
    CHECK(a.done && a.err == ERR_OK);
    CHECK_OK(row_unlock_all(f.t, 1));
    /* a span lock and a row lock */
    CHECK(span(f.t, "a", "m", 1) != 0);
    CHECK_OK(now(f.t, SLICE_LIT("x"), 2, KV_LOCK_EXCLUSIVE));
    a = (struct attempt){f.t, "c", 2, KV_LOCK_INSERT, false, ERR_OK};
    start(&a);
    CHECK(row_lock(f.t, SLICE_LIT("x"), 1, 0, KV_LOCK_SHARED, KV_WAIT, 60000, DEADLINE_NONE) ==
          ERR_DEADLOCK);
    CHECK_OK(row_unlock_all(f.t, 1));
    pause_ms();
    CHECK(a.done && a.err == ERR_OK);
    CHECK_OK(row_unlock_all(f.t, 2));
    close_table(&f);
}

/* What a scan leaves: the page, joined with the one before. */
static void keep_fiber(void *arg UNUSED)
{
    struct fixture f;
    open_table(&f, 0, 0);
    uint64_t id = span(f.t, "a", "z", 1);
    struct attempt a = {f.t, "p", 2, KV_LOCK_INSERT, false, ERR_OK};
    start(&a);
    CHECK(!a.done);
    span_keep(f.t, 1, id, SLICE_LIT("a"), SLICE_LIT("f"));
    pause_ms();
    CHECK(a.done && a.err == ERR_OK && span_lock_conflict(f.t, SLICE_LIT("e"), 2));
    CHECK(!span_lock_conflict(f.t, SLICE_LIT("f"), 2));
    id = span(f.t, "f", "z", 1);
    span_keep(f.t, 1, id, SLICE_LIT("f"), SLICE_LIT("h"));
    CHECK(span_lock_count(f.t) == 1 && span(f.t, "b", "h", 1) == 0);
    id = span(f.t, "h", "z", 1); /* backwards */
    span_keep(f.t, 1, id, SLICE_LIT("t"), SLICE_LIT("z"));
    id = span(f.t, "h", "t", 1);
    span_keep(f.t, 1, id, SLICE_LIT("r"), SLICE_LIT("t"));
    CHECK(span_lock_count(f.t) == 2 && !span_lock_conflict(f.t, SLICE_LIT("q"), 2));
    id = span(f.t, "h", "r", 1);
    span_drop(f.t, 1, id);
    span_drop(f.t, 1, id);
    CHECK(span_lock_count(f.t) == 2 && span_lock_conflict(f.t, SLICE_LIT("r"), 2));
    CHECK_OK(row_unlock_all(f.t, 2));
    CHECK_OK(row_unlock_all(f.t, 1));
    /* an end without bound */
    CHECK_OK(span_lock(f.t, SLICE_LIT("m"), SLICE_EMPTY, 1, 0, &id));
    CHECK(span_lock_conflict(f.t, SLICE_LIT("zzz"), 2) &&
          !span_lock_conflict(f.t, SLICE_LIT("l"), 2));
    CHECK_OK(row_unlock_all(f.t, 1));
    close_table(&f);
}

struct exported {
    struct lock_table *to;
    int spans;
};

static db_err import_one(void *arg, const struct lock_export *l)
{
    struct exported *x = arg;
    x->spans += l->span;
    return lock_table_import(x->to, l);
}

static bool node_two(void *ctx UNUSED, lock_owner_t owner)
{
    return lock_owner_node(owner) == 2;
}

static void move_fiber(void *arg UNUSED)
{
    struct fixture f;
    struct lock_table *right;
    struct lock_table *next;
    struct latch_guard g;
    uint64_t id;
    open_table(&f, 0, 0);
    CHECK_OK(lock_table_new(f.g, NULL, &right));
    CHECK_OK(lock_table_new(f.g, NULL, &next));
    CHECK(span(f.t, "a", "t", 1) != 0 && span(f.t, "a", "c", 2) != 0 &&
          span(f.t, "p", "t", 3) != 0);
    struct attempt l = {f.t, "b", 9, KV_LOCK_INSERT, false, ERR_OK};
    struct attempt r = {f.t, "n", 9, KV_LOCK_INSERT, false, ERR_OK};
    start(&l);
    start(&r);
    CHECK_OK(latch_acquire_all(f.t, DEADLINE_NONE, &g));
    CHECK_OK(lock_table_split(f.t, SLICE_LIT("m"), right));
    latch_release(&g);
    CHECK(span_lock_count(f.t) == 2 && span_lock_count(right) == 2 && !l.done && !r.done);
    CHECK(span_lock(f.t, SLICE_LIT("k"), SLICE_LIT("n"), 5, 0, &id) == ERR_STALE_EPOCH);
    CHECK(span_lock_conflict(right, SLICE_LIT("m"), 9) &&
          span_lock_conflict(f.t, SLICE_LIT("l"), 9));
    CHECK_OK(row_unlock_all(right, 1));
    pause_ms();
    CHECK(r.done && r.err == ERR_OK && !l.done);
    /* to the next leaseholder, with an insert that has come after the span lock of another */
    struct exported x = {.to = next};
    CHECK_OK(span_lock(right, SLICE_LIT("m"), SLICE_LIT("o"), 4, 0, &id));
    CHECK_OK(lock_table_seal(right, no_fence, import_one, &x));
    CHECK(span_lock(right, SLICE_LIT("m"), SLICE_LIT("n"), 8, 0, &id) == ERR_BUSY);
    CHECK(x.spans == 2 && span_lock_conflict(next, SLICE_LIT("q"), 9));
    CHECK(row_lock_held(next, SLICE_LIT("n"), 9) == KV_LOCK_INSERT);
    CHECK(now(next, SLICE_LIT("q"), 8, KV_LOCK_INSERT) == ERR_LOCK_NOWAIT);
    lock_table_unseal(right);
    CHECK_OK(lock_table_merge(f.t, right));
    CHECK(span_lock_count(f.t) == 4 && span_lock_count(right) == 0);
    CHECK(span_lock_conflict(f.t, SLICE_LIT("s"), 9));
    CHECK_OK(row_unlock_all(f.t, 2));
    CHECK_OK(row_unlock_all(f.t, 3));
    CHECK_OK(row_unlock_all(f.t, 4));
    CHECK(!l.done);
    CHECK_OK(row_unlock_all(f.t, 1));
    pause_ms();
    CHECK(l.done && l.err == ERR_OK);
    CHECK_OK(row_unlock_all(f.t, 9));
    lock_table_close(next);
    /* an owner that dies */
    CHECK_OK(span_lock(f.t, SLICE_LIT("a"), SLICE_LIT("c"), 5, lock_owner_make(2, 1), &id));
    l = (struct attempt){f.t, "b", 9, KV_LOCK_INSERT, false, ERR_OK};
    start(&l);
    CHECK(!l.done && lock_table_reap(f.t, node_two, NULL) == 1);
    pause_ms();
    CHECK(l.done && l.err == ERR_OK && lock_table_fenced(f.t, lock_owner_make(2, 1), 5));
    CHECK_OK(row_unlock_all(f.t, 9));
    lock_table_free(next);
    lock_table_free(right);
    close_table(&f);
}

/* An insert without a lock of its own: announced latches are waited for, later ones are not. */
static void announce_fiber(void *arg UNUSED)
{
    struct fixture f;
    struct latch_guard g;
    struct slice key = SLICE_LIT("k");
    open_table(&f, 0, 0);
    CHECK_OK(latch_acquire(f.t, &key, 1, DEADLINE_NONE, &g));
    CHECK_OK(latch_wait_announced(f.t, SLICE_LIT("a"), SLICE_LIT("z"), DEADLINE_NONE));
    latch_announce(&g);
    CHECK_OK(pending_wait_range(f.t, SLICE_LIT("a"), SLICE_LIT("z"), 10, DEADLINE_NONE));
    uint64_t soon = clock_mono_ns() + NS_PER_MS;
    CHECK_OK(latch_wait_announced(f.t, SLICE_LIT("l"), SLICE_EMPTY, soon));
    CHECK(latch_wait_announced(f.t, SLICE_LIT("a"), SLICE_LIT("l"), soon) == ERR_TIMEOUT);
    latch_begin_pending(&g);
    CHECK(pending_wait_range(f.t, SLICE_LIT("a"), SLICE_LIT("z"), 10, soon) == ERR_TIMEOUT);
    latch_release(&g);
    CHECK_OK(latch_wait_announced(f.t, SLICE_LIT("a"), SLICE_EMPTY, DEADLINE_NONE));
    CHECK_OK(pending_wait_range(f.t, SLICE_LIT("a"), SLICE_LIT("z"), 10, DEADLINE_NONE));
    close_table(&f);
}

/* ---- the race ----
 *
 * Cells are the keys 0..15. An inserter takes a cell's lock for an insert and marks the cell, or
 * does so under latches, as an autocommit insert does; a reader takes a span lock, waits as it
 * must, looks at the cells twice, and must see the same. */

enum { CELLS = 16, ROUNDS = 2000, FIBERS = 8 };

static struct race {
    struct lock_table *t;
    _Atomic uint64_t cells[CELLS];
    _Atomic uint64_t ts;
    _Atomic unsigned seen, deadlocks, left;
} g_race;

static struct slice cell_key(unsigned i, char out[3])
{
    out[0] = 'k';
    out[1] = (char)('a' + i);
    return slice_of((uint8_t *)out, 2);
}

static void insert_locked(struct rand *r, ts_t ts)
{
    char name[3];
    unsigned i = (unsigned)rand_below(r, CELLS);
    db_err err =
        row_lock(g_race.t, cell_key(i, name), ts, 0, KV_LOCK_INSERT, KV_WAIT, 60000, DEADLINE_NONE);
    CHECK(err == ERR_OK || err == ERR_DEADLOCK);
    if (err == ERR_OK) {
        g_race.cells[i]++;
    } else {
        g_race.deadlocks++;
    }
}

static void insert_latched(struct rand *r, ts_t ts)
{
    char name[3];
    unsigned i = (unsigned)rand_below(r, CELLS);
    struct slice key = cell_key(i, name);
    for (;;) {
        struct latch_guard g;
        CHECK_OK(latch_acquire(g_race.t, &key, 1, DEADLINE_NONE, &g));
        latch_announce(&g);
        bool ok =
            row_lock_conflict(&g, ts) == 1 && (!span_lock_conflict(g_race.t, key, ts) ||
                                               row_lock_held(g_race.t, key, ts) == KV_LOCK_INSERT);
        if (ok) {
            g_race.cells[i]++;
        }
        latch_release(&g);
        if (ok) {
            return;
        }
        CHECK_OK(row_lock(g_race.t, key, ts, 0, KV_LOCK_INSERT, KV_WAIT, 60000, DEADLINE_NONE));
    }
}

static uint64_t sum_of(unsigned a, unsigned z)
{
    uint64_t sum = 0;
    for (unsigned i = a; i < z; i++) {
        sum += g_race.cells[i];
    }
    return sum;
}

static void read_span(struct rand *r, ts_t ts)
{
    char n1[3], n2[3];
    unsigned a = (unsigned)rand_below(r, CELLS - 1);
    unsigned z = a + 1 + (unsigned)rand_below(r, CELLS - a - 1);
    struct slice start_key = cell_key(a, n1);
    struct slice end_key = cell_key(z, n2);
    struct arena arena;
    uint64_t id;
    bool found = true;
    arena_init(&arena, NULL, NULL, 0);
    CHECK_OK(span_lock(g_race.t, start_key, end_key, ts, 0, &id));
    CHECK_OK(latch_wait_announced(g_race.t, start_key, end_key, DEADLINE_NONE));
    for (;;) {
        struct slice key;
        CHECK_OK(insert_next(g_race.t, start_key, end_key, ts, &arena, &found, &key));
        if (!found) {
            break;
        }
        CHECK_OK(row_lock(g_race.t, key, ts, 0, KV_LOCK_SHARED, KV_WAIT, 60000, DEADLINE_NONE));
    }
    uint64_t sum = sum_of(a, z);
    fiber_yield();
    CHECK(sum == sum_of(a, z));
    g_race.seen++;
    arena_fini(&arena);
}

static void race_fiber(void *arg)
{
    struct rand r;
    rand_seed(&r, (uintptr_t)arg);
    for (int i = 0; i < ROUNDS; i++) {
        ts_t ts = ++g_race.ts;
        switch (rand_below(&r, 3)) {
        case 0: insert_locked(&r, ts); break;
        case 1: insert_latched(&r, ts); break;
        default: read_span(&r, ts);
        }
        CHECK_OK(row_unlock_all(g_race.t, ts));
        CHECK_OK(fiber_checkpoint());
    }
    g_race.left--;
}

static void race(size_t pack_from)
{
    struct fixture f;
    struct loop_group *g;
    open_table(&f, 0, pack_from);
    g_race.t = f.t;
    g_race.left = FIBERS;
    CHECK_OK(loop_group_start(&(struct loop_group_opts){.count = 4}, &g));
    for (uintptr_t i = 0; i < FIBERS; i++) {
        CHECK_OK(fiber_spawn(loop_group_get(g, (unsigned)i % 4), race_fiber, (void *)(i + 1)));
    }
    while (g_race.left != 0) {
        (void)usleep(1000);
    }
    loop_group_stop(g);
    CHECK(g_race.seen > 0 && g_race.deadlocks == 0);
    close_table(&f);
}

static void test_race(void **state UNUSED)
{
    race(0);
}

static void test_race_packed(void **state UNUSED)
{
    race(1);
}

static void test_conflicts(void **state UNUSED)
{
    CHECK_OK(loop_run_main(conflicts_fiber, NULL));
}
static void test_queue(void **state UNUSED)
{
    CHECK_OK(loop_run_main(queue_fiber, NULL));
}
static void test_deadlock(void **state UNUSED)
{
    CHECK_OK(loop_run_main(deadlock_fiber, NULL));
}
static void test_keep(void **state UNUSED)
{
    CHECK_OK(loop_run_main(keep_fiber, NULL));
}
static void test_move(void **state UNUSED)
{
    CHECK_OK(loop_run_main(move_fiber, NULL));
}
static void test_announce(void **state UNUSED)
{
    CHECK_OK(loop_run_main(announce_fiber, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conflicts), cmocka_unit_test(test_queue),
        cmocka_unit_test(test_deadlock),  cmocka_unit_test(test_keep),
        cmocka_unit_test(test_move),      cmocka_unit_test(test_announce),
        cmocka_unit_test(test_race),      cmocka_unit_test(test_race_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
