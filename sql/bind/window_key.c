/* What a name in PARTITION BY and ORDER BY of a window means.
 *
 * MYSQL: it is looked for in the select list first. A column that stands there under its own name
 * is meant, even where other tables have one of that name; an alias is not: then it must be a
 * column of FROM. */
#include "sql/bind/bind_window.h"

#include "sql/diag/my_error.h"

struct search {
    struct slice name;
    const struct lcolumn *found;
    const struct ast_expr *ast; /* of the item; NULL: of a star */
    struct slice alias;
    bool own_name; /* found by the column's name, else by an alias */
};

static db_err take(struct binder *b, const struct scope *scope, struct search *s,
                   const struct lcolumn *c, const struct ast_expr *ast, struct slice item)
{
    if (c == NULL || !slice_eq_nocase(item, s->name)) {
        return ERR_OK;
    }
    if (s->found != NULL && s->found->id != c->id) {
        return my_error(b->diag, ER_NON_UNIQ_ERROR, arena_strdup(b->arena, s->name),
                        bind__place_name(scope->place));
    }
    s->found = c;
    s->ast = ast;
    s->alias = item;
    s->own_name = slice_eq_nocase(c->name, s->name);
    return ERR_OK;
}

static db_err take_star(struct binder *b, const struct scope *scope, struct search *s,
                        const struct ast_column *star)
{
    for (uint32_t i = 0; i < scope->count; i++) {
        if (bind__is_of_star(&scope->columns[i], star)) {
            TRY(take(b, scope, s, &scope->columns[i], NULL, scope->columns[i].name));
        }
    }
    return ERR_OK;
}

static db_err look_through(struct binder *b, const struct scope *scope, struct search *s)
{
    for (uint32_t i = 0; i < scope->ast_items->count; i++) {
        const struct ast_select_item *item = scope->ast_items->items[i];
        const struct ast_column *c = (const struct ast_column *)item->expr;
        if (item->expr->kind == AST_EXPR_STAR) {
            TRY(take_star(b, scope, s, c));
        } else if (item->expr->kind == AST_EXPR_COLUMN) {
            struct slice name = item->alias.ptr != NULL ? item->alias : c->name;
            TRY(take(b, scope, s, bind__column_here(scope, c), item->expr, name));
        } else if (slice_eq_nocase(item->alias.ptr != NULL ? item->alias : item->text, s->name)) {
            s->alias = item->alias.ptr != NULL ? item->alias : item->text;
            s->own_name = false;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

static db_err named_key(struct binder *b, struct scope *scope, const struct ast_expr *ast,
                        struct bexpr **ret)
{
    const struct ast_column *c = (const struct ast_column *)ast;
    struct search s = {.name = c->name};
    TRY(look_through(b, scope, &s));
    if (s.own_name) { /* the item is bound in its place: a view's text shows the key's own tree */
        bind__complete_column(b, c, s.found);
    }
    if (s.own_name && s.ast == NULL) {
        *ret = bind__column_expr(b, s.found);
        return *ret == NULL ? ERR_NOMEM : ERR_OK;
    }
    if (s.alias.ptr != NULL && !s.own_name && bind__column_here(scope, c) == NULL) {
        return my_error(b->diag, ER_BAD_FIELD_ERROR, arena_strdup(b->arena, s.alias),
                        bind__place_name(scope->place));
    }
    return bind__expr(b, scope, s.own_name ? s.ast : ast, ret);
}

db_err bind__window_key(struct binder *b, struct scope *scope, const struct ast_expr *ast,
                        struct bexpr **ret)
{
    bool bare = ast->kind == AST_EXPR_COLUMN && ((const struct ast_column *)ast)->table.ptr == NULL;
    return bare && scope->ast_items != NULL ? named_key(b, scope, ast, ret)
                                            : bind__scalar_expr(b, scope, ast, ret);
}
