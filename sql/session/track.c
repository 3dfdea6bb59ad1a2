/* Session tracking: what an OK packet tells of variables and the database that the statement has
 * changed, for clients with CLIENT_SESSION_TRACK. */
#include "sql/charset/charset.h"
#include "sql/session/session_int.h"

void track__variable(struct sql_session *s, enum sysvar_id id)
{
    for (uint32_t i = 0; i < s->changed_var_count; i++) {
        if (s->changed_vars[i] == id) {
            return;
        }
    }
    if (s->changed_var_count < CHANGED_VARS_MAX) {
        s->changed_vars[s->changed_var_count++] = (uint16_t)id;
    }
}

/* The name stands in the list, or the list is "*". */
static bool is_listed(struct slice list, const char *name)
{
    struct slice wanted = slice_str(name);
    size_t start = 0;
    if (slice_eq(list, SLICE_LIT("*"))) {
        return true;
    }
    for (size_t i = 0; i <= list.len; i++) {
        if (i != list.len && list.ptr[i] != ',') {
            continue;
        }
        struct slice word = slice_of(list.ptr + start, i - start);
        while (word.len != 0 && word.ptr[0] == ' ') {
            word = slice_from(word, 1);
        }
        if (slice_eq_nocase(charset_trim_space(word), wanted)) {
            return true;
        }
        start = i + 1;
    }
    return false;
}

/* In front of those that are there. */
db_err track__tell(struct statement *st, int kind, struct slice name, struct slice value,
                   const struct sql_state_change **io)
{
    struct sql_state_change *c = ARENA_NEW(&st->session->stmt_arena, struct sql_state_change);
    if (c == NULL) {
        return ERR_LIMIT;
    }
    *c = (struct sql_state_change){.next = *io, .kind = kind, .name = name, .value = value};
    *io = c;
    return ERR_OK;
}

/* MYSQL: not by the statement that switches it on. */
static bool tells_state(const struct sql_session *s)
{
    for (uint32_t i = 0; i < s->changed_var_count; i++) {
        if (s->changed_vars[i] == VAR_session_track_state_change) {
            return false;
        }
    }
    return vars__get(s, VAR_session_track_state_change)->i != 0;
}

static bool is_changed(const struct sql_session *s, unsigned id)
{
    for (uint32_t i = 0; i < s->changed_var_count; i++) {
        if (s->changed_vars[i] == id) {
            return true;
        }
    }
    return false;
}

/* MYSQL: variables by name, the database, that something has changed, the transaction. */
db_err track__answer(struct statement *st)
{
    struct sql_session *s = st->session;
    const struct sql_state_change *list = NULL;
    const struct sql_state_change *schema = st->status.state_changes;
    struct slice names;
    bool of_txn = track_txn__has_news(s);
    if (!s->state_changed && schema == NULL && !of_txn) {
        return ERR_OK;
    }
    if (of_txn) {
        TRY(track_txn__tell(st, &list));
    }
    if ((s->state_changed || schema != NULL) && tells_state(s)) {
        TRY(track__tell(st, SQL_TRACK_STATE, SLICE_EMPTY, SLICE_LIT("1"), &list));
    }
    if (schema != NULL && vars__get(s, VAR_session_track_schema)->i != 0) {
        TRY(track__tell(st, SQL_TRACK_SCHEMA, SLICE_EMPTY, schema->value, &list));
    }
    names = vars__get(s, VAR_session_track_system_variables)->s;
    for (unsigned id = VAR__COUNT; s->changed_var_count != 0 && id-- > 0;) { /* ids go by name */
        struct slice text;
        if (!is_changed(s, id) || !is_listed(names, sysvar_defs[id].name)) {
            continue;
        }
        TRY(sysvar_to_text((enum sysvar_id)id, vars__get(s, (enum sysvar_id)id), &s->stmt_arena,
                           &text));
        TRY(track__tell(st, SQL_TRACK_SYSVAR, slice_str(sysvar_defs[id].name), text, &list));
    }
    st->status.state_changes = list;
    return ERR_OK;
}
