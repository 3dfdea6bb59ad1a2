/* utf8mb4_general_ci and utf8mb3_general_ci: one 16-bit weight per character, PAD SPACE. Characters
 * outside the BMP all weigh 0xfffd. A byte that is no character weighs as itself above all
 * characters, so that order stays total. */
#include "sql/charset/charset_int.h"
#include "sql/charset/hash.h"

uint16_t general_ci_weight(uint32_t cp)
{
    if (cp > 0xffff) {
        return 0xfffd;
    }
    uint8_t page = general_ci_index[cp >> 8];
    return page == 0xff ? (uint16_t)cp : general_ci_pages[page][cp & 0xff];
}

static inline uint16_t ascii_weight(uint8_t c)
{
    return c >= 'a' && c <= 'z' ? (uint16_t)(c - 32) : c;
}

/* Takes the next weight; the caller has checked p < end. */
static inline uint16_t next_weight(const uint8_t **p, const uint8_t *end)
{
    uint32_t cp;
    if (**p < 0x80) {
        return ascii_weight(*(*p)++);
    }
    unsigned n = utf8mb4_decode(*p, end, &cp);
    if (n == 0) {
        return (uint16_t)(0xff00u | *(*p)++);
    }
    *p += n;
    return general_ci_weight(cp);
}

static int general_compare(const struct collation *c UNUSED, struct slice a, struct slice b)
{
    size_t skip = utf8_common_prefix(a, b);
    const uint8_t *pa = a.ptr + skip;
    const uint8_t *pb = b.ptr + skip;
    const uint8_t *ea = a.ptr + a.len;
    const uint8_t *eb = b.ptr + b.len;
    while (pa < ea && pb < eb) {
        uint16_t wa = next_weight(&pa, ea);
        uint16_t wb = next_weight(&pb, eb);
        if (wa != wb) {
            return wa < wb ? -1 : 1;
        }
    }
    bool a_longer = pa < ea;
    const uint8_t *p = a_longer ? pa : pb;
    const uint8_t *end = a_longer ? ea : eb;
    while (p < end) {
        uint16_t w = next_weight(&p, end);
        if (w != ' ') {
            return (w > ' ') == a_longer ? 1 : -1;
        }
    }
    return 0;
}

static uint64_t general_hash(const struct collation *c UNUSED, struct slice s, uint64_t seed)
{
    s = charset_trim_space(s);
    const uint8_t *p = s.ptr;
    const uint8_t *end = s.ptr + s.len;
    uint64_t h = seed;
    uint64_t block = 0;
    unsigned n = 0;
    while (p < end) {
        block = block << 16 | next_weight(&p, end);
        if (++n == 4) {
            h = hash_mix(h, block);
            block = 0;
            n = 0;
        }
    }
    return hash_mix(h, block << 3 | n);
}

static db_err general_sort_key(const struct collation *c UNUSED, struct slice s, struct buf *out)
{
    s = charset_trim_space(s);
    TRY(buf_reserve(out, s.len * 2));
    const uint8_t *p = s.ptr;
    const uint8_t *end = s.ptr + s.len;
    uint8_t *o = out->ptr + out->len;
    while (p < end) {
        uint16_t w = next_weight(&p, end);
        *o++ = (uint8_t)(w >> 8);
        *o++ = (uint8_t)w;
    }
    out->len = (size_t)(o - out->ptr);
    return ERR_OK;
}

static int general_compare_char(const struct collation *c UNUSED, uint32_t a, uint32_t b)
{
    return (int)general_ci_weight(a) - (int)general_ci_weight(b);
}

const struct collation_ops collation_general_ops = {
    "general_ci", general_compare, general_hash, general_sort_key, general_compare_char,
};
