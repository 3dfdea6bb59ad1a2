/* First frames, who is let in, loss and return of connections, silence, hostile bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "rpc/testing/test_pair.h"

#include "base/log.h"
#include "base/rand.h"
#include "rpc/client/client_int.h"
#include "rpc/conn/frame.h"
#include "rpc/transport/tls.h"

static _Atomic int g_sleeping;

static db_err on_call(void *ctx UNUSED, struct rpc_request *req, struct diag *diag UNUSED)
{
    const struct rpc_msg *msg = rpc_request_msg(req);
    if (slice_eq(msg->header, SLICE_LIT("sleep"))) {
        atomic_fetch_add(&g_sleeping, 1);
        db_err err = fiber_sleep(20 * NS_PER_S);
        atomic_fetch_sub(&g_sleeping, 1);
        return err;
    }
    return rpc_respond(req, msg->header, NULL, 0);
}

static void handlers(struct rpc_server *s, void *ctx)
{
    rpc_server_handle_call(s, RPC_M_selftest_call, on_call, ctx);
}

/* --- one call, its error and text --- */

struct one_call {
    struct rpc_peer *peer;
    enum rpc_method method;
    const char *header;
    uint64_t timeout_ns;
    db_err err;
    bool executed_maybe;
    uint64_t took_ns;
    struct diag diag;
    _Atomic bool done;
};

static void one_call_main(void *arg)
{
    struct one_call *c = arg;
    struct rpc_reply reply;
    uint64_t start_ns = clock_mono_ns();
    uint64_t until = c->timeout_ns == 0 ? 0 : start_ns + c->timeout_ns;
    c->err =
        call_bytes(c->peer, c->method, slice_str(c->header), SLICE_EMPTY, until, &c->diag, &reply);
    c->executed_maybe = reply.executed_maybe;
    c->took_ns = clock_mono_ns() - start_ns;
    rpc_msg_release(&reply.msg);
    atomic_store(&c->done, true);
}

static struct one_call call_now(struct pair *p, struct rpc_peer *peer, enum rpc_method m)
{
    struct one_call c = {.peer = peer, .method = m, .header = "x", .timeout_ns = 10 * NS_PER_S};
    run_on(p->loops[0], one_call_main, &c);
    return c;
}

static void start(struct pair *p)
{
    pair_init(p, 2);
    p->handlers = handlers;
}

/* --- refusals --- */

static db_err admit(void *ctx UNUSED, const struct rpc_peer_info *from, struct slice token,
                    struct diag *diag)
{
    if (from->kind == RPC_PEER_CTL || slice_eq(token, SLICE_LIT("let me in"))) {
        return ERR_OK;
    }
    return diag_set(diag, ERR_INVALID, "the token is not known");
}

static void expect_refused(const struct rpc_identity *who, uint64_t whom, const char *text)
{
    struct pair p;
    start(&p);
    p.so.admit = admit;
    uint64_t boot_id = p.co.identity.boot_id;
    p.co.identity = *who;
    p.co.identity.boot_id = who->boot_id != 0 ? who->boot_id : boot_id;
    pair_start_server(&p);
    pair_start_client(&p);
    struct rpc_peer *peer = p.peer;
    if (whom != SERVER_NODE) {
        char address[64];
        snprintf(address, sizeof(address), "127.0.0.1:%u", p.port);
        peer = rpc_client_peer_at(p.client, address);
    }
    struct one_call c = call_now(&p, peer, RPC_M_echo);
    if (text == NULL) {
        assert_int_equal(c.err, ERR_OK);
    } else {
        assert_int_equal(c.err, ERR_UNAVAILABLE);
        assert_false(c.executed_maybe);
        if (strstr(c.diag.text, text) == NULL) {
            fail_msg("'%s' is not in '%s'", text, c.diag.text);
        }
        /* The breaker is open: the next one fails at once. */
        c = call_now(&p, peer, RPC_M_echo);
        assert_int_equal(c.err, ERR_UNAVAILABLE);
        assert_true(c.took_ns < NS_PER_S);
    }
    pair_stop(&p);
}

