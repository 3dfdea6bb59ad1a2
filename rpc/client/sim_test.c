/* Clients and servers of three nodes on a simulated network: the same code, no threads. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/fiber.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/test_main.h"
#include "rpc/client/client.h"
#include "rpc/server/server.h"
#include "rpc/transport/sim_transport.h"

enum { NODES = 3 };

/* What a killed process owned on the heap is lost, as loop_sim_kill says. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

struct node {
    uint64_t id;
    struct loop *loop;
    struct rpc_transport *transport;
    struct rpc_server *server;
    struct rpc_client *client;
    uint64_t oneways[NODES + 1]; /* the next expected from each */
    uint64_t disorder;
    unsigned ups;
    unsigned downs;
    bool stopped;
};

struct world {
    struct loop_group *group;
    struct rpc_sim_net *net;
    struct node nodes[NODES + 1];
    uint64_t ok, unknown, unavailable, other; /* results of calls */
    unsigned running;
    bool stop;
    uint64_t hash; /* of what happened, in order */
};

static struct world g_world;

static void note(uint64_t what)
{
    g_world.hash = (g_world.hash ^ what) * 0x9e3779b97f4a7c15u;
    g_world.hash ^= loop_group_sim_now_ns(g_world.group);
}

static db_err resolve(void *ctx UNUSED, uint64_t node, char *ret_address, size_t size)
{
    snprintf(ret_address, size, "n%llu:7000", (unsigned long long)node);
    return ERR_OK;
}

static void on_state(void *ctx, uint64_t node, enum rpc_class class, bool up,
                     const char *text UNUSED)
{
    struct node *n = ctx;
    *(up ? &n->ups : &n->downs) += 1;
    note(n->id * 1000 + node * 10 + (uint64_t) class + (up ? 5 : 0));
}

static void on_oneway(void *ctx, const struct rpc_peer_info *from, const struct rpc_msg *msg)
{
    struct node *n = ctx;
    uint64_t number;
    memcpy(&number, msg->header.ptr, sizeof(number));
    n->disorder += number < n->oneways[from->node];
    n->oneways[from->node] = number + 1;
}

static db_err on_call(void *ctx UNUSED, struct rpc_request *req, struct diag *diag UNUSED)
{
    TRY(fiber_sleep(100 * NS_PER_US));
    return rpc_respond(req, rpc_request_msg(req)->header, NULL, 0);
}

static void start_node(struct node *n)
{
    struct rpc_server_opts so = {
        .address = "x:7000",
        .identity = {.cluster = "simulated", .node = n->id, .boot_id = n->id * 100 + 1},
        .loops = &n->loop,
        .loop_count = 1,
    };
    struct rpc_client_opts co = {
        .identity = so.identity,
        .loops = &n->loop,
        .loop_count = 1,
        .resolve = resolve,
        .state = on_state,
        .ctx = n,
    };
    char host[16];
    snprintf(host, sizeof(host), "n%llu", (unsigned long long)n->id);
    CHECK_OK(rpc_sim_transport_new(g_world.net, host, n->loop, &n->transport));
    so.transport = n->transport;
    co.transport = n->transport;
    CHECK_OK(rpc_server_new(&so, &n->server));
    rpc_server_handle_oneway(n->server, RPC_M_selftest_oneway, on_oneway, n);
    rpc_server_handle_call(n->server, RPC_M_selftest_call, on_call, n);
    uint16_t port;
    struct diag diag = {0};
    CHECK_OK(rpc_server_listen(n->server, &diag, &port));
    CHECK_OK(rpc_client_start(&co, &n->client));
}

