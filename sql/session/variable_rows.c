/* System variables as rows: what performance_schema's tables, and SHOW VARIABLES over them, ask of
 * a session. */
#include "sql/session/session_int.h"

static db_err text_of(struct sql_session *s, enum sysvar_id id, bool global, struct slice *ret)
{
    const struct sysvar_def *d = &sysvar_defs[id];
    struct value v;
    TRY(vars__read(s, id, global, &s->stmt_arena, &v));
    *ret = SLICE_LIT("");
    if (v.is_null) {
        return ERR_OK;
    }
    if (d->type == SYSVAR_T_BOOL || d->type == SYSVAR_T_INT || d->type == SYSVAR_T_DOUBLE) {
        struct sysvar_value x = {.i = v.i};
        return sysvar_to_text(id, &x, &s->stmt_arena, ret);
    }
    *ret = v.str.ptr == NULL ? SLICE_LIT("") : v.str;
    return ERR_OK;
}

db_err session__variable_rows(void *session, bool global, struct infoschema_name_sink *sink)
{
    struct sql_session *s = session;
    for (int i = 0; i < VAR__COUNT; i++) {
        const struct sysvar_def *d = &sysvar_defs[i];
        struct slice text;
        if ((d->flags & SYSVAR_HIDDEN) != 0 || (global && d->scope == SYSVAR_SESSION)) {
            continue;
        }
        TRY(text_of(s, (enum sysvar_id)i, global, &text));
        TRY(sink->add(sink, slice_str(d->name), text));
    }
    return ERR_OK;
}
