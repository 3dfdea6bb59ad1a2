/* CREATE, ALTER and DROP VIEW, and the text of SHOW CREATE VIEW.
 *
 * The binder completes the query's tree (sql/bind/bind_view.c); its text and the names and types of
 * its columns are the descriptor. A view owns no key ranges: making and dropping one is a catalog
 * change and nothing else. */
#include "sql/bind/hints.h"
#include "sql/ddl/ddl_int.h"
#include "sql/parser/parser.h"
#include "sql/types/sql_mode.h"

enum { VIEW_TEXT_MAX = 4 * 1024 * 1024 };

static db_err not_a_view(struct ddl_ctx *ctx, const struct ddl_target *t)
{
    return my_error(ctx->diag, ER_WRONG_OBJECT, ddl__text(ctx, t->schema), ddl__text(ctx, t->name),
                    "VIEW");
}

/* ---- the descriptor ---- */

static const struct column_def *view_column(const struct bound_stmt *st, const struct lcolumn *c)
{
    for (uint32_t i = 0; i < st->view_count; i++) {
        if (slice_eq(st->views[i]->name, c->table) &&
            slice_eq(st->views[i]->schema_name, c->schema)) {
            return table_column(st->views[i], c->org_name);
        }
    }
    return NULL;
}

/* MYSQL: a column that is a table's shows that one's default, another one the zero of its type. */
static void default_of(const struct bound_stmt *st, const struct lcolumn *from,
                       struct column_def *c)
{
    const struct column_def *def = from->def != NULL ? from->def : view_column(st, from);
    if (def != NULL) {
        c->default_kind = def->default_kind;
        c->default_value = def->default_value;
        c->default_expr = def->default_expr;
        c->on_update_now = def->on_update_now;
        return;
    }
    c->default_kind = (c->type.flags & TYPE_F_NOT_NULL) == 0 ? DEFAULT_NULL : DEFAULT_NONE;
    bool plain = type_is_integer(&c->type) || c->type.id == TYPE_VARCHAR || c->type.id == TYPE_CHAR;
    if (c->default_kind == DEFAULT_NONE && plain) {
        value_set_null(&c->default_value, &c->type);
        c->default_value.is_null = false;
        c->default_value.str = SLICE_LIT("");
        if (type_is_integer(&c->type)) {
            c->default_value.i = 0;
        }
        c->default_kind = DEFAULT_CONST;
    }
}

static db_err columns_of(struct ddl_ctx *ctx, const struct ast_create_view *s,
                         const struct bound_stmt *st, struct table_def *def)
{
    uint32_t n = st->result_count;
    if (s->columns.count != 0 && s->columns.count != n) {
        return my_error(ctx->diag, ER_VIEW_WRONG_LIST);
    }
    def->columns = ARENA_ARRAY(ctx->arena, struct column_def, n + 1);
    if (def->columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct column_def *c = &def->columns[i];
        c->id = i + 1;
        c->ordinal = i;
        c->type = st->result[i].type;
        c->name = s->columns.count != 0 ? s->columns.items[i]->name : st->result[i].name;
        default_of(st, &st->result[i], c);
        TRY(s->columns.count != 0 ? ddl__check_column_name(ctx, c->name) : ERR_OK);
        for (uint32_t k = 0; k < i; k++) {
            if (slice_eq_nocase(def->columns[k].name, c->name)) {
                return my_error(ctx->diag, ER_DUP_FIELDNAME, ddl__text(ctx, c->name));
            }
        }
    }
    def->column_count = n;
    def->view.has_column_list = s->columns.count != 0;
    return ERR_OK;
}

/* A block without what makes its rows differ from its tables' rows. */
static bool can_merge(const struct ast_query *q)
{
    if (q->limit != NULL || q->with != NULL) {
        return false;
    }
    if (q->body->kind != AST_BODY_SELECT) {
        return q->body->kind == AST_BODY_TABLE;
    }
    const struct ast_select *s = (const struct ast_select *)q->body;
    if (s->group_by.count != 0 || s->having != NULL || s->from == NULL ||
        (s->options & AST_SELECT_DISTINCT) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < s->items.count; i++) {
        if (s->items.items[i]->expr->kind == AST_EXPR_AGGREGATE) {
            return false;
        }
    }
    return true;
}

