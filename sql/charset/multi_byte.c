/* The Asian charsets: big5, gbk, gb2312, euckr, sjis, cp932, ujis, eucjpms and gb18030, and their
 * collations with one weight per character.
 *
 * What is well formed is decided by lead and trail bytes alone, as in MySQL: a well-formed code
 * that stands for no character may be stored, counts as one character and becomes '?' when it is
 * converted (decode answers a number above U+10FFFF for it). A code is kept as 16 bits in the
 * tables: the bytes of two-byte codes, and of 8F xx yy the last two with the top bit of yy cleared;
 * gb18030's codes of four bytes have their own table, by their number in order. Weights compare as
 * their bytes do: a lead byte is above ASCII. */
#include "sql/charset/charset_int.h"
#include "sql/charset/hash.h"

enum { NO_CHARACTER = 0x110100, GB4_SUPPLEMENT = 189000, GB4_ALL = GB4_SUPPLEMENT + 0x100000 };

static inline bool within(uint8_t b, uint8_t lo, uint8_t hi)
{
    return b >= lo && b <= hi;
}

static unsigned euc_length(const uint8_t *p, size_t left)
{
    if (p[0] == 0x8e) {
        return left >= 2 && within(p[1], 0xa0, 0xdf) ? 2 : 0;
    }
    if (p[0] == 0x8f) {
        return left >= 3 && within(p[1], 0xa1, 0xfe) && within(p[2], 0xa1, 0xfe) ? 3 : 0;
    }
    return left >= 2 && within(p[0], 0xa1, 0xfe) && within(p[1], 0xa1, 0xfe) ? 2 : 0;
}

static unsigned gb18030_length(const uint8_t *p, size_t left)
{
    if (left < 2 || !within(p[0], 0x81, 0xfe)) {
        return 0;
    }
    if (within(p[1], 0x40, 0x7e) || within(p[1], 0x80, 0xfe)) {
        return 2;
    }
    return left >= 4 && within(p[1], 0x30, 0x39) && within(p[2], 0x81, 0xfe) &&
                   within(p[3], 0x30, 0x39)
               ? 4
               : 0;
}

/* Bytes of the well-formed code at p, 0: none. */
static unsigned mb_length(const struct multi_byte *t, const uint8_t *p, const uint8_t *end)
{
    if (p >= end) {
        return 0;
    }
    if (*p < 0x80) {
        return 1;
    }
    size_t left = (size_t)(end - p);
    uint8_t trail = left >= 2 ? p[1] : 0;
    switch (t->kind) {
    case MB_BIG5:
        return within(*p, 0xa1, 0xf9) && (within(trail, 0x40, 0x7e) || within(trail, 0xa1, 0xfe))
                   ? 2
                   : 0;
    case MB_GBK:
        return within(*p, 0x81, 0xfe) && (within(trail, 0x40, 0x7e) || within(trail, 0x80, 0xfe))
                   ? 2
                   : 0;
    case MB_GB2312: return within(*p, 0xa1, 0xf7) && within(trail, 0xa1, 0xfe) ? 2 : 0;
    case MB_EUCKR:
        return within(*p, 0x81, 0xfe) && (within(trail, 0x41, 0x5a) || within(trail, 0x61, 0x7a) ||
                                          within(trail, 0x81, 0xfe))
                   ? 2
                   : 0;
    case MB_SJIS:
        if (within(*p, 0xa1, 0xdf)) {
            return 1;
        }
        return (within(*p, 0x81, 0x9f) || within(*p, 0xe0, 0xfc)) &&
                       (within(trail, 0x40, 0x7e) || within(trail, 0x80, 0xfc))
                   ? 2
                   : 0;
    case MB_EUC: return euc_length(p, left);
    case MB_GB18030: return gb18030_length(p, left);
    }
    return 0;
}

static inline uint32_t gb4_number(const uint8_t *p)
{
    return ((p[0] - 0x81u) * 10 + (p[1] - 0x30u)) * 1260 + (p[2] - 0x81u) * 10 + (p[3] - 0x30u);
}

/* The code as 16 bits; not for codes of four bytes. */
static inline uint16_t mb_code16(const uint8_t *p, unsigned len)
{
    unsigned code = len == 1   ? p[0]
                    : len == 2 ? (unsigned)(p[0] << 8 | p[1])
                               : (unsigned)(p[1] << 8 | (p[2] & 0x7f));
    return (uint16_t)code;
}

