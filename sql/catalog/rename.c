/* Renaming a table: what is named after it, and what names it, follows. */
#include "sql/catalog/catalog_int.h"
#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"

#include <stdlib.h>

static uint64_t name_number(struct slice name, struct slice infix, struct slice table)
{
    uint64_t n = 0;
    size_t at = table.len + infix.len;
    if (name.len <= at || name.len > at + 18 ||
        !slice_eq_nocase((struct slice){name.ptr, table.len}, table) ||
        !slice_eq((struct slice){name.ptr + table.len, infix.len}, infix)) {
        return 0;
    }
    for (; at < name.len; at++) {
        if (name.ptr[at] < '0' || name.ptr[at] > '9') {
            return 0;
        }
        n = n * 10 + (uint64_t)(name.ptr[at] - '0');
    }
    return n;
}

uint64_t check_name_number(struct slice name, struct slice table)
{
    return name_number(name, SLICE_LIT("_chk_"), table);
}

uint64_t fk_name_number(struct slice name, struct slice table)
{
    struct slice infix = SLICE_LIT("_ibfk_");
    size_t at = table.len + infix.len;
    /* MYSQL: with the case of the table's name, and 0 does not lead. */
    return name.len <= at || name.ptr[at] == '0' ||
                   !slice_eq((struct slice){name.ptr, table.len}, table)
               ? 0
               : name_number(name, infix, table);
}

/* MYSQL: made names of checks follow the table's. */
static db_err rename_checks(struct arena *arena, struct table_def *t, struct slice from)
{
    struct check_def *checks = ARENA_ARRAY(arena, struct check_def, t->check_count + 1);
    if (checks == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < t->check_count; i++) {
        uint64_t n = check_name_number(t->checks[i].name, from);
        checks[i] = t->checks[i];
        if (n != 0) {
            const char *name =
                arena_printf(arena, "%.*s_chk_%llu", SLICE_FMT(t->name), (unsigned long long)n);
            if (name == NULL) {
                return ERR_NOMEM;
            }
            checks[i].name = slice_str(name);
        }
    }
    t->checks = checks;
    return ERR_OK;
}

bool fk_name_follows(struct slice name, struct slice table)
{
    size_t at = table.len + sizeof("_ibfk_") - 1;
    return name.len > at && slice_eq((struct slice){name.ptr, table.len}, table) &&
           name_number(name, SLICE_LIT("_ibfk_"), table) != 0;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static int by_name(const void *a, const void *b)
{
    const struct foreign_key_def *x = a;
    const struct foreign_key_def *y = b;
    size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
    for (size_t i = 0; i < n; i++) {
        uint8_t p = lower(x->name.ptr[i]);
        uint8_t q = lower(y->name.ptr[i]);
        if (p != q) {
            return p < q ? -1 : 1;
        }
    }
    return x->name.len < y->name.len ? -1 : x->name.len > y->name.len;
}

void foreign_keys_sort(struct foreign_key_def *keys, uint32_t count)
{
    if (count > 1) {
        qsort(keys, count, sizeof(*keys), by_name);
    }
}

/* MYSQL: likewise those of foreign keys; a foreign key to the table itself goes with it. */
static db_err rename_own_keys(struct arena *arena, struct table_def *t, const struct table_def *old,
                              struct diag *diag)
{
    struct foreign_key_def *keys =
        ARENA_ARRAY(arena, struct foreign_key_def, t->foreign_key_count + 1);
    if (keys == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        struct foreign_key_def *f = &keys[i];
        *f = t->foreign_keys[i];
        if (fk_name_follows(f->name, old->name)) {
            const char *name =
                arena_printf(arena, "%.*s%.*s", SLICE_FMT(t->name),
                             (int)(f->name.len - old->name.len), f->name.ptr + old->name.len);
            if (name == NULL) {
                return ERR_NOMEM;
            }
            f->name = slice_str(name);
            if (charset_char_count(collation_by_id(COLL_UTF8MB4_BIN)->cs, f->name) >
                CATALOG_NAME_CHARS_MAX) {
                return my_error(diag, ER_TOO_LONG_IDENT, name);
            }
        }
        if (slice_eq(f->ref_schema, old->schema_name) && slice_eq(f->ref_table, old->name)) {
            f->ref_schema = t->schema_name;
            f->ref_table = t->name;
        }
    }
    foreign_keys_sort(keys, t->foreign_key_count);
    t->foreign_keys = keys;
    return ERR_OK;
}

/* The next foreign key of another table that refers to the table by its old name. */
static const struct table_def *next_child(const struct catalog_change *c, const struct table_def *t)
{
    uint32_t n;
    const struct fk_edge *edges = snapshot_children(c->view, t->schema_name, t->name, &n);
    for (uint32_t i = 0; i < n; i++) {
        if (edges[i].child->id != t->id) {
            return edges[i].child;
        }
    }
    return NULL;
}

static db_err rename_in_children(struct catalog_change *c, struct arena *arena,
                                 const struct table_def *old, const struct table_def *t,
                                 struct diag *diag)
{
    const struct table_def *child;
    while ((child = next_child(c, old)) != NULL) {
        struct table_def edited = *child;
        edited.foreign_keys =
            ARENA_ARRAY(arena, struct foreign_key_def, child->foreign_key_count + 1);
        if (edited.foreign_keys == NULL) {
            return ERR_NOMEM;
        }
        for (uint32_t i = 0; i < child->foreign_key_count; i++) {
            struct foreign_key_def *f = &edited.foreign_keys[i];
            *f = child->foreign_keys[i];
            if (slice_eq(f->ref_schema, old->schema_name) && slice_eq(f->ref_table, old->name)) {
                f->ref_schema = t->schema_name;
                f->ref_table = t->name;
            }
        }
        edited.version++;
        TRY(catalog__store_table(c, &edited, child, diag));
    }
    return ERR_OK;
}

db_err catalog_rename_table(struct catalog_change *c, table_id_t id, struct slice schema,
                            struct slice name, struct diag *diag)
{
    char text[260];
    const struct table_def *old = snapshot_table_by_id(c->view, id);
    const struct schema_def *to = snapshot_schema(c->view, schema);
    if (old == NULL || to == NULL) {
        return old == NULL ? diag_set(diag, ERR_NOT_FOUND, "no table %llu", (unsigned long long)id)
                           : my_error(diag, ER_BAD_DB_ERROR, catalog__text(schema, text));
    }
    if (snapshot_table(c->view, schema, name) != NULL) {
        return my_error(diag, ER_TABLE_EXISTS_ERROR, catalog__text(name, text));
    }
    struct table_def t = *old;
    t.schema_id = to->id;
    t.schema_name = schema;
    t.name = name;
    t.version++;
    struct arena arena;
    arena_init(&arena, NULL, NULL, 0);
    db_err err = t.check_count == 0 ? ERR_OK : rename_checks(&arena, &t, old->name);
    if (err == ERR_OK && t.foreign_key_count != 0) {
        err = rename_own_keys(&arena, &t, old, diag);
    }
    err = err != ERR_OK ? err : rename_in_children(c, &arena, old, &t, diag);
    err = err != ERR_OK ? err : catalog__store_table(c, &t, old, diag);
    arena_fini(&arena);
    return err;
}
