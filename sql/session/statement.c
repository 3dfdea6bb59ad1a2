/* One command: its statements one after the other, each parsed, executed, answered.
 *
 * Everything a statement needs lives in the statement's arena, which is reset before the next one.
 * An error ends the command: the sink is told, and what the statement did is undone (txn_ctl.c). */
#include "base/clock.h"
#include "sql/charset/deprecated.h"
#include "sql/infoschema/show.h"
#include "sql/session/deprecated_vars.h"
#include "sql/session/perf_event.h"
#include "sql/session/globals.h"
#include "sql/session/query_log.h"
#include "sql/session/session_int.h"

/* An error 20003 should say which memory it was. The session's count is of this statement: it is
 * kept from the last one that failed so. The node's is a guess when several fail at once. */
static void explain_limit(struct sql_session *s)
{
    const struct mem_tracker *node = &s->engine->mem;
    size_t own = atomic_load_explicit(&s->mem.refused, memory_order_relaxed);
    size_t kept = atomic_load_explicit(&s->kept.refused, memory_order_relaxed);
    size_t all = atomic_load_explicit(&node->refused, memory_order_relaxed);
    db_err err = ERR_OK;
    if (own != s->limits_seen) {
        err = diag_set(&s->diag, ERR_LIMIT,
                       "the statement needs more memory than the %zu MiB that one may take",
                       s->mem.limit >> 20);
    } else if (kept != s->kept_limits_seen) {
        err = diag_set(&s->diag, ERR_LIMIT,
                       "user variables and prepared statements of a session need more memory than "
                       "the %zu MiB that they may take",
                       s->kept.limit >> 20);
    } else if (all != s->node_limits_seen) {
        err = diag_set(&s->diag, ERR_LIMIT,
                       "all statements together need more than their %zu MiB of memory",
                       node->limit >> 20);
    }
    (void)err;
    s->limits_seen = own;
    s->kept_limits_seen = kept;
    s->node_limits_seen = all;
}

db_err session__fail(struct sql_session *s, db_err err)
{
    if (atomic_load_explicit(&s->killed, memory_order_relaxed) != 0 &&
        (err == ERR_CANCELED || err == ERR_TIMEOUT)) {
        diag_reset(&s->diag);
        err = ERR_CANCELED;
    }
    if (err == ERR_LIMIT && s->diag.number == 0 && s->diag.text[0] == '\0') {
        explain_limit(s);
    }
    err_map(&s->diag, err);
    return ERR_SQL;
}

db_err session__ok(struct statement *st, uint64_t affected, struct slice info)
{
    struct sql_session *s = st->session;
    s->row_count = (int64_t)affected;
    st->status.affected_rows = affected;
    st->status.info = info;
    st->status.server_status = session__status(s);
    st->status.warnings = sql_session_warning_count(s);
    if (st->holds_answer) {
        return ERR_OK;
    }
    TRY(track__answer(st));
    return st->sink->ops->ok(st->sink, &st->status, st->more);
}

/* DROP TABLE without TEMPORARY of nothing but temporary tables. */
static bool drops_temporaries(struct sql_session *s, const struct ast_stmt *ast)
{
    if (ast->kind != AST_STMT_DROP_TABLE || s->temporaries.count == 0) {
        return false;
    }
    const struct ast_drop_table *d = (const struct ast_drop_table *)ast;
    const struct catalog_snapshot *snap;
    if (session__snapshot(s, &snap) != ERR_OK) {
        return false;
    }
    bool all = true;
    for (uint32_t i = 0; i < d->names.count && all; i++) {
        const struct ast_name *n = d->names.items[i];
        struct slice schema = n->schema.ptr != NULL ? n->schema : s->schema;
        all = snapshot_temporary(snap, schema, n->name) != NULL;
    }
    catalog_release(snap);
    return all;
}

static bool may_choose_encryption(const struct sql_session *s)
{
    struct sysvar_globals *g = engine__globals(s->engine);
    bool checked = g->values[VAR_table_encryption_privilege_check].i != 0;
    sysvar_globals_unref(g);
    return !checked || priv_has(&s->priv.subject, PRIV_SUPER, DYN_BIT(TABLE_ENCRYPTION_ADMIN));
}

