/* Private to rpc/transport. */
#ifndef SKEIN_RPC_TRANSPORT_TLS_INT_H
#define SKEIN_RPC_TRANSPORT_TLS_INT_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "rpc/transport/tls.h"

/* tls_cert.c */
MUST_USE db_err tls__parse_cert(const char *pem, X509 **ret_cert); /* ERR_INVALID */
MUST_USE db_err tls__parse_key(const char *pem, EVP_PKEY **ret_key);
void tls__fingerprint(X509 *cert, char ret_hex[65]);
/* The newest error of OpenSSL on this thread, as text; empties its queue. */
const char *tls__error_text(void);

#endif
