/* Descriptors as protobuf messages and back. Decoding makes an entry that owns everything and has
 * its storage format. */
#include "sql/catalog/descriptor.h"

#include "base/alloc.h"
#include "proto/catalog.pb-c.h"
#include "sql/catalog/catalog_int.h"
#include "sql/catalog/table_format.h"

typedef Skein__Catalog__Table pb_table;
typedef Skein__Catalog__Column pb_column;
typedef Skein__Catalog__Type pb_type;
typedef Skein__Catalog__Value pb_value;
typedef Skein__Catalog__Index pb_index;
typedef Skein__Catalog__IndexPart pb_part;
typedef Skein__Catalog__Check pb_check;
typedef Skein__Catalog__ForeignKey pb_fk;
typedef Skein__Catalog__Schema pb_schema;
typedef Skein__Catalog__View pb_view;
typedef Skein__Catalog__Histogram pb_histogram;

static ProtobufCBinaryData bytes_of(struct slice s)
{
    return (ProtobufCBinaryData){.len = s.len, .data = (uint8_t *)(uintptr_t)s.ptr};
}

/* ---- encode: messages are built in an arena, borrowing the descriptor's bytes ---- */

#define PB_NEW(a, var, type, init)                                                                 \
    type *var = ARENA_NEW((a), type);                                                              \
    if (var == NULL) {                                                                             \
        return NULL;                                                                               \
    }                                                                                              \
    init(var)

static pb_type *type_to(struct arena *a, const struct sql_type *t)
{
    PB_NEW(a, p, pb_type, skein__catalog__type__init);
    p->id = t->id;
    p->flags = t->flags;
    p->decimals = t->decimals;
    p->length = t->length;
    p->collation = t->collation;
    p->has_geometry = t->geometry != 0;
    p->geometry = t->geometry;
    p->has_srid_plus_1 = t->srid_plus_1 != 0;
    p->srid_plus_1 = t->srid_plus_1;
    if (t->names != NULL) {
        p->n_names = t->names->count;
        p->names = ARENA_ARRAY(a, ProtobufCBinaryData, p->n_names + 1);
        for (uint32_t i = 0; p->names != NULL && i < t->names->count; i++) {
            p->names[i] = bytes_of(t->names->names[i]);
        }
    }
    return p;
}

static pb_value *value_to(struct arena *a, const struct value *v)
{
    PB_NEW(a, p, pb_value, skein__catalog__value__init);
    if (v->is_null) {
        return p;
    }
    char *text;
    switch (v->phys) {
    case PHYS_DECIMAL:
        text = arena_alloc(a, DECIMAL_TEXT_MAX);
        if (text == NULL) {
            return NULL;
        }
        p->bytes = bytes_of(slice_of(text, decimal_to_text(&v->dec, text)));
        p->has_bytes = true;
        break;
    case PHYS_STR:
        p->bytes = bytes_of(v->str);
        p->has_bytes = true;
        break;
    default: p->has_number = true; p->number = v->i; /* doubles: the same 64 bits */
    }
    return p;
}

struct sql_type histogram_type(const struct sql_type *column)
{
    bool number = column->id == TYPE_ENUM || column->id == TYPE_SET || column->id == TYPE_BIT;
    return number ? type_int(TYPE_BIGINT, true) : *column;
}

static db_err values_to(struct arena *a, const struct value *v, uint32_t count, pb_value ***ret)
{
    *ret = ARENA_ARRAY(a, pb_value *, count + 1);
    for (uint32_t i = 0; *ret != NULL && i < count; i++) {
        (*ret)[i] = value_to(a, &v[i]);
        if ((*ret)[i] == NULL) {
            return ERR_NOMEM;
        }
    }
    return *ret == NULL ? ERR_NOMEM : ERR_OK;
}

