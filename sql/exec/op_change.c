/* UPDATE and DELETE.
 *
 * All rows are read (and locked) before the first is changed: a scan must not meet rows that its
 * own statement has moved.
 *
 * More rows than memory has place for, in the statement or in the table of row locks, make the
 * statement fail; with autocommit the session runs it again with bulk_change. Then rows are read in
 * the snapshot, in which it never meets its own writes, and each is changed as it comes; the writes
 * go to disk, and what a row took in memory is free with its chunk. That is for statements on one
 * table whose rows each appear once, and whose writes never meet on a key: no change of a unique
 * key, no action of a foreign key. */
#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/change_row.h"
#include "sql/exec/fk.h"
#include "sql/exec/key_set.h"

struct changed_rows {
    struct value *rows;   /* row-major, the target's columns by ordinal */
    struct value *source; /* UPDATE: row-major, the child's columns */
    uint32_t count, cap;
    struct key_set met; /* their primary keys, where a row may come again */
    bool *none;         /* DELETE: of some rows, fk_find_childless */
};

struct op_change {
    struct op op;
    struct row_writer *writers;   /* by target */
    struct changed_rows *targets; /* by target */
    struct expr_state ***assigns; /* by target, then assignment */
    struct expr_state ***joined;  /* by target, then check (plan_target.joined_checks) */
    struct row_rules *rules;      /* by target */
    struct chunk scratch;         /* one row of the child's columns */
    struct arena rows_arena;      /* what rows are made of */
    bool has_rows_arena;
    uint32_t opened;
    bool done;
};

static db_err scratch_row(struct exec_ctx *ctx, const struct plan_node *child, struct arena *values,
                          struct chunk *c)
{
    c->columns = ARENA_ARRAY(ctx->arena, struct vector, child->column_count + 1);
    if (c->columns == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < child->column_count; i++) {
        struct vector *v = &c->columns[i];
        v->type = child->types[i];
        v->phys = (uint8_t)type_phys(v->type);
        v->capacity = 1;
        v->index_mask = UINT32_MAX;
        v->arena = values;
        v->data = arena_alloc(ctx->arena, phys_size_table[v->phys]);
        if (v->data == NULL) {
            return ERR_LIMIT;
        }
    }
    c->column_count = child->column_count;
    c->count = 1;
    return ERR_OK;
}

static db_err change_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_change *s = (struct op_change *)op;
    const struct plan_node *n = op->node;
    uint32_t count = n->u.dml.target_count;
    ASSERT(!ctx->bulk_change || count == 1);
    arena_init(&s->rows_arena, NULL, ctx->mem, 0);
    s->has_rows_arena = true;
    s->writers = ARENA_ARRAY(ctx->arena, struct row_writer, count);
    s->targets = ARENA_ARRAY(ctx->arena, struct changed_rows, count);
    s->assigns = ARENA_ARRAY(ctx->arena, struct expr_state **, count);
    s->joined = ARENA_ARRAY(ctx->arena, struct expr_state **, count);
    s->rules = ARENA_ARRAY(ctx->arena, struct row_rules, count);
    if (s->writers == NULL || s->targets == NULL || s->assigns == NULL || s->joined == NULL ||
        s->rules == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_target *t = &n->u.dml.targets[i];
        row_writer_init(&s->writers[i], ctx, t->table, t->virtuals);
        s->writers[i].bulk = ctx->bulk_change;
        key_set_init(&s->targets[i].met, ctx->mem);
        s->opened++;
        TRY(row_rules_init(&s->rules[i], ctx, t->table, t->rules));
        s->rules[i].values = &s->rows_arena;
        s->assigns[i] = ARENA_ARRAY(ctx->arena, struct expr_state *, t->assign_count + 1);
        if (s->assigns[i] == NULL) {
            return ERR_LIMIT;
        }
        for (uint32_t k = 0; k < t->assign_count; k++) {
            TRY(expr_prepare(ctx, t->assigns[k].expr, &s->assigns[i][k]));
        }
        s->joined[i] = ARENA_ARRAY(ctx->arena, struct expr_state *, t->joined_count + 1);
        if (s->joined[i] == NULL) {
            return ERR_LIMIT;
        }
        for (uint32_t k = 0; k < t->joined_count; k++) {
            TRY(expr_prepare(ctx, t->joined_checks[k].expr, &s->joined[i][k]));
        }
    }
    TRY(scratch_row(ctx, n->children[0], &s->rows_arena, &s->scratch));
    return op_open(op->children[0], ctx);
}

