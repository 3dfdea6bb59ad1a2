/* The catalog over a storage.
 *
 * Keys (docs/formats/catalog.md): KEYSPACE_SYSTEM, then 'S' | schema id or 'T' | table id (8 bytes,
 * big endian) → descriptor; 'V' → version. A change locks 'V' first, so that changes are one at a
 * time in the whole cluster. */
#include "sql/catalog/catalog.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "sql/catalog/catalog_int.h"
#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"

enum { DESCRIPTOR_SIZE_MAX = 16 * 1024 * 1024, FIRST_USER_ID = 1000 };

struct cat_key {
    uint8_t bytes[10];
};

static struct slice make_key(struct cat_key *k, enum system_record kind, uint64_t id)
{
    system_key_head(k->bytes, kind);
    for (int i = 0; i < 8; i++) {
        k->bytes[2 + i] = (uint8_t)(id >> (56 - 8 * i));
    }
    return slice_of(k->bytes, kind == SYSTEM_CATALOG_VERSION ? SYSTEM_KEY_HEAD : sizeof(k->bytes));
}

/* ---- the current snapshot ---- */

const struct catalog_snapshot *catalog_acquire(struct catalog *catalog)
{
    spin_lock(&catalog->lock);
    struct catalog_snapshot *s = catalog->current;
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    spin_unlock(&catalog->lock);
    return s;
}

void catalog_release(const struct catalog_snapshot *snap)
{
    snapshot__unref((struct catalog_snapshot *)(uintptr_t)snap);
}

uint64_t catalog_version(const struct catalog *catalog)
{
    return atomic_load_explicit(&catalog->version, memory_order_acquire);
}

uint64_t catalog_changed_ns(const struct catalog *catalog)
{
    return atomic_load_explicit(&catalog->changed_ns, memory_order_acquire);
}

/* Never goes back: what was read from the storage may be overtaken by a change made here. */
static void publish(struct catalog *c, struct catalog_snapshot *s)
{
    spin_lock(&c->lock);
    struct catalog_snapshot *old = c->current;
    bool older = old != NULL && s->version < old->version;
    if (!older) {
        c->current = s;
        atomic_store_explicit(&c->changed_ns, clock_mono_ns(), memory_order_relaxed);
        atomic_store_explicit(&c->version, s->version, memory_order_release);
    }
    spin_unlock(&c->lock);
    snapshot__unref(older ? s : old);
}

/* ---- opening ---- */

struct loading {
    struct catalog_snapshot *snapshot;
    struct diag *diag;
};

static db_err load_table(struct catalog_snapshot *s, struct slice record)
{
    struct table_entry *e;
    TRY(table__decode(record, SLICE_EMPTY, &e));
    const struct schema_def *schema = snapshot__schema_by_id(s, e->def->schema_id);
    if (schema == NULL) {
        entry__unref(e);
        return ERR_CORRUPT;
    }
    struct table_def *t = (struct table_def *)(uintptr_t)e->def;
    db_err err = arena_copy(&e->arena, schema->name, &t->schema_name);
    if (err != ERR_OK) {
        entry__unref(e);
        return err;
    }
    return snapshot__add_table(s, e);
}

static db_err load_record(struct catalog_snapshot *s, const struct storage_kv *kv)
{
    switch (kv->key.ptr[1]) {
    case SYSTEM_SCHEMA: {
        struct schema_entry *e;
        TRY(schema__decode(kv->value, &e));
        return snapshot__add_schema(s, e);
    }
    case SYSTEM_TABLE: return load_table(s, kv->value);
    case SYSTEM_CATALOG_VERSION:
        s->version = 0;
        for (size_t i = 0; i < kv->value.len && i < 8; i++) {
            s->version = s->version << 8 | kv->value.ptr[i];
        }
        return ERR_OK;
    default: return ERR_OK; /* accounts lie between */
    }
}

