/* How the replicas of a range on different nodes talk: the range store's side of the network. Who
 * owns the connections gives the store a struct replica_transport, and passes what comes in to
 * range_store_receive and its sisters (node/range/range.h). A group of one member sends nothing.
 *
 * Lanes. Groups of several members are spread over RAFT_LANES lanes by range id, the same on all
 * nodes. All groups of a lane are driven by one loop of their node, and each pair of nodes keeps
 * one link (heartbeat and acknowledgement) per lane. A transport that gives each lane a connection
 * of its own, on that loop (range_store_lane_loop), spares a hand-over per message.
 *
 * The network may lose, repeat, delay and reorder messages; it must not corrupt them or make them
 * up, nor deliver them to another node than the one addressed. */
#ifndef SKEIN_NODE_RANGE_TRANSPORT_H
#define SKEIN_NODE_RANGE_TRANSPORT_H

#include "base/buf.h"
#include "base/diag.h"
#include "node/raft/raft.h"
#include "proto/kv_api.h"

enum { RAFT_LANES = 4 }; /* of the cluster: part of the protocol between nodes */

static inline unsigned range_lane(range_id_t range)
{
    return (unsigned)(range % RAFT_LANES);
}

/* ---- messages ---- */

/* Besides the types of enum raft_msg_type a struct raft_msg may carry these, which the range stores
 * tell each other. Transports treat all alike. */
enum {
    /* The replica `to` is no member any more, as of epoch.conf `index`; 0: its range was merged. */
    REPLICA_MSG_REMOVED = 100,
    /* Nobody talks to me: am I a member? Answered only by the one above. */
    REPLICA_MSG_ASK = 101,
    /* To the leader: hand the lease over to me. */
    REPLICA_MSG_YIELD = 102,
    /* Of the range `index`, whose replica `hint` leads it, frozen under the version `context`: to
     * all replicas of a range that seems to be its left neighbour. Can it be merged yet? */
    REPLICA_MSG_MERGE_ASK = 103,
    /* The answer: what was frozen under the version `context` was not merged and never will be. */
    REPLICA_MSG_MERGE_VOID = 104,
};

enum link_msg_kind {
    LINK_HEARTBEAT = 1,
    LINK_ACK = 2,
};

enum { LINK_F_DISK_FULL = 1 }; /* of the sender */

/* The heartbeat of one node for all groups of a lane, and its answer. Small, every 100 ms. */
struct link_msg {
    uint8_t kind;         /* enum link_msg_kind */
    uint8_t lane;         /* < RAFT_LANES */
    uint8_t flags;        /* LINK_F_ */
    uint64_t incarnation; /* of the heartbeat's sender; echoed */
    uint64_t sent_ns;     /* the heartbeat's sender's clock; echoed */
    uint64_t epoch;       /* LINK_ACK */
};

/* ---- what a transport does ---- */

struct replica_transport;
struct snapshot_stream; /* the transport's own */

struct replica_transport_ops {
    const char *name;
    /* Sends a message of the range's group to a node (never this one). From the loops of the range
     * store, in the middle of a turn. Never parks, never fails: what cannot be sent is lost, as on
     * a network. The message is borrowed for the call, entry data too unless the references of the
     * entries' blobs are taken (an entry without a blob must be copied). Messages to one node about
     * one range keep their order as far as the network does. */
    void (*send)(struct replica_transport *t, node_id_t to, range_id_t range,
                 const struct raft_msg *msg);
    /* The same for a link message. A lost or late one costs the groups of the lane their sleep or
     * their lease, so these should not wait behind bulk. */
    void (*send_link)(struct replica_transport *t, node_id_t to, const struct link_msg *msg);
    /* May be NULL. The turn of the range loop that runs on this thread has given all its messages:
     * what was held back to leave together leaves now. Never parks. */
    void (*flush)(struct replica_transport *t);

    /* Opens a stream that carries a snapshot to the node, which passes header and chunks to
     * range_store_receive_snapshot. All three park. ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_NOMEM. */
    db_err (*snapshot_open)(struct replica_transport *t, node_id_t to, struct slice header,
                            struct diag *diag, struct snapshot_stream **ret_stream);
    /* Borrowed for the call; at most SNAPSHOT_CHUNK_MAX. Parks until there is credit. An error ends
     * the stream's use: go on with snapshot_finish(abort). When the receiver has given up already
     * this returns an error and snapshot_finish its verdict. */
    db_err (*snapshot_write)(struct snapshot_stream *s, struct slice chunk);
    /* commit: all has been written; returns what range_store_receive_snapshot returned there. Not
     * commit: the receiver is told that no more comes; returns the receiver's verdict if it had
     * one, else ERR_CANCELED. Frees the stream in any case. */
    db_err (*snapshot_finish)(struct snapshot_stream *s, bool commit, struct diag *diag);
};

struct replica_transport {
    const struct replica_transport_ops *ops;
};

enum { SNAPSHOT_CHUNK_MAX = 512 << 10, SNAPSHOT_HEADER_MAX = 64 << 10 };

/* The receiving end of a stream, made by who carries it. */
struct snapshot_reader;
struct snapshot_reader_ops {
    const char *name;
    /* The next chunk, valid until the next call. Empty: the sender has finished with commit. Parks.
     * ERR_CANCELED: the sender has given up; ERR_UNAVAILABLE, ERR_TIMEOUT: it is gone. */
    db_err (*next)(struct snapshot_reader *r, struct slice *ret_chunk);
};
struct snapshot_reader {
    const struct snapshot_reader_ops *ops;
};

/* ---- the portable form of messages (raft_msg_codec.c; docs/formats/range.md) ----
 *
 * A message is a header and a payload: the data of its entries, one after the other, which a
 * transport sends straight from entries[i].data and receives into one blob. */

/* Appends the header. ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err raft_msg_encode(struct buf *b, range_id_t range, const struct raft_msg *msg);
/* Bytes of the payload. */
size_t raft_msg_payload_size(const struct raft_msg *msg);
/* `payload` lies inside blob (NULL when it is empty), which may hold more than that: entries point
 * into it and name it as theirs, without a reference of their own: the caller's must live as long
 * as the message is used (range_store_receive takes what it needs). Entries and a snapshot's meta
 * are in the arena. ERR_CORRUPT, ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err raft_msg_decode(struct slice header, struct blob *blob, struct slice payload,
                                struct arena *arena, range_id_t *ret_range,
                                struct raft_msg *ret_msg);

enum { LINK_MSG_SIZE = 28 };
void link_msg_encode(const struct link_msg *msg, uint8_t out[LINK_MSG_SIZE]);
/* ERR_CORRUPT. */
MUST_USE db_err link_msg_decode(struct slice bytes, struct link_msg *ret_msg);

#endif
