/* slice, buf, blob, diag, err, list, heap, rand, clock, scope. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/rand.h"
#include "base/scope.h"
#include "base/slice.h"
#include "base/test_counting.h"
#include "base/test_main.h"

static void test_slice(void **state UNUSED)
{
    struct slice abc = SLICE_LIT("abc");
    assert_int_equal(abc.len, 3);
    assert_true(slice_eq(abc, slice_str("abc")));
    assert_false(slice_eq(abc, SLICE_LIT("abd")));
    assert_true(slice_eq(SLICE_EMPTY, SLICE_LIT("")));
    assert_true(slice_cmp(abc, SLICE_LIT("abcd")) < 0);
    assert_true(slice_cmp(SLICE_LIT("b"), abc) > 0);
    assert_true(slice_cmp(SLICE_LIT("\xff"), abc) > 0);
    assert_int_equal(slice_cmp(SLICE_EMPTY, SLICE_EMPTY), 0);
    assert_true(slice_starts_with(abc, SLICE_LIT("ab")));
    assert_true(slice_starts_with(abc, SLICE_EMPTY));
    assert_false(slice_starts_with(SLICE_LIT("ab"), abc));
    assert_true(slice_eq_nocase(SLICE_LIT("SeLect"), SLICE_LIT("sElECT")));
    assert_false(slice_eq_nocase(SLICE_LIT("[@"), SLICE_LIT("{`")));
    assert_true(slice_eq(slice_from(abc, 1), SLICE_LIT("bc")));
}

static void test_buf(void **state UNUSED)
{
    struct buf b;
    buf_init(&b, 100);
    assert_int_equal(buf_printf(&b, "%s=%d", "x", 7), ERR_OK);
    assert_int_equal(buf_append_u8(&b, ';'), ERR_OK);
    assert_int_equal(buf_append_slice(&b, SLICE_LIT("abc")), ERR_OK);
    assert_int_equal(buf_append_slice(&b, SLICE_EMPTY), ERR_OK);
    assert_true(slice_eq(buf_slice(&b), SLICE_LIT("x=7;abc")));
    char big[200];
    memset(big, 'z', sizeof(big));
    assert_int_equal(buf_append(&b, big, sizeof(big)), ERR_LIMIT);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), ERR_LIMIT);
    assert_int_equal(b.len, 7);
    assert_int_equal(buf_append(&b, big, 93), ERR_OK);
    assert_int_equal(buf_append_u8(&b, 'q'), ERR_LIMIT);
    buf_reset(&b);
    assert_int_equal(buf_append(&b, big, 100), ERR_OK);
    buf_fini(&b);
    buf_fini(&b);
}

static void test_diag(void **state UNUSED)
{
    struct diag d;
    diag_reset(&d);
    assert_int_equal(diag_set(NULL, ERR_IO, "x"), ERR_IO);
    assert_int_equal(diag_set(&d, ERR_IO, "file %d", 3), ERR_IO);
    assert_int_equal(diag_context(&d, ERR_IO, "opening %s", "the log"), ERR_IO);
    assert_string_equal(d.text, "opening the log: file 3");
    assert_int_equal(diag_set_sql(&d, 1062, "23000", "Duplicate"), ERR_SQL);
    assert_int_equal(d.number, 1062);
    assert_string_equal(d.sqlstate, "23000");
    assert_int_equal(d.err, ERR_SQL);
    diag_reset(&d);
    assert_int_equal(diag_context(&d, ERR_CORRUPT, "page 5"), ERR_CORRUPT);
    assert_string_equal(d.text, "page 5: corrupt data");
    char big[2 * DIAG_TEXT_SIZE];
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(diag_set(&d, ERR_IO, "%s", big), ERR_IO);
    assert_int_equal(strlen(d.text), DIAG_TEXT_SIZE - 1);
    diag_reset(NULL);
}

static db_err fail_with(db_err err)
{
    return err;
}

static db_err try_it(db_err a, int *ret_reached)
{
    TRY(fail_with(a));
    *ret_reached = 1;
    return ERR_OK;
}

static void test_err(void **state UNUSED)
{
    int reached = 0;
    assert_int_equal(try_it(ERR_BUSY, &reached), ERR_BUSY);
    assert_int_equal(reached, 0);
    assert_int_equal(try_it(ERR_OK, &reached), ERR_OK);
    assert_int_equal(reached, 1);
    assert_string_equal(err_name(ERR_NOT_LEADER), "NOT_LEADER");
    assert_int_equal(err_class(ERR_COMMIT_UNKNOWN), ERR_CLASS_AMBIGUOUS);
    assert_int_equal(err_class((db_err)9999), ERR_CLASS_FATAL);
    assert_string_equal(err_text((db_err)9999), "unknown error");
    assert_int_equal(err_first(ERR_OK, ERR_IO), ERR_IO);
    assert_int_equal(err_first(ERR_BUSY, ERR_IO), ERR_BUSY);
    for (int i = 0; i < ERR__COUNT; i++) {
        assert_non_null(err_name((db_err)i));
        assert_true(strlen(err_text((db_err)i)) > 0);
    }
}

struct item {
    struct list link;
    struct heap_node node;
    uint64_t key;
    bool in;
};

static void test_list(void **state UNUSED)
{
    struct list l;
    struct item items[5];
    list_init(&l);
    assert_true(list_empty(&l));
    assert_null(list_pop_front(&l));
    for (unsigned i = 0; i < 5; i++) {
        items[i].key = i;
        list_push_back(&l, &items[i].link);
    }
    LIST_FOREACH_SAFE (n, &l) {
        if (CONTAINER_OF(n, struct item, link)->key % 2 == 1) {
            list_remove(n);
            list_remove(n);
        }
    }
    list_push_front(&l, &items[3].link);
    uint64_t sum = 0;
    LIST_FOREACH (n, &l) {
        sum = sum * 10 + CONTAINER_OF(n, struct item, link)->key;
    }
    assert_int_equal(sum, 3024);
}

static inline bool item_less(const struct heap_node *a, const struct heap_node *b)
{
    return CONTAINER_OF(a, const struct item, node)->key <
           CONTAINER_OF(b, const struct item, node)->key;
}

/* Against a model: the smallest of what is in, found by looking at all. */
static void test_heap(void **state UNUSED)
{
    enum { ITEMS = 200, STEPS = 20000 };
    static struct item items[ITEMS];
    struct heap h;
    struct rand r;
    heap_init(&h);
    rand_seed(&r, 3);
    size_t count = 0;
    for (int step = 0; step < STEPS; step++) {
        struct item *it = &items[rand_below(&r, ITEMS)];
        if (!it->in) {
            it->key = rand_below(&r, 1000);
            it->in = true;
            heap_insert(&h, &it->node, item_less);
            count++;
        } else if (rand_below(&r, 2) == 0) {
            heap_remove(&h, &it->node, item_less);
            it->in = false;
            count--;
        } else {
            struct item *min = CONTAINER_OF(heap_pop(&h, item_less), struct item, node);
            for (int i = 0; i < ITEMS; i++) {
                assert_true(!items[i].in || items[i].key >= min->key);
            }
            min->in = false;
            count--;
        }
        assert_int_equal(h.count, count);
    }
    uint64_t last = 0;
    struct heap_node *n;
    while ((n = heap_pop(&h, item_less)) != NULL) {
        uint64_t key = CONTAINER_OF(n, struct item, node)->key;
        assert_true(key >= last);
        last = key;
    }
    assert_null(heap_min(&h));
}

