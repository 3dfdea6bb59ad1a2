#include "sql/storage/storage.h"

#include "base/assert.h"

/* Thin wrappers: they check what every caller and every implementation must keep, so that a broken
 * contract shows at the seam and not three layers below. Sizes are the user's doing and give
 * ERR_LIMIT; everything else is a bug and asserts. */

static db_err check_key(struct slice key, struct diag *diag)
{
    if (UNLIKELY(key.len == 0)) {
        return diag_set(diag, ERR_INVALID, "an empty key");
    }
    if (UNLIKELY(key.len > STORAGE_KEY_SIZE_MAX)) {
        return diag_set(diag, ERR_LIMIT, "a key of %zu bytes; at most %d are allowed", key.len,
                        STORAGE_KEY_SIZE_MAX);
    }
    return ERR_OK;
}

static db_err check_keys(const struct slice *keys, size_t count, struct diag *diag)
{
    for (size_t i = 0; i < count; i++) {
        TRY(check_key(keys[i], diag));
    }
    return ERR_OK;
}

static bool mode_valid(enum storage_read_mode mode)
{
    return mode <= STORAGE_READ_EXCLUSIVE_RANGE;
}

/* Without `put` a storage serves reads only, and may leave out what goes with writing. */
static db_err read_only(const struct storage_ops *ops, struct diag *diag)
{
    return diag_set(diag, ERR_UNSUPPORTED, "the storage \"%s\" is read-only", ops->name);
}

struct storage_caps storage_caps(struct storage *s)
{
    return s->ops->caps(s);
}

void storage_close(struct storage *s)
{
    if (s != NULL) {
        s->ops->close(s);
    }
}

db_err storage_txn_begin(struct storage *s, const struct storage_txn_opts *opts, struct diag *diag,
                         struct storage_txn **ret_txn)
{
    ASSERT((opts->as_of == 0 && opts->fresh_from_ns == 0) || opts->read_only);
    struct storage_txn *t = NULL;
    TRY(s->ops->txn_begin(s, opts, diag, &t));
    ASSERT(t != NULL && t->ops == s->ops);
    t->conflict = NULL;
    *ret_txn = t;
    return ERR_OK;
}

db_err storage_txn_stmt_begin(struct storage_txn *t, struct diag *diag)
{
    return t->ops->txn_stmt_begin == NULL ? ERR_OK : t->ops->txn_stmt_begin(t, diag);
}

db_err storage_txn_take_snapshot(struct storage_txn *t, struct diag *diag)
{
    return t->ops->txn_take_snapshot == NULL ? ERR_OK : t->ops->txn_take_snapshot(t, diag);
}

db_err storage_txn_commit(struct storage_txn *t, struct diag *diag, uint64_t *ret_ts)
{
    uint64_t ts = 0;
    TRY(t->ops->txn_commit(t, diag, &ts));
    if (ret_ts != NULL) {
        *ret_ts = ts;
    }
    return ERR_OK;
}

void storage_txn_rollback(struct storage_txn *t)
{
    if (t != NULL) {
        t->ops->txn_rollback(t);
    }
}

db_err storage_txn_savepoint(struct storage_txn *t, uint64_t *ret_savepoint)
{
    if (t->ops->txn_savepoint == NULL) {
        *ret_savepoint = 0;
        return ERR_OK;
    }
    return t->ops->txn_savepoint(t, ret_savepoint);
}

db_err storage_txn_rollback_to(struct storage_txn *t, uint64_t savepoint)
{
    return t->ops->txn_rollback_to == NULL ? ERR_OK : t->ops->txn_rollback_to(t, savepoint);
}

bool storage_txn_has_writes(const struct storage_txn *t)
{
    return t->ops->txn_has_writes != NULL && t->ops->txn_has_writes(t);
}

db_err storage_get(struct storage_txn *t, struct slice key, enum storage_read_mode mode,
                   enum storage_wait wait, struct arena *arena, struct diag *diag, bool *ret_found,
                   struct slice *ret_value)
{
    ASSERT_SLOW(mode_valid(mode));
    TRY(check_key(key, diag));
    return t->ops->get(t, key, mode, wait, arena, diag, ret_found, ret_value);
}

