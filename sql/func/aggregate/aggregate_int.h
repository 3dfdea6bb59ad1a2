/* States of the aggregate functions. Private to sql/func. All zero = no rows yet. */
#ifndef SKEIN_SQL_FUNC_AGGREGATE_INT_H
#define SKEIN_SQL_FUNC_AGGREGATE_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "sql/types/decimal.h"

struct agg_count_state {
    int64_t count;
};

/* SUM and AVG. Integers and decimals of one word add up in `fast` (units of 10^-scale), other
 * decimals in `exact`; doubles in `real`. */
struct agg_sum_state {
    int64_t count;
    double real;
    uint8_t scale; /* of fast */
    bool has_fast;
    bool has_exact;
    uint64_t fast_low; /* a 128-bit integer; states are 8-byte aligned only */
    int64_t fast_high;
    struct decimal exact;
};

/* What was added up, not rounded; of one with rows. */
void agg__sum_total(const struct agg_sum_state *s, struct decimal *ret);

/* MIN, MAX, ANY_VALUE: one value. */
struct agg_value_state {
    bool has;
    bool is_null; /* ANY_VALUE of NULL */
    uint32_t cap; /* of ptr */
    uint32_t len;
    uint8_t *ptr; /* strings; in the operator's arena */
    union {
        int64_t i;
        double d;
        struct decimal dec;
    };
};

struct agg_bits_state {
    bool has;
    uint32_t len; /* of ptr: binary strings, in the operator's arena */
    uint64_t bits;
    uint8_t *ptr;
};

/* Running mean and sum of squared distances from it. */
struct agg_variance_state {
    int64_t count;
    double mean;
    double squares;
};

/* JSON_ARRAYAGG, JSON_OBJECTAGG: what was given, one after the other: [length, name,] length,
 * document; lengths of 4 bytes. */
struct agg_json_state {
    uint64_t rows;
    size_t len;
    size_t cap;
    uint8_t *ptr;
};

struct agg_concat_state {
    uint64_t rows;
    bool cut;
    uint32_t len;
    uint32_t cap;
    uint8_t *ptr;
};

#endif
