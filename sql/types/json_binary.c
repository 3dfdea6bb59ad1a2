/* The binary form of JSON.
 *
 *   document   tag, payload
 *   object     count, size, count x (name offset, name length), count x entry, names, values
 *   array      count, size, count x entry, values
 *   entry      tag, offset of the payload or the payload itself when it fits there
 *   string     length in groups of 7 bits (high bit: more), bytes
 *   opaque     wire type, length as above, bytes
 *
 * Numbers are little endian. Counts, sizes and offsets take 2 bytes in a small container and 4 in a
 * large one; a name's length takes 2. Offsets count from the container's own first byte, so that a
 * container's bytes can be copied into any other document as they are. Literals and integers of 16
 * bits stand in the entry, in large containers those of 32 bits too.
 *
 * DECIMAL, temporals and what has no JSON type are opaque: a decimal is precision, scale and the
 * groups of nine digits of MySQL's row format (a value takes as many bytes as in MySQL, which
 * JSON_STORAGE_SIZE shows); a temporal is its packed 64-bit integer. */
#include "sql/types/json_int.h"

#include <string.h>

#include "base/assert.h"

static uint32_t get_size(const uint8_t *p, bool large)
{
    return large ? json__get32(p) : json__get16(p);
}

uint32_t json__varlen(const uint8_t *p, uint32_t *ret)
{
    uint32_t len = 0;
    for (uint32_t i = 0; i < 5; i++) {
        len |= (uint32_t)(p[i] & 0x7f) << (7 * i);
        if ((p[i] & 0x80) == 0) {
            *ret = len;
            return i + 1;
        }
    }
    *ret = 0;
    return 5;
}

static uint8_t opaque_type(uint8_t wire)
{
    switch (wire) {
    case WIRE_TYPE_NEWDECIMAL: return JSON_DECIMAL;
    case WIRE_TYPE_DATE: return JSON_DATE;
    case WIRE_TYPE_TIME: return JSON_TIME;
    case WIRE_TYPE_TIMESTAMP:
    case WIRE_TYPE_DATETIME: return JSON_DATETIME;
    default: return JSON_OPAQUE;
    }
}

static struct json_view make_view(uint8_t tag, const uint8_t *ptr, uint32_t len)
{
    struct json_view v = {.tag = tag, .ptr = ptr, .len = len};
    switch (tag) {
    case JSON_TAG_SMALL_OBJECT:
    case JSON_TAG_LARGE_OBJECT: v.type = JSON_OBJECT; break;
    case JSON_TAG_SMALL_ARRAY:
    case JSON_TAG_LARGE_ARRAY: v.type = JSON_ARRAY; break;
    case JSON_TAG_INT16:
    case JSON_TAG_INT32:
    case JSON_TAG_INT64: v.type = JSON_INT; break;
    case JSON_TAG_UINT16:
    case JSON_TAG_UINT32:
    case JSON_TAG_UINT64: v.type = JSON_UINT; break;
    case JSON_TAG_DOUBLE: v.type = JSON_DOUBLE; break;
    case JSON_TAG_STRING: v.type = JSON_STRING; break;
    case JSON_TAG_OPAQUE: v.type = opaque_type(ptr[0]); break;
    default: v.type = ptr[0] == JSON_LITERAL_NULL ? JSON_NULL : JSON_BOOLEAN; break;
    }
    return v;
}

struct json_view json_view_of(struct slice document)
{
    static const uint8_t null = JSON_LITERAL_NULL;
    if (document.len < 2) {
        return make_view(JSON_TAG_LITERAL, &null, 1);
    }
    return make_view(document.ptr[0], document.ptr + 1, (uint32_t)document.len - 1);
}

uint32_t json_count(const struct json_view *v)
{
    return json_is_container(v) ? get_size(v->ptr, json__large(v->tag)) : 1;
}

bool json__inlined(uint8_t tag, bool large)
{
    return tag == JSON_TAG_LITERAL || tag == JSON_TAG_INT16 || tag == JSON_TAG_UINT16 ||
           (large && (tag == JSON_TAG_INT32 || tag == JSON_TAG_UINT32));
}

struct json_view json_at(const struct json_view *v, uint32_t i)
{
    bool large = json__large(v->tag);
    uint32_t width = large ? 4 : 2;
    uint32_t count = get_size(v->ptr, large);
    ASSERT(json_is_container(v) && i < count);
    uint32_t names = v->type == JSON_OBJECT ? count * (width + 2) : 0;
    const uint8_t *entry = v->ptr + 2 * width + names + i * (1 + width);
    if (json__inlined(entry[0], large)) {
        return make_view(entry[0], entry + 1, width);
    }
    uint32_t at = get_size(entry + 1, large);
    return make_view(entry[0], v->ptr + at, get_size(v->ptr + width, large) - at);
}

