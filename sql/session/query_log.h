/* The slow query log, the general query log and SHOW PROFILES: what is told of commands.
 *
 * Both logs are files in MySQL's format, in the data directory unless their variables name another
 * place. Commands that change accounts are logged without their text, which may hold a password
 * (log_raw: with it). An entry is written by the pool of blocking threads while the session waits;
 * a file that cannot be written is told of in the node's log, and the command goes on. */
#ifndef SKEIN_SQL_SESSION_QUERY_LOG_H
#define SKEIN_SQL_SESSION_QUERY_LOG_H

#include "sql/session/session_int.h"

/* Whether the general log wants the session's commands; cheap. */
static inline bool query_log__general_on(const struct sql_session *s)
{
    return UNLIKELY(atomic_load_explicit(&s->engine->general_log, memory_order_relaxed)) &&
           !s->vars.sql_log_off;
}
/* command: "Query", "Execute", "Connect" ... secret: the text is not for the log. May park. */
void query_log__general(struct sql_session *s, const char *command, struct slice text, bool secret);
/* A command of the session has ended, which began at the wall clock's start_us. May park. */
void query_log__ended(struct sql_session *s, struct slice text, uint64_t start_us,
                      uint64_t took_us);

/* The log's file, in the statement's arena; NULL: no memory. */
const char *query_log__path(struct sql_session *s, bool slow);

/* SHOW PROFILES, SHOW PROFILE. */
db_err profile__show(struct statement *st, const struct ast_show *show);
void profile__free(struct sql_session *s);

#endif
