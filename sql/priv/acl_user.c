/* One account: copying and editing.
 *
 * An edit happens on a copy that nobody else sees yet. Its arrays are in its arena: one that grows
 * leaves the old one behind, which goes when the account is next copied. */
#include "sql/priv/acl_int.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"

/* ---- names ---- */

static int cmp_nocase(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < n; i++) {
        int x = a.ptr[i] >= 'A' && a.ptr[i] <= 'Z' ? a.ptr[i] + 32 : a.ptr[i];
        int y = b.ptr[i] >= 'A' && b.ptr[i] <= 'Z' ? b.ptr[i] + 32 : b.ptr[i];
        if (x != y) {
            return x - y;
        }
    }
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

int name__cmp(struct slice user, struct slice host, struct slice user2, struct slice host2)
{
    int c = slice_cmp(user, user2);
    return c != 0 ? c : cmp_nocase(host, host2);
}

bool name__eq(const struct acl_name *a, const struct acl_name *b)
{
    return name__cmp(a->user, a->host, b->user, b->host) == 0;
}

static db_err copy_name(struct arena *a, const struct acl_name *from, struct acl_name *ret)
{
    TRY(arena_copy(a, from->user, &ret->user));
    return arena_copy(a, from->host, &ret->host);
}

/* ---- arrays ---- */

/* Makes room for one element at `at`. */
static void *insert_at(struct arena *a, void *array, uint32_t *io_count, uint32_t at, size_t size)
{
    uint8_t *grown = arena_calloc(a, *io_count + 1u, size);
    if (grown == NULL) {
        return NULL;
    }
    if (at != 0) {
        memcpy(grown, array, at * size);
    }
    if (at != *io_count) {
        memcpy(grown + (at + 1) * size, (uint8_t *)array + at * size, (*io_count - at) * size);
    }
    (*io_count)++;
    return grown;
}

static void remove_at(void *array, uint32_t *io_count, uint32_t at, size_t size)
{
    uint8_t *p = array;
    (*io_count)--;
    memmove(p + at * size, p + (at + 1) * size, (*io_count - at) * size);
}

#define INSERT_AT(u, array, count, at)                                                             \
    do {                                                                                           \
        void *grown_ = insert_at(&(u)->arena, array, &(count), at, sizeof(*(array)));              \
        if (grown_ == NULL) {                                                                      \
            return ERR_NOMEM;                                                                      \
        }                                                                                          \
        (array) = grown_;                                                                          \
    } while (0)
#define REMOVE_AT(array, count, at) remove_at(array, &(count), at, sizeof(*(array)))

/* privs 0: what is named is no more in the array. */
static db_err set_named(struct acl_user *u, struct acl_named **io, uint32_t *io_count,
                        struct slice name, int (*cmp)(struct slice, struct slice), priv_t privs)
{
    uint32_t at = 0;
    while (at < *io_count && cmp((*io)[at].name, name) < 0) {
        at++;
    }
    bool found = at < *io_count && cmp((*io)[at].name, name) == 0;
    if (privs == 0) {
        if (found) {
            REMOVE_AT(*io, *io_count, at);
        }
        return ERR_OK;
    }
    if (!found) {
        struct slice copy;
        TRY(arena_copy(&u->arena, name, &copy));
        INSERT_AT(u, *io, *io_count, at);
        (*io)[at].name = copy;
    }
    (*io)[at].privs = privs;
    return ERR_OK;
}

static db_err copy_named(struct acl_user *u, const struct acl_named *from, uint32_t count,
                         struct acl_named **ret)
{
    struct acl_named *copy = ARENA_ARRAY(&u->arena, struct acl_named, count);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        copy[i].privs = from[i].privs;
        TRY(arena_copy(&u->arena, from[i].name, &copy[i].name));
    }
    *ret = copy;
    return ERR_OK;
}

/* ---- life ---- */

struct acl_user *user__ref(struct acl_user *u)
{
    atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
    return u;
}

void user__unref(struct acl_user *u)
{
    if (u != NULL && atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) == 1) {
        arena_fini(&u->arena);
        mem_free(u);
    }
}

