#include "node/range/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/faults.h"
#include "base/log.h"

/* Taking a range's state from its leader.
 *
 * First all of it is written into sorted files beside the engine; nothing of the range changes. Who
 * is a member without a core then installs at once and opens; who has a core asks it first (it may
 * have caught up meanwhile, or know a later term).
 *
 * Before it installs, the engine is told by which points versions were dropped where they come
 * from: a reader that would miss them is refused here, too.
 *
 * Installing has three durable steps, so that a crash leaves the replica as it was, empty, or
 * whole:
 *   1. one batch deletes the old state and what stands for the replica, and leaves a record of it
 *      (store_gone) instead: from here on it is empty. The log keeps its hard state: a vote that
 * was given stays given.
 *   2. the files are ingested, family by family; the log begins anew after the snapshot.
 *   3. one batch puts descriptor, configuration and applied position in the place of the record.
 * A start that finds the record deletes what the interrupted second step has left.
 *
 * The log of a replica without a core. It holds what the replica has acknowledged in a former life,
 * and others count on that: it may not forget what could be committed. A snapshot that ends with an
 * entry of that log is taken and the log goes on from there; one that ends with a later term or
 * index than the log has all of it that is committed, so the log begins anew. Any other is refused:
 * the leader's comes to that in time. (A log that has more of the same term: the leader has it too,
 * and commits it. One that ends with a later term: what the leader commits first is of a later one
 * still.)
 *
 * The key space. A snapshot may not cover what another replica of this node has, or is about to
 * have (the snapshot of one with a core may cover more than that has had): it is refused until that
 * one has been split or removed. Who takes which part is decided under map_lock. */

enum { FILE_BYTES_MAX = 64 << 20, FILES_MAX = 4096 };

struct sst_file {
    struct sst_file *next;
    enum engine_cf cf;
    char *path;
};

struct receiving {
    struct range_store *rs;
    struct replica *r; /* held once it is admitted */
    struct snapshot_head head;
    struct arena arena;
    struct diag *diag;
    struct engine_sst *sst; /* being written */
    enum engine_cf cf;
    uint64_t sst_bytes;
    struct sst_file *files; /* newest first */
    unsigned file_count;
    struct buf acc; /* what has come in of a record */
    struct engine_points points;
    struct slice chunk;
    uint64_t records;
    uint32_t crc;
    bool ended;
    bool had_core;
    bool keep_tail;          /* the log goes on after the snapshot */
    bool taken;              /* the core has: `installed` will be signalled */
    uint64_t min_replica_id; /* as the record of it says */
    struct replica *dead;    /* in the way, and of a range that is no more; held */
    struct waiter installed;
    db_err err;
};

/* ---- into files ---- */

static db_err close_file(struct receiving *s)
{
    uint64_t size;
    if (s->sst == NULL) {
        return ERR_OK;
    }
    db_err err = engine_sst_finish(s->sst, &size);
    engine_sst_close(s->sst);
    s->sst = NULL;
    s->sst_bytes = 0;
    return err;
}

static db_err next_file(struct receiving *s, enum engine_cf cf)
{
    TRY(close_file(s));
    struct sst_file *f = ARENA_NEW(&s->arena, struct sst_file);
    if (f == NULL) {
        return ERR_NOMEM;
    }
    f->cf = cf;
    f->path = arena_printf(&s->arena, "%s/%llu-%llu-%u.sst", s->rs->snapshot_dir,
                           (unsigned long long)s->head.range, (unsigned long long)s->head.to,
                           s->file_count);
    if (f->path == NULL) {
        return ERR_NOMEM;
    }
    if (++s->file_count > FILES_MAX) {
        return ERR_LIMIT;
    }
    f->next = s->files;
    s->files = f;
    s->cf = cf;
    return engine_sst_open(s->rs->opts.engine, cf, f->path, &s->sst);
}

