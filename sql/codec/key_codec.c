/* Key columns as bytes that sort.
 *
 *   integers      big endian, sign bit flipped for signed ones, as wide as the type: 1, 2, 3, 4 or
 * 8 bytes doubles       the IEEE bits; negative ones inverted, others with the sign bit set; -0 is
 * 0 DECIMAL(p,s)  the number times 10^s as an integer of decimal_fixed_size(p) bytes, big endian,
 * sign bit flipped temporals     8 bytes like an integer (DATE: the upper 4 bytes of year, month
 * and day) bytewise text 0x00 becomes 00 ff, end is 00 01: nothing is longer than needed, and a
 * shorter text sorts first 0900 weights  weights of two bytes, never 0000; each level ends with
 * 0000 PAD SPACE     groups of 8 weight bytes, each followed by a marker that compares what comes
 * next with endless spaces: 1 less, 2 the end (all spaces), 3 greater; so that 'a' sorts between
 * 'a\t' and 'ab'
 *
 * Nullable columns have a byte before: 00 NULL (and nothing more), 01 a value. Descending columns
 * invert every byte. */
#include "sql/codec/key_codec.h"

#include <string.h>

#include "base/assert.h"

enum encoding {
    ENC_INT,
    ENC_DOUBLE,
    ENC_DECIMAL,
    ENC_TIME,
    ENC_DATE,
    ENC_BYTES,
    ENC_WEIGHTS_NO_PAD, /* two-byte weights with levels */
    ENC_WEIGHTS_PAD,
};

enum {
    MARK_NULL = 0,
    MARK_VALUE = 1,
    PAD_GROUP = 8,
    PAD_LESS = 1,
    PAD_END = 2,
    PAD_GREATER = 3,
    KEY_VALUE_MAX = 1 << 20
};

static unsigned int_size(const struct sql_type *t)
{
    switch ((int)t->id) {
    case TYPE_TINYINT: return 1;
    case TYPE_SMALLINT:
    case TYPE_YEAR:
    case TYPE_ENUM: return 2;
    case TYPE_MEDIUMINT: return 3;
    case TYPE_INT: return 4;
    case TYPE_BIT: return (t->length + 7) / 8;
    default: return 8;
    }
}

db_err key_column_init(struct key_column *kc, const struct sql_type *type, uint32_t prefix_length,
                       bool desc, bool nullable)
{
    struct key_column r = {
        .type = type, .prefix_length = prefix_length, .desc = desc, .nullable = nullable};
    switch (type_phys(type)) {
    case PHYS_INT:
        r.encoding = ENC_INT;
        r.fixed_size = (uint8_t)int_size(type);
        break;
    case PHYS_DOUBLE:
        r.encoding = ENC_DOUBLE;
        r.fixed_size = 8;
        break;
    case PHYS_DECIMAL:
        r.encoding = ENC_DECIMAL;
        r.fixed_size = (uint8_t)decimal_fixed_size(type->length);
        break;
    case PHYS_TIME:
        r.encoding = type->id == TYPE_DATE ? ENC_DATE : ENC_TIME;
        r.fixed_size = type->id == TYPE_DATE ? 3 : 8;
        break;
    case PHYS_STR:
        if (!type_is_string(type)) {
            return ERR_UNSUPPORTED;
        }
        r.collation = collation_by_id(type->collation);
        if (r.collation == NULL || r.collation->ops == NULL) {
            return ERR_UNSUPPORTED;
        }
        r.encoding = collation_is_bytewise(r.collation)     ? ENC_BYTES
                     : r.collation->pad == COLLATION_NO_PAD ? ENC_WEIGHTS_NO_PAD
                                                            : ENC_WEIGHTS_PAD;
        break;
    case PHYS__COUNT: return ERR_UNSUPPORTED;
    }
    *kc = r;
    return ERR_OK;
}

bool key_column_reversible(const struct key_column *kc)
{
    return kc->fixed_size != 0 || (kc->encoding == ENC_BYTES && kc->prefix_length == 0);
}

/* ---- encode ---- */

static inline void put_be(uint8_t *out, uint64_t v, unsigned size)
{
    v = __builtin_bswap64(v << (64 - 8 * size));
    uint8_t b[8];
    memcpy(b, &v, 8);
    memcpy(out, b, size);
}

