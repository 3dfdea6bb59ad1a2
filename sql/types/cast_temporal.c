/* Values to dates and times. */
#include "sql/types/cast_int.h"

#include "base/assert.h"
#include "sql/types/sql_mode.h"

/* A packed local time with an offset of its own, in the session's time zone. */
static bool shift_offset(const struct cast_ctx *ctx, int32_t offset_s, int64_t *v)
{
    int64_t us = datetime_to_micros(*v) - (int64_t)offset_s * US_PER_SECOND;
    int64_t utc;
    int64_t seconds;
    uint32_t micro;
    return datetime_from_micros(us, &utc) &&
           timezone_to_unix(timezone_utc(), utc, &seconds, &micro, NULL) &&
           timezone_from_unix(ctx->tz, seconds, micro, v);
}

static db_err text_to_datetime(struct cast_ctx *ctx, const struct value *v, unsigned decimals,
                               unsigned flags, struct temporal_result *ret)
{
    struct slice s;
    int32_t offset_s = 0;
    TRY(cast__ascii(ctx, v, &s));
    ret->cond = datetime_parse(s, decimals, flags, &ret->v, &offset_s, &ret->note);
    if ((ret->cond & TEMPORAL_HAS_OFFSET) != 0 && (ret->cond & TEMPORAL_INVALID) == 0 &&
        !shift_offset(ctx, offset_s, &ret->v)) {
        ret->cond |= TEMPORAL_INVALID;
    }
    return ERR_OK;
}

/* MYSQL: where zero parts are let through, 0 is no day of 2000, 1 the first of no month of it, 100
 * no day of its January, and 700000 no day of 1970. */
static bool tiny_date(int64_t whole, int64_t *ret)
{
    enum { JANUARY = 100, DAYS = 31, OF_1970 = 700000 };
    bool later = whole >= OF_1970;
    int64_t n = later ? whole - OF_1970 : whole;
    if (n < 0 || n > JANUARY || n % JANUARY > DAYS) {
        return false;
    }
    *ret = datetime_make(later ? 1970 : 2000, (unsigned)n / JANUARY, (unsigned)n % JANUARY, 0, 0, 0,
                         0);
    return true;
}

static void number_to_datetime(const struct value *v, unsigned decimals, unsigned flags,
                               bool lenient, bool whole, struct temporal_result *ret)
{
    int64_t n;
    uint32_t nanos;
    bool neg;
    ret->v = 0;
    ret->cond = TEMPORAL_INVALID;
    if (!cast__split_number(v, &n, &nanos, &neg)) {
        return;
    }
    bool tiny = lenient && !whole && (!neg || n == 0); /* MYSQL: -0.5 is 0 there */
    if (tiny && tiny_date(n, &ret->v)) {
        ret->cond = TEMPORAL_OK;
        return;
    }
    if (neg) {
        return;
    }
    ret->cond = datetime_from_number(n, nanos, decimals, flags, &ret->v);
}

bool cast__small_date(const struct cast_ctx *ctx, const struct sql_type *from,
                      const struct value *v, int64_t *ret)
{
    int64_t n;
    uint32_t nanos;
    bool neg;
    bool number = type_is_integer(from) || from->id == TYPE_DECIMAL || from->id == TYPE_DOUBLE ||
                  from->id == TYPE_FLOAT;
    return number && (ctx->sql_mode & SQL_MODE_NO_ZERO_IN_DATE) == 0 &&
           cast__split_number(v, &n, &nanos, &neg) && (!neg || n == 0) && tiny_date(n, ret);
}

/* A TIME is taken on the current date. */
static bool time_on_today(struct cast_ctx *ctx, int64_t time, int64_t *ret)
{
    ctx->asked_now = true;
    return datetime_from_micros(datetime_to_micros(datetime_date(cast_now_local(ctx))) + time, ret);
}

