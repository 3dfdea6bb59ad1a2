/* Generations of accounts: reading, publishing, changing.
 *
 * The version record ('A') is what a change locks: it reads the version there and, when another
 * node has made a newer one, all accounts again, within its own transaction. A commit writes the
 * records of the accounts that were edited, and the version. `mutex` keeps the changes of this node
 * from waiting for each other in the storage. */
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/fiber.h"
#include "base/spin.h"
#include "sql/priv/acl_int.h"
#include "sql/storage/storage.h"

enum { RECORD_MAX = 64 * 1024 * 1024, KEY_MAX = 1024 };

struct accounts {
    struct storage *storage;
    struct fiber_mutex mutex; /* one change at a time */
    struct spin lock;         /* load-and-reference of `current` */
    struct acl *current;
    _Atomic uint64_t generation;
};

struct acl_change {
    struct accounts *accounts;
    struct storage_txn *txn;
    struct acl *view;
    struct acl_user **edited; /* of view: are to be written; their references are view's */
    uint32_t edited_count;
    struct acl_user **dropped; /* references */
    uint32_t dropped_count;
};

struct storage *accounts__storage(struct accounts *a)
{
    return a->storage;
}

/* ---- generations ---- */

const struct acl *accounts_acquire(struct accounts *a)
{
    spin_lock(&a->lock);
    struct acl *acl = a->current;
    atomic_fetch_add_explicit(&acl->refs, 1, memory_order_relaxed);
    spin_unlock(&a->lock);
    return acl;
}

void acl_release(const struct acl *acl)
{
    struct acl *mine = (struct acl *)(uintptr_t)acl;
    if (mine == NULL || atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < mine->count; i++) {
        user__unref(mine->users[i]);
    }
    mem_free(mine->users);
    mem_free(mine);
}

uint64_t accounts_generation(const struct accounts *a)
{
    return atomic_load_explicit(&a->generation, memory_order_acquire);
}

static struct acl *acl_new(uint32_t room)
{
    struct acl *acl = mem_calloc(1, sizeof(*acl));
    if (acl == NULL) {
        return NULL;
    }
    atomic_store(&acl->refs, 1);
    acl->users = mem_calloc(room + 1u, sizeof(struct acl_user *));
    if (acl->users == NULL) {
        mem_free(acl);
        return NULL;
    }
    return acl;
}

static struct acl *acl_copy(const struct acl *from)
{
    struct acl *acl = acl_new(from->count);
    if (acl != NULL) {
        acl->version = from->version;
        for (uint32_t i = 0; i < from->count; i++) {
            acl->users[acl->count++] = user__ref(from->users[i]);
        }
    }
    return acl;
}

/* Takes the reference. */
static db_err acl_insert(struct acl *acl, struct acl_user *u)
{
    struct acl_user **grown =
        mem_realloc(acl->users, (acl->count + 1u) * sizeof(struct acl_user *));
    if (grown == NULL) {
        user__unref(u);
        return ERR_NOMEM;
    }
    acl->users = grown;
    uint32_t at = acl->count;
    while (at > 0 && name__cmp(grown[at - 1]->user, grown[at - 1]->host, u->user, u->host) > 0) {
        grown[at] = grown[at - 1];
        at--;
    }
    grown[at] = u;
    acl->count++;
    return ERR_OK;
}

/* Never back to an older one. Takes the reference. */
static void publish(struct accounts *a, struct acl *acl)
{
    spin_lock(&a->lock);
    struct acl *old = a->current;
    bool older = old != NULL && acl->version < old->version;
    if (!older) {
        a->current = acl;
        atomic_fetch_add_explicit(&a->generation, 1, memory_order_acq_rel);
    }
    spin_unlock(&a->lock);
    acl_release(older ? acl : old);
}

/* ---- reading ---- */

static struct slice version_key(uint8_t bytes[2])
{
    system_key_head(bytes, SYSTEM_ACCOUNTS_VERSION);
    return slice_of(bytes, SYSTEM_KEY_HEAD);
}

