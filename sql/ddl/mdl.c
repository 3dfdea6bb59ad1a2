/* Metadata locks.
 *
 * The common case is a shared lock on a table that nobody changes, once or twice per statement, on
 * all cores. So shared locks are only counted, per table, in one of several slots; a loop has a
 * slot of its own, whose lock and table no other loop touches while no schema statement runs.
 *
 *     shared:     lock own slot; `exclusive` is 0 → count[table]++; unlock
 *     exclusive:  `exclusive`++; under the mutex: enter the queue, sum count[table] over all slots
 *
 * Whichever of the two takes the slot's lock first is seen by the other: a shared request that came
 * later finds `exclusive` set and goes to the queue, an earlier one is in the sum. Releases look at
 * `exclusive` after they have counted down, and then see to the queue.
 *
 * The queue is in order of arrival. A shared request waits for granted exclusive locks of others on
 * its table and, if its owner has no lock yet, for exclusive requests that came before it: that is
 * what keeps a stream of readers from starving a schema change. An owner that has locks passes them
 * by, since they may be waiting for that very owner. An exclusive request waits until nobody else
 * uses any of its tables and then gets all of them at once; so who holds an exclusive lock never
 * waits here, and there are no cycles.
 *
 * Who holds what is in the owners, which are listed in the slot where they took their first lock
 * and change under its lock; only who looks for deadlocks, or for all locks, goes through them.
 *
 * Locking: mutex before slot locks; both are held for a few instructions and never across a park.
 */
#include "sql/ddl/mdl.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "sql/ddl/mdl_int.h"
#include "sql/diag/my_error.h"

/* ---- slots ---- */

static struct mdl_count *slot_find(const struct mdl_slot *s, uint64_t table_id)
{
    if (s->cap == 0) {
        return NULL;
    }
    uint32_t i = (uint32_t)(table_id * 0x9e3779b97f4a7c15ull >> 32) & (s->cap - 1);
    while (s->entries[i].table_id != 0 && s->entries[i].table_id != table_id) {
        i = (i + 1) & (s->cap - 1);
    }
    return &s->entries[i];
}

/* Makes room; tables that nobody uses any more are left behind. */
static bool slot_grow(struct mdl_slot *s)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < s->cap; i++) {
        live += s->entries[i].count != 0 ? 1 : 0;
    }
    uint32_t cap = MDL_SLOT_FIRST_CAP;
    while (cap < live * 4) {
        cap *= 2;
    }
    struct mdl_slot grown = {.cap = cap, .entries = mem_calloc(cap, sizeof(*grown.entries))};
    if (grown.entries == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < s->cap; i++) {
        if (s->entries[i].count != 0) {
            *slot_find(&grown, s->entries[i].table_id) = s->entries[i];
            grown.used++;
        }
    }
    mem_free(s->entries);
    s->entries = grown.entries;
    s->cap = cap;
    s->used = grown.used;
    return true;
}

/* With the slot locked. */
static bool slot_add(struct mdl_slot *s, uint64_t table_id)
{
    struct mdl_count *e = slot_find(s, table_id);
    if (e == NULL || e->table_id == 0) {
        if ((s->used + 1) * 2 > s->cap && !slot_grow(s)) {
            return false;
        }
        e = slot_find(s, table_id);
        e->table_id = table_id;
        s->used++;
    }
    e->count++;
    return true;
}

static void slot_sub(struct mdl_slot *s, uint64_t table_id)
{
    struct mdl_count *e = slot_find(s, table_id);
    ASSERT(e != NULL && e->table_id == table_id && e->count > 0);
    e->count--;
}

static uint16_t own_slot(void)
{
    const struct loop *loop = loop_current();
    return loop == NULL ? 0 : (uint16_t)(loop_index(loop) % MDL_SLOTS);
}

static uint64_t users_of(struct mdl *m, uint64_t table_id)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < MDL_SLOTS; i++) {
        struct mdl_slot *s = &m->slots[i];
        spin_lock(&s->lock);
        const struct mdl_count *e = slot_find(s, table_id);
        sum += e != NULL && e->table_id == table_id ? e->count : 0;
        spin_unlock(&s->lock);
    }
    return sum;
}

/* ---- owners ---- */

static struct mdl_ticket *find_ticket(const struct mdl_owner *o, uint64_t table_id)
{
    struct mdl_ticket *t = mdl_tickets(o);
    for (uint32_t i = 0; i < o->count; i++) {
        if (t[i].table_id == table_id) {
            return &t[i];
        }
    }
    return NULL;
}

bool mdl_holds(const struct mdl_owner *owner, uint64_t table_id, bool exclusive)
{
    const struct mdl_ticket *t = find_ticket(owner, table_id);
    return t != NULL && (t->exclusive || !exclusive);
}

