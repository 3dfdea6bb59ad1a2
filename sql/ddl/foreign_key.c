/* Foreign keys of a table in the making: what is written, its index, its name.
 *
 * A key of the draft holds its columns by address, as indexes do, so that ALTER can rename and drop
 * them; the descriptor has names. What a key may refer to is checked on the finished descriptor
 * (fk_check.c).
 *
 * MYSQL: a foreign key brings an index of its own, named after the constraint, which counts as
 * generated: it is left out when a key that was written begins with the same columns, and goes when
 * one is added later. */
#include "sql/ddl/fk_int.h"

static uint8_t action_of(enum ast_ref_action a)
{
    switch ((int)a) {
    case AST_REF_RESTRICT: return FK_RESTRICT;
    case AST_REF_CASCADE: return FK_CASCADE;
    case AST_REF_SET_NULL: return FK_SET_NULL;
    case AST_REF_SET_DEFAULT: return FK_SET_DEFAULT;
    default: return FK_NO_ACTION;
    }
}

static db_err append_fk(struct draft *d, struct draft_fk *fk)
{
    struct draft_fk **grown = ARENA_ARRAY(d->ctx->arena, struct draft_fk *, d->fk_count + 1);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    if (d->fk_count != 0) {
        memcpy(grown, d->fks, d->fk_count * sizeof(*grown));
    }
    grown[d->fk_count++] = fk;
    d->fks = grown;
    return ERR_OK;
}

static db_err add_index(struct draft *d, struct slice name, const struct slice *columns,
                        uint32_t count)
{
    struct draft_index *ix = ARENA_NEW(d->ctx->arena, struct draft_index);
    if (ix == NULL) {
        return ERR_NOMEM;
    }
    ix->source = -1;
    ix->def.kind = INDEX_PLAIN;
    ix->def.name = name;
    ix->def.generated = true;
    ix->part_count = count;
    ix->parts = ARENA_ARRAY(d->ctx->arena, struct draft_part, count + 1);
    if (ix->parts == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        ix->parts[i].name = columns[i];
    }
    return ddl__add_index(d, ix);
}

static db_err mismatch(struct draft *d, struct slice name)
{
    return my_error(d->ctx->diag, ER_WRONG_FK_DEF,
                    name.ptr == NULL ? "foreign key without name" : ddl__text(d->ctx, name),
                    "Key reference and table reference don't match");
}

static bool refers_to(const struct foreign_key_def *f, const struct table_def *t)
{
    return slice_eq(f->ref_schema, t->schema_name) && slice_eq(f->ref_table, t->name);
}

/* MYSQL: without columns the parent's primary key is meant. */
static db_err referenced_columns(struct draft *d, const struct ast_references *r,
                                 struct foreign_key_def *f)
{
    struct arena *arena = d->ctx->arena;
    f->ref_columns = ARENA_ARRAY(arena, struct slice, f->column_count + 1);
    if (f->ref_columns == NULL) {
        return ERR_NOMEM;
    }
    if (r->columns.count != 0) {
        if (r->columns.count != f->column_count) {
            return mismatch(d, f->name);
        }
        const struct table_def *parent =
            snapshot_permanent(d->ctx->bind->snapshot, f->ref_schema, f->ref_table);
        for (uint32_t i = 0; i < f->column_count; i++) {
            struct slice name = r->columns.items[i]->name;
            const struct column_def *c = parent == NULL ? NULL : table_column(parent, name);
            f->ref_columns[i] = c == NULL ? name : c->name; /* MYSQL: with the column's case */
        }
        return ERR_OK;
    }
    bool self = refers_to(f, &d->def);
    const struct draft_index *pk = self ? ddl__primary(d) : NULL;
    const struct table_def *t =
        self ? NULL : snapshot_permanent(d->ctx->bind->snapshot, f->ref_schema, f->ref_table);
    uint32_t n = pk != NULL                                             ? pk->part_count
                 : t != NULL && t->kind == TABLE_BASE && t->has_primary ? t->indexes[0].part_count
                                                                        : 0;
    if (n != f->column_count) {
        return mismatch(d, f->name);
    }
    for (uint32_t i = 0; i < n; i++) {
        f->ref_columns[i] =
            pk != NULL ? pk->parts[i].name : t->columns[t->indexes[0].parts[i].column].name;
    }
    return ERR_OK;
}