static db_err attributes_of(struct ddl_ctx *ctx, const struct ast_create_view *s, bool updatable,
                            struct table_def *def)
{
    struct view_def *v = &def->view;
    bool named = s->definer != NULL && !s->definer->current;
    v->definer_user = named ? s->definer->name : ctx->account_user;
    v->definer_host = !named                         ? ctx->account_host
                      : s->definer->host.ptr != NULL ? s->definer->host
                                                     : SLICE_LIT("%");
    v->updatable = updatable;
    v->invoker = s->security == AST_SECURITY_INVOKER;
    v->check_option = (enum view_check_option)s->check_option;
    v->charset_client = ctx->bind->charset_client;
    v->collation_connection = ctx->bind->connection_collation;
    v->algorithm = s->algorithm == AST_VIEW_MERGE       ? VIEW_MERGE
                   : s->algorithm == AST_VIEW_TEMPTABLE ? VIEW_TEMPTABLE
                                                        : VIEW_UNDEFINED;
    if (v->algorithm == VIEW_MERGE && !can_merge(s->query)) {
        diag_area_warn(ctx->warnings, ER_WARN_VIEW_MERGE);
        v->algorithm = VIEW_UNDEFINED;
    }
    if (v->check_option != VIEW_CHECK_NONE && !updatable) {
        return my_error(ctx->diag, ER_VIEW_NONUPD_CHECK, ddl__text(ctx, def->schema_name),
                        ddl__text(ctx, def->name));
    }
    return ERR_OK;
}

/* The view itself must not be among what its new text reads. */
static db_err check_recursion(struct ddl_ctx *ctx, const struct bound_stmt *st,
                              const struct table_def *def)
{
    for (uint32_t i = 0; i < st->view_count; i++) {
        if (slice_eq(st->views[i]->name, def->name) &&
            slice_eq(st->views[i]->schema_name, def->schema_name)) {
            return my_error(ctx->diag, ER_NO_SUCH_TABLE, ddl__text(ctx, def->schema_name),
                            ddl__text(ctx, def->name));
        }
    }
    return ERR_OK;
}

static db_err define(struct ddl_ctx *ctx, const struct ast_create_view *s,
                     const struct catalog_snapshot *snap, struct table_def *def)
{
    SCOPE_BUF(text, VIEW_TEXT_MAX);
    SCOPE_BUF(hints, VIEW_TEXT_MAX);
    struct bind_opts opts = *ctx->bind;
    struct bound_stmt *st;
    opts.snapshot = snap;
    opts.temporaries = ctx->bind->snapshot;
    opts.names_may_repeat = s->columns.count != 0;
    TRY(bind_view_query(ctx->arena, &opts, s->query, ctx->diag, &st));
    TRY(check_recursion(ctx, st, def));
    TRY(columns_of(ctx, s, st, def));
    TRY(attributes_of(ctx, s, st->updatable && s->algorithm != AST_VIEW_TEMPTABLE, def));
    if (s->stmt.hinted != NULL) {
        const struct hint_env told = {0}; /* the binder has said what there is to say */
        TRY(hints_resolve(ctx->arena, snap, &told, s->stmt.hinted));
        TRY(hints_show(&hints, s->stmt.hinted->set, &(struct ast_name_style){0}, false));
    }
    TRY(ast_print_view(&text, s->query, buf_slice(&hints), ctx->client, ctx->arena));
    def->view.utf8_text = ctx->client != NULL;
    return arena_copy(ctx->arena, buf_slice(&text), &def->view_text);
}

/* ---- CREATE and ALTER ---- */

static db_err write_view(struct ddl_ctx *ctx, struct table_def *def, const struct table_def *old)
{
    struct catalog_change *change;
    TRY(catalog_change_begin(ctx->catalog, ctx->diag, &change));
    db_err err = ERR_OK;
    if (old != NULL) {
        def->id = old->id;
        def->schema_id = old->schema_id;
        def->create_time_us = old->create_time_us;
        err = catalog_replace_table(change, def, ctx->diag);
    } else {
        err = catalog_create_table(change, def, ctx->diag, NULL);
    }
    if (err != ERR_OK) {
        catalog_change_abort(change);
        return err;
    }
    return ddl__commit(ctx, change);
}

