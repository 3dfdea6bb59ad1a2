/* Registration of the tables, and the conversion of what fill functions give to the columns' types.
 *
 * tables.def is read once, in order, into descriptors that live as long as the catalog. A table's
 * provider is embedded in its entry, so that fill() finds the entry from the descriptor. */
#include "sql/infoschema/infoschema.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fiber.h"
#include "sql/charset/charset.h"
#include "sql/infoschema/fill.h"
#include "sql/types/timezone.h"

enum is_type {
    IS_TYPE_TABLE,
    IS_TYPE_MEM_TABLE, /* the row begins a table */
    IS_TYPE_PERF_TABLE,
    IS_TYPE_MYSQL_TABLE,
    IS_TYPE_TINYINT,
    IS_TYPE_USMALLINT,
    IS_TYPE_INT,
    IS_TYPE_UINT,
    IS_TYPE_BIGINT,
    IS_TYPE_UBIGINT,
    IS_TYPE_VARCHAR,
    IS_TYPE_CHAR,
    IS_TYPE_VARBINARY,
    IS_TYPE_BLOB,
    IS_TYPE_TEXT,
    IS_TYPE_MEDIUMTEXT,
    IS_TYPE_LONGTEXT,
    IS_TYPE_ENUM,
    IS_TYPE_SET,
    IS_TYPE_DATETIME,
    IS_TYPE_TIMESTAMP,
    IS_TYPE_JSON,
    IS_TYPE_DOUBLE,
};

struct def_row {
    const char *name;
    is_fill_fn fill;
    enum is_type type;
    uint32_t length;
    bool nullable;
    uint16_t collation;
    const char *members;
};

static const struct def_row def_rows[] = {
#define IS_TABLE(name, fill)    {#name, is__fill_##fill, IS_TYPE_TABLE, 0, false, 0, NULL},
#define MEM_TABLE(name, fill)   {#name, is__fill_##fill, IS_TYPE_MEM_TABLE, 0, false, 0, NULL},
#define PS_TABLE(name, fill)    {#name, is__fill_##fill, IS_TYPE_PERF_TABLE, 0, false, 0, NULL},
#define MYSQL_TABLE(name, fill) {#name, is__fill_##fill, IS_TYPE_MYSQL_TABLE, 0, false, 0, NULL},
#define IS_COLUMN(name, type, length, nullable, collation, members)                                \
    {#name, NULL, IS_TYPE_##type, length, nullable, COLL_##collation, members},
#define IS_END
#include "sql/infoschema/tables.def"
#include "sql/infoschema/perf_tables.def"
#include "sql/infoschema/mysql_tables.def"
#undef IS_TABLE
#undef MEM_TABLE
#undef PS_TABLE
#undef MYSQL_TABLE
#undef IS_COLUMN
#undef IS_END
};

struct is_table {
    struct vtable_provider provider;
    const struct infoschema_ops *ops;
    is_fill_fn fill;
    struct table_def def;
};

struct infoschema {
    struct arena arena;
};

/* ---- values ---- */

static const struct sql_type *next_type(const struct is_rows *r)
{
    ASSERT(r->at < r->table->column_count);
    return &r->table->columns[r->at].type;
}

void is__null(struct is_rows *r)
{
    const struct sql_type *t = next_type(r);
    value_set_null(&r->values[r->at++], t);
}

void is__nulls(struct is_rows *r, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        is__null(r);
    }
}

static uint64_t member_index(const struct type_names *names, struct slice s)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (slice_eq_nocase(names->names[i], s)) {
            return i + 1;
        }
    }
    return 0;
}

void is__text(struct is_rows *r, struct slice s)
{
    const struct sql_type *t = next_type(r);
    struct value *v = &r->values[r->at];
    if (s.ptr == NULL) {
        is__null(r);
        return;
    }
    r->at++;
    value_tag(v, t);
    if (t->id == TYPE_ENUM) {
        v->u = member_index(t->names, s);
    } else {
        ASSERT(v->phys == PHYS_STR);
        v->str = s;
    }
}

void is__str(struct is_rows *r, const char *text)
{
    is__text(r, text == NULL ? SLICE_EMPTY : slice_str(text));
}

void is__uint(struct is_rows *r, uint64_t u)
{
    struct value *v = &r->values[r->at];
    value_tag(v, next_type(r));
    ASSERT(v->phys == PHYS_INT);
    r->at++;
    v->u = u;
}

void is__double(struct is_rows *r, double d)
{
    struct value *v = &r->values[r->at];
    value_tag(v, next_type(r));
    r->at++;
    v->d = d;
}

void is__set(struct is_rows *r, uint64_t bits)
{
    struct value *v = &r->values[r->at];
    value_tag(v, next_type(r));
    r->at++;
    v->u = bits;
}

