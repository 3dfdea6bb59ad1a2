#include "node/range/range_int.h"

#include <limits.h>

#include "base/assert.h"
#include "base/log.h"

/* Replicas that stand for nothing go: their ranges were merged away or moved to other nodes.
 *
 * Who may look at one, and until when.
 *   - Code on a loop, from where it found the replica to where its fiber parks. Once every loop has
 *     had another turn since the replica left the map, none of that is left.
 *   - A command, across its parks: range_store_find counts it among the users, range_store_done
 *     takes it off.
 *   - Everybody else who parks holds it: the store's own fibers, a change that waits for the
 *     engine, who splits, merges or moves it.
 *   - The loop that drives it, while it has an owner, a message in its inbox or a place on a loop's
 *     list of news.
 *   - The upkeep fiber, which alone lets replicas go and so cannot lose one while it walks.
 * Threads that are no loops look from inside an epoch guard, and do not keep what they found.
 *
 * How one goes, a few rounds of upkeep later:
 *   1. EMPTY, not held, its log gone: it is noted in the table of what is gone and leaves the map,
 *      both under map_lock, under which alone it could become anything else.
 *   2. All loops have a turn. From now on users and holders only get fewer. Who looks for the range
 *      finds the note, or a new object that has begun with it.
 *   3. No users, then no holders (a user may have begun to hold, not the reverse): nobody can leave
 *      a message any more. When no loop drives it either, upkeep takes the ownership, for good.
 *   4. All loops have a turn once more: who drove it last has let go of it before its turn ended.
 *      If it is still on no list and its inbox is empty, it stays so. It is freed.
 * What does not hold yet is looked at again in the next round. */

void replica_let_go(struct replica *r)
{
    unsigned before = atomic_fetch_sub(&r->holds, 1);
    ASSERT(before != 0);
}

/* ---- commands ---- */

static struct replica_users *users_here(struct replica *r)
{
    const struct loop *l = loop_current();
    return &r->users[l == NULL ? 0 : loop_index(l) % REPLICA_USER_STRIPES];
}

db_err range_store_find(struct range_store *rs, range_id_t id, struct eval_range **ret_range)
{
    struct replica *r = replica_find_live(rs, id);
    if (UNLIKELY(r == NULL)) {
        return ERR_RANGE_NOT_FOUND;
    }
    atomic_fetch_add_explicit(&users_here(r)->count, 1, memory_order_relaxed);
    *ret_range = &r->eval;
    return ERR_OK;
}

void range_store_done(struct eval_range *range)
{
    unsigned before =
        atomic_fetch_sub_explicit(&users_here(replica_of(range))->count, 1, memory_order_release);
    ASSERT(before != 0);
}

/* ---- out of the map ---- */

db_err replica_remember_gone(struct range_store *rs, const struct replica *r)
{
    const struct gone_fate f = {.min_replica_id = atomic_load(&r->min_replica_id),
                                .into = atomic_load(&r->gone_into),
                                .ran = r->ran};
    return f.min_replica_id == 0 && !f.ran ? ERR_OK : gone_put(&rs->gone, r->id, &f);
}

static bool stands_for_nothing(const struct replica *r)
{
    return replica_is(r, REPLICA_EMPTY) && !atomic_load(&r->log_left) &&
           atomic_load(&r->holds) == 0;
}

/* Under map_lock: those of a chain. */
static void unlink_some(struct range_store *rs, struct replica *_Atomic *at)
{
    struct replica *r;
    while ((r = atomic_load(at)) != NULL) {
        if (!stands_for_nothing(r) || replica_remember_gone(rs, r) != ERR_OK) {
            at = &r->map_next;
            continue;
        }
        atomic_store(at, atomic_load(&r->map_next)); /* its own stays, for who stands on it */
        atomic_store(&r->retired, true);
        r->retired_next = rs->retired;
        rs->retired = r;
    }
}

static bool any_to_unlink(struct replica *_Atomic *bucket)
{
    const struct replica *r = atomic_load(bucket);
    while (r != NULL && !stands_for_nothing(r)) {
        r = atomic_load(&r->map_next);
    }
    return r != NULL;
}

static void unlink_all(struct range_store *rs)
{
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        if (any_to_unlink(&rs->buckets[i])) {
            pthread_mutex_lock(&rs->map_lock);
            unlink_some(rs, &rs->buckets[i]);
            pthread_mutex_unlock(&rs->map_lock);
        }
    }
}

/* ---- turns ---- */

static void turn_fiber(void *arg)
{
    wait_signal(arg, 0);
}

/* False: a loop has no room for a fiber; later. */
static bool loops_had_a_turn(struct range_store *rs)
{
    for (unsigned i = 0; i < rs->loop_count; i++) {
        struct waiter w;
        wait_init(&w);
        if (fiber_spawn(rs->loops[i].loop, turn_fiber, &w) != ERR_OK) {
            return false;
        }
        wait_block_uncancelable(&w);
    }
    return true;
}

/* ---- the end ---- */

static bool nobody_has_it(const struct replica *r)
{
    for (unsigned i = 0; i < REPLICA_USER_STRIPES; i++) {
        if (atomic_load(&r->users[i].count) != 0) {
            return false;
        }
    }
    return atomic_load(&r->holds) == 0;
}

static bool claim(struct replica *r)
{
    unsigned none = OWNER_NONE;
    ASSERT(!r->claimed);
    r->claimed = nobody_has_it(r) && atomic_compare_exchange_strong(&r->owner, &none, UINT_MAX);
    return r->claimed;
}

/* Claimed, and all loops had a turn since. */
static bool at_rest_for_good(const struct replica *r)
{
    bool listed = r->dirty || r->resting || r->awake || r->asleep || r->slot[0].linked ||
                  r->slot[1].linked || r->campaign_timer.armed || atomic_load(&r->on_lane) ||
                  atomic_load(&r->notified) || atomic_load(&r->kicked);
    bool working = r->submits != 0 || r->snapshots_out != 0 || r->fetching || r->lease_starting ||
                   r->installing || atomic_load(&r->receiving) || r->hold != NULL ||
                   !list_empty(&r->pending) || !list_empty(&r->inflight);
    return !listed && !working && atomic_load(&r->inbox) == NULL && r->raft == NULL &&
           r->opened == NULL;
}

static void replica_unread(struct ebr_node *node)
{
    replica_free(CONTAINER_OF(node, struct replica, ebr));
}

static void free_claimed(struct range_store *rs)
{
    struct replica **at = &rs->retired;
    while (*at != NULL) {
        struct replica *r = *at;
        if (!r->claimed || !at_rest_for_good(r)) {
            if (r->claimed) {
                r->claimed = false;
                atomic_store(&r->owner, OWNER_NONE);
            }
            at = &r->retired_next;
            continue;
        }
        *at = r->retired_next;
        LOG_DEBUG("range.replica.freed", F_U64("range", r->id));
        ebr_retire(&rs->ebr, &r->ebr, replica_unread);
    }
}

void replicas_retire(struct range_store *rs)
{
    unsigned claimed = 0;
    unlink_all(rs);
    if (rs->retired == NULL || !loops_had_a_turn(rs)) {
        return;
    }
    for (struct replica *r = rs->retired; r != NULL; r = r->retired_next) {
        claimed += claim(r);
    }
    if (claimed == 0) {
        return;
    }
    if (!loops_had_a_turn(rs)) {
        for (struct replica *r = rs->retired; r != NULL; r = r->retired_next) {
            if (r->claimed) {
                r->claimed = false;
                atomic_store(&r->owner, OWNER_NONE);
            }
        }
        return;
    }
    free_claimed(rs);
}
