/* Plain messages have the library's bytes, and are read as the library reads them. */
#include "proto/flat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rand.h"
#include "proto/kv.pb-c.h"

enum { ROUNDS = 5000, SPACE = 1024 };

static const ProtobufCMessageDescriptor *const descriptors[] = {
    &skein__kv__request__descriptor, &skein__kv__reply__descriptor, &skein__kv__lock__descriptor,
    &skein__kv__node__descriptor, &skein__kv__replica__descriptor};
enum { DESCRIPTORS = sizeof(descriptors) / sizeof(descriptors[0]) };

/* Mostly small, now and then of any size. */
static uint64_t some_number(struct rand *r)
{
    return rand_u64(r) % 3 == 0 ? 0 : rand_u64(r) >> rand_u64(r) % 64;
}

static void fill(const ProtobufCMessageDescriptor *d, struct rand *r, struct arena *arena,
                 ProtobufCMessage *m)
{
    d->message_init(m);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        uint8_t *at = (uint8_t *)m + f->offset;
        uint64_t v = some_number(r);
        uint32_t small = f->type == PROTOBUF_C_TYPE_BOOL ? (uint32_t)v & 1 : (uint32_t)v;
        ProtobufCBinaryData bytes = {v % 40, arena_alloc(arena, 40)};
        assert_non_null(bytes.data);
        memset(bytes.data, (int)v, 40);
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            continue;
        }
        switch ((int)f->type) {
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_BOOL: memcpy(at, &small, sizeof(small)); break;
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64: memcpy(at, &v, sizeof(v)); break;
        case PROTOBUF_C_TYPE_BYTES: memcpy(at, &bytes, sizeof(bytes)); break;
        default: break;
        }
    }
}

/* The library's bytes of two messages say whether they are the same. */
static void assert_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    uint8_t of_a[SPACE];
    uint8_t of_b[SPACE];
    size_t n = protobuf_c_message_get_packed_size(a);
    assert_true(n <= SPACE);
    assert_int_equal(protobuf_c_message_get_packed_size(b), n);
    protobuf_c_message_pack(a, of_a);
    protobuf_c_message_pack(b, of_b);
    assert_memory_equal(of_a, of_b, n);
}

/* A message of that kind, whatever is in it; its bytes, as the library writes them. */
static size_t some_message(const ProtobufCMessageDescriptor *d, struct rand *r, struct arena *arena,
                           uint8_t *ret_bytes, ProtobufCMessage **ret)
{
    *ret = arena_alloc(arena, d->sizeof_message);
    assert_non_null(*ret);
    fill(d, r, arena, *ret);
    return protobuf_c_message_pack(*ret, ret_bytes);
}

static void bytes_are_the_librarys(void **state)
{
    struct rand r;
    struct arena arena;
    struct buf b;
    (void)state;
    rand_seed(&r, 1);
    arena_init(&arena, NULL, NULL, 0);
    buf_init(&b, SPACE);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const ProtobufCMessageDescriptor *d = descriptors[i % DESCRIPTORS];
        uint8_t wanted[SPACE];
        ProtobufCMessage *m;
        ProtobufCMessage *back;
        size_t n = some_message(d, &r, &arena, wanted, &m);
        buf_reset(&b);
        assert_int_equal(buf_append_u8(&b, 7), ERR_OK); /* what is there stays */
        assert_int_equal(flat_put(m, &b), ERR_OK);
        assert_int_equal(b.len, n + 1);
        assert_memory_equal(b.ptr + 1, wanted, n);
        assert_int_equal(flat_take(d, slice_of(wanted, n), &arena, &back), ERR_OK);
        assert_same(m, back);
        arena_reset(&arena);
    }
    buf_fini(&b);
    arena_fini(&arena);
}

/* What is taken of damaged bytes is what the library takes. */
static void damage_is_read_alike(void **state)
{
    struct rand r;
    struct arena arena;
    unsigned taken = 0;
    (void)state;
    rand_seed(&r, 2);
    arena_init(&arena, NULL, NULL, 0);
    for (unsigned i = 0; i < 4 * ROUNDS; i++) {
        const ProtobufCMessageDescriptor *d = descriptors[i % DESCRIPTORS];
        uint8_t bytes[SPACE];
        ProtobufCMessage *m;
        ProtobufCMessage *back;
        size_t n = some_message(d, &r, &arena, bytes, &m);
        for (uint64_t k = rand_u64(&r) % 3; k > 0 && n != 0; k--) {
            bytes[rand_u64(&r) % n] = (uint8_t)rand_u64(&r);
        }
        n -= n > 2 ? rand_u64(&r) % 2 : 0;
        db_err err = flat_take(d, slice_of(bytes, n), &arena, &back);
        assert_true(err == ERR_OK || err == ERR_UNSUPPORTED);
        if (err == ERR_OK) {
            ProtobufCMessage *other = protobuf_c_message_unpack(d, NULL, n, bytes);
            assert_non_null(other);
            assert_same(other, back);
            protobuf_c_message_free_unpacked(other, NULL);
            taken++;
        }
        arena_reset(&arena);
    }
    assert_true(taken > ROUNDS && taken < 4 * ROUNDS);
    arena_fini(&arena);
}

static void the_rest_is_left_to_the_library(void **state)
{
    Skein__Kv__Reply m = SKEIN__KV__REPLY__INIT;
    Skein__Kv__Lock lock = SKEIN__KV__LOCK__INIT;
    Skein__Kv__Range range = SKEIN__KV__RANGE__INIT;
    Skein__Kv__Range *ranges[] = {&range};
    ProtobufCMessage *back;
    uint8_t bytes[SPACE];
    struct arena arena;
    struct buf b;
    (void)state;
    arena_init(&arena, NULL, NULL, 0);
    buf_init(&b, SPACE);
    m.leader = 5;
    m.lock = &lock;
    lock.start_ts = 6;
    assert_int_equal(flat_put(&m.base, &b), ERR_UNSUPPORTED);
    assert_int_equal(b.len, 0);
    size_t n = protobuf_c_message_pack(&m.base, bytes);
    assert_int_equal(flat_take(m.base.descriptor, slice_of(bytes, n), &arena, &back),
                     ERR_UNSUPPORTED);
    m.lock = NULL;
    m.ranges = ranges;
    m.n_ranges = 1;
    assert_int_equal(flat_put(&m.base, &b), ERR_UNSUPPORTED);
    m.n_ranges = 0;
    assert_int_equal(flat_put(&m.base, &b), ERR_OK);
    static const uint8_t unknown[] = {0x98, 0x06, 0x01}; /* field 99 of a later version */
    assert_int_equal(
        flat_take(m.base.descriptor, slice_of(unknown, sizeof(unknown)), &arena, &back),
        ERR_UNSUPPORTED);
    buf_fini(&b);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_the_librarys),
        cmocka_unit_test(damage_is_read_alike),
        cmocka_unit_test(the_rest_is_left_to_the_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
