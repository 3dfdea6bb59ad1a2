#include "sql/storage/mem/mem_int.h"

#include "base/alloc.h"
#include "base/assert.h"

/* Scans merge two ordered lists: the versions visible to the transaction and its own writes. Each
 * batch seeks anew from a kept position, so nothing but that key lives from batch to batch and the
 * transaction may write while it scans.
 *
 * A locking scan finds one candidate at a time, locks it (which may park, so outside of the guard)
 * and only then reads it: what was there before the lock may be gone.
 *
 * One that locks gaps too finds all candidates of a batch under a lock of everything that is left,
 * gives back the span behind the last of them, waits for inserts of others that are not committed
 * (and then finds anew), and locks the candidates after that. */

enum { FIRST_BATCH = 32, BATCH_BYTES_MAX = 1 << 20, KEEP_MAX = 1 << 18 };

struct mem_scan {
    struct storage_scan base;
    struct mem_txn *txn;
    struct storage_scan_opts opts;
    struct buf start; /* what is left: [start, end) */
    struct buf end;
    bool done;
    uint32_t batch;
    struct arena arena; /* of the batch */
    struct storage_kv *rows;
    size_t count;
    size_t bytes;
};

db_err mem_scan_open(struct storage_txn *base, const struct storage_scan_opts *opts,
                     struct diag *diag, struct storage_scan **ret_scan)
{
    (void)diag;
    struct mem_scan *scan = mem_calloc(1, sizeof(*scan));
    if (scan == NULL) {
        return ERR_NOMEM;
    }
    scan->base.ops = &mem_storage_ops;
    scan->txn = CONTAINER_OF(base, struct mem_txn, base);
    scan->opts = *opts;
    scan->opts.mode = mem_txn_read_mode(scan->txn, opts->mode);
    buf_init(&scan->start, STORAGE_KEY_SIZE_MAX + 16);
    buf_init(&scan->end, STORAGE_KEY_SIZE_MAX + 16);
    arena_init(&scan->arena, NULL, NULL, 0);
    uint32_t first =
        opts->limit != 0 && opts->limit < FIRST_BATCH ? (uint32_t)opts->limit : FIRST_BATCH;
    scan->batch = first;
    if (scan->opts.batch_rows == 0 || scan->opts.batch_rows > MEM_SCAN_ROWS_MAX) {
        scan->opts.batch_rows = MEM_SCAN_ROWS_MAX;
    }
    db_err err = buf_append_slice(&scan->start, opts->start);
    if (err == ERR_OK) {
        err = buf_append_slice(&scan->end, opts->end);
    }
    if (err != ERR_OK) {
        mem_scan_close(&scan->base);
        return err;
    }
    if (scan->opts.mode == STORAGE_READ_PLAIN) {
        (void)mem_txn_read_ts(scan->txn);
    }
    *ret_scan = &scan->base;
    return ERR_OK;
}

void mem_scan_close(struct storage_scan *base)
{
    struct mem_scan *scan = CONTAINER_OF(base, struct mem_scan, base);
    buf_fini(&scan->start);
    buf_fini(&scan->end);
    arena_fini(&scan->arena);
    mem_free(scan);
}

/* ---- position ---- */

/* Everything up to and with the key is behind us. */
static db_err advance_past(struct mem_scan *scan, struct slice key)
{
    if (scan->opts.reverse) {
        buf_reset(&scan->end);
        TRY(buf_append_slice(&scan->end, key));
        scan->done = key.len == 0;
        return ERR_OK;
    }
    buf_reset(&scan->start);
    TRY(buf_append_slice(&scan->start, key));
    return buf_append_u8(&scan->start, 0);
}

static bool inside(const struct mem_scan *scan, struct slice key)
{
    if (scan->opts.reverse) {
        return slice_cmp(key, buf_slice(&scan->start)) >= 0;
    }
    return scan->end.len == 0 || slice_cmp(key, buf_slice(&scan->end)) < 0;
}

struct merge {
    struct mem_node *node; /* next of the committed keys, or NULL */
    struct wb_entry *own;  /* next of the own writes, or NULL */
};

