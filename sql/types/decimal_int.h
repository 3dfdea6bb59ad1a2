/* Private to sql/types: wide magnitudes behind struct decimal. Little-endian limbs, `n` significant
 * (no zero limb on top). */
#ifndef SKEIN_SQL_TYPES_DECIMAL_INT_H
#define SKEIN_SQL_TYPES_DECIMAL_INT_H

#include <gmp.h>

#include "base/err.h"
#include "sql/types/decimal.h"

_Static_assert(sizeof(mp_limb_t) == 8, "limbs are 64 bits");

/* Room for a dividend of 81 digits shifted by 162 more, with slack for the last multiplication. */
enum { WIDE_LIMBS = 16, GROUP_DIGITS = 9, GROUPS_MAX = 9, LIMB_DIGITS = 19 };

struct wide {
    mp_limb_t l[WIDE_LIMBS];
    unsigned n;
};

extern const uint64_t decimal__pow10[20]; /* 10^0 .. 10^19 */

void wide__from(const struct decimal *d, struct wide *ret);
void wide__mul_pow10(struct wide *w, unsigned digits);
/* Divides; *ret_sticky: some digit below the last dropped one was not 0; returns the last digit
 * dropped. */
unsigned wide__div_pow10(struct wide *w, unsigned digits, bool *ret_sticky);
unsigned wide__digits(const struct wide *w); /* decimal digits, 0 for 0 */
int wide__cmp(const struct wide *a, const struct wide *b);

/* Stores sign * w * 10^-scale, cutting to MySQL's capacity; int_digits_hint: digits before the
 * point that capacity is planned for (at least the true number). Returns conditions. */
unsigned decimal__store(struct wide *w, bool neg, unsigned scale, unsigned int_digits_hint,
                        struct decimal *ret);

static inline unsigned decimal__groups(unsigned digits)
{
    return (digits + GROUP_DIGITS - 1) / GROUP_DIGITS;
}

#endif
