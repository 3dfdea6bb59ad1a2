/* JSON paths: $, .name, ."name", .*, [n], [last-n], [n to m], [*], **.
 *
 * The parser goes over the text once and stops where MySQL stops, because the error names the
 * position. Matching walks the binary form. As in MySQL a scalar or object may count as an array of
 * itself for [0], [last] and ranges that begin there; ** can then reach a value in more than one
 * way, so hits are kept unique once a path has it. */
#include "sql/types/json_int.h"

#include <string.h>

#include "base/fiber.h"
#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"

enum { LEGS_MAX = 100 };

struct path_parser {
    struct arena *arena;
    const uint8_t *p;
    const uint8_t *end;
    struct json_path *path;
    uint32_t room;
    struct diag *diag;
};

static void purge_space(struct path_parser *s)
{
    while (s->p < s->end && json__is_space(*s->p)) {
        s->p++;
    }
}

/* Consumes one byte, whatever it is: is it c? */
static bool take(struct path_parser *s, char c)
{
    return s->p < s->end && *s->p++ == (uint8_t)c;
}

/* Behind the leg's first byte: is there more, and is it a star, which is taken? */
static db_err take_star(struct path_parser *s, bool *ret_star)
{
    s->p++;
    purge_space(s);
    if (s->p == s->end) {
        return ERR_INVALID;
    }
    *ret_star = *s->p == '*';
    s->p += *ret_star;
    return ERR_OK;
}

static db_err add_leg(struct path_parser *s, const struct json_leg *leg)
{
    struct json_path *path = s->path;
    if (path->count == LEGS_MAX) {
        return my_error(s->diag, ER_JSON_DOCUMENT_TOO_DEEP);
    }
    if (path->count == s->room) {
        s->room = s->room == 0 ? 4 : s->room * 2;
        struct json_leg *legs = ARENA_ARRAY(s->arena, struct json_leg, s->room);
        if (legs == NULL) {
            return ERR_LIMIT;
        }
        if (path->count != 0) {
            memcpy(legs, path->legs, path->count * sizeof(*legs));
        }
        path->legs = legs;
    }
    path->legs[path->count++] = *leg;
    path->many = path->many || (leg->kind != JSON_LEG_KEY && leg->kind != JSON_LEG_INDEX);
    path->ellipsis = path->ellipsis || leg->kind == JSON_LEG_ELLIPSIS;
    return ERR_OK;
}

static bool parse_index(struct path_parser *s, uint32_t *ret, bool *ret_from_end)
{
    uint64_t v = 0;
    *ret_from_end = s->end - s->p >= 4 && memcmp(s->p, "last", 4) == 0;
    if (*ret_from_end) {
        s->p += 4;
        purge_space(s);
        if (s->p == s->end || *s->p != '-') {
            *ret = 0;
            return true;
        }
        s->p++;
        purge_space(s);
    }
    if (s->p == s->end || *s->p < '0' || *s->p > '9') {
        return false;
    }
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
        v = v * 10 + (uint64_t)(*s->p - '0');
        if (v > UINT32_MAX) {
            return false;
        }
    }
    *ret = (uint32_t)v;
    return true;
}

static db_err parse_cell(struct path_parser *s)
{
    struct json_leg leg = {.kind = JSON_LEG_INDEX};
    bool star;
    TRY(take_star(s, &star));
    if (star) {
        leg.kind = JSON_LEG_ANY_INDEX;
    } else {
        if (!parse_index(s, &leg.from, &leg.from_end)) {
            return ERR_INVALID;
        }
        purge_space(s);
        if (s->end - s->p > 3 && s->p[0] == 't' && s->p[1] == 'o' && json__is_space(s->p[2])) {
            leg.kind = JSON_LEG_RANGE;
            s->p += 3;
            purge_space(s);
            if (s->p == s->end || !parse_index(s, &leg.to, &leg.to_end)) {
                return ERR_INVALID;
            }
            if (leg.from_end == leg.to_end &&
                (leg.from_end ? leg.from < leg.to : leg.to < leg.from)) {
                return ERR_INVALID;
            }
        }
    }
    purge_space(s);
    return take(s, ']') ? add_leg(s, &leg) : ERR_INVALID;
}