static struct wb_entry *own_step(struct mem_scan *scan, struct wb_entry *e)
{
    const struct write_buffer *wb = &scan->txn->wb;
    while (e != NULL && !wb_is_write(e)) {
        e = scan->opts.reverse ? wb_seek_before(wb, e->key) : wb_next(e);
    }
    return e != NULL && inside(scan, e->key) ? e : NULL;
}

static struct mem_node *node_bound(const struct mem_scan *scan, struct mem_node *n)
{
    return n != NULL && inside(scan, mem_node_key(n)) ? n : NULL;
}

static void merge_seek(struct mem_scan *scan, struct merge *m)
{
    struct mem_store *s = &scan->txn->storage->store;
    const struct write_buffer *wb = &scan->txn->wb;
    if (scan->opts.reverse) {
        m->node = node_bound(scan, mem_store_seek_before(s, buf_slice(&scan->end)));
        m->own =
            wb->write_count == 0 ? NULL : own_step(scan, wb_seek_before(wb, buf_slice(&scan->end)));
    } else {
        m->node = node_bound(scan, mem_store_seek(s, buf_slice(&scan->start)));
        m->own = wb->write_count == 0 ? NULL : own_step(scan, wb_seek(wb, buf_slice(&scan->start)));
    }
}

/* < 0: the committed key comes first; 0: both are the same key; > 0: the own write comes first. */
static int merge_order(const struct mem_scan *scan, const struct merge *m)
{
    if (m->node == NULL || m->own == NULL) {
        return m->own == NULL ? -1 : 1;
    }
    int c = slice_cmp(mem_node_key(m->node), m->own->key);
    return scan->opts.reverse ? -c : c;
}

static void merge_step(struct mem_scan *scan, struct merge *m, int order)
{
    struct mem_store *s = &scan->txn->storage->store;
    if (order <= 0) {
        struct mem_node *n = m->node;
        m->node = node_bound(scan, scan->opts.reverse ? mem_store_seek_before(s, mem_node_key(n))
                                                      : mem_store_next(n));
    }
    if (order >= 0) {
        struct wb_entry *e = m->own;
        m->own = own_step(scan,
                          scan->opts.reverse ? wb_seek_before(&scan->txn->wb, e->key) : wb_next(e));
    }
}

/* ---- rows ---- */

static db_err add_row(struct mem_scan *scan, struct slice key, struct slice value, bool own)
{
    struct storage_kv *row = &scan->rows[scan->count];
    if (own) {
        row->key = key;
        row->value = scan->opts.keys_only ? SLICE_EMPTY : value;
    } else {
        TRY(arena_copy(&scan->arena, key, &row->key));
        row->value = SLICE_EMPTY;
        if (!scan->opts.keys_only) {
            TRY(arena_copy(&scan->arena, value, &row->value));
            scan->bytes += value.len;
        }
    }
    scan->bytes += key.len;
    scan->count++;
    return ERR_OK;
}

static bool batch_full(const struct mem_scan *scan)
{
    return scan->count == scan->batch || scan->bytes >= BATCH_BYTES_MAX;
}

/* One guarded section of a plain scan: up to MEM_SECTION_ROWS keys looked at. */
static db_err fill_section(struct mem_scan *scan, uint64_t ts)
{
    struct mem_store *s = &scan->txn->storage->store;
    db_err err = ERR_OK;
    struct merge m;
    struct slice last = SLICE_EMPTY;
    unsigned slot = mem_guard_enter(s);
    merge_seek(scan, &m);
    for (int looked = 0; err == ERR_OK && looked < MEM_SECTION_ROWS && !batch_full(scan);
         looked++) {
        if (m.node == NULL && m.own == NULL) {
            scan->done = true;
            break;
        }
        int order = merge_order(scan, &m);
        struct slice key = order < 0 ? mem_node_key(m.node) : m.own->key;
        if (order < 0) {
            const struct mem_version *v = mem_node_version(s, m.node, ts);
            if (v != NULL && !v->deleted) {
                err = add_row(scan, key, slice_of(v->data, v->len), false);
            }
        } else if (m.own->now.op == WB_PUT) {
            err = add_row(scan, key, m.own->now.value, true);
        }
        last = key;
        merge_step(scan, &m, order);
    }
    if (err == ERR_OK && last.len != 0) {
        err = advance_past(scan, last);
    }
    mem_guard_leave(s, slot);
    return err;
}

