/* The seam between SQL and whatever keeps the data: transactions over ordered keys.
 *
 * sql/ reads and writes only through this vtable. Implementations: in-memory (sql/storage/mem),
 * cluster (cluster/kv), one range's snapshot (for pushed-down fragments). One conformance suite
 * (sql/storage/conformance.h) runs on all of them. An integrator can bring one more.
 *
 * Keys are byte strings in unsigned byte order. **No key may be a proper prefix of another key.**
 * Keys and values are copied by the implementation unless a member says otherwise. KEY_SIZE_MAX and
 * VALUE_SIZE_MAX bound them (ERR_LIMIT).
 *
 * Isolation. A transaction has one snapshot for its plain reads (REPEATABLE READ; READ COMMITTED
 * takes a new one at each storage_txn_stmt_begin) and sees its own buffered writes. *Current* reads
 * see the newest committed version and lock what they return. Locks are held to the end of the
 * transaction (or until a rollback to the savepoint taken before them, which may, but need not,
 * release them).
 *
 * Gaps. A current read in a mode of ..._RANGE in REPEATABLE READ or SERIALIZABLE locks what it has
 * looked through as well: until the end of the transaction no other one inserts a key there (of a
 * scan: between its start and where it was left; of a get: the key, when it was not found). Such
 * locks do not conflict with each other, and rows that others have inserted and not committed are
 * waited for. In READ COMMITTED a key that was not found is not locked at all. In SERIALIZABLE all
 * plain reads are done with STORAGE_READ_SHARED_RANGE, except in a read-only transaction (one
 * snapshot is serializable).
 *
 * Every call may park the fiber. A transaction is used by one fiber at a time. Errors any call may
 * give: ERR_NOMEM, ERR_LIMIT, ERR_TIMEOUT, ERR_CANCELED, ERR_UNAVAILABLE, ERR_TXN_ABORTED (only
 * rollback is left). */
#ifndef SKEIN_SQL_STORAGE_STORAGE_H
#define SKEIN_SQL_STORAGE_STORAGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"

enum { STORAGE_KEY_SIZE_MAX = 16 * 1024 };
#define STORAGE_VALUE_SIZE_MAX ((size_t)1 << 30)

struct storage;
struct storage_txn;
struct storage_scan;

enum storage_isolation {
    STORAGE_READ_UNCOMMITTED, /* served as READ COMMITTED */
    STORAGE_READ_COMMITTED,
    STORAGE_REPEATABLE_READ,
    STORAGE_SNAPSHOT, /* a write to a key changed since the snapshot gives ERR_WRITE_CONFLICT */
    STORAGE_SERIALIZABLE,
};

enum storage_read_mode {
    STORAGE_READ_PLAIN,        /* the snapshot */
    STORAGE_READ_SHARED,       /* newest, S lock; also on a key that is not there */
    STORAGE_READ_EXCLUSIVE,    /* newest, X lock; likewise */
    STORAGE_READ_SHARED_RANGE, /* and gaps, see above */
    STORAGE_READ_EXCLUSIVE_RANGE,
};
static inline bool storage_mode_exclusive(enum storage_read_mode mode)
{
    return mode == STORAGE_READ_EXCLUSIVE || mode == STORAGE_READ_EXCLUSIVE_RANGE;
}
static inline bool storage_mode_range(enum storage_read_mode mode)
{
    return mode >= STORAGE_READ_SHARED_RANGE;
}
/* Does a transaction of this level lock gaps? */
static inline bool storage_locks_gaps(enum storage_isolation level)
{
    return level == STORAGE_REPEATABLE_READ || level == STORAGE_SERIALIZABLE;
}

enum storage_wait {
    STORAGE_WAIT,        /* up to lock_wait_timeout_ms: ERR_LOCK_WAIT_TIMEOUT; ERR_DEADLOCK */
    STORAGE_NOWAIT,      /* ERR_LOCK_NOWAIT */
    STORAGE_SKIP_LOCKED, /* locked rows are left out */
};

