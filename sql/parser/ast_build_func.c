/* Builders of calls, aggregates, windows and types. */
#include "sql/parser/ast_build.h"

/* ---- calls ---- */

void *ast_func(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, struct ast_list *args)
{
    struct ast_func *e = ast_expr_new(ctx, sizeof(*e), AST_EXPR_FUNC, loc, ast_list_depth(args));
    e->name = name;
    e->args = LIST(ast_expr_list, args);
    return e;
}

void *ast_func_mode(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, uint32_t mode,
                    struct ast_list *args)
{
    struct ast_func *e = ast_func(ctx, loc, name, args);
    e->mode = (enum ast_func_mode)mode;
    return e;
}

void *ast_call(struct parse_ctx *ctx, struct sql_loc loc, struct slice schema, struct slice name,
               struct ast_list *udf_args, uint32_t blanks)
{
    struct ast_list *args = NULL;
    struct ast_list *names = NULL;
    bool named = false;
    for (uint32_t i = 0; udf_args != NULL && i < udf_args->count; i++) {
        struct udf_arg *a = udf_args->items[i];
        args = ast_list_add(ctx, args, a->expr);
        named = named || a->name.ptr != NULL;
    }
    for (uint32_t i = 0; named && i < udf_args->count; i++) {
        struct udf_arg *a = udf_args->items[i];
        names =
            ast_list_add(ctx, names,
                         a->name.ptr != NULL ? ast_copy(ctx, &(struct ast_ident){a->name, a->pos},
                                                        sizeof(struct ast_ident))
                                             : NULL);
    }
    struct ast_func *e = ast_func(ctx, loc, name, args);
    e->schema = schema;
    e->arg_names = LIST(ast_ident_list, names);
    if (blanks != 0) {
        e->expr.flags |= AST_EXPR_NAME_BLANK;
    }
    return e;
}

void *ast_call_qualified(struct parse_ctx *ctx, struct sql_loc loc, struct slice schema,
                         struct slice name, struct ast_list *args)
{
    struct ast_func *e = ast_func(ctx, loc, name, args);
    e->schema = schema;
    return e;
}

void *ast_func_charset(struct parse_ctx *ctx, struct sql_loc loc, struct slice name,
                       struct ast_list *args, struct slice charset)
{
    struct ast_func *e = ast_func(ctx, loc, name, args);
    e->charset = charset;
    return e;
}

void *ast_func_unit(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc name, uint64_t unit,
                    struct ast_list *args)
{
    struct ast_func *e = ast_func(ctx, loc, parse__text_at(ctx, name), args);
    e->unit = (enum ast_interval_unit)unit;
    return e;
}

void *ast_trim(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc name,
               enum ast_func_mode mode, void *text, void *remove)
{
    struct ast_list *args = LIST1(text);
    if (remove != NULL) {
        args = LISTADD(args, remove);
    }
    return ast_func_mode(ctx, loc, parse__text_at(ctx, name), mode, args);
}

void *ast_weight_string(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc name,
                        struct sql_loc number, enum ast_func_mode mode, void *arg, uint64_t length)
{
    if (length == 0) {
        parse__syntax_error(ctx, number.offset);
    }
    struct ast_func *e = ast_func_mode(ctx, loc, parse__text_at(ctx, name), mode, LIST1(arg));
    e->length = length;
    return e;
}

static void *small_number(struct parse_ctx *ctx, struct sql_loc loc, uint64_t v)
{
    struct ast_literal *l = ast_expr_new(ctx, sizeof(*l), AST_EXPR_LITERAL, loc, 0);
    char *text = arena_printf(ctx->arena, "%llu", (unsigned long long)v);
    l->kind = AST_LIT_INT;
    l->u64 = v;
    l->text = text == NULL ? SLICE_EMPTY : slice_str(text);
    return l;
}

void *ast_weight_levels(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc name, void *arg,
                        uint64_t bytes, uint64_t chars, uint64_t flags)
{
    struct ast_list *args = LIST2(arg, small_number(ctx, loc, bytes));
    args = LISTADD(args, small_number(ctx, loc, chars));
    args = LISTADD(args, small_number(ctx, loc, flags));
    return ast_func(ctx, loc, parse__text_at(ctx, name), args);
}

