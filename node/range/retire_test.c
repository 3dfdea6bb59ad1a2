#include "base/disk_sim.h"
#include "base/test_apart.h"
#include "base/test_counting.h"
#include "node/range/merge_testing.h"
#include "node/range/range_int.h"

/* Replicas that stand for nothing leave the memory, and only when nobody uses them any more; what
 * is said of them stays the same. */

static uint64_t objects_on(struct tcluster *c, node_id_t node)
{
    struct range_store_stats st;
    range_store_get_stats(c->nodes[node].rs, &st);
    return st.objects;
}

/* Upkeep until so many are left. */
static void wait_objects(struct tcluster *c, node_id_t node, uint64_t want)
{
    for (int i = 0; i < 3000 && objects_on(c, node) != want; i++) {
        range_store_upkeep(c->nodes[node].rs, true);
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    if (objects_on(c, node) != want) {
        fprintf(stderr, "node %llu: %llu objects, not %llu\n", (unsigned long long)node,
                (unsigned long long)objects_on(c, node), (unsigned long long)want);
    }
    CHECK(objects_on(c, node) == want);
}

/* ---- 10,000 ranges come and go ---- */

#ifdef __SANITIZE_THREAD__ /* each cycle takes two megabytes of its memory */
enum { CYCLES = 500, WARM = 100 };
#else
enum { CYCLES = 10000, WARM = 2000 };
#endif
enum { PER_UPKEEP = 100, SLACK = 1 << 20 };

static void one_cycle(struct tcluster *c, unsigned n)
{
    struct range_store *rs = c->nodes[1].rs;
    char kb[32];
    struct diag diag;
    range_id_t id = 0;
    range_id_t right = 0;
    db_err err;
    diag_reset(&diag);
    CHECK_OK(range_store_split(rs, 2, key_of(kb, n % 40), &diag, &id));
    while ((err = range_store_merge(rs, 2, &diag, &right)) != ERR_OK) { /* its lease begins soon */
        CHECK(err == ERR_NOT_LEADER || err == ERR_BUSY || err == ERR_UNAVAILABLE);
        CHECK_OK(fiber_sleep(NS_PER_MS / 20));
    }
    CHECK(right == id);
}

static void come_and_go(struct tcluster *c)
{
    struct range_store_stats st;
    size_t warm = 0;
    uint64_t most = 0;
    CHECK_OK(disk_sim_new(0, &c->log_disk)); /* thousands of syncs */
    CHECK_OK(disk_mkdir(c->log_disk, "/log"));
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    t_start(c, 1);
    struct range_store *rs = c->nodes[1].rs;
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    keys_from_to(c, 0, 40, 0);
    for (unsigned n = 0; n < CYCLES; n++) {
        one_cycle(c, n);
        if (n % PER_UPKEEP == PER_UPKEEP - 1) {
            range_store_upkeep(rs, true); /* the log that was left goes with a later flush */
            uint64_t now = objects_on(c, 1);
            most = now > most ? now : most;
        }
        if (n == WARM) {
            wait_objects(c, 1, 2);
            warm = atomic_load(&counting_live);
        }
    }
    wait_objects(c, 1, 2);
    range_store_get_stats(rs, &st);
    CHECK(st.merges == CYCLES && st.ranges == 2 && st.gone == CYCLES);
    CHECK(most <= 4 * PER_UPKEEP);
    size_t end = atomic_load(&counting_live);
    size_t grown = end > warm ? end - warm : 0;
    printf("  %u ranges: at most %llu objects, %zu bytes more than at %u\n", (unsigned)CYCLES,
           (unsigned long long)most, grown, (unsigned)WARM);
    CHECK(grown < (CYCLES - WARM) * 32 + SLACK); /* sixteen each; the log's disk is in memory too */
    expect_all(c, 0, 40, 0);
    t_stop_all(c);
    disk_sim_free(c->log_disk);
}

static void test_come_and_go(void **state)
{
    (void)state;
    mem_set_allocator(&counting_allocator);
    t_run(1, come_and_go);
    mem_set_allocator(NULL);
}

/* ---- a command that is under way ---- */

struct locking {
    struct tcluster *c;
    struct range_desc d;
    unsigned key;
    ts_t start_ts;
    db_err err;
    _Atomic bool found;
    struct waiter done;
};

static void lock_fiber(void *arg)
{
    struct locking *l = arg;
    char kb[32];
    struct slice key = key_of(kb, l->key);
    struct arena a;
    struct diag diag;
    struct kv_reply reply = {0};
    struct kv_lock_resp resp = {0};
    struct eval_range *er;
    diag_reset(&diag);
    arena_init(&a, NULL, NULL, 0);
    struct kv_lock_req req = {.r = {.range = l->d.id,
                                    .epoch = l->d.epoch,
                                    .deadline_ns = clock_mono_ns() + 60 * NS_PER_S,
                                    .arena = &a},
                              .keys = &key,
                              .count = 1,
                              .own_ts = l->start_ts,
                              .mode = KV_LOCK_EXCLUSIVE,
                              .wait = KV_WAIT,
                              .lock_wait_ms = 60000};
    CHECK_OK(range_store_find(l->c->nodes[1].rs, l->d.id, &er));
    atomic_store(&l->found, true);
    l->err = eval_lock(er, &req, &diag, &reply, &resp);
    range_store_done(er);
    arena_fini(&a);
    wait_signal(&l->done, 0);
}

static void start_locking(struct tcluster *c, struct locking *l, const struct range_desc *d,
                          ts_t start_ts, unsigned loop)
{
    *l = (struct locking){.c = c, .d = *d, .key = 30, .start_ts = start_ts};
    wait_init(&l->done);
    CHECK_OK(fiber_spawn(loop_group_get(c->loops, loop), lock_fiber, l));
    while (!atomic_load(&l->found)) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
}

/* It waits for a row lock in a range that is merged away, and goes on waiting in the other one's
 * table; what it was asked of stays until it is done. */
static void under_way(struct tcluster *c)
{
    char kb[32];
    struct arena a;
    struct range_desc d;
    struct eval_range *er;
    struct locking held;
    struct locking waits;
    t_start(c, 1);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    keys_from_to(c, 0, 40, 0);
    range_id_t right = split_at(c, 20);
    CHECK(t_wait_leader(c, right, 60 * NS_PER_S) == 1);
    arena_init(&a, NULL, NULL, 0);
    CHECK(t_led(c, key_of(kb, 30), &a, &d) && d.id == right);
    start_locking(c, &held, &d, 500, 1);
    wait_block_uncancelable(&held.done);
    CHECK_OK(held.err);
    start_locking(c, &waits, &d, 600, 2);
    CHECK_OK(fiber_sleep(20 * NS_PER_MS));
    merge_ok(c, 2, right);
    for (int i = 0; i < 8; i++) {
        range_store_upkeep(c->nodes[1].rs, true);
        CHECK_OK(fiber_sleep(20 * NS_PER_MS));
    }
    struct replica *r = replica_find(c->nodes[1].rs, right);
    CHECK(r == NULL);             /* nobody comes to it any more, */
    CHECK(objects_on(c, 1) == 3); /* and it is there */
    CHECK(!wait_signaled(&waits.done));
    CHECK_OK(range_store_find(c->nodes[1].rs, 2, &er));
    CHECK_OK(row_unlock_all(er->locks, 500));
    range_store_done(er);
    wait_block_uncancelable(&waits.done);
    CHECK(waits.err == ERR_RANGE_NOT_FOUND);
    wait_objects(c, 1, 2);
    arena_fini(&a);
    t_stop_all(c);
}

static void test_under_way(void **state)
{
    (void)state;
    t_run(1, under_way);
}

/* ---- with writers, and upkeep all the time ---- */

struct busy {
    struct tcluster *c;
    node_id_t node;
    _Atomic bool *stop;
    struct waiter done;
};

static void upkeep_fiber(void *arg)
{
    struct busy *b = arg;
    while (!atomic_load(b->stop)) {
        struct tnode *n = t_use(b->c, b->node);
        if (n != NULL) {
            range_store_upkeep(n->rs, true);
            t_done(n);
        }
        CHECK_OK(fiber_sleep(2 * NS_PER_MS));
    }
    wait_signal(&b->done, 0);
}

static void with_writers(struct tcluster *c)
{
    enum { ROUNDS = 10 };
    struct load l;
    struct busy b[3];
    _Atomic bool stop = false;
    three_members(c);
    load_start(c, &l);
    for (node_id_t n = 1; n <= 3; n++) {
        struct busy *k = &b[n - 1];
        *k = (struct busy){.c = c, .node = n, .stop = &stop};
        wait_init(&k->done);
        CHECK_OK(fiber_spawn(loop_group_get(c->loops, (unsigned)n - 1), upkeep_fiber, k));
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        range_id_t x = split_at(c, 3008);
        range_id_t y = split_at(c, 6008);
        merge_ok(c, x, y);
        merge_ok(c, 2, x);
        for (node_id_t n = 1; n <= 3; n++) {
            wait_no_range(c, n, x);
            wait_no_range(c, n, y);
        }
    }
    load_check(c, &l);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++) {
        wait_block_uncancelable(&b[i].done);
    }
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    for (node_id_t n = 1; n <= 3; n++) {
        wait_objects(c, n, n == 1 ? 2 : 1);
    }
    t_stop_all(c);
}

