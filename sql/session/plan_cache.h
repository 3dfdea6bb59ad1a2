/* Plans of text statements, by digest: a cached statement does not reach the parser.
 *
 * One cache per node, split into shards with a lock of their own. A plan is shared by concurrent
 * executions; what a binding depends on besides the text is part of the key, so that an entry is
 * never wrong, only unused. The least recently used entries of a shard go when its share of the
 * bytes is full. Any thread. */
#ifndef SKEIN_SQL_SESSION_PLAN_CACHE_H
#define SKEIN_SQL_SESSION_PLAN_CACHE_H

#include "sql/opt/plan.h"
#include "sql/types/timezone.h"

struct date_locale;
struct plan_cache;

struct plan_cache_key {
    uint64_t digest_high, digest_low;
    uint64_t kinds;  /* of the lifted literals */
    uint64_t schema; /* hash of the current schema's name */
    uint64_t catalog_version;
    uint64_t sql_mode, optimizer_switch;
    const struct timezone *tz;
    const struct date_locale *locale;
    uint32_t div_precision_increment;
    uint64_t group_concat_max_len;
    uint16_t collation, charset, utf8mb4_collation;
};

MUST_USE db_err plan_cache_new(size_t bytes_max, struct plan_cache **ret);
void plan_cache_free(struct plan_cache *c); /* NULL is fine */
/* With a reference for the caller, or NULL. */
struct plan *plan_cache_get(struct plan_cache *c, const struct plan_cache_key *key);
/* Keeps a reference of its own; a plan that is too large is not kept. */
void plan_cache_put(struct plan_cache *c, const struct plan_cache_key *key, struct plan *plan);

struct plan_cache_stats {
    uint64_t hits, misses, entries, bytes;
};
void plan_cache_stats(struct plan_cache *c, struct plan_cache_stats *ret);

#endif
