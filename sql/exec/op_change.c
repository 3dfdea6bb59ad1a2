/* UPDATE and DELETE.
 *
 * All rows are read (and locked) before the first is changed: a scan must not meet rows that its
 * own statement has moved. They are kept, packed, in a row store for each table that is changed,
 * which goes to a file when memory is short, and so do those that tell which rows of a join have
 * been met before (dedup.h). They are changed in batches: what a row takes then is free with its
 * batch.
 *
 * With autocommit a statement may still meet a bound, that of the table of row locks, or find more
 * rows than are worth a lock of each (rows_until_bulk): then the session runs it again with
 * bulk_change. Rows are read in the snapshot then, in which it never
 * meets its own writes, and each is changed as it comes; the writes go to disk. That is for
 * statements on one table whose rows each appear once, and whose writes never meet on a key: no
 * change of a unique key, no action of a foreign key. */
#include "base/assert.h"
#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/change_row.h"
#include "sql/exec/dedup.h"
#include "sql/exec/exec_int.h"
#include "sql/exec/fk.h"
#include "sql/exec/row_store.h"

enum { BATCH_ROWS = 512, ROW_BYTES_KEPT = 256 << 10 };
enum { NUMBERS_MAX = 65536 }; /* rows: more warnings than DIAG_AREA_MAX_LIMIT are never shown */

/* The rows of one table that are to be changed. Of each is kept what its change needs: UPDATE, the
 * child's columns; DELETE, the table's. */
struct changed_rows {
    uint32_t width;  /* columns that are kept */
    uint32_t *slots; /* theirs in the child's rows */
    const struct sql_type **types;
    struct packed_format format;
    struct row_store store;
    /* Where a join may meet a row again: its primary key, then what is kept. */
    bool joined;
    uint32_t keys;
    struct dedup dedup;
    struct chunk view;
    uint16_t *sel;
    struct vector **vectors;
    /* The batch at hand, row-major. */
    struct chunk batch;
    struct value *source; /* what is kept */
    struct value *rows;   /* the table's columns by ordinal */
    bool *none;           /* DELETE: of these rows, fk_find_childless; NULL: not asked for */
    /* What messages call the first rows that are kept; NULL: as they are kept, from 1 on. */
    uint32_t *numbers, number_count;
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
    const struct op *scan; /* counted_scan */
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

/* Does each row come once? */
static bool once(const struct plan_node *n)
{
    while (n->kind == PLAN_FILTER || n->kind == PLAN_PROJECT || n->kind == PLAN_SORT ||
           n->kind == PLAN_TOPN || n->kind == PLAN_LIMIT) {
        n = n->children[0];
    }
    return n->child_count == 0;
}

static db_err keep_join(struct changed_rows *c, struct exec_ctx *ctx, const struct plan_target *t,
                        const struct plan_node *child)
{
    const struct index_def *pk = &t->table->indexes[0];
    const struct sql_type **types =
        ARENA_ARRAY(ctx->arena, const struct sql_type *, pk->part_count + c->width);
    c->joined = true;
    c->keys = pk->part_count;
    if (types == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < c->keys; i++) {
        types[i] = child->types[t->slots[pk->parts[i].column]];
    }
    memcpy(types + c->keys, c->types, c->width * sizeof(struct sql_type *));
    return dedup_init(&c->dedup, ctx, types, c->keys + c->width, c->keys);
}

static db_err keep_init(struct op_change *s, struct exec_ctx *ctx, uint32_t target)
{
    const struct plan_node *child = s->op.node->children[0];
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    struct changed_rows *c = &s->targets[target];
    bool update = s->op.node->kind == PLAN_UPDATE;
    c->width = update ? child->column_count : t->table->column_count;
    c->slots = ARENA_ARRAY(ctx->arena, uint32_t, c->width + 1);
    c->types = ARENA_ARRAY(ctx->arena, const struct sql_type *, c->width + 1);
    c->vectors = ARENA_ARRAY(ctx->arena, struct vector *, c->width + 1);
    if (c->slots == NULL || c->types == NULL || c->vectors == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < c->width; i++) {
        c->slots[i] = update ? i : t->slots[i];
        c->types[i] = child->types[c->slots[i]];
    }
    if (ctx->bulk_change) {
        return ERR_OK;
    }
    TRY(packed_format_init(&c->format, c->types, c->width, ctx->arena));
    row_store_init(&c->store, ctx, &c->format);
    if (!once(child)) {
        TRY(keep_join(c, ctx, t, child));
    }
    c->view.column_count = c->keys + c->width;
    c->view.columns = ARENA_ARRAY(ctx->arena, struct vector, c->view.column_count + 1);
    c->sel = t->outer_joined ? arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*c->sel)) : NULL;
    return c->view.columns == NULL || (t->outer_joined && c->sel == NULL) ? ERR_LIMIT : ERR_OK;
}

