/* Evaluation of KV commands at the leaseholder of a range.
 *
 * One function per call of struct kv_service_ops (proto/kv_api.h). Reads look into the lock table
 * and the engine where the fiber runs; writes take latches, check, and hand the *result* as a
 * store_batch to the range, which replicates and applies it. Evaluation knows nothing of Raft: what
 * it needs of the range comes through struct eval_range_ops.
 *
 * All functions run in a fiber and may park; any loop may call them. */
#ifndef SKEIN_NODE_EVAL_EVAL_H
#define SKEIN_NODE_EVAL_EVAL_H

#include <stdatomic.h>

#include "node/lock/lock_table.h"
#include "node/store/engine.h"
#include "node/store/store_batch.h"
#include "proto/kv_api.h"

struct eval_range;

struct eval_range_ops {
    const char *name;

    /* Is this replica the leaseholder now, is req->epoch the range's and [start, end) inside it?
     * (end empty with a non-empty start: the single key start. Both empty: no key is concerned.)
     * Called when a command starts and again after it has read, with the same meaning: if the
     * second call says yes, the lease was held in between without a gap. Must be cheap (a few
     * loads) and may not park. ret_term: the lease's term, which also numbers the lifetime of the
     * lock table; 0 is no term. With req->applied_min a replica that is not the leaseholder says
     * yes as well, when it has applied as much, with a term of its own. Errors: ERR_NOT_LEADER,
     * ERR_STALE_EPOCH, ERR_RANGE_NOT_FOUND, ERR_UNAVAILABLE, with *reply filled; ERR_INVALID for
     * keys outside the range although the epoch matches. */
    db_err (*check)(struct eval_range *r, const struct kv_request *req, struct slice start,
                    struct slice end, struct diag *diag, struct kv_reply *reply,
                    uint64_t *ret_term);

    /* Replicates and applies the batch; parks until it is applied here. The encoding is read before
     * the first park only if the callee copies it; the caller keeps the batch until the return.
     * Ignores the fiber's deadline and cancellation: it returns when the fate is known or this
     * replica's lease of `term` has ended.
     *   ERR_OK: applied on this replica, visible to reads of the engine.
     *   ERR_NOT_LEADER, ERR_STALE_EPOCH, ERR_LIMIT, ERR_BUSY, ERR_DISK_FULL, ERR_NOMEM,
     *   ERR_UNAVAILABLE: certainly not applied and never will be.
     *   ERR_COMMIT_UNKNOWN: may be applied later, by another leaseholder. From before this return
     *   on `check` fails, or gives another term once everything in the log has been applied. */
    db_err (*propose)(struct eval_range *r, const struct kv_request *req, uint64_t term,
                      const struct store_batch *batch, struct diag *diag, struct kv_reply *reply);

    /* A timestamp from the oracle, strictly greater than all that were returned before the call
     * began. May park. */
    db_err (*now_ts)(struct eval_range *r, struct diag *diag, ts_t *ret_ts);

    /* The range's key bounds now, copied to the arena (end empty: the end of the key space). */
    db_err (*bounds)(struct eval_range *r, struct arena *arena, struct slice *ret_start,
                     struct slice *ret_end);

    /* Optional (NULL): may new data come now? Asked before a prewrite is evaluated; what ends
     * transactions or gives space back is not asked about. May not park. ERR_DISK_FULL. */
    db_err (*admit)(struct eval_range *r, struct diag *diag);

    /* Optional (NULL): may a transaction of this owner write that knew of so many fences of its
     * node when it began? May not park. ERR_TXN_ABORTED. */
    db_err (*vouch)(struct eval_range *r, lock_owner_t owner, uint32_t fences, struct diag *diag);

    /* Optional (NULL): the place in the log up to which this replica has applied. */
    uint64_t (*position)(struct eval_range *r);

    /* Optional (NULL): something was done at this key that cost so many units (load for splits): 1
     * is a point read. */
    void (*note_load)(struct eval_range *r, struct slice key, unsigned units);
};

