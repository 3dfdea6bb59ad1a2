/* Calls: functions, the forms with words instead of commas, aggregates, CAST and COLLATE. */
#include "sql/bind/bind_int.h"

#include <stdio.h>

#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"
#include "sql/types/sql_mode.h"
#include "sql/types/temporal.h"

static db_err int_const(struct binder *b, int64_t n, struct bexpr **ret)
{
    struct value v = value_int(n);
    struct sql_type t = type_int(TYPE_BIGINT, false);
    t.flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    return bind__const(b, &v, &t, 5, ret);
}

/* date +/- INTERVAL amount unit: a function of three arguments, the last the unit's number. */
db_err bind__interval(struct binder *b, struct scope *scope, const struct ast_expr *date,
                      const struct ast_interval *iv, bool subtract, struct bexpr **ret)
{
    struct bexpr *from;
    struct bexpr *amount;
    TRY(bind__scalar_expr(b, scope, date, &from));
    TRY(bind__scalar_expr(b, scope, iv->amount, &amount));
    return bind__add_interval(b, from, amount, iv->unit, subtract, ret);
}

db_err bind__add_interval(struct binder *b, struct bexpr *date, struct bexpr *amount, int unit,
                          bool subtract, struct bexpr **ret)
{
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, 3);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    args[0] = date;
    args[1] = amount;
    TRY(int_const(b, unit, &args[2]));
    return bind__op(b, subtract ? "op_date_sub" : "op_date_add", args, 3, ret);
}

/* IF(a, b, c) and IFNULL/COALESCE do not evaluate all their arguments: node kinds, not functions.
 */
