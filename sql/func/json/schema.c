/* JSON_SCHEMA_VALID and JSON_SCHEMA_VALIDATION_REPORT: draft 4 of JSON Schema.
 *
 * A value is checked in the order in which it is read: its type and what can be told at its begin,
 * then its members or elements one after the other, then what needs them all, then enum and the
 * combinations. The first thing that fails is reported, with the places in both documents. As in
 * MySQL keywords with a value of the wrong kind say nothing, a name that is matched by a pattern
 * only fails as a whole, and references may only be local. */
#include "sql/func/families.h"

#include <math.h>
#include <unicode/uregex.h>

#include "base/fiber.h"
#include "sql/func/regexp/regexp_int.h"

enum {
    POINTER_MAX = 1 << 20,
    DEPTH_MAX = 1000,
    STACK_RESERVE = 48 * 1024,
    LOOK_WORK = 64,       /* of a schema, a reference or an element: units of fiber_work */
    PATTERN_STEPS = 1000, /* of ICU, 10,000 attempts each: less than a second, then 3699 */
};

struct pointer { /* a way from a document's root, as the text of a URI fragment */
    const struct pointer *up;
    struct slice key;
    uint32_t index;
    bool is_index;
};

struct check {
    struct eval_ctx *ctx;
    struct json_view root;
    uint32_t depth;
    uint32_t work;               /* since others had their turn */
    const struct done_ref *done; /* references whose targets have been looked at */
    uint32_t done_count;
    bool remote; /* a reference leaves the schema */
    /* what failed first */
    const char *keyword;
    struct slice schema_at, doc_at;
};

/* Schemas with where they stand; NULL pointer chains mean the root. */
struct schema {
    struct json_view v;
    struct slice at; /* text of its pointer, '#' included */
};

static db_err check(struct check *c, const struct schema *s, const struct json_view *v,
                    const struct pointer *doc, bool *ret_valid);

/* A small schema may ask for endless work (each reference of it doubles what those before ask for):
 * others have their turn meanwhile, and the statement can be ended. */
static db_err take_turns(struct check *c, uint32_t work)
{
    return fiber_work(&c->work, (size_t)work * LOOK_WORK);
}

/* ---- places ---- */

static db_err append_key(struct buf *out, struct slice key)
{
    static const char hex[] = "0123456789ABCDEF";
    TRY(buf_append_u8(out, '/'));
    for (size_t i = 0; i < key.len; i++) {
        uint8_t c = key.ptr[i];
        bool plain =
            (c >= '0' && c <= '9') || (c | 32u) - 'a' < 26 || c == '-' || c == '.' || c == '_';
        if (c == '~' || c == '/') {
            TRY(buf_append(out, c == '~' ? "~0" : "~1", 2));
        } else if (plain) {
            TRY(buf_append_u8(out, c));
        } else {
            char text[3] = {'%', hex[c >> 4], hex[c & 15]};
            TRY(buf_append(out, text, 3));
        }
    }
    return ERR_OK;
}

static db_err append_pointer(struct buf *out, const struct pointer *p)
{
    if (p == NULL) {
        return buf_append_u8(out, '#');
    }
    TRY(append_pointer(out, p->up));
    return p->is_index ? buf_printf(out, "/%u", p->index) : append_key(out, p->key);
}

static db_err fail(struct check *c, const char *keyword, struct slice schema_at,
                   const struct pointer *doc, bool *ret_valid)
{
    *ret_valid = false;
    SCOPE_BUF(b, POINTER_MAX);
    TRY(append_pointer(&b, doc));
    TRY(arena_copy(c->ctx->arena, buf_slice(&b), &c->doc_at));
    c->keyword = keyword;
    c->schema_at = schema_at;
    return ERR_OK;
}

static db_err sub_schema(struct check *c, const struct schema *s, struct slice key,
                         const struct json_view *v, struct schema *ret)
{
    SCOPE_BUF(b, POINTER_MAX);
    TRY(buf_append_slice(&b, s->at));
    TRY(append_key(&b, key));
    ret->v = *v;
    return arena_copy(c->ctx->arena, buf_slice(&b), &ret->at);
}

