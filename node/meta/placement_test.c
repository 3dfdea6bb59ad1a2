/* What placement decides for one range. */
#include "node/meta/placement.h"

#include "base/test_main.h"

static struct node_info g_nodes[8];
static struct placement_view g_view;

static void nodes(unsigned count)
{
    memset(g_nodes, 0, sizeof(g_nodes));
    for (unsigned i = 0; i < count; i++) {
        g_nodes[i] = (struct node_info){.id = i + 1, .liveness = NODE_ALIVE, .ranges = 10};
    }
    g_view = (struct placement_view){.nodes = g_nodes, .count = count, .replicas = 3};
}

static struct range_desc on(unsigned count, const node_id_t *where)
{
    struct range_desc d = {.id = 7, .replica_count = count, .leader_hint = where[0]};
    for (unsigned i = 0; i < count; i++) {
        d.replicas[i] = (struct replica_desc){where[i], where[i], REPLICA_VOTER};
    }
    return d;
}
#define ON(...)                                                                                    \
    on(sizeof((node_id_t[]){__VA_ARGS__}) / sizeof(node_id_t), (const node_id_t[]){__VA_ARGS__})

static struct placement_step choose(struct range_desc d)
{
    struct placement_step s;
    placement_choose(&g_view, &d, &s);
    return s;
}

static void expect_change(const struct placement_step *s, unsigned at, enum replica_change_op op,
                          node_id_t node)
{
    assert_true(s->kind == PLACEMENT_REPLICAS && at < s->count);
    assert_true(s->changes[at].op == op && s->changes[at].node == node);
}

static void one_and_two_nodes_keep_one_replica(void **state)
{
    (void)state;
    nodes(1);
    assert_int_equal(choose(ON(1)).kind, PLACEMENT_NOTHING);
    nodes(2);
    assert_int_equal(choose(ON(1)).kind, PLACEMENT_NOTHING);
}

static void three_nodes_get_three_at_once(void **state)
{
    (void)state;
    nodes(3);
    struct placement_step s = choose(ON(1));
    assert_int_equal(s.count, 2);
    expect_change(&s, 0, REPLICA_ADD, 2);
    expect_change(&s, 1, REPLICA_ADD, 3);
    assert_int_equal(choose(ON(1, 2, 3)).kind, PLACEMENT_NOTHING);
    s = choose(ON(1, 2)); /* from two to three */
    assert_int_equal(s.count, 1);
    expect_change(&s, 0, REPLICA_ADD, 3);
}

static void a_dead_nodes_replica_is_replaced(void **state)
{
    (void)state;
    nodes(4);
    g_nodes[1].liveness = NODE_DEAD;
    struct placement_step s = choose(ON(1, 2, 3));
    assert_int_equal(s.count, 2);
    expect_change(&s, 0, REPLICA_ADD, 4);
    expect_change(&s, 1, REPLICA_REMOVE, 2);
    g_nodes[1].liveness = NODE_SUSPECT; /* may come back */
    assert_int_equal(choose(ON(1, 2, 3)).kind, PLACEMENT_NOTHING);
    nodes(3);
    g_nodes[1].liveness = NODE_DEAD; /* nobody could take it: two of three still decide */
    assert_int_equal(choose(ON(1, 2, 3)).kind, PLACEMENT_NOTHING);
    g_nodes[1].state = NODE_DECOMMISSIONING; /* not meant to come back: the others stay */
    s = choose(ON(1, 2, 3));
    assert_int_equal(s.count, 1);
    expect_change(&s, 0, REPLICA_REMOVE, 2);
    assert_int_equal(choose(ON(1, 3)).kind, PLACEMENT_NOTHING);
}

static void a_node_that_leaves_is_emptied(void **state)
{
    (void)state;
    nodes(4);
    g_nodes[0].state = NODE_DECOMMISSIONING;
    struct placement_step s = choose(ON(1, 2, 3)); /* leads: the lease goes first */
    assert_int_equal(s.kind, PLACEMENT_LEASE);
    assert_true(s.lease_to == 2 || s.lease_to == 3);
    s = choose(ON(2, 1, 3));
    assert_int_equal(s.count, 2);
    expect_change(&s, 0, REPLICA_ADD, 4);
    expect_change(&s, 1, REPLICA_REMOVE, 1);
}

/* Nobody else has the range: two for a moment. */
static void the_only_replica_leaves_its_node(void **state)
{
    (void)state;
    nodes(2);
    g_nodes[0].state = NODE_DECOMMISSIONING;
    struct placement_step s = choose(ON(1));
    assert_int_equal(s.count, 1);
    expect_change(&s, 0, REPLICA_ADD, 2);
    s = choose(ON(1, 2));
    assert_int_equal(s.kind, PLACEMENT_LEASE);
    assert_int_equal(s.lease_to, 2);
    s = choose(ON(2, 1));
    assert_int_equal(s.count, 1);
    expect_change(&s, 0, REPLICA_REMOVE, 1);
    g_nodes[1].liveness = NODE_DEAD; /* nobody could take it */
    assert_int_equal(choose(ON(1)).kind, PLACEMENT_NOTHING);
}

