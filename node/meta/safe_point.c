#include "node/meta/meta_int.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "node/mvcc/mvcc.h"

/* What garbage collection may drop. Each node reports a floor and the snapshots below it that its
 * transactions read; the safe point is the lowest floor, less the age for which versions are kept
 * anyway, and the snapshots below it are kept one by one, so that an old transaction costs one
 * version of a row and not all since. Nothing is dropped before the first report. A node that does
 * not report any more holds the safe point where it is, until it counts as lost; a new leader,
 * which does not know where that is, gives each member as long to report.
 *
 * A node that comes back after it was lost may still name snapshots of before. What was not kept
 * for them is gone, so they are not taken up again: not by engines that know
 * (node/store/rocks_gc.c), and, as an engine that was opened since does not, not by the leader.
 *
 * Records of ended transactions are another matter: messages of a transaction may be under way long
 * after its end. They go after a fixed time and when no intent as old as they are is left. */

#define GC_ROUND_NS    NS_PER_S
#define REPORT_LOST_NS (600 * NS_PER_S)
enum { GC_RECORD_ROUNDS = 60, GC_RECORDS_PER_CALL = 1000, RECORD_AGE_MS = 10 * 60 * 1000 };

static void forget_lost(struct meta *m)
{
    uint64_t now = clock_mono_ns();
    for (unsigned i = 0; i < m->report_count;) {
        if (now - m->reports[i]->at_ns < REPORT_LOST_NS) {
            i++;
            continue;
        }
        mem_free(m->reports[i]);
        m->reports[i] = m->reports[--m->report_count];
    }
}

static int cmp_ts(const void *a, const void *b)
{
    ts_t x = *(const ts_t *)a;
    ts_t y = *(const ts_t *)b;
    return x < y ? -1 : x > y;
}

/* Under report_lock. The lowest timestamp that is still read; 0: unknown. */
static ts_t advance(struct meta *m)
{
    ts_t safe = TS_MAX;
    size_t count = 0;
    size_t all = 0;
    forget_lost(m);
    if (m->report_count == 0 || m->report_count < registry_heard(m, REPORT_LOST_NS)) {
        return 0; /* somebody may read what is not known of */
    }
    for (unsigned i = 0; i < m->report_count; i++) {
        safe = m->reports[i]->floor < safe ? m->reports[i]->floor : safe;
        all += m->reports[i]->count;
    }
    ts_t age = (ts_t)m->opts.gc_age_ms << TS_LOGICAL_BITS;
    safe = safe > age ? safe - age : 0;
    ts_t *points = all == 0 ? NULL : mem_alloc(all * sizeof(*points));
    if (all != 0 && points == NULL) {
        return 0; /* later */
    }
    ts_t lowest = safe;
    for (unsigned i = 0; i < m->report_count; i++) {
        const struct reads_report *r = m->reports[i];
        for (size_t k = 0; k < r->count && r->snapshots[k] < safe; k++) {
            lowest = r->snapshots[k] < lowest ? r->snapshots[k] : lowest;
            if (engine_may_read(m->engine, r->snapshots[k])) {
                points[count++] = r->snapshots[k];
            }
        }
    }
    if (count != 0) {
        qsort(points, count, sizeof(*points), cmp_ts);
    }
    engine_set_safe_point(m->engine, safe, points, count);
    mem_free(m->safe_points);
    m->safe_points = points;
    m->safe_point_count = count;
    m->safe_point = safe;
    return lowest;
}

db_err meta_report_reads(struct meta *m, node_id_t node, const struct kv_reads *reads,
                         struct diag *diag)
{
    TRY(meta_check(m, diag));
    db_err err = ERR_OK;
    if (reads->count > KV_READS_MAX) {
        return diag_set(diag, ERR_LIMIT, "more than %d snapshots", KV_READS_MAX);
    }
    pthread_mutex_lock(&m->report_lock);
    unsigned i = 0;
    while (i < m->report_count && m->reports[i]->node != node) {
        i++;
    }
    if (i == REPORT_NODES) {
        err = diag_set(diag, ERR_LIMIT, "more than %d nodes report", REPORT_NODES);
    } else if (i == m->report_count) {
        m->reports[i] = mem_calloc(1, sizeof(*m->reports[i]));
        m->report_count += m->reports[i] != NULL;
        err = m->reports[i] != NULL ? ERR_OK : ERR_NOMEM;
    }
    if (err == ERR_OK) {
        struct reads_report *r = m->reports[i];
        r->node = node;
        r->at_ns = clock_mono_ns();
        r->floor = reads->floor;
        r->count = reads->count;
        if (r->count != 0) {
            memcpy(r->snapshots, reads->snapshots, r->count * sizeof(r->snapshots[0]));
        }
        if (atomic_load(&m->running)) {
            (void)advance(m);
        }
    }
    pthread_mutex_unlock(&m->report_lock);
    return err;
}

