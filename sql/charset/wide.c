/* ucs2, utf16, utf16le and utf32, and the collations that weigh code points one by one for any
 * charset (general_ci and its older kin, and _bin where the order of bytes is not that of
 * characters). A unit that is no character is one all the same when it is counted. */
#include "sql/charset/charset_int.h"
#include "sql/charset/hash.h"

static uint32_t load16(const uint8_t *p, bool little)
{
    return little ? p[0] | (uint32_t)p[1] << 8 : (uint32_t)p[0] << 8 | p[1];
}

static unsigned ucs2_decode(const struct charset *cs UNUSED, const uint8_t *p, const uint8_t *end,
                            uint32_t *ret_cp)
{
    if (end - p < 2) {
        return 0;
    }
    *ret_cp = load16(p, false);
    return 2;
}

static unsigned ucs2_encode(const struct charset *cs UNUSED, uint32_t cp, uint8_t *out)
{
    if (cp > 0xffff) {
        return 0;
    }
    out[0] = (uint8_t)(cp >> 8);
    out[1] = (uint8_t)cp;
    return 2;
}

static unsigned utf16_take(const uint8_t *p, const uint8_t *end, bool little, uint32_t *ret_cp)
{
    if (end - p < 2) {
        return 0;
    }
    uint32_t hi = load16(p, little);
    if (hi < 0xd800 || hi > 0xdfff) {
        *ret_cp = hi;
        return 2;
    }
    if (hi > 0xdbff || end - p < 4) {
        return 0;
    }
    uint32_t lo = load16(p + 2, little);
    if (lo < 0xdc00 || lo > 0xdfff) {
        return 0;
    }
    *ret_cp = 0x10000 + ((hi & 0x3ff) << 10 | (lo & 0x3ff));
    return 4;
}

static unsigned utf16_put(uint32_t cp, bool little, uint8_t *out)
{
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) {
        return 0;
    }
    if (cp <= 0xffff) {
        out[little] = (uint8_t)(cp >> 8);
        out[!little] = (uint8_t)cp;
        return 2;
    }
    unsigned n = utf16_put(0, little, out);
    uint32_t units[2] = {0xd7c0 + (cp >> 10), 0xdc00 | (cp & 0x3ff)};
    for (unsigned i = 0; i < 2; i++) {
        out[i * n + little] = (uint8_t)(units[i] >> 8);
        out[i * n + !little] = (uint8_t)units[i];
    }
    return 4;
}

static unsigned utf16be_decode(const struct charset *cs UNUSED, const uint8_t *p,
                               const uint8_t *end, uint32_t *ret_cp)
{
    return utf16_take(p, end, false, ret_cp);
}

static unsigned utf16be_encode(const struct charset *cs UNUSED, uint32_t cp, uint8_t *out)
{
    return utf16_put(cp, false, out);
}

static unsigned utf16le_decode(const struct charset *cs UNUSED, const uint8_t *p,
                               const uint8_t *end, uint32_t *ret_cp)
{
    return utf16_take(p, end, true, ret_cp);
}

static unsigned utf16le_encode(const struct charset *cs UNUSED, uint32_t cp, uint8_t *out)
{
    return utf16_put(cp, true, out);
}

static unsigned utf32_decode(const struct charset *cs UNUSED, const uint8_t *p, const uint8_t *end,
                             uint32_t *ret_cp)
{
    if (end - p < 4) {
        return 0;
    }
    uint32_t cp = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    if (cp > 0x10ffff) {
        return 0;
    }
    *ret_cp = cp;
    return 4;
}

static unsigned utf32_encode(const struct charset *cs UNUSED, uint32_t cp, uint8_t *out)
{
    if (cp > 0x10ffff) {
        return 0;
    }
    out[0] = 0;
    out[1] = (uint8_t)(cp >> 16);
    out[2] = (uint8_t)(cp >> 8);
    out[3] = (uint8_t)cp;
    return 4;
}

static size_t wide_valid_prefix(const struct charset *cs, struct slice s)
{
    size_t at = 0;
    while (at < s.len) {
        uint32_t cp;
        unsigned n = cs->ops->decode(cs, s.ptr + at, s.ptr + s.len, &cp);
        if (n == 0) {
            break;
        }
        at += n;
    }
    return at;
}

static size_t wide_step(const struct charset *cs, struct slice s, size_t max, size_t *ret_chars)
{
    size_t at = 0;
    size_t chars = 0;
    while (at < s.len && chars < max) {
        uint32_t cp;
        unsigned n = cs->ops->decode(cs, s.ptr + at, s.ptr + s.len, &cp);
        n = n == 0 ? cs->minlen : n;
        at = s.len - at < n ? s.len : at + n;
        chars++;
    }
    *ret_chars = chars;
    return at;
}

