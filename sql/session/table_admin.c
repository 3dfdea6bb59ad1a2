/* ANALYZE, CHECK, OPTIMIZE and REPAIR TABLE, and FLUSH.
 *
 * What goes wrong with one table is a row of the result, and the next table has its turn. The rows
 * are collected first and sent at the end: an error of the statement itself (KILL, no memory) comes
 * instead of them.
 *
 * ANALYZE counts the different values of the indexes (statistics.c) and forgets the row count that
 * the optimiser has kept. CHECK reads the table and its indexes
 * through (sql/ddl/check.c). CHECKSUM is in checksum.c. OPTIMIZE writes the table anew, as ALTER
 * TABLE ... FORCE does, which is what MySQL does for InnoDB; its note says so. */
#include "base/clock.h"
#include "sql/priv/acl.h"
#include "sql/session/checksum.h"
#include "sql/session/histogram.h"
#include "sql/session/limits.h"
#include "sql/session/statistics.h"
#include "sql/session/session_int.h"

enum { ADMIN_COLUMNS = 4 };

struct admin_row {
    struct admin_row *next;
    struct slice cells[ADMIN_COLUMNS];
};

struct admin_run {
    struct statement *st;
    const struct ast_table_admin *ast;
    const char *op;
    struct slice schema, name; /* of the table that it is about */
    const char *full;
    struct admin_row *first, **last;
};

static db_err tell(struct admin_run *r, const char *kind, const char *text)
{
    struct admin_row *row = ARENA_NEW(&r->st->session->stmt_arena, struct admin_row);
    if (row == NULL || text == NULL || r->full == NULL) {
        return ERR_LIMIT;
    }
    *row = (struct admin_row){
        .cells = {slice_str(r->full), slice_str(r->op), slice_str(kind), slice_str(text)}};
    *r->last = row;
    r->last = &row->next;
    return ERR_OK;
}

/* An error that is the table's and not the statement's becomes rows. */
static db_err tell_error(struct admin_run *r, db_err err, bool corrupt)
{
    struct sql_session *s = r->st->session;
    if (err == ERR_CANCELED || err == ERR_CLOSED || err == ERR_NOMEM || err == ERR_LIMIT) {
        return err;
    }
    session__fail(s, err);
    TRY(tell(r, "Error", arena_strdup(&s->stmt_arena, slice_str(s->diag.text))));
    diag_reset(&s->diag);
    if (r->ast->histogram != AST_HISTOGRAM_NONE) {
        return ERR_OK;
    }
    return tell(r, corrupt ? "error" : "status", corrupt ? "Corrupt" : "Operation failed");
}

/* ---- a table ---- */

static db_err check_view(struct admin_run *r, const struct table_def *t)
{
    struct sql_session *s = r->st->session;
    struct parse_options opts = {0};
    struct ast_stmt *ast;
    struct plan *plan;
    size_t consumed;
    db_err err = parser_parse(&s->stmt_arena, t->view_text, &opts, &s->diag, &ast, &consumed);
    if (err == ERR_OK) {
        err = query__plan(s, ast, NULL, false, &plan);
    }
    if (err == ERR_OK) {
        plan_unref(plan);
        return tell(r, "status", "OK");
    }
    if (err == ERR_SQL) {
        diag_reset(&s->diag);
        err = my_error(&s->diag, ER_VIEW_INVALID, arena_strdup(&s->stmt_arena, r->schema),
                       arena_strdup(&s->stmt_arena, r->name));
    }
    return tell_error(r, err, true);
}

static db_err check_rows(struct admin_run *r, const struct table_def *t)
{
    struct sql_session *s = r->st->session;
    const struct catalog_snapshot *snap;
    struct bind_opts bind;
    const char *problem;
    TRY(session__snapshot(s, &snap));
    query__bind_opts(s, snap, &bind);
    struct ddl_ctx ctx = {.storage = session__storage(s),
                          .arena = &s->stmt_arena,
                          .diag = &s->diag,
                          .bind = &bind,
                          .warnings = &s->conditions};
    db_err err = ddl_check_table(&ctx, t, &problem);
    catalog_release(snap);
    if (err != ERR_OK) {
        return tell_error(r, err, false);
    }
    if (problem == NULL) {
        return tell(r, "status", "OK");
    }
    TRY(tell(r, "Error", problem));
    return tell(r, "error", "Corrupt");
}

