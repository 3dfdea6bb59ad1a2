/* SHA256(SHA256(password)) of accounts that have logged in with their password, so that the next
 * login needs neither the slow hash nor the password itself.
 *
 * An entry is found by account and stored hash together: a changed password finds nothing. The
 * cache has a fixed size; a new entry takes the place of an old one in its bucket. Thread-safe. */
#ifndef SKEIN_WIRE_AUTH_DIGEST_CACHE_H
#define SKEIN_WIRE_AUTH_DIGEST_CACHE_H

#include "base/err.h"
#include "base/sha_crypt.h"

struct digest_cache;
struct digest_cache *digest_cache_new(void); /* NULL when memory is out */
void digest_cache_free(struct digest_cache *cache);

struct digest_key {
    uint8_t bytes[SHA256_SIZE];
};
/* user and host pattern of the account, authentication string. */
void digest_key_make(struct slice user, struct slice host, struct slice stored,
                     struct digest_key *ret_key);
MUST_USE bool digest_cache_get(struct digest_cache *cache, const struct digest_key *key,
                               uint8_t ret_digest[SHA256_SIZE]);
void digest_cache_put(struct digest_cache *cache, const struct digest_key *key,
                      const uint8_t digest[SHA256_SIZE]);

#endif
