/* Mutex and condition variable that park the fiber instead of its thread.
 *
 * Each has a spin lock for the few instructions that touch its queue; the waiter's node lies on the
 * waiting fiber's stack. The mutex is handed over to the first in the queue: nobody overtakes, and
 * a woken fiber need not look again.
 *
 * A condition wait that is broken off takes its node out under the spin lock. If the node is gone
 * already, a signaller has chosen it and its signal must be awaited, or it would be lost for the
 * others. */
#include "base/fiber.h"

#include "base/assert.h"

struct sync_node {
    struct list link; /* in no list: a signaller has chosen it */
    struct sync_node *next_chosen;
    struct waiter waiter;
};

static struct sync_node *pop_node(struct list *waiters)
{
    struct list *n = list_pop_front(waiters);
    return n == NULL ? NULL : CONTAINER_OF(n, struct sync_node, link);
}

void fiber_mutex_init(struct fiber_mutex *m)
{
    atomic_init(&m->lock.taken, 0);
    m->held = false;
    list_init(&m->waiters);
}

void fiber_mutex_lock(struct fiber_mutex *m)
{
    struct sync_node node;
    spin_lock(&m->lock);
    if (!m->held) {
        m->held = true;
        spin_unlock(&m->lock);
        return;
    }
    wait_init(&node.waiter);
    list_push_back(&m->waiters, &node.link);
    spin_unlock(&m->lock);
    wait_block_uncancelable(&node.waiter);
}

void fiber_mutex_unlock(struct fiber_mutex *m)
{
    spin_lock(&m->lock);
    ASSERT(m->held);
    struct sync_node *next = pop_node(&m->waiters);
    m->held = next != NULL;
    spin_unlock(&m->lock);
    if (next != NULL) {
        wait_signal(&next->waiter, 0);
    }
}

void fiber_cond_init(struct fiber_cond *c)
{
    atomic_init(&c->lock.taken, 0);
    list_init(&c->waiters);
}

db_err fiber_cond_wait(struct fiber_cond *c, struct fiber_mutex *m, uint64_t deadline_ns)
{
    struct sync_node node;
    wait_init(&node.waiter);
    spin_lock(&c->lock);
    list_push_back(&c->waiters, &node.link);
    spin_unlock(&c->lock);
    fiber_mutex_unlock(m);
    db_err err = wait_block(&node.waiter, deadline_ns);
    if (err != ERR_OK) {
        spin_lock(&c->lock);
        bool chosen = list_empty(&node.link);
        list_remove(&node.link);
        spin_unlock(&c->lock);
        if (chosen) {
            wait_block_uncancelable(&node.waiter);
            err = ERR_OK;
        }
    }
    fiber_mutex_lock(m);
    return err;
}

void fiber_cond_signal(struct fiber_cond *c)
{
    spin_lock(&c->lock);
    struct sync_node *n = pop_node(&c->waiters);
    spin_unlock(&c->lock);
    if (n != NULL) {
        wait_signal(&n->waiter, 0);
    }
}

void fiber_cond_broadcast(struct fiber_cond *c)
{
    struct sync_node *first = NULL;
    struct sync_node **link = &first;
    spin_lock(&c->lock);
    struct sync_node *n;
    while ((n = pop_node(&c->waiters)) != NULL) {
        *link = n;
        link = &n->next_chosen;
    }
    *link = NULL;
    spin_unlock(&c->lock);
    while (first != NULL) {
        n = first;
        first = n->next_chosen; /* the node is gone once its fiber runs */
        wait_signal(&n->waiter, 0);
    }
}
