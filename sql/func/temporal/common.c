/* Facts shared by the functions of dates and times. */
#include "sql/func/families.h"

#include <math.h>

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
    if (!func__const_int(ctx, arg, &number) || !temporal__unit(number, ret)) {
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
    if (t->id == TYPE_DECIMAL || t->id == TYPE_DOUBLE || t->id == TYPE_FLOAT) {
        return t->decimals > TIME_DECIMALS_MAX ? TIME_DECIMALS_MAX : t->decimals;
    }
    if (func__number(t) == NUM_INT || t->id == TYPE_NULL) {
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

static void warn_any(struct eval_ctx *ctx, const char *how, const char *what, struct slice text)
{
    cast_warn(ctx->cast, CAST_WARNING, 1292, how, what, arena_strdup(ctx->arena, text), "");
}

/* MYSQL: TIME_FORMAT, TIMEDIFF, and of an amount the time, take any day of a month, and none; parts
 * are also taken of a date that has some zeros. */
static unsigned role_flags(const struct eval_ctx *ctx, enum temporal_role role)
{
    if (role == TEMPORAL_EXTRACTED) {
        return temporal_flags(ctx->cast->sql_mode & ~(uint64_t)SQL_MODE_NO_ZERO_IN_DATE);
    }
    return temporal_flags(role == TEMPORAL_SUMMAND ? ctx->cast->sql_mode
                                                   : (uint64_t)SQL_MODE_ALLOW_INVALID_DATES);
}

/* MYSQL: 2024-13-45 is no date, but the time 2024 with something behind it; parts are taken of a
 * time also where something stands behind a date. */
static bool is_no_date(struct slice text, enum temporal_role role)
{
    int64_t ignored;
    int32_t offset;
    struct temporal_note note = {0};
    unsigned cond =
        datetime_parse(text, TIME_DECIMALS_MAX, temporal_flags(SQL_MODE_ALLOW_INVALID_DATES),
                       &ignored, &offset, &note);
    unsigned none =
        role == TEMPORAL_EXTRACTED ? TEMPORAL_INVALID | TEMPORAL_TRUNCATED : TEMPORAL_INVALID;
    return (cond & none) != 0;
}

/* A wrong date: NULL with a warning, or NULL. */
static bool parse_date(struct eval_ctx *ctx, struct slice text, enum temporal_role role,
                       int64_t *ret, bool *ret_is_datetime)
{
    int32_t offset;
    struct temporal_note note = {0};
    unsigned cond =
        datetime_parse(text, TIME_DECIMALS_MAX, role_flags(ctx, role), ret, &offset, &note);
    *ret_is_datetime = true;
    if ((cond & TEMPORAL_INVALID) == 0) {
        cast_warn_delimiter(ctx->cast, cond, &note, COLL_UTF8MB4_BIN, text);
        return true;
    }
    if (role == TEMPORAL_EXTRACTED || role == TEMPORAL_SHOWN) {
        warn_any(ctx, "Incorrect", "datetime", text);
    } else if (role == TEMPORAL_SUMMAND) {
        warn_any(ctx, "Truncated incorrect", (cond & TEMPORAL_NO_TIME) != 0 ? "date" : "datetime",
                 text);
    }
    return false;
}

bool temporal__parse_any(struct eval_ctx *ctx, struct slice text, enum temporal_role role,
                         int64_t *ret, bool *ret_is_datetime)
{
    bool dashes = role != TEMPORAL_AMOUNT && looks_like_date(text); /* MYSQL: no amount is a date */
    if (dashes && !is_no_date(text, role)) {
        return parse_date(ctx, text, role, ret, ret_is_datetime);
    }
    int64_t datetime = 0;
    int32_t offset = 0;
    struct temporal_note note = {0};
    /* MYSQL: a time is rounded, whatever the sql_mode. */
    unsigned flags = role_flags(ctx, role) & ~(unsigned)TEMPORAL_F_TRUNCATE;
    unsigned cond = time_parse(text, TIME_DECIMALS_MAX, flags, ret, &datetime, &offset, &note);
    if ((cond & TEMPORAL_INVALID) != 0) {
        bool digit = text.len != 0 && text.ptr[0] >= '0' && text.ptr[0] <= '9';
        if ((digit && !dashes) || role == TEMPORAL_AMOUNT || role == TEMPORAL_EXTRACTED) {
            warn_any(ctx, "Truncated incorrect", "time", text);
        } else {
            warn_any(ctx, "Incorrect", "datetime", text);
        }
        return false;
    }
    if ((cond & (TEMPORAL_TRUNCATED | TEMPORAL_OUT_OF_RANGE)) != 0) {
        warn_any(ctx, "Truncated incorrect", "time", text);
    }
    cast_warn_delimiter(ctx->cast, cond, &note, COLL_UTF8MB4_BIN, text);
    *ret_is_datetime = (cond & TEMPORAL_IS_DATETIME) != 0 && !dashes;
    if (*ret_is_datetime) {
        *ret = datetime;
    }
    return true;
}

void temporal__want_ascii(struct func_bind_ctx *ctx, struct func_arg *arg)
{
    func__want_text(ctx, arg);
    if (!func__charset(arg->want_cast ? &arg->want : &arg->type)->ascii_superset) {
        func__want(arg, func__text(func__chars(&arg->type), COLL_UTF8MB4_0900_AI_CI));
    }
}

void temporal__want_any(struct func_bind_ctx *ctx, struct func_arg *arg)
{
    if (arg->type.id == TYPE_TIMESTAMP || arg->type.id == TYPE_BIT) {
        func__want_datetime(arg);
    } else if (type_is_temporal(&arg->type)) {
        return;
    } else if (func__is_text(&arg->type)) {
        temporal__want_ascii(ctx, arg);
    } else {
        func__want_decimal(arg);
    }
}

/* 101112 is a time, 20240229 a date, 20240229101112 both. */
static db_err number_any(struct eval_ctx *ctx, const struct sql_type *t, const struct value *v,
                         enum temporal_role role, int64_t *ret, bool *ret_is_datetime,
                         bool *ret_null)
{
    enum { FIRST_DATE = 10000101 };
    double d = v->is_null ? 0 : decimal_to_double(&v->dec);
    *ret_is_datetime = d >= FIRST_DATE;
    if (!*ret_is_datetime) {
        return value_to_time(ctx->cast, t, v, TIME_DECIMALS_MAX, ret, ret_null);
    }
    if (role == TEMPORAL_AMOUNT && d < 1e9) { /* a date is no amount of time */
        return value_to_time(ctx->cast, t, v, TIME_DECIMALS_MAX, ret, ret_null);
    }
    return value_to_datetime(ctx->cast, t, v, TIME_DECIMALS_MAX, ret, ret_null);
}

db_err temporal__get_any(struct eval_ctx *ctx, const struct sql_type *t, const struct vector *v,
                         uint32_t row, enum temporal_role role, int64_t *ret, bool *ret_is_datetime,
                         bool *ret_null)
{
    *ret_null = false;
    if (v->phys == PHYS_STR) {
        *ret_null = !temporal__parse_any(ctx, vec_str(v, row), role, ret, ret_is_datetime);
        return ERR_OK;
    }
    if (v->phys == PHYS_DECIMAL) {
        struct value n;
        vector_get(v, row, &n);
        return number_any(ctx, t, &n, role, ret, ret_is_datetime, ret_null);
    }
    *ret = vec_i64(v, row);
    *ret_is_datetime = t->id != TYPE_TIME;
    return ERR_OK;
}

db_err temporal__get_parts(struct eval_ctx *ctx, const struct sql_type *t, const struct vector *v,
                           uint32_t row, enum temporal_role role, struct time_parts *ret,
                           bool *ret_is_datetime, bool *ret_null)
{
    int64_t n;
    TRY(temporal__get_any(ctx, t, v, row, role, &n, ret_is_datetime, ret_null));
    if (*ret_null) {
        return ERR_OK;
    }
    if (*ret_is_datetime) {
        datetime_unpack(n, ret);
    } else {
        time_unpack(n, ret);
    }
    return ERR_OK;
}

bool temporal__is_year(const struct sql_type *t)
{
    return t->id == TYPE_YEAR && (t->flags & TYPE_F_EXPR) == 0;
}

bool temporal__is_number(const struct sql_type *t)
{
    return type_is_numeric(t) && t->id != TYPE_BIT && t->id != TYPE_YEAR;
}

db_err temporal__number_moment(struct eval_ctx *ctx, const struct sql_type *t,
                               const struct vector *numbers, uint32_t row, uint64_t sql_mode,
                               int64_t *ret, bool *ret_date_only, bool *ret_null)
{
    enum { DATE_MAX = 99991231 };
    uint64_t own_mode = ctx->cast->sql_mode;
    struct value number;
    struct slice text;
    double size;
    vector_get(numbers, row, &number);
    ctx->cast->sql_mode = sql_mode;
    db_err err = value_to_datetime(ctx->cast, t, &number, TIME_DECIMALS_MAX, ret, ret_null);
    ctx->cast->sql_mode = own_mode;
    TRY(err);
    TRY(value_to_double(ctx->cast, t, &number, &size));
    *ret_date_only = size < DATE_MAX + 1.0;
    if (!*ret_null && *ret_date_only && size != floor(size)) {
        TRY(value_to_text(ctx->cast, t, &number, &text));
        cast_warn(ctx->cast, CAST_WARNING, ER_TRUNCATED_WRONG_VALUE, "Truncated incorrect", "date",
                  arena_strdup(ctx->arena, text), "");
    }
    return ERR_OK;
}

void temporal__want_seconds(struct func_arg *arg)
{
    arg->reads_decimal = type_is_string(&arg->type);
    if (arg->type.id != TYPE_DOUBLE && arg->type.id != TYPE_FLOAT && !arg->reads_decimal) {
        func__want_decimal(arg);
    }
}

db_err temporal__get_seconds(struct eval_ctx *ctx, const struct sql_type *t, const struct vector *v,
                             uint32_t row, struct decimal *ret)
{
    if (v->phys == PHYS_DECIMAL) {
        *ret = *vec_decimal(v, row);
        return ERR_OK;
    }
    struct value n;
    vector_get(v, row, &n);
    return text_to_decimal(ctx->cast, t, &n, ret);
}

enum decimal_round_mode temporal__rounding(const struct eval_ctx *ctx)
{
    bool truncate = (ctx->cast->sql_mode & SQL_MODE_TIME_TRUNCATE_FRACTIONAL) != 0;
    return truncate ? DECIMAL_TRUNCATE : DECIMAL_HALF_UP;
}

bool temporal__seconds_fit(struct eval_ctx *ctx, const struct decimal *seconds)
{
    enum { DIGITS_MAX = 18 };
    if (decimal_int_digits(seconds) <= DIGITS_MAX) {
        return true;
    }
    char text[DECIMAL_TEXT_MAX + 1];
    text[decimal_to_text(seconds, text)] = '\0';
    func__warn(ctx, ER_TRUNCATED_WRONG_VALUE, "DECIMAL", text);
    return false;
}

static unsigned fraction_digits(const struct temporal_note *note)
{
    return note->fraction > TIME_DECIMALS_MAX ? TIME_DECIMALS_MAX : note->fraction;
}

unsigned temporal__seconds_decimals(const struct func_arg *arg)
{
    bool text = func__is_text(&arg->type) && func__number(&arg->type) != NUM_INT;
    return text ? (unsigned)TIME_DECIMALS_MAX : temporal__decimals(arg);
}

unsigned temporal__date_decimals(const struct func_arg *arg)
{
    const struct value *v = arg->constant;
    int64_t packed;
    int32_t offset;
    struct temporal_note note = {0};
    if (v == NULL || v->is_null || v->phys != PHYS_STR || type_is_temporal(&arg->type)) {
        return temporal__decimals(arg);
    }
    unsigned cond =
        datetime_parse(v->str, TIME_DECIMALS_MAX, temporal_flags(SQL_MODE_ALLOW_INVALID_DATES),
                       &packed, &offset, &note);
    /* MYSQL: what it is not known to have */
    return (cond & TEMPORAL_INVALID) != 0 ? TIME_DECIMALS_MAX : fraction_digits(&note);
}

unsigned temporal__time_decimals(const struct func_arg *arg)
{
    const struct value *v = arg->constant;
    int64_t packed;
    int64_t datetime;
    int32_t offset;
    struct temporal_note note = {0};
    if (v == NULL || v->is_null || v->phys != PHYS_STR || type_is_temporal(&arg->type)) {
        return temporal__decimals(arg);
    }
    /* MYSQL: also of text that is a date: 1999-12-31 is no time, 2000-01-01 is 20 minutes */
    unsigned cond = time_parse(v->str, TIME_DECIMALS_MAX, 0, &packed, &datetime, &offset, &note);
    return (cond & TEMPORAL_INVALID) != 0 ? TIME_DECIMALS_MAX : fraction_digits(&note);
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
    if (!is_utf8(arg->want_cast ? &arg->want : &arg->type)) {
        func__want(arg, func__text(func__chars(&arg->type), COLL_UTF8MB4_0900_AI_CI));
    }
}

static unsigned specifier_chars(uint8_t c)
{
    switch (c) {
    case 'M':
    case 'W': return 64;
    case 'b':
    case 'a': return 32;
    case 'D':
    case 'Y':
    case 'x':
    case 'X': return 4;
    case 'j': return 3;
    case 'f': return 6;
    case 'k':
    case 'H': return 7;
    case 'r': return 11;
    case 'T': return 8;
    case 'c':
    case 'd':
    case 'e':
    case 'h':
    case 'I':
    case 'i':
    case 'l':
    case 'm':
    case 'p':
    case 'S':
    case 's':
    case 'U':
    case 'u':
    case 'V':
    case 'v':
    case 'y': return 2;
    default: return 1; /* the character itself */
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
    const struct date_locale *locale =
        ctx->env == NULL || ctx->env->locale == NULL ? date_locale_en_us : ctx->env->locale;
    TRY(temporal_format(p, is_time, pattern, locale, &b, &null));
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

int64_t temporal__first_moment(void)
{
    return datetime_to_micros(datetime_make(0, 1, 1, 0, 0, 0, 0));
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
