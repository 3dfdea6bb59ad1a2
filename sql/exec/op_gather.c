/* Running a part of the plan where its rows lie.
 *
 * GATHER decides when it is opened: if the storage says that rows of the scan lie elsewhere (and
 * pushdown is on, and the scan is large enough to be worth a message), the tree `above` is run over
 * what the pieces give; otherwise, and whenever it is run again, the plan as if there were no
 * fragments.
 *
 * FRAGMENT gives the rows of the pieces in key order, so that the result is that of one scan. A
 * piece is a page that another node has made, or a span that is left to be run here with the very
 * operators of the fragment: because it lies here, or because the other node met something that
 * the user must hear of (a warning, an error), which only the statement itself can say. */
#include "base/fiber.h"
#include "sql/codec/chunk_codec.h"
#include "sql/exec/keys.h"

/* Below that a scan is not worth it: a page costs more than the rows. */
enum { AUTO_ROWS_MIN = 64 };

/* ---- the leaf ---- */

struct op_fragment {
    struct op op;
    const struct plan_fragment *plan;
    struct storage_scan *scan; /* the gather's; NULL: over */
    struct op *here;           /* the fragment's own operators, made when first needed */
    bool here_open, here_runs;
    struct slice page; /* what is left of it */
    struct chunk chunk;
    bool ended;
};

struct op_gather {
    struct op op;
    struct storage_fragment fragment;
    struct storage_scan *scan;
    struct op *above; /* NULL: the whole plan runs here */
    struct op *whole; /* children[0] of the plan; built when needed */
    bool whole_open;
};

/* `op` gives what `root` gives. */
static void wants_as(const struct op *op, struct op *root)
{
    if (op->some) {
        exec_wants_some(root);
    }
}

static db_err fragment_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_fragment *s = (struct op_fragment *)op;
    s->plan = op->node->u.gather;
    return chunk_init(&s->chunk, op->node->types, op->node->column_count, ctx->arena);
}

static db_err run_here(struct op_fragment *s, struct exec_ctx *ctx, const struct storage_span *span)
{
    if (s->here == NULL) {
        TRY(exec_build(ctx, s->plan->root, &s->here));
        wants_as(&s->op, s->here);
    }
    const struct plan_node *outer = ctx->span_node;
    struct storage_span outer_span = ctx->span;
    ctx->span_node = s->plan->scan;
    ctx->span = *span;
    db_err err = s->here_open ? op_rescan(s->here, ctx) : op_open(s->here, ctx);
    ctx->span_node = outer; /* the whole, if it is run later, has the same scan with all its keys */
    ctx->span = outer_span;
    s->here_open = true;
    s->here_runs = err == ERR_OK;
    return err;
}

static db_err fragment_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_fragment *s = (struct op_fragment *)op;
    *ret = NULL;
    while (!s->ended) {
        if (s->here_runs) {
            TRY(op_next(s->here, ctx, ret));
            if (*ret != NULL) {
                return ERR_OK;
            }
            s->here_runs = false;
        }
        if (s->page.len != 0) {
            TRY(chunk_decode(&s->page, &s->chunk));
            *ret = &s->chunk;
            return ERR_OK;
        }
        struct storage_piece piece = {0};
        TRY(storage_fragment_next(s->scan, ctx->diag, &piece, &s->ended));
        if (piece.here && !s->ended) {
            TRY(run_here(s, ctx, &piece.span));
        } else if (!s->ended) {
            s->page = piece.page;
        }
        TRY(fiber_checkpoint());
    }
    return ERR_OK;
}

static db_err fragment_rescan(struct op *op, struct exec_ctx *ctx)
{
    (void)op;
    return diag_set(ctx->diag, ERR_INVALID, "internal: a fragment is not run twice");
}

static void fragment_close(struct op *op, struct exec_ctx *ctx)
{
    struct op_fragment *s = (struct op_fragment *)op;
    op_close(s->here, ctx);
    s->here = NULL;
    s->here_runs = false;
    s->page = SLICE_EMPTY;
    s->ended = true;
}

static const struct op_ops g_fragment = {"fragment", fragment_open, fragment_next, fragment_rescan,
                                         fragment_close};
const struct op_kind op_fragment_kind = {sizeof(struct op_fragment), &g_fragment};

/* ---- the choice ---- */

static db_err open_whole(struct op_gather *g, struct exec_ctx *ctx)
{
    if (g->whole == NULL) {
        TRY(exec_build(ctx, g->op.node->children[0], &g->whole));
        wants_as(&g->op, g->whole);
    }
    g->whole_open = true;
    return op_open(g->whole, ctx);
}

static bool wanted(const struct op_gather *g, const struct exec_ctx *ctx)
{
    if (ctx->pushdown == EXEC_PUSHDOWN_ALWAYS) {
        return true;
    }
    return ctx->pushdown == EXEC_PUSHDOWN_AUTO && storage_caps(ctx->storage).pushdown &&
           g->op.node->u.gather->scan->rows >= AUTO_ROWS_MIN;
}

static db_err open_fragments(struct op_gather *g, struct exec_ctx *ctx)
{
    const struct plan_fragment *plan = g->op.node->u.gather;
    struct key_range *ranges;
    uint32_t count;
    bool repeats;
    TRY(exec__scan_ranges(ctx, &plan->scan->u.scan, &ranges, &count, &repeats));
    ASSERT(!repeats);
    struct storage_span *spans = ARENA_ARRAY(ctx->arena, struct storage_span, count + 1);
    if (spans == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        spans[i] = (struct storage_span){ranges[i].start, ranges[i].end};
    }
    g->fragment = (struct storage_fragment){ctx, plan};
    return storage_fragment_open(ctx->txn, &g->fragment, spans, count,
                                 ctx->pushdown == EXEC_PUSHDOWN_ALWAYS, plan->eager, ctx->diag,
                                 &g->scan);
}

static struct op *leaf_of(struct op *op)
{
    while (op->children[0] != NULL) {
        op = op->children[0];
    }
    return op;
}

static db_err gather_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_gather *g = (struct op_gather *)op;
    if (!wanted(g, ctx)) {
        return open_whole(g, ctx);
    }
    TRY(open_fragments(g, ctx));
    if (g->scan == NULL) {
        return open_whole(g, ctx);
    }
    TRY(exec_build(ctx, op->node->u.gather->above, &g->above));
    wants_as(op, g->above);
    ((struct op_fragment *)leaf_of(g->above))->scan = g->scan;
    return op_open(g->above, ctx);
}

static db_err gather_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_gather *g = (struct op_gather *)op;
    return op_next(g->above != NULL ? g->above : g->whole, ctx, ret);
}

static void close_above(struct op_gather *g, struct exec_ctx *ctx)
{
    op_close(g->above, ctx);
    g->above = NULL;
    storage_fragment_close(g->scan);
    g->scan = NULL;
}

static db_err gather_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_gather *g = (struct op_gather *)op;
    if (g->whole_open) {
        return op_rescan(g->whole, ctx);
    }
    close_above(g, ctx);
    return open_whole(g, ctx);
}

static void gather_close(struct op *op, struct exec_ctx *ctx)
{
    struct op_gather *g = (struct op_gather *)op;
    close_above(g, ctx);
    op_close(g->whole, ctx);
    g->whole = NULL;
    g->whole_open = false;
}

static const struct op_ops g_gather = {"gather", gather_open, gather_next, gather_rescan,
                                       gather_close};
const struct op_kind op_gather_kind = {sizeof(struct op_gather), &g_gather};
