#include "wire/auth/digest_cache.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>

#include "base/alloc.h"

enum { BUCKETS = 512, WAYS = 4 };

struct digest_entry {
    struct digest_key key;
    uint8_t digest[SHA256_SIZE];
    bool used;
};

struct digest_cache {
    pthread_mutex_t lock;
    uint8_t next[BUCKETS]; /* the way that is replaced next */
    struct digest_entry entries[BUCKETS][WAYS];
};

struct digest_cache *digest_cache_new(void)
{
    struct digest_cache *cache = mem_calloc(1, sizeof(*cache));
    if (cache != NULL) {
        pthread_mutex_init(&cache->lock, NULL);
    }
    return cache;
}

void digest_cache_free(struct digest_cache *cache)
{
    if (cache != NULL) {
        pthread_mutex_destroy(&cache->lock);
        OPENSSL_cleanse(cache, sizeof(*cache));
        mem_free(cache);
    }
}

void digest_key_make(struct slice user, struct slice host, struct slice stored,
                     struct digest_key *ret_key)
{
    uint8_t parts[3 * SHA256_SIZE];
    sha256_two(user, SLICE_EMPTY, parts);
    sha256_two(host, SLICE_EMPTY, parts + SHA256_SIZE);
    sha256_two(stored, SLICE_EMPTY, parts + (size_t)2 * SHA256_SIZE);
    sha256_two(slice_of(parts, sizeof(parts)), SLICE_EMPTY, ret_key->bytes);
}

static uint32_t bucket_of(const struct digest_key *key)
{
    uint32_t h;
    memcpy(&h, key->bytes, sizeof(h));
    return h % BUCKETS;
}

static struct digest_entry *find(struct digest_cache *cache, const struct digest_key *key)
{
    struct digest_entry *row = cache->entries[bucket_of(key)];
    for (int i = 0; i < WAYS; i++) {
        if (row[i].used && memcmp(&row[i].key, key, sizeof(*key)) == 0) {
            return &row[i];
        }
    }
    return NULL;
}

bool digest_cache_get(struct digest_cache *cache, const struct digest_key *key,
                      uint8_t ret_digest[SHA256_SIZE])
{
    pthread_mutex_lock(&cache->lock);
    const struct digest_entry *e = find(cache, key);
    if (e != NULL) {
        memcpy(ret_digest, e->digest, SHA256_SIZE);
    }
    pthread_mutex_unlock(&cache->lock);
    return e != NULL;
}

void digest_cache_put(struct digest_cache *cache, const struct digest_key *key,
                      const uint8_t digest[SHA256_SIZE])
{
    pthread_mutex_lock(&cache->lock);
    struct digest_entry *e = find(cache, key);
    if (e == NULL) {
        uint32_t bucket = bucket_of(key);
        e = &cache->entries[bucket][cache->next[bucket]++ % WAYS];
    }
    e->key = *key;
    e->used = true;
    memcpy(e->digest, digest, SHA256_SIZE);
    pthread_mutex_unlock(&cache->lock);
}