/* May the character stand in a name without quotes? */
static bool is_name_char(uint32_t cp, bool first)
{
    if (cp < 0x80) {
        return (cp | 32) - 'a' < 26 || cp == '$' || cp == '_' || (!first && cp - '0' < 10);
    }
    /* Signs and spaces of Latin-1 and of general punctuation are none; letters of scripts are. */
    if (cp < 0xc0) {
        return cp == 0xaa || cp == 0xb5 || cp == 0xba || (!first && cp == 0xb7);
    }
    return cp != 0xd7 && cp != 0xf7 && cp != 0x3000 && !(cp >= 0x2000 && cp <= 0x206f) &&
           !(cp >= 0x20a0 && cp <= 0x20cf) && !(cp >= 0x2190 && cp <= 0x2bff) &&
           !(cp >= 0x1f000 && cp <= 0x1faff) && !(cp >= 0xe000 && cp <= 0xf8ff);
}

static bool is_plain_name(struct slice name)
{
    const uint8_t *p = name.ptr;
    const uint8_t *end = name.ptr + name.len;
    if (name.len == 0) {
        return false;
    }
    while (p < end) {
        uint32_t cp;
        unsigned n = utf8mb4_decode(p, end, &cp);
        if (n == 0 || !is_name_char(cp, p == name.ptr)) {
            return false;
        }
        p += n;
    }
    return true;
}

static db_err quoted_name(struct path_parser *s, struct slice *ret)
{
    const uint8_t *start = s->p;
    struct json_syntax why;
    struct json_node *n;
    for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
        if (*s->p == '\\' && s->p + 1 < s->end) {
            s->p++;
        }
    }
    if (s->p == s->end) {
        return ERR_INVALID;
    }
    s->p++;
    TRY(json_parse(s->arena, slice_of(start, (size_t)(s->p - start)), &n, &why));
    *ret = n->u.str;
    return ERR_OK;
}

static db_err parse_member(struct path_parser *s)
{
    struct json_leg leg = {.kind = JSON_LEG_KEY};
    bool star;
    TRY(take_star(s, &star));
    if (star) {
        leg.kind = JSON_LEG_ANY_KEY;
    } else if (*s->p == '"') {
        TRY(quoted_name(s, &leg.key));
    } else {
        const uint8_t *start = s->p;
        while (s->p < s->end && !json__is_space(*s->p) && *s->p != '.' && *s->p != '[' &&
               *s->p != '*') {
            s->p++;
        }
        leg.key = slice_of(start, (size_t)(s->p - start));
        if (!is_plain_name(leg.key)) {
            return ERR_INVALID;
        }
    }
    return add_leg(s, &leg);
}

static db_err parse_ellipsis(struct path_parser *s)
{
    const struct json_leg leg = {.kind = JSON_LEG_ELLIPSIS};
    s->p++;
    if (!take(s, '*') || s->p == s->end || *s->p == '*') {
        return ERR_INVALID;
    }
    return add_leg(s, &leg);
}

static db_err parse_legs(struct path_parser *s)
{
    purge_space(s);
    if (!take(s, '$')) {
        return ERR_INVALID;
    }
    purge_space(s);
    while (s->p < s->end) {
        switch (*s->p) {
        case '.': TRY(parse_member(s)); break;
        case '[': TRY(parse_cell(s)); break;
        case '*': TRY(parse_ellipsis(s)); break;
        default: return ERR_INVALID;
        }
        purge_space(s);
    }
    return ERR_OK;
}

db_err json_path_parse(struct arena *arena, struct slice text, struct json_path *ret,
                       size_t *ret_position, struct diag *diag)
{
    struct json_path path = {0};
    struct path_parser s = {
        .arena = arena, .p = text.ptr, .end = text.ptr + text.len, .path = &path, .diag = diag};
    db_err err = parse_legs(&s);
    *ret_position = (size_t)(s.p - text.ptr);
    TRY(err);
    *ret = path;
    return ERR_OK;
}

db_err json_print_leg(struct slice key, struct buf *out)
{
    TRY(buf_append_u8(out, '.'));
    return is_plain_name(key) ? buf_append_slice(out, key) : json_quote(key, out);
}

/* ---- matching ---- */

bool json_leg_index(const struct json_leg *leg, uint32_t count, uint32_t *ret_at)
{
    bool inside = leg->from < count;
    if (leg->from_end) {
        *ret_at = inside ? count - 1 - leg->from : 0;
    } else {
        *ret_at = inside ? leg->from : count;
    }
    return inside;
}

