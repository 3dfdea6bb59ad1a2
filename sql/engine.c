/* The engine: opens what sessions share, and answers for the process as a whole. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "sql/priv/acl.h"
#include "sql/session/globals.h"
#include "sql/session/limits.h"
#include "sql/session/peer.h"
#include "sql/session/plan_cache.h"
#include "sql/session/session_int.h"
#include "sql/session/statement_stats.h"
#include "sql/session/user_lock.h"

enum { PLAN_CACHE_DEFAULT = 32 * 1024 * 1024, DIGESTS_DEFAULT = 10000 };

static db_err open_parts(struct sql_engine *e, struct diag *diag)
{
    TRY(sysvar_globals_new(&e->globals));
    TRY(mdl_new(&e->mdl));
    TRY(account_uses_new(&e->uses));
    TRY(plan_cache_new(
        e->opts.plan_cache_bytes != 0 ? e->opts.plan_cache_bytes : PLAN_CACHE_DEFAULT, &e->plans));
    TRY(catalog_open(e->opts.storage, diag, &e->catalog));
    catalog_set_owner(e->catalog, e->opts.server_id);
    TRY(ddl_recover(e->catalog, e->opts.storage, e->opts.server_id, diag));
    TRY(globals__open(e, diag));
    TRY(user_locks_new(e->opts.storage, e->opts.coord, e->opts.server_id, &e->user_locks));
    if (e->opts.wait_watch != NULL) {
        mdl_set_watch(e->mdl, e->opts.wait_watch);
        user_locks_set_watch(e->user_locks, e->opts.wait_watch);
    }
    int64_t digests = e->globals->values[VAR_performance_schema_digests_size].i;
    TRY(statement_stats_new(digests < 0 ? DIGESTS_DEFAULT : (uint32_t)digests, &e->stats));
    TRY(infoschema_register(e->catalog, &session_infoschema_ops, &e->infoschema));
    return accounts_open(e->opts.storage, diag, &e->accounts);
}

static const char *copy(struct arena *a, const char *text)
{
    return text == NULL ? NULL : arena_strdup(a, slice_str(text));
}

db_err sql_engine_open(const struct sql_engine_opts *opts, struct diag *diag,
                       struct sql_engine **ret_engine)
{
    struct sql_engine *e = mem_calloc_aligned(sizeof(*e), _Alignof(struct sql_engine));
    if (e == NULL) {
        return ERR_NOMEM;
    }
    arena_init(&e->arena, NULL, NULL, 0);
    mem_tracker_init(&e->mem, NULL, opts->memory_limit);
    mem_tracker_init(&e->packets, NULL, opts->memory_limit / 3 * 2);
    statement_room_init(&e->room);
    e->opts = *opts;
    e->peer.ops = &sql_engine_peer_ops;
    e->lock_source = opts->lock_source == NULL ? (struct sql_lock_source){0} : *opts->lock_source;
    e->opts.temp_dir = copy(&e->arena, opts->temp_dir == NULL ? "/tmp" : opts->temp_dir);
    e->opts.socket_path = copy(&e->arena, opts->socket_path);
    e->opts.secure_file_priv = copy(&e->arena, opts->secure_file_priv);
    e->opts.data_dir = copy(&e->arena, opts->data_dir);
    snprintf(e->version, sizeof(e->version), "%s",
             opts->version == NULL ? "9.7.4-SkeinDB-0.1" : opts->version);
    fiber_mutex_init(&e->globals_mutex);
    fiber_mutex_init(&e->sessions_mutex);
    list_init(&e->sessions);
    e->start_us = clock_wall_us();
    atomic_init(&e->flushed_us, e->start_us);
    db_err err = open_parts(e, diag);
    if (err != ERR_OK) {
        sql_engine_close(e);
        return err;
    }
    *ret_engine = e;
    return ERR_OK;
}

size_t sql_engine_memory(const struct sql_engine *engine)
{
    return atomic_load_explicit(&engine->mem.used, memory_order_relaxed);
}

void sql_engine_close(struct sql_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    plan_cache_free(engine->plans);
    accounts_close(engine->accounts);
    account_uses_free(engine->uses);
    catalog_close(engine->catalog);
    infoschema_free(engine->infoschema);
    mdl_free(engine->mdl);
    user_locks_free(engine->user_locks);
    statement_stats_free(engine->stats);
    sysvar_globals_unref(engine->globals);
    arena_fini(&engine->arena);
    mem_free_aligned(engine);
}

uint64_t sql_engine_max_connections(const struct sql_engine *engine)
{
    struct sysvar_globals *g = engine__globals((struct sql_engine *)(uintptr_t)engine);
    uint64_t n = (uint64_t)g->values[VAR_max_connections].i;
    sysvar_globals_unref(g);
    return n;
}

bool sql_engine_requires_secure_transport(const struct sql_engine *engine)
{
    struct sysvar_globals *g = engine__globals((struct sql_engine *)(uintptr_t)engine);
    bool on = g->values[VAR_require_secure_transport].i != 0;
    sysvar_globals_unref(g);
    return on;
}

uint32_t sql_engine_connect_timeout_s(const struct sql_engine *engine)
{
    struct sysvar_globals *g = engine__globals((struct sql_engine *)(uintptr_t)engine);
    uint32_t n = (uint32_t)g->values[VAR_connect_timeout].i;
    sysvar_globals_unref(g);
    return n;
}

db_err sql_engine_statistics(struct sql_engine *engine, struct buf *out)
{
    uint64_t up = (clock_wall_us() - engine->start_us) / 1000000u;
    uint64_t questions = engine__counted(engine, COUNT_QUESTIONS);
    return buf_printf(out,
                      "Uptime: %" PRIu64 "  Threads: %u  Questions: %" PRIu64
                      "  Slow queries: %" PRIu64
                      "  Opens: 0  Flush tables: 0  Open tables: 0  Queries per second avg: %.3f",
                      up, (unsigned)atomic_load(&engine->session_count), questions,
                      engine__counted(engine, COUNT_SLOW_QUERIES),
                      up == 0 ? 0.0 : (double)questions / (double)up);
}

/* MYSQL: PASSWORD EXPIRE, or older than the account's or the server's lifetime. */
bool engine__password_expired(struct sql_engine *e, const struct account *a)
{
    enum { DAY_US_FACTOR = 86400 };
    struct sysvar_globals *g = engine__globals(e);
    int64_t days = g->values[VAR_default_password_lifetime].i;
    sysvar_globals_unref(g);
    days = a->password_lifetime_days == ACCOUNT_UNSET ? days : a->password_lifetime_days;
    uint64_t until = a->password_changed_us + (uint64_t)days * DAY_US_FACTOR * 1000000u;
    return a->password_expired ||
           (days > 0 && a->password_changed_us != 0 && a->auth_len != 0 && clock_wall_us() > until);
}