static void test_rand(void **state UNUSED)
{
    struct rand a;
    struct rand b;
    rand_seed(&a, 1);
    rand_seed(&b, 1);
    for (int i = 0; i < 100; i++) {
        assert_true(rand_u64(&a) == rand_u64(&b));
    }
    rand_seed(&b, 2);
    assert_true(rand_u64(&a) != rand_u64(&b));
    /* The generator's published first outputs for the state 1, 2, 3, 4. */
    struct rand known = {{1, 2, 3, 4}};
    assert_true(rand_u64(&known) == 11520);
    assert_true(rand_u64(&known) == 0);
    assert_true(rand_u64(&known) == 1509978240);
    assert_true(rand_u64(&known) == 1215971899390074240u);
    unsigned seen[7] = {0};
    for (int i = 0; i < 70000; i++) {
        seen[rand_below(&a, 7)]++;
        double u = rand_unit(&a);
        assert_true(u >= 0.0 && u < 1.0);
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(seen[i], 9500, 10500);
    }
    assert_int_equal(rand_below(&a, 1), 0);
    uint8_t secret[64] = {0};
    assert_int_equal(rand_secure(secret, sizeof(secret)), ERR_OK);
    unsigned zeros = 0;
    for (unsigned i = 0; i < sizeof(secret); i++) {
        zeros += secret[i] == 0;
    }
    assert_true(zeros < 10);
}

