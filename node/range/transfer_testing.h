/* For tests whose leases go to a node that they name. Tests only. */
#ifndef SKEIN_NODE_RANGE_TRANSFER_TESTING_H
#define SKEIN_NODE_RANGE_TRANSFER_TESTING_H

#include "node/range/testing.h"

/* Until `to` leads. On a busy machine it may not take the lease in time, and the old leader goes
 * on: it is asked again. */
static inline void t_transfer(struct tcluster *c, range_id_t range, node_id_t from, node_id_t to,
                              enum lease_locks locks)
{
    node_id_t at = from;
    for (int i = 0; i < 20 && at == from; i++) {
        struct diag diag;
        diag_reset(&diag);
        db_err err = range_store_transfer_lease(c->nodes[from].rs, range, to, locks, &diag);
        if (err != ERR_OK) {
            fprintf(stderr, "transfer: %s %s\n", err_name(err), diag.text);
            CHECK(err == ERR_TIMEOUT || err == ERR_UNAVAILABLE);
        }
        at = t_wait_leader(c, range, 60 * NS_PER_S);
    }
    CHECK(at == to);
}

#endif
