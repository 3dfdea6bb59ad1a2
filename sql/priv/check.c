#include "sql/priv/check.h"

#include <stdio.h>

#include "base/alloc.h"
#include "sql/diag/my_error.h"
#include "sql/priv/acl_int.h"

/* ---- subjects ---- */

static void add_up(struct priv_subject *s, const struct acl_user *u)
{
    s->dynamic |= u->dynamic;
    s->restricted = s->restricted || u->restriction_count != 0;
}

static bool is_member(const struct priv_subject *s, const struct acl_user *u)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->members[i] == u) {
            return true;
        }
    }
    return false;
}

static void add_member(struct priv_subject *s, const struct acl *acl, const struct acl_name *name)
{
    const struct acl_user *u = acl_find(acl, name->user, name->host);
    if (u != NULL && !is_member(s, u)) {
        s->members[s->count++] = u;
        add_up(s, u);
    }
}

/* Roles bring the roles that are granted to them. */
static void add_roles_of_roles(struct priv_subject *s, const struct acl *acl)
{
    for (uint32_t i = 1; i < s->count; i++) {
        const struct acl_user *u = s->members[i];
        for (uint32_t k = 0; u != NULL && k < u->role_count; k++) {
            add_member(s, acl, &u->roles[k].name);
        }
    }
}

struct priv_subject priv_subject_of(const struct acl_user **slot)
{
    struct priv_subject s = {.members = slot, .count = 1, .global = (*slot)->global};
    add_up(&s, *slot);
    return s;
}

/* ---- sessions ---- */

const struct acl_user *priv_self(const struct priv_session *p)
{
    return p->subject.count == 0 ? NULL : p->subject.members[0];
}

bool priv_may_set_role(const struct priv_session *p, const struct acl_name *role)
{
    const struct acl_user *self = priv_self(p);
    for (uint32_t i = 0; i < p->mandatory_count; i++) {
        if (name__eq(&p->mandatory[i], role)) {
            return true;
        }
    }
    return self != NULL && acl_role_of(self, role) != NULL;
}

static bool address_fits(const struct priv_session *p, const struct acl_user *u)
{
    return p->client_address.len != 0 && acl_host_fits(u->account.host, p->client_address);
}

static bool goes_beside(const struct priv_session *p, const struct acl_user *u)
{
    const struct acl_user *self = priv_self(p);
    bool named = slice_eq(u->user, self->user);
    return (named || (u->user.len == 0 && u->db_count != 0)) &&
           (u == self || acl_host_fits(u->account.host, p->client_host) || address_fits(p, u));
}

/* MYSQL: the client's address comes first, then networks that it is of, then its host's name, then
 * patterns. Below 4,096. */
static unsigned rank_beside(const struct priv_session *p, const struct acl_user *u)
{
    enum { NETWORK = 3001, ADDRESS = 3002 };
    bool network = memchr(u->host.ptr, '/', u->host.len) != NULL;
    return !address_fits(p, u)                           ? acl_host_rank(u, p->client_host)
           : slice_eq_nocase(u->host, p->client_address) ? ADDRESS
           : network                                     ? NETWORK
                                                         : acl_host_rank(u, p->client_host);
}

static db_err add_beside(struct priv_session *p)
{
    const struct acl_user *self = priv_self(p);
    struct priv_subject *s = &p->subject;
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->acl->count; i++) {
        n += goes_beside(p, p->acl->users[i]);
    }
    if (LIKELY(n == 1)) {
        return ERR_OK;
    }
    s->beside = ARENA_ARRAY(&p->arena, struct priv_beside, n);
    if (s->beside == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < p->acl->count; i++) {
        const struct acl_user *u = p->acl->users[i];
        uint32_t at = s->beside_count;
        if (!goes_beside(p, u)) {
            continue;
        }
        struct priv_beside b = {u, rank_beside(p, u), !slice_eq(u->user, self->user)};
        for (; at > 0 && s->beside[at - 1].host_rank < b.host_rank; at--) {
            s->beside[at] = s->beside[at - 1];
        }
        s->beside[at] = b;
        s->beside_count++;
    }
    return ERR_OK;
}