db_err sql_engine_find_account(struct sql_engine *engine, struct slice user, struct slice host,
                               struct diag *diag, struct sql_account *ret_account)
{
    (void)diag;
    const struct acl *acl = accounts_acquire(engine->accounts);
    const struct acl_user *u = acl_match(acl, user, host);
    *ret_account = (struct sql_account){.exists = u != NULL};
    if (u == NULL) {
        snprintf(ret_account->plugin, sizeof(ret_account->plugin), "caching_sha2_password");
        acl_release(acl);
        return ERR_OK;
    }
    const struct account *a = &u->account;
    snprintf(ret_account->plugin, sizeof(ret_account->plugin), "%s", a->plugin);
    memcpy(ret_account->auth_string, a->auth, a->auth_len);
    ret_account->auth_string_len = a->auth_len;
    memcpy(ret_account->old_auth_string, a->old_auth, a->old_auth_len);
    ret_account->old_auth_string_len = a->old_auth_len;
    ret_account->counts_failures = a->failed_logins != 0 && a->lock_days != 0;
    snprintf(ret_account->host_pattern, sizeof(ret_account->host_pattern), "%s", a->host);
    ret_account->anonymous = u->user.len == 0;
    ret_account->require_tls = a->tls != ACCOUNT_TLS_NONE;
    ret_account->require_certificate = a->tls > ACCOUNT_TLS_ANY;
    ret_account->locked = a->locked;
    ret_account->password_expired = engine__password_expired(engine, a);
    ret_account->loopback_only = a->developer;
    acl_release(acl);
    return ERR_OK;
}

