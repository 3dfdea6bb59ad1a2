/* The record of an account in the storage: docs/formats/accounts.md.
 *
 * Version 1, written before there were privileges: flags, user, host, plugin, hash. Such an account
 * keeps what it could do. Version 2: version, flags, then items of a tag, a length of 4 bytes and
 * that many bytes; an item that is not known makes the record unreadable rather than its grants
 * incomplete. Numbers are big-endian, texts have a length of 4 bytes. */
#include "sql/priv/acl_int.h"

#include <stdio.h>

enum {
    VERSION_PLAIN = 1,
    VERSION = 2,
    FLAG_LOCKED = 1,
    FLAG_TLS = 2, /* version 1 */
    FLAG_EXPIRED = 4,
    FLAG_DEVELOPER = 8,
    TEXT_NONE = 0xffffffff,
};

db_err record__key(const struct acl_user *u, struct buf *key)
{
    TRY(buf_append_u8(key, KEYSPACE_SYSTEM));
    TRY(buf_append_u8(key, SYSTEM_ACCOUNT));
    TRY(buf_append(key, u->account.user, strlen(u->account.user) + 1));
    return buf_append(key, u->account.host, strlen(u->account.host) + 1);
}

/* ---- writing ---- */

static db_err put_number(struct buf *b, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        TRY(buf_append_u8(b, (uint8_t)(v >> (8 * i))));
    }
    return ERR_OK;
}

static db_err put_text(struct buf *b, struct slice s)
{
    if (s.ptr == NULL) {
        return put_number(b, TEXT_NONE, 4);
    }
    TRY(put_number(b, s.len, 4));
    return buf_append_slice(b, s);
}

static db_err item_begin(struct buf *b, char tag, size_t *ret_mark)
{
    TRY(buf_append_u8(b, (uint8_t)tag));
    TRY(put_number(b, 0, 4));
    *ret_mark = b->len;
    return ERR_OK;
}

static void item_end(struct buf *b, size_t mark)
{
    size_t n = b->len - mark;
    for (int i = 0; i < 4; i++) {
        b->ptr[mark - 4 + (size_t)i] = (uint8_t)(n >> (24 - 8 * i));
    }
}

static db_err put_account(struct buf *b, const struct account *a)
{
    size_t mark;
    TRY(item_begin(b, 'a', &mark));
    TRY(put_text(b, slice_str(a->user)));
    TRY(put_text(b, slice_str(a->host)));
    TRY(put_text(b, slice_str(a->plugin)));
    TRY(put_text(b, slice_of(a->auth, a->auth_len)));
    item_end(b, mark);
    TRY(item_begin(b, 'o', &mark));
    TRY(put_number(b, a->tls, 1));
    TRY(put_text(b, a->tls_cipher));
    TRY(put_text(b, a->tls_issuer));
    TRY(put_text(b, a->tls_subject));
    TRY(put_number(b, a->max_questions, 4));
    TRY(put_number(b, a->max_updates, 4));
    TRY(put_number(b, a->max_connections, 4));
    TRY(put_number(b, a->max_user_connections, 4));
    TRY(put_number(b, a->password_changed_us, 8));
    TRY(put_number(b, (uint32_t)a->password_lifetime_days, 4));
    TRY(put_number(b, (uint32_t)a->reuse_history, 4));
    TRY(put_number(b, (uint32_t)a->reuse_interval_days, 4));
    TRY(put_number(b, (uint32_t)a->require_current, 4));
    TRY(put_text(b, a->attributes));
    item_end(b, mark);
    return ERR_OK;
}

/* Only accounts that use one of these have the item. */
static db_err put_policy(struct buf *b, const struct account *a)
{
    size_t mark;
    if (a->old_auth_len == 0 && a->failed_logins == 0 && a->lock_days == 0) {
        return ERR_OK;
    }
    TRY(item_begin(b, 'P', &mark));
    TRY(put_text(b, slice_of(a->old_auth, a->old_auth_len)));
    TRY(put_number(b, (uint32_t)a->failed_logins, 4));
    TRY(put_number(b, (uint32_t)a->lock_days, 4));
    TRY(put_number(b, a->lock_epoch, 8));
    item_end(b, mark);
    return ERR_OK;
}

