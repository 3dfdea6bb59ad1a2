#include "node/range/snapshot.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "node/store/keyspace.h"

/* Sending a range's state to a member that the log cannot bring up to date any more.
 *
 * The core offers; a fiber takes a snapshot of the engine, reads from it where the range stands
 * (descriptor, configuration and applied position are written by the same batches as the data, so
 * they fit), and streams it in chunks that are read on the blocking pool. While it runs the log
 * keeps what follows the snapshot. What garbage collection has dropped is not sent, so it is told
 * by which points that was; those that are known behind the last row, as a snapshot of the engine
 * does not keep versions from being dropped, but an iterator does.
 *
 * Where nobody leads. A member without a state does not vote, so when too many have none nobody is
 * elected who could give them theirs: of the members of a split, say, only one has applied it, and
 * the others get snapshots of the left half that are past it. Who has a state and stands for
 * election in vain lends it to those that answer that they have none. What it has applied is
 * committed, whoever tells; that the range still is one is certain when the receiver has not had to
 * do with it before, or has the log of that (remove.c).
 *
 * Few snapshots go out at one time, and together not faster than
 * the rate that was set, so that they do not push the live traffic aside. */

enum { FILL_BYTES = 256 << 10 };
#define SLOT_WAIT_NS (60 * NS_PER_S)
#define REFUSED_NS   (300 * NS_PER_MS) /* before it is offered again */
/* Elections fail for so long, without a pause longer than the second, before states are lent. */
#define ORPHAN_NS     (4 * NS_PER_S)
#define ORPHAN_GAP_NS (5 * NS_PER_S)

struct sending {
    struct replica *r;
    struct range_loop *l;
    node_id_t node;
    struct snapshot_head head;
    struct arena arena; /* of the head's keys */
    struct engine_snapshot *view;
    struct engine_iter *it;
    enum engine_cf cf;        /* being read; ENGINE_CF_COUNT: all is */
    struct slice first, last; /* of the family that is being read */
    struct arena bounds;
    struct buf chunk;
    uint64_t records;
    uint32_t crc;
    bool ended;
    db_err err;
};

/* ---- reading ---- */

static db_err get_at(struct sending *s, uint8_t what, struct slice *ret_value)
{
    uint8_t key[LOCAL_RANGE_KEY_SIZE];
    struct engine_iter_opts opts = {.tier = ENGINE_ANY, .snapshot = s->view};
    struct engine_iter *it;
    local_range_key(key, s->r->id, what);
    TRY(engine_iter_open(s->r->rs->opts.engine, ENGINE_LOCAL, &opts, &it));
    db_err err = engine_iter_seek(it, slice_of(key, sizeof(key)));
    if (err == ERR_OK && (!it->valid || !slice_eq(it->key, slice_of(key, sizeof(key))))) {
        err = ERR_NOT_FOUND;
    }
    if (err == ERR_OK) {
        err = arena_copy(&s->arena, it->value, ret_value);
    }
    engine_iter_close(it);
    return err;
}

static db_err read_head(struct sending *s)
{
    struct slice desc;
    struct slice conf;
    struct slice applied;
    TRY(get_at(s, LOCAL_RANGE_DESC, &desc));
    TRY(get_at(s, LOCAL_RANGE_CONF, &conf));
    TRY(get_at(s, LOCAL_RANGE_APPLIED, &applied));
    TRY(range_desc_decode(desc, &s->arena, &s->head.desc));
    TRY(store_conf_decode(conf, &s->head.meta.conf, &s->head.conf_index));
    if (applied.len != 16) {
        return ERR_CORRUPT;
    }
    s->head.meta.index = get_be64(applied.ptr);
    s->head.meta.term = get_be64(applied.ptr + 8);
    return ERR_OK;
}

static void open_job(void *arg)
{
    struct sending *s = arg;
    s->err = engine_snapshot_open(s->r->rs->opts.engine, &s->view);
    if (s->err == ERR_OK) {
        s->err = read_head(s);
    }
}

