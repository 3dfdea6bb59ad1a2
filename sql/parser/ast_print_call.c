/* Prints calls, aggregates, windows and types. */
#include "sql/parser/ast_print_int.h"

const char *print__unit(enum ast_interval_unit unit)
{
    static const char *const names[] = {
        [AST_UNIT_NONE] = "",
        [AST_UNIT_MICROSECOND] = "MICROSECOND",
        [AST_UNIT_SECOND] = "SECOND",
        [AST_UNIT_MINUTE] = "MINUTE",
        [AST_UNIT_HOUR] = "HOUR",
        [AST_UNIT_DAY] = "DAY",
        [AST_UNIT_WEEK] = "WEEK",
        [AST_UNIT_MONTH] = "MONTH",
        [AST_UNIT_QUARTER] = "QUARTER",
        [AST_UNIT_YEAR] = "YEAR",
        [AST_UNIT_SECOND_MICROSECOND] = "SECOND_MICROSECOND",
        [AST_UNIT_MINUTE_MICROSECOND] = "MINUTE_MICROSECOND",
        [AST_UNIT_MINUTE_SECOND] = "MINUTE_SECOND",
        [AST_UNIT_HOUR_MICROSECOND] = "HOUR_MICROSECOND",
        [AST_UNIT_HOUR_SECOND] = "HOUR_SECOND",
        [AST_UNIT_HOUR_MINUTE] = "HOUR_MINUTE",
        [AST_UNIT_DAY_MICROSECOND] = "DAY_MICROSECOND",
        [AST_UNIT_DAY_SECOND] = "DAY_SECOND",
        [AST_UNIT_DAY_MINUTE] = "DAY_MINUTE",
        [AST_UNIT_DAY_HOUR] = "DAY_HOUR",
        [AST_UNIT_YEAR_MONTH] = "YEAR_MONTH",
    };
    return names[unit];
}

const char *ast_unit_word(enum ast_interval_unit unit)
{
    static const char *const words[] = {
        [AST_UNIT_NONE] = "",
        [AST_UNIT_MICROSECOND] = "microsecond",
        [AST_UNIT_SECOND] = "second",
        [AST_UNIT_MINUTE] = "minute",
        [AST_UNIT_HOUR] = "hour",
        [AST_UNIT_DAY] = "day",
        [AST_UNIT_WEEK] = "week",
        [AST_UNIT_MONTH] = "month",
        [AST_UNIT_QUARTER] = "quarter",
        [AST_UNIT_YEAR] = "year",
        [AST_UNIT_SECOND_MICROSECOND] = "second_microsecond",
        [AST_UNIT_MINUTE_MICROSECOND] = "minute_microsecond",
        [AST_UNIT_MINUTE_SECOND] = "minute_second",
        [AST_UNIT_HOUR_MICROSECOND] = "hour_microsecond",
        [AST_UNIT_HOUR_SECOND] = "hour_second",
        [AST_UNIT_HOUR_MINUTE] = "hour_minute",
        [AST_UNIT_DAY_MICROSECOND] = "day_microsecond",
        [AST_UNIT_DAY_SECOND] = "day_second",
        [AST_UNIT_DAY_MINUTE] = "day_minute",
        [AST_UNIT_DAY_HOUR] = "day_hour",
        [AST_UNIT_YEAR_MONTH] = "year_month",
    };
    return (size_t)unit < ARRAY_COUNT(words) ? words[unit] : "";
}

/* ---- calls ---- */

static void print_trim(struct printer *p, const struct ast_func *f, const char *word)
{
    print__text(p, word);
    if (f->args.count > 1) {
        print__expr(p, f->args.items[1]);
        print__text(p, " ");
    }
    print__text(p, "FROM ");
    print__expr(p, f->args.items[0]);
}

static void print_args(struct printer *p, const struct ast_func *f)
{
    bool keyed = slice_eq_nocase(f->name, SLICE_LIT("JSON_DUALITY_OBJECT"));
    for (uint32_t i = 0; i < f->args.count; i++) {
        print__text(p, i > 0 ? ", " : "");
        if (f->arg_names.count > 0 && keyed) {
            print__string(p, f->arg_names.items[i]->name);
            print__text(p, ": ");
        }
        print__expr(p, f->args.items[i]);
        if (!keyed && f->arg_names.count > 0 && f->arg_names.items[i] != NULL) {
            print__text(p, " AS ");
            print__name(p, f->arg_names.items[i]->name);
        }
    }
    if (f->charset.ptr != NULL) {
        print__text(p, " USING ");
        print__name(p, f->charset);
    }
}