static db_err put_past(struct buf *b, const struct acl_past *p)
{
    size_t mark;
    TRY(item_begin(b, 'h', &mark));
    TRY(put_number(b, p->time_us, 8));
    TRY(put_text(b, p->hash));
    item_end(b, mark);
    return ERR_OK;
}

static db_err put_dynamic(struct buf *b, const struct acl_user *u)
{
    size_t mark;
    for (int i = 0; i < DYN_COUNT; i++) {
        priv_dyn_t bit = (priv_dyn_t)1 << i;
        if ((u->dynamic & bit) != 0) {
            TRY(item_begin(b, 'y', &mark));
            TRY(put_text(b, slice_str(dyn_names[i])));
            TRY(put_number(b, (u->dynamic_grant & bit) != 0, 1));
            item_end(b, mark);
        }
    }
    return ERR_OK;
}

static db_err put_table(struct buf *b, const struct acl_table *t)
{
    size_t mark;
    TRY(item_begin(b, 't', &mark));
    TRY(put_text(b, t->schema));
    TRY(put_text(b, t->name));
    TRY(put_text(b, t->grantor));
    TRY(put_number(b, t->time_us, 8));
    TRY(put_number(b, t->privs, 4));
    TRY(put_number(b, t->column_count, 4));
    for (uint32_t i = 0; i < t->column_count; i++) {
        TRY(put_text(b, t->columns[i].name));
        TRY(put_number(b, t->columns[i].privs, 4));
    }
    item_end(b, mark);
    return ERR_OK;
}

static db_err put_named(struct buf *b, char tag, const struct acl_name *n, bool flag,
                        struct slice grantor, uint64_t time_us)
{
    size_t mark;
    TRY(item_begin(b, tag, &mark));
    TRY(put_text(b, n->user));
    TRY(put_text(b, n->host));
    TRY(put_number(b, flag, 1));
    TRY(put_text(b, grantor));
    TRY(put_number(b, time_us, 8));
    item_end(b, mark);
    return ERR_OK;
}

static db_err put_masked(struct buf *b, char tag, struct slice name, priv_t privs)
{
    size_t mark;
    TRY(item_begin(b, tag, &mark));
    TRY(put_text(b, name));
    TRY(put_number(b, privs, 4));
    item_end(b, mark);
    return ERR_OK;
}

static db_err put_routine(struct buf *b, const struct acl_routine *r)
{
    size_t mark;
    TRY(item_begin(b, 'r', &mark));
    TRY(put_text(b, r->schema));
    TRY(put_text(b, r->name));
    TRY(put_text(b, r->grantor));
    TRY(put_number(b, r->time_us, 8));
    TRY(put_number(b, r->kind, 1));
    TRY(put_number(b, r->privs, 4));
    item_end(b, mark);
    return ERR_OK;
}

