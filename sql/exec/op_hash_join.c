/* Hash join: the right side is built, the left side probes.
 *
 * When the right side does not fit, both sides are divided by the hash of their keys into parts of
 * a temporary file, and each part is joined by itself; a part that is still too large is divided
 * again. The plan counts on the order of the left side, which the parts lose: left rows carry a
 * number through the file, and what the parts give is sorted by it.
 *
 * A key with NULL has no partner unless the comparison is <=>. NOT IN (null-aware ANTI): with any
 * right row at all, a NULL on either side makes the answer unknown, and the row goes. */
#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/join_run.h"
#include "sql/exec/sorter.h"

enum { PART_ROWS = 256, BUILD_SIDE = 0, PROBE_SIDE = 1 };

struct op_hash_join {
    struct op op;
    uint32_t key_count, left_width, right_width, out_width;
    struct expr_state **left_keys, **right_keys;
    struct packed_format format; /* keys, right columns */
    struct row_table table;
    struct vector **build; /* keys, right columns */
    struct vector **probe; /* keys of the left chunk */
    uint64_t *hashes;
    uint64_t right_rows;
    bool right_null;        /* a right key has a NULL */
    struct row_node anyone; /* stands for "some right row" */
    struct join_run run;
    struct arena left_arena, right_arena, scratch;
    struct row_node *rest; /* FULL */
    bool opened, built, ended;
    /* parts */
    bool spilled, sorted;
    struct packed_format left_format; /* left columns, number */
    const struct sql_type **left_types, **out_types;
    struct sql_type number_type;
    struct vector **left_vectors, **out_vectors;
    struct vector number;
    uint64_t next_number;
    struct spill_parts parts;
    struct spill_part *part;
    struct spill_reader reader;
    struct chunk left_again, out;
    struct sort_key by_number;
    struct sorter sorter;
};

/* ---- candidates ---- */

static bool has_null_key(const struct op_hash_join *s, struct vector *const *keys, uint32_t row)
{
    const bool *safe = s->op.node->u.join.null_safe;
    for (uint32_t i = 0; i < s->key_count; i++) {
        if (!safe[i] && vec_is_null(keys[i], row)) {
            return true;
        }
    }
    return false;
}

static struct row_node *first_partner(void *arg, uint32_t i, uint32_t row)
{
    struct op_hash_join *s = arg;
    bool null = has_null_key(s, s->probe, row);
    if (s->run.null_is_match && s->right_rows != 0 && (null || s->right_null)) {
        return &s->anyone;
    }
    return null ? NULL : row_table_find(&s->table, s->hashes[i], s->probe, row);
}

static struct row_node *next_partner(void *arg, struct row_node *n, uint32_t i, uint32_t row)
{
    struct op_hash_join *s = arg;
    return row_table_match(&s->table, n->next, s->hashes[i], s->probe, row);
}

/* ---- opening ---- */

static db_err prepare(struct op_hash_join *s, struct exec_ctx *ctx)
{
    const struct plan_node *n = s->op.node;
    const struct plan_node *r = n->children[1];
    uint32_t width = s->key_count + s->right_width;
    const struct sql_type **types = ARENA_ARRAY(ctx->arena, const struct sql_type *, width);
    s->build = ARENA_ARRAY(ctx->arena, struct vector *, width);
    s->probe = ARENA_ARRAY(ctx->arena, struct vector *, s->key_count);
    s->hashes = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->hashes));
    if (types == NULL || s->build == NULL || s->probe == NULL || s->hashes == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < width; i++) {
        types[i] = i < s->key_count ? &n->u.join.right_keys[i]->type : r->types[i - s->key_count];
    }
    TRY(exec__prepare_list(ctx, n->u.join.left_keys, s->key_count, &s->left_keys));
    TRY(exec__prepare_list(ctx, n->u.join.right_keys, s->key_count, &s->right_keys));
    return packed_format_init(&s->format, types, width, ctx->arena);
}

