/* Text from one charset to another.
 *
 * It goes character by character through Unicode, with whole-string short cuts for ASCII and for
 * UTF-8 to UTF-8. */
#include "sql/charset/charset_int.h"

static bool is_utf8(const struct charset *cs)
{
    return cs->ops == &charset_utf8mb4_ops || cs->ops == &charset_utf8mb3_ops;
}

static bool is_binary(const struct charset *cs)
{
    return cs->ops == &charset_binary_ops;
}

/* True when the bytes are right in `to` as they are. */
static bool unchanged(const struct charset *from, struct slice s, const struct charset *to)
{
    if (from == to || is_binary(from) || is_binary(to)) {
        return true;
    }
    if (from->ascii_superset && to->ascii_superset && utf8_is_ascii(s)) {
        return true;
    }
    if (is_utf8(from) && is_utf8(to)) {
        return charset_valid(to, s) && charset_valid(from, s);
    }
    return false;
}

size_t charset_text_prefix(const struct charset *cs, struct slice s)
{
    size_t valid = cs->ops->valid_prefix(cs, s);
    uint32_t cp;
    for (size_t i = 0; cs->maxlen == 1 && i < valid; i++) {
        if (charset_decode(cs, s.ptr + i, s.ptr + s.len, &cp) == 0) {
            return i;
        }
    }
    return valid;
}

static db_err convert_chars(const struct charset *from, struct slice s, const struct charset *to,
                            struct buf *out, size_t *ret_lossy)
{
    const uint8_t *p = s.ptr;
    const uint8_t *end = s.ptr + s.len;
    size_t lossy = 0;
    while (p < end) {
        uint32_t cp;
        uint8_t enc[8];
        unsigned n = charset_decode(from, p, end, &cp);
        unsigned m = n == 0 ? 0 : charset_encode(to, cp, enc);
        p += n == 0 ? ((size_t)(end - p) < from->minlen ? (size_t)(end - p) : from->minlen) : n;
        if (m == 0) {
            lossy++;
            m = charset_encode(to, '?', enc);
        }
        TRY(buf_append(out, enc, m));
    }
    if (ret_lossy != NULL) {
        *ret_lossy = lossy;
    }
    return ERR_OK;
}

db_err charset_convert(const struct charset *from, struct slice s, const struct charset *to,
                       struct buf *out, size_t *ret_lossy)
{
    if (unchanged(from, s, to)) {
        if (ret_lossy != NULL) {
            *ret_lossy = 0;
        }
        return buf_append_slice(out, s);
    }
    size_t start = out->len;
    db_err err = convert_chars(from, s, to, out, ret_lossy);
    if (err != ERR_OK) {
        out->len = start;
    }
    return err;
}

db_err charset_whole_units(const struct charset *cs, struct slice s, struct arena *arena,
                           struct slice *ret)
{
    size_t missing = cs->minlen == 1 ? 0 : (cs->minlen - s.len % cs->minlen) % cs->minlen;
    if (missing == 0) {
        *ret = s;
        return ERR_OK;
    }
    uint8_t *p = arena_alloc(arena, s.len + missing);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    memset(p, 0, missing);
    memcpy(p + missing, s.ptr, s.len);
    *ret = slice_of(p, s.len + missing);
    return ERR_OK;
}

db_err charset_convert_arena(const struct charset *from, struct slice s, const struct charset *to,
                             struct arena *arena, struct slice *ret, size_t *ret_lossy)
{
    if (unchanged(from, s, to)) {
        if (ret_lossy != NULL) {
            *ret_lossy = 0;
        }
        return is_binary(from) ? charset_whole_units(to, s, arena, ret) : (*ret = s, ERR_OK);
    }
    struct buf b;
    buf_init(&b, SIZE_MAX / 2);
    db_err err = charset_convert(from, s, to, &b, ret_lossy);
    if (err == ERR_OK) {
        struct slice copy;
        err = arena_copy(arena, buf_slice(&b), &copy);
        if (err == ERR_OK) {
            *ret = copy;
        }
    }
    buf_fini(&b);
    return err;
}
