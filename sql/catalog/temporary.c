/* Temporary tables: descriptors that no storage keeps, and snapshots in which they stand in front
 * of the catalog's. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/scope.h"
#include "sql/catalog/catalog_int.h"

enum { DESCRIPTOR_MAX = 64 << 20 };

/* A table_entry by another name: its references are its holder's and the snapshots'. */
static struct table_entry *entry_of(struct temporary_table *t)
{
    return (struct table_entry *)t;
}

db_err temporary_table_new(const struct table_def *def, struct temporary_table **ret_table)
{
    struct table_entry *e;
    SCOPE_BUF(bytes, DESCRIPTOR_MAX);
    TRY(table__encode(def, &bytes));
    TRY(table__decode(buf_slice(&bytes), def->schema_name, &e));
    *ret_table = (struct temporary_table *)e;
    return ERR_OK;
}

void temporary_table_release(struct temporary_table *t)
{
    entry__unref(entry_of(t));
}

const struct table_def *temporary_table_def(const struct temporary_table *t)
{
    return ((const struct table_entry *)t)->def;
}

const struct catalog_snapshot *catalog_with_temporaries(const struct catalog_snapshot *base,
                                                        struct temporary_table *const *tables,
                                                        uint32_t count)
{
    if (count == 0) {
        return base;
    }
    struct catalog_snapshot *s = mem_calloc(1, sizeof(*s));
    struct table_entry **list = mem_calloc(count, sizeof(struct table_entry *));
    if (s == NULL || list == NULL) {
        mem_free(s);
        mem_free(list);
        catalog_release(base);
        return NULL;
    }
    *s = *base;
    atomic_init(&s->refs, 1);
    s->base = base;
    s->temporaries = list;
    s->temporary_count = count;
    for (uint32_t i = 0; i < count; i++) {
        list[i] = entry_of(tables[i]);
        atomic_fetch_add_explicit(&list[i]->refs, 1, memory_order_relaxed);
    }
    return s;
}