static db_err set_account(struct acl_user *u, const struct account *account)
{
    struct account *a = &u->account;
    *a = *account;
    u->user = slice_str(a->user);
    u->host = slice_str(a->host);
    TRY(arena_copy(&u->arena, account->tls_cipher, &a->tls_cipher));
    TRY(arena_copy(&u->arena, account->tls_issuer, &a->tls_issuer));
    TRY(arena_copy(&u->arena, account->tls_subject, &a->tls_subject));
    return account->attributes.ptr == NULL
               ? ERR_OK
               : arena_copy(&u->arena, account->attributes, &a->attributes);
}

struct acl_user *user__new(const struct account *account)
{
    struct acl_user *u = mem_calloc(1, sizeof(*u));
    if (u == NULL) {
        return NULL;
    }
    atomic_store(&u->refs, 1);
    arena_init(&u->arena, NULL, NULL, 0);
    if (set_account(u, account) != ERR_OK) {
        user__unref(u);
        return NULL;
    }
    return u;
}

static db_err copy_tables(struct acl_user *u, const struct acl_user *from)
{
    struct arena *a = &u->arena;
    u->tables = ARENA_ARRAY(a, struct acl_table, from->table_count);
    if (u->tables == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < from->table_count; i++, u->table_count++) {
        const struct acl_table *f = &from->tables[i];
        struct acl_table *t = &u->tables[i];
        *t = *f;
        TRY(arena_copy(a, f->schema, &t->schema));
        TRY(arena_copy(a, f->name, &t->name));
        TRY(arena_copy(a, f->grantor, &t->grantor));
        TRY(copy_named(u, f->columns, f->column_count, &t->columns));
    }
    return ERR_OK;
}

static db_err copy_small(struct acl_user *u, const struct acl_user *from)
{
    struct arena *a = &u->arena;
    TRY(copy_named(u, from->dbs, from->db_count, &u->dbs));
    TRY(copy_named(u, from->restrictions, from->restriction_count, &u->restrictions));
    u->db_count = from->db_count;
    u->restriction_count = from->restriction_count;
    u->routines = ARENA_ARRAY(a, struct acl_routine, from->routine_count);
    if (u->routines == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < from->routine_count; i++, u->routine_count++) {
        const struct acl_routine *f = &from->routines[i];
        struct acl_routine *r = &u->routines[i];
        *r = *f;
        TRY(arena_copy(a, f->schema, &r->schema));
        TRY(arena_copy(a, f->name, &r->name));
        TRY(arena_copy(a, f->grantor, &r->grantor));
    }
    return ERR_OK;
}

static db_err copy_names(struct acl_user *u, const struct acl_user *from)
{
    struct arena *a = &u->arena;
    u->roles = ARENA_ARRAY(a, struct acl_role, from->role_count);
    u->default_roles = ARENA_ARRAY(a, struct acl_name, from->default_role_count);
    u->proxies = ARENA_ARRAY(a, struct acl_proxy, from->proxy_count);
    if (u->roles == NULL || u->default_roles == NULL || u->proxies == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < from->role_count; i++, u->role_count++) {
        u->roles[i].admin = from->roles[i].admin;
        TRY(copy_name(a, &from->roles[i].name, &u->roles[i].name));
    }
    for (uint32_t i = 0; i < from->default_role_count; i++, u->default_role_count++) {
        TRY(copy_name(a, &from->default_roles[i], &u->default_roles[i]));
    }
    for (uint32_t i = 0; i < from->proxy_count; i++, u->proxy_count++) {
        u->proxies[i] = from->proxies[i];
        TRY(copy_name(a, &from->proxies[i].proxied, &u->proxies[i].proxied));
        TRY(arena_copy(a, from->proxies[i].grantor, &u->proxies[i].grantor));
    }
    return ERR_OK;
}

