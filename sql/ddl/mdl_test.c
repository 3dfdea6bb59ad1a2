#include "sql/ddl/mdl.h"

#include <stdatomic.h>

#include "base/fiber.h"
#include "base/rand.h"
#include "base/test_main.h"
#include "sql/diag/my_error.h"

/* Fibers of one group of loops; `done` counts those that have ended. */
struct world {
    struct mdl *mdl;
    struct loop_group *group;
    _Atomic int done;
    _Atomic int order; /* of events that a test wants to see */
    _Atomic int shared_in, exclusive_in;
    _Atomic int failures;
    _Atomic uint64_t shared_total, exclusive_total;
};

static void world_start(struct world *w, unsigned loops)
{
    *w = (struct world){0};
    assert_int_equal(mdl_new(&w->mdl), ERR_OK);
    assert_int_equal(loop_group_start(&(struct loop_group_opts){.count = loops}, &w->group),
                     ERR_OK);
}

static void world_stop(struct world *w, int fibers)
{
    loop_group_stop(w->group);
    assert_int_equal(atomic_load(&w->done), fibers);
    assert_int_equal(atomic_load(&w->failures), 0);
    mdl_free(w->mdl);
}

static void expect(struct world *w, bool ok)
{
    if (!ok) {
        atomic_fetch_add(&w->failures, 1);
    }
}

static void wait_for(struct world *w, int order)
{
    for (int i = 0; i < 20000 && atomic_load(&w->order) < order; i++) {
        db_err err = fiber_sleep(NS_PER_MS / 10);
        expect(w, err == ERR_OK);
    }
    expect(w, atomic_load(&w->order) >= order);
}

/* ---- alone ---- */

static void alone(void *arg)
{
    struct world *w = arg;
    struct mdl_owner a = {0};
    uint64_t ids[] = {5, 3, 5};
    for (uint64_t id = 1; id <= 40; id++) {
        expect(w, mdl_lock_shared(w->mdl, &a, id, DEADLINE_NONE, NULL) == ERR_OK);
        expect(w, mdl_lock_shared(w->mdl, &a, id, DEADLINE_NONE, NULL) == ERR_OK);
    }
    expect(w, a.count == 40 && mdl_holds(&a, 40, false) && !mdl_holds(&a, 40, true));
    expect(w, mdl_lock_exclusive(w->mdl, &a, ids, 3, DEADLINE_NONE, NULL) == ERR_OK);
    expect(w, a.count == 40 && mdl_holds(&a, 3, true) && mdl_holds(&a, 5, true));
    mdl_release_to(w->mdl, &a, 10);
    expect(w, a.count == 10 && !mdl_holds(&a, 11, false) && mdl_holds(&a, 3, true));
    mdl_release_all(w->mdl, &a);
    expect(w, a.count == 0 && a.cap == 0);
    expect(w, mdl_lock_exclusive(w->mdl, &a, ids, 3, DEADLINE_NONE, NULL) == ERR_OK);
    expect(w, a.count == 2);
    mdl_release_all(w->mdl, &a);
    atomic_fetch_add(&w->done, 1);
}

/* LOCK TABLES: READ locks share a table's rows with each other, not with writers or WRITE locks. */
static void rows(void *arg)
{
    struct world *w = arg;
    struct mdl_owner reader = {0};
    struct mdl_owner other = {0};
    struct mdl_owner writer = {0};
    uint64_t no_writes = mdl_no_writes(7);
    uint64_t both[] = {7, mdl_rows(7)};
    uint64_t soon = clock_mono_ns() + NS_PER_MS;
    struct diag d;
    expect(w, mdl_lock_exclusive(w->mdl, &reader, &no_writes, 1, DEADLINE_NONE, &d) == ERR_OK);
    expect(w, mdl_lock_exclusive(w->mdl, &other, &no_writes, 1, DEADLINE_NONE, &d) == ERR_OK);
    expect(w, mdl_lock_shared(w->mdl, &writer, 7, DEADLINE_NONE, &d) == ERR_OK);
    expect(w, mdl_lock_shared(w->mdl, &writer, mdl_rows(7), soon, &d) == ERR_SQL);
    mdl_release_all(w->mdl, &writer);
    expect(w, mdl_lock_exclusive(w->mdl, &writer, both, 2, soon, &d) == ERR_SQL);
    mdl_release_all(w->mdl, &other);
    expect(w, mdl_lock_shared(w->mdl, &writer, mdl_rows(7), soon, &d) == ERR_SQL);
    mdl_release_all(w->mdl, &reader);
    expect(w, mdl_lock_shared(w->mdl, &writer, mdl_rows(7), DEADLINE_NONE, &d) == ERR_OK);
    soon = clock_mono_ns() + NS_PER_MS;
    expect(w, mdl_lock_exclusive(w->mdl, &reader, &no_writes, 1, soon, &d) == ERR_SQL);
    mdl_release_all(w->mdl, &writer);
    expect(w, mdl_lock_exclusive(w->mdl, &writer, both, 2, DEADLINE_NONE, &d) == ERR_OK);
    expect(w, mdl_lock_exclusive(w->mdl, &reader, &no_writes, 1, soon, &d) == ERR_SQL);
    expect(w, mdl_lock_shared(w->mdl, &other, 7, soon, &d) == ERR_SQL);
    mdl_release_all(w->mdl, &writer);
    atomic_fetch_add(&w->done, 1);
}

