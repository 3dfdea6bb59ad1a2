/* & | ^ ~ << >> and BIT_COUNT, on 64-bit integers and on binary strings. */
#include "sql/func/families.h"

#include "sql/func/arith/arith_int.h"

static uint8_t bit_byte(int op, uint8_t a, uint8_t b)
{
    return (uint8_t)(op == 0 ? a & b : op == 1 ? a | b : a ^ b);
}

static db_err string_bits(EVAL_ARGS)
{
    int op = call->variant & ~ARITH_BITS_STRING;
    EACH_ROW(row)
    {
        struct slice a = vec_str(args[0], row);
        struct slice b = vec_str(args[1], row);
        if (a.len != b.len) {
            return my_error(ctx->diag, ER_INVALID_BITWISE_OPERANDS_SIZE);
        }
        uint8_t *p;
        TRY(func__bytes(ctx, a.len, &p));
        for (size_t i = 0; i < a.len; i++) {
            p[i] = bit_byte(op, a.ptr[i], b.ptr[i]);
        }
        vec_set_str_ref(out, row, slice_of(p, a.len));
    }
    return ERR_OK;
}

db_err arith_bits(EVAL_ARGS)
{
    if ((call->variant & ARITH_BITS_STRING) != 0) {
        return string_bits(ctx, call, args, sel, n, out);
    }
    int64_t *dst = vec_i64s(out);
    EACH_ROW(row)
    {
        int64_t a = vec_i64(args[0], row);
        int64_t b = vec_i64(args[1], row);
        dst[row] = call->variant == 0 ? a & b : call->variant == 1 ? a | b : a ^ b;
    }
    return ERR_OK;
}

db_err arith_bitnot(EVAL_ARGS)
{
    bool text = (call->variant & ARITH_BITS_STRING) != 0;
    EACH_ROW(row)
    {
        if (!text) {
            vec_set_i64(out, row, ~vec_i64(args[0], row));
            continue;
        }
        struct slice a = vec_str(args[0], row);
        uint8_t *p;
        TRY(func__bytes(ctx, a.len, &p));
        for (size_t i = 0; i < a.len; i++) {
            p[i] = (uint8_t)~a.ptr[i];
        }
        vec_set_str_ref(out, row, slice_of(p, a.len));
    }
    return ERR_OK;
}

/* The string as one big number, most significant byte first. */
static void shift_string(struct slice a, uint64_t bits, bool right, uint8_t *p)
{
    memset(p, 0, a.len);
    if (bits >= a.len * 8ull) {
        return;
    }
    size_t whole = (size_t)(bits / 8);
    unsigned part = (unsigned)(bits % 8);
    for (size_t i = 0; i + whole < a.len; i++) {
        size_t near = right ? a.len - 1 - i - whole : i + whole;
        size_t to = right ? a.len - 1 - i : i;
        unsigned v = right ? (unsigned)a.ptr[near] >> part : (unsigned)a.ptr[near] << part;
        if (part != 0 && right && near > 0) {
            v |= (unsigned)a.ptr[near - 1] << (8 - part);
        } else if (part != 0 && !right && near + 1 < a.len) {
            v |= (unsigned)a.ptr[near + 1] >> (8 - part);
        }
        p[to] = (uint8_t)v;
    }
}

db_err arith_shift(EVAL_ARGS)
{
    bool right = (call->variant & 1) != 0;
    bool text = (call->variant & ARITH_BITS_STRING) != 0;
    EACH_ROW(row)
    {
        uint64_t bits = vec_u64(args[1], row);
        if (!text) {
            uint64_t a = vec_u64(args[0], row);
            uint64_t r = bits >= 64 ? 0 : right ? a >> bits : a << bits;
            vec_set_i64(out, row, (int64_t)r);
            continue;
        }
        struct slice a = vec_str(args[0], row);
        uint8_t *p;
        TRY(func__bytes(ctx, a.len, &p));
        shift_string(a, bits, right, p);
        vec_set_str_ref(out, row, slice_of(p, a.len));
    }
    return ERR_OK;
}

db_err arith_bit_count(EVAL_ARGS)
{
    (void)ctx;
    bool text = (call->variant & ARITH_BITS_STRING) != 0;
    EACH_ROW(row)
    {
        if (!text) {
            vec_set_i64(out, row, __builtin_popcountll(vec_u64(args[0], row)));
            continue;
        }
        struct slice a = vec_str(args[0], row);
        int64_t count = 0;
        for (size_t i = 0; i < a.len; i++) {
            count += __builtin_popcount(a.ptr[i]);
        }
        vec_set_i64(out, row, count);
    }
    return ERR_OK;
}