db_err session__ddl(struct statement *st, const struct ast_stmt *ast,
                    const struct ddl_select *select, uint64_t *ret_affected, bool *ret_tells_rows)
{
    struct sql_session *s = st->session;
    struct bind_opts bind;
    const struct catalog_snapshot *snap;
    bool own = ddl_is_temporary(ast);
    bool locked = !own && table_locks__active(s);
    if (locked) {
        TRY(table_locks__check_ddl(s, ast));
    }
    if (own) {
        track_txn__end(s); /* MYSQL: it is told so, though the transaction goes on */
    }
    if (!own) {
        TRY(txn__commit_to_change(s));
        TRY(drops_temporaries(s, ast) ? ERR_OK : global_lock__change_definitions(s));
    } else if (txn__is_read_only(s)) {
        return my_error(&s->diag, ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION);
    }
    TRY(txn__wait_licence(s));
    TRY(session__snapshot(s, &snap));
    query__bind_opts(s, snap, &bind);
    struct ddl_ctx ctx = {
        .catalog = s->engine->catalog,
        .storage = session__storage(s),
        .temporaries = &s->temporaries.ops,
        .arena = &s->stmt_arena,
        .diag = &s->diag,
        .bind = &bind,
        .server_collation = s->vars.collation_server,
        .default_engine = vars__get(s, VAR_default_storage_engine)->s,
        .default_temporary_engine = vars__get(s, VAR_default_tmp_storage_engine)->s,
        .warnings = &s->conditions,
        .foreign_key_checks = s->vars.foreign_key_checks,
        .fk_needs_unique = s->vars.fk_needs_unique,
        .require_primary = vars__get(s, VAR_sql_require_primary_key)->i != 0,
        .generate_primary = vars__get(s, VAR_sql_generate_invisible_primary_key)->i != 0,
        .encrypts_databases = vars__get(s, VAR_default_table_encryption)->i != 0,
        .may_choose_encryption = may_choose_encryption(s),
        .implied_timestamps = !s->vars.explicit_timestamps,
        .mdl = s->engine->mdl,
        .mdl_owner = &s->mdl,
        .coord = s->engine->opts.coord,
        .client = session__parse_charset(s),
        .auto_inc_step = s->vars.auto_increment_increment,
        .auto_inc_offset = s->vars.auto_increment_offset,
        .mem = &s->mem,
        .temp_dir = s->engine->opts.temp_dir,
        .spill_budget = s->vars.spill_budget,
        .locked = locked,
        .outer_lock = s->table_locks.everywhere,
        .select_columns = select == NULL ? NULL : select->bound->result,
        .select_count = select == NULL ? 0 : select->bound->result_count,
        .fill = select == NULL ? NULL : select->fill,
        .fill_arg = select == NULL ? NULL : select->arg,
        .account_user = s->priv.user,
        .account_host = s->priv.host,
        .lock_deadline_ns = clock_mono_ns() + s->vars.ddl_lock_wait_timeout_s * NS_PER_S};
    db_err err = ddl_execute(&ctx, ast);
    if (!own) {
        mdl_release_all(s->engine->mdl, &s->mdl);
    }
    catalog_release(snap);
    temporaries__trim(s);
    if (locked && err == ERR_OK) {
        err = table_locks__after_ddl(s);
    }
    TRY(err);
    if (ctx.schema_dropped) {
        session__leave_schema(s);
    }
    TRY(LIKELY(s->handlers == NULL) ? ERR_OK : handler__after_ddl(s));
    *ret_affected = ctx.affected_rows;
    *ret_tells_rows = ctx.tells_rows;
    return ERR_OK;
}

static db_err run_ddl(struct statement *st, const struct ast_stmt *ast)
{
    if (!ddl_is_temporary(ast)) {
        TRY(guard__write(st->session));
    }
    struct sql_session *s = st->session;
    uint64_t rows;
    bool tells;
    struct slice info = SLICE_EMPTY;
    if (ast->kind == AST_STMT_CREATE_TABLE &&
        ((const struct ast_create_table *)ast)->query != NULL) {
        return session__create_select(st, (const struct ast_create_table *)ast);
    }
    TRY(session__ddl(st, ast, NULL, &rows, &tells));
    if (tells) {
        const char *text =
            arena_printf(&s->stmt_arena, "Records: %llu  Duplicates: 0  Warnings: %u",
                         (unsigned long long)rows, sql_session_warning_count(s));
        info = text == NULL ? SLICE_EMPTY : slice_str(text);
    }
    return session__ok(st, rows, info);
}

