/* Chunks there and back, and pages that lie. */
#include "base/test_main.h"

#include "base/rand.h"
#include "sql/codec/chunk_codec.h"

enum { COLUMNS = 5 };

struct fixture {
    struct arena arena;
    struct sql_type types[COLUMNS];
    const struct sql_type *list[COLUMNS];
    struct chunk in, out;
    struct buf bytes;
    uint16_t sel[CHUNK_ROWS];
};

static void setup(struct fixture *f)
{
    arena_init(&f->arena, NULL, NULL, 0);
    f->types[0] = type_int(TYPE_BIGINT, false);
    f->types[1] = type_double();
    f->types[2] = type_decimal(30, 4, false);
    f->types[3] = type_char(TYPE_VARCHAR, 100, 255);
    f->types[4] = type_temporal(TYPE_DATETIME, 6);
    for (int i = 0; i < COLUMNS; i++) {
        f->list[i] = &f->types[i];
    }
    assert_int_equal(chunk_init(&f->in, f->list, COLUMNS, &f->arena), ERR_OK);
    assert_int_equal(chunk_init(&f->out, f->list, COLUMNS, &f->arena), ERR_OK);
    buf_init(&f->bytes, 1 << 24);
}

static void fill(struct fixture *f, struct rand *rand, uint32_t rows, bool nulls)
{
    static uint8_t text[64];
    chunk_reset(&f->in);
    for (uint32_t i = 0; i < rows; i++) {
        struct decimal d;
        size_t len = rand_below(rand, sizeof(text));
        memset(text, 'a' + (int)(i % 26), sizeof(text));
        vec_set_i64(&f->in.columns[0], i, (int64_t)rand_u64(rand));
        vec_set_double(&f->in.columns[1], i, (double)i / 3);
        decimal_from_scaled((int64_t)rand_u64(rand), i % 8, &d);
        vec_set_decimal(&f->in.columns[2], i, &d);
        assert_int_equal(vec_set_str(&f->in.columns[3], i, slice_of(text, len)), ERR_OK);
        vec_set_i64(&f->in.columns[4], i, (int64_t)i);
        for (int c = 0; nulls && c < COLUMNS; c++) {
            if (rand_below(rand, 4) == 0) {
                vec_set_null(&f->in.columns[c], i);
            }
        }
    }
    f->in.count = rows;
}

static void expect_same(struct fixture *f)
{
    struct slice page = buf_slice(&f->bytes);
    assert_int_equal(chunk_decode(&page, &f->out), ERR_OK);
    assert_int_equal(page.len, 0);
    assert_int_equal(f->out.count, f->in.count);
    for (uint32_t i = 0; i < f->in.count; i++) {
        uint32_t row = chunk_row(&f->in, i);
        for (int c = 0; c < COLUMNS; c++) {
            const struct vector *a = &f->in.columns[c];
            const struct vector *b = &f->out.columns[c];
            assert_int_equal(vec_is_null(a, row), vec_is_null(b, i));
            if (vec_is_null(a, row)) {
                continue;
            }
            if (c == 2) {
                assert_int_equal(decimal_cmp(vec_decimal(a, row), vec_decimal(b, i)), 0);
                assert_int_equal(vec_decimal(a, row)->scale, vec_decimal(b, i)->scale);
            } else if (c == 3) {
                assert_true(slice_eq(vec_str(a, row), vec_str(b, i)));
            } else {
                assert_int_equal(vec_u64(a, row), vec_u64(b, i));
            }
        }
    }
}

static void test_there_and_back(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 63, 64, 65, 1000, CHUNK_ROWS};
    struct fixture f;
    struct rand rand;
    rand_seed(&rand, 1);
    setup(&f);
    for (uint32_t n = 0; n < 4 * ARRAY_COUNT(sizes); n++) {
        fill(&f, &rand, sizes[n / 4], n % 2 != 0);
        f.in.sel = NULL;
        if (n % 4 >= 2) {
            uint32_t kept = 0;
            for (uint32_t i = 0; i < f.in.count; i++) {
                f.sel[kept] = (uint16_t)i;
                kept += rand_below(&rand, 3) != 0;
            }
            f.in.sel = f.sel;
            f.in.count = kept;
        }
        buf_reset(&f.bytes);
        assert_int_equal(chunk_encode(&f.in, &f.bytes), ERR_OK);
        expect_same(&f);
    }
    buf_fini(&f.bytes);
    arena_fini(&f.arena);
}

static void test_constants(void **state)
{
    (void)state;
    struct fixture f;
    struct value v = value_int(77);
    setup(&f);
    assert_int_equal(vector_init_const(&f.in.columns[0], &f.types[0], &v, &f.arena), ERR_OK);
    f.in.column_count = f.out.column_count = 1;
    f.in.count = 900;
    assert_int_equal(chunk_encode(&f.in, &f.bytes), ERR_OK);
    assert_true(f.bytes.len < 32);
    struct slice page = buf_slice(&f.bytes);
    assert_int_equal(chunk_decode(&page, &f.out), ERR_OK);
    assert_int_equal(f.out.count, 900);
    assert_int_equal(vec_i64(&f.out.columns[0], 899), 77);
    buf_fini(&f.bytes);
    arena_fini(&f.arena);
}

static void test_malformed(void **state)
{
    (void)state;
    struct fixture f;
    struct rand rand;
    rand_seed(&rand, 2);
    setup(&f);
    fill(&f, &rand, 100, true);
    assert_int_equal(chunk_encode(&f.in, &f.bytes), ERR_OK);
    for (size_t len = 0; len < f.bytes.len; len++) {
        struct slice page = slice_of(f.bytes.ptr, len);
        assert_int_equal(chunk_decode(&page, &f.out), ERR_CORRUPT);
    }
    for (int n = 0; n < 20000; n++) { /* whatever comes out, nothing is read or written beyond */
        uint8_t *at = &f.bytes.ptr[rand_below(&rand, f.bytes.len)];
        uint8_t old = *at;
        *at = (uint8_t)rand_u64(&rand);
        struct slice page = buf_slice(&f.bytes);
        (void)!chunk_decode(&page, &f.out);
        *at = old;
    }
    buf_fini(&f.bytes);
    arena_fini(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