struct storage_caps {
    bool persistent;  /* data survives a restart */
    bool distributed; /* other processes write too */
    bool pushdown;    /* there are others to send fragments to */
    bool bulk;        /* writes of any number: STORAGE_W_BULK is more than a hint */
};

struct storage_txn_opts {
    enum storage_isolation isolation;
    bool read_only;
    bool autocommit; /* one statement: a point read needs no timestamp, writes may use the short
                        paths */
    bool single_get; /* with autocommit: nothing but one plain get will be read (a point select):
                        no snapshot is taken for it */
    uint32_t lock_wait_timeout_ms; /* 0: the default of 50,000 */
    uint64_t as_of;                /* 0, or a timestamp to read at (read_only) */
    /* Not 0 (read_only): the snapshot need not be of now, one that was taken at or after this
     * moment of clock_mono_ns is good, and who holds a copy may answer. */
    uint64_t fresh_from_ns;
    /* NULL, or told the number by which lock tables know the transaction, once it has one, during a
     * call for it. Outlives the transaction. */
    _Atomic uint64_t *told_id;
    struct mem_tracker *mem; /* charged for buffered writes; may be NULL */
    const char *temp_dir;    /* for writes that do not fit into a part of mem; outlives the
                                transaction; NULL: they must */
};

/* A part of a plan that can be run beside the data it reads (sql/exec makes it, sql/pushdown knows
 * what is in it). The answer for a stretch of its keys is a page: chunks as sql/codec/chunk_codec.h
 * writes them. */
struct storage_fragment;

struct storage_span {
    struct slice start; /* inclusive */
    struct slice end;   /* exclusive; empty = no bound */
};

/* The next stretch of keys of a fragment, in key order. */
struct storage_piece {
    bool here; /* the caller is to run the fragment on the span itself: it lies on this node, or the
                  other node could not */
    struct storage_span span; /* here */
    struct slice page;        /* else: what came back */
};

struct storage_kv {
    struct slice key;
    struct slice value;
};

struct storage_scan_opts {
    struct slice start; /* inclusive; copied */
    struct slice end;   /* exclusive; empty = no bound; copied */
    bool reverse;       /* from end down to start */
    bool keys_only;     /* values come empty */
    enum storage_read_mode mode;
    enum storage_wait wait;
    uint64_t limit; /* rows wanted in all; 0 = unknown. A hint for the batch size and read-ahead */
    uint32_t batch_rows; /* at most that many a batch; 0: implementation's choice (1,024 at most) */
};

/* Writes. INSERT demands that the key does not exist (neither committed, newest, nor in this
 * transaction's buffer): ERR_KEY_EXISTS. Without DEFER the check is done now, under an X lock; with
 * DEFER it may be left to commit, which then returns ERR_KEY_EXISTS and puts the key into the
 * transaction's `conflict` buffer. LOCKED says that this transaction already holds the X lock (it
 * read the key with STORAGE_READ_EXCLUSIVE), so that no second lock request is made. Without
 * LOCKED, INSERT|DEFER or BLIND a put or delete takes the X lock itself. BLIND: neither lock nor
 * check (keys that are guarded by another key's lock, such as the entries of non-unique indexes).
 * An INSERT waits for gap locks of others, as does a put with BLIND|NEW, which says that the key
 * may not be there yet: at once, or in an autocommit statement at its commit. BULK, with
 * INSERT|DEFER or BLIND, in an autocommit transaction: a hint that the transaction will neither
 * read nor write the key again, nor roll back to a savepoint, so that the write may be kept on disk
 * until the commit. A key that comes twice is ERR_KEY_EXISTS there. BULK|LOCKED, where caps.bulk
 * and temp_dir are given: no lock is held, the row was read in the snapshot; if it has changed
 * since, the commit gives ERR_WRITE_CONFLICT. */
enum storage_write_flags {
    STORAGE_W_INSERT = 1,
    STORAGE_W_DEFER = 2,
    STORAGE_W_LOCKED = 4,
    STORAGE_W_BLIND = 8,
    STORAGE_W_BULK = 16,
    STORAGE_W_NEW = 32,
};

