/* Addition, multiplication, division. One-limb operands of one scale, the common case, do not enter
 * the wide code. */
#include "sql/types/decimal_int.h"

#include <string.h>

#include "base/assert.h"

static void align(const struct decimal *a, const struct decimal *b, struct wide *wa,
                  struct wide *wb)
{
    wide__from(a, wa);
    wide__from(b, wb);
    if (a->scale < b->scale) {
        wide__mul_pow10(wa, (unsigned)(b->scale - a->scale));
    } else {
        wide__mul_pow10(wb, (unsigned)(a->scale - b->scale));
    }
}

static void wide_add(const struct wide *a, const struct wide *b, struct wide *ret)
{
    if (a->n < b->n) {
        const struct wide *t = a;
        a = b;
        b = t;
    }
    if (b->n == 0) {
        *ret = *a;
        return;
    }
    unsigned n = a->n;
    mp_limb_t carry = mpn_add(ret->l, a->l, n, b->l, b->n);
    ret->n = n;
    if (carry != 0) {
        ret->l[ret->n++] = carry;
    }
}

/* a >= b */
static void wide_sub(const struct wide *a, const struct wide *b, struct wide *ret)
{
    if (b->n == 0) {
        *ret = *a;
        return;
    }
    unsigned n = a->n;
    (void)mpn_sub(ret->l, a->l, n, b->l, b->n);
    while (n > 0 && ret->l[n - 1] == 0) {
        n--;
    }
    ret->n = n;
}

/* Cuts the fraction to so many groups; scale stays what it is when it is short enough. */
static void cut_to_groups(const struct decimal *d, unsigned groups, struct decimal *ret)
{
    *ret = *d;
    if (d->scale > groups * GROUP_DIGITS) {
        (void)decimal_round(d, (int)(groups * GROUP_DIGITS), DECIMAL_TRUNCATE, ret);
    }
}

static unsigned add_signed(const struct decimal *a, const struct decimal *b, bool b_neg,
                           struct decimal *ret)
{
    if (LIKELY(a->scale == b->scale && a->used <= 1 && b->used <= 1)) {
        uint64_t x = a->used == 0 ? 0 : a->limb[0];
        uint64_t y = b->used == 0 ? 0 : b->limb[0];
        uint8_t scale = a->scale;
        bool neg = a->neg;
        uint64_t sum;
        if (neg != b_neg) {
            neg = x >= y ? neg : b_neg;
            sum = x >= y ? x - y : y - x;
        } else if (__builtin_add_overflow(x, y, &sum)) {
            ret->limb[1] = 1;
            ret->limb[0] = sum;
            ret->used = 2;
            ret->scale = scale;
            ret->filled = 0;
            ret->neg = neg;
            return DECIMAL_OK;
        }
        ret->limb[0] = sum;
        ret->used = sum != 0;
        ret->scale = scale;
        ret->filled = 0;
        ret->neg = neg && sum != 0;
        return DECIMAL_OK;
    }
    struct wide wa;
    struct wide wb;
    struct wide r;
    struct decimal x;
    struct decimal y;
    unsigned scale = a->scale > b->scale ? a->scale : b->scale;
    unsigned cond = DECIMAL_OK;
    if (scale > GROUP_DIGITS && (a->used > 1 || b->used > 1)) {
        /* What has no room is cut off the operands, not off the sum. */
        unsigned da = decimal_int_digits(a);
        unsigned db = decimal_int_digits(b);
        unsigned groups = decimal__groups(da > db ? da : db);
        unsigned allowed = groups > GROUPS_MAX ? 0 : GROUPS_MAX - groups;
        if (scale > allowed * GROUP_DIGITS) {
            cut_to_groups(a, allowed, &x);
            cut_to_groups(b, allowed, &y);
            a = &x;
            b = &y;
            scale = a->scale > b->scale ? a->scale : b->scale;
            cond = DECIMAL_TRUNCATED;
        }
    }
    align(a, b, &wa, &wb);
    bool neg = a->neg;
    if (a->neg == b_neg) {
        wide_add(&wa, &wb, &r);
    } else if (wide__cmp(&wa, &wb) >= 0) {
        wide_sub(&wa, &wb, &r);
    } else {
        wide_sub(&wb, &wa, &r);
        neg = b_neg;
    }
    return cond | decimal__store(&r, neg, scale, 0, ret);
}

unsigned decimal_add(const struct decimal *a, const struct decimal *b, struct decimal *ret)
{
    return add_signed(a, b, b->neg, ret);
}

unsigned decimal_sub(const struct decimal *a, const struct decimal *b, struct decimal *ret)
{
    return add_signed(a, b, !b->neg && b->used != 0, ret);
}

/* A product whose groups do not fit: as MySQL, the operands lose the groups at their ends before
 * they are multiplied, half of them each, the odd one from the operand with more. */
