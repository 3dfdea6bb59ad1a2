/* The operators that are a few lines each: DUAL, VALUES, filter, project, limit. */
#include "sql/exec/exec_int.h"

static void close_nothing(struct op *op, struct exec_ctx *ctx)
{
    (void)op;
    (void)ctx;
}

static db_err open_child(struct op *op, struct exec_ctx *ctx)
{
    return op_open(op->children[0], ctx);
}

/* ---- DUAL ---- */

struct op_dual {
    struct op op;
    struct chunk chunk;
    bool done;
};

static db_err dual_open(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_dual *d = (struct op_dual *)op;
    d->done = false;
    d->chunk = (struct chunk){.count = 1};
    return ERR_OK;
}

static db_err dual_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    (void)ctx;
    struct op_dual *d = (struct op_dual *)op;
    *ret = d->done ? NULL : &d->chunk;
    d->done = true;
    return ERR_OK;
}

static const struct op_ops g_dual = {"dual", dual_open, dual_next, dual_open, close_nothing};
const struct op_kind op_dual_kind = {sizeof(struct op_dual), &g_dual};

/* ---- VALUES ---- */

struct op_values {
    struct op op;
    struct chunk chunk;
    uint32_t at;
};

static db_err values_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_values *v = (struct op_values *)op;
    uint32_t rows = op->node->u.values.row_count;
    rows = rows == 0 ? 1 : rows < CHUNK_ROWS ? rows : CHUNK_ROWS;
    TRY(chunk_init_rows(&v->chunk, op->node->types, op->node->column_count, rows, ctx->arena));
    v->at = 0;
    return ERR_OK;
}

static db_err values_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_values *v = (struct op_values *)op;
    const struct plan_node *n = op->node;
    if (v->at == n->u.values.row_count) {
        *ret = NULL;
        return ERR_OK;
    }
    chunk_reset(&v->chunk);
    for (; v->at < n->u.values.row_count && v->chunk.count < CHUNK_ROWS; v->at++) {
        for (uint32_t c = 0; c < n->column_count; c++) {
            struct value x;
            const struct bexpr *e = n->u.values.rows[v->at][c];
            TRY(expr_eval_scalar(ctx, e, &x));
            if (!x.is_null && x.phys != v->chunk.columns[c].phys) {
                TRY(value_cast(ctx->eval.cast, &e->type, &x, n->types[c], &x));
            }
            v->chunk.columns[c].arena = ctx->eval.arena;
            TRY(vector_set(&v->chunk.columns[c], v->chunk.count, &x));
        }
        v->chunk.count++;
    }
    *ret = &v->chunk;
    return ERR_OK;
}

static db_err values_rescan(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    ((struct op_values *)op)->at = 0;
    return ERR_OK;
}

static const struct op_ops g_values = {"values", values_open, values_next, values_rescan,
                                       close_nothing};
const struct op_kind op_values_kind = {sizeof(struct op_values), &g_values};

/* ---- filter ---- */

/* Conditions of constants, parameters and variables only are asked once, before anything below is
 * opened: when one is not true there is nothing to read, join or sort. */
struct op_filter {
    struct op op;
    struct expr_state **conds; /* the other conditions */
    uint32_t count;
    bool never, opened;
    struct chunk chunk;
    uint16_t *sel;
    uint32_t held;
    struct some_rows some;
    struct arena arena; /* the child's chunk, and what is made of it */
};

static uint16_t *new_selection(struct exec_ctx *ctx)
{
    return arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(uint16_t));
}

static db_err ask_once(struct op_filter *f, struct exec_ctx *ctx)
{
    const struct plan_node *n = f->op.node;
    bool holds = true;
    f->count = 0;
    for (uint32_t i = 0; i < n->u.filter.count && holds; i++) {
        if (!bexpr_is_fixed(n->u.filter.conjuncts[i])) {
            f->conds[f->count++] = f->conds[i];
            continue;
        }
        TRY(exec__fixed_holds(ctx, f->conds[i], &holds));
    }
    f->never = !holds;
    return ERR_OK;
}