/* The next key that might be a row; copied into the batch's arena. */
static db_err find_candidate(struct mem_scan *scan, bool *ret_found, struct slice *ret_key)
{
    struct mem_store *s = &scan->txn->storage->store;
    db_err err = ERR_OK;
    bool found = false;
    struct merge m;
    unsigned slot = mem_guard_enter(s);
    merge_seek(scan, &m);
    for (int looked = 0; !found && err == ERR_OK && looked < MEM_SECTION_ROWS; looked++) {
        if (m.node == NULL && m.own == NULL) {
            scan->done = true;
            break;
        }
        int order = merge_order(scan, &m);
        struct slice key = order < 0 ? mem_node_key(m.node) : m.own->key;
        if (order < 0) {
            const struct mem_version *v = mem_node_version(s, m.node, MEM_TS_CURRENT);
            found = v != NULL && !v->deleted;
        } else {
            found = m.own->now.op == WB_PUT;
        }
        if (found) {
            err = arena_copy(&scan->arena, key, ret_key);
        }
        if (err == ERR_OK) {
            err = advance_past(scan, key);
        }
        if (!found && err == ERR_OK) {
            merge_step(scan, &m, order);
        }
    }
    mem_guard_leave(s, slot);
    *ret_found = found;
    return err;
}

/* Locks the candidate and adds it if it is a row now. */
static db_err lock_candidate(struct mem_scan *scan, struct slice key, struct diag *diag)
{
    struct mem_txn *t = scan->txn;
    struct mem_store *s = &t->storage->store;
    bool fresh = false;
    db_err err = mem_txn_lock_key(t, key, scan->opts.mode, scan->opts.wait, &fresh, diag);
    if (err == ERR_LOCK_NOWAIT && scan->opts.wait == STORAGE_SKIP_LOCKED) {
        return ERR_OK;
    }
    TRY(err);
    struct wb_entry *e = wb_find(&t->wb, key);
    ASSERT(e != NULL);
    if (wb_is_write(e)) {
        return e->now.op == WB_PUT ? add_row(scan, e->key, e->now.value, true) : ERR_OK;
    }
    unsigned slot = mem_guard_enter(s);
    const struct mem_node *n = mem_store_find(s, key);
    const struct mem_version *v = n == NULL ? NULL : mem_node_version(s, n, MEM_TS_CURRENT);
    bool row = v != NULL && !v->deleted;
    if (row) {
        err = add_row(scan, key, slice_of(v->data, v->len), false);
    }
    mem_guard_leave(s, slot);
    if (!row && fresh) {
        mem_lock_release_last(&t->storage->locks, t);
        e->lock = WB_UNLOCKED;
    }
    return err;
}

/* ---- with gaps ---- */

struct batch_keys {
    struct slice *keys;
    size_t count;
};

static db_err find_batch(struct mem_scan *scan, struct batch_keys *b)
{
    b->count = 0;
    while (!scan->done && b->count < scan->batch) {
        bool found;
        TRY(find_candidate(scan, &found, &b->keys[b->count]));
        b->count += found;
    }
    return ERR_OK;
}

/* Puts the scan back to where it stood. */
static db_err stand(struct mem_scan *scan, struct slice start, struct slice end)
{
    scan->done = false;
    buf_reset(&scan->start);
    buf_reset(&scan->end);
    TRY(buf_append_slice(&scan->start, start));
    return buf_append_slice(&scan->end, end);
}

/* What was looked through since the scan stood at [start, end). */
static void cover_of(const struct mem_scan *scan, struct slice *start, struct slice *end)
{
    if (!scan->done && scan->opts.reverse) {
        *start = buf_slice(&scan->end);
    } else if (!scan->done) {
        *end = buf_slice(&scan->start);
    }
}

