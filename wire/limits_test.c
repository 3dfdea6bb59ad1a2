/* Limits, time-outs, KILL, back-pressure, the end, and bytes that no client would send. */
#include "wire/wire.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/rand.h"
#include "base/test_counting.h"
#include "wire/net/protocol.h"
#include "wire/testing/harness.h"

static uint64_t now_ms(void)
{
    return clock_mono_ns() / NS_PER_MS;
}

static struct wire_counters counters(const struct harness *h)
{
    struct wire_counters n;
    wire_server_counters(h->server, &n);
    return n;
}

static bool is_text(const struct client_conn *c, const char *text)
{
    return c->packet.len == strlen(text) && memcmp(c->packet.ptr, text, c->packet.len) == 0;
}

static void test_max_connections(void **state)
{
    (void)state;
    struct harness h;
    struct fake_limits limits = harness_limits();
    struct client_conn c[3];
    struct client_conn early[2];
    struct client_login root = {.user = "root", .password = ""};
    struct client_login other = {.user = "native", .password = FAKE_PASSWORD};
    limits.max_connections = 2;
    harness_start(&h, limits, 2, 0);
    assert_true(client_connect(&early[0], h.port, NULL)); /* greeted before places are taken */
    assert_true(client_connect(&early[1], h.port, NULL));
    harness_login(&h, &c[0]);
    harness_login(&h, &c[1]);
    assert_true(client_connect(&c[2], h.port, NULL));
    assert_false(client_login(&c[2], &other));
    assert_true(is_text(&c[2], "\xff\x10\x04#08004Too many connections"));
    assert_true(client_login(&early[0], &root)); /* one place more for administrators */
    assert_false(client_login(&early[1], &root));
    assert_true(is_text(&early[1], "\xff\x10\x04#08004Too many connections"));
    client_close(&early[1]);
    client_close(&c[2]);
    assert_false(client_connect(&c[2], h.port, NULL));
    assert_true(is_text(&c[2], "\xff\x10\x04Too many connections"));
    assert_true(client_at_end(&c[2]));
    client_close(&c[2]);
    client_close(&early[0]);
    client_close(&c[0]);
    for (int i = 0; counters(&h).connections_now > 1 && i < 20000; i++) {
        usleep(1000);
    }
    harness_login(&h, &c[0]);
    assert_int_equal(counters(&h).connections_refused, 3);
    client_close(&c[0]);
    client_close(&c[1]);
    harness_stop(&h);
}

/* Who has no password fills no memory. */
static void test_large_before_login(void **state)
{
    (void)state;
    enum { TOO_LARGE = 1153 };
    struct harness h;
    struct client_conn c;
    harness_start(&h, harness_limits(), 1, 0);
    assert_true(client_connect(&c, h.port, NULL));
    assert_true(client_write_raw(&c, "\x00\x00\x03\x01", PACKET_HEADER_SIZE)); /* 192 KiB follow */
    c.seq = 2;
    assert_true(client_read(&c));
    assert_int_equal(client_error(&c), TOO_LARGE);
    assert_true(client_at_end(&c));
    client_close(&c);
    harness_stop(&h);
}

static void test_connect_timeout(void **state)
{
    (void)state;
    struct harness h;
    struct fake_limits limits = harness_limits();
    struct client_conn c[2];
    limits.connect_timeout_s = 1;
    harness_start(&h, limits, 1, 0);
    uint64_t start = now_ms();
    assert_true(client_connect(&c[0], h.port, NULL));
    assert_true(client_connect(&c[1], h.port, NULL)); /* stops in the middle of its login */
    assert_true(client_write_raw(&c[1], "\x50\x00\x00\x01xyz", 7));
    c[1].seq = 2; /* the header was seen */
    for (int i = 0; i < 2; i++) {
        assert_true(client_read(&c[i]));
        assert_true(is_text(&c[i], "\xff\x87\x04#08S01Got timeout reading communication packets"));
        assert_true(client_at_end(&c[i]));
        client_close(&c[i]);
    }
    assert_in_range(now_ms() - start, 900, 8000); /* of the usual 10 s or more */
    harness_stop(&h);
}

