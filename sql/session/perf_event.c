/* What is written per statement: its beginning (with its text) and its end (with its counts), each
 * under the session's lock. A text that runs by a kept plan knows its normal form from the plan;
 * others are normalised each time. */
#include "sql/session/perf_event.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "sql/parser/statement_digest.h"
#include "sql/session/session_int.h"

enum { TOKENS_MAX = 1 << 20 };

/* ---- life ---- */

/* Without memory there are none; those of another account never stay. */
static db_err keep_attributes(struct sql_session *s, struct slice sent)
{
    uint8_t *copy = mem_calloc(1, sent.len + 1);
    if (copy != NULL && sent.len != 0) {
        memcpy(copy, sent.ptr, sent.len);
    }
    struct session_perf *p = s->perf;
    spin_lock(&p->stats.lock);
    void *old = (void *)(uintptr_t)p->attributes.ptr;
    p->attributes = slice_of(copy, copy == NULL ? 0 : sent.len);
    spin_unlock(&p->stats.lock);
    mem_free(old);
    return copy == NULL ? ERR_NOMEM : ERR_OK;
}

db_err perf__open(struct sql_session *s)
{
    s->perf = mem_calloc(1, sizeof(*s->perf));
    if (s->perf == NULL) {
        return ERR_NOMEM;
    }
    s->perf->next_id = 1;
    s->perf->current = s->perf->events; /* the first has place 1 */
    s->perf->stats.account = statement_stats_connect(s->engine->stats, s->user, s->host);
    return keep_attributes(s, s->opts.connect_attributes);
}

void perf__close(struct sql_session *s)
{
    struct session_perf *p = s->perf;
    if (p == NULL) {
        return;
    }
    session_stats_fold(&p->stats, s->engine->stats);
    statement_stats_disconnect(s->engine->stats, p->stats.account);
    for (int i = 0; i < EVENTS_KEPT; i++) {
        mem_free(p->events[i].text);
    }
    mem_free((void *)(uintptr_t)p->attributes.ptr);
    mem_free(p);
    s->perf = NULL;
}

void perf__change_user(struct sql_session *s)
{
    struct session_perf *p = s->perf;
    session_stats_fold(&p->stats, s->engine->stats);
    struct account_stats *fresh = statement_stats_connect(s->engine->stats, s->user, s->host);
    spin_lock(&p->stats.lock);
    struct account_stats *old = p->stats.account;
    p->stats.account = fresh;
    spin_unlock(&p->stats.lock);
    statement_stats_disconnect(s->engine->stats, old);
    (void)!keep_attributes(s, s->opts.connect_attributes);
}

/* ---- begin ---- */

/* Under the lock. Without memory the text is cut short. */
static void set_text(struct perf_event *e, struct slice text, size_t max)
{
    enum { ROOM_FIRST = 128 };
    size_t n = text.len < max ? text.len : max;
    if (n > e->text_cap) {
        size_t room = n < ROOM_FIRST ? ROOM_FIRST : n;
        char *more = mem_realloc(e->text, room);
        if (more != NULL) {
            e->text = more;
            e->text_cap = (uint32_t)room;
        }
        n = n < e->text_cap ? n : e->text_cap;
    }
    if (n != 0) {
        memcpy(e->text, text.ptr, n);
    }
    e->text_len = (uint32_t)n;
    e->cut = n < text.len;
}

void perf__begin(struct sql_session *s, enum event_class class, digest_id digest, struct slice text,
                 uint64_t now_us)
{
    struct session_perf *p = s->perf;
    size_t max = (size_t)s->globals->values[VAR_performance_schema_max_sql_text_length].i;
    spin_lock(&p->stats.lock);
    struct perf_event *e = p->current + 1;
    e = e == p->events + EVENTS_KEPT ? p->events : e;
    p->current = e;
    e->id = p->next_id++;
    e->ended = e->secret = e->counted = false;
    e->class = class;
    e->digest = digest;
    e->start_us = now_us;
    e->counts = (struct statement_counts){.sent = s->sent_rows, .examined = s->examined_rows};
    e->error = 0;
    e->has_schema = s->has_schema;
    if (s->has_schema) {
        size_t n = s->schema.len < EVENT_SCHEMA_MAX ? s->schema.len : EVENT_SCHEMA_MAX;
        memcpy(e->schema, s->schema.ptr, n);
        e->schema[n] = '\0';
    }
    e->charset = s->client_charset.arg;
    set_text(e, text, max);
    spin_unlock(&p->stats.lock);
}

