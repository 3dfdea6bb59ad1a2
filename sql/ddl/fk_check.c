/* What a foreign key may be. On finished descriptors: of the table that is made or altered, of the
 * tables that its keys refer to, and of those whose keys refer to it. */
#include "sql/bind/table_rules.h"
#include "sql/ddl/fk_int.h"
#include "sql/opt/fk_plan.h"

static const char *text(struct ddl_ctx *ctx, struct slice s)
{
    return ddl__text(ctx, s);
}

/* ---- types ---- */

/* Bytes of what MySQL keeps as a whole number of fixed size; 0: something else. */
static uint32_t integer_size(const struct sql_type *t)
{
    uint32_t n = t->names == NULL ? 0 : t->names->count;
    switch ((int)t->id) {
    case TYPE_TINYINT:
    case TYPE_YEAR: return 1;
    case TYPE_SMALLINT: return 2;
    case TYPE_MEDIUMINT: return 3;
    case TYPE_INT: return 4;
    case TYPE_BIGINT: return 8;
    case TYPE_ENUM: return n < 256 ? 1 : 2;
    case TYPE_SET: return n > 32 ? 8 : (n + 7) / 8;
    default: return 0;
    }
}

static bool no_sign(const struct sql_type *t)
{
    return type_is_unsigned(t) || t->id == TYPE_YEAR || t->id == TYPE_ENUM || t->id == TYPE_SET;
}

static bool is_moment(const struct sql_type *t)
{
    return t->id == TYPE_TIME || t->id == TYPE_DATETIME || t->id == TYPE_TIMESTAMP;
}

/* MYSQL: integers of one size and sign; strings of one collation; lengths and precisions may
 * differ. lenient: text is text. */
static bool compatible(const struct sql_type *a, const struct sql_type *b, bool lenient)
{
    uint32_t size = integer_size(a);
    if (size != 0) {
        return size == integer_size(b) && no_sign(a) == no_sign(b);
    }
    if (integer_size(b) != 0) {
        return false;
    }
    if (type_is_string(a) && type_is_string(b)) {
        return a->collation == b->collation ||
               (lenient && a->collation != COLL_BINARY && b->collation != COLL_BINARY);
    }
    return a->id == b->id || (is_moment(a) && is_moment(b));
}

/* ---- the table's own keys ---- */

static db_err generated_column(struct ddl_ctx *ctx, const struct foreign_key_def *f,
                               const struct column_def *c)
{
    if (c->generated != GENERATED_NO) {
        const char *clause = f->on_delete == FK_SET_NULL   ? "ON DELETE SET NULL"
                             : f->on_update == FK_CASCADE  ? "ON UPDATE CASCADE"
                             : f->on_update == FK_SET_NULL ? "ON UPDATE SET NULL"
                                                           : NULL;
        if (clause != NULL) {
            return my_error(ctx->diag, ER_WRONG_FK_OPTION_FOR_GENERATED_COLUMN, clause);
        }
    }
    if (c->generated == GENERATED_VIRTUAL) {
        return my_error(ctx->diag, ER_FK_CANNOT_USE_VIRTUAL_COLUMN, text(ctx, f->name),
                        text(ctx, c->name));
    }
    return ERR_OK;
}

static db_err own_columns(struct ddl_ctx *ctx, const struct table_def *t,
                          const struct foreign_key_def *f)
{
    bool null = f->on_delete == FK_SET_NULL || f->on_update == FK_SET_NULL;
    for (uint32_t i = 0; i < f->column_count; i++) {
        const struct column_def *c = table_column(t, f->columns[i]);
        TRY(generated_column(ctx, f, c));
        if (null && (c->type.flags & TYPE_F_NOT_NULL) != 0) {
            return my_error(ctx->diag, ER_FK_COLUMN_NOT_NULL, text(ctx, c->name),
                            text(ctx, f->name));
        }
    }
    return ERR_OK;
}

static bool changes_child(const struct foreign_key_def *f)
{
    return f->on_delete == FK_SET_NULL || f->on_update == FK_SET_NULL || f->on_update == FK_CASCADE;
}

static bool has_action(const struct foreign_key_def *f)
{
    return changes_child(f) || f->on_delete == FK_CASCADE;
}

