/* SHOW and DESCRIBE: as SELECTs over INFORMATION_SCHEMA where MySQL does so, as one row where it does not. */
#ifndef SKEIN_SQL_INFOSCHEMA_SHOW_H
#define SKEIN_SQL_INFOSCHEMA_SHOW_H

#include "base/arena.h"
#include "base/diag.h"
#include "sql/catalog/catalog.h"
#include "sql/parser/ast_admin.h"

struct storage;

/* The SELECT that a SHOW (or DESCRIBE) statement stands for, with MySQL's column names. *ret_done false: it is none of those; the
 * caller knows it or answers 1235. Errors: 1046 (no database), 1049, 1146. */
MUST_USE db_err show_rewrite(struct arena *arena, const struct ast_stmt *stmt, struct slice current_schema,
                             struct diag *diag, struct slice *ret_sql, bool *ret_done);

enum { SHOW_ROW_CELLS_MAX = 8 };
struct show_row {
    uint32_t count;
    const char *names[SHOW_ROW_CELLS_MAX];
    uint32_t lengths[SHOW_ROW_CELLS_MAX];
    struct slice cells[SHOW_ROW_CELLS_MAX];
};
/* SHOW CREATE DATABASE and SHOW CREATE TABLE: one row, in the arena. */
MUST_USE db_err show_create_row(struct arena *arena, const struct catalog_snapshot *snap, struct storage *storage,
                                const struct ast_show *show, struct slice current_schema, struct diag *diag,
                                struct show_row *ret_row);

#endif
