/* Statements that need no operator tree. */
#ifndef SKEIN_SQL_EXEC_SHORT_PATH_H
#define SKEIN_SQL_EXEC_SHORT_PATH_H

#include "sql/exec/op.h"

/* A plan of PLAN_SHAPE_POINT_SELECT. *ret_done false: it is not as simple as its shape says;
 * nothing was done, run the tree. May park. */
MUST_USE db_err exec__point_select(struct exec_ctx *ctx, exec_rows_fn rows, void *arg,
                                   bool *ret_done);

#endif