static inline uint64_t get_be(const uint8_t *in, unsigned size)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        v = v << 8 | in[i];
    }
    return v;
}

static inline void invert(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)~p[i];
    }
}

static uint64_t double_bits(double d)
{
    uint64_t bits;
    d = d == 0 ? 0 : d;
    memcpy(&bits, &d, 8);
    return (bits >> 63) != 0 ? ~bits : bits | 1ull << 63;
}

static double double_of_bits(uint64_t bits)
{
    bits = (bits >> 63) != 0 ? bits & ~(1ull << 63) : ~bits;
    double d;
    memcpy(&d, &bits, 8);
    return d;
}

static void put_fixed(const struct key_column *kc, const void *data, uint8_t *out)
{
    unsigned size = kc->fixed_size;
    switch ((enum encoding)kc->encoding) {
    case ENC_INT: {
        uint64_t v = *(const uint64_t *)data;
        if (!type_is_unsigned(kc->type)) {
            v ^= 1ull << (8 * size - 1);
        }
        put_be(out, v, size);
        break;
    }
    case ENC_DOUBLE: put_be(out, double_bits(*(const double *)data), 8); break;
    case ENC_TIME: put_be(out, *(const uint64_t *)data ^ 1ull << 63, 8); break;
    case ENC_DATE: /* year, month and day: 23 bits, above 37 of the time of day */
        put_be(out, *(const uint64_t *)data >> 37, 3);
        break;
    case ENC_DECIMAL: {
        uint8_t le[32];
        decimal_to_fixed(data, kc->type->length, kc->type->decimals, le);
        le[size - 1] ^= 0x80;
        for (unsigned i = 0; i < size; i++) {
            out[i] = le[size - 1 - i];
        }
        break;
    }
    case ENC_BYTES:
    case ENC_WEIGHTS_NO_PAD:
    case ENC_WEIGHTS_PAD: ASSERT(false); /* text has no fixed size */
    }
}

static struct slice key_prefix(const struct key_column *kc, struct slice s)
{
    if (kc->prefix_length != 0 && s.len > kc->prefix_length) {
        s = charset_substring(kc->collation->cs, s, 0, kc->prefix_length);
    }
    return s;
}

static db_err put_bytes(struct slice s, struct buf *out)
{
    const uint8_t *p = s.ptr;
    const uint8_t *end = p + s.len;
    TRY(buf_reserve(out, s.len + 2));
    while (p < end) {
        const uint8_t *zero = memchr(p, 0, (size_t)(end - p));
        size_t n = zero == NULL ? (size_t)(end - p) : (size_t)(zero - p) + 1;
        TRY(buf_append(out, p, n));
        if (zero != NULL) {
            TRY(buf_append_u8(out, 0xff));
        }
        p += n;
    }
    return buf_append(out, "\x00\x01", 2);
}

/* What the weights from `at` on are against endless spaces. */
static uint8_t pad_marker(struct slice w, size_t at, const uint8_t *space, unsigned unit)
{
    for (size_t i = at; i < w.len; i++) {
        uint8_t s = space[i % unit];
        if (w.ptr[i] != s) {
            return w.ptr[i] < s ? PAD_LESS : PAD_GREATER;
        }
    }
    return PAD_END;
}

static db_err put_padded(const struct key_column *kc, struct slice s, struct buf *out)
{
    /* The weight string goes behind the place where its groups will stand, and is then spread out.
     */
    size_t start = out->len;
    TRY(collation_sort_key(kc->collation, s, out));
    size_t len = out->len - start;
    size_t groups = len / PAD_GROUP + 1;
    if (len % PAD_GROUP == 0 && len > 0) {
        groups = len / PAD_GROUP;
    }
    uint8_t space[4];
    unsigned unit = collation_pad_weight(kc->collation, space);
    size_t size = groups * (PAD_GROUP + 1);
    TRY(buf_reserve(out, size));
    uint8_t *base = out->ptr + start;
    memmove(base + size, base,
            len); /* weights now stand behind the result: reserve has made room for both */
    struct slice w = {base + size, len};
    for (size_t g = 0; g < groups; g++) {
        uint8_t *o = base + g * (PAD_GROUP + 1);
        for (size_t i = 0; i < PAD_GROUP; i++) {
            size_t at = g * PAD_GROUP + i;
            o[i] = at < len ? w.ptr[at] : space[at % unit];
        }
        o[PAD_GROUP] = pad_marker(w, (g + 1) * PAD_GROUP, space, unit);
    }
    out->len = start + size;
    return ERR_OK;
}

