#include "node/range/testing.h"

/* Groups of three members: writes replicate, leaders change, members come and go. */

static struct slice key_of(char buf[32], unsigned i)
{
    snprintf(buf, 32, "\x02key%08u", i);
    return slice_str(buf);
}

static struct slice val_of(char buf[32], unsigned v)
{
    snprintf(buf, 32, "v%u", v);
    return slice_str(buf);
}

static void put_ok(struct tcluster *c, unsigned k, unsigned v)
{
    char kb[32];
    char vb[32];
    db_err err = t_put(c, key_of(kb, k), val_of(vb, v), 10 * NS_PER_S);
    if (err != ERR_OK) {
        fprintf(stderr, "put %u: %s\n", k, err_name(err));
    }
    CHECK_OK(err);
}

static void expect(struct tcluster *c, unsigned k, unsigned v)
{
    char kb[32];
    char vb[32];
    char got[64] = "";
    db_err err = t_get(c, key_of(kb, k), got, 10 * NS_PER_S);
    val_of(vb, v);
    if (err != ERR_OK || strcmp(got, vb) != 0) {
        fprintf(stderr, "key %u: %s %s, not %s\n", k, err_name(err), got, vb);
    }
    CHECK_OK(err);
    CHECK(strcmp(got, vb) == 0);
}

static const node_id_t three[] = {1, 2, 3};

static void three_members(struct tcluster *c)
{
    t_start_all(c);
    for (node_id_t id = 2; id <= 3; id++) {
        CHECK_OK(t_add(c, 2, id));
    }
}

/* ---- writes ---- */

static void replicate(struct tcluster *c)
{
    t_start_all(c);
    for (unsigned i = 0; i < 100; i++) {
        put_ok(c, i, i);
    }
    CHECK_OK(t_add(c, 2, 2));
    CHECK_OK(t_add(c, 2, 3));
    for (unsigned i = 100; i < 200; i++) {
        put_ok(c, i, i);
    }
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    CHECK(t_checksum(c, 3, SLICE_LIT("\1"), SLICE_EMPTY).count == 200);
    struct range_status st;
    CHECK_OK(range_store_status(c->nodes[1].rs, 2, &st));
    CHECK(st.member_count == 3 && st.role == RAFT_LEADER && st.leader_node == 1);
    /* followers say who leads, and serve nothing */
    CHECK_OK(range_store_status(c->nodes[2].rs, 2, &st));
    CHECK(!st.serving && st.leader_node == 1);
    char kb[32];
    char got[64];
    CHECK(t_get_on(c, 2, key_of(kb, 5), got) == ERR_NOT_LEADER);
    t_stop_all(c);
}

static void test_replicate(void **state)
{
    (void)state;
    t_run(3, replicate);
}

/* ---- an idle group is silent ---- */

static void sleep_and_wake(struct tcluster *c)
{
    three_members(c);
    put_ok(c, 1, 1);
    struct range_status st = {0};
    for (int i = 0; i < 200 && !st.quiescent; i++) {
        CHECK_OK(fiber_sleep(20 * NS_PER_MS));
        CHECK_OK(range_store_status(c->nodes[1].rs, 2, &st));
    }
    CHECK(st.quiescent);
    struct range_store_stats before;
    struct range_store_stats after;
    range_store_get_stats(c->nodes[1].rs, &before);
    CHECK_OK(fiber_sleep(2 * NS_PER_S));
    range_store_get_stats(c->nodes[1].rs, &after);
    CHECK(after.messages_out == before.messages_out);
    expect(c, 1, 1); /* the lease goes on while it sleeps */
    CHECK(range_store_lease_valid(c->nodes[1].rs, 2));
    put_ok(c, 1, 2);
    expect(c, 1, 2);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    /* the leader's node dies while the group sleeps */
    CHECK_OK(fiber_sleep(2 * NS_PER_S));
    t_stop(c, 1, true);
    uint64_t began = clock_mono_ns();
    node_id_t next = t_wait_leader(c, 2, 10 * NS_PER_S);
    CHECK(next == 2 || next == 3);
    printf("  a sleeping leader's death: another leads after %llu ms\n",
           (unsigned long long)((clock_mono_ns() - began) / NS_PER_MS));
    expect(c, 1, 2);
    put_ok(c, 1, 3);
    t_stop_all(c);
}

