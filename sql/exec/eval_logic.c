/* AND, OR, CASE, COALESCE: nodes that look at an argument only for the rows that need it. */
#include "sql/exec/exec_int.h"

db_err exec__fixed_holds(struct exec_ctx *ctx, struct expr_state *s, bool *ret_holds)
{
    struct vector *v;
    bool holds = false;
    TRY(expr_eval(ctx, s, NULL, &v));
    TRY(vec_is_null(v, 0) ? ERR_OK : exec__truth(ctx, v, 0, &holds));
    TRY(cast_refusal(ctx->eval.cast, ERR_OK));
    *ret_holds = holds;
    return ERR_OK;
}

enum { FOLLOWED_LEVELS = 16 }; /* higher trees are few, and take the stack */

/* Only of nodes that are computed anew with each chunk. */
static void follow(struct expr_state *s, struct expr_state *before)
{
    const struct bexpr *e = s->e;
    if (e->kind != before->e->kind || s->arg_count != before->arg_count || s->fixed ||
        before->fixed || s->height > FOLLOWED_LEVELS ||
        type_phys(&e->type) != type_phys(&before->e->type)) {
        return;
    }
    if (e->kind != BEXPR_FUNC && e->kind != BEXPR_AND && e->kind != BEXPR_OR) {
        return;
    }
    s->before = before;
    for (uint32_t i = 0; i < s->arg_count; i++) {
        follow(s->args[i], before->args[i]);
    }
}

void exec__share_room(struct expr_state *const *conditions, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        follow(conditions[i], conditions[i - 1]);
    }
}

db_err exec__decide(struct exec_ctx *ctx, struct expr_state *s, uint32_t arg, uint16_t *sel,
                    struct eval_rows *io_open, struct vector *out)
{
    bool is_and = s->e->kind == BEXPR_AND;
    struct vector *v;
    uint32_t n = 0;
    TRY(exec__eval(ctx, s->args[arg], io_open, &v));
    for (uint32_t i = 0; i < io_open->n; i++) {
        uint32_t row = sel[i];
        if (vec_is_null(v, row)) {
            vec_set_null(out, row);
            sel[n++] = (uint16_t)row;
            continue;
        }
        bool truth;
        TRY(exec__arg_truth(ctx, s->args[arg], v, row, &truth));
        if (truth == is_and) {
            sel[n++] = (uint16_t)row;
            continue;
        }
        out->nulls[row >> 6] &= ~(1ull << (row & 63));
        vec_set_i64(out, row, !is_and);
    }
    io_open->n = n;
    return ERR_OK;
}

db_err exec__eval_and_or(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                         struct vector **ret)
{
    bool is_and = s->e->kind == BEXPR_AND;
    struct vector *out;
    uint16_t *left = exec__scratch(ctx, s);
    if (left == NULL) {
        return ERR_LIMIT;
    }
    if (UNLIKELY(ctx->eval.cast->refused) && rows->n == 1) {
        return exec__stopped_result(ctx, s, rows, ret);
    }
    TRY(exec__result(ctx, s, rows, &out));
    struct eval_rows open = {.in = rows->in, .sel = left, .n = rows->n};
    for (uint32_t i = 0; i < rows->n; i++) {
        left[i] = (uint16_t)eval_row(rows, i);
        vec_set_i64(out, left[i], is_and);
    }
    *ret = out;
    if (!is_and && !s->or_looked) {
        TRY(exec__or_table(ctx, s));
    }
    if (s->or_table != NULL) {
        return exec__eval_or_table(ctx, s, rows, out);
    }
    for (uint32_t a = 0; a < s->arg_count && open.n != 0; a++) {
        TRY(exec__decide(ctx, s, a, left, &open, out));
        if (UNLIKELY(ctx->eval.cast->refused) && rows->n == 1) {
            return exec__stopped_result(ctx, s, rows, ret);
        }
    }
    return ERR_OK;
}

/* Splits `open` by a condition: rows where it is true go to `hit`, the others stay. Returns the
 * number of hits. */
