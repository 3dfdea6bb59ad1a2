#include "sql/parser/ast_condition.h"

#include "base/err.h"

static bool is_condition_call(const struct ast_func *f)
{
    static const char *const names[] = {
        "isnull",
        "json_valid",
        "json_contains",
        "json_overlaps",
        "regexp_like",
        "is_uuid",
        "is_ipv4",
        "is_ipv6",
        "json_contains_path",
        "strcmp",
        "is_ipv4_compat",
        "is_ipv4_mapped",
        "json_schema_valid",
    };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_eq_nocase(f->name, slice_str(names[i]))) {
            return true;
        }
    }
    return false;
}

bool ast_is_condition(const struct ast_expr *e)
{
    switch ((int)e->kind) {
    case AST_EXPR_LITERAL: {
        const struct ast_literal *l = (const struct ast_literal *)e;
        return l->kind == AST_LIT_TRUE || l->kind == AST_LIT_FALSE;
    }
    case AST_EXPR_UNARY: return ((const struct ast_unary *)e)->op == AST_OP_NOT;
    case AST_EXPR_BINARY: {
        enum ast_op op = ((const struct ast_binary *)e)->op;
        return op == AST_OP_AND || op == AST_OP_OR || op == AST_OP_XOR || op == AST_OP_EQ ||
               op == AST_OP_NULL_SAFE_EQ || op == AST_OP_NE || op == AST_OP_LT || op == AST_OP_LE ||
               op == AST_OP_GT || op == AST_OP_GE || op == AST_OP_SOUNDS_LIKE ||
               op == AST_OP_MEMBER_OF;
    }
    case AST_EXPR_IS:
    case AST_EXPR_BETWEEN:
    case AST_EXPR_IN:
    case AST_EXPR_QUANTIFIED:
    case AST_EXPR_EXISTS:
    case AST_EXPR_LIKE: return true;
    case AST_EXPR_FUNC: return is_condition_call((const struct ast_func *)e);
    default: return false;
    }
}

const struct ast_expr *ast_isnull_arg(const struct ast_expr *e)
{
    const struct ast_func *f = (const struct ast_func *)e;
    bool is = e->kind == AST_EXPR_FUNC && f->schema.ptr == NULL && f->args.count == 1 &&
              slice_eq_nocase(f->name, SLICE_LIT("isnull"));
    return is ? f->args.items[0] : NULL;
}

const struct ast_expr *ast_below_not(const struct ast_expr *e, bool *io_negated)
{
    while (e->kind == AST_EXPR_UNARY && ((const struct ast_unary *)e)->op == AST_OP_NOT) {
        *io_negated = !*io_negated;
        e = ((const struct ast_unary *)e)->arg;
    }
    return e;
}

enum ast_op ast_op_negated(enum ast_op op)
{
    switch ((int)op) {
    case AST_OP_AND: return AST_OP_OR;
    case AST_OP_OR: return AST_OP_AND;
    case AST_OP_EQ: return AST_OP_NE;
    case AST_OP_NE: return AST_OP_EQ;
    case AST_OP_LT: return AST_OP_GE;
    case AST_OP_GE: return AST_OP_LT;
    case AST_OP_GT: return AST_OP_LE;
    case AST_OP_LE: return AST_OP_GT;
    default: return AST_OP__COUNT;
    }
}
