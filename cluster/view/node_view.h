/* The members of the cluster as this node sees them: how to reach each one's KV service. */
#ifndef SKEIN_CLUSTER_VIEW_NODE_VIEW_H
#define SKEIN_CLUSTER_VIEW_NODE_VIEW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "proto/kv_api.h"

enum { NODE_VIEW_MAX = 128 };

struct node_view {
    node_id_t self;
    struct kv_service *self_kv;
    pthread_rwlock_t lock;  /* guards the rest */
    _Atomic unsigned count; /* read without the lock, too */
    node_id_t ids[NODE_VIEW_MAX];
    struct kv_service *kvs[NODE_VIEW_MAX];
};

/* Services outlive the view. */
void node_view_init(struct node_view *v, node_id_t self, struct kv_service *self_kv);
void node_view_fini(struct node_view *v);
/* Adds or replaces (NULL: forgets) another member. ERR_LIMIT. */
MUST_USE db_err node_view_set(struct node_view *v, node_id_t id, struct kv_service *kv);
/* Is there any other member? Thread-safe, cheap. */
bool node_view_others(struct node_view *v);
/* NULL: not known. Thread-safe, does not park; this node itself costs a comparison. */
struct kv_service *node_view_kv(struct node_view *v, node_id_t id);

#endif
