#include "node/store/engine.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/fiber.h"
#include "node/store/keyspace.h"

void engine_close(struct engine *e, bool crash)
{
    if (e != NULL) {
        e->ops->close(e, crash);
    }
}

db_err engine_iter_open(struct engine *e, enum engine_cf cf, const struct engine_iter_opts *opts,
                        struct engine_iter **ret_iter)
{
    ASSERT(cf < ENGINE_CF_COUNT);
    ASSERT(opts->keys == NULL || (cf == ENGINE_DATA && opts->snapshot == NULL &&
                                  opts->lower.len == 0 && opts->upper.len == 0));
    return e->ops->iter_open(e, cf, opts, ret_iter);
}

void engine_iter_close(struct engine_iter *it)
{
    if (it != NULL) {
        it->ops->close(it);
    }
}

db_err engine_get_tier(struct engine *e, enum engine_cf cf, struct slice key, enum engine_tier tier,
                       struct arena *arena, bool *ret_found, struct slice *ret_value)
{
    return e->ops->get(e, cf, key, tier, arena, ret_found, ret_value);
}

struct get_job {
    struct engine *e;
    enum engine_cf cf;
    const struct slice *keys;
    size_t count;
    struct arena *arena;
    bool *found;
    struct slice *values;
    db_err err;
};

static void get_blocking(void *arg)
{
    struct get_job *j = arg;
    j->err = j->e->ops->multi_get(j->e, j->cf, j->keys, j->count, ENGINE_ANY, j->arena, j->found,
                                  j->values);
}

db_err engine_get(struct engine *e, enum engine_cf cf, struct slice key, struct arena *arena,
                  bool *ret_found, struct slice *ret_value)
{
    db_err err = e->ops->get(e, cf, key, ENGINE_CACHED, arena, ret_found, ret_value);
    if (LIKELY(err != ERR_WOULD_BLOCK)) {
        return err;
    }
    struct get_job j = {e, cf, &key, 1, arena, ret_found, ret_value, ERR_OK};
    blocking_run(get_blocking, &j);
    return j.err;
}

db_err engine_multi_get(struct engine *e, enum engine_cf cf, const struct slice *keys, size_t count,
                        struct arena *arena, bool *ret_found, struct slice *ret_values)
{
    db_err err = e->ops->multi_get(e, cf, keys, count, ENGINE_CACHED, arena, ret_found, ret_values);
    if (LIKELY(err != ERR_WOULD_BLOCK)) {
        return err;
    }
    struct get_job j = {e, cf, keys, count, arena, ret_found, ret_values, ERR_OK};
    blocking_run(get_blocking, &j);
    return j.err;
}

db_err engine_snapshot_open(struct engine *e, struct engine_snapshot **ret_snapshot)
{
    return e->ops->snapshot_open(e, ret_snapshot);
}

void engine_snapshot_close(struct engine *e, struct engine_snapshot *snapshot)
{
    if (snapshot != NULL) {
        e->ops->snapshot_close(e, snapshot);
    }
}

db_err engine_approximate_size(struct engine *e, enum engine_cf cf, struct slice start,
                               struct slice end, uint64_t *ret_size)
{
    return e->ops->approximate_size(e, cf, start, end, ret_size);
}

void engine_in_memory(struct engine *e, struct slice start, struct slice end, uint64_t *ret_entries,
                      uint64_t *ret_bytes)
{
    e->ops->in_memory(e, start, end, ret_entries, ret_bytes);
}

/* ---- writes ---- */

db_err engine_wbatch_new(struct engine *e, struct engine_wbatch **ret_batch)
{
    return e->ops->wbatch_new(e, ret_batch);
}

void engine_wbatch_free(struct engine_wbatch *b)
{
    if (b != NULL) {
        b->ops->free(b);
    }
}

void engine_wbatch_reset(struct engine_wbatch *b)
{
    b->ops->reset(b);
}

size_t engine_wbatch_size(const struct engine_wbatch *b)
{
    return b->ops->size(b);
}

static db_err check_encoding(struct slice encoded)
{
    struct store_batch_reader r;
    struct store_op op;
    bool more = true;
    TRY(store_batch_reader_init(&r, encoded));
    while (more) {
        TRY(store_batch_reader_next(&r, &more, &op));
    }
    return ERR_OK;
}