db_err record__encode(const struct acl_user *u, struct buf *value)
{
    const struct account *a = &u->account;
    uint8_t flags =
        (uint8_t)((a->locked ? FLAG_LOCKED : 0) | (a->password_expired ? FLAG_EXPIRED : 0) |
                  (a->developer ? FLAG_DEVELOPER : 0));
    TRY(buf_append_u8(value, VERSION));
    TRY(buf_append_u8(value, flags));
    TRY(put_account(value, a));
    TRY(put_policy(value, a));
    TRY(put_masked(value, 'g', SLICE_EMPTY, u->global));
    TRY(put_dynamic(value, u));
    for (uint32_t i = 0; i < u->db_count; i++) {
        TRY(put_masked(value, 'd', u->dbs[i].name, u->dbs[i].privs));
    }
    for (uint32_t i = 0; i < u->restriction_count; i++) {
        TRY(put_masked(value, 'x', u->restrictions[i].name, u->restrictions[i].privs));
    }
    for (uint32_t i = 0; i < u->table_count; i++) {
        TRY(put_table(value, &u->tables[i]));
    }
    for (uint32_t i = 0; i < u->routine_count; i++) {
        TRY(put_routine(value, &u->routines[i]));
    }
    for (uint32_t i = 0; i < u->role_count; i++) {
        TRY(put_named(value, 'R', &u->roles[i].name, u->roles[i].admin, SLICE_EMPTY, 0));
    }
    for (uint32_t i = 0; i < u->default_role_count; i++) {
        TRY(put_named(value, 'D', &u->default_roles[i], false, SLICE_EMPTY, 0));
    }
    for (uint32_t i = 0; i < u->proxy_count; i++) {
        const struct acl_proxy *p = &u->proxies[i];
        TRY(put_named(value, 'p', &p->proxied, p->with_grant, p->grantor, p->time_us));
    }
    for (uint32_t i = 0; i < u->past_count; i++) {
        TRY(put_past(value, &u->past[i]));
    }
    return ERR_OK;
}

/* ---- reading: a reader that is short of bytes says so once, at the end ---- */

struct reader {
    struct slice in;
    bool bad;
};

static uint64_t take_number(struct reader *r, int bytes)
{
    uint64_t v = 0;
    if (r->bad || r->in.len < (size_t)bytes) {
        r->bad = true;
        return 0;
    }
    for (int i = 0; i < bytes; i++) {
        v = v << 8 | r->in.ptr[i];
    }
    r->in = slice_from(r->in, (size_t)bytes);
    return v;
}

static struct slice take_bytes(struct reader *r, uint64_t n)
{
    if (r->bad || r->in.len < n) {
        r->bad = true;
        return SLICE_LIT("");
    }
    struct slice s = slice_of(r->in.ptr, (size_t)n);
    r->in = slice_from(r->in, (size_t)n);
    return s;
}

static struct slice take_text(struct reader *r)
{
    uint64_t n = take_number(r, 4);
    return n == TEXT_NONE ? SLICE_EMPTY : take_bytes(r, n);
}

static void take_into(struct reader *r, struct slice text, char *out, size_t size)
{
    if (text.len >= size) {
        r->bad = true;
        return;
    }
    if (text.len != 0) {
        memcpy(out, text.ptr, text.len);
    }
    out[text.len] = '\0';
}

static void take_names(struct reader *r, struct account *a)
{
    take_into(r, take_text(r), a->user, sizeof(a->user));
    take_into(r, take_text(r), a->host, sizeof(a->host));
    take_into(r, take_text(r), a->plugin, sizeof(a->plugin));
    struct slice auth = take_text(r);
    take_into(r, auth, a->auth, sizeof(a->auth));
    a->auth_len = (uint16_t)auth.len;
}

static void take_options(struct reader *r, struct account *a)
{
    a->tls = (enum account_tls)take_number(r, 1);
    a->tls_cipher = take_text(r);
    a->tls_issuer = take_text(r);
    a->tls_subject = take_text(r);
    a->max_questions = (uint32_t)take_number(r, 4);
    a->max_updates = (uint32_t)take_number(r, 4);
    a->max_connections = (uint32_t)take_number(r, 4);
    a->max_user_connections = (uint32_t)take_number(r, 4);
    a->password_changed_us = take_number(r, 8);
    a->password_lifetime_days = (int32_t)take_number(r, 4);
    a->reuse_history = (int32_t)take_number(r, 4);
    a->reuse_interval_days = (int32_t)take_number(r, 4);
    a->require_current = (int32_t)take_number(r, 4);
    a->attributes = take_text(r);
}

static void take_object(struct reader *r, struct acl_object *ret)
{
    ret->schema = take_text(r);
    ret->name = take_text(r);
    ret->grantor = take_text(r);
}

