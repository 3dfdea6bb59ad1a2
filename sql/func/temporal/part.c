/* Parts of dates and times. */
#include "sql/func/families.h"

db_err temporal_bind_part(BIND_ARGS)
{
    static const uint8_t lengths[] = {4, 3, 3, 2, 2, 2, 4, 8, 21, 3, 3, 7};
    (void)ctx;
    if (call->variant == PART_TO_SECONDS) {
        func__want_datetime(&args[0]);
    } else {
        func__want_date(&args[0], call->variant == PART_YEAR || call->variant == PART_MONTH ||
                                      call->variant == PART_DAY || call->variant == PART_QUARTER);
    }
    if (call->arg_count == 2) {
        func__want_int(&args[1]);
    }
    if (call->variant == PART_YEAR) {
        struct sql_type t = type_temporal(TYPE_YEAR, 0);
        t.flags = TYPE_F_UNSIGNED;
        func__result_null(call, t);
    } else {
        func__result_null(call, func__bigint(lengths[call->variant]));
    }
    return ERR_OK;
}

static int64_t week_mode(const struct eval_ctx *ctx, const struct func_call *call,
                         struct vector *const *args, uint32_t row)
{
    if (call->variant == PART_WEEKOFYEAR) {
        return 3;
    }
    if (call->arg_count == 2) {
        int64_t mode = vec_i64(args[1], row); /* MYSQL: a negative one is 0, and nothing is added */
        return mode < 0 ? 0 : mode & 7;
    }
    return call->variant == PART_WEEK && ctx->env != NULL ? ctx->env->default_week_format & 7 : 0;
}

static int64_t date_part(const struct eval_ctx *ctx, const struct func_call *call,
                         struct vector *const *args, uint32_t row, const struct time_parts *p)
{
    uint32_t days = call->variant >= PART_DAYOFWEEK ? date_to_days(p->year, p->month, p->day) : 0;
    unsigned year;
    switch (call->variant) {
    case PART_YEAR: return p->year;
    case PART_MONTH: return p->month;
    case PART_DAY: return p->day;
    case PART_QUARTER: return (p->month + 2) / 3;
    case PART_DAYOFWEEK: return date_weekday(days, true) + 1;
    case PART_WEEKDAY: return date_weekday(days, false);
    case PART_DAYOFYEAR: return days - date_to_days(p->year, 1, 1) + 1;
    case PART_TO_DAYS: return days;
    case PART_TO_SECONDS: return days * 86400ll + p->hour * 3600ll + p->minute * 60ll + p->second;
    case PART_YEARWEEK: {
        bool own_year = call->arg_count == 1 || vec_i64(args[1], row) >= 0;
        unsigned mode = (unsigned)week_mode(ctx, call, args, row) | (own_year ? 2u : 0u);
        unsigned week = date_week(p, mode, &year);
        return (int32_t)(year * 100u + week); /* MYSQL: -48 in the last week before year 0 */
    }
    default: return date_week(p, (unsigned)week_mode(ctx, call, args, row), &year);
    }
}

db_err temporal_part(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct time_parts p;
        datetime_unpack(vec_i64(args[0], row), &p);
        /* MYSQL: TO_DAYS counts the days that ALLOW_INVALID_DATES adds to a month on. */
        bool counts = call->variant == PART_TO_DAYS ? p.month != 0 && p.day != 0 : date_is_real(&p);
        if (call->variant >= PART_DAYOFWEEK && !counts) {
            vec_set_null(out, row);
            continue;
        }
        vec_set_i64(out, row, date_part(ctx, call, args, row, &p));
    }
    return ERR_OK;
}

db_err temporal_bind_clock(BIND_ARGS)
{
    static const uint8_t lengths[] = {4, 3, 3, 21, 10};
    (void)ctx;
    func__want_time(&args[0]);
    func__result_null(call, func__bigint(lengths[call->variant]));
    return ERR_OK;
}