static db_err grow(struct arena *arena, struct value **io, uint32_t count, uint32_t cap,
                   size_t width)
{
    struct value *grown = ARENA_ARRAY(arena, struct value, cap * width + 1);
    if (grown == NULL) {
        return ERR_LIMIT;
    }
    if (count != 0) {
        memcpy(grown, *io, count * width * sizeof(*grown));
    }
    *io = grown;
    return ERR_OK;
}

/* MYSQL: a row that a join meets more than once is changed once. */
static db_err meet(struct op_change *s, uint32_t target, const struct value *row, bool *ret_new)
{
    const struct plan_node *child = s->op.node->children[0];
    struct row_writer *w = &s->writers[target];
    *ret_new = true;
    if (child->kind == PLAN_POINT_GET || child->child_count == 0 || w->bulk) {
        return ERR_OK; /* each comes once */
    }
    buf_reset(&w->key);
    TRY(row_key_encode(&w->format->indexes[0], row, &w->key));
    return key_set_add(&s->targets[target].met, buf_slice(&w->key), ret_new);
}

static db_err make_room(struct op_change *s, struct arena *arena, uint32_t target,
                        const struct chunk *in)
{
    struct changed_rows *c = &s->targets[target];
    uint32_t cap = c->cap == 0 ? 1 : c->cap * 4;
    size_t width = s->op.node->u.dml.targets[target].table->column_count;
    TRY(grow(arena, &c->rows, c->count, cap, width));
    if (s->op.node->kind == PLAN_UPDATE) {
        TRY(grow(arena, &c->source, c->count, cap, in->column_count));
    }
    c->cap = cap;
    return ERR_OK;
}

static db_err collect_row(struct op_change *s, uint32_t target, const struct chunk *in, uint32_t at)
{
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    struct changed_rows *c = &s->targets[target];
    size_t width = t->table->column_count;
    bool update = s->op.node->kind == PLAN_UPDATE;
    if (c->count == c->cap) {
        TRY(make_room(s, &s->rows_arena, target, in));
    }
    struct value *row = &c->rows[c->count * width];
    uint32_t pk = t->table->indexes[0].parts[0].column;
    for (size_t i = 0; i < width; i++) {
        vector_get(&in->columns[t->slots[i]], at, &row[i]);
    }
    if (t->outer_joined && row[pk].is_null) {
        return ERR_OK;
    }
    bool is_new;
    TRY(meet(s, target, row, &is_new));
    if (!is_new) {
        return ERR_OK;
    }
    for (size_t i = 0; i < width; i++) {
        TRY(value_copy(&row[i], &s->rows_arena, &row[i]));
    }
    for (uint32_t i = 0; update && i < in->column_count; i++) {
        struct value *v = &c->source[(size_t)c->count * in->column_count + i];
        vector_get(&in->columns[i], at, v);
        TRY(value_copy(v, &s->rows_arena, v));
    }
    c->count++;
    return ERR_OK;
}

static db_err collect(struct op_change *s, struct exec_ctx *ctx)
{
    struct chunk *in;
    for (;;) {
        arena_reset(ctx->eval.arena);
        TRY(op_child_next(&s->op, ctx, 0, &in));
        if (in == NULL) {
            return ERR_OK;
        }
        for (uint32_t i = 0; i < in->count; i++) {
            for (uint32_t t = 0; t < s->op.node->u.dml.target_count; t++) {
                TRY(collect_row(s, t, in, chunk_row(in, i)));
            }
        }
    }
}

