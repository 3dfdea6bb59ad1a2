/* Descriptors of databases, tables, columns and indexes, and the versioned snapshot that statements
 * read.
 *
 * Descriptors are immutable once they are in a snapshot. A statement (or transaction) holds a
 * reference to one snapshot and never sees a schema change under its feet. A DDL statement writes
 * new descriptors through a storage transaction and then publishes a new snapshot (catalog.h).
 * Names compare as MySQL does with lower_case_table_names=0: databases and tables by bytes, columns
 * and indexes without case. */
#ifndef SKEIN_SQL_CATALOG_SCHEMA_H
#define SKEIN_SQL_CATALOG_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "sql/types/type.h"
#include "sql/types/value.h"

typedef uint64_t table_id_t;
typedef uint64_t schema_id_t;
typedef uint32_t column_id_t; /* never used again within a table */
typedef uint32_t index_id_t;  /* never used again within a table; 1 = the clustered index */

enum { CATALOG_COLUMNS_MAX = 4096, CATALOG_INDEXES_MAX = 65, CATALOG_INDEX_PARTS_MAX = 16 };
#define INDEX_ID_CLUSTERED 1u

enum column_default_kind {
    DEFAULT_NONE,  /* no default: strict mode refuses a missing value (1364) */
    DEFAULT_NULL,  /* explicit or implied DEFAULT NULL */
    DEFAULT_CONST, /* value, already of the column's type */
    DEFAULT_NOW,   /* CURRENT_TIMESTAMP(decimals of the type) */
    DEFAULT_EXPR,  /* DEFAULT (expr): text, bound when used */
};

enum column_generated { GENERATED_NO, GENERATED_VIRTUAL, GENERATED_STORED };

/* How the values of a column are distributed, as ANALYZE TABLE ... UPDATE HISTOGRAM has found them.
 * Values are of the column's type, or BIGINT: those of ENUM, SET and BIT as numbers; text is cut to
 * its first characters. Bucket i holds values lower[i] .. upper[i]. */
struct histogram {
    uint32_t count;
    struct value *lower, *upper; /* the same list when every bucket is one value (singleton) */
    double *cumulative;          /* share of all rows up to and with the bucket */
    uint64_t *distinct;
    double nulls, sampling; /* shares of the rows: NULL, looked at */
    uint32_t wanted;        /* buckets asked for */
    bool auto_update;       /* ANALYZE TABLE makes it anew */
    uint64_t made_us;
};

struct column_def {
    column_id_t id;
    uint32_t ordinal; /* 0-based position in table_def.columns */
    struct slice name;
    struct sql_type type; /* nullability included */
    enum column_default_kind default_kind;
    struct value default_value; /* DEFAULT_CONST */
    struct slice default_expr;  /* DEFAULT_EXPR: SQL text */
    bool on_update_now;
    bool auto_increment;
    bool invisible;
    /* No SQL can name it: the row id of a table without primary key (the last column), or, when it
     * is generated, a functional key part. */
    bool hidden;
    bool explicit_collation; /* CHARACTER SET or COLLATE was written: SHOW CREATE says it again */
    /* Rows older than the column do not have it: they read as this. has_absent is false for columns
     * that every row has. */
    bool has_absent;
    struct value absent;
    uint8_t column_format; /* shown again: 0 none, 1 DEFAULT, 2 FIXED, 3 DYNAMIC */
    uint8_t storage_media; /* shown again: 0 none, 1 DEFAULT, 2 DISK, 3 MEMORY */
    enum column_generated generated;
    struct slice generated_expr; /* SQL text */
    /* A key part with any number of values a row: CAST(e AS type ARRAY). The column is hidden and
     * of type JSON, the value of e; a key has an entry for each different element of it, of this
     * type, or one with NULL when there is none. NULL for all other columns. */
    const struct sql_type *element;
    struct slice comment;
    const struct histogram *histogram; /* NULL: none */
};
/* The type of a histogram's values. */
struct sql_type histogram_type(const struct sql_type *column);