/* MYSQL: no check may be made of what an action changes, no stored column of what has an action. */
static db_err readers(struct ddl_ctx *ctx, const struct table_def *t,
                      const struct foreign_key_def *f, const struct table_rules *rules)
{
    bool *reads = ARENA_ARRAY(ctx->arena, bool, t->column_count);
    if (reads == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < rules->check_count && changes_child(f); i++) {
        memset(reads, 0, t->column_count * sizeof(*reads));
        bexpr_note_columns(rules->checks[i].expr, reads);
        for (uint32_t k = 0; k < f->column_count; k++) {
            if (reads[table_column(t, f->columns[k])->ordinal]) {
                return my_error(ctx->diag, ER_CHECK_CONSTRAINT_CLAUSE_USING_FK_REFER_ACTION_COLUMN,
                                text(ctx, f->columns[k]), text(ctx, rules->checks[i].name),
                                text(ctx, f->name));
            }
        }
    }
    for (uint32_t i = 0; i < rules->generated_count; i++) {
        if (t->columns[rules->generated[i].column].generated != GENERATED_STORED) {
            continue;
        }
        memset(reads, 0, t->column_count * sizeof(*reads));
        bexpr_note_columns(rules->generated[i].expr, reads);
        for (uint32_t k = 0; k < f->column_count; k++) {
            if (reads[table_column(t, f->columns[k])->ordinal]) {
                return my_error(ctx->diag, ER_CANNOT_ADD_FOREIGN);
            }
        }
    }
    return ERR_OK;
}

static db_err check_readers(struct ddl_ctx *ctx, const struct table_def *t)
{
    struct table_rules *rules = NULL;
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        if (!has_action(&t->foreign_keys[i])) {
            continue;
        }
        if (rules == NULL) {
            TRY(bind_table_rules(ctx->arena, ctx->bind, t, RULES_NO_DEFAULTS, ctx->diag, &rules));
        }
        if (rules == NULL) {
            return ERR_OK;
        }
        TRY(readers(ctx, t, &t->foreign_keys[i], rules));
    }
    return ERR_OK;
}

static bool name_in_schema(const struct table_def *t, const struct table_def *old,
                           const struct catalog_snapshot *snap, struct slice name)
{
    const struct schema_def *schema = snapshot_schema(snap, t->schema_name);
    uint32_t n = schema == NULL ? 0 : snapshot_table_count(snap, schema);
    for (uint32_t i = 0; i < n; i++) {
        const struct table_def *other = snapshot_table_at(snap, schema, i);
        for (uint32_t k = 0; k < other->foreign_key_count; k++) {
            if ((old == NULL || other->id != old->id) &&
                slice_eq_nocase(other->foreign_keys[k].name, name)) {
                return true;
            }
        }
    }
    return false;
}

db_err ddl__check_fk_names(struct draft *d, const struct table_def *t,
                           const struct catalog_snapshot *snap)
{
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        const struct foreign_key_def *f = &t->foreign_keys[i];
        bool taken = ddl__is_new_fk(d, f) && name_in_schema(t, d->old, snap, f->name);
        taken = taken || (i > 0 && slice_eq_nocase(t->foreign_keys[i - 1].name, f->name));
        if (taken) {
            return my_error(d->ctx->diag, ER_FK_DUP_NAME, text(d->ctx, f->name));
        }
    }
    return ERR_OK;
}

db_err ddl__check_renamed_names(struct ddl_ctx *ctx, const struct table_def *t,
                                const struct table_def *old, const struct catalog_snapshot *snap,
                                struct slice schema, struct slice name)
{
    struct table_def in = {.schema_name = schema};
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        struct slice to = t->foreign_keys[i].name;
        if (fk_name_follows(to, t->name)) {
            const char *made = arena_printf(ctx->arena, "%.*s%.*s", SLICE_FMT(name),
                                            (int)(to.len - t->name.len), to.ptr + t->name.len);
            if (made == NULL) {
                return ERR_NOMEM;
            }
            to = slice_str(made);
        }
        if (name_in_schema(&in, old, snap, to)) {
            return my_error(ctx->diag, ER_FK_DUP_NAME, text(ctx, to));
        }
    }
    return ERR_OK;
}

/* ---- a key and the table it refers to ---- */

static db_err no_parent_key(struct ddl_ctx *ctx, const struct foreign_key_def *f)
{
    return ctx->fk_needs_unique ? my_error(ctx->diag, ER_FK_NO_UNIQUE_INDEX_PARENT,
                                           text(ctx, f->name), text(ctx, f->ref_table))
                                : my_error(ctx->diag, ER_FK_NO_INDEX_PARENT, text(ctx, f->name),
                                           text(ctx, f->ref_table));
}

