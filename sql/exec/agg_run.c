/* DISTINCT is one hash table per aggregate for all groups: its key is the state's address and the
 * arguments. Past the budget, pairs that are not in the table go to a temporary file by hash; when
 * the input is at its end each part of the file is read with a table of its own, and what is new in
 * it updates the states. ORDER BY collects state address, arguments and keys in a sorter; the
 * updates come at the end, in order. */
#include "sql/exec/agg_run.h"

#include "base/fiber.h"
#include "sql/exec/exec_int.h"

/* Rows of one chunk that are the first of their kind. */
struct fresh_rows {
    uint64_t hashes[CHUNK_ROWS];
    uint16_t sel[CHUNK_ROWS];
    void *states[CHUNK_ROWS];
};

struct agg_one {
    const struct agg_call *call;
    uint32_t arg_count, order_count;
    struct expr_state **args, **order;
    size_t offset; /* of its state within a group's */
    /* state address, arguments, order keys: what the table and the sorter keep */
    const struct sql_type **types;
    struct vector **vectors; /* what is worked on: one of the next two */
    struct vector **input_vectors, **again_vectors;
    struct vector address;
    bool distinct, ordered;
    struct packed_format format; /* of address and arguments */
    struct row_table seen;
    struct spill_parts parts;
    struct fresh_rows *fresh;
    struct sort_key *keys;
    struct sorter sorter;
    struct chunk again; /* rows that come back from a file or the sorter */
    bool has_table, has_again;
};

static const struct sql_type *address_type(struct exec_ctx *ctx)
{
    struct sql_type *t = ARENA_NEW(ctx->arena, struct sql_type);
    if (t != NULL) {
        *t = type_int(TYPE_BIGINT, true);
    }
    return t;
}

static db_err open_kept(struct agg_one *a, struct exec_ctx *ctx)
{
    uint32_t width = 1 + a->arg_count + a->order_count;
    a->types = ARENA_ARRAY(ctx->arena, const struct sql_type *, width);
    a->input_vectors = ARENA_ARRAY(ctx->arena, struct vector *, width);
    a->again_vectors = ARENA_ARRAY(ctx->arena, struct vector *, width);
    if (a->types == NULL || a->input_vectors == NULL || a->again_vectors == NULL) {
        return ERR_LIMIT;
    }
    a->vectors = a->input_vectors;
    a->types[0] = address_type(ctx);
    if (a->types[0] == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < a->arg_count; i++) {
        a->types[1 + i] = &a->args[i]->e->type;
    }
    for (uint32_t i = 0; i < a->order_count; i++) {
        a->types[1 + a->arg_count + i] = &a->order[i]->e->type;
    }
    TRY(vector_init(&a->address, a->types[0], ctx->arena));
    a->vectors[0] = &a->address;
    return ERR_OK;
}

static db_err open_sorter(struct agg_one *a, struct exec_ctx *ctx)
{
    return sorter_init(&a->sorter, ctx, a->types, 1 + a->arg_count + a->order_count, a->keys,
                       a->order_count, UINT64_MAX, 0);
}

static db_err open_one(struct agg_one *a, struct exec_ctx *ctx, const struct plan_agg *p,
                       size_t budget)
{
    a->call = p->call;
    a->arg_count = p->call->arg_count;
    a->order_count = p->order_count;
    a->distinct = p->call->distinct && (p->call->def->flags & AGG_NO_DISTINCT_EFFECT) == 0;
    a->ordered = p->order_count != 0;
    TRY(exec__prepare_list(ctx, p->args, a->arg_count, &a->args));
    a->order = ARENA_ARRAY(ctx->arena, struct expr_state *, a->order_count + 1);
    a->keys = ARENA_ARRAY(ctx->arena, struct sort_key, a->order_count + 1);
    if (a->order == NULL || a->keys == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < a->order_count; i++) {
        TRY(expr_prepare(ctx, p->order[i].expr, &a->order[i]));
        a->keys[i] = (struct sort_key){1 + a->arg_count + i, p->order[i].descending};
    }
    if (!a->distinct && !a->ordered) {
        a->vectors = a->input_vectors = ARENA_ARRAY(ctx->arena, struct vector *, 1 + a->arg_count);
        return a->vectors == NULL ? ERR_LIMIT : ERR_OK;
    }
    TRY(open_kept(a, ctx));
    if (a->distinct) {
        /* The order keys of a DISTINCT call come along, so that a row of the file is complete. */
        TRY(packed_format_init(&a->format, a->types, 1 + a->arg_count + a->order_count,
                               ctx->arena));
        row_table_init(&a->seen, &a->format, 1 + a->arg_count, ctx->mem, budget);
        spill_parts_init(&a->parts);
        a->has_table = true;
        a->fresh = arena_alloc(ctx->arena, sizeof(*a->fresh));
        if (a->fresh == NULL) {
            return ERR_LIMIT;
        }
    }
    return a->ordered ? open_sorter(a, ctx) : ERR_OK;
}

