/* One member of the cluster, from its data directory up to the storage that SQL stands on: engine,
 * Raft log, ranges, meta, services and the cluster storage, started and stopped in order.
 * Listeners, configuration and signals are not here. */
#ifndef SKEIN_NODE_MAIN_NODE_H
#define SKEIN_NODE_MAIN_NODE_H

#include "base/diag.h"
#include "base/loop.h"
#include "node/meta/meta.h"
#include "node/range/range.h"
#include "sql/storage/storage.h"

struct node;
struct membership;
struct rpc_transport;

/* What a node stands on, where it is not the machine: for the simulator. The group of loops is a
 * simulated one then. */
struct node_world {
    struct disk *disk; /* of the Raft log, under the path "log" */
    /* The node's log is open: for raft_log_pump, from now until raft_log_kill or node_stop. */
    void (*log_open)(void *ctx, struct raft_log *log);
    void (*log_submitted)(void *ctx); /* there is something to pump; on a loop of the node */
    db_err (*transport)(void *ctx, struct rpc_transport **ret_transport); /* the node frees it */
    void *ctx;
};

struct node_opts {
    const char *data_dir;           /* made if it is not there */
    struct loop_group *loops;       /* outlives the node */
    const struct node_world *world; /* NULL: the machine. Outlives the node */
    size_t memory_size;             /* of the store (block cache and memtables); 0: its default */
    uint64_t range_size_max;        /* 0: 256 MiB */
    uint32_t merge_after_ms;        /* struct range_store_opts */
    uint32_t split_load;            /* the same */
    uint64_t log_size_max;          /* 0: by the size of the disk, at most 64 MiB */
    uint64_t log_segment_size;      /* 0: the log's default */
    size_t lock_memory_max;         /* of one range's row locks; 0: its default */
    size_t lock_pack_from;          /* struct lock_table_opts; 0: its default */
    uint32_t gc_age_ms;             /* of old versions that nobody reads */
    /* 0: a start waits for the cluster as long as it takes, and says each 10 s what for. */
    uint32_t start_timeout_ms;
    const _Atomic bool *start_stop; /* set: a start that waits gives up. May be NULL */
    const char *rpc_address;        /* HOST:PORT; NULL: no other node can ever join */
    const char *advertise;          /* host for other nodes; NULL: that of rpc_address */
    const char *join; /* HOST:PORT,...: of an empty directory, become a member there */
    const char *join_token;
    unsigned rpc_tls;       /* enum membership_tls */
    unsigned rpc_transport; /* 0: TCP on the loops; 1: NNG's streams */
    unsigned replicas;      /* wanted of each range; 0: 3 */
    uint32_t dead_after_ms; /* a member unheard so long is replaced; 0: 60 s */
    /* Fills mysql and admin addresses. Does not park; any thread. May be NULL. */
    void (*describe)(void *ctx, struct node_info *self);
    void *describe_ctx;
    /* What operators ask for; as in membership.h. May be NULL. */
    db_err (*drain)(void *ctx, bool on, struct diag *diag);
    void (*leaving)(void *ctx, bool leaving);
    void (*left)(void *ctx, const char *text);
    void *operator_ctx;
    /* The node cannot go on (a disk failed): called once, from any thread. NULL: the process
     * aborts. */
    void (*on_fatal)(void *arg, db_err err, const char *text);
    void *on_fatal_arg;
};

/* Returns when the node serves its ranges and the cluster's meta range answers. A range of several
 * members that finds no leader while the meta range answers holds nobody up for long: its majority
 * may be gone. From a fiber (it parks) or a thread that runs no loop (it blocks). Errors:
 * ERR_CANCELED (start_stop), ERR_BUSY (another process has the directory open), ERR_UNSUPPORTED
 * (another format version), ERR_CORRUPT, ERR_DISK_FULL, ERR_IO, ERR_NOMEM, ERR_TIMEOUT. */
MUST_USE db_err node_start(const struct node_opts *opts, struct diag *diag, struct node **ret_node);
/* The storage for sql/; usable on all loops of the group. */
struct storage *node_storage(struct node *n);
struct range_store *node_ranges(struct node *n);
struct meta *node_meta(struct node *n);
struct raft_log *node_log(struct node *n);
struct membership *node_membership(struct node *n);
/* Leases go to other members, as far as those take them within some seconds. From a fiber; parks.
 */
void node_hand_over(struct node *n);
/* Stops in order; no transaction may be left. From a fiber or a thread, as node_start. NULL is
 * fine. */
void node_stop(struct node *n);

#endif