void is__time(struct is_rows *r, uint64_t unix_us)
{
    const struct sql_type *t = next_type(r);
    struct value *v = &r->values[r->at];
    const struct timezone *tz =
        t->id == TYPE_TIMESTAMP || r->env.tz == NULL ? timezone_utc() : r->env.tz;
    int64_t packed;
    if (unix_us == 0 ||
        !timezone_from_unix(tz, (int64_t)(unix_us / 1000000u),
                            t->decimals == 0 ? 0 : (uint32_t)(unix_us % 1000000u), &packed)) {
        is__null(r);
        return;
    }
    r->at++;
    value_tag(v, t);
    v->t = packed;
}

db_err is__end(struct is_rows *r)
{
    ASSERT(r->at == r->table->column_count);
    r->at = 0;
    TRY(r->rows->add(r->rows, r->values));
    return fiber_checkpoint();
}

bool is__sees_schema(const struct is_rows *r, const struct schema_def *s)
{
    const struct priv_session *p = r->env.priv;
    struct priv_subject now = priv_anew(p); /* MYSQL: also of the current database */
    return p->accounts == NULL || priv_sees_schema(&now, s->name);
}

bool is__sees_name(const struct is_rows *r, struct slice schema, struct slice name)
{
    const struct priv_session *p = r->env.priv;
    return p->accounts == NULL || priv_everywhere(&p->subject, PRIV_SELECT) ||
           slice_eq(schema, SLICE_LIT("information_schema")) ||
           priv_sees_table(&p->subject, schema, name);
}

bool is__sees_table(const struct is_rows *r, const struct table_def *t)
{
    return is__sees_name(r, t->schema_name, t->name);
}

bool is__hides_primary(const struct is_rows *r, const struct table_def *t)
{
    return r->env.hides_generated_primary && table_has_generated_primary(t);
}

priv_t is__on_column(const struct is_rows *r, const struct table_def *t, const struct column_def *c)
{
    const struct priv_session *p = r->env.priv;
    priv_t all = priv_all(PRIV_LEVEL_COLUMN, false);
    if (p->accounts == NULL || priv_everywhere(&p->subject, all)) {
        return all;
    }
    return (priv_on_table(&p->subject, t->schema_name, t->name, NULL) |
            priv_on_column(&p->subject, t->schema_name, t->name, c->name)) &
           all;
}

db_err is__each_table(struct is_rows *r, db_err (*fn)(struct is_rows *r, const struct schema_def *s,
                                                      const struct table_def *t))
{
    const struct catalog_snapshot *snap = r->env.snapshot;
    if (r->env.only != NULL) {
        const struct schema_def *s = snapshot_schema(snap, r->env.only->schema_name);
        return s == NULL ? ERR_OK : fn(r, s, r->env.only);
    }
    for (uint32_t i = 0; i < snapshot_schema_count(snap); i++) {
        const struct schema_def *s = snapshot_schema_at(snap, i);
        uint32_t n = snapshot_table_count(snap, s);
        for (uint32_t k = 0; k < n; k++) {
            const struct table_def *t = snapshot_table_at(snap, s, k);
            TRY(is__sees_table(r, t) ? fn(r, s, t) : ERR_OK);
        }
    }
    return ERR_OK;
}

db_err is__fill_none(struct is_rows *r)
{
    (void)r;
    return ERR_OK;
}

static db_err fill(const struct table_def *table, void *session, struct arena *arena,
                   struct vtable_rows *rows, struct diag *diag)
{
    const struct is_table *t = CONTAINER_OF(table->provider, struct is_table, provider);
    struct is_rows r = {.rows = rows,
                        .table = table,
                        .arena = arena,
                        .ops = t->ops,
                        .session = session,
                        .diag = diag};
    r.values = ARENA_ARRAY(arena, struct value, table->column_count);
    if (r.values == NULL) {
        return ERR_NOMEM;
    }
    TRY(t->ops->env(session, &r.env));
    return t->fill(&r);
}

/* ---- registration ---- */

static db_err members_of(struct arena *a, const char *text, struct type_names **ret)
{
    struct type_names *names = ARENA_NEW(a, struct type_names);
    uint32_t count = 1;
    for (const char *p = text; *p != '\0'; p++) {
        count += *p == '|' ? 1 : 0;
    }
    struct slice *list = ARENA_ARRAY(a, struct slice, count);
    if (names == NULL || list == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *bar = strchr(text, '|');
        size_t len = bar == NULL ? strlen(text) : (size_t)(bar - text);
        list[i] = slice_of(text, len);
        text += len + 1;
    }
    *names = (struct type_names){.count = count, .names = list};
    *ret = names;
    return ERR_OK;
}

