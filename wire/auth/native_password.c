/* mysql_native_password. Stored: '*' and the hexadecimal SHA1(SHA1(password)). The client sends
 * SHA1(password) xor SHA1(nonce || SHA1(SHA1(password))). */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "wire/auth/auth.h"

static bool parse_stored(struct slice stored, uint8_t ret_stage2[SHA_DIGEST_LENGTH])
{
    if (stored.len != 1 + 2 * SHA_DIGEST_LENGTH || stored.ptr[0] != '*') {
        return false;
    }
    for (int i = 0; i < 2 * SHA_DIGEST_LENGTH; i++) {
        char ch = (char)stored.ptr[1 + i];
        int v = ch >= '0' && ch <= '9'   ? ch - '0'
                : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
                                         : -1;
        if (v < 0) {
            return false;
        }
        ret_stage2[i / 2] = (uint8_t)((i % 2 == 0 ? 0 : ret_stage2[i / 2] << 4) | v);
    }
    return true;
}

static bool knows(const struct auth_exchange *x, struct slice stored)
{
    uint8_t stage2[SHA_DIGEST_LENGTH] = {0};
    bool usable = parse_stored(stored, stage2);
    uint8_t joined[NONCE_SIZE + SHA_DIGEST_LENGTH];
    uint8_t mask[SHA_DIGEST_LENGTH];
    uint8_t stage1[SHA_DIGEST_LENGTH];
    uint8_t check[SHA_DIGEST_LENGTH];
    memcpy(joined, x->conn->nonce, NONCE_SIZE);
    memcpy(joined + NONCE_SIZE, stage2, SHA_DIGEST_LENGTH);
    EVP_Digest(joined, sizeof(joined), mask, NULL, EVP_sha1(), NULL);
    for (int i = 0; i < SHA_DIGEST_LENGTH; i++) {
        stage1[i] = x->response[i] ^ mask[i];
    }
    EVP_Digest(stage1, sizeof(stage1), check, NULL, EVP_sha1(), NULL);
    OPENSSL_cleanse(stage1, sizeof(stage1));
    return CRYPTO_memcmp(check, stage2, sizeof(check)) == 0 && usable;
}

static db_err authenticate(struct auth_exchange *x, bool *ret_accepted)
{
    const struct sql_account *a = x->account;
    *ret_accepted = false;
    x->used_password = x->response_size > 0;
    if (x->response_size == 0) {
        *ret_accepted = a->exists && a->auth_string_len == 0;
        return ERR_OK;
    }
    if (x->response_size != SHA_DIGEST_LENGTH) {
        return ERR_OK;
    }
    bool first = knows(x, slice_of(a->auth_string, a->auth_string_len));
    bool second = knows(x, slice_of(a->old_auth_string, a->old_auth_string_len));
    *ret_accepted = first || second;
    return ERR_OK;
}

const struct auth_plugin auth__native_password = {"mysql_native_password", authenticate};
