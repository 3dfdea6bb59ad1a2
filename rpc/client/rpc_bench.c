/* Round trips per second and CPU per round trip, client and server in one process over loopback:
 * rpc_call with 1, 64 and 256 outstanding, plain and TLS; one-way messages; a stream; beside a bare
 * libuv TCP echo with the same number of messages under way on one connection.
 *
 *     rpc_client_rpc_bench [seconds per figure] */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>
#include <uv.h>

#include "rpc/testing/test_pair.h"

#include "base/log.h"
#include "base/metrics.h"
#include "rpc/transport/tls.h"

enum { MESSAGE = 64, LOOPS = 1, FIBERS_MAX = 1024, LATENCIES_MAX = 4 << 20 };

static double g_seconds = 1.0;

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(const char *name, unsigned outstanding, uint64_t count, double wall, double cpu)
{
    printf("%-22s %4u outstanding: %9.0f/s, %6.1f us each, %5.2f us CPU each", name, outstanding,
           (double)count / wall, wall * 1e6 * outstanding / (double)count,
           cpu * 1e6 / (double)count);
}

/* --- rpc --- */

struct load {
    struct pair *p;
    _Atomic bool stop;
    _Atomic unsigned live;
    _Atomic uint64_t count;
};

static void caller(void *arg)
{
    struct load *l = arg;
    uint8_t bytes[MESSAGE] = {0};
    uint64_t count = 0;
    while (!atomic_load_explicit(&l->stop, memory_order_relaxed)) {
        struct diag diag = {0};
        struct rpc_reply reply;
        CHECK_OK(call_bytes(l->p->peer, RPC_M_echo, slice_of(bytes, 16),
                            slice_of(bytes, MESSAGE - 16), 0, &diag, &reply));
        rpc_msg_release(&reply.msg);
        count++;
    }
    atomic_fetch_add(&l->count, count);
    atomic_fetch_sub(&l->live, 1);
}

static void bench_calls(struct pair *p, const char *name, unsigned outstanding)
{
    struct load l = {.p = p};
    atomic_store(&l.live, outstanding);
    for (unsigned i = 0; i < outstanding; i++) {
        CHECK_OK(fiber_spawn(p->loops[0], caller, &l));
    }
    int64_t writes = metrics_get(METRIC_rpc_writes);
    int64_t reads = metrics_get(METRIC_rpc_reads);
    int64_t wakes = metrics_get(METRIC_loop_wakeups);
    double cpu = cpu_s();
    uint64_t start = clock_mono_ns();
    usleep((useconds_t)(g_seconds * 1e6));
    atomic_store(&l.stop, true);
    WAIT_FOR(atomic_load(&l.live) == 0);
    double wall = (double)(clock_mono_ns() - start) / 1e9;
    cpu = cpu_s() - cpu;
    uint64_t count = atomic_load(&l.count);
    report(name, outstanding, count, wall, cpu);
    double n = (double)count;
    printf("; %.2f writes, %.2f reads, %.2f wake-ups each\n",
           (double)(metrics_get(METRIC_rpc_writes) - writes) / n,
           (double)(metrics_get(METRIC_rpc_reads) - reads) / n,
           (double)(metrics_get(METRIC_loop_wakeups) - wakes) / n);
}

static _Atomic uint64_t g_got;

static void on_oneway(void *ctx UNUSED, const struct rpc_peer_info *from UNUSED,
                      const struct rpc_msg *msg UNUSED)
{
    atomic_fetch_add_explicit(&g_got, 1, memory_order_relaxed);
}

static db_err on_stream(void *ctx UNUSED, const struct rpc_peer_info *from UNUSED,
                        struct slice header UNUSED, struct rpc_stream *s, struct diag *diag)
{
    for (;;) {
        struct rpc_msg chunk;
        bool end;
        TRY(rpc_stream_read(s, diag, &chunk, &end));
        if (end) {
            return ERR_OK;
        }
        rpc_msg_release(&chunk);
    }
}

static void handlers(struct rpc_server *s, void *ctx)
{
    rpc_server_handle_stream(s, RPC_M_selftest_stream, on_stream, ctx);
    rpc_server_handle_oneway(s, RPC_M_selftest_oneway, on_oneway, ctx);
}

static void sender(void *arg)
{
    struct load *l = arg;
    uint8_t bytes[MESSAGE] = {0};
    while (!atomic_load_explicit(&l->stop, memory_order_relaxed)) {
        const struct rpc_part part = RPC_PART(slice_of(bytes, MESSAGE - 16));
        if (!rpc_send(l->p->peer, RPC_M_selftest_oneway, slice_of(bytes, 16), &part, 1)) {
            CHECK_OK(fiber_sleep(NS_PER_MS));
        }
        CHECK_OK(fiber_checkpoint());
    }
    atomic_fetch_sub(&l->live, 1);
}

