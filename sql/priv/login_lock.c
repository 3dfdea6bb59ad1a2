/* FAILED_LOGIN_ATTEMPTS and PASSWORD_LOCK_TIME: how many log-ins have failed in a row.
 *
 * The count is a record of its own beside the account's, so that a guess at a password at one node
 * counts at all of them and a failure costs one small transaction and no new generation of the
 * accounts. It belongs to an epoch of the account (account.h): whatever takes a block away gives
 * the account another epoch, and the record is stale. A right password reads it, and writes only
 * when something had failed. MYSQL: a block lasts by days of the calendar. */
#include "base/clock.h"
#include "sql/priv/acl_int.h"
#include "sql/storage/storage.h"

enum { KEY_MAX = 1024, RECORD_SIZE = 16 };
static const uint64_t DAY_US = 86400ull * 1000000u;

struct failures {
    uint64_t epoch;
    uint32_t count;
    uint32_t blocked_day; /* 0: not blocked */
};

static db_err make_key(const char *user, const char *host, struct buf *key)
{
    TRY(buf_append_u8(key, KEYSPACE_SYSTEM));
    TRY(buf_append_u8(key, SYSTEM_FAILED_LOGINS));
    TRY(buf_append(key, user, strlen(user) + 1));
    return buf_append(key, host, strlen(host) + 1);
}

static uint64_t number_at(struct slice value, size_t at, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) {
        v = v << 8 | value.ptr[at + i];
    }
    return v;
}

static db_err read_failures(struct storage_txn *txn, struct slice key, enum storage_read_mode mode,
                            struct diag *diag, struct failures *ret)
{
    struct arena arena;
    struct slice value;
    bool found;
    arena_init(&arena, NULL, NULL, 0);
    db_err err = storage_get(txn, key, mode, STORAGE_WAIT, &arena, diag, &found, &value);
    if (err == ERR_OK) {
        *ret = (struct failures){.count = 0};
        if (found && value.len == RECORD_SIZE) {
            ret->epoch = number_at(value, 0, 8);
            ret->count = (uint32_t)number_at(value, 8, 4);
            ret->blocked_day = (uint32_t)number_at(value, 12, 4);
        }
    }
    arena_fini(&arena);
    return err;
}

static db_err write_failures(struct storage_txn *txn, struct slice key, const struct failures *f,
                             struct diag *diag)
{
    uint8_t value[RECORD_SIZE];
    for (int i = 0; i < 8; i++) {
        value[i] = (uint8_t)(f->epoch >> (56 - 8 * i));
    }
    for (int i = 0; i < 4; i++) {
        value[8 + i] = (uint8_t)(f->count >> (24 - 8 * i));
        value[12 + i] = (uint8_t)(f->blocked_day >> (24 - 8 * i));
    }
    return storage_put(txn, key, slice_of(value, sizeof(value)), STORAGE_W_LOCKED, diag);
}

/* What failed in another epoch, or led to a block that is over, is forgotten. */
static void forget_old(const struct account *a, uint32_t today, struct failures *f)
{
    bool over = f->blocked_day != 0 && a->lock_days != ACCOUNT_LOCK_FOREVER &&
                today >= f->blocked_day + (uint32_t)a->lock_days;
    if (f->epoch != a->lock_epoch || over) {
        *f = (struct failures){.epoch = a->lock_epoch};
    }
}

static bool is_blocked(const struct account *a, uint32_t today, struct failures f)
{
    forget_old(a, today, &f);
    return f.blocked_day != 0;
}

/* What one more log-in makes of it; *ret_write: it is to be written (count 0: deleted). */
static void one_more(const struct account *a, uint32_t today, bool right, struct failures *f,
                     bool *ret_write)
{
    bool stale = f->count != 0;
    forget_old(a, today, f);
    *ret_write = false;
    if (f->blocked_day != 0) {
        return;
    }
    if (right) {
        *ret_write = stale;
        f->count = 0;
        return;
    }
    *ret_write = true;
    f->count++;
    f->blocked_day = f->count >= (uint32_t)a->failed_logins ? today : 0;
}

