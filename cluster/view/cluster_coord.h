/* sql/storage/coord.h over RPC: what the SQL engines of the nodes tell each other.
 *
 * The licence: this node may use what it knows of the schema as long as the leader of the meta
 * range has heard of it lately. It runs out COORD_LICENCE_NS after the last heartbeat that was
 * answered was sent; others wait COORD_FENCE_NS after the leader has last heard of a node before
 * they go on without it, and have a fence counted for it first (meta_service.fence). A licence that
 * is renewed without a new fence keeps its number.
 *
 * Why the times may be so short: a licence that has run out while the meta range has no leader
 * costs a wait and nothing else. The difference of the two pays for clocks that run apart and for
 * the way of a request; a process that is stopped between its last look at the licence and its
 * write is kept out by the fence: all others that hold leases have heard of it before the change
 * begins (node/service/coord_rpc.c), and refuse writes of transactions that do not know it. */
#ifndef SKEIN_CLUSTER_VIEW_CLUSTER_COORD_H
#define SKEIN_CLUSTER_VIEW_CLUSTER_COORD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "proto/kv_api.h"
#include "rpc/client/client.h"
#include "sql/storage/coord.h"

#define COORD_LICENCE_NS (1300 * NS_PER_MS)
#define COORD_FENCE_NS   (1650 * NS_PER_MS)

/* First byte of a coord call's header; numbers travel. The rest: version or connection id (8 bytes,
 * big endian), a flag byte for KILL. The payload of KILL is struct sql_killer: a byte of
 * COORD_KILL_*, then the user's name. */
enum coord_method {
    COORD_REFRESH_SCHEMA = 1,
    COORD_REFRESH_ACCOUNTS = 2,
    COORD_KILL = 4,
    COORD_REFRESH_GLOBALS = 5,
    COORD_RUN = 6,
    COORD_LOCK_OWNER = 8,
    COORD_WAKE_LOCK = 9,
    COORD_SESSION_TXN = 10,
    COORD_LIST_LOCKS = 11,
    COORD_LIST_SESSIONS = 7, /* 3 was a form without what they wait for */
};

enum { COORD_KILL_ANY = 1, COORD_KILL_SYSTEM = 2 };

/* In a lock stream's header: not an id but the connection that asks. */
#define COORD_FOR_BIT ((uint64_t)1 << 63)

/* What the coordinator needs of the node around it. */
struct coord_env {
    void *ctx;
    /* The members as of now: asks the leader of the meta range if need be (fresh). At most max;
     * this node among them. Parks. */
    unsigned (*members)(void *ctx, bool fresh, struct node_info *out, unsigned max);
    /* meta_service.fence. */
    db_err (*fence)(void *ctx, node_id_t node, uint32_t silent_ms);
};

struct cluster_coord {
    struct sql_coord base;
    node_id_t self;
    struct rpc_client *rpc;
    struct sql_peer *peer; /* this node's engine */
    struct coord_env env;
    _Atomic uint64_t licence_until_ns;
    _Atomic uint64_t licence_number;
    _Atomic bool schema_lost;    /* no licence before it was read again */
    struct fiber_mutex renewing; /* guards the rest */
    struct fiber_cond read;      /* a reader has ended */
    bool attached;
    struct fiber *reader;  /* reads the schema again; NULL: none does */
    bool reading;          /* there is one, or will be */
    uint32_t fences;       /* of this node, as of the licence */
    uint64_t heard_ns;     /* when the newest answer was asked for, */
    uint32_t heard_fences; /* and what it said */
};

/* rpc and env outlive it. Nothing to free. */
void cluster_coord_init(struct cluster_coord *c, node_id_t self, struct rpc_client *rpc,
                        const struct coord_env *env);
/* This node's engine, which has read all that it is told to read by `renew`. */
void cluster_coord_attach(struct cluster_coord *c, struct sql_peer *peer);
/* It is about to go: nothing is asked of it any more. Sessions have ended. Parks. */
void cluster_coord_detach(struct cluster_coord *c);
/* A heartbeat that was sent then has been answered, with the number of this node's fences. When
 * others have gone on without this node the schema is read again, by a fiber of its own, and the
 * licence gets another number. From a fiber. */
void cluster_coord_renew(struct cluster_coord *c, uint64_t sent_ns, uint32_t fences);

#endif
