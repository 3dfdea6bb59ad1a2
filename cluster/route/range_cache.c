#include "cluster/route/route.h"

#include "base/alloc.h"
#include "base/assert.h"

/* An array of known ranges in order of their start keys. It is never changed: a change makes a new
 * one and retires the old, with the entries that are gone, to be freed when no reader can see them.
 * Readers copy what they need inside a guard. */

struct cache_entry {
    struct ebr_node ebr;
    struct range_desc desc; /* keys follow in memory */
    _Atomic node_id_t leader;
};

struct range_table {
    struct ebr_node ebr;
    size_t count;
    struct cache_entry *entries[];
};

static void table_free(struct ebr_node *n)
{
    mem_free(CONTAINER_OF(n, struct range_table, ebr));
}

static void entry_free(struct ebr_node *n)
{
    mem_free(CONTAINER_OF(n, struct cache_entry, ebr));
}

static struct range_table *table_new(size_t count)
{
    struct range_table *t = mem_alloc(sizeof(*t) + count * sizeof(t->entries[0]));
    if (t != NULL) {
        t->count = count;
    }
    return t;
}

db_err range_cache_init(struct range_cache *c)
{
    struct range_table *t = table_new(0);
    if (t == NULL) {
        return ERR_NOMEM;
    }
    ebr_init(&c->ebr);
    pthread_mutex_init(&c->lock, NULL);
    atomic_init(&c->table, t);
    return ERR_OK;
}

void range_cache_fini(struct range_cache *c)
{
    struct range_table *t = atomic_load(&c->table);
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        mem_free(t->entries[i]);
    }
    mem_free(t);
    ebr_fini(&c->ebr);
    pthread_mutex_destroy(&c->lock);
}

/* The first entry that ends after the key (`inclusive`: at or after it). */
static size_t lower(const struct range_table *t, struct slice key, bool inclusive)
{
    size_t lo = 0;
    size_t hi = t->count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const struct range_desc *d = &t->entries[mid]->desc;
        int c = d->end.len == 0 ? 1 : slice_cmp(d->end, key);
        if (c < 0 || (c == 0 && !inclusive)) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static db_err describe(const struct cache_entry *e, struct arena *arena,
                       struct range_location *ret_loc)
{
    struct range_location loc = {.id = e->desc.id, .epoch = e->desc.epoch};
    loc.node = atomic_load_explicit(&e->leader, memory_order_relaxed);
    if (arena != NULL) {
        TRY(arena_copy(arena, e->desc.start, &loc.start));
        TRY(arena_copy(arena, e->desc.end, &loc.end));
    }
    *ret_loc = loc;
    return ERR_OK;
}

db_err range_cache_find(struct range_cache *c, struct slice key, struct arena *arena,
                        struct range_location *ret_loc)
{
    unsigned slot = ebr_enter(&c->ebr);
    const struct range_table *t = atomic_load(&c->table);
    size_t i = lower(t, key, false);
    bool found = i < t->count && slice_cmp(t->entries[i]->desc.start, key) <= 0;
    db_err err = found ? describe(t->entries[i], arena, ret_loc) : ERR_NOT_FOUND;
    ebr_leave(&c->ebr, slot);
    return err;
}

db_err range_cache_find_before(struct range_cache *c, struct slice key, struct arena *arena,
                               struct range_location *ret_loc)
{
    unsigned slot = ebr_enter(&c->ebr);
    const struct range_table *t = atomic_load(&c->table);
    const struct cache_entry *found = NULL;
    if (key.len == 0) {
        bool last = t->count != 0 && t->entries[t->count - 1]->desc.end.len == 0;
        found = last ? t->entries[t->count - 1] : NULL;
    } else {
        size_t i = lower(t, key, true);
        bool there = i < t->count && slice_cmp(t->entries[i]->desc.start, key) < 0;
        found = there ? t->entries[i] : NULL;
    }
    db_err err = found != NULL ? describe(found, arena, ret_loc) : ERR_NOT_FOUND;
    ebr_leave(&c->ebr, slot);
    return err;
}

static struct cache_entry *entry_new(const struct range_desc *d)
{
    struct cache_entry *e = mem_alloc(sizeof(*e) + d->start.len + d->end.len);
    if (e == NULL) {
        return NULL;
    }
    uint8_t *keys = (uint8_t *)(e + 1);
    e->desc = *d;
    if (d->start.len != 0) {
        memcpy(keys, d->start.ptr, d->start.len);
    }
    if (d->end.len != 0) {
        memcpy(keys + d->start.len, d->end.ptr, d->end.len);
    }
    e->desc.start = slice_of(keys, d->start.len);
    e->desc.end = slice_of(keys + d->start.len, d->end.len);
    node_id_t leader = d->leader_hint;
    for (unsigned i = 0; i < d->replica_count && leader == 0; i++) {
        leader = d->replicas[i].kind == REPLICA_VOTER ? d->replicas[i].node : 0;
    }
    atomic_init(&e->leader, leader);
    return e;
}

/* Under the lock: [at, end) of the table make room for `e` (NULL: for nothing). */
static db_err replace(struct range_cache *c, struct range_table *t, size_t at, size_t end,
                      struct cache_entry *e)
{
    size_t put = e != NULL;
    struct range_table *n = table_new(t->count - (end - at) + put);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    memcpy(n->entries, t->entries, at * sizeof(n->entries[0]));
    if (e != NULL) {
        n->entries[at] = e;
    }
    memcpy(n->entries + at + put, t->entries + end, (t->count - end) * sizeof(n->entries[0]));
    atomic_store(&c->table, n);
    for (size_t i = at; i < end; i++) {
        ebr_retire(&c->ebr, &t->entries[i]->ebr, entry_free);
    }
    ebr_retire(&c->ebr, &t->ebr, table_free);
    return ERR_OK;
}

static bool older(const struct range_desc *a, const struct range_desc *b)
{
    return a->epoch.version != b->epoch.version ? a->epoch.version < b->epoch.version
                                                : a->epoch.conf < b->epoch.conf;
}

static db_err learn_one(struct range_cache *c, const struct range_desc *d)
{
    struct range_table *t = atomic_load(&c->table);
    size_t at = lower(t, d->start, false);
    size_t end = at;
    while (end < t->count &&
           (d->end.len == 0 || slice_cmp(t->entries[end]->desc.start, d->end) < 0)) {
        const struct range_desc *known = &t->entries[end]->desc;
        if (older(d, known) || (known->id == d->id && !older(known, d))) {
            return ERR_OK; /* old news */
        }
        end++;
    }
    struct cache_entry *e = entry_new(d);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    db_err err = replace(c, t, at, end, e);
    if (err != ERR_OK) {
        mem_free(e);
    }
    return err;
}

db_err range_cache_learn(struct range_cache *c, const struct range_desc *descs, unsigned count)
{
    db_err err = ERR_OK;
    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < count && err == ERR_OK; i++) {
        err = learn_one(c, &descs[i]);
    }
    pthread_mutex_unlock(&c->lock);
    return err;
}

