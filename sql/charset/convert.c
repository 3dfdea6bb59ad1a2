/* Text from one charset to another.
 *
 * Between the charsets that have ops it goes character by character through Unicode, with
 * whole-string short cuts for ASCII and for UTF-8 to UTF-8. What has no ops is read and written
 * through ICU's converters, one character at a time as well: it is the rare case, and the counting
 * of what was lost stays the same. */
#include "sql/charset/charset_int.h"

#include <unicode/ucnv.h>

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

struct side {
    const struct charset *cs;
    UConverter *icu; /* NULL: cs->ops work */
};

static db_err side_open(struct side *side, const struct charset *cs)
{
    side->cs = cs;
    side->icu = NULL;
    if (cs->ops != NULL) {
        return ERR_OK;
    }
    if (cs->icu_name == NULL) {
        return ERR_UNSUPPORTED;
    }
    UErrorCode status = U_ZERO_ERROR;
    side->icu = ucnv_open(cs->icu_name, &status);
    if (U_FAILURE(status)) {
        return status == U_MEMORY_ALLOCATION_ERROR ? ERR_NOMEM : ERR_UNSUPPORTED;
    }
    ucnv_setFromUCallBack(side->icu, UCNV_FROM_U_CALLBACK_STOP, NULL, NULL, NULL, &status);
    ucnv_setToUCallBack(side->icu, UCNV_TO_U_CALLBACK_STOP, NULL, NULL, NULL, &status);
    return ERR_OK;
}

static void side_close(struct side *side)
{
    if (side->icu != NULL) {
        ucnv_close(side->icu);
    }
}

/* Takes one character; false for bytes that are none (at least one byte is taken). */
static bool side_take(struct side *side, const uint8_t **p, const uint8_t *end, uint32_t *ret_cp)
{
    if (side->icu == NULL) {
        unsigned n = charset_decode(side->cs, *p, end, ret_cp);
        *p += n == 0 ? 1 : n;
        return n != 0;
    }
    const char *src = (const char *)*p;
    UErrorCode status = U_ZERO_ERROR;
    ucnv_resetToUnicode(side->icu);
    UChar32 cp = ucnv_getNextUChar(side->icu, &src, (const char *)end, &status);
    if (src == (const char *)*p) {
        src++;
    }
    *p = (const uint8_t *)src;
    *ret_cp = (uint32_t)cp;
    return U_SUCCESS(status);
}

static db_err side_put(struct side *side, uint32_t cp, struct buf *out, bool *ret_known)
{
    uint8_t enc[16];
    unsigned n = 0;
    if (side->icu == NULL) {
        n = charset_encode(side->cs, cp, enc);
    } else {
        UChar units[2];
        const UChar *src = units;
        int32_t count = 0;
        if (cp > 0xffff) {
            units[count++] = (UChar)(0xd7c0 + (cp >> 10));
            units[count++] = (UChar)(0xdc00 | (cp & 0x3ff));
        } else {
            units[count++] = (UChar)cp;
        }
        char *dst = (char *)enc;
        UErrorCode status = U_ZERO_ERROR;
        ucnv_resetFromUnicode(side->icu);
        ucnv_fromUnicode(side->icu, &dst, (char *)enc + sizeof(enc), &src, units + count, NULL,
                         true, &status);
        n = U_SUCCESS(status) ? (unsigned)((uint8_t *)dst - enc) : 0;
    }
    *ret_known = n != 0;
    return n == 0 ? ERR_OK : buf_append(out, enc, n);
}

static db_err convert_chars(struct side *from, struct slice s, struct side *to, struct buf *out,
                            size_t *ret_lossy)
{
    const uint8_t *p = s.ptr;
    const uint8_t *end = s.ptr + s.len;
    size_t lossy = 0;
    while (p < end) {
        uint32_t cp = 0;
        bool known = side_take(from, &p, end, &cp);
        if (known) {
            TRY(side_put(to, cp, out, &known));
        }
        if (!known) {
            lossy++;
            TRY(side_put(to, '?', out, &known));
        }
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
    struct side src;
    struct side dst;
    TRY(side_open(&src, from));
    db_err err = side_open(&dst, to);
    if (err == ERR_OK) {
        size_t start = out->len;
        err = convert_chars(&src, s, &dst, out, ret_lossy);
        if (err != ERR_OK) {
            out->len = start;
        }
        side_close(&dst);
    }
    side_close(&src);
    return err;
}

db_err charset_convert_arena(const struct charset *from, struct slice s, const struct charset *to,
                             struct arena *arena, struct slice *ret, size_t *ret_lossy)
{
    if (unchanged(from, s, to)) {
        if (ret_lossy != NULL) {
            *ret_lossy = 0;
        }
        *ret = s;
        return ERR_OK;
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
