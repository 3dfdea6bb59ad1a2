/* This process as a member of the cluster: its identity, the RPC server and client, how to reach
 * the others, and what the meta services make it do.
 *
 * Order: membership_open (before the ranges: brings the identity of a node that joins), the range
 * store with membership_transport, membership_listen, the meta with membership_meta_client and
 * membership_actions, the cluster storage, membership_attach. Closing in reverse. */
#ifndef SKEIN_NODE_MAIN_MEMBERSHIP_H
#define SKEIN_NODE_MAIN_MEMBERSHIP_H

#include "base/diag.h"
#include "base/loop.h"
#include "node/meta/meta.h"
#include "node/range/range.h"
#include "sql/storage/coord.h"
#include "sql/storage/storage.h"

struct membership;
struct node_world;

/* AUTO: if the token has a fingerprint, or the directory has certificates. */
enum membership_tls { MEMBERSHIP_TLS_AUTO, MEMBERSHIP_TLS_ON, MEMBERSHIP_TLS_OFF };

struct membership_opts {
    struct loop_group *loops;
    const char *data_dir;
    const struct node_world *world; /* NULL: the machine. node/main/node.h */
    const char *rpc_address; /* HOST:PORT to listen on; port 0: any; NULL: no RPC, a node alone */
    const char *advertise;   /* the host that others connect to; NULL: rpc_address's */
    const char *join;        /* HOST:PORT,... of members; NULL or "": this is the first */
    const char *join_token;  /* "" or NULL: none; with TLS TOKEN@FINGERPRINT to join */
    enum membership_tls tls; /* between the nodes */
    bool nng;                /* NNG's streams instead of TCP on the loops */
    /* Fills mysql and admin addresses. Does not park; any thread. May be NULL. */
    void (*describe)(void *ctx, struct node_info *self);
    void *describe_ctx;
    /* What an operator asks of this node through another one (struct rpc_services). May be NULL. */
    db_err (*drain)(void *ctx, bool on, struct diag *diag);
    /* The cluster has told this node to leave, or taken that back: from a heartbeat's fiber. May be
     * NULL. */
    void (*leaving)(void *ctx, bool leaving);
    /* It has left: nothing is on it any more, and the process ought to stop. May be called again.
     * NULL: on_fatal. */
    void (*left)(void *ctx, const char *text);
    void *operator_ctx; /* of the three */
    /* The process may not go on. */
    void (*on_fatal)(void *ctx, db_err err, const char *text);
    void *on_fatal_ctx;
};

/* Reads what the data directory knows of the members. With `found` the engine has an identity
 * already; without, and with opts->join, asks the cluster for one: *ret_joining, and *inout_ident
 * is filled. From a fiber; parks. ERR_INVALID (token), ERR_UNAVAILABLE (nobody answers), ERR_NOMEM,
 * ERR_IO. */
MUST_USE db_err membership_open(const struct membership_opts *opts, bool found,
                                struct store_ident *inout_ident, struct diag *diag,
                                bool *ret_joining, struct membership **ret_m);
/* For range_store_opts. Sends nothing before membership_listen. NULL without RPC. */
struct replica_transport *membership_transport(struct membership *m);
/* Client and server begin; `kv` and `meta` are this node's own services and outlive the membership.
 * ident: the store's. From a fiber. */
MUST_USE db_err membership_listen(struct membership *m, const struct store_ident *ident,
                                  struct range_store *ranges, struct kv_service *kv,
                                  struct meta_service *local_meta, struct meta *meta,
                                  struct diag *diag);
/* The node's ranges are ready, or the start has failed: what membership_listen set going to tell
 * the others of this node's address ends. Parks. */
void membership_announced(struct membership *m);
/* The meta service wherever it is. Usable after membership_listen; the address is fixed before. */
struct meta_service *membership_meta_client(struct membership *m);
const struct meta_actions *membership_actions(struct membership *m);
/* The storage learns of members from now on. */
void membership_attach(struct membership *m, struct storage *storage);
/* What the SQL engine needs of the cluster; NULL: the node is alone for good (no RPC). Usable after
 * membership_listen. */
struct sql_coord *membership_coord(struct membership *m);
/* The engine begins to answer the others (NULL: it ends; nothing of theirs uses it afterwards).
 * From a fiber; parks: the schema is read once more. */
MUST_USE db_err membership_attach_sql(struct membership *m, struct sql_peer *peer,
                                      struct diag *diag);
/* Is the meta range led here? For ts_client. */
const _Atomic bool *membership_meta_is_local(struct membership *m);
/* From now on heartbeats say that the node drains, or not. */
void membership_drain(struct membership *m, bool on);
bool membership_drains(const struct membership *m);
/* What nodes that join must show: as configured, else made at the first start and kept in the file
 * join-token of the data directory. */
const char *membership_token(const struct membership *m);
/* The CA's certificate and key as PEM where this node has the key, else empty. */
void membership_ca(const struct membership *m, struct slice *ret_cert, struct slice *ret_key);
uint64_t membership_boot_id(const struct membership *m); /* 0: no RPC */
uint16_t membership_port(const struct membership *m);
/* A copy of the members as of the last heartbeat, at most max; returns how many there are. */
unsigned membership_nodes(struct membership *m, struct node_info *out, unsigned max);
struct rpc_client *membership_client(struct membership *m); /* NULL: no RPC */

/* Ends server and client, after range_store_stop and before range_store_free; no call of others is
 * under way after that. From a fiber; parks. NULL is fine. */
void membership_stop(struct membership *m);
void membership_close(struct membership *m);

#endif
