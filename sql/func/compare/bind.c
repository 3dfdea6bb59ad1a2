/* How the operands of a comparison meet.
 *
 * compare_kind() says by what rule two types compare; each side that is of another physical kind is
 * cast. A constant beside an integer column becomes an integer where that changes nothing ("id =
 * '5'", "id = 5.0"): the column then stays bare, so that an index can serve the comparison. Of a
 * column, text that says a whole number is that number to the last digit (MYSQL: a constant is made
 * of the column's type), where as doubles it would equal its neighbours; if the text comes with the
 * execution, it is looked at there (compare.c). */
#include "sql/func/families.h"

#include <math.h>

#include "sql/func/compare/compare_int.h"
#include "sql/types/compare.h"
#include "sql/types/json.h"

static bool int_column(const struct func_arg *arg)
{
    return arg->constant == NULL && (type_is_integer(&arg->type) || arg->type.id == TYPE_YEAR);
}

/* Does this constant equal an integer exactly? */
static bool whole_constant(const struct func_arg *arg)
{
    const struct value *v = arg->constant;
    if (v == NULL || v->is_null) {
        return false;
    }
    double d;
    if (v->phys == PHYS_STR) {
        size_t used;
        bool overflow;
        if (v->collation == COLL_BINARY) {
            return false;
        }
        d = text_to_double(v->str, &used, &overflow);
        if (overflow || used == 0 || used != v->str.len) {
            return false;
        }
    } else if (v->phys == PHYS_DECIMAL) {
        d = decimal_to_double(&v->dec);
        struct decimal whole;
        if (decimal_round(&v->dec, 0, DECIMAL_TRUNCATE, &whole) != DECIMAL_OK ||
            decimal_cmp(&whole, &v->dec) != 0) {
            return false;
        }
    } else if (v->phys == PHYS_DOUBLE) {
        d = v->d;
    } else {
        return false;
    }
    const double exact = 9007199254740992.0; /* 2^53: integers below it are exact doubles */
    return fabs(d) < exact && d == trunc(d);
}

static void want_like(struct func_arg *arg, struct sql_type t)
{
    if (arg->type.id != t.id || (t.id == TYPE_DECIMAL && arg->type.id != TYPE_DECIMAL)) {
        func__want(arg, t);
    }
}

/* Text that is the same for all rows, in letters that the parsers of numbers read. */
static bool readable_text(const struct func_arg *arg)
{
    return arg->is_given && type_is_string(&arg->type) && arg->type.collation != COLL_BINARY &&
           func__charset(&arg->type)->ascii_superset;
}

/* Beside a column: text that is known to be a whole number, as one. */
static bool whole_text(const struct func_arg *column, struct func_arg *text)
{
    struct value whole;
    if (!column->is_column || !int_column(column) || !readable_text(text) ||
        text->constant == NULL || text->constant->is_null || text->constant->phys != PHYS_STR ||
        !text_whole_number(text->constant->str, &whole)) {
        return false;
    }
    func__want(text, type_int(TYPE_BIGINT, whole.is_unsigned));
    return true;
}

/* Beside a column: text that may turn out to be a whole number. */
static bool later_text(const struct func_bind_ctx *ctx, const struct func_arg *column,
                       const struct func_arg *text)
{
    return !ctx->apart && type_is_integer(&column->type) && column->constant == NULL &&
           readable_text(text) && (ctx->again || (column->is_column && text->constant == NULL));
}

/* MYSQL: y = 24 and y > 23.6 are y = 2024 and y > 2024, of a column, also in BETWEEN, but not among
 * the values of IN and CASE; nor of a parameter, unless it is the year's equal. */
static bool short_year(const struct func_bind_ctx *ctx, bool equal, const struct func_arg *a,
                       struct func_arg *b)
{
    bool number = type_is_numeric(&b->type) || type_is_string(&b->type);
    bool column = a->is_column && (a->type.flags & TYPE_F_EXPR) == 0;
    bool meets = (!ctx->among || ctx->between) && (!b->is_placeholder || equal);
    if (a->type.id != TYPE_YEAR || !column || !b->is_const || !number || !meets) {
        return false;
    }
    bool large = type_is_integer(&b->type) && type_is_unsigned(&b->type);
    func__want(b, type_int(TYPE_BIGINT, large));
    b->want.wire = TYPE_W_SHORT_YEAR;
    return true;
}

