/* DISTINCT: the first of each kind, in the order of the input.
 *
 * Rows that are new go up at once. When memory is short, rows that are not in the table may be new
 * or not: they are numbered and written to a file, divided by their hash. After the input's end
 * each part gets a table of its own, and what is new in it goes through a sorter by number, so that
 * the order of the input holds for these rows too; all of them come behind those that went up
 * before. */
#include "base/fiber.h"
#include "sql/exec/exec_int.h"
#include "sql/exec/row_table.h"
#include "sql/exec/sorter.h"

struct op_distinct {
    struct op op;
    struct packed_format format; /* the columns, then the number */
    const struct sql_type **types;
    struct sql_type number_type;
    struct vector **vectors;
    struct vector number;
    uint64_t next_number;
    struct row_table seen;
    struct spill_parts parts;
    struct sorter sorter;
    struct sort_key by_number;
    struct arena scratch;
    struct arena input; /* the child's chunk */
    struct chunk chunk; /* the child's with a selection, or the sorter's rows */
    struct chunk again;
    uint64_t hashes[CHUNK_ROWS];
    uint16_t sel[CHUNK_ROWS];
    bool opened, ended, has_file;
};

static db_err distinct_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_distinct *s = (struct op_distinct *)op;
    const struct plan_node *n = op->node;
    uint32_t width = n->column_count;
    s->types = ARENA_ARRAY(ctx->arena, const struct sql_type *, width + 1);
    s->vectors = ARENA_ARRAY(ctx->arena, struct vector *, width + 1);
    if (s->types == NULL || s->vectors == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < width; i++) {
        s->types[i] = n->types[i];
    }
    s->number_type = type_int(TYPE_BIGINT, true);
    s->types[width] = &s->number_type;
    s->by_number = (struct sort_key){.column = width};
    TRY(packed_format_init(&s->format, s->types, width + 1, ctx->arena));
    TRY(vector_init_rows(&s->number, &s->number_type, 1, ctx->arena));
    s->number.index_mask = 0; /* one number, for whatever row is being kept */
    s->vectors[width] = &s->number;
    row_table_init(&s->seen, &s->format, width, ctx->mem, spill_budget(ctx));
    spill_parts_init(&s->parts);
    arena_init(&s->scratch, NULL, ctx->mem, 0);
    arena_init(&s->input, NULL, ctx->mem, 0);
    s->opened = true;
    return op_open(op->children[0], ctx);
}

static db_err spill_row(struct op_distinct *s, struct exec_ctx *ctx, uint32_t row, uint64_t hash)
{
    size_t size = packed_size(&s->format, s->vectors, row);
    struct packed_row *p = arena_alloc(&s->scratch, size);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    packed_write(&s->format, s->vectors, row, size, p);
    p->hash = hash;
    db_err err = spill_parts_write(&s->parts, ctx, 0, p);
    arena_reset(&s->scratch);
    return err;
}

/* New rows of the chunk to s->sel. `numbers`: of rows read back; NULL: rows are numbered now. */
static db_err keep_new(struct op_distinct *s, struct exec_ctx *ctx, const struct chunk *in,
                       const struct vector *numbers, uint32_t depth, uint32_t *ret_count)
{
    uint32_t width = s->op.node->column_count;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < width; i++) {
        s->vectors[i] = &in->columns[i];
    }
    packed_hash(&s->format, width, s->vectors, in->sel, in->count, s->hashes);
    for (uint32_t i = 0; i < in->count; i++) {
        uint32_t row = chunk_row(in, i);
        struct row_node *node;
        if (row_table_find(&s->seen, s->hashes[i], s->vectors, row) != NULL) {
            continue;
        }
        uint64_t number = numbers == NULL ? s->next_number++ : vec_u64(numbers, row);
        vec_set_i64(&s->number, 0, (int64_t)number);
        if (!s->parts.active) {
            db_err err = row_table_insert(&s->seen, s->hashes[i], s->vectors, row, &node);
            if (err == ERR_OK) {
                s->sel[kept++] = (uint16_t)row;
                continue;
            }
            if (err != ERR_LIMIT || s->seen.count == 0 || !spill_possible(ctx)) {
                return err;
            }
            spill_parts_start(&s->parts, depth);
        }
        TRY(spill_row(s, ctx, row, s->hashes[i]));
    }
    *ret_count = kept;
    return ERR_OK;
}

