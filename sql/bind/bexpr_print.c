/* Expressions as MySQL's messages show them: operators in parentheses, columns with schema and
 * table. Only messages read this; a text that grows beyond its buffer is cut. */
#include <stdio.h>

#include "sql/bind/logical.h"
#include "sql/parser/ast_expr.h"
#include "sql/types/cast.h"
#include "sql/types/decimal.h"
#include "sql/types/temporal.h"

static void put(struct buf *out, const char *text)
{
    db_err err = buf_append_slice(out, slice_str(text));
    (void)err; /* the text of a message: what does not fit is left out */
}

static void put_slice(struct buf *out, const char *before, struct slice s, const char *after)
{
    db_err err = buf_printf(out, "%s%.*s%s", before, SLICE_FMT(s), after);
    (void)err;
}

static void print_hex(struct slice s, struct buf *out)
{
    put(out, "0x");
    for (size_t i = 0; i < s.len; i++) {
        db_err err = buf_printf(out, "%02x", s.ptr[i]);
        (void)err;
    }
}

static void print_const(const struct value *v, const struct sql_type *t, struct buf *out)
{
    char text[(int)NUMBER_TEXT_MAX + (int)DECIMAL_TEXT_MAX];
    if (v->is_null) {
        put(out, "NULL");
        return;
    }
    switch (v->phys) {
    case PHYS_INT: {
        bool uns = v->is_unsigned || type_is_unsigned(t);
        unsigned len = uns ? uint64_to_text(v->u, text) : int64_to_text(v->i, text);
        put_slice(out, "", slice_of(text, len), "");
        return;
    }
    case PHYS_DOUBLE:
        put_slice(out, "", slice_of(text, double_to_text(v->d, DECIMALS_NOT_FIXED, text)), "");
        return;
    case PHYS_DECIMAL:
        put_slice(out, "", slice_of(text, decimal_to_text(&v->dec, text)), "");
        return;
    case PHYS_STR:
        if ((t->flags & TYPE_F_BYTES_NUMBER) != 0) {
            print_hex(v->str, out);
        } else {
            put_slice(out, "'", v->str, "'");
        }
        return;
    case PHYS_TIME: {
        bool time = v->type == TYPE_TIME;
        unsigned len = v->type == TYPE_DATE ? date_to_text(v->t, text)
                       : time               ? time_to_text(v->t, t->decimals, text)
                                            : datetime_to_text(v->t, t->decimals, text);
        put(out, v->type == TYPE_DATE ? "DATE" : time ? "TIME" : "TIMESTAMP");
        put_slice(out, "'", slice_of(text, len), "'");
        return;
    }
    default: put(out, "?"); return;
    }
}

/* How columns are shown, and where the text goes. */
struct style {
    struct buf *out;
    const struct bexpr_names *names; /* NULL: in backquotes with schema and table */
    const struct bexpr *hold;        /* that is being shown, NULL: none; `up`: around it */
    const struct style *up;
};

static void print(const struct style *st, const struct bexpr *e);

static void print_column(const struct style *st, const struct bexpr *e)
{
    struct buf *out = st->out;
    const struct lcolumn *c = e->u.column.origin;
    if (st->names != NULL) {
        bool done = e->kind == BEXPR_COLUMN && st->names->column != NULL &&
                    st->names->column(st->names->arg, e->u.column.slot, out);
        if (!done && c != NULL) {
            put_slice(out, "", c->table, c->table.len != 0 ? "." : "");
            put_slice(out, "", c->name, "");
        } else if (!done) {
            put(out, "<column>");
        }
        return;
    }
    if (c == NULL) {
        put(out, "?");
        return;
    }
    if (c->schema.len != 0 && c->told == TOLD_WHOLE) {
        put_slice(out, "`", c->schema, "`.");
    }
    if (c->table.len != 0 && c->told != TOLD_BARE) {
        put_slice(out, "`", c->table, "`.");
    }
    put_slice(out, "`", c->name, "`");
}

static void print_list(const struct style *st, const struct bexpr *e, const char *separator)
{
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (i != 0) {
            put(st->out, separator);
        }
        print(st, e->args[i]);
    }
}

/* Tests that stand behind their operand. */
static const char *test_of(const char *name)
{
    static const char *const tests[][2] = {{"op_is_null", " is null)"},
                                           {"op_is_not_null", " is not null)"},
                                           {"isnull", " is null)"},
                                           {"op_is_true", " is true)"},
                                           {"op_is_not_true", " is not true)"},
                                           {"op_is_false", " is false)"},
                                           {"op_is_not_false", " is not false)"}};
    for (size_t i = 0; i < ARRAY_COUNT(tests); i++) {
        if (strcmp(tests[i][0], name) == 0) {
            return tests[i][1];
        }
    }
    return NULL;
}