/* MYSQL: beside a YEAR column a moment that is known is its year. */
static bool year_of_moment(const struct func_arg *column, struct func_arg *moment)
{
    bool bare = column->is_column && (column->type.flags & TYPE_F_EXPR) == 0;
    const struct value *v = moment->constant;
    if (column->type.id != TYPE_YEAR || !bare || !type_is_temporal(&moment->type) ||
        (v == NULL ? !moment->is_placeholder : v->is_null)) {
        return false;
    }
    func__want(moment, type_int(TYPE_BIGINT, false));
    moment->want.wire = TYPE_W_SHORT_YEAR;
    return true;
}

/* MYSQL: a year beside other dates begins with a day before its first one. */
static bool year_beside_date(struct func_arg *year, const struct func_arg *date)
{
    if (year->type.id != TYPE_YEAR || !type_has_date(&date->type)) {
        return false;
    }
    func__want(year, type_temporal(TYPE_DATETIME, TIME_DECIMALS_MAX));
    year->want.wire = TYPE_W_SHORT_YEAR;
    return true;
}

/* MYSQL: a DECIMAL that is no constant, beside constant text: no digit of it is lost, as it would
 * be where both are doubles. Not so among the values of CASE. */
static bool exact_text(const struct func_bind_ctx *ctx, const struct func_arg *number,
                       const struct func_arg *text)
{
    return number->type.id == TYPE_DECIMAL && !number->is_const && text->is_const &&
           type_is_string(&text->type) && !ctx->among;
}

/* A variable's number beside a column of dates or times. MYSQL: it is looked for by a key, to its
 * last digit. */
static bool by_key(const struct func_arg *column, const struct func_arg *number)
{
    bool exact = type_is_integer(&number->type) || number->type.id == TYPE_DECIMAL;
    return column->is_column && type_is_temporal(&column->type) && number->is_given &&
           !number->is_const && exact;
}

/* listed: one of the values of IN or CASE. *ret_text_arg: struct compare_plan's. */
static enum compare_kind choose(struct func_bind_ctx *ctx, struct func_arg *a, struct func_arg *b,
                                bool listed, bool equal, uint8_t *ret_text_arg)
{
    *ret_text_arg = 0;
    if (short_year(ctx, equal, a, b) || (!ctx->among && short_year(ctx, equal, b, a))) {
        return COMPARE_INT;
    }
    if (!listed && (year_of_moment(a, b) || year_of_moment(b, a))) {
        return COMPARE_INT;
    }
    if (!ctx->among && (year_beside_date(a, b) || year_beside_date(b, a))) {
        return COMPARE_DATETIME;
    }
    if (int_column(a) && !later_text(ctx, a, b) && whole_constant(b)) {
        func__want(b, type_int(TYPE_BIGINT, false));
        return COMPARE_INT;
    }
    if (int_column(b) && !later_text(ctx, b, a) && whole_constant(a)) {
        func__want(a, type_int(TYPE_BIGINT, false));
        return COMPARE_INT;
    }
    if (whole_text(a, b) || whole_text(b, a)) {
        return COMPARE_INT;
    }
    if (later_text(ctx, a, b) || later_text(ctx, b, a)) {
        *ret_text_arg = type_is_string(&a->type) ? 1 : 2;
        return COMPARE_INT;
    }
    /* Among others it is the first that may be a column. */
    const struct func_arg *moment = func_moment_of_number(ctx, a, b)                  ? a
                                    : !ctx->among && func_moment_of_number(ctx, b, a) ? b
                                                                                      : NULL;
    if (moment != NULL) {
        return moment->type.id == TYPE_TIME ? COMPARE_TIME : COMPARE_DATETIME;
    }
    bool exact = exact_text(ctx, a, b) || exact_text(ctx, b, a) || by_key(a, b) || by_key(b, a);
    return exact ? COMPARE_DECIMAL : compare_kind(&a->type, &b->type);
}

/* Of text: every digit. The type is as if it had those of the other, and if there is room one more
 * before the point, and all that there may be behind it. */
