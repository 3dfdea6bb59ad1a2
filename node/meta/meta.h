/* What the cluster knows of itself, kept in the meta range: the timestamp oracle, named counters,
 * the index of ranges, the register of members, the safe point of garbage collection.
 *
 * One struct meta per node. Its services answer on the node that holds the meta range's lease and
 * ERR_NOT_LEADER elsewhere (with the leader's id in diag->data, 0: unknown); when the lease moves,
 * the state is read again from the range, under whose Raft group it is written
 * (docs/formats/meta.md). On every node it also tells the leader that the node lives and which
 * ranges it leads. */
#ifndef SKEIN_NODE_META_META_H
#define SKEIN_NODE_META_META_H

#include "node/range/range.h"
#include "proto/kv_api.h"

struct meta;

/* What meta needs of the layers above. All may be NULL but ctx. */
struct meta_actions {
    void *ctx;
    /* This node's addresses and flags. Does not park. */
    void (*describe_self)(void *ctx, struct node_info *self);
    /* The members as of the last heartbeat; borrowed. May park. */
    void (*members)(void *ctx, const struct node_directory *dir);
    /* This process may not go on as a member: it was removed, or its id is used by another. */
    void (*expelled)(void *ctx, db_err err, const char *text);
    /* Asks the node that leads the range; parks until it is done. Errors: those of
     * range_store_change_replicas and range_store_transfer_lease, ERR_UNAVAILABLE. */
    db_err (*change_replicas)(void *ctx, node_id_t leader, range_id_t range,
                              const struct replica_change *changes, size_t count,
                              struct diag *diag);
    db_err (*transfer_lease)(void *ctx, node_id_t leader, range_id_t range, node_id_t to,
                             enum lease_locks locks, struct diag *diag);
    /* range_store_weigh where the range is led. NULL: ranges are not brought together. */
    db_err (*weigh)(void *ctx, node_id_t leader, range_id_t range, struct diag *diag,
                    uint64_t *ret_bytes);
    /* A certificate with its key for a node, as PEM in the arena. NULL: no TLS. */
    db_err (*issue)(void *ctx, struct slice ca_cert, struct slice ca_key, node_id_t node,
                    struct arena *arena, struct diag *diag, struct slice *ret_cert,
                    struct slice *ret_key);
};

struct meta_opts {
    struct loop_group *loops;
    uint32_t gc_age_ms; /* versions that were current within this time are kept */
    /* How this node reaches the leader of the meta range, itself included. NULL: this node is the
     * only one. Outlives the meta. */
    struct meta_service *client;
    const struct meta_actions *actions; /* NULL: none. Outlives the meta */
    const char *join_token; /* what nodes that join must show; NULL: nobody can join. Copied */
    /* Kept in the meta range unless it has one: PEM; borrowed for the meta's life. Empty: none. */
    struct slice ca_cert;
    struct slice ca_key;
    unsigned replicas;      /* wanted of each range; 0: 3 */
    uint32_t dead_after_ms; /* a member unheard so long is replaced; 0: 60 s */
    uint32_t load_worth;    /* load of a range that counts for placing its lease; 0: none does */
    uint64_t boot_id;       /* of this process; 0: random */
    uint32_t tell_all_ms;   /* all ranges led here are told again after so long; 0: 60 s */
};

/* Before the range store, whose hooks it fills. ERR_NOMEM. */
MUST_USE db_err meta_new(const struct meta_opts *opts, struct meta **ret_meta);
/* Live as long as the meta. */
const struct range_hooks *meta_hooks(struct meta *m);
/* Once the ranges of this node are ready: takes the meta range over if its lease is here, begins to
 * send heartbeats. From a fiber; parks. */
MUST_USE db_err meta_start(struct meta *m, struct range_store *rs, struct diag *diag);
/* Writes what spares numbers at the next start, ends its fibers. From a fiber, before
 * range_store_stop. */
void meta_stop(struct meta *m);
void meta_free(struct meta *m);
/* Is this node the one that answers, at this moment? */
bool meta_leads(struct meta *m);

/* The calls of struct meta_service_ops (proto/kv_api.h); all may park. ERR_NOT_LEADER; before
 * meta_start and after meta_stop too. */
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
MUST_USE db_err meta_ranges_changed(struct meta *m, node_id_t node, const struct range_desc *descs,
                                    unsigned count, struct diag *diag);
MUST_USE db_err meta_join(struct meta *m, struct slice token, const struct node_info *self,
                          struct arena *arena, struct diag *diag, struct node_directory *ret_dir);
MUST_USE db_err meta_heartbeat(struct meta *m, const struct node_info *self, struct arena *arena,
                               struct diag *diag, struct node_directory *ret_dir);
MUST_USE db_err meta_set_node_state(struct meta *m, node_id_t node, enum node_state state,
                                    struct diag *diag);
/* Where meta is led: transactions that began before do not run any more, and no message of theirs
 * is under way. 0: not known now, or not led here. Any thread. */
ts_t meta_sweep_floor(struct meta *m);
MUST_USE db_err meta_fence(struct meta *m, node_id_t node, uint32_t silent_ms, struct diag *diag);

/* Any node of the cluster tells the leader (proto/kv_api.h). */
MUST_USE db_err meta_report_waits(struct meta *m, node_id_t node, const struct kv_wait_edge *edges,
                                  unsigned count, struct arena *arena, struct diag *diag,
                                  uint64_t **ret_victims, unsigned *ret_count);

/* Waits of this node for other things than rows, which may close a circle with those
 * (sql/storage/coord.h says what edges are told). Park. */
struct meta_other_waits {
    void *ctx;
    db_err (*edges)(void *ctx, uint64_t until_ns, unsigned max, struct arena *arena,
                    struct kv_wait_edge **ret_edges, unsigned *ret_count);
    void (*refuse)(void *ctx, uint64_t wait);
};
/* NULL: there are none any more; returns when nobody uses the ones before. From a fiber. w outlives
 * that. */
void meta_set_other_waits(struct meta *m, const struct meta_other_waits *w);
/* One begins, or ends. Any thread; does not park. */
void meta_other_wait(struct meta *m, bool begins);

/* One round of garbage collection's upkeep now; for tests. Parks. */
void meta_gc_round(struct meta *m);
/* One heartbeat of this node, and one round of placement, now; for tests. Park. */
void meta_heartbeat_round(struct meta *m);
void meta_placement_round(struct meta *m);

#endif
