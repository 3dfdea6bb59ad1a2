/* Privileges: USER_PRIVILEGES and its relatives, the tables about roles, and those of the schema
 * mysql.
 *
 * MYSQL: who may read the schema mysql sees all accounts there, others their own. */
#include "sql/charset/charset.h"
#include "sql/infoschema/fill.h"
#include "sql/priv/grants_text.h"
#include "sql/types/json.h"

static const struct priv_session *me(const struct is_rows *r)
{
    return r->env.priv;
}

static bool sees_all(const struct is_rows *r)
{
    return me(r)->accounts == NULL ||
           (priv_on_schema(&me(r)->subject, SLICE_LIT("mysql")) & PRIV_SELECT) != 0;
}

static bool sees(const struct is_rows *r, const struct acl_user *u)
{
    return u == priv_self(me(r)) || sees_all(r);
}

static db_err each_user(struct is_rows *r,
                        db_err (*fn)(struct is_rows *r, const struct acl_user *u))
{
    const struct acl *acl = me(r)->acl;
    for (uint32_t i = 0; acl != NULL && i < acl->count; i++) {
        if (sees(r, acl->users[i])) {
            TRY(fn(r, acl->users[i]));
        }
    }
    return ERR_OK;
}

/* MYSQL: the tables of the schema mysql come in the order of their keys, the host first. */
static db_err each_by_host(struct is_rows *r,
                           db_err (*fn)(struct is_rows *r, const struct acl_user *u))
{
    const struct acl *acl = me(r)->acl;
    uint32_t n = acl == NULL ? 0 : acl->count;
    const struct acl_user **list = ARENA_ARRAY(r->arena, const struct acl_user *, n + 1u);
    if (list == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = i;
        while (at > 0 && slice_cmp(list[at - 1]->host, acl->users[i]->host) > 0) {
            list[at] = list[at - 1];
            at--;
        }
        list[at] = acl->users[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(fn(r, list[i]));
    }
    return ERR_OK;
}

static const char *grantee(struct is_rows *r, const struct acl_user *u)
{
    const char *t = arena_printf(r->arena, "'%.*s'@'%.*s'", SLICE_FMT(u->user), SLICE_FMT(u->host));
    return t == NULL ? "" : t;
}

static void yes_no(struct is_rows *r, bool yes)
{
    is__str(r, yes ? "YES" : "NO");
}

static void flag(struct is_rows *r, bool yes)
{
    is__str(r, yes ? "Y" : "N");
}

/* ---- *_PRIVILEGES ---- */

static db_err global_row(struct is_rows *r, const struct acl_user *u, const char *name, bool grant)
{
    is__str(r, grantee(r, u));
    is__str(r, "def");
    is__str(r, name);
    yes_no(r, grant);
    return is__end(r);
}

static db_err user_privileges(struct is_rows *r, const struct acl_user *u)
{
    bool grant = (u->global & PRIV_GRANT) != 0;
    if ((u->global & ~(priv_t)PRIV_GRANT) == 0 && u->dynamic == 0) {
        return global_row(r, u, "USAGE", grant);
    }
    for (int i = 0; i < PRIV_COUNT; i++) {
        if (i != PRIV_N_GRANT && (u->global & (priv_t)1 << i) != 0) {
            TRY(global_row(r, u, priv_defs[i].words, grant));
        }
    }
    for (int i = 0; i < DYN_COUNT; i++) {
        priv_dyn_t bit = (priv_dyn_t)1 << i;
        if ((u->dynamic & bit) != 0) {
            TRY(global_row(r, u, dyn_names[i], (u->dynamic_grant & bit) != 0));
        }
    }
    return ERR_OK;
}

db_err is__fill_user_privileges(struct is_rows *r)
{
    return each_user(r, user_privileges);
}

struct object {
    struct slice schema, table, column; /* ptr NULL: there is no such column */
};

/* A row for each privilege; USAGE when there is only the right to grant. */
static db_err object_rows(struct is_rows *r, const struct acl_user *u, const struct object *o,
                          priv_t privs, bool grant)
{
    priv_t shown = privs & ~(priv_t)PRIV_GRANT;
    for (int i = 0; i < PRIV_COUNT || shown == 0; i++) {
        if (shown != 0 && (shown & (priv_t)1 << i) == 0) {
            continue;
        }
        is__str(r, grantee(r, u));
        is__str(r, "def");
        is__text(r, o->schema);
        if (o->table.ptr != NULL) {
            is__text(r, o->table);
        }
        if (o->column.ptr != NULL) {
            is__text(r, o->column);
        }
        is__str(r, shown == 0 ? "USAGE" : priv_defs[i].words);
        yes_no(r, grant);
        TRY(is__end(r));
        if (shown == 0) {
            break;
        }
    }
    return ERR_OK;
}

static db_err schema_privileges(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->db_count; i++) {
        struct object o = {.schema = u->dbs[i].name};
        TRY(object_rows(r, u, &o, u->dbs[i].privs, (u->dbs[i].privs & PRIV_GRANT) != 0));
    }
    return ERR_OK;
}