static pb_histogram *histogram_to(struct arena *a, const struct histogram *h)
{
    PB_NEW(a, p, pb_histogram, skein__catalog__histogram__init);
    bool singleton = h->upper == h->lower;
    p->n_lower = h->count;
    p->n_upper = singleton ? 0 : h->count;
    if (values_to(a, h->lower, h->count, &p->lower) != ERR_OK ||
        (!singleton && values_to(a, h->upper, h->count, &p->upper) != ERR_OK)) {
        return NULL;
    }
    p->n_cumulative = p->n_distinct = h->count;
    p->cumulative = h->cumulative;
    p->distinct = h->distinct;
    p->nulls = h->nulls;
    p->sampling = h->sampling;
    p->wanted = h->wanted;
    p->auto_update = h->auto_update;
    p->made_us = h->made_us;
    return p;
}

static pb_column *column_to(struct arena *a, const struct column_def *c)
{
    PB_NEW(a, p, pb_column, skein__catalog__column__init);
    p->id = c->id;
    p->name = bytes_of(c->name);
    p->type = type_to(a, &c->type);
    p->default_kind = (uint32_t)c->default_kind;
    if (c->default_kind == DEFAULT_CONST) {
        p->default_value = value_to(a, &c->default_value);
    }
    p->has_default_expr = c->default_expr.len != 0;
    p->default_expr = bytes_of(c->default_expr);
    p->has_on_update_now = p->has_auto_increment = p->has_invisible = p->has_hidden = true;
    p->on_update_now = c->on_update_now;
    p->auto_increment = c->auto_increment;
    p->invisible = c->invisible;
    p->hidden = c->hidden;
    p->has_explicit_collation = c->explicit_collation;
    p->explicit_collation = c->explicit_collation;
    p->has_column_format = c->column_format != 0;
    p->column_format = c->column_format;
    p->has_storage_media = c->storage_media != 0;
    p->storage_media = c->storage_media;
    if (c->has_absent && (p->absent = value_to(a, &c->absent)) == NULL) {
        return NULL;
    }
    p->has_generated = c->generated != GENERATED_NO;
    p->generated = (uint32_t)c->generated;
    p->has_generated_expr = c->generated_expr.len != 0;
    p->generated_expr = bytes_of(c->generated_expr);
    p->has_comment = c->comment.len != 0;
    p->comment = bytes_of(c->comment);
    if (c->histogram != NULL && (p->histogram = histogram_to(a, c->histogram)) == NULL) {
        return NULL;
    }
    if (c->element != NULL && (p->element = type_to(a, c->element)) == NULL) {
        return NULL;
    }
    return p->type == NULL ? NULL : p;
}

static pb_index *index_to(struct arena *a, const struct index_def *ix)
{
    PB_NEW(a, p, pb_index, skein__catalog__index__init);
    p->id = ix->id;
    p->name = bytes_of(ix->name);
    p->kind = (uint32_t)ix->kind;
    p->has_invisible = true;
    p->invisible = ix->invisible;
    p->has_using_btree = ix->using_btree;
    p->using_btree = ix->using_btree;
    p->has_generated = ix->generated;
    p->generated = ix->generated;
    p->has_comment = ix->comment.len != 0;
    p->comment = bytes_of(ix->comment);
    p->n_distinct = ix->distinct == NULL ? 0 : ix->part_count;
    p->distinct = ix->distinct;
    p->n_parts = ix->part_count;
    p->parts = ARENA_ARRAY(a, pb_part *, ix->part_count + 1);
    for (uint32_t i = 0; p->parts != NULL && i < ix->part_count; i++) {
        pb_part *part = ARENA_NEW(a, pb_part);
        if (part == NULL) {
            return NULL;
        }
        skein__catalog__index_part__init(part);
        part->column = ix->parts[i].column;
        part->has_prefix_len = part->has_descending = true;
        part->prefix_len = ix->parts[i].prefix_len;
        part->descending = ix->parts[i].descending;
        p->parts[i] = part;
    }
    return p->parts == NULL ? NULL : p;
}