static unsigned mb_decode(const struct charset *cs, const uint8_t *p, const uint8_t *end,
                          uint32_t *ret_cp)
{
    const struct multi_byte *t = cs->data;
    unsigned len = mb_length(t, p, end);
    if (len == 0) {
        return 0;
    }
    if (len == 1 && *p < 0x80) {
        *ret_cp = *p;
        return 1;
    }
    if (len == 4) {
        uint32_t n = gb4_number(p);
        uint32_t cp = n < MB_GB4_COUNT                     ? t->unicode4[n]
                      : n >= GB4_SUPPLEMENT && n < GB4_ALL ? n - GB4_SUPPLEMENT + 0x10000
                                                           : 0;
        *ret_cp = cp != 0 ? cp : NO_CHARACTER + n;
        return 4;
    }
    uint16_t code = mb_code16(p, len);
    uint16_t cp = t->unicode_pages[t->unicode_index[code >> 8]][code & 0xff];
    *ret_cp = cp != 0 ? cp : NO_CHARACTER + code;
    return len;
}

static unsigned put_code16(const struct multi_byte *t, uint16_t code, uint8_t *out)
{
    if (code < 0x100) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (t->kind == MB_EUC && (code & 0x80) == 0) {
        out[0] = 0x8f;
        out[1] = (uint8_t)(code >> 8);
        out[2] = (uint8_t)(code | 0x80);
        return 3;
    }
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    return 2;
}

static unsigned mb_encode(const struct charset *cs, uint32_t cp, uint8_t *out)
{
    const struct multi_byte *t = cs->data;
    if (cp < 0x80 && (cs->ascii_superset || t->back_pages[t->back_index[0]][cp] == 0)) {
        out[0] = (uint8_t)cp;
        return 1;
    }
    uint32_t number = 0;
    if (cp <= 0xffff) {
        uint16_t code = t->back_pages[t->back_index[cp >> 8]][cp & 0xff];
        if (code != 0) {
            return put_code16(t, code, out);
        }
        if (t->back4 == NULL || t->back4[cp] == 0) {
            return 0;
        }
        number = t->back4[cp] - 1u;
    } else {
        if (t->kind != MB_GB18030 || cp > 0x10ffff) {
            return 0;
        }
        number = cp - 0x10000 + GB4_SUPPLEMENT;
    }
    out[0] = (uint8_t)(0x81 + number / 12600);
    out[1] = (uint8_t)(0x30 + number / 1260 % 10);
    out[2] = (uint8_t)(0x81 + number / 10 % 126);
    out[3] = (uint8_t)(0x30 + number % 10);
    return 4;
}

static size_t mb_valid_prefix(const struct charset *cs, struct slice s)
{
    const uint8_t *p = s.ptr;
    const uint8_t *end = s.ptr + s.len;
    while (p < end) {
        unsigned n = mb_length(cs->data, p, end);
        if (n == 0) {
            break;
        }
        p += n;
    }
    return s.len == 0 ? 0 : (size_t)(p - s.ptr);
}

static size_t mb_step(const struct charset *cs, struct slice s, size_t max, size_t *ret_chars)
{
    size_t at = 0;
    size_t chars = 0;
    while (at < s.len && chars < max) {
        unsigned n = mb_length(cs->data, s.ptr + at, s.ptr + s.len);
        at += n == 0 ? 1 : n;
        chars++;
    }
    *ret_chars = chars;
    return at;
}

static size_t mb_char_count(const struct charset *cs, struct slice s)
{
    size_t chars;
    (void)mb_step(cs, s, SIZE_MAX, &chars);
    return chars;
}

static size_t mb_char_offset(const struct charset *cs, struct slice s, size_t index)
{
    size_t chars;
    return mb_step(cs, s, index, &chars);
}

const struct charset_ops charset_multi_ops = {
    "multi byte", mb_decode, mb_encode, mb_valid_prefix, mb_char_count, mb_char_offset,
};

/* ---- case ---- */

static uint32_t code_number(const uint8_t *p, unsigned len)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < len; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static unsigned number_length(uint32_t v)
{
    return v > 0xffffff ? 4 : v > 0xffff ? 3 : v > 0xff ? 2 : 1;
}

static const uint32_t *find_pair(const uint32_t (*pairs)[2], size_t count, uint32_t key)
{
    size_t lo = 0;
    size_t hi = count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (pairs[mid][0] == key) {
            return pairs[mid];
        }
        if (pairs[mid][0] < key) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return NULL;
}