db_err is__fill_schema_privileges(struct is_rows *r)
{
    return each_user(r, schema_privileges);
}

static db_err table_privileges(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->table_count; i++) {
        const struct acl_table *t = &u->tables[i];
        struct object o = {.schema = t->schema, .table = t->name};
        if (t->privs != 0) {
            TRY(object_rows(r, u, &o, t->privs, (t->privs & PRIV_GRANT) != 0));
        }
    }
    return ERR_OK;
}

db_err is__fill_table_privileges(struct is_rows *r)
{
    return each_user(r, table_privileges);
}

static db_err column_privileges(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->table_count; i++) {
        const struct acl_table *t = &u->tables[i];
        for (uint32_t k = 0; k < t->column_count; k++) {
            struct object o = {t->schema, t->name, t->columns[k].name};
            TRY(object_rows(r, u, &o, t->columns[k].privs, (t->privs & PRIV_GRANT) != 0));
        }
    }
    return ERR_OK;
}

db_err is__fill_column_privileges(struct is_rows *r)
{
    return each_user(r, column_privileges);
}

static db_err user_attributes(struct is_rows *r, const struct acl_user *u)
{
    is__text(r, u->user);
    is__text(r, u->host);
    is__text(r, u->account.attributes);
    return is__end(r);
}

db_err is__fill_user_attributes(struct is_rows *r)
{
    bool all =
        me(r)->accounts == NULL || priv_has(&me(r)->subject, PRIV_CREATE_USER, 0) ||
        (priv_on_schema(&me(r)->subject, SLICE_LIT("mysql")) & (PRIV_SELECT | PRIV_UPDATE)) != 0;
    const struct acl_user *self = priv_self(me(r));
    return all            ? each_by_host(r, user_attributes)
           : self == NULL ? ERR_OK
                          : user_attributes(r, self);
}

/* ---- roles ---- */

static bool is_default(const struct acl_user *u, const struct acl_name *role)
{
    for (uint32_t i = 0; u != NULL && i < u->default_role_count; i++) {
        if (slice_eq(u->default_roles[i].user, role->user) &&
            slice_eq_nocase(u->default_roles[i].host, role->host)) {
            return true;
        }
    }
    return false;
}

static bool is_mandatory(const struct is_rows *r, const struct acl_name *role)
{
    for (uint32_t i = 0; i < me(r)->mandatory_count; i++) {
        const struct acl_name *m = &me(r)->mandatory[i];
        if (slice_eq(m->user, role->user) && slice_eq_nocase(m->host, role->host)) {
            return true;
        }
    }
    return false;
}

