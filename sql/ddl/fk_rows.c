/* ALTER TABLE ... ADD FOREIGN KEY: the rows that are there must have their parents.
 *
 * The tables are locked exclusively, so nothing changes while the rows are read. Some rows at a
 * time are looked up in a transaction of their own: its locks go with it. */
#include "sql/ddl/alter_int.h"
#include "sql/ddl/fk_int.h"
#include "sql/exec/fk.h"
#include "sql/storage/storage.h"

enum { CHECK_ROWS = 512 };

struct row_check {
    struct alter *a;
    struct fk_table fks;
    struct row_scan scan;
    struct arena batch; /* of the rows */
    struct value *rows;
    uint32_t count;
    uint64_t total;
    bool *known;
    struct cast_ctx cast;
    struct exec_ctx exec;
};

static db_err init_checks(struct row_check *c, const struct table_def *def)
{
    struct ddl_ctx *ctx = c->a->ctx;
    c->fks.table = def;
    c->fks.checks = ARENA_ARRAY(ctx->arena, struct fk_check, def->foreign_key_count + 1);
    c->rows = ARENA_ARRAY(ctx->arena, struct value, (size_t)CHECK_ROWS * def->column_count);
    c->known = ARENA_ARRAY(ctx->arena, bool, (size_t)CHECK_ROWS * def->foreign_key_count + 1);
    if (c->fks.checks == NULL || c->rows == NULL || c->known == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < def->foreign_key_count; i++) {
        TRY(fk_check_make(ctx->arena, c->a->snapshot, def, &def->foreign_keys[i], def,
                          &c->fks.checks[c->fks.check_count++]));
    }
    return ERR_OK;
}

static db_err check_batch(struct row_check *c)
{
    uint32_t width = c->fks.table->column_count;
    if (c->count == 0) {
        return ERR_OK;
    }
    TRY(fk_find_parents(&c->exec, &c->fks, c->rows, c->count, c->known));
    for (uint32_t i = 0; i < c->count; i++) {
        TRY(fk_check_row(&c->exec, &c->fks, NULL, &c->rows[(size_t)i * width],
                         &c->known[(size_t)i * c->fks.check_count]));
    }
    return ERR_OK;
}

static db_err in_transaction(struct row_check *c)
{
    struct ddl_ctx *ctx = c->a->ctx;
    struct storage_txn_opts opts = {.isolation = STORAGE_READ_COMMITTED};
    TRY(storage_txn_begin(ctx->storage, &opts, ctx->diag, &c->exec.txn));
    db_err err = check_batch(c);
    storage_txn_rollback(c->exec.txn);
    c->count = 0;
    arena_reset(&c->batch);
    return err;
}

static db_err check_all(struct row_check *c)
{
    uint32_t width = c->fks.table->column_count;
    bool row;
    for (;;) {
        TRY(ddl__scan_next(c->a->ctx, &c->scan, &row));
        if (!row) {
            return in_transaction(c);
        }
        c->total++;
        struct value *to = &c->rows[(size_t)c->count++ * width];
        for (uint32_t i = 0; i < width; i++) {
            TRY(value_copy(&c->scan.values[i], &c->batch, &to[i]));
        }
        if (c->count == CHECK_ROWS) {
            TRY(in_transaction(c));
        }
    }
}

db_err ddl__check_fk_rows(struct alter *a, const struct table_def *def)
{
    struct ddl_ctx *ctx = a->ctx;
    struct row_check c = {.a = a};
    TRY(init_checks(&c, def));
    arena_init(&c.batch, NULL, NULL, 0);
    cast_ctx_init(&c.cast, &c.batch, ctx->diag);
    if (ctx->bind->tz != NULL) {
        c.cast.tz = ctx->bind->tz;
    }
    c.exec = (struct exec_ctx){.storage = ctx->storage, .arena = ctx->arena, .diag = ctx->diag};
    c.exec.eval = (struct eval_ctx){
        .arena = &c.batch, .statement = ctx->arena, .cast = &c.cast, .diag = ctx->diag};
    db_err err = ddl__scan_open(ctx, def->format->layout, def->format->row_prefix, &c.scan);
    if (err == ERR_OK) {
        err = check_all(&c);
        ddl__scan_close(&c.scan);
    }
    arena_fini(&c.batch);
    a->copied = c.total;
    return err;
}
