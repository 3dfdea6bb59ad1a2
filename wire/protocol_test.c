/* What goes over the wire: login, packets, results, prepared statements. */
#include "wire/wire.h"

#include <time.h>

#include "base/alloc.h"
#include "wire/net/protocol.h"
#include "wire/testing/harness.h"

static struct harness g_h;

static int setup(void **state)
{
    (void)state;
    harness_start(&g_h, harness_limits(), 2, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_stop(&g_h);
    return 0;
}

static void assert_packet(const struct client_conn *c, const void *want, size_t size)
{
    assert_int_equal(c->packet.len, size);
    assert_memory_equal(c->packet.ptr, want, size);
}
#define ASSERT_PACKET(c, text) assert_packet((c), (text), sizeof(text) - 1)

static bool contains(const struct client_conn *c, const char *text)
{
    return memmem(c->packet.ptr, c->packet.len, text, strlen(text)) != NULL;
}

static bool try_login(const char *user, const char *password, const char *plugin, bool tls,
                      bool local)
{
    struct client_conn c;
    struct client_login l = {.user = user, .password = password, .plugin = plugin, .tls = tls};
    assert_true(client_connect(&c, g_h.port, local ? g_h.socket : NULL));
    bool ok = client_login(&c, &l);
    if (ok) {
        char want[80];
        snprintf(want, sizeof(want), "%s@localhost", user);
        assert_true(client_query(&c, "whoami") && client_read(&c) && client_read(&c));
        assert_true(contains(&c, want));
    }
    client_close(&c);
    return ok;
}

static void test_login(void **state)
{
    (void)state;
    assert_true(try_login("root", "", NULL, false, false));
    assert_true(try_login("root", "", NULL, true, false));
    assert_true(try_login("root", "", "mysql_native_password", false, true));
    /* First by the RSA key, then from the cache. */
    assert_true(try_login("sha", FAKE_PASSWORD, NULL, false, false));
    assert_true(try_login("sha", FAKE_PASSWORD, NULL, false, false));
    assert_true(try_login("sha", FAKE_PASSWORD, "mysql_native_password", false, false));
    assert_true(try_login("longer", FAKE_LONG_PASSWORD, NULL, true, false));
    assert_true(try_login("longer", FAKE_LONG_PASSWORD, NULL, false, true));
    assert_true(try_login("native", FAKE_PASSWORD, NULL, false, false));
    assert_true(try_login("native", FAKE_PASSWORD, "mysql_native_password", false, false));
    assert_true(try_login("tlsonly", FAKE_PASSWORD, NULL, true, false));
    assert_false(try_login("tlsonly", FAKE_PASSWORD, NULL, false, false));
    assert_false(try_login("sha", "wrong", NULL, false, false));
    assert_false(try_login("sha", "wrong", NULL, true, false));
    assert_false(try_login("sha", "", NULL, true, false));
    assert_false(try_login("root", "something", NULL, true, false));
    assert_false(try_login("native", "", NULL, true, false));
    assert_false(try_login("nobody", "", NULL, false, false));
    assert_false(try_login("nobody", "x", NULL, false, false));
}

static void test_login_errors(void **state)
{
    (void)state;
    struct client_conn c;
    struct client_login l = {.user = "native", .password = "wrong"};
    assert_true(client_connect(&c, g_h.port, NULL));
    assert_false(client_login(&c, &l));
    ASSERT_PACKET(
        &c, "\xff\x15\x04#28000Access denied for user 'native'@'localhost' (using password: YES)");
    assert_true(client_at_end(&c));
    client_close(&c);
    l = (struct client_login){.user = "nobody", .password = ""};
    assert_true(client_connect(&c, g_h.port, NULL));
    assert_false(client_login(&c, &l));
    ASSERT_PACKET(
        &c, "\xff\x15\x04#28000Access denied for user 'nobody'@'localhost' (using password: NO)");
    client_close(&c);
    l = (struct client_login){.user = "locked", .password = FAKE_PASSWORD};
    assert_true(client_connect(&c, g_h.port, NULL));
    assert_false(client_login(&c, &l));
    assert_int_equal(client_error(&c), 3118);
    client_close(&c);
    l = (struct client_login){.user = "root", .password = "", .schema = "nosuch"};
    assert_true(client_connect(&c, g_h.port, NULL));
    assert_false(client_login(&c, &l));
    assert_int_equal(client_error(&c), 1049);
    client_close(&c);
    l.schema = "there";
    assert_true(client_connect(&c, g_h.port, NULL));
    assert_true(client_login(&c, &l));
    ASSERT_PACKET(&c, "\x00\x00\x00\x02\x40\x00\x00\x00\x08\x01\x06\x05there");
    client_close(&c);
    assert_true(client_connect(&c, g_h.port, NULL));
    assert_true(client_write(&c, SLICE_LIT("\x05\xa2")) && client_read(&c));
    ASSERT_PACKET(&c, "\xff\x13\x04#08S01"
                      "Bad handshake");
    client_close(&c);
    assert_true(client_connect(&c, g_h.port, NULL));
    assert_true(client_write(&c, SLICE_LIT("\x05\x20\0\0\0root\0\0")) && client_read(&c));
    assert_int_equal(client_error(&c), 1251);
    client_close(&c);
    assert_true(client_connect(&c, g_h.port, NULL));
    c.seq = 3;
    assert_true(client_write(&c, SLICE_LIT("\x05\xa2")));
    c.seq = 1;
    assert_true(client_read(&c));
    assert_int_equal(client_error(&c), 1156);
    assert_true(client_at_end(&c));
    client_close(&c);
}

/* Who leaves when the first answer says that the password is another one has made a guess. */
static void test_guess_counts(void **state)
{
    (void)state;
    enum { SCRAMBLE = 32 };
    struct client_conn c;
    struct buf b;
    buf_init(&b, 256);
    assert_true(try_login("counted", FAKE_PASSWORD, NULL, true, false)); /* the digest is known */
    unsigned before = fake_engine_wrong_logins(g_h.engine);
    assert_int_equal(buf_append_slice(&b, SLICE_LIT("\x01\x82\x08\0\0\0\0\1\xff")), ERR_OK);
    for (int i = 0; i < 23; i++) {
        assert_int_equal(buf_append_u8(&b, 0), ERR_OK);
    }
    assert_int_equal(buf_append_slice(&b, SLICE_LIT("counted\0\x20")), ERR_OK);
    for (int i = 0; i < SCRAMBLE; i++) {
        assert_int_equal(buf_append_u8(&b, 'x'), ERR_OK);
    }
    assert_int_equal(buf_append_slice(&b, SLICE_LIT("caching_sha2_password\0")), ERR_OK);
    assert_true(client_connect(&c, g_h.port, NULL));
    assert_true(client_write(&c, buf_slice(&b)) && client_read(&c));
    ASSERT_PACKET(&c, "\1\4"); /* no */
    client_close(&c);
    for (int i = 0; fake_engine_wrong_logins(g_h.engine) == before && i < 2000; i++) {
        usleep(1000);
    }
    assert_int_equal(fake_engine_wrong_logins(g_h.engine), before + 1);
    buf_fini(&b);
}

static clock_t cost_of_wrong(const char *user)
{
    enum { GUESSES = 5 };
    clock_t before = clock();
    for (int i = 0; i < GUESSES; i++) {
        assert_false(try_login(user, "wrong", NULL, false, true));
    }
    return clock() - before;
}

/* The time does not tell whether an account has a second password, or exists. */
static void test_wrong_password_time(void **state)
{
    (void)state;
    static const char *const users[] = {"sha", "two", "nobody"};
    clock_t least[ARRAY_COUNT(users)] = {0}; /* what a busy machine adds is not the server's */
    bool alike = false;
    for (unsigned round = 0; round < 20 && !alike; round++) {
        for (size_t i = 0; i < ARRAY_COUNT(users); i++) {
            clock_t cost = cost_of_wrong(users[i]);
            least[i] = round == 0 || cost < least[i] ? cost : least[i];
        }
        clock_t one = least[0];
        alike = true;
        for (size_t i = 1; i < ARRAY_COUNT(users); i++) {
            alike = alike && least[i] < one * 3 / 2 && one < least[i] * 3 / 2;
        }
    }
    assert_true(alike);
}

static void test_commands(void **state)
{
    (void)state;
    struct client_conn c;
    harness_login(&g_h, &c);
    assert_true(client_command(&c, 0x0e, SLICE_EMPTY));
    ASSERT_PACKET(&c, "\x00\x00\x00\x02\x00\x00\x00");
    assert_true(client_command(&c, 0x02, SLICE_LIT("nosuch")));
    ASSERT_PACKET(&c, "\xff\x19\x04#42000Unknown database 'nosuch'");
    assert_true(client_command(&c, 0x02, SLICE_EMPTY));
    ASSERT_PACKET(&c, "\xff\x16\x04#3D000No database selected");
    static const uint8_t none[] = {0x00, 0x05, 0x06, 0x07, 0x08, 0x0a, 0x0c, 0x21, 0x22, 0xff};
    for (size_t i = 0; i < sizeof(none); i++) {
        assert_true(client_command(&c, none[i], SLICE_LIT("x")));
        ASSERT_PACKET(&c, "\xff\x17\x04#08S01Unknown command");
    }
    c.seq = 0;
    assert_true(client_write(&c, SLICE_EMPTY) && client_read(&c));
    ASSERT_PACKET(&c, "\xff\x17\x04#08S01Unknown command");
    assert_true(client_command(&c, 0x0d, SLICE_EMPTY));
    ASSERT_PACKET(&c, "\xfe\x00\x00\x02\x00\x00\x00");
    assert_true(client_command(&c, 0x1b, SLICE_LIT("\x00")));
    ASSERT_PACKET(&c, "\xff\x2b\x07#HY000Malformed communication packet.");
    assert_true(client_command(&c, 0x1b, SLICE_LIT("\x05\x00")));
    assert_int_equal(client_error(&c), 1047);
    assert_true(client_query(&c, "multi"));
    assert_int_equal(client_error(&c), 1064);
    assert_true(client_command(&c, 0x1b, SLICE_LIT("\x00\x00")));
    ASSERT_PACKET(&c, "\xfe\x00\x00\x02\x00\x00\x00");
    assert_true(client_query(&c, "multi"));
    assert_int_equal(harness_drain_result(&c), 4);
    ASSERT_PACKET(&c, "\xfe\x00\x00\x0a\x00\x00\x00");
    assert_true(client_read(&c));
    ASSERT_PACKET(&c, "\x00\x05\x00\x02\x00\x00\x00");
    assert_true(client_command(&c, 0x09, SLICE_EMPTY) && contains(&c, "Uptime: "));
    assert_true(client_command(&c, 0x04, SLICE_LIT("t\0")));
    assert_true(client_read(&c) && contains(&c, "dflt") && client_read(&c));
    ASSERT_PACKET(&c, "\xfe\x00\x00\x02\x00\x00\x00");
    assert_true(client_command(&c, 0x1f, SLICE_EMPTY));
    ASSERT_PACKET(&c, "\x00\x00\x00\x02\x00\x00\x00");
    assert_false(client_command(&c, 0x01, SLICE_EMPTY));
    client_close(&c);
}

static void test_ok_fields(void **state)
{
    (void)state;
    struct client_conn c;
    harness_login(&g_h, &c);
    assert_true(client_query(&c, "ok"));
    ASSERT_PACKET(&c, "\x00\xfc\x2c\x01\xfd\x70\x11\x01\x02\x40\x03\x00\x2c"
                      "Rows matched: 300  Changed: 300  Warnings: 3"
                      "\x10\x00\x0e\x0a"
                      "autocommit\x02ON");
    client_close(&c);
}

static void test_text_rows(void **state)
{
    (void)state;
    struct client_conn c;
    harness_login(&g_h, &c);
    assert_true(client_query(&c, "one"));
    ASSERT_PACKET(&c, "\x01");
    assert_true(client_read(&c));
    ASSERT_PACKET(&c, "\x03"
                      "def\x04"
                      "fake\x01t\x00\x01"
                      "1\x01"
                      "1\x0c\x3f\x00\x14\x00\x00\x00"
                      "\x08\x00\x00\x00\x00\x00");
    assert_true(client_read(&c));
    ASSERT_PACKET(&c, "\x01"
                      "1");
    assert_true(client_read(&c));
    ASSERT_PACKET(&c, "\xfe\x00\x00\x02\x00\x00\x00");
    assert_true(client_query(&c, "types"));
    for (int i = 0; i < 17; i++) {
        assert_true(client_read(&c));
    }
    ASSERT_PACKET(&c, "\x04-128\x06-32768\x07"
                      "8388607\x0a"
                      "4294967295\x14-9223372036854775808"
                      "\x14"
                      "18446744073709551615\x03"
                      "1.5\x03"
                      "0.1\x0a-12345.678\x0a"
                      "2024-02-29\x11-838:05:09.250000\x1a"
                      "2024-02-29 13:05:09.250000\x04"
                      "0000\x06h\xc3\xa9llo\xfb\x08"
                      "00000042");
    assert_true(client_read(&c));
    assert_true(client_query(&c, "rows 100000"));
    assert_int_equal(harness_drain_result(&c), 1 + 3 + 100000 + 1);
    client_close(&c);
}

/* Without CLIENT_DEPRECATE_EOF there are EOF packets, and one only when a cursor is opened. */
static void test_old_eof(void **state)
{
    (void)state;
    struct client_conn c;
    struct client_login l = {.user = "root", .password = ""};
    l.caps = CAP_LONG_PASSWORD | CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH;
    assert_true(client_connect(&c, g_h.port, NULL));
    assert_true(client_login(&c, &l));
    assert_true(client_query(&c, "one") && client_read(&c) && client_read(&c));
    ASSERT_PACKET(&c, "\xfe\x00\x00\x02\x00");
    assert_true(client_read(&c) && client_read(&c));
    ASSERT_PACKET(&c, "\xfe\x00\x00\x02\x00");
    assert_true(client_command(&c, 0x16, SLICE_LIT("one")));
    ASSERT_PACKET(&c, "\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00");
    assert_true(client_read(&c) && client_read(&c));
    ASSERT_PACKET(&c, "\xfe\x00\x00\x02\x00");
    assert_true(client_command(&c, 0x17, SLICE_LIT("\1\0\0\0\1\1\0\0\0")));
    assert_true(client_read(&c) && client_read(&c));
    ASSERT_PACKET(&c, "\xfe\x00\x00\x42\x00");
    assert_true(client_command(&c, 0x1c, SLICE_LIT("\1\0\0\0\5\0\0\0")));
    ASSERT_PACKET(&c, "\x00\x00\x01\0\0\0\0\0\0\0");
    assert_true(client_read(&c));
    ASSERT_PACKET(&c, "\xfe\x00\x00\x42\x00");
    assert_true(client_command(&c, 0x1c, SLICE_LIT("\1\0\0\0\5\0\0\0")));
    ASSERT_PACKET(&c, "\xfe\x00\x00\x82\x00");
    assert_true(client_command(&c, 0x1c, SLICE_LIT("\1\0\0\0\5\0\0\0")));
    assert_int_equal(client_error(&c), 1421);
    client_close(&c);
}

static void test_binary_rows(void **state)
{
    (void)state;
    struct client_conn c;
    harness_login(&g_h, &c);
    assert_true(client_command(&c, 0x16, SLICE_LIT("types")));
    for (int i = 0; i < 16; i++) {
        assert_true(client_read(&c));
    }
    assert_true(client_command(&c, 0x17, SLICE_LIT("\1\0\0\0\0\1\0\0\0")));
    for (int i = 0; i < 17; i++) {
        assert_true(client_read(&c));
    }
    ASSERT_PACKET(&c, "\x00\x00\x00\x01\x80\x00\x80\xff\xff\x7f\x00\xff\xff\xff\xff"
                      "\x00\x00\x00\x00\x00\x00\x00\x80\xff\xff\xff\xff\xff\xff\xff\xff"
                      "\x00\x00\xc0\x3f\x9a\x99\x99\x99\x99\x99\xb9\x3f\x0a-12345.678"
                      "\x04\xe8\x07\x02\x1d\x0c\x01\x22\x00\x00\x00\x16\x05\x09\x90\xd0\x03\x00"
                      "\x0b\xe8\x07\x02\x1d\x0d\x05\x09\x90\xd0\x03\x00\x00\x00"
                      "\x06h\xc3\xa9llo\x2a\x00\x00\x00");
    client_close(&c);
}

static void execute(struct client_conn *c, const void *body, size_t size)
{
    assert_true(client_command(c, 0x17, slice_of(body, size)));
}
#define EXECUTE(c, text) execute((c), (text), sizeof(text) - 1)

static void test_parameters(void **state)
{
    (void)state;
    struct client_conn c;
    harness_login(&g_h, &c);
    assert_true(client_command(&c, 0x16, SLICE_LIT("? ? ?")));
    for (int i = 0; i < 6; i++) {
        assert_true(client_read(&c));
    }
    EXECUTE(&c, "\1\0\0\0\0\1\0\0\0\0\0");
    assert_int_equal(client_error(&c), 1835); /* types were never told */
    EXECUTE(&c, "\1\0\0\0");
    assert_int_equal(client_error(&c), 1835);
    EXECUTE(&c, "\x63\0\0\0\0\1\0\0\0");
    ASSERT_PACKET(&c, "\xff\xdb\x04#HY000Unknown prepared statement handler (99) given to "
                      "mysql_stmt_precheck");
    /* TINY, NULL by the bitmap, VAR_STRING */
    EXECUTE(&c, "\1\0\0\0\0\1\0\0\0\2\1\1\0\xfd\0\xfd\0\xfb\3xyz");
    for (int i = 0; i < 4; i++) {
        assert_true(client_read(&c));
    }
    ASSERT_PACKET(&c, "\x00\x08\xfb\x03xyz");
    assert_true(client_read(&c));
    /* types are remembered */
    EXECUTE(&c, "\1\0\0\0\0\1\0\0\0\2\0\x05\2xy");
    for (int i = 0; i < 4; i++) {
        assert_true(client_read(&c));
    }
    ASSERT_PACKET(&c, "\x00\x08\x05\x02xy");
    assert_true(client_read(&c));
    EXECUTE(&c, "\1\0\0\0\0\1\0\0\0\2\0\x05\x20xy");
    ASSERT_PACKET(&c, "\xff\x2b\x07#HY000Malformed communication packet.");
    EXECUTE(&c, "\1\0\0\0\0\1\0\0\0\2\1\x99\0\xfd\0\xfd\0\xfb\3xyz");
    assert_int_equal(client_error(&c), 1210);
    /* long data, in two pieces; then for a parameter that is not there */
    c.seq = 0;
    assert_true(client_write(&c, SLICE_LIT("\x18\1\0\0\0\2\0long ")));
    c.seq = 0;
    assert_true(client_write(&c, SLICE_LIT("\x18\1\0\0\0\2\0"
                                           "data")));
    EXECUTE(&c, "\1\0\0\0\0\1\0\0\0\3\1\1\0\xfd\0\xfd\0");
    for (int i = 0; i < 4; i++) {
        assert_true(client_read(&c));
    }
    ASSERT_PACKET(&c, "\x00\x0c\x09long data");
    assert_true(client_read(&c));
    c.seq = 0;
    assert_true(client_write(&c, SLICE_LIT("\x18\1\0\0\0\x09\0x")));
    EXECUTE(&c, "\1\0\0\0\0\1\0\0\0\7\1\1\0\xfd\0\xfd\0");
    ASSERT_PACKET(&c, "\xff\xba\x04#HY000Incorrect arguments to mysql_stmt_precheck");
    assert_true(client_command(&c, 0x1a, SLICE_LIT("\1\0\0\0")));
    assert_int_equal(c.packet.ptr[0], 0);
    c.seq = 0;
    assert_true(client_write(&c, SLICE_LIT("\x19\1\0\0\0"))); /* close: no answer */
    EXECUTE(&c, "\1\0\0\0\0\1\0\0\0\7\1\1\0\xfd\0\xfd\0");
    assert_int_equal(client_error(&c), 1243);
    client_close(&c);
}

static void test_many_statements(void **state)
{
    (void)state;
    struct client_conn c;
    enum { COUNT = 500 };
    harness_login(&g_h, &c);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(client_command(&c, 0x16, SLICE_LIT("ok")));
        assert_int_equal(c.packet.ptr[0], 0);
    }
    for (uint32_t i = 1; i <= COUNT; i += 2) {
        uint8_t body[5] = {0x19, (uint8_t)i, (uint8_t)(i >> 8), 0, 0};
        c.seq = 0;
        assert_true(client_write(&c, slice_of(body, sizeof(body))));
    }
    for (uint32_t i = 1; i <= COUNT; i++) {
        uint8_t body[9] = {(uint8_t)i, (uint8_t)(i >> 8), 0, 0, 0, 1, 0, 0, 0};
        execute(&c, body, sizeof(body));
        assert_int_equal(client_error(&c), i % 2 == 1 ? 1243 : 0);
    }
    client_close(&c);
}

