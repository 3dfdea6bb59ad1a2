#include <pthread.h>
#include <stdio.h>

#include "base/test_main.h"
#include "base/rand.h"
#include "cluster/route/route.h"

static struct range_desc desc(range_id_t id, uint64_t version, const char *start, const char *end)
{
    return (struct range_desc){.id = id,
                               .start = slice_str(start),
                               .end = slice_str(end),
                               .epoch = {.version = version, .conf = 1},
                               .replica_count = 1,
                               .replicas = {{7, 1, REPLICA_VOTER}}};
}

static range_id_t find(struct range_cache *c, const char *key)
{
    struct range_location loc;
    return range_cache_find(c, slice_str(key), NULL, &loc) == ERR_OK ? loc.id : 0;
}

static range_id_t find_before(struct range_cache *c, const char *key)
{
    struct range_location loc;
    return range_cache_find_before(c, slice_str(key), NULL, &loc) == ERR_OK ? loc.id : 0;
}

static void learn(struct range_cache *c, struct range_desc d)
{
    assert_int_equal(range_cache_learn(c, &d, 1), ERR_OK);
}

static void test_find_and_learn(void **state)
{
    (void)state;
    struct range_cache c;
    struct range_location loc;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    assert_int_equal(range_cache_init(&c), ERR_OK);
    assert_int_equal(find(&c, "a"), 0);
    learn(&c, desc(1, 1, "", ""));
    assert_int_equal(find(&c, "a"), 1);
    assert_int_equal(find_before(&c, ""), 1);
    learn(&c, desc(1, 2, "", "m"));
    assert_int_equal(find(&c, "a"), 1);
    assert_int_equal(find(&c, "m"), 0);
    assert_int_equal(find_before(&c, "m"), 1);
    learn(&c, desc(2, 2, "m", ""));
    learn(&c, desc(1, 1, "", "")); /* old news */
    assert_int_equal(find(&c, "m"), 2);
    assert_int_equal(find(&c, "lz"), 1);
    assert_int_equal(find_before(&c, "m"), 1);
    assert_int_equal(find_before(&c, "ma"), 2);
    assert_int_equal(find_before(&c, ""), 2);
    assert_int_equal(range_cache_find(&c, SLICE_LIT("x"), &a, &loc), ERR_OK);
    assert_true(slice_eq(loc.start, SLICE_LIT("m")) && loc.end.len == 0 && loc.node == 7);
    range_cache_set_leader(&c, 2, 9);
    assert_int_equal(range_cache_find(&c, SLICE_LIT("x"), NULL, &loc), ERR_OK);
    assert_int_equal(loc.node, 9);
    range_cache_evict(&c, 2, (struct range_epoch){1, 1}); /* not what is known */
    assert_int_equal(find(&c, "x"), 2);
    range_cache_evict(&c, 2, (struct range_epoch){2, 1});
    assert_int_equal(find(&c, "x"), 0);
    assert_int_equal(range_cache_count(&c), 1);
    range_cache_fini(&c);
    arena_fini(&a);
}

static node_id_t leader_of(struct range_cache *c)
{
    struct range_location loc;
    assert_int_equal(range_cache_find(c, SLICE_LIT("a"), NULL, &loc), ERR_OK);
    return loc.node;
}

