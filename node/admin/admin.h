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

struct admin;
struct range_store;
struct raft_log;

enum admin_state { ADMIN_STARTING, ADMIN_READY, ADMIN_DRAINING };

struct admin_opts {
    int listen_fd;            /* bound and listening; owned by the admin once it has started */
    struct loop_group *loops; /* where work that parks runs; outlives the admin */
    const char *version;      /* borrowed for the admin's life */
    const char *data_dir;     /* the same */
    /* What only main knows. Called on the admin's thread; must not block or park. NULL: nothing. */
    void (*refresh)(void *ctx);                          /* before metrics are rendered */
    db_err (*status)(void *ctx, struct buf *inout_json); /* appends members: ,"name":value */
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
