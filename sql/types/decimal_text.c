/* Decimals from and to text and doubles. */
#include "sql/types/decimal_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sql/types/cast.h"

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct scanned {
    const uint8_t *int_part;
    unsigned int_digits; /* without leading zeros */
    const uint8_t *frac_part;
    unsigned frac_digits;
    bool neg;
    int exponent;
};

/* "e[sign]digits" at p; returns the byte behind it, or p when there is none. */
static const uint8_t *scan_exponent(const uint8_t *p, const uint8_t *end, int *ret_exponent)
{
    const uint8_t *q = p;
    if (q >= end || (*q != 'e' && *q != 'E')) {
        return p;
    }
    q++;
    bool neg = false;
    if (q < end && (*q == '+' || *q == '-')) {
        neg = *q++ == '-';
    }
    if (q >= end || !is_digit(*q)) {
        return p;
    }
    int e = 0;
    for (; q < end && is_digit(*q); q++) {
        e = e < 100000 ? e * 10 + (*q - '0') : e;
    }
    *ret_exponent = neg ? -e : e;
    return q;
}

static unsigned scan(struct slice text, struct scanned *ret)
{
    const uint8_t *p = text.ptr;
    const uint8_t *end = p + text.len;
    memset(ret, 0, sizeof(*ret));
    while (p < end && is_space(*p)) {
        p++;
    }
    if (p < end && (*p == '+' || *p == '-')) {
        ret->neg = *p++ == '-';
    }
    const uint8_t *begin = p;
    while (p < end && is_digit(*p)) {
        p++;
    }
    bool any = p > begin;
    while (begin < p && *begin == '0') {
        begin++;
    }
    ret->int_part = begin;
    ret->int_digits = (unsigned)(p - begin);
    ret->frac_part = p;
    if (p < end && *p == '.') {
        const uint8_t *q = p + 1;
        while (q < end && is_digit(*q)) {
            q++;
        }
        if (any || q > p + 1) {
            ret->frac_part = p + 1;
            ret->frac_digits = (unsigned)(q - p - 1);
            any = true;
            p = q;
        }
    }
    if (!any) {
        return DECIMAL_BAD_NUM;
    }
    p = scan_exponent(p, end, &ret->exponent);
    while (p < end && is_space(*p)) {
        p++;
    }
    return p < end ? DECIMAL_TRAILING : DECIMAL_OK;
}

static void push_digits(struct wide *w, const uint8_t *digits, unsigned count)
{
    while (count > 0) {
        unsigned step = count < LIMB_DIGITS ? count : LIMB_DIGITS;
        uint64_t chunk = 0;
        for (unsigned i = 0; i < step; i++) {
            chunk = chunk * 10 + (uint64_t)(digits[i] - '0');
        }
        wide__mul_pow10(w, step);
        if (w->n == 0) {
            w->l[0] = chunk;
            w->n = chunk != 0;
        } else {
            mp_limb_t carry = mpn_add_1(w->l, w->l, w->n, chunk);
            if (carry != 0) {
                w->l[w->n++] = carry;
            }
        }
        digits += step;
        count -= step;
    }
}

/* Zero digits only? */
static bool all_zero(const uint8_t *digits, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (digits[i] != '0') {
            return false;
        }
    }
    return true;
}

unsigned decimal_from_text(struct slice text, struct decimal *ret)
{
    struct scanned s;
    unsigned cond = scan(text, &s);
    if ((cond & DECIMAL_BAD_NUM) != 0) {
        decimal_zero(ret);
        return cond;
    }
    if (s.int_digits > DECIMAL_DIGITS_MAX) {
        decimal_max_value(DECIMAL_DIGITS_MAX, 0, s.neg, ret);
        return cond | DECIMAL_OVERFLOW;
    }
    unsigned frac = s.frac_digits;
    if (frac > DECIMAL_DIGITS_MAX) {
        if (!all_zero(s.frac_part + DECIMAL_DIGITS_MAX, frac - DECIMAL_DIGITS_MAX)) {
            cond |= DECIMAL_TRUNCATED;
        }
        frac = DECIMAL_DIGITS_MAX;
    }
    struct wide w = {.n = 0};
    push_digits(&w, s.int_part, s.int_digits);
    push_digits(&w, s.frac_part, frac);
    int scale = (int)frac - s.exponent;
    if (w.n == 0) {
        scale = scale < 0 ? 0 : scale > DECIMAL_DIGITS_MAX ? DECIMAL_DIGITS_MAX : scale;
    } else if (scale < 0) {
        if (-scale > DECIMAL_DIGITS_MAX) {
            decimal_max_value(DECIMAL_DIGITS_MAX, 0, s.neg, ret);
            return cond | DECIMAL_OVERFLOW;
        }
        wide__mul_pow10(&w, (unsigned)-scale);
        scale = 0;
    } else if (scale > DECIMAL_DIGITS_MAX) {
        bool sticky;
        if (wide__div_pow10(&w, (unsigned)scale - DECIMAL_DIGITS_MAX, &sticky) != 0 || sticky) {
            cond |= DECIMAL_TRUNCATED;
        }
        scale = DECIMAL_DIGITS_MAX;
    }
    return cond | decimal__store(&w, s.neg, (unsigned)scale, 0, ret);
}

unsigned decimal_from_double(double v, struct decimal *ret)
{
    if (!isfinite(v)) {
        decimal_max_value(DECIMAL_DIGITS_MAX, 0, v < 0, ret);
        return DECIMAL_OVERFLOW;
    }
    char text[NUMBER_TEXT_MAX];
    unsigned len = double_to_text(v, DECIMALS_NOT_FIXED, text);
    return decimal_from_text(slice_of(text, len), ret);
}

unsigned decimal_to_text(const struct decimal *d, char out[DECIMAL_TEXT_MAX])
{
    char digits[DECIMAL_LIMBS * 20];
    unsigned n = 0; /* digits written from the end */
    struct wide w;
    wide__from(d, &w);
    while (w.n > 0) {
        mp_limb_t rem = mpn_divrem_1(w.l, 0, w.l, w.n, decimal__pow10[LIMB_DIGITS]);
        if (w.l[w.n - 1] == 0) {
            w.n--;
        }
        for (unsigned i = 0; i < LIMB_DIGITS && (w.n > 0 || rem != 0); i++) {
            digits[sizeof(digits) - ++n] = (char)('0' + rem % 10);
            rem /= 10;
        }
    }
    while (n <= d->scale) { /* at least one digit before the point */
        digits[sizeof(digits) - ++n] = '0';
    }
    char *o = out;
    if (d->neg) {
        *o++ = '-';
    }
    const char *from = digits + sizeof(digits) - n;
    memcpy(o, from, n - d->scale);
    o += n - d->scale;
    if (d->scale != 0) {
        *o++ = '.';
        memcpy(o, from + n - d->scale, d->scale);
        o += d->scale;
    }
    ASSERT_SLOW((size_t)(o - out) <= DECIMAL_TEXT_MAX);
    return (unsigned)(o - out);
}

double decimal_to_double(const struct decimal *d)
{
    if (d->used == 0) {
        return 0;
    }
    if (d->used == 1 && d->limb[0] <= 1ull << 53 && d->scale < 20) {
        /* Both are exact doubles up to 10^22: the quotient is the nearest double. */
        double v = (double)d->limb[0] / (double)decimal__pow10[d->scale];
        return d->neg ? -v : v;
    }
    char text[DECIMAL_TEXT_MAX + 1];
    text[decimal_to_text(d, text)] = '\0';
    return strtod(text, NULL);
}
