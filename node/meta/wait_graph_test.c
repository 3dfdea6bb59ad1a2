/* Deadlocks over several nodes: when a cycle counts, who is the victim, and that a cycle which
 * never was at one moment is none. */
#include "node/meta/wait_graph.h"

#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/rand.h"
#include "base/test_main.h"

#define EDGES(...)                                                                                 \
    (const struct kv_wait_edge[])                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

struct fixture {
    struct wait_graph *g;
    struct arena a;
    uint64_t now_ns;
    uint64_t *victims; /* of the last report */
    unsigned count;
};

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.now_ns = NS_PER_S};
    arena_init(&f->a, NULL, NULL, 0);
    CHECK_OK(wait_graph_new(&f->g));
}

static void close_fixture(struct fixture *f)
{
    wait_graph_free(f->g);
    arena_fini(&f->a);
}

static unsigned tell(struct fixture *f, node_id_t node, const struct kv_wait_edge *edges,
                     unsigned count)
{
    f->now_ns += NS_PER_MS;
    CHECK_OK(wait_graph_report(f->g, node, edges, count, f->now_ns, &f->a, &f->victims, &f->count));
    return f->count;
}

static void test_two_nodes(void **state UNUSED)
{
    struct fixture f;
    open_fixture(&f);
    /* 10 waits for 20 at node 1, 20 for 10 at node 2. */
    CHECK(tell(&f, 1, EDGES({7, 10, 20}), 1) == 0);
    CHECK(tell(&f, 2, EDGES({7, 20, 10}), 1) == 0);
    CHECK(tell(&f, 1, EDGES({7, 10, 20}), 1) == 0); /* may have been made before 2 had told */
    CHECK(tell(&f, 2, EDGES({7, 20, 10}), 1) == 0);
    CHECK(tell(&f, 1, EDGES({7, 10, 20}), 1) == 0); /* this one not; one victim is enough */
    CHECK(tell(&f, 2, EDGES({7, 20, 10}), 1) == 1);
    CHECK(f.victims[0] == 7);
    CHECK(tell(&f, 1, EDGES({7, 10, 20}), 1) == 0);
    CHECK(tell(&f, 2, EDGES({7, 20, 10}), 1) == 1); /* the answer was lost: told again */
    CHECK(tell(&f, 2, NULL, 0) == 0);
    /* The same numbers of a process that has started again are other waits. */
    CHECK(tell(&f, 2, EDGES({7, 21, 10}), 1) == 0);
    close_fixture(&f);
}

static void test_never_at_once(void **state UNUSED)
{
    struct fixture f;
    open_fixture(&f);
    /* What node 1 told last is true no more when the wait at node 2 begins: it tells nothing since.
     */
    CHECK(tell(&f, 1, EDGES({1, 10, 20}), 1) == 0);
    CHECK(tell(&f, 1, EDGES({1, 10, 20}), 1) == 0);
    for (int i = 0; i < 10; i++) {
        CHECK(tell(&f, 2, EDGES({1, 20, 10}), 1) == 0);
    }
    /* The wait has ended and the transaction waits anew: another edge, and told only once. */
    CHECK(tell(&f, 1, EDGES({2, 10, 20}), 1) == 0);
    CHECK(tell(&f, 2, EDGES({1, 20, 10}), 1) == 0);
    CHECK(tell(&f, 1, EDGES({3, 10, 20}), 1) == 0);
    CHECK(tell(&f, 2, EDGES({1, 20, 10}), 1) == 0);
    /* Now it stays. The victim waits at node 2. */
    CHECK(tell(&f, 1, EDGES({3, 10, 20}), 1) == 0);
    CHECK(tell(&f, 2, EDGES({1, 20, 10}), 1) == 1);
    close_fixture(&f);
}

static void test_other_blocker(void **state UNUSED)
{
    struct fixture f;
    open_fixture(&f);
    /* One wait, first for 30, then, when that has ended, for 20, who came before it in the queue
     * all along: the edge counts from when it was told. */
    CHECK(tell(&f, 1, EDGES({1, 10, 30}), 1) == 0);
    CHECK(tell(&f, 2, EDGES({1, 20, 10}), 1) == 0);
    CHECK(tell(&f, 2, EDGES({1, 20, 10}), 1) == 0);
    CHECK(tell(&f, 1, EDGES({1, 10, 20}), 1) == 0);
    CHECK(tell(&f, 2, EDGES({1, 20, 10}), 1) == 0);
    CHECK(tell(&f, 1, EDGES({1, 10, 20}), 1) == 0);
    CHECK(tell(&f, 2, EDGES({1, 20, 10}), 1) == 1);
    close_fixture(&f);
}