void perf__count_run(struct sql_session *s, const struct plan *plan, const struct exec_ctx *ctx)
{
    struct session_perf *p = s->perf;
    const struct plan_reads *reads = &plan->reads;
    struct statement_counts *c = &p->current->counts;
    if (p->current->ended) { /* a statement of the session's own, between two */
        return;
    }
    spin_lock(&p->stats.lock);
    c->scans += reads->scans;
    c->ranges += reads->ranges;
    c->full_joins += reads->full_joins;
    c->range_joins += reads->range_joins;
    c->tmp_tables += reads->temporaries;
    c->no_index = c->no_index != 0 || reads->no_index != 0;
    c->sorts += ctx->sorts;
    c->sort_rows += ctx->sorted_rows;
    c->sort_merges += ctx->sort_merges;
    spin_unlock(&p->stats.lock);
}

/* ---- which statement ---- */

static enum event_class class_of_show(const struct ast_show *show)
{
    switch ((int)show->what) {
    case AST_SHOW_DATABASES: return EVENT_SQL_SHOW_DATABASES;
    case AST_SHOW_TABLES: return EVENT_SQL_SHOW_TABLES;
    case AST_SHOW_COLUMNS: return EVENT_SQL_SHOW_FIELDS;
    case AST_SHOW_INDEX: return EVENT_SQL_SHOW_KEYS;
    case AST_SHOW_VARIABLES: return EVENT_SQL_SHOW_VARIABLES;
    case AST_SHOW_STATUS: return EVENT_SQL_SHOW_STATUS;
    case AST_SHOW_ENGINE_STATUS: return EVENT_SQL_SHOW_ENGINE_STATUS;
    case AST_SHOW_ENGINE_MUTEX: return EVENT_SQL_SHOW_ENGINE_MUTEX;
    case AST_SHOW_ENGINE_LOGS: return EVENT_SQL_SHOW_ENGINE_LOGS;
    case AST_SHOW_CREATE_EVENT: return EVENT_SQL_SHOW_CREATE_EVENT;
    case AST_SHOW_CREATE_FUNCTION: return EVENT_SQL_SHOW_CREATE_FUNC;
    case AST_SHOW_CREATE_PROCEDURE: return EVENT_SQL_SHOW_CREATE_PROC;
    case AST_SHOW_CREATE_TRIGGER: return EVENT_SQL_SHOW_CREATE_TRIGGER;
    case AST_SHOW_CREATE_LIBRARY: return EVENT_SQL_SHOW_CREATE_LIBRARY;
    case AST_SHOW_LIBRARY_STATUS: return EVENT_SQL_SHOW_LIBRARY_STATUS;
    case AST_SHOW_FUNCTION_CODE: return EVENT_SQL_SHOW_FUNCTION_CODE;
    case AST_SHOW_PROCEDURE_CODE: return EVENT_SQL_SHOW_PROCEDURE_CODE;
    case AST_SHOW_BINLOG_EVENTS: return EVENT_SQL_SHOW_BINLOG_EVENTS;
    case AST_SHOW_RELAYLOG_EVENTS: return EVENT_SQL_SHOW_RELAYLOG_EVENTS;
    case AST_SHOW_PARSE_TREE: return EVENT_SQL_SHOW_PARSE_TREE;
    case AST_SHOW_PROCESSLIST: return EVENT_SQL_SHOW_PROCESSLIST;
    case AST_SHOW_GRANTS: return EVENT_SQL_SHOW_GRANTS;
    case AST_SHOW_CREATE_TABLE:
    case AST_SHOW_CREATE_VIEW: return EVENT_SQL_SHOW_CREATE_TABLE;
    case AST_SHOW_CREATE_DATABASE: return EVENT_SQL_SHOW_CREATE_DB;
    case AST_SHOW_CREATE_USER: return EVENT_SQL_SHOW_CREATE_USER;
    case AST_SHOW_CHARACTER_SET: return EVENT_SQL_SHOW_CHARSETS;
    case AST_SHOW_COLLATION: return EVENT_SQL_SHOW_COLLATIONS;
    case AST_SHOW_TABLE_STATUS: return EVENT_SQL_SHOW_TABLE_STATUS;
    case AST_SHOW_TRIGGERS: return EVENT_SQL_SHOW_TRIGGERS;
    case AST_SHOW_WARNINGS: return show->count ? EVENT_SQL_SELECT : EVENT_SQL_SHOW_WARNINGS;
    case AST_SHOW_ERRORS: return show->count ? EVENT_SQL_SELECT : EVENT_SQL_SHOW_ERRORS;
    case AST_SHOW_ENGINES: return EVENT_SQL_SHOW_STORAGE_ENGINES;
    case AST_SHOW_PRIVILEGES: return EVENT_SQL_SHOW_PRIVILEGES;
    case AST_SHOW_PLUGINS: return EVENT_SQL_SHOW_PLUGINS;
    case AST_SHOW_EVENTS: return EVENT_SQL_SHOW_EVENTS;
    case AST_SHOW_OPEN_TABLES: return EVENT_SQL_SHOW_OPEN_TABLES;
    case AST_SHOW_PROFILE: return EVENT_SQL_SHOW_PROFILE;
    case AST_SHOW_PROFILES: return EVENT_SQL_SHOW_PROFILES;
    case AST_SHOW_FUNCTION_STATUS: return EVENT_SQL_SHOW_FUNCTION_STATUS;
    case AST_SHOW_PROCEDURE_STATUS: return EVENT_SQL_SHOW_PROCEDURE_STATUS;
    case AST_SHOW_BINARY_LOGS: return EVENT_SQL_SHOW_BINLOGS;
    case AST_SHOW_BINARY_LOG_STATUS: return EVENT_SQL_SHOW_BINARY_LOG_STATUS;
    case AST_SHOW_REPLICA_STATUS: return EVENT_SQL_SHOW_REPLICA_STATUS;
    case AST_SHOW_REPLICAS: return EVENT_SQL_SHOW_REPLICAS;
    default: return EVENT_STMT_HANDLE_REGULAR;
    }
}