static db_err optimize_table(struct admin_run *r)
{
    struct ast_alter_action force = {.kind = AST_ALTER_FORCE};
    struct ast_alter_action *actions[] = {&force};
    struct ast_alter_table alter = {.stmt = {.kind = AST_STMT_ALTER_TABLE},
                                    .name = {.schema = r->schema, .name = r->name},
                                    .actions = {.items = actions, .count = 1}};
    uint64_t rows;
    bool tells;
    db_err err = session__ddl(r->st, &alter.stmt, NULL, &rows, &tells);
    if (err != ERR_OK) {
        return tell_error(r, err, false);
    }
    TRY(tell(r, "note", "Table does not support optimize, doing recreate + analyze instead"));
    return tell(r, "status", "OK");
}

static db_err tell_histogram(void *arg, const char *kind, const char *text)
{
    return tell(arg, kind, text);
}

static db_err on_table(struct admin_run *r, const struct table_def *t)
{
    struct sql_session *s = r->st->session;
    enum ast_table_admin_op op = r->ast->op;
    if (r->ast->histogram != AST_HISTOGRAM_NONE) {
        return histogram_run(r->st, t, r->ast, tell_histogram, r);
    }
    if (t->kind != TABLE_BASE && op != AST_ADMIN_CHECK) {
        db_err err = my_error(&s->diag, ER_WRONG_OBJECT, arena_strdup(&s->stmt_arena, r->schema),
                              arena_strdup(&s->stmt_arena, r->name), "BASE TABLE");
        return tell_error(r, err, false);
    }
    switch ((int)op) {
    case AST_ADMIN_ANALYZE: {
        estimate_forget(s->engine, t->id);
        db_err err = table_is_temporary(t) ? ERR_OK : statistics_collect(r->st, t);
        err = err != ERR_OK || table_is_temporary(t) ? err : histogram_renew(r->st, t->id);
        if (err == ERR_SCHEMA_CHANGED) {
            return err; /* look again */
        }
        if (err != ERR_OK) {
            return tell_error(r, err, false);
        }
        break;
    }
    case AST_ADMIN_CHECK:
        if (t->kind == TABLE_VIEW) {
            return check_view(r, t);
        }
        if (t->kind == TABLE_BASE) {
            return check_rows(r, t);
        }
        break;
    default: return tell(r, "note", "The storage engine for the table doesn't support repair");
    }
    return tell(r, "status", "OK");
}

/* The definition is in force as long as the snapshot is looked at under its metadata lock. */
static db_err find_and_run(struct admin_run *r, const struct catalog_snapshot *snap)
{
    struct sql_session *s = r->st->session;
    if (snapshot_schema(snap, r->schema) == NULL) {
        db_err err = my_error(&s->diag, ER_BAD_DB_ERROR, arena_strdup(&s->stmt_arena, r->schema));
        return tell_error(r, err, true);
    }
    const struct table_def *t = snapshot_table(snap, r->schema, r->name);
    if (t == NULL) {
        db_err err = my_error(&s->diag, ER_NO_SUCH_TABLE, arena_strdup(&s->stmt_arena, r->schema),
                              arena_strdup(&s->stmt_arena, r->name));
        return tell_error(r, err, false);
    }
    if (t->kind == TABLE_VIRTUAL) { /* MYSQL: such names are told as they are, not as written */
        r->full = arena_printf(&s->stmt_arena, "%.*s.%.*s", SLICE_FMT(t->schema_name),
                               SLICE_FMT(t->name));
    }
    if (table_locks__active(s) && t->kind == TABLE_BASE) {
        struct ast_name full = {.schema = r->schema, .name = r->name};
        db_err err = table_locks__check_name(s, snap, &full, false);
        return err == ERR_OK ? on_table(r, t) : tell_error(r, err, false);
    }
    uint64_t deadline = clock_mono_ns() + s->vars.ddl_lock_wait_timeout_s * NS_PER_S;
    if (t->kind == TABLE_BASE && !table_is_temporary(t) && !mdl_holds(&s->mdl, t->id, false)) {
        db_err err = mdl_lock_shared(s->engine->mdl, &s->mdl, t->id, deadline, &s->diag);
        if (err != ERR_OK) {
            return tell_error(r, err, false);
        }
        return ERR_SCHEMA_CHANGED; /* look again */
    }
    return on_table(r, t);
}

