/* Codes of characters, HEX, BASE64, QUOTE, SOUNDEX, and facts of charsets. */
#include "sql/func/families.h"

#include <stdio.h>

db_err string_ascii(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        vec_set_i64(out, row, s.len == 0 ? 0 : s.ptr[0]);
    }
    return ERR_OK;
}

db_err string_ord(EVAL_ARGS)
{
    (void)ctx;
    const struct charset *cs = func__charset(&call->arg_types[0]);
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        uint32_t cp;
        unsigned len = s.len == 0 ? 0 : charset_decode(cs, s.ptr, s.ptr + s.len, &cp);
        len = len == 0 && s.len != 0 ? 1 : len;
        int64_t v = 0;
        for (unsigned i = 0; i < len; i++) {
            v = v << 8 | s.ptr[i];
        }
        vec_set_i64(out, row, v);
    }
    return ERR_OK;
}

db_err string_char(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        uint8_t *p;
        size_t len = 0;
        TRY(func__bytes(ctx, call->arg_count * 4ull, &p));
        for (uint32_t i = 0; i < call->arg_count; i++) {
            if (vec_is_null(args[i], row)) {
                continue;
            }
            uint32_t v = (uint32_t)vec_i64(args[i], row);
            for (int shift = v > 0xffffff ? 24
                             : v > 0xffff ? 16
                             : v > 0xff   ? 8
                                          : 0;
                 shift >= 0; shift -= 8) {
                p[len++] = (uint8_t)(v >> shift);
            }
        }
        vec_set_str_ref(out, row, slice_of(p, len));
    }
    return ERR_OK;
}

/* ---- HEX, UNHEX ---- */

