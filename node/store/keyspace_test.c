#include "node/store/keyspace.h"

#include "base/test_main.h"

static int sign(int c)
{
    return (c > 0) - (c < 0);
}

/* As the format's page has it. */
static int format_order(struct slice a, struct slice b)
{
    if (a.len < DATA_TS_SIZE || b.len < DATA_TS_SIZE) {
        return slice_cmp(a, b);
    }
    int c = slice_cmp(data_key_user(a), data_key_user(b));
    return c != 0
               ? c
               : memcmp(a.ptr + a.len - DATA_TS_SIZE, b.ptr + b.len - DATA_TS_SIZE, DATA_TS_SIZE);
}

enum { KEYS = 600, KEY_MAX = 50 };

/* Keys of few letters, so that many are prefixes of others or have a timestamp that goes on like
 * another's user key. */
static void test_order(void **state UNUSED)
{
    static uint8_t bytes[KEYS][KEY_MAX];
    struct slice keys[KEYS];
    uint32_t seed = 1;
    for (unsigned i = 0; i < KEYS; i++) {
        for (unsigned k = 0; k < KEY_MAX; k++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i][k] = (uint8_t)((seed >> 24) % 3 == 0 ? 0xff : (seed >> 24) % 3);
        }
        if (i % 3 != 0) { /* the beginning of the one before, but for a byte here and there */
            memcpy(bytes[i], bytes[i - 1], i % KEY_MAX);
        }
        keys[i] = slice_of(bytes[i], i % 4 == 0 ? KEY_MAX : i % (KEY_MAX + 1));
    }
    for (unsigned i = 0; i < KEYS; i++) {
        for (unsigned k = 0; k < KEYS; k++) {
            struct slice a = keys[i];
            struct slice b = keys[k];
            assert_int_equal(sign(data_key_cmp(a, b)), sign(format_order(a, b)));
            assert_int_equal(sign(plain_key_order(a.ptr, a.len, b.ptr, b.len)),
                             sign(slice_cmp(a, b)));
        }
    }
}

/* Newest first; all of a key before those of a longer one. */
static void test_versions(void **state UNUSED)
{
    struct arena a;
    struct slice k[4];
    arena_init(&a, NULL, NULL, 0);
    assert_int_equal(data_key_make(&a, SLICE_LIT("k"), 9, &k[0]), ERR_OK);
    assert_int_equal(data_key_make(&a, SLICE_LIT("k"), 2, &k[1]), ERR_OK);
    assert_int_equal(data_key_make(&a, SLICE_LIT("k\0"), UINT64_MAX, &k[2]), ERR_OK);
    assert_int_equal(data_key_make(&a, SLICE_LIT("l"), 5, &k[3]), ERR_OK);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 4; j++) {
            assert_int_equal(sign(data_key_cmp(k[i], k[j])), sign((int)i - (int)j));
        }
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_versions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
