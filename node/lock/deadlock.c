/* Deadlock detection on this node, and what a search over all nodes needs of it.
 *
 * The graph keeps only who waits (records by start_ts, in 32 shards); for whom is read from the
 * lock tables at the moment of the search, so there are no stale edges. A request that is about to
 * wait enters itself and then searches from itself along "waits for" (conflicting holders of the
 * key, conflicting waiters before it, and for an insert the holders of span locks). It finds itself
 * exactly if its wait closes a cycle: it is then the victim, which ends its own wait and keeps its
 * other locks until the client rolls back. At least one of those that close a cycle together finds
 * it, since each enters before it searches; and only one gives up, because who has found a cycle
 * looks again with the mutex of the victims, under which the one before has ended its wait. That
 * second look also makes sure that what the first one saw at different moments was there at once: a
 * transaction that waits gives nothing back, so an edge whose ends are both still waiting has
 * lasted. The search holds one graph shard and one key shard at a time and is bounded.
 *
 * A cycle over several nodes nobody sees here. A wait that lasts is told, with the edges that begin
 * in it, to the leader of the meta range (lock_graph_edges), which finds the victims; those that
 * wait here are ended by number (lock_graph_refuse). Of a queue each waiter names the one exclusive
 * waiter before it and not all that this one waits for in turn: the report is as long as the
 * queue. */
#include "node/lock/lock_table.h"

#include <stdlib.h>

#include "base/clock.h"
#include "node/lock/lock_int.h"

struct graph_shard {
    pthread_mutex_t mutex;
    struct list waits; /* row_rec.graph_link */
};

struct lock_graph {
    struct graph_shard shards[GRAPH_SHARDS];
    pthread_mutex_t victims; /* one at a time; before a graph shard */
    _Atomic size_t waits;    /* with the others */
    _Atomic size_t others;   /* not for rows */
    _Atomic uint64_t last_wait;
    _Atomic bool watched;
    bool (*watch)(void *ctx);
    void *watch_ctx;
};

struct search {
    ts_t nodes[GRAPH_NODES_MAX];
    size_t count;
};

db_err lock_graph_new(struct lock_graph **ret_graph)
{
    struct lock_graph *g = mem_calloc(1, sizeof(*g));
    if (g == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < GRAPH_SHARDS; i++) {
        pthread_mutex_init(&g->shards[i].mutex, NULL);
        list_init(&g->shards[i].waits);
    }
    pthread_mutex_init(&g->victims, NULL);
    *ret_graph = g;
    return ERR_OK;
}

void lock_graph_free(struct lock_graph *g)
{
    if (g == NULL) {
        return;
    }
    for (size_t i = 0; i < GRAPH_SHARDS; i++) {
        ASSERT(list_empty(&g->shards[i].waits));
        pthread_mutex_destroy(&g->shards[i].mutex);
    }
    pthread_mutex_destroy(&g->victims);
    mem_free(g);
}

static struct graph_shard *shard_of(struct lock_graph *g, ts_t start_ts)
{
    return &g->shards[(start_ts * 0x9e3779b97f4a7c15ull >> 33) % GRAPH_SHARDS];
}

static void count_wait(struct lock_graph *g)
{
    atomic_fetch_add(&g->waits, 1);
    if (g->watch != NULL && !atomic_load(&g->watched) && !atomic_exchange(&g->watched, true) &&
        !g->watch(g->watch_ctx)) {
        atomic_store(&g->watched, false);
    }
}

void lock__graph_add(struct lock_graph *g, struct row_rec *rec)
{
    struct graph_shard *s = shard_of(g, rec->start_ts);
    uint64_t number = atomic_fetch_add_explicit(&g->last_wait, 1, memory_order_relaxed) + 1;
    atomic_store_explicit(&rec->wait, number, memory_order_relaxed);
    rec->wait_ns = clock_mono_ns();
    pthread_mutex_lock(&s->mutex);
    list_push_back(&s->waits, &rec->graph_link);
    pthread_mutex_unlock(&s->mutex);
    count_wait(g);
}

