/* CREATE, ALTER, DROP and RENAME USER, CREATE and DROP ROLE, SET PASSWORD.
 *
 * A statement is one change of the accounts (sql/priv/acl.h): all of its users or none. It returns
 * once every node has read the accounts again. */
#include <inttypes.h>

#include "base/clock.h"
#include "base/scope.h"
#include "base/sha_crypt.h"
#include "sql/charset/charset.h"
#include "sql/priv/grants_text.h"
#include "sql/session/session_int.h"
#include "sql/types/json.h"

enum { TEXT_MAX_BYTES = 64 * 1024 * 1024 };

db_err account__name(struct sql_session *s, const struct ast_user *u, struct acl_name *ret)
{
    enum { NAME_CHARS = 32 };
    if (u == NULL || u->current) {
        *ret = (struct acl_name){s->priv.user, s->priv.host};
        return ERR_OK;
    }
    ret->user = u->name.ptr == NULL ? SLICE_LIT("") : u->name;
    ret->host = u->host.ptr == NULL ? SLICE_LIT("%") : u->host;
    if (charset_char_count(charset_by_name(SLICE_LIT("utf8mb4")), ret->user) > NAME_CHARS) {
        return my_error(&s->diag, ER_WRONG_STRING_LENGTH, arena_strdup(&s->stmt_arena, ret->user),
                        "user name", NAME_CHARS);
    }
    if (ret->host.len > ACCOUNT_HOST_MAX) {
        return my_error(&s->diag, ER_WRONG_STRING_LENGTH, arena_strdup(&s->stmt_arena, ret->host),
                        "host name", ACCOUNT_HOST_MAX);
    }
    return ERR_OK;
}

db_err account__may_change(struct sql_session *s, const struct acl *acl,
                           const struct acl_name *name)
{
    const struct acl_user *u = acl_find(acl, name->user, name->host);
    bool system = u != NULL && (u->dynamic & DYN_BIT(SYSTEM_USER)) != 0;
    return system ? priv_need_any(&s->priv, 0, DYN_BIT(SYSTEM_USER), "SYSTEM_USER", &s->diag)
                  : ERR_OK;
}

static const char *quoted(struct sql_session *s, const struct acl_name *n)
{
    const char *t =
        arena_printf(&s->stmt_arena, "'%.*s'@'%.*s'", SLICE_FMT(n->user), SLICE_FMT(n->host));
    return t == NULL ? "?" : t;
}

/* ---- names that are wrong: all of them are told in one error ---- */

struct wrong_names {
    struct buf text;
    uint32_t count;
};

static db_err add_wrong(struct wrong_names *w, struct sql_session *s, const struct acl_name *n,
                        const char *why)
{
    TRY(buf_printf(&w->text, "%s%s%s", w->count++ == 0 ? "" : ",", quoted(s, n), why));
    return ERR_OK;
}

static db_err tell_wrong(struct wrong_names *w, struct sql_session *s, const char *operation)
{
    const char *names = arena_strdup(&s->stmt_arena, buf_slice(&w->text));
    return w->count == 0   ? ERR_OK
           : names == NULL ? ERR_NOMEM
                           : my_error(&s->diag, ER_CANNOT_USER, operation, names);
}

#define WHY_EXISTS " (User account already exists)"
#define WHY_ABSENT " (User account does not exist)"

/* ---- one change ---- */

typedef db_err (*edit_fn)(struct sql_session *s, void *arg, struct acl_change *c,
                          struct wrong_names *wrong);

/* Commits what `edit` has done, unless that is an error or there are names to be told. */
static db_err edit_accounts(struct sql_session *s, const char *operation, edit_fn edit, void *arg)
{
    struct wrong_names wrong = {.count = 0};
    struct acl_change *c;
    TRY(acl_change_begin(s->engine->accounts, &s->diag, &c));
    buf_init(&wrong.text, TEXT_MAX_BYTES);
    db_err err = edit(s, arg, c, &wrong);
    if (err == ERR_OK) {
        err = tell_wrong(&wrong, s, operation);
    }
    buf_fini(&wrong.text);
    if (err != ERR_OK) {
        acl_change_abort(c);
        return err;
    }
    return account__commit(s, c);
}

/* ---- options ---- */

