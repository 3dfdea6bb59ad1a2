/* Keys of one table looked up in another, and the rows under them. */
#include "sql/exec/fk_int.h"

/* Bytes of a DECIMAL's whole part as MySQL stores it: nine digits are four bytes. */
static uint32_t whole_bytes(const struct sql_type *t)
{
    static const uint8_t rest[] = {0, 1, 1, 2, 2, 3, 3, 4, 4};
    uint32_t digits = t->length - t->decimals;
    return digits / 9 * 4 + rest[digits % 9];
}

/* MYSQL: columns of a foreign key may differ in length, precision and nullability, strings also in
 * kind and (after ALTER) in collation. Values are equal when they are stored alike. */
static bool same_form(const struct sql_type *to, const struct sql_type *from)
{
    switch (type_phys(to)) {
    case PHYS_INT: return to->id != TYPE_BIT || (to->length + 7) / 8 == (from->length + 7) / 8;
    case PHYS_STR:
        return to->collation == from->collation &&
               (to->id != TYPE_BINARY || from->id == TYPE_BINARY);
    case PHYS_DECIMAL:
        return to->decimals == from->decimals && whole_bytes(to) == whole_bytes(from);
    case PHYS_TIME: return to->id == from->id && (to->decimals + 1) / 2 == (from->decimals + 1) / 2;
    case PHYS_DOUBLE: return to->id == from->id;
    case PHYS__COUNT: break;
    }
    return false;
}

/* Text in the other column's character set. */
static db_err convert_text(struct exec_ctx *ctx, const struct sql_type *to,
                           const struct sql_type *from, const struct value *v, struct arena *arena,
                           struct value *ret, bool *ret_fits)
{
    struct diag ignored;
    struct value back;
    struct store_target target = {.column = "", .row = 1};
    struct cast_ctx cast = *ctx->eval.cast;
    diag_reset(&ignored);
    cast.arena = arena;
    cast.diag = &ignored;
    cast.warn = NULL;
    cast.strict = true;
    db_err err = type_store(&cast, to, &target, from, v, ret);
    err = err == ERR_OK ? type_store(&cast, from, &target, to, ret, &back) : err;
    *ret_fits = err == ERR_OK && value_compare_same(v, &back, NULL) == 0; /* nothing was lost */
    return err == ERR_SQL ? ERR_OK : err;
}

db_err fk__convert(struct exec_ctx *ctx, const struct sql_type *to, const struct sql_type *from,
                   const struct value *v, struct arena *arena, struct value *ret, bool *ret_fits)
{
    *ret_fits = true;
    *ret = *v;
    if (v->is_null) {
        value_set_null(ret, to);
        return ERR_OK;
    }
    if (type_phys(to) == type_phys(from) && same_form(to, from)) {
        value_tag(ret, to);
        return ERR_OK;
    }
    *ret_fits = false;
    return type_phys(to) == PHYS_STR && type_phys(from) == PHYS_STR
               ? convert_text(ctx, to, from, v, arena, ret, ret_fits)
               : ERR_OK;
}

db_err fk__key(struct exec_ctx *ctx, const struct fk_key_of *k, const struct value *row,
               struct arena *arena, struct buf *out, bool *ret_has, bool *ret_fits)
{
    const struct index_format *f = &k->to->format->indexes[k->index];
    *ret_has = true;
    *ret_fits = true;
    for (uint32_t i = 0; i < k->count; i++) {
        if (row[k->from_columns[i]].is_null) {
            *ret_has = false;
            return ERR_OK;
        }
    }
    TRY(buf_append_slice(out, k->to->format->index_prefixes[k->index]));
    for (uint32_t i = 0; i < k->count; i++) {
        struct value v;
        const struct sql_type *to = &k->to->columns[k->to_columns[i]].type;
        const struct sql_type *from = &k->from->columns[k->from_columns[i]].type;
        TRY(fk__convert(ctx, to, from, &row[k->from_columns[i]], arena, &v, ret_fits));
        if (!*ret_fits) {
            return ERR_OK;
        }
        TRY(key_encode(&f->columns[i], &v, out));
    }
    return ERR_OK;
}

bool fk__same(const struct value *a, const struct value *b, const uint32_t *columns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct value *x = &a[columns[i]];
        const struct value *y = &b[columns[i]];
        if (x->is_null != y->is_null || (!x->is_null && value_compare_same(x, y, NULL) != 0)) {
            return false;
        }
    }
    return true;
}

/* ---- rows under the beginning of a key ---- */

void fk__matches_init(struct fk_matches *m, struct exec_ctx *ctx, const struct table_def *table,
                      const struct table_rules *virtuals, uint32_t index, struct slice prefix,
                      enum storage_read_mode mode, uint32_t batch)
{
    *m = (struct fk_matches){
        .table = table, .index = index, .prefix = prefix, .mode = mode, .batch = batch};
    arena_init(&m->arena, NULL, ctx->mem, 0);
    whole_row_init(&m->reader, ctx->mem, table, virtuals);
    buf_init(&m->next, FK_KEY_MAX);
}

