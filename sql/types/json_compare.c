/* The order of JSON values, their hash, and containment.
 *
 * Types have ranks (null < numbers < strings < objects < arrays < booleans < dates < times <
 * datetimes < other bytes); within a rank values compare. Numbers compare by value whatever their
 * form: integers exactly, with doubles exactly too, decimals as decimals. Other bytes compare by
 * their type first. */
#include "sql/types/json_int.h"

#include <math.h>

#include "base/fiber.h"
#include "sql/charset/charset.h"
#include "sql/charset/hash.h"
#include "sql/types/compare.h"

int json_key_cmp(struct slice a, struct slice b)
{
    if (a.len != b.len) {
        return a.len < b.len ? -1 : 1;
    }
    return a.len == 0 ? 0 : memcmp(a.ptr, b.ptr, a.len);
}

static int compare_int_double(const struct json_view *i, double d)
{
    bool is_unsigned = i->type == JSON_UINT;
    int64_t v = json_int(i);
    const double top = is_unsigned ? 18446744073709551616.0 : 9223372036854775808.0;
    const double bottom = is_unsigned ? 0.0 : -9223372036854775808.0;
    if (d >= top) {
        return -1;
    }
    if (d < bottom) {
        return 1;
    }
    double whole = trunc(d);
    int c = is_unsigned ? compare_ints(v, true, (int64_t)(uint64_t)whole, true)
                        : compare_ints(v, false, (int64_t)whole, false);
    return c != 0 ? c : (whole > d) - (whole < d);
}

static void to_decimal(const struct json_view *v, struct decimal *ret)
{
    switch ((int)v->type) {
    case JSON_INT: decimal_from_int(json_int(v), ret); break;
    case JSON_UINT: decimal_from_uint((uint64_t)json_int(v), ret); break;
    case JSON_DECIMAL: json_decimal(v, ret); break;
    default: (void)decimal_from_double(json_double(v), ret); break;
    }
}

static int compare_numbers(const struct json_view *a, const struct json_view *b)
{
    if (a->type == JSON_DOUBLE && b->type == JSON_DOUBLE) {
        return compare_doubles(json_double(a), json_double(b));
    }
    if (a->type <= JSON_UINT && b->type <= JSON_UINT) {
        return compare_ints(json_int(a), a->type == JSON_UINT, json_int(b), b->type == JSON_UINT);
    }
    if (a->type <= JSON_UINT && b->type == JSON_DOUBLE) {
        return compare_int_double(a, json_double(b));
    }
    if (b->type <= JSON_UINT && a->type == JSON_DOUBLE) {
        return -compare_int_double(b, json_double(a));
    }
    const double beyond = 1e65; /* no decimal is as large */
    if (a->type == JSON_DOUBLE && fabs(json_double(a)) >= beyond) {
        return json_double(a) < 0 ? -1 : 1;
    }
    if (b->type == JSON_DOUBLE && fabs(json_double(b)) >= beyond) {
        return json_double(b) < 0 ? 1 : -1;
    }
    struct decimal x;
    struct decimal y;
    to_decimal(a, &x);
    to_decimal(b, &y);
    return decimal_cmp(&x, &y);
}

/* Ranks of types; within JSON_OPAQUE other bytes come before bits, and those before text-like ones.
 */
static unsigned rank(const struct json_view *v)
{
    if (json_is_number(v)) {
        return JSON_INT;
    }
    if (v->type != JSON_OPAQUE) {
        return v->type;
    }
    const char *name = json_type_name(v);
    return JSON_OPAQUE + (name[0] == 'O' ? 0u : name[1] == 'I' ? 1u : 2u);
}

static int compare_opaque(const struct json_view *a, const struct json_view *b)
{
    int c = (int)json_opaque_wire(a) - (int)json_opaque_wire(b);
    return c != 0 ? c : slice_cmp(json_str(a), json_str(b));
}

static int compare_arrays(const struct json_view *a, const struct json_view *b)
{
    uint32_t na = json_count(a);
    uint32_t nb = json_count(b);
    for (uint32_t i = 0; i < na && i < nb; i++) {
        struct json_view x = json_at(a, i);
        struct json_view y = json_at(b, i);
        int c = json_compare(&x, &y);
        if (c != 0) {
            return c;
        }
    }
    return (na > nb) - (na < nb);
}

