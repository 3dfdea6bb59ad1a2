/* Where tables live in the key space: keyspace tag | table id | index id | key columns.
 * docs/formats/key.md.
 *
 * Ids are ordered varints (1 byte up to 240), so that prefixes are short, sort by number, and no
 * prefix is the beginning of another id's prefix. Index 0 is the table's rows (clustered by the
 * primary key), 1.. are secondary indexes. Pure. */
#ifndef SKEIN_SQL_CODEC_TABLE_KEYS_H
#define SKEIN_SQL_CODEC_TABLE_KEYS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum { KEYSPACE_TABLE = 0x02 }; /* below: the system's (system_keys.h) */
enum { INDEX_ID_ROWS = 1 };

/* Appends an ordered, prefix-free varint: 1 to 9 bytes. */
MUST_USE db_err key_append_varint(struct buf *out, uint64_t v);
/* Takes one from the front of *io. ERR_CORRUPT. */
MUST_USE db_err key_take_varint(struct slice *io, uint64_t *ret);

MUST_USE db_err table_key_prefix(struct buf *out, uint64_t table_id);
MUST_USE db_err index_key_prefix(struct buf *out, uint64_t table_id, uint64_t index_id);
/* *ret_rest: the key columns (borrows key). ERR_CORRUPT when the key is none of a table. */
MUST_USE db_err index_key_parse(struct slice key, uint64_t *ret_table_id, uint64_t *ret_index_id,
                                struct slice *ret_rest);
/* Turns the prefix in *b into the smallest key above all keys that begin with it (the exclusive end
 * of its range); empties *b when there is none (a prefix of only 0xff). */
void key_prefix_end(struct buf *b);

#endif
