/* TLS for connections, by OpenSSL on the socket itself: a BIO of our own receives and sends, so
 * that nothing is copied but by encryption. TLS 1.2 and later; no renegotiation. */
#ifndef SKEIN_WIRE_NET_TLS_H
#define SKEIN_WIRE_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/diag.h"
#include "base/err.h"

struct tls_context;
struct tls_stream;

struct tls_opts {
    const char *cert; /* PEM files; both or neither */
    const char *key;
    const char *ca;
    const char *data_dir; /* without cert: ca.pem, ca-key.pem, server-cert.pem, server-key.pem are
                             made here when absent; NULL: made in memory */
};

/* One per server; thread-safe once made. ERR_INVALID (a file does not fit), ERR_IO, ERR_NOMEM. */
MUST_USE db_err tls_context_new(const struct tls_opts *opts, struct diag *diag,
                                struct tls_context **ret_context);
void tls_context_free(struct tls_context *context);

/* A stream on a connected non-blocking socket; `head` are bytes that were received already. */
MUST_USE db_err tls_stream_new(struct tls_context *context, int fd, const void *head,
                               size_t head_size, struct tls_stream **ret_stream);
void tls_stream_free(struct tls_stream *stream);

enum tls_result { TLS_OK, TLS_WANT_READ, TLS_WANT_WRITE, TLS_CLOSED, TLS_FAILED };
enum tls_result tls_handshake(struct tls_stream *stream);
enum tls_result tls_read(struct tls_stream *stream, void *ptr, size_t size, size_t *ret_size);
enum tls_result tls_write(struct tls_stream *stream, const void *ptr, size_t size,
                          size_t *ret_size);
/* Bytes were received that tls_read has not given out: the socket will not say so. */
bool tls_pending(const struct tls_stream *stream);
/* The certificate that the client has shown, checked by the CA: a certificate that is not the CA's
 * ends the handshake. */
struct tls_peer {
    char subject[1024], issuer[1024]; /* "/C=XX/CN=name"; cut when longer */
};
/* After the handshake. false: the client has shown none. */
bool tls_peer_get(const struct tls_stream *stream, struct tls_peer *ret_peer);
/* Constant texts of OpenSSL, after the handshake. */
const char *tls_cipher(const struct tls_stream *stream);
const char *tls_version(const struct tls_stream *stream);

#endif
