/* Scans: forward and backward over the versions of a range.
 *
 * Forward, the versions of a row come newest first: the first one at or below read_ts is the row.
 * Backward they come oldest first: the last one at or below read_ts before the key changes is. Rows
 * with many versions are left by a seek after a few steps, so that a hot row costs no more than a
 * seek. A scan that meets a block that is not cached starts over on the blocking pool, where
 * read-ahead helps. */
#include "node/mvcc/mvcc.h"

#include "base/assert.h"
#include "base/fiber.h"

/* A row's versions are left by single steps, or, after so many, by a seek, which costs about as
 * much as they did. When the last row took a seek, the next one probably does too. A step back
 * searches the memtable, so there are fewer of them. */
enum { STEPS_MAX = 32, STEPS_MANY = 8, STEPS_BACK_MAX = 8, SEEK_STEPS = 32, KEY_MAX = 1 << 20 };

struct scan_run {
    struct engine *e;
    const struct mvcc_scan *s;
    struct arena *arena;
    const struct mvcc_rows *before; /* of the stretch before */
    struct mvcc_rows rows;
    enum engine_tier tier;
    db_err err;

    struct engine_iter *it;
    struct buf seek;  /* a data key */
    struct buf value; /* backward: the candidate */
    int steps_max;
    ts_t safe_point;
    uint64_t stepped; /* over versions that garbage collection may drop */
};

static db_err grow(struct scan_run *r)
{
    size_t first = r->s->rows_max < 128 ? r->s->rows_max : 128;
    size_t cap = r->rows.cap == 0 ? first : r->rows.cap * 2;
    struct kv_pair *pairs = arena_alloc(r->arena, cap * sizeof(*pairs));
    ts_t *versions = r->s->want_versions ? arena_alloc(r->arena, cap * sizeof(*versions)) : NULL;
    if (pairs == NULL || (r->s->want_versions && versions == NULL)) {
        return ERR_NOMEM;
    }
    if (r->rows.count != 0) {
        memcpy(pairs, r->rows.pairs, r->rows.count * sizeof(*pairs));
        if (versions != NULL) {
            memcpy(versions, r->rows.versions, r->rows.count * sizeof(*versions));
        }
    }
    r->rows.pairs = pairs;
    r->rows.versions = versions;
    r->rows.cap = cap;
    return ERR_OK;
}

/* key and value are copied together: one allocation a row. */
static db_err emit(struct scan_run *r, struct slice key, struct slice value, ts_t ts,
                   struct slice *ret_key)
{
    if (r->rows.count == r->rows.cap) {
        TRY(grow(r));
    }
    size_t value_len = r->s->keys_only ? 0 : value.len;
    uint8_t *p = arena_alloc(r->arena, key.len + value_len);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    if (key.len != 0) {
        memcpy(p, key.ptr, key.len);
    }
    if (value_len != 0) {
        memcpy(p + key.len, value.ptr, value_len);
    }
    struct kv_pair *pair = &r->rows.pairs[r->rows.count];
    pair->key = slice_of(p, key.len);
    pair->value = slice_of(p + key.len, value_len);
    if (r->rows.versions != NULL) {
        r->rows.versions[r->rows.count] = ts;
    }
    r->rows.count++;
    r->rows.bytes += key.len + value.len;
    *ret_key = pair->key;
    return ERR_OK;
}

static bool full(const struct scan_run *r)
{
    return r->rows.count >= r->s->rows_max ||
           (r->s->bytes_max != 0 && r->rows.bytes >= r->s->bytes_max);
}

static db_err seek_to(struct scan_run *r, struct slice key, ts_t ts)
{
    TRY(data_key_set(&r->seek, key, ts));
    return engine_iter_seek(r->it, buf_slice(&r->seek));
}

static inline bool at_key(const struct engine_iter *it, struct slice key)
{
    return it->valid && slice_eq(data_key_user(it->key), key);
}

/* Leaves the versions of the key, which must not be the iterator's own memory; it stands on the
 * version of ts. */
static db_err skip_forward(struct scan_run *r, struct slice key, ts_t ts)
{
    for (int i = 0; i < r->steps_max; i++) {
        TRY(engine_iter_next(r->it));
        if (!at_key(r->it, key)) {
            r->stepped += ts <= r->safe_point ? (unsigned)i : 0;
            r->steps_max = i < STEPS_MANY ? STEPS_MAX : r->steps_max;
            return ERR_OK;
        }
    }
    r->stepped += ts <= r->safe_point ? (unsigned)r->steps_max + SEEK_STEPS : 0;
    r->steps_max = STEPS_MANY;
    TRY(seek_to(r, key, 0));
    return at_key(r->it, key) ? engine_iter_next(r->it) : ERR_OK;
}

