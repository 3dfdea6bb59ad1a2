/* Foreign keys and the changes of other tables: what may not go, what must follow, what is locked.
 *
 * Locks. A statement that changes rows has a shared metadata lock on every table that its foreign
 * keys reach, on either side. So who makes a new key locks the parent exclusively: nobody then goes
 * on changing its rows without knowing of the key. Who renames what keys refer to locks the tables
 * that have those keys, since their descriptors change. */
#include "sql/ddl/fk_int.h"

#include "sql/ddl/alter_int.h"

db_err ddl__check_drops(struct ddl_ctx *ctx, const struct catalog_snapshot *snap,
                        const struct ddl_target *targets, uint32_t count)
{
    for (uint32_t i = 0; ctx->foreign_key_checks && i < count; i++) {
        const struct table_def *t = targets[i].def;
        uint32_t n = 0;
        const struct fk_edge *edges = t == NULL || table_is_temporary(t)
                                          ? NULL
                                          : snapshot_children(snap, t->schema_name, t->name, &n);
        for (uint32_t k = 0; k < n; k++) {
            bool goes = false;
            for (uint32_t j = 0; j < count; j++) {
                goes = goes || (targets[j].def != NULL && targets[j].def->id == edges[k].child->id);
            }
            if (!goes) {
                return my_error(ctx->diag, ER_FK_CANNOT_DROP_PARENT, ddl__text(ctx, t->name),
                                ddl__text(ctx, fk_of_edge(&edges[k])->name),
                                ddl__text(ctx, edges[k].child->name));
            }
        }
    }
    return ERR_OK;
}

db_err ddl__check_truncate(struct ddl_ctx *ctx, const struct catalog_snapshot *snap,
                           const struct table_def *t)
{
    uint32_t n;
    const struct fk_edge *edges = snapshot_children(snap, t->schema_name, t->name, &n);
    for (uint32_t i = 0; ctx->foreign_key_checks && i < n; i++) {
        const struct table_def *child = edges[i].child;
        if (child->id == t->id) {
            continue;
        }
        const char *text = arena_printf(ctx->arena, "`%.*s`.`%.*s`, CONSTRAINT `%.*s`",
                                        SLICE_FMT(child->schema_name), SLICE_FMT(child->name),
                                        SLICE_FMT(fk_of_edge(&edges[i])->name));
        return text == NULL ? ERR_NOMEM : my_error(ctx->diag, ER_TRUNCATE_ILLEGAL_FK, text);
    }
    return ERR_OK;
}

/* ---- renamed columns ---- */

static struct slice new_name(const struct draft *d, struct slice name)
{
    for (uint32_t i = 0; i < d->column_count; i++) {
        const struct draft_column *c = d->columns[i];
        if (c->source >= 0 && slice_eq_nocase(d->old->columns[c->source].name, name)) {
            return c->def.name;
        }
    }
    return name;
}

static bool renames(const struct draft *d, const struct foreign_key_def *f)
{
    for (uint32_t i = 0; i < f->column_count; i++) {
        if (!slice_eq(new_name(d, f->ref_columns[i]), f->ref_columns[i])) {
            return true;
        }
    }
    return false;
}

enum fate { STAYS, CHANGES, RENAMED };

/* MYSQL: the type of a column of a key does not change, nor may it no longer be NULL, while rows
 * are copied. */
static enum fate fate_of(const struct draft *d, struct slice name)
{
    for (uint32_t i = 0; i < d->column_count; i++) {
        const struct draft_column *c = d->columns[i];
        const struct column_def *old = c->source < 0 ? NULL : &d->old->columns[c->source];
        if (old == NULL || !slice_eq_nocase(old->name, name)) {
            continue;
        }
        if (!slice_eq_nocase(c->def.name, name)) {
            return RENAMED;
        }
        struct sql_type from = old->type;
        struct sql_type to = c->def.type;
        bool gains = (to.flags & ~from.flags & TYPE_F_NOT_NULL) != 0;
        from.flags &= (uint8_t)~TYPE_F_NOT_NULL;
        to.flags &= (uint8_t)~TYPE_F_NOT_NULL;
        return d->ctx->foreign_key_checks && (gains || !ddl__same_stored_form(&from, &to, false))
                   ? CHANGES
                   : STAYS;
    }
    return STAYS;
}

