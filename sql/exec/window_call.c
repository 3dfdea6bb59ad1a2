/* The functions of a window.
 *
 * An aggregate over a frame whose first row stays takes each row once. When the first row moves, an
 * exact aggregate is kept as two parts: for a block of rows at the beginning of the frame the
 * states of all its ends ("rows j.. of the block"), and one state for the rows behind the block; a
 * result is the merge of two states, and each row enters a block once. Aggregates in floating point
 * would differ from left to right sums by their rounding: they are computed anew for each frame. */
#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/window_run.h"

enum { BLOCK_ROWS_MIN = 64, BLOCK_ROWS_MAX = 4096, BLOCK_SHARE = 4, STRING_GUESS = 64 };
enum { BATCH = 256 };

struct window_agg {
    size_t state_size;
    bool exact;
    void *back; /* rows [back_first, back_last) */
    void *merged;
    uint64_t back_first, back_last;
    uint8_t *ends; /* states of rows i..block_last for i in the block */
    uint64_t block_first, block_last;
    uint64_t block_rows; /* as many as memory allows */
    struct arena back_arena, block_arena, merge_arena;
    struct vector *vectors;
    struct vector **args;
    bool opened;
};

static db_err open_agg(struct window_run *r, struct exec_ctx *ctx, struct window_call *c)
{
    const struct agg_call *call = c->plan->call;
    struct window_agg *a = ARENA_NEW(ctx->arena, struct window_agg);
    if (a == NULL) {
        return ERR_LIMIT;
    }
    c->agg = a;
    a->state_size = (call->def->state_size + 15) & ~(size_t)15;
    /* A state that holds all its rows is as long as the result: nothing is gained by states that
     * hold parts of them, and those of a block would be as long as its square. */
    a->exact = call->def->merge != NULL && type_phys(&call->type) != PHYS_DOUBLE &&
               call->type.id != TYPE_JSON;
    size_t room = spill_budget(ctx) / BLOCK_SHARE / (a->state_size + STRING_GUESS);
    a->block_rows = room < BLOCK_ROWS_MIN   ? BLOCK_ROWS_MIN
                    : room > BLOCK_ROWS_MAX ? BLOCK_ROWS_MAX
                                            : room;
    arena_init(&a->back_arena, NULL, ctx->mem, 0);
    arena_init(&a->block_arena, NULL, ctx->mem, 0);
    arena_init(&a->merge_arena, NULL, ctx->mem, 0);
    a->opened = true;
    a->back = arena_calloc(ctx->arena, 1, a->state_size + 16);
    a->merged = arena_calloc(ctx->arena, 1, a->state_size + 16);
    a->vectors = ARENA_ARRAY(ctx->arena, struct vector, c->plan->arg_count + 1);
    a->args = ARENA_ARRAY(ctx->arena, struct vector *, c->plan->arg_count + 1);
    if (a->back == NULL || a->merged == NULL || a->vectors == NULL || a->args == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < c->plan->arg_count; i++) {
        TRY(vector_init_rows(&a->vectors[i], r->format.columns[c->columns[i]].type, BATCH,
                             ctx->arena));
        a->args[i] = &a->vectors[i];
    }
    return ERR_OK;
}

static const char *func_name(enum window_func f)
{
    switch ((int)f) {
    case WINDOW_NTILE: return "ntile";
    case WINDOW_LEAD: return "lead";
    case WINDOW_LAG: return "lag";
    default: return "nth_value";
    }
}

db_err window_call_open(struct window_run *r, struct exec_ctx *ctx, struct window_call *c)
{
    enum window_func f = c->plan->func;
    if (f == WINDOW_AGG) {
        return open_agg(r, ctx, c);
    }
    c->number = 1;
    if (c->plan->number == NULL) {
        return ERR_OK;
    }
    struct value v;
    TRY(expr_eval_scalar(ctx, c->plan->number, &v));
    int64_t least = f == WINDOW_LEAD || f == WINDOW_LAG ? 0 : 1;
    if (v.is_null || (!v.is_unsigned && v.i < least) || v.u == 0) {
        if (v.is_null || least != 0 || v.i < 0) {
            return my_error(ctx->diag, ER_WRONG_ARGUMENTS, func_name(f));
        }
    }
    c->number = v.u > INT64_MAX ? INT64_MAX : (int64_t)v.u;
    return ERR_OK;
}

