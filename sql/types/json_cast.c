/* JSON and the other types.
 *
 * Into JSON: a SQL value becomes the scalar that is nearest to it; what JSON has no type for is
 * kept as bytes with the wire type of its column. Out of JSON: numbers, booleans and the text of
 * strings become numbers; only temporals and strings become times; text gets the document as it is
 * printed. What cannot be one gives warning 3156 (out of range: 3155) and zero, or NULL for times.
 */
#include "sql/types/json_int.h"

#include <float.h>
#include <math.h>

#include "sql/types/cast_int.h"
#include "sql/types/sql_mode.h"

/* ---- into JSON ---- */

static struct json_node *text_node(struct cast_ctx *ctx, struct slice s)
{
    return json_node_str(ctx->arena, s);
}

static db_err string_node(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                          struct json_node **ret)
{
    const struct collation *c = collation_by_id(v->collation);
    struct slice s = v->str;
    if (c == NULL || c->id == COLL_BINARY) {
        struct json_node *n = json_node_new(ctx->arena, JSON_OPAQUE);
        if (n == NULL) {
            return ERR_LIMIT;
        }
        switch ((int)from->id) {
        case TYPE_TINYBLOB: n->wire = WIRE_TYPE_TINY_BLOB; break;
        case TYPE_BLOB: n->wire = WIRE_TYPE_BLOB; break;
        case TYPE_MEDIUMBLOB: n->wire = WIRE_TYPE_MEDIUM_BLOB; break;
        case TYPE_LONGBLOB: n->wire = WIRE_TYPE_LONG_BLOB; break;
        case TYPE_BINARY:
            n->wire = (from->flags & TYPE_F_EXPR) != 0 ? WIRE_TYPE_VARCHAR : WIRE_TYPE_STRING;
            break;
        case TYPE_GEOMETRY:
        case TYPE_VECTOR: return cast_error(ctx, 1235, "conversion to JSON");
        default: n->wire = WIRE_TYPE_VARCHAR; break;
        }
        n->u.str = s;
        *ret = n;
        return ERR_OK;
    }
    const struct charset *utf8 = charset_by_name(SLICE_LIT("utf8mb4"));
    if (c->cs != utf8) {
        TRY(charset_convert_arena(c->cs, s, utf8, ctx->arena, &s, NULL));
    }
    *ret = text_node(ctx, s);
    return *ret == NULL ? ERR_LIMIT : ERR_OK;
}

static db_err int_node(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                       struct json_node *n)
{
    switch ((int)from->id) {
    case TYPE_ENUM:
    case TYPE_SET: {
        struct value text;
        TRY(value_to_text(ctx, from, v, &text.str));
        text = value_str(text.str, from->collation);
        struct json_node *s;
        TRY(string_node(ctx, from, &text, &s));
        *n = *s;
        return ERR_OK;
    }
    case TYPE_BIT:
        n->type = JSON_OPAQUE;
        n->wire = WIRE_TYPE_BIT;
        return cast__bit_text(ctx, from->length, v->u, &n->u.str);
    default: break;
    }
    bool truth = (from->flags & TYPE_F_BOOL) != 0;
    n->type = truth                                      ? JSON_BOOLEAN
              : type_is_unsigned(from) || v->is_unsigned ? JSON_UINT
                                                         : JSON_INT;
    if (truth) {
        n->u.b = v->i != 0;
    } else {
        n->u.i = v->i;
    }
    return ERR_OK;
}

static void time_node(const struct cast_ctx *ctx, const struct value *v, struct json_node *n)
{
    n->type = v->type == TYPE_DATE ? JSON_DATE : v->type == TYPE_TIME ? JSON_TIME : JSON_DATETIME;
    n->u.t = v->t;
    if (v->type == TYPE_TIMESTAMP) {
        n->wire = WIRE_TYPE_TIMESTAMP;
        n->u.t = timestamp_to_local(ctx->tz, v->t);
    }
}

