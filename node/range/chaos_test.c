#include "node/range/testing.h"

/* Everything at once, from a seed: nodes die and come back, are cut off, leases move, ranges split
 * and merge, members are replaced, messages are lost and late, while writers write. At the end
 * every acknowledged write is there and the members of every range hold the same. chaos_test [seed
 * [seconds]] Threads run freely: a seed gives the same faults, not the same run. */

static uint64_t g_seed = 1;
static unsigned g_seconds = 12;

struct ranges {
    struct arena arena;
    struct range_desc d[64];
    unsigned count;
};

static db_err note_range(void *arg, const struct range_desc *desc, bool serving)
{
    struct ranges *rs = arg;
    if (serving && desc->id != 1 && rs->count < ARRAY_COUNT(rs->d)) {
        CHECK_OK(range_desc_copy(&rs->arena, desc, &rs->d[rs->count++]));
    }
    return ERR_OK;
}

static void list_ranges(struct tcluster *c, struct ranges *rs)
{
    rs->count = 0;
    arena_reset(&rs->arena);
    for (node_id_t id = 1; id <= c->count; id++) {
        struct tnode *n = t_use(c, id);
        if (n != NULL) {
            CHECK_OK(range_store_each(n->rs, note_range, rs));
            t_done(n);
        }
    }
}

static void cut_off(struct tcluster *c, struct rand *r)
{
    node_id_t id = 1 + rand_below(r, c->count);
    bool one_way = rand_below(r, 3) == 0;
    if (one_way) {
        for (node_id_t k = 1; k <= c->count; k++) {
            atomic_store(&c->cut[id][k], true);
        }
    } else {
        t_isolate(c, id, true);
    }
    CHECK_OK(fiber_sleep(rand_below(r, 2500) * NS_PER_MS));
    t_isolate(c, id, false);
}

static void kill_one(struct tcluster *c, struct rand *r)
{
    node_id_t id = 1 + rand_below(r, c->count);
    t_stop(c, id, true);
    CHECK_OK(fiber_sleep(rand_below(r, 2000) * NS_PER_MS));
    t_start(c, id);
}

static void move_lease(struct tcluster *c, struct rand *r, struct ranges *rs)
{
    struct diag diag;
    diag_reset(&diag);
    list_ranges(c, rs);
    if (rs->count == 0) {
        return;
    }
    const struct range_desc *d = &rs->d[rand_below(r, rs->count)];
    node_id_t to = d->replicas[rand_below(r, d->replica_count)].node;
    node_id_t from = t_leader(c, d->id);
    struct tnode *n = from == 0 ? NULL : t_use(c, from);
    if (n != NULL) {
        db_err err = range_store_transfer_lease(n->rs, d->id, to, LEASE_WITH_LOCKS, &diag);
        (void)err;
        t_done(n);
    }
}

static void split_one(struct tcluster *c, struct rand *r, struct ranges *rs)
{
    char kb[32];
    struct diag diag;
    range_id_t id;
    diag_reset(&diag);
    list_ranges(c, rs);
    struct slice at = key_of(kb, 1000 * (unsigned)rand_below(r, WRITERS + 1) + 8);
    for (unsigned i = 0; i < rs->count && rs->count < 12; i++) {
        node_id_t on = range_desc_contains(&rs->d[i], at) ? t_leader(c, rs->d[i].id) : 0;
        struct tnode *n = on == 0 ? NULL : t_use(c, on);
        if (n != NULL) {
            db_err err = range_store_split(n->rs, rs->d[i].id, at, &diag, &id);
            (void)err;
            t_done(n);
        }
    }
}

/* With leases together if that can be: in the background, as a merge takes a while. */
struct merging {
    struct tcluster *c;
    range_id_t left, right;
    _Atomic unsigned *running;
    _Atomic unsigned *done;
};

static void merge_fiber(void *arg)
{
    struct merging *p = arg;
    struct diag diag;
    range_id_t id;
    diag_reset(&diag);
    node_id_t to = t_leader(p->c, p->left);
    node_id_t from = t_leader(p->c, p->right);
    struct tnode *n = to == 0 || from == 0 || from == to ? NULL : t_use(p->c, from);
    if (n != NULL) {
        db_err err = range_store_transfer_lease(n->rs, p->right, to, LEASE_WITH_LOCKS, &diag);
        (void)err;
        t_done(n);
        CHECK_OK(fiber_sleep(20 * NS_PER_MS));
    }
    n = to == 0 ? NULL : t_use(p->c, to);
    if (n != NULL) {
        if (range_store_merge(n->rs, p->left, &diag, &id) == ERR_OK) {
            atomic_fetch_add(p->done, 1);
        }
        t_done(n);
    }
    atomic_fetch_sub(p->running, 1);
    mem_free(p);
}

static _Atomic unsigned g_merged;

static void merge_one(struct tcluster *c, struct rand *r, struct ranges *rs,
                      _Atomic unsigned *running)
{
    list_ranges(c, rs);
    for (unsigned i = 0; i < rs->count; i++) {
        for (unsigned k = 0; k < rs->count; k++) {
            if (rs->d[i].end.len == 0 || !slice_eq(rs->d[i].end, rs->d[k].start) ||
                rand_below(r, 3) != 0) {
                continue;
            }
            struct merging *p = mem_calloc(1, sizeof(*p));
            CHECK(p != NULL);
            *p = (struct merging){c, rs->d[i].id, rs->d[k].id, running, &g_merged};
            atomic_fetch_add(running, 1);
            CHECK_OK(fiber_spawn(loop_group_get(c->loops, 2), merge_fiber, p));
        }
    }
}

