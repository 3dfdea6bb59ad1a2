/* What MySQL shows of a view's expressions otherwise than they were written, conditions
 * (ast_print_condition.c) apart: functions with several names go by one, some by the expression
 * that they stand for; casts tell their charset; windows and some words keep capital letters. Where
 * MySQL's text would mean something else (TIME(x) and TIMESTAMP(x) without their fraction, CHAR()
 * without its charset) it stays as it was written. */
#include "sql/parser/ast_print_int.h"

struct slice ast_function_shown(struct slice name)
{
    static const struct {
        const char *word, *shown;
    } others[] = {
        {"current_timestamp", "now"}, {"localtime", "now"},
        {"localtimestamp", "now"},    {"current_date", "curdate"},
        {"current_time", "curtime"},  {"ucase", "upper"},
        {"lcase", "lower"},           {"character_length", "char_length"},
        {"substring", "substr"},      {"mid", "substr"},
        {"ceil", "ceiling"},          {"power", "pow"},
        {"session_user", "user"},     {"system_user", "user"},
        {"schema", "database"},       {"day", "dayofmonth"},
        {"octet_length", "length"},   {"atan2", "atan"},
        {"position", "locate"},       {"name_const", "NAME_CONST"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        if (slice_eq_nocase(name, slice_str(others[i].word))) {
            return slice_str(others[i].shown);
        }
    }
    return name;
}

static void raw(struct printer *p, const char *text)
{
    print__slice(p, slice_str(text));
}

/* ---- literals ---- */

static void print_text(struct printer *p, const struct ast_literal *l)
{
    if (l->charset.ptr != NULL) {
        raw(p, "_");
        print__slice(p, l->charset);
    }
    raw(p, "'");
    for (size_t i = 0; i < l->text.len; i++) {
        uint8_t c = l->text.ptr[i];
        const char *escape = c == '\\'   ? "\\\\"
                             : c == '\'' ? "\\'"
                             : c == '\n' ? "\\n"
                             : c == '\r' ? "\\r"
                             : c == 0    ? "\\0"
                             : c == 0x1a ? "\\Z"
                                         : NULL;
        if (escape != NULL) {
            raw(p, escape);
        } else {
            print__slice(p, slice_of(l->text.ptr + i, 1));
        }
    }
    raw(p, "'");
}

static bool print_literal(struct printer *p, const struct ast_literal *l)
{
    const char *word = l->kind == AST_LIT_DATE        ? "DATE'"
                       : l->kind == AST_LIT_TIME      ? "TIME'"
                       : l->kind == AST_LIT_TIMESTAMP ? "TIMESTAMP'"
                                                      : NULL;
    bool bytes = (l->kind == AST_LIT_HEX || l->kind == AST_LIT_BIT) && l->charset.ptr == NULL &&
                 l->text.len != 0;
    if (l->kind == AST_LIT_STRING) {
        print_text(p, l);
    } else if (word != NULL) {
        raw(p, word);
        print__slice(p, l->text);
        raw(p, "'");
    } else if (bytes) {
        raw(p, "0x");
        for (size_t i = 0; i < l->text.len && p->err == ERR_OK; i++) {
            p->err = buf_printf(p->buf, "%02x", l->text.ptr[i]);
        }
    } else {
        return false;
    }
    return true;
}

/* ---- casts ---- */

static void print_cast_type(struct printer *p, const struct ast_type *t)
{
    bool given = (t->flags & AST_TYPE_F_LENGTH) != 0;
    struct slice charset = t->kind == AST_TYPE_BINARY              ? SLICE_LIT("binary")
                           : (t->flags & AST_TYPE_F_NATIONAL) != 0 ? SLICE_LIT("utf8mb3")
                           : t->charset.ptr == NULL                ? SLICE_LIT("utf8mb4")
                                                                   : t->charset;
    if (t->kind == AST_TYPE_DECIMAL) {
        raw(p, "decimal(");
        print__u64(p, given ? t->length : 10);
        raw(p, ",");
        print__u64(p, (t->flags & AST_TYPE_F_DEC) != 0 ? t->dec : 0);
        raw(p, ")");
    } else if (t->kind == AST_TYPE_CHAR || t->kind == AST_TYPE_BINARY) {
        raw(p, given ? "char(" : "char");
        if (given) {
            print__u64(p, t->length);
            raw(p, ")");
        }
        raw(p, " charset ");
        print__slice(p, charset);
    } else if (t->kind == AST_TYPE_REAL) {
        raw(p, "double");
    } else {
        print__type(p, t);
    }
}

static bool print_cast(struct printer *p, const struct ast_cast *c)
{
    if (c->time_zone != NULL || (c->type->flags & AST_TYPE_F_BYTE) != 0) {
        return false;
    }
    raw(p, "cast(");
    print__expr(p, c->arg);
    raw(p, " as ");
    print_cast_type(p, c->type);
    raw(p, ")");
    return true;
}

static void print_collate(struct printer *p, const struct ast_collate *e)
{
    bool collate = e->expr.kind == AST_EXPR_COLLATE;
    raw(p, collate ? "(" : "convert(");
    print__expr(p, e->arg);
    raw(p, collate ? " collate " : " using ");
    print__slice(p, e->name);
    raw(p, ")");
}

/* ---- operators ---- */

static bool print_unary(struct printer *p, const struct ast_unary *u)
{
    if (u->op == AST_OP_PLUS) {
        print__expr(p, u->arg);
        return true;
    }
    return false;
}

static bool print_binary(struct printer *p, const struct ast_binary *b)
{
    bool unquote = b->op == AST_OP_JSON_UNQUOTE;
    if (b->op == AST_OP_INT_DIV) {
        raw(p, "(");
        print__expr(p, b->left);
        raw(p, " DIV ");
        print__expr(p, b->right);
        raw(p, ")");
        return true;
    }
    if (b->op != AST_OP_JSON_EXTRACT && !unquote) {
        return false;
    }
    raw(p, unquote ? "json_unquote(json_extract(" : "json_extract(");
    print__expr(p, b->left);
    raw(p, ",");
    print__expr(p, b->right);
    raw(p, unquote ? "))" : ")");
    return true;
}

/* ---- calls ---- */

static bool is_called(const struct ast_func *f, const char *name, uint32_t args)
{
    return f->args.count == args && slice_eq_nocase(f->name, slice_str(name));
}

/* (date + interval amount unit) */
static void print_moved(struct printer *p, const struct ast_expr *date, const char *sign,
                        const struct ast_expr *amount, enum ast_interval_unit unit)
{
    raw(p, "(");
    print__expr(p, date);
    raw(p, sign);
    raw(p, "interval ");
    print__expr(p, amount);
    raw(p, " ");
    raw(p, ast_unit_word(unit));
    raw(p, ")");
}

static bool print_date_sum(struct printer *p, const struct ast_func *f)
{
    bool days = is_called(f, "adddate", 2) || is_called(f, "subdate", 2);
    bool minus = is_called(f, "date_sub", 2) || is_called(f, "subdate", 2);
    if (is_called(f, "timestampadd", 2)) {
        print_moved(p, f->args.items[1], " + ", f->args.items[0], f->unit);
        return true;
    }
    if (!days && !minus && !is_called(f, "date_add", 2)) {
        return false;
    }
    const struct ast_expr *by = f->args.items[1];
    const struct ast_interval *i = (const struct ast_interval *)by;
    bool interval = by->kind == AST_EXPR_INTERVAL;
    if (!interval && !days) {
        return false;
    }
    print_moved(p, f->args.items[0], minus ? " - " : " + ", interval ? i->amount : by,
                interval ? i->unit : AST_UNIT_DAY);
    return true;
}

/* name(first rest, as the function's own text goes on behind its argument */
static void print_wrapped(struct printer *p, const char *before, const struct ast_expr *arg,
                          const char *after)
{
    raw(p, before);
    print__expr(p, arg);
    raw(p, after);
}

static bool print_one_arg(struct printer *p, const struct ast_func *f)
{
    static const struct {
        const char *name, *before, *after;
    } forms[] = {
        {"date", "cast(", " as date)"}, {"week", "week(", ",0)"},
        {"weekofyear", "week(", ",3)"}, {"yearweek", "yearweek(", ",0)"},
        {"round", "round(", ",0)"},     {"oct", "conv(", ",10,8)"},
        {"bin", "conv(", ",10,2)"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        if (is_called(f, forms[i].name, 1)) {
            print_wrapped(p, forms[i].before, f->args.items[0], forms[i].after);
            return true;
        }
    }
    return false;
}

static bool print_two_args(struct printer *p, const struct ast_func *f)
{
    if (is_called(f, "mod", 2)) {
        print_wrapped(p, "(", f->args.items[0], " % ");
        print_wrapped(p, "", f->args.items[1], ")");
    } else if (is_called(f, "datediff", 2)) {
        print_wrapped(p, "(to_days(", f->args.items[0], ") - ");
        print_wrapped(p, "to_days(", f->args.items[1], "))");
    } else if (is_called(f, "timestampdiff", 2)) {
        raw(p, "timestampdiff(");
        raw(p, print__unit(f->unit));
        print_wrapped(p, ",", f->args.items[0], ",");
        print_wrapped(p, "", f->args.items[1], ")");
    } else {
        return false;
    }
    return true;
}

static bool print_func(struct printer *p, const struct ast_func *f)
{
    bool format = f->mode >= AST_FUNC_FORMAT_DATE && f->mode <= AST_FUNC_FORMAT_DATETIME;
    if (f->schema.ptr != NULL || f->arg_names.count != 0 || f->charset.ptr != NULL) {
        return false;
    }
    if (format) {
        static const char *const words[] = {"DATE", "TIME", "DATETIME"};
        raw(p, "get_format(");
        raw(p, words[f->mode - AST_FUNC_FORMAT_DATE]);
        print_wrapped(p, ", ", f->args.items[0], ")");
        return true;
    }
    if (f->mode > AST_FUNC_NO_PARENS) {
        return false;
    }
    if (print_date_sum(p, f) || print_one_arg(p, f) || print_two_args(p, f)) {
        return true;
    }
    struct slice shown = ast_function_shown(f->name);
    bool same = shown.ptr == f->name.ptr;
    if (f->unit != AST_UNIT_NONE || (same && f->mode != AST_FUNC_NO_PARENS)) {
        return false;
    }
    if (slice_eq(shown, SLICE_LIT("NAME_CONST"))) {
        print__slice(p, shown);
    } else {
        print__function(p, shown);
    }
    raw(p, "(");
    print__exprs(p, &f->args);
    raw(p, ")");
    return true;
}

static void print_json_type(struct printer *p, const struct ast_type *t)
{
    if (t == NULL) {
        raw(p, "char(512)");
    } else if (t->kind == AST_TYPE_DECIMAL && (t->flags & AST_TYPE_F_LENGTH) != 0) {
        raw(p, "decimal(");
        print__u64(p, t->length);
        raw(p, ", ");
        print__u64(p, (t->flags & AST_TYPE_F_DEC) != 0 ? t->dec : 0);
        raw(p, ")");
    } else {
        print__type(p, t);
    }
}

static void print_json_value(struct printer *p, const struct ast_json_value *j)
{
    raw(p, "json_value(");
    print__expr(p, j->doc);
    raw(p, ", ");
    print__expr(p, j->path);
    raw(p, " returning ");
    print_json_type(p, j->returning);
    print__json_on(p, &j->on_empty, &j->on_error);
    raw(p, ")");
}

/* ---- aggregates and windows ---- */

static void print_concat_order(struct printer *p, const struct ast_order_list *order)
{
    for (uint32_t i = 0; i < order->count; i++) {
        raw(p, i > 0 ? "," : " order by ");
        print__expr(p, order->items[i]->expr);
        raw(p, order->items[i]->desc ? " DESC" : " ASC");
    }
}

static void print_bound(struct printer *p, const struct ast_frame_bound *b)
{
    const struct ast_interval *i = (const struct ast_interval *)b->value;
    switch (b->kind) {
    case AST_BOUND_UNBOUNDED_PRECEDING: raw(p, "UNBOUNDED PRECEDING"); return;
    case AST_BOUND_UNBOUNDED_FOLLOWING: raw(p, "UNBOUNDED FOLLOWING"); return;
    case AST_BOUND_CURRENT_ROW: raw(p, "CURRENT ROW"); return;
    case AST_BOUND_PRECEDING:
    case AST_BOUND_FOLLOWING: break;
    }
    if (b->value->kind == AST_EXPR_INTERVAL) {
        print_wrapped(p, "INTERVAL ", i->amount, " ");
        raw(p, ast_unit_word(i->unit));
        raw(p, " ");
    } else {
        print__expr(p, b->value);
    }
    raw(p, b->kind == AST_BOUND_PRECEDING ? " PRECEDING" : " FOLLOWING");
}

void print__shown_window(struct printer *p, const struct ast_window *w)
{
    static const char *const units[] = {"", "ROWS BETWEEN ", "RANGE BETWEEN ", "GROUPS BETWEEN "};
    static const struct ast_frame_bound here = {.kind = AST_BOUND_CURRENT_ROW};
    if (w->reference_only) {
        print__name(p, w->parent);
        return;
    }
    raw(p, "(");
    if (w->parent.ptr != NULL) {
        print__name(p, w->parent);
        raw(p, " ");
    }
    if (w->partition_by.count > 0) {
        raw(p, "PARTITION BY ");
        print__exprs(p, &w->partition_by);
        raw(p, " ");
    }
    for (uint32_t i = 0; i < w->order_by.count; i++) {
        raw(p, i > 0 ? "," : "ORDER BY ");
        print__expr(p, w->order_by.items[i]->expr);
        raw(p, w->order_by.items[i]->desc ? " desc" : "");
    }
    raw(p, w->order_by.count > 0 ? " " : "");
    if (w->frame_unit != AST_FRAME_NONE) {
        raw(p, units[w->frame_unit]);
        print_bound(p, &w->start);
        raw(p, " AND ");
        print_bound(p, w->has_between ? &w->end : &here);
    }
    raw(p, ") ");
}

static const char *aggregate_name(enum ast_agg_func func)
{
    return func == AST_AGG_STDDEV_POP ? "std" : func == AST_AGG_VAR_POP ? "variance" : NULL;
}

static void print_aggregate(struct printer *p, const struct ast_aggregate *a)
{
    bool concat = a->func == AST_AGG_GROUP_CONCAT;
    bool distinct = a->distinct && a->func != AST_AGG_MAX && a->func != AST_AGG_MIN;
    const char *name = aggregate_name(a->func);
    print__text(p, name != NULL ? name : print__aggregate_name(a->func));
    raw(p, distinct ? "(distinct " : "(");
    raw(p, a->star ? "0" : ""); /* MYSQL: count(0) */
    print__exprs(p, &a->args);
    if (concat) {
        const struct ast_literal separator = {.kind = AST_LIT_STRING,
                                              .text = a->separator.ptr == NULL ? SLICE_LIT(",")
                                                                               : a->separator};
        print_concat_order(p, &a->order_by);
        raw(p, " separator ");
        print_text(p, &separator);
    }
    raw(p, ")");
    print__text(p, a->from_last ? " FROM LAST" : "");
    print__text(p, a->ignore_nulls ? " IGNORE NULLS" : "");
    if (a->over != NULL) {
        raw(p, " OVER ");
        print__shown_window(p, a->over);
    }
}

bool print__shown(struct printer *p, const struct ast_expr *e)
{
    const void *n = e;
    switch ((int)e->kind) {
    case AST_EXPR_LITERAL: return print_literal(p, n);
    case AST_EXPR_UNARY: return print_unary(p, n);
    case AST_EXPR_BINARY: return print_binary(p, n);
    case AST_EXPR_CAST: return print_cast(p, n);
    case AST_EXPR_FUNC: return print_func(p, n);
    case AST_EXPR_JSON_VALUE: print_json_value(p, n); return true;
    case AST_EXPR_COLLATE:
    case AST_EXPR_CONVERT_USING: print_collate(p, n); return true;
    case AST_EXPR_AGGREGATE:
    case AST_EXPR_WINDOW: print_aggregate(p, n); return true;
    default: return false;
    }
}
