/* What foreign keys ask of a statement that changes rows: which parents a row must have, and which
 * tables refer to a row and what happens to theirs. Part of a plan: immutable, in its arena. */
#ifndef SKEIN_SQL_OPT_FK_PLAN_H
#define SKEIN_SQL_OPT_FK_PLAN_H

#include "sql/bind/table_rules.h"

#define FK_NO_INDEX UINT32_MAX

/* The child's side: a row whose columns are all not NULL must have a parent. */
struct fk_check {
    const struct table_def *child;
    const struct table_def *parent; /* NULL: there is none, no row can have one */
    const struct foreign_key_def *def;
    uint32_t *columns, *ref_columns; /* ordinals */
    uint32_t index;                  /* of the parent; FK_NO_INDEX: as if it did not exist */
    bool whole;                      /* the index is unique and has these columns alone */
};

/* The parent's side: rows of the child refer to its row. */
struct fk_ref {
    const struct fk_table *child;
    const struct table_def *parent;
    const struct foreign_key_def *def;
    uint32_t *columns, *ref_columns;
    uint32_t index;        /* of the child: begins with the columns */
    uint32_t parent_index; /* as fk_check.index: what the children's checks lock */
    bool parent_whole;
};

/* A table that the statement changes, itself or by an action. */
struct fk_table {
    uint32_t id; /* within the plan */
    const struct table_def *table;
    uint32_t check_count;
    struct fk_check *checks;
    uint32_t ref_count;
    struct fk_ref *refs;
    struct table_rules *rules;    /* of rows that an action changes */
    struct table_rules *virtuals; /* the VIRTUAL columns of those; NULL: none */
    bool changes;                 /* an action changes or deletes its rows */
    bool reached;                 /* an action changes rows of the same table */
    bool loops;                   /* actions on its rows may come back to it */
};

struct fk_graph {
    struct arena *arena;
    const struct bind_opts *bind;
    struct diag *diag;
    struct fk_table **tables;
    uint32_t table_count, table_cap;
    /* All tables that are read or changed: for metadata locks. May name one more than once. */
    const struct table_def **locks;
    uint32_t lock_count, lock_cap;
};

/* One foreign key of child, with the parent that it has in the snapshot (or `self`, when the key
 * refers to that table and the snapshot has an older form of it; NULL: none). */
MUST_USE db_err fk_check_make(struct arena *arena, const struct catalog_snapshot *snap,
                              const struct table_def *child, const struct foreign_key_def *def,
                              const struct table_def *self, struct fk_check *ret);

/* What a statement needs of a table that it changes. `checks`: rows come or change; `refs`: rows go
 * or change. changed, by ordinal: only keys with such a column; NULL: all. *ret_table is NULL when
 * there is nothing to do: a table without foreign keys costs two look-ups when planning. */
MUST_USE db_err fk_graph_add(struct fk_graph *g, const struct table_def *table, bool checks,
                             bool refs, const bool *changed, const struct fk_table **ret_table);

/* Once, after the last table. */
MUST_USE db_err fk_graph_finish(struct fk_graph *g);

/* The index that a check uses: the unique one of exactly these columns (*ret_whole), else one that
 * begins with them; FK_NO_INDEX. */
uint32_t fk_parent_index(const struct table_def *t, const uint32_t *columns, uint32_t count,
                         bool *ret_whole);
/* One that begins with the columns, in their order. */
uint32_t fk_child_index(const struct table_def *t, const uint32_t *columns, uint32_t count);

#endif
