/* The RSA pair by which a client without TLS sends its password. */
#ifndef SKEIN_WIRE_AUTH_RSA_KEY_H
#define SKEIN_WIRE_AUTH_RSA_KEY_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

struct rsa_key;
/* Nothing is made yet. data_dir: see auth_server_new. NULL when memory is out. */
struct rsa_key *rsa_key_new(const char *data_dir);
void rsa_key_free(struct rsa_key *key);

/* Both load or make the key on first use (a fraction of a second) and belong on a blocking thread.
 * ERR_IO, ERR_INVALID. The text lives as long as the key. */
MUST_USE db_err rsa_key_public_pem(struct rsa_key *key, struct slice *ret_pem);
/* ret_size: in, room; out, bytes. false: not a message for this key. */
MUST_USE bool rsa_key_decrypt(struct rsa_key *key, struct slice secret, uint8_t *ret_plain,
                              size_t *ret_size);

#endif