static db_err reserve(struct mdl *m, struct mdl_owner *o, uint32_t extra)
{
    uint32_t cap = o->cap == 0 ? MDL_INLINE_TICKETS : o->cap;
    if (o->count + extra <= cap) {
        return ERR_OK;
    }
    while (cap < o->count + extra) {
        cap *= 2;
    }
    struct mdl_ticket *more = mem_alloc(cap * sizeof(*more));
    if (more == NULL) {
        return ERR_NOMEM;
    }
    struct mdl_ticket *old = o->more;
    struct spin *lock = o->count == 0 ? NULL : &m->slots[o->home].lock;
    memcpy(more, mdl_tickets(o), o->count * sizeof(*more));
    if (lock != NULL) {
        spin_lock(lock);
    }
    o->more = more;
    o->cap = cap;
    if (lock != NULL) {
        spin_unlock(lock);
    }
    mem_free(old);
    return ERR_OK;
}

/* Where the owner is listed, or will be. */
static uint16_t home_of(const struct mdl_owner *o)
{
    return o->count == 0 ? own_slot() : o->home;
}

/* With the slot `home` locked. */
static void push_ticket(struct mdl *m, struct mdl_owner *o, uint16_t home, uint64_t table_id,
                        uint16_t slot, bool exclusive)
{
    if (o->count == 0) {
        o->home = home;
        list_init(&o->link);
        list_push_back(&m->slots[home].owners, &o->link);
    }
    mdl_tickets(o)[o->count++] =
        (struct mdl_ticket){.table_id = table_id, .slot = slot, .exclusive = exclusive};
}

/* ---- the queue: all with the mutex ---- */

static bool granted_to_other(const struct mdl *m, uint64_t table_id, const struct mdl_owner *owner)
{
    for (uint32_t i = 0; i < m->granted_count; i++) {
        if (mdl_conflict(m->granted[i].table_id, table_id) && m->granted[i].owner != owner) {
            return true;
        }
    }
    return false;
}

/* Is there a waiting exclusive request before `r` (NULL: anywhere) on the table? */
static bool exclusive_before(const struct mdl *m, const struct mdl_request *r, uint64_t table_id)
{
    LIST_FOREACH (it, &m->queue) {
        const struct mdl_request *q = CONTAINER_OF(it, struct mdl_request, node);
        if (q == r) {
            return false;
        }
        if (q->exclusive && mdl_names(q, table_id)) {
            return true;
        }
    }
    return false;
}

static bool can_share(const struct mdl *m, const struct mdl_request *r)
{
    return !granted_to_other(m, r->table_ids[0], r->owner) &&
           (r->passes || !exclusive_before(m, r, r->table_ids[0]));
}

static bool can_exclude(struct mdl *m, const struct mdl_request *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        uint64_t id = r->table_ids[i];
        const struct mdl_ticket *own = find_ticket(r->owner, mdl_thing(id));
        uint64_t mine = own != NULL && own->slot != MDL_NO_SLOT ? 1 : 0;
        if (granted_to_other(m, id, r->owner) || exclusive_before(m, r, id) ||
            users_of(m, mdl_thing(id)) > mine) {
            return false;
        }
    }
    return true;
}

static db_err count_shared(struct mdl *m, const struct mdl_request *r)
{
    struct mdl_slot *s = &m->slots[r->slot];
    spin_lock(&s->lock);
    bool ok = slot_add(s, r->table_ids[0]);
    spin_unlock(&s->lock);
    return ok ? ERR_OK : ERR_NOMEM;
}

static db_err grant_exclusive(struct mdl *m, const struct mdl_request *r)
{
    if (m->granted_count + r->count > m->granted_cap) {
        uint32_t cap = (m->granted_count + r->count) * 2;
        struct mdl_granted *g = mem_realloc(m->granted, cap * sizeof(*g));
        if (g == NULL) {
            return ERR_NOMEM;
        }
        m->granted = g;
        m->granted_cap = cap;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        m->granted[m->granted_count++] = (struct mdl_granted){r->table_ids[i], r->owner};
    }
    return ERR_OK;
}

/* Grants what can be granted, in order of arrival. */
static void serve(struct mdl *m)
{
    LIST_FOREACH_SAFE (it, &m->queue) {
        struct mdl_request *r = CONTAINER_OF(it, struct mdl_request, node);
        if (!(r->exclusive ? can_exclude(m, r) : can_share(m, r))) {
            continue;
        }
        r->err = r->exclusive ? grant_exclusive(m, r) : count_shared(m, r);
        r->queued = false;
        list_remove(&r->node);
        wait_signal(&r->wait, 0); /* r may be gone now */
    }
}

