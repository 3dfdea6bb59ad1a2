/* UNION: the rows of one child after the other, without duplicates if asked.
 *
 * Of a chain of thousands only the child being read is open; with a LIMIT the others cost nothing.
 * Where all is run again they stay as they are, for the next time. */
#include "sql/exec/dedup.h"
#include "sql/exec/exec_int.h"

struct op_union {
    struct op op;
    struct arena input; /* of the child's chunk */
    struct dedup dedup; /* DISTINCT */
    uint32_t child;     /* being read */
    bool started;       /* the child being read */
    bool reruns;        /* it was run again: children stay open */
    bool opened;
};

static db_err union_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_union *s = (struct op_union *)op;
    const struct plan_node *n = op->node;
    arena_init(&s->input, NULL, ctx->mem, 0);
    s->opened = true;
    s->child = 0;
    s->started = s->reruns = false;
    return n->u.setop.distinct
               ? dedup_init(&s->dedup, ctx, n->types, n->column_count, n->column_count)
               : ERR_OK;
}

/* The next chunk of the child being read; its columns have the result's types by now. */
static db_err take(struct op_union *s, struct exec_ctx *ctx, struct chunk **ret)
{
    if (!s->started) {
        TRY(exec__start_child(&s->op, ctx, s->child));
        s->started = true;
    }
    arena_reset(&s->input);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->input);
    db_err err = op_child_next(&s->op, ctx, s->child, ret);
    exec__leave_arena(ctx, saved);
    return err;
}

static void end_child(struct op_union *s, struct exec_ctx *ctx)
{
    if (!s->reruns) {
        exec__end_child(&s->op, ctx, s->child);
    }
    s->child++;
    s->started = false;
}

static db_err union_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_union *s = (struct op_union *)op;
    const struct plan_node *n = op->node;
    bool distinct = n->u.setop.distinct;
    *ret = NULL;
    while (s->child < n->child_count) {
        struct chunk *in;
        TRY(take(s, ctx, &in));
        if (in == NULL) {
            end_child(s, ctx);
            if (s->child == n->child_count && distinct) {
                TRY(dedup_end(&s->dedup, ctx));
            }
            continue;
        }
        if (!distinct) {
            *ret = in;
            return ERR_OK;
        }
        TRY(dedup_take(&s->dedup, ctx, in, ret));
        if (*ret != NULL) {
            return ERR_OK;
        }
    }
    return distinct ? dedup_rest(&s->dedup, ctx, ret) : ERR_OK;
}

static db_err union_rescan(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_union *s = (struct op_union *)op;
    if (s->dedup.initialised) {
        dedup_clear(&s->dedup);
    }
    s->child = 0;
    s->started = false;
    s->reruns = true;
    return ERR_OK;
}

static void union_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_union *s = (struct op_union *)op;
    dedup_fini(&s->dedup);
    if (s->opened) {
        arena_fini(&s->input);
        s->opened = false;
    }
}

static const struct op_ops g_union = {"union", union_open, union_next, union_rescan, union_close};
const struct op_kind op_union_kind = {sizeof(struct op_union), &g_union};
