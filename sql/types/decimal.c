/* The number itself: magnitudes, capacity, comparison, rounding.
 *
 * MySQL keeps a decimal in 9 words of 9 digits, integer and fraction part in words of their own. We
 * keep one binary integer with a scale, because money columns fit one limb then and add, compare
 * and hash in a few instructions. MySQL's limits are applied when a result is stored
 * (decimal__store): that is the one place that knows of words. */
#include "sql/types/decimal_int.h"

#include <string.h>

#include "base/assert.h"
#include "sql/charset/hash.h"

const uint64_t decimal__pow10[20] = {
    1ull,
    10ull,
    100ull,
    1000ull,
    10000ull,
    100000ull,
    1000000ull,
    10000000ull,
    100000000ull,
    1000000000ull,
    10000000000ull,
    100000000000ull,
    1000000000000ull,
    10000000000000ull,
    100000000000000ull,
    1000000000000000ull,
    10000000000000000ull,
    100000000000000000ull,
    1000000000000000000ull,
    10000000000000000000ull,
};

void wide__from(const struct decimal *d, struct wide *ret)
{
    memcpy(ret->l, d->limb, d->used * sizeof(d->limb[0]));
    ret->n = d->used;
}

void wide__mul_pow10(struct wide *w, unsigned digits)
{
    while (digits > 0 && w->n > 0) {
        unsigned step = digits < LIMB_DIGITS ? digits : LIMB_DIGITS;
        ASSERT(w->n < WIDE_LIMBS);
        mp_limb_t carry = mpn_mul_1(w->l, w->l, w->n, decimal__pow10[step]);
        if (carry != 0) {
            w->l[w->n++] = carry;
        }
        digits -= step;
    }
}

static mp_limb_t wide_div_small(struct wide *w, mp_limb_t divisor)
{
    if (w->n == 0) {
        return 0;
    }
    mp_limb_t rem = mpn_divrem_1(w->l, 0, w->l, w->n, divisor);
    if (w->l[w->n - 1] == 0) {
        w->n--;
    }
    return rem;
}

unsigned wide__div_pow10(struct wide *w, unsigned digits, bool *ret_sticky)
{
    bool sticky = false;
    if (digits == 0) {
        *ret_sticky = false;
        return 0;
    }
    for (unsigned left = digits - 1; left > 0 && w->n > 0;) {
        unsigned step = left < LIMB_DIGITS ? left : LIMB_DIGITS;
        sticky |= wide_div_small(w, decimal__pow10[step]) != 0;
        left -= step;
    }
    *ret_sticky = sticky;
    return (unsigned)wide_div_small(w, 10);
}

static unsigned digits_of(uint64_t v)
{
    unsigned n = 0;
    while (n < 20 && v >= decimal__pow10[n]) {
        n++;
    }
    return n;
}

unsigned wide__digits(const struct wide *w)
{
    if (w->n <= 1) {
        return w->n == 0 ? 0 : digits_of(w->l[0]);
    }
    struct wide t = *w;
    unsigned digits = 0;
    while (t.n > 1 || (t.n == 1 && t.l[0] >= decimal__pow10[LIMB_DIGITS])) {
        (void)wide_div_small(&t, decimal__pow10[LIMB_DIGITS]);
        digits += LIMB_DIGITS;
    }
    return digits + (t.n == 0 ? 0 : digits_of(t.l[0]));
}

int wide__cmp(const struct wide *a, const struct wide *b)
{
    if (a->n != b->n) {
        return a->n < b->n ? -1 : 1;
    }
    return a->n == 0 ? 0 : mpn_cmp(a->l, b->l, a->n);
}

static void store_nines(unsigned digits, bool neg, unsigned scale, struct decimal *ret)
{
    struct wide w = {.l = {1}, .n = 1};
    wide__mul_pow10(&w, digits);
    mpn_sub_1(w.l, w.l, w.n, 1);
    if (w.l[w.n - 1] == 0) {
        w.n--;
    }
    memcpy(ret->limb, w.l, w.n * sizeof(ret->limb[0]));
    ret->used = (uint8_t)w.n;
    ret->scale = (uint8_t)scale;
    ret->filled = 0;
    ret->neg = neg;
}

