/* CHECK TABLE: every row is read and decoded, and every index must have as many entries as the
 * table has rows, or as these have values. All of it from one snapshot, so that writers are not
 * disturbed and do not disturb. */
#include "base/fiber.h"
#include "sql/codec/table_keys.h"
#include "sql/ddl/alter_int.h"
#include "sql/storage/storage.h"

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
                            const uint64_t *wanted, const char **ret_problem)
{
    for (uint32_t i = 1; i < t->index_count; i++) {
        uint64_t entries;
        TRY(count_entries(ctx, txn, t->format->index_prefixes[i], &entries));
        if (entries != wanted[i]) {
            const char *text =
                arena_printf(ctx->arena, "Index '%.*s' has %llu entries, the table has %llu %s",
                             SLICE_FMT(t->indexes[i].name), (unsigned long long)entries,
                             (unsigned long long)wanted[i],
                             index_multi_part(t, &t->indexes[i]) >= 0 ? "values" : "rows");
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
    uint64_t *wanted = ARENA_ARRAY(ctx->arena, uint64_t, t->index_count);
    *ret_problem = NULL;
    if (wanted == NULL) {
        return ERR_NOMEM;
    }
    TRY(ddl__scan_open(ctx, t->format->layout, t->format->row_prefix, &scan));
    db_err err = ddl__count_entries(ctx, t, &scan, &rows, wanted);
    if (err == ERR_CORRUPT) {
        *ret_problem = "a row cannot be read";
        err = ERR_OK;
    } else if (err == ERR_OK) {
        err = check_indexes(ctx, t, scan.txn, wanted, ret_problem);
    }
    ddl__scan_close(&scan);
    return err;
}