static enum event_class class_of_admin(const struct ast_table_admin *a)
{
    switch (a->op) {
    case AST_ADMIN_ANALYZE: return EVENT_SQL_ANALYZE;
    case AST_ADMIN_CHECK: return EVENT_SQL_CHECK;
    case AST_ADMIN_CHECKSUM: return EVENT_SQL_CHECKSUM;
    case AST_ADMIN_OPTIMIZE: return EVENT_SQL_OPTIMIZE;
    case AST_ADMIN_REPAIR: return EVENT_SQL_REPAIR;
    }
    return EVENT_SQL_ANALYZE;
}

static enum event_class class_of_insert(const struct ast_insert *i)
{
    if (i->query != NULL) {
        return i->replace ? EVENT_SQL_REPLACE_SELECT : EVENT_SQL_INSERT_SELECT;
    }
    return i->replace ? EVENT_SQL_REPLACE : EVENT_SQL_INSERT;
}

static enum event_class class_of_handler(const struct ast_handler *h)
{
    switch (h->op) {
    case AST_HANDLER_OPEN: return EVENT_SQL_HA_OPEN;
    case AST_HANDLER_READ: return EVENT_SQL_HA_READ;
    case AST_HANDLER_CLOSE: return EVENT_SQL_HA_CLOSE;
    }
    return EVENT_SQL_HA_READ;
}

static enum event_class class_of_xa(const struct ast_xa *x)
{
    switch (x->op) {
    case AST_XA_START: return EVENT_SQL_XA_START;
    case AST_XA_END: return EVENT_SQL_XA_END;
    case AST_XA_PREPARE: return EVENT_SQL_XA_PREPARE;
    case AST_XA_COMMIT: return EVENT_SQL_XA_COMMIT;
    case AST_XA_ROLLBACK: return EVENT_SQL_XA_ROLLBACK;
    case AST_XA_RECOVER: return EVENT_SQL_XA_RECOVER;
    }
    return EVENT_SQL_XA_START;
}

/* What is given to accounts. */
static enum event_class class_of_grant(const struct ast_stmt *ast)
{
    const struct ast_grant *g = (const struct ast_grant *)ast;
    if (ast->kind == AST_STMT_GRANT) {
        return g->kind == AST_GRANT_ROLES ? EVENT_SQL_GRANT_ROLES : EVENT_SQL_GRANT;
    }
    bool every = g->all && (!g->has_on || (g->any_schema && g->any_table));
    return g->kind == AST_GRANT_ROLES ? EVENT_SQL_REVOKE_ROLES
           : every                    ? EVENT_SQL_REVOKE_ALL
                                      : EVENT_SQL_REVOKE;
}

