/* Values to integers, doubles and decimals, as expressions do it: the best effort, with a warning.
 */
#include "sql/types/cast_int.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "sql/types/json.h"

db_err cast__ascii(struct cast_ctx *ctx, const struct value *v, struct slice *ret)
{
    const struct collation *c = collation_by_id(v->collation);
    if (c == NULL || c->cs->ascii_superset || c->id == COLL_BINARY) {
        *ret = v->str;
        return ERR_OK;
    }
    return charset_convert_arena(c->cs, v->str, charset_by_name(SLICE_LIT("utf8mb4")), ctx->arena,
                                 ret, NULL);
}

static db_err not_yet(struct cast_ctx *ctx, const struct sql_type *from)
{
    switch ((int)from->id) {
    case TYPE_GEOMETRY: return cast_error(ctx, 1235, "conversion of GEOMETRY");
    default: return ERR_OK;
    }
}

static db_err from_json(struct cast_ctx *ctx, const struct value *v, struct sql_type to,
                        struct value *ret)
{
    struct json_view view = json_view_of(v->str);
    return json_to_value(ctx, &view, &to, ret);
}

/* Anything but spaces from byte `used` on? */
static bool has_rest(struct slice s, size_t used)
{
    for (size_t i = used; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        if (c != ' ' && (c < '\t' || c > '\r')) {
            return true;
        }
    }
    return false;
}

static int64_t double_to_int(double d)
{
    d = rint(d);
    if (!(d < 9223372036854775808.0)) {
        return isnan(d) ? 0 : INT64_MAX;
    }
    return d < -9223372036854775808.0 ? INT64_MIN : (int64_t)d;
}

/* Local packed time of a TIMESTAMP, itself of the others. */
static int64_t local_time(const struct cast_ctx *ctx, const struct value *v)
{
    return v->type == TYPE_TIMESTAMP ? timestamp_to_local(ctx->tz, v->t) : v->t;
}

/* Temporals are rounded to whole seconds; a carry moves the calendar. */
static int64_t temporal_to_int(const struct cast_ctx *ctx, const struct value *v)
{
    int64_t t = local_time(ctx, v);
    if (v->type == TYPE_DATE) {
        return date_to_number(t);
    }
    bool truncate = (ctx->sql_mode & SQL_MODE_TIME_TRUNCATE_FRACTIONAL) != 0;
    if (v->type == TYPE_TIME) {
        (void)time_round(t, 0, truncate, &t);
        return time_to_number(t);
    }
    if (!datetime_round(t, 0, truncate, &t)) {
        (void)datetime_round(t, 0, true, &t);
    }
    return datetime_to_number(t);
}

static db_err text_to_int_value(struct cast_ctx *ctx, const struct value *v, int64_t *ret,
                                bool *ret_unsigned)
{
    struct slice s;
    TRY(cast__ascii(ctx, v, &s));
    size_t used;
    bool overflow;
    bool is_unsigned;
    int64_t i = text_to_int(s, &is_unsigned, &used, &overflow);
    /* MYSQL: a vector is silently what number its bytes begin with */
    if (v->type != TYPE_VECTOR && (used == 0 || overflow || has_rest(s, used))) {
        cast__warn_truncated(ctx, "INTEGER", v->collation, v->str);
    }
    *ret = i;
    *ret_unsigned = is_unsigned;
    return ERR_OK;
}

static void decimal_to_int_value(struct cast_ctx *ctx, const struct value *v, bool want_unsigned,
                                 int64_t *ret)
{
    unsigned cond;
    if (want_unsigned && !v->dec.neg) {
        uint64_t u;
        cond = decimal_to_uint(&v->dec, &u);
        *ret = (int64_t)u;
    } else {
        cond = decimal_to_int(&v->dec, ret);
    }
    if ((cond & DECIMAL_OVERFLOW) != 0 && ctx->warn != NULL) {
        char text[DECIMAL_TEXT_MAX];
        cast__warn_truncated(ctx, "DECIMAL", COLL_BINARY,
                             slice_of(text, decimal_to_text(&v->dec, text)));
    }
}

uint64_t cast__last_bytes(struct slice s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        n = n << 8 | s.ptr[i];
    }
    return n;
}

/* The message shows the literal, or its beginning. */
static void warn_bytes(struct cast_ctx *ctx, struct slice s)
{
    enum { SHOWN_MAX = 128 };
    char text[SHOWN_MAX + 3] = "x'";
    size_t n = 2;
    for (size_t i = 0; i < s.len && n < SHOWN_MAX; i++) {
        n += (size_t)snprintf(text + n, 3, "%02x", s.ptr[i]);
    }
    text[n++] = '\'';
    cast__warn_truncated(ctx, "BINARY", COLL_BINARY, slice_of(text, n > SHOWN_MAX ? SHOWN_MAX : n));
}

