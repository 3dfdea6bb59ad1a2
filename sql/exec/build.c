/* Operator trees from plans, and the wrappers that every call to an operator goes through. */
#include "base/clock.h"
#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/join_run.h"

static const struct op_kind *kind_of(const struct plan_node *node)
{
    switch (node->kind) {
    case PLAN_LOAD: /* the INSERT above reads the file itself */
    case PLAN_DUAL: return &op_dual_kind;
    case PLAN_VALUES: return &op_values_kind;
    case PLAN_TABLE_SCAN:
    case PLAN_INDEX_SCAN: return &op_scan_kind;
    case PLAN_POINT_GET: return &op_point_get_kind;
    case PLAN_VIRTUAL_SCAN: return &op_virtual_scan_kind;
    case PLAN_JSON_TABLE: return &op_json_table_kind;
    case PLAN_FILTER: return &op_filter_kind;
    case PLAN_PROJECT: return &op_project_kind;
    case PLAN_SORT: return &op_sort_kind;
    case PLAN_TOPN: return &op_topn_kind;
    case PLAN_LIMIT: return &op_limit_kind;
    case PLAN_HASH_AGG: return &op_hash_agg_kind;
    case PLAN_STREAM_AGG: return &op_stream_agg_kind;
    case PLAN_ROLLUP_AGG: return &op_rollup_kind;
    case PLAN_DISTINCT: return &op_distinct_kind;
    case PLAN_HASH_JOIN: return &op_hash_join_kind;
    case PLAN_NL_JOIN: return node->u.join.apply ? &op_apply_kind : &op_hash_join_kind;
    case PLAN_LOOKUP_JOIN: return &op_lookup_join_kind;
    case PLAN_WINDOW: return &op_window_kind;
    case PLAN_SETOP: return node->u.setop.op == SETOP_UNION ? &op_union_kind : &op_setop_kind;
    case PLAN_INSERT: return &op_insert_kind;
    case PLAN_UPDATE: return &op_update_kind;
    case PLAN_DELETE: return &op_delete_kind;
    case PLAN_CTE_REF: return &op_cte_ref_kind;
    case PLAN_RECURSIVE: return &op_recursive_kind;
    case PLAN_GATHER: return &op_gather_kind;
    case PLAN_FRAGMENT: return &op_fragment_kind;
    }
    return NULL;
}

/* Does it read its first child as it gives its own rows? */
static bool reads_on_demand(enum plan_kind kind)
{
    return kind == PLAN_FILTER || kind == PLAN_PROJECT || kind == PLAN_LIMIT ||
           kind == PLAN_DISTINCT || kind == PLAN_LOOKUP_JOIN || kind == PLAN_NL_JOIN ||
           kind == PLAN_HASH_JOIN;
}

static bool is_apply(const struct plan_node *node)
{
    return node->kind == PLAN_NL_JOIN && node->u.join.apply;
}

void exec_wants_some(struct op *op)
{
    op->some = true;
    if (op->node->kind == PLAN_SETOP) { /* its children are not built yet */
        return;
    }
    if (reads_on_demand(op->node->kind)) {
        exec_wants_some(op->children[0]);
    }
    if (is_apply(op->node)) {
        exec_wants_some(op->children[1]);
    }
}

db_err exec_build(struct exec_ctx *ctx, const struct plan_node *node, struct op **ret_op)
{
    enum { ROOM_MIN = 2 };
    const struct op_kind *kind = kind_of(node);
    ASSERT(kind != NULL);
    TRY(my_stack_reserve(ctx->diag, MY_STACK_STEP));
    size_t at = kind->size; /* of a struct that begins with pointers */
    uint32_t room = node->child_count < ROOM_MIN ? ROOM_MIN : node->child_count;
    struct op *op = arena_calloc(ctx->arena, 1, at + room * sizeof(*op->children));
    if (op == NULL) {
        return ERR_LIMIT;
    }
    op->children = (struct op **)((char *)op + at);
    op->ops = kind->ops;
    op->node = node;
    uint32_t count = node->kind == PLAN_SETOP ? 0 : node->child_count;
    for (uint32_t i = 0; i < count; i++) {
        TRY(exec_build(ctx, node->children[i], &op->children[i]));
    }
    if (node->kind == PLAN_LIMIT && !node->u.limit.calc_found_rows) {
        exec_wants_some(op->children[0]);
    }
    if (is_apply(node) && join_gives_left_only(node->u.join.kind)) {
        exec_wants_some(op->children[1]); /* up to the first partner of a row */
    }
    *ret_op = op;
    return ERR_OK;
}

/* EXPLAIN ANALYZE: a loop begins. */
static void count_loop(struct node_counters *c, uint64_t start)
{
    c->loops++;
    c->started = true;
    uint64_t ns = clock_mono_ns() - start;
    c->first_ns += ns;
    c->total_ns += ns;
}

db_err op_open(struct op *op, struct exec_ctx *ctx)
{
    if (LIKELY(ctx->counters == NULL)) {
        return op->ops->open(op, ctx);
    }
    uint64_t start = clock_mono_ns();
    db_err err = op->ops->open(op, ctx);
    count_loop(&ctx->counters[op->node->id], start);
    return err;
}

static db_err counted_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret_chunk)
{
    struct node_counters *c = &ctx->counters[op->node->id];
    uint64_t start = clock_mono_ns();
    db_err err = op->ops->next(op, ctx, ret_chunk);
    uint64_t ns = clock_mono_ns() - start;
    c->total_ns += ns;
    if (c->started) {
        c->started = false;
        c->first_ns += ns;
    }
    if (err == ERR_OK && *ret_chunk != NULL) {
        c->rows += (*ret_chunk)->count;
    }
    return err;
}

db_err op_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret_chunk)
{
    TRY(fiber_checkpoint());
    if (LIKELY(ctx->counters == NULL)) {
        return op->ops->next(op, ctx, ret_chunk);
    }
    return counted_next(op, ctx, ret_chunk);
}

db_err op_rescan(struct op *op, struct exec_ctx *ctx)
{
    if (LIKELY(ctx->counters == NULL)) {
        return op->ops->rescan(op, ctx);
    }
    uint64_t start = clock_mono_ns();
    db_err err = op->ops->rescan(op, ctx);
    count_loop(&ctx->counters[op->node->id], start);
    return err;
}

db_err exec__start_child(struct op *op, struct exec_ctx *ctx, uint32_t child)
{
    struct op **io = &op->children[child];
    if (*io != NULL) {
        return op_rescan(*io, ctx);
    }
    struct arena *batch = exec__enter_kept(ctx);
    db_err err = exec_build(ctx, op->node->children[child], io);
    if (err == ERR_OK) {
        if (op->some) {
            exec_wants_some(*io);
        }
        err = op_open(*io, ctx);
    }
    exec__leave_kept(ctx, batch);
    return err;
}

void exec__end_child(struct op *op, struct exec_ctx *ctx, uint32_t child)
{
    op_close(op->children[child], ctx);
    op->children[child] = NULL;
}

void op_close(struct op *op, struct exec_ctx *ctx)
{
    if (op == NULL) {
        return;
    }
    op->ops->close(op, ctx);
    for (uint32_t i = 0; i < op->node->child_count; i++) {
        op_close(op->children[i], ctx);
    }
}