static void test_knot(void **state UNUSED)
{
    struct fixture f;
    open_fixture(&f);
    /* Two cycles that share nothing but 10, over three nodes; 50 waits for both, on no cycle. */
    const struct kv_wait_edge one[] = {{1, 10, 20}, {1, 10, 30}, {4, 50, 10}};
    const struct kv_wait_edge two[] = {{1, 20, 10}};
    const struct kv_wait_edge three[] = {{1, 30, 10}};
    unsigned victims = 0;
    for (int i = 0; i < 2; i++) {
        CHECK(tell(&f, 1, one, 3) == 0);
        victims += tell(&f, 2, two, 1);
        victims += tell(&f, 3, three, 1);
    }
    CHECK(tell(&f, 1, one, 3) == 0);
    victims = tell(&f, 2, two, 1);
    victims += tell(&f, 3, three, 1);
    CHECK(victims == 2);
    close_fixture(&f);
}

static void test_forgets(void **state UNUSED)
{
    struct fixture f;
    struct kv_wait_edge *many = mem_calloc(KV_WAITS_MAX + 1, sizeof(*many));
    uint64_t *v;
    unsigned n;
    open_fixture(&f);
    CHECK(many != NULL);
    CHECK(wait_graph_report(f.g, 1, many, KV_WAITS_MAX + 1, 1, &f.a, &v, &n) == ERR_LIMIT);
    for (node_id_t node = 1; node <= 64; node++) {
        CHECK(tell(&f, node, EDGES({1, 10, 20}), 1) == 0);
    }
    CHECK(wait_graph_report(f.g, 65, many, 0, f.now_ns, &f.a, &v, &n) == ERR_LIMIT);
    f.now_ns += 60 * NS_PER_S;
    CHECK(tell(&f, 65, EDGES({1, 10, 20}), 1) == 0);
    mem_free(many);
    close_fixture(&f);
}

/* ---- random waits at four nodes, against a graph that sees all at once ---- */

enum { NODES = 4, TXNS = 24, STEPS = 20000 };

struct model {
    uint64_t wait[TXNS]; /* 0: runs */
    unsigned at[TXNS];
    unsigned on[TXNS];
    uint64_t last;
};

/* Follows the only edge that each has. */
static bool deadlocked(const struct model *m, unsigned t)
{
    unsigned at = t;
    for (unsigned i = 0; i <= TXNS; i++) {
        if (m->wait[at] == 0) {
            return false;
        }
        at = m->on[at];
        if (at == t) {
            return true;
        }
    }
    return false;
}

static void report(struct fixture *f, struct model *m, unsigned node, unsigned *victims)
{
    struct kv_wait_edge edges[TXNS];
    unsigned count = 0;
    for (unsigned t = 0; t < TXNS; t++) {
        if (m->wait[t] != 0 && m->at[t] == node) {
            edges[count++] = (struct kv_wait_edge){m->wait[t], t + 1, m->on[t] + 1};
        }
    }
    arena_reset(&f->a);
    (void)tell(f, node + 1, edges, count);
    for (unsigned i = 0; i < f->count; i++) {
        for (unsigned t = 0; t < TXNS; t++) {
            if (m->wait[t] == f->victims[i]) {
                CHECK(deadlocked(m, t));
                m->wait[t] = 0;
                (*victims)++;
            }
        }
    }
}

static void test_random(void **state UNUSED)
{
    struct fixture f;
    struct model m = {0};
    struct rand r;
    unsigned victims = 0;
    open_fixture(&f);
    rand_seed(&r, 4711);
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned t = (unsigned)(rand_u64(&r) % TXNS);
        unsigned o = (unsigned)(rand_u64(&r) % TXNS);
        uint64_t what = rand_u64(&r) % 8;
        if (what < 3) {
            report(&f, &m, (unsigned)(rand_u64(&r) % NODES), &victims);
        } else if (what < 6 && m.wait[t] == 0 && t != o) {
            m.wait[t] = ++m.last;
            m.at[t] = (unsigned)(rand_u64(&r) % NODES);
            m.on[t] = o;
        } else if (what == 6 && !deadlocked(&m, t)) { /* it got the lock */
            m.wait[t] = 0;
        }
    }
    CHECK(victims > 100);
    /* In the end nobody is left in a circle, and who is in none was not told to go. */
    for (unsigned i = 0; i < 8 * NODES; i++) {
        report(&f, &m, i % NODES, &victims);
    }
    for (unsigned t = 0; t < TXNS; t++) {
        CHECK(!deadlocked(&m, t));
    }
    close_fixture(&f);
}

