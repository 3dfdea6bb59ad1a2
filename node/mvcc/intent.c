/* Intents: the lock column family. */
#include "node/mvcc/mvcc.h"

#include "base/assert.h"
#include "base/fiber.h"
#include "node/store/varint.h"

enum { INTENT_VERSION = 1, FLAG_ASYNC = 1, HEAD_SIZE = 3 + 8 + 8 + 4, SECONDARIES_MAX = 1 << 16 };

static db_err append_slice(struct buf *b, struct slice s)
{
    uint8_t len[VARINT_MAX];
    TRY(buf_append(b, len, varint_put(len, s.len)));
    return buf_append_slice(b, s);
}

static db_err encode(struct buf *b, const struct mvcc_intent *in)
{
    uint8_t head[HEAD_SIZE];
    uint8_t count[VARINT_MAX];
    uint32_t ttl = __builtin_bswap32(in->ttl_ms);
    head[0] = INTENT_VERSION;
    head[1] = (uint8_t)in->op;
    head[2] = in->async_commit ? FLAG_ASYNC : 0;
    put_be64(head + 3, in->start_ts);
    put_be64(head + 11, in->min_commit_ts);
    memcpy(head + 19, &ttl, sizeof(ttl));
    TRY(buf_append(b, head, sizeof(head)));
    TRY(append_slice(b, in->primary));
    TRY(append_slice(b, in->value));
    TRY(buf_append(b, count, varint_put(count, in->secondary_count)));
    for (size_t i = 0; i < in->secondary_count; i++) {
        TRY(append_slice(b, in->secondaries[i]));
    }
    return ERR_OK;
}

db_err mvcc_write_intent(struct store_batch *b, struct slice key, const struct mvcc_intent *intent)
{
    struct buf value;
    buf_init(&value, STORE_BATCH_SIZE_MAX);
    db_err err = encode(&value, intent);
    if (err == ERR_OK) {
        err = store_batch_put(b, ENGINE_LOCK, key, buf_slice(&value));
    }
    buf_fini(&value);
    return err;
}

static bool get_slice(const uint8_t **pos, const uint8_t *end, struct slice *ret)
{
    uint64_t len;
    if (!varint_get(pos, end, &len) || len > (uint64_t)(end - *pos)) {
        return false;
    }
    *ret = slice_of(*pos, (size_t)len);
    *pos += len;
    return true;
}

/* What is of fixed size. */
static db_err decode_head(struct slice enc, struct mvcc_intent *ret)
{
    struct mvcc_intent in = {0};
    uint32_t ttl;
    if (enc.len < HEAD_SIZE || enc.ptr[0] != INTENT_VERSION || enc.ptr[1] > KV_LOCK_ONLY) {
        return ERR_CORRUPT;
    }
    in.op = (enum kv_op)enc.ptr[1];
    in.async_commit = (enc.ptr[2] & FLAG_ASYNC) != 0;
    in.start_ts = get_be64(enc.ptr + 3);
    in.min_commit_ts = get_be64(enc.ptr + 11);
    memcpy(&ttl, enc.ptr + 19, sizeof(ttl));
    in.ttl_ms = __builtin_bswap32(ttl);
    *ret = in;
    return ERR_OK;
}

/* Slices point into the encoding. */
static db_err decode(struct slice enc, struct arena *arena, struct mvcc_intent *ret)
{
    struct mvcc_intent in;
    uint64_t count;
    TRY(decode_head(enc, &in));
    const uint8_t *pos = enc.ptr + HEAD_SIZE;
    const uint8_t *end = enc.ptr + enc.len;
    if (!get_slice(&pos, end, &in.primary) || !get_slice(&pos, end, &in.value) ||
        !varint_get(&pos, end, &count) || count > SECONDARIES_MAX) {
        return ERR_CORRUPT;
    }
    in.secondary_count = (size_t)count;
    in.secondaries = ARENA_ARRAY(arena, struct slice, in.secondary_count);
    if (in.secondaries == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < in.secondary_count; i++) {
        if (!get_slice(&pos, end, &in.secondaries[i])) {
            return ERR_CORRUPT;
        }
    }
    *ret = in;
    return ERR_OK;
}

db_err mvcc_intent_get(struct engine *e, struct slice key, struct arena *arena, bool *ret_found,
                       struct mvcc_intent *ret_intent)
{
    bool found;
    struct slice value;
    TRY(engine_get(e, ENGINE_LOCK, key, arena, &found, &value));
    if (found) {
        TRY(decode(value, arena, ret_intent));
    }
    *ret_found = found;
    return ERR_OK;
}

db_err mvcc_intent_find(struct engine *e, const struct slice *keys, size_t count, ts_t own_ts,
                        struct arena *arena, size_t *ret_index, struct mvcc_intent *ret_intent)
{
    bool *found = ARENA_ARRAY(arena, bool, count);
    struct slice *values = ARENA_ARRAY(arena, struct slice, count);
    if (found == NULL || values == NULL) {
        return ERR_NOMEM;
    }
    TRY(engine_multi_get(e, ENGINE_LOCK, keys, count, arena, found, values));
    for (size_t i = 0; i < count; i++) {
        if (found[i]) {
            struct mvcc_intent in;
            TRY(decode(values[i], arena, &in));
            if (in.start_ts != own_ts) {
                *ret_intent = in;
                *ret_index = i;
                return ERR_OK;
            }
        }
    }
    *ret_index = count;
    return ERR_OK;
}

