/* MYSQL: max_sort_length. ORDER BY compares texts whose collation pads by the first bytes of their
 * weights alone; those that are the same so far are equal, however they go on. */
#ifndef SKEIN_SQL_EXEC_CUT_COLLATION_H
#define SKEIN_SQL_EXEC_CUT_COLLATION_H

#include "sql/charset/charset.h"
#include "sql/types/type.h"

/* *io is what compares texts of the type, or NULL (bytes): a collation in the arena instead, which
 * compares `bytes` bytes of weights, a whole number of two. It stays where no two texts of the type
 * can differ behind that, and where the collation does not pad. Nothing but compare() may be asked
 * of it. */
MUST_USE db_err cut_collation(const struct sql_type *type, uint32_t bytes, struct arena *arena,
                              const struct collation **io);

#endif
