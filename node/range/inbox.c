#include "node/range/range_int.h"

#include "base/assert.h"

/* Who drives a range.
 *
 * A replica's Raft side belongs to one loop at a time, its owner. Everybody else leaves messages in
 * its inbox (a lock-free stack) and tells the owner. A replica with nothing under way is at rest:
 * it has no owner, costs nothing, and the loop that next leaves a message in the inbox takes it. So
 * a single writer drives the range on its own loop (the commit's only hand-offs are to the log's
 * writer thread and back; when the loop has been alone for a while, not even these: the log lets it
 * sync itself), while many writers on many loops meet at one of them and are batched
 * there. A replica that needs ticks (a group of several members that is awake) keeps its owner.
 *
 * Groups of several members are pinned to the loop of their lane (lane.c): no other loop takes
 * them. One that is pinned while another loop has it is driven there until nothing is in flight,
 * with nothing new begun, and is handed over then.
 *
 * The hand-over. Leaving a message: push, then look at the owner. Going to rest: store "no owner",
 * then look at the inbox. Both are sequentially consistent, so at least one of the two sees the
 * other. What the owner wrote before it let go is seen by who takes over (release and acquire on
 * `owner`).
 *
 * Telling another loop: the replica is pushed on that loop's list and a task is posted for the
 * first. A replica may be found there by a loop that is no longer its owner: it passes the news on.
 */

struct range_loop *range_loop_self(struct range_store *rs)
{
    struct loop *loop = loop_current();
    if (loop == NULL) {
        return NULL;
    }
    unsigned i = loop_index(loop);
    return i < rs->loop_count && rs->loops[i].loop == loop ? &rs->loops[i] : NULL;
}

static void notify(struct range_loop *to, struct replica *r)
{
    if (atomic_exchange(&r->notified, true)) {
        return; /* on some loop's list: that loop will see to it */
    }
    struct replica *head = atomic_load(&to->notify_head);
    do {
        r->notify_next = head;
    } while (!atomic_compare_exchange_weak(&to->notify_head, &head, r));
    if (head == NULL) {
        loop_post(to->loop, &to->notify_task);
    }
}

void replica_mark_dirty(struct range_loop *l, struct replica *r)
{
    ASSERT_SLOW(atomic_load(&r->owner) == l->index + 1);
    if (!r->dirty) {
        r->dirty = true;
        list_push_back(&l->dirty, &r->dirty_link);
    }
    if (!l->turn_queued) {
        l->turn_queued = true;
        loop_at_turn_end(l->loop, &l->turn_task);
    }
}

/* Sees to it that some loop looks into the inbox. */
static void rouse(struct range_store *rs, struct range_loop *self, struct replica *r)
{
    unsigned owner = atomic_load(&r->owner);
    if (owner == OWNER_NONE && atomic_load(&r->pinned) && self != lane_loop(rs, r->id)) {
        notify(lane_loop(rs, r->id), r);
        return;
    }
    if (owner == OWNER_NONE && self != NULL &&
        atomic_compare_exchange_strong(&r->owner, &owner, self->index + 1)) {
        atomic_fetch_add_explicit(&rs->stat_moves, 1, memory_order_relaxed);
        replica_mark_dirty(self, r);
        return;
    }
    if (owner == OWNER_NONE) { /* asked from outside of the loops */
        notify(lane_loop(rs, r->id), r);
    } else if (self != NULL && owner == self->index + 1) {
        replica_mark_dirty(self, r);
    } else {
        notify(&rs->loops[owner - 1], r);
    }
}

void inbox_push(struct replica *r, struct inbox_msg *msg)
{
    struct inbox_msg *head = atomic_load_explicit(&r->inbox, memory_order_relaxed);
    do {
        msg->next = head;
    } while (!atomic_compare_exchange_weak(&r->inbox, &head, msg));
    rouse(r->rs, range_loop_self(r->rs), r);
}

struct inbox_msg *inbox_take(struct replica *r)
{
    struct inbox_msg *newest = atomic_exchange(&r->inbox, NULL);
    struct inbox_msg *oldest = NULL;
    while (newest != NULL) {
        struct inbox_msg *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void range_loop_notified(struct loop_task *task)
{
    struct range_loop *l = CONTAINER_OF(task, struct range_loop, notify_task);
    struct replica *r = atomic_exchange(&l->notify_head, NULL);
    while (r != NULL) {
        struct replica *next = r->notify_next;
        atomic_store(&r->notified, false);
        if (atomic_exchange(&r->kicked, false) || atomic_load(&r->inbox) != NULL) {
            rouse(l->rs, l, r);
        }
        r = next;
    }
}

/* A replica that was pinned while another loop than its lane's had it. */
static void hand_over(struct range_loop *l, struct replica *r)
{
    if (r->awake) {
        r->awake = false;
        list_remove(&r->awake_link);
    }
    atomic_store(&r->owner, OWNER_NONE);
    atomic_store(&r->kicked, true);
    notify(lane_loop(l->rs, r->id), r);
}

void replica_own(struct range_loop *l, struct replica *r)
{
    unsigned owner = OWNER_NONE;
    bool ours = atomic_compare_exchange_strong(&r->owner, &owner, l->index + 1);
    ASSERT(ours || owner == l->index + 1);
}

db_err replica_call(struct replica *r,
                    db_err (*fn)(struct range_loop *l, struct replica *r, void *arg), void *arg)
{
    struct call_msg c = {.msg.kind = INBOX_CALL, .fn = fn, .arg = arg};
    wait_init(&c.waiter);
    inbox_push(r, &c.msg);
    wait_block_uncancelable(&c.waiter);
    return (db_err)c.waiter.result;
}

void replica_rest(struct range_loop *l, struct replica *r)
{
    ASSERT_SLOW(atomic_load(&r->owner) == l->index + 1);
    bool drains = replica_draining(l, r);
    if (r->hold != NULL && drains) {
        return; /* what waits is finished here */
    }
    if (r->dirty || r->submits != 0 || r->slot[0].linked || r->slot[1].linked ||
        r->inflight_count != 0) {
        return;
    }
    if (drains) { /* what else there is waits for the loop of its lane */
        hand_over(l, r);
        return;
    }
    if (r->awake || !list_empty(&r->pending)) {
        return;
    }
    atomic_store(&r->owner, OWNER_NONE);
    if (atomic_load(&r->inbox) != NULL) {
        unsigned owner = OWNER_NONE;
        if (atomic_compare_exchange_strong(&r->owner, &owner, l->index + 1)) {
            replica_mark_dirty(l, r);
        }
    }
}
