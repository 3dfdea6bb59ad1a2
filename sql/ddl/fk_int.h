/* Private to sql/ddl: foreign keys. */
#ifndef SKEIN_SQL_DDL_FK_INT_H
#define SKEIN_SQL_DDL_FK_INT_H

#include "sql/ddl/ddl_int.h"

struct draft_fk {
    struct foreign_key_def def; /* name.ptr NULL: to be made; columns as written or as they were */
    bool is_new;
    bool self;                         /* of the table that is altered: refers to that table */
    struct draft_column **columns;     /* a new one's: by ddl__finish_fks */
    struct draft_column **ref_columns; /* self */
};

/* ---- foreign_key.c: onto the draft ---- */

MUST_USE db_err ddl__add_fk(struct draft *d, struct slice constraint, struct slice index,
                            const struct slice *columns, uint32_t count,
                            const struct ast_references *r);
MUST_USE db_err ddl__foreign_key(struct draft *d, const struct ast_index_def *ast);
bool ddl__drop_fk(struct draft *d, struct slice name);      /* false: no such key */
bool ddl__has_fk(const struct draft *d, struct slice name); /* of the old table, not dropped yet */
MUST_USE db_err ddl__take_fks(struct draft *d, const struct table_def *t);
/* Indexes made for foreign keys that another key makes needless. */
void ddl__drop_generated(struct draft *d);
/* Names and the descriptor's keys. 1828 when a column of one has gone. */
MUST_USE db_err ddl__finish_fks(struct draft *d, struct table_def *t);
bool ddl__has_new_fk(const struct draft *d);
bool ddl__is_new_fk(const struct draft *d, const struct foreign_key_def *f);

/* ---- fk_check.c: on finished descriptors ---- */

/* The keys of `t` itself, and those of other tables that refer to it (as d->old, or as the new name
 * of one that did not exist). snap: without t. */
MUST_USE db_err ddl__check_fks(struct draft *d, const struct table_def *t,
                               const struct catalog_snapshot *snap);
/* A table gets a name that foreign keys refer to already. */
MUST_USE db_err ddl__check_adopted(struct ddl_ctx *ctx, const struct catalog_snapshot *snap,
                                   const struct table_def *t, struct slice schema,
                                   struct slice name, bool is_new);
/* 1826: keys of other tables of the schema that have the name of a new one. */
MUST_USE db_err ddl__check_fk_names(struct draft *d, const struct table_def *t,
                                    const struct catalog_snapshot *snap);
/* 1826: keys of other tables, when t (which is `old` in snap) gets another name. */
MUST_USE db_err ddl__check_renamed_names(struct ddl_ctx *ctx, const struct table_def *t,
                                         const struct table_def *old,
                                         const struct catalog_snapshot *snap, struct slice schema,
                                         struct slice name);

/* ---- fk_change.c: what a change of one table does to others ---- */

/* 3730 when a table that is not among the targets refers to one of them. */
MUST_USE db_err ddl__check_drops(struct ddl_ctx *ctx, const struct catalog_snapshot *snap,
                                 const struct ddl_target *targets, uint32_t count);
/* 1701. */
MUST_USE db_err ddl__check_truncate(struct ddl_ctx *ctx, const struct catalog_snapshot *snap,
                                    const struct table_def *t);
/* Before ALTER copies the rows, or does what MySQL copies them for: columns of foreign keys that
 * stay, of either side, keep their names and types. 1832, 1833, 1846. */
MUST_USE db_err ddl__fk_columns_stay(const struct draft *d, const struct catalog_snapshot *snap);
/* Columns that ALTER renames, in the keys that refer to them. */
MUST_USE db_err ddl__rename_referenced(struct draft *d, struct catalog_change *change);
/* Parents that a statement's new keys name: appended to the targets, which have room. */
void ddl__parents_of(struct ddl_ctx *ctx, const struct ast_references *r, struct slice schema,
                     struct ddl_target *targets, uint32_t *io_count);
/* ddl__lock_targets, with all tables that refer to one of the first `renamed`. */
MUST_USE db_err ddl__lock_family(struct ddl_ctx *ctx, struct ddl_target *targets, uint32_t count,
                                 uint32_t renamed, const struct catalog_snapshot **ret_snapshot);

#endif