static db_err bind_if(struct binder *b, struct bexpr **args, struct bexpr **ret)
{
    struct sql_type t;
    uint8_t coercibility;
    TRY(bind__json_condition(b, &args[0]));
    TRY(bind__note_number(b, args[0], NUM_INT));
    TRY(bind__note_branches(b, args + 1, 2));
    TRY(bind__agree_branches(b, "if", args + 1, 2, &t, &coercibility));
    struct bexpr *e = bind__new(b, BEXPR_CASE, &t, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->args = args;
    e->arg_count = 3;
    e->coercibility = coercibility;
    e->u.is_if = true;
    bind__inherit(e);
    *ret = e;
    return ERR_OK;
}

db_err bind__coalesce(struct binder *b, const char *name, struct bexpr **args, uint32_t n,
                      struct bexpr **ret)
{
    struct sql_type t;
    uint8_t coercibility;
    bool not_null = false;
    for (uint32_t i = 0; i < n; i++) {
        not_null = not_null || (args[i]->type.flags & TYPE_F_NOT_NULL) != 0;
    }
    TRY(bind__note_branches(b, args, n));
    TRY(bind__agree_branches(b, name, args, n, &t, &coercibility));
    for (uint32_t i = 0; i < n && t.id == TYPE_DECIMAL; i++) {
        if (args[i]->placeholder) { /* its value has the decimals that were given */
            struct sql_type given = t;
            given.wire |= TYPE_W_OWN_SCALE;
            TRY(bind__cast(b, args[i], &given, false, &args[i]));
        }
    }
    t.flags = (uint8_t)((t.flags & ~TYPE_F_NOT_NULL) | (not_null ? TYPE_F_NOT_NULL : 0));
    struct bexpr *e = bind__new(b, BEXPR_COALESCE, &t, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->args = args;
    e->arg_count = n;
    e->coercibility = coercibility;
    bind__inherit(e);
    *ret = e;
    return ERR_OK;
}

/* MYSQL: a constant becomes text of the charset that it is compared in, a literal of the collation.
 */
static db_err literal_as_compared(struct binder *b, const struct bexpr *eq, struct bexpr **io)
{
    const struct bexpr *e = *io;
    const struct bexpr *call = eq->kind == BEXPR_CONST ? eq->folded : eq;
    bool given = e->kind == BEXPR_CONST || (e->kind == BEXPR_PARAM && !e->placeholder);
    if (!given || call == NULL || call->kind != BEXPR_FUNC || call->u.func->collation == 0 ||
        !type_is_string(&e->type) || e->type.collation == COLL_BINARY ||
        !type_is_string(&call->args[1]->type)) {
        return ERR_OK;
    }
    const struct collation *from = collation_by_id(e->type.collation);
    const struct collation *to = collation_by_id(call->u.func->collation);
    bool unset = to->id == COLL_BINARY && call->args[1]->kind == BEXPR_USER_VAR;
    if (from == to || unset || (e->folded != NULL && from->cs == to->cs)) {
        return ERR_OK;
    }
    struct sql_type t = e->type;
    t.collation = to->id;
    return bind__cast(b, *io, &t, false, io);
}

/* NULLIF(a, b) is CASE WHEN a = b THEN NULL ELSE a END, with a's type; what is true or false is a
 * number then. */
static db_err bind_nullif(struct binder *b, struct bexpr **args, struct bexpr **ret)
{
    struct bexpr **parts = BIND_ARRAY(b, struct bexpr *, 3);
    const struct sql_type *other = &args[1]->type;
    bool shown = args[0]->placeholder && other->id != TYPE_BIT &&
                 (type_is_numeric(other) || type_is_temporal(other));
    TRY(shown ? bind__note_branches(b, args, 2) : ERR_OK);
    struct bexpr *again = bexpr_clone(b->arena, args[0]);
    if (parts == NULL || again == NULL) {
        return ERR_NOMEM;
    }
    struct sql_type t = bind__result_type(args[0]->type);
    bool vector = t.id == TYPE_VECTOR || args[1]->type.id == TYPE_VECTOR;
    /* MYSQL: its text has the zeros, its number has not. */
    t.flags =
        (uint8_t)((t.flags & ~(TYPE_F_NOT_NULL | TYPE_F_BOOL | TYPE_F_ZEROFILL)) | TYPE_F_EXPR);
    struct value null;
    value_set_null(&null, &t);
    bool of_block = b->of_block;
    b->func.operation = "nullif";
    b->of_block = false;
    db_err err = (vector ? bind__comparison_among : bind__comparison)(b, AST_OP_EQ, args[0],
                                                                      args[1], &parts[0]);
    b->func.operation = NULL;
    b->of_block = of_block;
    TRY(err);
    TRY(literal_as_compared(b, parts[0], &again));
    t.collation = type_is_string(&t) ? again->type.collation : t.collation;
    TRY(bind__const(b, &null, &t, 6, &parts[1]));
    parts[2] = again;
    struct bexpr *e = bind__new(b, BEXPR_CASE, &t, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->u.nullif = true;
    e->args = parts;
    e->arg_count = 3;
    e->coercibility = again->coercibility;
    bind__inherit(e);
    *ret = e;
    return ERR_OK;
}

struct lazy_form {
    const char *name;
    uint32_t min, max;
    enum { LAZY_IF, LAZY_COALESCE, LAZY_NULLIF } form;
};
static const struct lazy_form g_lazy[] = {
    {"if", 3, 3, LAZY_IF},
    {"ifnull", 2, 2, LAZY_COALESCE},
    {"coalesce", 1, FUNC_VARARGS, LAZY_COALESCE},
    {"nullif", 2, 2, LAZY_NULLIF},
};

static const struct lazy_form *find_lazy(struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_lazy); i++) {
        if (slice_eq_nocase(name, slice_str(g_lazy[i].name))) {
            return &g_lazy[i];
        }
    }
    return NULL;
}

static db_err call_lazy(struct binder *b, const struct lazy_form *form, struct bexpr **args,
                        uint32_t n, struct bexpr **ret)
{
    switch (form->form) {
    case LAZY_IF: return bind_if(b, args, ret);
    case LAZY_NULLIF: return bind_nullif(b, args, ret);
    case LAZY_COALESCE: break;
    }
    return bind__coalesce(b, form->name, args, n, ret);
}

static int trim_mode(enum ast_func_mode mode)
{
    return mode == AST_FUNC_TRIM_LEADING ? 1 : mode == AST_FUNC_TRIM_TRAILING ? 2 : 0;
}

/* Forms with words: what was a word becomes a leading or trailing constant argument. */
static db_err word_argument(struct binder *b, const struct ast_func *f, struct bexpr **args,
                            uint32_t *io_count)
{
    struct slice n = f->name;
    int64_t leading = -1;
    if (f->unit != AST_UNIT_NONE) {
        leading = f->unit; /* EXTRACT, TIMESTAMPADD, TIMESTAMPDIFF */
    } else if (slice_eq_nocase(n, SLICE_LIT("trim"))) {
        leading = trim_mode(f->mode);
    } else if (slice_eq_nocase(n, SLICE_LIT("get_format"))) {
        leading = f->mode - AST_FUNC_FORMAT_DATE;
    }
    if (leading >= 0) {
        memmove(args + 1, args, *io_count * sizeof(*args));
        TRY(int_const(b, leading, &args[0]));
        (*io_count)++;
    }
    if (f->mode == AST_FUNC_WEIGHT_CHAR || f->mode == AST_FUNC_WEIGHT_BINARY) {
        TRY(int_const(b, f->mode == AST_FUNC_WEIGHT_BINARY, &args[*io_count]));
        TRY(int_const(b, (int64_t)f->length, &args[*io_count + 1]));
        *io_count += 2;
    }
    return ERR_OK;
}

/* DATE_ADD and relatives have an INTERVAL as second argument. */
static bool is_date_arith(const struct ast_func *f, bool *ret_subtract)
{
    if (f->args.count != 2 || f->args.items[1]->kind != AST_EXPR_INTERVAL) {
        return false;
    }
    *ret_subtract = slice_eq_nocase(f->name, SLICE_LIT("date_sub")) ||
                    slice_eq_nocase(f->name, SLICE_LIT("subdate"));
    return true;
}

static db_err using_charset(struct binder *b, const struct ast_func *f, struct bexpr **io)
{
    if (f->charset.ptr == NULL) {
        return ERR_OK;
    }
    const struct charset *cs;
    TRY(charset_require(f->charset, b->diag, &cs));
    struct sql_type t = (*io)->type;
    t = type_char(TYPE_VARCHAR, t.length, cs->default_collation);
    t.flags |= TYPE_F_EXPR;
    TRY(bind__cast(b, *io, &t, true, io));
    (*io)->type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    (*io)->coercibility = 4;
    return ERR_OK;
}

static db_err bind_grouping(struct binder *b, const struct scope *scope, struct bexpr **args,
                            uint32_t n, struct bexpr **ret)
{
    if (scope == NULL || !scope->grouped || !scope->aggs_allowed || scope->in_agg > 0) {
        return my_error(b->diag, ER_INVALID_GROUP_FUNC_USE);
    }
    struct sql_type t = type_int(TYPE_BIGINT, false);
    t.length = 21; /* MYSQL: as of a sum, and nullable */
    t.flags |= TYPE_F_EXPR;
    struct bexpr *e = bind__new(b, BEXPR_GROUPING, &t, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->args = args;
    e->arg_count = n;
    bind__inherit(e);
    e->has_agg = true;
    e->is_const = false;
    *ret = e;
    return ERR_OK;
}

/* A literal as it stands, with a sign or a COLLATE clause. */
static bool is_literal(const struct ast_expr *e)
{
    if (e->kind == AST_EXPR_COLLATE) {
        e = ((const struct ast_collate *)e)->arg;
    } else if (e->kind == AST_EXPR_UNARY && ((const struct ast_unary *)e)->op == AST_OP_NEG) {
        e = ((const struct ast_unary *)e)->arg;
    }
    if (e->kind != AST_EXPR_LITERAL) {
        return false;
    }
    enum ast_literal_kind k = ((const struct ast_literal *)e)->kind;
    return k != AST_LIT_DATE && k != AST_LIT_TIME && k != AST_LIT_TIMESTAMP && k != AST_LIT_TRUE &&
           k != AST_LIT_FALSE;
}

static bool count_fits(const struct lazy_form *lazy, const struct func_def *def, uint32_t n)
{
    uint32_t min = lazy != NULL ? lazy->min : def->args_min;
    uint32_t max = lazy != NULL ? lazy->max : def->args_max;
    bool uneven = def != NULL && (((def->flags & FUNC_ARGS_EVEN) != 0 && n % 2 != 0) ||
                                  ((def->flags & FUNC_ARGS_ODD) != 0 && n % 2 == 0));
    return n >= min && n <= max && !uneven;
}

static bool is_miscounted(const struct ast_func *f)
{
    bool ignored;
    const struct lazy_form *lazy = find_lazy(f->name);
    const struct func_def *def = lazy != NULL ? NULL : func_find(f->name);
    bool words = f->mode != AST_FUNC_PLAIN || f->unit != AST_UNIT_NONE || f->charset.ptr != NULL;
    bool known = (lazy != NULL || def != NULL) && f->schema.ptr == NULL;
    return known && !words && !is_date_arith(f, &ignored) &&
           !slice_eq_nocase(f->name, SLICE_LIT("trim")) &&
           !slice_eq_nocase(f->name, SLICE_LIT("grouping")) &&
           !count_fits(lazy, def, f->args.count);
}

bool bind__is_known_call(const struct ast_func *f)
{
    bool ignored;
    return find_lazy(f->name) != NULL || func_is_known(f->name) || is_date_arith(f, &ignored) ||
           slice_eq_nocase(f->name, SLICE_LIT("grouping")) ||
           slice_eq_nocase(f->name, SLICE_LIT("json_duality_object"));
}

db_err bind__call_parses(struct binder *b, const struct ast_func *f)
{
    char *name = arena_strdup(b->arena, f->name);
    if (name == NULL) {
        return ERR_NOMEM;
    }
    if (is_miscounted(f)) {
        return my_error(b->diag, ER_WRONG_PARAMCOUNT_TO_NATIVE_FCT, name);
    }
    if (f->arg_names.count == 0 || slice_eq_nocase(f->name, SLICE_LIT("json_duality_object"))) {
        return ERR_OK;
    }
    if (bind__is_known_call(f)) {
        for (char *p = name; *p != '\0'; p++) { /* MYSQL: as the function is registered */
            *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        }
        return my_error(b->diag, ER_WRONG_PARAMETERS_TO_NATIVE_FCT, name);
    }
    return my_error(b->diag, ER_WRONG_PARAMETERS_TO_STORED_FCT,
                    arena_printf(b->arena, "`%s`", name));
}

db_err bind__func(struct binder *b, struct scope *scope, const struct ast_func *f,
                  struct bexpr **ret)
{
    const char *name = arena_strdup(b->arena, f->name);
    bool subtract = false;
    if (name == NULL) {
        return ERR_NOMEM;
    }
    if (f->schema.ptr != NULL) {
        return my_error(b->diag, ER_SP_DOES_NOT_EXIST, "FUNCTION",
                        arena_printf(b->arena, "%.*s.%s", SLICE_FMT(f->schema), name));
    }
    TRY(bind__call_parses(b, f));
    if (is_date_arith(f, &subtract)) {
        return bind__interval(b, scope, f->args.items[0],
                              (const struct ast_interval *)f->args.items[1], subtract, ret);
    }
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, f->args.count + 4);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    uint32_t n = f->args.count;
    for (uint32_t i = 0; i < n; i++) {
        TRY(bind__expr(b, scope, f->args.items[i], &args[i]));
        if (args[i]->kind == BEXPR_ROW) {
            return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
        }
    }
    if (slice_eq_nocase(f->name, SLICE_LIT("name_const")) && n == 2 &&
        !((f->args.items[0]->kind == AST_EXPR_LITERAL || is_literal(f->args.items[0])) &&
          is_literal(f->args.items[1]))) {
        return my_error(b->diag, ER_WRONG_ARGUMENTS, "NAME_CONST");
    }
    if (slice_eq_nocase(f->name, SLICE_LIT("grouping"))) {
        return bind_grouping(b, scope, args, n, ret);
    }
    if (slice_eq_nocase(f->name, SLICE_LIT("found_rows"))) {
        bind__warn_text(b, ER_WARN_DEPRECATED_SYNTAX,
                        "FOUND_ROWS() is deprecated and will be removed in a future release. "
                        "Consider using COUNT(*) instead.");
    }
    const struct lazy_form *lazy = find_lazy(f->name);
    const struct func_def *def = lazy != NULL ? NULL : func_find(f->name);
    if (lazy == NULL && def == NULL) {
        if (func_is_internal(f->name)) {
            char upper[65];
            snprintf(upper, sizeof(upper), "%s", name);
            for (char *p = upper; *p != '\0'; p++) {
                *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
            }
            return my_error(b->diag, ER_NO_ACCESS_TO_NATIVE_FCT, upper);
        }
        if (slice_eq_nocase(f->name, SLICE_LIT("json_duality_object"))) {
            return my_error(b->diag, ER_JDV_INVALID_JSON_DUALITY_OBJECT_USAGE);
        }
        if (func_is_known(f->name)) {
            return my_error(b->diag, ER_NOT_SUPPORTED_YET, name);
        }
        struct slice db = b->opts->current_schema;
        if (b->opts->use != BIND_USE_ANY) {
            return bind__definition_function(b, arena_printf(b->arena, "`%s`", name));
        }
        if (db.ptr == NULL) {
            return my_error(b->diag, ER_NO_DB_ERROR);
        }
        return my_error(b->diag, ER_SP_DOES_NOT_EXIST, "FUNCTION",
                        arena_printf(b->arena, "%.*s.%s", SLICE_FMT(db), name));
    }
    TRY(word_argument(b, f, args, &n));
    if (!count_fits(lazy, def, n)) {
        return my_error(b->diag, ER_WRONG_PARAMCOUNT_TO_NATIVE_FCT, name);
    }
    b->stmt->unsafe = b->stmt->unsafe || (def != NULL && (def->flags & FUNC_UNSAFE) != 0);
    TRY(lazy != NULL ? call_lazy(b, lazy, args, n, ret) : bind__call(b, def, args, n, ret));
    return using_charset(b, f, ret);
}

const char *bind__agg_name(enum ast_agg_func f)
{
    static const char *const names[] = {
        "count",      "sum",        "avg",          "min",           "max",
        "bit_and",    "bit_or",     "bit_xor",      "stddev_pop",    "stddev_samp",
        "var_pop",    "var_samp",   "group_concat", "json_arrayagg", "json_objectagg",
        "st_collect", "row_number", "rank",         "dense_rank",    "percent_rank",
        "cume_dist",  "ntile",      "lead",         "lag",           "first_value",
        "last_value", "nth_value"};
    return names[f];
}

/* MYSQL: a whole number is the position of an argument, also as (SELECT 1). */
static db_err take_position(struct binder *b, const struct ast_aggregate *a,
                            struct bexpr *const *args, struct bexpr **io)
{
    const struct bexpr *e = *io;
    const struct bexpr *at = e;
    if (e->kind == BEXPR_SUBQUERY_SCALAR && e->u.subquery.sub->root->kind == LNODE_PROJECT &&
        e->u.subquery.sub->root->children[0]->kind == LNODE_DUAL) {
        at = e->u.subquery.sub->root->u.project.exprs[0].expr;
    }
    if (at->kind != BEXPR_CONST || at->folded != NULL || at->u.constant.is_null ||
        at->u.constant.phys != PHYS_INT || type_is_temporal(&at->type)) {
        return ERR_OK;
    }
    if (at->u.constant.u >= 1 && at->u.constant.u <= a->args.count) {
        *io = bexpr_clone(b->arena, args[at->u.constant.u - 1]);
        return *io == NULL ? ERR_NOMEM : ERR_OK;
    }
    return my_error(b->diag, ER_BAD_FIELD_ERROR,
                    arena_printf(b->arena, "%lld", (long long)at->u.constant.i), "order clause");
}

/* MYSQL: GROUP_CONCAT(DISTINCT ...) gives its values in their own order, if no other one is asked
 * for. That of documents does not follow from their values. */
static db_err own_order(struct binder *b, struct bexpr *e)
{
    for (uint32_t i = 0; i < e->arg_count; i++) {
        const struct bexpr *arg = e->args[i];
        if (arg->type.id == TYPE_JSON || arg->has_subquery || arg->is_volatile) {
            return ERR_OK;
        }
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        struct bexpr *key = bexpr_clone(b->arena, e->args[i]);
        if (key == NULL) {
            return ERR_NOMEM;
        }
        e->u.agg.order_by[e->u.agg.order_count] = key;
        e->u.agg.order_desc[e->u.agg.order_count++] = false;
    }
    return ERR_OK;
}

/* MYSQL: the rows of a GROUP_CONCAT lie in a table first, so that a number's text is a column's. */
static void keep_in_column(struct bexpr *e)
{
    if (!e->is_const && (e->type.id == TYPE_DOUBLE || e->type.id == TYPE_FLOAT)) {
        e->type.wire |= TYPE_W_COLUMN_REAL;
    }
}

static db_err agg_order(struct binder *b, struct scope *scope, const struct ast_aggregate *a,
                        struct bexpr *e)
{
    bool own = a->func == AST_AGG_GROUP_CONCAT && a->distinct && a->order_by.count == 0;
    uint32_t n = own ? e->arg_count : a->order_by.count;
    if (n == 0) {
        return ERR_OK;
    }
    e->u.agg.order_by = BIND_ARRAY(b, struct bexpr *, n);
    e->u.agg.order_desc = BIND_ARRAY(b, bool, n);
    if (e->u.agg.order_by == NULL || e->u.agg.order_desc == NULL) {
        return ERR_NOMEM;
    }
    if (own) {
        return own_order(b, e);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct bexpr *key;
        TRY(bind__expr(b, scope, a->order_by.items[i]->expr, &key));
        TRY(take_position(b, a, e->args, &key));
        if (key->kind == BEXPR_ROW) {
            return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
        }
        /* MYSQL: what is the same for all rows is not evaluated */
        if (key->kind == BEXPR_SUBQUERY_SCALAR && !key->u.subquery.sub->correlated) {
            continue;
        }
        e->u.agg.order_by[e->u.agg.order_count] = key;
        e->u.agg.order_desc[e->u.agg.order_count++] = a->order_by.items[i]->desc;
    }
    return ERR_OK;
}

db_err bind__agg_call(struct binder *b, const struct ast_aggregate *a, const struct agg_def *def,
                      struct bexpr *e)
{
    struct agg_call *call = BIND_NEW(b, struct agg_call);
    struct func_arg *fa = BIND_ARRAY(b, struct func_arg, e->arg_count + 1);
    if (call == NULL || fa == NULL) {
        return ERR_NOMEM;
    }
    call->def = def;
    call->variant = def->variant;
    call->distinct = a->distinct;
    call->arg_count = e->arg_count;
    call->arg_types = BIND_ARRAY(b, struct sql_type, e->arg_count + 1);
    if (call->arg_types == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        fa[i] = bind__arg(e->args[i]);
        call->arg_types[i] = fa[i].type;
    }
    if (a->func == AST_AGG_GROUP_CONCAT) {
        struct slice *separator = BIND_NEW(b, struct slice);
        if (separator == NULL) {
            return ERR_NOMEM;
        }
        TRY(arena_copy(b->arena, a->separator.ptr != NULL ? a->separator : SLICE_LIT(","),
                       separator));
        call->data = separator;
    }
    TRY(bind__refuse_agg_vectors(b, def, e->args, e->arg_count));
    TRY(def->bind_agg(&b->func, call, fa));
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (fa[i].want_cast && a->func == AST_AGG_GROUP_CONCAT) {
            keep_in_column(e->args[i]);
            TRY(bind__cast_stored(b, e->args[i], &fa[i].want, false, &e->args[i]));
        } else if (fa[i].want_cast && a->over != NULL) { /* MYSQL: of a row that is kept */
            TRY(bind__cast(b, e->args[i], &fa[i].want, false, &e->args[i]));
        } else if (fa[i].want_cast) {
            TRY(bind__cast_asked(b, e->args[i], &fa[i].want, BIND_ASKED, &e->args[i]));
        } else if (call->type.id == TYPE_JSON) {
            TRY(bind__json_decimals(b, e->args[i]));
        }
        call->arg_types[i] = e->args[i]->type;
    }
    e->u.agg.call = call;
    e->type = call->type;
    e->type.flags |= TYPE_F_EXPR;
    e->coercibility = call->coercibility;
    return ERR_OK;
}