static db_err split(struct exec_ctx *ctx, const struct vector *cond, uint16_t *open,
                    uint32_t *io_open, uint16_t *hit, uint32_t *ret_hits)
{
    uint32_t stay = 0;
    uint32_t hits = 0;
    for (uint32_t i = 0; i < *io_open; i++) {
        uint32_t row = open[i];
        bool truth = false;
        if (!vec_is_null(cond, row)) {
            TRY(exec__truth(ctx, cond, row, &truth));
        }
        if (truth) {
            hit[hits++] = (uint16_t)row;
        } else {
            open[stay++] = (uint16_t)row;
        }
    }
    *io_open = stay;
    *ret_hits = hits;
    return ERR_OK;
}

db_err exec__eval_case(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                       struct vector **ret)
{
    struct vector *out;
    uint16_t *open = exec__scratch(ctx, s);
    uint16_t *hit = arena_alloc(ctx->eval.arena, CHUNK_ROWS * sizeof(uint16_t));
    if (open == NULL || hit == NULL) {
        return ERR_LIMIT;
    }
    TRY(exec__result(ctx, s, rows, &out));
    uint32_t n = rows->n;
    for (uint32_t i = 0; i < n; i++) {
        open[i] = (uint16_t)eval_row(rows, i);
    }
    uint32_t a = 0;
    for (; a + 1 < s->arg_count && n != 0; a += 2) {
        struct eval_rows some = {.in = rows->in, .sel = open, .n = n};
        struct vector *v;
        uint32_t hits;
        TRY(exec__eval(ctx, s->args[a], &some, &v));
        TRY(split(ctx, v, open, &n, hit, &hits));
        if (UNLIKELY(ctx->eval.cast->refused) && exec__case_stops(s, rows, a, hits != 0)) {
            return exec__stopped_result(ctx, s, rows, ret);
        }
        if (hits != 0) {
            some.sel = hit;
            some.n = hits;
            TRY(exec__eval(ctx, s->args[a + 1], &some, &v));
            exec__copy_rows(out, v, hit, hits);
        }
    }
    if (n != 0) {
        struct eval_rows rest = {.in = rows->in, .sel = open, .n = n};
        struct vector *v;
        TRY(exec__eval(ctx, s->args[s->arg_count - 1], &rest, &v));
        exec__copy_rows(out, v, open, n);
    }
    *ret = out;
    return ERR_OK;
}

db_err exec__eval_coalesce(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                           struct vector **ret)
{
    struct vector *out;
    uint16_t *open = exec__scratch(ctx, s);
    if (open == NULL) {
        return ERR_LIMIT;
    }
    TRY(exec__result(ctx, s, rows, &out));
    uint32_t n = rows->n;
    for (uint32_t i = 0; i < n; i++) {
        open[i] = (uint16_t)eval_row(rows, i);
    }
    size_t size = phys_size_table[out->phys];
    for (uint32_t a = 0; a < s->arg_count && n != 0; a++) {
        struct eval_rows some = {.in = rows->in, .sel = open, .n = n};
        struct vector *v;
        uint32_t stay = 0;
        TRY(exec__eval(ctx, s->args[a], &some, &v));
        if (UNLIKELY(ctx->eval.cast->refused) && rows->n == 1 && !type_is_temporal(&s->e->type)) {
            return exec__stopped_result(ctx, s, rows, ret); /* MYSQL: dates and times go on */
        }
        for (uint32_t i = 0; i < n; i++) {
            uint32_t row = open[i];
            if (vec_is_null(v, row)) {
                open[stay++] = (uint16_t)row;
                continue;
            }
            memcpy((uint8_t *)out->data + row * size,
                   (const uint8_t *)v->data + (row & v->index_mask) * size, size);
        }
        n = stay;
    }
    for (uint32_t i = 0; i < n; i++) {
        vec_set_null(out, open[i]);
    }
    *ret = out;
    return ERR_OK;
}
