#include "base/ebr.h"

#include <stddef.h>

#include "base/assert.h"

/* A guard publishes the epoch it was entered in. Retiring stamps the object with the present epoch,
 * raises the epoch, and frees what is older than every published one.
 *
 * Why a reader that loaded the epoch but has not published it yet is safe: all of this is
 * sequentially consistent. If the scan for guards did not see its slot, its first load from the
 * structure comes after the scan, so after the object was unlinked. */

static _Thread_local unsigned tls_slot;

void ebr_init(struct ebr *e)
{
    for (unsigned i = 0; i < EBR_SLOTS; i++) {
        atomic_init(&e->slots[i].epoch, 0);
    }
    atomic_init(&e->epoch, 1);
    pthread_mutex_init(&e->mutex, NULL);
    e->first = e->last = NULL;
}

static struct ebr_node *take_before(struct ebr *e, uint64_t epoch)
{
    struct ebr_node *taken = e->first;
    struct ebr_node **link = &e->first;
    while (*link != NULL && (*link)->epoch < epoch) {
        link = &(*link)->next;
    }
    if (link == &e->first) {
        return NULL;
    }
    struct ebr_node *rest = *link;
    *link = NULL;
    e->first = rest;
    if (rest == NULL) {
        e->last = NULL;
    }
    return taken;
}

static void free_all(struct ebr_node *n)
{
    while (n != NULL) {
        struct ebr_node *next = n->next;
        n->free(n);
        n = next;
    }
}

void ebr_fini(struct ebr *e)
{
    for (unsigned i = 0; i < EBR_SLOTS; i++) {
        ASSERT(atomic_load(&e->slots[i].epoch) == 0);
    }
    free_all(e->first);
    e->first = e->last = NULL;
    pthread_mutex_destroy(&e->mutex);
}

unsigned ebr_enter(struct ebr *e)
{
    uint64_t epoch = atomic_load(&e->epoch);
    for (unsigned i = tls_slot;; i = (i + 1) % EBR_SLOTS) {
        uint64_t expected = 0;
        if (atomic_load_explicit(&e->slots[i].epoch, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&e->slots[i].epoch, &expected, epoch)) {
            tls_slot = i;
            return i;
        }
    }
}

void ebr_retire(struct ebr *e, struct ebr_node *node, void (*free)(struct ebr_node *node))
{
    node->next = NULL;
    node->free = free;
    pthread_mutex_lock(&e->mutex);
    uint64_t oldest = atomic_fetch_add(&e->epoch, 1) + 1;
    node->epoch = oldest - 1;
    if (e->last == NULL) {
        e->first = node;
    } else {
        e->last->next = node;
    }
    e->last = node;
    for (unsigned i = 0; i < EBR_SLOTS; i++) {
        uint64_t at = atomic_load(&e->slots[i].epoch);
        if (at != 0 && at < oldest) {
            oldest = at;
        }
    }
    struct ebr_node *taken = take_before(e, oldest);
    pthread_mutex_unlock(&e->mutex);
    free_all(taken);
}