bool mvcc_intent_blocks(const struct mvcc_intent *intent, ts_t read_ts, ts_t own_ts)
{
    if (intent->start_ts == own_ts || intent->op == KV_LOCK_ONLY) {
        return false;
    }
    if (read_ts == TS_MAX) {
        return true;
    }
    /* It will be committed above start_ts, with async commit at or above min_commit_ts. */
    return intent->async_commit ? intent->min_commit_ts <= read_ts : intent->start_ts < read_ts;
}

/* ---- scans: of all intents but the one that is returned only the heads are looked at ---- */

struct intent_scan {
    struct engine *e;
    struct slice start, end;
    ts_t start_ts; /* 0: all */
    bool reverse;
    /* Not NULL: the first that blocks read_ts/own_ts is kept, or the key at which the walk ends. */
    struct mvcc_intent_at *blocker;
    ts_t read_ts, own_ts;
    size_t walk_max;
    size_t max;
    struct arena *arena;
    struct mvcc_intent_name *names;
    size_t count;
    size_t cap;
    size_t walked;
    bool stopped; /* at walk_max */
    bool done;
    enum engine_tier tier;
    db_err err;
};

static db_err keep_blocker(struct intent_scan *s, struct slice key, struct slice value)
{
    struct slice copy;
    TRY(arena_copy(s->arena, value, &copy));
    TRY(decode(copy, s->arena, &s->blocker->intent));
    TRY(arena_copy(s->arena, key, &s->blocker->key));
    s->count++;
    return ERR_OK;
}

static db_err keep_name(struct intent_scan *s, struct slice key, ts_t start_ts)
{
    if (s->count == s->cap) {
        size_t cap = s->cap == 0 ? 16 : s->cap * 2;
        struct mvcc_intent_name *grown = ARENA_ARRAY(s->arena, struct mvcc_intent_name, cap);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (s->count != 0) {
            memcpy(grown, s->names, s->count * sizeof(*grown));
        }
        s->names = grown;
        s->cap = cap;
    }
    TRY(arena_copy(s->arena, key, &s->names[s->count].key));
    s->names[s->count++].start_ts = start_ts;
    return ERR_OK;
}

static db_err look_at(struct intent_scan *s, struct slice key, struct slice value)
{
    struct mvcc_intent in;
    bool walk = s->blocker != NULL;
    if (walk && s->walked++ == s->walk_max) {
        s->stopped = s->done = true;
        return arena_copy(s->arena, key, &s->blocker->key);
    }
    TRY(decode_head(value, &in));
    if (walk ? mvcc_intent_blocks(&in, s->read_ts, s->own_ts)
             : s->start_ts == 0 || s->start_ts == in.start_ts) {
        TRY(walk ? keep_blocker(s, key, value) : keep_name(s, key, in.start_ts));
    }
    s->done = s->count == s->max;
    return ERR_OK;
}

static db_err scan_run(struct intent_scan *s, struct engine_iter *it)
{
    if (!s->reverse) {
        TRY(engine_iter_seek(it, s->start));
        while (it->valid && !s->done) {
            TRY(look_at(s, it->key, it->value));
            TRY(s->done ? ERR_OK : engine_iter_next(it));
        }
        return ERR_OK;
    }
    TRY(engine_iter_seek_for_prev(it, s->end));
    while (it->valid && !s->done) {
        TRY(look_at(s, it->key, it->value));
        TRY(s->done ? ERR_OK : engine_iter_prev(it));
    }
    return ERR_OK;
}

static void scan_job(void *arg)
{
    struct intent_scan *s = arg;
    struct engine_iter *it;
    s->count = s->walked = 0;
    s->stopped = false;
    s->done = s->max == 0;
    s->err = engine_iter_open(
        s->e, ENGINE_LOCK,
        &(struct engine_iter_opts){.tier = s->tier, .lower = s->start, .upper = s->end}, &it);
    if (s->err == ERR_OK) {
        s->err = scan_run(s, it);
        engine_iter_close(it);
    }
}

static db_err scan_intents(struct intent_scan *s)
{
    s->tier = ENGINE_CACHED;
    scan_job(s);
    if (s->err == ERR_WOULD_BLOCK) {
        s->tier = ENGINE_ANY;
        blocking_run(scan_job, s);
    }
    return s->err;
}

db_err mvcc_intent_scan(struct engine *e, struct slice start, struct slice end, ts_t start_ts,
                        size_t max, struct arena *arena, struct mvcc_intent_name **ret_names,
                        size_t *ret_count)
{
    struct intent_scan s = {
        .e = e, .start = start, .end = end, .start_ts = start_ts, .max = max, .arena = arena};
    TRY(scan_intents(&s));
    *ret_names = s.names;
    *ret_count = s.count;
    return ERR_OK;
}

db_err mvcc_intent_walk(struct engine *e, const struct mvcc_intent_walk *walk, struct arena *arena,
                        enum mvcc_walked *ret_walked, struct mvcc_intent_at *ret_intent)
{
    struct mvcc_intent_at blocker = {0};
    struct intent_scan s = {.e = e,
                            .start = walk->start,
                            .end = walk->end,
                            .reverse = walk->reverse,
                            .blocker = &blocker,
                            .read_ts = walk->read_ts,
                            .own_ts = walk->own_ts,
                            .walk_max = walk->max,
                            .max = 1,
                            .arena = arena};
    ASSERT(walk->max > 0);
    TRY(scan_intents(&s));
    *ret_walked = s.count != 0 ? MVCC_WALK_BLOCKED : s.stopped ? MVCC_WALK_MORE : MVCC_WALK_END;
    if (*ret_walked != MVCC_WALK_END) {
        *ret_intent = blocker;
    }
    return ERR_OK;
}