db_err string_hex(EVAL_ARGS)
{
    static const char digits[] = "0123456789ABCDEF";
    (void)call;
    EACH_ROW(row)
    {
        if (args[0]->phys == PHYS_INT) {
            char text[24];
            int len =
                snprintf(text, sizeof(text), "%llX", (unsigned long long)vec_u64(args[0], row));
            TRY(func__set_ascii(ctx, out, row, slice_of(text, (size_t)len)));
            continue;
        }
        struct slice s = vec_str(args[0], row);
        uint8_t *p;
        if (s.len * 2 > func__packet_max(ctx)) {
            func__too_long(ctx, call, out, row);
            continue;
        }
        TRY(func__bytes(ctx, s.len * 2, &p));
        for (size_t i = 0; i < s.len; i++) {
            p[2 * i] = (uint8_t)digits[s.ptr[i] >> 4];
            p[2 * i + 1] = (uint8_t)digits[s.ptr[i] & 15];
        }
        TRY(func__set_ascii(ctx, out, row, slice_of(p, s.len * 2)));
    }
    return ERR_OK;
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool unhex(struct slice s, uint8_t *p, size_t *ret_len)
{
    size_t len = 0;
    size_t i = 0;
    if (s.len % 2 == 1) {
        int d = hex_digit(s.ptr[i++]);
        p[len++] = (uint8_t)d;
        if (d < 0) {
            return false;
        }
    }
    for (; i < s.len; i += 2) {
        int high = hex_digit(s.ptr[i]);
        int low = hex_digit(s.ptr[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        p[len++] = (uint8_t)(high << 4 | low);
    }
    *ret_len = len;
    return true;
}

db_err string_unhex(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        uint8_t *p;
        size_t len;
        TRY(func__bytes(ctx, s.len / 2 + 1, &p));
        if (unhex(s, p, &len)) {
            vec_set_str_ref(out, row, slice_of(p, len));
            continue;
        }
        vec_set_null(out, row);
        func__wrong_value(ctx, call, 0, "string", out, row);
    }
    return ERR_OK;
}

/* ---- BASE64: lines of 76 characters ---- */

enum { BASE64_LINE = 76 };

static const char g_base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t to_base64(struct slice s, uint8_t *p)
{
    size_t len = 0;
    size_t column = 0;
    for (size_t i = 0; i < s.len; i += 3) {
        if (column == BASE64_LINE) {
            p[len++] = '\n';
            column = 0;
        }
        size_t n = s.len - i < 3 ? s.len - i : 3;
        uint32_t v = (uint32_t)s.ptr[i] << 16 | (uint32_t)(n > 1 ? s.ptr[i + 1] : 0) << 8 |
                     (uint32_t)(n > 2 ? s.ptr[i + 2] : 0);
        p[len++] = (uint8_t)g_base64[v >> 18];
        p[len++] = (uint8_t)g_base64[v >> 12 & 63];
        p[len++] = (uint8_t)(n > 1 ? g_base64[v >> 6 & 63] : '=');
        p[len++] = (uint8_t)(n > 2 ? g_base64[v & 63] : '=');
        column += 4;
    }
    return len;
}

db_err string_to_base64(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        size_t need = (s.len + 2) / 3 * 4;
        uint8_t *p;
        need += need / BASE64_LINE;
        if (need > func__packet_max(ctx)) {
            func__too_long(ctx, call, out, row);
            continue;
        }
        TRY(func__bytes(ctx, need, &p));
        TRY(func__set_ascii(ctx, out, row, slice_of(p, to_base64(s, p))));
    }
    return ERR_OK;
}

static int base64_digit(uint8_t c)
{
    const char *at = c == 0 ? NULL : strchr(g_base64, c);
    return at == NULL ? -1 : (int)(at - g_base64);
}

static bool from_base64(struct slice s, uint8_t *p, size_t *ret_len)
{
    size_t len = 0;
    uint32_t v = 0;
    unsigned have = 0;
    unsigned pads = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        if (c == ' ' || (c >= 9 && c <= 13)) {
            continue;
        }
        int d = c == '=' ? 0 : base64_digit(c);
        if (d < 0 || (pads != 0 && c != '=') || (c == '=' && have < 2)) {
            return false;
        }
        pads += c == '=';
        v = v << 6 | (uint32_t)d;
        if (++have == 4) {
            if (pads > 2) {
                return false;
            }
            p[len++] = (uint8_t)(v >> 16);
            if (pads < 2) {
                p[len++] = (uint8_t)(v >> 8);
            }
            if (pads < 1) {
                p[len++] = (uint8_t)v;
            }
            have = 0;
            v = 0;
        }
    }
    *ret_len = len;
    return have == 0;
}

db_err string_from_base64(EVAL_ARGS)
{
    (void)call;
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        uint8_t *p;
        size_t len;
        TRY(func__bytes(ctx, s.len / 4 * 3 + 3, &p));
        if (from_base64(s, p, &len)) {
            vec_set_str_ref(out, row, slice_of(p, len));
        } else {
            vec_set_null(out, row);
        }
    }
    return ERR_OK;
}

/* ---- QUOTE ---- */

static db_err put_code(const struct charset *cs, uint32_t code, struct buf *b)
{
    uint8_t bytes[4];
    return buf_append(b, bytes, charset_encode(cs, code, bytes));
}

/* By characters: a byte within one may look like a backslash. What is no character stays. */
static db_err quote(const struct charset *cs, struct slice s, struct buf *b)
{
    const uint8_t *p = s.ptr;
    const uint8_t *end = p + s.len;
    TRY(put_code(cs, '\'', b));
    while (p < end) {
        uint32_t c;
        unsigned n = charset_decode(cs, p, end, &c);
        if (n != 0 && (c == '\'' || c == '\\' || c == 0 || c == 26)) {
            TRY(put_code(cs, '\\', b));
            TRY(put_code(cs, c == 0 ? '0' : c == 26 ? 'Z' : c, b));
        } else {
            TRY(buf_append(b, p, n == 0 ? 1 : n));
        }
        p += n == 0 ? 1 : n;
    }
    return put_code(cs, '\'', b);
}