static db_err run_txn_end(struct statement *st, const struct ast_txn_end *e, bool commit)
{
    struct sql_session *s = st->session;
    if (commit) {
        TRY(txn__commit(s));
    } else {
        temporaries__warn_rollback(s);
        txn__rollback(s);
    }
    if (e->chain == AST_YES) {
        struct ast_begin again = {.access = AST_ACCESS_UNSET};
        TRY(txn__start(s, &again));
    } else {
        txn__forget_next(s);
    }
    if (e->release == AST_YES) {
        atomic_store(&s->killed, 2);
    }
    return session__ok(st, 0, SLICE_EMPTY);
}

static db_err run_do(struct statement *st, const struct ast_do *d)
{
    for (uint32_t i = 0; i < d->items.count; i++) {
        struct value v;
        TRY(query__eval(st->session, d->items.items[i]->expr, &v));
    }
    return session__ok(st, 0, SLICE_EMPTY);
}

static db_err run_kill(struct statement *st, const struct ast_kill *k)
{
    struct sql_session *s = st->session;
    struct value v;
    TRY(query__eval(s, k->id, &v));
    if (v.is_null || v.phys != PHYS_INT) {
        return my_error(&s->diag, ER_NO_SUCH_THREAD, 0ul);
    }
    struct sql_killer by = {.user = s->user,
                            .any =
                                priv_has(&s->priv.subject, PRIV_SUPER, DYN_BIT(CONNECTION_ADMIN)),
                            .system = s->system_user};
    TRY(sql_engine_kill(s->engine, v.u, !k->query, &by, &s->diag));
    if (v.u == s->connection_id) {
        return ERR_CANCELED;
    }
    return session__ok(st, 0, SLICE_EMPTY);
}

static db_err run_show_like(struct statement *st, const struct ast_stmt *ast)
{
    struct sql_session *s = st->session;
    struct slice sql;
    bool done = false;
    struct slice schema = s->has_schema ? s->schema : SLICE_EMPTY;
    const struct table_def *only;
    const struct catalog_snapshot *snap;
    TRY(session__snapshot(s, &snap));
    db_err err = show_check(&s->stmt_arena, snap, ast, schema, &s->diag, &only);
    if (err == ERR_OK && (only == NULL || !table_is_temporary(only))) {
        err = access__show(s, ast);
    }
    if (err == ERR_OK) {
        err = show_rewrite(&s->stmt_arena, ast, schema, &s->diag, &sql, &done);
    }
    if (err == ERR_OK && done) {
        s->is_only = only != NULL && table_is_temporary(only) ? only : NULL;
        int what = ast->kind == AST_STMT_SHOW ? (int)((const struct ast_show *)ast)->what : -1;
        s->shows_status = what == AST_SHOW_STATUS;
        s->shows_charsets = what == AST_SHOW_CHARACTER_SET || what == AST_SHOW_COLLATION;
        atomic_store_explicit(&s->lists_sessions, what == AST_SHOW_PROCESSLIST,
                              memory_order_relaxed);
        st->shows = true;
        err = query__run_text(st, sql);
        s->shows_status = s->shows_charsets = false;
        atomic_store_explicit(&s->lists_sessions, false, memory_order_relaxed);
        s->is_only = NULL;
    }
    catalog_release(snap);
    TRY(err);
    if (done) {
        return ERR_OK;
    }
    ASSERT(ast->kind == AST_STMT_SHOW); /* DESCRIBE is always a SELECT */
    return show__run(st, (const struct ast_show *)ast);
}

static db_err run_txn_statement(struct statement *st, const struct ast_stmt *ast)
{
    struct sql_session *s = st->session;
    switch ((int)ast->kind) {
    case AST_STMT_BEGIN: TRY(txn__start(s, (const struct ast_begin *)ast)); break;
    case AST_STMT_COMMIT: return run_txn_end(st, (const struct ast_txn_end *)ast, true);
    case AST_STMT_ROLLBACK: return run_txn_end(st, (const struct ast_txn_end *)ast, false);
    case AST_STMT_SAVEPOINT: TRY(txn__savepoint(s, (const struct ast_savepoint *)ast)); break;
    case AST_STMT_ROLLBACK_TO:
        temporaries__warn_rollback(s);
        TRY(txn__rollback_to(s, (const struct ast_savepoint *)ast));
        break;
    default: TRY(txn__release(s, (const struct ast_savepoint *)ast)); break;
    }
    return session__ok(st, 0, SLICE_EMPTY);
}