static db_err update_one(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint32_t i,
                         uint64_t number)
{
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    struct changed_rows *c = &s->targets[target];
    const struct value *source = &c->source[(size_t)i * s->scratch.column_count];
    for (uint32_t k = 0; k < s->scratch.column_count; k++) {
        vector_reset(&s->scratch.columns[k]);
        TRY(vector_set(&s->scratch.columns[k], 0, &source[k]));
    }
    struct change_row change = {.target = t,
                                .writer = &s->writers[target],
                                .assigns = s->assigns[target],
                                .scratch = &s->scratch,
                                .rules = &s->rules[target],
                                .joined = s->joined[target],
                                .ignore = s->op.node->u.dml.ignore,
                                .values = &s->rows_arena};
    return change_row_update(&change, ctx, &c->rows[(size_t)i * t->table->column_count], number);
}

/* An action of this statement, or a change of the same table under another name, may have changed
 * the row since it was read, or deleted it. MYSQL: of the latter the assignments see nothing. */
static db_err reread(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint32_t i,
                     bool *ret_found)
{
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    size_t width = t->table->column_count;
    struct value *row = &s->targets[target].rows[i * width];
    struct value *source = s->targets[target].source == NULL || t->again
                               ? NULL
                               : &s->targets[target].source[(size_t)i * s->scratch.column_count];
    TRY(fk_reread(ctx, &s->writers[target], row, row, ret_found));
    for (size_t c = 0; *ret_found && source != NULL && c < width; c++) {
        if (t->slots[c] != UINT32_MAX) {
            source[t->slots[c]] = row[c];
        }
    }
    return ERR_OK;
}

/* Rows whose children are looked for together. */
enum { CHILDLESS_ROWS = 512 };

/* Before row i is deleted: *ret_none is what is known of it, NULL: nothing. */
static db_err look_ahead(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint32_t i,
                         const bool **ret_none)
{
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    const struct fk_table *fks = fk_wanted(ctx, t->fks);
    struct changed_rows *c = &s->targets[target];
    *ret_none = NULL;
    if (fks == NULL || fks->ref_count == 0 || t->reread || t->again || c->count == 1 ||
        ctx->bulk_change) {
        return ERR_OK;
    }
    if (c->none == NULL) {
        c->none = ARENA_ARRAY(&s->rows_arena, bool, (size_t)CHILDLESS_ROWS * fks->ref_count);
        if (c->none == NULL) {
            return ERR_LIMIT;
        }
    }
    if (i % CHILDLESS_ROWS == 0) {
        uint32_t n = c->count - i < CHILDLESS_ROWS ? c->count - i : CHILDLESS_ROWS;
        TRY(fk_find_childless(ctx, fks, &c->rows[(size_t)i * t->table->column_count], n, c->none));
    }
    *ret_none = &c->none[(size_t)(i % CHILDLESS_ROWS) * fks->ref_count];
    return ERR_OK;
}

static db_err delete_one(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint32_t i)
{
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    const struct fk_table *fks = fk_wanted(ctx, t->fks);
    bool undo = fks != NULL && s->op.node->u.dml.ignore;
    uint64_t savepoint = 0;
    const bool *none;
    TRY(look_ahead(s, ctx, target, i, &none));
    if (undo) {
        TRY(storage_txn_savepoint(ctx->txn, &savepoint));
    }
    db_err err = fk_delete_row(ctx, fks, &s->writers[target],
                               &s->targets[target].rows[(size_t)i * t->table->column_count], none);
    if (undo && fk_is_violation(ctx, err)) {
        TRY(storage_txn_rollback_to(ctx->txn, savepoint));
        exec__warn_text(ctx, CAST_WARNING, ctx->diag->number, ctx->diag->text);
        diag_reset(ctx->diag);
        return ERR_OK;
    }
    TRY(err);
    ctx->deleted_rows++;
    return ERR_OK;
}