static void test_refusals(void **state UNUSED)
{
    struct rpc_identity id = {.cluster = "another-cluster", .node = 1};
    expect_refused(&id, SERVER_NODE, "another cluster");
    id = (struct rpc_identity){.cluster = "cluster-of-tests", .node = SERVER_NODE};
    expect_refused(&id, SERVER_NODE, "own id");
    id.node = 0;
    expect_refused(&id, SERVER_NODE, "without a node id");
    id = (struct rpc_identity){.kind = RPC_PEER_JOIN, .token = "wrong"};
    expect_refused(&id, 0, "token is not known");
    id.token = "let me in";
    expect_refused(&id, 0, NULL);
    id = (struct rpc_identity){.kind = RPC_PEER_CTL};
    expect_refused(&id, 0, NULL);
}

static void test_methods_by_kind(void **state UNUSED)
{
    struct pair p;
    start(&p);
    p.so.admit = admit;
    p.co.identity.kind = RPC_PEER_CTL;
    p.co.identity.node = 0;
    pair_start(&p);
    struct one_call c = call_now(&p, p.peer, RPC_M_selftest_call);
    assert_int_equal(c.err, ERR_INVALID);
    assert_int_equal(call_now(&p, p.peer, RPC_M_echo).err, ERR_OK);
    pair_stop(&p);
}

/* Two processes with one node id. */
static void test_same_id_twice(void **state UNUSED)
{
    struct pair p;
    start(&p);
    pair_start(&p);
    assert_int_equal(call_now(&p, p.peer, RPC_M_echo).err, ERR_OK);
    assert_int_equal(rpc_server_connections(p.server, CLIENT_NODE), 1);
    struct rpc_client_opts second = p.co;
    struct rpc_client *other;
    second.state = NULL;
    CHECK_OK(rpc_boot_id(&second.identity.boot_id));
    CHECK_OK(rpc_client_start(&second, &other));
    struct rpc_peer *peer = rpc_client_peer(other, SERVER_NODE);
    struct one_call c = call_now(&p, peer, RPC_M_echo);
    assert_int_equal(c.err, ERR_UNAVAILABLE);
    assert_non_null(strstr(c.diag.text, "same id"));
    /* The first goes; the second gets in. */
    rpc_client_stop(p.client);
    p.client = NULL;
    for (int i = 0; i < 3000 && c.err != ERR_OK; i++) {
        usleep(10000);
        c = call_now(&p, peer, RPC_M_echo);
    }
    assert_int_equal(c.err, ERR_OK);
    rpc_client_stop(other);
    pair_stop(&p);
}

/* An address that belongs to another node by now. */
static void test_wrong_node(void **state UNUSED)
{
    struct pair p;
    start(&p);
    p.so.identity.node = 3;
    pair_start(&p);
    struct one_call c = call_now(&p, p.peer, RPC_M_echo);
    assert_int_equal(c.err, ERR_UNAVAILABLE);
    assert_non_null(strstr(c.diag.text, "this is node 3, not node 2"));
    pair_stop(&p);
}

/* --- loss and return --- */

static void test_redial(void **state UNUSED)
{
    struct pair p;
    start(&p);
    p.co.timing.redial_max_ms = 100;
    pair_start(&p);
    assert_int_equal(call_now(&p, p.peer, RPC_M_echo).err, ERR_OK);
    struct one_call hang = {
        .peer = p.peer, .method = RPC_M_selftest_call, .header = "sleep", .timeout_ns = 0};
    atomic_store(&g_sleeping, 0);
    CHECK_OK(fiber_spawn(p.loops[1], one_call_main, &hang));
    WAIT_FOR(atomic_load(&g_sleeping) == 1);
    rpc_server_stop(p.server); /* cancels the handler */
    p.server = NULL;
    WAIT_FOR(atomic_load(&hang.done));
    assert_int_equal(hang.err, ERR_OUTCOME_UNKNOWN);
    assert_true(hang.executed_maybe);
    WAIT_FOR(atomic_load(&p.downs) == 1);
    struct one_call c;
    do { /* until an attempt has failed a call may wait for it */
        c = call_now(&p, p.peer, RPC_M_echo);
        assert_int_equal(c.err, ERR_UNAVAILABLE);
        assert_false(c.executed_maybe);
    } while (strstr(c.diag.text, "refused") == NULL);
    assert_true(c.took_ns < NS_PER_S);
    pair_start_server(&p);
    rpc_peer_poke(p.peer);
    WAIT_FOR(rpc_peer_is_up(p.peer, RPC_CLASS_SQL));
    assert_int_equal(call_now(&p, p.peer, RPC_M_echo).err, ERR_OK);
    WAIT_FOR(atomic_load(&p.ups) == 2);
    rpc_peer_disconnect(p.peer);
    WAIT_FOR(!rpc_peer_is_up(p.peer, RPC_CLASS_SQL));
    usleep(200000);
    assert_false(rpc_peer_is_up(p.peer, RPC_CLASS_SQL));
    assert_int_equal(call_now(&p, p.peer, RPC_M_echo).err, ERR_OK); /* the next use */
    pair_stop(&p);
}

