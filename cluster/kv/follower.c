/* Plain reads answered by the replica on this node, though another node leads the range: those that
 * need not be of now, and those of transactions and statements that read more than a little in one
 * snapshot.
 *
 * For the first, the snapshot is a timestamp that some transaction of this node was given a while
 * ago: asked for not before the moment that the reader still accepts, so whatever was acknowledged
 * by then is in it, whatever the clocks of others say. All such readers share it until it is too
 * old for one of them, who asks for the next.
 *
 * A replica may answer once it has applied all that belongs to the snapshot. That is the
 * leaseholder's to say: asked once for each snapshot and range (`closed`), it waits for what may
 * still commit at or below the timestamp and names a place in the log. Until the next snapshot all
 * reads of the range stay on this node. Nothing is sent for ranges that nobody reads so, and an
 * idle cluster remains silent, which timestamps pushed with heartbeats would end.
 *
 * A replica that is behind, has no copy, was split meanwhile, or has an intent in the way that may
 * belong to the snapshot, refuses, and the leaseholder is asked as for any other read.
 *
 * A transaction's own snapshot is as good as a shared one: once it is known from which place of the
 * log on the copy has all of it, the way to the leaseholder is saved for all further reads. That
 * costs a question, so the first reads go to the leaseholder as they are; and the question does not
 * wait for writes that may belong to the snapshot, but is put again after some more reads. What
 * one transaction learns is good for all with older snapshots. */
#include "cluster/kv/kv_int.h"

#include "base/clock.h"
#include "base/metrics.h"

#define ABSENT_NS (2 * NS_PER_S)

static struct closed_range *slot_of(struct shared_snapshot *s, range_id_t range)
{
    return &s->closed[(range * UINT64_C(0x9e3779b97f4a7c15)) >> 56];
}
_Static_assert(CLOSED_RANGES == 256, "slot_of");

/* What is known. 0: nothing. */
static uint64_t known_index(struct shared_snapshot *s, const struct range_location *loc, ts_t ts,
                            bool *ret_absent)
{
    uint64_t index = 0;
    pthread_mutex_lock(&s->lock);
    struct closed_range *c = slot_of(s, loc->id);
    bool same = c->range == loc->id;
    if (same && c->version == loc->epoch.version && c->ts >= ts) {
        index = c->index;
    }
    *ret_absent = same && c->absent_ns > clock_mono_ns();
    pthread_mutex_unlock(&s->lock);
    return index;
}

static void learn(struct shared_snapshot *s, const struct range_location *loc, ts_t ts,
                  uint64_t index, uint64_t absent_ns)
{
    pthread_mutex_lock(&s->lock);
    struct closed_range *c = slot_of(s, loc->id);
    if (c->range != loc->id || c->version != loc->epoch.version || c->ts <= ts) {
        *c = (struct closed_range){loc->id, loc->epoch.version, ts, index, absent_ns};
    }
    pthread_mutex_unlock(&s->lock);
}

/* Asks the leaseholder. What goes wrong is no error: the read itself will meet it. */
static uint64_t ask_index(struct ctxn *t, const struct route *route, struct diag *diag)
{
    struct arena a;
    struct kv_reply reply = {0};
    struct kv_closed_resp resp = {0};
    arena_init(&a, NULL, NULL, 0);
    struct kv_closed_req req = {.r = route_request(route, fiber_deadline(), &a),
                                .ts = t->read_ts,
                                .no_wait = t->opts.fresh_from_ns == 0};
    atomic_fetch_add_explicit(&t->env->closed_asked, 1, memory_order_relaxed);
    metrics_add(METRIC_kv_closed_asked, 1);
    db_err err = route->kv->ops->closed(route->kv, &req, diag, &reply, &resp);
    arena_fini(&a);
    if (err != ERR_OK) {
        diag_reset(diag);
        t->copy_from = t->far_reads + t->far_reads / 2 + FAR_READS_FIRST;
        return 0;
    }
    learn(&t->env->shared, &route->loc, t->read_ts, resp.index, 0);
    return resp.index;
}

static bool wanted(struct ctxn *t, const struct route *route, ts_t read_ts)
{
    if (read_ts == 0 || read_ts != t->read_ts || route->kv == t->env->router->view->self_kv ||
        route->kv->ops->closed == NULL) {
        return false;
    }
    return t->opts.fresh_from_ns != 0 || t->far_reads++ >= t->copy_from;
}

bool follower_choose(struct follower *f, struct ctxn *t, ts_t read_ts, struct route *route,
                     struct kv_request *r, struct diag *diag)
{
    bool absent;
    f->used = false;
    if (LIKELY(!wanted(t, route, read_ts)) || f->refused) {
        return false;
    }
    uint64_t index = known_index(&t->env->shared, &route->loc, read_ts, &absent);
    if (index == 0 && !absent) {
        index = ask_index(t, route, diag);
    }
    if (index == 0 || absent) {
        return false;
    }
    f->used = true;
    f->leader = *route;
    route->kv = t->env->router->view->self_kv;
    r->applied_min = index;
    return true;
}

bool follower_refused(struct follower *f, struct ctxn *t, db_err err, struct diag *diag)
{
    if (LIKELY(!f->used)) {
        return false;
    }
    if (err == ERR_OK) {
        atomic_fetch_add_explicit(&t->env->follower_reads, 1, memory_order_relaxed);
        metrics_add(METRIC_kv_copy_reads, 1);
        return false;
    }
    f->refused = true;
    if (err == ERR_RANGE_NOT_FOUND) {
        learn(&t->env->shared, &f->leader.loc, t->read_ts, 0, clock_mono_ns() + ABSENT_NS);
    }
    bool passes = err == ERR_NOT_LEADER || err == ERR_RANGE_NOT_FOUND || err == ERR_STALE_EPOCH ||
                  err == ERR_KEY_LOCKED || err == ERR_UNAVAILABLE || err == ERR_INVALID;
    if (passes) {
        diag_reset(diag);
    }
    return passes;
}

bool follower_has(struct ctxn *t, const struct route *route, struct slice start, struct diag *diag)
{
    struct follower f = {0};
    struct route copy = *route;
    struct arena a;
    struct kv_value v;
    struct kv_reply reply = {0};
    arena_init(&a, NULL, NULL, 0);
    struct kv_get_req req = {.r = route_request(route, fiber_deadline(), &a),
                             .key = start,
                             .read_ts = t->read_ts,
                             .own_ts = t->start_ts};
    bool has = follower_choose(&f, t, t->read_ts, &copy, &req.r, diag);
    if (has && t->opts.fresh_from_ns == 0) {
        has = copy.kv->ops->get(copy.kv, &req, diag, &reply, &v) == ERR_OK;
        diag_reset(diag);
    }
    arena_fini(&a);
    return has;
}