static db_err put_text(const struct key_column *kc, struct slice s, struct buf *out)
{
    s = key_prefix(kc, s);
    switch ((int)kc->encoding) {
    case ENC_BYTES: return put_bytes(s, out);
    case ENC_WEIGHTS_NO_PAD:
        TRY(collation_sort_key(kc->collation, s, out));
        return buf_append(out, "\0\0", 2);
    default: return put_padded(kc, s, out);
    }
}

static db_err encode(const struct key_column *kc, const void *data, struct slice text,
                     struct buf *out)
{
    size_t start = out->len;
    if (kc->fixed_size != 0) {
        TRY(buf_reserve(out, (size_t)kc->fixed_size + 1));
        uint8_t *o = out->ptr + out->len;
        if (kc->nullable) {
            *o++ = MARK_VALUE;
        }
        put_fixed(kc, data, o);
        out->len += (size_t)kc->fixed_size + kc->nullable;
    } else {
        if (kc->nullable) {
            TRY(buf_append_u8(out, MARK_VALUE));
        }
        TRY(put_text(kc, text, out));
    }
    if (kc->desc) {
        invert(out->ptr + start, out->len - start);
    }
    return ERR_OK;
}

db_err key_encode_null(const struct key_column *kc, struct buf *out)
{
    ASSERT(kc->nullable);
    return buf_append_u8(out, kc->desc ? (uint8_t)~MARK_NULL : MARK_NULL);
}

db_err key_encode(const struct key_column *kc, const struct value *v, struct buf *out)
{
    if (v->is_null) {
        return key_encode_null(kc, out);
    }
    ASSERT_SLOW(v->phys == type_phys(kc->type));
    return v->phys == PHYS_STR ? encode(kc, NULL, v->str, out)
                               : encode(kc, &v->i, SLICE_EMPTY, out);
}

db_err key_encode_row(const struct key_column *kc, const struct vector *vec, uint32_t row,
                      struct buf *out)
{
    if (vec_is_null(vec, row)) {
        return key_encode_null(kc, out);
    }
    switch ((enum phys_kind)vec->phys) {
    case PHYS_STR: return encode(kc, NULL, vec_str(vec, row), out);
    case PHYS_DECIMAL: return encode(kc, vec_decimal(vec, row), SLICE_EMPTY, out);
    case PHYS_INT:
    case PHYS_TIME:
    case PHYS_DOUBLE: return encode(kc, vec_i64s(vec) + vec_at(vec, row), SLICE_EMPTY, out);
    case PHYS__COUNT: break;
    }
    return ERR_INVALID;
}

/* ---- decode ---- */

static inline uint8_t byte_at(const struct key_column *kc, struct slice s, size_t i)
{
    return kc->desc ? (uint8_t)~s.ptr[i] : s.ptr[i];
}

/* Takes the marker. */
static db_err take_marker(const struct key_column *kc, struct slice *io, bool *ret_null)
{
    *ret_null = false;
    if (!kc->nullable) {
        return ERR_OK;
    }
    if (io->len == 0) {
        return ERR_CORRUPT;
    }
    uint8_t mark = byte_at(kc, *io, 0);
    if (mark > MARK_VALUE) {
        return ERR_CORRUPT;
    }
    *ret_null = mark == MARK_NULL;
    *io = slice_from(*io, 1);
    return ERR_OK;
}

/* Bytes of a text's encoding. */
static db_err text_length(const struct key_column *kc, struct slice s, size_t *ret_len)
{
    if (kc->encoding == ENC_BYTES) {
        for (size_t i = 0; i + 1 < s.len; i++) {
            if (byte_at(kc, s, i) == 0) {
                if (byte_at(kc, s, i + 1) == 1) {
                    *ret_len = i + 2;
                    return ERR_OK;
                }
                i++;
            }
        }
        return ERR_CORRUPT;
    }
    if (kc->encoding == ENC_WEIGHTS_NO_PAD) {
        unsigned left = collation_levels(kc->collation);
        for (size_t i = 0; i + 1 < s.len; i += 2) {
            if (byte_at(kc, s, i) == 0 && byte_at(kc, s, i + 1) == 0 && --left == 0) {
                *ret_len = i + 2;
                return ERR_OK;
            }
        }
        return ERR_CORRUPT;
    }
    for (size_t i = PAD_GROUP; i < s.len; i += PAD_GROUP + 1) {
        if (byte_at(kc, s, i) == PAD_END) {
            *ret_len = i + 1;
            return ERR_OK;
        }
    }
    return ERR_CORRUPT;
}

