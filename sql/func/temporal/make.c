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
    unsigned decimals =
        func__is_text(&seconds->type) ? (unsigned)TIME_DECIMALS_MAX : temporal__decimals(seconds);
    for (uint32_t i = 0; i + 1 < call->arg_count; i++) {
        func__want_int(&args[i]);
    }
    temporal__want_seconds(seconds);
    func__result_null(call, type_temporal(TYPE_TIME, decimals));
    return ERR_OK;
}

/* Microseconds of a decimal number of seconds, rounded to the result's digits. False: too large. */
static bool to_micros(const struct decimal *d, unsigned decimals, int64_t *ret)
{
    struct decimal r;
    struct decimal million;
    decimal_from_int(US_PER_SECOND, &million);
    (void)decimal_round(d, (int)decimals, DECIMAL_HALF_UP, &r);
    return decimal_mul(&r, &million, &r) == DECIMAL_OK && decimal_to_int(&r, ret) == DECIMAL_OK;
}

static void set_clipped(struct eval_ctx *ctx, struct vector *out, uint32_t row, bool fits, bool neg,
                        int64_t us, struct slice text)
{
    if (!fits || us > TIME_MICROS_MAX || us < -TIME_MICROS_MAX) {
        us = neg ? -TIME_MICROS_MAX : TIME_MICROS_MAX;
        func__warn(ctx, ER_TRUNCATED_WRONG_VALUE, "time", arena_strdup(ctx->arena, text));
    }
    vec_set_i64(out, row, us);
}

/* Less than 60 seconds as messages show them: a number that was no decimal has nine digits. */
static int seconds_text(bool was_decimal, const struct decimal *second, char *out)
{
    enum { WIDTH = 12 };
    if (!was_decimal) {
        return snprintf(out, WIDTH + 1, "%012.9f", decimal_to_double(second));
    }
    bool one_digit = decimal_int_digits(second) < 2;
    out[0] = '0';
    return (int)decimal_to_text(second, out + one_digit) + one_digit;
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
        struct decimal whole;
        int64_t seconds = 0;
        (void)decimal_round(&second, 0, DECIMAL_TRUNCATE, &whole);
        bool fits = temporal__seconds_fit(ctx, &second) &&
                    decimal_to_int(&whole, &seconds) == DECIMAL_OK &&
                    to_micros(&second, call->type.decimals, &us);
        /* 59.9999999 rounds up to the next minute; 60 is no second. */
        if (minute < 0 || minute > 59 || second.neg || !fits || seconds > 59) {
            vec_set_null(out, row);
            continue;
        }
        bool neg = hour < 0 && !uns;
        uint64_t h = neg ? -(uint64_t)hour : (uint64_t)hour;
        /* MYSQL: in the last hour there are no fractions of a second. */
        bool in_range =
            h < TIME_HOURS_MAX || (h == TIME_HOURS_MAX && decimal_cmp(&second, &whole) == 0);
        char text[DECIMAL_TEXT_MAX + 64];
        int len = snprintf(text, sizeof(text), "%llu:%02d:", (unsigned long long)h, (int)minute);
        len += seconds_text(args[2]->phys == PHYS_DECIMAL, &second, text + len);
        if (in_range) {
            us += ((int64_t)h * 3600 + minute * 60) * US_PER_SECOND;
            us = neg ? -us : us;
        }
        set_clipped(ctx, out, row, in_range, neg, us, slice_of(text, (size_t)len));
    }
    return ERR_OK;
}

db_err temporal_sec_to_time(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct decimal d;
        char text[DECIMAL_TEXT_MAX];
        int64_t us = 0;
        TRY(temporal__get_seconds(ctx, &call->arg_types[0], args[0], row, &d));
        bool fits = to_micros(&d, call->type.decimals, &us);
        set_clipped(ctx, out, row, fits, d.neg, us, slice_of(text, decimal_to_text(&d, text)));
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