/* Where the family's part of the range begins and ends. */
static db_err set_bounds(struct sending *s)
{
    const struct range_desc *d = &s->head.desc;
    struct buf key;
    arena_reset(&s->bounds);
    s->first = d->start;
    s->last = d->end;
    if (s->cf == ENGINE_DATA) {
        TRY(data_key_make(&s->bounds, d->start, UINT64_MAX, &s->first));
        return d->end.len == 0 ? ERR_OK : data_key_make(&s->bounds, d->end, UINT64_MAX, &s->last);
    }
    if (s->cf == ENGINE_LOCK) {
        return ERR_OK;
    }
    buf_init(&key, 1 << 20);
    db_err err = buf_append_u8(&key, LOCAL_TXN);
    if (err == ERR_OK) {
        err = buf_append_slice(&key, d->start);
    }
    if (err == ERR_OK) {
        err = arena_copy(&s->bounds, buf_slice(&key), &s->first);
    }
    buf_fini(&key);
    return err;
}

static db_err open_family(struct sending *s)
{
    struct engine_iter_opts opts = {.tier = ENGINE_ANY, .bulk = true, .snapshot = s->view};
    TRY(set_bounds(s));
    TRY(engine_iter_open(s->r->rs->opts.engine, s->cf, &opts, &s->it));
    return engine_iter_seek(s->it, s->first);
}

/* Does the iterator stand on something of the range? *ret_skip: not of it, but more may follow. */
static bool inside(const struct sending *s, bool *ret_skip)
{
    const struct range_desc *d = &s->head.desc;
    *ret_skip = false;
    if (!s->it->valid) {
        return false;
    }
    if (s->cf == ENGINE_LOCAL) {
        enum txn_record_place p = txn_record_place(s->it->key, d->start, d->end);
        *ret_skip = p == TXN_RECORD_OUTSIDE;
        return p != TXN_RECORD_BEYOND;
    }
    if (s->last.len == 0) {
        return true;
    }
    return s->cf == ENGINE_DATA ? data_key_cmp(s->it->key, s->last) < 0
                                : slice_cmp(s->it->key, s->last) < 0;
}

static db_err put_points(struct sending *s)
{
    struct engine_points points;
    TRY(engine_gone_points(s->r->rs->opts.engine, &s->arena, &points));
    return points.safe_point == 0 ? ERR_OK : snapshot_points_put(&s->chunk, &points);
}

static db_err fill(struct sending *s)
{
    while (s->chunk.len < FILL_BYTES && s->cf != ENGINE_CF_COUNT) {
        bool skip;
        if (s->it == NULL) {
            TRY(open_family(s));
        }
        if (!inside(s, &skip)) {
            engine_iter_close(s->it);
            s->it = NULL;
            s->cf++;
            continue;
        }
        if (!skip) {
            TRY(snapshot_record_put(&s->chunk, s->cf, s->it->key, s->it->value));
            s->records++;
        }
        TRY(engine_iter_next(s->it));
    }
    if (s->cf == ENGINE_CF_COUNT) {
        TRY(put_points(s));
    }
    s->crc = crc32c(s->crc, s->chunk.ptr, s->chunk.len);
    if (s->cf == ENGINE_CF_COUNT) {
        s->ended = true;
        return snapshot_end_put(&s->chunk, s->records, s->crc);
    }
    return ERR_OK;
}

static void fill_job(void *arg)
{
    struct sending *s = arg;
    buf_reset(&s->chunk);
    s->err = fill(s);
}

static void close_job(void *arg)
{
    struct sending *s = arg;
    engine_iter_close(s->it);
    if (s->view != NULL) {
        engine_snapshot_close(s->r->rs->opts.engine, s->view);
    }
}

/* ---- sending ---- */