static db_err merge_attribute(struct sql_session *s, struct slice text, struct account *a)
{
    struct arena *arena = &s->stmt_arena;
    struct json_syntax why;
    struct json_node *patch;
    struct json_node *old;
    struct json_node *all;
    if (json_parse(arena, text, &patch, &why) != ERR_OK || patch->type != JSON_OBJECT) {
        return my_error(&s->diag, ER_INVALID_USER_ATTRIBUTE_JSON);
    }
    struct slice before = a->attributes.ptr == NULL ? SLICE_LIT("{}") : a->attributes;
    TRY(json_parse(arena, before, &old, &why));
    TRY(json_merge_patch(arena, old, patch, &all));
    struct slice document;
    TRY(json_write_arena(all, arena, &s->diag, &document));
    return json_text(document, arena, &a->attributes);
}

static db_err merge_comment(struct sql_session *s, struct slice text, struct account *a)
{
    SCOPE_BUF(out, TEXT_MAX_BYTES);
    TRY(buf_append_slice(&out, SLICE_LIT("{\"comment\": ")));
    TRY(json_quote(text, &out));
    TRY(buf_append_slice(&out, SLICE_LIT("}")));
    struct slice patch;
    TRY(arena_copy(&s->stmt_arena, buf_slice(&out), &patch));
    return merge_attribute(s, patch, a);
}

/* FAILED_LOGIN_ATTEMPTS, PASSWORD_LOCK_TIME. What has failed so far does not count any more. */
static db_err lock_option(struct sql_session *s, const struct ast_user_option *o, struct account *a)
{
    enum { LOCK_MAX = 32767 };
    bool attempts = o->kind == AST_UOPT_FAILED_LOGINS;
    bool forever = !attempts && o->number == UINT64_MAX;
    if (o->number > LOCK_MAX && !forever) {
        return my_error(&s->diag, ER_WRONG_VALUE,
                        attempts ? "FAILED_LOGIN_ATTEMPTS" : "PASSWORD_LOCK_TIME",
                        arena_printf(&s->stmt_arena, "%" PRIu64, o->number));
    }
    *(attempts ? &a->failed_logins : &a->lock_days) =
        forever ? ACCOUNT_LOCK_FOREVER : (int32_t)o->number;
    a->lock_epoch = clock_wall_us();
    return ERR_OK;
}

/* MYSQL: PASSWORD HISTORY and REUSE INTERVAL are cut to what their columns hold. */
static int32_t reuse_option(const struct ast_user_option *o)
{
    enum { REUSE_MAX = 65535 };
    return o->is_default ? ACCOUNT_UNSET : o->number > REUSE_MAX ? REUSE_MAX : (int32_t)o->number;
}

static db_err tls_option(const struct ast_user_option *o, struct account *a)
{
    switch ((int)o->kind) {
    case AST_UOPT_REQUIRE_NONE: a->tls = ACCOUNT_TLS_NONE; break;
    case AST_UOPT_REQUIRE_SSL: a->tls = ACCOUNT_TLS_ANY; break;
    case AST_UOPT_REQUIRE_X509: a->tls = ACCOUNT_TLS_X509; break;
    default: break;
    }
    if (o->kind <= AST_UOPT_REQUIRE_X509) {
        a->tls_cipher = a->tls_issuer = a->tls_subject = SLICE_EMPTY;
        return ERR_OK;
    }
    a->tls = ACCOUNT_TLS_SPECIFIED;
    *(o->kind == AST_UOPT_REQUIRE_CIPHER   ? &a->tls_cipher
      : o->kind == AST_UOPT_REQUIRE_ISSUER ? &a->tls_issuer
                                           : &a->tls_subject) = o->text;
    return ERR_OK;
}

static db_err expire_interval(struct sql_session *s, const struct ast_user_option *o,
                              struct account *a)
{
    enum { DAYS_MAX = 65535 };
    if (o->number == 0 || o->number > DAYS_MAX) {
        return my_error(&s->diag, ER_WRONG_VALUE, "DAY",
                        arena_printf(&s->stmt_arena, "%" PRIu64, o->number));
    }
    a->password_lifetime_days = (int32_t)o->number;
    return ERR_OK;
}

