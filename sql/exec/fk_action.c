/* The parent's side: rows that refer to a row which goes or changes.
 *
 * First, before the row is written: is there a row that refers to it and may not be touched? Then
 * the row's own parents are looked for and the row is written, then the rows that refer to it are
 * deleted or changed, each in the same way: depth first, so that a row's own children are done
 * before its next sibling.
 *
 * Against children that others insert meanwhile: a child's check locks the parent's key with S. The
 * parent's row is locked with X when it is read; when the key is that of another unique index, its
 * entry is locked here, before the children are looked at. So each of the two sees the other or
 * waits for it.
 *
 * Rows of a DELETE are looked up many at a time before the first of them goes: of those that have
 * no children, which is the common case, nothing more is asked. A statement that deletes makes no
 * row refer to another one than before.
 *
 * MYSQL: a table that an action has updated is not updated again further down the same chain; that
 * is an error as if the key had no action. A chain has 15 links at most, the statement's own
 * included. */
#include "base/fiber.h"
#include "sql/exec/fk_int.h"
#include "sql/exec/row_rules.h"

enum { FK_DEPTH_MAX = 15, FK_BATCH = 128 };

/* What led here: the statement's row, then one per action. On the stack. */
struct fk_frame {
    const struct fk_frame *up;
    const struct fk_table *fks;
    struct row_writer *writer;
    const struct value *old; /* the row that is being changed */
    uint32_t depth;
    bool update;
    const bool *none; /* by ref: no row refers to it; NULL: nothing is known */
};

/* The keys that are given up: how is the row changed? */
struct fk_change {
    const struct value *old;
    const struct value *by; /* the row that has its place, NULL: none */
    bool update;            /* ON UPDATE, else ON DELETE */
};

static uint8_t action_of(const struct fk_ref *r, const struct fk_change *c)
{
    return c->update ? r->def->on_update : r->def->on_delete;
}

/* Does the change take the key away? */
static bool gives_up(const struct fk_ref *r, const struct fk_change *c)
{
    if (c->by != NULL && fk__same(c->old, c->by, r->ref_columns, r->def->column_count)) {
        return false;
    }
    for (uint32_t i = 0; i < r->def->column_count; i++) {
        if (c->old[r->ref_columns[i]].is_null) {
            return false;
        }
    }
    return true;
}

/* MYSQL: while the two sides differ in their collations (ALTER may do that), no key of the parent
 * is given up. */
static bool differ_in_text(const struct fk_ref *r)
{
    for (uint32_t i = 0; i < r->def->column_count; i++) {
        const struct sql_type *a = &r->child->table->columns[r->columns[i]].type;
        const struct sql_type *b = &r->parent->columns[r->ref_columns[i]].type;
        if (type_is_string(a) && type_is_string(b) && a->collation != b->collation) {
            return true;
        }
    }
    return false;
}

/* Under which keys the child has rows that refer to the old row. */
static db_err child_prefix(struct exec_ctx *ctx, const struct fk_ref *r, const struct value *old,
                           struct arena *arena, struct buf *out, bool *ret_fits)
{
    struct fk_key_of k = {.from = r->parent,
                          .to = r->child->table,
                          .from_columns = r->ref_columns,
                          .to_columns = r->columns,
                          .count = r->def->column_count,
                          .index = r->index};
    bool has;
    TRY(fk__key(ctx, &k, old, arena, out, &has, ret_fits));
    *ret_fits = *ret_fits && has;
    return ERR_OK;
}

/* ---- before the row is written ---- */

static db_err lock_key(struct exec_ctx *ctx, const struct fk_ref *r, const struct value *old,
                       struct arena *arena)
{
    struct fk_key_of k = {.from = r->parent,
                          .to = r->parent,
                          .from_columns = r->ref_columns,
                          .to_columns = r->ref_columns,
                          .count = r->def->column_count,
                          .index = r->parent_index};
    SCOPE_BUF(key, FK_KEY_MAX);
    bool has;
    bool fits;
    if (r->parent_index == 0 || !r->parent_whole) {
        return ERR_OK; /* that of the row, which is locked */
    }
    TRY(fk__key(ctx, &k, old, arena, &key, &has, &fits));
    struct slice s = buf_slice(&key);
    return storage_lock(ctx->txn, &s, 1, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, ctx->diag);
}