static uint64_t fixed_mono(void *ctx)
{
    return *(uint64_t *)ctx;
}

static void test_clock(void **state UNUSED)
{
    uint64_t before = clock_mono_ns();
    assert_true(clock_mono_ns() >= before);
    assert_true(clock_wall_us() > 1600000000000000u);
    uint64_t now = 42;
    const struct clock_ops ops = {"fixed", fixed_mono, fixed_mono, &now};
    clock_set(&ops);
    assert_int_equal(clock_mono_ns(), 42);
    assert_int_equal(clock_wall_us(), 42);
    clock_set(NULL);
    assert_true(clock_mono_ns() >= before);
}

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;

static db_err scoped(int *ret_fd, db_err result)
{
    SCOPE_LOCK(&g_mutex);
    SCOPE_FD(fd) = open("/dev/null", O_RDONLY | O_CLOEXEC);
    SCOPE_BUF(b, 100);
    *ret_fd = fd;
    TRY(buf_append(&b, "x", 1));
    TRY(result);
    return ERR_OK;
}

static void test_scope(void **state UNUSED)
{
    for (int i = 0; i < 2; i++) {
        int fd = -1;
        assert_int_equal(scoped(&fd, i == 0 ? ERR_OK : ERR_IO), i == 0 ? ERR_OK : ERR_IO);
        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_int_equal(pthread_mutex_trylock(&g_mutex), 0);
        pthread_mutex_unlock(&g_mutex);
    }
}

/* The caller's memory first, then the heap's, and back. */
static void test_buf_in(void **state UNUSED)
{
    uint8_t space[8];
    struct buf b;
    for (unsigned i = 0; i < 2; i++) {
        buf_init_in(&b, space, sizeof(space), 100);
        assert_int_equal(buf_append_slice(&b, SLICE_LIT("12345678")), ERR_OK);
        assert_ptr_equal(b.ptr, space);
        assert_int_equal(i == 0 ? ERR_OK : buf_append_slice(&b, SLICE_LIT("9abc")), ERR_OK);
        assert_true(
            slice_eq(buf_slice(&b), i == 0 ? SLICE_LIT("12345678") : SLICE_LIT("123456789abc")));
        assert_true((b.ptr == space) == (i == 0));
        assert_int_equal(buf_reserve(&b, 93), ERR_LIMIT);
        buf_fini(&b);
        assert_int_equal(buf_append_u8(&b, 'q'), ERR_OK);
        assert_ptr_not_equal(b.ptr, space);
        buf_fini(&b);
    }
}

static void test_buf_quoted(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {{"", "``"}, {"a", "`a`"}, {"`", "````"}, {"a`b", "`a``b`"}, {"a``", "`a`````"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf b;
        buf_init(&b, 100);
        assert_int_equal(buf_append_quoted(&b, slice_str(rows[i].text), '`'), ERR_OK);
        assert_true(slice_eq(buf_slice(&b), slice_str(rows[i].want)));
        buf_fini(&b);
    }
    struct buf small;
    buf_init(&small, 3);
    assert_int_equal(buf_append_quoted(&small, slice_str("ab"), '`'), ERR_LIMIT);
    buf_fini(&small);
}

static void test_blob(void **state UNUSED)
{
    mem_set_allocator(&counting_allocator);
    size_t live = counting_live;
    struct blob *b = blob_new(100);
    assert_int_equal(b->size, 100);
    memset(b->data, 'x', 100);
    assert_ptr_equal(blob_ref(b), b);
    blob_ref_many(b, 3);
    blob_unref(b);
    blob_unref_many(b, 3);
    assert_true(counting_live > live && b->data[99] == 'x');
    blob_unref(b);
    assert_int_equal(counting_live, live);
    b = blob_new(0);
    blob_ref_many(b, 2);
    blob_unref_many(b, 3);
    blob_unref(NULL);
    assert_int_equal(counting_live, live);
    mem_set_allocator(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slice),  cmocka_unit_test(test_buf),
        cmocka_unit_test(test_buf_in), cmocka_unit_test(test_diag),
        cmocka_unit_test(test_err),    cmocka_unit_test(test_list),
        cmocka_unit_test(test_heap),   cmocka_unit_test(test_rand),
        cmocka_unit_test(test_clock),  cmocka_unit_test(test_buf_quoted),
        cmocka_unit_test(test_scope),  cmocka_unit_test(test_blob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
