/* The replicas of one node: each range's Raft group driven against the shared log and the engine.
 *
 * A range is [start, end) of the key space. Its replica evaluates KV commands (node/eval), hands
 * their results to Raft, and applies what is committed. Reads run on the loop of the fiber that
 * asks; the Raft side of a range is driven by one loop at a time (see inbox.c).
 *
 * Durability: a write is acknowledged when its entry is durable in the Raft log and applied to the
 * engine, whose own writes need not be durable: after a crash the log is replayed from the applied
 * index that the engine holds durably. */
#ifndef SKEIN_NODE_RANGE_RANGE_H
#define SKEIN_NODE_RANGE_RANGE_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/loop.h"
#include "node/eval/eval.h"
#include "node/log/log.h"
#include "node/range/transport.h"
#include "node/store/engine.h"
#include "proto/kv_api.h"

struct range_store;

/* The first two ranges of a new cluster. */
enum { RANGE_ID_META = 1, RANGE_ID_FIRST = 2, RANGE_ID_NEXT = 3 };
enum { STORE_FORMAT_VERSION = 1 };

/* What the range store needs of the layer above it (node/meta). */
struct range_hooks {
    void *ctx;
    /* A timestamp greater than all given before. May park. */
    db_err (*now_ts)(void *ctx, struct diag *diag, ts_t *ret_ts);
    /* An id that no range ever had. May park. */
    db_err (*new_range_id)(void *ctx, struct diag *diag, range_id_t *ret_id);
    /* A range that this replica leads has come or changed. On the loop that drives it: must not
     * park. desc is borrowed. */
    void (*changed)(void *ctx, const struct range_desc *desc);
};

struct range_store_opts {
    struct loop_group *loops;
    struct engine *engine;
    struct raft_log *log;
    struct replica_transport *transport; /* NULL: groups of one member only */
    const struct range_hooks *hooks;     /* outlives the store */
    uint64_t range_size_max;             /* split above; 0: 256 MiB */
    uint64_t log_size_max;  /* Raft log bytes above which the engine is flushed to free it; 0: 256
                               MiB */
    size_t lock_memory_max; /* of one range's lock table; 0: its default */
    /* The node cannot go on (the log or the engine failed): once, from any thread. */
    void (*on_fatal)(void *arg, db_err err, const char *text);
    void *on_fatal_arg;
};

struct store_ident {
    uint32_t format_version;
    uint8_t cluster_id[16];
    node_id_t node_id;
};

/* Opens all replicas of the engine; a new engine becomes the first node of a new cluster. From a
 * fiber on a loop of the group; parks. The replicas begin to run at once: what the log holds beyond
 * the engine is applied again. Errors: ERR_UNSUPPORTED (another format version), ERR_CORRUPT,
 * ERR_IO, ERR_NOMEM, ERR_DISK_FULL. */
MUST_USE db_err range_store_open(const struct range_store_opts *opts, struct diag *diag,
                                 struct range_store **ret_store);
/* Waits until every range of this node has caught up with its log and has a lease. Parks.
 * ERR_TIMEOUT, ERR_IO. */
MUST_USE db_err range_store_wait_ready(struct range_store *rs, uint64_t deadline_ns);
/* Refuses new proposals, lets those in flight end, ends the store's own fibers. Parks. After that
 * the log and the engine can be closed. */
void range_store_stop(struct range_store *rs);
/* Frees all. Stopped, and no call is under way. NULL is fine. */
void range_store_free(struct range_store *rs);

struct store_ident range_store_ident(const struct range_store *rs);
struct engine *range_store_engine(const struct range_store *rs);

/* The replica of a range as node/eval sees it; lives as long as the store. ERR_RANGE_NOT_FOUND. */
MUST_USE db_err range_store_find(struct range_store *rs, range_id_t id,
                                 struct eval_range **ret_range);
/* Calls fn for each replica with its present descriptor (borrowed), in no order, until it fails. */
MUST_USE db_err range_store_each(struct range_store *rs,
                                 db_err (*fn)(void *arg, const struct range_desc *desc,
                                              bool serving),
                                 void *arg);

/* Replicates and applies a batch of node/meta's own, without evaluation, on a range that this node
 * leads. Parks. Errors as eval_range_ops.propose. */
MUST_USE db_err range_store_write(struct range_store *rs, range_id_t id,
                                  const struct store_batch *batch, struct diag *diag);

/* Splits the range so that a new one begins at `at`. Parks. ERR_INVALID: not strictly inside;
 * ERR_NOT_LEADER, ERR_RANGE_NOT_FOUND, ERR_BUSY (being split), and those of a proposal. */
MUST_USE db_err range_store_split(struct range_store *rs, range_id_t id, struct slice at,
                                  struct diag *diag, range_id_t *ret_new_id);

struct range_status {
    range_id_t id;
    bool serving;
    uint64_t term;
    uint64_t applied;
    uint64_t compacted;
    uint64_t size;       /* bytes, as of the last check */
    unsigned owner_loop; /* of the moment; UINT32_MAX: at rest */
    uint64_t proposals;
};
MUST_USE db_err range_store_status(struct range_store *rs, range_id_t id,
                                   struct range_status *ret_status);

struct range_store_stats {
    uint64_t ranges;
    uint64_t proposals;
    uint64_t log_submits;
    uint64_t applies; /* engine batches */
    uint64_t applied_entries;
    uint64_t owner_moves; /* a range at rest was taken by another loop */
    uint64_t splits;
    uint64_t forced_flushes;
    bool disk_full;
};
void range_store_get_stats(struct range_store *rs, struct range_store_stats *ret_stats);

/* One round of upkeep now (log truncation, size splits); for tests and tools. Parks. */
void range_store_upkeep(struct range_store *rs, bool force_flush);

/* ---- formats (docs/formats/range.md) ---- */

/* Encodes at the end of b. */
MUST_USE db_err range_desc_encode(struct buf *b, const struct range_desc *desc);
/* Keys are copied to the arena. ERR_CORRUPT, ERR_NOMEM. */
MUST_USE db_err range_desc_decode(struct slice bytes, struct arena *arena,
                                  struct range_desc *ret_desc);
MUST_USE db_err range_desc_copy(struct arena *arena, const struct range_desc *desc,
                                struct range_desc *ret_desc);
static inline bool range_desc_contains(const struct range_desc *d, struct slice key)
{
    return slice_cmp(key, d->start) >= 0 && (d->end.len == 0 || slice_cmp(key, d->end) < 0);
}

#endif