static pb_check *check_to(struct arena *a, const struct check_def *c)
{
    PB_NEW(a, p, pb_check, skein__catalog__check__init);
    p->name = bytes_of(c->name);
    p->expr = bytes_of(c->expr);
    p->enforced = c->enforced;
    return p;
}

static pb_fk *fk_to(struct arena *a, const struct foreign_key_def *f)
{
    PB_NEW(a, p, pb_fk, skein__catalog__foreign_key__init);
    p->name = bytes_of(f->name);
    p->ref_schema = bytes_of(f->ref_schema);
    p->ref_table = bytes_of(f->ref_table);
    p->has_on_delete = p->has_on_update = true;
    p->on_delete = f->on_delete;
    p->on_update = f->on_update;
    p->has_match = f->match != 0;
    p->match = f->match;
    p->n_columns = p->n_ref_columns = f->column_count;
    p->columns = ARENA_ARRAY(a, ProtobufCBinaryData, f->column_count + 1);
    p->ref_columns = ARENA_ARRAY(a, ProtobufCBinaryData, f->column_count + 1);
    if (p->columns == NULL || p->ref_columns == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < f->column_count; i++) {
        p->columns[i] = bytes_of(f->columns[i]);
        p->ref_columns[i] = bytes_of(f->ref_columns[i]);
    }
    return p;
}

static pb_view *view_to(struct arena *a, const struct view_def *v)
{
    PB_NEW(a, p, pb_view, skein__catalog__view__init);
    p->definer_user = bytes_of(v->definer_user);
    p->definer_host = bytes_of(v->definer_host);
    p->algorithm = (uint32_t)v->algorithm;
    p->invoker = v->invoker;
    p->check_option = (uint32_t)v->check_option;
    p->charset_client = v->charset_client;
    p->collation_connection = v->collation_connection;
    p->has_column_list = v->has_column_list;
    p->has_updatable = true;
    p->updatable = v->updatable;
    p->has_utf8_text = true;
    p->utf8_text = v->utf8_text;
    return p;
}

static db_err pack(struct arena *a, const ProtobufCMessage *m, struct buf *out)
{
    (void)a;
    size_t size = protobuf_c_message_get_packed_size(m);
    TRY(buf_reserve(out, size));
    out->len += protobuf_c_message_pack(m, out->ptr + out->len);
    return ERR_OK;
}

#define FILL(field, n_field, type, list, count, convert)                                           \
    p.n_field = (count);                                                                           \
    p.field = ARENA_ARRAY(a, type *, (count) + 1);                                                 \
    for (uint32_t i = 0; i < (count); i++) {                                                       \
        if (p.field == NULL || (p.field[i] = convert(a, &(list)[i])) == NULL) {                    \
            return ERR_NOMEM;                                                                      \
        }                                                                                          \
    }

static db_err encode_table(struct arena *a, const struct table_def *t, struct buf *out)
{
    pb_table p = SKEIN__CATALOG__TABLE__INIT;
    p.id = t->id;
    p.schema_id = t->schema_id;
    p.name = bytes_of(t->name);
    p.version = t->version;
    p.kind = (uint32_t)t->kind;
    p.has_primary = t->has_primary;
    p.auto_increment = t->auto_increment;
    p.has_auto_increment_start = t->auto_increment_start != 0;
    p.auto_increment_start = t->auto_increment_start;
    p.collation = t->collation;
    p.has_lean_rows = p.lean_rows = t->lean_rows;
    p.has_comment = t->comment.len != 0;
    p.comment = bytes_of(t->comment);
    p.has_engine = t->engine.len != 0;
    p.engine = bytes_of(t->engine);
    p.has_create_options = t->create_options.len != 0;
    p.create_options = bytes_of(t->create_options);
    p.has_view_text = t->view_text.len != 0;
    p.view_text = bytes_of(t->view_text);
    if (t->kind == TABLE_VIEW && (p.view = view_to(a, &t->view)) == NULL) {
        return ERR_NOMEM;
    }
    p.has_create_time_us = true;
    p.create_time_us = t->create_time_us;
    p.has_next_column_id = p.has_next_index_id = true;
    p.next_column_id = t->next_column_id;
    p.next_index_id = t->next_index_id;
    FILL(columns, n_columns, pb_column, t->columns, t->column_count, column_to)
    FILL(indexes, n_indexes, pb_index, t->indexes, t->index_count, index_to)
    FILL(checks, n_checks, pb_check, t->checks, t->check_count, check_to)
    FILL(foreign_keys, n_foreign_keys, pb_fk, t->foreign_keys, t->foreign_key_count, fk_to)
    return pack(a, &p.base, out);
}

