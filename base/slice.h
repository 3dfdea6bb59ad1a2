/* Borrowed bytes. A slice never owns; the function that returns one names the owner. */
#ifndef SKEIN_BASE_SLICE_H
#define SKEIN_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *ptr;
    size_t len;
};

#define SLICE_EMPTY  ((struct slice){NULL, 0})
#define SLICE_LIT(s) ((struct slice){(const uint8_t *)("" s), sizeof(s) - 1})
/* For printf("%.*s", SLICE_FMT(s)). */
#define SLICE_FMT(s) (int)(s).len, (const char *)(s).ptr

static inline struct slice slice_of(const void *ptr, size_t len)
{
    return (struct slice){(const uint8_t *)ptr, len};
}

static inline struct slice slice_str(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Unsigned byte order, shorter first on a tie: < 0, 0, > 0. */
static inline int slice_cmp(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    if (c != 0) {
        return c;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* ASCII case-insensitive equality. */
bool slice_eq_nocase(struct slice a, struct slice b);

/* Makes of the bytes the first key behind all that begin with them, in byte order. Returns its
 * length; 0: there is none. */
static inline size_t prefix_end(uint8_t *bytes, size_t len)
{
    while (len != 0 && bytes[len - 1] == 0xff) {
        len--;
    }
    if (len != 0) {
        bytes[len - 1]++;
    }
    return len;
}

/* The rest after `n` bytes; n may not pass the length. C has no sum of NULL, which an empty slice
 * may have, and 0. */
static inline struct slice slice_from(struct slice s, size_t n)
{
    return (struct slice){n == 0 ? s.ptr : s.ptr + n, s.len - n};
}

#endif
