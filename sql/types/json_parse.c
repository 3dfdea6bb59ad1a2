/* JSON text to trees: a recursive descent parser whose depth is bounded by JSON_DEPTH_MAX.
 *
 * What is refused, and at which byte, is what MySQL says (its parser stops at the first byte that
 * cannot go on). Strings without escapes are borrowed from the text. Integers that fit 64 bits stay
 * integers; other numbers become the nearest double. The last of several members of a name wins. */
#include "sql/types/json_int.h"

#include <math.h>
#include <string.h>

#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"

struct parser {
    struct arena *arena;
    const uint8_t *text;
    size_t len;
    size_t at;
    uint32_t depth;
    struct json_syntax *why;
};

static db_err refuse(struct parser *p, size_t position, const char *message)
{
    p->why->message = message;
    p->why->position = position;
    return ERR_INVALID;
}

static int peek(const struct parser *p)
{
    return p->at < p->len ? p->text[p->at] : 0;
}

static void skip_space(struct parser *p)
{
    while (p->at < p->len && json__is_space(p->text[p->at])) {
        p->at++;
    }
}

/* ---- strings ---- */

static bool hex4(const struct parser *p, size_t at, uint32_t *ret)
{
    uint32_t v = 0;
    for (size_t i = at; i < at + 4; i++) {
        uint8_t c = i < p->len ? p->text[i] : 0;
        if (c >= '0' && c <= '9') {
            v = v << 4 | (uint32_t)(c - '0');
        } else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
            v = v << 4 | (uint32_t)((c | 32) - 'a' + 10);
        } else {
            return false;
        }
    }
    *ret = v;
    return true;
}

/* p->at is behind the backslash's 'u'. */
static db_err unicode_escape(struct parser *p, size_t start, uint8_t **io_out)
{
    uint32_t cp;
    uint32_t low;
    if (!hex4(p, p->at, &cp)) {
        return refuse(p, start, "Incorrect hex digit after \\u escape in string.");
    }
    p->at += 4;
    if (cp >= 0xd800 && cp <= 0xdfff) {
        if (cp > 0xdbff || p->at + 2 > p->len || p->text[p->at] != '\\' ||
            p->text[p->at + 1] != 'u') {
            return refuse(p, start, "The surrogate pair in string is invalid.");
        }
        if (!hex4(p, p->at + 2, &low)) {
            return refuse(p, start, "Incorrect hex digit after \\u escape in string.");
        }
        if (low < 0xdc00 || low > 0xdfff) {
            return refuse(p, start, "The surrogate pair in string is invalid.");
        }
        p->at += 6;
        cp = 0x10000 + ((cp - 0xd800) << 10 | (low - 0xdc00));
    }
    *io_out += utf8mb4_encode(cp, *io_out);
    return ERR_OK;
}

static db_err escape(struct parser *p, uint8_t **io_out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    size_t start = p->at++;
    int c = peek(p);
    if (c == 'u') {
        p->at++;
        return unicode_escape(p, start, io_out);
    }
    const char *found = c == 0 ? NULL : strchr(from, c);
    if (found == NULL) {
        return refuse(p, start, "Invalid escape character in string.");
    }
    *(*io_out)++ = (uint8_t)to[found - from];
    p->at++;
    return ERR_OK;
}

/* The text from p->at (behind the opening quote) to the closing quote. */
static db_err parse_string(struct parser *p, struct slice *ret)
{
    size_t start = p->at;
    while (p->at < p->len && p->text[p->at] >= 0x20 && p->text[p->at] != '"' &&
           p->text[p->at] != '\\') {
        p->at++;
    }
    if (peek(p) == '"') {
        *ret = slice_of(p->text + start, p->at++ - start);
        return ERR_OK;
    }
    /* An escape is never shorter than what it stands for. */
    size_t room = p->at - start;
    for (size_t i = p->at; i < p->len && p->text[i] != '"'; i++, room++) {
        if (p->text[i] == '\\') {
            i++;
            room++;
        }
    }
    uint8_t *copy = arena_alloc(p->arena, room + 8);
    if (copy == NULL) {
        return ERR_LIMIT;
    }
    uint8_t *out = copy;
    memcpy(out, p->text + start, p->at - start);
    out += p->at - start;
    for (;;) {
        int c = peek(p);
        if (c == '"') {
            p->at++;
            *ret = slice_of(copy, (size_t)(out - copy));
            return ERR_OK;
        }
        if (c == '\\') {
            TRY(escape(p, &out));
        } else if (c < 0x20) {
            return refuse(p, p->at,
                          c == 0 ? "Missing a closing quotation mark in string."
                                 : "Invalid encoding in string.");
        } else {
            *out++ = (uint8_t)c;
            p->at++;
        }
    }
}

/* ---- numbers ---- */

static bool digit(int c)
{
    return c >= '0' && c <= '9';
}

static db_err real_number(struct parser *p, size_t start, struct json_node *n)
{
    size_t used;
    bool overflow;
    if (peek(p) == '.') {
        p->at++;
        if (!digit(peek(p))) {
            return refuse(p, p->at, "Miss fraction part in number.");
        }
        while (digit(peek(p))) {
            p->at++;
        }
    }
    if ((peek(p) | 32) == 'e') {
        p->at++;
        if (peek(p) == '+' || peek(p) == '-') {
            p->at++;
        }
        if (!digit(peek(p))) {
            return refuse(p, p->at, "Miss exponent in number.");
        }
        while (digit(peek(p))) {
            p->at++;
        }
    }
    n->type = JSON_DOUBLE;
    n->u.d = text_to_double(slice_of(p->text + start, p->at - start), &used, &overflow);
    return overflow ? refuse(p, start, "Number too big to be stored in double.") : ERR_OK;
}

