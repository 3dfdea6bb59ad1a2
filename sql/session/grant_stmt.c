/* GRANT and REVOKE of privileges, proxies and roles.
 *
 * A request is read into masks first (what, at which level, on which object), the session's right
 * to give it is checked, and then it is applied to every account of the statement in one change. */
#include "sql/priv/grants_text.h"
#include "sql/session/session_int.h"

struct request {
    const struct ast_grant *ast;
    bool revoke;
    enum priv_level level;
    priv_t privs; /* at the level */
    priv_dyn_t dynamic;
    priv_t columns;           /* of those in ast->privileges that name columns */
    struct acl_object object; /* schema (DB: the pattern) and name */
    enum acl_routine_kind routine;
    const struct priv_subject *grantor; /* whose partial revokes come with the privileges */
};

/* ---- reading ---- */

static db_err illegal(struct sql_session *s)
{
    return my_error(&s->diag, ER_ILLEGAL_GRANT_FOR_TABLE);
}

static db_err read_level(struct sql_session *s, struct request *r)
{
    const struct ast_grant *g = r->ast;
    r->object.schema = g->schema;
    r->object.name = g->name;
    if (g->object_written && g->object != AST_OBJECT_TABLE) {
        static const enum acl_routine_kind kinds[] = {
            [AST_OBJECT_FUNCTION] = ACL_FUNCTION,
            [AST_OBJECT_PROCEDURE] = ACL_PROCEDURE,
            [AST_OBJECT_LIBRARY] = ACL_LIBRARY,
        };
        r->level = PRIV_LEVEL_ROUTINE;
        r->routine = kinds[g->object];
    } else if (g->any_schema) {
        r->level = PRIV_LEVEL_GLOBAL;
        return ERR_OK;
    } else {
        r->level = g->any_table ? PRIV_LEVEL_DB : PRIV_LEVEL_TABLE;
    }
    if (g->schema.ptr == NULL) {
        if (!s->has_schema) {
            return my_error(&s->diag, ER_NO_DB_ERROR);
        }
        r->object.schema = s->schema;
    }
    if (slice_eq_nocase(r->object.schema, SLICE_LIT("information_schema"))) {
        return priv_deny_schema(&s->priv, r->object.schema, &s->diag);
    }
    return ERR_OK;
}

static db_err read_dynamic(struct sql_session *s, struct request *r, const struct ast_privilege *p)
{
    int n = dyn_by_name(p->name);
    if (n < 0) {
        return my_error(&s->diag, ER_SYNTAX_ERROR);
    }
    if (p->columns.count != 0) {
        return illegal(s);
    }
    if (r->level != PRIV_LEVEL_GLOBAL) {
        /* MYSQL: of a table its name is told. */
        return my_error(&s->diag, ER_ILLEGAL_PRIVILEGE_LEVEL,
                        r->level == PRIV_LEVEL_TABLE ? arena_strdup(&s->stmt_arena, r->object.name)
                                                     : dyn_names[n]);
    }
    r->dynamic |= (priv_dyn_t)1 << n;
    return ERR_OK;
}

static db_err read_privileges(struct sql_session *s, struct request *r)
{
    const struct ast_grant *g = r->ast;
    for (uint32_t i = 0; i < g->privileges.count; i++) {
        const struct ast_privilege *p = g->privileges.items[i];
        bool usage;
        if (p->is_identifier) {
            TRY(read_dynamic(s, r, p));
            continue;
        }
        priv_t bit = priv_by_words(p->name, &usage);
        if (bit == 0 && !usage) {
            return my_error(&s->diag, ER_SYNTAX_ERROR);
        }
        if (p->columns.count != 0) {
            if (r->level != PRIV_LEVEL_TABLE || (bit & ~priv_all(PRIV_LEVEL_COLUMN, false)) != 0) {
                return illegal(s);
            }
            r->columns |= bit;
        } else {
            r->privs |= bit;
        }
    }
    if (g->with_grant_option) {
        r->privs |= PRIV_GRANT;
    }
    priv_t wrong = r->privs & ~priv_all(r->level, true);
    if (wrong != 0 && r->level == PRIV_LEVEL_DB) {
        return my_error(&s->diag, ER_WRONG_USAGE, "DB GRANT", "GLOBAL PRIVILEGES");
    }
    return wrong != 0 ? illegal(s) : ERR_OK;
}