/* Aggregates that keep rows share one budget. */
static uint32_t keepers(const struct plan_node *node)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->u.agg.agg_count; i++) {
        n += node->u.agg.aggs[i].call->distinct;
    }
    return n;
}

static db_err open_inputs(struct agg_run *r, struct exec_ctx *ctx)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        total += r->aggs[i].arg_count + r->aggs[i].order_count;
    }
    struct eval_list *l = ARENA_NEW(ctx->arena, struct eval_list);
    if (l == NULL) {
        return ERR_LIMIT;
    }
    l->states = ARENA_ARRAY(ctx->arena, struct expr_state *, total + 1);
    l->results = ARENA_ARRAY(ctx->arena, struct vector **, total + 1);
    if (l->states == NULL || l->results == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        struct agg_one *a = &r->aggs[i];
        for (uint32_t k = 0; k < a->arg_count + a->order_count; k++) {
            l->states[l->count] = k < a->arg_count ? a->args[k] : a->order[k - a->arg_count];
            l->results[l->count++] = &a->input_vectors[1 + k];
        }
    }
    r->inputs = l;
    return ERR_OK;
}

db_err agg_run_open(struct agg_run *r, struct exec_ctx *ctx, const struct plan_node *node)
{
    *r = (struct agg_run){.node = node, .count = node->u.agg.agg_count};
    arena_init(&r->states, NULL, ctx->mem, 0);
    arena_init(&r->scratch, NULL, ctx->mem, 0);
    r->initialised = true;
    r->aggs = ARENA_ARRAY(ctx->arena, struct agg_one, r->count + 1);
    r->offsets = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*r->offsets));
    if (r->aggs == NULL || r->offsets == NULL) {
        return ERR_LIMIT;
    }
    size_t budget = spill_budget(ctx) / (keepers(node) + 1);
    for (uint32_t i = 0; i < r->count; i++) {
        struct agg_one *a = &r->aggs[i];
        r->opened++;
        TRY(open_one(a, ctx, &node->u.agg.aggs[i], budget));
        a->offset = r->state_size;
        r->state_size += (a->call->def->state_size + 15) & ~(size_t)15;
    }
    return open_inputs(r, ctx);
}

void *agg_run_new_state(struct agg_run *r)
{
    void *state = arena_alloc_aligned(&r->states, r->state_size + 1, 16);
    if (state != NULL) {
        memset(state, 0, r->state_size + 1);
    }
    return state;
}

db_err agg_run_eval(struct agg_run *r, struct exec_ctx *ctx, const struct chunk *in)
{
    return exec__eval_list(r->inputs, ctx, in);
}

static db_err call_update(struct agg_run *r, struct exec_ctx *ctx, struct agg_one *a,
                          const uint16_t *sel, uint32_t n, void *const *states)
{
    for (uint32_t i = 0; i < n; i++) {
        r->offsets[i] = (uint8_t *)states[i] + a->offset;
    }
    return a->call->def->update(&ctx->eval, a->call, &r->states, a->vectors + 1, sel, n,
                                r->offsets);
}

