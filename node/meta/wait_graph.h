/* Who waits for whom, as all nodes have told: finds deadlocks. Pure: no clock, no lock, no I/O. One
 * caller at a time. */
#ifndef SKEIN_NODE_META_WAIT_GRAPH_H
#define SKEIN_NODE_META_WAIT_GRAPH_H

#include "proto/kv_api.h"

struct wait_graph;

MUST_USE db_err wait_graph_new(struct wait_graph **ret_graph);
void wait_graph_free(struct wait_graph *g); /* NULL is fine */
/* Nothing was told yet. */
void wait_graph_clear(struct wait_graph *g);

/* What waits at the node now: edges ascending by `wait`, at most KV_WAITS_MAX; instead of what it
 * told last. The waits among them that are to end because of a deadlock are in the arena, again
 * with each report until they have ended. now_ns: any clock, for forgetting nodes that tell nothing
 * any more. ERR_NOMEM, ERR_LIMIT (too many nodes): nothing has changed. */
MUST_USE db_err wait_graph_report(struct wait_graph *g, node_id_t node,
                                  const struct kv_wait_edge *edges, unsigned count, uint64_t now_ns,
                                  struct arena *arena, uint64_t **ret_victims, unsigned *ret_count);

#endif
