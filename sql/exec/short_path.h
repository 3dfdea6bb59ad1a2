/* Statements that need no operator tree. */
#ifndef SKEIN_SQL_EXEC_SHORT_PATH_H
#define SKEIN_SQL_EXEC_SHORT_PATH_H

#include "sql/exec/op.h"

/* A plan of PLAN_SHAPE_POINT_SELECT. *ret_done false: it is not as simple as its shape says;
 * nothing was done, run the tree. May park. */
MUST_USE db_err exec__point_select(struct exec_ctx *ctx, exec_rows_fn rows, void *arg,
                                   bool *ret_done);
/* PLAN_SHAPE_POINT_UPDATE and PLAN_SHAPE_POINT_DELETE, likewise. */
MUST_USE db_err exec__point_change(struct exec_ctx *ctx, bool *ret_done);
/* PLAN_SHAPE_INSERT_VALUES. Under ctx->defer_checks, ERR_KEY_EXISTS here or at commit means: run it
 * again by exec_insert_again. May park. */
MUST_USE db_err exec__insert_values(struct exec_ctx *ctx);

/* The stored row of the one key of a point get, by way of the entry when the key is a secondary
 * index's. What it gives is in the evaluation arena or borrowed as storage_get's. May park. */
MUST_USE db_err exec__point_read(struct exec_ctx *ctx, const struct scan_spec *spec,
                                 bool *ret_found, struct slice *ret_stored);

#endif
