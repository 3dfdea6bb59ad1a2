/* The lock table: entries by key in hash shards; latches and pending writes.
 *
 * One entry per key in use, in one of 16 shards with a mutex each, held for some instructions and
 * never while parking. An entry carries the latch (a command that is being evaluated or
 * replicated), the row locks and everybody who waits for either; it is freed when nothing uses it.
 * A table that is not used costs a reader one atomic load and has no entries.
 *
 * Latches are taken in key order, each waiting first come first, so they cannot deadlock among
 * themselves; a command that holds latches never waits for a row lock (it gives the latches back
 * first), nor for memory (room.c). The gate in front of them counts holders; who closes it (split,
 * delete_range) waits until the count is zero.
 *
 * Pending writes and readers. Claim: a reader at read_ts that finds nothing in the table sees in
 * the engine every commit <= read_ts. Let a writer commit at c <= read_ts. It did, in this order:
 *   W1 latch_begin_pending: guard->pending = true, then table->pending += 1 (both release)
 *   W2 asked the oracle for c           W3 applied to the engine
 *   W4 latch_release: unlinked the guard, table->pending -= 1 (release)
 * and the reader:  R1 got read_ts from the oracle   R2 loads table->pending (acquire)
 *   R3 if not 0, looks the key up under the shard's mutex   R4 reads the engine.
 * The oracle hands out timestamps in order, by atomic operations on one object or by messages, and
 * c <= read_ts, so W2 began before R1 ended: W1 happens before W2, W2 before R1, R1 before R2. By
 * coherence R2 reads the value W1 wrote or a later one. If it counts the guard, R3 finds it, or
 * finds that it is gone, which under the mutex means that W4 happened before; if W4 has already
 * been counted off, R2 (acquire) has read from the release sequence of W4. Either way W3 happens
 * before R4, and the engine shows the write. If R3 finds the guard, its commit_ts is unknown, or <=
 * read_ts, and the reader waits, or it is above read_ts and the write is none of its business. A
 * latch that is not pending yet will ask for its commit_ts after W1, hence after R1: above read_ts.
 * If the lease ends while the fate of a write is unknown, the guard is released without W3; the
 * reader's second lease check (eval_range_ops.check) then fails. */
#include "node/lock/lock_table.h"

#include "node/lock/lock_int.h"
#include "node/store/keyspace.h"

static bool table_init(struct lock_table *t)
{
    bool ok = true;
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        pthread_mutex_init(&t->shards[i].mutex, NULL);
        t->shards[i].table = t;
        t->shards[i].bucket_count = LOCK_BUCKETS;
        t->shards[i].buckets = mem_calloc(LOCK_BUCKETS, sizeof(struct lock_entry *));
        ok = ok && t->shards[i].buckets != NULL;
    }
    for (size_t i = 0; i < TXN_SHARDS; i++) {
        pthread_mutex_init(&t->txns[i].mutex, NULL);
    }
    for (size_t i = 0; i < PENDING_SHARDS; i++) {
        pthread_mutex_init(&t->pend[i].mutex, NULL);
        list_init(&t->pend[i].guards);
        list_init(&t->pend[i].waiters);
    }
    pthread_mutex_init(&t->gate_mutex, NULL);
    pthread_mutex_init(&t->room_mutex, NULL);
    list_init(&t->room_waiters);
    pthread_mutex_init(&t->fence_mutex, NULL);
    pthread_mutex_init(&t->span_mutex, NULL);
    list_init(&t->gate_waiters);
    list_init(&t->exclusive_waiters);
    list_init(&t->hulls);
    return ok;
}

db_err lock_table_new(struct lock_graph *graph, const struct lock_table_opts *opts,
                      struct lock_table **ret_table)
{
    struct lock_table *t = mem_calloc(1, sizeof(*t));
    if (t == NULL) {
        return ERR_NOMEM;
    }
    t->graph = graph;
    t->memory_max = opts != NULL && opts->memory_max != 0 ? opts->memory_max : LOCK_MEMORY_DEFAULT;
    t->pack_from = opts != NULL && opts->pack_from != 0 ? opts->pack_from : PACK_FROM;
    if (!table_init(t)) {
        lock_table_free(t);
        return ERR_NOMEM;
    }
    *ret_table = t;
    return ERR_OK;
}

void lock_table_free(struct lock_table *t)
{
    if (t == NULL) {
        return;
    }
    lock__cancel_all_rows(t);
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        ASSERT(t->shards[i].count == 0);
        mem_free(t->shards[i].buckets);
        pthread_mutex_destroy(&t->shards[i].mutex);
    }
    for (size_t i = 0; i < TXN_SHARDS; i++) {
        pthread_mutex_destroy(&t->txns[i].mutex);
    }
    for (size_t i = 0; i < PENDING_SHARDS; i++) {
        pthread_mutex_destroy(&t->pend[i].mutex);
    }
    pthread_mutex_destroy(&t->gate_mutex);
    ASSERT(list_empty(&t->room_waiters));
    pthread_mutex_destroy(&t->room_mutex);
    pthread_mutex_destroy(&t->fence_mutex);
    ASSERT(t->spans.count == 0 && list_empty(&t->hulls));
    pthread_mutex_destroy(&t->span_mutex);
    mem_free(t->end);
    mem_free(t);
}

