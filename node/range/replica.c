#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/sim_break.h"

/* A replica: made from its descriptor, opened (its group in the log, its core), found by id; and
 * what evaluation asks of it. */

/* ---- what evaluation asks ---- */

static db_err fill_stale(const struct range_desc *d, const struct kv_request *req,
                         struct kv_reply *reply)
{
    struct range_desc *copy = ARENA_NEW(req->arena, struct range_desc);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    TRY(range_desc_copy(req->arena, d, copy));
    reply->descs = copy;
    reply->desc_count = 1;
    return ERR_STALE_EPOCH;
}

static db_err check_view(const struct range_desc *d, const struct kv_request *req,
                         struct slice start, struct slice end, struct diag *diag,
                         struct kv_reply *reply)
{
    if (UNLIKELY(d->merging_into != 0)) {
        return diag_set(diag, ERR_BUSY, "range %llu is being merged with its neighbour",
                        (unsigned long long)d->id);
    }
    if (req->epoch.version != d->epoch.version || req->epoch.conf != d->epoch.conf) {
        return fill_stale(d, req, reply);
    }
    if (start.len == 0 && end.len == 0) {
        return ERR_OK;
    }
    bool inside = slice_cmp(start, d->start) >= 0;
    if (end.len == 0) {
        inside = inside && (d->end.len == 0 || slice_cmp(start, d->end) < 0);
    } else {
        inside = inside && slice_cmp(start, end) <= 0 &&
                 (d->end.len == 0 || slice_cmp(end, d->end) <= 0);
    }
    return inside ? ERR_OK
                  : diag_set(diag, ERR_INVALID, "a key outside of range %llu",
                             (unsigned long long)d->id);
}

/* What a replica without the lease answers under: as long as it is the same, nothing of its state
 * was taken away. 0: it may not. */
static uint64_t follower_term(struct replica *r, const struct kv_request *req)
{
    uint64_t life = atomic_load_explicit(&r->lives, memory_order_acquire);
    bool has = replica_is(r, REPLICA_LIVE) &&
               (atomic_load_explicit(&r->applied_index, memory_order_acquire) >= req->applied_min ||
                SIM_BROKEN(FOLLOWER));
    return has ? UINT64_C(1) << 63 | life : 0;
}

static uint64_t eval_position(struct eval_range *er)
{
    return atomic_load_explicit(&replica_of(er)->applied_index, memory_order_acquire);
}

static db_err eval_check(struct eval_range *er, const struct kv_request *req, struct slice start,
                         struct slice end, struct diag *diag, struct kv_reply *reply,
                         uint64_t *ret_term)
{
    struct replica *r = replica_of(er);
    uint64_t term = atomic_load_explicit(&r->lease_term, memory_order_acquire);
    uint64_t until = atomic_load_explicit(&r->lease_until_ns, memory_order_acquire);
    bool over = until != UINT64_MAX && clock_mono_ns() >= until && !SIM_BROKEN(LEASE);
    if (UNLIKELY(req->applied_min != 0) && (term == 0 || over)) {
        term = follower_term(r, req);
        over = false;
    }
    if (UNLIKELY(term == 0 || over)) {
        if (!replica_is(r, REPLICA_LIVE)) {
            return diag_set(diag, ERR_RANGE_NOT_FOUND, "range %llu is not on this node",
                            (unsigned long long)r->id);
        }
        node_id_t leader = atomic_load(&r->leader_node);
        /* a leader without a lease right now: try another, then me again */
        reply->leader = leader == r->rs->ident.node_id ? 0 : leader;
        return diag_set(diag, ERR_NOT_LEADER, "range %llu: this replica does not serve now",
                        (unsigned long long)r->id);
    }
    unsigned slot = ebr_enter(&r->rs->ebr);
    db_err err = check_view(replica_desc(r), req, start, end, diag, reply);
    ebr_leave(&r->rs->ebr, slot);
    TRY(err);
    *ret_term = term;
    return ERR_OK;
}

static db_err eval_propose(struct eval_range *er, const struct kv_request *req, uint64_t term,
                           const struct store_batch *batch, struct diag *diag,
                           struct kv_reply *reply)
{
    struct replica *r = replica_of(er);
    struct proposal p = {.kind = ENTRY_BATCH,
                         .epoch_version = req->epoch.version,
                         .lease_term = term,
                         .payload = store_batch_encoded(batch)};
    db_err err = replica_propose(r, &p, diag);
    if (err == ERR_NOT_LEADER) {
        reply->leader = atomic_load(&r->leader_node);
    } else if (err == ERR_STALE_EPOCH) {
        unsigned slot = ebr_enter(&r->rs->ebr);
        err = fill_stale(replica_desc(r), req, reply);
        ebr_leave(&r->rs->ebr, slot);
    }
    return err;
}