void lock_graph_other_wait(struct lock_graph *g, bool begins)
{
    if (begins) {
        atomic_fetch_add(&g->others, 1);
        count_wait(g);
    } else {
        atomic_fetch_sub(&g->others, 1);
        atomic_fetch_sub(&g->waits, 1);
    }
}

size_t lock_graph_other_waits(const struct lock_graph *g)
{
    return atomic_load(&g->others);
}

void lock__graph_remove(struct lock_graph *g, struct row_rec *rec)
{
    struct graph_shard *s = shard_of(g, rec->start_ts);
    pthread_mutex_lock(&s->mutex);
    list_remove(&rec->graph_link);
    pthread_mutex_unlock(&s->mutex);
    atomic_fetch_sub(&g->waits, 1);
}

static void add_node(struct search *s, ts_t ts)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->nodes[i] == ts) {
            return;
        }
    }
    if (s->count < GRAPH_NODES_MAX) {
        s->nodes[s->count++] = ts;
    }
}

struct span_search {
    struct search *s;
    ts_t start_ts;
    bool found;
};

static void add_span_holder(void *ctx, ts_t ts)
{
    struct span_search *b = ctx;
    b->found = b->found || ts == b->start_ts;
    add_node(b->s, ts);
}

/* Under the graph shard's mutex, which keeps the record alive. true: start_ts blocks it. */
static bool add_blockers(struct search *s, struct row_rec *rec, ts_t start_ts)
{
    bool found = false;
    struct lock_shard *shard = lock__shard_of(&rec->shard);
    if (rec->state == ROW_WAITING) {
        LIST_FOREACH (it, &rec->entry->holders) {
            const struct row_rec *h = CONTAINER_OF(it, struct row_rec, link);
            if (h->start_ts != rec->start_ts && lock__modes_conflict(h->mode, rec->mode)) {
                found = found || h->start_ts == start_ts;
                add_node(s, h->start_ts);
            }
        }
        LIST_FOREACH (it, &rec->entry->row_waiters) {
            const struct row_rec *w = CONTAINER_OF(it, struct row_rec, link);
            if (w == rec) {
                break;
            }
            if (lock__waiter_blocks(w, rec)) {
                found = found || w->start_ts == start_ts;
                add_node(s, w->start_ts);
            }
        }
        struct span_search b = {s, start_ts, found};
        lock__span_blockers(rec, add_span_holder, &b);
        found = b.found;
    }
    pthread_mutex_unlock(&shard->mutex);
    return found;
}

static bool on_cycle(struct lock_graph *g, ts_t start_ts)
{
    struct search *s = mem_alloc(sizeof(*s));
    bool found = false;
    if (s == NULL) {
        return false; /* the wait's time-out remains */
    }
    s->count = 1;
    s->nodes[0] = start_ts;
    for (size_t i = 0; i < s->count && !found; i++) {
        struct graph_shard *shard = shard_of(g, s->nodes[i]);
        pthread_mutex_lock(&shard->mutex);
        LIST_FOREACH (it, &shard->waits) {
            struct row_rec *rec = CONTAINER_OF(it, struct row_rec, graph_link);
            if (rec->start_ts == s->nodes[i] && add_blockers(s, rec, start_ts)) {
                found = true;
                break;
            }
        }
        pthread_mutex_unlock(&shard->mutex);
    }
    mem_free(s);
    return found;
}

void lock__graph_check(struct lock_graph *g, struct row_rec *rec)
{
    if (LIKELY(!on_cycle(g, rec->start_ts))) {
        return;
    }
    pthread_mutex_lock(&g->victims);
    if (on_cycle(g, rec->start_ts)) {
        (void)lock__refuse(rec, ERR_DEADLOCK);
    }
    pthread_mutex_unlock(&g->victims);
}

/* ---- for who sees all nodes ---- */