/* ---- keywords ---- */

static bool keyword(const struct schema *s, const char *name, enum json_type type,
                    struct json_view *ret)
{
    return json_member(&s->v, slice_str(name), ret) && ret->type == type;
}

static bool is_integer(const struct json_view *v)
{
    return v->type == JSON_INT || v->type == JSON_UINT;
}

static bool limit(const struct schema *s, const char *name, uint64_t *ret)
{
    struct json_view v;
    if (!json_member(&s->v, slice_str(name), &v) || !is_integer(&v) ||
        (v.type == JSON_INT && json_int(&v) < 0)) {
        return false;
    }
    *ret = (uint64_t)json_int(&v);
    return true;
}

static bool flag(const struct schema *s, const char *name)
{
    struct json_view v;
    return keyword(s, name, JSON_BOOLEAN, &v) && json_bool(&v);
}

static bool type_matches(const struct json_view *name, const struct json_view *v)
{
    static const struct {
        const char *name;
        enum json_type type;
    } names[] = {{"null", JSON_NULL},
                 {"boolean", JSON_BOOLEAN},
                 {"object", JSON_OBJECT},
                 {"array", JSON_ARRAY},
                 {"string", JSON_STRING}};
    if (name->type != JSON_STRING) {
        return false;
    }
    struct slice n = json_str(name);
    if (slice_eq(n, SLICE_LIT("integer"))) {
        return is_integer(v);
    }
    if (slice_eq(n, SLICE_LIT("number"))) {
        return json_is_number(v);
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_eq(n, slice_str(names[i].name))) {
            return v->type == names[i].type;
        }
    }
    return false;
}

static bool type_allowed(const struct schema *s, const struct json_view *v)
{
    struct json_view t;
    if (!json_member(&s->v, SLICE_LIT("type"), &t)) {
        return true;
    }
    if (t.type == JSON_STRING) {
        return type_matches(&t, v);
    }
    bool any = t.type != JSON_ARRAY;
    for (uint32_t i = 0; t.type == JSON_ARRAY && i < json_count(&t) && !any; i++) {
        struct json_view one = json_at(&t, i);
        any = type_matches(&one, v);
    }
    return any;
}

/* Does the pattern occur in the text? One that cannot be compiled matches nothing: *ret_known. */
static db_err matches(struct check *c, struct slice pattern, struct slice text, bool *ret,
                      bool *ret_known)
{
    SCOPE_BUF(p, POINTER_MAX);
    SCOPE_BUF(t, JSON_TEXT_MAX);
    const struct charset *utf8 = charset_by_name(SLICE_LIT("utf8mb4"));
    UErrorCode status = U_ZERO_ERROR;
    static const UChar none[1] = {0};
    TRY(take_turns(c, FIBER_WORK_MAX));
    TRY(regexp__utf16(NULL, pattern, utf8, &p));
    TRY(regexp__utf16(NULL, text, utf8, &t));
    *ret = false;
    URegularExpression *re = p.len == 0 ? NULL
                                        : uregex_open((const UChar *)(const void *)p.ptr,
                                                      (int32_t)(p.len / 2), 0, NULL, &status);
    *ret_known = p.len == 0 || U_SUCCESS(status);
    if (p.len == 0) {
        *ret = true;
        return ERR_OK;
    }
    if (!*ret_known) {
        return ERR_OK;
    }
    struct regexp_turns turns = {0};
    uregex_setTimeLimit(re, PATTERN_STEPS, &status);
    uregex_setText(re, t.len == 0 ? none : (const UChar *)(const void *)t.ptr, (int32_t)(t.len / 2),
                   &status);
    db_err err = regexp__take_turns(re, p.len / 2, t.len / 2, &turns);
    if (err != ERR_OK) {
        uregex_close(re);
        return err;
    }
    *ret = uregex_find(re, 0, &status) && U_SUCCESS(status);
    uregex_close(re);
    return U_SUCCESS(status) ? ERR_OK : regexp__find_error(c->ctx, status, &turns);
}

/* ---- scalars ---- */