static db_err parse_number(struct parser *p, struct json_node *n)
{
    size_t start = p->at;
    bool negative = peek(p) == '-';
    uint64_t v = 0;
    bool fits = true;
    p->at += negative;
    if (!digit(peek(p))) {
        return refuse(p, p->at, "Invalid value.");
    }
    bool zero = peek(p) == '0';
    do {
        unsigned d = (unsigned)(peek(p) - '0');
        fits = fits && v <= (UINT64_MAX - d) / 10;
        v = v * 10 + d;
        p->at++;
    } while (!zero && digit(peek(p)));
    if (!fits || (negative && v > 1ull << 63) || peek(p) == '.' || (peek(p) | 32) == 'e') {
        return real_number(p, start, n);
    }
    n->type = !negative && v > UINT32_MAX ? JSON_UINT : JSON_INT; /* MYSQL: from 2^32 on */
    n->u.u = negative ? 0 - v : v;
    return ERR_OK;
}

/* ---- values ---- */

static db_err parse_value(struct parser *p, struct json_node **ret);

static db_err parse_word(struct parser *p, const char *word, struct json_node *n)
{
    for (size_t i = 0; word[i] != '\0'; i++) {
        if (peek(p) != word[i]) {
            return refuse(p, p->at, "Invalid value.");
        }
        p->at++;
    }
    n->type = word[0] == 'n' ? JSON_NULL : JSON_BOOLEAN;
    n->u.b = word[0] == 't';
    return ERR_OK;
}

static db_err parse_array(struct parser *p, struct json_node *n)
{
    n->type = JSON_ARRAY;
    skip_space(p);
    if (peek(p) == ']') {
        p->at++;
        return ERR_OK;
    }
    for (;;) {
        struct json_node *item;
        TRY(parse_value(p, &item));
        TRY(json_append_item(p->arena, n, item));
        skip_space(p);
        if (peek(p) == ']') {
            p->at++;
            return ERR_OK;
        }
        if (peek(p) != ',') {
            return refuse(p, p->at, "Missing a comma or ']' after an array element.");
        }
        p->at++;
        skip_space(p);
    }
}

static db_err parse_object(struct parser *p, struct json_node *n)
{
    n->type = JSON_OBJECT;
    skip_space(p);
    if (peek(p) == '}') {
        p->at++;
        return ERR_OK;
    }
    for (;;) {
        struct json_node *value;
        struct slice key;
        if (peek(p) != '"') {
            return refuse(p, p->at, "Missing a name for object member.");
        }
        p->at++;
        TRY(parse_string(p, &key));
        skip_space(p);
        if (peek(p) != ':') {
            return refuse(p, p->at, "Missing a colon after a name of object member.");
        }
        p->at++;
        skip_space(p);
        TRY(parse_value(p, &value));
        TRY(json_set_member(p->arena, n, key, value));
        skip_space(p);
        if (peek(p) == '}') {
            p->at++;
            return ERR_OK;
        }
        if (peek(p) != ',') {
            return refuse(p, p->at, "Missing a comma or '}' after an object member.");
        }
        p->at++;
        skip_space(p);
    }
}

static db_err parse_container(struct parser *p, struct json_node *n)
{
    bool object = peek(p) == '{';
    if (++p->depth > JSON_DEPTH_MAX) {
        return refuse(p, p->at, NULL);
    }
    p->at++;
    TRY(object ? parse_object(p, n) : parse_array(p, n));
    p->depth--;
    return ERR_OK;
}

static db_err parse_value(struct parser *p, struct json_node **ret)
{
    struct json_node *n = json_node_new(p->arena, JSON_NULL);
    if (n == NULL) {
        return ERR_LIMIT;
    }
    *ret = n;
    switch (peek(p)) {
    case '{':
    case '[': return parse_container(p, n);
    case '"':
        p->at++;
        n->type = JSON_STRING;
        return parse_string(p, &n->u.str);
    case 't': return parse_word(p, "true", n);
    case 'f': return parse_word(p, "false", n);
    case 'n': return parse_word(p, "null", n);
    default: return parse_number(p, n);
    }
}

db_err json_parse(struct arena *arena, struct slice text, struct json_node **ret,
                  struct json_syntax *ret_why)
{
    struct parser p = {.arena = arena, .text = text.ptr, .len = text.len, .why = ret_why};
    struct json_node *n;
    skip_space(&p);
    if (peek(&p) == 0) {
        return refuse(&p, p.at, "The document is empty.");
    }
    TRY(parse_value(&p, &n));
    skip_space(&p);
    if (p.at != p.len) {
        return refuse(&p, p.at, "The document root must not be followed by other values.");
    }
    *ret = n;
    return ERR_OK;
}

db_err json_valid(struct arena *arena, struct slice text, struct diag *diag, bool *ret_valid)
{
    struct json_syntax why;
    struct json_node *n;
    db_err err = json_parse(arena, text, &n, &why);
    if (err == ERR_INVALID && why.message == NULL) {
        return my_error(diag, ER_JSON_DOCUMENT_TOO_DEEP);
    }
    *ret_valid = err == ERR_OK;
    return err == ERR_INVALID ? ERR_OK : err;
}

db_err json_unquote(struct slice text, struct buf *out, struct json_syntax *ret_why)
{
    struct arena arena;
    struct json_node *n;
    arena_init(&arena, NULL, NULL, 0);
    db_err err = json_parse(&arena, text, &n, ret_why);
    if (err == ERR_OK) {
        err = buf_append_slice(out, n->type == JSON_STRING ? n->u.str : text);
    }
    arena_fini(&arena);
    return err;
}
