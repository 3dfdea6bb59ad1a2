/* Hashing of bytes and an intrusive hash table.
 *
 * hash_bytes: 64 bits, every input bit changes every output bit with probability 1/2, a few ns for
 * short keys. Not for what leaves the process (files, network: it may change) and not against an
 * attacker who knows the seed: tables that clients can fill with keys of their choice use a random
 * seed.
 *
 * struct hash_table: chained; the element owns the node; buckets are a power of two and double when
 * there are more elements than buckets (a lookup then costs one probe on average). Not thread-safe.
 *
 *     struct hash_node *n = hash_first(&t, h);
 *     for (; n != NULL; n = hash_next(n)) { ... compare the keys ... } */
#ifndef SKEIN_BASE_HASH_H
#define SKEIN_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

uint64_t hash_bytes(struct slice s, uint64_t seed);

/* A bijection that spreads an integer key over all 64 bits. */
static inline uint64_t hash_u64(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}

/* For keys of several parts. */
static inline uint64_t hash_combine(uint64_t a, uint64_t b)
{
    return hash_u64(a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2)));
}

struct hash_node {
    struct hash_node *next;
    uint64_t hash;
};

struct hash_table {
    struct hash_node **buckets; /* NULL while nothing was inserted */
    size_t mask;
    size_t count;
};

void hash_init(struct hash_table *t);
/* Frees the buckets; the elements are the caller's. */
void hash_fini(struct hash_table *t);

/* Makes room so that the next `extra` insertions cannot fail. ERR_NOMEM. */
MUST_USE db_err hash_reserve(struct hash_table *t, size_t extra);
/* Equal keys are the caller's business. ERR_NOMEM only for the first insertion into an empty table:
 * later a table that cannot grow just gets slower. */
MUST_USE db_err hash_insert(struct hash_table *t, struct hash_node *n, uint64_t hash);
/* The node must be in the table. */
void hash_remove(struct hash_table *t, struct hash_node *n);

static inline struct hash_node *hash__match(struct hash_node *n, uint64_t hash)
{
    while (n != NULL && n->hash != hash) {
        n = n->next;
    }
    return n;
}

/* The first element with this hash, or NULL. */
static inline struct hash_node *hash_first(const struct hash_table *t, uint64_t hash)
{
    return t->buckets == NULL ? NULL : hash__match(t->buckets[hash & t->mask], hash);
}

static inline struct hash_node *hash_next(const struct hash_node *n)
{
    return hash__match(n->next, n->hash);
}

/* All elements in no order; `it` may be removed, nothing may be inserted. break leaves one bucket
 * only. */
#define HASH_FOREACH_SAFE(it, t)                                                                   \
    for (size_t it##_at = 0; (t)->buckets != NULL && it##_at <= (t)->mask; it##_at++)              \
        for (struct hash_node *it = (t)->buckets[it##_at],                                         \
                              *it##_next = it == NULL ? NULL : it->next;                           \
             it != NULL; it = it##_next, it##_next = it == NULL ? NULL : it->next)

#endif
