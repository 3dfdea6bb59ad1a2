/* EXPLAIN in all formats, of a statement or of what another connection runs.
 *
 * The plan is made as for running it. EXPLAIN ANALYZE runs a SELECT, with counters, and throws its
 * rows away; a change is shown and, as in MySQL, not made. The note 1003 is the statement as its
 * names were resolved, before the optimiser's rules. */
#include "sql/opt/explain.h"

#include "base/scope.h"
#include "sql/parser/ast_print.h"
#include "sql/priv/acl.h"
#include "sql/session/session_int.h"

enum format { FORMAT_TRADITIONAL, FORMAT_TRADITIONAL_STRICT, FORMAT_TREE, FORMAT_JSON };

static const char *const g_formats[] = {"TRADITIONAL", "TRADITIONAL", "TREE", "JSON"};

struct explain {
    struct statement *st;
    const struct ast_explain *ast;
    struct plan *plan;
    enum format format;
    unsigned json_version;
    struct explain_opts opts;
    struct slice query; /* the resolved text; ptr NULL: it could not be made */
};

static db_err choose_format(struct explain *x)
{
    struct sql_session *s = x->st->session;
    struct slice name = x->ast->format;
    x->json_version = (unsigned)vars__get(s, VAR_explain_json_format_version)->i;
    if (name.ptr == NULL) {
        x->format = (enum format)vars__get(s, VAR_explain_format)->i;
        /* MYSQL: without a format ANALYZE has TREE where TRADITIONAL is the default. */
        if (x->ast->analyze && x->format == FORMAT_TRADITIONAL) {
            x->format = FORMAT_TREE;
        }
    } else if (slice_eq_nocase(name, SLICE_LIT("tree"))) {
        x->format = FORMAT_TREE;
    } else if (slice_eq_nocase(name, SLICE_LIT("json"))) {
        x->format = FORMAT_JSON;
    } else if (slice_eq_nocase(name, SLICE_LIT("traditional"))) {
        x->format = FORMAT_TRADITIONAL;
    } else {
        return my_error(&s->diag, ER_UNKNOWN_EXPLAIN_FORMAT, arena_strdup(&s->stmt_arena, name));
    }
    return ERR_OK;
}

static db_err check_form(const struct explain *x)
{
    struct diag *d = &x->st->session->diag;
    const struct ast_explain *e = x->ast;
    if (e->into_var.ptr != NULL) {
        if (e->for_connection) {
            return my_error(d, ER_EXPLAIN_INTO_FOR_CONNECTION_NOT_SUPPORTED);
        }
        if (e->format.ptr == NULL) {
            return my_error(d, ER_EXPLAIN_INTO_IMPLICIT_FORMAT_NOT_SUPPORTED);
        }
        if (x->format != FORMAT_JSON) {
            return my_error(d, ER_EXPLAIN_INTO_FORMAT_NOT_SUPPORTED, g_formats[x->format]);
        }
    }
    if (!e->analyze) {
        return ERR_OK;
    }
    if (e->for_connection) {
        return my_error(d, ER_NOT_SUPPORTED_YET, "EXPLAIN ANALYZE FOR CONNECTION");
    }
    if (x->format <= FORMAT_TRADITIONAL_STRICT) {
        return my_error(d, ER_NOT_SUPPORTED_YET, "EXPLAIN ANALYZE with TRADITIONAL format");
    }
    if (x->format == FORMAT_JSON && x->json_version == 1) {
        return my_error(d, ER_EXPLAIN_ANALYZE_JSON_FORMAT_VERSION_NOT_SUPPORTED);
    }
    return ERR_OK;
}

/* ---- the query's text ---- */

static bool has_note(const struct ast_stmt *stmt)
{
    return stmt != NULL && (stmt->kind == AST_STMT_SELECT || stmt->kind == AST_STMT_INSERT ||
                            stmt->kind == AST_STMT_UPDATE || stmt->kind == AST_STMT_DELETE);
}

/* Completes the tree that was planned. */
static void resolve_text(struct explain *x)
{
    struct sql_session *s = x->st->session;
    const struct ast_stmt *target = x->ast->target;
    const struct catalog_snapshot *snap;
    struct bind_opts bind;
    if (!has_note(target) || session__snapshot(s, &snap) != ERR_OK) {
        return;
    }
    SCOPE_BUF(text, EXPLAIN_TEXT_MAX);
    SCOPE_BUF(hints, EXPLAIN_TEXT_MAX);
    const struct ast_hinted *hinted = x->ast->stmt.hinted;
    const struct ast_name_style style = {.double_quotes =
                                             (s->vars.sql_mode & SQL_MODE_ANSI_QUOTES) != 0};
    struct diag ignored;
    diag_reset(&ignored);
    query__bind_opts(s, snap, &bind);
    if (bind_explained(&s->stmt_arena, &bind, target, &ignored) == ERR_OK &&
        (hinted == NULL || hinted->set == NULL ||
         hints_show(&hints, hinted->set, &style, target->kind != AST_STMT_INSERT) == ERR_OK) &&
        ast_print_explained(&text, target, buf_slice(&hints), &style) == ERR_OK &&
        arena_copy(&s->stmt_arena, buf_slice(&text), &x->query) != ERR_OK) {
        x->query = SLICE_EMPTY;
    }
    catalog_release(snap);
}

