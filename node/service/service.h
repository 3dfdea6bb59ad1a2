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

/* pushdown_service.c: `fragment` of a service, by its `scan`. */
MUST_USE db_err kv_service_fragment(struct kv_service *kv, const struct kv_fragment_req *req,
                                    struct diag *diag, struct kv_reply *reply,
                                    struct kv_fragment_resp *ret_resp);

struct local_meta_service {
    struct meta_service base;
    struct meta *meta;
};
void local_meta_service_init(struct local_meta_service *s, struct meta *m);

#endif
