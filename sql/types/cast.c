/* CAST and implicit conversion: the target's side.
 *
 * The source's side (what a value is as a number, text, time) is in cast_number.c, cast_text.c and
 * cast_temporal.c. Here the result is fitted to the target: range, length, digits. value_cast is
 * total over pairs of types; vector_cast has loops of its own for the pairs that queries are full
 * of and calls value_cast for the rest. */
#include "sql/types/cast_int.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sql/types/json.h"

static const char *expr_text(const struct cast_ctx *ctx)
{
    return ctx->expr == NULL ? "(null)" : ctx->expr; /* MYSQL: so is who has no name */
}

/* A DOUBLE that a BIGINT cannot hold becomes its nearest bound. */
static db_err check_wide(struct cast_ctx *ctx, double d, const struct sql_type *to)
{
    double whole = rint(d);
    if ((to->wire & (TYPE_W_REFUSE_WIDE | TYPE_W_TELL_WIDE)) == 0 ||
        (whole >= -9223372036854775808.0 && whole < 9223372036854775808.0)) {
        return ERR_OK;
    }
    if ((to->wire & TYPE_W_REFUSE_WIDE) != 0) {
        return cast_error(ctx, 1690, "BIGINT", expr_text(ctx));
    }
    char text[NUMBER_TEXT_MAX];
    cast__warn_truncated(ctx, "INTEGER", COLL_BINARY,
                         slice_of(text, double_to_text(d, DECIMALS_NOT_FIXED, text)));
    return ERR_OK;
}

static db_err to_integer(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                         const struct sql_type *to, struct value *ret)
{
    bool want_unsigned = type_is_unsigned(to);
    int64_t i;
    bool is_unsigned = want_unsigned;
    if (v->phys == PHYS_DECIMAL && want_unsigned && !v->dec.neg) {
        uint64_t u;
        if (decimal_to_uint(&v->dec, &u) != DECIMAL_OK) {
            char text[DECIMAL_TEXT_MAX];
            cast__warn_truncated(ctx, "DECIMAL", COLL_BINARY,
                                 slice_of(text, decimal_to_text(&v->dec, text)));
        }
        i = (int64_t)u;
    } else if (v->phys == PHYS_STR) {
        struct slice s;
        size_t used;
        bool overflow;
        TRY(value_to_int(ctx, from, v, &i, &is_unsigned));
        TRY(cast__ascii(ctx, v, &s));
        (void)text_to_int(s, &is_unsigned, &used, &overflow);
        if (!overflow && want_unsigned && !is_unsigned && i < 0) {
            cast_warn(ctx, CAST_WARNING, 1105,
                      "Cast to unsigned converted negative integer to its positive complement");
        } else if (!overflow && !want_unsigned && is_unsigned) {
            cast_warn(ctx, CAST_WARNING, 1105,
                      "Cast to signed converted positive out-of-range integer to its negative "
                      "complement");
        }
    } else {
        TRY(v->phys == PHYS_DOUBLE ? check_wide(ctx, v->d, to) : ERR_OK);
        TRY(value_to_int(ctx, from, v, &i, &is_unsigned));
    }
    value_tag(ret, to);
    ret->i = i;
    return ERR_OK;
}

static db_err to_decimal(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                         const struct sql_type *to, struct value *ret)
{
    struct decimal d;
    TRY(cast__decimal(ctx, from, v, to->wire, &d));
    unsigned own = decimal_own_scale(&d);
    d.filled = 0;
    if (type_is_unsigned(to) && d.neg) {
        decimal_zero(&d);
        d.scale = to->decimals;
        cast_warn(ctx, CAST_WARNING, 1264, expr_text(ctx), (unsigned long long)ctx->row);
    } else if (((to->wire & TYPE_W_WHOLE_DECIMAL) == 0 || v->phys != PHYS_STR) &&
               (decimal_fit(&d, to->length, to->decimals, &d) & DECIMAL_OVERFLOW) != 0) {
        cast_warn(ctx, CAST_WARNING, 1264, expr_text(ctx), (unsigned long long)ctx->row);
    }
    if ((to->wire & TYPE_W_OWN_SCALE) != 0) {
        decimal_set_filled(&d, own);
    }
    value_tag(ret, to);
    ret->dec = d;
    return ERR_OK;
}

