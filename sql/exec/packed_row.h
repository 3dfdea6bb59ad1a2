/* Rows as operators keep them: one piece of bytes per row, without pointers, so that a row can be
 * copied, written to a file and read back as it is.
 *
 *     head | null bits | one slot per column, 8-aligned | bytes of strings
 *
 * Integers, doubles and times take 8 bytes, decimals their struct, a string its offset from the
 * row's beginning and its length. A row is 8-aligned and its size a multiple of 8. Nothing here
 * parks. */
#ifndef SKEIN_SQL_EXEC_PACKED_ROW_H
#define SKEIN_SQL_EXEC_PACKED_ROW_H

#include "sql/charset/charset.h"
#include "sql/types/vector.h"

struct packed_row {
    uint32_t size; /* of all, this head included */
    uint32_t mark; /* the operator's: a join's "has met a partner", a count ... */
    uint64_t hash; /* the operator's: hash of its key columns, or a sort prefix */
};

struct packed_column {
    uint32_t at; /* of the slot */
    uint8_t phys;
    bool is_unsigned;
    const struct sql_type *type;
    const struct collation *collation; /* NULL: bytes */
};

struct packed_format {
    uint32_t column_count;
    uint32_t fixed_size; /* head, null bits and slots */
    bool has_strings;
    struct packed_column *columns;
};

/* The types outlive the format. */
MUST_USE db_err packed_format_init(struct packed_format *f, const struct sql_type *const *types,
                                   uint32_t count, struct arena *arena);

/* Bytes that row `row` of the vectors takes. */
size_t packed_size(const struct packed_format *f, struct vector *const *vectors, uint32_t row);
/* Writes it (size from packed_size, `out` 8-aligned); mark and hash are 0. */
void packed_write(const struct packed_format *f, struct vector *const *vectors, uint32_t row,
                  size_t size, struct packed_row *out);
/* Column `column` of rows[0..n) to dst[at..at+n). A NULL row gives NULL. Strings borrow the rows.
 */
void packed_read(const struct packed_format *f, const struct packed_row *const *rows, uint32_t n,
                 uint32_t column, struct vector *dst, uint32_t at);

static inline bool packed_is_null(const struct packed_row *r, uint32_t column)
{
    const uint8_t *nulls = (const uint8_t *)(r + 1);
    return (nulls[column >> 3] >> (column & 7) & 1) != 0;
}
static inline int64_t packed_i64(const struct packed_format *f, const struct packed_row *r,
                                 uint32_t column)
{
    int64_t v;
    memcpy(&v, (const uint8_t *)r + f->columns[column].at, sizeof(v));
    return v;
}

/* A string's bytes, borrowed from the row; not NULL. */
struct slice packed_str(const struct packed_format *f, const struct packed_row *r, uint32_t column);

/* < 0, 0, > 0; NULL is the lowest and equals NULL. */
int packed_compare(const struct packed_format *f, uint32_t column, const struct packed_row *a,
                   const struct packed_row *b);
/* The same with the left side in a vector of the column's type. */
int packed_compare_vector(const struct packed_format *f, uint32_t column, const struct vector *a,
                          uint32_t row, const struct packed_row *b);
bool packed_equal_vectors(const struct packed_format *f, uint32_t count,
                          struct vector *const *vectors, uint32_t row, const struct packed_row *b);

/* Hashes of the first `count` columns for n rows (sel as in a chunk): equal keys, equal hashes. */
void packed_hash(const struct packed_format *f, uint32_t count, struct vector *const *vectors,
                 const uint16_t *sel, uint32_t n, uint64_t *out);

#endif
