/* TCP pipes: what a receive costs, and that no end is missed behind what is received. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/test_main.h"
#include "rpc/transport/transport.h"

enum { ROOM = 64, SHORT_SIZE = 10, LONG_SIZE = 200, MESSAGES = 50, ENDS = 50 };

/* Stands before the C library's. */
static _Atomic unsigned g_recvs;
ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    atomic_fetch_add(&g_recvs, 1);
    return syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
}

struct end {
    struct rpc_pipe *_Atomic pipe;
    uint8_t buffer[ROOM];
    _Atomic size_t bytes;
    _Atomic bool closed;
};

struct world {
    struct loop_group *group;
    struct rpc_transport *transport;
    struct rpc_listener *listener;
    struct end near, far; /* who dials and sends; who is dialled and receives */
    char address[RPC_ADDRESS_MAX];
};

/* A time-out is the test program's. */
static void await(const _Atomic bool *flag)
{
    while (!atomic_load(flag)) {
        usleep(100);
    }
}

static void await_bytes(struct end *e, size_t bytes)
{
    while (atomic_load(&e->bytes) < bytes) {
        usleep(100);
    }
}

static struct rpc_pipe *await_pipe(struct end *e)
{
    while (atomic_load(&e->pipe) == NULL) {
        usleep(100);
    }
    return atomic_load(&e->pipe);
}

static void take(struct end *e, db_err err, size_t bytes)
{
    atomic_fetch_add(&e->bytes, bytes);
    if (err != ERR_OK) {
        atomic_store(&e->closed, true);
    }
}

static void receive(struct end *e)
{
    struct rpc_io io = {0};
    while (io.err == ERR_OK &&
           rpc_pipe_recv(atomic_load(&e->pipe), e->buffer, sizeof(e->buffer), &io)) {
        take(e, io.err, io.bytes);
    }
}

static void on_received(void *ctx, db_err err, size_t bytes)
{
    take(ctx, err, bytes);
    if (err == ERR_OK) {
        receive(ctx);
    }
}

static void on_sent(void *ctx UNUSED, db_err err UNUSED, size_t bytes UNUSED)
{
}

static const struct rpc_pipe_events g_events = {on_sent, on_received};

static void on_accepted(void *ctx, struct rpc_pipe *pipe)
{
    struct end *e = ctx;
    rpc_pipe_attach(pipe, &g_events, e);
    atomic_store(&e->pipe, pipe);
    receive(e);
}

struct dial {
    struct rpc_dial dial;
    struct end *end;
};

static void on_dialed(struct rpc_dial *dial, db_err err, const char *text UNUSED,
                      struct rpc_pipe *pipe)
{
    struct end *e = CONTAINER_OF(dial, struct dial, dial)->end;
    CHECK(err == ERR_OK);
    rpc_pipe_attach(pipe, &g_events, e);
    atomic_store(&e->pipe, pipe);
}

static void open_world(struct world *w)
{
    const struct loop_group_opts opts = {.count = 1};
    struct diag diag = {0};
    uint16_t port;
    memset(w, 0, sizeof(*w));
    CHECK_OK(loop_group_start(&opts, &w->group));
    struct loop *loop = loop_group_get(w->group, 0);
    CHECK_OK(rpc_tcp_transport_new(&loop, 1, &w->transport));
    const struct rpc_listen listen = {
        .address = "127.0.0.1:0", .loop = loop, .accepted = on_accepted, .ctx = &w->far};
    CHECK_OK(rpc_listen(w->transport, &listen, &diag, &port, &w->listener));
    snprintf(w->address, sizeof(w->address), "127.0.0.1:%u", port);
}

static void connect_ends(struct world *w)
{
    struct dial d = {.end = &w->near,
                     .dial = {.address = slice_str(w->address),
                              .loop = loop_group_get(w->group, 0),
                              .done = on_dialed}};
    w->near = w->far = (struct end){.pipe = NULL};
    rpc_dial(w->transport, &d.dial);
    (void)await_pipe(&w->near);
    (void)await_pipe(&w->far);
}

static void disconnect_ends(struct world *w)
{
    rpc_pipe_close(atomic_load(&w->near.pipe));
    await(&w->far.closed);
    rpc_pipe_free(atomic_load(&w->near.pipe));
    rpc_pipe_free(atomic_load(&w->far.pipe));
}

static void close_world(struct world *w)
{
    rpc_listener_close(w->transport, w->listener);
    rpc_transport_free(w->transport);
    loop_group_stop(w->group);
}

static void send_bytes(struct end *e, size_t size)
{
    static const uint8_t bytes[LONG_SIZE];
    const struct slice s = slice_of(bytes, size);
    struct rpc_io io;
    CHECK(rpc_pipe_send(atomic_load(&e->pipe), &s, 1, &io));
    CHECK(io.err == ERR_OK && io.bytes == size);
}

/* A message that leaves room in the buffer is one call; the two more are those of the beginning,
 * before there is anything. */
static void test_one_call(void **state UNUSED)
{
    struct world w;
    open_world(&w);
    connect_ends(&w);
    atomic_store(&g_recvs, 0);
    for (unsigned i = 1; i <= MESSAGES; i++) {
        send_bytes(&w.near, SHORT_SIZE);
        await_bytes(&w.far, (size_t)i * SHORT_SIZE);
    }
    assert_true(atomic_load(&g_recvs) <= MESSAGES + 2);
    disconnect_ends(&w);
    close_world(&w);
}

/* More than the buffer takes at once: nothing of it waits for another edge. */
static void test_long(void **state UNUSED)
{
    struct world w;
    open_world(&w);
    connect_ends(&w);
    for (unsigned i = 1; i <= MESSAGES; i++) {
        send_bytes(&w.near, LONG_SIZE);
        await_bytes(&w.far, (size_t)i * LONG_SIZE);
    }
    disconnect_ends(&w);
    close_world(&w);
}

struct hold {
    struct loop_task task;
    _Atomic bool held, go;
};

static void on_hold(struct loop_task *task)
{
    struct hold *h = CONTAINER_OF(task, struct hold, task);
    atomic_store(&h->held, true);
    await(&h->go);
}

/* The end comes with the bytes, under one edge. */
static void test_end_with_bytes(void **state UNUSED)
{
    struct world w;
    open_world(&w);
    for (unsigned i = 0; i < ENDS; i++) {
        connect_ends(&w);
        struct hold h = {.task.fn = on_hold};
        loop_post(loop_group_get(w.group, 0), &h.task);
        await(&h.held);
        send_bytes(&w.near, SHORT_SIZE);
        rpc_pipe_close(atomic_load(&w.near.pipe));
        usleep(500);
        atomic_store(&h.go, true);
        await_bytes(&w.far, SHORT_SIZE);
        disconnect_ends(&w);
    }
    close_world(&w);
}

/* The end comes a moment later than the bytes, about when they are received. */
static void test_end_after_bytes(void **state UNUSED)
{
    struct world w;
    open_world(&w);
    for (unsigned i = 0; i < ENDS; i++) {
        connect_ends(&w);
        send_bytes(&w.near, SHORT_SIZE);
        usleep(i * 4);
        disconnect_ends(&w);
        assert_int_equal(atomic_load(&w.far.bytes), SHORT_SIZE);
    }
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_call),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_end_with_bytes),
        cmocka_unit_test(test_end_after_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
