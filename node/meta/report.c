#include "base/assert.h"
#include "base/log.h"
#include "node/meta/meta_int.h"

/* What a node tells the leader of the meta range: that it lives (a heartbeat every half second),
 * and which ranges it leads (when one changes; all of them when the leader has changed or a report
 * failed). A single node tells itself nothing.
 *
 * A report that was held up on its way, or repeated, may come after that of the range's next
 * leader, and nothing in it says so; and who asks a node that leads no more is only told that. So
 * all are told of again now and then. */

#define HEARTBEAT_NS          (300 * NS_PER_MS)
#define TWIN_TIME_NS          (6 * NS_PER_S)
#define HEARTBEAT_TIME_MAX_NS (2 * NS_PER_S)
#define REPORT_RETRY_NS       (200 * NS_PER_MS)
enum { REPORT_BATCH = 128 };

/* ---- ranges ---- */

struct report {
    struct meta *m;
    const range_id_t *ids; /* NULL: all */
    unsigned id_count;
    struct arena arena;
    struct range_desc descs[REPORT_BATCH];
    unsigned count;
    db_err err;
};

static db_err send_batch(struct report *r)
{
    struct meta_service *c = r->m->opts.client;
    struct diag diag;
    if (r->count == 0) {
        return ERR_OK;
    }
    diag_reset(&diag);
    db_err err = c->ops->ranges_changed(c, r->m->self, r->descs, r->count, &diag);
    r->count = 0;
    arena_reset(&r->arena);
    return err;
}

static bool wanted(const struct report *r, range_id_t id)
{
    for (unsigned i = 0; r->ids != NULL && i < r->id_count; i++) {
        if (r->ids[i] == id) {
            return true;
        }
    }
    return r->ids == NULL;
}

/* The descriptor is borrowed for the call, which must not park: copies are gathered, and what does
 * not fit goes with the next pass. */
struct gather {
    struct report *r;
    range_id_t after;   /* ids at or below were sent */
    range_id_t highest; /* of this pass */
    bool more;
};

static db_err gather_one(void *arg, const struct range_desc *desc, bool serving)
{
    struct gather *g = arg;
    struct report *r = g->r;
    if (!serving || desc->id <= g->after || !wanted(r, desc->id)) {
        return ERR_OK;
    }
    unsigned at = r->count;
    if (at == REPORT_BATCH) { /* keep the lowest ids */
        g->more = true;
        at = 0;
        for (unsigned i = 1; i < REPORT_BATCH; i++) {
            at = r->descs[i].id > r->descs[at].id ? i : at;
        }
        if (r->descs[at].id < desc->id) {
            return ERR_OK;
        }
    } else {
        r->count++;
    }
    return range_desc_copy(&r->arena, desc, &r->descs[at]);
}

static db_err send_ranges(struct meta *m, const range_id_t *ids, unsigned id_count)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    struct report *r = ARENA_NEW(&a, struct report);
    if (r == NULL) {
        arena_fini(&a);
        return ERR_NOMEM;
    }
    r->m = m;
    r->ids = ids;
    r->id_count = id_count;
    arena_init(&r->arena, NULL, NULL, 0);
    struct gather g = {.r = r, .more = true};
    db_err err = ERR_OK;
    while (err == ERR_OK && g.more && atomic_load(&m->started)) {
        g.more = false;
        err = range_store_each(m->rs, gather_one, &g);
        for (unsigned i = 0; i < r->count; i++) {
            g.after = r->descs[i].id > g.after ? r->descs[i].id : g.after;
        }
        err = err == ERR_OK ? send_batch(r) : err;
    }
    arena_fini(&r->arena);
    arena_fini(&a);
    return err;
}

/* Takes what is to be told. False: nothing; the fiber ends. */
static bool take_work(struct reporter *p, range_id_t *ids, unsigned *ret_count, bool *ret_all)
{
    pthread_mutex_lock(&p->mutex);
    bool any = p->all || p->count != 0;
    *ret_all = p->all;
    *ret_count = p->count;
    memcpy(ids, p->ids, p->count * sizeof(*ids));
    p->all = false;
    p->count = 0;
    p->running = any;
    pthread_mutex_unlock(&p->mutex);
    return any;
}

static void report_fiber(void *arg)
{
    struct meta *m = arg;
    range_id_t ids[REPORT_IDS_MAX];
    unsigned count;
    bool all;
    while (atomic_load(&m->started) && take_work(&m->reporter, ids, &count, &all)) {
        fiber_set_deadline(clock_mono_ns() + HEARTBEAT_TIME_MAX_NS);
        db_err err = send_ranges(m, all ? NULL : ids, count);
        fiber_set_deadline(DEADLINE_NONE);
        if (err != ERR_OK) {
            pthread_mutex_lock(&m->reporter.mutex);
            m->reporter.all = true;
            pthread_mutex_unlock(&m->reporter.mutex);
            err = fiber_sleep(REPORT_RETRY_NS);
            (void)err;
        }
    }
    pthread_mutex_lock(&m->reporter.mutex);
    m->reporter.running = false;
    pthread_mutex_unlock(&m->reporter.mutex);
    meta_fiber_ends(m);
}