void window_call_begin(struct window_run *r, struct window_call *c)
{
    struct window_agg *a = c->agg;
    if (a != NULL) {
        memset(a->back, 0, a->state_size);
        arena_reset(&a->back_arena);
        a->back_first = a->back_last = r->first;
        a->block_first = a->block_last = r->first;
    }
}

void window_call_close(struct window_call *c)
{
    if (c->agg != NULL && c->agg->opened) {
        arena_fini(&c->agg->back_arena);
        arena_fini(&c->agg->block_arena);
        arena_fini(&c->agg->merge_arena);
        c->agg->opened = false;
    }
}

/* ---- values of other rows ---- */

static db_err value_of(struct window_run *r, struct exec_ctx *ctx, uint64_t row, uint32_t column,
                       struct vector *out, uint32_t at)
{
    const struct packed_row *p;
    TRY(row_store_get(&r->store, ctx, row, &p));
    packed_read(&r->format, &p, 1, column, out, at);
    return row_store_keep_strings(&r->store, ctx, out, at, 1);
}

static db_err lead_or_lag(struct window_run *r, struct exec_ctx *ctx, const struct window_call *c,
                          struct vector *out, uint32_t at)
{
    uint64_t n = (uint64_t)c->number;
    bool lead = c->plan->func == WINDOW_LEAD;
    bool there = lead ? r->last - r->row > n : r->row - r->first >= n;
    if (there) {
        return value_of(r, ctx, lead ? r->row + n : r->row - n, c->columns[0], out, at);
    }
    if (c->plan->arg_count == 2) {
        return value_of(r, ctx, r->row, c->columns[1], out, at);
    }
    vec_set_null(out, at);
    return ERR_OK;
}

/* `skip` rows behind the frame's first. */
static db_err of_frame(struct window_run *r, struct exec_ctx *ctx, const struct window_call *c,
                       uint64_t skip, struct vector *out, uint32_t at)
{
    if (r->frame_last - r->frame_first <= skip) {
        vec_set_null(out, at);
        return ERR_OK;
    }
    return value_of(r, ctx, r->frame_first + skip, c->columns[0], out, at);
}

/* The first parts of an uneven division have a row more. */
static uint64_t ntile(const struct window_run *r, uint64_t parts)
{
    uint64_t n = r->last - r->first;
    uint64_t row = r->row - r->first;
    uint64_t size = n / parts;
    uint64_t longer = n % parts * (size + 1);
    return row < longer ? row / (size + 1) + 1 : n % parts + (row - longer) / size + 1;
}

/* ---- aggregates ---- */

/* Rows [from, to) into the state. */
static db_err add_rows(struct window_run *r, struct exec_ctx *ctx, const struct window_call *c,
                       struct arena *arena, uint64_t from, uint64_t to, void *state)
{
    const struct packed_row *rows[BATCH];
    void *states[BATCH];
    struct window_agg *a = c->agg;
    for (uint32_t i = 0; i < BATCH && i < to - from; i++) {
        states[i] = state;
    }
    while (from < to) {
        uint32_t n = to - from < BATCH ? (uint32_t)(to - from) : BATCH;
        if (c->plan->arg_count != 0) { /* COUNT(*) needs none of them */
            TRY(row_store_get_rows(&r->store, ctx, from, n, rows, &n));
        }
        for (uint32_t i = 0; i < c->plan->arg_count; i++) {
            vector_reset(&a->vectors[i]);
            packed_read(&r->format, rows, n, c->columns[i], &a->vectors[i], 0);
        }
        TRY(c->plan->call->def->update(&ctx->eval, c->plan->call, arena, a->args, NULL, n, states));
        from += n;
    }
    return ERR_OK;
}

static db_err merge(struct exec_ctx *ctx, const struct window_call *c, struct arena *arena,
                    void *into, const void *from)
{
    return c->plan->call->def->merge(&ctx->eval, c->plan->call, arena, into, from);
}

