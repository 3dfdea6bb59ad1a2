/* Warnings of system variables that are on their way out. */
#include "sql/session/deprecated_vars.h"

#include "sql/diag/diag_area.h"

void deprecated_var_warn(struct diag_area *area, enum sysvar_id id)
{
    const char *instead = NULL;
    switch ((int)id) {
#define DEPRECATED_VAR(name, use)                                                                  \
    case VAR_##name:                                                                               \
        instead = (use);                                                                           \
        break;
#include "sql/session/deprecated_vars.def"
#undef DEPRECATED_VAR
    default: return;
    }
    const char *name = sysvar_defs[id].name;
    struct diag d;
    diag_reset(&d);
    diag_set_sql(&d, ER_WARN_DEPRECATED_SYNTAX, my_error_sqlstate(ER_WARN_DEPRECATED_SYNTAX),
                 instead == NULL ? "'@@%s' is deprecated and will be removed in a future release."
                                 : "'@@%s' is deprecated and will be removed in a future release. "
                                   "Please use %s instead.",
                 name, instead);
    diag_area_add(area, DIAG_WARNING, &d);
}

void deprecated_var_read(struct diag_area *area, enum ast_scope scope, struct slice name)
{
    enum sysvar_id id = sysvar_find(name);
    if (id == VAR__COUNT) {
        return;
    }
    unsigned needs = scope == AST_SCOPE_DEFAULT  ? SYSVAR_BOTH
                     : scope == AST_SCOPE_GLOBAL ? SYSVAR_GLOBAL
                                                 : SYSVAR_SESSION;
    if ((sysvar_defs[id].scope & needs) != 0) { /* else it is an error */
        deprecated_var_warn(area, id);
    }
}
