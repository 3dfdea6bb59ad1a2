/* The node's HTTP port for operators, load balancers and monitoring: health, metrics, status,
 * ranges, fault points. No authentication: it belongs on a loopback or management address.
 *
 * It listens before the storage is open, so that /livez and /readyz tell about a long start; what
 * needs the storage answers 503 until admin_attach. */
#ifndef SKEIN_NODE_ADMIN_ADMIN_H
#define SKEIN_NODE_ADMIN_ADMIN_H

#include <stdint.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/loop.h"
#include "proto/kv_api.h"

struct admin;
struct range_store;
struct raft_log;

enum admin_state { ADMIN_STARTING, ADMIN_READY, ADMIN_DRAINING };

/* What an operator does with the cluster, on whichever node he asks. Called while the storage is
 * attached; all but nodes park, from a fiber. */
struct admin_cluster {
    /* A copy of the members as of the last heartbeat, or with fresh (which parks) of one made now;
     * how many there are, 0: a node alone. */
    unsigned (*nodes)(void *ctx, bool fresh, struct node_info *out, unsigned max);
    /* The node takes no leases and no new clients, or does again (and stays in the cluster). */
    db_err (*drain)(void *ctx, node_id_t node, bool on, struct diag *diag);
    /* All replicas leave it; ret_left: it holds nothing any more and is out. */
    db_err (*decommission)(void *ctx, node_id_t node, struct diag *diag, bool *ret_left);
    db_err (*move)(void *ctx, range_id_t range, node_id_t from, node_id_t to, struct diag *diag);
    db_err (*lease)(void *ctx, range_id_t range, node_id_t to, struct diag *diag);
    db_err (*split)(void *ctx, struct slice key, struct diag *diag, range_id_t *ret_range,
                    range_id_t *ret_new);
    /* With its right neighbour, which is no more. */
    db_err (*merge)(void *ctx, range_id_t range, struct diag *diag, range_id_t *ret_right);
};

struct admin_opts {
    int listen_fd;            /* bound and listening; owned by the admin once it has started */
    struct loop_group *loops; /* where work that parks runs; outlives the admin */
    const char *version;      /* borrowed for the admin's life */
    const char *data_dir;     /* the same */
    /* What only main knows. Called on the admin's thread; must not block or park. NULL: nothing. */
    void (*refresh)(void *ctx);                          /* before metrics are rendered */
    db_err (*status)(void *ctx, struct buf *inout_json); /* appends members: ,"name":value */
    const struct admin_cluster *cluster;                 /* with ctx; NULL: no such pages */
    unsigned replicas;                                   /* wanted of each range */
    void *ctx;
};

/* ERR_IO, ERR_NOMEM. Any thread. */
MUST_USE db_err admin_start(const struct admin_opts *opts, struct diag *diag,
                            struct admin **ret_admin);
/* What /readyz says. Any thread. */
void admin_set_state(struct admin *a, enum admin_state state);
/* From now on requests use them. log may be NULL. Registers their metrics. */
MUST_USE db_err admin_attach(struct admin *a, struct range_store *ranges, struct raft_log *log);
/* Returns when no request uses them any more. Parks in a fiber, else blocks. */
void admin_detach(struct admin *a);
/* Ends all connections and frees. Detached before. Blocks for a moment: from a thread outside the
 * loops, or from a fiber once nothing is attached. NULL is fine. */
void admin_stop(struct admin *a);

#endif