static db_err read_request(struct sql_session *s, const struct ast_grant *g, bool revoke,
                           struct request *r)
{
    *r = (struct request){.ast = g, .revoke = revoke};
    if (g->as_user != NULL && !g->any_schema) {
        return my_error(&s->diag, ER_UNSUPPORTED_USE_OF_GRANT_AS);
    }
    TRY(read_level(s, r));
    if (g->all) {
        r->privs = priv_all(r->level, g->with_grant_option);
        r->dynamic = r->level == PRIV_LEVEL_GLOBAL ? DYN_ALL : 0;
    } else {
        TRY(read_privileges(s, r));
    }
    const char *grantor =
        arena_printf(&s->stmt_arena, "%.*s@%.*s", SLICE_FMT(s->priv.user), SLICE_FMT(s->host));
    r->object.grantor = slice_str(grantor == NULL ? "" : grantor);
    return ERR_OK;
}

/* ---- the right to give ---- */

static db_err may_give_dynamic(struct sql_session *s, const struct request *r)
{
    priv_dyn_t mine = 0;
    for (uint32_t i = 0; i < s->priv.subject.count; i++) {
        const struct acl_user *u = s->priv.subject.members[i];
        mine |= u == NULL ? 0 : u->dynamic_grant;
    }
    return (r->dynamic & ~mine) == 0
               ? ERR_OK
               : my_error(&s->diag, ER_SPECIFIC_ACCESS_DENIED_ERROR, "GRANT OPTION");
}

/* Columns given away may be those that the session has on the columns itself. */
static priv_t on_columns(struct sql_session *s, const struct request *r)
{
    priv_t have = r->columns;
    for (uint32_t i = 0; i < r->ast->privileges.count; i++) {
        const struct ast_privilege *p = r->ast->privileges.items[i];
        bool usage;
        for (uint32_t k = 0; k < p->columns.count; k++) {
            priv_t bit = priv_by_words(p->name, &usage);
            if ((priv_on_column(&s->priv.subject, r->object.schema, r->object.name,
                                p->columns.items[k]->name) &
                 bit) == 0) {
                have &= ~bit;
            }
        }
    }
    return have;
}

static db_err may_give(struct sql_session *s, const struct request *r)
{
    const struct priv_subject *me = &s->priv.subject;
    priv_t want = r->privs | r->columns | PRIV_GRANT;
    priv_t missing;
    switch (r->level) {
    case PRIV_LEVEL_GLOBAL:
        if (r->privs != 0 || r->dynamic == 0) {
            TRY((want & ~me->global) == 0 ? ERR_OK : priv_deny_account(&s->priv, &s->diag));
        }
        return may_give_dynamic(s, r);
    case PRIV_LEVEL_DB:
        return (want & ~priv_on_pattern(me, r->object.schema)) == 0
                   ? ERR_OK
                   : priv_deny_schema(&s->priv, r->object.schema, &s->diag);
    case PRIV_LEVEL_ROUTINE:
        missing = want & ~priv_on_routine(me, r->routine, r->object.schema, r->object.name);
        return missing == 0 ? ERR_OK : priv_deny_table(&s->priv, missing, r->object.name, &s->diag);
    case PRIV_LEVEL_TABLE:
    case PRIV_LEVEL_COLUMN: break;
    }
    missing = want & ~(priv_on_table(me, r->object.schema, r->object.name, NULL) |
                       (on_columns(s, r) & ~r->privs));
    if (r->ast->all) { /* MYSQL: of ALL the right to grant is told only when it alone is missing */
        missing = (missing & ~(priv_t)PRIV_GRANT) != 0 ? missing & ~(priv_t)PRIV_GRANT : missing;
    }
    return missing == 0 ? ERR_OK : priv_deny_table(&s->priv, missing, r->object.name, &s->diag);
}

/* ---- the object ---- */