static db_err take_record(struct receiving *s, const struct snapshot_record *rec)
{
    if (rec->end) {
        bool whole = rec->records == s->records && rec->crc == s->crc;
        s->ended = true;
        return whole ? close_file(s)
                     : diag_set(s->diag, ERR_CORRUPT, "the snapshot's checksum does not match");
    }
    if (rec->points) {
        return snapshot_points_get(rec, &s->arena, &s->points);
    }
    if (s->sst == NULL || s->cf != rec->cf || s->sst_bytes > FILE_BYTES_MAX) {
        TRY(next_file(s, rec->cf));
    }
    s->records++;
    s->sst_bytes += rec->key.len + rec->value.len;
    return engine_sst_put(s->sst, rec->key, rec->value);
}

static db_err take_chunk(struct receiving *s)
{
    TRY(buf_append_slice(&s->acc, s->chunk));
    struct slice rest = buf_slice(&s->acc);
    for (;;) {
        struct snapshot_record rec;
        size_t size;
        TRY(snapshot_record_get(rest, &rec, &size));
        if (size == 0) {
            break;
        }
        if (s->ended) {
            return ERR_CORRUPT;
        }
        TRY(take_record(s, &rec));
        s->crc = crc32c(s->crc, rest.ptr, size);
        rest = slice_from(rest, size);
    }
    if (rest.len != 0) {
        memmove(s->acc.ptr, rest.ptr, rest.len);
    }
    s->acc.len = rest.len;
    return ERR_OK;
}

static void chunk_job(void *arg)
{
    struct receiving *s = arg;
    s->err = FAULT_ERR(range_snapshot_chunk);
    s->err = s->err == ERR_OK ? take_chunk(s) : s->err;
}

static db_err stage(struct receiving *s, struct snapshot_reader *reader)
{
    for (;;) {
        TRY(reader->ops->next(reader, &s->chunk));
        if (s->chunk.len == 0) {
            break;
        }
        blocking_run(chunk_job, s);
        TRY(s->err);
        if (atomic_load(&s->rs->stopping)) {
            return ERR_UNAVAILABLE;
        }
    }
    return s->ended && s->acc.len == 0
               ? ERR_OK
               : diag_set(s->diag, ERR_CORRUPT, "the snapshot ends in the middle");
}

static void drop_files_job(void *arg)
{
    struct receiving *s = arg;
    if (s->sst != NULL) {
        engine_sst_close(s->sst);
        s->sst = NULL;
    }
    for (struct sst_file *f = s->files; f != NULL; f = f->next) {
        (void)unlink(f->path); /* ingested files have moved */
    }
}

/* ---- installing ---- */

static db_err apply_durably(struct engine *e, struct engine_wbatch *wb)
{
    TRY(engine_apply(e, wb, NULL));
    return engine_flush_wait(e);
}

static db_err clear_old(struct receiving *s, struct engine_wbatch *wb)
{
    const struct range_desc *d = &s->head.desc;
    struct engine *e = s->rs->opts.engine;
    if (s->had_core) {
        const struct range_desc *old = replica_desc(s->r); /* nobody changes it now */
        TRY(store_delete_data(e, wb, old->start, old->end));
    }
    TRY(store_delete_data(e, wb, d->start, d->end));
    TRY(store_delete_desc(wb, d->id));
    struct store_gone gone = {.id = d->id,
                              .min_replica_id = s->head.to,
                              .keep_log = true,
                              .has_bounds = true,
                              .start = d->start,
                              .end = d->end};
    TRY(store_put_gone(wb, &gone));
    return apply_durably(e, wb);
}

static void clear_job(void *arg)
{
    struct receiving *s = arg;
    struct engine_wbatch *wb;
    s->err =
        s->points.safe_point == 0 ? ERR_OK : engine_join_points(s->rs->opts.engine, &s->points);
    s->err = s->err == ERR_OK ? engine_wbatch_new(s->rs->opts.engine, &wb) : s->err;
    if (s->err == ERR_OK) {
        s->err = clear_old(s, wb);
        engine_wbatch_free(wb);
    }
}