/* ---- the file ---- */

static db_err read_part(struct op_distinct *s, struct exec_ctx *ctx, struct spill_reader *reader,
                        uint32_t depth)
{
    const struct packed_row *rows[CHUNK_ROWS / 4];
    uint32_t width = s->op.node->column_count;
    for (;;) {
        uint32_t n;
        TRY(spill_read_rows(reader, ctx, rows, ARRAY_COUNT(rows), &n));
        if (n == 0) {
            return ERR_OK;
        }
        chunk_reset(&s->again);
        for (uint32_t c = 0; c <= width; c++) {
            packed_read(&s->format, rows, n, c, &s->again.columns[c], 0);
        }
        s->again.count = n;
        TRY(keep_new(s, ctx, &s->again, &s->again.columns[width], depth, &n));
        s->vectors[width] = &s->again.columns[width];
        db_err err = sorter_add(&s->sorter, ctx, s->vectors, s->sel, n);
        s->vectors[width] = &s->number;
        TRY(err);
        TRY(fiber_checkpoint());
    }
}

static db_err sort_file(struct op_distinct *s, struct exec_ctx *ctx)
{
    uint32_t width = s->op.node->column_count;
    struct spill_part *part;
    TRY(sorter_init(&s->sorter, ctx, s->types, width + 1, &s->by_number, 1, UINT64_MAX));
    if (s->again.columns == NULL) {
        TRY(chunk_init_rows(&s->again, s->types, width + 1, CHUNK_ROWS / 4, ctx->arena));
    }
    s->has_file = true;
    for (;;) {
        if (s->parts.active) {
            TRY(spill_parts_finish(&s->parts, ctx, 0));
            spill_parts_seal(&s->parts);
        }
        row_table_clear(&s->seen);
        part = spill_parts_take(&s->parts);
        if (part == NULL) {
            return sorter_finish(&s->sorter, ctx);
        }
        struct spill_reader reader;
        spill_reader_init(&reader, &part->runs[0]);
        db_err err = read_part(s, ctx, &reader, part->depth + 1);
        spill_reader_fini(&reader);
        spill_part_free(part);
        TRY(err);
    }
}

static db_err next_of_file(struct op_distinct *s, struct exec_ctx *ctx, struct chunk **ret)
{
    TRY(sorter_next(&s->sorter, ctx, CHUNK_ROWS / 4, &s->again));
    s->chunk = s->again;
    s->chunk.column_count = s->op.node->column_count;
    *ret = s->chunk.count == 0 ? NULL : &s->chunk;
    return ERR_OK;
}

static db_err distinct_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_distinct *s = (struct op_distinct *)op;
    struct chunk *in;
    *ret = NULL;
    while (!s->ended) {
        uint32_t n;
        arena_reset(&s->input);
        struct saved_arenas saved = exec__enter_arena(ctx, &s->input);
        db_err err = op_child_next(op, ctx, 0, &in);
        exec__leave_arena(ctx, saved);
        TRY(err);
        if (in == NULL) {
            s->ended = true;
            if (s->parts.active) {
                TRY(sort_file(s, ctx));
            }
            break;
        }
        TRY(keep_new(s, ctx, in, NULL, 0, &n));
        if (n != 0) {
            s->chunk = *in;
            s->chunk.sel = s->sel;
            s->chunk.count = n;
            *ret = &s->chunk;
            return ERR_OK;
        }
    }
    return s->has_file ? next_of_file(s, ctx, ret) : ERR_OK;
}

static db_err distinct_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_distinct *s = (struct op_distinct *)op;
    sorter_fini(&s->sorter);
    spill_parts_fini(&s->parts);
    spill_parts_init(&s->parts);
    row_table_clear(&s->seen);
    s->ended = s->has_file = false;
    s->next_number = 0;
    return op_rescan(op->children[0], ctx);
}

static void distinct_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_distinct *s = (struct op_distinct *)op;
    sorter_fini(&s->sorter);
    if (s->opened) {
        spill_parts_fini(&s->parts);
        row_table_fini(&s->seen);
        arena_fini(&s->scratch);
        arena_fini(&s->input);
        s->opened = false;
    }
}

static const struct op_ops g_distinct = {"distinct", distinct_open, distinct_next, distinct_rescan,
                                         distinct_close};
const struct op_kind op_distinct_kind = {sizeof(struct op_distinct), &g_distinct};
