/* Builders of operators and simple expressions. */
#include "sql/parser/ast_build.h"

#define EXPR_NEW(type, kind, loc, depth)                                                           \
    ast_expr_new(ctx, sizeof(struct type), (kind), (loc), (depth))

void *ast_binary(struct parse_ctx *ctx, struct sql_loc loc, enum ast_op op, void *left, void *right)
{
    struct ast_binary *e =
        EXPR_NEW(ast_binary, AST_EXPR_BINARY, loc, ast_deeper(ast_depth(left), ast_depth(right)));
    e->op = op;
    e->left = left;
    e->right = right;
    return e;
}

static struct ast_binary *as_chain(void *expr, enum ast_op op)
{
    struct ast_expr *e = expr;
    if (e->kind != AST_EXPR_BINARY || (e->flags & AST_EXPR_PARENS) != 0) {
        return NULL;
    }
    struct ast_binary *b = expr;
    return b->op == op ? b : NULL;
}

static void refresh(struct ast_binary *b)
{
    const struct ast_pos *l = &b->left->pos;
    const struct ast_pos *r = &b->right->pos;
    b->expr.depth = (uint16_t)(ast_deeper(b->left->depth, b->right->depth) + 1);
    b->expr.pos = (struct ast_pos){l->offset, r->offset + r->len - l->offset};
}

/* Lets the right child, or its left child, take the place of b, so that the depths of the children
 * stay within one of each other (an AVL tree's rotations). The order of the operands stays. */
static struct ast_binary *rebalance(struct ast_binary *b, enum ast_op op)
{
    struct ast_binary *r = as_chain(b->right, op);
    if (r == NULL || b->right->depth <= b->left->depth + 1) {
        refresh(b);
        return b;
    }
    struct ast_binary *rl = as_chain(r->left, op);
    if (rl != NULL && r->left->depth > r->right->depth) {
        b->right = rl->left;
        r->left = rl->right;
        rl->left = &b->expr;
        rl->right = &r->expr;
        refresh(b);
        refresh(r);
        refresh(rl);
        return rl;
    }
    b->right = r->left;
    r->left = &b->expr;
    refresh(b);
    refresh(r);
    return r;
}

/* Appends an operand to a chain of one operator, going down its right edge; recursion is as deep as
 * the tree. */
static struct ast_expr *append(struct parse_ctx *ctx, struct sql_loc loc, enum ast_op op,
                               struct ast_expr *chain, struct ast_expr *operand)
{
    struct ast_binary *b = as_chain(chain, op);
    if (b == NULL || chain->depth <= operand->depth + 1 || ctx->err != ERR_OK) {
        struct ast_binary *e = ast_binary(ctx, loc, op, chain, operand);
        e->expr.pos.offset = chain->pos.offset;
        e->expr.pos.len = operand->pos.offset + operand->pos.len - chain->pos.offset;
        return &e->expr;
    }
    b->right = append(ctx, loc, op, b->right, operand);
    return &rebalance(b, op)->expr;
}

void *ast_logic(struct parse_ctx *ctx, struct sql_loc loc, enum ast_op op, void *left, void *right)
{
    if (ctx->err != ERR_OK) {
        return ast_binary(ctx, loc, op, left, right);
    }
    struct ast_expr *e = append(ctx, loc, op, left, right);
    e->pos = ast_pos_of(loc); /* the operands' own parentheses count */
    return e;
}

void *ast_unary(struct parse_ctx *ctx, struct sql_loc loc, enum ast_op op, void *arg)
{
    struct ast_unary *e = EXPR_NEW(ast_unary, AST_EXPR_UNARY, loc, ast_depth(arg));
    e->op = op;
    e->arg = arg;
    return e;
}

void *ast_is(struct parse_ctx *ctx, struct sql_loc loc, void *arg, uint32_t test, bool negated)
{
    struct ast_is *e = EXPR_NEW(ast_is, AST_EXPR_IS, loc, ast_depth(arg));
    e->test = (enum ast_is_test)test;
    e->negated = negated;
    e->arg = arg;
    return e;
}

static uint16_t query_depth(const void *query)
{
    return ((const struct ast_query *)query)->depth;
}

static bool limits(const struct ast_query *q);

static bool body_limits(const struct ast_body *body)
{
    if (body->kind == AST_BODY_SETOP) {
        const struct ast_setop *s = (const struct ast_setop *)body;
        bool any = body_limits(s->first);
        for (uint32_t i = 0; i < s->links.count && !any; i++) {
            any = body_limits(s->links.items[i]->body);
        }
        return any;
    }
    return body->kind == AST_BODY_QUERY && limits(((const struct ast_body_query *)body)->query);
}

