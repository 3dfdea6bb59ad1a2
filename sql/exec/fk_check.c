/* The child's side: a row must have its parents.
 *
 * The parent is looked up by the unique index that the key refers to, and the key found there is
 * locked with S: whoever deletes the parent, or changes that key of it, needs the same key with X
 * and waits for this transaction to end. Rows of an INSERT are looked up many at a time with one
 * request, before the first of them is written. What is not found then is looked for once more when
 * it is the row's turn: in a table that refers to itself an earlier row may be the parent.
 *
 * When the index is not unique (restrict_fk_on_non_standard_key = OFF) a row of the parent is
 * locked instead. */
#include "base/fiber.h"
#include "base/hash.h"
#include "sql/exec/fk_int.h"

static db_err put_list(struct buf *out, const struct slice *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        TRY(buf_printf(out, "%s`%.*s`", i == 0 ? "(" : ", ", SLICE_FMT(names[i])));
    }
    return buf_append_u8(out, ')');
}

static const char *action_text(uint8_t action)
{
    return action == FK_CASCADE    ? "CASCADE"
           : action == FK_SET_NULL ? "SET NULL"
           : action == FK_RESTRICT ? "RESTRICT"
                                   : NULL;
}

static db_err describe(struct buf *out, const struct table_def *child,
                       const struct foreign_key_def *def)
{
    TRY(buf_printf(out, "`%.*s`.`%.*s`, CONSTRAINT `%.*s` FOREIGN KEY ",
                   SLICE_FMT(child->schema_name), SLICE_FMT(child->name), SLICE_FMT(def->name)));
    TRY(put_list(out, def->columns, def->column_count));
    TRY(buf_printf(out, " REFERENCES "));
    if (!slice_eq(def->ref_schema, child->schema_name)) {
        TRY(buf_printf(out, "`%.*s`.", SLICE_FMT(def->ref_schema)));
    }
    TRY(buf_printf(out, "`%.*s` ", SLICE_FMT(def->ref_table)));
    TRY(put_list(out, def->ref_columns, def->column_count));
    if (action_text(def->on_delete) != NULL) {
        TRY(buf_printf(out, " ON DELETE %s", action_text(def->on_delete)));
    }
    if (action_text(def->on_update) != NULL) {
        TRY(buf_printf(out, " ON UPDATE %s", action_text(def->on_update)));
    }
    return buf_append_u8(out, '\0');
}

db_err fk__violation(struct exec_ctx *ctx, enum my_errno number, const struct table_def *child,
                     const struct foreign_key_def *def)
{
    SCOPE_BUF(text, FK_KEY_MAX);
    TRY(describe(&text, child, def));
    return number == ER_NO_REFERENCED_ROW_2
               ? my_error(ctx->diag, ER_NO_REFERENCED_ROW_2, (const char *)text.ptr)
               : my_error(ctx->diag, ER_ROW_IS_REFERENCED_2, (const char *)text.ptr);
}

bool fk_is_violation(const struct exec_ctx *ctx, db_err err)
{
    return err == ERR_SQL && (ctx->diag->number == ER_NO_REFERENCED_ROW_2 ||
                              ctx->diag->number == ER_ROW_IS_REFERENCED_2);
}

static struct fk_key_of parent_key(const struct fk_check *c)
{
    return (struct fk_key_of){.from = c->child,
                              .to = c->parent,
                              .from_columns = c->columns,
                              .to_columns = c->ref_columns,
                              .count = c->def->column_count,
                              .index = c->index};
}

/* ---- many rows ---- */

struct lookup {
    struct arena *arena;
    uint32_t count; /* keys so far */
    struct slice *keys;
    uint32_t *of; /* by row and check: the key, UINT32_MAX: nothing to look for */
    uint32_t *slots, mask;
};

/* Rows often share their parents. */
static uint32_t number_of_key(struct lookup *l, struct slice key)
{
    uint32_t at = (uint32_t)hash_bytes(key, 0) & l->mask;
    while (l->slots[at] != 0 && !slice_eq(l->keys[l->slots[at] - 1], key)) {
        at = (at + 1) & l->mask;
    }
    if (l->slots[at] == 0) {
        l->keys[l->count] = key;
        l->slots[at] = ++l->count;
    }
    return l->slots[at] - 1;
}

static db_err lookup_init(struct lookup *l, struct arena *arena, size_t n)
{
    uint32_t slots = 8;
    while (slots < n * 2) {
        slots *= 2;
    }
    *l = (struct lookup){.arena = arena, .mask = slots - 1};
    l->keys = ARENA_ARRAY(arena, struct slice, n);
    l->of = ARENA_ARRAY(arena, uint32_t, n);
    l->slots = ARENA_ARRAY(arena, uint32_t, slots);
    return l->keys == NULL || l->of == NULL || l->slots == NULL ? ERR_LIMIT : ERR_OK;
}

static db_err collect_keys(struct exec_ctx *ctx, const struct fk_table *fks,
                           const struct value *rows, uint32_t count, struct lookup *l)
{
    SCOPE_BUF(key, FK_KEY_MAX);
    uint32_t width = fks->table->column_count;
    for (uint32_t i = 0; i < count * fks->check_count; i++) {
        const struct fk_check *c = &fks->checks[i % fks->check_count];
        const struct value *row = &rows[(size_t)(i / fks->check_count) * width];
        bool has = false;
        bool fits;
        l->of[i] = UINT32_MAX;
        if (!c->whole) {
            continue;
        }
        struct fk_key_of k = parent_key(c);
        buf_reset(&key);
        TRY(fk__key(ctx, &k, row, l->arena, &key, &has, &fits));
        if (has && fits) {
            struct slice copy;
            TRY(arena_copy(l->arena, buf_slice(&key), &copy));
            l->of[i] = number_of_key(l, copy);
        }
    }
    return ERR_OK;
}

