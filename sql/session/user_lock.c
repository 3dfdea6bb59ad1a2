/* Named locks.
 *
 * A record (user_lock_table.c) says who has a lock and who waits, in the order of waiting. Who
 * gives a lock back hands it to the first waiter, in the record, and wakes it: here, or by a call
 * to its node. A wake-up may be lost; so a waiter looks at the record again every second.
 *
 * What a connection of this node has is also kept here (holders), with the count of its GET_LOCKs:
 * taking again what one has costs nothing, as long as the licence is the one under which it was
 * taken. Under another one others may have gone on without this node, and the record is asked.
 *
 * Orphans: an owner whose node has started again, or is no member, or was fenced, or does not know
 * the connection any more. Who meets one, hands its lock on.
 *
 * Deadlocks: who has written that it waits looks at all records after that, and follows from owner
 * to the lock that the owner waits for. Of those that wait in a circle the last one to write sees
 * all of it, and gives up.
 *
 * Circles through other locks and other nodes are found by who sees the waits of all
 * (sql/session/waits.c), and end here too with 3058.
 *
 * Changes are idempotent, so one whose outcome is unknown, or that met another, is tried again. */
#include "sql/session/user_lock.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/rand.h"
#include "base/scope.h"
#include "sql/diag/my_error.h"
#include "sql/session/user_lock_int.h"

#define LOOK_AGAIN_NS (1 * NS_PER_S)
#define RETRY_NS      (5 * NS_PER_MS)
enum { TRIES_MAX = 20 };

struct held {
    struct list link;
    uint32_t depth;
    uint64_t licence;
    struct slice name; /* behind */
};

struct holder {
    struct hash_node by_connection;
    uint64_t connection;
    struct list held;
    unsigned uses; /* statements at work; then it stays */
    bool woken;
    bool refused;           /* its wait closes a circle */
    uint64_t wait, wait_ns; /* 0: it does not wait; its number, and since when */
    struct slice waits_for; /* the waiting fiber's */
};

enum outcome { OUTCOME_GOT, OUTCOME_WAITS, OUTCOME_TAKEN };

/* ---- what connections of this node have; with the mutex held ---- */

static struct holder *find_holder(const struct user_locks *u, uint64_t connection)
{
    struct hash_node *n = hash_first(&u->holders, hash_u64(connection));
    for (; n != NULL; n = hash_next(n)) {
        struct holder *h = CONTAINER_OF(n, struct holder, by_connection);
        if (h->connection == connection) {
            return h;
        }
    }
    return NULL;
}

static struct holder *use_holder(struct user_locks *u, uint64_t connection)
{
    struct holder *h = find_holder(u, connection);
    if (h == NULL) {
        h = mem_calloc(1, sizeof(*h));
        if (h == NULL) {
            return NULL;
        }
        h->connection = connection;
        list_init(&h->held);
        if (hash_insert(&u->holders, &h->by_connection, hash_u64(connection)) != ERR_OK) {
            mem_free(h);
            return NULL;
        }
    }
    h->uses++;
    return h;
}

static void leave_holder(struct user_locks *u, struct holder *h)
{
    h->uses--;
    if (h->uses == 0 && list_empty(&h->held)) {
        hash_remove(&u->holders, &h->by_connection);
        mem_free(h);
    }
}

static struct held *find_held(const struct holder *h, struct slice name)
{
    LIST_FOREACH (n, &h->held) {
        struct held *held = CONTAINER_OF(n, struct held, link);
        if (slice_eq(held->name, name)) {
            return held;
        }
    }
    return NULL;
}

static void drop_held(struct held *held)
{
    if (held != NULL) {
        list_remove(&held->link);
        mem_free(held);
    }
}

static struct held *held_new(struct slice name)
{
    struct held *held = mem_calloc(1, sizeof(*held) + name.len);
    if (held != NULL) {
        list_init(&held->link);
        memcpy(held + 1, name.ptr, name.len);
        held->name = slice_of(held + 1, name.len);
    }
    return held;
}

/* ---- changes of a record ---- */

static uint64_t licence_of(const struct user_locks *u)
{
    return u->coord == NULL ? 1 : u->coord->ops->licence(u->coord);
}

static struct lock_owner me_of(const struct user_locks *u, uint64_t connection)
{
    return (struct lock_owner){u->node, u->engine, connection};
}

