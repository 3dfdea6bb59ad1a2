/* Type texts and result metadata against what MySQL answered (vectors/types.txt); vectors of
 * values; rules of comparison. */
#include "sql/types/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "sql/charset/charset.h"
#include "sql/types/compare.h"
#include "sql/types/vector.h"

static const struct type_names enum_names = {
    3, (const struct slice[]){
           {(const uint8_t *)"a", 1}, {(const uint8_t *)"bcd", 3}, {(const uint8_t *)"it's", 4}}};
static const struct type_names set_names = {3, (const struct slice[]){{(const uint8_t *)"a", 1},
                                                                      {(const uint8_t *)"b", 1},
                                                                      {(const uint8_t *)"c", 1}}};

static struct sql_type with(struct sql_type t, unsigned flags, uint32_t length, unsigned decimals)
{
    t.flags |= (uint8_t)flags;
    t.length = length;
    t.decimals = (uint8_t)decimals;
    return t;
}

static unsigned make_types(struct sql_type *t)
{
    enum {
        AI = COLL_UTF8MB4_0900_AI_CI,
        LATIN = COLL_LATIN1_SWEDISH_CI,
        BIN = COLL_BINARY,
        FREE = DECIMALS_NOT_FIXED
    };
    unsigned n = 0;
    t[n++] = type_int(TYPE_TINYINT, false);
    t[n++] = type_int(TYPE_TINYINT, true);
    t[n++] = with(type_int(TYPE_TINYINT, false), 0, 1, 0);
    t[n++] = type_int(TYPE_SMALLINT, false);
    t[n++] = type_int(TYPE_SMALLINT, true);
    t[n++] = type_int(TYPE_MEDIUMINT, false);
    t[n++] = type_int(TYPE_MEDIUMINT, true);
    t[n++] = type_int(TYPE_INT, false);
    t[n++] = type_int(TYPE_INT, true);
    t[n++] = with(type_int(TYPE_INT, true), TYPE_F_ZEROFILL, 5, 0);
    t[n++] = type_int(TYPE_BIGINT, false);
    t[n++] = type_int(TYPE_BIGINT, true);
    t[n++] = type_decimal(10, 0, false);
    t[n++] = type_decimal(10, 2, false);
    t[n++] = type_decimal(10, 2, true);
    t[n++] = type_decimal(65, 30, false);
    t[n++] = type_float();
    t[n++] = with(type_float(), TYPE_F_UNSIGNED, 12, FREE);
    t[n++] = with(type_float(), 0, 7, 2);
    t[n++] = type_double();
    t[n++] = with(type_double(), 0, 9, 4);
    t[n++] = type_bit(1);
    t[n++] = type_bit(64);
    t[n++] = type_temporal(TYPE_DATE, 0);
    t[n++] = type_temporal(TYPE_TIME, 0);
    t[n++] = type_temporal(TYPE_TIME, 3);
    t[n++] = type_temporal(TYPE_DATETIME, 0);
    t[n++] = type_temporal(TYPE_DATETIME, 6);
    t[n++] = type_temporal(TYPE_TIMESTAMP, 0);
    t[n++] = type_temporal(TYPE_TIMESTAMP, 3);
    t[n++] = type_temporal(TYPE_YEAR, 0);
    t[n++] = type_char(TYPE_CHAR, 10, AI);
    t[n++] = type_char(TYPE_VARCHAR, 20, AI);
    t[n++] = type_char(TYPE_VARCHAR, 20, COLL_UTF8MB4_BIN);
    t[n++] = type_char(TYPE_CHAR, 10, LATIN);
    t[n++] = type_char(TYPE_BINARY, 5, BIN);
    t[n++] = type_char(TYPE_VARBINARY, 10, BIN);
    t[n++] = type_blob(TYPE_TINYTEXT, AI);
    t[n++] = type_blob(TYPE_TEXT, AI);
    t[n++] = type_blob(TYPE_MEDIUMTEXT, AI);
    t[n++] = type_blob(TYPE_LONGTEXT, AI);
    t[n++] = type_blob(TYPE_TINYBLOB, BIN);
    t[n++] = type_blob(TYPE_BLOB, BIN);
    t[n++] = type_blob(TYPE_MEDIUMBLOB, BIN);
    t[n++] = type_blob(TYPE_LONGBLOB, BIN);
    t[n++] = type_blob(TYPE_TEXT, LATIN);
    t[n++] = type_names_of(TYPE_ENUM, &enum_names, AI);
    t[n++] = type_names_of(TYPE_SET, &set_names, AI);
    t[n++] = type_blob(TYPE_JSON, BIN);
    t[n++] = type_blob(TYPE_GEOMETRY, BIN);
    t[n] = type_blob(TYPE_GEOMETRY, BIN);
    t[n++].geometry = GEOM_POINT;
    t[n++] = type_vector(3);
    return n;
}