static void test_with_writers(void **state)
{
    (void)state;
    t_run(3, with_writers);
}

/* ---- removed, and a member again ---- */

static bool asks_for_state(struct tcluster *c, uint64_t replica_id)
{
    const struct raft_msg m = {.type = RAFT_MSG_APPEND,
                               .from = 1,
                               .to = replica_id,
                               .term = 9,
                               .index = 99,
                               .log_term = 9};
    bool asks = true;
    t_isolate(c, 3, true);        /* it is counted, and lost */
    for (int i = 0; i < 3; i++) { /* others may speak at the same time */
        uint64_t before = atomic_load(&c->sent[RAFT_MSG_APPEND_RESP]);
        range_store_receive(c->nodes[3].rs, 1, 2, &m);
        asks = asks && atomic_load(&c->sent[RAFT_MSG_APPEND_RESP]) != before;
        CHECK_OK(fiber_sleep(20 * NS_PER_MS));
    }
    t_isolate(c, 3, false);
    return asks;
}

static void there_and_back(struct tcluster *c)
{
    const struct replica_change out = {REPLICA_REMOVE, 3};
    struct range_store_stats st;
    three_members(c);
    keys_from_to(c, 0, 20, 0);
    for (unsigned round = 0; round < 4; round++) {
        CHECK_OK(t_change(c, 2, &out, 1));
        wait_no_range(c, 3, 2);
        wait_objects(c, 3, 0);
        range_store_get_stats(c->nodes[3].rs, &st);
        CHECK(st.gone == 1 && st.ranges == 0);
        if (round == 1) {
            t_stop(c, 3, true);
            t_start(c, 3);
            range_store_get_stats(c->nodes[3].rs, &st);
            CHECK(st.gone == 1 && st.objects == 0);
        }
        /* one that was removed asks for no state; one that may come does */
        CHECK(!asks_for_state(c, 2));
        CHECK(asks_for_state(c, UINT64_C(1) << 40));
        CHECK_OK(t_add(c, 2, 3));
        range_store_get_stats(c->nodes[3].rs, &st);
        CHECK(st.gone == 0 && st.ranges == 1);
        keys_from_to(c, 0, 20, 100 * round);
        t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    }
    t_isolate(c, 2, true); /* it counts */
    put_ok(c, 7, 7);
    t_isolate(c, 2, false);
    t_stop_all(c);
}

