/* An owned, growable byte buffer with a mandatory maximum.
 *
 * Appends return ERR_LIMIT past the maximum and ERR_NOMEM when memory is out; the content is then
 * as before. Not thread-safe. */
#ifndef SKEIN_BASE_BUF_H
#define SKEIN_BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"

struct buf {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    size_t max;
    bool borrowed; /* the memory is the caller's */
};

void buf_init(struct buf *b, size_t max);
/* The first `size` bytes go to memory of the caller's, which stays where it is until buf_fini. */
void buf_init_in(struct buf *b, uint8_t *space, size_t size, size_t max);
void buf_fini(struct buf *b);

/* Forgets the content, keeps the memory. */
static inline void buf_reset(struct buf *b)
{
    b->len = 0;
}

/* Makes room for `extra` more bytes. */
MUST_USE db_err buf_reserve_slow(struct buf *b, size_t extra);
MUST_USE static inline db_err buf_reserve(struct buf *b, size_t extra)
{
    return LIKELY(extra <= b->cap - b->len) ? ERR_OK : buf_reserve_slow(b, extra);
}

MUST_USE static inline db_err buf_append(struct buf *b, const void *data, size_t len)
{
    TRY(buf_reserve(b, len));
    if (len != 0) {
        memcpy(b->ptr + b->len, data, len);
    }
    b->len += len;
    return ERR_OK;
}

MUST_USE static inline db_err buf_append_slice(struct buf *b, struct slice s)
{
    return buf_append(b, s.ptr, s.len);
}

MUST_USE static inline db_err buf_append_u8(struct buf *b, uint8_t v)
{
    TRY(buf_reserve(b, 1));
    b->ptr[b->len++] = v;
    return ERR_OK;
}

/* The text between quotes, quotes within it doubled. */
MUST_USE db_err buf_append_quoted(struct buf *b, struct slice text, char quote);

/* Formats at the end; no terminating NUL is kept. */
MUST_USE db_err buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Borrowed view; valid until the next append, reset or fini. */
static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->ptr, b->len};
}

#endif
