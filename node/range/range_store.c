#include "node/range/range.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "node/range/range_int.h"
#include "node/store/keyspace.h"

/* All replicas of the node: opening, stopping, finding. */

struct open_all {
    struct range_store *rs;
    struct diag *diag;
    bool found;
    db_err err;
};

static db_err open_one(void *arg, const struct range_desc *desc)
{
    struct open_all *o = arg;
    struct replica *r;
    TRY(replica_new(o->rs, desc, &r));
    replica_register(o->rs, r); /* nobody else is there yet */
    return ERR_OK;
}

static void open_all_job(void *arg)
{
    struct open_all *o = arg;
    struct range_store *rs = o->rs;
    o->err = store_get_ident(rs->opts.engine, o->diag, &o->found, &rs->ident);
    if (o->err == ERR_OK && o->found) {
        o->err = store_each_desc(rs->opts.engine, o->diag, open_one, o);
    }
}

static db_err check_ident(const struct range_store *rs, struct diag *diag)
{
    const struct store_ident *join = rs->opts.join;
    if (join != NULL && (memcmp(join->cluster_id, rs->ident.cluster_id, 16) != 0 ||
                         join->node_id != rs->ident.node_id)) {
        return diag_set(diag, ERR_INVALID,
                        "the data directory is that of node %llu, of this cluster or another: it "
                        "cannot join as node %llu",
                        (unsigned long long)rs->ident.node_id, (unsigned long long)join->node_id);
    }
    return ERR_OK;
}

static db_err open_all(struct range_store *rs, struct diag *diag)
{
    struct open_all o = {.rs = rs, .diag = diag};
    blocking_run(open_all_job, &o);
    TRY(o.err);
    if (!o.found) {
        TRY(store_bootstrap(rs, diag));
        blocking_run(open_all_job, &o);
        TRY(o.err);
        ASSERT(o.found);
    }
    TRY(check_ident(rs, diag));
    if (rs->opts.transport != NULL) {
        TRY(store_next_incarnation(rs->opts.engine, diag, &rs->incarnation));
    }
    TRY(replicas_clean_up(rs, diag));
    TRY(neighbours_fill(rs, diag));
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        struct replica *r = atomic_load(&rs->buckets[i]);
        for (; r != NULL; r = r->map_next) {
            if (replica_is(r, REPLICA_LIVE)) {
                TRY(replica_start(r));
            }
        }
    }
    TRY(space_start(rs));
    TRY(owners_start(rs));
    TRY(merge_queue_start(rs));
    return upkeep_start(rs);
}

static db_err check_opts(const struct range_store_opts *opts, struct diag *diag)
{
    if (opts->loops == NULL || opts->engine == NULL || opts->log == NULL) {
        return diag_set(diag, ERR_INVALID, "a range store needs loops, an engine and a log");
    }
    return ERR_OK;
}

db_err range_store_open(const struct range_store_opts *opts, struct diag *diag,
                        struct range_store **ret_store)
{
    TRY(check_opts(opts, diag));
    struct range_store *rs = mem_calloc_aligned(sizeof(*rs), _Alignof(struct range_store));
    if (rs == NULL) {
        return ERR_NOMEM;
    }
    rs->opts = *opts;
    rs->opened_ns = clock_mono_ns();
    if (rs->opts.range_size_max == 0) {
        rs->opts.range_size_max = RANGE_SIZE_MAX_DEFAULT;
    }
    if (rs->opts.log_keep_ms == 0) {
        rs->opts.log_keep_ms = RANGE_LOG_KEEP_MS;
    }
    if (rs->opts.member_away_ms == 0) {
        rs->opts.member_away_ms = 60000;
    }
    if (rs->opts.snapshot_rate_max == 0) {
        rs->opts.snapshot_rate_max = SNAPSHOT_RATE_DEFAULT;
    }
    if (rs->opts.log_size_max == 0) {
        rs->opts.log_size_max = LOG_SIZE_MAX_DEFAULT;
    }
    pthread_mutex_init(&rs->map_lock, NULL);
    ebr_init(&rs->ebr);
    gone_init(&rs->gone, RANGE_GONE_MAX);
    fiber_mutex_init(&rs->upkeep_lock);
    rs->loop_count = loop_group_count(opts->loops);
    rs->loops = mem_calloc(rs->loop_count, sizeof(*rs->loops));
    db_err err = rs->loops == NULL ? ERR_NOMEM : lock_graph_new(&rs->graph);
    if (err == ERR_OK && opts->hooks->lock_waits != NULL) {
        lock_graph_watch(rs->graph, opts->hooks->lock_waits, opts->hooks->ctx);
    }
    for (unsigned i = 0; i < rs->loop_count && err == ERR_OK; i++) {
        err = range_loop_init(rs, i);
    }
    if (err == ERR_OK) {
        err = snapshot_dir_open(rs, diag);
    }
    if (err == ERR_OK) {
        err = open_all(rs, diag);
    }
    if (err != ERR_OK) {
        range_store_stop(rs);
        range_store_free(rs);
        return err;
    }
    *ret_store = rs;
    return ERR_OK;
}