static db_err one_option(struct sql_session *s, const struct ast_user_option *o, struct account *a)
{
    switch (o->kind) {
    case AST_UOPT_REQUIRE_NONE:
    case AST_UOPT_REQUIRE_SSL:
    case AST_UOPT_REQUIRE_X509:
    case AST_UOPT_REQUIRE_CIPHER:
    case AST_UOPT_REQUIRE_ISSUER:
    case AST_UOPT_REQUIRE_SUBJECT: return tls_option(o, a);
    case AST_UOPT_ACCOUNT_LOCK:
        a->locked = o->yes;
        a->lock_epoch = o->yes ? a->lock_epoch : clock_wall_us();
        break;
    case AST_UOPT_EXPIRE: a->password_expired = true; break;
    case AST_UOPT_EXPIRE_DEFAULT: a->password_lifetime_days = ACCOUNT_UNSET; break;
    case AST_UOPT_EXPIRE_NEVER: a->password_lifetime_days = 0; break;
    case AST_UOPT_EXPIRE_INTERVAL: return expire_interval(s, o, a);
    case AST_UOPT_COMMENT: return merge_comment(s, o->text, a);
    case AST_UOPT_ATTRIBUTE: return merge_attribute(s, o->text, a);
    case AST_UOPT_REQUIRE_CURRENT:
        a->require_current = o->is_default ? ACCOUNT_UNSET : o->yes;
        break;
    case AST_UOPT_HISTORY: a->reuse_history = reuse_option(o); break;
    case AST_UOPT_REUSE_INTERVAL: a->reuse_interval_days = reuse_option(o); break;
    case AST_UOPT_FAILED_LOGINS:
    case AST_UOPT_LOCK_TIME: return lock_option(s, o, a);
    case AST_UOPT_MAX_QUERIES: a->max_questions = (uint32_t)o->number; break;
    case AST_UOPT_MAX_UPDATES: a->max_updates = (uint32_t)o->number; break;
    case AST_UOPT_MAX_CONNECTIONS: a->max_connections = (uint32_t)o->number; break;
    case AST_UOPT_MAX_USER_CONNECTIONS: a->max_user_connections = (uint32_t)o->number; break;
    }
    return ERR_OK;
}

/* ---- passwords ---- */

/* What an account is given; told in the answer when it was made up. */
struct new_password {
    struct acl_name name;
    struct slice password;
};

static db_err answer(struct statement *st, const struct new_password *random, uint32_t count)
{
    static const char *const names[] = {"user", "host", "generated password", "auth_factor"};
    struct sql_type types[] = {type_char(TYPE_VARCHAR, 32, COLL_UTF8MB3_GENERAL_CI),
                               type_char(TYPE_VARCHAR, 255, COLL_UTF8MB3_GENERAL_CI),
                               type_char(TYPE_VARCHAR, 64, COLL_UTF8MB3_GENERAL_CI),
                               type_int(TYPE_BIGINT, true)};
    struct text_result r;
    if (count == 0) {
        return session__ok(st, 0, SLICE_EMPTY);
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(types); i++) {
        types[i].flags |= TYPE_F_NOT_NULL;
    }
    TRY(text_result_begin_typed(st, &r, names, types, ARRAY_COUNT(types)));
    for (uint32_t i = 0; i < count; i++) {
        struct slice cells[] = {random[i].name.user, random[i].name.host, random[i].password,
                                SLICE_LIT("1")};
        TRY(text_result_row(&r, cells));
    }
    return text_result_end(&r);
}

/* MYSQL: 4005 when views are defined as the account. */
static db_err warn_of_views(struct sql_session *s, const struct acl_name *n)
{
    const struct catalog_snapshot *snap = catalog_acquire(s->engine->catalog);
    bool found = false;
    for (uint32_t i = 0; i < snapshot_schema_count(snap) && !found; i++) {
        const struct schema_def *sd = snapshot_schema_at(snap, i);
        uint32_t count = snapshot_table_count(snap, sd);
        for (uint32_t k = 0; k < count && !found; k++) {
            const struct table_def *t = snapshot_table_at(snap, sd, k);
            found = t->kind == TABLE_VIEW && slice_eq(t->view.definer_user, n->user) &&
                    slice_eq_nocase(t->view.definer_host, n->host);
        }
    }
    catalog_release(snap);
    if (found) {
        diag_area_warn(&s->conditions, ER_USER_REFERENCED_AS_DEFINER,
                       arena_strdup(&s->stmt_arena, n->user), arena_strdup(&s->stmt_arena, n->host),
                       "a view");
    }
    return ERR_OK;
}

