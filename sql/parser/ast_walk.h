/* The parts of an expression, in the order in which they are written. Pure. */
#ifndef SKEIN_SQL_PARSER_AST_WALK_H
#define SKEIN_SQL_PARSER_AST_WALK_H

#include "base/err.h"
#include "sql/parser/ast_expr.h"

typedef db_err (*ast_part_fn)(const struct ast_expr *part, void *arg);
/* Calls fn on each expression that stands directly below e; not on those of subqueries and windows.
 * Returns the first error of fn. */
MUST_USE db_err ast_each_part(const struct ast_expr *e, ast_part_fn fn, void *arg);

#endif
