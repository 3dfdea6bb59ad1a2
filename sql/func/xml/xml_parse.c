/* A forgiving parser of XML, as forgiving as MySQL's: entities stay as they are, a closing tag
 * needs the right length only, and there may be several top elements. */
#include "sql/func/xml/xml_int.h"

#include <stdio.h>

enum token { T_END, T_LT, T_GT, T_SLASH, T_EQ, T_BANG, T_QUESTION, T_NAME, T_STRING, T_UNKNOWN };

struct parser {
    struct arena *arena;
    const uint8_t *begin, *at, *end;
    enum token token;
    struct slice value;       /* of T_NAME, T_STRING (without quotes) */
    const uint8_t *value_end; /* behind it, quotes included */
    struct xml_doc *doc;
    uint32_t cap;
    uint32_t open; /* the element we are in */
    uint32_t depth;
    db_err err;
    char *message;
};

static const char *token_name(enum token t)
{
    static const char *const names[] = {"END-OF-INPUT", "'<'", "'>'",   "'/'",    "'='",
                                        "'!'",          "'?'", "IDENT", "STRING", "unknown token"};
    return names[t];
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool starts_name(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' || c >= 0x80;
}

static bool in_name(uint8_t c)
{
    return starts_name(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

static void scan_string(struct parser *p)
{
    uint8_t quote = *p->at;
    const uint8_t *from = p->at + 1;
    const uint8_t *to = from;
    while (to < p->end && *to != quote) {
        to++;
    }
    p->value = slice_of(from, (size_t)(to - from));
    p->at = to < p->end ? to + 1 : to;
    p->value_end = p->at;
    p->token = T_STRING;
}

static void scan(struct parser *p)
{
    static const char marks[] = "<>/=!?";
    while (p->at < p->end && is_blank(*p->at)) {
        p->at++;
    }
    if (p->at == p->end) {
        p->token = T_END;
        return;
    }
    const char *mark = *p->at != 0 ? strchr(marks, *p->at) : NULL;
    if (mark != NULL) {
        p->token = (enum token)(T_LT + (mark - marks));
        p->at++;
    } else if (*p->at == '"' || *p->at == '\'') {
        scan_string(p);
    } else if (starts_name(*p->at)) {
        const uint8_t *from = p->at;
        while (p->at < p->end && in_name(*p->at)) {
            p->at++;
        }
        p->value = slice_of(from, (size_t)(p->at - from));
        p->value_end = p->at;
        p->token = T_NAME;
    } else {
        p->token = T_UNKNOWN;
    }
}

static bool fail(struct parser *p, const char *what)
{
    unsigned line = 1;
    const uint8_t *start = p->begin;
    for (const uint8_t *s = p->begin; s < p->at; s++) {
        if (*s == '\n') {
            line++;
            start = s;
        }
    }
    snprintf(p->message, XML_MESSAGE_SIZE, "parse error at line %u pos %u: %s", line,
             (unsigned)(p->at - start) + 1, what);
    return false;
}

static bool unexpected(struct parser *p, const char *wanted)
{
    char what[64];
    snprintf(what, sizeof(what), "%s unexpected (%s wanted)", token_name(p->token), wanted);
    return fail(p, what);
}

static struct xml_node *add(struct parser *p, enum xml_kind kind, struct slice text)
{
    struct xml_doc *d = p->doc;
    if (d->count == p->cap) {
        uint32_t cap = p->cap == 0 ? 16 : p->cap * 2;
        struct xml_node *grown = ARENA_ARRAY(p->arena, struct xml_node, cap);
        if (grown == NULL) {
            p->err = ERR_LIMIT;
            return NULL;
        }
        if (d->count != 0) {
            memcpy(grown, d->nodes, d->count * sizeof(*grown));
        }
        d->nodes = grown;
        p->cap = cap;
    }
    struct xml_node *n = &d->nodes[d->count++];
    *n = (struct xml_node){.kind = kind, .parent = p->open, .text = text, .outer = text};
    return n;
}

static bool add_text(struct parser *p, struct slice text)
{
    return text.len == 0 || add(p, XML_TEXT, text) != NULL;
}

static bool attribute(struct parser *p, struct slice name, const struct slice *value)
{
    uint32_t at = p->doc->count;
    struct xml_node *n = add(p, XML_ATTRIBUTE, name);
    if (n == NULL) {
        return false;
    }
    if (value == NULL) {
        return true;
    }
    n->outer = slice_of(name.ptr, (size_t)(p->value_end - name.ptr));
    uint32_t outer = p->open;
    p->open = at;
    bool ok = value->len == 0 || add(p, XML_TEXT, *value) != NULL;
    p->open = outer;
    return ok;
}

static bool close_element(struct parser *p, const struct slice *name)
{
    struct xml_node *n = &p->doc->nodes[p->open];
    if (name != NULL && (p->open == 0 || n->text.len != name->len)) {
        char what[XML_MESSAGE_SIZE];
        if (p->open == 0) {
            snprintf(what, sizeof(what), "'</%.*s>' unexpected (END-OF-INPUT wanted)",
                     (int)(name->len > 32 ? 32 : name->len), (const char *)name->ptr);
        } else {
            snprintf(what, sizeof(what), "'</%.*s>' unexpected ('</%.*s>' wanted)",
                     (int)(name->len > 32 ? 32 : name->len), (const char *)name->ptr,
                     (int)(n->text.len > 32 ? 32 : n->text.len), (const char *)n->text.ptr);
        }
        return fail(p, what);
    }
    p->depth--;
    p->open = n->parent;
    return true;
}

/* The element that was open before ends where we are. */
static void set_outer(struct parser *p, uint32_t node)
{
    struct xml_node *n = &p->doc->nodes[node];
    n->outer.len = (size_t)(p->at - n->outer.ptr);
}

static bool closing_tag(struct parser *p)
{
    uint32_t closed = p->open;
    scan(p);
    if (p->token != T_NAME) {
        return unexpected(p, "ident");
    }
    if (!close_element(p, &p->value)) {
        return false;
    }
    scan(p);
    if (p->token != T_GT) {
        return unexpected(p, "'>'");
    }
    set_outer(p, closed);
    return true;
}

/* Names with or without values, until something else comes. */
static bool attributes(struct parser *p, bool doctype)
{
    for (;;) {
        if (p->token == T_STRING && doctype) {
            scan(p);
            continue;
        }
        if (p->token != T_NAME) {
            return true;
        }
        struct slice name = p->value;
        scan(p);
        if (p->token != T_EQ) {
            if (!attribute(p, name, NULL)) {
                return false;
            }
            continue;
        }
        scan(p);
        if (p->token != T_NAME && p->token != T_STRING) {
            return unexpected(p, "ident or string");
        }
        struct slice value = p->value;
        if (!attribute(p, name, &value)) {
            return false;
        }
        scan(p);
    }
}

static bool opening_tag(struct parser *p, const uint8_t *from)
{
    bool doctype = p->token == T_BANG;
    bool question = p->token == T_QUESTION;
    if (doctype || question) {
        scan(p);
    }
    if (p->token != T_NAME) {
        return unexpected(p, "ident or '/'");
    }
    if (p->depth >= XML_DEPTH_MAX) {
        return fail(p, "too many nested elements");
    }
    uint32_t node = p->doc->count;
    struct xml_node *n = add(p, XML_TAG, p->value);
    if (n == NULL) {
        return false;
    }
    n->outer = slice_of(from, 0);
    p->open = node;
    p->depth++;
    scan(p);
    if (!attributes(p, doctype)) {
        return false;
    }
    bool ends = p->token == T_SLASH;
    if (ends) {
        scan(p);
    }
    if (question) {
        if (p->token != T_QUESTION) {
            return unexpected(p, "'?'");
        }
        scan(p);
    }
    if (p->token != T_GT) {
        return unexpected(p, "'>'");
    }
    if (ends || question || doctype) {
        (void)close_element(p, NULL);
        set_outer(p, node);
    }
    return true;
}

static bool skip_past(struct parser *p, const char *mark, struct slice *ret_inside)
{
    size_t len = strlen(mark);
    const uint8_t *from = p->at;
    const uint8_t *found = memmem(p->at, (size_t)(p->end - p->at), mark, len);
    const uint8_t *to = found == NULL ? p->end : found;
    *ret_inside = slice_of(from, (size_t)(to - from));
    p->at = found == NULL ? p->end : found + len;
    return true;
}

static bool starts_with(const struct parser *p, const char *mark)
{
    size_t len = strlen(mark);
    return (size_t)(p->end - p->at) >= len && memcmp(p->at, mark, len) == 0;
}

static bool one(struct parser *p)
{
    struct slice inside;
    const uint8_t *from = p->at;
    if (*p->at != '<') {
        while (p->at < p->end && *p->at != '<') {
            p->at++;
        }
        return add_text(p, slice_of(from, (size_t)(p->at - from)));
    }
    if (starts_with(p, "<!--")) {
        return skip_past(p, "-->", &inside);
    }
    if (starts_with(p, "<![CDATA[")) {
        p->at += strlen("<![CDATA[");
        if (memmem(p->at, (size_t)(p->end - p->at), "]]>", 3) == NULL) {
            p->at = p->end;
            return fail(p, "unexpected END-OF-INPUT");
        }
        return skip_past(p, "]]>", &inside) && add_text(p, inside);
    }
    scan(p);
    scan(p);
    return p->token == T_SLASH ? closing_tag(p) : opening_tag(p, from);
}

bool xml_parse(struct arena *arena, struct slice text, char message[XML_MESSAGE_SIZE],
               struct xml_doc *ret, db_err *ret_err)
{
    struct parser p = {.arena = arena,
                       .begin = text.ptr,
                       .at = text.ptr,
                       .end = text.ptr + text.len,
                       .doc = ret,
                       .message = message};
    *ret = (struct xml_doc){0};
    message[0] = '\0';
    bool ok = add(&p, XML_ROOT, SLICE_EMPTY) != NULL;
    while (ok && p.at < p.end) {
        ok = one(&p);
    }
    if (ok && p.open != 0) {
        ok = fail(&p, "unexpected END-OF-INPUT");
    }
    *ret_err = p.err;
    return ok;
}