/* After a pause. */
static bool again(db_err err, unsigned *io_tries, struct diag *diag)
{
    enum err_class class = err_class(err);
    if ((class != ERR_CLASS_RETRY_TXN && class != ERR_CLASS_AMBIGUOUS) ||
        ++*io_tries == TRIES_MAX || fiber_sleep(RETRY_NS) != ERR_OK) {
        return false;
    }
    diag_reset(diag);
    return true;
}

static void wake(struct user_locks *u, const struct lock_owner *o)
{
    if (o->connection == 0) {
        return;
    }
    if (o->engine == u->engine) {
        user_locks_wake(u, o->connection);
    } else if (u->coord != NULL) {
        u->coord->ops->wake_lock(u->coord, o->node, o->connection);
    }
}

static db_err get_once(struct user_locks *u, const struct lock_owner *me, struct slice name,
                       bool wait, struct diag *diag, enum outcome *ret,
                       struct lock_owner *ret_owner)
{
    struct lock_edit e;
    TRY(lock__edit_begin(u, name, diag, &e));
    struct lock_record *r = &e.record;
    db_err err = ERR_OK;
    *ret = OUTCOME_GOT;
    if (r->owner.connection == 0) {
        r->owner = *me;
        err = lock__edit_commit(&e, diag);
    } else if (!lock__same(&r->owner, me)) {
        *ret_owner = r->owner;
        *ret = wait ? OUTCOME_WAITS : OUTCOME_TAKEN;
        uint32_t before = r->count;
        err = wait ? lock__add_waiter(&e, me) : ERR_OK;
        if (err == ERR_OK && r->count != before) {
            err = lock__edit_commit(&e, diag);
        }
    }
    lock__edit_end(&e);
    return err;
}

/* The first look: taken, or written down as waiting. */
static db_err try_get(struct user_locks *u, const struct lock_owner *me, struct slice name,
                      bool wait, struct diag *diag, enum outcome *ret, struct lock_owner *ret_owner)
{
    unsigned tries = 0;
    db_err err;
    do {
        err = get_once(u, me, name, wait, diag, ret, ret_owner);
    } while (err != ERR_OK && again(err, &tries, diag));
    return err;
}

/* owner hands the lock on. *ret: 1 done, 0 it is another's, -1 nobody's. */
static db_err hand_on_once(struct user_locks *u, const struct lock_owner *owner, struct slice name,
                           struct diag *diag, int *ret)
{
    struct lock_edit e;
    struct lock_owner next = {0};
    TRY(lock__edit_begin(u, name, diag, &e));
    struct lock_record *r = &e.record;
    db_err err = ERR_OK;
    *ret = r->owner.connection == 0 ? -1 : lock__same(&r->owner, owner);
    if (*ret == 1) {
        lock__hand_over(r);
        next = r->owner;
        err = lock__edit_commit(&e, diag);
    }
    lock__edit_end(&e);
    if (err == ERR_OK) {
        wake(u, &next);
    }
    return err;
}

static db_err hand_on(struct user_locks *u, const struct lock_owner *owner, struct slice name,
                      struct diag *diag, int *ret)
{
    unsigned tries = 0;
    bool maybe = false;
    for (;;) {
        db_err err = hand_on_once(u, owner, name, diag, ret);
        if (err == ERR_OK) {
            *ret = maybe && *ret != 1 ? 1 : *ret; /* the try before has done it */
            return ERR_OK;
        }
        maybe = maybe || err_class(err) == ERR_CLASS_AMBIGUOUS;
        if (!again(err, &tries, diag)) {
            return err;
        }
    }
}

static db_err stop_waiting_once(struct user_locks *u, const struct lock_owner *me,
                                struct slice name, struct diag *diag, bool *ret_got)
{
    struct lock_edit e;
    TRY(lock__edit_begin(u, name, diag, &e));
    uint32_t before = e.record.count;
    db_err err = ERR_OK;
    *ret_got = lock__same(&e.record.owner, me);
    lock__drop_waiter(&e.record, me);
    if (e.record.count != before) {
        err = lock__edit_commit(&e, diag);
    }
    lock__edit_end(&e);
    return err;
}