/* How many calls have begun: none may when the client is stopped. */
static unsigned begun(const struct pair *p, const struct one_call *calls, unsigned count)
{
    unsigned n = atomic_load(&p->client->calls) - 1; /* one is the client's own */
    for (unsigned i = 0; i < count; i++) {
        n += atomic_load(&calls[i].done);
    }
    return n;
}

/* Calls that wait, for a reply or for a connection, return before the client is gone. */
static void test_stop_with_calls(void **state UNUSED)
{
    enum { CALLS = 20 };
    struct pair p;
    start(&p);
    pair_start(&p);
    assert_int_equal(call_now(&p, p.peer, RPC_M_echo).err, ERR_OK);
    static struct one_call calls[CALLS];
    memset(calls, 0, sizeof(calls));
    atomic_store(&g_sleeping, 0);
    for (int i = 0; i < CALLS; i++) {
        calls[i].peer = p.peer;
        calls[i].method = i % 2 == 0 ? RPC_M_selftest_call : RPC_M_selftest_bulk;
        calls[i].header = "sleep";
        CHECK_OK(fiber_spawn(p.loops[i / 2 % 2], one_call_main, &calls[i]));
    }
    WAIT_FOR(atomic_load(&g_sleeping) == CALLS / 2 && begun(&p, calls, CALLS) >= CALLS);
    rpc_client_stop(p.client);
    p.client = NULL;
    for (int i = 0; i < CALLS; i++) {
        WAIT_FOR(atomic_load(&calls[i].done));
        assert_true(calls[i].err == ERR_OUTCOME_UNKNOWN || calls[i].err == ERR_CLOSED ||
                    calls[i].err == ERR_UNSUPPORTED);
    }
    pair_stop(&p);
}

/* A peer that takes connections and says nothing: a frozen process. */
static int listen_raw(uint16_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    *ret_port = ntohs(sa.sin_port);
    return fd;
}

static void test_silent_peer(void **state UNUSED)
{
    struct pair p;
    start(&p);
    p.co.timing.ping_ms = 20;
    p.co.timing.dead_ms = 150;
    p.co.timing.hello_ms = 150;
    uint16_t port;
    int fd = listen_raw(&port);
    p.port = port;
    pair_start_client(&p);
    struct one_call c = call_now(&p, p.peer, RPC_M_echo);
    assert_int_equal(c.err, ERR_UNAVAILABLE);
    assert_non_null(strstr(c.diag.text, "no welcome in time"));
    rpc_peer_disconnect(p.peer);
    usleep(100000);
    /* Says welcome, then nothing more. */
    struct sockaddr_in sa;
    socklen_t len = sizeof(sa);
    int conn = -1;
    struct one_call hang = {
        .peer = p.peer, .method = RPC_M_selftest_call, .header = "sleep", .timeout_ns = 0};
    CHECK_OK(fiber_spawn(p.loops[1], one_call_main, &hang));
    uint8_t hello[256];
    do { /* those that were given up before come first */
        close(conn);
        conn = accept(fd, (struct sockaddr *)&sa, &len);
        assert_true(conn >= 0);
        usleep(20000);
    } while (recv(conn, hello, sizeof(hello), 0) <= 0 ||
             recv(conn, hello, 1, MSG_PEEK | MSG_DONTWAIT) == 0);
    uint8_t frame[512];
    uint8_t block[RPC_ERROR_BLOCK_MAX];
    struct rpc_welcome w = {.version = RPC_PROTOCOL_VERSION,
                            .cluster = "cluster-of-tests",
                            .node = SERVER_NODE,
                            .boot_id = 5,
                            .error = slice_of(block, rpc_error_encode(ERR_OK, NULL, block))};
    struct buf b;
    buf_init(&b, 512);
    CHECK_OK(rpc_welcome_encode(&w, &b));
    struct rpc_frame_head head = {.size = (uint32_t)(RPC_FRAME_HEAD + b.len),
                                  .type = RPC_FRAME_WELCOME,
                                  .header_size = (uint32_t)b.len};
    rpc_frame_encode(&head, frame);
    memcpy(frame + RPC_FRAME_HEAD, b.ptr, b.len);
    assert_int_equal(send(conn, frame, head.size, 0), head.size);
    buf_fini(&b);
    WAIT_FOR(atomic_load(&hang.done));
    assert_int_equal(hang.err, ERR_OUTCOME_UNKNOWN);
    assert_non_null(strstr(hang.diag.text, "nothing was heard"));
    close(conn);
    close(fd);
    pair_stop(&p);
}