static db_err find_parents(struct exec_ctx *ctx, const struct fk_table *fks,
                           const struct value *rows, uint32_t count, struct arena *arena,
                           bool *ret_known)
{
    struct lookup l;
    size_t n = (size_t)count * fks->check_count;
    TRY(lookup_init(&l, arena, n));
    TRY(collect_keys(ctx, fks, rows, count, &l));
    if (l.count == 0) {
        return ERR_OK;
    }
    bool *found = ARENA_ARRAY(arena, bool, l.count);
    struct slice *values = ARENA_ARRAY(arena, struct slice, l.count);
    if (found == NULL || values == NULL) {
        return ERR_LIMIT;
    }
    TRY(storage_multi_get(ctx->txn, l.keys, l.count, STORAGE_READ_SHARED, STORAGE_WAIT, arena,
                          ctx->diag, found, values));
    for (size_t i = 0; i < n; i++) {
        ret_known[i] = l.of[i] != UINT32_MAX && found[l.of[i]];
    }
    return ERR_OK;
}

db_err fk_find_parents(struct exec_ctx *ctx, const struct fk_table *fks, const struct value *rows,
                       uint32_t count, bool *ret_known)
{
    enum { ROWS_MAX = 512 };
    struct arena arena;
    db_err err = ERR_OK;
    memset(ret_known, 0, (size_t)count * fks->check_count * sizeof(*ret_known));
    arena_init(&arena, NULL, ctx->mem, 0);
    for (uint32_t i = 0; i < count && err == ERR_OK; i += ROWS_MAX) {
        uint32_t n = count - i < ROWS_MAX ? count - i : ROWS_MAX;
        arena_reset(&arena);
        err = find_parents(ctx, fks, &rows[(size_t)i * fks->table->column_count], n, &arena,
                           &ret_known[(size_t)i * fks->check_count]);
        err = err == ERR_OK ? fiber_checkpoint() : err;
    }
    arena_fini(&arena);
    return err;
}

/* ---- one row ---- */

/* The row is its own parent. */
static db_err own_parent(struct exec_ctx *ctx, const struct fk_check *c, const struct value *row,
                         struct slice key, struct arena *arena, bool *ret_is)
{
    struct fk_key_of k = parent_key(c);
    SCOPE_BUF(own, FK_KEY_MAX);
    bool has;
    bool fits;
    *ret_is = false;
    if (c->parent != c->child) {
        return ERR_OK;
    }
    k.from_columns = c->ref_columns;
    TRY(fk__key(ctx, &k, row, arena, &own, &has, &fits));
    *ret_is = has && fits && slice_eq(key, buf_slice(&own));
    return ERR_OK;
}

static db_err has_parent(struct exec_ctx *ctx, const struct fk_check *c, const struct value *row,
                         struct arena *arena, bool *ret_has)
{
    SCOPE_BUF(key, FK_KEY_MAX);
    struct fk_key_of k = parent_key(c);
    struct slice value;
    struct fk_matches m;
    bool has;
    bool fits;
    *ret_has = false;
    TRY(fk__key(ctx, &k, row, arena, &key, &has, &fits));
    if (!has || !fits) {
        *ret_has = !has;
        return ERR_OK;
    }
    TRY(own_parent(ctx, c, row, buf_slice(&key), arena, ret_has));
    if (*ret_has) {
        return ERR_OK;
    }
    if (c->whole) {
        return storage_get(ctx->txn, buf_slice(&key), STORAGE_READ_SHARED, STORAGE_WAIT, arena,
                           ctx->diag, ret_has, &value);
    }
    fk__matches_init(&m, ctx, c->parent, NULL, c->index, buf_slice(&key), STORAGE_READ_SHARED, 1);
    db_err err = fk__matches_next(&m, ctx);
    *ret_has = m.count != 0;
    fk__matches_fini(&m);
    return err;
}

static bool has_null(const struct fk_check *c, const struct value *row)
{
    for (uint32_t i = 0; i < c->def->column_count; i++) {
        if (row[c->columns[i]].is_null) {
            return true;
        }
    }
    return false;
}

static db_err check_one(struct exec_ctx *ctx, const struct fk_check *c, const struct value *row)
{
    struct arena arena;
    bool has = false;
    if (has_null(c, row)) {
        return ERR_OK;
    }
    if (c->index != FK_NO_INDEX) {
        arena_init(&arena, NULL, ctx->mem, 0);
        db_err err = has_parent(ctx, c, row, &arena, &has);
        arena_fini(&arena);
        TRY(err);
    }
    return has ? ERR_OK : fk__violation(ctx, ER_NO_REFERENCED_ROW_2, c->child, c->def);
}

db_err fk__check_but(struct exec_ctx *ctx, const struct fk_table *fks, const struct value *old,
                     const struct value *row, const bool *known, const struct foreign_key_def *but)
{
    for (uint32_t i = 0; i < fks->check_count; i++) {
        const struct fk_check *c = &fks->checks[i];
        if ((known != NULL && known[i]) || c->def == but ||
            (old != NULL && fk__same(old, row, c->columns, c->def->column_count))) {
            continue;
        }
        TRY(check_one(ctx, c, row));
    }
    return ERR_OK;
}

db_err fk_check_row(struct exec_ctx *ctx, const struct fk_table *fks, const struct value *old,
                    const struct value *row, const bool *known)
{
    return fks == NULL ? ERR_OK : fk__check_but(ctx, fks, old, row, known, NULL);
}
