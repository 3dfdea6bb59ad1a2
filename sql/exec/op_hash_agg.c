/* GROUP BY by a hash table of groups.
 *
 * While memory lasts every row finds or makes its group. When it does not, the groups there are go
 * on to be served, and rows of unknown groups are written to a file, divided by the hash of their
 * group. At the end of the input the groups are given out, and each part of the file is the input
 * of another round. Groups that were never spilled come in the order of their first rows. */
#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/agg_run.h"
#include "sql/exec/exec_int.h"

enum { FIRST_ROWS = 128 };

struct op_hash_agg {
    struct op op;
    struct expr_state **group_states;
    struct vector **groups; /* of the current chunk */
    struct packed_format group_format;
    struct row_table table; /* extra: the group's states */
    struct agg_run run;
    struct arena input;
    size_t budget;
    /* rows of unknown groups */
    struct packed_format row_format; /* the child's columns */
    struct vector **row_vectors;
    struct spill_parts parts;
    struct spill_part *part; /* being read */
    struct chunk again;      /* its rows */
    struct arena scratch;
    uint64_t *hashes;
    uint16_t *sel;
    void **states;
    /* results */
    struct row_node *at;
    struct chunk chunk;
    uint32_t room;
    bool opened, filled;
};

static db_err agg_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_hash_agg *s = (struct op_hash_agg *)op;
    const struct plan_node *n = op->node;
    uint32_t groups = n->u.agg.group_count;
    s->budget = spill_budget(ctx);
    TRY(packed_format_init(&s->group_format, n->types, groups, ctx->arena));
    row_table_init(&s->table, &s->group_format, groups, ctx->mem, s->budget);
    arena_init(&s->input, NULL, ctx->mem, 0);
    arena_init(&s->scratch, NULL, ctx->mem, 0);
    spill_parts_init(&s->parts);
    s->opened = true;
    s->groups = ARENA_ARRAY(ctx->arena, struct vector *, groups + 1);
    s->row_vectors =
        ARENA_ARRAY(ctx->arena, struct vector *, op->children[0]->node->column_count + 1);
    s->hashes = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->hashes));
    s->sel = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->sel));
    s->states = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->states));
    if (s->groups == NULL || s->row_vectors == NULL || s->hashes == NULL || s->sel == NULL ||
        s->states == NULL) {
        return ERR_LIMIT;
    }
    TRY(exec__prepare_list(ctx, n->u.agg.groups, groups, &s->group_states));
    TRY(agg_run_open(&s->run, ctx, n));
    return op_open(op->children[0], ctx);
}

/* ---- rows that do not fit ---- */

static db_err begin_spill(struct op_hash_agg *s, struct exec_ctx *ctx)
{
    const struct plan_node *child = s->op.children[0]->node;
    if (s->row_format.columns == NULL) {
        TRY(packed_format_init(&s->row_format, child->types, child->column_count, ctx->arena));
    }
    spill_parts_start(&s->parts, s->part == NULL ? 0 : s->part->depth + 1);
    return ERR_OK;
}

static db_err spill_row(struct op_hash_agg *s, struct exec_ctx *ctx, const struct chunk *in,
                        uint32_t row, uint64_t hash)
{
    for (uint32_t i = 0; i < in->column_count; i++) {
        s->row_vectors[i] = &in->columns[i];
    }
    size_t size = packed_size(&s->row_format, s->row_vectors, row);
    struct packed_row *p = arena_alloc(&s->scratch, size);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    packed_write(&s->row_format, s->row_vectors, row, size, p);
    p->hash = hash;
    db_err err = spill_parts_write(&s->parts, ctx, 0, p);
    arena_reset(&s->scratch);
    return err;
}

/* ---- input ---- */

static db_err new_group(struct op_hash_agg *s, uint64_t hash, uint32_t row, struct row_node **ret)
{
    if (s->table.count != 0 && row_table_bytes(&s->table) + s->run.states.used > s->budget) {
        return ERR_LIMIT;
    }
    void *state = agg_run_new_state(&s->run);
    if (state == NULL) {
        return ERR_LIMIT;
    }
    TRY(row_table_insert(&s->table, hash, s->groups, row, ret));
    (*ret)->extra = state;
    return ERR_OK;
}

static db_err consume(struct op_hash_agg *s, struct exec_ctx *ctx, const struct chunk *in)
{
    uint32_t groups = s->op.node->u.agg.group_count;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < groups; i++) {
        TRY(expr_eval(ctx, s->group_states[i], in, &s->groups[i]));
    }
    packed_hash(&s->group_format, groups, s->groups, in->sel, in->count, s->hashes);
    for (uint32_t i = 0; i < in->count; i++) {
        uint32_t row = chunk_row(in, i);
        struct row_node *node = row_table_find(&s->table, s->hashes[i], s->groups, row);
        if (node == NULL && !s->parts.active) {
            db_err err = new_group(s, s->hashes[i], row, &node);
            if (err == ERR_LIMIT && s->table.count != 0 && spill_possible(ctx)) {
                node = NULL;
                err = begin_spill(s, ctx);
            }
            TRY(err);
        }
        if (node == NULL) {
            TRY(spill_row(s, ctx, in, row, s->hashes[i]));
            continue;
        }
        s->sel[kept] = (uint16_t)row;
        s->states[kept++] = node->extra;
    }
    TRY(agg_run_eval(&s->run, ctx, in));
    return agg_run_update(&s->run, ctx, s->sel, kept, s->states);
}