static const char *sign_of(const char *name)
{
    static const char *const signs[][2] = {
        {"op_add", " + "},      {"op_sub", " - "},      {"op_mul", " * "},     {"op_div", " / "},
        {"op_mod", " % "},      {"op_intdiv", " DIV "}, {"op_eq", " = "},      {"op_ne", " <> "},
        {"op_lt", " < "},       {"op_le", " <= "},      {"op_gt", " > "},      {"op_ge", " >= "},
        {"op_nulleq", " <=> "}, {"op_bitand", " & "},   {"op_bitor", " | "},   {"op_bitxor", " ^ "},
        {"op_shl", " << "},     {"op_shr", " >> "},     {"op_like", " like "}, {"op_xor", " xor "},
        {"op_both", " and "}};
    for (size_t i = 0; i < ARRAY_COUNT(signs); i++) {
        if (strcmp(signs[i][0], name) == 0) {
            return signs[i][1];
        }
    }
    return NULL;
}

/* A date plus or minus an interval, by whatever name it was called. False: another call. */
static bool print_interval(const struct style *st, const struct bexpr *e)
{
    static const struct {
        const char *name;
        int8_t date, amount, unit; /* argument numbers; -1: days */
        const char *sign;
    } calls[] = {{"op_date_add", 0, 1, 2, " + "},
                 {"op_date_sub", 0, 1, 2, " - "},
                 {"adddate", 0, 1, -1, " + "},
                 {"subdate", 0, 1, -1, " - "},
                 {"timestampadd", 2, 1, 0, " + "}};
    const char *name = e->u.func->def->name;
    size_t i = 0;
    while (i < ARRAY_COUNT(calls) && strcmp(calls[i].name, name) != 0) {
        i++;
    }
    if (i == ARRAY_COUNT(calls)) {
        return false;
    }
    const struct bexpr *unit = calls[i].unit < 0 ? NULL : e->args[calls[i].unit];
    if (unit != NULL && unit->kind != BEXPR_CONST) {
        return false;
    }
    put(st->out, "(");
    print(st, e->args[calls[i].date]);
    put(st->out, calls[i].sign);
    put(st->out, "interval ");
    print(st, e->args[calls[i].amount]);
    put(st->out, " ");
    put(st->out,
        ast_unit_word(unit == NULL ? AST_UNIT_DAY : (enum ast_interval_unit)unit->u.constant.i));
    put(st->out, ")");
    return true;
}

static void print_func(const struct style *st, const struct bexpr *e)
{
    struct buf *out = st->out;
    const char *name = e->u.func->def->name;
    if (print_interval(st, e)) {
        return;
    }
    const char *sign = sign_of(name);
    const char *test = test_of(name);
    if (test != NULL) {
        put(out, "(");
        print_list(st, e, ",");
        put(out, test);
        return;
    }
    if (sign == NULL) {
        bool op = strncmp(name, "op_", 3) == 0;
        name = strcmp(name, "power") == 0 ? "pow" : name;
        put(out, !op                                 ? name
                 : strcmp(name, "op_neg") == 0       ? "-"
                 : strcmp(name, "op_json_cast") == 0 ? "cast"
                                                     : name + 3);
    }
    put(out, "(");
    print_list(st, e, sign != NULL ? sign : ",");
    put(out, strcmp(name, "op_json_cast") == 0 ? " as json)" : ")");
}

static void print_in_list(const struct style *st, const struct bexpr *e)
{
    put(st->out, "(");
    for (uint32_t i = 0; i < e->arg_count; i++) {
        print(st, e->args[i]);
        put(st->out, i + 1 == e->arg_count ? "))"
                     : i != 0              ? ","
                     : e->u.negated        ? " not in ("
                                           : " in (");
    }
}

static void print_subquery(const struct style *st, const struct bexpr *e)
{
    if (e->kind == BEXPR_SUBQUERY_EXISTS) {
        put(st->out, e->u.subquery.negated ? "not exists(" : "exists(");
    } else if (e->kind == BEXPR_SUBQUERY_IN) {
        put(st->out, "<in_optimizer>(");
        print_list(st, e, ",");
        put(st->out, e->u.subquery.negated ? " not in " : " in ");
    }
    put(st->out, "(select)");
    put(st->out, e->kind == BEXPR_SUBQUERY_SCALAR ? "" : ")");
}

