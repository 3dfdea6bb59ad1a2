/* Private to rpc/client. */
#ifndef SKEIN_RPC_CLIENT_CLIENT_INT_H
#define SKEIN_RPC_CLIENT_CLIENT_INT_H

#include "base/fiber.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/sm.h"
#include "rpc/client/breaker.h"
#include "rpc/client/client.h"
#include "rpc/conn/conn.h"

enum { LINK_IDLE, LINK_DIALING, LINK_HELLO, LINK_UP, LINK_DOWN, LINK__COUNT };

/* Which have a connection per loop of the caller: RAFT and SQL, the first ones. */
enum { LANED_CLASSES = 2 };
_Static_assert((int)RPC_CLASS_RAFT == 0 && (int)RPC_CLASS_SQL == 1, "they stand first");
static inline bool has_lanes(enum rpc_class class)
{
    return (int)class < LANED_CLASSES;
}

/* What waits for an answer: a call, on its fiber's stack, or a stream. */
struct pending {
    struct rpc_call_wait *call;
    struct rpc_stream *stream; /* holds a reference */
    uint32_t generation;
    uint32_t next_free; /* index + 1 */
};

struct rpc_call_wait {
    struct waiter waiter;
    struct diag *diag;
    struct rpc_reply *reply;
    uint64_t end_offset; /* of its frame: UINT64_MAX until it was queued */
};

struct up_waiter {
    struct list link;
    struct waiter waiter;
};

/* One attempt; outlives the link's interest in it. */
struct link_dial {
    struct rpc_dial dial;
    struct link *link;
    _Atomic unsigned refs;
    char address[RPC_ADDRESS_MAX];
    char server_name[32];
};

/* A connection of one class to one peer, in whatever state. */
struct link {
    struct rpc_peer *peer;
    struct rpc_client *client;
    enum rpc_class class;
    unsigned lane;     /* which of several of the class; of BULK always 0 */
    struct link *next; /* client->links; never changes once there */

    pthread_mutex_t lock; /* guards the rest */
    struct sm sm;
    bool wanted;
    struct rpc_conn *conn;  /* HELLO, UP */
    struct link_dial *dial; /* DIALING */
    uint64_t until_ns;      /* DIALING, HELLO: gives up; DOWN: dials again */
    struct breaker breaker;
    uint64_t up_ns;           /* since when it is up */
    uint64_t generation;      /* counts connections that came up */
    uint64_t told_generation; /* clockwork: of the connection that the owner was told about */
    bool told_up;
    char why[256];       /* it is not up */
    struct list waiting; /* of up_waiter */
    struct pending *slots;
    uint32_t slot_count;
    uint32_t free_slot;  /* index + 1 */
    uint8_t cluster[16]; /* of the last welcome */
    uint64_t node;
};

struct rpc_peer {
    struct rpc_client *client;
    struct hash_node by_node;
    struct rpc_peer *next; /* client->peers */
    uint64_t node;         /* 0: by address */
    _Atomic uint64_t said_node;
    char address[RPC_ADDRESS_MAX];
    char label[RPC_ADDRESS_MAX]; /* for people: "node 3" or the address */
    /* By class; then lanes 1.. of those that have several, lane by lane. */
    struct link links[RPC_CLASS__COUNT + LANED_CLASSES * (RPC_LANES_MAX - 1)];
};

struct rpc_client {
    struct rpc_client_opts opts;
    struct loop **loops;
    struct rpc_latch latch; /* the clockwork, dials, connections; the calls together are one */
    _Atomic unsigned calls; /* under way, and one until the client stops */
    uint64_t seed;

    pthread_mutex_t lock; /* guards the rest */
    struct hash_table by_node;
    struct rpc_peer *peers;
    struct link *links;
    _Atomic bool closing; /* set under the lock */
    bool kicked;
    struct loop_task kick_task;
    struct loop_task stop_task;
    struct loop_task start_task;
    struct loop_timer timer; /* clockwork's loop only */
    bool stopped;            /* clockwork's loop only */
};

/* How many of peer->links there are. */
static inline unsigned client__links(const struct rpc_client *client)
{
    return RPC_CLASS__COUNT +
           (client->opts.lanes > 1 ? LANED_CLASSES * (client->opts.lanes - 1) : 0);
}
static inline struct link *client__link(struct rpc_peer *peer, enum rpc_class class, unsigned lane)
{
    return &peer->links[lane == 0 ? (unsigned)class
                                  : RPC_CLASS__COUNT + (lane - 1) * LANED_CLASSES + class];
}

/* peer.c */
void link__init(struct link *l, struct rpc_peer *peer, enum rpc_class class, unsigned lane);
void link__fini(struct link *l);
void link__tick(struct link *l, uint64_t now_ns); /* clockwork */
void link__end(struct link *l);                   /* clockwork: the client stops */
void link__want(struct link *l);                  /* with its lock held */
void link__on_welcome(struct link *l, struct rpc_conn *c, const struct rpc_frame *frame);
/* A reference to the connection in *ret_conn. Parks while it is being made. Errors as of rpc_call.
 */
MUST_USE db_err link__wait_up(struct link *l, uint64_t deadline_ns, struct diag *diag,
                              struct rpc_conn **ret_conn);
/* peer_pool.c */
/* Around whatever uses a link from a fiber. ERR_CLOSED: the client stops. */
MUST_USE db_err client__enter(struct rpc_client *client, struct diag *diag);
void client__leave(struct rpc_client *client);
void client__kick(struct rpc_client *client); /* the clockwork looks at all links soon */
/* call.c */
/* With the lock held: the connection has ended; its calls and streams learn that. */
void link__fail_pending(struct link *l, struct rpc_conn *conn, db_err unsent, const char *text);
bool link__on_frames(void *ctx, struct rpc_conn *c, struct blob *blob,
                     const struct rpc_frame *frames, unsigned count);

#endif
