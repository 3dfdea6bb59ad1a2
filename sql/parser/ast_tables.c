#include "sql/parser/ast_tables.h"

#include "sql/parser/ast_walk.h"

struct visit {
    ast_table_name_fn fn;
    void *arg;
};

static db_err of_query(const struct visit *v, const struct ast_query *q);
static db_err of_expr(const struct visit *v, const struct ast_expr *e);

static db_err of_part(const struct ast_expr *part, void *arg)
{
    return of_expr(arg, part);
}

static db_err of_exprs(const struct visit *v, const struct ast_expr_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        TRY(of_expr(v, list->items[i]));
    }
    return ERR_OK;
}

static db_err of_order(const struct visit *v, const struct ast_order_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        TRY(of_expr(v, list->items[i]->expr));
    }
    return ERR_OK;
}

static db_err of_window(const struct visit *v, const struct ast_window *w)
{
    if (w == NULL) {
        return ERR_OK;
    }
    TRY(of_exprs(v, &w->partition_by));
    TRY(of_order(v, &w->order_by));
    TRY(of_expr(v, w->start.value));
    return of_expr(v, w->end.value);
}

static db_err of_expr(const struct visit *v, const struct ast_expr *e)
{
    if (e == NULL) {
        return ERR_OK;
    }
    switch ((int)e->kind) {
    case AST_EXPR_SUBQUERY:
    case AST_EXPR_EXISTS: return of_query(v, ((const struct ast_subquery *)e)->query);
    case AST_EXPR_QUANTIFIED: TRY(of_query(v, ((const struct ast_quantified *)e)->query)); break;
    case AST_EXPR_IN: TRY(of_query(v, ((const struct ast_in *)e)->query)); break;
    case AST_EXPR_AGGREGATE:
    case AST_EXPR_WINDOW:
        TRY(of_order(v, &((const struct ast_aggregate *)e)->order_by));
        TRY(of_window(v, ((const struct ast_aggregate *)e)->over));
        break;
    default: break;
    }
    return ast_each_part(e, of_part, (void *)(uintptr_t)v);
}

static db_err of_table(const struct visit *v, const struct ast_table *t)
{
    if (t == NULL) {
        return ERR_OK;
    }
    switch (t->kind) {
    case AST_TABLE_BASE: return v->fn(&((const struct ast_table_base *)t)->name, v->arg);
    case AST_TABLE_DERIVED: return of_query(v, ((const struct ast_table_derived *)t)->query);
    case AST_TABLE_JSON: return of_expr(v, ((const struct ast_json_table *)t)->doc);
    case AST_TABLE_JOIN: break;
    }
    const struct ast_table_join *j = (const struct ast_table_join *)t;
    TRY(of_table(v, j->left));
    TRY(of_table(v, j->right));
    return of_expr(v, j->on);
}

static db_err of_select(const struct visit *v, const struct ast_select *s)
{
    for (uint32_t i = 0; i < s->items.count; i++) {
        TRY(of_expr(v, s->items.items[i]->expr));
    }
    TRY(of_table(v, s->from));
    TRY(of_expr(v, s->where));
    TRY(of_exprs(v, &s->group_by));
    TRY(of_expr(v, s->having));
    for (uint32_t i = 0; i < s->windows.count; i++) {
        TRY(of_window(v, s->windows.items[i]));
    }
    return of_expr(v, s->qualify);
}

static db_err of_rows(const struct visit *v, const struct ast_row_list *rows)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        TRY(of_exprs(v, &rows->items[i]->items));
    }
    return ERR_OK;
}

static db_err of_body(const struct visit *v, const struct ast_body *b);

static db_err of_chain(const struct visit *v, const struct ast_setop *s)
{
    TRY(of_body(v, s->first));
    for (uint32_t i = 0; i < s->links.count; i++) {
        TRY(of_body(v, s->links.items[i]->body));
    }
    return ERR_OK;
}

static db_err of_body(const struct visit *v, const struct ast_body *b)
{
    switch (b->kind) {
    case AST_BODY_SELECT: return of_select(v, (const struct ast_select *)b);
    case AST_BODY_SETOP: return of_chain(v, (const struct ast_setop *)b);
    case AST_BODY_VALUES: return of_rows(v, &((const struct ast_values *)b)->rows);
    case AST_BODY_TABLE: return v->fn(&((const struct ast_body_table *)b)->name, v->arg);
    case AST_BODY_QUERY: return of_query(v, ((const struct ast_body_query *)b)->query);
    }
    return ERR_OK;
}

static db_err of_query(const struct visit *v, const struct ast_query *q)
{
    if (q == NULL) {
        return ERR_OK;
    }
    for (uint32_t i = 0; q->with != NULL && i < q->with->ctes.count; i++) {
        TRY(of_query(v, q->with->ctes.items[i]->query));
    }
    TRY(of_body(v, q->body));
    return of_order(v, &q->order_by);
}

db_err ast_each_table_name(const struct ast_query *q, ast_table_name_fn fn, void *arg)
{
    const struct visit v = {fn, arg};
    return of_query(&v, q);
}
