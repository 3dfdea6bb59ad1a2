/* INSERT, REPLACE and ON DUPLICATE KEY UPDATE.
 *
 * Rows of a chunk are completed first (stored forms, defaults), then the AUTO_INCREMENT numbers
 * they need are taken in one go, so that one statement's numbers are consecutive, then they are
 * written. When the statement has to look for conflicts (IGNORE, REPLACE, ON DUPLICATE KEY UPDATE)
 * each row's unique keys are read for update before it is written. */
#include "sql/exec/op_insert.h"

#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/fk.h"
#include "sql/exec/load_rows.h"

static db_err one_row_vectors(struct op_insert *s, struct exec_ctx *ctx)
{
    const struct plan_node *n = s->op.node;
    uint32_t width = s->table->column_count;
    uint32_t total = 2 * width + n->u.insert.source_count;
    const struct sql_type **types = arena_alloc(ctx->arena, total * sizeof(*types));
    if (types == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < total; i++) {
        types[i] = i < 2 * width ? &s->table->columns[i % width].type
                                 : n->children[0]->types[n->u.insert.sources[i - 2 * width]];
    }
    TRY(chunk_init_rows(&s->scratch, types, total, 1, ctx->arena));
    s->scratch.count = 1;
    return ERR_OK;
}

static db_err insert_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_insert *s = (struct op_insert *)op;
    const struct plan_node *n = op->node;
    s->table = n->u.insert.target->table;
    row_writer_init(&s->writer, ctx, s->table, n->u.insert.target->virtuals);
    s->opened = true;
    TRY(insert_rows_init(&s->rows, ctx, n));
    if (n->u.insert.update_count != 0) {
        s->updates = ARENA_ARRAY(ctx->arena, struct expr_state *, n->u.insert.update_count);
        if (s->updates == NULL) {
            return ERR_LIMIT;
        }
        for (uint32_t i = 0; i < n->u.insert.update_count; i++) {
            TRY(expr_prepare(ctx, n->u.insert.updates[i].expr, &s->updates[i]));
        }
        TRY(row_rules_init(&s->update_rules, ctx, s->table, n->u.insert.target->odku_rules));
        TRY(one_row_vectors(s, ctx));
    }
    return op_open(op->children[0], ctx);
}

static db_err complete_row(struct op_insert *s, struct exec_ctx *ctx, const struct chunk *in,
                           uint32_t at, struct value *row, bool many)
{
    const struct plan_document *documents = s->op.node->u.insert.documents;
    insert_rows_begin(&s->rows);
    for (uint32_t i = 0; i < s->op.node->u.insert.column_count; i++) {
        struct value v;
        const struct vector *vec = &in->columns[i];
        vector_get(vec, at, &v);
        ctx->eval.cast->json_source = documents == NULL ? NULL : documents[i].source;
        db_err err = insert_rows_assign(&s->rows, ctx, i, vec->type, &v, row);
        ctx->eval.cast->json_source = NULL;
        TRY(err);
    }
    return insert_rows_complete(&s->rows, ctx, row, many);
}

/* ---- foreign keys ---- */

static const struct fk_table *wanted(const struct op_insert *s, const struct exec_ctx *ctx)
{
    return fk_wanted(ctx, s->op.node->u.insert.target->fks);
}

/* Whether the row's parents are known when it comes to be written. Not those of a statement that
 * takes rows away, or changes them, too. */
static db_err find_parents(struct op_insert *s, struct exec_ctx *ctx, const struct value *rows,
                           uint32_t n, bool **ret_known)
{
    const struct fk_table *fks = wanted(s, ctx);
    *ret_known = NULL;
    if (fks == NULL || fks->ref_count != 0) {
        return ERR_OK;
    }
    if (s->known_max < n) {
        struct arena *arena = s->rows.kept != NULL ? s->rows.kept : ctx->arena;
        s->known = ARENA_ARRAY(arena, bool, (size_t)n * fks->check_count + 1);
        if (s->known == NULL) {
            return ERR_LIMIT;
        }
        s->known_max = n;
    }
    TRY(fk_find_parents(ctx, fks, rows, n, s->known));
    *ret_known = s->known;
    return ERR_OK;
}