db_err key_skip(const struct key_column *kc, struct slice *io)
{
    bool is_null;
    struct slice s = *io;
    TRY(take_marker(kc, &s, &is_null));
    size_t len = is_null ? 0 : kc->fixed_size;
    if (!is_null && len == 0) {
        TRY(text_length(kc, s, &len));
    }
    if (s.len < len) {
        return ERR_CORRUPT;
    }
    *io = slice_from(s, len);
    return ERR_OK;
}

static void get_fixed(const struct key_column *kc, const uint8_t *in, struct value *ret)
{
    unsigned size = kc->fixed_size;
    switch ((enum encoding)kc->encoding) {
    case ENC_INT: {
        uint64_t v = get_be(in, size);
        if (!type_is_unsigned(kc->type)) {
            unsigned shift = 64 - 8 * size;
            v ^= 1ull << (8 * size - 1);
            v = (uint64_t)((int64_t)(v << shift) >> shift);
        }
        ret->u = v;
        break;
    }
    case ENC_DOUBLE: ret->d = double_of_bits(get_be(in, 8)); break;
    case ENC_TIME: ret->u = get_be(in, 8) ^ 1ull << 63; break;
    case ENC_DATE: ret->u = get_be(in, 3) << 37; break;
    case ENC_DECIMAL: {
        uint8_t le[32];
        for (unsigned i = 0; i < size; i++) {
            le[i] = in[size - 1 - i];
        }
        le[size - 1] ^= 0x80;
        decimal_from_fixed(le, kc->type->length, kc->type->decimals, &ret->dec);
        break;
    }
    case ENC_BYTES:
    case ENC_WEIGHTS_NO_PAD:
    case ENC_WEIGHTS_PAD: ASSERT(false); /* text has no fixed size */
    }
}

/* The text of `len` encoded bytes, without its end mark. Borrows when nothing is escaped or
 * inverted. */
static db_err get_bytes(const struct key_column *kc, struct slice s, size_t len,
                        struct arena *arena, struct slice *ret)
{
    struct slice body = {s.ptr, len - 2};
    if (!kc->desc && memchr(body.ptr, 0, body.len) == NULL) {
        *ret = body;
        return ERR_OK;
    }
    uint8_t *out = arena_alloc(arena, body.len);
    if (out == NULL) {
        return ERR_NOMEM;
    }
    size_t n = 0;
    for (size_t i = 0; i < body.len; i++) {
        out[n] = byte_at(kc, body, i);
        i += out[n] == 0; /* its 0xff */
        n++;
    }
    *ret = slice_of(out, n);
    return ERR_OK;
}

db_err key_decode(const struct key_column *kc, struct slice *io, struct arena *arena,
                  struct value *ret)
{
    if (!key_column_reversible(kc)) {
        return ERR_UNSUPPORTED;
    }
    struct slice s = *io;
    bool is_null;
    TRY(take_marker(kc, &s, &is_null));
    if (is_null) {
        value_set_null(ret, kc->type);
        *io = s;
        return ERR_OK;
    }
    struct value v;
    value_tag(&v, kc->type);
    size_t len = kc->fixed_size;
    if (len != 0) {
        if (s.len < len) {
            return ERR_CORRUPT;
        }
        uint8_t copy[32];
        memcpy(copy, s.ptr, len);
        if (kc->desc) {
            invert(copy, len);
        }
        get_fixed(kc, copy, &v);
    } else {
        TRY(text_length(kc, s, &len));
        TRY(get_bytes(kc, s, len, arena, &v.str));
    }
    *ret = v;
    *io = slice_from(s, len);
    return ERR_OK;
}

db_err key_decode_row(const struct key_column *kc, struct slice *io, struct vector *vec,
                      uint32_t row)
{
    struct value v;
    TRY(key_decode(kc, io, vec->arena, &v));
    return vector_set(vec, row, &v);
}