static void note_query(const struct explain *x)
{
    struct sql_session *s = x->st->session;
    if (x->query.len != 0) {
        struct diag d;
        diag_reset(&d);
        diag_set_sql(&d, ER_YES, my_error_sqlstate(ER_YES), "%.*s", SLICE_FMT(x->query));
        diag_area_add(&s->conditions, DIAG_NOTE, &d);
    }
}

/* ---- the answer ---- */

enum { ROW_COLUMNS = 12 };

static struct slice optional(const char *text)
{
    return text == NULL ? SLICE_EMPTY : slice_str(text);
}

static db_err send_row(struct explain *x, struct text_result *r, const struct explain_row *row)
{
    struct arena *a = &x->st->session->stmt_arena;
    const char *id = arena_printf(a, "%u", (unsigned)row->id);
    const char *rows = row->has_rows ? arena_printf(a, "%.0f", row->rows) : NULL;
    const char *filtered = row->has_rows ? arena_printf(a, "%.2f", row->filtered) : NULL;
    const char *extra = *row->extra == '\0' ? NULL : row->extra;
    const struct slice cells[ROW_COLUMNS] = {
        optional(id),       slice_str(row->select_type), row->table,
        SLICE_EMPTY,        optional(row->type),         optional(row->possible_keys),
        optional(row->key), optional(row->key_len),      optional(row->ref),
        optional(rows),     optional(filtered),          optional(extra)};
    return text_result_row(r, cells);
}

static db_err send_rows(struct explain *x)
{
    static const char *const names[ROW_COLUMNS] = {
        "id",  "select_type", "table", "partitions", "type",     "possible_keys",
        "key", "key_len",     "ref",   "rows",       "filtered", "Extra"};
    static const uint32_t lengths[ROW_COLUMNS] = {0,  19,   64,   16382, 10, 4096,
                                                  64, 4096, 1024, 0,     0,  255};
    struct sql_type types[ROW_COLUMNS];
    struct explain_block *first;
    struct text_result r;
    for (uint32_t i = 0; i < ROW_COLUMNS; i++) {
        types[i] =
            type_char(TYPE_VARCHAR, lengths[i] == 0 ? 1 : lengths[i], COLL_UTF8MB4_0900_AI_CI);
    }
    types[0] = type_int(TYPE_BIGINT, true);
    types[0].length = 4;
    types[0].flags |= TYPE_F_NOT_NULL;
    types[1].flags |= TYPE_F_NOT_NULL;
    types[9] = type_int(TYPE_BIGINT, true);
    types[9].length = 11;
    types[10] =
        (struct sql_type){.id = TYPE_DOUBLE, .decimals = 2, .length = 4, .collation = COLL_BINARY};
    TRY(plan_explain_rows(x->plan, &x->st->session->stmt_arena, &first));
    note_query(x);
    TRY(text_result_begin_typed(x->st, &r, names, types, ROW_COLUMNS));
    for (const struct explain_block *b = first; b != NULL; b = b->next) {
        for (const struct explain_row *row = b->first; row != NULL; row = row->next) {
            TRY(send_row(x, &r, row));
        }
    }
    return text_result_end(&r);
}

static db_err send_text(struct explain *x, struct slice text)
{
    static const char *const name = "EXPLAIN";
    static const uint32_t length = 65535;
    struct text_result r;
    TRY(text_result_begin(x->st, &r, &name, &length, 1));
    TRY(text_result_row(&r, &text));
    return text_result_end(&r);
}

static db_err keep_text(struct explain *x, struct slice text)
{
    struct value v;
    struct sql_type type = type_char(TYPE_LONGTEXT, UINT32_MAX, COLL_UTF8MB4_0900_AI_CI);
    value_tag(&v, &type);
    v.str = text;
    TRY(vars__user_set(x->st->session, x->ast->into_var, &v));
    return session__ok(x->st, 0, SLICE_EMPTY);
}

static db_err answer(struct explain *x)
{
    struct sql_session *s = x->st->session;
    SCOPE_BUF(text, EXPLAIN_TEXT_MAX);
    if (x->format <= FORMAT_TRADITIONAL_STRICT) {
        return send_rows(x);
    }
    if (x->format == FORMAT_TREE) {
        TRY(plan_explain_tree(x->plan, &x->opts, &s->stmt_arena, &text));
        return send_text(x, buf_slice(&text));
    }
    x->opts.query = x->query;
    x->opts.end_markers = vars__get(s, VAR_end_markers_in_json)->i != 0;
    TRY(plan_explain_json(x->plan, &x->opts, x->json_version, &s->stmt_arena, &text));
    if (x->json_version == 1 && x->ast->into_var.ptr == NULL) {
        note_query(x);
    }
    return x->ast->into_var.ptr != NULL ? keep_text(x, buf_slice(&text))
                                        : send_text(x, buf_slice(&text));
}