static db_err load_one(void *arg, const struct storage_kv *kv)
{
    const struct loading *l = arg;
    db_err err = load_record(l->snapshot, kv);
    return err != ERR_CORRUPT
               ? err
               : diag_set(l->diag, err, "a descriptor of the catalog cannot be read (kind '%c')",
                          kv->key.ptr[1]);
}

static db_err load(struct catalog_snapshot *s, struct storage_txn *txn, struct diag *diag)
{
    struct system_range of;
    system_range(&of, SYSTEM_SCHEMA, SYSTEM_CATALOG_VERSION);
    struct storage_scan_opts opts = {.start = of.start, .end = of.end};
    struct loading l = {s, diag};
    return storage_scan_each(txn, &opts, load_one, &l, diag);
}

static db_err create_system_schemas(struct catalog *c, struct diag *diag)
{
    static const char *const names[] = {"mysql", "sys", "performance_schema"};
    struct catalog_change *change;
    TRY(catalog_change_begin(c, diag, &change));
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        db_err err =
            catalog_create_schema(change, slice_str(names[i]), COLL_UTF8MB4_0900_AI_CI, diag);
        if (err != ERR_OK) {
            catalog_change_abort(change);
            return err;
        }
    }
    return catalog_change_commit(change, diag);
}

static db_err read_snapshot(struct catalog *c, struct diag *diag,
                            struct catalog_snapshot **ret_snapshot)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
    struct storage_txn *txn;
    struct catalog_snapshot *s = snapshot__copy(NULL);
    if (s == NULL) {
        return ERR_NOMEM;
    }
    db_err err = storage_txn_begin(c->storage, &opts, diag, &txn);
    if (err == ERR_OK) {
        err = load(s, txn, diag);
        storage_txn_rollback(txn);
    }
    if (err != ERR_OK) {
        snapshot__unref(s);
        return err;
    }
    *ret_snapshot = s;
    return ERR_OK;
}

/* What is not in the storage goes from one snapshot to the next. */
static db_err carry_over(struct catalog_snapshot *s, const struct catalog_snapshot *from)
{
    for (uint32_t i = 0; i < from->schema_count; i++) {
        if (from->schemas[i]->def.virtual) {
            atomic_fetch_add_explicit(&from->schemas[i]->refs, 1, memory_order_relaxed);
            TRY(snapshot__add_schema(s, from->schemas[i]));
        }
    }
    for (uint32_t i = 0; i < from->table_count; i++) {
        if (from->tables[i]->is_static) {
            atomic_fetch_add_explicit(&from->tables[i]->refs, 1, memory_order_relaxed);
            TRY(snapshot__add_table(s, from->tables[i]));
        }
    }
    return ERR_OK;
}

db_err catalog_refresh(struct catalog *catalog, uint64_t version, struct diag *diag)
{
    struct catalog_snapshot *s;
    db_err err = ERR_OK;
    fiber_mutex_lock(&catalog->refresh_mutex);
    if (catalog_version(catalog) < version) {
        err = read_snapshot(catalog, diag, &s);
        if (err == ERR_OK) {
            const struct catalog_snapshot *old = catalog_acquire(catalog);
            err = carry_over(s, old);
            catalog_release(old);
            if (err == ERR_OK) {
                publish(catalog, s);
            } else {
                snapshot__unref(s);
            }
        }
    }
    fiber_mutex_unlock(&catalog->refresh_mutex);
    return err;
}

static db_err open_snapshot(struct catalog *c, struct diag *diag)
{
    struct catalog_snapshot *s;
    TRY(read_snapshot(c, diag, &s));
    bool empty = s->schema_count == 0;
    struct schema_entry *info =
        schema__new(1, SLICE_LIT("information_schema"), COLL_UTF8MB3_GENERAL_CI, true, true);
    db_err err = info == NULL ? ERR_NOMEM : snapshot__add_schema(s, info);
    if (err != ERR_OK) {
        snapshot__unref(s);
        return err;
    }
    publish(c, s);
    return empty ? create_system_schemas(c, diag) : ERR_OK;
}

