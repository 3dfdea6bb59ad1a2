/* Window functions: partition after partition is read into a store, then its rows come out with
 * what the functions say.
 *
 * The input is sorted by partition and order. What a function needs of a row beside the child's
 * columns is computed when the row is read and kept with it. A partition that does not fit into
 * memory is kept in a temporary file; small ones share the store until a chunk of results is full,
 * of rows or, when each is as long as its frame (JSON_ARRAYAGG), of bytes. */
#include "base/alloc.h"
#include "base/fiber.h"
#include "sql/exec/window_run.h"

enum { RESULT_BYTES_MAX = 4 << 20, LONG_RESULTS_STEP = 16 };

struct op_window {
    struct op op;
    struct window_run run;
    struct expr_state **computed; /* columns of the store behind the child's */
    uint32_t computed_count;
    const struct sql_type **types;
    struct vector **vectors; /* the current chunk of the child, by column of the store */
    struct chunk *in;
    uint32_t at;            /* next row of it */
    struct packed_row *key; /* the first row of the partition being read */
    size_t key_cap;
    struct arena input;
    struct chunk out;
    bool opened, ended, is_partition_open;
    bool is_reading; /* a partition: the chunk had to be given before the store could be spilled */
    bool is_full;    /* the chunk, of bytes */
    uint32_t step;   /* rows that are looked up at once */
    size_t used;     /* of the arena of results, before the chunk */
};

/* The column of the store that holds e. */
static db_err column_of(struct op_window *s, struct exec_ctx *ctx, const struct bexpr *e,
                        uint32_t *ret)
{
    if (e->kind == BEXPR_COLUMN && !e->u.column.padded) {
        *ret = e->u.column.slot;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < s->computed_count; i++) {
        if (s->computed[i]->e == e) {
            *ret = s->run.width + i;
            return ERR_OK;
        }
    }
    TRY(expr_prepare(ctx, e, &s->computed[s->computed_count]));
    s->types[s->run.width + s->computed_count] = &e->type;
    *ret = s->run.width + s->computed_count++;
    return ERR_OK;
}

static db_err column_list(struct op_window *s, struct exec_ctx *ctx, struct bexpr *const *list,
                          uint32_t n, uint32_t **ret)
{
    uint32_t *columns = ARENA_ARRAY(ctx->arena, uint32_t, n + 1);
    if (columns == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(column_of(s, ctx, list[i], &columns[i]));
    }
    *ret = columns;
    return ERR_OK;
}

static db_err end_columns(struct op_window *s, struct exec_ctx *ctx, const struct plan_frame_end *p,
                          struct window_end *e)
{
    if (p->value != NULL) {
        TRY(column_of(s, ctx, p->value, &e->value));
        TRY(column_of(s, ctx, p->key, &e->key));
    }
    return ERR_OK;
}

static bool needs_peers(const struct plan_window *w)
{
    for (uint32_t i = 0; i < w->call_count; i++) {
        enum window_func f = w->calls[i].func;
        if (f >= WINDOW_RANK && f <= WINDOW_CUME_DIST) {
            return true;
        }
    }
    bool plain_start = w->start.bound == FRAME_UNBOUNDED_PRECEDING;
    return !w->rows && !(plain_start && w->end.bound == FRAME_UNBOUNDED_FOLLOWING);
}

static db_err store_columns(struct op_window *s, struct exec_ctx *ctx)
{
    struct window_run *r = &s->run;
    const struct plan_window *w = r->plan;
    uint32_t most = w->partition_count + w->order_count + 4;
    for (uint32_t i = 0; i < w->call_count; i++) {
        most += w->calls[i].arg_count;
    }
    s->computed = ARENA_ARRAY(ctx->arena, struct expr_state *, most);
    s->types = ARENA_ARRAY(ctx->arena, const struct sql_type *, r->width + most);
    r->calls = ARENA_ARRAY(ctx->arena, struct window_call, w->call_count + 1);
    if (s->computed == NULL || s->types == NULL || r->calls == NULL) {
        return ERR_LIMIT;
    }
    memcpy(s->types, s->op.node->types, r->width * sizeof(*s->types));
    TRY(column_list(s, ctx, w->partition, w->partition_count, &r->partition));
    TRY(column_list(s, ctx, w->order, w->order_count, &r->order));
    TRY(end_columns(s, ctx, &w->start, &r->start));
    TRY(end_columns(s, ctx, &w->end, &r->end));
    for (uint32_t i = 0; i < w->call_count; i++) {
        r->calls[i].plan = &w->calls[i];
        TRY(column_list(s, ctx, w->calls[i].args, w->calls[i].arg_count, &r->calls[i].columns));
    }
    return ERR_OK;
}