static size_t wide_char_count(const struct charset *cs, struct slice s)
{
    size_t chars;
    (void)wide_step(cs, s, SIZE_MAX, &chars);
    return chars;
}

static size_t wide_char_offset(const struct charset *cs, struct slice s, size_t index)
{
    size_t chars;
    return wide_step(cs, s, index, &chars);
}

const struct charset_ops charset_ucs2_ops = {
    "ucs2", ucs2_decode, ucs2_encode, wide_valid_prefix, wide_char_count, wide_char_offset,
};
const struct charset_ops charset_utf16_ops = {
    "utf16", utf16be_decode, utf16be_encode, wide_valid_prefix, wide_char_count, wide_char_offset,
};
const struct charset_ops charset_utf16le_ops = {
    "utf16le", utf16le_decode, utf16le_encode, wide_valid_prefix, wide_char_count, wide_char_offset,
};
const struct charset_ops charset_utf32_ops = {
    "utf32", utf32_decode, utf32_encode, wide_valid_prefix, wide_char_count, wide_char_offset,
};

/* ---- collations by code point ---- */

/* A unit that is no character weighs above all characters. */
static uint32_t take_cp(const struct collation *c, const uint8_t **p, const uint8_t *end)
{
    uint32_t cp;
    unsigned n = charset_decode(c->cs, *p, end, &cp);
    if (n == 0) {
        return 0x110000u + *(*p)++;
    }
    *p += n;
    return cp;
}

static uint32_t cp_weight(const struct collation *c, uint32_t cp)
{
    if (c->ops == &collation_cp_bin_ops) {
        return cp;
    }
    if (cp > 0xffff) {
        return cp > 0x10ffff ? 0xff00u | (cp & 0xff) : 0xfffd;
    }
    const struct simple_weights *t = c->data;
    if (t == NULL) {
        return general_ci_weight(cp);
    }
    uint8_t page = t->index[cp >> 8];
    return page == 0xff ? cp : t->pages[page][cp & 0xff];
}

static int cp_compare(const struct collation *c, struct slice a, struct slice b)
{
    const uint8_t *pa = a.ptr;
    const uint8_t *pb = b.ptr;
    const uint8_t *ea = a.ptr + a.len;
    const uint8_t *eb = b.ptr + b.len;
    while (pa < ea && pb < eb) {
        uint32_t wa = cp_weight(c, take_cp(c, &pa, ea));
        uint32_t wb = cp_weight(c, take_cp(c, &pb, eb));
        if (wa != wb) {
            return wa < wb ? -1 : 1;
        }
    }
    bool a_longer = pa < ea;
    const uint8_t *p = a_longer ? pa : pb;
    const uint8_t *end = a_longer ? ea : eb;
    while (p < end) {
        uint32_t w = cp_weight(c, take_cp(c, &p, end));
        if (w != ' ') {
            return (w > ' ') == a_longer ? 1 : -1;
        }
    }
    return 0;
}

static uint64_t cp_hash(const struct collation *c, struct slice s, uint64_t seed)
{
    s = charset_trim_pad(c->cs, s);
    uint64_t h = hash_mix(seed, 0);
    for (const uint8_t *p = s.ptr, *end = s.ptr + s.len; p < end;) {
        h = hash_mix(h, cp_weight(c, take_cp(c, &p, end)));
    }
    return h;
}

static db_err cp_sort_key(const struct collation *c, struct slice s, struct buf *out)
{
    uint8_t space[4];
    unsigned unit = collation_pad_weight(c, space);
    s = charset_trim_pad(c->cs, s);
    for (const uint8_t *p = s.ptr, *end = s.ptr + s.len; p < end;) {
        uint32_t w = cp_weight(c, take_cp(c, &p, end));
        for (unsigned i = unit; i > 0; i--) {
            TRY(buf_append_u8(out, (uint8_t)(w >> 8 * (i - 1))));
        }
    }
    return ERR_OK;
}

static int cp_compare_char(const struct collation *c, uint32_t a, uint32_t b)
{
    uint32_t wa = cp_weight(c, a);
    uint32_t wb = cp_weight(c, b);
    return (wa > wb) - (wa < wb);
}

const struct collation_ops collation_cp_general_ops = {
    "general_ci by code point", cp_compare, cp_hash, cp_sort_key, cp_compare_char,
};
const struct collation_ops collation_cp_bin_ops = {
    "bin by code point", cp_compare, cp_hash, cp_sort_key, cp_compare_char,
};
