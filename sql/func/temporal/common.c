/* Facts shared by the functions of dates and times. */
#include "sql/func/families.h"

#include "sql/types/sql_mode.h"

/* In the order of the parser's numbers, from 1. */
static const uint8_t g_units[] = {
    INTERVAL_MICROSECOND,
    INTERVAL_SECOND,
    INTERVAL_MINUTE,
    INTERVAL_HOUR,
    INTERVAL_DAY,
    INTERVAL_WEEK,
    INTERVAL_MONTH,
    INTERVAL_QUARTER,
    INTERVAL_YEAR,
    INTERVAL_SECOND_MICROSECOND,
    INTERVAL_MINUTE_MICROSECOND,
    INTERVAL_MINUTE_SECOND,
    INTERVAL_HOUR_MICROSECOND,
    INTERVAL_HOUR_SECOND,
    INTERVAL_HOUR_MINUTE,
    INTERVAL_DAY_MICROSECOND,
    INTERVAL_DAY_SECOND,
    INTERVAL_DAY_MINUTE,
    INTERVAL_DAY_HOUR,
    INTERVAL_YEAR_MONTH,
};
_Static_assert(sizeof(g_units) == INTERVAL__COUNT, "a unit has no number");

bool temporal__unit(int64_t number, enum interval_unit *ret)
{
    if (number < 1 || number > INTERVAL__COUNT) {
        return false;
    }
    *ret = (enum interval_unit)g_units[number - 1];
    return true;
}

db_err temporal__unit_arg(struct func_bind_ctx *ctx, const struct func_arg *arg,
                          enum interval_unit *ret)
{
    int64_t number = 0;
    if (!func__const_int(arg, &number) || !temporal__unit(number, ret)) {
        return my_error(ctx->diag, ER_WRONG_ARGUMENTS, "INTERVAL");
    }
    return ERR_OK;
}

unsigned temporal__decimals(const struct func_arg *arg)
{
    const struct sql_type *t = &arg->type;
    if (type_is_temporal(t)) {
        return t->decimals;
    }
    if (t->id == TYPE_DECIMAL) {
        return t->decimals > TIME_DECIMALS_MAX ? TIME_DECIMALS_MAX : t->decimals;
    }
    if (func__number(t) == NUM_INT) {
        return 0;
    }
    const struct value *v = arg->constant;
    if (v == NULL || v->is_null || v->phys != PHYS_STR) {
        return TIME_DECIMALS_MAX;
    }
    unsigned digits = 0;
    for (size_t i = 0; i < v->str.len; i++) {
        if (v->str.ptr[i] != '.') {
            continue;
        }
        for (i++; i < v->str.len && v->str.ptr[i] >= '0' && v->str.ptr[i] <= '9'; i++) {
            digits++;
        }
    }
    return digits > TIME_DECIMALS_MAX ? TIME_DECIMALS_MAX : digits;
}

/* 2024-02-30 has two dashes after its first character: a date, if a wrong one, but never a time. */
static bool looks_like_date(struct slice text)
{
    unsigned dashes = 0;
    for (size_t i = 1; i < text.len && text.ptr[i] != ':'; i++) {
        dashes += text.ptr[i] == '-';
    }
    return dashes >= 2;
}

static bool parse_date(struct eval_ctx *ctx, struct slice text, int64_t *ret)
{
    int32_t offset;
    unsigned cond = datetime_parse(text, TIME_DECIMALS_MAX, temporal_flags(ctx->cast->sql_mode),
                                   ret, &offset, NULL);
    if ((cond & (TEMPORAL_INVALID | TEMPORAL_TRUNCATED)) != 0) {
        func__warn(ctx, ER_TRUNCATED_WRONG_VALUE, "time", arena_strdup(ctx->arena, text));
    }
    return (cond & TEMPORAL_INVALID) == 0;
}

