/* Private to sql/storage/mem. */
#ifndef SKEIN_SQL_STORAGE_MEM_MEM_INT_H
#define SKEIN_SQL_STORAGE_MEM_MEM_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/fiber.h"
#include "base/list.h"
#include "base/span_tree.h"
#include "sql/storage/mem/mem.h"
#include "sql/storage/write_buffer.h"

enum {
    MEM_HEIGHT_MAX = 16,
    MEM_GUARD_SLOTS = 64, /* reading threads at one moment */
    MEM_LOCK_SHARDS = 64,
    MEM_SEQUENCE_BUCKETS = 1024,
    MEM_SCAN_ROWS_MAX = 1024,
    MEM_SECTION_ROWS = 256, /* rows read inside one guard: bounds how long memory is held back */
    MEM_LOCK_WAIT_DEFAULT_MS = 50000,
};

/* ---- versions (mem_store.c) ---- */

/* First in what is freed only after all guards that might see it have been left. */
struct mem_retired {
    struct mem_retired *next;
    uint64_t epoch;
};

struct mem_version {
    struct mem_retired retired;
    struct mem_version *_Atomic older;
    uint64_t ts;
    size_t len;
    bool deleted;
    uint8_t data[];
};

struct mem_node {
    struct mem_retired retired;
    struct mem_version *_Atomic newest; /* never NULL once linked (but in the head node) */
    uint32_t key_len;
    uint8_t height;
    bool unlinked;   /* guarded by commit_lock */
    uint32_t queued; /* entries of the cleaning queue that name it; guarded by commit_lock */
    struct mem_node *_Atomic next[];
    /* the key follows */
};

static inline struct slice mem_node_key(const struct mem_node *n)
{
    return (struct slice){(const uint8_t *)(n->next + n->height), n->key_len};
}

struct mem_cleaning {
    uint64_t ts;
    struct mem_node *node;
};

struct mem_guard_slot {
    _Alignas(64) _Atomic uint64_t epoch; /* 0: free */
};

struct mem_store {
    struct mem_node *head;
    _Atomic uint64_t visible_ts; /* commits up to here can be seen, whole */
    struct mem_guard_slot slots[MEM_GUARD_SLOTS];
    _Atomic uint64_t epoch;

    pthread_mutex_t commit_lock; /* guards all changes of the list and what follows */
    uint64_t rand;
    struct mem_retired *retired_first;
    struct mem_retired *retired_last;
    struct mem_cleaning *cleaning; /* ring */
    size_t cleaning_first;
    size_t cleaning_count;
    size_t cleaning_cap;
    size_t bytes_max;
    _Atomic uint64_t bytes;
    _Atomic uint64_t keys;
    _Atomic uint64_t versions;
    _Atomic uint64_t commits;
    _Atomic uint64_t retired;

    pthread_mutex_t snapshot_lock; /* guards the list: in order of ts */
    struct list snapshots;
};

struct mem_snapshot {
    struct list node;
    uint64_t ts; /* 0: not taken */
};

MUST_USE db_err mem_store_init(struct mem_store *s, size_t bytes_max);
void mem_store_fini(struct mem_store *s);

/* What a guard has seen stays in memory until it is left. Never park inside. */
unsigned mem_guard_enter(struct mem_store *s);
void mem_guard_leave(struct mem_store *s, unsigned slot);

/* First node at or after key; last node before key (empty key: the last). Inside a guard. */
struct mem_node *mem_store_seek(struct mem_store *s, struct slice key);
struct mem_node *mem_store_seek_before(struct mem_store *s, struct slice key);
struct mem_node *mem_store_find(struct mem_store *s, struct slice key);
static inline struct mem_node *mem_store_next(const struct mem_node *n)
{
    return atomic_load(&n->next[0]);
}
enum { MEM_TS_CURRENT = 0 };
/* The version to see at ts, also a deletion; NULL for none. ts is a registered snapshot, or
 * MEM_TS_CURRENT: newest of what is visible now. */
const struct mem_version *mem_node_version(struct mem_store *s, const struct mem_node *n,
                                           uint64_t ts);

void mem_snapshot_take(struct mem_store *s, struct mem_snapshot *snap);
void mem_snapshot_drop(struct mem_store *s, struct mem_snapshot *snap);

/* Checks and publishes a transaction's writes as one. si_ts != 0: nothing newer may be under them
 * (ERR_WRITE_CONFLICT). ERR_KEY_EXISTS fills conflict (may be NULL). */
/* blocked (may be NULL): asked, with the store locked, of keys that may be new and have no lock for
 * an insert; ERR_WOULD_BLOCK with *ret_blocked when it says so. */