static bool bad_name(struct slice name)
{
    return ddl__too_long(name, DDL_NAME_CHARS_MAX) || name.len == 0 ||
           name.ptr[name.len - 1] == ' ';
}

static db_err check_names(struct ddl_ctx *ctx, struct slice name, const struct ast_references *r)
{
    if (name.ptr != NULL && ddl__too_long(name, DDL_NAME_CHARS_MAX)) {
        return my_error(ctx->diag, ER_TOO_LONG_IDENT, ddl__text(ctx, name));
    }
    if (r->table.schema.ptr != NULL) {
        TRY(ddl__check_schema_name(ctx, r->table.schema));
    }
    if (bad_name(r->table.name)) {
        return my_error(ctx->diag, ER_WRONG_TABLE_NAME, ddl__text(ctx, r->table.name));
    }
    for (uint32_t i = 0; i < r->columns.count; i++) {
        if (bad_name(r->columns.items[i]->name)) {
            return my_error(ctx->diag, ER_WRONG_COLUMN_NAME,
                            ddl__text(ctx, r->columns.items[i]->name));
        }
    }
    return ERR_OK;
}

db_err ddl__add_fk(struct draft *d, struct slice constraint, struct slice index,
                   const struct slice *columns, uint32_t count, const struct ast_references *r)
{
    struct ddl_ctx *ctx = d->ctx;
    struct draft_fk *fk = ARENA_NEW(ctx->arena, struct draft_fk);
    if (fk == NULL) {
        return ERR_NOMEM;
    }
    struct foreign_key_def *f = &fk->def;
    fk->is_new = true;
    f->name = constraint;
    f->column_count = count;
    f->on_delete = action_of(r->on_delete);
    f->on_update = action_of(r->on_update);
    f->match = r->match == AST_MATCH_PARTIAL ? 1 : r->match == AST_MATCH_FULL ? 2 : 0;
    f->ref_schema = r->table.schema.ptr != NULL ? r->table.schema : d->def.schema_name;
    f->ref_table = r->table.name;
    f->columns = ARENA_ARRAY(ctx->arena, struct slice, count + 1);
    fk->columns = ARENA_ARRAY(ctx->arena, struct draft_column *, count + 1);
    if (f->columns == NULL || fk->columns == NULL) {
        return ERR_NOMEM;
    }
    memcpy(f->columns, columns, count * sizeof(*columns));
    TRY(check_names(ctx, constraint.ptr != NULL ? constraint : index, r));
    TRY(referenced_columns(d, r, f));
    TRY(append_fk(d, fk));
    return add_index(d, constraint.ptr != NULL ? constraint : index, columns, count);
}

db_err ddl__foreign_key(struct draft *d, const struct ast_index_def *ast)
{
    uint32_t n = ast->parts.count;
    struct slice *columns = ARENA_ARRAY(d->ctx->arena, struct slice, n + 1);
    if (columns == NULL) {
        return ERR_NOMEM;
    }
    if (n > CATALOG_INDEX_PARTS_MAX) {
        return my_error(d->ctx->diag, ER_TOO_MANY_KEY_PARTS, CATALOG_INDEX_PARTS_MAX);
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct ast_key_part *p = ast->parts.items[i];
        if (p->expr != NULL || p->prefix != 0) {
            return my_error(d->ctx->diag, ER_CANNOT_ADD_FOREIGN);
        }
        columns[i] = p->column;
    }
    return ddl__add_fk(d, ast->constraint, ast->name, columns, n, ast->references);
}

bool ddl__has_fk(const struct draft *d, struct slice name)
{
    for (uint32_t i = 0; i < d->fk_count; i++) {
        if (!d->fks[i]->is_new && slice_eq_nocase(d->fks[i]->def.name, name)) {
            return true;
        }
    }
    return false;
}

