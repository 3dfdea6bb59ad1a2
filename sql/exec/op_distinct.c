/* DISTINCT: the first of each kind, in the order of the input. */
#include "sql/exec/dedup.h"
#include "sql/exec/exec_int.h"

struct op_distinct {
    struct op op;
    struct dedup dedup;
    struct arena input; /* the child's chunk */
    bool opened, ended;
};

static db_err distinct_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_distinct *s = (struct op_distinct *)op;
    arena_init(&s->input, NULL, ctx->mem, 0);
    s->opened = true;
    TRY(dedup_init(&s->dedup, ctx, op->node->types, op->node->column_count,
                   op->node->u.distinct.keys));
    return op_open(op->children[0], ctx);
}

static db_err distinct_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_distinct *s = (struct op_distinct *)op;
    struct chunk *in;
    *ret = NULL;
    while (!s->ended) {
        arena_reset(&s->input);
        struct saved_arenas saved = exec__enter_arena(ctx, &s->input);
        db_err err = op_child_next(op, ctx, 0, &in);
        exec__leave_arena(ctx, saved);
        TRY(err);
        if (in == NULL) {
            s->ended = true;
            TRY(dedup_end(&s->dedup, ctx));
            break;
        }
        TRY(dedup_take(&s->dedup, ctx, in, ret));
        if (*ret != NULL) {
            return ERR_OK;
        }
    }
    return dedup_rest(&s->dedup, ctx, ret);
}

static db_err distinct_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_distinct *s = (struct op_distinct *)op;
    dedup_clear(&s->dedup);
    s->ended = false;
    return op_rescan(op->children[0], ctx);
}

static void distinct_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_distinct *s = (struct op_distinct *)op;
    dedup_fini(&s->dedup);
    if (s->opened) {
        arena_fini(&s->input);
        s->opened = false;
    }
}

static const struct op_ops g_distinct = {"distinct", distinct_open, distinct_next, distinct_rescan,
                                         distinct_close};
const struct op_kind op_distinct_kind = {sizeof(struct op_distinct), &g_distinct};
