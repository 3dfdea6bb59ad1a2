#include "cluster/kv/kv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "cluster/kv/kv_int.h"

/* The vtable of sql/storage over routing and transactions, and the report of what is still read. */

#define REPORT_NS NS_PER_S
/* Records are kept for ten minutes at least: now and then is enough. */
#define SWEEP_NS          (300 * NS_PER_S)
#define SWEEP_TIME_MAX_NS (120 * NS_PER_S)

static struct storage_caps caps(struct storage *s)
{
    return (struct storage_caps){.persistent = true,
                                 .bulk = true,
                                 .distributed = true,
                                 .pushdown = node_view_others(&cluster_of(s)->view)};
}

static db_err txn_begin(struct storage *s, const struct storage_txn_opts *opts, struct diag *diag,
                        struct storage_txn **ret_txn)
{
    struct ctxn *t;
    (void)diag;
    TRY(ctxn_begin(&cluster_of(s)->env, opts, &t));
    *ret_txn = &t->base;
    return ERR_OK;
}

static db_err txn_stmt_begin(struct storage_txn *base, struct diag *diag)
{
    struct ctxn *t = ctxn_of(base);
    if (t->state == TXN_ABORTED) {
        return diag_set(diag, ERR_TXN_ABORTED, "%s", err_text(ERR_TXN_ABORTED));
    }
    if (t->opts.isolation <= STORAGE_READ_COMMITTED) {
        ctxn_drop_snapshot(t);
    }
    return ERR_OK;
}

static db_err txn_take_snapshot(struct storage_txn *base, struct diag *diag)
{
    return ctxn_need_snapshot(ctxn_of(base), diag);
}

static db_err txn_commit(struct storage_txn *base, struct diag *diag, uint64_t *ret_ts)
{
    return ctxn_commit(ctxn_of(base), diag, ret_ts);
}

static void txn_rollback(struct storage_txn *base)
{
    ctxn_end(ctxn_of(base));
}

static db_err txn_savepoint(struct storage_txn *base, uint64_t *ret_savepoint)
{
    *ret_savepoint = ctxn_savepoint(ctxn_of(base));
    return ERR_OK;
}

static db_err txn_rollback_to(struct storage_txn *base, uint64_t savepoint)
{
    return ctxn_rollback_to(ctxn_of(base), savepoint);
}

static bool txn_has_writes(const struct storage_txn *base)
{
    return ctxn_has_writes(CONTAINER_OF(base, const struct ctxn, base));
}

static void cluster_close(struct storage *base)
{
    struct cluster_storage *s = cluster_of(base);
    periodic_stop(&s->reporter);
    periodic_stop(&s->sweeper);
    txn_env_fini(&s->env);
    ts_client_fini(&s->ts);
    range_cache_fini(&s->ranges);
    node_view_fini(&s->view);
    mem_free_aligned(s);
}

const struct storage_ops cluster_storage_ops = {
    .name = "cluster",
    .caps = caps,
    .close = cluster_close,
    .txn_begin = txn_begin,
    .txn_stmt_begin = txn_stmt_begin,
    .txn_take_snapshot = txn_take_snapshot,
    .txn_commit = txn_commit,
    .txn_rollback = txn_rollback,
    .txn_savepoint = txn_savepoint,
    .txn_rollback_to = txn_rollback_to,
    .txn_has_writes = txn_has_writes,
    .get = cluster_get,
    .multi_get = cluster_multi_get,
    .any_under = cluster_any_under,
    .get_outdated = cluster_get_outdated,
    .scan_open = cluster_scan_open,
    .scan_next = cluster_scan_next,
    .scan_close = cluster_scan_close,
    .put = cluster_put,
    .del = cluster_del,
    .lock = cluster_lock,
    .lock_new = cluster_lock_new,
    .sequence_next = cluster_sequence_next,
    .sequence_raise = cluster_sequence_raise,
    .sequence_peek = cluster_sequence_peek,
    .delete_range = cluster_delete_range,
    .estimate = cluster_estimate,
    .fragment_open = cluster_fragment_open,
    .fragment_next = cluster_fragment_next,
    .fragment_close = cluster_fragment_close,
};

