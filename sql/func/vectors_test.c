/* Every function against answers recorded from MySQL (vectors/calls.txt), and facts of the table.
 *
 * A line is a call: name, result, arguments; tab-separated. Values are tagged: n NULL, i: signed,
 * u: unsigned, d: decimal, f: double, s: text, D: date, T: time, X: datetime (the last three with
 * as many fraction digits as they show). "!1234" as result is an error's number. Each call is bound
 * as the binder does it and evaluated twice: with constant arguments, and with columns of rows
 * behind a selection; both must give the recorded text. */
#include "base/test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/func/func_int.h"
#include "sql/types/sql_mode.h"

#define MODE                                                                                       \
    (SQL_MODE_ONLY_FULL_GROUP_BY | SQL_MODE_STRICT_TRANS_TABLES | SQL_MODE_NO_ZERO_IN_DATE |       \
     SQL_MODE_NO_ZERO_DATE | SQL_MODE_ERROR_FOR_DIVISION_BY_ZERO)

enum { ARGS_MAX = 12 };

static unsigned g_failed; /* lines: all are shown before the test fails */

struct call_test {
    struct arena arena;
    struct diag diag;
    struct cast_ctx cast;
    struct eval_ctx eval;
    struct func_call call;
    struct func_arg args[ARGS_MAX];
    struct value values[ARGS_MAX];
    struct sql_type types[ARGS_MAX];
    const struct value *consts[ARGS_MAX];
    struct vector vectors[ARGS_MAX];
    struct vector *list[ARGS_MAX];
    uint32_t count;
};

static void setup(struct call_test *t)
{
    memset(t, 0, sizeof(*t));
    arena_init(&t->arena, NULL, NULL, 0);
    diag_reset(&t->diag);
    cast_ctx_init(&t->cast, &t->arena, &t->diag);
    t->cast.sql_mode = MODE;
    t->eval = (struct eval_ctx){
        .arena = &t->arena, .statement = &t->arena, .cast = &t->cast, .diag = &t->diag};
}

static unsigned fraction_digits(const char *text)
{
    const char *dot = strchr(text, '.');
    return dot == NULL ? 0 : (unsigned)strlen(dot + 1);
}

static void parse_temporal(struct call_test *t, char tag, const char *text, struct value *v,
                           struct sql_type *type)
{
    enum type_id id = tag == 'D' ? TYPE_DATE : tag == 'T' ? TYPE_TIME : TYPE_DATETIME;
    struct value s = value_str(slice_str(text), COLL_UTF8MB4_0900_AI_CI);
    struct sql_type from = value_type(&s);
    *type = type_temporal(id, fraction_digits(text));
    assert_int_equal(value_cast(&t->cast, &from, &s, type, v), ERR_OK);
    assert_false(v->is_null);
}

static void parse_value(struct call_test *t, char *field, struct value *v, struct sql_type *type)
{
    char *text = field + 2;
    struct decimal d;
    switch (field[0]) {
    case 'n':
        *v = value_null();
        *type = type_null();
        return;
    case 'i': *v = value_int(strtoll(text, NULL, 10)); break;
    case 'u': *v = value_uint(strtoull(text, NULL, 10)); break;
    case 'f': *v = value_double(strtod(text, NULL)); break;
    case 'd':
        (void)decimal_from_text(slice_str(text), &d);
        *v = value_decimal(&d);
        break;
    case 's': *v = value_str(slice_str(text), COLL_UTF8MB4_0900_AI_CI); break;
    default: parse_temporal(t, field[0], text, v, type); goto done;
    }
    *type = value_type(v);
    if (field[0] == 'i' || field[0] == 'u') {
        type->length = (uint32_t)strlen(text) + (field[0] == 'i');
    }
    if (field[0] == 's') {
        *type = type_char(TYPE_VARCHAR, (uint32_t)strlen(text), COLL_UTF8MB4_0900_AI_CI);
    }
done:
    type->flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
}

/* As the binder: bind, then the casts asked for. ERR_SQL for what bind refuses. */
static db_err bind_call(struct call_test *t, const struct func_def *def)
{
    struct func_bind_ctx ctx = {.arena = &t->arena,
                                .diag = &t->diag,
                                .sql_mode = MODE,
                                .connection_collation = COLL_UTF8MB4_0900_AI_CI,
                                .div_precision_increment = 4};
    t->call = (struct func_call){.def = def,
                                 .arg_count = t->count,
                                 .arg_types = t->types,
                                 .arg_consts = t->consts,
                                 .coercibility = 5,
                                 .variant = def->variant};
    for (uint32_t i = 0; i < t->count; i++) {
        t->args[i] = (struct func_arg){.type = t->types[i],
                                       .decimals = t->types[i].decimals,
                                       .coercibility = t->values[i].phys == PHYS_STR ? 4 : 5,
                                       .constant = &t->values[i],
                                       .is_const = true};
        t->consts[i] = &t->values[i];
    }
    TRY(def->bind(&ctx, &t->call, t->args));
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->args[i].want_cast) {
            struct sql_type want = t->args[i].want;
            TRY(value_cast(&t->cast, &t->types[i], &t->values[i], &want, &t->values[i]));
            t->types[i] = want;
        }
    }
    return ERR_OK;
}

static bool null_argument(const struct call_test *t)
{
    bool null = false;
    for (uint32_t i = 0; i < t->count; i++) {
        null = null || t->values[i].is_null;
    }
    return null && (t->call.def->flags & FUNC_NULL_IF_ANY) != 0;
}

