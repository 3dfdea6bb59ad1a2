#include "sql/priv/account.h"

#include <openssl/sha.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fiber.h"
#include "base/rand.h"
#include "base/sha_crypt.h"
#include "sql/diag/my_error.h"
#include "sql/storage/storage.h"

enum {
    SYSTEM_TAG = 0x01,
    RECORD_VERSION = 1,
    FLAG_LOCKED = 1,
    FLAG_TLS = 2,
    FLAG_EXPIRED = 4,
    FLAG_DEVELOPER = 8
};

struct accounts {
    struct storage *storage;
    struct fiber_mutex mutex; /* guards list and count */
    struct account *list;
    uint32_t count, cap;
};

static bool same(const struct account *a, struct slice user, struct slice host)
{
    return slice_eq(slice_str(a->user), user) && slice_eq_nocase(slice_str(a->host), host);
}

static struct account *find(struct accounts *a, struct slice user, struct slice host)
{
    for (uint32_t i = 0; i < a->count; i++) {
        if (same(&a->list[i], user, host)) {
            return &a->list[i];
        }
    }
    return NULL;
}

static db_err remember(struct accounts *a, const struct account *account)
{
    struct account *old = find(a, slice_str(account->user), slice_str(account->host));
    if (old != NULL) {
        *old = *account;
        return ERR_OK;
    }
    if (a->count == a->cap) {
        uint32_t cap = a->cap == 0 ? 4 : a->cap * 2;
        struct account *grown = mem_realloc(a->list, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        a->list = grown;
        a->cap = cap;
    }
    a->list[a->count++] = *account;
    return ERR_OK;
}

/* ---- records: version, flags, then user, host, plugin, auth, each with a 2-byte length. Key: tag,
 * 'U', user, 0, host, 0 ---- */

static db_err put_text(struct buf *b, const char *text, size_t n)
{
    TRY(buf_append_u8(b, (uint8_t)(n >> 8)));
    TRY(buf_append_u8(b, (uint8_t)n));
    return buf_append(b, text, n);
}

static db_err encode(const struct account *a, struct buf *key, struct buf *value)
{
    uint8_t flags =
        (uint8_t)((a->locked ? FLAG_LOCKED : 0) | (a->require_tls ? FLAG_TLS : 0) |
                  (a->password_expired ? FLAG_EXPIRED : 0) | (a->developer ? FLAG_DEVELOPER : 0));
    TRY(buf_append_u8(key, SYSTEM_TAG));
    TRY(buf_append_u8(key, 'U'));
    TRY(buf_append(key, a->user, strlen(a->user) + 1));
    TRY(buf_append(key, a->host, strlen(a->host) + 1));
    TRY(buf_append_u8(value, RECORD_VERSION));
    TRY(buf_append_u8(value, flags));
    TRY(put_text(value, a->user, strlen(a->user)));
    TRY(put_text(value, a->host, strlen(a->host)));
    TRY(put_text(value, a->plugin, strlen(a->plugin)));
    return put_text(value, a->auth, a->auth_len);
}

static bool take_text(struct slice *io, char *out, size_t size, size_t *ret_len)
{
    if (io->len < 2) {
        return false;
    }
    size_t n = (size_t)io->ptr[0] << 8 | io->ptr[1];
    if (n >= size || io->len - 2 < n) {
        return false;
    }
    memcpy(out, io->ptr + 2, n);
    out[n] = '\0';
    *io = slice_from(*io, n + 2);
    if (ret_len != NULL) {
        *ret_len = n;
    }
    return true;
}

static db_err decode(struct slice value, struct account *a)
{
    size_t n = 0;
    *a = (struct account){0};
    if (value.len < 2 || value.ptr[0] != RECORD_VERSION) {
        return ERR_CORRUPT;
    }
    uint8_t flags = value.ptr[1];
    value = slice_from(value, 2);
    bool ok = take_text(&value, a->user, sizeof(a->user), NULL) &&
              take_text(&value, a->host, sizeof(a->host), NULL) &&
              take_text(&value, a->plugin, sizeof(a->plugin), NULL) &&
              take_text(&value, a->auth, sizeof(a->auth), &n);
    a->auth_len = (uint16_t)n;
    a->locked = (flags & FLAG_LOCKED) != 0;
    a->require_tls = (flags & FLAG_TLS) != 0;
    a->password_expired = (flags & FLAG_EXPIRED) != 0;
    a->developer = (flags & FLAG_DEVELOPER) != 0;
    return ok ? ERR_OK : ERR_CORRUPT;
}

static db_err load(struct accounts *a, struct storage_txn *txn, struct diag *diag)
{
    static const uint8_t first[] = {SYSTEM_TAG, 'U'};
    static const uint8_t last[] = {SYSTEM_TAG, 'U' + 1};
    struct storage_scan_opts o = {.start = slice_of(first, 2), .end = slice_of(last, 2)};
    struct storage_scan *scan;
    TRY(storage_scan_open(txn, &o, diag, &scan));
    db_err err = ERR_OK;
    while (err == ERR_OK) {
        const struct storage_kv *kv;
        size_t n;
        err = storage_scan_next(scan, diag, &kv, &n);
        if (err != ERR_OK || n == 0) {
            break;
        }
        for (size_t i = 0; i < n && err == ERR_OK; i++) {
            struct account one;
            err = decode(kv[i].value, &one);
            err = err == ERR_OK ? remember(a, &one)
                                : diag_set(diag, err, "an account record cannot be read");
        }
    }
    storage_scan_close(scan);
    return err;
}

static db_err write_record(struct accounts *a, const struct account *account, bool drop,
                           struct diag *diag)
{
    struct storage_txn_opts o = {.isolation = STORAGE_READ_COMMITTED, .autocommit = true};
    struct storage_txn *txn;
    struct buf key;
    struct buf value;
    buf_init(&key, 1024);
    buf_init(&value, 2048);
    db_err err = encode(account, &key, &value);
    if (err == ERR_OK) {
        err = storage_txn_begin(a->storage, &o, diag, &txn);
    }
    if (err == ERR_OK) {
        err = drop ? storage_del(txn, buf_slice(&key), 0, diag)
                   : storage_put(txn, buf_slice(&key), buf_slice(&value), 0, diag);
        if (err == ERR_OK) {
            err = storage_txn_commit(txn, diag, NULL);
        } else {
            storage_txn_rollback(txn);
        }
    }
    buf_fini(&key);
    buf_fini(&value);
    return err;
}

db_err accounts_open(struct storage *storage, struct diag *diag, struct accounts **ret)
{
    struct storage_txn_opts o = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
    struct storage_txn *txn;
    struct accounts *a = mem_calloc(1, sizeof(*a));
    if (a == NULL) {
        return ERR_NOMEM;
    }
    a->storage = storage;
    fiber_mutex_init(&a->mutex);
    db_err err = storage_txn_begin(storage, &o, diag, &txn);
    if (err == ERR_OK) {
        err = load(a, txn, diag);
        storage_txn_rollback(txn);
    }
    if (err == ERR_OK && a->count == 0) {
        struct account root = {.user = "root",
                               .host = "localhost",
                               .plugin = "caching_sha2_password",
                               .developer = true};
        err = accounts_put(a, &root, diag);
    }
    if (err != ERR_OK) {
        accounts_close(a);
        return err;
    }
    *ret = a;
    return ERR_OK;
}

db_err accounts_reload(struct accounts *a, struct diag *diag)
{
    struct storage_txn_opts o = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
    struct storage_txn *txn;
    struct accounts fresh = {.storage = a->storage};
    TRY(storage_txn_begin(a->storage, &o, diag, &txn));
    db_err err = load(&fresh, txn, diag);
    storage_txn_rollback(txn);
    if (err == ERR_OK) {
        fiber_mutex_lock(&a->mutex);
        struct account *old = a->list;
        a->list = fresh.list;
        a->count = fresh.count;
        a->cap = fresh.cap;
        fiber_mutex_unlock(&a->mutex);
        fresh.list = old;
    }
    mem_free(fresh.list);
    return err;
}

void accounts_close(struct accounts *a)
{
    if (a != NULL) {
        mem_free(a->list);
        mem_free(a);
    }
}

/* ---- matching ---- */

/* Host patterns: % any run, _ one character; without case. */
static bool host_like(const char *pattern, struct slice host)
{
    size_t i = 0;
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '%') {
            for (size_t k = i; k <= host.len; k++) {
                if (host_like(pattern + 1, slice_from(host, k))) {
                    return true;
                }
            }
            return false;
        }
        struct slice p = slice_of(pattern, 1);
        if (i == host.len || (*pattern != '_' && !slice_eq_nocase(p, slice_of(host.ptr + i, 1)))) {
            return false;
        }
        i++;
    }
    return i == host.len;
}

