#include "wire/net/compress.h"

#include "base/rand.h"
#include "base/test_main.h"

enum { HEADER = 7, SMALLEST = 50 /* MySQL's MIN_COMPRESS_LENGTH */ };

struct fixture {
    struct compress_stream *s;
    struct io_pool pool;
    struct packet_in in;
};

static void begin(struct fixture *f, bool zstd)
{
    *f = (struct fixture){0};
    assert_int_equal(compress_stream_new(zstd, 0, &f->s), ERR_OK);
}

static void end(struct fixture *f)
{
    packet_in_release(&f->in, &f->pool);
    io_pool_fini(&f->pool);
    compress_stream_free(f->s);
}

static void receive(struct fixture *f, struct slice bytes)
{
    while (bytes.len > 0) {
        uint8_t *to;
        size_t room;
        assert_int_equal(compress_room(f->s, &to, &room), ERR_OK);
        size_t n = bytes.len < room ? bytes.len : room;
        assert_true(n > 0);
        memcpy(to, bytes.ptr, n);
        compress_received(f->s, n);
        bytes = slice_from(bytes, n);
    }
}

static size_t plain_size(struct slice frame)
{
    return frame.ptr[4] | (size_t)frame.ptr[5] << 8 | (size_t)frame.ptr[6] << 16;
}

/* What is packed by one side is what the other unpacks, and only what is long enough is packed. */
static void round_trip(bool zstd, uint8_t *data, size_t size, bool packed)
{
    struct fixture from;
    struct fixture to;
    begin(&from, zstd);
    begin(&to, zstd);
    struct slice frames;
    assert_int_equal(compress_pack(from.s, slice_of(data, size), &frames), ERR_OK);
    assert_int_equal(plain_size(frames), packed ? size : 0);
    assert_true(packed ? frames.len < HEADER + size : frames.len == HEADER + size);
    receive(&to, slice_of(frames.ptr, frames.len - 1));
    assert_false(compress_pending(to.s));
    assert_int_equal(compress_unpack(to.s, &to.in, &to.pool), ERR_OK);
    assert_int_equal(to.in.end, to.in.start);
    receive(&to, slice_from(frames, frames.len - 1));
    assert_true(compress_pending(to.s));
    assert_int_equal(compress_unpack(to.s, &to.in, &to.pool), ERR_OK);
    assert_int_equal(to.in.end - to.in.start, size);
    assert_memory_equal(to.in.ptr + to.in.start, data, size);
    assert_false(compress_pending(to.s));
    end(&to);
    end(&from);
}

static void test_round_trip(void **state)
{
    (void)state;
    static uint8_t same[100000];
    uint8_t mixed[200];
    struct rand r;
    rand_seed(&r, 3);
    memset(same, 'x', sizeof(same));
    for (size_t i = 0; i < sizeof(mixed); i++) {
        mixed[i] = (uint8_t)rand_u64(&r); /* gets no shorter */
    }
    for (int zstd = 0; zstd < 2; zstd++) {
        round_trip(zstd, same, 1, false);
        round_trip(zstd, same, SMALLEST - 1, false);
        round_trip(zstd, same, SMALLEST, true);
        round_trip(zstd, same, sizeof(same), true);
        round_trip(zstd, mixed, sizeof(mixed), false);
    }
}

/* A frame whose number, length or content is not what it says ends the connection. */
static void test_broken(void **state)
{
    (void)state;
    uint8_t data[200];
    memset(data, 'x', sizeof(data));
    for (int zstd = 0; zstd < 2; zstd++) {
        for (int change = 0; change < 4; change++) {
            struct fixture from;
            struct fixture to;
            struct slice frames;
            uint8_t bytes[sizeof(data) + HEADER];
            begin(&from, zstd);
            begin(&to, zstd);
            assert_int_equal(compress_pack(from.s, slice_of(data, sizeof(data)), &frames), ERR_OK);
            memcpy(bytes, frames.ptr, frames.len);
            bytes[3] = (uint8_t)(bytes[3] + (change == 1));
            bytes[4] = (uint8_t)(change == 2 ? bytes[4] - 1 : bytes[4]);
            bytes[4] = (uint8_t)(change == 3 ? bytes[4] + 1 : bytes[4]);
            receive(&to, slice_of(bytes, frames.len));
            assert_int_equal(compress_unpack(to.s, &to.in, &to.pool),
                             change == 0 ? ERR_OK : ERR_INVALID);
            end(&to);
            end(&from);
        }
    }
}

/* Numbers go on from frame to frame and begin again with a command. */
static void test_numbers(void **state)
{
    (void)state;
    struct fixture f;
    struct slice frames;
    begin(&f, false);
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(compress_pack(f.s, SLICE_LIT("abc"), &frames), ERR_OK);
        assert_int_equal(frames.ptr[3], i);
    }
    compress_restart(f.s);
    assert_int_equal(compress_pack(f.s, SLICE_LIT("abc"), &frames), ERR_OK);
    assert_int_equal(frames.ptr[3], 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
