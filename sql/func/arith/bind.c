/* Result types of arithmetic, as MySQL infers them.
 *
 * Operands count as integers, exact decimals or doubles (func__number); the wider kind wins and is
 * kept in call->variant (ARITH_*), so that evaluation is one typed loop. Lengths are precisions
 * plus room for sign and point. */
#include "sql/func/families.h"

#include "sql/func/arith/arith_int.h"
#include "sql/types/sql_mode.h"

static db_err check_operands(struct func_bind_ctx *ctx, const struct func_call *call,
                             const struct func_arg *args, const char *sign)
{
    for (uint32_t i = 0; i < call->arg_count; i++) {
        if (args[i].type.id == TYPE_GEOMETRY) {
            return my_error(ctx->diag, ER_WRONG_ARGUMENTS, sign);
        }
    }
    return ERR_OK;
}

static enum func_number wider(const struct func_arg *args, uint32_t count)
{
    enum func_number kind = NUM_INT;
    for (uint32_t i = 0; i < count; i++) {
        enum func_number k = func__number(&args[i].type);
        kind = k > kind ? k : kind;
    }
    return kind;
}

static void want_kind(struct func_arg *args, uint32_t count, enum func_number kind)
{
    for (uint32_t i = 0; i < count; i++) {
        if (kind == NUM_INT) {
            func__want_int(&args[i]);
        } else if (kind == NUM_DECIMAL) {
            func__want_decimal(&args[i]);
        } else {
            func__want_double(&args[i]);
        }
    }
}

static unsigned scale_of(const struct sql_type *t)
{
    return t->id == TYPE_DECIMAL || type_is_temporal(t) ? t->decimals : 0u;
}

/* The number of an ENUM or SET has a sign, though what is stored has none. */
static bool is_unsigned(const struct sql_type *t)
{
    bool names = t->id == TYPE_ENUM || t->id == TYPE_SET;
    return (type_is_unsigned(t) && !names) || t->id == TYPE_BIT || t->id == TYPE_YEAR ||
           ((t->flags & TYPE_F_BYTES_NUMBER) != 0 && (t->wire & TYPE_W_UNSIGNED) != 0);
}

/* DOUBLE(M,D) operands keep a fixed number of decimals, also beside dates and literals of bytes. */
static struct sql_type double_result(const struct func_arg *args, uint32_t count)
{
    struct sql_type t = func__double();
    unsigned decimals = 0;
    uint32_t whole = 0; /* what stands before the decimals, with sign and point */
    for (uint32_t i = 0; i < count; i++) {
        const struct sql_type *a = &args[i].type;
        bool real = a->id == TYPE_DOUBLE || a->id == TYPE_FLOAT;
        bool bytes = (a->flags & TYPE_F_BYTES_NUMBER) != 0;
        if (!real && !bytes && !type_is_temporal(a) && !type_is_numeric(a) && a->id != TYPE_NULL) {
            return t;
        }
        unsigned own = bytes ? 0u : a->decimals;
        decimals = own > decimals ? own : decimals;
        uint32_t width = real ? a->length : (uint32_t)func__chars(a);
        width -= own < width ? own : width;
        whole = width > whole ? width : whole;
    }
    if (decimals < DECIMALS_NOT_FIXED) {
        t.decimals = (uint8_t)decimals;
        t.length = whole + decimals;
    }
    return t;
}

static unsigned cap(unsigned precision)
{
    return precision > DECIMAL_PRECISION_MAX ? DECIMAL_PRECISION_MAX : precision;
}

static unsigned cap_scale(unsigned scale)
{
    return scale > DECIMAL_SCALE_MAX ? DECIMAL_SCALE_MAX : scale;
}

static struct sql_type int_result(unsigned precision, bool is_uns)
{
    unsigned length = precision + (is_uns ? 0 : 1);
    return is_uns ? func__ubigint(length) : func__bigint(length);
}