static void print_weight(struct printer *p, const struct ast_func *f, const char *type)
{
    bool cast = p->view && f->mode == AST_FUNC_WEIGHT_BINARY; /* MYSQL: shown as what it does */
    print__text(p, cast ? "CAST(" : "");
    print_args(p, f);
    print__text(p, cast ? " AS CHAR(" : type);
    print__u64(p, f->length);
    print__text(p, cast ? ") CHARSET BINARY)" : ")");
}

static void print_format_type(struct printer *p, const struct ast_func *f, const char *type)
{
    print__text(p, type);
    print_args(p, f);
}

static void print_func(struct printer *p, const struct ast_func *f)
{
    if (f->schema.ptr != NULL) {
        print__name(p, f->schema);
        print__text(p, ".");
        print__name(p, f->name);
    } else {
        print__function(p, f->name);
    }
    if (f->mode == AST_FUNC_NO_PARENS && f->args.count == 0) {
        return;
    }
    print__text(p, "(");
    switch (f->mode) {
    case AST_FUNC_TRIM_BOTH: print_trim(p, f, "BOTH "); break;
    case AST_FUNC_TRIM_LEADING: print_trim(p, f, "LEADING "); break;
    case AST_FUNC_TRIM_TRAILING: print_trim(p, f, "TRAILING "); break;
    case AST_FUNC_FORMAT_DATE: print_format_type(p, f, "DATE, "); break;
    case AST_FUNC_FORMAT_TIME: print_format_type(p, f, "TIME, "); break;
    case AST_FUNC_FORMAT_DATETIME: print_format_type(p, f, "DATETIME, "); break;
    case AST_FUNC_WEIGHT_CHAR: print_weight(p, f, " AS CHAR("); break;
    case AST_FUNC_WEIGHT_BINARY: print_weight(p, f, " AS BINARY("); break;
    case AST_FUNC_PLAIN:
    case AST_FUNC_NO_PARENS:
        if (f->unit != AST_UNIT_NONE) {
            print__text(p, print__unit(f->unit));
            print__text(p, f->args.count == 1 ? " FROM " : ", ");
        }
        if (slice_eq_nocase(f->name, SLICE_LIT("POSITION")) && f->args.count == 2) {
            print__expr(p, f->args.items[0]);
            print__text(p, " IN ");
            print__expr(p, f->args.items[1]);
        } else {
            print_args(p, f);
        }
        break;
    }
    print__text(p, ")");
}

/* ---- aggregates and windows ---- */

static const char *const agg_names[] = {
    [AST_AGG_COUNT] = "COUNT",
    [AST_AGG_SUM] = "SUM",
    [AST_AGG_AVG] = "AVG",
    [AST_AGG_MIN] = "MIN",
    [AST_AGG_MAX] = "MAX",
    [AST_AGG_BIT_AND] = "BIT_AND",
    [AST_AGG_BIT_OR] = "BIT_OR",
    [AST_AGG_BIT_XOR] = "BIT_XOR",
    [AST_AGG_STDDEV_POP] = "STDDEV_POP",
    [AST_AGG_STDDEV_SAMP] = "STDDEV_SAMP",
    [AST_AGG_VAR_POP] = "VAR_POP",
    [AST_AGG_VAR_SAMP] = "VAR_SAMP",
    [AST_AGG_GROUP_CONCAT] = "GROUP_CONCAT",
    [AST_AGG_JSON_ARRAYAGG] = "JSON_ARRAYAGG",
    [AST_AGG_JSON_OBJECTAGG] = "JSON_OBJECTAGG",
    [AST_AGG_ST_COLLECT] = "ST_COLLECT",
    [AST_WIN_ROW_NUMBER] = "ROW_NUMBER",
    [AST_WIN_RANK] = "RANK",
    [AST_WIN_DENSE_RANK] = "DENSE_RANK",
    [AST_WIN_PERCENT_RANK] = "PERCENT_RANK",
    [AST_WIN_CUME_DIST] = "CUME_DIST",
    [AST_WIN_NTILE] = "NTILE",
    [AST_WIN_LEAD] = "LEAD",
    [AST_WIN_LAG] = "LAG",
    [AST_WIN_FIRST_VALUE] = "FIRST_VALUE",
    [AST_WIN_LAST_VALUE] = "LAST_VALUE",
    [AST_WIN_NTH_VALUE] = "NTH_VALUE",
};

const char *print__aggregate_name(enum ast_agg_func func)
{
    return agg_names[func];
}

