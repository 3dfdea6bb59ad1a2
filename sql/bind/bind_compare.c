/* Comparisons, IN and BETWEEN, of scalars and of rows. Row comparisons are spelled out over their
 * columns, as MySQL documents them; IN becomes one node that can hash its constants. */
#include "sql/bind/bind_int.h"

#include "sql/diag/my_error.h"
#include "sql/types/compare.h"

static const char *op_name(enum ast_op op)
{
    switch ((int)op) {
    case AST_OP_EQ: return "op_eq";
    case AST_OP_NULL_SAFE_EQ: return "op_nulleq";
    case AST_OP_NE: return "op_ne";
    case AST_OP_LT: return "op_lt";
    case AST_OP_LE: return "op_le";
    case AST_OP_GT: return "op_gt";
    default: return "op_ge";
    }
}

static uint32_t row_width(const struct bexpr *e)
{
    return e->kind == BEXPR_ROW ? e->arg_count : 1;
}

static db_err row_equal(struct binder *b, enum ast_op op, struct bexpr *x, struct bexpr *y,
                        struct bexpr **ret)
{
    uint32_t n = x->arg_count;
    struct bexpr **parts = BIND_ARRAY(b, struct bexpr *, n);
    if (parts == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(bind__comparison(b, op, x->args[i], y->args[i], &parts[i]));
    }
    return bind__logic(b, op == AST_OP_NE ? BEXPR_OR : BEXPR_AND, parts, n, ret);
}

/* (a, b) < (x, y)  is  a < x OR (a = x AND b < y). */
static db_err row_order(struct binder *b, enum ast_op op, struct bexpr *x, struct bexpr *y,
                        uint32_t from, struct bexpr **ret)
{
    if (x->args[from]->type.id == TYPE_VECTOR && y->args[from]->type.id == TYPE_VECTOR) {
        TRY(bind__vector_bytes(b, &x->args[from])); /* MYSQL: in rows they have an order */
        TRY(bind__vector_bytes(b, &y->args[from]));
    }
    if (from + 1 == x->arg_count) {
        return bind__comparison(b, op, x->args[from], y->args[from], ret);
    }
    enum ast_op strict = op == AST_OP_LE ? AST_OP_LT : op == AST_OP_GE ? AST_OP_GT : op;
    struct bexpr **either = BIND_ARRAY(b, struct bexpr *, 2);
    struct bexpr **both = BIND_ARRAY(b, struct bexpr *, 2);
    if (either == NULL || both == NULL) {
        return ERR_NOMEM;
    }
    TRY(bind__comparison(b, strict, x->args[from], y->args[from], &either[0]));
    TRY(bind__comparison(b, AST_OP_EQ, x->args[from], y->args[from], &both[0]));
    TRY(row_order(b, op, x, y, from + 1, &both[1]));
    TRY(bind__logic(b, BEXPR_AND, both, 2, &either[1]));
    return bind__logic(b, BEXPR_OR, either, 2, ret);
}

