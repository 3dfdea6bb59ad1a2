/* Frames, first frames, error blocks: what goes in comes out; what is damaged is refused. */
#include "rpc/conn/frame.h"

#include <string.h>

#include "base/alloc.h"
#include "base/rand.h"
#include "base/test_main.h"
#include "rpc/conn/conn.h"
#include "rpc/conn/limits.h"

static void test_head(void **state UNUSED)
{
    struct rpc_frame_head in = {.size = 1000,
                                .type = RPC_FRAME_REPLY,
                                .flags = RPC_FLAG_ERROR,
                                .method = 513,
                                .id = 0x0123456789abcdef,
                                .arg = 77,
                                .header_size = 976};
    uint8_t bytes[RPC_FRAME_HEAD];
    rpc_frame_encode(&in, bytes);
    struct rpc_frame_head out;
    assert_int_equal(rpc_frame_decode(bytes, 1000, &out), ERR_OK);
    assert_memory_equal(&in, &out, sizeof(in));
    assert_int_equal(rpc_frame_decode(bytes, 999, &out), ERR_LIMIT);
    assert_int_equal(out.size, 1000);
    static const struct {
        unsigned at;
        uint8_t value;
    } damages[] = {{4, 0}, {4, 15}, {5, 2}, {20, 0xd1}, {0, 23}};
    for (size_t i = 0; i < ARRAY_COUNT(damages); i++) {
        uint8_t bad[RPC_FRAME_HEAD];
        memcpy(bad, bytes, sizeof(bad));
        bad[damages[i].at] = damages[i].value;
        bad[1] = damages[i].at == 0 ? 0 : bad[1];
        assert_int_equal(rpc_frame_decode(bad, 1 << 20, &out), ERR_CORRUPT);
    }
}

static void test_errors(void **state UNUSED)
{
    for (int e = 0; e < ERR__COUNT; e++) {
        assert_int_equal(rpc_err_of(rpc_err_number((db_err)e)), e);
        for (int f = 0; f < e; f++) {
            assert_true(rpc_err_number((db_err)e) != rpc_err_number((db_err)f));
        }
    }
    /* Of a later version. */
    assert_int_equal(rpc_err_of(12345), ERR_OUTCOME_UNKNOWN);

    struct diag in;
    diag_set_sql(&in, 1064, "42000", "near '%s'", "x");
    in.position = 17;
    in.data = 1ull << 40;
    uint8_t block[RPC_ERROR_BLOCK_MAX + 3];
    size_t len = rpc_error_encode(ERR_SQL, &in, block);
    memcpy(block + len, "abc", 3);
    struct diag out = {0};
    db_err err;
    struct slice rest;
    assert_int_equal(rpc_error_decode(slice_of(block, len + 3), &out, &err, &rest), ERR_OK);
    assert_int_equal(err, ERR_SQL);
    assert_string_equal(out.text, "near 'x'");
    assert_string_equal(out.sqlstate, "42000");
    assert_int_equal(out.number, 1064);
    assert_int_equal(out.position, 17);
    assert_true(out.data == 1ull << 40);
    assert_true(slice_eq(rest, SLICE_LIT("abc")));
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(rpc_error_decode(slice_of(block, cut), &out, &err, &rest), ERR_CORRUPT);
    }
    /* The longest text. */
    memset(in.text, 'a', sizeof(in.text) - 1);
    in.text[sizeof(in.text) - 1] = '\0';
    len = rpc_error_encode(ERR_BUSY, &in, block);
    assert_true(len <= RPC_ERROR_BLOCK_MAX);
    assert_int_equal(rpc_error_decode(slice_of(block, len), &out, &err, &rest), ERR_OK);
    assert_string_equal(out.text, in.text);
}

