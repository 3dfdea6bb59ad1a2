/* The KV service of another node: each call goes there by RPC.
 *
 * Results lie in the received message, which the request's arena keeps alive: nothing is copied.
 * What was certainly not executed is ERR_UNAVAILABLE; when that cannot be known, reads and lock
 * requests give ERR_UNAVAILABLE too (a lock left behind goes with the transaction), writes
 * ERR_COMMIT_UNKNOWN. */
#ifndef SKEIN_CLUSTER_VIEW_REMOTE_KV_H
#define SKEIN_CLUSTER_VIEW_REMOTE_KV_H

#include "proto/kv_api.h"
#include "rpc/client/client.h"

struct remote_kv_service {
    struct kv_service base;
    struct rpc_peer *peer;
};

/* The peer outlives it. Nothing to free. */
void remote_kv_service_init(struct remote_kv_service *s, struct rpc_peer *peer);

#endif