static void test_sleep(void **state)
{
    (void)state;
    t_run(3, sleep_and_wake);
}

/* ---- the leader dies under load ---- */

enum { WRITERS = 8 };

struct writer {
    struct tcluster *c;
    unsigned base;
    _Atomic unsigned acked; /* the last value known to be there */
    _Atomic unsigned tried;
    uint64_t gap_ns; /* longest time without an acknowledgement */
    _Atomic bool *stop;
    struct waiter done;
};

static void writer_fiber(void *arg)
{
    struct writer *w = arg;
    char kb[32];
    char vb[32];
    uint64_t last = clock_mono_ns();
    for (unsigned v = 1; !atomic_load(w->stop); v++) {
        atomic_store(&w->tried, v);
        db_err err = t_put(w->c, key_of(kb, w->base + v % 16), val_of(vb, v), 20 * NS_PER_S);
        CHECK(err == ERR_OK || err == ERR_COMMIT_UNKNOWN);
        if (err == ERR_OK) {
            atomic_store(&w->acked, v);
            uint64_t now = clock_mono_ns();
            w->gap_ns = now - last > w->gap_ns ? now - last : w->gap_ns;
            last = now;
        }
        CHECK_OK(fiber_sleep(200000));
    }
    wait_signal(&w->done, 0);
}

struct load {
    struct writer w[WRITERS];
    _Atomic bool stop;
};

static void load_start(struct tcluster *c, struct load *l)
{
    memset(l, 0, sizeof(*l));
    for (unsigned i = 0; i < WRITERS; i++) {
        l->w[i].c = c;
        l->w[i].base = 1000 * (i + 1);
        l->w[i].stop = &l->stop;
        wait_init(&l->w[i].done);
        CHECK_OK(fiber_spawn(loop_group_get(c->loops, i % T_LOOPS), writer_fiber, &l->w[i]));
    }
}

/* Ends it; every acknowledged value is there, or a later one that was tried. */
static uint64_t load_check(struct tcluster *c, struct load *l)
{
    uint64_t gap = 0;
    uint64_t total = 0;
    atomic_store(&l->stop, true);
    for (unsigned i = 0; i < WRITERS; i++) {
        wait_block_uncancelable(&l->w[i].done);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        struct writer *w = &l->w[i];
        unsigned acked = atomic_load(&w->acked);
        char kb[32];
        char got[64];
        CHECK(acked > 0);
        CHECK_OK(t_get(c, key_of(kb, w->base + acked % 16), got, 10 * NS_PER_S));
        unsigned v = (unsigned)strtoul(got + 1, NULL, 10);
        if (v < acked || v > atomic_load(&w->tried)) {
            fprintf(stderr, "writer %u: acknowledged %u, found %u\n", i, acked, v);
        }
        CHECK(v >= acked && v <= atomic_load(&w->tried));
        gap = w->gap_ns > gap ? w->gap_ns : gap;
        total += acked;
    }
    CHECK(total > 100);
    return gap;
}