/* ---- CREATE USER, ALTER USER ---- */

/* MYSQL: who may write the tables of the schema mysql may do what the statements do to them. */
static db_err need_create_user(struct sql_session *s, priv_t on_schema)
{
    return (priv_on_schema(&s->priv.subject, SLICE_LIT("mysql")) & on_schema) != 0
               ? ERR_OK
               : priv_need_any(&s->priv, PRIV_CREATE_USER, 0, "CREATE USER", &s->diag);
}

static bool names_plugin(const struct ast_user_spec *spec)
{
    bool named = false;
    for (uint32_t i = 0; i < spec->auth.count; i++) {
        named = named || spec->auth.items[i]->plugin.ptr != NULL;
    }
    return named;
}

static bool keeps_old(const struct ast_user_spec *spec)
{
    bool keeps = spec->discard_old_password;
    for (uint32_t i = 0; i < spec->auth.count; i++) {
        keeps = keeps || spec->auth.items[i]->retain_current;
    }
    return keeps;
}

static bool is_own(const struct sql_session *s, const struct acl_name *n)
{
    return slice_eq(n->user, s->priv.user) && slice_eq_nocase(n->host, s->priv.host);
}

/* MYSQL: an account may give itself a new password; anything else needs CREATE USER. */
static db_err may_alter(struct sql_session *s, const struct ast_user_ddl *d)
{
    bool own = d->options.count == 0;
    bool keeps = false;
    for (uint32_t i = 0; i < d->users.count; i++) {
        struct acl_name n;
        TRY(account__name(s, d->users.items[i]->user, &n));
        own = own && is_own(s, &n) && !names_plugin(d->users.items[i]);
        keeps = keeps || keeps_old(d->users.items[i]);
    }
    return !own ? need_create_user(s, PRIV_UPDATE) : keeps ? account__may_keep_old(s) : ERR_OK;
}

/* MYSQL: a statement of who has an expired password has to set that one; then it may set others. */
static db_err must_change(struct sql_session *s, bool own_password)
{
    return s->password_expired && !own_password ? my_error(&s->diag, ER_MUST_CHANGE_PASSWORD)
                                                : ERR_OK;
}

static db_err check_expired(struct sql_session *s, const struct ast_user_ddl *d)
{
    bool own = false;
    for (uint32_t i = 0; i < d->users.count; i++) {
        struct acl_name n;
        TRY(account__name(s, d->users.items[i]->user, &n));
        own = own || (is_own(s, &n) && d->users.items[i]->auth.count != 0);
    }
    return must_change(s, own);
}

/* What a statement requires takes the place of all that was required. */
static void forget_requirements(const struct ast_user_ddl *d, struct account *a)
{
    for (uint32_t i = 0; i < d->options.count; i++) {
        if (d->options.items[i]->kind <= AST_UOPT_REQUIRE_SUBJECT) {
            a->tls_cipher = a->tls_issuer = a->tls_subject = SLICE_EMPTY;
        }
    }
}

/* MYSQL: such a password is refused as an account is whose name is wrong. */
static bool too_long(const struct ast_user_spec *spec)
{
    return spec->auth.count != 0 && spec->auth.items[0]->kind == AST_AUTH_BY &&
           spec->auth.items[0]->secret.len > SHA2_PASSWORD_MAX;
}

static db_err set_user(struct sql_session *s, const struct ast_user_ddl *d,
                       const struct ast_user_spec *spec, struct acl_user *u, struct slice *random)
{
    struct account a = u->account;
    struct acl_name n = {u->user, u->host};
    struct password_change change;
    TRY(account__authenticate(s, &n, spec, &a, &change));
    *random = change.random;
    forget_requirements(d, &a);
    for (uint32_t i = 0; i < d->options.count; i++) {
        TRY(one_option(s, d->options.items[i], &a));
    }
    TRY(account__remember(s, u, &a, &change));
    struct arena *arena = &u->arena;
    TRY(arena_copy(arena, a.tls_cipher, &a.tls_cipher));
    TRY(arena_copy(arena, a.tls_issuer, &a.tls_issuer));
    TRY(arena_copy(arena, a.tls_subject, &a.tls_subject));
    if (a.attributes.ptr != NULL) {
        TRY(arena_copy(arena, a.attributes, &a.attributes));
    }
    u->account = a;
    return ERR_OK;
}

