/* From a key to the member that serves it.
 *
 * The cache of ranges is shared by all loops and read without locks. What is in it may be old:
 * services answer with an error and what they know, which mends it. An attempt holds the state of
 * one operation's retries.
 *
 *     struct attempt at;
 *     attempt_init(&at, router);
 *     for (;;) {
 *         struct route route;
 *         TRY(route_find(&at, key, arena, diag, &route));
 *         struct kv_reply reply = {0};
 *         db_err err = route.kv->ops->get(route.kv, &req, diag, &reply, &value);
 *         if (err == ERR_OK) ...
 *         TRY(attempt_again(&at, err, &route, &reply, diag));
 *     } */
#ifndef SKEIN_CLUSTER_ROUTE_ROUTE_H
#define SKEIN_CLUSTER_ROUTE_ROUTE_H

#include "base/ebr.h"
#include "base/rand.h"
#include "cluster/view/node_view.h"
#include "proto/kv_api.h"

struct range_table;

struct range_cache {
    struct ebr ebr;
    struct range_table *_Atomic table;
    pthread_mutex_t lock; /* one change at a time */
};

MUST_USE db_err range_cache_init(struct range_cache *c);
void range_cache_fini(struct range_cache *c);

struct range_location {
    range_id_t id;
    struct range_epoch epoch;
    node_id_t node;     /* who is thought to lead */
    struct slice start; /* in the arena of the call; empty without one */
    struct slice end;
};

/* The range of the key. arena NULL: without its bounds. ERR_NOT_FOUND: it is not known. ERR_LIMIT,
 * ERR_NOMEM: no room for the bounds. Never parks. */
MUST_USE db_err range_cache_find(struct range_cache *c, struct slice key, struct arena *arena,
                                 struct range_location *ret_loc);
/* The range of the keys right before `key` (empty: of the last keys of all). */
MUST_USE db_err range_cache_find_before(struct range_cache *c, struct slice key,
                                        struct arena *arena, struct range_location *ret_loc);
/* Takes what is newer than what is there. ERR_NOMEM: nothing has changed. */
MUST_USE db_err range_cache_learn(struct range_cache *c, const struct range_desc *descs,
                                  unsigned count);
/* Forgets the range, if it is still known by this epoch. */
void range_cache_evict(struct range_cache *c, range_id_t id, struct range_epoch epoch);
void range_cache_set_leader(struct range_cache *c, range_id_t id, node_id_t leader);
/* That node is not reachable: if it is still thought to lead the range, its next voter is now.
 * False: no other is known. */
bool range_cache_next_leader(struct range_cache *c, range_id_t id, node_id_t failed);
size_t range_cache_count(struct range_cache *c);

struct router {
    struct range_cache *ranges;
    struct node_view *view;
    struct meta_service *meta;
    lock_owner_t owner;      /* of the row locks that are asked for */
    _Atomic uint32_t fences; /* of this node, as last heard */
};

struct route {
    struct range_location loc;
    struct kv_service *kv;
    lock_owner_t owner; /* the router's */
};

#define ATTEMPT_TIME_MAX_NS (30 * NS_PER_S) /* of an operation without a deadline */

struct attempt {
    struct router *router;
    unsigned count;
    uint64_t start_ns; /* 0: no retry yet */
    uint64_t backoff_ns;
    db_err last; /* the error that the last retry was for, and whose */
    range_id_t last_range;
    node_id_t last_node;
};

static inline void attempt_init(struct attempt *a, struct router *r)
{
    *a = (struct attempt){.router = r};
}

/* Where to send an operation on the key; asks meta for what is not known. arena as for
 * range_cache_find. May park. ERR_UNAVAILABLE when nobody can tell for too long; ERR_TIMEOUT,
 * ERR_CANCELED; ERR_LIMIT, ERR_NOMEM. */
MUST_USE db_err route_find(struct attempt *a, struct slice key, struct arena *arena,
                           struct diag *diag, struct route *ret_route);
MUST_USE db_err route_find_before(struct attempt *a, struct slice key, struct arena *arena,
                                  struct diag *diag, struct route *ret_route);
/* What to do after an error of a service: ERR_OK means try again (the cache was mended, some time
 * may have passed); anything else is to be returned. reply may be NULL. */
MUST_USE db_err attempt_again(struct attempt *a, db_err err, const struct route *route,
                              const struct kv_reply *reply, struct diag *diag);
/* Waits longer at each call, up to a limit, until the fiber's deadline. ERR_UNAVAILABLE past the
 * time of an attempt. */
MUST_USE db_err attempt_wait(struct attempt *a, struct diag *diag);

static inline struct kv_request route_request(const struct route *r, uint64_t deadline_ns,
                                              struct arena *arena)
{
    return (struct kv_request){r->loc.id, r->loc.epoch, deadline_ns, arena, r->owner, 0};
}

#endif
