/* What a strict change that is refused tells of.
 *
 * MYSQL: a warning becomes an error, and the statement ends when its expression has been computed.
 * Which arguments are still computed behind an error is each function's own affair (FUNC_STOPS),
 * and what goes wrong in them is told of, too.
 *
 * Here several rows are evaluated at once. When one of them is refused, they are evaluated once
 * more one by one, up to the first that is: what that one says is what counts. What may not be
 * evaluated twice tells of the first error alone. */
#include "sql/exec/exec_int.h"

uint32_t exec__arg_in_order(unsigned orders, uint32_t count, uint32_t k)
{
    switch (orders) {
    case FUNC_FROM_LAST: return count - 1 - k;
    case FUNC_FIRST_LAST: return k + 1 == count ? 0 : k + 1;
    case FUNC_LAST_SECOND: return count < 3 || k == 0 ? k : k == 1 ? count - 1 : k - 1;
    case FUNC_SECOND_FIRST: return k < 2 && count > 1 ? 1 - k : k;
    case FUNC_THIRD_FIRST: return k + 2 < count ? k + 2 : count - 1 - k;
    case FUNC_FOURTH_FIRST:
        return k + 3 < count ? k + 3 : k + 3 == count ? 1 : k + 2 == count ? 2 : 0;
    default: return k;
    }
}

bool exec__stops(const struct exec_ctx *ctx, const struct expr_state *s,
                 const struct eval_rows *rows, uint32_t arg)
{
    const struct func_call *call = s->e->u.func;
    unsigned flags = call->def->flags;
    if (!ctx->eval.cast->refused || rows->n != 1 || call->goes_on || (flags & FUNC_GOES_ON) != 0) {
        return false;
    }
    if (vec_is_null(s->many[arg], eval_row(rows, 0)) ||
        (arg == 1 && (flags & FUNC_STOPS_SECOND) != 0)) {
        return true;
    }
    /* MYSQL: arithmetic of decimals looks for errors where another number is made one. */
    const struct bexpr *e = s->args[arg]->e;
    bool made = e->kind == BEXPR_CAST && !e->u.cast.explicit_cast;
    return (flags & FUNC_STOPS) != 0 && (call->type.id != TYPE_DECIMAL || made);
}

/* MYSQL: the values of CASE x WHEN are all compared, and what is said of one that is true is
 * computed; IF of dates and times goes on. */
bool exec__case_stops(const struct expr_state *s, const struct eval_rows *rows, uint32_t cond,
                      bool holds)
{
    const struct bexpr *e = s->args[cond]->e;
    if (rows->n != 1) {
        return false;
    }
    if (s->e->u.is_if) {
        return !type_is_temporal(&s->e->type);
    }
    return !holds && !(e->kind == BEXPR_FUNC && e->u.func->goes_on);
}

db_err exec__stopped_result(struct exec_ctx *ctx, struct expr_state *s,
                            const struct eval_rows *rows, struct vector **ret)
{
    struct vector *out;
    int equal = s->e->kind == BEXPR_FUNC ? func_of_equal(s->e->u.func) : -1;
    TRY(exec__result(ctx, s, rows, &out));
    uint32_t row = eval_row(rows, 0);
    if (equal >= 0) { /* MYSQL: nothing differs */
        vec_set_i64(out, row, equal);
    } else if (s->e->kind == BEXPR_AND || s->e->kind == BEXPR_OR) {
        vec_set_i64(out, row, 0);
    } else if ((s->e->type.flags & TYPE_F_NOT_NULL) == 0) {
        vec_set_null(out, row);
    } else {
        struct value zero;
        value_set_zero(&zero, &s->e->type);
        TRY(vector_set(out, row, &zero));
    }
    *ret = out;
    return ERR_OK;
}

db_err exec__refuse_truths(struct exec_ctx *ctx, const struct vector *v,
                           const struct eval_rows *rows)
{
    struct cast_ctx *cast = ctx->eval.cast;
    uint32_t n = vec_is_const(v) ? 1 : rows->n;
    cast->telling = cast;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = eval_row(rows, i);
        bool ignored;
        if (!vec_is_null(v, row)) {
            TRY(cast_refusal(cast, exec__truth(ctx, v, row, &ignored)));
        }
    }
    return ERR_OK;
}

bool exec__may_repeat(const struct expr_state *s)
{
    return !s->e->is_volatile && !s->e->has_subquery && !s->assigns;
}

db_err exec__refused(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                     db_err err, struct vector **ret)
{
    struct cast_ctx *cast = ctx->eval.cast;
    db_err first = cast_refusal(cast, err);
    if (first != ERR_SQL || rows->n < 2 || !exec__may_repeat(s)) {
        return first;
    }
    struct diag found = *ctx->diag;
    cast->telling = cast;
    for (uint32_t i = 0; i < rows->n; i++) {
        uint16_t row = (uint16_t)eval_row(rows, i);
        struct eval_rows one = {.in = rows->in, .sel = &row, .n = 1};
        TRY(cast_refusal(cast, exec__eval(ctx, s, &one, ret)));
    }
    *ctx->diag = found;
    return first;
}