static db_err role_row(struct is_rows *r, const struct acl_user *of, const struct acl_name *role,
                       bool admin)
{
    is__text(r, me(r)->user);
    is__text(r, me(r)->host);
    is__text(r, of->user);
    is__text(r, of->host);
    is__text(r, role->user);
    is__text(r, role->host);
    yes_no(r, admin);
    yes_no(r, is_default(priv_self(me(r)), role));
    yes_no(r, is_mandatory(r, role));
    return is__end(r);
}

/* The roles of the account, theirs, and so on; each account is looked into once. */
static db_err roles_of(struct is_rows *r, bool admin_only)
{
    const struct acl *acl = me(r)->acl;
    const struct acl_user *self = priv_self(me(r));
    uint32_t n = 0;
    const struct acl_user **seen =
        ARENA_ARRAY(r->arena, const struct acl_user *, acl == NULL ? 1 : acl->count + 1u);
    if (seen == NULL) {
        return ERR_LIMIT;
    }
    if (self != NULL) {
        seen[n++] = self;
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < seen[i]->role_count; k++) {
            const struct acl_role *role = &seen[i]->roles[k];
            const struct acl_user *u = acl_find(acl, role->name.user, role->name.host);
            bool known = u == NULL;
            if (!admin_only || role->admin) {
                TRY(role_row(r, seen[i], &role->name, role->admin));
            }
            for (uint32_t m = 0; m < n && !known; m++) {
                known = seen[m] == u;
            }
            if (!known && n < acl->count) {
                seen[n++] = u;
            }
        }
    }
    return ERR_OK;
}

db_err is__fill_applicable_roles(struct is_rows *r)
{
    return roles_of(r, false);
}

db_err is__fill_administrable_roles(struct is_rows *r)
{
    return roles_of(r, true);
}

/* The active roles with the roles that they bring. */
static db_err each_enabled(struct is_rows *r,
                           db_err (*fn)(struct is_rows *r, const struct acl_user *u))
{
    const struct priv_subject *s = &me(r)->subject;
    for (uint32_t i = 1; i < s->count; i++) {
        if (s->members[i] != NULL) {
            TRY(fn(r, s->members[i]));
        }
    }
    return ERR_OK;
}

static db_err enabled_role(struct is_rows *r, const struct acl_user *u)
{
    struct acl_name role = {u->user, u->host};
    is__text(r, u->user);
    is__text(r, u->host);
    yes_no(r, is_default(priv_self(me(r)), &role));
    yes_no(r, is_mandatory(r, &role));
    return is__end(r);
}

db_err is__fill_enabled_roles(struct is_rows *r)
{
    return each_enabled(r, enabled_role);
}

static void grantor(struct is_rows *r, struct slice who)
{
    size_t at = who.len;
    for (size_t i = 0; i < who.len; i++) {
        at = who.ptr[i] == '@' ? i : at;
    }
    is__text(r, slice_of(who.ptr, at));
    is__text(r, at < who.len ? slice_from(who, at + 1) : SLICE_LIT(""));
}

/* The mask as a SET of the members in the order of the registry. */
static void set_of(struct is_rows *r, priv_t privs, priv_t members)
{
    uint64_t bits = 0;
    uint64_t bit = 1;
    for (int i = 0; i < PRIV_COUNT; i++) {
        if ((members & (priv_t)1 << i) != 0) {
            bits |= (privs & (priv_t)1 << i) != 0 ? bit : 0;
            bit <<= 1;
        }
    }
    is__set(r, bits);
}

static priv_t with_member(enum priv_level level)
{
    priv_t all = 0;
    for (int i = 0; i < PRIV_COUNT; i++) {
        bool in = priv_defs[i].member[0] != '\0' && (priv_defs[i].levels & level) != 0;
        all |= in ? (priv_t)1 << i : 0;
    }
    return all;
}