static const char *number_fails(const struct schema *s, const struct json_view *v)
{
    struct json_view bound;
    if (json_member(&s->v, SLICE_LIT("minimum"), &bound) && json_is_number(&bound)) {
        int order = json_compare(v, &bound);
        if (order < 0 || (order == 0 && flag(s, "exclusiveMinimum"))) {
            return "minimum";
        }
    }
    if (json_member(&s->v, SLICE_LIT("maximum"), &bound) && json_is_number(&bound)) {
        int order = json_compare(v, &bound);
        if (order > 0 || (order == 0 && flag(s, "exclusiveMaximum"))) {
            return "maximum";
        }
    }
    if (json_member(&s->v, SLICE_LIT("multipleOf"), &bound) && json_is_number(&bound)) {
        double step = fabs(json_number(&bound));
        double x = fabs(json_number(v));
        if (step > 0 && x - floor(x / step) * step > 0) {
            return "multipleOf";
        }
    }
    return NULL;
}

static db_err string_fails(struct check *c, const struct schema *s, const struct json_view *v,
                           const char **ret)
{
    struct slice text = json_str(v);
    uint64_t bound;
    size_t chars = charset_char_count(charset_by_name(SLICE_LIT("utf8mb4")), text);
    struct json_view pattern;
    *ret = NULL;
    if (limit(s, "minLength", &bound) && chars < bound) {
        *ret = "minLength";
    } else if (limit(s, "maxLength", &bound) && chars > bound) {
        *ret = "maxLength";
    } else if (keyword(s, "pattern", JSON_STRING, &pattern)) {
        bool found;
        bool known;
        TRY(matches(c, json_str(&pattern), text, &found, &known));
        *ret = known && !found ? "pattern" : NULL;
    }
    return ERR_OK;
}

/* ---- objects ---- */

struct member_schemas {
    struct schema own; /* of `properties`, or of additionalProperties */
    bool has_own;
    bool additional; /* it is of additionalProperties */
    uint32_t patterns;
    bool patterns_valid;
};

/* Patterns that the name matches: checks the value against their schemas. */
static db_err check_patterns(struct check *c, const struct schema *s, struct slice key,
                             const struct json_view *v, const struct pointer *doc,
                             struct member_schemas *m)
{
    struct json_view list;
    m->patterns_valid = true;
    if (!keyword(s, "patternProperties", JSON_OBJECT, &list)) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < json_count(&list); i++) {
        struct json_view one = json_at(&list, i);
        struct schema sub;
        bool found;
        bool known;
        bool valid = true;
        TRY(matches(c, json_key_at(&list, i), key, &found, &known));
        if (!found || one.type != JSON_OBJECT) {
            continue;
        }
        m->patterns++;
        TRY(sub_schema(c, s, SLICE_LIT("patternProperties"), &list, &sub));
        TRY(sub_schema(c, &sub, json_key_at(&list, i), &one, &sub));
        TRY(check(c, &sub, v, doc, &valid));
        m->patterns_valid = m->patterns_valid && valid;
    }
    return ERR_OK;
}

static db_err find_own(struct check *c, const struct schema *s, struct slice key,
                       struct member_schemas *m, bool *ret_refused)
{
    struct json_view list;
    struct json_view one;
    struct schema sub;
    *ret_refused = false;
    if (keyword(s, "properties", JSON_OBJECT, &list) && json_member(&list, key, &one)) {
        m->has_own = true;
        TRY(sub_schema(c, s, SLICE_LIT("properties"), &list, &sub));
        return sub_schema(c, &sub, key, &one, &m->own);
    }
    if (!json_member(&s->v, SLICE_LIT("additionalProperties"), &one)) {
        return ERR_OK;
    }
    if (one.type == JSON_OBJECT) {
        m->has_own = m->additional = true;
        return sub_schema(c, s, SLICE_LIT("additionalProperties"), &one, &m->own);
    }
    *ret_refused = one.type == JSON_BOOLEAN && !json_bool(&one) && m->patterns == 0;
    return ERR_OK;
}

