#include "sql/storage/split.h"

#include "base/alloc.h"
#include "base/assert.h"

struct split_storage {
    struct storage base;
    struct storage *shared, *own;
    bool (*is_own)(struct slice key);
};

struct split_txn {
    struct storage_txn base;
    struct split_storage *storage;
    struct storage_txn *shared, *own;
    uint64_t own_start; /* savepoint of the own side's beginning */
};

/* A savepoint's number: the shared side's below, the own side's above, each counted from where the
 * transaction became split. The own side counts changes of one transaction; the shared one may
 * number in another way. */
enum { SIDE_BITS = 38 };
#define SIDE_MAX     (((uint64_t)1 << SIDE_BITS) - 1)
#define OWN_SIDE_MAX (((uint64_t)1 << (64 - SIDE_BITS)) - 1)

static const struct storage_ops split_ops;

static struct split_storage *storage_of(struct storage *s)
{
    ASSERT(s->ops == &split_ops);
    return CONTAINER_OF(s, struct split_storage, base);
}

static struct split_txn *txn_of(struct storage_txn *t)
{
    ASSERT_SLOW(t->ops == &split_ops);
    return CONTAINER_OF(t, struct split_txn, base);
}

static bool is_own(const struct split_txn *t, struct slice key)
{
    return t->storage->is_own(key);
}

static struct storage_txn *side(struct split_txn *t, struct slice key)
{
    return is_own(t, key) ? t->own : t->shared;
}

static struct storage_caps split_caps(struct storage *s)
{
    struct storage_caps caps = storage_caps(storage_of(s)->shared);
    caps.pushdown = false; /* a fragment may need rows of the own side */
    return caps;
}

static void split_close(struct storage *s)
{
    struct split_storage *p = storage_of(s);
    storage_close(p->own);
    mem_free(p);
}

db_err split_storage_new(const struct split_storage_opts *opts, struct storage **ret_storage)
{
    struct split_storage *p = mem_calloc(1, sizeof(*p));
    if (p == NULL) {
        return ERR_NOMEM;
    }
    p->base.ops = &split_ops;
    p->shared = opts->shared;
    p->own = opts->own;
    p->is_own = opts->is_own;
    *ret_storage = &p->base;
    return ERR_OK;
}

/* A limit of the own side says so. */
static db_err told(bool own, db_err err, struct diag *diag)
{
    bool silent = own && err == ERR_LIMIT && diag != NULL && diag->text[0] == '\0';
    return silent ? diag_set(diag, err, "the session's temporary tables may not be larger") : err;
}

/* ---- transactions ---- */

db_err split_storage_adopt(struct storage *split, struct storage_txn *shared,
                           const struct storage_txn_opts *opts, struct diag *diag,
                           struct storage_txn **ret_txn)
{
    struct split_storage *p = storage_of(split);
    struct storage_txn_opts own = *opts;
    struct split_txn *t = mem_calloc(1, sizeof(*t));
    if (t == NULL) {
        return ERR_NOMEM;
    }
    own.read_only = false; /* MYSQL: temporary tables may be changed in a read-only transaction */
    own.single_get = false;
    own.as_of = 0;
    own.fresh_from_ns = 0;
    own.told_id = NULL;
    t->base.ops = &split_ops;
    t->storage = p;
    t->shared = shared;
    db_err err = storage_txn_begin(p->own, &own, diag, &t->own);
    if (err == ERR_OK) {
        err = storage_txn_savepoint(t->own, &t->own_start);
        if (err != ERR_OK) {
            storage_txn_rollback(t->own);
        }
    }
    if (err != ERR_OK) {
        mem_free(t);
        return err;
    }
    *ret_txn = &t->base;
    return ERR_OK;
}

static db_err split_txn_begin(struct storage *s, const struct storage_txn_opts *opts,
                              struct diag *diag, struct storage_txn **ret_txn)
{
    struct storage_txn *shared;
    struct storage_txn_opts o = *opts;
    o.single_get = false; /* which side the get is for shows later */
    TRY(storage_txn_begin(storage_of(s)->shared, &o, diag, &shared));
    db_err err = split_storage_adopt(s, shared, &o, diag, ret_txn);
    if (err != ERR_OK) {
        storage_txn_rollback(shared);
    }
    return err;
}

static db_err split_txn_stmt_begin(struct storage_txn *t, struct diag *diag)
{
    TRY(storage_txn_stmt_begin(txn_of(t)->shared, diag));
    return storage_txn_stmt_begin(txn_of(t)->own, diag);
}

