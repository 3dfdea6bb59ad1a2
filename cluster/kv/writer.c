#include "cluster/kv/kv_int.h"

#include "base/assert.h"

/* Writes: lock and check as the flags say, then into the buffer.
 *
 * A key that is to be inserted gets a lock for that, which waits for gap locks of others. The entry
 * of an index that is not unique needs no other lock; it takes this one in a transaction of several
 * statements, so that the statement waits and not the commit, and so that locking reads of others
 * wait for it. */

static db_err key_exists(struct ctxn *t, struct slice key, struct diag *diag)
{
    if (t->base.conflict != NULL) {
        buf_reset(t->base.conflict);
        TRY(buf_append_slice(t->base.conflict, key));
    }
    return diag_set(diag, ERR_KEY_EXISTS, "a key to be inserted exists");
}

/* The X lock of the key, and what was seen under it. */
static db_err lock_for_write(struct ctxn *t, struct wb_entry *e, bool insert, struct diag *diag)
{
    bool exists = e->has_version && e->exists;
    if (insert && !exists) {
        return e->may_insert ? ERR_OK : lock_for_insert(t, e, true, diag);
    }
    if (e->lock == WB_LOCK_EXCLUSIVE) {
        return ERR_OK;
    }
    struct arena a;
    struct kv_value v;
    arena_init(&a, NULL, NULL, 0);
    db_err err =
        lock_keys(t, &e->key, 1, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, false, &a, diag, &v);
    arena_fini(&a);
    return err;
}

static db_err check_seen(struct ctxn *t, const struct wb_entry *e, bool insert, struct diag *diag)
{
    if (!e->has_version) {
        return ERR_OK;
    }
    if (t->opts.isolation == STORAGE_SNAPSHOT) {
        TRY(ctxn_need_snapshot(t, diag));
        if (e->version_ts > t->read_ts) {
            return diag_set(diag, ERR_WRITE_CONFLICT, "a row changed after the snapshot was taken");
        }
    }
    return insert && e->exists ? key_exists(t, e->key, diag) : ERR_OK;
}

static db_err prepare(struct ctxn *t, struct slice key, unsigned flags, struct diag *diag,
                      struct wb_entry **ret_entry, bool *ret_must_be_new)
{
    bool insert = (flags & STORAGE_W_INSERT) != 0;
    bool defer = (flags & STORAGE_W_DEFER) != 0;
    bool blind = (flags & STORAGE_W_BLIND) != 0;
    struct wb_entry *e;
    if (t->opts.read_only) {
        return diag_set(diag, ERR_INVALID, "a write in a read-only transaction");
    }
    TRY(ctxn_touch(t, key, diag, &e));
    if (insert && e->now.op == WB_PUT) {
        return key_exists(t, key, diag);
    }
    bool first = !wb_is_write(e);
    if (!defer && !blind) {
        TRY(lock_for_write(t, e, insert && first, diag));
    }
    if ((flags & STORAGE_W_NEW) != 0 && !t->opts.autocommit && !e->may_insert &&
        t->early_inserts < EARLY_INSERTS_MAX) {
        t->early_inserts++;
        TRY(lock_for_insert(t, e, false, diag));
    }
    if (first && !blind && e->lock == WB_LOCK_EXCLUSIVE) {
        TRY(check_seen(t, e, insert, diag));
    }
    bool exists = e->has_version && e->exists;
    e->fresh = e->fresh ||
               (!exists && ((flags & (STORAGE_W_INSERT | STORAGE_W_NEW)) != 0 || e->has_version));
    *ret_must_be_new = insert && first && e->lock != WB_LOCK_EXCLUSIVE;
    *ret_entry = e;
    return ERR_OK;
}

static bool goes_aside(const struct ctxn *t, unsigned flags)
{
    return UNLIKELY((flags & STORAGE_W_BULK) != 0 && t->opts.autocommit &&
                    t->opts.temp_dir != NULL &&
                    (t->spill == NULL || (flags & STORAGE_W_LOCKED) != 0));
}

static db_err put_aside(struct ctxn *t, struct slice key, struct slice value, unsigned flags,
                        bool deleted, struct diag *diag)
{
    struct write_record r = {.key = key,
                             .value = value,
                             .must_be_new = (flags & STORAGE_W_INSERT) != 0,
                             .fresh = (flags & (STORAGE_W_INSERT | STORAGE_W_NEW)) != 0,
                             .deleted = deleted,
                             .seen = (flags & STORAGE_W_LOCKED) != 0};
    if (t->opts.read_only) {
        return diag_set(diag, ERR_INVALID, "a write in a read-only transaction");
    }
    if (UNLIKELY(t->spill != NULL)) {
        return diag_set(diag, ERR_LIMIT, "too many rows were locked before the statement");
    }
    if (t->runs == NULL) {
        TRY(write_runs_new(t->opts.temp_dir, t->opts.mem, ctxn_run_bytes(t), &t->runs));
    }
    if (r.seen) {
        ASSERT(t->read_ts != 0);
        t->runs_checked = true;
    }
    return write_runs_add(t->runs, &r, diag);
}