db_err string_quote(EVAL_ARGS)
{
    (void)call;
    SCOPE_BUF(b, SIZE_MAX / 2);
    EACH_ROW(row)
    {
        if (vec_is_null(args[0], row)) {
            TRY(func__set_ascii(ctx, out, row, SLICE_LIT("NULL")));
            continue;
        }
        buf_reset(&b);
        TRY(quote(collation_by_id(args[0]->type->collation)->cs, vec_str(args[0], row), &b));
        TRY(func__set_buf(ctx, out, row, &b));
    }
    return ERR_OK;
}

/* ---- SOUNDEX ---- */

static char soundex_code(const struct collation *of, uint32_t c)
{
    static const char codes[] = "01230120022455012623010202";
    if (c >= 'a' && c <= 'z') {
        c -= 'a' - 'A';
    }
    bool letter = c >= 128 && of->id != COLL_BINARY;
    return c >= 'A' && c <= 'Z' ? codes[c - 'A'] : (char)(letter ? '0' : 0);
}

static db_err append_ascii(const struct collation *c, char letter, struct buf *b)
{
    uint8_t bytes[4];
    return buf_append(b, bytes, charset_encode(c->cs, (uint8_t)letter, bytes));
}

/* The first letter, then codes of the others without repetition; vowels part equal codes no more
 * than MySQL lets them: they are skipped and do not reset the last code. */
static db_err soundex(const struct collation *c, struct slice s, struct buf *b)
{
    char last = 0;
    unsigned chars = 0;
    buf_reset(b);
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        unsigned len = charset_decode(c->cs, s.ptr + i, s.ptr + s.len, &cp);
        if (len == 0) {
            break;
        }
        char code = soundex_code(c, cp);
        if (code != 0 && chars == 0) {
            /* MYSQL: of the letters only those of ASCII are made upper. */
            if (cp >= 'a' && cp <= 'z') {
                TRY(append_ascii(c, (char)(cp - ('a' - 'A')), b));
            } else {
                TRY(buf_append_slice(b, slice_of(s.ptr + i, len)));
            }
            last = code;
            chars = 1;
        } else if (code != 0 && code != '0' && code != last) {
            TRY(append_ascii(c, code, b));
            last = code;
            chars++;
        }
        i += len;
    }
    for (; chars != 0 && chars < 4; chars++) {
        TRY(append_ascii(c, '0', b));
    }
    return ERR_OK;
}

db_err string_soundex(EVAL_ARGS)
{
    const struct collation *c = collation_by_id(call->collation);
    SCOPE_BUF(b, SIZE_MAX / 2);
    EACH_ROW(row)
    {
        TRY(soundex(c, vec_str(args[0], row), &b));
        TRY(func__set_buf(ctx, out, row, &b));
    }
    return ERR_OK;
}

/* ---- charsets ---- */

db_err string_name(EVAL_ARGS)
{
    (void)args;
    const struct collation *c = call->data;
    EACH_ROW(row)
    {
        TRY(func__set_ascii(ctx, out, row, slice_str(call->variant == 1 ? c->name : c->cs->name)));
    }
    return ERR_OK;
}

db_err string_coercibility(EVAL_ARGS)
{
    (void)ctx;
    (void)args;
    EACH_ROW(row)
    {
        vec_set_i64(out, row, call->variant);
    }
    return ERR_OK;
}

db_err string_load_file(EVAL_ARGS)
{
    (void)call;
    EACH_ROW(row)
    {
        struct slice text;
        bool null = true;
        if (!vec_is_null(args[0], row) && ctx->env != NULL) {
            TRY(ctx->env->ops->load_file(ctx->env, vec_str(args[0], row), ctx->arena, &text,
                                         &null));
        }
        if (null) {
            vec_set_null(out, row);
        } else {
            vec_set_str_ref(out, row, text);
        }
    }
    return ERR_OK;
}