/* The block itself, or one around it. */
static bool may_aggregate(const struct scope *scope)
{
    for (const struct scope *s = scope; s != NULL; s = s->parent) {
        if (s->aggs_allowed && s->in_agg == 0) {
            return true;
        }
    }
    return false;
}

db_err bind__aggregate(struct binder *b, struct scope *scope, const struct ast_aggregate *a,
                       struct bexpr **ret)
{
    if (a->over != NULL) {
        return bind__window(b, scope, a, ret);
    }
    if (scope == NULL || scope->in_agg > 0 || !may_aggregate(scope)) {
        return my_error(b->diag, ER_INVALID_GROUP_FUNC_USE);
    }
    struct outer_reads *before;
    uint32_t depth;
    const struct agg_def *def = agg_find(slice_str(bind__agg_name(a->func)));
    if (def == NULL) {
        return my_error(b->diag, ER_NOT_SUPPORTED_YET, bind__agg_name(a->func));
    }
    struct sql_type t = type_null();
    struct bexpr *e = bind__new(b, BEXPR_AGG, &t, a->star ? 0 : a->args.count);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    TRY(bind__outer_reads(b, scope, &before));
    scope->in_agg++;
    db_err err = ERR_OK;
    for (uint32_t i = 0; i < e->arg_count && err == ERR_OK; i++) {
        err = bind__expr(b, scope, a->args.items[i], &e->args[i]);
        if (err == ERR_OK && e->args[i]->kind == BEXPR_ROW) {
            err = my_error(b->diag, ER_OPERAND_COLUMNS, 1);
        }
    }
    if (err == ERR_OK) {
        err = agg_order(b, scope, a, e);
    }
    scope->in_agg--;
    TRY(err);
    struct scope *owner = bind__agg_owner(scope, e, before, &depth);
    if (!owner->aggs_allowed) {
        return my_error(b->diag, ER_INVALID_GROUP_FUNC_USE);
    }
    TRY(bind__agg_call(b, a, def, e));
    bind__inherit(e);
    e->has_agg = true;
    e->is_const = false;
    owner->has_agg = true;
    *ret = e;
    return owner == scope ? ERR_OK : bind__outer_agg(b, scope, owner, depth, e, ret);
}