/* Members anew from the generation. A role that is no longer granted stays in CURRENT_ROLE() and
 * gives nothing. */
static db_err add_up_members(struct priv_session *p)
{
    const struct acl *acl = p->acl;
    struct priv_subject s = {
        .count = 1, .current = p->subject.current, .on_current = p->subject.on_current};
    uint32_t room = p->role_count == 0 ? 1 : acl->count + 1u;
    s.members = ARENA_ARRAY(&p->arena, const struct acl_user *, room);
    if (s.members == NULL) {
        return ERR_NOMEM;
    }
    s.members[0] = acl_find(acl, p->user, p->host);
    if (s.members[0] != NULL) {
        add_up(&s, s.members[0]);
    }
    p->subject = s; /* of one member: what priv_may_set_role asks */
    for (uint32_t i = 0; i < p->role_count; i++) {
        if (priv_may_set_role(p, &p->roles[i])) {
            add_member(&s, acl, &p->roles[i]);
        }
    }
    add_roles_of_roles(&s, acl);
    s.global = p->login_global;
    for (uint32_t i = 1; i < s.count; i++) {
        s.global |= s.members[i]->global;
    }
    p->subject = s;
    return p->role_count == 0 && s.members[0] != NULL ? add_beside(p) : ERR_OK;
}

static db_err copy_names(struct arena *a, const struct acl_name *from, uint32_t count,
                         struct acl_name **ret)
{
    struct acl_name *names = ARENA_ARRAY(a, struct acl_name, count);
    if (names == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(arena_copy(a, from[i].user, &names[i].user));
        TRY(arena_copy(a, from[i].host, &names[i].host));
    }
    *ret = names;
    return ERR_OK;
}

db_err priv_refresh_slow(struct priv_session *p)
{
    struct arena fresh;
    struct priv_session next = *p;
    arena_init(&fresh, NULL, NULL, 0);
    next.arena = fresh;
    next.generation = accounts_generation(p->accounts);
    next.acl = accounts_acquire(p->accounts);
    db_err err = copy_names(&next.arena, p->roles, p->role_count, &next.roles);
    err = err == ERR_OK ? copy_names(&next.arena, p->mandatory, p->mandatory_count, &next.mandatory)
                        : err;
    err = err == ERR_OK ? arena_copy(&next.arena, p->user, &next.user) : err;
    err = err == ERR_OK ? arena_copy(&next.arena, p->host, &next.host) : err;
    err = err == ERR_OK ? arena_copy(&next.arena, p->client_host, &next.client_host) : err;
    err = err == ERR_OK ? arena_copy(&next.arena, p->client_address, &next.client_address) : err;
    err = err == ERR_OK ? add_up_members(&next) : err;
    if (err != ERR_OK) {
        acl_release(next.acl);
        arena_fini(&next.arena);
        return err;
    }
    acl_release(p->acl);
    arena_fini(&p->arena);
    *p = next;
    return ERR_OK;
}

static int cmp_names(const struct acl_name *a, const struct acl_name *b)
{
    return name__cmp(a->user, a->host, b->user, b->host);
}

db_err priv_set_roles(struct priv_session *p, const struct acl_name *roles, uint32_t count)
{
    struct acl_name *sorted = ARENA_ARRAY(&p->arena, struct acl_name, count);
    uint32_t n = 0;
    if (sorted == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct acl_name name;
        uint32_t at = n;
        TRY(arena_copy(&p->arena, roles[i].user, &name.user));
        TRY(arena_copy(&p->arena, roles[i].host, &name.host));
        while (at > 0 && cmp_names(&sorted[at - 1], &name) > 0) {
            at--;
        }
        if (at > 0 && cmp_names(&sorted[at - 1], &name) == 0) {
            continue;
        }
        memmove(&sorted[at + 1], &sorted[at], (n - at) * sizeof(name));
        sorted[at] = name;
        n++;
    }
    const struct acl_user *self = priv_self(p);
    p->roles = sorted;
    p->role_count = n;
    p->login_global = self == NULL ? 0 : self->global;
    TRY(add_up_members(p));
    priv_enter_schema(p, p->subject.current);
    return ERR_OK;
}