static db_err refuse_referenced(struct exec_ctx *ctx, const struct fk_ref *r,
                                const struct value *old, struct arena *arena)
{
    SCOPE_BUF(prefix, FK_KEY_MAX);
    struct fk_matches m;
    bool fits;
    TRY(child_prefix(ctx, r, old, arena, &prefix, &fits));
    if (!fits || r->index == FK_NO_INDEX) {
        return ERR_OK;
    }
    TRY(lock_key(ctx, r, old, arena));
    fk__matches_init(&m, ctx, r->child->table, NULL, r->index, buf_slice(&prefix),
                     STORAGE_READ_SHARED, 1);
    db_err err = fk__matches_next(&m, ctx);
    uint32_t count = m.count;
    fk__matches_fini(&m);
    TRY(err);
    return count == 0 ? ERR_OK
                      : fk__violation(ctx, ER_ROW_IS_REFERENCED_2, r->child->table, r->def);
}

static bool updated_above(const struct fk_frame *f, const struct table_def *t)
{
    for (; f != NULL; f = f->up) {
        if (f->update && f->fks->table == t) {
            return true;
        }
    }
    return false;
}

/* Is a row that refers to the old one an error? f: of the change itself. */
static bool refuses(const struct fk_frame *f, const struct fk_ref *r, const struct fk_change *c)
{
    uint8_t action = action_of(r, c);
    if (action != FK_CASCADE && action != FK_SET_NULL) {
        return true;
    }
    return (c->update || action == FK_SET_NULL) && updated_above(f, r->child->table);
}

/* MYSQL: a row that refers to itself is in its own way, but not when an action deletes it. */
static bool may_be_itself(const struct fk_frame *f, const struct fk_ref *r,
                          const struct fk_change *c)
{
    return f->up != NULL && !c->update && r->child->table == r->parent;
}

static bool childless(const struct fk_frame *f, uint32_t ref)
{
    return f->none != NULL && f->none[ref];
}

/* MYSQL: keys are seen to one after the other; what an action has taken away is not in the way of a
 * key that comes later. *ret_next: the first one with an action; from it on they are seen to when
 * the row is written, but for those whose table no action reaches. */
static db_err before(struct exec_ctx *ctx, const struct fk_frame *f, const struct fk_change *c,
                     uint32_t *ret_next)
{
    struct arena arena;
    db_err err = ERR_OK;
    uint32_t next = UINT32_MAX;
    arena_init(&arena, NULL, ctx->mem, 0);
    for (uint32_t i = 0; i < f->fks->ref_count && err == ERR_OK; i++) {
        const struct fk_ref *r = &f->fks->refs[i];
        if (!gives_up(r, c)) {
            continue;
        }
        if (differ_in_text(r)) {
            err = fk__violation(ctx, ER_ROW_IS_REFERENCED_2, r->child->table, r->def);
        } else if (!refuses(f, r, c) || may_be_itself(f, r, c)) {
            next = next < i ? next : i;
        } else if ((next == UINT32_MAX || !r->child->reached) && !childless(f, i)) {
            err = refuse_referenced(ctx, r, c->old, &arena);
        }
    }
    arena_fini(&arena);
    *ret_next = next;
    return err;
}

/* ---- many rows at once ---- */

/* Is the row's own lock what keeps new children out? And is a row without children one of which
 * nothing is asked? */
static bool looks_ahead(const struct fk_ref *r)
{
    return r->index != FK_NO_INDEX && (r->parent_index == 0 || !r->parent_whole) &&
           !r->child->loops && !differ_in_text(r);
}