/* A new block at the beginning of the frame; what is behind it is added anew. */
static db_err start_block(struct window_run *r, struct exec_ctx *ctx, const struct window_call *c)
{
    struct window_agg *a = c->agg;
    uint64_t n = r->frame_last - r->frame_first;
    n = n > a->block_rows ? a->block_rows : n;
    arena_reset(&a->block_arena);
    a->block_first = r->frame_first;
    a->block_last = a->block_first + n;
    a->ends = arena_calloc(&a->block_arena, n + 1, a->state_size);
    if (a->ends == NULL) {
        return ERR_LIMIT;
    }
    for (uint64_t i = n; i-- > 0;) {
        void *state = a->ends + i * a->state_size;
        TRY(add_rows(r, ctx, c, &a->block_arena, a->block_first + i, a->block_first + i + 1,
                     state));
        if (i + 1 < n) {
            TRY(merge(ctx, c, &a->block_arena, state, a->ends + (i + 1) * a->state_size));
        }
    }
    memset(a->back, 0, a->state_size);
    arena_reset(&a->back_arena);
    a->back_first = a->back_last = a->block_last;
    return fiber_checkpoint();
}

static db_err sliding(struct window_run *r, struct exec_ctx *ctx, const struct window_call *c,
                      const void **ret)
{
    struct window_agg *a = c->agg;
    if (r->frame_first >= a->block_last) {
        TRY(start_block(r, ctx, c));
    }
    if (r->frame_last > a->back_last) {
        TRY(add_rows(r, ctx, c, &a->back_arena, a->back_last, r->frame_last, a->back));
        a->back_last = r->frame_last;
    }
    memset(a->merged, 0, a->state_size);
    arena_reset(&a->merge_arena);
    if (r->frame_first < a->block_last) {
        TRY(merge(ctx, c, &a->merge_arena, a->merged,
                  a->ends + (r->frame_first - a->block_first) * a->state_size));
    }
    if (a->back_last > a->back_first) {
        TRY(merge(ctx, c, &a->merge_arena, a->merged, a->back));
    }
    *ret = a->merged;
    return ERR_OK;
}

static db_err aggregate(struct window_run *r, struct exec_ctx *ctx, const struct window_call *c,
                        struct vector *out, uint32_t at)
{
    struct window_agg *a = c->agg;
    const void *state = a->back;
    bool moves = r->frame_first != a->back_first || a->block_first != a->block_last;
    if (r->frame_first == r->frame_last) {
        memset(a->merged, 0, a->state_size); /* no rows */
        state = a->merged;
    } else if (moves && a->exact) {
        TRY(sliding(r, ctx, c, &state));
    } else {
        if (moves || a->back_last > r->frame_last) {
            memset(a->back, 0, a->state_size);
            arena_reset(&a->back_arena);
            a->back_first = a->back_last = r->frame_first;
        }
        TRY(add_rows(r, ctx, c, &a->back_arena, a->back_last, r->frame_last, a->back));
        a->back_last = r->frame_last;
    }
    TRY(c->plan->call->def->result(&ctx->eval, c->plan->call, state, out, at));
    return ERR_OK;
}

db_err window_call_result(struct window_run *r, struct exec_ctx *ctx, struct window_call *c,
                          struct vector *out, uint32_t at)
{
    uint64_t n = r->last - r->first;
    uint64_t rank = r->peer_first - r->first;
    switch (c->plan->func) {
    case WINDOW_AGG: return aggregate(r, ctx, c, out, at);
    case WINDOW_ROW_NUMBER: vec_set_i64(out, at, (int64_t)(r->row - r->first + 1)); break;
    case WINDOW_RANK: vec_set_i64(out, at, (int64_t)(rank + 1)); break;
    case WINDOW_DENSE_RANK: vec_set_i64(out, at, (int64_t)r->peer_number); break;
    case WINDOW_PERCENT_RANK:
        vec_set_double(out, at, n == 1 ? 0 : (double)rank / (double)(n - 1));
        break;
    case WINDOW_CUME_DIST:
        vec_set_double(out, at, (double)(r->peer_last - r->first) / (double)n);
        break;
    case WINDOW_NTILE: vec_set_i64(out, at, (int64_t)ntile(r, (uint64_t)c->number)); break;
    case WINDOW_LEAD:
    case WINDOW_LAG: return lead_or_lag(r, ctx, c, out, at);
    case WINDOW_FIRST_VALUE: return of_frame(r, ctx, c, 0, out, at);
    case WINDOW_LAST_VALUE:
        return of_frame(r, ctx, c,
                        r->frame_last == r->frame_first ? 0 : r->frame_last - r->frame_first - 1,
                        out, at);
    case WINDOW_NTH_VALUE: return of_frame(r, ctx, c, (uint64_t)c->number - 1, out, at);
    }
    return ERR_OK;
}