static db_err to_double(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                        const struct sql_type *to, struct value *ret)
{
    double d;
    if (to->id == TYPE_FLOAT && v->phys == PHYS_STR) {
        struct slice s;
        size_t used;
        bool overflow;
        TRY(cast__ascii(ctx, v, &s));
        (void)text_to_double(s, &used, &overflow);
        if (overflow) {
            return cast_error(ctx, 1690, "DOUBLE", expr_text(ctx));
        }
    }
    TRY(value_to_double(ctx, from, v, &d));
    if (to->id == TYPE_FLOAT) {
        if (fabs(d) > (double)FLT_MAX) {
            return cast_error(ctx, 1690, "DOUBLE", expr_text(ctx));
        }
        d = (double)(float)d;
    }
    value_tag(ret, to);
    ret->d = d;
    return ERR_OK;
}

static db_err to_temporal(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                          const struct sql_type *to, struct value *ret)
{
    const unsigned of_place = TYPE_W_LENIENT_DATE | TYPE_W_COMPARED | TYPE_W_LOW_DATE;
    bool is_null = false;
    int64_t t = 0;
    if (from->id == TYPE_YEAR && (to->wire & TYPE_W_SHORT_YEAR) != 0) {
        t = datetime_make((unsigned)v->u, 0, 0, 0, 0, 0, 0);
    } else if (to->id == TYPE_TIME) {
        TRY(value_to_time(ctx, from, v, to->decimals, &t, &is_null));
    } else if (to->id == TYPE_DATE && (to->wire & of_place) == 0 &&
               cast__small_date(ctx, from, v, &t)) {
        is_null = false;
    } else {
        /* A fraction does not round a DATE up, but for what lies below the microsecond. */
        ctx->lenient_date = (to->wire & TYPE_W_LENIENT_DATE) != 0;
        ctx->whole_date = (to->wire & TYPE_W_WHOLE_DATE) != 0;
        ctx->compared = (to->wire & TYPE_W_COMPARED) != 0;
        ctx->refused_type = (to->wire & TYPE_W_REFUSE_DATE) == 0        ? NULL
                            : (to->wire & TYPE_W_REFUSE_DATETIME) != 0  ? "DATETIME"
                            : (to->wire & TYPE_W_REFUSE_TIMESTAMP) != 0 ? "TIMESTAMP"
                                                                        : "DATE";
        db_err err =
            cast__datetime(ctx, from, v, to->id == TYPE_DATE ? 6 : to->decimals,
                           to->id == TYPE_DATE || (to->wire & TYPE_W_NAME_DATE) != 0, &t, &is_null);
        ctx->lenient_date = ctx->compared = false;
        ctx->refused_type = NULL;
        TRY(err);
    }
    if (!is_null && to->id == TYPE_DATE) {
        t = datetime_date(t);
    }
    if (!is_null && to->id == TYPE_TIMESTAMP) {
        bool gap;
        int64_t utc;
        is_null = !timestamp_from_local(ctx->tz, t, &utc, &gap);
        t = is_null ? 0 : utc;
    }
    bool of_date = v->phys == PHYS_TIME && v->type != TYPE_TIME;
    if (is_null && (to->wire & TYPE_W_LOW_DATE) != 0) {
        t = (to->wire & TYPE_W_NONE_IS_ZERO) != 0 ? 0 : TEMPORAL_LOWEST;
    } else if (is_null && of_date && (to->wire & TYPE_W_ZERO_STORED) != 0) {
        t = 0;
        TRY(cast__tell_zero(ctx, from, v, to->decimals));
    } else if (is_null) {
        value_set_null(ret, to);
        return ERR_OK;
    }
    value_tag(ret, to);
    ret->t = t;
    return ERR_OK;
}