enum index_kind { INDEX_PRIMARY, INDEX_UNIQUE, INDEX_PLAIN, INDEX_FULLTEXT, INDEX_SPATIAL };

struct index_part {
    uint32_t column;     /* ordinal */
    uint32_t prefix_len; /* characters (bytes for binary types); 0 = whole column */
    bool descending;
};

struct index_def {
    index_id_t id;
    struct slice name; /* "PRIMARY" for the primary key */
    enum index_kind kind;
    bool invisible;
    bool using_btree; /* USING BTREE was written: shown again */
    bool generated;   /* made for a foreign key: goes when another key can do its work */
    uint32_t part_count;
    struct index_part *parts;
    struct slice comment;
    uint64_t *distinct; /* by part: different values of it and those before it, as ANALYZE TABLE
                           found them; NULL: not known */
};

struct check_def {
    struct slice name;
    struct slice expr; /* SQL text */
    bool enforced;
};

/* What happens to the rows that refer to a row that goes or changes. Stored. */
enum fk_action {
    FK_NO_ACTION = 0, /* an error, like all but CASCADE and SET NULL */
    FK_RESTRICT = 1,
    FK_CASCADE = 2,
    FK_SET_NULL = 3,
    FK_SET_DEFAULT = 5,
};

/* Of the table that refers (the child). What it refers to goes by name: neither the table nor its
 * columns need exist. */
struct foreign_key_def {
    struct slice name;
    struct slice ref_schema, ref_table;
    uint32_t column_count;
    struct slice *columns;
    struct slice *ref_columns;
    uint8_t on_delete, on_update; /* enum fk_action */
    uint8_t match;                /* shown: 0 none, 1 PARTIAL, 2 FULL */
};

enum view_algorithm { VIEW_UNDEFINED, VIEW_MERGE, VIEW_TEMPTABLE };
enum view_check_option { VIEW_CHECK_NONE, VIEW_CHECK_LOCAL, VIEW_CHECK_CASCADED };

/* What a view has besides its columns and its text. */
struct view_def {
    struct slice definer_user, definer_host;
    enum view_algorithm algorithm;
    bool invoker; /* SQL SECURITY INVOKER */
    bool has_column_list;
    bool updatable; /* by MySQL's rules; shown */
    bool utf8_text; /* what the client wrote in a charset of its own is UTF-8 in view_text */
    enum view_check_option check_option;
    uint16_t charset_client, collation_connection; /* collations of the session that made it */
};

enum table_kind {
    TABLE_BASE,
    TABLE_VIEW,
    TABLE_VIRTUAL, /* INFORMATION_SCHEMA and the like: rows come from a provider (vtable_provider.h)
                    */
};

struct vtable_provider;
struct table_format;

struct table_def {
    table_id_t id;
    schema_id_t schema_id;
    struct slice schema_name;
    struct slice name;
    uint64_t version; /* grows with every change of this table */
    enum table_kind kind;
    uint32_t column_count;
    struct column_def *columns;
    uint32_t index_count;
    struct index_def
        *indexes;     /* indexes[0] is the clustered one: the primary key, or a hidden row id */
    bool has_primary; /* false: the clustered index is on the hidden column */
    /* No row of this table id holds a VIRTUAL column's value, which those of older versions did:
     * one can be dropped without a copy. */
    bool lean_rows;
    int32_t auto_increment;        /* ordinal or -1 */
    uint64_t auto_increment_start; /* AUTO_INCREMENT=n of CREATE TABLE, 0 = none */
    column_id_t next_column_id;    /* above every id that a column of this table id has had */
    index_id_t next_index_id;      /* likewise of indexes */
    uint16_t collation;
    uint32_t check_count;
    struct check_def *checks;
    uint32_t foreign_key_count;
    struct foreign_key_def *foreign_keys; /* by name */
    struct slice comment;
    struct slice engine;         /* as the client named it; shown again */
    struct slice create_options; /* shown again: "ROW_FORMAT=DYNAMIC ..." */
    /* TABLE_VIEW: the SELECT, complete: no star, all tables with their schema; read in mode 0 */
    struct slice view_text;
    struct view_def view;
    uint64_t create_time_us;
    const struct vtable_provider *provider; /* TABLE_VIRTUAL */
    const struct table_format *format; /* TABLE_BASE: made when the descriptor enters a snapshot */
};