db_err table__encode(const struct table_def *def, struct buf *out)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    db_err err = encode_table(&a, def, out);
    arena_fini(&a);
    return err;
}

db_err schema__encode(const struct schema_def *def, struct buf *out)
{
    pb_schema p = SKEIN__CATALOG__SCHEMA__INIT;
    p.id = def->id;
    p.name = bytes_of(def->name);
    p.collation = def->collation;
    p.has_read_only = true;
    p.read_only = def->read_only;
    return pack(NULL, &p.base, out);
}

/* ---- decode ---- */

static db_err take(struct arena *a, ProtobufCBinaryData b, struct slice *ret)
{
    return arena_copy(a, slice_of(b.data, b.len), ret);
}

static db_err type_from(struct arena *a, const pb_type *p, struct sql_type *t)
{
    if (p->id >= TYPE__COUNT) {
        return ERR_CORRUPT;
    }
    *t = (struct sql_type){.id = (uint8_t)p->id,
                           .flags = (uint8_t)p->flags,
                           .decimals = (uint8_t)p->decimals,
                           .geometry = (uint8_t)p->geometry,
                           .length = p->length,
                           .collation = (uint16_t)p->collation,
                           .srid_plus_1 = p->srid_plus_1};
    if (p->n_names == 0) {
        return ERR_OK;
    }
    struct type_names *names = ARENA_NEW(a, struct type_names);
    struct slice *list = ARENA_ARRAY(a, struct slice, p->n_names);
    if (names == NULL || list == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < p->n_names; i++) {
        TRY(take(a, p->names[i], &list[i]));
    }
    *names = (struct type_names){.count = (uint32_t)p->n_names, .names = list};
    t->names = names;
    return ERR_OK;
}

static db_err value_from(struct arena *a, const pb_value *p, const struct sql_type *t,
                         struct value *v)
{
    value_set_null(v, t);
    if (p == NULL || (!p->has_number && !p->has_bytes)) {
        return ERR_OK;
    }
    v->is_null = false;
    if (v->phys == PHYS_DECIMAL) {
        decimal_from_text(slice_of(p->bytes.data, p->bytes.len), &v->dec);
    } else if (v->phys == PHYS_STR) {
        return take(a, p->bytes, &v->str);
    } else {
        v->i = p->number;
    }
    return ERR_OK;
}

static db_err values_from(struct arena *a, pb_value *const *p, size_t count,
                          const struct sql_type *t, struct value **ret)
{
    *ret = ARENA_ARRAY(a, struct value, count + 1);
    if (*ret == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        TRY(value_from(a, p[i], t, &(*ret)[i]));
    }
    return ERR_OK;
}

