#include "node/meta/meta_int.h"

#include "base/assert.h"
#include "base/log.h"

/* The timestamp oracle: physical milliseconds and a counter in one number that only grows.
 *
 * A request takes its numbers with one atomic addition (or moves the number up to the present
 * millisecond with one exchange) and may return them when they lie below `limit`, which is
 * persisted in the meta range before it is used. A restart, and another node that takes the meta
 * range over, begins at the persisted limit: no number is given twice, whatever the crash or the
 * clock does. A number counts only if the lease is still held after it was taken (meta_timestamps):
 * a node that has lost it without knowing cannot hand out numbers below those of its successor.
 * Under load the limit is moved ahead in the background; after a pause the first request pays for
 * one write, and an idle oracle costs nothing.
 *
 * On a full disk the limit cannot be moved. Reads go on all the same: the number just below the
 * limit is kept back, and whoever only reads may have it (tso_last). It is above all that was ever
 * given, and by the time it is given nothing below the limit is given any more, so a reader at it
 * sees all that has been acknowledged, and nothing can be committed behind its back. Many readers
 * share it: it names no transaction.
 */

void tso_init(struct tso *t)
{
    atomic_init(&t->next, 0);
    atomic_init(&t->limit, 0);
    atomic_init(&t->prefetching, false);
    fiber_mutex_init(&t->lock);
}

static ts_t present(void)
{
    return (ts_t)(clock_wall_us() / 1000) << TS_LOGICAL_BITS;
}

/* Makes the limit at least `need`. */
static db_err extend(struct meta *m, ts_t need, struct diag *diag)
{
    struct tso *t = &m->tso;
    db_err err = ERR_OK;
    fiber_mutex_lock(&t->lock);
    uint64_t term = t->term;
    if (atomic_load(&m->term) != term) {
        err = diag_set(diag, ERR_NOT_LEADER, "the timestamp oracle has moved");
    } else if (atomic_load(&t->limit) < need) {
        ts_t now = present();
        bool ahead = atomic_load(&t->next) > now + TSO_WINDOW_AHEAD;
        ts_t window = range_store_disk_full(m->rs) ? TSO_WINDOW * TSO_FULL_FACTOR : TSO_WINDOW;
        ts_t limit = ahead ? need + TSO_WINDOW_AHEAD : now + window;
        limit = limit > need ? limit : need;
        err = meta_kv_write_u64(m, term, META_KEY_TSO, SLICE_EMPTY, limit, diag);
        if (err == ERR_OK) {
            atomic_store(&t->limit, limit);
        } else if (err == ERR_COMMIT_UNKNOWN) {
            /* the write may still come: the limit in force is the old one, and that is safe */
            err = diag_set(diag, ERR_UNAVAILABLE, "the timestamp oracle cannot write");
        }
    }
    fiber_mutex_unlock(&t->lock);
    return err;
}

db_err tso_load(struct meta *m, uint64_t term)
{
    struct arena a;
    struct slice v;
    bool found;
    ts_t limit = 0;
    arena_init(&a, NULL, NULL, 0);
    db_err err = meta_kv_get(m, META_KEY_TSO, SLICE_EMPTY, &a, &found, &v);
    if (err == ERR_OK && found) {
        err = meta_kv_u64(v, &limit);
    }
    arena_fini(&a);
    TRY(err);
    ts_t now = present();
    if (limit > now + TSO_WINDOW * 20) {
        LOG_WARN("meta.tso.clock", F_U64("ahead_ms", (limit - now) >> TS_LOGICAL_BITS));
    }
    fiber_mutex_lock(&m->tso.lock);
    m->tso.term = term;
    atomic_store(&m->tso.limit, limit);
    atomic_store(&m->tso.next, limit > now ? limit : now);
    fiber_mutex_unlock(&m->tso.lock);
    return ERR_OK;
}

void tso_give_back(struct meta *m)
{
    struct diag diag;
    ts_t next = atomic_load(&m->tso.next);
    diag_reset(&diag);
    if (next < atomic_load(&m->tso.limit)) {
        db_err err = meta_kv_write_u64(m, m->tso.term, META_KEY_TSO, SLICE_EMPTY, next, &diag);
        if (err != ERR_OK) {
            LOG_WARN("meta.tso.stop", F_ERR(err)); /* the next start begins a little ahead */
        }
    }
}

static void prefetch_fiber(void *arg)
{
    struct meta *m = arg;
    struct diag diag;
    diag_reset(&diag);
    db_err err = extend(m, atomic_load(&m->tso.limit) + 1, &diag);
    if (err != ERR_OK) {
        LOG_WARN("meta.tso.extend", F_ERR(err), F_STR("reason", diag.text));
    }
    atomic_store(&m->tso.prefetching, false);
    meta_fiber_ends(m);
}

static void prefetch(struct meta *m)
{
    if (!atomic_exchange(&m->tso.prefetching, true) && meta_spawn(m, prefetch_fiber, m) != ERR_OK) {
        atomic_store(&m->tso.prefetching, false);
    }
}

db_err tso_next(struct meta *m, uint32_t count, struct diag *diag, ts_t *ret_first)
{
    struct tso *t = &m->tso;
    ts_t now = present();
    ts_t first = atomic_load_explicit(&t->next, memory_order_relaxed);
    if (first >= now || !atomic_compare_exchange_strong(&t->next, &first, now + count)) {
        first = atomic_fetch_add(&t->next, count);
    } else {
        first = now;
    }
    ts_t end = first + count;
    ts_t limit = atomic_load_explicit(&t->limit, memory_order_acquire);
    if (UNLIKELY(end >= limit)) { /* limit - 1 is kept for tso_last */
        TRY(extend(m, end + 1, diag));
    } else if (UNLIKELY(limit - end <
                        (end > now + TSO_WINDOW_AHEAD ? TSO_WINDOW_AHEAD / 2 : TSO_WINDOW / 2))) {
        if (!atomic_load_explicit(&t->prefetching, memory_order_relaxed)) {
            prefetch(m);
        }
    }
    *ret_first = first;
    return ERR_OK;
}

ts_t tso_last(struct meta *m)
{
    struct tso *t = &m->tso;
    fiber_mutex_lock(&t->lock); /* the limit stays */
    ts_t limit = atomic_load(&t->limit);
    ts_t next = atomic_load(&t->next);
    while (next < limit && !atomic_compare_exchange_weak(&t->next, &next, limit)) {
    }
    fiber_mutex_unlock(&t->lock);
    return limit == 0 ? 0 : limit - 1;
}