/* MYSQL: an UPDATE counts the rows that it looks at, also those that its condition drops, as it
 * comes to them. Where it collects its rows first, because they are ordered or what changes is part
 * of the key that they are found by, it counts those alone. NULL: so it is. */
static const struct op *counted_scan(const struct op *op)
{
    const struct plan_node *n = op->node;
    const struct plan_target *t = &n->u.dml.targets[0];
    if (n->kind != PLAN_UPDATE || n->u.dml.target_count != 1 || n->u.dml.ordered) {
        return NULL;
    }
    const struct op *from = op->children[0];
    while (from->node->kind == PLAN_FILTER || from->node->kind == PLAN_PROJECT ||
           from->node->kind == PLAN_LIMIT) {
        from = from->children[0];
    }
    if (from->ops != op_scan_kind.ops || from->node->u.scan.index == NULL ||
        from->node->u.scan.table != t->table) {
        return NULL;
    }
    size_t index = (size_t)(from->node->u.scan.index - t->table->indexes);
    ASSERT(index < t->table->index_count);
    return t->index_touched == NULL || t->index_touched[index] ? NULL : from;
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
        s->opened++;
        TRY(keep_init(s, ctx, i));
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
    s->scan = counted_scan(op);
    return op_open(op->children[0], ctx);
}

/* ---- collecting ---- */

static db_err keep_chunk(struct changed_rows *c, struct exec_ctx *ctx, const struct chunk *in,
                         uint32_t first_column)
{
    for (uint32_t i = 0; i < c->width; i++) {
        c->vectors[i] = &in->columns[first_column + i];
    }
    for (uint32_t i = 0; i < in->count; i++) {
        TRY(row_store_put(&c->store, ctx, c->vectors, chunk_row(in, i)));
    }
    return ERR_OK;
}

static uint64_t number_of(const struct changed_rows *c, uint64_t at)
{
    if (c->number_count == 0) {
        return at + 1;
    }
    return at < c->number_count ? c->numbers[at]
                                : c->numbers[c->number_count - 1] + (at + 1 - c->number_count);
}

/* Takes the numbers of a chunk's rows; `kept`: rows that were there before them. */
static db_err keep_numbers(struct changed_rows *c, struct exec_ctx *ctx, const struct chunk *in,
                           uint64_t met, uint64_t kept)
{
    for (uint32_t i = 0; i < in->count && kept + i < NUMBERS_MAX; i++) {
        uint64_t number = met + chunk_row(in, i) + 1;
        if (number == kept + i + 1 && c->number_count == 0) {
            continue;
        }
        if (number > UINT32_MAX) {
            return ERR_OK;
        }
        if (c->numbers == NULL) {
            c->numbers = ARENA_ARRAY(ctx->arena, uint32_t, NUMBERS_MAX);
            if (c->numbers == NULL) {
                return ERR_LIMIT;
            }
        }
        for (; c->number_count < kept + i; c->number_count++) {
            c->numbers[c->number_count] = c->number_count + 1;
        }
        c->numbers[c->number_count++] = (uint32_t)number;
    }
    return ERR_OK;
}

/* The child's chunk as this table's rows: without those that an outer join has made up. */
static void show(struct op_change *s, uint32_t target, const struct chunk *in)
{
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    const struct index_def *pk = &t->table->indexes[0];
    struct changed_rows *c = &s->targets[target];
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->keys; i++) {
        c->view.columns[i] = in->columns[t->slots[pk->parts[i].column]];
    }
    for (uint32_t i = 0; i < c->width; i++) {
        c->view.columns[c->keys + i] = in->columns[c->slots[i]];
    }
    c->view.count = in->count;
    c->view.sel = in->sel;
    if (t->outer_joined) {
        const struct vector *first = &in->columns[t->slots[pk->parts[0].column]];
        for (uint32_t i = 0; i < in->count; i++) {
            uint32_t row = chunk_row(in, i);
            if (!vec_is_null(first, row)) {
                c->sel[n++] = (uint16_t)row;
            }
        }
        c->view.count = n;
        c->view.sel = c->sel;
    }
}

/* MYSQL: a row that a join meets more than once is changed once. */
static db_err collect_chunk(struct op_change *s, struct exec_ctx *ctx, uint32_t target,
                            const struct chunk *in)
{
    struct changed_rows *c = &s->targets[target];
    struct chunk *fresh = &c->view;
    show(s, target, in);
    if (c->view.count != 0 && c->joined) {
        TRY(dedup_take(&c->dedup, ctx, &c->view, &fresh));
    }
    return fresh == NULL ? ERR_OK : keep_chunk(c, ctx, fresh, c->keys);
}

