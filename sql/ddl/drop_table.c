/* DROP TABLE, TRUNCATE TABLE, RENAME TABLE. */
#include "sql/ddl/fk_int.h"

/* ---- DROP ---- */

struct drop_list {
    struct ddl_target *targets;
    struct pending_drop *drops;
    uint32_t count, drop_count;
    const struct table_def **temporaries; /* those of the names that mean temporary tables */
    uint32_t temporary_count;
};

static db_err collect_targets(struct ddl_ctx *ctx, const struct ast_drop_table *s,
                              struct drop_list *l)
{
    l->count = s->names.count;
    l->targets = ARENA_ARRAY(ctx->arena, struct ddl_target, l->count + 1);
    l->drops = ARENA_ARRAY(ctx->arena, struct pending_drop, l->count + 1);
    l->temporaries = ARENA_ARRAY(ctx->arena, const struct table_def *, l->count + 1);
    if (l->targets == NULL || l->drops == NULL || l->temporaries == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        struct ddl_target *t = &l->targets[i];
        TRY(ddl__schema_of(ctx, s->names.items[i], &t->schema));
        TRY(ddl__writable_schema(ctx, t->schema));
        t->name = s->names.items[i]->name;
        for (uint32_t k = 0; k < i; k++) {
            if (slice_eq(l->targets[k].schema, t->schema) &&
                slice_eq(l->targets[k].name, t->name)) {
                return my_error(ctx->diag, ER_NONUNIQ_TABLE, ddl__text(ctx, t->name));
            }
        }
    }
    return ERR_OK;
}

/* MYSQL: nothing is dropped when one of the tables does not exist; all that do not are named. */
static db_err report_missing(struct ddl_ctx *ctx, const struct drop_list *l, bool if_exists)
{
    SCOPE_BUF(names, 64 * 1024);
    for (uint32_t i = 0; i < l->count; i++) {
        const struct ddl_target *t = &l->targets[i];
        if (t->def != NULL && t->def->kind == TABLE_BASE) {
            continue;
        }
        const char *full = ddl__full_name(ctx, t->schema, t->name);
        if (if_exists) {
            diag_area_note(ctx->warnings, ER_BAD_TABLE_ERROR, full);
        } else {
            TRY(buf_printf(&names, "%s%s", names.len == 0 ? "" : ",", full));
        }
    }
    return names.len == 0
               ? ERR_OK
               : my_error(ctx->diag, ER_BAD_TABLE_ERROR, ddl__text(ctx, buf_slice(&names)));
}

static db_err edit_drops(struct ddl_ctx *ctx, struct catalog_change *change, struct drop_list *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const struct table_def *t = l->targets[i].def;
        if (t == NULL || t->kind != TABLE_BASE) {
            continue;
        }
        struct pending_drop *d = &l->drops[l->drop_count++];
        d->table_id = t->id;
        TRY(catalog_add_drop(change, d, ctx->diag));
        TRY(catalog_drop_table(change, t->id, ctx->diag));
    }
    return ERR_OK;
}

static db_err drop_locked(struct ddl_ctx *ctx, const struct ast_drop_table *s, struct drop_list *l)
{
    struct catalog_change *change;
    TRY(report_missing(ctx, l, s->if_exists));
    TRY(catalog_change_begin(ctx->catalog, ctx->diag, &change));
    db_err err = ddl__check_drops(ctx, catalog_change_view(change), l->targets, l->count);
    err = err != ERR_OK ? err : edit_drops(ctx, change, l);
    if (err != ERR_OK || l->drop_count == 0) {
        catalog_change_abort(change);
        return err;
    }
    return ddl__commit(ctx, change);
}

/* Names that mean temporary tables leave the list of targets. */
static void take_temporaries(struct ddl_ctx *ctx, struct drop_list *l)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct ddl_target *t = &l->targets[i];
        const struct table_def *def = snapshot_temporary(ctx->bind->snapshot, t->schema, t->name);
        if (def != NULL) {
            l->temporaries[l->temporary_count++] = def;
        } else {
            l->targets[n++] = *t;
        }
    }
    l->count = n;
}

static db_err drop_temporaries(struct ddl_ctx *ctx, const struct drop_list *l)
{
    for (uint32_t i = 0; i < l->temporary_count; i++) {
        table_id_t id = l->temporaries[i]->id;
        ctx->temporaries->remove(ctx->temporaries, id);
        TRY(ddl__delete_temporary(ctx, id));
    }
    return ERR_OK;
}

