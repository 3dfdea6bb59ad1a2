#include "base/arena.h"

#include <string.h>

#include "base/test_main.h"

static void test_alloc(void **state UNUSED)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    for (size_t size = 0; size < 3000; size += 7) {
        uint8_t *p = arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 8, 0);
        if (size > 0) {
            memset(p, 0xaa, size);
        }
    }
    for (size_t align = 1; align <= 64; align *= 2) {
        uint8_t *p = arena_alloc_aligned(&a, 100, align);
        assert_int_equal((uintptr_t)p % align, 0);
        memset(p, 0xbb, 100);
    }
    uint8_t *big = arena_alloc(&a, 10 << 20);
    assert_non_null(big);
    memset(big, 0xcc, 10 << 20);
    uint64_t *zeros = ARENA_ARRAY(&a, uint64_t, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(zeros[i], 0);
    }
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_calloc(&a, SIZE_MAX / 4, 8));
    arena_fini(&a);
}

static void test_reset_keeps_a_block(void **state UNUSED)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    void *first = arena_alloc(&a, 100);
    for (int i = 0; i < 100; i++) {
        assert_non_null(arena_alloc(&a, 1000));
    }
    arena_reset(&a);
    size_t used = a.used;
    assert_true(used > 0);
    assert_ptr_equal(arena_alloc(&a, 100), first);
    assert_int_equal(a.used, used);
    arena_fini(&a);
    assert_int_equal(a.used, 0);
}

#ifdef SKEIN_ARENA_POISON
int __asan_address_is_poisoned(void const volatile *addr);

/* Behind a piece nothing may be touched, nor a piece after a reset. */
static void test_poison(void **state UNUSED)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    for (size_t size = 1; size < 40; size++) {
        uint8_t *p = arena_alloc(&a, size);
        uint8_t *next = arena_alloc(&a, size);
        assert_true(next >= p + size + 8);
        for (size_t i = 0; i < size; i++) {
            assert_false(__asan_address_is_poisoned(p + i));
        }
        assert_true(__asan_address_is_poisoned(p + size));
        assert_true(__asan_address_is_poisoned(next - 1));
        assert_true(__asan_address_is_poisoned(next + size));
    }
    uint8_t *gone = arena_alloc(&a, 100);
    arena_reset(&a);
    assert_true(__asan_address_is_poisoned(gone));
    assert_true(__asan_address_is_poisoned(gone + 99));
    arena_fini(&a);
}
#endif

static void test_limit(void **state UNUSED)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 64 * 1024);
    size_t got = 0;
    while (arena_alloc(&a, 1000) != NULL) {
        got += 1000;
        assert_true(got < 64 * 1024);
    }
    assert_true(got >= 16 * 1024);
    struct slice copy = {NULL, 7};
    assert_int_equal(arena_copy(&a, slice_of("x", 100 * 1024), &copy), ERR_LIMIT);
    assert_int_equal(copy.len, 7); /* untouched */
    arena_fini(&a);
}

static void test_tracker(void **state UNUSED)
{
    struct mem_tracker session;
    struct mem_tracker statement;
    struct arena a;
    mem_tracker_init(&session, NULL, 100 * 1024);
    mem_tracker_init(&statement, &session, 0);
    arena_init(&a, NULL, &statement, 0);
    while (arena_alloc(&a, 1000) != NULL) {
    }
    assert_true(session.used <= session.limit);
    assert_int_equal(session.used, statement.used);
    assert_int_equal(statement.used, a.used);
    assert_int_equal(mem_tracker_charge(&statement, 100 * 1024), ERR_LIMIT);
    assert_int_equal(session.used, statement.used);
    size_t peak = session.peak;
    arena_fini(&a);
    assert_int_equal(session.used, 0);
    assert_int_equal(statement.used, 0);
    assert_int_equal(session.peak, peak);
}

static char g_order[8];
static void note(void *arg)
{
    char c = (char)(uintptr_t)arg;
    size_t len = strlen(g_order);
    g_order[len] = c;
    g_order[len + 1] = '\0';
}

static void test_callbacks_and_children(void **state UNUSED)
{
    struct arena parent;
    struct arena child;
    struct arena other;
    arena_init(&parent, NULL, NULL, 0);
    arena_init(&child, &parent, NULL, 0);
    arena_init(&other, &parent, NULL, 0);
    assert_int_equal(arena_on_reset(&parent, note, (void *)'1'), ERR_OK);
    assert_int_equal(arena_on_reset(&parent, note, (void *)'2'), ERR_OK);
    assert_int_equal(arena_on_reset(&child, note, (void *)'c'), ERR_OK);
    assert_non_null(arena_alloc(&other, 10));
    arena_reset(&parent);
    assert_string_equal(g_order, "21c");
    g_order[0] = '\0';
    arena_reset(&parent); /* a callback runs once */
    assert_string_equal(g_order, "");
    assert_int_equal(arena_on_reset(&child, note, (void *)'c'), ERR_OK);
    arena_fini(&other); /* leaves its parent */
    arena_fini(&parent);
    assert_string_equal(g_order, "c");
}

static void test_text(void **state UNUSED)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    assert_string_equal(arena_strdup(&a, SLICE_LIT("hello")), "hello");
    assert_string_equal(arena_strdup(&a, SLICE_EMPTY), "");
    assert_string_equal(arena_printf(&a, "%d-%s", 42, "x"), "42-x");
    struct slice copy;
    assert_int_equal(arena_copy(&a, SLICE_LIT("abc"), &copy), ERR_OK);
    assert_true(slice_eq(copy, SLICE_LIT("abc")));
    assert_int_equal(arena_copy(&a, SLICE_EMPTY, &copy), ERR_OK);
    assert_int_equal(copy.len, 0);
    assert_int_equal(arena_copy_next(&a, SLICE_LIT("ab"), &copy), ERR_OK);
    assert_true(slice_eq(copy, SLICE_LIT("ab\0")));
    assert_int_equal(arena_copy_next(&a, SLICE_EMPTY, &copy), ERR_OK);
    assert_true(slice_eq(copy, slice_of("", 1)));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_reset_keeps_a_block),
#ifdef SKEIN_ARENA_POISON
        cmocka_unit_test(test_poison),
#endif
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_tracker),
        cmocka_unit_test(test_callbacks_and_children),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
