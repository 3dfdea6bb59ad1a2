/* Passwords of accounts: their stored forms. */
#include "sql/priv/account.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/rand.h"
#include "base/sha_crypt.h"
#include "sql/diag/my_error.h"

void account_init(struct account *account, struct slice user, struct slice host)
{
    *account = (struct account){.password_lifetime_days = ACCOUNT_UNSET,
                                .reuse_history = ACCOUNT_UNSET,
                                .reuse_interval_days = ACCOUNT_UNSET,
                                .require_current = ACCOUNT_UNSET,
                                .password_changed_us = clock_wall_us(),
                                .lock_epoch = clock_wall_us()};
    snprintf(account->user, sizeof(account->user), "%.*s", SLICE_FMT(user));
    snprintf(account->host, sizeof(account->host), "%.*s", SLICE_FMT(host));
}

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
    uint32_t rounds;
    char text[SHA_CRYPT_TEXT];
    db_err err;
};

static void run_hash(void *arg)
{
    struct hash_job *j = arg;
    j->err = sha_crypt(j->password, j->salt, j->rounds, j->text);
}

static db_err sha2_password(struct account *a, struct slice password, uint32_t rounds)
{
    uint32_t thousands = rounds / 1000;
    char salt[SHA_CRYPT_SALT];
    TRY(rand_secure(salt, sizeof(salt)));
    for (size_t i = 0; i < sizeof(salt); i++) {
        salt[i] = (char)(salt[i] & 0x7f);
        salt[i] = salt[i] == '\0' || salt[i] == '$' ? (char)(salt[i] + 1)
                                                    : salt[i]; /* MYSQL: as its generator does */
    }
    struct hash_job j = {
        .password = password, .salt = slice_of(salt, sizeof(salt)), .rounds = thousands * 1000};
    blocking_run(run_hash, &j);
    TRY(j.err);
    snprintf(a->auth, sizeof(a->auth), "$A$%03X$", thousands);
    memcpy(a->auth + 7, salt, SHA_CRYPT_SALT);
    memcpy(a->auth + 7 + SHA_CRYPT_SALT, j.text, SHA_CRYPT_TEXT);
    a->auth_len = SHA2_STORED_SIZE;
    a->auth[a->auth_len] = '\0';
    return ERR_OK;
}

static void native_text(struct slice password, char ret_text[2 + 2 * SHA_DIGEST_LENGTH])
{
    uint8_t one[SHA_DIGEST_LENGTH];
    uint8_t two[SHA_DIGEST_LENGTH];
    SHA1(password.ptr, password.len, one);
    SHA1(one, sizeof(one), two);
    ret_text[0] = '*';
    for (size_t i = 0; i < sizeof(two); i++) {
        snprintf(ret_text + 1 + 2 * i, 3, "%02X", two[i]);
    }
}

db_err account_set_password(struct account *account, struct slice plugin, struct slice password,
                            uint32_t rounds, struct diag *diag)
{
    TRY(known_plugin(plugin, diag));
    snprintf(account->plugin, sizeof(account->plugin), "%s",
             is_native(plugin) ? "mysql_native_password" : "caching_sha2_password");
    account->auth_len = 0;
    account->auth[0] = '\0';
    account->developer = false;
    account->password_changed_us = clock_wall_us();
    if (password.len == 0) {
        return ERR_OK;
    }
    if (is_native(plugin)) {
        native_text(password, account->auth);
        account->auth_len = 1 + 2 * SHA_DIGEST_LENGTH;
        return ERR_OK;
    }
    return sha2_password(account, password, rounds);
}

db_err account_password_fits(struct slice stored, struct slice password, bool *ret)
{
    char native[2 + 2 * SHA_DIGEST_LENGTH];
    struct hash_job j = {.password = password};
    struct slice hash;
    if (stored.len == 0 || password.len == 0) {
        *ret = stored.len == password.len;
        return ERR_OK;
    }
    if (stored.ptr[0] == '*') {
        native_text(password, native);
        *ret = slice_eq_nocase(stored, slice_str(native));
        return ERR_OK;
    }
    if (password.len > SHA2_PASSWORD_MAX || !sha2_stored_parse(stored, &j.rounds, &j.salt, &hash)) {
        *ret = false;
        return ERR_OK;
    }
    blocking_run(run_hash, &j);
    TRY(j.err);
    *ret = CRYPTO_memcmp(j.text, hash.ptr, SHA_CRYPT_TEXT) == 0;
    return ERR_OK;
}

void account_discard_old(struct account *account)
{
    OPENSSL_cleanse(account->old_auth, sizeof(account->old_auth));
    account->old_auth_len = 0;
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
    if (hash.len != 0) {
        memcpy(account->auth, hash.ptr, hash.len);
    }
    account->auth[hash.len] = '\0';
    account->auth_len = (uint16_t)hash.len;
    account->developer = false;
    account->password_changed_us = clock_wall_us();
    return ERR_OK;
}