static const char *feature_name(const struct ast_stmt *ast)
{
    switch ((int)ast->kind) {
    case AST_STMT_UNSUPPORTED: return ((const struct ast_unsupported *)ast)->feature;
    case AST_STMT_CALL: return "CALL";
    case AST_STMT_XA: return "XA";
    case AST_STMT_CREATE_VIEW:
    case AST_STMT_DROP_VIEW: return "views";
    case AST_STMT_HELP: return "HELP";
    case AST_STMT_SHUTDOWN: return "SHUTDOWN";
    case AST_STMT_RESTART: return "RESTART";
    case AST_STMT_SET_RESOURCE_GROUP: return "resource groups";
    default: return "this statement";
    }
}

static db_err run_other(struct statement *st, const struct ast_stmt *ast)
{
    struct sql_session *s = st->session;
    bool handled = false;
    TRY(guard__write(s));
    TRY(account__run(st, ast, &handled));
    if (handled) {
        return ERR_OK;
    }
    return my_error(&s->diag, ER_NOT_SUPPORTED_YET, feature_name(ast));
}

static db_err run_use(struct statement *st, const struct ast_use *u)
{
    struct sql_session *s = st->session;
    TRY(sql_session_use(s, u->schema.name, &s->diag));
    struct sql_state_change *change = ARENA_NEW(&s->stmt_arena, struct sql_state_change);
    if (change == NULL) {
        return ERR_NOMEM;
    }
    s->changed_var_count = 0; /* MYSQL: what follows from the database is not told */
    *change = (struct sql_state_change){.kind = SQL_TRACK_SCHEMA, .value = s->schema};
    st->status.state_changes = change;
    return session__ok(st, 0, SLICE_EMPTY);
}

/* MYSQL: a text of comments is a statement that does nothing, an empty one is an error. */
static bool has_comment(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c != ' ' && c != ';' && (c < '\t' || c > '\r')) {
            return true;
        }
    }
    return false;
}

db_err session__run(struct statement *st, const struct ast_stmt *ast)
{
    TRY(access__check(st, ast));
    if (ast->kind == AST_STMT_TRUNCATE_TABLE) {
        bool done;
        TRY(session__perf_truncate(st, &((const struct ast_truncate_table *)ast)->name, &done));
        if (done) {
            return ERR_OK;
        }
    }
    if (ddl_handles(ast->kind)) {
        return run_ddl(st, ast);
    }
    switch ((int)ast->kind) {
    case AST_STMT_SELECT:
    case AST_STMT_INSERT:
    case AST_STMT_UPDATE:
    case AST_STMT_DELETE: return query__run(st, ast);
    case AST_STMT_HANDLER: return handler__run(st, (const struct ast_handler *)ast);
    case AST_STMT_LOAD_DATA: return load__run(st, (const struct ast_load_data *)ast);
    case AST_STMT_DO: return run_do(st, (const struct ast_do *)ast);
    case AST_STMT_BEGIN:
    case AST_STMT_COMMIT:
    case AST_STMT_ROLLBACK:
    case AST_STMT_SAVEPOINT:
    case AST_STMT_ROLLBACK_TO:
    case AST_STMT_RELEASE_SAVEPOINT: return run_txn_statement(st, ast);
    case AST_STMT_GET_DIAGNOSTICS: return diag__get(st, (const struct ast_get_diagnostics *)ast);
    case AST_STMT_SIGNAL: return diag__signal(st, (const struct ast_signal *)ast);
    case AST_STMT_SET: return set__run(st, (const struct ast_set *)ast);
    case AST_STMT_RESET_PERSIST: return globals__reset(st, (const struct ast_reset_persist *)ast);
    case AST_STMT_SET_TRANSACTION:
        st->session->state_changed =
            ((const struct ast_set_transaction *)ast)->scope == AST_SCOPE_SESSION;
        return set__transaction(st, (const struct ast_set_transaction *)ast);
    case AST_STMT_USE: return run_use(st, (const struct ast_use *)ast);
    case AST_STMT_SHOW:
    case AST_STMT_DESCRIBE: return run_show_like(st, ast);
    case AST_STMT_EXPLAIN: return query__explain(st, (const struct ast_explain *)ast);
    case AST_STMT_KILL: return run_kill(st, (const struct ast_kill *)ast);
    case AST_STMT_PREPARE:
    case AST_STMT_EXECUTE:
    case AST_STMT_DEALLOCATE: return prepared__sql(st, ast);
    case AST_STMT_TABLE_ADMIN: return table_admin__run(st, (const struct ast_table_admin *)ast);
    case AST_STMT_FLUSH: return table_admin__flush(st, (const struct ast_flush *)ast);
    case AST_STMT_LOCK_TABLES:
        return table_locks__lock(st, &((const struct ast_lock_tables *)ast)->items);
    case AST_STMT_UNLOCK_TABLES: return table_locks__unlock(st);
    case AST_STMT_LOCK_INSTANCE: return global_lock__instance(st, true);
    case AST_STMT_UNLOCK_INSTANCE: return global_lock__instance(st, false);
    case AST_STMT_EMPTY:
        return has_comment(st->text) ? session__ok(st, 0, SLICE_EMPTY)
                                     : my_error(&st->session->diag, ER_EMPTY_QUERY);
    default: return run_other(st, ast);
    }
}