db_err temporal_clock(EVAL_ARGS)
{
    (void)ctx;
    EACH_ROW(row)
    {
        struct time_parts p;
        int64_t v = 0;
        time_unpack(vec_i64(args[0], row), &p);
        switch (call->variant) {
        case CLOCK_HOUR: v = p.hour; break;
        case CLOCK_MINUTE: v = p.minute; break;
        case CLOCK_SECOND: v = p.second; break;
        case CLOCK_MICROSECOND: v = p.micro; break;
        default:
            v = p.hour * 3600ll + p.minute * 60ll + p.second;
            v = p.neg ? -v : v;
            break;
        }
        vec_set_i64(out, row, v);
    }
    return ERR_OK;
}

/* ---- EXTRACT(unit, e): variant is the unit ---- */

static bool unit_of_date(enum interval_unit unit)
{
    return unit <= INTERVAL_DAY || unit == INTERVAL_YEAR_MONTH;
}

static uint32_t extract_length(enum interval_unit unit)
{
    static const uint8_t lengths[INTERVAL__COUNT] = {
        [INTERVAL_YEAR] = 5,
        [INTERVAL_QUARTER] = 2,
        [INTERVAL_MONTH] = 3,
        [INTERVAL_WEEK] = 3,
        [INTERVAL_DAY] = 3,
        [INTERVAL_HOUR] = 4,
        [INTERVAL_MINUTE] = 3,
        [INTERVAL_SECOND] = 3,
        [INTERVAL_MICROSECOND] = 7,
        [INTERVAL_YEAR_MONTH] = 7,
        [INTERVAL_DAY_HOUR] = 9,
        [INTERVAL_DAY_MINUTE] = 11,
        [INTERVAL_DAY_SECOND] = 13,
        [INTERVAL_HOUR_MINUTE] = 6,
        [INTERVAL_HOUR_SECOND] = 8,
        [INTERVAL_MINUTE_SECOND] = 5,
        [INTERVAL_DAY_MICROSECOND] = 20,
        [INTERVAL_HOUR_MICROSECOND] = 14,
        [INTERVAL_MINUTE_MICROSECOND] = 11,
        [INTERVAL_SECOND_MICROSECOND] = 9,
    };
    return lengths[unit];
}

db_err temporal_bind_extract(BIND_ARGS)
{
    enum interval_unit unit;
    TRY(temporal__unit_arg(ctx, &args[0], &unit));
    call->variant = (int)unit;
    if (unit_of_date(unit) || args[1].type.id == TYPE_TIMESTAMP) {
        func__want_datetime(&args[1]);
        args[1].want.wire = type_is_numeric(&args[1].type) ? TYPE_W_LENIENT_DATE | TYPE_W_WHOLE_DATE
                                                           : TYPE_W_LENIENT_DATE;
    } else if (temporal__is_year(&args[1].type)) {
        func__want(&args[1], type_temporal(TYPE_TIME, 0));
    } else {
        temporal__want_any(ctx, &args[1]); /* a time or a date with a time: its text tells */
    }
    func__result_null(call, func__bigint(extract_length(unit)));
    return ERR_OK;
}

db_err temporal_extract_unit(EVAL_ARGS)
{
    enum interval_unit unit = (enum interval_unit)call->variant;
    EACH_ROW(row)
    {
        struct time_parts p;
        bool is_datetime;
        bool null;
        TRY(temporal__get_parts(ctx, &call->arg_types[1], args[1], row, TEMPORAL_EXTRACTED, &p,
                                &is_datetime, &null));
        if (null) {
            vec_set_null(out, row);
            continue;
        }
        vec_set_i64(out, row, temporal_extract(&p, !is_datetime, unit));
    }
    return ERR_OK;
}

/* ---- DATE, LAST_DAY, TIME, TIMESTAMP ---- */

/* variant 1: LAST_DAY. */
db_err temporal_bind_date(BIND_ARGS)
{
    (void)ctx;
    func__want_date(&args[0], call->variant == 1);
    func__result_null(call, type_temporal(TYPE_DATE, 0));
    return ERR_OK;
}