static db_err type_of(struct arena *a, const struct def_row *d, struct sql_type *ret)
{
    struct type_names *names;
    switch (d->type) {
    case IS_TYPE_TINYINT: *ret = type_int(TYPE_TINYINT, false); break;
    case IS_TYPE_USMALLINT: *ret = type_int(TYPE_SMALLINT, true); break;
    case IS_TYPE_INT: *ret = type_int(TYPE_INT, false); break;
    case IS_TYPE_UINT: *ret = type_int(TYPE_INT, true); break;
    case IS_TYPE_BIGINT: *ret = type_int(TYPE_BIGINT, false); break;
    case IS_TYPE_UBIGINT: *ret = type_int(TYPE_BIGINT, true); break;
    case IS_TYPE_VARCHAR: *ret = type_char(TYPE_VARCHAR, d->length, d->collation); break;
    case IS_TYPE_CHAR: *ret = type_char(TYPE_CHAR, d->length, d->collation); break;
    case IS_TYPE_VARBINARY: *ret = type_char(TYPE_VARBINARY, d->length, COLL_BINARY); break;
    case IS_TYPE_BLOB: *ret = type_blob(TYPE_BLOB, COLL_BINARY); break;
    case IS_TYPE_TEXT: *ret = type_blob(TYPE_TEXT, d->collation); break;
    case IS_TYPE_MEDIUMTEXT: *ret = type_blob(TYPE_MEDIUMTEXT, d->collation); break;
    case IS_TYPE_LONGTEXT: *ret = type_blob(TYPE_LONGTEXT, d->collation); break;
    case IS_TYPE_DOUBLE:
        *ret = (struct sql_type){
            .id = TYPE_DOUBLE, .length = 7, .decimals = 6, .collation = COLL_BINARY};
        break;
    case IS_TYPE_JSON: *ret = type_blob(TYPE_JSON, COLL_BINARY); break;
    case IS_TYPE_DATETIME: *ret = type_temporal(TYPE_DATETIME, 0); break;
    case IS_TYPE_TIMESTAMP: *ret = type_temporal(TYPE_TIMESTAMP, (uint8_t)d->length); break;
    case IS_TYPE_ENUM:
    case IS_TYPE_SET:
        TRY(members_of(a, d->members, &names));
        *ret = type_names_of(d->type == IS_TYPE_ENUM ? TYPE_ENUM : TYPE_SET, names, d->collation);
        break;
    case IS_TYPE_TABLE:
    case IS_TYPE_MEM_TABLE:
    case IS_TYPE_PERF_TABLE:
    case IS_TYPE_MYSQL_TABLE: return ERR_INVALID;
    }
    if (!d->nullable) {
        ret->flags |= TYPE_F_NOT_NULL;
    }
    return ERR_OK;
}

static db_err add_table(struct catalog *catalog, struct infoschema *is,
                        const struct infoschema_ops *ops, const struct def_row *d, uint32_t columns)
{
    struct is_table *t = ARENA_NEW(&is->arena, struct is_table);
    struct column_def *c = ARENA_ARRAY(&is->arena, struct column_def, columns);
    if (t == NULL || c == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < columns; i++) {
        c[i] = (struct column_def){.id = i + 1, .ordinal = i, .name = slice_str(d[i + 1].name)};
        TRY(type_of(&is->arena, &d[i + 1], &c[i].type));
        c[i].default_kind = d[i + 1].nullable ? DEFAULT_NULL : DEFAULT_NONE;
    }
    t->provider.fill = fill;
    t->provider.kind = d->type == IS_TYPE_PERF_TABLE  ? VTABLE_WITHOUT_TRANSACTIONS
                       : d->type == IS_TYPE_MEM_TABLE ? VTABLE_OF_NO_ENGINE
                                                      : VTABLE_OF_DICTIONARY;
    t->ops = ops;
    t->fill = d->fill;
    bool perf = d->type == IS_TYPE_PERF_TABLE;
    bool mysql = d->type == IS_TYPE_MYSQL_TABLE;
    t->def =
        (struct table_def){.schema_id = perf || mysql ? 0 : 1,
                           .schema_name = perf    ? SLICE_LIT("performance_schema")
                                          : mysql ? SLICE_LIT("mysql")
                                                  : SLICE_LIT("information_schema"),
                           .name = slice_str(d->name),
                           .version = 1,
                           .kind = TABLE_VIRTUAL,
                           .column_count = columns,
                           .columns = c,
                           .auto_increment = -1,
                           .collation = perf ? COLL_UTF8MB4_0900_AI_CI : COLL_UTF8MB3_GENERAL_CI,
                           .provider = &t->provider};
    return catalog_add_virtual_table(catalog, &t->def);
}

db_err infoschema_register(struct catalog *catalog, const struct infoschema_ops *ops,
                           struct infoschema **ret_infoschema)
{
    struct infoschema *is = mem_calloc(1, sizeof(*is));
    db_err err = ERR_OK;
    if (is == NULL) {
        return ERR_NOMEM;
    }
    arena_init(&is->arena, NULL, NULL, 0);
    for (size_t i = 0; i < ARRAY_COUNT(def_rows) && err == ERR_OK;) {
        uint32_t columns = 0;
        while (i + 1 + columns < ARRAY_COUNT(def_rows) && def_rows[i + 1 + columns].fill == NULL) {
            columns++;
        }
        err = add_table(catalog, is, ops, &def_rows[i], columns);
        i += columns + 1;
    }
    if (err != ERR_OK) {
        return err; /* the catalog may point to some of them: they live until the process ends */
    }
    *ret_infoschema = is;
    return ERR_OK;
}

void infoschema_free(struct infoschema *is)
{
    if (is != NULL) {
        arena_fini(&is->arena);
        mem_free(is);
    }
}
