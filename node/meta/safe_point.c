#include "node/meta/meta_int.h"

#include "base/log.h"
#include "node/mvcc/mvcc.h"

/* What garbage collection may drop: versions that no reader at or above the safe point can see. It
 * follows the clock at a distance and stays below what any node reports as still read. Records of
 * ended transactions go when no intent as old as they are is left. */

#define GC_ROUND_NS (10 * NS_PER_S)
enum { GC_AGE_DEFAULT_MS = 10 * 60 * 1000, GC_RECORD_ROUNDS = 6, GC_RECORDS_PER_CALL = 1000 };

db_err meta_report_min_ts(struct meta *m, node_id_t node, ts_t min_ts, struct diag *diag)
{
    db_err err = ERR_OK;
    pthread_mutex_lock(&m->report_lock);
    unsigned i = 0;
    while (i < m->report_count && m->reports[i].node != node) {
        i++;
    }
    if (i == MIN_TS_NODES) {
        err = diag_set(diag, ERR_LIMIT, "more than %d nodes report timestamps", MIN_TS_NODES);
    } else {
        m->reports[i] = (struct min_ts_report){node, min_ts};
        m->report_count = i == m->report_count ? i + 1 : m->report_count;
    }
    pthread_mutex_unlock(&m->report_lock);
    return err;
}

static ts_t safe_point(struct meta *m)
{
    uint64_t age = m->opts.gc_age_ms != 0 ? m->opts.gc_age_ms : GC_AGE_DEFAULT_MS;
    uint64_t now = clock_wall_us() / 1000;
    ts_t safe = now > age ? (now - age) << TS_LOGICAL_BITS : 0;
    pthread_mutex_lock(&m->report_lock);
    for (unsigned i = 0; i < m->report_count; i++) {
        if (m->reports[i].min_ts != 0 && m->reports[i].min_ts < safe) {
            safe = m->reports[i].min_ts;
        }
    }
    pthread_mutex_unlock(&m->report_lock);
    return safe;
}

/* ---- transaction records ---- */

enum { INTENT_PAGE = 256 };

static db_err oldest_intent(struct meta *m, ts_t *ret_oldest)
{
    struct arena a;
    struct buf from;
    ts_t oldest = TS_MAX;
    db_err err = ERR_OK;
    size_t count = INTENT_PAGE;
    arena_init(&a, NULL, NULL, 0);
    buf_init(&from, 1 << 20);
    while (err == ERR_OK && count == INTENT_PAGE) {
        struct mvcc_intent_at *at;
        arena_reset(&a);
        err = mvcc_intent_scan(m->engine, buf_slice(&from), SLICE_EMPTY, 0, false, INTENT_PAGE, &a,
                               &at, &count);
        for (size_t i = 0; err == ERR_OK && i < count; i++) {
            oldest = at[i].intent.start_ts < oldest ? at[i].intent.start_ts : oldest;
        }
        if (err == ERR_OK && count == INTENT_PAGE) {
            buf_reset(&from);
            err = buf_append_slice(&from, at[count - 1].key);
        }
        if (err == ERR_OK && count == INTENT_PAGE) {
            err = buf_append_u8(&from, 0);
        }
    }
    buf_fini(&from);
    arena_fini(&a);
    if (err == ERR_OK) {
        *ret_oldest = oldest;
    }
    return err;
}

struct range_ids {
    range_id_t *ids;
    size_t count;
    size_t cap;
    struct arena *arena;
    struct range_desc *descs;
};

enum { RANGES_PER_ROUND = 1024 };

static db_err note_range(void *arg, const struct range_desc *desc, bool serving)
{
    struct range_ids *r = arg;
    if (serving && r->count < r->cap) {
        TRY(range_desc_copy(r->arena, desc, &r->descs[r->count]));
        r->count++;
    }
    return ERR_OK;
}

static db_err drop_records(struct meta *m, const struct range_desc *d, ts_t before)
{
    struct arena a;
    struct eval_range *er;
    size_t dropped = 0;
    db_err err = range_store_find(m->rs, d->id, &er);
    arena_init(&a, NULL, NULL, 0);
    do {
        struct kv_request req = {
            .range = d->id, .epoch = d->epoch, .deadline_ns = DEADLINE_NONE, .arena = &a};
        struct kv_reply reply = {0};
        struct diag diag;
        diag_reset(&diag);
        arena_reset(&a);
        if (err == ERR_OK) {
            err = eval_gc(er, &req, d->start, d->end, before, GC_RECORDS_PER_CALL, &diag, &reply,
                          &dropped);
        }
    } while (err == ERR_OK && dropped == GC_RECORDS_PER_CALL && atomic_load(&m->running));
    arena_fini(&a);
    return err;
}

static void gc_records(struct meta *m, ts_t safe)
{
    ts_t oldest;
    db_err err = oldest_intent(m, &oldest);
    if (err != ERR_OK) {
        LOG_WARN("meta.gc.intents", F_ERR(err));
        return;
    }
    ts_t before = oldest < safe ? oldest : safe;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    struct range_ids ids = {.cap = RANGES_PER_ROUND, .arena = &a};
    ids.descs = ARENA_ARRAY(&a, struct range_desc, RANGES_PER_ROUND);
    if (ids.descs != NULL && range_store_each(m->rs, note_range, &ids) == ERR_OK) {
        for (size_t i = 0; i < ids.count && atomic_load(&m->running); i++) {
            err = drop_records(m, &ids.descs[i], before);
            if (err != ERR_OK && err_class(err) != ERR_CLASS_RETRY_ROUTE) {
                LOG_WARN("meta.gc.records", F_U64("range", ids.descs[i].id), F_ERR(err));
            }
        }
    }
    arena_fini(&a);
}

void meta_gc_round(struct meta *m)
{
    ts_t safe = safe_point(m);
    engine_set_safe_point(m->engine, safe);
    if (m->gc_rounds++ % GC_RECORD_ROUNDS == 0) {
        gc_records(m, safe);
    }
}

static void gc_round(void *arg)
{
    meta_gc_round(arg);
}

db_err safe_point_start(struct meta *m)
{
    return periodic_start(&m->gc, loop_group_get(m->opts.loops, 0), GC_ROUND_NS, gc_round, m);
}
