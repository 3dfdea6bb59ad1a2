#include "base/test_apart.h"
#include "node/range/transfer_testing.h"

#include "node/range/range_int.h"

/* Row locks of a group of three: they go with a lease that is handed over and with the half of a
 * split, not with a leader that dies, and not with an owner that dies. */

struct holder {
    ts_t start_ts;
    lock_owner_t owner;
    uint64_t number; /* of the lock table */
};

/* Nobody is done with it: it stays. */
static struct eval_range *range_on(struct tcluster *c, node_id_t node, range_id_t id)
{
    struct eval_range *r;
    CHECK_OK(range_store_find(c->nodes[node].rs, id, &r));
    return r;
}

static db_err lock_keys(struct tcluster *c, node_id_t node, range_id_t id, const struct slice *keys,
                        size_t count, struct holder *h, enum kv_wait wait)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    struct t_find f = {.key = keys[0], .arena = &a};
    CHECK_OK(range_store_each(c->nodes[node].rs, t_find_desc, &f));
    if (!f.found) {
        arena_fini(&a);
        return ERR_NOT_LEADER;
    }
    struct kv_lock_req req = {.r = {.range = id,
                                    .epoch = f.desc.epoch,
                                    .deadline_ns = DEADLINE_NONE,
                                    .arena = &a,
                                    .owner = h->owner},
                              .keys = keys,
                              .count = count,
                              .own_ts = h->start_ts,
                              .mode = KV_LOCK_EXCLUSIVE,
                              .wait = wait,
                              .lock_wait_ms = 20000};
    struct kv_reply reply = {0};
    struct kv_lock_resp resp;
    struct diag diag;
    diag_reset(&diag);
    db_err err = eval_lock(range_on(c, node, id), &req, &diag, &reply, &resp);
    if (err == ERR_OK) {
        h->number = resp.lock_term;
    }
    arena_fini(&a);
    return err;
}

static db_err lock_on(struct tcluster *c, node_id_t node, range_id_t id, unsigned key,
                      struct holder *h, enum kv_wait wait)
{
    char kb[32];
    struct slice k = key_of(kb, key);
    return lock_keys(c, node, id, &k, 1, h, wait);
}

static bool held_on(struct tcluster *c, node_id_t node, range_id_t id, unsigned key, ts_t start_ts)
{
    char kb[32];
    return row_lock_held(range_on(c, node, id)->locks, key_of(kb, key), start_ts) ==
           KV_LOCK_EXCLUSIVE;
}

enum { MANY_LOCKS = 40, KEYS_AT_ONCE = 200, LONG_KEY = 200 };

/* More of them than an entry of the log takes along. */
static void lock_many(struct tcluster *c, node_id_t node, struct holder *h)
{
    static char bytes[KEYS_AT_ONCE][LONG_KEY + 1];
    struct slice keys[KEYS_AT_ONCE];
    for (unsigned i = 0; i < MANY_LOCKS; i++) {
        for (unsigned k = 0; k < KEYS_AT_ONCE; k++) {
            int n = snprintf(bytes[k], sizeof(bytes[k]), "many%0*u", LONG_KEY - 4,
                             i * KEYS_AT_ONCE + k);
            keys[k] = slice_of(bytes[k], (size_t)n);
        }
        CHECK_OK(lock_keys(c, node, 2, keys, KEYS_AT_ONCE, h, KV_NOWAIT));
    }
}

struct waiting {
    struct tcluster *c;
    node_id_t node;
    struct holder h;
    db_err err;
    struct waiter done;
};

static void waiting_fiber(void *arg)
{
    struct waiting *w = arg;
    w->err = lock_on(w->c, w->node, 2, 1, &w->h, KV_WAIT);
    wait_signal(&w->done, 0);
}

static node_id_t hand_over(struct tcluster *c, node_id_t from)
{
    node_id_t to = from % 3 + 1;
    t_transfer(c, 2, from, to, LEASE_WITH_LOCKS);
    return to;
}

