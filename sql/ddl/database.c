/* CREATE, ALTER and DROP DATABASE. */
#include "sql/charset/charset.h"
#include "sql/ddl/fk_int.h"

/* MYSQL: 1044 for information_schema and performance_schema, 3552 for mysql (and sys to drop is
 * allowed there; here it is the server's own). */
static db_err check_schema(struct ddl_ctx *ctx, struct slice name)
{
    TRY(ddl__check_schema_name(ctx, name));
    TRY(ddl__writable_schema(ctx, name));
    if (slice_eq(name, SLICE_LIT("mysql")) || slice_eq(name, SLICE_LIT("sys"))) {
        return my_error(ctx->diag, ER_NO_SYSTEM_SCHEMA_ACCESS, ddl__text(ctx, name));
    }
    return ERR_OK;
}

static db_err check_options(struct ddl_ctx *ctx, const struct ast_database_ddl *s)
{
    if (s->encryption.ptr != NULL && !slice_eq_nocase(s->encryption, SLICE_LIT("N"))) {
        return ddl__unsupported(ctx, "ENCRYPTION");
    }
    return ERR_OK;
}

/* The same of a new database, which @@default_table_encryption would have encrypted as well. */
static db_err check_encryption(struct ddl_ctx *ctx, const struct ast_database_ddl *s)
{
    bool said = s->encryption.ptr != NULL;
    bool wanted = said ? !slice_eq_nocase(s->encryption, SLICE_LIT("N")) : ctx->encrypts_databases;
    if (wanted != ctx->encrypts_databases && !ctx->may_choose_encryption) {
        return my_error(ctx->diag, ER_CANNOT_SET_DATABASE_ENCRYPTION);
    }
    return wanted ? ddl__unsupported(ctx, "ENCRYPTION") : ERR_OK;
}

db_err ddl__create_database(struct ddl_ctx *ctx, const struct ast_database_ddl *s)
{
    struct catalog_change *change;
    uint16_t collation;
    struct slice name = s->name.name;
    TRY(check_schema(ctx, name));
    TRY(ddl__collation(ctx, s->charset, s->collation, ctx->server_collation, &collation));
    TRY(catalog_change_begin(ctx->catalog, ctx->diag, &change));
    bool exists = snapshot_schema(catalog_change_view(change), name) != NULL;
    if (s->if_not_exists && exists) {
        catalog_change_abort(change);
        diag_area_note(ctx->warnings, ER_DB_CREATE_EXISTS, ddl__text(ctx, name));
        ctx->affected_rows = 1;
        return ERR_OK;
    }
    db_err err = exists ? ERR_OK : check_encryption(ctx, s);
    err = err != ERR_OK ? err : catalog_create_schema(change, name, collation, ctx->diag);
    if (err != ERR_OK) {
        catalog_change_abort(change);
        return err;
    }
    TRY(ddl__commit(ctx, change));
    ctx->affected_rows = 1;
    return ERR_OK;
}

db_err ddl__alter_database(struct ddl_ctx *ctx, const struct ast_database_ddl *s)
{
    struct catalog_change *change;
    struct slice name = s->name.name.ptr != NULL ? s->name.name : ctx->bind->current_schema;
    if (name.ptr == NULL) {
        return my_error(ctx->diag, ER_NO_DB_ERROR);
    }
    TRY(check_schema(ctx, name));
    TRY(check_options(ctx, s));
    TRY(catalog_change_begin(ctx->catalog, ctx->diag, &change));
    const struct schema_def *def = snapshot_schema(catalog_change_view(change), name);
    uint16_t collation = 0;
    db_err err = def == NULL ? my_error(ctx->diag, ER_BAD_DB_ERROR, ddl__text(ctx, name)) : ERR_OK;
    if (err == ERR_OK) {
        bool named = s->charset.ptr != NULL || s->collation.ptr != NULL;
        err = ddl__collation(ctx, s->charset, s->collation,
                             named ? ctx->server_collation : def->collation, &collation);
    }
    if (err == ERR_OK) {
        bool read_only = s->read_only == AST_UNSET ? def->read_only : s->read_only == AST_YES;
        err = catalog_alter_schema(change, name, collation, read_only, ctx->diag);
    }
    if (err != ERR_OK) {
        catalog_change_abort(change);
        return err;
    }
    TRY(ddl__commit(ctx, change));
    ctx->affected_rows = 1;
    return ERR_OK;
}