db_err bind__hold(struct binder *b, struct bexpr **io, struct bexpr **ret_held)
{
    enum { HELD_HEIGHT = 12 }; /* of copies of copies there would be too many */
    *ret_held = NULL;
    if ((!(*io)->is_volatile && (*io)->height < HELD_HEIGHT) || (*io)->kind == BEXPR_ROW) {
        return ERR_OK;
    }
    struct bexpr *e = bind__new(b, BEXPR_HELD, &(*io)->type, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->coercibility = (*io)->coercibility;
    e->position = (*io)->position;
    e->json_source = (*io)->json_source;
    e->is_volatile = (*io)->is_volatile;
    e->is_const = false;
    e->u.held = bind__new_col(b);
    *ret_held = *io;
    *io = e;
    return ERR_OK;
}

db_err bind__release(struct binder *b, struct bexpr *held, const struct bexpr *as,
                     struct bexpr **io)
{
    if (held == NULL) {
        return ERR_OK;
    }
    struct bexpr *e = bind__new(b, BEXPR_HOLD, &(*io)->type, 2);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->args[0] = held;
    e->args[1] = *io;
    e->coercibility = (*io)->coercibility;
    e->json_source = (*io)->json_source;
    e->u.held = as->u.held;
    bind__inherit(e);
    *io = e;
    return ERR_OK;
}

db_err bind__comparison(struct binder *b, enum ast_op op, struct bexpr *x, struct bexpr *y,
                        struct bexpr **ret)
{
    if (row_width(x) != row_width(y)) {
        return my_error(b->diag, ER_OPERAND_COLUMNS, (int)row_width(x));
    }
    if (x->kind != BEXPR_ROW) {
        struct bexpr *both[] = {x, y};
        /* MYSQL: ANY and ALL say nothing of a parameter */
        TRY(b->func.apart ? ERR_OK
                          : bind__note_compared(b, both, ARRAY_COUNT(both), BIND_COMPARED_PAIR));
        return bind__op2(b, op_name(op), x, y, ret);
    }
    if (op == AST_OP_EQ || op == AST_OP_NE || op == AST_OP_NULL_SAFE_EQ) {
        return row_equal(b, op, x, y, ret);
    }
    bool of_block = b->of_block;
    b->of_block = false;
    db_err err = row_order(b, op, x, y, 0, ret);
    b->of_block = of_block;
    return err;
}

/* A name of ENUM or SET that has met texts in one collation is its number beside a number. */
static struct bexpr *name_of_text(struct bexpr *x, const struct bexpr *y)
{
    if (x->kind != BEXPR_CAST || (x->type.wire & TYPE_W_REFUSE_LOSS) == 0 ||
        !(type_is_numeric(&y->type) || y->type.id == TYPE_YEAR)) {
        return x;
    }
    enum type_id id = x->args[0]->type.id;
    return id == TYPE_ENUM || id == TYPE_SET ? x->args[0] : x;
}

db_err bind__comparison_among(struct binder *b, enum ast_op op, struct bexpr *x, struct bexpr *y,
                              struct bexpr **ret)
{
    x = name_of_text(x, y);
    b->func.among = true;
    db_err err = bind__comparison(b, op, x, y, ret);
    b->func.among = false;
    return err;
}

static db_err negate(struct binder *b, bool negated, struct bexpr *e, struct bexpr **ret)
{
    if (!negated) {
        *ret = e;
        return ERR_OK;
    }
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, 1);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    args[0] = e;
    return bind__op(b, "op_not", args, 1, ret);
}

static bool is_given(const struct bexpr *e)
{
    return e->kind == BEXPR_CONST || e->kind == BEXPR_PARAM;
}

/* MYSQL: text between a date and anything is a date, beside both of them; between a number and
 * anything it is a number, as is a name of ENUM or SET. */
static db_err between_kinds(struct binder *b, struct bexpr **x, struct bexpr *low,
                            struct bexpr *high)
{
    bool names = (*x)->type.id == TYPE_ENUM || (*x)->type.id == TYPE_SET;
    if ((names || type_is_string(&(*x)->type)) &&
        (type_is_numeric(&low->type) || type_is_numeric(&high->type))) {
        struct sql_type number = type_double();
        return bind__cast_asked(b, *x, &number, BIND_ASKED_BY_COMPARISON, x);
    }
    struct sql_type t = type_temporal(TYPE_DATETIME, TIME_DECIMALS_MAX);
    if (!type_is_string(&(*x)->type) ||
        (!type_has_date(&low->type) && !type_has_date(&high->type))) {
        return ERR_OK;
    }
    t.wire |= TYPE_W_LOW_DATE | TYPE_W_NAME_DATE;
    t.wire |=
        (uint16_t)((*x)->placeholder && !(*x)->placed && !(*x)->own ? 0u : TYPE_W_NONE_IS_ZERO);
    return bind__cast(b, *x, &t, false, x);
}

static bool is_text(const struct bexpr *e)
{
    return type_is_string(&e->type) || e->type.id == TYPE_ENUM || e->type.id == TYPE_SET;
}

