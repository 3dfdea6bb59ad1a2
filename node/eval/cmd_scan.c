/* scan: plain at read_ts, or with row locks on the newest versions.
 *
 * An intent in the way does not spoil what lies before it: the scan ends in front of it, and only
 * when nothing does lie before it is ERR_KEY_LOCKED returned. Intents that are not in the way (a
 * younger transaction's, the reader's own) may be many, and a page may end long before the last of
 * them: so some are looked at, then the rows up to there are read, and so on.
 *
 * With locks, rows are found first, then locked, then read again: a row may have changed or gone
 * while the lock was waited for. One that has gone ends the page: it may have been put back further
 * on (an index entry whose row was changed), among keys that were not there when the rows were
 * found.
 *
 * Rows under many beginnings of keys (`under`): the first of each. Who asks has locks elsewhere
 * that keep new ones out, and what was committed before he got them has been applied: no write that
 * is pending is waited for.
 *
 * With gaps the whole of what is asked for is locked against inserts before the rows are looked
 * for, and cut down to what was read after. An insert of another transaction that has its lock
 * already and is not committed is waited for, like a row that is locked; then all is read again. */
#include "node/eval/eval.h"

#include "base/fiber.h"
#include "base/sim_break.h"
#include "node/eval/eval_int.h"

/* Intents that are looked at before rows are read: at first, and at most. */
enum { WALK_FIRST = 64, WALK_MAX = 4096 };

/* Cuts the part off at the first intent in the way, or at the first that is not looked at. */
static db_err cut_at_intent(struct eval_range *r, const struct kv_scan_req *req, size_t walk_max,
                            struct mvcc_scan *io_part, enum mvcc_walked *ret_walked,
                            struct mvcc_intent_at *ret_at)
{
    *ret_walked = MVCC_WALK_END;
    if (LIKELY(!eval__may_have_intents(r))) {
        return ERR_OK;
    }
    struct mvcc_intent_walk walk = {.start = io_part->start,
                                    .end = io_part->end,
                                    .reverse = io_part->reverse,
                                    .read_ts = io_part->read_ts,
                                    .own_ts = req->own_ts,
                                    .max = walk_max};
    TRY(mvcc_intent_walk(r->engine, &walk, req->r.arena, ret_walked, ret_at));
    if (*ret_walked == MVCC_WALK_END) {
        return ERR_OK;
    }
    if (!io_part->reverse) {
        io_part->end = ret_at->key;
        return ERR_OK;
    }
    return arena_copy_next(req->r.arena, ret_at->key, &io_part->start);
}

static bool is_empty(const struct mvcc_scan *scan)
{
    return scan->end.len != 0 && slice_cmp(scan->start, scan->end) >= 0;
}

/* What of the scan lies behind the part. */
static void to_rest(const struct mvcc_scan *scan, struct mvcc_scan *io_part)
{
    if (scan->reverse) {
        io_part->end = io_part->start;
        io_part->start = scan->start;
    } else {
        io_part->start = io_part->end;
        io_part->end = scan->end;
    }
}

static db_err scan_rows(struct eval_range *r, const struct kv_scan_req *req,
                        const struct mvcc_scan *scan, struct diag *diag, struct kv_reply *reply,
                        struct mvcc_rows *ret_rows)
{
    struct mvcc_scan part = *scan;
    struct mvcc_rows rows = {0};
    struct mvcc_intent_at at;
    enum mvcc_walked walked;
    for (size_t walk = WALK_FIRST;; walk = walk < WALK_MAX ? walk * 2 : walk) {
        TRY(cut_at_intent(r, req, walk, &part, &walked, &at));
        TRY(is_empty(&part) ? ERR_OK : mvcc_scan(r->engine, &part, req->r.arena, &rows));
        if (LIKELY(walked != MVCC_WALK_MORE) || rows.more) {
            break;
        }
        to_rest(scan, &part);
        TRY(fiber_checkpoint());
    }
    TRY(eval__check_history(r, scan->read_ts, diag));
    if (walked == MVCC_WALK_BLOCKED && !rows.more) {
        if (rows.count == 0) {
            return eval__key_locked(&at.intent, at.key, diag, reply);
        }
        rows.more = true;
        rows.resume = scan->reverse ? part.start : part.end;
    }
    *ret_rows = rows;
    return ERR_OK;
}