static db_err childless_of_key(struct exec_ctx *ctx, const struct fk_table *fks, uint32_t ref,
                               const struct value *rows, uint32_t count, struct arena *arena,
                               bool *ret_none)
{
    const struct fk_ref *r = &fks->refs[ref];
    struct slice *prefixes = ARENA_ARRAY(arena, struct slice, count);
    uint32_t *of = ARENA_ARRAY(arena, uint32_t, count);
    bool *any = ARENA_ARRAY(arena, bool, count);
    SCOPE_BUF(prefix, FK_KEY_MAX);
    uint32_t n = 0;
    if (prefixes == NULL || of == NULL || any == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct fk_change c = {.old = &rows[(size_t)i * fks->table->column_count]};
        bool fits;
        if (!gives_up(r, &c)) {
            continue;
        }
        buf_reset(&prefix);
        TRY(child_prefix(ctx, r, c.old, arena, &prefix, &fits));
        if (fits) {
            TRY(arena_copy(arena, buf_slice(&prefix), &prefixes[n]));
            of[n++] = i;
        }
    }
    TRY(storage_any_under(ctx->txn, prefixes, n, arena, ctx->diag, any));
    for (uint32_t i = 0; i < n; i++) {
        ret_none[(size_t)of[i] * fks->ref_count + ref] = !any[i];
    }
    return ERR_OK;
}

db_err fk_find_childless(struct exec_ctx *ctx, const struct fk_table *fks, const struct value *rows,
                         uint32_t count, bool *ret_none)
{
    struct arena arena;
    db_err err = ERR_OK;
    memset(ret_none, 0, (size_t)count * fks->ref_count * sizeof(*ret_none));
    arena_init(&arena, NULL, ctx->mem, 0);
    for (uint32_t i = 0; i < fks->ref_count && err == ERR_OK && count > 1; i++) {
        if (looks_ahead(&fks->refs[i])) {
            err = childless_of_key(ctx, fks, i, rows, count, &arena, ret_none);
            arena_reset(&arena);
        }
    }
    arena_fini(&arena);
    return err;
}

/* ---- after it ---- */

static db_err delete_row(struct exec_ctx *ctx, struct fk_frame *f, const struct value *old,
                         const struct value *by);
static db_err update_row(struct exec_ctx *ctx, struct fk_frame *f, const struct value *old,
                         const struct value *row, const bool *touched,
                         const struct foreign_key_def *but);

/* What changes the rows of a table: made once for the statement, however many rows there are. */
struct fk_writer {
    struct row_writer writer;
    struct row_rules rules;
};

static db_err make_writer(struct exec_ctx *ctx, const struct fk_table *fks)
{
    if (ctx->fk_writers == NULL) {
        ctx->fk_writers =
            ARENA_ARRAY(ctx->arena, struct fk_writer *, ctx->plan->fk_table_count + 1);
        if (ctx->fk_writers == NULL) {
            return ERR_LIMIT;
        }
    }
    if (ctx->fk_writers[fks->id] == NULL) {
        struct fk_writer *w = ARENA_NEW(ctx->arena, struct fk_writer);
        if (w == NULL) {
            return ERR_LIMIT;
        }
        TRY(row_rules_init(&w->rules, ctx, fks->table, fks->rules));
        row_writer_init(&w->writer, ctx, fks->table, fks->virtuals);
        ctx->fk_writers[fks->id] = w;
    }
    return ERR_OK;
}

static db_err writer_of(struct exec_ctx *ctx, const struct fk_table *fks, struct row_writer **ret)
{
    struct arena *batch = exec__enter_kept(ctx);
    db_err err = make_writer(ctx, fks);
    exec__leave_kept(ctx, batch);
    TRY(err);
    *ret = &ctx->fk_writers[fks->id]->writer;
    return ERR_OK;
}

void fk_close(struct exec_ctx *ctx)
{
    for (uint32_t i = 0; ctx->fk_writers != NULL && i < ctx->plan->fk_table_count; i++) {
        if (ctx->fk_writers[i] != NULL) {
            row_writer_fini(&ctx->fk_writers[i]->writer);
        }
    }
    ctx->fk_writers = NULL;
}

