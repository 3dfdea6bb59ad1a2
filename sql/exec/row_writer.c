/* One row is one entry under the primary key and one per secondary index. The row's key carries the
 * lock: entries of indexes that are not unique are written blindly under it; entries of unique ones
 * are inserts of their own, which is what makes them unique. Of an index with several values a row
 * (multi_entries.h) each entry is written by itself. */
#include "sql/exec/row_writer.h"

#include <stdio.h>

#include "base/buf.h"
#include "sql/diag/my_error.h"
#include "sql/exec/multi_entries.h"
#include "sql/exec/multi_value.h"

enum { KEY_BUF_MAX = 64 * 1024 };

/* Of a key that nobody else can be about to write. */
enum { NEW_ENTRY = STORAGE_W_BLIND | STORAGE_W_NEW };

void row_writer_init(struct row_writer *w, struct exec_ctx *ctx, const struct table_def *table,
                     const struct table_rules *virtuals)
{
    *w = (struct row_writer){.ctx = ctx, .table = table, .format = table->format};
    whole_row_init(&w->rows, ctx->mem, table, virtuals);
    buf_init(&w->key, KEY_BUF_MAX);
    buf_init(&w->old_key, KEY_BUF_MAX);
    buf_init(&w->value, STORAGE_VALUE_SIZE_MAX);
    buf_init(&w->old_value, STORAGE_VALUE_SIZE_MAX);
}

void row_writer_fini(struct row_writer *w)
{
    buf_fini(&w->key);
    buf_fini(&w->old_key);
    buf_fini(&w->value);
    buf_fini(&w->old_value);
    whole_row_fini(&w->rows);
}

struct slice sequence_key(const struct table_def *t, bool row_id, uint8_t out[16])
{
    out[0] = 's';
    out[1] = row_id ? 'r' : 'a';
    for (int i = 0; i < 8; i++) {
        out[2 + i] = (uint8_t)(t->id >> (56 - 8 * i));
    }
    return slice_of(out, 10);
}

db_err row_print_part(struct exec_ctx *ctx, const struct sql_type *t, const struct value *v,
                      struct buf *out)
{
    if (v->is_null) {
        return buf_append(out, "NULL", 4);
    }
    struct slice text;
    struct cast_ctx quiet = *ctx->eval.cast;
    quiet.warn = NULL;
    quiet.arena = ctx->eval.arena;
    TRY(value_to_text(&quiet, t, v, &text));
    return buf_append_slice(out, text);
}

enum { SHOWN_MAX = 192 }; /* of a duplicate's values */

/* MYSQL: as much as the key has of it, in UTF-8; of bytes all but printable ASCII is in hex. */
static db_err print_key_text(struct row_writer *w, const struct collation *of, uint32_t prefix,
                             struct slice s, struct buf *out)
{
    struct slice text;
    size_t lost;
    s = charset_substring(of->cs, s, 0, prefix == 0 || prefix > SHOWN_MAX ? SHOWN_MAX : prefix);
    if (of->id != COLL_BINARY) {
        const struct charset *utf8 = charset_by_name(SLICE_LIT("utf8mb4"));
        TRY(charset_convert_arena(of->cs, s, utf8, w->ctx->eval.arena, &text, &lost));
        return buf_append_slice(out, text);
    }
    for (size_t i = 0; i < s.len; i++) {
        bool plain = s.ptr[i] >= ' ' && s.ptr[i] < 0x7f;
        TRY(plain ? buf_append_u8(out, s.ptr[i]) : buf_printf(out, "\\x%02X", s.ptr[i]));
    }
    return ERR_OK;
}

/* MYSQL: zero bytes that fill a BINARY(n) up are not shown; one stays of nothing else. */
static struct slice without_fill(const struct sql_type *t, struct slice s)
{
    while (t->id == TYPE_BINARY && s.len > 1 && s.ptr[s.len - 1] == 0) {
        s.len--;
    }
    return s;
}