static db_err histogram_from(struct arena *a, const pb_histogram *p, const struct sql_type *column,
                             const struct histogram **ret)
{
    struct sql_type t = histogram_type(column);
    size_t n = p->n_lower;
    if (p->n_cumulative != n || p->n_distinct != n || (p->n_upper != 0 && p->n_upper != n)) {
        return ERR_CORRUPT;
    }
    struct histogram *h = ARENA_NEW(a, struct histogram);
    if (h == NULL) {
        return ERR_NOMEM;
    }
    *h = (struct histogram){.count = (uint32_t)n,
                            .cumulative = ARENA_ARRAY(a, double, n + 1),
                            .distinct = ARENA_ARRAY(a, uint64_t, n + 1),
                            .nulls = p->nulls,
                            .sampling = p->sampling,
                            .wanted = p->wanted,
                            .auto_update = p->auto_update != 0,
                            .made_us = p->made_us};
    if (h->cumulative == NULL || h->distinct == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        h->cumulative[i] = p->cumulative[i];
        h->distinct[i] = p->distinct[i];
    }
    TRY(values_from(a, p->lower, n, &t, &h->lower));
    h->upper = h->lower;
    TRY(p->n_upper == 0 ? ERR_OK : values_from(a, p->upper, n, &t, &h->upper));
    *ret = h;
    return ERR_OK;
}

static db_err column_from(struct arena *a, const pb_column *p, uint32_t ordinal,
                          struct column_def *c)
{
    *c = (struct column_def){.id = p->id, .ordinal = ordinal};
    TRY(take(a, p->name, &c->name));
    TRY(type_from(a, p->type, &c->type));
    c->default_kind = (enum column_default_kind)p->default_kind;
    TRY(value_from(a, p->default_value, &c->type, &c->default_value));
    TRY(take(a, p->default_expr, &c->default_expr));
    c->on_update_now = p->on_update_now != 0;
    c->auto_increment = p->auto_increment != 0;
    c->invisible = p->invisible != 0;
    c->hidden = p->hidden != 0;
    c->explicit_collation = p->explicit_collation != 0;
    c->column_format = (uint8_t)p->column_format;
    c->storage_media = (uint8_t)p->storage_media;
    c->has_absent = p->absent != NULL;
    TRY(value_from(a, p->absent, &c->type, &c->absent));
    c->generated = (enum column_generated)p->generated;
    TRY(take(a, p->generated_expr, &c->generated_expr));
    TRY(p->histogram == NULL ? ERR_OK : histogram_from(a, p->histogram, &c->type, &c->histogram));
    if (p->element != NULL) {
        struct sql_type *element = ARENA_NEW(a, struct sql_type);
        if (element == NULL) {
            return ERR_NOMEM;
        }
        TRY(type_from(a, p->element, element));
        c->element = element;
    }
    return take(a, p->comment, &c->comment);
}

static db_err index_from(struct arena *a, const pb_index *p, uint32_t columns, struct index_def *ix)
{
    *ix = (struct index_def){
        .id = p->id,
        .kind = (enum index_kind)p->kind,
        .invisible = p->invisible != 0,
        .using_btree = p->using_btree != 0,
        .generated = p->generated != 0,
    };
    TRY(take(a, p->name, &ix->name));
    TRY(take(a, p->comment, &ix->comment));
    ix->part_count = (uint32_t)p->n_parts;
    ix->parts = ARENA_ARRAY(a, struct index_part, p->n_parts + 1);
    if (ix->parts == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < p->n_parts; i++) {
        if (p->parts[i]->column >= columns) {
            return ERR_CORRUPT;
        }
        ix->parts[i] = (struct index_part){p->parts[i]->column, p->parts[i]->prefix_len,
                                           p->parts[i]->descending != 0};
    }
    if (p->n_distinct == p->n_parts && p->n_parts != 0) {
        ix->distinct = ARENA_ARRAY(a, uint64_t, p->n_parts);
        if (ix->distinct == NULL) {
            return ERR_NOMEM;
        }
        memcpy(ix->distinct, p->distinct, p->n_parts * sizeof(*p->distinct));
    }
    return ERR_OK;
}