bool ddl__drop_fk(struct draft *d, struct slice name)
{
    for (uint32_t i = 0; i < d->fk_count; i++) {
        if (!d->fks[i]->is_new && slice_eq_nocase(d->fks[i]->def.name, name)) {
            memmove(d->fks + i, d->fks + i + 1, (d->fk_count - i - 1) * sizeof(*d->fks));
            d->fk_count--;
            return true;
        }
    }
    return false;
}

db_err ddl__take_fks(struct draft *d, const struct table_def *t)
{
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        struct draft_fk *fk = ARENA_NEW(d->ctx->arena, struct draft_fk);
        if (fk == NULL) {
            return ERR_NOMEM;
        }
        fk->def = t->foreign_keys[i];
        fk->self =
            slice_eq(fk->def.ref_schema, t->schema_name) && slice_eq(fk->def.ref_table, t->name);
        fk->columns = ARENA_ARRAY(d->ctx->arena, struct draft_column *, fk->def.column_count + 1);
        fk->ref_columns =
            ARENA_ARRAY(d->ctx->arena, struct draft_column *, fk->def.column_count + 1);
        if (fk->columns == NULL || fk->ref_columns == NULL) {
            return ERR_NOMEM;
        }
        for (uint32_t k = 0; k < fk->def.column_count; k++) {
            fk->columns[k] = ddl__find_column(d, fk->def.columns[k]);
            if (fk->self) {
                fk->ref_columns[k] = ddl__find_column(d, fk->def.ref_columns[k]);
            }
        }
        TRY(append_fk(d, fk));
    }
    return ERR_OK;
}

/* ---- indexes ---- */

static struct slice part_name(const struct draft_part *p)
{
    return p->column != NULL ? p->column->def.name : p->name;
}

/* Such a key has several entries a row. */
static bool has_array(const struct draft_index *ix)
{
    bool found = false;
    for (uint32_t i = 0; i < ix->part_count; i++) {
        const struct draft_part *p = &ix->parts[i];
        found = found || (p->expr != NULL && bind_array_cast(p->expr) != NULL) ||
                (p->column != NULL && p->column->def.element != NULL);
    }
    return found;
}

/* Is `a` generated and the beginning of `b`, or the other way round? (Of two generated ones the
 * shorter is the beginning.) */
static bool serves(const struct draft_index *a, const struct draft_index *b)
{
    if (!a->def.generated && !b->def.generated) {
        return false;
    }
    if (!a->def.generated || (b->def.generated && a->part_count > b->part_count)) {
        const struct draft_index *x = a;
        a = b;
        b = x;
    }
    if (a->part_count > b->part_count) {
        return false;
    }
    if (has_array(b)) {
        return false;
    }
    for (uint32_t i = 0; i < a->part_count; i++) {
        if (b->parts[i].prefix != 0 || b->parts[i].expr != NULL ||
            !slice_eq_nocase(part_name(&a->parts[i]), part_name(&b->parts[i]))) {
            return false;
        }
    }
    return true;
}

void ddl__drop_generated(struct draft *d)
{
    for (uint32_t i = 1; i < d->index_count; i++) {
        struct draft_index *key = d->indexes[i];
        for (uint32_t k = 0; k < i; k++) {
            const struct draft_index *earlier = d->indexes[k];
            if (!serves(key, earlier)) {
                continue;
            }
            bool drop_later = !earlier->def.generated ||
                              (key->def.generated && key->part_count < earlier->part_count);
            uint32_t at = drop_later ? i : k;
            memmove(d->indexes + at, d->indexes + at + 1,
                    (d->index_count - at - 1) * sizeof(*d->indexes));
            d->index_count--;
            i--;
            break;
        }
    }
}

/* ---- names ---- */