static void test_next_leader(void **state)
{
    (void)state;
    struct range_cache c;
    struct range_desc d = desc(1, 1, "", "");
    assert_int_equal(range_cache_init(&c), ERR_OK);
    learn(&c, d);
    assert_false(range_cache_next_leader(&c, 1, 7)); /* there is no other */
    assert_int_equal(leader_of(&c), 7);
    d.epoch.conf = 2;
    d.replica_count = 4;
    d.replicas[1] = (struct replica_desc){8, 2, REPLICA_LEARNER};
    d.replicas[2] = (struct replica_desc){9, 3, REPLICA_VOTER};
    d.replicas[3] = (struct replica_desc){10, 4, REPLICA_INCOMING};
    learn(&c, d);
    assert_int_equal(leader_of(&c), 7);
    assert_true(range_cache_next_leader(&c, 1, 9)); /* somebody else was faster */
    assert_int_equal(leader_of(&c), 7);
    assert_true(range_cache_next_leader(&c, 1, 7));
    assert_int_equal(leader_of(&c), 9); /* never a learner */
    assert_true(range_cache_next_leader(&c, 1, 9));
    assert_int_equal(leader_of(&c), 10);
    assert_true(range_cache_next_leader(&c, 1, 10));
    assert_int_equal(leader_of(&c), 7);
    range_cache_set_leader(&c, 1, 42); /* not in the descriptor */
    assert_true(range_cache_next_leader(&c, 1, 42));
    assert_int_not_equal(leader_of(&c), 42);
    assert_true(range_cache_next_leader(&c, 2, 7)); /* not known */
    range_cache_fini(&c);
}

static struct range_cache g_cache;
static _Atomic bool g_stop;

static void *reader(void *arg)
{
    struct rand rand;
    rand_seed(&rand, (uint64_t)(uintptr_t)arg);
    uint64_t found = 0;
    while (!g_stop) {
        char key[8];
        struct range_location loc;
        snprintf(key, sizeof(key), "%03u", (unsigned)rand_below(&rand, 1000));
        found += range_cache_find(&g_cache, slice_str(key), NULL, &loc) == ERR_OK;
    }
    return (void *)(uintptr_t)found;
}

/* Readers on threads while the cache changes: for the sanitizers. */
static void test_readers_and_changes(void **state)
{
    (void)state;
    pthread_t threads[3];
    struct rand rand;
    rand_seed(&rand, 3);
    assert_int_equal(range_cache_init(&g_cache), ERR_OK);
    for (uintptr_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, reader, (void *)(i + 1)), 0);
    }
    for (uint64_t i = 1; i < 3000; i++) {
        char start[8];
        char end[8];
        unsigned from = (unsigned)rand_below(&rand, 990);
        snprintf(start, sizeof(start), "%03u", from);
        snprintf(end, sizeof(end), "%03u", from + 10);
        learn(&g_cache, desc(1 + i % 50, i, start, end));
        if (i % 7 == 0) {
            range_cache_evict(&g_cache, 1 + i % 50, (struct range_epoch){i, 1});
        }
    }
    g_stop = true;
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    range_cache_fini(&g_cache);
}

/* ---- a statement that has no memory left ---- */

static unsigned g_asked;

static db_err lookup(struct meta_service *m, struct slice start, struct slice end, unsigned max,
                     struct arena *arena, struct diag *diag, struct range_desc **ret_descs,
                     unsigned *ret_count)
{
    (void)m, (void)start, (void)end, (void)max, (void)diag;
    CHECK(++g_asked < 10);
    struct range_desc *d = ARENA_NEW(arena, struct range_desc);
    CHECK(d != NULL);
    *d = desc(1, 1, "a", "z");
    *ret_descs = d;
    *ret_count = 1;
    return ERR_OK;
}

/* It hears so, once; nobody else could help it. */
static void test_no_room_for_bounds(void **state)
{
    (void)state;
    static const struct meta_service_ops ops = {.lookup = lookup};
    struct meta_service meta = {.ops = &ops};
    struct range_cache c;
    struct router router = {.ranges = &c, .meta = &meta};
    struct attempt at;
    struct route route;
    struct diag diag;
    struct arena full;
    diag_reset(&diag);
    arena_init(&full, NULL, NULL, 1);
    assert_int_equal(range_cache_init(&c), ERR_OK);
    attempt_init(&at, &router);
    assert_int_equal(route_find(&at, SLICE_LIT("b"), &full, &diag, &route), ERR_LIMIT);
    assert_int_equal(route_find_before(&at, SLICE_LIT("b"), &full, &diag, &route), ERR_LIMIT);
    assert_int_equal(g_asked, 1);
    arena_fini(&full);
    range_cache_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_and_learn),
        cmocka_unit_test(test_next_leader),
        cmocka_unit_test(test_readers_and_changes),
        cmocka_unit_test(test_no_room_for_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