static bool is_loopback(struct slice host)
{
    return slice_eq_nocase(host, SLICE_LIT("localhost")) ||
           slice_starts_with(host, SLICE_LIT("127.")) || slice_eq(host, SLICE_LIT("::1"));
}

static int specificity(const struct account *a)
{
    const char *wild = strpbrk(a->host, "%_");
    int n = wild == NULL ? 1000 : (int)(wild - a->host);
    return n * 2 + (a->user[0] != '\0');
}

bool accounts_match(struct accounts *a, struct slice user, struct slice host, struct account *ret)
{
    int best = -1;
    fiber_mutex_lock(&a->mutex);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct account *c = &a->list[i];
        bool user_fits = c->user[0] == '\0' || slice_eq(slice_str(c->user), user);
        bool local = is_loopback(host) && is_loopback(slice_str(c->host));
        if (user_fits && (local || host_like(c->host, host)) && specificity(c) > best) {
            best = specificity(c);
            *ret = *c;
        }
    }
    fiber_mutex_unlock(&a->mutex);
    return best >= 0;
}

bool accounts_get(struct accounts *a, struct slice user, struct slice host, struct account *ret)
{
    fiber_mutex_lock(&a->mutex);
    const struct account *c = find(a, user, host);
    if (c != NULL) {
        *ret = *c;
    }
    fiber_mutex_unlock(&a->mutex);
    return c != NULL;
}

