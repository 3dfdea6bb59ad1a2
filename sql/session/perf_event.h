/* The statement that a session runs, and its last ones
 * (performance_schema.events_statements_current and _history). Private to sql/session. */
#ifndef SKEIN_SQL_SESSION_PERF_EVENT_H
#define SKEIN_SQL_SESSION_PERF_EVENT_H

#include "sql/session/statement_stats.h"

struct ast_stmt;
struct plan;
struct exec_ctx;
struct sql_session;
struct statement;

enum {
    EVENTS_KEPT = 11,
    EVENT_SCHEMA_MAX = 192,
    EVENT_MESSAGE_MAX = 128
}; /* the current and ten ended ones */

struct perf_event {
    uint64_t id; /* 0: none */
    bool ended, secret;
    bool counted; /* by its class, for SHOW STATUS */
    bool rows;    /* it has answered with a result set */
    enum event_class class;
    digest_id digest;
    uint64_t start_us; /* wall clock */
    struct statement_counts counts;
    int error;
    char sqlstate[6];
    char message[EVENT_MESSAGE_MAX + 1];
    bool has_schema;
    char schema[EVENT_SCHEMA_MAX + 1];
    const struct charset *charset; /* of the text; NULL: UTF-8 */
    char *text;
    uint32_t text_len, text_cap;
    bool cut; /* the text is longer */
};

struct session_perf {
    struct session_stats stats; /* its lock is that of all here */
    uint64_t next_id;
    struct perf_event *current;
    struct perf_event events[EVENTS_KEPT]; /* of id at id % EVENTS_KEPT */
    struct slice attributes;               /* of the connection, as sent; owned */
};

MUST_USE db_err perf__open(struct sql_session *s);
void perf__close(struct sql_session *s);
/* The session speaks for another account now. */
void perf__change_user(struct sql_session *s);

/* digest 0: not known yet. */
void perf__begin(struct sql_session *s, enum event_class class, digest_id digest, struct slice text,
                 uint64_t now_us);
/* Which statement it is: of a tree that was parsed, or of a plan that was found by its text. */
void perf__parsed(struct statement *st, const struct ast_stmt *ast, struct slice text);
void perf__planned(struct statement *st, struct plan *plan, struct slice text);
/* For a plan that is kept. */
enum event_class perf__class(const struct ast_stmt *ast);
digest_id perf__digest(struct sql_session *s, struct slice text);
/* Returns the time, in microseconds of the wall clock. */
uint64_t perf__end(struct statement *st, db_err err);
/* How a plan of the running statement has read its tables. */
void perf__count_run(struct sql_session *s, const struct plan *plan, const struct exec_ctx *ctx);

#endif
