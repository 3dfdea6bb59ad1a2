#include "sql/storage/mem/mem_int.h"

#include "base/alloc.h"
#include "base/assert.h"

/* Transactions of the in-memory storage: reads look into the write buffer first, then into the
 * versions; writes lock, check, and go into the buffer; the commit publishes the buffer as one. */

enum {
    POOL_MAX = 256,
    EARLY_MAX =
        1024, /* index entries that wait for spans in their statement; others at the commit */
};

static struct mem_txn *txn_of(struct storage_txn *t)
{
    ASSERT_SLOW(t->ops == &mem_storage_ops);
    return CONTAINER_OF(t, struct mem_txn, base);
}

static struct mem_txn *txn_alloc(struct mem_storage *s)
{
    pthread_mutex_lock(&s->pool_lock);
    struct mem_txn *t = s->pool;
    if (t != NULL) {
        s->pool = t->pool_next;
        s->pool_count--;
    }
    pthread_mutex_unlock(&s->pool_lock);
    if (t == NULL) {
        t = mem_calloc(1, sizeof(*t));
        if (t != NULL) {
            wb_init(&t->wb);
            t->base.ops = &mem_storage_ops;
            t->storage = s;
        }
    }
    return t;
}

static void txn_free(struct mem_txn *t)
{
    wb_fini(&t->wb);
    mem_free(t);
}

static void txn_end(struct mem_txn *t)
{
    struct mem_storage *s = t->storage;
    mem_snapshot_drop(&s->store, &t->snapshot);
    mem_lock_release_all(&s->locks, t);
    mem_spans_release(&s->locks, t);
    wb_reset(&t->wb);
    pthread_mutex_lock(&s->pool_lock);
    bool keep = s->pool_count < POOL_MAX;
    if (keep) {
        t->pool_next = s->pool;
        s->pool = t;
        s->pool_count++;
    }
    pthread_mutex_unlock(&s->pool_lock);
    if (!keep) {
        txn_free(t);
    }
}

void mem_txn_pool_fini(struct mem_storage *s)
{
    while (s->pool != NULL) {
        struct mem_txn *t = s->pool;
        s->pool = t->pool_next;
        txn_free(t);
    }
}

db_err mem_txn_begin(struct storage *base, const struct storage_txn_opts *opts, struct diag *diag,
                     struct storage_txn **ret_txn)
{
    struct mem_storage *s = CONTAINER_OF(base, struct mem_storage, base);
    if (opts->as_of != 0) {
        return diag_set(diag, ERR_UNSUPPORTED, "AS OF reads of the in-memory storage");
    }
    struct mem_txn *t = txn_alloc(s);
    if (t == NULL) {
        return ERR_NOMEM;
    }
    t->id = atomic_fetch_add_explicit(&s->next_txn_id, 1, memory_order_relaxed) + 1;
    t->opts = *opts;
    t->early_inserts = 0;
    wb_begin(&t->wb, opts->mem);
    *ret_txn = &t->base;
    return ERR_OK;
}

db_err mem_txn_stmt_begin(struct storage_txn *base, struct diag *diag)
{
    (void)diag;
    struct mem_txn *t = txn_of(base);
    if (t->opts.isolation <= STORAGE_READ_COMMITTED) {
        mem_snapshot_drop(&t->storage->store, &t->snapshot);
    }
    return ERR_OK;
}

uint64_t mem_txn_read_ts(struct mem_txn *t)
{
    if (t->snapshot.ts == 0) {
        mem_snapshot_take(&t->storage->store, &t->snapshot);
    }
    return t->snapshot.ts;
}

db_err mem_txn_take_snapshot(struct storage_txn *base, struct diag *diag)
{
    (void)diag;
    (void)mem_txn_read_ts(txn_of(base));
    return ERR_OK;
}

/* An insert whose check was left to the commit took no lock yet; who locked the key meanwhile,
 * having found nothing there, must be waited for. */
static db_err lock_deferred(struct mem_txn *t, struct diag *diag)
{
    for (struct wb_entry *e = wb_first(&t->wb); e != NULL; e = wb_next(e)) {
        if (e->now.must_be_new && e->lock != WB_LOCK_EXCLUSIVE) {
            TRY(mem_txn_lock_insert(t, e->key, diag));
        }
    }
    return ERR_OK;
}

static bool span_blocks(void *ctx, struct slice key)
{
    struct mem_txn *t = ctx;
    return mem_span_blocks(&t->storage->locks.spans, t, key);
}

