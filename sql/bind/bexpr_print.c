/* Expressions as MySQL's messages show them: operators in parentheses, columns with schema and
 * table. Only messages read this; a text that grows beyond its buffer is cut. */
#include <stdio.h>

#include "sql/bind/logical.h"
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
    default: put(out, "?"); return;
    }
}

static void print_column(const struct lcolumn *c, struct buf *out)
{
    if (c == NULL) {
        put(out, "?");
        return;
    }
    if (c->schema.len != 0) {
        put_slice(out, "`", c->schema, "`.");
    }
    if (c->table.len != 0) {
        put_slice(out, "`", c->table, "`.");
    }
    put_slice(out, "`", c->name, "`");
}

static void print_list(const struct bexpr *e, const char *separator, struct buf *out)
{
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (i != 0) {
            put(out, separator);
        }
        bexpr_print(e->args[i], out);
    }
}

static const char *sign_of(const char *name)
{
    static const char *const signs[][2] = {
        {"op_add", " + "},      {"op_sub", " - "},      {"op_mul", " * "},     {"op_div", " / "},
        {"op_mod", " % "},      {"op_intdiv", " DIV "}, {"op_eq", " = "},      {"op_ne", " <> "},
        {"op_lt", " < "},       {"op_le", " <= "},      {"op_gt", " > "},      {"op_ge", " >= "},
        {"op_nulleq", " <=> "}, {"op_bitand", " & "},   {"op_bitor", " | "},   {"op_bitxor", " ^ "},
        {"op_shl", " << "},     {"op_shr", " >> "},     {"op_like", " like "}, {"op_xor", " xor "}};
    for (size_t i = 0; i < ARRAY_COUNT(signs); i++) {
        if (strcmp(signs[i][0], name) == 0) {
            return signs[i][1];
        }
    }
    return NULL;
}

static void print_func(const struct bexpr *e, struct buf *out)
{
    const char *name = e->u.func->def->name;
    const char *sign = sign_of(name);
    if (sign == NULL) {
        bool op = strncmp(name, "op_", 3) == 0;
        name = strcmp(name, "power") == 0 ? "pow" : name;
        put(out, !op                                 ? name
                 : strcmp(name, "op_neg") == 0       ? "-"
                 : strcmp(name, "op_json_cast") == 0 ? "cast"
                                                     : name + 3);
    }
    put(out, "(");
    print_list(e, sign != NULL ? sign : ",", out);
    put(out, strcmp(name, "op_json_cast") == 0 ? " as json)" : ")");
}

void bexpr_print(const struct bexpr *e, struct buf *out)
{
    if (e->folded != NULL) {
        e = e->folded;
    }
    switch (e->kind) {
    case BEXPR_CONST: print_const(&e->u.constant, &e->type, out); return;
    case BEXPR_COLUMN:
    case BEXPR_OUTER:
    case BEXPR_INSERT_VALUE: print_column(e->u.column.origin, out); return;
    case BEXPR_FUNC: print_func(e, out); return;
    case BEXPR_CAST: bexpr_print(e->args[0], out); return;
    case BEXPR_AND:
    case BEXPR_OR:
    case BEXPR_COALESCE:
        put(out, e->kind == BEXPR_COALESCE ? "coalesce(" : "(");
        print_list(e, e->kind == BEXPR_AND ? " and " : e->kind == BEXPR_OR ? " or " : ",", out);
        put(out, ")");
        return;
    case BEXPR_CASE:
        put(out, e->arg_count == 3 ? "if(" : "case(");
        print_list(e, ",", out);
        put(out, ")");
        return;
    case BEXPR_USER_VAR:
    case BEXPR_USER_VAR_SET: put_slice(out, "@", e->u.var.name, ""); return;
    case BEXPR_SYSTEM_VAR: put_slice(out, "@@", e->u.var.name, ""); return;
    case BEXPR_PARAM:
    case BEXPR_IN_LIST:
    case BEXPR_SUBQUERY_SCALAR:
    case BEXPR_SUBQUERY_EXISTS:
    case BEXPR_SUBQUERY_IN:
    case BEXPR_SUBQUERY_QUANTIFIED:
    case BEXPR_ROW:
    case BEXPR_AGG:
    case BEXPR_WINDOW:
    case BEXPR_GROUPING:
    case BEXPR_DEFAULT: break;
    }
    put(out, "?");
}
