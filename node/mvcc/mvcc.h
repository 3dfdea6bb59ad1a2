/* Versions and intents over the engine: reads at a timestamp, and the writes of transactions as
 * store_batches.
 *
 * Nothing here knows of latches, row locks or pending writes: node/eval calls in the right order
 * (intents first, versions second: a commit moves one to the other in one batch, so that a reader
 * in this order sees at least one of them). Results are in the arena. Reads may park, for what is
 * not cached only. Errors: those of the engine, ERR_NOMEM, ERR_LIMIT (arena), ERR_CORRUPT. */
#ifndef SKEIN_NODE_MVCC_MVCC_H
#define SKEIN_NODE_MVCC_MVCC_H

#include "node/store/engine.h"
#include "node/store/keyspace.h"
#include "node/store/store_batch.h"
#include "proto/kv_api.h"

/* ---- versions ---------------------------------------------------------------------------- */

/* The newest version at or below read_ts (TS_MAX: the newest). found is false for a deletion, whose
 * version_ts is given nevertheless. */
MUST_USE db_err mvcc_get(struct engine *e, struct slice key, ts_t read_ts, struct arena *arena,
                         struct kv_value *ret_value);
/* The same for ascending keys; values has `count` elements. */
MUST_USE db_err mvcc_multi_get(struct engine *e, const struct slice *keys, size_t count,
                               ts_t read_ts, struct arena *arena, struct kv_value *ret_values);

/* For ascending keys that are expected to be new: the first *ret_count have no version at all; of
 * the others nothing is known. Never parks. */
MUST_USE db_err mvcc_absent(struct engine *e, const struct slice *keys, size_t count,
                            size_t *ret_count);

/* The version of the key that transaction start_ts wrote with its name (mvcc_write_named), if it is
 * above `above`; *ret_commit_ts 0: there is none. */
MUST_USE db_err mvcc_version_of(struct engine *e, struct slice key, ts_t start_ts, ts_t above,
                                struct arena *arena, ts_t *ret_commit_ts);

struct mvcc_scan {
    struct slice start;
    struct slice end; /* exclusive; empty: no end */
    ts_t read_ts;
    size_t rows_max;  /* > 0 */
    size_t bytes_max; /* of keys and values; ends after the row that reaches it; 0 = no limit */
    bool reverse;
    bool keys_only;
    bool want_versions;
};

struct mvcc_rows {
    struct kv_pair *pairs;
    ts_t *versions; /* NULL unless asked for */
    size_t count;
    size_t cap;          /* room in the arrays */
    size_t bytes;        /* of keys and values, also of values that were not asked for */
    bool more;           /* a limit ended it: go on at resume */
    struct slice resume; /* forward: the next start; reverse: the next end */
};

/* Adds the rows to those that are there, of a scan that has read the stretch before with the same
 * arena (all zero: none); the limits are those of all together. */
MUST_USE db_err mvcc_scan(struct engine *e, const struct mvcc_scan *scan, struct arena *arena,
                          struct mvcc_rows *io_rows);

/* A key that divides [start, end) into about equal bytes; *ret_found = false when the range is
 * smaller than `size_min` or has one key. Reads the whole range: off the loops only, or let it
 * park. */
MUST_USE db_err mvcc_split_key(struct engine *e, struct slice start, struct slice end,
                               size_t size_min, struct arena *arena, bool *ret_found,
                               struct slice *ret_key);

/* ---- intents ----------------------------------------------------------------------------- */

struct mvcc_intent {
    enum kv_op op;
    bool async_commit;
    ts_t start_ts;
    ts_t min_commit_ts; /* async commit, else 0 */
    uint32_t ttl_ms;    /* from the physical part of start_ts on */
    struct slice primary;
    struct slice value;
    struct slice *secondaries; /* async commit, on the primary */
    size_t secondary_count;
};

MUST_USE db_err mvcc_intent_get(struct engine *e, struct slice key, struct arena *arena,
                                bool *ret_found, struct mvcc_intent *ret_intent);
/* For ascending keys: the first that has an intent of another transaction than own_ts, else
 * *ret_index = count. */
