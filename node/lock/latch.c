/* Latches, the gate in front of them, and waiting for pending writes. The rules and the argument
 * about memory order are in lock_table.c. */
#include "node/lock/lock_table.h"

#include "base/sim_break.h"
#include "node/lock/lock_int.h"
#include "node/store/keyspace.h"

/* ---- the gate ---- */

/* Waits in a list under a mutex until granted. Called with the mutex, gives it back. On an error
 * the wait has been taken out of the list, unless it was granted meanwhile: *ret_granted. */
static db_err wait_granted(pthread_mutex_t *mutex, struct latch_wait *lw, uint64_t deadline_ns,
                           bool *ret_granted)
{
    pthread_mutex_unlock(mutex);
    db_err err = wait_block(&lw->w, deadline_ns);
    if (err == ERR_OK) {
        *ret_granted = true;
        return (db_err)lw->w.result;
    }
    pthread_mutex_lock(mutex);
    *ret_granted = lw->granted;
    if (!lw->granted) {
        list_remove(&lw->link);
    }
    pthread_mutex_unlock(mutex);
    if (*ret_granted) {
        wait_block_uncancelable(&lw->w);
    }
    return err;
}

static void grant(struct latch_wait *lw)
{
    lw->granted = true;
    list_remove(&lw->link);
    wait_signal(&lw->w, ERR_OK);
}

/* Under gate_mutex: if the gate is closed and empty, whoever closed it goes on. */
static void gate_check_empty(struct lock_table *t)
{
    if (t->exclusive != NULL &&
        atomic_load_explicit(&t->gate, memory_order_acquire) == GATE_CLOSED) {
        struct latch_wait *lw = t->exclusive;
        t->exclusive = NULL;
        t->exclusive_held = true;
        grant(lw);
    }
}

static void gate_leave(struct lock_table *t)
{
    int64_t left = atomic_fetch_sub_explicit(&t->gate, 1, memory_order_acq_rel) - 1;
    if (UNLIKELY(left == GATE_CLOSED)) {
        pthread_mutex_lock(&t->gate_mutex);
        gate_check_empty(t);
        pthread_mutex_unlock(&t->gate_mutex);
    }
}

static db_err gate_enter(struct lock_table *t, uint64_t deadline_ns)
{
    for (;;) {
        int64_t old = atomic_fetch_add_explicit(&t->gate, 1, memory_order_acq_rel);
        if (LIKELY(old < GATE_CLOSED)) {
            return ERR_OK;
        }
        gate_leave(t);
        struct latch_wait lw = {.granted = false};
        bool granted;
        wait_init(&lw.w);
        pthread_mutex_lock(&t->gate_mutex);
        if (atomic_load_explicit(&t->gate, memory_order_acquire) < GATE_CLOSED) {
            pthread_mutex_unlock(&t->gate_mutex);
            continue;
        }
        list_push_back(&t->gate_waiters, &lw.link);
        TRY(wait_granted(&t->gate_mutex, &lw, deadline_ns, &granted));
    }
}

/* Under gate_mutex: the gate opens, or goes to the next who wants it closed. */
static void gate_open(struct lock_table *t)
{
    struct list *next;
    t->exclusive_held = false;
    if (!list_empty(&t->exclusive_waiters)) {
        t->exclusive = CONTAINER_OF(t->exclusive_waiters.next, struct latch_wait, link);
        list_remove(&t->exclusive->link);
        gate_check_empty(t);
        return;
    }
    atomic_fetch_sub_explicit(&t->gate, GATE_CLOSED, memory_order_acq_rel);
    while ((next = t->gate_waiters.next) != &t->gate_waiters) {
        grant(CONTAINER_OF(next, struct latch_wait, link));
    }
}

