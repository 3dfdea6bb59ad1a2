/* Are the registers linearizable? Every write has a value of its own, so that each read names the
 * write it saw. A write and its reads form a cluster; all of them must fall into one stretch in
 * which no other value shows. With f the first end of an operation of the cluster and s its last
 * begin:
 *  - f < s: the value shows at least from f to s (a forward zone);
 *  - else all have a moment in common, somewhere between s and f (a backward zone).
 * The history is linearizable exactly if no read ends before its write begins, no two forward zones
 * overlap, and no backward zone lies inside a forward one (Gibbons and Korach). A write whose
 * outcome is unknown and that nobody saw may never have been; one that was seen has no end of its
 * own. The absence at the beginning is a value that was written before everything. */
#include "tests/sim/nodes/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

struct zone {
    uint32_t value;
    uint64_t write_begin;
    uint64_t first_end, last_begin;
    bool written, refused, seen;
};

static void *grow(void *items, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return items;
    }
    *cap = *cap == 0 ? 256 : *cap * 2;
    void *fresh = mem_realloc(items, *cap * size);
    ASSERT(fresh != NULL);
    return fresh;
}

size_t reg_begin(struct reg_history *h, bool write, uint32_t value, uint64_t now)
{
    h->ops = grow(h->ops, h->count, &h->cap, sizeof(*h->ops));
    h->ops[h->count] =
        (struct reg_op){.begin = now, .end = TICK_NEVER, .value = value, .write = write};
    return h->count++;
}

void reg_end(struct reg_history *h, size_t op, uint32_t value, enum outcome outcome, uint64_t now)
{
    struct reg_op *o = &h->ops[op];
    o->outcome = outcome;
    o->end = outcome == OUTCOME_UNKNOWN ? TICK_NEVER : now;
    o->value = o->write ? o->value : value;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = ((const struct zone *)a)->value, y = ((const struct zone *)b)->value;
    return x < y ? -1 : x > y;
}

static int by_start(const void *a, const void *b)
{
    const struct zone *x = a, *y = b;
    uint64_t p = x->first_end < x->last_begin ? x->first_end : x->last_begin;
    uint64_t q = y->first_end < y->last_begin ? y->first_end : y->last_begin;
    return p < q ? -1 : p > q;
}

static struct zone *zone_of(struct zone *zones, size_t count, uint32_t value)
{
    struct zone key = {.value = value};
    return bsearch(&key, zones, count, sizeof(*zones), by_value);
}

static void widen(struct zone *z, uint64_t begin, uint64_t end)
{
    z->first_end = end < z->first_end ? end : z->first_end;
    z->last_begin = begin > z->last_begin ? begin : z->last_begin;
}

static size_t make_writes(const struct reg_history *h, struct zone *zones)
{
    size_t n = 0;
    zones[n++] = (struct zone){.written = true, .first_end = 0};
    for (size_t i = 0; i < h->count; i++) {
        const struct reg_op *o = &h->ops[i];
        if (o->write) {
            zones[n++] = (struct zone){.value = o->value,
                                       .write_begin = o->begin,
                                       .first_end = o->end,
                                       .last_begin = o->begin,
                                       .written = o->outcome == OUTCOME_YES,
                                       .refused = o->outcome == OUTCOME_NO};
        }
    }
    qsort(zones, n, sizeof(*zones), by_value);
    return n;
}

static bool add_reads(const struct reg_history *h, struct zone *zones, size_t n, char *text,
                      size_t size)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct reg_op *o = &h->ops[i];
        if (o->write || o->outcome != OUTCOME_YES) {
            continue;
        }
        struct zone *z = zone_of(zones, n, o->value);
        if (z == NULL || z->refused) {
            snprintf(text, size, "value %u was read and %s", o->value,
                     z == NULL ? "never written" : "its write was refused");
            return false;
        }
        if (o->end < z->write_begin) {
            snprintf(text, size, "value %u was read before it was written", o->value);
            return false;
        }
        z->seen = true;
        widen(z, o->begin, o->end);
    }
    return true;
}

static bool forward(const struct zone *z)
{
    return z->first_end < z->last_begin;
}

static bool zones_agree(struct zone *zones, size_t n, char *text, size_t size)
{
    qsort(zones, n, sizeof(*zones), by_start);
    const struct zone *cover = NULL; /* the forward zone that reaches furthest */
    for (size_t i = 0; i < n; i++) {
        const struct zone *z = &zones[i];
        uint64_t end = forward(z) ? z->last_begin : z->first_end;
        bool clash = cover != NULL &&
                     (forward(z) ? z->first_end < cover->last_begin : end < cover->last_begin);
        if (clash) {
            snprintf(text, size,
                     "value %u shows from %llu to %llu, value %u %s %llu and %llu: a stale read",
                     cover->value, (unsigned long long)cover->first_end,
                     (unsigned long long)cover->last_begin, z->value,
                     forward(z) ? "shows at" : "has its moment between",
                     (unsigned long long)z->first_end, (unsigned long long)z->last_begin);
            return false;
        }
        if (forward(z) && (cover == NULL || z->last_begin > cover->last_begin)) {
            cover = z;
        }
    }
    return true;
}

bool reg_linearizable(const struct reg_history *h, char *text, size_t text_size)
{
    struct zone *zones = mem_calloc(h->count + 1, sizeof(*zones));
    ASSERT(zones != NULL);
    size_t n = make_writes(h, zones);
    bool ok = add_reads(h, zones, n, text, text_size);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (zones[i].written || zones[i].seen) { /* else it need not have been */
            zones[kept++] = zones[i];
        }
    }
    ok = ok && zones_agree(zones, kept, text, text_size);
    mem_free(zones);
    return ok;
}
