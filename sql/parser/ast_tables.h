/* The tables that a query names. Pure. */
#ifndef SKEIN_SQL_PARSER_AST_TABLES_H
#define SKEIN_SQL_PARSER_AST_TABLES_H

#include "base/err.h"
#include "sql/parser/ast_query.h"

typedef db_err (*ast_table_name_fn)(const struct ast_name *name, void *arg);
/* Calls fn on each name of a table, a view or a common table expression in the query and all that
 * is within: subqueries, derived tables, common table expressions. The order is none in particular;
 * a name that is written twice comes twice. Returns the first error of fn. */
MUST_USE db_err ast_each_table_name(const struct ast_query *q, ast_table_name_fn fn, void *arg);

#endif