unsigned decimal__store(struct wide *w, bool neg, unsigned scale, unsigned int_digits_hint,
                        struct decimal *ret)
{
    unsigned cond = DECIMAL_OK;
    if (w->n > 1 || scale > GROUP_DIGITS * 4) {
        unsigned digits = wide__digits(w);
        unsigned int_digits = digits > scale ? digits - scale : 0;
        if (int_digits < int_digits_hint) {
            int_digits = int_digits_hint;
        }
        unsigned int_groups = decimal__groups(int_digits);
        if (int_groups > GROUPS_MAX) {
            store_nines(DECIMAL_DIGITS_MAX, neg, 0, ret);
            return DECIMAL_OVERFLOW;
        }
        unsigned scale_max = (GROUPS_MAX - int_groups) * GROUP_DIGITS;
        if (scale > scale_max) {
            bool sticky;
            cond = wide__div_pow10(w, scale - scale_max, &sticky) != 0 || sticky ? DECIMAL_TRUNCATED
                                                                                 : DECIMAL_OK;
            scale = scale_max;
        }
    }
    ASSERT(w->n <= DECIMAL_LIMBS);
    for (unsigned i = 0; i < w->n; i++) {
        ret->limb[i] = w->l[i];
    }
    ret->used = (uint8_t)w->n;
    ret->scale = (uint8_t)scale;
    ret->filled = 0;
    ret->neg = neg && w->n != 0;
    return cond;
}

void decimal_zero(struct decimal *ret)
{
    memset(ret, 0, sizeof(*ret));
}

void decimal_from_scaled(int64_t v, unsigned scale, struct decimal *ret)
{
    ret->neg = v < 0;
    ret->limb[0] = v < 0 ? -(uint64_t)v : (uint64_t)v;
    ret->used = v != 0;
    ret->scale = (uint8_t)scale;
    ret->filled = 0;
}

void decimal_from_int(int64_t v, struct decimal *ret)
{
    decimal_from_scaled(v, 0, ret);
}

void decimal_from_uint(uint64_t v, struct decimal *ret)
{
    ret->neg = false;
    ret->limb[0] = v;
    ret->used = v != 0;
    ret->scale = 0;
    ret->filled = 0;
}

unsigned decimal_to_uint(const struct decimal *d, uint64_t *ret)
{
    struct decimal r;
    (void)decimal_round(d, 0, DECIMAL_HALF_UP, &r);
    if (r.neg) {
        *ret = 0;
        return DECIMAL_OVERFLOW;
    }
    if (r.used > 1) {
        *ret = UINT64_MAX;
        return DECIMAL_OVERFLOW;
    }
    *ret = r.used == 0 ? 0 : r.limb[0];
    return DECIMAL_OK;
}

unsigned decimal_to_int(const struct decimal *d, int64_t *ret)
{
    struct decimal r;
    (void)decimal_round(d, 0, DECIMAL_HALF_UP, &r);
    uint64_t limit = (uint64_t)INT64_MAX + r.neg;
    if (r.used > 1 || (r.used == 1 && r.limb[0] > limit)) {
        *ret = r.neg ? INT64_MIN : INT64_MAX;
        return DECIMAL_OVERFLOW;
    }
    uint64_t m = r.used == 0 ? 0 : r.limb[0];
    *ret = (int64_t)(r.neg ? -m : m);
    return DECIMAL_OK;
}

int decimal_cmp(const struct decimal *a, const struct decimal *b)
{
    if (a->neg != b->neg) {
        return a->neg ? -1 : 1;
    }
    int cmp;
    if (a->scale == b->scale) {
        if (a->used != b->used) {
            cmp = a->used < b->used ? -1 : 1;
        } else {
            cmp = a->used == 0 ? 0 : mpn_cmp(a->limb, b->limb, a->used);
        }
    } else {
        struct wide wa;
        struct wide wb;
        wide__from(a, &wa);
        wide__from(b, &wb);
        if (a->scale < b->scale) {
            wide__mul_pow10(&wa, (unsigned)(b->scale - a->scale));
        } else {
            wide__mul_pow10(&wb, (unsigned)(a->scale - b->scale));
        }
        cmp = wide__cmp(&wa, &wb);
    }
    return a->neg ? -cmp : cmp;
}

unsigned decimal_int_digits(const struct decimal *d)
{
    struct wide w;
    wide__from(d, &w);
    unsigned digits = wide__digits(&w);
    return digits > d->scale ? digits - d->scale : 0;
}

void decimal_neg(struct decimal *d)
{
    d->neg = !d->neg && d->used != 0;
}

const struct decimal *decimal_own(const struct decimal *d, struct decimal *ret)
{
    if (d->filled == 0) {
        return d;
    }
    (void)decimal_round(d, (int)decimal_own_scale(d), DECIMAL_TRUNCATE, ret);
    return ret;
}

static bool rounds_away(enum decimal_round_mode mode, bool neg, unsigned digit, bool sticky)
{
    switch (mode) {
    case DECIMAL_HALF_UP: return digit >= 5;
    case DECIMAL_CEILING: return !neg && (digit != 0 || sticky);
    case DECIMAL_FLOOR: return neg && (digit != 0 || sticky);
    case DECIMAL_TRUNCATE: break;
    }
    return false;
}