/* MYSQL: DATE and TIMESTAMP are NULL, without a word, for what sql_mode refuses as a date. */
static bool is_refused(const struct eval_ctx *ctx, int64_t v)
{
    return (datetime_check(v, temporal_flags(ctx->cast->sql_mode)) & TEMPORAL_INVALID) != 0;
}

db_err temporal_date(EVAL_ARGS)
{
    (void)call;
    EACH_ROW(row)
    {
        int64_t v = vec_i64(args[0], row);
        if (is_refused(ctx, v)) {
            vec_set_null(out, row);
            continue;
        }
        vec_set_i64(out, row, datetime_date(v));
    }
    return ERR_OK;
}

db_err temporal_last_day(EVAL_ARGS)
{
    (void)call;
    EACH_ROW(row)
    {
        struct time_parts p;
        datetime_unpack(vec_i64(args[0], row), &p);
        if (p.month < 1 || p.month > 12) {
            char text[TEMPORAL_TEXT_MAX];
            text[date_to_text(vec_i64(args[0], row), text)] = '\0';
            func__warn(ctx, ER_TRUNCATED_WRONG_VALUE, "date", text);
            vec_set_null(out, row);
            continue;
        }
        vec_set_i64(out, row,
                    datetime_make(p.year, p.month, month_days(p.year, p.month), 0, 0, 0, 0));
    }
    return ERR_OK;
}

db_err temporal_bind_time(BIND_ARGS)
{
    (void)ctx;
    unsigned decimals = temporal__time_decimals(&args[0]);
    func__want(&args[0], type_temporal(TYPE_TIME, decimals));
    func__result_null(call, type_temporal(TYPE_TIME, decimals));
    return ERR_OK;
}

db_err temporal_copy(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    EACH_ROW(row)
    {
        vec_set_i64(out, row, vec_i64(args[0], row));
    }
    return ERR_OK;
}

db_err temporal_bind_timestamp(BIND_ARGS)
{
    (void)ctx;
    unsigned decimals = temporal__date_decimals(&args[0]);
    if (call->arg_count == 2) {
        unsigned d = temporal__time_decimals(&args[1]);
        decimals = d > decimals ? d : decimals;
        func__want_time(&args[1]);
    }
    func__want_datetime(&args[0]);
    func__result_null(call, type_temporal(TYPE_DATETIME, decimals));
    return ERR_OK;
}

db_err temporal_timestamp(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        int64_t v = vec_i64(args[0], row);
        struct time_parts p;
        datetime_unpack(v, &p);
        /* MYSQL: nothing is added to a month 0 */
        bool no_date = call->arg_count == 2 ? !date_is_real(&p) : is_refused(ctx, v);
        if (no_date) {
            vec_set_null(out, row);
            continue;
        }
        if (call->arg_count == 2) {
            int64_t us = datetime_to_micros(v) + vec_i64(args[1], row);
            if (us < temporal__first_moment()) { /* MYSQL: there is nothing to tell of */
                vec_set_null(out, row);
                continue;
            }
            if (!datetime_from_micros(us, &v)) {
                func__temporal_overflow(ctx, call, "DATETIME", out, row);
                continue;
            }
        }
        (void)datetime_round(v, call->type.decimals, false, &v);
        vec_set_i64(out, row, v);
    }
    return ERR_OK;
}

/* ---- DAYNAME, MONTHNAME ---- */

db_err temporal_bind_name(BIND_ARGS)
{
    enum { NAME_CHARS = 9 };
    func__want_date(&args[0], call->variant == 1);
    func__result_ascii(ctx, call, NAME_CHARS);
    return ERR_OK;
}

db_err temporal_name(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct time_parts p;
        datetime_unpack(vec_i64(args[0], row), &p);
        if (call->variant == 1 ? p.month == 0 : !date_is_real(&p)) {
            vec_set_null(out, row);
            continue;
        }
        struct slice pattern = call->variant == 1 ? SLICE_LIT("%M") : SLICE_LIT("%W");
        TRY(temporal__format(ctx, &p, false, pattern, out, row));
    }
    return ERR_OK;
}