/* Although the statement may be cancelled. *ret_got: it was handed over just before. What the
 * storage does not take is an orphan of this connection when that ends. */
static void stop_waiting(struct user_locks *u, const struct lock_owner *me, struct slice name,
                         bool keep, bool *ret_got)
{
    uint64_t deadline = fiber_deadline();
    bool canceled = fiber_canceled();
    struct diag diag;
    unsigned tries = 0;
    bool got = false;
    db_err err;
    diag_reset(&diag);
    fiber_set_deadline(DEADLINE_NONE);
    do {
        fiber_clear_cancel();
        err = stop_waiting_once(u, me, name, &diag, &got);
    } while (err != ERR_OK && again(err, &tries, &diag));
    if (err == ERR_OK && got && !keep) {
        int ignored;
        err = hand_on(u, me, name, &diag, &ignored);
    }
    fiber_set_deadline(deadline);
    if (canceled) {
        fiber_cancel(fiber_self());
    }
    *ret_got = err == ERR_OK && got && keep;
}

/* ---- orphans and deadlocks ---- */

bool user_locks_knows(struct user_locks *u, uint64_t engine, uint64_t connection)
{
    fiber_mutex_lock(&u->mutex);
    bool known = engine == u->engine && find_holder(u, connection) != NULL;
    fiber_mutex_unlock(&u->mutex);
    return known;
}

static bool orphaned(struct user_locks *u, const struct lock_owner *o)
{
    if (o->engine == u->engine) {
        return !user_locks_knows(u, o->engine, o->connection);
    }
    return o->node == u->node || u->coord == NULL ||
           u->coord->ops->lock_owner_gone(u->coord, o->node, o->engine, o->connection);
}

static const struct lock_record *waits_for(const struct lock_record *list, uint32_t count,
                                           const struct lock_owner *who)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < list[i].count; k++) {
            if (lock__same(&list[i].waiters[k], who)) {
                return &list[i];
            }
        }
    }
    return NULL;
}

static db_err in_a_circle(struct user_locks *u, const struct lock_owner *me, struct diag *diag,
                          bool *ret)
{
    struct arena a;
    struct lock_record *list = NULL;
    uint32_t count = 0;
    arena_init(&a, NULL, NULL, 0);
    db_err err = lock__all(u, &a, diag, &list, &count);
    const struct lock_owner *at = me;
    *ret = false;
    for (uint32_t steps = 0; err == ERR_OK && steps <= count && !*ret; steps++) {
        const struct lock_record *r = waits_for(list, count, at);
        if (r == NULL) {
            break;
        }
        at = &r->owner;
        *ret = lock__same(at, me);
    }
    arena_fini(&a);
    return err;
}

/* ---- waiting ---- */

/* Until somebody hands it over, or it is time to look again. ERR_TIMEOUT: the fiber's deadline. */
static db_err doze(struct user_locks *u, struct holder *h, uint64_t deadline_ns, bool *ret_refused)
{
    uint64_t now = clock_mono_ns();
    uint64_t until = deadline_ns - now < LOOK_AGAIN_NS ? deadline_ns : now + LOOK_AGAIN_NS;
    db_err err = ERR_OK;
    fiber_mutex_lock(&u->mutex);
    while (!h->woken && !h->refused && err == ERR_OK) {
        err = fiber_cond_wait(&u->woken, &u->mutex, until);
    }
    h->woken = false;
    *ret_refused = h->refused;
    fiber_mutex_unlock(&u->mutex);
    return err == ERR_TIMEOUT && clock_mono_ns() < fiber_deadline() ? ERR_OK : err;
}

static db_err pass_orphan_on(struct user_locks *u, const struct lock_owner *owner,
                             struct slice name, struct diag *diag)
{
    int ignored;
    return orphaned(u, owner) ? hand_on(u, owner, name, diag, &ignored) : ERR_OK;
}

/* Others see that it waits. */
static void begin_wait(struct user_locks *u, struct holder *h, struct slice name)
{
    fiber_mutex_lock(&u->mutex);
    h->wait = ++u->last_wait;
    h->wait_ns = clock_mono_ns();
    h->waits_for = name;
    h->refused = false;
    fiber_mutex_unlock(&u->mutex);
    if (u->watch.wait != NULL) {
        u->watch.wait(u->watch.ctx, true);
    }
}