void accounts_each(struct accounts *a, bool (*fn)(void *arg, const struct account *account),
                   void *arg)
{
    fiber_mutex_lock(&a->mutex);
    for (uint32_t i = 0; i < a->count; i++) {
        if (!fn(arg, &a->list[i])) {
            break;
        }
    }
    fiber_mutex_unlock(&a->mutex);
}

/* Anything but developer mode's own account ends developer mode: root then needs its password (none
 * set: it is locked out of other hosts as before, and stays password-less on loopback only while it
 * is the only account). */
db_err accounts_put(struct accounts *a, const struct account *account, struct diag *diag)
{
    TRY(write_record(a, account, false, diag));
    fiber_mutex_lock(&a->mutex);
    db_err err = remember(a, account);
    fiber_mutex_unlock(&a->mutex);
    return err;
}

db_err accounts_drop(struct accounts *a, struct slice user, struct slice host, struct diag *diag)
{
    struct account old;
    if (!accounts_get(a, user, host, &old)) {
        return diag_set(diag, ERR_NOT_FOUND, "no such account");
    }
    TRY(write_record(a, &old, true, diag));
    fiber_mutex_lock(&a->mutex);
    struct account *c = find(a, user, host);
    if (c != NULL) {
        *c = a->list[--a->count];
    }
    fiber_mutex_unlock(&a->mutex);
    return ERR_OK;
}

/* ---- passwords ---- */

