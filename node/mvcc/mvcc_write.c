/* What transactions write, and the records by which others learn their fate. docs/formats/mvcc.md
 * gives the reasons for where records are kept. */
#include "node/mvcc/mvcc.h"

#include "base/assert.h"
#include "base/fiber.h"

enum { RECORD_COMMITTED = 'C', RECORD_ROLLED_BACK = 'R', RECORD_SIZE = 9 };

db_err mvcc_write_version(struct store_batch *b, struct slice key, ts_t commit_ts, enum kv_op op,
                          struct slice value)
{
    uint8_t suffix[DATA_TS_SIZE];
    uint8_t kind = op == KV_PUT ? DATA_PUT : DATA_DELETE;
    if (op == KV_LOCK_ONLY) {
        return ERR_OK;
    }
    ASSERT(commit_ts != 0 && commit_ts != TS_MAX);
    put_be64(suffix, ~commit_ts);
    return store_batch_put_parts(b, ENGINE_DATA, key, slice_of(suffix, sizeof(suffix)),
                                 slice_of(&kind, 1), op == KV_PUT ? value : SLICE_EMPTY);
}

db_err mvcc_write_named(struct store_batch *b, struct slice key, ts_t commit_ts, enum kv_op op,
                        struct slice value, ts_t start_ts)
{
    uint8_t suffix[DATA_TS_SIZE];
    uint8_t head[1 + VARINT_MAX];
    ASSERT(op != KV_LOCK_ONLY && start_ts < commit_ts && commit_ts != TS_MAX);
    put_be64(suffix, ~commit_ts);
    head[0] = op == KV_PUT ? DATA_PUT_NAMED : DATA_DELETE_NAMED;
    size_t n = 1 + varint_put(head + 1, commit_ts - start_ts);
    return store_batch_put_parts(b, ENGINE_DATA, key, slice_of(suffix, sizeof(suffix)),
                                 slice_of(head, n), op == KV_PUT ? value : SLICE_EMPTY);
}

/* The local key as two parts is not enough (three parts): built here. */
static db_err record_key(struct buf *out, struct slice key, ts_t start_ts)
{
    uint8_t ts[8];
    put_be64(ts, start_ts);
    TRY(buf_append_u8(out, LOCAL_TXN));
    TRY(buf_append_slice(out, key));
    return buf_append(out, ts, sizeof(ts));
}

db_err mvcc_write_txn_record(struct store_batch *b, struct slice key, ts_t start_ts,
                             enum mvcc_txn_record record, ts_t commit_ts)
{
    struct buf k;
    uint8_t value[RECORD_SIZE];
    ASSERT(record != MVCC_TXN_NONE);
    value[0] = record == MVCC_TXN_COMMITTED ? RECORD_COMMITTED : RECORD_ROLLED_BACK;
    put_be64(value + 1, commit_ts);
    buf_init(&k, STORE_BATCH_SIZE_MAX);
    db_err err = record_key(&k, key, start_ts);
    if (err == ERR_OK) {
        err = store_batch_put(b, ENGINE_LOCAL, buf_slice(&k), slice_of(value, sizeof(value)));
    }
    buf_fini(&k);
    return err;
}

db_err mvcc_write_commit(struct store_batch *b, struct slice key, const struct mvcc_intent *intent,
                         ts_t commit_ts)
{
    ASSERT(commit_ts > intent->start_ts);
    TRY(store_batch_delete(b, ENGINE_LOCK, key));
    TRY(mvcc_write_version(b, key, commit_ts, intent->op, intent->value));
    if (intent->async_commit || intent->op == KV_LOCK_ONLY || slice_eq(key, intent->primary)) {
        TRY(mvcc_write_txn_record(b, key, intent->start_ts, MVCC_TXN_COMMITTED, commit_ts));
    }
    return ERR_OK;
}

db_err mvcc_write_rollback(struct store_batch *b, struct slice key,
                           const struct mvcc_intent *intent)
{
    TRY(store_batch_delete(b, ENGINE_LOCK, key));
    if (intent->async_commit || slice_eq(key, intent->primary)) {
        TRY(mvcc_write_txn_record(b, key, intent->start_ts, MVCC_TXN_ROLLED_BACK, 0));
    }
    return ERR_OK;
}

