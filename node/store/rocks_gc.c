/* Garbage collection of versions while RocksDB flushes and compacts.
 *
 * Readers are known: everybody at or above the safe point, and the listed snapshots below it. Of
 * each row only what one of these *points* sees matters: for every point the newest version at or
 * below it. The filter sees the entries of one flush or compaction in order, the versions of a row
 * newest first. Per row it holds the highest point p that no version has served yet, at first the
 * safe point:
 *   - versions above the safe point stay;
 *   - a version above p is seen by no point and goes;
 *   - the first version at or below p stays: it serves p and all points down to its own timestamp.
 *     p becomes the highest point below that. Without one, all older versions go.
 * That is right whatever other files hold: a version that is not here can only make one that is
 * kept superfluous. In front of what lies deeper there always remains a version that hides it from
 * all points, so nothing can resurface, except where a deletion is dropped:
 *   - a deletion may go only when it is not above the lowest point (a running transaction may have
 *     to notice it as a conflict), and when *no* older version of the row exists anywhere, in
 *     deeper levels in particular, which this compaction does not see. So the filter asks the
 *     database for an older version. It still finds those that this very compaction drops: the
 *     deletion then goes in the next one. Older versions cannot appear later: commits of one row
 *     have ascending timestamps, and what RocksDB's own tombstones hide now stays hidden by them.
 *     A flush drops no deletions: what they delete is mostly in the same memtable or deeper.
 *
 * Versions go without a tombstone, by a jump to the next entry that can matter: a hot row costs one
 * seek however many versions it has, and the file holds no trace of them. An entry that was written
 * twice (a replay of the log) may come back to light in a deeper file; it is as superfluous there
 * and goes when that file is compacted. A deletion is dropped with a tombstone, so its twin stays
 * hidden.
 *
 * One filter object serves one flush or (sub)compaction, on one thread, with the points as they
 * were at its start, which a restart finds (rocks_points.c): they only get fewer, and new ones are
 * above the safe point. A subcompaction that starts in the middle of a row only keeps more. If
 * memory runs out, everything stays. */
#include "node/store/rocks_int.h"

#include "base/alloc.h"
#include "base/clock.h"

struct gc_filter {
    struct rocks_engine *engine;
    bool flush;
    struct buf user_key; /* of the row whose versions are passing */
    bool have_key;
    bool served; /* all points are: the rest of the row goes */
    uint64_t safe_point;
    size_t left; /* of this row: points[left - 1] is the highest listed one not served yet */
    uint64_t at; /* the highest point not served */
    uint64_t kept;
    uint64_t versions;
    uint64_t tombstones;
    size_t count;
    uint64_t points[]; /* listed snapshots, ascending, below the safe point */
};

static bool older_exists(struct rocks_engine *r, struct slice data_key, bool *ret_exists)
{
    struct slice user = data_key_user(data_key);
    uint64_t ts = data_key_ts(data_key);
    if (ts == 0) {
        *ret_exists = false;
        return true;
    }
    struct engine_iter_opts opts = {
        .tier = ENGINE_ANY, .keys = &user, .key_count = 1, .bulk = true};
    struct engine_iter *it;
    struct buf key;
    buf_init(&key, STORE_BATCH_SIZE_MAX);
    if (data_key_set(&key, user, ts - 1) != ERR_OK) {
        buf_fini(&key);
        return false;
    }
    bool known = false;
    if (rocks__iter_open(&r->base, ENGINE_DATA, &opts, &it) == ERR_OK) {
        known = engine_iter_seek(it, buf_slice(&key)) == ERR_OK;
        *ret_exists = it->valid;
        engine_iter_close(it);
    }
    buf_fini(&key);
    return known;
}

static void next_row(struct gc_filter *f, struct slice user)
{
    buf_reset(&f->user_key);
    f->have_key = buf_append_slice(&f->user_key, user) == ERR_OK;
    f->served = false;
    f->left = f->count;
    f->at = f->safe_point;
}

static void serve_points(struct gc_filter *f, uint64_t ts)
{
    while (f->left != 0 && f->points[f->left - 1] >= ts) {
        f->left--;
    }
    f->served = f->left == 0;
    f->at = f->served ? 0 : f->points[f->left - 1];
}

/* To the first version at or below the highest point not served, or behind the row. */
static enum rocks_verdict jump(struct gc_filter *f, struct slice user, uint8_t *until,
                               size_t *ret_until_len)
{
    f->versions++;
    memcpy(until, user.ptr, user.len);
    put_be64(until + user.len, ~(f->served ? 0 : f->at));
    *ret_until_len = user.len + DATA_TS_SIZE;
    return ROCKS_SKIP_UNTIL;
}

static bool deletion_may_go(struct gc_filter *f, struct slice key)
{
    uint64_t lowest = f->count != 0 ? f->points[0] : f->safe_point;
    bool exists = true;
    return !f->flush && data_key_ts(key) <= lowest &&
           atomic_load_explicit(&f->engine->gc_ready, memory_order_acquire) &&
           older_exists(f->engine, key, &exists) && !exists;
}