static void set_addresses(struct agg_one *a, const uint16_t *sel, uint32_t n, void *const *states)
{
    vector_reset(&a->address);
    for (uint32_t i = 0; i < n; i++) {
        vec_set_i64(&a->address, sel == NULL ? i : sel[i], (int64_t)(intptr_t)states[i]);
    }
}

static db_err give(struct agg_run *r, struct exec_ctx *ctx, struct agg_one *a, const uint16_t *sel,
                   uint32_t n, void *const *states)
{
    if (n == 0) {
        return ERR_OK;
    }
    return a->ordered ? sorter_add(&a->sorter, ctx, a->vectors, sel, n)
                      : call_update(r, ctx, a, sel, n, states);
}

static db_err spill_row(struct agg_run *r, struct exec_ctx *ctx, struct agg_one *a, uint32_t row,
                        uint64_t hash)
{
    size_t size = packed_size(&a->format, a->vectors, row);
    struct packed_row *p = arena_alloc(&r->scratch, size);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    packed_write(&a->format, a->vectors, row, size, p);
    p->hash = hash;
    db_err err = spill_parts_write(&a->parts, ctx, 0, p);
    arena_reset(&r->scratch);
    return err;
}

/* Keeps the rows whose (state, arguments) pair is new. `depth`: of the level a spill would open. */
static db_err distinct_rows(struct agg_run *r, struct exec_ctx *ctx, struct agg_one *a,
                            const uint16_t *sel, uint32_t n, void *const *states, uint32_t depth)
{
    struct fresh_rows *fresh = a->fresh;
    const uint64_t *hashes = fresh->hashes;
    uint32_t kept = 0;
    packed_hash(&a->format, 1 + a->arg_count, a->vectors, sel, n, fresh->hashes);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel == NULL ? i : sel[i];
        struct row_node *node;
        if (row_table_find(&a->seen, hashes[i], a->vectors, row) != NULL) {
            continue;
        }
        if (!a->parts.active) {
            db_err err = row_table_insert(&a->seen, hashes[i], a->vectors, row, &node);
            if (err == ERR_OK) {
                fresh->sel[kept] = (uint16_t)row;
                fresh->states[kept++] = states[i];
                continue;
            }
            if (err != ERR_LIMIT || !spill_possible(ctx) || a->seen.count == 0) {
                return err;
            }
            spill_parts_start(&a->parts, depth);
        }
        TRY(spill_row(r, ctx, a, row, hashes[i]));
    }
    return give(r, ctx, a, fresh->sel, kept, fresh->states);
}

db_err agg_run_update(struct agg_run *r, struct exec_ctx *ctx, const uint16_t *sel, uint32_t n,
                      void *const *states)
{
    for (uint32_t i = 0; i < r->count && n != 0; i++) {
        struct agg_one *a = &r->aggs[i];
        if (a->distinct || a->ordered) {
            set_addresses(a, sel, n, states);
        }
        if (a->distinct) {
            TRY(distinct_rows(r, ctx, a, sel, n, states, 0));
        } else {
            TRY(give(r, ctx, a, sel, n, states));
        }
    }
    return ERR_OK;
}

/* ---- at the end of the input ---- */

static db_err prepare_again(struct agg_one *a, struct exec_ctx *ctx)
{
    if (!a->has_again) {
        TRY(chunk_init(&a->again, a->types, 1 + a->arg_count + a->order_count, ctx->arena));
        a->has_again = true;
        for (uint32_t i = 0; i < a->again.column_count; i++) {
            a->again_vectors[i] = &a->again.columns[i];
        }
    }
    a->vectors = a->again_vectors;
    return ERR_OK;
}

static void again_states(const struct agg_one *a, void **states)
{
    for (uint32_t i = 0; i < a->again.count; i++) {
        states[i] = (void *)(intptr_t)vec_i64(&a->again.columns[0], i);
    }
}