/* A storage whose `put` is NULL serves reads only: `del`, `lock`, `txn_stmt_begin`,
 * `txn_take_snapshot`, savepoints, `txn_has_writes`, sequences and `delete_range` may be NULL then,
 * writes answer ERR_UNSUPPORTED. `multi_get` NULL: keys are asked for one by one. */
struct storage_ops {
    const char *name;
    struct storage_caps (*caps)(struct storage *s);
    void (*close)(struct storage *s);

    db_err (*txn_begin)(struct storage *s, const struct storage_txn_opts *opts, struct diag *diag,
                        struct storage_txn **ret_txn);
    /* Called before each statement: a new snapshot for READ COMMITTED, a chance to resume. */
    db_err (*txn_stmt_begin)(struct storage_txn *t, struct diag *diag);
    /* Takes the snapshot now (START TRANSACTION WITH CONSISTENT SNAPSHOT); idempotent. */
    db_err (*txn_take_snapshot)(struct storage_txn *t, struct diag *diag);
    /* Frees the transaction whatever it returns. ERR_KEY_EXISTS, ERR_WRITE_CONFLICT, ERR_LOCK_LOST,
     * ERR_COMMIT_UNKNOWN (it may or may not have committed; never retry). ret_ts may be NULL. */
    db_err (*txn_commit)(struct storage_txn *t, struct diag *diag, uint64_t *ret_ts);
    void (*txn_rollback)(struct storage_txn *t); /* frees it */
    /* Savepoints nest; a number names the state of the write buffer. */
    db_err (*txn_savepoint)(struct storage_txn *t, uint64_t *ret_savepoint);
    db_err (*txn_rollback_to)(struct storage_txn *t, uint64_t savepoint);
    bool (*txn_has_writes)(const struct storage_txn *t);

    /* ret_found false: ret_value untouched. The value is in `arena`, or borrowed from what the
     * transaction has written, until its end; never from a cache that may go away earlier.
     */
    db_err (*get)(struct storage_txn *t, struct slice key, enum storage_read_mode mode,
                  enum storage_wait wait, struct arena *arena, struct diag *diag, bool *ret_found,
                  struct slice *ret_value);
    /* Keys in any order; ret_values[i].ptr NULL and ret_found[i] false when absent. */
    db_err (*multi_get)(struct storage_txn *t, const struct slice *keys, size_t count,
                        enum storage_read_mode mode, enum storage_wait wait, struct arena *arena,
                        struct diag *diag, bool *ret_found, struct slice *ret_values);
    /* Is there a row, the newest version or an own write, under each of these beginnings of keys?
     * In any order; none is the beginning of another that is different. False is certain, true may
     * be a mistake. Locks nothing, and does not wait for writes that are pending: for who has a
     * lock that keeps others from adding such rows. NULL: it cannot be told. */
    db_err (*any_under)(struct storage_txn *t, const struct slice *prefixes, size_t count,
                        struct arena *arena, struct diag *diag, bool *ret_any);
    /* Of a key whose X lock this transaction has: was it committed by somebody after the snapshot
     * of the plain reads was taken? Then also what that snapshot shows of it, own writes left
     * aside. NULL: never. */
    db_err (*get_outdated)(struct storage_txn *t, struct slice key, struct arena *arena,
                           struct diag *diag, bool *ret_outdated, bool *ret_found,
                           struct slice *ret_value);

    db_err (*scan_open)(struct storage_txn *t, const struct storage_scan_opts *opts,
                        struct diag *diag, struct storage_scan **ret_scan);
    /* A batch in key order (reverse order if asked), 0 rows = end. Borrowed until the next call on
     * the scan. Own writes made after scan_open may or may not be seen. */
    db_err (*scan_next)(struct storage_scan *scan, struct diag *diag,
                        const struct storage_kv **ret_rows, size_t *ret_count);
    void (*scan_close)(struct storage_scan *scan); /* NULL is fine; before the transaction ends */