static void test_there_and_back(void **state)
{
    (void)state;
    t_run(3, there_and_back);
}

/* ---- what the table has no room for is asked of the engine ---- */

/* Waited for long if it is to come, and else as long as it mostly takes. */
static bool told_merged(struct tcluster *c, range_id_t range, bool expected)
{
    int looks = expected ? 10000 : 50;
    const struct raft_msg ask = {.type = REPLICA_MSG_ASK, .from = 300, .to = 1, .term = 1};
    uint64_t before = atomic_load(&c->sent[REPLICA_MSG_REMOVED]);
    range_store_receive(c->nodes[1].rs, 2, range, &ask);
    for (int i = 0; i < looks && atomic_load(&c->sent[REPLICA_MSG_REMOVED]) == before; i++) {
        CHECK_OK(fiber_sleep(2 * NS_PER_MS));
    }
    return atomic_load(&c->sent[REPLICA_MSG_REMOVED]) != before;
}

static void more_than_fits(struct tcluster *c)
{
    enum { MERGES = 12 };
    range_id_t ids[MERGES];
    struct range_store_stats st;
    struct arena a;
    struct range_desc d;
    arena_init(&a, NULL, NULL, 0);
    t_start(c, 1);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    keys_from_to(c, 0, 40, 0);
    c->nodes[1].rs->gone.max = 4;
    for (unsigned i = 0; i < MERGES; i++) {
        ids[i] = split_at(c, 20);
        CHECK(t_wait_leader(c, ids[i], 60 * NS_PER_S) == 1);
        merge_ok(c, 2, ids[i]);
        wait_objects(c, 1, 2);
    }
    range_store_get_stats(c->nodes[1].rs, &st);
    CHECK(st.gone <= 4);
    for (unsigned i = 0; i < MERGES; i++) {
        CHECK(told_merged(c, ids[i], true));
    }
    CHECK(!told_merged(c, ids[0] - 1, false)); /* nobody knows it */
    CHECK(!told_merged(c, ids[MERGES - 1] + 1, false));
    CHECK_OK(range_store_redirect(c->nodes[1].rs, ids[MERGES - 1], &a, &d));
    CHECK(d.id == 2);
    CHECK(range_store_redirect(c->nodes[1].rs, ids[0], &a, &d) == ERR_RANGE_NOT_FOUND);
    arena_fini(&a);
    t_stop_all(c);
}

