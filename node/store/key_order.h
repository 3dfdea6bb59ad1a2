/* The orders of keys (keyspace.h), in C and C++. RocksDB asks for them a hundred times per
 * statement. */
#ifndef SKEIN_NODE_STORE_KEY_ORDER_H
#define SKEIN_NODE_STORE_KEY_ORDER_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { DATA_TS_SIZE = 8 };

/* As memcmp. Keys mostly differ behind a dozen bytes that they have in common: before a call would
 * have begun they are compared. */
static inline int key_bytes_order(const void *a, const void *b, size_t n)
{
    enum { WORD = 8, WORDS_MAX = 4 };
    const uint8_t *p = (const uint8_t *)a;
    const uint8_t *q = (const uint8_t *)b;
    for (int i = 0; i < WORDS_MAX && n >= WORD; i++) {
        uint64_t x;
        uint64_t y;
        memcpy(&x, p, WORD);
        memcpy(&y, q, WORD);
        if (x != y) {
            return be64toh(x) < be64toh(y) ? -1 : 1;
        }
        p += WORD;
        q += WORD;
        n -= WORD;
    }
    return n == 0 ? 0 : memcmp(p, q, n);
}

/* Byte by byte, shorter first on a tie: < 0, 0, > 0. */
static inline int plain_key_order(const void *a, size_t a_len, const void *b, size_t b_len)
{
    size_t n = a_len < b_len ? a_len : b_len;
    int c = key_bytes_order(a, b, n);
    return c != 0 ? c : a_len < b_len ? -1 : a_len > b_len;
}

/* Data keys: user keys so, versions of one by the last 8 bytes. What is too short to have a
 * timestamp is all user key. */
static inline int data_key_order(const void *a, size_t a_len, const void *b, size_t b_len)
{
    if (a_len == b_len) { /* the user keys end at the same place: in one go */
        return key_bytes_order(a, b, a_len);
    }
    size_t n = a_len < b_len ? a_len : b_len;
    n -= n < DATA_TS_SIZE ? 0 : (size_t)DATA_TS_SIZE;
    int c = key_bytes_order(a, b, n);
    return c != 0 ? c : a_len < b_len ? -1 : 1;
}

#endif