/* The page ends behind the row keys[at]. */
static db_err end_behind(const struct kv_scan_req *req, struct mvcc_rows *rows, struct slice key)
{
    rows->more = true;
    rows->resume = key;
    return req->reverse ? ERR_OK : arena_copy_next(req->r.arena, key, &rows->resume);
}

/* Reads the rows that are locked (ascending keys), some at a time: they were found by their keys,
 * and how large they are is known now only. */
static db_err read_rows(struct eval_range *r, const struct kv_scan_req *req,
                        const struct slice *keys, size_t n, struct mvcc_rows *rows)
{
    enum { READ_FIRST = 16, READ_MAX = 256, READ_BYTES = 512 << 10 };
    struct kv_value values[READ_MAX];
    size_t bytes = 0;
    for (size_t done = 0; done < n;) {
        size_t m = done == 0 ? READ_FIRST : 1 + READ_BYTES / (bytes / done + 1);
        m = m < READ_MAX ? m : READ_MAX;
        m = m < n - done ? m : n - done;
        size_t first = req->reverse ? n - done - m : done;
        memset(values, 0, m * sizeof(values[0]));
        TRY(mvcc_multi_get(r->engine, keys + first, m, TS_MAX, req->r.arena, values));
        for (size_t k = 0; k < m; k++) {
            size_t i = req->reverse ? m - 1 - k : k;
            if (!values[i].found) {
                return end_behind(req, rows, keys[first + i]);
            }
            rows->pairs[rows->count].key = keys[first + i];
            rows->pairs[rows->count].value = req->keys_only ? SLICE_EMPTY : values[i].value;
            rows->versions[rows->count++] = values[i].version_ts;
            bytes += keys[first + i].len + values[i].value.len;
        }
        done += m;
        if (done < n && req->bytes_max != 0 && bytes >= req->bytes_max) {
            return end_behind(req, rows, rows->pairs[rows->count - 1].key);
        }
    }
    return ERR_OK;
}

/* Locks the rows, reads them again, leaves out those that were skipped, and ends at one that has
 * gone, or when there are many bytes; those behind are locked again with the next page. */
static db_err lock_rows(struct eval_range *r, const struct kv_scan_req *req, struct mvcc_rows *rows,
                        struct diag *diag, struct kv_reply *reply)
{
    struct slice *keys = ARENA_ARRAY(req->r.arena, struct slice, rows->count);
    ts_t *versions = ARENA_ARRAY(req->r.arena, ts_t, rows->count);
    size_t n = 0;
    if (keys == NULL || versions == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < rows->count; i++) {
        db_err err = row_lock(r->locks, rows->pairs[i].key, req->own_ts, req->r.owner, req->lock,
                              req->wait, req->lock_wait_ms, req->r.deadline_ns);
        if (err == ERR_LOCK_NOWAIT && req->wait == KV_SKIP_LOCKED) {
            continue;
        }
        if (err != ERR_OK) {
            reply->conflict_key = rows->pairs[i].key;
            return diag_set(diag, err, "%s", err_text(err));
        }
        keys[n++] = rows->pairs[i].key;
    }
    rows->versions = versions;
    rows->count = 0;
    if (n == 0) {
        return ERR_OK;
    }
    if (req->reverse) { /* the reads below want ascending keys */
        for (size_t i = 0; i < n / 2; i++) {
            struct slice k = keys[i];
            keys[i] = keys[n - 1 - i];
            keys[n - 1 - i] = k;
        }
    }
    TRY(eval__intents_of_keys(r, keys, n, TS_MAX, req->own_ts, req->r.arena, diag, reply));
    return read_rows(r, req, keys, n, rows);
}