static void bench_oneway(struct pair *p)
{
    struct load l = {.p = p};
    atomic_store(&l.live, 1);
    atomic_store(&g_got, 0);
    double cpu = cpu_s();
    uint64_t start = clock_mono_ns();
    CHECK_OK(fiber_spawn(p->loops[0], sender, &l));
    usleep((useconds_t)(g_seconds * 1e6));
    uint64_t count = atomic_load(&g_got);
    double wall = (double)(clock_mono_ns() - start) / 1e9;
    cpu = cpu_s() - cpu;
    atomic_store(&l.stop, true);
    WAIT_FOR(atomic_load(&l.live) == 0);
    report("one-way", 1, count, wall, cpu);
    printf("\n");
}

static void stream_main(void *arg)
{
    struct load *l = arg;
    struct rpc_stream *s;
    struct diag diag = {0};
    struct blob *blob = blob_new(RPC_STREAM_CHUNK_MAX / 2);
    CHECK(blob != NULL);
    memset(blob->data, 'x', blob->size);
    CHECK_OK(
        rpc_stream_open(l->p->peer, RPC_M_selftest_stream, SLICE_EMPTY, DEADLINE_NONE, &diag, &s));
    const struct rpc_part part = {slice_of(blob->data, blob->size), blob};
    while (!atomic_load(&l->stop)) {
        CHECK_OK(rpc_stream_write(s, SLICE_EMPTY, &part, 1, &diag));
        atomic_fetch_add(&l->count, blob->size);
    }
    CHECK_OK(rpc_stream_finish(s, &diag));
    rpc_stream_free(s);
    blob_unref(blob);
    atomic_fetch_sub(&l->live, 1);
}

static void bench_stream(struct pair *p, const char *name)
{
    struct load l = {.p = p};
    atomic_store(&l.live, 1);
    CHECK_OK(fiber_spawn(p->loops[0], stream_main, &l));
    double cpu = cpu_s();
    uint64_t start = clock_mono_ns();
    usleep((useconds_t)(g_seconds * 1e6));
    atomic_store(&l.stop, true);
    WAIT_FOR(atomic_load(&l.live) == 0);
    double wall = (double)(clock_mono_ns() - start) / 1e9;
    double mib = (double)atomic_load(&l.count) / (1 << 20);
    printf("%-22s %9.0f MiB/s, %.2f ms CPU per MiB\n", name, mib / wall,
           (cpu_s() - cpu) * 1e3 / mib);
}

static void bench_rpc(bool tls)
{
    struct pair p;
    struct rpc_tls_pair ca;
    struct rpc_tls_pair certs[2];
    struct diag diag = {0};
    pair_init(&p, 2 * LOOPS);
    p.handlers = handlers;
    p.co.loop_count = LOOPS;
    p.so.loops = p.loops + LOOPS;
    p.so.loop_count = LOOPS;
    rpc_tls_pair_init(&ca);
    rpc_tls_pair_init(&certs[0]);
    rpc_tls_pair_init(&certs[1]);
    if (tls) {
        CHECK_OK(rpc_tls_make_ca("bench", &diag, &ca));
        CHECK_OK(rpc_tls_issue_node(&ca, SERVER_NODE, 1, &diag, &certs[0]));
        CHECK_OK(rpc_tls_issue_node(&ca, CLIENT_NODE, 1, &diag, &certs[1]));
        struct rpc_transport **transports[2] = {&p.server_transport, &p.client_transport};
        for (int i = 0; i < 2; i++) {
            const struct rpc_tls_opts opts = {(const char *)ca.cert.ptr,
                                              (const char *)certs[i].cert.ptr,
                                              (const char *)certs[i].key.ptr, NULL};
            CHECK_OK(rpc_tls_transport_new(*transports[i], &opts, &diag, transports[i]));
        }
    }
    pair_start(&p);
    bench_calls(&p, tls ? "rpc_call, TLS" : "rpc_call", 1);
    bench_calls(&p, tls ? "rpc_call, TLS" : "rpc_call", 64);
    bench_calls(&p, tls ? "rpc_call, TLS" : "rpc_call", 256);
    if (!tls) {
        bench_oneway(&p);
    }
    bench_stream(&p, tls ? "stream, TLS" : "stream");
    pair_stop(&p);
    rpc_tls_pair_fini(&ca);
    rpc_tls_pair_fini(&certs[0]);
    rpc_tls_pair_fini(&certs[1]);
}

