/* SHOW statements about the session itself: conditions, and SHOW CREATE. The others are SELECTs
 * over INFORMATION_SCHEMA and performance_schema (sql/infoschema/show.h). */
#include <inttypes.h>

#include "base/clock.h"
#include "sql/bind/bind.h"
#include "sql/charset/charset.h"
#include "sql/infoschema/show.h"
#include "sql/session/query_log.h"
#include "sql/session/session_int.h"

static db_err show_count(struct statement *st, bool errors)
{
    struct sql_session *s = st->session;
    const char *name = errors ? "@@session.error_count" : "@@session.warning_count";
    const char *text = arena_printf(&s->stmt_arena, "%" PRIu64,
                                    errors ? s->conditions.errors : s->conditions.total);
    struct slice cell;
    struct text_result r;
    if (text == NULL) {
        return ERR_NOMEM;
    }
    cell = slice_str(text);
    struct sql_type t = type_int(TYPE_BIGINT, false);
    TRY(text_result_begin_typed(st, &r, &name, &t, 1));
    TRY(text_result_row(&r, &cell));
    r.no_warnings = true;
    return text_result_end(&r);
}

static db_err limit_of(struct sql_session *s, const struct ast_limit *l, uint64_t *ret_skip,
                       uint64_t *ret_count)
{
    struct value v;
    *ret_skip = 0;
    *ret_count = UINT64_MAX;
    if (l == NULL) {
        return ERR_OK;
    }
    TRY(query__eval(s, l->count, &v));
    *ret_count = v.u;
    if (l->offset != NULL) {
        TRY(query__eval(s, l->offset, &v));
        *ret_skip = v.u;
    }
    return ERR_OK;
}

static db_err show_conditions(struct statement *st, const struct ast_show *show, bool errors)
{
    static const char *const names[] = {"Level", "Code", "Message"};
    struct sql_type types[] = {type_char(TYPE_VARCHAR, 7, COLL_UTF8MB3_GENERAL_CI),
                               type_int(TYPE_INT, true),
                               type_char(TYPE_VARCHAR, 512, COLL_UTF8MB3_GENERAL_CI)};
    struct sql_session *s = st->session;
    uint64_t skip;
    uint64_t count;
    struct text_result r;
    if (show->count) {
        return show_count(st, errors);
    }
    TRY(limit_of(s, show->limit, &skip, &count));
    types[1].length = 5;
    for (uint32_t i = 0; i < ARRAY_COUNT(types); i++) {
        types[i].flags |= TYPE_F_NOT_NULL;
    }
    TRY(text_result_begin_typed(st, &r, names, types, ARRAY_COUNT(types)));
    for (uint32_t i = 0; i < s->conditions.count && count != 0; i++) {
        const struct diag_condition *c = &s->conditions.conditions[i];
        if (errors && c->level != DIAG_ERROR) {
            continue;
        }
        if (skip != 0) {
            skip--;
            continue;
        }
        const char *code = arena_printf(&s->stmt_arena, "%u", (unsigned)c->number);
        struct slice cells[3] = {slice_str(diag_level_name(c->level)),
                                 slice_str(code == NULL ? "" : code), c->text};
        TRY(text_result_row(&r, cells));
        count--;
    }
    r.no_warnings = true;
    return text_result_end(&r);
}

/* MYSQL: what a view reads may be gone; its text is shown nevertheless. */
static void tell_invalid(struct sql_session *s, const struct catalog_snapshot *snap,
                         const struct ast_name *view)
{
    struct ast_body_table table = {.body = {.kind = AST_BODY_TABLE}, .name = *view};
    struct ast_query query = {.body = &table.body};
    struct ast_select_stmt select = {.stmt = {.kind = AST_STMT_SELECT}, .query = &query};
    struct bind_opts bind;
    struct bound_stmt *bound;
    struct diag d;
    diag_reset(&d);
    query__bind_opts(s, snap, &bind);
    bind.priv = NULL;
    bind.may_use = NULL;
    bind.warn = NULL;
    if (bind_statement(&s->stmt_arena, &bind, &select.stmt, &d, &bound) == ERR_SQL &&
        d.number == ER_VIEW_INVALID) {
        diag_area_add(&s->conditions, DIAG_WARNING, &d);
    }
}

static db_err show_create(struct statement *st, const struct ast_show *show)
{
    struct sql_session *s = st->session;
    struct show_row row;
    const struct catalog_snapshot *snap;
    TRY(session__snapshot(s, &snap));
    if (table_locks__active(s) && show->what == AST_SHOW_CREATE_TABLE) {
        db_err allowed = table_locks__check_name(s, snap, &show->name, false);
        if (allowed != ERR_OK) {
            catalog_release(snap);
            return allowed;
        }
    }
    const struct ddl_show_opts form = {
        .sql_mode = s->vars.sql_mode,
        .tz = s->vars.tz,
        .hides_generated_primary =
            vars__get(s, VAR_show_gipk_in_create_table_and_information_schema)->i == 0,
        .bare = vars__get(s, VAR_sql_quote_show_create)->i == 0,
        .verbose = vars__get(s, VAR_show_create_table_verbosity)->i != 0,
        .warnings = &s->conditions};
    db_err err = show_create_row(&s->stmt_arena, snap, session__storage(s), show,
                                 s->has_schema ? s->schema : SLICE_EMPTY, &form, &s->diag, &row);
    if (err == ERR_OK && row.of_view) {
        tell_invalid(s, snap, &show->name);
    }
    catalog_release(snap);
    TRY(err);
    struct text_result r;
    TRY(text_result_begin(st, &r, row.names, row.lengths, row.count));
    TRY(text_result_row(&r, row.cells));
    return text_result_end(&r);
}

db_err show__run(struct statement *st, const struct ast_show *show)
{
    switch ((int)show->what) {
    case AST_SHOW_WARNINGS: return show_conditions(st, show, false);
    case AST_SHOW_ERRORS: return show_conditions(st, show, true);
    case AST_SHOW_CREATE_DATABASE:
    case AST_SHOW_CREATE_VIEW:
    case AST_SHOW_CREATE_TABLE: return show_create(st, show);
    case AST_SHOW_GRANTS: return account__show_grants(st, show);
    case AST_SHOW_CREATE_USER: return account__show_create(st, show);
    case AST_SHOW_PROFILES:
    case AST_SHOW_PROFILE: return profile__show(st, show);
    default: break;
    }
    return show_none__run(st, show);
}