static db_err check_columns(struct sql_session *s, const struct request *r,
                            const struct table_def *t)
{
    for (uint32_t i = 0; i < r->ast->privileges.count; i++) {
        const struct ast_privilege *p = r->ast->privileges.items[i];
        for (uint32_t k = 0; k < p->columns.count; k++) {
            const struct column_def *c = table_column(t, p->columns.items[k]->name);
            if (c == NULL || c->hidden) {
                return my_error(&s->diag, ER_BAD_FIELD_ERROR,
                                arena_strdup(&s->stmt_arena, p->columns.items[k]->name),
                                arena_strdup(&s->stmt_arena, r->object.name));
            }
        }
    }
    return ERR_OK;
}

static db_err check_object(struct sql_session *s, const struct request *r)
{
    static const char *const kinds[] = {"FUNCTION", "PROCEDURE", "LIBRARY"};
    if (r->revoke) {
        return ERR_OK;
    }
    if (r->level == PRIV_LEVEL_ROUTINE) {
        return my_error(&s->diag, ER_SP_DOES_NOT_EXIST, kinds[r->routine],
                        arena_strdup(&s->stmt_arena, r->object.name));
    }
    if (r->level != PRIV_LEVEL_TABLE) {
        return ERR_OK;
    }
    const struct catalog_snapshot *snap = catalog_acquire(s->engine->catalog);
    const struct table_def *t = snapshot_table(snap, r->object.schema, r->object.name);
    db_err err = ERR_OK;
    if (t != NULL) {
        err = check_columns(s, r, t);
    } else if ((r->privs & PRIV_CREATE) == 0 || r->columns != 0) {
        err = my_error(&s->diag, ER_NO_SUCH_TABLE, arena_strdup(&s->stmt_arena, r->object.schema),
                       arena_strdup(&s->stmt_arena, r->object.name));
    }
    catalog_release(snap);
    return err;
}

/* ---- applying ---- */

static db_err nonexisting(struct sql_session *s, const struct request *r, const struct acl_user *u)
{
    struct arena *a = &s->stmt_arena;
    const char *user = arena_strdup(a, u->user);
    const char *host = arena_strdup(a, u->host);
    const char *name = arena_strdup(a, r->object.name);
    db_err err;
    if (user == NULL || host == NULL || name == NULL) {
        return ERR_LIMIT;
    }
    if (r->level == PRIV_LEVEL_TABLE) {
        err = my_error(&s->diag, ER_NONEXISTING_TABLE_GRANT, user, host, name);
    } else if (r->level == PRIV_LEVEL_ROUTINE) {
        err = my_error(&s->diag, ER_NONEXISTING_PROC_GRANT, user, host, name);
    } else {
        err = my_error(&s->diag, ER_NONEXISTING_GRANT, user, host);
    }
    if (!r->ast->if_exists) {
        return err;
    }
    diag_area_add(&s->conditions, DIAG_WARNING, &s->diag);
    diag_reset(&s->diag);
    return ERR_OK;
}

static priv_t db_privs(const struct acl_user *u, struct slice pattern)
{
    for (uint32_t i = 0; i < u->db_count; i++) {
        if (slice_eq(u->dbs[i].name, pattern)) {
            return u->dbs[i].privs;
        }
    }
    return 0;
}

static priv_t restricted(const struct acl_user *u, struct slice schema)
{
    for (uint32_t i = 0; i < u->restriction_count; i++) {
        if (slice_eq(u->restrictions[i].name, schema)) {
            return u->restrictions[i].privs;
        }
    }
    return 0;
}

/* What the grantor may do at *.* but not in the database: all who give it are restricted there. */
static priv_t grantor_restricted(const struct priv_subject *grantor, struct slice schema)
{
    priv_t held = 0;
    priv_t free = 0;
    for (uint32_t i = 0; i < grantor->count; i++) {
        const struct acl_user *m = grantor->members[i];
        if (m != NULL) {
            held |= m->global;
            free |= m->global & ~restricted(m, schema);
        }
    }
    return held & ~free;
}

/* MYSQL: partial revokes of the grantor come with what is granted, to an account that did not have
 * it; one that has it restricted keeps what both lack. */