db_err ddl__drop_table(struct ddl_ctx *ctx, const struct ast_drop_table *s)
{
    struct drop_list l = {0};
    const struct catalog_snapshot *snap;
    TRY(collect_targets(ctx, s, &l));
    take_temporaries(ctx, &l);
    if (s->temporary) {
        TRY(report_missing(ctx, &l, s->if_exists));
        return drop_temporaries(ctx, &l);
    }
    if (l.count == 0) {
        return drop_temporaries(ctx, &l);
    }
    TRY(ddl__lock_targets(ctx, l.targets, l.count, &snap));
    db_err err = drop_locked(ctx, s, &l);
    catalog_release(snap);
    TRY(err);
    TRY(drop_temporaries(ctx, &l));
    return ddl__delete_ranges(ctx->catalog, ctx->storage, l.drops, l.drop_count, ctx->diag);
}

/* ---- TRUNCATE: the same table under a new id ---- */

static db_err base_table(struct ddl_ctx *ctx, const struct ddl_target *t)
{
    if (t->def == NULL) {
        return my_error(ctx->diag, ER_NO_SUCH_TABLE, ddl__text(ctx, t->schema),
                        ddl__text(ctx, t->name));
    }
    /* MYSQL: to TRUNCATE a view is no table at all. */
    return t->def->kind == TABLE_BASE
               ? ERR_OK
               : my_error(ctx->diag, ER_NO_SUCH_TABLE, ddl__text(ctx, t->schema),
                          ddl__text(ctx, t->name));
}

static db_err truncate_locked(struct ddl_ctx *ctx, const struct ddl_target *t,
                              struct pending_drop *drop)
{
    struct catalog_change *change;
    struct draft d;
    struct table_def def;
    TRY(base_table(ctx, t));
    drop->table_id = t->def->id;
    TRY(ddl__draft_of(ctx, t->def, &d));
    d.def.id = 0;
    d.def.auto_increment_start = 0; /* MYSQL: numbers begin at 1 again, whatever CREATE said */
    TRY(ddl__finish(&d, false, &def));
    TRY(catalog_change_begin(ctx->catalog, ctx->diag, &change));
    db_err err = ddl__check_truncate(ctx, catalog_change_view(change), t->def);
    if (err == ERR_OK) {
        err = catalog_add_drop(change, drop, ctx->diag);
    }
    if (err == ERR_OK) {
        err = catalog_drop_table(change, t->def->id, ctx->diag);
    }
    if (err == ERR_OK) {
        err = catalog_create_table(change, &def, ctx->diag, NULL);
    }
    if (err != ERR_OK) {
        catalog_change_abort(change);
        return err;
    }
    return ddl__commit(ctx, change);
}

static db_err truncate_temporary(struct ddl_ctx *ctx, const struct table_def *t)
{
    struct draft d;
    struct table_def def;
    TRY(ddl__draft_of(ctx, t, &d));
    d.def.auto_increment_start = 0;
    TRY(ddl__finish(&d, false, &def));
    TRY(ctx->temporaries->new_id(ctx->temporaries, ctx, &def.id));
    TRY(ctx->temporaries->put(ctx->temporaries, t->id, &def));
    return ddl__delete_temporary(ctx, t->id);
}

db_err ddl__truncate(struct ddl_ctx *ctx, const struct ast_truncate_table *s)
{
    struct ddl_target t = {.name = s->name.name};
    struct pending_drop drop = {0};
    const struct catalog_snapshot *snap;
    TRY(ddl__schema_of(ctx, &s->name, &t.schema));
    TRY(ddl__writable_schema(ctx, t.schema));
    const struct table_def *own = snapshot_temporary(ctx->bind->snapshot, t.schema, t.name);
    if (own != NULL) {
        return truncate_temporary(ctx, own);
    }
    TRY(ddl__lock_targets(ctx, &t, 1, &snap));
    db_err err = truncate_locked(ctx, &t, &drop);
    catalog_release(snap);
    TRY(err);
    return ddl__delete_ranges(ctx->catalog, ctx->storage, &drop, 1, ctx->diag);
}

/* ---- RENAME ---- */

struct rename_step {
    struct ddl_target from, to;
};