/* ---- whose plan ---- */

static db_err running_plan(struct explain *x)
{
    struct sql_session *s = x->st->session;
    struct sql_engine *e = s->engine;
    bool found = false;
    bool may = false;
    bool idle = false;
    fiber_mutex_lock(&e->sessions_mutex);
    LIST_FOREACH (node, &e->sessions) {
        struct sql_session *of = CONTAINER_OF(node, struct sql_session, node);
        if (of->connection_id != x->ast->connection_id) {
            continue;
        }
        found = true;
        spin_lock(&of->info_lock);
        may = slice_eq(of->user, s->user) || priv_has(&s->priv.subject, PRIV_PROCESS, 0);
        idle = of->info[0] == '\0';
        if (may && of->running != NULL) {
            x->plan = of->running;
            plan_ref(x->plan);
        }
        spin_unlock(&of->info_lock);
        break;
    }
    fiber_mutex_unlock(&e->sessions_mutex);
    if (!found) {
        return my_error(&s->diag, ER_NO_SUCH_THREAD, (unsigned long)x->ast->connection_id);
    }
    if (idle) {
        return ERR_OK;
    }
    if (!may) {
        return priv_deny_account(&s->priv, &s->diag);
    }
    return x->plan == NULL ? my_error(&s->diag, ER_EXPLAIN_NOT_SUPPORTED) : ERR_OK;
}

/* Runs a SELECT with counters. */
static db_err analyze(struct explain *x)
{
    struct sql_session *s = x->st->session;
    if (x->plan->kind != BOUND_SELECT || x->plan->into_var_count != 0 ||
        x->plan->into_file != NULL) {
        return ERR_OK;
    }
    struct node_counters *counters =
        ARENA_ARRAY(&s->stmt_arena, struct node_counters, x->plan->node_count + 1);
    if (counters == NULL) {
        return ERR_LIMIT;
    }
    x->st->counters = counters;
    db_err err = query__execute(x->st, x->plan);
    x->st->counters = NULL;
    x->opts.counters = counters;
    return err;
}

static db_err own_plan(struct explain *x)
{
    enum { PLAN_TRIES = 10 };
    struct sql_session *s = x->st->session;
    db_err err = ERR_SCHEMA_CHANGED;
    for (int i = 0; i < PLAN_TRIES && err == ERR_SCHEMA_CHANGED; i++) {
        plan_unref(x->plan);
        x->plan = NULL;
        TRY(query__plan_explained(s, x->st, x->ast->target, &x->plan));
        err = x->ast->analyze ? analyze(x) : ERR_OK;
    }
    if (err == ERR_OK) {
        resolve_text(x);
    }
    return err;
}

/* EXPLAIN ... FOR SCHEMA s: names without a schema are of s. */
static db_err plan_in_schema(struct explain *x)
{
    struct sql_session *s = x->st->session;
    const struct catalog_snapshot *snap;
    struct slice schema = s->schema;
    bool had = s->has_schema;
    if (x->ast->for_schema.ptr == NULL) {
        return own_plan(x);
    }
    TRY(session__snapshot(s, &snap));
    bool exists = snapshot_schema(snap, x->ast->for_schema) != NULL;
    catalog_release(snap);
    if (!exists) {
        return my_error(&s->diag, ER_BAD_DB_ERROR,
                        arena_strdup(&s->stmt_arena, x->ast->for_schema));
    }
    s->schema = x->ast->for_schema;
    s->has_schema = true;
    db_err err = own_plan(x);
    s->schema = schema;
    s->has_schema = had;
    return err;
}

db_err query__explain(struct statement *st, const struct ast_explain *e)
{
    struct sql_session *s = st->session;
    struct explain x = {.st = st, .ast = e};
    x.opts.fragments =
        s->vars.pushdown != EXEC_PUSHDOWN_OFF && storage_caps(s->engine->opts.storage).pushdown;
    TRY(choose_format(&x));
    TRY(check_form(&x));
    db_err err = e->for_connection ? running_plan(&x) : plan_in_schema(&x);
    if (err == ERR_OK && !e->for_connection && s->txn_track.on) {
        track_txn__use_plan(s, x.plan, false);
    }
    if (err == ERR_OK) {
        err = x.plan == NULL ? session__ok(st, 0, SLICE_EMPTY) : answer(&x); /* NULL: it is idle */
    }
    plan_unref(x.plan);
    return err;
}
