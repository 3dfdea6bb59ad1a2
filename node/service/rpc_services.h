/* This node's services behind rpc/server, and its replicas' way to other nodes over rpc/client. */
#ifndef SKEIN_NODE_SERVICE_RPC_SERVICES_H
#define SKEIN_NODE_SERVICE_RPC_SERVICES_H

#include "base/fiber.h"
#include "node/meta/meta.h"
#include "node/range/range.h"
#include "proto/kv_api.h"
#include "rpc/client/client.h"
#include "rpc/server/server.h"
#include "sql/storage/coord.h"

/* What the handlers serve. Filled before they are registered; all outlive the server. */
struct rpc_services {
    struct kv_service *kv;
    struct meta *meta;
    /* For nodes that join: asks the leader of the meta range, wherever it is. */
    struct meta_service *meta_anywhere;
    struct range_store *ranges;
    struct fiber_mutex sql_lock; /* guards the next three */
    struct fiber_cond sql_left;
    struct sql_peer *sql;    /* NULL until there is an engine */
    struct list sql_users;   /* struct sql_use (coord_rpc.c) */
    _Atomic bool sql_leaves; /* handlers that use it end soon */
    /* The node takes no leases and no new clients, or does again. May park. ERR_BUSY: it starts. */
    db_err (*drain)(void *ctx, bool on, struct diag *diag);
    void *drain_ctx;
};

/* What needs no filling. Before the handlers are registered. */
void rpc_services_init(struct rpc_services *s);
/* Handlers use this node's engine from now on. */
void rpc_services_attach(struct rpc_services *s, struct sql_peer *sql);
/* The engine is about to be closed: returns when no handler uses it any more. Those that hold
 * locks for a change of another node give them back, and it hears of that. Parks. */
void rpc_services_detach(struct rpc_services *s);
/* Registers all handlers. Before rpc_server_listen. */
void rpc_services_register(struct rpc_services *s, struct rpc_server *server);

/* Each of its parts, for the files of this folder. */
void rpc_kv_register(struct rpc_services *s, struct rpc_server *server);
void rpc_meta_register(struct rpc_services *s, struct rpc_server *server);
void rpc_coord_register(struct rpc_services *s, struct rpc_server *server);
void rpc_raft_register(struct rpc_services *s, struct rpc_server *server);

/* The transport of replicas. In the owner's memory; nothing to free. The client may come later than
 * the replicas (NULL: what is sent is lost) and goes after them. */
struct rpc_replica_transport {
    struct replica_transport base;
    struct rpc_client *_Atomic client;
};
void rpc_replica_transport_init(struct rpc_replica_transport *t);
void rpc_replica_transport_use(struct rpc_replica_transport *t, struct rpc_client *client);

/* Asks the node that leads the range (this one too) for a change; parks until it is done. Errors as
 * of range_store_change_replicas, range_store_transfer_lease, range_store_split and rpc_call. */
MUST_USE db_err rpc_change_replicas(struct rpc_client *client, node_id_t leader, range_id_t range,
                                    const struct replica_change *changes, size_t count,
                                    struct diag *diag);
MUST_USE db_err rpc_transfer_lease(struct rpc_client *client, node_id_t leader, range_id_t range,
                                   node_id_t to, enum lease_locks locks, struct diag *diag);
MUST_USE db_err rpc_split(struct rpc_client *client, node_id_t leader, range_id_t range,
                          struct slice at, struct diag *diag, range_id_t *ret_new_id);
MUST_USE db_err rpc_merge(struct rpc_client *client, node_id_t leader, range_id_t left,
                          struct diag *diag, range_id_t *ret_right);
MUST_USE db_err rpc_weigh(struct rpc_client *client, node_id_t leader, range_id_t range,
                          struct diag *diag, uint64_t *ret_bytes);
/* Asks another node to drain, or to end that. Errors as of the member `drain` and of rpc_call. */
MUST_USE db_err rpc_drain(struct rpc_client *client, node_id_t node, bool on, struct diag *diag);

#endif
