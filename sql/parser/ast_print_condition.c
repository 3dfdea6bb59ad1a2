/* Conditions as MySQL shows them in views: NOT is drawn into what it negates as far as that has a
 * counterpart, AND and OR of several are one list, rows are spelled out, and what is no condition
 * where one stands is compared with 0. The text means what the tree does. */
#include "sql/parser/ast_condition.h"
#include "sql/parser/ast_print_int.h"

static void print_row(struct printer *p, const struct ast_expr *e)
{
    print__text(p, "(");
    print__exprs(p, &((const struct ast_row *)e)->items);
    print__text(p, ")");
}

static void print_side(struct printer *p, const struct ast_expr *e)
{
    if (e->kind == AST_EXPR_ROW) {
        print_row(p, e);
    } else {
        print__expr(p, e);
    }
}

static void open_not(struct printer *p, bool negated)
{
    print__text(p, negated ? "(not(" : "");
}

static void close_not(struct printer *p, bool negated)
{
    print__text(p, negated ? "))" : "");
}

/* ---- AND, OR, XOR ---- */

static bool chained(const struct ast_expr *e, bool negated, enum ast_op op)
{
    const struct ast_binary *b = (const struct ast_binary *)e;
    return e->kind == AST_EXPR_BINARY && (b->op == AST_OP_AND || b->op == AST_OP_OR) &&
           (negated ? ast_op_negated(b->op) : b->op) == op;
}

static void print_chain(struct printer *p, const struct ast_expr *e, bool negated, enum ast_op op)
{
    e = ast_below_not(e, &negated);
    if (!chained(e, negated, op)) {
        print__condition(p, e, negated);
        return;
    }
    const struct ast_binary *b = (const struct ast_binary *)e;
    print_chain(p, b->left, negated, op);
    print__text(p, op == AST_OP_AND ? " AND " : " OR ");
    print_chain(p, b->right, negated, op);
}

static void print_xor(struct printer *p, const struct ast_binary *b, bool negated)
{
    print__text(p, "(");
    print__condition(p, b->left, negated);
    print__text(p, " XOR ");
    print__condition(p, b->right, false);
    print__text(p, ")");
}

/* ---- comparisons ---- */

static void print_compared(struct printer *p, const struct ast_expr *left, enum ast_op op,
                           const struct ast_expr *right);

/* Rows of which all members, or any, are compared: for each member. */
static bool print_rows(struct printer *p, const struct ast_expr *left, enum ast_op op,
                       const struct ast_expr *right)
{
    const struct ast_row *l = (const struct ast_row *)left;
    const struct ast_row *r = (const struct ast_row *)right;
    if (left->kind != AST_EXPR_ROW || right->kind != AST_EXPR_ROW ||
        l->items.count != r->items.count ||
        (op != AST_OP_EQ && op != AST_OP_NE && op != AST_OP_NULL_SAFE_EQ)) {
        return false;
    }
    print__text(p, "(");
    for (uint32_t i = 0; i < l->items.count; i++) {
        print__text(p, i == 0 ? "" : op == AST_OP_NE ? " OR " : " AND ");
        print_compared(p, l->items.items[i], op, r->items.items[i]);
    }
    print__text(p, ")");
    return true;
}

static void print_compared(struct printer *p, const struct ast_expr *left, enum ast_op op,
                           const struct ast_expr *right)
{
    if (print_rows(p, left, op, right)) {
        return;
    }
    print__text(p, "(");
    print_side(p, left);
    print__operator(p, op);
    print_side(p, right);
    print__text(p, ")");
}

static void print_binary(struct printer *p, const struct ast_binary *b, bool negated)
{
    enum ast_op op = negated ? ast_op_negated(b->op) : b->op;
    switch ((int)b->op) {
    case AST_OP_AND:
    case AST_OP_OR:
        print__text(p, "(");
        print_chain(p, &b->expr, negated, op);
        print__text(p, ")");
        break;
    case AST_OP_XOR: print_xor(p, b, negated); break;
    case AST_OP_SOUNDS_LIKE:
        print__text(p, "(soundex(");
        print__expr(p, b->left);
        print__text(p, negated ? ") <> soundex(" : ") = soundex(");
        print__expr(p, b->right);
        print__text(p, "))");
        break;
    case AST_OP_MEMBER_OF:
        open_not(p, negated);
        print__expr(p, b->left);
        print__text(p, " MEMBER OF (");
        print__expr(p, b->right);
        print__text(p, ")");
        close_not(p, negated);
        break;
    case AST_OP_NULL_SAFE_EQ:
        open_not(p, negated);
        print_compared(p, b->left, b->op, b->right);
        close_not(p, negated);
        break;
    default: print_compared(p, b->left, op, b->right); break;
    }
}

