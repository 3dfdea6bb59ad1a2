/* ORDER BY, alone (SORT) and with LIMIT (TOPN).
 *
 * The sorter keeps the child's columns and, behind them, the keys that are not columns already. Out
 * of memory it spills; with a limit it keeps what can still be among the first rows. */
#include "sql/exec/sorter.h"

#include "base/fiber.h"
#include "sql/exec/exec_int.h"
#include "sql/diag/my_error.h"
#include "sql/types/json.h"

enum { FIRST_ROWS = 128 }; /* room of the first result chunk: many sorts are small */

struct op_sort {
    struct op op;
    struct expr_state **key_states; /* of computed keys */
    uint32_t computed;
    struct sort_key *keys;
    const struct sql_type **types; /* the child's columns, then the computed keys */
    struct vector **vectors;
    struct sorter sorter;
    struct arena input; /* the child's chunk while it is taken */
    struct chunk chunk;
    uint32_t room;
    uint64_t skip, taken;
    bool opened, filled, is_topn;
    bool warned; /* of JSON keys that are no scalars */
};

static db_err prepare_keys(struct op_sort *s, struct exec_ctx *ctx)
{
    const struct plan_node *n = s->op.node;
    uint32_t width = n->column_count;
    uint32_t count = n->u.sort.count;
    s->keys = ARENA_ARRAY(ctx->arena, struct sort_key, count + 1);
    s->key_states = ARENA_ARRAY(ctx->arena, struct expr_state *, count + 1);
    s->types = ARENA_ARRAY(ctx->arena, const struct sql_type *, width + count);
    s->vectors = ARENA_ARRAY(ctx->arena, struct vector *, width + count);
    if (s->keys == NULL || s->key_states == NULL || s->types == NULL || s->vectors == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < width; i++) {
        s->types[i] = n->types[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct bexpr *e = n->u.sort.keys[i].expr;
        s->keys[i].descending = n->u.sort.keys[i].descending;
        if (e->kind == BEXPR_COLUMN && !e->u.column.padded) {
            s->keys[i].column = e->u.column.slot;
            continue;
        }
        s->keys[i].column = width + s->computed;
        s->types[width + s->computed] = &e->type;
        TRY(expr_prepare(ctx, e, &s->key_states[s->computed]));
        s->computed++;
    }
    return ERR_OK;
}

static db_err start(struct op_sort *s, struct exec_ctx *ctx)
{
    const struct plan_node *n = s->op.node;
    uint64_t bound = UINT64_MAX;
    s->skip = s->taken = 0;
    s->filled = false;
    if (s->is_topn) {
        uint64_t limit;
        TRY(exec__limit_value(ctx, n->u.sort.limit, UINT64_MAX, &limit));
        TRY(exec__limit_value(ctx, n->u.sort.offset, 0, &s->skip));
        bound = limit > UINT64_MAX - s->skip ? UINT64_MAX : limit + s->skip;
        bound = limit == 0 ? 0 : bound;
        s->skip = n->u.sort.partial ? 0 : s->skip;
    }
    return sorter_init(&s->sorter, ctx, s->types, n->column_count + s->computed, s->keys,
                       n->u.sort.count, bound, n->u.sort.cuts ? ctx->max_sort_length : 0);
}

static db_err sort_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_sort *s = (struct op_sort *)op;
    s->is_topn = op->node->kind == PLAN_TOPN;
    arena_init(&s->input, NULL, ctx->mem, 0);
    s->opened = true;
    TRY(prepare_keys(s, ctx));
    TRY(start(s, ctx));
    return op_open(op->children[0], ctx);
}

