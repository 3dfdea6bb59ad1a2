#include "sql/priv/grants_text.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/scope.h"
#include "sql/priv/acl_int.h"

enum { LINE_MAX_BYTES = 16 * 1024 * 1024 };

static db_err put(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

/* A literal that reads back in the session's mode. MYSQL: where backslashes are none a quote is
 * left as it is, and the text cannot be read. */
static db_err put_text(struct buf *out, struct slice text, const struct grants_style *style)
{
    TRY(put(out, "'"));
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '\'' || (c == '\\' && !style->plain_backslash)) {
            TRY(buf_append_u8(out, style->plain_backslash ? '\'' : '\\'));
        }
        TRY(buf_append_u8(out, c));
    }
    return put(out, "'");
}

static bool is_printable(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ' || text.ptr[i] > '~') {
            return false;
        }
    }
    return true;
}

/* The hash of a password, with a salt of any bytes. MYSQL: as what a client escapes. */
static db_err put_hash(struct buf *out, struct slice hash, const struct grants_style *style)
{
    static const char from[] = "\0\n\r\x1a\"'\\";
    static const char to[] = "0nrZ\"'\\";
    if (style->hex_hashes && !is_printable(hash)) {
        TRY(put(out, "0x"));
        for (size_t i = 0; i < hash.len; i++) {
            TRY(buf_printf(out, "%02X", hash.ptr[i]));
        }
        return ERR_OK;
    }
    if (style->plain_backslash) {
        return put_text(out, hash, style);
    }
    TRY(put(out, "'"));
    for (size_t i = 0; i < hash.len; i++) {
        const char *at = memchr(from, hash.ptr[i], sizeof(from) - 1);
        TRY(at == NULL ? ERR_OK : buf_append_u8(out, '\\'));
        TRY(buf_append_u8(out, at == NULL ? hash.ptr[i] : (uint8_t)to[at - from]));
    }
    return put(out, "'");
}

db_err grants_put_name(struct buf *out, struct slice user, struct slice host)
{
    TRY(buf_append_quoted(out, user, '`'));
    TRY(put(out, "@"));
    return buf_append_quoted(out, host, '`');
}

const char *grants_name(struct arena *a, struct slice user, struct slice host)
{
    SCOPE_BUF(out, LINE_MAX_BYTES);
    const char *text = NULL;
    if (grants_put_name(&out, user, host) == ERR_OK) {
        text = arena_strdup(a, buf_slice(&out));
    }
    return text == NULL ? "?" : text;
}

/* ---- merging ---- */

static void free_user(void *u)
{
    user__unref(u);
}

static db_err merge_tables(struct acl_user *into, const struct acl_user *u)
{
    for (uint32_t i = 0; i < u->table_count; i++) {
        const struct acl_table *t = &u->tables[i];
        const struct acl_table *old = acl_table_of(into, t->schema, t->name);
        struct acl_object o = {t->schema, t->name, t->grantor};
        TRY(acl_user_set_table(into, &o, t->privs | (old == NULL ? 0 : old->privs)));
        for (uint32_t k = 0; k < t->column_count; k++) {
            priv_t privs = t->columns[k].privs;
            old = acl_table_of(into, t->schema, t->name);
            for (uint32_t c = 0; old != NULL && c < old->column_count; c++) {
                privs |= slice_eq_nocase(old->columns[c].name, t->columns[k].name)
                             ? old->columns[c].privs
                             : 0;
            }
            TRY(acl_user_set_column(into, &o, t->columns[k].name, privs));
        }
    }
    return ERR_OK;
}

static db_err merge_user(struct acl_user *into, const struct acl_user *u)
{
    into->global |= u->global;
    into->dynamic |= u->dynamic;
    into->dynamic_grant |= u->dynamic_grant;
    for (uint32_t i = 0; i < u->db_count; i++) {
        priv_t privs = u->dbs[i].privs;
        for (uint32_t k = 0; k < into->db_count; k++) {
            privs |= slice_eq(into->dbs[k].name, u->dbs[i].name) ? into->dbs[k].privs : 0;
        }
        TRY(acl_user_set_db(into, u->dbs[i].name, privs));
    }
    for (uint32_t i = 0; i < u->routine_count; i++) {
        const struct acl_routine *r = &u->routines[i];
        const struct acl_routine *old = acl_routine_of(into, r->kind, r->schema, r->name);
        struct acl_object o = {r->schema, r->name, r->grantor};
        TRY(acl_user_set_routine(into, r->kind, &o, r->privs | (old == NULL ? 0 : old->privs)));
    }
    return merge_tables(into, u);
}

