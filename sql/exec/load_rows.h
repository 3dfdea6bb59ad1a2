/* LOAD DATA: the rows of a file through the INSERT operator. */
#ifndef SKEIN_SQL_EXEC_LOAD_ROWS_H
#define SKEIN_SQL_EXEC_LOAD_ROWS_H

#include "sql/exec/load_reader.h"
#include "sql/exec/op_insert.h"

/* Reads ctx->load to its end and writes its rows, some at a time; the child of the operator is
 * PLAN_LOAD. May park. Errors: those of the input and of INSERT; under strict sql_mode without
 * IGNORE also 1261, 1262, 1263. */
MUST_USE db_err exec__load_rows(struct op_insert *s, struct exec_ctx *ctx);

#endif
