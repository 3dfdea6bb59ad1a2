/* SHOW and DESCRIBE as SELECTs over INFORMATION_SCHEMA, and SHOW CREATE. */
#ifndef SKEIN_SQL_INFOSCHEMA_SHOW_H
#define SKEIN_SQL_INFOSCHEMA_SHOW_H

#include "base/arena.h"
#include "base/diag.h"
#include "sql/catalog/catalog.h"
#include "sql/ddl/ddl.h"
#include "sql/parser/ast_admin.h"

struct storage;

/* The text of a SELECT that gives what the statement shows, for the session to bind and run.
 * *ret_done false: not one of those that are SELECTs here (SHOW VARIABLES, SHOW CREATE ...).
 * The text is in the arena, written for the default sql_mode. Errors: 1046 without a database, 1235
 * for a WHERE with subqueries or variables. Whether the table exists is show_check's business. */
MUST_USE db_err show_rewrite(struct arena *arena, const struct ast_stmt *stmt,
                             struct slice current_schema, struct diag *diag, struct slice *ret_sql,
                             bool *ret_done);
/* What MySQL says before it shows anything: 1049 no such database, 1146 no such table. Statements
 * that show_rewrite does not know pass. arena: scratch. *ret_table: the table that the statement is
 * about, of the snapshot; NULL: about none. */
MUST_USE db_err show_check(struct arena *arena, const struct catalog_snapshot *snapshot,
                           const struct ast_stmt *stmt, struct slice current_schema,
                           struct diag *diag, const struct table_def **ret_table);

enum { SHOW_COLUMNS_MAX = 4 };
struct show_row {
    uint32_t count;
    const char *names[SHOW_COLUMNS_MAX];
    uint32_t lengths[SHOW_COLUMNS_MAX]; /* characters, for the result's metadata */
    struct slice cells[SHOW_COLUMNS_MAX];
    bool of_view; /* of SHOW CREATE */
};
/* SHOW CREATE TABLE and SHOW CREATE DATABASE: the only row. form: as variables say. storage (may be
 * NULL) is asked for the next AUTO_INCREMENT value. Cells are in the arena. Errors: 1046, 1049,
 * 1146, 1235. */
MUST_USE db_err show_create_row(struct arena *arena, const struct catalog_snapshot *snapshot,
                                struct storage *storage, const struct ast_show *show,
                                struct slice current_schema, const struct ddl_show_opts *form,
                                struct diag *diag, struct show_row *ret_row);

#endif
