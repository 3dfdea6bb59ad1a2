/* The certificate a server makes for itself on its first start. */
#ifndef SKEIN_WIRE_NET_TLS_CERT_H
#define SKEIN_WIRE_NET_TLS_CERT_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/diag.h"
#include "base/err.h"

/* Puts certificate and key into ctx: those in data_dir, made first if server-cert.pem or
 * server-key.pem is absent (with a CA of its own: ca.pem, ca-key.pem). NULL: made in memory, new at
 * each start. ECDSA P-256, 10 years; key files have mode 0600. ERR_IO, ERR_INVALID. */
MUST_USE db_err tls_cert_provide(SSL_CTX *ctx, const char *data_dir, struct diag *diag);

/* Writes a PEM file by way of a temporary one and rename, so that no half file is ever seen. */
MUST_USE db_err tls_write_private(const char *path, BIO *content, bool secret, struct diag *diag);

#endif
