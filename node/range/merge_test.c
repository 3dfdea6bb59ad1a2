#include "base/faults.h"
#include "base/test_apart.h"
#include "node/range/merge_testing.h"
#include "node/range/range_int.h"
#include "node/range/transfer_testing.h"

/* Ranges become one: with writers going on, with members away, with leaders that die in the middle,
 * over restarts and snapshots; with row locks held. */

/* ---- one node ---- */

static void alone(struct tcluster *c)
{
    struct load l;
    struct diag diag;
    range_id_t id;
    diag_reset(&diag);
    t_start(c, 1);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    CHECK(range_store_merge(c->nodes[1].rs, 2, &diag, &id) == ERR_INVALID);
    CHECK(range_store_merge(c->nodes[1].rs, 1, &diag, &id) == ERR_INVALID);
    CHECK(range_store_merge(c->nodes[1].rs, 77, &diag, &id) == ERR_RANGE_NOT_FOUND);
    load_start(c, &l);
    for (unsigned round = 0; round < 6; round++) {
        range_id_t right = split_at(c, 4008);
        CHECK_OK(fiber_sleep(60 * NS_PER_MS));
        merge_ok(c, 2, right);
        wait_no_range(c, 1, right);
        CHECK_OK(fiber_sleep(30 * NS_PER_MS));
    }
    uint64_t gap = load_check(c, &l);
    printf("  one node: longest write gap %llu ms\n", (unsigned long long)(gap / NS_PER_MS));
    keys_from_to(c, 0, 20, 0);
    for (int crash = 0; crash < 2; crash++) {
        range_id_t right = split_at(c, 10);
        keys_from_to(c, 0, 20, 100);
        merge_ok(c, 2, right);
        keys_from_to(c, 5, 15, 200);
        t_stop(c, 1, crash == 1);
        t_start(c, 1);
        expect_all(c, 0, 5, 100);
        expect_all(c, 5, 15, 200);
        expect_all(c, 15, 20, 100);
        wait_no_range(c, 1, right);
    }
    struct range_store_stats st;
    range_store_get_stats(c->nodes[1].rs, &st);
    CHECK(st.ranges == 2);
    t_stop_all(c);
}

static void test_alone(void **state)
{
    (void)state;
    t_run(1, alone);
}

/* ---- three members, writers on both sides ---- */

/* A start applies the log again. */
static void wait_ranges(struct tcluster *c, node_id_t node, uint64_t want)
{
    struct range_store_stats st = {0};
    for (int i = 0; i < 3000 && st.ranges != want; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
        range_store_get_stats(c->nodes[node].rs, &st);
    }
    CHECK(st.ranges == want);
}