/* SHOW WARNINGS and relatives read the conditions of the statement before. */
static bool keeps_conditions(const struct ast_stmt *ast)
{
    if (ast->kind == AST_STMT_GET_DIAGNOSTICS) {
        return true;
    }
    if (ast->kind != AST_STMT_SHOW) {
        return false;
    }
    enum ast_show_kind k = ((const struct ast_show *)ast)->what;
    return k == AST_SHOW_WARNINGS || k == AST_SHOW_ERRORS;
}

void session__forget_kill(struct sql_session *s)
{
    int one = 1;
    atomic_compare_exchange_strong(&s->killed, &one, 0);
    if (fiber_self() != NULL) {
        fiber_clear_cancel();
    }
}

/* From the moment others see the statement a KILL is of this one. */
static void begin_command(struct sql_session *s, struct slice text)
{
    session__forget_kill(s);
    session__set_info(s, "Query", text);
    s->sent_rows = s->examined_rows = 0;
    s->hides_profile = !s->vars.profiling;
    s->secret_text = false;
}

void session__read_vars(struct sql_session *s)
{
    s->env.sql_mode = s->vars.sql_mode;
    s->env.div_precision_increment = s->vars.div_precision_increment;
    s->env.block_encryption_mode = s->vars.block_encryption_mode;
    s->env.locale = s->vars.locale;
    s->env.default_week_format = s->vars.default_week_format;
    s->env.group_concat_max_len = s->vars.group_concat_max_len;
    s->env.max_allowed_packet = s->vars.max_allowed_packet;
    s->env.connection_collation = s->vars.collation_connection;
}

void session__begin_statement(struct sql_session *s)
{
    diag_reset(&s->diag);
    arena_reset(&s->stmt_arena);
    arena_reset(&s->chunk_arena);
    s->changed_var_count = 0;
    s->state_changed = false;
    s->env.now_us = s->vars.timestamp != 0 ? (uint64_t)(s->vars.timestamp * 1e6) : clock_wall_us();
    s->insert_id_given = false;
    s->env.row_count = s->row_count;
    s->env.found_rows = s->found_rows;
    session__read_vars(s);
}

db_err session__finish(struct statement *st, db_err err)
{
    struct sql_session *s = st->session;
    if (err == ERR_OK) {
        return ERR_OK;
    }
    if (err == ERR_CLOSED) {
        txn__end_statement(s, ERR_CANCELED);
        return err; /* the client has gone */
    }
    session__fail(s, err);
    s->row_count = -1;
    diag_area_fail(&s->conditions, &s->diag);
    return st->sink->ops->error(st->sink, &s->diag);
}

