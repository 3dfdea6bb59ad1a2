/* A hash join whose right side does not fit into memory.
 *
 * Both sides are divided by the hash of their keys into parts of a temporary file, and each part is
 * joined by itself; a part that is still too large is divided again. The plan counts on the order
 * of the left side, which the parts lose: left rows carry a number through the file, and what the
 * parts give is sorted by it.
 *
 * Rows of one key cannot be divided. When most of what fits of a part is of one key (or, of a join
 * without keys, always), its right side is read in blocks, each as large as the memory allows, and
 * the left side once for each block. A left row that has met a partner is remembered from block to
 * block, one bit each; only with the last block is it known which have met none. */
#include "sql/exec/hash_join.h"

enum { PART_ROWS = 256, BUILD_SIDE = 0, PROBE_SIDE = 1 };

db_err hash_join_spill_table(struct op_hash_join *s, struct exec_ctx *ctx)
{
    for (struct row_node *n = s->table.first; n != NULL; n = n->newer) {
        TRY(spill_parts_write(&s->parts, ctx, BUILD_SIDE, &n->row));
    }
    row_table_clear(&s->table);
    return ERR_OK;
}

static db_err pack_and_spill(struct op_hash_join *s, struct exec_ctx *ctx,
                             const struct packed_format *f, struct vector *const *vectors,
                             uint32_t row, uint64_t hash, unsigned side)
{
    size_t size = packed_size(f, vectors, row);
    struct packed_row *p = arena_alloc(&s->scratch, size);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    packed_write(f, vectors, row, size, p);
    p->hash = hash;
    db_err err = spill_parts_write(&s->parts, ctx, side, p);
    arena_reset(&s->scratch);
    return err;
}

db_err hash_join_spill_row(struct op_hash_join *s, struct exec_ctx *ctx, uint32_t row,
                           uint64_t hash)
{
    return pack_and_spill(s, ctx, &s->format, s->build, row, hash, BUILD_SIDE);
}

static db_err prepare_parts(struct op_hash_join *s, struct exec_ctx *ctx)
{
    uint32_t out = s->out_width;
    if (s->left_types != NULL) {
        return ERR_OK;
    }
    s->left_types = ARENA_ARRAY(ctx->arena, const struct sql_type *, s->left_width + 1);
    s->out_types = ARENA_ARRAY(ctx->arena, const struct sql_type *, out + 1);
    s->left_vectors = ARENA_ARRAY(ctx->arena, struct vector *, s->left_width + 1);
    s->out_vectors = ARENA_ARRAY(ctx->arena, struct vector *, out + 1);
    if (s->left_types == NULL || s->out_types == NULL || s->left_vectors == NULL ||
        s->out_vectors == NULL) {
        return ERR_LIMIT;
    }
    s->number_type = type_int(TYPE_BIGINT, true); /* right rows alone have the highest number */
    for (uint32_t i = 0; i < s->left_width; i++) {
        s->left_types[i] = s->op.node->children[0]->types[i];
    }
    for (uint32_t i = 0; i < out; i++) {
        s->out_types[i] = s->op.node->types[i];
    }
    s->left_types[s->left_width] = s->out_types[out] = &s->number_type;
    TRY(vector_init_rows(&s->number, &s->number_type, 1, ctx->arena));
    s->number.index_mask = 0;
    TRY(packed_format_init(&s->left_format, s->left_types, s->left_width + 1, ctx->arena));
    TRY(chunk_init_rows(&s->left_again, s->left_types, s->left_width + 1, PART_ROWS, ctx->arena));
    return chunk_init(&s->out, s->out_types, out + 1, ctx->arena);
}

static db_err spill_left(struct op_hash_join *s, struct exec_ctx *ctx)
{
    struct chunk *left;
    for (;;) {
        TRY(hash_join_next_left(s, ctx, &left));
        if (left == NULL) {
            return spill_parts_finish(&s->parts, ctx, PROBE_SIDE);
        }
        for (uint32_t i = 0; i < s->left_width; i++) {
            s->left_vectors[i] = &left->columns[i];
        }
        s->left_vectors[s->left_width] = &s->number;
        for (uint32_t i = 0; i < left->count; i++) {
            vec_set_i64(&s->number, 0, (int64_t)s->next_number++);
            TRY(pack_and_spill(s, ctx, &s->left_format, s->left_vectors, chunk_row(left, i),
                               s->hashes[i], PROBE_SIDE));
        }
    }
}

/* ---- parts and blocks ---- */

