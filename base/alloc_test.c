#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/test_main.h"

/* Fails the n-th allocation from now. */
static struct {
    unsigned left;
    unsigned live;
} g_failing;

static bool fails(void)
{
    if (g_failing.left == 0) {
        return false;
    }
    return --g_failing.left == 0;
}

static void *failing_alloc(void *ctx UNUSED, size_t size)
{
    if (fails()) {
        return NULL;
    }
    g_failing.live++;
    return malloc(size);
}

static void *failing_realloc(void *ctx UNUSED, void *ptr, size_t size)
{
    if (fails()) {
        return NULL;
    }
    g_failing.live += ptr == NULL;
    return realloc(ptr, size);
}

static void failing_free(void *ctx UNUSED, void *ptr)
{
    g_failing.live--;
    free(ptr);
}

static const struct mem_allocator g_failing_allocator = {"failing", failing_alloc, failing_realloc,
                                                         failing_free, NULL};

static int set_up(void **state UNUSED)
{
    g_failing.left = g_failing.live = 0;
    mem_set_allocator(&g_failing_allocator);
    return 0;
}

static int tear_down(void **state UNUSED)
{
    mem_set_allocator(NULL);
    return g_failing.live == 0 ? 0 : -1;
}

static void test_basics(void **state UNUSED)
{
    char *s = mem_strdup("text");
    assert_string_equal(s, "text");
    s = mem_realloc(s, 100);
    assert_string_equal(s, "text");
    mem_free(s);
    mem_free(NULL);
    int *zeros = mem_calloc(100, sizeof(int));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(zeros[i], 0);
    }
    mem_free(zeros);
    assert_null(mem_calloc(SIZE_MAX / 2, 4));
}

static void test_buf_fails(void **state UNUSED)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(buf_append(&b, "abc", 3), ERR_OK);
    g_failing.left = 1;
    char big[1000] = {0};
    assert_int_equal(buf_append(&b, big, sizeof(big)), ERR_NOMEM);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.ptr, "abc", 3);
    assert_int_equal(buf_append(&b, big, sizeof(big)), ERR_OK);
    buf_fini(&b);
}

static void test_arena_fails(void **state UNUSED)
{
    struct mem_tracker t;
    struct arena a;
    mem_tracker_init(&t, NULL, 0);
    arena_init(&a, NULL, &t, 0);
    g_failing.left = 1;
    assert_null(arena_alloc(&a, 10));
    assert_int_equal(t.used, 0);
    assert_non_null(arena_alloc(&a, 10));
    arena_fini(&a);
    assert_int_equal(t.used, 0);
}

static void test_hash_fails(void **state UNUSED)
{
    struct hash_table t;
    struct hash_node nodes[40];
    hash_init(&t);
    g_failing.left = 1;
    assert_int_equal(hash_insert(&t, &nodes[0], 1), ERR_NOMEM);
    for (unsigned i = 0; i < 40; i++) {
        g_failing.left = i == 0 ? 0 : 1; /* it never grows */
        assert_int_equal(hash_insert(&t, &nodes[i], hash_u64(i)), ERR_OK);
    }
    g_failing.left = 0;
    assert_int_equal(t.count, 40);
    assert_ptr_equal(hash_first(&t, hash_u64(39)), &nodes[39]);
    hash_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_basics, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_buf_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_arena_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hash_fails, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