struct parse_warnings session__parse_warnings(struct diag_area *area)
{
    return (struct parse_warnings){.area = area,
                                   .charset = charset_warn_deprecated,
                                   .collation = collation_name_warn_deprecated,
                                   .variable = deprecated_var_read};
}

void session__forget_conditions(struct statement *st)
{
    diag_area_forget_since(&st->session->conditions, &st->told);
}

/* SHOW WARNINGS still needs the conditions of the statement before: warnings are kept apart. */
static db_err parse_one(struct sql_session *s, struct slice text, struct diag_area *heard,
                        struct ast_stmt **ret, size_t *ret_consumed)
{
    struct parse_warnings warnings = session__parse_warnings(heard);
    struct parse_options o = {.mode = session__parse_mode(s),
                              .charset = session__parse_charset(s),
                              .flags = s->multi_statements ? PARSE_MULTI : 0,
                              .warnings = &warnings};
    return parser_parse(&s->stmt_arena, text, &o, &s->diag, ret, ret_consumed);
}

uint32_t session__parse_mode(const struct sql_session *s)
{
    uint64_t m = s->vars.sql_mode;
    return ((m & SQL_MODE_ANSI_QUOTES) != 0 ? PARSE_MODE_ANSI_QUOTES : 0u) |
           ((m & SQL_MODE_PIPES_AS_CONCAT) != 0 ? PARSE_MODE_PIPES_AS_CONCAT : 0u) |
           ((m & SQL_MODE_NO_BACKSLASH_ESCAPES) != 0 ? PARSE_MODE_NO_BACKSLASH_ESCAPES : 0u) |
           ((m & SQL_MODE_IGNORE_SPACE) != 0 ? PARSE_MODE_IGNORE_SPACE : 0u) |
           ((m & SQL_MODE_HIGH_NOT_PRECEDENCE) != 0 ? PARSE_MODE_HIGH_NOT_PRECEDENCE : 0u);
}

bool session__has_more(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] > ' ' && text.ptr[i] != ';') {
            return true;
        }
    }
    return false;
}

/* What is not built is refused; its text is shown all the same. */
static bool takes_password(const char *feature)
{
    static const char *const features[] = {"CHANGE REPLICATION SOURCE TO",
                                           "START REPLICA",
                                           "START GROUP_REPLICATION",
                                           "CREATE SERVER",
                                           "ALTER SERVER",
                                           "CLONE"};
    for (size_t i = 0; i < ARRAY_COUNT(features); i++) {
        if (strcmp(features[i], feature) == 0) {
            return true;
        }
    }
    return false;
}

bool session__secret(const struct ast_stmt *ast)
{
    switch ((int)ast->kind) {
    case AST_STMT_CREATE_USER:
    case AST_STMT_ALTER_USER:
    case AST_STMT_SET_PASSWORD:
    case AST_STMT_GRANT:
    case AST_STMT_PREPARE: return true;
    case AST_STMT_UNSUPPORTED:
        return takes_password(((const struct ast_unsupported *)ast)->feature);
    default: return false;
    }
}

/* ---- init_connect ---- */

static db_err ignore_columns(struct sql_sink *sink, const struct sql_column *c, uint32_t count)
{
    (void)sink, (void)c, (void)count;
    return ERR_OK;
}
static db_err ignore_rows(struct sql_sink *sink, const struct sql_rows *rows)
{
    (void)sink, (void)rows;
    return ERR_OK;
}
static db_err ignore_end(struct sql_sink *sink, const struct sql_status *status, bool more)
{
    (void)sink, (void)status, (void)more;
    return ERR_OK;
}
static db_err note_error(struct sql_sink *sink, const struct diag *diag)
{
    (void)sink, (void)diag;
    return ERR_CLOSED; /* sql_session_query's answer says that it failed */
}

/* The statements of init_connect come before the first command of who is no administrator; when one
 * fails, the connection ends. */
