/* Dates plus intervals, times plus times, and differences.
 *
 * The result of date +/- INTERVAL has the date's type, DATETIME when the unit is finer than a DATE
 * (or coarser than a TIME), and is text when the date is not a temporal value. */
#include "sql/func/families.h"

#include <stdio.h>

enum { TEXT_CHARS = 29 };

struct add_plan {
    enum interval_unit unit;
    uint8_t date; /* argument numbers */
    uint8_t amount;
    bool subtract;
    bool fraction; /* seconds that are no whole number */
};

static bool unit_of_time(enum interval_unit unit)
{
    switch ((int)unit) {
    case INTERVAL_HOUR:
    case INTERVAL_MINUTE:
    case INTERVAL_SECOND:
    case INTERVAL_MICROSECOND:
    case INTERVAL_HOUR_MINUTE:
    case INTERVAL_HOUR_SECOND:
    case INTERVAL_MINUTE_SECOND:
    case INTERVAL_HOUR_MICROSECOND:
    case INTERVAL_MINUTE_MICROSECOND:
    case INTERVAL_SECOND_MICROSECOND: return true;
    default: return false;
    }
}

static db_err make_plan(struct func_bind_ctx *ctx, struct func_call *call, struct func_arg *args,
                        struct add_plan *p)
{
    p->unit = INTERVAL_DAY;
    p->amount = 1;
    switch (call->variant) {
    case TEMPORAL_STAMP_ADD: p->date = 2; return temporal__unit_arg(ctx, &args[0], &p->unit);
    case TEMPORAL_ADD_DAYS:
    case TEMPORAL_SUB_DAYS: p->subtract = call->variant == TEMPORAL_SUB_DAYS; return ERR_OK;
    default:
        p->subtract = call->variant == TEMPORAL_SUB_OP;
        return temporal__unit_arg(ctx, &args[2], &p->unit);
    }
}

/* A whole number where the unit has one part, a DECIMAL of seconds that may have a fraction, text
 * where the unit has several parts. */
static void want_amount(struct func_bind_ctx *ctx, struct func_arg *arg, struct add_plan *p)
{
    const struct sql_type *t = &arg->type;
    bool told = t->id == TYPE_DECIMAL || type_is_temporal(t); /* whether there is a fraction */
    p->fraction = p->unit == INTERVAL_SECOND && func__number(t) != NUM_INT && t->id != TYPE_NULL &&
                  !(told && t->decimals == 0);
    if (p->unit >= INTERVAL_YEAR_MONTH) {
        temporal__want_ascii(ctx, arg);
    } else if (p->fraction) {
        temporal__want_seconds(arg);
    } else {
        func__want_int(arg);
    }
}

static unsigned result_decimals(const struct func_arg *date, const struct func_arg *amount,
                                enum interval_unit unit)
{
    unsigned d = date->type.decimals;
    unsigned more = interval_has_micro(unit)  ? TIME_DECIMALS_MAX
                    : unit != INTERVAL_SECOND ? 0
                                              : temporal__seconds_decimals(amount);
    return more > d ? more : d;
}

static bool is_added(struct eval_ctx *ctx, const struct func_call *call, struct vector *const *args,
                     uint32_t k, uint32_t row);

db_err temporal_bind_add(BIND_ARGS)
{
    struct add_plan *p = ARENA_NEW(ctx->arena, struct add_plan);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    TRY(make_plan(ctx, call, args, p));
    struct func_arg *date = &args[p->date];
    struct func_arg *amount = &args[p->amount];
    call->data = p;
    call->needs = is_added;
    call->takes_null = true;
    want_amount(ctx, amount, p);
    bool year = temporal__is_year(&date->type);
    if (!type_is_temporal(&date->type)) {
        if (year) {
            func__want_datetime(date);
        } else if (!temporal__is_number(&date->type)) {
            temporal__want_ascii(ctx, date);
            date->asks_moment = true;
        }
        func__result_ascii(ctx, call, TEXT_CHARS);
        call->type.id = TYPE_CHAR;
        return ERR_OK;
    }
    unsigned decimals = result_decimals(date, amount, p->unit);
    enum type_id id = TYPE_DATETIME;
    if (date->type.id == TYPE_DATE && !interval_has_time(p->unit)) {
        id = TYPE_DATE;
        decimals = 0;
    } else if (date->type.id == TYPE_TIME && unit_of_time(p->unit)) {
        id = TYPE_TIME;
    } else {
        func__want_datetime(date);
    }
    func__result_null(call, type_temporal(id, decimals));
    return ERR_OK;
}

static bool real_date(int64_t v, struct time_parts *p)
{
    datetime_unpack(v, p);
    return date_is_real(p);
}

