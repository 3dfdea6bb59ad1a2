/* Lookups of charsets and collations. The arrays are generated from the .def files; names are found
 * by binary search for charsets (they are in order) and by a walk for collations (a statement names
 * few; ids are the fast way). */
#include "sql/charset/charset_int.h"

const struct collation *collation_by_id(unsigned id)
{
    if (id >= COLL_ID_MAX || collation_index[id] == 0) {
        return NULL;
    }
    return &collation_table[collation_index[id] - 1];
}

const struct collation *collation_at(size_t index)
{
    return index < collation_table_count ? &collation_table[index] : NULL;
}

const struct charset *charset_at(size_t index)
{
    return index < charset_table_count ? &charset_table[index] : NULL;
}

const struct collation *collation_by_name(struct slice name)
{
    for (size_t i = 0; i < collation_table_count; i++) {
        if (slice_eq_nocase(slice_str(collation_table[i].name), name)) {
            return &collation_table[i];
        }
    }
    /* utf8_general_ci is utf8mb3_general_ci's older name. */
    if (name.len > 5 && slice_eq_nocase((struct slice){name.ptr, 5}, SLICE_LIT("utf8_"))) {
        struct slice tail = slice_from(name, 5);
        for (size_t i = 0; i < collation_table_count; i++) {
            struct slice full = slice_str(collation_table[i].name);
            if (slice_starts_with(full, SLICE_LIT("utf8mb3_")) &&
                slice_eq_nocase(slice_from(full, 8), tail)) {
                return &collation_table[i];
            }
        }
    }
    return NULL;
}

const struct charset *charset_by_name(struct slice name)
{
    if (slice_eq_nocase(name, SLICE_LIT("utf8"))) {
        name = SLICE_LIT("utf8mb3");
    }
    for (size_t i = 0; i < charset_table_count; i++) {
        if (slice_eq_nocase(slice_str(charset_table[i].name), name)) {
            return &charset_table[i];
        }
    }
    return NULL;
}

static db_err not_implemented(struct diag *diag, const char *what, const char *name)
{
    return diag_set_sql(diag, 1235, "42000", "This version of MySQL doesn't yet support '%s %s'",
                        what, name);
}

db_err collation_require(struct slice name, struct diag *diag,
                         const struct collation **ret_collation)
{
    const struct collation *c = collation_by_name(name);
    if (c == NULL) {
        return diag_set_sql(diag, 1273, "HY000", "Unknown collation: '%.*s'", SLICE_FMT(name));
    }
    if (c->ops == NULL) {
        return not_implemented(diag, "COLLATE", c->name);
    }
    *ret_collation = c;
    return ERR_OK;
}

db_err collation_require_id(unsigned id, struct diag *diag, const struct collation **ret_collation)
{
    const struct collation *c = collation_by_id(id);
    if (c == NULL) {
        return diag_set_sql(diag, 1273, "HY000", "Unknown collation: '#%u'", id);
    }
    if (c->ops == NULL) {
        return not_implemented(diag, "COLLATE", c->name);
    }
    *ret_collation = c;
    return ERR_OK;
}

db_err charset_require(struct slice name, struct diag *diag, const struct charset **ret_cs)
{
    const struct charset *cs = charset_by_name(name);
    if (cs == NULL) {
        return diag_set_sql(diag, 1115, "42000", "Unknown character set: '%.*s'", SLICE_FMT(name));
    }
    if (cs->ops == NULL) {
        return not_implemented(diag, "CHARACTER SET", cs->name);
    }
    *ret_cs = cs;
    return ERR_OK;
}

const struct collation *charset_bin_collation(const struct charset *cs)
{
    if (cs->ops == &charset_binary_ops) {
        return collation_by_id(COLL_BINARY);
    }
    size_t len = strlen(cs->name);
    for (size_t i = 0; i < collation_table_count; i++) {
        const struct collation *c = &collation_table[i];
        if (c->cs == cs && strcmp(c->name + len, "_bin") == 0) {
            return c;
        }
    }
    return NULL;
}

bool collation_is_bytewise(const struct collation *c)
{
    return c->ops == &collation_bytes_ops;
}