static db_err login_roles(struct priv_session *p, enum priv_login_roles which)
{
    const struct acl_user *self = priv_self(p);
    uint32_t n = 0;
    if (self == NULL) {
        return ERR_OK;
    }
    uint32_t room = self->role_count + self->default_role_count + p->mandatory_count;
    struct acl_name *names = ARENA_ARRAY(&p->arena, struct acl_name, room);
    if (names == NULL) {
        return ERR_NOMEM;
    }
    if (which == PRIV_ROLES_ALL) {
        for (uint32_t i = 0; i < self->role_count; i++) {
            names[n++] = self->roles[i].name;
        }
        for (uint32_t i = 0; i < p->mandatory_count; i++) {
            names[n++] = p->mandatory[i];
        }
    } else {
        for (uint32_t i = 0; i < self->default_role_count; i++) {
            names[n++] = self->default_roles[i];
        }
    }
    return priv_set_roles(p, names, n);
}

db_err priv_login(struct priv_session *p, struct accounts *accounts, struct slice user,
                  struct slice host, struct slice client_host, struct slice client_address,
                  enum priv_login_roles roles, const struct acl_name *mandatory,
                  uint32_t mandatory_count)
{
    struct priv_session s = {.accounts = accounts};
    arena_init(&s.arena, NULL, NULL, 0);
    s.generation = accounts_generation(accounts);
    s.acl = accounts_acquire(accounts);
    db_err err = arena_copy(&s.arena, user, &s.user);
    err = err == ERR_OK ? arena_copy(&s.arena, host, &s.host) : err;
    err = err == ERR_OK ? arena_copy(&s.arena, client_host, &s.client_host) : err;
    err = err == ERR_OK ? arena_copy(&s.arena, client_address, &s.client_address) : err;
    err = err == ERR_OK ? copy_names(&s.arena, mandatory, mandatory_count, &s.mandatory) : err;
    s.mandatory_count = err == ERR_OK ? mandatory_count : 0;
    err = err == ERR_OK ? add_up_members(&s) : err;
    if (err == ERR_OK) {
        s.login_global = priv_self(&s) == NULL ? 0 : priv_self(&s)->global;
        s.subject.global = s.login_global;
        err = login_roles(&s, roles);
    }
    if (err != ERR_OK) {
        priv_fini(&s);
        return err;
    }
    priv_fini(p);
    *p = s;
    return ERR_OK;
}

void priv_fini(struct priv_session *p)
{
    if (p->accounts != NULL) {
        acl_release(p->acl);
        arena_fini(&p->arena);
    }
    *p = (struct priv_session){.accounts = NULL};
}

/* ---- objects ---- */

typedef bool (*db_match)(struct slice pattern, struct slice schema);

/* MYSQL: of the patterns of an account that fit, the most specific one alone counts. */
static priv_t schema_of_member(const struct acl_user *u, struct slice schema, db_match fits)
{
    const struct acl_named *best = NULL;
    for (uint32_t i = 0; i < u->db_count; i++) {
        const struct acl_named *d = &u->dbs[i];
        if (fits(d->name, schema) &&
            (best == NULL || acl_specificity(d->name) > acl_specificity(best->name))) {
            best = d;
        }
    }
    return best == NULL ? 0 : best->privs;
}

/* MYSQL: the host decides, then the pattern, then that the account has a name; that one alone
 * counts. */
static priv_t schema_beside(const struct priv_subject *s, struct slice schema, db_match fits)
{
    enum { HOST = 4096, PATTERN = 2 };
    priv_t privs = 0;
    unsigned best = 0;
    for (uint32_t i = 0; i < s->beside_count; i++) {
        const struct priv_beside *b = &s->beside[i];
        for (uint32_t k = 0; k < b->user->db_count; k++) {
            const struct acl_named *d = &b->user->dbs[k];
            unsigned rank =
                b->host_rank * HOST + acl_specificity(d->name) * PATTERN + (b->anonymous ? 1 : 2);
            if (rank > best && fits(d->name, schema)) {
                best = rank;
                privs = d->privs;
            }
        }
    }
    return privs;
}

