/* IS NULL of columns that cannot be NULL, where MySQL takes it for something else: the zero date,
 * and, with sql_auto_is_null, the row that was inserted last. */
#include "sql/bind/bind_int.h"
#include "sql/parser/ast_condition.h"

/* The column of `column IS NULL`, also when that is said by NOT; NULL: it is something else. */
static struct bexpr *tested_for_null(const struct bexpr *e, bool negated)
{
    if (e->kind != BEXPR_FUNC) {
        return NULL;
    }
    const char *name = e->u.func->def->name;
    if (strcmp(name, "op_not") == 0) {
        return tested_for_null(e->args[0], !negated);
    }
    bool is_null = strcmp(name, negated ? "op_is_not_null" : "op_is_null") == 0 ||
                   (!negated && strcmp(name, "isnull") == 0);
    bool column = e->args[0]->kind == BEXPR_COLUMN || e->args[0]->kind == BEXPR_OUTER;
    return is_null && column ? e->args[0] : NULL;
}

/* The definition of the column, of this block's tables or of those of a block around it; NULL: it
 * is of no table. */
static const struct column_def *definition(const struct scope *scope, const struct bexpr *column)
{
    const struct column_def *def = NULL;
    uint32_t outwards = column->kind == BEXPR_OUTER ? column->u.column.depth : 0;
    for (; outwards != 0 && scope != NULL; outwards--) {
        scope = scope->parent;
    }
    for (uint32_t i = 0; scope != NULL && i < scope->count; i++) {
        def = scope->columns[i].id == column->u.column.id ? scope->columns[i].def : def;
    }
    return def;
}

db_err bind__zero_date(struct binder *b, const struct scope *scope, struct bexpr **io)
{
    struct bexpr *column = tested_for_null(*io, false);
    const struct column_def *def = column == NULL ? NULL : definition(scope, column);
    if (def == NULL || (def->type.flags & TYPE_F_NOT_NULL) == 0 ||
        (def->type.id != TYPE_DATE && def->type.id != TYPE_DATETIME)) {
        return ERR_OK;
    }
    struct value zero;
    struct bexpr *literal, *equal;
    struct bexpr *again = bexpr_clone(b->arena, column);
    struct bexpr **either = BIND_ARRAY(b, struct bexpr *, 2);
    if (again == NULL || either == NULL) {
        return ERR_NOMEM;
    }
    value_set_zero(&zero, &def->type);
    TRY(bind__const(b, &zero, &def->type, 5, &literal));
    TRY(bind__op2(b, "op_eq", again, literal, &equal));
    if ((column->type.flags & TYPE_F_NOT_NULL) != 0) {
        *io = equal;
        return ERR_OK;
    }
    either[0] = equal; /* an outer join may have made the row */
    either[1] = *io;
    return bind__logic(b, BEXPR_OR, either, 2, io);
}

/* The x of a condition that is nothing but x IS NULL, however NOT says it; NULL: it is not. */
static struct ast_expr *nothing_but_null(const struct ast_expr *e)
{
    bool negated = false;
    e = ast_below_not(e, &negated);
    if (e->kind == AST_EXPR_IS) {
        const struct ast_is *is = (const struct ast_is *)e;
        bool null = is->test == AST_IS_NULL || is->test == AST_IS_UNKNOWN;
        return null && is->negated == negated ? is->arg : NULL;
    }
    return negated ? NULL : (struct ast_expr *)(uintptr_t)ast_isnull_arg(e);
}

static struct ast_expr *is_last_id(struct binder *b, struct ast_expr *column)
{
    struct ast_func *f = BIND_NEW(b, struct ast_func);
    if (f == NULL) {
        return NULL;
    }
    f->expr.kind = AST_EXPR_FUNC;
    f->expr.depth = 1;
    f->name = SLICE_LIT("last_insert_id");
    return bind__ast_both(b, AST_OP_EQ, column, &f->expr);
}

db_err bind__last_id(struct binder *b, struct scope *scope, struct ast_expr **io_where,
                     struct lnode *filter)
{
    struct ast_expr *arg = *io_where == NULL ? NULL : nothing_but_null(*io_where);
    if (arg == NULL || filter->u.filter.count != 1) {
        return ERR_OK;
    }
    const struct bexpr *column = tested_for_null(filter->u.filter.conjuncts[0], false);
    const struct column_def *def = column == NULL ? NULL : definition(scope, column);
    if (def == NULL || !def->auto_increment || (column->type.flags & TYPE_F_NOT_NULL) == 0) {
        return ERR_OK;
    }
    b->stmt->session_bound = true;
    if (!b->opts->auto_is_null) {
        return ERR_OK;
    }
    struct ast_expr *equal = is_last_id(b, arg);
    if (equal == NULL) {
        return ERR_NOMEM;
    }
    filter->u.filter.conjuncts = NULL;
    filter->u.filter.count = 0;
    TRY(bind__conjuncts(b, scope, equal, &filter->u.filter.conjuncts, &filter->u.filter.count));
    *io_where = equal;
    return ERR_OK;
}