static db_err window_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_window *s = (struct op_window *)op;
    struct window_run *r = &s->run;
    r->plan = op->node->u.window;
    r->width = op->children[0]->node->column_count;
    arena_init(&s->input, NULL, ctx->mem, 0);
    s->opened = true;
    TRY(store_columns(s, ctx));
    uint32_t width = r->width + s->computed_count;
    s->vectors = ARENA_ARRAY(ctx->arena, struct vector *, width + 1);
    if (s->vectors == NULL) {
        return ERR_LIMIT;
    }
    TRY(packed_format_init(&r->format, s->types, width, ctx->arena));
    row_store_init(&r->store, ctx, &r->format);
    r->needs_peers = needs_peers(r->plan);
    TRY(window_frame_open(r, ctx));
    s->step = CHUNK_ROWS;
    for (uint32_t i = 0; i < r->plan->call_count; i++) {
        TRY(window_call_open(r, ctx, &r->calls[i]));
        bool is_long =
            r->plan->calls[i].func == WINDOW_AGG && op->node->types[r->width + i]->id == TYPE_JSON;
        s->step = is_long ? LONG_RESULTS_STEP : s->step;
    }
    TRY(chunk_init(&s->out, op->node->types, op->node->column_count, ctx->arena));
    return op_open(op->children[0], ctx);
}

/* ---- reading a partition ---- */

static db_err next_input(struct op_window *s, struct exec_ctx *ctx)
{
    struct saved_arenas saved = exec__enter_arena(ctx, &s->input);
    arena_reset(&s->input);
    db_err err = op_child_next(&s->op, ctx, 0, &s->in);
    for (uint32_t i = 0; err == ERR_OK && s->in != NULL && i < s->computed_count; i++) {
        err = expr_eval(ctx, s->computed[i], s->in, &s->vectors[s->run.width + i]);
    }
    exec__leave_arena(ctx, saved);
    TRY(err);
    s->at = 0;
    s->ended = s->in == NULL;
    for (uint32_t i = 0; s->in != NULL && i < s->run.width; i++) {
        s->vectors[i] = &s->in->columns[i];
    }
    return ERR_OK;
}

static bool same_partition(const struct op_window *s, uint32_t row)
{
    const struct window_run *r = &s->run;
    for (uint32_t i = 0; i < r->plan->partition_count; i++) {
        uint32_t column = r->partition[i];
        if (packed_compare_vector(&r->format, column, s->vectors[column], row, s->key) != 0) {
            return false;
        }
    }
    return true;
}

static db_err keep_key(struct op_window *s, uint32_t row)
{
    const struct window_run *r = &s->run;
    if (r->plan->partition_count == 0) {
        return ERR_OK;
    }
    size_t size = packed_size(&r->format, s->vectors, row);
    if (size > s->key_cap) {
        struct packed_row *grown = mem_realloc(s->key, size * 2);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        s->key = grown;
        s->key_cap = size * 2;
    }
    packed_write(&r->format, s->vectors, row, size, s->key);
    return ERR_OK;
}

/* Rows in the chunk still lie in the store: it is spilled only when they were given. */
static db_err store_row(struct op_window *s, struct exec_ctx *ctx, uint32_t row, bool *ret_pause)
{
    struct row_store *store = &s->run.store;
    db_err err = row_store_add(store, ctx, s->vectors, row);
    if (err == ERR_LIMIT && !store->spilled && store->count != 0 && s->out.count != 0) {
        *ret_pause = true;
        return ERR_OK;
    }
    if (err == ERR_LIMIT && !store->spilled && store->count != 0) {
        TRY(row_store_spill(store, ctx));
        err = row_store_add(store, ctx, s->vectors, row);
    }
    return err;
}