static db_err create_locked(struct ddl_ctx *ctx, const struct ast_create_view *s,
                            const struct catalog_snapshot *snap, const struct ddl_target *t)
{
    struct table_def def = {.kind = TABLE_VIEW,
                            .schema_name = t->schema,
                            .name = t->name,
                            .auto_increment = -1,
                            .collation = COLL_UTF8MB4_0900_AI_CI,
                            .next_column_id = 1,
                            .next_index_id = 1};
    if (snapshot_schema(snap, t->schema) == NULL) {
        return my_error(ctx->diag, ER_BAD_DB_ERROR, ddl__text(ctx, t->schema));
    }
    if (t->def != NULL && (s->or_replace || s->alter) && t->def->kind != TABLE_VIEW) {
        return not_a_view(ctx, t);
    }
    if (t->def == NULL && s->alter) {
        return my_error(ctx->diag, ER_NO_SUCH_TABLE, ddl__text(ctx, t->schema),
                        ddl__text(ctx, t->name));
    }
    if (t->def != NULL && s->if_not_exists) {
        diag_area_note(ctx->warnings, ER_TABLE_EXISTS_ERROR, ddl__text(ctx, t->name));
        return ERR_OK;
    }
    if (t->def != NULL && !s->or_replace && !s->alter) {
        return my_error(ctx->diag, ER_TABLE_EXISTS_ERROR, ddl__text(ctx, t->name));
    }
    TRY(define(ctx, s, snap, &def));
    return write_view(ctx, &def, t->def);
}

db_err ddl__create_view(struct ddl_ctx *ctx, const struct ast_create_view *s)
{
    struct ddl_target t = {.name = s->name.name};
    const struct catalog_snapshot *snap;
    if (s->materialized) {
        return ddl__unsupported(ctx, "MATERIALIZED views");
    }
    TRY(ddl__schema_of(ctx, &s->name, &t.schema));
    TRY(ddl__check_table_name(ctx, t.name));
    TRY(ddl__writable_schema(ctx, t.schema));
    TRY(ddl__lock_targets(ctx, &t, 1, &snap));
    db_err err = create_locked(ctx, s, snap, &t);
    catalog_release(snap);
    return err;
}

/* ---- DROP ---- */

/* MYSQL: the first name that is a table's ends the statement (a note with IF EXISTS); names of
 * nothing are gathered. */
static db_err check_drops(struct ddl_ctx *ctx, const struct ddl_target *targets, uint32_t count,
                          bool if_exists)
{
    SCOPE_BUF(names, 64 * 1024);
    for (uint32_t i = 0; i < count; i++) {
        const struct ddl_target *t = &targets[i];
        const char *full = ddl__full_name(ctx, t->schema, t->name);
        if (t->def == NULL && !if_exists) {
            TRY(buf_printf(&names, "%s%s", names.len == 0 ? "" : ",", full));
        } else if (t->def == NULL) {
            diag_area_note(ctx->warnings, ER_BAD_TABLE_ERROR, full);
        } else if (t->def->kind != TABLE_VIEW && if_exists) {
            diag_area_note(ctx->warnings, ER_WRONG_OBJECT, ddl__text(ctx, t->schema),
                           ddl__text(ctx, t->name), "VIEW");
        }
    }
    if (names.len != 0) {
        return my_error(ctx->diag, ER_BAD_TABLE_ERROR, ddl__text(ctx, buf_slice(&names)));
    }
    for (uint32_t i = 0; i < count && !if_exists; i++) {
        if (targets[i].def->kind != TABLE_VIEW) {
            return not_a_view(ctx, &targets[i]);
        }
    }
    return ERR_OK;
}

static db_err drop_locked(struct ddl_ctx *ctx, const struct ddl_target *targets, uint32_t count)
{
    struct catalog_change *change;
    uint32_t dropped = 0;
    db_err err = ERR_OK;
    TRY(catalog_change_begin(ctx->catalog, ctx->diag, &change));
    for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
        if (targets[i].def != NULL && targets[i].def->kind == TABLE_VIEW) {
            err = catalog_drop_table(change, targets[i].def->id, ctx->diag);
            dropped++;
        }
    }
    if (err != ERR_OK || dropped == 0) {
        catalog_change_abort(change);
        return err;
    }
    return ddl__commit(ctx, change);
}

