/* + - * / DIV % and unary minus over vectors.
 *
 * Integers: the plain case, two signed operands, is a loop that only collects an overflow flag, so
 * that the compiler may vectorise it; mixed signedness goes through 128 bits and is checked against
 * the result's range. A value out of range is error 1690. */
#include "sql/func/families.h"

#include <math.h>

typedef __int128 wide;

static bool unsigned_arg(const struct func_call *call, uint32_t i)
{
    const struct sql_type *t = &call->arg_types[i];
    return type_is_unsigned(t) || t->id == TYPE_BIT || t->id == TYPE_YEAR;
}

static const char *int_kind(const struct func_call *call)
{
    return type_is_unsigned(&call->type) ? "BIGINT UNSIGNED" : "BIGINT";
}

static inline wide widen(int64_t v, bool is_unsigned)
{
    return is_unsigned ? (wide)(uint64_t)v : (wide)v;
}

static inline bool fits(wide r, bool is_unsigned)
{
    return is_unsigned ? r >= 0 && r <= (wide)UINT64_MAX : r >= INT64_MIN && r <= INT64_MAX;
}

enum int_op { INT_ADD, INT_SUB, INT_MUL };

static bool wide_op(enum int_op op, wide a, wide b, wide *ret)
{
    switch (op) {
    case INT_ADD: *ret = a + b; return true;
    case INT_SUB: *ret = a - b; return true;
    case INT_MUL: break;
    }
    return !__builtin_mul_overflow(a, b, ret);
}

static db_err int_mixed(enum int_op op, EVAL_ARGS)
{
    bool ua = unsigned_arg(call, 0);
    bool ub = unsigned_arg(call, 1);
    bool uns = type_is_unsigned(&call->type);
    EACH_ROW(row)
    {
        wide r;
        if (!wide_op(op, widen(vec_i64(args[0], row), ua), widen(vec_i64(args[1], row), ub), &r) ||
            !fits(r, uns)) {
            return func__out_of_range(ctx, call, int_kind(call));
        }
        vec_set_i64(out, row, (int64_t)r);
    }
    return ERR_OK;
}

#define SIGNED_LOOP(builtin)                                                                       \
    do {                                                                                           \
        bool over = false;                                                                         \
        int64_t *dst = vec_i64s(out);                                                              \
        EACH_ROW(row)                                                                              \
        {                                                                                          \
            int64_t r;                                                                             \
            over |= builtin(vec_i64(args[0], row), vec_i64(args[1], row), &r);                     \
            dst[row] = r;                                                                          \
        }                                                                                          \
        return over ? func__out_of_range(ctx, call, "BIGINT") : ERR_OK;                            \
    } while (0)

static db_err int_add(EVAL_ARGS)
{
    if (unsigned_arg(call, 0) || unsigned_arg(call, 1)) {
        return int_mixed(INT_ADD, ctx, call, args, sel, n, out);
    }
    SIGNED_LOOP(__builtin_add_overflow);
}

static db_err int_sub(EVAL_ARGS)
{
    if (unsigned_arg(call, 0) || unsigned_arg(call, 1)) {
        return int_mixed(INT_SUB, ctx, call, args, sel, n, out);
    }
    SIGNED_LOOP(__builtin_sub_overflow);
}

static db_err int_mul(EVAL_ARGS)
{
    if (unsigned_arg(call, 0) || unsigned_arg(call, 1)) {
        return int_mixed(INT_MUL, ctx, call, args, sel, n, out);
    }
    SIGNED_LOOP(__builtin_mul_overflow);
}

typedef unsigned (*decimal_fn)(const struct decimal *, const struct decimal *, struct decimal *);

/* MYSQL: a value has the digits that come of its operands' (a user variable's are those of what was
 * assigned to it) and is shown with those of its type. */