static priv_t restricted_of_member(const struct acl_user *u, struct slice schema, bool is_pattern)
{
    priv_t all = 0;
    for (uint32_t i = 0; i < u->restriction_count; i++) {
        const struct acl_named *r = &u->restrictions[i];
        if (slice_eq(r->name, schema) || (is_pattern && acl_db_fits(schema, r->name))) {
            all |= r->privs;
        }
    }
    return all;
}

/* A restriction takes from the account's own global privileges; a role may bring them back. */
static priv_t global_on_schema(const struct priv_subject *s, struct slice schema, bool is_pattern)
{
    if (LIKELY(!s->restricted)) {
        return s->global;
    }
    priv_t all = s->global;
    priv_t taken = 0;
    priv_t given = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct acl_user *u = s->members[i];
        priv_t r = u == NULL ? 0 : restricted_of_member(u, schema, is_pattern);
        taken |= r;
        given |= u == NULL ? 0 : u->global & ~r;
    }
    return all & (~taken | given);
}

/* What is granted on the database, without what is granted on all. */
static priv_t schema_alone(const struct priv_subject *s, struct slice schema, db_match fits)
{
    priv_t all = 0;
    if (s->current.ptr != NULL && fits == acl_db_fits && slice_eq(s->current, schema)) {
        return s->on_current;
    }
    if (UNLIKELY(s->beside_count != 0)) {
        return schema_beside(s, schema, fits);
    }
    for (uint32_t i = 0; i < s->count; i++) {
        all |= s->members[i] == NULL ? 0 : schema_of_member(s->members[i], schema, fits);
    }
    return all;
}

struct priv_subject priv_anew(const struct priv_session *p)
{
    struct priv_subject s = p->subject;
    s.current = SLICE_EMPTY;
    return s;
}

void priv_enter_schema(struct priv_session *p, struct slice schema)
{
    struct priv_subject s = priv_anew(p);
    if (schema.len != 0 && schema.len <= sizeof(p->current)) {
        s.on_current = schema_alone(&s, schema, acl_db_fits);
        memmove(p->current, schema.ptr, schema.len);
        s.current = (struct slice){(const uint8_t *)p->current, schema.len};
    }
    p->subject = s;
}

static priv_t on_schema(const struct priv_subject *s, struct slice schema, bool is_pattern)
{
    return global_on_schema(s, schema, is_pattern) |
           schema_alone(s, schema, is_pattern ? acl_db_covers : acl_db_fits);
}

priv_t priv_on_schema(const struct priv_subject *s, struct slice schema)
{
    return on_schema(s, schema, false);
}

priv_t priv_on_pattern(const struct priv_subject *s, struct slice pattern)
{
    return on_schema(s, pattern, true);
}

static const struct acl_table *table_of(const struct priv_subject *s, uint32_t member,
                                        struct slice schema, struct slice table)
{
    const struct acl_table *found = NULL;
    for (uint32_t i = 0; i < s->beside_count && found == NULL; i++) {
        found = s->beside[i].anonymous ? NULL : acl_table_of(s->beside[i].user, schema, table);
    }
    return s->beside_count != 0         ? found
           : s->members[member] == NULL ? NULL
                                        : acl_table_of(s->members[member], schema, table);
}

static const struct acl_routine *routine_of(const struct priv_subject *s, uint32_t member,
                                            enum acl_routine_kind kind, struct slice schema,
                                            struct slice name)
{
    const struct acl_routine *found = NULL;
    for (uint32_t i = 0; i < s->beside_count && found == NULL; i++) {
        found =
            s->beside[i].anonymous ? NULL : acl_routine_of(s->beside[i].user, kind, schema, name);
    }
    return s->beside_count != 0         ? found
           : s->members[member] == NULL ? NULL
                                        : acl_routine_of(s->members[member], kind, schema, name);
}