static db_err check_member(struct check *c, const struct schema *s, struct slice key,
                           const struct json_view *v, const struct pointer *doc, bool *ret_valid)
{
    struct member_schemas m = {.has_own = false};
    bool refused;
    bool own_valid = true;
    TRY(check_patterns(c, s, key, v, doc, &m));
    TRY(find_own(c, s, key, &m, &refused));
    if (refused) {
        return fail(c, "additionalProperties", s->at, doc, ret_valid);
    }
    if (m.has_own) {
        TRY(check(c, &m.own, v, doc, &own_valid));
    }
    if (m.patterns == 0) {
        *ret_valid = own_valid;
        return ERR_OK;
    }
    bool valid = !m.has_own     ? m.patterns_valid
                 : m.additional ? m.patterns_valid || own_valid
                                : m.patterns_valid && own_valid;
    *ret_valid = valid;
    return valid ? ERR_OK : fail(c, "patternProperties", SLICE_LIT("#"), doc, ret_valid);
}

static bool required_missing(const struct schema *s, const struct json_view *v)
{
    struct json_view list;
    struct json_view found;
    if (!keyword(s, "required", JSON_ARRAY, &list)) {
        return false;
    }
    for (uint32_t i = 0; i < json_count(&list); i++) {
        struct json_view name = json_at(&list, i);
        if (name.type == JSON_STRING && !json_member(v, json_str(&name), &found)) {
            return true;
        }
    }
    return false;
}

static db_err dependency_fails(struct check *c, const struct schema *s, const struct json_view *v,
                               const struct pointer *doc, bool *ret)
{
    struct json_view list;
    struct json_view found;
    *ret = false;
    if (!keyword(s, "dependencies", JSON_OBJECT, &list)) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < json_count(&list) && !*ret; i++) {
        struct json_view one = json_at(&list, i);
        if (!json_member(v, json_key_at(&list, i), &found)) {
            continue;
        }
        for (uint32_t k = 0; one.type == JSON_ARRAY && k < json_count(&one); k++) {
            struct json_view name = json_at(&one, k);
            *ret = *ret || (name.type == JSON_STRING && !json_member(v, json_str(&name), &found));
        }
        if (one.type == JSON_OBJECT) {
            struct schema sub = {one, s->at};
            bool valid = true;
            TRY(check(c, &sub, v, doc, &valid));
            *ret = !valid;
        }
    }
    return ERR_OK;
}

static db_err check_object(struct check *c, const struct schema *s, const struct json_view *v,
                           const struct pointer *doc, bool *ret_valid)
{
    uint32_t count = json_count(v);
    uint64_t bound;
    bool missing;
    for (uint32_t i = 0; i < count; i++) {
        struct json_view child = json_at(v, i);
        struct pointer at = {.up = doc, .key = json_key_at(v, i)};
        TRY(check_member(c, s, at.key, &child, &at, ret_valid));
        if (!*ret_valid) {
            return ERR_OK;
        }
    }
    if (required_missing(s, v)) {
        return fail(c, "required", s->at, doc, ret_valid);
    }
    if (limit(s, "minProperties", &bound) && count < bound) {
        return fail(c, "minProperties", s->at, doc, ret_valid);
    }
    if (limit(s, "maxProperties", &bound) && count > bound) {
        return fail(c, "maxProperties", s->at, doc, ret_valid);
    }
    TRY(dependency_fails(c, s, v, doc, &missing));
    return missing ? fail(c, "dependencies", s->at, doc, ret_valid) : ERR_OK;
}

/* ---- arrays ---- */

