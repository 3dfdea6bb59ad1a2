/* Aggregates over columns in two parts that are merged: the result must be that of one part, and
 * what MySQL gives for the same values. */
#include "base/test_main.h"

#include <string.h>

#include "sql/func/func_int.h"

enum { ROWS = 6, HALF = 3 };

struct agg_test {
    struct arena arena;
    struct diag diag;
    struct cast_ctx cast;
    struct eval_ctx eval;
    struct agg_call call;
    struct func_arg arg;
    struct sql_type type; /* of the argument after the cast */
    struct vector column;
};

static int setup(void **state)
{
    static struct agg_test t;
    memset(&t, 0, sizeof(t));
    arena_init(&t.arena, NULL, NULL, 0);
    cast_ctx_init(&t.cast, &t.arena, &t.diag);
    t.eval = (struct eval_ctx){
        .arena = &t.arena, .statement = &t.arena, .cast = &t.cast, .diag = &t.diag};
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    arena_fini(&((struct agg_test *)*state)->arena);
    return 0;
}

static void bind(struct agg_test *t, const char *name, const struct sql_type *type)
{
    struct func_bind_ctx ctx = {.arena = &t->arena,
                                .diag = &t->diag,
                                .connection_collation = COLL_UTF8MB4_0900_AI_CI,
                                .div_precision_increment = 4};
    const struct agg_def *def = agg_find(slice_str(name));
    assert_non_null(def);
    t->arg = (struct func_arg){.type = *type, .coercibility = 2};
    t->type = *type;
    t->call = (struct agg_call){
        .def = def, .arg_count = 1, .arg_types = &t->type, .variant = def->variant};
    assert_int_equal(def->bind_agg(&ctx, &t->call, &t->arg), ERR_OK);
    if (t->arg.want_cast) {
        t->type = t->arg.want;
    }
}

/* NULL where the text is NULL. */
static void fill(struct agg_test *t, const struct sql_type *type, const char *const texts[ROWS])
{
    assert_int_equal(vector_init(&t->column, &t->type, &t->arena), ERR_OK);
    for (uint32_t i = 0; i < ROWS; i++) {
        if (texts[i] == NULL) {
            vec_set_null(&t->column, i);
            continue;
        }
        struct value s = value_str(slice_str(texts[i]), COLL_UTF8MB4_0900_AI_CI);
        struct sql_type from = value_type(&s);
        struct value v;
        assert_int_equal(value_cast(&t->cast, &from, &s, type, &v), ERR_OK);
        assert_int_equal(value_cast(&t->cast, type, &v, &t->type, &v), ERR_OK);
        assert_int_equal(vector_set(&t->column, i, &v), ERR_OK);
    }
}

static void expect(struct agg_test *t, const void *agg_state, const char *want)
{
    struct vector out;
    struct value v;
    struct slice text;
    assert_int_equal(vector_init(&out, &t->call.type, &t->arena), ERR_OK);
    assert_int_equal(t->call.def->result(&t->eval, &t->call, agg_state, &out, 0), ERR_OK);
    vector_get(&out, 0, &v);
    assert_int_equal(v.is_null, want == NULL);
    if (want != NULL) {
        assert_int_equal(value_to_text(&t->cast, &t->call.type, &v, &text), ERR_OK);
        assert_int_equal(text.len, strlen(want));
        assert_memory_equal(text.ptr, want, text.len);
    }
}

static void *state_of(struct agg_test *t)
{
    return arena_calloc(&t->arena, 1, t->call.def->state_size);
}

static void update(struct agg_test *t, void *agg_state, const uint16_t *sel, uint32_t n)
{
    void *states[ROWS];
    struct vector *columns[1] = {&t->column};
    for (uint32_t i = 0; i < n; i++) {
        states[i] = agg_state;
    }
    assert_int_equal(t->call.def->update(&t->eval, &t->call, &t->arena, columns, sel, n, states),
                     ERR_OK);
}

