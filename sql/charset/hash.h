/* The 64-bit hash of SQL values: fold-multiply over 8-byte blocks. Not for secrets; stable within a
 * process run only. */
#ifndef SKEIN_SQL_CHARSET_HASH_H
#define SKEIN_SQL_CHARSET_HASH_H

#include <stdint.h>
#include <string.h>

static inline uint64_t hash_mix(uint64_t h, uint64_t x)
{
    __extension__ typedef unsigned __int128 u128;
    u128 m = (u128)(h ^ 0x9e3779b97f4a7c15ull) * (x ^ 0xd1b54a32d192ed03ull);
    return (uint64_t)m ^ (uint64_t)(m >> 64) ^ h;
}

static inline uint64_t hash_bytes(const uint8_t *p, size_t len, uint64_t seed)
{
    uint64_t h = hash_mix(seed, len);
    uint64_t x;
    while (len >= 8) {
        memcpy(&x, p, 8);
        h = hash_mix(h, x);
        p += 8;
        len -= 8;
    }
    if (len != 0) {
        x = 0;
        memcpy(&x, p, len);
        h = hash_mix(h, x);
    }
    return h;
}

#endif