static db_err run_one(struct admin_run *r, const struct ast_name *name)
{
    enum { TRIES = 10 };
    struct sql_session *s = r->st->session;
    uint32_t mark = mdl_mark(&s->mdl);
    db_err err = ERR_SCHEMA_CHANGED;
    r->schema = name->schema.ptr != NULL ? name->schema : s->schema;
    r->name = name->name;
    if (name->schema.ptr == NULL && !s->has_schema) {
        return my_error(&s->diag, ER_NO_DB_ERROR);
    }
    r->full = arena_printf(&s->stmt_arena, "%.*s.%.*s", SLICE_FMT(r->schema), SLICE_FMT(r->name));
    if (r->full == NULL) {
        return ERR_LIMIT;
    }
    for (int i = 0; i < TRIES && err == ERR_SCHEMA_CHANGED; i++) {
        const struct catalog_snapshot *snap;
        TRY(session__snapshot(s, &snap));
        const struct table_def *t = snapshot_table(snap, r->schema, r->name);
        bool optimize = r->ast->op == AST_ADMIN_OPTIMIZE && t != NULL && t->kind == TABLE_BASE;
        err = optimize ? optimize_table(r) : find_and_run(r, snap);
        catalog_release(snap);
    }
    mdl_release_to(s->engine->mdl, &s->mdl, mark);
    return err;
}

/* ---- CHECKSUM ---- */

/* What is wrong with a table is a condition, and its checksum NULL. */
static db_err checksum_error(struct sql_session *s, db_err err)
{
    if (err == ERR_CANCELED || err == ERR_CLOSED || err == ERR_NOMEM || err == ERR_LIMIT) {
        return err;
    }
    session__fail(s, err);
    diag_area_add(&s->conditions, DIAG_ERROR, &s->diag);
    diag_reset(&s->diag);
    return ERR_OK;
}

static db_err checksum_one(struct statement *st, const struct ast_table_admin *a,
                           const struct ast_name *name, struct slice *ret_cells)
{
    struct sql_session *s = st->session;
    struct slice schema = name->schema.ptr != NULL ? name->schema : s->schema;
    const struct catalog_snapshot *snap;
    uint64_t sum = 0;
    if (name->schema.ptr == NULL && !s->has_schema) {
        return my_error(&s->diag, ER_NO_DB_ERROR);
    }
    TRY(session__snapshot(s, &snap));
    const struct table_def *t = snapshot_table(snap, schema, name->name);
    struct slice shown = t != NULL && t->kind == TABLE_VIRTUAL ? t->name : name->name;
    const char *full =
        arena_printf(&s->stmt_arena, "%.*s.%.*s", SLICE_FMT(schema), SLICE_FMT(shown));
    db_err err = full == NULL ? ERR_LIMIT : ERR_OK;
    bool counts = false;
    if (err == ERR_OK && t == NULL) {
        err = my_error(&s->diag, ER_NO_SUCH_TABLE, arena_strdup(&s->stmt_arena, schema),
                       arena_strdup(&s->stmt_arena, name->name));
    } else if (err == ERR_OK && t->kind != TABLE_BASE) {
        err = my_error(&s->diag, ER_WRONG_OBJECT, arena_strdup(&s->stmt_arena, schema),
                       arena_strdup(&s->stmt_arena, shown), "BASE TABLE");
    } else if (err == ERR_OK && (a->flags & AST_ADMIN_QUICK) == 0) {
        track_txn__use(s, TRACK_READ);
        err = checksum_table(st, t, &sum);
        counts = err == ERR_OK;
    }
    catalog_release(snap);
    TRY(err == ERR_OK ? ERR_OK : checksum_error(s, err));
    const char *text =
        counts ? arena_printf(&s->stmt_arena, "%llu", (unsigned long long)sum) : NULL;
    ret_cells[0] = slice_str(full);
    ret_cells[1] = text == NULL ? SLICE_EMPTY : slice_str(text);
    return ERR_OK;
}

