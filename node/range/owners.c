#include "node/range/range_int.h"

#include "base/assert.h"
#include "base/log.h"

/* Whether the coordinators of transactions live, for the row locks that they hold here.
 *
 * A coordinator is a process: a node, and how often its store was opened. It is dead for certain
 * when the node has been started again since, or has left. It is taken for dead when nothing was
 * heard of the node for a while: no heartbeat of a link (lane.c), nor by the leader of the meta
 * range, as far as the directory that it sends says so. Silence is counted in looks, not in time,
 * so that a process that was stopped itself does not take all others for dead when it goes on.
 *
 * A mistake costs the transactions of that node a validation at their commit, and never
 * correctness: locks that are taken away are fenced (node/lock/owner.c). So 1.5 s are enough, where
 * decisions that cannot be taken back wait for longer. */

void owners_heard(struct peer *p, uint32_t incarnation)
{
    uint32_t known = atomic_load_explicit(&p->incarnation, memory_order_relaxed);
    while (known < incarnation &&
           !atomic_compare_exchange_weak_explicit(&p->incarnation, &known, incarnation,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    if (incarnation >= known) {
        atomic_store_explicit(&p->silent, 0, memory_order_relaxed);
    }
}

uint32_t range_store_incarnation(const struct range_store *rs)
{
    return (uint32_t)rs->incarnation;
}

void range_store_note_member(struct range_store *rs, const struct node_info *node)
{
    if (node->id == rs->ident.node_id) {
        return;
    }
    struct peer *p = peer_get(rs, node->id);
    if (p == NULL) {
        return;
    }
    uint32_t known = atomic_load_explicit(&p->incarnation, memory_order_relaxed);
    unsigned looks = (unsigned)(node->heard_ms * NS_PER_MS / OWNER_WATCH_NS);
    if (node->incarnation > known) {
        owners_heard(p, node->incarnation);
    } else if (node->liveness == NODE_ALIVE && node->incarnation == known &&
               looks < atomic_load_explicit(&p->silent, memory_order_relaxed)) {
        atomic_store_explicit(&p->silent, looks, memory_order_relaxed);
    }
    uint32_t fences = atomic_load_explicit(&p->fences, memory_order_relaxed);
    while (fences < node->fences &&
           !atomic_compare_exchange_weak_explicit(&p->fences, &fences, node->fences,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    atomic_store_explicit(&p->left, node->state == NODE_LEFT, memory_order_relaxed);
}

uint32_t owners_fences(struct range_store *rs, node_id_t node)
{
    struct peer *p = atomic_load_explicit(&rs->peers, memory_order_acquire);
    while (p != NULL && p->node != node) {
        p = p->next;
    }
    return p == NULL ? 0 : atomic_load_explicit(&p->fences, memory_order_acquire);
}

/* Under a mutex of a lock table. */
static bool owner_dead(void *ctx, lock_owner_t owner)
{
    struct range_store *rs = ctx;
    if (lock_owner_node(owner) == rs->ident.node_id) {
        return lock_owner_incarnation(owner) != (uint32_t)rs->incarnation;
    }
    struct peer *p = peer_get(rs, lock_owner_node(owner));
    return p != NULL &&
           (atomic_load_explicit(&p->left, memory_order_relaxed) ||
            atomic_load_explicit(&p->silent, memory_order_relaxed) >= OWNER_SILENT_LOOKS ||
            lock_owner_incarnation(owner) <
                atomic_load_explicit(&p->incarnation, memory_order_relaxed));
}

static void watch_round(void *arg)
{
    struct range_store *rs = arg;
    for (struct peer *p = atomic_load(&rs->peers); p != NULL; p = p->next) {
        if (atomic_load_explicit(&p->silent, memory_order_relaxed) < OWNER_SILENT_LOOKS) {
            atomic_fetch_add_explicit(&p->silent, 1, memory_order_relaxed);
        }
    }
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        struct replica *r = atomic_load_explicit(&rs->buckets[i], memory_order_acquire);
        for (; r != NULL; r = r->map_next) {
            size_t n = lock_table_reap(r->eval.locks, owner_dead, rs);
            if (n != 0) {
                LOG_INFO("range.locks.freed", F_U64("range", r->id), F_U64("transactions", n));
            }
        }
    }
}

db_err owners_start(struct range_store *rs)
{
    return periodic_start(&rs->owner_watch, rs->loops[0].loop, OWNER_WATCH_NS, watch_round, rs);
}

void owners_stop(struct range_store *rs)
{
    periodic_stop(&rs->owner_watch);
}

/* ---- for who wants to see all locks ---- */

db_err range_store_look_locks(struct range_store *rs,
                              db_err (*fn)(void *arg, const struct lock_info *l), void *arg)
{
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        struct replica *r = atomic_load_explicit(&rs->buckets[i], memory_order_acquire);
        for (; r != NULL; r = r->map_next) {
            TRY(lock_table_look(r->eval.locks, fn, arg));
        }
    }
    return ERR_OK;
}