static db_err collect_rest(struct changed_rows *c, struct exec_ctx *ctx)
{
    struct chunk *fresh;
    TRY(dedup_end(&c->dedup, ctx));
    for (;;) {
        TRY(dedup_rest(&c->dedup, ctx, &fresh));
        if (fresh == NULL) {
            dedup_fini(&c->dedup);
            return ERR_OK;
        }
        TRY(keep_chunk(c, ctx, fresh, c->keys));
    }
}

static db_err collect(struct op_change *s, struct exec_ctx *ctx)
{
    uint32_t count = s->op.node->u.dml.target_count;
    for (;;) {
        struct chunk *in;
        arena_reset(ctx->eval.arena);
        TRY(op_child_next(&s->op, ctx, 0, &in));
        if (in == NULL) {
            break;
        }
        if (s->scan != NULL) {
            TRY(keep_numbers(&s->targets[0], ctx, in, exec__scan_met(s->scan),
                             s->targets[0].store.count));
        }
        for (uint32_t t = 0; t < count; t++) {
            TRY(collect_chunk(s, ctx, t, in));
        }
        if (UNLIKELY(ctx->rows_until_bulk != 0 &&
                     s->targets[0].store.count > ctx->rows_until_bulk)) {
            return diag_set(ctx->diag, ERR_LOCK_TABLE_FULL, "too many rows for a lock of each");
        }
    }
    for (uint32_t t = 0; t < count; t++) {
        if (s->targets[t].joined) {
            TRY(collect_rest(&s->targets[t], ctx));
        }
    }
    return ERR_OK;
}

/* ---- changing ---- */

static db_err batch_room(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint32_t rows)
{
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    const struct fk_table *fks = fk_wanted(ctx, t->fks);
    struct changed_rows *c = &s->targets[target];
    TRY(chunk_init_rows(&c->batch, c->types, c->width, rows, ctx->arena));
    c->source = ARENA_ARRAY(ctx->arena, struct value, (size_t)rows * c->width + 1);
    c->rows =
        s->op.node->kind == PLAN_DELETE
            ? c->source
            : ARENA_ARRAY(ctx->arena, struct value, (size_t)rows * t->table->column_count + 1);
    bool asks = s->op.node->kind == PLAN_DELETE && fks != NULL && fks->ref_count != 0 &&
                !t->reread && !t->again && rows != 1 && !ctx->bulk_change;
    if (asks) {
        c->none = ARENA_ARRAY(ctx->arena, bool, (size_t)rows * fks->ref_count);
    }
    return c->source == NULL || c->rows == NULL || (asks && c->none == NULL) ? ERR_LIMIT : ERR_OK;
}

/* The table's row number `at` of the batch, from what is kept of it. */
static void row_of_source(struct op_change *s, const struct exec_ctx *ctx, uint32_t target,
                          uint32_t at)
{
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    struct changed_rows *c = &s->targets[target];
    uint32_t width = t->table->column_count;
    for (uint32_t i = 0; c->rows != c->source && i < width; i++) {
        c->rows[(size_t)at * width + i] = c->source[(size_t)at * c->width + t->slots[i]];
    }
    if (UNLIKELY((ctx->sql_mode & SQL_MODE_PAD_CHAR_TO_FULL_LENGTH) != 0)) {
        exec__unpad_row(ctx, t->table, &c->rows[(size_t)at * width]); /* a view may lie between */
    }
}

static db_err read_batch(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint64_t at,
                         uint32_t *ret_count)
{
    const struct packed_row *packed[BATCH_ROWS];
    struct changed_rows *c = &s->targets[target];
    uint32_t n;
    if (c->source == NULL) {
        TRY(batch_room(s, ctx, target,
                       c->store.count < BATCH_ROWS ? (uint32_t)c->store.count : BATCH_ROWS));
    }
    TRY(row_store_get_rows(&c->store, ctx, at, BATCH_ROWS, packed, &n));
    chunk_reset(&c->batch);
    for (uint32_t i = 0; i < c->width; i++) {
        packed_read(&c->format, packed, n, i, &c->batch.columns[i], 0);
        for (uint32_t r = 0; r < n; r++) {
            vector_get(&c->batch.columns[i], r, &c->source[(size_t)r * c->width + i]);
        }
    }
    for (uint32_t r = 0; r < n; r++) {
        row_of_source(s, ctx, target, r);
    }
    if (c->none != NULL) {
        const struct plan_target *t = &s->op.node->u.dml.targets[target];
        TRY(fk_find_childless(ctx, fk_wanted(ctx, t->fks), c->rows, n, c->none));
    }
    *ret_count = n;
    return ERR_OK;
}

