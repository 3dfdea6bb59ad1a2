/* What UPDATE does to one row: shared by the operator and the short path. */
#ifndef SKEIN_SQL_EXEC_CHANGE_ROW_H
#define SKEIN_SQL_EXEC_CHANGE_ROW_H

#include "sql/exec/row_rules.h"
#include "sql/exec/row_writer.h"

struct change_row {
    const struct plan_target *target;
    struct row_writer *writer;
    struct expr_state **assigns; /* by assignment; NULL: a constant or a parameter */
    struct chunk *scratch;   /* one row of the columns that the expressions read; NULL: none does */
    struct row_rules *rules; /* of the target's rules */
    struct expr_state **joined; /* of the target's joined_checks */
    bool ignore;
    struct arena *values; /* of the new row; NULL: the statement's */
};

/* The new row; NULL when it stays as it is. Counts it as matched. The rest as below. */
MUST_USE db_err change_row_compute(struct change_row *c, struct exec_ctx *ctx,
                                   const struct value *old, uint64_t number,
                                   struct value **ret_row);
/* Writes what was computed, and counts it. */
MUST_USE db_err change_row_write(struct change_row *c, struct exec_ctx *ctx,
                                 const struct value *old, const struct value *row);

/* Both: updates the row `old` (by ordinal, read for update; its bytes outlive the call and are not
 * those of the scratch row), which the scratch row shows: counts it in ctx and writes it when it
 * changes. `number`: 1-based row of the statement. May park. */
MUST_USE db_err change_row_update(struct change_row *c, struct exec_ctx *ctx,
                                  const struct value *old, uint64_t number);

#endif