static void want_decimal(struct func_arg *arg, const struct func_arg *other)
{
    func__want_decimal(arg);
    if (type_is_string(&arg->type) && other->type.id == TYPE_DECIMAL) {
        unsigned whole = other->type.length - other->type.decimals + 1;
        unsigned room = whole < DECIMAL_PRECISION_MAX ? DECIMAL_PRECISION_MAX - whole : 0;
        unsigned scale = room < DECIMAL_SCALE_MAX ? room : DECIMAL_SCALE_MAX;
        scale = scale < other->type.decimals ? other->type.decimals : scale;
        arg->want = type_decimal(DECIMAL_PRECISION_MAX, scale, false);
        arg->want.wire |= TYPE_W_WHOLE_DECIMAL;
    }
}

static void want_kind(struct func_bind_ctx *ctx, struct func_arg *args, enum compare_kind kind,
                      bool near)
{
    bool same_stamp = args[0].type.id == TYPE_TIMESTAMP && args[1].type.id == TYPE_TIMESTAMP;
    for (int i = 0; i < 2; i++) {
        struct func_arg *a = &args[i];
        switch (kind) {
        case COMPARE_DATETIME:
            if (a->type.id != TYPE_DATE && a->type.id != TYPE_DATETIME && !same_stamp &&
                !(a->want_cast && type_has_date(&a->want))) {
                func__want(a, compare_type(kind, &a->type));
                /* the zero TIMESTAMP is a date, whatever sql_mode says */
                a->want.wire |= a->type.id == TYPE_TIMESTAMP ? TYPE_W_LENIENT_DATE : 0u;
            }
            break;
        case COMPARE_TIME:
        case COMPARE_DOUBLE:
            if ((kind == COMPARE_DOUBLE && a->type.id == TYPE_FLOAT) ||
                (kind == COMPARE_TIME && a->want_cast && a->want.id == TYPE_TIME)) {
                break;
            }
            want_like(a, compare_type(kind, &a->type));
            if (kind == COMPARE_DOUBLE && near) { /* what it is near to goes by the decimals */
                a->want.decimals = a->decimals;
            }
            break;
        case COMPARE_DECIMAL: want_decimal(a, &args[1 - i]); break;
        case COMPARE_STRING:
            if (a->type.id != TYPE_GEOMETRY && a->type.id != TYPE_VECTOR) {
                func__want_text(ctx, a);
            }
            break;
        case COMPARE_JSON:
            if (a->type.id != TYPE_JSON) {
                func__want(a, compare_type(kind, &a->type));
            }
            break;
        case COMPARE_INT:
        case COMPARE_NULL: break;
        }
    }
}

static db_err make_plan(struct func_bind_ctx *ctx, struct func_call *call, struct func_arg *args,
                        enum compare_kind kind, const char *sign, uint8_t text_arg,
                        double tolerance)
{
    struct compare_plan *p = ARENA_NEW(ctx->arena, struct compare_plan);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    p->kind = kind;
    p->text_arg = text_arg;
    p->tolerance = tolerance;
    p->warns = ctx->among;
    if (text_arg != 0) {
        struct func_arg *text = &args[text_arg - 1];
        text->reads_number = (!ctx->among || ctx->ahead) && text->is_const;
        p->warns = !text->reads_number; /* MYSQL: of a variable when a row meets it */
    }
    if (kind == COMPARE_JSON) {
        p->collation = &json_collation;
        bool texts = args[0].type.id == TYPE_JSON ? func__is_text(&args[1].type)
                                                  : func__is_text(&args[0].type);
        TRY(texts && !ctx->among ? func__may_meet(ctx, sign, args, 2) : ERR_OK);
    }
    if (kind == COMPARE_STRING) {
        uint16_t collation;
        uint8_t coercibility;
        TRY(func_agree_collation(ctx, sign, args, 2, &collation, &coercibility));
        if (args[0].type.id == TYPE_VECTOR || args[1].type.id == TYPE_VECTOR) {
            collation = COLL_BINARY;
        }
        call->collation = collation;
        TRY(collation_require_id(collation, ctx->diag, &p->collation));
        p->bytewise = collation_is_bytewise(p->collation);
    }
    call->data = p;
    return ERR_OK;
}

static double tolerance_of(const struct func_arg *args)
{
    struct sql_type a = args[0].type;
    struct sql_type b = args[1].type;
    a.decimals = args[0].decimals;
    b.decimals = args[1].decimals;
    return compare_tolerance(&a, &b);
}