/* child: the table of which the key is; NULL: the one that is altered. */
static db_err columns_stay(const struct draft *d, const struct foreign_key_def *f,
                           const struct table_def *child)
{
    struct ddl_ctx *ctx = d->ctx;
    for (uint32_t i = 0; i < f->column_count; i++) {
        struct slice name = child == NULL ? f->columns[i] : f->ref_columns[i];
        enum fate fate = fate_of(d, name);
        if (fate == RENAMED) {
            return my_error(ctx->diag, ER_ALTER_OPERATION_NOT_SUPPORTED_REASON, "ALGORITHM=COPY",
                            "Columns participating in a foreign key are renamed",
                            "ALGORITHM=INPLACE");
        }
        if (fate == CHANGES && child == NULL) {
            return my_error(ctx->diag, ER_FK_COLUMN_CANNOT_CHANGE, ddl__text(ctx, name),
                            ddl__text(ctx, f->name));
        }
        if (fate == CHANGES) {
            const char *table = arena_printf(ctx->arena, "%.*s.%.*s", SLICE_FMT(child->schema_name),
                                             SLICE_FMT(child->name));
            return my_error(ctx->diag, ER_FK_COLUMN_CANNOT_CHANGE_CHILD, ddl__text(ctx, name),
                            ddl__text(ctx, f->name), table);
        }
    }
    return ERR_OK;
}

db_err ddl__fk_columns_stay(const struct draft *d, const struct catalog_snapshot *snap)
{
    uint32_t n;
    const struct fk_edge *edges = snapshot_children(snap, d->old->schema_name, d->old->name, &n);
    for (uint32_t i = 0; i < n; i++) {
        const struct foreign_key_def *f = fk_of_edge(&edges[i]);
        if (edges[i].child->id != d->old->id || ddl__has_fk(d, f->name)) {
            TRY(columns_stay(d, f, edges[i].child));
        }
    }
    for (uint32_t i = 0; i < d->old->foreign_key_count; i++) {
        const struct foreign_key_def *f = &d->old->foreign_keys[i];
        TRY(ddl__has_fk(d, f->name) ? columns_stay(d, f, NULL) : ERR_OK);
    }
    return ERR_OK;
}

static db_err rename_in(struct draft *d, struct catalog_change *change,
                        const struct table_def *child)
{
    struct table_def t = *child;
    struct arena *arena = d->ctx->arena;
    t.foreign_keys = ARENA_ARRAY(arena, struct foreign_key_def, child->foreign_key_count + 1);
    if (t.foreign_keys == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < child->foreign_key_count; i++) {
        struct foreign_key_def *f = &t.foreign_keys[i];
        *f = child->foreign_keys[i];
        if (!slice_eq(f->ref_schema, d->old->schema_name) ||
            !slice_eq(f->ref_table, d->old->name)) {
            continue;
        }
        f->ref_columns = ARENA_ARRAY(arena, struct slice, f->column_count + 1);
        if (f->ref_columns == NULL) {
            return ERR_NOMEM;
        }
        for (uint32_t k = 0; k < f->column_count; k++) {
            f->ref_columns[k] = new_name(d, child->foreign_keys[i].ref_columns[k]);
        }
    }
    return catalog_replace_table(change, &t, d->ctx->diag);
}