unsigned decimal_round(const struct decimal *d, int scale, enum decimal_round_mode mode,
                       struct decimal *ret)
{
    if (scale >= (int)d->scale) {
        if (scale > DECIMAL_DIGITS_MAX) {
            scale = DECIMAL_DIGITS_MAX;
        }
        struct wide w;
        wide__from(d, &w);
        wide__mul_pow10(&w, (unsigned)scale - d->scale);
        /* Digits are added only as far as there is room for them; zeros are no loss. */
        return decimal__store(&w, d->neg, (unsigned)scale, 0, ret) & ~(unsigned)DECIMAL_TRUNCATED;
    }
    struct wide w;
    wide__from(d, &w);
    unsigned drop = (unsigned)((int)d->scale - scale);
    bool sticky;
    unsigned digit = wide__div_pow10(&w, drop, &sticky);
    if (rounds_away(mode, d->neg, digit, sticky)) {
        if (w.n == 0) {
            w.l[0] = 1;
            w.n = 1;
        } else {
            mp_limb_t carry = mpn_add_1(w.l, w.l, w.n, 1);
            if (carry != 0) {
                w.l[w.n++] = carry;
            }
        }
    }
    if (scale < 0) {
        if (-scale > DECIMAL_DIGITS_MAX) {
            w.n = 0;
        }
        wide__mul_pow10(&w, w.n == 0 ? 0 : (unsigned)-scale);
        scale = 0;
    }
    return decimal__store(&w, d->neg, (unsigned)scale, 0, ret);
}

uint64_t decimal_hash(const struct decimal *d, uint64_t seed)
{
    struct wide w;
    wide__from(d, &w);
    unsigned scale = d->scale;
    while (scale > 0 && w.n > 0) {
        struct wide t = w;
        if (wide_div_small(&t, 10) != 0) {
            break;
        }
        w = t;
        scale--;
    }
    uint64_t h = hash_mix(seed, w.n == 0 ? 0 : (uint64_t)scale << 1 | d->neg);
    for (unsigned i = 0; i < w.n; i++) {
        h = hash_mix(h, w.l[i]);
    }
    return h;
}

void decimal_max_value(unsigned precision, unsigned scale, bool neg, struct decimal *ret)
{
    store_nines(precision, neg, scale, ret);
}

unsigned decimal_fit(const struct decimal *d, unsigned precision, unsigned scale,
                     struct decimal *ret)
{
    struct decimal r = *d;
    unsigned cond = DECIMAL_OK;
    r.filled = 0;
    if (d->scale != scale) {
        (void)decimal_round(d, (int)scale, DECIMAL_HALF_UP, &r);
        if (d->scale > scale && decimal_cmp(&r, d) != 0) {
            cond = DECIMAL_TRUNCATED;
        }
    }
    struct wide w;
    wide__from(&r, &w);
    if (r.scale != scale || wide__digits(&w) > precision) {
        decimal_max_value(precision, scale, d->neg, ret);
        return DECIMAL_OVERFLOW;
    }
    *ret = r;
    return cond;
}

unsigned decimal_fixed_size(unsigned precision)
{
    if (precision <= 2) {
        return 1;
    }
    if (precision <= 4) {
        return 2;
    }
    if (precision <= 9) {
        return 4;
    }
    if (precision <= 18) {
        return 8;
    }
    return precision <= 38 ? 16 : 28;
}

void decimal_to_fixed(const struct decimal *d, unsigned precision, unsigned scale, uint8_t *out)
{
    unsigned size = decimal_fixed_size(precision);
    struct decimal r = *d;
    if (d->scale != scale) {
        (void)decimal_round(d, (int)scale, DECIMAL_HALF_UP, &r);
    }
    uint64_t words[DECIMAL_LIMBS] = {0};
    memcpy(words, r.limb, r.used * sizeof(words[0]));
    if (r.neg) {
        (void)mpn_neg(words, words, DECIMAL_LIMBS);
    }
    memcpy(out, words, size);
}

void decimal_from_fixed(const uint8_t *in, unsigned precision, unsigned scale, struct decimal *ret)
{
    unsigned size = decimal_fixed_size(precision);
    bool neg = (in[size - 1] & 0x80) != 0;
    uint64_t words[DECIMAL_LIMBS];
    memset(words, neg ? 0xff : 0, sizeof(words));
    memcpy(words, in, size);
    if (neg) {
        (void)mpn_neg(words, words, DECIMAL_LIMBS);
    }
    unsigned used = DECIMAL_LIMBS;
    while (used > 0 && words[used - 1] == 0) {
        used--;
    }
    memcpy(ret->limb, words, used * sizeof(words[0]));
    ret->used = (uint8_t)used;
    ret->scale = (uint8_t)scale;
    ret->filled = 0;
    ret->neg = neg && used != 0;
}