/* An insert of another transaction in the way: *ret_again when it was waited for. */
static db_err await_insert(struct mem_scan *scan, struct slice start, struct slice end,
                           struct diag *diag, bool *ret_again)
{
    struct mem_txn *t = scan->txn;
    struct slice key;
    bool fresh;
    *ret_again = false;
    if (scan->opts.wait == STORAGE_SKIP_LOCKED) {
        return ERR_OK;
    }
    TRY(mem_mark_next(&t->storage->locks.spans, t, start, end, &scan->arena, ret_again, &key));
    if (!*ret_again) {
        return ERR_OK;
    }
    TRY(mem_txn_lock_key(t, key, scan->opts.mode, scan->opts.wait, &fresh, diag));
    if (fresh) { /* a candidate, if it is a row now */
        mem_lock_release_last(&t->storage->locks, t);
        wb_find(&t->wb, key)->lock = WB_UNLOCKED;
    }
    return ERR_OK;
}

static db_err fill_gaps(struct mem_scan *scan, struct diag *diag)
{
    struct mem_txn *t = scan->txn;
    struct mem_locks *l = &t->storage->locks;
    struct slice start, end;
    struct batch_keys b = {.keys = ARENA_ARRAY(&scan->arena, struct slice, scan->batch)};
    bool again = true;
    if (b.keys == NULL) {
        return ERR_NOMEM;
    }
    TRY(arena_copy(&scan->arena, buf_slice(&scan->start), &start));
    TRY(arena_copy(&scan->arena, buf_slice(&scan->end), &end));
    if (end.len != 0 && slice_cmp(start, end) >= 0) {
        scan->done = true;
        return ERR_OK;
    }
    while (again) {
        struct slice from = start, to = end;
        bool added;
        TRY(stand(scan, start, end));
        TRY(mem_span_lock(l, t, start, end, &added));
        mem_store_barrier(&t->storage->store);
        db_err err = find_batch(scan, &b);
        cover_of(scan, &from, &to);
        if (err == ERR_OK && added) {
            err = mem_span_keep(l, t, from, to);
        } else if (added) {
            mem_span_drop(l, t);
        }
        TRY(err);
        TRY(await_insert(scan, from, to, diag, &again));
    }
    for (size_t i = 0; i < b.count; i++) {
        TRY(lock_candidate(scan, b.keys[i], diag));
    }
    return ERR_OK;
}

static void begin_batch(struct mem_scan *scan)
{
    if (scan->arena.used > KEEP_MAX) {
        arena_fini(&scan->arena);
        arena_init(&scan->arena, NULL, NULL, 0);
    } else {
        arena_reset(&scan->arena);
    }
    if (scan->rows != NULL) {
        scan->batch = scan->batch * 2;
    }
    if (scan->batch > scan->opts.batch_rows) {
        scan->batch = scan->opts.batch_rows;
    }
    scan->count = scan->bytes = 0;
}

db_err mem_scan_next(struct storage_scan *base, struct diag *diag,
                     const struct storage_kv **ret_rows, size_t *ret_count)
{
    struct mem_scan *scan = CONTAINER_OF(base, struct mem_scan, base);
    begin_batch(scan);
    scan->rows = arena_alloc(&scan->arena, scan->batch * sizeof(*scan->rows));
    if (scan->rows == NULL) {
        return ERR_NOMEM;
    }
    bool plain = scan->opts.mode == STORAGE_READ_PLAIN;
    bool gaps = mem_txn_locks_gaps(scan->txn, scan->opts.mode);
    uint64_t ts = plain ? mem_txn_read_ts(scan->txn) : 0;
    while (!scan->done && !batch_full(scan)) {
        if (plain) {
            TRY(fill_section(scan, ts));
        } else if (gaps) {
            TRY(fill_gaps(scan, diag));
            if (scan->count != 0) {
                break; /* the batch has room for the rows of one turn only */
            }
        } else {
            bool found;
            struct slice key;
            TRY(find_candidate(scan, &found, &key));
            if (found) {
                TRY(lock_candidate(scan, key, diag));
            }
        }
        if (fiber_self() != NULL) {
            TRY(fiber_checkpoint());
        }
    }
    *ret_rows = scan->rows;
    *ret_count = scan->count;
    return ERR_OK;
}
