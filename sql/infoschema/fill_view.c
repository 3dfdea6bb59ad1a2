/* VIEWS and VIEW_TABLE_USAGE. */
#include "sql/charset/charset.h"
#include "sql/ddl/ddl.h"
#include "sql/infoschema/fill.h"
#include "sql/parser/ast_tables.h"
#include "sql/parser/parser.h"

/* What the text is warned of was said when the view was made. */
static db_err definition(struct is_rows *r, const struct table_def *t, struct slice *ret)
{
    enum { SHOWN_MAX = 4 << 20 };
    SCOPE_BUF(text, SHOWN_MAX);
    struct diag quiet;
    diag_reset(&quiet);
    db_err err = ddl_show_view_query(r->arena, t, &quiet, &text);
    if (err != ERR_OK) {
        *ret = t->view_text;
        return err == ERR_NOMEM ? err : ERR_OK;
    }
    return arena_copy(r->arena, buf_slice(&text), ret);
}

/* MYSQL: who has made the view sees it all. */
static bool may_know(const struct is_rows *r, const struct table_def *t)
{
    const struct priv_session *p = r->env.priv;
    return p->accounts == NULL ||
           (slice_eq(t->view.definer_user, p->user) &&
            slice_eq_nocase(t->view.definer_host, p->host)) ||
           priv_defines_view(&p->subject, t->schema_name, t->name);
}

static db_err one_view(struct is_rows *r, const struct schema_def *s, const struct table_def *t)
{
    static const char *const checks[] = {"NONE", "LOCAL", "CASCADED"};
    (void)s;
    if (t->kind != TABLE_VIEW) {
        return ERR_OK;
    }
    const struct view_def *v = &t->view;
    const struct collation *client = collation_by_id(v->charset_client);
    const struct collation *connection = collation_by_id(v->collation_connection);
    struct slice query = SLICE_LIT("");
    const char *definer =
        arena_printf(r->arena, "%.*s@%.*s", SLICE_FMT(v->definer_user), SLICE_FMT(v->definer_host));
    if (definer == NULL) {
        return ERR_NOMEM;
    }
    is__str(r, "def");
    is__text(r, t->schema_name);
    is__text(r, t->name);
    TRY(may_know(r, t) ? definition(r, t, &query) : ERR_OK);
    is__text(r, query);
    is__str(r, checks[v->check_option]);
    is__str(r, v->updatable ? "YES" : "NO");
    is__str(r, definer);
    is__str(r, v->invoker ? "INVOKER" : "DEFINER");
    is__str(r, client == NULL ? "" : client->cs->name);
    is__str(r, connection == NULL ? "" : connection->name);
    return is__end(r);
}

db_err is__fill_views(struct is_rows *r)
{
    return is__each_table(r, one_view);
}

/* ---- VIEW_TABLE_USAGE ---- */

struct used {
    struct is_rows *r;
    struct ast_name *names;
    uint32_t count, room;
};

static int by_name(const struct ast_name *a, const struct ast_name *b)
{
    int order = slice_cmp(a->schema, b->schema);
    return order != 0 ? order : slice_cmp(a->name, b->name);
}

/* Kept in the order of their names, each once. In the text that is stored all names of tables have
 * their database; others are common table expressions. */
static db_err use(const struct ast_name *name, void *arg)
{
    struct used *u = arg;
    uint32_t at = 0;
    if (name->schema.ptr == NULL) {
        return ERR_OK;
    }
    const struct table_def *def = snapshot_table(u->r->env.snapshot, name->schema, name->name);
    struct ast_name one = *name;
    if (def != NULL) { /* as it is called, however it was written */
        one.schema = def->schema_name;
        one.name = def->name;
    }
    while (at < u->count && by_name(&u->names[at], &one) < 0) {
        at++;
    }
    if (at < u->count && by_name(&u->names[at], &one) == 0) {
        return ERR_OK;
    }
    if (u->count == u->room) {
        enum { FIRST_ROOM = 8 };
        uint32_t room = u->room == 0 ? FIRST_ROOM : u->room * 2;
        struct ast_name *more = ARENA_ARRAY(u->r->arena, struct ast_name, room);
        if (more == NULL) {
            return ERR_NOMEM;
        }
        if (u->count != 0) {
            memcpy(more, u->names, u->count * sizeof(more[0]));
        }
        u->names = more;
        u->room = room;
    }
    memmove(&u->names[at + 1], &u->names[at], (u->count - at) * sizeof(u->names[0]));
    u->names[at] = one;
    u->count++;
    return ERR_OK;
}

/* MYSQL: what the view was made of, whether it is still there; of views whose text the reader may
 * see. */
static db_err tables_of_view(struct is_rows *r, const struct schema_def *s,
                             const struct table_def *t)
{
    struct parse_options o = {0};
    struct ast_stmt *stmt;
    struct diag quiet;
    struct used used = {.r = r};
    size_t consumed;
    (void)s;
    if (t->kind != TABLE_VIEW || !may_know(r, t)) {
        return ERR_OK;
    }
    diag_reset(&quiet);
    db_err err = parser_parse(r->arena, t->view_text, &o, &quiet, &stmt, &consumed);
    if (err != ERR_OK || stmt->kind != AST_STMT_SELECT) {
        return err == ERR_NOMEM ? err : ERR_OK;
    }
    TRY(ast_each_table_name(((const struct ast_select_stmt *)stmt)->query, use, &used));
    for (uint32_t i = 0; i < used.count; i++) {
        if (!is__sees_name(r, used.names[i].schema, used.names[i].name)) {
            continue;
        }
        is__str(r, "def");
        is__text(r, t->schema_name);
        is__text(r, t->name);
        is__str(r, "def");
        is__text(r, used.names[i].schema);
        is__text(r, used.names[i].name);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_view_tables(struct is_rows *r)
{
    return is__each_table(r, tables_of_view);
}