static void test_large_packets(void **state)
{
    (void)state;
    struct client_conn c;
    struct buf b;
    static const size_t sizes[] = {PACKET_PAYLOAD_MAX - 2, PACKET_PAYLOAD_MAX - 1,
                                   PACKET_PAYLOAD_MAX, 2 * PACKET_PAYLOAD_MAX - 1, 40u << 20};
    buf_init(&b, 64 << 20);
    harness_login(&g_h, &c);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        char want[32];
        buf_reset(&b);
        assert_int_equal(buf_append(&b, "len ", 4), ERR_OK);
        assert_int_equal(buf_reserve(&b, sizes[i]), ERR_OK);
        memset(b.ptr + 4, 'x', sizes[i] - 4);
        b.len = sizes[i];
        assert_true(client_command(&c, 3, buf_slice(&b)) && client_read(&c) && client_read(&c));
        int n = snprintf(want, sizeof(want), "%c%zu", sizes[i] < 10000000 ? 7 : 8, sizes[i]);
        assert_packet(&c, want, (size_t)n);
        assert_true(client_read(&c));
        snprintf(want, sizeof(want), "big %zu", sizes[i]);
        assert_true(client_query(&c, want) && client_read(&c) && client_read(&c));
        assert_int_equal(c.packet.len, sizes[i] + (sizes[i] < 1 << 24 ? 4 : 9));
        assert_int_equal(c.packet.ptr[c.packet.len - 1], 'a' + (sizes[i] - 1) % 26);
        assert_true(client_read(&c));
    }
    c.seq = 9;
    assert_true(client_write(&c, SLICE_LIT("\x0e")));
    c.seq = 0;
    assert_true(client_read(&c));
    ASSERT_PACKET(&c, "\xff\x84\x04#08S01Got packets out of order");
    assert_true(client_at_end(&c));
    client_close(&c);
    buf_fini(&b);
}

