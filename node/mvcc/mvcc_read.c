/* Point reads: one seek to key | ^read_ts on a pooled iterator whose seeks the prefix filter may
 * answer. What is not in the block cache is read again on the blocking pool, the whole batch at
 * once. */
#include "node/mvcc/mvcc.h"

#include "base/fiber.h"

enum { KEY_INLINE = 256 };

static db_err copy_version(struct engine_iter *it, struct arena *arena, struct kv_value *ret)
{
    struct kv_value v = {0};
    if (it->valid) {
        struct slice row;
        uint64_t age;
        if (!data_value_get(it->value, &v.found, &row, &age)) {
            return ERR_CORRUPT;
        }
        v.version_ts = data_key_ts(it->key);
        if (v.found) {
            TRY(arena_copy(arena, row, &v.value));
        }
    }
    *ret = v;
    return ERR_OK;
}

static db_err seek_version(struct engine_iter *it, struct slice key, ts_t read_ts,
                           struct arena *arena, struct kv_value *ret)
{
    uint8_t space[KEY_INLINE + DATA_TS_SIZE];
    struct slice at;
    if (LIKELY(key.len <= KEY_INLINE)) {
        if (key.len != 0) {
            memcpy(space, key.ptr, key.len);
        }
        put_be64(space + key.len, ~read_ts);
        at = slice_of(space, key.len + DATA_TS_SIZE);
    } else {
        TRY(data_key_make(arena, key, read_ts, &at));
    }
    TRY(engine_iter_seek(it, at));
    return copy_version(it, arena, ret);
}

struct get_job {
    struct engine *e;
    const struct slice *keys;
    size_t count;
    ts_t read_ts;
    struct arena *arena;
    struct kv_value *values;
    enum engine_tier tier;
    db_err err;
};

static void get_run(void *arg)
{
    struct get_job *j = arg;
    struct engine_iter_opts opts = {.tier = j->tier, .keys = j->keys, .key_count = j->count};
    struct engine_iter *it;
    j->err = engine_iter_open(j->e, ENGINE_DATA, &opts, &it);
    if (j->err != ERR_OK) {
        return;
    }
    for (size_t i = 0; i < j->count && j->err == ERR_OK; i++) {
        j->err = seek_version(it, j->keys[i], j->read_ts, j->arena, &j->values[i]);
    }
    engine_iter_close(it);
}

db_err mvcc_multi_get(struct engine *e, const struct slice *keys, size_t count, ts_t read_ts,
                      struct arena *arena, struct kv_value *ret_values)
{
    struct get_job j = {e, keys, count, read_ts, arena, ret_values, ENGINE_CACHED, ERR_OK};
    get_run(&j);
    if (UNLIKELY(j.err == ERR_WOULD_BLOCK)) {
        j.tier = ENGINE_ANY;
        blocking_run(get_run, &j);
    }
    return j.err;
}

db_err mvcc_get(struct engine *e, struct slice key, ts_t read_ts, struct arena *arena,
                struct kv_value *ret_value)
{
    return mvcc_multi_get(e, &key, 1, read_ts, arena, ret_value);
}

/* ---- whose version ---- */

struct whose_job {
    struct engine *e;
    struct slice key;
    ts_t start_ts, above;
    struct arena *arena;
    enum engine_tier tier;
    ts_t commit_ts; /* 0: none */
    db_err err;
};

static db_err walk_versions(struct whose_job *j, struct engine_iter *it)
{
    struct slice at;
    TRY(data_key_make(j->arena, j->key, TS_MAX, &at));
    TRY(engine_iter_seek(it, at));
    while (it->valid && slice_eq(data_key_user(it->key), j->key)) {
        ts_t ts = data_key_ts(it->key);
        struct slice row;
        uint64_t age;
        bool put;
        if (ts <= j->above) {
            return ERR_OK;
        }
        if (!data_value_get(it->value, &put, &row, &age)) {
            return ERR_CORRUPT;
        }
        if (age != 0 && ts - age == j->start_ts) {
            j->commit_ts = ts;
            return ERR_OK;
        }
        TRY(engine_iter_next(it));
    }
    return ERR_OK;
}

static void whose_run(void *arg)
{
    struct whose_job *j = arg;
    struct engine_iter *it;
    j->err = engine_iter_open(
        j->e, ENGINE_DATA,
        &(struct engine_iter_opts){.tier = j->tier, .keys = &j->key, .key_count = 1}, &it);
    if (j->err == ERR_OK) {
        j->err = walk_versions(j, it);
        engine_iter_close(it);
    }
}

db_err mvcc_version_of(struct engine *e, struct slice key, ts_t start_ts, ts_t above,
                       struct arena *arena, ts_t *ret_commit_ts)
{
    struct whose_job j = {e, key, start_ts, above, arena, ENGINE_CACHED, 0, ERR_OK};
    whose_run(&j);
    if (j.err == ERR_WOULD_BLOCK) {
        j.tier = ENGINE_ANY;
        blocking_run(whose_run, &j);
    }
    TRY(j.err);
    *ret_commit_ts = j.commit_ts;
    return ERR_OK;
}
