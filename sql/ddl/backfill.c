/* Entries of new indexes for the rows that are there. One pass over the table fills all of them. */
#include "sql/catalog/table_format.h"
#include "sql/ddl/alter_int.h"
#include "sql/diag/my_error.h"
#include "sql/exec/row_writer.h"
#include "sql/storage/storage.h"

struct filler {
    struct alter *a;
    const struct table_def *def;
    const bool *is_new; /* by index ordinal */
    struct row_scan scan;
    struct bulk_write bulk;
    struct buf key, value;
    /* of VIRTUAL columns that the indexes are on, and of messages */
    struct exec_ctx exec;
    struct cast_ctx cast;
    struct row_rules rules;
    struct arena row; /* of the current row's computed values */
};

static void on_warning(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    struct filler *f = arg;
    struct diag d;
    diag_reset(&d);
    diag_set_sql(&d, number, my_error_sqlstate((enum my_errno)number), "%s", text);
    diag_area_add(f->a->ctx->warnings, level == CAST_NOTE ? DIAG_NOTE : DIAG_WARNING, &d);
}

static void init_exec(struct filler *f)
{
    struct ddl_ctx *ctx = f->a->ctx;
    cast_ctx_init(&f->cast, &f->row, ctx->diag);
    f->cast.sql_mode = ctx->bind->sql_mode;
    f->cast.strict = (ctx->bind->sql_mode & SQL_MODE_STRICT) != 0;
    f->cast.collation = ctx->bind->connection_collation;
    if (ctx->bind->tz != NULL) {
        f->cast.tz = ctx->bind->tz;
    }
    f->cast.warn = on_warning;
    f->cast.warn_arg = f;
    f->exec = (struct exec_ctx){.storage = ctx->storage,
                                .arena = ctx->arena,
                                .diag = ctx->diag,
                                .sql_mode = ctx->bind->sql_mode};
    f->exec.eval = (struct eval_ctx){
        .arena = &f->row, .statement = ctx->arena, .cast = &f->cast, .diag = ctx->diag};
}

static db_err init_rules(struct filler *f)
{
    struct ddl_ctx *ctx = f->a->ctx;
    const struct table_def *t = f->def;
    struct table_rules *rules;
    bool *wanted = ARENA_ARRAY(ctx->arena, bool, t->column_count);
    if (wanted == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 1; i < t->index_count; i++) {
        for (uint32_t p = 0; f->is_new[i] && p < t->indexes[i].part_count; p++) {
            wanted[t->indexes[i].parts[p].column] = true;
        }
    }
    TRY(bind_virtual_columns(ctx->arena, ctx->bind, t, wanted, ctx->diag, &rules));
    TRY(row_rules_init(&f->rules, &f->exec, t, rules));
    f->rules.values = &f->row;
    return ERR_OK;
}

/* MYSQL: a value that does not fit its column is told as of row 1, whichever it is. */
static db_err compute(struct filler *f)
{
    bool pass;
    if (f->rules.rules == NULL) {
        return ERR_OK;
    }
    arena_reset(&f->row);
    return row_rules_apply(&f->rules, &f->exec, 1, f->scan.values, &pass);
}

/* The writer's own message. */
static db_err duplicate(struct filler *f, uint32_t index)
{
    struct row_writer w;
    row_writer_init(&w, &f->exec, f->def, NULL);
    db_err err = row_duplicate_error(&w, index, f->scan.values);
    row_writer_fini(&w);
    return err;
}

static db_err add_entries(struct filler *f)
{
    struct ddl_ctx *ctx = f->a->ctx;
    TRY(compute(f));
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
    arena_init(&f.row, NULL, NULL, 0);
    buf_init(&f.key, STORAGE_KEY_SIZE_MAX * 2);
    buf_init(&f.value, STORAGE_VALUE_SIZE_MAX);
    init_exec(&f);
    db_err err = init_rules(&f);
    err = err != ERR_OK ? err : fill_all(&f);
    ddl__scan_close(&f.scan);
    ddl__bulk_fini(&f.bulk);
    buf_fini(&f.key);
    buf_fini(&f.value);
    arena_fini(&f.row);
    return err;
}