/* 2,000 clients that say nothing: little memory each, and others still get in. */
static void test_idle_preauth(void **state)
{
    (void)state;
    enum { IDLE = 2000 };
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    unsigned count = files.rlim_cur > 6 * IDLE ? IDLE : (unsigned)(files.rlim_cur / 6);
    struct harness h;
    struct client_conn *idle = mem_calloc(count, sizeof(*idle));
    assert_non_null(idle);
    struct fake_limits limits = harness_limits();
    limits.connect_timeout_s = 600;
    harness_start(&h, limits, 2, count / 2);
    for (unsigned i = 0; i < count; i++) {
        assert_true(client_connect(&idle[i], h.port, NULL));
    }
    struct client_conn c;
    harness_login(&h, &c);
    assert_true(client_query(&c, "one"));
    harness_drain_result(&c);
    struct wire_counters n = counters(&h);
    for (int i = 0; i < 6000 && n.preauth_evicted < count / 2 - 2; i++) { /* the other loop's */
        usleep(10000);
        n = counters(&h);
    }
    assert_in_range(n.preauth_now, count / 2 - 2, count / 2);
    assert_in_range(n.preauth_evicted, count / 2 - 2, count / 2 + 3);
    assert_true(n.buffer_bytes < 2 << 20);
    assert_true(client_at_end(&idle[0])); /* the oldest went */
    client_close(&c);
    for (unsigned i = 0; i < count; i++) {
        client_close(&idle[i]);
    }
    mem_free(idle);
    harness_stop(&h);
}

static void test_wait_timeout(void **state)
{
    (void)state;
    struct harness h;
    struct client_conn c;
    harness_start(&h, harness_limits(), 1, 0);
    harness_login(&h, &c);
    assert_true(client_query(&c, "timeout 1"));
    uint64_t start = now_ms();
    c.seq = 0;
    assert_true(client_read(&c));
    assert_int_equal(client_error(&c), 4031);
    assert_true(client_at_end(&c));
    assert_in_range(now_ms() - start, 900, 8000); /* of the usual 10 s or more */
    client_close(&c);
    harness_stop(&h);
}

/* A machine that is busy lets a command wait before it runs. */
static void await_sleep(struct sql_engine *engine, uint64_t id)
{
    for (int i = 0; !fake_engine_sleeps(engine, id) && i < 60000; i++) {
        usleep(1000);
    }
}

struct killer {
    struct sql_engine *engine;
    uint64_t id;
    bool connection;
};

static void *kill_later(void *arg)
{
    struct killer *k = arg;
    await_sleep(k->engine, k->id);
    fake_engine_kill(k->engine, k->id, k->connection);
    return NULL;
}

static void test_kill(void **state)
{
    (void)state;
    struct harness h;
    struct client_conn c;
    pthread_t thread;
    harness_start(&h, harness_limits(), 2, 0);
    harness_login(&h, &c);
    struct killer k = {h.engine, c.id, false};
    uint64_t start = now_ms();
    assert_int_equal(pthread_create(&thread, NULL, kill_later, &k), 0);
    assert_true(client_query(&c, "sleep 9000"));
    pthread_join(thread, NULL);
    assert_int_equal(client_error(&c), 1317);
    assert_true(now_ms() - start < 8000);
    fake_engine_kill(h.engine, c.id, false); /* nothing runs: no effect */
    assert_true(client_query(&c, "one"));
    harness_drain_result(&c);
    assert_true(client_query(&c, "sleep 100"));
    assert_int_equal(client_error(&c), 0);
    k.connection = true; /* busy */
    assert_int_equal(pthread_create(&thread, NULL, kill_later, &k), 0);
    assert_true(client_query(&c, "sleep 9000"));
    pthread_join(thread, NULL);
    assert_int_equal(client_error(&c), 1317);
    assert_true(client_at_end(&c));
    client_close(&c);
    harness_login(&h, &c); /* idle */
    assert_true(fake_engine_kill(h.engine, c.id, true));
    assert_true(client_at_end(&c));
    client_close(&c);
    harness_stop(&h);
}