/* IGNORE: the row is left out, or as it was, with a warning. */
static bool ignored(struct exec_ctx *ctx, db_err err)
{
    bool duplicate = err == ERR_SQL && ctx->diag->number == ER_DUP_ENTRY;
    if (!ctx->ignore || (!duplicate && !fk_is_violation(ctx, err))) {
        return false;
    }
    exec__warn_text(ctx, CAST_WARNING, ctx->diag->number, ctx->diag->text);
    diag_reset(ctx->diag);
    return true;
}

/* ---- conflicts ---- */

static db_err load_scratch(struct op_insert *s, const struct value *old,
                           const struct value *new_row)
{
    uint32_t n = s->table->column_count;
    uint32_t extra = s->op.node->u.insert.source_count;
    for (uint32_t i = 0; i < 2 * n + extra; i++) {
        struct vector *v = &s->scratch.columns[i];
        vector_reset(v);
        TRY(vector_set(v, 0,
                       i < n       ? &old[i]
                       : i < 2 * n ? &new_row[i - n]
                                   : &s->sources[(size_t)s->at * extra + (i - 2 * n)]));
    }
    return ERR_OK;
}

/* An ignored violation, or a duplicate by another key, takes back what was written before it was
 * met. */
static db_err write_update(struct op_insert *s, struct exec_ctx *ctx, const struct value *old,
                           const struct value *changed)
{
    const struct fk_table *fks = wanted(s, ctx);
    uint64_t before = 0;
    if (ctx->ignore) {
        TRY(storage_txn_savepoint(ctx->txn, &before));
    }
    db_err err = fk_update_row(ctx, fks, &s->writer, old, changed, NULL);
    if (ignored(ctx, err)) {
        ctx->duplicates++;
        return storage_txn_rollback_to(ctx->txn, before);
    }
    TRY(err);
    ctx->affected_rows += 2;
    ctx->duplicates += ctx->ignore ? 0 : 1; /* MYSQL: then it tells of rows that had no effect */
    return ERR_OK;
}

/* MYSQL: of AUTO_INCREMENT it is 0; the rows of a SELECT do not count as many. */
static db_err refuse_null(struct op_insert *s, struct exec_ctx *ctx, const struct plan_assign *a,
                          struct value *changed)
{
    uint32_t i = a->column;
    const struct column_def *c = &s->table->columns[i];
    const struct plan_node *from = s->op.node->children[0];
    if (!changed[i].is_null || (c->type.flags & TYPE_F_NOT_NULL) == 0) {
        return ERR_OK;
    }
    if (c->auto_increment) {
        return exec__implicit_default(ctx, c, &changed[i]);
    }
    bool many = from->kind == PLAN_VALUES && from->u.values.row_count > 1;
    return insert_rows_null(&s->rows, ctx, i, many, bexpr_makes_document(a->expr), changed);
}

static db_err updated_value(struct op_insert *s, struct exec_ctx *ctx, uint32_t i,
                            const struct value *row, struct value *ret)
{
    const struct plan_assign *a = &s->op.node->u.insert.updates[i];
    if (a->expr->kind == BEXPR_DEFAULT) {
        return exec__missing_default(ctx, &s->table->columns[a->column], true, &row[a->column],
                                     ret);
    }
    struct vector *v;
    struct arena *batch = exec__enter_kept(ctx);
    db_err err = expr_eval(ctx, s->updates[i], &s->scratch, &v);
    exec__leave_kept(ctx, batch);
    TRY(err);
    vector_get(v, 0, ret);
    return ERR_OK;
}

