/* Running a plan: the tree is built, opened, drained and closed; the chunk arena is reset between
 * root chunks. */
#include <stdio.h>

#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/exec_int.h"
#include "sql/exec/fk.h"
#include "sql/exec/short_path.h"

void exec__warn_text(struct exec_ctx *ctx, enum cast_level level, uint16_t number, const char *text)
{
    struct cast_ctx *c = ctx->eval.cast;
    if (c->warn != NULL) {
        c->warn(c->warn_arg, level, number, text);
    }
}

db_err exec__implicit_default(struct exec_ctx *ctx, const struct column_def *c, struct value *ret)
{
    (void)ctx;
    value_set_zero(ret, &c->type);
    if (c->type.id == TYPE_ENUM) {
        ret->i = 0; /* MYSQL: the empty name, not the first member */
    }
    return ERR_OK;
}

void exec__null_default(const struct column_def *c, struct value *ret)
{
    value_set_zero(ret, &c->type);
    if (c->type.id == TYPE_ENUM) {
        ret->i = 0;
    }
}

db_err exec__missing_default(struct exec_ctx *ctx, const struct column_def *c, bool tell,
                             const struct value *before, struct value *ret)
{
    bool is_enum = c->type.id == TYPE_ENUM;
    bool nullable = (c->type.flags & TYPE_F_NOT_NULL) == 0;
    if (!is_enum && ctx->eval.cast->strict && !ctx->ignore) {
        return my_error(ctx->diag, ER_NO_DEFAULT_FOR_FIELD, arena_strdup(ctx->arena, c->name));
    }
    if (tell && !is_enum) {
        cast_warn(ctx->eval.cast, CAST_WARNING, ER_NO_DEFAULT_FOR_FIELD,
                  arena_strdup(ctx->arena, c->name));
    }
    if (nullable && (is_enum || before == NULL || before->is_null)) {
        value_set_null(ret, &c->type);
        return ERR_OK;
    }
    value_set_zero(ret, &c->type);
    return ERR_OK;
}

/* MYSQL: a statement that is to end, by KILL QUERY or by its time, is looked at when it reads
 * another row: one with a single row answers it, with a SLEEP() that is 1. */
static bool has_one_row(struct exec_ctx *ctx)
{
    const struct plan_node *n = ctx->plan->root;
    uint64_t limit = UINT64_MAX;
    if (ctx->plan->shape == PLAN_SHAPE_POINT_SELECT) {
        return true;
    }
    if (n->kind == PLAN_LIMIT && !n->u.limit.calc_found_rows &&
        exec__limit_value(ctx, n->u.limit.limit, UINT64_MAX, &limit) == ERR_OK && limit <= 1) {
        return true;
    }
    n = n->kind == PLAN_LIMIT ? n->children[0] : n;
    return n->kind == PLAN_PROJECT ? n->children[0]->kind == PLAN_DUAL
                                   : n->kind == PLAN_VALUES && n->u.values.row_count == 1;
}

static db_err drain(struct exec_ctx *ctx, struct op *root, exec_rows_fn rows, void *arg)
{
    struct chunk *chunk;
    for (;;) {
        arena_reset(ctx->eval.arena);
        TRY(op_next(root, ctx, &chunk));
        if (chunk == NULL) {
            return ERR_OK;
        }
        if (rows != NULL && chunk->count != 0) {
            TRY(rows(arg, chunk));
        }
        if (UNLIKELY(ctx->eval.env != NULL && ctx->eval.env->cut) && has_one_row(ctx)) {
            return ERR_OK;
        }
    }
}

static db_err run_tree(struct exec_ctx *ctx, exec_rows_fn rows, void *arg)
{
    struct op *root = NULL;
    db_err err = exec_build(ctx, ctx->plan->root, &root);
    if (err == ERR_OK) {
        err = op_open(root, ctx);
    }
    if (err == ERR_OK) {
        err = drain(ctx, root, rows, arg);
    }
    op_close(root, ctx);
    return err;
}