/* Waits that are not for rows: the cheapest of the circle ends, whoever is the youngest. */
static void test_prices(void **state UNUSED)
{
    enum { USE, NAMED, CHANGE };
    const uint64_t other = KV_WAIT_OTHER;
    const uint64_t use = other | (uint64_t)USE << 61 | 1;
    const uint64_t named = other | (uint64_t)NAMED << 61 | 1;
    const uint64_t change = other | (uint64_t)CHANGE << 61 | 1;
    const uint64_t a = other | 8; /* sessions */
    const uint64_t b = other | 9;
    const struct {
        struct kv_wait_edge first[3], second[3];
        uint64_t victim;
        node_id_t at;
    } cases[] = {
        {{{named, a, b}}, {{change, b, a}}, named, 1},
        {{{named, b, a}}, {{change, a, b}}, named, 1},
        {{{use, a, b}}, {{named, b, a}}, use, 1},
        {{{use, a, b}}, {{use + 1, b, a}}, use + 1, 2}, /* the later one */
        {{{use, b, a}}, {{use + 1, a, b}}, use + 1, 2},
        /* a waits for a named lock of b, whose transaction 20 waits for a row of 10, which is a's
         */
        {{{named, 10, a}, {named, a, b}, {named, a, 20}}, {{5, 20, 10}}, 5, 2},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct fixture f;
        unsigned first = cases[i].first[1].wait == 0 ? 1 : 3;
        uint64_t victim[2] = {0, 0};
        open_fixture(&f);
        for (unsigned k = 0; k < 4; k++) {
            victim[0] = tell(&f, 1, cases[i].first, first) != 0 ? f.victims[0] : victim[0];
            victim[1] = tell(&f, 2, cases[i].second, 1) != 0 ? f.victims[0] : victim[1];
        }
        CHECK(victim[cases[i].at - 1] == cases[i].victim);
        CHECK(victim[2 - cases[i].at] == 0);
        close_fixture(&f);
    }
}

/* As many waits as sixteen nodes may tell, all of them in deadlocks of two: a report takes no time
 * to speak of. */
enum { CROWD_NODES = 16, CROWD_REPORTS = 8 };

static void test_crowd(void **state UNUSED)
{
    struct fixture f;
    struct kv_wait_edge *edges = mem_calloc(KV_WAITS_MAX, sizeof(*edges));
    unsigned half = CROWD_NODES / 2;
    unsigned victims = 0;
    clock_t began = 0;
    CHECK(edges != NULL);
    open_fixture(&f);
    for (unsigned i = 0; i < 3 * CROWD_NODES + CROWD_REPORTS; i++) {
        unsigned node = i % CROWD_NODES;
        for (unsigned k = 0; k < KV_WAITS_MAX; k++) {
            ts_t left = 1 + 2 * ((ts_t)(node % half) * KV_WAITS_MAX + k);
            edges[k] = (struct kv_wait_edge){.wait = k + 1,
                                             .waiter = node < half ? left : left + 1,
                                             .blocker = node < half ? left + 1 : left};
        }
        began = i == 3 * CROWD_NODES ? clock() : began;
        arena_reset(&f.a);
        victims += tell(&f, node + 1, edges, KV_WAITS_MAX);
    }
    CHECK(victims > 1000);
    CHECK((clock() - began) / CLOCKS_PER_SEC < CROWD_REPORTS / 2);
    mem_free(edges);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_nodes),     cmocka_unit_test(test_never_at_once),
        cmocka_unit_test(test_other_blocker), cmocka_unit_test(test_knot),
        cmocka_unit_test(test_forgets),       cmocka_unit_test(test_random),
        cmocka_unit_test(test_prices),        cmocka_unit_test(test_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
