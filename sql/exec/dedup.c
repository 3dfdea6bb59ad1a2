/* Rows that are new go on at once. When memory is short, rows that are not in the table may be new
 * or not: they are numbered and written to a file, divided by their hash. After the input's end
 * each part gets a table of its own, and what is new in it goes through a sorter by number, so that
 * the order of the input holds for these rows too; all of them come behind those that passed
 * before. */
#include "sql/exec/dedup.h"

#include "base/fiber.h"

db_err dedup_init(struct dedup *d, struct exec_ctx *ctx, const struct sql_type *const *types,
                  uint32_t count, uint32_t keys)
{
    d->width = count;
    d->keys = keys;
    d->types = ARENA_ARRAY(ctx->arena, const struct sql_type *, count + 1);
    d->vectors = ARENA_ARRAY(ctx->arena, struct vector *, count + 1);
    d->hashes = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*d->hashes));
    d->sel = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*d->sel));
    if (d->types == NULL || d->vectors == NULL || d->hashes == NULL || d->sel == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        d->types[i] = types[i];
    }
    d->number_type = type_int(TYPE_BIGINT, true);
    d->types[count] = &d->number_type;
    d->by_number = (struct sort_key){.column = count};
    TRY(packed_format_init(&d->format, d->types, count + 1, ctx->arena));
    TRY(vector_init_rows(&d->number, &d->number_type, 1, ctx->arena));
    d->number.index_mask = 0; /* one number, for whatever row is being kept */
    d->vectors[count] = &d->number;
    row_table_init(&d->seen, &d->format, keys, ctx->mem, spill_budget(ctx));
    spill_parts_init(&d->parts);
    arena_init(&d->scratch, NULL, ctx->mem, 0);
    d->initialised = true;
    return ERR_OK;
}

static db_err spill_row(struct dedup *d, struct exec_ctx *ctx, uint32_t row, uint64_t hash)
{
    size_t size = packed_size(&d->format, d->vectors, row);
    struct packed_row *p = arena_alloc(&d->scratch, size);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    packed_write(&d->format, d->vectors, row, size, p);
    p->hash = hash;
    db_err err = spill_parts_write(&d->parts, ctx, 0, p);
    arena_reset(&d->scratch);
    return err;
}

/* New rows of the chunk to d->sel. `numbers`: of rows read back; NULL: rows are numbered now. */
static db_err keep_new(struct dedup *d, struct exec_ctx *ctx, const struct chunk *in,
                       const struct vector *numbers, uint32_t depth, uint32_t *ret_count)
{
    uint32_t width = d->width;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < width; i++) {
        d->vectors[i] = &in->columns[i];
    }
    packed_hash(&d->format, d->keys, d->vectors, in->sel, in->count, d->hashes);
    for (uint32_t i = 0; i < in->count; i++) {
        uint32_t row = chunk_row(in, i);
        struct row_node *node;
        if (row_table_find(&d->seen, d->hashes[i], d->vectors, row) != NULL) {
            continue;
        }
        uint64_t number = numbers == NULL ? d->next_number++ : vec_u64(numbers, row);
        vec_set_i64(&d->number, 0, (int64_t)number);
        if (!d->parts.active) {
            db_err err = row_table_insert(&d->seen, d->hashes[i], d->vectors, row, &node);
            if (err == ERR_OK) {
                d->sel[kept++] = (uint16_t)row;
                continue;
            }
            if (err != ERR_LIMIT || d->seen.count == 0 || !spill_possible(ctx)) {
                return err;
            }
            spill_parts_start(&d->parts, depth);
        }
        TRY(spill_row(d, ctx, row, d->hashes[i]));
    }
    *ret_count = kept;
    return ERR_OK;
}

/* ---- the file ---- */

static db_err read_part(struct dedup *d, struct exec_ctx *ctx, struct spill_reader *reader,
                        uint32_t depth)
{
    const struct packed_row *rows[CHUNK_ROWS / 4];
    uint32_t width = d->width;
    for (;;) {
        uint32_t n;
        TRY(spill_read_rows(reader, ctx, rows, ARRAY_COUNT(rows), &n));
        if (n == 0) {
            return ERR_OK;
        }
        chunk_reset(&d->again);
        for (uint32_t c = 0; c <= width; c++) {
            packed_read(&d->format, rows, n, c, &d->again.columns[c], 0);
        }
        d->again.count = n;
        TRY(keep_new(d, ctx, &d->again, &d->again.columns[width], depth, &n));
        d->vectors[width] = &d->again.columns[width];
        db_err err = sorter_add(&d->sorter, ctx, d->vectors, d->sel, n);
        d->vectors[width] = &d->number;
        TRY(err);
        TRY(fiber_checkpoint());
    }
}

db_err dedup_end(struct dedup *d, struct exec_ctx *ctx)
{
    uint32_t width = d->width;
    struct spill_part *part;
    if (!d->parts.active) {
        return ERR_OK;
    }
    TRY(sorter_init(&d->sorter, ctx, d->types, width + 1, &d->by_number, 1, UINT64_MAX, 0));
    if (d->again.columns == NULL) {
        TRY(chunk_init_rows(&d->again, d->types, width + 1, CHUNK_ROWS / 4, ctx->arena));
    }
    d->has_file = true;
    for (;;) {
        if (d->parts.active) {
            TRY(spill_parts_finish(&d->parts, ctx, 0));
            spill_parts_seal(&d->parts);
        }
        row_table_clear(&d->seen);
        part = spill_parts_take(&d->parts);
        if (part == NULL) {
            return sorter_finish(&d->sorter, ctx);
        }
        struct spill_reader reader;
        spill_reader_init(&reader, &part->runs[0]);
        db_err err = read_part(d, ctx, &reader, part->depth + 1);
        spill_reader_fini(&reader);
        spill_part_free(part);
        TRY(err);
    }
}

db_err dedup_take(struct dedup *d, struct exec_ctx *ctx, const struct chunk *in, struct chunk **ret)
{
    uint32_t n;
    TRY(keep_new(d, ctx, in, NULL, 0, &n));
    d->chunk = *in;
    d->chunk.sel = d->sel;
    d->chunk.count = n;
    *ret = n == 0 ? NULL : &d->chunk;
    return ERR_OK;
}

db_err dedup_rest(struct dedup *d, struct exec_ctx *ctx, struct chunk **ret)
{
    *ret = NULL;
    if (!d->has_file) {
        return ERR_OK;
    }
    TRY(sorter_next(&d->sorter, ctx, CHUNK_ROWS / 4, &d->again));
    d->chunk = d->again;
    d->chunk.column_count = d->width;
    *ret = d->chunk.count == 0 ? NULL : &d->chunk;
    return ERR_OK;
}

void dedup_clear(struct dedup *d)
{
    sorter_fini(&d->sorter);
    spill_parts_fini(&d->parts);
    spill_parts_init(&d->parts);
    row_table_clear(&d->seen);
    d->has_file = false;
    d->next_number = 0;
}

void dedup_fini(struct dedup *d)
{
    sorter_fini(&d->sorter);
    if (d->initialised) {
        spill_parts_fini(&d->parts);
        row_table_fini(&d->seen);
        arena_fini(&d->scratch);
        d->initialised = false;
    }
}