static void node_main(void *arg)
{
    struct node *n = arg;
    start_node(n);
    uint64_t i = 0;
    while (!g_world.stop) {
        uint64_t to = 1 + (n->id + i) % NODES;
        struct rpc_peer *peer = rpc_client_peer(n->client, to);
        for (uint64_t id = 1; id <= NODES; id++) {
            if (id != n->id) {
                rpc_send(rpc_client_peer(n->client, id), RPC_M_selftest_oneway,
                         slice_of(&i, sizeof(i)), NULL, 0);
            }
        }
        struct rpc_reply reply;
        struct diag diag = {0};
        const struct rpc_call call = {.method = RPC_M_selftest_call,
                                      .header = slice_of(&i, sizeof(i)),
                                      .deadline_ns = clock_mono_ns() + 2 * NS_PER_S};
        db_err err = rpc_call(peer, &call, &diag, &reply);
        CHECK(err != ERR_OK || slice_eq(reply.msg.header, slice_of(&i, sizeof(i))));
        CHECK(err != ERR_UNAVAILABLE || !reply.executed_maybe);
        CHECK(err != ERR_OUTCOME_UNKNOWN || reply.executed_maybe);
        rpc_msg_release(&reply.msg);
        *(err == ERR_OK                ? &g_world.ok
          : err == ERR_OUTCOME_UNKNOWN ? &g_world.unknown
          : err == ERR_UNAVAILABLE     ? &g_world.unavailable
                                       : &g_world.other) += 1;
        note(i * 64 + (uint64_t)err);
        CHECK_OK(fiber_sleep(NS_PER_MS));
        i++;
    }
    rpc_client_stop(n->client);
    rpc_server_stop(n->server);
    rpc_transport_free(n->transport);
    n->stopped = true;
    g_world.running--;
}

static void world_start(uint64_t seed, const struct rpc_sim_opts *net)
{
    memset(&g_world, 0, sizeof(g_world));
    const struct loop_sim_opts opts = {.count = NODES, .seed = seed};
    CHECK_OK(loop_group_start_sim(&opts, &g_world.group));
    struct rpc_sim_opts n = *net;
    n.seed = seed;
    CHECK_OK(rpc_sim_net_new(&n, &g_world.net));
    for (unsigned i = 1; i <= NODES; i++) {
        struct node *node = &g_world.nodes[i];
        node->id = i;
        node->loop = loop_group_get(g_world.group, i - 1);
        g_world.running++;
        CHECK_OK(fiber_spawn(node->loop, node_main, node));
    }
}

static void run_for(uint64_t ms)
{
    loop_group_sim_run(g_world.group, loop_group_sim_now_ns(g_world.group) + ms * NS_PER_MS);
}

static void world_stop(void)
{
    g_world.stop = true;
    rpc_sim_net_heal(g_world.net);
    run_for(20000);
    CHECK(g_world.running == 0);
    loop_group_stop(g_world.group);
    rpc_sim_net_free(g_world.net);
}

static void test_calm(void **state UNUSED)
{
    const struct rpc_sim_opts net = {.split_chance = 0.1};
    world_start(1, &net);
    run_for(2000);
    world_stop();
    assert_true(g_world.ok > 1000);
    assert_int_equal(g_world.unknown + g_world.unavailable + g_world.other, 0);
    for (unsigned i = 1; i <= NODES; i++) {
        assert_int_equal(g_world.nodes[i].disorder, 0);
        assert_true(g_world.nodes[i].oneways[1 + i % NODES] > 100);
    }
}

/* Both sides notice, calls fail as they must, and it heals. */
static void test_partition(void **state UNUSED)
{
    const struct rpc_sim_opts net = {0};
    world_start(2, &net);
    run_for(1000);
    assert_int_equal(g_world.unknown + g_world.unavailable, 0);
    rpc_sim_net_cut(g_world.net, "n1", "*", true);
    rpc_sim_net_cut(g_world.net, "*", "n1", true);
    uint64_t downs = g_world.nodes[2].downs;
    run_for(6000);
    assert_true(g_world.nodes[2].downs > downs);
    assert_true(g_world.unavailable > 100); /* the breaker: not one time-out each */
    assert_true(g_world.other + g_world.unknown > 0);
    rpc_sim_net_heal(g_world.net);
    run_for(4000);
    uint64_t failed = g_world.unavailable + g_world.unknown + g_world.other;
    uint64_t ok = g_world.ok;
    run_for(1000);
    assert_int_equal(g_world.unavailable + g_world.unknown + g_world.other, failed);
    assert_true(g_world.ok > ok + 300);
    world_stop();
}

