#include "base/hash.h"

#include <string.h>

#include "base/alloc.h"
#include "base/rand.h"
#include "base/test_main.h"

struct item {
    struct hash_node node;
    uint64_t key;
    bool in;
};

static struct item *lookup(const struct hash_table *t, uint64_t key)
{
    for (struct hash_node *n = hash_first(t, hash_u64(key)); n != NULL; n = hash_next(n)) {
        struct item *it = CONTAINER_OF(n, struct item, node);
        if (it->key == key) {
            return it;
        }
    }
    return NULL;
}

static void test_table(void **state UNUSED)
{
    enum { ITEMS = 5000 };
    static struct item items[ITEMS];
    struct hash_table t;
    struct rand r;
    hash_init(&t);
    rand_seed(&r, 1);
    assert_null(lookup(&t, 1));
    size_t count = 0;
    for (int step = 0; step < 50000; step++) {
        uint64_t key = rand_below(&r, ITEMS);
        struct item *it = &items[key];
        assert_ptr_equal(lookup(&t, key), it->in ? it : NULL);
        if (it->in) {
            hash_remove(&t, &it->node);
            count--;
        } else {
            it->key = key;
            assert_int_equal(hash_insert(&t, &it->node, hash_u64(key)), ERR_OK);
            count++;
        }
        it->in = !it->in;
        assert_int_equal(t.count, count);
    }
    size_t seen = 0;
    HASH_FOREACH_SAFE(n, &t)
    {
        seen++;
        hash_remove(&t, n);
    }
    assert_int_equal(seen, count);
    assert_int_equal(t.count, 0);
    hash_fini(&t);
}

static void test_reserve(void **state UNUSED)
{
    struct hash_table t;
    hash_init(&t);
    assert_int_equal(hash_reserve(&t, 1000), ERR_OK);
    assert_true(t.mask + 1 >= 1000);
    assert_int_equal(hash_reserve(&t, SIZE_MAX), ERR_NOMEM);
    hash_fini(&t);
}

/* Each bit of the input flips each bit of the output about every second time, whatever the length.
 */
static void test_avalanche(void **state UNUSED)
{
    static const size_t lengths[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 64};
    struct rand r;
    rand_seed(&r, 9);
    for (unsigned l = 0; l < ARRAY_COUNT(lengths); l++) {
        size_t len = lengths[l];
        enum { ROUNDS = 400 };
        for (size_t bit = 0; bit<len * 8; bit += len> 16 ? 11 : 1) {
            unsigned flips[64] = {0};
            for (unsigned i = 0; i < ROUNDS; i++) {
                uint8_t key[64];
                for (size_t k = 0; k < len; k++) {
                    key[k] = (uint8_t)rand_u64(&r);
                }
                uint64_t before = hash_bytes(slice_of(key, len), i);
                key[bit / 8] ^= (uint8_t)(1u << (bit % 8));
                uint64_t diff = before ^ hash_bytes(slice_of(key, len), i);
                for (unsigned b = 0; b < 64; b++) {
                    flips[b] += (unsigned)((diff >> b) & 1);
                }
            }
            for (unsigned b = 0; b < 64; b++) {
                assert_in_range(flips[b], ROUNDS * 3 / 10, ROUNDS * 7 / 10);
            }
        }
    }
}

/* Keys that differ little, of all lengths, and zeros of different lengths: no two hash alike. */
static void test_no_collisions(void **state UNUSED)
{
    enum { KEYS = 100000 };
    struct item *items = mem_calloc(KEYS, sizeof(*items));
    struct hash_table t;
    hash_init(&t);
    assert_non_null(items);
    uint8_t zeros[256] = {0};
    for (unsigned i = 0; i < KEYS; i++) {
        uint32_t key[5] = {0, i, 0, 0, 0};
        uint64_t h =
            i < 256 ? hash_bytes(slice_of(zeros, i), 7) : hash_bytes(slice_of(key, 8 + i % 13), 7);
        assert_null(hash_first(&t, h));
        assert_int_equal(hash_insert(&t, &items[i].node, h), ERR_OK);
    }
    /* And the low bits, which choose the bucket, are spread: no long chain. */
    for (size_t b = 0; b <= t.mask; b++) {
        unsigned length = 0;
        for (struct hash_node *n = t.buckets[b]; n != NULL; n = n->next) {
            length++;
        }
        assert_true(length < 12);
    }
    hash_fini(&t);
    mem_free(items);
    assert_true(hash_bytes(SLICE_EMPTY, 1) != hash_bytes(SLICE_EMPTY, 2));
    assert_true(hash_combine(1, 2) != hash_combine(2, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_avalanche),
        cmocka_unit_test(test_no_collisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
