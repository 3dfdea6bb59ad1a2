/* Timestamps from the oracle, for all fibers of this node.
 *
 * Requests that come while one of the same loop is on its way are gathered and asked for together,
 * so that the number of calls does not grow with the number of fibers. */
#ifndef SKEIN_CLUSTER_TIME_TS_CLIENT_H
#define SKEIN_CLUSTER_TIME_TS_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/list.h"
#include "proto/kv_api.h"

enum { TS_CLIENT_SLOTS = 16 }; /* loops beyond that share one */
enum { TS_NAMES_AHEAD = 32 };
#define TS_NAMES_NS (100 * NS_PER_MS) /* how old a name may be: nothing else waits for its age */

struct ts_slot {
    _Alignas(64) pthread_mutex_t mutex; /* guards the rest */
    bool busy;
    struct list waiters;
    unsigned waiter_count;
    ts_t name; /* the next of those that were asked for ahead, as names */
    unsigned names_left;
    uint64_t names_ns; /* when they were asked for */
    uint64_t hungry_ns;
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
/* A name for a transaction: a timestamp that nobody else is given, less than all that are asked for
 * as commit timestamps from now on; but it may have been taken ahead, a short while ago, so that it
 * says nothing of what was committed before the call: nobody may read at it. At least `floor`, a
 * timestamp that was given before. Cheaper than ts_client_next where the oracle is another node's.
 * Errors as of that. */
MUST_USE db_err ts_client_name(struct ts_client *c, ts_t floor, struct diag *diag, ts_t *ret_ts);
/* When that said ERR_DISK_FULL: one to read at, not less than any given before and shared with
 * others. */
MUST_USE db_err ts_client_last(struct ts_client *c, struct diag *diag, ts_t *ret_ts);

#endif
