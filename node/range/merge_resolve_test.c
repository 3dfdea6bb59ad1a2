#include "base/faults.h"
#include "base/test_apart.h"
#include "node/range/merge_testing.h"

#include "node/range/range_int.h"

/* Ranges that were left frozen by a merge whose left range is not beside them any more. */

enum { LEFT = 2, AT = 20 };

/* The index of ranges: as those who lead them have it. */
static db_err look_up(void *ctx, struct slice key, struct arena *arena, struct range_desc *ret)
{
    return t_led(((struct tnode *)ctx)->c, key, arena, ret) ? ERR_OK : ERR_NOT_FOUND;
}

static range_id_t two_ranges(struct tcluster *c)
{
    three_members(c);
    keys_from_to(c, 0, 2 * AT, 0);
    range_id_t right = split_at(c, AT);
    CHECK(t_wait_leader(c, right, 60 * NS_PER_S) == 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    wait_settled(c, LEFT);
    wait_settled(c, right);
    return right;
}

static void give_lease(struct tcluster *c, range_id_t range, node_id_t to)
{
    struct diag diag;
    db_err err = ERR_BUSY;
    for (int i = 0; i < 6000 && err != ERR_OK; i++) {
        node_id_t on = t_wait_leader(c, range, 5 * NS_PER_S);
        struct tnode *n = on == 0 ? NULL : t_use(c, on);
        diag_reset(&diag);
        if (n != NULL) {
            err = range_store_transfer_lease(n->rs, range, to, LEASE_WITH_LOCKS, &diag);
            t_done(n);
        }
        CHECK_OK(fiber_sleep(5 * NS_PER_MS));
    }
    CHECK_OK(err);
    CHECK(t_wait_leader(c, range, 60 * NS_PER_S) == to);
}

/* The left range from {1, 2, 3} to {4, 5}. */
static void left_moves_away(struct tcluster *c)
{
    const struct replica_change in[] = {{REPLICA_ADD, 4}, {REPLICA_ADD, 5}};
    const struct replica_change out[] = {
        {REPLICA_REMOVE, 1}, {REPLICA_REMOVE, 2}, {REPLICA_REMOVE, 3}};
    CHECK_OK(t_change(c, LEFT, in, ARRAY_COUNT(in)));
    give_lease(c, LEFT, 4);
    CHECK_OK(t_change(c, LEFT, out, ARRAY_COUNT(out)));
}

/* ---- it was not merged ---- */

/* Frozen on node 1 alone: node 2 has the freeze and does not know that it is committed, node 3 has
 * not heard of it, which is why the merge is given up. */
static range_id_t left_frozen(struct tcluster *c)
{
    struct merging_fiber m;
    range_id_t right = two_ranges(c);
    CHECK_OK(faults_set("range_merge_begin", "delay=300:count=1"));
    CHECK_OK(faults_set("range_merge_frozen", "delay=10:count=1"));
    CHECK_OK(faults_set("range_merge_thaw", "error=UNAVAILABLE:count=1"));
    atomic_store(&c->uninformed, 2);
    start_merge_until(c, &m, "range_merge_begin");
    wait_hit("range_merge_begin");
    t_isolate(c, 3, true);
    wait_hit("range_merge_frozen");
    atomic_store(&c->mute, right);
    wait_block_uncancelable(&m.done);
    CHECK(m.err != ERR_OK);
    faults_reset();
    return right;
}

/* So the left range, led by node 2, may change its members, and leaves. */
static void left_is_gone(struct tcluster *c)
{
    c->where = look_up;
    range_id_t right = left_frozen(c);
    t_isolate(c, 3, false);
    give_lease(c, LEFT, 2);
    atomic_store(&c->uninformed, 0);
    left_moves_away(c);
    for (node_id_t n = 1; n <= 3; n++) {
        wait_no_range(c, n, LEFT);
    }
    put_ok(c, 1, 1000);
    CHECK(t_leader(c, right) == 0);
    atomic_store(&c->mute, 0);
    put_ok(c, 30, 1000); /* thawed */
    CHECK(atomic_load(&c->sent[REPLICA_MSG_MERGE_ASK]) != 0);
    expect(c, 1, 1000);
    expect(c, 30, 1000);
    expect(c, 31, 31);
    t_stop_all(c);
}

static void test_left_is_gone(void **state)
{
    (void)state;
    t_run(5, left_is_gone);
}

/* ---- a lease that comes beside the left one's ---- */

/* It goes on at once, not only when upkeep comes to it. */
static void lease_comes(struct tcluster *c)
{
    range_id_t right = left_frozen(c);
    give_lease(c, LEFT, 2);
    for (node_id_t n = 1; n <= 3; n++) {
        fiber_mutex_lock(&c->nodes[n].rs->upkeep_lock);
    }
    atomic_store(&c->uninformed, 0);
    t_isolate(c, 3, false);
    atomic_store(&c->mute, 0);
    give_lease(c, right, 2);
    put_ok(c, 30, 1000);
    for (node_id_t n = 1; n <= 3; n++) {
        fiber_mutex_unlock(&c->nodes[n].rs->upkeep_lock);
    }
    t_stop_all(c);
}

static void test_lease_comes(void **state)
{
    (void)state;
    t_run(3, lease_comes);
}

/* ---- a neighbour that is split ---- */

/* The left range is split where the freeze is not known, and the part that is beside the frozen
 * range again, after it was found there: what it names then is not what has become of the range. */
static void left_is_split(struct tcluster *c)
{
    range_id_t right = left_frozen(c);
    give_lease(c, LEFT, 2);
    t_isolate(c, 3, false);
    atomic_store(&c->uninformed, 0);
    range_id_t beside = split_at(c, AT / 2);
    CHECK(t_wait_leader(c, beside, 60 * NS_PER_S) != 0);
    CHECK_OK(faults_set("range_merge_beside", "delay=700"));
    atomic_store(&c->mute, 0);
    wait_hit("range_merge_beside");
    split_at(c, AT / 2 + AT / 4);
    CHECK_OK(fiber_sleep(NS_PER_S)); /* who comes later is not the first to go on */
    faults_reset();
    put_ok(c, 30, 1000);
    expect(c, 30, 1000);
    expect(c, 31, 31);
    expect(c, AT - 1, AT - 1);
    CHECK(t_wait_leader(c, right, 60 * NS_PER_S) != 0);
    t_stop_all(c);
}

static void test_left_is_split(void **state)
{
    (void)state;
    t_run(3, left_is_split);
}

/* ---- it was merged ---- */

/* Nodes 2 and 3 have not applied it when the left range leaves them, node 1, which has, is down:
 * the right range has a quorum, and a leader that finds out. */
static void merged_and_gone(struct tcluster *c)
{
    struct merging_fiber m;
    c->where = look_up;
    range_id_t right = two_ranges(c);
    CHECK_OK(faults_set("range_merge_before_commit", "delay=300:count=1"));
    atomic_store(&c->uninformed, 2);
    start_merge(c, &m);
    wait_hit("range_merge_before_commit");
    t_isolate(c, 3, true);
    wait_block_uncancelable(&m.done);
    CHECK_OK(m.err);
    faults_reset();
    left_moves_away(c);
    wait_no_range(c, 2, LEFT);
    struct range_status st;
    CHECK_OK(range_store_status(c->nodes[2].rs, right, &st));
    t_stop(c, 1, false);
    t_isolate(c, 3, false);
    CHECK_OK(range_store_status(c->nodes[3].rs, right, &st));
    atomic_store(&c->uninformed, 0);
    for (node_id_t n = 2; n <= 3; n++) {
        wait_no_range(c, n, right);
        wait_no_range(c, n, LEFT);
    }
    expect_all(c, 0, 2 * AT, 0);
    keys_from_to(c, AT - 2, AT + 2, 1000);
    t_stop_all(c);
}

static void test_merged_and_gone(void **state)
{
    (void)state;
    t_run(5, merged_and_gone);
}

/* ---- what is said, and what counts ---- */

static uint64_t left_version(struct tcluster *c)
{
    struct arena a;
    struct range_desc d;
    arena_init(&a, NULL, NULL, 0);
    CHECK(t_led(c, SLICE_LIT("\2"), &a, &d) && d.id == LEFT);
    arena_fini(&a);
    return d.epoch.version;
}

/* Waited for long if an answer is to come, and else as long as one mostly takes. */
static bool is_answered(struct tcluster *c, range_id_t range, bool expected)
{
    int looks = expected ? 6000 : 50;
    node_id_t on = t_wait_leader(c, LEFT, 60 * NS_PER_S);
    struct range_status st;
    uint64_t before = atomic_load(&c->sent[REPLICA_MSG_MERGE_VOID]);
    CHECK_OK(range_store_status(c->nodes[on].rs, LEFT, &st));
    const struct raft_msg m = {.type = REPLICA_MSG_MERGE_ASK,
                               .to = st.replica_id,
                               .term = 1,
                               .index = range,
                               .hint = 1,
                               .context = 3};
    range_store_receive(c->nodes[on].rs, on % 3 + 1, LEFT, &m);
    for (int i = 0; i < looks && atomic_load(&c->sent[REPLICA_MSG_MERGE_VOID]) == before; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    return atomic_load(&c->sent[REPLICA_MSG_MERGE_VOID]) != before;
}

/* A range that was merged and another one that begins at the same key are not the same. */
static void same_key_again(struct tcluster *c)
{
    range_id_t first = two_ranges(c);
    uint64_t version = left_version(c);
    CHECK(is_answered(c, first, true));
    CHECK(left_version(c) > version); /* nothing from before can be applied any more */
    CHECK(!is_answered(c, first + 1, false));
    merge_ok(c, LEFT, first);
    CHECK(!is_answered(c, first, false));
    range_id_t second = split_at(c, AT);
    range_id_t between = split_at(c, AT / 2);
    CHECK(!is_answered(c, first, false));
    CHECK(!is_answered(c, second, false)); /* it is the right one of the one between */
    merge_ok(c, LEFT, between);
    CHECK(!is_answered(c, first, false));
    CHECK(is_answered(c, second, true));
    for (node_id_t n = 1; n <= 3; n++) { /* it is known after a start */
        t_stop(c, n, n == 2);
        t_start(c, n);
    }
    CHECK(!is_answered(c, first, false));
    CHECK(is_answered(c, second, true));
    t_stop_all(c);
}

static void test_same_key_again(void **state)
{
    (void)state;
    t_run(3, same_key_again);
}

/* A range of one member is on no lane, and answers, too. */
static void one_member(struct tcluster *c)
{
    t_start_all(c);
    keys_from_to(c, 0, 2 * AT, 0);
    range_id_t right = split_at(c, AT);
    CHECK(t_wait_leader(c, right, 60 * NS_PER_S) == 1);
    CHECK(is_answered(c, right, true));
    CHECK(!is_answered(c, right + 1, false));
    t_stop_all(c);
}

static void test_one_member(void **state)
{
    (void)state;
    t_run(3, one_member);
}

static bool is_frozen(struct tcluster *c, range_id_t id, uint64_t *ret_version)
{
    char kb[32];
    struct arena a;
    struct range_desc d;
    arena_init(&a, NULL, NULL, 0);
    bool led = false;
    for (int i = 0; i < 3000 && !led; i++) {
        led = t_led(c, key_of(kb, AT), &a, &d);
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    CHECK(led && d.id == id);
    *ret_version = d.epoch.version;
    arena_fini(&a);
    return d.merging_into != 0;
}

static void tell_void(struct tcluster *c, range_id_t right, uint64_t version)
{
    node_id_t on = t_wait_leader(c, right, 60 * NS_PER_S);
    struct range_status st;
    CHECK_OK(range_store_status(c->nodes[on].rs, right, &st));
    const struct raft_msg m = {
        .type = REPLICA_MSG_MERGE_VOID, .to = st.replica_id, .term = 1, .context = version};
    range_store_receive(c->nodes[on].rs, on % 3 + 1, right, &m);
    CHECK_OK(fiber_sleep(300 * NS_PER_MS));
}

/* An answer to what was asked of an earlier freeze thaws nothing. */
static void late_answer(struct tcluster *c)
{
    uint64_t version;
    range_id_t right = left_frozen(c);
    give_lease(c, LEFT, 2);
    atomic_store(&c->uninformed, 0);
    t_isolate(c, 3, false);
    CHECK_OK(faults_set("range_merge_thaw", "error=UNAVAILABLE"));
    left_moves_away(c);
    atomic_store(&c->mute, 0);
    CHECK(t_wait_leader(c, right, 60 * NS_PER_S) != 0);
    CHECK_OK(fiber_sleep(NS_PER_S / 2));
    CHECK(is_frozen(c, right, &version));
    faults_reset();
    tell_void(c, right, version - 1);
    tell_void(c, right, version + 1);
    CHECK(is_frozen(c, right, &version));
    uint64_t frozen = version; /* its lease goes about: it may not be there when it is told */
    for (int i = 0; i < 40 && is_frozen(c, right, &version); i++) {
        tell_void(c, right, frozen);
    }
    CHECK(!is_frozen(c, right, &version));
    put_ok(c, AT, 7);
    t_stop_all(c);
}

static void test_late_answer(void **state)
{
    (void)state;
    t_run(5, late_answer);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_left_is_gone),   cmocka_unit_test(test_merged_and_gone),
        cmocka_unit_test(test_lease_comes),    cmocka_unit_test(test_left_is_split),
        cmocka_unit_test(test_same_key_again), cmocka_unit_test(test_late_answer),
        cmocka_unit_test(test_one_member),
    };
    return tests_run_apart(tests, ARRAY_COUNT(tests), argc, argv);
}
