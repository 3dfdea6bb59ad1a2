/* Entries of new indexes for the rows that are there. One pass over the table fills all of them. */
#include "sql/catalog/table_format.h"
#include "sql/ddl/alter_int.h"
#include "sql/exec/row_writer.h"
#include "sql/storage/storage.h"

struct filler {
    struct alter *a;
    const struct table_def *def;
    const bool *is_new; /* by index ordinal */
    struct row_scan scan;
    struct bulk_write bulk;
    struct buf key, value;
};

/* The writer's own message; it needs an evaluation context only to print the values. */
static db_err duplicate(struct filler *f, uint32_t index)
{
    struct cast_ctx cast;
    struct row_writer w;
    cast_ctx_init(&cast, f->a->ctx->arena, f->a->ctx->diag);
    if (f->a->ctx->bind->tz != NULL) {
        cast.tz = f->a->ctx->bind->tz;
    }
    struct exec_ctx exec = {.arena = f->a->ctx->arena, .diag = f->a->ctx->diag};
    exec.eval =
        (struct eval_ctx){.arena = f->a->ctx->arena, .cast = &cast, .diag = f->a->ctx->diag};
    row_writer_init(&w, &exec, f->def);
    db_err err = row_duplicate_error(&w, index, f->scan.values);
    row_writer_fini(&w);
    return err;
}

static db_err add_entries(struct filler *f)
{
    struct ddl_ctx *ctx = f->a->ctx;
    TRY(ddl__bulk_begin(ctx, &f->bulk));
    for (uint32_t i = 1; i < f->def->index_count; i++) {
        const struct index_format *format = &f->def->format->indexes[i];
        bool null;
        if (!f->is_new[i]) {
            continue;
        }
        buf_reset(&f->key);
        buf_reset(&f->value);
        TRY(index_entry_encode(format, f->scan.values, &f->key, &f->value, &null));
        unsigned flags = format->unique && !null ? STORAGE_W_INSERT : STORAGE_W_BLIND;
        db_err err =
            storage_put(f->bulk.txn, buf_slice(&f->key), buf_slice(&f->value), flags, ctx->diag);
        if (err == ERR_KEY_EXISTS) {
            return duplicate(f, i);
        }
        TRY(err);
        f->bulk.bytes += f->key.len + f->value.len;
    }
    f->bulk.rows++;
    return ddl__bulk_full(&f->bulk) ? ddl__bulk_commit(ctx, &f->bulk) : ERR_OK;
}

static db_err fill_all(struct filler *f)
{
    bool row;
    for (;;) {
        TRY(ddl__scan_next(f->a->ctx, &f->scan, &row));
        if (!row) {
            return ddl__bulk_commit(f->a->ctx, &f->bulk);
        }
        TRY(add_entries(f));
    }
}

db_err ddl__fill_indexes(struct alter *a, const struct table_def *def, const bool *is_new)
{
    struct filler f = {.a = a, .def = def, .is_new = is_new};
    TRY(ddl__scan_open(a->ctx, def->format->layout, def->format->row_prefix, &f.scan));
    buf_init(&f.key, STORAGE_KEY_SIZE_MAX * 2);
    buf_init(&f.value, STORAGE_VALUE_SIZE_MAX);
    db_err err = fill_all(&f);
    ddl__scan_close(&f.scan);
    ddl__bulk_fini(&f.bulk);
    buf_fini(&f.key);
    buf_fini(&f.value);
    return err;
}
