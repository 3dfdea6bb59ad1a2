/* SHA-256 and the password hash built of it that caching_sha2_password stores: SHA-crypt with a
 * salt of 20 bytes. */
#ifndef SKEIN_BASE_SHA_CRYPT_H
#define SKEIN_BASE_SHA_CRYPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum {
    SHA256_SIZE = 32,
    SHA_CRYPT_SALT = 20,
    SHA_CRYPT_TEXT = 43,
    SHA2_STORED_SIZE = 7 + SHA_CRYPT_SALT + SHA_CRYPT_TEXT, /* "$A$005$" salt hash */
    SHA2_PASSWORD_MAX = 256,
};

/* SHA256(a || b). */
void sha256_two(struct slice a, struct slice b, uint8_t ret_digest[SHA256_SIZE]);
/* The 43 characters of the hash. ERR_NOMEM. Takes milliseconds: not on a loop. */
MUST_USE db_err sha_crypt(struct slice password, struct slice salt, uint32_t rounds,
                          char ret_text[SHA_CRYPT_TEXT]);
/* Takes "$A$005$..." apart; false when it is not of that form. */
MUST_USE bool sha2_stored_parse(struct slice stored, uint32_t *ret_rounds, struct slice *ret_salt,
                                struct slice *ret_hash);

#endif