db_err json_from_value(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                       struct json_node **ret)
{
    if (v->phys == PHYS_STR) {
        if (from->id != TYPE_JSON) {
            return string_node(ctx, from, v, ret);
        }
        struct json_view view = json_view_of(v->str);
        *ret = json_node_of(ctx->arena, &view);
        return *ret == NULL ? ERR_LIMIT : ERR_OK;
    }
    struct json_node *n = json_node_new(ctx->arena, JSON_NULL);
    if (n == NULL) {
        return ERR_LIMIT;
    }
    switch ((enum phys_kind)v->phys) {
    case PHYS_INT: TRY(int_node(ctx, from, v, n)); break;
    case PHYS_DOUBLE:
        n->type = JSON_DOUBLE;
        n->u.d = v->d;
        break;
    case PHYS_DECIMAL:
        n->type = JSON_DECIMAL;
        n->u.dec = ARENA_NEW(ctx->arena, struct decimal);
        if (n->u.dec == NULL) {
            return ERR_LIMIT;
        }
        *n->u.dec = *decimal_own(&v->dec, n->u.dec);
        break;
    case PHYS_TIME: time_node(ctx, v, n); break;
    case PHYS_STR:
    case PHYS__COUNT: break;
    }
    *ret = n;
    return ERR_OK;
}

/* ---- out of JSON ---- */

bool json_natural(const struct json_view *v, struct value *ret, struct sql_type *ret_type)
{
    struct decimal d;
    switch ((enum json_type)v->type) {
    case JSON_INT: *ret = value_int(json_int(v)); break;
    case JSON_UINT: *ret = value_uint((uint64_t)json_int(v)); break;
    case JSON_BOOLEAN: *ret = value_int(json_bool(v)); break;
    case JSON_DOUBLE: *ret = value_double(json_double(v)); break;
    case JSON_DECIMAL:
        json_decimal(v, &d);
        *ret = value_decimal(&d);
        break;
    case JSON_STRING: *ret = value_str(json_str(v), COLL_UTF8MB4_BIN); break;
    case JSON_DATE: *ret = value_temporal(TYPE_DATE, json_time(v), 0); break;
    case JSON_TIME: *ret = value_temporal(TYPE_TIME, json_time(v), TIME_DECIMALS_MAX); break;
    case JSON_DATETIME:
        *ret = value_temporal(TYPE_DATETIME, json_time(v), TIME_DECIMALS_MAX);
        break;
    case JSON_OPAQUE: *ret = value_str(json_str(v), COLL_BINARY); break;
    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_ARRAY: return false;
    }
    *ret_type = value_type(ret);
    return true;
}

static db_err refuse(struct cast_ctx *ctx, unsigned number, const char *what)
{
    const char *name = ctx->json_source == NULL ? "?" : ctx->json_source;
    if (ctx->strict) {
        return cast_error(ctx, number, what, "", name, (long)ctx->row);
    }
    cast_warn(ctx, CAST_WARNING, number, what, "", name, (long)ctx->row);
    return ERR_OK;
}

static bool rest_is_space(struct slice s, size_t from)
{
    for (size_t i = from; i < s.len; i++) {
        if (s.ptr[i] != ' ' && (s.ptr[i] < '\t' || s.ptr[i] > '\r')) {
            return false;
        }
    }
    return true;
}

static bool to_number(const struct json_view *v)
{
    return json_is_number(v) || v->type == JSON_BOOLEAN || v->type == JSON_STRING;
}

/* The digits at the front of text, as strtoll has them. */
static int64_t leading_int(struct slice s, bool *ret_unsigned, bool *ret_whole, bool *ret_overflow)
{
    size_t used = 0;
    size_t n = 0;
    while (n < s.len && (s.ptr[n] == ' ' || (s.ptr[n] >= '\t' && s.ptr[n] <= '\r'))) {
        n++;
    }
    n += n < s.len && (s.ptr[n] == '-' || s.ptr[n] == '+');
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9') {
        n++;
    }
    int64_t i = text_to_int(slice_of(s.ptr, n), ret_unsigned, &used, ret_overflow);
    *ret_whole = used != 0 && used == s.len;
    return used == 0 ? 0 : i;
}

