/* Moments: UNIX_TIMESTAMP, FROM_UNIXTIME, CONVERT_TZ. */
#include "sql/func/families.h"

#include "sql/types/sql_mode.h"

/* MYSQL: the last moment these functions know, 3001-01-18 23:59:59 UTC. */
#define UNIX_SECONDS_MAX 32536771199ll

db_err temporal_bind_unix(BIND_ARGS)
{
    enum { SECONDS_DIGITS = 11 };
    unsigned decimals = 0;
    if (call->arg_count == 1) {
        decimals = temporal__date_decimals(&args[0]);
        bool year = temporal__is_year(&args[0].type);
        if (!type_is_temporal(&args[0].type) && !year) {
            if (!temporal__is_number(&args[0].type)) {
                func__want_text(ctx, &args[0]); /* what is no date is 0, not NULL */
                args[0].asks_moment = true;
            }
        } else if (args[0].type.id != TYPE_TIMESTAMP) {
            func__want_datetime(&args[0]);
        }
    }
    struct sql_type t =
        decimals == 0 ? func__bigint(21) : type_decimal(SECONDS_DIGITS + decimals, decimals, false);
    func__result(call, args, t);
    return ERR_OK;
}

static void set_seconds(const struct func_call *call, struct vector *out, uint32_t row,
                        int64_t seconds, uint32_t micro)
{
    if (call->type.id != TYPE_DECIMAL) {
        vec_set_i64(out, row, seconds);
        return;
    }
    struct decimal d;
    decimal_from_scaled(seconds * US_PER_SECOND + micro, TIME_DECIMALS_MAX, &d);
    (void)decimal_round(&d, call->type.decimals, DECIMAL_TRUNCATE, &d);
    vec_set_decimal(out, row, &d);
}

db_err temporal_unix(EVAL_ARGS)
{
    /* MYSQL: a number may have zeros in its date, of which nothing is told */
    const uint64_t zeros =
        ctx->cast->sql_mode & ~(uint64_t)(SQL_MODE_NO_ZERO_DATE | SQL_MODE_NO_ZERO_IN_DATE);
    EACH_ROW(row)
    {
        if (call->arg_count == 0) {
            uint64_t us = ctx->env != NULL ? ctx->env->now_us : 0;
            set_seconds(call, out, row, (int64_t)(us / US_PER_SECOND), 0);
            continue;
        }
        bool utc = call->arg_types[0].id == TYPE_TIMESTAMP;
        int64_t seconds = 0;
        uint32_t micro = 0;
        int64_t local = 0;
        bool bad = false;
        if (temporal__is_number(&call->arg_types[0])) {
            bool date_only;
            TRY(temporal__number_moment(ctx, &call->arg_types[0], args[0], row, zeros, &local,
                                        &date_only, &bad));
        } else if (args[0]->phys == PHYS_STR) {
            struct value v;
            vector_get(args[0], row, &v);
            TRY(value_to_datetime(ctx->cast, &call->arg_types[0], &v, TIME_DECIMALS_MAX, &local,
                                  &bad));
        } else {
            local = vec_i64(args[0], row);
        }
        bool ok = !bad && timezone_to_unix(utc ? timezone_utc() : ctx->cast->tz, local, &seconds,
                                           &micro, NULL);
        if (!ok || seconds < 0 || seconds > UNIX_SECONDS_MAX) {
            seconds = 0;
            micro = 0;
        }
        set_seconds(call, out, row, seconds, micro);
    }
    return ERR_OK;
}

db_err temporal_bind_from_unix(BIND_ARGS)
{
    unsigned decimals = temporal__decimals(&args[0]);
    if (!func__is_text(&args[0].type) || call->arg_count == 2) {
        bool fixed = args[0].type.id == TYPE_DOUBLE || args[0].type.id == TYPE_FLOAT;
        bool real =
            func__number(&args[0].type) == NUM_DOUBLE && args[0].type.id != TYPE_NULL && !fixed;
        decimals = real ? TIME_DECIMALS_MAX : decimals;
    } else {
        decimals = TIME_DECIMALS_MAX;
    }
    call->variant = func__number(&args[0].type) == NUM_INT;
    temporal__want_seconds(&args[0]);
    if (call->arg_count == 2) {
        func__result_ascii(ctx, call, temporal__pattern_chars(&args[1]));
        temporal__want_pattern(ctx, &args[1]);
    } else {
        func__result_null(call, type_temporal(TYPE_DATETIME, decimals));
    }
    return ERR_OK;
}

