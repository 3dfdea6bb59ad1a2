/* Assigning to numeric columns: integers, DECIMAL, FLOAT, DOUBLE, BIT, YEAR. */
#include "sql/types/store_int.h"

#include <float.h>
#include <math.h>

#include "base/assert.h"

/* A whole number before the column's range is looked at. */
struct whole {
    uint64_t magnitude;
    bool neg;
    bool huge;      /* beyond 64 bits: clip */
    bool truncated; /* text went on: 1265 */
    bool bad;       /* text was no number: 1366 */
};

static void whole_from_int(int64_t i, bool is_unsigned, struct whole *ret)
{
    ret->neg = !is_unsigned && i < 0;
    ret->magnitude = ret->neg ? -(uint64_t)i : (uint64_t)i;
}

static void whole_from_decimal(const struct decimal *d, struct whole *ret)
{
    struct decimal r;
    (void)decimal_round(d, 0, DECIMAL_HALF_UP, &r);
    ret->neg = d->neg; /* also of -0.004: an unsigned column refuses it */
    ret->huge = r.used > 1;
    ret->magnitude = r.used == 0 ? 0 : r.limb[0];
}

static void whole_from_double(double d, bool round, struct whole *ret)
{
    d = round ? rint(d) : trunc(d);
    ret->neg = d < 0;
    d = fabs(d);
    ret->huge = !(d < 18446744073709551616.0);
    ret->magnitude = ret->huge ? UINT64_MAX : (uint64_t)d;
}

static db_err whole_from_text(const struct store *s, struct whole *ret)
{
    struct slice text;
    TRY(cast__ascii(s->ctx, s->v, &text));
    bool is_unsigned;
    bool overflow;
    size_t used;
    int64_t i = text_to_int(text, &is_unsigned, &used, &overflow);
    if (used == text.len && used != 0 && !overflow) { /* plain digits, nearly always */
        whole_from_int(i, is_unsigned, ret);
        return ERR_OK;
    }
    struct decimal d;
    unsigned cond = decimal_from_text(text, &d);
    whole_from_decimal(&d, ret);
    ret->bad = (cond & DECIMAL_BAD_NUM) != 0;
    ret->truncated = (cond & DECIMAL_TRAILING) != 0;
    ret->huge |= (cond & DECIMAL_OVERFLOW) != 0;
    return ERR_OK;
}

static db_err whole_from_value(const struct store *s, bool round_doubles, struct whole *ret)
{
    const struct value *v = s->v;
    *ret = (struct whole){0};
    switch ((enum phys_kind)v->phys) {
    case PHYS_INT: whole_from_int(v->i, v->is_unsigned, ret); break;
    case PHYS_DOUBLE: whole_from_double(v->d, round_doubles, ret); break;
    case PHYS_DECIMAL: whole_from_decimal(&v->dec, ret); break;
    case PHYS_STR: return whole_from_text(s, ret);
    case PHYS_TIME: {
        int64_t i;
        bool is_unsigned;
        TRY(value_to_int(s->ctx, s->from, v, &i, &is_unsigned));
        whole_from_int(i, is_unsigned, ret);
        break;
    }
    case PHYS__COUNT: break;
    }
    return ERR_OK;
}

/* MYSQL: what is cut to an intermediate size first, and then to the column's, is told of twice. */
static db_err out_of_range(const struct store *s, bool twice)
{
    TRY(store__condition(s, 1264));
    return twice ? store__condition(s, 1264) : ERR_OK;
}

/* A decimal goes through 64 bits; a double of UNSIGNED INT through its own limit. */
static bool cut_twice(const struct store *s, const struct whole *w)
{
    bool is_unsigned = type_is_unsigned(s->to);
    if (s->v->phys == PHYS_DOUBLE) {
        return s->to->id == TYPE_INT && is_unsigned && !w->neg;
    }
    if (s->v->phys != PHYS_DECIMAL || s->to->id == TYPE_BIGINT || (w->neg && is_unsigned)) {
        return false;
    }
    uint64_t signed_limit = (uint64_t)INT64_MAX + w->neg;
    return w->huge || (!is_unsigned && w->magnitude > signed_limit);
}