struct slice charset_trim_space(struct slice s)
{
    while (s.len > 0 && s.ptr[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}

struct slice charset_trim_pad(const struct charset *cs, struct slice s)
{
    if (cs->minlen == 1) {
        return charset_trim_space(s);
    }
    uint8_t space[8];
    unsigned n = charset_encode(cs, ' ', space);
    while (s.len >= n && memcmp(s.ptr + s.len - n, space, n) == 0) {
        s.len -= n;
    }
    return s;
}

db_err charset_pad(const struct charset *cs, struct slice s, size_t chars, struct arena *arena,
                   struct slice *ret)
{
    size_t count = cs->maxlen == 1 ? s.len : charset_char_count(cs, s);
    uint8_t space[8];
    if (count >= chars) {
        *ret = s;
        return ERR_OK;
    }
    unsigned unit = charset_encode(cs, ' ', space);
    size_t len = s.len + (chars - count) * unit;
    uint8_t *p = arena_alloc(arena, len);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    if (s.len != 0) {
        memcpy(p, s.ptr, s.len);
    }
    for (size_t at = s.len; at < len; at += unit) {
        memcpy(p + at, space, unit);
    }
    *ret = slice_of(p, len);
    return ERR_OK;
}

const uint8_t *charset_find_mark(const struct charset *cs, struct slice s, char mark)
{
    if (cs->minlen == 1) {
        return s.len == 0 ? NULL : memchr(s.ptr, mark, s.len);
    }
    uint8_t bytes[8];
    unsigned n = charset_encode(cs, (uint8_t)mark, bytes);
    for (size_t i = 0; i + n <= s.len; i += n) {
        if (memcmp(s.ptr + i, bytes, n) == 0) {
            return s.ptr + i;
        }
    }
    return NULL;
}

unsigned collation_pad_weight(const struct collation *c, uint8_t out[4])
{
    uint32_t w = ' ';
    unsigned n = 1;
    if (c->ops == &collation_single_ops) {
        w = ((const uint8_t *)c->data)[' '];
    } else if (c->ops == &collation_general_ops || c->ops == &collation_cp_general_ops) {
        n = 2;
    } else if (c->ops == &collation_cp_bin_ops) {
        n = c->cs->ops == &charset_ucs2_ops ? 2 : 3;
    } else if (c->ops == &collation_uca_pad_ops || c->ops == &collation_uca_ops) {
        n = 2;
        w = ((const struct uca_table *)c->data)->ascii[' '];
    }
    for (unsigned i = 0; i < n; i++) {
        out[i] = (uint8_t)(w >> 8 * (n - 1 - i));
    }
    return n;
}

unsigned collation_levels(const struct collation *c)
{
    return c->ops == &collation_uca_ops ? ((const struct uca_table *)c->data)->levels : 1;
}

static db_err put_weight(struct buf *out, uint32_t w, unsigned bytes)
{
    for (unsigned i = bytes; i > 0; i--) {
        TRY(buf_append_u8(out, (uint8_t)(w >> 8 * (i - 1))));
    }
    return ERR_OK;
}

static db_err code_point_weights(const struct charset *cs, struct slice s, struct buf *out)
{
    for (size_t at = 0; at < s.len;) {
        uint32_t cp;
        unsigned n = charset_decode(cs, s.ptr + at, s.ptr + s.len, &cp);
        if (n == 0) {
            break;
        }
        TRY(put_weight(out, cp, cs->maxlen == 3 ? 2 : 3)); /* MYSQL: two for utf8mb3 */
        at += n;
    }
    return ERR_OK;
}

db_err collation_weight_string(const struct collation *c, struct slice s, struct buf *out)
{
    bool utf8 = c->cs->ops == &charset_utf8mb4_ops || c->cs->ops == &charset_utf8mb3_ops;
    if (c->pad == COLLATION_NO_PAD) {
        size_t start = out->len;
        TRY(collation_sort_key(c, s, out));
        /* MYSQL: a fourth level that is empty is not shown. */
        if (collation_levels(c) == 4 && out->len - start >= 2 && out->ptr[out->len - 1] == 0 &&
            out->ptr[out->len - 2] == 0) {
            out->len -= 2;
        }
        return ERR_OK;
    }
    if (c->ops == &collation_uca_pad_ops) {
        return collation__uca_weights(c, s, out);
    }
    if (c->ops == &collation_bin_ops && utf8) {
        return code_point_weights(c->cs, s, out);
    }
    if (c->ops == &collation_pass_ops) {
        return collation__pass_weights(c, s, out);
    }
    if (c->ops == &collation_single_ops) {
        for (size_t i = 0; i < s.len; i++) {
            TRY(buf_append_u8(out, ((const uint8_t *)c->data)[s.ptr[i]]));
        }
        return ERR_OK;
    }
    struct slice text = charset_trim_pad(c->cs, s);
    TRY(collation_sort_key(c, text, out));
    uint8_t space[4];
    unsigned unit = collation_pad_weight(c, space);
    for (size_t left = s.len - text.len; left > 0; left -= c->cs->minlen) {
        TRY(buf_append(out, space, unit));
    }
    return ERR_OK;
}