static void handed_over(struct tcluster *c)
{
    struct holder h = {.start_ts = 100};
    struct holder other = {.start_ts = 200};
    struct load l;
    three_members(c);
    node_id_t at = t_wait_leader(c, 2, 60 * NS_PER_S);
    CHECK_OK(lock_on(c, at, 2, 1, &h, KV_NOWAIT));
    uint64_t number = h.number;
    CHECK(number != 0);
    load_start(c, &l); /* of other keys; their writes go on */
    for (int i = 0; i < 6; i++) {
        struct waiting w = {.c = c, .node = at, .h = {.start_ts = 300}};
        wait_init(&w.done);
        CHECK_OK(fiber_spawn(loop_group_get(c->loops, 1), waiting_fiber, &w));
        CHECK_OK(fiber_sleep(20 * NS_PER_MS));
        node_id_t to = hand_over(c, at);
        wait_block_uncancelable(&w.done);
        CHECK(w.err == ERR_NOT_LEADER && row_lock_count(range_on(c, at, 2)->locks) == 0);
        at = to;
        CHECK(held_on(c, at, 2, 1, 100));
        CHECK(lock_on(c, at, 2, 1, &other, KV_NOWAIT) == ERR_LOCK_NOWAIT);
        CHECK_OK(lock_on(c, at, 2, 1, &h, KV_NOWAIT));
        CHECK(h.number == number);
    }
    CHECK_OK(row_unlock_all(range_on(c, at, 2)->locks, 100));
    CHECK_OK(lock_on(c, at, 2, 1, &other, KV_NOWAIT));
    CHECK_OK(row_unlock_all(range_on(c, at, 2)->locks, 200));
    at = hand_over(c, at);
    CHECK(!held_on(c, at, 2, 1, 200));
    load_check(c, &l);
    /* the locks of a leader that dies are lost, and nobody takes its table for the old one */
    CHECK_OK(lock_on(c, at, 2, 1, &h, KV_NOWAIT));
    number = h.number;
    t_stop(c, at, true);
    at = t_wait_leader(c, 2, 60 * NS_PER_S);
    CHECK(at != 0 && !held_on(c, at, 2, 1, 100));
    CHECK_OK(lock_on(c, at, 2, 1, &h, KV_NOWAIT));
    CHECK(h.number != 0 && h.number != number);
    t_stop_all(c);
}

static void test_handed_over(void **state UNUSED)
{
    t_run(3, handed_over);
}

/* Locks that do not fit the message: the lease stays, unless it may lose them. */
static void too_many(struct tcluster *c)
{
    struct holder h = {.start_ts = 100};
    struct holder other = {.start_ts = 200};
    struct diag diag;
    three_members(c);
    node_id_t at = t_wait_leader(c, 2, 60 * NS_PER_S);
    node_id_t to = at % 3 + 1;
    CHECK_OK(lock_on(c, at, 2, 1, &h, KV_NOWAIT));
    lock_many(c, at, &h);
    size_t count = row_lock_count(range_on(c, at, 2)->locks);
    diag_reset(&diag);
    CHECK(range_store_transfer_lease(c->nodes[at].rs, 2, to, LEASE_WITH_LOCKS, &diag) == ERR_BUSY);
    CHECK(strstr(diag.text, "keeps its lease") != NULL);
    CHECK(t_leader(c, 2) == at && row_lock_count(range_on(c, at, 2)->locks) == count);
    CHECK(lock_on(c, at, 2, 1, &other, KV_NOWAIT) == ERR_LOCK_NOWAIT);
    CHECK_OK(lock_on(c, at, 2, 2, &other, KV_NOWAIT)); /* it is not sealed any more */
    t_transfer(c, 2, at, to, LEASE_MAY_LOSE_LOCKS);
    uint64_t number = h.number;
    CHECK_OK(lock_on(c, to, 2, 1, &other, KV_NOWAIT));
    CHECK(other.number != number);
    t_stop_all(c);
}

static void test_too_many(void **state UNUSED)
{
    t_run(3, too_many);
}

/* The successor does not come: the old leader goes on, with its locks; and what it had announced is
 * void when another leads in the end. */