static void test_metadata(void **state UNUSED)
{
    FILE *f = fopen(TYPES_VECTORS "/types.txt", "r");
    assert_non_null(f);
    struct sql_type types[64];
    unsigned count = make_types(types);
    char line[512];
    struct buf text;
    buf_init(&text, 4096);
    unsigned i = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        char definition[128];
        char column_type[128];
        char data_type[64];
        unsigned wire[5];
        assert_int_equal(sscanf(line, "%127[^\t]\t%127[^\t]\t%63[^\t]\t%u\t%u\t%u\t%u\t%u",
                                definition, column_type, data_type, &wire[0], &wire[1], &wire[2],
                                &wire[3], &wire[4]),
                         8);
        assert_true(i < count);
        const struct sql_type *t = &types[i++];
        buf_reset(&text);
        assert_int_equal(type_print(t, &text), ERR_OK);
        assert_int_equal(buf_append_u8(&text, 0), ERR_OK);
        assert_string_equal((const char *)text.ptr, column_type);
        assert_string_equal(type_data_type(t), data_type);
        struct wire_column got;
        type_wire_column(t, COLL_UTF8MB4_0900_AI_CI, &got);
        if (got.type != wire[0] || got.length != wire[1] || got.decimals != wire[2] ||
            got.charset != wire[3] || got.flags != wire[4]) {
            fprintf(stderr, "%s got %u %u %u %u %u\n", definition, got.type, got.length,
                    got.decimals, got.charset, got.flags);
        }
        assert_int_equal(got.type, wire[0]);
        assert_int_equal(got.length, wire[1]);
        assert_int_equal(got.decimals, wire[2]);
        assert_int_equal(got.charset, wire[3]);
        assert_int_equal(got.flags, wire[4]);
        assert_true(type_equal(t, t));
    }
    assert_int_equal(i, count);
    buf_fini(&text);
    fclose(f);
}

