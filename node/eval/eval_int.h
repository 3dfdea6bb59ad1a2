/* Private to node/eval. */
#ifndef SKEIN_NODE_EVAL_EVAL_INT_H
#define SKEIN_NODE_EVAL_EVAL_INT_H

#include "base/assert.h"
#include "base/clock.h"
#include "node/eval/eval.h"
#include "node/mvcc/mvcc.h"

enum {
    EVAL_LOCK_WAIT_MS_MAX = 50 * 1000, /* a write that meets a row lock of another transaction */
    EVAL_RESOLVE_PAGE = 256,
    EVAL_STEP_BYTES = 4 << 20, /* of a write of many keys, in one entry of the log */
    /* Intents in one entry. To commit one takes a little more than to write it, and that has to go
     * into an entry too (RANGE_ENTRY_MAX, node/range/limits.h). */
    EVAL_INTENTS_BYTES_MAX = 22 << 20,
};
#define EVAL_FULL_WAIT_NS (6 * NS_PER_S) /* a store that is full looks for space every 5 s */

/* The check at the start, for keys [start, end) (end empty: the key start). */
MUST_USE db_err eval__check(struct eval_range *r, const struct kv_request *req, struct slice start,
                            struct slice end, struct diag *diag, struct kv_reply *reply,
                            uint64_t *ret_term);
/* The check after reading: the same term as before. */
/* After reading at read_ts: nothing of that moment had been collected. */
MUST_USE static inline db_err eval__check_history(struct eval_range *r, ts_t read_ts,
                                                  struct diag *diag)
{
    return LIKELY(engine_may_read(r->engine, read_ts))
               ? ERR_OK
               : diag_set(diag, ERR_SNAPSHOT_TOO_OLD, "%s", err_text(ERR_SNAPSHOT_TOO_OLD));
}
MUST_USE db_err eval__check_again(struct eval_range *r, const struct kv_request *req,
                                  struct slice start, struct slice end, uint64_t term,
                                  struct diag *diag, struct kv_reply *reply);
/* ascending keys: check with the first and the last. */
MUST_USE db_err eval__check_keys(struct eval_range *r, const struct kv_request *req,
                                 const struct slice *keys, size_t count, struct diag *diag,
                                 struct kv_reply *reply, uint64_t *ret_term);

/* What note_load is told, as measured: a scan spends on this many rows what a point read costs, and
 * a write, with its entry in the log, costs that many of them before its rows. */
enum { SCANNED_ROWS_PER_UNIT = 16, UNITS_PER_WRITE = 8 };

static inline bool eval__may_have_intents(struct eval_range *r)
{
    uint64_t n = atomic_load_explicit(&r->intents, memory_order_acquire);
    return (n & ((UINT64_C(1) << INTENTS_BITS) - 1)) != 0;
}

/* The range has been looked through, and there may be no intent left: if so, and if that is
 * certain, readers need not look any more. Parks. */
void eval__intents_gone(struct eval_range *r, const struct kv_request *req);

/* What a transaction may note as lock_term of locks that it has been given in this call: 0 when it
 * cannot be sure of others that it holds here. Asked after the last one was given, and before the
 * lease is looked at for the last time: the number is not that of a later lease then. */
static inline uint64_t eval__lock_term(struct eval_range *r, const struct kv_request *req,
                                       ts_t start_ts)
{
    return UNLIKELY(lock_table_fenced(r->locks, req->owner, start_ts))
               ? 0
               : atomic_load_explicit(&r->lock_number, memory_order_acquire);
}

/* Fills reply->lock and returns ERR_KEY_LOCKED. */
db_err eval__key_locked(const struct mvcc_intent *intent, struct slice key, struct diag *diag,
                        struct kv_reply *reply);
/* ERR_KEY_LOCKED when one of the ascending keys has an intent that stops the reader. */
MUST_USE db_err eval__intents_of_keys(struct eval_range *r, const struct slice *keys, size_t count,
                                      ts_t read_ts, ts_t own_ts, struct arena *arena,
                                      struct diag *diag, struct kv_reply *reply);

/* Before reading at read_ts: no write that may be committed by then is on its way to the keys, to
 * [start, end). Parks. While the disk is full such a write may have to wait for space, and then so
 * would the reader: it gives up after EVAL_FULL_WAIT_NS with ERR_DISK_FULL. */
MUST_USE db_err eval__await_keys(struct eval_range *r, const struct kv_request *req,
                                 const struct slice *keys, size_t count, ts_t read_ts,
                                 struct diag *diag);
MUST_USE db_err eval__await_range(struct eval_range *r, const struct kv_request *req,
                                  struct slice start, struct slice end, ts_t read_ts,
                                  struct diag *diag);

/* A write in progress: latches, a batch, and what it will do to the number of intents. */
struct eval_write {
    struct eval_range *r;
    const struct kv_request *req;
    uint64_t term;
    struct latch_guard guard;
    struct store_batch batch;
    uint64_t intents_added;
    uint64_t intents_removed;
};

/* Latches the keys (ascending, each once) after the check. On success eval__write_end must follow.
 */
MUST_USE db_err eval__write_begin(struct eval_write *w, struct eval_range *r,
                                  const struct kv_request *req, const struct slice *keys,
                                  size_t count, struct diag *diag, struct kv_reply *reply);
/* Proposes the batch unless it is empty, and keeps r->intents an upper bound. */
MUST_USE db_err eval__write_propose(struct eval_write *w, struct diag *diag,
                                    struct kv_reply *reply);
/* About what the end of an intent takes in a batch. */
static inline size_t eval__end_size(struct slice key, const struct mvcc_intent *in)
{
    enum { REST = 64 };
    return 3 * key.len + in->value.len + REST;
}
/* Before `more` bytes are added for a key, where each key is a matter of its own: what the batch
 * has is proposed if it would become long, and the rest comes behind it, under the same latches. */
MUST_USE db_err eval__write_step(struct eval_write *w, size_t more, struct diag *diag,
                                 struct kv_reply *reply);
void eval__write_end(struct eval_write *w);
/* What ends intents: with the keys latched, ascending, each once. a: for one key at a time. */
typedef db_err (*eval_keys_fn)(struct eval_write *w, const struct kv_txn_keys_req *req,
                               const struct slice *keys, size_t count, struct arena *a,
                               struct diag *diag, struct kv_reply *reply);
MUST_USE db_err eval__write_keys(struct eval_range *r, const struct kv_txn_keys_req *req,
                                 eval_keys_fn run, struct diag *diag, struct kv_reply *reply);

/* May there be a record of the transaction, made when nothing else was known of it? Asked under the
 * latch of its primary. */
static inline bool eval__may_have_record(struct eval_range *r, uint64_t term, ts_t start_ts)
{
    return UNLIKELY(atomic_load_explicit(&r->records_term, memory_order_acquire) != term) ||
           start_ts < atomic_load_explicit(&r->records_below, memory_order_relaxed) ||
           start_ts <= atomic_load_explicit(&r->records_high, memory_order_relaxed);
}
/* Such a record is about to be proposed; under the latch of its key. */
void eval__note_record(struct eval_range *r, ts_t start_ts);
/* `now` was given while the lease of `term` was in force: what earlier leases recorded is below.
 * Under a latch. */
void eval__records_known(struct eval_range *r, uint64_t term, ts_t now);

/* A sorted copy of the keys without duplicates, in the request's arena. */
MUST_USE db_err eval__sorted_keys(const struct kv_request *req, const struct slice *keys,
                                  size_t count, struct slice **ret_keys, size_t *ret_count);

#endif
