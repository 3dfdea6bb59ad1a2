/* Reads the fields of a payload with a check at each step: bytes of a client are never trusted.
 *
 * A read past the end sets `bad`, returns zero or an empty slice and leaves the position at the
 * end, so that a parser may read everything first and look at `bad` once. Slices borrow from the
 * payload. */
#ifndef SKEIN_WIRE_NET_READER_H
#define SKEIN_WIRE_NET_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct reader {
    const uint8_t *pos;
    const uint8_t *end;
    bool bad;
};

static inline struct reader reader_of(struct slice s)
{
    static const uint8_t nothing[1];
    const uint8_t *p = s.ptr == NULL ? nothing : s.ptr;
    return (struct reader){p, p + s.len, false};
}

static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->pos);
}

static inline struct slice read_bytes(struct reader *r, uint64_t size)
{
    if (UNLIKELY(size > reader_left(r))) {
        r->bad = true;
        r->pos = r->end;
        return SLICE_EMPTY;
    }
    struct slice s = {r->pos, (size_t)size};
    r->pos += size;
    return s;
}

/* Little-endian, 1 to 8 bytes. */
static inline uint64_t read_uint(struct reader *r, unsigned size)
{
    struct slice s = read_bytes(r, size);
    uint64_t v = 0;
    if (LIKELY(s.len == size)) {
        memcpy(&v, s.ptr, size);
    }
    return v;
}

static inline uint8_t read_u8(struct reader *r)
{
    return (uint8_t)read_uint(r, 1);
}

static inline uint16_t read_u16(struct reader *r)
{
    return (uint16_t)read_uint(r, 2);
}

static inline uint32_t read_u32(struct reader *r)
{
    return (uint32_t)read_uint(r, 4);
}

/* A length-encoded integer. The NULL marker (251) and the error marker (255) are bad here. */
static inline uint64_t read_lenenc(struct reader *r)
{
    uint8_t first = read_u8(r);
    if (LIKELY(first < 251)) {
        return first;
    }
    switch (first) {
    case 252: return read_uint(r, 2);
    case 253: return read_uint(r, 3);
    case 254: return read_uint(r, 8);
    default: r->bad = true; return 0;
    }
}

static inline struct slice read_lenenc_bytes(struct reader *r)
{
    uint64_t size = read_lenenc(r);
    return read_bytes(r, size);
}

/* Up to a zero byte, which is skipped. Without one: bad. */
static inline struct slice read_cstr(struct reader *r)
{
    size_t left = reader_left(r);
    const uint8_t *zero = left == 0 ? NULL : memchr(r->pos, 0, left);
    if (UNLIKELY(zero == NULL)) {
        r->bad = true;
        r->pos = r->end;
        return SLICE_EMPTY;
    }
    struct slice s = {r->pos, (size_t)(zero - r->pos)};
    r->pos = zero + 1;
    return s;
}

static inline struct slice read_rest(struct reader *r)
{
    return read_bytes(r, reader_left(r));
}

#endif