static void given_up(struct tcluster *c)
{
    struct holder h = {.start_ts = 100};
    struct holder other = {.start_ts = 200};
    struct diag diag;
    three_members(c);
    node_id_t at = t_wait_leader(c, 2, 60 * NS_PER_S);
    node_id_t to = at % 3 + 1;
    CHECK_OK(lock_on(c, at, 2, 1, &h, KV_NOWAIT));
    t_isolate(c, to, true);
    diag_reset(&diag);
    CHECK(range_store_transfer_lease(c->nodes[at].rs, 2, to, LEASE_WITH_LOCKS, &diag) != ERR_OK);
    if (t_leader(c, 2) == at) {
        CHECK(held_on(c, at, 2, 1, 100));
        CHECK_OK(row_unlock_all(range_on(c, at, 2)->locks, 100));
        CHECK_OK(lock_on(c, at, 2, 1, &other, KV_NOWAIT));
        CHECK(other.number == h.number);
    }
    t_isolate(c, to, false);
    t_stop(c, at, true);
    at = t_wait_leader(c, 2, 60 * NS_PER_S);
    CHECK(at != 0 && !held_on(c, at, 2, 1, 100) && !held_on(c, at, 2, 1, 200));
    t_stop_all(c);
}

static void test_given_up(void **state UNUSED)
{
    t_run(3, given_up);
}

static void split_keeps(struct tcluster *c)
{
    struct holder h = {.start_ts = 100};
    struct diag diag;
    range_id_t right;
    char kb[32];
    three_members(c);
    node_id_t at = t_wait_leader(c, 2, 60 * NS_PER_S);
    CHECK_OK(lock_on(c, at, 2, 7, &h, KV_NOWAIT));
    uint64_t number = h.number;
    diag_reset(&diag);
    CHECK_OK(range_store_split(c->nodes[at].rs, 2, key_of(kb, 5), &diag, &right));
    CHECK(t_wait_leader(c, right, 60 * NS_PER_S) == at);
    CHECK(held_on(c, at, right, 7, 100));
    CHECK_OK(lock_on(c, at, right, 7, &h, KV_NOWAIT));
    CHECK(h.number == number);
    t_stop_all(c);
}

static void test_split(void **state UNUSED)
{
    t_run(3, split_keeps);
}