/* MYSQL: what does not fit into the child's column is an error as if the key had no action. */
static db_err new_columns(struct exec_ctx *ctx, const struct fk_ref *r, const struct fk_change *c,
                          struct arena *arena, struct value *row, bool *ret_fits)
{
    bool null = action_of(r, c) == FK_SET_NULL;
    *ret_fits = true;
    for (uint32_t i = 0; i < r->def->column_count && *ret_fits; i++) {
        const struct column_def *to = &r->child->table->columns[r->columns[i]];
        const struct column_def *from = &r->parent->columns[r->ref_columns[i]];
        struct value *v = &row[to->ordinal];
        if (null) {
            value_set_null(v, &to->type);
        } else {
            TRY(fk__convert(ctx, &to->type, &from->type, &c->by[from->ordinal], arena, v,
                            ret_fits));
            if (*ret_fits && type_is_string(&to->type) && !v->is_null) {
                const struct charset *cs = collation_by_id(to->type.collation)->cs;
                *ret_fits =
                    to->type.length == 0 || charset_char_count(cs, v->str) <= to->type.length;
            }
        }
        *ret_fits = *ret_fits && !(v->is_null && (to->type.flags & TYPE_F_NOT_NULL) != 0);
    }
    return ERR_OK;
}

/* Generated columns and checks of the new row. */
static db_err derive(struct exec_ctx *ctx, const struct fk_table *fks, struct arena *arena,
                     struct value *row)
{
    struct row_rules *rules = &ctx->fk_writers[fks->id]->rules;
    bool pass;
    if (fks->rules == NULL) {
        return ERR_OK;
    }
    rules->values = arena;
    struct arena *batch = exec__enter_kept(ctx);
    db_err err = row_rules_apply(rules, ctx, 1, row, &pass);
    exec__leave_kept(ctx, batch);
    return err;
}

/* MYSQL: told as an error of the parent's new key. */
static db_err duplicate_child(struct exec_ctx *ctx, const struct fk_frame *f,
                              const struct fk_ref *r, const struct fk_change *c)
{
    SCOPE_BUF(record, FK_KEY_MAX);
    struct arena *arena = ctx->arena;
    for (uint32_t i = 0; i < r->def->column_count && c->by != NULL; i++) {
        const struct column_def *p = &r->parent->columns[r->ref_columns[i]];
        TRY(i == 0 ? ERR_OK : buf_append_u8(&record, '-'));
        TRY(row_print_part(ctx, &p->type, &c->by[p->ordinal], &record));
    }
    return my_error(ctx->diag, ER_FOREIGN_DUPLICATE_KEY_WITH_CHILD_INFO,
                    arena_strdup(arena, r->parent->name), arena_strdup(arena, buf_slice(&record)),
                    arena_strdup(arena, r->child->table->name),
                    arena_strdup(arena, r->child->table->indexes[f->writer->duplicate].name));
}

static db_err change_child(struct exec_ctx *ctx, struct fk_frame *f, const struct fk_ref *r,
                           const struct fk_change *c, struct arena *arena, const struct value *old)
{
    const struct table_def *t = r->child->table;
    struct value *row = ARENA_ARRAY(arena, struct value, t->column_count);
    bool fits;
    if (row == NULL) {
        return ERR_LIMIT;
    }
    memcpy(row, old, t->column_count * sizeof(*row));
    TRY(new_columns(ctx, r, c, arena, row, &fits));
    if (!fits) {
        return fk__violation(ctx, ER_ROW_IS_REFERENCED_2, t, r->def);
    }
    if (row_equal(t, old, row)) {
        return ERR_OK;
    }
    TRY(derive(ctx, r->child, arena, row));
    db_err err = update_row(ctx, f, old, row, NULL, r->def);
    return err == ERR_SQL && ctx->diag->number == ER_DUP_ENTRY ? duplicate_child(ctx, f, r, c)
                                                               : err;
}

