/* All rows of a table for a schema statement: read from one snapshot, written in transactions of
 * bounded size. */
#include "base/faults.h"
#include "base/fiber.h"
#include "sql/codec/table_keys.h"
#include "sql/ddl/alter_int.h"
#include "sql/storage/storage.h"

enum { BULK_ROWS = 1000 };
#define BULK_BYTES ((size_t)1 << 20)

db_err ddl__scan_open(struct ddl_ctx *ctx, const struct row_layout *layout, struct slice prefix,
                      struct row_scan *s)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
    uint32_t n = row_layout_count(layout);
    uint32_t *all = ARENA_ARRAY(ctx->arena, uint32_t, n);
    SCOPE_BUF(end, 64);
    *s = (struct row_scan){.values = ARENA_ARRAY(ctx->arena, struct value, n)};
    if (all == NULL || s->values == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        all[i] = i;
    }
    TRY(row_reader_new(ctx->arena, layout, all, n, &s->reader));
    TRY(buf_append_slice(&end, prefix));
    key_prefix_end(&end);
    TRY(storage_txn_begin(ctx->storage, &opts, ctx->diag, &s->txn));
    struct storage_scan_opts scan = {.start = prefix, .end = buf_slice(&end)};
    db_err err = storage_scan_open(s->txn, &scan, ctx->diag, &s->scan);
    if (err != ERR_OK) {
        ddl__scan_close(s);
    }
    return err;
}

db_err ddl__scan_next(struct ddl_ctx *ctx, struct row_scan *s, bool *ret_row)
{
    *ret_row = false;
    if (s->at == s->count) {
        TRY(fiber_checkpoint());
        TRY(storage_scan_next(s->scan, ctx->diag, &s->kvs, &s->count));
        s->at = 0;
        if (s->count == 0) {
            return ERR_OK;
        }
    }
    TRY(row_read_values(s->reader, s->kvs[s->at++].value, s->values));
    *ret_row = true;
    return ERR_OK;
}

void ddl__scan_close(struct row_scan *s)
{
    storage_scan_close(s->scan);
    if (s->txn != NULL) {
        storage_txn_rollback(s->txn);
    }
    *s = (struct row_scan){0};
}

db_err ddl__bulk_begin(struct ddl_ctx *ctx, struct bulk_write *w)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_READ_COMMITTED};
    if (w->txn != NULL) {
        return ERR_OK;
    }
    if (w->conflict.max == 0) {
        buf_init(&w->conflict, STORAGE_KEY_SIZE_MAX * 2);
    }
    w->rows = 0;
    w->bytes = 0;
    TRY(storage_txn_begin(ctx->storage, &opts, ctx->diag, &w->txn));
    w->txn->conflict = &w->conflict;
    return ERR_OK;
}

bool ddl__bulk_full(const struct bulk_write *w)
{
    return w->rows >= BULK_ROWS || w->bytes >= BULK_BYTES;
}

db_err ddl__bulk_commit(struct ddl_ctx *ctx, struct bulk_write *w)
{
    struct storage_txn *txn = w->txn;
    if (txn == NULL) {
        return ERR_OK;
    }
    w->txn = NULL;
    FAULT(ddl_before_copy_commit);
    return storage_txn_commit(txn, ctx->diag, NULL);
}

void ddl__bulk_fini(struct bulk_write *w)
{
    if (w->txn != NULL) {
        storage_txn_rollback(w->txn);
    }
    if (w->conflict.max != 0) {
        buf_fini(&w->conflict);
    }
    *w = (struct bulk_write){0};
}