/* ---- entries ---- */

db_err lock__charge(struct lock_table *t, size_t size)
{
    size_t old = atomic_fetch_add_explicit(&t->memory, size, memory_order_relaxed);
    if (old + size > t->memory_max) {
        atomic_fetch_sub_explicit(&t->memory, size, memory_order_relaxed);
        return ERR_LOCK_TABLE_FULL;
    }
    return ERR_OK;
}

void lock__release_memory(struct lock_table *t, size_t size)
{
    atomic_fetch_sub_explicit(&t->memory, size, memory_order_relaxed);
}

struct lock_shard *lock__shard(struct lock_table *t, uint64_t hash)
{
    return &t->shards[hash >> 60];
}

struct lock_shard *lock__shard_of(struct lock_shard *_Atomic *where)
{
    for (;;) {
        struct lock_shard *s = atomic_load_explicit(where, memory_order_acquire);
        pthread_mutex_lock(&s->mutex);
        if (atomic_load_explicit(where, memory_order_relaxed) == s) {
            return s;
        }
        pthread_mutex_unlock(&s->mutex);
    }
}

struct lock_entry *lock__find(struct lock_shard *s, struct slice key, uint64_t hash)
{
    struct lock_entry *e = s->buckets[hash & (s->bucket_count - 1)];
    while (e != NULL && (e->hash != hash || !slice_eq(entry_key(e), key))) {
        e = e->next;
    }
    return e;
}

static void grow(struct lock_shard *s)
{
    size_t count = s->bucket_count * 2;
    struct lock_entry **buckets = mem_calloc(count, sizeof(*buckets));
    if (buckets == NULL) {
        return; /* longer chains, no harm */
    }
    for (size_t i = 0; i < s->bucket_count; i++) {
        struct lock_entry *e = s->buckets[i];
        while (e != NULL) {
            struct lock_entry *next = e->next;
            e->next = buckets[e->hash & (count - 1)];
            buckets[e->hash & (count - 1)] = e;
            e = next;
        }
    }
    mem_free(s->buckets);
    s->buckets = buckets;
    s->bucket_count = count;
}

db_err lock__find_or_add(struct lock_shard *s, struct slice key, uint64_t hash, size_t *io_room,
                         struct lock_entry **ret_entry)
{
    struct lock_entry *e = lock__find(s, key, hash);
    if (e == NULL) {
        size_t size = lock__entry_size(key);
        TRY(io_room == NULL ? lock__charge(s->table, size) : ERR_OK);
        e = mem_alloc(size);
        if (e == NULL) {
            lock__release_memory(s->table, io_room == NULL ? size : 0);
            return ERR_NOMEM;
        }
        if (io_room != NULL) {
            ASSERT(*io_room >= size);
            *io_room -= size;
        }
        atomic_init(&e->shard, s);
        e->hash = hash;
        e->latch = NULL;
        list_init(&e->latch_waiters);
        list_init(&e->readers);
        list_init(&e->holders);
        list_init(&e->row_waiters);
        e->key_len = key.len;
        if (key.len != 0) {
            memcpy(e->key, key.ptr, key.len);
        }
        if (s->count >= s->bucket_count) {
            grow(s);
        }
        e->next = s->buckets[hash & (s->bucket_count - 1)];
        s->buckets[hash & (s->bucket_count - 1)] = e;
        s->count++;
    }
    *ret_entry = e;
    return ERR_OK;
}

void lock__drop_if_idle(struct lock_shard *s, struct lock_entry *e)
{
    if (e->latch != NULL || !list_empty(&e->latch_waiters) || !list_empty(&e->readers) ||
        !list_empty(&e->holders) || !list_empty(&e->row_waiters)) {
        return;
    }
    struct lock_entry **p = &s->buckets[e->hash & (s->bucket_count - 1)];
    while (*p != e) {
        p = &(*p)->next;
    }
    *p = e->next;
    s->count--;
    lock__release_memory(s->table, lock__entry_size(entry_key(e)));
    mem_free(e);
}

void lock_table_close(struct lock_table *t)
{
    atomic_store_explicit(&t->closed, true, memory_order_seq_cst);
    lock__cancel_all_rows(t);
    lock_table_unseal(t);
}

void lock_table_open(struct lock_table *t, bool keep_locks)
{
    if (!keep_locks) {
        lock__cancel_all_rows(t);
        lock__fences_clear(t);
    }
    atomic_store_explicit(&t->closed, false, memory_order_seq_cst);
}