static int compare_objects(const struct json_view *a, const struct json_view *b)
{
    uint32_t na = json_count(a);
    uint32_t nb = json_count(b);
    if (na != nb) {
        return na < nb ? -1 : 1;
    }
    for (uint32_t i = 0; i < na; i++) {
        int c = json_key_cmp(json_key_at(a, i), json_key_at(b, i));
        if (c != 0) {
            return c;
        }
        struct json_view x = json_at(a, i);
        struct json_view y = json_at(b, i);
        c = json_compare(&x, &y);
        if (c != 0) {
            return c;
        }
    }
    return 0;
}

int json_compare(const struct json_view *a, const struct json_view *b)
{
    unsigned ra = rank(a);
    unsigned rb = rank(b);
    if (ra != rb) {
        return ra < rb ? -1 : 1;
    }
    switch ((enum json_type)a->type) {
    case JSON_NULL: return 0;
    case JSON_INT:
    case JSON_UINT:
    case JSON_DOUBLE:
    case JSON_DECIMAL: return compare_numbers(a, b);
    case JSON_STRING: return slice_cmp(json_str(a), json_str(b));
    case JSON_OPAQUE: return compare_opaque(a, b);
    case JSON_OBJECT: return compare_objects(a, b);
    case JSON_ARRAY: return compare_arrays(a, b);
    case JSON_BOOLEAN: return (int)json_bool(a) - (int)json_bool(b);
    case JSON_DATE:
    case JSON_TIME:
    case JSON_DATETIME: break;
    }
    return (json_time(a) > json_time(b)) - (json_time(a) < json_time(b));
}

bool json_truth(struct slice document)
{
    static const uint8_t zero[2] = {0, 0};
    const struct json_view none = {
        .tag = JSON_TAG_INT16, .type = JSON_INT, .ptr = zero, .len = sizeof(zero)};
    struct json_view v = json_view_of(document);
    return json_compare(&v, &none) != 0;
}

uint64_t json_hash(const struct json_view *v, uint64_t seed)
{
    uint64_t h = hash_mix(seed, rank(v));
    if (json_is_number(v)) {
        double d = json_number(v);
        uint64_t bits = 0;
        if (d != 0) {
            memcpy(&bits, &d, sizeof(bits));
        }
        return hash_mix(h, bits);
    }
    if (!json_is_container(v)) {
        struct slice s =
            v->type == JSON_BOOLEAN || v->type == JSON_NULL ? slice_of(v->ptr, 1) : json_str(v);
        return hash_bytes(s.ptr, s.len, h);
    }
    uint32_t count = json_count(v);
    for (uint32_t i = 0; i < count; i++) {
        struct json_view child = json_at(v, i);
        if (v->type == JSON_OBJECT) {
            struct slice key = json_key_at(v, i);
            h = hash_bytes(key.ptr, key.len, h);
        }
        h = json_hash(&child, h);
    }
    return hash_mix(h, count);
}

/* ---- containment ---- */

enum { COMPARE_WORK = 4 };

static db_err same(uint32_t *io_work, const struct json_view *a, const struct json_view *b,
                   bool *ret)
{
    *ret = json_compare(a, b) == 0;
    bool large = json_is_container(a) && json_is_container(b);
    uint32_t len = a->len < b->len ? a->len : b->len;
    return fiber_work(io_work, COMPARE_WORK + (large ? len / 8 : 0));
}

static db_err contains(uint32_t *io_work, const struct json_view *doc, const struct json_view *part,
                       bool *ret);

static db_err found_in(uint32_t *io_work, const struct json_view *array,
                       const struct json_view *part, bool *ret)
{
    uint32_t count = json_count(array);
    *ret = false;
    for (uint32_t i = 0; i < count && !*ret; i++) {
        struct json_view element = json_at(array, i);
        TRY(contains(io_work, &element, part, ret));
    }
    return ERR_OK;
}

