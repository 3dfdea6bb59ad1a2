/* What may not stand in the expressions of a definition: subqueries, variables, functions whose
 * result is not that of their arguments. Each kind of definition has numbers of its own. */
#include "sql/bind/bind_int.h"
#include "sql/parser/ast_walk.h"

struct refusals {
    enum my_errno function, named, variable, row;
    const char *place; /* 1054 */
};

static const struct refusals g_refusals[] = {
    [BIND_USE_ANY] = {0},
    [BIND_USE_GENERATED] = {ER_GENERATED_COLUMN_FUNCTION_IS_NOT_ALLOWED,
                            ER_GENERATED_COLUMN_NAMED_FUNCTION_IS_NOT_ALLOWED,
                            ER_DEFAULT_VAL_GENERATED_VARIABLES, ER_GENERATED_COLUMN_ROW_VALUE,
                            "generated column function"},
    [BIND_USE_DEFAULT] = {ER_DEFAULT_VAL_GENERATED_FUNCTION_IS_NOT_ALLOWED,
                          ER_DEFAULT_VAL_GENERATED_NAMED_FUNCTION_IS_NOT_ALLOWED,
                          ER_DEFAULT_VAL_GENERATED_VARIABLES, ER_DEFAULT_VAL_GENERATED_ROW_VALUE,
                          "default value expression"},
    [BIND_USE_CHECK] = {ER_CHECK_CONSTRAINT_FUNCTION_IS_NOT_ALLOWED,
                        ER_CHECK_CONSTRAINT_NAMED_FUNCTION_IS_NOT_ALLOWED,
                        ER_CHECK_CONSTRAINT_VARIABLES, ER_CHECK_CONSTRAINT_ROW_VALUE,
                        "check constraint"},
    [BIND_USE_INDEX] = {ER_FUNCTIONAL_INDEX_FUNCTION_IS_NOT_ALLOWED,
                        ER_FUNCTIONAL_INDEX_FUNCTION_IS_NOT_ALLOWED,
                        ER_DEFAULT_VAL_GENERATED_VARIABLES,
                        ER_FUNCTIONAL_INDEX_ROW_VALUE_IS_NOT_ALLOWED, "functional index"},
};

static const struct refusals *refusals(const struct binder *b)
{
    return &g_refusals[b->opts->use];
}

db_err bind__definition_unknown_column(struct binder *b, const char *name)
{
    return b->opts->use == BIND_USE_CHECK
               ? my_error(b->diag, ER_CHECK_CONSTRAINT_REFERS_UNKNOWN_COLUMN, b->opts->owner, name)
               : my_error(b->diag, ER_BAD_FIELD_ERROR, name, refusals(b)->place);
}

db_err bind__definition_function(struct binder *b, const char *name)
{
    return my_error(b->diag, refusals(b)->named, b->opts->owner, name);
}

db_err bind__definition_row(struct binder *b)
{
    return my_error(b->diag, refusals(b)->row, b->opts->owner);
}

db_err bind__definition_column(struct binder *b, const struct lcolumn *c)
{
    if (b->opts->use == BIND_USE_ANY || c->type.id != TYPE_VECTOR) {
        return ERR_OK;
    }
    return my_error(b->diag, ER_INCORRECT_TYPE, arena_strdup(b->arena, c->name),
                    b->opts->use == BIND_USE_CHECK     ? "CHECK CONSTRAINT"
                    : b->opts->use == BIND_USE_DEFAULT ? "DEFAULT EXPRESSION"
                                                       : "GENERATED COLUMN");
}

/* MYSQL: some functions are told of by another name. */
static const char *shown_name(const char *name)
{
    static const char *const names[][2] = {{"current_timestamp", "now"},
                                           {"localtime", "now"},
                                           {"localtimestamp", "now"},
                                           {"version", "version()"},
                                           {"icu_version", "icu_version()"},
                                           {"version_with_update", "version_with_update()"},
                                           {"json_merge", "json_merge_preserve"}};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(names[i][0], name) == 0) {
            return names[i][1];
        }
    }
    return name;
}

