/* Private to sql/ddl. */
#ifndef SKEIN_SQL_DDL_DDL_INT_H
#define SKEIN_SQL_DDL_DDL_INT_H

#include "base/clock.h"
#include "base/scope.h"
#include "sql/charset/charset.h"
#include "sql/ddl/ddl.h"
#include "sql/ddl/mdl.h"
#include "sql/diag/diag_area.h"
#include "sql/diag/my_error.h"
#include "sql/parser/ast_print.h"
#include "sql/types/cast.h"

enum {
    DDL_NAME_CHARS_MAX = 64,
    DDL_TABLE_COMMENT_MAX = 2048,
    DDL_COLUMN_COMMENT_MAX = 1024,
    DDL_INDEX_COMMENT_MAX = 1024,
    DDL_KEY_BYTES_MAX = 3072,
    DDL_ROW_BYTES_MAX = 65535,
};

/* ---- a table in the making: CREATE TABLE fills one from the syntax tree, ALTER TABLE from a
 * descriptor and changes it; ddl__finish turns it into a descriptor ---- */

struct draft_column {
    struct column_def def; /* ordinal and id: by ddl__finish */
    int32_t source;        /* ordinal in the table that is altered; -1: a new column */
    bool explicit_null;    /* NULL was written */
    bool declared;         /* by this statement, type and all */
    bool promoted;         /* a TIMESTAMP that has got the current time (timestamps.c) */
    bool has_default;      /* DEFAULT was written */
    bool renamed, redefined,
        redefaulted;  /* by ALTER TABLE: a second time there is no such column */
    bool dropped;     /* by ALTER TABLE, which adds one of the same name: keys still point at it */
    bool row_default; /* a new column whose default differs from row to row */
    /* Of a generated column or of DEFAULT (expr): as written. NULL: what def has as text. */
    const struct ast_expr *expr;
};

struct draft_part {
    struct slice name;           /* as written */
    const struct ast_expr *expr; /* a functional part that has no column yet */
    struct draft_column *column;
    uint32_t prefix;
    bool desc;
    bool has_order; /* ASC or DESC was written */
};

struct draft_index {
    struct index_def def; /* id, part_count and parts: by ddl__finish */
    int32_t source;       /* index ordinal in the table that is altered; -1: new */
    uint32_t part_count;
    struct draft_part *parts;
    bool nullable;  /* a part could be NULL when the key was written: decides its place */
    uint32_t order; /* in which it was written: ties are kept in it */
};

struct draft_check {
    struct check_def def;        /* name.ptr NULL: to be made; expr: by ddl__check_derived */
    const struct ast_expr *ast;  /* NULL: of the table that is altered */
    struct draft_column *column; /* an attribute of this column, or NULL */
    bool enforce;                /* rows are to be checked that were not */
};

struct draft_fk; /* fk_int.h */

struct draft {
    struct ddl_ctx *ctx;
    struct table_def def; /* all but columns and indexes */
    struct draft_column **columns;
    uint32_t column_count, column_cap;
    struct draft_index **indexes;
    uint32_t index_count, index_cap;
    uint32_t index_order;
    struct draft_check **checks; /* def.checks are made of them by ddl__check_derived */
    uint32_t check_count;
    struct slice new_schema, new_name; /* ALTER ... RENAME; ptr NULL: none */
    bool copy;                         /* ALGORITHM=COPY was written */
    struct draft_fk **fks;             /* def.foreign_keys are made of them by ddl__finish */
    uint32_t fk_count;
    const struct table_def *old; /* the table that is altered, or NULL */
    bool keep_order;       /* the indexes are in order already: nothing was checked or changed */
    column_id_t hidden_id; /* of the row id column of the table that is altered, 0: it has none */
};

/* column.c */
MUST_USE db_err ddl__column(struct draft *d, const struct ast_column_def *ast,
                            struct draft_column **ret_column);
MUST_USE db_err ddl__set_default(struct draft *d, struct draft_column *c,
                                 enum ast_default_kind kind, const struct ast_expr *expr);
/* What NOT NULL, keys and AUTO_INCREMENT demand of the columns, once all are known. */
MUST_USE db_err ddl__check_columns(struct draft *d);
/* generated_key.c: is there a unique key that no row has a NULL in? */
bool ddl__has_stand_in(const struct draft *d);
/* timestamps.c: what TIMESTAMP columns get that nothing is said of: the first of them (before those
 * of a SELECT are there), and then the others (1067). */
