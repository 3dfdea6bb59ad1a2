/* Aggregation of the whole input into one row, or of an input that comes sorted by its groups: one
 * group is open at a time. Without GROUP BY there is always exactly one row. */
#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/agg_run.h"
#include "sql/exec/exec_int.h"

struct op_stream_agg {
    struct op op;
    struct expr_state **group_states;
    struct vector **groups; /* of the current chunk */
    struct packed_format format;
    struct packed_row *key; /* of the open group, in `keys` */
    struct arena keys;
    struct agg_run run;
    void *state; /* of the open group; NULL: none */
    struct arena input;
    struct chunk *in; /* what is left of it: from `at` */
    uint32_t at;
    struct chunk chunk;
    uint32_t room;
    uint16_t *sel;
    void **states;
    bool opened, ended;
};

static db_err stream_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_stream_agg *s = (struct op_stream_agg *)op;
    const struct plan_node *n = op->node;
    uint32_t groups = n->u.agg.group_count;
    arena_init(&s->input, NULL, ctx->mem, 0);
    arena_init(&s->keys, NULL, ctx->mem, 0);
    s->opened = true;
    s->room = groups == 0 ? 1 : CHUNK_ROWS;
    s->groups = ARENA_ARRAY(ctx->arena, struct vector *, groups + 1);
    s->sel = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->sel));
    s->states = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->states));
    if (s->groups == NULL || s->sel == NULL || s->states == NULL) {
        return ERR_LIMIT;
    }
    TRY(packed_format_init(&s->format, n->types, groups, ctx->arena));
    TRY(exec__prepare_list(ctx, n->u.agg.groups, groups, &s->group_states));
    TRY(chunk_init_rows(&s->chunk, n->types, n->column_count, s->room, ctx->arena));
    TRY(agg_run_open(&s->run, ctx, n));
    return op_open(op->children[0], ctx);
}

static db_err take_chunk(struct op_stream_agg *s, struct exec_ctx *ctx)
{
    s->in = NULL;
    s->at = 0;
    arena_reset(&s->input);
    TRY(op_child_next(&s->op, ctx, 0, &s->in));
    if (s->in == NULL) {
        s->ended = true;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < s->op.node->u.agg.group_count; i++) {
        TRY(expr_eval(ctx, s->group_states[i], s->in, &s->groups[i]));
    }
    return agg_run_eval(&s->run, ctx, s->in);
}

static db_err begin_group(struct op_stream_agg *s, uint32_t row)
{
    s->state = agg_run_new_state(&s->run);
    if (s->state == NULL) {
        return ERR_LIMIT;
    }
    if (s->op.node->u.agg.group_count != 0) {
        size_t size = packed_size(&s->format, s->groups, row);
        s->key = arena_alloc(&s->keys, size);
        if (s->key == NULL) {
            return ERR_LIMIT;
        }
        packed_write(&s->format, s->groups, row, size, s->key);
    }
    return ERR_OK;
}

/* Rows of the chunk that belong to the open group, from `at`; moves `at` behind them. */
static db_err take_rows(struct op_stream_agg *s, struct exec_ctx *ctx)
{
    uint32_t groups = s->op.node->u.agg.group_count;
    uint32_t n = 0;
    for (; s->at < s->in->count; s->at++) {
        uint32_t row = chunk_row(s->in, s->at);
        if (groups != 0 && !packed_equal_vectors(&s->format, groups, s->groups, row, s->key)) {
            break;
        }
        s->sel[n] = (uint16_t)row;
        s->states[n++] = s->state;
    }
    return agg_run_update(&s->run, ctx, s->sel, n, s->states);
}

static db_err end_group(struct op_stream_agg *s, struct exec_ctx *ctx, struct arena *results)
{
    uint32_t groups = s->op.node->u.agg.group_count;
    const struct packed_row *key = s->key;
    TRY(agg_run_finish(&s->run, ctx));
    for (uint32_t c = 0; c < s->chunk.column_count; c++) {
        s->chunk.columns[c].arena = results;
    }
    for (uint32_t c = 0; c < groups; c++) {
        packed_read(&s->format, &key, 1, c, &s->chunk.columns[c], s->chunk.count);
    }
    TRY(agg_run_result(&s->run, ctx, s->state, s->chunk.columns + groups, s->chunk.count));
    s->chunk.count++;
    s->state = NULL;
    return agg_run_restart(&s->run, ctx);
}

static db_err fill(struct op_stream_agg *s, struct exec_ctx *ctx, struct arena *results)
{
    while (s->chunk.count < s->room) {
        if (!s->ended && (s->in == NULL || s->at == s->in->count)) {
            TRY(take_chunk(s, ctx));
        }
        if (s->ended) {
            return s->state == NULL ? ERR_OK : end_group(s, ctx, results);
        }
        if (s->state == NULL) {
            TRY(begin_group(s, chunk_row(s->in, s->at)));
        }
        TRY(take_rows(s, ctx));
        if (s->at < s->in->count) {
            TRY(end_group(s, ctx, results));
        }
    }
    return ERR_OK;
}

static db_err stream_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_stream_agg *s = (struct op_stream_agg *)op;
    *ret = NULL;
    if (s->ended) {
        return ERR_OK;
    }
    chunk_reset(&s->chunk);
    if (s->state == NULL) { /* between groups: states and keys given out before are not needed */
        arena_reset(&s->keys);
        TRY(agg_run_reset(&s->run, ctx));
    }
    if (op->node->u.agg.group_count == 0) {
        TRY(begin_group(s, 0));
    }
    struct saved_arenas saved = exec__enter_arena(ctx, &s->input);
    db_err err = fill(s, ctx, saved.eval);
    exec__leave_arena(ctx, saved);
    TRY(err);
    *ret = s->chunk.count == 0 ? NULL : &s->chunk;
    return ERR_OK;
}

static db_err stream_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_stream_agg *s = (struct op_stream_agg *)op;
    s->ended = false;
    s->state = NULL;
    s->in = NULL;
    return op_rescan(op->children[0], ctx);
}

static void stream_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_stream_agg *s = (struct op_stream_agg *)op;
    agg_run_close(&s->run);
    if (s->opened) {
        arena_fini(&s->input);
        arena_fini(&s->keys);
        s->opened = false;
    }
}

static const struct op_ops g_stream_agg = {"stream aggregation", stream_open, stream_next,
                                           stream_rescan, stream_close};
const struct op_kind op_stream_agg_kind = {sizeof(struct op_stream_agg), &g_stream_agg};
