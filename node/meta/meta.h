/* What the cluster knows of itself, kept in the meta range: the timestamp oracle, named counters,
 * the index of ranges, the safe point of garbage collection.
 *
 * One struct meta per node; its services work on the node that leads the meta range. State is kept
 * under the keys of docs/formats/meta.md and is written through the meta range's Raft group. */
#ifndef SKEIN_NODE_META_META_H
#define SKEIN_NODE_META_META_H

#include "node/range/range.h"
#include "proto/kv_api.h"

struct meta;

struct meta_opts {
    struct loop_group *loops;
    uint32_t gc_age_ms; /* versions that were current within this time are kept */
};

/* Before the range store, whose hooks it fills. ERR_NOMEM. */
MUST_USE db_err meta_new(const struct meta_opts *opts, struct meta **ret_meta);
/* Live as long as the meta. */
const struct range_hooks *meta_hooks(struct meta *m);
/* Once the meta range serves: reads the state and begins to answer. From a fiber; parks. */
MUST_USE db_err meta_start(struct meta *m, struct range_store *rs, struct diag *diag);
/* Writes what spares numbers at the next start, ends its fibers. From a fiber, before
 * range_store_stop. */
void meta_stop(struct meta *m);
void meta_free(struct meta *m);

/* The calls of struct meta_service_ops (proto/kv_api.h); all may park. ERR_UNAVAILABLE before
 * meta_start and after meta_stop. */
MUST_USE db_err meta_timestamps(struct meta *m, uint32_t count, struct diag *diag, ts_t *ret_first);
MUST_USE db_err meta_lookup(struct meta *m, struct slice start, struct slice end, unsigned max,
                            struct arena *arena, struct diag *diag, struct range_desc **ret_descs,
                            unsigned *ret_count);
MUST_USE db_err meta_sequence_next(struct meta *m, struct slice name, uint64_t floor,
                                   uint64_t count, uint64_t step, uint64_t offset,
                                   struct diag *diag, uint64_t *ret_first);
/* ERR_LIMIT: too many nodes or snapshots. */
MUST_USE db_err meta_report_reads(struct meta *m, node_id_t node, const struct kv_reads *reads,
                                  struct diag *diag);

/* One round of garbage collection's upkeep now; for tests. Parks. */
void meta_gc_round(struct meta *m);

#endif