static db_err take_table(struct reader *r, struct acl_user *u)
{
    struct acl_object o;
    take_object(r, &o);
    uint64_t time_us = take_number(r, 8);
    priv_t privs = (priv_t)take_number(r, 4);
    uint64_t columns = take_number(r, 4);
    if (r->bad) {
        return ERR_CORRUPT;
    }
    TRY(acl_user_set_table(u, &o, privs));
    for (uint64_t i = 0; i < columns && !r->bad; i++) {
        struct slice name = take_text(r);
        TRY(acl_user_set_column(u, &o, name, (priv_t)take_number(r, 4)));
    }
    struct acl_table *t = (struct acl_table *)(uintptr_t)acl_table_of(u, o.schema, o.name);
    if (t != NULL) {
        t->time_us = time_us;
    }
    return ERR_OK;
}

static db_err take_routine(struct reader *r, struct acl_user *u)
{
    struct acl_object o;
    take_object(r, &o);
    uint64_t time_us = take_number(r, 8);
    enum acl_routine_kind kind = (enum acl_routine_kind)take_number(r, 1);
    priv_t privs = (priv_t)take_number(r, 4);
    if (r->bad || kind > ACL_LIBRARY) {
        return ERR_CORRUPT;
    }
    TRY(acl_user_set_routine(u, kind, &o, privs));
    struct acl_routine *w =
        (struct acl_routine *)(uintptr_t)acl_routine_of(u, kind, o.schema, o.name);
    if (w != NULL) {
        w->time_us = time_us;
    }
    return ERR_OK;
}

static db_err add_default_role(struct acl_user *u, const struct acl_name *n)
{
    struct acl_name *all = ARENA_ARRAY(&u->arena, struct acl_name, u->default_role_count + 1u);
    if (all == NULL) {
        return ERR_NOMEM;
    }
    if (u->default_role_count != 0) {
        memcpy(all, u->default_roles, u->default_role_count * sizeof(*all));
    }
    all[u->default_role_count] = *n;
    return acl_user_set_default_roles(u, all, u->default_role_count + 1u);
}

static db_err take_named(struct reader *r, uint8_t tag, struct acl_user *u)
{
    struct acl_name n;
    n.user = take_text(r);
    n.host = take_text(r);
    bool flag = take_number(r, 1) != 0;
    struct slice grantor = take_text(r);
    uint64_t time_us = take_number(r, 8);
    if (r->bad) {
        return ERR_CORRUPT;
    }
    if (tag == 'R') {
        return acl_user_add_role(u, &n, flag);
    }
    if (tag == 'D') {
        return add_default_role(u, &n);
    }
    TRY(acl_user_set_proxy(u, &n, flag, grantor));
    u->proxies[u->proxy_count - 1].time_us = time_us;
    return ERR_OK;
}

static void take_policy(struct reader *r, struct account *a)
{
    struct slice old = take_text(r);
    take_into(r, old, a->old_auth, sizeof(a->old_auth));
    a->old_auth_len = (uint16_t)old.len;
    a->failed_logins = (int32_t)take_number(r, 4);
    a->lock_days = (int32_t)take_number(r, 4);
    a->lock_epoch = take_number(r, 8);
}

static db_err take_past(struct reader *r, struct acl_user *u)
{
    uint64_t time_us = take_number(r, 8);
    struct slice hash = take_text(r);
    return r->bad ? ERR_CORRUPT : acl_user_add_past(u, hash, time_us);
}

static db_err take_item(struct acl_user *u, uint8_t tag, struct slice payload)
{
    struct reader r = {.in = payload};
    db_err err = ERR_OK;
    struct slice name;
    switch (tag) {
    case 'g':
        (void)take_text(&r);
        u->global = (priv_t)take_number(&r, 4);
        break;
    case 'y': {
        int n = dyn_by_name(take_text(&r));
        priv_dyn_t bit = n < 0 ? 0 : (priv_dyn_t)1 << n; /* one that is gone is not missed */
        u->dynamic |= bit;
        u->dynamic_grant |= take_number(&r, 1) != 0 ? bit : 0;
        break;
    }
    case 'd':
        name = take_text(&r);
        err = acl_user_set_db(u, name, (priv_t)take_number(&r, 4));
        break;
    case 'x':
        name = take_text(&r);
        err = acl_user_set_restriction(u, name, (priv_t)take_number(&r, 4));
        break;
    case 'P': take_policy(&r, &u->account); break;
    case 'h': err = take_past(&r, u); break;
    case 't': err = take_table(&r, u); break;
    case 'r': err = take_routine(&r, u); break;
    case 'R':
    case 'D':
    case 'p': err = take_named(&r, tag, u); break;
    default: return ERR_CORRUPT;
    }
    return err == ERR_OK && (r.bad || r.in.len != 0) ? ERR_CORRUPT : err;
}