static db_err role_tables(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->table_count; i++) {
        const struct acl_table *t = &u->tables[i];
        if (t->privs == 0) {
            continue;
        }
        grantor(r, t->grantor);
        is__text(r, u->user);
        is__text(r, u->host);
        is__str(r, "def");
        is__text(r, t->schema);
        is__text(r, t->name);
        set_of(r, t->privs, with_member(PRIV_LEVEL_TABLE));
        yes_no(r, (t->privs & PRIV_GRANT) != 0);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_role_table_grants(struct is_rows *r)
{
    return each_enabled(r, role_tables);
}

static db_err role_columns(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->table_count; i++) {
        const struct acl_table *t = &u->tables[i];
        for (uint32_t k = 0; k < t->column_count; k++) {
            grantor(r, t->grantor);
            is__text(r, u->user);
            is__text(r, u->host);
            is__str(r, "def");
            is__text(r, t->schema);
            is__text(r, t->name);
            is__text(r, t->columns[k].name);
            set_of(r, t->columns[k].privs, with_member(PRIV_LEVEL_COLUMN));
            yes_no(r, (t->privs & PRIV_GRANT) != 0);
            TRY(is__end(r));
        }
    }
    return ERR_OK;
}

db_err is__fill_role_column_grants(struct is_rows *r)
{
    return each_enabled(r, role_columns);
}

/* MYSQL: Execute, Alter Routine, Grant, in this order. */
static void routine_set(struct is_rows *r, priv_t privs)
{
    is__set(r, ((privs & PRIV_EXECUTE) != 0 ? 1u : 0u) |
                   ((privs & PRIV_ALTER_ROUTINE) != 0 ? 2u : 0u) |
                   ((privs & PRIV_GRANT) != 0 ? 4u : 0u));
}

