/* What INFORMATION_SCHEMA asks of a session, and the list of connections.
 *
 * Rows are copied under the sessions' mutex into the asking statement's arena first and given to
 * the sink afterwards: nothing parks while the mutex is held. */
#include "base/clock.h"
#include "sql/charset/charset.h"
#include "sql/session/globals.h"
#include "sql/session/lock_list.h"
#include "sql/session/peer.h"
#include "sql/session/session_int.h"

enum { PROCESS_LIST_MAX = 64 << 20 };

static db_err is_env(void *session, struct infoschema_env *ret_env)
{
    struct sql_session *s = session;
    *ret_env = (struct infoschema_env){
        .snapshot = s->is_snapshot,
        .only = s->is_only,
        .hides_generated_primary =
            vars__get(s, VAR_show_gipk_in_create_table_and_information_schema)->i == 0,
        .utf8mb4_collation = s->shows_charsets ? s->vars.utf8mb4_collation : 0,
        .storage = session__storage(s),
        .tz = s->vars.tz,
        .priv = &s->priv};
    return priv_refresh(&s->priv);
}

struct seen {
    char user[256], host[256], schema[1024], info[256];
};

static void copy_text(char *out, size_t room, struct slice s)
{
    size_t n = s.len < room ? s.len : room - 1;
    if (n != 0) {
        memcpy(out, s.ptr, n);
    }
    out[n] = '\0';
}

/* A text in UTF-8 that was cut may end within a character. */
static struct slice whole_characters(struct slice text, size_t room)
{
    enum { REST_MAX = 3 };
    if (text.len + 1 < room) {
        return text;
    }
    size_t whole = utf8mb4_valid_prefix(text);
    return slice_of(text.ptr, whole + REST_MAX >= text.len ? whole : text.len);
}

db_err session__describe(struct sql_session *of, struct arena *a, struct infoschema_process *p)
{
    uint64_t now = clock_wall_us();
    struct seen seen;
    p->id = of->connection_id;
    spin_lock(&of->info_lock);
    copy_text(seen.user, sizeof(seen.user), of->user);
    copy_text(seen.host, sizeof(seen.host), of->host);
    copy_text(seen.schema, sizeof(seen.schema), of->schema);
    copy_text(seen.info, sizeof(seen.info), slice_str(of->info));
    bool has_schema = of->has_schema;
    bool runs = of->command != NULL &&
                (strcmp(of->command, "Query") == 0 || strcmp(of->command, "Execute") == 0);
    p->command = slice_str(of->command == NULL ? "Sleep" : of->command);
    p->seconds = now > of->command_start_us ? (now - of->command_start_us) / 1000000u : 0;
    spin_unlock(&of->info_lock);
    TRY(arena_copy(a, slice_str(seen.user), &p->user));
    TRY(arena_copy(a, slice_str(seen.host), &p->host));
    if (has_schema) {
        TRY(arena_copy(a, slice_str(seen.schema), &p->schema));
    }
    p->info = SLICE_EMPTY;
    if (seen.info[0] != '\0') {
        TRY(arena_copy(a, whole_characters(slice_str(seen.info), sizeof(seen.info)), &p->info));
    }
    const char *state = atomic_load_explicit(&of->state, memory_order_acquire);
    if (state == NULL) {
        state = !runs                                                             ? ""
                : atomic_load_explicit(&of->lists_sessions, memory_order_relaxed) ? "init"
                                                                                  : "executing";
    }
    p->state = slice_str(state);
    return ERR_OK;
}

/* MYSQL: without PROCESS one's own connections only. */
static bool shows(const struct sql_session *s, const struct infoschema_process *p)
{
    return (s->priv.subject.global & PRIV_PROCESS) != 0 || slice_eq(p->user, s->user);
}

/* The sessions of the other nodes. */
static db_err processes_elsewhere(struct sql_session *s, struct infoschema_process_sink *sink)
{
    struct sql_coord *c = s->engine->opts.coord;
    struct buf list;
    if (c == NULL) {
        return ERR_OK;
    }
    buf_init(&list, PROCESS_LIST_MAX);
    db_err err = c->ops->list_sessions(c, &list, &s->diag);
    struct slice rest = buf_slice(&list);
    struct infoschema_process p;
    while (err == ERR_OK && peer_session_take(&rest, &p)) {
        err = shows(s, &p) ? sink->add(sink, &p) : ERR_OK;
    }
    buf_fini(&list);
    return err;
}

static void warn_deprecated_list(struct sql_session *s)
{
    struct diag d;
    diag_reset(&d);
    diag_set_sql(&d, ER_WARN_DEPRECATED_SYNTAX, my_error_sqlstate(ER_WARN_DEPRECATED_SYNTAX),
                 "'INFORMATION_SCHEMA.PROCESSLIST' is deprecated and will be removed in a future "
                 "release. Please use performance_schema.processlist instead");
    diag_area_add(&s->conditions, DIAG_WARNING, &d);
}

static db_err processes(void *session, bool deprecated, struct infoschema_process_sink *sink)
{
    struct sql_session *s = session;
    struct sql_engine *e = s->engine;
    if (deprecated) {
        warn_deprecated_list(s);
    }
    uint32_t room = atomic_load(&e->session_count) + 16;
    uint32_t n = 0;
    db_err err = ERR_OK;
    struct infoschema_process *list = ARENA_ARRAY(&s->stmt_arena, struct infoschema_process, room);
    if (list == NULL) {
        return ERR_LIMIT;
    }
    fiber_mutex_lock(&e->sessions_mutex);
    LIST_FOREACH (node, &e->sessions) {
        if (n == room || err != ERR_OK) {
            break;
        }
        err = session__describe(CONTAINER_OF(node, struct sql_session, node), &s->stmt_arena,
                                &list[n]);
        n += err == ERR_OK;
    }
    fiber_mutex_unlock(&e->sessions_mutex);
    for (uint32_t i = 0; i < n && err == ERR_OK; i++) {
        err = shows(s, &list[i]) ? sink->add(sink, &list[i]) : ERR_OK;
    }
    return err == ERR_OK ? processes_elsewhere(s, sink) : err;
}

const struct infoschema_ops session_infoschema_ops = {.env = is_env,
                                                      .processes = processes,
                                                      .variables = session__variable_rows,
                                                      .status = session__status_rows,
                                                      .persisted = session__persisted_rows,
                                                      .locks = session_locks,
                                                      .perf = session__perf_rows};