static db_err inherit_restriction(const struct request *r, struct acl_user *u, struct slice schema)
{
    priv_t mine = restricted(u, schema);
    priv_t theirs = grantor_restricted(r->grantor, schema);
    priv_t given = r->privs & theirs & (mine | ~u->global);
    return acl_user_set_restriction(u, schema, (mine & ~r->privs) | given);
}

/* Before the privileges themselves are given. */
static db_err inherit_restrictions(const struct request *r, struct acl_user *u)
{
    for (uint32_t i = u->restriction_count; i-- > 0;) {
        TRY(inherit_restriction(r, u, u->restrictions[i].name));
    }
    for (uint32_t i = 0; i < r->grantor->count; i++) {
        const struct acl_user *m = r->grantor->members[i];
        for (uint32_t k = 0; m != NULL && k < m->restriction_count; k++) {
            TRY(inherit_restriction(r, u, m->restrictions[k].name));
        }
    }
    return ERR_OK;
}

static db_err apply_global(const struct request *r, struct acl_user *u)
{
    bool grant = (r->privs & PRIV_GRANT) != 0;
    if (r->revoke) {
        for (uint32_t i = u->restriction_count; i-- > 0;) {
            TRY(acl_user_set_restriction(u, u->restrictions[i].name,
                                         u->restrictions[i].privs & ~r->privs));
        }
        u->global &= ~r->privs;
        u->dynamic &= ~r->dynamic;
        u->dynamic_grant &= ~r->dynamic;
        if (grant && !r->ast->all) {
            u->dynamic_grant = 0;
        }
        return ERR_OK;
    }
    TRY(inherit_restrictions(r, u));
    /* MYSQL: GRANT OPTION of a statement about dynamic privileges alone is theirs alone. */
    u->global |= r->dynamic != 0 && !r->ast->all && r->privs == PRIV_GRANT ? 0 : r->privs;
    u->dynamic |= r->dynamic;
    u->dynamic_grant |= grant ? r->dynamic : 0;
    return ERR_OK;
}

/* With partial_revokes, what is granted at *.* can be taken away for one database. */
static db_err apply_db(struct sql_session *s, const struct request *r, struct acl_user *u)
{
    struct sysvar_globals *g = engine__globals(s->engine);
    bool partial = g->values[VAR_partial_revokes].i != 0;
    sysvar_globals_unref(g);
    struct slice schema = r->object.schema;
    priv_t old = db_privs(u, schema);
    priv_t cut = restricted(u, schema);
    if (!r->revoke) {
        TRY(acl_user_set_restriction(u, schema, cut & ~r->privs));
        priv_t back = cut & r->privs & u->global; /* given again by lifting the restriction */
        return acl_user_set_db(u, schema, old | (r->privs & ~back));
    }
    /* MYSQL: what the database's own grant gives goes first. */
    priv_t taken = partial ? r->privs & u->global & ~(priv_t)PRIV_GRANT & ~old : 0;
    priv_t held = (old & r->privs) | taken;
    if (held == 0 || (!r->ast->all && held != r->privs)) { /* MYSQL: of a database all or nothing */
        TRY(nonexisting(s, r, u));
    }
    TRY(acl_user_set_restriction(u, schema, cut | taken));
    return acl_user_set_db(u, schema, old & ~r->privs);
}

static priv_t column_privs(const struct acl_user *u, const struct request *r, struct slice column)
{
    const struct acl_table *t = acl_table_of(u, r->object.schema, r->object.name);
    for (uint32_t i = 0; t != NULL && i < t->column_count; i++) {
        if (slice_eq_nocase(t->columns[i].name, column)) {
            return t->columns[i].privs;
        }
    }
    return 0;
}

/* A privilege taken from the table goes from its columns, too. */
static db_err take_from_columns(const struct request *r, struct acl_user *u)
{
    const struct acl_table *t = acl_table_of(u, r->object.schema, r->object.name);
    for (uint32_t i = t == NULL ? 0 : t->column_count; i-- > 0;) {
        struct slice name = t->columns[i].name;
        TRY(acl_user_set_column(u, &r->object, name, t->columns[i].privs & ~r->privs));
        t = acl_table_of(u, r->object.schema, r->object.name);
        if (t == NULL) {
            break;
        }
    }
    return ERR_OK;
}