static void test_hello(void **state UNUSED)
{
    struct rpc_hello in = {.version = 1,
                           .kind = RPC_PEER_JOIN,
                           .class = RPC_CLASS_BULK,
                           .cluster = "0123456789abcde",
                           .node = 3,
                           .boot_id = 4,
                           .to_node = 5,
                           .token = SLICE_LIT("token")};
    struct buf b;
    buf_init(&b, RPC_FRAME_MAX_HELLO);
    CHECK_OK(rpc_hello_encode(&in, &b));
    struct rpc_hello out;
    assert_int_equal(rpc_hello_decode(buf_slice(&b), &out), ERR_OK);
    assert_int_equal(out.kind, in.kind);
    assert_int_equal(out.class, in.class);
    assert_memory_equal(out.cluster, in.cluster, 16);
    assert_true(out.node == 3 && out.boot_id == 4 && out.to_node == 5);
    assert_true(slice_eq(out.token, in.token));
    for (size_t cut = 0; cut < b.len; cut++) {
        assert_int_equal(rpc_hello_decode(slice_of(b.ptr, cut), &out), ERR_CORRUPT);
    }
    b.ptr[0] ^= 1;
    assert_int_equal(rpc_hello_decode(buf_slice(&b), &out), ERR_CORRUPT);
    buf_reset(&b);
    struct rpc_welcome w = {
        .version = 2, .cluster = "c", .node = 9, .boot_id = 10, .error = SLICE_LIT("block")};
    CHECK_OK(rpc_welcome_encode(&w, &b));
    struct rpc_welcome w2;
    assert_int_equal(rpc_welcome_decode(buf_slice(&b), &w2), ERR_OK);
    assert_true(w2.version == 2 && w2.node == 9 && w2.boot_id == 10);
    assert_true(slice_eq(w2.error, SLICE_LIT("block")));
    buf_fini(&b);
}

/* Random bytes never give more than they hold. */
static void test_random(void **state UNUSED)
{
    struct rand r;
    rand_seed(&r, 7);
    uint8_t bytes[700];
    for (int i = 0; i < 200000; i++) {
        size_t len = (size_t)rand_below(&r, sizeof(bytes));
        for (size_t k = 0; k < len && k < 80; k++) {
            bytes[k] = (uint8_t)rand_below(&r, rand_below(&r, 4) == 0 ? 256 : 4);
        }
        if (i % 2 == 0) {
            memcpy(bytes, "SKEINRPC", 8);
        }
        struct slice in = slice_of(bytes, len);
        struct rpc_frame_head head;
        if (len >= RPC_FRAME_HEAD && rpc_frame_decode(bytes, 1000, &head) == ERR_OK) {
            assert_true(head.size <= 1000 && head.header_size <= head.size - RPC_FRAME_HEAD);
        }
        struct rpc_hello h;
        if (rpc_hello_decode(in, &h) == ERR_OK) {
            assert_true(h.token.ptr + h.token.len <= bytes + len);
        }
        struct diag diag;
        db_err err;
        struct slice rest;
        if (rpc_error_decode(in, &diag, &err, &rest) == ERR_OK) {
            assert_true(rest.ptr + rest.len == bytes + len);
        }
    }
}

static void test_take(void **state UNUSED)
{
    struct blob *b = blob_new(10000);
    memset(b->data, 'x', 10000);
    struct rpc_msg small;
    struct rpc_msg large;
    CHECK_OK(rpc_msg_take(b, slice_of(b->data, 5), slice_of(b->data + 5, 5), &small));
    CHECK_OK(rpc_msg_take(b, slice_of(b->data, 5), slice_of(b->data + 5, 9000), &large));
    assert_true(small.blob != b);
    assert_true(large.blob == b);
    blob_unref(b);
    assert_true(large.payload.ptr[8999] == 'x');
    assert_true(small.payload.ptr[4] == 'x' && small.header.len == 5);
    rpc_msg_release(&small);
    rpc_msg_release(&large);
    rpc_msg_release(&large);
}

static void test_methods(void **state UNUSED)
{
    unsigned count = 0;
    for (unsigned i = 0; i < RPC_METHOD_MAX + 10; i++) {
        const struct rpc_method_info *m = rpc_method_info(i);
        if (m != NULL) {
            count++;
            assert_true((unsigned)m->class < RPC_CLASS__COUNT);
            assert_true(m->callers != 0);
        }
    }
    assert_true(count > 5);
    assert_string_equal(rpc_method_info(RPC_M_echo)->name, "echo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),  cmocka_unit_test(test_errors),
        cmocka_unit_test(test_hello), cmocka_unit_test(test_random),
        cmocka_unit_test(test_take),  cmocka_unit_test(test_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
