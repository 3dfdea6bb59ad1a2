#include "sql/codec/table_keys.h"

#include <string.h>

/* First byte 0..240: the value itself. 241..248: two bytes, to 2287. 249: three bytes, to 67823.
 * 250..255: the number of big-endian bytes that follow is first - 247 (3..8). Longer forms begin
 * with larger first bytes and no form is used for what a shorter one can say, so bytes sort as
 * numbers. */
db_err key_append_varint(struct buf *out, uint64_t v)
{
    uint8_t b[9];
    unsigned n;
    if (v <= 240) {
        b[0] = (uint8_t)v;
        n = 1;
    } else if (v <= 2287) {
        b[0] = (uint8_t)(241 + (v - 240) / 256);
        b[1] = (uint8_t)((v - 240) % 256);
        n = 2;
    } else if (v <= 67823) {
        b[0] = 249;
        b[1] = (uint8_t)((v - 2288) >> 8);
        b[2] = (uint8_t)(v - 2288);
        n = 3;
    } else {
        unsigned bytes = 3;
        while (bytes < 8 && v >> (8 * bytes) != 0) {
            bytes++;
        }
        b[0] = (uint8_t)(247 + bytes);
        for (unsigned i = 0; i < bytes; i++) {
            b[1 + i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
        }
        n = 1 + bytes;
    }
    return buf_append(out, b, n);
}

db_err key_take_varint(struct slice *io, uint64_t *ret)
{
    if (io->len == 0) {
        return ERR_CORRUPT;
    }
    const uint8_t *p = io->ptr;
    unsigned n = p[0] <= 240 ? 1 : p[0] <= 248 ? 2 : p[0] == 249 ? 3 : (unsigned)p[0] - 246;
    if (io->len < n) {
        return ERR_CORRUPT;
    }
    uint64_t v = 0;
    if (n == 1) {
        v = p[0];
    } else if (n == 2) {
        v = 240 + 256 * (uint64_t)(p[0] - 241) + p[1];
    } else if (p[0] == 249) {
        v = 2288 + ((uint64_t)p[1] << 8) + p[2];
    } else {
        for (unsigned i = 1; i < n; i++) {
            v = v << 8 | p[i];
        }
    }
    *ret = v;
    *io = slice_from(*io, n);
    return ERR_OK;
}

db_err table_key_prefix(struct buf *out, uint64_t table_id)
{
    TRY(buf_append_u8(out, KEYSPACE_TABLE));
    return key_append_varint(out, table_id);
}

db_err index_key_prefix(struct buf *out, uint64_t table_id, uint64_t index_id)
{
    TRY(table_key_prefix(out, table_id));
    return key_append_varint(out, index_id);
}

db_err index_key_parse(struct slice key, uint64_t *ret_table_id, uint64_t *ret_index_id,
                       struct slice *ret_rest)
{
    uint64_t table_id;
    uint64_t index_id;
    if (key.len == 0 || key.ptr[0] != KEYSPACE_TABLE) {
        return ERR_CORRUPT;
    }
    key = slice_from(key, 1);
    TRY(key_take_varint(&key, &table_id));
    TRY(key_take_varint(&key, &index_id));
    *ret_table_id = table_id;
    *ret_index_id = index_id;
    *ret_rest = key;
    return ERR_OK;
}

void key_prefix_end(struct buf *b)
{
    b->len = prefix_end(b->ptr, b->len);
}
