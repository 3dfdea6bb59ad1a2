/* The meta service wherever it is: asks the node that is thought to lead the meta range, learns
 * from refusals, and looks for the leader among all members while there is none.
 *
 * One per node; all fibers use it. */
#ifndef SKEIN_CLUSTER_VIEW_META_CLIENT_H
#define SKEIN_CLUSTER_VIEW_META_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "cluster/time/ts_client.h"
#include "proto/kv_api.h"
#include "proto/kv_codec.h"
#include "rpc/client/client.h"

enum { META_CLIENT_NODES_MAX = 128 };

struct meta_client {
    struct meta_service base;
    struct meta_service single; /* what `gather` asks: each call a message */
    struct ts_client gather;    /* single timestamps that are asked for at the same time */
    node_id_t self;
    struct meta_service *local; /* this node's; NULL: it has none (yet) */
    struct rpc_client *rpc;     /* NULL: there are no others */
    _Atomic node_id_t leader;   /* a guess; 0: none */
    pthread_mutex_t mutex;      /* guards the rest */
    node_id_t nodes[META_CLIENT_NODES_MAX];
    unsigned count;
    unsigned next;    /* whom to ask when nothing is known */
    node_id_t silent; /* who did not answer last; 0: nobody */
};

#define META_CLIENT_TIME_MAX_NS (10 * NS_PER_S) /* of a call without a deadline */

/* local and rpc outlive it. */
void meta_client_init(struct meta_client *c, node_id_t self, struct meta_service *local,
                      struct rpc_client *rpc);
void meta_client_fini(struct meta_client *c);
/* The other members: who may be asked. Copied. */
void meta_client_members(struct meta_client *c, const node_id_t *nodes, unsigned count);
static inline bool meta_client_leads(const struct meta_client *c)
{
    return atomic_load_explicit(&c->leader, memory_order_relaxed) == c->self;
}

/* One call to a certain peer, without looking for the leader: joining. Errors of rpc_call and of
 * the call. */
MUST_USE db_err meta_call_peer(struct rpc_peer *peer, enum rpc_method rpc, enum meta_method method,
                               const struct meta_call *call, struct arena *arena, struct diag *diag,
                               struct meta_answer *ret_answer);

#endif
