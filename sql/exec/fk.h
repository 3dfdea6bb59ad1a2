/* Foreign keys of rows that a statement writes. sql/opt/fk_plan.h says what there is to do.
 *
 * A row of the child is checked before it is written: its parents are read with shared locks, which
 * are kept. A row of the parent that goes or changes is refused before it is written (RESTRICT), or
 * its children follow after it (CASCADE, SET NULL), in the same storage transaction: whatever fails
 * fails the statement as a whole. Everything may park. */
#ifndef SKEIN_SQL_EXEC_FK_H
#define SKEIN_SQL_EXEC_FK_H

#include "sql/exec/row_writer.h"
#include "sql/opt/fk_plan.h"

/* What is to be done for the table: NULL when there is nothing or @@foreign_key_checks is off. */
static inline const struct fk_table *fk_wanted(const struct exec_ctx *ctx,
                                               const struct fk_table *fks)
{
    return ctx->foreign_key_checks ? fks : NULL;
}

/* Looks for the parents of many rows at once (row-major, `width` values each). ret_known, by row,
 * then check: there is one, and it is locked. Of the others nothing is known: rows written in
 * between may be theirs. */
MUST_USE db_err fk_find_parents(struct exec_ctx *ctx, const struct fk_table *fks,
                                const struct value *rows, uint32_t count, bool *ret_known);
/* ERR_SQL 1452 when a parent of the row is missing. known: by check, of fk_find_parents, or NULL.
 * old: the row as it was, whose unchanged keys are not looked at; NULL: a new row. */
MUST_USE db_err fk_check_row(struct exec_ctx *ctx, const struct fk_table *fks,
                             const struct value *old, const struct value *row, const bool *known);

/* Looks for the children of many rows that are to be deleted, with one request for each key of the
 * table. ret_none, by row, then ref of fks: there is certainly none, and this statement makes none.
 * Rows that are locked with X, all of them. */
MUST_USE db_err fk_find_childless(struct exec_ctx *ctx, const struct fk_table *fks,
                                  const struct value *rows, uint32_t count, bool *ret_none);

/* row_delete and row_update with what the rows' children need. The writer is of fks->table. fks
 * NULL: nothing else than those. none: by ref, of fk_find_childless, or NULL. ERR_SQL 1451, 1452,
 * 3008. */
MUST_USE db_err fk_delete_row(struct exec_ctx *ctx, const struct fk_table *fks,
                              struct row_writer *w, const struct value *old, const bool *none);
MUST_USE db_err fk_update_row(struct exec_ctx *ctx, const struct fk_table *fks,
                              struct row_writer *w, const struct value *old,
                              const struct value *new_row, const bool *touched);
/* REPLACE: as fk_delete_row, but keys that `by` has too are not given up. */
MUST_USE db_err fk_replace_row(struct exec_ctx *ctx, const struct fk_table *fks,
                               struct row_writer *w, const struct value *old,
                               const struct value *by);
/* The row of `old` as it is now (strings in ctx->arena): an action may have changed it. */
MUST_USE db_err fk_reread(struct exec_ctx *ctx, struct row_writer *w, const struct value *old,
                          struct value *ret_row, bool *ret_found);

/* Is the error of foreign keys: IGNORE makes a warning of it? */
bool fk_is_violation(const struct exec_ctx *ctx, db_err err);
/* Frees what a statement's actions have used. */
void fk_close(struct exec_ctx *ctx);

#endif
