/* Who is it? Authentication by the plugin of the account, with everything that a server keeps for
 * it: the RSA key and the cache of password digests.
 *
 * The password and its hash never leave this folder; buffers that held them are wiped. */
#ifndef SKEIN_WIRE_AUTH_AUTH_H
#define SKEIN_WIRE_AUTH_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "sql/sql.h"
#include "wire/net/conn.h"

struct auth_server;

/* data_dir: where private_key.pem and public_key.pem are kept, made when first needed; NULL: in
 * memory. ERR_NOMEM. */
MUST_USE db_err auth_server_new(struct sql_engine *engine, const char *data_dir,
                                struct auth_server **ret_auth);
void auth_server_free(struct auth_server *auth);

struct auth_request {
    struct slice user;     /* valid during the call: not a slice of the packet at hand */
    struct slice response; /* what the client has sent so far; copied at once */
    struct slice plugin;   /* that it was made for */
    bool fresh;            /* COM_CHANGE_USER: always ask again, with a new nonce */
};

struct auth_outcome {
    bool accepted;
    bool used_password;  /* for the text of 1045 */
    bool password_right; /* accepted, but for what is asked of the connection */
    struct sql_login_block block;
    bool plugin_missing; /* 1524: the account names a plugin that we do not have */
    struct sql_account account;
};

/* Finds the account and lets its plugin talk to the client. Parks. An error return means that the
 * connection must end; a wrong password is not one. */
MUST_USE db_err auth_run(struct auth_server *auth, struct conn *c,
                         const struct auth_request *request, struct diag *diag,
                         struct auth_outcome *ret_outcome);

/* The client's host as accounts and USER() name it: "localhost" for a unix socket and the loopback
 * addresses, else the numeric address (names are not resolved). */
const char *auth_client_host(const struct conn *c);
bool auth_is_loopback(const struct conn *c);

/* ---- plugins: one row each in auth.c ---- */

enum { AUTH_RESPONSE_MAX = 512 };
struct auth_exchange {
    struct auth_server *server;
    struct conn *conn;
    const struct sql_account *account;
    struct slice user;
    uint8_t response[AUTH_RESPONSE_MAX];
    size_t response_size;
    bool used_password;
};
struct auth_plugin {
    const char *name;
    /* true in ret_accepted: the client knows the account's password. May read and write packets. */
    db_err (*authenticate)(struct auth_exchange *x, bool *ret_accepted);
};
extern const struct auth_plugin auth__native_password;
extern const struct auth_plugin auth__caching_sha2;

struct digest_cache;
struct rsa_key;
struct digest_cache *auth__cache(struct auth_server *auth);
struct rsa_key *auth__rsa(struct auth_server *auth);

#endif
