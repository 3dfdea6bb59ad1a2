/* ABS, SIGN, ROUND and relatives, and the functions on doubles. */
#include "sql/func/families.h"

#include <math.h>

static bool unsigned_arg(const struct func_call *call, uint32_t i)
{
    const struct sql_type *t = &call->arg_types[i];
    return type_is_unsigned(t) || t->id == TYPE_BIT || t->id == TYPE_YEAR;
}

db_err math_abs(EVAL_ARGS)
{
    bool uns = unsigned_arg(call, 0);
    EACH_ROW(row)
    {
        if (call->variant == NUM_DOUBLE) {
            vec_set_double(out, row, fabs(vec_double(args[0], row)));
        } else if (call->variant == NUM_DECIMAL) {
            struct decimal d = *vec_decimal(args[0], row);
            d.neg = false;
            vec_set_decimal(out, row, &d);
        } else {
            int64_t v = vec_i64(args[0], row);
            if (!uns && v == INT64_MIN) {
                return func__out_of_range(ctx, call, "BIGINT");
            }
            vec_set_i64(out, row, !uns && v < 0 ? -v : v);
        }
    }
    return ERR_OK;
}

db_err math_sign(EVAL_ARGS)
{
    (void)ctx;
    bool uns = unsigned_arg(call, 0);
    EACH_ROW(row)
    {
        int s;
        if (call->variant == NUM_DOUBLE) {
            double d = vec_double(args[0], row);
            s = (d > 0) - (d < 0);
        } else if (call->variant == NUM_DECIMAL) {
            const struct decimal *d = vec_decimal(args[0], row);
            s = decimal_is_zero(d) ? 0 : d->neg ? -1 : 1;
        } else {
            int64_t v = vec_i64(args[0], row);
            s = v == 0 ? 0 : !uns && v < 0 ? -1 : 1;
        }
        vec_set_i64(out, row, s);
    }
    return ERR_OK;
}

static db_err set_whole(struct eval_ctx *ctx, const struct func_call *call, struct vector *out,
                        uint32_t row, const struct decimal *d)
{
    if (out->phys == PHYS_DECIMAL) {
        vec_set_decimal(out, row, d);
        return ERR_OK;
    }
    int64_t v;
    unsigned cond =
        type_is_unsigned(&call->type) ? decimal_to_uint(d, (uint64_t *)&v) : decimal_to_int(d, &v);
    if ((cond & DECIMAL_OVERFLOW) != 0) {
        return func__out_of_range(ctx, call, "BIGINT");
    }
    vec_set_i64(out, row, v);
    return ERR_OK;
}

db_err math_whole(EVAL_ARGS)
{
    enum decimal_round_mode mode = (enum decimal_round_mode)(call->variant / 4);
    int kind = call->variant % 4;
    EACH_ROW(row)
    {
        if (kind == NUM_INT) {
            vec_set_i64(out, row, vec_i64(args[0], row));
        } else if (kind == NUM_DOUBLE) {
            double d = vec_double(args[0], row);
            vec_set_double(out, row, mode == DECIMAL_FLOOR ? floor(d) : ceil(d));
        } else {
            struct decimal d;
            (void)decimal_round(vec_decimal(args[0], row), 0, mode, &d);
            TRY(set_whole(ctx, call, out, row, &d));
        }
    }
    return ERR_OK;
}

/* ---- ROUND, TRUNCATE ---- */

static double round_double(double v, int64_t digits, bool truncate)
{
    if (!isfinite(v)) {
        return v;
    }
    double power = pow(10.0, (double)(digits < 0 ? -digits : digits));
    if (digits < 0 && !isfinite(power)) {
        return 0;
    }
    if (digits >= 0 && (!isfinite(power) || !isfinite(v * power))) {
        return v;
    }
    double scaled = digits < 0 ? v / power : v * power;
    double whole = truncate ? trunc(scaled) : rint(scaled);
    return digits < 0 ? whole * power : whole / power;
}

/* The magnitude rounded to a power of ten. False: out of range. */
static bool round_uint(uint64_t v, int64_t digits, bool truncate, uint64_t *ret)
{
    if (digits >= 0) {
        *ret = v;
        return true;
    }
    if (digits < -19) {
        *ret = 0;
        return true;
    }
    uint64_t power = 1;
    for (int64_t i = digits; i < 0; i++) {
        power *= 10;
    }
    uint64_t rest = v % power;
    uint64_t base = v - rest;
    bool up = !truncate && rest >= power - rest;
    return !__builtin_add_overflow(base, up ? power : 0, ret);
}