static void leader_dies(struct tcluster *c)
{
    struct load l;
    three_members(c);
    load_start(c, &l);
    CHECK_OK(fiber_sleep(NS_PER_S));
    t_stop(c, 1, true);
    CHECK_OK(fiber_sleep(4 * NS_PER_S));
    node_id_t leader = t_leader(c, 2);
    CHECK(leader == 2 || leader == 3);
    uint64_t gap = load_check(c, &l);
    printf("  longest write gap %llu ms\n", (unsigned long long)(gap / NS_PER_MS));
    CHECK(gap < 3500 * NS_PER_MS);
    /* it comes back and catches up */
    t_start(c, 1);
    put_ok(c, 1, 77);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void test_leader_dies(void **state)
{
    (void)state;
    t_run(3, leader_dies);
}

/* ---- a leader that is cut off serves nothing ---- */

static void partitioned(struct tcluster *c)
{
    char kb[32];
    char got[64];
    struct load l;
    three_members(c);
    put_ok(c, 1, 1);
    load_start(c, &l);
    CHECK_OK(fiber_sleep(300 * NS_PER_MS));
    t_isolate(c, 1, true);
    uint64_t cut_at = clock_mono_ns();
    uint64_t last_served = cut_at;
    uint64_t other_leads = 0;
    while (clock_mono_ns() - cut_at < 4 * NS_PER_S) {
        uint64_t before = clock_mono_ns();
        db_err err = t_get_on(c, 1, key_of(kb, 1), got);
        if (err == ERR_OK) {
            last_served = before;
            CHECK(other_leads == 0);
        }
        if (other_leads == 0 && (range_store_lease_valid(c->nodes[2].rs, 2) ||
                                 range_store_lease_valid(c->nodes[3].rs, 2))) {
            other_leads = clock_mono_ns();
        }
        CHECK_OK(fiber_sleep(2 * NS_PER_MS));
    }
    CHECK(other_leads != 0 && last_served < other_leads);
    printf("  served for %llu ms after the cut, another leads after %llu ms\n",
           (unsigned long long)((last_served - cut_at) / NS_PER_MS),
           (unsigned long long)((other_leads - cut_at) / NS_PER_MS));
    put_ok(c, 1, 2);
    CHECK(t_get_on(c, 1, key_of(kb, 1), got) == ERR_NOT_LEADER);
    t_isolate(c, 1, false);
    load_check(c, &l);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    expect(c, 1, 2);
    t_stop_all(c);
}

static void test_partition(void **state)
{
    (void)state;
    t_run(3, partitioned);
}

/* ---- a bad network ---- */

static void lossy(struct tcluster *c)
{
    struct load l;
    three_members(c);
    atomic_store(&c->loss_permille, 50);
    atomic_store(&c->delay_us, 3000);
    load_start(c, &l);
    CHECK_OK(fiber_sleep(4 * NS_PER_S));
    load_check(c, &l);
    atomic_store(&c->loss_permille, 0);
    atomic_store(&c->delay_us, 0);
    put_ok(c, 1, 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void test_lossy(void **state)
{
    (void)state;
    t_run(3, lossy);
}

/* ---- the lease is handed over ---- */

static void transfer(struct tcluster *c)
{
    struct load l;
    struct diag diag;
    three_members(c);
    load_start(c, &l);
    for (int i = 0; i < 9; i++) {
        CHECK_OK(fiber_sleep(200 * NS_PER_MS));
        node_id_t from = t_wait_leader(c, 2, 5 * NS_PER_S);
        node_id_t to = from % 3 + 1;
        diag_reset(&diag);
        db_err err = range_store_transfer_lease(c->nodes[from].rs, 2, to, &diag);
        if (err != ERR_OK) {
            fprintf(stderr, "transfer: %s %s\n", err_name(err), diag.text);
        }
        CHECK_OK(err);
        CHECK(t_wait_leader(c, 2, 5 * NS_PER_S) == to);
    }
    uint64_t gap = load_check(c, &l);
    printf("  longest write gap of nine transfers %llu ms\n",
           (unsigned long long)(gap / NS_PER_MS));
    CHECK(gap < NS_PER_S);
    t_stop_all(c);
}

static void test_transfer(void **state)
{
    (void)state;
    t_run(3, transfer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replicate),   cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_leader_dies), cmocka_unit_test(test_partition),
        cmocka_unit_test(test_lossy),       cmocka_unit_test(test_transfer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