struct mem_commit_opts {
    uint64_t si_ts;
    struct buf *conflict;
    bool (*blocked)(void *ctx, struct slice key);
    void *ctx;
};
MUST_USE db_err mem_store_commit(struct mem_store *s, struct write_buffer *wb,
                                 const struct mem_commit_opts *opts, struct diag *diag,
                                 const struct wb_entry **ret_blocked, uint64_t *ret_ts);
/* Commits that were under way have ended on return. */
void mem_store_barrier(struct mem_store *s);
void mem_store_delete_range(struct mem_store *s, struct slice start, struct slice end);
void mem_store_estimate(struct mem_store *s, struct slice start, struct slice end,
                        uint64_t *ret_rows, uint64_t *ret_bytes);

/* ---- locks (mem_lock.c) ---- */

struct mem_txn;

struct mem_lock_shard {
    _Alignas(64) pthread_mutex_t mutex;
    struct mem_lock **buckets;
    size_t bucket_count;
    size_t lock_count;
};

/* INSERT is exclusive, of a key that is to be inserted, and waits for spans too. */
enum mem_lock_kind { MEM_LOCK_SHARED, MEM_LOCK_EXCLUSIVE, MEM_LOCK_INSERT };

/* A lock for an insert, held or waited for. */
struct mem_mark {
    struct span_node node; /* the key: its lock's bytes */
    const struct mem_txn *txn;
    bool held; /* guarded by the mutex of the spans */
};

struct mem_spans {
    pthread_mutex_t mutex; /* guards the trees; taken after any other */
    struct span_tree spans;
    struct span_tree marks;
    _Atomic size_t span_count;
};

struct mem_wait {
    struct mem_wait *next; /* in the waits of the table */
    uint64_t txn_id;
    bool insert;
    struct mem_lock *lock;
    struct mem_lock_shard *shard;
};

struct mem_locks {
    struct mem_lock_shard shards[MEM_LOCK_SHARDS];
    pthread_mutex_t graph; /* taken before a shard's mutex; only by who has to wait */
    struct mem_wait *waits;
    struct mem_spans spans;
};

struct mem_held {
    struct mem_held *next; /* of the transaction */
    struct mem_lock *lock; /* NULL: only the mark; the lock is held by an older one */
    struct mem_lock_shard *shard;
    struct mem_mark *mark; /* or NULL */
};

MUST_USE db_err mem_locks_init(struct mem_locks *l);
void mem_locks_fini(struct mem_locks *l);
/* Exclusive or shared lock of a key for the transaction, which may hold it already (then it is made
 * stronger). ERR_LOCK_NOWAIT also for STORAGE_SKIP_LOCKED. May park. */
MUST_USE db_err mem_lock_acquire(struct mem_locks *l, struct mem_txn *t, struct slice key,
                                 enum mem_lock_kind kind, enum storage_wait wait,
                                 uint32_t timeout_ms);
/* Grants what no span keeps waiting any more. */
void mem_locks_wake_inserts(struct mem_locks *l);
/* Gives up the lock that was granted last. */
void mem_lock_release_last(struct mem_locks *l, struct mem_txn *t);
void mem_lock_release_all(struct mem_locks *l, struct mem_txn *t);

/* ---- spans (mem_span.c) ---- */

void mem_spans_init(struct mem_spans *s);
void mem_spans_fini(struct mem_spans *s);
/* Locks [start, end) (end empty: no bound) against inserts of others; never waits. *ret_new false:
 * the transaction's newest span covers it. */
MUST_USE db_err mem_span_lock(struct mem_locks *l, struct mem_txn *t, struct slice start,
                              struct slice end, bool *ret_new);
/* Of the span locked last only this part is kept, joined with the one before if they touch. */
MUST_USE db_err mem_span_keep(struct mem_locks *l, struct mem_txn *t, struct slice start,
                              struct slice end);
void mem_span_drop(struct mem_locks *l, struct mem_txn *t);
void mem_spans_release(struct mem_locks *l, struct mem_txn *t);
bool mem_span_blocks(struct mem_spans *s, const struct mem_txn *t, struct slice key);
void mem_span_blockers(struct mem_spans *s, const struct mem_txn *t, struct slice key,
                       void (*fn)(void *ctx, uint64_t txn_id), void *ctx);
void mem_mark(struct mem_spans *s, struct mem_mark *m, const struct mem_txn *t, struct slice key);
void mem_unmark(struct mem_spans *s, struct mem_mark *m);
void mem_mark_held(struct mem_spans *s, struct mem_mark *m);
/* The first key of [start, end) that another transaction has locked for an insert. */
MUST_USE db_err mem_mark_next(struct mem_spans *s, const struct mem_txn *t, struct slice start,
                              struct slice end, struct arena *arena, bool *ret_found,
                              struct slice *ret_key);