/* MYSQL: several values are shown as an array, as much of it as one of them has room for. */
static db_err print_key_part(struct row_writer *w, const struct column_def *c, uint32_t prefix,
                             const struct value *v, struct buf *out)
{
    struct slice text;
    const struct collation *of = collation_by_id(c->type.collation);
    if (c->element == NULL && !v->is_null && type_is_string(&c->type) && of != NULL) {
        struct slice shown = without_fill(&c->type, v->str);
        if (type_reads_padded(&c->type, w->ctx->sql_mode)) {
            TRY(charset_pad(of->cs, shown, c->type.length, w->ctx->eval.arena, &shown));
        }
        return print_key_text(w, of, prefix, shown, out);
    }
    if (c->element == NULL || v->is_null) {
        return row_print_part(w->ctx, &c->type, v, out);
    }
    TRY(multi_print(c->element, v, w->ctx->arena, &text));
    return buf_append(out, text.ptr, multi_shown(c->element, text));
}

db_err row_duplicate_error(struct row_writer *w, uint32_t index, const struct value *row)
{
    const struct index_def *ix = &w->table->indexes[index];
    struct buf text;
    w->duplicate = index;
    buf_init(&text, 64 * 1024);
    db_err err = ERR_OK;
    for (uint32_t i = 0; i < ix->part_count && err == ERR_OK; i++) {
        const struct column_def *c = &w->table->columns[ix->parts[i].column];
        err = i == 0 ? ERR_OK : buf_append_u8(&text, '-');
        if (err == ERR_OK) {
            err = print_key_part(w, c, ix->parts[i].prefix_len, &row[c->ordinal], &text);
        }
    }
    int len = text.len > SHOWN_MAX ? SHOWN_MAX : (int)text.len;
    char value[SHOWN_MAX + 1];
    char key[160];
    snprintf(value, sizeof(value), "%.*s", len, len == 0 ? "" : (const char *)text.ptr);
    snprintf(key, sizeof(key), "%.*s.%.*s", SLICE_FMT(w->table->name), SLICE_FMT(ix->name));
    buf_fini(&text);
    TRY(err);
    return my_error(w->ctx->diag, ER_DUP_ENTRY, value, key);
}

static db_err encode_row_key(struct row_writer *w, const struct value *row, struct buf *out)
{
    buf_reset(out);
    return row_key_encode(&w->format->indexes[0], row, out);
}

static db_err encode_entry(struct row_writer *w, uint32_t i, const struct value *row,
                           struct buf *key, struct buf *value, bool *ret_null)
{
    buf_reset(key);
    buf_reset(value);
    return index_entry_encode(&w->format->indexes[i], row, key, value, ret_null);
}

/* A duplicate that is met while IGNORE takes it that there are none (exec__insert_write) is like
 * one that the commit meets: the statement runs again. It is met here when the storage did not put
 * the rows aside after all. */
static bool is_told_now(const struct row_writer *w, db_err err)
{
    return err == ERR_KEY_EXISTS && !w->defer && !(w->bulk && w->ctx->ignore);
}

static db_err put_row(struct row_writer *w, const struct value *row, unsigned flags)
{
    TRY(encode_row_key(w, row, &w->key));
    buf_reset(&w->value);
    TRY(row_encode(w->format->layout, row, &w->value));
    db_err err =
        storage_put(w->ctx->txn, buf_slice(&w->key), buf_slice(&w->value), flags, w->ctx->diag);
    return is_told_now(w, err) ? row_duplicate_error(w, 0, row) : err;
}

/* Flags of a write that must be of a new key. */
static unsigned insert_flags(const struct row_writer *w)
{
    if (UNLIKELY(w->bulk)) {
        return STORAGE_W_INSERT | STORAGE_W_DEFER | STORAGE_W_BULK;
    }
    return w->defer ? STORAGE_W_INSERT | STORAGE_W_DEFER : STORAGE_W_INSERT;
}

static db_err put_new(struct row_writer *w, uint32_t i, const struct value *row, struct slice key,
                      struct slice value, bool null)
{
    unsigned blind = w->bulk ? NEW_ENTRY | STORAGE_W_BULK : NEW_ENTRY;
    unsigned flags = w->format->indexes[i].unique && !null ? insert_flags(w) : blind;
    db_err err = storage_put(w->ctx->txn, key, value, flags, w->ctx->diag);
    return is_told_now(w, err) ? row_duplicate_error(w, i, row) : err;
}

