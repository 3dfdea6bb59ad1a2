/* New passwords: who may set them, what they must differ from, and what stays beside them.
 *
 * A password is replaced in three steps on a copy of the account: account__authenticate (REPLACE,
 * RETAIN CURRENT PASSWORD, the hash), then the options of the statement, then account__remember
 * (the history), as the options of a statement decide what its own password must differ from.
 * MYSQL: empty passwords have no history, and a hash that is given as such is remembered but
 * compared with nothing. */
#include "base/clock.h"
#include "base/rand.h"
#include "sql/session/session_int.h"

/* What one statement asks for one account. */
struct wish {
    struct slice plugin, secret;
    bool is_hash;
    bool has_replace, retain;
    struct slice replace;
};

static struct slice random_chars(void)
{
    return SLICE_LIT(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!%&/()=+*{}[]<>,.;:_-@?#");
}

static db_err make_password(struct sql_session *s, struct slice *ret)
{
    struct slice chars = random_chars();
    size_t length = (size_t)vars__get(s, VAR_generated_random_password_length)->i;
    uint8_t *out = arena_alloc(&s->stmt_arena, length);
    if (out == NULL) {
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < length;) {
        uint8_t raw;
        TRY(rand_secure(&raw, 1));
        if (raw < 256 - 256 % chars.len) { /* no character is likelier than another */
            out[i++] = chars.ptr[raw % chars.len];
        }
    }
    *ret = slice_of(out, length);
    return ERR_OK;
}

static int64_t global_of(struct sql_session *s, enum sysvar_id var)
{
    struct sysvar_globals *g = engine__globals(s->engine);
    int64_t v = g->values[var].i;
    sysvar_globals_unref(g);
    return v;
}

static bool is_self(const struct sql_session *s, const struct acl_name *n)
{
    return slice_eq(n->user, s->priv.user) && slice_eq_nocase(n->host, s->priv.host);
}

/* MYSQL: who may change any account need not know its own password. */
static bool changes_any(const struct sql_session *s)
{
    return priv_has(&s->priv.subject, PRIV_CREATE_USER, 0) ||
           (priv_on_schema(&s->priv.subject, SLICE_LIT("mysql")) & PRIV_UPDATE) != 0;
}

db_err account__may_keep_old(struct sql_session *s)
{
    return changes_any(s)
               ? ERR_OK
               : priv_need_any(&s->priv, PRIV_CREATE_USER, DYN_BIT(APPLICATION_PASSWORD_ADMIN),
                               "CREATE USER or APPLICATION_PASSWORD_ADMIN", &s->diag);
}

static db_err check_current(struct sql_session *s, const struct acl_name *n,
                            const struct account *a, const struct wish *w)
{
    bool fits;
    if (w->has_replace && !is_self(s, n)) {
        return my_error(&s->diag, ER_CURRENT_PASSWORD_NOT_REQUIRED);
    }
    if (w->has_replace) {
        TRY(account_password_fits(slice_of(a->auth, a->auth_len), w->replace, &fits));
        return fits ? ERR_OK : my_error(&s->diag, ER_INCORRECT_CURRENT_PASSWORD);
    }
    bool needed = a->require_current == ACCOUNT_UNSET
                      ? global_of(s, VAR_password_require_current) != 0
                      : a->require_current != 0;
    return needed && is_self(s, n) && !changes_any(s)
               ? my_error(&s->diag, ER_MISSING_CURRENT_PASSWORD)
               : ERR_OK;
}

static db_err check_retain(struct sql_session *s, const struct acl_name *n, const struct account *a,
                           const struct wish *w)
{
    const char *user = arena_strdup(&s->stmt_arena, n->user);
    const char *host = arena_strdup(&s->stmt_arena, n->host);
    if (user == NULL || host == NULL) {
        return ERR_LIMIT;
    }
    if (!slice_eq_nocase(w->plugin, slice_str(a->plugin))) {
        return my_error(&s->diag, ER_PASSWORD_CANNOT_BE_RETAINED_ON_PLUGIN_CHANGE, user, host);
    }
    if (w->secret.len == 0) {
        return my_error(&s->diag, ER_CURRENT_PASSWORD_CANNOT_BE_RETAINED, user, host);
    }
    return a->auth_len == 0 ? my_error(&s->diag, ER_SECOND_PASSWORD_CANNOT_BE_EMPTY, user, host)
                            : ERR_OK;
}

static db_err replace_password(struct sql_session *s, const struct acl_name *n,
                               const struct wish *w, struct account *a, struct password_change *ret)
{
    bool other_plugin = !slice_eq_nocase(w->plugin, slice_str(a->plugin));
    struct account before = *a;
    uint32_t rounds = (uint32_t)global_of(s, VAR_caching_sha2_password_digest_rounds);
    TRY(check_current(s, n, a, w));
    TRY(w->retain ? check_retain(s, n, a, w) : ERR_OK);
    TRY(w->is_hash ? account_set_hash(a, w->plugin, w->secret, &s->diag)
                   : account_set_password(a, w->plugin, w->secret, rounds, &s->diag));
    a->password_expired = false;
    if (w->retain) {
        memcpy(a->old_auth, before.auth, sizeof(a->old_auth));
        a->old_auth_len = before.auth_len;
    } else if (a->auth_len == 0 || other_plugin) {
        account_discard_old(a);
    }
    *ret = (struct password_change){
        .made = true,
        .forget = other_plugin,
        .clear = w->is_hash ? SLICE_EMPTY : w->secret,
        .random = ret->random,
    };
    return ERR_OK;
}

db_err account__authenticate(struct sql_session *s, const struct acl_name *n,
                             const struct ast_user_spec *spec, struct account *a,
                             struct password_change *ret)
{
    bool named = a->plugin[0] != '\0';
    struct wish w = {.plugin = named ? slice_str(a->plugin) : SLICE_LIT("caching_sha2_password")};
    *ret = (struct password_change){.made = false};
    if (spec->auth.count > 1) {
        return my_error(&s->diag, ER_NOT_SUPPORTED_YET, "multi-factor authentication");
    }
    if (spec->discard_old_password) {
        account_discard_old(a);
        return ERR_OK;
    }
    if (spec->auth.count == 0) {
        return named ? ERR_OK : replace_password(s, n, &w, a, ret);
    }
    const struct ast_auth *auth = spec->auth.items[0];
    if (auth->factor_op != AST_FACTOR_DEFAULT || auth->kind == AST_AUTH_INITIAL) {
        return my_error(&s->diag, ER_NOT_SUPPORTED_YET, "multi-factor authentication");
    }
    w.plugin = auth->plugin.ptr != NULL ? auth->plugin : w.plugin;
    w.is_hash = auth->kind == AST_AUTH_AS;
    w.secret = w.is_hash || auth->kind == AST_AUTH_BY ? auth->secret : SLICE_EMPTY;
    w.has_replace = auth->has_replace;
    w.replace = auth->replace;
    w.retain = auth->retain_current;
    if (auth->kind == AST_AUTH_BY_RANDOM) {
        TRY(make_password(s, &w.secret));
        ret->random = w.secret;
    }
    return replace_password(s, n, &w, a, ret);
}

db_err account__remember(struct sql_session *s, struct acl_user *u, const struct account *a,
                         const struct password_change *c)
{
    static const uint64_t day_us = 86400ull * 1000000u;
    uint64_t now = clock_wall_us();
    int64_t count =
        a->reuse_history != ACCOUNT_UNSET ? a->reuse_history : global_of(s, VAR_password_history);
    int64_t days = a->reuse_interval_days != ACCOUNT_UNSET
                       ? a->reuse_interval_days
                       : global_of(s, VAR_password_reuse_interval);
    bool ever = (uint64_t)days > now / day_us; /* longer than there are clocks */
    uint64_t since = days == 0 ? UINT64_MAX : ever ? 0 : now - (uint64_t)days * day_us;
    if (!c->made) {
        return ERR_OK;
    }
    if (c->forget) {
        acl_user_trim_past(u, 0, UINT64_MAX);
    }
    for (uint32_t i = 0; i < u->past_count && c->clear.len != 0; i++) {
        bool fits = false;
        if (i < count || u->past[i].time_us >= since) {
            TRY(account_password_fits(u->past[i].hash, c->clear, &fits));
        }
        if (fits) {
            return my_error(&s->diag, ER_CREDENTIALS_CONTRADICT_TO_HISTORY,
                            arena_strdup(&s->stmt_arena, u->user),
                            arena_strdup(&s->stmt_arena, u->host));
        }
    }
    if (a->auth_len != 0 && (count != 0 || days != 0)) {
        TRY(acl_user_add_past(u, slice_of(a->auth, a->auth_len), now));
    }
    acl_user_trim_past(u, (uint32_t)count, since);
    return ERR_OK;
}

db_err account__set_password(struct sql_session *s, const struct acl_name *n,
                             const struct ast_set_password *p, struct acl_user *u,
                             struct password_change *ret)
{
    struct wish w = {.plugin = slice_str(u->account.plugin),
                     .secret = p->password,
                     .has_replace = p->has_replace,
                     .replace = p->replace,
                     .retain = p->retain_current};
    struct account a = u->account;
    *ret = (struct password_change){.made = false};
    if (p->random) {
        TRY(make_password(s, &w.secret));
        ret->random = w.secret;
    }
    TRY(replace_password(s, n, &w, &a, ret));
    TRY(account__remember(s, u, &a, ret));
    u->account = a;
    return ERR_OK;
}
