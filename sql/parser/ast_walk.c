#include "sql/parser/ast_walk.h"

static db_err one(const struct ast_expr *part, ast_part_fn fn, void *arg)
{
    return part == NULL ? ERR_OK : fn(part, arg);
}

static db_err each(const struct ast_expr_list *list, ast_part_fn fn, void *arg)
{
    for (uint32_t i = 0; i < list->count; i++) {
        TRY(one(list->items[i], fn, arg));
    }
    return ERR_OK;
}

static db_err parts_of_case(const struct ast_case *c, ast_part_fn fn, void *arg)
{
    TRY(one(c->value, fn, arg));
    for (uint32_t i = 0; i < c->whens.count; i++) {
        TRY(one(c->whens.items[i]->when, fn, arg));
        TRY(one(c->whens.items[i]->then, fn, arg));
    }
    return one(c->otherwise, fn, arg);
}

static db_err three(const struct ast_expr *a, const struct ast_expr *b, const struct ast_expr *c,
                    ast_part_fn fn, void *arg)
{
    TRY(one(a, fn, arg));
    TRY(one(b, fn, arg));
    return one(c, fn, arg);
}

static db_err parts_of_condition(const struct ast_expr *e, ast_part_fn fn, void *arg)
{
    switch ((int)e->kind) {
    case AST_EXPR_IS: return one(((const struct ast_is *)e)->arg, fn, arg);
    case AST_EXPR_BETWEEN: {
        const struct ast_between *x = (const struct ast_between *)e;
        return three(x->arg, x->low, x->high, fn, arg);
    }
    case AST_EXPR_IN:
        TRY(one(((const struct ast_in *)e)->arg, fn, arg));
        return each(&((const struct ast_in *)e)->list, fn, arg);
    case AST_EXPR_LIKE: {
        const struct ast_like *x = (const struct ast_like *)e;
        return three(x->arg, x->pattern, x->escape, fn, arg);
    }
    case AST_EXPR_QUANTIFIED: return one(((const struct ast_quantified *)e)->arg, fn, arg);
    case AST_EXPR_MATCH:
        TRY(each(&((const struct ast_match *)e)->columns, fn, arg));
        return one(((const struct ast_match *)e)->against, fn, arg);
    default: return ERR_OK;
    }
}

db_err ast_each_part(const struct ast_expr *e, ast_part_fn fn, void *arg)
{
    switch ((int)e->kind) {
    case AST_EXPR_USER_ASSIGN: return one(((const struct ast_user_var *)e)->value, fn, arg);
    case AST_EXPR_UNARY: return one(((const struct ast_unary *)e)->arg, fn, arg);
    case AST_EXPR_BINARY:
        TRY(one(((const struct ast_binary *)e)->left, fn, arg));
        return one(((const struct ast_binary *)e)->right, fn, arg);
    case AST_EXPR_ROW: return each(&((const struct ast_row *)e)->items, fn, arg);
    case AST_EXPR_CASE: return parts_of_case((const struct ast_case *)e, fn, arg);
    case AST_EXPR_CAST: return one(((const struct ast_cast *)e)->arg, fn, arg);
    case AST_EXPR_CONVERT_USING:
    case AST_EXPR_COLLATE: return one(((const struct ast_collate *)e)->arg, fn, arg);
    case AST_EXPR_FUNC: return each(&((const struct ast_func *)e)->args, fn, arg);
    case AST_EXPR_AGGREGATE:
    case AST_EXPR_WINDOW: return each(&((const struct ast_aggregate *)e)->args, fn, arg);
    case AST_EXPR_INTERVAL: return one(((const struct ast_interval *)e)->amount, fn, arg);
    case AST_EXPR_JSON_VALUE: {
        const struct ast_json_value *x = (const struct ast_json_value *)e;
        TRY(three(x->doc, x->path, x->on_empty.value, fn, arg));
        return one(x->on_error.value, fn, arg);
    }
    default: return parts_of_condition(e, fn, arg);
    }
}