/* MYSQL: ALTER of one of the tables may change the collation while foreign_key_checks is off, so
 * that the other one can follow. */
static db_err check_types(struct ddl_ctx *ctx, const struct table_def *child,
                          const struct table_def *parent, const struct foreign_key_def *f,
                          bool is_new)
{
    bool lenient = !is_new && !ctx->foreign_key_checks;
    for (uint32_t i = 0; i < f->column_count; i++) {
        const struct column_def *c = table_column(child, f->columns[i]);
        const struct column_def *p = table_column(parent, f->ref_columns[i]);
        if (!compatible(&c->type, &p->type, lenient)) {
            return my_error(ctx->diag, ER_FK_INCOMPATIBLE_COLUMNS, text(ctx, c->name),
                            text(ctx, p->name), text(ctx, f->name));
        }
    }
    return ERR_OK;
}

static db_err parent_columns(struct ddl_ctx *ctx, const struct table_def *parent,
                             const struct foreign_key_def *f, uint32_t **ret_columns)
{
    uint32_t *columns = ARENA_ARRAY(ctx->arena, uint32_t, f->column_count + 1);
    if (columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < f->column_count; i++) {
        const struct column_def *p = table_column(parent, f->ref_columns[i]);
        if (p == NULL || p->hidden) {
            return my_error(ctx->diag, ER_FK_NO_COLUMN_PARENT, text(ctx, f->ref_columns[i]),
                            text(ctx, f->name), text(ctx, f->ref_table));
        }
        if (p->generated == GENERATED_VIRTUAL) {
            return my_error(ctx->diag, ER_FK_CANNOT_USE_VIRTUAL_COLUMN, text(ctx, f->name),
                            text(ctx, p->name));
        }
        columns[i] = p->ordinal;
    }
    *ret_columns = columns;
    return ERR_OK;
}

static db_err check_parent(struct ddl_ctx *ctx, const struct table_def *child,
                           const struct table_def *parent, const struct foreign_key_def *f)
{
    uint32_t *columns = NULL;
    bool whole;
    TRY(parent_columns(ctx, parent, f, &columns));
    TRY(check_types(ctx, child, parent, f, true));
    uint32_t index = fk_parent_index(parent, columns, f->column_count, &whole);
    if (index == FK_NO_INDEX || (ctx->fk_needs_unique && !whole)) {
        return no_parent_key(ctx, f);
    }
    if (!whole) {
        diag_area_warn(ctx->warnings, ER_WARN_DEPRECATED_NON_STANDARD_KEY, text(ctx, f->name));
    }
    return ERR_OK;
}

static bool is_self(const struct table_def *t, const struct foreign_key_def *f)
{
    return slice_eq(f->ref_schema, t->schema_name) && slice_eq(f->ref_table, t->name);
}

/* MYSQL: a column may refer to itself only by another index than the one that serves its key. */
static bool is_own_key(const struct table_def *t, const struct foreign_key_def *f)
{
    uint32_t indexes = 0;
    for (uint32_t i = 0; i < f->column_count; i++) {
        if (!slice_eq_nocase(f->columns[i], f->ref_columns[i])) {
            return false;
        }
    }
    for (uint32_t k = t->has_primary ? 0 : 1; k < t->index_count; k++) {
        bool fits =
            t->indexes[k].part_count >= f->column_count && index_multi_part(t, &t->indexes[k]) < 0;
        for (uint32_t i = 0; fits && i < f->column_count; i++) {
            const struct index_part *p = &t->indexes[k].parts[i];
            fits = p->prefix_len == 0 && slice_eq_nocase(t->columns[p->column].name, f->columns[i]);
        }
        indexes += fits ? 1 : 0;
    }
    return indexes < 2;
}

static bool has_keys(const struct table_def *t)
{
    return t->kind == TABLE_BASE && slice_eq_nocase(t->engine, SLICE_LIT("InnoDB"));
}

static db_err check_new(struct ddl_ctx *ctx, const struct table_def *t,
                        const struct catalog_snapshot *snap, const struct foreign_key_def *f)
{
    const struct table_def *parent =
        is_self(t, f) ? t : snapshot_table(snap, f->ref_schema, f->ref_table);
    bool found = parent != NULL && has_keys(parent);
    if (!found && (parent == NULL || parent->kind == TABLE_BASE) && !ctx->foreign_key_checks) {
        return ERR_OK;
    }
    if (!found) {
        return my_error(ctx->diag, ER_FK_CANNOT_OPEN_PARENT, text(ctx, f->ref_table));
    }
    if (parent == t && is_own_key(t, f)) {
        return no_parent_key(ctx, f);
    }
    return check_parent(ctx, t, parent, f);
}

