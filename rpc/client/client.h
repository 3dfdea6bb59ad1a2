/* The calling side: a pool of peers by node id; one-way messages, calls, streams.
 *
 * A peer has up to three connections, one per class (and more of RAFT and SQL, see `lanes`),
 * dialled at first use and redialled for good with a jittered back-off. Addresses come from the
 * resolver, asked anew for each attempt. A peer whose last attempt failed is down: calls to it fail
 * at once with ERR_UNAVAILABLE until an attempt in the background has succeeded. Calls made while
 * the first attempt is under way, or right after a connection was lost, wait for the attempt.
 *
 * Thread-safe, from any loop. */
#ifndef SKEIN_RPC_CLIENT_CLIENT_H
#define SKEIN_RPC_CLIENT_CLIENT_H

#include "base/clock.h"
#include "base/loop.h"
#include "rpc/conn/rpc.h"
#include "rpc/stream/stream.h"
#include "rpc/transport/transport.h"

struct rpc_client;
struct rpc_peer;

enum { RPC_LANES_MAX = 16 };

struct rpc_client_opts {
    struct rpc_transport *transport; /* borrowed */
    struct rpc_identity identity;
    struct loop *const *loops; /* copied; the first runs the clockwork */
    unsigned loop_count;
    struct rpc_timing timing;
    size_t queue_max; /* bytes waiting per connection; 0: 64 MiB */
    size_t frame_max; /* 0: 64 MiB */
    /* Connections of each of the classes RAFT and SQL to each peer, made when first needed: what a
     * loop sends goes by its own, whose replies it then reads itself. 0: one, for all loops. At
     * most RPC_LANES_MAX. */
    unsigned lanes;

    /* Writes the node's present address, "host:port", NUL-terminated. ERR_NOT_FOUND: nothing is
     * known, tried again later. Called on the clockwork's loop with no lock held; must not park. */
    db_err (*resolve)(void *ctx, uint64_t node, char *ret_address, size_t size);
    /* A connection came up or went down; text says why. Called in order per connection on the
     * clockwork's loop; must not park. May be NULL. */
    void (*state)(void *ctx, uint64_t node, enum rpc_class class, bool up, const char *text);
    void *ctx;
};

/* ERR_NOMEM. */
MUST_USE db_err rpc_client_start(const struct rpc_client_opts *opts,
                                 struct rpc_client **ret_client);
/* Fails what is pending (ERR_CLOSED when certainly not executed, else ERR_OUTCOME_UNKNOWN), ends
 * all connections, waits for that and for the calls under way to return, and frees client and
 * peers. Streams must have been freed and nobody may be in rpc_send or another function by then.
 * From a fiber it parks; from a thread that is no loop it blocks. NULL is fine. */
void rpc_client_stop(struct rpc_client *client);

/* The peer, made at first use; lives as long as the client. NULL when memory is out. Own node ids
 * are fine: the connection goes through the network all the same. */
struct rpc_peer *rpc_client_peer(struct rpc_client *client, uint64_t node);
/* A peer with a fixed address whose node id is not known: joining, ctl. NULL when memory is out. */
struct rpc_peer *rpc_client_peer_at(struct rpc_client *client, const char *address);
uint64_t rpc_peer_node(const struct rpc_peer *peer); /* of _at: what it said, 0 before it did */
/* Begins to connect and keeps connected from now on; of class RAFT with all lanes. */
void rpc_peer_connect(struct rpc_peer *peer, enum rpc_class class);
bool rpc_peer_is_up(const struct rpc_peer *peer, enum rpc_class class);
/* Closes the connections and does not redial before the next use: a decommissioned node. */
void rpc_peer_disconnect(struct rpc_peer *peer);
/* Its registered address has changed or it is known to be back: dial now, forget the back-off. */
void rpc_peer_poke(struct rpc_peer *peer);

/* What a peer's first frame has told. ERR_UNAVAILABLE before the first connection of the class. */
MUST_USE db_err rpc_peer_identity(struct rpc_peer *peer, enum rpc_class class,
                                  uint8_t ret_cluster[16], uint64_t *ret_node);

/* Sends a one-way message, if it can be queued at once. Never parks; any thread. Messages that were
 * queued arrive in order or not at all. Several messages queued within one turn of a loop, or while
 * a write is under way, leave in one write. In order are those of one loop. False: dropped (down,
 * queue full, no memory). */
bool rpc_send(struct rpc_peer *peer, enum rpc_method method, struct slice header,
              const struct rpc_part *parts, unsigned part_count);

struct rpc_call {
    enum rpc_method method;
    struct slice header;
    const struct rpc_part *parts; /* payload */
    unsigned part_count;
    uint64_t deadline_ns; /* clock_mono_ns; with the fiber's own, whichever is sooner. 0 or
                             DEADLINE_NONE: none but that */
};
struct rpc_reply {
    struct rpc_msg
        msg; /* header and payload; with an error the header the service attached, if any */
    bool executed_maybe; /* the request may have reached the peer's service */
};
/* One request, one reply. May park. All that call->... names is borrowed until it returns. The
 * caller releases ret_reply->msg in every case (it is zeroed when there is nothing).
 * Errors:
 *   what the service returned, with its diag: executed_maybe is true;
 *   ERR_UNAVAILABLE  certainly not executed: peer down, refused, queue full; call another or retry
 *   ERR_OUTCOME_UNKNOWN  sent, and the connection was lost before the reply came
 *   ERR_TIMEOUT, ERR_CANCELED  see executed_maybe; the peer is told to stop
 *   ERR_BUSY  the server has too many requests of the class: not executed
 *   ERR_LIMIT  the frame would be larger than frame_max: not sent
 *   ERR_UNSUPPORTED  the peer has no such method
 *   ERR_NOMEM, ERR_CLOSED: not sent */
MUST_USE db_err rpc_call(struct rpc_peer *peer, const struct rpc_call *call, struct diag *diag,
                         struct rpc_reply *ret_reply);

/* Opens a stream: the peer's handler runs in a fiber with the other end. The header is the first
 * thing it sees. May park until connected. deadline_ns is for the opening alone and for the
 * handler's fiber if not DEADLINE_NONE. ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CANCELED, ERR_NOMEM,
 * ERR_LIMIT. */
MUST_USE db_err rpc_stream_open(struct rpc_peer *peer, enum rpc_method method, struct slice header,
                                uint64_t deadline_ns, struct diag *diag,
                                struct rpc_stream **ret_stream);

#endif