struct user_edit {
    const struct ast_user_ddl *ast;
    bool create;
    struct new_password *random;
    uint32_t random_count;
};

static db_err edit_users(struct sql_session *s, void *arg, struct acl_change *c,
                         struct wrong_names *wrong)
{
    struct user_edit *e = arg;
    const struct ast_user_ddl *d = e->ast;
    bool create = e->create;
    for (uint32_t i = 0; i < d->users.count; i++) {
        struct acl_name n;
        struct acl_user *u;
        struct account a;
        struct slice password;
        const struct ast_user_spec *spec = d->users.items[i];
        TRY(account__name(s, spec->user, &n));
        TRY(account__may_change(s, acl_change_view(c), &n));
        TRY(acl_change_edit(c, n.user, n.host, &u));
        if ((u != NULL) == create) {
            if (create ? d->if_not_exists : d->if_exists) {
                diag_area_note(&s->conditions,
                               create ? ER_USER_ALREADY_EXISTS : ER_USER_DOES_NOT_EXIST,
                               quoted(s, &n));
            } else {
                TRY(add_wrong(wrong, s, &n, create ? WHY_EXISTS : WHY_ABSENT));
            }
            continue;
        }
        if (too_long(spec)) {
            TRY(add_wrong(wrong, s, &n, ""));
            continue;
        }
        if (create) {
            TRY(warn_of_views(s, &n));
            account_init(&a, n.user, n.host);
            TRY(acl_change_add(c, &a, &u));
        }
        TRY(set_user(s, d, spec, u, &password));
        if (password.ptr != NULL) {
            e->random[e->random_count++] = (struct new_password){n, password};
        }
        if (d->default_role_kind != AST_ROLES_UNSET) {
            TRY(account__default_roles(s, c, &n, d->default_role_kind, &d->default_roles, !create));
        }
    }
    return ERR_OK;
}

static db_err user_ddl(struct statement *st, const struct ast_user_ddl *d, bool create)
{
    struct sql_session *s = st->session;
    struct user_edit e = {.ast = d, .create = create};
    e.random = ARENA_ARRAY(&s->stmt_arena, struct new_password, d->users.count);
    if (e.random == NULL) {
        return ERR_LIMIT;
    }
    TRY(create ? ERR_OK : check_expired(s, d));
    TRY(create ? need_create_user(s, PRIV_INSERT) : may_alter(s, d));
    TRY(edit_accounts(s, create ? "CREATE USER" : "ALTER USER", edit_users, &e));
    const struct acl_user *self = priv_self(&s->priv);
    if (s->password_expired && self != NULL) {
        s->password_expired = engine__password_expired(s->engine, &self->account);
    }
    return answer(st, e.random, e.random_count);
}

/* ---- DROP, RENAME ---- */

static db_err check_mandatory(struct sql_session *s, const struct acl_name *n)
{
    struct acl_name *all;
    uint32_t count;
    TRY(account__mandatory(s, &s->stmt_arena, &all, &count));
    for (uint32_t i = 0; i < count; i++) {
        if (slice_eq(all[i].user, n->user) && slice_eq_nocase(all[i].host, n->host)) {
            return my_error(&s->diag, ER_MANDATORY_ROLE,
                            grants_name(&s->stmt_arena, n->user, n->host));
        }
    }
    return ERR_OK;
}

struct drop {
    const struct ast_drop_user *ast;
    bool role; /* DROP ROLE */
};

/* MYSQL: the privilege DROP ROLE is one on accounts that are locked, as roles are. */
static db_err may_drop_role(struct sql_session *s, const struct acl_user *u)
{
    return u->account.locked
               ? ERR_OK
               : priv_need_any(&s->priv, PRIV_CREATE_USER, 0, "CREATE USER", &s->diag);
}

