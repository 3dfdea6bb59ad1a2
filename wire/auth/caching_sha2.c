/* caching_sha2_password.
 *
 * The client first sends SHA256(pw) xor SHA256(SHA256(SHA256(pw)) || nonce). With the double digest
 * in the cache that is checked at once ("fast", 1 3). Without it the client is asked for the
 * password itself (1 4), which it sends in clear on a TLS or unix-socket connection and otherwise
 * encrypted, xor-ed with the nonce, by the server's RSA key (which it may ask for: 2). The slow
 * hash then runs on a blocking thread, and the digest goes to the cache.
 *
 * An account that does not exist takes the same way with a made-up hash, so that neither the
 * answers nor the time tell it apart. */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/fiber.h"
#include "wire/auth/auth.h"
#include "wire/auth/digest_cache.h"
#include "wire/auth/rsa_key.h"
#include "base/sha_crypt.h"

enum { MORE_DATA = 1, ASK_KEY = 2, FAST_OK = 3, DO_FULL = 4, RSA_BYTES = 256 };

static db_err put_more_data(struct conn *c, struct slice data)
{
    TRY(conn_begin(c));
    TRY(put_u8(&c->out, MORE_DATA));
    TRY(put_bytes(&c->out, data));
    return conn_finish(c);
}

static bool fast_matches(const struct auth_exchange *x, const uint8_t digest2[SHA256_SIZE])
{
    uint8_t mask[SHA256_SIZE];
    uint8_t digest1[SHA256_SIZE];
    uint8_t check[SHA256_SIZE];
    sha256_two(slice_of(digest2, SHA256_SIZE), slice_of(x->conn->nonce, NONCE_SIZE), mask);
    for (int i = 0; i < SHA256_SIZE; i++) {
        digest1[i] = x->response[i] ^ mask[i];
    }
    sha256_two(slice_of(digest1, SHA256_SIZE), SLICE_EMPTY, check);
    OPENSSL_cleanse(digest1, sizeof(digest1));
    return CRYPTO_memcmp(check, digest2, SHA256_SIZE) == 0;
}

/* --- on a blocking thread --- */

struct slow_job {
    struct rsa_key *rsa;
    uint8_t secret[AUTH_RESPONSE_MAX];
    size_t secret_size;
    uint8_t nonce[NONCE_SIZE];
    bool encrypted;
    struct slice stored[2]; /* the password, and the one retained beside it */
    struct slice pem;
    int accepted; /* which, -1: neither */
    db_err err;
    uint8_t digest2[SHA256_SIZE];
};

static void fetch_pem(void *arg)
{
    struct slow_job *job = arg;
    job->err = rsa_key_public_pem(job->rsa, &job->pem);
}

static bool decrypt_secret(struct slow_job *job)
{
    uint8_t plain[AUTH_RESPONSE_MAX];
    size_t size = sizeof(plain);
    if (!rsa_key_decrypt(job->rsa, slice_of(job->secret, job->secret_size), plain, &size)) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        job->secret[i] = plain[i] ^ job->nonce[i % NONCE_SIZE];
    }
    job->secret_size = size;
    OPENSSL_cleanse(plain, sizeof(plain));
    return true;
}

/* An account without such a hash takes as long: neither whether there is one nor whether it has a
 * second password is told by the time. */
static bool hash_fits(struct slice stored, struct slice password)
{
    static const char nobody[SHA2_STORED_SIZE + 1] =
        "$A$00A$aaaaaaaaaaaaaaaaaaaa...........................................";
    uint32_t rounds;
    struct slice salt;
    struct slice hash;
    char text[SHA_CRYPT_TEXT];
    bool real = sha2_stored_parse(stored, &rounds, &salt, &hash);
    if (!real && !sha2_stored_parse(slice_of(nobody, SHA2_STORED_SIZE), &rounds, &salt, &hash)) {
        return false;
    }
    if (sha_crypt(password, salt, rounds, text) != ERR_OK) {
        return false;
    }
    return CRYPTO_memcmp(text, hash.ptr, SHA_CRYPT_TEXT) == 0 && real;
}

