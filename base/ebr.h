/* Freeing what others may still be reading: epochs.
 *
 * Readers of a lock-free structure enter a guard, look, and leave it; inside they take no lock and
 * may not park. A writer takes an object out of the structure (with sequentially consistent stores)
 * and retires it; it is freed once every guard that was entered before has been left. Thread-safe.
 *
 * The object to be freed embeds struct ebr_node. */
#ifndef SKEIN_BASE_EBR_H
#define SKEIN_BASE_EBR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { EBR_SLOTS = 64 }; /* guards at one moment; more wait for one to be left */

struct ebr_node {
    struct ebr_node *next;
    uint64_t epoch;
    void (*free)(struct ebr_node *node);
};

struct ebr_slot {
    _Alignas(64) _Atomic uint64_t epoch; /* 0: free */
};

struct ebr {
    struct ebr_slot slots[EBR_SLOTS];
    _Alignas(64) _Atomic uint64_t epoch;
    pthread_mutex_t mutex; /* guards the rest */
    struct ebr_node *first;
    struct ebr_node *last;
};

void ebr_init(struct ebr *e);
/* Frees all that is retired; no guard may be held. */
void ebr_fini(struct ebr *e);

unsigned ebr_enter(struct ebr *e);
static inline void ebr_leave(struct ebr *e, unsigned slot)
{
    atomic_store_explicit(&e->slots[slot].epoch, 0, memory_order_release);
}

/* Frees `node` (by its free) now or at a later retire, once no reader can see it. Needs no memory.
 */
void ebr_retire(struct ebr *e, struct ebr_node *node, void (*free)(struct ebr_node *node));

#endif
