#include "wire/net/packet.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "base/test_main.h"

/* Packets of many sizes, cut into arbitrary reads, come out as they went in. */
static void feed(size_t *sizes, int count, size_t step_max)
{
    struct io_pool pool = {0};
    struct packet_out out = {.pool = &pool};
    struct packet_in in = {0};
    struct rand r;
    rand_seed(&r, step_max);
    uint8_t seq = 0;
    for (int i = 0; i < count; i++) {
        assert_int_equal(packet_out_begin(&out), ERR_OK);
        for (size_t k = 0; k < sizes[i];) {
            uint8_t chunk[1000];
            size_t n = sizes[i] - k < sizeof(chunk) ? sizes[i] - k : sizeof(chunk);
            memset(chunk, (int)(k / sizeof(chunk)), sizeof(chunk));
            assert_int_equal(put_bytes(&out, slice_of(chunk, n)), ERR_OK);
            k += n;
        }
        assert_int_equal(packet_out_finish(&out), ERR_OK);
    }
    size_t pos = 0;
    int got = 0;
    while (got < count) {
        struct slice payload;
        enum packet_result res = packet_in_next(&in, &seq, (size_t)1 << 30, &payload);
        if (res == PACKET_READY) {
            assert_int_equal(payload.len, sizes[got]);
            for (size_t k = 0; k < payload.len; k += 997) {
                assert_int_equal(payload.ptr[k], (uint8_t)(k / 1000));
            }
            packet_in_consume(&in);
            got++;
            continue;
        }
        assert_int_equal(res, PACKET_MORE);
        uint8_t *ptr;
        size_t room;
        assert_int_equal(packet_in_room(&in, &pool, &ptr, &room), ERR_OK);
        size_t n = 1 + rand_below(&r, step_max);
        n = n < room ? n : room;
        n = n < out.len - pos ? n : out.len - pos;
        assert_true(n > 0);
        memcpy(ptr, out.ptr + pos, n);
        in.end += n;
        pos += n;
    }
    assert_int_equal(pos, out.len);
    assert_int_equal(packet_in_left(&in), 0);
    assert_int_equal(seq, out.seq);
    packet_in_release(&in, &pool);
    packet_out_release(&out);
    io_pool_fini(&pool);
}

static void test_join_split(void **state)
{
    (void)state;
    size_t small[] = {0, 1, 2, 250, 16379, 16380, 16381, 40000, 3, 70000};
    for (size_t step = 1; step < 20000; step = step * 3 + 1) {
        feed(small, ARRAY_COUNT(small), step);
    }
    size_t large[] = {PACKET_PAYLOAD_MAX - 1,
                      5,
                      PACKET_PAYLOAD_MAX,
                      PACKET_PAYLOAD_MAX + 1,
                      2 * PACKET_PAYLOAD_MAX,
                      2 * PACKET_PAYLOAD_MAX + 77,
                      0};
    feed(large, ARRAY_COUNT(large), 1 << 16);
    feed(large, ARRAY_COUNT(large), 1 << 22);
}

static void test_limits(void **state)
{
    (void)state;
    struct io_pool pool = {0};
    struct packet_in in = {0};
    struct slice payload;
    uint8_t seq = 0;
    uint8_t *ptr;
    size_t room;
    assert_int_equal(packet_in_room(&in, &pool, &ptr, &room), ERR_OK);
    memcpy(ptr, "\xff\xff\xff\x00", 4);
    in.end += 4;
    assert_int_equal(packet_in_next(&in, &seq, 1 << 24, &payload), PACKET_MORE);
    /* a promise of 16 MB takes no memory */
    assert_true(in.cap == IN_BUFFER_SIZE);
    packet_in_release(&in, &pool);
    in = (struct packet_in){0};
    seq = 0;
    assert_int_equal(packet_in_room(&in, &pool, &ptr, &room), ERR_OK);
    memcpy(ptr, "\xff\xff\xff\x00", 4);
    in.end += 4;
    assert_int_equal(packet_in_next(&in, &seq, 1 << 20, &payload), PACKET_TOO_LARGE);
    /* as in MySQL: a packet of just max_allowed_packet bytes is too large */
    assert_int_equal(packet_in_next(&in, &seq, PACKET_PAYLOAD_MAX, &payload), PACKET_TOO_LARGE);
    seq = 7;
    assert_int_equal(packet_in_next(&in, &seq, 1 << 24, &payload), PACKET_OUT_OF_ORDER);
    packet_in_release(&in, &pool);
    io_pool_fini(&pool);
}

static void test_buffers_come_back(void **state)
{
    (void)state;
    struct io_pool pool = {0};
    for (int i = 0; i < 3; i++) {
        struct packet_out out = {.pool = &pool};
        assert_int_equal(packet_out_begin(&out), ERR_OK);
        assert_int_equal(put_u8(&out, 1), ERR_OK);
        assert_int_equal(packet_out_finish(&out), ERR_OK);
        packet_out_release(&out);
        assert_int_equal(pool.out_count, 1);
        assert_int_equal(pool.bytes, OUT_BUFFER_SIZE);
    }
    io_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_split),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_buffers_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