void json_leg_range(const struct json_leg *leg, uint32_t count, uint32_t *ret_from,
                    uint32_t *ret_to)
{
    const struct json_leg last = {.from = leg->to, .from_end = leg->to_end};
    (void)json_leg_index(leg, count, ret_from);
    if (json_leg_index(&last, count, ret_to)) {
        ++*ret_to;
    }
}

static db_err add_hit(struct json_hits *h, const struct json_view *v, bool unique)
{
    for (uint32_t i = 0; unique && i < h->count; i++) {
        if (h->views[i].ptr == v->ptr) {
            return ERR_OK;
        }
    }
    if (h->count == h->room) {
        uint32_t room = h->room == 0 ? 4 : h->room * 2;
        struct json_view *views = ARENA_ARRAY(h->arena, struct json_view, room);
        if (views == NULL) {
            return ERR_LIMIT;
        }
        if (h->count != 0) {
            memcpy(views, h->views, h->count * sizeof(*views));
        }
        h->views = views;
        h->room = room;
    }
    h->views[h->count++] = *v;
    return ERR_OK;
}

enum { SEEK_WORK = 8 };

struct seek {
    const struct json_path *path;
    bool one, wrap;
    struct json_hits *hits;
    uint32_t work; /* of fiber_work */
};

static db_err seek(struct seek *s, const struct json_view *v, uint32_t leg_index);

static db_err seek_children(struct seek *s, const struct json_view *v, uint32_t from, uint32_t to,
                            uint32_t leg_index)
{
    for (uint32_t i = from; i < to && !(s->one && s->hits->count != 0); i++) {
        struct json_view child = json_at(v, i);
        TRY(seek(s, &child, leg_index));
    }
    return ERR_OK;
}

static db_err seek(struct seek *s, const struct json_view *v, uint32_t leg_index)
{
    struct json_view child;
    uint32_t from;
    uint32_t to;
    TRY(fiber_work(&s->work, SEEK_WORK));
    if (leg_index == s->path->count) {
        TRY(fiber_work(&s->work, s->path->ellipsis ? s->hits->count : 0));
        return s->one && s->hits->count != 0 ? ERR_OK : add_hit(s->hits, v, s->path->ellipsis);
    }
    const struct json_leg *leg = &s->path->legs[leg_index];
    uint32_t count = v->type == JSON_ARRAY ? json_count(v) : 1;
    switch ((enum json_leg_kind)leg->kind) {
    case JSON_LEG_KEY:
        return json_member(v, leg->key, &child) ? seek(s, &child, leg_index + 1) : ERR_OK;
    case JSON_LEG_ANY_KEY:
        return v->type == JSON_OBJECT ? seek_children(s, v, 0, json_count(v), leg_index + 1)
                                      : ERR_OK;
    case JSON_LEG_ANY_INDEX:
        return v->type == JSON_ARRAY ? seek_children(s, v, 0, count, leg_index + 1) : ERR_OK;
    case JSON_LEG_INDEX:
        if (!json_leg_index(leg, count, &from)) {
            return ERR_OK;
        }
        to = from + 1;
        break;
    case JSON_LEG_RANGE: json_leg_range(leg, count, &from, &to); break;
    case JSON_LEG_ELLIPSIS:
        TRY(seek(s, v, leg_index + 1));
        return json_is_container(v) ? seek_children(s, v, 0, json_count(v), leg_index) : ERR_OK;
    default: return ERR_OK;
    }
    if (v->type == JSON_ARRAY) {
        return seek_children(s, v, from, to, leg_index + 1);
    }
    return s->wrap && from < to ? seek(s, v, leg_index + 1) : ERR_OK;
}

db_err json_seek(const struct json_view *doc, const struct json_path *path, unsigned flags,
                 struct json_hits *hits)
{
    struct json_hits own = {.arena = hits->arena};
    struct seek s = {.path = path,
                     .one = (flags & JSON_SEEK_ONE) != 0,
                     .wrap = (flags & JSON_SEEK_WRAP) != 0,
                     .hits = &own};
    TRY(seek(&s, doc, 0));
    if (hits->count == 0) {
        *hits = own;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < own.count; i++) {
        TRY(add_hit(hits, &own.views[i], false));
    }
    return ERR_OK;
}