static void tell_watch(const struct mdl *m, bool begins)
{
    if (m->watch.wait != NULL) {
        m->watch.wait(m->watch.ctx, begins);
    }
}

/* Enters the request and waits until it is out of the queue again. */
static db_err run(struct mdl *m, struct mdl_request *r, uint64_t deadline_ns, struct diag *diag)
{
    wait_init(&r->wait);
    list_init(&r->node);
    r->since_ns = clock_mono_ns();
    pthread_mutex_lock(&m->mutex);
    r->number = ++m->last_wait;
    r->queued = true;
    list_push_back(&m->queue, &r->node);
    serve(m);
    bool waits = r->queued;
    pthread_mutex_unlock(&m->mutex);

    if (waits) {
        tell_watch(m, true);
    }
    db_err err = wait_block(&r->wait, deadline_ns);
    if (waits) {
        tell_watch(m, false);
    }
    if (err != ERR_OK) {
        pthread_mutex_lock(&m->mutex);
        bool given_up = r->queued;
        if (given_up) {
            r->queued = false;
            list_remove(&r->node);
            serve(m); /* others may have waited for this request only */
        }
        pthread_mutex_unlock(&m->mutex);
        if (given_up) {
            return err == ERR_TIMEOUT ? my_error(diag, ER_LOCK_WAIT_TIMEOUT) : err;
        }
        wait_block_uncancelable(&r->wait); /* granted while we gave up: it is ours */
    }
    if (r->err == ERR_DEADLOCK) {
        return diag_set(diag, ERR_DEADLOCK, "the wait for a table's metadata lock closes a circle");
    }
    return r->err;
}

/* ---- the interface ---- */

db_err mdl_new(struct mdl **ret_mdl)
{
    struct mdl *m = mem_calloc_aligned(sizeof(*m), 64);
    if (m == NULL) {
        return ERR_NOMEM;
    }
    pthread_mutex_init(&m->mutex, NULL);
    list_init(&m->queue);
    for (uint32_t i = 0; i < MDL_SLOTS; i++) {
        list_init(&m->slots[i].owners);
    }
    *ret_mdl = m;
    return ERR_OK;
}

void mdl_set_watch(struct mdl *mdl, const struct sql_wait_watch *watch)
{
    mdl->watch = *watch;
}

void mdl_free(struct mdl *mdl)
{
    if (mdl == NULL) {
        return;
    }
    ASSERT(list_empty(&mdl->queue));
    ASSERT(mdl->granted_count == 0); /* shared locks are only counted, and by slots */
    for (uint32_t i = 0; i < MDL_SLOTS; i++) {
        mem_free(mdl->slots[i].entries);
    }
    mem_free(mdl->granted);
    pthread_mutex_destroy(&mdl->mutex);
    mem_free_aligned(mdl);
}

