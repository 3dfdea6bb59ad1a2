#include "cluster/route/route.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"

/* Finding the way, and finding it again.
 *
 * A stale epoch comes with the new descriptors: the cache learns them and the operation is tried
 * again at once. Other routing errors forget the range or turn to its next member and wait a little
 * longer each time, because what they mean (an election, a split that is not yet known everywhere)
 * passes by itself; any member that is there knows who leads. What is not about routing goes back
 * to the caller. */

enum { LOOKUP_MAX = 32, FREE_RETRIES = 2, LOOK_UP_EVERY = 6 };
#define BACKOFF_FIRST_NS (1 * NS_PER_MS)
#define BACKOFF_MAX_NS   (200 * NS_PER_MS)

db_err attempt_wait(struct attempt *a, struct diag *diag)
{
    uint64_t now = clock_mono_ns();
    if (a->start_ns == 0) {
        a->start_ns = now;
        a->backoff_ns = BACKOFF_FIRST_NS;
    }
    if (fiber_deadline() == DEADLINE_NONE && now - a->start_ns > ATTEMPT_TIME_MAX_NS) {
        return diag_set(diag, ERR_UNAVAILABLE,
                        "no answer from the cluster after %u tries; at last from node %llu, of "
                        "range %llu: %s",
                        a->count, (unsigned long long)a->last_node,
                        (unsigned long long)a->last_range, err_text(a->last));
    }
    uint64_t jitter = (now >> 4) % (a->backoff_ns / 2 + 1);
    TRY(fiber_sleep(a->backoff_ns / 2 + jitter));
    a->backoff_ns = a->backoff_ns * 2 < BACKOFF_MAX_NS ? a->backoff_ns * 2 : BACKOFF_MAX_NS;
    return ERR_OK;
}

static db_err ask_meta(struct attempt *a, struct slice start, struct slice end, struct diag *diag,
                       bool *ret_any)
{
    struct router *r = a->router;
    struct arena arena;
    struct range_desc *descs = NULL;
    unsigned count = 0;
    arena_init(&arena, NULL, NULL, 0);
    db_err err =
        r->meta->ops->lookup(r->meta, start, end, LOOKUP_MAX, &arena, diag, &descs, &count);
    if (err == ERR_OK) {
        err = range_cache_learn(r->ranges, descs, count);
    }
    arena_fini(&arena);
    *ret_any = err == ERR_OK && count != 0;
    return err;
}

static db_err set_service(struct attempt *a, struct route *route)
{
    route->kv = node_view_kv(a->router->view, route->loc.node);
    route->owner = a->router->owner;
    if (route->kv == NULL) {
        range_cache_evict(a->router->ranges, route->loc.id, route->loc.epoch);
        return ERR_UNAVAILABLE;
    }
    return ERR_OK;
}

/* One more try after an error of meta's or an unknown member. */
static db_err wait_for_news(struct attempt *a, db_err err, struct diag *diag)
{
    a->count++;
    enum err_class class = err_class(err);
    if (err != ERR_OK && class != ERR_CLASS_RETRY_SAME && class != ERR_CLASS_RETRY_ROUTE) {
        return err;
    }
    return attempt_wait(a, diag);
}

/* find: in the cache. ask: a key of the range that meta is asked for, when it is not there. */
static db_err find_way(struct attempt *a,
                       db_err (*find)(struct range_cache *c, struct slice key, struct arena *arena,
                                      struct range_location *ret_loc),
                       struct slice key, struct slice ask, struct arena *arena, struct diag *diag,
                       struct route *ret_route)
{
    struct route route;
    for (;;) {
        db_err err = find(a->router->ranges, key, arena, &route.loc);
        if (LIKELY(err == ERR_OK)) {
            err = set_service(a, &route);
            if (LIKELY(err == ERR_OK)) {
                *ret_route = route;
                return ERR_OK;
            }
        } else if (err == ERR_NOT_FOUND) {
            err = ERR_OK; /* meta knows */
        } else {
            return err;
        }
        bool any = false;
        if (err == ERR_OK) {
            err = ask_meta(a, ask, SLICE_EMPTY, diag, &any);
        }
        if (!any || find(a->router->ranges, key, NULL, &route.loc) != ERR_OK) {
            TRY(wait_for_news(a, err, diag));
        }
    }
}

db_err route_find(struct attempt *a, struct slice key, struct arena *arena, struct diag *diag,
                  struct route *ret_route)
{
    return find_way(a, range_cache_find, key, key, arena, diag, ret_route);
}

/* Some key before `key`, close to it. */
static struct slice some_key_before(struct slice key, uint8_t *buf, size_t cap)
{
    size_t n = key.len < cap - 8 ? key.len : cap - 8;
    if (key.len == 0) {
        memset(buf, 0xff, 8);
        return slice_of(buf, 8);
    }
    memcpy(buf, key.ptr, n);
    if (n < key.len || buf[n - 1] == 0) {
        return slice_of(buf, n < key.len ? n : n - 1);
    }
    buf[n - 1]--;
    memset(buf + n, 0xff, 8);
    return slice_of(buf, n + 8);
}

db_err route_find_before(struct attempt *a, struct slice key, struct arena *arena,
                         struct diag *diag, struct route *ret_route)
{
    uint8_t buf[256];
    struct slice ask = some_key_before(key, buf, sizeof(buf));
    return find_way(a, range_cache_find_before, key, ask, arena, diag, ret_route);
}

/* The node does not answer, or not for the range. What is known of the range may be as old as the
 * node is gone: now and then meta is asked again. */
static void try_another(struct attempt *a, const struct range_location *loc)
{
    struct range_cache *ranges = a->router->ranges;
    if (!range_cache_next_leader(ranges, loc->id, loc->node) || a->count % LOOK_UP_EVERY == 0) {
        range_cache_evict(ranges, loc->id, loc->epoch);
    }
}

db_err attempt_again(struct attempt *a, db_err err, const struct route *route,
                     const struct kv_reply *reply, struct diag *diag)
{
    struct range_cache *ranges = a->router->ranges;
    ASSERT(err != ERR_OK);
    a->count++;
    a->last = err;
    a->last_range = route->loc.id;
    a->last_node = route->loc.node;
    switch ((int)err) {
    case ERR_STALE_EPOCH:
        if (reply != NULL && reply->desc_count != 0) {
            TRY(range_cache_learn(ranges, reply->descs, reply->desc_count));
            if (a->count <= FREE_RETRIES) {
                return ERR_OK;
            }
        }
        /* if what came was no news to the cache, this was the node that is behind */
        range_cache_evict(ranges, route->loc.id, route->loc.epoch);
        break;
    case ERR_NOT_LEADER:
        if (reply != NULL && reply->leader != 0 && reply->leader != route->loc.node) {
            range_cache_set_leader(ranges, route->loc.id, reply->leader);
            if (a->count <= FREE_RETRIES) {
                return ERR_OK;
            }
        } else if (a->count > FREE_RETRIES) { /* perhaps it has lost the others */
            try_another(a, &route->loc);
        }
        break;
    case ERR_RANGE_NOT_FOUND:
    case ERR_CLOSED: range_cache_evict(ranges, route->loc.id, route->loc.epoch); break;
    case ERR_UNAVAILABLE: try_another(a, &route->loc); break;
    case ERR_BUSY: break;
    default: return err;
    }
    return attempt_wait(a, diag);
}
