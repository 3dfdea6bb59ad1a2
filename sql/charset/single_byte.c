/* Charsets of one byte per character (latin1 is MySQL's: cp1252 with its five holes filled), and
 * binary. */
#include "sql/charset/charset_int.h"
#include "sql/charset/hash.h"

static unsigned single_decode(const struct charset *cs, const uint8_t *p, const uint8_t *end,
                              uint32_t *ret_cp)
{
    if (p >= end) {
        return 0;
    }
    uint16_t cp = ((const struct single_byte *)cs->data)->to_unicode[*p];
    if (cp == 0 && *p != 0) {
        return 0;
    }
    *ret_cp = cp;
    return 1;
}

static unsigned single_encode(const struct charset *cs, uint32_t cp, uint8_t *out)
{
    const struct single_byte *t = cs->data;
    if (cs->ascii_superset && cp < 0x80) {
        *out = (uint8_t)cp;
        return 1;
    }
    size_t lo = 0;
    size_t hi = t->from_count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        uint32_t at = t->from_unicode[mid] >> 8;
        if (at == cp) {
            *out = (uint8_t)t->from_unicode[mid];
            return 1;
        }
        if (at < cp) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return 0;
}

/* Any byte may be stored in a one-byte charset, also one that stands for no character. */
static size_t single_valid_prefix(const struct charset *cs UNUSED, struct slice s)
{
    return s.len;
}

static size_t single_char_count(const struct charset *cs UNUSED, struct slice s)
{
    return s.len;
}

static size_t single_char_offset(const struct charset *cs UNUSED, struct slice s, size_t index)
{
    return index < s.len ? index : s.len;
}

static size_t ascii_valid_prefix(const struct charset *cs UNUSED, struct slice s)
{
    size_t i = 0;
    while (i < s.len && s.ptr[i] < 0x80) {
        i++;
    }
    return i;
}

static unsigned binary_decode(const struct charset *cs UNUSED, const uint8_t *p, const uint8_t *end,
                              uint32_t *ret_cp)
{
    if (p >= end) {
        return 0;
    }
    *ret_cp = *p;
    return 1;
}

static unsigned binary_encode(const struct charset *cs UNUSED, uint32_t cp, uint8_t *out)
{
    if (cp > 0xff) {
        return 0;
    }
    *out = (uint8_t)cp;
    return 1;
}

const struct charset_ops charset_single_ops = {
    "single byte",       single_decode,     single_encode,
    single_valid_prefix, single_char_count, single_char_offset,
};
const struct charset_ops charset_ascii_ops = {
    "ascii",           single_decode,      single_encode, ascii_valid_prefix,
    single_char_count, single_char_offset,
};
const struct charset_ops charset_binary_ops = {
    "binary",          binary_decode,      binary_encode, single_valid_prefix,
    single_char_count, single_char_offset,
};

/* ---- collations with a weight per byte ---- */

static int single_compare(const struct collation *c, struct slice a, struct slice b)
{
    const uint8_t *w = c->data;
    size_t n = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < n; i++) {
        if (w[a.ptr[i]] != w[b.ptr[i]]) {
            return w[a.ptr[i]] < w[b.ptr[i]] ? -1 : 1;
        }
    }
    bool a_longer = a.len > b.len;
    struct slice rest = slice_from(a_longer ? a : b, n);
    for (size_t i = 0; i < rest.len; i++) {
        if (w[rest.ptr[i]] != w[' ']) {
            bool greater = w[rest.ptr[i]] > w[' '];
            return greater == a_longer ? 1 : -1;
        }
    }
    return 0;
}

static struct slice single_trim(const uint8_t *w, struct slice s)
{
    while (s.len > 0 && w[s.ptr[s.len - 1]] == w[' ']) {
        s.len--;
    }
    return s;
}

static uint64_t single_hash(const struct collation *c, struct slice s, uint64_t seed)
{
    const uint8_t *w = c->data;
    s = single_trim(w, s);
    uint64_t h = hash_mix(seed, s.len);
    uint64_t block = 0;
    for (size_t i = 0; i < s.len; i++) {
        block = block << 8 | w[s.ptr[i]];
        if ((i & 7) == 7) {
            h = hash_mix(h, block);
            block = 0;
        }
    }
    return hash_mix(h, block);
}

static db_err single_sort_key(const struct collation *c, struct slice s, struct buf *out)
{
    const uint8_t *w = c->data;
    s = single_trim(w, s);
    TRY(buf_reserve(out, s.len));
    for (size_t i = 0; i < s.len; i++) {
        out->ptr[out->len + i] = w[s.ptr[i]];
    }
    out->len += s.len;
    return ERR_OK;
}

/* The "characters" of these collations are bytes: undefined ones compare too. */
static int single_compare_char(const struct collation *c, uint32_t a, uint32_t b)
{
    const uint8_t *w = c->data;
    return (int)w[a & 0xff] - (int)w[b & 0xff];
}

const struct collation_ops collation_single_ops = {
    "single byte", single_compare, single_hash, single_sort_key, single_compare_char,
};
