/* LIKE and LOCATE: character by character under a collation.
 *
 * LIKE needs no recursion: only the last '%' met can need to take more, so one saved position is
 * enough, and the worst case is the product of the lengths. */
#include "sql/charset/charset_int.h"

#include "base/fiber.h"

/* One character at *p (a stray byte is a character of its own); *p < end. */
static inline uint32_t take_char(const struct collation *c, const uint8_t **p, const uint8_t *end)
{
    if (c->cs->maxlen == 1) {
        return *(*p)++;
    }
    uint32_t cp;
    unsigned n = charset_decode(c->cs, *p, end, &cp);
    if (n == 0) {
        cp = 0x110000u + *(*p)++; /* equal to nothing but itself */
        return cp;
    }
    *p += n;
    return cp;
}

static inline bool same_char(const struct collation *c, uint32_t a, uint32_t b)
{
    if (a == b) {
        return true;
    }
    if (a > 0x10ffff || b > 0x10ffff) {
        return false;
    }
    return c->ops->compare_char(c, a, b) == 0;
}

db_err collation_like(const struct collation *c, struct slice s, struct slice pattern,
                      uint32_t escape, bool *ret_match)
{
    uint32_t work = 0;
    const uint8_t *sp = s.ptr;
    const uint8_t *se = s.ptr + s.len;
    const uint8_t *pp = pattern.ptr;
    const uint8_t *pe = pattern.ptr + pattern.len;
    const uint8_t *retry_s =
        NULL; /* where the last '%' began to match, and the pattern behind it */
    const uint8_t *retry_p = NULL;
    for (;;) {
        TRY(fiber_work(&work, 1));
        bool matched = false;
        if (pp < pe) {
            const uint8_t *next = pp;
            uint32_t pc = take_char(c, &next, pe);
            bool literal = false;
            if (escape != 0 && pc == escape && next < pe) {
                pc = take_char(c, &next, pe);
                literal = true;
            }
            if (!literal && pc == '%') {
                if (next == pe) {
                    *ret_match = true;
                    return ERR_OK;
                }
                pp = next;
                retry_p = pp;
                retry_s = sp;
                continue;
            }
            if (sp < se) {
                const uint8_t *snext = sp;
                uint32_t sc = take_char(c, &snext, se);
                if ((!literal && pc == '_') || same_char(c, sc, pc)) {
                    sp = snext;
                    pp = next;
                    matched = true;
                }
            }
        } else if (sp == se) {
            *ret_match = true;
            return ERR_OK;
        }
        if (matched) {
            continue;
        }
        if (retry_p == NULL || retry_s >= se) {
            *ret_match = false;
            return ERR_OK;
        }
        (void)take_char(c, &retry_s, se);
        sp = retry_s;
        pp = retry_p;
    }
}

static bool begins_chars(const struct collation *c, struct slice s, struct slice with)
{
    const uint8_t *se = s.ptr + s.len;
    const uint8_t *we = with.ptr + with.len;
    while (with.ptr < we) {
        if (s.ptr >= se || !same_char(c, take_char(c, &s.ptr, se), take_char(c, &with.ptr, we))) {
            return false;
        }
    }
    return true;
}

/* As MySQL: do the weights of `with` stand at the beginning of those of s, level by level? A part
 * of a character's weights is enough. Where weights of several characters depend on each other, of
 * as many bytes. */
static bool begins_with(const struct collation *c, struct slice s, struct slice with)
{
    if (c->ops == &collation_uca_ops || c->ops == &collation_uca_pad_ops) {
        return collation__uca_begins(c, s, with);
    }
    if (c->ops == &collation_pass_ops || c->ops == &collation_thai_ops) {
        return s.len >= with.len && c->ops->compare(c, slice_of(s.ptr, with.len), with) == 0;
    }
    return begins_chars(c, s, with);
}

db_err collation_locate(const struct collation *c, struct slice s, struct slice needle, size_t from,
                        size_t *ret_at)
{
    const uint8_t *end = s.ptr + s.len;
    uint32_t work = 0;
    if (from > s.len || needle.len == 0) {
        *ret_at = from > s.len ? SIZE_MAX : from;
        return ERR_OK;
    }
    const uint8_t *p = s.ptr + from;
    if (c->ops == &collation_bytes_ops && c->cs->maxlen == 1) {
        const uint8_t *at = memmem(p, s.len - from, needle.ptr, needle.len);
        *ret_at = at == NULL ? SIZE_MAX : (size_t)(at - s.ptr);
        return ERR_OK;
    }
    while (p < end && !begins_with(c, slice_of(p, (size_t)(end - p)), needle)) {
        (void)take_char(c, &p, end);
        TRY(fiber_work(&work, needle.len)); /* as much may have been compared */
    }
    *ret_at = p < end ? (size_t)(p - s.ptr) : SIZE_MAX;
    return ERR_OK;
}