static bool text_fits(struct slice required, const char *shown)
{
    return required.len == 0 || slice_eq(required, slice_str(shown));
}

/* MYSQL: REQUIRE CIPHER alone wants a certificate, too. */
static bool certificate_fits(const struct account *a, const struct sql_certificate *shown)
{
    return shown->subject != NULL && text_fits(a->tls_cipher, shown->cipher) &&
           text_fits(a->tls_subject, shown->subject) && text_fits(a->tls_issuer, shown->issuer);
}

bool sql_engine_certificate_fits(struct sql_engine *engine, struct slice user,
                                 struct slice host_pattern, const struct sql_certificate *shown)
{
    const struct acl *acl = accounts_acquire(engine->accounts);
    const struct acl_user *u = acl_find(acl, user, host_pattern);
    bool fits = u != NULL && certificate_fits(&u->account, shown);
    acl_release(acl);
    return fits;
}

db_err sql_engine_note_login(struct sql_engine *engine, struct slice user,
                             struct slice host_pattern, bool right, struct diag *diag,
                             struct sql_login_block *ret_block)
{
    struct login_block b = {.blocked = false};
    const struct acl *acl = accounts_acquire(engine->accounts);
    const struct acl_user *u = acl_find(acl, user, host_pattern);
    db_err err =
        u == NULL ? ERR_OK : accounts_note_login(engine->accounts, &u->account, right, diag, &b);
    acl_release(acl);
    if (err == ERR_OK) {
        *ret_block = (struct sql_login_block){
            .days = b.blocked ? b.days : 0, .days_left = b.days_left, .failures = b.failures};
    }
    return err;
}

/* The session's own fiber changes its account; what is read here is kept for others. */
static bool may_kill(const struct sql_killer *by, struct sql_session *s)
{
    spin_lock(&s->info_lock);
    bool own = slice_eq(by->user, s->user);
    spin_unlock(&s->info_lock);
    return (by->any || own) && (by->system || !atomic_load(&s->system_user));
}

db_err sql_engine_kill_here(struct sql_engine *e, uint64_t connection_id, bool connection,
                            const struct sql_killer *by, struct diag *diag)
{
    db_err err = ERR_NOT_FOUND;
    fiber_mutex_lock(&e->sessions_mutex);
    LIST_FOREACH (n, &e->sessions) {
        struct sql_session *s = CONTAINER_OF(n, struct sql_session, node);
        if (s->connection_id != connection_id) {
            continue;
        }
        if (!may_kill(by, s)) {
            err = my_error(diag, ER_KILL_DENIED_ERROR, (unsigned long)connection_id);
        } else {
            sql_session_kill(s, connection);
            err = ERR_OK;
        }
        break;
    }
    fiber_mutex_unlock(&e->sessions_mutex);
    return err;
}

db_err sql_engine_kill(struct sql_engine *e, uint64_t connection_id, bool connection,
                       const struct sql_killer *by, struct diag *diag)
{
    struct sql_coord *c = e->opts.coord;
    db_err err = sql_engine_kill_here(e, connection_id, connection, by, diag);
    if (err == ERR_NOT_FOUND && c != NULL) {
        err = c->ops->kill(c, connection_id, connection, by, diag);
    }
    return err == ERR_NOT_FOUND ? my_error(diag, ER_NO_SUCH_THREAD, (unsigned long)connection_id)
                                : err;
}