static db_err copy_run(struct op_hash_join *s, struct exec_ctx *ctx, struct spill_reader *reader,
                       unsigned side)
{
    const struct packed_row *row;
    for (;;) {
        TRY(spill_read(reader, ctx, &row));
        if (row == NULL) {
            return spill_parts_finish(&s->parts, ctx, side);
        }
        TRY(spill_parts_write(&s->parts, ctx, side, row));
    }
}

/* The part's right side is too large: both sides of it go to a new level. */
static db_err divide(struct op_hash_join *s, struct exec_ctx *ctx)
{
    spill_parts_start(&s->parts, s->part->depth + 1);
    TRY(hash_join_spill_table(s, ctx));
    TRY(spill_parts_write(&s->parts, ctx, BUILD_SIDE, s->waiting));
    s->waiting = NULL;
    TRY(copy_run(s, ctx, &s->build_reader, BUILD_SIDE));
    struct spill_reader left;
    spill_reader_init(&left, &s->part->runs[PROBE_SIDE]);
    db_err err = copy_run(s, ctx, &left, PROBE_SIDE);
    spill_reader_fini(&left);
    TRY(err);
    spill_parts_seal(&s->parts);
    return ERR_OK;
}

static db_err fill_table(struct op_hash_join *s, struct exec_ctx *ctx, uint64_t *ret_of_first)
{
    const struct packed_row *row = s->waiting;
    s->waiting = NULL;
    *ret_of_first = 0;
    for (;;) {
        if (row == NULL) {
            TRY(spill_read(&s->build_reader, ctx, &row));
        }
        if (row == NULL) {
            return ERR_OK;
        }
        db_err err = row_table_append_packed(&s->table, row);
        if (err == ERR_LIMIT && s->table.count != 0) {
            s->waiting = row;
            return ERR_OK;
        }
        TRY(err);
        *ret_of_first += row->hash == s->table.first->row.hash;
        row = NULL;
    }
}

/* As many of the part's right rows as fit into the empty table, with room for its buckets.
 * *ret_of_first: how many of them have the key of the first. */
static db_err load_block(struct op_hash_join *s, struct exec_ctx *ctx, uint64_t *ret_of_first)
{
    enum { BUCKETS_SHARE = 3 };
    size_t budget = s->table.budget;
    s->table.budget -= s->key_count == 0 ? 0 : budget / BUCKETS_SHARE;
    db_err err = fill_table(s, ctx, ret_of_first);
    s->table.budget = budget;
    return err;
}

static db_err block_ready(struct op_hash_join *s)
{
    TRY(row_table_build_small(&s->table));
    spill_reader_fini(&s->reader);
    spill_reader_init(&s->reader, &s->part->runs[PROBE_SIDE]);
    s->rest = s->table.first;
    s->left_at = 0;
    s->run->partial = s->waiting != NULL;
    return ERR_OK;
}

static db_err begin_blocks(struct op_hash_join *s)
{
    enum { WORD_BITS = 64 };
    enum join_kind k = s->run->kind;
    if (k == JOIN_INNER || k == JOIN_CROSS) {
        return ERR_OK;
    }
    uint64_t rows = s->part->runs[PROBE_SIDE].rows;
    s->matched = ARENA_ARRAY(&s->marks, uint64_t, rows / WORD_BITS + 1);
    return s->matched == NULL ? ERR_LIMIT : ERR_OK;
}

/* Takes parts until the first block of one is in the table, with its left side ready to be read. */
static db_err next_part(struct op_hash_join *s, struct exec_ctx *ctx)
{
    for (;;) {
        uint64_t of_first;
        spill_reader_fini(&s->build_reader);
        spill_reader_fini(&s->reader);
        spill_part_free(s->part);
        row_table_clear(&s->table);
        arena_reset(&s->marks);
        s->matched = NULL;
        s->part = spill_parts_take(&s->parts);
        if (s->part == NULL) {
            s->ended = true;
            return ERR_OK;
        }
        spill_reader_init(&s->build_reader, &s->part->runs[BUILD_SIDE]);
        TRY(load_block(s, ctx, &of_first));
        bool one_key = of_first > s->table.count / 2 || s->part->depth >= SPILL_DEPTH_MAX;
        if (s->waiting != NULL && !one_key) {
            TRY(divide(s, ctx));
            continue;
        }
        TRY(s->waiting != NULL ? begin_blocks(s) : ERR_OK);
        return block_ready(s);
    }
}

