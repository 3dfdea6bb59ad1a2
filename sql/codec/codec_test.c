/* Keys: order, prefix freedom, round trip. Rows: round trip, added and dropped columns, damage.
 * Index entries. */
#include "sql/codec/index_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/rand.h"
#include "sql/types/compare.h"

enum { SAMPLES = 160 };

static struct rand rng;
static struct arena arena;

static const char *const words[] = {"",           "a",
                                    "A",          "b",
                                    "ab",         "a b",
                                    "a ",         "a  ",
                                    "a\t",        "abcdefgh",
                                    "abcdefgh ",  "abcdefghi",
                                    "abcdefg",    "\xc3\xa9",
                                    "e",          "\xe6\x97\xa5",
                                    "zz",         "a\x01",
                                    " ",          "  x",
                                    "abcdefgh\t", "\xf0\x9f\x98\x80"};

static struct value random_value(const struct sql_type *t)
{
    struct value v;
    value_tag(&v, t);
    uint64_t r = rand_u64(&rng) >> rand_below(&rng, 64);
    switch ((int)type_phys(t)) {
    case PHYS_INT: {
        int64_t min;
        uint64_t max;
        type_int_range(t, &min, &max);
        v.u = max == UINT64_MAX ? r : r % (max + 1);
        if (min < 0 && rand_below(&rng, 2) == 0) {
            v.i = -v.i - (int64_t)rand_below(&rng, 2);
        }
        break;
    }
    case PHYS_DOUBLE: {
        double d = (rand_unit(&rng) - 0.5) * (double)r;
        v.d = t->id == TYPE_FLOAT ? (double)(float)d : d;
        break;
    }
    case PHYS_DECIMAL: {
        unsigned digits = t->length < 18 ? t->length : 18;
        int64_t limit = 1;
        for (unsigned i = 0; i < digits; i++) {
            limit *= 10;
        }
        int64_t n = (int64_t)(r % (uint64_t)limit);
        decimal_from_scaled(rand_below(&rng, 2) ? n : -n, t->decimals, &v.dec);
        break;
    }
    case PHYS_TIME:
        if (t->id == TYPE_TIME) {
            v.t = (int64_t)rand_below(&rng, (uint64_t)TIME_MICROS_MAX) - TIME_MICROS_MAX / 2;
            v.t -= t->decimals == 0 ? v.t % 1000000 : 0;
        } else {
            v.t = datetime_make((unsigned)rand_below(&rng, 10000), (unsigned)rand_below(&rng, 13),
                                (unsigned)rand_below(&rng, 32),
                                t->id == TYPE_DATE ? 0 : (unsigned)rand_below(&rng, 24), 0, 0,
                                t->decimals == 0 ? 0 : (unsigned)rand_below(&rng, 1000000));
        }
        break;
    default:
        if (t->collation == COLL_BINARY && rand_below(&rng, 3) == 0) {
            uint8_t *b = arena_alloc(&arena, 12);
            size_t n = rand_below(&rng, 12);
            for (size_t i = 0; i < n; i++) {
                b[i] = (uint8_t)(rand_below(&rng, 3) == 0 ? 0 : rand_below(&rng, 2) ? 1 : 0xff);
            }
            v.str = slice_of(b, n);
        } else {
            v.str = slice_str(words[rand_below(&rng, ARRAY_COUNT(words))]);
        }
    }
    return v;
}

static struct sql_type key_types[] = {{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0},
                                      {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}};
static size_t key_type_count;

