#include "node/store/keyspace.h"

db_err data_key_make(struct arena *a, struct slice user_key, uint64_t ts, struct slice *ret_key)
{
    uint8_t *p = arena_alloc(a, user_key.len + DATA_TS_SIZE);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    if (user_key.len != 0) {
        memcpy(p, user_key.ptr, user_key.len);
    }
    put_be64(p + user_key.len, ~ts);
    *ret_key = slice_of(p, user_key.len + DATA_TS_SIZE);
    return ERR_OK;
}

db_err data_key_set(struct buf *b, struct slice user_key, uint64_t ts)
{
    uint8_t suffix[DATA_TS_SIZE];
    put_be64(suffix, ~ts);
    buf_reset(b);
    TRY(buf_reserve(b, user_key.len + DATA_TS_SIZE));
    TRY(buf_append_slice(b, user_key));
    return buf_append(b, suffix, sizeof(suffix));
}

void local_range_key(uint8_t out[LOCAL_RANGE_KEY_SIZE], uint64_t range_id, uint8_t what)
{
    out[0] = LOCAL_RANGE;
    put_be64(out + 1, range_id);
    out[9] = what;
}

db_err local_txn_key(struct arena *a, struct slice user_key, uint64_t start_ts,
                     struct slice *ret_key)
{
    uint8_t *p = arena_alloc(a, 1 + user_key.len + 8);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    p[0] = LOCAL_TXN;
    if (user_key.len != 0) {
        memcpy(p + 1, user_key.ptr, user_key.len);
    }
    put_be64(p + 1 + user_key.len, start_ts);
    *ret_key = slice_of(p, 1 + user_key.len + 8);
    return ERR_OK;
}