/* Bytes of a value cast to BINARY. */
static uint64_t cast_bytes(const struct sql_type *t)
{
    bool text = type_is_string(t) || t->id == TYPE_ENUM || t->id == TYPE_SET;
    const struct collation *c = text ? collation_by_id(t->collation) : NULL;
    return func_text_chars(t) * (c == NULL ? 1 : c->cs->maxlen);
}

db_err bind__cast_binary(struct binder *b, struct bexpr *e, struct bexpr **ret)
{
    struct sql_type t = func_text_type(cast_bytes(&e->type), COLL_BINARY);
    t.flags |= TYPE_F_EXPR;
    TRY(bind__cast(b, e, &t, true, ret));
    (*ret)->type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    return ERR_OK;
}

db_err bind__cast_target(struct binder *b, const struct ast_type *type, const struct sql_type *from,
                         struct slice name, struct sql_type *ret)
{
    struct sql_type t;
    if (type->kind == AST_TYPE_SIGNED || type->kind == AST_TYPE_UNSIGNED) {
        t = type_int(TYPE_BIGINT, type->kind == AST_TYPE_UNSIGNED);
        t.length = 21;
    } else {
        /* a column of CHAR has at most 255 characters, a value may have any number */
        bool text = type->kind == AST_TYPE_CHAR || type->kind == AST_TYPE_BINARY;
        struct ast_type plain = *type;
        if (text && (type->flags & AST_TYPE_F_LENGTH) != 0 && type->length > UINT32_MAX) {
            return my_error(b->diag, ER_TOO_BIG_DISPLAYWIDTH,
                            type->kind == AST_TYPE_CHAR ? "cast as char" : "cast as binary",
                            (unsigned long)UINT32_MAX);
        }
        plain.flags &= text ? ~(uint32_t)AST_TYPE_F_LENGTH : UINT32_MAX;
        struct bind_opts opts = {.sql_mode = b->opts->sql_mode};
        db_err err =
            bind_type(b->arena, &plain, b->opts->connection_collation, &opts, name, b->diag, &t);
        if (err == ERR_SQL && b->diag != NULL && b->diag->number == ER_M_BIGGER_THAN_D) {
            return my_error(b->diag, ER_M_BIGGER_THAN_D, ""); /* MYSQL: of no column */
        }
        TRY(err);
        /* MYSQL: CAST(x AS CHAR(n)) cuts to n characters; without a length it is as long as it is.
         */
        if (text) {
            bool given = (type->flags & AST_TYPE_F_LENGTH) != 0;
            bool binary = type->kind == AST_TYPE_BINARY || t.collation == COLL_BINARY;
            if (given && binary) { /* CHAR(n) CHARACTER SET binary too */
                t = type_char(TYPE_BINARY, (uint32_t)type->length, COLL_BINARY);
                t.wire |= TYPE_W_VARYING;
            } else {
                uint64_t chars = given    ? type->length
                                 : binary ? cast_bytes(from)
                                          : func_text_chars(from);
                t = func_text_type(chars, binary ? COLL_BINARY : t.collation);
                bool real = from->id == TYPE_DOUBLE || from->id == TYPE_FLOAT;
                t.wire |= !given && real ? TYPE_W_WHOLE_TEXT : 0u;
            }
        }
    }
    if (t.id == TYPE_DOUBLE || t.id == TYPE_FLOAT) {
        t.length = 23;
        t.wire |= t.id == TYPE_FLOAT ? TYPE_W_COLUMN_REAL : 0u;
    }
    t.wire |= t.id == TYPE_DATETIME ? TYPE_W_ZERO_NULL : 0u;
    *ret = t;
    return ERR_OK;
}