db_err compare_bind(BIND_ARGS)
{
    static const char *const signs[] = {"=", "<>", "<", "<=", ">", ">="};
    const char *sign = ctx->operation != NULL                       ? ctx->operation
                       : (call->def->flags & FUNC_NULL_IF_ANY) == 0 ? "<=>"
                                                                    : signs[call->variant];
    uint8_t text_arg;
    bool listed = ctx->among && call->variant == 0;
    bool equal = (call->variant & COMPARE_OP_MASK) == COMPARE_EQ && !ctx->among;
    enum compare_kind kind = choose(ctx, &args[0], &args[1], listed, equal, &text_arg);
    bool as_text = ctx->as_texts;
    /* MYSQL: a constant is made of the type of the column that it is compared with. */
    for (int i = 0; i < 2; i++) {
        if (args[i].is_column && args[i].type.id == TYPE_TIME && args[1 - i].constant != NULL &&
            type_has_date(&args[1 - i].type) && !ctx->among) {
            func__want(&args[1 - i], type_temporal(TYPE_TIME, args[i].type.decimals));
            kind = COMPARE_TIME;
        }
    }
    for (int i = 0; i < 2 && (!ctx->among || ctx->between) && !ctx->as_texts; i++) {
        TRY(compare__tell_of_number(ctx, &args[i], &args[1 - i]));
        if (ctx->among) {
            if (kind == COMPARE_TIME) {
                TRY(compare__time_bound(ctx, &args[i], &args[1 - i]));
            }
            continue;
        }
        if (kind == COMPARE_TIME) {
            TRY(compare__time_text(ctx, &args[i], &args[1 - i], &as_text));
        } else if (kind == COMPARE_DATETIME) {
            TRY(compare__date_text(ctx, &args[i], &args[1 - i]));
        }
    }
    kind = as_text ? COMPARE_STRING : kind;
    double tolerance = kind == COMPARE_DOUBLE && !ctx->among ? tolerance_of(args) : 0;
    want_kind(ctx, args, kind, tolerance != 0);
    if (kind == COMPARE_DATETIME) {
        bool null_safe = (call->def->flags & FUNC_NULL_IF_ANY) == 0;
        bool lowest = null_safe || (listed && args[0].type.id == TYPE_DATE);
        compare__lowest_if_none(&args[0], &args[1], lowest);
        compare__lowest_if_none(&args[1], &args[0], null_safe);
    } else if (kind == COMPARE_TIME && ctx->among) {
        args[0].want.wire |= TYPE_W_LOW_DATE;
        args[1].want.wire |= TYPE_W_LOW_DATE;
    } else if (kind == COMPARE_TIME && (call->def->flags & FUNC_NULL_IF_ANY) == 0) {
        for (int i = 0; i < 2; i++) { /* what is no time equals no NULL */
            args[i].want.wire |= args[i].is_placeholder ? TYPE_W_LOW_DATE : 0u;
        }
    }
    if (kind == COMPARE_DATETIME) {
        compare__name_text(&args[0], &args[1]);
        compare__name_text(&args[1], &args[0]);
    }
    if (kind == COMPARE_DATETIME && !ctx->among) {
        compare__refuse_later(&args[0], &args[1]);
        compare__refuse_later(&args[1], &args[0]);
    }
    /* MYSQL: CASE compares its values, and BETWEEN integers, without a look at errors. */
    call->among = ctx->among;
    call->goes_on = ctx->among && (!ctx->between || kind == COMPARE_INT);
    TRY(make_plan(ctx, call, args, kind, sign, text_arg, tolerance));
    call->variant |= tolerance != 0 ? COMPARE_NEAR : 0;
    if ((call->def->flags & FUNC_NULL_IF_ANY) == 0) {
        func__result_not_null(call, func__bool());
    } else {
        func__result(call, args, func__bool());
        bool given = args[0].is_placeholder || args[1].is_placeholder;
        if (kind == COMPARE_TIME || (kind == COMPARE_DATETIME && given)) {
            /* text that is no time, and a parameter that is no date, is NULL */
            call->type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
        }
    }
    return ERR_OK;
}

db_err compare_bind_is_null(BIND_ARGS)
{
    (void)ctx;
    (void)args;
    func__result_not_null(call, func__bool());
    return ERR_OK;
}

void func__want_truth(struct func_arg *arg)
{
    if (arg->type.id == TYPE_JSON) {
        return; /* compares with JSON's 0 */
    }
    if (func__number(&arg->type) == NUM_DOUBLE) {
        func__want_double(arg);
    } else if (type_is_temporal(&arg->type)) {
        func__want_decimal(arg);
    }
}

