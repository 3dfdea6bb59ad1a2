/* The payload of a proposal: the writes that evaluation came to, in a compact encoding of our own.
 *
 * Format (docs/formats/mvcc.md): a version byte, then per operation one byte (kind << 4 | family),
 * varint key length, key, and for a put or a range deletion varint value length and value (the end
 * of the range). The Raft log adds the checksum. Not thread-safe. */
#ifndef SKEIN_NODE_STORE_STORE_BATCH_H
#define SKEIN_NODE_STORE_STORE_BATCH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum engine_cf {
    ENGINE_DATA,  /* versions: data key -> kind byte, value. Ordered by user key, newest first */
    ENGINE_LOCK,  /* intents: user key -> intent */
    ENGINE_LOCAL, /* per-range state and transaction records */
    ENGINE_CF_COUNT
};

enum store_op_kind {
    STORE_PUT = 1,
    STORE_DELETE,
    STORE_SINGLE_DELETE, /* of a key that was put exactly once since it last did not exist */
    STORE_DELETE_RANGE,
};

enum { STORE_BATCH_SIZE_MAX = 64 << 20 }; /* one Raft entry */

struct store_batch {
    struct buf buf;
    uint32_t count;
};

struct store_op {
    enum store_op_kind kind;
    enum engine_cf cf;
    struct slice key;
    struct slice value; /* STORE_DELETE_RANGE: the end, exclusive */
};

void store_batch_init(struct store_batch *b);
void store_batch_fini(struct store_batch *b);
void store_batch_reset(struct store_batch *b); /* forgets the operations, keeps the memory */

/* ERR_LIMIT past STORE_BATCH_SIZE_MAX, ERR_NOMEM; the batch is then as before. */
MUST_USE db_err store_batch_put(struct store_batch *b, enum engine_cf cf, struct slice key,
                                struct slice value);
/* A put whose key and value are made of two parts each, so that the caller need not join them. */
MUST_USE db_err store_batch_put_parts(struct store_batch *b, enum engine_cf cf, struct slice key1,
                                      struct slice key2, struct slice value1, struct slice value2);
MUST_USE db_err store_batch_delete(struct store_batch *b, enum engine_cf cf, struct slice key);
MUST_USE db_err store_batch_single_delete(struct store_batch *b, enum engine_cf cf,
                                          struct slice key);
MUST_USE db_err store_batch_delete_range(struct store_batch *b, enum engine_cf cf,
                                         struct slice start, struct slice end);

/* The encoding, borrowed from the batch until its next change. Valid also when empty. */
struct slice store_batch_encoded(const struct store_batch *b);

/* Walks an encoding. Slices are borrowed from it. */
struct store_batch_reader {
    const uint8_t *pos;
    const uint8_t *end;
};
/* ERR_CORRUPT: unknown version. */
MUST_USE db_err store_batch_reader_init(struct store_batch_reader *r, struct slice encoded);
/* *ret_more = false at the end. ERR_CORRUPT: truncated or unknown operation. */
MUST_USE db_err store_batch_reader_next(struct store_batch_reader *r, bool *ret_more,
                                        struct store_op *ret_op);

#endif
