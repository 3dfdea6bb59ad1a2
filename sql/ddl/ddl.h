/* Schema statements: databases, tables, indexes.
 *
 * One entry for all of them. A statement resolves its names, takes exclusive metadata locks on the
 * tables that it changes (sql/ddl/mdl.h), does what must be done with rows (backfill, copy), and
 * then commits one catalog change. Keys that nobody needs any more are deleted after that commit,
 * from records that the same commit wrote (docs/formats/catalog.md), so that a crash leaves nothing
 * behind that ddl_recover() does not find. */
#ifndef SKEIN_SQL_DDL_DDL_H
#define SKEIN_SQL_DDL_DDL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "sql/bind/bind.h"
#include "sql/catalog/catalog.h"
#include "sql/parser/ast_ddl.h"

struct ddl_ctx;
struct diag_area;
struct mdl;
struct sql_coord;
struct sql_coord_lock;
struct storage;

/* The session's temporary tables, for statements that make, change and drop them. bind->snapshot
 * has them in front of the catalog's tables. Definitions are copied. */
struct ddl_temporaries {
    /* Also before the first table: `storage` of the context must be able to keep its rows
     * afterwards. */
    db_err (*new_id)(struct ddl_temporaries *t, struct ddl_ctx *ctx, table_id_t *ret_id);
    /* old_id 0: a new table; else it takes that one's place. */
    db_err (*put)(struct ddl_temporaries *t, table_id_t old_id, const struct table_def *def);
    void (*remove)(struct ddl_temporaries *t, table_id_t id);
};

struct ddl_ctx {
    struct catalog *catalog;
    struct storage *storage;
    struct arena *arena;
    struct diag *diag;
    const struct bind_opts *bind;            /* snapshot, current schema, sql_mode, collation */
    uint16_t server_collation;               /* @@collation_server: default of new databases */
    struct diag_area *warnings;              /* sql/diag */
    bool foreign_key_checks;                 /* @@foreign_key_checks */
    bool require_primary;                    /* @@sql_require_primary_key */
    bool generate_primary;                   /* @@sql_generate_invisible_primary_key */
    bool implied_timestamps;                 /* not @@explicit_defaults_for_timestamp */
    bool fk_needs_unique;                    /* @@restrict_fk_on_non_standard_key */
    bool encrypts_databases;                 /* @@default_table_encryption */
    bool may_choose_encryption;              /* of a new database another than that */
    struct mdl *mdl;                         /* metadata locks, sql/ddl/mdl.h */
    void *mdl_owner;                         /* struct mdl_owner; what it holds now is kept */
    struct slice account_user, account_host; /* who runs it, for 1044 */
    uint64_t lock_deadline_ns;               /* of metadata locks (@@lock_wait_timeout); 0: none */
    struct sql_coord *coord;                 /* the other nodes; NULL: there are none */
    struct sql_coord_lock *coord_lock;       /* ddl_execute's own */
    struct slice default_engine, default_temporary_engine; /* ptr NULL: InnoDB */
    const struct parse_charset *client;      /* the statement's charset; NULL: UTF-8 */
    uint32_t auto_inc_step, auto_inc_offset; /* @@auto_increment_increment and _offset */
    struct mem_tracker *mem;                 /* what a sort of rows may take; may be NULL */
    const char *temp_dir;                    /* where it goes on; NULL: it does not */
    size_t spill_budget;                     /* as exec_ctx has it */
    bool locked;                         /* LOCK TABLES has all tables that the statement changes */
    struct sql_coord_lock *outer_lock;   /* and this is its lock on the nodes; may be NULL */
    struct ddl_temporaries *temporaries; /* NULL: there can be none (1235) */
    uint64_t affected_rows;              /* out */
    const struct lcolumn *select_columns; /* of CREATE TABLE ... SELECT: the query's */
    uint32_t select_count;
    /* CREATE TABLE ... SELECT: puts the rows into the table, whose definition is whole but in no
     * catalog yet: it enters that when all rows are there. NULL: there are none. */
    db_err (*fill)(void *arg, const struct table_def *def);
    void *fill_arg;
    bool tells_rows;     /* out: the answer says how many rows were copied */
    bool schema_dropped; /* out: the current database is gone */
};

/* Whether ddl_execute knows the statement. */
bool ddl_handles(enum ast_stmt_kind kind);

/* CREATE and DROP of tables with the word TEMPORARY: no implicit commit comes before them. */
bool ddl_is_temporary(const struct ast_stmt *stmt);

/* Executes one statement. The implicit commit before it is the session's business. May park.
 * Errors: ERR_SQL with MySQL's number in ctx->diag; those of the storage. */