/* --- hostile bytes --- */

static void connect_to(int fd, uint16_t port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

static int connect_raw(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    connect_to(fd, port);
    return fd;
}

/* Until the other side closes. */
static bool closed_by_peer(int fd)
{
    char bytes[256];
    struct timeval tv = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        if (n <= 0) {
            return n == 0 || errno == ECONNRESET;
        }
    }
}

static void send_hello_raw(int fd)
{
    struct rpc_hello h = {.version = RPC_PROTOCOL_VERSION,
                          .kind = RPC_PEER_NODE,
                          .class = RPC_CLASS_SQL,
                          .cluster = "cluster-of-tests",
                          .node = 7,
                          .boot_id = 8};
    struct buf b;
    buf_init(&b, 512);
    CHECK_OK(rpc_hello_encode(&h, &b));
    uint8_t frame[RPC_FRAME_HEAD];
    struct rpc_frame_head head = {.size = (uint32_t)(RPC_FRAME_HEAD + b.len),
                                  .type = RPC_FRAME_HELLO,
                                  .header_size = (uint32_t)b.len};
    rpc_frame_encode(&head, frame);
    assert_int_equal(send(fd, frame, sizeof(frame), 0), sizeof(frame));
    assert_int_equal(send(fd, b.ptr, b.len, 0), b.len);
    buf_fini(&b);
    char welcome[512];
    assert_true(recv(fd, welcome, sizeof(welcome), 0) > RPC_FRAME_HEAD);
}

static char g_log[8192];
static size_t g_log_len;
static pthread_mutex_t g_log_lock = PTHREAD_MUTEX_INITIALIZER;

static void log_sink(void *ctx UNUSED, enum log_level level UNUSED, const char *line, size_t len)
{
    pthread_mutex_lock(&g_log_lock);
    if (len < sizeof(g_log) - g_log_len - 1) {
        memcpy(g_log + g_log_len, line, len);
        g_log_len += len;
        g_log[g_log_len] = '\0';
    }
    pthread_mutex_unlock(&g_log_lock);
}

static bool logged(const char *text)
{
    pthread_mutex_lock(&g_log_lock);
    bool found = strstr(g_log, text) != NULL;
    pthread_mutex_unlock(&g_log_lock);
    return found;
}