/* CHAR(n) and BINARY(n) cut what is too long and say so; BINARY(n) fills up with zero bytes. */
static db_err fit_text(struct cast_ctx *ctx, const struct sql_type *to, struct slice s,
                       struct slice *ret)
{
    const struct collation *c = collation_by_id(to->collation);
    bool limited = to->id == TYPE_CHAR || to->id == TYPE_VARCHAR || to->id == TYPE_BINARY ||
                   to->id == TYPE_VARBINARY;
    struct slice fit = s;
    if (limited && s.len > to->length && (to->wire & TYPE_W_WHOLE_TEXT) == 0) {
        fit = charset_substring(c->cs, s, 0, to->length);
    }
    if (fit.len < s.len && ctx->warn != NULL) {
        char what[32];
        snprintf(what, sizeof(what), "%s(%u)", c->id == COLL_BINARY ? "BINARY" : "CHAR",
                 (unsigned)fit.len);
        cast__warn_truncated(ctx, what, to->collation, s);
    }
    if (to->id == TYPE_BINARY && fit.len < to->length) {
        uint8_t *padded = arena_alloc(ctx->arena, to->length);
        if (padded == NULL) {
            return ERR_NOMEM;
        }
        memset(padded, 0, to->length);
        if (fit.len != 0) {
            memcpy(padded, fit.ptr, fit.len);
        }
        fit = slice_of(padded, to->length);
    }
    *ret = fit;
    return ERR_OK;
}

void cast_bytes_text(struct slice s, char *out)
{
    enum { BYTES_MAX = (CAST_BYTES_TEXT_MAX - 1) / 4 };
    size_t n = 0;
    for (size_t i = 0; i < s.len && i < BYTES_MAX; i++) {
        if (s.ptr[i] >= ' ' && s.ptr[i] < 0x7f) {
            out[n++] = (char)s.ptr[i];
        } else {
            n += (size_t)snprintf(out + n, 5, "\\x%02X", s.ptr[i]);
        }
    }
    out[n] = '\0';
}

void cast_bytes_start(struct slice s, char *out)
{
    enum { BYTES_MAX = 6 };
    cast_bytes_text(s.len > BYTES_MAX ? slice_of(s.ptr, BYTES_MAX) : s, out);
    if (s.len > BYTES_MAX) {
        size_t n = strlen(out);
        snprintf(out + n, CAST_BYTES_TEXT_MAX - n, "...");
    }
}

static db_err cannot_convert(struct cast_ctx *ctx, struct slice s, const struct collation *from,
                             const struct collation *to)
{
    char text[CAST_BYTES_TEXT_MAX];
    cast_bytes_start(s, text);
    return cast_error(ctx, 3854, text, from->cs->name, to->cs->name);
}

/* Bytes are taken for text as they are: they must be text of that charset. What a charset of one
 * byte a character leaves open is told of and stays. */
static db_err check_bytes(struct cast_ctx *ctx, const struct collation *from,
                          const struct sql_type *to, const struct collation *target,
                          struct slice *io, bool *ret_null)
{
    const struct charset *cs = target->cs;
    bool refuse = (to->wire & TYPE_W_REFUSE_LOSS) != 0;
    bool stored = refuse && (to->wire & TYPE_W_STORED_TEXT) != 0;
    size_t good = stored ? cs->ops->valid_prefix(cs, *io) : charset_text_prefix(cs, *io);
    struct slice bad = slice_from(*io, good);
    if (bad.len == 0) {
        return ERR_OK;
    }
    if (refuse) {
        return cannot_convert(ctx, stored ? bad : *io, from, target);
    }
    char shown[7] = "";
    for (size_t i = 0; i < 3 && i < bad.len; i++) {
        snprintf(shown + 2 * i, 3, "%02X", bad.ptr[i]);
    }
    cast_warn(ctx, CAST_WARNING, 1300, cs->name, shown);
    if (cs->maxlen > 1) {
        *ret_null = (ctx->sql_mode & SQL_MODE_STRICT) != 0;
        io->len = good; /* MYSQL: what comes before stays when the mode is not strict */
    }
    return ERR_OK;
}

static db_err stored_real(struct cast_ctx *ctx, double d, const struct sql_type *to,
                          struct slice *ret)
{
    char text[NUMBER_TEXT_MAX];
    bool known;
    unsigned len = double_to_text(d, DECIMALS_NOT_FIXED, text);
    len = len <= to->length ? len : double_to_text_cut(d, to->length, text, &known);
    return arena_copy(ctx->arena, slice_of(text, len), ret);
}

