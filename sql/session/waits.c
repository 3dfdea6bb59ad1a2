/* What sessions wait for besides rows, as edges of the graph in which deadlocks are found.
 *
 * A session waits at one place at a time: for a row (its transaction waits, at some leaseholder),
 * for a table's metadata lock, or for a named lock. Who waits for a session waits for all that it
 * waits for, so each wait for a session is told as two edges: to the session, which leads on if
 * that waits for a lock of these kinds, and to its transaction, which leads on if that waits for a
 * row. Who waits for a row of a transaction is led on to its session by an edge that is told
 * together with the session's own wait, by the node where the session is.
 *
 * All of it is looked up anew each time. Where a session is at another node its transaction is
 * asked for there; it may have another one by now, and then what is told leads nowhere: a session
 * whose transaction waits does nothing else, so an edge to one that waits is true. */
#include "sql/session/waits.h"

#include <stdlib.h>

#include "sql/session/session_int.h"
#include "sql/session/user_lock.h"

void waits__name_owners(struct sql_session *s)
{
    struct mdl_owner *const owners[] = {
        &s->mdl,
        &s->table_locks.owner,
        &s->global_locks.definitions.owner,
        &s->global_locks.rows.owner,
        &s->global_locks.backup.owner,
        &s->global_locks.accounts.owner,
        &s->bulk_rows.owner,
    };
    for (size_t i = 0; i < ARRAY_COUNT(owners); i++) {
        owners[i]->session = s->connection_id;
    }
}

/* ---- the sessions of this node ---- */

struct session_txn {
    uint64_t connection, txn;
};

struct session_txns {
    struct session_txn *list; /* by connection */
    uint32_t count;
};

static int by_connection(const void *a, const void *b)
{
    uint64_t x = ((const struct session_txn *)a)->connection;
    uint64_t y = ((const struct session_txn *)b)->connection;
    return x < y ? -1 : x > y;
}

static db_err sessions_now(struct sql_engine *e, struct arena *a, struct session_txns *ret)
{
    uint32_t n = 0;
    fiber_mutex_lock(&e->sessions_mutex);
    LIST_FOREACH (node, &e->sessions) {
        n++;
    }
    ret->list = ARENA_ARRAY(a, struct session_txn, n + 1);
    ret->count = 0;
    LIST_FOREACH (node, &e->sessions) {
        const struct sql_session *s = CONTAINER_OF(node, struct sql_session, node);
        if (ret->list != NULL) {
            ret->list[ret->count++] = (struct session_txn){
                s->connection_id, atomic_load_explicit(&s->txn_id, memory_order_relaxed)};
        }
    }
    fiber_mutex_unlock(&e->sessions_mutex);
    if (ret->count != 0) {
        qsort(ret->list, ret->count, sizeof(*ret->list), by_connection);
    }
    return ret->list == NULL ? ERR_NOMEM : ERR_OK;
}

static const struct session_txn *find(const struct session_txns *all, uint64_t connection)
{
    const struct session_txn key = {.connection = connection};
    return all->count == 0
               ? NULL
               : bsearch(&key, all->list, all->count, sizeof(*all->list), by_connection);
}

uint64_t engine_session_txn(struct sql_engine *e, uint64_t connection_id)
{
    uint64_t txn = 0;
    fiber_mutex_lock(&e->sessions_mutex);
    LIST_FOREACH (node, &e->sessions) {
        const struct sql_session *s = CONTAINER_OF(node, struct sql_session, node);
        if (s->connection_id == connection_id) {
            txn = atomic_load_explicit(&s->txn_id, memory_order_relaxed);
        }
    }
    fiber_mutex_unlock(&e->sessions_mutex);
    return txn;
}

/* ---- edges ---- */

struct edges {
    struct sql_engine *engine;
    struct session_txns sessions;
    struct session_txns far; /* sessions of other nodes that have been asked for */
    struct sql_wait_edge *out;
    unsigned count, max;
};

static uint64_t vertex(uint64_t connection)
{
    return SQL_WAIT_BIT | connection;
}

static void put(struct edges *e, uint64_t wait, uint64_t waiter, uint64_t blocker)
{
    if (e->count < e->max) {
        e->out[e->count++] = (struct sql_wait_edge){wait, waiter, blocker};
    }
}