    db_err (*put)(struct storage_txn *t, struct slice key, struct slice value, unsigned flags,
                  struct diag *diag);
    db_err (*del)(struct storage_txn *t, struct slice key, unsigned flags, struct diag *diag);
    /* Locks keys whether or not they exist. */
    db_err (*lock)(struct storage_txn *t, const struct slice *keys, size_t count,
                   enum storage_read_mode mode, enum storage_wait wait, struct diag *diag);

    /* The keys, in any order, are about to be put with INSERT: asks in one go for the locks that
     * each of them would ask for, and waits for none; what is not given is asked for again by the
     * put. NULL: there is nothing to be gained. */
    db_err (*lock_new)(struct storage_txn *t, const struct slice *keys, size_t count,
                       struct diag *diag);

    /* Outside any transaction: reserves `count` numbers of a sequence named by a key, each strictly
     * greater than all given before and than `floor`; never given twice, even over crashes.
     * step/offset: every step-th number that is offset modulo step
     * (auto_increment_increment/offset). */
    db_err (*sequence_next)(struct storage *s, struct slice key, uint64_t floor, uint64_t count,
                            uint64_t step, uint64_t offset, struct diag *diag, uint64_t *ret_first);
    /* Makes sure later numbers are greater than `value`. May be lazy while no number of it can be
     * given again. */
    db_err (*sequence_raise)(struct storage *s, struct slice key, uint64_t value,
                             struct diag *diag);
    /* The smallest number that sequence_next would give now with floor 0, step 1 and offset 1: for
     * SHOW, another session may take it at once. NULL: not offered (ERR_UNSUPPORTED). */
    db_err (*sequence_peek)(struct storage *s, struct slice key, struct diag *diag,
                            uint64_t *ret_next);
    /* Deletes all keys of [start, end) outside transactions, for dropped tables and indexes: no
     * reader may need them any more. Not atomic for concurrent readers. */
    db_err (*delete_range)(struct storage *s, struct slice start, struct slice end,
                           struct diag *diag);
    /* Rows and bytes of [start, end), roughly. */
    db_err (*estimate)(struct storage *s, struct slice start, struct slice end, uint64_t *ret_rows,
                       uint64_t *ret_bytes);

    /* Runs a fragment over spans (ascending, disjoint), read as plain scans of the transaction
     * would, on the nodes that hold them and in parallel. *ret_scan NULL: not to be done (nothing
     * of it lies elsewhere and `always` is not set, own writes lie in the spans, plain reads take
     * locks). eager: all of it will be read, so that pages of many ranges may be fetched ahead. The
     * fragment outlives the scan; spans are copied. NULL where caps.pushdown is false. */
    db_err (*fragment_open)(struct storage_txn *t, const struct storage_fragment *fragment,
                            const struct storage_span *spans, size_t count, bool always, bool eager,
                            struct diag *diag, struct storage_scan **ret_scan);
    /* *ret_end: there is no more. What the piece points to is borrowed until the next call. */
    db_err (*fragment_next)(struct storage_scan *scan, struct diag *diag,
                            struct storage_piece *ret_piece, bool *ret_end);
    void (*fragment_close)(struct storage_scan *scan);
};

/* Implementations embed these first. */
struct storage {
    const struct storage_ops *ops;
};
struct storage_txn {
    const struct storage_ops *ops;
    /* The caller's, or NULL: after ERR_KEY_EXISTS of put or commit it holds the key in the way. */
    struct buf *conflict;
};
struct storage_scan {
    const struct storage_ops *ops;
};

/* Checked wrappers: callers never call members directly (storage.c). Names: storage_<member>. */
struct storage_caps storage_caps(struct storage *s);
void storage_close(struct storage *s);
MUST_USE db_err storage_txn_begin(struct storage *s, const struct storage_txn_opts *opts,
                                  struct diag *diag, struct storage_txn **ret_txn);