db_err store__integer(const struct store *s, struct value *ret)
{
    struct whole w;
    TRY(whole_from_value(s, true, &w));
    int64_t min;
    uint64_t max;
    type_int_range(s->to, &min, &max);
    if (w.bad) {
        ret->i = 0;
        return store__incorrect(s, "integer");
    }
    uint64_t limit = w.neg ? -(uint64_t)min : max;
    bool out = w.huge || w.magnitude > limit ||
               (w.neg && type_is_unsigned(s->to) && s->v->phys == PHYS_DECIMAL);
    if (out) {
        ret->i = (int64_t)(w.neg ? -limit : limit);
        return out_of_range(s, cut_twice(s, &w));
    }
    ret->i = (int64_t)(w.neg ? -w.magnitude : w.magnitude);
    return w.truncated ? store__condition(s, 1265) : ERR_OK;
}

db_err store__decimal(const struct store *s, struct value *ret)
{
    const struct sql_type *to = s->to;
    struct decimal d;
    unsigned cond = DECIMAL_OK;
    if (s->v->phys == PHYS_STR) {
        struct slice text;
        TRY(cast__ascii(s->ctx, s->v, &text));
        cond = decimal_from_text(text, &d);
        if ((cond & DECIMAL_BAD_NUM) != 0 || (cond != DECIMAL_OK && s->ctx->strict)) {
            decimal_zero(&ret->dec);
            ret->dec.scale = to->decimals;
            return store__incorrect(s, "decimal");
        }
        if ((cond & DECIMAL_TRAILING) != 0) {
            store__note_truncated(s);
        }
    } else if (s->v->phys == PHYS_DOUBLE) {
        cond = decimal_from_double(s->v->d, &d);
    } else {
        TRY(value_to_decimal(s->ctx, s->from, s->v, &d));
    }
    if (d.neg && type_is_unsigned(to)) {
        decimal_zero(&ret->dec);
        ret->dec.scale = to->decimals;
        return store__condition(s, 1264);
    }
    cond |= decimal_fit(&d, to->length, to->decimals, &ret->dec);
    if ((cond & DECIMAL_OVERFLOW) != 0) {
        return store__condition(s, 1264);
    }
    if ((cond & DECIMAL_TRUNCATED) != 0) {
        store__note_truncated(s);
    }
    return ERR_OK;
}

/* Rounds to the D digits of FLOAT(M,D); *ret_clipped when it is beyond what M digits can say.
 * MYSQL: what is rounded, to even, is what stands above the next lower whole number, so that halves
 * below zero go another way than above it. */
static double round_to_digits(const struct sql_type *to, double d, bool *ret_clipped)
{
    if (to->decimals >= DECIMALS_NOT_FIXED) {
        return d;
    }
    double unit = pow(10, to->decimals);
    double max = pow(10, (double)to->length - to->decimals) - 1 / unit;
    double whole = floor(d);
    double rounded = whole + rint((d - whole) * unit) / unit;
    if (fabs(rounded) > max) {
        *ret_clipped = true;
        rounded = rounded < 0 ? -max : max;
    }
    return rounded;
}