db_err compare_bind_truth(BIND_ARGS)
{
    (void)ctx;
    func__want_truth(&args[0]);
    func__result_not_null(call, func__bool());
    return ERR_OK;
}

db_err compare_bind_logic(BIND_ARGS)
{
    (void)ctx;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        func__want_truth(&args[i]);
    }
    func__result(call, args, func__bool());
    return ERR_OK;
}

db_err compare_bind_strcmp(BIND_ARGS)
{
    for (uint32_t i = 0; i < 2; i++) { /* MYSQL: only texts meet */
        args[i].is_variable = false;
        args[i].text_collation = 0;
        TRY(compare__date_text(ctx, &args[i], &args[1 - i]));
    }
    func__want_texts(ctx, args, 2);
    TRY(make_plan(ctx, call, args, COMPARE_STRING, "strcmp", 0, 0));
    func__result(call, args, func__bigint(2));
    call->type.flags |= TYPE_F_BOOL; /* MYSQL: true or false in JSON */
    return ERR_OK;
}

db_err compare_bind_extreme(BIND_ARGS)
{
    struct sql_type t;
    uint8_t coercibility;
    bool temporal = false;
    bool text = false;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        temporal = temporal || type_has_date(&args[i].type);
        text = text || func__is_text(&args[i].type) || type_is_numeric(&args[i].type);
    }
    TRY(func_agree_type(ctx, call->def->name, args, call->arg_count, &t, &coercibility));
    if (t.id == TYPE_VECTOR) {
        return my_error(ctx->diag, ER_WRONG_ARGUMENTS, call->def->name);
    }
    if (t.id == TYPE_JSON) { /* MYSQL: they compare as text */
        func__want_texts(ctx, args, call->arg_count);
        t = type_char(TYPE_VARCHAR, UINT32_MAX / 4, COLL_UTF8MB4_BIN);
        coercibility = 2;
    }
    for (uint32_t i = 0; i < call->arg_count && t.id == TYPE_DECIMAL; i++) {
        args[i].want_cast |= args[i].is_placeholder; /* its value has the decimals of its own */
        args[i].want = args[i].is_placeholder ? t : args[i].want;
        args[i].want.wire |= TYPE_W_OWN_SCALE;
    }
    func__result(call, args, t);
    call->coercibility = coercibility;
    call->collation = t.collation;
    struct compare_plan *p = ARENA_NEW(ctx->arena, struct compare_plan);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    p->kind = type_is_string(&t) ? COMPARE_STRING : COMPARE_INT;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        p->json = p->json || args[i].type.id == TYPE_JSON;
    }
    if (p->kind == COMPARE_STRING) {
        TRY(collation_require_id(t.collation, ctx->diag, &p->collation));
        /* MYSQL: a date among texts and numbers makes all compare as dates; the winner is given as
         * text. */
        p->kind = temporal && text ? COMPARE_DATETIME : COMPARE_STRING;
        p->date_only = true;
        for (uint32_t i = 0; i < call->arg_count; i++) {
            unsigned decimals = temporal__decimals(&args[i]);
            bool date = args[i].type.id == TYPE_DATE || !type_is_temporal(&args[i].type);
            p->date_only = p->date_only && date;
            p->decimals = (uint8_t)(decimals > p->decimals ? decimals : p->decimals);
        }
    }
    call->data = p;
    return ERR_OK;
}

db_err compare_bind_interval(BIND_ARGS)
{
    (void)ctx;
    bool exact = true;
    uint32_t chars = 2; /* MYSQL: always; but its text is longer then */
    for (uint32_t n = call->arg_count; n > 100; n /= 10) {
        chars++;
    }
    for (uint32_t i = 0; i < call->arg_count; i++) {
        exact = exact && func__number(&args[i].type) == NUM_INT;
    }
    for (uint32_t i = 0; i < call->arg_count; i++) {
        if (exact) {
            func__want_int(&args[i]);
        } else {
            func__want_double(&args[i]);
        }
    }
    call->variant = exact ? NUM_INT : NUM_DOUBLE;
    call->needs = compare_interval_needs;
    func__result_not_null(call, func__bigint(chars));
    return ERR_OK;
}