static db_err drop_each(struct sql_session *s, void *arg, struct acl_change *c,
                        struct wrong_names *wrong)
{
    const struct drop *drop = arg;
    const struct ast_drop_user *d = drop->ast;
    for (uint32_t i = 0; i < d->users.count; i++) {
        struct acl_name n;
        TRY(account__name(s, d->users.items[i], &n));
        TRY(account__may_change(s, acl_change_view(c), &n));
        TRY(check_mandatory(s, &n));
        const struct acl_user *u = acl_find(acl_change_view(c), n.user, n.host);
        if (u != NULL) {
            TRY(drop->role ? may_drop_role(s, u) : ERR_OK);
            TRY(warn_of_views(s, &n));
            TRY(acl_change_drop(c, n.user, n.host));
        } else if (d->if_exists) {
            diag_area_note(&s->conditions, ER_USER_DOES_NOT_EXIST, quoted(s, &n));
        } else {
            TRY(add_wrong(wrong, s, &n, WHY_ABSENT));
        }
    }
    return ERR_OK;
}

static db_err drop_users(struct statement *st, const struct ast_drop_user *d, bool role)
{
    struct sql_session *s = st->session;
    struct drop drop = {d, role};
    TRY(role ? priv_need_any(&s->priv, PRIV_CREATE_USER | PRIV_DROP_ROLE, 0,
                             "CREATE USER, DROP ROLE", &s->diag)
             : need_create_user(s, PRIV_DELETE));
    TRY(edit_accounts(s, role ? "DROP ROLE" : "DROP USER", drop_each, &drop));
    return session__ok(st, 0, SLICE_EMPTY);
}

/* A role is an account that cannot log in. */
static db_err create_each(struct sql_session *s, void *arg, struct acl_change *c,
                          struct wrong_names *wrong)
{
    const struct ast_drop_user *d = arg;
    for (uint32_t i = 0; i < d->users.count; i++) {
        struct acl_name n;
        struct account a;
        struct acl_user *u;
        TRY(account__name(s, d->users.items[i], &n));
        if (acl_find(acl_change_view(c), n.user, n.host) == NULL) {
            account_init(&a, n.user, n.host);
            TRY(account_set_hash(&a, SLICE_LIT("caching_sha2_password"), SLICE_EMPTY, &s->diag));
            a.locked = a.password_expired = true;
            TRY(acl_change_add(c, &a, &u));
        } else if (d->if_not_exists) {
            diag_area_note(&s->conditions, ER_USER_ALREADY_EXISTS, quoted(s, &n));
        } else {
            TRY(add_wrong(wrong, s, &n, WHY_EXISTS));
        }
    }
    return ERR_OK;
}

static db_err create_roles(struct statement *st, const struct ast_drop_user *d)
{
    struct sql_session *s = st->session;
    TRY(priv_need_any(&s->priv, PRIV_CREATE_USER | PRIV_CREATE_ROLE, 0, "CREATE USER, CREATE ROLE",
                      &s->diag));
    TRY(edit_accounts(s, "CREATE ROLE", create_each, (void *)(uintptr_t)d));
    return session__ok(st, 0, SLICE_EMPTY);
}

static bool is_granted_as_role(const struct acl *acl, const struct acl_name *n)
{
    for (uint32_t i = 0; i < acl->count; i++) {
        if (acl_role_of(acl->users[i], n) != NULL) {
            return true;
        }
    }
    return false;
}

static db_err rename_each(struct sql_session *s, void *arg, struct acl_change *c,
                          struct wrong_names *wrong)
{
    const struct ast_rename_user *r = arg;
    for (uint32_t i = 0; i < r->from.count; i++) {
        struct acl_name from;
        struct acl_name to;
        TRY(account__name(s, r->from.items[i], &from));
        TRY(account__name(s, r->to.items[i], &to));
        const struct acl *view = acl_change_view(c);
        TRY(account__may_change(s, view, &from));
        if (is_granted_as_role(view, &from)) {
            return my_error(&s->diag, ER_RENAME_ROLE);
        }
        if (acl_find(view, from.user, from.host) == NULL ||
            acl_find(view, to.user, to.host) != NULL) {
            TRY(add_wrong(wrong, s, &from, ""));
            continue;
        }
        TRY(warn_of_views(s, &from));
        TRY(acl_change_rename(c, from.user, from.host, to.user, to.host));
    }
    return ERR_OK;
}