struct schema_def {
    schema_id_t id;
    struct slice name;
    uint16_t collation;
    bool read_only;
    bool virtual; /* information_schema */
};

struct catalog_snapshot; /* reference-counted; see catalog.h */

/* Ids of temporary tables: no other table's id has this bit. */
#define TABLE_ID_TEMPORARY ((table_id_t)1 << 62)
static inline bool table_is_temporary(const struct table_def *t)
{
    return (t->id & TABLE_ID_TEMPORARY) != 0;
}

/* MYSQL: the primary key is one that was made because there was none, or looks like it: my_row_id,
 * the first column, alone, invisible. InnoDB's tables only. */
bool table_has_generated_primary(const struct table_def *t);

uint64_t snapshot_version(const struct catalog_snapshot *snap);
/* NULL when absent. Owned by the snapshot. */
const struct schema_def *snapshot_schema(const struct catalog_snapshot *snap, struct slice name);
const struct table_def *snapshot_table(const struct catalog_snapshot *snap, struct slice schema,
                                       struct slice name);
/* The same among the temporary tables only, and without them. */
const struct table_def *snapshot_temporary(const struct catalog_snapshot *snap, struct slice schema,
                                           struct slice name);
const struct table_def *snapshot_permanent(const struct catalog_snapshot *snap, struct slice schema,
                                           struct slice name);
const struct table_def *snapshot_table_by_id(const struct catalog_snapshot *snap, table_id_t id);
/* In name order; temporary tables are not listed. */
uint32_t snapshot_schema_count(const struct catalog_snapshot *snap);
const struct schema_def *snapshot_schema_at(const struct catalog_snapshot *snap, uint32_t i);
uint32_t snapshot_table_count(const struct catalog_snapshot *snap, const struct schema_def *schema);
const struct table_def *snapshot_table_at(const struct catalog_snapshot *snap,
                                          const struct schema_def *schema, uint32_t i);

/* Foreign key number `at` of `child`. */
struct fk_edge {
    const struct table_def *child;
    uint32_t at;
};
/* All foreign keys that refer to the table of that name, whether or not there is one. Owned by the
 * snapshot. */
const struct fk_edge *snapshot_children(const struct catalog_snapshot *snap, struct slice schema,
                                        struct slice table, uint32_t *ret_count);

static inline const struct foreign_key_def *fk_of_edge(const struct fk_edge *e)
{
    return &e->child->foreign_keys[e->at];
}

static inline bool column_is_row_id(const struct column_def *c)
{
    return c->hidden && c->generated == GENERATED_NO;
}

/* Type of the values that keys hold of the column. */
static inline const struct sql_type *column_key_type(const struct column_def *c)
{
    return c->element != NULL ? c->element : &c->type;
}

/* The part of the index that has several values a row; -1: none. There is at most one. */
int index_multi_part(const struct table_def *t, const struct index_def *ix);

/* NULL when absent; names compare without case. */
const struct column_def *table_column(const struct table_def *t, struct slice name);
const struct index_def *table_index(const struct table_def *t, struct slice name);
/* N of a check's made name, TABLE_chk_N; 0 when `name` is none of the table's. */
uint64_t check_name_number(struct slice name, struct slice table);
/* N of a foreign key's made name, TABLE_ibfk_N; 0 when it is none (N begins with 0, too). */
uint64_t fk_name_number(struct slice name, struct slice table);
/* Does the name follow the table's when that changes? TABLE_ibfk_ and digits. */
bool fk_name_follows(struct slice name, struct slice table);
/* By name, as descriptors have them. */
void foreign_keys_sort(struct foreign_key_def *keys, uint32_t count);

#endif