db_err cast__to_datetime(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                         unsigned decimals, unsigned flags, struct temporal_result *ret)
{
    bool truncate = (flags & TEMPORAL_F_TRUNCATE) != 0;
    ret->cond = TEMPORAL_OK;
    switch ((enum phys_kind)v->phys) {
    case PHYS_TIME: {
        int64_t t = v->type == TYPE_TIMESTAMP ? timestamp_to_local(ctx->tz, v->t) : v->t;
        if (v->type == TYPE_TIME && !time_on_today(ctx, v->t, &t)) {
            ret->cond = TEMPORAL_INVALID;
        } else if (v->type != TYPE_DATE && !datetime_round(t, decimals, truncate, &t)) {
            ret->cond = TEMPORAL_INVALID | TEMPORAL_OUT_OF_RANGE;
        } else if (v->type != TYPE_TIME) {
            ret->cond = datetime_check(t, flags);
        }
        ret->v = t;
        return ERR_OK;
    }
    case PHYS_STR: return text_to_datetime(ctx, v, decimals, flags, ret);
    case PHYS_INT:
        if (from->id == TYPE_YEAR) {
            /* MYSQL: a column's year is its first day; that of an expression, and one that is
             * stored, is no date. */
            unsigned first = (from->flags & TYPE_F_EXPR) == 0 ? 1 : 0;
            ret->v = datetime_make(v->u <= 9999 ? (unsigned)v->u : 0, first, first, 0, 0, 0, 0);
            if (first != 0) {
                return ERR_OK;
            }
            ret->cond = datetime_check(ret->v, flags);
            return ERR_OK;
        }
        if (from->id == TYPE_ENUM || from->id == TYPE_SET) {
            struct value text;
            struct slice s;
            TRY(value_to_text(ctx, from, v, &s));
            text = value_str(s, from->collation);
            return text_to_datetime(ctx, &text, decimals, flags, ret);
        }
        number_to_datetime(v, decimals, flags, ctx->lenient_date, ctx->whole_date, ret);
        return ERR_OK;
    case PHYS_DOUBLE:
    case PHYS_DECIMAL:
        number_to_datetime(v, decimals, flags, ctx->lenient_date, ctx->whole_date, ret);
        return ERR_OK;
    case PHYS__COUNT: break;
    }
    ret->cond = TEMPORAL_INVALID;
    return ERR_OK;
}

static db_err text_to_time(struct cast_ctx *ctx, const struct value *v, unsigned decimals,
                           unsigned flags, struct temporal_result *ret)
{
    struct slice s;
    int32_t offset_s = 0;
    int64_t datetime = 0;
    TRY(cast__ascii(ctx, v, &s));
    ret->cond = time_parse(s, decimals, flags, &ret->v, &datetime, &offset_s, &ret->note);
    if ((ret->cond & TEMPORAL_HAS_OFFSET) != 0 && (ret->cond & TEMPORAL_INVALID) == 0) {
        if (!shift_offset(ctx, offset_s, &datetime)) {
            ret->cond |= TEMPORAL_INVALID;
        } else {
            (void)time_round(datetime_time(datetime), decimals, (flags & TEMPORAL_F_TRUNCATE) != 0,
                             &ret->v);
        }
    }
    return ERR_OK;
}

db_err cast__to_time(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                     unsigned decimals, unsigned flags, struct temporal_result *ret)
{
    bool truncate = (flags & TEMPORAL_F_TRUNCATE) != 0;
    ret->cond = TEMPORAL_OK;
    ret->v = 0;
    switch ((enum phys_kind)v->phys) {
    case PHYS_TIME:
        if (v->type == TYPE_TIME) {
            ret->v = v->t;
        } else if (v->type != TYPE_DATE) {
            ret->v =
                datetime_time(v->type == TYPE_TIMESTAMP ? timestamp_to_local(ctx->tz, v->t) : v->t);
        }
        if (!time_round(ret->v, decimals, truncate, &ret->v)) {
            ret->v = ret->v < 0 ? -TIME_MICROS_MAX : TIME_MICROS_MAX;
            ret->cond = TEMPORAL_OUT_OF_RANGE;
        }
        return ERR_OK;
    case PHYS_STR: return text_to_time(ctx, v, decimals, flags, ret);
    case PHYS_INT:
        if (from->id == TYPE_ENUM || from->id == TYPE_SET) {
            struct value text;
            struct slice s;
            TRY(value_to_text(ctx, from, v, &s));
            text = value_str(s, from->collation);
            return text_to_time(ctx, &text, decimals, flags, ret);
        }
        if (from->id == TYPE_YEAR && (from->flags & TYPE_F_EXPR) == 0) {
            return ERR_OK; /* midnight of its first day */
        }
        break;
    case PHYS_DOUBLE:
    case PHYS_DECIMAL:
    case PHYS__COUNT: break;
    }
    int64_t whole;
    uint32_t nanos;
    bool neg;
    if (!cast__split_number(v, &whole, &nanos, &neg)) {
        ret->v = neg ? -TIME_MICROS_MAX : TIME_MICROS_MAX;
        ret->cond = TEMPORAL_OUT_OF_RANGE;
        return ERR_OK;
    }
    ret->cond = time_from_number(whole, nanos, neg, decimals, flags, &ret->v);
    return ERR_OK;
}

