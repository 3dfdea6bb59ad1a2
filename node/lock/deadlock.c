/* Deadlock detection on this node.
 *
 * The graph keeps only who waits (records by start_ts, in 32 shards); for whom is read from the
 * lock tables at the moment of the search, so there are no stale edges. A request that is about to
 * wait enters itself and then searches from itself along "waits for" (conflicting holders of the
 * key, conflicting waiters before it, and for an insert the holders of span locks). It finds itself
 * exactly if its wait closes a cycle: it is then the victim, which ends its own wait and keeps its
 * other locks until the client rolls back. Two requests that close one cycle together may both find
 * it; at least one does, since each enters before it searches. The search holds one graph shard and
 * one key shard at a time and is bounded. */
#include "node/lock/lock_table.h"

#include "node/lock/lock_int.h"

struct graph_shard {
    pthread_mutex_t mutex;
    struct list waits; /* row_rec.graph_link */
};

struct lock_graph {
    struct graph_shard shards[GRAPH_SHARDS];
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
    mem_free(g);
}

static struct graph_shard *shard_of(struct lock_graph *g, ts_t start_ts)
{
    return &g->shards[(start_ts * 0x9e3779b97f4a7c15ull >> 33) % GRAPH_SHARDS];
}

void lock__graph_add(struct lock_graph *g, struct row_rec *rec)
{
    struct graph_shard *s = shard_of(g, rec->start_ts);
    pthread_mutex_lock(&s->mutex);
    list_push_back(&s->waits, &rec->graph_link);
    pthread_mutex_unlock(&s->mutex);
}

void lock__graph_remove(struct lock_graph *g, struct row_rec *rec)
{
    struct graph_shard *s = shard_of(g, rec->start_ts);
    pthread_mutex_lock(&s->mutex);
    list_remove(&rec->graph_link);
    pthread_mutex_unlock(&s->mutex);
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

bool lock__graph_cycle(struct lock_graph *g, ts_t start_ts)
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
