/* CREATE, ALTER and DROP USER, SET PASSWORD, and the one GRANT that is true of every account. */
#include <stdio.h>

#include "sql/priv/account.h"
#include "sql/session/session_int.h"

static struct slice host_of(const struct ast_user *u)
{
    return u->host.ptr == NULL ? SLICE_LIT("%") : u->host;
}

static db_err user_name(struct sql_session *s, const struct ast_user *u, struct slice *ret_user,
                        struct slice *ret_host)
{
    if (u != NULL && !u->current) {
        *ret_user = u->name;
        *ret_host = host_of(u);
    } else {
        *ret_user = s->user;
        *ret_host = s->account_host;
    }
    if (ret_user->len > ACCOUNT_NAME_MAX || ret_host->len > ACCOUNT_HOST_MAX) {
        return my_error(&s->diag, ER_WRONG_STRING_LENGTH, arena_strdup(&s->stmt_arena, *ret_user),
                        "user name", 32);
    }
    return ERR_OK;
}

static const char *quoted(struct sql_session *s, struct slice user, struct slice host)
{
    const char *t = arena_printf(&s->stmt_arena, "'%.*s'@'%.*s'", SLICE_FMT(user), SLICE_FMT(host));
    return t == NULL ? "?" : t;
}

static db_err apply_options(struct sql_session *s, const struct ast_user_ddl *d, struct account *a)
{
    for (uint32_t i = 0; i < d->options.count; i++) {
        const struct ast_user_option *o = d->options.items[i];
        switch ((int)o->kind) {
        case AST_UOPT_REQUIRE_NONE: a->require_tls = false; break;
        case AST_UOPT_REQUIRE_SSL: a->require_tls = true; break;
        case AST_UOPT_ACCOUNT_LOCK: a->locked = o->yes; break;
        case AST_UOPT_EXPIRE: a->password_expired = true; break;
        case AST_UOPT_EXPIRE_DEFAULT:
        case AST_UOPT_EXPIRE_NEVER: a->password_expired = false; break;
        default: return my_error(&s->diag, ER_NOT_SUPPORTED_YET, "this account option");
        }
    }
    if (d->default_role_kind != AST_ROLES_UNSET) {
        return my_error(&s->diag, ER_NOT_SUPPORTED_YET, "roles");
    }
    return ERR_OK;
}

static db_err apply_auth(struct sql_session *s, const struct ast_user_spec *u, struct account *a)
{
    struct slice plugin =
        a->plugin[0] != '\0' ? slice_str(a->plugin) : SLICE_LIT("caching_sha2_password");
    if (u->auth.count > 1) {
        return my_error(&s->diag, ER_NOT_SUPPORTED_YET, "multi-factor authentication");
    }
    if (u->auth.count == 0) {
        return a->plugin[0] != '\0' ? ERR_OK
                                    : account_set_password(a, plugin, SLICE_EMPTY, &s->diag);
    }
    const struct ast_auth *auth = u->auth.items[0];
    plugin = auth->plugin.ptr != NULL ? auth->plugin : plugin;
    a->password_expired = false;
    switch ((int)auth->kind) {
    case AST_AUTH_BY: return account_set_password(a, plugin, auth->secret, &s->diag);
    case AST_AUTH_AS: return account_set_hash(a, plugin, auth->secret, &s->diag);
    case AST_AUTH_NONE:
    case AST_AUTH_PLUGIN: return account_set_password(a, plugin, SLICE_EMPTY, &s->diag);
    default: return my_error(&s->diag, ER_NOT_SUPPORTED_YET, "random passwords");
    }
}

db_err session__publish_accounts(struct sql_session *s)
{
    struct sql_coord *c = s->engine->opts.coord;
    return c == NULL ? ERR_OK : c->ops->publish_accounts(c, &s->diag);
}