db_err bind__agree_texts(struct binder *b, const char *operation, bool numbers, struct bexpr **args,
                         uint32_t count)
{
    struct func_arg *fa = BIND_ARRAY(b, struct func_arg, count);
    const struct sql_type number_text = type_char(TYPE_VARCHAR, 0, COLL_LATIN1_SWEDISH_CI);
    uint16_t collation;
    uint8_t coercibility;
    uint32_t texts = 0;
    if (fa == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool null = args[i]->type.id == TYPE_NULL; /* MYSQL: CASE takes it for text */
        texts += is_text(args[i]) || (null && strcmp(operation, "case") == 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct sql_type *t = &args[i]->type;
        bool number = type_is_numeric(t) || t->id == TYPE_YEAR;
        bool time = type_is_temporal(t) && !number;
        bool beside = t->id == TYPE_NULL || (number && numbers && i != 0);
        if (!is_text(args[i]) && !time && !beside) {
            return ERR_OK;
        }
        fa[i] = bind__arg(args[i]);
        /* a text alone is compared as a number */
        fa[i].is_variable = fa[i].is_variable && texts != 1;
        fa[i].text_collation = texts > 1 ? fa[i].text_collation : 0;
        if (time) {
            fa[i].type = number_text;
            fa[i].coercibility = 5;
        }
    }
    TRY(func_agree_compared(&b->func, operation, fa, count, &collation, &coercibility));
    /* Two of them have nothing to disagree on any more. */
    uint8_t settled = coercibility == COERCIBILITY_MIX ? 2 : coercibility;
    for (uint32_t i = 0; i < count; i++) {
        struct sql_type t = args[i]->type;
        if (!is_text(args[i])) {
            continue;
        }
        if (t.collation != collation) {
            t = bind__text_in(&t, collation);
            t.wire |= (uint16_t)(TYPE_W_REFUSE_LOSS | (args[i]->placeholder ? TYPE_W_OF_PARAM : 0));
            TRY(bind__cast(b, args[i], &t, false, &args[i]));
            args[i]->coercibility = settled;
        } else if (args[i]->coercibility == COERCIBILITY_MIX) {
            struct bexpr *e = bexpr_clone(b->arena, args[i]);
            if (e == NULL) {
                return ERR_NOMEM;
            }
            e->coercibility = settled;
            args[i] = e;
        }
    }
    return ERR_OK;
}

/* MYSQL: bounds of a number or a time that are constant texts, both, must be text of latin1, in
 * which numbers are written; but of a BIGINT column they become integers. */
static db_err bounds_fit(struct binder *b, const struct bexpr *x, struct bexpr *low,
                         struct bexpr *high)
{
    const struct sql_type number_text = type_char(TYPE_VARCHAR, 0, COLL_LATIN1_SWEDISH_CI);
    bool number =
        (type_is_numeric(&x->type) && x->type.id != TYPE_BIT) || type_is_temporal(&x->type);
    bool column = x->kind == BEXPR_COLUMN || x->kind == BEXPR_OUTER;
    if (!number || (column && x->type.id == TYPE_BIGINT) || !is_given(low) || !is_given(high) ||
        type_is_numeric(&low->type) || type_is_numeric(&high->type)) {
        return ERR_OK;
    }
    TRY(type_is_string(&low->type) ? bind__must_fit(b, low, &number_text) : ERR_OK);
    return type_is_string(&high->type) ? bind__must_fit(b, high, &number_text) : ERR_OK;
}

/* Can computing it say anything, row by row? */
static bool may_tell(const struct bexpr *e)
{
    while (e->kind == BEXPR_CAST && !is_text(e->args[0]) && e->args[0]->type.id != TYPE_JSON) {
        e = e->args[0];
    }
    bool plain = e->kind == BEXPR_COLUMN || e->kind == BEXPR_OUTER || e->kind == BEXPR_CONST ||
                 e->kind == BEXPR_PARAM;
    return !plain && (bexpr_reads_columns(e) || e->is_volatile);
}

/* MYSQL: both bounds are computed. Where nobody can tell, the upper one is not when the lower one
 * has decided, and both are conditions of their own, which an index may know. */
static db_err within(struct binder *b, struct bexpr **parts, struct bexpr **ret)
{
    const struct bexpr *upper = parts[1];
    bool call = upper->kind == BEXPR_FUNC && upper->arg_count == 2;
    bool goes_on = call && upper->u.func->goes_on;
    if (!call || !may_tell(upper->args[1])) {
        return bind__logic(b, BEXPR_AND, parts, 2, ret);
    }
    TRY(bind__op(b, "op_both", parts, 2, ret));
    if ((*ret)->kind == BEXPR_FUNC) {
        (*ret)->u.func->goes_on = goes_on;
    }
    return ERR_OK;
}

/* MYSQL: times among texts are text, unless the first is a column and each text is known to be a
 * time. */
static db_err times_as_texts(struct binder *b, struct bexpr *const args[3], bool *ret)
{
    struct func_arg fa[3];
    for (uint32_t i = 0; i < ARRAY_COUNT(fa); i++) {
        fa[i] = bind__arg(args[i]);
        fa[i].is_subquery = args[i]->kind == BEXPR_SUBQUERY_SCALAR;
    }
    TRY(func_between_as_texts(&b->func, fa, ret));
    bind__take_by_text(b);
    return ERR_OK;
}

db_err bind__between(struct binder *b, struct scope *scope, const struct ast_between *e,
                     struct bexpr **ret)
{
    struct bexpr *args[3];
    TRY(bind__scalar_expr(b, scope, e->arg, &args[0]));
    TRY(bind__scalar_expr(b, scope, e->low, &args[1]));
    TRY(bind__scalar_expr(b, scope, e->high, &args[2]));
    for (uint32_t i = 0; i < ARRAY_COUNT(args); i++) {
        TRY(bind__refuse_vector(b, "between", args[i]));
    }
    TRY(bind__note_compared(b, args, ARRAY_COUNT(args), BIND_COMPARED_SPAN));
    TRY(bind__json_between(b, &args[0], &args[1], &args[2]));
    TRY(bounds_fit(b, args[0], args[1], args[2]));
    TRY(bind__agree_texts(b, "between", false, args, ARRAY_COUNT(args)));
    TRY(between_kinds(b, &args[0], args[1], args[2]));
    bool as_texts;
    TRY(times_as_texts(b, args, &as_texts));
    struct bexpr *x = args[0];
    struct bexpr *held;
    TRY(bind__hold(b, &x, &held));
    struct bexpr *low = args[1];
    struct bexpr *high = args[2];
    struct bexpr **parts = BIND_ARRAY(b, struct bexpr *, 2);
    struct bexpr *again = bexpr_clone(b->arena, x);
    if (parts == NULL || again == NULL) {
        return ERR_NOMEM;
    }
    b->func.between = true;
    b->func.as_texts = as_texts;
    db_err err = bind__comparison_among(b, AST_OP_GE, x, low, &parts[0]);
    if (err == ERR_OK) {
        err = bind__comparison_among(b, AST_OP_LE, again, high, &parts[1]);
    }
    b->func.between = b->func.as_texts = false;
    TRY(err);
    struct bexpr *both;
    TRY(within(b, parts, &both));
    TRY(negate(b, e->negated, both, ret));
    return bind__release(b, held, x, ret);
}

/* Can x IN (list) be one node: all compare with x in one and the same way. */
static bool uniform(struct bexpr *const *args, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (args[i]->kind == BEXPR_ROW) {
            return false;
        }
        const struct sql_type *a = &args[0]->type;
        const struct sql_type *t = &args[i]->type;
        bool null = t->id == TYPE_NULL;
        if (!null &&
            (type_phys(a) != type_phys(t) ||
             (type_is_string(a) && a->collation != t->collation && args[i]->coercibility < 4) ||
             (type_phys(a) == PHYS_TIME && a->id != t->id) || a->id == TYPE_JSON ||
             t->id == TYPE_JSON || (a->id >= TYPE_ENUM) || (t->id >= TYPE_ENUM) ||
             (type_phys(a) == PHYS_INT && type_is_unsigned(a) != type_is_unsigned(t)))) {
            return false;
        }
    }
    return true;
}