/* KILL QUERY ends the command that runs, and none of those that the client has sent behind it. */
static void test_kill_pipelined(void **state)
{
    (void)state;
    enum { BEHIND = 3 };
    struct harness h;
    struct client_conn c;
    pthread_t thread;
    static const char first[] = "\x0b\0\0\0\x03sleep 9000";
    static const char next[] = "\x0a\0\0\0\x03sleep 100";
    harness_start(&h, harness_limits(), 2, 0);
    harness_login(&h, &c);
    struct killer k = {h.engine, c.id, false};
    assert_true(client_write_raw(&c, first, sizeof(first) - 1));
    for (int i = 0; i < BEHIND; i++) {
        assert_true(client_write_raw(&c, next, sizeof(next) - 1));
    }
    uint64_t start = now_ms();
    assert_int_equal(pthread_create(&thread, NULL, kill_later, &k), 0);
    c.seq = 1;
    assert_true(client_read(&c));
    assert_int_equal(client_error(&c), 1317);
    assert_true(now_ms() - start < 8000);
    for (int i = 0; i < BEHIND; i++) {
        c.seq = 1;
        assert_true(client_read(&c));
        assert_int_equal(client_error(&c), 0);
    }
    pthread_join(thread, NULL);
    assert_true(now_ms() - start >= BEHIND * 100);
    /* One that comes when the command does not look any more: it waits for its reader. */
    static const char many[] = "\x0c\0\0\0\x03rows 500000";
    assert_true(client_write_raw(&c, many, sizeof(many) - 1));
    assert_true(client_write_raw(&c, next, sizeof(next) - 1));
    usleep(300000);
    assert_true(fake_engine_kill(h.engine, c.id, false));
    usleep(100000);
    c.seq = 1;
    assert_true(client_read(&c));
    harness_drain_result(&c);
    c.seq = 1;
    assert_true(client_read(&c));
    assert_int_equal(client_error(&c), 0);
    client_close(&c);
    harness_stop(&h);
}

/* A client that does not read stalls itself alone, and is dropped in the end. */
static void test_slow_reader(void **state)
{
    (void)state;
    struct harness h;
    struct fake_limits limits = harness_limits();
    struct client_conn slow;
    struct client_conn other;
    limits.net_write_timeout_s = 5;
    harness_start(&h, limits, 1, 0);
    harness_login(&h, &slow);
    harness_login(&h, &other);
    assert_true(client_query(&slow, "rows 3000000"));
    usleep(200000);
    uint64_t start = now_ms();
    unsigned beside = 0; /* answers while the slow one is there: a busy machine may be slow, too */
    for (int i = 0; i < 200; i++) {
        assert_true(client_query(&other, "one"));
        harness_drain_result(&other);
        beside += fake_engine_sessions(h.engine) > 1;
    }
    assert_true(now_ms() - start < 4000 || beside > 2);
    assert_true(counters(&h).buffer_bytes < 1 << 20);
    for (int i = 0; fake_engine_sessions(h.engine) > 1 && i < 30000; i++) {
        usleep(1000);
    }
    assert_int_equal(fake_engine_sessions(h.engine), 1);
    client_close(&slow);
    /* one that reads after a while gets everything */
    harness_login(&h, &slow);
    assert_true(client_query(&slow, "rows 500000"));
    usleep(300000);
    assert_int_equal(harness_drain_result(&slow), 1 + 3 + 500000 + 1);
    client_close(&slow);
    client_close(&other);
    harness_stop(&h);
}

/* Packets of rows that follow each other; what is behind the last whole one is cut off. */
static bool in_order(struct slice bytes, uint8_t seq)
{
    while (bytes.len >= PACKET_HEADER_SIZE) {
        const uint8_t *h = bytes.ptr;
        size_t size = h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16;
        if (h[3] != seq++) {
            return false;
        }
        if (size > bytes.len - PACKET_HEADER_SIZE) {
            break;
        }
        bytes = slice_from(bytes, PACKET_HEADER_SIZE + size);
    }
    return true;
}

