/* The services of a node as vtables: what the client side of the cluster calls, directly on this
 * node or, from another one, behind rpc/server (whose handlers decode, call these, and encode). */
#ifndef SKEIN_NODE_SERVICE_SERVICE_H
#define SKEIN_NODE_SERVICE_SERVICE_H

#include "node/meta/meta.h"
#include "node/range/range.h"
#include "proto/kv_api.h"

/* In the owner's memory; nothing to free. rs and m outlive it. */
struct local_kv_service {
    struct kv_service base;
    struct range_store *rs;
};
void local_kv_service_init(struct local_kv_service *s, struct range_store *rs);

struct local_meta_service {
    struct meta_service base;
    struct meta *meta;
};
void local_meta_service_init(struct local_meta_service *s, struct meta *m);

#endif