static uint64_t storm(uint64_t seed)
{
    const struct rpc_sim_opts net = {
        .reset_chance = 0.002, .split_chance = 0.2, .slow_chance = 0.01, .buffer_max = 4096};
    world_start(seed, &net);
    struct rand r;
    rand_seed(&r, seed);
    for (int i = 0; i < 10; i++) {
        char a[16];
        char b[16];
        snprintf(a, sizeof(a), "n%u", 1 + (unsigned)rand_below(&r, NODES));
        snprintf(b, sizeof(b), "n%u", 1 + (unsigned)rand_below(&r, NODES));
        rpc_sim_net_cut(g_world.net, a, b, rand_below(&r, 3) == 0);
        run_for(200 + rand_below(&r, 2000));
        rpc_sim_net_heal(g_world.net);
    }
    world_stop();
    for (unsigned i = 1; i <= NODES; i++) {
        CHECK(g_world.nodes[i].disorder == 0);
    }
    CHECK(g_world.ok > 100);
    return g_world.hash;
}

static void test_storms(void **state UNUSED)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t hash = storm(seed);
        if (seed <= 2) {
            assert_true(storm(seed) == hash); /* a seed is a run */
        }
    }
}

/* A process that dies: the others see it at once; its place is taken by a new one. */
static void test_kill(void **state UNUSED)
{
    const struct rpc_sim_opts net = {0};
    world_start(3, &net);
    run_for(1000);
    struct node *n = &g_world.nodes[3];
    rpc_sim_net_kill(g_world.net, "n3");
    loop_sim_kill(n->loop);
    uint64_t ok = g_world.ok;
    run_for(1000);
    assert_true(g_world.unavailable > 10);
    assert_true(g_world.ok > ok);
    uint64_t unavailable = g_world.unavailable;
    memset(n->oneways, 0, sizeof(n->oneways));
    CHECK_OK(fiber_spawn(n->loop, node_main, n));
    run_for(3000);
    assert_true(n->oneways[1] > 0);
    ok = g_world.ok;
    unavailable = g_world.unavailable;
    run_for(1000);
    assert_int_equal(g_world.unavailable, unavailable);
    assert_true(g_world.ok > ok + 300);
    world_stop();
}

/* Every now and then there is no memory. */
static struct rand g_memory;
static bool g_scarce;

static void *scarce_realloc(void *ctx UNUSED, void *ptr, size_t size)
{
    return g_scarce && rand_below(&g_memory, 100) == 0 ? NULL : realloc(ptr, size);
}

static void *scarce_alloc(void *ctx, size_t size)
{
    return scarce_realloc(ctx, NULL, size);
}

static void scarce_free(void *ctx UNUSED, void *ptr)
{
    free(ptr);
}

static void test_scarce_memory(void **state UNUSED)
{
    static const struct mem_allocator scarce = {"scarce", scarce_alloc, scarce_realloc, scarce_free,
                                                NULL};
    const struct rpc_sim_opts net = {.split_chance = 0.1};
    mem_set_allocator(&scarce);
    rand_seed(&g_memory, 1);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        world_start(seed, &net);
        run_for(500);
        g_scarce = true;
        run_for(5000);
        g_scarce = false;
        run_for(5000);
        uint64_t failed = g_world.unavailable + g_world.unknown + g_world.other;
        uint64_t ok = g_world.ok;
        assert_true(failed > 10);
        run_for(1000);
        assert_int_equal(g_world.unavailable + g_world.unknown + g_world.other, failed);
        assert_true(g_world.ok > ok + 300);
        world_stop();
    }
    mem_set_allocator(NULL);
}

int main(void)
{
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calm),          cmocka_unit_test(test_partition),
        cmocka_unit_test(test_storms),        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_scarce_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