/* --- bare libuv --- */

struct echo {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_tcp_t conn;
    uv_async_t stop;
    uv_timer_t timer;
    pthread_t thread;
    uint16_t port;
    bool server;
    uint64_t bytes;
    char buffer[65536];
};

static void on_alloc(uv_handle_t *h, size_t size UNUSED, uv_buf_t *buf)
{
    struct echo *e = h->data;
    *buf = uv_buf_init(e->buffer, sizeof(e->buffer));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct echo *e = s->data;
    if (n <= 0) {
        return;
    }
    e->bytes += (uint64_t)n;
    size_t done = 0;
    while (done < (size_t)n) {
        uv_buf_t out = uv_buf_init(buf->base + done, (unsigned)((size_t)n - done));
        int rc = uv_try_write(s, &out, 1);
        CHECK(rc > 0 || rc == UV_EAGAIN);
        done += rc > 0 ? (size_t)rc : 0;
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct echo *e = listener->data;
    CHECK(status == 0);
    uv_tcp_init(&e->loop, &e->conn);
    e->conn.data = e;
    CHECK(uv_accept(listener, (uv_stream_t *)&e->conn) == 0);
    uv_tcp_nodelay(&e->conn, 1);
    uv_read_start((uv_stream_t *)&e->conn, on_alloc, on_read);
}

static void close_handle(uv_handle_t *h, void *arg UNUSED)
{
    if (!uv_is_closing(h)) {
        uv_close(h, NULL);
    }
}

static void on_stop(uv_async_t *a)
{
    struct echo *e = a->data;
    uv_walk(&e->loop, close_handle, NULL);
}

static void *server_main(void *arg)
{
    struct echo *e = arg;
    uv_run(&e->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void on_time(uv_timer_t *t)
{
    struct echo *e = t->data;
    uv_walk(&e->loop, close_handle, NULL);
}

static unsigned g_outstanding;

static void on_connected(uv_connect_t *req, int status)
{
    struct echo *e = req->handle->data;
    CHECK(status == 0);
    uv_tcp_nodelay(&e->conn, 1);
    uv_buf_t out = uv_buf_init(e->buffer, g_outstanding * MESSAGE);
    CHECK(uv_try_write((uv_stream_t *)&e->conn, &out, 1) == (int)out.len);
    uv_read_start((uv_stream_t *)&e->conn, on_alloc, on_read);
}

static void bench_echo(unsigned outstanding)
{
    static struct echo server;
    static struct echo client;
    struct sockaddr_in sa;
    int len = sizeof(sa);
    memset(&server, 0, sizeof(server));
    memset(&client, 0, sizeof(client));
    g_outstanding = outstanding;
    uv_loop_init(&server.loop);
    uv_tcp_init(&server.loop, &server.listener);
    server.listener.data = &server;
    uv_async_init(&server.loop, &server.stop, on_stop);
    server.stop.data = &server;
    uv_ip4_addr("127.0.0.1", 0, &sa);
    uv_tcp_bind(&server.listener, (struct sockaddr *)&sa, 0);
    CHECK(uv_listen((uv_stream_t *)&server.listener, 4, on_connection) == 0);
    uv_tcp_getsockname(&server.listener, (struct sockaddr *)&sa, &len);
    CHECK(pthread_create(&server.thread, NULL, server_main, &server) == 0);
    uv_loop_init(&client.loop);
    uv_tcp_init(&client.loop, &client.conn);
    client.conn.data = &client;
    uv_timer_init(&client.loop, &client.timer);
    client.timer.data = &client;
    uv_timer_start(&client.timer, on_time, (uint64_t)(g_seconds * 1000), 0);
    uv_connect_t connect;
    uv_tcp_connect(&connect, &client.conn, (struct sockaddr *)&sa, on_connected);
    double cpu = cpu_s();
    uint64_t start = clock_mono_ns();
    uv_run(&client.loop, UV_RUN_DEFAULT);
    double wall = (double)(clock_mono_ns() - start) / 1e9;
    cpu = cpu_s() - cpu;
    uv_async_send(&server.stop);
    pthread_join(server.thread, NULL);
    uv_loop_close(&server.loop);
    uv_loop_close(&client.loop);
    report("libuv TCP echo", outstanding, client.bytes / MESSAGE, wall, cpu);
    printf("\n");
}

int main(int argc, char **argv)
{
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    if (argc > 1) {
        g_seconds = strtod(argv[1], NULL);
    }
    bench_echo(1);
    bench_echo(64);
    bench_echo(256);
    bench_rpc(false);
    bench_rpc(true);
    return 0;
}
