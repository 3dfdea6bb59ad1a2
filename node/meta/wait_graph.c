/* Deadlocks over several nodes.
 *
 * Each node tells, every so often, the waits that last there, and on whom each waits. No two nodes
 * tell at the same moment, so a cycle in what they told need not have existed: one wait of it may
 * have ended (killed, timed out) before another one began. What is certain: a node has one report
 * under way at a time, so an edge that was in report number f (they are numbered here, as they come
 * in) and in each one of the node up to its latest has existed from the arrival of f to the arrival
 * of the one *before* the latest, p, because the latest was made after that one had been answered.
 * A cycle is a deadlock exactly if there is a moment T at which all its edges existed: the highest
 * f of them is not above the lowest p of their nodes. The numbers of the reports serve as time, and
 * only the p of the nodes need be tried for T. A transaction that waits gives nothing back, so a
 * cycle that has existed at one moment exists until somebody gives up.
 *
 * So the first report of a wait never decides anything, and what a node that is silent told last is
 * never taken for true any more: it need not be deleted in time.
 *
 * The victim is the youngest transaction of the cycle, by its timestamp: whoever looks comes to the
 * same. If sessions that wait for other things than rows are in the cycle, it is who has the
 * cheapest wait, of several the one that began last. Its edges are left out from then on, so that
 * what remains of a larger knot is looked at without it, and its waits are named to its node until
 * that reports them no more. */
#include "node/meta/wait_graph.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"

enum { NODES_MAX = 64, VICTIMS_MAX = 256 };
#define FORGET_NS (10 * NS_PER_S)

struct edge {
    struct kv_wait_edge e;
    uint64_t first; /* number of the report that told it first */
    bool victim;
};

struct node_waits {
    node_id_t node;
    uint64_t at_ns;
    uint64_t last; /* numbers of its latest report, and of the one before */
    uint64_t before;
    struct edge *edges; /* by (wait, blocker) */
    unsigned count;
};

struct wait_graph {
    uint64_t report; /* number of the latest of all */
    struct node_waits nodes[NODES_MAX];
    unsigned count;
};

db_err wait_graph_new(struct wait_graph **ret_graph)
{
    struct wait_graph *g = mem_calloc(1, sizeof(*g));
    if (g == NULL) {
        return ERR_NOMEM;
    }
    *ret_graph = g;
    return ERR_OK;
}

void wait_graph_clear(struct wait_graph *g)
{
    for (unsigned i = 0; i < g->count; i++) {
        mem_free(g->nodes[i].edges);
    }
    g->count = 0;
}

void wait_graph_free(struct wait_graph *g)
{
    if (g != NULL) {
        wait_graph_clear(g);
        mem_free(g);
    }
}

/* ---- what a node tells ---- */

static void forget(struct wait_graph *g, uint64_t now_ns)
{
    for (unsigned i = 0; i < g->count;) {
        if (now_ns - g->nodes[i].at_ns < FORGET_NS) {
            i++;
            continue;
        }
        mem_free(g->nodes[i].edges);
        g->nodes[i] = g->nodes[--g->count];
    }
}

static int cmp_edges(const struct kv_wait_edge *a, const struct kv_wait_edge *b)
{
    if (a->wait != b->wait) {
        return a->wait < b->wait ? -1 : 1;
    }
    if (a->waiter != b->waiter) {
        return a->waiter < b->waiter ? -1 : 1;
    }
    return a->blocker < b->blocker ? -1 : a->blocker > b->blocker;
}

static int by_wait(const void *a, const void *b)
{
    return cmp_edges(&((const struct edge *)a)->e, &((const struct edge *)b)->e);
}

/* What the node's last report knew of these edges; both in order. */
static void inherit(const struct node_waits *old, struct edge *edges, unsigned count)
{
    unsigned at = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct kv_wait_edge *e = &edges[i].e;
        while (at < old->count && old->edges[at].e.wait < e->wait) {
            at++;
        }
        for (unsigned k = at; k < old->count && old->edges[k].e.wait == e->wait; k++) {
            const struct edge *o = &old->edges[k];
            edges[i].victim = edges[i].victim || (o->victim && o->e.waiter == e->waiter);
            if (cmp_edges(&o->e, e) == 0) {
                edges[i].first = o->first;
            }
        }
    }
}

