/* VIEWS. */
#include "sql/charset/charset.h"
#include "sql/infoschema/fill.h"

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
    const char *definer =
        arena_printf(r->arena, "%.*s@%.*s", SLICE_FMT(v->definer_user), SLICE_FMT(v->definer_host));
    if (definer == NULL) {
        return ERR_NOMEM;
    }
    is__str(r, "def");
    is__text(r, t->schema_name);
    is__text(r, t->name);
    priv_t have = r->env.priv->accounts == NULL
                      ? PRIV_SHOW_VIEW
                      : priv_on_table(&r->env.priv->subject, t->schema_name, t->name, NULL);
    is__text(r, (have & PRIV_SHOW_VIEW) != 0 ? t->view_text : SLICE_LIT(""));
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
