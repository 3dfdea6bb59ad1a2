/* A server on the fake engine with two loops, for tests; cmocka's assertions are used, so only from
 * the test's own thread. */
#ifndef SKEIN_WIRE_TESTING_HARNESS_H
#define SKEIN_WIRE_TESTING_HARNESS_H

#include "base/test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "wire/testing/client.h"
#include "wire/testing/fake_engine.h"
#include "wire/wire.h"

struct harness {
    struct loop_group *group;
    struct sql_engine *engine;
    struct wire_server *server;
    uint16_t port;
    char dir[64];
    char socket[80];
};

static inline struct fake_limits harness_limits(void)
{
    return (struct fake_limits){1000, 10, 64 << 20, 60, 0};
}

static inline void harness_start(struct harness *h, struct fake_limits limits, unsigned loops,
                                 uint32_t preauth_max)
{
    struct loop_group_opts group_opts = {.count = loops};
    struct diag diag;
    diag_reset(&diag);
    snprintf(h->dir, sizeof(h->dir), "wire_test_XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    snprintf(h->socket, sizeof(h->socket), "%s/s", h->dir);
    assert_int_equal(loop_group_start(&group_opts, &h->group), ERR_OK);
    h->engine = fake_engine_new(&limits);
    assert_non_null(h->engine);
    struct wire_server_opts opts = {
        .loops = h->group,
        .engine = h->engine,
        .version = "9.7.4-fake",
        .host = "127.0.0.1",
        .socket_path = h->socket,
        .data_dir = h->dir,
        .tls = true,
        .preauth_max = preauth_max,
    };
    assert_int_equal(wire_server_start(&opts, &diag, &h->server), ERR_OK);
    h->port = wire_server_port(h->server);
    assert_true(h->port != 0);
}

static inline void harness_stop(struct harness *h)
{
    static const char *const files[] = {"ca.pem",         "ca-key.pem",      "server-cert.pem",
                                        "server-key.pem", "private_key.pem", "public_key.pem"};
    char path[160];
    wire_server_stop(h->server);
    assert_int_equal(fake_engine_sessions(h->engine), 0);
    fake_engine_free(h->engine);
    loop_group_stop(h->group);
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", h->dir, files[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(h->dir), 0);
}

static inline void harness_login(struct harness *h, struct client_conn *c)
{
    struct client_login root = {.user = "root", .password = ""};
    assert_true(client_connect(c, h->port, NULL));
    assert_true(client_login(c, &root));
}

/* Reads packets until one that ends a result (OK, EOF or error). */
static inline unsigned harness_drain_result(struct client_conn *c)
{
    unsigned count = 1;
    while (c->packet.len > 0 && c->packet.ptr[0] != 0xff &&
           !(c->packet.ptr[0] == 0xfe && c->packet.len < 0xffffff) && client_read(c)) {
        count++;
    }
    return count;
}

#endif