static void test_vectors(void **state UNUSED)
{
    struct arena arena;
    arena_init(&arena, NULL, NULL, 0);
    struct sql_type t = type_char(TYPE_VARCHAR, 100, COLL_UTF8MB4_0900_AI_CI);
    struct vector a;
    struct vector b;
    struct vector c;
    assert_int_equal(vector_init(&a, &t, &arena), ERR_OK);
    assert_int_equal(vector_init(&b, &t, &arena), ERR_OK);
    for (uint32_t i = 0; i < CHUNK_ROWS; i++) {
        char text[40];
        int len = snprintf(text, sizeof(text), "%.*s%u", (int)(i % 20), "abcdefghijklmnopqrst", i);
        assert_int_equal(vec_set_str(&a, i, slice_of(text, (size_t)len)), ERR_OK);
        if (i % 7 == 0) {
            vec_set_null(&a, i);
        }
    }
    static const uint16_t rows[] = {1023, 0, 5, 20, 19};
    assert_int_equal(vector_gather(&b, 3, &a, rows, 5), ERR_OK);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(vec_is_null(&b, 3 + i), vec_is_null(&a, rows[i]));
        assert_true(slice_eq(vec_str(&b, 3 + i), vec_str(&a, rows[i])));
        assert_true(strv_eq(&vec_strs(&b)[3 + i], &vec_strs(&a)[rows[i]]));
    }
    assert_false(strv_eq(&vec_strs(&a)[1], &vec_strs(&a)[2]));
    struct value v = value_str(SLICE_LIT("constant"), COLL_UTF8MB4_0900_AI_CI);
    assert_int_equal(vector_init_const(&c, &t, &v, &arena), ERR_OK);
    assert_true(slice_eq(vec_str(&c, 777), SLICE_LIT("constant")));
    assert_int_equal(vector_gather(&b, 0, &c, NULL, 4), ERR_OK);
    assert_true(slice_eq(vec_str(&b, 3), SLICE_LIT("constant")));

    /* Fast and slow conversions agree. */
    struct cast_ctx ctx;
    cast_ctx_init(&ctx, &arena, NULL);
    struct sql_type from = type_int(TYPE_BIGINT, true);
    struct sql_type to[] = {type_double(), type_decimal(20, 0, false), type_int(TYPE_BIGINT, false),
                            t};
    struct vector ints;
    assert_int_equal(vector_init(&ints, &from, &arena), ERR_OK);
    for (uint32_t i = 0; i < 10; i++) {
        vec_set_i64(&ints, i, -(int64_t)i * 3);
    }
    vec_set_null(&ints, 4);
    static const uint16_t sel[] = {1, 4, 9};
    for (size_t k = 0; k < ARRAY_COUNT(to); k++) {
        struct vector out;
        assert_int_equal(vector_init(&out, &to[k], &arena), ERR_OK);
        assert_int_equal(vector_cast(&ctx, &ints, sel, 3, &out), ERR_OK);
        for (size_t i = 0; i < ARRAY_COUNT(sel); i++) {
            struct value in;
            struct value want;
            struct value got;
            vector_get(&ints, sel[i], &in);
            vector_get(&out, sel[i], &got);
            assert_int_equal(value_cast(&ctx, &from, &in, &to[k], &want), ERR_OK);
            assert_int_equal(got.is_null, want.is_null);
            assert_true(want.is_null || value_compare_same(&got, &want, NULL) == 0);
        }
    }
    arena_fini(&arena);
}

static void test_compare(void **state UNUSED)
{
    assert_true(compare_ints(-1, false, -1, true) < 0); /* -1 and 2^64 - 1 */
    assert_true(compare_ints(-1, true, 5, false) > 0);
    assert_true(compare_ints(5, false, 5, true) == 0);
    struct sql_type i = type_int(TYPE_INT, false);
    struct sql_type d = type_decimal(10, 2, false);
    struct sql_type f = type_double();
    struct sql_type s = type_char(TYPE_VARCHAR, 10, COLL_UTF8MB4_0900_AI_CI);
    struct sql_type date = type_temporal(TYPE_DATE, 0);
    struct sql_type time = type_temporal(TYPE_TIME, 0);
    assert_int_equal(compare_kind(&i, &d), COMPARE_DECIMAL);
    assert_int_equal(compare_kind(&i, &f), COMPARE_DOUBLE);
    assert_int_equal(compare_kind(&i, &s), COMPARE_DOUBLE);
    assert_int_equal(compare_kind(&s, &s), COMPARE_STRING);
    assert_int_equal(compare_kind(&date, &s), COMPARE_DATETIME);
    assert_int_equal(compare_kind(&time, &s), COMPARE_TIME);
    assert_int_equal(compare_kind(&date, &i), COMPARE_DOUBLE);
    struct arena arena;
    arena_init(&arena, NULL, NULL, 0);
    struct cast_ctx ctx;
    cast_ctx_init(&ctx, &arena, NULL);
    struct value a = value_temporal(TYPE_DATE, datetime_make(2024, 1, 31, 0, 0, 0, 0), 0);
    struct value b = value_str(SLICE_LIT("2024-1-31"), COLL_UTF8MB4_0900_AI_CI);
    int order = 9;
    assert_int_equal(value_compare(&ctx, COMPARE_DATETIME, NULL, &date, &a, &s, &b, &order),
                     ERR_OK);
    assert_int_equal(order, 0);
    a = value_int(10);
    b = value_str(SLICE_LIT("9.5x"), COLL_UTF8MB4_0900_AI_CI);
    assert_int_equal(value_compare(&ctx, COMPARE_DOUBLE, NULL, &i, &a, &s, &b, &order), ERR_OK);
    assert_int_equal(order, 1);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
