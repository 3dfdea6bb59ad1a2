/* Sessions: opening, resetting, killing, closing, and what functions ask of them. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/loop.h"
#include "sql/charset/charset.h"
#include "sql/session/limits.h"
#include "sql/session/server_file.h"
#include "sql/session/perf_event.h"
#include "sql/session/query_log.h"
#include "sql/session/session_int.h"
#include "sql/session/user_lock.h"

enum { STATEMENT_MEMORY_DEFAULT = 256 * 1024 * 1024, ROLES_TEXT_MAX = 1024 * 1024 };
enum { SCHEMA_TEXT_MAX = 1024, KEPT_BYTES = 64 * 1024 };

struct sysvar_globals *engine__globals(struct sql_engine *e)
{
    spin_lock(&e->globals_lock);
    struct sysvar_globals *g = e->globals;
    sysvar_globals_ref(g);
    spin_unlock(&e->globals_lock);
    return g;
}

void engine__count(struct sql_engine *e, enum engine_counter counter, uint64_t n)
{
    const struct loop *loop = loop_current();
    unsigned stripe = loop == NULL ? 0 : loop_index(loop) % COUNTER_STRIPES;
    atomic_fetch_add_explicit(&e->counters[stripe].counts[counter], n, memory_order_relaxed);
}

uint64_t engine__counted(const struct sql_engine *e, enum engine_counter counter)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < COUNTER_STRIPES; i++) {
        sum += atomic_load_explicit(&e->counters[i].counts[counter], memory_order_relaxed);
    }
    return sum;
}

uint16_t session__status(const struct sql_session *s)
{
    uint16_t st = s->vars.autocommit ? SERVER_STATUS_AUTOCOMMIT : 0;
    if (s->txn_mode == TXN_EXPLICIT || s->txn_mode == TXN_IMPLICIT) {
        st |= SERVER_STATUS_IN_TRANS;
        st |= s->txn_read_only ? SERVER_STATUS_IN_TRANS_READONLY : 0;
    }
    uint64_t mode = LIKELY(s->hint_undo == NULL) ? s->vars.sql_mode : hints__lasting_mode(s);
    if ((mode & SQL_MODE_NO_BACKSLASH_ESCAPES) != 0) {
        st |= SERVER_STATUS_NO_BACKSLASH;
    }
    return st;
}

static void set_info_at(struct sql_session *s, const char *command, struct slice text,
                        uint64_t now_us)
{
    size_t n = text.len < sizeof(s->info) - 1 ? text.len : sizeof(s->info) - 1;
    spin_lock(&s->info_lock);
    if (n != 0) {
        memcpy(s->info, text.ptr, n);
    }
    s->info[n] = '\0';
    s->command = command;
    s->command_start_us = now_us;
    spin_unlock(&s->info_lock);
}

void session__set_info(struct sql_session *s, const char *command, struct slice text)
{
    set_info_at(s, command, text, clock_wall_us());
}

void session__show_statement(const struct statement *st, size_t size, bool secret)
{
    struct sql_session *s = st->session;
    struct slice text = slice_of(st->text.ptr, size);
    if (LIKELY(!secret && !st->more && !st->later)) {
        return;
    }
    while (text.len != 0 && text.ptr[0] <= ' ') {
        text = slice_from(text, 1);
    }
    while (text.len != 0 && (text.ptr[text.len - 1] == ';' || text.ptr[text.len - 1] <= ' ')) {
        text.len--;
    }
    set_info_at(s, s->command, secret ? SECRET_TEXT : text, s->command_start_us);
}

void session__end_command(struct sql_session *s, struct slice text, uint64_t end_us)
{
    fiber_stack_shrink();
    uint64_t start = s->command_start_us;
    uint64_t took = end_us > start ? end_us - start : 0;
    set_info_at(s, "Sleep", SLICE_EMPTY, end_us);
    if (UNLIKELY(took > s->vars.long_query_us || s->vars.profiling)) {
        query_log__ended(s, text, start, took);
    }
    if (UNLIKELY(s->stmt_arena.used > KEPT_BYTES || s->chunk_arena.used > KEPT_BYTES)) {
        arena_reset(&s->stmt_arena); /* an idle session holds no memory of others */
        arena_reset(&s->chunk_arena);
    }
}