struct slice json_key_at(const struct json_view *v, uint32_t i)
{
    bool large = json__large(v->tag);
    uint32_t width = large ? 4 : 2;
    const uint8_t *entry = v->ptr + 2 * width + i * (width + 2);
    return slice_of(v->ptr + get_size(entry, large), json__get16(entry + width));
}

bool json_member(const struct json_view *v, struct slice key, struct json_view *ret)
{
    if (v->type != JSON_OBJECT) {
        return false;
    }
    uint32_t low = 0;
    uint32_t high = json_count(v);
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int c = json_key_cmp(json_key_at(v, mid), key);
        if (c == 0) {
            *ret = json_at(v, mid);
            return true;
        }
        if (c < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return false;
}

int64_t json_int(const struct json_view *v)
{
    switch (v->tag) {
    case JSON_TAG_INT16: return (int16_t)json__get16(v->ptr);
    case JSON_TAG_UINT16: return (int64_t)json__get16(v->ptr);
    case JSON_TAG_INT32: return (int32_t)json__get32(v->ptr);
    case JSON_TAG_UINT32: return (int64_t)json__get32(v->ptr);
    default: return (int64_t)json__get64(v->ptr);
    }
}

double json_double(const struct json_view *v)
{
    uint64_t bits = json__get64(v->ptr);
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

bool json_bool(const struct json_view *v)
{
    return v->ptr[0] == JSON_LITERAL_TRUE;
}

struct slice json_str(const struct json_view *v)
{
    const uint8_t *p = v->tag == JSON_TAG_OPAQUE ? v->ptr + 1 : v->ptr;
    uint32_t len;
    uint32_t n = json__varlen(p, &len);
    return slice_of(p + n, len);
}

uint8_t json_opaque_wire(const struct json_view *v)
{
    return v->ptr[0];
}

int64_t json_time(const struct json_view *v)
{
    return (int64_t)json__get64(json_str(v).ptr);
}

double json_number(const struct json_view *v)
{
    struct decimal d;
    switch ((int)v->type) {
    case JSON_INT: return (double)json_int(v);
    case JSON_UINT: return (double)(uint64_t)json_int(v);
    case JSON_DOUBLE: return json_double(v);
    case JSON_DECIMAL: json_decimal(v, &d); return decimal_to_double(&d);
    default: return 0;
    }
}

uint32_t json_depth(const struct json_view *v)
{
    uint32_t deepest = 0;
    for (uint32_t i = 0; json_is_container(v) && i < json_count(v); i++) {
        struct json_view child = json_at(v, i);
        uint32_t d = json_depth(&child);
        deepest = d > deepest ? d : deepest;
    }
    return deepest + 1;
}

uint32_t json__payload(const struct json_view *v)
{
    if (json_is_container(v)) {
        bool large = json__large(v->tag);
        return get_size(v->ptr + (large ? 4 : 2), large);
    }
    switch (v->tag) {
    case JSON_TAG_LITERAL: return 1;
    case JSON_TAG_INT16:
    case JSON_TAG_UINT16: return 2;
    case JSON_TAG_INT32:
    case JSON_TAG_UINT32: return 4;
    case JSON_TAG_STRING:
    case JSON_TAG_OPAQUE: {
        struct slice s = json_str(v);
        return (uint32_t)(s.ptr + s.len - v->ptr);
    }
    default: return 8;
    }
}

uint32_t json_size(const struct json_view *v)
{
    return 1 + json__payload(v);
}

const char *json_type_name(const struct json_view *v)
{
    switch ((enum json_type)v->type) {
    case JSON_NULL: return "NULL";
    case JSON_INT: return "INTEGER";
    case JSON_UINT: return "UNSIGNED INTEGER";
    case JSON_DOUBLE: return "DOUBLE";
    case JSON_DECIMAL: return "DECIMAL";
    case JSON_STRING: return "STRING";
    case JSON_OBJECT: return "OBJECT";
    case JSON_ARRAY: return "ARRAY";
    case JSON_BOOLEAN: return "BOOLEAN";
    case JSON_DATE: return "DATE";
    case JSON_TIME: return "TIME";
    case JSON_DATETIME:
        return json_opaque_wire(v) == WIRE_TYPE_TIMESTAMP ? "TIMESTAMP" : "DATETIME";
    case JSON_OPAQUE: break;
    }
    switch (json_opaque_wire(v)) {
    case WIRE_TYPE_BIT: return "BIT";
    case WIRE_TYPE_TINY_BLOB:
    case WIRE_TYPE_MEDIUM_BLOB:
    case WIRE_TYPE_LONG_BLOB:
    case WIRE_TYPE_BLOB:
    case WIRE_TYPE_VAR_STRING:
    case WIRE_TYPE_VARCHAR:
    case WIRE_TYPE_STRING: return "BLOB";
    default: return "OPAQUE";
    }
}

/* ---- decimals: precision, scale, digits in groups of nine ---- */

static const uint8_t group_bytes[10] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
enum { GROUP = 9 };

/* Digits [from, from + n) of text as a big-endian number of group_bytes[n] bytes. */
static uint8_t *put_group(uint8_t *out, const char *digits, unsigned n)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < n; i++) {
        v = v * 10 + (uint32_t)(digits[i] - '0');
    }
    for (unsigned i = group_bytes[n]; i-- > 0;) {
        out[i] = (uint8_t)v;
        v >>= 8;
    }
    return out + group_bytes[n];
}

