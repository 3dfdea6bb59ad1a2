/* A sink that is silent but for its rows. */
#include "sql/session/own_query.h"

db_err own_query__run(struct statement *query, struct slice text)
{
    struct sql_session *s = query->session;
    bool before = s->is_own_query;
    s->is_own_query = true;
    db_err err = query__run_text(query, text);
    s->is_own_query = before;
    return err;
}

db_err own_query__columns(struct sql_sink *sink, const struct sql_column *columns, uint32_t count)
{
    (void)sink, (void)columns, (void)count;
    return ERR_OK;
}

db_err own_query__done(struct sql_sink *sink, const struct sql_status *status, bool more)
{
    (void)sink, (void)status, (void)more;
    return ERR_OK;
}

db_err own_query__failed(struct sql_sink *sink, const struct diag *diag)
{
    (void)sink, (void)diag;
    return ERR_SQL;
}