static void test_rows(void **state)
{
    struct world w;
    (void)state;
    world_start(&w, 1);
    assert_int_equal(fiber_spawn(loop_group_get(w.group, 0), rows, &w), ERR_OK);
    world_stop(&w, 1);
}

static void test_alone(void **state)
{
    struct world w;
    (void)state;
    world_start(&w, 1);
    assert_int_equal(fiber_spawn(loop_group_get(w.group, 0), alone, &w), ERR_OK);
    world_stop(&w, 1);
}

/* ---- time-outs ---- */

static void holder(void *arg)
{
    struct world *w = arg;
    struct mdl_owner a = {0};
    expect(w, mdl_lock_shared(w->mdl, &a, 7, DEADLINE_NONE, NULL) == ERR_OK);
    atomic_store(&w->order, 1);
    wait_for(w, 2);
    mdl_release_all(w->mdl, &a);
    atomic_fetch_add(&w->done, 1);
}

static void impatient(void *arg)
{
    struct world *w = arg;
    struct mdl_owner b = {0};
    struct mdl_owner c = {0};
    struct diag d;
    uint64_t id = 7;
    diag_reset(&d);
    wait_for(w, 1);
    expect(w, mdl_lock_exclusive(w->mdl, &b, &id, 1, clock_mono_ns() + NS_PER_MS, &d) == ERR_SQL);
    expect(w, d.number == ER_LOCK_WAIT_TIMEOUT && b.count == 0);
    /* The request that gave up is in nobody's way. */
    expect(w, mdl_lock_shared(w->mdl, &c, 7, DEADLINE_NONE, NULL) == ERR_OK);
    mdl_release_all(w->mdl, &c);
    atomic_store(&w->order, 2);
    expect(w, mdl_lock_exclusive(w->mdl, &b, &id, 1, DEADLINE_NONE, &d) == ERR_OK);
    expect(w, mdl_lock_shared(w->mdl, &c, 7, clock_mono_ns() + NS_PER_MS, &d) == ERR_SQL);
    mdl_release_all(w->mdl, &b);
    expect(w, mdl_lock_shared(w->mdl, &c, 7, DEADLINE_NONE, NULL) == ERR_OK);
    mdl_release_all(w->mdl, &c);
    atomic_fetch_add(&w->done, 1);
}

static void test_timeout(void **state)
{
    struct world w;
    (void)state;
    world_start(&w, 2);
    assert_int_equal(fiber_spawn(loop_group_get(w.group, 0), holder, &w), ERR_OK);
    assert_int_equal(fiber_spawn(loop_group_get(w.group, 1), impatient, &w), ERR_OK);
    world_stop(&w, 2);
}

/* ---- order: a waiting exclusive request holds newcomers up, but not who has locks ---- */

static void fair_writer(void *arg)
{
    struct world *w = arg;
    struct mdl_owner x = {0};
    uint64_t ids[] = {8, 9};
    wait_for(w, 1);
    atomic_store(&w->order, 2);
    expect(w, mdl_lock_exclusive(w->mdl, &x, ids, 2, DEADLINE_NONE, NULL) == ERR_OK);
    expect(w, atomic_load(&w->order) == 4);
    atomic_store(&w->order, 5);
    mdl_release_all(w->mdl, &x);
    atomic_fetch_add(&w->done, 1);
}

static void fair_newcomer(void *arg)
{
    struct world *w = arg;
    struct mdl_owner n = {0};
    wait_for(w, 3);
    expect(w, mdl_lock_shared(w->mdl, &n, 8, DEADLINE_NONE, NULL) == ERR_OK);
    expect(w, atomic_load(&w->order) == 5);
    mdl_release_all(w->mdl, &n);
    atomic_fetch_add(&w->done, 1);
}

