#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/faults.h"
#include "base/log.h"
#include "node/store/keyspace.h"

/* A replica that is no member any more goes: its core, its data, its log; what stays is a record of
 * the lowest replica id that may ever be here again, so that no late message or replayed split
 * brings the old one back.
 *
 * The order makes each crash harmless: that the replica is gone is durable in the engine (with the
 * data deleted by the same batch) before its log goes. A removal that the replica applied itself is
 * in the engine as soon as the entry is, with the bounds of what is to be deleted; the start
 * finishes it.
 *
 * What a replica has acknowledged it never forgets without a trace: either there is its log, or the
 * record that stands for it. So the record of a range that was merged away stays for good, some ten
 * bytes; only with it can a member take a state from one that does not lead (snapshot_send.c). */

struct clean_job {
    struct range_store *rs;
    struct store_gone gone;
    db_err err;
};

static void clean_engine(void *arg)
{
    struct clean_job *j = arg;
    struct engine *e = j->rs->opts.engine;
    struct engine_wbatch *wb = NULL;
    struct store_gone done = j->gone;
    uint8_t applied[LOCAL_RANGE_KEY_SIZE];
    db_err err = engine_wbatch_new(e, &wb);
    local_range_key(applied, j->gone.id, LOCAL_RANGE_APPLIED);
    done.has_bounds = false;
    if (err == ERR_OK && j->gone.has_bounds) {
        err = store_delete_data(e, wb, j->gone.start, j->gone.end);
    }
    if (err == ERR_OK) {
        err = store_delete_desc(wb, j->gone.id);
    }
    if (err == ERR_OK) {
        err = engine_wbatch_delete(wb, ENGINE_LOCAL, slice_of(applied, sizeof(applied)));
    }
    if (err == ERR_OK) {
        err = store_put_gone(wb, &done);
    }
    if (err == ERR_OK) {
        err = engine_apply(e, wb, NULL);
    }
    if (wb != NULL) {
        engine_wbatch_free(wb);
    }
    j->err = err == ERR_OK ? engine_flush_wait(e) : err;
}

static void removed_from_log(void *arg, db_err err)
{
    wait_signal(arg, (int)err);
}

static db_err remove_log(struct range_store *rs, range_id_t id)
{
    struct raft_log_batch *b;
    struct raft_log_group g;
    struct waiter w;
    if (raft_log_group_get(rs->opts.log, id, &g) == ERR_NOT_FOUND) {
        return ERR_OK;
    }
    TRY(raft_log_batch_new(rs->opts.log, 0, &b));
    db_err err = raft_log_batch_remove(b, id);
    if (err != ERR_OK) {
        raft_log_batch_free(b);
        return err;
    }
    wait_init(&w);
    raft_log_submit(rs->opts.log, b, removed_from_log, &w);
    wait_block_uncancelable(&w);
    return (db_err)w.result;
}

/* Until it is done: space may have to come back first. */
static db_err clean_up(struct range_store *rs, const struct store_gone *gone)
{
    struct clean_job j = {.rs = rs, .gone = *gone};
    for (;;) {
        blocking_run(clean_engine, &j);
        db_err err = j.err;
        if (err == ERR_OK && !gone->keep_log) {
            err = remove_log(rs, gone->id);
        }
        if (err != ERR_DISK_FULL && err != ERR_NOMEM && err != ERR_BUSY) {
            return err;
        }
        if (atomic_load(&rs->stopping)) {
            return ERR_CANCELED; /* the next start goes on */
        }
        TRY(fiber_sleep(RANGE_RETRY_NS));
    }
}

static bool quiet(const struct replica *r)
{
    return r->submits == 0 && !r->slot[0].linked && !r->slot[1].linked && !r->fetching &&
           !r->lease_starting && r->snapshots_out == 0 && !r->installing && r->hold == NULL;
}

static void free_core(struct replica *r)
{
    raft_free(r->raft);
    r->raft = NULL;
    log_fetch_free(r->fetched);
    r->fetched = NULL;
}