/* MYSQL: says once that arrays and objects have no proper order. */
static void warn_containers(struct op_sort *s, struct exec_ctx *ctx, const struct chunk *in)
{
    for (uint32_t k = 0; k < s->op.node->u.sort.count && !s->warned; k++) {
        const struct vector *v = s->vectors[s->keys[k].column];
        for (uint32_t i = 0; v->type->id == TYPE_JSON && i < in->count && !s->warned; i++) {
            uint32_t row = chunk_row(in, i);
            if (!vec_is_null(v, row)) { /* there is no document to look at where it is */
                struct json_view doc = json_view_of(vec_str(v, row));
                s->warned = json_is_container(&doc);
            }
        }
    }
    if (s->warned) {
        exec__warn_text(ctx, CAST_WARNING, ER_NOT_SUPPORTED_YET,
                        "This version of MySQL doesn't yet support 'sorting of non-scalar JSON "
                        "values'");
    }
}

static db_err take_chunk(struct op_sort *s, struct exec_ctx *ctx, bool *ret_end)
{
    struct chunk *in;
    uint32_t width = s->op.node->column_count;
    arena_reset(&s->input);
    TRY(op_child_next(&s->op, ctx, 0, &in));
    *ret_end = in == NULL;
    if (in == NULL) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < width; i++) {
        s->vectors[i] = &in->columns[i];
    }
    for (uint32_t i = 0; i < s->computed; i++) {
        TRY(expr_eval(ctx, s->key_states[i], in, &s->vectors[width + i]));
    }
    if (!s->warned) {
        warn_containers(s, ctx, in);
    }
    s->taken += in->count;
    return sorter_add(&s->sorter, ctx, s->vectors, in->sel, in->count);
}

static db_err fill(struct op_sort *s, struct exec_ctx *ctx)
{
    bool end = s->sorter.bound == 0;
    struct saved_arenas saved = exec__enter_arena(ctx, &s->input);
    db_err err = ERR_OK;
    while (!end && err == ERR_OK) {
        err = take_chunk(s, ctx, &end);
    }
    exec__leave_arena(ctx, saved);
    TRY(err);
    if (!s->op.node->u.sort.partial) {
        ctx->sorts++;
        ctx->sorted_rows += s->taken < s->sorter.bound ? s->taken : s->sorter.bound;
    }
    return sorter_finish(&s->sorter, ctx);
}

static db_err result_room(struct op_sort *s, struct exec_ctx *ctx)
{
    uint64_t rows = sorter_rows(&s->sorter);
    uint32_t room = rows <= FIRST_ROWS ? FIRST_ROWS : CHUNK_ROWS;
    if (s->room >= room) {
        return ERR_OK;
    }
    s->room = room;
    return chunk_init_rows(&s->chunk, s->op.node->types, s->op.node->column_count, room,
                           ctx->arena);
}

static db_err sort_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_sort *s = (struct op_sort *)op;
    *ret = NULL;
    if (!s->filled) {
        TRY(fill(s, ctx));
        TRY(result_room(s, ctx));
        s->filled = true;
        while (s->skip != 0) {
            uint32_t n = s->skip < s->room ? (uint32_t)s->skip : s->room;
            TRY(sorter_next(&s->sorter, ctx, n, &s->chunk));
            if (s->chunk.count == 0) {
                return ERR_OK;
            }
            s->skip -= s->chunk.count;
            TRY(fiber_checkpoint());
        }
    }
    TRY(sorter_next(&s->sorter, ctx, s->room, &s->chunk));
    *ret = s->chunk.count == 0 ? NULL : &s->chunk;
    return ERR_OK;
}

static db_err sort_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_sort *s = (struct op_sort *)op;
    sorter_fini(&s->sorter);
    TRY(start(s, ctx));
    return op_rescan(op->children[0], ctx);
}

static void sort_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_sort *s = (struct op_sort *)op;
    sorter_fini(&s->sorter);
    if (s->opened) {
        arena_fini(&s->input);
        s->opened = false;
    }
}

static const struct op_ops g_sort = {"sort", sort_open, sort_next, sort_rescan, sort_close};
static const struct op_ops g_topn = {"top-n", sort_open, sort_next, sort_rescan, sort_close};
const struct op_kind op_sort_kind = {sizeof(struct op_sort), &g_sort};
const struct op_kind op_topn_kind = {sizeof(struct op_sort), &g_topn};