static db_err read_part(struct agg_run *r, struct exec_ctx *ctx, struct agg_one *a,
                        struct spill_reader *reader, uint32_t depth)
{
    const struct packed_row *rows[CHUNK_ROWS / 4];
    void *states[CHUNK_ROWS / 4];
    for (;;) {
        uint32_t n;
        TRY(spill_read_rows(reader, ctx, rows, ARRAY_COUNT(rows), &n));
        if (n == 0) {
            return ERR_OK;
        }
        chunk_reset(&a->again);
        for (uint32_t c = 0; c < a->again.column_count; c++) {
            packed_read(&a->format, rows, n, c, &a->again.columns[c], 0);
        }
        a->again.count = n;
        again_states(a, states);
        TRY(distinct_rows(r, ctx, a, NULL, n, states, depth));
        TRY(fiber_checkpoint());
    }
}

static db_err finish_distinct(struct agg_run *r, struct exec_ctx *ctx, struct agg_one *a)
{
    struct spill_part *part;
    if (a->parts.active) {
        TRY(prepare_again(a, ctx));
    }
    for (;;) {
        if (a->parts.active) {
            TRY(spill_parts_finish(&a->parts, ctx, 0));
            spill_parts_seal(&a->parts);
        }
        row_table_clear(&a->seen);
        part = spill_parts_take(&a->parts);
        if (part == NULL) {
            return ERR_OK;
        }
        struct spill_reader reader;
        spill_reader_init(&reader, &part->runs[0]);
        db_err err = read_part(r, ctx, a, &reader, part->depth + 1);
        spill_reader_fini(&reader);
        spill_part_free(part);
        TRY(err);
    }
}

static db_err finish_ordered(struct agg_run *r, struct exec_ctx *ctx, struct agg_one *a)
{
    void *states[CHUNK_ROWS / 4];
    TRY(prepare_again(a, ctx));
    TRY(sorter_finish(&a->sorter, ctx));
    for (;;) {
        TRY(sorter_next(&a->sorter, ctx, ARRAY_COUNT(states), &a->again));
        if (a->again.count == 0) {
            return ERR_OK;
        }
        again_states(a, states);
        TRY(call_update(r, ctx, a, NULL, a->again.count, states));
        TRY(fiber_checkpoint());
    }
}

db_err agg_run_finish(struct agg_run *r, struct exec_ctx *ctx)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->aggs[i].distinct) {
            TRY(finish_distinct(r, ctx, &r->aggs[i]));
        }
        if (r->aggs[i].ordered) {
            TRY(finish_ordered(r, ctx, &r->aggs[i]));
        }
    }
    return ERR_OK;
}

db_err agg_run_result(struct agg_run *r, struct exec_ctx *ctx, const void *state,
                      struct vector *columns, uint32_t row)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct agg_one *a = &r->aggs[i];
        TRY(a->call->def->result(&ctx->eval, a->call, (const uint8_t *)state + a->offset,
                                 &columns[i], row));
    }
    return ERR_OK;
}

static void close_one(struct agg_one *a)
{
    if (a->has_table) {
        spill_parts_fini(&a->parts);
        row_table_fini(&a->seen);
        a->has_table = false;
    }
    sorter_fini(&a->sorter);
}

db_err agg_run_restart(struct agg_run *r, struct exec_ctx *ctx)
{
    for (uint32_t i = 0; i < r->count; i++) {
        struct agg_one *a = &r->aggs[i];
        if (a->distinct) {
            spill_parts_fini(&a->parts);
            spill_parts_init(&a->parts);
            row_table_clear(&a->seen);
        }
        if (a->ordered) {
            sorter_fini(&a->sorter);
            TRY(open_sorter(a, ctx));
        }
        a->vectors = a->input_vectors;
    }
    return ERR_OK;
}

db_err agg_run_reset(struct agg_run *r, struct exec_ctx *ctx)
{
    arena_reset(&r->states);
    return agg_run_restart(r, ctx);
}

void agg_run_close(struct agg_run *r)
{
    if (!r->initialised) {
        return;
    }
    for (uint32_t i = 0; i < r->opened; i++) {
        close_one(&r->aggs[i]);
    }
    arena_fini(&r->scratch);
    arena_fini(&r->states);
    r->initialised = false;
}