static db_err user_ddl(struct statement *st, const struct ast_user_ddl *d, bool create)
{
    struct sql_session *s = st->session;
    struct accounts *all = s->engine->accounts;
    for (uint32_t i = 0; i < d->users.count; i++) {
        struct slice user;
        struct slice host;
        struct account a = {0};
        const struct ast_user_spec *u = d->users.items[i];
        TRY(user_name(s, u->user, &user, &host));
        bool exists = accounts_get(all, user, host, &a);
        if (exists == create) {
            if (create ? d->if_not_exists : d->if_exists) {
                diag_area_note(&s->conditions,
                               create ? ER_USER_ALREADY_EXISTS : ER_USER_DOES_NOT_EXIST,
                               quoted(s, user, host));
                continue;
            }
            return my_error(&s->diag, ER_CANNOT_USER, create ? "CREATE USER" : "ALTER USER",
                            quoted(s, user, host));
        }
        if (create) {
            snprintf(a.user, sizeof(a.user), "%.*s", SLICE_FMT(user));
            snprintf(a.host, sizeof(a.host), "%.*s", SLICE_FMT(host));
        }
        TRY(apply_auth(s, u, &a));
        TRY(apply_options(s, d, &a));
        TRY(accounts_put(all, &a, &s->diag));
    }
    TRY(session__publish_accounts(s));
    return session__ok(st, 0, SLICE_EMPTY);
}

static db_err drop_users(struct statement *st, const struct ast_drop_user *d)
{
    struct sql_session *s = st->session;
    for (uint32_t i = 0; i < d->users.count; i++) {
        struct slice user;
        struct slice host;
        struct account a;
        TRY(user_name(s, d->users.items[i], &user, &host));
        if (!accounts_get(s->engine->accounts, user, host, &a)) {
            if (!d->if_exists) {
                return my_error(&s->diag, ER_CANNOT_USER, "DROP USER", quoted(s, user, host));
            }
            diag_area_note(&s->conditions, ER_USER_DOES_NOT_EXIST, quoted(s, user, host));
            continue;
        }
        TRY(accounts_drop(s->engine->accounts, user, host, &s->diag));
    }
    TRY(session__publish_accounts(s));
    return session__ok(st, 0, SLICE_EMPTY);
}

static db_err set_password(struct statement *st, const struct ast_set_password *p)
{
    struct sql_session *s = st->session;
    struct slice user;
    struct slice host;
    struct account a;
    if (p->random || p->retain_current) {
        return my_error(&s->diag, ER_NOT_SUPPORTED_YET,
                        p->random ? "random passwords" : "RETAIN CURRENT PASSWORD");
    }
    TRY(user_name(s, p->user, &user, &host));
    if (!accounts_get(s->engine->accounts, user, host, &a)) {
        return my_error(&s->diag, ER_PASSWORD_NO_MATCH);
    }
    TRY(account_set_password(&a, slice_str(a.plugin), p->password, &s->diag));
    a.password_expired = false;
    TRY(accounts_put(s->engine->accounts, &a, &s->diag));
    TRY(session__publish_accounts(s));
    return session__ok(st, 0, SLICE_EMPTY);
}

/* Every account may do everything until privileges are built: granting all of it changes nothing,
 * granting less would be a lie. */
static db_err grant(struct statement *st, const struct ast_grant *g)
{
    struct sql_session *s = st->session;
    if (g->kind != AST_GRANT_PRIVILEGES || !g->all || !g->any_schema || !g->any_table) {
        return my_error(&s->diag, ER_NOT_SUPPORTED_YET, "GRANT of less than ALL ON *.*");
    }
    for (uint32_t i = 0; i < g->users.count; i++) {
        struct slice user;
        struct slice host;
        struct account a;
        TRY(user_name(s, g->users.items[i], &user, &host));
        if (!accounts_get(s->engine->accounts, user, host, &a)) {
            return my_error(&s->diag, ER_CANT_CREATE_USER_WITH_GRANT);
        }
    }
    return session__ok(st, 0, SLICE_EMPTY);
}

db_err account__run(struct statement *st, const struct ast_stmt *ast, bool *ret_handled)
{
    *ret_handled = true;
    switch ((int)ast->kind) {
    case AST_STMT_CREATE_USER: return user_ddl(st, (const struct ast_user_ddl *)ast, true);
    case AST_STMT_ALTER_USER: return user_ddl(st, (const struct ast_user_ddl *)ast, false);
    case AST_STMT_DROP_USER: return drop_users(st, (const struct ast_drop_user *)ast);
    case AST_STMT_SET_PASSWORD: return set_password(st, (const struct ast_set_password *)ast);
    case AST_STMT_GRANT: return grant(st, (const struct ast_grant *)ast);
    default: break;
    }
    *ret_handled = false;
    return ERR_OK;
}
