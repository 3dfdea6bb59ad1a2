/* Subqueries in expressions. Each gets an id; the executor keeps the result of an uncorrelated one
 * for the statement. */
#include "sql/bind/bind_int.h"

#include "sql/diag/my_error.h"

static const struct hint_block *hints_of(const struct ast_query *q)
{
    const struct ast_body *body = q->body;
    while (body->kind == AST_BODY_QUERY) {
        body = ((const struct ast_body_query *)body)->query->body;
    }
    const struct ast_hints *hints =
        body->kind == AST_BODY_SELECT ? ((const struct ast_select *)body)->hints : NULL;
    return hints == NULL ? NULL : hints->block;
}

static db_err new_subquery(struct binder *b, struct scope *scope, const struct ast_query *q,
                           enum rows_asked asked, struct bsubquery **ret, uint32_t *ret_visible)
{
    struct bsubquery *sub = BIND_NEW(b, struct bsubquery);
    if (sub == NULL) {
        return ERR_NOMEM;
    }
    if (q->into != NULL) {
        return my_error(b->diag, ER_MISPLACED_INTO);
    }
    sub->id = b->stmt->subquery_count++;
    sub->block = hints_of(q);
    bool stored = b->set_in_table;
    b->rows_asked = asked;
    b->set_in_table = true;
    TRY(bind__query(b, scope, sub, q, &sub->root, ret_visible));
    b->set_in_table = stored;
    struct bsubquery **grown = BIND_ARRAY(b, struct bsubquery *, b->stmt->subquery_count);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < b->stmt->subquery_count && b->subqueries != NULL; i++) {
        grown[i] = i < b->subquery_filled ? b->subqueries[i] : NULL;
    }
    grown[sub->id] = sub;
    b->subqueries = grown;
    b->subquery_filled = b->stmt->subquery_count;
    *ret = sub;
    return ERR_OK;
}

static struct bexpr *subquery_node(struct binder *b, enum bexpr_kind kind, const struct sql_type *t,
                                   struct bsubquery *sub, uint32_t args)
{
    struct bexpr *e = bind__new(b, kind, t, args);
    if (e != NULL) {
        e->u.subquery.sub = sub;
        e->has_subquery = true;
    }
    return e;
}

static struct sql_type truth(bool not_null)
{
    struct sql_type t = type_int(TYPE_BIGINT, false);
    t.length = 1;
    t.flags |= (uint8_t)(TYPE_F_BOOL | TYPE_F_EXPR | (not_null ? TYPE_F_NOT_NULL : 0));
    return t;
}

/* (SELECT expression) with nothing else is the expression: NULL when the query is more than that.
 */
static const struct ast_expr *only_expression(const struct ast_query *q)
{
    if (q->body->kind != AST_BODY_SELECT || q->with != NULL || q->order_by.count != 0 ||
        q->limit != NULL || q->into != NULL) {
        return NULL;
    }
    const struct ast_select *s = (const struct ast_select *)q->body;
    if (s->from != NULL || s->where != NULL || s->group_by.count != 0 || s->having != NULL ||
        s->windows.count != 0 || s->qualify != NULL || s->into != NULL || s->items.count != 1 ||
        s->items.items[0]->expr->kind == AST_EXPR_STAR) {
        return NULL;
    }
    return s->items.items[0]->expr;
}

/* MYSQL: (SELECT column) and (SELECT literal) are the column and the literal. What else stands
 * there may hold aggregates of this query or names of its select list, which a subquery sees
 * otherwise. */
static bool is_reduced(const struct binder *b, const struct scope *scope,
                       const struct ast_expr *only)
{
    if (only == NULL || b->scalar) {
        return only != NULL;
    }
    if (only->kind == AST_EXPR_LITERAL) {
        return true;
    }
    return only->kind == AST_EXPR_COLUMN && scope != NULL && scope->place <= PLACE_WHERE &&
           scope->in_agg == 0 && bind__column_here(scope, (const struct ast_column *)only) != NULL;
}

