#include "node/meta/meta.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "node/meta/meta_int.h"

/* Life cycle, the hooks given to the range store, and the checked entries of the services. */

static db_err hook_now_ts(void *ctx, struct diag *diag, ts_t *ret_ts)
{
    return meta_timestamps(ctx, 1, diag, ret_ts);
}

static db_err hook_new_range_id(void *ctx, struct diag *diag, range_id_t *ret_id)
{
    return meta_sequence_next(ctx, SLICE_LIT("!range"), RANGE_ID_NEXT - 1, 1, 1, 0, diag, ret_id);
}

static void hook_changed(void *ctx, const struct range_desc *desc)
{
    range_index_changed(ctx, desc);
}

db_err meta_new(const struct meta_opts *opts, struct meta **ret_meta)
{
    struct meta *m = mem_calloc_aligned(sizeof(*m), _Alignof(struct meta));
    if (m == NULL) {
        return ERR_NOMEM;
    }
    db_err err = range_index_init(&m->index);
    if (err != ERR_OK) {
        mem_free_aligned(m);
        return err;
    }
    m->opts = *opts;
    m->hooks = (struct range_hooks){.ctx = m,
                                    .now_ts = hook_now_ts,
                                    .new_range_id = hook_new_range_id,
                                    .changed = hook_changed};
    tso_init(&m->tso);
    hash_init(&m->sequences);
    pthread_mutex_init(&m->seq_lock, NULL);
    pthread_mutex_init(&m->report_lock, NULL);
    *ret_meta = m;
    return ERR_OK;
}

const struct range_hooks *meta_hooks(struct meta *m)
{
    return &m->hooks;
}

db_err meta_start(struct meta *m, struct range_store *rs, struct diag *diag)
{
    ASSERT(!atomic_load(&m->running));
    m->rs = rs;
    m->engine = range_store_engine(rs);
    db_err err = tso_load(m);
    if (err == ERR_OK) {
        err = range_index_load(m);
    }
    if (err != ERR_OK) {
        return diag_set(diag, err, "the meta range's state cannot be read: %s", err_text(err));
    }
    atomic_store(&m->running, true);
    range_index_write_soon(m);
    return safe_point_start(m);
}

void meta_stop(struct meta *m)
{
    if (!atomic_exchange(&m->running, false)) {
        return;
    }
    periodic_stop(&m->gc);
    while (atomic_load(&m->fibers) != 0) {
        db_err err = fiber_sleep(NS_PER_MS);
        (void)err;
    }
    tso_give_back(m);
    sequences_give_back(m);
}

void meta_free(struct meta *m)
{
    if (m == NULL) {
        return;
    }
    ASSERT(!atomic_load(&m->running));
    sequences_free(m);
    range_index_fini(&m->index);
    pthread_mutex_destroy(&m->seq_lock);
    safe_point_free(m);
    pthread_mutex_destroy(&m->report_lock);
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

static db_err check_running(struct meta *m, struct diag *diag)
{
    return LIKELY(atomic_load_explicit(&m->running, memory_order_acquire))
               ? ERR_OK
               : diag_set(diag, ERR_UNAVAILABLE, "the meta services do not run on this node");
}

db_err meta_timestamps(struct meta *m, uint32_t count, struct diag *diag, ts_t *ret_first)
{
    ASSERT(count > 0);
    TRY(check_running(m, diag));
    return tso_next(m, count, diag, ret_first);
}

db_err meta_sequence_next(struct meta *m, struct slice name, uint64_t floor, uint64_t count,
                          uint64_t step, uint64_t offset, struct diag *diag, uint64_t *ret_first)
{
    ASSERT(step > 0);
    TRY(check_running(m, diag));
    return sequence_next(m, name, floor, count, step, offset, diag, ret_first);
}
