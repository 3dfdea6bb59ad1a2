/* Variable-length integers: 7 bits a byte, least significant first, the high bit says that more
 * follow. At most 10 bytes. */
#ifndef SKEIN_NODE_STORE_VARINT_H
#define SKEIN_NODE_STORE_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VARINT_MAX = 10 };

static inline size_t varint_put(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

/* false: truncated or longer than 64 bits; *pos is then undefined. */
static inline bool varint_get(const uint8_t **pos, const uint8_t *end, uint64_t *ret_v)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && *pos < end; shift += 7) {
        uint8_t b = *(*pos)++;
        if (shift == 63 && b > 1) {
            return false;
        }
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *ret_v = v;
            return true;
        }
    }
    return false;
}

#endif