/* Has the query, or one of which it is made, a LIMIT? */
static bool limits(const struct ast_query *q)
{
    return q->limit != NULL || body_limits(q->body);
}

static void look_for_limit(struct parse_ctx *ctx, const void *query)
{
    ctx->limited = ctx->limited || (ctx->err == ERR_OK && limits(query));
}

void *ast_quantified(struct parse_ctx *ctx, struct sql_loc loc, enum ast_op op, bool all, void *arg,
                     void *query)
{
    if (op == AST_OP_NULL_SAFE_EQ) { /* not a quantified comparison in MySQL's grammar */
        parse__syntax_error(ctx, loc.offset);
    }
    struct ast_quantified *e = EXPR_NEW(ast_quantified, AST_EXPR_QUANTIFIED, loc,
                                        ast_deeper(ast_depth(arg), query_depth(query)));
    e->op = op;
    e->all = all;
    e->arg = arg;
    e->query = query;
    look_for_limit(ctx, query);
    return e;
}

void *ast_in(struct parse_ctx *ctx, struct sql_loc loc, void *arg, struct ast_list *list,
             void *query, bool negated)
{
    uint16_t depth = query != NULL ? query_depth(query) : ast_list_depth(list);
    struct ast_in *e = EXPR_NEW(ast_in, AST_EXPR_IN, loc, ast_deeper(ast_depth(arg), depth));
    e->negated = negated;
    e->arg = arg;
    e->list = LIST(ast_expr_list, list);
    e->query = query;
    if (query != NULL) {
        look_for_limit(ctx, query);
    }
    return e;
}

void *ast_between(struct parse_ctx *ctx, struct sql_loc loc, void *arg, void *low, void *high,
                  bool negated)
{
    uint16_t depth = ast_deeper(ast_depth(arg), ast_deeper(ast_depth(low), ast_depth(high)));
    struct ast_between *e = EXPR_NEW(ast_between, AST_EXPR_BETWEEN, loc, depth);
    e->negated = negated;
    e->arg = arg;
    e->low = low;
    e->high = high;
    return e;
}

void *ast_like(struct parse_ctx *ctx, struct sql_loc loc, void *arg, void *pattern, void *escape,
               uint32_t flags)
{
    uint16_t depth = ast_deeper(ast_depth(arg), ast_deeper(ast_depth(pattern), ast_depth(escape)));
    struct ast_like *e = EXPR_NEW(ast_like, AST_EXPR_LIKE, loc, depth);
    e->negated = (flags & LIKE_NEGATED) != 0;
    e->regexp = (flags & LIKE_REGEXP) != 0;
    e->arg = arg;
    e->pattern = pattern;
    e->escape = escape;
    return e;
}

void *ast_interval(struct parse_ctx *ctx, struct sql_loc loc, void *amount, uint32_t unit)
{
    struct ast_interval *e = EXPR_NEW(ast_interval, AST_EXPR_INTERVAL, loc, ast_depth(amount));
    e->amount = amount;
    e->unit = (enum ast_interval_unit)unit;
    return e;
}

void *ast_user_var(struct parse_ctx *ctx, struct sql_loc loc, struct slice name)
{
    struct ast_user_var *e = EXPR_NEW(ast_user_var, AST_EXPR_USER_VAR, loc, 0);
    e->name = name;
    e->before = ctx->vars;
    ctx->vars = e;
    return e;
}

void *ast_assign_var(struct parse_ctx *ctx, struct sql_loc loc, void *var, void *value)
{
    struct ast_user_var *e = EXPR_NEW(ast_user_var, AST_EXPR_USER_ASSIGN, loc, ast_depth(value));
    e->name = ((struct ast_user_var *)var)->name;
    e->value = value;
    e->assigned = true;
    e->before = ctx->assigns;
    ctx->assigns = e;
    return e;
}

void *ast_sys_var(struct parse_ctx *ctx, struct sql_loc loc, uint64_t scope, struct slice component,
                  struct slice name)
{
    struct ast_sys_var *e = EXPR_NEW(ast_sys_var, AST_EXPR_SYS_VAR, loc, 0);
    e->scope = (enum ast_scope)scope;
    e->component = component;
    e->name = name;
    if (component.ptr == NULL) {
        parse__variable_named(ctx, e->scope, name);
    }
    return e;
}

void *ast_collate(struct parse_ctx *ctx, struct sql_loc loc, enum ast_expr_kind kind, void *arg,
                  struct slice name)
{
    struct ast_collate *e = EXPR_NEW(ast_collate, kind, loc, ast_depth(arg));
    e->arg = arg;
    e->name = name;
    return e;
}

