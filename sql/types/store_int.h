/* Private to sql/types: one assignment under way. */
#ifndef SKEIN_SQL_TYPES_STORE_INT_H
#define SKEIN_SQL_TYPES_STORE_INT_H

#include "sql/types/cast_int.h"

struct store {
    struct cast_ctx *ctx;
    const struct sql_type *to;
    const struct store_target *target;
    const struct sql_type *from;
    const struct value *v;
};

/* An error when the statement is strict, else a warning: 1264, 1265, 1406. */
MUST_USE db_err store__condition(const struct store *s, uint16_t number);
/* 1366 "Incorrect integer value: ..." likewise, for the source's text. */
MUST_USE db_err store__incorrect(const struct store *s, const char *what);
/* 1265 as a note, strict or not. */
void store__note_truncated(const struct store *s);

MUST_USE db_err store__integer(const struct store *s, struct value *ret);
MUST_USE db_err store__decimal(const struct store *s, struct value *ret);
MUST_USE db_err store__double(const struct store *s, struct value *ret);
MUST_USE db_err store__bit(const struct store *s, struct value *ret);
MUST_USE db_err store__year(const struct store *s, struct value *ret);
MUST_USE db_err store__temporal(const struct store *s, struct value *ret);
MUST_USE db_err store__text(const struct store *s, struct value *ret);
MUST_USE db_err store__enum(const struct store *s, struct value *ret);
MUST_USE db_err store__set(const struct store *s, struct value *ret);
MUST_USE db_err store__json(const struct store *s, struct value *ret);
MUST_USE db_err store__vector(const struct store *s, struct value *ret);
/* From a JSON value to a column of another type. */
MUST_USE db_err store__from_json(const struct store *s, struct value *ret);

#endif