/* Waits for spans over keys that took no lock. */
static db_err commit_writes(struct mem_txn *t, struct diag *diag, uint64_t *ret_ts)
{
    struct mem_commit_opts o = {.si_ts = t->opts.isolation == STORAGE_SNAPSHOT ? t->snapshot.ts : 0,
                                .conflict = t->base.conflict,
                                .blocked = span_blocks,
                                .ctx = t};
    mem_snapshot_drop(&t->storage->store, &t->snapshot);
    TRY(lock_deferred(t, diag));
    for (;;) {
        const struct wb_entry *e = NULL;
        db_err err = mem_store_commit(&t->storage->store, &t->wb, &o, diag, &e, ret_ts);
        if (err != ERR_WOULD_BLOCK) {
            return err;
        }
        TRY(mem_txn_lock_insert(t, e->key, diag));
    }
}

db_err mem_txn_commit(struct storage_txn *base, struct diag *diag, uint64_t *ret_ts)
{
    struct mem_txn *t = txn_of(base);
    db_err err = ERR_OK;
    uint64_t ts = 0;
    if (t->wb.write_count != 0) {
        err = commit_writes(t, diag, &ts);
    }
    txn_end(t);
    if (err == ERR_OK) {
        *ret_ts = ts;
    }
    return err;
}

void mem_txn_rollback(struct storage_txn *base)
{
    txn_end(txn_of(base));
}

db_err mem_txn_savepoint(struct storage_txn *base, uint64_t *ret_savepoint)
{
    *ret_savepoint = wb_savepoint(&txn_of(base)->wb);
    return ERR_OK;
}

db_err mem_txn_rollback_to(struct storage_txn *base, uint64_t savepoint)
{
    return wb_rollback_to(&txn_of(base)->wb, savepoint);
}

bool mem_txn_has_writes(const struct storage_txn *base)
{
    return CONTAINER_OF(base, const struct mem_txn, base)->wb.write_count != 0;
}

enum storage_read_mode mem_txn_read_mode(const struct mem_txn *t, enum storage_read_mode mode)
{
    bool lock = mode == STORAGE_READ_PLAIN && t->opts.isolation == STORAGE_SERIALIZABLE &&
                !t->opts.read_only;
    return lock ? STORAGE_READ_SHARED_RANGE : mode;
}

/* ---- locks ---- */

static db_err acquire(struct mem_txn *t, struct slice key, enum mem_lock_kind kind,
                      enum storage_wait wait, struct diag *diag)
{
    uint32_t timeout =
        t->opts.lock_wait_timeout_ms != 0 ? t->opts.lock_wait_timeout_ms : MEM_LOCK_WAIT_DEFAULT_MS;
    db_err err = mem_lock_acquire(&t->storage->locks, t, key, kind, wait, timeout);
    return err == ERR_OK ? ERR_OK : diag_set(diag, err, "%s", err_text(err));
}

db_err mem_txn_lock_key(struct mem_txn *t, struct slice key, enum storage_read_mode mode,
                        enum storage_wait wait, bool *ret_new, struct diag *diag)
{
    struct wb_entry *e;
    TRY(wb_touch(&t->wb, key, &e));
    uint8_t want = storage_mode_exclusive(mode) ? WB_LOCK_EXCLUSIVE : WB_LOCK_SHARED;
    *ret_new = e->lock == WB_UNLOCKED;
    if (e->lock >= want) {
        return ERR_OK;
    }
    enum mem_lock_kind kind = want == WB_LOCK_EXCLUSIVE ? MEM_LOCK_EXCLUSIVE : MEM_LOCK_SHARED;
    TRY(acquire(t, key, kind, wait, diag));
    e->lock = want;
    return ERR_OK;
}

db_err mem_txn_lock_insert(struct mem_txn *t, struct slice key, struct diag *diag)
{
    struct wb_entry *e;
    TRY(wb_touch(&t->wb, key, &e));
    if (!e->may_insert) {
        TRY(acquire(t, key, MEM_LOCK_INSERT, STORAGE_WAIT, diag));
        e->lock = WB_LOCK_EXCLUSIVE;
        e->may_insert = true;
    }
    return ERR_OK;
}

db_err mem_txn_lock(struct storage_txn *base, const struct slice *keys, size_t count,
                    enum storage_read_mode mode, enum storage_wait wait, struct diag *diag)
{
    struct mem_txn *t = txn_of(base);
    for (size_t i = 0; i < count; i++) {
        bool fresh;
        db_err err = mem_txn_lock_key(t, keys[i], mode, wait, &fresh, diag);
        if (err != ERR_OK && !(err == ERR_LOCK_NOWAIT && wait == STORAGE_SKIP_LOCKED)) {
            return err;
        }
    }
    return ERR_OK;
}