db_err engine_wbatch_add(struct engine_wbatch *b, struct slice encoded)
{
    struct store_batch_reader r;
    struct store_op op;
    bool more;
    TRY(check_encoding(encoded));
    TRY(store_batch_reader_init(&r, encoded));
    for (;;) {
        TRY(store_batch_reader_next(&r, &more, &op));
        if (!more) {
            return ERR_OK;
        }
        switch (op.kind) {
        case STORE_PUT: b->ops->put(b, op.cf, op.key, op.value); break;
        case STORE_DELETE: b->ops->del(b, op.cf, op.key, false); break;
        case STORE_SINGLE_DELETE: b->ops->del(b, op.cf, op.key, true); break;
        case STORE_DELETE_RANGE: TRY(b->ops->delete_range(b, op.cf, op.key, op.value)); break;
        }
    }
}

db_err engine_wbatch_put(struct engine_wbatch *b, enum engine_cf cf, struct slice key,
                         struct slice value)
{
    ASSERT(cf != ENGINE_DATA || key.len >= DATA_TS_SIZE);
    b->ops->put(b, cf, key, value);
    return ERR_OK;
}

db_err engine_wbatch_delete(struct engine_wbatch *b, enum engine_cf cf, struct slice key)
{
    ASSERT(cf != ENGINE_DATA || key.len >= DATA_TS_SIZE);
    b->ops->del(b, cf, key, false);
    return ERR_OK;
}

db_err engine_wbatch_delete_range(struct engine_wbatch *b, enum engine_cf cf, struct slice start,
                                  struct slice end)
{
    return b->ops->delete_range(b, cf, start, end);
}

db_err engine_wbatch_applied(struct engine_wbatch *b, uint64_t range_id, uint64_t index,
                             uint64_t term)
{
    uint8_t key[LOCAL_RANGE_KEY_SIZE];
    uint8_t value[16];
    local_range_key(key, range_id, LOCAL_RANGE_APPLIED);
    put_be64(value, index);
    put_be64(value + 8, term);
    b->ops->put(b, ENGINE_LOCAL, slice_of(key, sizeof(key)), slice_of(value, sizeof(value)));
    return ERR_OK;
}

struct apply_job {
    struct engine *e;
    struct engine_wbatch *b;
    struct diag *diag;
    db_err err;
};

static void apply_blocking(void *arg)
{
    struct apply_job *j = arg;
    j->err = j->e->ops->apply(j->e, j->b, true, j->diag);
}

db_err engine_apply(struct engine *e, struct engine_wbatch *b, struct diag *diag)
{
    if (fiber_self() == NULL) {
        return e->ops->apply(e, b, true, diag);
    }
    db_err err = e->ops->apply(e, b, false, diag);
    if (LIKELY(err != ERR_WOULD_BLOCK)) {
        return err;
    }
    struct apply_job j = {e, b, diag, ERR_OK};
    blocking_run(apply_blocking, &j);
    return j.err;
}

db_err engine_try_apply(struct engine *e, struct engine_wbatch *b, struct diag *diag)
{
    return e->ops->apply(e, b, false, diag);
}

void engine_flush_async(struct engine *e, struct engine_flush *f)
{
    e->ops->flush_async(e, f);
}

struct flush_wait {
    struct engine_flush f;
    struct waiter w;
};

static void flush_woken(struct engine_flush *f, db_err err)
{
    struct flush_wait *fw = CONTAINER_OF(f, struct flush_wait, f);
    wait_signal(&fw->w, (int)err);
}

struct flush_thread_wait {
    struct engine_flush f;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool done;
    db_err err;
};

static void flush_thread_woken(struct engine_flush *f, db_err err)
{
    struct flush_thread_wait *w = CONTAINER_OF(f, struct flush_thread_wait, f);
    pthread_mutex_lock(&w->mutex);
    w->done = true;
    w->err = err;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mutex);
}

static db_err flush_wait_thread(struct engine *e)
{
    struct flush_thread_wait w = {.f = {.fn = flush_thread_woken},
                                  .mutex = PTHREAD_MUTEX_INITIALIZER,
                                  .cond = PTHREAD_COND_INITIALIZER};
    engine_flush_async(e, &w.f);
    pthread_mutex_lock(&w.mutex);
    while (!w.done) {
        pthread_cond_wait(&w.cond, &w.mutex);
    }
    pthread_mutex_unlock(&w.mutex);
    pthread_mutex_destroy(&w.mutex);
    pthread_cond_destroy(&w.cond);
    return w.err;
}

