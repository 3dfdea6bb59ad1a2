/* Private to cluster/kv. */
#ifndef SKEIN_CLUSTER_KV_KV_INT_H
#define SKEIN_CLUSTER_KV_KV_INT_H

#include "base/periodic.h"
#include "cluster/kv/kv.h"
#include "cluster/txn/txn.h"

enum {
    SCAN_FIRST_ROWS = 128,
    SCAN_FIRST_LOCKED = 32, /* each of them gets a lock, read or not */
    SCAN_ROWS_MAX = 1024,
    SCAN_BYTES_MAX = 1 << 20, /* of one page */
    LOCK_KEYS_MAX = 1024,     /* of one request */
    EARLY_INSERTS_MAX = 1024, /* of a transaction: index entries that wait for gap locks in their
                                 statement; beyond, the commit does */
};

struct cluster_storage {
    struct storage base;
    struct range_cache ranges;
    struct node_view view;
    struct router router;
    struct ts_client ts;
    struct txn_env env;
    struct periodic reporter;
    struct periodic sweeper;
    ts_t (*sweep_floor)(void *ctx);
    void *sweep_ctx;
};

extern const struct storage_ops cluster_storage_ops;

static inline struct cluster_storage *cluster_of(struct storage *s)
{
    return CONTAINER_OF(s, struct cluster_storage, base);
}

/* How many of the keys, ascending, one request to the range that ends there may name. */
static inline size_t keys_in_range(const struct slice *keys, size_t count, struct slice end)
{
    size_t n = 0;
    while (n < count && n < LOCK_KEYS_MAX && (end.len == 0 || slice_cmp(keys[n], end) < 0)) {
        n++;
    }
    return n;
}

/* reader.c */
MUST_USE db_err cluster_get(struct storage_txn *t, struct slice key, enum storage_read_mode mode,
                            enum storage_wait wait, struct arena *arena, struct diag *diag,
                            bool *ret_found, struct slice *ret_value);
MUST_USE db_err cluster_get_outdated(struct storage_txn *base, struct slice key,
                                     struct arena *arena, struct diag *diag, bool *ret_outdated,
                                     bool *ret_found, struct slice *ret_value);
MUST_USE db_err cluster_multi_get(struct storage_txn *t, const struct slice *keys, size_t count,
                                  enum storage_read_mode mode, enum storage_wait wait,
                                  struct arena *arena, struct diag *diag, bool *ret_found,
                                  struct slice *ret_values);

/* presence.c */
MUST_USE db_err cluster_any_under(struct storage_txn *base, const struct slice *prefixes,
                                  size_t count, struct arena *arena, struct diag *diag,
                                  bool *ret_any);

/* locker.c: row locks on ascending keys (each once), noted in the transaction. values (may be
 * NULL): the newest version of each, in the arena. With STORAGE_SKIP_LOCKED keys that are locked
 * are marked as skipped. A key that is not found is locked as the mode says (storage.h). */
MUST_USE db_err lock_keys(struct ctxn *t, const struct slice *keys, size_t count,
                          enum storage_read_mode mode, enum storage_wait wait, bool want_values,
                          struct arena *arena, struct diag *diag, struct kv_value *ret_values);
/* The lock for an insert; `seen`: and what is there is noted as with lock_keys. */
MUST_USE db_err lock_for_insert(struct ctxn *t, struct wb_entry *e, bool seen, struct diag *diag);
/* The same for keys (ascending, each once) that may be inserted, where nobody is in the way; others
 * are marked as skipped. */
MUST_USE db_err lock_keys_for_insert(struct ctxn *t, const struct slice *keys, size_t count,
                                     struct arena *arena, struct diag *diag,
                                     struct kv_value *ret_values);
enum kv_lock_mode kv_mode_of(enum storage_read_mode mode);
enum kv_wait kv_wait_of(enum storage_wait wait);

/* writer.c */
MUST_USE db_err cluster_put(struct storage_txn *t, struct slice key, struct slice value,
                            unsigned flags, struct diag *diag);
MUST_USE db_err cluster_del(struct storage_txn *t, struct slice key, unsigned flags,
                            struct diag *diag);
MUST_USE db_err cluster_lock(struct storage_txn *t, const struct slice *keys, size_t count,
                             enum storage_read_mode mode, enum storage_wait wait,
                             struct diag *diag);

MUST_USE db_err cluster_lock_new(struct storage_txn *t, const struct slice *keys, size_t count,
                                 struct diag *diag);

/* scanner.c */
MUST_USE db_err cluster_scan_open(struct storage_txn *t, const struct storage_scan_opts *opts,
                                  struct diag *diag, struct storage_scan **ret_scan);
MUST_USE db_err cluster_scan_next(struct storage_scan *scan, struct diag *diag,
                                  const struct storage_kv **ret_rows, size_t *ret_count);
void cluster_scan_close(struct storage_scan *scan);

/* fragment.c */
MUST_USE db_err cluster_fragment_open(struct storage_txn *t,
                                      const struct storage_fragment *fragment,
                                      const struct storage_span *spans, size_t count, bool always,
                                      bool eager, struct diag *diag,
                                      struct storage_scan **ret_scan);
MUST_USE db_err cluster_fragment_next(struct storage_scan *scan, struct diag *diag,
                                      struct storage_piece *ret_piece, bool *ret_end);
void cluster_fragment_close(struct storage_scan *scan);

/* follower.c: a read that need not be of now (opts.fresh_from_ns), or is not the first in its
 * snapshot, may be answered by the replica on this node. One struct for each operation and range,
 * zero at first: follower_choose(&f, t, read_ts, &route, &req.r, diag);   changes route.kv and
 * req.r, if so err = route.kv->ops->get(...); if (follower_refused(&f, t, err, diag)) once more,
 * which goes to the leaseholder */
struct follower {
    bool used, refused;
    struct route leader;
};
bool follower_choose(struct follower *f, struct ctxn *t, ts_t read_ts, struct route *route,
                     struct kv_request *r, struct diag *diag);
bool follower_refused(struct follower *f, struct ctxn *t, db_err err, struct diag *diag);
/* May a scan of the range from that key on be left to the replica on this node? */
bool follower_has(struct ctxn *t, const struct route *route, struct slice start, struct diag *diag);

/* bulk.c */
MUST_USE db_err cluster_sequence_next(struct storage *s, struct slice key, uint64_t floor,
                                      uint64_t count, uint64_t step, uint64_t offset,
                                      struct diag *diag, uint64_t *ret_first);
MUST_USE db_err cluster_sequence_raise(struct storage *s, struct slice key, uint64_t value,
                                       struct diag *diag);
MUST_USE db_err cluster_sequence_peek(struct storage *s, struct slice key, struct diag *diag,
                                      uint64_t *ret_next);
MUST_USE db_err cluster_delete_range(struct storage *s, struct slice start, struct slice end,
                                     struct diag *diag);
MUST_USE db_err cluster_estimate(struct storage *s, struct slice start, struct slice end,
                                 uint64_t *ret_rows, uint64_t *ret_bytes);

/* An ascending order of keys without copying them: ret_order[i] is the index of the i-th. In the
 * arena. */
MUST_USE db_err sort_keys(const struct slice *keys, size_t count, struct arena *arena,
                          uint32_t **ret_order);

#endif