static bool is_table_column(const struct bexpr *e)
{
    return (e->kind == BEXPR_COLUMN || e->kind == BEXPR_OUTER) &&
           (e->type.flags & TYPE_F_EXPR) == 0;
}

/* MYSQL: a BIGINT that is no column, among constant texts, makes integers of all of them. */
static bool is_whole_among_texts(struct bexpr *const *args, uint32_t count)
{
    bool is = count > 2 && args[0]->type.id == TYPE_BIGINT && !is_table_column(args[0]);
    bool any = false;
    for (uint32_t i = 1; i < count && is; i++) {
        const struct bexpr *e = args[i];
        bool text = type_is_string(&e->type);
        any = any || text;
        is = (e->is_const || (e->kind == BEXPR_PARAM && !e->placeholder)) &&
             (text || e->type.id == TYPE_NULL);
    }
    return is && any;
}

/* Is it the text of a YEAR? Then it equals the year as a number, too. */
static bool is_year_text(const struct value *v)
{
    int64_t year = 0;
    bool digits = !v->is_null && v->phys == PHYS_STR && v->str.len == 4;
    for (size_t i = 0; i < 4 && digits; i++) {
        digits = v->str.ptr[i] >= '0' && v->str.ptr[i] <= '9';
        year = year * 10 + (v->str.ptr[i] - '0');
    }
    return digits && (year == 0 || (year > 1900 && year < 2156));
}