static db_err fk_from(struct arena *a, const pb_fk *p, struct foreign_key_def *f)
{
    TRY(take(a, p->name, &f->name));
    TRY(take(a, p->ref_schema, &f->ref_schema));
    TRY(take(a, p->ref_table, &f->ref_table));
    f->on_delete = (uint8_t)p->on_delete;
    f->on_update = (uint8_t)p->on_update;
    f->match = (uint8_t)p->match;
    f->column_count = (uint32_t)p->n_columns;
    f->columns = ARENA_ARRAY(a, struct slice, p->n_columns + 1);
    f->ref_columns = ARENA_ARRAY(a, struct slice, p->n_columns + 1);
    if (f->columns == NULL || f->ref_columns == NULL || p->n_ref_columns != p->n_columns) {
        return ERR_CORRUPT;
    }
    for (size_t i = 0; i < p->n_columns; i++) {
        TRY(take(a, p->columns[i], &f->columns[i]));
        TRY(take(a, p->ref_columns[i], &f->ref_columns[i]));
    }
    return ERR_OK;
}

static db_err view_from(struct arena *a, const pb_view *p, struct view_def *v)
{
    if (p == NULL || p->algorithm > VIEW_TEMPTABLE || p->check_option > VIEW_CHECK_CASCADED) {
        return ERR_CORRUPT;
    }
    v->algorithm = (enum view_algorithm)p->algorithm;
    v->invoker = p->invoker != 0;
    v->check_option = (enum view_check_option)p->check_option;
    v->charset_client = (uint16_t)p->charset_client;
    v->collation_connection = (uint16_t)p->collation_connection;
    v->has_column_list = p->has_column_list != 0;
    v->updatable = p->updatable != 0;
    v->utf8_text = p->utf8_text != 0;
    TRY(take(a, p->definer_user, &v->definer_user));
    return take(a, p->definer_host, &v->definer_host);
}

static db_err lists_from(struct arena *a, const pb_table *p, struct table_def *t)
{
    t->column_count = (uint32_t)p->n_columns;
    t->index_count = (uint32_t)p->n_indexes;
    t->check_count = (uint32_t)p->n_checks;
    t->foreign_key_count = (uint32_t)p->n_foreign_keys;
    t->columns = ARENA_ARRAY(a, struct column_def, t->column_count + 1);
    t->indexes = ARENA_ARRAY(a, struct index_def, t->index_count + 1);
    t->checks = ARENA_ARRAY(a, struct check_def, t->check_count + 1);
    t->foreign_keys = ARENA_ARRAY(a, struct foreign_key_def, t->foreign_key_count + 1);
    if (t->columns == NULL || t->indexes == NULL || t->checks == NULL || t->foreign_keys == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        TRY(column_from(a, p->columns[i], i, &t->columns[i]));
    }
    for (uint32_t i = 0; i < t->index_count; i++) {
        TRY(index_from(a, p->indexes[i], t->column_count, &t->indexes[i]));
    }
    for (uint32_t i = 0; i < t->check_count; i++) {
        TRY(take(a, p->checks[i]->name, &t->checks[i].name));
        TRY(take(a, p->checks[i]->expr, &t->checks[i].expr));
        t->checks[i].enforced = p->checks[i]->enforced != 0;
    }
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        TRY(fk_from(a, p->foreign_keys[i], &t->foreign_keys[i]));
    }
    return ERR_OK;
}

