#include "node/meta/placement.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "node/meta/meta_int.h"

/* Where replicas and leases ought to be, decided by the leader of the meta range from its index and
 * register, a round every half second.
 *
 * What to do with one range is a pure function (placement_choose): too few replicas, replicas on
 * nodes that are dead or leave, too many, a lease on a node that drains, and only then evenness. A
 * few changes run at one time, each in a fiber that asks the range's leader; a change that failed
 * leaves its range alone for a while. Everything is looked at anew in each round, so nothing has to
 * be remembered over a change of leaders.
 *
 * A lease that was moved without need and is soon back was taken back by somebody who had one: a
 * merge brings the lease of the left range to where the right one stands still. Both would go on so
 * for ever. So it is left alone for longer than that takes. */

#define PLACEMENT_NS     (500 * NS_PER_MS)
#define AFTER_SUCCESS_NS (300 * NS_PER_MS)
#define AFTER_FAILURE_NS (3 * NS_PER_S)
/* The index hears of a change from the range's leader, a moment after that has told us. */
#define INDEX_LAG_NS       (5 * NS_PER_S)
#define IDLE_MOVE_NS       (10 * NS_PER_S) /* between two moves of one lease without need */
#define LOAD_MOVE_NS       (10 * NS_PER_S) /* until the rates tell what the last move has done */
#define CHANGE_TIME_MAX_NS (300 * NS_PER_S)
enum { JOBS_MAX = 4, REST_MAX = 64, RANGES_PER_PAGE = 256 };

struct placement_job {
    struct meta *m;
    range_id_t range;
    node_id_t leader;
    struct placement_step step;
};

struct resting {
    range_id_t range;
    uint64_t until_ns;          /* UINT64_MAX: a change is under way */
    struct placement_step step; /* under way, or done and perhaps not in the index yet ... */
    uint64_t lag_until_ns;      /* ... which is waited for so long */
    uint64_t done_ns;           /* when the step succeeded; 0: it has not */
};

struct placement {
    pthread_mutex_t mutex; /* guards the rest */
    struct resting resting[REST_MAX];
    unsigned jobs;
    uint64_t load_move_ns; /* the next lease may move for its load */
};

db_err placement_new(struct placement **ret_p)
{
    struct placement *p = mem_calloc(1, sizeof(*p));
    if (p == NULL) {
        return ERR_NOMEM;
    }
    pthread_mutex_init(&p->mutex, NULL);
    *ret_p = p;
    return ERR_OK;
}

void placement_free(struct placement *p)
{
    if (p != NULL) {
        pthread_mutex_destroy(&p->mutex);
        mem_free(p);
    }
}

/* ---- jobs ---- */

/* The lease was moved a moment ago, and nothing says that it must be again. */
static bool moved_just_now(const struct resting *r, const struct placement_step *step, uint64_t now)
{
    return step->idle && r->step.idle && r->done_ns != 0 && now - r->done_ns < IDLE_MOVE_NS;
}

/* A place for the range, unless it is resting or all places are taken. What is remembered longest
 * is forgotten first. */
static bool reserve(struct placement *p, range_id_t range, const struct placement_step *step,
                    uint64_t now)
{
    struct resting *place = NULL;
    bool free_to_go = true;
    pthread_mutex_lock(&p->mutex);
    for (unsigned i = 0; i < REST_MAX; i++) {
        struct resting *r = &p->resting[i];
        if (r->range == range && (r->until_ns > now || moved_just_now(r, step, now))) {
            free_to_go = false;
        }
        bool idle = r->until_ns <= now && r->lag_until_ns <= now;
        bool better = place == NULL || (place->range != range && r->until_ns < place->until_ns);
        if (idle && (better || r->range == range)) {
            place = r;
        }
    }
    free_to_go = free_to_go && place != NULL && p->jobs < JOBS_MAX;
    if (free_to_go) {
        *place = (struct resting){range, UINT64_MAX, *step, UINT64_MAX, 0};
        p->jobs++;
    }
    pthread_mutex_unlock(&p->mutex);
    return free_to_go;
}

static void release(struct placement *p, range_id_t range, db_err err)
{
    uint64_t now = clock_mono_ns();
    uint64_t until = now + (err == ERR_OK ? AFTER_SUCCESS_NS : AFTER_FAILURE_NS);
    pthread_mutex_lock(&p->mutex);
    for (unsigned i = 0; i < REST_MAX; i++) {
        if (p->resting[i].range == range && p->resting[i].until_ns == UINT64_MAX) {
            p->resting[i].until_ns = until;
            p->resting[i].lag_until_ns = err == ERR_OK ? now + INDEX_LAG_NS : 0;
            p->resting[i].done_ns = err == ERR_OK ? now : 0;
        }
    }
    p->jobs--;
    pthread_mutex_unlock(&p->mutex);
}