/* An empty bound is the range's own, not the key space's: the check cannot tell. */
static db_err clamp_open_ends(struct eval_range *r, const struct kv_scan_req *req,
                              struct mvcc_scan *scan)
{
    struct slice start, end;
    if (LIKELY(scan->start.len != 0 && scan->end.len != 0)) {
        return ERR_OK;
    }
    TRY(r->ops->bounds(r, req->r.arena, &start, &end));
    if (scan->start.len == 0) {
        scan->start = start;
    }
    if (scan->end.len == 0) {
        scan->end = end;
    }
    return ERR_OK;
}

/* What the page covers. */
static void cover_of(const struct mvcc_scan *scan, const struct mvcc_rows *rows,
                     struct slice *ret_start, struct slice *ret_end)
{
    *ret_start = rows->more && scan->reverse ? rows->resume : scan->start;
    *ret_end = rows->more && !scan->reverse ? rows->resume : scan->end;
}

/* An insert under way in the page: *ret_again when it was waited for. */
static db_err await_insert(struct eval_range *r, const struct kv_scan_req *req, struct slice start,
                           struct slice end, struct diag *diag, struct kv_reply *reply,
                           bool *ret_again)
{
    struct slice key;
    *ret_again = false;
    if (req->wait == KV_SKIP_LOCKED) {
        return ERR_OK;
    }
    TRY(insert_next(r->locks, start, end, req->own_ts, req->r.arena, ret_again, &key));
    if (!*ret_again) {
        return ERR_OK;
    }
    db_err err = row_lock(r->locks, key, req->own_ts, req->r.owner, req->lock, req->wait,
                          req->lock_wait_ms, req->r.deadline_ns);
    if (err != ERR_OK) {
        reply->conflict_key = key;
        return diag_set(diag, err, "%s", err_text(err));
    }
    err = row_unlock(r->locks, key, req->own_ts);
    (void)err; /* sealed: it stays locked. If it is a row now, it is locked as such. */
    return ERR_OK;
}

static db_err scan_gaps(struct eval_range *r, const struct kv_scan_req *req,
                        const struct mvcc_scan *want, struct diag *diag, struct kv_reply *reply,
                        struct mvcc_rows *ret_rows)
{
    bool again = true;
    while (again) {
        struct mvcc_scan scan = *want;
        struct mvcc_rows rows = {0};
        struct slice start, end;
        uint64_t id;
        db_err err = span_lock(r->locks, scan.start, scan.end, req->own_ts, req->r.owner, &id);
        if (err != ERR_OK) {
            reply->conflict_key = scan.start;
            return diag_set(diag, err, "%s", err_text(err));
        }
        err = latch_wait_announced(r->locks, scan.start, scan.end, req->r.deadline_ns);
        if (err == ERR_OK) {
            err = scan_rows(r, req, &scan, diag, reply, &rows);
        }
        if (err != ERR_OK) {
            span_drop(r->locks, req->own_ts, id);
            return err;
        }
        cover_of(&scan, &rows, &start, &end);
        span_keep(r->locks, req->own_ts, id, start, end);
        TRY(await_insert(r, req, start, end, diag, reply, &again));
        *ret_rows = rows;
    }
    return ERR_OK;
}

/* [prefix, successor of it), within the scan. */
static db_err part_under(const struct mvcc_scan *scan, struct slice prefix, struct arena *arena,
                         struct mvcc_scan *ret_part)
{
    struct slice end;
    TRY(arena_copy(arena, prefix, &end));
    end.len = prefix_end((uint8_t *)(uintptr_t)end.ptr, end.len);
    *ret_part = *scan;
    ret_part->rows_max = 1;
    ret_part->start = slice_cmp(prefix, scan->start) > 0 ? prefix : scan->start;
    if (end.len != 0 && (scan->end.len == 0 || slice_cmp(end, scan->end) < 0)) {
        ret_part->end = end;
    }
    return ERR_OK;
}

