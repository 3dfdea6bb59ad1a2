/* Keys and values of rows and of secondary indexes. docs/formats/key.md.
 *
 *     row:                     prefix(table, 1) | primary key columns               → row
 * (row_codec.h) unique, no NULL in it:   prefix(table, index) | columns                       → pk
 * length | pk bytes | stored columns unique with a NULL:      prefix(table, index) | columns |
 * primary key columns → the same not unique:              prefix(table, index) | columns | primary
 * key columns → stored columns
 *
 * "pk bytes" are the encoded primary key columns, ready to be put behind prefix(table, 1). Stored
 * columns are a row of their own (those columns that a covering read needs and the key cannot give
 * back), empty when there are none. */
#ifndef SKEIN_SQL_CODEC_INDEX_CODEC_H
#define SKEIN_SQL_CODEC_INDEX_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "sql/codec/key_codec.h"
#include "sql/codec/row_codec.h"
#include "sql/codec/table_keys.h"

enum {
    INDEX_COLUMNS_MAX = 16,
    INDEX_KEY_BYTES_MAX = 3072,
    INDEX_STORED_MAX = 64,
    INDEX_PK_SHORT_MAX = 240
};

/* Immutable once filled; pointers belong to the catalog. A table without a primary key has one of a
 * hidden column. */
struct index_format {
    uint64_t table_id;
    uint64_t index_id;
    bool unique;
    uint32_t column_count;
    const struct key_column *columns;
    const uint32_t *positions; /* columns[i] is position i of the table's row_layout */
    uint32_t pk_count;
    const struct key_column *pk_columns;
    const uint32_t *pk_positions;
    const struct row_layout *stored;  /* NULL: none */
    const uint32_t *stored_positions; /* position in the table of each stored column */
};

/* Appends the key of a row from its primary key's def (index_id INDEX_ID_ROWS); values by table
 * position. */
MUST_USE db_err row_key_encode(const struct index_format *pk, const struct value *values,
                               struct buf *out_key);
/* Appends key and value of a secondary index entry. The bufs may hold something already; the key is
 * whole then. *ret_has_null: a column of the index is NULL (no uniqueness check is due). */
MUST_USE db_err index_entry_encode(const struct index_format *def, const struct value *values,
                                   struct buf *out_key, struct buf *out_value, bool *ret_has_null);
/* The part of a unique key that must be unique: prefix and columns only (NULLs included). */
MUST_USE db_err index_unique_key_encode(const struct index_format *def, const struct value *values,
                                        struct buf *out_key, bool *ret_has_null);

struct index_entry {
    struct slice columns;  /* encoded key columns */
    struct slice pk_bytes; /* encoded primary key columns */
    struct slice stored;   /* stored columns' row, maybe empty */
};
/* Splits an entry; everything borrows key and value. ERR_CORRUPT. */
MUST_USE db_err index_entry_parse(const struct index_format *def, struct slice key,
                                  struct slice value, struct index_entry *ret);
/* Appends prefix(table, 1) and the pk bytes: the row's key. */
MUST_USE db_err row_key_from_pk(const struct index_format *def, struct slice pk_bytes,
                                struct buf *out_key);

#endif