/* A member on a node that has none, for one on a node that has: in the background, so that other
 * faults hit it. */
struct replacing {
    struct tcluster *c;
    range_id_t range;
    struct replica_change ch[2];
    _Atomic unsigned *running;
};

static void replace_fiber(void *arg)
{
    struct replacing *p = arg;
    struct diag diag;
    diag_reset(&diag);
    node_id_t id = t_wait_leader(p->c, p->range, NS_PER_S);
    struct tnode *n = id == 0 ? NULL : t_use(p->c, id);
    if (n != NULL) {
        fiber_set_deadline(clock_mono_ns() + 5 * NS_PER_S);
        db_err err = range_store_change_replicas(n->rs, p->range, p->ch, 2, &diag);
        (void)err;
        fiber_set_deadline(DEADLINE_NONE);
        t_done(n);
    }
    atomic_fetch_sub(p->running, 1);
    mem_free(p);
}

static void replace_one(struct tcluster *c, struct rand *r, struct ranges *rs,
                        _Atomic unsigned *running)
{
    list_ranges(c, rs);
    if (rs->count == 0) {
        return;
    }
    const struct range_desc *d = &rs->d[rand_below(r, rs->count)];
    bool has[T_NODES_MAX + 1] = {false};
    for (unsigned i = 0; i < d->replica_count; i++) {
        has[d->replicas[i].node] = true;
    }
    node_id_t in = 1 + rand_below(r, c->count);
    node_id_t out = 1 + rand_below(r, c->count);
    if (has[in] || !has[out]) {
        return;
    }
    struct replacing *p = mem_calloc(1, sizeof(*p));
    CHECK(p != NULL);
    *p = (struct replacing){.c = c,
                            .range = d->id,
                            .ch = {{REPLICA_ADD, in}, {REPLICA_REMOVE, out}},
                            .running = running};
    atomic_fetch_add(running, 1);
    CHECK_OK(fiber_spawn(loop_group_get(c->loops, 1), replace_fiber, p));
}

static void compare_all(struct tcluster *c, struct ranges *rs)
{
    list_ranges(c, rs);
    for (unsigned i = 0; i < rs->count; i++) {
        const struct range_desc *d = &rs->d[i];
        node_id_t ids[RANGE_REPLICAS_MAX];
        unsigned n = 0;
        for (unsigned k = 0; k < d->replica_count; k++) {
            if (d->replicas[k].kind != REPLICA_LEARNER) {
                ids[n++] = d->replicas[k].node;
            }
        }
        t_wait_same(c, ids, n, d->start.len == 0 ? SLICE_LIT("\1") : d->start, d->end);
    }
    printf("  %u ranges compared\n", rs->count);
}

static void chaos(struct tcluster *c)
{
    struct load l;
    struct rand r;
    struct ranges rs = {0};
    _Atomic unsigned running = 0;
    arena_init(&rs.arena, NULL, NULL, 0);
    rand_seed(&r, g_seed);
    three_members(c);
    load_start(c, &l);
    uint64_t until = clock_mono_ns() + g_seconds * NS_PER_S;
    while (clock_mono_ns() < until) {
        switch (rand_below(&r, 10)) {
        case 0: cut_off(c, &r); break;
        case 1: kill_one(c, &r); break;
        case 2: move_lease(c, &r, &rs); break;
        case 3: split_one(c, &r, &rs); break;
        case 4:
        case 5: replace_one(c, &r, &rs, &running); break;
        case 6:
            atomic_store(&c->loss_permille, (unsigned)(rand_below(&r, 2) * rand_below(&r, 100)));
            atomic_store(&c->delay_us, (unsigned)(rand_below(&r, 2) * rand_below(&r, 5000)));
            break;
        case 7:
        case 8: merge_one(c, &r, &rs, &running); break;
        default:
            for (node_id_t id = 1; id <= c->count; id++) {
                range_store_upkeep(c->nodes[id].rs, rand_below(&r, 2) == 0);
            }
            break;
        }
        CHECK_OK(fiber_sleep(rand_below(&r, 400) * NS_PER_MS));
    }
    atomic_store(&c->loss_permille, 0);
    atomic_store(&c->delay_us, 0);
    while (atomic_load(&running) != 0) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    CHECK_OK(fiber_sleep(3 * NS_PER_S));
    uint64_t gap = load_check(c, &l);
    printf("  seed %llu: longest write gap %llu ms, %u merges\n", (unsigned long long)g_seed,
           (unsigned long long)(gap / NS_PER_MS), atomic_load(&g_merged));
    compare_all(c, &rs);
    arena_fini(&rs.arena);
    t_stop_all(c);
}

static void test_chaos(void **state)
{
    (void)state;
    t_run(4, chaos);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        g_seed = strtoull(argv[1], NULL, 10);
    }
    if (argc > 2) {
        g_seconds = (unsigned)strtoul(argv[2], NULL, 10);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chaos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
