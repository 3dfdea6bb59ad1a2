#include "sql/ddl/ddl.h"

#include "sql/ddl/ddl_int.h"
#include "sql/storage/coord.h"

bool ddl_handles(enum ast_stmt_kind kind)
{
    return kind >= AST_STMT_CREATE_DATABASE && kind <= AST_STMT_DROP_VIEW;
}

bool ddl_is_temporary(const struct ast_stmt *stmt)
{
    switch ((int)stmt->kind) {
    case AST_STMT_CREATE_TABLE: return ((const struct ast_create_table *)stmt)->temporary;
    case AST_STMT_DROP_TABLE: return ((const struct ast_drop_table *)stmt)->temporary;
    default: return false;
    }
}

static db_err execute(struct ddl_ctx *ctx, const struct ast_stmt *s)
{
    switch ((int)s->kind) {
    case AST_STMT_CREATE_DATABASE:
        return ddl__create_database(ctx, (const struct ast_database_ddl *)s);
    case AST_STMT_ALTER_DATABASE:
        return ddl__alter_database(ctx, (const struct ast_database_ddl *)s);
    case AST_STMT_DROP_DATABASE: return ddl__drop_database(ctx, (const struct ast_database_ddl *)s);
    case AST_STMT_CREATE_TABLE: return ddl__create_table(ctx, (const struct ast_create_table *)s);
    case AST_STMT_DROP_TABLE: return ddl__drop_table(ctx, (const struct ast_drop_table *)s);
    case AST_STMT_TRUNCATE_TABLE: return ddl__truncate(ctx, (const struct ast_truncate_table *)s);
    case AST_STMT_RENAME_TABLE: return ddl__rename(ctx, (const struct ast_rename_table *)s);
    case AST_STMT_ALTER_TABLE: return ddl__alter_table(ctx, (const struct ast_alter_table *)s);
    case AST_STMT_CREATE_INDEX: return ddl__create_index(ctx, (const struct ast_create_index *)s);
    case AST_STMT_DROP_INDEX: return ddl__drop_index(ctx, (const struct ast_drop_index *)s);
    case AST_STMT_CREATE_VIEW: return ddl__create_view(ctx, (const struct ast_create_view *)s);
    default: return ddl__drop_view(ctx, (const struct ast_drop_table *)s);
    }
}

db_err ddl_execute(struct ddl_ctx *ctx, const struct ast_stmt *stmt)
{
    uint32_t mark = ctx->mdl == NULL ? 0 : mdl_mark(ctx->mdl_owner);
    ctx->affected_rows = 0;
    ctx->schema_dropped = false;
    ctx->coord_lock = NULL;
    db_err err = execute(ctx, stmt);
    if (ctx->coord_lock != NULL) {
        ctx->coord->ops->unlock_tables(ctx->coord_lock);
        ctx->coord_lock = NULL;
    }
    if (ctx->mdl != NULL) {
        mdl_release_to(ctx->mdl, ctx->mdl_owner, mark);
    }
    return err;
}