/* ---- reads ---- */

/* A key that was looked for with a lock and is not there: `fresh` when the lock was taken for that.
 */
static db_err let_go_absent(struct mem_txn *t, struct slice key, enum storage_read_mode mode,
                            bool fresh)
{
    struct wb_entry *e = wb_find(&t->wb, key);
    if (!storage_mode_range(mode) || t->opts.isolation == STORAGE_SNAPSHOT || !fresh) {
        return ERR_OK;
    }
    if (mem_txn_locks_gaps(t, mode)) {
        bool added;
        struct slice end;
        TRY(arena_copy_next(&t->wb.arena, key, &end));
        TRY(mem_span_lock(&t->storage->locks, t, key, end, &added));
    }
    mem_lock_release_last(&t->storage->locks, t);
    e->lock = WB_UNLOCKED;
    return ERR_OK;
}

static db_err read_committed(struct mem_txn *t, struct slice key, uint64_t ts, struct arena *arena,
                             bool *ret_found, struct slice *ret_value)
{
    struct mem_store *s = &t->storage->store;
    db_err err = ERR_OK;
    bool found = false;
    unsigned slot = mem_guard_enter(s);
    const struct mem_node *n = mem_store_find(s, key);
    const struct mem_version *v = n == NULL ? NULL : mem_node_version(s, n, ts);
    if (v != NULL && !v->deleted) {
        found = true;
        err = arena_copy(arena, slice_of(v->data, v->len), ret_value);
    }
    mem_guard_leave(s, slot);
    *ret_found = err == ERR_OK && found;
    return err;
}

db_err mem_txn_get(struct storage_txn *base, struct slice key, enum storage_read_mode mode,
                   enum storage_wait wait, struct arena *arena, struct diag *diag, bool *ret_found,
                   struct slice *ret_value)
{
    struct mem_txn *t = txn_of(base);
    uint64_t ts = MEM_TS_CURRENT;
    bool fresh = false;
    mode = mem_txn_read_mode(t, mode);
    if (mode != STORAGE_READ_PLAIN) {
        db_err err = mem_txn_lock_key(t, key, mode, wait, &fresh, diag);
        if (err == ERR_LOCK_NOWAIT && wait == STORAGE_SKIP_LOCKED) {
            *ret_found = false;
            return ERR_OK;
        }
        TRY(err);
    }
    const struct wb_entry *e = wb_find(&t->wb, key);
    if (e != NULL && wb_is_write(e)) {
        *ret_found = e->now.op == WB_PUT;
        if (*ret_found) {
            *ret_value = e->now.value;
        }
        return ERR_OK;
    }
    if (mode == STORAGE_READ_PLAIN && !(t->opts.autocommit && t->opts.single_get)) {
        ts = mem_txn_read_ts(t);
    }
    TRY(read_committed(t, key, ts, arena, ret_found, ret_value));
    return *ret_found ? ERR_OK : let_go_absent(t, key, mode, fresh);
}

db_err mem_txn_multi_get(struct storage_txn *base, const struct slice *keys, size_t count,
                         enum storage_read_mode mode, enum storage_wait wait, struct arena *arena,
                         struct diag *diag, bool *ret_found, struct slice *ret_values)
{
    if (mode == STORAGE_READ_PLAIN) {
        (void)mem_txn_read_ts(txn_of(base));
    }
    for (size_t i = 0; i < count; i++) {
        ret_values[i] = SLICE_EMPTY;
        TRY(mem_txn_get(base, keys[i], mode, wait, arena, diag, &ret_found[i], &ret_values[i]));
    }
    return ERR_OK;
}

db_err mem_txn_get_outdated(struct storage_txn *base, struct slice key, struct arena *arena,
                            struct diag *diag, bool *ret_outdated, bool *ret_found,
                            struct slice *ret_value)
{
    (void)diag;
    struct mem_txn *t = txn_of(base);
    struct mem_store *s = &t->storage->store;
    *ret_outdated = false;
    if (t->snapshot.ts == 0) {
        return ERR_OK;
    }
    unsigned slot = mem_guard_enter(s);
    const struct mem_node *n = mem_store_find(s, key);
    const struct mem_version *v = n == NULL ? NULL : mem_node_version(s, n, MEM_TS_CURRENT);
    bool outdated = v != NULL && v->ts > t->snapshot.ts;
    mem_guard_leave(s, slot);
    if (outdated) {
        TRY(read_committed(t, key, t->snapshot.ts, arena, ret_found, ret_value));
    }
    *ret_outdated = outdated;
    return ERR_OK;
}