static bool is_multi(const struct row_writer *w, uint32_t i)
{
    return UNLIKELY(index_multi_part(w->table, &w->table->indexes[i]) >= 0);
}

static db_err put_multi(struct row_writer *w, uint32_t i, const struct value *row)
{
    struct multi_entries e;
    db_err err = multi_entries_init(&e, w->ctx->mem, w->table, i, row);
    for (uint32_t k = 0; k < e.count && err == ERR_OK; k++) {
        err = put_new(w, i, row, e.items[k].key, e.items[k].value, e.items[k].has_null);
    }
    multi_entries_fini(&e);
    return err;
}

static db_err put_entry(struct row_writer *w, uint32_t i, const struct value *row)
{
    bool null;
    if (is_multi(w, i)) {
        return put_multi(w, i, row);
    }
    TRY(encode_entry(w, i, row, &w->key, &w->value, &null));
    return put_new(w, i, row, buf_slice(&w->key), buf_slice(&w->value), null);
}

/* Of entries that stay or go, and of the row: in bulk nothing else can be about to write them. */
static unsigned bulk_flag(const struct row_writer *w)
{
    return w->bulk ? STORAGE_W_BULK : 0;
}

static db_err del_old(struct row_writer *w, uint32_t i, struct slice key, bool null)
{
    unsigned flags =
        w->format->indexes[i].unique && !null && !w->bulk ? 0 : STORAGE_W_BLIND | bulk_flag(w);
    return storage_del(w->ctx->txn, key, flags, w->ctx->diag);
}

static db_err del_multi(struct row_writer *w, uint32_t i, const struct value *row)
{
    struct multi_entries e;
    db_err err = multi_entries_init(&e, w->ctx->mem, w->table, i, row);
    for (uint32_t k = 0; k < e.count && err == ERR_OK; k++) {
        err = del_old(w, i, e.items[k].key, e.items[k].has_null);
    }
    multi_entries_fini(&e);
    return err;
}

static db_err del_entry(struct row_writer *w, uint32_t i, const struct value *row)
{
    bool null;
    if (is_multi(w, i)) {
        return del_multi(w, i, row);
    }
    TRY(encode_entry(w, i, row, &w->key, &w->value, &null));
    return del_old(w, i, buf_slice(&w->key), null);
}

static db_err decode_row(struct row_writer *w, struct slice stored, struct arena *arena,
                         struct value *ret_row)
{
    struct slice copy;
    TRY(arena_copy(arena, stored, &copy));
    return whole_row_read(&w->rows, w->ctx, copy, arena, ret_row);
}

static db_err hide_entry(struct row_writer *w, uint32_t i, struct slice key, bool null)
{
    return w->format->indexes[i].unique && !null
               ? ERR_OK
               : storage_del(w->ctx->txn, key, STORAGE_W_BLIND, w->ctx->diag);
}

static db_err hide_multi(struct row_writer *w, uint32_t i, const struct value *row)
{
    struct multi_entries e;
    db_err err = multi_entries_init(&e, w->ctx->mem, w->table, i, row);
    for (uint32_t k = 0; k < e.count && err == ERR_OK; k++) {
        err = hide_entry(w, i, e.items[k].key, e.items[k].has_null);
    }
    multi_entries_fini(&e);
    return err;
}

static db_err hide_entries(struct row_writer *w, struct slice stored, struct arena *arena)
{
    struct value *row = ARENA_ARRAY(arena, struct value, w->table->column_count);
    if (row == NULL) {
        return ERR_LIMIT;
    }
    TRY(decode_row(w, stored, arena, row));
    for (uint32_t i = 1; i < w->table->index_count; i++) {
        bool null;
        if (is_multi(w, i)) {
            TRY(hide_multi(w, i, row));
            continue;
        }
        TRY(encode_entry(w, i, row, &w->old_key, &w->old_value, &null));
        TRY(hide_entry(w, i, buf_slice(&w->old_key), null));
    }
    return ERR_OK;
}