void *ast_now(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, uint64_t fsp)
{
    struct ast_list *args = NULL;
    if (fsp != 0) {
        struct ast_literal *l = ast_expr_new(ctx, sizeof(*l), AST_EXPR_LITERAL, loc, 0);
        l->kind = AST_LIT_INT;
        l->u64 = fsp;
        static const char digits[] = "0123456789";
        l->text = slice_of(&digits[fsp < 10 ? fsp : 9], 1);
        args = LIST1(l);
    }
    return ast_func_mode(ctx, loc, name, AST_FUNC_NO_PARENS, args);
}

void *ast_cast(struct parse_ctx *ctx, struct sql_loc loc, void *arg, void *type, uint64_t flags,
               void *time_zone)
{
    struct ast_cast *e = ast_expr_new(ctx, sizeof(*e), AST_EXPR_CAST, loc, ast_depth(arg));
    e->arg = arg;
    e->type = type;
    if ((flags & CAST_ARRAY) != 0) {
        e->type->flags |= AST_TYPE_F_ARRAY;
    }
    e->is_convert = (flags & CAST_CONVERT) != 0;
    e->time_zone = time_zone;
    return e;
}

struct json_ons {
    struct ast_json_on on_empty, on_error;
};

void *ast_json_ons(struct parse_ctx *ctx, void *on_empty, void *on_error)
{
    struct json_ons ons = {0};
    if (on_empty != NULL) {
        ons.on_empty = *(const struct ast_json_on *)on_empty;
    }
    if (on_error != NULL) {
        ons.on_error = *(const struct ast_json_on *)on_error;
    }
    return ast_copy(ctx, &ons, sizeof(ons));
}

void *ast_json_value(struct parse_ctx *ctx, struct sql_loc loc, void *doc, void *path,
                     void *returning, void *ons)
{
    struct ast_json_value *e =
        ast_expr_new(ctx, sizeof(*e), AST_EXPR_JSON_VALUE, loc, ast_depth(doc));
    e->doc = doc;
    e->path = path;
    e->returning = returning;
    if (ons != NULL) {
        e->on_empty = ((const struct json_ons *)ons)->on_empty;
        e->on_error = ((const struct json_ons *)ons)->on_error;
    }
    return e;
}

void *ast_json_column(struct parse_ctx *ctx, struct sql_loc loc, enum ast_json_column_kind kind,
                      struct slice name, void *type, struct slice collation, struct slice path,
                      void *ons)
{
    struct ast_json_column *c = AST_NEW(ctx, ast_json_column);
    c->kind = kind;
    c->pos = ast_pos_of(loc);
    c->name = name;
    c->type = type;
    c->collation = collation;
    c->path = path;
    if (ons != NULL) {
        c->on_empty = ((const struct json_ons *)ons)->on_empty;
        c->on_error = ((const struct json_ons *)ons)->on_error;
    }
    return c;
}

/* ---- aggregates ---- */

static enum ast_agg_func agg_func(struct slice name)
{
    static const struct {
        struct slice name;
        enum ast_agg_func func;
    } table[] = {
#define AGG(text, func) {{(const uint8_t *)text, sizeof(text) - 1}, func}
        AGG("COUNT", AST_AGG_COUNT),
        AGG("SUM", AST_AGG_SUM),
        AGG("AVG", AST_AGG_AVG),
        AGG("MIN", AST_AGG_MIN),
        AGG("MAX", AST_AGG_MAX),
        AGG("BIT_AND", AST_AGG_BIT_AND),
        AGG("BIT_OR", AST_AGG_BIT_OR),
        AGG("BIT_XOR", AST_AGG_BIT_XOR),
        AGG("STD", AST_AGG_STDDEV_POP),
        AGG("STDDEV", AST_AGG_STDDEV_POP),
        AGG("STDDEV_POP", AST_AGG_STDDEV_POP),
        AGG("STDDEV_SAMP", AST_AGG_STDDEV_SAMP),
        AGG("VARIANCE", AST_AGG_VAR_POP),
        AGG("VAR_POP", AST_AGG_VAR_POP),
        AGG("VAR_SAMP", AST_AGG_VAR_SAMP),
        AGG("JSON_ARRAYAGG", AST_AGG_JSON_ARRAYAGG),
        AGG("JSON_OBJECTAGG", AST_AGG_JSON_OBJECTAGG),
        AGG("ST_COLLECT", AST_AGG_ST_COLLECT),
#undef AGG
    };
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        if (slice_eq_nocase(table[i].name, name)) {
            return table[i].func;
        }
    }
    return AST_AGG_COUNT;
}

