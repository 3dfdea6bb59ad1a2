/* Result types of the mathematical functions. */
#include "sql/func/families.h"
#include "sql/func/math/math_int.h"

static unsigned scale_of(const struct sql_type *t)
{
    return t->id == TYPE_DECIMAL || type_is_temporal(t) ? t->decimals : 0u;
}

static bool is_unsigned(const struct sql_type *t)
{
    return type_is_unsigned(t) || t->id == TYPE_BIT || t->id == TYPE_YEAR;
}

static enum func_number number(struct func_arg *arg)
{
    /* MYSQL: dates and times, and x'..', are doubles here. */
    bool other = type_is_temporal(&arg->type) || (arg->type.flags & TYPE_F_BYTES_NUMBER) != 0;
    enum func_number kind = other ? NUM_DOUBLE : func__number(&arg->type);
    if (kind == NUM_INT) {
        func__want_int(arg);
    } else if (kind == NUM_DECIMAL) {
        func__want_decimal(arg);
    } else {
        func__want_double(arg);
    }
    return kind;
}

static struct sql_type double_like(const struct sql_type *t)
{
    struct sql_type d = func__double();
    if ((t->id == TYPE_DOUBLE || t->id == TYPE_FLOAT) && t->decimals < DECIMALS_NOT_FIXED) {
        d.decimals = t->decimals;
        d.length = t->length;
    }
    if (type_is_temporal(t) || (t->flags & TYPE_F_BYTES_NUMBER) != 0) {
        d.decimals = type_is_temporal(t) ? t->decimals : 0;
        d.length = 17;
    }
    return d;
}

db_err math_bind_abs(BIND_ARGS)
{
    (void)ctx;
    const struct sql_type *t = &args[0].type;
    call->variant = (int)number(&args[0]);
    if (call->variant == NUM_DOUBLE) {
        struct sql_type d = double_like(t);
        d.length = d.decimals < DECIMALS_NOT_FIXED ? 17u + d.decimals : d.length;
        d.flags |= (uint8_t)(t->flags & TYPE_F_UNSIGNED);
        func__result(call, args, d);
    } else if (call->variant == NUM_DECIMAL) {
        func__result(call, args, type_decimal(func__precision(t), scale_of(t), is_unsigned(t)));
    } else {
        unsigned precision = func__precision(t);
        func__result(call, args,
                     is_unsigned(t) ? func__ubigint(precision) : func__bigint(precision + 1));
    }
    return ERR_OK;
}

db_err math_bind_sign(BIND_ARGS)
{
    (void)ctx;
    call->variant = (int)number(&args[0]);
    func__result(call, args, func__bigint(21));
    return ERR_OK;
}

/* variant of math_whole: rounding mode * 4 + kind. A DECIMAL with few digits becomes BIGINT.
 * MYSQL: only integers stay UNSIGNED. */
db_err math_bind_whole(BIND_ARGS)
{
    (void)ctx;
    enum { BIGINT_DIGITS = 18 };
    const struct sql_type *t = &args[0].type;
    enum func_number kind = number(&args[0]);
    if (kind == NUM_DOUBLE) {
        func__result(call, args, func__double());
    } else if (kind == NUM_INT) {
        func__result(call, args, is_unsigned(t) ? func__ubigint(21) : func__bigint(21));
    } else {
        unsigned digits = func__precision(t) - scale_of(t);
        if (digits <= BIGINT_DIGITS) {
            func__result(call, args, func__bigint(21));
        } else {
            unsigned p = digits + 1 > DECIMAL_PRECISION_MAX ? DECIMAL_PRECISION_MAX : digits + 1;
            func__result(call, args, type_decimal(p, 0, false));
        }
    }
    call->variant = call->variant * 4 + (int)kind;
    return ERR_OK;
}

db_err math_bind_round(BIND_ARGS)
{
    (void)ctx;
    const struct sql_type *t = &args[0].type;
    enum func_number kind = number(&args[0]);
    bool truncate = call->variant == DECIMAL_TRUNCATE;
    int64_t digits = 0;
    /* Only a DECIMAL's type depends on it: looking warns of what is no number of digits. */
    bool known =
        kind == NUM_DECIMAL && (call->arg_count == 1 || func__const_int(ctx, &args[1], &digits));
    if (call->arg_count == 2) {
        func__want_int(&args[1]);
    }
    if (kind == NUM_DOUBLE) {
        func__result(call, args, func__double());
    } else if (kind == NUM_INT) {
        func__result(call, args, is_unsigned(t) ? func__ubigint(21) : func__bigint(21));
    } else {
        unsigned scale = scale_of(t);
        unsigned whole = func__precision(t) - scale;
        unsigned to = !known || digits >= (int64_t)scale ? scale
                      : digits < 0                       ? 0
                                                         : (unsigned)digits;
        to = to > DECIMAL_SCALE_MAX ? DECIMAL_SCALE_MAX : to;
        bool carry = known && digits < (int64_t)scale && !truncate;
        unsigned p = whole + to + carry;
        p = p == 0 ? 1 : p > DECIMAL_PRECISION_MAX ? DECIMAL_PRECISION_MAX : p;
        func__result(call, args, type_decimal(p, to, false));
    }
    call->variant = call->variant * 4 + (int)kind;
    return ERR_OK;
}

db_err math_bind_double(BIND_ARGS)
{
    (void)ctx;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        func__want_double(&args[i]);
    }
    if (call->variant == MATH_DEGREES || call->variant == MATH_RADIANS) {
        func__result(call, args, func__double());
    } else {
        func__result_null(call, func__double());
    }
    return ERR_OK;
}

db_err math_bind_pi(BIND_ARGS)
{
    (void)ctx;
    (void)args;
    struct sql_type t = func__double();
    t.length = 8;
    t.decimals = 6;
    func__result_not_null(call, t);
    return ERR_OK;
}

db_err math_bind_rand(BIND_ARGS)
{
    (void)ctx;
    if (call->arg_count == 1) {
        call->variant = args[0].is_const;
        func__want_int(&args[0]);
    }
    func__result_not_null(call, func__double());
    return ERR_OK;
}

db_err math_bind_crc32(BIND_ARGS)
{
    func__want_text(ctx, &args[0]);
    func__result(call, args, func__ubigint(10));
    return ERR_OK;
}

db_err math_bind_conv(BIND_ARGS)
{
    enum { CONV_CHARS = 65 };
    func__want_text(ctx, &args[0]);
    /* MYSQL: bits, also those of x'41', are a number whatever its radix is said to be */
    if (args[0].type.id == TYPE_BIT || (args[0].type.flags & TYPE_F_BYTES_NUMBER) != 0) {
        func__want(&args[0], type_int(TYPE_BIGINT, true));
    }
    for (uint32_t i = 1; i < call->arg_count; i++) {
        func__want_int(&args[i]);
    }
    func__result_ascii(ctx, call, CONV_CHARS);
    return ERR_OK;
}

db_err math_bind_format(BIND_ARGS)
{
    enum { MORE = 32 };
    uint64_t chars = func__chars(&args[0].type);
    call->variant = (int)number(&args[0]);
    if (call->variant == NUM_INT) {
        func__want_decimal(&args[0]);
    }
    func__want_int(&args[1]);
    if (call->arg_count == 3) {
        TRY(math__constant_locale(ctx, call, &args[2]));
        func__want_text(ctx, &args[2]);
    }
    func__result_ascii(ctx, call, chars + chars / 3 + MORE);
    return ERR_OK;
}