static db_err update_existing(struct op_insert *s, struct exec_ctx *ctx, const struct value *old,
                              const struct value *row)
{
    const struct plan_node *n = s->op.node;
    uint32_t width = s->table->column_count;
    struct value *changed = ARENA_ARRAY(ctx->arena, struct value, width);
    bool differs = false;
    if (changed == NULL) {
        return ERR_LIMIT;
    }
    memcpy(changed, old, width * sizeof(*changed));
    TRY(load_scratch(s, old, row));
    for (uint32_t i = 0; i < n->u.insert.update_count; i++) {
        const struct plan_assign *a = &n->u.insert.updates[i];
        struct value x;
        if (a->implicit) {
            differs = !row_equal(s->table, old, changed);
            if (!differs) {
                continue;
            }
        }
        TRY(updated_value(s, ctx, i, changed, &x));
        TRY(row_reassign(ctx, s->table, a->column, &a->expr->type, &x, s->rows.number, changed));
        TRY(refuse_null(s, ctx, a, changed));
        TRY(row_own(ctx, &changed[a->column])); /* it may lie in a slot of scratch */
        vector_reset(&s->scratch.columns[a->column]);
        TRY(vector_set(&s->scratch.columns[a->column], 0, &changed[a->column]));
    }
    bool pass = true;
    if (s->update_rules.rules != NULL && !row_equal(s->table, old, changed)) {
        struct arena *batch = exec__enter_kept(ctx);
        s->update_rules.values = batch;
        db_err err = row_rules_apply(&s->update_rules, ctx, s->rows.number, changed, &pass);
        exec__leave_kept(ctx, batch);
        TRY(err);
    }
    ctx->matched_rows++;
    if (!pass) {
        return ERR_OK;
    }
    if (s->table->auto_increment >= 0) {
        s->has_updated = true;
        s->updated_number = changed[s->table->auto_increment];
    }
    if (row_equal(s->table, old, changed)) {
        ctx->affected_rows += ctx->found_rows_flag ? 1 : 0;
        ctx->duplicates += ctx->ignore ? 1 : 0; /* MYSQL: a row that is no new one */
        return ERR_OK;
    }
    TRY(write_update(s, ctx, old, changed));
    s->effects++;
    return insert_rows_number_set(ctx, s->table, old, changed);
}

static uint32_t last_unique(const struct table_def *t)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < t->index_count; i++) {
        last = t->indexes[i].kind == INDEX_PRIMARY || t->indexes[i].kind == INDEX_UNIQUE ? i : last;
    }
    return last;
}

static bool looks(const struct op_insert *s)
{
    return insert_rows_looks(s->op.node);
}

/* MYSQL: a row whose number was made replaces none that has this number: all numbers are used up.
 */
static bool used_up(const struct op_insert *s, uint32_t index)
{
    const struct index_def *ix = &s->table->indexes[index];
    return s->table->auto_increment >= 0 && s->rows.made[s->at] != 0 && ix->part_count != 0 &&
           ix->parts[0].column == (uint32_t)s->table->auto_increment;
}

static db_err write_row(struct op_insert *s, struct exec_ctx *ctx, struct value *row,
                        const bool *known)
{
    const struct plan_node *n = s->op.node;
    const struct fk_table *fks = wanted(s, ctx);
    bool look = !s->writer.bulk && looks(s);
    db_err checked = fk_check_row(ctx, fks, NULL, row, known);
    if (ignored(ctx, checked)) {
        return ERR_OK;
    }
    TRY(checked);
    ctx->records++;
    while (look) {
        int index;
        struct value *old = ARENA_ARRAY(ctx->arena, struct value, s->table->column_count);
        if (old == NULL) {
            return ERR_LIMIT;
        }
        bool wanted = n->u.insert.update_count != 0 || n->u.insert.replace;
        TRY(row_find_conflict(&s->writer, row, ctx->arena, wanted ? old : NULL, &index));
        if (index < 0) {
            break;
        }
        if (n->u.insert.update_count != 0) {
            return update_existing(s, ctx, old, row);
        }
        if (!n->u.insert.replace) {
            struct diag d = {0};
            struct diag *saved = ctx->diag;
            ctx->diag = &d;
            db_err err = row_duplicate_error(&s->writer, (uint32_t)index, row);
            ctx->diag = saved;
            if (err == ERR_SQL) {
                exec__warn_text(ctx, CAST_WARNING, d.number, d.text);
            }
            ctx->duplicates++;
            return err == ERR_SQL ? ERR_OK : err;
        }
        if (used_up(s, (uint32_t)index)) {
            return row_duplicate_error(&s->writer, (uint32_t)index, row);
        }
        /* MYSQL: a row that replaces its equal, found by the last unique key, changes nothing,
         * unless a foreign key refers to the table. */
        const struct fk_table *any = n->u.insert.target->fks;
        if ((uint32_t)index == last_unique(s->table) && (any == NULL || any->ref_count == 0) &&
            row_equal(s->table, old, row)) {
            ctx->affected_rows++;
            s->effects++;
            return ERR_OK;
        }
        TRY(fk_replace_row(ctx, fks, &s->writer, old, row));
        ctx->affected_rows++;
        ctx->duplicates++;
    }
    TRY(row_insert(&s->writer, row));
    s->inserted = true;
    ctx->affected_rows++;
    return ERR_OK;
}

