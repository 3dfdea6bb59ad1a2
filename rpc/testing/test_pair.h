/* For the tests and the bench of rpc/: a server and clients in one process over NNG. */
#ifndef SKEIN_RPC_TESTING_TEST_PAIR_H
#define SKEIN_RPC_TESTING_TEST_PAIR_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fiber.h"
#include "base/test_main.h"
#include "rpc/client/client.h"
#include "rpc/server/server.h"
#include "rpc/transport/transport.h"

enum { SERVER_NODE = 2, CLIENT_NODE = 1 };

struct pair {
    struct loop_group *group;
    struct loop *loops[16];
    unsigned loop_count;
    struct rpc_transport *server_transport;
    struct rpc_transport *client_transport;
    struct rpc_server *server;
    struct rpc_client *client;
    struct rpc_peer *peer;
    char address[RPC_ADDRESS_MAX];
    _Atomic uint16_t port;
    _Atomic int ups;
    _Atomic int downs;
    char last_down[256];
    struct rpc_server_opts so;
    struct rpc_client_opts co;
    void (*handlers)(struct rpc_server *s, void *ctx);
    void *ctx;
};

static inline db_err pair_resolve(void *ctx, uint64_t node, char *ret_address, size_t size)
{
    struct pair *p = ctx;
    if (node != SERVER_NODE) {
        return ERR_NOT_FOUND;
    }
    snprintf(ret_address, size, "127.0.0.1:%u", atomic_load(&p->port));
    return ERR_OK;
}

static inline void pair_state(void *ctx, uint64_t node UNUSED, enum rpc_class class UNUSED, bool up,
                              const char *text)
{
    struct pair *p = ctx;
    if (!up) {
        snprintf(p->last_down, sizeof(p->last_down), "%s", text);
    }
    atomic_fetch_add(up ? &p->ups : &p->downs, 1);
}

/* SKEIN_TEST_TRANSPORT=nng runs the same tests over NNG's streams. */
enum pair_transport { PAIR_TCP, PAIR_NNG };
static inline enum pair_transport pair_transport(void)
{
    const char *name = getenv("SKEIN_TEST_TRANSPORT");
    return name != NULL && strcmp(name, "nng") == 0 ? PAIR_NNG : PAIR_TCP;
}

/* Loops, transports and default options. */
static inline void pair_init(struct pair *p, unsigned loop_count)
{
    memset(p, 0, sizeof(*p));
    const struct loop_group_opts opts = {.count = loop_count};
    CHECK_OK(loop_group_start(&opts, &p->group));
    p->loop_count = loop_count;
    for (unsigned i = 0; i < loop_count; i++) {
        p->loops[i] = loop_group_get(p->group, i);
    }
    bool nng = pair_transport() == PAIR_NNG;
    CHECK_OK(nng ? rpc_nng_transport_new(&p->server_transport)
                 : rpc_tcp_transport_new(p->loops, loop_count, &p->server_transport));
    CHECK_OK(nng ? rpc_nng_transport_new(&p->client_transport)
                 : rpc_tcp_transport_new(p->loops, loop_count, &p->client_transport));
    p->so = (struct rpc_server_opts){
        .address = "127.0.0.1:0",
        .identity = {.cluster = "cluster-of-tests", .node = SERVER_NODE, .kind = RPC_PEER_NODE},
        .loops = p->loops,
        .loop_count = loop_count,
        .timing = {.tick_ms = 5, .redial_ms = 10, .redial_max_ms = 50},
    };
    p->co = (struct rpc_client_opts){
        .identity = {.cluster = "cluster-of-tests", .node = CLIENT_NODE, .kind = RPC_PEER_NODE},
        .loops = p->loops,
        .loop_count = loop_count,
        .lanes = nng ? 0 : loop_count,
        .timing = {.tick_ms = 5, .redial_ms = 10, .redial_max_ms = 50},
        .resolve = pair_resolve,
        .state = pair_state,
        .ctx = p,
    };
    CHECK_OK(rpc_boot_id(&p->so.identity.boot_id));
    CHECK_OK(rpc_boot_id(&p->co.identity.boot_id));
}

static inline void pair_start_server(struct pair *p)
{
    struct diag diag = {0};
    char address[64];
    snprintf(address, sizeof(address), "127.0.0.1:%u", atomic_load(&p->port));
    p->so.address = address;
    p->so.transport = p->server_transport;
    CHECK_OK(rpc_server_new(&p->so, &p->server));
    if (p->handlers != NULL) {
        p->handlers(p->server, p->ctx);
    }
    uint16_t port;
    CHECK_OK(rpc_server_listen(p->server, &diag, &port));
    atomic_store(&p->port, port);
}

static inline void pair_start_client(struct pair *p)
{
    p->co.transport = p->client_transport;
    CHECK_OK(rpc_client_start(&p->co, &p->client));
    p->peer = rpc_client_peer(p->client, SERVER_NODE);
    CHECK(p->peer != NULL);
}

static inline void pair_start(struct pair *p)
{
    pair_start_server(p);
    pair_start_client(p);
}

static inline void pair_stop(struct pair *p)
{
    rpc_client_stop(p->client);
    rpc_server_stop(p->server);
    rpc_transport_free(p->client_transport);
    rpc_transport_free(p->server_transport);
    loop_group_stop(p->group);
}

/* Runs fn in a fiber of the loop and waits for it, from the test's thread. */
struct in_fiber {
    void (*fn)(void *arg);
    void *arg;
    _Atomic bool done;
};

static inline void in_fiber_main(void *arg)
{
    struct in_fiber *f = arg;
    f->fn(f->arg);
    atomic_store(&f->done, true);
}

static inline void run_on(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct in_fiber f = {.fn = fn, .arg = arg};
    CHECK_OK(fiber_spawn(loop, in_fiber_main, &f));
    while (!atomic_load(&f.done)) {
        usleep(200);
    }
}

static inline db_err call_bytes(struct rpc_peer *peer, enum rpc_method m, struct slice header,
                                struct slice payload, uint64_t deadline_ns, struct diag *diag,
                                struct rpc_reply *ret_reply)
{
    const struct rpc_part part = RPC_PART(payload);
    const struct rpc_call call = {m, header, &part, 1, deadline_ns};
    return rpc_call(peer, &call, diag, ret_reply);
}

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        for (int wait_i_ = 0; !(condition); wait_i_++) {                                           \
            CHECK(wait_i_ < 20000);                                                                \
            usleep(1000);                                                                          \
        }                                                                                          \
    } while (0)

#endif
