/* One scalar: a tagged union. Used for constants, parameters, keys and defaults; columns of many
 * rows are struct vector (sql/types/vector.h).
 *
 * Bytes of strings are borrowed: whoever makes the value says from where. 64+ bytes: pass by
 * pointer. */
#ifndef SKEIN_SQL_TYPES_VALUE_H
#define SKEIN_SQL_TYPES_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "sql/types/decimal.h"
#include "sql/types/type.h"

struct value {
    uint8_t phys; /* enum phys_kind */
    uint8_t type; /* enum type_id */
    bool is_null;
    bool is_unsigned;   /* PHYS_INT only */
    uint8_t decimals;   /* fraction digits of temporals and doubles (DECIMALS_NOT_FIXED) */
    uint16_t collation; /* PHYS_STR */
    union {
        int64_t i;
        uint64_t u;
        double d;
        int64_t t;
        struct decimal dec;
        struct slice str;
    };
};

static inline void value_tag(struct value *v, const struct sql_type *t)
{
    v->phys = (uint8_t)type_phys(t);
    v->type = t->id;
    v->is_null = false;
    v->is_unsigned = type_is_unsigned(t);
    v->decimals = t->decimals;
    v->collation = t->collation;
}
static inline void value_set_null(struct value *v, const struct sql_type *t)
{
    value_tag(v, t);
    v->is_null = true;
    v->i = 0;
}
/* What a column of this type that may not be NULL holds where nothing was given: 0, '', the first
 * member of an ENUM. */
void value_set_zero(struct value *v, const struct sql_type *t);
struct value value_null(void);
struct value value_int(int64_t i);   /* BIGINT */
struct value value_uint(uint64_t u); /* BIGINT UNSIGNED */
struct value value_double(double d);
struct value value_decimal(const struct decimal *d);
struct value value_str(struct slice s, unsigned collation); /* VARCHAR; borrows */
struct value value_temporal(enum type_id id, int64_t packed,
                            unsigned decimals); /* DATE TIME DATETIME TIMESTAMP */
/* The narrowest sql_type of a value on its own: what a literal's type is. */
struct sql_type value_type(const struct value *v);
/* A copy whose bytes the arena owns. ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err value_copy(const struct value *v, struct arena *arena, struct value *ret);

#endif