static db_err role_routines(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->routine_count; i++) {
        const struct acl_routine *w = &u->routines[i];
        grantor(r, w->grantor);
        is__text(r, u->user);
        is__text(r, u->host);
        for (int k = 0; k < 2; k++) {
            is__str(r, "def");
            is__text(r, w->schema);
            is__text(r, w->name);
        }
        routine_set(r, w->privs);
        yes_no(r, (w->privs & PRIV_GRANT) != 0);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_role_routine_grants(struct is_rows *r)
{
    return each_enabled(r, role_routines);
}

/* ---- the schema mysql ---- */

static void flags_of(struct is_rows *r, priv_t privs, priv_t shown)
{
    for (int i = 0; i < PRIV_COUNT; i++) {
        if ((shown & (priv_t)1 << i) != 0) {
            flag(r, (privs & (priv_t)1 << i) != 0);
        }
    }
}

static db_err put_restrictions(const struct acl_user *u, struct buf *out)
{
    for (uint32_t i = 0; i < u->restriction_count; i++) {
        bool first = true;
        TRY(buf_printf(out, "%s{\"Database\": ", i == 0 ? "\"Restrictions\": [" : ", "));
        TRY(json_quote(u->restrictions[i].name, out));
        TRY(buf_printf(out, ", \"Privileges\": ["));
        for (int p = 0; p < PRIV_COUNT; p++) {
            if ((u->restrictions[i].privs & (priv_t)1 << p) != 0) {
                TRY(buf_printf(out, "%s\"%s\"", first ? "" : ", ", priv_defs[p].words));
                first = false;
            }
        }
        TRY(buf_printf(out, "]}"));
    }
    return buf_printf(out, u->restriction_count != 0 ? "], " : "");
}

/* Each member ends in ", ". */
static db_err put_attributes(const struct acl_user *u, struct buf *out)
{
    const struct account *a = &u->account;
    if (a->attributes.ptr != NULL) {
        TRY(buf_printf(out, "\"metadata\": %.*s, ", SLICE_FMT(a->attributes)));
    }
    TRY(put_restrictions(u, out));
    if (a->failed_logins != 0 || a->lock_days != 0) {
        TRY(buf_printf(out,
                       "\"Password_locking\": {\"failed_login_attempts\": %d, "
                       "\"password_lock_time_days\": %d}, ",
                       (int)a->failed_logins, (int)a->lock_days));
    }
    if (a->old_auth_len != 0) {
        /* MYSQL: of a hash given as bytes that are no text, what comes before them */
        struct slice old = slice_of(a->old_auth, a->old_auth_len);
        old.len = utf8mb4_valid_prefix(old);
        TRY(buf_printf(out, "\"additional_password\": "));
        TRY(json_quote(old, out));
        TRY(buf_printf(out, ", "));
    }
    return ERR_OK;
}

static db_err attributes(struct is_rows *r, const struct acl_user *u)
{
    enum { ATTRIBUTES_MAX = 128 * 1024 * 1024 }; /* more than an account's record has */
    SCOPE_BUF(out, ATTRIBUTES_MAX);
    TRY(buf_printf(&out, "{"));
    TRY(put_attributes(u, &out));
    if (out.len == 1) {
        is__null(r);
        return ERR_OK;
    }
    out.len -= 2;
    TRY(buf_printf(&out, "}"));
    struct json_syntax why;
    struct json_node *n;
    struct slice document;
    TRY(json_parse(r->arena, buf_slice(&out), &n, &why));
    TRY(json_write_arena(n, r->arena, r->diag, &document));
    is__text(r, document);
    return ERR_OK;
}

static void number_or_null(struct is_rows *r, int32_t n)
{
    if (n == ACCOUNT_UNSET) {
        is__null(r);
    } else {
        is__uint(r, (uint64_t)n);
    }
}

static struct slice or_empty(struct slice s)
{
    return s.ptr == NULL ? SLICE_LIT("") : s;
}

static db_err user_row(struct is_rows *r, const struct acl_user *u)
{
    static const char *const tls[] = {"", "ANY", "X509", "SPECIFIED"};
    const struct account *a = &u->account;
    priv_t last = PRIV_CREATE_ROLE | PRIV_DROP_ROLE; /* these two came late and stand apart */
    is__text(r, u->host);
    is__text(r, u->user);
    flags_of(r, u->global, priv_all(PRIV_LEVEL_GLOBAL, true) & ~last);
    is__str(r, tls[a->tls]);
    is__text(r, or_empty(a->tls_cipher));
    is__text(r, or_empty(a->tls_issuer));
    is__text(r, or_empty(a->tls_subject));
    is__uint(r, a->max_questions);
    is__uint(r, a->max_updates);
    is__uint(r, a->max_connections);
    is__uint(r, a->max_user_connections);
    is__str(r, a->plugin);
    is__text(r, slice_of(a->auth, a->auth_len));
    flag(r, a->password_expired);
    is__time(r, a->password_changed_us);
    number_or_null(r, a->password_lifetime_days);
    flag(r, a->locked);
    flags_of(r, u->global, last);
    number_or_null(r, a->reuse_history);
    number_or_null(r, a->reuse_interval_days);
    if (a->require_current == ACCOUNT_UNSET) {
        is__null(r);
    } else {
        flag(r, a->require_current != 0);
    }
    TRY(attributes(r, u));
    return is__end(r);
}

db_err is__fill_mysql_user(struct is_rows *r)
{
    return each_by_host(r, user_row);
}

static db_err db_rows(struct is_rows *r, const struct acl_user *u)
{
    /* MYSQL: the column of EXECUTE stands behind those of routines. */
    priv_t after = PRIV_EXECUTE | PRIV_EVENT | PRIV_TRIGGER;
    for (uint32_t i = 0; i < u->db_count; i++) {
        is__text(r, u->host);
        is__text(r, u->dbs[i].name);
        is__text(r, u->user);
        flags_of(r, u->dbs[i].privs, priv_all(PRIV_LEVEL_DB, true) & ~after);
        flags_of(r, u->dbs[i].privs, after);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_mysql_db(struct is_rows *r)
{
    return each_by_host(r, db_rows);
}

static db_err tables_priv(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->table_count; i++) {
        const struct acl_table *t = &u->tables[i];
        is__text(r, u->host);
        is__text(r, t->schema);
        is__text(r, u->user);
        is__text(r, t->name);
        is__text(r, t->grantor);
        is__time(r, t->time_us);
        set_of(r, t->privs, with_member(PRIV_LEVEL_TABLE));
        set_of(r, acl_table_columns(t), with_member(PRIV_LEVEL_COLUMN));
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_mysql_tables_priv(struct is_rows *r)
{
    return each_by_host(r, tables_priv);
}

static db_err columns_priv(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->table_count; i++) {
        const struct acl_table *t = &u->tables[i];
        for (uint32_t k = 0; k < t->column_count; k++) {
            is__text(r, u->host);
            is__text(r, t->schema);
            is__text(r, u->user);
            is__text(r, t->name);
            is__text(r, t->columns[k].name);
            is__time(r, t->time_us);
            set_of(r, t->columns[k].privs, with_member(PRIV_LEVEL_COLUMN));
            TRY(is__end(r));
        }
    }
    return ERR_OK;
}

db_err is__fill_mysql_columns_priv(struct is_rows *r)
{
    return each_by_host(r, columns_priv);
}

static db_err procs_priv(struct is_rows *r, const struct acl_user *u)
{
    static const char *const kinds[] = {"FUNCTION", "PROCEDURE", "LIBRARY"};
    for (uint32_t i = 0; i < u->routine_count; i++) {
        const struct acl_routine *w = &u->routines[i];
        is__text(r, u->host);
        is__text(r, w->schema);
        is__text(r, u->user);
        is__text(r, w->name);
        is__str(r, kinds[w->kind]);
        is__text(r, w->grantor);
        routine_set(r, w->privs);
        is__time(r, w->time_us);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_mysql_procs_priv(struct is_rows *r)
{
    return each_by_host(r, procs_priv);
}

static db_err role_edges(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->role_count; i++) {
        is__text(r, u->roles[i].name.host);
        is__text(r, u->roles[i].name.user);
        is__text(r, u->host);
        is__text(r, u->user);
        flag(r, u->roles[i].admin);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_mysql_role_edges(struct is_rows *r)
{
    return each_by_host(r, role_edges);
}

static db_err default_roles(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->default_role_count; i++) {
        is__text(r, u->host);
        is__text(r, u->user);
        is__text(r, u->default_roles[i].host);
        is__text(r, u->default_roles[i].user);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_mysql_default_roles(struct is_rows *r)
{
    return each_by_host(r, default_roles);
}

static db_err password_history(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->past_count; i++) {
        is__text(r, u->host);
        is__text(r, u->user);
        is__time(r, u->past[i].time_us);
        is__text(r, u->past[i].hash);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_mysql_password_history(struct is_rows *r)
{
    return each_by_host(r, password_history);
}

static db_err global_grants(struct is_rows *r, const struct acl_user *u)
{
    for (int i = 0; i < DYN_COUNT; i++) {
        priv_dyn_t bit = (priv_dyn_t)1 << i;
        if ((u->dynamic & bit) != 0) {
            is__text(r, u->user);
            is__text(r, u->host);
            is__str(r, dyn_names[i]);
            flag(r, (u->dynamic_grant & bit) != 0);
            TRY(is__end(r));
        }
    }
    return ERR_OK;
}

db_err is__fill_mysql_global_grants(struct is_rows *r)
{
    const struct acl *acl = me(r)->acl; /* by user, then host: the key's order */
    for (uint32_t i = 0; acl != NULL && i < acl->count; i++) {
        TRY(global_grants(r, acl->users[i]));
    }
    return ERR_OK;
}

static db_err proxies_priv(struct is_rows *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->proxy_count; i++) {
        const struct acl_proxy *p = &u->proxies[i];
        is__text(r, u->host);
        is__text(r, u->user);
        is__text(r, p->proxied.host);
        is__text(r, p->proxied.user);
        is__uint(r, p->with_grant);
        is__text(r, p->grantor);
        is__time(r, p->time_us);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_mysql_proxies_priv(struct is_rows *r)
{
    return each_by_host(r, proxies_priv);
}