static db_err act_on(struct exec_ctx *ctx, const struct fk_frame *up, const struct fk_ref *r,
                     const struct fk_change *c, struct fk_matches *m)
{
    uint8_t action = action_of(r, c);
    struct fk_frame f = {.up = up, .fks = r->child, .depth = up->depth + 1};
    f.update = action == FK_SET_NULL || c->update;
    if (f.depth >= FK_DEPTH_MAX) {
        return my_error(ctx->diag, ER_FK_DEPTH_EXCEEDED, (int)FK_DEPTH_MAX);
    }
    TRY(writer_of(ctx, r->child, &f.writer));
    for (uint32_t i = 0; i < m->count; i++) {
        const struct value *old = &m->rows[(size_t)i * r->child->table->column_count];
        TRY(f.update ? change_child(ctx, &f, r, c, &m->arena, old)
                     : delete_row(ctx, &f, old, NULL));
        TRY(fiber_checkpoint());
    }
    return ERR_OK;
}

/* MYSQL: rows that are being deleted further up count for the length of the chain, although they
 * are not deleted twice. */
static db_err closes_circle(const struct fk_frame *f, const struct fk_ref *r, struct slice prefix,
                            bool *ret_closes)
{
    SCOPE_BUF(key, FK_KEY_MAX);
    SCOPE_BUF(value, STORAGE_VALUE_SIZE_MAX);
    *ret_closes = false;
    for (; f != NULL && !*ret_closes; f = f->up) {
        bool null;
        if (f->fks->table != r->child->table || f->update || r->index == 0) {
            continue;
        }
        buf_reset(&key);
        buf_reset(&value);
        TRY(index_entry_encode(&f->fks->table->format->indexes[r->index], f->old, &key, &value,
                               &null));
        *ret_closes = key.len >= prefix.len && memcmp(key.ptr, prefix.ptr, prefix.len) == 0;
    }
    return ERR_OK;
}

static db_err follow(struct exec_ctx *ctx, const struct fk_frame *up, const struct fk_ref *r,
                     const struct fk_change *c)
{
    SCOPE_BUF(prefix, FK_KEY_MAX);
    struct fk_matches m;
    struct arena arena;
    bool fits;
    arena_init(&arena, NULL, ctx->mem, 0);
    db_err err = child_prefix(ctx, r, c->old, &arena, &prefix, &fits);
    arena_fini(&arena);
    TRY(err);
    if (!fits || r->index == FK_NO_INDEX) {
        return ERR_OK;
    }
    if (r->child->loops && up->depth + 1 >= FK_DEPTH_MAX) {
        bool closes;
        TRY(closes_circle(up, r, buf_slice(&prefix), &closes));
        if (closes) {
            return my_error(ctx->diag, ER_FK_DEPTH_EXCEEDED, (int)FK_DEPTH_MAX);
        }
    }
    /* What is done with the first row of a batch may change the others, where actions come back. */
    fk__matches_init(&m, ctx, r->child->table, r->child->virtuals, r->index, buf_slice(&prefix),
                     STORAGE_READ_EXCLUSIVE, r->child->loops ? 1 : FK_BATCH);
    do {
        err = fk__matches_next(&m, ctx);
        err = err == ERR_OK && m.count != 0 ? act_on(ctx, up, r, c, &m) : err;
    } while (err == ERR_OK && m.count != 0);
    fk__matches_fini(&m);
    return err;
}

/* Does the row that was written refer to what it was itself? */
static db_err referred_to_itself(struct exec_ctx *ctx, const struct fk_ref *r,
                                 const struct value *old, struct arena *arena, bool *ret_is)
{
    SCOPE_BUF(prefix, FK_KEY_MAX);
    SCOPE_BUF(key, FK_KEY_MAX);
    SCOPE_BUF(value, STORAGE_VALUE_SIZE_MAX);
    bool fits;
    bool null;
    *ret_is = false;
    if (r->child->table != r->parent || r->index == 0 || r->index == FK_NO_INDEX) {
        return ERR_OK;
    }
    TRY(child_prefix(ctx, r, old, arena, &prefix, &fits));
    TRY(index_entry_encode(&r->parent->format->indexes[r->index], old, &key, &value, &null));
    *ret_is = fits && key.len >= prefix.len && memcmp(key.ptr, prefix.ptr, prefix.len) == 0;
    return ERR_OK;
}

static db_err refuse_late(struct exec_ctx *ctx, const struct fk_ref *r, const struct value *old,
                          struct arena *arena)
{
    bool self;
    TRY(referred_to_itself(ctx, r, old, arena, &self));
    return self ? fk__violation(ctx, ER_ROW_IS_REFERENCED_2, r->child->table, r->def)
                : refuse_referenced(ctx, r, old, arena);
}

