/* Conditions in the definitions of columns, keys and checks, in the form in which MySQL keeps them:
 * as those of views (sql/parser/ast_print_condition.c), in the other printer's words. */
#include "sql/ddl/ddl_int.h"
#include "sql/parser/ast_condition.h"

static db_err put(struct expr_text *out, const char *text)
{
    return buf_append(out->buf, text, strlen(text));
}

static db_err put_list(const struct ast_expr_list *list, struct expr_text *out);

static db_err put_side(const struct ast_expr *e, struct expr_text *out)
{
    return e->kind == AST_EXPR_ROW ? put_list(&((const struct ast_row *)e)->items, out)
                                   : ddl__print_part(e, out);
}

static db_err put_list(const struct ast_expr_list *list, struct expr_text *out)
{
    TRY(put(out, "("));
    for (uint32_t i = 0; i < list->count; i++) {
        TRY(put(out, i == 0 ? "" : ","));
        TRY(put_side(list->items[i], out));
    }
    return put(out, ")");
}

static db_err open_not(bool negated, struct expr_text *out)
{
    return put(out, negated ? "(not(" : "");
}

static db_err close_not(bool negated, struct expr_text *out)
{
    return put(out, negated ? "))" : "");
}

/* ---- AND, OR, XOR ---- */

/* MYSQL: a AND b AND c is one condition of three. */
static db_err put_chain(const struct ast_expr *e, bool negated, enum ast_op op,
                        struct expr_text *out)
{
    e = ast_below_not(e, &negated);
    const struct ast_binary *b = (const struct ast_binary *)e;
    bool joins = e->kind == AST_EXPR_BINARY && (b->op == AST_OP_AND || b->op == AST_OP_OR);
    if (!joins || (negated ? ast_op_negated(b->op) : b->op) != op) {
        return ddl__print_condition(e, negated, out);
    }
    TRY(put_chain(b->left, negated, op, out));
    TRY(put(out, op == AST_OP_AND ? " and " : " or "));
    return put_chain(b->right, negated, op, out);
}

static db_err put_xor(const struct ast_binary *b, bool negated, struct expr_text *out)
{
    TRY(put(out, "("));
    TRY(ddl__print_condition(b->left, negated, out));
    TRY(put(out, " xor "));
    TRY(ddl__print_condition(b->right, false, out));
    return put(out, ")");
}

/* ---- comparisons ---- */

static db_err put_compared(const struct ast_expr *left, enum ast_op op,
                           const struct ast_expr *right, struct expr_text *out);

/* MYSQL: rows that are equal or not are kept as what is said of their members. */
static db_err put_rows(const struct ast_row *left, enum ast_op op, const struct ast_row *right,
                       struct expr_text *out)
{
    TRY(put(out, "("));
    for (uint32_t i = 0; i < left->items.count; i++) {
        TRY(put(out, i == 0 ? "" : op == AST_OP_NE ? " or " : " and "));
        TRY(put_compared(left->items.items[i], op, right->items.items[i], out));
    }
    return put(out, ")");
}

static db_err put_compared(const struct ast_expr *left, enum ast_op op,
                           const struct ast_expr *right, struct expr_text *out)
{
    static const char *const words[AST_OP__COUNT] = {
        [AST_OP_EQ] = " = ",  [AST_OP_NULL_SAFE_EQ] = " <=> ",
        [AST_OP_NE] = " <> ", [AST_OP_LT] = " < ",
        [AST_OP_LE] = " <= ", [AST_OP_GT] = " > ",
        [AST_OP_GE] = " >= ",
    };
    const struct ast_row *l = (const struct ast_row *)left;
    const struct ast_row *r = (const struct ast_row *)right;
    if (left->kind == AST_EXPR_ROW && right->kind == AST_EXPR_ROW &&
        l->items.count == r->items.count &&
        (op == AST_OP_EQ || op == AST_OP_NE || op == AST_OP_NULL_SAFE_EQ)) {
        return put_rows(l, op, r, out);
    }
    TRY(put(out, "("));
    TRY(put_side(left, out));
    TRY(put(out, words[op]));
    TRY(put_side(right, out));
    return put(out, ")");
}

static db_err put_sounds(const struct ast_binary *b, bool negated, struct expr_text *out)
{
    TRY(put(out, "(soundex("));
    TRY(ddl__print_part(b->left, out));
    TRY(put(out, negated ? ") <> soundex(" : ") = soundex("));
    TRY(ddl__print_part(b->right, out));
    return put(out, "))");
}

