/* UPPER and LOWER: simple mappings, one character to one.
 *
 * MySQL maps in place: it stops at a byte that is no character, where a longer mapped character
 * does not fit into what the source had, and where it has overtaken the source; so do we. The 0900
 * collations use Unicode 9's mappings, the others an older table. */
#include "sql/charset/charset_int.h"

uint32_t case_map(const struct case_table *t, uint32_t cp, bool upper)
{
    if (cp >= 0x20000) {
        return cp;
    }
    uint8_t page = t->index[cp >> 8];
    if (page == 0xff) {
        return cp;
    }
    const struct case_pair *pair = &t->pages[page][cp & 0xff];
    return upper ? pair->upper : pair->lower;
}

/* The 0900 and unicode_520 collations know newer letters. */
static const struct case_table *case_table_of(const struct collation *c)
{
    bool newer = c->id >= COLL_UTF8MB4_0900_AI_CI || strstr(c->name, "_520_") != NULL;
    return newer ? &case_unicode900 : &case_unicode_default;
}

static db_err case_unicode(const struct collation *c, struct slice s, bool upper, struct buf *out)
{
    const struct case_table *t = case_table_of(c);
    TRY(buf_reserve(out, s.len + 4));
    const uint8_t *p = s.ptr;
    const uint8_t *end = s.ptr + s.len;
    size_t start = out->len;
    size_t limit = start + s.len;
    uint8_t first = upper ? 'a' : 'A';
    while (p < end) {
        if (*p < 0x80) {
            uint8_t ch = *p++;
            out->ptr[out->len++] = (uint8_t)((uint8_t)(ch - first) < 26 ? ch ^ 0x20 : ch);
            continue;
        }
        uint32_t cp;
        unsigned n = charset_decode(c->cs, p, end, &cp);
        if (n == 0) {
            break;
        }
        uint8_t enc[4];
        unsigned m = charset_encode(c->cs, case_map(t, cp, upper), enc);
        if (m == 0 || out->len + m > limit) {
            break;
        }
        memcpy(out->ptr + out->len, enc, m);
        out->len += m;
        p += n;
        if (out->len - start > (size_t)(p - s.ptr)) {
            break; /* MySQL maps in place: it has just written over what it would read next */
        }
    }
    return ERR_OK;
}

static db_err case_wide(const struct collation *c, struct slice s, bool upper, struct buf *out)
{
    const struct charset *cs = c->cs;
    const struct case_table *t = case_table_of(c);
    const uint8_t *end = s.ptr + s.len;
    for (const uint8_t *p = s.ptr; p < end;) {
        uint32_t cp;
        unsigned n = charset_decode(cs, p, end, &cp);
        if (n == 0) {
            return buf_append(out, p, (size_t)(end - p));
        }
        uint8_t enc[8];
        unsigned m = charset_encode(cs, case_map(t, cp, upper), enc);
        TRY(m == n ? buf_append(out, enc, m) : buf_append(out, p, n));
        p += n;
    }
    return ERR_OK;
}

static db_err case_any(const struct collation *c, struct slice s, bool upper, struct buf *out)
{
    const struct charset *cs = c->cs;
    if (cs->ops == &charset_utf8mb4_ops || cs->ops == &charset_utf8mb3_ops) {
        return case_unicode(c, s, upper, out);
    }
    if (cs->minlen > 1) {
        return case_wide(c, s, upper, out);
    }
    if (cs->ops == &charset_multi_ops) {
        return multi_byte_case(cs, s, upper, out);
    }
    if (cs->ops != &charset_single_ops && cs->ops != &charset_ascii_ops) {
        return buf_append_slice(out, s);
    }
    const struct single_byte *t = cs->data;
    const uint8_t *map = upper ? t->upper : t->lower;
    TRY(buf_reserve(out, s.len));
    for (size_t i = 0; i < s.len; i++) {
        out->ptr[out->len + i] = map[s.ptr[i]];
    }
    out->len += s.len;
    return ERR_OK;
}

db_err collation_upper(const struct collation *c, struct slice s, struct buf *out)
{
    return case_any(c, s, true, out);
}

db_err collation_lower(const struct collation *c, struct slice s, struct buf *out)
{
    return case_any(c, s, false, out);
}