static db_err rename_users(struct statement *st, const struct ast_rename_user *r)
{
    struct sql_session *s = st->session;
    TRY(need_create_user(s, PRIV_UPDATE));
    TRY(edit_accounts(s, "RENAME USER", rename_each, (void *)(uintptr_t)r));
    return session__ok(st, 0, SLICE_EMPTY);
}

/* ---- SET PASSWORD ---- */

struct set_password {
    const struct ast_set_password *ast;
    struct new_password made;
};

static db_err edit_password(struct sql_session *s, void *arg, struct acl_change *c,
                            struct wrong_names *wrong)
{
    struct set_password *p = arg;
    const struct acl_name *n = &p->made.name;
    struct password_change change;
    struct acl_user *u;
    TRY(account__may_change(s, acl_change_view(c), n));
    TRY(acl_change_edit(c, n->user, n->host, &u));
    if (u == NULL) {
        return my_error(&s->diag, ER_PASSWORD_NO_MATCH);
    }
    if (!p->ast->random && p->ast->password.len > SHA2_PASSWORD_MAX) {
        return add_wrong(wrong, s, n, "");
    }
    TRY(account__set_password(s, n, p->ast, u, &change));
    p->made.password = change.random;
    return ERR_OK;
}

static db_err set_password(struct statement *st, const struct ast_set_password *p)
{
    struct sql_session *s = st->session;
    struct set_password set = {.ast = p};
    const struct acl_name *n = &set.made.name;
    TRY(account__name(s, p->user, &set.made.name));
    bool own = is_own(s, n);
    TRY(must_change(s, own));
    if (!own) {
        TRY(priv_need_schema(&s->priv, PRIV_UPDATE, SLICE_LIT("mysql"), &s->diag));
    } else if (p->retain_current) {
        TRY(account__may_keep_old(s));
    }
    TRY(edit_accounts(s, "SET PASSWORD", edit_password, &set));
    s->password_expired = s->password_expired && !own;
    return answer(st, &set.made, p->random ? 1 : 0);
}

static db_err change_accounts(struct statement *st, const struct ast_stmt *ast)
{
    switch ((int)ast->kind) {
    case AST_STMT_CREATE_USER: return user_ddl(st, (const struct ast_user_ddl *)ast, true);
    case AST_STMT_ALTER_USER: return user_ddl(st, (const struct ast_user_ddl *)ast, false);
    case AST_STMT_DROP_USER: return drop_users(st, (const struct ast_drop_user *)ast, false);
    case AST_STMT_DROP_ROLE: return drop_users(st, (const struct ast_drop_user *)ast, true);
    case AST_STMT_CREATE_ROLE: return create_roles(st, (const struct ast_drop_user *)ast);
    case AST_STMT_RENAME_USER: return rename_users(st, (const struct ast_rename_user *)ast);
    case AST_STMT_SET_PASSWORD: return set_password(st, (const struct ast_set_password *)ast);
    case AST_STMT_GRANT: return account__grant(st, (const struct ast_grant *)ast);
    default: return account__revoke(st, (const struct ast_grant *)ast);
    }
}

db_err account__run(struct statement *st, const struct ast_stmt *ast, bool *ret_handled)
{
    struct sql_session *s = st->session;
    *ret_handled = true;
    switch ((int)ast->kind) {
    case AST_STMT_CREATE_USER:
    case AST_STMT_ALTER_USER:
    case AST_STMT_DROP_USER:
    case AST_STMT_RENAME_USER:
    case AST_STMT_CREATE_ROLE:
    case AST_STMT_DROP_ROLE:
    case AST_STMT_GRANT:
    case AST_STMT_REVOKE:
    case AST_STMT_SET_PASSWORD: {
        TRY(txn__commit_to_change(s));
        TRY(global_lock__change_definitions(s));
        db_err err = global_lock__accounts(s);
        err = err == ERR_OK ? change_accounts(st, ast) : err;
        global_lock__accounts_end(s);
        mdl_release_all(s->engine->mdl, &s->mdl);
        return err;
    }
    case AST_STMT_SET_ROLE: return account__set_role(st, (const struct ast_set_role *)ast);
    default: break;
    }
    *ret_handled = false;
    return ERR_OK;
}
