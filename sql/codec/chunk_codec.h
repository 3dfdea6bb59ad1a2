/* Chunks as bytes, column by column: how rows travel between nodes.
 *
 *     u32 rows | u16 columns | columns
 *     column: u8 physical kind | u8 flags | [NULL bits, a word for 64 rows] | values
 *
 * Values of integers, times and doubles are 8 bytes each, little endian. A decimal is u8 limbs, u8
 * scale, u8 sign, then its limbs. Text is the u32 lengths of all rows, then their bytes. A constant
 * column has one value. What lies in a NULL row is zero. Pages are chunks one after the other. Both
 * ends run the same program on the same kind of machine: the format is not kept anywhere. Pure. */
#ifndef SKEIN_SQL_CODEC_CHUNK_CODEC_H
#define SKEIN_SQL_CODEC_CHUNK_CODEC_H

#include "base/buf.h"
#include "sql/types/vector.h"

/* Appends the chunk's logical rows. ERR_LIMIT, ERR_NOMEM. */
MUST_USE db_err chunk_encode(const struct chunk *c, struct buf *out);

/* Takes one chunk from the front of *io into `out`, which has been initialised (chunk_init) with
 * room for CHUNK_ROWS and whose columns' types say what is expected; text longer than 12 bytes
 * borrows *io. ERR_CORRUPT: malformed, or other columns than out has. */
MUST_USE db_err chunk_decode(struct slice *io, struct chunk *out);

#endif