/* The schema of element i. *ret_has false: any value does; *ret_refused: none does. */
static db_err item_schema(struct check *c, const struct schema *s, uint32_t i, struct schema *ret,
                          bool *ret_has, bool *ret_refused)
{
    struct json_view items;
    struct json_view more;
    *ret_has = *ret_refused = false;
    if (!json_member(&s->v, SLICE_LIT("items"), &items)) {
        return ERR_OK;
    }
    if (items.type == JSON_OBJECT) {
        *ret_has = true;
        return sub_schema(c, s, SLICE_LIT("items"), &items, ret);
    }
    if (items.type == JSON_ARRAY && i < json_count(&items)) {
        char number[24];
        struct json_view one = json_at(&items, i);
        *ret_has = true;
        TRY(sub_schema(c, s, SLICE_LIT("items"), &items, ret));
        return sub_schema(c, ret, slice_of(number, uint64_to_text(i, number)), &one, ret);
    }
    if (items.type != JSON_ARRAY || !json_member(&s->v, SLICE_LIT("additionalItems"), &more)) {
        return ERR_OK;
    }
    if (more.type == JSON_OBJECT) {
        *ret_has = true;
        return sub_schema(c, s, SLICE_LIT("additionalItems"), &more, ret);
    }
    *ret_refused = more.type == JSON_BOOLEAN && !json_bool(&more);
    return ERR_OK;
}

static bool seen_before(const struct json_view *v, uint32_t i)
{
    struct json_view x = json_at(v, i);
    for (uint32_t k = 0; k < i; k++) {
        struct json_view y = json_at(v, k);
        if (json_compare(&x, &y) == 0) {
            return true;
        }
    }
    return false;
}

static db_err check_array(struct check *c, const struct schema *s, const struct json_view *v,
                          const struct pointer *doc, bool *ret_valid)
{
    uint32_t count = json_count(v);
    uint64_t bound;
    bool unique = flag(s, "uniqueItems");
    for (uint32_t i = 0; i < count; i++) {
        struct json_view child = json_at(v, i);
        struct pointer at = {.up = doc, .index = i, .is_index = true};
        struct schema sub;
        bool has;
        bool refused;
        TRY(item_schema(c, s, i, &sub, &has, &refused));
        if (refused) {
            return fail(c, "additionalItems", s->at, &at, ret_valid);
        }
        if (has) {
            TRY(check(c, &sub, &child, &at, ret_valid));
        }
        TRY(unique ? take_turns(c, i) : ERR_OK);
        if (*ret_valid && unique && seen_before(v, i)) {
            return fail(c, "uniqueItems", s->at, &at, ret_valid);
        }
        if (!*ret_valid) {
            return ERR_OK;
        }
    }
    if (limit(s, "minItems", &bound) && count < bound) {
        return fail(c, "minItems", s->at, doc, ret_valid);
    }
    return limit(s, "maxItems", &bound) && count > bound
               ? fail(c, "maxItems", s->at, doc, ret_valid)
               : ERR_OK;
}

/* ---- combinations ---- */

/* How many of the schemas in the list take the value. False: there is no such list. */
static db_err count_valid(struct check *c, const struct schema *s, const char *name,
                          const struct json_view *v, const struct pointer *doc, bool *ret_has,
                          uint32_t *ret_count, uint32_t *ret_valid)
{
    struct json_view list;
    *ret_has = keyword(s, name, JSON_ARRAY, &list) && json_count(&list) != 0;
    *ret_count = *ret_valid = 0;
    for (uint32_t i = 0; *ret_has && i < json_count(&list); i++) {
        struct schema sub = {json_at(&list, i), s->at};
        bool valid = true;
        TRY(check(c, &sub, v, doc, &valid));
        *ret_valid += valid;
        ++*ret_count;
    }
    return ERR_OK;
}

static db_err check_combined(struct check *c, const struct schema *s, const struct json_view *v,
                             const struct pointer *doc, bool *ret_valid)
{
    static const char *const names[] = {"allOf", "anyOf", "oneOf"};
    struct json_view list;
    if (keyword(s, "enum", JSON_ARRAY, &list) && json_count(&list) != 0) {
        bool listed;
        TRY(json_member_of(v, &list, &listed));
        if (!listed) {
            return fail(c, "enum", s->at, doc, ret_valid);
        }
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(names); i++) {
        bool has;
        uint32_t count;
        uint32_t valid;
        TRY(count_valid(c, s, names[i], v, doc, &has, &count, &valid));
        bool good = i == 0 ? valid == count : i == 1 ? valid != 0 : valid == 1;
        if (has && !good) {
            return fail(c, names[i], s->at, doc, ret_valid);
        }
    }
    if (keyword(s, "not", JSON_OBJECT, &list)) {
        struct schema sub = {list, s->at};
        bool valid = true;
        TRY(check(c, &sub, v, doc, &valid));
        if (valid) {
            return fail(c, "not", s->at, doc, ret_valid);
        }
    }
    return ERR_OK;
}

