/* Owners that die: the locks of their transactions go, and a fence stays.
 *
 * What is taken for dead may only have been stopped for a while. So before the first lock is given
 * back the table notes, per node, up to which start_ts transactions of it may have lost locks. Such
 * a transaction goes on with what it has: its writes are validated against the versions that it
 * saw, as after a change of the lease, and locks that cannot be validated (shared ones) are lost.
 * One timestamp a node is enough: it also fences transactions of the node that had no lock here, or
 * none yet, which costs them a validation and no more. The order matters: whoever is granted a lock
 * that was taken away finds that the fence was there before; whoever looks for the fence after it
 * has its commit timestamp, and finds none, held its locks at that timestamp.
 *
 * Fences end with the lifetime of the table, and move with the locks. */
#include "node/lock/lock_int.h"

void lock__fence(struct lock_table *t, uint64_t node, ts_t start_ts)
{
    pthread_mutex_lock(&t->fence_mutex);
    unsigned count = atomic_load_explicit(&t->fence_count, memory_order_relaxed);
    unsigned i = 0;
    while (i < count && t->fences[i].node != node) {
        i++;
    }
    if (i == FENCES_MAX) {
        t->fence_all = start_ts > t->fence_all ? start_ts : t->fence_all;
    } else if (i == count) {
        t->fences[i] = (struct lock_fence){node, start_ts};
        atomic_store_explicit(&t->fence_count, count + 1, memory_order_seq_cst);
    } else if (start_ts > t->fences[i].start_ts) {
        t->fences[i].start_ts = start_ts;
    }
    pthread_mutex_unlock(&t->fence_mutex);
}

bool lock_table_fenced(struct lock_table *t, lock_owner_t owner, ts_t start_ts)
{
    if (LIKELY(atomic_load_explicit(&t->fence_count, memory_order_seq_cst) == 0)) {
        return false;
    }
    pthread_mutex_lock(&t->fence_mutex);
    unsigned count = atomic_load_explicit(&t->fence_count, memory_order_relaxed);
    bool fenced = start_ts <= t->fence_all;
    for (unsigned i = 0; i < count && !fenced; i++) {
        fenced = t->fences[i].node == lock_owner_node(owner) && start_ts <= t->fences[i].start_ts;
    }
    pthread_mutex_unlock(&t->fence_mutex);
    return fenced;
}

void lock__fences_join(struct lock_table *to, struct lock_table *from)
{
    struct lock_fence copy[FENCES_MAX];
    pthread_mutex_lock(&from->fence_mutex);
    unsigned count = atomic_load_explicit(&from->fence_count, memory_order_relaxed);
    ts_t all = from->fence_all;
    memcpy(copy, from->fences, sizeof(copy));
    pthread_mutex_unlock(&from->fence_mutex);
    for (unsigned i = 0; i < count; i++) {
        lock__fence(to, copy[i].node, copy[i].start_ts);
    }
    pthread_mutex_lock(&to->fence_mutex);
    to->fence_all = all > to->fence_all ? all : to->fence_all;
    pthread_mutex_unlock(&to->fence_mutex);
}

void lock__fences_clear(struct lock_table *t)
{
    pthread_mutex_lock(&t->fence_mutex);
    atomic_store_explicit(&t->fence_count, 0, memory_order_seq_cst);
    t->fence_all = 0;
    pthread_mutex_unlock(&t->fence_mutex);
}

/* Under the shard's mutex. */
static size_t detach_dead(struct lock_table *t, struct lock_txn **bucket,
                          bool (*dead)(void *ctx, lock_owner_t owner), void *ctx,
                          struct locks_gone *out)
{
    size_t n = 0;
    while (*bucket != NULL) {
        struct lock_txn *x = *bucket;
        if (x->owner == 0 || !dead(ctx, x->owner)) {
            bucket = &x->next;
            continue;
        }
        lock__fence(t, lock_owner_node(x->owner), x->start_ts);
        lock__txn_detach(t, x, out);
        *bucket = x->next;
        mem_free(x);
        n++;
    }
    return n;
}

size_t lock_table_reap(struct lock_table *t, bool (*dead)(void *ctx, lock_owner_t owner), void *ctx)
{
    size_t n = 0;
    if (atomic_load_explicit(&t->rows, memory_order_acquire) == 0) {
        return 0;
    }
    for (size_t i = 0; i < TXN_SHARDS; i++) {
        struct txn_shard *s = &t->txns[i];
        struct locks_gone gone;
        lock__gone_init(&gone);
        pthread_mutex_lock(&s->mutex);
        for (size_t b = 0; b < TXN_BUCKETS && !t->sealed; b++) {
            n += detach_dead(t, &s->buckets[b], dead, ctx, &gone);
        }
        pthread_mutex_unlock(&s->mutex);
        lock__gone_release(t, &gone, ERR_LOCK_LOST);
    }
    return n;
}
