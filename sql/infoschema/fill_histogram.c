/* COLUMN_STATISTICS: the histograms, as JSON documents in MySQL's form. */
#include "base/scope.h"
#include "sql/charset/charset.h"
#include "sql/infoschema/fill.h"
#include "sql/types/json.h"

enum { DOCUMENT_MAX = 4 * 1024 * 1024, NUMBERS_COLLATION = COLL_LATIN1_SWEDISH_CI };

struct writer {
    struct is_rows *r;
    struct cast_ctx cast;
    struct json_node *doc;
};

static db_err set(struct writer *w, const char *name, struct json_node *value)
{
    return value == NULL ? ERR_LIMIT : json_set_member(w->r->arena, w->doc, slice_str(name), value);
}

static struct json_node *number(struct writer *w, double d)
{
    struct json_node *n = json_node_new(w->r->arena, JSON_DOUBLE);
    if (n != NULL) {
        n->u.d = d;
    }
    return n;
}

static struct json_node *integer(struct writer *w, uint64_t u)
{
    struct json_node *n = json_node_new(w->r->arena, JSON_UINT);
    if (n != NULL) {
        n->u.u = u;
    }
    return n;
}

static struct json_node *text(struct writer *w, const char *s)
{
    return json_node_str(w->r->arena, slice_str(s));
}

static db_err add(struct writer *w, struct json_node *list, struct json_node *item)
{
    return item == NULL ? ERR_LIMIT : json_append_item(w->r->arena, list, item);
}

/* MYSQL: text is bytes, whatever its character set. */
static db_err value(struct writer *w, const struct sql_type *t, const struct value *v,
                    struct json_node **ret)
{
    struct sql_type type = *t;
    struct value bytes = *v;
    if (type_phys(t) == PHYS_STR) {
        type = type_char(TYPE_BINARY, t->length, COLL_BINARY);
        bytes = value_str(v->str, COLL_BINARY);
        bytes.type = TYPE_BINARY;
    }
    return json_from_value(&w->cast, &type, &bytes, ret);
}

static db_err bucket(struct writer *w, const struct sql_type *t, const struct histogram *h,
                     uint32_t i, struct json_node *buckets)
{
    struct arena *a = w->r->arena;
    struct json_node *b = json_node_new(a, JSON_ARRAY);
    struct json_node *v;
    if (b == NULL) {
        return ERR_LIMIT;
    }
    TRY(value(w, t, &h->lower[i], &v));
    TRY(add(w, b, v));
    if (h->upper != h->lower) {
        TRY(value(w, t, &h->upper[i], &v));
        TRY(add(w, b, v));
    }
    TRY(add(w, b, number(w, h->cumulative[i])));
    if (h->upper != h->lower) {
        TRY(add(w, b, integer(w, h->distinct[i])));
    }
    return add(w, buckets, b);
}

static const char *type_name(const struct sql_type *t)
{
    if (t->id == TYPE_YEAR) {
        return "int";
    }
    if (type_is_integer(t)) {
        return type_is_unsigned(t) ? "uint" : "int";
    }
    switch ((int)t->id) {
    case TYPE_DECIMAL: return "decimal";
    case TYPE_FLOAT:
    case TYPE_DOUBLE: return "double";
    case TYPE_DATE: return "date";
    case TYPE_TIME: return "time";
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP: return "datetime";
    case TYPE_ENUM: return "enum";
    case TYPE_SET: return "set";
    case TYPE_BIT: return "int";
    default: return "string";
    }
}

static uint32_t collation_of(const struct sql_type *t)
{
    bool text = type_phys(t) == PHYS_STR || t->id == TYPE_ENUM || t->id == TYPE_SET;
    return text ? t->collation : t->id == TYPE_BIT ? COLL_BINARY : NUMBERS_COLLATION;
}

static const char *moment(struct writer *w, uint64_t us)
{
    int64_t packed;
    struct time_parts p = {0};
    if (timezone_from_unix(timezone_utc(), (int64_t)(us / 1000000u), 0, &packed)) {
        datetime_unpack(packed, &p);
    }
    return arena_printf(w->r->arena, "%04u-%02u-%02u %02u:%02u:%02u.%06u", (unsigned)p.year,
                        (unsigned)p.month, (unsigned)p.day, (unsigned)p.hour, (unsigned)p.minute,
                        (unsigned)p.second, (unsigned)(us % 1000000u));
}

static struct json_node *boolean(struct writer *w, bool b)
{
    struct json_node *n = json_node_new(w->r->arena, JSON_BOOLEAN);
    if (n != NULL) {
        n->u.b = b;
    }
    return n;
}

static db_err document(struct writer *w, const struct column_def *c)
{
    const struct histogram *h = c->histogram;
    struct sql_type t = histogram_type(&c->type);
    struct json_node *buckets = json_node_new(w->r->arena, JSON_ARRAY);
    bool singleton = h->upper == h->lower;
    w->doc = json_node_new(w->r->arena, JSON_OBJECT);
    if (buckets == NULL || w->doc == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < h->count; i++) {
        TRY(bucket(w, &t, h, i, buckets));
    }
    TRY(set(w, "buckets", buckets));
    TRY(set(w, "data-type", text(w, type_name(&c->type))));
    TRY(set(w, "auto-update", boolean(w, h->auto_update)));
    TRY(set(w, "null-values", number(w, h->nulls)));
    TRY(set(w, "collation-id", integer(w, collation_of(&c->type))));
    TRY(set(w, "last-updated", text(w, moment(w, h->made_us))));
    TRY(set(w, "sampling-rate", number(w, h->sampling)));
    TRY(set(w, "histogram-type", text(w, singleton ? "singleton" : "equi-height")));
    return set(w, "number-of-buckets-specified", integer(w, h->wanted));
}

static db_err statistics_of(struct is_rows *r, const struct schema_def *s,
                            const struct table_def *t)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct column_def *c = &t->columns[i];
        struct writer w = {.r = r, .cast = {.arena = r->arena, .diag = r->diag}};
        struct slice doc;
        if (c->histogram == NULL || is__on_column(r, t, c) == 0) {
            continue;
        }
        TRY(document(&w, c));
        TRY(json_write_arena(w.doc, r->arena, r->diag, &doc));
        is__text(r, s->name);
        is__text(r, t->name);
        is__text(r, c->name);
        is__text(r, doc);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_column_statistics(struct is_rows *r)
{
    return is__each_table(r, statistics_of);
}
