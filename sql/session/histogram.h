/* ANALYZE TABLE ... UPDATE and DROP HISTOGRAM. */
#ifndef SKEIN_SQL_SESSION_HISTOGRAM_H
#define SKEIN_SQL_SESSION_HISTOGRAM_H

#include "sql/session/session_int.h"

/* A row of the statement's result. */
typedef db_err (*histogram_tell_fn)(void *arg, const char *kind, const char *text);

/* What is an error of the statement: 1060 a column twice, 1690 the number of buckets, 1235 USING
 * DATA. */
MUST_USE db_err histogram_check(struct sql_session *s, const struct ast_table_admin *a);
/* The caller shares the table's metadata lock. May park. Errors: those of a SELECT;
 * ERR_SCHEMA_CHANGED: look the table up again. */
MUST_USE db_err histogram_run(struct statement *st, const struct table_def *t,
                              const struct ast_table_admin *a, histogram_tell_fn tell, void *arg);
/* ANALYZE TABLE: those of AUTO UPDATE are made anew. */
MUST_USE db_err histogram_renew(struct statement *st, table_id_t table);

#endif