/* The row under w->key is being written. If somebody has changed it after this transaction's
 * snapshot was taken, plain reads by an index would find the entries of the snapshot's row, next to
 * those that are written now or instead of them. These go, for this transaction; for all others
 * they went with that change. Before the new entries are written, which may be the same: all of
 * them, then, as the snapshot does not show those that stay. An entry of a unique index may be
 * another row's by now and is left alone. */
static db_err hide_snapshot(struct row_writer *w, bool *ret_outdated)
{
    struct arena arena;
    struct slice stored = SLICE_EMPTY;
    bool found = false;
    *ret_outdated = false;
    if (w->table->index_count < 2) {
        return ERR_OK;
    }
    arena_init(&arena, NULL, w->ctx->mem, 0);
    db_err err = storage_get_outdated(w->ctx->txn, buf_slice(&w->key), &arena, w->ctx->diag,
                                      ret_outdated, &found, &stored);
    if (UNLIKELY(err == ERR_OK && *ret_outdated && found)) {
        err = hide_entries(w, stored, &arena);
    }
    arena_fini(&arena);
    return err;
}

db_err row_insert(struct row_writer *w, const struct value *row)
{
    bool outdated;
    /* MYSQL: the hidden row id is never a duplicate; the primary key is checked first. */
    unsigned blind = w->bulk ? NEW_ENTRY | STORAGE_W_BULK : NEW_ENTRY;
    TRY(put_row(w, row, w->table->has_primary ? insert_flags(w) : blind));
    if (!w->bulk) {
        TRY(hide_snapshot(w, &outdated));
    }
    for (uint32_t i = 1; i < w->table->index_count; i++) {
        TRY(put_entry(w, i, row));
    }
    return ERR_OK;
}

db_err row_delete(struct row_writer *w, const struct value *row)
{
    bool outdated;
    TRY(encode_row_key(w, row, &w->key));
    TRY(storage_del(w->ctx->txn, buf_slice(&w->key), STORAGE_W_LOCKED | bulk_flag(w),
                    w->ctx->diag));
    if (!w->bulk) { /* else the row is the snapshot's */
        TRY(hide_snapshot(w, &outdated));
    }
    for (uint32_t i = 1; i < w->table->index_count; i++) {
        TRY(del_entry(w, i, row));
    }
    return ERR_OK;
}

/* What only the old row has goes before what only the new one has comes. */
static db_err change_multi(struct row_writer *w, uint32_t i, const struct value *new_row,
                           const struct multi_entries *old, const struct multi_entries *new_entries,
                           bool always)
{
    for (uint32_t k = 0; k < old->count; k++) {
        if (multi_entries_find(new_entries, old->items[k].key) == NULL) {
            TRY(del_old(w, i, old->items[k].key, old->items[k].has_null));
        }
    }
    for (uint32_t k = 0; k < new_entries->count; k++) {
        const struct multi_entry *e = &new_entries->items[k];
        const struct multi_entry *was = multi_entries_find(old, e->key);
        bool unique = w->format->indexes[i].unique && !e->has_null;
        unsigned flags = unique ? STORAGE_W_INSERT : NEW_ENTRY | bulk_flag(w);
        if (was != NULL && !always && slice_eq(was->value, e->value)) {
            continue;
        }
        flags = was != NULL ? STORAGE_W_BLIND | bulk_flag(w) : flags;
        db_err err = storage_put(w->ctx->txn, e->key, e->value, flags, w->ctx->diag);
        TRY(err == ERR_KEY_EXISTS ? row_duplicate_error(w, i, new_row) : err);
    }
    return ERR_OK;
}

static db_err update_multi(struct row_writer *w, uint32_t i, const struct value *old,
                           const struct value *new_row, bool always)
{
    struct multi_entries a;
    struct multi_entries b;
    db_err err = multi_entries_init(&a, w->ctx->mem, w->table, i, old);
    db_err second = multi_entries_init(&b, w->ctx->mem, w->table, i, new_row);
    err = err != ERR_OK ? err : second;
    err = err != ERR_OK ? err : change_multi(w, i, new_row, &a, &b, always);
    multi_entries_fini(&a);
    multi_entries_fini(&b);
    return err;
}