db_err mdl_lock_shared(struct mdl *mdl, struct mdl_owner *owner, uint64_t table_id,
                       uint64_t deadline_ns, struct diag *diag)
{
    ASSERT(table_id != 0);
    if (find_ticket(owner, table_id) != NULL) {
        return ERR_OK;
    }
    TRY(reserve(mdl, owner, 1));
    uint16_t at = home_of(owner);
    struct mdl_slot *s = &mdl->slots[at];
    spin_lock(&s->lock);
    bool quiet = atomic_load(&mdl->exclusive) == 0;
    bool ok = quiet && slot_add(s, table_id);
    if (LIKELY(ok)) {
        push_ticket(mdl, owner, at, table_id, at, false);
    }
    spin_unlock(&s->lock);
    if (quiet && !ok) {
        return ERR_NOMEM;
    }
    if (!quiet) {
        struct mdl_request r = {.owner = owner,
                                .passes = owner->count != 0,
                                .slot = at,
                                .table_ids = &table_id,
                                .count = 1};
        TRY(run(mdl, &r, deadline_ns, diag));
        spin_lock(&s->lock);
        push_ticket(mdl, owner, at, table_id, at, false);
        spin_unlock(&s->lock);
    }
    return ERR_OK;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Sorted, each once, without those that the owner has exclusively. */
static uint32_t clean_ids(const struct mdl_owner *owner, const uint64_t *ids, uint32_t count,
                          uint64_t *out)
{
    uint32_t n = 0;
    memcpy(out, ids, count * sizeof(*out));
    qsort(out, count, sizeof(*out), compare_ids);
    for (uint32_t i = 0; i < count; i++) {
        if ((i == 0 || out[i] != out[i - 1]) && !mdl_holds(owner, out[i], true)) {
            out[n++] = out[i];
        }
    }
    return n;
}

static void note_exclusive(struct mdl *m, struct mdl_owner *owner, const uint64_t *ids,
                           uint32_t count)
{
    uint16_t home = home_of(owner);
    spin_lock(&m->slots[home].lock);
    for (uint32_t i = 0; i < count; i++) {
        struct mdl_ticket *t = find_ticket(owner, ids[i]);
        if (t != NULL) {
            t->exclusive = true;
        } else {
            push_ticket(m, owner, home, ids[i], MDL_NO_SLOT, true);
        }
    }
    spin_unlock(&m->slots[home].lock);
}

db_err mdl_lock_exclusive(struct mdl *mdl, struct mdl_owner *owner, const uint64_t *table_ids,
                          uint32_t count, uint64_t deadline_ns, struct diag *diag)
{
    if (count == 0) {
        return ERR_OK;
    }
    uint64_t *ids = mem_alloc(count * sizeof(*ids));
    if (ids == NULL) {
        return ERR_NOMEM;
    }
    struct mdl_request r = {.owner = owner, .exclusive = true, .table_ids = ids};
    r.count = clean_ids(owner, table_ids, count, ids);
    db_err err = reserve(mdl, owner, r.count);
    if (err == ERR_OK && r.count != 0) {
        atomic_fetch_add(&mdl->exclusive, r.count);
        err = run(mdl, &r, deadline_ns, diag);
        if (err != ERR_OK) {
            atomic_fetch_sub(&mdl->exclusive, r.count);
        }
    }
    if (err == ERR_OK && r.count != 0) {
        note_exclusive(mdl, owner, ids, r.count);
    }
    mem_free(ids);
    return err;
}

static void forget_granted(struct mdl *m, const struct mdl_owner *owner, uint64_t table_id)
{
    for (uint32_t i = 0; i < m->granted_count; i++) {
        if (m->granted[i].table_id == table_id && m->granted[i].owner == owner) {
            m->granted[i] = m->granted[--m->granted_count];
            atomic_fetch_sub(&m->exclusive, 1);
            return;
        }
    }
    ASSERT(false);
}

/* Takes back tickets down to the mark, or to one that is exclusive, which has to be given back with
 * the mutex: true. */
static bool pop_tickets(struct mdl *m, struct mdl_owner *owner, uint32_t mark, uint64_t *ret_id)
{
    struct mdl_slot *s = &m->slots[owner->home];
    bool exclusive = false;
    spin_lock(&s->lock);
    while (owner->count > mark && !exclusive) {
        const struct mdl_ticket *t = &mdl_tickets(owner)[--owner->count];
        if (t->slot != MDL_NO_SLOT) {
            ASSERT(t->slot == owner->home);
            slot_sub(s, t->table_id);
        }
        exclusive = t->exclusive;
        *ret_id = t->table_id;
    }
    if (owner->count == 0) {
        list_remove(&owner->link);
    }
    spin_unlock(&s->lock);
    return exclusive;
}

void mdl_release_to(struct mdl *mdl, struct mdl_owner *owner, uint32_t mark)
{
    if (owner->count <= mark) {
        return;
    }
    bool exclusive = false;
    while (owner->count > mark) {
        uint64_t id = 0;
        if (pop_tickets(mdl, owner, mark, &id)) {
            exclusive = true;
            pthread_mutex_lock(&mdl->mutex);
            forget_granted(mdl, owner, id);
            pthread_mutex_unlock(&mdl->mutex);
        }
    }
    /* Shared requests may wait for this exclusive lock when no other is left or wanted. */
    if (exclusive || atomic_load(&mdl->exclusive) != 0) {
        pthread_mutex_lock(&mdl->mutex);
        serve(mdl);
        pthread_mutex_unlock(&mdl->mutex);
    }
}

void mdl_release_all(struct mdl *mdl, struct mdl_owner *owner)
{
    mdl_release_to(mdl, owner, 0);
    if (owner->cap != 0) {
        mem_free(owner->more);
        owner->more = NULL;
        owner->cap = 0;
    }
}

bool mdl_refuse(struct mdl *mdl, uint64_t wait)
{
    bool done = false;
    pthread_mutex_lock(&mdl->mutex);
    LIST_FOREACH_SAFE (it, &mdl->queue) {
        struct mdl_request *r = CONTAINER_OF(it, struct mdl_request, node);
        if (r->number == wait) {
            r->err = ERR_DEADLOCK;
            r->queued = false;
            list_remove(&r->node);
            wait_signal(&r->wait, 0);
            serve(mdl); /* others may have waited for this request only */
            done = true;
            break;
        }
    }
    pthread_mutex_unlock(&mdl->mutex);
    return done;
}
