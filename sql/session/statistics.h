/* ANALYZE TABLE: how many different values the indexes have. */
#ifndef SKEIN_SQL_SESSION_STATISTICS_H
#define SKEIN_SQL_SESSION_STATISTICS_H

#include "sql/session/session_int.h"

/* Reads the table's indexes and keeps what is found with its descriptor (index_def.distinct), for
 * all nodes. The caller shares the table's metadata lock. May park. Errors: those of a SELECT;
 * ERR_SCHEMA_CHANGED: another node has changed the table's descriptor meanwhile. */
MUST_USE db_err statistics_collect(struct statement *st, const struct table_def *t);

#endif
