#include "sql/codec/index_codec.h"

#include "base/assert.h"

static db_err append_columns(const struct key_column *columns, const uint32_t *positions,
                             uint32_t count, const struct value *values, struct buf *out,
                             bool *ret_has_null)
{
    bool has_null = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct value *v = &values[positions[i]];
        has_null |= v->is_null;
        TRY(key_encode(&columns[i], v, out));
    }
    if (ret_has_null != NULL) {
        *ret_has_null = has_null;
    }
    return ERR_OK;
}

static db_err append_pk(const struct index_format *def, const struct value *values, struct buf *out)
{
    return append_columns(def->pk_columns, def->pk_positions, def->pk_count, values, out, NULL);
}

db_err row_key_encode(const struct index_format *pk, const struct value *values,
                      struct buf *out_key)
{
    TRY(index_key_prefix(out_key, pk->table_id, INDEX_ID_ROWS));
    return append_pk(pk, values, out_key);
}

db_err index_unique_key_encode(const struct index_format *def, const struct value *values,
                               struct buf *out_key, bool *ret_has_null)
{
    TRY(index_key_prefix(out_key, def->table_id, def->index_id));
    return append_columns(def->columns, def->positions, def->column_count, values, out_key,
                          ret_has_null);
}

static db_err append_stored(const struct index_format *def, const struct value *values,
                            struct buf *out_value)
{
    if (def->stored == NULL) {
        return ERR_OK;
    }
    uint32_t count = row_layout_count(def->stored);
    if (count > INDEX_STORED_MAX) {
        return ERR_LIMIT;
    }
    struct value stored[INDEX_STORED_MAX];
    for (uint32_t i = 0; i < count; i++) {
        stored[i] = values[def->stored_positions[i]];
    }
    return row_encode(def->stored, stored, out_value);
}

db_err index_entry_encode(const struct index_format *def, const struct value *values,
                          struct buf *out_key, struct buf *out_value, bool *ret_has_null)
{
    bool has_null;
    TRY(index_unique_key_encode(def, values, out_key, &has_null));
    if (!def->unique || has_null) {
        TRY(append_pk(def, values, out_key));
    }
    if (def->unique) {
        /* The length stands before the bytes: encode behind a gap of the usual one byte. */
        size_t start = out_value->len;
        TRY(buf_append_u8(out_value, 0));
        TRY(append_pk(def, values, out_value));
        size_t len = out_value->len - start - 1;
        if (len <= INDEX_PK_SHORT_MAX) {
            out_value->ptr[start] = (uint8_t)len;
        } else {
            struct buf whole;
            buf_init(&whole, out_value->max);
            db_err err = key_append_varint(&whole, len);
            if (err == ERR_OK) {
                err = buf_append(&whole, out_value->ptr + start + 1, len);
            }
            if (err == ERR_OK) {
                out_value->len = start;
                err = buf_append_slice(out_value, buf_slice(&whole));
            }
            buf_fini(&whole);
            TRY(err);
        }
    }
    TRY(append_stored(def, values, out_value));
    *ret_has_null = has_null;
    return ERR_OK;
}

db_err index_entry_parse(const struct index_format *def, struct slice key, struct slice value,
                         struct index_entry *ret)
{
    uint64_t table_id;
    uint64_t index_id;
    struct slice rest;
    TRY(index_key_parse(key, &table_id, &index_id, &rest));
    if (table_id != def->table_id || index_id != def->index_id) {
        return ERR_CORRUPT;
    }
    struct index_entry e = {.columns = rest, .stored = value};
    for (uint32_t i = 0; i < def->column_count; i++) {
        TRY(key_skip(&def->columns[i], &rest));
    }
    e.columns.len -= rest.len;
    e.pk_bytes = rest;
    if (def->unique) {
        uint64_t len;
        TRY(key_take_varint(&value, &len));
        if (len > value.len || (rest.len != 0 && rest.len != len)) {
            return ERR_CORRUPT;
        }
        e.pk_bytes = slice_of(value.ptr, (size_t)len);
        e.stored = slice_from(value, (size_t)len);
    }
    *ret = e;
    return ERR_OK;
}

db_err row_key_from_pk(const struct index_format *def, struct slice pk_bytes, struct buf *out_key)
{
    TRY(index_key_prefix(out_key, def->table_id, INDEX_ID_ROWS));
    return buf_append_slice(out_key, pk_bytes);
}