static void end_wait(struct user_locks *u, struct holder *h)
{
    fiber_mutex_lock(&u->mutex);
    h->wait = 0;
    fiber_mutex_unlock(&u->mutex);
    if (u->watch.wait != NULL) {
        u->watch.wait(u->watch.ctx, false);
    }
}

static db_err wait_for(struct user_locks *u, struct holder *h, struct slice name,
                       uint64_t deadline_ns, struct diag *diag, bool *ret_got, bool *ret_in_line)
{
    const struct lock_owner me = me_of(u, h->connection);
    bool checked = false;
    for (;;) {
        enum outcome outcome;
        struct lock_owner owner = {0};
        bool wait = clock_mono_ns() < deadline_ns;
        *ret_in_line = *ret_in_line || wait;
        TRY(try_get(u, &me, name, wait, diag, &outcome, &owner));
        if (outcome != OUTCOME_GOT && orphaned(u, &owner)) {
            TRY(pass_orphan_on(u, &owner, name, diag));
            TRY(try_get(u, &me, name, wait, diag, &outcome, &owner));
        }
        *ret_got = outcome == OUTCOME_GOT;
        if (outcome != OUTCOME_WAITS) {
            return ERR_OK;
        }
        if (!checked) {
            bool circle;
            TRY(in_a_circle(u, &me, diag, &circle));
            if (circle) {
                return my_error(diag, ER_USER_LOCK_DEADLOCK);
            }
            checked = true;
            begin_wait(u, h, name);
        }
        bool refused = false;
        TRY(doze(u, h, deadline_ns, &refused));
        if (refused) {
            return my_error(diag, ER_USER_LOCK_DEADLOCK);
        }
    }
}

static db_err get(struct user_locks *u, struct holder *h, struct slice name, uint64_t deadline_ns,
                  struct diag *diag, bool *ret_got)
{
    const struct lock_owner me = me_of(u, h->connection);
    bool got = false;
    bool in_line = false;
    db_err err = wait_for(u, h, name, deadline_ns, diag, &got, &in_line);
    if (h->wait != 0) {
        end_wait(u, h);
    }
    if (!got && in_line) { /* it may just have been handed the lock */
        stop_waiting(u, &me, name, err == ERR_OK, &got);
    }
    *ret_got = got;
    return err;
}

db_err user_lock_get(struct user_locks *u, uint64_t connection, struct slice name,
                     uint64_t deadline_ns, struct diag *diag, bool *ret_got)
{
    uint64_t licence = licence_of(u);
    fiber_mutex_lock(&u->mutex);
    struct holder *h = use_holder(u, connection);
    struct held *held = h == NULL ? NULL : find_held(h, name);
    struct held *fresh = held == NULL ? held_new(name) : NULL;
    bool got = held != NULL && licence != 0 && held->licence == licence;
    fiber_mutex_unlock(&u->mutex);
    db_err err = h == NULL || (held == NULL && fresh == NULL) ? ERR_NOMEM : ERR_OK;
    if (err == ERR_OK && !got) {
        err = get(u, h, name, deadline_ns, diag, &got);
    }
    fiber_mutex_lock(&u->mutex);
    if (got && held == NULL) {
        held = fresh;
        fresh = NULL;
        list_push_back(&h->held, &held->link);
    }
    if (got) {
        held->depth++;
        held->licence = licence;
    } else if (err == ERR_OK) {
        drop_held(held); /* it was lost to another */
    }
    if (h != NULL) {
        leave_holder(u, h);
    }
    fiber_mutex_unlock(&u->mutex);
    mem_free(fresh);
    *ret_got = got;
    return err;
}

/* ---- giving back, looking ---- */

void user_locks_wake(struct user_locks *u, uint64_t connection)
{
    fiber_mutex_lock(&u->mutex);
    struct holder *h = find_holder(u, connection);
    if (h != NULL) {
        h->woken = true;
        fiber_cond_broadcast(&u->woken);
    }
    fiber_mutex_unlock(&u->mutex);
}