static void check_password(void *arg)
{
    struct slow_job *job = arg;
    if (job->encrypted && !decrypt_secret(job)) {
        return;
    }
    size_t size = job->secret_size;
    if (size == 0 || job->secret[size - 1] != 0 || size - 1 > SHA2_PASSWORD_MAX) {
        return;
    }
    struct slice password = slice_of(job->secret, size - 1);
    for (int i = 0; i < 2 && job->accepted < 0; i++) {
        job->accepted = hash_fits(job->stored[i], password) ? i : -1;
    }
    uint8_t digest1[SHA256_SIZE];
    sha256_two(password, SLICE_EMPTY, digest1);
    sha256_two(slice_of(digest1, SHA256_SIZE), SLICE_EMPTY, job->digest2);
    OPENSSL_cleanse(digest1, sizeof(digest1));
}

/* --- the exchange --- */

/* The password as the client sends it; encrypted or not. ret_size 0: it may not be taken. */
static db_err receive_secret(struct auth_exchange *x, struct slow_job *job)
{
    struct conn *c = x->conn;
    struct slice packet;
    static const uint8_t full = DO_FULL;
    TRY(put_more_data(c, slice_of(&full, 1)));
    TRY(conn_read_packet(c, &packet));
    if (!c->secure && packet.len == 1 && packet.ptr[0] == ASK_KEY) {
        blocking_run(fetch_pem, job);
        TRY(job->err);
        TRY(put_more_data(c, job->pem));
        TRY(conn_read_packet(c, &packet));
    }
    job->encrypted = !c->secure;
    job->secret_size = 0;
    if (packet.len <= sizeof(job->secret) && (c->secure || packet.len == RSA_BYTES)) {
        memcpy(job->secret, packet.ptr, packet.len);
        job->secret_size = packet.len;
        OPENSSL_cleanse((void *)(uintptr_t)packet.ptr, packet.len);
    }
    return ERR_OK;
}

static db_err authenticate_fully(struct auth_exchange *x, const struct digest_key keys[2],
                                 bool *ret_accepted)
{
    const struct sql_account *a = x->account;
    struct slow_job job = {
        .rsa = auth__rsa(x->server),
        .stored = {slice_of(a->auth_string, a->exists ? a->auth_string_len : 0),
                   slice_of(a->old_auth_string, a->exists ? a->old_auth_string_len : 0)},
        .accepted = -1,
    };
    memcpy(job.nonce, x->conn->nonce, NONCE_SIZE);
    db_err err = receive_secret(x, &job);
    if (err == ERR_OK) {
        blocking_run(check_password, &job);
        if (job.accepted >= 0) {
            digest_cache_put(auth__cache(x->server), &keys[job.accepted], job.digest2);
        }
        *ret_accepted = job.accepted >= 0;
    }
    OPENSSL_cleanse(&job, sizeof(job));
    return err;
}

static db_err authenticate(struct auth_exchange *x, bool *ret_accepted)
{
    const struct sql_account *a = x->account;
    bool none = x->response_size == 0 || (x->response_size == 1 && x->response[0] == 0);
    *ret_accepted = false;
    x->used_password = !none;
    if (none) {
        *ret_accepted = a->exists && a->auth_string_len == 0;
        return ERR_OK;
    }
    if (a->exists && a->auth_string_len == 0) {
        return ERR_OK;
    }
    struct digest_key keys[2];
    uint8_t digest2[SHA256_SIZE];
    struct slice host = slice_str(a->host_pattern);
    digest_key_make(x->user, host, slice_of(a->auth_string, a->auth_string_len), &keys[0]);
    digest_key_make(x->user, host, slice_of(a->old_auth_string, a->old_auth_string_len), &keys[1]);
    for (int i = 0; i < 2 && a->exists && x->response_size == SHA256_SIZE; i++) {
        if ((i == 0 || a->old_auth_string_len != 0) &&
            digest_cache_get(auth__cache(x->server), &keys[i], digest2) &&
            fast_matches(x, digest2)) {
            static const uint8_t ok = FAST_OK;
            *ret_accepted = true;
            return put_more_data(x->conn, slice_of(&ok, 1));
        }
    }
    return authenticate_fully(x, keys, ret_accepted);
}

const struct auth_plugin auth__caching_sha2 = {"caching_sha2_password", authenticate};
