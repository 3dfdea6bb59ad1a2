/* Exact decimal numbers with the behaviour of MySQL's DECIMAL.
 *
 * A number is magnitude * 10^-scale with a sign. The magnitude is a binary integer of up to 5 words
 * of 64 bits. The arithmetic keeps MySQL's capacity: 81 digits in 9 groups of 9, groups counted
 * apart on each side of the point; what does not fit loses fraction digits (DECIMAL_TRUNCATED) or
 * overflows (DECIMAL_OVERFLOW, the result is then the largest number). There is no negative zero.
 * Results may alias operands. All functions are pure. */
#ifndef SKEIN_SQL_TYPES_DECIMAL_H
#define SKEIN_SQL_TYPES_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { DECIMAL_LIMBS = 5, DECIMAL_DIGITS_MAX = 81, DECIMAL_TEXT_MAX = 84 };

struct decimal {
    uint64_t limb[DECIMAL_LIMBS]; /* little endian; limbs at and past `used` are undefined */
    uint8_t used;                 /* significant limbs; 0 = zero */
    uint8_t scale;                /* digits after the point, kept as written: 1.50 has 2 */
    bool neg;
    uint8_t filled; /* of these, zeros at the end that only fill up an expression's type: a quotient
                       has no more digits for them. 0 in what other functions than
                       decimal_set_filled() make. */
    uint8_t pad[4];
};

/* Conditions, or-ed; 0 = exact. */
enum decimal_cond {
    DECIMAL_OK = 0,
    DECIMAL_TRUNCATED = 1, /* fraction digits were lost */
    DECIMAL_OVERFLOW = 2,
    DECIMAL_DIV_ZERO = 4,  /* the result was not written */
    DECIMAL_BAD_NUM = 8,   /* text held no number: result 0 */
    DECIMAL_TRAILING = 16, /* text went on after the number with something other than spaces */
};

enum decimal_round_mode {
    DECIMAL_HALF_UP,  /* half away from zero */
    DECIMAL_TRUNCATE, /* toward zero */
    DECIMAL_CEILING,
    DECIMAL_FLOOR,
};

/* ---- from and to ---- */

void decimal_zero(struct decimal *ret);
void decimal_from_int(int64_t v, struct decimal *ret);
void decimal_from_uint(uint64_t v, struct decimal *ret);
/* v * 10^-scale. */
void decimal_from_scaled(int64_t v, unsigned scale, struct decimal *ret);
/* Through the shortest text of v, as MySQL does. NaN and infinity: DECIMAL_OVERFLOW. */
unsigned decimal_from_double(double v, struct decimal *ret);
/* [spaces][sign]digits[.digits][e[sign]digits][spaces]. */
unsigned decimal_from_text(struct slice text, struct decimal *ret);
/* Rounded half away from zero; DECIMAL_OVERFLOW with the nearest bound when it does not fit. */
unsigned decimal_to_int(const struct decimal *d, int64_t *ret);
unsigned decimal_to_uint(const struct decimal *d, uint64_t *ret);
double decimal_to_double(const struct decimal *d);
/* Writes plain digits ("-12.30", "0.5"), `scale` digits after the point. No NUL. Returns the
 * length. */
unsigned decimal_to_text(const struct decimal *d, char out[DECIMAL_TEXT_MAX]);

/* ---- arithmetic ---- */

unsigned decimal_add(const struct decimal *a, const struct decimal *b, struct decimal *ret);
unsigned decimal_sub(const struct decimal *a, const struct decimal *b, struct decimal *ret);
unsigned decimal_mul(const struct decimal *a, const struct decimal *b, struct decimal *ret);
/* At least a.scale + scale_increment fraction digits are computed (div_precision_increment, 4 by
 * default), in groups of 9 as MySQL does, cut, not rounded: round to the expression's scale
 * afterwards. */
unsigned decimal_div(const struct decimal *a, const struct decimal *b, unsigned scale_increment,
                     struct decimal *ret);
/* Sign of a; scale max(a, b). */
unsigned decimal_mod(const struct decimal *a, const struct decimal *b, struct decimal *ret);
void decimal_neg(struct decimal *d);
/* Notes that a value of `own` digits after the point was filled up to the ones it has. */
static inline void decimal_set_filled(struct decimal *d, unsigned own)
{
    d->filled = (uint8_t)(own < d->scale ? d->scale - own : 0);
}
/* Digits after the point without those. */
static inline unsigned decimal_own_scale(const struct decimal *d)
{
    return (unsigned)d->scale - d->filled;
}
/* d when nothing was filled up, else what it was before, in *ret. */
const struct decimal *decimal_own(const struct decimal *d, struct decimal *ret);
/* To `scale` fraction digits; negative: tens, hundreds... The result's scale is max(scale, 0):
 * digits are added too. */
unsigned decimal_round(const struct decimal *d, int scale, enum decimal_round_mode mode,
                       struct decimal *ret);

/* ---- questions ---- */

int decimal_cmp(const struct decimal *a, const struct decimal *b);
static inline bool decimal_is_zero(const struct decimal *d)
{
    return d->used == 0;
}
/* Digits before the point, without leading zeros; 0 for 0.5. */
unsigned decimal_int_digits(const struct decimal *d);
/* Equal numbers (1.5, 1.50) have equal hashes. */
uint64_t decimal_hash(const struct decimal *d, uint64_t seed);
/* Rounds to DECIMAL(precision, scale); DECIMAL_OVERFLOW with +-99..9.99 when it does not fit,
 * DECIMAL_TRUNCATED when digits other than 0 were lost. */
unsigned decimal_fit(const struct decimal *d, unsigned precision, unsigned scale,
                     struct decimal *ret);
/* The largest DECIMAL(precision, scale), with the sign. */
void decimal_max_value(unsigned precision, unsigned scale, bool neg, struct decimal *ret);

/* ---- fixed-width form for rows: the number * 10^scale as a little-endian two's complement ---- */

/* Bytes for DECIMAL(precision, *): 1, 2, 4, 8, 16 or 28. */
unsigned decimal_fixed_size(unsigned precision);
/* d must fit DECIMAL(precision, scale). */
void decimal_to_fixed(const struct decimal *d, unsigned precision, unsigned scale, uint8_t *out);
void decimal_from_fixed(const uint8_t *in, unsigned precision, unsigned scale, struct decimal *ret);

#endif