/* MYSQL: more bytes than a number has, zero ones in front aside, are no number. */
bool cast__bytes_number(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                        struct value *ret)
{
    if ((from->flags & TYPE_F_BYTES_NUMBER) == 0 || v->phys != PHYS_STR) {
        return false;
    }
    struct slice s = v->str;
    while (s.len > sizeof(uint64_t) && s.ptr[0] == 0) {
        s = slice_of(s.ptr + 1, s.len - 1);
    }
    bool fits = s.len <= sizeof(uint64_t);
    if (!fits) {
        warn_bytes(ctx, v->str);
    }
    *ret = value_uint(fits ? cast__last_bytes(s) : 0);
    return true;
}

db_err value_to_int(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                    int64_t *ret, bool *ret_unsigned)
{
    ASSERT_SLOW(!v->is_null);
    TRY(not_yet(ctx, from));
    struct value number;
    if (from->id == TYPE_JSON) {
        TRY(from_json(ctx, v, type_int(TYPE_BIGINT, false), &number));
        v = &number;
    } else if (cast__bytes_number(ctx, from, v, &number)) {
        v = &number;
    }
    *ret_unsigned = false;
    switch ((enum phys_kind)v->phys) {
    case PHYS_INT:
        *ret = v->i;
        *ret_unsigned = v->is_unsigned;
        break;
    case PHYS_DOUBLE: *ret = double_to_int(v->d); break;
    case PHYS_DECIMAL: decimal_to_int_value(ctx, v, false, ret); break;
    case PHYS_TIME: *ret = temporal_to_int(ctx, v); break;
    case PHYS_STR: return text_to_int_value(ctx, v, ret, ret_unsigned);
    case PHYS__COUNT: break;
    }
    return ERR_OK;
}

/* The part below the second of a temporal as a number's fraction. */
static unsigned temporal_micros(const struct cast_ctx *ctx, const struct value *v)
{
    int64_t t = local_time(ctx, v);
    if (v->type == TYPE_TIME) {
        return (unsigned)((t < 0 ? -t : t) % US_PER_SECOND);
    }
    return (unsigned)(t & 0xfffff);
}

static void temporal_to_decimal(const struct cast_ctx *ctx, const struct value *v,
                                struct decimal *ret)
{
    int64_t t = local_time(ctx, v);
    if (v->type == TYPE_DATE) {
        decimal_from_int(date_to_number(t), ret);
        return;
    }
    struct time_parts p;
    bool neg = false;
    uint64_t whole;
    if (v->type == TYPE_TIME) {
        time_unpack(t, &p);
        neg = p.neg;
        whole = (uint64_t)p.hour * 10000 + p.minute * 100 + p.second;
    } else {
        whole = (uint64_t)datetime_to_number(t);
    }
    __extension__ unsigned __int128 scaled =
        (unsigned __int128)whole * 1000000 + temporal_micros(ctx, v);
    ret->limb[0] = (uint64_t)scaled;
    ret->limb[1] = (uint64_t)(scaled >> 64);
    ret->used = ret->limb[1] != 0 ? 2 : ret->limb[0] != 0 ? 1 : 0;
    ret->neg = neg && ret->used != 0;
    ret->scale = 6;
    ret->filled = 0;
    (void)decimal_round(ret, v->decimals > 6 ? 6 : v->decimals, DECIMAL_TRUNCATE, ret);
}

/* MYSQL: nothing is said of what stands behind the number in a column of TEXT or BLOB. */
static bool is_quiet(const struct sql_type *from)
{
    return from->id == TYPE_VECTOR || (type_is_blob(from) && (from->flags & TYPE_F_EXPR) == 0);
}

db_err value_to_double(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                       double *ret)
{
    ASSERT_SLOW(!v->is_null);
    TRY(not_yet(ctx, from));
    struct value number;
    if (from->id == TYPE_JSON) {
        TRY(from_json(ctx, v, type_double(), &number));
        v = &number;
    } else if (cast__bytes_number(ctx, from, v, &number)) {
        v = &number;
    }
    switch ((enum phys_kind)v->phys) {
    case PHYS_INT: *ret = v->is_unsigned ? (double)v->u : (double)v->i; break;
    case PHYS_DOUBLE: *ret = v->d; break;
    case PHYS_DECIMAL: *ret = decimal_to_double(&v->dec); break;
    case PHYS_TIME: {
        struct decimal d;
        temporal_to_decimal(ctx, v, &d);
        *ret = decimal_to_double(&d);
        break;
    }
    case PHYS_STR: {
        struct slice s;
        TRY(cast__ascii(ctx, v, &s));
        size_t used;
        bool overflow;
        *ret = text_to_double(s, &used, &overflow);
        if (!is_quiet(from) && (overflow || has_rest(s, used))) {
            cast__warn_truncated(ctx, "DOUBLE", v->collation, v->str);
        }
        break;
    }
    case PHYS__COUNT: break;
    }
    return ERR_OK;
}

/* MySQL shows a number that is too large up to its exponent. */
static void warn_mantissa(struct cast_ctx *ctx, struct slice text)
{
    const uint8_t *e = memchr(text.ptr, 'e', text.len);
    if (e != NULL) {
        cast__warn_truncated(ctx, "DECIMAL", COLL_BINARY,
                             slice_of(text.ptr, (size_t)(e - text.ptr)));
    }
}