priv_t priv_on_table(const struct priv_subject *s, struct slice schema, struct slice table,
                     priv_t *ret_columns)
{
    priv_t all = priv_on_schema(s, schema);
    priv_t columns = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct acl_table *t = table_of(s, i, schema, table);
        if (t != NULL) {
            all |= t->privs;
            columns |= acl_table_columns(t);
        }
    }
    if (ret_columns != NULL) {
        *ret_columns = columns;
    }
    return all;
}

priv_t priv_on_column(const struct priv_subject *s, struct slice schema, struct slice table,
                      struct slice column)
{
    priv_t all = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct acl_table *t = table_of(s, i, schema, table);
        for (uint32_t k = 0; t != NULL && k < t->column_count; k++) {
            all |= slice_eq_nocase(t->columns[k].name, column) ? t->columns[k].privs : 0;
        }
    }
    return all;
}

priv_t priv_on_routine(const struct priv_subject *s, enum acl_routine_kind kind,
                       struct slice schema, struct slice name)
{
    priv_t all = priv_on_schema(s, schema);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct acl_routine *r = routine_of(s, i, kind, schema, name);
        all |= r == NULL ? 0 : r->privs;
    }
    return all;
}

static bool table_has_grants(const struct priv_subject *s, struct slice schema, struct slice table)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (table_of(s, i, schema, table) != NULL) {
            return true;
        }
    }
    return false;
}

bool priv_sees_table(const struct priv_subject *s, struct slice schema, struct slice table)
{
    return (priv_on_schema(s, schema) & priv_all(PRIV_LEVEL_TABLE, false)) != 0 ||
           table_has_grants(s, schema, table);
}

bool priv_shows_table(const struct priv_subject *s, struct slice schema, struct slice table)
{
    return (priv_on_schema(s, schema) & PRIV_SELECT) != 0 || table_has_grants(s, schema, table);
}

bool priv_defines_view(const struct priv_subject *s, struct slice schema, struct slice view)
{
    priv_t columns;
    priv_t all = priv_on_table(s, schema, view, &columns);
    return (all & PRIV_SHOW_VIEW) != 0 && ((all | columns) & PRIV_SELECT) != 0;
}

/* grant_counts: also tables of which there is only the right to give privileges to others. */
static bool schema_has_objects(const struct acl_user *u, struct slice schema, bool grant_counts)
{
    for (uint32_t i = 0; i < u->table_count; i++) {
        const struct acl_table *t = &u->tables[i];
        if (slice_eq(t->schema, schema) &&
            (grant_counts || t->column_count != 0 || (t->privs & ~(priv_t)PRIV_GRANT) != 0)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < u->routine_count; i++) {
        if (slice_eq(u->routines[i].schema, schema)) {
            return true;
        }
    }
    return false;
}

static bool has_objects(const struct priv_subject *s, struct slice schema, bool grant_counts)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->members[i] != NULL && schema_has_objects(s->members[i], schema, grant_counts)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < s->beside_count; i++) {
        if (!s->beside[i].anonymous &&
            schema_has_objects(s->beside[i].user, schema, grant_counts)) {
            return true;
        }
    }
    return false;
}

/* MYSQL: the right to give privileges on a database to others is one on it where it came by a
 * role; that of all databases never is. */
static bool on_whole_schema(const struct priv_subject *s, struct slice schema, bool grant_counts)
{
    priv_t counts = priv_all(PRIV_LEVEL_DB, false);
    return slice_eq_nocase(schema, SLICE_LIT("information_schema")) ||
           (priv_on_schema(s, schema) & counts) != 0 ||
           ((grant_counts || s->count > 1) &&
            (schema_alone(s, schema, acl_db_fits) & PRIV_GRANT) != 0);
}

bool priv_sees_schema(const struct priv_subject *s, struct slice schema)
{
    return (s->global & PRIV_SHOW_DB) != 0 || slice_eq(schema, SLICE_LIT("performance_schema")) ||
           on_whole_schema(s, schema, true) || has_objects(s, schema, true);
}