static void test_max_allowed_packet(void **state)
{
    (void)state;
    struct client_conn c;
    static const uint8_t full[4] = {0xff, 0xff, 0xff, 0};
    uint8_t *data = mem_calloc(1, PACKET_PAYLOAD_MAX);
    assert_non_null(data);
    harness_login(&g_h, &c);
    for (uint8_t i = 0; i < 4; i++) { /* 64 MB are allowed, this becomes more */
        uint8_t h[4] = {full[0], full[1], full[2], i};
        assert_true(client_write_raw(&c, h, sizeof(h)));
        assert_true(client_write_raw(&c, data, PACKET_PAYLOAD_MAX));
    }
    assert_true(client_write_raw(&c, "\xff\x00\x00\x04", 4));
    c.seq = 5;
    assert_true(client_read(&c));
    ASSERT_PACKET(&c, "\xff\x81\x04#08S01Got a packet bigger than 'max_allowed_packet' bytes");
    assert_true(client_at_end(&c));
    client_close(&c);
    mem_free(data);
}

static void test_pipelined(void **state)
{
    (void)state;
    struct client_conn c;
    struct buf b;
    enum { COUNT = 5000 };
    harness_login(&g_h, &c);
    buf_init(&b, 1 << 20);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(buf_append(&b, "\x04\0\0\0\x03one", 8), ERR_OK);
    }
    assert_true(client_write_raw(&c, b.ptr, b.len));
    for (int i = 0; i < COUNT; i++) {
        c.seq = 1;
        for (int k = 0; k < 4; k++) {
            assert_true(client_read(&c));
        }
        assert_int_equal(c.packet.ptr[0], 0xfe);
    }
    buf_fini(&b);
    client_close(&c);
}