static db_err filter_rows(void *arg, struct exec_ctx *ctx, const struct chunk *in)
{
    struct op_filter *f = arg;
    return expr_filter(ctx, f->conds, f->count, in, f->sel, &f->held);
}

static db_err filter_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_filter *f = (struct op_filter *)op;
    arena_init(&f->arena, NULL, ctx->mem, 0);
    f->opened = true;
    TRY(exec__prepare_conditions(ctx, op->node->u.filter.conjuncts, op->node->u.filter.count,
                                 &f->conds));
    TRY(ask_once(f, ctx));
    f->some = (struct some_rows){.eval = filter_rows, .arg = f};
    f->some.one_by_one = op->some && exec__evaluated_once(f->conds, f->count);
    f->sel = new_selection(ctx);
    return f->sel == NULL ? ERR_LIMIT : f->never ? ERR_OK : open_child(op, ctx);
}

/* A chunk of the child, or what is left of the one before. */
static db_err filter_chunk(struct op_filter *f, struct exec_ctx *ctx, struct chunk **ret)
{
    struct chunk *in = NULL;
    if (!exec__some_left(&f->some)) {
        arena_reset(&f->arena);
        TRY(f->never ? ERR_OK : op_child_next(&f->op, ctx, 0, &in));
        *ret = in;
        if (in == NULL || f->count == 0) {
            return ERR_OK;
        }
        f->chunk = *in;
        if (f->op.some) {
            exec__some_begin(&f->some, in);
        }
    }
    *ret = &f->chunk;
    TRY(f->op.some ? exec__some_next(&f->some, ctx, &f->chunk) : filter_rows(f, ctx, in));
    f->chunk.sel = f->sel;
    f->chunk.count = f->held;
    return ERR_OK;
}

/* Chunks of which nothing is left may be many. */
static db_err filter_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_filter *f = (struct op_filter *)op;
    do {
        struct saved_arenas saved = exec__enter_arena(ctx, &f->arena);
        db_err err = filter_chunk(f, ctx, ret);
        exec__leave_arena(ctx, saved);
        TRY(err);
    } while (*ret == &f->chunk && f->chunk.count == 0);
    return ERR_OK;
}

static void filter_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_filter *f = (struct op_filter *)op;
    if (f->opened) {
        arena_fini(&f->arena);
        f->opened = false;
    }
}

static db_err rescan_child(struct op *op, struct exec_ctx *ctx)
{
    return op_rescan(op->children[0], ctx);
}

static db_err filter_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_filter *f = (struct op_filter *)op;
    exec__some_begin(&f->some, &(struct chunk){0});
    return f->never ? ERR_OK : op_rescan(op->children[0], ctx);
}

static const struct op_ops g_filter = {"filter", filter_open, filter_next, filter_rescan,
                                       filter_close};
const struct op_kind op_filter_kind = {sizeof(struct op_filter), &g_filter};

/* ---- project ---- */

struct op_project {
    struct op op;
    struct expr_state **exprs;
    struct chunk chunk;
    bool by_row;         /* an expression assigns a variable that others, or later rows, read */
    struct vector *rows; /* by_row: the output */
    struct vector **vectors;
    struct eval_list list; /* else */
    struct some_rows some;
    struct arena arena; /* op.some: the child's chunk, and what is made of it */
    bool opened;
};

/* MYSQL: SELECT @n := @n + 1, @n: a row after the other, the columns from left to right. */
static db_err assign_rows(struct op_project *p, struct exec_ctx *ctx, const struct chunk *in)
{
    for (uint32_t i = 0; i < p->chunk.column_count; i++) {
        vector_reset(&p->rows[i]);
    }
    for (uint32_t r = 0; r < in->count; r++) {
        uint16_t row = (uint16_t)chunk_row(in, r);
        struct chunk one = *in;
        one.sel = &row;
        one.count = 1;
        for (uint32_t i = 0; i < p->chunk.column_count; i++) {
            struct vector *v;
            TRY(expr_eval(ctx, p->exprs[i], &one, &v));
            exec__copy_rows(&p->rows[i], v, &row, 1);
        }
    }
    return ERR_OK;
}

