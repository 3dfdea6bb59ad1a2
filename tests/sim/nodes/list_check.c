/* Does one order of time explain the appends? The final lists give the order of the appends to each
 * list; from that, "must be before":
 *  - the appender of a value before the appender of the next one;
 *  - the appender of the last value seen before who saw it;
 *  - who saw a list before the appender of the first value it did not see;
 *  - an earlier event of the same transaction before a later one;
 *  - what had ended, for who asked, before what began after that.
 * Timestamps of a correct cluster grow along all of them, so a cycle is an anomaly.
 *
 * Real time: a chain of moments, one at each end of an event, in order. An event comes before the
 * moment of its end, and after the last moment before its begin. So the graph is linear in size. */
#include "tests/sim/nodes/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"

enum { NONE = UINT32_MAX };

struct place {
    uint32_t value;
    uint32_t index;
    uint8_t list;
    uint32_t event; /* the appender; NONE: not known */
};

struct edge {
    uint32_t to;
    uint32_t next; /* of the same origin */
};

struct graph {
    const struct list_history *h;
    const struct list_final *final;
    struct place *places; /* by value */
    size_t place_count;
    uint32_t *at[LISTS]; /* the place's number by index in the list */
    uint32_t *head;      /* first edge by node */
    struct edge *edges;
    size_t edge_count, edge_cap;
    uint64_t *moments; /* ends, ascending */
    size_t moment_count;
    size_t node_count; /* events, then moments */
    char *text;
    size_t text_size;
};

static void *xalloc(size_t count, size_t size)
{
    void *p = mem_calloc(count + 1, size);
    ASSERT(p != NULL);
    return p;
}

size_t list_begin(struct list_history *h, const char *name, uint64_t now)
{
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 256 : h->cap * 2;
        h->events = mem_realloc(h->events, h->cap * sizeof(*h->events));
        ASSERT(h->events != NULL);
    }
    h->events[h->count] = (struct list_event){.name = name, .begin = now, .end = TICK_NEVER};
    return h->count++;
}

void list_read(struct list_history *h, size_t event, unsigned list, uint32_t count, uint32_t last)
{
    struct list_event *e = &h->events[event];
    ASSERT(e->read_count < EVENT_READS_MAX);
    e->reads[e->read_count++] = (struct list_read){(uint8_t)list, count, last};
}

void list_append(struct list_history *h, size_t event, unsigned list, uint32_t value)
{
    struct list_event *e = &h->events[event];
    ASSERT(e->append_count < EVENT_APPENDS_MAX);
    e->appends[e->append_count++] = (struct list_append){(uint8_t)list, value};
}

void list_end(struct list_history *h, size_t event, enum outcome outcome, uint64_t now)
{
    struct list_event *e = &h->events[event];
    e->outcome = outcome;
    e->end = outcome == OUTCOME_UNKNOWN ? TICK_NEVER : now;
}