MUST_USE db_err ddl_execute(struct ddl_ctx *ctx, const struct ast_stmt *stmt);

/* Reads a base table through, rows and entries of indexes, in one snapshot. *ret_problem: what is
 * wrong with it, NULL: nothing. Uses of ctx: storage, arena, diag. The caller keeps the definition
 * in force (metadata lock). May park. */
MUST_USE db_err ddl_check_table(struct ddl_ctx *ctx, const struct table_def *t,
                                const char **ret_problem);

/* Finishes what a crash of this node has left: deletes key ranges of dropped tables and indexes.
 * Once, after catalog_open, before sessions. May park. */
MUST_USE db_err ddl_recover(struct catalog *catalog, struct storage *storage, uint64_t node,
                            struct diag *diag);

/* An engine that CREATE TABLE takes, under any of its names, as it is shown (a literal). */
bool ddl_engine_name(struct slice word, struct slice *ret_shown);
/* An engine that MySQL has, whether CREATE TABLE takes it or not; likewise. */
bool ddl_engine_known(struct slice word, struct slice *ret_shown);
struct ddl_show_opts {
    uint64_t sql_mode;            /* ANSI_QUOTES */
    const struct timezone *tz;    /* defaults of TIMESTAMP columns are shown in it; NULL: UTC */
    uint64_t next_auto_increment; /* 0: what CREATE TABLE said */
    bool hides_generated_primary; /* that of table_has_generated_primary */
    bool temporary;               /* say so, whatever the table is */
    bool bare;                    /* names without quotes where they need none */
    bool verbose;                 /* ROW_FORMAT is told also when nobody set it */
    struct diag_area *warnings;   /* of hints of a view that find nothing; NULL: nobody listens */
};
/* Appends the text that SHOW CREATE TABLE gives. */
MUST_USE db_err ddl_show_create_table_opts(struct arena *arena, const struct table_def *def,
                                           const struct ddl_show_opts *opts, struct buf *out);
/* The same with no options. */
MUST_USE db_err ddl_show_create_table(struct arena *arena, const struct table_def *def,
                                      struct buf *out);
/* A column's default as COLUMNS.COLUMN_DEFAULT and SHOW COLUMNS have it, in the arena; ptr NULL:
 * NULL. tz as above. */
MUST_USE db_err ddl_default_text(struct arena *arena, const struct column_def *c,
                                 const struct timezone *tz, struct slice *ret_text);
/* The value of a table option that is only shown again ("ROW_FORMAT" → "COMPACT"), as text; ptr
 * NULL: not set. Borrows the descriptor. */
struct slice ddl_table_option(const struct table_def *def, const char *name);
/* Appends an expression in the form in which MySQL keeps and shows it: names in backquotes, calls
 * in small letters, every operation in parentheses. It reads back under any sql_mode.
 * opts: of the statement that the expression stands in, for the charsets of its texts; NULL: it was
 * read from a text that this function made. ERR_UNSUPPORTED for what cannot stand in a column's
 * default (subqueries, aggregates, variables). */
MUST_USE db_err ddl_print_expr(const struct ast_expr *expr, const struct bind_opts *opts,
                               struct buf *out);
/* SHOW CREATE VIEW. snapshot: where its tables are looked for. short_names: the view's schema is
 * the current one and not named. arena: scratch. */
MUST_USE db_err ddl_show_create_view(struct arena *arena, const struct catalog_snapshot *snapshot,
                                     const struct table_def *def, bool short_names,
                                     const struct ddl_show_opts *opts, struct diag *diag,
                                     struct buf *out);
/* A view's query as VIEWS shows it. arena: scratch. */
MUST_USE db_err ddl_show_view_query(struct arena *arena, const struct table_def *def,
                                    struct diag *diag, struct buf *out);
/* SHOW CREATE DATABASE. */
MUST_USE db_err ddl_show_create_schema(const struct schema_def *def, bool if_not_exists,
                                       const struct ddl_show_opts *opts, struct buf *out);

/* ANALYZE TABLE: distinct[i] is that of index i. The caller shares the table's metadata lock.
 * ERR_SCHEMA_CHANGED: the table is not `t` any more. */
MUST_USE db_err ddl_store_statistics(struct ddl_ctx *ctx, const struct table_def *t,
                                     uint64_t *const *distinct);
/* The same for histograms: histograms[i] is that of column i, NULL: none. */
MUST_USE db_err ddl_store_histograms(struct ddl_ctx *ctx, const struct table_def *t,
                                     const struct histogram *const *histograms);

#endif