void fk__matches_fini(struct fk_matches *m)
{
    arena_fini(&m->arena);
    whole_row_fini(&m->reader);
    buf_fini(&m->next);
}

static db_err decode(struct fk_matches *m, struct exec_ctx *ctx, struct slice stored)
{
    struct slice copy;
    TRY(arena_copy(&m->arena, stored, &copy));
    return whole_row_read(&m->reader, ctx, copy, &m->arena,
                          &m->rows[(size_t)m->count * m->table->column_count]);
}

/* Entries of indexes are not locked, the row is: it may have changed since its entry was read. The
 * columns that make up the prefix are looked at, no others. */
static db_err still_matches(struct fk_matches *m, struct buf *key, bool *ret)
{
    const struct value *row = &m->rows[(size_t)m->count * m->table->column_count];
    const struct index_format *f = &m->table->format->indexes[m->index];
    buf_reset(key);
    TRY(buf_append_slice(key, m->table->format->index_prefixes[m->index]));
    for (uint32_t i = 0; i < f->column_count && key->len < m->prefix.len; i++) {
        TRY(key_encode(&f->columns[i], &row[f->positions[i]], key));
    }
    *ret = key->len >= m->prefix.len && memcmp(key->ptr, m->prefix.ptr, m->prefix.len) == 0;
    return ERR_OK;
}

static db_err rows_of_entries(struct fk_matches *m, struct exec_ctx *ctx, const struct slice *keys,
                              size_t n)
{
    struct slice *values = ARENA_ARRAY(&m->arena, struct slice, n);
    bool *found = ARENA_ARRAY(&m->arena, bool, n);
    SCOPE_BUF(key, FK_KEY_MAX);
    if (values == NULL || found == NULL) {
        return ERR_LIMIT;
    }
    TRY(storage_multi_get(ctx->txn, keys, n, m->mode, STORAGE_WAIT, &m->arena, ctx->diag, found,
                          values));
    for (size_t i = 0; i < n; i++) {
        bool same;
        if (!found[i]) {
            continue;
        }
        TRY(decode(m, ctx, values[i]));
        TRY(still_matches(m, &key, &same));
        m->count += same ? 1 : 0;
    }
    return ERR_OK;
}

static db_err take_batch(struct fk_matches *m, struct exec_ctx *ctx, const struct storage_kv *kv,
                         size_t n)
{
    uint32_t width = m->table->column_count;
    const struct index_format *f = &m->table->format->indexes[m->index];
    struct slice *keys = ARENA_ARRAY(&m->arena, struct slice, n);
    m->rows = ARENA_ARRAY(&m->arena, struct value, n * width);
    if (keys == NULL || m->rows == NULL) {
        return ERR_LIMIT;
    }
    buf_reset(&m->next);
    TRY(buf_append_slice(&m->next, kv[n - 1].key));
    TRY(buf_append_u8(&m->next, 0));
    for (size_t i = 0; i < n; i++) {
        if (m->index == 0) {
            TRY(decode(m, ctx, kv[i].value));
            m->count++;
            continue;
        }
        struct index_entry entry;
        SCOPE_BUF(key, FK_KEY_MAX);
        TRY(index_entry_parse(f, kv[i].key, kv[i].value, &entry));
        TRY(row_key_from_pk(f, entry.pk_bytes, &key));
        TRY(arena_copy(&m->arena, buf_slice(&key), &keys[i]));
    }
    return m->index == 0 ? ERR_OK : rows_of_entries(m, ctx, keys, n);
}

/* A scan of its own for each batch: what is done with the rows may write to the same index. */
db_err fk__matches_next(struct fk_matches *m, struct exec_ctx *ctx)
{
    SCOPE_BUF(end, FK_KEY_MAX);
    TRY(buf_append_slice(&end, m->prefix));
    key_prefix_end(&end);
    m->count = 0;
    while (m->count == 0 && !m->end) {
        const struct storage_kv *kv;
        struct storage_scan *scan;
        size_t n = 0;
        struct storage_scan_opts opts = {.start =
                                             m->next.len == 0 ? m->prefix : buf_slice(&m->next),
                                         .end = buf_slice(&end),
                                         .mode = m->mode,
                                         .limit = m->batch,
                                         .batch_rows = m->batch};
        arena_reset(&m->arena);
        TRY(storage_scan_open(ctx->txn, &opts, ctx->diag, &scan));
        db_err err = storage_scan_next(scan, ctx->diag, &kv, &n);
        if (err == ERR_OK && n != 0) {
            err = take_batch(m, ctx, kv, n);
        }
        storage_scan_close(scan);
        TRY(err);
        m->end = n == 0;
    }
    return ERR_OK;
}