db_err latch_acquire_all(struct lock_table *t, uint64_t deadline_ns, struct latch_guard *ret_guard)
{
    struct latch_wait lw = {.granted = false};
    bool granted;
    wait_init(&lw.w);
    list_init(&lw.link);
    pthread_mutex_lock(&t->gate_mutex);
    if (t->exclusive_held || t->exclusive != NULL) {
        list_push_back(&t->exclusive_waiters, &lw.link);
    } else {
        atomic_fetch_add_explicit(&t->gate, GATE_CLOSED, memory_order_acq_rel);
        t->exclusive = &lw;
        gate_check_empty(t);
    }
    pthread_mutex_unlock(&t->gate_mutex);
    db_err err = wait_block(&lw.w, deadline_ns);
    if (err != ERR_OK) {
        pthread_mutex_lock(&t->gate_mutex);
        granted = lw.granted;
        if (granted || t->exclusive == &lw) {
            t->exclusive = NULL;
            gate_open(t);
        } else {
            list_remove(&lw.link);
        }
        pthread_mutex_unlock(&t->gate_mutex);
        if (granted) {
            wait_block_uncancelable(&lw.w);
        }
        return err;
    }
    *ret_guard = (struct latch_guard){.table = t, .all = true};
    return ERR_OK;
}

/* ---- latches ---- */

static db_err latch_one(struct lock_table *t, struct slice key, uint64_t deadline_ns,
                        struct latch_guard *g, struct lock_entry **ret_entry)
{
    uint64_t hash = key_hash(key);
    struct lock_shard *s = lock__shard(t, hash);
    struct lock_entry *e;
    pthread_mutex_lock(&s->mutex);
    db_err err = lock__find_or_add(s, key, hash, &g->room, &e);
    if (UNLIKELY(err != ERR_OK)) {
        pthread_mutex_unlock(&s->mutex);
        return err;
    }
    if (LIKELY(e->latch == NULL)) {
        e->latch = g;
        pthread_mutex_unlock(&s->mutex);
        *ret_entry = e;
        return ERR_OK;
    }
    struct latch_wait lw = {.guard = g};
    bool granted;
    wait_init(&lw.w);
    list_push_back(&e->latch_waiters, &lw.link);
    err = wait_granted(&s->mutex, &lw, deadline_ns, &granted);
    if (granted) {
        *ret_entry = e; /* also on an error: the caller releases it */
    }
    return err;
}

/* Gives the latch to the next and wakes those who waited for its end. */
static void unlatch_one(struct latch_guard *g, struct lock_entry *e)
{
    struct lock_shard *s = lock__shard_of(&e->shard);
    struct list *l;
    ASSERT(e->latch == g);
    e->latch = NULL;
    while ((l = list_pop_front(&e->readers)) != NULL) {
        struct pending_wait *pw = CONTAINER_OF(l, struct pending_wait, link);
        pw->woken = true;
        wait_signal(&pw->w, ERR_OK);
    }
    if (!list_empty(&e->latch_waiters)) {
        struct latch_wait *lw = CONTAINER_OF(e->latch_waiters.next, struct latch_wait, link);
        e->latch = lw->guard;
        grant(lw);
    } else {
        lock__drop_if_idle(s, e);
    }
    pthread_mutex_unlock(&s->mutex);
}

static struct pending_shard *pending_shard(struct latch_guard *g)
{
    return &g->table->pend[((uintptr_t)g >> 7) % PENDING_SHARDS];
}

static void leave_list(struct latch_guard *g)
{
    struct pending_shard *p = pending_shard(g);
    struct list *l;
    pthread_mutex_lock(&p->mutex);
    list_remove(&g->link);
    while ((l = list_pop_front(&p->waiters)) != NULL) {
        struct pending_wait *pw = CONTAINER_OF(l, struct pending_wait, link);
        pw->woken = true;
        wait_signal(&pw->w, ERR_OK);
    }
    pthread_mutex_unlock(&p->mutex);
}

static void release_entries(struct latch_guard *g)
{
    for (size_t i = g->count; i-- > 0;) {
        unlatch_one(g, g->entries[i]);
    }
    if (g->entries != g->inline_entries) {
        mem_free(g->entries);
    }
}