/* In whatever order members are named: the dead one first, else the others have no majority for the
 * change; and the leader, which makes the changes, last. */
static void several_bad_places(void **state)
{
    (void)state;
    static const node_id_t orders[][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3},
                                          {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};
    for (size_t i = 0; i < ARRAY_COUNT(orders); i++) {
        nodes(5);
        g_nodes[0].state = g_nodes[1].state = NODE_DECOMMISSIONING;
        g_nodes[2].liveness = NODE_DEAD;
        struct range_desc d = on(3, orders[i]);
        d.leader_hint = 1;
        struct placement_step s = choose(d);
        assert_int_equal(s.count, 2);
        expect_change(&s, 0, REPLICA_ADD, 4);
        expect_change(&s, 1, REPLICA_REMOVE, 3);
        nodes(3); /* the same with nobody who could take one */
        g_nodes[1].state = NODE_DECOMMISSIONING;
        g_nodes[2].liveness = NODE_DEAD;
        s = choose(d);
        assert_int_equal(s.count, 1);
        expect_change(&s, 0, REPLICA_REMOVE, 3);
    }
    nodes(5);
    g_nodes[0].state = g_nodes[1].state = NODE_DECOMMISSIONING;
    struct range_desc d = ON(2, 4, 1);
    d.leader_hint = 1;
    struct placement_step s = choose(d);
    assert_int_equal(s.count, 2);
    assert_true(s.changes[0].op == REPLICA_ADD && s.changes[0].node != 4);
    expect_change(&s, 1, REPLICA_REMOVE, 2);
}

static void a_draining_leader_hands_over(void **state)
{
    (void)state;
    nodes(3);
    g_nodes[0].flags = NODE_DRAINING;
    struct placement_step s = choose(ON(1, 2, 3));
    assert_int_equal(s.kind, PLACEMENT_LEASE);
    assert_true(s.lease_to != 1);
}

static void a_leader_with_a_full_disk_hands_over(void **state)
{
    (void)state;
    nodes(3);
    g_nodes[0].flags = NODE_DISK_FULL;
    struct placement_step s = choose(ON(1, 2, 3));
    assert_int_equal(s.kind, PLACEMENT_LEASE);
    assert_int_not_equal(s.lease_to, 1);
    g_nodes[1].flags = g_nodes[2].flags = NODE_DISK_FULL; /* nobody is better off */
    assert_int_equal(choose(ON(1, 2, 3)).kind, PLACEMENT_NOTHING);
}

static void full_and_empty_nodes_even_out(void **state)
{
    (void)state;
    nodes(4);
    g_nodes[3].ranges = 0;
    struct placement_step s = choose(ON(1, 2, 3));
    assert_int_equal(s.count, 2);
    expect_change(&s, 0, REPLICA_ADD, 4);
    g_nodes[3].flags = NODE_DISK_FULL;
    assert_int_equal(choose(ON(1, 2, 3)).kind, PLACEMENT_NOTHING);
}

static void leases_even_out(void **state)
{
    (void)state;
    nodes(3);
    g_nodes[0].leases = 12;
    struct placement_step s = choose(ON(1, 2, 3));
    assert_int_equal(s.kind, PLACEMENT_LEASE);
    g_nodes[1].leases = 11;
    g_nodes[2].leases = 11;
    assert_int_equal(choose(ON(1, 2, 3)).kind, PLACEMENT_NOTHING);
}

static void few_leases_follow_the_meta_range(void **state)
{
    (void)state;
    nodes(3);
    g_view.meta_leader = 2;
    g_nodes[0].leases = 3;
    g_nodes[1].leases = 1;
    struct placement_step s = choose(ON(1, 2, 3));
    assert_int_equal(s.kind, PLACEMENT_LEASE);
    assert_int_equal(s.lease_to, 2);
    assert_int_equal(choose(ON(2, 1, 3)).kind, PLACEMENT_NOTHING);
    g_nodes[0].leases = 0;
    g_nodes[1].leases = 8; /* all that there are */
    assert_int_equal(choose(ON(2, 1, 3)).kind, PLACEMENT_NOTHING);
    g_nodes[1].leases = 9; /* not few any more */
    s = choose(ON(2, 1, 3));
    assert_int_equal(s.kind, PLACEMENT_LEASE);
    assert_int_not_equal(s.lease_to, 2);
    g_nodes[1].leases = 1;
    g_nodes[1].flags = NODE_DRAINING; /* meta's own lease is about to leave */
    assert_int_equal(choose(ON(1, 2, 3)).kind, PLACEMENT_NOTHING);
    nodes(4);
    g_view.meta_leader = 4; /* holds no replica of it */
    assert_int_equal(choose(ON(1, 2, 3)).kind, PLACEMENT_NOTHING);
}