static uint16_t window_depth(const struct ast_window *w)
{
    if (w == NULL) {
        return 0;
    }
    uint16_t depth = ast_deeper(ast_list_depth((const struct ast_list *)&w->partition_by),
                                ast_order_depth((const struct ast_list *)&w->order_by));
    return ast_deeper(depth, ast_deeper(ast_depth(w->start.value), ast_depth(w->end.value)));
}

void *ast_aggregate(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc name, uint64_t flags,
                    struct ast_list *args, void *over)
{
    struct ast_aggregate *e = ast_expr_new(ctx, sizeof(*e), AST_EXPR_AGGREGATE, loc,
                                           ast_deeper(ast_list_depth(args), window_depth(over)));
    e->func = agg_func(parse__text_at(ctx, name));
    e->distinct = (flags & AGG_DISTINCT) != 0;
    e->args = LIST(ast_expr_list, args);
    e->over = over;
    return e;
}

void *ast_count_star(struct parse_ctx *ctx, struct sql_loc loc, void *over)
{
    struct ast_aggregate *e =
        ast_expr_new(ctx, sizeof(*e), AST_EXPR_AGGREGATE, loc, window_depth(over));
    e->func = AST_AGG_COUNT;
    e->star = true;
    e->over = over;
    return e;
}

void *ast_group_concat(struct parse_ctx *ctx, struct sql_loc loc, uint64_t flags,
                       struct ast_list *args, struct ast_list *order, struct slice separator,
                       void *over)
{
    uint16_t depth = ast_deeper(ast_list_depth(args), ast_order_depth(order));
    struct ast_aggregate *e = ast_expr_new(ctx, sizeof(*e), AST_EXPR_AGGREGATE, loc,
                                           ast_deeper(depth, window_depth(over)));
    e->func = AST_AGG_GROUP_CONCAT;
    e->distinct = (flags & AGG_DISTINCT) != 0;
    e->args = LIST(ast_expr_list, args);
    e->order_by = LIST(ast_order_list, order);
    e->separator = separator;
    e->over = over;
    return e;
}

/* ---- windows ---- */

void *ast_window_func(struct parse_ctx *ctx, struct sql_loc loc, uint64_t func,
                      struct ast_list *args, uint64_t flags, void *over)
{
    struct ast_aggregate *e = ast_expr_new(ctx, sizeof(*e), AST_EXPR_WINDOW, loc,
                                           ast_deeper(ast_list_depth(args), window_depth(over)));
    e->func = (enum ast_agg_func)func;
    e->ignore_nulls = (flags & WIN_IGNORE_NULLS) != 0;
    e->from_last = (flags & WIN_FROM_LAST) != 0;
    e->args = LIST(ast_expr_list, args);
    e->over = over;
    return e;
}

void *ast_window_ref(struct parse_ctx *ctx, struct sql_loc loc, struct slice name)
{
    struct ast_window *w = AST_NEW(ctx, ast_window);
    w->pos = ast_pos_of(loc);
    w->parent = name;
    w->reference_only = true;
    return w;
}

void *ast_window(struct parse_ctx *ctx, struct sql_loc loc, struct slice parent,
                 struct ast_list *partition_by, struct ast_list *order_by, void *frame)
{
    struct ast_window *w = frame != NULL ? frame : AST_NEW(ctx, ast_window);
    w->pos = ast_pos_of(loc);
    w->parent = parent;
    w->partition_by = LIST(ast_expr_list, partition_by);
    w->order_by = LIST(ast_order_list, order_by);
    return w;
}

void *ast_window_name(struct parse_ctx *ctx, struct sql_loc loc, void *window, struct slice name)
{
    (void)ctx;
    struct ast_window *w = window;
    w->pos = ast_pos_of(loc);
    w->name = name;
    return w;
}