db_err catalog_open(struct storage *storage, struct diag *diag, struct catalog **ret_catalog)
{
    struct catalog *c = mem_calloc(1, sizeof(*c));
    if (c == NULL) {
        return ERR_NOMEM;
    }
    c->storage = storage;
    fiber_mutex_init(&c->change_mutex);
    fiber_mutex_init(&c->refresh_mutex);
    db_err err = open_snapshot(c, diag);
    if (err != ERR_OK) {
        catalog_close(c);
        return err;
    }
    *ret_catalog = c;
    return ERR_OK;
}

void catalog_set_owner(struct catalog *catalog, uint64_t node)
{
    catalog->owner = node;
}

void catalog_close(struct catalog *catalog)
{
    if (catalog != NULL) {
        snapshot__unref(catalog->current);
        mem_free(catalog);
    }
}

db_err catalog_add_virtual_table(struct catalog *catalog, const struct table_def *table)
{
    struct catalog_snapshot *s = snapshot__copy(catalog->current);
    struct table_entry *e = mem_calloc(1, sizeof(*e));
    if (s == NULL || e == NULL) {
        snapshot__unref(s);
        mem_free(e);
        return ERR_NOMEM;
    }
    atomic_init(&e->refs, 1);
    arena_init(&e->arena, NULL, NULL, 0);
    e->is_static = true;
    e->def = table;
    db_err err = snapshot__add_table(s, e);
    if (err != ERR_OK) {
        snapshot__unref(s);
        return err;
    }
    publish(catalog, s);
    return ERR_OK;
}

/* ---- changes ---- */

/* Locks the version and makes sure that the snapshot here is of it: another node may have changed
 * the schema a moment ago. */
static db_err lock_version(struct catalog_change *ch, struct diag *diag)
{
    struct cat_key k;
    struct arena arena;
    struct slice value;
    bool found;
    uint64_t version = 0;
    arena_init(&arena, NULL, NULL, 0);
    db_err err = storage_get(ch->txn, make_key(&k, SYSTEM_CATALOG_VERSION, 0),
                             STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, &arena, diag, &found, &value);
    for (size_t i = 0; err == ERR_OK && found && i < value.len && i < 8; i++) {
        version = version << 8 | value.ptr[i];
    }
    arena_fini(&arena);
    return err == ERR_OK ? catalog_refresh(ch->catalog, version, diag) : err;
}

db_err catalog_change_begin(struct catalog *catalog, struct diag *diag,
                            struct catalog_change **ret_change)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_READ_COMMITTED};
    struct catalog_change *ch = mem_calloc(1, sizeof(*ch));
    if (ch == NULL) {
        return ERR_NOMEM;
    }
    ch->catalog = catalog;
    fiber_mutex_lock(&catalog->change_mutex);
    db_err err = storage_txn_begin(catalog->storage, &opts, diag, &ch->txn);
    if (err == ERR_OK) {
        err = lock_version(ch, diag);
    }
    if (err == ERR_OK) {
        const struct catalog_snapshot *now = catalog_acquire(catalog);
        ch->view = snapshot__copy(now);
        catalog_release(now);
        err = ch->view == NULL ? ERR_NOMEM : ERR_OK;
    }
    if (err != ERR_OK) {
        catalog_change_abort(ch);
        return err;
    }
    ch->view->version++;
    *ret_change = ch;
    return ERR_OK;
}

static void change_free(struct catalog_change *ch)
{
    fiber_mutex_unlock(&ch->catalog->change_mutex);
    snapshot__unref(ch->view);
    mem_free(ch);
}

void catalog_change_abort(struct catalog_change *change)
{
    if (change->txn != NULL) {
        storage_txn_rollback(change->txn);
    }
    change_free(change);
}

