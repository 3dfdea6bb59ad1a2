/* The cluster as a storage for SQL (sql/storage/storage.h): transactions over ranges that lie on
 * any member. */
#ifndef SKEIN_CLUSTER_KV_KV_H
#define SKEIN_CLUSTER_KV_KV_H

#include "proto/kv_api.h"
#include "sql/storage/storage.h"

struct cluster_storage_opts {
    node_id_t self;
    lock_owner_t owner;                /* this process: its node and incarnation */
    struct kv_service *kv;             /* this node's */
    struct meta_service *meta;         /* where meta is asked; */
    const _Atomic bool *meta_is_local; /* ... it is in this process, at the moment */
    /* Where meta is led: before which moment nothing runs any more whose records are needed, 0:
     * not known, or somebody else sweeps. Does not park. NULL: never. */
    ts_t (*sweep_floor)(void *ctx);
    void *sweep_ctx;
};

/* The services outlive it. From a fiber. The caller owns it: storage_close, from a fiber, when no
 * transaction is left. ERR_NOMEM. */
MUST_USE db_err cluster_storage_new(const struct cluster_storage_opts *opts,
                                    struct storage **ret_storage);

/* Another member, or its new service (NULL: forget it). The service outlives the storage. Any
 * thread. ERR_LIMIT. */
MUST_USE db_err cluster_storage_member(struct storage *s, node_id_t id, struct kv_service *kv);

/* How often others went on without this node, as it has just heard: transactions that began before
 * it had do not commit. Any thread. */
void cluster_storage_fenced(struct storage *s, uint32_t fences);

/* One round of it now; for tests. Parks. */
MUST_USE db_err cluster_storage_sweep(struct storage *s, ts_t before, struct diag *diag);

/* Tests: write buffers go to disk with that many entries, into dir unless the transaction names one
 * (it outlives the storage). Before the first transaction. */
void cluster_storage_spill(struct storage *s, size_t entries, const char *dir);

struct cluster_storage_stats {
    uint64_t commits_1pc;
    uint64_t commits_async;
    uint64_t commits_2pc;
    uint64_t intents_resolved;
    uint64_t ranges_cached;
    uint64_t doubts_settled, doubts_left; /* 1PC whose reply was lost: known, unknown */
    uint64_t follower_reads;              /* answered by a replica here without the lease */
    uint64_t closed_asked;                /* leaseholders asked for that */
    uint64_t spills;                      /* transactions whose writes went to disk */
};
void cluster_storage_stats(struct storage *s, struct cluster_storage_stats *ret_stats);

#endif
