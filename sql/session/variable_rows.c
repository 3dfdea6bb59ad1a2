/* System variables and status counters as rows: what performance_schema's tables, and SHOW
 * VARIABLES and SHOW STATUS over them, ask of a session. */
#include <inttypes.h>

#include "base/clock.h"
#include "sql/session/session_int.h"

enum { INNODB_PAGE_SIZE = 16384 }; /* as @@innodb_page_size: what limits of InnoDB follow from */

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

static db_err connection_rows(const struct sql_session *s, struct infoschema_name_sink *sink)
{
    const char *cipher = s->opts.tls_cipher != NULL ? s->opts.tls_cipher : "";
    const char *version = s->opts.tls_version != NULL ? s->opts.tls_version : "";
    TRY(sink->add(sink, SLICE_LIT("Ssl_cipher"), slice_str(cipher)));
    return sink->add(sink, SLICE_LIT("Ssl_version"), slice_str(version));
}

db_err session__status_rows(void *session, bool global, struct infoschema_name_sink *sink)
{
    struct sql_session *s = session;
    struct sql_engine *e = s->engine;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"Com_commit", engine__counted(e, COUNT_COM_COMMIT)},
        {"Com_delete", engine__counted(e, COUNT_COM_DELETE)},
        {"Com_insert", engine__counted(e, COUNT_COM_INSERT)},
        {"Com_rollback", engine__counted(e, COUNT_COM_ROLLBACK)},
        {"Com_select", engine__counted(e, COUNT_COM_SELECT)},
        {"Com_update", engine__counted(e, COUNT_COM_UPDATE)},
        {"Connections", engine__counted(e, COUNT_CONNECTIONS)},
        {"Innodb_page_size", INNODB_PAGE_SIZE},
        {"Queries", engine__counted(e, COUNT_QUESTIONS)},
        {"Questions", engine__counted(e, COUNT_QUESTIONS)},
        {"Slow_queries", engine__counted(e, COUNT_SLOW_QUERIES)},
        {"Threads_connected", atomic_load(&e->session_count)},
        {"Uptime", (clock_wall_us() - e->start_us) / 1000000u},
        {"Uptime_since_flush_status", (clock_wall_us() - e->start_us) / 1000000u},
    };
    (void)global; /* counters are the node's */
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *text = arena_printf(&s->stmt_arena, "%" PRIu64, rows[i].value);
        if (text == NULL) {
            return ERR_NOMEM;
        }
        TRY(sink->add(sink, slice_str(rows[i].name), slice_str(text)));
    }
    return connection_rows(s, sink);
}