/* ---- writes ---- */

static db_err key_exists(struct mem_txn *t, struct slice key, struct diag *diag)
{
    struct buf *conflict = t->base.conflict;
    if (conflict != NULL) {
        buf_reset(conflict);
        TRY(buf_append_slice(conflict, key));
    }
    return diag_set(diag, ERR_KEY_EXISTS, "a key to be inserted exists");
}

/* The state of the key under its lock: for INSERT it may not exist, for SNAPSHOT it may not have
 * changed. */
static db_err check_committed(struct mem_txn *t, struct slice key, bool insert, struct diag *diag)
{
    bool si = t->opts.isolation == STORAGE_SNAPSHOT;
    if (!insert && !si) {
        return ERR_OK;
    }
    struct mem_store *s = &t->storage->store;
    uint64_t snapshot = si ? mem_txn_read_ts(t) : 0;
    unsigned slot = mem_guard_enter(s);
    const struct mem_node *n = mem_store_find(s, key);
    const struct mem_version *v = n == NULL ? NULL : mem_node_version(s, n, MEM_TS_CURRENT);
    bool exists = v != NULL && !v->deleted;
    bool changed = si && v != NULL && v->ts > snapshot;
    mem_guard_leave(s, slot);
    if (changed) {
        return diag_set(diag, ERR_WRITE_CONFLICT, "a row changed after the snapshot was taken");
    }
    return insert && exists ? key_exists(t, key, diag) : ERR_OK;
}

/* Locks and checks as the flags say; gives the key's entry and whether commit must find it new. */
static db_err prepare_write(struct mem_txn *t, struct slice key, unsigned flags, struct diag *diag,
                            struct wb_entry **ret_entry, bool *ret_must_be_new)
{
    bool insert = (flags & STORAGE_W_INSERT) != 0;
    bool defer = (flags & STORAGE_W_DEFER) != 0;
    if (t->opts.read_only) {
        return diag_set(diag, ERR_INVALID, "a write in a read-only transaction");
    }
    struct wb_entry *e;
    TRY(wb_touch(&t->wb, key, &e));
    if (insert && e->now.op == WB_PUT) {
        return key_exists(t, key, diag);
    }
    bool own_deletion = e->now.op == WB_DELETE;
    if (insert && !defer && !wb_is_write(e) && !e->may_insert) {
        if (e->lock == WB_LOCK_EXCLUSIVE) {
            TRY(check_committed(t, key, true, diag));
        }
        TRY(mem_txn_lock_insert(t, key, diag));
    }
    bool new_entry = (flags & STORAGE_W_NEW) != 0;
    if (new_entry && !t->opts.autocommit && !e->may_insert && t->early_inserts < EARLY_MAX) {
        t->early_inserts++;
        TRY(mem_txn_lock_insert(t, key, diag));
    }
    e->fresh = e->fresh || insert || new_entry;
    if (!defer && (flags & (STORAGE_W_LOCKED | STORAGE_W_BLIND)) == 0 &&
        e->lock != WB_LOCK_EXCLUSIVE) {
        bool fresh;
        TRY(mem_txn_lock_key(t, key, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, &fresh, diag));
    }
    if (!defer && (flags & STORAGE_W_BLIND) == 0 && !wb_is_write(e)) {
        TRY(check_committed(t, key, insert, diag));
    }
    *ret_must_be_new = insert && defer && !own_deletion;
    *ret_entry = e;
    return ERR_OK;
}

db_err mem_txn_put(struct storage_txn *base, struct slice key, struct slice value, unsigned flags,
                   struct diag *diag)
{
    struct mem_txn *t = txn_of(base);
    struct wb_entry *e;
    bool must_be_new;
    TRY(prepare_write(t, key, flags, diag, &e, &must_be_new));
    return wb_put(&t->wb, e, value, must_be_new);
}

db_err mem_txn_del(struct storage_txn *base, struct slice key, unsigned flags, struct diag *diag)
{
    struct mem_txn *t = txn_of(base);
    struct wb_entry *e;
    bool must_be_new;
    TRY(prepare_write(t, key, flags, diag, &e, &must_be_new));
    return wb_delete(&t->wb, e);
}