void ddl__promote_timestamp(struct draft *d);
MUST_USE db_err ddl__zero_timestamps(struct draft *d);
/* Bytes of the column in MySQL's rows; of text with its length. */
uint64_t ddl__row_bytes(const struct sql_type *t);
/* After NULL/NOT NULL of a column is settled: DEFAULT NULL or none. */
void ddl__settle_default(struct draft_column *c);

/* allowed.c: what definitions may not hold is told of before all else. */
MUST_USE db_err ddl__columns_allowed(struct ddl_ctx *ctx,
                                     const struct ast_column_def_list *columns);
MUST_USE db_err ddl__actions_allowed(struct ddl_ctx *ctx,
                                     const struct ast_alter_action_list *actions);
/* The checks, before keys are looked at. */
MUST_USE db_err ddl__checks_allowed(struct draft *d);
/* Has a check that ALTER adds the name of one that is there? 3822. */
MUST_USE db_err ddl__new_check_names(struct draft *d);

/* derived.c */
/* Generated columns, defaults and checks, once columns and keys are settled. */
MUST_USE db_err ddl__check_derived(struct draft *d);
MUST_USE db_err ddl__add_check(struct draft *d, const struct ast_check *ast,
                               struct draft_column *column);
/* The name that it has or will be given; NULL: out of memory. */
const char *ddl__check_name(const struct draft *d, uint32_t at);
struct draft_check *ddl__find_check(const struct draft *d, struct slice name); /* NULL: none */
void ddl__drop_check(struct draft *d, const struct draft_check *c);
/* CREATE TABLE ... LIKE: all checks get made names. */
MUST_USE db_err ddl__rename_checks(struct ddl_ctx *ctx, struct table_def *def);

/* A new hidden column for a functional part. */
MUST_USE db_err ddl__functional_part(struct draft *d, const struct draft_index *ix, uint32_t at,
                                     struct draft_column **ret_column);
/* Hidden columns stand after all others; those that no key has any more go. */
void ddl__order_hidden(struct draft *d);

/* select_columns.c */
MUST_USE db_err ddl__select_columns(struct draft *d);

/* draft.c */
MUST_USE db_err ddl__add_column(struct draft *d, struct draft_column *c, uint32_t at);
struct draft_column *ddl__find_column(const struct draft *d, struct slice name);
uint32_t ddl__column_at(const struct draft *d, const struct draft_column *c);
MUST_USE db_err ddl__add_index(struct draft *d, struct draft_index *ix);
struct draft_index *ddl__primary(const struct draft *d);
/* Checks the whole, orders the indexes, gives ids (old ones keep theirs) and fills *ret_def with
 * memory of the statement's arena. keep_ids: the table keeps its id, so that ids of columns and
 * indexes live on; else they begin anew. */
MUST_USE db_err ddl__finish(struct draft *d, bool keep_ids, struct table_def *ret_def);
/* A draft of a table as it is. */
MUST_USE db_err ddl__draft_of(struct ddl_ctx *ctx, const struct table_def *def, struct draft *ret);

/* index.c */
MUST_USE db_err ddl__index(struct draft *d, const struct ast_index_def *ast);
/* The index of a column's own PRIMARY KEY or UNIQUE. */
MUST_USE db_err ddl__column_key(struct draft *d, struct slice column, bool primary);
/* Names the nameless, resolves parts, checks lengths; notes duplicates. */
MUST_USE db_err ddl__check_indexes(struct draft *d);

/* options.c */
MUST_USE db_err ddl__options(struct draft *d, const struct ast_table_option_list *options);
/* A schema's or table's collation from CHARSET and COLLATE as written (ptr NULL: not; "": DEFAULT).
 */
MUST_USE db_err ddl__collation(struct ddl_ctx *ctx, struct slice charset, struct slice collation,
                               uint16_t otherwise, uint16_t *ret);

/* names.c */
const char *ddl__text(struct ddl_ctx *ctx, struct slice s); /* NUL-terminated, in the arena */
MUST_USE db_err ddl__unsupported(struct ddl_ctx *ctx, const char *feature);
MUST_USE db_err ddl__check_schema_name(struct ddl_ctx *ctx, struct slice name);
MUST_USE db_err ddl__check_table_name(struct ddl_ctx *ctx, struct slice name);
MUST_USE db_err ddl__check_column_name(struct ddl_ctx *ctx, struct slice name);
/* 1470-like checks of comments: `limit` characters. */
bool ddl__too_long(struct slice text, size_t limit);
/* MYSQL: a comment of more than `limit` characters is an error, or cut with a warning when the mode
 * is not strict. number: 1628, 1629 or 1688; name: what the comment is of. */
