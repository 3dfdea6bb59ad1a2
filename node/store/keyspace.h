/* Keys of the column families, and what the engine itself has to know of them.
 *
 * ENGINE_DATA: user key | big-endian ^commit_ts (8 bytes). The comparator of the family orders by
 * user key first and by the last 8 bytes second, so that any bytes may be user keys, one a prefix
 * of another or not, and versions of a key come newest first. Value: one byte of enum data_kind,
 * for the named kinds the transaction, then the row.
 * ENGINE_LOCK: user key, bytewise.
 * ENGINE_LOCAL: one byte of enum local_kind, then
 *   LOCAL_RANGE: range id (8 bytes, big-endian) | one byte of enum local_range_key or whatever
 *                node/range keeps there (0x80 and above)
 *   LOCAL_TXN:   user key | big-endian start_ts
 *   LOCAL_NODE:  node-wide state of node/range and node/meta
 * The formats are described in docs/formats/mvcc.md. */
#ifndef SKEIN_NODE_STORE_KEYSPACE_H
#define SKEIN_NODE_STORE_KEYSPACE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"
#include "node/store/key_order.h"
#include "node/store/varint.h"

enum data_kind {
    DATA_PUT = 'P',
    DATA_DELETE = 'D',
    /* The same, and then who wrote it: commit_ts - start_ts as a varint. */
    DATA_PUT_NAMED = 'p',
    DATA_DELETE_NAMED = 'd',
};

enum local_kind {
    LOCAL_NODE = 0x01,
    LOCAL_RANGE = 0x02,
    LOCAL_TXN = 0x03,
};

enum local_range_key {
    LOCAL_RANGE_APPLIED = 0x01, /* value: index, term (8 bytes each, big-endian) */
};

enum { LOCAL_RANGE_KEY_SIZE = 10 };

static inline void put_be64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}
static inline uint64_t get_be64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

/* The commit_ts and the user key of a data key (at least DATA_TS_SIZE long). */
static inline uint64_t data_key_ts(struct slice data_key)
{
    return ~get_be64(data_key.ptr + data_key.len - DATA_TS_SIZE);
}
static inline struct slice data_key_user(struct slice data_key)
{
    return (struct slice){data_key.ptr, data_key.len - DATA_TS_SIZE};
}

static inline bool data_is_delete(uint8_t kind)
{
    return kind == DATA_DELETE || kind == DATA_DELETE_NAMED;
}

/* Takes the value of a data key apart: is it a row, which, and how long before its commit_ts the
 * transaction that wrote it began, for the named kinds (else 0). False: it is none. */
static inline bool data_value_get(struct slice value, bool *ret_put, struct slice *ret_row,
                                  uint64_t *ret_age)
{
    if (value.len == 0) {
        return false;
    }
    const uint8_t *pos = value.ptr + 1;
    uint64_t age = 0;
    switch (value.ptr[0]) {
    case DATA_PUT:
    case DATA_DELETE: break;
    case DATA_PUT_NAMED:
    case DATA_DELETE_NAMED:
        if (!varint_get(&pos, value.ptr + value.len, &age)) {
            return false;
        }
        break;
    default: return false;
    }
    *ret_put = !data_is_delete(value.ptr[0]);
    *ret_row = slice_from(value, (size_t)(pos - value.ptr));
    *ret_age = age;
    return true;
}

/* The key of the version at ts. UINT64_MAX sorts before all versions of the user key. Memory from
 * the arena; ERR_NOMEM, ERR_LIMIT. Bounds of data ranges are data_key_make(a, key, UINT64_MAX). */
MUST_USE db_err data_key_make(struct arena *a, struct slice user_key, uint64_t ts,
                              struct slice *ret_key);
/* The same over a buffer's content. */
MUST_USE db_err data_key_set(struct buf *b, struct slice user_key, uint64_t ts);

/* The order of ENGINE_DATA. Keys shorter than DATA_TS_SIZE compare as bytes. */
static inline int data_key_cmp(struct slice a, struct slice b)
{
    return data_key_order(a.ptr, a.len, b.ptr, b.len);
}

/* A hash of a key for tables in memory; not stable between versions, never stored. */
static inline uint64_t key_hash(struct slice key)
{
    uint64_t h = 0x9e3779b97f4a7c15ull ^ key.len;
    const uint8_t *p = key.ptr;
    size_t n = key.len;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        h = (h ^ w) * 0xff51afd7ed558ccdull;
        h ^= h >> 32;
    }
    if (n != 0) {
        uint64_t w = 0;
        memcpy(&w, p, n);
        h = (h ^ w) * 0xc4ceb9fe1a85ec53ull;
    }
    h ^= h >> 29;
    h *= 0x94d049bb133111ebull;
    return h ^ h >> 32;
}

/* Writes LOCAL_RANGE_KEY_SIZE bytes. */
void local_range_key(uint8_t out[LOCAL_RANGE_KEY_SIZE], uint64_t range_id, uint8_t what);
MUST_USE db_err local_txn_key(struct arena *a, struct slice user_key, uint64_t start_ts,
                              struct slice *ret_key);

#endif