/* The numbers that were made for the rows, in their order. */
struct made_numbers {
    uint64_t *items; /* NULL: they are not given anew */
    uint32_t count, next;
};

static db_err list_numbers(struct op_insert *s, struct exec_ctx *ctx, uint32_t n,
                           struct made_numbers *ret)
{
    int32_t column = s->table->auto_increment;
    *ret = (struct made_numbers){0};
    if (column < 0 || !looks(s) || !type_is_integer(&s->table->columns[column].type)) {
        return ERR_OK;
    }
    ret->items = ARENA_ARRAY(ctx->arena, uint64_t, n);
    for (uint32_t i = 0; i < n && ret->items != NULL; i++) {
        if (s->rows.made[i] != 0) {
            ret->items[ret->count++] = s->rows.made[i];
        }
    }
    return ret->items == NULL ? ERR_LIMIT : ERR_OK;
}

/* MYSQL: the number of a row that did not become a new one goes to the next row that wants one,
 * unless a row between them became one with a higher number of its own. */
static void give_number(const struct op_insert *s, const struct made_numbers *m, struct value *own)
{
    uint64_t *made = &s->rows.made[s->at];
    if (*made != 0) {
        *made = m->items[m->next];
        if (!own->is_null) {
            own->u = *made;
        }
    }
}

static void pass_numbers(struct made_numbers *m, const struct value *own)
{
    bool given = !own->is_null && (own->is_unsigned || own->i > 0);
    while (given && m->next < m->count && m->items[m->next] <= own->u) {
        m->next++;
    }
}

/* MYSQL: what is told of is the number of the last row, when any row had an effect; of the rows of
 * a SELECT only when none of them is to change another one. */
static void tell_number(const struct op_insert *s, struct exec_ctx *ctx, const struct value *own)
{
    const struct plan_node *n = s->op.node;
    bool of_select = n->children[0]->kind != PLAN_VALUES;
    if (s->has_updated) {
        own = &s->updated_number;
    }
    bool told = s->effects != 0 && !own->is_null && own->phys == PHYS_INT &&
                !(of_select && n->u.insert.update_count != 0);
    ctx->last_insert_id = told ? own->u : 0;
}

static db_err write_numbered(struct op_insert *s, struct exec_ctx *ctx, struct made_numbers *m,
                             struct value *row, const bool *known)
{
    int32_t column = s->table->auto_increment;
    s->inserted = false;
    s->has_updated = false;
    if (column >= 0 && m->items != NULL) {
        give_number(s, m, &row[column]);
    }
    TRY(write_row(s, ctx, row, known));
    s->effects += s->inserted ? 1 : 0;
    if (column < 0) {
        return ERR_OK;
    }
    uint64_t made = s->rows.made[s->at];
    if (s->inserted && made == 0 && m->items != NULL) {
        pass_numbers(m, &row[column]);
    } else if (s->inserted && made != 0) {
        m->next++;
        insert_rows_written(ctx, made);
    }
    if (looks(s)) {
        tell_number(s, ctx, &row[column]);
    }
    return ERR_OK;
}

/* Few rows are checked one by one, as MySQL does it: the first row in the order of the statement is
 * the one that is told of, and a refused statement costs no commit. With IGNORE there are taken to
 * be no duplicates; when there is one after all the whole statement runs again, looking at each. */
enum { BULK_AFTER_ROWS = 4096 };

