/* Hash join: the right side is built, the left side probes.
 *
 * When the right side does not fit, both sides go to a temporary file and are joined part by part
 * (hash_join_parts.c).
 *
 * A key with NULL has no partner unless the comparison is <=>. NOT IN (null-aware ANTI): with any
 * right row at all, a NULL on either side makes the answer unknown, and the row goes.
 *
 * Run again, a join whose right side gives the same rows (sql/opt/steady.c) keeps what it has
 * built, unless that is in a file.
 *
 * A nested loop whose right side does not depend on the left row is a hash join without keys: every
 * right row is a candidate of every left row. */
#include "sql/exec/hash_join.h"

#include "base/fiber.h"
#include "sql/diag/my_error.h"

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
    if (s->key_count == 0) {
        return s->table.first;
    }
    return has_null_key(s, s->probe, row) ? NULL
                                          : row_table_find(&s->table, s->hashes[i], s->probe, row);
}

static struct row_node *next_partner(void *arg, struct row_node *n, uint32_t i, uint32_t row)
{
    struct op_hash_join *s = arg;
    return s->key_count == 0 ? n->newer
                             : row_table_match(&s->table, n->next, s->hashes[i], s->probe, row);
}

/* ---- opening ---- */

static db_err prepare(struct op_hash_join *s, struct exec_ctx *ctx)
{
    const struct plan_node *n = s->op.node;
    const struct plan_node *r = n->children[1];
    uint32_t width = s->key_count + s->right_width;
    const struct sql_type **types = ARENA_ARRAY(ctx->arena, const struct sql_type *, width + 1);
    s->build = ARENA_ARRAY(ctx->arena, struct vector *, width + 1);
    s->probe = ARENA_ARRAY(ctx->arena, struct vector *, s->key_count + 1);
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

db_err hash_join_use_run(struct op_hash_join *s, struct exec_ctx *ctx, bool numbered)
{
    const struct plan_node *r = s->op.node->children[1];
    s->run = &s->runs[numbered];
    if (!s->run->initialised) {
        TRY(join_run_init(s->run, ctx, s->op.node, r->types, r->column_count, &s->format,
                          s->key_count, numbered ? &s->number_type : NULL));
        s->run->cursor = (struct join_cursor){first_partner, next_partner, s};
    }
    s->run->left = NULL;
    s->run->n = 0;
    return ERR_OK;
}

static db_err start_right(struct op_hash_join *s, struct exec_ctx *ctx)
{
    if (s->right_opened) {
        return ERR_OK;
    }
    s->right_opened = true;
    return op_open(s->op.children[1], ctx);
}

static db_err hash_join_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_hash_join *s = (struct op_hash_join *)op;
    const struct plan_node *n = op->node;
    s->key_count = n->u.join.key_count;
    s->left_width = n->children[0]->column_count;
    s->right_width = n->children[1]->column_count;
    s->out_width = n->column_count;
    arena_init(&s->left_arena, NULL, ctx->mem, 0);
    arena_init(&s->right_arena, NULL, ctx->mem, 0);
    arena_init(&s->scratch, NULL, ctx->mem, 0);
    arena_init(&s->marks, NULL, ctx->mem, 0);
    spill_parts_init(&s->parts);
    row_table_init(&s->table, &s->format, s->key_count, ctx->mem, spill_budget(ctx));
    s->opened = true;
    TRY(prepare(s, ctx));
    TRY(hash_join_use_run(s, ctx, false));
    TRY(op_open(op->children[0], ctx));
    return s->run->fixed_count == 0 ? start_right(s, ctx) : ERR_OK;
}

/* ---- building ---- */