static void job_fiber(void *arg)
{
    struct placement_job *j = arg;
    const struct meta_actions *a = j->m->opts.actions;
    struct diag diag;
    diag_reset(&diag);
    fiber_set_deadline(clock_mono_ns() + CHANGE_TIME_MAX_NS);
    enum lease_locks locks = j->step.idle ? LEASE_WITH_LOCKS : LEASE_MAY_LOSE_LOCKS;
    db_err err =
        j->step.kind == PLACEMENT_LEASE
            ? a->transfer_lease(a->ctx, j->leader, j->range, j->step.lease_to, locks, &diag)
            : a->change_replicas(a->ctx, j->leader, j->range, j->step.changes, j->step.count,
                                 &diag);
    fiber_set_deadline(DEADLINE_NONE);
    if (err == ERR_OK) {
        LOG_INFO("meta.placement", F_U64("range", j->range), F_STR("step", j->step.why));
    } else {
        LOG_WARN("meta.placement.failed", F_U64("range", j->range), F_STR("step", j->step.why),
                 F_ERR(err), F_STR("reason", diag.text));
    }
    release(j->m->placement_state, j->range, err);
    meta_fiber_ends(j->m);
    mem_free(j);
}

static bool start_job(struct meta *m, const struct range_desc *d, const struct placement_step *step)
{
    struct placement *p = m->placement_state;
    if (!reserve(p, d->id, step, clock_mono_ns())) {
        return false;
    }
    struct placement_job *j = mem_calloc(1, sizeof(*j));
    db_err err = ERR_NOMEM;
    if (j != NULL) {
        *j = (struct placement_job){m, d->id, d->leader_hint, *step};
        err = meta_spawn(m, job_fiber, j);
    }
    if (err != ERR_OK) {
        mem_free(j);
        release(p, d->id, err);
    }
    return err == ERR_OK;
}

/* ---- a round ---- */

struct round {
    struct placement_view view;
    struct node_info *nodes;       /* of the view: replicas and leases as the index has them */
    uint32_t told[NODES_MAX];      /* replicas of each node by its own word */
    struct resting open[REST_MAX]; /* steps that the index may not show yet */
    unsigned open_count;
    uint32_t held[NODES_MAX]; /* by the index, before the round's steps */
};

static struct node_info *node_in(struct round *r, node_id_t id)
{
    for (unsigned i = 0; i < r->view.count; i++) {
        if (r->nodes[i].id == id) {
            return &r->nodes[i];
        }
    }
    return NULL;
}

static void note_open(struct placement *p, struct round *r)
{
    uint64_t now = clock_mono_ns();
    pthread_mutex_lock(&p->mutex);
    for (unsigned i = 0; i < REST_MAX; i++) {
        if (p->resting[i].lag_until_ns > now) {
            r->open[r->open_count++] = p->resting[i];
        }
    }
    pthread_mutex_unlock(&p->mutex);
}

/* The index shows it. What becomes of the range from now on has nothing to do with this step. */
static void close_step(struct placement *p, struct resting *o)
{
    pthread_mutex_lock(&p->mutex);
    for (unsigned i = 0; i < REST_MAX; i++) {
        struct resting *r = &p->resting[i];
        if (r->range == o->range && r->until_ns != UINT64_MAX) {
            r->lag_until_ns = 0;
        }
    }
    pthread_mutex_unlock(&p->mutex);
    o->range = 0;
}

/* The step of the range that the index does not show yet. */
static const struct placement_step *open_step(struct round *r, const struct range_desc *d)
{
    for (unsigned i = 0; i < r->open_count; i++) {
        if (r->open[i].range == d->id) {
            return &r->open[i].step;
        }
    }
    return NULL;
}

static void close_steps(struct meta *m, struct round *r, const struct range_desc *d)
{
    for (unsigned i = 0; i < r->open_count; i++) {
        struct resting *o = &r->open[i];
        if (o->range == d->id && placement_done(&o->step, d)) {
            close_step(m->placement_state, o);
        }
    }
}

/* What nodes tell with their heartbeats is older than the index, and the index is older than what
 * is under way: a round that went by either would do again what the last one has begun, with
 * another range, and the next one would undo both, for ever. */
static void count_range(struct meta *m, struct round *r, const struct range_desc *d)
{
    close_steps(m, r, d);
    placement_count(r->nodes, r->view.count, d, open_step(r, d));
}

/* A step is under way: the next ranges of the round are decided as if it were done. */
static void count_step(struct round *r, const struct range_desc *d,
                       const struct placement_step *step)
{
    for (unsigned i = 0; i < step->count; i++) {
        struct node_info *n = node_in(r, step->changes[i].node);
        if (n != NULL) {
            n->ranges += step->changes[i].op == REPLICA_ADD ? 1 : n->ranges != 0 ? -1u : 0;
        }
    }
    struct node_info *from = node_in(r, d->leader_hint);
    struct node_info *to = node_in(r, step->lease_to);
    if (step->kind == PLACEMENT_LEASE && from != NULL && to != NULL) {
        from->leases -= from->leases != 0;
        to->leases++;
    }
}