db_err grants_merge(struct arena *arena, const struct acl *acl, const struct acl_user *u,
                    const struct acl_name *roles, uint32_t count, const struct acl_user **ret)
{
    struct acl_user *all = user__copy(u);
    const struct acl_user **members = ARENA_ARRAY(arena, const struct acl_user *, acl->count + 1u);
    uint32_t n = 0;
    if (all == NULL || members == NULL) {
        user__unref(all);
        return ERR_NOMEM;
    }
    db_err err = arena_on_reset(arena, free_user, all);
    if (err != ERR_OK) {
        user__unref(all);
        return err;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct acl_user *r = acl_find(acl, roles[i].user, roles[i].host);
        if (r != NULL) {
            members[n++] = r;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(merge_user(all, members[i]));
        for (uint32_t k = 0; k < members[i]->role_count; k++) {
            const struct acl_name *name = &members[i]->roles[k].name;
            const struct acl_user *r = acl_find(acl, name->user, name->host);
            bool known = r == NULL;
            for (uint32_t m = 0; m < n && !known; m++) {
                known = members[m] == r;
            }
            if (!known && n < acl->count) {
                members[n++] = r;
            }
        }
    }
    *ret = all;
    return ERR_OK;
}

/* ---- SHOW GRANTS ---- */

static db_err emit(struct grants_sink *sink, struct buf *line)
{
    TRY(sink->line(sink, buf_slice(line)));
    buf_reset(line);
    return ERR_OK;
}

static db_err put_privs(struct buf *out, priv_t privs, priv_t all, bool abbreviate)
{
    bool first = true;
    privs &= ~(priv_t)PRIV_GRANT;
    if (privs == 0) {
        return put(out, "USAGE");
    }
    if (abbreviate && privs == all) {
        return put(out, "ALL PRIVILEGES");
    }
    for (int i = 0; i < PRIV_COUNT; i++) {
        if ((privs & (priv_t)1 << i) != 0) {
            TRY(put(out, first ? "" : ", "));
            TRY(put(out, priv_defs[i].words));
            first = false;
        }
    }
    return ERR_OK;
}

static db_err put_object(struct buf *out, const struct grants_sink *sink, struct slice name)
{
    return sink->style.name(out, name, sink->style.arg);
}

static db_err put_account(struct buf *out, const struct grants_sink *sink, struct slice user,
                          struct slice host)
{
    TRY(buf_append_quoted(out, user, sink->style.quote));
    TRY(put(out, "@"));
    return buf_append_quoted(out, host, sink->style.quote);
}

static db_err put_to(struct buf *out, const struct grants_sink *sink, const struct acl_user *u,
                     bool grant)
{
    TRY(put(out, " TO "));
    TRY(put_account(out, sink, u->user, u->host));
    return put(out, grant ? " WITH GRANT OPTION" : "");
}

static db_err global_lines(const struct acl_user *u, struct buf *line, struct grants_sink *sink)
{
    TRY(put(line, "GRANT "));
    TRY(put_privs(line, u->global, 0, false));
    TRY(put(line, " ON *.*"));
    TRY(put_to(line, sink, u, (u->global & PRIV_GRANT) != 0));
    TRY(emit(sink, line));
    for (int with_grant = 0; with_grant < 2; with_grant++) {
        priv_dyn_t mask = with_grant ? u->dynamic_grant : u->dynamic & ~u->dynamic_grant;
        bool first = true;
        for (int i = 0; i < DYN_COUNT; i++) {
            if ((mask & (priv_dyn_t)1 << i) != 0) {
                TRY(put(line, first ? "GRANT " : ","));
                TRY(put(line, dyn_names[i]));
                first = false;
            }
        }
        if (!first) {
            TRY(put(line, " ON *.*"));
            TRY(put_to(line, sink, u, with_grant != 0));
            TRY(emit(sink, line));
        }
    }
    return ERR_OK;
}

static bool has_wildcard(struct slice pattern)
{
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] == '%' || pattern.ptr[i] == '_') {
            return true;
        }
    }
    return false;
}

