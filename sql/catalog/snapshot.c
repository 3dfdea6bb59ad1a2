#include <stdlib.h>

#include "base/alloc.h"
#include "sql/catalog/catalog_int.h"

void entry__unref(struct table_entry *e)
{
    if (e != NULL && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1) {
        arena_fini(&e->arena);
        mem_free(e);
    }
}

void schema__unref(struct schema_entry *e)
{
    if (e != NULL && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1) {
        arena_fini(&e->arena);
        mem_free(e);
    }
}

void snapshot__unref(struct catalog_snapshot *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (s->base != NULL) {
        for (uint32_t i = 0; i < s->temporary_count; i++) {
            entry__unref(s->temporaries[i]);
        }
        snapshot__unref((struct catalog_snapshot *)(uintptr_t)s->base);
        mem_free(s->temporaries);
        mem_free(s);
        return;
    }
    for (uint32_t i = 0; i < s->schema_count; i++) {
        schema__unref(s->schemas[i]);
    }
    for (uint32_t i = 0; i < s->table_count; i++) {
        entry__unref(s->tables[i]);
    }
    mem_free(s->schemas);
    mem_free(s->tables);
    mem_free(s->by_id);
    mem_free(s->edges);
    mem_free(s);
}

/* Arrays have room for one more than they hold: an edit adds one at a time and reallocates. */
static void *copy_array(void *const *from, uint32_t count)
{
    void **to = mem_calloc(count + 1u, sizeof(void *));
    if (to != NULL && count != 0) {
        memcpy(to, from, count * sizeof(void *));
    }
    return to;
}

struct catalog_snapshot *snapshot__copy(const struct catalog_snapshot *from)
{
    struct catalog_snapshot *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    atomic_init(&s->refs, 1);
    uint32_t schemas = from == NULL ? 0 : from->schema_count;
    uint32_t tables = from == NULL ? 0 : from->table_count;
    uint32_t ids = from == NULL ? 0 : from->by_id_count;
    s->version = from == NULL ? 0 : from->version;
    s->schemas = copy_array(from == NULL ? NULL : (void *const *)from->schemas, schemas);
    s->tables = copy_array(from == NULL ? NULL : (void *const *)from->tables, tables);
    s->by_id = copy_array(from == NULL ? NULL : (void *const *)from->by_id, ids);
    if (s->schemas == NULL || s->tables == NULL || s->by_id == NULL) {
        snapshot__unref(s);
        return NULL;
    }
    if (from != NULL && from->edge_count != 0) {
        s->edges = mem_calloc(from->edge_count, sizeof(*s->edges));
        if (s->edges == NULL) {
            snapshot__unref(s);
            return NULL;
        }
        memcpy(s->edges, from->edges, from->edge_count * sizeof(*s->edges));
        s->edge_count = from->edge_count;
    }
    s->schema_count = schemas;
    s->table_count = tables;
    s->by_id_count = ids;
    for (uint32_t i = 0; i < schemas; i++) {
        atomic_fetch_add_explicit(&s->schemas[i]->refs, 1, memory_order_relaxed);
    }
    for (uint32_t i = 0; i < tables; i++) {
        atomic_fetch_add_explicit(&s->tables[i]->refs, 1, memory_order_relaxed);
    }
    return s;
}

static int table_order(const struct table_def *t, struct slice schema, struct slice name)
{
    int c = slice_cmp(t->schema_name, schema);
    return c != 0 ? c : slice_cmp(t->name, name);
}