static void print_bound(struct printer *p, const struct ast_frame_bound *b)
{
    switch (b->kind) {
    case AST_BOUND_UNBOUNDED_PRECEDING: print__text(p, "UNBOUNDED PRECEDING"); break;
    case AST_BOUND_UNBOUNDED_FOLLOWING: print__text(p, "UNBOUNDED FOLLOWING"); break;
    case AST_BOUND_CURRENT_ROW: print__text(p, "CURRENT ROW"); break;
    case AST_BOUND_PRECEDING:
    case AST_BOUND_FOLLOWING:
        print__expr(p, b->value);
        print__text(p, b->kind == AST_BOUND_PRECEDING ? " PRECEDING" : " FOLLOWING");
        break;
    }
}

static void print_frame(struct printer *p, const struct ast_window *w)
{
    static const char *const units[] = {"", " ROWS ", " RANGE ", " GROUPS "};
    static const char *const excludes[] = {"", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP",
                                           " EXCLUDE TIES", " EXCLUDE NO OTHERS"};
    if (w->frame_unit == AST_FRAME_NONE) {
        return;
    }
    print__text(p, units[w->frame_unit]);
    print__text(p, w->has_between ? "BETWEEN " : "");
    print_bound(p, &w->start);
    if (w->has_between) {
        print__text(p, " AND ");
        print_bound(p, &w->end);
    }
    print__text(p, excludes[w->exclude]);
}

void print__window(struct printer *p, const struct ast_window *w)
{
    if (p->shown) {
        print__shown_window(p, w);
        return;
    }
    if (w->reference_only) {
        print__name(p, w->parent);
        return;
    }
    print__text(p, "(");
    if (w->parent.ptr != NULL) {
        print__name(p, w->parent);
    }
    if (w->partition_by.count > 0) {
        print__text(p, " PARTITION BY ");
        print__exprs(p, &w->partition_by);
    }
    print__order(p, &w->order_by);
    print_frame(p, w);
    print__text(p, ")");
}

static void print_aggregate(struct printer *p, const struct ast_aggregate *a)
{
    print__text(p, agg_names[a->func]);
    print__text(p, a->distinct ? "(DISTINCT " : "(");
    print__text(p, !a->star ? "" : p->view ? "0" : "*"); /* MYSQL: count(0) */
    print__exprs(p, &a->args);
    print__order(p, &a->order_by);
    if (a->separator.ptr != NULL) {
        print__text(p, " SEPARATOR ");
        print__string(p, a->separator);
    }
    print__text(p, ")");
    print__text(p, a->from_last ? " FROM LAST" : "");
    print__text(p, a->ignore_nulls ? " IGNORE NULLS" : "");
    if (a->over != NULL) {
        print__text(p, " OVER ");
        print__window(p, a->over);
    }
}

static void print_on(struct printer *p, const struct ast_json_on *on, const char *when)
{
    switch (on->kind) {
    case AST_JSON_ON_UNSET: return;
    case AST_JSON_ON_NULL: print__text(p, " NULL"); break;
    case AST_JSON_ON_ERROR: print__text(p, " ERROR"); break;
    case AST_JSON_ON_DEFAULT: {
        /* The grammar takes a signed literal here, which may not be in parentheses. */
        const struct ast_unary *u = (const struct ast_unary *)on->value;
        print__text(p, " DEFAULT ");
        if (on->value->kind == AST_EXPR_UNARY) {
            print__text(p, u->op == AST_OP_NEG ? "-" : "+");
            print__expr(p, u->arg);
        } else {
            print__expr(p, on->value);
        }
        break;
    }
    }
    print__text(p, when);
}

void print__json_on(struct printer *p, const struct ast_json_on *empty,
                    const struct ast_json_on *error)
{
    print_on(p, empty, " ON EMPTY");
    print_on(p, error, " ON ERROR");
}

static void print_json_value(struct printer *p, const struct ast_json_value *j)
{
    print__text(p, "JSON_VALUE(");
    print__expr(p, j->doc);
    print__text(p, ", ");
    print__expr(p, j->path);
    if (j->returning != NULL) {
        print__text(p, " RETURNING ");
        print__type(p, j->returning);
    }
    print__json_on(p, &j->on_empty, &j->on_error);
    print__text(p, ")");
}

void print__call(struct printer *p, const struct ast_expr *e)
{
    switch ((int)e->kind) {
    case AST_EXPR_FUNC: print_func(p, (const struct ast_func *)e); break;
    case AST_EXPR_JSON_VALUE: print_json_value(p, (const struct ast_json_value *)e); break;
    default: print_aggregate(p, (const struct ast_aggregate *)e); break;
    }
}

/* ---- types ---- */