/* MYSQL: what is not below 0 becomes an unsigned integer, and its bits are the signed one's. */
static int64_t decimal_bits(struct cast_ctx *ctx, const struct decimal *d)
{
    int64_t i = 0;
    uint64_t u = 0;
    unsigned cond = d->neg ? decimal_to_int(d, &i) : decimal_to_uint(d, &u);
    if ((cond & DECIMAL_OVERFLOW) != 0 && ctx->warn != NULL) {
        char text[DECIMAL_TEXT_MAX];
        cast__warn_truncated(ctx, "DECIMAL", COLL_BINARY, slice_of(text, decimal_to_text(d, text)));
    }
    return d->neg ? i : (int64_t)u;
}

static db_err to_integer(struct cast_ctx *ctx, const struct json_view *v, const struct sql_type *to,
                         struct value *ret)
{
    bool is_unsigned = false;
    bool whole = true;
    bool overflow = false;
    struct decimal d;
    int64_t i = 0;
    switch ((int)v->type) {
    case JSON_INT:
    case JSON_UINT: i = json_int(v); break;
    case JSON_BOOLEAN: i = json_bool(v); break;
    case JSON_STRING: i = leading_int(json_str(v), &is_unsigned, &whole, &overflow); break;
    case JSON_DOUBLE: {
        double r = rint(json_double(v));
        bool wide = type_is_unsigned(to) && r >= 0;
        overflow = !(r < (wide ? 18446744073709551616.0 : 9223372036854775808.0)) ||
                   r < -9223372036854775808.0;
        i = overflow ? (r < 0  ? INT64_MIN
                        : wide ? -1
                               : INT64_MAX)
            : wide   ? (int64_t)(uint64_t)r
                     : (int64_t)r;
        break;
    }
    case JSON_DECIMAL:
        json_decimal(v, &d);
        i = decimal_bits(ctx, &d);
        break;
    default: break;
    }
    if (!to_number(v) || !whole) {
        TRY(refuse(ctx, 3156, "INTEGER"));
    } else if (overflow) {
        TRY(refuse(ctx, 3155, "INTEGER"));
    }
    value_tag(ret, to);
    ret->i = i;
    return ERR_OK;
}

static db_err to_double(struct cast_ctx *ctx, const struct json_view *v, const struct sql_type *to,
                        struct value *ret)
{
    bool whole = true;
    bool overflow = false;
    double d = v->type == JSON_BOOLEAN ? json_bool(v) : json_number(v);
    if (v->type == JSON_STRING) {
        size_t used;
        struct slice s = json_str(v);
        d = text_to_double(s, &used, &overflow);
        whole = used != 0 && rest_is_space(s, used);
    }
    if (!to_number(v) || !whole) {
        TRY(refuse(ctx, 3156, "DOUBLE"));
    } else if (overflow) {
        TRY(refuse(ctx, 3155, "DOUBLE"));
    }
    value_tag(ret, to);
    ret->d = to->id == TYPE_FLOAT ? (double)(float)d : d;
    return ERR_OK;
}