static void wait_freed(struct tcluster *c, node_id_t at, ts_t start_ts, const char *what)
{
    uint64_t began = clock_mono_ns();
    while (held_on(c, at, 2, 1, start_ts)) {
        CHECK(clock_mono_ns() - began < 60 * NS_PER_S);
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    printf("  %s: its locks are free after %llu ms\n", what,
           (unsigned long long)((clock_mono_ns() - began) / NS_PER_MS));
}

static void owner_dies(struct tcluster *c)
{
    struct holder h = {.start_ts = 100};
    three_members(c);
    node_id_t at = t_wait_leader(c, 2, 60 * NS_PER_S);
    node_id_t coordinator = at % 3 + 1;
    uint32_t incarnation = range_store_incarnation(c->nodes[coordinator].rs);
    h.owner = lock_owner_make(coordinator, incarnation);
    CHECK_OK(lock_on(c, at, 2, 1, &h, KV_NOWAIT));
    CHECK_OK(fiber_sleep(4 * NS_PER_S));
    CHECK(held_on(c, at, 2, 1, 100)); /* it lives */
    t_stop(c, coordinator, true);
    wait_freed(c, at, 100, "a node has died");
    /* a restart is noticed before silence is */
    t_start(c, coordinator);
    CHECK(range_store_incarnation(c->nodes[coordinator].rs) == incarnation + 1);
    h = (struct holder){.start_ts = 101, .owner = lock_owner_make(coordinator, incarnation + 1)};
    CHECK_OK(fiber_sleep(500 * NS_PER_MS));
    CHECK_OK(lock_on(c, at, 2, 1, &h, KV_NOWAIT));
    t_stop(c, coordinator, true);
    t_start(c, coordinator);
    wait_freed(c, at, 101, "a node has been started again");
    t_stop_all(c);
}

static void test_owner_dies(void **state UNUSED)
{
    t_run(3, owner_dies);
}

/* Who led it before took it for small enough; nothing is written to it since. */
static void new_leader_looks(struct tcluster *c, bool flushed)
{
    struct range_store_stats st = {0};
    t_start(c, 1);
    c->range_size_max = 1 << 20;
    for (node_id_t id = 2; id <= 3; id++) {
        t_start(c, id);
    }
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    for (node_id_t id = 2; id <= 3; id++) {
        CHECK_OK(t_add(c, 2, id));
    }
    put_large(c, 400);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    range_store_upkeep(c->nodes[1].rs, flushed);
    range_store_upkeep(c->nodes[2].rs, flushed);
    range_store_get_stats(c->nodes[2].rs, &st);
    CHECK(st.splits == 0);
    t_transfer(c, 2, 1, 2, LEASE_WITH_LOCKS);
    for (int i = 0; i < 3000 && st.splits == 0; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
        range_store_get_stats(c->nodes[2].rs, &st);
    }
    CHECK(st.splits != 0);
    t_stop_all(c);
}

static void new_leader_looks_at_files(struct tcluster *c)
{
    new_leader_looks(c, true);
}

static void new_leader_looks_at_memory(struct tcluster *c)
{
    new_leader_looks(c, false);
}

static void test_new_leader_looks(void **state UNUSED)
{
    t_run(3, new_leader_looks_at_files);
    t_run(3, new_leader_looks_at_memory);
}

/* ---- what placement is told of a range's load ---- */

/* As node/meta's reporter: the load is read a moment after the change was told. */
struct told {
    struct tcluster *c;
    range_id_t range;
    _Atomic bool changed;
    _Atomic bool stop;
    uint32_t load; /* as last told of node 1 */
    uint32_t now;
    bool leads;
    struct waiter ended;
};

static struct told g_told;

static void note_change(void *ctx, const struct range_desc *desc)
{
    if (((struct tnode *)ctx)->id == 1 && desc->id == g_told.range) {
        atomic_store(&g_told.changed, true);
    }
}

static db_err read_load(void *arg, const struct range_desc *desc, bool serving)
{
    struct told *t = arg;
    if (desc->id == t->range) {
        t->now = desc->load;
        t->leads = serving;
    }
    return ERR_OK;
}

/* Makes the same load all the time, whoever leads. */
static void steady_load(void *arg)
{
    struct told *t = arg;
    char kb[32];
    struct slice key = key_of(kb, 1);
    while (!atomic_load(&t->stop)) {
        struct eval_range *er;
        bool changed = atomic_exchange(&t->changed, false);
        CHECK_OK(range_store_each(t->c->nodes[1].rs, read_load, t));
        t->load = changed && t->leads ? t->now : t->load;
        CHECK_OK(range_store_find(t->c->nodes[1].rs, t->range, &er));
        er->ops->note_load(er, key, 1000);
        range_store_done(er);
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    wait_signal(&t->ended, 0);
}

static void wait_told(const char *what)
{
    uint64_t until = clock_mono_ns() + 20 * NS_PER_S;
    while (!g_told.leads || g_told.load == 0 || g_told.load / 4 > g_told.now ||
           g_told.now / 4 > g_told.load) {
        if (clock_mono_ns() > until) {
            fprintf(stderr, "  %s: %u was told, it is %u\n", what, g_told.load, g_told.now);
            T_FAIL("the load is told");
        }
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
}

/* A lease that comes back finds the load that it had: what was told of an earlier one says nothing
 * of this one, of which only was told that it begins. */
static void load_told_anew(struct tcluster *c)
{
    three_members(c);
    g_told = (struct told){.c = c, .range = 2};
    wait_init(&g_told.ended);
    c->nodes[1].hooks.changed = note_change;
    CHECK_OK(fiber_spawn(loop_group_get(c->loops, 0), steady_load, &g_told));
    wait_told("the first lease");
    t_transfer(c, 2, 1, 2, LEASE_WITH_LOCKS);
    for (int i = 0; i < 3000 && g_told.now != 0; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    CHECK(g_told.now == 0);
    t_transfer(c, 2, 2, 1, LEASE_WITH_LOCKS);
    wait_told("the second lease");
    atomic_store(&g_told.stop, true);
    wait_block_uncancelable(&g_told.ended);
    t_stop_all(c);
}

static void test_load_told(void **state UNUSED)
{
    t_run(3, load_told_anew);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handed_over), cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_given_up),    cmocka_unit_test(test_split),
        cmocka_unit_test(test_owner_dies),  cmocka_unit_test(test_new_leader_looks),
        cmocka_unit_test(test_load_told),
    };
    return tests_run_apart(tests, ARRAY_COUNT(tests), argc, argv);
}
