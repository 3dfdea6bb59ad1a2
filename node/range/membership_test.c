#include "base/test_apart.h"
#include "node/range/testing.h"

/* Members come and go, ranges split, replicas that fell behind are brought back. */

static struct replica_desc replica_on(struct tcluster *c, node_id_t asked, range_id_t range,
                                      node_id_t node)
{
    struct range_status st;
    struct replica_desc none = {0};
    if (range_store_status(c->nodes[asked].rs, range, &st) == ERR_OK) {
        for (unsigned i = 0; i < st.member_count; i++) {
            if (st.members[i].node == node) {
                return (struct replica_desc){node, st.members[i].replica_id, st.members[i].kind};
            }
        }
    }
    return none;
}

/* What a node knows of its replica of range 2 at a member, once that is of the kind; on a busy
 * machine a proposal is applied after the one who made it has given up. */
static struct replica_desc wait_kind(struct tcluster *c, node_id_t asked, node_id_t node,
                                     enum replica_kind kind)
{
    struct replica_desc r = replica_on(c, asked, 2, node);
    for (int i = 0; i < 3000 && (r.replica_id == 0 || r.kind != kind); i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
        r = replica_on(c, asked, 2, node);
    }
    CHECK(r.replica_id != 0 && r.kind == kind);
    return r;
}

