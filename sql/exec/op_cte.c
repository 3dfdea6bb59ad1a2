/* A reference to a common table expression: the first one that is read runs the expression and
 * keeps its rows for the statement; all read from there, each with a position of its own. */
#include "sql/exec/cte_state.h"

struct cte_state *exec__cte_state(struct exec_ctx *ctx, uint32_t cte)
{
    if (ctx->ctes == NULL) {
        ctx->ctes = ARENA_ARRAY(ctx->arena, struct cte_state *, ctx->plan->cte_count + 1);
    }
    if (ctx->ctes != NULL && ctx->ctes[cte] == NULL) {
        ctx->ctes[cte] = ARENA_NEW(ctx->arena, struct cte_state);
    }
    return ctx->ctes == NULL ? NULL : ctx->ctes[cte];
}

void exec__ctes_close(struct exec_ctx *ctx)
{
    for (uint32_t i = 0; ctx->ctes != NULL && i < ctx->plan->cte_count; i++) {
        struct cte_state *st = ctx->ctes[i];
        if (st != NULL) {
            op_close(st->root, ctx);
            row_store_fini(&st->store);
        }
    }
    ctx->ctes = NULL;
}

/* ---- filling ---- */

static db_err take_rows(struct exec_ctx *ctx, struct cte_state *st, struct arena *arena)
{
    uint32_t width = st->format.column_count;
    struct vector **vectors = ARENA_ARRAY(ctx->arena, struct vector *, width + 1);
    if (vectors == NULL) {
        return ERR_LIMIT;
    }
    for (;;) {
        struct chunk *in;
        arena_reset(arena);
        TRY(op_next(st->root, ctx, &in));
        if (in == NULL) {
            return ERR_OK;
        }
        for (uint32_t i = 0; i < width; i++) {
            vectors[i] = &in->columns[i];
        }
        for (uint32_t i = 0; i < in->count; i++) {
            TRY(row_store_put(&st->store, ctx, vectors, chunk_row(in, i)));
        }
    }
}

static db_err fill(struct exec_ctx *ctx, struct cte_state *st, const struct plan_node *plan)
{
    struct arena arena;
    TRY(packed_format_init(&st->format, plan->types, plan->column_count, ctx->arena));
    row_store_init(&st->store, ctx, &st->format);
    TRY(exec_build(ctx, plan, &st->root));
    arena_init(&arena, NULL, ctx->mem, 0);
    struct saved_arenas saved = exec__enter_arena(ctx, &arena);
    db_err err = op_open(st->root, ctx);
    if (err == ERR_OK) {
        err = take_rows(ctx, st, &arena);
    }
    op_close(st->root, ctx);
    st->root = NULL;
    exec__leave_arena(ctx, saved);
    arena_fini(&arena);
    st->filled = err == ERR_OK;
    return err;
}

/* ---- the operator ---- */

struct op_cte_ref {
    struct op op;
    struct cte_state *state;
    struct chunk chunk;
    uint64_t at;
};

static db_err cte_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_cte_ref *s = (struct op_cte_ref *)op;
    s->state = exec__cte_state(ctx, op->node->u.cte_ref.cte);
    if (s->state == NULL) {
        return ERR_LIMIT;
    }
    return chunk_init(&s->chunk, op->node->types, op->node->column_count, ctx->arena);
}

static db_err cte_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_cte_ref *s = (struct op_cte_ref *)op;
    struct row_store *store = &s->state->store;
    *ret = NULL;
    if (op->node->u.cte_ref.working) {
        store = s->state->working;
        ASSERT(store != NULL);
    } else if (!s->state->filled) {
        TRY(fill(ctx, s->state, ctx->plan->ctes[op->node->u.cte_ref.cte]));
    }
    uint64_t left = store->count - s->at;
    if (left == 0) {
        return ERR_OK;
    }
    uint32_t n = left < CHUNK_ROWS ? (uint32_t)left : CHUNK_ROWS;
    chunk_reset(&s->chunk);
    TRY(row_store_read(store, ctx, s->at, n, s->chunk.columns, s->chunk.column_count, 0));
    s->chunk.count = n;
    s->at += n;
    *ret = &s->chunk;
    return ERR_OK;
}

static db_err cte_rescan(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    ((struct op_cte_ref *)op)->at = 0;
    return ERR_OK;
}

static void cte_close(struct op *op, struct exec_ctx *ctx)
{
    (void)op;
    (void)ctx;
}

static const struct op_ops g_cte_ref = {"common table expression", cte_open, cte_next, cte_rescan,
                                        cte_close};
const struct op_kind op_cte_ref_kind = {sizeof(struct op_cte_ref), &g_cte_ref};