/* A window that holds nothing but its frame; ast_window adds the rest. */
void *ast_frame(struct parse_ctx *ctx, uint32_t unit, void *start, void *end, uint32_t exclude)
{
    struct ast_window *w = AST_NEW(ctx, ast_window);
    w->frame_unit = (enum ast_frame_unit)unit;
    w->start = *(const struct ast_frame_bound *)start;
    w->has_between = end != NULL;
    w->end = end != NULL ? *(const struct ast_frame_bound *)end
                         : (struct ast_frame_bound){AST_BOUND_CURRENT_ROW, NULL};
    w->exclude = (enum ast_frame_exclude)exclude;
    return w;
}

/* ---- types ---- */

static void warn_number(struct parse_ctx *ctx, const struct ast_type *t)
{
    const enum my_errno number = ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT;
    bool is_int = t->kind <= AST_TYPE_BIGINT;
    bool is_float =
        t->kind == AST_TYPE_FLOAT || t->kind == AST_TYPE_DOUBLE || t->kind == AST_TYPE_REAL;
    if ((t->flags & AST_TYPE_F_ZEROFILL) != 0) {
        ast_warn(ctx, number, ER_WARN_DEPRECATED_ZEROFILL);
    }
    if (is_int && (t->flags & AST_TYPE_F_LENGTH) != 0) {
        ast_warn(ctx, number, ER_WARN_DEPRECATED_INTEGER_DISPLAY_WIDTH);
    }
    if (is_float && (t->flags & AST_TYPE_F_DEC) != 0) {
        ast_warn(ctx, number, ER_WARN_DEPRECATED_FLOAT_DIGITS);
    }
    if ((is_float || t->kind == AST_TYPE_DECIMAL) && (t->flags & AST_TYPE_F_UNSIGNED) != 0) {
        ast_warn(ctx, number, ER_WARN_DEPRECATED_FLOAT_UNSIGNED);
    }
    if (t->kind == AST_TYPE_YEAR && (t->flags & AST_TYPE_F_LENGTH) != 0) {
        ast_warn_word(ctx, "YEAR(4)", "YEAR");
    }
}

void *ast_type(struct parse_ctx *ctx, struct sql_loc loc, uint64_t kind, void *size, uint64_t flags)
{
    struct ast_type *t = AST_NEW(ctx, ast_type);
    t->kind = (enum ast_type_kind)kind;
    t->flags = (uint32_t)flags;
    t->pos = ast_pos_of(loc);
    const struct type_size *s = size;
    if (s != NULL) {
        t->length = s->length;
        t->dec = s->dec;
        t->flags |= AST_TYPE_F_LENGTH | (s->given == 2 ? AST_TYPE_F_DEC : 0u);
    }
    warn_number(ctx, t);
    if ((t->flags & AST_TYPE_F_ZEROFILL) != 0) {
        t->flags |= AST_TYPE_F_UNSIGNED;
    }
    return t;
}

void *ast_type_string(struct parse_ctx *ctx, struct sql_loc loc, enum ast_type_kind kind,
                      void *size, void *attrs)
{
    const struct string_attrs *a = attrs;
    struct ast_type *t = ast_type(ctx, loc, kind, size, a != NULL ? a->flags : 0);
    if (a != NULL) {
        t->charset = a->charset;
    }
    return t;
}

void *ast_type_national(struct parse_ctx *ctx, struct sql_loc loc, enum ast_type_kind kind,
                        void *size, uint64_t flags)
{
    struct ast_type *t = ast_type(ctx, loc, kind, size, flags | AST_TYPE_F_NATIONAL);
    t->charset = SLICE_LIT("utf8mb3");
    ast_warn(ctx, ER_DEPRECATED_NATIONAL, ER_DEPRECATED_NATIONAL);
    return t;
}

void *ast_type_values(struct parse_ctx *ctx, struct sql_loc loc, enum ast_type_kind kind,
                      struct ast_list *values, void *attrs)
{
    struct ast_type *t = ast_type_string(ctx, loc, kind, NULL, attrs);
    t->values = LIST(ast_text_list, values);
    return t;
}

void *ast_string_attrs(struct parse_ctx *ctx, struct sql_loc second, void *a, void *b)
{
    const struct string_attrs *x = a;
    const struct string_attrs *y = b;
    struct string_attrs both = {x->charset.ptr != NULL ? x->charset : y->charset,
                                x->flags | y->flags};
    if (x->charset.ptr != NULL && y->charset.ptr != NULL) {
        parse__syntax_error(ctx, second.offset);
    }
    return ast_copy(ctx, &both, sizeof(both));
}