static db_err ingest_family(struct receiving *s, enum engine_cf cf)
{
    size_t n = 0;
    for (struct sst_file *f = s->files; f != NULL; f = f->next) {
        n += f->cf == cf;
    }
    if (n == 0) {
        return ERR_OK;
    }
    const char **paths = (const char **)ARENA_ARRAY(&s->arena, char *, n);
    if (paths == NULL) {
        return ERR_NOMEM;
    }
    size_t at = n;
    for (struct sst_file *f = s->files; f != NULL; f = f->next) {
        if (f->cf == cf) {
            paths[--at] = f->path; /* oldest first */
        }
    }
    db_err err = engine_ingest(s->rs->opts.engine, cf, paths, n, s->diag);
    for (struct sst_file *f = s->files; f != NULL && err == ERR_OK; f = f->next) {
        if (f->cf == cf) {
            f->cf = ENGINE_CF_COUNT; /* done: not again when a later step is repeated */
        }
    }
    return err;
}

static void ingest_job(void *arg)
{
    struct receiving *s = arg;
    s->err = ERR_OK;
    for (enum engine_cf cf = 0; cf < ENGINE_CF_COUNT && s->err == ERR_OK; cf++) {
        s->err = ingest_family(s, cf);
        FAULT(range_snapshot_ingested);
    }
}

static db_err put_new(struct receiving *s, struct engine_wbatch *wb)
{
    const struct snapshot_head *h = &s->head;
    TRY(store_put_desc(wb, &h->desc));
    TRY(store_put_conf(wb, h->range, &h->meta.conf, h->conf_index));
    TRY(store_delete_gone(wb, h->range));
    TRY(engine_wbatch_applied(wb, h->range, h->meta.index, h->meta.term));
    return apply_durably(s->rs->opts.engine, wb);
}

static void finish_job(void *arg)
{
    struct receiving *s = arg;
    struct engine_wbatch *wb;
    FAULT(range_snapshot_before_finish);
    s->err = engine_wbatch_new(s->rs->opts.engine, &wb);
    if (s->err == ERR_OK) {
        s->err = put_new(s, wb);
        engine_wbatch_free(wb);
    }
}

static void log_reset_done(void *arg, db_err err)
{
    wait_signal(arg, (int)err);
}

/* The log begins after the snapshot. A replica without a core says on its own what it knows of
 * terms; with a core that is the core's to write. */
static db_err reset_log(struct receiving *s)
{
    struct raft_log *log = s->rs->opts.log;
    const struct raft_snapshot_meta *m = &s->head.meta;
    struct raft_log_group g = {0};
    struct raft_log_batch *b;
    struct waiter w;
    db_err err = raft_log_group_get(log, s->head.range, &g);
    if (err != ERR_OK && err != ERR_NOT_FOUND) {
        return err;
    }
    TRY(raft_log_batch_new(log, 0, &b));
    err = s->keep_tail ? raft_log_batch_compact(b, s->head.range, m->index, m->term)
                       : raft_log_batch_reset(b, s->head.range, m->index, m->term);
    if (err == ERR_OK && !s->had_core) {
        struct raft_log_hard_state hs = {.term = m->term, .commit = m->index};
        if (g.hard_state.term >= m->term) {
            hs.term = g.hard_state.term;
            hs.vote = g.hard_state.vote;
        }
        if (s->keep_tail && g.hard_state.commit > m->index) {
            hs.commit = g.hard_state.commit;
        }
        err = raft_log_batch_hard_state(b, s->head.range, hs);
    }
    if (err != ERR_OK) {
        raft_log_batch_free(b);
        return err;
    }
    wait_init(&w);
    raft_log_submit(log, b, log_reset_done, &w);
    wait_block_uncancelable(&w);
    return (db_err)w.result;
}