static db_err update_entry(struct row_writer *w, uint32_t i, const struct value *old,
                           const struct value *new_row, bool always)
{
    bool old_null;
    bool new_null;
    if (is_multi(w, i)) {
        return update_multi(w, i, old, new_row, always);
    }
    TRY(encode_entry(w, i, old, &w->old_key, &w->old_value, &old_null));
    TRY(encode_entry(w, i, new_row, &w->key, &w->value, &new_null));
    if (slice_eq(buf_slice(&w->old_key), buf_slice(&w->key))) {
        if (!always && slice_eq(buf_slice(&w->old_value), buf_slice(&w->value))) {
            return ERR_OK;
        }
        return storage_put(w->ctx->txn, buf_slice(&w->key), buf_slice(&w->value),
                           STORAGE_W_BLIND | bulk_flag(w), w->ctx->diag);
    }
    bool unique = w->format->indexes[i].unique;
    ASSERT(!w->bulk || !unique);
    TRY(storage_del(w->ctx->txn, buf_slice(&w->old_key),
                    unique && !old_null ? 0 : STORAGE_W_BLIND | bulk_flag(w), w->ctx->diag));
    unsigned flags = unique && !new_null ? STORAGE_W_INSERT : NEW_ENTRY | bulk_flag(w);
    db_err err =
        storage_put(w->ctx->txn, buf_slice(&w->key), buf_slice(&w->value), flags, w->ctx->diag);
    return err == ERR_KEY_EXISTS ? row_duplicate_error(w, i, new_row) : err;
}

db_err row_update(struct row_writer *w, const struct value *old, const struct value *new_row,
                  const bool *touched)
{
    bool moved = false;
    if (touched == NULL || touched[0]) {
        TRY(encode_row_key(w, old, &w->old_key));
        TRY(encode_row_key(w, new_row, &w->key));
        moved = !slice_eq(buf_slice(&w->old_key), buf_slice(&w->key));
    }
    if (moved) {
        TRY(row_delete(w, old));
        return row_insert(w, new_row);
    }
    bool outdated = false;
    TRY(put_row(w, new_row, STORAGE_W_LOCKED | bulk_flag(w)));
    if (!w->bulk) {
        TRY(hide_snapshot(w, &outdated));
    }
    for (uint32_t i = 1; i < w->table->index_count; i++) {
        bool may_differ = touched == NULL || touched[i] || touched[0];
        if (may_differ || UNLIKELY(outdated)) {
            TRY(update_entry(w, i, old, new_row, outdated));
        }
    }
    return ERR_OK;
}

static db_err read_row(struct row_writer *w, struct slice key, struct arena *arena,
                       struct value *ret_old, bool *ret_found)
{
    struct slice stored;
    TRY(storage_get(w->ctx->txn, key, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, arena, w->ctx->diag,
                    ret_found, &stored));
    if (!*ret_found || ret_old == NULL) {
        return ERR_OK;
    }
    w->rows.strict = true; /* MYSQL: it is read for the statement, all of it */
    db_err err = decode_row(w, stored, arena, ret_old);
    w->rows.strict = false;
    return err;
}

/* The row that has a unique key, read for update; w->key becomes its key. */
static db_err row_of_key(struct row_writer *w, uint32_t i, struct slice key, struct arena *arena,
                         struct value *ret_old, bool *ret_found)
{
    const struct index_format *f = &w->format->indexes[i];
    struct slice value;
    struct index_entry entry;
    TRY(storage_get(w->ctx->txn, key, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, arena, w->ctx->diag,
                    ret_found, &value));
    if (!*ret_found) {
        return ERR_OK;
    }
    TRY(index_entry_parse(f, key, value, &entry));
    buf_reset(&w->old_key);
    TRY(row_key_from_pk(f, entry.pk_bytes, &w->old_key));
    buf_reset(&w->key);
    TRY(buf_append_slice(&w->key, buf_slice(&w->old_key)));
    return read_row(w, buf_slice(&w->key), arena, ret_old, ret_found);
}