static bool still_wanted(const struct sending *s)
{
    bool lent = s->head.raft_term == 0;
    return replica_runs(s->r) &&
           (lent ? atomic_load(&s->r->leader_node) == 0 : raft_role(s->r->raft) == RAFT_LEADER) &&
           !atomic_load(&s->r->rs->stopping) && !atomic_load(&s->r->rs->failed);
}

/* Waits until the rate allows so many bytes more. */
static db_err throttle(struct range_store *rs, size_t bytes)
{
    uint64_t cost = bytes * NS_PER_S / rs->opts.snapshot_rate_max;
    uint64_t now = clock_mono_ns();
    uint64_t at = atomic_load(&rs->snapshot_next_ns);
    uint64_t mine;
    do {
        mine = at > now ? at : now;
    } while (!atomic_compare_exchange_weak(&rs->snapshot_next_ns, &at, mine + cost));
    return mine > now ? fiber_sleep(mine - now) : ERR_OK;
}

static db_err write_chunk(struct sending *s, struct snapshot_stream *stream)
{
    struct range_store *rs = s->r->rs;
    struct slice rest = buf_slice(&s->chunk);
    while (rest.len != 0) {
        size_t n = rest.len < FILL_BYTES ? rest.len : FILL_BYTES;
        TRY(throttle(rs, n));
        if (!still_wanted(s)) {
            return ERR_CANCELED;
        }
        TRY(rs->opts.transport->ops->snapshot_write(stream, slice_of(rest.ptr, n)));
        atomic_fetch_add_explicit(&rs->stat_snap_bytes, n, memory_order_relaxed);
        atomic_fetch_add_explicit(&s->r->snapshot_progress, 1, memory_order_relaxed);
        rest = slice_from(rest, n);
    }
    return ERR_OK;
}

static db_err stream_out(struct sending *s, struct diag *diag)
{
    struct replica_transport *t = s->r->rs->opts.transport;
    struct snapshot_stream *stream;
    struct buf head;
    buf_init(&head, SNAPSHOT_HEADER_MAX);
    db_err err = snapshot_head_encode(&head, &s->head);
    if (err == ERR_OK) {
        err = t->ops->snapshot_open(t, s->node, buf_slice(&head), diag, &stream);
    }
    buf_fini(&head);
    TRY(err);
    while (err == ERR_OK && !s->ended) {
        blocking_run(fill_job, s);
        err = s->err;
        if (err == ERR_OK) {
            err = write_chunk(s, stream);
        }
    }
    db_err verdict = t->ops->snapshot_finish(stream, err == ERR_OK, diag);
    return err == ERR_OK || verdict != ERR_CANCELED ? verdict : err;
}

static db_err take_slot(struct sending *s)
{
    struct range_store *rs = s->r->rs;
    uint64_t until = clock_mono_ns() + SLOT_WAIT_NS;
    while (atomic_fetch_add(&rs->snapshots_out, 1) >= RANGE_SNAPSHOTS_OUT_MAX) {
        atomic_fetch_sub(&rs->snapshots_out, 1);
        TRY(fiber_sleep(20 * NS_PER_MS));
        if (!still_wanted(s) || clock_mono_ns() > until) {
            return ERR_BUSY;
        }
    }
    return ERR_OK;
}

static db_err send_snapshot(struct sending *s, struct diag *diag)
{
    struct range_store *rs = s->r->rs;
    TRY(take_slot(s));
    blocking_run(open_job, s);
    db_err err = s->err;
    if (err == ERR_OK) {
        err = stream_out(s, diag);
    }
    blocking_run(close_job, s);
    atomic_fetch_sub(&rs->snapshots_out, 1);
    return err;
}

static void tell_core(struct sending *s, bool ok)
{
    struct replica *r = s->r;
    if (!replica_runs(r) || s->head.raft_term == 0) {
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_SNAPSHOT_STATUS,
                            .u.snapshot_status = {.peer = s->head.to, .ok = ok}};
    db_err err;
    replica_own(s->l, r);
    if (replica_step(s->l, r, &ev, &err)) {
        replica_mark_dirty(s->l, r);
    }
}

