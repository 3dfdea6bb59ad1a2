/* CRC32, CONV, BIN and OCT. */
#include "sql/func/families.h"

#include <zlib.h>

enum { RADIX_DIGITS_MAX = 66 };

db_err math_crc32(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        vec_set_i64(out, row, (int64_t)crc32_z(0, s.ptr, s.len));
    }
    return ERR_OK;
}

static int digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'z' ? c - 'a' + 10
           : c >= 'A' && c <= 'Z' ? c - 'A' + 10
                                  : 99;
}

/* The longest prefix that is a number in that radix; clipped to 64 bits. */
static uint64_t parse(struct slice s, unsigned radix, bool as_signed, bool *ret_bad)
{
    size_t i = 0;
    bool neg = false;
    bool over = false;
    uint64_t v = 0;
    while (i < s.len && (s.ptr[i] == ' ' || (s.ptr[i] >= 9 && s.ptr[i] <= 13))) {
        i++;
    }
    if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+')) {
        neg = s.ptr[i++] == '-';
    }
    size_t first = i;
    for (; i < s.len && digit(s.ptr[i]) < (int)radix; i++) {
        uint64_t d = (uint64_t)digit(s.ptr[i]);
        over = over || __builtin_mul_overflow(v, radix, &v) || __builtin_add_overflow(v, d, &v);
    }
    *ret_bad = over || i == first;
    if (as_signed) {
        uint64_t max = (uint64_t)INT64_MAX + neg;
        v = over || v > max ? max : v;
    } else if (over) {
        return UINT64_MAX;
    }
    return neg ? -v : v;
}

static struct slice print(uint64_t v, unsigned radix, bool neg, char buf[RADIX_DIGITS_MAX])
{
    char *p = buf + RADIX_DIGITS_MAX;
    do {
        *--p = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[v % radix];
        v /= radix;
    } while (v != 0);
    if (neg) {
        *--p = '-';
    }
    return slice_of(p, (size_t)(buf + RADIX_DIGITS_MAX - p));
}

static uint64_t magnitude(int64_t n)
{
    return n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
}

db_err math_conv(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        int64_t from = call->arg_count == 3 ? vec_i64(args[1], row) : 10;
        int64_t to = call->arg_count == 3 ? vec_i64(args[2], row) : call->variant;
        uint64_t abs_from = magnitude(from);
        uint64_t abs_to = magnitude(to);
        if (abs_from < 2 || abs_from > 36 || abs_to < 2 || abs_to > 36) {
            vec_set_null(out, row);
            continue;
        }
        uint64_t v;
        if (args[0]->phys == PHYS_INT) {
            v = vec_u64(args[0], row);
        } else {
            struct slice s = vec_str(args[0], row);
            if (s.len == 0) {
                vec_set_null(out, row);
                continue;
            }
            bool bad;
            v = parse(s, (unsigned)abs_from, from < 0, &bad);
            if (bad) {
                func__warn(ctx, ER_TRUNCATED_WRONG_VALUE, "DECIMAL", arena_strdup(ctx->arena, s));
            }
        }
        bool neg = to < 0 && (int64_t)v < 0;
        char text[RADIX_DIGITS_MAX];
        TRY(func__set_ascii(ctx, out, row, print(neg ? -v : v, (unsigned)abs_to, neg, text)));
    }
    return ERR_OK;
}