static void env_init(struct sql_session *s)
{
    struct eval_env *e = &s->env;
    e->ops = &session_env_ops;
    e->connection_id = s->connection_id;
    e->user = s->user;
    e->version = slice_str(s->engine->version);
    e->rand = &s->rand;
}

/* MYSQL: offline_mode ends the connections of all but administrators. */
static db_err check_offline(struct sql_session *s)
{
    if (sql_session_is_admin(s)) {
        return ERR_OK;
    }
    atomic_store(&s->killed, 2);
    return my_error(&s->diag, ER_SERVER_OFFLINE_MODE);
}

/* max_user_connections, for accounts without a limit of their own; counted on this node. `again`:
 * the session has been the account's before. */
static db_err check_user_connections(struct sql_session *s, const struct account *a, bool again)
{
    uint64_t max = (uint64_t)s->globals->values[VAR_max_user_connections].i;
    uint64_t count = again ? 1 : 0;
    if (max == 0 || a->max_user_connections != 0) {
        return ERR_OK;
    }
    fiber_mutex_lock(&s->engine->sessions_mutex);
    LIST_FOREACH (node, &s->engine->sessions) {
        struct sql_session *of = CONTAINER_OF(node, struct sql_session, node);
        spin_lock(&of->info_lock);
        count +=
            of != s && slice_eq(of->user, s->user) && slice_eq(of->account_host, s->account_host);
        spin_unlock(&of->info_lock);
    }
    fiber_mutex_unlock(&s->engine->sessions_mutex);
    return count < max ? ERR_OK : my_error(&s->diag, ER_TOO_MANY_USER_CONNECTIONS, a->user);
}

/* A connection that becomes this account's, new or of another, counts against its limits. MYSQL:
 * the place that it leaves is free after that, even if both are the same account's. */
static db_err enter_account(struct sql_session *s, const struct account *a, bool again)
{
    struct account_use *left = s->use;
    s->use = NULL;
    db_err err = a == NULL ? ERR_OK : account_use_connect(s->engine->uses, a, &s->diag, &s->use);
    account_use_disconnect(left);
    return err != ERR_OK || a == NULL ? err : check_user_connections(s, a, again);
}

/* The account's privileges with the roles that a log-in makes active. */
static db_err login(struct sql_session *s, struct slice user, struct slice host,
                    struct slice address)
{
    struct acl_name *mandatory;
    uint32_t count;
    struct arena arena; /* not the session's: a session may be reset any number of times */
    bool all = s->globals->values[VAR_activate_all_roles_on_login].i != 0;
    arena_init(&arena, NULL, NULL, 0);
    db_err err = account__mandatory(s, &arena, &mandatory, &count);
    if (err == ERR_OK) {
        err = priv_login(&s->priv, s->engine->accounts, user, host, s->host, address,
                         all ? PRIV_ROLES_ALL : PRIV_ROLES_DEFAULT, mandatory, count);
    }
    arena_fini(&arena);
    TRY(err);
    TRY(account__show_roles(s));
    const struct acl_user *self = priv_self(&s->priv);
    if (atomic_load_explicit(&s->engine->offline, memory_order_relaxed)) {
        TRY(check_offline(s));
    }
    s->password_expired = self != NULL && engine__password_expired(s->engine, &self->account);
    return ERR_OK;
}

db_err session__count(struct sql_session *s, bool update)
{
    if (UNLIKELY(atomic_load_explicit(&s->engine->offline, memory_order_relaxed))) {
        TRY(check_offline(s));
    }
    const struct acl_user *self = priv_self(&s->priv);
    if (LIKELY(s->use == NULL) || self == NULL) {
        return ERR_OK;
    }
    return update ? account_use_update(s->use, &self->account, &s->diag)
                  : account_use_question(s->use, &self->account, &s->diag);
}

