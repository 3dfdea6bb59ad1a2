/* The 0900 family of collations: the Unicode Collation Algorithm 9.0.0 with MySQL's choices.
 *
 * Each character has a list of weights on each level (1: letters, 2: accents, 3: case); a string's
 * weights on a level are its characters' lists one after the other without the zeros. ai_ci has
 * level 1, as_ci 1 and 2, as_cs all three, Japanese with kana sensitivity a fourth. No
 * normalisation, no variable weighting, NO PAD. Han characters and unassigned ones have computed
 * weights. A character keeps at most 8 elements. Languages have tables of their own, and some of
 * them pairs: characters that weigh otherwise when they stand together.
 *
 * Where no pairs are, every character stands for itself: a common prefix of bytes can be skipped
 * before any weight is looked at, and the comparison of what follows is exact. ASCII letters take a
 * table of 128 primary weights; 0 there sends to the long way.
 *
 * The older unicode_ci family works the same way with one level and PAD SPACE, in any charset that
 * has Unicode's characters. */
#include "sql/charset/charset_int.h"
#include "sql/charset/hash.h"

struct uca_iter {
    const uint8_t *p;
    const uint8_t *end;
    const struct uca_table *table;
    const struct uca_level *lv;
    const struct charset *cs; /* NULL: UTF-8 */
    const uint16_t *list;     /* weights still to give */
    unsigned list_left;
    unsigned level;
    uint16_t pending[2];
};

/* A byte that belongs to no character sorts after everything else. */
enum { INVALID_WEIGHT = 0xffff };

static bool is_core_han(uint32_t cp)
{
    if (cp >= 0x4e00 && cp <= 0x9fd5) {
        return true;
    }
    return cp == 0xfa0e || cp == 0xfa0f || cp == 0xfa11 || cp == 0xfa13 || cp == 0xfa14 ||
           cp == 0xfa1f || cp == 0xfa21 || cp == 0xfa23 || cp == 0xfa24 ||
           (cp >= 0xfa27 && cp <= 0xfa29);
}

static bool is_other_han(uint32_t cp)
{
    return (cp >= 0x3400 && cp <= 0x4db5) || (cp >= 0x20000 && cp <= 0x2a6d6) ||
           (cp >= 0x2a700 && cp <= 0x2b734) || (cp >= 0x2b740 && cp <= 0x2b81d) ||
           (cp >= 0x2b820 && cp <= 0x2cea1);
}

/* Writes the weights of a character without table entry; returns their number. */
static unsigned implicit_weights(const struct uca_table *t, uint32_t cp, unsigned level,
                                 uint16_t out[2])
{
    if (level != 0) {
        out[0] = t->implicit[level];
        return out[0] != 0;
    }
    if (cp >= 0x17000 && cp <= 0x18aff) { /* Tangut */
        out[0] = 0xfb00;
        out[1] = (uint16_t)((cp - 0x17000) | 0x8000);
        return 2;
    }
    unsigned base = is_core_han(cp) ? 0xfb40 : is_other_han(cp) ? 0xfb80 : 0xfbc0;
    out[0] = (uint16_t)(base + (cp >> 15));
    out[1] = (uint16_t)((cp & 0x7fff) | 0x8000);
    return 2;
}

static inline uint32_t uca_entry(const struct uca_level *lv, uint32_t cp)
{
    return lv->pages[lv->index[cp >> 8]][cp & 0xff];
}

static inline const struct charset *uca_charset(const struct collation *c)
{
    bool utf8 = c->cs->ops == &charset_utf8mb4_ops || c->cs->ops == &charset_utf8mb3_ops;
    return utf8 ? NULL : c->cs;
}

static inline void uca_start(struct uca_iter *it, const struct charset *cs,
                             const struct uca_table *t, unsigned level, const uint8_t *p,
                             const uint8_t *end)
{
    it->cs = cs;
    it->p = p;
    it->end = end;
    it->table = t;
    it->level = level;
    it->lv = &t->level[level];
    it->list_left = 0;
}

static inline unsigned uca_decode(const struct uca_iter *it, const uint8_t *p, uint32_t *ret_cp)
{
    return LIKELY(it->cs == NULL) ? utf8mb4_decode(p, it->end, ret_cp)
                                  : charset_decode(it->cs, p, it->end, ret_cp);
}

