/* Private to cluster/txn: a commit under way. */
#ifndef SKEIN_CLUSTER_TXN_COMMIT_INT_H
#define SKEIN_CLUSTER_TXN_COMMIT_INT_H

#include "base/fiber.h"
#include "cluster/txn/txn.h"

enum {
    COMMIT_1PC_BYTES_MAX = 8 << 20, /* one Raft entry; larger ones go in pieces as intents */
    COMMIT_1PC_KEYS_MAX = 65536,
    COMMIT_CHUNK_BYTES = 2 << 20, /* of one prewrite */
    COMMIT_CHUNK_KEYS = 8192,
    COMMIT_ASYNC_KEYS_MAX = 256, /* all are named in the primary's intent */
    COMMIT_ASYNC_BYTES_MAX = 8192,
    COMMIT_WORKERS_MAX = 15,
    COMMIT_TTL_MS = 3000,
};

/* Mutations of one range (as it was known), bounded in size. */
struct commit_group {
    size_t first;
    size_t count;
    ts_t min_commit_ts;
    db_err err;
    bool started;
    struct slice conflict; /* in `arena` */
    struct arena arena;
    struct diag diag;
};

struct commit {
    struct ctxn *t;
    struct txn_env *env;
    struct arena *arena;
    struct kv_mutation *muts;
    uint32_t *slots; /* wb_entry.slot of each */
    size_t count;
    struct slice *shared; /* keys that are locked shared and not written */
    uint32_t *shared_slots;
    size_t shared_count;
    bool read_only; /* nothing was written: exclusive locks are looked at as shared ones */
    size_t bytes;
    size_t key_bytes;
    ts_t start_ts;
    struct slice primary; /* key */
    uint32_t ttl_ms;
    bool async;
    struct slice *secondaries;
    struct commit_group *groups;
    size_t group_count;
    size_t group_cap;
    size_t next_group;
    bool stop; /* some group has failed, or nobody waits any more: the others need not begin */
};

/* one_phase.c: the whole commit in one call. *ret_done false: nothing was done, it does not fit one
 * range (any more). Errors as storage_txn_commit. */
MUST_USE db_err commit_1pc(struct commit *c, struct diag *diag, bool *ret_done, ts_t *ret_ts);

/* prewrite.c */
MUST_USE db_err commit_collect(struct commit *c);
/* What the commit does with an entry. false: nothing. Slices are the entry's. */
bool commit_mutation(const struct ctxn *t, const struct wb_entry *e, struct kv_mutation *ret_m,
                     uint32_t *ret_slot);
/* Is the entry's a lock that is asked for again before the decision? */
bool commit_is_shared(const struct commit *c, const struct wb_entry *e);
/* The lock term if all locks of these mutations were given under one, else 0. */
uint64_t commit_lock_term(const struct commit *c, size_t first, size_t count);
/* The keys that are locked and not written. */
MUST_USE db_err commit_collect_shared(struct commit *c);
/* Are all shared locks, and locks of gaps, still held? Asked after the commit timestamp is known,
 * before the decision: whoever writes one of these keys then commits later. ERR_LOCK_LOST. */
MUST_USE db_err commit_check_shared(struct commit *c, struct diag *diag);
/* Those of c->shared alone. */
MUST_USE db_err commit_check_shared_keys(struct commit *c, struct diag *diag);
MUST_USE db_err commit_plan(struct commit *c, struct diag *diag);
/* Prewrites all groups, in parallel; the first error by order of keys. */
MUST_USE db_err commit_prewrite_all(struct commit *c, struct diag *diag,
                                    struct slice *ret_conflict);

/* commit.c */
/* Where the transaction's owner wants the key that is in the way. */
MUST_USE db_err commit_copy_conflict(struct ctxn *t, struct slice key);
/* What the prewrites of c's groups may have locked goes with the transaction. */
void commit_note_spans(struct commit *c);
/* How long an intent lives without a sign of life of its owner. */
MUST_USE db_err commit_ttl(struct commit *c, struct diag *diag);
/* The primary's commit decides. */
MUST_USE db_err commit_primary(struct commit *c, ts_t commit_ts, struct diag *diag);

/* commit_bulk.c: the commit of a transaction with runs (t->runs) or a spill. */
MUST_USE db_err commit_bulk(struct ctxn *t, struct diag *diag, ts_t *ret_ts);
/* commit_check_shared of one with a spill, whose own buffer is empty. */
MUST_USE db_err commit_check_spilled(struct commit *c, struct diag *diag);
/* Moves the runs' records, which are few, to the write buffer. */
MUST_USE db_err commit_fold_runs(struct ctxn *t, struct diag *diag);

/* finish.c */
enum finish_what { FINISH_COMMIT, FINISH_ROLLBACK };
/* Ascending keys, range by range; safe to repeat, so an unknown outcome is tried again. */
MUST_USE db_err finish_keys(struct txn_env *env, enum finish_what what, ts_t start_ts,
                            ts_t commit_ts, const struct slice *keys, size_t count,
                            struct diag *diag);
/* Commits the keys and gives the locks back after the reply; at once when no fiber can be had. */
void finish_in_background(struct commit *c, ts_t commit_ts, size_t first);

/* heartbeat.c: keeps the primary's intent alive while a long commit is under way. */
struct heartbeat {
    struct txn_env *env;
    struct slice primary;
    ts_t start_ts;
    bool stop;
    bool running;
    struct fiber *fiber;  /* when it has begun */
    struct waiter *ended; /* who waits for its end */
};
void heartbeat_start(struct heartbeat *h, struct txn_env *env, struct slice primary, ts_t start_ts);
void heartbeat_stop(struct heartbeat *h);

#endif