static db_err whose(struct user_locks *u, struct slice name, struct diag *diag,
                    struct lock_owner *ret)
{
    struct arena a;
    struct lock_record r;
    arena_init(&a, NULL, NULL, 0);
    db_err err = lock__one(u, name, &a, diag, &r);
    if (err == ERR_OK) {
        *ret = r.owner;
    }
    arena_fini(&a);
    if (err == ERR_OK && ret->connection != 0 && orphaned(u, ret)) {
        *ret = (struct lock_owner){0};
    }
    return err;
}

db_err user_lock_release(struct user_locks *u, uint64_t connection, struct slice name,
                         struct diag *diag, int *ret)
{
    const struct lock_owner me = me_of(u, connection);
    fiber_mutex_lock(&u->mutex);
    struct holder *h = find_holder(u, connection);
    struct held *held = h == NULL ? NULL : find_held(h, name);
    bool nested = held != NULL && held->depth > 1;
    if (nested) {
        held->depth--;
    }
    if (held != NULL) {
        h->uses++;
    }
    fiber_mutex_unlock(&u->mutex);
    if (held == NULL) {
        struct lock_owner owner = {0};
        TRY(whose(u, name, diag, &owner));
        *ret = owner.connection == 0 ? -1 : 0;
        return ERR_OK;
    }
    *ret = 1;
    db_err err = nested ? ERR_OK : hand_on(u, &me, name, diag, ret);
    fiber_mutex_lock(&u->mutex);
    if (err == ERR_OK && !nested) {
        drop_held(held);
    }
    leave_holder(u, h);
    fiber_mutex_unlock(&u->mutex);
    return err;
}

db_err user_lock_holder(struct user_locks *u, struct slice name, struct diag *diag, int64_t *ret)
{
    struct lock_owner owner = {0};
    TRY(whose(u, name, diag, &owner));
    *ret = owner.connection == 0 ? -1 : (int64_t)owner.connection;
    return ERR_OK;
}

void user_locks_release_all(struct user_locks *u, uint64_t connection, int64_t *ret)
{
    const struct lock_owner me = me_of(u, connection);
    *ret = 0;
    fiber_mutex_lock(&u->mutex);
    struct holder *h = u->holders.count == 0 ? NULL : find_holder(u, connection);
    if (h == NULL) {
        fiber_mutex_unlock(&u->mutex);
        return;
    }
    struct list all;
    struct list *n;
    list_init(&all);
    h->uses++;
    while ((n = list_pop_front(&h->held)) != NULL) {
        list_push_back(&all, n);
    }
    fiber_mutex_unlock(&u->mutex);
    uint64_t deadline = fiber_deadline();
    bool canceled = fiber_canceled();
    fiber_set_deadline(DEADLINE_NONE);
    fiber_clear_cancel();
    while ((n = list_pop_front(&all)) != NULL) {
        struct held *held = CONTAINER_OF(n, struct held, link);
        struct diag diag;
        int ignored;
        diag_reset(&diag);
        db_err err = hand_on(u, &me, held->name, &diag, &ignored);
        (void)err; /* then it is an orphan */
        *ret += held->depth;
        mem_free(held);
    }
    fiber_set_deadline(deadline);
    if (canceled) {
        fiber_cancel(fiber_self());
    }
    fiber_mutex_lock(&u->mutex);
    leave_holder(u, h);
    fiber_mutex_unlock(&u->mutex);
}

/* ---- for who looks ---- */

struct waiting {
    uint64_t wait, connection;
    struct slice name;
};

/* Who waits since until_ns or longer; the names are copies. */
static db_err waiting_now(struct user_locks *u, uint64_t until_ns, struct arena *a,
                          struct waiting **ret, uint32_t *ret_count)
{
    uint32_t n = 0;
    db_err err = ERR_OK;
    fiber_mutex_lock(&u->mutex);
    struct waiting *list = ARENA_ARRAY(a, struct waiting, u->holders.count + 1);
    err = list == NULL ? ERR_NOMEM : ERR_OK;
    HASH_FOREACH_SAFE(node, &u->holders)
    {
        const struct holder *h = CONTAINER_OF(node, struct holder, by_connection);
        if (err == ERR_OK && h->wait != 0 && h->wait_ns <= until_ns) {
            list[n] = (struct waiting){.wait = h->wait, .connection = h->connection};
            err = arena_copy(a, h->waits_for, &list[n++].name);
        }
    }
    fiber_mutex_unlock(&u->mutex);
    *ret = list;
    *ret_count = n;
    return err;
}