static db_err split_txn_take_snapshot(struct storage_txn *t, struct diag *diag)
{
    TRY(storage_txn_take_snapshot(txn_of(t)->shared, diag));
    return storage_txn_take_snapshot(txn_of(t)->own, diag);
}

static db_err split_txn_commit(struct storage_txn *t, struct diag *diag, uint64_t *ret_ts)
{
    struct split_txn *p = txn_of(t);
    p->shared->conflict = t->conflict;
    p->own->conflict = t->conflict;
    uint64_t shared_ts = 0;
    uint64_t own_ts = 0;
    db_err err = storage_txn_commit(p->shared, diag, &shared_ts);
    if (err == ERR_OK) {
        err = told(true, storage_txn_commit(p->own, diag, &own_ts), diag);
    } else {
        storage_txn_rollback(p->own);
    }
    mem_free(p);
    if (err == ERR_OK) {
        *ret_ts = shared_ts != 0 ? shared_ts : own_ts;
    }
    return err;
}

static void split_txn_rollback(struct storage_txn *t)
{
    struct split_txn *p = txn_of(t);
    storage_txn_rollback(p->shared);
    storage_txn_rollback(p->own);
    mem_free(p);
}

static db_err split_txn_savepoint(struct storage_txn *t, uint64_t *ret_savepoint)
{
    uint64_t shared;
    uint64_t own;
    TRY(storage_txn_savepoint(txn_of(t)->shared, &shared));
    TRY(storage_txn_savepoint(txn_of(t)->own, &own));
    own -= txn_of(t)->own_start;
    if (shared > SIDE_MAX || own > OWN_SIDE_MAX) {
        return ERR_LIMIT;
    }
    *ret_savepoint = own << SIDE_BITS | shared;
    return ERR_OK;
}

static db_err split_txn_rollback_to(struct storage_txn *t, uint64_t savepoint)
{
    struct split_txn *p = txn_of(t);
    TRY(storage_txn_rollback_to(p->shared, savepoint & SIDE_MAX));
    return storage_txn_rollback_to(p->own, p->own_start + (savepoint >> SIDE_BITS));
}

static bool split_txn_has_writes(const struct storage_txn *t)
{
    const struct split_txn *p = CONTAINER_OF(t, const struct split_txn, base);
    return storage_txn_has_writes(p->shared) || storage_txn_has_writes(p->own);
}

bool split_txn_has_shared_writes(const struct storage_txn *t)
{
    return storage_txn_has_writes(
        t->ops == &split_ops ? CONTAINER_OF(t, const struct split_txn, base)->shared : t);
}

/* ---- reads and writes ---- */

static db_err split_get(struct storage_txn *t, struct slice key, enum storage_read_mode mode,
                        enum storage_wait wait, struct arena *arena, struct diag *diag,
                        bool *ret_found, struct slice *ret_value)
{
    return storage_get(side(txn_of(t), key), key, mode, wait, arena, diag, ret_found, ret_value);
}

static db_err split_multi_get(struct storage_txn *t, const struct slice *keys, size_t count,
                              enum storage_read_mode mode, enum storage_wait wait,
                              struct arena *arena, struct diag *diag, bool *ret_found,
                              struct slice *ret_values)
{
    struct split_txn *p = txn_of(t);
    ASSERT(is_own(p, keys[0]) == is_own(p, keys[count - 1]));
    return storage_multi_get(side(p, keys[0]), keys, count, mode, wait, arena, diag, ret_found,
                             ret_values);
}

static db_err split_any_under(struct storage_txn *t, const struct slice *prefixes, size_t count,
                              struct arena *arena, struct diag *diag, bool *ret_any)
{
    struct split_txn *p = txn_of(t);
    ASSERT(is_own(p, prefixes[0]) == is_own(p, prefixes[count - 1]));
    return storage_any_under(side(p, prefixes[0]), prefixes, count, arena, diag, ret_any);
}

static db_err split_get_outdated(struct storage_txn *t, struct slice key, struct arena *arena,
                                 struct diag *diag, bool *ret_outdated, bool *ret_found,
                                 struct slice *ret_value)
{
    return storage_get_outdated(side(txn_of(t), key), key, arena, diag, ret_outdated, ret_found,
                                ret_value);
}