static db_err read_version(struct storage_txn *txn, enum storage_read_mode mode, struct diag *diag,
                           uint64_t *ret)
{
    uint8_t bytes[2];
    struct arena arena;
    struct slice value;
    bool found;
    arena_init(&arena, NULL, NULL, 0);
    db_err err =
        storage_get(txn, version_key(bytes), mode, STORAGE_WAIT, &arena, diag, &found, &value);
    if (err == ERR_OK) {
        *ret = 0;
        for (size_t i = 0; found && i < value.len && i < 8; i++) {
            *ret = *ret << 8 | value.ptr[i];
        }
    }
    arena_fini(&arena);
    return err;
}

db_err accounts__each_record(struct storage_txn *txn, enum system_record kind, storage_row_fn fn,
                             void *arg, struct diag *diag)
{
    struct system_range of;
    system_range(&of, kind, kind);
    struct storage_scan_opts o = {.start = of.start, .end = of.end};
    return storage_scan_each(txn, &o, fn, arg, diag);
}

struct loading {
    struct acl *acl;
    struct diag *diag;
};

static db_err load_user(void *arg, const struct storage_kv *kv)
{
    const struct loading *l = arg;
    struct acl_user *u;
    db_err err = record__decode(kv->value, &u);
    if (err == ERR_CORRUPT) {
        return diag_set(l->diag, err, "an account record cannot be read");
    }
    return err == ERR_OK ? acl_insert(l->acl, u) : err;
}

static db_err load(struct storage_txn *txn, struct diag *diag, struct acl **ret)
{
    struct acl *acl = acl_new(0);
    if (acl == NULL) {
        return ERR_NOMEM;
    }
    db_err err = read_version(txn, STORAGE_READ_PLAIN, diag, &acl->version);
    struct loading loading = {acl, diag};
    err =
        err == ERR_OK ? accounts__each_record(txn, SYSTEM_ACCOUNT, load_user, &loading, diag) : err;
    if (err != ERR_OK) {
        acl_release(acl);
        return err;
    }
    *ret = acl;
    return ERR_OK;
}

db_err accounts_reload(struct accounts *a, struct diag *diag)
{
    struct storage_txn_opts o = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
    struct storage_txn *txn;
    struct acl *acl;
    TRY(storage_txn_begin(a->storage, &o, diag, &txn));
    db_err err = load(txn, diag, &acl);
    storage_txn_rollback(txn);
    if (err == ERR_OK) {
        publish(a, acl);
    }
    return err;
}

/* ---- the first accounts ---- */

static db_err add_system_account(struct acl_change *c, const char *name, struct acl_user **ret)
{
    static const priv_dyn_t system =
        DYN_BIT(SYSTEM_USER) | DYN_BIT(AUDIT_ABORT_EXEMPT) | DYN_BIT(FIREWALL_EXEMPT);
    static const char never[] = /* MYSQL: no password has this hash */
        "$A$005$THISISACOMBINATIONOFINVALIDSALTANDPASSWORDTHATMUSTNEVERBRBEUSED";
    struct account account;
    account_init(&account, slice_str(name), SLICE_LIT("localhost"));
    TRY(account_set_hash(&account, SLICE_LIT("caching_sha2_password"), slice_str(never), NULL));
    account.locked = true;
    TRY(acl_change_add(c, &account, ret));
    (*ret)->dynamic = system;
    return ERR_OK;
}