static db_err contains_members(uint32_t *io_work, const struct json_view *doc,
                               const struct json_view *part, bool *ret)
{
    *ret = part->type == JSON_OBJECT && json_count(part) <= json_count(doc);
    for (uint32_t i = 0; *ret && i < json_count(part); i++) {
        struct json_view mine;
        struct json_view other = json_at(part, i);
        *ret = json_member(doc, json_key_at(part, i), &mine);
        if (*ret) {
            TRY(contains(io_work, &mine, &other, ret));
        }
    }
    return ERR_OK;
}

static db_err contains(uint32_t *io_work, const struct json_view *doc, const struct json_view *part,
                       bool *ret)
{
    if (doc->type == JSON_OBJECT) {
        return contains_members(io_work, doc, part, ret);
    }
    if (doc->type != JSON_ARRAY) {
        return same(io_work, doc, part, ret);
    }
    if (part->type != JSON_ARRAY) {
        return found_in(io_work, doc, part, ret);
    }
    *ret = true;
    for (uint32_t i = 0; *ret && i < json_count(part); i++) {
        struct json_view element = json_at(part, i);
        TRY(found_in(io_work, doc, &element, ret));
    }
    return ERR_OK;
}

db_err json_contains(const struct json_view *doc, const struct json_view *part, bool *ret)
{
    uint32_t work = 0;
    return contains(&work, doc, part, ret);
}

static db_err member_of(uint32_t *io_work, const struct json_view *a, const struct json_view *b,
                        bool *ret)
{
    if (b->type != JSON_ARRAY) {
        return same(io_work, a, b, ret);
    }
    *ret = false;
    for (uint32_t i = 0; !*ret && i < json_count(b); i++) {
        struct json_view element = json_at(b, i);
        TRY(same(io_work, a, &element, ret));
    }
    return ERR_OK;
}

db_err json_member_of(const struct json_view *a, const struct json_view *b, bool *ret)
{
    uint32_t work = 0;
    return member_of(&work, a, b, ret);
}

db_err json_overlaps(const struct json_view *a, const struct json_view *b, bool *ret)
{
    uint32_t work = 0;
    if (a->type != JSON_ARRAY && b->type == JSON_ARRAY) {
        const struct json_view *swap = a;
        a = b;
        b = swap;
    }
    bool arrays = a->type == JSON_ARRAY && b->type == JSON_ARRAY;
    if (!arrays && (a->type != JSON_OBJECT || b->type != JSON_OBJECT)) {
        return member_of(&work, b, a, ret);
    }
    *ret = false;
    for (uint32_t i = 0; !*ret && i < json_count(b); i++) {
        struct json_view mine;
        struct json_view other = json_at(b, i);
        if (arrays) {
            TRY(member_of(&work, &other, a, ret));
        } else if (json_member(a, json_key_at(b, i), &mine)) {
            TRY(same(&work, &mine, &other, ret));
        }
    }
    return ERR_OK;
}

/* ---- as collations ---- */

static int compare_documents(const struct collation *c, struct slice a, struct slice b)
{
    (void)c;
    struct json_view x = json_view_of(a);
    struct json_view y = json_view_of(b);
    return json_compare(&x, &y);
}

/* MYSQL: "sorting of non-scalar JSON values" goes by their length. Here what is as long has an
 * order too, so that equal values stand together. */
static int order_documents(const struct collation *c, struct slice a, struct slice b)
{
    (void)c;
    struct json_view x = json_view_of(a);
    struct json_view y = json_view_of(b);
    if (json_is_container(&x) && x.type == y.type && json_count(&x) != json_count(&y)) {
        return json_count(&x) < json_count(&y) ? -1 : 1;
    }
    return json_compare(&x, &y);
}

static uint64_t hash_document(const struct collation *c, struct slice s, uint64_t seed)
{
    (void)c;
    struct json_view v = json_view_of(s);
    return json_hash(&v, seed);
}

static const struct collation_ops equality_ops = {
    .name = "json", .compare = compare_documents, .hash = hash_document};
static const struct collation_ops order_ops = {
    .name = "json_order", .compare = order_documents, .hash = hash_document};

const struct collation json_collation = {
    .id = COLL_ID_MAX, .pad = COLLATION_NO_PAD, .name = "json", .ops = &equality_ops};
const struct collation json_order_collation = {
    .id = COLL_ID_MAX, .pad = COLLATION_NO_PAD, .name = "json_order", .ops = &order_ops};
