#include "node/meta/meta.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/rand.h"
#include "node/meta/meta_int.h"

/* Life cycle, the hooks given to the range store, and the checked entries of the services.
 *
 * What the ranges of this node need (a timestamp for a commit, an id for a split) is asked of
 * whoever leads the meta range, through opts.client. */

static db_err hook_now_ts(void *ctx, struct diag *diag, ts_t *ret_ts)
{
    struct meta *m = ctx;
    db_err err = meta_timestamps(m, 1, diag, ret_ts);
    if (err == ERR_NOT_LEADER && m->opts.client != NULL) {
        err = m->opts.client->ops->timestamps(m->opts.client, 1, diag, ret_ts);
    }
    return err == ERR_NOT_LEADER ? ERR_UNAVAILABLE : err;
}

static db_err hook_new_range_id(void *ctx, struct diag *diag, range_id_t *ret_id)
{
    struct meta *m = ctx;
    struct slice name = SLICE_LIT("!range");
    db_err err = meta_sequence_next(m, name, RANGE_ID_NEXT - 1, 1, 1, 0, diag, ret_id);
    if (err == ERR_NOT_LEADER && m->opts.client != NULL) {
        err = m->opts.client->ops->sequence_next(m->opts.client, name, RANGE_ID_NEXT - 1, 1, 1, 0,
                                                 diag, ret_id);
    }
    return err == ERR_NOT_LEADER ? ERR_UNAVAILABLE : err;
}

static void hook_changed(void *ctx, const struct range_desc *desc)
{
    struct meta *m = ctx;
    if (!atomic_load(&m->started)) {
        return; /* all are told of at the start */
    }
    /* Also while the state is being taken over: who took a look at the ranges led here does not
     * look again, and a node without others reports to nobody. The term is there before the index
     * is cleared and that look is taken, a lease and a descriptor before we are called: one of the
     * two sees the other. */
    if (atomic_load(&m->term) != 0) {
        db_err err = range_index_changed(m, desc, m->self);
        (void)err; /* it is reported too */
    }
    if (m->opts.client != NULL) {
        report_range(m, desc->id); /* whoever leads by the time it arrives */
    }
}

static void hook_lease(void *ctx, const struct range_desc *desc, bool held)
{
    if (desc->id == RANGE_ID_META) {
        meta_lease_changed(ctx, held);
    }
}

static db_err hook_gather(void *ctx, const struct range_desc *left, uint64_t bytes_max,
                          struct diag *diag)
{
    return meta_gather(ctx, left, bytes_max, diag);
}

/* Numbers are given back, so that the next leader skips none. */
static void hook_handing_over(void *ctx, range_id_t range, bool on)
{
    struct meta *m = ctx;
    if (range != RANGE_ID_META) {
        return;
    }
    atomic_fetch_add(&m->handing_over, on ? 1 : -1);
    if (on && atomic_load(&m->running)) {
        sequences_give_back(m);
    }
}

#define WHERE_TIME_NS NS_PER_S

static db_err hook_where(void *ctx, struct slice key, struct arena *arena,
                         struct range_desc *ret_desc)
{
    struct meta *m = ctx;
    struct meta_service *s = m->opts.client;
    struct range_desc *descs;
    unsigned count = 0;
    struct diag diag;
    diag_reset(&diag);
    if (s == NULL) {
        return ERR_UNAVAILABLE;
    }
    uint64_t deadline = fiber_deadline();
    fiber_set_deadline(clock_mono_ns() + WHERE_TIME_NS);
    db_err err = s->ops->lookup(s, key, SLICE_EMPTY, 1, arena, &diag, &descs, &count);
    fiber_set_deadline(deadline);
    if (err == ERR_OK && count == 1) {
        *ret_desc = descs[0];
    }
    return err == ERR_OK && count != 1 ? ERR_NOT_FOUND : err;
}

db_err meta_new(const struct meta_opts *opts, struct meta **ret_meta)
{
    struct meta *m = mem_calloc_aligned(sizeof(*m), _Alignof(struct meta));
    if (m == NULL) {
        return ERR_NOMEM;
    }
    db_err err = range_index_init(&m->index);
    if (err == ERR_OK) {
        err = registry_init(&m->registry);
    }
    if (err == ERR_OK) {
        err = placement_new(&m->placement_state);
    }
    if (err == ERR_OK) {
        err = wait_graph_new(&m->waits);
    }
    if (err != ERR_OK) {
        mem_free_aligned(m);
        return err;
    }
    m->opts = *opts;
    m->opts.replicas = opts->replicas != 0 ? opts->replicas : 3;
    m->opts.dead_after_ms = opts->dead_after_ms != 0 ? opts->dead_after_ms : 60000;
    m->opts.tell_all_ms = opts->tell_all_ms != 0 ? opts->tell_all_ms : 60000;
    if (opts->boot_id == 0 && rand_secure(&m->opts.boot_id, sizeof(m->opts.boot_id)) != ERR_OK) {
        m->opts.boot_id = clock_wall_us();
    }
    snprintf(m->token, sizeof(m->token), "%s", opts->join_token != NULL ? opts->join_token : "");
    m->hooks = (struct range_hooks){
        m,           hook_now_ts,       hook_new_range_id, hook_changed,    hook_lease,
        hook_gather, hook_handing_over, hook_where,        meta_watch_waits};
    tso_init(&m->tso);
    hash_init(&m->sequences);
    pthread_mutex_init(&m->seq_lock, NULL);
    pthread_mutex_init(&m->report_lock, NULL);
    pthread_mutex_init(&m->waits_lock, NULL);
    pthread_mutex_init(&m->lead_lock, NULL);
    pthread_mutex_init(&m->reporter.mutex, NULL);
    *ret_meta = m;
    return ERR_OK;
}

