/* JSON as text, as MySQL prints it: ", " and ": " between members, doubles always with a point or
 * an exponent, temporals with six digits of fraction, other SQL values as "base64:type<n>:...". */
#include "sql/types/json_int.h"

#include <string.h>

#include "sql/types/temporal.h"

db_err json_quote(struct slice text, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    size_t plain = 0;
    TRY(buf_append_u8(out, '"'));
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        TRY(buf_append(out, text.ptr + plain, i - plain));
        plain = i + 1;
        const char *found = c == 0 ? NULL : strchr(from, c);
        if (found != NULL) {
            char pair[2] = {'\\', to[found - from]};
            TRY(buf_append(out, pair, 2));
        } else {
            char six[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            TRY(buf_append(out, six, 6));
        }
    }
    if (plain < text.len) {
        TRY(buf_append(out, text.ptr + plain, text.len - plain));
    }
    return buf_append_u8(out, '"');
}

static db_err print_double(double d, struct buf *out)
{
    char text[NUMBER_TEXT_MAX];
    unsigned len = double_to_text(d, DECIMALS_NOT_FIXED, text);
    TRY(buf_append(out, text, len));
    if (memchr(text, '.', len) == NULL && memchr(text, 'e', len) == NULL) {
        return buf_append(out, ".0", 2);
    }
    return ERR_OK;
}

static db_err print_time(const struct json_view *v, struct buf *out)
{
    char text[TEMPORAL_TEXT_MAX];
    int64_t t = json_time(v);
    unsigned len = v->type == JSON_DATE   ? date_to_text(t, text)
                   : v->type == JSON_TIME ? time_to_text(t, TIME_DECIMALS_MAX, text)
                                          : datetime_to_text(t, TIME_DECIMALS_MAX, text);
    TRY(buf_append_u8(out, '"'));
    TRY(buf_append(out, text, len));
    return buf_append_u8(out, '"');
}

static db_err print_opaque(const struct json_view *v, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum { LINE = 76 };
    struct slice s = json_str(v);
    TRY(buf_printf(out, "\"base64:type%u:", (unsigned)json_opaque_wire(v)));
    for (size_t i = 0, column = 0; i < s.len; i += 3) {
        size_t n = s.len - i < 3 ? s.len - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (k < n ? s.ptr[i + k] : 0u);
        }
        char four[4];
        for (size_t k = 0; k < 4; k++) {
            four[k] = k <= n ? digits[bits >> (18 - 6 * k) & 63] : '=';
        }
        if (column == LINE) {
            TRY(buf_append(out, "\\n", 2));
            column = 0;
        }
        TRY(buf_append(out, four, 4));
        column += 4;
    }
    return buf_append_u8(out, '"');
}

static db_err print_scalar(const struct json_view *v, struct buf *out)
{
    char text[NUMBER_TEXT_MAX];
    struct decimal d;
    switch ((enum json_type)v->type) {
    case JSON_NULL: return buf_append(out, "null", 4);
    case JSON_BOOLEAN:
        return json_bool(v) ? buf_append(out, "true", 4) : buf_append(out, "false", 5);
    case JSON_INT: return buf_append(out, text, int64_to_text(json_int(v), text));
    case JSON_UINT: return buf_append(out, text, uint64_to_text((uint64_t)json_int(v), text));
    case JSON_DOUBLE: return print_double(json_double(v), out);
    case JSON_DECIMAL: json_decimal(v, &d); return buf_append(out, text, decimal_to_text(&d, text));
    case JSON_STRING: return json_quote(json_str(v), out);
    case JSON_DATE:
    case JSON_TIME:
    case JSON_DATETIME: return print_time(v, out);
    case JSON_OPAQUE: return print_opaque(v, out);
    case JSON_OBJECT:
    case JSON_ARRAY: break;
    }
    return ERR_OK;
}

static db_err new_line(struct buf *out, int level)
{
    TRY(buf_append_u8(out, '\n'));
    for (int i = 0; i < level; i++) {
        TRY(buf_append(out, "  ", 2));
    }
    return ERR_OK;
}

/* level < 0: on one line. */
static db_err print(const struct json_view *v, struct buf *out, int level)
{
    if (!json_is_container(v)) {
        return print_scalar(v, out);
    }
    bool object = v->type == JSON_OBJECT;
    uint32_t count = json_count(v);
    int inside = level < 0 ? level : level + 1;
    TRY(buf_append_u8(out, object ? '{' : '['));
    for (uint32_t i = 0; i < count; i++) {
        if (i != 0) {
            TRY(buf_append(out, ", ", level < 0 ? 2 : 1));
        }
        if (level >= 0) {
            TRY(new_line(out, inside));
        }
        if (object) {
            TRY(json_quote(json_key_at(v, i), out));
            TRY(buf_append(out, ": ", 2));
        }
        struct json_view child = json_at(v, i);
        TRY(print(&child, out, inside));
    }
    if (level >= 0 && count != 0) {
        TRY(new_line(out, level));
    }
    return buf_append_u8(out, object ? '}' : ']');
}

db_err json_print(const struct json_view *v, struct buf *out)
{
    return print(v, out, -1);
}

db_err json_pretty(const struct json_view *v, struct buf *out)
{
    return print(v, out, 0);
}

db_err json_print_unquoted(const struct json_view *v, struct buf *out)
{
    if (v->type == JSON_STRING) {
        return buf_append_slice(out, json_str(v));
    }
    size_t at = out->len;
    TRY(json_print(v, out));
    if (v->type >= JSON_DATE) { /* temporals and bytes print with quotes */
        memmove(out->ptr + at, out->ptr + at + 1, out->len - at - 2);
        out->len -= 2;
    }
    return ERR_OK;
}

db_err json_text(struct slice document, struct arena *arena, struct slice *ret)
{
    struct json_view v = json_view_of(document);
    struct slice s = SLICE_EMPTY;
    struct buf out;
    buf_init(&out, JSON_TEXT_MAX);
    db_err err = json_print(&v, &out);
    if (err == ERR_OK) {
        err = arena_copy(arena, buf_slice(&out), &s);
    }
    buf_fini(&out);
    TRY(err);
    *ret = s;
    return ERR_OK;
}