/* The side's own scan: whoever has it needs no way back to the transaction. */
static db_err split_scan_open(struct storage_txn *t, const struct storage_scan_opts *opts,
                              struct diag *diag, struct storage_scan **ret_scan)
{
    return storage_scan_open(side(txn_of(t), opts->start), opts, diag, ret_scan);
}

/* Likewise; only the shared side has other nodes. */
static db_err split_fragment_open(struct storage_txn *t, const struct storage_fragment *fragment,
                                  const struct storage_span *spans, size_t count, bool always,
                                  bool eager, struct diag *diag, struct storage_scan **ret_scan)
{
    return storage_fragment_open(side(txn_of(t), spans[0].start), fragment, spans, count, always,
                                 eager, diag, ret_scan);
}

static db_err split_put(struct storage_txn *t, struct slice key, struct slice value, unsigned flags,
                        struct diag *diag)
{
    struct split_txn *p = txn_of(t);
    struct storage_txn *to = side(p, key);
    if (to == p->own) {
        flags &= ~(unsigned)STORAGE_W_DEFER; /* nothing may be left that could fail the commit */
    }
    to->conflict = t->conflict;
    return told(to == p->own, storage_put(to, key, value, flags, diag), diag);
}

static db_err split_del(struct storage_txn *t, struct slice key, unsigned flags, struct diag *diag)
{
    return storage_del(side(txn_of(t), key), key, flags, diag);
}

static db_err split_lock(struct storage_txn *t, const struct slice *keys, size_t count,
                         enum storage_read_mode mode, enum storage_wait wait, struct diag *diag)
{
    struct split_txn *p = txn_of(t);
    if (count == 0) {
        return ERR_OK;
    }
    ASSERT(is_own(p, keys[0]) == is_own(p, keys[count - 1]));
    return storage_lock(side(p, keys[0]), keys, count, mode, wait, diag);
}

static db_err split_lock_new(struct storage_txn *t, const struct slice *keys, size_t count,
                             struct diag *diag)
{
    struct split_txn *p = txn_of(t);
    ASSERT(is_own(p, keys[0]) == is_own(p, keys[count - 1]));
    return storage_lock_new(side(p, keys[0]), keys, count, diag);
}

/* ---- outside of transactions ---- */

static struct storage *store(struct storage *s, struct slice key)
{
    struct split_storage *p = storage_of(s);
    return p->is_own(key) ? p->own : p->shared;
}

static db_err split_sequence_next(struct storage *s, struct slice key, uint64_t floor,
                                  uint64_t count, uint64_t step, uint64_t offset, struct diag *diag,
                                  uint64_t *ret_first)
{
    return storage_sequence_next(store(s, key), key, floor, count, step, offset, diag, ret_first);
}

static db_err split_sequence_raise(struct storage *s, struct slice key, uint64_t value,
                                   struct diag *diag)
{
    return storage_sequence_raise(store(s, key), key, value, diag);
}

static db_err split_sequence_peek(struct storage *s, struct slice key, struct diag *diag,
                                  uint64_t *ret_next)
{
    return storage_sequence_peek(store(s, key), key, diag, ret_next);
}

static db_err split_delete_range(struct storage *s, struct slice start, struct slice end,
                                 struct diag *diag)
{
    return storage_delete_range(store(s, start), start, end, diag);
}

static db_err split_estimate(struct storage *s, struct slice start, struct slice end,
                             uint64_t *ret_rows, uint64_t *ret_bytes)
{
    return storage_estimate(store(s, start), start, end, ret_rows, ret_bytes);
}

static const struct storage_ops split_ops = {
    .name = "split",
    .caps = split_caps,
    .close = split_close,
    .txn_begin = split_txn_begin,
    .txn_stmt_begin = split_txn_stmt_begin,
    .txn_take_snapshot = split_txn_take_snapshot,
    .txn_commit = split_txn_commit,
    .txn_rollback = split_txn_rollback,
    .txn_savepoint = split_txn_savepoint,
    .txn_rollback_to = split_txn_rollback_to,
    .txn_has_writes = split_txn_has_writes,
    .get = split_get,
    .multi_get = split_multi_get,
    .any_under = split_any_under,
    .get_outdated = split_get_outdated,
    .scan_open = split_scan_open,
    .put = split_put,
    .del = split_del,
    .lock = split_lock,
    .lock_new = split_lock_new,
    .sequence_next = split_sequence_next,
    .sequence_raise = split_sequence_raise,
    .sequence_peek = split_sequence_peek,
    .delete_range = split_delete_range,
    .estimate = split_estimate,
    .fragment_open = split_fragment_open,
};