/* Goes on until the step is done: after the first one there is no way back. */
static db_err insist(struct receiving *s, void (*job)(void *arg))
{
    for (;;) {
        if (job != NULL) {
            blocking_run(job, s);
        } else {
            s->err = reset_log(s);
        }
        if (s->err != ERR_DISK_FULL && s->err != ERR_NOMEM && s->err != ERR_BUSY) {
            return s->err;
        }
        if (atomic_load(&s->rs->stopping) || atomic_load(&s->rs->failed)) {
            return ERR_CANCELED; /* the next start finds it empty */
        }
        TRY(fiber_sleep(RANGE_RETRY_NS));
    }
}

/* *ret_cleared: the old state is gone, whatever the return says. */
static db_err install(struct receiving *s, bool *ret_cleared)
{
    blocking_run(clear_job, s);
    *ret_cleared = s->err == ERR_OK;
    TRY(s->err);
    FAULT(range_snapshot_cleared);
    TRY(insist(s, ingest_job));
    TRY(insist(s, NULL));
    return insist(s, finish_job);
}

/* ---- a replica with a core ---- */

static bool quiet(const struct replica *r)
{
    return r->submits == 0 && !r->slot[0].linked && !r->slot[1].linked && !r->fetching &&
           r->hold == NULL;
}

/* The core stands at the snapshot from now on. */
static db_err become(struct receiving *s, struct range_loop *l)
{
    struct replica *r = s->r;
    const struct raft_snapshot_meta *m = &s->head.meta;
    struct range_view *v = range_view_new(&s->head.desc);
    if (v == NULL) {
        return ERR_NOMEM;
    }
    r->apply_view = v;
    r->apply_version = v->desc.epoch.version;
    r->applied_conf = m->conf;
    pthread_mutex_lock(&s->rs->map_lock);
    range_view_publish(r, v);
    pthread_mutex_unlock(&s->rs->map_lock);
    l->links_dirty = true;
    log_fetch_free(r->fetched);
    r->fetched = NULL;
    r->want_lo = 0;
    r->log_first = m->index + 1;
    r->log_last = m->index;
    atomic_store(&r->applied_index, m->index);
    atomic_store(&r->compacted_index, m->index);
    return ERR_OK;
}

static void install_fiber(void *arg)
{
    struct receiving *s = arg;
    struct replica *r = s->r;
    struct range_store *rs = s->rs;
    struct range_loop *l = lane_loop(rs, r->id);
    db_err err = ERR_OK;
    bool cleared = false;
    while (!quiet(r) && err == ERR_OK) {
        err = atomic_load(&rs->failed) ? ERR_IO : fiber_sleep(NS_PER_MS);
    }
    if (err == ERR_OK) {
        err = install(s, &cleared);
    }
    if (err == ERR_OK) {
        err = become(s, l);
    }
    r->installing = false;
    if (err != ERR_OK && cleared && err != ERR_CANCELED) {
        range_store_fatal(rs, err, "a snapshot could not be installed");
    } else if (replica_runs(r) && (err == ERR_OK || !cleared)) {
        struct raft_event ev = {.type = RAFT_EV_SNAPSHOT_INSTALLED,
                                .u.snapshot_installed = {s->head.meta.index, err == ERR_OK}};
        db_err stepped;
        replica_own(l, r);
        if (replica_step(l, r, &ev, &stepped)) {
            replica_mark_dirty(l, r);
        }
    }
    wait_signal(&s->installed, (int)err);
    atomic_fetch_sub(&rs->fibers, 1);
}

void snapshot_accepted(struct range_loop *l, struct replica *r,
                       const struct raft_snapshot_meta *meta)
{
    struct receiving *s = r->staged;
    ASSERT(s != NULL && meta->index == s->head.meta.index);
    r->staged = NULL;
    r->installing = true;
    atomic_fetch_add(&l->rs->fibers, 1);
    if (fiber_spawn(l->loop, install_fiber, s) != ERR_OK) {
        atomic_fetch_sub(&l->rs->fibers, 1);
        range_store_fatal(l->rs, ERR_NOMEM, "no fiber to install a snapshot");
    }
}