static void under_load(struct tcluster *c)
{
    struct load l;
    three_members(c);
    load_start(c, &l);
    for (unsigned round = 0; round < 8; round++) {
        range_id_t a = split_at(c, 3008);
        range_id_t b = split_at(c, 6008);
        CHECK_OK(fiber_sleep(50 * NS_PER_MS));
        if (round % 2 == 0) { /* right to left, and left to right */
            merge_ok(c, a, b);
            merge_ok(c, 2, a);
        } else {
            merge_ok(c, 2, a);
            merge_ok(c, 2, b);
        }
        for (node_id_t n = 1; n <= 3; n++) {
            wait_no_range(c, n, a);
            wait_no_range(c, n, b);
        }
    }
    uint64_t gap = load_check(c, &l);
    printf("  longest write gap %llu ms\n", (unsigned long long)(gap / NS_PER_MS));
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    for (node_id_t n = 1; n <= 3; n++) {
        struct range_store_stats st;
        range_store_get_stats(c->nodes[n].rs, &st);
        CHECK(st.merges == 16);
        t_stop(c, n, n != 2);
        t_start(c, n);
        put_ok(c, 1, (unsigned)n);
        put_ok(c, 7000, (unsigned)n);
        wait_ranges(c, n, n == 1 ? 2 : 1);
    }
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void test_under_load(void **state)
{
    (void)state;
    t_run(3, under_load);
}

/* ---- a member that is away ---- */

static void with_member_away(struct tcluster *c)
{
    three_members(c);
    keys_from_to(c, 0, 40, 0);
    range_id_t right = split_at(c, 20);
    CHECK(t_wait_leader(c, right, 60 * NS_PER_S) == 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    /* cut off before: it is not begun, nothing is frozen */
    t_isolate(c, 3, true);
    CHECK_OK(fiber_sleep(1500 * NS_PER_MS));
    CHECK(merge_once(c, 2) == ERR_UNAVAILABLE);
    put_ok(c, 30, 31);
    t_isolate(c, 3, false);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    merge_ok(c, 2, right);
    keys_from_to(c, 15, 25, 100);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    for (node_id_t n = 1; n <= 3; n++) {
        wait_no_range(c, n, right);
    }
    expect_all(c, 15, 25, 100);
    t_stop_all(c);
}

static void test_member_away(void **state)
{
    (void)state;
    t_run(3, with_member_away);
}

/* Cut off between the freeze and the merge: the log of the left range tells it, whether or not the
 * right one still has a leader. by_snapshot: for so long that the log is gone too. */
static void misses_merge(struct tcluster *c, bool by_snapshot)
{
    struct merging_fiber m;
    three_members(c);
    keys_from_to(c, 0, 40, 0);
    range_id_t right = split_at(c, 20);
    CHECK(t_wait_leader(c, right, 60 * NS_PER_S) == 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    wait_settled(c, 2);
    wait_settled(c, right);
    const char *point = "range_merge_before_commit";
    CHECK_OK(faults_set(point, "delay=1000"));
    start_merge_until(c, &m, point);
    wait_hit(point);
    t_isolate(c, 3, true);
    wait_block_uncancelable(&m.done);
    faults_reset();
    CHECK_OK(m.err);
    wait_no_range(c, 2, right);
    struct range_status st;
    CHECK_OK(range_store_status(c->nodes[3].rs, right, &st));
    keys_from_to(c, 0, 40, 1000);
    if (by_snapshot) {
        put_large(c, 400);
        CHECK_OK(fiber_sleep(2 * NS_PER_S));
        range_store_upkeep(c->nodes[1].rs, true);
        range_store_upkeep(c->nodes[2].rs, true);
    } else { /* and it crashes: the engine has forgotten what was not flushed */
        t_stop(c, 3, true);
        t_start(c, 3);
    }
    t_isolate(c, 3, false);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    wait_no_range(c, 3, right);
    t_isolate(c, 2, true); /* it counts */
    keys_from_to(c, 15, 25, 2000);
    t_isolate(c, 2, false);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop(c, 3, true);
    t_start(c, 3);
    put_ok(c, 19, 1);
    put_ok(c, 21, 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void misses_by_log(struct tcluster *c)
{
    misses_merge(c, false);
}

static void misses_by_snapshot(struct tcluster *c)
{
    misses_merge(c, true);
}

static void test_misses_merge(void **state)
{
    (void)state;
    t_run(3, misses_by_log);
    t_run(3, misses_by_snapshot);
}

/* ---- the leader dies in the middle ---- */

static void leader_gone(struct tcluster *c, const char *point)
{
    struct merging_fiber m;
    three_members(c);
    keys_from_to(c, 0, 40, 0);
    range_id_t right = split_at(c, 20);
    CHECK(t_wait_leader(c, right, 60 * NS_PER_S) == 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    wait_settled(c, 2);
    wait_settled(c, right);
    CHECK_OK(faults_set(point, "delay=3000:count=1"));
    start_merge_until(c, &m, point);
    wait_hit(point);
    t_isolate(c, 1, true);
    /* the others find out and go on, one way or the other */
    for (unsigned i = 15; i < 25; i++) {
        char kb[32];
        char vb[32];
        db_err err = ERR_COMMIT_UNKNOWN;
        for (int tries = 0; tries < 10 && err == ERR_COMMIT_UNKNOWN; tries++) {
            err = t_put(c, key_of(kb, i), val_of(vb, 100 + i), 20 * NS_PER_S);
        }
        if (err != ERR_OK) {
            fprintf(stderr, "%s: put %u: %s\n", point, i, err_name(err));
        }
        CHECK_OK(err);
    }
    wait_block_uncancelable(&m.done);
    faults_reset();
    t_isolate(c, 1, false);
    expect_all(c, 0, 15, 0);
    expect_all(c, 15, 25, 100);
    expect_all(c, 25, 40, 0);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    /* and whatever became of it, it can be merged then */
    struct arena a;
    struct range_desc d;
    char kb[32];
    arena_init(&a, NULL, NULL, 0);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) != 0);
    for (int i = 0; i < 3000 && !t_led(c, key_of(kb, 30), &a, &d); i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    printf("  %s: %s\n", point, d.id == 2 ? "merged" : "given up");
    if (d.id != 2) {
        merge_ok(c, 2, right);
    }
    arena_fini(&a);
    for (node_id_t n = 1; n <= 3; n++) {
        wait_no_range(c, n, right);
    }
    keys_from_to(c, 0, 40, 500);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void gone_when_frozen(struct tcluster *c)
{
    leader_gone(c, "range_merge_frozen");
}

static void gone_before_commit(struct tcluster *c)
{
    leader_gone(c, "range_merge_before_commit");
}

static void gone_when_halted(struct tcluster *c)
{
    leader_gone(c, "range_merge_right_halted");
}

static void test_leader_gone(void **state)
{
    (void)state;
    t_run(3, gone_when_frozen);
    t_run(3, gone_before_commit);
    t_run(3, gone_when_halted);
}

/* ---- row locks ---- */

static db_err lock_key(struct tcluster *c, unsigned k, ts_t start_ts, enum kv_wait wait,
                       uint64_t *ret_number)
{
    char kb[32];
    struct slice key = key_of(kb, k);
    struct arena a;
    db_err err = ERR_NOT_LEADER;
    arena_init(&a, NULL, NULL, 0);
    for (int tries = 0; tries < 400; tries++) {
        struct range_desc d;
        struct eval_range *er;
        struct diag diag;
        struct kv_reply reply = {0};
        struct kv_lock_resp resp = {0};
        node_id_t on = t_led(c, key, &a, &d) ? t_leader(c, d.id) : 0;
        diag_reset(&diag);
        if (on != 0 && range_store_find(c->nodes[on].rs, d.id, &er) == ERR_OK) {
            struct kv_lock_req req = {.r = {.range = d.id,
                                            .epoch = d.epoch,
                                            .deadline_ns = clock_mono_ns() + 20 * NS_PER_S,
                                            .arena = &a},
                                      .keys = &key,
                                      .count = 1,
                                      .own_ts = start_ts,
                                      .mode = KV_LOCK_EXCLUSIVE,
                                      .wait = wait,
                                      .lock_wait_ms = 15000};
            err = eval_lock(er, &req, &diag, &reply, &resp);
            range_store_done(er);
            *ret_number = resp.lock_term;
        }
        if (err == ERR_OK || err == ERR_LOCK_NOWAIT) {
            break;
        }
        CHECK_OK(fiber_sleep(5 * NS_PER_MS));
    }
    arena_fini(&a);
    return err;
}

static void release_all(struct tcluster *c, unsigned k, ts_t start_ts)
{
    char kb[32];
    struct arena a;
    struct range_desc d;
    struct eval_range *er;
    struct diag diag;
    struct kv_reply reply = {0};
    diag_reset(&diag);
    arena_init(&a, NULL, NULL, 0);
    CHECK(t_led(c, key_of(kb, k), &a, &d));
    CHECK_OK(range_store_find(c->nodes[t_leader(c, d.id)].rs, d.id, &er));
    struct kv_release_req req = {
        .r = {.range = d.id, .epoch = d.epoch, .deadline_ns = DEADLINE_NONE, .arena = &a},
        .start_ts = start_ts};
    CHECK_OK(eval_release(er, &req, &diag, &reply));
    range_store_done(er);
    arena_fini(&a);
}

struct locking {
    struct tcluster *c;
    db_err err;
    uint64_t number;
    struct waiter done;
};

static void lock_fiber(void *arg)
{
    struct locking *l = arg;
    l->err = lock_key(l->c, 30, 600, KV_WAIT, &l->number);
    wait_signal(&l->done, 0);
}

/* Held before, held after; who waits goes on waiting, in the merged range. */
static void locks_move(struct tcluster *c)
{
    uint64_t left, right, merged, n;
    struct locking waiting = {.c = c};
    three_members(c);
    keys_from_to(c, 0, 40, 0);
    range_id_t id = split_at(c, 20);
    CHECK(t_wait_leader(c, id, 60 * NS_PER_S) == 1);
    wait_settled(c, id);
    CHECK_OK(lock_key(c, 10, 500, KV_WAIT, &left));
    CHECK_OK(lock_key(c, 30, 500, KV_WAIT, &right));
    wait_init(&waiting.done);
    CHECK_OK(fiber_spawn(loop_group_get(c->loops, 1), lock_fiber, &waiting));
    CHECK_OK(fiber_sleep(50 * NS_PER_MS));
    merge_ok(c, 2, id);
    CHECK(lock_key(c, 10, 700, KV_NOWAIT, &n) == ERR_LOCK_NOWAIT);
    CHECK(lock_key(c, 30, 700, KV_NOWAIT, &n) == ERR_LOCK_NOWAIT);
    CHECK_OK(lock_key(c, 31, 500, KV_WAIT, &merged));
    CHECK(left == right && merged == left); /* one table split and joined again: nothing was lost */
    release_all(c, 30, 500);
    wait_block_uncancelable(&waiting.done);
    CHECK_OK(waiting.err);
    CHECK(lock_key(c, 30, 700, KV_NOWAIT, &n) == ERR_LOCK_NOWAIT);
    CHECK_OK(lock_key(c, 10, 700, KV_NOWAIT, &n));
    release_all(c, 30, 600);
    /* a half whose lease has been elsewhere has another number: nobody takes the one for the other
     */
    id = split_at(c, 20);
    CHECK(t_wait_leader(c, id, 60 * NS_PER_S) == 1);
    wait_settled(c, id);
    t_transfer(c, id, 1, 2, LEASE_WITH_LOCKS);
    CHECK_OK(lock_key(c, 30, 800, KV_WAIT, &right));
    merge_ok(c, 2, id);
    CHECK(lock_key(c, 30, 900, KV_NOWAIT, &n) == ERR_LOCK_NOWAIT); /* it went with the lease */
    CHECK_OK(lock_key(c, 31, 900, KV_WAIT, &merged));
    CHECK(merged != left && merged != right);
    t_stop_all(c);
}

static void test_locks_move(void **state)
{
    (void)state;
    t_run(3, locks_move);
}

/* ---- all nodes fall, and one of them knows of the merge already ---- */

/* Those that come to it again need their right replicas for it. They are told that the range is no
 * more before they have come so far: that is no news to go by, right after a start either. */
static void told_first(struct tcluster *c)
{
    struct range_store_stats st;
    three_members(c);
    keys_from_to(c, 0, 40, 0);
    range_id_t right = split_at(c, 20);
    CHECK(t_wait_leader(c, right, 60 * NS_PER_S) == 1);
    wait_settled(c, 2);
    wait_settled(c, right);
    for (node_id_t id = 1; id <= 3; id++) {
        range_store_upkeep(c->nodes[id].rs, true);
    }
    merge_ok(c, 2, right);
    range_store_upkeep(c->nodes[1].rs, true);
    for (node_id_t id = 1; id <= 3; id++) {
        t_isolate(c, id, true);
    }
    for (node_id_t id = 1; id <= 3; id++) {
        t_stop(c, id, true);
    }
    atomic_store(&c->mute, 2);
    for (node_id_t id = 1; id <= 3; id++) {
        t_start(c, id);
    }
    CHECK_OK(fiber_sleep(4 * NS_PER_S)); /* the right replicas stand for election, and are told */
    atomic_store(&c->mute, 0);
    CHECK(t_wait_leader(c, 2, 20 * NS_PER_S) != 0);
    expect_all(c, 0, 40, 0);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    for (node_id_t id = 1; id <= 3; id++) {
        wait_no_range(c, id, right);
        wait_ranges(c, id, id == 1 ? 2 : 1); /* it is not found from when the merge takes it on */
        range_store_get_stats(c->nodes[id].rs, &st);
        CHECK(st.replicas_removed == 0);
    }
    t_stop_all(c);
}

static void test_told_first(void **state)
{
    (void)state;
    t_run(3, told_first);
}

/* ---- by themselves ---- */

/* What is in memory is weighed from a sample of one entry in 32, which may hold none of the few
 * that there are; in files it is certain. */
static uint64_t weigh_files(struct tcluster *c, range_id_t id)
{
    struct diag diag;
    uint64_t bytes = 0;
    diag_reset(&diag);
    CHECK_OK(engine_flush_wait(c->nodes[1].engine));
    CHECK_OK(range_store_weigh(c->nodes[1].rs, id, &diag, &bytes));
    return bytes;
}

/* Small neighbours become one, up to a quarter of the size at which they would be split: the left
 * one may have just that, if the right one is empty. */
static void by_size(struct tcluster *c)
{
    struct range_status st;
    t_start(c, 1);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    struct range_store *rs = c->nodes[1].rs;
    put_large(c, 50);
    range_id_t id = split_at(c, 99000);
    CHECK(t_wait_leader(c, id, 60 * NS_PER_S) == 1);
    range_store_merge_round(rs); /* not without merge_after_ms */
    CHECK_OK(range_store_status(rs, id, &st));
    rs->opts.merge_after_ms = 1;
    CHECK_OK(fiber_sleep(50 * NS_PER_MS));
    uint64_t left = weigh_files(c, 2);
    CHECK(left > 50 * 8000 && weigh_files(c, id) == 0);
    rs->opts.range_size_max = left * 4 - 1;
    range_store_merge_round(rs);
    CHECK_OK(range_store_status(rs, id, &st));
    rs->opts.range_size_max = left * 4;
    range_store_merge_round(rs); /* it is left alone for a while */
    CHECK_OK(range_store_status(rs, id, &st));
    t_stop(c, 1, false);
    t_start(c, 1);
    rs = c->nodes[1].rs;
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1 && t_wait_leader(c, id, 60 * NS_PER_S) == 1);
    rs->opts.merge_after_ms = 1;
    CHECK_OK(fiber_sleep(50 * NS_PER_MS));
    rs->opts.range_size_max = weigh_files(c, 2) * 4;
    for (int i = 0; i < 100 && range_store_status(rs, id, &st) == ERR_OK; i++) {
        range_store_merge_round(rs);
        CHECK_OK(fiber_sleep(100 * NS_PER_MS)); /* its lease may be young */
    }
    wait_no_range(c, 1, id);
    t_stop_all(c);
}

static void test_by_size(void **state)
{
    (void)state;
    t_run(1, by_size);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locks_move),   cmocka_unit_test(test_alone),
        cmocka_unit_test(test_under_load),   cmocka_unit_test(test_member_away),
        cmocka_unit_test(test_misses_merge), cmocka_unit_test(test_leader_gone),
        cmocka_unit_test(test_told_first),   cmocka_unit_test(test_by_size),
    };
    return tests_run_apart(tests, ARRAY_COUNT(tests), argc, argv);
}