static db_err table_from(struct arena *a, const pb_table *p, struct slice schema_name,
                         struct table_def *t)
{
    *t = (struct table_def){.id = p->id,
                            .schema_id = p->schema_id,
                            .version = p->version,
                            .kind = (enum table_kind)p->kind,
                            .has_primary = p->has_primary != 0,
                            .auto_increment = p->auto_increment,
                            .auto_increment_start = p->auto_increment_start,
                            .collation = (uint16_t)p->collation,
                            .create_time_us = p->create_time_us,
                            .next_column_id = p->next_column_id,
                            .next_index_id = p->next_index_id,
                            .lean_rows = p->lean_rows != 0};
    TRY(arena_copy(a, schema_name, &t->schema_name));
    TRY(take(a, p->name, &t->name));
    TRY(take(a, p->comment, &t->comment));
    TRY(take(a, p->engine, &t->engine));
    TRY(take(a, p->create_options, &t->create_options));
    TRY(take(a, p->view_text, &t->view_text));
    TRY(lists_from(a, p, t));
    if (t->kind == TABLE_VIEW) {
        TRY(view_from(a, p->view, &t->view));
    }
    return t->kind == TABLE_BASE ? table_format_new(a, t, &t->format) : ERR_OK;
}

db_err table__decode(struct slice bytes, struct slice schema_name, struct table_entry **ret_entry)
{
    pb_table *p = skein__catalog__table__unpack(NULL, bytes.len, bytes.ptr);
    if (p == NULL) {
        return ERR_CORRUPT;
    }
    struct table_entry *e = mem_calloc(1, sizeof(*e));
    if (e == NULL) {
        skein__catalog__table__free_unpacked(p, NULL);
        return ERR_NOMEM;
    }
    atomic_init(&e->refs, 1);
    arena_init(&e->arena, NULL, NULL, 0);
    struct table_def *t = ARENA_NEW(&e->arena, struct table_def);
    db_err err = t == NULL ? ERR_NOMEM : table_from(&e->arena, p, schema_name, t);
    e->def = t;
    skein__catalog__table__free_unpacked(p, NULL);
    if (err != ERR_OK) {
        entry__unref(e);
        return err;
    }
    *ret_entry = e;
    return ERR_OK;
}

struct schema_entry *schema__new(schema_id_t id, struct slice name, uint16_t collation,
                                 bool read_only, bool is_virtual)
{
    struct schema_entry *e = mem_calloc(1, sizeof(*e));
    if (e == NULL) {
        return NULL;
    }
    atomic_init(&e->refs, 1);
    arena_init(&e->arena, NULL, NULL, 0);
    e->def = (struct schema_def){
        .id = id, .collation = collation, .read_only = read_only, .virtual = is_virtual};
    if (arena_copy(&e->arena, name, &e->def.name) != ERR_OK) {
        schema__unref(e);
        return NULL;
    }
    return e;
}

db_err schema__decode(struct slice bytes, struct schema_entry **ret_entry)
{
    pb_schema *p = skein__catalog__schema__unpack(NULL, bytes.len, bytes.ptr);
    if (p == NULL) {
        return ERR_CORRUPT;
    }
    struct schema_entry *e = schema__new(p->id, slice_of(p->name.data, p->name.len),
                                         (uint16_t)p->collation, p->read_only != 0, false);
    skein__catalog__schema__free_unpacked(p, NULL);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    *ret_entry = e;
    return ERR_OK;
}

/* ---- for other nodes ---- */

db_err table_descriptor_encode(const struct table_def *def, struct buf *out)
{
    struct table_def bare = *def;
    bare.check_count = 0;
    bare.foreign_key_count = 0;
    bare.comment = bare.create_options = SLICE_EMPTY;
    return table__encode(&bare, out);
}

db_err table_descriptor_decode(struct slice bytes, struct table_descriptor **ret)
{
    struct table_entry *e;
    TRY(table__decode(bytes, SLICE_EMPTY, &e));
    if (e->def->kind != TABLE_BASE || e->def->format == NULL) {
        entry__unref(e);
        return ERR_CORRUPT;
    }
    *ret = (struct table_descriptor *)e;
    return ERR_OK;
}

const struct table_def *table_descriptor_def(const struct table_descriptor *d)
{
    return ((const struct table_entry *)d)->def;
}

void table_descriptor_free(struct table_descriptor *d)
{
    if (d != NULL) {
        entry__unref((struct table_entry *)d);
    }
}