static bool is_native(struct slice plugin)
{
    return slice_eq_nocase(plugin, SLICE_LIT("mysql_native_password"));
}

static db_err known_plugin(struct slice plugin, struct diag *diag)
{
    char name[64];
    if (is_native(plugin) || slice_eq_nocase(plugin, SLICE_LIT("caching_sha2_password"))) {
        return ERR_OK;
    }
    snprintf(name, sizeof(name), "%.*s", SLICE_FMT(plugin));
    return my_error(diag, ER_PLUGIN_IS_NOT_LOADED, name);
}

struct hash_job {
    struct slice password;
    struct slice salt;
    char text[SHA_CRYPT_TEXT];
    db_err err;
};

static void run_hash(void *arg)
{
    struct hash_job *j = arg;
    j->err = sha_crypt(j->password, j->salt, 5000, j->text);
}

static db_err sha2_password(struct account *a, struct slice password)
{
    char salt[SHA_CRYPT_SALT];
    TRY(rand_secure(salt, sizeof(salt)));
    for (size_t i = 0; i < sizeof(salt); i++) {
        salt[i] = (char)(salt[i] & 0x7f);
        salt[i] = salt[i] == '\0' || salt[i] == '$' ? (char)(salt[i] + 1)
                                                    : salt[i]; /* MYSQL: as its generator does */
    }
    struct hash_job j = {.password = password, .salt = slice_of(salt, sizeof(salt))};
    blocking_run(run_hash, &j);
    TRY(j.err);
    memcpy(a->auth, "$A$005$", 7);
    memcpy(a->auth + 7, salt, SHA_CRYPT_SALT);
    memcpy(a->auth + 7 + SHA_CRYPT_SALT, j.text, SHA_CRYPT_TEXT);
    a->auth_len = SHA2_STORED_SIZE;
    a->auth[a->auth_len] = '\0';
    return ERR_OK;
}

static void native_password(struct account *a, struct slice password)
{
    uint8_t one[SHA_DIGEST_LENGTH];
    uint8_t two[SHA_DIGEST_LENGTH];
    SHA1(password.ptr, password.len, one);
    SHA1(one, sizeof(one), two);
    a->auth[0] = '*';
    for (size_t i = 0; i < sizeof(two); i++) {
        snprintf(a->auth + 1 + 2 * i, 3, "%02X", two[i]);
    }
    a->auth_len = 1 + 2 * SHA_DIGEST_LENGTH;
}

db_err account_set_password(struct account *account, struct slice plugin, struct slice password,
                            struct diag *diag)
{
    TRY(known_plugin(plugin, diag));
    snprintf(account->plugin, sizeof(account->plugin), "%s",
             is_native(plugin) ? "mysql_native_password" : "caching_sha2_password");
    account->auth_len = 0;
    account->auth[0] = '\0';
    account->developer = false;
    if (password.len == 0) {
        return ERR_OK;
    }
    if (is_native(plugin)) {
        native_password(account, password);
        return ERR_OK;
    }
    return sha2_password(account, password);
}

db_err account_set_hash(struct account *account, struct slice plugin, struct slice hash,
                        struct diag *diag)
{
    uint32_t rounds;
    struct slice salt;
    struct slice text;
    TRY(known_plugin(plugin, diag));
    bool native = is_native(plugin);
    bool ok = hash.len == 0 || (native ? hash.len == 41 && hash.ptr[0] == '*'
                                       : sha2_stored_parse(hash, &rounds, &salt, &text));
    if (!ok || hash.len > ACCOUNT_AUTH_MAX) {
        return my_error(diag, ER_PASSWORD_FORMAT);
    }
    snprintf(account->plugin, sizeof(account->plugin), "%s",
             native ? "mysql_native_password" : "caching_sha2_password");
    memcpy(account->auth, hash.ptr, hash.len);
    account->auth[hash.len] = '\0';
    account->auth_len = (uint16_t)hash.len;
    account->developer = false;
    return ERR_OK;
}