/* From a version that is too new to one that is not, or off the key. */
static db_err to_visible(struct scan_run *r, struct slice key)
{
    for (int i = 0; i < STEPS_MAX; i++) {
        TRY(engine_iter_next(r->it));
        if (!at_key(r->it, key) || data_key_ts(r->it->key) <= r->s->read_ts) {
            return ERR_OK;
        }
    }
    return seek_to(r, key, r->s->read_ts);
}

static db_err scan_forward(struct scan_run *r)
{
    struct buf current; /* the key when no row was emitted for it */
    uint64_t age;
    bool put;
    db_err err;
    buf_init(&current, KEY_MAX);
    TRY_GOTO(seek_to(r, r->s->start, TS_MAX), out);
    while (r->it->valid) {
        struct slice key = data_key_user(r->it->key);
        if (data_key_ts(r->it->key) > r->s->read_ts) {
            buf_reset(&current);
            TRY_GOTO(buf_append_slice(&current, key), out);
            key = buf_slice(&current);
            TRY_GOTO(to_visible(r, key), out);
            if (!at_key(r->it, key)) {
                continue;
            }
        }
        struct slice value = r->it->value;
        ts_t ts = data_key_ts(r->it->key);
        if (!data_value_get(value, &put, &value, &age)) {
            err = ERR_CORRUPT;
            goto out;
        }
        if (put) {
            TRY_GOTO(emit(r, key, value, ts, &key), out);
            if (full(r)) {
                r->rows.more = true;
                err = arena_copy_next(r->arena, key, &r->rows.resume);
                goto out;
            }
        } else if (key.ptr != current.ptr) {
            buf_reset(&current);
            TRY_GOTO(buf_append_slice(&current, key), out);
            key = buf_slice(&current);
        }
        TRY_GOTO(skip_forward(r, key, ts), out);
    }
    err = ERR_OK;
out:
    buf_fini(&current);
    return err;
}

/* Walks the versions of the key backwards, oldest first; the last visible one is in r->value.
 * Leaves the key. */
static db_err collect_backward(struct scan_run *r, struct slice key, ts_t *ret_ts)
{
    ts_t ts = 0;
    int steps = 0;
    while (at_key(r->it, key) && data_key_ts(r->it->key) <= r->s->read_ts) {
        ts = data_key_ts(r->it->key);
        buf_reset(&r->value);
        TRY(buf_append_slice(&r->value, r->it->value));
        r->stepped += steps != 0 && ts <= r->safe_point;
        if (++steps > STEPS_BACK_MAX) { /* many versions: go straight to the visible one */
            TRY(seek_to(r, key, r->s->read_ts));
            ts = data_key_ts(r->it->key);
            buf_reset(&r->value);
            TRY(buf_append_slice(&r->value, r->it->value));
            break;
        }
        TRY(engine_iter_prev(r->it));
    }
    for (steps = 0; at_key(r->it, key); steps++) {
        if (steps == STEPS_BACK_MAX) {
            TRY(data_key_set(&r->seek, key, TS_MAX));
            TRY(engine_iter_seek_for_prev(r->it, buf_slice(&r->seek)));
            break;
        }
        TRY(engine_iter_prev(r->it));
    }
    *ret_ts = ts;
    return ERR_OK;
}

static db_err scan_backward(struct scan_run *r)
{
    struct buf current;
    uint64_t age;
    bool put;
    db_err err;
    buf_init(&current, KEY_MAX);
    if (r->s->end.len == 0) {
        TRY_GOTO(engine_iter_seek_for_prev(r->it, SLICE_EMPTY), out);
    } else {
        TRY_GOTO(data_key_set(&r->seek, r->s->end, TS_MAX), out);
        TRY_GOTO(engine_iter_seek_for_prev(r->it, buf_slice(&r->seek)), out);
    }
    while (r->it->valid) {
        ts_t ts;
        struct slice key = data_key_user(r->it->key);
        buf_reset(&current);
        TRY_GOTO(buf_append_slice(&current, key), out);
        key = buf_slice(&current);
        TRY_GOTO(collect_backward(r, key, &ts), out);
        if (ts == 0) {
            continue;
        }
        struct slice value = buf_slice(&r->value);
        if (!data_value_get(value, &put, &value, &age)) {
            err = ERR_CORRUPT;
            goto out;
        }
        if (put) {
            TRY_GOTO(emit(r, key, value, ts, &key), out);
            if (full(r)) {
                r->rows.more = true;
                r->rows.resume = key;
                break;
            }
        }
    }
    err = ERR_OK;
out:
    buf_fini(&current);
    return err;
}

