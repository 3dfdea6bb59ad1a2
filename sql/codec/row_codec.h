/* The compact row format: what a row's value in the store holds. docs/formats/row.md.
 *
 *     version | id bitmap length | bitmap of column ids | null bitmap | fixed-width values |
 * offsets | bytes
 *
 * Column ids are given once and never used again; a column whose id is not in a row's bitmap was
 * added later, and reads as its `absent` value. What changes a column's stored form gives it a new
 * id. Rows of the current layout are decoded by precomputed offsets; older ones take a slower path
 * that walks their bitmap.
 *
 * A struct row_layout is immutable after row_layout_new and may be shared between threads. */
#ifndef SKEIN_SQL_CODEC_ROW_CODEC_H
#define SKEIN_SQL_CODEC_ROW_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sql/types/type.h"
#include "sql/types/value.h"
#include "sql/types/vector.h"

enum { ROW_FORMAT_VERSION = 1, ROW_COLUMNS_MAX = 4096, ROW_COLUMN_ID_MAX = 65535 };

struct row_column {
    uint32_t id; /* 1..ROW_COLUMN_ID_MAX, unique within the table for ever */
    struct sql_type type;
    struct value
        absent; /* for rows written before the column was added (its default then, or NULL) */
    /* Not in use by new rows: dropped columns stay in the layout as long as old rows may hold them,
     * so that their bytes can be stepped over. They read as `absent`. */
    bool dropped;
};

struct row_layout;

/* Columns in any order; position i is how the other functions name it. Everything is copied into
 * the arena, whose owner keeps it as long as the layout. Errors: ERR_INVALID (ids twice or out of
 * range), ERR_LIMIT, ERR_NOMEM. */
MUST_USE db_err row_layout_new(struct arena *arena, const struct row_column *columns,
                               uint32_t count, const struct row_layout **ret_layout);
uint32_t row_layout_count(const struct row_layout *l);
const struct row_column *row_layout_column(const struct row_layout *l, uint32_t position);

/* Appends a row. values[i] belongs to position i, has the column's physical kind (type_store made
 * it); dropped columns' values are not looked at. ERR_LIMIT, ERR_NOMEM. */
MUST_USE db_err row_encode(const struct row_layout *l, const struct value *values, struct buf *out);
/* The same from row `row` of vectors[position]; NULL vector pointers for dropped columns. */
MUST_USE db_err row_encode_vectors(const struct row_layout *l, const struct vector *const *vectors,
                                   uint32_t row, struct buf *out);

/* What to read: made once per scan. */
struct row_reader;
/* positions[k] goes to vectors[k] of row_read. ERR_NOMEM. */
MUST_USE db_err row_reader_new(struct arena *arena, const struct row_layout *l,
                               const uint32_t *positions, uint32_t count,
                               struct row_reader **ret_reader);
/* Decodes the wanted columns of one stored row into vectors[k] at row index `row`. copy: bytes
 * longer than 12 are copied to the vector's arena, else they borrow `stored`. Errors: ERR_CORRUPT,
 * ERR_UNSUPPORTED (a later format version), ERR_NOMEM. */
MUST_USE db_err row_read(struct row_reader *r, struct slice stored, struct vector *const *vectors,
                         uint32_t row, bool copy);
/* The same for one row into values (text borrows `stored`). */
MUST_USE db_err row_read_values(struct row_reader *r, struct slice stored, struct value *values);

#endif