/* A slow reader that is killed: its bytes end somewhere, and none comes twice. */
static void test_kill_slow_reader(void **state)
{
    (void)state;
    enum { READ_FIRST = 3000, BYTES_MAX = 256 << 20, PIECE = 1 << 20 };
    struct harness h;
    struct client_conn slow;
    struct buf rest;
    buf_init(&rest, BYTES_MAX);
    harness_start(&h, harness_limits(), 1, 0);
    harness_login(&h, &slow);
    assert_true(client_query(&slow, "rows 3000000"));
    usleep(300000); /* all buffers are full */
    for (int i = 0; i < READ_FIRST; i++) {
        assert_true(client_read(&slow)); /* room for a little, too little to go on for */
    }
    usleep(100000);
    assert_true(fake_engine_kill(h.engine, slow.id, true));
    usleep(100000);
    ssize_t n;
    do {
        assert_int_equal(buf_reserve(&rest, PIECE), ERR_OK);
        n = recv(slow.fd, rest.ptr + rest.len, PIECE, 0);
        rest.len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    assert_true(rest.len > 0);
    assert_true(in_order(buf_slice(&rest), slow.seq));
    buf_fini(&rest);
    client_close(&slow);
    harness_stop(&h);
}

static void send_long_data(struct client_conn *c, uint8_t param, size_t size)
{
    static uint8_t packet[7 + (64 << 10)] = {0x18, 1};
    assert_true(size <= sizeof(packet) - 7);
    packet[5] = param;
    memset(packet + 7, 'x', size);
    c->seq = 0;
    assert_true(client_write(c, slice_of(packet, 7 + size)));
}

/* Values that come in pieces are memory of the session, however many parameters there are. */
static void test_long_data_is_counted(void **state)
{
    (void)state;
    static const uint8_t body[] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0xfd, 0, 0xfd, 0, 0xfd, 0};
    struct harness h;
    struct fake_limits limits = harness_limits();
    struct client_conn c;
    limits.kept_max = 1 << 20;
    harness_start(&h, limits, 1, 0);
    harness_login(&h, &c);
    assert_true(client_command(&c, 0x16, SLICE_LIT("? ? ?")));
    for (int i = 0; i < 6; i++) {
        assert_true(client_read(&c));
    }
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 48; i++) {
            send_long_data(&c, (uint8_t)(i % 3), 64 << 10);
        }
        assert_true(client_command(&c, 0x17, slice_of(body, sizeof(body))));
        assert_int_equal(client_error(&c), 20003);
    }
    for (int round = 0; round < 30; round++) { /* what is over is not counted */
        for (uint8_t i = 0; i < 3; i++) {
            send_long_data(&c, i, 64 << 10);
        }
        assert_true(client_command(&c, 0x17, slice_of(body, sizeof(body))));
        assert_int_equal(client_error(&c), 0);
        for (int i = 0; i < 5; i++) {
            assert_true(client_read(&c));
        }
    }
    client_close(&c);
    harness_stop(&h);
}

/* A ping that has a body. */
static bool large_ping(struct client_conn *c, struct buf *b, size_t size)
{
    buf_reset(b);
    assert_int_equal(buf_reserve(b, size), ERR_OK);
    memset(b->ptr, 0x0e, size);
    b->len = size;
    c->seq = 0;
    return client_write(c, buf_slice(b));
}

/* What comes in is memory of the session, before it is whole. */
static void test_packets_are_counted(void **state)
{
    (void)state;
    struct harness h;
    struct fake_limits limits = harness_limits();
    struct client_conn c;
    struct buf b;
    limits.kept_max = 1 << 20;
    buf_init(&b, 16 << 20);
    harness_start(&h, limits, 1, 0);
    harness_login(&h, &c);
    for (int round = 0; round < 20; round++) { /* what is over is not counted */
        assert_true(large_ping(&c, &b, 600 << 10) && client_read(&c));
        assert_int_equal(c.packet.ptr[0], 0);
    }
    assert_true(large_ping(&c, &b, 3 << 20) && client_read(&c));
    assert_int_equal(client_error(&c), 20003);
    assert_true(client_at_end(&c));
    client_close(&c);
    harness_login(&h, &c); /* one that goes away half-way */
    assert_true(client_write_raw(&c, "\0\0\x10\0", 4));
    assert_true(client_write_raw(&c, b.ptr, 600 << 10));
    usleep(100000);
    client_close(&c);
    buf_fini(&b);
    harness_stop(&h);
}

static void *sleep_query(void *arg)
{
    struct client_conn *c = arg;
    return (void *)(uintptr_t)(client_query(c, "sleep 1500") && client_error(c) == 0);
}

static void test_drain(void **state)
{
    (void)state;
    struct harness h;
    struct client_conn busy;
    struct client_conn idle;
    struct client_conn fresh;
    pthread_t thread;
    void *result;
    harness_start(&h, harness_limits(), 2, 0);
    harness_login(&h, &busy);
    harness_login(&h, &idle);
    assert_true(client_connect(&fresh, h.port, NULL));
    assert_int_equal(pthread_create(&thread, NULL, sleep_query, &busy), 0);
    await_sleep(h.engine, busy.id);
    wire_server_drain(h.server, clock_mono_ns() + 20 * NS_PER_S);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result); /* it was let end */
    assert_true(client_at_end(&busy) && client_at_end(&idle) && client_at_end(&fresh));
    client_close(&busy);
    client_close(&idle);
    client_close(&fresh);
    harness_stop(&h);
}

/* --- what a command costs --- */