static db_err to_decimal(struct cast_ctx *ctx, const struct json_view *v, const struct sql_type *to,
                         struct value *ret)
{
    struct decimal d;
    unsigned cond = 0;
    decimal_zero(&d);
    switch ((int)v->type) {
    case JSON_INT:
    case JSON_UINT: decimal_from_int(json_int(v), &d); break; /* MYSQL: unsigned ones too */
    case JSON_BOOLEAN: decimal_from_int(json_bool(v), &d); break;
    case JSON_DOUBLE: cond = decimal_from_double(json_double(v), &d); break;
    case JSON_DECIMAL: json_decimal(v, &d); break;
    case JSON_STRING: cond = decimal_from_text(json_str(v), &d); break;
    default: break;
    }
    if (!to_number(v) || (cond & (DECIMAL_BAD_NUM | DECIMAL_TRAILING)) != 0) {
        TRY(refuse(ctx, 3156, "DECIMAL"));
    } else if ((cond & DECIMAL_OVERFLOW) != 0) {
        TRY(refuse(ctx, 3155, "DECIMAL"));
    }
    struct value plain = value_decimal(&d);
    struct sql_type t = value_type(&plain);
    return value_cast(ctx, &t, &plain, to, ret);
}

/* Text of a date, or of digits that could be one: no TIME for MySQL. */
static bool is_time_text(struct slice s)
{
    enum { WHOLE_LENGTH = 12 }; /* from here on it is a date with a time */
    return s.len >= WHOLE_LENGTH || memchr(s.ptr, ':', s.len) != NULL;
}

bool json_is_date_only(const struct json_view *v)
{
    int64_t packed;
    int32_t offset;
    unsigned cond = v->type != JSON_STRING
                        ? TEMPORAL_INVALID
                        : datetime_parse(json_str(v), TIME_DECIMALS_MAX, 0, &packed, &offset, NULL);
    return (cond & TEMPORAL_INVALID) == 0 && (cond & TEMPORAL_NO_TIME) != 0;
}

static db_err to_temporal(struct cast_ctx *ctx, const struct json_view *v,
                          const struct sql_type *to, struct value *ret)
{
    static const char *const names[] = {"DATE", "TIME", "DATETIME/TIMESTAMP", "DATETIME/TIMESTAMP"};
    bool time = to->id == TYPE_TIME;
    bool fits = v->type == JSON_STRING ||
                (time ? v->type == JSON_TIME : v->type == JSON_DATE || v->type == JSON_DATETIME);
    struct value plain;
    struct sql_type t;
    value_set_null(ret, to);
    if (fits && time && v->type == JSON_STRING && !is_time_text(json_str(v))) {
        fits = false;
    }
    if (fits && json_natural(v, &plain, &t)) {
        struct cast_ctx quiet = *ctx;
        quiet.warn = NULL;
        TRY(value_cast(&quiet, &t, &plain, to, ret));
    }
    return ret->is_null ? refuse(ctx, 3156, names[to->id - TYPE_DATE]) : ERR_OK;
}

db_err json_to_value(struct cast_ctx *ctx, const struct json_view *v, const struct sql_type *to,
                     struct value *ret)
{
    if (type_is_temporal(to)) {
        return to_temporal(ctx, v, to, ret);
    }
    switch ((int)to->id) {
    case TYPE_DECIMAL: return to_decimal(ctx, v, to, ret);
    case TYPE_FLOAT:
    case TYPE_DOUBLE: return to_double(ctx, v, to, ret);
    case TYPE_YEAR: {
        static const struct sql_type wide = {.id = TYPE_BIGINT, .length = 20};
        struct value i;
        TRY(to_integer(ctx, v, &wide, &i));
        return value_cast(ctx, &wide, &i, to, ret);
    }
    default: break;
    }
    if (type_phys(to) == PHYS_INT && to->id != TYPE_ENUM && to->id != TYPE_SET) {
        return to_integer(ctx, v, to, ret);
    }
    return cast_error(ctx, 1235, "conversion of JSON");
}

/* ---- without loss ---- */