/* Embedded in node/range's replica object. */
struct eval_range {
    const struct eval_range_ops *ops;
    struct engine *engine;
    struct lock_table *locks;
    /* An upper bound of the number of intents in the range: 0 means that no reader needs to look.
     * INTENTS_UNKNOWN until eval_range_lease_begin has counted. Above INTENTS_BITS: how often it
     * was set anew. */
    _Atomic uint64_t intents;
    _Atomic bool uncertain;             /* a write of this lease may still be applied */
    struct latch_guard *_Atomic frozen; /* internal */
    /* Which transactions may have a record that a 1PC has to look for: those below records_below,
     * known since the lease of term records_term, and up to records_high, made since. */
    _Atomic uint64_t records_term;
    _Atomic ts_t records_below;
    _Atomic ts_t records_high;
    /* Numbers the lifetime of the lock table, unique in the cluster; 0: none. What transactions
     * know as lock_term: it stays the same when locks are handed over with a lease or move to the
     * right half of a split, where the lease's term does not. Changes only between leases. */
    _Atomic uint64_t lock_number;
};

#define INTENTS_BITS    40
#define INTENTS_UNKNOWN (UINT64_C(1) << (INTENTS_BITS - 1))

void eval_range_init(struct eval_range *r, const struct eval_range_ops *ops, struct engine *engine,
                     struct lock_table *locks);
/* Called by the range when a lease of a new term begins, after everything in the log before it has
 * been applied and before `check` says yes: forgets row locks of the old term, gives the lock table
 * a new number (lock_number 0: the locks were handed over with the lease, with their number) and
 * counts the intents in [start, end) up to a maximum. May park. */
MUST_USE db_err eval_range_lease_begin(struct eval_range *r, struct slice start, struct slice end,
                                       uint64_t lock_number, struct diag *diag);
/* The lease has ended (or the range is going away): every waiter in the lock table ends with
 * ERR_NOT_LEADER and row locks are forgotten. Does not park. */
void eval_range_lease_end(struct eval_range *r);
/* Called on the apply path of a split, while eval_range_freeze is in force: row locks and their
 * waiters at or above `at` move to `right`, which gets the same upper bound of intents. */
MUST_USE db_err eval_range_split(struct eval_range *r, struct slice at, struct eval_range *right);
/* The reverse: all row locks of `right` join `r` (both frozen). Their table gets the number
 * `fresh`, which nobody ever had, and transactions validate what they locked, unless both have the
 * same one and right's locks are intact: its lease has not ended since. ERR_NOMEM: those locks are
 * lost. */
MUST_USE db_err eval_range_merge(struct eval_range *r, struct eval_range *right, uint64_t fresh,
                                 bool intact);

/* Keeps evaluation of writes out: returns when none is in flight (parks; FIFO), and later ones wait
 * until thaw. For split, merge, lease transfer, delete_range. ERR_TIMEOUT, ERR_CANCELED. */
MUST_USE db_err eval_range_freeze(struct eval_range *r, uint64_t deadline_ns);
void eval_range_thaw(struct eval_range *r);

/* The commands; contracts in proto/kv_api.h. */
#define EVAL_CMD(name, flags, req_type, resp_decl)                                                 \
    MUST_USE db_err eval_##name(struct eval_range *r, const struct req_type *req,                  \
                                struct diag *diag, struct kv_reply *reply resp_decl);
#define RESP(type, name) , type *name
#define NO_RESP
#include "node/eval/commands.def"
#undef EVAL_CMD
#undef RESP
#undef NO_RESP

/* Drops transaction records of the range with start_ts < before. The caller knows that no intent of
 * such a transaction is left anywhere in the cluster. At most `max` per call; when there were that
 * many, another call goes on where this one ended: at `cursor`, empty at first. */
MUST_USE db_err eval_gc(struct eval_range *r, const struct kv_request *req, struct slice start,
                        struct slice end, ts_t before, size_t max, struct buf *cursor,
                        struct diag *diag, struct kv_reply *reply, size_t *ret_dropped);

#endif