/* The next partition into the store, behind what is there; none: first == last. */
static db_err read_partition(struct op_window *s, struct exec_ctx *ctx)
{
    struct window_run *r = &s->run;
    if (!s->is_reading) {
        r->first = r->last = r->store.count;
    }
    s->is_reading = false;
    while (!s->ended) {
        if (s->in == NULL || s->at == s->in->count) {
            TRY(next_input(s, ctx));
            continue;
        }
        uint32_t row = chunk_row(s->in, s->at);
        if (r->last == r->first) {
            TRY(keep_key(s, row));
        } else if (!same_partition(s, row)) {
            break;
        }
        TRY(store_row(s, ctx, row, &s->is_reading));
        if (s->is_reading) {
            return ERR_OK;
        }
        r->last = r->store.count;
        s->at++;
    }
    s->is_partition_open = r->last != r->first;
    window_frame_begin(r);
    return ERR_OK;
}

/* ---- results ---- */

/* Rows of the open partition into the chunk, as many as are looked up at once, until one of them
 * has no more. */
static db_err give_rows(struct op_window *s, struct exec_ctx *ctx)
{
    struct window_run *r = &s->run;
    uint64_t left = r->last - r->row;
    uint32_t room = CHUNK_ROWS - s->out.count;
    uint32_t n = left < room ? (uint32_t)left : room;
    n = n < s->step ? n : s->step;
    TRY(row_store_read(&r->store, ctx, r->row, n, s->out.columns, r->width, s->out.count));
    for (uint32_t i = 0; i < n && !s->is_full; i++, r->row++) {
        TRY(window_frame_set(r, ctx));
        for (uint32_t k = 0; k < r->plan->call_count; k++) {
            TRY(window_call_result(r, ctx, &r->calls[k], &s->out.columns[r->width + k],
                                   s->out.count));
        }
        s->out.count++;
        s->is_full = ctx->eval.arena->used - s->used > RESULT_BYTES_MAX;
    }
    s->is_partition_open = r->row != r->last;
    return fiber_checkpoint();
}

static db_err window_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_window *s = (struct op_window *)op;
    chunk_reset(&s->out);
    for (uint32_t i = s->run.width; i < s->out.column_count; i++) {
        s->out.columns[i].arena = ctx->eval.arena;
    }
    if (!s->is_partition_open && !s->is_reading) {
        row_store_clear(&s->run.store, ctx);
    }
    s->is_full = false;
    s->used = ctx->eval.arena->used;
    while (s->out.count < CHUNK_ROWS && !s->is_full) {
        if (!s->is_partition_open) {
            if (s->run.store.spilled && !s->is_reading) {
                break; /* cleared first, by the next call */
            }
            TRY(read_partition(s, ctx));
        }
        if (!s->is_partition_open) {
            break;
        }
        TRY(give_rows(s, ctx));
    }
    *ret = s->out.count == 0 ? NULL : &s->out;
    return ERR_OK;
}

static db_err window_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_window *s = (struct op_window *)op;
    row_store_clear(&s->run.store, ctx);
    s->in = NULL;
    s->ended = s->is_partition_open = s->is_reading = false;
    return op_rescan(op->children[0], ctx);
}

static void window_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_window *s = (struct op_window *)op;
    if (!s->opened) {
        return;
    }
    for (uint32_t i = 0; s->run.calls != NULL && i < s->run.plan->call_count; i++) {
        window_call_close(&s->run.calls[i]);
    }
    row_store_fini(&s->run.store);
    mem_free(s->key);
    arena_fini(&s->input);
    s->opened = false;
}

static const struct op_ops g_window = {"window", window_open, window_next, window_rescan,
                                       window_close};
const struct op_kind op_window_kind = {sizeof(struct op_window), &g_window};
