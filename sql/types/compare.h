/* How values of different types compare, and how operands meet.
 *
 * The binder asks compare_kind() once, casts both sides to that kind's type where they differ, and
 * evaluation then compares plain data. value_compare() does both for scalars. */
#ifndef SKEIN_SQL_TYPES_COMPARE_H
#define SKEIN_SQL_TYPES_COMPARE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "sql/charset/charset.h"
#include "sql/types/cast.h"
#include "sql/types/type.h"
#include "sql/types/value.h"

enum compare_kind {
    COMPARE_INT, /* int64; each side's own signedness counts: (uint64) 2^63 > (int64) -1 */
    COMPARE_DECIMAL,
    COMPARE_DOUBLE,
    COMPARE_STRING,   /* under the collation the binder has aggregated */
    COMPARE_DATETIME, /* packed; DATE, DATETIME, TIMESTAMP after cast to DATETIME */
    COMPARE_TIME,
    COMPARE_JSON,
    COMPARE_NULL, /* a side is the literal NULL */
};

/* The rule for a <op> b, whatever their values: dates and times meet text as what they are, and
 * numbers as numbers. */
enum compare_kind compare_kind(const struct sql_type *a, const struct sql_type *b);
/* The type both sides are cast to for a kind (COMPARE_INT and _STRING: no cast is needed
 * between members of the family; the type of `t` is returned). */
struct sql_type compare_type(enum compare_kind kind, const struct sql_type *t);

/* The whole number of 64 bits that text says ("12", " -3 ", "5.0", "1e3"), as an integer value,
 * unsigned if it is beyond int64; false: it says none, or something else beside it. */
bool text_whole_number(struct slice text, struct value *ret);

/* Integers of own signedness: < 0, 0, > 0. */
static inline int compare_ints(int64_t a, bool a_unsigned, int64_t b, bool b_unsigned)
{
    if (a_unsigned != b_unsigned && (a < 0 || b < 0)) {
        /* The side with its top bit set is either a huge unsigned or a negative number. */
        if (a_unsigned) {
            return 1; /* b is negative, or a is above INT64_MAX */
        }
        return -1;
    }
    if (a_unsigned && b_unsigned) {
        return ((uint64_t)a > (uint64_t)b) - ((uint64_t)a < (uint64_t)b);
    }
    return (a > b) - (a < b);
}
static inline int compare_doubles(double a, double b)
{
    return (a > b) - (a < b);
}

/* MYSQL: doubles whose decimals are both fixed (FLOAT(M,D), DOUBLE(M,D) and what is made of them,
 * beside integers and decimals, too) are equal when they differ by less than this: half a unit of
 * the last decimal. 0: they compare to the last bit, as do dates and numbers without decimals. */
double compare_tolerance(const struct sql_type *a, const struct sql_type *b);
static inline int compare_near(double a, double b, double tolerance)
{
    return fabs(a - b) < tolerance ? 0 : compare_doubles(a, b);
}

/* Same physical kind, neither NULL; for PHYS_STR by the collation (NULL: bytes). */
int value_compare_same(const struct value *a, const struct value *b,
                       const struct collation *collation);
/* Any two non-NULL values under the kind's rule, casting as needed. */
MUST_USE db_err value_compare(struct cast_ctx *ctx, enum compare_kind kind,
                              const struct collation *collation, const struct sql_type *a_type,
                              const struct value *a, const struct sql_type *b_type,
                              const struct value *b, int *ret_order);
/* Equal values of one type have equal hashes; 1 (int) and 1.0 (decimal) do not. NULL hashes to a
 * fixed value. */
uint64_t value_hash(const struct value *v, const struct collation *collation, uint64_t seed);

#endif
