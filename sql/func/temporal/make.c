/* Dates and times made from numbers; periods. */
#include "sql/func/families.h"

#include <stdio.h>

db_err temporal_bind_makedate(BIND_ARGS)
{
    (void)ctx;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        func__want_int(&args[i]);
    }
    func__result_null(call, type_temporal(TYPE_DATE, 0));
    return ERR_OK;
}

static void set_days(struct vector *out, uint32_t row, int64_t days, bool zero_is_null)
{
    unsigned year;
    unsigned month;
    unsigned day;
    enum { YEAR_ZERO_DAYS = 365 };
    if (days >= 1 && days <= YEAR_ZERO_DAYS && !zero_is_null) { /* MYSQL: the year 0 has days */
        (void)date_from_days(days + YEAR_ZERO_DAYS, &year, &month, &day);
        vec_set_i64(out, row, datetime_make(0, month, day, 0, 0, 0, 0));
    } else if (date_from_days(days, &year, &month, &day)) {
        vec_set_i64(out, row, datetime_make(year, month, day, 0, 0, 0, 0));
    } else if (zero_is_null || days >= 0) {
        vec_set_null(out, row);
    } else {
        vec_set_i64(out, row, 0);
    }
}

db_err temporal_makedate(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    enum { TWO_DIGITS = 100, CENTURY_TURN = 70 };
    EACH_ROW(row)
    {
        int64_t year = vec_i64(args[0], row);
        int64_t day = vec_i64(args[1], row);
        if (year < 0 || year > 9999 || day < 1 || day > 4000000) {
            vec_set_null(out, row);
            continue;
        }
        if (year < TWO_DIGITS) {
            year += year < CENTURY_TURN ? 2000 : 1900;
        }
        set_days(out, row, (int64_t)date_to_days((unsigned)year, 1, 1) + day - 1, true);
    }
    return ERR_OK;
}

db_err temporal_from_days(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        int64_t days = vec_i64(args[0], row);
        unsigned year;
        unsigned month;
        unsigned day;
        enum { YEAR_ZERO_DAYS = 365 };
        bool in_year_zero = days >= 1 && days <= YEAR_ZERO_DAYS;
        if (days <= 0 || (!in_year_zero && !date_from_days(days, &year, &month, &day))) {
            func__temporal_overflow(ctx, call, "DATE", out, row);
            continue;
        }
        set_days(out, row, days, false);
    }
    return ERR_OK;
}

/* ---- times: variant is the argument that may have a fraction ---- */

db_err temporal_bind_maketime(BIND_ARGS)
{
    (void)ctx;
    struct func_arg *seconds = &args[call->variant];
    unsigned decimals = temporal__seconds_decimals(seconds);
    for (uint32_t i = 0; i + 1 < call->arg_count; i++) {
        func__want_int(&args[i]);
    }
    temporal__want_seconds(seconds);
    func__result_null(call, type_temporal(TYPE_TIME, decimals));
    return ERR_OK;
}

/* Microseconds of a decimal number of seconds, to the result's digits. False: too large. */
static bool to_micros(struct eval_ctx *ctx, const struct decimal *d, unsigned decimals,
                      int64_t *ret)
{
    struct decimal r;
    struct decimal million;
    decimal_from_int(US_PER_SECOND, &million);
    (void)decimal_round(d, (int)decimals, temporal__rounding(ctx), &r);
    return decimal_mul(&r, &million, &r) == DECIMAL_OK && decimal_to_int(&r, ret) == DECIMAL_OK;
}

static void set_clipped(struct eval_ctx *ctx, struct vector *out, uint32_t row, bool neg,
                        struct slice text)
{
    vec_set_i64(out, row, neg ? -TIME_MICROS_MAX : TIME_MICROS_MAX);
    func__warn(ctx, ER_TRUNCATED_WRONG_VALUE, "time", arena_strdup(ctx->arena, text));
}

static int64_t whole_seconds(const struct decimal *d)
{
    struct decimal cut;
    int64_t whole = INT64_MAX;
    (void)decimal_round(d, 0, DECIMAL_TRUNCATE, &cut);
    return decimal_to_int(&cut, &whole) == DECIMAL_OK ? whole : INT64_MAX;
}

/* MYSQL: hours without their sign, unless it cannot be taken off; a fraction, if there is one, with
 * the argument's digits, nine of text. */