static enum event_class class_of_explain(const struct ast_explain *e)
{
    return e->target == NULL ? EVENT_SQL_EXPLAIN_OTHER : perf__class(e->target);
}

static enum event_class class_of_change(const struct ast_stmt *ast)
{
    switch ((int)ast->kind) {
    case AST_STMT_INSERT: return class_of_insert((const struct ast_insert *)ast);
    case AST_STMT_UPDATE:
        return ((const struct ast_update *)ast)->table->kind == AST_TABLE_BASE
                   ? EVENT_SQL_UPDATE
                   : EVENT_SQL_UPDATE_MULTI;
    case AST_STMT_DELETE:
        return ((const struct ast_delete *)ast)->multi ? EVENT_SQL_DELETE_MULTI : EVENT_SQL_DELETE;
    case AST_STMT_SHOW: return class_of_show((const struct ast_show *)ast);
    case AST_STMT_TABLE_ADMIN: return class_of_admin((const struct ast_table_admin *)ast);
    case AST_STMT_EXPLAIN: return class_of_explain((const struct ast_explain *)ast);
    case AST_STMT_HANDLER: return class_of_handler((const struct ast_handler *)ast);
    case AST_STMT_XA: return class_of_xa((const struct ast_xa *)ast);
    case AST_STMT_GRANT:
    case AST_STMT_REVOKE: return class_of_grant(ast);
    case AST_STMT_ALTER_USER:
        return ((const struct ast_user_ddl *)ast)->default_role_kind != AST_ROLES_UNSET
                   ? EVENT_SQL_ALTER_USER_DEFAULT_ROLE
                   : EVENT_SQL_ALTER_USER;
    case AST_STMT_SET_ROLE:
        return ((const struct ast_set_role *)ast)->set_default ? EVENT_SQL_ALTER_USER_DEFAULT_ROLE
                                                               : EVENT_SQL_SET_ROLE;
    default: return EVENT_STMT_HANDLE_REGULAR;
    }
}