/* ---- the lists ---- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = ((const struct place *)a)->value, y = ((const struct place *)b)->value;
    return x < y ? -1 : x > y;
}

static struct place *place_of(struct graph *g, uint32_t value)
{
    struct place key = {.value = value};
    return bsearch(&key, g->places, g->place_count, sizeof(key), by_value);
}

static bool make_places(struct graph *g)
{
    size_t total = 0;
    for (unsigned l = 0; l < LISTS; l++) {
        total += g->final[l].count;
    }
    g->places = xalloc(total, sizeof(*g->places));
    for (unsigned l = 0; l < LISTS; l++) {
        g->at[l] = xalloc(g->final[l].count, sizeof(uint32_t));
        for (size_t i = 0; i < g->final[l].count; i++) {
            g->places[g->place_count++] =
                (struct place){g->final[l].values[i], (uint32_t)i, (uint8_t)l, NONE};
        }
    }
    qsort(g->places, g->place_count, sizeof(*g->places), by_value);
    for (size_t i = 0; i < g->place_count; i++) {
        const struct place *p = &g->places[i];
        g->at[p->list][p->index] = (uint32_t)i;
        if (i > 0 && g->places[i - 1].value == p->value) {
            snprintf(g->text, g->text_size, "value %u is there twice", p->value);
            return false;
        }
    }
    return true;
}

static bool take_append(struct graph *g, uint32_t event, const struct list_append *a)
{
    const struct list_event *e = &g->h->events[event];
    struct place *p = place_of(g, a->value);
    if (p == NULL && e->outcome == OUTCOME_YES) {
        snprintf(g->text, g->text_size, "append of %u to list %u was acknowledged at %llu and lost",
                 a->value, a->list, (unsigned long long)e->end);
        return false;
    }
    if (p != NULL && (e->outcome == OUTCOME_NO || p->list != a->list)) {
        snprintf(g->text, g->text_size, "append of %u to list %u was refused and is in list %u",
                 a->value, a->list, p->list);
        return false;
    }
    if (p != NULL) {
        p->event = event;
    }
    return true;
}

/* All appends of a commit or none. */
static bool take_appends(struct graph *g)
{
    for (uint32_t i = 0; i < g->h->count; i++) {
        const struct list_event *e = &g->h->events[i];
        unsigned there = 0;
        for (unsigned k = 0; k < e->append_count; k++) {
            if (!take_append(g, i, &e->appends[k])) {
                return false;
            }
            there += place_of(g, e->appends[k].value) != NULL;
        }
        if (there != 0 && there != e->append_count) {
            snprintf(g->text, g->text_size, "of the commit that appended %u only a part is there",
                     e->appends[0].value);
            return false;
        }
    }
    for (size_t i = 0; i < g->place_count; i++) {
        if (g->places[i].event == NONE) {
            snprintf(g->text, g->text_size, "value %u was never appended", g->places[i].value);
            return false;
        }
    }
    return true;
}

/* ---- edges ---- */

static void add_edge(struct graph *g, uint32_t from, uint32_t to)
{
    if (from == to) {
        return;
    }
    if (g->edge_count == g->edge_cap) {
        g->edge_cap = g->edge_cap == 0 ? 4096 : g->edge_cap * 2;
        g->edges = mem_realloc(g->edges, g->edge_cap * sizeof(*g->edges));
        ASSERT(g->edges != NULL);
    }
    g->edges[g->edge_count] = (struct edge){to, g->head[from]};
    g->head[from] = (uint32_t)g->edge_count++;
}

static uint32_t appender(const struct graph *g, unsigned list, size_t index)
{
    return g->places[g->at[list][index]].event;
}

/* Counts: did it happen? */
static bool happened(struct graph *g, const struct list_event *e)
{
    return e->outcome == OUTCOME_YES ||
           (e->append_count > 0 && place_of(g, e->appends[0].value) != NULL);
}

static bool add_reads(struct graph *g, uint32_t event)
{
    const struct list_event *e = &g->h->events[event];
    for (unsigned i = 0; i < e->read_count; i++) {
        const struct list_read *r = &e->reads[i];
        const struct list_final *f = &g->final[r->list];
        if (r->count > f->count || (r->count > 0 && f->values[r->count - 1] != r->last)) {
            snprintf(g->text, g->text_size,
                     "%s at %llu saw %u values in list %u, the last %u: not what became of it",
                     e->name, (unsigned long long)e->begin, r->count, r->list, r->last);
            return false;
        }
        if (r->count > 0) {
            add_edge(g, appender(g, r->list, r->count - 1), event);
        }
        if (r->count < f->count) {
            add_edge(g, event, appender(g, r->list, r->count));
        }
    }
    return true;
}

