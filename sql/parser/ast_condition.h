/* Which expressions are conditions, and how MySQL turns NOT of them around: what it shows of views,
 * generated columns and checks says (a <> 1) for NOT (a = 1), and (0 <> a) where the number a
 * stands as a condition. Pure. */
#ifndef SKEIN_SQL_PARSER_AST_CONDITION_H
#define SKEIN_SQL_PARSER_AST_CONDITION_H

#include "sql/parser/ast_expr.h"

/* Is its value always true, false or unknown? */
bool ast_is_condition(const struct ast_expr *e);
/* ISNULL(x), which is x IS NULL; NULL: it is not. */
const struct ast_expr *ast_isnull_arg(const struct ast_expr *e);
/* What stands below NOT, NOT NOT ...; each turns *io_negated around. */
const struct ast_expr *ast_below_not(const struct ast_expr *e, bool *io_negated);
/* = for <>, < for >= ..., AND for OR; AST_OP__COUNT: the operator has no counterpart. */
enum ast_op ast_op_negated(enum ast_op op);

#endif
