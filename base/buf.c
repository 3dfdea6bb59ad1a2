#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"

enum { BUF_FIRST_SIZE = 64 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_init_in(struct buf *b, uint8_t *space, size_t size, size_t max)
{
    *b = (struct buf){.ptr = space, .cap = size, .max = max, .borrowed = true};
}

void buf_fini(struct buf *b)
{
    if (!b->borrowed) {
        mem_free(b->ptr);
    }
    *b = (struct buf){.max = b->max};
}

db_err buf_reserve_slow(struct buf *b, size_t extra)
{
    ASSERT(b->len <= b->cap);
    if (extra > b->max || b->len > b->max - extra) {
        return ERR_LIMIT;
    }
    size_t need = b->len + extra;
    size_t cap = b->cap < BUF_FIRST_SIZE ? BUF_FIRST_SIZE : b->cap;
    while (cap < need) {
        cap *= 2;
    }
    if (cap > b->max) {
        cap = b->max;
    }
    uint8_t *ptr = b->borrowed ? mem_alloc(cap) : mem_realloc(b->ptr, cap);
    if (ptr == NULL) {
        return ERR_NOMEM;
    }
    if (b->borrowed) {
        memcpy(ptr, b->ptr, b->len);
        b->borrowed = false;
    }
    b->ptr = ptr;
    b->cap = cap;
    return ERR_OK;
}

db_err buf_append_quoted(struct buf *b, struct slice text, char quote)
{
    uint8_t q = (uint8_t)quote;
    TRY(buf_append_u8(b, q));
    for (size_t from = 0; from < text.len;) {
        const uint8_t *found = memchr(text.ptr + from, q, text.len - from);
        size_t n = found == NULL ? text.len - from : (size_t)(found - text.ptr) - from + 1;
        TRY(buf_append(b, text.ptr + from, n));
        TRY(found == NULL ? ERR_OK : buf_append_u8(b, q));
        from += n;
    }
    return buf_append_u8(b, q);
}

db_err buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        return ERR_INVALID;
    }
    TRY(buf_reserve(b, (size_t)n + 1));
    va_start(args, fmt);
    vsnprintf((char *)b->ptr + b->len, (size_t)n + 1, fmt, args);
    va_end(args);
    b->len += (size_t)n;
    return ERR_OK;
}
