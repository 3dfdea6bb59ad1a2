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
 * A calendar clock that is set back stands behind the oracle, perhaps for hours. The oracle takes
 * nothing back and does not stand still either: what is measured in its time, such as how long rows
 * are kept for a transaction that nobody hears of, has to come to an end. So it goes on by the
 * monotonic clock, at half the rate, and the calendar catches up.
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
    atomic_init(&t->ahead_ns, 0);
    atomic_init(&t->limit, 0);
    atomic_init(&t->extending, false);
    fiber_mutex_init(&t->lock);
    fiber_cond_init(&t->extended);
}

static ts_t present(void)
{
    return (ts_t)(clock_wall_us() / 1000) << TS_LOGICAL_BITS;
}

/* One write of a new limit. Only the fiber that has set `extending` is here; the lock is not held
 * meanwhile, for on a full disk the write may take until there is space again. */
static db_err write_limit(struct meta *m, uint64_t term, ts_t need, struct diag *diag)
{
    struct tso *t = &m->tso;
    ts_t now = present();
    bool ahead = atomic_load(&t->next) > now + TSO_WINDOW_AHEAD;
    ts_t window = range_store_disk_full(m->rs) ? TSO_WINDOW * TSO_FULL_FACTOR : TSO_WINDOW;
    ts_t limit = ahead ? need + TSO_WINDOW_AHEAD : now + window;
    limit = limit > need ? limit : need;
    db_err err = meta_kv_write_u64(m, term, META_KEY_TSO, SLICE_EMPTY, limit, diag);
    if (err == ERR_COMMIT_UNKNOWN) {
        /* it may still come: the limit in force is the old one, and that is safe */
        return diag_set(diag, ERR_UNAVAILABLE, "the timestamp oracle cannot write");
    }
    if (err == ERR_OK) {
        fiber_mutex_lock(&t->lock);
        if (t->term == term && atomic_load(&t->limit) < limit) {
            atomic_store(&t->limit, limit);
        }
        fiber_mutex_unlock(&t->lock);
    }
    return err;
}

static void extend_fiber(void *arg)
{
    struct meta *m = arg;
    struct tso *t = &m->tso;
    struct diag diag;
    diag_reset(&diag);
    fiber_mutex_lock(&t->lock);
    uint64_t term = t->term;
    ts_t need = t->need > atomic_load(&t->limit) ? t->need : atomic_load(&t->limit) + 1;
    fiber_mutex_unlock(&t->lock);
    db_err err = write_limit(m, term, need, &diag);
    if (err != ERR_OK) {
        LOG_WARN("meta.tso.extend", F_ERR(err), F_STR("reason", diag.text));
    }
    fiber_mutex_lock(&t->lock);
    t->round++;
    t->err = err;
    atomic_store(&t->extending, false);
    fiber_cond_broadcast(&t->extended);
    fiber_mutex_unlock(&t->lock);
    meta_fiber_ends(m);
}

static db_err begin_extending(struct meta *m)
{
    db_err err = ERR_OK;
    if (!atomic_exchange(&m->tso.extending, true)) {
        err = meta_spawn(m, extend_fiber, m);
        if (err != ERR_OK) {
            atomic_store(&m->tso.extending, false);
        }
    }
    return err;
}

/* Under the lock: waits for the write on its way. ERR_DISK_FULL when that waits for space. */
static db_err await_extension(struct meta *m, struct diag *diag)
{
    struct tso *t = &m->tso;
    uint64_t round = t->round;
    while (t->round == round) {
        db_err err = fiber_cond_wait(&t->extended, &t->lock, clock_mono_ns() + TSO_FULL_WAIT_NS);
        bool mine = err == ERR_TIMEOUT && clock_mono_ns() >= fiber_deadline();
        if (err == ERR_TIMEOUT && !mine && !range_store_disk_full(m->rs)) {
            continue; /* not with a deadline of our own over: there would be no wait any more */
        }
        if (mine) {
            return diag_set(diag, err, "no timestamp was reserved in time");
        }
        if (err != ERR_OK) {
            return diag_set(diag, err == ERR_TIMEOUT ? ERR_DISK_FULL : err,
                            "no timestamp can be reserved: %s", err_text(err));
        }
    }
    return ERR_OK;
}

/* Makes the limit at least `need`. */
static db_err extend(struct meta *m, ts_t need, struct diag *diag)
{
    struct tso *t = &m->tso;
    db_err err = ERR_OK;
    bool own_round = false; /* a round that began after this call has ended */
    fiber_mutex_lock(&t->lock);
    uint64_t term = t->term;
    while (err == ERR_OK && atomic_load(&t->limit) < need) {
        if (atomic_load(&m->term) != t->term || t->term != term) {
            err = diag_set(diag, ERR_NOT_LEADER, "the timestamp oracle has moved");
        } else if (own_round && t->err != ERR_OK) {
            err = diag_set(diag, t->err, "no timestamp can be reserved: %s", err_text(t->err));
        } else {
            own_round = !atomic_load(&t->extending);
            t->need = need > t->need ? need : t->need;
            err = begin_extending(m);
            err = err == ERR_OK ? await_extension(m, diag) : err;
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
    m->tso.need = 0;
    atomic_store(&m->tso.limit, limit);
    atomic_store(&m->tso.next, limit > now ? limit : now);
    atomic_store(&m->tso.ahead_ns, 0);
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

/* The clock stands behind. */
static void move_on_ahead(struct tso *t)
{
    const uint64_t step = 2 * NS_PER_MS; /* in which the oracle goes on by one */
    uint64_t now = clock_mono_ns();
    uint64_t since = atomic_load(&t->ahead_ns);
    uint64_t steps = since != 0 && now > since ? (now - since) / step : 0;
    uint64_t moved = since == 0 ? now : since + steps * step;
    if (moved != since && atomic_compare_exchange_strong(&t->ahead_ns, &since, moved)) {
        atomic_fetch_add(&t->next, (ts_t)steps << TS_LOGICAL_BITS);
    }
}

db_err tso_next(struct meta *m, uint32_t count, struct diag *diag, ts_t *ret_first)
{
    struct tso *t = &m->tso;
    ts_t now = present();
    ts_t first = atomic_load_explicit(&t->next, memory_order_relaxed);
    if (UNLIKELY(first > now + TSO_WINDOW_AHEAD)) {
        move_on_ahead(t);
    } else if (UNLIKELY(atomic_load_explicit(&t->ahead_ns, memory_order_relaxed) != 0)) {
        atomic_store(&t->ahead_ns, 0);
    }
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
        if (!atomic_load_explicit(&t->extending, memory_order_relaxed)) {
            db_err ignored = begin_extending(m); /* else whoever needs it does it */
            (void)ignored;
        }
    }
    *ret_first = first;
    return ERR_OK;
}

ts_t tso_last(struct meta *m)
{
    struct tso *t = &m->tso;
    ts_t limit = atomic_load(&t->limit); /* should it move now, numbers go on above the old one */
    ts_t next = atomic_load(&t->next);
    while (next < limit && !atomic_compare_exchange_weak(&t->next, &next, limit)) {
    }
    return limit == 0 ? 0 : limit - 1;
}