static const struct uca_pair *find_pair(const struct uca_table *t, const uint32_t *cps)
{
    size_t lo = 0;
    size_t hi = t->pair_count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const uint32_t *at = t->pairs[mid].cps;
        int cmp = 0;
        for (unsigned i = 0; cmp == 0 && i < UCA_PAIR_MAX; i++) {
            cmp = (at[i] > cps[i]) - (at[i] < cps[i]);
        }
        if (cmp == 0) {
            return &t->pairs[mid];
        }
        if (cmp < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return NULL;
}

/* cp has been taken; when it begins a pair, the longest one is taken and its weights made next. */
static bool take_pair(struct uca_iter *it, uint32_t cp)
{
    uint32_t cps[UCA_PAIR_MAX] = {cp};
    const uint8_t *ends[UCA_PAIR_MAX] = {it->p};
    unsigned count = 1;
    for (; count < UCA_PAIR_MAX; count++) {
        unsigned n = uca_decode(it, ends[count - 1], &cps[count]);
        if (n == 0) {
            cps[count] = 0;
            break;
        }
        ends[count] = ends[count - 1] + n;
    }
    for (; count > 1; count--) {
        const struct uca_pair *pair = find_pair(it->table, cps);
        if (pair != NULL) {
            it->p = ends[count - 1];
            it->list = it->table->lists + pair->offset[it->level];
            it->list_left = pair->count[it->level];
            return true;
        }
        cps[count - 1] = 0;
    }
    return false;
}

/* The next weight, 0 at the end. */
static inline uint16_t uca_next(struct uca_iter *it)
{
    for (;;) {
        if (it->list_left != 0) {
            it->list_left--;
            return *it->list++;
        }
        uint32_t cp = 0;
        unsigned n = uca_decode(it, it->p, &cp);
        if (UNLIKELY(n == 0)) {
            if (it->p >= it->end) {
                return 0;
            }
            it->p++;
            return INVALID_WEIGHT;
        }
        it->p += n;
        if (UNLIKELY(it->table->pairs != NULL) &&
            (it->table->heads[cp >> 5 & 7] >> (cp & 31) & 1) != 0 && take_pair(it, cp)) {
            continue;
        }
        uint32_t e = uca_entry(it->lv, cp);
        if (LIKELY(e < UCA_IMPLICIT)) {
            if (e != 0) {
                return (uint16_t)e;
            }
            continue;
        }
        if ((e & UCA_LIST) != 0) {
            it->list = it->table->lists + (e & 0xfffff);
            it->list_left = e >> 20 & 0x7ff;
        } else {
            it->list_left = implicit_weights(it->table, cp, it->level, it->pending);
            it->list = it->pending;
        }
    }
}

static int uca_compare_level(const struct charset *cs, const struct uca_table *t, unsigned level,
                             struct slice a, struct slice b)
{
    struct uca_iter ia;
    struct uca_iter ib;
    uca_start(&ia, cs, t, level, a.ptr, a.ptr + a.len);
    uca_start(&ib, cs, t, level, b.ptr, b.ptr + b.len);
    for (;;) {
        uint16_t wa = uca_next(&ia);
        uint16_t wb = uca_next(&ib);
        if (wa != wb) {
            return wa < wb ? -1 : 1;
        }
        if (wa == 0) {
            return 0;
        }
    }
}

static int uca_compare(const struct collation *c, struct slice a, struct slice b)
{
    const struct uca_table *t = c->data;
    size_t skip = t->pairs == NULL ? utf8_common_prefix(a, b) : 0;
    a = slice_from(a, skip);
    b = slice_from(b, skip);
    if (a.len == 0 && b.len == 0) {
        return 0;
    }
    /* Plain ASCII, until something needs the slow way: an ignorable (weight 0) or a longer
     * character. */
    size_t max = a.len < b.len ? a.len : b.len;
    size_t i = 0;
    for (; i < max && a.ptr[i] < 0x80 && b.ptr[i] < 0x80; i++) {
        uint16_t wa = t->ascii[a.ptr[i]];
        uint16_t wb = t->ascii[b.ptr[i]];
        if (UNLIKELY(wa == 0 || wb == 0)) {
            break;
        }
        if (wa != wb) {
            return wa < wb ? -1 : 1;
        }
    }
    int cmp = uca_compare_level(NULL, t, 0, slice_from(a, i), slice_from(b, i));
    for (unsigned level = 1; cmp == 0 && level < t->levels; level++) {
        cmp = uca_compare_level(NULL, t, level, a, b);
    }
    return cmp;
}

bool collation__uca_begins(const struct collation *c, struct slice s, struct slice with)
{
    const struct uca_table *t = c->data;
    for (unsigned level = 0; level < t->levels; level++) {
        struct uca_iter is;
        struct uca_iter iw;
        uca_start(&is, uca_charset(c), t, level, s.ptr, s.ptr + s.len);
        uca_start(&iw, uca_charset(c), t, level, with.ptr, with.ptr + with.len);
        for (uint16_t w = uca_next(&iw); w != 0; w = uca_next(&iw)) {
            if (uca_next(&is) != w) {
                return false;
            }
        }
    }
    return true;
}

/* The weights of four ASCII characters, the first one's highest. 0: they do not all have one. */
static inline uint64_t ascii_weights(const struct uca_table *t, const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof(four));
    if ((four & 0x80808080u) != 0) {
        return 0;
    }
    uint64_t w = (uint64_t)t->ascii[p[0]] << 48 | (uint64_t)t->ascii[p[1]] << 32 |
                 (uint64_t)t->ascii[p[2]] << 16 | t->ascii[p[3]];
    bool has_zero = ((w - 0x0001000100010001u) & ~w & 0x8000800080008000u) != 0;
    return has_zero ? 0 : w;
}