static db_err next_left_of_part(struct op_hash_join *s, struct exec_ctx *ctx, struct chunk **ret)
{
    const struct packed_row *rows[PART_ROWS];
    uint32_t n;
    *ret = NULL;
    TRY(spill_read_rows(&s->reader, ctx, rows, PART_ROWS, &n));
    if (n == 0) {
        return ERR_OK;
    }
    chunk_reset(&s->left_again);
    for (uint32_t c = 0; c <= s->left_width; c++) {
        packed_read(&s->left_format, rows, n, c, &s->left_again.columns[c], 0);
    }
    s->left_again.count = n;
    arena_reset(&s->left_arena);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->left_arena);
    db_err err = ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < s->key_count; i++) {
        err = expr_eval(ctx, s->left_keys[i], &s->left_again, &s->probe[i]);
    }
    exec__leave_arena(ctx, saved);
    for (uint32_t i = 0; i < n; i++) {
        s->hashes[i] = rows[i]->hash;
    }
    *ret = &s->left_again;
    return err;
}

static db_err keep_result(struct op_hash_join *s, struct exec_ctx *ctx, const struct chunk *c)
{
    for (uint32_t i = 0; i <= s->out_width; i++) {
        s->out_vectors[i] = &c->columns[i];
    }
    return sorter_add(&s->sorter, ctx, s->out_vectors, c->sel, c->count);
}

/* Left rows left_at .. left_at + n of the part: what earlier blocks have said of them, and back. */
static void marks_to_run(struct op_hash_join *s, uint32_t n)
{
    for (uint32_t i = 0; s->matched != NULL && i < n; i++) {
        uint64_t at = s->left_at + i;
        s->run->matched[i >> 6] |= (s->matched[at >> 6] >> (at & 63) & 1) << (i & 63);
    }
}

static void marks_from_run(struct op_hash_join *s, uint32_t n)
{
    for (uint32_t i = 0; s->matched != NULL && i < n; i++) {
        uint64_t at = s->left_at + i;
        s->matched[at >> 6] |= (s->run->matched[i >> 6] >> (i & 63) & 1) << (at & 63);
    }
    s->left_at += n;
}

/* The part's left side with the rows in the table. */
static db_err join_block(struct op_hash_join *s, struct exec_ctx *ctx)
{
    struct chunk *c;
    for (;;) {
        TRY(next_left_of_part(s, ctx, &c));
        if (c == NULL) {
            break;
        }
        uint32_t n = c->count;
        join_run_left(s->run, c);
        marks_to_run(s, n);
        do {
            TRY(join_run_next(s->run, ctx, &c));
            if (c != NULL) {
                TRY(keep_result(s, ctx, c));
            }
        } while (c != NULL || !join_run_idle(s->run));
        marks_from_run(s, n);
    }
    while (s->run->kind == JOIN_FULL && s->rest != NULL) {
        TRY(join_run_rest(s->run, &s->rest, &c));
        if (c != NULL) {
            TRY(keep_result(s, ctx, c));
        }
    }
    return ERR_OK;
}

static db_err join_part(struct op_hash_join *s, struct exec_ctx *ctx)
{
    for (;;) {
        uint64_t of_first;
        TRY(join_block(s, ctx));
        if (s->waiting == NULL) {
            return ERR_OK;
        }
        row_table_clear(&s->table);
        TRY(load_block(s, ctx, &of_first));
        TRY(block_ready(s));
    }
}

db_err hash_join_parts(struct op_hash_join *s, struct exec_ctx *ctx)
{
    TRY(prepare_parts(s, ctx));
    TRY(spill_parts_finish(&s->parts, ctx, BUILD_SIDE));
    TRY(spill_left(s, ctx));
    spill_parts_seal(&s->parts);
    TRY(hash_join_use_run(s, ctx, true));
    s->by_number = (struct sort_key){.column = s->out_width};
    TRY(sorter_init(&s->sorter, ctx, s->out_types, s->out_width + 1, &s->by_number, 1, UINT64_MAX,
                    0));
    s->sorted = true;
    for (;;) {
        TRY(next_part(s, ctx));
        if (s->part == NULL) {
            break;
        }
        TRY(join_part(s, ctx));
    }
    row_table_fini(&s->table);
    row_table_init(&s->table, &s->format, s->key_count, ctx->mem, spill_budget(ctx));
    return sorter_finish(&s->sorter, ctx);
}

void hash_join_drop_parts(struct op_hash_join *s)
{
    spill_reader_fini(&s->build_reader);
    spill_reader_fini(&s->reader);
    spill_part_free(s->part);
    s->part = NULL;
    s->waiting = NULL;
    s->matched = NULL;
    spill_parts_fini(&s->parts);
    sorter_fini(&s->sorter);
}