static db_err round_int(struct eval_ctx *ctx, const struct func_call *call, int64_t v,
                        int64_t digits, bool truncate, int64_t *ret)
{
    bool uns = unsigned_arg(call, 0);
    bool neg = !uns && v < 0;
    uint64_t m = neg ? -(uint64_t)v : (uint64_t)v;
    uint64_t r = 0;
    bool fits = round_uint(m, digits, truncate, &r);
    if (!fits || (!uns && r > (uint64_t)INT64_MAX + neg)) {
        return func__out_of_range(ctx, call, uns ? "BIGINT UNSIGNED" : "BIGINT");
    }
    *ret = (int64_t)(neg ? -r : r);
    return ERR_OK;
}

db_err math_round(EVAL_ARGS)
{
    enum decimal_round_mode mode = (enum decimal_round_mode)(call->variant / 4);
    bool truncate = mode == DECIMAL_TRUNCATE;
    int kind = call->variant % 4;
    EACH_ROW(row)
    {
        int64_t digits = call->arg_count == 2 ? vec_i64(args[1], row) : 0;
        if (call->arg_count == 2 && unsigned_arg(call, 1) && digits < 0) {
            digits = INT64_MAX;
        }
        digits = digits > 1000 ? 1000 : digits < -1000 ? -1000 : digits;
        if (kind == NUM_DOUBLE) {
            vec_set_double(out, row, round_double(vec_double(args[0], row), digits, truncate));
        } else if (kind == NUM_INT) {
            int64_t r = 0;
            TRY(round_int(ctx, call, vec_i64(args[0], row), digits, truncate, &r));
            vec_set_i64(out, row, r);
        } else {
            struct decimal d = *vec_decimal(args[0], row);
            unsigned cond = 0;
            if (digits < (int64_t)d.scale) {
                cond = decimal_round(&d, (int)digits, mode, &d);
            }
            if (d.scale != call->type.decimals) {
                cond |= decimal_round(&d, call->type.decimals, mode, &d);
            }
            if ((cond & DECIMAL_OVERFLOW) != 0) {
                return func__out_of_range(ctx, call, "DECIMAL");
            }
            vec_set_decimal(out, row, &d);
        }
    }
    return ERR_OK;
}

/* ---- doubles ---- */

static double unary(enum math_unary_op op, double x)
{
    switch (op) {
    case MATH_SQRT: return x < 0 ? NAN : sqrt(x);
    case MATH_EXP: return exp(x);
    case MATH_LN: return log(x);
    case MATH_LOG2: return log2(x);
    case MATH_LOG10: return log10(x);
    case MATH_SIN: return sin(x);
    case MATH_COS: return cos(x);
    case MATH_TAN: return tan(x);
    case MATH_COT: return 1.0 / tan(x);
    case MATH_ASIN: return asin(x);
    case MATH_ACOS: return acos(x);
    case MATH_DEGREES: return x * (180.0 / M_PI);
    case MATH_RADIANS: return x * (M_PI / 180.0);
    }
    return x;
}

static bool is_log(enum math_unary_op op)
{
    return op == MATH_LN || op == MATH_LOG2 || op == MATH_LOG10;
}

db_err math_unary(EVAL_ARGS)
{
    enum math_unary_op op = (enum math_unary_op)call->variant;
    EACH_ROW(row)
    {
        double x = vec_double(args[0], row);
        if (is_log(op) && x <= 0) {
            func__warn(ctx, ER_INVALID_ARGUMENT_FOR_LOGARITHM);
            vec_set_null(out, row);
            continue;
        }
        double r = unary(op, x);
        if (isnan(r)) {
            vec_set_null(out, row);
        } else if (isinf(r)) {
            return func__out_of_range(ctx, call, "DOUBLE");
        } else {
            vec_set_double(out, row, r);
        }
    }
    return ERR_OK;
}

db_err math_atan(EVAL_ARGS)
{
    (void)ctx;
    EACH_ROW(row)
    {
        double x = vec_double(args[0], row);
        vec_set_double(out, row,
                       call->arg_count == 2 ? atan2(x, vec_double(args[1], row)) : atan(x));
    }
    return ERR_OK;
}

/* LOG(x), LOG(base, x). */
db_err math_log(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        double base = vec_double(args[0], row);
        double x = call->arg_count == 2 ? vec_double(args[1], row) : base;
        bool bad = x <= 0 || (call->arg_count == 2 && (base <= 0 || base == 1));
        if (bad) {
            func__warn(ctx, ER_INVALID_ARGUMENT_FOR_LOGARITHM);
            vec_set_null(out, row);
            continue;
        }
        vec_set_double(out, row, call->arg_count == 2 ? log(x) / log(base) : log(x));
    }
    return ERR_OK;
}

db_err math_pow(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        double r = pow(vec_double(args[0], row), vec_double(args[1], row));
        if (!isfinite(r)) {
            return func__out_of_range(ctx, call, "DOUBLE");
        }
        vec_set_double(out, row, r);
    }
    return ERR_OK;
}

db_err math_pi(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    (void)args;
    EACH_ROW(row)
    {
        vec_set_double(out, row, M_PI);
    }
    return ERR_OK;
}