/* Whole blocks of ASCII characters; how far it has come. */
static inline const uint8_t *hash_ascii(const struct uca_table *t, const uint8_t *p,
                                        const uint8_t *end, uint64_t *inout_h)
{
    uint64_t h = *inout_h;
    for (; end - p >= 4; p += 4) {
        uint64_t block = ascii_weights(t, p);
        if (block == 0) {
            break;
        }
        h = hash_mix(h, block);
    }
    *inout_h = h;
    return p;
}

static uint64_t uca_hash(const struct collation *c, struct slice s, uint64_t seed)
{
    const struct uca_table *t = c->data;
    uint64_t h = seed;
    for (unsigned level = 0; level < t->levels; level++) {
        uint64_t block = 0;
        unsigned n = 0;
        const uint8_t *p = s.ptr;
        const uint8_t *end = s.ptr + s.len;
        struct uca_iter it;
        for (;;) {
            uint16_t w;
            if (level == 0 && n == 0 && p != NULL) {
                p = hash_ascii(t, p, end, &h);
            }
            if (level == 0 && p != NULL && p < end && *p < 0x80 && t->ascii[*p] != 0) {
                w = t->ascii[*p++];
            } else {
                if (p != NULL) {
                    uca_start(&it, NULL, t, level, p, end);
                    p = NULL;
                }
                w = uca_next(&it);
                if (w == 0) {
                    break;
                }
                if (level == 0 && it.list_left == 0) {
                    p = it.p; /* back to the fast way */
                }
            }
            block = block << 16 | w;
            if (++n == 4) {
                h = hash_mix(h, block);
                block = 0;
                n = 0;
            }
        }
        h = hash_mix(h, block << 3 | n);
    }
    return h;
}

static db_err uca_sort_key(const struct collation *c, struct slice s, struct buf *out)
{
    const struct uca_table *t = c->data;
    for (unsigned level = 0; level < t->levels; level++) {
        if (level != 0) {
            TRY(buf_append(out, "\0\0", 2));
        }
        struct uca_iter it;
        uca_start(&it, NULL, t, level, s.ptr, s.ptr + s.len);
        if (level == 0) {
            TRY(buf_reserve(out, s.len * 2));
            uint8_t *o = out->ptr + out->len;
            for (; it.p < it.end && *it.p < 0x80 && t->ascii[*it.p] != 0; it.p++) {
                uint16_t w = t->ascii[*it.p];
                *o++ = (uint8_t)(w >> 8);
                *o++ = (uint8_t)w;
            }
            out->len = (size_t)(o - out->ptr);
        }
        for (uint16_t w = uca_next(&it); w != 0; w = uca_next(&it)) {
            TRY(buf_reserve(out, 2));
            out->ptr[out->len++] = (uint8_t)(w >> 8);
            out->ptr[out->len++] = (uint8_t)w;
        }
    }
    return ERR_OK;
}