static db_err db_lines(const struct acl_user *u, struct buf *line, struct grants_sink *sink)
{
    priv_t all = priv_all(PRIV_LEVEL_DB, false);
    for (uint32_t i = 0; i < 2 * u->db_count; i++) { /* MYSQL: those without wildcards first */
        const struct acl_named *d = &u->dbs[i % u->db_count];
        if (has_wildcard(d->name) != (i >= u->db_count)) {
            continue;
        }
        TRY(put(line, "GRANT "));
        TRY(put_privs(line, d->privs, all, true));
        TRY(put(line, " ON "));
        TRY(put_object(line, sink, d->name));
        TRY(put(line, ".*"));
        TRY(put_to(line, sink, u, (d->privs & PRIV_GRANT) != 0));
        TRY(emit(sink, line));
    }
    for (uint32_t i = 0; i < u->restriction_count; i++) {
        TRY(put(line, "REVOKE "));
        TRY(put_privs(line, u->restrictions[i].privs, all, false));
        TRY(put(line, " ON "));
        TRY(put_object(line, sink, u->restrictions[i].name));
        TRY(put(line, ".* FROM "));
        TRY(put_account(line, sink, u->user, u->host));
        TRY(emit(sink, line));
    }
    return ERR_OK;
}

static db_err put_column_list(struct buf *out, const struct grants_sink *sink,
                              const struct acl_table *t, priv_t bit, bool *ret_any)
{
    *ret_any = false;
    for (uint32_t i = 0; i < t->column_count; i++) {
        if ((t->columns[i].privs & bit) != 0) {
            TRY(put(out, *ret_any ? ", " : " ("));
            TRY(put_object(out, sink, t->columns[i].name));
            *ret_any = true;
        }
    }
    return put(out, *ret_any ? ")" : "");
}

static db_err put_table_privs(struct buf *out, const struct grants_sink *sink,
                              const struct acl_table *t)
{
    priv_t columns = acl_table_columns(t);
    priv_t all = priv_all(PRIV_LEVEL_TABLE, false);
    bool first = true;
    bool any;
    if (columns == 0) {
        return put_privs(out, t->privs, all, true);
    }
    for (int i = 0; i < PRIV_COUNT; i++) {
        priv_t bit = (priv_t)1 << i;
        if (i == PRIV_N_GRANT) {
            continue;
        }
        if ((t->privs & bit) != 0) {
            TRY(put(out, first ? "" : ", "));
            TRY(put(out, priv_defs[i].words));
            first = false;
        }
        if ((columns & bit) != 0) {
            TRY(put(out, first ? "" : ", "));
            TRY(put(out, priv_defs[i].words));
            TRY(put_column_list(out, sink, t, bit, &any));
            first = false;
        }
    }
    return ERR_OK;
}

/* MYSQL: names in the order of their quoted texts, where a name ends with a quote. */
static int cmp_ended(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    if (c != 0 || a.len == b.len) {
        return c;
    }
    return a.len < b.len ? '`' - b.ptr[n] : a.ptr[n] - '`';
}

struct table_key {
    struct slice text; /* as it is written */
    const struct acl_table *table;
};

static int cmp_tables(const void *a, const void *b)
{
    return slice_cmp(((const struct table_key *)a)->text, ((const struct table_key *)b)->text);
}

static db_err table_key(struct arena *arena, const struct grants_sink *sink,
                        const struct acl_table *t, struct table_key *ret)
{
    SCOPE_BUF(text, LINE_MAX_BYTES);
    TRY(put_object(&text, sink, t->schema));
    TRY(put(&text, "."));
    TRY(put_object(&text, sink, t->name));
    ret->table = t;
    return arena_copy(arena, buf_slice(&text), &ret->text);
}

static db_err table_line(const struct acl_user *u, const struct acl_table *t, struct buf *line,
                         struct grants_sink *sink)
{
    TRY(put(line, "GRANT "));
    TRY(put_table_privs(line, sink, t));
    TRY(put(line, " ON "));
    TRY(put_object(line, sink, t->schema));
    TRY(put(line, "."));
    TRY(put_object(line, sink, t->name));
    TRY(put_to(line, sink, u, (t->privs & PRIV_GRANT) != 0));
    return emit(sink, line);
}

static db_err table_lines(const struct acl_user *u, struct buf *line, struct grants_sink *sink)
{
    struct arena arena;
    db_err err = ERR_OK;
    arena_init(&arena, NULL, NULL, 0);
    struct table_key *keys = ARENA_ARRAY(&arena, struct table_key, u->table_count + 1u);
    err = keys == NULL ? ERR_NOMEM : ERR_OK;
    for (uint32_t i = 0; i < u->table_count && err == ERR_OK; i++) {
        err = table_key(&arena, sink, &u->tables[i], &keys[i]);
    }
    if (err == ERR_OK && u->table_count != 0) {
        qsort(keys, u->table_count, sizeof(*keys), cmp_tables);
    }
    for (uint32_t i = 0; i < u->table_count && err == ERR_OK; i++) {
        err = table_line(u, keys[i].table, line, sink);
    }
    arena_fini(&arena);
    return err;
}