static db_err check_function(struct binder *b, const struct ast_func *f)
{
    const struct func_def *def = func_find(f->name);
    if (f->schema.ptr != NULL) {
        return bind__definition_function(
            b, arena_printf(b->arena, "`%.*s`.`%.*s`", SLICE_FMT(f->schema), SLICE_FMT(f->name)));
    }
    if (def == NULL) {
        return ERR_OK;
    }
    bool changes =
        (def->flags & (FUNC_STATEMENT | FUNC_VOLATILE)) != 0 && (def->flags & FUNC_SESSION) == 0;
    bool never = (def->flags & FUNC_NOT_DEFINED) != 0;
    if (strcmp(def->name, "name_const") == 0) {
        return my_error(b->diag, refusals(b)->function, b->opts->owner);
    }
    if (!never && (!changes || b->opts->use == BIND_USE_DEFAULT)) {
        return ERR_OK;
    }
    return bind__definition_function(b, shown_name(def->name));
}

db_err bind__definition_allows(struct binder *b, const struct ast_expr *e)
{
    const struct refusals *r = refusals(b);
    switch ((int)e->kind) {
    case AST_EXPR_USER_VAR:
    case AST_EXPR_USER_ASSIGN:
    case AST_EXPR_SYS_VAR: return my_error(b->diag, r->variable, b->opts->owner);
    case AST_EXPR_SUBQUERY:
    case AST_EXPR_EXISTS:
    case AST_EXPR_QUANTIFIED: return my_error(b->diag, r->function, b->opts->owner);
    case AST_EXPR_IN:
        return ((const struct ast_in *)e)->query == NULL
                   ? ERR_OK
                   : my_error(b->diag, r->function, b->opts->owner);
    case AST_EXPR_VALUES: return bind__definition_function(b, "values");
    case AST_EXPR_FUNC: return check_function(b, (const struct ast_func *)e);
    default: return ERR_OK;
    }
}

static db_err allows_parts(const struct ast_expr *e, void *arg)
{
    struct binder *b = arg;
    const struct ast_func *f = (const struct ast_func *)e;
    TRY(bind__definition_allows(b, e));
    if (e->kind == AST_EXPR_FUNC && !bind__is_known_call(f)) {
        return bind__definition_function(b, arena_printf(b->arena, "`%.*s`", SLICE_FMT(f->name)));
    }
    if (e->kind == AST_EXPR_AGGREGATE && ((const struct ast_aggregate *)e)->over == NULL) {
        return my_error(b->diag, ER_INVALID_GROUP_FUNC_USE);
    }
    return e->kind == AST_EXPR_AGGREGATE || e->kind == AST_EXPR_WINDOW
               ? my_error(b->diag, ER_WINDOW_INVALID_WINDOW_FUNC_USE,
                          bind__agg_name(((const struct ast_aggregate *)e)->func))
               : ast_each_part(e, allows_parts, b);
}

/* What MySQL's parser refuses, before any of this. */
static db_err parses(const struct ast_expr *e, void *arg)
{
    struct binder *b = arg;
    const struct ast_collate *c = (const struct ast_collate *)e;
    const struct ast_func *f = (const struct ast_func *)e;
    const struct collation *collation;
    const struct charset *cs;
    struct slice charset = SLICE_EMPTY;
    if (e->kind == AST_EXPR_CAST) {
        charset = ((const struct ast_cast *)e)->type->charset;
    } else if (e->kind == AST_EXPR_CONVERT_USING) {
        charset = c->name;
    }
    TRY(charset.ptr == NULL ? ERR_OK : charset_require(charset, b->diag, &cs));
    TRY(e->kind != AST_EXPR_COLLATE ? ERR_OK : collation_require(c->name, b->diag, &collation));
    TRY(e->kind != AST_EXPR_FUNC ? ERR_OK : bind__call_parses(b, f));
    return ast_each_part(e, parses, b);
}

db_err bind_definition_parses(struct arena *arena, const struct bind_opts *opts,
                              const struct ast_expr *expr, struct diag *diag)
{
    struct binder b = {.arena = arena, .opts = opts, .diag = diag};
    return parses(expr, &b);
}

db_err bind_definition_allows(struct arena *arena, const struct bind_opts *opts,
                              const struct ast_expr *expr, struct diag *diag)
{
    struct binder b = {.arena = arena, .opts = opts, .diag = diag};
    TRY(parses(expr, &b));
    return allows_parts(expr, &b);
}