static db_err set_accounts(struct sql_session *s, const struct sql_session_opts *opts)
{
    struct slice account_host = opts->account_host.ptr != NULL ? opts->account_host : opts->host;
    struct slice account_user = opts->anonymous ? SLICE_LIT("") : opts->user;
    struct arena fresh; /* a session may change its user any number of times */
    struct slice name;
    struct slice host;
    struct slice pattern;
    arena_init(&fresh, NULL, NULL, 0);
    const char *user =
        arena_printf(&fresh, "%.*s@%.*s", SLICE_FMT(opts->user), SLICE_FMT(opts->host));
    const char *account =
        arena_printf(&fresh, "%.*s@%.*s", SLICE_FMT(account_user), SLICE_FMT(account_host));
    if (user == NULL || account == NULL || arena_copy(&fresh, opts->user, &name) != ERR_OK ||
        arena_copy(&fresh, opts->host, &host) != ERR_OK ||
        arena_copy(&fresh, account_host, &pattern) != ERR_OK) {
        arena_fini(&fresh);
        return ERR_NOMEM;
    }
    struct arena old = s->arena;
    s->arena = fresh;
    bool again =
        !list_empty(&s->node) && slice_eq(s->user, name) && slice_eq(s->account_host, pattern);
    spin_lock(&s->info_lock);
    s->user = name;
    s->host = host;
    s->account_host = pattern;
    spin_unlock(&s->info_lock);
    env_init(s);
    s->env.user = slice_str(user);
    s->env.current_user = slice_str(account);
    arena_fini(&old);
    TRY(login(s, account_user, account_host, opts->address));
    s->priv.used_password = opts->used_password;
    const struct acl_user *self = priv_self(&s->priv);
    return enter_account(s, self == NULL ? NULL : &self->account, again);
}

/* The character set of the handshake is character_set_client, _connection and _results. */
static db_err set_charset(struct sql_session *s, uint16_t id)
{
    static const enum sysvar_id names[] = {VAR_character_set_client, VAR_character_set_results,
                                           VAR_character_set_connection};
    const struct collation *c = collation_by_id(id);
    if (c == NULL || c->ops == NULL) {
        c = collation_by_id(COLL_UTF8MB4_0900_AI_CI);
    }
    struct value cs = value_str(slice_str(c->cs->name), COLL_UTF8MB3_GENERAL_CI);
    struct value name = value_str(slice_str(c->name), COLL_UTF8MB3_GENERAL_CI);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        TRY(vars__set(s, names[i], AST_SCOPE_SESSION, &cs));
    }
    return vars__set(s, VAR_collation_connection, AST_SCOPE_SESSION, &name);
}

static void tell_refusal(const struct sql_session *s, db_err err, struct diag *diag)
{
    if (err == ERR_SQL) {
        *diag = s->diag;
    } else {
        diag_set(diag, err, "a session could not be made");
    }
}

static void state_init(struct sql_session *s)
{
    uint64_t seed = clock_mono_ns();
    s->globals = engine__globals(s->engine);
    if (rand_secure(&seed, sizeof(seed)) != ERR_OK) {
        seed ^= s->connection_id;
    }
    rand_seed(&s->rand, seed);
    s->vars = (struct session_vars){0};
    s->last_insert_id = 0;
    s->env.last_insert_id = 0;
    s->row_count = s->found_rows = 0;
    s->next = (struct txn_next){0};
    s->txn_track = (struct txn_track){0};
    vars__refresh(s);
    track_txn__switched(s);
    s->txn_track.again = false;
}

/* The most that there were at once. */
static void note_count(struct sql_engine *e, uint32_t count)
{
    uint32_t max = atomic_load(&e->session_count_max);
    while (max < count && !atomic_compare_exchange_weak(&e->session_count_max, &max, count)) {
    }
}

db_err sql_session_open(struct sql_engine *engine, const struct sql_session_opts *opts,
                        struct diag *diag, struct sql_session **ret_session)
{
    struct sql_session *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->engine = engine;
    temporaries__init(s);
    s->opts = *opts;
    s->connection_id = opts->connection_id;
    waits__name_owners(s);
    s->multi_statements = opts->multi_statements;
    size_t limit = engine->opts.statement_memory != 0 ? engine->opts.statement_memory
                                                      : STATEMENT_MEMORY_DEFAULT;
    mem_tracker_init(&s->mem, &engine->mem, limit);
    mem_tracker_init(&s->kept, &engine->mem, limit);
    s->node_limits_seen = atomic_load_explicit(&engine->mem.refused, memory_order_relaxed);
    arena_init(&s->arena, NULL, NULL, 0);
    arena_init(&s->stmt_arena, NULL, &s->mem, 0);
    arena_init(&s->chunk_arena, NULL, &s->mem, 0);
    arena_init(&s->txn_arena, NULL, &s->mem, 0);
    buf_init(&s->schema_buf, SCHEMA_TEXT_MAX);
    buf_init(&s->role_buf, ROLES_TEXT_MAX);
    diag_area_init(&s->conditions);
    s->parse_warnings = session__parse_warnings(&s->conditions);
    list_init(&s->node);
    state_init(s);
    db_err err = set_accounts(s, opts);
    err = err == ERR_OK ? perf__open(s) : err;
    s->opts.connect_attributes = SLICE_EMPTY; /* the client's: copied */
    if (err == ERR_OK) {
        err = set_charset(s, opts->charset);
    }
    if (err != ERR_OK) {
        tell_refusal(s, err, diag);
        sql_session_close(s);
        return err;
    }
    session__set_info(s, "Sleep", SLICE_EMPTY);
    fiber_mutex_lock(&engine->sessions_mutex);
    list_push_back(&engine->sessions, &s->node);
    fiber_mutex_unlock(&engine->sessions_mutex);
    note_count(engine, atomic_fetch_add(&engine->session_count, 1) + 1);
    engine__count(engine, COUNT_CONNECTIONS, 1);
    *ret_session = s;
    return ERR_OK;
}