static db_err object_lines(const struct acl_user *u, struct buf *line, struct grants_sink *sink)
{
    static const char *const kinds[] = {"FUNCTION", "PROCEDURE", "LIBRARY"};
    TRY(table_lines(u, line, sink));
    for (uint32_t i = 0; i < u->routine_count; i++) {
        const struct acl_routine *r = &u->routines[i];
        TRY(put(line, "GRANT "));
        TRY(put_privs(line, r->privs, 0, false));
        TRY(buf_printf(line, " ON %s ", kinds[r->kind]));
        TRY(put_object(line, sink, r->schema));
        TRY(put(line, "."));
        TRY(put_object(line, sink, r->name));
        TRY(put_to(line, sink, u, (r->privs & PRIV_GRANT) != 0));
        TRY(emit(sink, line));
    }
    for (uint32_t i = 0; i < u->proxy_count; i++) {
        const struct acl_proxy *p = &u->proxies[i];
        TRY(put(line, "GRANT PROXY ON "));
        TRY(put_account(line, sink, p->proxied.user, p->proxied.host));
        TRY(put_to(line, sink, u, p->with_grant));
        TRY(emit(sink, line));
    }
    return ERR_OK;
}

/* MYSQL: in the order of the quoted names. */
static int cmp_quoted(const void *a, const void *b)
{
    const struct acl_name *x = a;
    const struct acl_name *y = b;
    int c = cmp_ended(x->user, y->user);
    return c != 0 ? c : cmp_ended(x->host, y->host);
}

static db_err role_line(const struct acl_user *u, const struct acl_name *mandatory, uint32_t count,
                        bool admin, struct buf *line, struct grants_sink *sink)
{
    struct arena arena;
    uint32_t n = 0;
    arena_init(&arena, NULL, NULL, 0);
    struct acl_name *names = ARENA_ARRAY(&arena, struct acl_name, u->role_count + count);
    db_err err = names == NULL ? ERR_NOMEM : ERR_OK;
    for (uint32_t i = 0; i < u->role_count && err == ERR_OK; i++) {
        if (u->roles[i].admin == admin) {
            names[n++] = u->roles[i].name;
        }
    }
    for (uint32_t i = 0; i < count && !admin && err == ERR_OK; i++) {
        struct acl_name self = {u->user, u->host};
        if (acl_role_of(u, &mandatory[i]) == NULL && !name__eq(&mandatory[i], &self)) {
            names[n++] = mandatory[i];
        }
    }
    if (n != 0) {
        qsort(names, n, sizeof(*names), cmp_quoted);
    }
    for (uint32_t i = 0; i < n && err == ERR_OK; i++) {
        err = put(line, i == 0 ? "GRANT " : ",");
        err = err == ERR_OK ? grants_put_name(line, names[i].user, names[i].host) : err;
    }
    if (n != 0 && err == ERR_OK) {
        err = put_to(line, sink, u, false);
        err = err == ERR_OK ? put(line, admin ? " WITH ADMIN OPTION" : "") : err;
        err = err == ERR_OK ? emit(sink, line) : err;
    }
    arena_fini(&arena);
    return err;
}

db_err grants_lines(const struct acl_user *u, const struct acl_name *mandatory,
                    uint32_t mandatory_count, struct grants_sink *sink)
{
    SCOPE_BUF(line, LINE_MAX_BYTES);
    TRY(global_lines(u, &line, sink));
    TRY(db_lines(u, &line, sink));
    TRY(object_lines(u, &line, sink));
    TRY(role_line(u, mandatory, mandatory_count, false, &line, sink));
    return role_line(u, mandatory, mandatory_count, true, &line, sink);
}

/* ---- SHOW CREATE USER ---- */

static db_err put_requirements(struct buf *out, const struct account *a,
                               const struct grants_style *style)
{
    switch (a->tls) {
    case ACCOUNT_TLS_NONE: return put(out, " REQUIRE NONE");
    case ACCOUNT_TLS_ANY: return put(out, " REQUIRE SSL");
    case ACCOUNT_TLS_X509: return put(out, " REQUIRE X509");
    case ACCOUNT_TLS_SPECIFIED: break;
    }
    const struct {
        const char *word;
        struct slice text;
    } items[] = {
        {" SUBJECT ", a->tls_subject}, {" ISSUER ", a->tls_issuer}, {" CIPHER ", a->tls_cipher}};
    TRY(put(out, " REQUIRE"));
    for (size_t i = 0; i < ARRAY_COUNT(items); i++) {
        if (items[i].text.len != 0) {
            TRY(put(out, items[i].word));
            TRY(put_text(out, items[i].text, style));
        }
    }
    return ERR_OK;
}