static db_err decimal_loop(decimal_fn fn, EVAL_ARGS)
{
    unsigned scale = call->type.decimals;
    EACH_ROW(row)
    {
        struct decimal r;
        const struct decimal *a = vec_decimal(args[0], row);
        const struct decimal *b = vec_decimal(args[1], row);
        unsigned own_a = decimal_own_scale(a);
        unsigned own_b = decimal_own_scale(b);
        unsigned cond = fn(a, b, &r);
        if ((cond & DECIMAL_OVERFLOW) != 0) {
            return func__out_of_range(ctx, call, "DECIMAL");
        }
        if (r.neg && !decimal_is_zero(&r) && type_is_unsigned(&call->type)) {
            return func__out_of_range(ctx, call, "DECIMAL UNSIGNED");
        }
        if (r.scale != scale) {
            (void)decimal_round(&r, (int)scale, DECIMAL_HALF_UP, &r);
        }
        decimal_set_filled(&r, fn == decimal_mul ? own_a + own_b : own_a > own_b ? own_a : own_b);
        vec_set_decimal(out, row, &r);
    }
    return ERR_OK;
}

#define DOUBLE_LOOP(expr)                                                                          \
    do {                                                                                           \
        double *dst = out->data;                                                                   \
        bool bad = false;                                                                          \
        EACH_ROW(row)                                                                              \
        {                                                                                          \
            double a = vec_double(args[0], row);                                                   \
            double b = vec_double(args[1], row);                                                   \
            double r = (expr);                                                                     \
            bad |= !isfinite(r);                                                                   \
            dst[row] = r;                                                                          \
        }                                                                                          \
        return bad ? func__out_of_range(ctx, call, "DOUBLE") : ERR_OK;                             \
    } while (0)

db_err arith_add(EVAL_ARGS)
{
    switch (call->variant) {
    case NUM_INT: return int_add(ctx, call, args, sel, n, out);
    case NUM_DECIMAL: return decimal_loop(decimal_add, ctx, call, args, sel, n, out);
    default: DOUBLE_LOOP(a + b);
    }
}

db_err arith_sub(EVAL_ARGS)
{
    switch (call->variant) {
    case NUM_INT: return int_sub(ctx, call, args, sel, n, out);
    case NUM_DECIMAL: return decimal_loop(decimal_sub, ctx, call, args, sel, n, out);
    default: DOUBLE_LOOP(a - b);
    }
}

db_err arith_mul(EVAL_ARGS)
{
    switch (call->variant) {
    case NUM_INT: return int_mul(ctx, call, args, sel, n, out);
    case NUM_DECIMAL: return decimal_loop(decimal_mul, ctx, call, args, sel, n, out);
    default: DOUBLE_LOOP(a * b);
    }
}

static db_err double_div(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        double b = vec_double(args[1], row);
        if (b == 0) {
            TRY(func__div_zero(ctx, out, row));
            continue;
        }
        double r = vec_double(args[0], row) / b;
        if (!isfinite(r)) {
            return func__out_of_range(ctx, call, "DOUBLE");
        }
        vec_set_double(out, row, r);
    }
    return ERR_OK;
}

db_err arith_div(EVAL_ARGS)
{
    if (call->variant == NUM_DOUBLE) {
        return double_div(ctx, call, args, sel, n, out);
    }
    unsigned scale = call->type.decimals;
    unsigned increment = ctx->cast->div_precision_increment;
    EACH_ROW(row)
    {
        struct decimal r;
        struct decimal a;
        struct decimal b;
        unsigned cond = decimal_div(decimal_own(vec_decimal(args[0], row), &a),
                                    decimal_own(vec_decimal(args[1], row), &b), increment, &r);
        if ((cond & DECIMAL_DIV_ZERO) != 0) {
            TRY(func__div_zero(ctx, out, row));
            continue;
        }
        if ((cond & DECIMAL_OVERFLOW) != 0) {
            return func__out_of_range(ctx, call, "DECIMAL");
        }
        unsigned own = r.scale;
        (void)decimal_round(&r, (int)scale, DECIMAL_HALF_UP, &r);
        decimal_set_filled(&r, own);
        vec_set_decimal(out, row, &r);
    }
    return ERR_OK;
}