static int by_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* How many moments lie before `tick`. */
static size_t moments_before(const struct graph *g, uint64_t tick)
{
    size_t lo = 0, hi = g->moment_count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (g->moments[mid] < tick) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static void add_time(struct graph *g)
{
    size_t n = g->h->count;
    for (size_t i = 0; i + 1 < g->moment_count; i++) {
        add_edge(g, (uint32_t)(n + i), (uint32_t)(n + i + 1));
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct list_event *e = &g->h->events[i];
        size_t before = moments_before(g, e->begin);
        if (!happened(g, e)) {
            continue;
        }
        if (before > 0) {
            add_edge(g, (uint32_t)(n + before - 1), i);
        }
        if (e->end != TICK_NEVER) {
            add_edge(g, i, (uint32_t)(n + moments_before(g, e->end)));
        }
    }
}

static bool make_graph(struct graph *g)
{
    size_t n = g->h->count;
    g->moments = xalloc(n, sizeof(uint64_t));
    for (size_t i = 0; i < n; i++) {
        if (g->h->events[i].end != TICK_NEVER) {
            g->moments[g->moment_count++] = g->h->events[i].end;
        }
    }
    qsort(g->moments, g->moment_count, sizeof(uint64_t), by_u64);
    g->node_count = n + g->moment_count;
    g->head = xalloc(g->node_count, sizeof(uint32_t));
    memset(g->head, 0xff, g->node_count * sizeof(uint32_t));
    for (unsigned l = 0; l < LISTS; l++) {
        for (size_t i = 0; i + 1 < g->final[l].count; i++) {
            add_edge(g, appender(g, l, i), appender(g, l, i + 1));
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct list_event *e = &g->h->events[i];
        if (!happened(g, e)) {
            continue;
        }
        if (!add_reads(g, i)) {
            return false;
        }
        if (e->before != 0) {
            add_edge(g, e->before - 1, i);
        }
    }
    add_time(g);
    return true;
}

/* ---- cycles ---- */

static void tell_cycle(struct graph *g, const uint32_t *path, size_t len)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    db_err err = buf_printf(&b, "cycle:");
    for (size_t i = 0; i < len && err == ERR_OK; i++) {
        if (path[i] >= g->h->count) {
            continue; /* a moment */
        }
        const struct list_event *e = &g->h->events[path[i]];
        err = buf_printf(&b, " %s[%llu %lld]", e->name, (unsigned long long)e->begin,
                         e->end == TICK_NEVER ? -1ll : (long long)e->end);
        for (unsigned k = 0; k < e->append_count && err == ERR_OK; k++) {
            err = buf_printf(&b, " +%u@%u", e->appends[k].value, e->appends[k].list);
        }
        for (unsigned k = 0; k < e->read_count && err == ERR_OK; k++) {
            err = buf_printf(&b, " r%u:%u", e->reads[k].list, e->reads[k].count);
        }
    }
    snprintf(g->text, g->text_size, "%.*s", (int)b.len, (const char *)b.ptr);
    buf_fini(&b);
}

/* Depth first without recursion: a node met again while it is on the path closes a cycle. */
static bool acyclic(struct graph *g)
{
    enum { NEW, OPEN, CLOSED };
    uint8_t *state = xalloc(g->node_count, 1);
    uint32_t *path = xalloc(g->node_count, sizeof(uint32_t));
    uint32_t *next = xalloc(g->node_count, sizeof(uint32_t));
    bool ok = true;
    for (uint32_t root = 0; root < g->node_count && ok; root++) {
        size_t depth = 0;
        if (state[root] != NEW) {
            continue;
        }
        path[depth] = root;
        next[depth++] = g->head[root];
        state[root] = OPEN;
        while (depth > 0 && ok) {
            uint32_t edge = next[depth - 1];
            if (edge == NONE) {
                state[path[--depth]] = CLOSED;
                continue;
            }
            uint32_t to = g->edges[edge].to;
            next[depth - 1] = g->edges[edge].next;
            if (state[to] == NEW) {
                state[to] = OPEN;
                path[depth] = to;
                next[depth++] = g->head[to];
            } else if (state[to] == OPEN) {
                size_t first = depth;
                while (path[first - 1] != to) {
                    first--;
                }
                tell_cycle(g, path + first - 1, depth - first + 1);
                ok = false;
            }
        }
    }
    mem_free(state);
    mem_free(path);
    mem_free(next);
    return ok;
}

bool list_consistent(const struct list_history *h, const struct list_final final[LISTS], char *text,
                     size_t text_size)
{
    struct graph g = {.h = h, .final = final, .text = text, .text_size = text_size};
    bool ok = make_places(&g) && take_appends(&g) && make_graph(&g) && acyclic(&g);
    mem_free(g.places);
    for (unsigned l = 0; l < LISTS; l++) {
        mem_free(g.at[l]);
    }
    mem_free(g.head);
    mem_free(g.edges);
    mem_free(g.moments);
    return ok;
}