/* Of a session of another node, which many may wait for. */
static uint64_t far_txn(struct edges *e, uint64_t node, uint64_t connection)
{
    struct sql_coord *c = e->engine->opts.coord;
    struct session_txns *far = &e->far;
    for (uint32_t i = 0; i < far->count; i++) {
        if (far->list[i].connection == connection) {
            return far->list[i].txn;
        }
    }
    uint64_t txn = c->ops->session_txn(c, node, connection);
    far->list[far->count++] = (struct session_txn){connection, txn};
    return txn;
}

/* node: of the blocker; 0: as far as is known here. */
static void put_wait(struct edges *e, uint64_t wait, uint64_t waiter, uint64_t blocker,
                     uint64_t node)
{
    const struct session_txn *w = find(&e->sessions, waiter);
    const struct session_txn *b = find(&e->sessions, blocker);
    uint64_t txn = 0;
    if (b != NULL) {
        txn = b->txn;
    } else if (node != 0 && node != e->engine->opts.server_id && e->engine->opts.coord != NULL) {
        txn = far_txn(e, node, blocker);
    }
    put(e, wait, vertex(waiter), vertex(blocker));
    if (txn != 0) {
        put(e, wait, vertex(waiter), txn);
    }
    if (w != NULL && w->txn != 0) {
        put(e, wait, w->txn, vertex(waiter));
    }
}

static void put_metadata(struct edges *e, const struct mdl_wait_edge *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        enum sql_wait_kind kind = list[i].exclusive ? SQL_WAIT_CHANGE : SQL_WAIT_USE;
        put_wait(e, sql_wait_number(kind, list[i].wait), list[i].waiter, list[i].blocker, 0);
    }
}

static void put_named(struct edges *e, const struct user_lock_edge *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put_wait(e, sql_wait_number(SQL_WAIT_NAMED, list[i].wait), list[i].waiter, list[i].blocker,
                 list[i].blocker_node);
    }
}

static int by_wait(const void *a, const void *b)
{
    const struct sql_wait_edge *x = a;
    const struct sql_wait_edge *y = b;
    if (x->wait != y->wait) {
        return x->wait < y->wait ? -1 : 1;
    }
    if (x->waiter != y->waiter) {
        return x->waiter < y->waiter ? -1 : 1;
    }
    return x->blocker < y->blocker ? -1 : x->blocker > y->blocker;
}

static void sort_once(struct edges *e)
{
    unsigned n = 0;
    if (e->count != 0) {
        qsort(e->out, e->count, sizeof(*e->out), by_wait);
    }
    for (unsigned i = 0; i < e->count; i++) {
        if (n == 0 || by_wait(&e->out[n - 1], &e->out[i]) != 0) {
            e->out[n++] = e->out[i];
        }
    }
    e->count = n;
}

db_err engine_waits(struct sql_engine *engine, uint64_t until_ns, unsigned max, struct arena *arena,
                    struct sql_wait_edge **ret_edges, unsigned *ret_count)
{
    struct edges e = {.engine = engine, .max = max};
    struct mdl_wait_edge *tables = ARENA_ARRAY(arena, struct mdl_wait_edge, max);
    struct user_lock_edge *names = ARENA_ARRAY(arena, struct user_lock_edge, max);
    uint32_t named = 0;
    struct diag diag;
    diag_reset(&diag);
    e.out = ARENA_ARRAY(arena, struct sql_wait_edge, max);
    if (tables == NULL || names == NULL || e.out == NULL) {
        return ERR_NOMEM;
    }
    /* When their records cannot be read now, the other waits are told without them. */
    db_err err = user_locks_waits(engine->user_locks, until_ns, max, arena, &diag, names, &named);
    named = err == ERR_OK ? named : 0;
    e.far.list = ARENA_ARRAY(arena, struct session_txn, named + 1);
    if (e.far.list == NULL) {
        return ERR_NOMEM;
    }
    uint32_t waits = mdl_waits(engine->mdl, until_ns, max, tables);
    TRY(sessions_now(engine, arena, &e.sessions));
    put_metadata(&e, tables, waits);
    put_named(&e, names, named);
    sort_once(&e);
    *ret_edges = e.out;
    *ret_count = e.count;
    return ERR_OK;
}

void engine_refuse_wait(struct sql_engine *e, uint64_t wait)
{
    uint64_t number = wait & (((uint64_t)1 << 61) - 1);
    bool done = sql_wait_kind(wait) == SQL_WAIT_NAMED ? user_locks_refuse(e->user_locks, number)
                                                      : mdl_refuse(e->mdl, number);
    (void)done; /* it may just have ended */
}