db_err arith_bind_additive(BIND_ARGS)
{
    bool subtract = call->variant == 1;
    TRY(check_operands(ctx, call, args, subtract ? "-" : "+"));
    enum func_number kind = wider(args, 2);
    const struct sql_type *a = &args[0].type;
    const struct sql_type *b = &args[1].type;
    bool uns =
        kind == NUM_INT ? is_unsigned(a) || is_unsigned(b) : is_unsigned(a) && is_unsigned(b);
    bool forget = uns && subtract && (ctx->sql_mode & SQL_MODE_NO_UNSIGNED_SUBTRACTION) != 0;
    uns = uns && !forget;
    if (kind == NUM_DOUBLE) {
        func__result(call, args, double_result(args, 2));
    } else {
        unsigned sa = scale_of(a);
        unsigned sb = scale_of(b);
        unsigned scale = sa > sb ? sa : sb;
        unsigned ia = func__precision(a) - sa;
        unsigned ib = func__precision(b) - sb;
        /* MYSQL: the place of the sign that is forgotten is a digit's */
        unsigned precision = (ia > ib ? ia : ib) + !forget + scale;
        struct sql_type t =
            kind == NUM_INT ? int_result(precision, uns) : type_decimal(cap(precision), scale, uns);
        func__result(call, args, t);
        if (kind == NUM_DECIMAL && precision > DECIMAL_PRECISION_MAX) {
            call->type.wire |= TYPE_W_LONG_PRECISION;
        }
    }
    want_kind(args, 2, kind);
    call->variant = (int)kind;
    return ERR_OK;
}

db_err arith_bind_mul(BIND_ARGS)
{
    TRY(check_operands(ctx, call, args, "*"));
    enum func_number kind = wider(args, 2);
    const struct sql_type *a = &args[0].type;
    const struct sql_type *b = &args[1].type;
    unsigned precision = func__precision(a) + func__precision(b);
    if (kind == NUM_DOUBLE) {
        func__result(call, args, double_result(args, 2));
    } else if (kind == NUM_INT) {
        func__result(call, args, int_result(precision, is_unsigned(a) || is_unsigned(b)));
    } else {
        func__result(call, args,
                     type_decimal(cap(precision), cap_scale(scale_of(a) + scale_of(b)),
                                  is_unsigned(a) && is_unsigned(b)));
    }
    want_kind(args, 2, kind);
    call->variant = (int)kind;
    return ERR_OK;
}

db_err arith_bind_div(BIND_ARGS)
{
    TRY(check_operands(ctx, call, args, "/"));
    enum func_number kind = wider(args, 2) == NUM_DOUBLE ? NUM_DOUBLE : NUM_DECIMAL;
    const struct sql_type *a = &args[0].type;
    const struct sql_type *b = &args[1].type;
    if (kind == NUM_DOUBLE) {
        struct sql_type t = double_result(args, 2);
        if (t.decimals < DECIMALS_NOT_FIXED) { /* a quotient has more digits than its operands */
            unsigned d = t.decimals + ctx->div_precision_increment;
            t.decimals = (uint8_t)(d > DECIMAL_SCALE_MAX ? DECIMALS_NOT_FIXED : d);
            t.length += ctx->div_precision_increment;
        }
        func__result_null(call, t);
    } else {
        unsigned precision = func__precision(a) + ctx->div_precision_increment + scale_of(b);
        unsigned scale = cap_scale(scale_of(a) + ctx->div_precision_increment);
        func__result_null(call,
                          type_decimal(cap(precision), scale, is_unsigned(a) && is_unsigned(b)));
    }
    want_kind(args, 2, kind);
    call->variant = (int)kind;
    return ERR_OK;
}

db_err arith_bind_intdiv(BIND_ARGS)
{
    TRY(check_operands(ctx, call, args, "DIV"));
    const struct sql_type *a = &args[0].type;
    const struct sql_type *b = &args[1].type;
    bool uns = is_unsigned(a) || is_unsigned(b);
    unsigned digits = 20;
    if (func__number(a) != NUM_DOUBLE) {
        digits = func__precision(a) - scale_of(a) + scale_of(b);
    }
    func__result_null(call, int_result(digits, uns));
    enum func_number kind = wider(args, 2) == NUM_INT ? NUM_INT : NUM_DECIMAL;
    want_kind(args, 2, kind);
    call->variant = (int)kind;
    return ERR_OK;
}

db_err arith_bind_mod(BIND_ARGS)
{
    TRY(check_operands(ctx, call, args, "%"));
    enum func_number kind = wider(args, 2);
    const struct sql_type *a = &args[0].type;
    const struct sql_type *b = &args[1].type;
    unsigned pa = func__precision(a);
    unsigned pb = func__precision(b);
    unsigned precision = pa > pb ? pa : pb;
    if (kind == NUM_DOUBLE) {
        struct sql_type t = double_result(args, 2);
        t.flags |= (uint8_t)(is_unsigned(a) ? TYPE_F_UNSIGNED : 0);
        func__result_null(call, t);
    } else if (kind == NUM_INT) {
        uint32_t length = precision + 1;
        func__result_null(call, is_unsigned(a) ? func__ubigint(length) : func__bigint(length));
    } else {
        unsigned sa = scale_of(a);
        unsigned sb = scale_of(b);
        bool uns = is_unsigned(a); /* MYSQL: the place of a sign is a digit's */
        func__result_null(call, type_decimal(cap(precision + uns), sa > sb ? sa : sb, uns));
    }
    want_kind(args, 2, kind);
    call->variant = (int)kind;
    return ERR_OK;
}