static struct slice maketime_text(const struct func_call *call, int64_t hour, int64_t minute,
                                  const struct decimal *second, char out[64])
{
    enum { NANO_DIGITS = 9 };
    const struct sql_type *t = &call->arg_types[2];
    unsigned digits = type_is_string(t) || t->decimals > NANO_DIGITS ? NANO_DIGITS : t->decimals;
    bool uns = type_is_unsigned(&call->arg_types[0]);
    uint64_t shown = hour < 0 && !uns ? -(uint64_t)hour : (uint64_t)hour;
    const char *sign = hour == INT64_MIN && !uns ? "-" : "";
    struct decimal cut;
    struct decimal whole;
    char text[DECIMAL_TEXT_MAX];
    (void)decimal_round(second, (int)digits, DECIMAL_TRUNCATE, &cut);
    decimal_from_int(whole_seconds(second), &whole);
    unsigned len = decimal_to_text(&cut, text);
    unsigned point = digits == 0 ? len : len - digits - 1;
    unsigned end = decimal_cmp(&cut, &whole) == 0 ? point : len;
    int n = snprintf(out, 64, "%s%llu:%02d:%s%.*s", sign, (unsigned long long)shown, (int)minute,
                     point == 1 ? "0" : "", (int)end, text);
    return slice_of(out, (size_t)n);
}

db_err temporal_maketime(EVAL_ARGS)
{
    enum { TIME_HOURS_MAX = 838 };
    EACH_ROW(row)
    {
        int64_t hour = vec_i64(args[0], row);
        int64_t minute = vec_i64(args[1], row);
        struct decimal second;
        int64_t us = 0;
        bool uns = type_is_unsigned(&call->arg_types[0]);
        TRY(temporal__get_seconds(ctx, &call->arg_types[2], args[2], row, &second));
        bool fits = temporal__seconds_fit(ctx, &second) &&
                    to_micros(ctx, &second, call->type.decimals, &us);
        if (minute < 0 || minute > 59 || second.neg || !fits || whole_seconds(&second) > 59) {
            vec_set_null(out, row);
            continue;
        }
        bool neg = hour < 0 && !uns;
        uint64_t h = neg ? -(uint64_t)hour : (uint64_t)hour;
        /* MYSQL: the last hour has no fractions of a second. */
        if (h > TIME_HOURS_MAX || (h == TIME_HOURS_MAX && us % US_PER_SECOND != 0)) {
            char text[64];
            set_clipped(ctx, out, row, neg, maketime_text(call, hour, minute, &second, text));
            continue;
        }
        us += ((int64_t)h * 3600 + minute * 60) * US_PER_SECOND;
        vec_set_i64(out, row, neg ? -us : us);
    }
    return ERR_OK;
}

db_err temporal_sec_to_time(EVAL_ARGS)
{
    /* MYSQL: the last second has fractions, here and nowhere else. */
    const int64_t end = TIME_MICROS_MAX + US_PER_SECOND;
    EACH_ROW(row)
    {
        struct decimal d;
        int64_t us = 0;
        TRY(temporal__get_seconds(ctx, &call->arg_types[0], args[0], row, &d));
        if (to_micros(ctx, &d, call->type.decimals, &us) && us < end && us > -end) {
            vec_set_i64(out, row, us);
        } else {
            char text[DECIMAL_TEXT_MAX];
            set_clipped(ctx, out, row, d.neg, slice_of(text, decimal_to_text(&d, text)));
        }
    }
    return ERR_OK;
}

/* ---- PERIOD_ADD, PERIOD_DIFF ---- */

db_err temporal_bind_period(BIND_ARGS)
{
    (void)ctx;
    func__want_int(&args[0]);
    func__want_int(&args[1]);
    func__result(call, args, func__bigint(21));
    return ERR_OK;
}

/* MYSQL: in unsigned arithmetic that wraps, whatever the numbers are. */
static db_err period_months(struct eval_ctx *ctx, const struct func_call *call, int64_t period,
                            uint64_t *ret)
{
    uint64_t year = (uint64_t)period / 100;
    uint64_t month = (uint64_t)period % 100;
    if (period < 0 || month < 1 || month > 12) {
        return my_error(ctx->diag, ER_WRONG_ARGUMENTS, call->def->name);
    }
    year += year < 70 ? 2000 : year < 100 ? 1900 : 0;
    *ret = year * 12 + month - 1;
    return ERR_OK;
}

db_err temporal_period(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        uint64_t a;
        uint64_t b = vec_u64(args[1], row);
        TRY(period_months(ctx, call, vec_i64(args[0], row), &a));
        if (call->variant == 1) {
            TRY(period_months(ctx, call, vec_i64(args[1], row), &b));
            vec_set_i64(out, row, (int64_t)(a - b));
            continue;
        }
        uint64_t months = a + b;
        uint64_t year = months / 12;
        year += year < 70 ? 2000 : year < 100 ? 1900 : 0;
        vec_set_i64(out, row, months == 0 ? 0 : (int64_t)(year * 100 + months % 12 + 1));
    }
    return ERR_OK;
}