/* The value as the messages about temporals show it. */
static db_err shown_text(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                         char *out)
{
    struct slice s;
    struct value as_signed = *v;
    as_signed.is_unsigned = false; /* as MySQL prints it there */
    TRY(value_to_text(ctx, from, &as_signed, &s));
    cast__printable(v->phys == PHYS_STR ? v->collation : COLL_UTF8MB4_BIN, s, out);
    return ERR_OK;
}

db_err cast__tell_zero(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                       unsigned decimals)
{
    char shown[MESSAGE_VALUE_MAX];
    char where[256] = "";
    struct sql_type t = from->id == TYPE_DATE ? *from : type_temporal(from->id, decimals);
    TRY(shown_text(ctx, &t, v, shown));
    if (ctx->expr != NULL) {
        snprintf(where, sizeof(where), " for column '%s' at row %llu", ctx->expr,
                 (unsigned long long)ctx->row);
    }
    cast_warn(ctx, CAST_WARNING, 1292, "Incorrect", "datetime", shown, where);
    return ERR_OK;
}

/* Of constant text that is compared with a date, or with a column of dates. */
static void warn_compared(struct cast_ctx *ctx, bool for_date, const char *shown)
{
    char where[256] = "";
    if (ctx->expr != NULL) {
        snprintf(where, sizeof(where), " for column '%s' at row 1", ctx->expr);
    }
    cast_warn(ctx, CAST_WARNING, 1292, ctx->expr != NULL ? "Incorrect" : "Truncated incorrect",
              for_date ? "date" : "datetime", shown, where);
}

/* 4095 and 4096, behind what else is said about the value. */
static void warn_notes(struct cast_ctx *ctx, const struct value *v, const struct temporal_result *r)
{
    if (v->phys == PHYS_STR) {
        cast_warn_delimiter(ctx, r->cond, &r->note, v->collation, v->str);
    }
}

/* What a DATE's messages show: MySQL reads the number as a whole one first. False: say it as for
 * text. */
static bool whole_number_text(struct cast_ctx *ctx, const struct value *v, char *out)
{
    if (v->phys == PHYS_DOUBLE) {
        if (!(v->d > -9223372036854775808.0 && v->d < 9223372036854775808.0)) {
            return false;
        }
        out[int64_to_text((int64_t)v->d, out)] = '\0';
        return true;
    }
    if (v->phys == PHYS_DECIMAL) {
        struct decimal whole;
        int64_t i;
        (void)decimal_round(&v->dec, 0, DECIMAL_TRUNCATE, &whole);
        if (decimal_to_int(&whole, &i) != DECIMAL_OK) {
            char text[DECIMAL_TEXT_MAX];
            cast__warn_truncated(ctx, "DECIMAL", COLL_BINARY,
                                 slice_of(text, decimal_to_text(&whole, text)));
        }
    }
    return v->phys == PHYS_INT || v->phys == PHYS_TIME;
}

/* MYSQL: bits as a moment are the text of their bytes. */
struct moment_text {
    struct value value;
    struct sql_type type;
};

static db_err bits_as_text(struct cast_ctx *ctx, const struct sql_type **io_from,
                           const struct value **io_v, struct moment_text *text)
{
    struct slice s;
    if ((*io_from)->id != TYPE_BIT || (*io_v)->phys != PHYS_INT) {
        return ERR_OK;
    }
    TRY(value_to_text(ctx, *io_from, *io_v, &s));
    text->value = value_str(s, COLL_BINARY);
    text->type = type_char(TYPE_VARBINARY, (uint32_t)s.len, COLL_BINARY);
    *io_from = &text->type;
    *io_v = &text->value;
    return ERR_OK;
}