static const char *no_element_name(const struct ast_type *t)
{
    switch ((int)t->kind) {
    case AST_TYPE_DOUBLE:
    case AST_TYPE_REAL: return "CAST-ing data to array of DOUBLE";
    case AST_TYPE_FLOAT: return "CAST-ing data to array of FLOAT";
    case AST_TYPE_YEAR: return "CAST-ing data to array of YEAR";
    case AST_TYPE_JSON: return "CAST-ing data to array of JSON";
    case AST_TYPE_SIGNED:
    case AST_TYPE_UNSIGNED:
    case AST_TYPE_DECIMAL:
    case AST_TYPE_DATE:
    case AST_TYPE_TIME:
    case AST_TYPE_DATETIME:
    case AST_TYPE_CHAR:
    case AST_TYPE_BINARY: return NULL;
    default: return "CAST-ing data to array of this type";
    }
}

/* MYSQL: values of text compare by their bytes, whatever the connection's collation. */
db_err bind__array_element(struct binder *b, const struct ast_type *type,
                           const struct sql_type *from, struct sql_type *ret)
{
    enum { TEXT_MAX = 512 };
    const char *refused = no_element_name(type);
    bool bytes =
        type->kind == AST_TYPE_BINARY || slice_eq_nocase(type->charset, SLICE_LIT("binary"));
    bool charset =
        type->charset.ptr != NULL || (type->flags & (AST_TYPE_F_NATIONAL | AST_TYPE_F_BINARY)) != 0;
    if (type->kind == AST_TYPE_CHAR && charset && !bytes) {
        refused = "specifying charset for multi-valued index";
    }
    bool text = type->kind == AST_TYPE_CHAR || type->kind == AST_TYPE_BINARY;
    bool limited = (type->flags & AST_TYPE_F_LENGTH) != 0 && type->length <= TEXT_MAX;
    if (refused == NULL && text && !limited) {
        refused = "CAST-ing data to array of char/binary BLOBs";
    }
    if (refused != NULL) {
        return my_error(b->diag, ER_NOT_SUPPORTED_YET, refused);
    }
    if (text) {
        const struct collation *c;
        TRY(collation_require(SLICE_LIT("utf8mb4_0900_bin"), b->diag, &c));
        *ret = bytes ? type_char(TYPE_VARBINARY, (uint32_t)type->length, COLL_BINARY)
                     : type_char(TYPE_VARCHAR, (uint32_t)type->length, c->id);
    } else {
        TRY(bind__cast_target(b, type, from, SLICE_LIT("CAST"), ret));
    }
    ret->flags &= (uint8_t) ~(TYPE_F_ZEROFILL | TYPE_F_NOT_NULL | TYPE_F_EXPR);
    return ERR_OK;
}