/* ---- the others ---- */

static void print_null_test(struct printer *p, const struct ast_expr *arg, bool negated)
{
    print__text(p, "(");
    print__expr(p, arg);
    print__text(p, negated ? " IS NOT " : " IS ");
    print__text(p, "null)");
}

static void print_is(struct printer *p, const struct ast_is *e, bool negated)
{
    negated = negated != e->negated;
    if (e->test == AST_IS_NULL || e->test == AST_IS_UNKNOWN) {
        print_null_test(p, e->arg, negated);
        return;
    }
    print__text(p, "(");
    print__condition(p, e->arg, false);
    print__text(p, negated ? " IS NOT " : " IS ");
    print__text(p, e->test == AST_IS_TRUE ? "TRUE)" : "FALSE)");
}

static void print_between(struct printer *p, const struct ast_between *e, bool negated)
{
    print__text(p, "(");
    print__expr(p, e->arg);
    print__text(p, negated != e->negated ? " NOT BETWEEN " : " BETWEEN ");
    print__expr(p, e->low);
    print__text(p, " AND ");
    print__expr(p, e->high);
    print__text(p, ")");
}

static void print_in_query(struct printer *p, const struct ast_expr *arg,
                           const struct ast_query *query, bool negated)
{
    open_not(p, negated);
    print_side(p, arg);
    print__text(p, " IN (");
    print__query(p, query);
    print__text(p, ")");
    close_not(p, negated);
}

static void print_in(struct printer *p, const struct ast_in *e, bool negated)
{
    negated = negated != e->negated;
    if (e->query != NULL) {
        print_in_query(p, e->arg, e->query, negated);
        return;
    }
    if (e->list.count == 1) { /* MYSQL: one value is compared with */
        print_compared(p, e->arg, negated ? AST_OP_NE : AST_OP_EQ, e->list.items[0]);
        return;
    }
    print__text(p, "(");
    print_side(p, e->arg);
    print__text(p, negated ? " NOT IN (" : " IN (");
    for (uint32_t i = 0; i < e->list.count; i++) {
        print__text(p, i > 0 ? ", " : "");
        print_side(p, e->list.items[i]);
    }
    print__text(p, "))");
}

static void print_quantified(struct printer *p, const struct ast_quantified *e, bool negated)
{
    enum ast_op op = negated ? ast_op_negated(e->op) : e->op;
    bool all = negated != e->all;
    if (op == (all ? AST_OP_NE : AST_OP_EQ)) {
        print_in_query(p, e->arg, e->query, all);
        return;
    }
    print_side(p, e->arg);
    print__operator(p, op);
    print__text(p, all ? "ALL (" : "ANY (");
    print__query(p, e->query);
    print__text(p, ")");
}

static void print_like(struct printer *p, const struct ast_like *l, bool negated)
{
    negated = negated != l->negated;
    open_not(p, negated);
    print__text(p, l->regexp ? "regexp_like(" : "(");
    print__expr(p, l->arg);
    print__text(p, l->regexp ? ", " : " LIKE ");
    print__expr(p, l->pattern);
    if (l->escape != NULL) {
        print__text(p, " ESCAPE ");
        print__expr(p, l->escape);
    }
    print__text(p, ")");
    close_not(p, negated);
}

static void print_exists(struct printer *p, const struct ast_subquery *e, bool negated)
{
    print__text(p, negated ? "(not exists(" : "exists(");
    print__query(p, e->query);
    print__text(p, negated ? "))" : ")");
}

void print__condition(struct printer *p, const struct ast_expr *e, bool negated)
{
    e = ast_below_not(e, &negated);
    const void *n = e;
    const struct ast_expr *null_arg = ast_isnull_arg(e);
    if (!ast_is_condition(e)) {
        print__text(p, negated ? "(0 = " : "(0 <> ");
        print__expr(p, e);
        print__text(p, ")");
        return;
    }
    if (null_arg != NULL) {
        print_null_test(p, null_arg, negated);
        return;
    }
    switch ((int)e->kind) {
    case AST_EXPR_BINARY: print_binary(p, n, negated); break;
    case AST_EXPR_IS: print_is(p, n, negated); break;
    case AST_EXPR_BETWEEN: print_between(p, n, negated); break;
    case AST_EXPR_IN: print_in(p, n, negated); break;
    case AST_EXPR_QUANTIFIED: print_quantified(p, n, negated); break;
    case AST_EXPR_LIKE: print_like(p, n, negated); break;
    case AST_EXPR_EXISTS: print_exists(p, n, negated); break;
    default: /* TRUE, FALSE, calls */
        open_not(p, negated);
        print__plain(p, e);
        close_not(p, negated);
        break;
    }
}