static db_err put_member(const struct ast_binary *b, bool negated, struct expr_text *out)
{
    TRY(open_not(negated, out));
    TRY(ddl__print_part(b->left, out));
    TRY(put(out, " member of ("));
    TRY(ddl__print_part(b->right, out));
    TRY(put(out, ")"));
    return close_not(negated, out);
}

static db_err put_binary(const struct ast_binary *b, bool negated, struct expr_text *out)
{
    enum ast_op op = negated ? ast_op_negated(b->op) : b->op;
    switch ((int)b->op) {
    case AST_OP_AND:
    case AST_OP_OR:
        TRY(put(out, "("));
        TRY(put_chain(&b->expr, negated, op, out));
        return put(out, ")");
    case AST_OP_XOR: return put_xor(b, negated, out);
    case AST_OP_SOUNDS_LIKE: return put_sounds(b, negated, out);
    case AST_OP_MEMBER_OF: return put_member(b, negated, out);
    case AST_OP_NULL_SAFE_EQ:
        TRY(open_not(negated, out));
        TRY(put_compared(b->left, b->op, b->right, out));
        return close_not(negated, out);
    default: return put_compared(b->left, op, b->right, out);
    }
}

/* ---- the others ---- */

static db_err put_null_test(const struct ast_expr *arg, bool negated, struct expr_text *out)
{
    TRY(put(out, "("));
    TRY(ddl__print_part(arg, out));
    return put(out, negated ? " is not null)" : " is null)");
}

static db_err put_is(const struct ast_is *e, bool negated, struct expr_text *out)
{
    negated = negated != e->negated;
    if (e->test == AST_IS_NULL || e->test == AST_IS_UNKNOWN) {
        return put_null_test(e->arg, negated, out);
    }
    TRY(put(out, "("));
    TRY(ddl__print_condition(e->arg, false, out));
    TRY(put(out, negated ? " is not " : " is "));
    return put(out, e->test == AST_IS_TRUE ? "true)" : "false)");
}

static db_err put_between(const struct ast_between *e, bool negated, struct expr_text *out)
{
    TRY(put(out, "("));
    TRY(ddl__print_part(e->arg, out));
    TRY(put(out, negated != e->negated ? " not between " : " between "));
    TRY(ddl__print_part(e->low, out));
    TRY(put(out, " and "));
    TRY(ddl__print_part(e->high, out));
    return put(out, ")");
}

static db_err put_in(const struct ast_in *e, bool negated, struct expr_text *out)
{
    negated = negated != e->negated;
    if (e->query != NULL) {
        return ERR_UNSUPPORTED;
    }
    if (e->list.count == 1) { /* MYSQL: one value is compared with */
        return put_compared(e->arg, negated ? AST_OP_NE : AST_OP_EQ, e->list.items[0], out);
    }
    TRY(put(out, "("));
    TRY(put_side(e->arg, out));
    TRY(put(out, negated ? " not in " : " in "));
    TRY(put_list(&e->list, out));
    return put(out, ")");
}

static db_err put_like(const struct ast_like *l, bool negated, struct expr_text *out)
{
    negated = negated != l->negated;
    TRY(open_not(negated, out));
    TRY(put(out, l->regexp ? "regexp_like(" : "("));
    TRY(ddl__print_part(l->arg, out));
    TRY(put(out, l->regexp ? "," : " like "));
    TRY(ddl__print_part(l->pattern, out));
    if (l->escape != NULL) {
        TRY(put(out, " escape "));
        TRY(ddl__print_part(l->escape, out));
    }
    TRY(put(out, ")"));
    return close_not(negated, out);
}

db_err ddl__print_condition(const struct ast_expr *e, bool negated, struct expr_text *out)
{
    e = ast_below_not(e, &negated);
    const void *n = e;
    const struct ast_expr *null_arg = ast_isnull_arg(e);
    if (!ast_is_condition(e)) {
        TRY(put(out, negated ? "(0 = " : "(0 <> "));
        TRY(ddl__print_part(e, out));
        return put(out, ")");
    }
    if (null_arg != NULL) {
        return put_null_test(null_arg, negated, out);
    }
    switch ((int)e->kind) {
    case AST_EXPR_BINARY: return put_binary(n, negated, out);
    case AST_EXPR_IS: return put_is(n, negated, out);
    case AST_EXPR_BETWEEN: return put_between(n, negated, out);
    case AST_EXPR_IN: return put_in(n, negated, out);
    case AST_EXPR_LIKE: return put_like(n, negated, out);
    case AST_EXPR_EXISTS:
    case AST_EXPR_QUANTIFIED: return ERR_UNSUPPORTED;
    default: /* true, false, calls */
        TRY(open_not(negated, out));
        TRY(ddl__print_plain(e, out));
        return close_not(negated, out);
    }
}