static void check(struct agg_test *t, const char *name, struct sql_type type,
                  const char *const texts[ROWS], const char *want)
{
    static const uint16_t second[HALF] = {3, 4, 5};
    bind(t, name, &type);
    fill(t, &type, texts);
    void *whole = state_of(t);
    update(t, whole, NULL, ROWS);
    expect(t, whole, want);
    void *a = state_of(t);
    void *b = state_of(t);
    void *into = state_of(t);
    update(t, a, NULL, HALF);
    update(t, b, second, HALF);
    assert_int_equal(t->call.def->merge(&t->eval, &t->call, &t->arena, into, a), ERR_OK);
    assert_int_equal(t->call.def->merge(&t->eval, &t->call, &t->arena, into, b), ERR_OK);
    expect(t, into, want);
}

static const char *const g_ints[ROWS] = {"3", NULL, "-7", "12", "3", "100"};
static const char *const g_pairs[ROWS] = {"1", "3", "1", "3", "3", "1"};
static const char *const g_none[ROWS] = {NULL, NULL, NULL, NULL, NULL, NULL};
static const char *const g_decimals[ROWS] = {"1.50", NULL, "2.25", "-10.00", "0.10", "99999999.99"};
static const char *const g_texts[ROWS] = {
    "pear", NULL, "Apple", "fig and quite a long string of bytes", "apple", "quince"};
static const char *const g_dates[ROWS] = {"2024-02-29", NULL,         "1999-12-31",
                                          "2024-03-01", "2000-01-01", "2023-01-01"};

static void test_numbers(void **state)
{
    struct agg_test *t = *state;
    struct sql_type i = type_int(TYPE_INT, false);
    struct sql_type d = type_decimal(10, 2, false);
    check(t, "count", i, g_ints, "5");
    check(t, "sum", i, g_ints, "111");
    check(t, "avg", i, g_ints, "22.2000");
    check(t, "min", i, g_ints, "-7");
    check(t, "max", i, g_ints, "100");
    check(t, "bit_and", i, g_ints, "0");
    check(t, "bit_or", i, g_ints, "18446744073709551615");
    check(t, "sum", d, g_decimals, "99999993.84");
    check(t, "avg", d, g_decimals, "19999998.768000");
    check(t, "max", d, g_decimals, "99999999.99");
    check(t, "sum", type_double(), g_ints, "111");
    check(t, "var_pop", i, g_pairs, "1");
    check(t, "var_samp", i, g_pairs, "1.2");
    check(t, "stddev_pop", i, g_pairs, "1");
}

static void test_none(void **state)
{
    struct agg_test *t = *state;
    struct sql_type i = type_int(TYPE_INT, false);
    check(t, "count", i, g_none, "0");
    check(t, "sum", i, g_none, NULL);
    check(t, "avg", i, g_none, NULL);
    check(t, "min", i, g_none, NULL);
    check(t, "bit_and", i, g_none, "18446744073709551615");
    check(t, "bit_or", i, g_none, "0");
    check(t, "stddev_samp", i, g_none, NULL);
    check(t, "group_concat", i, g_none, NULL);
    check(t, "any_value", i, g_none, NULL);
}

static void test_others(void **state)
{
    struct agg_test *t = *state;
    struct sql_type s = type_char(TYPE_VARCHAR, 40, COLL_UTF8MB4_0900_AI_CI);
    struct sql_type d = type_temporal(TYPE_DATE, 0);
    check(t, "min", s, g_texts, "Apple");
    check(t, "max", s, g_texts, "quince");
    check(t, "any_value", s, g_texts, "pear");
    check(t, "group_concat", s, g_texts,
          "pear,Apple,fig and quite a long string of bytes,apple,quince");
    check(t, "group_concat", type_int(TYPE_INT, false), g_ints, "3,-7,12,3,100");
    check(t, "min", d, g_dates, "1999-12-31");
    check(t, "max", d, g_dates, "2024-03-01");
    check(t, "count", d, g_dates, "5");
}

/* 128 bits hold what 64 cannot. */
static void test_large(void **state)
{
    struct agg_test *t = *state;
    static const char *const big[ROWS] = {"18446744073709551615", "18446744073709551615",
                                          "18446744073709551615", "18446744073709551615",
                                          "18446744073709551615", "18446744073709551615"};
    check(t, "sum", type_int(TYPE_BIGINT, true), big, "110680464442257309690");
    check(t, "avg", type_int(TYPE_BIGINT, true), big, "18446744073709551615.0000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