db_err cast__datetime(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                      unsigned decimals, bool for_date, int64_t *ret, bool *ret_null)
{
    struct temporal_result r = {0};
    char shown[MESSAGE_VALUE_MAX];
    uint64_t mode = ctx->sql_mode;
    struct value from_now;
    struct moment_text bits;
    TRY(bits_as_text(ctx, &from, &v, &bits));
    if (for_date && v->phys == PHYS_TIME && v->type == TYPE_TIME &&
        (v->t < 0 || v->t >= US_PER_DAY)) {
        from_now = *v; /* MYSQL: a TIME of no day counts from now, one of a day from midnight */
        from_now.t += datetime_time(cast_now_local(ctx));
        ctx->asked_now = true;
        v = &from_now;
    }
    if (ctx->lenient_date) {
        mode &= ~(uint64_t)SQL_MODE_NO_ZERO_IN_DATE;
        mode &= v->phys == PHYS_STR ? UINT64_MAX : ~(uint64_t)SQL_MODE_NO_ZERO_DATE;
    }
    TRY(cast__to_datetime(ctx, from, v, decimals, temporal_flags(mode), &r));
    bool is_null = (r.cond & TEMPORAL_INVALID) != 0;
    bool overflow = is_null && (r.cond & TEMPORAL_OUT_OF_RANGE) != 0;
    if (overflow) {
        cast_warn(ctx, CAST_WARNING, 1441, "datetime");
    }
    if (is_null && ctx->refused_type != NULL && v->phys == PHYS_STR) {
        TRY(shown_text(ctx, from, v, shown));
        if (ctx->compared) {
            warn_compared(ctx, for_date, shown);
        }
        *ret_null = true;
        return ctx->compared && ctx->refused ? ERR_OK
                                             : cast_error(ctx, 1525, ctx->refused_type, shown);
    }
    bool compared = ctx->compared && v->phys == PHYS_STR;
    if (compared && !is_null) {
        warn_notes(ctx, v, &r);
    }
    /* MYSQL: nothing is told of a date's zeros where it was a date before. */
    bool known =
        v->phys == PHYS_TIME && (r.cond & (TEMPORAL_ZERO_DATE | TEMPORAL_ZERO_IN_DATE)) != 0;
    if ((r.cond & (TEMPORAL_INVALID | TEMPORAL_TRUNCATED)) != 0 && ctx->warn != NULL && !known) {
        TRY(shown_text(ctx, from, v, shown));
        if (compared && !overflow) {
            warn_compared(ctx, for_date, shown);
        } else if (is_null && !overflow && for_date && !whole_number_text(ctx, v, shown)) {
            cast_warn(ctx, CAST_WARNING, 1292, "Truncated incorrect", "date", shown, "");
        } else if (is_null && !overflow) {
            cast_warn(ctx, CAST_WARNING, 1292, "Incorrect", "datetime", shown, "");
        } else if (v->phys == PHYS_STR && (r.cond & TEMPORAL_TRUNCATED) != 0) {
            bool as_date = for_date || (r.cond & TEMPORAL_NO_TIME) != 0;
            cast_warn(ctx, CAST_WARNING, 1292, "Truncated incorrect", as_date ? "date" : "datetime",
                      shown, "");
        }
    }
    if (!is_null) {
        if (!compared) {
            warn_notes(ctx, v, &r);
        }
        *ret = r.v;
    }
    /* MYSQL: a date of which something is refused is none. */
    *ret_null = is_null || (ctx->refused && (r.cond & TEMPORAL_TRUNCATED) != 0);
    return ERR_OK;
}

db_err value_to_datetime(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                         unsigned decimals, int64_t *ret, bool *ret_null)
{
    return cast__datetime(ctx, from, v, decimals, false, ret, ret_null);
}

db_err value_to_time(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                     unsigned decimals, int64_t *ret, bool *ret_null)
{
    struct temporal_result r = {0};
    char shown[MESSAGE_VALUE_MAX];
    struct moment_text bits;
    TRY(bits_as_text(ctx, &from, &v, &bits));
    TRY(cast__to_time(ctx, from, v, decimals, temporal_flags(ctx->sql_mode), &r));
    /* Text is clipped to the range of TIME, a number is refused. */
    *ret_null = (r.cond & TEMPORAL_INVALID) != 0 ||
                ((r.cond & TEMPORAL_OUT_OF_RANGE) != 0 && v->phys != PHYS_STR);
    if ((r.cond & (TEMPORAL_INVALID | TEMPORAL_TRUNCATED | TEMPORAL_OUT_OF_RANGE)) != 0 &&
        ctx->warn != NULL) {
        TRY(shown_text(ctx, from, v, shown));
        cast_warn(ctx, CAST_WARNING, 1292, "Truncated incorrect", "time", shown, "");
    }
    warn_notes(ctx, v, &r);
    if (!*ret_null) {
        *ret = r.v;
    }
    return ERR_OK;
}