db_err engine_flush_wait(struct engine *e)
{
    if (fiber_self() == NULL) {
        return flush_wait_thread(e);
    }
    struct flush_wait fw = {.f = {.fn = flush_woken}};
    wait_init(&fw.w);
    engine_flush_async(e, &fw.f);
    wait_block_uncancelable(&fw.w);
    return (db_err)fw.w.result;
}

/* ---- applied positions ---- */

static db_err applied(struct engine *e, uint64_t range_id, bool durable, uint64_t *ret_index,
                      uint64_t *ret_term)
{
    uint8_t key[LOCAL_RANGE_KEY_SIZE];
    struct arena arena;
    struct slice value = SLICE_EMPTY;
    bool found = false;
    local_range_key(key, range_id, LOCAL_RANGE_APPLIED);
    arena_init(&arena, NULL, NULL, 0);
    struct slice k = slice_of(key, sizeof(key));
    db_err err = durable ? e->ops->get_durable(e, k, &arena, &found, &value)
                         : engine_get(e, ENGINE_LOCAL, k, &arena, &found, &value);
    if (err == ERR_OK && found && value.len != 16) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK) {
        *ret_index = found ? get_be64(value.ptr) : 0;
        *ret_term = found ? get_be64(value.ptr + 8) : 0;
    }
    arena_fini(&arena);
    return err;
}

db_err engine_applied(struct engine *e, uint64_t range_id, uint64_t *ret_index, uint64_t *ret_term)
{
    return applied(e, range_id, false, ret_index, ret_term);
}

db_err engine_applied_durable(struct engine *e, uint64_t range_id, uint64_t *ret_index,
                              uint64_t *ret_term)
{
    return applied(e, range_id, true, ret_index, ret_term);
}

/* ---- files and upkeep ---- */

db_err engine_sst_open(struct engine *e, enum engine_cf cf, const char *path,
                       struct engine_sst **ret_sst)
{
    return e->ops->sst_open(e, cf, path, ret_sst);
}

db_err engine_sst_put(struct engine_sst *s, struct slice key, struct slice value)
{
    return s->ops->put(s, key, value);
}

db_err engine_sst_finish(struct engine_sst *s, uint64_t *ret_size)
{
    return s->ops->finish(s, ret_size);
}

void engine_sst_close(struct engine_sst *s)
{
    if (s != NULL) {
        s->ops->close(s);
    }
}

db_err engine_ingest(struct engine *e, enum engine_cf cf, const char *const *paths, size_t count,
                     struct diag *diag)
{
    return e->ops->ingest(e, cf, paths, count, diag);
}

void engine_set_safe_point(struct engine *e, uint64_t ts, const uint64_t *snapshots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ASSERT(snapshots[i] < ts && (i == 0 || snapshots[i - 1] <= snapshots[i]));
    }
    e->ops->set_safe_point(e, ts, snapshots, count);
}

db_err engine_gone_points(struct engine *e, struct arena *arena, struct engine_points *ret_points)
{
    return e->ops->gone_points(e, arena, ret_points);
}

db_err engine_join_points(struct engine *e, const struct engine_points *points)
{
    for (size_t i = 0; i < points->count; i++) {
        ASSERT(i == 0 || points->snapshots[i - 1] <= points->snapshots[i]);
    }
    return e->ops->join_points(e, points);
}

bool engine_may_read_slow(struct engine *e, uint64_t ts)
{
    return e->ops->may_read(e, ts);
}

uint64_t engine_safe_point(const struct engine *e)
{
    return e->ops->safe_point(e);
}

db_err engine_compact(struct engine *e, enum engine_cf cf, struct slice start, struct slice end)
{
    return e->ops->compact(e, cf, start, end);
}

db_err engine_checkpoint(struct engine *e, const char *dir, struct diag *diag)
{
    return e->ops->checkpoint(e, dir, diag);
}

void engine_get_stats(struct engine *e, struct engine_stats *ret_stats)
{
    e->ops->stats(e, ret_stats);
}