static db_err copy_past(struct acl_user *u, const struct acl_user *from)
{
    u->past = ARENA_ARRAY(&u->arena, struct acl_past, from->past_count);
    if (u->past == NULL) {
        return ERR_NOMEM;
    }
    u->past_room = from->past_count;
    for (uint32_t i = 0; i < from->past_count; i++, u->past_count++) {
        u->past[i].time_us = from->past[i].time_us;
        TRY(arena_copy(&u->arena, from->past[i].hash, &u->past[i].hash));
    }
    return ERR_OK;
}

struct acl_user *user__copy(const struct acl_user *from)
{
    struct acl_user *u = user__new(&from->account);
    if (u == NULL) {
        return NULL;
    }
    u->global = from->global;
    u->dynamic = from->dynamic;
    u->dynamic_grant = from->dynamic_grant;
    if (copy_tables(u, from) != ERR_OK || copy_small(u, from) != ERR_OK ||
        copy_names(u, from) != ERR_OK || copy_past(u, from) != ERR_OK) {
        user__unref(u);
        return NULL;
    }
    return u;
}

/* ---- databases ---- */

db_err acl_user_set_db(struct acl_user *u, struct slice pattern, priv_t privs)
{
    return set_named(u, &u->dbs, &u->db_count, pattern, slice_cmp, privs);
}

db_err acl_user_set_restriction(struct acl_user *u, struct slice schema, priv_t privs)
{
    return set_named(u, &u->restrictions, &u->restriction_count, schema, slice_cmp, privs);
}

/* ---- tables and columns ---- */

