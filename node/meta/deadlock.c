/* Deadlocks whose waits are at several nodes.
 *
 * A cycle on one node is found there when it closes (node/lock/deadlock.c). For the others each
 * node tells the leader of the meta range of the waits that have lasted WAIT_AGE_NS, as long as
 * there are any: a fiber that starts with the first wait and ends when nobody waits. A report in
 * which nothing is new is followed by a longer pause. The leader keeps what it was told in memory
 * only (wait_graph.c) and names the victims in its answer; a new leader knows nothing and is told
 * all within a pause. A node alone has no such fiber as long as there are waits for rows only:
 * there all such cycles are its own.
 *
 * Waits for metadata locks and named locks are told together with those for rows
 * (sql/session/waits.c): a cycle may go through all of them. They are looked up anew for each
 * report, and may last for hours, so the pauses get longer when there has been nothing else for a
 * while. Not at once: a leader decides nothing before it has two reports of each node, and one that
 * leads for less than two pauses finds no cycle.
 *
 * While the meta range has no leader, deadlocks over nodes wait for it, at most until their
 * time-out. */
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "node/lock/lock_table.h"
#include "node/meta/meta_int.h"

#define WAIT_AGE_NS         (15 * NS_PER_MS)
#define PAUSE_NS            (20 * NS_PER_MS)
#define PAUSE_MAX_NS        (100 * NS_PER_MS)
#define OTHERS_PAUSE_MAX_NS (400 * NS_PER_MS)
#define OTHERS_SOON_NS      (20 * NS_PER_S)
#define ASK_TIME_NS         (1 * NS_PER_S)

/* ---- at the leader ---- */

db_err meta_report_waits(struct meta *m, node_id_t node, const struct kv_wait_edge *edges,
                         unsigned count, struct arena *arena, struct diag *diag,
                         uint64_t **ret_victims, unsigned *ret_count)
{
    TRY(meta_check(m, diag));
    pthread_mutex_lock(&m->waits_lock);
    db_err err = wait_graph_report(m->waits, node, edges, count, clock_mono_ns(), arena,
                                   ret_victims, ret_count);
    pthread_mutex_unlock(&m->waits_lock);
    return err == ERR_OK ? ERR_OK : diag_set(diag, err, "the report of a node's waits");
}

void waits_forget(struct meta *m)
{
    pthread_mutex_lock(&m->waits_lock);
    wait_graph_clear(m->waits);
    pthread_mutex_unlock(&m->waits_lock);
}

/* ---- at each node ---- */

enum { KINDS = 8 }; /* of numbers, by their upper bits */

static unsigned kind_of(uint64_t wait)
{
    return (unsigned)(wait >> 61);
}

static const struct meta_other_waits *others_use(struct meta *m)
{
    atomic_fetch_add(&m->other_waits_used, 1);
    return atomic_load(&m->other_waits);
}

static void others_leave(struct meta *m)
{
    atomic_fetch_sub(&m->other_waits_used, 1);
}

void meta_set_other_waits(struct meta *m, const struct meta_other_waits *w)
{
    atomic_store(&m->other_waits, w);
    while (w == NULL && atomic_load(&m->other_waits_used) != 0) {
        if (fiber_sleep(NS_PER_MS) != ERR_OK) {
            fiber_yield();
        }
    }
}

void meta_other_wait(struct meta *m, bool begins)
{
    lock_graph_other_wait(range_store_lock_graph(m->rs), begins);
}

static void end_wait(struct lock_graph *g, const struct meta_other_waits *others,
                     const struct kv_wait_edge *e)
{
    if (kind_of(e->wait) == 0) {
        if (lock_graph_refuse(g, e->wait, e->waiter)) {
            LOG_DEBUG("lock.deadlock", F_U64("start_ts", e->waiter));
        }
    } else if (others != NULL) {
        others->refuse(others->ctx, e->wait);
    }
}

static void end_victims(struct lock_graph *g, const struct meta_other_waits *others,
                        const struct kv_wait_edge *edges, unsigned count, const uint64_t *victims,
                        unsigned victim_count)
{
    unsigned v = 0;
    for (unsigned i = 0; i < count && v < victim_count; i++) {
        if (i != 0 && edges[i].wait == edges[i - 1].wait) {
            continue;
        }
        while (v < victim_count && victims[v] < edges[i].wait) {
            v++;
        }
        if (v < victim_count && victims[v] == edges[i].wait) {
            end_wait(g, others, &edges[i]);
        }
    }
}

