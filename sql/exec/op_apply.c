/* Nested loops over a right side that depends on the left row: for each left row it is run again,
 * with the row's columns as outer columns.
 *
 * Of the right side one chunk is kept at a time: the left row is paired with it, and what is known
 * of the row (has it met a partner?) is taken to the next one. Only when the right side is at its
 * end is a row without a partner given, or left out. */
#include "base/fiber.h"
#include "sql/exec/join_run.h"

struct op_apply {
    struct op op;
    struct packed_format format;
    struct row_table right; /* the rows of the right side's chunk */
    struct vector **vectors;
    struct join_run run;
    struct arena left_arena, right_arena;
    struct chunk *left; /* the child's chunk */
    struct chunk one;   /* one row of it */
    uint32_t at;        /* next row */
    uint16_t one_sel[1];
    struct outer_frame frame;
    bool in_row;  /* the right side of `one` is being read */
    bool matched; /* it has met a partner */
    bool opened, right_opened, ended;
};

static struct row_node *first_row(void *arg, uint32_t i, uint32_t row)
{
    (void)i;
    (void)row;
    return ((struct op_apply *)arg)->right.first;
}

static struct row_node *next_row(void *arg, struct row_node *n, uint32_t i, uint32_t row)
{
    (void)arg;
    (void)i;
    (void)row;
    return n->newer;
}

static db_err apply_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_apply *s = (struct op_apply *)op;
    const struct plan_node *n = op->node;
    const struct plan_node *r = n->children[1];
    ASSERT(n->u.join.apply && n->u.join.kind != JOIN_FULL);
    arena_init(&s->left_arena, NULL, ctx->mem, 0);
    arena_init(&s->right_arena, NULL, ctx->mem, 0);
    TRY(packed_format_init(&s->format, r->types, r->column_count, ctx->arena));
    row_table_init(&s->right, &s->format, 0, ctx->mem, SIZE_MAX);
    s->opened = true;
    s->vectors = ARENA_ARRAY(ctx->arena, struct vector *, r->column_count + 1);
    s->frame.ids = n->u.join.outer_ids;
    s->frame.values = ARENA_ARRAY(ctx->arena, struct value, n->u.join.outer_count + 1);
    if (s->vectors == NULL || s->frame.values == NULL) {
        return ERR_LIMIT;
    }
    TRY(join_run_init(&s->run, ctx, n, r->types, r->column_count, &s->format, 0, NULL));
    s->run.cursor = (struct join_cursor){first_row, next_row, s};
    return op_open(op->children[0], ctx);
}

static db_err next_left(struct op_apply *s, struct exec_ctx *ctx, struct chunk **ret)
{
    arena_reset(&s->left_arena);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->left_arena);
    db_err err = op_child_next(&s->op, ctx, 0, ret);
    exec__leave_arena(ctx, saved);
    return err;
}

/* The next chunk of the right side into the table; *ret_end: there is none. */
static db_err read_right(struct op_apply *s, struct exec_ctx *ctx, bool *ret_end)
{
    struct chunk *in;
    row_table_clear(&s->right);
    arena_reset(&s->right_arena);
    TRY(op_child_next(&s->op, ctx, 1, &in));
    *ret_end = in == NULL;
    for (uint32_t i = 0; in != NULL && i < in->column_count; i++) {
        s->vectors[i] = &in->columns[i];
    }
    for (uint32_t i = 0; in != NULL && i < in->count; i++) {
        TRY(row_table_append(&s->right, 0, s->vectors, chunk_row(in, i)));
    }
    return ERR_OK;
}

static db_err start_right(struct op_apply *s, struct exec_ctx *ctx)
{
    if (s->right_opened) {
        return op_rescan(s->op.children[1], ctx);
    }
    s->right_opened = true;
    return op_open(s->op.children[1], ctx);
}

/* Of the left row's right side: its first chunk, or the next. */
static db_err run_right(struct op_apply *s, struct exec_ctx *ctx, bool *ret_end)
{
    s->frame.up = ctx->outer;
    ctx->outer = &s->frame;
    db_err err = s->in_row ? ERR_OK : start_right(s, ctx);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->right_arena);
    if (err == ERR_OK) {
        err = read_right(s, ctx, ret_end);
    }
    exec__leave_arena(ctx, saved);
    ctx->outer = s->frame.up;
    return err;
}

/* The next left row; at the end `ended` is set. */
static db_err take_row(struct op_apply *s, struct exec_ctx *ctx)
{
    const struct plan_node *n = s->op.node;
    if (s->left == NULL || s->at == s->left->count) {
        s->at = 0;
        TRY(next_left(s, ctx, &s->left));
        if (s->left == NULL) {
            s->ended = true;
            return ERR_OK;
        }
    }
    uint32_t row = chunk_row(s->left, s->at++);
    for (uint32_t i = 0; i < n->u.join.outer_count; i++) {
        vector_get(&s->left->columns[n->u.join.outer_slots[i]], row, &s->frame.values[i]);
    }
    s->frame.count = n->u.join.outer_count;
    s->one = *s->left;
    s->one_sel[0] = (uint16_t)row;
    s->one.sel = s->one_sel;
    s->one.count = 1;
    s->matched = false;
    return ERR_OK;
}

/* A left row with its right side's next chunk to the run, or without one, at the end. */
static db_err next_pairing(struct op_apply *s, struct exec_ctx *ctx)
{
    bool end = false;
    bool never = false;
    if (s->in_row) {
        s->matched = (s->run.matched[0] & 1) != 0;
    } else {
        TRY(take_row(s, ctx));
        if (s->ended) {
            return ERR_OK;
        }
        TRY(join_run_ask(&s->run, ctx, &never));
    }
    if (never || (s->matched && join_gives_left_only(s->run.kind))) {
        row_table_clear(&s->right);
        end = true; /* there is no partner, or more of them change nothing */
    } else {
        TRY(run_right(s, ctx, &end));
    }
    s->in_row = !end;
    s->run.partial = !end;
    join_run_left(&s->run, &s->one);
    s->run.matched[0] = s->matched;
    return ERR_OK;
}

static db_err apply_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_apply *s = (struct op_apply *)op;
    *ret = NULL;
    while (*ret == NULL && !s->ended) {
        if (join_run_idle(&s->run)) {
            TRY(next_pairing(s, ctx));
        }
        TRY(join_run_next(&s->run, ctx, ret));
    }
    return ERR_OK;
}

static db_err apply_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_apply *s = (struct op_apply *)op;
    s->ended = s->in_row = false;
    s->left = NULL;
    s->run.left = NULL;
    s->run.n = 0;
    return op_rescan(op->children[0], ctx);
}

static void apply_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_apply *s = (struct op_apply *)op;
    join_run_fini(&s->run);
    if (s->opened) {
        row_table_fini(&s->right);
        arena_fini(&s->left_arena);
        arena_fini(&s->right_arena);
        s->opened = false;
    }
}

static const struct op_ops g_apply = {"apply", apply_open, apply_next, apply_rescan, apply_close};
const struct op_kind op_apply_kind = {sizeof(struct op_apply), &g_apply};
