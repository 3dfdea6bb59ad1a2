/* The greeting (protocol version 10) and the client's answer to it. Parsing is pure: bytes in,
 * slices of them out. */
#ifndef SKEIN_WIRE_AUTH_HANDSHAKE_H
#define SKEIN_WIRE_AUTH_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "wire/net/conn.h"

enum { USER_NAME_MAX = 128, SCHEMA_NAME_MAX = 256, CHARSET_DEFAULT = 255 };

/* What the server can; SSL is added when it has a certificate. */
uint32_t handshake_server_caps(bool tls);

/* Makes c->nonce and writes the greeting. ERR_NOMEM, ERR_IO. */
MUST_USE db_err handshake_put_greeting(struct conn *c, const char *version);
/* 20 bytes of secret 7-bit text without NUL and '$', and a NUL. */
MUST_USE db_err handshake_make_nonce(uint8_t ret_nonce[NONCE_SIZE + 1]);

struct login_packet {
    uint32_t caps; /* as sent: and-ed with the server's by the caller */
    uint32_t max_packet;
    uint8_t charset;
    struct slice user;
    struct slice response;
    struct slice schema;     /* ptr NULL: none */
    struct slice plugin;     /* empty: not told */
    struct slice attributes; /* of the connection, as sent */
    uint8_t zstd_level;
};

enum login_kind {
    LOGIN_OK,
    LOGIN_TLS,     /* the short packet that asks for TLS; caps, max_packet, charset are set */
    LOGIN_BAD,     /* 1043 */
    LOGIN_OLD,     /* a protocol before 4.1: 1251 */
    LOGIN_BAD_OLD, /* not even that: 1043 without SQLSTATE */
};
enum login_kind handshake_parse(struct slice packet, uint32_t server_caps,
                                struct login_packet *ret_login);

/* COM_CHANGE_USER without its command byte. false: 1047, as MySQL answers. */
MUST_USE bool handshake_parse_change_user(struct slice packet, uint32_t caps, uint16_t *ret_charset,
                                          struct login_packet *ret_login);

#endif