static db_err multi_conflict(struct row_writer *w, uint32_t i, const struct value *row,
                             struct arena *arena, struct value *ret_old, bool *ret_found)
{
    struct multi_entries e;
    db_err err = multi_entries_init(&e, w->ctx->mem, w->table, i, row);
    for (uint32_t k = 0; k < e.count && err == ERR_OK && !*ret_found; k++) {
        if (!e.items[k].has_null) {
            err = row_of_key(w, i, e.items[k].key, arena, ret_old, ret_found);
        }
    }
    multi_entries_fini(&e);
    return err;
}

db_err row_find_conflict(struct row_writer *w, const struct value *row, struct arena *arena,
                         struct value *ret_old, int *ret_index)
{
    *ret_index = -1;
    for (uint32_t i = 0; i < w->table->index_count; i++) {
        const struct index_format *f = &w->format->indexes[i];
        bool null = false;
        bool found = false;
        if (!f->unique || (i == 0 && !w->table->has_primary)) {
            continue;
        }
        if (i == 0) {
            TRY(encode_row_key(w, row, &w->key));
            TRY(read_row(w, buf_slice(&w->key), arena, ret_old, &found));
        } else if (is_multi(w, i)) {
            TRY(multi_conflict(w, i, row, arena, ret_old, &found));
        } else {
            TRY(encode_entry(w, i, row, &w->key, &w->value, &null));
            TRY(null ? ERR_OK : row_of_key(w, i, buf_slice(&w->key), arena, ret_old, &found));
        }
        if (found) {
            *ret_index = (int)i;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

/* What a key of index `index` says of its columns; text whose key does not hold it reads as empty.
 */
static db_err values_of_key(struct row_writer *w, uint32_t index, struct slice key,
                            struct arena *arena, struct value *row)
{
    const struct index_format *f = &w->format->indexes[index];
    struct slice rest = slice_from(key, w->format->index_prefixes[index].len);
    for (uint32_t i = 0; i < f->column_count; i++) {
        struct value *v = &row[f->positions[i]];
        const struct sql_type *element = w->table->columns[f->positions[i]].element;
        if (element != NULL) {
            TRY(multi_of_key(&f->columns[i], element, &rest, arena, v));
        } else if (key_column_reversible(&f->columns[i])) {
            TRY(key_decode(&f->columns[i], &rest, arena, v));
        } else {
            TRY(key_skip(&f->columns[i], &rest));
            value_tag(v, &w->table->columns[f->positions[i]].type);
            v->is_null = false;
            v->str = SLICE_EMPTY;
        }
    }
    return ERR_OK;
}

static db_err row_under(struct row_writer *w, uint32_t index, struct slice key, struct arena *arena,
                        struct value *row, bool *ret_found)
{
    struct slice value;
    TRY(storage_get(w->ctx->txn, key, STORAGE_READ_PLAIN, STORAGE_WAIT, arena, w->ctx->diag,
                    ret_found, &value));
    if (*ret_found && index != 0) {
        struct index_entry entry;
        TRY(index_entry_parse(&w->format->indexes[index], key, value, &entry));
        buf_reset(&w->key);
        TRY(row_key_from_pk(&w->format->indexes[index], entry.pk_bytes, &w->key));
        TRY(storage_get(w->ctx->txn, buf_slice(&w->key), STORAGE_READ_PLAIN, STORAGE_WAIT, arena,
                        w->ctx->diag, ret_found, &value));
    }
    return *ret_found ? decode_row(w, value, arena, row) : ERR_OK;
}

db_err row_duplicate_key(struct row_writer *w, struct slice key)
{
    struct arena *arena = w->ctx->arena;
    struct value *row = ARENA_ARRAY(arena, struct value, w->table->column_count);
    bool found;
    if (row == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < w->table->index_count; i++) {
        if (slice_starts_with(key, w->format->index_prefixes[i])) {
            TRY(row_under(w, i, key, arena, row, &found));
            if (!found) {
                TRY(values_of_key(w, i, key, arena, row));
            }
            return row_duplicate_error(w, i, row);
        }
    }
    return ERR_KEY_EXISTS;
}

/* An integer within the range of an integer column is what it is. */
static bool assign_integer(const struct column_def *c, const struct value *v, struct value *ret)
{
    int64_t min;
    uint64_t max;
    if (v->phys != PHYS_INT || !type_is_integer(&c->type) || v->type == TYPE_ENUM ||
        v->type == TYPE_SET || v->type == TYPE_BIT) {
        return false;
    }
    type_int_range(&c->type, &min, &max);
    bool negative = !v->is_unsigned && v->i < 0;
    if (negative ? v->i < min : v->u > max) {
        return false;
    }
    value_tag(ret, &c->type);
    ret->i = v->i;
    return true;
}

static db_err assign(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                     const struct sql_type *type, const struct value *v, uint64_t number,
                     const struct value *before, struct value *row)
{
    const struct column_def *c = &t->columns[ordinal];
    if (v->is_null) {
        if (ctx->null_is_now && c->type.id == TYPE_TIMESTAMP && c->generated == GENERATED_NO &&
            (c->type.flags & TYPE_F_NOT_NULL) != 0) {
            return row_assign_now(ctx, t, ordinal, number, row);
        }
        value_set_null(&row[ordinal], &c->type);
        return ERR_OK; /* NOT NULL is checked on the whole row: AUTO_INCREMENT may replace it */
    }
    if (assign_integer(c, v, &row[ordinal])) {
        return ERR_OK;
    }
    char name[200];
    char table[200];
    size_t len = c->name.len < sizeof(name) ? c->name.len : sizeof(name) - 1;
    memcpy(name, c->name.ptr, len);
    name[len] = '\0';
    struct store_target target = {.column = name, .row = number, .before = before};
    if (c->type.id == TYPE_JSON) {
        snprintf(table, sizeof(table), "%.*s", SLICE_FMT(t->name));
        target.table = table;
    }
    struct cast_ctx cast = *ctx->eval.cast;
    cast.arena = ctx->arena;
    cast.strict = cast.strict && !ctx->ignore;
    return type_store(&cast, &c->type, &target, type, v, &row[ordinal]);
}

db_err row_assign(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                  const struct sql_type *type, const struct value *v, uint64_t number,
                  struct value *row)
{
    return assign(ctx, t, ordinal, type, v, number, NULL, row);
}

db_err row_reassign(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                    const struct sql_type *type, const struct value *v, uint64_t number,
                    struct value *row)
{
    return assign(ctx, t, ordinal, type, v, number, &row[ordinal], row);
}

db_err row_assign_now(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                      uint64_t number, struct value *row)
{
    const unsigned decimals = t->columns[ordinal].type.decimals;
    struct sql_type type = type_temporal(TYPE_DATETIME, TIME_DECIMALS_MAX);
    struct value now;
    value_tag(&now, &type);
    now.t = cast_now_local(ctx->eval.cast);
    bool whole = datetime_round(now.t, decimals, true, &now.t);
    ASSERT(whole); /* what is cut does not grow */
    return assign(ctx, t, ordinal, &type, &now, number, NULL, row);
}

db_err row_own(struct exec_ctx *ctx, struct value *v)
{
    return v->is_null || v->phys != PHYS_STR ? ERR_OK : arena_copy(ctx->arena, v->str, &v->str);
}

/* MYSQL: stored alike: 0 and -0 are not. */
static bool stored_alike(const struct value *a, const struct value *b)
{
    return a->phys == PHYS_DOUBLE ? memcmp(&a->d, &b->d, sizeof(a->d)) == 0
                                  : value_compare_same(a, b, NULL) == 0;
}

bool row_equal(const struct table_def *t, const struct value *a, const struct value *b)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].hidden) { /* a row's number, or what follows from the others */
            continue;
        }
        if (a[i].is_null != b[i].is_null) {
            return false;
        }
        if (!a[i].is_null && !stored_alike(&a[i], &b[i])) {
            return false;
        }
    }
    return true;
}