static void overflow(struct eval_ctx *ctx, struct vector *out, uint32_t row)
{
    cast_warn(ctx->cast, CAST_WARNING, 1441, "datetime");
    vec_set_null(out, row);
}

/* The sum as text: a date when both operands are dates, with microseconds when there are any. */
static db_err set_text(struct eval_ctx *ctx, struct vector *out, uint32_t row, int64_t v,
                       bool date_only)
{
    char text[TEMPORAL_TEXT_MAX];
    unsigned len = date_only
                       ? date_to_text(v, text)
                       : datetime_to_text(v, (v & 0xfffff) != 0 ? TIME_DECIMALS_MAX : 0, text);
    return func__set_ascii(ctx, out, row, slice_of(text, len));
}

/* A moment that something is added to. */
struct moment {
    int64_t v;
    bool known;
    bool date_only;
};

static db_err moment_of_text(struct eval_ctx *ctx, struct slice text, struct moment *ret)
{
    int32_t offset;
    struct temporal_note note = {0};
    unsigned cond = datetime_parse(text, TIME_DECIMALS_MAX, temporal_flags(ctx->cast->sql_mode),
                                   &ret->v, &offset, &note);
    if ((cond & (TEMPORAL_INVALID | TEMPORAL_TRUNCATED)) != 0) {
        cast_warn(ctx->cast, CAST_WARNING, 1292,
                  (cond & TEMPORAL_INVALID) != 0 ? "Incorrect" : "Truncated incorrect", "datetime",
                  arena_strdup(ctx->arena, text), "");
    }
    struct time_parts parts;
    if ((cond & TEMPORAL_INVALID) == 0 && !real_date(ret->v, &parts)) {
        cast_warn(ctx->cast, CAST_WARNING, 1292, "Incorrect", "datetime",
                  arena_strdup(ctx->arena, text), "");
        cond |= TEMPORAL_INVALID;
    }
    ret->known = (cond & TEMPORAL_INVALID) == 0;
    ret->date_only = (cond & TEMPORAL_NO_TIME) != 0;
    if (ret->known) {
        cast_warn_delimiter(ctx->cast, cond, &note, COLL_UTF8MB4_BIN, text);
    }
    return ERR_OK;
}

static db_err moment_of(struct eval_ctx *ctx, const struct func_call *call,
                        const struct vector *date, uint32_t row, struct moment *ret)
{
    const struct add_plan *p = call->data;
    struct time_parts parts;
    *ret = (struct moment){0};
    if (date->phys == PHYS_STR) {
        return moment_of_text(ctx, vec_str(date, row), ret);
    }
    if (temporal__is_number(&call->arg_types[p->date])) {
        bool null;
        TRY(temporal__number_moment(ctx, &call->arg_types[p->date], date, row, ctx->cast->sql_mode,
                                    &ret->v, &ret->date_only, &null));
        ret->known = !null && real_date(ret->v, &parts);
        return ERR_OK;
    }
    ret->v = vec_i64(date, row);
    /* MYSQL: nothing is added to a month 0 */
    ret->known = call->type.id == TYPE_TIME || real_date(ret->v, &parts);
    return ERR_OK;
}

/* func_call.needs. MYSQL: what would be added to a moment that is none is not computed. */
static bool is_added(struct eval_ctx *ctx, const struct func_call *call, struct vector *const *args,
                     uint32_t k, uint32_t row)
{
    const struct add_plan *p = call->data;
    struct cast_ctx silent = *ctx->cast;
    struct eval_ctx quiet = *ctx;
    struct moment m;
    if (k != p->amount) {
        return true;
    }
    silent.warn = NULL;
    silent.strict = false;
    quiet.cast = &silent;
    return !vec_is_null(args[p->date], row) &&
           (moment_of(&quiet, call, args[p->date], row, &m) != ERR_OK || m.known);
}

static db_err interval_of(struct eval_ctx *ctx, const struct func_call *call,
                          const struct vector *amount, uint32_t row, struct interval *ret,
                          bool *ret_fits)
{
    const struct add_plan *p = call->data;
    struct decimal seconds;
    if (p->fraction) {
        TRY(temporal__get_seconds(ctx, &call->arg_types[p->amount], amount, row, &seconds));
        *ret_fits = temporal__seconds_fit(ctx, &seconds) && interval_from_seconds(&seconds, ret);
    } else if (amount->phys == PHYS_STR) {
        *ret_fits = interval_from_text(vec_str(amount, row), p->unit, ret);
    } else {
        *ret_fits = interval_from_int(vec_i64(amount, row), p->unit, ret);
    }
    return ERR_OK;
}