void latch_release(struct latch_guard *g)
{
    struct lock_table *t = g->table;
    bool pending = atomic_load_explicit(&g->pending, memory_order_relaxed);
    if (pending || g->announced) {
        leave_list(g);
    }
    if (!g->all) {
        release_entries(g);
        lock__room_leave(t, g->room);
    }
    if (pending) {
        if (g->all) {
            atomic_fetch_sub_explicit(&t->pending_all, 1, memory_order_release);
        }
        atomic_fetch_sub_explicit(&t->pending, 1, memory_order_release);
    }
    if (g->all) {
        pthread_mutex_lock(&t->gate_mutex);
        gate_open(t);
        pthread_mutex_unlock(&t->gate_mutex);
    } else {
        gate_leave(t);
    }
}

db_err latch_acquire(struct lock_table *t, const struct slice *keys, size_t count,
                     uint64_t deadline_ns, struct latch_guard *g)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++) {
        room += lock__entry_size(keys[i]);
    }
    TRY(lock__room_take(t, room, deadline_ns));
    db_err err = gate_enter(t, deadline_ns);
    if (UNLIKELY(err != ERR_OK)) {
        lock__room_leave(t, room);
        return err;
    }
    g->table = t;
    g->room = room;
    g->all = false;
    g->announced = false;
    atomic_init(&g->pending, false);
    atomic_init(&g->commit_ts, 0);
    g->keys = keys;
    g->key_count = count;
    g->count = 0;
    g->entries = g->inline_entries;
    if (atomic_load_explicit(&t->closed, memory_order_acquire)) {
        err = ERR_NOT_LEADER;
    } else if (count > LATCH_INLINE) {
        g->entries = mem_alloc(count * sizeof(*g->entries));
        if (g->entries == NULL) {
            g->entries = g->inline_entries;
            err = ERR_NOMEM;
        }
    }
    while (err == ERR_OK && g->count < count) {
        struct lock_entry *e = NULL;
        err = latch_one(t, keys[g->count], deadline_ns, g, &e);
        if (e != NULL) {
            g->entries[g->count++] = e;
        }
    }
    if (err != ERR_OK) {
        latch_release(g);
        return err;
    }
    lock__release_memory(t, g->room); /* of keys that had entries */
    g->room = 0;
    return ERR_OK;
}

static void enter_list(struct latch_guard *g)
{
    struct pending_shard *p = pending_shard(g);
    pthread_mutex_lock(&p->mutex);
    g->seq = ++p->seq;
    list_push_back(&p->guards, &g->link);
    pthread_mutex_unlock(&p->mutex);
}

void latch_announce(struct latch_guard *g)
{
    ASSERT(!g->announced && !atomic_load_explicit(&g->pending, memory_order_relaxed));
    enter_list(g);
    g->announced = true;
}

void latch_begin_pending(struct latch_guard *g)
{
    struct lock_table *t = g->table;
    ASSERT(!atomic_load_explicit(&g->pending, memory_order_relaxed));
    if (!g->announced) {
        enter_list(g);
    }
    atomic_store_explicit(&g->pending, true, memory_order_release);
    if (g->all) {
        atomic_fetch_add_explicit(&t->pending_all, 1, memory_order_seq_cst);
    }
    atomic_fetch_add_explicit(&t->pending, 1, memory_order_seq_cst);
}

void latch_set_commit_ts(struct latch_guard *g, ts_t commit_ts)
{
    atomic_store_explicit(&g->commit_ts, commit_ts, memory_order_release);
}

/* ---- waiting for pending writes ---- */

static bool must_wait(struct latch_guard *g, ts_t read_ts)
{
    if (!atomic_load_explicit(&g->pending, memory_order_acquire)) {
        return false;
    }
    uint64_t ts = atomic_load_explicit(&g->commit_ts, memory_order_acquire);
    return ts == 0 || ts <= read_ts;
}

/* Called with the mutex that guards `list`; gives it back. */
static db_err wait_woken(pthread_mutex_t *mutex, struct list *list, uint64_t deadline_ns)
{
    struct pending_wait pw = {.woken = false};
    wait_init(&pw.w);
    list_push_back(list, &pw.link);
    pthread_mutex_unlock(mutex);
    db_err err = wait_block(&pw.w, deadline_ns);
    if (err != ERR_OK) {
        pthread_mutex_lock(mutex);
        bool woken = pw.woken;
        list_remove(&pw.link);
        pthread_mutex_unlock(mutex);
        if (woken) {
            wait_block_uncancelable(&pw.w);
        }
    }
    return err;
}