static void fill_types(void)
{
    size_t n = 0;
    key_types[n++] = type_int(TYPE_TINYINT, false);
    key_types[n++] = type_int(TYPE_SMALLINT, true);
    key_types[n++] = type_int(TYPE_MEDIUMINT, false);
    key_types[n++] = type_int(TYPE_INT, true);
    key_types[n++] = type_int(TYPE_BIGINT, false);
    key_types[n++] = type_int(TYPE_BIGINT, true);
    key_types[n++] = type_decimal(10, 2, false);
    key_types[n++] = type_decimal(65, 30, false);
    key_types[n++] = type_double();
    key_types[n++] = type_float();
    key_types[n++] = type_temporal(TYPE_DATE, 0);
    key_types[n++] = type_temporal(TYPE_DATETIME, 6);
    key_types[n++] = type_temporal(TYPE_DATETIME, 0);
    key_types[n++] = type_temporal(TYPE_TIME, 0);
    key_types[n++] = type_char(TYPE_VARCHAR, 50, COLL_UTF8MB4_0900_AI_CI);
    key_types[n++] = type_char(TYPE_VARCHAR, 50, COLL_UTF8MB4_0900_AS_CS);
    key_types[n++] = type_char(TYPE_VARCHAR, 50, COLL_UTF8MB4_GENERAL_CI);
    key_types[n++] = type_char(TYPE_VARCHAR, 50, COLL_UTF8MB4_BIN);
    key_types[n++] = type_char(TYPE_VARBINARY, 50, COLL_BINARY);
    key_types[n++] = type_bit(13);
    assert_true(n <= ARRAY_COUNT(key_types));
    key_type_count = n;
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static int order_of(const struct value *a, const struct value *b, bool desc)
{
    int order = a->is_null || b->is_null
                    ? (int)b->is_null - (int)a->is_null
                    : sign(value_compare_same(a, b, collation_by_id(a->collation)));
    return desc ? -order : order;
}

static void check_pair(const struct value *a, const struct value *b, struct slice ka,
                       struct slice kb, bool desc)
{
    assert_int_equal(sign(slice_cmp(ka, kb)), order_of(a, b, desc));
    if (!slice_eq(ka, kb)) {
        assert_false(slice_starts_with(ka, kb));
        assert_false(slice_starts_with(kb, ka));
    }
}

static void check_round_trip(const struct key_column *kc, const struct value *v, struct slice key)
{
    struct slice rest = key;
    assert_int_equal(key_skip(kc, &rest), ERR_OK);
    assert_int_equal(rest.len, 0);
    for (size_t cut = 0; cut < key.len; cut++) {
        struct slice part = {key.ptr, cut};
        struct value out;
        assert_int_equal(key_skip(kc, &part), ERR_CORRUPT);
        part = slice_of(key.ptr, cut);
        assert_true(key_decode(kc, &part, &arena, &out) != ERR_OK);
    }
    struct value back;
    rest = key;
    if (!key_column_reversible(kc)) {
        assert_int_equal(key_decode(kc, &rest, &arena, &back), ERR_UNSUPPORTED);
        return;
    }
    assert_int_equal(key_decode(kc, &rest, &arena, &back), ERR_OK);
    assert_int_equal(rest.len, 0);
    assert_int_equal(back.is_null, v->is_null);
    if (!v->is_null) {
        assert_int_equal(value_compare_same(&back, v, NULL), 0);
    }
}

static void test_keys(void **state UNUSED)
{
    fill_types();
    for (size_t t = 0; t < key_type_count; t++) {
        for (unsigned mode = 0; mode < 4; mode++) {
            bool desc = (mode & 1) != 0;
            bool nullable = (mode & 2) != 0;
            struct key_column kc;
            assert_int_equal(key_column_init(&kc, &key_types[t], 0, desc, nullable), ERR_OK);
            static struct value values[SAMPLES];
            static struct buf keys[SAMPLES];
            for (unsigned i = 0; i < SAMPLES; i++) {
                values[i] = random_value(&key_types[t]);
                if (nullable && rand_below(&rng, 10) == 0) {
                    value_set_null(&values[i], &key_types[t]);
                }
                buf_init(&keys[i], 4096);
                assert_int_equal(key_encode(&kc, &values[i], &keys[i]), ERR_OK);
                check_round_trip(&kc, &values[i], buf_slice(&keys[i]));
            }
            for (unsigned i = 0; i < SAMPLES; i++) {
                for (unsigned j = 0; j < SAMPLES; j++) {
                    check_pair(&values[i], &values[j], buf_slice(&keys[i]), buf_slice(&keys[j]),
                               desc);
                }
            }
            for (unsigned i = 0; i < SAMPLES; i++) {
                buf_fini(&keys[i]);
            }
        }
    }
}

static void test_varints(void **state UNUSED)
{
    static const uint64_t edges[] = {0,          1,          240,        241,       2287,
                                     2288,       67823,      67824,      0xffffff,  0x1000000,
                                     UINT32_MAX, 1ull << 32, 1ull << 56, UINT64_MAX};
    struct buf prev;
    struct buf b;
    buf_init(&prev, 64);
    buf_init(&b, 64);
    for (size_t i = 0; i < ARRAY_COUNT(edges); i++) {
        buf_reset(&b);
        assert_int_equal(key_append_varint(&b, edges[i]), ERR_OK);
        struct slice s = buf_slice(&b);
        uint64_t back;
        assert_int_equal(key_take_varint(&s, &back), ERR_OK);
        assert_true(back == edges[i] && s.len == 0);
        assert_true(i == 0 || slice_cmp(buf_slice(&prev), buf_slice(&b)) < 0);
        assert_true(i == 0 || !slice_starts_with(buf_slice(&b), buf_slice(&prev)));
        buf_reset(&prev);
        assert_int_equal(buf_append_slice(&prev, buf_slice(&b)), ERR_OK);
    }
    buf_reset(&b);
    assert_int_equal(index_key_prefix(&b, 1000, 7), ERR_OK);
    uint64_t table;
    uint64_t index;
    struct slice rest;
    assert_int_equal(index_key_parse(buf_slice(&b), &table, &index, &rest), ERR_OK);
    assert_true(table == 1000 && index == 7 && rest.len == 0);
    buf_reset(&b);
    assert_int_equal(buf_append(&b, "\x02\xff\xff", 3), ERR_OK);
    key_prefix_end(&b);
    assert_true(slice_eq(buf_slice(&b), SLICE_LIT("\x03")));
    buf_fini(&b);
    buf_fini(&prev);
}

/* A table of every storable type, ids with gaps and out of order. */
static uint32_t make_columns(struct row_column *columns)
{
    fill_types();
    uint32_t n = 0;
    for (size_t t = 0; t < key_type_count; t++) {
        struct row_column *c = &columns[n];
        memset(c, 0, sizeof(*c));
        c->id = (uint32_t)(t * 3 % 29 + 1);
        c->type = key_types[t];
        value_set_null(&c->absent, &c->type);
        n++;
    }
    return n;
}

static void expect_same(const struct value *a, const struct value *b)
{
    assert_int_equal(a->is_null, b->is_null);
    if (!a->is_null) {
        assert_int_equal(a->phys, b->phys);
        assert_int_equal(value_compare_same(a, b, NULL), 0);
    }
}

static void test_rows(void **state UNUSED)
{
    struct row_column columns[32];
    uint32_t n = make_columns(columns);
    const struct row_layout *l;
    assert_int_equal(row_layout_new(&arena, columns, n, &l), ERR_OK);
    uint32_t positions[32];
    struct vector vectors[32];
    struct vector *wanted[32];
    const struct vector *given[32];
    for (uint32_t i = 0; i < n; i++) {
        positions[i] = n - 1 - i; /* in another order */
        assert_int_equal(vector_init(&vectors[i], &columns[n - 1 - i].type, &arena), ERR_OK);
        wanted[i] = &vectors[i];
        given[n - 1 - i] = &vectors[i];
    }
    struct row_reader *r;
    assert_int_equal(row_reader_new(&arena, l, positions, n, &r), ERR_OK);
    struct buf b;
    struct buf again;
    buf_init(&b, 1 << 20);
    buf_init(&again, 1 << 20);
    for (unsigned round = 0; round < 200; round++) {
        struct value values[32];
        struct value back[32];
        for (uint32_t i = 0; i < n; i++) {
            values[i] = random_value(&columns[i].type);
            if (rand_below(&rng, 5) == 0) {
                value_set_null(&values[i], &columns[i].type);
            }
        }
        if (round == 7) { /* offsets of four bytes */
            char *big = arena_calloc(&arena, 1, 70000);
            values[18].is_null = false;
            values[18].str = slice_of(big, 70000);
        }
        buf_reset(&b);
        assert_int_equal(row_encode(l, values, &b), ERR_OK);
        assert_int_equal(row_read_values(r, buf_slice(&b), back), ERR_OK);
        assert_int_equal(row_read(r, buf_slice(&b), wanted, round, true), ERR_OK);
        for (uint32_t i = 0; i < n; i++) {
            struct value v;
            expect_same(&values[positions[i]], &back[i]);
            vector_get(&vectors[i], round, &v);
            expect_same(&values[positions[i]], &v);
        }
        buf_reset(&again);
        assert_int_equal(row_encode_vectors(l, given, round, &again), ERR_OK);
        assert_true(slice_eq(buf_slice(&b), buf_slice(&again)));
        if (round < 20) { /* torn rows are refused, never read past their end */
            for (size_t cut = 0; cut < b.len; cut++) {
                uint8_t *copy = mem_alloc(cut == 0 ? 1 : cut);
                memcpy(copy, b.ptr, cut);
                assert_true(row_read_values(r, slice_of(copy, cut), back) != ERR_OK);
                mem_free(copy);
            }
        }
    }
    b.ptr[0] = 9;
    struct value back[32];
    assert_int_equal(row_read_values(r, buf_slice(&b), back), ERR_UNSUPPORTED);
    buf_fini(&b);
    buf_fini(&again);
}

static void test_changed_layout(void **state UNUSED)
{
    struct row_column old_columns[3] = {
        {.id = 1, .type = type_int(TYPE_INT, false)},
        {.id = 2, .type = type_char(TYPE_VARCHAR, 20, COLL_UTF8MB4_0900_AI_CI)},
        {.id = 3, .type = type_int(TYPE_BIGINT, false)}};
    struct row_column new_columns[4] = {
        {.id = 4, .type = type_int(TYPE_INT, false), .absent = value_int(42)},
        old_columns[0],
        old_columns[1],
        old_columns[2]};
    new_columns[2].dropped = true;
    for (int i = 0; i < 3; i++) {
        value_set_null(&old_columns[i].absent, &old_columns[i].type);
    }
    const struct row_layout *old_layout;
    const struct row_layout *new_layout;
    assert_int_equal(row_layout_new(&arena, old_columns, 3, &old_layout), ERR_OK);
    assert_int_equal(row_layout_new(&arena, new_columns, 4, &new_layout), ERR_OK);
    struct value values[3] = {value_int(7), value_str(SLICE_LIT("gone"), COLL_UTF8MB4_0900_AI_CI),
                              value_int(1ll << 40)};
    struct buf b;
    buf_init(&b, 1024);
    assert_int_equal(row_encode(old_layout, values, &b), ERR_OK);
    static const uint32_t positions[] = {0, 1, 3};
    struct row_reader *r;
    struct value got[3];
    assert_int_equal(row_reader_new(&arena, new_layout, positions, 3, &r), ERR_OK);
    assert_int_equal(row_read_values(r, buf_slice(&b), got), ERR_OK);
    assert_int_equal(got[0].i, 42);
    assert_int_equal(got[1].i, 7);
    assert_true(got[2].i == 1ll << 40);
    /* The other way round: an old reader meets a column it does not know. */
    struct value new_values[4] = {value_int(5), value_int(6), value_null(), value_int(8)};
    buf_reset(&b);
    assert_int_equal(row_encode(new_layout, new_values, &b), ERR_OK);
    assert_int_equal(row_read_values(r, buf_slice(&b), got), ERR_OK);
    assert_true(got[0].i == 5 && got[1].i == 6 && got[2].i == 8);
    static const uint32_t old_positions[] = {0};
    assert_int_equal(row_reader_new(&arena, old_layout, old_positions, 1, &r), ERR_OK);
    assert_int_equal(row_read_values(r, buf_slice(&b), got), ERR_CORRUPT);
    struct row_column twice[2] = {old_columns[0], old_columns[0]};
    assert_int_equal(row_layout_new(&arena, twice, 2, &old_layout), ERR_INVALID);
    buf_fini(&b);
}

static void test_index_entries(void **state UNUSED)
{
    struct sql_type id_type = type_int(TYPE_BIGINT, false);
    struct sql_type name_type = type_char(TYPE_VARCHAR, 400, COLL_UTF8MB4_0900_AI_CI);
    struct row_column stored_columns[1] = {{.id = 1, .type = name_type}};
    value_set_null(&stored_columns[0].absent, &name_type);
    const struct row_layout *stored;
    assert_int_equal(row_layout_new(&arena, stored_columns, 1, &stored), ERR_OK);
    struct key_column pk[2];
    struct key_column columns[1];
    assert_int_equal(key_column_init(&pk[0], &id_type, 0, false, false), ERR_OK);
    assert_int_equal(key_column_init(&pk[1], &name_type, 0, true, false), ERR_OK);
    assert_int_equal(key_column_init(&columns[0], &name_type, 3, false, true), ERR_OK);
    static const uint32_t pk_positions[] = {0, 1};
    static const uint32_t positions[] = {1};
    for (unsigned unique = 0; unique < 2; unique++) {
        struct index_format f = {.table_id = 77,
                                 .index_id = 3,
                                 .unique = unique != 0,
                                 .column_count = 1,
                                 .columns = columns,
                                 .positions = positions,
                                 .pk_count = 2,
                                 .pk_columns = pk,
                                 .pk_positions = pk_positions,
                                 .stored = stored,
                                 .stored_positions = positions};
        for (unsigned len = 0; len < 400; len += 37) {
            char text[400];
            memset(text, 'x', sizeof(text));
            struct value values[2] = {value_int((int64_t)len - 100),
                                      value_str(slice_of(text, len), COLL_UTF8MB4_0900_AI_CI)};
            struct buf key;
            struct buf value;
            struct buf row_key;
            struct buf direct;
            buf_init(&key, 1 << 16);
            buf_init(&value, 1 << 16);
            buf_init(&row_key, 1 << 16);
            buf_init(&direct, 1 << 16);
            bool has_null;
            struct index_entry e;
            assert_int_equal(index_entry_encode(&f, values, &key, &value, &has_null), ERR_OK);
            assert_false(has_null);
            assert_int_equal(index_entry_parse(&f, buf_slice(&key), buf_slice(&value), &e), ERR_OK);
            assert_int_equal(row_key_from_pk(&f, e.pk_bytes, &row_key), ERR_OK);
            assert_int_equal(row_key_encode(&f, values, &direct), ERR_OK);
            assert_true(slice_eq(buf_slice(&row_key), buf_slice(&direct)));
            assert_true(e.stored.len > len);
            buf_fini(&key);
            buf_fini(&value);
            buf_fini(&row_key);
            buf_fini(&direct);
        }
    }
}

static int set_up(void **state UNUSED)
{
    rand_seed(&rng, 42);
    arena_init(&arena, NULL, NULL, 0);
    return 0;
}

static int tear_down(void **state UNUSED)
{
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),          cmocka_unit_test(test_varints),
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_changed_layout),
        cmocka_unit_test(test_index_entries),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