static void test_no_allocation_per_command(void **state)
{
    (void)state;
    struct harness h;
    struct client_conn c;
    harness_start(&h, harness_limits(), 1, 0);
    harness_login(&h, &c);
    mem_set_allocator(&counting_allocator);
    buf_fini(&c.packet);
    for (int i = 0; i < 10; i++) {
        assert_true(client_query(&c, "one"));
        harness_drain_result(&c);
    }
    uint64_t before = atomic_load(&counting_calls);
    enum { COMMANDS = 500 };
    for (int i = 0; i < COMMANDS; i++) {
        assert_true(client_query(&c, "one"));
        harness_drain_result(&c);
    }
    /* the client's own: one buffer for each command that it sends */
    assert_int_equal(atomic_load(&counting_calls) - before, COMMANDS);
    client_close(&c);
    harness_stop(&h);
    mem_set_allocator(NULL);
}

/* --- bad bytes --- */

static void drain_socket(const struct client_conn *c)
{
    uint8_t junk[65536];
    while (recv(c->fd, junk, sizeof(junk), MSG_DONTWAIT) > 0) {
    }
}

static size_t random_packet(struct rand *r, uint8_t *out, size_t max, uint8_t seq)
{
    size_t size = rand_below(r, max - 4);
    size_t told = rand_below(r, 10) == 0 ? rand_below(r, 1 << 24) : size;
    out[0] = (uint8_t)told;
    out[1] = (uint8_t)(told >> 8);
    out[2] = (uint8_t)(told >> 16);
    out[3] = rand_below(r, 20) == 0 ? (uint8_t)rand_u64(r) : seq;
    for (size_t i = 0; i < size; i++) {
        out[4 + i] = rand_below(r, 3) == 0 ? 0 : (uint8_t)rand_u64(r);
    }
    return 4 + size;
}

static void test_random_login(void **state)
{
    (void)state;
    struct harness h;
    struct rand r;
    uint8_t data[600];
    harness_start(&h, harness_limits(), 2, 0);
    rand_seed(&r, 20260);
    for (int i = 0; i < 600; i++) {
        struct client_conn c;
        assert_true(client_connect(&c, h.port, NULL));
        size_t n = random_packet(&r, data, rand_below(&r, 4) == 0 ? sizeof(data) : 120, 1);
        uint32_t caps = (uint32_t)rand_u64(&r) | CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION;
        if (n > 40 && rand_below(&r, 4) != 0) { /* one that gets further */
            memcpy(data + 4, &caps, 4);
            memcpy(data + 36, rand_below(&r, 2) == 0 ? "sha\0\x01\x01" : "root\0", 6);
        }
        (void)client_write_raw(&c, data, n);
        drain_socket(&c);
        client_close(&c);
    }
    struct client_conn c;
    harness_login(&h, &c);
    client_close(&c);
    harness_stop(&h);
}

static void test_random_commands(void **state)
{
    (void)state;
    static const uint8_t codes[] = {2,    3,    4,    0x11, 0x16, 0x17, 0x17, 0x17,
                                    0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1f, 9,    14};
    struct harness h;
    struct rand r;
    uint8_t data[200];
    harness_start(&h, harness_limits(), 2, 0);
    rand_seed(&r, 4711);
    for (int i = 0; i < 100; i++) {
        struct client_conn c;
        struct client_login l = {.user = "root", .password = ""};
        l.caps = CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH | CAP_QUERY_ATTRIBUTES;
        assert_true(client_connect(&c, h.port, NULL) && client_login(&c, &l));
        assert_true(client_command(&c, 0x16, SLICE_LIT("? ? ? ? ?")));
        for (int k = 0; k < 60; k++) {
            size_t n = random_packet(&r, data, 16 + rand_below(&r, 180), 0);
            data[4] = codes[rand_below(&r, sizeof(codes))];
            if (n > 15 && data[4] >= 0x16) {
                memcpy(data + 5, "\1\0\0\0", 4);
            }
            if (!client_write_raw(&c, data, n)) {
                break;
            }
            drain_socket(&c);
        }
        client_close(&c);
    }
    struct client_conn c;
    harness_login(&h, &c);
    client_close(&c);
    harness_stop(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max_connections),
        cmocka_unit_test(test_large_before_login),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_idle_preauth),
        cmocka_unit_test(test_wait_timeout),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_kill_pipelined),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_kill_slow_reader),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_long_data_is_counted),
        cmocka_unit_test(test_packets_are_counted),
        cmocka_unit_test(test_no_allocation_per_command),
        cmocka_unit_test(test_random_login),
        cmocka_unit_test(test_random_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