static db_err offer_to_core(struct range_loop *l, struct replica *r, void *arg)
{
    struct receiving *s = arg;
    const struct snapshot_head *h = &s->head;
    struct raft_msg m = {.type = RAFT_MSG_SNAPSHOT,
                         .from = h->from,
                         .to = h->to,
                         .term = h->raft_term,
                         .index = h->meta.index,
                         .log_term = h->meta.term,
                         .snapshot = &h->meta};
    struct raft_event ev = {.type = RAFT_EV_MESSAGE, .u.message = &m};
    db_err err;
    if (!replica_runs(r) || r->replica_id != h->to || !atomic_load(&r->on_lane)) {
        return ERR_BUSY;
    }
    r->staged = s;
    if (!replica_step(l, r, &ev, &err)) {
        err = ERR_IO;
    }
    if (err == ERR_OK) {
        replica_drive(l, r);
    }
    bool accepted = r->staged == NULL;
    r->staged = NULL;
    replica_mark_dirty(l, r);
    TRY(err);
    s->taken = accepted;
    if (accepted) {
        return ERR_OK;
    }
    struct raft_status st;
    raft_status(r->raft, &st);
    return st.commit >= h->meta.index ? ERR_OK : ERR_INVALID;
}

static db_err hand_to_core(struct receiving *s)
{
    wait_init(&s->installed);
    TRY(replica_call(s->r, offer_to_core, s));
    if (s->taken) {
        wait_block_uncancelable(&s->installed);
        return (db_err)s->installed.result;
    }
    return ERR_OK;
}

/* ---- a replica without one ---- */

static db_err open_new(struct receiving *s)
{
    struct replica *r = s->r;
    pthread_mutex_lock(&s->rs->map_lock);
    db_err err = replica_assign(r, &s->head.desc);
    pthread_mutex_unlock(&s->rs->map_lock);
    return err == ERR_OK ? replica_start(r) : err;
}

static db_err install_new(struct receiving *s)
{
    bool cleared = false;
    db_err err = install(s, &cleared);
    if (err == ERR_OK) {
        err = open_new(s);
    }
    if (err != ERR_OK && err != ERR_CANCELED && cleared) {
        range_store_fatal(s->rs, err, "a snapshot could not be installed");
    }
    return err;
}

/* ---- who may come in ---- */

static bool overlap(const struct range_desc *a, const struct range_desc *b)
{
    return (a->end.len == 0 || slice_cmp(b->start, a->end) < 0) &&
           (b->end.len == 0 || slice_cmp(a->start, b->end) < 0);
}

/* A range keeps its first key for all of its life, and each change of who has a key raises the
 * version of who has it from then on. So who has that key under a later version has outlived it. */
static bool is_dead(const struct range_desc *d, const struct range_desc *now)
{
    return range_desc_contains(now, d->start) && now->epoch.version > d->epoch.version;
}

/* Under map_lock. *ret_dead: one that is in the way although its range was merged away; held. */
static bool space_is_free(struct range_store *rs, const struct replica *self,
                          const struct range_desc *desc, struct replica **ret_dead)
{
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        struct replica *r = atomic_load(&rs->buckets[i]);
        for (; r != NULL; r = r->map_next) {
            if (r == self || replica_is(r, REPLICA_EMPTY)) {
                continue;
            }
            unsigned slot = ebr_enter(&rs->ebr);
            bool comes = r->incoming != NULL && overlap(r->incoming, desc);
            bool hit = comes || overlap(replica_desc(r), desc);
            bool dead = hit && !comes && is_dead(replica_desc(r), desc);
            ebr_leave(&rs->ebr, slot);
            if (hit && dead) {
                replica_hold(r);
                *ret_dead = r;
            }
            if (hit) {
                return false;
            }
        }
    }
    return true;
}