static db_err coerce_text(struct cast_ctx *ctx, const struct json_view *v,
                          const struct sql_type *to, struct value *ret, bool *ret_fits)
{
    const struct collation *c = collation_by_id(to->collation);
    struct buf text;
    struct slice s = SLICE_EMPTY;
    size_t lossy = 0;
    buf_init(&text, JSON_TEXT_MAX);
    db_err err = json_print_unquoted(v, &text);
    if (err == ERR_OK) {
        err = arena_copy(ctx->arena, buf_slice(&text), &s);
    }
    buf_fini(&text);
    TRY(err);
    bool counted = to->id == TYPE_CHAR || to->id == TYPE_VARCHAR;
    if (c->id != COLL_BINARY) {
        TRY(charset_convert_arena(charset_by_name(SLICE_LIT("utf8mb4")), s, c->cs, ctx->arena, &s,
                                  &lossy));
    }
    size_t len = counted ? charset_char_count(c->cs, s) : s.len;
    *ret_fits = lossy == 0 && len <= to->length;
    if (*ret_fits) {
        value_tag(ret, to);
        ret->str = s;
    }
    return ERR_OK;
}

/* Is the integer, which came from a value of that sign, within the type? */
static bool int_fits(const struct sql_type *to, int64_t i, bool above)
{
    int64_t min;
    uint64_t max;
    type_int_range(to, &min, &max);
    if (type_is_unsigned(to) ? (above || i >= 0) : !above) {
        return above || i >= 0 ? (uint64_t)i <= max : i >= min;
    }
    return false;
}

static db_err coerce_number(struct cast_ctx *ctx, const struct json_view *v,
                            const struct sql_type *to, struct value *ret, bool *ret_fits)
{
    struct sql_type wide = type_decimal(DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX, false);
    struct value r;
    if (to->id == TYPE_FLOAT || to->id == TYPE_DOUBLE) {
        wide = type_double();
    } else if (to->id != TYPE_DECIMAL) {
        wide = type_int(TYPE_BIGINT, type_is_unsigned(to));
    }
    TRY(json_to_value(ctx, v, &wide, &r));
    *ret_fits = true;
    if (to->id == TYPE_DECIMAL) {
        *ret_fits =
            (decimal_fit(&r.dec, to->length, to->decimals, &r.dec) & DECIMAL_OVERFLOW) == 0 &&
            !(type_is_unsigned(to) && r.dec.neg);
    } else if (to->id == TYPE_FLOAT) {
        *ret_fits = fabs(r.d) <= (double)FLT_MAX;
        r.d = *ret_fits ? (double)(float)r.d : r.d;
    } else if (type_is_integer(to)) {
        bool above = v->type == JSON_UINT || (v->type == JSON_DECIMAL && json_number(v) >= 0);
        bool positive = above || (v->type == JSON_DOUBLE && json_double(v) > 0);
        *ret_fits = int_fits(to, r.i, r.i < 0 && positive && type_is_unsigned(to)) &&
                    !(above && r.i < 0 && !type_is_unsigned(to));
    }
    if (*ret_fits) {
        value_tag(&r, to);
        *ret = r;
    }
    return ERR_OK;
}

db_err json_coerce(struct cast_ctx *ctx, const struct json_view *v, const struct sql_type *to,
                   struct value *ret, bool *ret_fits)
{
    *ret_fits = true;
    if (v->type == JSON_NULL) {
        value_set_null(ret, to);
        return ERR_OK;
    }
    if (to->id == TYPE_JSON) {
        value_tag(ret, to);
        return json_document(v, ctx->arena, &ret->str);
    }
    if (type_is_string(to)) {
        return coerce_text(ctx, v, to, ret, ret_fits);
    }
    struct diag scratch;
    struct cast_ctx strict = *ctx;
    diag_reset(&scratch);
    bool bits = v->type == JSON_DECIMAL && type_is_integer(to); /* fits or not, and is told of */
    strict.strict = !bits;
    strict.warn = bits ? ctx->warn : NULL;
    strict.diag = &scratch;
    strict.sql_mode |= SQL_MODE_TIME_TRUNCATE_FRACTIONAL; /* MYSQL: a time is cut, not rounded */
    db_err err;
    if (type_is_numeric(to) && to->id != TYPE_YEAR && to->id != TYPE_BIT) {
        err = coerce_number(&strict, v, to, ret, ret_fits);
    } else if (type_is_temporal(to)) {
        *ret_fits = to->id < TYPE_DATETIME || !json_is_date_only(v);
        err = *ret_fits ? json_to_value(&strict, v, to, ret) : ERR_OK;
    } else {
        const struct store_target target = {.column = "", .row = 1};
        struct value plain;
        struct sql_type t;
        if (!json_natural(v, &plain, &t)) {
            *ret_fits = false;
            return ERR_OK;
        }
        err = ERR_OK;
        if (to->id == TYPE_YEAR) { /* rounded, not cut */
            t = type_int(TYPE_BIGINT, false);
            err = json_to_value(&strict, v, &t, &plain);
        }
        if (err == ERR_OK) {
            err = type_store(&strict, to, &target, &t, &plain, ret);
        }
    }
    *ret_fits = *ret_fits && err == ERR_OK;
    return err == ERR_SQL ? ERR_OK : err;
}