/* MYSQL: a YEAR among constant texts is text of four digits. Where all of them are such years it
 * stays a number, which an index knows. */
static db_err year_as_text(struct binder *b, struct bexpr **args, uint32_t count)
{
    bool years = true;
    if (count < 3 || args[0]->type.id != TYPE_YEAR) {
        return ERR_OK;
    }
    for (uint32_t i = 1; i < count; i++) {
        const struct bexpr *e = args[i];
        const struct value *v = e->kind == BEXPR_CONST ? &e->u.constant : e->lifted;
        if (e->type.id == TYPE_NULL) {
            continue;
        }
        if (!type_is_string(&e->type) || v == NULL) {
            return ERR_OK;
        }
        years = years && is_year_text(v);
        b->func.by_text = b->func.by_text || e->lifted != NULL;
    }
    bind__take_by_text(b);
    struct sql_type t = type_char(TYPE_VARCHAR, 4, b->opts->connection_collation);
    return years ? ERR_OK : bind__cast(b, args[0], &t, false, &args[0]);
}

/* Texts beside a date have a time of day, too. */
static db_err date_as_datetime(struct binder *b, struct bexpr **args, uint32_t count)
{
    struct sql_type t = type_temporal(TYPE_DATETIME, TIME_DECIMALS_MAX);
    bool text = false;
    for (uint32_t i = 1; i < count; i++) {
        text = text || type_is_string(&args[i]->type);
    }
    if (!text || args[0]->type.id != TYPE_DATE || count == 2) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (args[i]->type.id == TYPE_DATE) {
            TRY(bind__cast(b, args[i], &t, false, &args[i]));
        }
    }
    return ERR_OK;
}

/* A constant or parameter that can be taken as a value of x's type without changing the outcome of
 * =. */