static struct change_row change_of(struct op_change *s, uint32_t target)
{
    return (struct change_row){.target = &s->op.node->u.dml.targets[target],
                               .writer = &s->writers[target],
                               .assigns = s->assigns[target],
                               .scratch = &s->scratch,
                               .rules = &s->rules[target],
                               .joined = s->joined[target],
                               .ignore = s->op.node->u.dml.ignore,
                               .values = &s->rows_arena};
}

static struct value *old_row(const struct op_change *s, uint32_t target, uint32_t i)
{
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    return &s->targets[target].rows[(size_t)i * t->table->column_count];
}

static db_err compute_one(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint32_t i,
                          uint64_t number, struct value **ret_row)
{
    struct changed_rows *c = &s->targets[target];
    const struct value *source = &c->source[(size_t)i * c->width];
    struct change_row change = change_of(s, target);
    for (uint32_t k = 0; k < s->scratch.column_count; k++) {
        vector_reset(&s->scratch.columns[k]);
        TRY(vector_set(&s->scratch.columns[k], 0, &source[k]));
    }
    return change_row_compute(&change, ctx, old_row(s, target, i), number, ret_row);
}

static db_err update_one(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint32_t i,
                         uint64_t number)
{
    struct change_row change = change_of(s, target);
    struct value *row;
    TRY(compute_one(s, ctx, target, i, number, &row));
    return row == NULL ? ERR_OK : change_row_write(&change, ctx, old_row(s, target, i), row);
}

/* An action of this statement, or a change of the same table under another name, may have changed
 * the row since it was read, or deleted it. MYSQL: of the latter the assignments see nothing. */
static db_err reread(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint32_t i,
                     bool *ret_found)
{
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    struct changed_rows *c = &s->targets[target];
    size_t width = t->table->column_count;
    struct value *row = &c->rows[i * width];
    struct value *source = &c->source[(size_t)i * c->width];
    TRY(fk_reread(ctx, &s->writers[target], row, row, ret_found));
    for (size_t k = 0; *ret_found && source != row && !t->again && k < width; k++) {
        source[t->slots[k]] = row[k];
    }
    return ERR_OK;
}

static db_err delete_one(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint32_t i)
{
    const struct plan_target *t = &s->op.node->u.dml.targets[target];
    const struct fk_table *fks = fk_wanted(ctx, t->fks);
    const struct changed_rows *c = &s->targets[target];
    bool undo = fks != NULL && s->op.node->u.dml.ignore;
    uint64_t savepoint = 0;
    const bool *none = c->none == NULL ? NULL : &c->none[(size_t)i * fks->ref_count];
    if (undo) {
        TRY(storage_txn_savepoint(ctx->txn, &savepoint));
    }
    db_err err = fk_delete_row(ctx, fks, &s->writers[target],
                               &c->rows[(size_t)i * t->table->column_count], none);
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

/* What the rows before were made of. */
static void let_go(struct op_change *s, struct exec_ctx *ctx, size_t more_than)
{
    if (s->rows_arena.used + ctx->eval.arena->used > more_than) {
        arena_reset(&s->rows_arena);
        arena_reset(ctx->eval.arena);
    }
}

/* May what is computed for a row not depend on what was written for the rows before, nor on whether
 * that failed? And is there anything to be locked? */
static bool goes_ahead(struct op_change *s, struct exec_ctx *ctx, uint32_t target)
{
    const struct plan_node *n = s->op.node;
    const struct plan_target *t = &n->u.dml.targets[target];
    const struct fk_table *fks = fk_wanted(ctx, t->fks);
    bool update = n->kind == PLAN_UPDATE;
    return !n->u.dml.ignore && !t->reread && !t->again && (fks == NULL || fks->ref_count == 0) &&
           row_locks_worth(&s->writers[target], update ? t->index_touched : NULL, false);
}

/* New rows from number `first` of the batch on, some of them; then their locks; then they are
 * written. What cannot be computed is told of after the rows before it. */
static db_err update_ahead(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint64_t at,
                           uint32_t first, uint32_t count, uint32_t *ret_done)
{
    struct row_change rows[ROW_LOCKS_MAX];
    struct change_row change = change_of(s, target);
    uint32_t done = 0;
    uint32_t changed = 0;
    db_err failed = ERR_OK;
    while (first + done < count && done < ROW_LOCKS_MAX &&
           (done == 0 || s->rows_arena.used + ctx->eval.arena->used <= ROW_BYTES_KEPT)) {
        struct value *row;
        uint32_t i = first + done++;
        failed = compute_one(s, ctx, target, i, number_of(&s->targets[target], at + i), &row);
        if (failed != ERR_OK) {
            break;
        }
        if (row != NULL) {
            rows[changed++] = (struct row_change){old_row(s, target, i), row};
        }
    }
    if (changed > 1 && failed == ERR_OK) {
        TRY(row_lock_keys(change.writer, rows, changed, change.target->index_touched));
    }
    for (uint32_t k = 0; k < changed; k++) {
        TRY(change_row_write(&change, ctx, rows[k].old, rows[k].new_row));
        TRY(fiber_checkpoint());
    }
    *ret_done = done;
    return failed;
}

static db_err update_batch_ahead(struct op_change *s, struct exec_ctx *ctx, uint32_t target,
                                 uint64_t at, uint32_t count)
{
    uint32_t done;
    for (uint32_t i = 0; i < count; i += done) {
        TRY(update_ahead(s, ctx, target, at, i, count, &done));
        let_go(s, ctx, ROW_BYTES_KEPT);
        TRY(fiber_checkpoint());
    }
    return ERR_OK;
}

static db_err lock_deleted(struct op_change *s, uint32_t target, uint32_t first, uint32_t count)
{
    struct row_change rows[ROW_LOCKS_MAX];
    uint32_t n = count - first < ROW_LOCKS_MAX ? count - first : ROW_LOCKS_MAX;
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = (struct row_change){.old = old_row(s, target, first + i)};
    }
    return n > 1 ? row_lock_keys(&s->writers[target], rows, n, NULL) : ERR_OK;
}

