/* Private to proto: writing and reading payloads, and protobuf with the memory of an arena. */
#ifndef SKEIN_PROTO_CODEC_INT_H
#define SKEIN_PROTO_CODEC_INT_H

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"
#include "proto/kv.pb-c.h"
#include "proto/kv_api.h"

/* ---- payload: little-endian numbers, slices as u32 length and bytes ---- */

MUST_USE static inline db_err put_u32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    return buf_append(b, bytes, sizeof(bytes));
}

MUST_USE static inline db_err put_u64(struct buf *b, uint64_t v)
{
    TRY(put_u32(b, (uint32_t)v));
    return put_u32(b, (uint32_t)(v >> 32));
}

MUST_USE static inline db_err put_slice(struct buf *b, struct slice s)
{
    if (s.len > UINT32_MAX) {
        return ERR_LIMIT;
    }
    TRY(put_u32(b, (uint32_t)s.len));
    return buf_append_slice(b, s);
}

MUST_USE static inline db_err put_slices(struct buf *b, const struct slice *s, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        TRY(put_slice(b, s[i]));
    }
    return ERR_OK;
}

/* Reads of what is not there give zeros and set `bad`, which is asked once at the end. */
struct reader {
    const uint8_t *pos;
    const uint8_t *end;
    bool bad;
};

static inline const uint8_t *take_bytes(struct reader *r, size_t n)
{
    if (UNLIKELY((size_t)(r->end - r->pos) < n)) {
        r->bad = true;
        r->pos = r->end;
        return NULL;
    }
    const uint8_t *p = r->pos;
    r->pos += n;
    return p;
}

static inline uint8_t take_u8(struct reader *r)
{
    const uint8_t *p = take_bytes(r, 1);
    return p == NULL ? 0 : *p;
}

static inline uint32_t take_u32(struct reader *r)
{
    const uint8_t *p = take_bytes(r, 4);
    return p == NULL
               ? 0
               : (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t take_u64(struct reader *r)
{
    uint64_t lo = take_u32(r);
    return lo | (uint64_t)take_u32(r) << 32;
}

static inline struct slice take_slice(struct reader *r)
{
    size_t n = take_u32(r);
    const uint8_t *p = take_bytes(r, n);
    return p == NULL ? SLICE_EMPTY : slice_of(p, n);
}

static inline struct reader reader_of(struct slice payload)
{
    return (struct reader){payload.ptr, payload.ptr + payload.len, false};
}

/* All has been read, and nothing beyond. */
MUST_USE static inline db_err reader_end(const struct reader *r)
{
    return r->bad || r->pos != r->end ? ERR_CORRUPT : ERR_OK;
}

/* An array of slices, each of which takes at least 4 bytes: what a count claims is checked against
 * what is there before memory is taken. */
MUST_USE db_err take_slices(struct reader *r, size_t count, struct arena *arena,
                            const struct slice **ret_slices);

/* ---- protobuf ---- */

MUST_USE db_err message_put(const ProtobufCMessage *m, struct buf *b);
/* NULL: malformed, or memory is out. All of it is in the arena. */
ProtobufCMessage *message_take(const ProtobufCMessageDescriptor *d, struct slice bytes,
                               struct arena *arena);

static inline ProtobufCBinaryData proto_bytes(struct slice s)
{
    return (ProtobufCBinaryData){s.len, (uint8_t *)(uintptr_t)s.ptr};
}
static inline struct slice proto_slice(ProtobufCBinaryData d)
{
    return slice_of(d.data, d.len);
}

/* count messages and the array of pointers to them, in the arena; keys are borrowed. */
MUST_USE db_err proto_ranges(const struct range_desc *descs, unsigned count, struct arena *arena,
                             Skein__Kv__Range ***ret_ranges);
/* Keys are those of the messages. ERR_CORRUPT, ERR_NOMEM. */
MUST_USE db_err proto_ranges_take(Skein__Kv__Range *const *ranges, size_t count,
                                  struct arena *arena, struct range_desc **ret_descs);

#endif