db_err ddl__drop_view(struct ddl_ctx *ctx, const struct ast_drop_table *s)
{
    uint32_t n = s->names.count;
    const struct catalog_snapshot *snap;
    struct ddl_target *targets = ARENA_ARRAY(ctx->arena, struct ddl_target, n + 1);
    if (targets == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(ddl__schema_of(ctx, s->names.items[i], &targets[i].schema));
        TRY(ddl__writable_schema(ctx, targets[i].schema));
        targets[i].name = s->names.items[i]->name;
        for (uint32_t k = 0; k < i; k++) {
            if (slice_eq(targets[k].schema, targets[i].schema) &&
                slice_eq(targets[k].name, targets[i].name)) {
                return my_error(ctx->diag, ER_NONUNIQ_TABLE, ddl__text(ctx, targets[i].name));
            }
        }
    }
    TRY(ddl__lock_targets(ctx, targets, n, &snap));
    db_err err = check_drops(ctx, targets, n, s->if_exists);
    if (err == ERR_OK) {
        err = drop_locked(ctx, targets, n);
    }
    catalog_release(snap);
    return err;
}

/* ---- text ---- */

static db_err put(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

static db_err parse_view(struct arena *arena, const struct table_def *def, struct diag *diag,
                         struct ast_stmt **ret, const struct ast_query **ret_query)
{
    struct parse_options o = {0};
    size_t consumed;
    TRY(parser_parse(arena, def->view_text, &o, diag, ret, &consumed));
    if ((*ret)->kind != AST_STMT_SELECT) {
        return ERR_CORRUPT;
    }
    *ret_query = ((const struct ast_select_stmt *)*ret)->query;
    return ERR_OK;
}

db_err ddl_show_view_query(struct arena *arena, const struct table_def *def, struct diag *diag,
                           struct buf *out)
{
    struct ast_stmt *stmt;
    const struct ast_query *q;
    TRY(parse_view(arena, def, diag, &stmt, &q));
    return ast_print_shown(out, q, ast_hints_in_front(q), SLICE_EMPTY, NULL);
}

/* MYSQL: with the hints whose tables and indexes are there now. */
static db_err show_query(struct arena *arena, const struct catalog_snapshot *snapshot,
                         const struct table_def *def, struct slice hide,
                         const struct ddl_show_opts *opts, struct diag *diag, struct buf *out)
{
    SCOPE_BUF(hints, VIEW_TEXT_MAX);
    const struct ast_name_style style = ddl__name_style(opts);
    const struct hint_env env = {
        .warnings = opts->warnings, .ansi_quotes = style.double_quotes, .of_view = true};
    struct ast_stmt *stmt;
    const struct ast_query *q;
    TRY(parse_view(arena, def, diag, &stmt, &q));
    if (stmt->hinted != NULL) {
        TRY(hints_collect(arena, &env, stmt));
        TRY(hints_resolve(arena, snapshot, &env, stmt->hinted));
        TRY(hints_show(&hints, stmt->hinted->set, &style, false));
    }
    return ast_print_shown(out, q, buf_slice(&hints), hide, &style);
}

db_err ddl_show_create_view(struct arena *arena, const struct catalog_snapshot *snapshot,
                            const struct table_def *def, bool short_names,
                            const struct ddl_show_opts *opts, struct diag *diag, struct buf *out)
{
    static const char *const algorithms[] = {"UNDEFINED", "MERGE", "TEMPTABLE"};
    static const char *const checks[] = {"", " WITH LOCAL CHECK OPTION",
                                         " WITH CASCADED CHECK OPTION"};
    const struct ast_name_style style = ddl__name_style(opts);
    const struct view_def *v = &def->view;
    TRY(put(out, "CREATE "));
    if ((opts->sql_mode & SQL_MODE_ANSI) == 0) { /* MYSQL: what other databases do not know */
        TRY(buf_printf(out, "ALGORITHM=%s DEFINER=", algorithms[v->algorithm]));
        TRY(ast_print_name(out, v->definer_user, &style));
        TRY(put(out, "@"));
        TRY(ast_print_name(out, v->definer_host, &style));
        TRY(buf_printf(out, " SQL SECURITY %s ", v->invoker ? "INVOKER" : "DEFINER"));
    }
    TRY(put(out, "VIEW "));
    if (!short_names) {
        TRY(ast_print_name(out, def->schema_name, &style));
        TRY(put(out, "."));
    }
    TRY(ast_print_name(out, def->name, &style));
    for (uint32_t i = 0; v->has_column_list && i < def->column_count; i++) {
        TRY(put(out, i == 0 ? " (" : ","));
        TRY(ast_print_name(out, def->columns[i].name, &style));
    }
    TRY(put(out, v->has_column_list ? ") AS " : " AS "));
    TRY(show_query(arena, snapshot, def, short_names ? def->schema_name : SLICE_EMPTY, opts, diag,
                   out));
    return put(out, checks[v->check_option]);
}