static db_err run_short(struct exec_ctx *ctx, exec_rows_fn rows, void *arg, bool *ret_done)
{
    switch (ctx->plan->shape) {
    case PLAN_SHAPE_TREE: return ERR_OK;
    case PLAN_SHAPE_POINT_SELECT: return exec__point_select(ctx, rows, arg, ret_done);
    case PLAN_SHAPE_POINT_UPDATE:
    case PLAN_SHAPE_POINT_DELETE: return exec__point_change(ctx, ret_done);
    case PLAN_SHAPE_INSERT_VALUES: *ret_done = true; return exec__insert_values(ctx);
    }
    return ERR_OK;
}

static db_err cast_early(struct exec_ctx *ctx, const struct early_cast *c, struct value *ret)
{
    const struct bexpr *e = c->cast;
    const struct bexpr *from = e->args[0];
    struct cast_ctx *cast = ctx->eval.cast;
    struct cast_ctx quiet;
    struct value known;
    TRY(expr_eval_scalar(ctx, from, &known));
    const struct value *v = &known;
    if (v->is_null) {
        value_set_null(ret, &e->type);
        return ERR_OK;
    }
    struct value whole;
    if (c->unless_whole && text_whole_number(v->str, &whole)) {
        value_set_null(ret, &e->type);
        return ERR_OK;
    }
    if (c->decimal) {
        struct decimal seen;
        TRY(value_to_decimal(cast, &from->type, v, &seen));
    }
    if (c->decimal || c->quiet) {
        quiet = *cast;
        quiet.warn = NULL;
        cast = &quiet;
    }
    cast->expr = e->u.cast.name;
    db_err err = value_cast(cast, &from->type, v, &e->type, ret);
    cast->expr = NULL;
    if (err == ERR_SQL && (e->type.wire & TYPE_W_OF_PARAM) != 0) {
        return my_error(ctx->eval.diag, ER_IMPOSSIBLE_STRING_CONVERSION,
                        collation_by_id(v->collation)->name,
                        collation_by_id(e->type.collation)->name, "parameter");
    }
    return cast_refusal(ctx->eval.cast, err);
}

static db_err early_cast(struct exec_ctx *ctx, const struct early_cast *c, struct value *ret)
{
    struct cast_ctx *cast = ctx->eval.cast;
    bool strict = cast->strict;
    cast->strict = strict && !c->lenient;
    db_err err = cast_early(ctx, c, ret);
    cast->strict = strict;
    return err;
}

static db_err early_casts(struct exec_ctx *ctx)
{
    uint32_t count = ctx->plan->early_count;
    if (LIKELY(count == 0)) {
        return ERR_OK;
    }
    struct value *values = ARENA_ARRAY(ctx->arena, struct value, count);
    const struct early_cast **casts = ARENA_ARRAY(ctx->arena, const struct early_cast *, count);
    if (values == NULL || casts == NULL) {
        return ERR_LIMIT;
    }
    for (const struct early_cast *c = ctx->plan->early; c != NULL; c = c->next) {
        casts[c->index] = c;
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(early_cast(ctx, casts[i], &values[i]));
    }
    ctx->early = values;
    return ERR_OK;
}

db_err exec_run(struct exec_ctx *ctx, exec_rows_fn rows, void *arg)
{
    bool done = false;
    db_err err = early_casts(ctx);
    if (err != ERR_OK) {
        return err;
    }
    struct eval_env *env = ctx->eval.env;
    if (env != NULL) {
        env->may_cut = ctx->plan->kind == BOUND_SELECT;
        env->cut = false;
    }
    struct arena *cast_arena = ctx->eval.cast->arena;
    ctx->eval.cast->arena = ctx->eval.arena; /* what casts make lives as long as their chunk */
    if (ctx->short_paths && ctx->counters == NULL) {
        err = run_short(ctx, rows, arg, &done);
    }
    if (!done && err == ERR_OK) {
        err = run_tree(ctx, rows, arg);
    }
    exec__subqueries_close(ctx);
    exec__ctes_close(ctx);
    if (ctx->fk_writers != NULL) {
        fk_close(ctx);
    }
    ctx->eval.cast->arena = cast_arena;
    if (env != NULL) {
        env->may_cut = env->cut = false;
    }
    return err;
}
