/* SHOW statements about the session itself: variables, status, conditions, grants. The others are
 * SELECTs over INFORMATION_SCHEMA (sql/infoschema/show.h). */
#include <inttypes.h>

#include "base/clock.h"
#include "sql/charset/charset.h"
#include "sql/infoschema/show.h"
#include "sql/session/session_int.h"

static bool like(struct slice name, const struct ast_text *pattern)
{
    const struct collation *c = collation_by_id(COLL_UTF8MB4_GENERAL_CI);
    return pattern == NULL || collation_like(c, name, pattern->text, '\\');
}

static db_err refuse_where(struct sql_session *s, const struct ast_show *show)
{
    return show->where == NULL ? ERR_OK
                               : my_error(&s->diag, ER_NOT_SUPPORTED_YET, "WHERE in this SHOW");
}

/* SHOW VARIABLES WHERE Variable_name = 'x' [OR ...], IN (...): what drivers send. Anything else is
 * evaluated nowhere: 1235. */
static bool names_in(const struct ast_expr *e, struct slice *names, uint32_t max,
                     uint32_t *io_count)
{
    if (e->kind == AST_EXPR_BINARY) {
        const struct ast_binary *b = (const struct ast_binary *)e;
        if (b->op == AST_OP_OR) {
            return names_in(b->left, names, max, io_count) &&
                   names_in(b->right, names, max, io_count);
        }
        if (b->op != AST_OP_EQ || b->left->kind != AST_EXPR_COLUMN ||
            b->right->kind != AST_EXPR_LITERAL ||
            !slice_eq_nocase(((const struct ast_column *)b->left)->name,
                             SLICE_LIT("variable_name")) ||
            *io_count == max) {
            return false;
        }
        names[(*io_count)++] = ((const struct ast_literal *)b->right)->text;
        return true;
    }
    if (e->kind != AST_EXPR_IN) {
        return false;
    }
    const struct ast_in *in = (const struct ast_in *)e;
    if (in->negated || in->query != NULL || in->arg->kind != AST_EXPR_COLUMN ||
        !slice_eq_nocase(((const struct ast_column *)in->arg)->name, SLICE_LIT("variable_name"))) {
        return false;
    }
    for (uint32_t i = 0; i < in->list.count; i++) {
        if (in->list.items[i]->kind != AST_EXPR_LITERAL || *io_count == max) {
            return false;
        }
        names[(*io_count)++] = ((const struct ast_literal *)in->list.items[i])->text;
    }
    return true;
}

enum { WHERE_NAMES_MAX = 64 };
struct name_filter {
    const struct ast_text *pattern;
    struct slice names[WHERE_NAMES_MAX];
    uint32_t count;
    bool by_name;
};

static db_err make_filter(struct sql_session *s, const struct ast_show *show, struct name_filter *f)
{
    *f = (struct name_filter){.pattern = show->like};
    if (show->where != NULL) {
        f->by_name = true;
        if (!names_in(show->where, f->names, WHERE_NAMES_MAX, &f->count)) {
            return refuse_where(s, show);
        }
    }
    return ERR_OK;
}

static bool wanted(const struct name_filter *f, struct slice name)
{
    if (!f->by_name) {
        return like(name, f->pattern);
    }
    for (uint32_t i = 0; i < f->count; i++) {
        if (slice_eq_nocase(f->names[i], name)) {
            return true;
        }
    }
    return false;
}

