/* Private to sql/ddl: the state of one ALTER TABLE. */
#ifndef SKEIN_SQL_DDL_ALTER_INT_H
#define SKEIN_SQL_DDL_ALTER_INT_H

#include "sql/catalog/table_format.h"
#include "sql/ddl/ddl_int.h"
#include "sql/exec/row_rules.h"
#include "sql/exec/sorter.h"

struct alter {
    struct ddl_ctx *ctx;
    const struct table_def *old;
    const struct catalog_snapshot *snapshot; /* under the locks */
    struct draft draft;
    const struct ast_alter_action_list *actions;
    struct slice new_schema, new_name; /* of RENAME; ptr NULL: none */
    bool only_rename;                  /* no action, or RENAME alone: MySQL tells nothing of rows */
    bool force;                        /* FORCE: copy whatever may be */
    bool set_number;                   /* AUTO_INCREMENT = n */
    bool tells_copy;                   /* MySQL copies the rows, and tells how many */
    const struct ast_order_list *order_by; /* of the rows; NULL: as they lie */
    uint64_t copied;                       /* rows of a copy whose columns changed their type */
};

/* alter_actions.c: the actions onto the draft. */
MUST_USE db_err ddl__apply_actions(struct alter *a, const struct ast_alter_action_list *actions);

/* generated_key.c: when the actions are done. 1235, 4110, 4111. */
MUST_USE db_err ddl__check_generated_key(struct alter *a);

/* alter_plan.c */
enum alter_way {
    ALTER_IN_PLACE, /* descriptors, and filling of new indexes */
    ALTER_COPY,     /* all rows into a new table id */
};
/* Decides; gives new columns what old rows read there. Generated columns, and defaults that differ
 * from row to row, are computed by the copy. */
MUST_USE db_err ddl__plan_alter(struct alter *a, enum alter_way *ret_way);
/* fk_rows.c: have all rows of the table as it is now (its rows are there, its descriptor is not yet
 * in force) the parents that its foreign keys ask for? 1452. */
MUST_USE db_err ddl__check_fk_rows(struct alter *a, const struct table_def *def);
/* Are rows to be looked at: for checks that they need not have met so far? */
bool ddl__checks_rows(const struct draft *d);
/* MYSQL: another collation that needs no copy where no key is of the column: of the same charset,
 * or of utf8mb4 for utf8mb3. */
bool ddl__recollates_in_place(const struct sql_type *from, const struct sql_type *to);
bool ddl__is_key_part(const struct draft *d, const struct draft_column *c);
bool ddl__same_stored_form(const struct sql_type *from, const struct sql_type *to, bool in_key);

/* copy.c: rows of `old` into the key range of `def` (an id of its own, no descriptor yet). */
MUST_USE db_err ddl__copy_rows(struct alter *a, const struct table_def *def);
/* backfill.c: entries of def's indexes that are new (a->draft), for all rows. */
MUST_USE db_err ddl__fill_indexes(struct alter *a, const struct table_def *def, const bool *is_new);

/* Reading all rows of a table, in batches: rows.c */
struct row_scan {
    struct storage_txn *txn;
    struct storage_scan *scan;
    struct row_reader *reader;
    const struct storage_kv *kvs;
    size_t count, at;
    struct value *values; /* of the current row, by position of the layout */
};
/* layout: of the table, or a newer one of the same table id. prefix: the rows' key prefix. */
MUST_USE db_err ddl__scan_open(struct ddl_ctx *ctx, const struct row_layout *layout,
                               struct slice prefix, struct row_scan *s);
/* false: the end. Text borrows until the next call. */
MUST_USE db_err ddl__scan_next(struct ddl_ctx *ctx, struct row_scan *s, bool *ret_row);
void ddl__scan_close(struct row_scan *s);
/* backfill.c: reads all rows. ret_counts[i]: entries that they should have in index i (but 0). */
MUST_USE db_err ddl__count_entries(struct ddl_ctx *ctx, const struct table_def *def,
                                   struct row_scan *scan, uint64_t *ret_rows, uint64_t *ret_counts);

/* alter_order.c */
struct row_order { /* zeroed: nothing is ordered */
    struct sort_key *keys;
    uint32_t key_count;      /* 0: nothing is ordered */
    struct vector **vectors; /* of `in` */
    struct chunk in, out;    /* a row of the old table, rows in order */
    struct row_rules virtuals;
    struct sorter sorter;
    uint32_t at; /* in `out` */
};
/* If the statement has ORDER BY and the new table can have an order: reads all rows of `scan` and
 * sorts them. Warns if it cannot. May park; exec->eval.arena: scratch, emptied. Errors: 1054. */
MUST_USE db_err ddl__order_rows(struct alter *a, const struct table_def *def, struct exec_ctx *exec,
                                struct row_scan *scan, struct row_order *o);
/* The next row, by ordinal of the old table; text borrows until the next call. *ret_row false: the
 * end. May park. */
MUST_USE db_err ddl__order_next(struct row_order *o, struct exec_ctx *exec,
                                struct value *ret_values, bool *ret_row);
void ddl__order_fini(struct row_order *o);

/* Writing many rows: transactions of bounded size. */
struct bulk_write {
    struct storage_txn *txn; /* NULL between transactions */
    uint32_t rows;
    size_t bytes;
    struct buf conflict;
};
MUST_USE db_err ddl__bulk_begin(struct ddl_ctx *ctx, struct bulk_write *w); /* if none is open */
MUST_USE db_err ddl__bulk_commit(struct ddl_ctx *ctx, struct bulk_write *w);
bool ddl__bulk_full(const struct bulk_write *w);
void ddl__bulk_fini(struct bulk_write *w);

#endif