/* MYSQL: the interval of a moment that is none is not looked at, not even for NULL. */
static db_err add_row(struct eval_ctx *ctx, const struct func_call *call,
                      struct vector *const *args, struct vector *out, uint32_t row)
{
    const struct add_plan *p = call->data;
    struct moment m;
    struct interval iv;
    bool fits;
    m.known = false;
    TRY(vec_is_null(args[p->date], row) ? ERR_OK : moment_of(ctx, call, args[p->date], row, &m));
    if (!m.known || vec_is_null(args[p->amount], row)) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    TRY(interval_of(ctx, call, args[p->amount], row, &iv, &fits));
    bool is_time = call->type.id == TYPE_TIME;
    bool named = is_time || call->type.id == TYPE_DATE;
    if (!fits) { /* MYSQL: nothing is told of where the result is a DATE or a TIME */
        vec_set_null(out, row);
        if (!named) {
            func__warn_overflow(ctx, call, "DATETIME");
        }
        return ERR_OK;
    }
    fits = is_time ? time_add_interval(m.v, &iv, p->subtract, &m.v)
                   : datetime_add_interval(m.v, &iv, p->subtract, p->unit, &m.v);
    if (!fits && named) {
        func__temporal_overflow(ctx, call, is_time ? "TIME" : "DATE", out, row);
    } else if (!fits) {
        overflow(ctx, out, row);
    } else if (out->phys == PHYS_STR) {
        return set_text(ctx, out, row, m.v, m.date_only && !interval_has_time(p->unit));
    } else {
        vec_set_i64(out, row, m.v);
    }
    return ERR_OK;
}

db_err temporal_add(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        TRY(add_row(ctx, call, args, out, row));
    }
    return ERR_OK;
}

/* ---- DATEDIFF(a, b), TIMESTAMPDIFF(unit, a, b) ---- */

db_err temporal_bind_datediff(BIND_ARGS)
{
    uint32_t first = (uint32_t)call->variant;
    if (first == 1) {
        enum interval_unit unit;
        TRY(temporal__unit_arg(ctx, &args[0], &unit));
        call->variant = (int)unit;
    }
    if (first == 1) {
        func__want_datetime(&args[1]);
        func__want_datetime(&args[2]);
    } else {
        func__want_date(&args[0], false);
        func__want_date(&args[1], false);
    }
    func__result_null(call, func__bigint(first == 1 ? 21 : 9));
    return ERR_OK;
}

db_err temporal_datediff(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    EACH_ROW(row)
    {
        struct time_parts a;
        struct time_parts b;
        datetime_unpack(vec_i64(args[0], row), &a);
        datetime_unpack(vec_i64(args[1], row), &b);
        if (a.month == 0 || a.day == 0 || b.month == 0 || b.day == 0) { /* as in TO_DAYS */
            vec_set_null(out, row);
            continue;
        }
        vec_set_i64(out, row,
                    (int64_t)date_to_days(a.year, a.month, a.day) -
                        (int64_t)date_to_days(b.year, b.month, b.day));
    }
    return ERR_OK;
}

db_err temporal_timestampdiff(EVAL_ARGS)
{
    (void)ctx;
    EACH_ROW(row)
    {
        struct time_parts p;
        int64_t a = vec_i64(args[1], row);
        int64_t b = vec_i64(args[2], row);
        if (!real_date(a, &p) || !real_date(b, &p)) {
            vec_set_null(out, row);
            continue;
        }
        vec_set_i64(out, row, datetime_diff(a, b, (enum interval_unit)call->variant));
    }
    return ERR_OK;
}

/* ---- ADDTIME, SUBTIME, TIMEDIFF: operands may be text that is a time or a date with time ---- */

db_err temporal_bind_addtime(BIND_ARGS)
{
    unsigned a = temporal__decimals(&args[0]);
    unsigned b = temporal__decimals(&args[1]);
    const struct sql_type *t = &args[0].type;
    call->takes_null = true;
    temporal__want_any(ctx, &args[0]);
    if (temporal__is_year(&args[1].type)) {
        func__want(&args[1], type_temporal(TYPE_TIME, 0)); /* MYSQL: midnight of its first day */
    } else {
        temporal__want_any(ctx, &args[1]);
    }
    if (type_is_temporal(t)) {
        func__result_null(
            call, type_temporal(t->id == TYPE_TIME ? TYPE_TIME : TYPE_DATETIME, a > b ? a : b));
    } else {
        func__result_ascii(ctx, call, TEXT_CHARS);
        call->type.id = TYPE_CHAR;
    }
    return ERR_OK;
}

