/* Warnings of system variables that are on their way out (deprecated_vars.def). */
#ifndef SKEIN_SQL_SESSION_DEPRECATED_VARS_H
#define SKEIN_SQL_SESSION_DEPRECATED_VARS_H

#include "sql/parser/ast.h"
#include "sql/session/sysvar.h"

struct diag_area;

/* 1287 when the variable is one of them. */
void deprecated_var_warn(struct diag_area *area, enum sysvar_id id);
/* The same where a statement reads @@name, if it may. */
void deprecated_var_read(struct diag_area *area, enum ast_scope scope, struct slice name);

#endif