bool temporal__parse_any(struct eval_ctx *ctx, struct slice text, int64_t *ret,
                         bool *ret_is_datetime)
{
    if (looks_like_date(text)) {
        *ret_is_datetime = true;
        return parse_date(ctx, text, ret);
    }
    int64_t datetime = 0;
    int32_t offset = 0;
    unsigned cond = time_parse(text, TIME_DECIMALS_MAX, temporal_flags(ctx->cast->sql_mode), ret,
                               &datetime, &offset, NULL);
    if ((cond & TEMPORAL_INVALID) != 0) {
        func__warn(ctx, ER_TRUNCATED_WRONG_VALUE, "time", arena_strdup(ctx->arena, text));
        return false;
    }
    if ((cond & (TEMPORAL_TRUNCATED | TEMPORAL_OUT_OF_RANGE)) != 0) {
        func__warn(ctx, ER_TRUNCATED_WRONG_VALUE, "time", arena_strdup(ctx->arena, text));
    }
    *ret_is_datetime = (cond & TEMPORAL_IS_DATETIME) != 0;
    if (*ret_is_datetime) {
        *ret = datetime;
    }
    return true;
}

/* ---- patterns ---- */

static bool is_utf8(const struct sql_type *t)
{
    const char *name = func__charset(t)->name;
    return strncmp(name, "utf8", 4) == 0 || strcmp(name, "ascii") == 0 ||
           t->collation == COLL_BINARY;
}

void temporal__want_pattern(struct func_bind_ctx *ctx, struct func_arg *arg)
{
    func__want_text(ctx, arg);
    if (!arg->want_cast && !is_utf8(&arg->type)) {
        func__want(arg, func__text(func__chars(&arg->type), COLL_UTF8MB4_0900_AI_CI));
    }
}

static unsigned specifier_chars(uint8_t c)
{
    switch (c) {
    case 'M':
    case 'W': return 64;
    case 'D':
    case 'Y':
    case 'x':
    case 'X': return 4;
    case 'a':
    case 'b': return 32;
    case 'j': return 3;
    case 'f': return 6;
    case 'k':
    case 'H': return 7;
    case 'r': return 11;
    case 'T': return 8;
    case 'w':
    case '%': return 1;
    default: return 2;
    }
}

uint64_t temporal__pattern_chars(const struct func_arg *arg)
{
    enum { PER_CHAR = 10, CHARS_MAX = 255 };
    const struct value *v = arg->constant;
    if (v == NULL || v->is_null || v->phys != PHYS_STR) {
        uint64_t chars = func__chars(&arg->type) * PER_CHAR;
        return chars > CHARS_MAX ? CHARS_MAX : chars;
    }
    uint64_t chars = 0;
    for (size_t i = 0; i < v->str.len; i++) {
        if (v->str.ptr[i] == '%' && i + 1 < v->str.len) {
            chars += specifier_chars(v->str.ptr[++i]);
        } else {
            chars++;
        }
    }
    return chars;
}

db_err temporal__format(struct eval_ctx *ctx, const struct time_parts *p, bool is_time,
                        struct slice pattern, struct vector *out, uint32_t row)
{
    enum { TEXT_MAX = 1 << 20 };
    bool null = false;
    SCOPE_BUF(b, TEXT_MAX);
    TRY(temporal_format(p, is_time, pattern, &date_locale_en_us, &b, &null));
    if (null) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    if (is_utf8(out->type)) {
        return func__set_buf(ctx, out, row, &b);
    }
    struct slice s = buf_slice(&b);
    TRY(arena_copy(ctx->arena, s, &s));
    const struct charset *utf8 = collation_by_id(COLL_UTF8MB4_0900_AI_CI)->cs;
    TRY(charset_convert_arena(utf8, s, func__charset(out->type), ctx->arena, &s, NULL));
    vec_set_str_ref(out, row, s);
    return ERR_OK;
}

void temporal__set_unix(struct eval_ctx *ctx, const struct timezone *tz, int64_t seconds,
                        uint32_t micro, struct vector *out, uint32_t row)
{
    (void)ctx;
    int64_t local;
    if (!timezone_from_unix(tz, seconds, micro, &local)) {
        vec_set_null(out, row);
        return;
    }
    vec_set_i64(out, row, local);
}