static db_err consume_child(struct op_hash_agg *s, struct exec_ctx *ctx)
{
    struct chunk *in;
    for (;;) {
        arena_reset(&s->input);
        TRY(op_child_next(&s->op, ctx, 0, &in));
        if (in == NULL) {
            return ERR_OK;
        }
        TRY(consume(s, ctx, in));
    }
}

static db_err consume_run(struct op_hash_agg *s, struct exec_ctx *ctx, struct spill_reader *reader)
{
    const struct packed_row *rows[CHUNK_ROWS / 4];
    const struct plan_node *child = s->op.children[0]->node;
    if (s->again.columns == NULL) {
        TRY(chunk_init_rows(&s->again, child->types, child->column_count, ARRAY_COUNT(rows),
                            ctx->arena));
    }
    for (;;) {
        uint32_t n;
        arena_reset(&s->input);
        TRY(spill_read_rows(reader, ctx, rows, ARRAY_COUNT(rows), &n));
        if (n == 0) {
            return ERR_OK;
        }
        chunk_reset(&s->again);
        for (uint32_t c = 0; c < s->again.column_count; c++) {
            packed_read(&s->row_format, rows, n, c, &s->again.columns[c], 0);
        }
        s->again.count = n;
        TRY(consume(s, ctx, &s->again));
        TRY(fiber_checkpoint());
    }
}

static db_err consume_part(struct op_hash_agg *s, struct exec_ctx *ctx)
{
    struct spill_reader reader;
    row_table_clear(&s->table);
    TRY(agg_run_reset(&s->run, ctx));
    spill_reader_init(&reader, &s->part->runs[0]);
    db_err err = consume_run(s, ctx, &reader);
    spill_reader_fini(&reader);
    return err;
}

/* One round: the child, or a part of the file. */
static db_err fill(struct op_hash_agg *s, struct exec_ctx *ctx)
{
    struct saved_arenas saved = exec__enter_arena(ctx, &s->input);
    db_err err = s->part == NULL ? consume_child(s, ctx) : consume_part(s, ctx);
    if (err == ERR_OK && s->parts.active) {
        err = spill_parts_finish(&s->parts, ctx, 0);
        spill_parts_seal(&s->parts);
    }
    if (err == ERR_OK) {
        err = agg_run_finish(&s->run, ctx);
    }
    exec__leave_arena(ctx, saved);
    s->at = s->table.first;
    return err;
}

/* ---- results ---- */

static db_err result_room(struct op_hash_agg *s, struct exec_ctx *ctx)
{
    uint32_t room = s->table.count <= FIRST_ROWS ? FIRST_ROWS : CHUNK_ROWS;
    if (s->room >= room) {
        return ERR_OK;
    }
    s->room = room;
    return chunk_init_rows(&s->chunk, s->op.node->types, s->op.node->column_count, room,
                           ctx->arena);
}

static db_err give_groups(struct op_hash_agg *s, struct exec_ctx *ctx)
{
    uint32_t groups = s->op.node->u.agg.group_count;
    chunk_reset(&s->chunk);
    for (uint32_t c = groups; c < s->chunk.column_count; c++) {
        s->chunk.columns[c].arena = ctx->eval.arena;
    }
    for (; s->at != NULL && s->chunk.count < s->room; s->at = s->at->newer) {
        const struct packed_row *row = &s->at->row;
        for (uint32_t c = 0; c < groups; c++) {
            packed_read(&s->group_format, &row, 1, c, &s->chunk.columns[c], s->chunk.count);
        }
        TRY(agg_run_result(&s->run, ctx, s->at->extra, s->chunk.columns + groups, s->chunk.count));
        s->chunk.count++;
    }
    return ERR_OK;
}

static db_err agg_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_hash_agg *s = (struct op_hash_agg *)op;
    *ret = NULL;
    if (!s->filled) {
        TRY(fill(s, ctx));
        s->filled = true;
    }
    while (s->at == NULL) {
        struct spill_part *part = spill_parts_take(&s->parts);
        spill_part_free(s->part);
        s->part = part;
        if (part == NULL) {
            return ERR_OK;
        }
        TRY(fill(s, ctx));
    }
    TRY(result_room(s, ctx));
    TRY(give_groups(s, ctx));
    *ret = &s->chunk;
    return ERR_OK;
}

static void drop_file(struct op_hash_agg *s)
{
    spill_part_free(s->part);
    s->part = NULL;
    spill_parts_fini(&s->parts);
}

static db_err agg_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_hash_agg *s = (struct op_hash_agg *)op;
    drop_file(s);
    spill_parts_init(&s->parts);
    row_table_clear(&s->table);
    TRY(agg_run_reset(&s->run, ctx));
    s->filled = false;
    s->at = NULL;
    return op_rescan(op->children[0], ctx);
}

static void agg_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_hash_agg *s = (struct op_hash_agg *)op;
    agg_run_close(&s->run);
    if (s->opened) {
        drop_file(s);
        row_table_fini(&s->table);
        arena_fini(&s->input);
        arena_fini(&s->scratch);
        s->opened = false;
    }
}

static const struct op_ops g_hash_agg = {"hash aggregation", agg_open, agg_next, agg_rescan,
                                         agg_close};
const struct op_kind op_hash_agg_kind = {sizeof(struct op_hash_agg), &g_hash_agg};