/* One row, or (columns) row 5 of vectors whose other rows are NULL. */
static db_err eval_call(struct call_test *t, bool columns, struct value *ret)
{
    static const uint16_t row = 5;
    struct vector out;
    if (null_argument(t)) {
        value_set_null(ret, &t->call.type);
        return ERR_OK;
    }
    assert_int_equal(vector_init(&out, &t->call.type, &t->arena), ERR_OK);
    for (uint32_t i = 0; i < t->count; i++) {
        t->list[i] = &t->vectors[i];
        if (!columns) {
            TRY(vector_init_const(t->list[i], &t->types[i], &t->values[i], &t->arena));
            continue;
        }
        TRY(vector_init(t->list[i], &t->types[i], &t->arena));
        memset(t->list[i]->data, 0, (size_t)phys_size_table[t->list[i]->phys] * CHUNK_ROWS);
        vec_set_all_null(t->list[i]);
        if (!t->values[i].is_null) {
            t->list[i]->nulls[0] &= ~(1ull << row);
            TRY(vector_set(t->list[i], row, &t->values[i]));
        }
    }
    t->eval.states = NULL;
    TRY(t->call.def->eval(&t->eval, &t->call, t->list, columns ? &row : NULL, 1, &out));
    vector_get(&out, columns ? row : 0, ret);
    return value_copy(ret, &t->arena, ret);
}

static void expect(struct call_test *t, const char *line, const char *want, bool columns)
{
    struct value v;
    db_err err = eval_call(t, columns, &v);
    if (want[0] == '!') {
        if (err != ERR_SQL || t->diag.number != strtol(want + 1, NULL, 10)) {
            g_failed++;
            print_error("%s: got error %d, %u\n", line, (int)err, t->diag.number);
        }
        return;
    }
    if (err != ERR_OK) {
        g_failed++;
        print_error("%s: error %u %s\n", line, t->diag.number, t->diag.text);
        return;
    }
    if (v.is_null || strcmp(want, "n") == 0) {
        if (!v.is_null || strcmp(want, "n") != 0) {
            g_failed++;
            print_error("%s: want %s, NULL is %d\n", line, want, v.is_null);
        }
        return;
    }
    struct slice text;
    assert_int_equal(value_to_text(&t->cast, &t->call.type, &v, &text), ERR_OK);
    if (text.len != strlen(want + 2) || memcmp(text.ptr, want + 2, text.len) != 0) {
        g_failed++;
        print_error("%s: got '%.*s'\n", line, SLICE_FMT(text));
    }
}

static void check_line(char *line)
{
    char copy[4096];
    char *fields[ARGS_MAX + 2];
    uint32_t count = 0;
    struct call_test t;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *p = line; p != NULL && count < ARRAY_COUNT(fields);) {
        fields[count++] = p;
        p = strchr(p, '\t');
        if (p != NULL) {
            *p++ = '\0';
        }
    }
    const struct func_def *def = func_find_op(fields[0]);
    assert_non_null(def);
    setup(&t);
    t.count = count - 2;
    for (uint32_t i = 0; i < t.count; i++) {
        parse_value(&t, fields[i + 2], &t.values[i], &t.types[i]);
    }
    db_err err = bind_call(&t, def);
    if (err != ERR_OK) {
        if (fields[1][0] != '!' || t.diag.number != strtol(fields[1] + 1, NULL, 10)) {
            g_failed++;
            print_error("%s: bind gives %u %s\n", copy, t.diag.number, t.diag.text);
        }
    } else {
        expect(&t, copy, fields[1], false);
        expect(&t, copy, fields[1], true);
    }
    arena_fini(&t.arena);
}

static void test_vectors(void **state)
{
    (void)state;
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    unsigned count = 0;
    FILE *f = fopen(FUNC_VECTORS "/calls.txt", "r");
    assert_non_null(f);
    while ((len = getline(&line, &cap, f)) > 0) {
        if (line[0] == '#') {
            continue;
        }
        line[len - 1] = '\0';
        check_line(line);
        count++;
    }
    free(line);
    fclose(f);
    assert_true(count > 500);
    assert_int_equal(g_failed, 0);
}

/* ---- the table ---- */

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < func_count(); i++) {
        const struct func_def *d = func_at(i);
        bool hidden = strncmp(d->name, "op_", 3) == 0;
        assert_ptr_equal(func_find_op(d->name), d);
        assert_int_equal((d->flags & FUNC_HIDDEN) != 0, hidden);
        assert_ptr_equal(func_find(slice_str(d->name)), hidden ? NULL : d);
        assert_true(d->args_min <= d->args_max);
        int kinds =
            (d->flags & FUNC_PURE) + (d->flags & FUNC_STATEMENT) + (d->flags & FUNC_VOLATILE);
        assert_true(kinds == FUNC_PURE || kinds == FUNC_STATEMENT || kinds == FUNC_VOLATILE);
    }
    assert_non_null(func_find(SLICE_LIT("CONCAT")));
    assert_null(func_find(SLICE_LIT("no_such_function")));
    assert_false(func_is_known(SLICE_LIT("no_such_function")));
    assert_true(func_is_known(SLICE_LIT("JSON_EXTRACT")));
    assert_null(func_at(func_count()));
    for (size_t i = 0; i < agg_count(); i++) {
        assert_ptr_equal(agg_find(slice_str(agg_at(i)->name)), agg_at(i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