static void put_edge(const struct waiting *w, const struct lock_owner *blocker, uint32_t max,
                     struct user_lock_edge *out, uint32_t *io_count)
{
    if (*io_count < max && blocker->connection != 0) {
        out[(*io_count)++] =
            (struct user_lock_edge){w->wait, w->connection, blocker->connection, blocker->node};
    }
}

/* Its place among those who wait; the count: it is not in line, for it was just handed the lock and
 * does not know it yet, or is about to write down that it waits. */
static uint32_t place_in_line(const struct lock_record *r, const struct lock_owner *who)
{
    uint32_t i = 0;
    while (i < r->count && !lock__same(&r->waiters[i], who)) {
        i++;
    }
    return i;
}

db_err user_locks_waits(struct user_locks *u, uint64_t until_ns, uint32_t max, struct arena *a,
                        struct diag *diag, struct user_lock_edge *out, uint32_t *ret_count)
{
    struct waiting *list = NULL;
    uint32_t count = 0;
    uint32_t n = 0;
    TRY(waiting_now(u, until_ns, a, &list, &count));
    for (uint32_t i = 0; i < count; i++) {
        struct lock_owner me = me_of(u, list[i].connection);
        struct lock_record r;
        TRY(lock__one(u, list[i].name, a, diag, &r));
        uint32_t place = place_in_line(&r, &me);
        if (place == r.count) {
            continue;
        }
        put_edge(&list[i], &r.owner, max, out, &n);
        for (uint32_t k = 0; k < place; k++) {
            put_edge(&list[i], &r.waiters[k], max, out, &n);
        }
    }
    *ret_count = n;
    return ERR_OK;
}

bool user_locks_refuse(struct user_locks *u, uint64_t wait)
{
    bool found = false;
    fiber_mutex_lock(&u->mutex);
    HASH_FOREACH_SAFE(node, &u->holders)
    {
        struct holder *h = CONTAINER_OF(node, struct holder, by_connection);
        if (h->wait == wait) {
            h->refused = found = true;
        }
    }
    if (found) {
        fiber_cond_broadcast(&u->woken);
    }
    fiber_mutex_unlock(&u->mutex);
    return found;
}

db_err user_locks_list(struct user_locks *u, struct arena *a, struct diag *diag,
                       struct user_lock_info **ret, uint32_t *ret_count)
{
    struct lock_record *records = NULL;
    uint32_t count = 0;
    uint32_t n = 0;
    TRY(lock__all(u, a, diag, &records, &count));
    size_t all = 0;
    for (uint32_t i = 0; i < count; i++) {
        all += 1 + records[i].count;
    }
    struct user_lock_info *out = ARENA_ARRAY(a, struct user_lock_info, all + 1);
    if (out == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct lock_record *r = &records[i];
        out[n++] = (struct user_lock_info){r->name, r->owner.connection, false};
        for (uint32_t k = 0; k < r->count; k++) {
            out[n++] = (struct user_lock_info){r->name, r->waiters[k].connection, true};
        }
    }
    *ret = out;
    *ret_count = n;
    return ERR_OK;
}

/* ---- life ---- */

void user_locks_set_watch(struct user_locks *u, const struct sql_wait_watch *watch)
{
    u->watch = *watch;
}

db_err user_locks_new(struct storage *storage, struct sql_coord *coord, uint64_t node,
                      struct user_locks **ret)
{
    struct user_locks *u = mem_calloc(1, sizeof(*u));
    if (u == NULL) {
        return ERR_NOMEM;
    }
    *u = (struct user_locks){.storage = storage, .coord = coord, .node = node};
    fiber_mutex_init(&u->mutex);
    fiber_cond_init(&u->woken);
    hash_init(&u->local);
    hash_init(&u->holders);
    db_err err = rand_secure(&u->engine, sizeof(u->engine));
    if (err != ERR_OK) {
        user_locks_free(u);
        return err;
    }
    *ret = u;
    return ERR_OK;
}

uint64_t user_locks_engine(const struct user_locks *u)
{
    return u->engine;
}

void user_locks_free(struct user_locks *u)
{
    if (u != NULL) {
        lock__tables_fini(u);
        hash_fini(&u->holders);
        mem_free(u);
    }
}