static unsigned mul_cut(const struct decimal *a, const struct decimal *b, unsigned int_digits,
                        struct decimal *ret)
{
    unsigned fa = decimal__groups(a->scale);
    unsigned fb = decimal__groups(b->scale);
    unsigned allowed = GROUPS_MAX - decimal__groups(int_digits);
    unsigned drop = fa + fb - allowed;
    unsigned from_a = fa <= fb ? drop / 2 : drop - drop / 2;
    unsigned from_b = drop - from_a;
    struct decimal x;
    struct decimal y;
    unsigned scale = (unsigned)a->scale + b->scale;
    if (scale > allowed * GROUP_DIGITS) {
        scale = allowed * GROUP_DIGITS;
    }
    cut_to_groups(a, fa > from_a ? fa - from_a : 0, &x);
    cut_to_groups(b, fb > from_b ? fb - from_b : 0, &y);
    bool neg = a->neg != b->neg;
    struct wide r = {.n = 0};
    unsigned have = (unsigned)x.scale + y.scale;
    if (x.used != 0 && y.used != 0) {
        const struct decimal *big = x.used >= y.used ? &x : &y;
        const struct decimal *small = big == &x ? &y : &x;
        mp_limb_t top = mpn_mul(r.l, big->limb, big->used, small->limb, small->used);
        r.n = (unsigned)big->used + small->used - (top == 0);
    }
    if (have > scale) {
        bool sticky;
        (void)wide__div_pow10(&r, have - scale, &sticky);
    } else {
        wide__mul_pow10(&r, scale - have);
    }
    return DECIMAL_TRUNCATED | decimal__store(&r, neg, scale, int_digits, ret);
}

unsigned decimal_mul(const struct decimal *a, const struct decimal *b, struct decimal *ret)
{
    unsigned scale = (unsigned)a->scale + b->scale;
    bool neg = a->neg != b->neg;
    if (a->used == 0 || b->used == 0) {
        struct wide zero = {.n = 0};
        return decimal__store(&zero, false, scale, 0, ret);
    }
    if (LIKELY(a->used == 1 && b->used == 1 && scale <= GROUP_DIGITS * 4)) {
        __extension__ unsigned __int128 p = (unsigned __int128)a->limb[0] * b->limb[0];
        ret->limb[0] = (uint64_t)p;
        ret->limb[1] = (uint64_t)(p >> 64);
        ret->used = ret->limb[1] != 0 ? 2 : 1;
        ret->scale = (uint8_t)scale;
        ret->filled = 0;
        ret->neg = neg;
        return DECIMAL_OK;
    }
    /* Capacity is planned, as in MySQL, from the operands' digits. */
    unsigned int_digits = decimal_int_digits(a) + decimal_int_digits(b);
    unsigned fa = decimal__groups(a->scale);
    unsigned fb = decimal__groups(b->scale);
    unsigned int_groups = decimal__groups(int_digits);
    if (int_groups <= GROUPS_MAX && int_groups + fa + fb > GROUPS_MAX) {
        return mul_cut(a, b, int_digits, ret);
    }
    struct wide r;
    const struct decimal *big = a->used >= b->used ? a : b;
    const struct decimal *small = big == a ? b : a;
    mp_limb_t top = mpn_mul(r.l, big->limb, big->used, small->limb, small->used);
    r.n = (unsigned)big->used + small->used - (top == 0);
    return decimal__store(&r, neg, scale, int_digits, ret);
}

/* q = a * 10^shift / b, all of them above zero. */
static void wide_div(struct wide *a, const struct wide *b, struct wide *q, struct wide *rem)
{
    if (wide__cmp(a, b) < 0) {
        q->n = 0;
        if (rem != NULL) {
            *rem = *a;
        }
        return;
    }
    struct wide r;
    mpn_tdiv_qr(q->l, r.l, 0, a->l, a->n, b->l, b->n);
    q->n = a->n - b->n + 1;
    if (q->l[q->n - 1] == 0) {
        q->n--;
    }
    if (rem != NULL) {
        r.n = b->n;
        while (r.n > 0 && r.l[r.n - 1] == 0) {
            r.n--;
        }
        *rem = r;
    }
}

unsigned decimal_div(const struct decimal *a, const struct decimal *b, unsigned scale_increment,
                     struct decimal *ret)
{
    if (b->used == 0) {
        return DECIMAL_DIV_ZERO;
    }
    bool neg = a->neg != b->neg;
    unsigned fa = decimal__groups(a->scale) * GROUP_DIGITS;
    unsigned fb = decimal__groups(b->scale) * GROUP_DIGITS;
    unsigned spare = fa - a->scale + fb - b->scale;
    unsigned more = scale_increment > spare ? scale_increment - spare : 0;
    unsigned scale = decimal__groups(fa + fb + more) * GROUP_DIGITS;
    if (scale > DECIMAL_DIGITS_MAX) {
        scale = DECIMAL_DIGITS_MAX;
    }
    struct wide wa;
    struct wide wb;
    struct wide q;
    wide__from(a, &wa);
    wide__from(b, &wb);
    if (wa.n == 0) {
        return decimal__store(&wa, false, scale, 0, ret);
    }
    /* a*10^-sa / (b*10^-sb) = (a*10^(scale+sb-sa) / b) * 10^-scale */
    int shift = (int)(scale + b->scale) - (int)a->scale;
    if (shift >= 0) {
        wide__mul_pow10(&wa, (unsigned)shift);
    } else {
        bool sticky;
        (void)wide__div_pow10(&wa, (unsigned)-shift, &sticky);
    }
    wide_div(&wa, &wb, &q, NULL);
    return decimal__store(&q, neg, scale, 0, ret) & ~(unsigned)DECIMAL_TRUNCATED;
}

unsigned decimal_mod(const struct decimal *a, const struct decimal *b, struct decimal *ret)
{
    if (b->used == 0) {
        return DECIMAL_DIV_ZERO;
    }
    struct wide wa;
    struct wide wb;
    struct wide q;
    struct wide rem;
    align(a, b, &wa, &wb);
    unsigned scale = a->scale > b->scale ? a->scale : b->scale;
    wide_div(&wa, &wb, &q, &rem);
    return decimal__store(&rem, a->neg, scale, 0, ret);
}