static bool may_bulk(const struct op_insert *s, const struct exec_ctx *ctx)
{
    const struct plan_node *n = s->op.node;
    return ctx->may_bulk && (!n->u.insert.reads_target || s->kept) && !n->u.insert.replace &&
           n->u.insert.update_count == 0 && wanted(s, ctx) == NULL && !table_is_temporary(s->table);
}

db_err exec__insert_write(struct op_insert *s, struct exec_ctx *ctx, struct value *rows, uint32_t n)
{
    TRY(insert_rows_number(&s->rows, ctx, rows, n));
    const struct fk_table *fks = wanted(s, ctx);
    bool *known;
    TRY(find_parents(s, ctx, rows, n, &known));
    bool bulk = s->written >= BULK_AFTER_ROWS && may_bulk(s, ctx);
    s->writer.bulk = bulk;
    ctx->in_bulk = ctx->in_bulk || bulk;
    s->written += n;
    struct made_numbers made;
    TRY(list_numbers(s, ctx, n, &made));
    bool ahead = !bulk && !looks(s) && row_locks_worth(&s->writer, NULL, true);
    uint64_t number = s->rows.number;
    for (uint32_t i = 0; i < n; i++) {
        s->at = i;
        if (s->row_numbers != NULL) {
            s->rows.number = s->row_numbers[i];
            exec__listen_tell(&s->heard, s->row_numbers[i]);
        }
        if (ahead && i % ROW_LOCKS_MAX == 0) {
            TRY(row_lock_new(&s->writer, &rows[(size_t)i * s->table->column_count], n - i));
        }
        TRY(write_numbered(s, ctx, &made, &rows[(size_t)i * s->table->column_count],
                           known == NULL ? NULL : &known[(size_t)i * fks->check_count]));
        TRY(fiber_checkpoint());
    }
    s->rows.number = number;
    exec__listen_tell(&s->heard, UINT64_MAX);
    return ERR_OK;
}

/* Rows that are completed one after the other come to be written: MYSQL says of each first what its
 * values are, then what becomes of it. */
static db_err begin_rows(struct op_insert *s, struct exec_ctx *ctx, uint32_t n)
{
    s->heard = (struct listener){.arena = ctx->arena};
    s->row_numbers = looks(s) ? ARENA_ARRAY(ctx->arena, uint64_t, n + 1) : NULL;
    return looks(s) && s->row_numbers == NULL ? ERR_LIMIT : ERR_OK;
}

/* As row `at` of them. */
static void begin_row(struct op_insert *s, struct exec_ctx *ctx, uint32_t at)
{
    if (s->row_numbers != NULL) {
        s->row_numbers[at] = s->heard.row = s->rows.number + 1;
        exec__listen(ctx, &s->heard);
    }
}

static void end_row(struct op_insert *s, struct exec_ctx *ctx)
{
    if (s->row_numbers != NULL) {
        exec__listen_end(ctx, &s->heard);
    }
}

/* A row is wrong. MYSQL: what is wrong with the rows before it, which are written by then, is told
 * first. */
static db_err earlier_first(struct op_insert *s, struct exec_ctx *ctx, struct value *rows,
                            uint32_t n, db_err err)
{
    if (err != ERR_SQL || n == 0) {
        exec__listen_tell(&s->heard, UINT64_MAX);
        return err;
    }
    struct diag later = *ctx->diag;
    diag_reset(ctx->diag);
    TRY(exec__insert_write(s, ctx, rows, n));
    *ctx->diag = later;
    return err;
}

/* MYSQL: a subquery of a value list that reads the table sees the rows before its own. */
static db_err insert_one_by_one(struct op_insert *s, struct exec_ctx *ctx)
{
    const struct plan_node *values = s->op.node->children[0];
    uint32_t n = values->u.values.row_count;
    for (uint32_t i = 0; i < n; i++) {
        struct value *row = ARENA_ARRAY(ctx->arena, struct value, s->table->column_count);
        if (row == NULL) {
            return ERR_LIMIT;
        }
        TRY(insert_rows_literal(&s->rows, ctx, values->u.values.rows[i], row, n > 1));
        if (!s->rows.skip) {
            TRY(exec__insert_write(s, ctx, row, 1));
        }
    }
    return ERR_OK;
}

