#include "sql/infoschema/show.h"

#include "sql/ddl/ddl.h"
#include "sql/diag/my_error.h"

db_err show_rewrite(struct arena *arena, const struct ast_stmt *stmt, struct slice current_schema, struct diag *diag,
                    struct slice *ret_sql, bool *ret_done)
{
    (void)arena;
    (void)stmt;
    (void)current_schema;
    (void)diag;
    (void)ret_sql;
    *ret_done = false;
    return ERR_OK;
}

db_err show_create_row(struct arena *arena, const struct catalog_snapshot *snap, struct storage *storage,
                       const struct ast_show *show, struct slice current_schema, struct diag *diag, struct show_row *ret_row)
{
    (void)arena;
    (void)snap;
    (void)storage;
    (void)show;
    (void)current_schema;
    (void)ret_row;
    return my_error(diag, ER_NOT_SUPPORTED_YET, "SHOW CREATE");
}

db_err show_rewrite_text(struct arena *arena, const struct ast_stmt *stmt, struct slice source, struct slice current_schema,
                         struct diag *diag, struct slice *ret_sql, bool *ret_done)
{
    (void)source;
    return show_rewrite(arena, stmt, current_schema, diag, ret_sql, ret_done);
}

db_err show_check(const struct catalog_snapshot *snapshot, const struct ast_stmt *stmt, struct slice current_schema,
                  struct diag *diag)
{
    (void)snapshot;
    (void)stmt;
    (void)current_schema;
    (void)diag;
    return ERR_OK;
}