unsigned json__put_decimal(const struct decimal *d, uint8_t out[JSON__DECIMAL_BYTES])
{
    char text[DECIMAL_TEXT_MAX];
    unsigned len = decimal_to_text(d, text);
    const char *p = text + (d->neg ? 1 : 0);
    const char *point = memchr(text, '.', len);
    unsigned whole = (unsigned)((point == NULL ? text + len : point) - p);
    unsigned scale = d->scale;
    if (whole == 1 && p[0] == '0' && scale != 0) {
        p++;
        whole = 0;
    }
    out[0] = (uint8_t)(whole + scale);
    out[1] = (uint8_t)scale;
    uint8_t *at = put_group(out + 2, p, whole % GROUP);
    p += whole % GROUP;
    for (unsigned i = 0; i < whole / GROUP; i++, p += GROUP) {
        at = put_group(at, p, GROUP);
    }
    p += scale != 0; /* the point */
    for (unsigned i = 0; i < scale / GROUP; i++, p += GROUP) {
        at = put_group(at, p, GROUP);
    }
    at = put_group(at, p, scale % GROUP);
    if (at == out + 2) {
        *at++ = 0;
    }
    /* The first bit tells the sign; a negative number is the complement. */
    if (d->neg) {
        for (uint8_t *b = out + 2; b < at; b++) {
            *b = (uint8_t) ~*b;
        }
    }
    out[2] ^= 0x80;
    return (unsigned)(at - out);
}

static char *get_group(const uint8_t **in, uint8_t flip, uint8_t first_flip, char *out, unsigned n)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < group_bytes[n]; i++) {
        v = v << 8 | (uint8_t)(*(*in)++ ^ flip ^ (i == 0 ? first_flip : 0));
    }
    for (unsigned i = n; i-- > 0;) {
        out[i] = (char)('0' + v % 10);
        v /= 10;
    }
    return out + n;
}

void json_decimal(const struct json_view *v, struct decimal *ret)
{
    struct slice s = json_str(v);
    char text[DECIMAL_TEXT_MAX + GROUP];
    if (s.len < 3 || s.ptr[0] > DECIMAL_DIGITS_MAX || s.ptr[1] > s.ptr[0]) {
        decimal_zero(ret);
        return;
    }
    unsigned scale = s.ptr[1];
    unsigned whole = s.ptr[0] - scale;
    const uint8_t *in = s.ptr + 2;
    uint8_t flip = (in[0] & 0x80) != 0 ? 0 : 0xff;
    uint8_t first = 0x80;
    char *out = text;
    if (flip != 0) {
        *out++ = '-';
    }
    *out++ = '0';
    for (unsigned left = whole; left != 0;) {
        unsigned n = left % GROUP != 0 ? left % GROUP : GROUP;
        out = get_group(&in, flip, first, out, n);
        first = 0;
        left -= n;
    }
    if (scale != 0) {
        *out++ = '.';
    }
    for (unsigned left = scale; left != 0;) {
        unsigned n = left < GROUP ? left : GROUP;
        out = get_group(&in, flip, first, out, n);
        first = 0;
        left -= n;
    }
    (void)decimal_from_text(slice_of(text, (size_t)(out - text)), ret);
}