db_err catalog_change_commit(struct catalog_change *change, struct diag *diag)
{
    uint8_t version[8];
    struct cat_key k;
    for (int i = 0; i < 8; i++) {
        version[i] = (uint8_t)(change->view->version >> (56 - 8 * i));
    }
    db_err err = storage_put(change->txn, make_key(&k, SYSTEM_CATALOG_VERSION, 0),
                             slice_of(version, 8), STORAGE_W_LOCKED, diag);
    if (err != ERR_OK) {
        catalog_change_abort(change);
        return err;
    }
    struct storage_txn *txn = change->txn;
    change->txn = NULL;
    err = storage_txn_commit(txn, diag, NULL);
    if (err == ERR_OK) {
        atomic_fetch_add_explicit(&change->view->refs, 1, memory_order_relaxed);
        publish(change->catalog, change->view);
    }
    change_free(change);
    return err;
}

/* It has waited for the lock of the version that every change holds to its end. One that has lost
 * that lock, with a leader or because its node is silent, is refused for the version it has seen.
 */
db_err catalog_fence(struct catalog *catalog, struct diag *diag, uint64_t *ret_version)
{
    struct catalog_change *change;
    TRY(catalog_change_begin(catalog, diag, &change));
    uint64_t version = change->view->version;
    TRY(catalog_change_commit(change, diag));
    *ret_version = version;
    return ERR_OK;
}

const struct catalog_snapshot *catalog_change_view(const struct catalog_change *change)
{
    return change->view;
}

db_err catalog_new_table_id(struct catalog *catalog, struct diag *diag, table_id_t *ret_id)
{
    return storage_sequence_next(catalog->storage, SLICE_LIT("catalog.id"), FIRST_USER_ID, 1, 1, 1,
                                 diag, ret_id);
}

static db_err new_id(struct catalog_change *c, struct diag *diag, uint64_t *ret)
{
    return catalog_new_table_id(c->catalog, diag, ret);
}

static db_err put_descriptor(struct catalog_change *c, char kind, uint64_t id,
                             const struct buf *bytes, struct diag *diag)
{
    struct cat_key k;
    return storage_put(c->txn, make_key(&k, kind, id), buf_slice(bytes), 0, diag);
}

const char *catalog__text(struct slice name, char out[260])
{
    size_t n = name.len > 255 ? 255 : name.len;
    memcpy(out, name.ptr, n);
    out[n] = '\0';
    return out;
}

static db_err store_schema(struct catalog_change *c, const struct schema_def *def,
                           struct diag *diag)
{
    struct buf b;
    struct schema_entry *e = schema__new(def->id, def->name, def->collation, def->read_only, false);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    buf_init(&b, DESCRIPTOR_SIZE_MAX);
    db_err err = schema__encode(def, &b);
    if (err == ERR_OK) {
        err = put_descriptor(c, SYSTEM_SCHEMA, def->id, &b, diag);
    }
    buf_fini(&b);
    if (err != ERR_OK) {
        schema__unref(e);
        return err;
    }
    snapshot__remove_schema(c->view, def->name);
    return snapshot__add_schema(c->view, e);
}

db_err catalog_create_schema(struct catalog_change *c, struct slice name, uint16_t collation,
                             struct diag *diag)
{
    char text[260];
    struct schema_def def = {.name = name, .collation = collation};
    if (snapshot_schema(c->view, name) != NULL) {
        return my_error(diag, ER_DB_CREATE_EXISTS, catalog__text(name, text));
    }
    TRY(new_id(c, diag, &def.id));
    return store_schema(c, &def, diag);
}

db_err catalog_alter_schema(struct catalog_change *c, struct slice name, uint16_t collation,
                            bool read_only, struct diag *diag)
{
    char text[260];
    const struct schema_def *old = snapshot_schema(c->view, name);
    if (old == NULL) {
        return my_error(diag, ER_BAD_DB_ERROR, catalog__text(name, text));
    }
    struct schema_def def = {
        .id = old->id, .name = name, .collation = collation, .read_only = read_only};
    return store_schema(c, &def, diag);
}

