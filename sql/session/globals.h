/* Private to sql/session: the global variables beyond one generation (sysvar.h): what the cluster
 * shares of them, and what SET PERSIST keeps. */
#ifndef SKEIN_SQL_SESSION_GLOBALS_H
#define SKEIN_SQL_SESSION_GLOBALS_H

#include "sql/infoschema/infoschema.h"
#include "sql/parser/ast_admin.h"
#include "sql/session/sysvar.h"

struct sql_engine;
struct sql_session;
struct statement;

struct global_change {
    enum sysvar_id id;
    struct sysvar_value value; /* checked; text is copied */
};

enum {
    GLOBALS_NOW = 1,     /* all of them act from now on, everywhere */
    GLOBALS_PERSIST = 2, /* the first of them is kept over restarts */
};

/* May park; returns when all living nodes know. The storage's errors. */
MUST_USE db_err globals__change(struct sql_session *s, const struct global_change *changes,
                                unsigned count, unsigned how);
/* RESET PERSIST. 1227, 3615, 3630. */
MUST_USE db_err globals__reset(struct statement *st, const struct ast_reset_persist *r);

/* When the engine opens: joins the run of the cluster that is under way, or begins one. May park.
 */
MUST_USE db_err globals__open(struct sql_engine *e, struct diag *diag);
/* Reads what another node has written. May park. */
MUST_USE db_err globals__refresh(struct sql_engine *e, struct diag *diag);

/* infoschema_ops.persisted */
MUST_USE db_err session__persisted_rows(void *session, struct infoschema_name_sink *sink);

#endif
