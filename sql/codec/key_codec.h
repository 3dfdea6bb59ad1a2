/* Memory-comparable encoding of key columns: memcmp order of the bytes is the order of the values.
 *
 * Each column's encoding delimits itself and is prefix-free: no value's encoding is the beginning
 * of another's, so that columns can be put one after the other and no complete key is a proper
 * prefix of another complete key. A nullable column has a marker byte before it (NULL first). A
 * descending column has all its bytes inverted, marker included (NULL last). Text is encoded by its
 * collation's weights; only bytewise collations can be decoded. docs/formats/key.md.
 *
 * Values given must have the column's physical kind (they went through type_store). Pure. */
#ifndef SKEIN_SQL_CODEC_KEY_CODEC_H
#define SKEIN_SQL_CODEC_KEY_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sql/charset/charset.h"
#include "sql/types/type.h"
#include "sql/types/value.h"
#include "sql/types/vector.h"

/* One key part, prepared once per index by key_column_init. Copy freely; type outlives it. */
struct key_column {
    const struct sql_type *type;
    const struct collation *collation; /* text only */
    uint32_t prefix_length; /* KEY (c(10)): characters (text) or bytes; 0 = the whole value */
    bool desc;
    bool nullable;      /* fixed when the index is made: the format depends on it */
    uint8_t encoding;   /* internal */
    uint8_t fixed_size; /* bytes without the marker when every value takes the same, else 0 */
};

/* Errors: ERR_UNSUPPORTED for a type that cannot be a key (JSON, GEOMETRY, VECTOR; text whose
 * collation has no weights). */
MUST_USE db_err key_column_init(struct key_column *kc, const struct sql_type *type,
                                uint32_t prefix_length, bool desc, bool nullable);

/* Append one value. Errors: ERR_NOMEM, ERR_LIMIT of the buf. */
MUST_USE db_err key_encode(const struct key_column *kc, const struct value *v, struct buf *out);
MUST_USE db_err key_encode_row(const struct key_column *kc, const struct vector *vec, uint32_t row,
                               struct buf *out);
MUST_USE db_err key_encode_null(const struct key_column *kc, struct buf *out);

/* Can the value be had back from the key? (No prefix, and a number, a temporal, or bytewise text.)
 */
bool key_column_reversible(const struct key_column *kc);
/* Take one value from the front of *io. Text borrows from *io or lies in the arena. ERR_CORRUPT;
 * ERR_UNSUPPORTED when not reversible. */
MUST_USE db_err key_decode(const struct key_column *kc, struct slice *io, struct arena *arena,
                           struct value *ret);
/* As key_decode, into a row of a vector (text goes to its arena). */
MUST_USE db_err key_decode_row(const struct key_column *kc, struct slice *io, struct vector *vec,
                               uint32_t row);
/* Steps over one value of any kind. ERR_CORRUPT. */
MUST_USE db_err key_skip(const struct key_column *kc, struct slice *io);

/* For range bounds: the order of the bytes of `a` and `b` is that of slice_cmp. A range over the
 * first n columns is [encode(n columns), key_prefix_end(encode(n columns))). */

#endif