static void add(struct meta *m, range_id_t id)
{
    struct reporter *p = &m->reporter;
    pthread_mutex_lock(&p->mutex);
    if (id == 0 || p->count == REPORT_IDS_MAX) {
        p->all = true;
    } else {
        p->ids[p->count++] = id;
    }
    bool spawn = !p->running && atomic_load(&m->started);
    p->running = p->running || spawn;
    pthread_mutex_unlock(&p->mutex);
    if (spawn && meta_spawn(m, report_fiber, m) != ERR_OK) {
        pthread_mutex_lock(&p->mutex);
        p->running = false;
        p->all = true; /* the next one that comes tells all */
        pthread_mutex_unlock(&p->mutex);
    }
}

void report_range(struct meta *m, range_id_t id)
{
    ASSERT(id != 0);
    add(m, id);
}

void report_all(struct meta *m)
{
    add(m, 0);
}

/* ---- heartbeats ---- */

static void describe(struct meta *m, struct node_info *self)
{
    struct range_store_stats st;
    range_store_get_stats(m->rs, &st);
    *self = (struct node_info){.id = m->self,
                               .boot_id = m->opts.boot_id,
                               .incarnation = range_store_incarnation(m->rs),
                               .ranges = (uint32_t)st.ranges,
                               .leases = (uint32_t)st.leases,
                               .load = st.load > UINT32_MAX ? UINT32_MAX : (uint32_t)st.load,
                               .flags = st.disk_full ? NODE_DISK_FULL : 0u};
    if (m->opts.actions != NULL && m->opts.actions->describe_self != NULL) {
        m->opts.actions->describe_self(m->opts.actions->ctx, self);
    }
}

static void heard_back(struct meta *m, const struct node_directory *dir)
{
    const struct meta_actions *a = m->opts.actions;
    atomic_store(&m->members, dir->count);
    for (unsigned i = 0; i < dir->count; i++) {
        range_store_note_member(m->rs, &dir->nodes[i]);
    }
    if (!meta_leads(m)) {
        const struct kv_reads *keep = &dir->safe_point;
        if (keep->floor != 0) {
            engine_set_safe_point(m->engine, keep->floor, keep->snapshots, keep->count);
        }
    }
    uint64_t now = clock_mono_ns();
    bool due = now - atomic_load(&m->told_all_ns) >= m->opts.tell_all_ms * NS_PER_MS;
    if ((dir->meta_term != m->seen_meta_term || due) && m->opts.client != NULL) {
        m->seen_meta_term = dir->meta_term;
        atomic_store(&m->told_all_ns, now);
        report_all(m);
    }
    if (a != NULL && a->members != NULL) {
        a->members(a->ctx, dir);
    }
}

/* An id in use: its last process may have died a moment ago, so that it is still taken for living.
 */
static bool refused_for_good(struct meta *m, db_err err)
{
    uint64_t now = clock_mono_ns();
    if (err != ERR_EXISTS) {
        atomic_store(&m->twin_since_ns, 0);
        return err == ERR_NOT_FOUND;
    }
    uint64_t since = 0;
    if (atomic_compare_exchange_strong(&m->twin_since_ns, &since, now)) {
        return false;
    }
    return now > since && now - since > TWIN_TIME_NS;
}

void meta_heartbeat_round(struct meta *m)
{
    struct meta_service *c = m->opts.client;
    const struct meta_actions *act = m->opts.actions;
    struct arena a;
    struct diag diag;
    struct node_info self;
    struct node_directory dir;
    meta_follow_again(m);
    describe(m, &self);
    diag_reset(&diag);
    arena_init(&a, NULL, NULL, 0);
    uint64_t asked = clock_mono_ns();
    uint64_t deadline = fiber_deadline(); /* of a statement that wants to know now */
    fiber_set_deadline(asked + HEARTBEAT_TIME_MAX_NS);
    db_err err = c == NULL ? meta_heartbeat(m, &self, &a, &diag, &dir)
                           : c->ops->heartbeat(c, &self, &a, &diag, &dir);
    fiber_set_deadline(deadline);
    if (err == ERR_OK) {
        atomic_store(&m->twin_since_ns, 0);
        dir.asked_ns = asked;
        heard_back(m, &dir);
    } else if (refused_for_good(m, err) && act != NULL && act->expelled != NULL) {
        act->expelled(act->ctx, err, diag.text);
    } else if (!periodic_stopping(&m->heartbeat)) {
        LOG_DEBUG("meta.heartbeat", F_ERR(err), F_STR("reason", diag.text));
    }
    arena_fini(&a);
}

static void heartbeat_round(void *arg)
{
    meta_heartbeat_round(arg);
}

db_err meta_heartbeat_start(struct meta *m)
{
    meta_heartbeat_round(m);
    return periodic_start(&m->heartbeat, loop_group_get(m->opts.loops, 0), HEARTBEAT_NS,
                          heartbeat_round, m);
}
