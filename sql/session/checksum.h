/* CHECKSUM TABLE. */
#ifndef SKEIN_SQL_SESSION_CHECKSUM_H
#define SKEIN_SQL_SESSION_CHECKSUM_H

#include "sql/session/session_int.h"

/* Reads the whole table in the session's transaction; *ret_sum is MySQL's number for the same rows.
 * The definition must outlive the call. May park. Errors: those of a SELECT. */
MUST_USE db_err checksum_table(struct statement *st, const struct table_def *t, uint64_t *ret_sum);

#endif