static db_err show_variables(struct statement *st, const struct ast_show *show)
{
    static const char *const names[] = {"Variable_name", "Value"};
    static const uint32_t lengths[] = {64, 1024};
    struct sql_session *s = st->session;
    bool global = show->scope == AST_SCOPE_GLOBAL;
    struct name_filter f;
    struct text_result r;
    TRY(make_filter(s, show, &f));
    TRY(text_result_begin(st, &r, names, lengths, 2));
    for (int i = 0; i < VAR__COUNT; i++) {
        const struct sysvar_def *d = &sysvar_defs[i];
        struct slice cells[2] = {slice_str(d->name), SLICE_LIT("")};
        struct value v;
        if ((d->flags & SYSVAR_HIDDEN) != 0 || (global && d->scope == SYSVAR_SESSION) ||
            !wanted(&f, cells[0])) {
            continue;
        }
        TRY(vars__read(s, (enum sysvar_id)i, global, &s->stmt_arena, &v));
        if (!v.is_null) {
            struct sysvar_value x = {.i = v.i};
            if (d->type == SYSVAR_T_BOOL || d->type == SYSVAR_T_INT || d->type == SYSVAR_T_DOUBLE) {
                TRY(sysvar_to_text((enum sysvar_id)i, &x, &s->stmt_arena, &cells[1]));
            } else {
                cells[1] = v.str.ptr == NULL ? SLICE_LIT("") : v.str;
            }
        }
        TRY(text_result_row(&r, cells));
    }
    return text_result_end(&r);
}

static db_err show_status(struct statement *st, const struct ast_show *show)
{
    static const char *const names[] = {"Variable_name", "Value"};
    static const uint32_t lengths[] = {64, 1024};
    struct sql_session *s = st->session;
    struct sql_engine *e = s->engine;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"Com_commit", atomic_load(&e->com_commit)},
        {"Com_delete", atomic_load(&e->com_delete)},
        {"Com_insert", atomic_load(&e->com_insert)},
        {"Com_rollback", atomic_load(&e->com_rollback)},
        {"Com_select", atomic_load(&e->com_select)},
        {"Com_update", atomic_load(&e->com_update)},
        {"Connections", atomic_load(&e->connections)},
        {"Queries", atomic_load(&e->questions)},
        {"Questions", atomic_load(&e->questions)},
        {"Slow_queries", atomic_load(&e->slow_queries)},
        {"Threads_connected", atomic_load(&e->session_count)},
        {"Uptime", (clock_wall_us() - e->start_us) / 1000000u},
    };
    struct name_filter f;
    struct text_result r;
    TRY(make_filter(s, show, &f));
    TRY(text_result_begin(st, &r, names, lengths, 2));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *text = arena_printf(&s->stmt_arena, "%" PRIu64, rows[i].value);
        if (text == NULL) {
            return ERR_NOMEM;
        }
        struct slice cells[2] = {slice_str(rows[i].name), slice_str(text)};
        if (wanted(&f, cells[0])) {
            TRY(text_result_row(&r, cells));
        }
    }
    return text_result_end(&r);
}

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
    TRY(text_result_begin(st, &r, &name, NULL, 1));
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
    static const uint32_t lengths[] = {7, 4, 512};
    struct sql_session *s = st->session;
    uint64_t skip;
    uint64_t count;
    struct text_result r;
    if (show->count) {
        return show_count(st, errors);
    }
    TRY(limit_of(s, show->limit, &skip, &count));
    TRY(text_result_begin(st, &r, names, lengths, 3));
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

static db_err show_create(struct statement *st, const struct ast_show *show)
{
    struct sql_session *s = st->session;
    struct show_row row;
    const struct catalog_snapshot *snap = catalog_acquire(s->engine->catalog);
    db_err err = show_create_row(&s->stmt_arena, snap, s->engine->opts.storage, show,
                                 s->has_schema ? s->schema : SLICE_EMPTY, &s->diag, &row);
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
    case AST_SHOW_VARIABLES: return show_variables(st, show);
    case AST_SHOW_STATUS: return show_status(st, show);
    case AST_SHOW_WARNINGS: return show_conditions(st, show, false);
    case AST_SHOW_ERRORS: return show_conditions(st, show, true);
    case AST_SHOW_CREATE_DATABASE:
    case AST_SHOW_CREATE_VIEW:
    case AST_SHOW_CREATE_TABLE: return show_create(st, show);
    default: break;
    }
    return my_error(&st->session->diag, ER_NOT_SUPPORTED_YET, "this SHOW statement");
}