static db_err start_run(struct op_hash_join *s, struct exec_ctx *ctx,
                        const struct sql_type *carry_type)
{
    const struct plan_node *r = s->op.node->children[1];
    TRY(join_run_init(&s->run, ctx, s->op.node, r->types, r->column_count, &s->format, s->key_count,
                      carry_type));
    s->run.cursor = (struct join_cursor){first_partner, next_partner, s};
    return ERR_OK;
}

static db_err hash_join_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_hash_join *s = (struct op_hash_join *)op;
    const struct plan_node *n = op->node;
    ASSERT(!n->u.join.null_aware || (n->u.join.key_count == 1 && n->u.join.filter_count == 0));
    s->key_count = n->u.join.key_count;
    s->left_width = n->children[0]->column_count;
    s->right_width = n->children[1]->column_count;
    s->out_width = n->column_count;
    arena_init(&s->left_arena, NULL, ctx->mem, 0);
    arena_init(&s->right_arena, NULL, ctx->mem, 0);
    arena_init(&s->scratch, NULL, ctx->mem, 0);
    spill_parts_init(&s->parts);
    row_table_init(&s->table, &s->format, s->key_count, ctx->mem, spill_budget(ctx));
    s->opened = true;
    TRY(prepare(s, ctx));
    TRY(start_run(s, ctx, NULL));
    TRY(op_open(op->children[0], ctx));
    return op_open(op->children[1], ctx);
}

/* ---- building ---- */

/* The table's rows to the open level's parts; the table is empty afterwards. */
static db_err spill_table(struct op_hash_join *s, struct exec_ctx *ctx)
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

static db_err build_row(struct op_hash_join *s, struct exec_ctx *ctx, uint32_t row, uint64_t hash)
{
    if (!s->spilled) {
        db_err err = row_table_append(&s->table, hash, s->build, row);
        if (err != ERR_LIMIT || !spill_possible(ctx)) {
            return err;
        }
        s->spilled = true;
        spill_parts_start(&s->parts, 0);
        TRY(spill_table(s, ctx));
    }
    return pack_and_spill(s, ctx, &s->format, s->build, row, hash, BUILD_SIDE);
}

static db_err build_chunk(struct op_hash_join *s, struct exec_ctx *ctx, const struct chunk *in)
{
    for (uint32_t i = 0; i < s->key_count; i++) {
        TRY(expr_eval(ctx, s->right_keys[i], in, &s->build[i]));
    }
    for (uint32_t i = 0; i < s->right_width; i++) {
        s->build[s->key_count + i] = &in->columns[i];
    }
    packed_hash(&s->format, s->key_count, s->build, in->sel, in->count, s->hashes);
    s->right_rows += in->count;
    for (uint32_t i = 0; i < in->count; i++) {
        uint32_t row = chunk_row(in, i);
        if (has_null_key(s, s->build, row)) {
            s->right_null = true;
            if (s->run.kind != JOIN_FULL) {
                continue; /* no left row will ask for it */
            }
        }
        TRY(build_row(s, ctx, row, s->hashes[i]));
    }
    return ERR_OK;
}

static db_err read_right(struct op_hash_join *s, struct exec_ctx *ctx)
{
    struct chunk *in;
    for (;;) {
        arena_reset(&s->right_arena);
        TRY(op_child_next(&s->op, ctx, 1, &in));
        if (in == NULL) {
            return ERR_OK;
        }
        TRY(build_chunk(s, ctx, in));
    }
}

/* ---- the left side ---- */

static db_err next_left(struct op_hash_join *s, struct exec_ctx *ctx, struct chunk **ret)
{
    struct chunk *left;
    *ret = NULL;
    arena_reset(&s->left_arena);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->left_arena);
    db_err err = op_child_next(&s->op, ctx, 0, &left);
    for (uint32_t i = 0; err == ERR_OK && left != NULL && i < s->key_count; i++) {
        err = expr_eval(ctx, s->left_keys[i], left, &s->probe[i]);
    }
    exec__leave_arena(ctx, saved);
    TRY(err);
    if (left != NULL) {
        packed_hash(&s->format, s->key_count, s->probe, left->sel, left->count, s->hashes);
    }
    *ret = left;
    return ERR_OK;
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
        TRY(next_left(s, ctx, &left));
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