db_err session__greet(struct sql_session *s)
{
    static const struct sql_sink_ops quiet = {ignore_columns, ignore_rows, ignore_end,
                                              ignore_end,     note_error,  NULL};
    struct sql_sink nobody = {.ops = &quiet};
    struct slice text = s->globals->values[VAR_init_connect].s;
    s->greeted = true;
    if (text.len == 0 || s->password_expired ||
        priv_has(&s->priv.subject, PRIV_SUPER, DYN_BIT(CONNECTION_ADMIN))) {
        return ERR_OK;
    }
    bool multi = s->multi_statements;
    s->multi_statements = true;
    db_err err = sql_session_query(s, text, &nobody);
    s->multi_statements = multi;
    if (err == ERR_OK) {
        return ERR_OK;
    }
    const char *db = s->has_schema ? arena_strdup(&s->stmt_arena, s->schema) : "unconnected";
    atomic_store(&s->killed, 2);
    diag_reset(&s->diag);
    return my_error(&s->diag, ER_NEW_ABORTING_CONNECTION, (unsigned long)s->connection_id, db,
                    arena_strdup(&s->stmt_arena, s->user), arena_strdup(&s->stmt_arena, s->host),
                    "init_connect command failed");
}

/* MYSQL: semicolons and blanks at the end are no part of the statement, wherever it is shown. */
static struct slice without_end(struct slice sql)
{
    while (sql.len != 0 && memchr("; \t\n\v\f\r", sql.ptr[sql.len - 1], 7) != NULL) {
        sql.len--;
    }
    return sql;
}

/* A statement given as text. */
static db_err run_parsed(struct statement *st, struct ast_stmt *ast)
{
    struct sql_session *s = st->session;
    if (UNLIKELY(ast->hinted != NULL)) {
        TRY(hints__read(s, &s->stmt_arena, ast, true));
        hints__resource_group(s, ast);
        TRY(hints__begin(s, ast));
    }
    st->told = diag_area_mark(&s->conditions);
    return session__run(st, ast);
}

static db_err run_text(struct sql_session *session, struct slice sql, struct sql_sink *sink)
{
    struct slice rest = sql;
    bool first = true;
    uint64_t ended = session->command_start_us;
    for (;;) {
        struct diag_area heard;
        struct statement st = {.session = session, .sink = sink, .text = rest, .later = !first};
        struct ast_stmt *ast = NULL;
        size_t consumed = 0;
        diag_area_init(&heard);
        session__begin_statement(session);
        status__count(session, COUNT_QUESTIONS);
        perf__begin(session, EVENT_SQL_ERROR, 0, rest, ended);
        bool done = false;
        db_err err = session__count(session, false);
        err = err == ERR_OK ? query__run_cached(&st, &done, &consumed) : err;
        if (done) {
            rest = slice_from(rest, consumed);
        } else if (err == ERR_OK) {
            err = parse_one(session, rest, &heard, &ast, &consumed);
        }
        if (!done && (err != ERR_OK || heard.total != 0 || !keeps_conditions(ast))) {
            diag_area_reset(&session->conditions);
            diag_area_append(&session->conditions, &heard);
        }
        if (err == ERR_OK && !done) {
            rest = slice_from(rest, consumed);
            st.more = session__has_more(rest);
            session->secret_text = session->secret_text || session__secret(ast);
            session__show_statement(&st, consumed, session__secret(ast));
            perf__parsed(&st, ast, slice_of(st.text.ptr, consumed));
            if (query_log__general_on(session)) {
                query_log__general(session, "Query", slice_of(st.text.ptr, consumed),
                                   session->secret_text);
            }
            err = run_parsed(&st, ast);
        } else if (done && query_log__general_on(session)) {
            query_log__general(session, "Query", slice_of(st.text.ptr, consumed), false);
        }
        db_err told = session__finish(&st, err);
        ended = perf__end(&st, err);
        hints__end(session);
        diag_area_fini(&heard);
        if (told != ERR_OK || err != ERR_OK || !st.more) {
            /* What has not been parsed may hold a password, too. */
            session->secret_text = session->secret_text || (!done && ast == NULL) || st.more;
            session__end_command(session, sql, ended);
            return told;
        }
        first = false;
    }
}

db_err sql_session_query(struct sql_session *session, struct slice sql, struct sql_sink *sink)
{
    sql = without_end(sql);
    if (UNLIKELY(!session->greeted) && session__greet(session) != ERR_OK) {
        TRY(sink->ops->error(sink, &session->diag));
        return ERR_CLOSED;
    }
    begin_command(session, sql);
    size_t granted = statement_room_take(session, sql);
    db_err err = run_text(session, sql, sink);
    statement_room_give(session, granted);
    return err;
}
