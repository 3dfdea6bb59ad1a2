/* Deleting what no descriptor names any more.
 *
 * The record of a pending drop is committed with the change that makes the range garbage (or before
 * a range is filled that has no descriptor yet), the range is deleted, then the record is removed.
 * Deleting twice does no harm, so a crash anywhere in between only means that ddl_recover() does it
 * again. A range that some snapshot may still read is safe: metadata locks have ended all
 * transactions that used the table. */
#include "base/faults.h"
#include "sql/codec/table_keys.h"
#include "sql/ddl/ddl_int.h"
#include "sql/storage/storage.h"

static db_err delete_range(struct storage *storage, const struct pending_drop *d, struct diag *diag)
{
    SCOPE_BUF(start, 64);
    SCOPE_BUF(end, 64);
    TRY(d->index_id == 0 ? table_key_prefix(&start, d->table_id)
                         : index_key_prefix(&start, d->table_id, d->index_id));
    TRY(buf_append_slice(&end, buf_slice(&start)));
    key_prefix_end(&end);
    return storage_delete_range(storage, buf_slice(&start), buf_slice(&end), diag);
}

db_err ddl__delete_ranges(struct catalog *catalog, struct storage *storage,
                          const struct pending_drop *drops, uint32_t count, struct diag *diag)
{
    for (uint32_t i = 0; i < count; i++) {
        FAULT(ddl_before_delete_range);
        TRY(delete_range(storage, &drops[i], diag));
        FAULT(ddl_after_delete_range);
        TRY(catalog_put_drop(catalog, &drops[i], false, diag));
    }
    return ERR_OK;
}

db_err ddl__delete_temporary(struct ddl_ctx *ctx, table_id_t id)
{
    struct pending_drop d = {.table_id = id};
    return delete_range(ctx->storage, &d, ctx->diag);
}

/* What other nodes are at is not touched. */
static uint32_t keep_own(struct pending_drop *drops, uint32_t count, uint64_t node)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (drops[i].owner == node || drops[i].owner == 0) {
            drops[n++] = drops[i];
        }
    }
    return n;
}

db_err ddl_recover(struct catalog *catalog, struct storage *storage, uint64_t node,
                   struct diag *diag)
{
    struct arena arena;
    struct pending_drop *drops;
    uint32_t count;
    arena_init(&arena, NULL, NULL, 0);
    db_err err = catalog_pending_drops(catalog, &arena, diag, &drops, &count);
    if (err == ERR_OK) {
        count = keep_own(drops, count, node);
        err = ddl__delete_ranges(catalog, storage, drops, count, diag);
    }
    arena_fini(&arena);
    return err;
}