static void test_hostile_bytes(void **state UNUSED)
{
    struct pair p;
    start(&p);
    pair_start(&p);
    struct rand r;
    rand_seed(&r, 1);
    for (int i = 0; i < 100; i++) {
        int fd = connect_raw(p.port);
        uint8_t bytes[3000];
        for (size_t k = 0; k < sizeof(bytes); k++) {
            bytes[k] = (uint8_t)rand_u64(&r);
        }
        send(fd, bytes, 24 + rand_below(&r, sizeof(bytes) - 24), MSG_NOSIGNAL);
        assert_true(closed_by_peer(fd));
        close(fd);
    }
    /* A frame of 2 GB, from a member. */
    int fd = connect_raw(p.port);
    send_hello_raw(fd);
    struct rpc_frame_head head = {.size = 0x80000000u, .type = RPC_FRAME_REQUEST, .method = 3};
    uint8_t frame[RPC_FRAME_HEAD];
    rpc_frame_encode(&head, frame);
    pthread_mutex_lock(&g_log_lock);
    g_log_len = 0;
    pthread_mutex_unlock(&g_log_lock);
    send(fd, frame, sizeof(frame), MSG_NOSIGNAL);
    assert_true(closed_by_peer(fd));
    close(fd);
    assert_true(logged("rpc.frame.refused"));
    assert_true(logged("2147483648"));
    assert_true(logged("127.0.0.1"));
    /* A member that sends sound heads around random content. */
    for (int i = 0; i < 200; i++) {
        fd = connect_raw(p.port);
        send_hello_raw(fd);
        for (int k = 0; k < 20; k++) {
            uint8_t bytes[256];
            for (size_t b = 0; b < sizeof(bytes); b++) {
                bytes[b] = (uint8_t)rand_u64(&r);
            }
            head = (struct rpc_frame_head){
                .size = (uint32_t)(RPC_FRAME_HEAD + rand_below(&r, sizeof(bytes) - RPC_FRAME_HEAD)),
                .type = (uint8_t)(1 + rand_below(&r, 14)),
                .method = (uint16_t)rand_below(&r, 40),
                .id = rand_below(&r, 4),
                .arg = (uint32_t)rand_below(&r, 100)};
            head.header_size = (uint32_t)rand_below(&r, head.size - RPC_FRAME_HEAD + 1);
            rpc_frame_encode(&head, bytes);
            send(fd, bytes, head.size, MSG_NOSIGNAL);
        }
        close(fd);
    }
    assert_int_equal(call_now(&p, p.peer, RPC_M_echo).err, ERR_OK);
    pair_stop(&p);
}

/* A member that asks and does not read costs no more memory than the queue may have: pongs, and
 * answers that nothing serves what it asks for. */
static void test_asks_and_reads_not(void **state UNUSED)
{
    enum { FRAMES = 1000, BYTES_MAX = 32 << 20 };
    static uint8_t frames[FRAMES * RPC_FRAME_HEAD];
    static const struct rpc_frame_head heads[] = {
        {.size = RPC_FRAME_HEAD, .type = RPC_FRAME_PING},
        {.size = RPC_FRAME_HEAD, .type = RPC_FRAME_REQUEST, .method = 999}};
    struct pair p;
    start(&p);
    p.so.queue_max = p.so.frame_max = 64 << 10;
    pair_start(&p);
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++) {
        int small = 4096;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        connect_to(fd, p.port);
        send_hello_raw(fd);
        for (size_t k = 0; k < FRAMES; k++) {
            rpc_frame_encode(&heads[i], frames + k * RPC_FRAME_HEAD);
        }
        size_t sent = 0;
        ssize_t n = 0;
        while (n >= 0 && sent < BYTES_MAX) {
            n = send(fd, frames, sizeof(frames), MSG_NOSIGNAL);
            sent += n > 0 ? (size_t)n : 0;
        }
        assert_true(n < 0);
        close(fd);
    }
    assert_int_equal(call_now(&p, p.peer, RPC_M_echo).err, ERR_OK);
    pair_stop(&p);
}

static void test_unknown_bounded(void **state UNUSED)
{
    struct pair p;
    start(&p);
    p.so.unknown_max = 4;
    p.so.timing.hello_ms = 300;
    pair_start(&p);
    int fds[8];
    for (int i = 0; i < 8; i++) {
        fds[i] = connect_raw(p.port);
    }
    for (int i = 0; i < 8; i++) { /* the last four at once, the others when their time is over */
        assert_true(closed_by_peer(fds[7 - i]));
        close(fds[7 - i]);
    }
    WAIT_FOR(call_now(&p, p.peer, RPC_M_echo).err == ERR_OK); /* their ends are noticed soon */
    pair_stop(&p);
}

/* --- admission --- */