static void from_plain(struct reader *r, uint8_t flags, struct account *a)
{
    struct slice auth;
    take_into(r, take_bytes(r, take_number(r, 2)), a->user, sizeof(a->user));
    take_into(r, take_bytes(r, take_number(r, 2)), a->host, sizeof(a->host));
    take_into(r, take_bytes(r, take_number(r, 2)), a->plugin, sizeof(a->plugin));
    auth = take_bytes(r, take_number(r, 2));
    take_into(r, auth, a->auth, sizeof(a->auth));
    a->auth_len = (uint16_t)auth.len;
    a->tls = (flags & FLAG_TLS) != 0 ? ACCOUNT_TLS_ANY : ACCOUNT_TLS_NONE;
}

static db_err decode_plain(struct reader *r, struct account *a, uint8_t flags,
                           struct acl_user **ret)
{
    from_plain(r, flags, a);
    if (r->bad) {
        return ERR_CORRUPT;
    }
    *ret = user__new(a);
    if (*ret == NULL) {
        return ERR_NOMEM;
    }
    (*ret)->global = priv_all(PRIV_LEVEL_GLOBAL, true);
    (*ret)->dynamic = (*ret)->dynamic_grant = DYN_ALL;
    return ERR_OK;
}

/* The two items that every record begins with. */
static db_err decode_account(struct reader *r, struct account *a)
{
    for (int i = 0; i < 2; i++) {
        uint8_t tag = (uint8_t)take_number(r, 1);
        struct reader item = {.in = take_bytes(r, take_number(r, 4))};
        if (tag != (i == 0 ? 'a' : 'o')) {
            return ERR_CORRUPT;
        }
        if (i == 0) {
            take_names(&item, a);
        } else {
            take_options(&item, a);
        }
        if (item.bad || item.in.len != 0) {
            return ERR_CORRUPT;
        }
    }
    return r->bad ? ERR_CORRUPT : ERR_OK;
}

db_err record__decode(struct slice value, struct acl_user **ret)
{
    struct reader r = {.in = value};
    struct account a;
    struct acl_user *u = NULL;
    account_init(&a, SLICE_LIT(""), SLICE_LIT(""));
    a.password_changed_us = 0;
    uint8_t version = (uint8_t)take_number(&r, 1);
    uint8_t flags = (uint8_t)take_number(&r, 1);
    a.locked = (flags & FLAG_LOCKED) != 0;
    a.password_expired = (flags & FLAG_EXPIRED) != 0;
    a.developer = (flags & FLAG_DEVELOPER) != 0;
    if (r.bad) {
        return ERR_CORRUPT;
    }
    if (version == VERSION_PLAIN) {
        return decode_plain(&r, &a, flags, ret);
    }
    if (version != VERSION) {
        return ERR_CORRUPT;
    }
    TRY(decode_account(&r, &a));
    u = user__new(&a);
    if (u == NULL) {
        return ERR_NOMEM;
    }
    db_err err = ERR_OK;
    while (err == ERR_OK && r.in.len != 0 && !r.bad) {
        uint8_t tag = (uint8_t)take_number(&r, 1);
        err = take_item(u, tag, take_bytes(&r, take_number(&r, 4)));
    }
    if (err == ERR_OK && r.bad) {
        err = ERR_CORRUPT;
    }
    if (err != ERR_OK) {
        user__unref(u);
        return err;
    }
    *ret = u;
    return ERR_OK;
}