db_err temporal_from_unix(EVAL_ARGS)
{
    unsigned decimals = call->arg_count == 2 ? TIME_DECIMALS_MAX : call->type.decimals;
    struct decimal million;
    decimal_from_int(US_PER_SECOND, &million);
    EACH_ROW(row)
    {
        struct decimal d;
        int64_t us = 0;
        TRY(temporal__get_seconds(ctx, &call->arg_types[0], args[0], row, &d));
        bool fits = call->variant == 1 || temporal__seconds_fit(ctx, &d);
        (void)decimal_round(&d, (int)decimals, temporal__rounding(ctx), &d);
        (void)decimal_mul(&d, &million, &d);
        if (!fits || d.neg || decimal_to_int(&d, &us) != DECIMAL_OK ||
            us / US_PER_SECOND > UNIX_SECONDS_MAX) {
            vec_set_null(out, row);
            continue;
        }
        int64_t local;
        if (!timezone_from_unix(ctx->cast->tz, us / US_PER_SECOND, (uint32_t)(us % US_PER_SECOND),
                                &local)) {
            vec_set_null(out, row);
        } else if (call->arg_count == 1) {
            vec_set_i64(out, row, local);
        } else {
            struct time_parts p;
            datetime_unpack(local, &p);
            TRY(temporal__format(ctx, &p, false, vec_str(args[1], row), out, row));
        }
    }
    return ERR_OK;
}

/* func_call.needs. MYSQL: the moment is computed when both zones are known. */
static bool zones_known(struct eval_ctx *ctx, const struct func_call *call,
                        struct vector *const *args, uint32_t k, uint32_t row)
{
    const struct timezone *zone;
    (void)ctx;
    (void)call;
    return k != 0 || (!vec_is_null(args[1], row) && !vec_is_null(args[2], row) &&
                      timezone_find(vec_str(args[1], row), NULL, &zone) == ERR_OK &&
                      timezone_find(vec_str(args[2], row), NULL, &zone) == ERR_OK);
}

db_err temporal_bind_convert_tz(BIND_ARGS)
{
    unsigned decimals = temporal__date_decimals(&args[0]);
    call->needs = zones_known;
    func__want_datetime(&args[0]);
    temporal__want_ascii(ctx, &args[1]);
    temporal__want_ascii(ctx, &args[2]);
    func__result_null(call, type_temporal(TYPE_DATETIME, decimals));
    return ERR_OK;
}

db_err temporal_convert_tz(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    EACH_ROW(row)
    {
        const struct timezone *from;
        const struct timezone *to;
        int64_t seconds;
        uint32_t micro;
        struct time_parts p;
        if (timezone_find(vec_str(args[1], row), NULL, &from) != ERR_OK ||
            timezone_find(vec_str(args[2], row), NULL, &to) != ERR_OK) {
            vec_set_null(out, row);
            continue;
        }
        int64_t local = vec_i64(args[0], row);
        datetime_unpack(local, &p);
        if (!date_is_real(&p) || !timezone_to_unix(from, local, &seconds, &micro, NULL)) {
            vec_set_null(out, row);
            continue;
        }
        /* MYSQL: a moment outside of the range is not converted. */
        if (seconds > 0 && seconds <= UNIX_SECONDS_MAX) {
            (void)timezone_from_unix(to, seconds, micro, &local);
        }
        vec_set_i64(out, row, local);
    }
    return ERR_OK;
}

/* CAST(x AT TIME ZONE '+00:00' AS DATETIME), before the cast. variant 0: x is a TIMESTAMP, which is
 * kept in UTC; 1: a literal, in the session's zone. */
db_err temporal_bind_at_utc(BIND_ARGS)
{
    (void)ctx;
    (void)args;
    func__result_null(call, type_temporal(TYPE_DATETIME, 0)); /* MYSQL: the fraction is lost */
    return ERR_OK;
}

db_err temporal_at_utc(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        int64_t at = vec_i64(args[0], row);
        int64_t seconds;
        uint32_t micro;
        if (call->variant == 1 && (!timezone_to_unix(ctx->cast->tz, at, &seconds, &micro, NULL) ||
                                   !timezone_from_unix(timezone_utc(), seconds, micro, &at))) {
            vec_set_null(out, row);
            continue;
        }
        struct time_parts p;
        datetime_unpack(at, &p);
        p.micro = 0;
        vec_set_i64(out, row, datetime_pack(&p));
    }
    return ERR_OK;
}