static db_err project_rows(void *arg, struct exec_ctx *ctx, const struct chunk *in)
{
    struct op_project *p = arg;
    return p->by_row ? assign_rows(p, ctx, in) : exec__eval_list(&p->list, ctx, in);
}

static db_err project_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_project *p = (struct op_project *)op;
    arena_init(&p->arena, NULL, ctx->mem, 0);
    p->opened = true;
    TRY(exec__prepare_list(ctx, op->node->u.project.exprs, op->node->column_count, &p->exprs));
    p->chunk.columns = ARENA_ARRAY(ctx->arena, struct vector, op->node->column_count + 1);
    p->chunk.column_count = op->node->column_count;
    for (uint32_t i = 0; i < op->node->column_count && !p->by_row; i++) {
        p->by_row = bexpr_assigns(op->node->u.project.exprs[i]);
    }
    uint32_t count = op->node->column_count;
    p->list = (struct eval_list){.states = p->exprs, .count = count};
    p->list.results = ARENA_ARRAY(ctx->arena, struct vector **, count + 1);
    p->vectors = ARENA_ARRAY(ctx->arena, struct vector *, count + 1);
    if (p->list.results == NULL || p->vectors == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        p->list.results[i] = &p->vectors[i];
    }
    p->some = (struct some_rows){.eval = project_rows, .arg = p};
    p->some.one_by_one = p->by_row || (op->some && exec__evaluated_once(p->exprs, count));
    if (p->by_row) {
        p->rows = ARENA_ARRAY(ctx->arena, struct vector, op->node->column_count + 1);
        if (p->rows == NULL) {
            return ERR_LIMIT;
        }
        for (uint32_t i = 0; i < op->node->column_count; i++) {
            TRY(vector_init(&p->rows[i], &op->node->u.project.exprs[i]->type, ctx->arena));
        }
    }
    return p->chunk.columns == NULL ? ERR_LIMIT : open_child(op, ctx);
}

/* The next rows of the child's chunk, or of one that it gives now; none: *ret_rows is empty. */
static db_err project_some(struct op_project *p, struct exec_ctx *ctx, struct chunk *ret_rows)
{
    if (!exec__some_left(&p->some)) {
        struct chunk *in;
        arena_reset(&p->arena);
        do {
            TRY(op_child_next(&p->op, ctx, 0, &in));
        } while (in != NULL && in->count == 0);
        if (in == NULL) {
            return ERR_OK;
        }
        exec__some_begin(&p->some, in);
    }
    return exec__some_next(&p->some, ctx, ret_rows);
}

static db_err project_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_project *p = (struct op_project *)op;
    struct chunk rows = {0};
    struct chunk *in = &rows;
    *ret = NULL;
    if (op->some) {
        struct saved_arenas saved = exec__enter_arena(ctx, &p->arena);
        db_err err = project_some(p, ctx, &rows);
        exec__leave_arena(ctx, saved);
        if (err != ERR_OK || rows.count == 0) {
            return err;
        }
    } else {
        TRY(op_child_next(op, ctx, 0, &in));
        if (in == NULL) {
            return ERR_OK;
        }
        TRY(project_rows(p, ctx, in));
    }
    for (uint32_t i = 0; i < p->chunk.column_count; i++) {
        vector_ref(&p->chunk.columns[i], p->by_row ? &p->rows[i] : p->vectors[i]);
        p->chunk.columns[i].type = op->node->types[i];
    }
    p->chunk.count = in->count;
    p->chunk.sel = in->sel;
    *ret = &p->chunk;
    return ERR_OK;
}