db_err store__double(const struct store *s, struct value *ret)
{
    const struct sql_type *to = s->to;
    double d = 0;
    bool clipped = false;
    bool text_clipped = false;
    if (s->v->phys == PHYS_STR) {
        struct slice text;
        TRY(cast__ascii(s->ctx, s->v, &text));
        size_t used;
        d = text_to_double(text, &used, &text_clipped);
        size_t rest = used;
        while (rest < text.len &&
               (text.ptr[rest] == ' ' || (text.ptr[rest] >= '\t' && text.ptr[rest] <= '\r'))) {
            rest++;
        }
        if (used == 0 || rest < text.len) {
            TRY(store__incorrect(s, to->id == TYPE_FLOAT ? "FLOAT" : "DOUBLE"));
        }
    } else {
        TRY(value_to_double(s->ctx, s->from, s->v, &d));
    }
    if (!isfinite(d)) { /* only a client's parameter is */
        d = isnan(d) ? 0 : d < 0 ? -DBL_MAX : DBL_MAX;
        clipped = true;
    }
    if (d < 0 && type_is_unsigned(to)) {
        d = 0;
        clipped = true;
    } else {
        d = round_to_digits(to, d, &clipped);
        if (to->id == TYPE_FLOAT && fabs(d) > (double)FLT_MAX) {
            d = d < 0 ? -(double)FLT_MAX : (double)FLT_MAX;
            clipped = true;
        }
    }
    ret->d = to->id == TYPE_FLOAT ? (double)(float)d : d;
    return clipped || text_clipped ? out_of_range(s, clipped && text_clipped) : ERR_OK;
}

/* What does not fit into n bits: refused, or all ones. */
static db_err bit_too_long(const struct store *s, uint64_t max, struct value *ret)
{
    ret->u = max;
    return store__condition(s, s->ctx->strict ? 1406 : 1264);
}

db_err store__bit(const struct store *s, struct value *ret)
{
    int64_t min;
    uint64_t max;
    type_int_range(s->to, &min, &max);
    if (s->v->phys == PHYS_STR || s->v->phys == PHYS_TIME) { /* its bytes are the value */
        struct slice text;
        TRY(value_to_text(s->ctx, s->from, s->v, &text));
        while (text.len > 0 && text.ptr[0] == 0) {
            text = slice_from(text, 1);
        }
        uint64_t bits = 0;
        for (size_t i = 0; i < text.len && i < 8; i++) {
            bits = bits << 8 | text.ptr[i];
        }
        if (text.len > 8 || bits > max) {
            return bit_too_long(s, max, ret);
        }
        ret->u = bits;
        return ERR_OK;
    }
    struct whole w;
    TRY(whole_from_value(s, false, &w));
    if (s->v->phys == PHYS_DOUBLE && (w.huge || w.magnitude > (uint64_t)INT64_MAX)) {
        w.huge = false; /* doubles are clipped to the signed range first */
        w.magnitude = (uint64_t)INT64_MAX + w.neg;
    }
    if (s->v->phys == PHYS_DECIMAL && (w.neg || w.huge)) {
        ret->u = w.neg ? 0 : max;
        return out_of_range(s, !w.neg && max != UINT64_MAX);
    }
    uint64_t bits = w.neg ? -w.magnitude : w.magnitude;
    if (w.huge || bits > max) {
        return bit_too_long(s, max, ret);
    }
    ret->u = bits;
    return ERR_OK;
}

db_err store__year(const struct store *s, struct value *ret)
{
    struct whole w;
    bool from_text = s->v->phys == PHYS_STR;
    if (s->v->phys == PHYS_TIME) {
        struct temporal_result r = {0};
        TRY(cast__to_datetime(s->ctx, s->from, s->v, 6, 0, &r));
        w = (struct whole){.magnitude = (uint64_t)(r.v >> 46)};
    } else {
        TRY(whole_from_value(s, false, &w));
        w.neg |= s->v->phys == PHYS_DECIMAL && s->v->dec.neg;
        w.neg |= s->v->phys == PHYS_DOUBLE && s->v->d <= -1;
    }
    ret->u = 0;
    if (w.bad) {
        return store__incorrect(s, "integer");
    }
    uint64_t n = w.magnitude;
    if (w.neg || w.huge || (n > 99 && n < 1901) || n > 2155) {
        return out_of_range(s, s->v->phys == PHYS_DECIMAL && w.huge && !w.neg);
    }
    /* The text "0000" and the number 0 are the year 0, other texts of zero are 2000. */
    if (n < 100 && (n != 0 || (from_text && s->v->str.len != 4))) {
        n += n < 70 ? 2000 : 1900;
    }
    ret->u = n;
    return w.truncated ? store__condition(s, 1265) : ERR_OK;
}