/* ---- ALTER: keys that stay ---- */

static db_err needs_index(struct ddl_ctx *ctx, const struct table_def *old, uint32_t index)
{
    return my_error(ctx->diag, ER_DROP_INDEX_FK, text(ctx, old->indexes[index].name));
}

/* By id, since names may have changed. */
static const struct column_def *column_of_source(const struct draft *d, const struct table_def *t,
                                                 uint32_t source)
{
    for (uint32_t i = 0; i < d->column_count; i++) {
        if (d->columns[i]->source == (int32_t)source) {
            return &t->columns[i];
        }
    }
    return NULL;
}

/* The new table's ordinals of columns of the old one; *ret_gone: the first that is not there. */
static db_err new_ordinals(struct draft *d, const struct table_def *t, const struct slice *names,
                           uint32_t count, uint32_t *old, uint32_t *now, struct slice *ret_gone)
{
    *ret_gone = SLICE_EMPTY;
    for (uint32_t i = 0; i < count; i++) {
        const struct column_def *o = table_column(d->old, names[i]);
        const struct column_def *c = o == NULL ? NULL : column_of_source(d, t, o->ordinal);
        if (c == NULL) {
            *ret_gone = names[i];
            return ERR_OK;
        }
        old[i] = o->ordinal;
        now[i] = c->ordinal;
    }
    return ERR_OK;
}

static bool types_changed(const struct draft *d, const struct table_def *t, const uint32_t *old,
                          const uint32_t *now, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!type_equal(&d->old->columns[old[i]].type, &t->columns[now[i]].type)) {
            return true;
        }
    }
    return false;
}

static db_err parent_keeps_index(struct draft *d, const struct table_def *t, const uint32_t *old,
                                 const uint32_t *now, uint32_t count, struct slice name)
{
    bool was_whole;
    bool whole;
    uint32_t before = fk_parent_index(d->old, old, count, &was_whole);
    uint32_t index = fk_parent_index(t, now, count, &whole);
    if (before == FK_NO_INDEX) {
        return ERR_OK;
    }
    if (index == FK_NO_INDEX || (was_whole && !whole && d->ctx->fk_needs_unique)) {
        return needs_index(d->ctx, d->old, before);
    }
    if (was_whole && !whole) {
        diag_area_warn(d->ctx->warnings, ER_WARN_DEPRECATED_NON_STANDARD_KEY, text(d->ctx, name));
    }
    return ERR_OK;
}

/* A key that the table had before. f: as it is now. */
static db_err check_kept(struct draft *d, const struct table_def *t,
                         const struct catalog_snapshot *snap, const struct foreign_key_def *f)
{
    struct ddl_ctx *ctx = d->ctx;
    uint32_t *old = ARENA_ARRAY(ctx->arena, uint32_t, f->column_count + 1);
    uint32_t *now = ARENA_ARRAY(ctx->arena, uint32_t, f->column_count + 1);
    struct slice gone;
    const struct foreign_key_def *was = NULL;
    for (uint32_t i = 0; i < d->old->foreign_key_count; i++) {
        was = slice_eq(d->old->foreign_keys[i].name, f->name) ? &d->old->foreign_keys[i] : was;
    }
    if (old == NULL || now == NULL || was == NULL) {
        return was == NULL ? ERR_OK : ERR_NOMEM;
    }
    bool self = is_self(d->old, was);
    TRY(new_ordinals(d, t, was->columns, f->column_count, old, now, &gone));
    uint32_t before = fk_child_index(d->old, old, f->column_count);
    if (before != FK_NO_INDEX && fk_child_index(t, now, f->column_count) == FK_NO_INDEX) {
        return needs_index(ctx, d->old, before);
    }
    const struct table_def *parent = self ? t : snapshot_table(snap, f->ref_schema, f->ref_table);
    bool changed = types_changed(d, t, old, now, f->column_count);
    if (self) {
        TRY(new_ordinals(d, t, was->ref_columns, f->column_count, old, now, &gone));
        changed = changed || types_changed(d, t, old, now, f->column_count);
        TRY(parent_keeps_index(d, t, old, now, f->column_count, f->name));
    }
    for (uint32_t i = 0; parent != NULL && i < f->column_count; i++) {
        changed = changed && table_column(parent, f->ref_columns[i]) != NULL;
    }
    return parent != NULL && parent->kind == TABLE_BASE && changed
               ? check_types(ctx, t, parent, f, false)
               : ERR_OK;
}