static db_err after(struct exec_ctx *ctx, const struct fk_frame *f, const struct fk_change *c,
                    uint32_t next)
{
    for (uint32_t i = next; i < f->fks->ref_count; i++) {
        const struct fk_ref *r = &f->fks->refs[i];
        struct arena arena;
        if (!gives_up(r, c) || childless(f, i)) {
            continue;
        }
        if (!refuses(f, r, c)) {
            TRY(follow(ctx, f, r, c));
            continue;
        }
        bool gone = may_be_itself(f, r, c);
        if (!gone && !r->child->reached) {
            continue; /* seen to before */
        }
        arena_init(&arena, NULL, ctx->mem, 0);
        db_err err =
            gone ? refuse_referenced(ctx, r, c->old, &arena) : refuse_late(ctx, r, c->old, &arena);
        arena_fini(&arena);
        TRY(err);
    }
    return ERR_OK;
}

static db_err delete_row(struct exec_ctx *ctx, struct fk_frame *f, const struct value *old,
                         const struct value *by)
{
    struct fk_change c = {.old = old, .by = by};
    uint32_t next;
    f->old = old;
    TRY(before(ctx, f, &c, &next));
    TRY(row_delete(f->writer, old));
    return after(ctx, f, &c, next);
}

/* Where actions come back to the table, they may make the row's parents: it is checked last. */
static db_err update_row(struct exec_ctx *ctx, struct fk_frame *f, const struct value *old,
                         const struct value *row, const bool *touched,
                         const struct foreign_key_def *but)
{
    struct fk_change c = {.old = old, .by = row, .update = true};
    uint32_t next;
    f->old = old;
    TRY(before(ctx, f, &c, &next));
    if (!f->fks->loops) {
        TRY(fk__check_but(ctx, f->fks, old, row, NULL, but));
    }
    TRY(row_update(f->writer, old, row, touched));
    TRY(after(ctx, f, &c, next));
    return f->fks->loops ? fk__check_but(ctx, f->fks, old, row, NULL, but) : ERR_OK;
}

/* ---- the statement's own rows ---- */

db_err fk_delete_row(struct exec_ctx *ctx, const struct fk_table *fks, struct row_writer *w,
                     const struct value *old, const bool *none)
{
    struct fk_frame f = {.fks = fks, .writer = w, .none = none};
    return fks == NULL ? row_delete(w, old) : delete_row(ctx, &f, old, NULL);
}

db_err fk_replace_row(struct exec_ctx *ctx, const struct fk_table *fks, struct row_writer *w,
                      const struct value *old, const struct value *by)
{
    struct fk_frame f = {.fks = fks, .writer = w};
    return fks == NULL ? row_delete(w, old) : delete_row(ctx, &f, old, by);
}

db_err fk_update_row(struct exec_ctx *ctx, const struct fk_table *fks, struct row_writer *w,
                     const struct value *old, const struct value *new_row, const bool *touched)
{
    struct fk_frame f = {.fks = fks, .writer = w, .update = true};
    if (fks == NULL) {
        return row_update(w, old, new_row, touched);
    }
    return update_row(ctx, &f, old, new_row, touched, NULL);
}

db_err fk_reread(struct exec_ctx *ctx, struct row_writer *w, const struct value *old,
                 struct value *ret_row, bool *ret_found)
{
    struct slice stored;
    struct slice copy;
    buf_reset(&w->key);
    TRY(row_key_encode(&w->format->indexes[0], old, &w->key));
    TRY(storage_get(ctx->txn, buf_slice(&w->key), STORAGE_READ_EXCLUSIVE, STORAGE_WAIT,
                    ctx->eval.arena, ctx->diag, ret_found, &stored));
    if (!*ret_found) {
        return ERR_OK;
    }
    TRY(arena_copy(ctx->arena, stored, &copy));
    return whole_row_read(&w->rows, ctx, copy, ctx->arena, ret_row);
}