static db_err to_text(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                      const struct sql_type *to, struct value *ret)
{
    const struct collation *target;
    TRY(collation_require_id(to->collation, ctx->diag, &target));
    struct slice s;
    if (v->phys == PHYS_DOUBLE && (to->wire & TYPE_W_STORED_REAL) != 0) {
        TRY(stored_real(ctx, v->d, to, &s));
    } else {
        TRY(value_to_text(ctx, from, v, &s));
    }
    unsigned source_id = v->phys == PHYS_STR                             ? v->collation
                         : from->id == TYPE_ENUM || from->id == TYPE_SET ? from->collation
                         : from->id == TYPE_BIT                          ? COLL_BINARY
                                                                         : COLL_ASCII_GENERAL_CI;
    if (from->id == TYPE_JSON) {
        source_id = COLL_UTF8MB4_BIN;
    }
    const struct collation *source = collation_by_id(source_id);
    if (source != NULL && source->cs != target->cs) {
        bool refuse = (to->wire & TYPE_W_REFUSE_LOSS) != 0;
        struct slice text = s;
        size_t lost = 0;
        TRY(charset_convert_arena(source->cs, text, target->cs, ctx->arena, &s, &lost));
        if (refuse && lost != 0) {
            return cannot_convert(ctx, text, source, target);
        }
        bool null = false;
        TRY(source->id == COLL_BINARY ? check_bytes(ctx, source, to, target, &s, &null) : ERR_OK);
        if (null) {
            value_set_null(ret, to);
            return ERR_OK;
        }
    }
    TRY(fit_text(ctx, to, s, &s));
    value_tag(ret, to);
    ret->str = s;
    return ERR_OK;
}

/* Two digits are of 1970..2069; 0 stays 0 for numbers. False: no year. */
static bool widen_year(int64_t n, bool from_text, uint64_t *ret)
{
    if (n == 0 && !from_text) {
        *ret = 0;
        return true;
    }
    if (n >= 0 && n < 100) {
        n += n < 70 ? 2000 : 1900;
    }
    *ret = (uint64_t)n;
    return n >= 1901 && n <= 2155;
}

static db_err text_to_year(struct cast_ctx *ctx, const struct value *v, int64_t *ret,
                           bool *ret_known)
{
    struct slice s;
    TRY(cast__ascii(ctx, v, &s));
    bool is_unsigned;
    bool overflow;
    size_t used;
    int64_t n = text_to_int(s, &is_unsigned, &used, &overflow);
    if (used == 0 || overflow || (n < 0 && !is_unsigned)) {
        char shown[MESSAGE_VALUE_MAX];
        cast__printable(v->collation, v->str, shown);
        cast_warn(ctx, CAST_WARNING, 1525, "YEAR", shown);
        *ret_known = false;
        return ERR_OK;
    }
    if (used < s.len) {
        cast__warn_truncated(ctx, "YEAR", v->collation, v->str);
    }
    *ret_known = true;
    *ret = n;
    return ERR_OK;
}

static db_err to_year(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                      const struct sql_type *to, struct value *ret)
{
    int64_t n = 0;
    bool known = true;
    bool from_text = v->phys == PHYS_STR;
    TRY(v->phys == PHYS_DOUBLE ? check_wide(ctx, v->d, to) : ERR_OK);
    if (from_text) {
        TRY(text_to_year(ctx, v, &n, &known));
    } else if (v->phys == PHYS_TIME) {
        struct temporal_result r = {0};
        TRY(cast__to_datetime(ctx, from, v, 6, 0, &r));
        n = r.v >> 46;
    } else {
        bool is_unsigned;
        TRY(value_to_int(ctx, from, v, &n, &is_unsigned));
    }
    uint64_t year = 0;
    bool temporal_year = v->phys == PHYS_TIME; /* not to be widened */
    if (known && (temporal_year ? n < 1901 || n > 2155 : !widen_year(n, from_text, &year))) {
        char text[24];
        cast__warn_truncated(ctx, "YEAR", COLL_BINARY, slice_of(text, int64_to_text(n, text)));
        known = false;
    }
    if (!known) {
        value_set_null(ret, to);
        return ERR_OK;
    }
    value_tag(ret, to);
    ret->u = temporal_year ? (uint64_t)n : year;
    return ERR_OK;
}

static db_err unsupported(struct cast_ctx *ctx, const struct sql_type *from,
                          const struct sql_type *to)
{
    char text[80];
    snprintf(text, sizeof(text), "conversion of %s to %s", type_data_type(from),
             type_data_type(to));
    return cast_error(ctx, 1235, text);
}

/* MYSQL: what a YEAR is compared with: 70 is 1970, 24 is 2024, the text '0' is 2000. */
static void widen_short_year(const struct value *v, struct value *io)
{
    bool short_zero = io->i == 0 && v->phys == PHYS_STR && v->str.len < 4;
    if (short_zero || (io->i >= 1 && io->i <= 99)) {
        io->i += io->i < 70 ? 2000 : 1900;
    }
}