static db_err eval_admit(struct eval_range *er, struct diag *diag)
{
    const struct replica *r = replica_of(er);
    if (LIKELY(atomic_load_explicit(&r->rs->disk_full, memory_order_relaxed) == 0)) {
        return ERR_OK;
    }
    /* Who asks here although the lease has gone is told so, and writes where it is: there may be
     * space. */
    return atomic_load(&r->lease_term) == 0 ? ERR_OK : space_refuse(diag);
}

static db_err eval_vouch(struct eval_range *er, lock_owner_t owner, uint32_t fences,
                         struct diag *diag)
{
    return LIKELY(fences >= owners_fences(replica_of(er)->rs, lock_owner_node(owner)))
               ? ERR_OK
               : diag_set(diag, ERR_TXN_ABORTED,
                          "the cluster went on without node %llu after the transaction began",
                          (unsigned long long)lock_owner_node(owner));
}

static db_err eval_now_ts(struct eval_range *er, struct diag *diag, ts_t *ret_ts)
{
    const struct range_hooks *h = replica_of(er)->rs->opts.hooks;
    if (h == NULL) {
        return diag_set(diag, ERR_UNAVAILABLE, "no timestamp oracle");
    }
    return h->now_ts(h->ctx, diag, ret_ts);
}

static db_err eval_bounds(struct eval_range *er, struct arena *arena, struct slice *ret_start,
                          struct slice *ret_end)
{
    struct replica *r = replica_of(er);
    struct range_desc d;
    unsigned slot = ebr_enter(&r->rs->ebr);
    db_err err = range_desc_copy(arena, replica_desc(r), &d);
    ebr_leave(&r->rs->ebr, slot);
    TRY(err);
    *ret_start = d.start;
    *ret_end = d.end;
    return ERR_OK;
}

const struct eval_range_ops replica_eval_ops = {
    .name = "range",
    .check = eval_check,
    .propose = eval_propose,
    .admit = eval_admit,
    .vouch = eval_vouch,
    .now_ts = eval_now_ts,
    .bounds = eval_bounds,
    .position = eval_position,
    .note_load = load_note,
};

/* ---- making one ---- */

db_err replica_new(struct range_store *rs, const struct range_desc *desc,
                   struct replica **ret_replica)
{
    struct replica *r = mem_calloc_aligned(sizeof(*r), _Alignof(struct replica));
    if (r == NULL) {
        return ERR_NOMEM;
    }
    r->rs = rs;
    r->id = desc->id;
    list_init(&r->dirty_link);
    list_init(&r->rest_link);
    list_init(&r->awake_link);
    list_init(&r->pending);
    list_init(&r->inflight);
    list_init(&r->slot[0].link);
    list_init(&r->slot[1].link);
    list_init(&r->lane_link);
    list_init(&r->asleep_link);
    r->apply_version = desc->epoch.version;
    r->replica_id = desc_replica_on(desc, rs->ident.node_id);
    atomic_init(&r->state, desc->replica_count == 0 ? REPLICA_EMPTY : REPLICA_LIVE);
    atomic_init(&r->pinned, desc->replica_count > 1);
    pthread_mutex_init(&r->info_lock, NULL);
    loop_timer_init(&r->campaign_timer, split_campaign);
    struct lock_table *locks = NULL;
    struct lock_table_opts lock_opts = {.memory_max = rs->opts.lock_memory_max,
                                        .pack_from = rs->opts.lock_pack_from};
    struct range_view *v = range_view_new(desc);
    db_err err = v == NULL ? ERR_NOMEM : lock_table_new(rs->graph, &lock_opts, &locks);
    if (err == ERR_OK && desc->replica_count != 0 && r->replica_id == 0) {
        err = ERR_CORRUPT;
    }
    if (err != ERR_OK) {
        if (locks != NULL) {
            lock_table_free(locks);
        }
        mem_free(v);
        pthread_mutex_destroy(&r->info_lock);
        mem_free_aligned(r);
        return err;
    }
    atomic_fetch_add(&rs->replica_objects, 1);
    atomic_store(&r->view, v);
    atomic_store(&r->merging_into, desc->merging_into);
    atomic_store(&r->shaped_ns, clock_mono_ns());
    r->apply_view = v;
    eval_range_init(&r->eval, &replica_eval_ops, rs->opts.engine, locks);
    *ret_replica = r;
    return ERR_OK;
}