MUST_USE db_err ddl__fit_comment(struct ddl_ctx *ctx, struct slice *io_text, size_t limit,
                                 enum my_errno number, struct slice name);
/* The schema a name speaks of: 1046 when there is none. */
MUST_USE db_err ddl__schema_of(struct ddl_ctx *ctx, const struct ast_name *name,
                               struct slice *ret_schema);
/* 1044 or 3552 for schemas that statements may not change. */
MUST_USE db_err ddl__writable_schema(struct ddl_ctx *ctx, struct slice schema);
/* "schema.name" */
const char *ddl__full_name(struct ddl_ctx *ctx, struct slice schema, struct slice name);
/* Resolves base tables and locks them exclusively: the definitions are those in force under the
 * lock. A NULL entry: no such table. *ret_snapshot is to be released by the caller. */
struct ddl_target {
    struct slice schema, name;
    const struct table_def *def;
};
MUST_USE db_err ddl__lock_targets(struct ddl_ctx *ctx, struct ddl_target *targets, uint32_t count,
                                  const struct catalog_snapshot **ret_snapshot);
/* Gives up what was locked since the mark. */
void ddl__unlock_targets(struct ddl_ctx *ctx, uint32_t mark);

/* Commits the change, if the tables are still locked on all nodes, and returns when all know it.
 * Frees it. */
MUST_USE db_err ddl__commit(struct ddl_ctx *ctx, struct catalog_change *change);

/* cleanup.c */
MUST_USE db_err ddl__delete_ranges(struct catalog *catalog, struct storage *storage,
                                   const struct pending_drop *drops, uint32_t count,
                                   struct diag *diag);

/* The rows of a temporary table that is gone. */
MUST_USE db_err ddl__delete_temporary(struct ddl_ctx *ctx, table_id_t id);

/* statements */
MUST_USE db_err ddl__create_database(struct ddl_ctx *ctx, const struct ast_database_ddl *s);
MUST_USE db_err ddl__alter_database(struct ddl_ctx *ctx, const struct ast_database_ddl *s);
MUST_USE db_err ddl__drop_database(struct ddl_ctx *ctx, const struct ast_database_ddl *s);
MUST_USE db_err ddl__create_table(struct ddl_ctx *ctx, const struct ast_create_table *s);
MUST_USE db_err ddl__drop_table(struct ddl_ctx *ctx, const struct ast_drop_table *s);
MUST_USE db_err ddl__truncate(struct ddl_ctx *ctx, const struct ast_truncate_table *s);
MUST_USE db_err ddl__rename(struct ddl_ctx *ctx, const struct ast_rename_table *s);
MUST_USE db_err ddl__alter_table(struct ddl_ctx *ctx, const struct ast_alter_table *s);
MUST_USE db_err ddl__create_index(struct ddl_ctx *ctx, const struct ast_create_index *s);
MUST_USE db_err ddl__drop_index(struct ddl_ctx *ctx, const struct ast_drop_index *s);
MUST_USE db_err ddl__create_view(struct ddl_ctx *ctx, const struct ast_create_view *s);
MUST_USE db_err ddl__drop_view(struct ddl_ctx *ctx, const struct ast_drop_table *s);

/* 1681 for what is deprecated about a type that no clause spells: that of a query's column. */
/* How the options want names to be written. */
struct ast_name_style ddl__name_style(const struct ddl_show_opts *opts);
void ddl__warn_type(struct ddl_ctx *ctx, const struct sql_type *t);

/* The text of an expression, as it grows. */
struct expr_text {
    struct buf *buf;
    const struct bind_opts *opts; /* whose charsets the text is in; NULL: a text that was kept */
};
/* print_condition.c: e, or NOT e, where a condition stands. */
MUST_USE db_err ddl__print_condition(const struct ast_expr *e, bool negated, struct expr_text *out);
/* print_expr.c: any expression; and what is no condition, TRUE, FALSE and calls as they are. */
MUST_USE db_err ddl__print_part(const struct ast_expr *e, struct expr_text *out);
MUST_USE db_err ddl__print_plain(const struct ast_expr *e, struct expr_text *out);

/* A condition of a row that is rewritten, as it is listed. */
static inline enum diag_level ddl__level(enum cast_level level)
{
    return level == CAST_NOTE ? DIAG_NOTE : level == CAST_WARNING ? DIAG_WARNING : DIAG_ERROR;
}

#endif