db_err lock__wait_latch(struct lock_shard *s, struct lock_entry *e, uint64_t deadline_ns)
{
    return wait_woken(&s->mutex, &e->readers, deadline_ns);
}

db_err pending_wait_key(struct lock_table *t, struct slice key, ts_t read_ts, uint64_t deadline_ns)
{
    while (UNLIKELY(atomic_load_explicit(&t->pending, memory_order_acquire) != 0) &&
           !SIM_BROKEN(PENDING)) {
        if (atomic_load_explicit(&t->pending_all, memory_order_acquire) != 0) {
            return pending_wait_range(t, key, key, read_ts, deadline_ns);
        }
        uint64_t hash = key_hash(key);
        struct lock_shard *s = lock__shard(t, hash);
        pthread_mutex_lock(&s->mutex);
        struct lock_entry *e = lock__find(s, key, hash);
        if (e == NULL || e->latch == NULL || !must_wait(e->latch, read_ts)) {
            pthread_mutex_unlock(&s->mutex);
            return ERR_OK;
        }
        TRY(wait_woken(&s->mutex, &e->readers, deadline_ns));
    }
    return ERR_OK;
}

/* start == end (same memory) means the one key. */
static bool overlaps(const struct latch_guard *g, struct slice start, struct slice end)
{
    size_t lo = 0, hi = g->key_count;
    if (g->all) {
        return true;
    }
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (slice_cmp(g->keys[mid], start) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (lo == g->key_count) {
        return false;
    }
    if (start.ptr == end.ptr && start.len == end.len && start.len != 0) {
        return slice_eq(g->keys[lo], start);
    }
    return end.len == 0 || slice_cmp(g->keys[lo], end) < 0;
}

db_err pending_wait_range(struct lock_table *t, struct slice start, struct slice end, ts_t read_ts,
                          uint64_t deadline_ns)
{
    for (size_t i = 0; i < PENDING_SHARDS; i++) {
        struct pending_shard *p = &t->pend[i];
        bool again =
            atomic_load_explicit(&t->pending, memory_order_acquire) != 0 && !SIM_BROKEN(PENDING);
        while (again) {
            again = false;
            pthread_mutex_lock(&p->mutex);
            LIST_FOREACH (it, &p->guards) {
                struct latch_guard *g = CONTAINER_OF(it, struct latch_guard, link);
                if (must_wait(g, read_ts) && overlaps(g, start, end)) {
                    again = true;
                    break;
                }
            }
            if (!again) {
                pthread_mutex_unlock(&p->mutex);
                break;
            }
            TRY(wait_woken(&p->mutex, &p->waiters, deadline_ns));
        }
    }
    return ERR_OK;
}

/* Under the mutex of the list. */
static bool announced_before(const struct pending_shard *p, uint64_t seq, struct slice start,
                             struct slice end)
{
    LIST_FOREACH (it, &p->guards) {
        const struct latch_guard *g = CONTAINER_OF(it, const struct latch_guard, link);
        if (g->seq > seq) {
            return false;
        }
        if (overlaps(g, start, end)) {
            return true;
        }
    }
    return false;
}

db_err latch_wait_announced(struct lock_table *t, struct slice start, struct slice end,
                            uint64_t deadline_ns)
{
    for (size_t i = 0; i < PENDING_SHARDS; i++) {
        struct pending_shard *p = &t->pend[i];
        pthread_mutex_lock(&p->mutex);
        uint64_t seq = p->seq;
        while (announced_before(p, seq, start, end)) {
            TRY(wait_woken(&p->mutex, &p->waiters, deadline_ns));
            pthread_mutex_lock(&p->mutex);
        }
        pthread_mutex_unlock(&p->mutex);
    }
    return ERR_OK;
}