void *ast_subquery(struct parse_ctx *ctx, struct sql_loc loc, enum ast_expr_kind kind, void *query)
{
    struct ast_subquery *e = EXPR_NEW(ast_subquery, kind, loc, query_depth(query));
    e->query = query;
    return e;
}

void *ast_note_subquery(struct parse_ctx *ctx, struct sql_loc loc, void *query)
{
    if (ctx->subquery == 0 || loc.offset < ctx->subquery) {
        ctx->subquery = loc.offset + 1;
    }
    return query;
}

void *ast_parens(struct parse_ctx *ctx, void *expr)
{
    (void)ctx;
    ((struct ast_expr *)expr)->flags |= AST_EXPR_PARENS;
    return expr;
}

void *ast_row(struct parse_ctx *ctx, struct sql_loc loc, struct ast_list *items)
{
    struct ast_row *e = EXPR_NEW(ast_row, AST_EXPR_ROW, loc, ast_list_depth(items));
    e->items = LIST(ast_expr_list, items);
    return e;
}

/* {d '..'}, {t '..'}, {ts '..'} are temporal literals; {fn f(..)} and any other word are the
 * expression itself. */
void *ast_odbc(struct parse_ctx *ctx, struct sql_loc loc, struct slice word, void *expr)
{
    struct ast_literal *l = expr;
    if (l->expr.kind != AST_EXPR_LITERAL || l->kind != AST_LIT_STRING) {
        return expr;
    }
    if (slice_eq_nocase(word, SLICE_LIT("d"))) {
        l->kind = AST_LIT_DATE;
    } else if (slice_eq_nocase(word, SLICE_LIT("t"))) {
        l->kind = AST_LIT_TIME;
    } else if (slice_eq_nocase(word, SLICE_LIT("ts"))) {
        l->kind = AST_LIT_TIMESTAMP;
    }
    if (l->kind != AST_LIT_STRING) {
        l->expr.pos = ast_pos_of(loc);
        l->braces = true;
    }
    (void)ctx;
    return expr;
}

void *ast_column(struct parse_ctx *ctx, struct sql_loc loc, struct slice schema, struct slice table,
                 struct slice name)
{
    struct ast_column *e = EXPR_NEW(ast_column, AST_EXPR_COLUMN, loc, 0);
    e->schema = schema;
    e->table = table;
    e->name = name;
    return e;
}

void *ast_star(struct parse_ctx *ctx, struct sql_loc loc, struct slice schema, struct slice table)
{
    struct ast_column *e = EXPR_NEW(ast_column, AST_EXPR_STAR, loc, 0);
    e->schema = schema;
    e->table = table;
    return e;
}

void *ast_default_word(struct parse_ctx *ctx, struct sql_loc loc)
{
    return EXPR_NEW(ast_column, AST_EXPR_DEFAULT, loc, 0);
}

void *ast_retag(struct parse_ctx *ctx, struct sql_loc loc, enum ast_expr_kind kind, void *column)
{
    (void)ctx;
    struct ast_expr *e = column;
    e->kind = kind;
    e->pos = ast_pos_of(loc);
    return e;
}

void *ast_case(struct parse_ctx *ctx, struct sql_loc loc, void *value, struct ast_list *whens,
               void *otherwise)
{
    uint16_t depth = ast_deeper(ast_depth(value), ast_depth(otherwise));
    for (uint32_t i = 0; whens != NULL && i < whens->count; i++) {
        const struct ast_when *w = whens->items[i];
        depth = ast_deeper(depth, ast_deeper(ast_depth(w->when), ast_depth(w->then)));
    }
    struct ast_case *e = EXPR_NEW(ast_case, AST_EXPR_CASE, loc, depth);
    e->value = value;
    e->whens = LIST(ast_when_list, whens);
    e->otherwise = otherwise;
    return e;
}

void *ast_match(struct parse_ctx *ctx, struct sql_loc loc, struct ast_list *columns, void *against,
                uint32_t mode)
{
    struct ast_match *e = EXPR_NEW(ast_match, AST_EXPR_MATCH, loc, ast_depth(against));
    e->columns = LIST(ast_expr_list, columns);
    e->against = against;
    e->mode = (enum ast_match_mode)mode;
    return e;
}

void *ast_param(struct parse_ctx *ctx, struct sql_loc loc)
{
    if ((ctx->opts.flags & PARSE_PREPARE) == 0) {
        parse__syntax_error(ctx, loc.offset);
    }
    struct ast_param *e = EXPR_NEW(ast_param, AST_EXPR_PARAM, loc, 0);
    e->index = ctx->params++;
    return e;
}