/* ---- transactions ---- */

struct mem_storage {
    struct storage base;
    struct mem_store store;
    struct mem_locks locks;
    _Atomic uint64_t next_txn_id;
    pthread_mutex_t seq_lock;
    struct mem_sequence *sequences[MEM_SEQUENCE_BUCKETS]; /* guarded by seq_lock */
    pthread_mutex_t pool_lock;
    struct mem_txn *pool; /* guarded by pool_lock */
    unsigned pool_count;
};

struct mem_txn {
    struct storage_txn base;
    struct mem_storage *storage;
    struct mem_txn *pool_next;
    uint64_t id;
    struct storage_txn_opts opts;
    struct mem_snapshot snapshot;
    struct mem_held *held;
    struct mem_span *spans; /* the newest first */
    unsigned early_inserts;
    struct write_buffer wb;
};

extern const struct storage_ops mem_storage_ops;

/* The newest committed state of a key under a lock the transaction now holds. */
MUST_USE db_err mem_txn_lock_key(struct mem_txn *t, struct slice key, enum storage_read_mode mode,
                                 enum storage_wait wait, bool *ret_new, struct diag *diag);
MUST_USE db_err mem_txn_lock_insert(struct mem_txn *t, struct slice key, struct diag *diag);
static inline bool mem_txn_locks_gaps(const struct mem_txn *t, enum storage_read_mode mode)
{
    return storage_mode_range(mode) && storage_locks_gaps(t->opts.isolation);
}
/* The mode that a read really uses (SERIALIZABLE locks plain reads). */
enum storage_read_mode mem_txn_read_mode(const struct mem_txn *t, enum storage_read_mode mode);
/* The timestamp of plain reads; takes the snapshot when there is none. */
uint64_t mem_txn_read_ts(struct mem_txn *t);

void mem_txn_pool_fini(struct mem_storage *s);

/* Members of mem_storage_ops (contracts: storage.h). */
MUST_USE db_err mem_txn_begin(struct storage *base, const struct storage_txn_opts *opts,
                              struct diag *diag, struct storage_txn **ret_txn);
MUST_USE db_err mem_txn_stmt_begin(struct storage_txn *base, struct diag *diag);
MUST_USE db_err mem_txn_take_snapshot(struct storage_txn *base, struct diag *diag);
MUST_USE db_err mem_txn_commit(struct storage_txn *base, struct diag *diag, uint64_t *ret_ts);
void mem_txn_rollback(struct storage_txn *base);
MUST_USE db_err mem_txn_savepoint(struct storage_txn *base, uint64_t *ret_savepoint);
MUST_USE db_err mem_txn_rollback_to(struct storage_txn *base, uint64_t savepoint);
bool mem_txn_has_writes(const struct storage_txn *base);
MUST_USE db_err mem_txn_get_outdated(struct storage_txn *base, struct slice key,
                                     struct arena *arena, struct diag *diag, bool *ret_outdated,
                                     bool *ret_found, struct slice *ret_value);
MUST_USE db_err mem_txn_get(struct storage_txn *base, struct slice key, enum storage_read_mode mode,
                            enum storage_wait wait, struct arena *arena, struct diag *diag,
                            bool *ret_found, struct slice *ret_value);
MUST_USE db_err mem_txn_multi_get(struct storage_txn *base, const struct slice *keys, size_t count,
                                  enum storage_read_mode mode, enum storage_wait wait,
                                  struct arena *arena, struct diag *diag, bool *ret_found,
                                  struct slice *ret_values);
MUST_USE db_err mem_txn_put(struct storage_txn *base, struct slice key, struct slice value,
                            unsigned flags, struct diag *diag);
MUST_USE db_err mem_txn_del(struct storage_txn *base, struct slice key, unsigned flags,
                            struct diag *diag);
MUST_USE db_err mem_txn_lock(struct storage_txn *base, const struct slice *keys, size_t count,
                             enum storage_read_mode mode, enum storage_wait wait,
                             struct diag *diag);
MUST_USE db_err mem_scan_open(struct storage_txn *t, const struct storage_scan_opts *opts,
                              struct diag *diag, struct storage_scan **ret_scan);
MUST_USE db_err mem_scan_next(struct storage_scan *scan, struct diag *diag,
                              const struct storage_kv **ret_rows, size_t *ret_count);
void mem_scan_close(struct storage_scan *scan);

#endif