static void look_at(struct meta *m, struct round *r, const struct range_desc *d)
{
    struct placement_step step;
    if (d->leader_hint == 0 || open_step(r, d) != NULL) {
        return; /* nobody to ask yet; or it is not as it seems */
    }
    placement_choose(&r->view, d, &step);
    if (step.kind == PLACEMENT_NOTHING || !start_job(m, d, &step)) {
        return;
    }
    count_step(r, d, &step);
    if (step.for_load) {
        r->view.load_may_move = false;
        m->placement_state->load_move_ns = clock_mono_ns() + LOAD_MOVE_NS;
    }
}

static db_err each_range(struct meta *m, struct round *r, struct arena *a,
                         void (*fn)(struct meta *m, struct round *r, const struct range_desc *d))
{
    struct range_desc *descs;
    unsigned count = 0;
    bool more = true;
    struct buf start;
    db_err err = ERR_OK;
    buf_init(&start, 1 << 20);
    while (err == ERR_OK && more) {
        arena_reset(a);
        err = meta_lookup(m, buf_slice(&start), SLICE_EMPTY, RANGES_PER_PAGE, a, NULL, &descs,
                          &count);
        for (unsigned i = 0; err == ERR_OK && i < count; i++) {
            fn(m, r, &descs[i]);
        }
        /* The last range of all has no end: an empty key would begin anew. */
        more = err == ERR_OK && count == RANGES_PER_PAGE && descs[count - 1].end.len != 0;
        if (more) {
            buf_reset(&start);
            err = buf_append_slice(&start, descs[count - 1].end);
        }
    }
    buf_fini(&start);
    return err;
}

static db_err look_at_all(struct meta *m, struct round *r, struct arena *a)
{
    for (unsigned i = 0; i < r->view.count; i++) {
        r->told[i] = r->nodes[i].ranges;
        r->nodes[i].ranges = 0;
        r->nodes[i].leases = 0;
    }
    note_open(m->placement_state, r);
    TRY(each_range(m, r, a, count_range));
    for (unsigned i = 0; i < r->view.count; i++) {
        r->held[i] = r->nodes[i].ranges;
    }
    return each_range(m, r, a, look_at);
}

/* Who was told to leave and holds nothing any more, by the index and by its own word (of a dead one
 * there is none to wait for), has left. */
static void let_go(struct meta *m, const struct round *r)
{
    for (unsigned i = 0; i < r->view.count; i++) {
        const struct node_info *n = &r->view.nodes[i];
        struct diag diag;
        if (n->state != NODE_DECOMMISSIONING || r->held[i] != 0 ||
            (n->liveness != NODE_DEAD && r->told[i] != 0)) {
            continue;
        }
        diag_reset(&diag);
        db_err err = meta_set_node_state(m, n->id, NODE_LEFT, &diag);
        if (err != ERR_OK) {
            LOG_WARN("meta.node.leave", F_U64("node", n->id), F_ERR(err),
                     F_STR("reason", diag.text));
        }
    }
}

void meta_placement_round(struct meta *m)
{
    const struct meta_actions *act = m->opts.actions;
    if (act == NULL || act->change_replicas == NULL || act->transfer_lease == NULL ||
        !meta_leads(m)) {
        return;
    }
    struct arena a;
    struct arena page;
    struct node_directory dir;
    arena_init(&a, NULL, NULL, 0);
    arena_init(&page, NULL, NULL, 0);
    db_err err = registry_directory(m, &a, &dir);
    if (err == ERR_OK) {
        struct round r = {
            .nodes = dir.nodes,
            .view = {.nodes = dir.nodes,
                     .count = dir.count,
                     .replicas = m->opts.replicas,
                     .meta_leader = m->self,
                     .load_worth = m->opts.load_worth,
                     .load_may_move = clock_mono_ns() >= m->placement_state->load_move_ns}};
        err = look_at_all(m, &r, &page);
        if (err == ERR_OK) {
            let_go(m, &r);
        }
    }
    if (err != ERR_OK && err != ERR_NOT_LEADER) {
        LOG_WARN("meta.placement.round", F_ERR(err));
    }
    arena_fini(&page);
    arena_fini(&a);
}

static void placement_round(void *arg)
{
    meta_placement_round(arg);
}

db_err placement_start(struct meta *m)
{
    return periodic_start(&m->placement, loop_group_get(m->opts.loops, 0), PLACEMENT_NS,
                          placement_round, m);
}