/* Does the snapshot go together with the log that is left of a former life? */
static db_err fits_log(struct receiving *s)
{
    const struct raft_snapshot_meta *m = &s->head.meta;
    struct raft_log *log = s->rs->opts.log;
    struct raft_log_group g;
    uint64_t term;
    db_err err = raft_log_group_get(log, s->head.range, &g);
    if (err != ERR_OK) {
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    }
    err = raft_log_term(log, s->head.range, m->index, &term);
    if (err != ERR_OK && err != ERR_NOT_FOUND) {
        return err;
    }
    s->keep_tail = err == ERR_OK && term == m->term;
    bool later = m->term > g.last_term || (m->term == g.last_term && m->index > g.last_index);
    return s->keep_tail || later ? ERR_OK : ERR_BUSY;
}

/* Under map_lock. */
static db_err admit_locked(struct receiving *s)
{
    struct range_store *rs = s->rs;
    struct replica *r = replica_find(rs, s->head.range);
    s->r = r;
    if (r != NULL && replica_is(r, REPLICA_LIVE)) {
        s->had_core = true;
        if (s->head.raft_term == 0) {
            return ERR_INVALID; /* it has a state of its own */
        }
        if (r->replica_id != s->head.to) {
            return ERR_BUSY;
        }
        return space_is_free(rs, r, &s->head.desc, &s->dead) ? ERR_OK : ERR_BUSY;
    }
    if (r != NULL && !replica_is(r, REPLICA_EMPTY)) {
        return ERR_BUSY;
    }
    if (s->head.to < (r != NULL ? atomic_load(&r->min_replica_id) : s->min_replica_id)) {
        return ERR_INVALID;
    }
    if (!space_is_free(rs, r, &s->head.desc, &s->dead)) {
        return ERR_BUSY;
    }
    TRY(fits_log(s));
    struct range_view *v = range_view_new(&s->head.desc);
    if (v == NULL) {
        return ERR_NOMEM;
    }
    if (r == NULL) {
        struct range_desc none = {.id = s->head.range};
        db_err err = replica_new(rs, &none, &r);
        if (err != ERR_OK) {
            mem_free(v);
            return err;
        }
        s->r = r;
        atomic_store(&r->min_replica_id, s->min_replica_id);
        replica_register(rs, r);
    }
    range_view_publish(r, v);
    r->apply_view = v;
    atomic_store(&r->state, REPLICA_INSTALLING);
    return ERR_OK;
}

static db_err admit(struct receiving *s)
{
    struct range_store *rs = s->rs;
    if (desc_replica_on(&s->head.desc, rs->ident.node_id) != s->head.to) {
        return diag_set(s->diag, ERR_INVALID, "the snapshot is not for this node");
    }
    pthread_mutex_lock(&rs->map_lock);
    db_err err = admit_locked(s);
    if (err == ERR_OK && s->had_core && atomic_exchange(&s->r->receiving, true)) {
        err = ERR_BUSY;
        s->r = NULL;
    } else if (err != ERR_OK) {
        s->r = NULL;
    } else {
        replica_hold(s->r);
        s->r->incoming = s->had_core ? &s->head.desc : NULL;
    }
    pthread_mutex_unlock(&rs->map_lock);
    if (s->dead != NULL) { /* it will be gone when the snapshot comes again */
        db_err told = replica_call(s->dead, replica_drop_merged, NULL);
        (void)told;
        replica_let_go(s->dead);
    }
    return err == ERR_OK ? ERR_OK
                         : diag_set(s->diag, err, "range %llu cannot be taken now: %s",
                                    (unsigned long long)s->head.range, err_text(err));
}

static void release(struct receiving *s)
{
    struct replica *r = s->r;
    if (r == NULL) {
        return;
    }
    pthread_mutex_lock(&s->rs->map_lock);
    if (s->had_core) { /* it may have left meanwhile, and another snapshot be on its way in */
        r->incoming = NULL;
        atomic_store(&r->receiving, false);
    } else if (replica_is(r, REPLICA_INSTALLING)) {
        atomic_store(&r->state, REPLICA_EMPTY);
    }
    pthread_mutex_unlock(&s->rs->map_lock);
    replica_let_go(r);
}