/* ---- DROP ---- */

/* All tables of the schema as lock targets. */
static db_err list_tables(struct ddl_ctx *ctx, struct slice name, struct ddl_target **ret_targets,
                          uint32_t *ret_count)
{
    const struct catalog_snapshot *snap = catalog_acquire(ctx->catalog);
    const struct schema_def *def = snapshot_schema(snap, name);
    uint32_t n = def == NULL ? 0 : snapshot_table_count(snap, def);
    struct ddl_target *targets = ARENA_ARRAY(ctx->arena, struct ddl_target, n + 1);
    db_err err = targets == NULL ? ERR_NOMEM : ERR_OK;
    for (uint32_t i = 0; i < n && err == ERR_OK; i++) {
        targets[i].schema = name;
        err = arena_copy(ctx->arena, snapshot_table_at(snap, def, i)->name, &targets[i].name);
    }
    catalog_release(snap);
    *ret_targets = targets;
    *ret_count = n;
    return err;
}

static db_err edit_drop(struct ddl_ctx *ctx, struct catalog_change *change, struct slice name,
                        uint32_t locked, struct pending_drop **ret_drops, bool *ret_again)
{
    const struct schema_def *def = snapshot_schema(catalog_change_view(change), name);
    uint32_t n = def == NULL ? 0 : snapshot_table_count(catalog_change_view(change), def);
    *ret_again = n != locked; /* a table came or went before the change was ours */
    if (*ret_again) {
        return ERR_OK;
    }
    struct pending_drop *drops = ARENA_ARRAY(ctx->arena, struct pending_drop, n + 1);
    struct ddl_target *all = ARENA_ARRAY(ctx->arena, struct ddl_target, n + 1);
    if (drops == NULL || all == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        all[i].def = snapshot_table_at(catalog_change_view(change), def, i);
    }
    TRY(ddl__check_drops(ctx, catalog_change_view(change), all, n));
    for (uint32_t i = 0; i < n; i++) {
        drops[i].table_id = snapshot_table_at(catalog_change_view(change), def, i)->id;
        if (ctx->mdl != NULL && !mdl_holds(ctx->mdl_owner, drops[i].table_id, true)) {
            *ret_again = true;
            return ERR_OK;
        }
        TRY(catalog_add_drop(change, &drops[i], ctx->diag));
    }
    *ret_drops = drops;
    return catalog_drop_schema(change, name, ctx->diag);
}

db_err ddl__drop_database(struct ddl_ctx *ctx, const struct ast_database_ddl *s)
{
    struct slice name = s->name.name;
    struct pending_drop *drops = NULL;
    uint32_t n;
    TRY(check_schema(ctx, name));
    uint32_t mark = ctx->mdl == NULL ? 0 : mdl_mark(ctx->mdl_owner);
    for (;;) {
        struct ddl_target *targets;
        const struct catalog_snapshot *snap;
        struct catalog_change *change;
        bool again;
        TRY(list_tables(ctx, name, &targets, &n));
        TRY(ddl__lock_targets(ctx, targets, n, &snap));
        bool exists = snapshot_schema(snap, name) != NULL;
        catalog_release(snap);
        if (!exists && s->if_exists) {
            diag_area_note(ctx->warnings, ER_DB_DROP_EXISTS, ddl__text(ctx, name));
            return ERR_OK;
        }
        TRY(catalog_change_begin(ctx->catalog, ctx->diag, &change));
        db_err err = edit_drop(ctx, change, name, n, &drops, &again);
        if (err != ERR_OK || again) {
            catalog_change_abort(change);
            TRY(err);
            if (ctx->mdl != NULL) {
                mdl_release_to(ctx->mdl, ctx->mdl_owner, mark);
            }
            continue;
        }
        TRY(ddl__commit(ctx, change));
        break;
    }
    ctx->affected_rows = n;
    ctx->schema_dropped =
        ctx->bind->current_schema.ptr != NULL && slice_eq(ctx->bind->current_schema, name);
    return ddl__delete_ranges(ctx->catalog, ctx->storage, drops, n, ctx->diag);
}