/* CAST as it was written; COLLATE and CONVERT ... USING show what they convert only. */
static void print_cast(const struct style *st, const struct bexpr *e)
{
    const struct sql_type *t = &e->type;
    if (st->names != NULL || !e->u.cast.explicit_cast || type_is_string(t)) {
        print(st, e->args[0]);
        return;
    }
    put(st->out, "cast(");
    print(st, e->args[0]);
    put(st->out, " as ");
    if (t->id == TYPE_BIGINT) {
        put(st->out, type_is_unsigned(t) ? "unsigned)" : "signed)");
        return;
    }
    if (type_print(t, st->out) == ERR_OK) {
        put(st->out, ")");
    }
}

const char *bexpr_agg_name(const struct agg_def *def)
{
    return strcmp(def->name, "stddev_pop") == 0 ? "std"
           : strcmp(def->name, "var_pop") == 0  ? "variance"
                                                : def->name;
}

/* MYSQL: COUNT(*) is count(0). */
static void print_agg(const struct style *st, const struct bexpr *e)
{
    const struct agg_call *call = e->u.agg.call;
    if (st->names != NULL || call == NULL) {
        put(st->out, "?");
        return;
    }
    put(st->out, bexpr_agg_name(call->def));
    put(st->out, call->distinct ? "(distinct " : "(");
    print_list(st, e, ",");
    put(st->out, e->arg_count == 0 ? "0)" : ")");
}

/* What a HOLD holds is shown at each place where it stands. */
static void print_held(const struct style *st, const struct bexpr *e)
{
    const struct style *s = st;
    while (s->hold != NULL && s->hold->u.held != e->u.held) {
        s = s->up;
    }
    if (s->hold != NULL) {
        print(s->up, s->hold->args[0]);
    }
}

static void print(const struct style *st, const struct bexpr *e)
{
    struct buf *out = st->out;
    if (e->folded != NULL && st->names == NULL) {
        e = e->folded;
    }
    switch (e->kind) {
    case BEXPR_CONST: print_const(&e->u.constant, &e->type, out); return;
    case BEXPR_COLUMN:
    case BEXPR_OUTER:
    case BEXPR_INSERT_VALUE: print_column(st, e); return;
    case BEXPR_FUNC: print_func(st, e); return;
    case BEXPR_CAST: print_cast(st, e); return;
    case BEXPR_AND:
    case BEXPR_OR:
    case BEXPR_COALESCE:
        put(out, e->kind == BEXPR_COALESCE ? "coalesce(" : "(");
        print_list(st, e, e->kind == BEXPR_AND ? " and " : e->kind == BEXPR_OR ? " or " : ",");
        put(out, ")");
        return;
    case BEXPR_CASE:
        put(out, e->arg_count == 3 ? "if(" : "case(");
        print_list(st, e, ",");
        put(out, ")");
        return;
    case BEXPR_USER_VAR: {
        bool plain = st->names != NULL; /* MYSQL: in plans its name is not quoted */
        put_slice(out, plain ? "(@" : "(@`", e->u.var.name, plain ? ")" : "`)");
        return;
    }
    case BEXPR_USER_VAR_SET:
        put_slice(out, "(@", e->u.var.name, ":=");
        print(st, e->args[0]);
        put(out, ")");
        return;
    case BEXPR_SYSTEM_VAR: put_slice(out, "@@", e->u.var.name, ""); return;
    case BEXPR_IN_LIST: print_in_list(st, e); return;
    case BEXPR_SUBQUERY_SCALAR:
    case BEXPR_SUBQUERY_EXISTS:
    case BEXPR_SUBQUERY_IN:
    case BEXPR_SUBQUERY_QUANTIFIED: print_subquery(st, e); return;
    case BEXPR_HOLD:
        print(&(struct style){.out = out, .names = st->names, .hold = e, .up = st}, e->args[1]);
        return;
    case BEXPR_HELD: print_held(st, e); return;
    case BEXPR_AGG: print_agg(st, e); return;
    case BEXPR_PARAM:
    case BEXPR_ROW:
    case BEXPR_WINDOW:
    case BEXPR_GROUPING:
    case BEXPR_DEFAULT: break;
    }
    put(out, "?");
}

void bexpr_print(const struct bexpr *e, struct buf *out)
{
    print(&(struct style){.out = out}, e);
}

void bexpr_print_named(const struct bexpr *e, const struct bexpr_names *names, struct buf *out)
{
    print(&(struct style){.out = out, .names = names}, e);
}