static void load_is_spread_before_leases(void **state)
{
    (void)state;
    nodes(3);
    g_view.meta_leader = 1;
    g_view.load_worth = 1000;
    g_view.load_may_move = true;
    struct range_desc d = ON(1, 2, 3);
    g_nodes[0].load = 8000;
    g_nodes[1].load = 500;
    g_nodes[2].load = 100;
    d.load = 4000; /* one of two halves */
    struct placement_step s = choose(d);
    assert_true(s.kind == PLACEMENT_LEASE && s.lease_to == 3 && s.for_load);
    /* another has just been moved: what it has done is not known yet */
    g_view.load_may_move = false;
    assert_int_equal(choose(d).kind, PLACEMENT_NOTHING);
    g_view.load_may_move = true;
    /* all of the load is this one range's: it would only be elsewhere */
    d.load = 8000;
    assert_int_equal(choose(d).kind, PLACEMENT_NOTHING);
    /* loaded, it is not gathered to the meta range; idle it is */
    d = ON(2, 1, 3);
    d.load = 4000;
    g_nodes[0].load = g_nodes[1].load = g_nodes[2].load = 4000;
    assert_int_equal(choose(d).kind, PLACEMENT_NOTHING);
    d.load = 10;
    s = choose(d);
    assert_true(s.kind == PLACEMENT_LEASE && s.lease_to == 1);
}

/* Rounds as the leader of the meta range makes them. What it decides takes a while, and a while
 * more until the index shows it. */
enum { SIM_RANGES = 23, SIM_ROUNDS = 400 };

struct sim_range {
    struct range_desc shown;
    struct placement_step step;
    unsigned left; /* rounds until the index shows it; 0: none is under way */
};

static void carry_out(struct range_desc *d, const struct placement_step *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->changes[i].op == REPLICA_ADD) {
            node_id_t node = s->changes[i].node;
            d->replicas[d->replica_count++] = (struct replica_desc){node, node, REPLICA_VOTER};
            continue;
        }
        for (unsigned k = 0; k < d->replica_count; k++) {
            if (d->replicas[k].node == s->changes[i].node) {
                d->replicas[k] = d->replicas[--d->replica_count];
            }
        }
    }
    d->leader_hint = s->kind == PLACEMENT_LEASE ? s->lease_to : d->leader_hint;
}

static unsigned sim_round(struct sim_range *ranges, unsigned round)
{
    unsigned begun = 0;
    for (unsigned i = 0; i < g_view.count; i++) {
        g_nodes[i].ranges = g_nodes[i].leases = 0;
    }
    for (unsigned i = 0; i < SIM_RANGES; i++) {
        struct sim_range *r = &ranges[i];
        if (r->left != 0 && --r->left == 0) {
            carry_out(&r->shown, &r->step);
            assert_true(placement_done(&r->step, &r->shown));
        }
        assert_true(r->left == 0 || !placement_done(&r->step, &r->shown));
        placement_count(g_nodes, g_view.count, &r->shown, r->left != 0 ? &r->step : NULL);
    }
    for (unsigned i = 0; i < SIM_RANGES && begun == 0; i++) {
        struct sim_range *r = &ranges[i];
        if (r->left == 0) {
            placement_choose(&g_view, &r->shown, &r->step);
            begun += r->step.kind != PLACEMENT_NOTHING;
            r->left = r->step.kind != PLACEMENT_NOTHING ? 1 + (i * 7 + round) % 9 : 0;
        }
    }
    return begun;
}

static void it_comes_to_rest(void **state)
{
    (void)state;
    static struct sim_range ranges[SIM_RANGES];
    nodes(5);
    for (unsigned i = 0; i < SIM_RANGES; i++) {
        ranges[i] = (struct sim_range){.shown = ON(1, 2, 3)};
        ranges[i].shown.id = i + 2;
    }
    unsigned last = 0;
    unsigned steps = 0;
    for (unsigned round = 1; round <= SIM_ROUNDS; round++) {
        if (sim_round(ranges, round) != 0) {
            last = round;
            steps++;
        }
    }
    printf("  %u steps, the last one in round %u\n", steps, last);
    assert_true(last < SIM_ROUNDS / 4 && steps < 2 * SIM_RANGES + 20);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(g_nodes[i].ranges >= 12 && g_nodes[i].ranges <= 15);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_and_two_nodes_keep_one_replica),
        cmocka_unit_test(load_is_spread_before_leases),
        cmocka_unit_test(it_comes_to_rest),
        cmocka_unit_test(three_nodes_get_three_at_once),
        cmocka_unit_test(a_dead_nodes_replica_is_replaced),
        cmocka_unit_test(a_node_that_leaves_is_emptied),
        cmocka_unit_test(the_only_replica_leaves_its_node),
        cmocka_unit_test(several_bad_places),
        cmocka_unit_test(a_draining_leader_hands_over),
        cmocka_unit_test(a_leader_with_a_full_disk_hands_over),
        cmocka_unit_test(full_and_empty_nodes_even_out),
        cmocka_unit_test(leases_even_out),
        cmocka_unit_test(few_leases_follow_the_meta_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
