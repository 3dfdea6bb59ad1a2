/* How replicas of a range on different nodes talk: given to the range store by who owns the
 * connections. A group of one member sends nothing. */
#ifndef SKEIN_NODE_RANGE_TRANSPORT_H
#define SKEIN_NODE_RANGE_TRANSPORT_H

#include "node/raft/raft.h"
#include "proto/kv_api.h"

struct replica_transport;

struct replica_transport_ops {
    const char *name;
    /* Sends a message of the range's group to the member. Never parks, never fails: what cannot be
     * sent is lost, as on a network. The message and its entries are borrowed for the call (take
     * references of the entries' blobs to keep data). */
    void (*send)(struct replica_transport *t, range_id_t range, const struct raft_msg *msg);
};

struct replica_transport {
    const struct replica_transport_ops *ops;
};

#endif