static db_err insert_literals(struct op_insert *s, struct exec_ctx *ctx)
{
    const struct plan_node *values = s->op.node->children[0];
    uint32_t n = values->u.values.row_count;
    if (s->op.node->u.insert.reads_target) {
        return insert_one_by_one(s, ctx);
    }
    struct value *rows = ARENA_ARRAY(ctx->arena, struct value, (size_t)n * s->table->column_count);
    if (rows == NULL) {
        return ERR_LIMIT;
    }
    uint32_t kept = 0;
    s->rows.expected = n;
    TRY(begin_rows(s, ctx, n));
    for (uint32_t i = 0; i < n; i++) {
        begin_row(s, ctx, kept);
        db_err err = insert_rows_literal(&s->rows, ctx, values->u.values.rows[i],
                                         &rows[(size_t)kept * s->table->column_count], n > 1);
        end_row(s, ctx);
        if (err != ERR_OK) {
            return earlier_first(s, ctx, rows, kept, err);
        }
        kept += s->rows.skip ? 0 : 1;
    }
    exec__listen_tell(&s->heard, kept == 0 ? UINT64_MAX : 0);
    return kept == 0 ? ERR_OK : exec__insert_write(s, ctx, rows, kept);
}

static db_err keep_sources(struct op_insert *s, struct exec_ctx *ctx, const struct chunk *in,
                           uint32_t at, struct value *ret)
{
    for (uint32_t i = 0; i < s->op.node->u.insert.source_count; i++) {
        vector_get(&in->columns[s->op.node->u.insert.sources[i]], at, &ret[i]);
        TRY(value_copy(&ret[i], ctx->arena, &ret[i]));
    }
    return ERR_OK;
}

/* ---- INSERT ... SELECT, chunk by chunk ---- */

static db_err write_chunk(struct op_insert *s, struct exec_ctx *ctx, const struct chunk *in)
{
    size_t width = s->table->column_count;
    size_t extra = s->op.node->u.insert.source_count;
    struct value *rows = ARENA_ARRAY(ctx->arena, struct value, in->count * width + 1);
    struct value *sources = ARENA_ARRAY(ctx->arena, struct value, in->count * extra + 1);
    uint32_t n = 0;
    if (rows == NULL || sources == NULL) {
        return ERR_LIMIT;
    }
    s->sources = sources;
    TRY(begin_rows(s, ctx, in->count));
    for (uint32_t i = 0; i < in->count; i++) {
        begin_row(s, ctx, n);
        db_err err = complete_row(s, ctx, in, chunk_row(in, i), &rows[n * width], true);
        end_row(s, ctx);
        if (err != ERR_OK) {
            return earlier_first(s, ctx, rows, n, err);
        }
        if (!s->rows.skip) {
            TRY(keep_sources(s, ctx, in, chunk_row(in, i), &sources[n * extra]));
            n++;
        }
    }
    exec__listen_tell(&s->heard, n == 0 ? UINT64_MAX : 0);
    return n == 0 ? ERR_OK : exec__insert_write(s, ctx, rows, n);
}

/* The statement's memory is for the source; what is made of a chunk goes with it. */
static db_err write_batch(struct op_insert *s, struct exec_ctx *ctx, struct arena *batch,
                          const struct chunk *in)
{
    struct arena *statement = ctx->arena;
    s->rows.kept = statement;
    s->rows.rules.values = batch;
    ctx->arena = batch;
    ctx->kept = statement;
    db_err err = write_chunk(s, ctx, in);
    ctx->arena = statement;
    ctx->kept = NULL;
    return err;
}

static db_err stream_chunks(struct op_insert *s, struct exec_ctx *ctx, struct arena *batch,
                            struct arena *eval)
{
    for (;;) {
        struct chunk *in;
        arena_reset(batch);
        arena_reset(eval);
        TRY(op_child_next(&s->op, ctx, 0, &in));
        if (in == NULL) {
            return ERR_OK;
        }
        TRY(write_batch(s, ctx, batch, in));
    }
}

