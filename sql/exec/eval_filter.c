/* Filters: the rows for which all of several conditions hold.
 *
 * Each condition is evaluated for all rows that the ones before have left. Where something is said,
 * the rows are gone through once more one by one (as in eval_list.c). */
#include "sql/exec/exec_int.h"

enum { SAID_MAX = 4096 }; /* warnings of a statement's conditions that are put in order */

/* The rows for which one condition holds. sel_out may be where the rows are. */
static db_err filter_one(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                         uint16_t *sel_out, uint32_t *ret_count)
{
    struct cast_ctx *cast = ctx->eval.cast;
    struct vector *v;
    uint32_t n = 0;
    db_err err = exec__eval(ctx, s, rows, &v);
    if (UNLIKELY(cast->refused)) {
        return exec__refused(ctx, s, rows, err, &v);
    }
    TRY(err);
    bool once = vec_is_const(v); /* the same for all rows of the chunk */
    bool keep = false;
    if (v->phys == PHYS_STR && cast->strict) {
        TRY(exec__refuse_truths(ctx, v, rows));
    }
    for (uint32_t i = 0; i < rows->n; i++) {
        uint32_t row = eval_row(rows, i);
        if (i == 0 || !once) {
            keep = false;
            TRY(vec_is_null(v, row) ? ERR_OK : exec__truth(ctx, v, row, &keep));
        }
        sel_out[n] = (uint16_t)row;
        n += keep;
    }
    s->known = s->fixed && once;
    s->known_round = ctx->once_round;
    s->truth = keep;
    *ret_count = n;
    return ERR_OK;
}

static db_err filter_all(struct exec_ctx *ctx, struct expr_state *const *states, uint32_t count,
                         struct eval_rows rows, uint16_t *sel_out, uint32_t *ret_count)
{
    struct cast_ctx *cast = ctx->eval.cast;
    for (uint32_t c = 0; c < count && rows.n != 0; c++) {
        uint32_t n = 0;
        if (states[c]->known &&
            (ctx->once_again == 0 || states[c]->known_round != ctx->once_again)) {
            /* told of once, in the first chunk */
            rows.n = states[c]->truth ? rows.n : 0;
            continue;
        }
        const struct cast_ctx *telling = cast->telling;
        cast->telling = rows.n == 1 ? cast : NULL;
        db_err err = filter_one(ctx, states[c], &rows, sel_out, &n);
        err = UNLIKELY(cast->refused) ? cast_refusal(cast, err) : err;
        cast->telling = telling;
        TRY(err);
        rows.sel = sel_out;
        rows.n = n;
    }
    if (rows.sel != sel_out) {
        for (uint32_t i = 0; i < rows.n; i++) {
            sel_out[i] = (uint16_t)eval_row(&rows, i);
        }
    }
    *ret_count = rows.n;
    return ERR_OK;
}

static bool may_repeat(struct expr_state *const *states, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!exec__may_repeat(states[i])) {
            return false;
        }
    }
    return true;
}

/* Again, row by row, for what they say. MYSQL: rows that did not pass have no number. */
static db_err filter_in_order(struct exec_ctx *ctx, struct expr_state *const *states,
                              uint32_t count, const struct eval_rows *rows)
{
    ctx->once_again = ctx->once_round++; /* what is told of once has been heard */
    struct cast_ctx *cast = ctx->eval.cast;
    uint64_t first = cast->row;
    db_err err = ERR_OK;
    for (uint32_t i = 0; i < rows->n && err == ERR_OK; i++) {
        uint16_t row = (uint16_t)eval_row(rows, i);
        uint16_t held;
        uint32_t n = 0;
        struct eval_rows one = {.in = rows->in, .sel = &row, .n = 1};
        err = filter_all(ctx, states, count, one, &held, &n);
        cast->row += n;
    }
    cast->row = first;
    ctx->once_again = 0;
    return err;
}

/* What they say comes in the order of the rows. */
static db_err filter_rows(struct exec_ctx *ctx, struct expr_state *const *states, uint32_t count,
                          struct eval_rows rows, uint16_t *sel_out, uint32_t *ret_count)
{
    struct listener first = {.arena = ctx->eval.arena};
    if (rows.n > 1 && rows.sel != sel_out && ctx->filters_said < SAID_MAX) {
        exec__listen(ctx, &first);
        ctx->once_round++;
    }
    db_err err = filter_all(ctx, states, count, rows, sel_out, ret_count);
    if (UNLIKELY(first.count != 0) && (err == ERR_OK || err == ERR_SQL) &&
        may_repeat(states, count)) {
        struct listener second = {.arena = ctx->eval.arena};
        struct diag found = *ctx->diag;
        ctx->filters_said += first.count;
        ctx->eval.cast->warn_arg = &second;
        db_err again = filter_in_order(ctx, states, count, &rows);
        if (again != err) {
            *ctx->diag = found;
        } else if (err == ERR_SQL || second.count == first.count) {
            first.first = second.first;
        }
    }
    exec__listen_end(ctx, &first);
    exec__listen_tell(&first, 0);
    return err;
}

static bool any_assigns(struct expr_state *const *states, uint32_t count)
{
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        any = any || states[i]->assigns;
    }
    return any;
}

db_err expr_filter(struct exec_ctx *ctx, struct expr_state *const *states, uint32_t count,
                   const struct chunk *in, uint16_t *sel_out, uint32_t *ret_count)
{
    uint32_t n = 0;
    if (LIKELY(!any_assigns(states, count))) {
        struct eval_rows all = {.in = in, .sel = in->sel, .n = in->count};
        return filter_rows(ctx, states, count, all, sel_out, ret_count);
    }
    /* MYSQL: WHERE (@n := @n + 1) < 3: a row after the other */
    for (uint32_t i = 0; i < in->count; i++) {
        uint32_t kept;
        uint16_t row = (uint16_t)chunk_row(in, i);
        struct eval_rows one = {.in = in, .sel = &row, .n = 1};
        TRY(filter_rows(ctx, states, count, one, sel_out + n, &kept));
        n += kept;
    }
    *ret_count = n;
    return ERR_OK;
}