static struct store_gone gone_of(const struct replica *r)
{
    const struct range_desc *d = replica_desc(r);
    return (struct store_gone){.id = r->id,
                               .min_replica_id = atomic_load(&r->min_replica_id),
                               .into = atomic_load(&r->gone_into),
                               .keep_log = r->resync,
                               .has_bounds = true,
                               .start = d->start,
                               .end = d->end};
}

static void now_empty(struct replica *r)
{
    struct range_store *rs = r->rs;
    LOG_INFO("range.replica.removed", F_U64("range", r->id), F_U64("replica", r->replica_id));
    atomic_fetch_add(&rs->stat_removed, 1);
    atomic_fetch_sub(&rs->replica_count, 1);
    pthread_mutex_lock(&rs->map_lock);
    r->resync = false;
    atomic_store(&r->state, REPLICA_EMPTY);
    pthread_mutex_unlock(&rs->map_lock);
}

static void leave_fiber(void *arg)
{
    struct replica *r = arg;
    struct range_store *rs = r->rs;
    db_err err = ERR_OK;
    while (!quiet(r) && err == ERR_OK) {
        err = atomic_load(&rs->failed) ? ERR_IO : fiber_sleep(NS_PER_MS);
    }
    if (err == ERR_OK) {
        struct store_gone g = gone_of(r);
        free_core(r);
        err = clean_up(rs, &g);
    }
    if (err == ERR_OK) {
        now_empty(r);
    } else if (err != ERR_CANCELED) {
        LOG_ERROR("range.remove.failed", F_U64("range", r->id), F_ERR(err));
        range_store_fatal(rs, err, "a replica cannot be removed");
    }
    replica_let_go(r);
    atomic_fetch_sub(&rs->fibers, 1);
}

void replica_halt(struct range_loop *l, struct replica *r, bool keep_locks)
{
    bool on_lane = atomic_load(&r->on_lane);
    atomic_fetch_add(&r->lives, 1);
    atomic_store(&r->state, REPLICA_LEAVING);
    if (keep_locks) {
        replica_lease_stop(l, r);
    } else {
        replica_lease_end(l, r);
        if (r->keep_locks) { /* of a split, for the lease that was to begin: not for a later life */
            r->keep_locks = false;
            eval_range_lease_end(&r->eval);
        }
    }
    replica_fail_pending(r, ERR_NOT_LEADER);
    atomic_store(&r->leader_node, 0);
    lane_leave(l, r);
    if (r->awake) {
        r->awake = false;
        list_remove(&r->awake_link);
    }
    if (on_lane) {
        loop_timer_stop(l->loop, &r->campaign_timer);
    }
}

static void leave(struct range_loop *l, struct replica *r, uint64_t min)
{
    ASSERT(lane_loop(l->rs, r->id) == l);
    atomic_store(&r->min_replica_id, min);
    replica_halt(l, r, false);
    atomic_fetch_add(&l->rs->fibers, 1);
    replica_hold(r);
    if (fiber_spawn(l->loop, leave_fiber, r) != ERR_OK) {
        replica_let_go(r);
        atomic_fetch_sub(&l->rs->fibers, 1);
        range_store_fatal(l->rs, ERR_NOMEM, "no fiber to remove a replica");
    }
}

void replica_leave(struct range_loop *l, struct replica *r)
{
    if (!replica_is(r, REPLICA_LIVE) || r->raft == NULL) {
        return;
    }
    const struct range_desc *d = replica_desc(r);
    uint64_t min = r->replica_id + 1;
    if (desc_replica_on(d, l->rs->ident.node_id) == 0 && min < (d->epoch.conf + 1) << 8) {
        min = (d->epoch.conf + 1) << 8;
    }
    leave(l, r, min);
}

/* As one whose first snapshot was cut off: without a vote until it has the next, while what it has
 * promised before stays in the log. */
void replica_resync(struct range_loop *l, struct replica *r)
{
    if (!replica_is(r, REPLICA_LIVE) || r->raft == NULL || lane_loop(l->rs, r->id) != l) {
        return;
    }
    LOG_WARN("range.replica.resync", F_U64("range", r->id), F_U64("replica", r->replica_id));
    r->resync = true;
    leave(l, r, r->replica_id);
}

/* ---- ranges that were merged away ---- */