/* What a column said of what it was given. */
struct column_said {
    bool refused;   /* that it is no value of its type */
    bool truncated; /* that a part of it was lost */
};

static void note_said(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    enum { WARN_TRUNCATED = 1265, WARN_DELIMITER = 4095, WARN_SUPERFLUOUS = 4096 };
    struct column_said *said = arg;
    (void)text;
    said->truncated = said->truncated || number == WARN_TRUNCATED;
    said->refused = said->refused || (level != CAST_NOTE && number != WARN_TRUNCATED &&
                                      number != WARN_DELIMITER && number != WARN_SUPERFLUOUS);
}

/* Text stored as a change that is not strict does. */
static db_err store_loosely(struct cast_ctx *ctx, struct slice text, const struct sql_type *to,
                            struct column_said *said, struct value *ret)
{
    const struct store_target target = {.column = "", .row = 1};
    struct sql_type any = type_char(TYPE_LONGTEXT, UINT32_MAX, COLL_UTF8MB4_BIN);
    struct cast_ctx loose = *ctx;
    struct value plain;
    value_tag(&plain, &any);
    plain.str = text;
    loose.strict = false;
    loose.warn = note_said;
    loose.warn_arg = said;
    return type_store(&loose, to, &target, &any, &plain, ret);
}

/* MYSQL: text that begins with a date or a time is one, as INSERT stores it. */
static db_err coerce_moment_text(struct cast_ctx *ctx, const struct json_view *v,
                                 const struct sql_type *to, struct value *ret, bool *ret_fits)
{
    struct column_said said = {0};
    struct value r;
    TRY(store_loosely(ctx, json_str(v), to, &said, &r));
    struct slice text = json_str(v);
    bool digits = false;
    for (size_t i = 0; i < text.len; i++) {
        digits = digits || (text.ptr[i] >= '0' && text.ptr[i] <= '9');
    }
    bool nothing = r.t == 0 && (to->id == TYPE_TIME ? !digits : said.truncated);
    *ret_fits = !said.refused && !r.is_null && !nothing;
    if (*ret_fits) {
        *ret = r;
    }
    return ERR_OK;
}

/* MYSQL: what is none of an ENUM's members is stored as '' where nobody asked for an error; of a
 * SET what is left when some are members. */
static db_err coerce_members(struct cast_ctx *ctx, const struct json_view *v,
                             const struct sql_type *to, bool checked, struct value *ret,
                             bool *ret_fits)
{
    struct sql_type any = type_char(TYPE_LONGTEXT, UINT32_MAX, COLL_UTF8MB4_BIN);
    struct column_said said = {0};
    struct value text;
    struct value r;
    TRY(coerce_text(ctx, v, &any, &text, ret_fits));
    TRY(store_loosely(ctx, text.str, to, &said, &r));
    bool lost = to->id == TYPE_ENUM ? checked : checked || r.u == 0;
    *ret_fits = !said.refused && !r.is_null && !(said.truncated && lost);
    if (*ret_fits) {
        *ret = r;
    }
    return ERR_OK;
}