static db_err change_batch(struct op_change *s, struct exec_ctx *ctx, uint32_t target, uint64_t at,
                           uint32_t count)
{
    const struct plan_node *n = s->op.node;
    bool ahead = count > 1 && goes_ahead(s, ctx, target);
    if (ahead && n->kind == PLAN_UPDATE) {
        return update_batch_ahead(s, ctx, target, at, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        bool found = true;
        if (ahead && i % ROW_LOCKS_MAX == 0) {
            TRY(lock_deleted(s, target, i, count));
        }
        if (n->u.dml.targets[target].reread || n->u.dml.targets[target].again) {
            TRY(reread(s, ctx, target, i, &found));
        }
        if (found) {
            TRY(n->kind == PLAN_UPDATE
                    ? update_one(s, ctx, target, i, number_of(&s->targets[target], at + i))
                    : delete_one(s, ctx, target, i));
        }
        let_go(s, ctx, ROW_BYTES_KEPT);
        TRY(fiber_checkpoint());
    }
    return ERR_OK;
}

static db_err change_all(struct op_change *s, struct exec_ctx *ctx)
{
    TRY(collect(s, ctx));
    for (uint32_t t = 0; t < s->op.node->u.dml.target_count; t++) {
        uint32_t n;
        for (uint64_t at = 0; at < s->targets[t].store.count; at += n) {
            let_go(s, ctx, 0);
            TRY(read_batch(s, ctx, t, at, &n));
            TRY(change_batch(s, ctx, t, at, n));
        }
    }
    return ERR_OK;
}

static db_err change_chunk(struct op_change *s, struct exec_ctx *ctx, const struct chunk *in,
                           uint64_t *io_number)
{
    struct changed_rows *c = &s->targets[0];
    for (uint32_t i = 0; i < in->count; i++) {
        for (uint32_t k = 0; k < c->width; k++) {
            vector_get(&in->columns[c->slots[k]], chunk_row(in, i), &c->source[k]);
        }
        row_of_source(s, ctx, 0, 0);
        *io_number =
            s->scan == NULL ? *io_number + 1 : exec__scan_met(s->scan) + chunk_row(in, i) + 1;
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
        if (s->targets[0].source == NULL) {
            TRY(batch_room(s, ctx, 0, 1));
        }
        TRY(change_chunk(s, ctx, in, &number));
        let_go(s, ctx, 0);
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
    struct arena eval;
    arena_init(&eval, NULL, ctx->mem, 0);
    struct saved_arenas saved = exec__enter_arena(ctx, &eval);
    db_err err = ctx->bulk_change ? change_as_they_come(s, ctx) : change_all(s, ctx);
    exec__leave_arena(ctx, saved);
    arena_fini(&eval);
    TRY(err);
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
        dedup_fini(&s->targets[s->opened].dedup);
        row_store_fini(&s->targets[s->opened].store);
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