enum event_class perf__class(const struct ast_stmt *ast)
{
    static const struct {
        enum ast_stmt_kind kind;
        enum event_class class;
    } plain[] = {
        {AST_STMT_EMPTY, EVENT_SQL_EMPTY_QUERY},
        {AST_STMT_SELECT, EVENT_SQL_SELECT},
        {AST_STMT_LOAD_DATA, EVENT_SQL_LOAD},
        {AST_STMT_CALL, EVENT_SQL_CALL_PROCEDURE},
        {AST_STMT_DO, EVENT_SQL_DO},
        {AST_STMT_CREATE_DATABASE, EVENT_SQL_CREATE_DB},
        {AST_STMT_ALTER_DATABASE, EVENT_SQL_ALTER_DB},
        {AST_STMT_DROP_DATABASE, EVENT_SQL_DROP_DB},
        {AST_STMT_CREATE_TABLE, EVENT_SQL_CREATE_TABLE},
        {AST_STMT_ALTER_TABLE, EVENT_SQL_ALTER_TABLE},
        {AST_STMT_DROP_TABLE, EVENT_SQL_DROP_TABLE},
        {AST_STMT_RENAME_TABLE, EVENT_SQL_RENAME_TABLE},
        {AST_STMT_TRUNCATE_TABLE, EVENT_SQL_TRUNCATE},
        {AST_STMT_CREATE_INDEX, EVENT_SQL_CREATE_INDEX},
        {AST_STMT_DROP_INDEX, EVENT_SQL_DROP_INDEX},
        {AST_STMT_CREATE_VIEW, EVENT_SQL_CREATE_VIEW},
        {AST_STMT_DROP_VIEW, EVENT_SQL_DROP_VIEW},
        {AST_STMT_BEGIN, EVENT_SQL_BEGIN},
        {AST_STMT_COMMIT, EVENT_SQL_COMMIT},
        {AST_STMT_ROLLBACK, EVENT_SQL_ROLLBACK},
        {AST_STMT_SAVEPOINT, EVENT_SQL_SAVEPOINT},
        {AST_STMT_ROLLBACK_TO, EVENT_SQL_ROLLBACK_TO_SAVEPOINT},
        {AST_STMT_RELEASE_SAVEPOINT, EVENT_SQL_RELEASE_SAVEPOINT},
        {AST_STMT_SET, EVENT_SQL_SET_OPTION},
        {AST_STMT_SET_TRANSACTION, EVENT_SQL_SET_OPTION},
        {AST_STMT_SET_PASSWORD, EVENT_SQL_SET_PASSWORD},
        {AST_STMT_SET_RESOURCE_GROUP, EVENT_SQL_SET_RESOURCE_GROUP},
        {AST_STMT_DESCRIBE, EVENT_SQL_SHOW_FIELDS},
        {AST_STMT_USE, EVENT_SQL_CHANGE_DB},
        {AST_STMT_KILL, EVENT_SQL_KILL},
        {AST_STMT_FLUSH, EVENT_SQL_FLUSH},
        {AST_STMT_LOCK_TABLES, EVENT_SQL_LOCK_TABLES},
        {AST_STMT_UNLOCK_TABLES, EVENT_SQL_UNLOCK_TABLES},
        {AST_STMT_LOCK_INSTANCE, EVENT_SQL_LOCK_INSTANCE},
        {AST_STMT_UNLOCK_INSTANCE, EVENT_SQL_UNLOCK_INSTANCE},
        {AST_STMT_PREPARE, EVENT_SQL_PREPARE_SQL},
        {AST_STMT_EXECUTE, EVENT_SQL_EXECUTE_SQL},
        {AST_STMT_DEALLOCATE, EVENT_SQL_DEALLOC_SQL},
        {AST_STMT_GET_DIAGNOSTICS, EVENT_SQL_GET_DIAGNOSTICS},
        {AST_STMT_SIGNAL, EVENT_SQL_SIGNAL},
        {AST_STMT_CREATE_USER, EVENT_SQL_CREATE_USER},
        {AST_STMT_DROP_USER, EVENT_SQL_DROP_USER},
        {AST_STMT_RENAME_USER, EVENT_SQL_RENAME_USER},
        {AST_STMT_CREATE_ROLE, EVENT_SQL_CREATE_ROLE},
        {AST_STMT_DROP_ROLE, EVENT_SQL_DROP_ROLE},
        {AST_STMT_RESET_PERSIST, EVENT_SQL_RESET},
        {AST_STMT_HELP, EVENT_SQL_HELP},
        {AST_STMT_SHUTDOWN, EVENT_SQL_SHUTDOWN},
        {AST_STMT_RESTART, EVENT_SQL_RESTART},
    };
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++) {
        if (plain[i].kind == ast->kind) {
            return plain[i].class;
        }
    }
    return class_of_change(ast);
}

digest_id perf__digest(struct sql_session *s, struct slice text)
{
    struct parse_options o = {.mode = session__parse_mode(s), .charset = session__parse_charset(s)};
    size_t max = (size_t)s->globals->values[VAR_performance_schema_max_digest_length].i;
    struct buf tokens;
    digest_id digest = 0;
    if (s->engine->stats->max == 0) {
        return 0; /* not read for nothing */
    }
    buf_init(&tokens, TOKENS_MAX);
    if (statement_digest_tokens(text, &o, max, &tokens) == ERR_OK) {
        digest = statement_stats_digest(s->engine->stats, s->schema, s->has_schema,
                                        buf_slice(&tokens), s->client_charset.arg);
    }
    buf_fini(&tokens);
    return digest;
}

static void set_kind(struct sql_session *s, enum event_class class, digest_id digest, bool secret,
                     struct slice text)
{
    struct session_perf *p = s->perf;
    struct perf_event *e = p->current;
    spin_lock(&p->stats.lock);
    bool counted = e->counted;
    e->class = class;
    e->digest = digest;
    e->secret = secret;
    e->counted = true;
    if (text.len <= e->text_len) {
        e->text_len = (uint32_t)text.len;
        e->cut = false;
    }
    spin_unlock(&p->stats.lock);
    if (!counted) {
        status__count_class(s, class);
    }
}

static struct slice without_end(struct slice text)
{
    while (text.len != 0 && (text.ptr[text.len - 1] == ';' || text.ptr[text.len - 1] <= ' ')) {
        text.len--;
    }
    return text;
}