static void test_change_user(void **state)
{
    (void)state;
    struct client_conn c;
    harness_login(&g_h, &c);
    assert_true(client_command(&c, 0x16, SLICE_LIT("ok")));
    assert_true(client_command(&c, 0x11, SLICE_LIT("root\0\0db\0\xff\0mysql_native_password\0")));
    assert_int_equal(c.packet.ptr[0], 0xfe);
    assert_true(contains(&c, "caching_sha2_password"));
    assert_true(client_write(&c, SLICE_LIT("\0")) && client_read(&c));
    assert_int_equal(c.packet.ptr[0], 0);
    EXECUTE(&c, "\1\0\0\0\0\1\0\0\0"); /* statements are gone */
    assert_int_equal(client_error(&c), 1243);
    assert_true(client_command(&c, 0x11, SLICE_LIT("sha\0\0\0")));
    assert_true(client_write(&c, SLICE_LIT("\0")) && client_read(&c));
    assert_int_equal(client_error(&c), 1045);
    assert_true(client_at_end(&c));
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_login_errors),
        cmocka_unit_test(test_guess_counts),
        cmocka_unit_test(test_wrong_password_time),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_ok_fields),
        cmocka_unit_test(test_text_rows),
        cmocka_unit_test(test_old_eof),
        cmocka_unit_test(test_binary_rows),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_many_statements),
        cmocka_unit_test(test_large_packets),
        cmocka_unit_test(test_max_allowed_packet),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_change_user),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
