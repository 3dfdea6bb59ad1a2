/* A recursive common table expression: the rows of the first blocks, then round after round what
 * the recursive blocks make of the rows of the round before, until a round gives none.
 *
 * Rows go up as they are made, so that a LIMIT above ends the recursion. Values are stored as into
 * a table with the columns of the first blocks. With UNION DISTINCT a row that was there before
 * counts as none: all rows are kept in memory for that. */
#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/cte_state.h"

struct op_recursive {
    struct op op;
    struct cte_state *state;
    struct packed_format format;
    struct row_store rounds[2];
    uint32_t current; /* the round that is being made */
    uint64_t round;
    struct row_table seen;
    struct vector **vectors; /* of out */
    struct arena input;
    struct chunk out;
    uint16_t *sel;
    bool *as_is; /* by column: a value of the recursive blocks needs no conversion */
    bool opened, ended, in_rounds, rest_opened;
};

static bool fits(const struct sql_type *from, const struct sql_type *to)
{
    return from->id == to->id && type_is_unsigned(from) == type_is_unsigned(to) &&
           from->decimals == to->decimals && from->collation == to->collation &&
           (from->length <= to->length || from->id == TYPE_BIGINT || from->id == TYPE_DOUBLE);
}

static db_err recursive_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_recursive *s = (struct op_recursive *)op;
    const struct plan_node *n = op->node;
    s->state = exec__cte_state(ctx, n->u.recursive.cte);
    s->vectors = ARENA_ARRAY(ctx->arena, struct vector *, n->column_count + 1);
    s->as_is = ARENA_ARRAY(ctx->arena, bool, n->column_count + 1);
    s->sel = ARENA_ARRAY(ctx->arena, uint16_t, CHUNK_ROWS);
    if (s->state == NULL || s->vectors == NULL || s->as_is == NULL || s->sel == NULL) {
        return ERR_LIMIT;
    }
    TRY(packed_format_init(&s->format, n->types, n->column_count, ctx->arena));
    TRY(chunk_init(&s->out, n->types, n->column_count, ctx->arena));
    arena_init(&s->input, NULL, ctx->mem, 0);
    row_store_init(&s->rounds[0], ctx, &s->format);
    row_store_init(&s->rounds[1], ctx, &s->format);
    row_table_init(&s->seen, &s->format, n->column_count, ctx->mem, SIZE_MAX);
    s->opened = true;
    for (uint32_t i = 0; i < n->column_count; i++) {
        s->vectors[i] = &s->out.columns[i];
        s->as_is[i] = fits(n->children[1]->types[i], n->types[i]);
    }
    return op_open(op->children[0], ctx);
}

/* Stores as INSERT does: 1264, 1406 ... when sql_mode is strict. */
static db_err store_column(struct op_recursive *s, struct exec_ctx *ctx, const struct chunk *in,
                           uint32_t c)
{
    const struct plan_node *n = s->op.node;
    struct cast_ctx *cast = ctx->eval.cast;
    struct store_target target = {.column = n->u.recursive.names[c], .row = 1};
    bool strict = cast->strict;
    db_err err = ERR_OK;
    cast->strict = (ctx->sql_mode & SQL_MODE_STRICT) != 0;
    for (uint32_t i = 0; i < in->count && err == ERR_OK; i++) {
        struct value v;
        vector_get(&in->columns[c], chunk_row(in, i), &v);
        err = type_store(cast, n->types[c], &target, in->columns[c].type, &v, &v);
        if (err == ERR_OK) {
            err = vector_set(&s->out.columns[c], i, &v);
        }
    }
    cast->strict = strict;
    return err;
}

static db_err take(struct op_recursive *s, struct exec_ctx *ctx, const struct chunk *in)
{
    chunk_reset(&s->out);
    for (uint32_t c = 0; c < s->out.column_count; c++) {
        s->out.columns[c].arena = ctx->eval.arena;
        bool null = in->columns[c].type->id == TYPE_NULL; /* of a column that has a type */
        if (s->in_rounds ? !s->as_is[c] : null) {
            TRY(store_column(s, ctx, in, c));
            continue;
        }
        uint16_t *rows = s->sel;
        for (uint32_t i = 0; i < in->count; i++) {
            rows[i] = (uint16_t)chunk_row(in, i);
        }
        TRY(vector_gather(&s->out.columns[c], 0, &in->columns[c], rows, in->count));
    }
    s->out.count = in->count;
    return ERR_OK;
}

