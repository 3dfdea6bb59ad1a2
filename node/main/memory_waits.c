#include "node/main/memory_waits.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "node/meta/wait_graph.h"

#define PAUSE_NS     (20 * NS_PER_MS)
#define PAUSE_MAX_NS (400 * NS_PER_MS)
#define WAIT_AGE_NS  (15 * NS_PER_MS)

/* As node/meta/deadlock.c, without other nodes and without row locks: those of the storage in
 * memory find their circles by themselves. */
struct memory_waits {
    struct loop_group *loops;
    struct sql_engine *_Atomic engine;
    struct wait_graph *graph; /* the fiber's */
    _Atomic unsigned waits;
    _Atomic bool watched;     /* there is a fiber */
    _Atomic unsigned running; /* fibers: one that has just seen that nobody waits, too */
    _Atomic bool stopping;
};

db_err memory_waits_new(struct loop_group *loops, struct memory_waits **ret)
{
    struct memory_waits *w = mem_calloc(1, sizeof(*w));
    if (w == NULL) {
        return ERR_NOMEM;
    }
    w->loops = loops;
    db_err err = wait_graph_new(&w->graph);
    if (err != ERR_OK) {
        mem_free(w);
        return err;
    }
    *ret = w;
    return ERR_OK;
}

void memory_waits_attach(struct memory_waits *w, struct sql_engine *engine)
{
    atomic_store(&w->engine, engine);
}

void memory_waits_free(struct memory_waits *w)
{
    if (w == NULL) {
        return;
    }
    atomic_store(&w->stopping, true);
    while (atomic_load(&w->running) != 0) {
        if (fiber_sleep(NS_PER_MS) != ERR_OK) {
            fiber_yield();
        }
    }
    wait_graph_free(w->graph);
    mem_free(w);
}

/* *ret_count: edges. */
static db_err look(struct memory_waits *w, struct sql_peer *p, unsigned *ret_count)
{
    struct sql_wait_edge *told;
    uint64_t *victims;
    unsigned victim_count;
    struct arena a;
    uint64_t now = clock_mono_ns();
    arena_init(&a, NULL, NULL, 0);
    db_err err = p->ops->waits(p, now - WAIT_AGE_NS, KV_WAITS_MAX, &a, &told, ret_count);
    struct kv_wait_edge *edges =
        err == ERR_OK ? ARENA_ARRAY(&a, struct kv_wait_edge, *ret_count + 1) : NULL;
    err = err == ERR_OK && edges == NULL ? ERR_NOMEM : err;
    for (unsigned i = 0; err == ERR_OK && i < *ret_count; i++) {
        edges[i] = (struct kv_wait_edge){told[i].wait, told[i].waiter, told[i].blocker};
    }
    if (err == ERR_OK) {
        err = wait_graph_report(w->graph, 1, edges, *ret_count, now, &a, &victims, &victim_count);
    }
    for (unsigned i = 0; err == ERR_OK && i < victim_count; i++) {
        p->ops->refuse_wait(p, victims[i]);
    }
    arena_fini(&a);
    return err;
}

static void watch(void *arg)
{
    struct memory_waits *w = arg;
    uint64_t pause = PAUSE_NS;
    unsigned before = 0;
    for (;;) {
        db_err err = fiber_sleep(pause);
        struct sql_engine *e = atomic_load(&w->engine);
        unsigned count = 0;
        if (atomic_load(&w->stopping)) {
            break;
        }
        if (atomic_load(&w->waits) == 0) {
            atomic_store(&w->watched, false);
            if (atomic_load(&w->waits) == 0 || atomic_exchange(&w->watched, true)) {
                break;
            }
        } else if (err == ERR_OK && e != NULL) {
            err = look(w, sql_engine_peer(e), &count);
        }
        bool same = err == ERR_OK && count == before;
        pause = !same ? PAUSE_NS : 2 * pause < PAUSE_MAX_NS ? 2 * pause : PAUSE_MAX_NS;
        before = count;
    }
    atomic_fetch_sub(&w->running, 1); /* w may be gone */
}

void memory_waits_wait(void *ctx, bool begins)
{
    struct memory_waits *w = ctx;
    if (!begins) {
        atomic_fetch_sub(&w->waits, 1);
        return;
    }
    atomic_fetch_add(&w->waits, 1);
    if (atomic_load(&w->watched) || atomic_exchange(&w->watched, true)) {
        return;
    }
    atomic_fetch_add(&w->running, 1);
    if (fiber_spawn(loop_group_get(w->loops, 0), watch, w) != ERR_OK) {
        atomic_fetch_sub(&w->running, 1);
        atomic_store(&w->watched, false); /* a time-out ends it */
    }
}