void replica_free(struct replica *r)
{
    if (r == NULL) {
        return;
    }
    ASSERT(list_empty(&r->pending) && list_empty(&r->inflight));
    merge_hold_free(r);
    load_free(r);
    raft_free(r->raft);
    raft_free(r->opened);
    log_fetch_free(r->fetched);
    handed_drop(&r->handed);
    handed_drop(&r->taken);
    lock_table_free(r->eval.locks);
    mem_free(atomic_load(&r->view));
    pthread_mutex_destroy(&r->info_lock);
    atomic_fetch_sub(&r->rs->replica_objects, 1);
    mem_free_aligned(r);
}

db_err replica_assign(struct replica *r, const struct range_desc *desc)
{
    struct range_view *v = range_view_new(desc);
    ASSERT(r->raft == NULL && !replica_is(r, REPLICA_LIVE));
    if (v == NULL) {
        return ERR_NOMEM;
    }
    r->replica_id = desc_replica_on(desc, r->rs->ident.node_id);
    ASSERT(r->replica_id >= atomic_load(&r->min_replica_id));
    r->apply_view = v;
    r->apply_version = desc->epoch.version;
    r->addr_count = r->addr_next = 0;
    r->want_lo = r->want_hi = 0;
    r->broken = ERR_OK;
    range_view_publish(r, v);
    if (desc->replica_count > 1) {
        atomic_store(&r->pinned, true);
    }
    atomic_store(&r->state, REPLICA_LIVE);
    atomic_fetch_add(&r->rs->replica_count, 1);
    return ERR_OK;
}

static struct replica *_Atomic *bucket_of(struct range_store *rs, range_id_t id)
{
    return &rs->buckets[hash_u64(id) % REPLICA_BUCKETS];
}

void replica_register(struct range_store *rs, struct replica *r)
{
    struct replica *_Atomic *bucket = bucket_of(rs, r->id);
    struct gone_fate f = {.ran = true};
    enum gone_answer known = gone_get(&rs->gone, r->id, &f);
    if (known == GONE_KNOWN && f.min_replica_id > atomic_load(&r->min_replica_id)) {
        atomic_store(&r->min_replica_id, f.min_replica_id);
        atomic_store(&r->gone_into, f.into);
    }
    r->ran = r->ran || (known != GONE_NOT && f.ran);
    gone_forget(&rs->gone, r->id);
    atomic_store(&r->map_next, atomic_load(bucket));
    atomic_store(bucket, r);
    if (replica_is(r, REPLICA_LIVE)) {
        atomic_fetch_add(&rs->replica_count, 1);
    }
}

struct replica *replica_find(struct range_store *rs, range_id_t id)
{
    struct replica *r = atomic_load(bucket_of(rs, id));
    while (r != NULL && r->id != id) {
        r = atomic_load(&r->map_next);
    }
    return r;
}

struct replica *replica_find_live(struct range_store *rs, range_id_t id)
{
    struct replica *r = replica_find(rs, id);
    return r != NULL && replica_is(r, REPLICA_LIVE) ? r : NULL;
}

db_err replica_find_held(struct range_store *rs, range_id_t range, struct diag *diag,
                         struct replica **ret_replica)
{
    struct replica *r = replica_find_live(rs, range);
    if (r == NULL) {
        return diag_set(diag, ERR_RANGE_NOT_FOUND, "range %llu is not on this node",
                        (unsigned long long)range);
    }
    replica_hold(r);
    *ret_replica = r;
    return ERR_OK;
}

db_err replica_find_led(struct range_store *rs, range_id_t range, struct diag *diag,
                        struct replica **ret_replica)
{
    struct replica *r;
    TRY(replica_find_held(rs, range, diag, &r));
    if (atomic_load(&r->lease_term) == 0) {
        replica_let_go(r);
        return diag_set(diag, ERR_NOT_LEADER, "this node does not lead range %llu",
                        (unsigned long long)range);
    }
    *ret_replica = r;
    return ERR_OK;
}

db_err replica_copy_desc(struct replica *r, struct arena *arena, struct range_desc *ret_desc)
{
    unsigned slot = ebr_enter(&r->rs->ebr);
    db_err err = range_desc_copy(arena, replica_desc(r), ret_desc);
    ebr_leave(&r->rs->ebr, slot);
    return err;
}

/* ---- opening ---- */

struct log_reset {
    struct waiter waiter;
};

static void reset_done(void *arg, db_err err)
{
    wait_signal(&((struct log_reset *)arg)->waiter, (int)err);
}