void lock_graph_watch(struct lock_graph *g, bool (*fn)(void *ctx), void *ctx)
{
    g->watch_ctx = ctx;
    g->watch = fn;
}

bool lock_graph_unwatch(struct lock_graph *g)
{
    atomic_store(&g->watched, false);
    /* A wait that began before now may have seen that somebody watches. */
    return atomic_load(&g->waits) == 0 || atomic_exchange(&g->watched, true);
}

size_t lock_graph_waits(const struct lock_graph *g)
{
    return atomic_load(&g->waits);
}

struct edges {
    const struct row_rec *rec;
    struct kv_wait_edge *at;
    unsigned count;
    unsigned max;
};

static void add_edge(void *ctx, ts_t blocker)
{
    struct edges *e = ctx;
    if (e->count < e->max) {
        e->at[e->count++] = (struct kv_wait_edge){e->rec->wait, e->rec->start_ts, blocker};
    }
}

/* Under the graph shard's mutex. */
static void add_edges(struct edges *e, struct row_rec *rec)
{
    struct lock_shard *shard = lock__shard_of(&rec->shard);
    e->rec = rec;
    if (rec->state == ROW_WAITING) {
        bool exclusive = false; /* is before it: waits for all that is before that one */
        for (struct list *it = rec->link.prev; it != &rec->entry->row_waiters && !exclusive;
             it = it->prev) {
            const struct row_rec *w = CONTAINER_OF(it, struct row_rec, link);
            if (lock__waiter_blocks(w, rec)) {
                add_edge(e, w->start_ts);
                exclusive = w->mode >= KV_LOCK_EXCLUSIVE;
            }
        }
        LIST_FOREACH (it, &rec->entry->holders) {
            const struct row_rec *h = CONTAINER_OF(it, struct row_rec, link);
            if (!exclusive && h->start_ts != rec->start_ts &&
                lock__modes_conflict(h->mode, rec->mode)) {
                add_edge(e, h->start_ts);
            }
        }
        lock__span_blockers(rec, add_edge, e);
    }
    pthread_mutex_unlock(&shard->mutex);
}

static int by_wait(const void *a, const void *b)
{
    const struct kv_wait_edge *x = a;
    const struct kv_wait_edge *y = b;
    if (x->wait != y->wait) {
        return x->wait < y->wait ? -1 : 1;
    }
    return x->blocker < y->blocker ? -1 : x->blocker > y->blocker;
}

db_err lock_graph_edges(struct lock_graph *g, uint64_t until_ns, unsigned max, struct arena *arena,
                        struct kv_wait_edge **ret_edges, unsigned *ret_count)
{
    struct edges e = {.at = ARENA_ARRAY(arena, struct kv_wait_edge, max), .max = max};
    if (e.at == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < GRAPH_SHARDS; i++) {
        struct graph_shard *shard = &g->shards[i];
        pthread_mutex_lock(&shard->mutex);
        LIST_FOREACH (it, &shard->waits) {
            struct row_rec *rec = CONTAINER_OF(it, struct row_rec, graph_link);
            if (rec->wait_ns <= until_ns) {
                add_edges(&e, rec);
            }
        }
        pthread_mutex_unlock(&shard->mutex);
    }
    if (e.count != 0) {
        qsort(e.at, e.count, sizeof(*e.at), by_wait);
    }
    *ret_edges = e.at;
    *ret_count = e.count;
    return ERR_OK;
}

bool lock_graph_refuse(struct lock_graph *g, uint64_t wait, ts_t waiter)
{
    struct graph_shard *shard = shard_of(g, waiter);
    bool done = false;
    pthread_mutex_lock(&shard->mutex);
    LIST_FOREACH (it, &shard->waits) {
        struct row_rec *rec = CONTAINER_OF(it, struct row_rec, graph_link);
        if (rec->start_ts == waiter && rec->wait == wait) {
            done = lock__refuse(rec, ERR_DEADLOCK);
            break;
        }
    }
    pthread_mutex_unlock(&shard->mutex);
    return done;
}