static db_err note(struct storage_txn *txn, struct slice key, const struct account *a, bool right,
                   struct diag *diag, struct login_block *ret)
{
    struct failures f;
    bool write;
    uint32_t today = (uint32_t)(clock_wall_us() / DAY_US);
    TRY(read_failures(txn, key, STORAGE_READ_PLAIN, diag, &f));
    /* An account that is blocked stays so: a flood of guesses at its password locks nothing. */
    if ((!right || f.count != 0) && !is_blocked(a, today, f)) {
        TRY(read_failures(txn, key, STORAGE_READ_EXCLUSIVE, diag, &f));
    }
    one_more(a, today, right, &f, &write);
    if (write && f.count == 0) {
        TRY(storage_del(txn, key, STORAGE_W_LOCKED, diag));
    } else if (write) {
        TRY(write_failures(txn, key, &f, diag));
    }
    bool forever = a->lock_days == ACCOUNT_LOCK_FOREVER;
    *ret = (struct login_block){
        .blocked = f.blocked_day != 0,
        .failures = (uint32_t)a->failed_logins,
        .days = a->lock_days,
        .days_left = forever ? a->lock_days : a->lock_days - (int32_t)(today - f.blocked_day),
    };
    return ERR_OK;
}

db_err accounts_note_login(struct accounts *a, const struct account *account, bool right,
                           struct diag *diag, struct login_block *ret)
{
    struct storage_txn_opts o = {.isolation = STORAGE_READ_COMMITTED};
    struct storage_txn *txn;
    struct login_block block;
    struct buf key;
    if (account->failed_logins == 0 || account->lock_days == 0) {
        *ret = (struct login_block){.blocked = false};
        return ERR_OK;
    }
    TRY(storage_txn_begin(accounts__storage(a), &o, diag, &txn));
    buf_init(&key, KEY_MAX);
    db_err err = make_key(account->user, account->host, &key);
    err = err == ERR_OK ? note(txn, buf_slice(&key), account, right, diag, &block) : err;
    buf_fini(&key);
    if (err != ERR_OK) {
        storage_txn_rollback(txn);
        return err;
    }
    TRY(storage_txn_commit(txn, diag, NULL));
    *ret = block;
    return ERR_OK;
}

static db_err move_record(struct storage_txn *txn, const struct acl_user *u, struct slice from,
                          struct buf *to)
{
    struct diag diag = {0};
    struct failures f;
    TRY(read_failures(txn, from, STORAGE_READ_EXCLUSIVE, &diag, &f));
    if (f.count == 0) {
        return ERR_OK;
    }
    TRY(storage_del(txn, from, STORAGE_W_LOCKED, &diag));
    TRY(make_key(u->account.user, u->account.host, to));
    TRY(read_failures(txn, buf_slice(to), STORAGE_READ_EXCLUSIVE, &diag, &(struct failures){0}));
    return write_failures(txn, buf_slice(to), &f, &diag);
}

db_err login_lock__rename(struct storage_txn *txn, const struct acl_user *old,
                          const struct acl_user *u)
{
    struct buf from;
    struct buf to;
    buf_init(&from, KEY_MAX);
    buf_init(&to, KEY_MAX);
    db_err err = make_key(old->account.user, old->account.host, &from);
    err = err == ERR_OK ? move_record(txn, u, buf_slice(&from), &to) : err;
    buf_fini(&from);
    buf_fini(&to);
    return err;
}

db_err login_lock__drop(struct storage_txn *txn, const struct acl_user *u)
{
    struct diag diag = {0};
    struct buf key;
    buf_init(&key, KEY_MAX);
    db_err err = make_key(u->account.user, u->account.host, &key);
    err = err == ERR_OK ? storage_del(txn, buf_slice(&key), 0, &diag) : err;
    buf_fini(&key);
    return err;
}

struct forgetting {
    struct storage_txn *txn;
    struct diag *diag;
};

static db_err forget(void *arg, const struct storage_kv *kv)
{
    const struct forgetting *f = arg;
    return storage_del(f->txn, kv->key, 0, f->diag);
}

db_err accounts_forget_failures(struct accounts *a, struct diag *diag)
{
    struct storage_txn_opts o = {.isolation = STORAGE_READ_COMMITTED};
    struct storage_txn *txn;
    TRY(storage_txn_begin(accounts__storage(a), &o, diag, &txn));
    struct forgetting f = {txn, diag};
    db_err err = accounts__each_record(txn, SYSTEM_FAILED_LOGINS, forget, &f, diag);
    if (err != ERR_OK) {
        storage_txn_rollback(txn);
        return err;
    }
    return storage_txn_commit(txn, diag, NULL);
}