static db_err checksum(struct statement *st, const struct ast_table_admin *a)
{
    static const char *const names[] = {"Table", "Checksum"};
    struct sql_session *s = st->session;
    struct sql_type types[] = {type_char(TYPE_VARCHAR, 128, COLL_UTF8MB3_GENERAL_CI),
                               type_int(TYPE_BIGINT, false)};
    struct slice *cells = ARENA_ARRAY(&s->stmt_arena, struct slice, a->tables.count * 2 + 1);
    struct text_result out;
    if (cells == NULL) {
        return ERR_LIMIT;
    }
    types[1].length = 22;
    for (uint32_t i = 0; i < a->tables.count; i++) {
        TRY(checksum_one(st, a, a->tables.items[i], &cells[i * 2]));
    }
    TRY(text_result_begin_typed(st, &out, names, types, ARRAY_COUNT(names)));
    for (uint32_t i = 0; i < a->tables.count; i++) {
        TRY(text_result_row(&out, &cells[i * 2]));
    }
    return text_result_end(&out);
}

db_err table_admin__run(struct statement *st, const struct ast_table_admin *a)
{
    static const char *const ops[] = {"analyze", "check", "checksum", "optimize", "repair"};
    static const char *const names[] = {"Table", "Op", "Msg_type", "Msg_text"};
    static const uint32_t lengths[] = {128, 10, 10, 393216};
    struct sql_type types[ADMIN_COLUMNS];
    struct sql_session *s = st->session;
    struct admin_run r = {.st = st, .ast = a, .op = ops[a->op]};
    struct text_result out;
    r.last = &r.first;
    r.op = a->histogram != AST_HISTOGRAM_NONE ? "histogram" : r.op;
    if (a->histogram != AST_HISTOGRAM_NONE) {
        TRY(histogram_check(s, a));
    }
    if (a->op == AST_ADMIN_CHECKSUM) {
        return checksum(st, a);
    }
    bool changes = a->op == AST_ADMIN_OPTIMIZE || a->op == AST_ADMIN_REPAIR;
    TRY(changes ? txn__commit_to_change(s) : txn__implicit_commit(s));
    for (uint32_t i = 0; i < a->tables.count; i++) {
        TRY(run_one(&r, a->tables.items[i]));
    }
    for (uint32_t i = 0; i < ADMIN_COLUMNS; i++) {
        types[i] = type_char(TYPE_VARCHAR, lengths[i], COLL_UTF8MB3_GENERAL_CI);
    }
    types[ADMIN_COLUMNS - 1].id = TYPE_MEDIUMTEXT; /* MYSQL: a text of this length */
    TRY(text_result_begin_typed(st, &out, names, types, ADMIN_COLUMNS));
    for (const struct admin_row *row = r.first; row != NULL; row = row->next) {
        TRY(text_result_row(&out, row->cells));
    }
    return text_result_end(&out);
}

/* ---- FLUSH ---- */

static void warn_deprecated(struct sql_session *s, const char *text)
{
    struct diag d;
    diag_reset(&d);
    diag_set_sql(&d, ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT,
                 my_error_sqlstate(ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT), "%s", text);
    diag_area_add(&s->conditions, DIAG_WARNING, &d);
}

/* There are no log files or cost tables here that could be stale, and no table is kept open: for
 * these there is nothing to do. */
db_err table_admin__flush(struct statement *st, const struct ast_flush *f)
{
    struct sql_session *s = st->session;
    if ((f->with_read_lock || f->for_export) && f->tables.count != 0) {
        return table_locks__flush(st, &f->tables);
    }
    if (f->with_read_lock) {
        return global_lock__read(st);
    }
    if ((f->what & AST_FLUSH_TABLES) != 0 && table_locks__active(s)) {
        TRY(table_locks__check_flush(s));
    }
    TRY(txn__implicit_commit(s));
    if ((f->what & AST_FLUSH_USER_RESOURCES) != 0) {
        account_uses_reset(s->engine->uses);
    }
    if ((f->what & AST_FLUSH_PRIVILEGES) != 0) {
        warn_deprecated(s, "'FLUSH PRIVILEGES' is deprecated and will be removed in a future "
                           "release.");
        TRY(accounts_forget_failures(s->engine->accounts, &s->diag));
        TRY(accounts_reload(s->engine->accounts, &s->diag));
        TRY(session__publish_accounts(s));
    }
    if ((f->what & AST_FLUSH_STATUS) != 0) {
        status__flush(s);
    }
    return session__ok(st, 0, SLICE_EMPTY);
}