static db_err take(struct wait_graph *g, node_id_t node, const struct kv_wait_edge *told,
                   unsigned count, uint64_t now_ns, struct node_waits **ret_node)
{
    unsigned i = 0;
    while (i < g->count && g->nodes[i].node != node) {
        i++;
    }
    if (i == NODES_MAX) {
        return ERR_LIMIT;
    }
    struct edge *edges = mem_alloc((count + 1) * sizeof(*edges));
    if (edges == NULL) {
        return ERR_NOMEM;
    }
    uint64_t number = ++g->report;
    for (unsigned k = 0; k < count; k++) {
        edges[k] = (struct edge){told[k], number, false};
    }
    if (count != 0) {
        qsort(edges, count, sizeof(*edges), by_wait);
    }
    struct node_waits *n = &g->nodes[i];
    if (i == g->count) {
        *n = (struct node_waits){.node = node};
        g->count++;
    } else {
        inherit(n, edges, count);
        mem_free(n->edges);
    }
    n->edges = edges;
    n->count = count;
    n->before = n->last;
    n->last = number;
    n->at_ns = now_ns;
    *ret_node = n;
    return ERR_OK;
}

/* ---- looking for cycles ----
 *
 * The arcs are sorted once and know where they lead to; at each moment some of them count. A victim
 * is taken out where it is found, and the walk goes on from whoever waits for it: what was walked
 * to its end before has no cycle without it either. So a moment costs little more than one look at
 * each arc, however many victims there are. */

#define NOBODY UINT_MAX

/* An edge; by waiter. */
struct arc {
    ts_t from;
    ts_t to;
    unsigned target; /* the vertex of `to`; NOBODY: it does not wait */
    uint64_t wait;
    uint64_t first; /* number of the report that told it first */
    uint64_t until; /* of the last one after which it was certainly there */
};

enum { WHITE, GREY, BLACK };

struct vertex {
    ts_t ts;
    unsigned first, end; /* of its arcs */
    unsigned next;       /* to be followed */
    unsigned parent;
    uint8_t color;
    bool victim;
};

struct search {
    struct arc *arcs;
    unsigned arc_count;
    struct vertex *vertices; /* by ts */
    unsigned vertex_count;
    uint64_t moment; /* that is looked at; 0: all arcs, as if they were of one time */
    unsigned room;   /* for victims; 0: is there a cycle at all? */
    bool found;
};

