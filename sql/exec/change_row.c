/* Assignments run left to right on one row, each seeing what those before it have set. */
#include "sql/exec/change_row.h"

#include "sql/diag/my_error.h"
#include "sql/exec/fk.h"
#include "sql/exec/insert_rows.h"

static db_err new_value(struct change_row *c, struct exec_ctx *ctx, uint32_t k,
                        const struct value *row, struct value *ret)
{
    const struct plan_target *t = c->target;
    const struct plan_assign *a = &t->assigns[k];
    struct vector *v;
    if (a->expr->kind == BEXPR_DEFAULT) {
        return exec__missing_default(ctx, &t->table->columns[a->column], true, &row[a->column],
                                     ret);
    }
    if (c->assigns[k] == NULL) {
        return expr_eval_scalar(ctx, a->expr, ret);
    }
    TRY(expr_eval(ctx, c->assigns[k], c->scratch, &v));
    vector_get(v, 0, ret);
    return ERR_OK;
}

static bool is_document(const struct bexpr *e, const struct column_def *into)
{
    return into->type.id == TYPE_JSON && bexpr_makes_document(e);
}

/* ctx->arena: the new row's. */
static db_err set_value(struct change_row *c, struct exec_ctx *ctx, uint32_t k,
                        const struct value *x, struct value *row, uint64_t number)
{
    const struct plan_target *t = c->target;
    const struct plan_assign *a = &t->assigns[k];
    const struct column_def *column = &t->table->columns[a->column];
    ctx->eval.cast->json_source = a->expr->json_source;
    db_err err = row_reassign(ctx, t->table, a->column, &a->expr->type, x, number, row);
    ctx->eval.cast->json_source = NULL;
    TRY(err);
    if (row[a->column].is_null && (column->type.flags & TYPE_F_NOT_NULL) != 0) {
        char *name = arena_strdup(ctx->arena, column->name);
        if (ctx->eval.cast->strict && !ctx->ignore) {
            return is_document(a->expr, column)
                       ? my_error(ctx->diag, WARN_DATA_TRUNCATED, name, (long)number)
                       : my_error(ctx->diag, ER_BAD_NULL_ERROR, name);
        }
        if (is_document(a->expr, column)) {
            cast_warn(ctx->eval.cast, CAST_WARNING, WARN_DATA_TRUNCATED, name, (long)number);
        } else {
            cast_warn(ctx->eval.cast, CAST_WARNING, ER_BAD_NULL_ERROR, name);
        }
        exec__null_default(column, &row[a->column]);
    }
    if (c->scratch == NULL) {
        return ERR_OK;
    }
    TRY(row_own(ctx, &row[a->column])); /* it may lie in a slot of scratch, this one even */
    struct vector *slot = &c->scratch->columns[t->slots[a->column]];
    vector_reset(slot);
    return vector_set(slot, 0, &row[a->column]);
}

static db_err assign(struct change_row *c, struct exec_ctx *ctx, uint32_t k,
                     const struct value *old, struct value *row, uint64_t number)
{
    const struct plan_target *t = c->target;
    struct arena *statement = ctx->arena;
    struct value x;
    if (t->assigns[k].implicit && row_equal(t->table, old, row)) {
        return ERR_OK;
    }
    TRY(new_value(c, ctx, k, row,
                  &x)); /* what an expression keeps lives as long as the statement */
    ctx->arena = c->values != NULL ? c->values : statement;
    db_err err = set_value(c, ctx, k, &x, row, number);
    ctx->arena = statement;
    return err;
}

/* An ignored duplicate, or violation of a foreign key, leaves the row as it was, also what was
 * written before it was met. */
db_err change_row_write(struct change_row *c, struct exec_ctx *ctx, const struct value *old,
                        const struct value *row)
{
    uint64_t before = 0;
    if (c->ignore) {
        TRY(storage_txn_savepoint(ctx->txn, &before));
    }
    db_err err = fk_update_row(ctx, fk_wanted(ctx, c->target->fks), c->writer, old, row,
                               c->target->index_touched);
    if (err == ERR_SQL && c->ignore &&
        (ctx->diag->number == ER_DUP_ENTRY || fk_is_violation(ctx, err))) {
        TRY(storage_txn_rollback_to(ctx->txn, before));
        exec__warn_text(ctx, CAST_WARNING, ctx->diag->number, ctx->diag->text);
        diag_reset(ctx->diag);
        return ERR_OK;
    }
    TRY(err);
    ctx->changed_rows++;
    return insert_rows_number_set(ctx, c->target->table, old, row);
}

/* The view's conditions on the row of the join, with the new values in it. */
static db_err joined_checks(struct change_row *c, struct exec_ctx *ctx, const struct value *row,
                            bool *ret_pass)
{
    const struct plan_target *t = c->target;
    for (uint32_t i = 0; i < t->table->column_count; i++) { /* the generated ones, too */
        struct vector *slot = &c->scratch->columns[t->slots[i]];
        vector_reset(slot);
        TRY(vector_set(slot, 0, &row[i]));
    }
    *ret_pass = true;
    for (uint32_t i = 0; i < t->joined_count && *ret_pass; i++) {
        struct vector *v;
        TRY(expr_eval(ctx, c->joined[i], c->scratch, &v));
        TRY(row_rules_judge(ctx, &t->joined_checks[i], v, ret_pass));
    }
    return ERR_OK;
}

db_err change_row_compute(struct change_row *c, struct exec_ctx *ctx, const struct value *old,
                          uint64_t number, struct value **ret_row)
{
    *ret_row = NULL;
    size_t width = c->target->table->column_count;
    struct value *row =
        arena_alloc(c->values != NULL ? c->values : ctx->arena, width * sizeof(*row));
    if (row == NULL) {
        return ERR_LIMIT;
    }
    memcpy(row, old, width * sizeof(*row));
    for (uint32_t k = 0; k < c->target->assign_count; k++) {
        TRY(assign(c, ctx, k, old, row, number));
    }
    ctx->matched_rows++;
    if (c->rules->rules != NULL && !row_equal(c->target->table, old, row)) {
        bool pass;
        TRY(row_rules_apply(c->rules, ctx, number, row, &pass));
        if (!pass) {
            return ERR_OK;
        }
    }
    if (c->target->joined_count != 0 && !row_equal(c->target->table, old, row)) {
        bool pass;
        TRY(joined_checks(c, ctx, row, &pass));
        if (!pass) {
            return ERR_OK;
        }
    }
    *ret_row = row_equal(c->target->table, old, row) ? NULL : row;
    return ERR_OK;
}

db_err change_row_update(struct change_row *c, struct exec_ctx *ctx, const struct value *old,
                         uint64_t number)
{
    struct value *row;
    TRY(change_row_compute(c, ctx, old, number, &row));
    return row == NULL ? ERR_OK : change_row_write(c, ctx, old, row);
}