static void state_fini(struct sql_session *s)
{
    txn__rollback(s);
    prepared__drop_all(s);
    handler__close_all(s);
    int64_t released;
    user_locks_release_all(s->engine->user_locks, s->connection_id, &released);
    table_locks__release(s);
    global_lock__release(s);
    profile__free(s);
    temporaries__drop_all(s);
    vars__free(s);
    sysvar_globals_unref(s->globals);
    s->globals = NULL;
}

void sql_session_close(struct sql_session *session)
{
    if (session == NULL) {
        return;
    }
    struct sql_engine *e = session->engine;
    if (!list_empty(&session->node)) {
        if (query_log__general_on(session)) {
            query_log__general(session, "Quit", SLICE_EMPTY, false);
        }
        fiber_mutex_lock(&e->sessions_mutex);
        list_remove(&session->node);
        fiber_mutex_unlock(&e->sessions_mutex);
        atomic_fetch_sub_explicit(&e->session_count, 1, memory_order_relaxed);
    }
    state_fini(session);
    perf__close(session);
    account_use_disconnect(session->use);
    priv_fini(&session->priv);
    diag_area_fini(&session->conditions);
    buf_fini(&session->schema_buf);
    buf_fini(&session->role_buf);
    arena_fini(&session->txn_arena);
    arena_fini(&session->chunk_arena);
    arena_fini(&session->stmt_arena);
    arena_fini(&session->arena);
    mem_free(session);
}

static db_err reset(struct sql_session *session)
{
    memset(session->counts, 0, sizeof(session->counts));
    uint16_t charset = session->opts.charset;
    bool used_password = session->priv.used_password;
    state_fini(session);
    diag_area_reset(&session->conditions);
    state_init(session);
    TRY(login(session, session->priv.user, session->priv.host, session->priv.client_address));
    session->priv.used_password = used_password;
    return set_charset(session, charset);
}

db_err sql_session_reset(struct sql_session *session, struct diag *diag)
{
    db_err err = reset(session);
    if (err != ERR_OK) {
        tell_refusal(session, err, diag);
    }
    return err;
}

static db_err change_user(struct sql_session *session, const struct sql_session_opts *opts)
{
    TRY(reset(session));
    session->opts = *opts;
    session__leave_schema(session);
    TRY(set_accounts(session, opts));
    perf__change_user(session);
    session->opts.connect_attributes = SLICE_EMPTY;
    return set_charset(session, opts->charset);
}

db_err sql_session_change_user(struct sql_session *session, const struct sql_session_opts *opts,
                               struct diag *diag)
{
    db_err err = change_user(session, opts);
    if (err != ERR_OK) {
        tell_refusal(session, err, diag);
    }
    return err;
}

/* Others may be reading the name: the old one goes when none does. */
static db_err enter_schema(struct sql_session *s, struct slice name)
{
    struct buf fresh;
    buf_init(&fresh, SCHEMA_TEXT_MAX);
    TRY(buf_append_slice(&fresh, name));
    struct buf old = s->schema_buf;
    spin_lock(&s->info_lock);
    s->schema_buf = fresh;
    s->schema = buf_slice(&s->schema_buf);
    s->has_schema = true;
    spin_unlock(&s->info_lock);
    s->env.current_schema = s->schema;
    buf_fini(&old);
    return ERR_OK;
}