void range_store_unready(struct range_store *rs, struct range_unready *ret_unready)
{
    struct range_unready u = {0};
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        struct replica *r = atomic_load_explicit(&rs->buckets[i], memory_order_acquire);
        for (; r != NULL; r = r->map_next) {
            node_id_t leader = atomic_load(&r->leader_node);
            bool led_elsewhere = leader != 0 && leader != rs->ident.node_id;
            if (replica_is(r, REPLICA_LIVE) && atomic_load(&r->lease_term) == 0 && !led_elsewhere) {
                u.count++;
                u.first = r->id;
                u.alone = u.alone || !atomic_load(&r->pinned);
            }
        }
    }
    *ret_unready = u;
}

static bool all_ready(struct range_store *rs)
{
    struct range_unready u;
    range_store_unready(rs, &u);
    return u.count == 0;
}

db_err range_store_wait_ready(struct range_store *rs, uint64_t deadline_ns)
{
    while (!all_ready(rs)) {
        if (atomic_load(&rs->failed)) {
            return ERR_IO;
        }
        if (clock_mono_ns() >= deadline_ns) {
            return ERR_TIMEOUT;
        }
        TRY(fiber_sleep(NS_PER_MS));
    }
    return ERR_OK;
}

static bool at_rest(struct range_store *rs)
{
    if (atomic_load(&rs->proposers) != 0 || atomic_load(&rs->fibers) != 0) {
        return false;
    }
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        struct replica *r = atomic_load_explicit(&rs->buckets[i], memory_order_acquire);
        for (; r != NULL; r = r->map_next) {
            if (atomic_load(&r->owner) != OWNER_NONE || atomic_load(&r->inbox) != NULL) {
                return false;
            }
        }
    }
    for (const struct replica *r = rs->retired; r != NULL; r = r->retired_next) {
        if (atomic_load(&r->owner) != OWNER_NONE || atomic_load(&r->inbox) != NULL) {
            return false;
        }
    }
    return true;
}

struct barrier {
    struct range_loop *l;
    struct waiter waiter;
};

static void barrier_fiber(void *arg)
{
    struct barrier *b = arg;
    loop_timer_stop(b->l->loop, &b->l->tick_timer);
    loop_timer_stop(b->l->loop, &b->l->beat_timer);
    loop_timer_stop(b->l->loop, &b->l->retry_timer);
    wait_signal(&b->waiter, 0);
}

/* Every loop has finished the turn it was in, and no timer of ours runs any more: a replica that
 * was just seen at rest is no longer touched by who let it go. */
static void wait_for_turns(struct range_store *rs)
{
    for (unsigned i = 0; rs->loops != NULL && i < rs->loop_count; i++) {
        struct barrier b = {.l = &rs->loops[i]};
        wait_init(&b.waiter);
        if (rs->loops[i].loop != NULL &&
            fiber_spawn(rs->loops[i].loop, barrier_fiber, &b) == ERR_OK) {
            wait_block_uncancelable(&b.waiter);
        }
    }
}

/* Groups of several members need the others for what is in flight: for a while. */
static void wait_for_proposers(struct range_store *rs)
{
    uint64_t give_up = clock_mono_ns() + 5 * NS_PER_S;
    while (atomic_load(&rs->proposers) != 0 && !atomic_load(&rs->failed) &&
           clock_mono_ns() < give_up) {
        db_err err = fiber_sleep(NS_PER_MS);
        (void)err;
    }
}

void range_store_stop(struct range_store *rs)
{
    atomic_store(&rs->stopping, true);
    engine_hurry(rs->opts.engine);
    merge_queue_stop(rs);
    upkeep_stop(rs);
    space_stop(rs);
    owners_stop(rs);
    if (rs->opts.transport != NULL) {
        wait_for_proposers(rs);
    }
    lanes_close(rs);
    /* After a failure some may never come to rest: what they wait for will not happen. */
    uint64_t give_up = clock_mono_ns() + (atomic_load(&rs->failed) ? 1 : 60) * NS_PER_S;
    while (!at_rest(rs) && clock_mono_ns() < give_up) {
        db_err err = fiber_sleep(NS_PER_MS);
        (void)err;
    }
    wait_for_turns(rs);
}