static db_err project_rescan(struct op *op, struct exec_ctx *ctx)
{
    exec__some_begin(&((struct op_project *)op)->some, &(struct chunk){0});
    return rescan_child(op, ctx);
}

static void project_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_project *p = (struct op_project *)op;
    if (p->opened) {
        arena_fini(&p->arena);
        p->opened = false;
    }
}

static const struct op_ops g_project = {"project", project_open, project_next, project_rescan,
                                        project_close};
const struct op_kind op_project_kind = {sizeof(struct op_project), &g_project};

/* ---- limit ---- */

struct op_limit {
    struct op op;
    struct chunk chunk;
    uint64_t skip, left;
    uint16_t *sel;
    struct arena skipped; /* chunks while rows are skipped: there may be many */
    bool opened;
};

static db_err limit_start(struct op *op, struct exec_ctx *ctx)
{
    struct op_limit *l = (struct op_limit *)op;
    TRY(exec__limit_value(ctx, op->node->u.limit.limit, UINT64_MAX, &l->left));
    TRY(exec__limit_value(ctx, op->node->u.limit.offset, 0, &l->skip));
    if (op->node->u.limit.partial) {
        l->left = l->left == 0                     ? 0
                  : l->skip > UINT64_MAX - l->left ? UINT64_MAX
                                                   : l->left + l->skip;
        l->skip = 0;
    }
    return ERR_OK;
}

static db_err limit_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_limit *l = (struct op_limit *)op;
    arena_init(&l->skipped, NULL, ctx->mem, 0);
    l->opened = true;
    TRY(limit_start(op, ctx));
    l->sel = new_selection(ctx);
    return l->sel == NULL ? ERR_LIMIT : open_child(op, ctx);
}

/* Drops rows of the chunk before the offset and behind the limit. */
static bool cut(struct op_limit *l, const struct chunk *in)
{
    uint32_t from = l->skip < in->count ? (uint32_t)l->skip : in->count;
    l->skip -= from;
    uint32_t n = in->count - from;
    if (n > l->left) {
        n = (uint32_t)l->left;
    }
    l->left -= n;
    for (uint32_t i = 0; i < n; i++) {
        l->sel[i] = (uint16_t)chunk_row(in, from + i);
    }
    l->chunk = *in;
    l->chunk.sel = l->sel;
    l->chunk.count = n;
    return n != 0;
}

static db_err limit_input(struct op_limit *l, struct exec_ctx *ctx, struct chunk **ret)
{
    if (l->skip == 0) {
        return op_child_next(&l->op, ctx, 0, ret);
    }
    arena_reset(&l->skipped);
    struct saved_arenas saved = exec__enter_arena(ctx, &l->skipped);
    db_err err = op_child_next(&l->op, ctx, 0, ret);
    exec__leave_arena(ctx, saved);
    return err;
}

static db_err limit_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_limit *l = (struct op_limit *)op;
    bool count_all = op->node->u.limit.calc_found_rows;
    struct chunk *in;
    *ret = NULL;
    while (l->left != 0 || count_all) {
        TRY(limit_input(l, ctx, &in));
        if (in == NULL) {
            return ERR_OK;
        }
        if (count_all) {
            ctx->found_rows += in->count;
        }
        if (cut(l, in)) {
            *ret = &l->chunk;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

static db_err limit_rescan(struct op *op, struct exec_ctx *ctx)
{
    TRY(limit_start(op, ctx));
    return rescan_child(op, ctx);
}

static void limit_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_limit *l = (struct op_limit *)op;
    if (l->opened) {
        arena_fini(&l->skipped);
        l->opened = false;
    }
}

static const struct op_ops g_limit = {"limit", limit_open, limit_next, limit_rescan, limit_close};
const struct op_kind op_limit_kind = {sizeof(struct op_limit), &g_limit};