/* MYSQL: CREATE numbers from 1, ALTER goes on above the highest number that the table has. */
static db_err make_names(struct draft *d)
{
    uint64_t number = 0;
    for (uint32_t i = 0; d->old != NULL && i < d->old->foreign_key_count; i++) {
        uint64_t n = fk_name_number(d->old->foreign_keys[i].name, d->old->name);
        number = n > number ? n : number;
    }
    for (uint32_t i = 0; i < d->fk_count; i++) {
        struct foreign_key_def *f = &d->fks[i]->def;
        if (f->name.ptr != NULL) {
            continue;
        }
        const char *name = arena_printf(d->ctx->arena, "%.*s_ibfk_%llu", SLICE_FMT(d->def.name),
                                        (unsigned long long)++number);
        if (name == NULL) {
            return ERR_NOMEM;
        }
        f->name = slice_str(name);
        if (ddl__too_long(f->name, DDL_NAME_CHARS_MAX)) {
            return my_error(d->ctx->diag, ER_TOO_LONG_IDENT, name);
        }
    }
    return ERR_OK;
}

/* ---- the descriptor ---- */

static bool is_gone(const struct draft *d, const struct draft_column *c)
{
    return c == NULL || ddl__column_at(d, c) == d->column_count;
}

static db_err finish_fk(struct draft *d, struct draft_fk *fk, struct foreign_key_def *out)
{
    struct ddl_ctx *ctx = d->ctx;
    *out = fk->def;
    out->columns = ARENA_ARRAY(ctx->arena, struct slice, out->column_count + 1);
    out->ref_columns = ARENA_ARRAY(ctx->arena, struct slice, out->column_count + 1);
    if (out->columns == NULL || out->ref_columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < out->column_count; i++) {
        if (fk->is_new) {
            fk->columns[i] = ddl__find_column(d, fk->def.columns[i]);
        }
        if (is_gone(d, fk->columns[i])) {
            return my_error(ctx->diag, ER_FK_COLUMN_CANNOT_DROP, ddl__text(ctx, fk->def.columns[i]),
                            ddl__text(ctx, fk->def.name));
        }
        out->columns[i] = fk->columns[i]->def.name;
        out->ref_columns[i] = fk->def.ref_columns[i];
        if (fk->is_new && refers_to(&fk->def, &d->def)) {
            const struct draft_column *c = ddl__find_column(d, fk->def.ref_columns[i]);
            out->ref_columns[i] = c == NULL ? fk->def.ref_columns[i] : c->def.name;
        }
        if (fk->self && is_gone(d, fk->ref_columns[i])) {
            return my_error(ctx->diag, ER_FK_COLUMN_CANNOT_DROP_CHILD,
                            ddl__text(ctx, fk->def.ref_columns[i]), ddl__text(ctx, fk->def.name),
                            ddl__text(ctx, d->def.name));
        }
        if (fk->self) {
            out->ref_columns[i] = fk->ref_columns[i]->def.name;
        }
    }
    return ERR_OK;
}

db_err ddl__finish_fks(struct draft *d, struct table_def *t)
{
    if (!slice_eq_nocase(d->def.engine, SLICE_LIT("InnoDB"))) {
        d->fk_count = 0; /* MYSQL: other engines do without, and nothing is said */
    }
    t->foreign_key_count = d->fk_count;
    t->foreign_keys = ARENA_ARRAY(d->ctx->arena, struct foreign_key_def, d->fk_count + 1);
    if (t->foreign_keys == NULL) {
        return ERR_NOMEM;
    }
    TRY(make_names(d));
    for (uint32_t i = 0; i < d->fk_count; i++) {
        TRY(finish_fk(d, d->fks[i], &t->foreign_keys[i]));
    }
    foreign_keys_sort(t->foreign_keys, t->foreign_key_count);
    return ERR_OK;
}

bool ddl__has_new_fk(const struct draft *d)
{
    for (uint32_t i = 0; i < d->fk_count; i++) {
        if (d->fks[i]->is_new) {
            return true;
        }
    }
    return false;
}

bool ddl__is_new_fk(const struct draft *d, const struct foreign_key_def *f)
{
    for (uint32_t i = 0; i < d->fk_count; i++) {
        if (slice_eq_nocase(d->fks[i]->def.name, f->name)) {
            return d->fks[i]->is_new;
        }
    }
    return true;
}