/* MYSQL: only TIMESTAMP values and literals, only UTC. */
static db_err at_time_zone(struct binder *b, const struct ast_cast *c, struct bexpr *e,
                           struct bexpr **ret)
{
    bool literal = c->arg->kind == AST_EXPR_LITERAL &&
                   ((const struct ast_literal *)c->arg)->kind == AST_LIT_TIMESTAMP;
    if (!literal && e->type.id != TYPE_TIMESTAMP) {
        return my_error(b->diag, ER_INVALID_CAST, "TIMESTAMP WITH TIME ZONE");
    }
    struct slice zone = ((const struct ast_literal *)c->time_zone)->text;
    if (!slice_eq(zone, SLICE_LIT("+00:00")) && !slice_eq_nocase(zone, SLICE_LIT("UTC"))) {
        return my_error(b->diag, ER_UNKNOWN_TIME_ZONE, arena_strdup(b->arena, zone));
    }
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, 1);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    args[0] = e;
    return bind__op(b, literal ? "op_local_at_utc" : "op_at_utc", args, 1, ret);
}

/* MYSQL: what is wrong with a DECIMAL is said of what is cast. */
static struct slice cast_name(const struct ast_cast *c)
{
    if (c->type->kind == AST_TYPE_DECIMAL && c->arg->kind == AST_EXPR_COLUMN) {
        return ((const struct ast_column *)c->arg)->name;
    }
    if (c->type->kind == AST_TYPE_DECIMAL && c->arg->kind == AST_EXPR_LITERAL) {
        return ((const struct ast_literal *)c->arg)->text;
    }
    return SLICE_LIT("CAST");
}