/* As MySQL makes them; none can log in. */
static db_err add_system_accounts(struct acl_change *c)
{
    const struct acl_object user = {SLICE_LIT("mysql"), SLICE_LIT("user"), SLICE_LIT("boot@")};
    const struct acl_object config = {SLICE_LIT("sys"), SLICE_LIT("sys_config"),
                                      SLICE_LIT("root@localhost")};
    struct acl_user *u;
    TRY(add_system_account(c, "mysql.infoschema", &u));
    u->global = PRIV_SELECT;
    TRY(add_system_account(c, "mysql.session", &u));
    u->global = PRIV_SHUTDOWN | PRIV_SUPER;
    u->dynamic |= DYN_BIT(AUTHENTICATION_POLICY_ADMIN) | DYN_BIT(BACKUP_ADMIN) |
                  DYN_BIT(CLONE_ADMIN) | DYN_BIT(CONNECTION_ADMIN) |
                  DYN_BIT(PERSIST_RO_VARIABLES_ADMIN) | DYN_BIT(SESSION_VARIABLES_ADMIN) |
                  DYN_BIT(SYSTEM_VARIABLES_ADMIN);
    TRY(acl_user_set_db(u, SLICE_LIT("performance_schema"), PRIV_SELECT));
    TRY(acl_user_set_table(u, &user, PRIV_SELECT));
    TRY(add_system_account(c, "mysql.sys", &u));
    TRY(acl_user_set_db(u, SLICE_LIT("sys"), PRIV_TRIGGER));
    return acl_user_set_table(u, &config, PRIV_SELECT);
}

static db_err add_first(struct acl_change *c)
{
    struct account root;
    struct acl_user *u;
    account_init(&root, SLICE_LIT("root"), SLICE_LIT("localhost"));
    TRY(account_set_hash(&root, SLICE_LIT("caching_sha2_password"), SLICE_EMPTY, NULL));
    root.developer = true;
    TRY(acl_change_add(c, &root, &u));
    u->global = priv_all(PRIV_LEVEL_GLOBAL, true);
    u->dynamic = u->dynamic_grant = DYN_ALL;
    struct acl_name nobody = {SLICE_LIT(""), SLICE_LIT("")};
    TRY(acl_user_set_proxy(u, &nobody, true, SLICE_LIT("boot@")));
    return add_system_accounts(c);
}

static db_err bootstrap(struct accounts *a, struct diag *diag)
{
    struct acl_change *c;
    TRY(acl_change_begin(a, diag, &c));
    if (c->view->count != 0) { /* another node was first */
        acl_change_abort(c);
        return accounts_reload(a, diag);
    }
    db_err err = add_first(c);
    if (err != ERR_OK) {
        acl_change_abort(c);
        return err;
    }
    return acl_change_commit(c, diag);
}

db_err accounts_open(struct storage *storage, struct diag *diag, struct accounts **ret)
{
    struct accounts *a = mem_calloc(1, sizeof(*a));
    if (a == NULL) {
        return ERR_NOMEM;
    }
    a->storage = storage;
    fiber_mutex_init(&a->mutex);
    db_err err = accounts_reload(a, diag);
    if (err == ERR_OK && a->current->count == 0) {
        err = bootstrap(a, diag);
    }
    if (err != ERR_OK) {
        accounts_close(a);
        return err;
    }
    *ret = a;
    return ERR_OK;
}

void accounts_close(struct accounts *a)
{
    if (a != NULL) {
        acl_release(a->current);
        mem_free(a);
    }
}

/* ---- changing ---- */

static void change_free(struct acl_change *c)
{
    struct accounts *a = c->accounts;
    for (uint32_t i = 0; i < c->dropped_count; i++) {
        user__unref(c->dropped[i]);
    }
    mem_free(c->dropped);
    mem_free(c->edited);
    acl_release(c->view);
    mem_free(c);
    fiber_mutex_unlock(&a->mutex);
}

void acl_change_abort(struct acl_change *c)
{
    if (c != NULL) {
        if (c->txn != NULL) {
            storage_txn_rollback(c->txn);
        }
        change_free(c);
    }
}

static db_err take_view(struct acl_change *c, struct diag *diag)
{
    uint64_t version;
    TRY(read_version(c->txn, STORAGE_READ_EXCLUSIVE, diag, &version));
    const struct acl *now = accounts_acquire(c->accounts);
    if (now->version == version) {
        c->view = acl_copy(now);
        acl_release(now);
        return c->view == NULL ? ERR_NOMEM : ERR_OK;
    }
    acl_release(now);
    return load(c->txn, diag, &c->view);
}