static db_err read_decimal(struct cast_ctx *ctx, const struct value *v, unsigned wire,
                           struct decimal *ret)
{
    enum { NOT_ALL = DECIMAL_OVERFLOW | DECIMAL_BAD_NUM | DECIMAL_TRAILING | DECIMAL_TRUNCATED };
    struct slice s;
    TRY(cast__ascii(ctx, v, &s));
    unsigned cond = decimal_from_text(s, ret);
    if ((cond & DECIMAL_OVERFLOW) != 0) {
        warn_mantissa(ctx, s);
        decimal_max_value(DECIMAL_PRECISION_MAX, 0, ret->neg, ret);
    }
    if ((cond & DECIMAL_BAD_NUM) != 0 && (wire & (TYPE_W_COLUMN_TEXT | TYPE_W_MADE_TEXT)) != 0) {
        cast__warn_no_digit(ctx);
    }
    if ((cond & NOT_ALL) != 0 && (wire & TYPE_W_MADE_TEXT) == 0) {
        cast__warn_truncated(ctx, "DECIMAL", v->collation, v->str);
    }
    return ERR_OK;
}

db_err value_to_decimal(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                        struct decimal *ret)
{
    return cast__decimal(ctx, from, v, 0, ret);
}

db_err text_to_decimal(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                       struct decimal *ret)
{
    bool text = type_is_string(from);
    return cast__decimal(ctx, from, v,
                         text ? from->wire & (TYPE_W_COLUMN_TEXT | TYPE_W_MADE_TEXT) : 0, ret);
}

db_err cast__decimal(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                     unsigned wire, struct decimal *ret)
{
    ASSERT_SLOW(!v->is_null);
    TRY(not_yet(ctx, from));
    struct value number;
    if (from->id == TYPE_JSON) {
        TRY(from_json(ctx, v, type_decimal(DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX, false),
                      &number));
        v = &number;
    } else if (cast__bytes_number(ctx, from, v, &number)) {
        v = &number;
    }
    switch ((enum phys_kind)v->phys) {
    case PHYS_INT:
        if (v->is_unsigned) {
            decimal_from_uint(v->u, ret);
        } else {
            decimal_from_int(v->i, ret);
        }
        break;
    case PHYS_DOUBLE:
        if ((decimal_from_double(v->d, ret) & DECIMAL_OVERFLOW) != 0) {
            char text[NUMBER_TEXT_MAX];
            warn_mantissa(ctx, slice_of(text, double_to_text(v->d, DECIMALS_NOT_FIXED, text)));
            decimal_max_value(DECIMAL_PRECISION_MAX, 0, v->d < 0, ret);
        }
        break;
    case PHYS_DECIMAL: *ret = v->dec; break;
    case PHYS_TIME: temporal_to_decimal(ctx, v, ret); break;
    case PHYS_STR: return read_decimal(ctx, v, wire, ret);
    case PHYS__COUNT: break;
    }
    return ERR_OK;
}

bool cast__split_number(const struct value *v, int64_t *ret_whole, uint32_t *ret_nanos,
                        bool *ret_neg)
{
    *ret_nanos = 0;
    if (v->phys == PHYS_INT) {
        *ret_whole = v->i; /* MySQL reads unsigned numbers as signed here */
        *ret_neg = v->i < 0;
        return true;
    }
    struct decimal d;
    if (v->phys == PHYS_DOUBLE) {
        if ((decimal_from_double(v->d, &d) & DECIMAL_OVERFLOW) != 0) {
            *ret_neg = v->d < 0;
            return false;
        }
    } else {
        d = v->dec;
    }
    struct decimal whole;
    struct decimal fraction;
    (void)decimal_round(&d, 0, DECIMAL_TRUNCATE, &whole);
    *ret_neg = d.neg;
    if (decimal_to_int(&whole, ret_whole) != DECIMAL_OK) {
        return false;
    }
    (void)decimal_sub(&d, &whole, &fraction);
    (void)decimal_round(&fraction, 9, DECIMAL_TRUNCATE, &fraction);
    *ret_nanos = fraction.used == 0 ? 0 : (uint32_t)fraction.limb[0];
    return true;
}

db_err value_is_true(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                     bool *ret)
{
    if (v->is_null) {
        *ret = false;
        return ERR_OK;
    }
    if (from->id == TYPE_JSON) {
        *ret = json_truth(v->str);
        return ERR_OK;
    }
    if (v->phys == PHYS_INT || v->phys == PHYS_TIME) {
        *ret = v->i != 0;
        return ERR_OK;
    }
    if (v->phys == PHYS_DECIMAL) {
        *ret = !decimal_is_zero(&v->dec);
        return ERR_OK;
    }
    double d;
    TRY(value_to_double(ctx, from, v, &d));
    *ret = d != 0;
    return ERR_OK;
}
