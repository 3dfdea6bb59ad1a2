/* hash_bytes folds the input 16 bytes at a time: two words are mixed with the state and two
 * constants, multiplied to 128 bits, and the halves are xored, which lets every input bit reach
 * every output bit in one multiplication. The tail is read as two words that may overlap; the
 * length goes into the final fold, so that zeros at the end count. */
#include "base/hash.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

enum { BUCKETS_FIRST = 16 };

#define K0 0x2d358dccaa6c78a5u
#define K1 0x8bb84b93962eacc9u
#define K2 0x4b33a62ed433d4a3u

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t read64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t read32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

uint64_t hash_bytes(struct slice s, uint64_t seed)
{
    const uint8_t *p = s.ptr;
    size_t len = s.len;
    uint64_t state = seed ^ fold(seed ^ K0, K1);
    while (len > 16) {
        /* The old state once more: a word that equals K1 must not wipe out what came before it. */
        state = fold(read64(p) ^ K1, read64(p + 8) ^ state) ^ (state << 29 | state >> 35);
        p += 16;
        len -= 16;
    }
    uint64_t a = 0;
    uint64_t b = 0;
    if (len >= 8) {
        a = read64(p);
        b = read64(p + len - 8);
    } else if (len >= 4) {
        a = read32(p);
        b = read32(p + len - 4);
    } else if (len > 0) {
        a = (uint64_t)p[0] << 16 | (uint64_t)p[len / 2] << 8 | p[len - 1];
    }
    uint64_t h = fold(a ^ K1, b ^ state);
    return fold(h ^ K2, state ^ s.len ^ K0);
}

void hash_init(struct hash_table *t)
{
    *t = (struct hash_table){0};
}

void hash_fini(struct hash_table *t)
{
    mem_free(t->buckets);
    hash_init(t);
}

static db_err resize(struct hash_table *t, size_t buckets_new)
{
    struct hash_node **buckets = mem_calloc(buckets_new, sizeof(buckets[0]));
    if (buckets == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; t->buckets != NULL && i <= t->mask; i++) {
        struct hash_node *n = t->buckets[i];
        while (n != NULL) {
            struct hash_node *next = n->next;
            struct hash_node **head = &buckets[n->hash & (buckets_new - 1)];
            n->next = *head;
            *head = n;
            n = next;
        }
    }
    mem_free(t->buckets);
    t->buckets = buckets;
    t->mask = buckets_new - 1;
    return ERR_OK;
}

db_err hash_reserve(struct hash_table *t, size_t extra)
{
    size_t buckets = t->buckets == NULL ? BUCKETS_FIRST : t->mask + 1;
    if (extra > SIZE_MAX / sizeof(t->buckets[0]) / 2 - t->count) {
        return ERR_NOMEM;
    }
    while (buckets < t->count + extra) {
        buckets *= 2;
    }
    return t->buckets != NULL && buckets == t->mask + 1 ? ERR_OK : resize(t, buckets);
}

db_err hash_insert(struct hash_table *t, struct hash_node *n, uint64_t hash)
{
    if (t->buckets == NULL || t->count > t->mask) {
        db_err err = hash_reserve(t, 1);
        if (err != ERR_OK && t->buckets == NULL) {
            return err;
        }
    }
    struct hash_node **head = &t->buckets[hash & t->mask];
    n->hash = hash;
    n->next = *head;
    *head = n;
    t->count++;
    return ERR_OK;
}

void hash_remove(struct hash_table *t, struct hash_node *n)
{
    ASSERT(t->buckets != NULL);
    struct hash_node **link = &t->buckets[n->hash & t->mask];
    while (*link != n) {
        ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = n->next;
    n->next = NULL;
    t->count--;
}
