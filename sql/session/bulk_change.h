/* UPDATE and DELETE of more rows than memory and the table of row locks hold. */
#ifndef SKEIN_SQL_SESSION_BULK_CHANGE_H
#define SKEIN_SQL_SESSION_BULK_CHANGE_H

#include "sql/session/session_int.h"

struct exec_ctx;

/* From how many rows on a statement that is a transaction of its own is to end and be run again in
 * bulk; 0: it never is. */
uint64_t bulk_change__rows_until(const struct statement *st, const struct plan *plan);
/* The statement has failed with `err` in a transaction of its own, which is over: is it to be run
 * again, in bulk? Then it forgets what was said. */
bool bulk_change__wanted(struct statement *st, const struct plan *plan, db_err err);
/* Before the statement takes any other lock: nobody else changes rows of the table from now on.
 * Parks. ERR_SQL 1205, ERR_CANCELED, ERR_UNAVAILABLE, ERR_NOMEM. Does nothing for a statement that
 * does not run in bulk. */
MUST_USE db_err bulk_change__lock(struct statement *st, const struct plan *plan);
void bulk_change__unlock(struct statement *st);

#endif