static size_t find_id(const struct range_table *t, range_id_t id)
{
    size_t i = 0;
    while (i < t->count && t->entries[i]->desc.id != id) {
        i++;
    }
    return i;
}

void range_cache_evict(struct range_cache *c, range_id_t id, struct range_epoch epoch)
{
    pthread_mutex_lock(&c->lock);
    struct range_table *t = atomic_load(&c->table);
    size_t i = find_id(t, id);
    if (i < t->count && t->entries[i]->desc.epoch.version == epoch.version &&
        t->entries[i]->desc.epoch.conf == epoch.conf) {
        db_err err = replace(c, t, i, i + 1, NULL);
        (void)err; /* without memory it stays and is found out once more */
    }
    pthread_mutex_unlock(&c->lock);
}

void range_cache_set_leader(struct range_cache *c, range_id_t id, node_id_t leader)
{
    pthread_mutex_lock(&c->lock);
    struct range_table *t = atomic_load(&c->table);
    size_t i = find_id(t, id);
    if (i < t->count) {
        atomic_store(&t->entries[i]->leader, leader);
    }
    pthread_mutex_unlock(&c->lock);
}

/* The voter after `node` in the order of the descriptor; 0: there is no other. */
static node_id_t voter_after(const struct range_desc *d, node_id_t node)
{
    unsigned at = 0;
    while (at < d->replica_count && d->replicas[at].node != node) {
        at++;
    }
    for (unsigned i = 1; i <= d->replica_count; i++) {
        const struct replica_desc *r = &d->replicas[(at + i) % d->replica_count];
        if (r->node != node && r->kind != REPLICA_LEARNER) {
            return r->node;
        }
    }
    return 0;
}

bool range_cache_next_leader(struct range_cache *c, range_id_t id, node_id_t failed)
{
    bool other = true;
    pthread_mutex_lock(&c->lock);
    struct range_table *t = atomic_load(&c->table);
    size_t i = find_id(t, id);
    if (i < t->count && atomic_load(&t->entries[i]->leader) == failed) {
        node_id_t next = voter_after(&t->entries[i]->desc, failed);
        other = next != 0;
        if (other) {
            atomic_store(&t->entries[i]->leader, next);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return other;
}

size_t range_cache_count(struct range_cache *c)
{
    unsigned slot = ebr_enter(&c->ebr);
    size_t n = ((struct range_table *)atomic_load(&c->table))->count;
    ebr_leave(&c->ebr, slot);
    return n;
}