/* ---- parts ---- */

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

/* The part's right side is too large: both sides of it go to a new level. `reader` is behind the
 * rows that are in the table; `last` is the one that did not fit. */
static db_err divide(struct op_hash_join *s, struct exec_ctx *ctx, struct spill_reader *reader,
                     const struct packed_row *last)
{
    if (s->part->depth >= SPILL_DEPTH_MAX) {
        return diag_set(ctx->diag, ERR_LIMIT,
                        "a join has too many rows of one key for the memory of the statement");
    }
    spill_parts_start(&s->parts, s->part->depth + 1);
    TRY(spill_table(s, ctx));
    if (last != NULL) {
        TRY(spill_parts_write(&s->parts, ctx, BUILD_SIDE, last));
    }
    TRY(copy_run(s, ctx, reader, BUILD_SIDE));
    struct spill_reader left;
    spill_reader_init(&left, &s->part->runs[PROBE_SIDE]);
    db_err err = copy_run(s, ctx, &left, PROBE_SIDE);
    spill_reader_fini(&left);
    TRY(err);
    spill_parts_seal(&s->parts);
    return ERR_OK;
}

static db_err load_rows(struct op_hash_join *s, struct exec_ctx *ctx, struct spill_reader *reader,
                        bool *ret_divided)
{
    const struct packed_row *row;
    *ret_divided = false;
    for (;;) {
        TRY(spill_read(reader, ctx, &row));
        db_err err =
            row == NULL ? row_table_build(&s->table) : row_table_append_packed(&s->table, row);
        if (err == ERR_LIMIT) {
            *ret_divided = true;
            return divide(s, ctx, reader, row);
        }
        TRY(err);
        if (row == NULL) {
            return ERR_OK;
        }
    }
}

