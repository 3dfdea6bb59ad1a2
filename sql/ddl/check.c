/* CHECK TABLE: every row is read and decoded, and every index must have as many entries as the
 * table has rows. All of it from one snapshot, so that writers are not disturbed and do not
 * disturb. */
#include "base/fiber.h"
#include "sql/codec/table_keys.h"
#include "sql/ddl/alter_int.h"
#include "sql/storage/storage.h"

static db_err count_rows(struct ddl_ctx *ctx, struct row_scan *scan, uint64_t *ret_rows)
{
    bool row = true;
    uint64_t n = 0;
    for (;;) {
        TRY(ddl__scan_next(ctx, scan, &row));
        if (!row) {
            *ret_rows = n;
            return ERR_OK;
        }
        n++;
    }
}

static db_err count_entries(struct ddl_ctx *ctx, struct storage_txn *txn, struct slice prefix,
                            uint64_t *ret_entries)
{
    SCOPE_BUF(end, 64);
    const struct storage_kv *kvs;
    struct storage_scan *scan;
    size_t count = 0;
    uint64_t n = 0;
    TRY(buf_append_slice(&end, prefix));
    key_prefix_end(&end);
    struct storage_scan_opts opts = {.start = prefix, .end = buf_slice(&end), .keys_only = true};
    TRY(storage_scan_open(txn, &opts, ctx->diag, &scan));
    db_err err;
    do {
        err = fiber_checkpoint();
        if (err == ERR_OK) {
            err = storage_scan_next(scan, ctx->diag, &kvs, &count);
        }
        n += count;
    } while (err == ERR_OK && count != 0);
    storage_scan_close(scan);
    *ret_entries = n;
    return err;
}

static db_err check_indexes(struct ddl_ctx *ctx, const struct table_def *t, struct storage_txn *txn,
                            uint64_t rows, const char **ret_problem)
{
    for (uint32_t i = 1; i < t->index_count; i++) {
        uint64_t entries;
        TRY(count_entries(ctx, txn, t->format->index_prefixes[i], &entries));
        if (entries != rows) {
            const char *text =
                arena_printf(ctx->arena, "Index '%.*s' has %llu entries, the table has %llu rows",
                             SLICE_FMT(t->indexes[i].name), (unsigned long long)entries,
                             (unsigned long long)rows);
            *ret_problem = text == NULL ? "an index has not as many entries as the table" : text;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

db_err ddl_check_table(struct ddl_ctx *ctx, const struct table_def *t, const char **ret_problem)
{
    struct row_scan scan;
    uint64_t rows = 0;
    *ret_problem = NULL;
    TRY(ddl__scan_open(ctx, t->format->layout, t->format->row_prefix, &scan));
    db_err err = count_rows(ctx, &scan, &rows);
    if (err == ERR_CORRUPT) {
        *ret_problem = "a row cannot be read";
        err = ERR_OK;
    } else if (err == ERR_OK) {
        err = check_indexes(ctx, t, scan.txn, rows, ret_problem);
    }
    ddl__scan_close(&scan);
    return err;
}