db_err acl_change_begin(struct accounts *a, struct diag *diag, struct acl_change **ret)
{
    struct storage_txn_opts o = {.isolation = STORAGE_READ_COMMITTED};
    struct acl_change *c = mem_calloc(1, sizeof(*c));
    if (c == NULL) {
        return ERR_NOMEM;
    }
    c->accounts = a;
    fiber_mutex_lock(&a->mutex);
    db_err err = storage_txn_begin(a->storage, &o, diag, &c->txn);
    err = err == ERR_OK ? take_view(c, diag) : err;
    if (err != ERR_OK) {
        acl_change_abort(c);
        return err;
    }
    *ret = c;
    return ERR_OK;
}

const struct acl *acl_change_view(const struct acl_change *c)
{
    return c->view;
}

static db_err remember(struct acl_user ***io_list, uint32_t *io_count, struct acl_user *u)
{
    struct acl_user **grown = mem_realloc(*io_list, (*io_count + 1u) * sizeof(struct acl_user *));
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    grown[(*io_count)++] = u;
    *io_list = grown;
    return ERR_OK;
}

static bool is_edited(const struct acl_change *c, const struct acl_user *u)
{
    for (uint32_t i = 0; i < c->edited_count; i++) {
        if (c->edited[i] == u) {
            return true;
        }
    }
    return false;
}

static uint32_t index_of(const struct acl *acl, const struct acl_user *u)
{
    uint32_t at = 0;
    while (acl->users[at] != u) {
        at++;
    }
    return at;
}

static db_err edit(struct acl_change *c, const struct acl_user *u, struct acl_user **ret)
{
    uint32_t at = index_of(c->view, u);
    if (!is_edited(c, u)) {
        struct acl_user *copy = user__copy(u);
        if (copy == NULL) {
            return ERR_NOMEM;
        }
        db_err err = remember(&c->edited, &c->edited_count, copy);
        if (err != ERR_OK) {
            user__unref(copy);
            return err;
        }
        user__unref(c->view->users[at]);
        c->view->users[at] = copy;
    }
    *ret = c->view->users[at];
    return ERR_OK;
}

db_err acl_change_edit(struct acl_change *c, struct slice user, struct slice host,
                       struct acl_user **ret)
{
    const struct acl_user *u = acl_find(c->view, user, host);
    *ret = NULL;
    return u == NULL ? ERR_OK : edit(c, u, ret);
}

db_err acl_change_add(struct acl_change *c, const struct account *account, struct acl_user **ret)
{
    struct acl_user *u = user__new(account);
    if (u == NULL) {
        return ERR_NOMEM;
    }
    db_err err = remember(&c->edited, &c->edited_count, u);
    if (err != ERR_OK) {
        user__unref(u);
        return err;
    }
    err = acl_insert(c->view, u);
    if (err != ERR_OK) {
        c->edited_count--;
        return err;
    }
    *ret = u;
    return ERR_OK;
}

static void take_out(struct acl_change *c, uint32_t at)
{
    struct acl *v = c->view;
    for (uint32_t i = 0; i < c->edited_count; i++) {
        if (c->edited[i] == v->users[at]) {
            c->edited[i] = c->edited[--c->edited_count];
            break;
        }
    }
    v->count--;
    memmove(&v->users[at], &v->users[at + 1], (v->count - at) * sizeof(struct acl_user *));
}

/* Its record is to be deleted; the view's reference goes to the list of the dropped. */
static db_err drop(struct acl_change *c, uint32_t at)
{
    TRY(remember(&c->dropped, &c->dropped_count, c->view->users[at]));
    take_out(c, at);
    return ERR_OK;
}