static db_err set_sum(struct eval_ctx *ctx, const struct func_call *call, struct vector *out,
                      uint32_t row, int64_t a, int64_t b, bool is_datetime)
{
    struct time_parts parts;
    if (is_datetime && !real_date(a, &parts)) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    if (is_datetime) {
        int64_t us = datetime_to_micros(a) + b;
        if (us < temporal__first_moment()) { /* MYSQL: there is nothing to tell of */
            vec_set_null(out, row);
            return ERR_OK;
        }
        if (!datetime_from_micros(us, &a)) {
            func__temporal_overflow(ctx, call, "DATETIME", out, row);
            return ERR_OK;
        }
    } else {
        a += b;
        if (a > TIME_MICROS_MAX || a < -TIME_MICROS_MAX) {
            func__warn_overflow(ctx, call, "TIME");
            if (type_phys(&call->type) != PHYS_STR) {
                vec_set_null(out, row);
                return ERR_OK;
            }
            /* MYSQL: of text it is the range's end */
            a = a < 0 ? -TIME_MICROS_MAX : TIME_MICROS_MAX;
        }
    }
    if (type_phys(&call->type) != PHYS_STR) {
        vec_set_i64(out, row, a);
        return ERR_OK;
    }
    if (is_datetime) {
        return set_text(ctx, out, row, a, false);
    }
    char text[TEMPORAL_TEXT_MAX];
    unsigned len = time_to_text(a, a % US_PER_SECOND != 0 ? TIME_DECIMALS_MAX : 0, text);
    return func__set_ascii(ctx, out, row, slice_of(text, len));
}

/* Both operands of a row; false: NULL. */
static db_err operands(struct eval_ctx *ctx, const struct func_call *call,
                       struct vector *const *args, uint32_t row, const enum temporal_role *roles,
                       int64_t v[2], bool is_datetime[2], bool *ret_known)
{
    bool null;
    *ret_known = true;
    for (int i = 0; i < 2 && *ret_known; i++) {
        if (vec_is_null(args[i], row)) { /* MYSQL: the first one has been told of */
            *ret_known = false;
            return ERR_OK;
        }
        TRY(temporal__get_any(ctx, &call->arg_types[i], args[i], row, roles[i], &v[i],
                              &is_datetime[i], &null));
        *ret_known = !null;
    }
    return ERR_OK;
}

db_err temporal_addtime(EVAL_ARGS)
{
    static const enum temporal_role roles[2] = {TEMPORAL_SUMMAND, TEMPORAL_AMOUNT};
    EACH_ROW(row)
    {
        int64_t v[2];
        bool is_datetime[2];
        bool known;
        TRY(operands(ctx, call, args, row, roles, v, is_datetime, &known));
        if (!known) {
            vec_set_null(out, row);
            continue;
        }
        int64_t b = is_datetime[1] ? datetime_time(v[1]) : v[1]; /* only its time of day counts */
        TRY(set_sum(ctx, call, out, row, v[0], call->variant == 1 ? -b : b, is_datetime[0]));
    }
    return ERR_OK;
}

db_err temporal_bind_timediff(BIND_ARGS)
{
    unsigned a = temporal__time_decimals(&args[0]);
    unsigned b = temporal__time_decimals(&args[1]);
    temporal__want_any(ctx, &args[0]);
    temporal__want_any(ctx, &args[1]);
    call->takes_null = true;
    func__result_null(call, type_temporal(TYPE_TIME, a > b ? a : b));
    return ERR_OK;
}

/* MYSQL: unlike a sum, a difference ends at the range's end. */
static int64_t clipped(struct eval_ctx *ctx, int64_t v, unsigned decimals)
{
    char text[TEMPORAL_TEXT_MAX];
    if (v <= TIME_MICROS_MAX && v >= -TIME_MICROS_MAX) {
        return v;
    }
    /* the hours, which are more than a TIME has, and what is behind them */
    unsigned long long us = v < 0 ? -(uint64_t)v : (uint64_t)v;
    unsigned len = time_to_text((int64_t)(us % US_PER_HOUR), decimals, text);
    struct slice rest = slice_from(slice_of(text, len), 2);
    func__warn(ctx, ER_TRUNCATED_WRONG_VALUE, "time",
               arena_printf(ctx->arena, "%s%02llu%.*s", v < 0 ? "-" : "", us / US_PER_HOUR,
                            SLICE_FMT(rest)));
    return v < 0 ? -TIME_MICROS_MAX : TIME_MICROS_MAX;
}

db_err temporal_timediff(EVAL_ARGS)
{
    static const enum temporal_role roles[2] = {TEMPORAL_OPERAND, TEMPORAL_OPERAND};
    EACH_ROW(row)
    {
        int64_t v[2];
        bool is_datetime[2];
        bool known;
        TRY(operands(ctx, call, args, row, roles, v, is_datetime, &known));
        if (!known || is_datetime[0] != is_datetime[1]) {
            vec_set_null(out, row);
            continue;
        }
        if (is_datetime[0]) {
            v[0] = datetime_to_micros(v[0]);
            v[1] = datetime_to_micros(v[1]);
        }
        vec_set_i64(out, row, clipped(ctx, v[0] - v[1], call->type.decimals));
    }
    return ERR_OK;
}