static void test_busy(void **state UNUSED)
{
    enum { CALLS = 6 };
    struct pair p;
    start(&p);
    p.so.requests_max[RPC_CLASS_SQL] = 4;
    pair_start(&p);
    assert_int_equal(call_now(&p, p.peer, RPC_M_echo).err, ERR_OK);
    struct one_call calls[CALLS];
    atomic_store(&g_sleeping, 0);
    for (int i = 0; i < CALLS; i++) {
        calls[i] = (struct one_call){.peer = p.peer,
                                     .method = RPC_M_selftest_call,
                                     .header = "sleep",
                                     .timeout_ns = 700 * NS_PER_MS};
        CHECK_OK(fiber_spawn(p.loops[1], one_call_main, &calls[i]));
    }
    int busy = 0;
    int timeout = 0;
    for (int i = 0; i < CALLS; i++) {
        WAIT_FOR(atomic_load(&calls[i].done));
        busy += calls[i].err == ERR_BUSY;
        timeout += calls[i].err == ERR_TIMEOUT;
    }
    assert_int_equal(busy, 2);
    assert_int_equal(timeout, 4);
    WAIT_FOR(call_now(&p, p.peer, RPC_M_echo).err == ERR_OK);
    pair_stop(&p);
}

/* --- TLS --- */

struct ca {
    struct rpc_tls_pair ca;
    struct rpc_tls_pair server;
    struct rpc_tls_pair client;
};

static const char *pem(const struct buf *b)
{
    return (const char *)b->ptr;
}

static void make_ca(struct ca *c, uint64_t server, uint64_t client)
{
    struct diag diag = {0};
    rpc_tls_pair_init(&c->ca);
    rpc_tls_pair_init(&c->server);
    rpc_tls_pair_init(&c->client);
    CHECK_OK(rpc_tls_make_ca("tests", &diag, &c->ca));
    CHECK_OK(rpc_tls_issue_node(&c->ca, server, 30, &diag, &c->server));
    CHECK_OK(rpc_tls_issue_node(&c->ca, client, 30, &diag, &c->client));
}

static void drop_ca(struct ca *c)
{
    rpc_tls_pair_fini(&c->ca);
    rpc_tls_pair_fini(&c->server);
    rpc_tls_pair_fini(&c->client);
}

static void use_tls(struct pair *p, const struct rpc_tls_opts *server,
                    const struct rpc_tls_opts *client)
{
    struct diag diag = {0};
    CHECK_OK(rpc_tls_transport_new(p->server_transport, server, &diag, &p->server_transport));
    CHECK_OK(rpc_tls_transport_new(p->client_transport, client, &diag, &p->client_transport));
}

static void tls_payload(void *arg)
{
    struct pair *p = arg;
    static const size_t sizes[] = {0, 1, 16384, 70000, 1 << 20, 9 << 20};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct blob *blob = blob_new(sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) {
            blob->data[k] = (uint8_t)(k * 11 + i);
        }
        struct rpc_reply reply;
        struct diag diag = {0};
        CHECK_OK(call_bytes(p->peer, RPC_M_echo, SLICE_LIT("h"), slice_of(blob->data, sizes[i]), 0,
                            &diag, &reply));
        CHECK(slice_eq(reply.msg.payload, slice_of(blob->data, sizes[i])));
        rpc_msg_release(&reply.msg);
        blob_unref(blob);
    }
}

/* Many fibers of two loops on one encrypted connection. */
struct tls_load {
    struct pair *p;
    _Atomic int left;
};

static void tls_load_fiber(void *arg)
{
    struct tls_load *l = arg;
    uint8_t bytes[3000] = {0};
    for (size_t i = 0; i < 100; i++) {
        struct rpc_reply reply;
        struct diag diag = {0};
        memcpy(bytes, &i, sizeof(i));
        struct slice payload = slice_of(bytes, 8 + i * 29);
        CHECK_OK(call_bytes(l->p->peer, RPC_M_echo, SLICE_EMPTY, payload, 0, &diag, &reply));
        CHECK(slice_eq(reply.msg.payload, payload));
        rpc_msg_release(&reply.msg);
    }
    atomic_fetch_sub(&l->left, 1);
}

static void tls_load(struct pair *p)
{
    struct tls_load l = {.p = p};
    atomic_store(&l.left, 60);
    for (int i = 0; i < 60; i++) {
        CHECK_OK(fiber_spawn(p->loops[i % 2], tls_load_fiber, &l));
    }
    WAIT_FOR(atomic_load(&l.left) == 0);
}