db_err acl_change_drop(struct acl_change *c, struct slice user, struct slice host)
{
    struct acl_name name = {user, host};
    const struct acl_user *u = acl_find(c->view, user, host);
    if (u == NULL) {
        return ERR_NOT_FOUND;
    }
    TRY(login_lock__drop(c->txn, u));
    TRY(drop(c, index_of(c->view, u)));
    for (uint32_t i = 0; i < c->view->count; i++) {
        struct acl_user *other = c->view->users[i];
        if (user__mentions(other, &name)) {
            TRY(edit(c, other, &other));
            user__forget(other, &name);
        }
    }
    return ERR_OK;
}

db_err acl_change_rename(struct acl_change *c, struct slice user, struct slice host,
                         struct slice new_user, struct slice new_host)
{
    struct acl_name from = {user, host};
    struct acl_name to = {new_user, new_host};
    const struct acl_user *old = acl_find(c->view, user, host);
    if (old == NULL) {
        return ERR_NOT_FOUND;
    }
    struct acl_user *u = user__copy(old);
    if (u == NULL) {
        return ERR_NOMEM;
    }
    snprintf(u->account.user, sizeof(u->account.user), "%.*s", SLICE_FMT(new_user));
    snprintf(u->account.host, sizeof(u->account.host), "%.*s", SLICE_FMT(new_host));
    u->user = slice_str(u->account.user);
    u->host = slice_str(u->account.host);
    db_err err = login_lock__rename(c->txn, old, u);
    err = err == ERR_OK ? drop(c, index_of(c->view, old)) : err;
    err = err == ERR_OK ? remember(&c->edited, &c->edited_count, u) : err;
    if (err != ERR_OK) {
        user__unref(u);
        return err;
    }
    TRY(acl_insert(c->view, u));
    for (uint32_t i = 0; i < c->view->count; i++) {
        struct acl_user *other = c->view->users[i];
        if (user__mentions(other, &from)) {
            TRY(edit(c, other, &other));
            TRY(user__rename_mentions(other, &from, &to));
        }
    }
    return ERR_OK;
}

static db_err write_user(struct acl_change *c, const struct acl_user *u, bool is_drop,
                         struct diag *diag)
{
    struct buf key;
    struct buf value;
    buf_init(&key, KEY_MAX);
    buf_init(&value, RECORD_MAX);
    db_err err = record__key(u, &key);
    if (err == ERR_OK && is_drop) {
        err = storage_del(c->txn, buf_slice(&key), 0, diag);
    } else if (err == ERR_OK) {
        err = record__encode(u, &value);
        err =
            err == ERR_OK ? storage_put(c->txn, buf_slice(&key), buf_slice(&value), 0, diag) : err;
    }
    buf_fini(&key);
    buf_fini(&value);
    return err;
}

static db_err write_all(struct acl_change *c, struct diag *diag)
{
    uint8_t key[2];
    uint8_t version[8];
    for (uint32_t i = 0; i < c->dropped_count; i++) {
        TRY(write_user(c, c->dropped[i], true, diag));
    }
    for (uint32_t i = 0; i < c->edited_count; i++) {
        TRY(write_user(c, c->edited[i], false, diag));
    }
    c->view->version++;
    for (int i = 0; i < 8; i++) {
        version[i] = (uint8_t)(c->view->version >> (56 - 8 * i));
    }
    return storage_put(c->txn, version_key(key), slice_of(version, 8), STORAGE_W_LOCKED, diag);
}

/* It has waited for the lock of the version that every change holds to its end. One that has lost
 * that lock, with a leader or because its node is silent, is refused for the version it has seen.
 */
db_err accounts_fence(struct accounts *a, struct diag *diag)
{
    struct acl_change *c;
    TRY(acl_change_begin(a, diag, &c));
    return acl_change_commit(c, diag);
}

db_err acl_change_commit(struct acl_change *c, struct diag *diag)
{
    db_err err = write_all(c, diag);
    if (err != ERR_OK) {
        acl_change_abort(c);
        return err;
    }
    err = storage_txn_commit(c->txn, diag, NULL);
    c->txn = NULL;
    if (err == ERR_OK) {
        publish(c->accounts, c->view);
        c->view = NULL;
    }
    change_free(c);
    return err;
}
