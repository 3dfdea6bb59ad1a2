#include "sql/session/plan_cache.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/spin.h"

enum { SHARDS = 32, BUCKETS = 256, PLAN_BYTES_MAX = 256 * 1024 };

struct entry {
    struct entry *next; /* in the bucket */
    struct list recent;
    struct plan_cache_key key;
    struct plan *plan;
    size_t bytes;
};

struct shard {
    struct spin lock; /* held for a look-up or an insertion */
    struct entry *buckets[BUCKETS];
    struct list recent; /* most recent first */
    size_t bytes;
    uint64_t hits, misses, entries;
};

struct plan_cache {
    size_t shard_bytes_max;
    struct shard shards[SHARDS];
};

db_err plan_cache_new(size_t bytes_max, struct plan_cache **ret)
{
    struct plan_cache *c = mem_calloc(1, sizeof(*c));
    if (c == NULL) {
        return ERR_NOMEM;
    }
    c->shard_bytes_max = bytes_max / SHARDS;
    for (int i = 0; i < SHARDS; i++) {
        list_init(&c->shards[i].recent);
    }
    *ret = c;
    return ERR_OK;
}

static bool same(const struct plan_cache_key *a, const struct plan_cache_key *b)
{
    return a->digest_low == b->digest_low && a->digest_high == b->digest_high &&
           a->kinds == b->kinds && a->schema == b->schema &&
           a->catalog_version == b->catalog_version && a->sql_mode == b->sql_mode &&
           a->optimizer_switch == b->optimizer_switch && a->tz == b->tz && a->locale == b->locale &&
           a->div_precision_increment == b->div_precision_increment &&
           a->group_concat_max_len == b->group_concat_max_len && a->collation == b->collation &&
           a->charset == b->charset && a->utf8mb4_collation == b->utf8mb4_collation;
}

static struct shard *shard_of(struct plan_cache *c, const struct plan_cache_key *key)
{
    return &c->shards[key->digest_high % SHARDS];
}

static struct entry **place(struct shard *s, const struct plan_cache_key *key)
{
    struct entry **link = &s->buckets[key->digest_low % BUCKETS];
    while (*link != NULL && !same(&(*link)->key, key)) {
        link = &(*link)->next;
    }
    return link;
}

/* Takes the entry out; the caller frees it after unlocking. */
static struct entry *take_out(struct shard *s, struct entry **link)
{
    struct entry *e = *link;
    *link = e->next;
    list_remove(&e->recent);
    s->bytes -= e->bytes;
    s->entries--;
    return e;
}

static void entry_free(struct entry *e)
{
    plan_unref(e->plan);
    mem_free(e);
}

void plan_cache_free(struct plan_cache *c)
{
    if (c == NULL) {
        return;
    }
    for (int i = 0; i < SHARDS; i++) {
        struct list *n;
        while ((n = list_pop_front(&c->shards[i].recent)) != NULL) {
            entry_free(CONTAINER_OF(n, struct entry, recent));
        }
    }
    mem_free(c);
}

struct plan *plan_cache_get(struct plan_cache *c, const struct plan_cache_key *key)
{
    struct shard *s = shard_of(c, key);
    struct plan *plan = NULL;
    spin_lock(&s->lock);
    struct entry *e = *place(s, key);
    if (e != NULL) {
        plan = e->plan;
        plan_ref(plan);
        list_remove(&e->recent);
        list_push_front(&s->recent, &e->recent);
        s->hits++;
    } else {
        s->misses++;
    }
    spin_unlock(&s->lock);
    return plan;
}

void plan_cache_put(struct plan_cache *c, const struct plan_cache_key *key, struct plan *plan)
{
    struct shard *s = shard_of(c, key);
    size_t bytes = sizeof(struct entry) + sizeof(struct plan) + plan->arena.used;
    if (bytes > PLAN_BYTES_MAX || bytes > c->shard_bytes_max) {
        return;
    }
    struct entry *e = mem_calloc(1, sizeof(*e));
    if (e == NULL) {
        return;
    }
    e->key = *key;
    e->plan = plan;
    e->bytes = bytes;
    plan_ref(plan);
    struct list gone;
    list_init(&gone);
    spin_lock(&s->lock);
    struct entry **link = place(s, key);
    if (*link != NULL) {
        list_push_back(&gone, &take_out(s, link)->recent);
    }
    while (s->bytes + bytes > c->shard_bytes_max && !list_empty(&s->recent)) {
        struct entry *oldest = CONTAINER_OF(s->recent.prev, struct entry, recent);
        list_push_back(&gone, &take_out(s, place(s, &oldest->key))->recent);
    }
    link = place(s, key);
    e->next = *link;
    *link = e;
    list_push_front(&s->recent, &e->recent);
    s->bytes += bytes;
    s->entries++;
    spin_unlock(&s->lock);
    struct list *n;
    while ((n = list_pop_front(&gone)) != NULL) {
        entry_free(CONTAINER_OF(n, struct entry, recent));
    }
}

void plan_cache_stats(struct plan_cache *c, struct plan_cache_stats *ret)
{
    *ret = (struct plan_cache_stats){0};
    for (int i = 0; i < SHARDS; i++) {
        struct shard *s = &c->shards[i];
        spin_lock(&s->lock);
        ret->hits += s->hits;
        ret->misses += s->misses;
        ret->entries += s->entries;
        ret->bytes += s->bytes;
        spin_unlock(&s->lock);
    }
}