db_err bind__cast_expr(struct binder *b, struct scope *scope, const struct ast_cast *c,
                       struct bexpr **ret)
{
    if ((c->type->flags & AST_TYPE_F_ARRAY) != 0) {
        return my_error(b->diag, ER_NOT_SUPPORTED_YET,
                        "Use of CAST( .. AS .. ARRAY) outside of functional index in "
                        "CREATE(non-SELECT)/ALTER TABLE or in general expressions");
    }
    struct bexpr *e;
    TRY(bind__expr(b, scope, c->arg, &e));
    if (e->kind == BEXPR_ROW) {
        return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
    }
    TRY(bind__refuse_vector_cast(b, c->type, e));
    if (c->time_zone != NULL) {
        TRY(at_time_zone(b, c, e, &e));
    }
    struct sql_type t;
    if (c->type->kind == AST_TYPE_JSON) {
        struct bexpr **args = BIND_ARRAY(b, struct bexpr *, 1);
        if (args == NULL) {
            return ERR_NOMEM;
        }
        args[0] = e;
        return bind__op(b, "op_json_cast", args, 1, ret);
    }
    TRY(bind__cast_target(b, c->type, &e->type, cast_name(c), &t));
    t.flags = (uint8_t)((t.flags & ~TYPE_F_ZEROFILL) | TYPE_F_EXPR);
    if (type_is_temporal(&t)) {
        bind__note_moment(b, e, PARAM_DATETIME + PARAM_NUMBER_ASKED);
    }
    TRY(t.id == TYPE_YEAR ? bind__note_number(b, e, NUM_INT) : ERR_OK);
    TRY(type_is_integer(&t) ? bind__note_argument(b, e) : bind__note_stored(b, e, &t));
    TRY(bind__cast_asked(b, e, &t, BIND_ASKED_BY_CAST, ret));
    /* MYSQL: what CAST can refuse may be NULL, and so may strings in strict mode. */
    bool string = type_is_string(&t) && (b->opts->sql_mode & SQL_MODE_STRICT) == 0;
    if (!string && !type_is_integer(&t) && t.id != TYPE_DECIMAL && t.id != TYPE_DOUBLE &&
        t.id != TYPE_FLOAT) {
        (*ret)->type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    }
    return ERR_OK;
}

