/* UTF-8, of up to four bytes (utf8mb4) or three (utf8mb3), and plain bytes (binary).
 *
 * Valid is what RFC 3629 says: no overlong forms, no surrogates, nothing above U+10FFFF. Counting
 * and indexing of characters look only at lead bytes where the text is ASCII, eight bytes at a
 * time, and else decode, so that stray bytes count as one character each, as MySQL counts them. */
#include "sql/charset/charset_int.h"

static const uint64_t HIGH_BITS = 0x8080808080808080ull;

static inline uint64_t load8(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

unsigned utf8mb4_decode(const uint8_t *p, const uint8_t *end, uint32_t *ret_cp)
{
    if (p >= end) {
        return 0;
    }
    uint32_t c = p[0];
    if (c < 0x80) {
        *ret_cp = c;
        return 1;
    }
    size_t left = (size_t)(end - p);
    if (c < 0xc2) {
        return 0;
    }
    if (c < 0xe0) {
        if (left < 2 || (p[1] & 0xc0) != 0x80) {
            return 0;
        }
        *ret_cp = (c & 0x1f) << 6 | (p[1] & 0x3fu);
        return 2;
    }
    if (c < 0xf0) {
        if (left < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80) {
            return 0;
        }
        uint32_t cp = (c & 0x0f) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
        if (cp < 0x800 || (cp >= 0xd800 && cp <= 0xdfff)) {
            return 0;
        }
        *ret_cp = cp;
        return 3;
    }
    if (c > 0xf4 || left < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 ||
        (p[3] & 0xc0) != 0x80) {
        return 0;
    }
    uint32_t cp = (c & 0x07) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
    if (cp < 0x10000 || cp > 0x10ffff) {
        return 0;
    }
    *ret_cp = cp;
    return 4;
}

unsigned utf8mb4_encode(uint32_t cp, uint8_t *out)
{
    if (cp < 0x80) {
        out[0] = (uint8_t)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (uint8_t)(0xc0 | cp >> 6);
        out[1] = (uint8_t)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        if (cp >= 0xd800 && cp <= 0xdfff) {
            return 0;
        }
        out[0] = (uint8_t)(0xe0 | cp >> 12);
        out[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (cp & 0x3f));
        return 3;
    }
    if (cp > 0x10ffff) {
        return 0;
    }
    out[0] = (uint8_t)(0xf0 | cp >> 18);
    out[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (cp & 0x3f));
    return 4;
}

bool utf8_is_ascii(struct slice s)
{
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        if ((load8(s.ptr + i) & HIGH_BITS) != 0) {
            return false;
        }
    }
    for (; i < s.len; i++) {
        if (s.ptr[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

static size_t valid_prefix(struct slice s, unsigned max_bytes)
{
    const uint8_t *p = s.ptr;
    const uint8_t *end = s.ptr + s.len;
    while (p < end) {
        if (end - p >= 8 && (load8(p) & HIGH_BITS) == 0) {
            p += 8;
            continue;
        }
        uint32_t cp;
        unsigned n = utf8mb4_decode(p, end, &cp);
        if (n == 0 || n > max_bytes) {
            break;
        }
        p += n;
    }
    return s.len == 0 ? 0 : (size_t)(p - s.ptr);
}

size_t utf8mb4_valid_prefix(struct slice s)
{
    return valid_prefix(s, 4);
}

static size_t utf8_valid4(const struct charset *cs UNUSED, struct slice s)
{
    return valid_prefix(s, 4);
}

static size_t utf8_valid3(const struct charset *cs UNUSED, struct slice s)
{
    return valid_prefix(s, 3);
}

static unsigned utf8_decode4(const struct charset *cs UNUSED, const uint8_t *p, const uint8_t *end,
                             uint32_t *ret_cp)
{
    return utf8mb4_decode(p, end, ret_cp);
}

static unsigned utf8_decode3(const struct charset *cs UNUSED, const uint8_t *p, const uint8_t *end,
                             uint32_t *ret_cp)
{
    uint32_t cp;
    unsigned n = utf8mb4_decode(p, end, &cp);
    if (n == 0 || n > 3) {
        return 0;
    }
    *ret_cp = cp;
    return n;
}

static unsigned utf8_encode4(const struct charset *cs UNUSED, uint32_t cp, uint8_t *out)
{
    return utf8mb4_encode(cp, out);
}

static unsigned utf8_encode3(const struct charset *cs UNUSED, uint32_t cp, uint8_t *out)
{
    return cp > 0xffff ? 0 : utf8mb4_encode(cp, out);
}

/* Steps over up to `max` characters; returns the byte offset, *ret_chars how many there were. */
static size_t utf8_step(struct slice s, size_t max, size_t *ret_chars)
{
    const uint8_t *p = s.ptr;
    const uint8_t *end = s.ptr + s.len;
    size_t chars = 0;
    while (chars < max && p < end) {
        if (end - p >= 8 && max - chars >= 8 && (load8(p) & HIGH_BITS) == 0) {
            p += 8;
            chars += 8;
            continue;
        }
        uint32_t cp;
        unsigned n = *p < 0x80 ? 1 : utf8mb4_decode(p, end, &cp);
        p += n == 0 ? 1 : n;
        chars++;
    }
    *ret_chars = chars;
    return s.len == 0 ? 0 : (size_t)(p - s.ptr);
}

static size_t utf8_char_count(const struct charset *cs UNUSED, struct slice s)
{
    size_t chars;
    (void)utf8_step(s, SIZE_MAX, &chars);
    return chars;
}

static size_t utf8_char_offset(const struct charset *cs UNUSED, struct slice s, size_t index)
{
    size_t chars;
    return utf8_step(s, index, &chars);
}

const struct charset_ops charset_utf8mb4_ops = {
    "utf8mb4", utf8_decode4, utf8_encode4, utf8_valid4, utf8_char_count, utf8_char_offset,
};
const struct charset_ops charset_utf8mb3_ops = {
    "utf8mb3", utf8_decode3, utf8_encode3, utf8_valid3, utf8_char_count, utf8_char_offset,
};