db_err multi_byte_case(const struct charset *cs, struct slice s, bool upper, struct buf *out)
{
    const struct multi_byte *t = cs->data;
    const uint8_t *end = s.ptr + s.len;
    uint8_t first = upper ? 'a' : 'A';
    for (const uint8_t *p = s.ptr; p < end;) {
        unsigned n = mb_length(t, p, end);
        if (n <= 1) {
            uint8_t ch = *p++;
            TRY(buf_append_u8(out, (uint8_t)((uint8_t)(ch - first) < 26 ? ch ^ 0x20 : ch)));
            continue;
        }
        const uint32_t *pair = upper ? find_pair(t->upper, t->upper_count, code_number(p, n))
                                     : find_pair(t->lower, t->lower_count, code_number(p, n));
        if (pair == NULL) {
            TRY(buf_append(out, p, n));
        } else {
            for (unsigned i = number_length(pair[1]); i > 0; i--) {
                TRY(buf_append_u8(out, (uint8_t)(pair[1] >> 8 * (i - 1))));
            }
        }
        p += n;
    }
    return ERR_OK;
}

/* ---- collations ---- */

/* The weight of the code at *p, its bytes from the top of 32 bits down. */
static uint32_t next_weight(const struct multi_byte *t, const uint8_t **p, const uint8_t *end,
                            unsigned *ret_len)
{
    unsigned n = mb_length(t, *p, end);
    const uint8_t *at = *p;
    *p += n == 0 ? 1 : n;
    uint32_t w;
    if (n == 0) {
        w = *at;
    } else if (n == 4) {
        uint32_t number = gb4_number(at);
        if (number < MB_GB4_COUNT) {
            w = t->weight4[number];
        } else if (number >= GB4_SUPPLEMENT && number < GB4_ALL) {
            w = 0xff000000u + number; /* no pinyin known: by code */
        } else {
            w = 0xffffffffu;
        }
    } else {
        uint16_t code = mb_code16(at, n);
        w = t->weight_pages[t->weight_index[code >> 8]][code & 0xff];
        if (w == 0 && code != 0) {
            w = code_number(at, n);
        }
    }
    unsigned len = number_length(w);
    if (ret_len != NULL) {
        *ret_len = len;
    }
    return w << 8 * (4 - len);
}

static int mb_compare(const struct collation *c, struct slice a, struct slice b)
{
    const struct multi_byte *t = c->cs->data;
    const uint8_t *pa = a.ptr;
    const uint8_t *pb = b.ptr;
    const uint8_t *ea = a.ptr + a.len;
    const uint8_t *eb = b.ptr + b.len;
    while (pa < ea && pb < eb) {
        uint32_t wa = next_weight(t, &pa, ea, NULL);
        uint32_t wb = next_weight(t, &pb, eb, NULL);
        if (wa != wb) {
            return wa < wb ? -1 : 1;
        }
    }
    bool a_longer = pa < ea;
    const uint8_t *p = a_longer ? pa : pb;
    const uint8_t *end = a_longer ? ea : eb;
    while (p < end) {
        uint32_t w = next_weight(t, &p, end, NULL);
        if (w != (uint32_t)' ' << 24) {
            return (w > (uint32_t)' ' << 24) == a_longer ? 1 : -1;
        }
    }
    return 0;
}

static uint64_t mb_hash(const struct collation *c, struct slice s, uint64_t seed)
{
    const struct multi_byte *t = c->cs->data;
    s = charset_trim_space(s);
    uint64_t h = hash_mix(seed, 0);
    for (const uint8_t *p = s.ptr, *end = s.ptr + s.len; p < end;) {
        h = hash_mix(h, next_weight(t, &p, end, NULL));
    }
    return h;
}

static db_err mb_sort_key(const struct collation *c, struct slice s, struct buf *out)
{
    const struct multi_byte *t = c->cs->data;
    s = charset_trim_space(s);
    for (const uint8_t *p = s.ptr, *end = s.ptr + s.len; p < end;) {
        unsigned len;
        uint32_t w = next_weight(t, &p, end, &len);
        for (unsigned i = 0; i < len; i++) {
            TRY(buf_append_u8(out, (uint8_t)(w >> (24 - 8 * i))));
        }
    }
    return ERR_OK;
}

static int mb_compare_char(const struct collation *c, uint32_t a, uint32_t b)
{
    uint8_t ea[4];
    uint8_t eb[4];
    unsigned na = mb_encode(c->cs, a, ea);
    unsigned nb = mb_encode(c->cs, b, eb);
    if (na == 0 || nb == 0) {
        return (a > b) - (a < b);
    }
    const uint8_t *pa = ea;
    const uint8_t *pb = eb;
    uint32_t wa = next_weight(c->cs->data, &pa, ea + na, NULL);
    uint32_t wb = next_weight(c->cs->data, &pb, eb + nb, NULL);
    return (wa > wb) - (wa < wb);
}

const struct collation_ops collation_multi_ops = {
    "multi byte", mb_compare, mb_hash, mb_sort_key, mb_compare_char,
};