static int by_from(const void *a, const void *b)
{
    const struct arc *x = a;
    const struct arc *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

static unsigned find(const struct search *s, ts_t ts)
{
    unsigned lo = 0;
    unsigned hi = s->vertex_count;
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        if (s->vertices[mid].ts < ts) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < s->vertex_count && s->vertices[lo].ts == ts ? lo : NOBODY;
}

static void gather(const struct wait_graph *g, struct search *s)
{
    for (unsigned i = 0; i < g->count; i++) {
        const struct node_waits *n = &g->nodes[i];
        for (unsigned k = 0; k < n->count; k++) {
            const struct edge *e = &n->edges[k];
            if (!e->victim) {
                s->arcs[s->arc_count++] = (struct arc){.from = e->e.waiter,
                                                       .to = e->e.blocker,
                                                       .wait = e->e.wait,
                                                       .first = e->first,
                                                       .until = n->before};
            }
        }
    }
    if (s->arc_count != 0) {
        qsort(s->arcs, s->arc_count, sizeof(*s->arcs), by_from);
    }
    for (unsigned k = 0; k < s->arc_count; k++) {
        if (k == 0 || s->arcs[k].from != s->arcs[k - 1].from) {
            s->vertices[s->vertex_count++] = (struct vertex){.ts = s->arcs[k].from, .first = k};
        }
        s->vertices[s->vertex_count - 1].end = k + 1;
    }
    for (unsigned k = 0; k < s->arc_count; k++) {
        s->arcs[k].target = find(s, s->arcs[k].to);
    }
}

static bool counts(const struct search *s, const struct arc *a)
{
    return s->moment == 0 || (a->first <= s->moment && s->moment <= a->until);
}

/* The arc that is being followed. */
static const struct arc *followed(const struct search *s, const struct vertex *v)
{
    return &s->arcs[v->next - 1];
}

/* Should a, rather than b, end? */
static bool rather(const struct arc *a, const struct arc *b, bool only_rows)
{
    unsigned price_a = kv_wait_price(a->wait);
    unsigned price_b = kv_wait_price(b->wait);
    if (price_a != price_b) {
        return price_a < price_b;
    }
    if (!only_rows && a->first != b->first) {
        return a->first > b->first;
    }
    return a->from > b->from;
}

/* Of the cycle that the arc from `last` to `top` closes. */
static unsigned victim_of(const struct search *s, unsigned last, unsigned top)
{
    unsigned victim = last;
    bool only_rows = true;
    for (unsigned i = last;; i = s->vertices[i].parent) {
        only_rows = only_rows && (followed(s, &s->vertices[i])->wait & KV_WAIT_OTHER) == 0;
        if (i == top) {
            break;
        }
    }
    for (unsigned i = last; i != top;) {
        i = s->vertices[i].parent;
        bool better =
            rather(followed(s, &s->vertices[i]), followed(s, &s->vertices[victim]), only_rows);
        victim = better ? i : victim;
    }
    return victim;
}

static void reset(struct vertex *v)
{
    v->color = v->victim ? BLACK : WHITE;
    v->next = v->first;
}

/* Takes the victim out, and the walk, which stands at `at`, back to it. */
static void take_out(struct search *s, unsigned at, unsigned victim)
{
    for (; at != victim; at = s->vertices[at].parent) {
        reset(&s->vertices[at]);
    }
    s->vertices[victim].victim = true;
    reset(&s->vertices[victim]);
    s->room--;
}

/* Follows what begins in `root`. */
static void walk(struct search *s, unsigned root)
{
    unsigned at = root;
    s->vertices[root].color = GREY;
    for (;;) {
        struct vertex *v = &s->vertices[at];
        if (v->next == v->end) {
            v->color = BLACK;
            if (at == root) {
                return;
            }
            at = v->parent;
            continue;
        }
        const struct arc *a = &s->arcs[v->next++];
        struct vertex *to = a->target == NOBODY ? NULL : &s->vertices[a->target];
        if (to == NULL || to->color == BLACK || !counts(s, a)) {
            continue; /* it does not wait, or for nobody that comes back */
        }
        if (to->color == WHITE) {
            to->color = GREY;
            to->parent = at;
            at = a->target;
            continue;
        }
        s->found = true;
        if (s->room == 0) {
            return;
        }
        unsigned victim = victim_of(s, at, a->target);
        take_out(s, at, victim);
        if (victim == root || s->room == 0) {
            return;
        }
        at = s->vertices[victim].parent;
    }
}

/* Victims of the cycles at a moment. */
static void look(struct search *s, uint64_t moment)
{
    bool only_ask = s->room == 0;
    s->moment = moment;
    s->found = false;
    for (unsigned i = 0; i < s->vertex_count; i++) {
        reset(&s->vertices[i]);
    }
    for (unsigned i = 0; i < s->vertex_count && !(s->found && (only_ask || s->room == 0)); i++) {
        if (s->vertices[i].color == WHITE) {
            walk(s, i);
        }
    }
}

/* The edges of the victims are left out from now on. */
static void condemn(struct wait_graph *g, const struct search *s)
{
    for (unsigned i = 0; i < g->count; i++) {
        for (unsigned k = 0; k < g->nodes[i].count; k++) {
            struct edge *e = &g->nodes[i].edges[k];
            unsigned at = e->victim ? NOBODY : find(s, e->e.waiter);
            e->victim = e->victim || (at != NOBODY && s->vertices[at].victim);
        }
    }
}

static void find_victims(struct wait_graph *g, struct search *s)
{
    gather(g, s);
    look(s, 0);
    if (!s->found) {
        return; /* nothing that could be one */
    }
    s->room = VICTIMS_MAX;
    for (unsigned i = 0; i < g->count && s->room != 0; i++) {
        if (g->nodes[i].before != 0) {
            look(s, g->nodes[i].before);
        }
    }
    if (s->room != VICTIMS_MAX) {
        condemn(g, s);
    }
}

static db_err search(struct wait_graph *g)
{
    size_t all = 1;
    for (unsigned i = 0; i < g->count; i++) {
        all += g->nodes[i].count;
    }
    struct search s = {.arcs = mem_alloc(all * sizeof(*s.arcs)),
                       .vertices = mem_alloc(all * sizeof(*s.vertices))};
    db_err err = s.arcs == NULL || s.vertices == NULL ? ERR_NOMEM : ERR_OK;
    if (err == ERR_OK) {
        find_victims(g, &s);
    }
    mem_free(s.arcs);
    mem_free(s.vertices);
    return err;
}

db_err wait_graph_report(struct wait_graph *g, node_id_t node, const struct kv_wait_edge *edges,
                         unsigned count, uint64_t now_ns, struct arena *arena,
                         uint64_t **ret_victims, unsigned *ret_count)
{
    struct node_waits *n;
    unsigned victims = 0;
    if (count > KV_WAITS_MAX) {
        return ERR_LIMIT;
    }
    uint64_t *waits = ARENA_ARRAY(arena, uint64_t, count);
    if (waits == NULL) {
        return ERR_NOMEM;
    }
    forget(g, now_ns);
    TRY(take(g, node, edges, count, now_ns, &n));
    db_err err = search(g);
    (void)err; /* with the next report */
    for (unsigned i = 0; i < n->count; i++) {
        const struct edge *e = &n->edges[i];
        if (e->victim && (victims == 0 || waits[victims - 1] != e->e.wait)) {
            waits[victims++] = e->e.wait;
        }
    }
    *ret_victims = waits;
    *ret_count = victims;
    return ERR_OK;
}