db_err storage_multi_get(struct storage_txn *t, const struct slice *keys, size_t count,
                         enum storage_read_mode mode, enum storage_wait wait, struct arena *arena,
                         struct diag *diag, bool *ret_found, struct slice *ret_values)
{
    ASSERT_SLOW(mode_valid(mode));
    if (count == 0) {
        return ERR_OK;
    }
    TRY(check_keys(keys, count, diag));
    if (t->ops->multi_get == NULL) {
        for (size_t i = 0; i < count; i++) {
            ret_values[i] = SLICE_EMPTY;
            TRY(t->ops->get(t, keys[i], mode, wait, arena, diag, &ret_found[i], &ret_values[i]));
        }
        return ERR_OK;
    }
    return t->ops->multi_get(t, keys, count, mode, wait, arena, diag, ret_found, ret_values);
}

db_err storage_any_under(struct storage_txn *t, const struct slice *prefixes, size_t count,
                         struct arena *arena, struct diag *diag, bool *ret_any)
{
    if (count == 0) {
        return ERR_OK;
    }
    TRY(check_keys(prefixes, count, diag));
    if (t->ops->any_under == NULL) {
        for (size_t i = 0; i < count; i++) {
            ret_any[i] = true;
        }
        return ERR_OK;
    }
    return t->ops->any_under(t, prefixes, count, arena, diag, ret_any);
}

db_err storage_get_outdated(struct storage_txn *t, struct slice key, struct arena *arena,
                            struct diag *diag, bool *ret_outdated, bool *ret_found,
                            struct slice *ret_value)
{
    if (t->ops->get_outdated == NULL) {
        *ret_outdated = false;
        return ERR_OK;
    }
    return t->ops->get_outdated(t, key, arena, diag, ret_outdated, ret_found, ret_value);
}

db_err storage_scan_open(struct storage_txn *t, const struct storage_scan_opts *opts,
                         struct diag *diag, struct storage_scan **ret_scan)
{
    ASSERT(mode_valid(opts->mode));
    struct storage_scan *scan = NULL;
    TRY(t->ops->scan_open(t, opts, diag, &scan));
    ASSERT(scan != NULL && scan->ops != NULL);
    *ret_scan = scan;
    return ERR_OK;
}

db_err storage_scan_next(struct storage_scan *scan, struct diag *diag,
                         const struct storage_kv **ret_rows, size_t *ret_count)
{
    return scan->ops->scan_next(scan, diag, ret_rows, ret_count);
}

void storage_scan_close(struct storage_scan *scan)
{
    if (scan != NULL) {
        scan->ops->scan_close(scan);
    }
}

db_err storage_scan_each(struct storage_txn *t, const struct storage_scan_opts *opts,
                         storage_row_fn fn, void *arg, struct diag *diag)
{
    struct storage_scan *scan;
    const struct storage_kv *rows;
    size_t n = 0;
    TRY(storage_scan_open(t, opts, diag, &scan));
    db_err err;
    do {
        err = storage_scan_next(scan, diag, &rows, &n);
        for (size_t i = 0; i < n && err == ERR_OK; i++) {
            err = fn(arg, &rows[i]);
        }
    } while (err == ERR_OK && n != 0);
    storage_scan_close(scan);
    return err;
}

static void assert_flags(unsigned flags)
{
    const unsigned known = STORAGE_W_INSERT | STORAGE_W_DEFER | STORAGE_W_LOCKED | STORAGE_W_BLIND |
                           STORAGE_W_BULK | STORAGE_W_NEW;
    ASSERT((flags & ~known) == 0);
    ASSERT((flags & STORAGE_W_DEFER) == 0 || (flags & STORAGE_W_INSERT) != 0);
    ASSERT((flags & STORAGE_W_BLIND) == 0 || (flags & STORAGE_W_INSERT) == 0);
    ASSERT((flags & STORAGE_W_BULK) == 0 ||
           (flags & (STORAGE_W_DEFER | STORAGE_W_BLIND | STORAGE_W_LOCKED)) != 0);
    ASSERT((flags & STORAGE_W_NEW) == 0 || (flags & STORAGE_W_BLIND) != 0);
}

db_err storage_put(struct storage_txn *t, struct slice key, struct slice value, unsigned flags,
                   struct diag *diag)
{
    assert_flags(flags);
    TRY(check_key(key, diag));
    if (UNLIKELY(value.len > STORAGE_VALUE_SIZE_MAX)) {
        return diag_set(diag, ERR_LIMIT, "a value of %zu bytes; at most %zu are allowed", value.len,
                        STORAGE_VALUE_SIZE_MAX);
    }
    return t->ops->put == NULL ? read_only(t->ops, diag) : t->ops->put(t, key, value, flags, diag);
}