MUST_USE db_err storage_txn_stmt_begin(struct storage_txn *t, struct diag *diag);
MUST_USE db_err storage_txn_take_snapshot(struct storage_txn *t, struct diag *diag);
MUST_USE db_err storage_txn_commit(struct storage_txn *t, struct diag *diag, uint64_t *ret_ts);
void storage_txn_rollback(struct storage_txn *t);
MUST_USE db_err storage_txn_savepoint(struct storage_txn *t, uint64_t *ret_savepoint);
MUST_USE db_err storage_txn_rollback_to(struct storage_txn *t, uint64_t savepoint);
bool storage_txn_has_writes(const struct storage_txn *t);
MUST_USE db_err storage_get(struct storage_txn *t, struct slice key, enum storage_read_mode mode,
                            enum storage_wait wait, struct arena *arena, struct diag *diag,
                            bool *ret_found, struct slice *ret_value);
MUST_USE db_err storage_multi_get(struct storage_txn *t, const struct slice *keys, size_t count,
                                  enum storage_read_mode mode, enum storage_wait wait,
                                  struct arena *arena, struct diag *diag, bool *ret_found,
                                  struct slice *ret_values);
MUST_USE db_err storage_any_under(struct storage_txn *t, const struct slice *prefixes, size_t count,
                                  struct arena *arena, struct diag *diag, bool *ret_any);
MUST_USE db_err storage_get_outdated(struct storage_txn *t, struct slice key, struct arena *arena,
                                     struct diag *diag, bool *ret_outdated, bool *ret_found,
                                     struct slice *ret_value);
MUST_USE db_err storage_scan_open(struct storage_txn *t, const struct storage_scan_opts *opts,
                                  struct diag *diag, struct storage_scan **ret_scan);
MUST_USE db_err storage_scan_next(struct storage_scan *scan, struct diag *diag,
                                  const struct storage_kv **ret_rows, size_t *ret_count);
void storage_scan_close(struct storage_scan *scan);
/* Calls fn for each row of the scan, to the end or the first error, which is returned. */
typedef db_err (*storage_row_fn)(void *arg, const struct storage_kv *kv);
MUST_USE db_err storage_scan_each(struct storage_txn *t, const struct storage_scan_opts *opts,
                                  storage_row_fn fn, void *arg, struct diag *diag);
MUST_USE db_err storage_fragment_open(struct storage_txn *t,
                                      const struct storage_fragment *fragment,
                                      const struct storage_span *spans, size_t count, bool always,
                                      bool eager, struct diag *diag,
                                      struct storage_scan **ret_scan);
MUST_USE db_err storage_fragment_next(struct storage_scan *scan, struct diag *diag,
                                      struct storage_piece *ret_piece, bool *ret_end);
void storage_fragment_close(struct storage_scan *scan);
MUST_USE db_err storage_put(struct storage_txn *t, struct slice key, struct slice value,
                            unsigned flags, struct diag *diag);
MUST_USE db_err storage_del(struct storage_txn *t, struct slice key, unsigned flags,
                            struct diag *diag);
MUST_USE db_err storage_lock(struct storage_txn *t, const struct slice *keys, size_t count,
                             enum storage_read_mode mode, enum storage_wait wait,
                             struct diag *diag);
MUST_USE db_err storage_lock_new(struct storage_txn *t, const struct slice *keys, size_t count,
                                 struct diag *diag);
MUST_USE db_err storage_sequence_next(struct storage *s, struct slice key, uint64_t floor,
                                      uint64_t count, uint64_t step, uint64_t offset,
                                      struct diag *diag, uint64_t *ret_first);
MUST_USE db_err storage_sequence_raise(struct storage *s, struct slice key, uint64_t value,
                                       struct diag *diag);
MUST_USE db_err storage_sequence_peek(struct storage *s, struct slice key, struct diag *diag,
                                      uint64_t *ret_next);
MUST_USE db_err storage_delete_range(struct storage *s, struct slice start, struct slice end,
                                     struct diag *diag);
MUST_USE db_err storage_estimate(struct storage *s, struct slice start, struct slice end,
                                 uint64_t *ret_rows, uint64_t *ret_bytes);

#endif