static db_err drop_known(struct op_recursive *s, struct exec_ctx *ctx)
{
    (void)ctx;
    uint64_t hashes[CHUNK_ROWS];
    uint32_t kept = 0;
    struct row_node *node;
    packed_hash(&s->format, s->out.column_count, s->vectors, NULL, s->out.count, hashes);
    for (uint32_t i = 0; i < s->out.count; i++) {
        if (row_table_find(&s->seen, hashes[i], s->vectors, i) == NULL) {
            TRY(row_table_insert(&s->seen, hashes[i], s->vectors, i, &node));
            s->sel[kept++] = (uint16_t)i;
        }
    }
    s->out.sel = s->sel;
    s->out.count = kept;
    return ERR_OK;
}

static db_err keep_round(struct op_recursive *s, struct exec_ctx *ctx)
{
    for (uint32_t i = 0; i < s->out.count; i++) {
        TRY(row_store_put(&s->rounds[s->current], ctx, s->vectors, chunk_row(&s->out, i)));
    }
    return ERR_OK;
}

static db_err next_round(struct op_recursive *s, struct exec_ctx *ctx)
{
    struct row_store *made = &s->rounds[s->current];
    if (made->count == 0) {
        s->ended = true;
        return ERR_OK;
    }
    if (++s->round > ctx->cte_depth_max) {
        return my_error(ctx->diag, ER_CTE_MAX_RECURSION_DEPTH, (unsigned)s->round);
    }
    s->current = 1 - s->current;
    row_store_clear(&s->rounds[s->current], ctx);
    s->state->working = made;
    s->in_rounds = true;
    if (s->rest_opened) {
        return op_rescan(s->op.children[1], ctx);
    }
    s->rest_opened = true;
    return op_open(s->op.children[1], ctx);
}

/* MYSQL: what the queries of a recursive table compute is computed as for INSERT, too. */
static db_err next_input(struct op_recursive *s, struct exec_ctx *ctx, struct chunk **ret)
{
    struct cast_ctx *cast = ctx->eval.cast;
    bool strict = cast->strict;
    arena_reset(&s->input);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->input);
    cast->strict = (ctx->sql_mode & SQL_MODE_STRICT) != 0 && !ctx->ignore;
    db_err err = op_child_next(&s->op, ctx, s->in_rounds ? 1 : 0, ret);
    if (err == ERR_OK && *ret == NULL) {
        err = next_round(s, ctx);
    }
    cast->strict = strict;
    exec__leave_arena(ctx, saved);
    return err;
}

static db_err recursive_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_recursive *s = (struct op_recursive *)op;
    *ret = NULL;
    while (!s->ended) {
        struct chunk *in;
        TRY(next_input(s, ctx, &in));
        TRY(fiber_checkpoint());
        if (in == NULL) {
            continue;
        }
        TRY(take(s, ctx, in));
        if (op->node->u.recursive.distinct) {
            TRY(drop_known(s, ctx));
        }
        TRY(keep_round(s, ctx));
        if (s->out.count != 0) {
            *ret = &s->out;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

static db_err recursive_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_recursive *s = (struct op_recursive *)op;
    row_store_clear(&s->rounds[0], ctx);
    row_store_clear(&s->rounds[1], ctx);
    row_table_clear(&s->seen);
    s->current = 0;
    s->round = 0;
    s->ended = s->in_rounds = false;
    return op_rescan(op->children[0], ctx);
}

static void recursive_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_recursive *s = (struct op_recursive *)op;
    if (s->opened) {
        row_store_fini(&s->rounds[0]);
        row_store_fini(&s->rounds[1]);
        row_table_fini(&s->seen);
        arena_fini(&s->input);
        s->opened = false;
    }
}

static const struct op_ops g_recursive = {"recursion", recursive_open, recursive_next,
                                          recursive_rescan, recursive_close};
const struct op_kind op_recursive_kind = {sizeof(struct op_recursive), &g_recursive};