static void note_warning(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    (void)number;
    (void)text;
    *(bool *)arg = *(bool *)arg || level != CAST_NOTE;
}

/* The value itself as the column's type: it fits when nothing had to be told of. */
static db_err coerce_natural(struct cast_ctx *ctx, const struct json_view *v,
                             const struct sql_type *to, struct value *ret, bool *ret_fits)
{
    struct cast_ctx watched = *ctx;
    bool warned = false;
    struct value plain;
    struct value r;
    struct sql_type t;
    *ret_fits = v->type != JSON_BOOLEAN && json_natural(v, &plain, &t);
    if (*ret_fits) {
        watched.warn = note_warning;
        watched.warn_arg = &warned;
        TRY(value_cast(&watched, &t, &plain, to, &r));
        *ret_fits = !warned && !r.is_null;
    }
    if (*ret_fits) {
        *ret = r;
    }
    return ERR_OK;
}

/* Text as it is stored: what is too long by spaces only is cut. */
static db_err coerce_stored_text(struct cast_ctx *ctx, const struct json_view *v,
                                 const struct sql_type *to, struct value *ret, bool *ret_fits)
{
    const struct store_target target = {.column = "", .row = 1};
    struct sql_type any = type_char(TYPE_LONGTEXT, UINT32_MAX, to->collation);
    struct diag scratch;
    struct cast_ctx strict = *ctx;
    struct value text;
    TRY(coerce_text(ctx, v, &any, &text, ret_fits));
    if (!*ret_fits) {
        return ERR_OK;
    }
    diag_reset(&scratch);
    strict.strict = true;
    strict.warn = NULL;
    strict.diag = &scratch;
    db_err err = type_store(&strict, to, &target, &any, &text, ret);
    *ret_fits = err == ERR_OK;
    return err == ERR_SQL ? ERR_OK : err;
}

/* MYSQL: in a column only the bits of a decimal number as an integer count, not its sign. */
static void coerce_decimal(struct cast_ctx *ctx, const struct json_view *v,
                           const struct sql_type *to, struct value *ret, bool *ret_fits)
{
    struct cast_ctx quiet = *ctx;
    struct decimal d;
    quiet.warn = NULL;
    json_decimal(v, &d);
    int64_t i = decimal_bits(&quiet, &d);
    *ret_fits = int_fits(to, i, i < 0 && type_is_unsigned(to));
    value_tag(ret, to);
    ret->i = i;
}

db_err json_coerce_column(struct cast_ctx *ctx, const struct json_view *v,
                          const struct sql_type *to, bool checked, struct value *ret,
                          bool *ret_fits)
{
    if ((to->id == TYPE_ENUM || to->id == TYPE_SET) && v->type != JSON_NULL) {
        return coerce_members(ctx, v, to, checked, ret, ret_fits);
    }
    if (type_is_temporal(to) && v->type == JSON_STRING) {
        return coerce_moment_text(ctx, v, to, ret, ret_fits);
    }
    if (v->type == JSON_DECIMAL && type_is_integer(to)) {
        coerce_decimal(ctx, v, to, ret, ret_fits);
        return ERR_OK;
    }
    /* MYSQL: bytes are a column's text as they are, unlike in JSON_VALUE */
    if ((type_is_temporal(to) && v->type != JSON_NULL) ||
        (type_is_string(to) && v->type == JSON_OPAQUE)) {
        return coerce_natural(ctx, v, to, ret, ret_fits);
    }
    if (type_is_string(to) && v->type != JSON_NULL) {
        return coerce_stored_text(ctx, v, to, ret, ret_fits);
    }
    return json_coerce(ctx, v, to, ret, ret_fits);
}