static db_err build_row(struct op_hash_join *s, struct exec_ctx *ctx, uint32_t row, uint64_t hash)
{
    if (!s->spilled) {
        db_err err = row_table_append(&s->table, hash, s->build, row);
        if (err != ERR_LIMIT || !spill_possible(ctx)) {
            return err;
        }
        s->spilled = true;
        spill_parts_start(&s->parts, 0);
        TRY(hash_join_spill_table(s, ctx));
    }
    return hash_join_spill_row(s, ctx, row, hash);
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
        if (s->run->kind != JOIN_FULL && has_null_key(s, s->build, row)) {
            continue; /* no left row will ask for it */
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

static db_err left_chunk(struct op_hash_join *s, struct exec_ctx *ctx, struct chunk **ret)
{
    arena_reset(&s->left_arena);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->left_arena);
    db_err err = op_child_next(&s->op, ctx, 0, ret);
    exec__leave_arena(ctx, saved);
    return err;
}

db_err hash_join_next_left(struct op_hash_join *s, struct exec_ctx *ctx, struct chunk **ret)
{
    struct chunk *left = s->ahead;
    *ret = s->ahead = NULL;
    TRY(left == NULL ? left_chunk(s, ctx, &left) : ERR_OK);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->left_arena);
    db_err err = ERR_OK;
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

/* ---- results ---- */

/* A condition that is the same for all rows decides, when there is a left row, whether the right
 * side is read at all. */
static db_err ask_first(struct op_hash_join *s, struct exec_ctx *ctx, bool *ret_never)
{
    *ret_never = false;
    if (s->run->fixed_count == 0) {
        return ERR_OK;
    }
    TRY(left_chunk(s, ctx, &s->ahead));
    s->ended = *ret_never = s->ahead == NULL;
    return s->ended ? ERR_OK : join_run_ask(s->run, ctx, ret_never);
}

static db_err build(struct op_hash_join *s, struct exec_ctx *ctx)
{
    bool never;
    TRY(ask_first(s, ctx, &never));
    if (s->ended) {
        return ERR_OK;
    }
    TRY(never ? ERR_OK : start_right(s, ctx));
    struct saved_arenas saved = exec__enter_arena(ctx, &s->right_arena);
    db_err err = never ? ERR_OK : read_right(s, ctx);
    exec__leave_arena(ctx, saved);
    TRY(err);
    if (!s->spilled) {
        err = row_table_build(&s->table);
        if (err == ERR_LIMIT && spill_possible(ctx)) {
            s->spilled = true;
            spill_parts_start(&s->parts, 0);
            err = hash_join_spill_table(s, ctx);
        }
        TRY(err);
    }
    s->built = true;
    s->rest = s->table.first;
    return s->spilled ? hash_join_parts(s, ctx) : ERR_OK;
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
    enum join_kind k = s->run->kind;
    return s->right_rows == 0 && (k == JOIN_INNER || k == JOIN_CROSS || k == JOIN_SEMI);
}

static db_err hash_join_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_hash_join *s = (struct op_hash_join *)op;
    *ret = NULL;
    if (!s->built && !s->ended) {
        TRY(build(s, ctx));
    }
    if (s->sorted) {
        return next_sorted(s, ctx, ret);
    }
    s->ended = s->ended || is_empty(s);
    while (*ret == NULL && !s->ended) {
        if (join_run_idle(s->run)) {
            struct chunk *left;
            TRY(hash_join_next_left(s, ctx, &left));
            s->ended = left == NULL;
            if (left != NULL) {
                join_run_left(s->run, left);
            }
        }
        TRY(join_run_next(s->run, ctx, ret));
    }
    while (*ret == NULL && s->run->kind == JOIN_FULL && s->rest != NULL) {
        TRY(join_run_rest(s->run, &s->rest, ret));
    }
    return ERR_OK;
}

static db_err hash_join_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_hash_join *s = (struct op_hash_join *)op;
    s->ahead = NULL;
    if (op->node->u.join.keeps_right && s->built && !s->spilled) {
        s->ended = false;
        TRY(hash_join_use_run(s, ctx, false));
        return op_rescan(op->children[0], ctx);
    }
    hash_join_drop_parts(s);
    spill_parts_init(&s->parts);
    row_table_clear(&s->table);
    s->built = s->ended = s->spilled = false;
    s->right_rows = s->next_number = 0;
    s->sorted = false;
    TRY(hash_join_use_run(s, ctx, false));
    TRY(op_rescan(op->children[0], ctx));
    return s->right_opened ? op_rescan(op->children[1], ctx) : ERR_OK;
}

static void hash_join_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_hash_join *s = (struct op_hash_join *)op;
    join_run_fini(&s->runs[0]);
    join_run_fini(&s->runs[1]);
    if (s->opened) {
        hash_join_drop_parts(s);
        row_table_fini(&s->table);
        arena_fini(&s->left_arena);
        arena_fini(&s->right_arena);
        arena_fini(&s->scratch);
        arena_fini(&s->marks);
        s->opened = false;
    }
}

static const struct op_ops g_hash_join = {"hash join", hash_join_open, hash_join_next,
                                          hash_join_rescan, hash_join_close};
const struct op_kind op_hash_join_kind = {sizeof(struct op_hash_join), &g_hash_join};