static db_err fit_list(struct binder *b, struct bexpr **args, uint32_t count)
{
    bool date = args[0]->type.id == TYPE_DATE;
    TRY(date_as_datetime(b, args, count));
    TRY(year_as_text(b, args, count));
    const struct bexpr *x = args[0];
    if (is_whole_among_texts(args, count)) {
        struct sql_type t = type_int(TYPE_BIGINT, type_is_unsigned(&x->type));
        for (uint32_t i = 1; i < count; i++) {
            TRY(args[i]->type.id == TYPE_NULL ? ERR_OK
                                              : bind__cast(b, args[i], &t, false, &args[i]));
        }
        return ERR_OK;
    }
    for (uint32_t i = 1; i < count; i++) {
        struct bexpr *e = args[i];
        bool is_const = e->kind == BEXPR_CONST || (e->kind == BEXPR_PARAM && !e->own);
        bool to_time = type_is_temporal(&x->type) && type_is_string(&e->type) && is_const;
        bool to_unsigned = e->kind == BEXPR_CONST && type_is_integer(&x->type) &&
                           type_is_unsigned(&x->type) && type_is_integer(&e->type) &&
                           !e->u.constant.is_null && e->u.constant.i >= 0;
        if (to_time || to_unsigned) {
            struct sql_type t = x->type;
            if (to_unsigned) {
                t = type_int(TYPE_BIGINT, true);
            } else if (count > 2 && type_is_temporal(&t)) {
                t.decimals = TIME_DECIMALS_MAX;
                bool null = e->placeholder && type_has_date(&t) && !date;
                t.wire |= (null ? 0u : TYPE_W_LOW_DATE) | (date ? TYPE_W_NAME_DATE : 0u);
            } else if (count == 2) { /* as = takes it */
                continue;
            }
            TRY(bind__cast(b, e, &t, false, &args[i]));
        }
    }
    return ERR_OK;
}

/* MYSQL: beside dates a parameter is no constant: its value is not known when the list is looked
 * at, and the others stay numbers. */
static bool all_const(const struct bexpr *x, struct bexpr *const *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool later = args[i]->own || (args[i]->placeholder && type_has_date(&x->type));
        if (!args[i]->is_const && (args[i]->kind != BEXPR_PARAM || later)) {
            return false;
        }
    }
    return true;
}

static db_err numbers_as_moments(struct binder *b, struct bexpr **args, uint32_t count)
{
    struct func_arg column = bind__arg(args[0]);
    for (uint32_t i = 1; i < count; i++) {
        struct func_arg number = bind__arg(args[i]);
        if (func_moment_of_number(&b->func, &column, &number)) {
            TRY(bind__cast(b, args[i], &number.want, false, &args[i]));
        }
    }
    bind__take_by_text(b);
    return ERR_OK;
}

/* MYSQL: rows that are compared with several rows are so in the collations of the left side. */
static db_err rows_as_left(struct binder *b, const struct bexpr *x, struct bexpr *row)
{
    for (uint32_t i = 0; i < x->arg_count; i++) {
        const struct bexpr *l = x->args[i];
        struct sql_type t = row->args[i]->type;
        if (!type_is_string(&l->type) || !type_is_string(&t) || t.collation == l->type.collation ||
            collation_by_id(t.collation)->cs != collation_by_id(l->type.collation)->cs) {
            continue;
        }
        t.collation = l->type.collation;
        TRY(bind__cast(b, row->args[i], &t, false, &row->args[i]));
        row->args[i]->coercibility = l->coercibility;
    }
    return ERR_OK;
}

/* x IN (list) as x = a OR x = b ...; args: x and the n of the list. early: see list_early.c. */
static db_err in_parts(struct binder *b, struct bexpr **args, uint32_t n, bool negated, bool early,
                       struct bexpr **ret)
{
    struct bexpr **parts = BIND_ARRAY(b, struct bexpr *, n);
    struct bexpr *held = NULL;
    struct bexpr *x = args[0];
    if (parts == NULL) {
        return ERR_NOMEM;
    }
    TRY(n == 1 ? ERR_OK : bind__hold(b, &x, &held));
    for (uint32_t i = 0; i < n; i++) {
        struct bexpr *left = i == 0 ? x : bexpr_clone(b->arena, x);
        if (left == NULL) {
            return ERR_NOMEM;
        }
        TRY(n == 1 ? bind__comparison(b, AST_OP_EQ, left, args[i + 1], &parts[i])
                   : bind__comparison_among(b, AST_OP_EQ, left, args[i + 1], &parts[i]));
        TRY(early ? bind__list_part_early(b, parts[i]) : ERR_OK);
    }
    struct bexpr *any;
    TRY(bind__logic(b, BEXPR_OR, parts, n, &any));
    TRY(negate(b, negated, any, ret));
    return bind__release(b, held, x, ret);
}

