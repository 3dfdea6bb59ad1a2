/* COM_FIELD_LIST: a table's columns with their defaults, no rows. */
#include "sql/charset/charset.h"
#include "sql/session/session_int.h"

static db_err default_text(struct sql_session *s, const struct column_def *c, struct slice *ret)
{
    struct cast_ctx cast;
    if (c->default_kind != DEFAULT_CONST) {
        return ERR_OK;
    }
    query__cast_ctx(s, &cast, false);
    return value_to_text(&cast, &c->type, &c->default_value, ret);
}

static db_err send_fields(struct statement *st, const struct table_def *t, struct slice wild)
{
    struct sql_session *s = st->session;
    const struct collation *ci = collation_by_id(COLL_UTF8MB4_GENERAL_CI);
    struct lcolumn *cols = ARENA_ARRAY(&s->stmt_arena, struct lcolumn, t->column_count + 1);
    struct sql_column *out;
    uint32_t n = 0;
    if (cols == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct column_def *c = &t->columns[i];
        bool asked = true;
        if (wild.len != 0) {
            TRY(collation_like(ci, c->name, wild, '\\', &asked));
        }
        if (c->hidden || !asked) {
            continue;
        }
        cols[n++] = (struct lcolumn){.id = i + 1,
                                     .type = c->type,
                                     .name = c->name,
                                     .org_name = c->name,
                                     .table = t->name,
                                     .org_table = t->name,
                                     .schema = t->schema_name,
                                     .def = c};
    }
    TRY(result__columns(s, NULL, cols, n, &s->stmt_arena, &out));
    for (uint32_t i = 0; i < n; i++) {
        TRY(default_text(s, cols[i].def, &out[i].default_value));
    }
    TRY(st->sink->ops->columns(st->sink, out, n));
    st->status.server_status = session__status(s);
    return st->sink->ops->end(st->sink, &st->status, false);
}

static db_err may_list(struct sql_session *s, const struct table_def *t)
{
    TRY(priv_refresh(&s->priv));
    if (s->password_expired) {
        return my_error(&s->diag, ER_MUST_CHANGE_PASSWORD);
    }
    return t->kind == TABLE_VIRTUAL || table_is_temporary(t) ||
                   priv_shows_table(&s->priv.subject, t->schema_name, t->name)
               ? ERR_OK
               : priv_deny_table(&s->priv, PRIV_SELECT, t->name, &s->diag);
}

db_err sql_session_field_list(struct sql_session *session, struct slice table, struct slice wild,
                              struct sql_sink *sink)
{
    struct statement st = {.session = session, .sink = sink, .text = table};
    session__begin_statement(session);
    status__count(session, COUNT_QUESTIONS);
    status__count_class(session, EVENT_SQL_SHOW_FIELDS);
    diag_area_reset(&session->conditions);
    const struct catalog_snapshot *snap;
    db_err made = session__snapshot(session, &snap);
    if (made != ERR_OK) {
        return session__finish(&st, made);
    }
    const struct table_def *t =
        session->has_schema ? snapshot_table(snap, session->schema, table) : NULL;
    db_err err;
    if (!session->has_schema) {
        err = my_error(&session->diag, ER_NO_DB_ERROR);
    } else if (t == NULL) {
        err = my_error(&session->diag, ER_NO_SUCH_TABLE,
                       arena_strdup(&session->stmt_arena, session->schema),
                       arena_strdup(&session->stmt_arena, table));
    } else {
        err = may_list(session, t);
        err = err == ERR_OK ? send_fields(&st, t, wild) : err;
    }
    err = session__finish(&st, err);
    catalog_release(snap);
    return err;
}