/* The group of a new range: an empty log that begins after the initial position. */
static db_err make_group(struct replica *r, uint64_t index, uint64_t term)
{
    struct raft_log_batch *b;
    struct log_reset w;
    TRY(raft_log_batch_new(r->rs->opts.log, 0, &b));
    db_err err = raft_log_batch_reset(b, r->id, index, term);
    if (err == ERR_OK) {
        err = raft_log_batch_hard_state(
            b, r->id, (struct raft_log_hard_state){.term = term, .commit = index});
    }
    if (err != ERR_OK) {
        raft_log_batch_free(b);
        return err;
    }
    wait_init(&w.waiter);
    raft_log_submit(r->rs->opts.log, b, reset_done, &w);
    wait_block_uncancelable(&w.waiter);
    return (db_err)w.waiter.result;
}

struct open_job {
    struct replica *r;
    uint64_t applied_term;
    struct raft_config config;
    struct raft *raft;
    db_err err;
};

static void open_core(void *arg)
{
    struct open_job *j = arg;
    replica_log_may_block = true;
    j->err = raft_new(&j->config, &j->raft);
    replica_log_may_block = false;
}

/* Reading the engine may block. */
static void read_state(void *arg)
{
    struct open_job *j = arg;
    struct replica *r = j->r;
    j->err = engine_applied(r->rs->opts.engine, r->id, &j->config.applied, &j->applied_term);
    if (j->err == ERR_OK) {
        j->err = store_get_conf(r->rs->opts.engine, r->id, &j->config.conf, &j->config.conf_index);
    }
}

static db_err open_replica(struct replica *r)
{
    struct range_store *rs = r->rs;
    struct raft_log_group group;
    struct open_job j = {.r = r};
    blocking_run(read_state, &j);
    TRY(j.err);
    db_err err = raft_log_group_get(rs->opts.log, r->id, &group);
    if (err == ERR_NOT_FOUND) {
        if (j.config.applied != RANGE_INIT_INDEX) {
            return ERR_CORRUPT; /* it had a log once */
        }
        while ((err = make_group(r, j.config.applied, j.applied_term)) == ERR_DISK_FULL) {
            TRY(fiber_sleep(RANGE_RETRY_NS));
        }
        TRY(err);
        j.config.never_ran = true;
        err = raft_log_group_get(rs->opts.log, r->id, &group);
    }
    TRY(err);
    r->log_first = group.first_index;
    r->log_last = group.last_index;
    atomic_store(&r->applied_index, j.config.applied);
    atomic_store(&r->compacted_index, group.compacted_index);
    j.config.id = r->replica_id;
    j.config.hard_state = (struct raft_hard_state){group.hard_state.term, group.hard_state.vote,
                                                   group.hard_state.commit};
    j.config.log = &replica_log_ops;
    j.config.log_ctx = r;
    j.config.now_ns = clock_mono_ns();
    j.config.promised_before_ns = r->ran ? j.config.now_ns : rs->opened_ns;
    j.config.seed = hash_combine(r->id, r->replica_id ^ rs->ident.node_id);
    j.config.link = replica_link;
    j.config.link_ctx = r;
    j.config.heartbeat_ns = RANGE_HEARTBEAT_NS;
    j.config.election_timeout_ns = RANGE_ELECTION_NS;
    j.config.election_spread_ns = RANGE_ELECTION_SPREAD_NS;
    j.config.external_heartbeat = rs->opts.transport != NULL;
    j.config.quiesce_after_ns = rs->opts.transport != NULL ? 0 : UINT64_MAX;
    r->applied_conf = j.config.conf;
    blocking_run(open_core, &j);
    TRY(j.err);
    struct raft_status st;
    raft_status(j.raft, &st);
    if (st.conf.count > 1) { /* the descriptor may be older than the log */
        atomic_store(&r->pinned, true);
    }
    r->opened = j.raft;
    r->ran = true;
    return ERR_OK;
}

static void open_fiber(void *arg)
{
    struct replica *r = arg;
    struct range_store *rs = r->rs;
    db_err err = open_replica(r);
    if (err != ERR_OK) {
        LOG_ERROR("range.open.failed", F_U64("range", r->id), F_ERR(err));
        r->broken = err;
        range_store_fatal(rs, err, "a range cannot be opened");
    }
    r->opened_msg.kind = INBOX_OPENED;
    inbox_push(r, &r->opened_msg);
    replica_let_go(r);
    atomic_fetch_sub(&rs->fibers, 1);
}

db_err replica_start(struct replica *r)
{
    struct range_store *rs = r->rs;
    struct loop *loop = lane_loop(rs, r->id)->loop;
    atomic_fetch_add(&rs->fibers, 1);
    replica_hold(r);
    db_err err = fiber_spawn(loop, open_fiber, r);
    if (err != ERR_OK) {
        replica_let_go(r);
        atomic_fetch_sub(&rs->fibers, 1);
    }
    return err;
}
