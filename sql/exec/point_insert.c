/* INSERT of VALUES rows, without operators.
 *
 * All rows are completed and numbered, then written. In an autocommit statement nobody else sees
 * the rows before the commit, so the checks that the keys are new are left to it: no lock is asked
 * for, and the commit is the only request. That tells of a duplicate late and out of order, while
 * MySQL names the first one in the order of the rows and of their indexes; so a duplicate takes
 * everything back and the very same rows (with the numbers they have been given and the warnings
 * they have raised) are written again by exec_insert_again, each under its lock, which finds the
 * same duplicate or, if it has gone meanwhile, succeeds. So does a row without a parent that is not
 * the first: a row before it may be a duplicate. */
#include "base/fiber.h"
#include "sql/exec/fk.h"
#include "sql/exec/insert_rows.h"
#include "sql/exec/short_path.h"

static db_err write_all(struct exec_ctx *ctx, const struct table_def *t)
{
    struct row_writer w;
    const struct fk_table *fks = fk_wanted(ctx, ctx->plan->root->u.insert.target->fks);
    bool *known = NULL;
    if (fks != NULL) {
        known = ARENA_ARRAY(ctx->arena, bool, (size_t)ctx->insert_row_count * fks->check_count + 1);
        if (known == NULL) {
            return ERR_LIMIT;
        }
        TRY(fk_find_parents(ctx, fks, ctx->insert_rows, ctx->insert_row_count, known));
    }
    db_err err = ERR_OK;
    row_writer_init(&w, ctx, t, ctx->plan->root->u.insert.target->virtuals);
    w.defer = ctx->defer_checks;
    bool ahead = !w.defer && row_locks_worth(&w, NULL, true);
    for (uint32_t i = 0; i < ctx->insert_row_count && err == ERR_OK; i++) {
        const struct value *row = &ctx->insert_rows[(size_t)i * t->column_count];
        if (ahead && i % ROW_LOCKS_MAX == 0) {
            TRY_GOTO(row_lock_new(&w, row, ctx->insert_row_count - i), out);
        }
        if (fks != NULL) {
            err = fk_check_row(ctx, fks, NULL, row, &known[(size_t)i * fks->check_count]);
            if (w.defer && i != 0 && fk_is_violation(ctx, err)) {
                err = ERR_KEY_EXISTS; /* of a row before this one, perhaps */
            }
        }
        err = err != ERR_OK ? err : row_insert(&w, row);
        if (err == ERR_OK && ctx->insert_made != NULL) {
            insert_rows_written(ctx, ctx->insert_made[i]);
        }
        if (err == ERR_OK && i % 16 == 15) {
            err = fiber_checkpoint();
        }
    }
out:
    row_writer_fini(&w);
    TRY(err);
    ctx->records = ctx->affected_rows = ctx->insert_row_count;
    return ERR_OK;
}

/* A row of values that stand for the plan's parameters. Their types are the parameters' as far as
 * they are of that kind: another row may have a string where the first has a number. */
static db_err given_row(struct exec_ctx *ctx, struct insert_rows *s, uint32_t i, struct value *row)
{
    struct bexpr *const *params = s->node->children[0]->u.values.rows[0];
    uint32_t n = s->node->u.insert.column_count;
    const struct value *v = &ctx->given_rows[(size_t)i * n];
    insert_rows_begin(s);
    for (uint32_t k = 0; k < n; k++) {
        const struct sql_type *type = &params[k]->type;
        struct sql_type own;
        if (v[k].type != type->id || v[k].is_unsigned != type_is_unsigned(type)) {
            own = value_type(&v[k]);
            type = &own;
        }
        TRY(insert_rows_assign(s, ctx, k, type, &v[k], row));
    }
    return insert_rows_complete(s, ctx, row, true);
}

static db_err write_rows(struct exec_ctx *ctx, struct insert_rows *s, struct value *rows,
                         uint32_t n)
{
    TRY(insert_rows_number(s, ctx, rows, n));
    ctx->insert_rows = rows;
    ctx->insert_made = s->made;
    ctx->insert_row_count = n;
    return write_all(ctx, s->table);
}

/* A row is wrong. MYSQL: what is wrong with the rows before it, which are written by then, is told
 * first. */
static db_err earlier_first(struct exec_ctx *ctx, struct insert_rows *s, struct value *rows,
                            uint32_t n, db_err err)
{
    if (err != ERR_SQL || n == 0) {
        return err;
    }
    struct diag later = *ctx->diag;
    diag_reset(ctx->diag);
    ctx->defer_checks = false;
    TRY(write_rows(ctx, s, rows, n));
    *ctx->diag = later;
    return err;
}

db_err exec__insert_values(struct exec_ctx *ctx)
{
    const struct plan_node *node = ctx->plan->root;
    const struct plan_node *values = node->children[0];
    struct insert_rows s;
    TRY(insert_rows_init(&s, ctx, node));
    bool given = ctx->given_rows != NULL;
    uint32_t n = given ? ctx->given_row_count : values->u.values.row_count;
    size_t width = s.table->column_count;
    struct value *rows = ARENA_ARRAY(ctx->arena, struct value, n * width);
    if (rows == NULL) {
        return ERR_LIMIT;
    }
    s.expected = n;
    for (uint32_t i = 0; i < n; i++) {
        db_err err =
            given ? given_row(ctx, &s, i, &rows[i * width])
                  : insert_rows_literal(&s, ctx, values->u.values.rows[i], &rows[i * width], n > 1);
        if (err != ERR_OK) {
            return earlier_first(ctx, &s, rows, i, err);
        }
    }
    return write_rows(ctx, &s, rows, n);
}

db_err exec_insert_again(struct exec_ctx *ctx)
{
    struct arena *cast_arena = ctx->eval.cast->arena;
    ctx->eval.cast->arena = ctx->eval.arena;
    ctx->defer_checks = false;
    ctx->first_insert_id = 0;
    db_err err = write_all(ctx, ctx->plan->root->u.insert.target->table);
    ctx->eval.cast->arena = cast_arena;
    return err;
}