static void wait_gone(struct tcluster *c, node_id_t node, range_id_t range)
{
    struct range_status st;
    for (int i = 0; i < 6000; i++) {
        if (range_store_status(c->nodes[node].rs, range, &st) == ERR_RANGE_NOT_FOUND &&
            t_checksum(c, node, SLICE_LIT("\1"), SLICE_EMPTY).count == 0) {
            return;
        }
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    T_FAIL("the replica goes");
}

/* ---- a follower that was away for too long ---- */

static uint64_t snapshots_of(struct tcluster *c, node_id_t node)
{
    struct range_store_stats st;
    range_store_get_stats(c->nodes[node].rs, &st);
    return st.snapshots_received;
}

/* Away for a moment: the log has what it misses, without exception. */
static void lagging_a_little(struct tcluster *c)
{
    three_members(c);
    put_ok(c, 1, 1);
    uint64_t before = snapshots_of(c, 3);
    t_isolate(c, 3, true);
    put_large(c, 1);
    CHECK_OK(fiber_sleep(300 * NS_PER_MS));
    t_isolate(c, 3, false);
    put_ok(c, 1, 2);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    CHECK(snapshots_of(c, 3) == before);
    t_stop_all(c);
}

/* The leader's log keeps what a member misses that was heard of a while ago, although all is in the
 * engine and the time that a log is kept anyhow is long over; what one misses that is away is not
 * waited for. */
static void lagging_is_kept(struct tcluster *c)
{
    struct range_status st;
    unsigned kept = 0;
    unsigned k = 0;
    c->log_keep_ms = 20;
    three_members(c);
    put_ok(c, 1, 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    CHECK_OK(fiber_sleep(200 * NS_PER_MS));
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    CHECK_OK(range_store_status(c->nodes[3].rs, 2, &st));
    uint64_t has = st.applied;
    uint64_t began = clock_mono_ns();
    t_isolate(c, 3, true);
    for (int i = 0; i < 600; i++) {
        for (unsigned n = 0; n < 2; n++, k++) {
            put_ok(c, k, k);
        }
        CHECK_OK(fiber_sleep(50 * NS_PER_MS));
        range_store_upkeep(c->nodes[1].rs, true);
        CHECK_OK(range_store_status(c->nodes[1].rs, 2, &st));
        if (clock_mono_ns() - began < NS_PER_S) {
            CHECK(st.compacted <= has);
            kept += st.applied > has + 1;
        } else if (st.compacted > has + 1) {
            break;
        }
    }
    CHECK(st.compacted > has + 1);
    printf("  looked %u times while it was kept\n", kept);
    t_stop_all(c);
}

/* Until the logs of nodes 1 and 2 lack what has been written, whoever leads: a new leader keeps
 * them for others at first. */
static void wait_compacted(struct tcluster *c)
{
    struct range_status st;
    CHECK_OK(range_store_status(c->nodes[1].rs, 2, &st));
    uint64_t all = st.applied;
    for (node_id_t n = 1; n <= 2; n++) {
        for (int i = 0; i < 600; i++) {
            range_store_upkeep(c->nodes[n].rs, true);
            CHECK_OK(range_store_status(c->nodes[n].rs, 2, &st));
            if (st.compacted >= all) {
                break;
            }
            CHECK_OK(fiber_sleep(100 * NS_PER_MS));
        }
        CHECK(st.compacted >= all);
    }
}

static void lagging(struct tcluster *c)
{
    struct load l;
    struct range_store_stats st;
    three_members(c);
    load_start(c, &l);
    CHECK_OK(fiber_sleep(200 * NS_PER_MS));
    t_isolate(c, 3, true);
    put_large(c, 400); /* more than the leader keeps in memory */
    wait_compacted(c);
    range_store_get_stats(c->nodes[3].rs, &st);
    uint64_t before = st.snapshots_received;
    t_isolate(c, 3, false);
    CHECK_OK(fiber_sleep(2 * NS_PER_S));
    load_check(c, &l);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    range_store_get_stats(c->nodes[3].rs, &st);
    CHECK(st.snapshots_received == before + 1);
    /* it counts again: with node 2 away a majority needs it */
    t_isolate(c, 2, true);
    put_ok(c, 1, 1);
    t_isolate(c, 2, false);
    expect(c, 1, 1);
    /* and all of it survives a restart */
    t_stop(c, 3, true);
    t_start(c, 3);
    put_ok(c, 1, 2);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void test_lagging(void **state)
{
    (void)state;
    t_run(3, lagging_a_little);
    t_run(3, lagging_is_kept);
    t_run(3, lagging);
}

/* ---- add, replace and remove under load ---- */

static void replace(struct tcluster *c)
{
    struct load l;
    const node_id_t end[] = {2, 3, 4};
    t_start_all(c);
    load_start(c, &l); /* while the group has one member still */
    CHECK_OK(fiber_sleep(200 * NS_PER_MS));
    CHECK_OK(t_add(c, 2, 2));
    CHECK_OK(t_add(c, 2, 3));
    uint64_t old_id = replica_on(c, 1, 2, 3).replica_id;
    CHECK(old_id != 0 && replica_on(c, 1, 2, 3).kind == REPLICA_VOTER);
    /* 3 -> 4 in one step */
    struct replica_change swap[] = {{REPLICA_ADD, 4}, {REPLICA_REMOVE, 3}};
    CHECK_OK(t_change(c, 2, swap, 2));
    wait_gone(c, 3, 2);
    /* again: nothing to do */
    CHECK_OK(t_change(c, 2, swap, 2));
    /* 3 comes back under a new id */
    CHECK_OK(t_add(c, 2, 3));
    CHECK(replica_on(c, 1, 2, 3).replica_id > old_id);
    /* the leader removes itself */
    node_id_t leader = t_wait_leader(c, 2, 60 * NS_PER_S);
    struct replica_change self = {REPLICA_REMOVE, 1};
    CHECK(leader == 1);
    CHECK_OK(t_change(c, 2, &self, 1));
    wait_gone(c, 1, 2);
    CHECK_OK(fiber_sleep(300 * NS_PER_MS));
    uint64_t gap = load_check(c, &l);
    printf("  longest write gap %llu ms\n", (unsigned long long)(gap / NS_PER_MS));
    t_wait_same(c, end, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    /* what was removed stays removed */
    t_stop(c, 1, true);
    t_start(c, 1);
    struct range_status st;
    CHECK(range_store_status(c->nodes[1].rs, 2, &st) == ERR_RANGE_NOT_FOUND);
    CHECK(range_store_status(c->nodes[1].rs, 1, &st) == ERR_OK);
    t_stop_all(c);
}

static void test_replace(void **state)
{
    (void)state;
    t_run(4, replace);
}

/* ---- a member that was removed while it was away ---- */

static void removed_while_away(struct tcluster *c)
{
    three_members(c);
    put_ok(c, 1, 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_isolate(c, 3, true);
    struct replica_change out = {REPLICA_REMOVE, 3};
    CHECK_OK(t_change(c, 2, &out, 1));
    CHECK_OK(fiber_sleep(200 * NS_PER_MS));
    CHECK(t_checksum(c, 3, SLICE_LIT("\1"), SLICE_EMPTY).count == 1);
    t_isolate(c, 3, false);
    wait_gone(c, 3, 2);
    /* dead when removed, added again before it comes back */
    CHECK_OK(t_add(c, 2, 3));
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop(c, 3, true);
    CHECK_OK(t_change(c, 2, &out, 1));
    t_start(c, 3);
    wait_gone(c, 3, 2);
    CHECK_OK(t_add(c, 2, 3));
    put_ok(c, 1, 2);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void test_removed_away(void **state)
{
    (void)state;
    t_run(3, removed_while_away);
}

/* ---- a dead node's replica is replaced; a change goes on where it stopped ---- */

static void dead_node(struct tcluster *c)
{
    const node_id_t end[] = {1, 2, 4};
    three_members(c);
    put_ok(c, 1, 1);
    t_stop(c, 3, true);
    struct replica_change swap[] = {{REPLICA_ADD, 4}, {REPLICA_REMOVE, 3}};
    CHECK_OK(t_change(c, 2, swap, 2));
    put_ok(c, 1, 2);
    t_wait_same(c, end, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    /* a learner that never comes up: the change fails, its replica is left over and can go */
    struct replica_change add = {REPLICA_ADD, 3};
    struct replica_change drop = {REPLICA_REMOVE, 3};
    struct diag diag;
    diag_reset(&diag);
    fiber_set_deadline(clock_mono_ns() + NS_PER_S);
    CHECK(range_store_change_replicas(c->nodes[1].rs, 2, &add, 1, &diag) == ERR_TIMEOUT);
    fiber_set_deadline(DEADLINE_NONE);
    (void)wait_kind(c, 1, 3, REPLICA_LEARNER);
    CHECK_OK(t_change(c, 2, &drop, 1));
    for (int i = 0; i < 3000 && replica_on(c, 1, 2, 3).replica_id != 0; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    CHECK(replica_on(c, 1, 2, 3).replica_id == 0);
    /* left over again, taken up by the next leader */
    fiber_set_deadline(clock_mono_ns() + NS_PER_S);
    CHECK(range_store_change_replicas(c->nodes[1].rs, 2, &add, 1, &diag) == ERR_TIMEOUT);
    fiber_set_deadline(DEADLINE_NONE);
    uint64_t id = wait_kind(c, 1, 3, REPLICA_LEARNER).replica_id;
    CHECK_OK(range_store_transfer_lease(c->nodes[1].rs, 2, 2, LEASE_WITH_LOCKS, &diag));
    t_start(c, 3);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 2);
    CHECK_OK(t_change(c, 2, &add, 1));
    CHECK(wait_kind(c, 2, 3, REPLICA_VOTER).replica_id == id);
    put_ok(c, 1, 3);
    const node_id_t all[] = {1, 2, 3, 4};
    t_wait_same(c, all, 4, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void test_dead_node(void **state)
{
    (void)state;
    t_run(4, dead_node);
}

/* ---- splits ---- */

static void split_at(struct tcluster *c, unsigned k, range_id_t *ret_id)
{
    char kb[32];
    struct diag diag;
    struct slice at = key_of(kb, k);
    db_err err = ERR_TIMEOUT;
    diag_reset(&diag);
    for (int tries = 0; tries < 6000 && err != ERR_OK; tries++) {
        for (node_id_t id = 1; id <= c->count && err != ERR_OK; id++) {
            struct arena a;
            arena_init(&a, NULL, NULL, 0);
            struct t_find f = {.key = at, .arena = &a};
            if (atomic_load(&c->nodes[id].up)) {
                CHECK_OK(range_store_each(c->nodes[id].rs, t_find_desc, &f));
                err = f.found ? range_store_split(c->nodes[id].rs, f.desc.id, at, &diag, ret_id)
                              : ERR_NOT_LEADER;
            }
            arena_fini(&a);
        }
        CHECK_OK(fiber_sleep(5 * NS_PER_MS));
    }
    CHECK_OK(err);
}

static void splits(struct tcluster *c)
{
    struct load l;
    range_id_t ids[WRITERS];
    unsigned soon = 0;
    three_members(c);
    load_start(c, &l);
    for (unsigned i = 0; i < WRITERS - 1; i++) {
        CHECK_OK(fiber_sleep(100 * NS_PER_MS));
        split_at(c, 1000 * (i + 2), &ids[i]);
        uint64_t began = clock_mono_ns();
        CHECK(t_wait_leader(c, ids[i], 30 * NS_PER_S) == 1);
        uint64_t took = clock_mono_ns() - began;
        if (i == 0) {
            printf("  the new half has a leader after %llu ms\n",
                   (unsigned long long)(took / NS_PER_MS));
        }
        soon += took < NS_PER_S; /* an election would take longer each time */
    }
    CHECK(soon != 0); /* not all, on a busy machine */
    /* all have the same members under the same ids, everywhere */
    for (unsigned i = 0; i < WRITERS - 1; i++) {
        for (node_id_t n = 2; n <= 3; n++) {
            uint64_t want = replica_on(c, 1, 2, 3).replica_id;
            for (int k = 0; k < 3000 && replica_on(c, n, ids[i], 3).replica_id != want; k++) {
                CHECK_OK(fiber_sleep(10 * NS_PER_MS));
            }
            CHECK(want != 0 && replica_on(c, n, ids[i], 3).replica_id == want);
        }
    }
    t_stop(c, 1, true);
    CHECK_OK(fiber_sleep(4 * NS_PER_S));
    uint64_t gap = load_check(c, &l);
    printf("  longest write gap %llu ms\n", (unsigned long long)(gap / NS_PER_MS));
    t_start(c, 1);
    put_ok(c, 1, 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void test_splits(void **state)
{
    (void)state;
    t_run(3, splits);
}

/* A member that was away when the range split: the left half's log or snapshot has to come before
 * the right half may. */
static void split_while_away(struct tcluster *c, bool snapshot)
{
    range_id_t id;
    three_members(c);
    for (unsigned i = 0; i < 100; i++) {
        put_ok(c, i, i);
    }
    t_isolate(c, 3, true);
    split_at(c, 50, &id);
    for (unsigned i = 0; i < 100; i++) {
        put_ok(c, i, 1000 + i);
    }
    if (snapshot) {
        put_large(c, 400);
        CHECK_OK(fiber_sleep(2 * NS_PER_S));
        range_store_upkeep(c->nodes[1].rs, true);
        range_store_upkeep(c->nodes[2].rs, true);
    }
    t_isolate(c, 3, false);
    put_ok(c, 1, 5);
    put_ok(c, 99, 5);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    struct range_status st = {0};
    for (int i = 0; i < 3000 && st.leader_node != 1; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
        st.leader_node = 0;
        (void)(range_store_status(c->nodes[3].rs, id, &st) == ERR_OK);
    }
    CHECK(st.leader_node == 1);
    t_stop(c, 3, true);
    t_start(c, 3);
    put_ok(c, 1, 6);
    put_ok(c, 99, 6);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void by_log(struct tcluster *c)
{
    split_while_away(c, false);
}

static void by_snapshot(struct tcluster *c)
{
    split_while_away(c, true);
}

static void test_split_away(void **state)
{
    (void)state;
    t_run(3, by_log);
    t_run(3, by_snapshot);
}

/* The right half leaves a member that has not applied the split yet: the split must not bring it
 * back there. */
static void half_leaves(struct tcluster *c)
{
    range_id_t id;
    three_members(c);
    for (unsigned i = 0; i < 100; i++) {
        put_ok(c, i, i);
    }
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_isolate(c, 3, true);
    split_at(c, 50, &id);
    CHECK(t_wait_leader(c, id, 60 * NS_PER_S) == 1);
    struct replica_change out = {REPLICA_REMOVE, 3};
    CHECK_OK(t_change(c, id, &out, 1));
    t_isolate(c, 3, false);
    put_ok(c, 1, 5);
    char kb[32];
    t_wait_same(c, three, 3, SLICE_LIT("\1"), key_of(kb, 50));
    struct range_status st;
    for (int i = 0; i < 6000 && range_store_status(c->nodes[3].rs, id, &st) == ERR_OK; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    CHECK(range_store_status(c->nodes[3].rs, id, &st) == ERR_RANGE_NOT_FOUND);
    for (int i = 0; i < 3000 && t_checksum(c, 3, key_of(kb, 50), SLICE_EMPTY).count != 0; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS)); /* its rows go a moment after it */
    }
    CHECK(t_checksum(c, 3, key_of(kb, 50), SLICE_EMPTY).count == 0);
    CHECK_OK(t_add(c, id, 3));
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void test_half_leaves(void **state)
{
    (void)state;
    t_run(3, half_leaves);
}

/* Nobody leaves while a quorum of those who would stay is not up to date. */

static void quorum_stays(struct tcluster *c)
{
    struct replica_change out = {REPLICA_REMOVE, 2};
    struct diag diag;
    three_members(c);
    put_ok(c, 1, 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_isolate(c, 3, true);
    put_ok(c, 1, 2);
    CHECK_OK(fiber_sleep(1500 * NS_PER_MS));
    put_ok(c, 1, 3);
    diag_reset(&diag);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    CHECK(range_store_change_replicas(c->nodes[1].rs, 2, &out, 1, &diag) == ERR_UNAVAILABLE);
    put_ok(c, 1, 4);
    t_isolate(c, 3, false);
    CHECK_OK(t_change(c, 2, &out, 1));
    put_ok(c, 1, 5);
    expect(c, 1, 5);
    t_stop_all(c);
}

static void test_quorum_stays(void **state)
{
    (void)state;
    t_run(3, quorum_stays);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lagging),      cmocka_unit_test(test_replace),
        cmocka_unit_test(test_removed_away), cmocka_unit_test(test_dead_node),
        cmocka_unit_test(test_splits),       cmocka_unit_test(test_split_away),
        cmocka_unit_test(test_half_leaves),  cmocka_unit_test(test_quorum_stays),
    };
    return tests_run_apart(tests, ARRAY_COUNT(tests), argc, argv);
}