/* A key of another table that refers to the altered one. */
static db_err check_referring(struct draft *d, const struct table_def *t, const struct fk_edge *e)
{
    struct ddl_ctx *ctx = d->ctx;
    struct foreign_key_def f = *fk_of_edge(e);
    uint32_t *old = ARENA_ARRAY(ctx->arena, uint32_t, f.column_count + 1);
    uint32_t *now = ARENA_ARRAY(ctx->arena, uint32_t, f.column_count + 1);
    struct slice gone;
    f.ref_columns = ARENA_ARRAY(ctx->arena, struct slice, f.column_count + 1);
    if (old == NULL || now == NULL || f.ref_columns == NULL) {
        return ERR_NOMEM;
    }
    TRY(new_ordinals(d, t, fk_of_edge(e)->ref_columns, f.column_count, old, now, &gone));
    if (gone.ptr != NULL) {
        return table_column(d->old, gone) == NULL
                   ? ERR_OK
                   : my_error(ctx->diag, ER_FK_COLUMN_CANNOT_DROP_CHILD, text(ctx, gone),
                              text(ctx, f.name), text(ctx, e->child->name));
    }
    for (uint32_t i = 0; i < f.column_count; i++) {
        f.ref_columns[i] = t->columns[now[i]].name;
    }
    if (types_changed(d, t, old, now, f.column_count)) {
        TRY(check_types(ctx, e->child, t, &f, false));
    }
    return parent_keeps_index(d, t, old, now, f.column_count, f.name);
}

static db_err check_old(struct draft *d, const struct table_def *t,
                        const struct catalog_snapshot *snap)
{
    uint32_t n;
    const struct fk_edge *edges = snapshot_children(snap, d->old->schema_name, d->old->name, &n);
    for (uint32_t i = 0; i < n; i++) {
        if (edges[i].child->id != d->old->id) {
            TRY(check_referring(d, t, &edges[i]));
        }
    }
    return ERR_OK;
}

db_err ddl__check_adopted(struct ddl_ctx *ctx, const struct catalog_snapshot *snap,
                          const struct table_def *t, struct slice schema, struct slice name,
                          bool is_new)
{
    uint32_t n;
    const struct fk_edge *edges = snapshot_children(snap, schema, name, &n);
    for (uint32_t i = 0; i < n && has_keys(t); i++) {
        db_err err = check_parent(ctx, edges[i].child, t, fk_of_edge(&edges[i]));
        /* MYSQL: CREATE says so only when foreign_key_checks is off. */
        if (err == ERR_SQL && is_new && ctx->foreign_key_checks &&
            (ctx->diag->number == ER_FK_INCOMPATIBLE_COLUMNS ||
             ctx->diag->number == ER_FK_NO_INDEX_PARENT)) {
            return my_error(ctx->diag, ER_CANNOT_ADD_FOREIGN);
        }
        TRY(err);
    }
    return ERR_OK;
}

db_err ddl__check_fks(struct draft *d, const struct table_def *t,
                      const struct catalog_snapshot *snap)
{
    struct ddl_ctx *ctx = d->ctx;
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        TRY(own_columns(ctx, t, &t->foreign_keys[i]));
    }
    TRY(check_readers(ctx, t));
    /* MYSQL: a copy is made in the schema that it is renamed to. */
    if (d->new_name.ptr == NULL || !d->copy || slice_eq(d->new_schema, t->schema_name)) {
        TRY(ddl__check_fk_names(d, t, snap));
    }
    if (d->new_name.ptr != NULL) {
        TRY(ddl__check_renamed_names(ctx, t, d->old, snap, d->new_schema, d->new_name));
    }
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        const struct foreign_key_def *f = &t->foreign_keys[i];
        TRY(ddl__is_new_fk(d, f) ? check_new(ctx, t, snap, f) : check_kept(d, t, snap, f));
    }
    return d->old != NULL ? check_old(d, t, snap)
                          : ddl__check_adopted(ctx, snap, t, t->schema_name, t->name, true);
}