static db_err put_limits(struct buf *out, const struct account *a)
{
    const struct {
        const char *word;
        uint32_t n;
    } items[] = {{"MAX_QUERIES_PER_HOUR", a->max_questions},
                 {"MAX_UPDATES_PER_HOUR", a->max_updates},
                 {"MAX_CONNECTIONS_PER_HOUR", a->max_connections},
                 {"MAX_USER_CONNECTIONS", a->max_user_connections}};
    bool first = true;
    for (size_t i = 0; i < ARRAY_COUNT(items); i++) {
        if (items[i].n != 0) {
            TRY(buf_printf(out, "%s %s %" PRIu32, first ? " WITH" : "", items[i].word, items[i].n));
            first = false;
        }
    }
    return ERR_OK;
}

static db_err put_policy(struct buf *out, const struct account *a)
{
    if (a->password_expired) {
        TRY(put(out, " PASSWORD EXPIRE"));
    } else if (a->password_lifetime_days == ACCOUNT_UNSET) {
        TRY(put(out, " PASSWORD EXPIRE DEFAULT"));
    } else if (a->password_lifetime_days == 0) {
        TRY(put(out, " PASSWORD EXPIRE NEVER"));
    } else {
        TRY(buf_printf(out, " PASSWORD EXPIRE INTERVAL %d DAY", (int)a->password_lifetime_days));
    }
    TRY(put(out, a->locked ? " ACCOUNT LOCK" : " ACCOUNT UNLOCK"));
    if (a->reuse_history == ACCOUNT_UNSET) {
        TRY(put(out, " PASSWORD HISTORY DEFAULT"));
    } else {
        TRY(buf_printf(out, " PASSWORD HISTORY %d", (int)a->reuse_history));
    }
    if (a->reuse_interval_days == ACCOUNT_UNSET) {
        TRY(put(out, " PASSWORD REUSE INTERVAL DEFAULT"));
    } else {
        TRY(buf_printf(out, " PASSWORD REUSE INTERVAL %d DAY", (int)a->reuse_interval_days));
    }
    return put(out, a->require_current == ACCOUNT_UNSET ? " PASSWORD REQUIRE CURRENT DEFAULT"
                    : a->require_current == 0           ? " PASSWORD REQUIRE CURRENT OPTIONAL"
                                                        : " PASSWORD REQUIRE CURRENT");
}

static db_err put_lock(struct buf *out, const struct account *a)
{
    if (a->failed_logins != 0) {
        TRY(buf_printf(out, " FAILED_LOGIN_ATTEMPTS %d", (int)a->failed_logins));
    }
    if (a->lock_days == ACCOUNT_LOCK_FOREVER) {
        return put(out, " PASSWORD_LOCK_TIME UNBOUNDED");
    }
    return a->lock_days == 0 ? ERR_OK
                             : buf_printf(out, " PASSWORD_LOCK_TIME %d", (int)a->lock_days);
}

db_err grants_create_user(const struct acl_user *u, const struct grants_style *style,
                          struct buf *out)
{
    const struct account *a = &u->account;
    TRY(put(out, "CREATE USER "));
    TRY(style->name(out, u->user, style->arg));
    TRY(put(out, "@"));
    TRY(style->name(out, u->host, style->arg));
    TRY(buf_printf(out, " IDENTIFIED WITH '%s'", a->plugin));
    if (a->auth_len != 0) {
        TRY(put(out, " AS "));
        TRY(put_hash(out, slice_of(a->auth, a->auth_len), style));
    }
    for (uint32_t i = 0; i < u->default_role_count; i++) {
        TRY(put(out, i == 0 ? " DEFAULT ROLE " : ","));
        TRY(grants_put_name(out, u->default_roles[i].user, u->default_roles[i].host));
    }
    TRY(put_requirements(out, a, style));
    TRY(put_limits(out, a));
    TRY(put_policy(out, a));
    TRY(put_lock(out, a));
    if (a->attributes.ptr != NULL) {
        TRY(put(out, " ATTRIBUTE "));
        TRY(put_text(out, a->attributes, style));
    }
    return ERR_OK;
}