static db_err decimal_intdiv(EVAL_ARGS)
{
    bool uns = type_is_unsigned(&call->type);
    EACH_ROW(row)
    {
        struct decimal q;
        unsigned cond = decimal_div(vec_decimal(args[0], row), vec_decimal(args[1], row), 0, &q);
        if ((cond & DECIMAL_DIV_ZERO) != 0) {
            TRY(func__div_zero(ctx, out, row));
            continue;
        }
        int64_t r;
        cond &= DECIMAL_OVERFLOW;
        (void)decimal_round(&q, 0, DECIMAL_TRUNCATE, &q);
        unsigned fit = uns ? decimal_to_uint(&q, (uint64_t *)&r) : decimal_to_int(&q, &r);
        if (((cond | fit) & DECIMAL_OVERFLOW) != 0) {
            if (cond == 0) { /* MYSQL: the quotient is told of first */
                char text[DECIMAL_TEXT_MAX + 1];
                text[decimal_to_text(&q, text)] = '\0';
                cast_warn(ctx->cast, CAST_WARNING, ER_TRUNCATED_WRONG_VALUE, "Truncated incorrect",
                          "DECIMAL", text, "");
            }
            return func__out_of_range(ctx, call, int_kind(call));
        }
        vec_set_i64(out, row, r);
    }
    return ERR_OK;
}

db_err arith_intdiv(EVAL_ARGS)
{
    if (call->variant != NUM_INT) {
        return decimal_intdiv(ctx, call, args, sel, n, out);
    }
    bool ua = unsigned_arg(call, 0);
    bool ub = unsigned_arg(call, 1);
    bool uns = type_is_unsigned(&call->type);
    EACH_ROW(row)
    {
        wide b = widen(vec_i64(args[1], row), ub);
        if (b == 0) {
            TRY(func__div_zero(ctx, out, row));
            continue;
        }
        wide r = widen(vec_i64(args[0], row), ua) / b;
        if (!fits(r, uns)) {
            return func__out_of_range(ctx, call, int_kind(call));
        }
        vec_set_i64(out, row, (int64_t)r);
    }
    return ERR_OK;
}

static db_err int_mod(EVAL_ARGS)
{
    bool ua = unsigned_arg(call, 0);
    bool ub = unsigned_arg(call, 1);
    EACH_ROW(row)
    {
        int64_t a = vec_i64(args[0], row);
        int64_t b = vec_i64(args[1], row);
        if (b == 0) {
            TRY(func__div_zero(ctx, out, row));
            continue;
        }
        uint64_t x = !ua && a < 0 ? -(uint64_t)a : (uint64_t)a;
        uint64_t y = !ub && b < 0 ? -(uint64_t)b : (uint64_t)b;
        uint64_t r = x % y;
        vec_set_i64(out, row, (int64_t)(!ua && a < 0 ? -r : r));
    }
    return ERR_OK;
}

db_err arith_mod(EVAL_ARGS)
{
    if (call->variant == NUM_INT) {
        return int_mod(ctx, call, args, sel, n, out);
    }
    unsigned scale = call->type.decimals;
    EACH_ROW(row)
    {
        if (call->variant == NUM_DOUBLE) {
            double b = vec_double(args[1], row);
            if (b == 0) {
                TRY(func__div_zero(ctx, out, row));
                continue;
            }
            vec_set_double(out, row, fmod(vec_double(args[0], row), b));
            continue;
        }
        struct decimal r;
        const struct decimal *a = vec_decimal(args[0], row);
        const struct decimal *b = vec_decimal(args[1], row);
        unsigned own_a = decimal_own_scale(a);
        unsigned own_b = decimal_own_scale(b);
        unsigned cond = decimal_mod(a, b, &r);
        if ((cond & DECIMAL_DIV_ZERO) != 0) {
            TRY(func__div_zero(ctx, out, row));
            continue;
        }
        if (r.scale != scale) {
            (void)decimal_round(&r, (int)scale, DECIMAL_HALF_UP, &r);
        }
        decimal_set_filled(&r, own_a > own_b ? own_a : own_b);
        vec_set_decimal(out, row, &r);
    }
    return ERR_OK;
}

db_err arith_neg(EVAL_ARGS)
{
    bool uns = unsigned_arg(call, 0);
    EACH_ROW(row)
    {
        if (call->variant == NUM_DOUBLE) {
            vec_set_double(out, row, -vec_double(args[0], row));
        } else if (call->variant == NUM_DECIMAL) {
            struct decimal d = *vec_decimal(args[0], row);
            decimal_neg(&d);
            vec_set_decimal(out, row, &d);
        } else {
            wide r = -widen(vec_i64(args[0], row), uns);
            if (!fits(r, false)) {
                return func__out_of_range(ctx, call, "BIGINT");
            }
            vec_set_i64(out, row, (int64_t)r);
        }
    }
    return ERR_OK;
}