static const char *const type_names[AST_TYPE__COUNT] = {
    [AST_TYPE_TINYINT] = "TINYINT",
    [AST_TYPE_SMALLINT] = "SMALLINT",
    [AST_TYPE_MEDIUMINT] = "MEDIUMINT",
    [AST_TYPE_INT] = "INT",
    [AST_TYPE_BIGINT] = "BIGINT",
    [AST_TYPE_DECIMAL] = "DECIMAL",
    [AST_TYPE_FLOAT] = "FLOAT",
    [AST_TYPE_DOUBLE] = "DOUBLE",
    [AST_TYPE_REAL] = "REAL",
    [AST_TYPE_BIT] = "BIT",
    [AST_TYPE_BOOL] = "BOOL",
    [AST_TYPE_SERIAL] = "SERIAL",
    [AST_TYPE_DATE] = "DATE",
    [AST_TYPE_TIME] = "TIME",
    [AST_TYPE_DATETIME] = "DATETIME",
    [AST_TYPE_TIMESTAMP] = "TIMESTAMP",
    [AST_TYPE_YEAR] = "YEAR",
    [AST_TYPE_CHAR] = "CHAR",
    [AST_TYPE_VARCHAR] = "VARCHAR",
    [AST_TYPE_BINARY] = "BINARY",
    [AST_TYPE_VARBINARY] = "VARBINARY",
    [AST_TYPE_TINYTEXT] = "TINYTEXT",
    [AST_TYPE_TEXT] = "TEXT",
    [AST_TYPE_MEDIUMTEXT] = "MEDIUMTEXT",
    [AST_TYPE_LONGTEXT] = "LONGTEXT",
    [AST_TYPE_TINYBLOB] = "TINYBLOB",
    [AST_TYPE_BLOB] = "BLOB",
    [AST_TYPE_MEDIUMBLOB] = "MEDIUMBLOB",
    [AST_TYPE_LONGBLOB] = "LONGBLOB",
    [AST_TYPE_ENUM] = "ENUM",
    [AST_TYPE_SET] = "SET",
    [AST_TYPE_JSON] = "JSON",
    [AST_TYPE_GEOMETRY] = "GEOMETRY",
    [AST_TYPE_POINT] = "POINT",
    [AST_TYPE_LINESTRING] = "LINESTRING",
    [AST_TYPE_POLYGON] = "POLYGON",
    [AST_TYPE_MULTIPOINT] = "MULTIPOINT",
    [AST_TYPE_MULTILINESTRING] = "MULTILINESTRING",
    [AST_TYPE_MULTIPOLYGON] = "MULTIPOLYGON",
    [AST_TYPE_GEOMETRYCOLLECTION] = "GEOMETRYCOLLECTION",
    [AST_TYPE_VECTOR] = "VECTOR",
    [AST_TYPE_SIGNED] = "SIGNED",
    [AST_TYPE_UNSIGNED] = "UNSIGNED",
};

static void print_type_size(struct printer *p, const struct ast_type *t)
{
    if ((t->flags & AST_TYPE_F_LENGTH) != 0) {
        print__text(p, "(");
        print__u64(p, t->length);
        if ((t->flags & AST_TYPE_F_DEC) != 0) {
            print__text(p, ", ");
            print__u64(p, t->dec);
        }
        print__text(p, ")");
    }
    for (uint32_t i = 0; i < t->values.count; i++) {
        print__text(p, i > 0 ? ", " : "(");
        const struct ast_text *value = t->values.items[i];
        if (value->is_bytes) {
            print__bytes(p, value->text, true);
        } else {
            print__string(p, value->text);
        }
    }
    print__text(p, t->values.count > 0 ? ")" : "");
}

void print__type(struct printer *p, const struct ast_type *t)
{
    bool national = (t->flags & AST_TYPE_F_NATIONAL) != 0;
    print__text(p, national ? "NATIONAL " : "");
    print__text(p, type_names[t->kind]);
    print_type_size(p, t);
    if ((t->flags & AST_TYPE_F_BYTE) != 0) {
        print__text(p, " BYTE");
    } else if (t->charset.ptr != NULL && !national) {
        print__text(p, " CHARACTER SET ");
        print__name(p, t->charset);
    }
    print__text(p, (t->flags & AST_TYPE_F_BINARY) != 0 ? " BINARY" : "");
    print__text(p, (t->flags & AST_TYPE_F_ZEROFILL) != 0   ? " ZEROFILL"
                   : (t->flags & AST_TYPE_F_UNSIGNED) != 0 ? " UNSIGNED"
                   : (t->flags & AST_TYPE_F_SIGNED) != 0   ? " SIGNED"
                                                           : "");
    print__text(p, (t->flags & AST_TYPE_F_ARRAY) != 0 ? " ARRAY" : "");
}
