/* VIEWS. */
#include "sql/charset/charset.h"
#include "sql/ddl/ddl.h"
#include "sql/infoschema/fill.h"

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