/* The record of what was here and is not to come back, when the table of it has let go of it or
 * was never told. A snapshot that is lent, that is without the authority of a leader's term, comes
 * from a member that may not know that the range is no more or that this replica was removed; a
 * leader may lead a range that is no more, too, until it finds out. To take one is safe where the
 * replica has never acknowledged anything or still has the log of it: then a quorum of others
 * cannot have gone on without leaving a trace in the logs of those whose votes it takes. */
static void record_job(void *arg)
{
    struct receiving *s = arg;
    s->err = store_min_replica(s->rs->opts.engine, s->head.range, &s->min_replica_id);
}

static db_err look_for_record(struct receiving *s)
{
    blocking_run(record_job, s);
    TRY(s->err);
    return s->head.to >= s->min_replica_id
               ? ERR_OK
               : diag_set(s->diag, ERR_INVALID, "range %llu is not to come back here",
                          (unsigned long long)s->head.range);
}

static db_err receive(struct receiving *s, struct snapshot_reader *reader)
{
    TRY(look_for_record(s));
    TRY(admit(s));
    TRY(stage(s, reader));
    return s->had_core ? hand_to_core(s) : install_new(s);
}

db_err range_store_receive_snapshot(struct range_store *rs, node_id_t from, struct slice header,
                                    struct snapshot_reader *reader, struct diag *diag)
{
    struct receiving s = {.rs = rs, .diag = diag};
    if (rs->snapshot_dir == NULL) {
        return diag_set(diag, ERR_INVALID, "this node takes no snapshots");
    }
    atomic_fetch_add(&rs->proposers, 1); /* the store does not go before we have */
    arena_init(&s.arena, NULL, NULL, 0);
    buf_init(&s.acc, STORE_BATCH_SIZE_MAX + (4 << 20));
    db_err err = atomic_load(&rs->stopping) ? ERR_UNAVAILABLE
                                            : snapshot_head_decode(header, &s.arena, &s.head);
    if (err == ERR_OK) {
        bool room = atomic_fetch_add(&rs->snapshots_in, 1) < RANGE_SNAPSHOTS_IN_MAX;
        err = room ? receive(&s, reader) : diag_set(diag, ERR_BUSY, "too many snapshots at a time");
        blocking_run(drop_files_job, &s);
        release(&s);
        atomic_fetch_sub(&rs->snapshots_in, 1);
    }
    if (err == ERR_OK) {
        atomic_fetch_add(&rs->stat_snap_received, 1);
        LOG_INFO("range.snapshot.received", F_U64("range", s.head.range), F_U64("from_node", from),
                 F_U64("index", s.head.meta.index), F_U64("records", s.records));
    }
    buf_fini(&s.acc);
    arena_fini(&s.arena);
    atomic_fetch_sub(&rs->proposers, 1);
    return err;
}

/* ---- the directory ---- */

db_err snapshot_dir_open(struct range_store *rs, struct diag *diag)
{
    const char *path = rs->opts.snapshot_dir;
    char file[1024];
    if (path == NULL) {
        return ERR_OK;
    }
    size_t size = strlen(path) + 1;
    rs->snapshot_dir = mem_alloc(size);
    if (rs->snapshot_dir == NULL) {
        return ERR_NOMEM;
    }
    memcpy(rs->snapshot_dir, path, size);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return diag_set(diag, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "cannot make %s: %s", path,
                        strerror(errno));
    }
    DIR *d = opendir(path);
    if (d == NULL) {
        return diag_set(diag, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name);
        if (len > 4 && strcmp(e->d_name + len - 4, ".sst") == 0 &&
            snprintf(file, sizeof(file), "%s/%s", path, e->d_name) < (int)sizeof(file)) {
            (void)unlink(file); /* of a snapshot that a crash cut off */
        }
    }
    closedir(d);
    return ERR_OK;
}