/* MYSQL: with a JSON value in the list all of it is compared as JSON. */
static db_err as_documents(struct binder *b, struct bexpr **args, uint32_t count)
{
    bool any = false;
    for (uint32_t i = 1; i < count && count > 2; i++) {
        any = any || args[i]->type.id == TYPE_JSON;
    }
    if (!any || args[0]->kind == BEXPR_ROW || args[0]->type.id == TYPE_JSON) {
        return ERR_OK;
    }
    struct sql_type json = compare_type(COMPARE_JSON, &args[0]->type);
    return bind__cast_asked(b, args[0], &json, BIND_ASKED_BY_COMPARISON, &args[0]);
}

db_err bind__in(struct binder *b, struct scope *scope, const struct ast_in *in, struct bexpr **ret)
{
    struct bexpr *x;
    TRY(bind__expr(b, scope, in->arg, &x));
    if (in->query != NULL) {
        return bind__in_subquery(b, scope, x, in->query, false, in->negated, ret);
    }
    uint32_t n = in->list.count;
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, n + 1);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    args[0] = x;
    for (uint32_t i = 0; i < n; i++) {
        TRY(bind__expr(b, scope, in->list.items[i], &args[i + 1]));
        if (row_width(args[i + 1]) != row_width(x)) {
            return my_error(b->diag, ER_OPERAND_COLUMNS, (int)row_width(x));
        }
    }
    TRY(bind__note_compared(b, args, n + 1, n == 1 ? BIND_COMPARED_PAIR : BIND_COMPARED_LIST));
    TRY(as_documents(b, args, n + 1));
    x = args[0];
    bool by_value = x->kind == BEXPR_ROW || !all_const(x, args + 1, n);
    bool early = bind__list_is_early(b, args, n + 1);
    if (!by_value && n > 1) {
        TRY(numbers_as_moments(b, args, n + 1));
    }
    TRY(fit_list(b, args, n + 1));
    if (n > 1) {
        TRY(bind__agree_texts(b, " IN ", true, args, n + 1));
    }
    for (uint32_t i = 1; i <= n && n > 1 && x->kind == BEXPR_ROW; i++) {
        TRY(rows_as_left(b, x, args[i]));
    }
    if (x->kind == BEXPR_ROW || n == 1 || !uniform(args, n + 1)) {
        b->func.by_value = by_value;
        b->func.ahead = early;
        db_err err = in_parts(b, args, n, in->negated, early, ret);
        b->func.by_value = false;
        b->func.ahead = false;
        return err;
    }
    struct func_arg *fa = BIND_ARRAY(b, struct func_arg, n + 1);
    if (fa == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i <= n; i++) {
        TRY(early && i != 0 ? bind__list_member_early(b, &args[i]) : ERR_OK);
        fa[i] = bind__arg(args[i]);
        if (type_is_numeric(&x->type)) { /* they are compared as numbers */
            fa[i].is_variable = false;
            fa[i].text_collation = 0;
        }
    }
    uint16_t collation;
    uint8_t coercibility;
    TRY(func_agree_compared(&b->func, " IN ", fa, n + 1, &collation, &coercibility));
    struct sql_type t = type_int(TYPE_BIGINT, false);
    t.length = 1;
    t.flags |= TYPE_F_BOOL | TYPE_F_EXPR;
    bool not_null = true;
    for (uint32_t i = 0; i <= n; i++) {
        not_null = not_null && (args[i]->type.flags & TYPE_F_NOT_NULL) != 0;
    }
    t.flags |= (uint8_t)(not_null ? TYPE_F_NOT_NULL : 0);
    struct bexpr *e = bind__new(b, BEXPR_IN_LIST, &t, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->args = args;
    e->arg_count = n + 1;
    e->type.collation = collation; /* for the comparison */
    e->u.negated = in->negated;
    bind__inherit(e);
    *ret = e;
    return ERR_OK;
}