static uint32_t table_place(const struct catalog_snapshot *s, struct slice schema,
                            struct slice name)
{
    uint32_t low = 0;
    uint32_t high = s->table_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (table_order(s->tables[mid]->def, schema, name) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static uint32_t id_place(const struct catalog_snapshot *s, table_id_t id)
{
    uint32_t low = 0;
    uint32_t high = s->by_id_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (s->by_id[mid]->def->id < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static uint32_t schema_place(const struct catalog_snapshot *s, struct slice name)
{
    uint32_t low = 0;
    uint32_t high = s->schema_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (slice_cmp(s->schemas[mid]->def.name, name) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static db_err insert_at(void ***io, uint32_t *io_count, uint32_t at, void *item)
{
    void **grown = mem_realloc(*io, (*io_count + 2u) * sizeof(void *));
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    memmove(grown + at + 1, grown + at, (*io_count - at) * sizeof(void *));
    grown[at] = item;
    *io = grown;
    (*io_count)++;
    return ERR_OK;
}

static void remove_at(void **list, uint32_t *io_count, uint32_t at)
{
    memmove(list + at, list + at + 1, (*io_count - at - 1) * sizeof(void *));
    (*io_count)--;
}

db_err snapshot__add_schema(struct catalog_snapshot *s, struct schema_entry *e)
{
    db_err err =
        insert_at((void ***)&s->schemas, &s->schema_count, schema_place(s, e->def.name), e);
    if (err != ERR_OK) {
        schema__unref(e);
    }
    return err;
}

/* ---- foreign keys: found from what they refer to ---- */

static int edge_order(const struct fk_edge *e, struct slice schema, struct slice table)
{
    const struct foreign_key_def *f = fk_of_edge(e);
    int c = slice_cmp(f->ref_schema, schema);
    return c != 0 ? c : slice_cmp(f->ref_table, table);
}

/* The first one that refers to the table or a later one. */
static uint32_t edge_place(const struct catalog_snapshot *s, struct slice schema,
                           struct slice table)
{
    uint32_t low = 0;
    uint32_t high = s->edge_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (edge_order(&s->edges[mid], schema, table) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static db_err add_edges(struct catalog_snapshot *s, const struct table_def *t)
{
    if (t->foreign_key_count == 0) {
        return ERR_OK;
    }
    struct fk_edge *grown =
        mem_realloc(s->edges, (s->edge_count + t->foreign_key_count) * sizeof(*grown));
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    s->edges = grown;
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        const struct foreign_key_def *f = &t->foreign_keys[i];
        uint32_t at = edge_place(s, f->ref_schema, f->ref_table);
        while (at < s->edge_count && edge_order(&grown[at], f->ref_schema, f->ref_table) == 0 &&
               grown[at].child->id <= t->id) {
            at++;
        }
        memmove(grown + at + 1, grown + at, (s->edge_count - at) * sizeof(*grown));
        grown[at] = (struct fk_edge){t, i};
        s->edge_count++;
    }
    return ERR_OK;
}

static void remove_edges(struct catalog_snapshot *s, const struct table_def *t)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; t->foreign_key_count != 0 && i < s->edge_count; i++) {
        if (s->edges[i].child != t) {
            s->edges[kept++] = s->edges[i];
        }
    }
    s->edge_count = t->foreign_key_count != 0 ? kept : s->edge_count;
}

const struct fk_edge *snapshot_children(const struct catalog_snapshot *snap, struct slice schema,
                                        struct slice table, uint32_t *ret_count)
{
    uint32_t first = edge_place(snap, schema, table);
    uint32_t n = 0;
    while (first + n < snap->edge_count &&
           edge_order(&snap->edges[first + n], schema, table) == 0) {
        n++;
    }
    *ret_count = n;
    return n == 0 ? NULL : snap->edges + first;
}

db_err snapshot__add_table(struct catalog_snapshot *s, struct table_entry *e)
{
    db_err err = add_edges(s, e->def);
    if (err == ERR_OK && e->def->kind != TABLE_VIRTUAL) {
        err = insert_at((void ***)&s->by_id, &s->by_id_count, id_place(s, e->def->id), e);
    }
    if (err == ERR_OK) {
        err = insert_at((void ***)&s->tables, &s->table_count,
                        table_place(s, e->def->schema_name, e->def->name), e);
    }
    if (err != ERR_OK) {
        entry__unref(e);
    }
    return err;
}

bool snapshot__remove_table(struct catalog_snapshot *s, const struct table_def *def)
{
    uint32_t at = table_place(s, def->schema_name, def->name);
    if (at >= s->table_count || table_order(s->tables[at]->def, def->schema_name, def->name) != 0) {
        return false;
    }
    struct table_entry *e = s->tables[at];
    uint32_t id = id_place(s, def->id);
    if (id < s->by_id_count && s->by_id[id] == e) {
        remove_at((void **)s->by_id, &s->by_id_count, id);
    }
    remove_at((void **)s->tables, &s->table_count, at);
    remove_edges(s, e->def);
    entry__unref(e);
    return true;
}

bool snapshot__remove_schema(struct catalog_snapshot *s, struct slice name)
{
    uint32_t at = schema_place(s, name);
    if (at >= s->schema_count || !slice_eq(s->schemas[at]->def.name, name)) {
        return false;
    }
    schema__unref(s->schemas[at]);
    remove_at((void **)s->schemas, &s->schema_count, at);
    return true;
}

struct schema_entry *snapshot__schema_entry(const struct catalog_snapshot *s, struct slice name)
{
    uint32_t at = schema_place(s, name);
    if (at < s->schema_count && slice_eq(s->schemas[at]->def.name, name)) {
        return s->schemas[at];
    }
    /* MYSQL: INFORMATION_SCHEMA's name has no case. */
    for (uint32_t i = 0; i < s->schema_count; i++) {
        if (s->schemas[i]->def.virtual && slice_eq_nocase(s->schemas[i]->def.name, name)) {
            return s->schemas[i];
        }
    }
    return NULL;
}

const struct schema_def *snapshot__schema_by_id(const struct catalog_snapshot *s, schema_id_t id)
{
    for (uint32_t i = 0; i < s->schema_count; i++) {
        if (s->schemas[i]->def.id == id) {
            return &s->schemas[i]->def;
        }
    }
    return NULL;
}

/* ---- the public look-ups ---- */

uint64_t snapshot_version(const struct catalog_snapshot *snap)
{
    return snap->version;
}

const struct schema_def *snapshot_schema(const struct catalog_snapshot *snap, struct slice name)
{
    const struct schema_entry *e = snapshot__schema_entry(snap, name);
    return e == NULL ? NULL : &e->def;
}

const struct table_def *snapshot_temporary(const struct catalog_snapshot *snap, struct slice schema,
                                           struct slice name)
{
    for (uint32_t i = 0; i < snap->temporary_count; i++) {
        const struct table_def *t = snap->temporaries[i]->def;
        if (table_order(t, schema, name) == 0) {
            return t;
        }
    }
    return NULL;
}

const struct table_def *snapshot_table(const struct catalog_snapshot *snap, struct slice schema,
                                       struct slice name)
{
    const struct table_def *t =
        snap->temporary_count == 0 ? NULL : snapshot_temporary(snap, schema, name);
    return t != NULL ? t : snapshot_permanent(snap, schema, name);
}

const struct table_def *snapshot_permanent(const struct catalog_snapshot *snap, struct slice schema,
                                           struct slice name)
{
    const struct schema_entry *e = snapshot__schema_entry(snap, schema);
    if (e == NULL) {
        return NULL;
    }
    uint32_t at = table_place(snap, e->def.name, name);
    if (at < snap->table_count && table_order(snap->tables[at]->def, e->def.name, name) == 0) {
        return snap->tables[at]->def;
    }
    for (at = table_place(snap, e->def.name, SLICE_LIT(""));
         e->def.virtual && at < snap->table_count; at++) {
        const struct table_def *t = snap->tables[at]->def;
        if (!slice_eq(t->schema_name, e->def.name)) {
            break;
        }
        if (slice_eq_nocase(t->name, name)) {
            return t;
        }
    }
    return NULL;
}

const struct table_def *snapshot_table_by_id(const struct catalog_snapshot *snap, table_id_t id)
{
    for (uint32_t i = 0; i < snap->temporary_count; i++) {
        if (snap->temporaries[i]->def->id == id) {
            return snap->temporaries[i]->def;
        }
    }
    uint32_t at = id_place(snap, id);
    return at < snap->by_id_count && snap->by_id[at]->def->id == id ? snap->by_id[at]->def : NULL;
}

uint32_t snapshot_schema_count(const struct catalog_snapshot *snap)
{
    return snap->schema_count;
}

const struct schema_def *snapshot_schema_at(const struct catalog_snapshot *snap, uint32_t i)
{
    return &snap->schemas[i]->def;
}

uint32_t snapshot_table_count(const struct catalog_snapshot *snap, const struct schema_def *schema)
{
    uint32_t first = table_place(snap, schema->name, SLICE_LIT(""));
    uint32_t n = 0;
    while (first + n < snap->table_count &&
           slice_eq(snap->tables[first + n]->def->schema_name, schema->name)) {
        n++;
    }
    return n;
}

const struct table_def *snapshot_table_at(const struct catalog_snapshot *snap,
                                          const struct schema_def *schema, uint32_t i)
{
    return snap->tables[table_place(snap, schema->name, SLICE_LIT("")) + i]->def;
}

const struct column_def *table_column(const struct table_def *t, struct slice name)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (slice_eq_nocase(t->columns[i].name, name)) {
            return &t->columns[i];
        }
    }
    return NULL;
}

int index_multi_part(const struct table_def *t, const struct index_def *ix)
{
    for (uint32_t i = 0; i < ix->part_count; i++) {
        if (t->columns[ix->parts[i].column].element != NULL) {
            return (int)i;
        }
    }
    return -1;
}

const struct index_def *table_index(const struct table_def *t, struct slice name)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        if (slice_eq_nocase(t->indexes[i].name, name) && (i != 0 || t->has_primary)) {
            return &t->indexes[i];
        }
    }
    return NULL;
}