db_err replica_drop_merged(struct range_loop *l, struct replica *r, void *arg)
{
    (void)arg;
    if (!replica_is(r, REPLICA_LIVE) || r->raft == NULL || lane_loop(l->rs, r->id) != l) {
        return ERR_BUSY;
    }
    LOG_INFO("range.merged.dropped", F_U64("range", r->id), F_U64("replica", r->replica_id));
    atomic_store(&r->gone_into, atomic_load(&r->merging_into)); /* the last one that was heard of */
    leave(l, r, REPLICA_ID_NEVER);
    return ERR_OK;
}

db_err replica_end_core(struct range_loop *l, struct replica *r, void *arg)
{
    (void)l;
    (void)arg;
    if (!quiet(r)) {
        return ERR_BUSY;
    }
    free_core(r);
    return ERR_OK;
}

db_err replica_delete_halted(struct replica *r)
{
    struct store_gone g = gone_of(r);
    ASSERT(replica_is(r, REPLICA_LEAVING) && r->raft == NULL);
    TRY(clean_up(r->rs, &g));
    eval_range_lease_end(&r->eval); /* its locks were kept for the left one */
    now_empty(r);
    return ERR_OK;
}

void replica_forget_log(struct replica *r)
{
    struct range_store *rs = r->rs;
    if (!atomic_load(&r->log_left) || atomic_load(&rs->flush_done) <= r->log_left_flush) {
        return;
    }
    FAULT(range_merge_before_forget);
    db_err err = remove_log(rs, r->id);
    if (err == ERR_OK) {
        atomic_store(&r->log_left, false);
        atomic_fetch_sub(&rs->logs_left, 1);
    } else {
        LOG_DEBUG("range.merge.log", F_U64("range", r->id), F_ERR(err)); /* in a later round */
    }
}

/* ---- at the start ---- */

struct gone_list {
    struct arena arena;
    struct gone_item {
        struct gone_item *next;
        struct store_gone gone;
    } * first, **last; /* in the engine's order: ids ascend */
    struct range_store *rs;
    db_err err;
};

static db_err note_gone(void *arg, const struct store_gone *gone)
{
    struct gone_list *gl = arg;
    struct gone_item *item = ARENA_NEW(&gl->arena, struct gone_item);
    if (item == NULL) {
        return ERR_NOMEM;
    }
    item->gone = *gone;
    TRY(arena_copy(&gl->arena, gone->start, &item->gone.start));
    TRY(arena_copy(&gl->arena, gone->end, &item->gone.end));
    item->next = NULL;
    *gl->last = item;
    gl->last = &item->next;
    return ERR_OK;
}

static void list_gone(void *arg)
{
    struct gone_list *gl = arg;
    gl->err = store_each_gone(gl->rs->opts.engine, NULL, note_gone, gl);
}

static db_err clean_one(struct range_store *rs, const struct store_gone *gone)
{
    const struct gone_fate fate = {.min_replica_id = gone->min_replica_id, .into = gone->into};
    struct raft_log_group g;
    bool merged = gone->min_replica_id == REPLICA_ID_NEVER;
    bool log_left = !gone->keep_log && raft_log_group_get(rs->opts.log, gone->id, &g) == ERR_OK;
    if (merged && !gone->has_bounds) {
        TRY(remove_log(rs, gone->id)); /* the record is durable, and stays as it is */
    } else if (gone->has_bounds || log_left) {
        TRY(clean_up(rs, gone));
    }
    return gone_put(&rs->gone, gone->id, &fate);
}

db_err replicas_clean_up(struct range_store *rs, struct diag *diag)
{
    struct gone_list gl = {.rs = rs};
    gl.last = &gl.first;
    arena_init(&gl.arena, NULL, NULL, 0);
    blocking_run(list_gone, &gl);
    db_err err = gl.err;
    for (struct gone_item *i = gl.first; i != NULL && err == ERR_OK; i = i->next) {
        err = clean_one(rs, &i->gone);
    }
    arena_fini(&gl.arena);
    return err == ERR_OK
               ? ERR_OK
               : diag_set(diag, err, "what is left of removed replicas: %s", err_text(err));
}
