/* The catalog: the snapshot in force, and the only way to change it.
 *
 * Storage is the truth: descriptors are rows under KEYSPACE_SYSTEM ('system' keys of
 * sql/codec/table_keys.h), written in the same storage transaction that a DDL statement commits.
 * The node keeps a decoded snapshot; publishing a new one is a pointer swap. Statements that began
 * on an older snapshot go on with it; metadata locks (mdl.h) keep a table's change from overtaking
 * transactions that use it. */
#ifndef SKEIN_SQL_CATALOG_CATALOG_H
#define SKEIN_SQL_CATALOG_CATALOG_H

#include "base/diag.h"
#include "sql/catalog/schema.h"

struct catalog;
struct storage;
struct storage_txn;

/* Reads all descriptors; creates the system schemas (mysql, sys, information_schema,
 * performance_schema) when the storage is empty. May park. */
MUST_USE db_err catalog_open(struct storage *storage, struct diag *diag,
                             struct catalog **ret_catalog);
void catalog_close(struct catalog *catalog);
/* The node whose name stands on pending drops (0 until then). Right after catalog_open. */
void catalog_set_owner(struct catalog *catalog, uint64_t node);
/* Another node has changed the schema: reads all descriptors again, unless the version in force is
 * `version` or later. May park. */
MUST_USE db_err catalog_refresh(struct catalog *catalog, uint64_t version, struct diag *diag);

/* The newest snapshot, with a reference for the caller. Cheap; any thread. */
const struct catalog_snapshot *catalog_acquire(struct catalog *catalog);
void catalog_release(const struct catalog_snapshot *snap);
/* The version in force, to see whether a cached plan is current. One atomic load. */
uint64_t catalog_version(const struct catalog *catalog);
/* When it came into force on this node (clock_mono_ns): what is read by it must be of that time or
 * later, because indexes and copies may have been filled right before. */
uint64_t catalog_changed_ns(const struct catalog *catalog);

/* Temporary tables of one session. A descriptor is a copy with memory of its own; a snapshot with
 * temporary tables is one of the catalog's with these in front of those of the same name. It keeps
 * the version of the one that it is made of and is released in the same way. */
struct temporary_table;
MUST_USE db_err temporary_table_new(const struct table_def *def,
                                    struct temporary_table **ret_table);
void temporary_table_release(struct temporary_table *t); /* snapshots may still hold it */
const struct table_def *temporary_table_def(const struct temporary_table *t);
/* Takes over the reference to `base`, which it returns if there are no tables. NULL: no memory; the
 * reference is gone. */
const struct catalog_snapshot *catalog_with_temporaries(const struct catalog_snapshot *base,
                                                        struct temporary_table *const *tables,
                                                        uint32_t count);

/* Registers INFORMATION_SCHEMA-like tables before catalog_open's caller goes on. The definition
 * must live as long as the catalog. */
MUST_USE db_err catalog_add_virtual_table(struct catalog *catalog, const struct table_def *table);

/* A schema change: begin, any of the edits, commit (storage first, then publish). One at a time in
 * the cluster; begin waits. Edits copy what they are given. Errors are MySQL's: 1007, 1008, 1049,
 * 1050, 1051, 1146 ... */
struct catalog_change;
MUST_USE db_err catalog_change_begin(struct catalog *catalog, struct diag *diag,
                                     struct catalog_change **ret_change);
MUST_USE db_err catalog_change_commit(struct catalog_change *change,
                                      struct diag *diag); /* frees it */
void catalog_change_abort(struct catalog_change *change); /* frees it */
/* A change of the version alone. Whatever change was under way, here or on another node, is either
 * in the catalog now, and known here, or can never be committed any more. Errors as of a change. */
MUST_USE db_err catalog_fence(struct catalog *catalog, struct diag *diag, uint64_t *ret_version);
/* The state with the edits made so far. */
const struct catalog_snapshot *catalog_change_view(const struct catalog_change *change);
MUST_USE db_err catalog_create_schema(struct catalog_change *c, struct slice name,
                                      uint16_t collation, struct diag *diag);
MUST_USE db_err catalog_alter_schema(struct catalog_change *c, struct slice name,
                                     uint16_t collation, bool read_only, struct diag *diag);
MUST_USE db_err catalog_drop_schema(struct catalog_change *c, struct slice name, struct diag *diag);
/* An id for a table to come: rows may be put under it before its descriptor exists. */
MUST_USE db_err catalog_new_table_id(struct catalog *catalog, struct diag *diag,
                                     table_id_t *ret_id);
/* Gives version and, when def->id is 0, an id; ret_id may be NULL. */
MUST_USE db_err catalog_create_table(struct catalog_change *c, const struct table_def *def,
                                     struct diag *diag, table_id_t *ret_id);
MUST_USE db_err catalog_replace_table(struct catalog_change *c, const struct table_def *def,
                                      struct diag *diag); /* same id, new version */
MUST_USE db_err catalog_rename_table(struct catalog_change *c, table_id_t id, struct slice schema,
                                     struct slice name, struct diag *diag);
MUST_USE db_err catalog_drop_table(struct catalog_change *c, table_id_t id, struct diag *diag);

/* Key ranges that are to be deleted because no descriptor names them (any more): a table's whole
 * range (index 0) or one index's. A record is written with the change that makes the range garbage,
 * or ahead of filling a range that gets its descriptor later, and removed when it is done. The
 * record names the node that is at it: only that node's next start may take it for left over. */
struct pending_drop {
    table_id_t table_id;
    index_id_t index_id; /* 0: all of the table */
    uint64_t owner;      /* out; 0: nobody's, of an older format */
};
MUST_USE db_err catalog_add_drop(struct catalog_change *c, const struct pending_drop *drop,
                                 struct diag *diag);
MUST_USE db_err catalog_cancel_drop(struct catalog_change *c, const struct pending_drop *drop,
                                    struct diag *diag);
/* The same in a transaction of its own. */
MUST_USE db_err catalog_put_drop(struct catalog *catalog, const struct pending_drop *drop,
                                 bool present, struct diag *diag);
/* All records, in the arena. */
MUST_USE db_err catalog_pending_drops(struct catalog *catalog, struct arena *arena,
                                      struct diag *diag, struct pending_drop **ret_drops,
                                      uint32_t *ret_count);

#endif