static enum rocks_verdict judge(struct gc_filter *f, struct slice key, const uint8_t *value,
                                size_t value_len, uint8_t *until, size_t *ret_until_len)
{
    if (key.len < DATA_TS_SIZE || value_len == 0) {
        return ROCKS_KEEP;
    }
    struct slice user = data_key_user(key);
    uint64_t ts = data_key_ts(key);
    if (!f->have_key || !slice_eq(buf_slice(&f->user_key), user)) {
        next_row(f, user);
    }
    if (ts > f->safe_point || !f->have_key) {
        return ROCKS_KEEP;
    }
    if (ts != 0 && (f->served || ts > f->at)) {
        return jump(f, user, until, ret_until_len);
    }
    serve_points(f, ts);
    if (data_is_delete(value[0]) && deletion_may_go(f, key)) {
        f->tombstones++;
        return ROCKS_REMOVE;
    }
    return ROCKS_KEEP;
}

static enum rocks_verdict gc_one(void *filter, const uint8_t *key, size_t key_len,
                                 const uint8_t *value, size_t value_len, uint8_t *until,
                                 size_t *ret_until_len)
{
    struct gc_filter *f = filter;
    enum rocks_verdict v = judge(f, slice_of(key, key_len), value, value_len, until, ret_until_len);
    f->kept += v == ROCKS_KEEP;
    return v;
}

static void gc_close(void *filter)
{
    struct gc_filter *f = filter;
    if (f->flush) {
        atomic_fetch_add_explicit(&f->engine->gc_flush_kept, f->kept, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&f->engine->gc_versions, f->versions, memory_order_relaxed);
    atomic_fetch_add_explicit(&f->engine->gc_tombstones, f->tombstones, memory_order_relaxed);
    buf_fini(&f->user_key);
    mem_free(f);
}

static void *gc_open(void *state, bool flush)
{
    struct rocks_engine *r = state;
    pthread_mutex_lock(&r->kept_mutex);
    db_err ignored = rocks__points_keep(r); /* then by those of before */
    (void)ignored;
    uint64_t safe_point = r->kept_safe_point;
    size_t size = r->kept_count * sizeof(r->kept_points[0]);
    struct gc_filter *f = safe_point == 0 ? NULL : mem_calloc(1, sizeof(*f) + size);
    if (f != NULL) {
        f->count = r->kept_count;
        if (size != 0) {
            memcpy(f->points, r->kept_points, size);
        }
    }
    pthread_mutex_unlock(&r->kept_mutex);
    if (f == NULL) {
        return NULL;
    }
    f->engine = r;
    f->flush = flush;
    f->safe_point = safe_point;
    buf_init(&f->user_key, STORE_BATCH_SIZE_MAX);
    return f;
}

const struct rocks_filter_ops rocks__gc_ops = {
    .name = "skein.gc",
    .open = gc_open,
    .one = gc_one,
    .close = gc_close,
};

/* ---- the points ---- */

static bool listed(const struct rocks_engine *r, uint64_t ts)
{
    size_t low = 0;
    size_t high = r->gc_point_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (r->gc_points[mid] < ts) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < r->gc_point_count && r->gc_points[low] == ts;
}

/* What was neither at or above the old safe point nor listed may have lost versions already: it is
 * not taken up, so that reading there is an error and not a wrong answer. */
static size_t keep_known(const struct rocks_engine *r, uint64_t old_safe_point,
                         const uint64_t *snapshots, size_t count, uint64_t *copy)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        bool known = snapshots[i] >= old_safe_point || listed(r, snapshots[i]);
        if (known && (n == 0 || copy[n - 1] != snapshots[i])) {
            copy[n++] = snapshots[i];
        }
    }
    return n;
}

void rocks__set_safe_point(struct engine *e, uint64_t ts, const uint64_t *snapshots, size_t count)
{
    struct rocks_engine *r = rocks_of(e);
    uint64_t *copy = NULL;
    if (count != 0) {
        copy = mem_alloc(count * sizeof(*copy));
        if (copy == NULL) {
            return; /* what is in force protects them too */
        }
    }
    pthread_mutex_lock(&r->gc_mutex);
    uint64_t safe_point = atomic_load_explicit(&r->safe_point, memory_order_relaxed);
    if (ts >= safe_point) {
        count = keep_known(r, safe_point, snapshots, count, copy);
        uint64_t *old = r->gc_points;
        r->gc_points = copy;
        r->gc_point_count = count;
        copy = old;
        atomic_store_explicit(&r->safe_point, ts, memory_order_release);
    }
    pthread_mutex_unlock(&r->gc_mutex);
    mem_free(copy);
}

bool rocks__may_read_locked(const struct rocks_engine *r, uint64_t ts)
{
    return ts >= atomic_load_explicit(&r->safe_point, memory_order_relaxed) || listed(r, ts);
}

bool rocks__may_read(struct engine *e, uint64_t ts)
{
    struct rocks_engine *r = rocks_of(e);
    pthread_mutex_lock(&r->gc_mutex);
    bool may = rocks__may_read_locked(r, ts);
    pthread_mutex_unlock(&r->gc_mutex);
    return may;
}