db_err safe_point_get(struct meta *m, struct arena *arena, struct kv_reads *ret_reads)
{
    db_err err = ERR_OK;
    pthread_mutex_lock(&m->report_lock);
    ts_t *points = ARENA_ARRAY(arena, ts_t, m->safe_point_count);
    if (points == NULL) {
        err = ERR_NOMEM;
    } else {
        if (m->safe_point_count != 0) {
            memcpy(points, m->safe_points, m->safe_point_count * sizeof(*points));
        }
        *ret_reads = (struct kv_reads){m->safe_point, points, m->safe_point_count};
    }
    pthread_mutex_unlock(&m->report_lock);
    return err;
}

void safe_point_forget(struct meta *m)
{
    pthread_mutex_lock(&m->report_lock);
    safe_point_free(m);
    m->safe_point = 0;
    pthread_mutex_unlock(&m->report_lock);
}

void safe_point_free(struct meta *m)
{
    for (unsigned i = 0; i < m->report_count; i++) {
        mem_free(m->reports[i]);
    }
    m->report_count = 0;
    mem_free(m->safe_points);
    m->safe_points = NULL;
    m->safe_point_count = 0;
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
        struct mvcc_intent_name *at;
        arena_reset(&a);
        err = mvcc_intent_scan(m->engine, buf_slice(&from), SLICE_EMPTY, 0, INTENT_PAGE, &a, &at,
                               &count);
        for (size_t i = 0; err == ERR_OK && i < count; i++) {
            oldest = at[i].start_ts < oldest ? at[i].start_ts : oldest;
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
    struct buf cursor;
    size_t dropped = 0;
    db_err err = ERR_OK;
    TRY(range_store_find(m->rs, d->id, &er));
    arena_init(&a, NULL, NULL, 0);
    buf_init(&cursor, STORE_BATCH_SIZE_MAX);
    do {
        struct kv_request req = {
            .range = d->id, .epoch = d->epoch, .deadline_ns = DEADLINE_NONE, .arena = &a};
        struct kv_reply reply = {0};
        struct diag diag;
        diag_reset(&diag);
        arena_reset(&a);
        err = eval_gc(er, &req, d->start, d->end, before, GC_RECORDS_PER_CALL, &cursor, &diag,
                      &reply, &dropped);
    } while (err == ERR_OK && dropped == GC_RECORDS_PER_CALL && atomic_load(&m->running));
    range_store_done(er);
    buf_fini(&cursor);
    arena_fini(&a);
    return err;
}

static void gc_records(struct meta *m, ts_t safe)
{
    ts_t oldest;
    if (m->registry.count > 1) {
        return; /* intents of ranges that are not here could be older: cluster/txn/sweep.c */
    }
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

ts_t meta_sweep_floor(struct meta *m)
{
    return meta_leads(m) ? atomic_load(&m->sweep_floor) : 0;
}

void meta_gc_round(struct meta *m)
{
    if (!meta_leads(m)) {
        return; /* it comes with the answer to a heartbeat */
    }
    pthread_mutex_lock(&m->report_lock);
    ts_t lowest = advance(m);
    pthread_mutex_unlock(&m->report_lock);
    uint64_t now = clock_wall_us() / 1000;
    ts_t before = now > RECORD_AGE_MS ? (now - RECORD_AGE_MS) << TS_LOGICAL_BITS : 0;
    before = lowest < before ? lowest : before;
    atomic_store(&m->sweep_floor, before);
    if (m->gc_rounds++ % GC_RECORD_ROUNDS == 0) {
        gc_records(m, before);
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