void perf__parsed(struct statement *st, const struct ast_stmt *ast, struct slice text)
{
    struct sql_session *s = st->session;
    text = without_end(text);
    set_kind(s, perf__class(ast), perf__digest(s, text), session__secret(ast), text);
}

void perf__planned(struct statement *st, struct plan *plan, struct slice text)
{
    struct sql_session *s = st->session;
    _Atomic uint64_t *kept = &plan->digests[st->row_values != NULL ? 1 : 0];
    digest_id digest = atomic_load_explicit(kept, memory_order_acquire); /* with its entry */
    text = without_end(text);
    if (UNLIKELY(!statement_stats_knows(s->engine->stats, digest))) {
        digest = perf__digest(s, text);
        atomic_store_explicit(kept, digest, memory_order_release);
    }
    set_kind(s, (enum event_class)plan->event_class, digest, false, text);
}

/* ---- end ---- */

/* MYSQL: the first text, then that of a slower run, and any after a minute. */
static void sample(struct sql_session *s, const struct perf_event *e, uint64_t now)
{
    struct statement_stats *all = s->engine->stats;
    uint64_t age = (uint64_t)s->globals->values[VAR_performance_schema_max_digest_sample_age].i;
    if ((uint32_t)e->digest == STATS_FIRST || e->secret || !statement_stats_knows(all, e->digest)) {
        return;
    }
    struct digest_stats *d = statement_stats_at(all, (uint32_t)e->digest);
    uint64_t seen = atomic_load_explicit(&d->sample_seen_us, memory_order_relaxed);
    if (LIKELY(seen != 0 &&
               e->counts.wait_us <=
                   atomic_load_explicit(&d->sample_wait_us, memory_order_relaxed) &&
               (age == 0 || now < seen + age * 1000000u))) {
        return;
    }
    char *copy = mem_calloc(1, (size_t)e->text_len + 1);
    if (copy == NULL) {
        return;
    }
    if (e->text_len != 0) {
        memcpy(copy, e->text, e->text_len);
    }
    if (statement_stats_lock(all, e->digest) != NULL) {
        char *old = d->sample;
        d->sample = copy;
        d->sample_len = e->text_len;
        d->sample_charset = e->charset;
        atomic_store_explicit(&d->sample_seen_us, now, memory_order_relaxed);
        atomic_store_explicit(&d->sample_wait_us, e->counts.wait_us, memory_order_relaxed);
        spin_unlock(&d->lock);
        copy = old;
    }
    mem_free(copy);
}

static void set_error(struct perf_event *e, const struct diag *d)
{
    e->error = d->number;
    snprintf(e->sqlstate, sizeof(e->sqlstate), "%.5s", d->sqlstate);
    snprintf(e->message, sizeof(e->message), "%.*s", EVENT_MESSAGE_MAX, d->text);
}

uint64_t perf__end(struct statement *st, db_err err)
{
    struct sql_session *s = st->session;
    struct session_perf *p = s->perf;
    struct perf_event *e = p->current;
    uint64_t now = clock_wall_us();
    bool shows = e->class == EVENT_SQL_SHOW_WARNINGS || e->class == EVENT_SQL_SHOW_ERRORS ||
                 e->class == EVENT_SQL_GET_DIAGNOSTICS;
    uint64_t warnings = shows ? 0 : s->conditions.total; /* they are the last statement's */
    spin_lock(&p->stats.lock);
    struct statement_counts *c = &e->counts;
    c->count = 1;
    c->wait_us = c->min_us = c->max_us = now > e->start_us ? now - e->start_us : 0;
    c->errors = err != ERR_OK ? 1 : 0;
    c->warnings = warnings > c->errors ? warnings - c->errors : 0;
    c->affected = err == ERR_OK ? st->status.affected_rows : 0;
    c->sent = s->sent_rows - c->sent;
    c->examined = s->examined_rows - c->examined;
    if (UNLIKELY(err != ERR_OK)) {
        set_error(e, &s->diag);
    }
    e->rows = s->row_count == -1 && err == ERR_OK;
    e->ended = true;
    session_stats_add(&p->stats, s->engine->stats, e->digest, e->class, c, now);
    spin_unlock(&p->stats.lock);
    sample(s, e, now);
    return now;
}