/* Where the table is, or belongs. */
static uint32_t table_at(const struct acl_user *u, struct slice schema, struct slice name,
                         bool *ret_found)
{
    uint32_t low = 0;
    uint32_t high = u->table_count;
    *ret_found = false;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        const struct acl_table *t = &u->tables[mid];
        int c = slice_cmp(t->schema, schema);
        c = c != 0 ? c : slice_cmp(t->name, name);
        if (c == 0) {
            *ret_found = true;
            return mid;
        }
        if (c < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

const struct acl_table *acl_table_of(const struct acl_user *u, struct slice schema,
                                     struct slice name)
{
    bool found;
    uint32_t at = table_at(u, schema, name, &found);
    return found ? &u->tables[at] : NULL;
}

priv_t acl_table_columns(const struct acl_table *t)
{
    priv_t all = 0;
    for (uint32_t i = 0; i < t->column_count; i++) {
        all |= t->columns[i].privs;
    }
    return all;
}

static db_err table_entry(struct acl_user *u, const struct acl_object *o, bool create,
                          struct acl_table **ret)
{
    bool found;
    uint32_t at = table_at(u, o->schema, o->name, &found);
    *ret = NULL;
    if (!found && !create) {
        return ERR_OK;
    }
    if (!found) {
        struct acl_table t = {.privs = 0};
        TRY(arena_copy(&u->arena, o->schema, &t.schema));
        TRY(arena_copy(&u->arena, o->name, &t.name));
        INSERT_AT(u, u->tables, u->table_count, at);
        u->tables[at] = t;
    }
    struct acl_table *t = &u->tables[at];
    t->time_us = clock_wall_us();
    TRY(arena_copy(&u->arena, o->grantor, &t->grantor));
    *ret = t;
    return ERR_OK;
}

static void drop_empty_table(struct acl_user *u, struct acl_table *t)
{
    if (t->privs == 0 && t->column_count == 0) {
        REMOVE_AT(u->tables, u->table_count, (uint32_t)(t - u->tables));
    }
}

db_err acl_user_set_table(struct acl_user *u, const struct acl_object *o, priv_t privs)
{
    struct acl_table *t;
    TRY(table_entry(u, o, privs != 0, &t));
    if (t != NULL) {
        t->privs = privs;
        drop_empty_table(u, t);
    }
    return ERR_OK;
}

db_err acl_user_set_column(struct acl_user *u, const struct acl_object *o, struct slice column,
                           priv_t privs)
{
    struct acl_table *t;
    TRY(table_entry(u, o, privs != 0, &t));
    if (t == NULL) {
        return ERR_OK;
    }
    TRY(set_named(u, &t->columns, &t->column_count, column, cmp_nocase, privs));
    if (privs == 0) {
        drop_empty_table(u, t);
    }
    return ERR_OK;
}

/* ---- routines ---- */

const struct acl_routine *acl_routine_of(const struct acl_user *u, enum acl_routine_kind kind,
                                         struct slice schema, struct slice name)
{
    for (uint32_t i = 0; i < u->routine_count; i++) {
        const struct acl_routine *r = &u->routines[i];
        if (r->kind == kind && slice_eq(r->schema, schema) && slice_eq_nocase(r->name, name)) {
            return r;
        }
    }
    return NULL;
}

db_err acl_user_set_routine(struct acl_user *u, enum acl_routine_kind kind,
                            const struct acl_object *o, priv_t privs)
{
    const struct acl_routine *r = acl_routine_of(u, kind, o->schema, o->name);
    uint32_t at = r == NULL ? u->routine_count : (uint32_t)(r - u->routines);
    if (privs == 0) {
        if (r != NULL) {
            REMOVE_AT(u->routines, u->routine_count, at);
        }
        return ERR_OK;
    }
    if (r == NULL) {
        struct acl_routine n = {.kind = kind};
        TRY(arena_copy(&u->arena, o->schema, &n.schema));
        TRY(arena_copy(&u->arena, o->name, &n.name));
        INSERT_AT(u, u->routines, u->routine_count, at);
        u->routines[at] = n;
    }
    struct acl_routine *w = &u->routines[at];
    w->privs = privs;
    w->time_us = clock_wall_us();
    return arena_copy(&u->arena, o->grantor, &w->grantor);
}

/* ---- roles and proxies ---- */

const struct acl_role *acl_role_of(const struct acl_user *u, const struct acl_name *role)
{
    for (uint32_t i = 0; i < u->role_count; i++) {
        if (name__eq(&u->roles[i].name, role)) {
            return &u->roles[i];
        }
    }
    return NULL;
}

db_err acl_user_add_role(struct acl_user *u, const struct acl_name *role, bool admin)
{
    struct acl_name copy;
    uint32_t at = 0;
    while (at < u->role_count &&
           name__cmp(u->roles[at].name.user, u->roles[at].name.host, role->user, role->host) < 0) {
        at++;
    }
    if (at < u->role_count && name__eq(&u->roles[at].name, role)) {
        u->roles[at].admin = u->roles[at].admin || admin;
        return ERR_OK;
    }
    TRY(copy_name(&u->arena, role, &copy));
    INSERT_AT(u, u->roles, u->role_count, at);
    u->roles[at] = (struct acl_role){.name = copy, .admin = admin};
    return ERR_OK;
}

static void remove_default_role(struct acl_user *u, const struct acl_name *role)
{
    for (uint32_t i = u->default_role_count; i-- > 0;) {
        if (name__eq(&u->default_roles[i], role)) {
            REMOVE_AT(u->default_roles, u->default_role_count, i);
        }
    }
}

bool acl_user_remove_role(struct acl_user *u, const struct acl_name *role)
{
    const struct acl_role *r = acl_role_of(u, role);
    if (r == NULL) {
        return false;
    }
    REMOVE_AT(u->roles, u->role_count, (uint32_t)(r - u->roles));
    remove_default_role(u, role);
    return true;
}

db_err acl_user_set_default_roles(struct acl_user *u, const struct acl_name *roles, uint32_t count)
{
    u->default_role_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct acl_name copy;
        uint32_t at = 0;
        while (at < u->default_role_count &&
               name__cmp(u->default_roles[at].user, u->default_roles[at].host, roles[i].user,
                         roles[i].host) < 0) {
            at++;
        }
        if (at < u->default_role_count && name__eq(&u->default_roles[at], &roles[i])) {
            continue;
        }
        TRY(copy_name(&u->arena, &roles[i], &copy));
        INSERT_AT(u, u->default_roles, u->default_role_count, at);
        u->default_roles[at] = copy;
    }
    return ERR_OK;
}

static uint32_t proxy_at(const struct acl_user *u, const struct acl_name *proxied)
{
    uint32_t at = 0;
    while (at < u->proxy_count && !name__eq(&u->proxies[at].proxied, proxied)) {
        at++;
    }
    return at;
}

db_err acl_user_set_proxy(struct acl_user *u, const struct acl_name *proxied, bool with_grant,
                          struct slice grantor)
{
    uint32_t at = proxy_at(u, proxied);
    if (at == u->proxy_count) {
        struct acl_proxy p = {.with_grant = with_grant};
        TRY(copy_name(&u->arena, proxied, &p.proxied));
        INSERT_AT(u, u->proxies, u->proxy_count, at);
        u->proxies[at] = p;
    }
    u->proxies[at].with_grant = with_grant;
    u->proxies[at].time_us = clock_wall_us();
    return arena_copy(&u->arena, grantor, &u->proxies[at].grantor);
}

bool acl_user_remove_proxy(struct acl_user *u, const struct acl_name *proxied)
{
    uint32_t at = proxy_at(u, proxied);
    if (at == u->proxy_count) {
        return false;
    }
    REMOVE_AT(u->proxies, u->proxy_count, at);
    return true;
}

/* ---- passwords of before ---- */

/* Histories may be long: room for as many again, so that reading one takes memory for two. */
static db_err grow_past(struct acl_user *u)
{
    enum { ROOM_FIRST = 4 };
    uint32_t room = u->past_room < ROOM_FIRST ? ROOM_FIRST : 2 * u->past_room;
    struct acl_past *grown = ARENA_ARRAY(&u->arena, struct acl_past, room);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    if (u->past_count != 0) {
        memcpy(grown, u->past, u->past_count * sizeof(*grown));
    }
    u->past = grown;
    u->past_room = room;
    return ERR_OK;
}

db_err acl_user_add_past(struct acl_user *u, struct slice hash, uint64_t time_us)
{
    struct slice copy;
    uint32_t at = u->past_count;
    TRY(arena_copy(&u->arena, hash, &copy));
    TRY(u->past_count == u->past_room ? grow_past(u) : ERR_OK);
    for (; at > 0 && u->past[at - 1].time_us <= time_us; at--) {
        u->past[at] = u->past[at - 1];
    }
    u->past[at] = (struct acl_past){.time_us = time_us, .hash = copy};
    u->past_count++;
    return ERR_OK;
}

void acl_user_trim_past(struct acl_user *u, uint32_t count, uint64_t since_us)
{
    while (u->past_count > count && u->past[u->past_count - 1].time_us < since_us) {
        u->past_count--;
    }
}

void acl_user_clear(struct acl_user *u)
{
    u->global = 0;
    u->dynamic = u->dynamic_grant = 0;
    u->db_count = u->table_count = u->routine_count = u->restriction_count = 0;
}

/* ---- accounts named by others ---- */

bool user__mentions(const struct acl_user *u, const struct acl_name *name)
{
    bool found = acl_role_of(u, name) != NULL || proxy_at(u, name) < u->proxy_count;
    for (uint32_t i = 0; i < u->default_role_count; i++) {
        found = found || name__eq(&u->default_roles[i], name);
    }
    return found;
}

void user__forget(struct acl_user *u, const struct acl_name *name)
{
    acl_user_remove_role(u, name);
    remove_default_role(u, name);
    acl_user_remove_proxy(u, name);
}

db_err user__rename_mentions(struct acl_user *u, const struct acl_name *from,
                             const struct acl_name *to)
{
    struct acl_name copy;
    TRY(copy_name(&u->arena, to, &copy));
    for (uint32_t i = 0; i < u->role_count; i++) {
        if (name__eq(&u->roles[i].name, from)) {
            u->roles[i].name = copy;
        }
    }
    for (uint32_t i = 0; i < u->default_role_count; i++) {
        if (name__eq(&u->default_roles[i], from)) {
            u->default_roles[i] = copy;
        }
    }
    for (uint32_t i = 0; i < u->proxy_count; i++) {
        if (name__eq(&u->proxies[i].proxied, from)) {
            u->proxies[i].proxied = copy;
        }
    }
    return ERR_OK;
}