db_err cluster_put(struct storage_txn *base, struct slice key, struct slice value, unsigned flags,
                   struct diag *diag)
{
    struct ctxn *t = ctxn_of(base);
    struct wb_entry *e;
    bool must_be_new;
    if (goes_aside(t, flags)) {
        return put_aside(t, key, value, flags, false, diag);
    }
    TRY(ctxn_make_room(t, diag));
    TRY(prepare(t, key, flags, diag, &e, &must_be_new));
    return wb_put(&t->wb, e, value, must_be_new);
}

db_err cluster_del(struct storage_txn *base, struct slice key, unsigned flags, struct diag *diag)
{
    struct ctxn *t = ctxn_of(base);
    struct wb_entry *e;
    bool must_be_new;
    if (goes_aside(t, flags)) {
        return put_aside(t, key, SLICE_EMPTY, flags, true, diag);
    }
    TRY(ctxn_make_room(t, diag));
    TRY(prepare(t, key, flags, diag, &e, &must_be_new));
    return wb_delete(&t->wb, e);
}

/* The keys for which `wanted` says so, ascending and each once. */
static db_err choose(struct ctxn *t, const struct slice *keys, size_t count,
                     bool (*wanted)(const struct wb_entry *e, uint8_t lock), uint8_t lock,
                     struct arena *a, struct diag *diag, struct slice **ret_keys, size_t *ret_count)
{
    uint32_t *order;
    size_t n = 0;
    TRY(ctxn_make_room(t, diag));
    TRY(sort_keys(keys, count, a, &order));
    struct slice *chosen = arena_alloc(a, count * sizeof(*chosen));
    if (chosen == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        struct slice key = keys[order[i]];
        struct wb_entry *e;
        TRY(ctxn_find(t, key, diag, &e));
        if ((e == NULL || wanted(e, lock)) && (n == 0 || !slice_eq(chosen[n - 1], key))) {
            chosen[n++] = key;
        }
    }
    *ret_keys = chosen;
    *ret_count = n;
    return ERR_OK;
}

static bool has_less(const struct wb_entry *e, uint8_t lock)
{
    return e->lock < lock;
}

db_err cluster_lock(struct storage_txn *base, const struct slice *keys, size_t count,
                    enum storage_read_mode mode, enum storage_wait wait, struct diag *diag)
{
    struct ctxn *t = ctxn_of(base);
    struct arena a;
    struct slice *ask;
    size_t n = 0;
    uint8_t want = mode == STORAGE_READ_EXCLUSIVE ? WB_LOCK_EXCLUSIVE : WB_LOCK_SHARED;
    arena_init(&a, NULL, NULL, 0);
    db_err err = choose(t, keys, count, has_less, want, &a, diag, &ask, &n);
    struct kv_value *values = ARENA_ARRAY(&a, struct kv_value, n);
    if (err == ERR_OK && n != 0) {
        err =
            values == NULL ? ERR_NOMEM : lock_keys(t, ask, n, mode, wait, false, &a, diag, values);
    }
    arena_fini(&a);
    return err;
}

/* Would the put of it ask for the lock? See lock_for_write. */
static bool asks_to_insert(const struct wb_entry *e, uint8_t lock UNUSED)
{
    return !wb_is_write(e) && !e->may_insert && !(e->has_version && e->exists);
}

db_err cluster_lock_new(struct storage_txn *base, const struct slice *keys, size_t count,
                        struct diag *diag)
{
    struct ctxn *t = ctxn_of(base);
    struct arena a;
    struct slice *ask;
    size_t n = 0;
    arena_init(&a, NULL, NULL, 0);
    db_err err = choose(t, keys, count, asks_to_insert, 0, &a, diag, &ask, &n);
    struct kv_value *values = ARENA_ARRAY(&a, struct kv_value, n);
    if (err == ERR_OK && n > 1) {
        err = values == NULL ? ERR_NOMEM : lock_keys_for_insert(t, ask, n, &a, diag, values);
    }
    arena_fini(&a);
    return err;
}