bool priv_uses_schema(const struct priv_subject *s, struct slice schema)
{
    return on_whole_schema(s, schema, false) || has_objects(s, schema, s->count > 1);
}

bool priv_lists_schema(const struct priv_subject *s, struct slice schema)
{
    return on_whole_schema(s, schema, false) || has_objects(s, schema, true);
}

/* ---- errors ---- */

enum { TEXT_MAX = 300 };

static const char *cut(char *out, struct slice s)
{
    snprintf(out, TEXT_MAX, "%.*s", SLICE_FMT(s));
    return out;
}

db_err priv_deny_schema(const struct priv_session *p, struct slice schema, struct diag *diag)
{
    char user[TEXT_MAX];
    char host[TEXT_MAX];
    char name[TEXT_MAX];
    return my_error(diag, ER_DBACCESS_DENIED_ERROR, cut(user, p->user), cut(host, p->host),
                    cut(name, schema));
}

db_err priv_deny_account(const struct priv_session *p, struct diag *diag)
{
    char user[TEXT_MAX];
    char host[TEXT_MAX];
    return my_error(diag, ER_ACCESS_DENIED_ERROR, cut(user, p->user), cut(host, p->host),
                    p->used_password ? "YES" : "NO");
}

db_err priv_deny_table(const struct priv_session *p, priv_t missing, struct slice table,
                       struct diag *diag)
{
    char user[TEXT_MAX];
    char host[TEXT_MAX];
    char name[TEXT_MAX];
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    db_err err = my_error(diag, ER_TABLEACCESS_DENIED_ERROR, priv_text(&a, missing),
                          cut(user, p->user), cut(host, p->client_host), cut(name, table));
    arena_fini(&a);
    return err;
}

db_err priv_deny_column(const struct priv_session *p, priv_t missing, struct slice column,
                        struct slice table, struct diag *diag)
{
    char user[TEXT_MAX];
    char host[TEXT_MAX];
    char name[TEXT_MAX];
    char of[TEXT_MAX];
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    db_err err =
        my_error(diag, ER_COLUMNACCESS_DENIED_ERROR, priv_text(&a, missing), cut(user, p->user),
                 cut(host, p->client_host), cut(name, column), cut(of, table));
    arena_fini(&a);
    return err;
}

db_err priv_need_table(const struct priv_session *p, priv_t want, struct slice schema,
                       struct slice table, struct diag *diag)
{
    if (p->accounts == NULL || priv_everywhere(&p->subject, want)) {
        return ERR_OK;
    }
    priv_t missing = want & ~priv_on_table(&p->subject, schema, table, NULL);
    return missing == 0 ? ERR_OK : priv_deny_table(p, missing, table, diag);
}

db_err priv_need_somewhere(const struct priv_session *p, priv_t want, struct slice schema,
                           struct slice table, struct diag *diag)
{
    priv_t columns = 0;
    if (p->accounts == NULL || priv_everywhere(&p->subject, want)) {
        return ERR_OK;
    }
    priv_t have = priv_on_table(&p->subject, schema, table, &columns);
    priv_t missing = want & ~(have | columns);
    return missing == 0 ? ERR_OK : priv_deny_table(p, missing, table, diag);
}

db_err priv_need_schema(const struct priv_session *p, priv_t want, struct slice schema,
                        struct diag *diag)
{
    if (p->accounts == NULL || priv_everywhere(&p->subject, want)) {
        return ERR_OK;
    }
    return (want & ~priv_on_schema(&p->subject, schema)) == 0 ? ERR_OK
                                                              : priv_deny_schema(p, schema, diag);
}

db_err priv_need_any(const struct priv_session *p, priv_t any, priv_dyn_t any_dynamic,
                     const char *text, struct diag *diag)
{
    return p->accounts == NULL || priv_has(&p->subject, any, any_dynamic)
               ? ERR_OK
               : my_error(diag, ER_SPECIFIC_ACCESS_DENIED_ERROR, text);
}
