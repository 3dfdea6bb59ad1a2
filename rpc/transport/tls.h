/* TLS between the nodes of a cluster: one CA per cluster, one certificate per node, both sides show
 * one and check the other's. By OpenSSL, TLS 1.3 only, around any other transport.
 *
 * Names: a node's certificate has the common name "node-<id>" and carries as subject alternative
 * names "node-<id>" and "skeindb-node" (what a client asks for that does not know yet which node
 * answers). An operator's certificate has the common name "operator". rpc/conn compares the name
 * with the first frame. */
#ifndef SKEIN_RPC_TRANSPORT_TLS_H
#define SKEIN_RPC_TRANSPORT_TLS_H

#include "base/buf.h"
#include "base/diag.h"
#include "rpc/transport/transport.h"

#define RPC_TLS_ANY_NODE      "skeindb-node"
#define RPC_TLS_OPERATOR_NAME "operator"
enum { RPC_TLS_PEM_MAX = 64 * 1024 };

/* PEM text, NUL-terminated at ptr[len]; each buffer's maximum must be RPC_TLS_PEM_MAX or more. */
struct rpc_tls_pair {
    struct buf cert;
    struct buf key;
};
void rpc_tls_pair_init(struct rpc_tls_pair *pair);
void rpc_tls_pair_fini(struct rpc_tls_pair *pair); /* overwrites the key */

/* A new CA (ECDSA P-256, ten years, the cluster's name in its subject), self-signed. Blocks for
 * about a millisecond. ERR_NOMEM, ERR_IO. */
MUST_USE db_err rpc_tls_make_ca(const char *cluster_name, struct diag *diag,
                                struct rpc_tls_pair *ret_ca);
/* A certificate for node `node`, signed by the CA; days: how long it is valid. ERR_INVALID (not a
 * CA, key does not fit), ERR_NOMEM. */
MUST_USE db_err rpc_tls_issue_node(const struct rpc_tls_pair *ca, uint64_t node, unsigned days,
                                   struct diag *diag, struct rpc_tls_pair *ret_node);
MUST_USE db_err rpc_tls_issue_operator(const struct rpc_tls_pair *ca, unsigned days,
                                       struct diag *diag, struct rpc_tls_pair *ret_operator);
/* SHA-256 of the certificate's DER form, in hex with its NUL: what a join token carries to pin the
 * CA. ERR_INVALID. */
MUST_USE db_err rpc_tls_fingerprint(const char *cert_pem, char ret_hex[65]);
/* Reads PEM files. ERR_IO, ERR_LIMIT; diag names the file. Blocks. */
MUST_USE db_err rpc_tls_load(const char *cert_path, const char *key_path, struct diag *diag,
                             struct rpc_tls_pair *ret_pair);
/* Writes <path>, mode 0600 for a key. Never overwrites: ERR_EXISTS. Blocks. */
MUST_USE db_err rpc_tls_store(const char *path, struct slice pem, struct diag *diag);

struct rpc_tls_opts {
    const char *ca_pem;   /* the only root; or NULL with ca_fingerprint */
    const char *cert_pem; /* own certificate and key; both NULL: show none (a joining node) */
    const char *key_pem;
    /* A joining node that has no CA yet: any chain whose root has this fingerprint (hex). */
    const char *ca_fingerprint;
};
/* A transport that speaks TLS over `inner`, which it takes over: freed with it. Servers ask for a
 * certificate and let clients in that show none, with an empty peer_name: rpc/conn lets those join
 * and nothing else. A certificate that does not verify ends the handshake. ERR_INVALID: a PEM does
 * not parse or fit; ERR_NOMEM. On error inner stays the caller's. */
MUST_USE db_err rpc_tls_transport_new(struct rpc_transport *inner, const struct rpc_tls_opts *opts,
                                      struct diag *diag, struct rpc_transport **ret_transport);

#endif