db_err bind__collate(struct binder *b, struct scope *scope, const struct ast_collate *c,
                     struct bexpr **ret)
{
    struct bexpr *e;
    TRY(bind__expr(b, scope, c->arg, &e));
    if (e->kind == BEXPR_ROW) {
        return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
    }
    bool is_using = c->expr.kind == AST_EXPR_CONVERT_USING;
    const struct collation *coll;
    if (is_using) {
        const struct charset *cs;
        TRY(charset_require(c->name, b->diag, &cs));
        coll = charset_default_collation(cs);
    } else {
        TRY(collation_require(c->name, b->diag, &coll));
    }
    bool text = type_is_string(&e->type) || e->type.id == TYPE_ENUM || e->type.id == TYPE_SET;
    /* what type a parameter has is not known yet, nor what is made of one that is NULL now */
    bool null = e->type.id == TYPE_NULL || e->coercibility == COERCIBILITY_NULL;
    bool later = (null && e->has_param) || e->kind == BEXPR_PARAM;
    bool variable = e->kind == BEXPR_USER_VAR; /* MYSQL: one that was never set is of any */
    if (!is_using && e->type.id == TYPE_NULL && !later && !variable && coll->id != COLL_BINARY) {
        return my_error(b->diag, ER_COLLATION_CHARSET_MISMATCH, coll->name, "binary");
    }
    bool known = !later || (e->type.collation != COLL_BINARY && e->type.id != TYPE_NULL);
    unsigned own = variable ? e->u.var.collation
                   : text   ? e->type.collation
                            : bind__arg(e).text_collation;
    if (!is_using && own != 0 && known) {
        const struct collation *from = collation_by_id(own);
        if (from->cs != coll->cs) {
            return my_error(b->diag, ER_COLLATION_CHARSET_MISMATCH, coll->name, from->cs->name);
        }
    }
    bool binary = coll->id == COLL_BINARY;
    if (!is_using || !binary) {
        TRY(bind__refuse_vector(b, is_using ? "convert" : "collate", e));
    }
    struct sql_type t =
        func_text_type(binary ? cast_bytes(&e->type) : func_text_chars(&e->type), coll->id);
    t.flags |= TYPE_F_EXPR;
    t.wire |= TYPE_W_WHOLE_TEXT; /* some functions give more than their types say */
    TRY(is_using ? bind__note_stored(b, e, &t) : ERR_OK);
    TRY(bind__cast(b, e, &t, true, ret));
    (*ret)->type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    (*ret)->coercibility = is_using ? 2 : 0;
    return ERR_OK;
}