static void end_replica(struct replica *r)
{
    struct list *node;
    for (struct inbox_msg *m = inbox_take(r), *next; m != NULL; m = next) {
        next = m->next;
        if (m->kind == INBOX_RAFT) { /* came in at the very end */
            raft_in_free(CONTAINER_OF(m, struct raft_in, msg));
        }
    }
    while ((node = list_pop_front(&r->inflight)) != NULL) {
        proposal_done(CONTAINER_OF(node, struct proposal, link), ERR_COMMIT_UNKNOWN);
    }
    replica_fail_pending(r, ERR_UNAVAILABLE);
    replica_free(r);
}

void range_store_free(struct range_store *rs)
{
    if (rs == NULL) {
        return;
    }
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        struct replica *r = atomic_load(&rs->buckets[i]);
        while (r != NULL) {
            struct replica *next = r->map_next;
            end_replica(r);
            r = next;
        }
    }
    for (struct replica *r = rs->retired, *next; r != NULL; r = next) {
        next = r->retired_next;
        end_replica(r);
    }
    for (unsigned i = 0; rs->loops != NULL && i < rs->loop_count; i++) {
        range_loop_fini(&rs->loops[i]);
    }
    mem_free(rs->loops);
    for (struct peer *p = atomic_load(&rs->peers), *next; p != NULL; p = next) {
        next = p->next;
        mem_free(p);
    }
    mem_free(rs->snapshot_dir);
    lock_graph_free(rs->graph);
    ebr_fini(&rs->ebr);
    gone_fini(&rs->gone);
    pthread_mutex_destroy(&rs->map_lock);
    mem_free_aligned(rs);
}

struct lock_graph *range_store_lock_graph(const struct range_store *rs)
{
    return rs->graph;
}

struct store_ident range_store_ident(const struct range_store *rs)
{
    return rs->ident;
}

struct engine *range_store_engine(const struct range_store *rs)
{
    return rs->opts.engine;
}

db_err range_store_each(struct range_store *rs,
                        db_err (*fn)(void *arg, const struct range_desc *desc, bool serving),
                        void *arg)
{
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        if (atomic_load_explicit(&rs->buckets[i], memory_order_relaxed) == NULL) {
            continue;
        }
        db_err err = ERR_OK;
        unsigned slot = ebr_enter(&rs->ebr);
        struct replica *r = atomic_load(&rs->buckets[i]);
        for (; r != NULL && err == ERR_OK; r = atomic_load(&r->map_next)) {
            if (replica_is(r, REPLICA_LIVE)) {
                struct range_desc d = *replica_desc(r);
                d.load = atomic_load(&r->load_rate);
                err = fn(arg, &d, atomic_load(&r->lease_term) != 0);
            }
        }
        ebr_leave(&rs->ebr, slot);
        TRY(err);
    }
    return ERR_OK;
}

uint64_t range_store_lease_term(struct range_store *rs, range_id_t range)
{
    uint64_t term = 0;
    uint64_t until = 0;
    unsigned slot = ebr_enter(&rs->ebr); /* the caller may be no loop */
    const struct replica *r = replica_find(rs, range);
    if (r != NULL) {
        term = atomic_load_explicit(&r->lease_term, memory_order_acquire);
        until = atomic_load_explicit(&r->lease_until_ns, memory_order_relaxed);
    }
    ebr_leave(&rs->ebr, slot);
    return until == UINT64_MAX || clock_mono_ns() < until ? term : 0;
}

bool range_store_lease_valid(struct range_store *rs, range_id_t range)
{
    return range_store_lease_term(rs, range) != 0;
}

db_err range_store_write(struct range_store *rs, range_id_t id, uint64_t lease_term,
                         const struct store_batch *batch, struct diag *diag)
{
    struct replica *r;
    TRY(replica_find_held(rs, id, diag, &r));
    struct proposal p = {
        .kind = ENTRY_BATCH, .lease_term = lease_term, .payload = store_batch_encoded(batch)};
    db_err err = replica_propose(r, &p, diag);
    replica_let_go(r);
    return err;
}

db_err range_data_size(struct range_store *rs, const struct range_desc *desc,
                       struct data_size *ret_size)
{
    struct arena a;
    struct slice lo;
    struct slice hi = SLICE_EMPTY;
    arena_init(&a, NULL, NULL, 0);
    db_err err = data_key_make(&a, desc->start, UINT64_MAX, &lo);
    if (err == ERR_OK && desc->end.len != 0) {
        err = data_key_make(&a, desc->end, UINT64_MAX, &hi);
    }
    if (err == ERR_OK) {
        uint64_t entries;
        engine_in_memory(rs->opts.engine, lo, hi, &entries, &ret_size->in_memory);
        err = engine_approximate_size(rs->opts.engine, ENGINE_DATA, lo, hi, &ret_size->in_files);
    }
    arena_fini(&a);
    return err;
}