static int uca_compare_char(const struct collation *c, uint32_t a, uint32_t b)
{
    if (a == b) {
        return 0;
    }
    uint8_t ua[8];
    uint8_t ub[8];
    struct slice sa = {ua, charset_encode(c->cs, a, ua)};
    struct slice sb = {ub, charset_encode(c->cs, b, ub)};
    const struct uca_table *t = c->data;
    const struct charset *cs = uca_charset(c);
    for (unsigned level = 0; level < t->levels; level++) {
        int cmp = uca_compare_level(cs, t, level, sa, sb);
        if (cmp != 0) {
            return cmp;
        }
    }
    return 0;
}

const struct collation_ops collation_uca_ops = {
    "uca900", uca_compare, uca_hash, uca_sort_key, uca_compare_char,
};

/* ---- PAD SPACE, one level ---- */

static int pad_compare(const struct collation *c, struct slice a, struct slice b)
{
    const struct uca_table *t = c->data;
    const struct charset *cs = uca_charset(c);
    if (cs == NULL && t->pairs == NULL) {
        size_t skip = utf8_common_prefix(a, b);
        a = slice_from(a, skip);
        b = slice_from(b, skip);
    }
    struct uca_iter ia;
    struct uca_iter ib;
    uca_start(&ia, cs, t, 0, a.ptr, a.ptr + a.len);
    uca_start(&ib, cs, t, 0, b.ptr, b.ptr + b.len);
    for (;;) {
        uint16_t wa = uca_next(&ia);
        uint16_t wb = uca_next(&ib);
        if (wa == 0 && wb == 0) {
            return 0;
        }
        wa = wa == 0 ? t->ascii[' '] : wa;
        wb = wb == 0 ? t->ascii[' '] : wb;
        if (wa != wb) {
            return wa < wb ? -1 : 1;
        }
    }
}

static uint64_t pad_hash(const struct collation *c, struct slice s, uint64_t seed)
{
    const struct uca_table *t = c->data;
    struct uca_iter it;
    uca_start(&it, uca_charset(c), t, 0, s.ptr, s.ptr + s.len);
    uint64_t h = hash_mix(seed, 0);
    unsigned spaces = 0; /* not yet hashed: they may be the last ones */
    for (uint16_t w = uca_next(&it); w != 0; w = uca_next(&it)) {
        if (w == t->ascii[' ']) {
            spaces++;
            continue;
        }
        for (; spaces > 0; spaces--) {
            h = hash_mix(h, t->ascii[' ']);
        }
        h = hash_mix(h, w);
    }
    return h;
}

db_err collation__uca_weights(const struct collation *c, struct slice s, struct buf *out)
{
    struct uca_iter it;
    uca_start(&it, uca_charset(c), c->data, 0, s.ptr, s.ptr + s.len);
    for (uint16_t w = uca_next(&it); w != 0; w = uca_next(&it)) {
        TRY(buf_reserve(out, 2));
        out->ptr[out->len++] = (uint8_t)(w >> 8);
        out->ptr[out->len++] = (uint8_t)w;
    }
    return ERR_OK;
}

static db_err pad_sort_key(const struct collation *c, struct slice s, struct buf *out)
{
    size_t start = out->len;
    uint8_t space[4];
    (void)collation_pad_weight(c, space);
    TRY(collation__uca_weights(c, s, out));
    while (out->len > start && memcmp(out->ptr + out->len - 2, space, 2) == 0) {
        out->len -= 2;
    }
    return ERR_OK;
}

const struct collation_ops collation_uca_pad_ops = {
    "uca", pad_compare, pad_hash, pad_sort_key, uca_compare_char,
};
