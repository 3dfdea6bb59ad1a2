/* For statements that ask queries of their own and take only the rows: the rest of the sink. An
 * error is in the session's diag and comes back as ERR_SQL. */
#ifndef SKEIN_SQL_SESSION_OWN_QUERY_H
#define SKEIN_SQL_SESSION_OWN_QUERY_H

#include "sql/session/session_int.h"

/* Runs the query of a statement whose privileges were asked for: of the query none is. May park. */
MUST_USE db_err own_query__run(struct statement *query, struct slice text);

db_err own_query__columns(struct sql_sink *sink, const struct sql_column *columns, uint32_t count);
db_err own_query__done(struct sql_sink *sink, const struct sql_status *status, bool more);
db_err own_query__failed(struct sql_sink *sink, const struct diag *diag);

#endif