db_err mvcc_write_delete_range(struct store_batch *b, struct slice start, struct slice end)
{
    struct buf from, to;
    buf_init(&from, STORE_BATCH_SIZE_MAX);
    buf_init(&to, STORE_BATCH_SIZE_MAX);
    db_err err = data_key_set(&from, start, TS_MAX);
    if (err == ERR_OK && end.len != 0) {
        err = data_key_set(&to, end, TS_MAX);
    }
    if (err == ERR_OK) {
        err = store_batch_delete_range(b, ENGINE_DATA, buf_slice(&from), buf_slice(&to));
    }
    if (err == ERR_OK) {
        err = store_batch_delete_range(b, ENGINE_LOCK, start, end);
    }
    buf_fini(&to);
    buf_fini(&from);
    return err;
}

db_err mvcc_txn_get(struct engine *e, struct slice key, ts_t start_ts, struct arena *arena,
                    enum mvcc_txn_record *ret_record, ts_t *ret_commit_ts)
{
    struct slice k, value;
    bool found;
    TRY(local_txn_key(arena, key, start_ts, &k));
    TRY(engine_get(e, ENGINE_LOCAL, k, arena, &found, &value));
    if (!found) {
        *ret_record = MVCC_TXN_NONE;
        return ERR_OK;
    }
    if (value.len != RECORD_SIZE ||
        (value.ptr[0] != RECORD_COMMITTED && value.ptr[0] != RECORD_ROLLED_BACK)) {
        return ERR_CORRUPT;
    }
    *ret_record = value.ptr[0] == RECORD_COMMITTED ? MVCC_TXN_COMMITTED : MVCC_TXN_ROLLED_BACK;
    *ret_commit_ts = get_be64(value.ptr + 1);
    return ERR_OK;
}

struct gc_job {
    struct engine *e;
    struct slice start, end;
    ts_t before;
    size_t max;
    struct buf *cursor;
    struct store_batch *batch;
    size_t count;
    db_err err;
};

/* Behind the last one: its key and a zero byte. */
static db_err note_cursor(struct gc_job *j, struct slice key)
{
    buf_reset(j->cursor);
    TRY(buf_append_slice(j->cursor, key));
    return buf_append_u8(j->cursor, 0);
}

static db_err gc_records(struct gc_job *j, struct engine_iter *it)
{
    TRY(engine_iter_seek(it, buf_slice(j->cursor)));
    while (it->valid && j->count < j->max && it->key.len >= 9 && it->key.ptr[0] == LOCAL_TXN) {
        struct slice key = slice_of(it->key.ptr + 1, it->key.len - 9);
        /* A record of key k sorts by k | ts: one of a key below the end may lie behind records of
         * longer keys, so a key beyond the end is left out, not the end of the walk, while it still
         * begins with the end. */
        bool beyond = j->end.len != 0 && slice_cmp(key, j->end) >= 0;
        if (beyond && !slice_starts_with(key, j->end)) {
            return ERR_OK;
        }
        if (!beyond && slice_cmp(key, j->start) >= 0 &&
            get_be64(it->key.ptr + it->key.len - 8) < j->before) {
            TRY(store_batch_delete(j->batch, ENGINE_LOCAL, it->key));
            TRY(++j->count == j->max ? note_cursor(j, it->key) : ERR_OK);
        }
        TRY(engine_iter_next(it));
    }
    return ERR_OK;
}

static void gc_run(void *arg)
{
    struct gc_job *j = arg;
    struct engine_iter *it;
    j->err = ERR_OK;
    if (j->cursor->len == 0) {
        j->err = buf_append_u8(j->cursor, LOCAL_TXN);
        j->err = j->err == ERR_OK ? buf_append_slice(j->cursor, j->start) : j->err;
    }
    if (j->err == ERR_OK) {
        j->err = engine_iter_open(
            j->e, ENGINE_LOCAL, &(struct engine_iter_opts){.tier = ENGINE_ANY, .bulk = true}, &it);
    }
    if (j->err == ERR_OK) {
        j->err = gc_records(j, it);
        engine_iter_close(it);
    }
}

db_err mvcc_txn_gc(struct engine *e, struct slice start, struct slice end, ts_t before, size_t max,
                   struct buf *cursor, struct store_batch *batch, size_t *ret_count)
{
    struct gc_job j = {.e = e,
                       .start = start,
                       .end = end,
                       .before = before,
                       .max = max,
                       .cursor = cursor,
                       .batch = batch};
    blocking_run(gc_run, &j);
    TRY(j.err);
    *ret_count = j.count;
    return ERR_OK;
}
