#include "node/store/store_batch.h"

#include "base/assert.h"
#include "node/store/varint.h"

enum { FORMAT_VERSION = 1 };

static const uint8_t empty_encoding[1] = {FORMAT_VERSION};

void store_batch_init(struct store_batch *b)
{
    buf_init(&b->buf, STORE_BATCH_SIZE_MAX);
    b->count = 0;
}

void store_batch_fini(struct store_batch *b)
{
    buf_fini(&b->buf);
}

void store_batch_reset(struct store_batch *b)
{
    buf_reset(&b->buf);
    b->count = 0;
}

static uint8_t *append_part(uint8_t *p, struct slice s)
{
    if (s.len != 0) {
        memcpy(p, s.ptr, s.len);
    }
    return p + s.len;
}

static db_err append(struct store_batch *b, enum store_op_kind kind, enum engine_cf cf,
                     const struct slice key[2], const struct slice *value)
{
    size_t key_len = key[0].len + key[1].len;
    size_t value_len = value == NULL ? 0 : value[0].len + value[1].len;
    ASSERT(cf < ENGINE_CF_COUNT);
    if (key_len > STORE_BATCH_SIZE_MAX || value_len > STORE_BATCH_SIZE_MAX) {
        return ERR_LIMIT;
    }
    TRY(buf_reserve(&b->buf, 2 + 2 * VARINT_MAX + key_len + value_len));
    uint8_t *p = b->buf.ptr + b->buf.len;
    if (b->buf.len == 0) {
        *p++ = FORMAT_VERSION;
    }
    *p++ = (uint8_t)((unsigned)kind << 4 | (unsigned)cf);
    p += varint_put(p, key_len);
    p = append_part(append_part(p, key[0]), key[1]);
    if (value != NULL) {
        p += varint_put(p, value_len);
        p = append_part(append_part(p, value[0]), value[1]);
    }
    b->buf.len = (size_t)(p - b->buf.ptr);
    b->count++;
    return ERR_OK;
}

db_err store_batch_put_parts(struct store_batch *b, enum engine_cf cf, struct slice key1,
                             struct slice key2, struct slice value1, struct slice value2)
{
    return append(b, STORE_PUT, cf, (struct slice[2]){key1, key2},
                  (struct slice[2]){value1, value2});
}

db_err store_batch_put(struct store_batch *b, enum engine_cf cf, struct slice key,
                       struct slice value)
{
    return store_batch_put_parts(b, cf, key, SLICE_EMPTY, value, SLICE_EMPTY);
}

db_err store_batch_delete(struct store_batch *b, enum engine_cf cf, struct slice key)
{
    return append(b, STORE_DELETE, cf, (struct slice[2]){key, SLICE_EMPTY}, NULL);
}

db_err store_batch_single_delete(struct store_batch *b, enum engine_cf cf, struct slice key)
{
    return append(b, STORE_SINGLE_DELETE, cf, (struct slice[2]){key, SLICE_EMPTY}, NULL);
}

db_err store_batch_delete_range(struct store_batch *b, enum engine_cf cf, struct slice start,
                                struct slice end)
{
    return append(b, STORE_DELETE_RANGE, cf, (struct slice[2]){start, SLICE_EMPTY},
                  (struct slice[2]){end, SLICE_EMPTY});
}

struct slice store_batch_encoded(const struct store_batch *b)
{
    return b->buf.len == 0 ? slice_of(empty_encoding, sizeof(empty_encoding)) : buf_slice(&b->buf);
}

db_err store_batch_reader_init(struct store_batch_reader *r, struct slice encoded)
{
    if (encoded.len == 0 || encoded.ptr[0] != FORMAT_VERSION) {
        return ERR_CORRUPT;
    }
    r->pos = encoded.ptr + 1;
    r->end = encoded.ptr + encoded.len;
    return ERR_OK;
}

static bool read_slice(const uint8_t **pos, const uint8_t *end, struct slice *ret)
{
    uint64_t len;
    if (!varint_get(pos, end, &len) || len > (uint64_t)(end - *pos)) {
        return false;
    }
    *ret = slice_of(*pos, (size_t)len);
    *pos += len;
    return true;
}

db_err store_batch_reader_next(struct store_batch_reader *r, bool *ret_more,
                               struct store_op *ret_op)
{
    if (r->pos == r->end) {
        *ret_more = false;
        return ERR_OK;
    }
    const uint8_t *pos = r->pos;
    uint8_t head = *pos++;
    struct store_op op = {.kind = (enum store_op_kind)(head >> 4),
                          .cf = (enum engine_cf)(head & 0x0f)};
    if (op.kind < STORE_PUT || op.kind > STORE_DELETE_RANGE || op.cf >= ENGINE_CF_COUNT ||
        !read_slice(&pos, r->end, &op.key)) {
        return ERR_CORRUPT;
    }
    if (op.kind == STORE_PUT || op.kind == STORE_DELETE_RANGE) {
        if (!read_slice(&pos, r->end, &op.value)) {
            return ERR_CORRUPT;
        }
    }
    if (op.cf == ENGINE_DATA && op.kind != STORE_DELETE_RANGE && op.key.len < 8) {
        return ERR_CORRUPT; /* the engine relies on the timestamp being there */
    }
    r->pos = pos;
    *ret_more = true;
    *ret_op = op;
    return ERR_OK;
}