/* MYSQL: with a column that lacks the privilege nothing is taken. */
static db_err columns_have(struct sql_session *s, const struct request *r, const struct acl_user *u)
{
    for (uint32_t i = 0; i < r->ast->privileges.count; i++) {
        const struct ast_privilege *p = r->ast->privileges.items[i];
        bool usage;
        priv_t bit = priv_by_words(p->name, &usage);
        for (uint32_t k = 0; k < p->columns.count; k++) {
            if ((column_privs(u, r, p->columns.items[k]->name) & bit) == 0) {
                TRY(nonexisting(s, r, u));
            }
        }
    }
    return ERR_OK;
}

static db_err apply_columns(const struct request *r, struct acl_user *u)
{
    for (uint32_t i = 0; i < r->ast->privileges.count; i++) {
        const struct ast_privilege *p = r->ast->privileges.items[i];
        bool usage;
        priv_t bit = priv_by_words(p->name, &usage);
        for (uint32_t k = 0; k < p->columns.count; k++) {
            struct slice name = p->columns.items[k]->name;
            priv_t old = column_privs(u, r, name);
            TRY(acl_user_set_column(u, &r->object, name, r->revoke ? old & ~bit : old | bit));
        }
    }
    return ERR_OK;
}

static db_err apply_table(struct sql_session *s, const struct request *r, struct acl_user *u)
{
    const struct acl_table *t = acl_table_of(u, r->object.schema, r->object.name);
    priv_t old = t == NULL ? 0 : t->privs;
    priv_t columns = t == NULL ? 0 : acl_table_columns(t);
    if (r->revoke) {
        if (t == NULL || ((r->privs & (old | columns)) == 0 && (r->columns & columns) == 0)) {
            return nonexisting(s, r, u);
        }
        TRY(columns_have(s, r, u));
        TRY(take_from_columns(r, u));
        TRY(apply_columns(r, u));
        return acl_user_set_table(u, &r->object, old & ~r->privs);
    }
    if ((old | r->privs) != 0) {
        TRY(acl_user_set_table(u, &r->object, old | r->privs));
    }
    return apply_columns(r, u);
}

static db_err apply_routine(struct sql_session *s, const struct request *r, struct acl_user *u)
{
    const struct acl_routine *w = acl_routine_of(u, r->routine, r->object.schema, r->object.name);
    if (r->revoke && (w == NULL || (w->privs & r->privs) == 0)) {
        return nonexisting(s, r, u);
    }
    priv_t old = w == NULL ? 0 : w->privs;
    return acl_user_set_routine(u, r->routine, &r->object,
                                r->revoke ? old & ~r->privs : old | r->privs);
}

static db_err apply(struct sql_session *s, const struct request *r, struct acl_user *u)
{
    switch (r->level) {
    case PRIV_LEVEL_GLOBAL: return apply_global(r, u);
    case PRIV_LEVEL_DB: return apply_db(s, r, u);
    case PRIV_LEVEL_ROUTINE: return apply_routine(s, r, u);
    case PRIV_LEVEL_TABLE:
    case PRIV_LEVEL_COLUMN: break;
    }
    return apply_table(s, r, u);
}

/* ---- accounts of the statement ---- */

static db_err unknown_user(struct sql_session *s, const struct ast_grant *g, bool revoke,
                           const struct acl_name *n, enum my_errno error)
{
    const char *user = arena_strdup(&s->stmt_arena, n->user);
    if (user == NULL) {
        return ERR_LIMIT;
    }
    if (g->ignore_unknown_user) {
        diag_area_warn(&s->conditions, ER_USER_DOES_NOT_EXIST, user);
        return ERR_OK;
    }
    switch ((int)error) {
    case ER_UNKNOWN_AUTHID:
        return my_error(&s->diag, error, user, arena_strdup(&s->stmt_arena, n->host));
    case ER_REVOKE_GRANTS: return my_error(&s->diag, error);
    default: break;
    }
    return revoke ? my_error(&s->diag, ER_NONEXISTING_GRANT, user,
                             arena_strdup(&s->stmt_arena, n->host))
                  : my_error(&s->diag, ER_CANT_CREATE_USER_WITH_GRANT);
}