/* MYSQL: of text it is the number that it begins with, without a warning when there is one; of a
 * moment its year. A double is cut, not rounded. */
static db_err short_year(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                         const struct sql_type *to, struct value *ret)
{
    if (v->phys == PHYS_TIME) {
        struct temporal_result r = {0};
        struct time_parts t;
        TRY(cast__to_datetime(ctx, from, v, TIME_DECIMALS_MAX, 0, &r));
        datetime_unpack(r.v, &t);
        value_tag(ret, to);
        ret->i = t.year;
        return ERR_OK;
    }
    if (v->phys == PHYS_STR) {
        struct slice s;
        size_t used;
        bool overflow;
        TRY(cast__ascii(ctx, v, &s));
        struct value number = value_double(round(text_to_double(s, &used, &overflow)));
        struct sql_type t = type_double();
        TRY(to_integer(ctx, &t, &number, to, ret));
        if (used == 0) { /* no number, and no year either: 0 */
            if (s.len != 0) {
                cast__warn_truncated(ctx, "DOUBLE", v->collation, v->str);
            }
            return ERR_OK;
        }
    } else if (v->phys == PHYS_DOUBLE) {
        struct value cut = value_double(trunc(v->d));
        TRY(to_integer(ctx, from, &cut, to, ret));
    } else {
        TRY(to_integer(ctx, from, v, to, ret));
    }
    widen_short_year(v, ret);
    return ERR_OK;
}

db_err value_cast(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                  const struct sql_type *to, struct value *ret)
{
    if (v->is_null) {
        value_set_null(ret, to);
        return ERR_OK;
    }
    struct value r;
    struct value number;
    if (from->id == TYPE_JSON && !type_is_string(to) && to->id != TYPE_JSON) {
        struct json_view view = json_view_of(v->str);
        return json_to_value(ctx, &view, to, ret);
    }
    if (type_is_numeric(to) && cast__bytes_number(ctx, from, v, &number)) {
        v = &number;
    }
    switch ((enum type_id)to->id) {
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_MEDIUMINT:
    case TYPE_INT:
    case TYPE_BIGINT:
    case TYPE_BIT:
        TRY((to->wire & TYPE_W_SHORT_YEAR) != 0 ? short_year(ctx, from, v, to, &r)
                                                : to_integer(ctx, from, v, to, &r));
        break;
    case TYPE_DECIMAL: TRY(to_decimal(ctx, from, v, to, &r)); break;
    case TYPE_FLOAT:
    case TYPE_DOUBLE: TRY(to_double(ctx, from, v, to, &r)); break;
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP: TRY(to_temporal(ctx, from, v, to, &r)); break;
    case TYPE_YEAR: TRY(to_year(ctx, from, v, to, &r)); break;
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_BINARY:
    case TYPE_VARBINARY:
    case TYPE_TINYTEXT:
    case TYPE_TEXT:
    case TYPE_MEDIUMTEXT:
    case TYPE_LONGTEXT:
    case TYPE_TINYBLOB:
    case TYPE_BLOB:
    case TYPE_MEDIUMBLOB:
    case TYPE_LONGBLOB: TRY(to_text(ctx, from, v, to, &r)); break;
    case TYPE_JSON: {
        struct json_node *n;
        TRY(json_from_value(ctx, from, v, &n));
        value_tag(&r, to);
        if (from->id == TYPE_JSON) {
            r.str = v->str;
        } else {
            TRY(json_write_arena(n, ctx->arena, ctx->diag, &r.str));
        }
        break;
    }
    case TYPE_NULL:
    case TYPE_ENUM:
    case TYPE_SET:
    case TYPE_GEOMETRY:
    case TYPE_VECTOR:
    case TYPE__COUNT:
    default:
        if (from->id == to->id) {
            r = *v;
            break;
        }
        return unsupported(ctx, from, to);
    }
    *ret = r;
    return ERR_OK;
}

/* ---- vectors ---- */

#define FOR_ROWS(row)                                                                              \
    for (uint32_t k_ = 0, row; k_ < count && ((row = sel == NULL ? k_ : sel[k_]), true); k_++)