static void fair_holder(void *arg)
{
    struct world *w = arg;
    struct mdl_owner h = {0};
    expect(w, mdl_lock_shared(w->mdl, &h, 8, DEADLINE_NONE, NULL) == ERR_OK);
    atomic_store(&w->order, 1);
    wait_for(w, 2);
    expect(w, fiber_sleep(5 * NS_PER_MS) == ERR_OK);
    atomic_store(&w->order, 3);
    expect(w, fiber_sleep(5 * NS_PER_MS) == ERR_OK);
    /* The writer waits for this owner: it may still take more. */
    expect(w, mdl_lock_shared(w->mdl, &h, 9, clock_mono_ns() + NS_PER_S, NULL) == ERR_OK);
    atomic_store(&w->order, 4);
    mdl_release_all(w->mdl, &h);
    atomic_fetch_add(&w->done, 1);
}

static void test_order(void **state)
{
    struct world w;
    (void)state;
    world_start(&w, 3);
    assert_int_equal(fiber_spawn(loop_group_get(w.group, 0), fair_holder, &w), ERR_OK);
    assert_int_equal(fiber_spawn(loop_group_get(w.group, 1), fair_writer, &w), ERR_OK);
    assert_int_equal(fiber_spawn(loop_group_get(w.group, 2), fair_newcomer, &w), ERR_OK);
    world_stop(&w, 3);
}

/* ---- for who looks: waits, and an end to them ---- */

static _Atomic int g_waits;

static void count_wait(void *ctx, bool begins)
{
    (void)ctx;
    atomic_fetch_add(&g_waits, begins ? 1 : -1);
}

static void looked_at_holder(void *arg)
{
    struct world *w = arg;
    struct mdl_owner h = {.session = 11};
    struct mdl_wait_edge e[4];
    struct mdl_lock_info l[8];
    expect(w, mdl_lock_shared(w->mdl, &h, 7, DEADLINE_NONE, NULL) == ERR_OK);
    expect(w, mdl_lock_shared(w->mdl, &h, mdl_rows(7), DEADLINE_NONE, NULL) == ERR_OK);
    expect(w, mdl_waits(w->mdl, UINT64_MAX, 4, e) == 0 && atomic_load(&g_waits) == 0);
    atomic_store(&w->order, 1);
    while (atomic_load(&g_waits) < 2) {
        expect(w, fiber_sleep(NS_PER_MS / 10) == ERR_OK);
    }
    /* 12 waits for 11; 13 waits for 12, which came before. */
    uint32_t n = mdl_waits(w->mdl, UINT64_MAX, 4, e);
    expect(w, n == 2 && e[0].waiter == 12 && e[0].blocker == 11 && e[0].exclusive);
    expect(w, e[1].waiter == 13 && e[1].blocker == 12 && !e[1].exclusive);
    expect(w, mdl_waits(w->mdl, UINT64_MAX, 1, e) == 1 && mdl_waits(w->mdl, 1, 4, e) == 0);
    expect(w, mdl_list(w->mdl, 8, l) == 4 && mdl_list(w->mdl, 1, l) == 4);
    expect(w, l[0].session == 11 && l[0].id == 7 && !l[0].exclusive && !l[0].waits);
    expect(w, mdl_refuse(w->mdl, e[0].wait) && !mdl_refuse(w->mdl, e[0].wait));
    wait_for(w, 3); /* which lets 13 have it */
    expect(w, mdl_waits(w->mdl, UINT64_MAX, 4, e) == 0 && atomic_load(&g_waits) == 0);
    mdl_release_all(w->mdl, &h);
    expect(w, mdl_list(w->mdl, 8, l) == 0);
    atomic_fetch_add(&w->done, 1);
}

static void looked_at_change(void *arg)
{
    struct world *w = arg;
    struct mdl_owner x = {.session = 12};
    struct diag d;
    uint64_t id = 7;
    diag_reset(&d);
    wait_for(w, 1);
    expect(w, mdl_lock_exclusive(w->mdl, &x, &id, 1, DEADLINE_NONE, &d) == ERR_DEADLOCK);
    expect(w, x.count == 0);
    atomic_fetch_add(&w->order, 1);
    atomic_fetch_add(&w->done, 1);
}

static void looked_at_use(void *arg)
{
    struct world *w = arg;
    struct mdl_owner s = {.session = 13};
    while (atomic_load(&g_waits) < 1) {
        expect(w, fiber_sleep(NS_PER_MS / 10) == ERR_OK);
    }
    expect(w, mdl_lock_shared(w->mdl, &s, 7, DEADLINE_NONE, NULL) == ERR_OK);
    mdl_release_all(w->mdl, &s);
    atomic_fetch_add(&w->order, 1);
    atomic_fetch_add(&w->done, 1);
}