static db_err column_of_row(struct binder *b, struct bsubquery *sub, uint32_t column,
                            struct bexpr **ret)
{
    const struct lcolumn *c = &sub->root->columns[column];
    struct sql_type t = c->type;
    t.flags &= (uint8_t) ~(t.id == TYPE_YEAR ? 0 : TYPE_F_ZEROFILL);
    t = bind__result_type(t);
    t.flags = (uint8_t)((t.flags & ~TYPE_F_NOT_NULL) | TYPE_F_EXPR);
    struct bexpr *e = subquery_node(b, BEXPR_SUBQUERY_SCALAR, &t, sub, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->coercibility = c->coercibility;
    e->u.subquery.column = column;
    e->is_volatile = sub->repeats;
    *ret = e;
    return ERR_OK;
}

/* MYSQL: variables that the statement assigns, and RAND() and the like where a table is read, make
 * a subquery give another value for each row. */
static bool repeats(const struct binder *b, struct unsteady before, const struct ast_query *q)
{
    bool reads =
        q->body->kind != AST_BODY_SELECT || ((const struct ast_select *)q->body)->from != NULL;
    return b->unsteady.assigned != before.assigned ||
           (reads && b->unsteady.random != before.random);
}

/* A subquery of several columns is a row of as many scalars, which share its one run. */
db_err bind__scalar_subquery(struct binder *b, struct scope *scope, const struct ast_subquery *s,
                             struct bexpr **ret)
{
    const struct ast_expr *only = only_expression(s->query);
    if (is_reduced(b, scope, only)) {
        struct scope block = {0};
        const struct ast_select *reduced = (const struct ast_select *)s->query->body;
        TRY(bind__block_hints(b, &block, reduced->hints, NULL));
        return bind__expr(b, scope, only, ret);
    }
    struct bsubquery *sub;
    uint32_t visible;
    struct unsteady before = b->unsteady;
    TRY(new_subquery(b, scope, s->query, ROWS_UNORDERED, &sub, &visible));
    if (visible == 1) {
        sub->repeats = !sub->correlated && repeats(b, before, s->query);
        sub->correlated = sub->correlated || sub->repeats;
        return column_of_row(b, sub, 0, ret);
    }
    struct sql_type none = type_null();
    struct bexpr *row = bind__new(b, BEXPR_ROW, &none, visible);
    if (row == NULL) {
        return ERR_NOMEM;
    }
    sub->is_row = true;
    for (uint32_t i = 0; i < visible; i++) {
        TRY(column_of_row(b, sub, i, &row->args[i]));
    }
    bind__inherit(row);
    *ret = row;
    return ERR_OK;
}

db_err bind__exists(struct binder *b, struct scope *scope, const struct ast_subquery *s,
                    struct bexpr **ret)
{
    struct bsubquery *sub;
    uint32_t visible;
    TRY(new_subquery(b, scope, s->query, ROWS_AS_SET, &sub, &visible));
    struct sql_type t = truth(true);
    sub->exists = true;
    *ret = subquery_node(b, BEXPR_SUBQUERY_EXISTS, &t, sub, 0);
    return *ret == NULL ? ERR_NOMEM : ERR_OK;
}

/* Both sides of a comparison of texts in the collation that it goes by: sets of values hash them
 * one by one. */
static db_err in_one_collation(struct binder *b, struct bexpr *eq)
{
    for (uint32_t k = 0; k < 2; k++) {
        struct sql_type t = eq->args[k]->type;
        uint16_t collation = eq->u.func->collation;
        if (type_is_string(&t) && type_is_string(&eq->args[1 - k]->type) && collation != 0 &&
            t.collation != collation) {
            uint8_t coercibility = eq->args[k]->coercibility;
            t = bind__text_in(&t, collation);
            t.wire |= TYPE_W_REFUSE_LOSS;
            TRY(bind__cast(b, eq->args[k], &t, false, &eq->args[k]));
            eq->args[k]->coercibility = coercibility;
        }
    }
    return ERR_OK;
}

/* A constant in the subquery's select list, which is text in the comparison `eq`, must be text of
 * the charset that it is compared in, whatever rows there are. MYSQL: not where it is an extreme of
 * them that is compared, as in conditions. */
static db_err constant_fits(struct binder *b, const struct lnode *query, uint32_t column,
                            const struct bexpr *eq)
{
    struct bexpr *made = bind__constant_of(b, query, query->columns[column].id);
    if (made == NULL || eq->u.func->collation == 0 || !type_is_string(&eq->args[0]->type) ||
        !type_is_string(&eq->args[1]->type)) {
        return ERR_OK;
    }
    return bind__text_fits(b, made, eq->u.func->collation);
}

/* How the place of a comparison with a subquery decides about constant text in its select list. */
struct exactness {
    bool decimals, integers; /* beside these it is compared as beside a plain constant */
};

/* MYSQL: an order is compared with the extreme of the rows in a condition, with each row elsewhere;
 * a query without FROM is its constant in a condition. Integers are so where IN is a join. */
static struct exactness exactness_of(const struct ast_query *q, bool condition, bool ordered,
                                     bool of_extreme)
{
    bool bare = only_expression(q) != NULL;
    bool alone = bare && condition;
    struct exactness e = {.decimals = !ordered || (bare ? condition : !of_extreme),
                          .integers = ordered ? alone : bare || condition};
    return e;
}

/* Constant text in the select list of a subquery beside a number of which it must lose no digit, as
 * in a plain comparison. *io: the comparison with the column. */
static db_err exact_constant(struct binder *b, const struct lnode *query, uint32_t column,
                             struct bexpr *left, struct exactness how, struct bexpr **io)
{
    struct bexpr *made = bind__constant_of(b, query, query->columns[column].id);
    struct bexpr *by = (*io)->args[1];
    struct bexpr *eq;
    bool wanted =
        left->type.id == TYPE_DECIMAL ? how.decimals : type_is_integer(&left->type) && how.integers;
    if (!wanted || left->is_const || made == NULL || !made->is_const ||
        !type_is_string(&made->type) || by->kind != BEXPR_CAST) {
        return ERR_OK;
    }
    TRY(bind__comparison(b, AST_OP_EQ, left, made, &eq));
    if (eq->kind == BEXPR_FUNC && eq->arg_count == 2 &&
        eq->args[1]->type.id == (left->type.id == TYPE_DECIMAL ? TYPE_DECIMAL : TYPE_BIGINT)) {
        TRY(bind__cast(b, by->args[0], &eq->args[1]->type, false, &eq->args[1]));
        *io = eq;
    }
    return ERR_OK;
}

/* Is IN of this query, or = ANY, a part of the condition that must be true? */
static bool must_be_in(const struct ast_expr *condition, const struct ast_query *q)
{
    while (condition->kind == AST_EXPR_BINARY) {
        const struct ast_binary *e = (const struct ast_binary *)condition;
        if (e->op != AST_OP_AND) {
            return false;
        }
        if (must_be_in(e->right, q)) {
            return true;
        }
        condition = e->left;
    }
    if (condition->kind == AST_EXPR_IN) {
        const struct ast_in *in = (const struct ast_in *)condition;
        return in->query == q && !in->negated;
    }
    return condition->kind == AST_EXPR_QUANTIFIED &&
           ((const struct ast_quantified *)condition)->query == q &&
           !((const struct ast_quantified *)condition)->all;
}

static bool aggregates(const struct lnode *n)
{
    while (n->kind == LNODE_PROJECT || n->kind == LNODE_FILTER || n->kind == LNODE_SORT) {
        n = n->children[0];
    }
    return n->kind == LNODE_AGGREGATE || n->kind == LNODE_WINDOW;
}

/* MYSQL: makes a join of IN that must be true, with a query block that does not aggregate. */
static bool is_joined(const struct scope *scope, const struct ast_query *q,
                      const struct bsubquery *sub)
{
    if (scope->condition == NULL || scope->place == PLACE_HAVING ||
        q->body->kind != AST_BODY_SELECT || !must_be_in(scope->condition, q)) {
        return false;
    }
    const struct ast_select *s = (const struct ast_select *)q->body;
    return s->from != NULL && s->having == NULL && !aggregates(sub->root);
}

/* MYSQL: nothing is told of constant text that is looked for among the integers of a subquery, but
 * of a join, of an extreme, and of a query of one row without tables, with which it is compared. */
static void quiet_number(const struct ast_query *q, const struct bexpr *column, struct bexpr *text)
{
    bool rows =
        q->body->kind != AST_BODY_SELECT || ((const struct ast_select *)q->body)->from != NULL;
    bool whole = type_is_integer(&column->type) || column->type.id == TYPE_YEAR;
    if (rows && whole && text->kind == BEXPR_CAST && text->u.cast.early != NULL) {
        text->u.cast.early->quiet = true;
    }
}

/* Casts the left side and the subquery's columns to types in which they compare as MySQL compares
 * them. */
static db_err match_columns(struct binder *b, const struct scope *scope, struct bsubquery *sub,
                            const struct ast_query *q, struct bexpr **left, uint32_t n,
                            const char *sign)
{
    struct select_item *items = BIND_ARRAY(b, struct select_item, sub->root->column_count + 1);
    bool any = false;
    bool condition =
        scope->place == PLACE_WHERE || scope->place == PLACE_ON || scope->place == PLACE_HAVING;
    bool ordered = (sign[0] == '<' || sign[0] == '>') && sign[1] != '>';
    bool of_extreme = condition && !sub->correlated && ordered;
    bool joined = sign[0] == '=' && is_joined(scope, q, sub);
    struct exactness exact = exactness_of(q, condition, ordered, of_extreme);
    sub->equal = BIND_ARRAY(b, struct bexpr *, n + 1);
    sub->compared = sub->root;
    if (items == NULL || sub->equal == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < sub->root->column_count; i++) {
        items[i].column = sub->root->columns[i];
        items[i].expr = bind__column_expr(b, &sub->root->columns[i]);
        if (items[i].expr == NULL) {
            return ERR_NOMEM;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        struct bexpr *eq;
        struct bexpr *column = items[i].expr;
        b->func.operation = sign;
        b->func.apart = true;
        b->joins_query =
            joined && bind__constant_of(b, sub->compared, sub->compared->columns[i].id) == NULL;
        db_err err = bind__comparison(b, AST_OP_EQ, left[i], column, &eq);
        b->func.apart = b->joins_query = false;
        b->func.operation = NULL;
        if (err == ERR_SQL && b->opts->defines_view) { /* MYSQL: compared when the view is used */
            struct value known = value_int(1);
            struct sql_type t = truth(false);
            diag_reset(b->diag);
            err = bind__const(b, &known, &t, 1, &eq);
        }
        TRY(err);
        sub->equal[i] = eq;
        if (eq->kind != BEXPR_FUNC || eq->arg_count != 2) {
            continue; /* folded: nothing to cast */
        }
        TRY(of_extreme ? ERR_OK : constant_fits(b, sub->compared, i, eq));
        TRY(in_one_collation(b, eq));
        TRY(exact_constant(b, sub->compared, i, left[i], exact, &eq));
        sub->equal[i] = eq;
        left[i] = eq->args[0];
        if (!joined && !of_extreme) {
            quiet_number(q, column, left[i]);
        }
        any = any || eq->args[1] != column;
        items[i].expr = eq->args[1];
    }
    return any ? bind__project(b, items, sub->root->column_count, &sub->root) : ERR_OK;
}

static db_err left_side(struct binder *b, struct bexpr *left, uint32_t visible, struct bexpr ***ret,
                        uint32_t *ret_count)
{
    uint32_t n = left->kind == BEXPR_ROW ? left->arg_count : 1;
    if (n != visible) {
        return my_error(b->diag, ER_OPERAND_COLUMNS, (int)n);
    }
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, n);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    memcpy(args, left->kind == BEXPR_ROW ? left->args : &left, n * sizeof(*args));
    *ret = args;
    *ret_count = n;
    return ERR_OK;
}

db_err bind__in_subquery(struct binder *b, struct scope *scope, struct bexpr *left,
                         const struct ast_query *q, bool quantified, bool negated,
                         struct bexpr **ret)
{
    struct bsubquery *sub;
    uint32_t visible;
    struct bexpr **args;
    uint32_t n;
    TRY(new_subquery(b, scope, q, ROWS_AS_SET, &sub, &visible));
    TRY(left_side(b, left, visible, &args, &n));
    for (uint32_t i = 0; i < n && !quantified; i++) {
        struct bexpr *found = bind__column_expr(b, &sub->root->columns[i]);
        if (found == NULL) {
            return ERR_NOMEM;
        }
        bind__note_searched(b, args[i], found);
    }
    TRY(match_columns(b, scope, sub, q, args, n, "="));
    struct sql_type t = truth(false);
    struct bexpr *e = subquery_node(b, BEXPR_SUBQUERY_IN, &t, sub, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->args = args;
    e->arg_count = n;
    bind__inherit(e);
    e->is_const = false;
    e->u.subquery.negated = negated;
    *ret = e;
    return ERR_OK;
}

db_err bind__quantified(struct binder *b, struct scope *scope, const struct ast_quantified *q,
                        struct bexpr **ret)
{
    struct bexpr *left;
    TRY(bind__expr(b, scope, q->arg, &left));
    if (!q->all && q->op == AST_OP_EQ) {
        return bind__in_subquery(b, scope, left, q->query, true, false, ret);
    }
    if (q->all && q->op == AST_OP_NE) {
        return bind__in_subquery(b, scope, left, q->query, true, true, ret);
    }
    struct bsubquery *sub;
    uint32_t visible;
    struct bexpr **args;
    uint32_t n;
    TRY(new_subquery(b, scope, q->query, ROWS_AS_SET, &sub, &visible));
    TRY(left_side(b, left, visible, &args, &n));
    if (n != 1) {
        return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
    }
    TRY(bind__refuse_vector_order(b, q->op, &args[0]->type, &sub->root->columns[0].type));
    static const char *const signs[] = {"=", "<=>", "<>", "<", "<=", ">", ">="};
    static const char *const opposite[] = {"<>", "<>", "=", ">=", ">", "<=", "<"};
    TRY(match_columns(b, scope, sub, q->query, args, n,
                      (q->all ? opposite : signs)[q->op - AST_OP_EQ]));
    static const uint8_t ops[] = {CMP_EQ, CMP_NULL_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE};
    struct sql_type t = truth(false);
    struct bexpr *e = subquery_node(b, BEXPR_SUBQUERY_QUANTIFIED, &t, sub, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->args = args;
    e->arg_count = 1;
    bind__inherit(e);
    e->is_const = false;
    e->u.subquery.op = (enum cmp_op)ops[q->op - AST_OP_EQ];
    e->u.subquery.all = q->all;
    bool never_null = args[0]->is_const && (args[0]->type.flags & TYPE_F_NOT_NULL) != 0 &&
                      (sub->root->columns[0].type.flags & TYPE_F_NOT_NULL) != 0;
    e->type.flags |= never_null ? TYPE_F_NOT_NULL : 0;
    *ret = e;
    return ERR_OK;
}