static db_err each_user(struct sql_session *s, const struct request *r, struct acl_change *c)
{
    const struct ast_grant *g = r->ast;
    for (uint32_t i = 0; i < g->users.count; i++) {
        struct acl_name n;
        struct acl_user *u;
        TRY(account__name(s, g->users.items[i], &n));
        TRY(account__may_change(s, acl_change_view(c), &n));
        TRY(acl_change_edit(c, n.user, n.host, &u));
        TRY(u == NULL ? unknown_user(s, g, r->revoke, &n, ER_NONEXISTING_GRANT) : apply(s, r, u));
    }
    return ERR_OK;
}

static db_err revoke_everything(struct sql_session *s, const struct ast_grant *g,
                                struct acl_change *c)
{
    for (uint32_t i = 0; i < g->users.count; i++) {
        struct acl_name n;
        struct acl_user *u;
        TRY(account__name(s, g->users.items[i], &n));
        TRY(account__may_change(s, acl_change_view(c), &n));
        TRY(acl_change_edit(c, n.user, n.host, &u));
        if (u == NULL) {
            TRY(unknown_user(s, g, true, &n, ER_REVOKE_GRANTS));
        } else {
            acl_user_clear(u);
        }
    }
    return ERR_OK;
}

/* ---- proxies ---- */

static db_err may_proxy(struct sql_session *s, const struct acl_name *proxied)
{
    const struct acl_user *self = priv_self(&s->priv);
    bool same =
        slice_eq(proxied->user, s->priv.user) && slice_eq_nocase(proxied->host, s->priv.host);
    for (uint32_t i = 0; self != NULL && i < self->proxy_count && !same; i++) {
        const struct acl_name *p = &self->proxies[i].proxied;
        same = self->proxies[i].with_grant &&
               ((p->user.len == 0 && p->host.len == 0) ||
                (slice_eq(p->user, proxied->user) && slice_eq_nocase(p->host, proxied->host)));
    }
    return same ? ERR_OK
                : my_error(&s->diag, ER_ACCESS_DENIED_NO_PASSWORD_ERROR,
                           arena_strdup(&s->stmt_arena, s->priv.user),
                           arena_strdup(&s->stmt_arena, s->host));
}

static db_err proxies(struct sql_session *s, const struct ast_grant *g, bool revoke,
                      struct acl_change *c)
{
    struct acl_name proxied;
    TRY(account__name(s, g->proxy, &proxied));
    TRY(may_proxy(s, &proxied));
    const char *grantor =
        arena_printf(&s->stmt_arena, "%.*s@%.*s", SLICE_FMT(s->priv.user), SLICE_FMT(s->host));
    for (uint32_t i = 0; i < g->users.count; i++) {
        struct acl_name n;
        struct acl_user *u;
        TRY(account__name(s, g->users.items[i], &n));
        TRY(acl_change_edit(c, n.user, n.host, &u));
        if (u == NULL) {
            TRY(unknown_user(s, g, revoke, &n, ER_NONEXISTING_GRANT));
        } else if (!revoke) {
            TRY(acl_user_set_proxy(u, &proxied, g->with_grant_option,
                                   slice_str(grantor == NULL ? "" : grantor)));
        } else if (!acl_user_remove_proxy(u, &proxied)) {
            struct request r = {.ast = g, .level = PRIV_LEVEL_GLOBAL};
            TRY(nonexisting(s, &r, u));
        }
    }
    return ERR_OK;
}

/* ---- roles ---- */

/* Is the account among the roles of the role, directly or not? Each role is looked at once,
 * however many ways lead to it. */