static void test_looked_at(void **state)
{
    struct world w;
    (void)state;
    world_start(&w, 3);
    mdl_set_watch(w.mdl, &(struct sql_wait_watch){count_wait, NULL});
    assert_int_equal(fiber_spawn(loop_group_get(w.group, 0), looked_at_holder, &w), ERR_OK);
    assert_int_equal(fiber_spawn(loop_group_get(w.group, 1), looked_at_change, &w), ERR_OK);
    assert_int_equal(fiber_spawn(loop_group_get(w.group, 2), looked_at_use, &w), ERR_OK);
    world_stop(&w, 3);
}

/* ---- many, on few tables: exclusion holds, nobody is forgotten ---- */

enum { STORM_TABLES = 4, STORM_FIBERS = 24, STORM_ROUNDS = 300 };

struct storm {
    struct world w;
    _Atomic int readers[STORM_TABLES + 1], writers[STORM_TABLES + 1];
};
struct storm_fiber {
    struct storm *s;
    uint64_t seed;
};

static void storm_read(struct storm *s, struct rand *r)
{
    struct mdl_owner o = {0};
    uint64_t first = 1 + rand_u64(r) % STORM_TABLES;
    uint64_t second = 1 + rand_u64(r) % STORM_TABLES;
    uint64_t ids[] = {first, second};
    unsigned n = first == second ? 1 : 2;
    for (unsigned i = 0; i < n; i++) {
        expect(&s->w, mdl_lock_shared(s->w.mdl, &o, ids[i], DEADLINE_NONE, NULL) == ERR_OK);
        atomic_fetch_add(&s->readers[ids[i]], 1);
        expect(&s->w, atomic_load(&s->writers[ids[i]]) == 0);
        if (rand_u64(r) % 4 == 0) {
            fiber_yield();
        }
    }
    for (unsigned i = 0; i < n; i++) {
        expect(&s->w, atomic_load(&s->writers[ids[i]]) == 0);
        atomic_fetch_sub(&s->readers[ids[i]], 1);
    }
    mdl_release_all(s->w.mdl, &o);
}

static void storm_write(struct storm *s, struct rand *r)
{
    struct mdl_owner o = {0};
    uint64_t first = 1 + rand_u64(r) % STORM_TABLES;
    uint64_t ids[] = {first, 1 + first % STORM_TABLES};
    uint64_t deadline = rand_u64(r) % 4 == 0 ? clock_mono_ns() + NS_PER_MS / 20 : DEADLINE_NONE;
    db_err err = mdl_lock_exclusive(s->w.mdl, &o, ids, 2, deadline, NULL);
    if (err != ERR_OK) {
        expect(&s->w, err == ERR_SQL && o.count == 0);
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        expect(&s->w, atomic_fetch_add(&s->writers[ids[i]], 1) == 0);
        expect(&s->w, atomic_load(&s->readers[ids[i]]) == 0);
    }
    fiber_yield();
    for (unsigned i = 0; i < 2; i++) {
        expect(&s->w, atomic_load(&s->readers[ids[i]]) == 0);
        atomic_fetch_sub(&s->writers[ids[i]], 1);
    }
    mdl_release_all(s->w.mdl, &o);
}

static void storm_run(void *arg)
{
    struct storm_fiber *f = arg;
    struct rand r;
    rand_seed(&r, f->seed);
    for (int i = 0; i < STORM_ROUNDS; i++) {
        if (rand_u64(&r) % 10 == 0) {
            storm_write(f->s, &r);
        } else if (rand_u64(&r) % 20 == 0) {
            struct mdl_wait_edge edges[8];
            struct mdl_lock_info locks[8];
            (void)mdl_waits(f->s->w.mdl, UINT64_MAX, 8, edges);
            (void)mdl_list(f->s->w.mdl, 8, locks);
        } else {
            storm_read(f->s, &r);
        }
    }
    atomic_fetch_add(&f->s->w.done, 1);
}

static void test_storm(void **state)
{
    static struct storm s;
    static struct storm_fiber fibers[STORM_FIBERS];
    (void)state;
    world_start(&s.w, 4);
    for (unsigned i = 0; i < STORM_FIBERS; i++) {
        fibers[i] = (struct storm_fiber){&s, i + 1};
        assert_int_equal(fiber_spawn(loop_group_get(s.w.group, i % 4), storm_run, &fibers[i]),
                         ERR_OK);
    }
    world_stop(&s.w, STORM_FIBERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),   cmocka_unit_test(test_rows),
        cmocka_unit_test(test_timeout), cmocka_unit_test(test_order),
        cmocka_unit_test(test_storm),   cmocka_unit_test(test_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