void session__leave_schema(struct sql_session *s)
{
    spin_lock(&s->info_lock);
    s->has_schema = false;
    spin_unlock(&s->info_lock);
    s->env.current_schema = SLICE_EMPTY;
    priv_enter_schema(&s->priv, SLICE_EMPTY);
}

static db_err may_enter(const struct sql_session *s, struct slice schema, struct diag *diag)
{
    struct priv_subject now = priv_anew(&s->priv);
    return s->priv.accounts == NULL || priv_uses_schema(&now, schema)
               ? ERR_OK
               : priv_deny_schema(&s->priv, schema, diag);
}

db_err sql_session_use(struct sql_session *session, struct slice schema, struct diag *diag)
{
    char name[260];
    TRY(priv_refresh(&session->priv));
    TRY(may_enter(session, schema, diag));
    const struct catalog_snapshot *snap = catalog_acquire(session->engine->catalog);
    const struct schema_def *def = snapshot_schema(snap, schema);
    db_err err = ERR_OK;
    if (def == NULL) {
        snprintf(name, sizeof(name), "%.*s", SLICE_FMT(schema));
        err = my_error(diag, ER_BAD_DB_ERROR, name);
    } else {
        err = enter_schema(session, def->name);
        priv_enter_schema(&session->priv, def->name);
    }
    if (err == ERR_OK) {
        const struct collation *c = collation_by_id(def->collation);
        struct value v = value_str(slice_str(c->name), COLL_UTF8MB3_GENERAL_CI);
        err = vars__set(session, VAR_collation_database, AST_SCOPE_SESSION, &v);
    }
    catalog_release(snap);
    return err;
}

void sql_session_set_multi_statements(struct sql_session *session, bool on)
{
    session->multi_statements = on;
}

void sql_session_kill(struct sql_session *session, bool connection)
{
    int level = connection ? 2 : 1;
    if (atomic_load_explicit(&session->killed, memory_order_relaxed) < level) {
        atomic_store_explicit(&session->killed, level, memory_order_release);
    }
    if (session->opts.wake != NULL) {
        session->opts.wake(session->opts.wake_ctx, connection);
    }
}

db_err sql_session_keep(struct sql_session *session, size_t bytes, struct diag *diag)
{
    db_err err = mem_tracker_charge(&session->kept, bytes);
    if (err != ERR_OK) {
        diag_reset(&session->diag);
        err = session__fail(session, err);
        *diag = session->diag;
    }
    return err;
}

void sql_session_give_back(struct sql_session *session, size_t bytes)
{
    mem_tracker_release(&session->kept, bytes);
}

db_err sql_session_receive(struct sql_session *session, size_t bytes, struct diag *diag)
{
    struct mem_tracker *packets = &session->engine->packets;
    db_err err = mem_tracker_charge(packets, bytes);
    if (err != ERR_OK) {
        diag_reset(&session->diag);
        err = diag_set(&session->diag, err,
                       "the commands that come in need more than their %zu MiB of memory",
                       packets->limit >> 20);
        err = session__fail(session, err);
        *diag = session->diag;
    }
    return err;
}

void sql_session_received(struct sql_session *session, size_t bytes)
{
    mem_tracker_release(&session->engine->packets, bytes);
}

bool sql_session_killed(const struct sql_session *session)
{
    return atomic_load_explicit(&session->killed, memory_order_acquire) == 2;
}

bool sql_session_is_admin(const struct sql_session *session)
{
    return priv_has(&session->priv.subject, PRIV_SUPER, DYN_BIT(CONNECTION_ADMIN));
}

uint16_t sql_session_status(const struct sql_session *session)
{
    return session__status(session);
}

uint16_t sql_session_warning_count(const struct sql_session *session)
{
    uint64_t n = session->conditions.total;
    return n > 65535 ? 65535 : (uint16_t)n;
}

uint32_t sql_session_max_allowed_packet(const struct sql_session *session)
{
    return (uint32_t)session->vars.max_allowed_packet;
}

uint32_t sql_session_wait_timeout_s(const struct sql_session *session)
{
    return (uint32_t)vars__get(session, session->opts.interactive ? VAR_interactive_timeout
                                                                  : VAR_wait_timeout)
        ->i;
}

uint32_t sql_session_net_write_timeout_s(const struct sql_session *session)
{
    return (uint32_t)vars__get(session, VAR_net_write_timeout)->i;
}