static void send_fiber(void *arg)
{
    struct sending *s = arg;
    struct replica *r = s->r;
    struct range_store *rs = r->rs;
    struct diag diag;
    diag_reset(&diag);
    uint64_t began = clock_mono_ns();
    db_err err = send_snapshot(s, &diag);
    if (err == ERR_OK) {
        atomic_fetch_add(&rs->stat_snap_sent, 1);
        LOG_INFO("range.snapshot.sent", F_U64("range", r->id), F_U64("to_node", s->node),
                 F_U64("index", s->head.meta.index), F_U64("records", s->records),
                 F_U64("ms", (clock_mono_ns() - began) / NS_PER_MS));
    } else {
        LOG_INFO("range.snapshot.refused", F_U64("range", r->id), F_U64("to_node", s->node),
                 F_ERR(err), F_STR("reason", diag.text));
        for (int i = 0; i < 10 && still_wanted(s); i++) {
            db_err slept = fiber_sleep(REFUSED_NS / 10);
            (void)slept;
        }
    }
    r->snapshots_out--;
    tell_core(s, err == ERR_OK);
    buf_fini(&s->chunk);
    arena_fini(&s->bounds);
    arena_fini(&s->arena);
    mem_free(s);
    replica_let_go(r);
    atomic_fetch_sub(&rs->fibers, 1);
}

void snapshot_offer(struct range_loop *l, struct replica *r, const struct raft_msg *m)
{
    struct sending *s = mem_calloc(1, sizeof(*s));
    node_id_t node = replica_node_of(r, m->to);
    if (s == NULL || node == 0 || l->rs->opts.transport == NULL) {
        mem_free(s);
        r->offer_failed = m->to;
        return;
    }
    s->r = r;
    s->l = l;
    s->node = node;
    s->head.range = r->id;
    s->head.from = m->from;
    s->head.to = m->to;
    s->head.raft_term = m->type == RAFT_MSG_SNAPSHOT ? m->term : 0;
    arena_init(&s->arena, NULL, NULL, 0);
    arena_init(&s->bounds, NULL, NULL, 0);
    buf_init(&s->chunk, STORE_BATCH_SIZE_MAX + (4 << 20));
    if (r->snapshots_out++ == 0 || m->index < r->snapshot_hold) {
        r->snapshot_hold = m->index;
    }
    atomic_fetch_add(&l->rs->fibers, 1);
    replica_hold(r);
    if (fiber_spawn(l->loop, send_fiber, s) != ERR_OK) {
        replica_let_go(r);
        atomic_fetch_sub(&l->rs->fibers, 1);
        r->snapshots_out--;
        r->offer_failed = m->to;
        buf_fini(&s->chunk);
        mem_free(s);
    }
}

void snapshot_sponsor(struct range_loop *l, struct replica *r, uint64_t member)
{
    uint64_t now = clock_mono_ns();
    if (raft_role(r->raft) == RAFT_LEADER || atomic_load(&r->leader_node) != 0) {
        return;
    }
    if (now - r->orphan_heard_ns > ORPHAN_GAP_NS) {
        r->orphan_since_ns = now;
    }
    r->orphan_heard_ns = now;
    if (now - r->orphan_since_ns < ORPHAN_NS || r->snapshots_out != 0) {
        return;
    }
    const struct raft_msg m = {.type = RAFT_MSG_PREVOTE,
                               .from = r->replica_id,
                               .to = member,
                               .index = atomic_load(&r->applied_index)};
    LOG_INFO("range.snapshot.lent", F_U64("range", r->id), F_U64("to_replica", member));
    snapshot_offer(l, r, &m);
    r->offer_failed = 0;
}