static db_err bounds_of(struct slice start, struct slice end, struct arena *arena,
                        struct engine_iter_opts *opts)
{
    TRY(data_key_make(arena, start, TS_MAX, &opts->lower));
    return end.len == 0 ? ERR_OK : data_key_make(arena, end, TS_MAX, &opts->upper);
}

static void run(void *arg)
{
    struct scan_run *r = arg;
    struct engine_iter_opts opts = {.tier = r->tier};
    r->err = bounds_of(r->s->start, r->s->end, r->arena, &opts);
    if (r->err != ERR_OK) {
        return;
    }
    r->rows = *r->before;
    r->steps_max = STEPS_MAX;
    r->safe_point = engine_safe_point(r->e);
    r->stepped = 0;
    r->err = engine_iter_open(r->e, ENGINE_DATA, &opts, &r->it);
    if (r->err != ERR_OK) {
        return;
    }
    buf_init(&r->seek, KEY_MAX);
    buf_init(&r->value, STORE_BATCH_SIZE_MAX);
    r->err = r->s->reverse ? scan_backward(r) : scan_forward(r);
    buf_fini(&r->value);
    buf_fini(&r->seek);
    engine_iter_close(r->it);
    engine_note_stepped(r->e, r->stepped);
}

db_err mvcc_scan(struct engine *e, const struct mvcc_scan *scan, struct arena *arena,
                 struct mvcc_rows *io_rows)
{
    struct scan_run r = {
        .e = e, .s = scan, .arena = arena, .before = io_rows, .tier = ENGINE_CACHED};
    ASSERT(!io_rows->more);
    run(&r);
    if (UNLIKELY(r.err == ERR_WOULD_BLOCK)) {
        r.tier = ENGINE_ANY;
        blocking_run(run, &r);
    }
    if (r.err == ERR_OK) {
        *io_rows = r.rows;
    }
    return r.err;
}

/* ---- split key ---- */

struct split_run {
    struct engine *e;
    struct slice start, end;
    size_t size_min;
    struct arena *arena;
    bool found;
    struct slice key;
    db_err err;
};

/* First pass: bytes in all. Second pass: the first key beyond half of them that is not the first
 * key of the range. */
static db_err split_pass(struct split_run *s, size_t half, size_t *ret_bytes)
{
    struct engine_iter_opts opts = {.tier = ENGINE_ANY, .bulk = true};
    struct engine_iter *it;
    struct buf first;
    size_t bytes = 0;
    db_err err;
    TRY(bounds_of(s->start, s->end, s->arena, &opts));
    TRY(engine_iter_open(s->e, ENGINE_DATA, &opts, &it));
    buf_init(&first, KEY_MAX);
    TRY_GOTO(engine_iter_seek(it, opts.lower), out);
    while (it->valid) {
        if (bytes == 0) {
            TRY_GOTO(buf_append_slice(&first, data_key_user(it->key)), out);
        }
        bytes += it->key.len + it->value.len;
        if (bytes > half && !slice_eq(buf_slice(&first), data_key_user(it->key)) &&
            slice_cmp(data_key_user(it->key), s->start) > 0) {
            s->found = true;
            err = arena_copy(s->arena, data_key_user(it->key), &s->key);
            goto out;
        }
        TRY_GOTO(engine_iter_next(it), out);
    }
    *ret_bytes = bytes;
    err = ERR_OK;
out:
    buf_fini(&first);
    engine_iter_close(it);
    return err;
}

static void split_run(void *arg)
{
    struct split_run *s = arg;
    size_t bytes = 0;
    s->err = split_pass(s, SIZE_MAX, &bytes);
    if (s->err == ERR_OK && bytes >= s->size_min) {
        s->err = split_pass(s, bytes / 2, &bytes);
    }
}

db_err mvcc_split_key(struct engine *e, struct slice start, struct slice end, size_t size_min,
                      struct arena *arena, bool *ret_found, struct slice *ret_key)
{
    struct split_run s = {.e = e, .start = start, .end = end, .size_min = size_min, .arena = arena};
    blocking_run(split_run, &s);
    TRY(s.err);
    *ret_found = s.found;
    *ret_key = s.key;
    return ERR_OK;
}