uint32_t sql_session_net_read_timeout_s(const struct sql_session *session)
{
    return (uint32_t)vars__get(session, VAR_net_read_timeout)->i;
}

/* ---- what functions ask ---- */

static struct sql_session *of_env(struct eval_env *env)
{
    return CONTAINER_OF(env, struct sql_session, env);
}

static void set_last_insert_id(struct eval_env *env, uint64_t id)
{
    of_env(env)->last_insert_id = id;
    of_env(env)->insert_id_given = true;
    env->last_insert_id = (int64_t)id;
}

/* MYSQL: of a client that is gone only these two waits know. */
static void wait_begins(struct sql_session *s, const char *state)
{
    atomic_store_explicit(&s->state, state, memory_order_release);
    if (s->opts.watch != NULL) {
        s->opts.watch(s->opts.wake_ctx, true);
    }
}

static void wait_ends(struct sql_session *s)
{
    if (s->opts.watch != NULL) {
        s->opts.watch(s->opts.wake_ctx, false);
    }
    atomic_store_explicit(&s->state, NULL, memory_order_release);
}

static db_err env_sleep(struct eval_env *env, uint64_t us, bool *ret_cut)
{
    struct sql_session *s = of_env(env);
    wait_begins(s, "User sleep");
    db_err err = fiber_sleep(us * NS_PER_US);
    wait_ends(s);
    *ret_cut = err != ERR_OK && env->may_cut && !sql_session_killed(s) &&
               (err == ERR_TIMEOUT || err == ERR_CANCELED);
    return *ret_cut ? ERR_OK : err;
}

/* MYSQL: names are compared in lower case, as names of the system are. */
static db_err lock_name(struct sql_session *s, struct slice name, struct slice *ret)
{
    enum { LOCK_NAME_BYTES_MAX = 64 * 4 * 2 };
    struct buf b;
    buf_init(&b, LOCK_NAME_BYTES_MAX);
    db_err err = collation_lower(collation_by_id(COLL_UTF8MB3_GENERAL_CI), name, &b);
    err = err == ERR_OK ? arena_copy(&s->stmt_arena, buf_slice(&b), ret) : err;
    buf_fini(&b);
    return err;
}

static db_err env_get_lock(struct eval_env *env, struct slice name, double timeout_s,
                           struct diag *diag, int *ret)
{
    struct sql_session *s = of_env(env);
    uint64_t deadline = DEADLINE_NONE;
    bool got;
    TRY(lock_name(s, name, &name));
    if (timeout_s >= 0 && timeout_s < 1e9) {
        deadline = clock_mono_ns() + (uint64_t)(timeout_s * 1e9);
    }
    wait_begins(s, "User lock");
    db_err err =
        user_lock_get(s->engine->user_locks, env->connection_id, name, deadline, diag, &got);
    wait_ends(s);
    *ret = got;
    return err;
}

static db_err env_release_lock(struct eval_env *env, struct slice name, struct diag *diag, int *ret)
{
    struct sql_session *s = of_env(env);
    TRY(lock_name(s, name, &name));
    return user_lock_release(s->engine->user_locks, env->connection_id, name, diag, ret);
}

static db_err env_lock_holder(struct eval_env *env, struct slice name, int64_t *ret)
{
    struct sql_session *s = of_env(env);
    TRY(lock_name(s, name, &name));
    return user_lock_holder(s->engine->user_locks, name, &s->diag, ret);
}

static db_err env_release_all(struct eval_env *env, int64_t *ret)
{
    user_locks_release_all(of_env(env)->engine->user_locks, env->connection_id, ret);
    return ERR_OK;
}

static db_err env_load_file(struct eval_env *env, struct slice name, struct arena *arena,
                            struct slice *ret, bool *ret_null)
{
    return server_file_load(of_env(env), name, arena, ret, ret_null);
}

const struct eval_env_ops session_env_ops = {.name = "session",
                                             .set_last_insert_id = set_last_insert_id,
                                             .sleep = env_sleep,
                                             .get_lock = env_get_lock,
                                             .release_lock = env_release_lock,
                                             .lock_holder = env_lock_holder,
                                             .load_file = env_load_file,
                                             .release_all_locks = env_release_all,
                                             .digest = session__digest,
                                             .thread_id = session__thread_id,
                                             .query_attribute = session__query_attribute,
                                             .user_variable = session__user_variable,
                                             .role_graph = session__role_graph};
