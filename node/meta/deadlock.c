/* Deadlocks whose waits are at several nodes.
 *
 * A cycle on one node is found there when it closes (node/lock/deadlock.c). For the others each
 * node tells the leader of the meta range of the waits that have lasted WAIT_AGE_NS, as long as
 * there are any: a fiber that starts with the first wait and ends when nobody waits. A report in
 * which nothing is new is followed by a longer pause. The leader keeps what it was told in memory
 * only (wait_graph.c) and names the victims in its answer; a new leader knows nothing and is told
 * all within a pause. A node alone has no such fiber: there all cycles are its own.
 *
 * While the meta range has no leader, deadlocks over nodes wait for it, at most until their
 * time-out. */
#include "base/assert.h"
#include "base/log.h"
#include "node/lock/lock_table.h"
#include "node/meta/meta_int.h"

#define WAIT_AGE_NS  (15 * NS_PER_MS)
#define PAUSE_NS     (20 * NS_PER_MS)
#define PAUSE_MAX_NS (100 * NS_PER_MS)
#define ASK_TIME_NS  (1 * NS_PER_S)

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

static void end_victims(struct lock_graph *g, const struct kv_wait_edge *edges, unsigned count,
                        const uint64_t *victims, unsigned victim_count)
{
    unsigned v = 0;
    for (unsigned i = 0; i < count && v < victim_count; i++) {
        if (i != 0 && edges[i].wait == edges[i - 1].wait) {
            continue;
        }
        while (v < victim_count && victims[v] < edges[i].wait) {
            v++;
        }
        if (v < victim_count && victims[v] == edges[i].wait &&
            lock_graph_refuse(g, edges[i].wait, edges[i].waiter)) {
            LOG_DEBUG("lock.deadlock", F_U64("start_ts", edges[i].waiter));
        }
    }
}

/* *newest: number of the newest wait that was told. Has a newer one come? */
static db_err tell(struct meta *m, uint64_t *newest, bool *ret_news)
{
    struct lock_graph *g = range_store_lock_graph(m->rs);
    struct meta_service *c = m->opts.client;
    struct kv_wait_edge *edges;
    unsigned count;
    uint64_t *victims;
    unsigned victim_count;
    struct diag diag;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    diag_reset(&diag);
    db_err err =
        lock_graph_edges(g, clock_mono_ns() - WAIT_AGE_NS, KV_WAITS_MAX, &a, &edges, &count);
    bool news = err == ERR_OK && count != 0 && edges[count - 1].wait > *newest;
    if (err == ERR_OK && count != 0) {
        fiber_set_deadline(clock_mono_ns() + ASK_TIME_NS);
        err = c->ops->report_waits(c, m->self, edges, count, &a, &diag, &victims, &victim_count);
        fiber_set_deadline(DEADLINE_NONE);
        if (err == ERR_OK) {
            end_victims(g, edges, count, victims, victim_count);
            *newest = news ? edges[count - 1].wait : *newest;
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
    uint64_t newest = 0;
    while (atomic_load(&m->started)) {
        db_err err = fiber_sleep(pause);
        bool news = true;
        if (lock_graph_waits(g) == 0) {
            if (lock_graph_unwatch(g)) {
                break;
            }
        } else if (err == ERR_OK && atomic_load(&m->started)) {
            err = tell(m, &newest, &news);
            if (err != ERR_OK) {
                LOG_DEBUG("meta.waits", F_ERR(err));
            }
        }
        pause = news ? PAUSE_NS : 2 * pause < PAUSE_MAX_NS ? 2 * pause : PAUSE_MAX_NS;
    }
    meta_fiber_ends(m);
}

bool meta_watch_waits(void *ctx)
{
    struct meta *m = ctx;
    return m->opts.client != NULL && atomic_load(&m->members) > 1 && atomic_load(&m->started) &&
           meta_spawn(m, watch_fiber, m) == ERR_OK;
}