static db_err leads_to(struct sql_session *s, const struct acl *acl, const struct acl_name *role,
                       const struct acl_name *user, bool *ret)
{
    const struct acl_user *to = acl_find(acl, user->user, user->host);
    const struct acl_user **seen =
        ARENA_ARRAY(&s->stmt_arena, const struct acl_user *, acl->count + 1u);
    uint32_t count = 0;
    if (seen == NULL) {
        return ERR_LIMIT;
    }
    seen[count++] = acl_find(acl, role->user, role->host);
    for (uint32_t i = 0; i < count && seen[i] != NULL && seen[i] != to; i++) {
        for (uint32_t k = 0; k < seen[i]->role_count; k++) {
            const struct acl_name *n = &seen[i]->roles[k].name;
            const struct acl_user *u = acl_find(acl, n->user, n->host);
            uint32_t at = 0;
            while (at < count && seen[at] != u) {
                at++;
            }
            if (u != NULL && at == count) {
                seen[count++] = u;
            }
        }
    }
    *ret = false;
    for (uint32_t i = 0; i < count; i++) {
        *ret = *ret || seen[i] == to;
    }
    return ERR_OK;
}

db_err account__may_give_role(struct sql_session *s, const struct acl_name *role)
{
    for (uint32_t i = 0; i < s->priv.subject.count; i++) {
        const struct acl_user *u = s->priv.subject.members[i];
        const struct acl_role *r = u == NULL ? NULL : acl_role_of(u, role);
        if (r != NULL && r->admin) {
            return ERR_OK;
        }
    }
    return priv_need_any(&s->priv, PRIV_SUPER, DYN_BIT(ROLE_ADMIN), "WITH ADMIN, ROLE_ADMIN, SUPER",
                         &s->diag);
}

static db_err give_role(struct sql_session *s, struct acl_change *c, const struct acl_name *role,
                        const struct acl_name *user, bool admin)
{
    struct acl_user *u;
    bool circle;
    TRY(leads_to(s, acl_change_view(c), role, user, &circle));
    if (circle) {
        return my_error(&s->diag, ER_ROLE_GRANTED_TO_ITSELF,
                        grants_name(&s->stmt_arena, user->user, user->host),
                        grants_name(&s->stmt_arena, role->user, role->host));
    }
    TRY(acl_change_edit(c, user->user, user->host, &u));
    return acl_user_add_role(u, role, admin);
}

static db_err check_not_mandatory(struct sql_session *s, const struct acl_name *role)
{
    struct acl_name *all;
    uint32_t count;
    TRY(account__mandatory(s, &s->stmt_arena, &all, &count));
    for (uint32_t i = 0; i < count; i++) {
        if (slice_eq(all[i].user, role->user) && slice_eq_nocase(all[i].host, role->host)) {
            return my_error(&s->diag, ER_MANDATORY_ROLE,
                            grants_name(&s->stmt_arena, role->user, role->host));
        }
    }
    return ERR_OK;
}

static db_err unknown_role(struct sql_session *s, const struct ast_grant *g,
                           const struct acl_name *role)
{
    db_err err = my_error(&s->diag, ER_UNKNOWN_AUTHID, arena_strdup(&s->stmt_arena, role->user),
                          arena_strdup(&s->stmt_arena, role->host));
    if (!g->if_exists) {
        return err;
    }
    diag_area_add(&s->conditions, DIAG_WARNING, &s->diag);
    diag_reset(&s->diag);
    return ERR_OK;
}

db_err account__roles(struct sql_session *s, const struct ast_grant *g, struct acl_change *c,
                      bool revoke)
{
    for (uint32_t i = 0; i < g->roles.count; i++) {
        struct acl_name role;
        TRY(account__name(s, g->roles.items[i], &role));
        TRY(account__may_give_role(s, &role));
        TRY(account__may_change(s, acl_change_view(c), &role));
        TRY(revoke ? check_not_mandatory(s, &role) : ERR_OK);
        for (uint32_t k = 0; k < g->users.count; k++) {
            struct acl_name user;
            struct acl_user *u;
            TRY(account__name(s, g->users.items[k], &user));
            TRY(account__may_change(s, acl_change_view(c), &user));
            if (acl_find(acl_change_view(c), user.user, user.host) == NULL) {
                TRY(unknown_user(s, g, revoke, &user, ER_UNKNOWN_AUTHID));
                continue;
            }
            if (acl_find(acl_change_view(c), role.user, role.host) == NULL) {
                TRY(unknown_role(s, g, &role));
                continue;
            }
            if (!revoke) {
                TRY(give_role(s, c, &role, &user, g->with_admin_option));
            } else {
                TRY(acl_change_edit(c, user.user, user.host, &u));
                acl_user_remove_role(u, &role);
            }
        }
    }
    return ERR_OK;
}

