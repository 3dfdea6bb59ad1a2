/* Nested loops: every left row with every right row, then the conditions.
 *
 * The right side is read once and kept; with APPLY it depends on the left row and is run again for
 * each, with the row's columns as outer columns. */
#include "base/fiber.h"
#include "sql/exec/join_run.h"

struct op_nl_join {
    struct op op;
    struct packed_format format;
    struct row_table right;
    struct vector **vectors;
    struct join_run run;
    struct arena left_arena, right_arena;
    struct chunk *left; /* APPLY: the child's chunk */
    struct chunk one;   /* APPLY: one row of it */
    uint32_t at;        /* APPLY: next row */
    uint16_t one_sel[1];
    struct outer_frame frame;
    struct row_node *rest; /* FULL */
    bool opened, built, right_opened, ended;
};

static struct row_node *first_row(void *arg, uint32_t i, uint32_t row)
{
    (void)i;
    (void)row;
    return ((struct op_nl_join *)arg)->right.first;
}

static struct row_node *next_row(void *arg, struct row_node *n, uint32_t i, uint32_t row)
{
    (void)arg;
    (void)i;
    (void)row;
    return n->newer;
}

static db_err nl_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_nl_join *s = (struct op_nl_join *)op;
    const struct plan_node *n = op->node;
    const struct plan_node *r = n->children[1];
    ASSERT(!n->u.join.apply || n->u.join.kind != JOIN_FULL);
    arena_init(&s->left_arena, NULL, ctx->mem, 0);
    arena_init(&s->right_arena, NULL, ctx->mem, 0);
    TRY(packed_format_init(&s->format, r->types, r->column_count, ctx->arena));
    row_table_init(&s->right, &s->format, 0, ctx->mem, SIZE_MAX);
    s->opened = true;
    s->vectors = ARENA_ARRAY(ctx->arena, struct vector *, r->column_count + 1);
    if (s->vectors == NULL) {
        return ERR_LIMIT;
    }
    TRY(join_run_init(&s->run, ctx, n, r->types, r->column_count, &s->format, 0, NULL));
    s->run.cursor = (struct join_cursor){first_row, next_row, s};
    if (n->u.join.apply) {
        s->frame.ids = n->u.join.outer_ids;
        s->frame.values = ARENA_ARRAY(ctx->arena, struct value, n->u.join.outer_count + 1);
        if (s->frame.values == NULL) {
            return ERR_LIMIT;
        }
        return op_open(op->children[0], ctx);
    }
    TRY(op_open(op->children[0], ctx));
    return op_open(op->children[1], ctx);
}

static db_err read_right(struct op_nl_join *s, struct exec_ctx *ctx)
{
    struct chunk *in;
    for (;;) {
        arena_reset(&s->right_arena);
        TRY(op_child_next(&s->op, ctx, 1, &in));
        if (in == NULL) {
            return ERR_OK;
        }
        for (uint32_t i = 0; i < in->column_count; i++) {
            s->vectors[i] = &in->columns[i];
        }
        for (uint32_t i = 0; i < in->count; i++) {
            TRY(row_table_append(&s->right, 0, s->vectors, chunk_row(in, i)));
        }
    }
}

static db_err build(struct op_nl_join *s, struct exec_ctx *ctx)
{
    row_table_clear(&s->right);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->right_arena);
    db_err err = read_right(s, ctx);
    exec__leave_arena(ctx, saved);
    s->built = err == ERR_OK;
    s->rest = s->right.first;
    return err;
}

static db_err next_left(struct op_nl_join *s, struct exec_ctx *ctx, struct chunk **ret)
{
    arena_reset(&s->left_arena);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->left_arena);
    db_err err = op_child_next(&s->op, ctx, 0, ret);
    exec__leave_arena(ctx, saved);
    return err;
}

/* ---- APPLY ---- */

/* The right side for one left row. */
static db_err run_right(struct op_nl_join *s, struct exec_ctx *ctx, uint32_t row)
{
    const struct plan_node *n = s->op.node;
    for (uint32_t i = 0; i < n->u.join.outer_count; i++) {
        vector_get(&s->left->columns[n->u.join.outer_slots[i]], row, &s->frame.values[i]);
    }
    s->frame.count = n->u.join.outer_count;
    s->frame.up = ctx->outer;
    ctx->outer = &s->frame;
    db_err err;
    if (s->right_opened) {
        err = op_rescan(s->op.children[1], ctx);
    } else {
        s->right_opened = true;
        err = op_open(s->op.children[1], ctx);
    }
    if (err == ERR_OK) {
        err = build(s, ctx);
    }
    ctx->outer = s->frame.up;
    return err;
}

static db_err next_applied(struct op_nl_join *s, struct exec_ctx *ctx)
{
    if (s->left == NULL || s->at == s->left->count) {
        s->at = 0;
        TRY(next_left(s, ctx, &s->left));
        if (s->left == NULL) {
            s->ended = true;
            return ERR_OK;
        }
    }
    uint32_t row = chunk_row(s->left, s->at++);
    TRY(run_right(s, ctx, row));
    s->one = *s->left;
    s->one_sel[0] = (uint16_t)row;
    s->one.sel = s->one_sel;
    s->one.count = 1;
    join_run_left(&s->run, &s->one);
    return ERR_OK;
}

static db_err next_chunk(struct op_nl_join *s, struct exec_ctx *ctx)
{
    struct chunk *left;
    if (!s->built) {
        TRY(build(s, ctx));
    }
    TRY(next_left(s, ctx, &left));
    s->ended = left == NULL;
    if (left != NULL) {
        join_run_left(&s->run, left);
    }
    return ERR_OK;
}

static db_err nl_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_nl_join *s = (struct op_nl_join *)op;
    *ret = NULL;
    while (*ret == NULL && !s->ended) {
        if (join_run_idle(&s->run)) {
            TRY(op->node->u.join.apply ? next_applied(s, ctx) : next_chunk(s, ctx));
        }
        TRY(join_run_next(&s->run, ctx, ret));
    }
    while (*ret == NULL && op->node->u.join.kind == JOIN_FULL && s->rest != NULL) {
        TRY(join_run_rest(&s->run, &s->rest, ret));
    }
    return ERR_OK;
}

static db_err nl_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_nl_join *s = (struct op_nl_join *)op;
    s->ended = s->built = false;
    s->left = NULL;
    s->run.left = NULL;
    TRY(op_rescan(op->children[0], ctx));
    return op->node->u.join.apply ? ERR_OK : op_rescan(op->children[1], ctx);
}

static void nl_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_nl_join *s = (struct op_nl_join *)op;
    join_run_fini(&s->run);
    if (s->opened) {
        row_table_fini(&s->right);
        arena_fini(&s->left_arena);
        arena_fini(&s->right_arena);
        s->opened = false;
    }
}

static const struct op_ops g_nl_join = {"nested loop join", nl_open, nl_next, nl_rescan, nl_close};
const struct op_kind op_nl_join_kind = {sizeof(struct op_nl_join), &g_nl_join};