static void test_tls(void **state UNUSED)
{
    struct ca c;
    make_ca(&c, SERVER_NODE, CLIENT_NODE);
    const struct rpc_tls_opts server = {pem(&c.ca.cert), pem(&c.server.cert), pem(&c.server.key),
                                        NULL};
    const struct rpc_tls_opts client = {pem(&c.ca.cert), pem(&c.client.cert), pem(&c.client.key),
                                        NULL};
    struct pair p;
    start(&p);
    use_tls(&p, &server, &client);
    pair_start(&p);
    run_on(p.loops[0], tls_payload, &p);
    tls_load(&p);
    pair_stop(&p);
    /* A joining node: no certificate, no CA, a token and the CA's fingerprint. */
    char hex[65];
    CHECK_OK(rpc_tls_fingerprint(pem(&c.ca.cert), hex));
    const struct rpc_tls_opts joiner = {.ca_fingerprint = hex};
    start(&p);
    use_tls(&p, &server, &joiner);
    p.so.admit = admit;
    p.co.identity =
        (struct rpc_identity){.kind = RPC_PEER_JOIN, .token = "let me in", .boot_id = 77};
    pair_start(&p);
    char address[64];
    snprintf(address, sizeof(address), "127.0.0.1:%u", p.port);
    assert_int_equal(call_now(&p, rpc_client_peer_at(p.client, address), RPC_M_echo).err, ERR_OK);
    pair_stop(&p);
    drop_ca(&c);
}

static void expect_tls_refused(const struct rpc_tls_opts *server, const struct rpc_tls_opts *client,
                               const char *text)
{
    struct pair p;
    start(&p);
    use_tls(&p, server, client);
    pair_start(&p);
    struct one_call c = call_now(&p, p.peer, RPC_M_echo);
    assert_int_equal(c.err, ERR_UNAVAILABLE);
    if (strstr(c.diag.text, text) == NULL) {
        fail_msg("'%s' is not in '%s'", text, c.diag.text);
    }
    pair_stop(&p);
}

static void test_tls_refusals(void **state UNUSED)
{
    struct ca c;
    struct ca other;
    make_ca(&c, SERVER_NODE, CLIENT_NODE);
    make_ca(&other, 5, 6);
    struct rpc_tls_opts server = {pem(&c.ca.cert), pem(&c.server.cert), pem(&c.server.key), NULL};
    struct rpc_tls_opts client = {pem(&c.ca.cert), pem(&c.client.cert), pem(&c.client.key), NULL};
    /* The client knows another CA. */
    struct rpc_tls_opts wrong = client;
    wrong.ca_pem = pem(&other.ca.cert);
    expect_tls_refused(&server, &wrong, "certificate is not accepted");
    /* The client's certificate is of another CA. */
    wrong = (struct rpc_tls_opts){pem(&c.ca.cert), pem(&other.client.cert), pem(&other.client.key),
                                  NULL};
    expect_tls_refused(&server, &wrong, "");
    /* A member without a certificate. */
    wrong = (struct rpc_tls_opts){.ca_pem = pem(&c.ca.cert)};
    expect_tls_refused(&server, &wrong, "its certificate says ''");
    /* The certificate of another node of the cluster. */
    wrong = (struct rpc_tls_opts){pem(&c.ca.cert), pem(&c.server.cert), pem(&c.server.key), NULL};
    expect_tls_refused(&server, &wrong, "its certificate says 'node-2'");
    /* The server shows the certificate of another node. */
    struct rpc_tls_opts impostor = {pem(&c.ca.cert), pem(&c.client.cert), pem(&c.client.key), NULL};
    expect_tls_refused(&impostor, &client, "hostname mismatch");
    /* A CA that is none. */
    struct diag diag = {0};
    struct rpc_tls_pair none;
    rpc_tls_pair_init(&none);
    assert_int_equal(rpc_tls_issue_node(&c.client, 9, 30, &diag, &none), ERR_INVALID);
    rpc_tls_pair_fini(&none);
    drop_ca(&c);
    drop_ca(&other);
}

int main(void)
{
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    log_set_sink(log_sink, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_methods_by_kind),
        cmocka_unit_test(test_same_id_twice),
        cmocka_unit_test(test_wrong_node),
        cmocka_unit_test(test_redial),
        cmocka_unit_test(test_stop_with_calls),
        cmocka_unit_test(test_silent_peer),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_asks_and_reads_not),
        cmocka_unit_test(test_unknown_bounded),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_tls_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