db_err storage_del(struct storage_txn *t, struct slice key, unsigned flags, struct diag *diag)
{
    assert_flags(flags);
    ASSERT((flags & STORAGE_W_INSERT) == 0);
    TRY(check_key(key, diag));
    return t->ops->del == NULL ? read_only(t->ops, diag) : t->ops->del(t, key, flags, diag);
}

db_err storage_lock(struct storage_txn *t, const struct slice *keys, size_t count,
                    enum storage_read_mode mode, enum storage_wait wait, struct diag *diag)
{
    ASSERT(mode == STORAGE_READ_SHARED || mode == STORAGE_READ_EXCLUSIVE);
    if (count == 0) {
        return ERR_OK;
    }
    TRY(check_keys(keys, count, diag));
    return t->ops->lock == NULL ? ERR_OK : t->ops->lock(t, keys, count, mode, wait, diag);
}

db_err storage_lock_new(struct storage_txn *t, const struct slice *keys, size_t count,
                        struct diag *diag)
{
    if (count == 0 || t->ops->lock_new == NULL) {
        return ERR_OK;
    }
    TRY(check_keys(keys, count, diag));
    return t->ops->lock_new(t, keys, count, diag);
}

db_err storage_sequence_next(struct storage *s, struct slice key, uint64_t floor, uint64_t count,
                             uint64_t step, uint64_t offset, struct diag *diag, uint64_t *ret_first)
{
    ASSERT(count > 0 && step > 0);
    TRY(check_key(key, diag));
    uint64_t first = 0;
    if (s->ops->sequence_next == NULL) {
        return read_only(s->ops, diag);
    }
    TRY(s->ops->sequence_next(s, key, floor, count, step, offset, diag, &first));
    ASSERT(first > floor && first % step == offset % step);
    *ret_first = first;
    return ERR_OK;
}

db_err storage_sequence_raise(struct storage *s, struct slice key, uint64_t value,
                              struct diag *diag)
{
    TRY(check_key(key, diag));
    return s->ops->sequence_raise == NULL ? read_only(s->ops, diag)
                                          : s->ops->sequence_raise(s, key, value, diag);
}

db_err storage_sequence_peek(struct storage *s, struct slice key, struct diag *diag,
                             uint64_t *ret_next)
{
    TRY(check_key(key, diag));
    return s->ops->sequence_peek == NULL ? ERR_UNSUPPORTED
                                         : s->ops->sequence_peek(s, key, diag, ret_next);
}

db_err storage_delete_range(struct storage *s, struct slice start, struct slice end,
                            struct diag *diag)
{
    if (end.len != 0 && slice_cmp(start, end) >= 0) {
        return ERR_OK;
    }
    return s->ops->delete_range == NULL ? read_only(s->ops, diag)
                                        : s->ops->delete_range(s, start, end, diag);
}

db_err storage_estimate(struct storage *s, struct slice start, struct slice end, uint64_t *ret_rows,
                        uint64_t *ret_bytes)
{
    if (end.len != 0 && slice_cmp(start, end) >= 0) {
        *ret_rows = 0;
        *ret_bytes = 0;
        return ERR_OK;
    }
    return s->ops->estimate(s, start, end, ret_rows, ret_bytes);
}

db_err storage_fragment_open(struct storage_txn *t, const struct storage_fragment *fragment,
                             const struct storage_span *spans, size_t count, bool always,
                             bool eager, struct diag *diag, struct storage_scan **ret_scan)
{
    *ret_scan = NULL;
    if (t->ops->fragment_open == NULL || count == 0) {
        return ERR_OK;
    }
    for (size_t i = 0; i < count; i++) {
        ASSERT(i == 0 || slice_cmp(spans[i - 1].end, spans[i].start) <= 0);
        ASSERT(spans[i].end.len == 0 || slice_cmp(spans[i].start, spans[i].end) < 0);
    }
    return t->ops->fragment_open(t, fragment, spans, count, always, eager, diag, ret_scan);
}

db_err storage_fragment_next(struct storage_scan *scan, struct diag *diag,
                             struct storage_piece *ret_piece, bool *ret_end)
{
    return scan->ops->fragment_next(scan, diag, ret_piece, ret_end);
}

void storage_fragment_close(struct storage_scan *scan)
{
    if (scan != NULL) {
        scan->ops->fragment_close(scan);
    }
}