static void test_more_than_fits(void **state)
{
    (void)state;
    t_run(1, more_than_fits);
}

/* A chain of merges leads to where the keys are, before a restart and after. */
static void followed(struct tcluster *c)
{
    struct arena a;
    struct range_desc d;
    arena_init(&a, NULL, NULL, 0);
    t_start(c, 1);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    keys_from_to(c, 0, 40, 0);
    range_id_t x = split_at(c, 20);
    CHECK(t_wait_leader(c, x, 60 * NS_PER_S) == 1);
    range_id_t y = split_at(c, 30);
    CHECK(t_wait_leader(c, y, 60 * NS_PER_S) == 1);
    merge_ok(c, x, y);
    CHECK_OK(range_store_redirect(c->nodes[1].rs, y, &a, &d));
    CHECK(d.id == x);
    merge_ok(c, 2, x);
    for (int restarts = 0; restarts < 3; restarts++) {
        wait_objects(c, 1, 2);
        CHECK_OK(range_store_redirect(c->nodes[1].rs, y, &a, &d));
        CHECK(d.id == 2);
        CHECK_OK(range_store_redirect(c->nodes[1].rs, x, &a, &d));
        CHECK(d.id == 2);
        CHECK(told_merged(c, x, true) && told_merged(c, y, true));
        t_stop(c, 1, restarts == 1);
        t_start(c, 1);
        CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    }
    arena_fini(&a);
    t_stop_all(c);
}

static void test_followed(void **state)
{
    (void)state;
    t_run(1, followed);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_come_and_go),    cmocka_unit_test(test_with_writers),
        cmocka_unit_test(test_under_way),      cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_more_than_fits), cmocka_unit_test(test_followed),
    };
    return tests_run_apart(tests, ARRAY_COUNT(tests), argc, argv);
}