/* ---- the statements ---- */

/* GRANT ... AS user WITH ROLE ...: as that user, with these roles, would give it. */
static db_err log_in_as(struct sql_session *s, const struct ast_grant *g, struct priv_session *p)
{
    struct acl_name n;
    struct acl_name *roles;
    uint32_t count;
    TRY(account__name(s, g->as_user, &n));
    TRY(priv_login(p, s->engine->accounts, n.user, n.host, n.host, SLICE_EMPTY, PRIV_ROLES_DEFAULT,
                   s->priv.mandatory, s->priv.mandatory_count));
    if (priv_self(p) == NULL) {
        return my_error(&s->diag, ER_UKNOWN_AUTH_ID_OR_ACCESS_DENIED_FOR_GRANT_AS);
    }
    if (g->as_roles == NULL) {
        return ERR_OK;
    }
    if (account__choose_roles(s, p, g->as_roles, &roles, &count) != ERR_OK) {
        diag_reset(&s->diag);
        return my_error(&s->diag, ER_UKNOWN_AUTH_ID_OR_ACCESS_DENIED_FOR_GRANT_AS);
    }
    TRY(priv_set_roles(p, roles, count));
    return priv_refresh_slow(p);
}

/* MYSQL: nobody gives away in another's name what is partially revoked from himself. */
static db_err check_own_restrictions(struct sql_session *s, const struct request *r)
{
    const struct priv_subject *me = &s->priv.subject;
    for (uint32_t i = 0; i < me->count; i++) {
        const struct acl_user *m = me->members[i];
        for (uint32_t k = 0; m != NULL && k < m->restriction_count; k++) {
            struct slice schema = m->restrictions[k].name;
            if ((r->privs & grantor_restricted(me, schema) &
                 ~grantor_restricted(r->grantor, schema)) != 0) {
                return my_error(&s->diag, ER_UKNOWN_AUTH_ID_OR_ACCESS_DENIED_FOR_GRANT_AS);
            }
        }
    }
    return ERR_OK;
}

static db_err apply_to_users(struct sql_session *s, const struct ast_grant *g, struct request *r,
                             struct acl_change *c)
{
    struct priv_session as = {.accounts = NULL};
    bool other = g->as_user != NULL && !g->as_user->current;
    db_err err = other ? log_in_as(s, g, &as) : ERR_OK;
    r->grantor = other ? &as.subject : &s->priv.subject;
    err = err == ERR_OK && other ? check_own_restrictions(s, r) : err;
    err = err == ERR_OK ? each_user(s, r, c) : err;
    priv_fini(&as);
    return err;
}

static db_err run(struct sql_session *s, const struct ast_grant *g, bool revoke,
                  struct acl_change *c)
{
    struct request r;
    if (g->kind == AST_GRANT_PROXY) {
        return proxies(s, g, revoke, c);
    }
    if (g->kind == AST_GRANT_ROLES) {
        return account__roles(s, g, c, revoke);
    }
    if (revoke && !g->has_on) {
        TRY(priv_need_any(&s->priv, PRIV_CREATE_USER, 0, "CREATE USER", &s->diag));
        return revoke_everything(s, g, c);
    }
    TRY(read_request(s, g, revoke, &r));
    TRY(may_give(s, &r));
    TRY(check_object(s, &r));
    return apply_to_users(s, g, &r, c);
}

static db_err grant_or_revoke(struct statement *st, const struct ast_grant *g, bool revoke)
{
    struct sql_session *s = st->session;
    struct acl_change *c;
    TRY(acl_change_begin(s->engine->accounts, &s->diag, &c));
    db_err err = run(s, g, revoke, c);
    if (err != ERR_OK) {
        acl_change_abort(c);
        return err;
    }
    TRY(account__commit(s, c));
    return session__ok(st, 0, SLICE_EMPTY);
}

db_err account__grant(struct statement *st, const struct ast_grant *g)
{
    return grant_or_revoke(st, g, false);
}

db_err account__revoke(struct statement *st, const struct ast_grant *g)
{
    return grant_or_revoke(st, g, true);
}