static db_err rename_steps(struct ddl_ctx *ctx, const struct ast_rename_table *s,
                           struct rename_step *steps, struct ddl_target *targets)
{
    for (uint32_t i = 0; i < s->pairs.count; i++) {
        const struct ast_rename_pair *p = s->pairs.items[i];
        TRY(ddl__schema_of(ctx, &p->from, &steps[i].from.schema));
        TRY(ddl__schema_of(ctx, &p->to, &steps[i].to.schema));
        TRY(ddl__writable_schema(ctx, steps[i].from.schema));
        TRY(ddl__writable_schema(ctx, steps[i].to.schema));
        TRY(ddl__check_table_name(ctx, p->to.name));
        steps[i].from.name = p->from.name;
        steps[i].to.name = p->to.name;
        targets[i] = steps[i].from;
    }
    return ERR_OK;
}

/* MYSQL: of a table that is not there, what is wrong with the rest comes first. */
static db_err no_such_source(struct ddl_ctx *ctx, const struct catalog_snapshot *view,
                             const struct rename_step *r)
{
    if (snapshot_table(view, r->to.schema, r->to.name) != NULL) {
        return my_error(ctx->diag, ER_TABLE_EXISTS_ERROR, ddl__text(ctx, r->to.name));
    }
    if (snapshot_schema(view, r->from.schema) == NULL) {
        return my_error(ctx->diag, ER_BAD_DB_ERROR, ddl__text(ctx, r->from.schema));
    }
    if (snapshot_schema(view, r->to.schema) == NULL) {
        return my_error(ctx->diag, ER_BAD_DB_ERROR, ddl__text(ctx, r->to.schema));
    }
    return my_error(ctx->diag, ER_NO_SUCH_TABLE, ddl__text(ctx, r->from.schema),
                    ddl__text(ctx, r->from.name));
}

/* Step after step on the view, so that RENAME a TO x, b TO a works. */
static db_err edit_renames(struct ddl_ctx *ctx, struct catalog_change *change,
                           const struct rename_step *steps, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct rename_step *r = &steps[i];
        const struct table_def *t =
            snapshot_table(catalog_change_view(change), r->from.schema, r->from.name);
        if (t == NULL || t->kind == TABLE_VIRTUAL) {
            return no_such_source(ctx, catalog_change_view(change), r);
        }
        if (ctx->mdl != NULL && !ctx->locked && !mdl_holds(ctx->mdl_owner, t->id, true)) {
            return ERR_SCHEMA_CHANGED; /* another table has that name by now */
        }
        if (t->kind == TABLE_BASE) {
            const struct catalog_snapshot *view = catalog_change_view(change);
            TRY(ddl__check_adopted(ctx, view, t, r->to.schema, r->to.name, false));
            TRY(ddl__check_renamed_names(ctx, t, t, view, r->to.schema, r->to.name));
        }
        TRY(catalog_rename_table(change, t->id, r->to.schema, r->to.name, ctx->diag));
    }
    return ERR_OK;
}

static db_err rename_once(struct ddl_ctx *ctx, const struct rename_step *steps,
                          struct ddl_target *targets, uint32_t n)
{
    const struct catalog_snapshot *snap;
    struct catalog_change *change;
    TRY(ddl__lock_family(ctx, targets, n, n, &snap));
    catalog_release(snap);
    TRY(catalog_change_begin(ctx->catalog, ctx->diag, &change));
    db_err err = edit_renames(ctx, change, steps, n);
    if (err != ERR_OK) {
        catalog_change_abort(change);
        return err;
    }
    return ddl__commit(ctx, change);
}

db_err ddl__rename(struct ddl_ctx *ctx, const struct ast_rename_table *s)
{
    uint32_t n = s->pairs.count;
    uint32_t mark = ctx->mdl == NULL ? 0 : mdl_mark(ctx->mdl_owner);
    struct rename_step *steps = ARENA_ARRAY(ctx->arena, struct rename_step, n + 1);
    struct ddl_target *targets = ARENA_ARRAY(ctx->arena, struct ddl_target, n + 1);
    if (steps == NULL || targets == NULL) {
        return ERR_NOMEM;
    }
    TRY(rename_steps(ctx, s, steps, targets));
    for (;;) {
        db_err err = rename_once(ctx, steps, targets, n);
        if (err != ERR_SCHEMA_CHANGED) {
            return err;
        }
        mdl_release_to(ctx->mdl, ctx->mdl_owner, mark);
    }
}