/* ---- all of the source first: it may read the table that is written ---- */

static db_err take_source(struct op_insert *s, struct exec_ctx *ctx, struct arena *eval)
{
    const struct plan_node *n = s->op.node->children[0];
    struct vector **vectors = ARENA_ARRAY(ctx->arena, struct vector *, n->column_count + 1);
    if (vectors == NULL) {
        return ERR_LIMIT;
    }
    TRY(packed_format_init(&s->format, n->types, n->column_count, ctx->arena));
    row_store_init(&s->store, ctx, &s->format);
    for (;;) {
        struct chunk *in;
        arena_reset(eval);
        TRY(op_child_next(&s->op, ctx, 0, &in));
        if (in == NULL) {
            s->kept = true;
            return ERR_OK;
        }
        for (uint32_t i = 0; i < n->column_count; i++) {
            vectors[i] = &in->columns[i];
        }
        for (uint32_t i = 0; i < in->count; i++) {
            TRY(row_store_put(&s->store, ctx, vectors, chunk_row(in, i)));
        }
    }
}

static db_err kept_chunks(struct op_insert *s, struct exec_ctx *ctx, struct arena *batch,
                          struct arena *eval)
{
    const struct plan_node *n = s->op.node->children[0];
    struct chunk in;
    TRY(take_source(s, ctx, eval));
    TRY(chunk_init(&in, n->types, n->column_count, ctx->arena));
    for (uint64_t at = 0; at < s->store.count; at += in.count) {
        uint64_t left = s->store.count - at;
        uint32_t count = left < CHUNK_ROWS ? (uint32_t)left : CHUNK_ROWS;
        arena_reset(batch);
        arena_reset(eval);
        chunk_reset(&in);
        TRY(row_store_read(&s->store, ctx, at, count, in.columns, in.column_count, 0));
        in.count = count;
        TRY(write_batch(s, ctx, batch, &in));
    }
    return ERR_OK;
}

static db_err insert_select(struct op_insert *s, struct exec_ctx *ctx)
{
    const struct plan_node *n = s->op.node;
    bool stream = !n->u.insert.reads_target && !n->u.insert.replace && !n->u.insert.ignore &&
                  n->u.insert.update_count == 0;
    struct arena batch;
    struct arena eval;
    arena_init(&batch, NULL, ctx->mem, 0);
    arena_init(&eval, NULL, ctx->mem, 0);
    struct saved_arenas saved = exec__enter_arena(ctx, &eval);
    db_err err = stream ? stream_chunks(s, ctx, &batch, &eval) : kept_chunks(s, ctx, &batch, &eval);
    exec__leave_arena(ctx, saved);
    arena_fini(&eval);
    arena_fini(&batch);
    return err;
}

static db_err insert_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_insert *s = (struct op_insert *)op;
    *ret = NULL;
    if (s->done) {
        return ERR_OK;
    }
    s->done = true;
    if (op->node->children[0]->kind == PLAN_VALUES) {
        return insert_literals(s, ctx);
    }
    if (op->node->children[0]->kind == PLAN_LOAD) {
        return exec__load_rows(s, ctx);
    }
    return insert_select(s, ctx);
}

db_err exec_duplicate(struct exec_ctx *ctx, struct slice key)
{
    struct row_writer w;
    const struct plan_target *target = ctx->plan->root->u.insert.target;
    row_writer_init(&w, ctx, target->table, target->virtuals);
    db_err err = row_duplicate_key(&w, key);
    row_writer_fini(&w);
    return err;
}

static db_err insert_rescan(struct op *op, struct exec_ctx *ctx)
{
    (void)op;
    (void)ctx;
    return ERR_INVALID;
}

static void insert_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_insert *s = (struct op_insert *)op;
    if (s->opened) {
        row_writer_fini(&s->writer);
        s->opened = false;
    }
    row_store_fini(&s->store);
}

static const struct op_ops g_insert = {"insert", insert_open, insert_next, insert_rescan,
                                       insert_close};
const struct op_kind op_insert_kind = {sizeof(struct op_insert), &g_insert};