static db_err scan_under(struct eval_range *r, const struct kv_scan_req *req,
                         const struct mvcc_scan *scan, struct diag *diag, struct kv_reply *reply,
                         struct mvcc_rows *ret_rows)
{
    struct kv_pair *pairs = ARENA_ARRAY(req->r.arena, struct kv_pair, req->under_count);
    size_t n = 0;
    if (pairs == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < req->under_count; i++) {
        struct mvcc_scan part;
        struct mvcc_rows rows = {0};
        TRY(part_under(scan, req->under[i], req->r.arena, &part));
        if (part.end.len != 0 && slice_cmp(part.start, part.end) >= 0) {
            continue;
        }
        TRY(scan_rows(r, req, &part, diag, reply, &rows));
        if (rows.count != 0) {
            pairs[n++] = rows.pairs[0];
        }
    }
    *ret_rows = (struct mvcc_rows){.pairs = pairs, .count = n};
    return ERR_OK;
}

static db_err rows_of(struct eval_range *r, const struct kv_scan_req *req, struct mvcc_scan *scan,
                      struct diag *diag, struct kv_reply *reply, struct mvcc_rows *ret_rows)
{
    bool locks = req->lock != KV_LOCK_NONE;
    if (req->under_count != 0) {
        return scan_under(r, req, scan, diag, reply, ret_rows);
    }
    /* Locks come first where they are asked for; a locker waits for the latch of each row. */
    if (!locks) {
        TRY(eval__await_range(r, &req->r, scan->start, scan->end, scan->read_ts, diag));
    }
    return locks && req->gaps && !SIM_BROKEN(SPANS)
               ? scan_gaps(r, req, scan, diag, reply, ret_rows)
               : scan_rows(r, req, scan, diag, reply, ret_rows);
}

db_err eval_scan(struct eval_range *r, const struct kv_scan_req *req, struct diag *diag,
                 struct kv_reply *reply, struct kv_scan_resp *ret_resp)
{
    bool locks = req->lock != KV_LOCK_NONE;
    struct mvcc_scan scan = {.start = req->start,
                             .end = req->end,
                             .read_ts = locks ? TS_MAX : req->read_ts,
                             .rows_max = req->rows_max,
                             .bytes_max = req->bytes_max,
                             .reverse = req->reverse,
                             .keys_only = req->keys_only || locks};
    struct mvcc_rows rows = {0};
    uint64_t term;
    if (req->rows_max == 0) {
        return diag_set(diag, ERR_INVALID, "scan: rows_max is 0");
    }
    if (req->under_count != 0 && (locks || req->reverse)) {
        return diag_set(diag, ERR_INVALID, "scan: rows under keys, with locks or backwards");
    }
    TRY(eval__check(r, &req->r, req->start, req->end, diag, reply, &term));
    TRY(clamp_open_ends(r, req, &scan));
    TRY(rows_of(r, req, &scan, diag, reply, &rows));
    if (locks && rows.count != 0) {
        TRY(lock_rows(r, req, &rows, diag, reply));
    }
    uint64_t lock_term = locks ? eval__lock_term(r, &req->r, req->own_ts) : 0;
    TRY(eval__check_again(r, &req->r, req->start, req->end, term, diag, reply));
    if (r->ops->note_load != NULL) {
        r->ops->note_load(r, req->start, 1 + (unsigned)(rows.count / SCANNED_ROWS_PER_UNIT));
    }
    *ret_resp = (struct kv_scan_resp){.pairs = rows.pairs,
                                      .versions = locks ? rows.versions : NULL,
                                      .count = rows.count,
                                      .more = rows.more,
                                      .resume = rows.resume,
                                      .lock_term = lock_term};
    return ERR_OK;
}