/* Those for rows, then the others, if they can be told now: ascending by number. */
static db_err all_edges(struct lock_graph *g, const struct meta_other_waits *others,
                        struct arena *a, struct kv_wait_edge **ret_edges, unsigned *ret_count)
{
    uint64_t until = clock_mono_ns() - WAIT_AGE_NS;
    struct kv_wait_edge *edges;
    struct kv_wait_edge *more = NULL;
    unsigned count;
    unsigned more_count = 0;
    TRY(lock_graph_edges(g, until, KV_WAITS_MAX, a, &edges, &count));
    if (others != NULL && lock_graph_other_waits(g) != 0 && count < KV_WAITS_MAX) {
        db_err err = others->edges(others->ctx, until, KV_WAITS_MAX - count, a, &more, &more_count);
        if (err !=
            ERR_OK) { /* records of named locks cannot be read: rows need not wait for that */
            LOG_DEBUG("meta.waits.others", F_ERR(err));
            more_count = 0;
        }
    }
    if (more_count != 0) { /* there is room for KV_WAITS_MAX */
        memcpy(edges + count, more, more_count * sizeof(*more));
    }
    *ret_edges = edges;
    *ret_count = count + more_count;
    return ERR_OK;
}

/* newest: number of the newest wait of each kind that was told. Is there a newer one? */
static bool has_news(const struct kv_wait_edge *edges, unsigned count, uint64_t newest[KINDS],
                     bool note)
{
    bool news = false;
    for (unsigned i = 0; i < count; i++) {
        uint64_t *known = &newest[kind_of(edges[i].wait)];
        news = news || edges[i].wait > *known;
        *known = note && edges[i].wait > *known ? edges[i].wait : *known;
    }
    return news;
}

static db_err report(struct meta *m, const struct kv_wait_edge *edges, unsigned count,
                     struct arena *a, uint64_t **ret_victims, unsigned *ret_count)
{
    struct meta_service *c = m->opts.client;
    struct diag diag;
    diag_reset(&diag);
    fiber_set_deadline(clock_mono_ns() + ASK_TIME_NS);
    db_err err =
        c == NULL
            ? meta_report_waits(m, m->self, edges, count, a, &diag, ret_victims, ret_count)
            : c->ops->report_waits(c, m->self, edges, count, a, &diag, ret_victims, ret_count);
    fiber_set_deadline(DEADLINE_NONE);
    return err;
}

/* *ret_news: a wait was told that had not been. */
static db_err tell(struct meta *m, const struct meta_other_waits *others, uint64_t newest[KINDS],
                   bool *ret_news)
{
    struct lock_graph *g = range_store_lock_graph(m->rs);
    struct kv_wait_edge *edges;
    unsigned count = 0;
    uint64_t *victims;
    unsigned victim_count;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    fiber_set_deadline(clock_mono_ns() + ASK_TIME_NS);
    db_err err = all_edges(g, others, &a, &edges, &count);
    fiber_set_deadline(DEADLINE_NONE);
    bool news = err == ERR_OK && has_news(edges, count, newest, false);
    if (err == ERR_OK && count != 0) {
        err = report(m, edges, count, &a, &victims, &victim_count);
        if (err == ERR_OK) {
            end_victims(g, others, edges, count, victims, victim_count);
            (void)has_news(edges, count, newest, true);
        }
    }
    arena_fini(&a);
    *ret_news = news;
    return err;
}

static void watch_fiber(void *arg)
{
    struct meta *m = arg;
    struct lock_graph *g = range_store_lock_graph(m->rs);
    uint64_t pause = PAUSE_NS;
    uint64_t news_ns = clock_mono_ns(); /* when there was something new */
    uint64_t newest[KINDS] = {0};
    while (atomic_load(&m->started)) {
        db_err err = fiber_sleep(pause);
        bool news = true;
        if (lock_graph_waits(g) == 0) {
            if (lock_graph_unwatch(g)) {
                break;
            }
        } else if (err == ERR_OK && atomic_load(&m->started)) {
            err = tell(m, others_use(m), newest, &news);
            others_leave(m);
            if (err != ERR_OK) {
                LOG_DEBUG("meta.waits", F_ERR(err));
            }
        }
        news_ns = news ? clock_mono_ns() : news_ns;
        bool soon = lock_graph_waits(g) > lock_graph_other_waits(g) ||
                    clock_mono_ns() - news_ns < OTHERS_SOON_NS;
        uint64_t longest = soon ? PAUSE_MAX_NS : OTHERS_PAUSE_MAX_NS;
        pause = news ? PAUSE_NS : 2 * pause < longest ? 2 * pause : longest;
    }
    meta_fiber_ends(m);
}

bool meta_watch_waits(void *ctx)
{
    struct meta *m = ctx;
    bool alone = m->opts.client == NULL || atomic_load(&m->members) <= 1;
    return atomic_load(&m->started) &&
           (!alone || lock_graph_other_waits(range_store_lock_graph(m->rs)) != 0) &&
           meta_spawn(m, watch_fiber, m) == ERR_OK;
}