static void copy_nulls(const struct vector *src, const uint16_t *sel, uint32_t count,
                       struct vector *dst)
{
    if (src->has_nulls) {
        FOR_ROWS(row)
        {
            if (vec_is_null(src, row)) {
                vec_set_null(dst, row);
            }
        }
    }
}

/* A DATE that sql_mode refuses is NULL where the target says so. MYSQL: nothing is told of it. */
static void dates_to_datetimes(const struct cast_ctx *ctx, const struct vector *src,
                               const uint16_t *sel, uint32_t count, struct vector *dst)
{
    bool check = (dst->type->wire & TYPE_W_ZERO_NULL) != 0;
    unsigned flags = temporal_flags(ctx->sql_mode);
    FOR_ROWS(row)
    {
        int64_t v = vec_i64(src, row);
        vec_set_i64(dst, row, v);
        if (check && !vec_is_null(src, row) && (datetime_check(v, flags) & TEMPORAL_INVALID) != 0) {
            vec_set_null(dst, row);
        }
    }
}

/* True when the pair has a loop here and it was run. */
static bool cast_fast(const struct cast_ctx *ctx, const struct vector *src, const uint16_t *sel,
                      uint32_t count, struct vector *dst)
{
    const struct sql_type *from = src->type;
    const struct sql_type *to = dst->type;
    bool plain_int =
        (type_is_integer(from) || from->id == TYPE_YEAR) && (to->wire & TYPE_W_SHORT_YEAR) == 0;
    if (plain_int && to->id == TYPE_BIGINT) {
        FOR_ROWS(row)
        {
            vec_set_i64(dst, row, vec_i64(src, row));
        }
    } else if (plain_int && to->id == TYPE_DOUBLE) {
        bool is_unsigned = type_is_unsigned(from);
        FOR_ROWS(row)
        {
            int64_t i = vec_i64(src, row);
            vec_set_double(dst, row, is_unsigned ? (double)(uint64_t)i : (double)i);
        }
    } else if ((from->id == TYPE_FLOAT || from->id == TYPE_DOUBLE) && to->id == TYPE_DOUBLE) {
        FOR_ROWS(row)
        {
            vec_set_double(dst, row, vec_double(src, row));
        }
    } else if (from->id == TYPE_DECIMAL && to->id == TYPE_DOUBLE) {
        FOR_ROWS(row)
        {
            vec_set_double(dst, row,
                           vec_is_null(src, row) ? 0 : decimal_to_double(vec_decimal(src, row)));
        }
    } else if (from->id == TYPE_DATE && to->id == TYPE_DATETIME &&
               (to->wire & TYPE_W_ZERO_STORED) == 0) {
        dates_to_datetimes(ctx, src, sel, count, dst);
    } else if (plain_int && to->id == TYPE_DECIMAL && to->decimals == 0 &&
               to->length >= type_int_digits(from) &&
               (!type_is_unsigned(to) || type_is_unsigned(from))) {
        bool is_unsigned = type_is_unsigned(from);
        FOR_ROWS(row)
        {
            struct decimal *d = &vec_decimals(dst)[row];
            if (is_unsigned) {
                decimal_from_uint(vec_u64(src, row), d);
            } else {
                decimal_from_int(vec_i64(src, row), d);
            }
        }
    } else {
        return false;
    }
    copy_nulls(src, sel, count, dst);
    return true;
}

db_err vector_cast(struct cast_ctx *ctx, const struct vector *src, const uint16_t *sel,
                   uint32_t count, struct vector *dst)
{
    if (vec_is_const(src) && count != 0) {
        struct value v;
        vector_get(src, 0, &v);
        TRY(value_cast(ctx, src->type, &v, dst->type, &v));
        TRY(vector_set(dst, 0, &v));
        dst->index_mask = 0;
        return ERR_OK;
    }
    if (cast_fast(ctx, src, sel, count, dst)) {
        return ERR_OK;
    }
    uint64_t first_row = ctx->row;
    db_err err = ERR_OK;
    FOR_ROWS(row)
    {
        struct value v;
        vector_get(src, row, &v);
        err = value_cast(ctx, src->type, &v, dst->type, &v);
        if (err == ERR_OK) {
            err = vector_set(dst, row, &v);
        }
        if (err != ERR_OK) {
            break;
        }
        ctx->row++;
    }
    ctx->row = first_row;
    return err;
}