db_err ddl__rename_referenced(struct draft *d, struct catalog_change *change)
{
    uint32_t n;
    const struct fk_edge *edges =
        snapshot_children(catalog_change_view(change), d->old->schema_name, d->old->name, &n);
    table_id_t *ids = ARENA_ARRAY(d->ctx->arena, table_id_t, n + 1);
    uint32_t count = 0;
    if (ids == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        table_id_t id = edges[i].child->id;
        bool known = slice_eq(edges[i].child->schema_name, d->old->schema_name) &&
                     slice_eq(edges[i].child->name, d->old->name);
        for (uint32_t k = 0; k < count && !known; k++) {
            known = ids[k] == id;
        }
        if (!known && renames(d, fk_of_edge(&edges[i]))) {
            ids[count++] = id;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(rename_in(d, change, snapshot_table_by_id(catalog_change_view(change), ids[i])));
    }
    return ERR_OK;
}

/* ---- locks ---- */

void ddl__parents_of(struct ddl_ctx *ctx, const struct ast_references *r, struct slice schema,
                     struct ddl_target *targets, uint32_t *io_count)
{
    (void)ctx;
    if (r == NULL) {
        return;
    }
    struct ddl_target t = {.schema = r->table.schema.ptr != NULL ? r->table.schema : schema,
                           .name = r->table.name};
    for (uint32_t i = 0; i < *io_count; i++) {
        if (slice_eq(targets[i].schema, t.schema) && slice_eq(targets[i].name, t.name)) {
            return;
        }
    }
    targets[(*io_count)++] = t;
}

static bool listed(const struct ddl_target *list, uint32_t count, const struct table_def *t)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_eq(list[i].schema, t->schema_name) && slice_eq(list[i].name, t->name)) {
            return true;
        }
    }
    return false;
}

/* The targets and, behind them, the tables that refer to the first `renamed` of them. */
static db_err family(struct ddl_ctx *ctx, const struct catalog_snapshot *snap,
                     const struct ddl_target *targets, uint32_t count, uint32_t renamed,
                     struct ddl_target **ret_list, uint32_t *ret_count)
{
    uint32_t room = count;
    uint32_t n;
    for (uint32_t i = 0; i < renamed; i++) {
        snapshot_children(snap, targets[i].schema, targets[i].name, &n);
        room += n;
    }
    struct ddl_target *list = ARENA_ARRAY(ctx->arena, struct ddl_target, room + 1);
    if (list == NULL) {
        return ERR_NOMEM;
    }
    memcpy(list, targets, count * sizeof(*list));
    for (uint32_t i = 0; i < renamed; i++) {
        const struct fk_edge *edges =
            snapshot_children(snap, targets[i].schema, targets[i].name, &n);
        for (uint32_t k = 0; k < n; k++) {
            const struct table_def *child = edges[k].child;
            if (!listed(list, count, child)) {
                struct ddl_target *t = &list[count++];
                *t = (struct ddl_target){.def = NULL};
                TRY(arena_copy(ctx->arena, child->schema_name, &t->schema));
                TRY(arena_copy(ctx->arena, child->name, &t->name));
            }
        }
    }
    *ret_list = list;
    *ret_count = count;
    return ERR_OK;
}

db_err ddl__lock_family(struct ddl_ctx *ctx, struct ddl_target *targets, uint32_t count,
                        uint32_t renamed, const struct catalog_snapshot **ret_snapshot)
{
    uint32_t mark = ctx->mdl == NULL ? 0 : mdl_mark(ctx->mdl_owner);
    for (;;) {
        struct ddl_target *list;
        struct ddl_target *now;
        uint32_t n;
        uint32_t n_now;
        const struct catalog_snapshot *snap = catalog_acquire(ctx->catalog);
        db_err err = family(ctx, snap, targets, count, renamed, &list, &n);
        catalog_release(snap);
        TRY(err);
        TRY(ddl__lock_targets(ctx, list, n, &snap));
        err = family(ctx, snap, list, count, renamed, &now, &n_now);
        bool same = err == ERR_OK && n == n_now;
        for (uint32_t i = 0; same && i < n; i++) {
            same = slice_eq(list[i].schema, now[i].schema) && slice_eq(list[i].name, now[i].name);
        }
        if (same) {
            memcpy(targets, list, count * sizeof(*targets));
            *ret_snapshot = snap;
            return ERR_OK;
        }
        catalog_release(snap);
        TRY(err);
        ddl__unlock_targets(ctx, mark);
    }
}