db_err catalog_drop_table(struct catalog_change *c, table_id_t id, struct diag *diag)
{
    struct cat_key k;
    const struct table_def *t = snapshot_table_by_id(c->view, id);
    if (t == NULL) {
        return diag_set(diag, ERR_NOT_FOUND, "no table %llu", (unsigned long long)id);
    }
    TRY(storage_del(c->txn, make_key(&k, SYSTEM_TABLE, id), 0, diag));
    snapshot__remove_table(c->view, t);
    return ERR_OK;
}

db_err catalog_drop_schema(struct catalog_change *c, struct slice name, struct diag *diag)
{
    char text[260];
    struct cat_key k;
    const struct schema_def *def = snapshot_schema(c->view, name);
    if (def == NULL || def->virtual) {
        return my_error(diag, ER_DB_DROP_EXISTS, catalog__text(name, text));
    }
    while (snapshot_table_count(c->view, def) != 0) {
        TRY(catalog_drop_table(c, snapshot_table_at(c->view, def, 0)->id, diag));
    }
    TRY(storage_del(c->txn, make_key(&k, SYSTEM_SCHEMA, def->id), 0, diag));
    snapshot__remove_schema(c->view, name);
    return ERR_OK;
}

db_err catalog__store_table(struct catalog_change *c, const struct table_def *def,
                            const struct table_def *old, struct diag *diag)
{
    struct buf b;
    struct table_entry *e = NULL;
    buf_init(&b, DESCRIPTOR_SIZE_MAX);
    db_err err = table__encode(def, &b);
    if (err == ERR_OK) {
        err = table__decode(buf_slice(&b), def->schema_name, &e);
    }
    if (err == ERR_OK) {
        err = put_descriptor(c, SYSTEM_TABLE, def->id, &b, diag);
    }
    buf_fini(&b);
    if (err != ERR_OK) {
        entry__unref(e);
        return err;
    }
    if (old != NULL) {
        snapshot__remove_table(c->view, old);
    }
    return snapshot__add_table(c->view, e);
}

db_err catalog_create_table(struct catalog_change *c, const struct table_def *def,
                            struct diag *diag, table_id_t *ret_id)
{
    char text[260];
    const struct schema_def *schema = snapshot_schema(c->view, def->schema_name);
    if (schema == NULL) {
        return my_error(diag, ER_BAD_DB_ERROR, catalog__text(def->schema_name, text));
    }
    if (snapshot_table(c->view, def->schema_name, def->name) != NULL) {
        return my_error(diag, ER_TABLE_EXISTS_ERROR, catalog__text(def->name, text));
    }
    struct table_def t = *def;
    struct index_def indexes[CATALOG_INDEXES_MAX + 1];
    ASSERT(t.index_count <= ARRAY_COUNT(indexes));
    for (uint32_t i = 0; i < t.index_count; i++) { /* what was counted was another table's */
        indexes[i] = def->indexes[i];
        indexes[i].distinct = NULL;
    }
    t.indexes = indexes;
    if (t.id == 0) {
        TRY(new_id(c, diag, &t.id));
    }
    t.schema_id = schema->id;
    t.version = 1;
    if (t.create_time_us == 0) {
        t.create_time_us = clock_wall_us();
    }
    TRY(catalog__store_table(c, &t, NULL, diag));
    if (ret_id != NULL) {
        *ret_id = t.id;
    }
    return ERR_OK;
}

db_err catalog_replace_table(struct catalog_change *c, const struct table_def *def,
                             struct diag *diag)
{
    const struct table_def *old = snapshot_table_by_id(c->view, def->id);
    if (old == NULL) {
        return diag_set(diag, ERR_NOT_FOUND, "no table %llu", (unsigned long long)def->id);
    }
    struct table_def t = *def;
    t.version = old->version + 1;
    return catalog__store_table(c, &t, old, diag);
}