/* ---- all ---- */

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* A step of a reference: %20, then ~1 for a slash and ~0 for a tilde. ERR_LIMIT. */
static db_err decode_step(struct arena *arena, struct slice s, struct slice *ret)
{
    uint8_t *out = arena_alloc(arena, s.len + 1);
    size_t n = 0;
    if (out == NULL) {
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < s.len; i++) {
        int high = s.ptr[i] == '%' && i + 2 < s.len ? hex_digit(s.ptr[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_digit(s.ptr[i + 2]);
        out[n++] = (uint8_t)(low < 0 ? s.ptr[i] : high << 4 | low);
        i += low < 0 ? 0 : 2;
    }
    size_t len = n;
    n = 0;
    for (size_t i = 0; i < len; i++) {
        bool escape = out[i] == '~' && i + 1 < len && (out[i + 1] == '0' || out[i + 1] == '1');
        out[n++] = (uint8_t)(!escape ? out[i] : out[i + 1] == '0' ? '~' : '/');
        i += escape ? 1 : 0;
    }
    *ret = slice_of(out, n);
    return ERR_OK;
}

static bool element_at(const struct json_view *v, struct slice step, struct json_view *ret)
{
    uint32_t at = 0;
    for (size_t i = 0; i < step.len; i++) {
        if (step.ptr[i] < '0' || step.ptr[i] > '9' || at > json_count(v)) {
            return false;
        }
        at = at * 10 + (uint32_t)(step.ptr[i] - '0');
    }
    if (step.len == 0 || at >= json_count(v)) {
        return false;
    }
    *ret = json_at(v, at);
    return true;
}

/* What "#/way/to/it" refers to; *ret_found false: nothing. */
static db_err resolve(struct arena *arena, const struct json_view *root, struct slice ref,
                      struct json_view *ret, bool *ret_found)
{
    struct json_view at = *root;
    size_t i = 1;
    *ret_found = ref.len != 0 && ref.ptr[0] == '#' && (ref.len == 1 || ref.ptr[1] == '/');
    while (*ret_found && i < ref.len) {
        struct slice step;
        size_t end = ++i;
        while (end < ref.len && ref.ptr[end] != '/') {
            end++;
        }
        TRY(decode_step(arena, slice_of(ref.ptr + i, end - i), &step));
        *ret_found = at.type == JSON_OBJECT  ? json_member(&at, step, &at)
                     : at.type == JSON_ARRAY ? element_at(&at, step, &at)
                                             : false;
        i = end;
    }
    *ret = at;
    return ERR_OK;
}

/* Follows "$ref". MYSQL: one that leads nowhere asks for nothing. */
static db_err follow_reference(struct check *c, struct schema *io, bool *ret_any)
{
    struct json_view ref;
    *ret_any = false;
    while (io->v.type == JSON_OBJECT && keyword(io, "$ref", JSON_STRING, &ref)) {
        struct json_view at;
        bool found;
        TRY(resolve(c->ctx->arena, &c->root, json_str(&ref), &at, &found));
        if (!found || at.type != JSON_OBJECT) {
            *ret_any = true;
            return ERR_OK;
        }
        *io = (struct schema){at, json_str(&ref)};
    }
    return ERR_OK;
}

static db_err check(struct check *c, const struct schema *given, const struct json_view *v,
                    const struct pointer *doc, bool *ret_valid)
{
    struct schema s = *given;
    const char *failed = NULL;
    *ret_valid = true;
    if (s.v.type != JSON_OBJECT) {
        return ERR_OK;
    }
    if (++c->depth > DEPTH_MAX || fiber_stack_left() < STACK_RESERVE) {
        return my_error(c->ctx->diag, ER_JSON_DOCUMENT_TOO_DEEP);
    }
    bool any;
    TRY(take_turns(c, 1));
    TRY(follow_reference(c, &s, &any));
    if (any) {
        c->depth--;
        return ERR_OK;
    }
    if (!type_allowed(&s, v)) {
        failed = "type";
    } else if (json_is_number(v)) {
        failed = number_fails(&s, v);
    } else if (v->type == JSON_STRING) {
        TRY(string_fails(c, &s, v, &failed));
    }
    if (failed != NULL) {
        TRY(fail(c, failed, s.at, doc, ret_valid));
    } else if (v->type == JSON_OBJECT) {
        TRY(check_object(c, &s, v, doc, ret_valid));
    } else if (v->type == JSON_ARRAY) {
        TRY(check_array(c, &s, v, doc, ret_valid));
    }
    if (*ret_valid) {
        TRY(check_combined(c, &s, v, doc, ret_valid));
    }
    c->depth--;
    return ERR_OK;
}

/* ---- the functions ---- */

static db_err add_text(struct arena *arena, struct json_node *o, const char *key, struct slice text)
{
    struct json_node *n = json_node_str(arena, text);
    return n == NULL ? ERR_LIMIT : json_set_member(arena, o, slice_str(key), n);
}

static db_err report(struct eval_ctx *ctx, const struct check *c, bool valid, struct vector *out,
                     uint32_t row)
{
    struct json_node *o = json_node_new(ctx->arena, JSON_OBJECT);
    struct json_node *b = json_node_new(ctx->arena, JSON_BOOLEAN);
    if (o == NULL || b == NULL) {
        return ERR_LIMIT;
    }
    b->u.b = valid;
    TRY(json_set_member(ctx->arena, o, SLICE_LIT("valid"), b));
    if (!valid) {
        const char *reason =
            arena_printf(ctx->arena,
                         "The JSON document location '%.*s' failed requirement '%s' at JSON Schema "
                         "location '%.*s'",
                         SLICE_FMT(c->doc_at), c->keyword, SLICE_FMT(c->schema_at));
        if (reason == NULL) {
            return ERR_LIMIT;
        }
        TRY(add_text(ctx->arena, o, "reason", slice_str(reason)));
        TRY(add_text(ctx->arena, o, "schema-location", c->schema_at));
        TRY(add_text(ctx->arena, o, "document-location", c->doc_at));
        TRY(add_text(ctx->arena, o, "schema-failed-keyword", slice_str(c->keyword)));
    }
    return json__set(ctx, out, row, o);
}

struct done_ref {
    struct slice ref;
    const struct done_ref *next;
};

static bool is_done(const struct check *c, struct slice ref)
{
    for (const struct done_ref *d = c->done; d != NULL; d = d->next) {
        if (slice_eq(d->ref, ref)) {
            return true;
        }
    }
    return false;
}

static db_err add_done(struct check *c, struct slice ref)
{
    struct done_ref *d = ARENA_NEW(c->ctx->arena, struct done_ref);
    if (d == NULL) {
        return ERR_LIMIT;
    }
    *d = (struct done_ref){ref, c->done};
    c->done = d;
    c->done_count++;
    return ERR_OK;
}

struct walk {
    struct check *c;
    const struct walk *up;
    struct slice ref; /* the reference that was followed to here; ptr NULL: none */
};

/* Looks at all references of the schema, also of those that they lead to. MYSQL: one that leaves
 * the schema is not supported where there is a document; one that comes back to itself makes it
 * endlessly deep. */
static db_err check_references(const struct walk *w, const struct json_view *v)
{
    struct diag *diag = w->c->ctx->diag;
    if (!json_is_container(v)) {
        return ERR_OK;
    }
    if (++w->c->depth > DEPTH_MAX || fiber_stack_left() < STACK_RESERVE) {
        return my_error(diag, ER_JSON_DOCUMENT_TOO_DEEP);
    }
    TRY(take_turns(w->c, 1));
    for (uint32_t i = 0; i < json_count(v); i++) {
        struct json_view child = json_at(v, i);
        bool ref = v->type == JSON_OBJECT && child.type == JSON_STRING &&
                   slice_eq(json_key_at(v, i), SLICE_LIT("$ref"));
        if (!ref) {
            TRY(check_references(w, &child));
            continue;
        }
        struct walk next = {w->c, w, json_str(&child)};
        struct json_view target;
        bool found;
        if (next.ref.len != 0 && next.ref.ptr[0] != '#') {
            w->c->remote = true;
            continue;
        }
        TRY(take_turns(w->c, w->c->done_count));
        if (is_done(w->c, next.ref)) {
            continue;
        }
        for (const struct walk *u = w; u != NULL; u = u->up) {
            if (u->ref.ptr != NULL && slice_eq(u->ref, next.ref)) {
                return my_error(diag, ER_JSON_DOCUMENT_TOO_DEEP);
            }
        }
        TRY(resolve(w->c->ctx->arena, &w->c->root, next.ref, &target, &found));
        if (found) {
            TRY(check_references(&next, &target));
        }
        TRY(add_done(w->c, next.ref));
    }
    w->c->depth--;
    return ERR_OK;
}

/* MYSQL: what types the arguments have, and what a constant schema is, is looked at before there is
 * a row. */
static db_err check_constant(struct func_bind_ctx *ctx, const struct func_call *call,
                             const struct func_arg *arg)
{
    const struct charset *utf8 = charset_by_name(SLICE_LIT("utf8mb4"));
    const struct value *v = arg->constant != NULL ? arg->constant : arg->lifted;
    const struct charset *cs = func__charset(&arg->type);
    struct eval_ctx eval = {.arena = ctx->arena, .diag = ctx->diag};
    struct check c = {.ctx = &eval};
    const struct walk root = {.c = &c};
    struct json_node *n;
    struct slice doc;
    if (v == NULL || v->is_null || v->phys != PHYS_STR || arg->type.id == TYPE_JSON) {
        return ERR_OK;
    }
    struct slice text = v->str;
    ctx->by_text = ctx->by_text || arg->lifted != NULL;
    if (arg->type.collation != COLL_BINARY && cs != utf8) {
        TRY(charset_convert_arena(cs, text, utf8, ctx->arena, &text, NULL));
    }
    TRY(json__parse(&eval, json__func_name(call), 1, text, ctx->arena, &n));
    if (n->type != JSON_OBJECT) {
        return my_error(ctx->diag, ER_INVALID_JSON_TYPE, 1u, call->def->name, "object");
    }
    TRY(json_write_arena(n, ctx->arena, ctx->diag, &doc));
    c.root = json_view_of(doc);
    return check_references(&root, &c.root);
}

db_err json_bind_schema(BIND_ARGS)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (!args[i].is_placeholder) {
            TRY(json__takes(ctx->diag, call, &args[i].type, i));
        }
    }
    TRY(check_constant(ctx, call, &args[0]));
    if (call->variant == 1) {
        json__result(call);
    } else {
        func__result(call, args, func__bool());
    }
    return ERR_OK;
}

