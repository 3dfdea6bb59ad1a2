/* Entries of new indexes for the rows that are there. One pass over the table fills all of them.
 *
 * CHECK TABLE counts in the same way what there should be of indexes with several values a row. */
#include "sql/catalog/table_format.h"
#include "sql/ddl/alter_int.h"
#include "sql/diag/my_error.h"
#include "sql/exec/multi_entries.h"
#include "sql/exec/row_writer.h"
#include "sql/storage/storage.h"

struct filler {
    struct ddl_ctx *ctx;
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
    diag_area_add(f->ctx->warnings, ddl__level(level), &d);
}

static void init_exec(struct filler *f)
{
    struct ddl_ctx *ctx = f->ctx;
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
    struct ddl_ctx *ctx = f->ctx;
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

static db_err add_entry(struct filler *f, uint32_t i, struct slice key, struct slice value,
                        bool null)
{
    bool unique = f->def->format->indexes[i].unique && !null;
    db_err err = storage_put(f->bulk.txn, key, value, unique ? STORAGE_W_INSERT : STORAGE_W_BLIND,
                             f->ctx->diag);
    if (err == ERR_KEY_EXISTS) {
        return duplicate(f, i);
    }
    TRY(err);
    f->bulk.bytes += key.len + value.len;
    return ERR_OK;
}

static db_err add_multi(struct filler *f, uint32_t i)
{
    struct multi_entries e;
    db_err err = multi_entries_init(&e, NULL, f->def, i, f->scan.values);
    for (uint32_t k = 0; k < e.count && err == ERR_OK; k++) {
        err = add_entry(f, i, e.items[k].key, e.items[k].value, e.items[k].has_null);
    }
    multi_entries_fini(&e);
    return err;
}

static db_err add_entries(struct filler *f)
{
    struct ddl_ctx *ctx = f->ctx;
    TRY(compute(f));
    TRY(ddl__bulk_begin(ctx, &f->bulk));
    for (uint32_t i = 1; i < f->def->index_count; i++) {
        bool null;
        if (!f->is_new[i]) {
            continue;
        }
        if (index_multi_part(f->def, &f->def->indexes[i]) >= 0) {
            TRY(add_multi(f, i));
            continue;
        }
        buf_reset(&f->key);
        buf_reset(&f->value);
        TRY(index_entry_encode(&f->def->format->indexes[i], f->scan.values, &f->key, &f->value,
                               &null));
        TRY(add_entry(f, i, buf_slice(&f->key), buf_slice(&f->value), null));
    }
    f->bulk.rows++;
    return ddl__bulk_full(&f->bulk) ? ddl__bulk_commit(ctx, &f->bulk) : ERR_OK;
}

static db_err fill_all(struct filler *f)
{
    bool row;
    for (;;) {
        TRY(ddl__scan_next(f->ctx, &f->scan, &row));
        if (!row) {
            return ddl__bulk_commit(f->ctx, &f->bulk);
        }
        TRY(add_entries(f));
    }
}

db_err ddl__fill_indexes(struct alter *a, const struct table_def *def, const bool *is_new)
{
    struct filler f = {.ctx = a->ctx, .def = def, .is_new = is_new};
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

/* ---- counting ---- */

/* MYSQL: a row that was written under another mode reads all the same. */
static db_err count_row(struct filler *f, uint64_t *counts)
{
    arena_reset(&f->row);
    TRY(row_rules_read(&f->rules, &f->exec, false, f->scan.values));
    for (uint32_t i = 1; i < f->def->index_count; i++) {
        struct multi_entries e;
        if (!f->is_new[i]) {
            continue;
        }
        db_err err = multi_entries_init(&e, NULL, f->def, i, f->scan.values);
        counts[i] += e.count;
        multi_entries_fini(&e);
        TRY(err);
    }
    return ERR_OK;
}

static db_err count_rows(struct filler *f, uint64_t *ret_rows, uint64_t *counts)
{
    uint64_t rows = 0;
    bool row;
    for (;;) {
        TRY(ddl__scan_next(f->ctx, &f->scan, &row));
        if (!row) {
            *ret_rows = rows;
            return ERR_OK;
        }
        rows++;
        TRY(f->rules.rules == NULL ? ERR_OK : count_row(f, counts));
    }
}

db_err ddl__count_entries(struct ddl_ctx *ctx, const struct table_def *def, struct row_scan *scan,
                          uint64_t *ret_rows, uint64_t *ret_counts)
{
    struct filler f = {.ctx = ctx, .def = def, .scan = *scan};
    bool *multi = ARENA_ARRAY(ctx->arena, bool, def->index_count);
    bool any = false;
    if (multi == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 1; i < def->index_count; i++) {
        multi[i] = index_multi_part(def, &def->indexes[i]) >= 0;
        any = any || multi[i];
    }
    f.is_new = multi;
    arena_init(&f.row, NULL, NULL, 0);
    init_exec(&f);
    f.cast.warn = NULL;
    db_err err = any ? init_rules(&f) : ERR_OK;
    err = err != ERR_OK ? err : count_rows(&f, ret_rows, ret_counts);
    for (uint32_t i = 1; err == ERR_OK && i < def->index_count; i++) {
        ret_counts[i] = multi[i] ? ret_counts[i] : *ret_rows;
    }
    *scan = f.scan;
    arena_fini(&f.row);
    return err;
}