/* Tells meta what this node still reads, so that it is not collected. */
static void report(void *arg)
{
    struct cluster_storage *s = arg;
    struct diag diag;
    diag_reset(&diag);
    ts_t snapshots[KV_READS_MAX];
    struct kv_reads reads;
    db_err err = txn_env_reads(&s->env, &diag, snapshots, &reads);
    if (err == ERR_OK) {
        err = s->router.meta->ops->report_reads(s->router.meta, s->view.self, &reads, &diag);
    }
    if (err != ERR_OK) {
        LOG_WARN("cluster.report", F_ERR(err), F_STR("reason", diag.text));
    }
}

/* Where meta is led, what long ended transactions have left is cleared away. */
static void sweep(void *arg)
{
    struct cluster_storage *s = arg;
    struct diag diag;
    ts_t before = s->sweep_floor == NULL ? 0 : s->sweep_floor(s->sweep_ctx);
    if (before == 0) {
        return;
    }
    diag_reset(&diag);
    fiber_set_deadline(clock_mono_ns() + SWEEP_TIME_MAX_NS);
    db_err err = txn_env_sweep(&s->env, before, &diag);
    fiber_set_deadline(DEADLINE_NONE);
    if (err != ERR_OK && !periodic_stopping(&s->sweeper)) {
        LOG_INFO("cluster.sweep", F_ERR(err), F_STR("reason", diag.text)); /* the next round */
    }
}

db_err cluster_storage_sweep(struct storage *s, ts_t before, struct diag *diag)
{
    return txn_env_sweep(&cluster_of(s)->env, before, diag);
}

db_err cluster_storage_new(const struct cluster_storage_opts *opts, struct storage **ret_storage)
{
    struct cluster_storage *s = mem_calloc_aligned(sizeof(*s), _Alignof(struct cluster_storage));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    db_err err = range_cache_init(&s->ranges);
    if (err != ERR_OK) {
        mem_free_aligned(s);
        return err;
    }
    s->base.ops = &cluster_storage_ops;
    node_view_init(&s->view, opts->self, opts->kv);
    s->router = (struct router){
        .ranges = &s->ranges, .view = &s->view, .meta = opts->meta, .owner = opts->owner};
    ts_client_init(&s->ts, opts->meta, opts->meta_is_local);
    txn_env_init(&s->env, &s->router, &s->ts, &cluster_storage_ops);
    s->sweep_floor = opts->sweep_floor;
    s->sweep_ctx = opts->sweep_ctx;
    err = periodic_start(&s->reporter, loop_current(), REPORT_NS, report, s);
    if (err == ERR_OK) {
        err = periodic_start(&s->sweeper, loop_current(), SWEEP_NS, sweep, s);
    }
    if (err != ERR_OK) {
        cluster_close(&s->base);
        return err;
    }
    *ret_storage = &s->base;
    return ERR_OK;
}

void cluster_storage_fenced(struct storage *s, uint32_t fences)
{
    atomic_store_explicit(&cluster_of(s)->router.fences, fences, memory_order_release);
}

db_err cluster_storage_member(struct storage *s, node_id_t id, struct kv_service *kv)
{
    return node_view_set(&cluster_of(s)->view, id, kv);
}

void cluster_storage_stats(struct storage *base, struct cluster_storage_stats *ret_stats)
{
    struct cluster_storage *s = cluster_of(base);
    *ret_stats = (struct cluster_storage_stats){
        .commits_1pc = atomic_load(&s->env.commits_1pc),
        .commits_async = atomic_load(&s->env.commits_async),
        .commits_2pc = atomic_load(&s->env.commits_2pc),
        .intents_resolved = atomic_load(&s->env.resolved),
        .ranges_cached = range_cache_count(&s->ranges),
        .doubts_settled = atomic_load(&s->env.doubts_settled),
        .doubts_left = atomic_load(&s->env.doubts_left),
        .follower_reads = atomic_load(&s->env.follower_reads),
        .closed_asked = atomic_load(&s->env.closed_asked),
        .spills = atomic_load(&s->env.spills),
    };
}

void cluster_storage_spill(struct storage *base, size_t entries, const char *dir)
{
    struct txn_env *env = &cluster_of(base)->env;
    env->spill_entries = entries;
    env->spill_dir = dir;
}