static db_err schema_row(struct eval_ctx *ctx, const struct func_call *call,
                         struct vector *const *args, uint32_t row, struct vector *out)
{
    struct check c = {.ctx = ctx};
    struct json_view doc;
    bool null;
    bool valid = true;
    if (vec_is_null(args[0], row) || vec_is_null(args[1], row)) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    TRY(json__doc(ctx, call, args, 0, row, &c.root, &null));
    if (c.root.type != JSON_OBJECT) {
        return my_error(ctx->diag, ER_INVALID_JSON_TYPE, 1u, call->def->name, "object");
    }
    const struct walk references = {.c = &c};
    TRY(check_references(&references, &c.root));
    TRY(json__doc(ctx, call, args, 1, row, &doc, &null));
    if (c.remote) {
        return my_error(ctx->diag, ER_NOT_SUPPORTED_YET, "references in JSON Schema");
    }
    struct schema root = {c.root, SLICE_LIT("#")};
    TRY(check(&c, &root, &doc, NULL, &valid));
    if (call->variant == 1) {
        return report(ctx, &c, valid, out, row);
    }
    vec_set_i64(out, row, valid);
    return ERR_OK;
}

db_err json_schema(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        TRY(schema_row(ctx, call, args, row, out));
    }
    return ERR_OK;
}
