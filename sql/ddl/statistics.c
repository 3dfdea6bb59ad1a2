/* What ANALYZE TABLE has found becomes part of the table's descriptor.
 *
 * The layout of rows stays what it is, so nobody has to be kept out: transactions go on with the
 * descriptor that they have, plans are made anew because the catalog has a new version. The caller
 * shares the table's metadata lock, which keeps schema statements away. */
#include "sql/ddl/ddl_int.h"

static bool same(const struct index_def *ix, const uint64_t *distinct)
{
    for (uint32_t i = 0; i < ix->part_count; i++) {
        if ((ix->distinct == NULL ? 0 : ix->distinct[i]) != (distinct == NULL ? 0 : distinct[i])) {
            return false;
        }
    }
    return true;
}

/* The table is still the one that was read: then its new descriptor. */
static db_err replace(struct ddl_ctx *ctx, const struct table_def *t, const struct table_def *def)
{
    struct catalog_change *change;
    TRY(catalog_change_begin(ctx->catalog, ctx->diag, &change));
    const struct table_def *now = snapshot_table_by_id(catalog_change_view(change), t->id);
    db_err err = now == NULL || now->version != t->version
                     ? ERR_SCHEMA_CHANGED
                     : catalog_replace_table(change, def, ctx->diag);
    if (err != ERR_OK) {
        catalog_change_abort(change);
        return err;
    }
    return ddl__commit(ctx, change);
}

db_err ddl_store_histograms(struct ddl_ctx *ctx, const struct table_def *t,
                            const struct histogram *const *histograms)
{
    struct table_def def = *t;
    def.columns = ARENA_ARRAY(ctx->arena, struct column_def, t->column_count + 1);
    if (def.columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        def.columns[i] = t->columns[i];
        def.columns[i].histogram = histograms[i];
    }
    return replace(ctx, t, &def);
}

db_err ddl_store_statistics(struct ddl_ctx *ctx, const struct table_def *t,
                            uint64_t *const *distinct)
{
    struct table_def def = *t;
    bool changed = false;
    def.indexes = ARENA_ARRAY(ctx->arena, struct index_def, t->index_count + 1);
    if (def.indexes == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < t->index_count; i++) {
        def.indexes[i] = t->indexes[i];
        def.indexes[i].distinct = distinct[i];
        changed = changed || !same(&t->indexes[i], distinct[i]);
    }
    if (!changed) {
        return ERR_OK;
    }
    return replace(ctx, t, &def);
}
