/* Timestamps from the oracle, for all fibers of this node.
 *
 * Requests that come while one of the same loop is on its way are gathered and asked for together,
 * so that the number of calls does not grow with the number of fibers. */
#ifndef SKEIN_CLUSTER_TIME_TS_CLIENT_H
#define SKEIN_CLUSTER_TIME_TS_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/diag.h"
#include "base/list.h"
#include "proto/kv_api.h"

enum { TS_CLIENT_SLOTS = 16 }; /* loops beyond that share one */

struct ts_slot {
    _Alignas(64) pthread_mutex_t mutex; /* guards the rest */
    bool busy;
    struct list waiters;
    unsigned waiter_count;
};

struct ts_client {
    struct meta_service *meta;
    const _Atomic bool
        *direct; /* the oracle is in this process: a call is cheaper than gathering */
    struct ts_slot slots[TS_CLIENT_SLOTS];
};

/* meta and direct outlive it. */
void ts_client_init(struct ts_client *c, struct meta_service *meta, const _Atomic bool *direct);
void ts_client_fini(struct ts_client *c);

/* A timestamp greater than all that anybody was given before the call. May park. Errors: those of
 * meta_service_ops.timestamps, ERR_CANCELED, ERR_TIMEOUT. */
MUST_USE db_err ts_client_next(struct ts_client *c, struct diag *diag, ts_t *ret_ts);
/* When that said ERR_DISK_FULL: one to read at, not less than any given before and shared with
 * others. */
MUST_USE db_err ts_client_last(struct ts_client *c, struct diag *diag, ts_t *ret_ts);

#endif