static db_err change_all(struct op_change *s, struct exec_ctx *ctx)
{
    const struct plan_node *n = s->op.node;
    TRY(collect(s, ctx));
    for (uint32_t t = 0; t < n->u.dml.target_count; t++) {
        for (uint32_t i = 0; i < s->targets[t].count; i++) {
            bool found = true;
            if (n->u.dml.targets[t].reread || n->u.dml.targets[t].again) {
                TRY(reread(s, ctx, t, i, &found));
            }
            if (found) {
                TRY(n->kind == PLAN_UPDATE ? update_one(s, ctx, t, i, i + 1ull)
                                           : delete_one(s, ctx, t, i));
            }
            TRY(fiber_checkpoint());
        }
    }
    return ERR_OK;
}

static db_err change_chunk(struct op_change *s, struct exec_ctx *ctx, const struct chunk *in,
                           uint64_t *io_number)
{
    for (uint32_t i = 0; i < in->count; i++) {
        s->targets[0].count = 0;
        TRY(collect_row(s, 0, in, chunk_row(in, i)));
        ASSERT(s->targets[0].count == 1);
        ++*io_number;
        TRY(s->op.node->kind == PLAN_UPDATE ? update_one(s, ctx, 0, 0, *io_number)
                                            : delete_one(s, ctx, 0, 0));
    }
    return ERR_OK;
}

static db_err change_as_they_come(struct op_change *s, struct exec_ctx *ctx)
{
    uint64_t number = 0;
    struct chunk *in;
    for (;;) {
        TRY(op_child_next(&s->op, ctx, 0, &in));
        if (in == NULL) {
            return ERR_OK;
        }
        if (s->targets[0].cap == 0) {
            TRY(make_room(s, ctx->arena, 0, in));
        }
        TRY(change_chunk(s, ctx, in, &number));
        arena_reset(&s->rows_arena);
        arena_reset(ctx->eval.arena);
        TRY(fiber_checkpoint());
    }
}

bool exec_may_change_in_bulk(const struct plan *plan)
{
    const struct plan_node *n = plan->root;
    if ((n->kind != PLAN_UPDATE && n->kind != PLAN_DELETE) || n->u.dml.target_count != 1 ||
        n->u.dml.ignore || plan->table_count != 1 || plan->subquery_count != 0 ||
        plan->cte_count != 0) {
        return false;
    }
    const struct plan_target *t = &n->u.dml.targets[0];
    bool good = t->fks == NULL && !t->reread && !t->outer_joined && !table_is_temporary(t->table) &&
                t->table->kind == TABLE_BASE;
    for (uint32_t i = 0; good && n->kind == PLAN_UPDATE && i < t->table->index_count; i++) {
        bool touched = t->index_touched == NULL || t->index_touched[i];
        good = !touched || (i != 0 && !t->table->format->indexes[i].unique);
    }
    return good;
}

static db_err change_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_change *s = (struct op_change *)op;
    *ret = NULL;
    if (s->done) {
        return ERR_OK;
    }
    s->done = true;
    TRY(ctx->bulk_change ? change_as_they_come(s, ctx) : change_all(s, ctx));
    if (op->node->kind == PLAN_UPDATE) {
        ctx->affected_rows = ctx->found_rows_flag ? ctx->matched_rows : ctx->changed_rows;
    } else {
        ctx->affected_rows = ctx->deleted_rows;
    }
    return ERR_OK;
}

static db_err change_rescan(struct op *op, struct exec_ctx *ctx)
{
    (void)op;
    (void)ctx;
    return ERR_INVALID;
}

static void change_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_change *s = (struct op_change *)op;
    while (s->opened > 0) {
        row_writer_fini(&s->writers[--s->opened]);
        key_set_fini(&s->targets[s->opened].met);
    }
    if (s->has_rows_arena) {
        arena_fini(&s->rows_arena);
        s->has_rows_arena = false;
    }
}

static const struct op_ops g_update = {"update", change_open, change_next, change_rescan,
                                       change_close};
static const struct op_ops g_delete = {"delete", change_open, change_next, change_rescan,
                                       change_close};
const struct op_kind op_update_kind = {sizeof(struct op_change), &g_update};
const struct op_kind op_delete_kind = {sizeof(struct op_change), &g_delete};