const struct range_hooks *meta_hooks(struct meta *m)
{
    return &m->hooks;
}

db_err meta_start(struct meta *m, struct range_store *rs, struct diag *diag)
{
    ASSERT(!atomic_load(&m->started));
    m->rs = rs;
    m->engine = range_store_engine(rs);
    m->self = range_store_ident(rs).node_id;
    pthread_mutex_lock(&m->lead_lock);
    m->lead_held = m->lead_held || range_store_lease_term(rs, RANGE_ID_META) != 0;
    m->lead_fiber = true;
    atomic_store(&m->started, true);
    pthread_mutex_unlock(&m->lead_lock);
    meta_follow_lease(m);
    db_err err = meta_heartbeat_start(m);
    err = err == ERR_OK ? placement_start(m) : err;
    err = err == ERR_OK ? safe_point_start(m) : err;
    return err == ERR_OK ? err : diag_set(diag, err, "meta cannot start: %s", err_text(err));
}

void meta_stop(struct meta *m)
{
    if (!atomic_load(&m->started)) {
        return;
    }
    periodic_stop(&m->placement);
    periodic_stop(&m->heartbeat);
    periodic_stop(&m->gc);
    bool led = meta_leads(m);
    atomic_store(&m->running, false);
    pthread_mutex_lock(&m->lead_lock);
    atomic_store(&m->started, false);
    pthread_mutex_unlock(&m->lead_lock);
    while (atomic_load(&m->fibers) != 0) {
        db_err err = fiber_sleep(NS_PER_MS);
        (void)err;
    }
    atomic_store(&m->running, false); /* for one that was about to take over */
    if (led && atomic_load(&m->term) != 0) {
        tso_give_back(m);
        sequences_give_back(m);
    }
}

void meta_free(struct meta *m)
{
    if (m == NULL) {
        return;
    }
    ASSERT(!atomic_load(&m->running));
    sequences_free(m);
    range_index_fini(&m->index);
    registry_fini(&m->registry);
    placement_free(m->placement_state);
    pthread_mutex_destroy(&m->seq_lock);
    safe_point_free(m);
    pthread_mutex_destroy(&m->report_lock);
    wait_graph_free(m->waits);
    pthread_mutex_destroy(&m->waits_lock);
    pthread_mutex_destroy(&m->lead_lock);
    pthread_mutex_destroy(&m->reporter.mutex);
    mem_free_aligned(m);
}

db_err meta_spawn(struct meta *m, void (*fn)(void *arg), void *arg)
{
    struct loop *loop = loop_current();
    atomic_fetch_add(&m->fibers, 1);
    db_err err = fiber_spawn(loop != NULL ? loop : loop_group_get(m->opts.loops, 0), fn, arg);
    if (err != ERR_OK) {
        atomic_fetch_sub(&m->fibers, 1);
    }
    return err;
}

/* ---- the services that need no more than a check around them ---- */

/* The same lease as before? */
static db_err check_again(struct meta *m, uint64_t term, struct diag *diag)
{
    TRY(meta_check(m, diag));
    return LIKELY(atomic_load(&m->term) == term)
               ? ERR_OK
               : diag_set(diag, ERR_NOT_LEADER, "the meta range has changed hands");
}

db_err meta_timestamps(struct meta *m, uint32_t count, struct diag *diag, ts_t *ret_first)
{
    ts_t first;
    TRY(meta_check(m, diag));
    uint64_t term = atomic_load(&m->term);
    if (UNLIKELY(count == 0)) {
        first = tso_last(m);
        TRY(first != 0 ? ERR_OK : diag_set(diag, ERR_DISK_FULL, "no timestamp was ever given"));
    } else {
        TRY(tso_next(m, count, diag, &first));
    }
    TRY(check_again(m, term, diag));
    *ret_first = first;
    return ERR_OK;
}

db_err meta_sequence_next(struct meta *m, struct slice name, uint64_t floor, uint64_t count,
                          uint64_t step, uint64_t offset, struct diag *diag, uint64_t *ret_first)
{
    uint64_t first;
    ASSERT(step > 0);
    TRY(meta_check(m, diag));
    uint64_t term = atomic_load(&m->term);
    TRY(sequence_next(m, name, floor, count, step, offset, diag, &first));
    TRY(check_again(m, term, diag));
    *ret_first = first;
    return ERR_OK;
}

db_err meta_ranges_changed(struct meta *m, node_id_t node, const struct range_desc *descs,
                           unsigned count, struct diag *diag)
{
    TRY(meta_check(m, diag));
    uint64_t term = atomic_load(&m->term);
    db_err err = ERR_OK;
    for (unsigned i = 0; i < count; i++) {
        err = err_first(err, range_index_changed(m, &descs[i], node));
    }
    return err == ERR_OK ? check_again(m, term, diag) : err;
}

db_err meta_lookup(struct meta *m, struct slice start, struct slice end, unsigned max,
                   struct arena *arena, struct diag *diag, struct range_desc **ret_descs,
                   unsigned *ret_count)
{
    TRY(meta_check(m, diag));
    return range_index_lookup(&m->index, start, end, max, arena, ret_descs, ret_count);
}
