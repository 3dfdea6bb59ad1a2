/* Private to sql/catalog. */
#ifndef SKEIN_SQL_CATALOG_CATALOG_INT_H
#define SKEIN_SQL_CATALOG_CATALOG_INT_H

#include <stdatomic.h>

#include "base/fiber.h"
#include "base/spin.h"
#include "sql/catalog/catalog.h"
#include "sql/codec/system_keys.h"
#include "sql/storage/storage.h"

/* A descriptor with its memory, shared by the snapshots that hold it. */
struct table_entry {
    _Atomic uint32_t refs;
    bool is_static; /* a virtual table's: not ours to free */
    struct arena arena;
    const struct table_def *def;
};

struct schema_entry {
    _Atomic uint32_t refs;
    struct arena arena;
    struct schema_def def;
};

/* Sorted arrays; immutable once published. */
struct catalog_snapshot {
    _Atomic uint32_t refs;
    uint64_t version;
    uint32_t schema_count, table_count;
    struct schema_entry **schemas; /* by name */
    struct table_entry **tables;   /* by schema name, then name */
    struct table_entry **by_id;    /* by table id; virtual tables left out */
    uint32_t by_id_count;
    struct fk_edge *edges; /* by what they refer to, then the child's id and the place in it */
    uint32_t edge_count;
    /* With temporary tables: the arrays above are those of `base`. */
    const struct catalog_snapshot *base;
    uint32_t temporary_count;
    struct table_entry **temporaries;
};

struct catalog {
    struct storage *storage;
    struct spin lock; /* guards `current` against being freed between load and reference */
    struct catalog_snapshot *current;
    _Atomic uint64_t version;
    _Atomic uint64_t changed_ns;
    struct fiber_mutex change_mutex;
    struct fiber_mutex refresh_mutex; /* one reading at a time */
    uint64_t owner;                   /* of the records of pending drops that this process writes */
};

struct catalog_change {
    struct catalog *catalog;
    struct storage_txn *txn;
    struct catalog_snapshot *view; /* owned: a copy that is edited */
};

enum { CATALOG_NAME_CHARS_MAX = 64 };

/* snapshot.c */
struct catalog_snapshot *snapshot__copy(const struct catalog_snapshot *from);
void snapshot__unref(struct catalog_snapshot *s);
void entry__unref(struct table_entry *e);
void schema__unref(struct schema_entry *e);
MUST_USE db_err snapshot__add_schema(struct catalog_snapshot *s,
                                     struct schema_entry *e); /* takes the reference */
MUST_USE db_err snapshot__add_table(struct catalog_snapshot *s,
                                    struct table_entry *e); /* takes the reference */
bool snapshot__remove_table(struct catalog_snapshot *s, const struct table_def *def);
bool snapshot__remove_schema(struct catalog_snapshot *s, struct slice name);
struct schema_entry *snapshot__schema_entry(const struct catalog_snapshot *s, struct slice name);
const struct schema_def *snapshot__schema_by_id(const struct catalog_snapshot *s, schema_id_t id);

/* catalog.c */
/* NUL-terminated, for messages. */
const char *catalog__text(struct slice name, char out[260]);
/* Stores the descriptor and enters its decoded copy into the view. */
MUST_USE db_err catalog__store_table(struct catalog_change *c, const struct table_def *def,
                                     const struct table_def *old, struct diag *diag);

/* descriptor.c: between structs and stored bytes */
MUST_USE db_err table__encode(const struct table_def *def, struct buf *out);
MUST_USE db_err table__decode(struct slice bytes, struct slice schema_name,
                              struct table_entry **ret_entry);
MUST_USE db_err schema__encode(const struct schema_def *def, struct buf *out);
MUST_USE db_err schema__decode(struct slice bytes, struct schema_entry **ret_entry);
struct schema_entry *schema__new(schema_id_t id, struct slice name, uint16_t collation,
                                 bool read_only, bool is_virtual);

#endif