MUST_USE db_err mvcc_intent_find(struct engine *e, const struct slice *keys, size_t count,
                                 ts_t own_ts, struct arena *arena, size_t *ret_index,
                                 struct mvcc_intent *ret_intent);
/* Does the intent stop a reader at read_ts (TS_MAX: any)? */
bool mvcc_intent_blocks(const struct mvcc_intent *intent, ts_t read_ts, ts_t own_ts);

struct mvcc_intent_name {
    struct slice key;
    ts_t start_ts;
};
/* Intents in [start, end) in key order, at most max: those of transaction start_ts, or all with
 * start_ts 0. What they hold, which may be large, stays where it is. */
MUST_USE db_err mvcc_intent_scan(struct engine *e, struct slice start, struct slice end,
                                 ts_t start_ts, size_t max, struct arena *arena,
                                 struct mvcc_intent_name **ret_names, size_t *ret_count);
struct mvcc_intent_at {
    struct slice key;
    struct mvcc_intent intent;
};
struct mvcc_intent_walk {
    struct slice start;
    struct slice end; /* exclusive; empty: no end */
    bool reverse;
    ts_t read_ts, own_ts;
    size_t max; /* > 0: intents that are looked at, of this transaction and of all others */
};
enum mvcc_walked {
    MVCC_WALK_END,     /* none blocks the reader */
    MVCC_WALK_BLOCKED, /* one does */
    MVCC_WALK_MORE,    /* none so far, but there are more */
};
/* The first intent in scan order that blocks the reader; or, when so many do not, the first that
 * was not looked at, of which only the key is told. */
MUST_USE db_err mvcc_intent_walk(struct engine *e, const struct mvcc_intent_walk *walk,
                                 struct arena *arena, enum mvcc_walked *ret_walked,
                                 struct mvcc_intent_at *ret_intent);

/* ---- transaction records ------------------------------------------------------------------ */

enum mvcc_txn_record { MVCC_TXN_NONE, MVCC_TXN_COMMITTED, MVCC_TXN_ROLLED_BACK };

/* What is recorded of transaction start_ts at the key. */
MUST_USE db_err mvcc_txn_get(struct engine *e, struct slice key, ts_t start_ts, struct arena *arena,
                             enum mvcc_txn_record *ret_record, ts_t *ret_commit_ts);
/* Batches deletions of records with start_ts < before of keys in [start, end), at most max. cursor:
 * where to begin, and then where to go on when there were that many; empty: at the start. */
MUST_USE db_err mvcc_txn_gc(struct engine *e, struct slice start, struct slice end, ts_t before,
                            size_t max, struct buf *cursor, struct store_batch *batch,
                            size_t *ret_count);

/* ---- writes: appended to the batch ---------------------------------------------------------- */

MUST_USE db_err mvcc_write_version(struct store_batch *b, struct slice key, ts_t commit_ts,
                                   enum kv_op op, struct slice value);
/* The same with the name of the transaction, a few bytes, by which mvcc_version_of finds it. */
MUST_USE db_err mvcc_write_named(struct store_batch *b, struct slice key, ts_t commit_ts,
                                 enum kv_op op, struct slice value, ts_t start_ts);
MUST_USE db_err mvcc_write_intent(struct store_batch *b, struct slice key,
                                  const struct mvcc_intent *intent);
/* Turns the intent into a version, and records the commit where somebody may ask for it: at the
 * primary, for async commit at each key, and for KV_LOCK_ONLY. */
MUST_USE db_err mvcc_write_commit(struct store_batch *b, struct slice key,
                                  const struct mvcc_intent *intent, ts_t commit_ts);
/* Removes the intent; records the rollback at the primary and for async commit. */
MUST_USE db_err mvcc_write_rollback(struct store_batch *b, struct slice key,
                                    const struct mvcc_intent *intent);
/* Records only. */
MUST_USE db_err mvcc_write_txn_record(struct store_batch *b, struct slice key, ts_t start_ts,
                                      enum mvcc_txn_record record, ts_t commit_ts);
/* Removes versions and intents of [start, end), whichever a replica has. */
MUST_USE db_err mvcc_write_delete_range(struct store_batch *b, struct slice start,
                                        struct slice end);

#endif
