/* What definitions are looked at for before anything else of the statement.
 *
 * MYSQL: first that no generated column and no default holds what none may hold, whatever else is
 * wrong with the table; then each check, whether it is a condition, holds nothing it may not, and,
 * of a column, names no other one. Whether the columns that are named exist comes after the keys.
 */
#include "sql/ddl/ddl_int.h"
#include "sql/parser/ast_condition.h"
#include "sql/parser/ast_walk.h"

static db_err allowed(struct ddl_ctx *ctx, const struct ast_expr *e, enum bind_use use,
                      struct slice owner)
{
    struct bind_opts opts = *ctx->bind;
    opts.use = use;
    opts.owner = ddl__text(ctx, owner);
    return bind_definition_allows(ctx->arena, &opts, e, ctx->diag);
}

static db_err column_allowed(struct ddl_ctx *ctx, const struct ast_column_def *c)
{
    if (c->generated != NULL) {
        return allowed(ctx, c->generated, BIND_USE_GENERATED, c->name);
    }
    return c->default_kind != AST_DEFAULT_EXPR
               ? ERR_OK
               : allowed(ctx, c->default_value, BIND_USE_DEFAULT, c->name);
}

db_err ddl__columns_allowed(struct ddl_ctx *ctx, const struct ast_column_def_list *columns)
{
    for (uint32_t i = 0; i < columns->count; i++) {
        TRY(column_allowed(ctx, columns->items[i]));
    }
    return ERR_OK;
}

db_err ddl__actions_allowed(struct ddl_ctx *ctx, const struct ast_alter_action_list *actions)
{
    for (uint32_t i = 0; i < actions->count; i++) {
        const struct ast_alter_action *x = actions->items[i];
        TRY(ddl__columns_allowed(ctx, &x->columns));
        TRY(x->column == NULL ? ERR_OK : column_allowed(ctx, x->column));
        if (x->kind == AST_ALTER_SET_DEFAULT && x->default_kind == AST_DEFAULT_EXPR) {
            TRY(allowed(ctx, x->expr, BIND_USE_DEFAULT, x->name));
        }
    }
    return ERR_OK;
}

struct named_columns {
    const struct draft *d;
    const struct draft_check *check;
    const char *name;
};

static db_err names_other(const struct ast_expr *e, void *arg)
{
    const struct named_columns *n = arg;
    if (e->kind == AST_EXPR_COLUMN &&
        !slice_eq_nocase(((const struct ast_column *)e)->name, n->check->column->def.name)) {
        return my_error(n->d->ctx->diag, ER_COLUMN_CHECK_CONSTRAINT_REFERENCES_OTHER_COLUMN,
                        n->name);
    }
    return ast_each_part(e, names_other, arg);
}

static db_err names_missing(const struct ast_expr *e, void *arg)
{
    const struct named_columns *n = arg;
    const struct ast_column *c = (const struct ast_column *)e;
    if (e->kind == AST_EXPR_COLUMN && ddl__find_column(n->d, c->name) == NULL) {
        if (n->d->def.id != 0) { /* MYSQL: ALTER looks it up as a query's */
            const char *where =
                arena_printf(n->d->ctx->arena, "check constraint %s expression", n->name);
            return where == NULL ? ERR_NOMEM
                                 : my_error(n->d->ctx->diag, ER_BAD_FIELD_ERROR,
                                            ddl__text(n->d->ctx, c->name), where);
        }
        return my_error(n->d->ctx->diag, ER_CHECK_CONSTRAINT_REFERS_UNKNOWN_COLUMN, n->name,
                        ddl__text(n->d->ctx, c->name));
    }
    return ast_each_part(e, names_missing, arg);
}

db_err ddl__checks_allowed(struct draft *d)
{
    for (uint32_t i = 0; i < d->check_count; i++) {
        const struct draft_check *c = d->checks[i];
        if (c->ast == NULL) {
            continue;
        }
        const char *name = ddl__check_name(d, i);
        if (name == NULL) {
            return ERR_NOMEM;
        }
        TRY(bind_definition_parses(d->ctx->arena, d->ctx->bind, c->ast, d->ctx->diag));
        if (!ast_is_condition(c->ast)) {
            return my_error(d->ctx->diag, ER_NON_BOOLEAN_EXPR_FOR_CHECK_CONSTRAINT, name);
        }
        TRY(allowed(d->ctx, c->ast, BIND_USE_CHECK, slice_str(name)));
        struct named_columns named = {d, c, name};
        TRY(c->column == NULL ? ERR_OK : names_other(c->ast, &named));
    }
    bool alters = d->def.id != 0; /* MYSQL: names come first then, with CREATE after the columns */
    TRY(alters ? ddl__new_check_names(d) : ERR_OK);
    for (uint32_t i = 0; i < d->check_count; i++) {
        struct named_columns named = {d, d->checks[i], ddl__check_name(d, i)};
        TRY(named.check->ast == NULL ? ERR_OK : names_missing(named.check->ast, &named));
    }
    return ERR_OK;
}