/* Takes parts until one is in the table, with its left side ready to be read. */
static db_err next_part(struct op_hash_join *s, struct exec_ctx *ctx)
{
    for (;;) {
        bool divided;
        struct spill_reader reader;
        spill_reader_fini(&s->reader);
        spill_part_free(s->part);
        row_table_clear(&s->table);
        s->part = spill_parts_take(&s->parts);
        if (s->part == NULL) {
            s->ended = true;
            return ERR_OK;
        }
        spill_reader_init(&reader, &s->part->runs[BUILD_SIDE]);
        db_err err = load_rows(s, ctx, &reader, &divided);
        spill_reader_fini(&reader);
        TRY(err);
        if (!divided) {
            spill_reader_init(&s->reader, &s->part->runs[PROBE_SIDE]);
            s->rest = s->table.first;
            return ERR_OK;
        }
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

static db_err join_part(struct op_hash_join *s, struct exec_ctx *ctx)
{
    struct chunk *c;
    for (;;) {
        TRY(next_left_of_part(s, ctx, &c));
        if (c == NULL) {
            break;
        }
        join_run_left(&s->run, c);
        do {
            TRY(join_run_next(&s->run, ctx, &c));
            if (c != NULL) {
                TRY(keep_result(s, ctx, c));
            }
        } while (c != NULL || !join_run_idle(&s->run));
    }
    while (s->run.kind == JOIN_FULL && s->rest != NULL) {
        TRY(join_run_rest(&s->run, &s->rest, &c));
        if (c != NULL) {
            TRY(keep_result(s, ctx, c));
        }
    }
    return ERR_OK;
}

static db_err join_parts(struct op_hash_join *s, struct exec_ctx *ctx)
{
    TRY(prepare_parts(s, ctx));
    TRY(spill_parts_finish(&s->parts, ctx, BUILD_SIDE));
    TRY(spill_left(s, ctx));
    spill_parts_seal(&s->parts);
    join_run_fini(&s->run);
    TRY(start_run(s, ctx, &s->number_type));
    s->by_number = (struct sort_key){.column = s->out_width};
    TRY(sorter_init(&s->sorter, ctx, s->out_types, s->out_width + 1, &s->by_number, 1, UINT64_MAX));
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

/* ---- results ---- */

static db_err build(struct op_hash_join *s, struct exec_ctx *ctx)
{
    struct saved_arenas saved = exec__enter_arena(ctx, &s->right_arena);
    db_err err = read_right(s, ctx);
    exec__leave_arena(ctx, saved);
    TRY(err);
    if (!s->spilled) {
        err = row_table_build(&s->table);
        if (err == ERR_LIMIT && spill_possible(ctx)) {
            s->spilled = true;
            spill_parts_start(&s->parts, 0);
            err = spill_table(s, ctx);
        }
        TRY(err);
    }
    s->built = true;
    s->rest = s->table.first;
    return s->spilled ? join_parts(s, ctx) : ERR_OK;
}

static db_err next_sorted(struct op_hash_join *s, struct exec_ctx *ctx, struct chunk **ret)
{
    s->out.column_count = s->out_width + 1;
    TRY(sorter_next(&s->sorter, ctx, CHUNK_ROWS, &s->out));
    s->out.column_count = s->out_width;
    *ret = s->out.count == 0 ? NULL : &s->out;
    return ERR_OK;
}

/* Nothing on the right: some kinds need not read the left side. */
static bool is_empty(const struct op_hash_join *s)
{
    enum join_kind k = s->run.kind;
    return s->right_rows == 0 && (k == JOIN_INNER || k == JOIN_CROSS || k == JOIN_SEMI);
}

static db_err hash_join_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_hash_join *s = (struct op_hash_join *)op;
    *ret = NULL;
    if (!s->built) {
        TRY(build(s, ctx));
    }
    if (s->sorted) {
        return next_sorted(s, ctx, ret);
    }
    s->ended = s->ended || is_empty(s);
    while (*ret == NULL && !s->ended) {
        if (join_run_idle(&s->run)) {
            struct chunk *left;
            TRY(next_left(s, ctx, &left));
            s->ended = left == NULL;
            if (left != NULL) {
                join_run_left(&s->run, left);
            }
        }
        TRY(join_run_next(&s->run, ctx, ret));
    }
    while (*ret == NULL && s->run.kind == JOIN_FULL && s->rest != NULL) {
        TRY(join_run_rest(&s->run, &s->rest, ret));
    }
    return ERR_OK;
}

static void drop_parts(struct op_hash_join *s)
{
    spill_reader_fini(&s->reader);
    spill_part_free(s->part);
    s->part = NULL;
    spill_parts_fini(&s->parts);
    sorter_fini(&s->sorter);
}

static db_err hash_join_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_hash_join *s = (struct op_hash_join *)op;
    drop_parts(s);
    spill_parts_init(&s->parts);
    row_table_clear(&s->table);
    s->built = s->ended = s->spilled = s->right_null = false;
    s->right_rows = s->next_number = 0;
    if (s->sorted) {
        join_run_fini(&s->run);
        TRY(start_run(s, ctx, NULL));
        s->sorted = false;
    }
    s->run.left = NULL;
    s->run.n = 0;
    TRY(op_rescan(op->children[0], ctx));
    return op_rescan(op->children[1], ctx);
}

static void hash_join_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_hash_join *s = (struct op_hash_join *)op;
    join_run_fini(&s->run);
    if (s->opened) {
        drop_parts(s);
        row_table_fini(&s->table);
        arena_fini(&s->left_arena);
        arena_fini(&s->right_arena);
        arena_fini(&s->scratch);
        s->opened = false;
    }
}

static const struct op_ops g_hash_join = {"hash join", hash_join_open, hash_join_next,
                                          hash_join_rescan, hash_join_close};
const struct op_kind op_hash_join_kind = {sizeof(struct op_hash_join), &g_hash_join};
