/* A blocking client of the protocol for tests: raw packets, and just enough of a login. Any failure
 * is a return value, never an exit; times out after some seconds so that a test cannot hang. */
#ifndef SKEIN_WIRE_TESTING_CLIENT_H
#define SKEIN_WIRE_TESTING_CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

struct client_conn {
    int fd;
    SSL *ssl;
    SSL_CTX *ssl_ctx;
    uint8_t seq;
    uint32_t caps;
    uint32_t id;
    char nonce[32];
    char plugin[64];
    struct buf packet; /* the last packet read */
};

/* Connects and reads the greeting. path: unix socket instead of the port. */
bool client_connect(struct client_conn *c, uint16_t port, const char *path);
void client_close(struct client_conn *c);
bool client_write(struct client_conn *c, struct slice payload); /* splits at 16 MB */
bool client_write_raw(struct client_conn *c, const void *data, size_t size);
/* Into c->packet; joins. false: the server has closed, or the time is over. */
bool client_read(struct client_conn *c);
/* The server has closed the connection (nothing more can be read). */
bool client_at_end(struct client_conn *c);
bool client_start_tls(struct client_conn *c);

struct client_login {
    const char *user;
    const char *password; /* "" = none */
    const char *schema;   /* or NULL */
    const char *plugin;   /* the client's guess; NULL: caching_sha2_password */
    uint32_t caps;        /* 0: a usual set */
    bool tls;
};
/* Logs in, whatever the server asks. true: the last packet is OK; false: it is an error packet, or
 * the connection is gone (packet.len == 0). */
bool client_login(struct client_conn *c, const struct client_login *login);
/* The whole of a command up to its first answer packet; sequence numbers start again. */
bool client_command(struct client_conn *c, uint8_t code, struct slice body);
bool client_query(struct client_conn *c, const char *sql);
/* The number of the error in c->packet, 0 when it is none. */
unsigned client_error(const struct client_conn *c);

#endif