db_err arith_bind_neg(BIND_ARGS)
{
    TRY(check_operands(ctx, call, args, "-"));
    enum func_number kind = wider(args, 1);
    const struct sql_type *a = &args[0].type;
    const struct value *c = args[0].constant;
    /* MYSQL: -18446744073709551615 is a decimal, and so is the negative of any negative constant;
     * that of a column is an integer, or overflows. */
    bool constant = c != NULL && !c->is_null && c->phys == PHYS_INT;
    if (kind == NUM_INT && constant &&
        (c->is_unsigned ? c->u > (uint64_t)INT64_MAX + 1 : c->i < 0)) {
        kind = NUM_DECIMAL;
    }
    bool bytes = type_is_string(a) && (a->flags & TYPE_F_BYTES_NUMBER) != 0;
    if (type_is_temporal(a) || bytes) { /* MYSQL: their negative is a double, of x'22', too */
        struct sql_type t = func__double();
        t.decimals = bytes ? 0 : a->decimals;
        t.length = 17u + t.decimals;
        kind = NUM_DOUBLE;
        func__result(call, args, t);
    } else if (kind == NUM_DOUBLE) {
        struct sql_type t = double_result(args, 1);
        t.length = t.decimals < DECIMALS_NOT_FIXED ? 17u + t.decimals : t.length;
        func__result(call, args, t);
    } else if (kind == NUM_INT) {
        unsigned length = func__precision(a) + 1;
        func__result(call, args, func__bigint(length > 20 ? 20 : length));
    } else {
        func__result(call, args, type_decimal(cap(func__precision(a)), scale_of(a), false));
    }
    want_kind(args, 1, kind);
    call->variant = (int)kind;
    return ERR_OK;
}

/* ---- bits ---- */

static bool is_binary_text(const struct func_arg *arg)
{
    return type_is_string(&arg->type) && arg->type.collation == COLL_BINARY;
}

/* MYSQL: bit operations work on binary strings when an operand is one that is not a literal;
 * otherwise on 64-bit integers. */
static bool bits_of_strings(const struct func_arg *args, uint32_t count)
{
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_binary_text(&args[i])) {
            return false;
        }
        any = any || (args[i].type.flags & TYPE_F_BYTES_NUMBER) == 0;
    }
    return any;
}

db_err arith_bind_bits(BIND_ARGS)
{
    TRY(check_operands(ctx, call, args, "&"));
    if (bits_of_strings(args, call->arg_count)) {
        uint64_t length = func__chars(&args[0].type);
        if (call->arg_count == 2 && func__chars(&args[1].type) > length) {
            length = func__chars(&args[1].type);
        }
        func__result(call, args, func__text(length, COLL_BINARY));
        call->coercibility = 2;
        call->variant |= ARITH_BITS_STRING;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < call->arg_count; i++) {
        func__want_int(&args[i]);
    }
    func__result(call, args, func__ubigint(21));
    return ERR_OK;
}

db_err arith_bind_shift(BIND_ARGS)
{
    TRY(check_operands(ctx, call, args, "<<"));
    func__want_int(&args[1]);
    if (bits_of_strings(args, 1)) {
        func__result(call, args, func__text(func__chars(&args[0].type), COLL_BINARY));
        call->coercibility = 2;
        call->variant |= ARITH_BITS_STRING;
        return ERR_OK;
    }
    func__want_int(&args[0]);
    func__result(call, args, func__ubigint(21));
    return ERR_OK;
}

db_err arith_bind_bit_count(BIND_ARGS)
{
    TRY(check_operands(ctx, call, args, "bit_count"));
    func__result(call, args, func__bigint(21));
    if (bits_of_strings(args, 1) || args[0].type.id == TYPE_VECTOR) {
        call->variant |= ARITH_BITS_STRING;
        return ERR_OK;
    }
    func__want_int(&args[0]);
    return ERR_OK;
}
