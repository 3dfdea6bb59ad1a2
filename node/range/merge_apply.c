#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/faults.h"
#include "base/log.h"
#include "node/store/keyspace.h"
#include "node/store/varint.h"

/* A merge as every member applies it; merge.c tells how it comes about.
 *
 * The merge is an entry in the left range's log. It names where the right range's log ends: the
 * entry that froze it. Applying it takes the right replica of this node, as it stands at that
 * entry, into the left one. So the left replica stops applying (a *hold*; what is committed after
 * the merge is kept) while a fiber
 *   - sees to it that the right replica has applied all up to the freeze. Its log has it, durably:
 *     that was made sure before the merge was proposed; and the merge itself is the proof that it
 *     is committed, so no leader of the right range is needed, which may be gone already.
 *   - halts the right replica: it stands for nothing and votes for nobody from here on.
 * Then one engine batch has the left range's new descriptor and applied index, and deletes what
 * stands for the right one. The engine keeps batches in order, so whatever it has after a crash, it
 * is either both ranges, with the logs to do the same again, or the merged one with all of the
 * right one's data. The right log goes when a flush has made the batch durable.
 *
 * A left replica that meets a merge and finds no right replica at its side (told to go because all
 * others had merged already, or dead in the middle of a snapshot) gives itself up and comes back by
 * a snapshot, which has all of it. */

struct merge_hold {
    struct replica *left;
    struct proposal *proposal; /* NULL: nobody waits for it here */
    struct merge_entry m;      /* its end is in `end` */
    uint8_t *end;
    bool right_led; /* here, when it was halted: its locks are those that were given */
    uint64_t index;
    uint64_t term;
    struct raft_entry *entries; /* what is committed after it; with references of blobs */
    size_t count;
    size_t cap;
};

/* ---- formats ---- */

db_err merge_freeze_encode(struct buf *b, const struct merge_freeze *f)
{
    uint8_t bytes[2 * VARINT_MAX];
    size_t n = varint_put(bytes, f->conf);
    n += varint_put(bytes + n, f->into);
    return buf_append(b, bytes, n);
}

db_err merge_entry_encode(struct buf *b, const struct merge_entry *m)
{
    uint8_t bytes[5 * VARINT_MAX];
    const uint64_t numbers[] = {m->conf, m->right, m->right_version, m->freeze_index,
                                m->freeze_term};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        n += varint_put(bytes + n, numbers[i]);
    }
    TRY(buf_append(b, bytes, n));
    return buf_append_slice(b, m->end);
}

static db_err decode_merge(struct slice payload, struct merge_entry *ret_m)
{
    const uint8_t *pos = payload.ptr;
    const uint8_t *end = payload.ptr + payload.len;
    struct merge_entry m;
    uint64_t *const numbers[] = {&m.conf, &m.right, &m.right_version, &m.freeze_index,
                                 &m.freeze_term};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (!varint_get(&pos, end, numbers[i])) {
            return ERR_CORRUPT;
        }
    }
    m.end = slice_of(pos, (size_t)(end - pos));
    *ret_m = m;
    return m.right != 0 && m.freeze_index != 0 ? ERR_OK : ERR_CORRUPT;
}

/* ---- freezing ---- */

static db_err put_version(struct range_loop *l, struct replica *r, range_id_t into)
{
    struct range_desc d = r->apply_view->desc;
    d.epoch.version++;
    d.merging_into = into;
    TRY(replica_put_desc(l, r, &d, false));
    r->apply_version = d.epoch.version;
    return ERR_OK;
}

db_err merge_apply_freeze(struct range_loop *l, struct replica *r, struct slice payload,
                          db_err *ret_result)
{
    const uint8_t *pos = payload.ptr;
    const uint8_t *end = payload.ptr + payload.len;
    struct merge_freeze f;
    if (!varint_get(&pos, end, &f.conf) || !varint_get(&pos, end, &f.into) || f.into == 0) {
        return ERR_CORRUPT;
    }
    if (f.conf != r->apply_view->desc.epoch.conf) {
        *ret_result = ERR_STALE_EPOCH;
        return ERR_OK;
    }
    return put_version(l, r, f.into);
}

/* A fence makes void what was proposed under the version before it; a thaw does that too, of a
 * range that is frozen. */
db_err merge_apply_thaw(struct range_loop *l, struct replica *r, struct slice payload,
                        db_err *ret_result)
{
    if (payload.len != 1) {
        return ERR_CORRUPT;
    }
    bool frozen = r->apply_view->desc.merging_into != 0;
    if (frozen != (payload.ptr[0] == MERGE_THAW)) {
        *ret_result = ERR_STALE_EPOCH;
        return ERR_OK;
    }
    return put_version(l, r, 0);
}

/* ---- the hold ---- */

void merge_hold_orphan(struct replica *r)
{
    if (r->hold != NULL && r->hold->proposal != NULL) {
        proposal_done(r->hold->proposal, ERR_COMMIT_UNKNOWN);
        r->hold->proposal = NULL;
    }
}

static void hold_free(struct merge_hold *h)
{
    for (size_t i = 0; i < h->count; i++) {
        blob_unref(h->entries[i].blob);
    }
    mem_free(h->entries);
    mem_free(h->end);
    mem_free(h);
}

void merge_hold_free(struct replica *r)
{
    if (r->hold != NULL) {
        merge_hold_orphan(r);
        hold_free(r->hold);
        r->hold = NULL;
    }
}

db_err merge_hold_entries(struct replica *r, const struct raft_entry *entries, size_t count)
{
    struct merge_hold *h = r->hold;
    if (h->count + count > h->cap) {
        size_t cap = h->count + count + h->cap;
        struct raft_entry *grown = mem_realloc(h->entries, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        h->entries = grown;
        h->cap = cap;
    }
    for (size_t i = 0; i < count; i++) {
        struct raft_entry e = entries[i];
        if (e.blob != NULL) {
            blob_ref(e.blob);
        } else if (e.data.len != 0) { /* a page of the log, which the core will reuse */
            e.blob = blob_new(e.data.len);
            if (e.blob == NULL) {
                return ERR_NOMEM;
            }
            memcpy(e.blob->data, e.data.ptr, e.data.len);
            e.data = slice_of(e.blob->data, e.data.len);
        }
        h->entries[h->count++] = e;
    }
    return ERR_OK;
}

/* ---- the right replica ---- */

/* Where it is driven. ERR_OK: it has applied all; ERR_BUSY: not yet; ERR_NOT_FOUND: it is not what
 * the merge means. */
static db_err catch_up(struct range_loop *l, struct replica *r, void *arg)
{
    const struct merge_entry *m = arg;
    if (replica_is(r, REPLICA_INSTALLING) || atomic_load(&r->receiving) || r->installing) {
        return ERR_BUSY;
    }
    if (!replica_is(r, REPLICA_LIVE)) {
        return ERR_NOT_FOUND;
    }
    if (r->raft == NULL || r->broken != ERR_OK) {
        return r->broken != ERR_OK ? ERR_IO : ERR_BUSY;
    }
    if (atomic_load(&r->applied_index) >= m->freeze_index) {
        return replica_desc(r)->epoch.version == m->right_version ? ERR_OK : ERR_NOT_FOUND;
    }
    struct raft_event ev = {.type = RAFT_EV_COMMITTED,
                            .u.committed = {m->freeze_index, m->freeze_term}};
    db_err err;
    if (!replica_step(l, r, &ev, &err)) {
        return ERR_IO;
    }
    replica_mark_dirty(l, r);
    return err == ERR_OK ? ERR_BUSY : err;
}

static db_err halt(struct range_loop *l, struct replica *r, void *arg)
{
    struct merge_hold *h = arg;
    if (!replica_is(r, REPLICA_LIVE)) {
        return ERR_NOT_FOUND;
    }
    h->right_led = r->leading && atomic_load(&r->lease_term) != 0;
    atomic_store(&r->gone_into, h->left->id);
    atomic_store(&r->min_replica_id, REPLICA_ID_NEVER);
    replica_halt(l, r, true);
    return ERR_OK;
}

/* Calls fn until it does not say ERR_BUSY. */
static db_err insist(struct replica *r,
                     db_err (*fn)(struct range_loop *l, struct replica *r, void *arg), void *arg)
{
    struct range_store *rs = r->rs;
    db_err err;
    while ((err = replica_call(r, fn, arg)) == ERR_BUSY || err == ERR_NOMEM) {
        if (atomic_load(&rs->closing) || atomic_load(&rs->failed)) {
            return ERR_CANCELED;
        }
        db_err slept = fiber_sleep(NS_PER_MS);
        (void)slept;
    }
    return err;
}

static db_err prepare_right(struct replica *r, struct merge_hold *h)
{
    TRY(insist(r, catch_up, &h->m));
    TRY(insist(r, halt, h));
    TRY(insist(r, replica_end_core, NULL));
    FAULT(range_merge_right_halted);
    return ERR_OK;
}

/* ---- together ---- */

static db_err put_merged(struct range_loop *l, const struct range_desc *desc, range_id_t right)
{
    struct engine_wbatch *wb = l->apply[l->apply_cur].wb;
    struct store_gone gone = {.id = right, .min_replica_id = REPLICA_ID_NEVER, .into = desc->id};
    uint8_t applied[LOCAL_RANGE_KEY_SIZE];
    local_range_key(applied, right, LOCAL_RANGE_APPLIED);
    TRY(store_put_desc(wb, desc));
    TRY(store_delete_desc(wb, right));
    TRY(engine_wbatch_delete(wb, ENGINE_LOCAL, slice_of(applied, sizeof(applied))));
    return store_put_gone(wb, &gone);
}

static db_err put_change(struct range_loop *l, struct replica *r, const struct merge_hold *h,
                         struct replica *right)
{
    struct range_desc d = r->apply_view->desc;
    uint64_t version = h->m.right_version;
    d.end = h->m.end;
    d.right_id = replica_desc(right)->right_id; /* halted: it stands at its freeze */
    d.epoch.version = (d.epoch.version > version ? d.epoch.version : version) + 1;
    struct applied_change *c = mem_calloc(1, sizeof(*c));
    struct range_view *v = range_view_new(&d);
    db_err err = c == NULL || v == NULL ? ERR_NOMEM : put_merged(l, &d, right->id);
    if (err != ERR_OK) {
        mem_free(c);
        mem_free(v);
        return err;
    }
    list_init(&c->link);
    c->kind = CHANGE_MERGE;
    c->replica = r;
    c->right = right;
    c->view = v;
    c->moved_locks = h->proposal != NULL && h->proposal->moves_locks;
    c->right_led = h->right_led;
    r->apply_view = v;
    r->apply_version = d.epoch.version;
    list_push_back(&l->apply[l->apply_cur].changes, &c->link);
    return ERR_OK;
}

struct resumption {
    struct replica *right;
    db_err err;
};

/* Where the left replica is driven: goes on with applying. ERR_NOT_FOUND: it is not here any more.
 */
static db_err resume(struct range_loop *l, struct replica *r, void *arg)
{
    const struct resumption *res = arg;
    struct merge_hold *h = r->hold;
    if (!replica_runs(r)) { /* who broke keeps what it has for the next start */
        merge_hold_free(r);
        return replica_is(r, REPLICA_LIVE) ? ERR_IO : ERR_NOT_FOUND;
    }
    db_err err = res->err == ERR_OK ? put_change(l, r, h, res->right) : res->err;
    if (err == ERR_NOT_FOUND && atomic_load(&r->on_lane)) {
        merge_hold_free(r);
        replica_resync(l, r);
        return ERR_OK;
    }
    if (err != ERR_OK) {
        merge_hold_free(r);
        replica_break(l, r, err);
        return ERR_OK;
    }
    struct apply_batch *b = &l->apply[l->apply_cur];
    const struct raft_entry place = {.index = h->index, .term = h->term};
    if (h->proposal != NULL) {
        h->proposal->result = ERR_OK;
        list_push_back(&b->proposals, &h->proposal->link);
        h->proposal = NULL;
    }
    b->entries++;
    replica_applied_note(l, r, &place);
    r->hold = NULL;
    replica_apply_entries(l, r, h->entries, h->count);
    hold_free(h);
    replica_mark_dirty(l, r);
    return ERR_OK;
}

static void merge_fiber(void *arg)
{
    struct merge_hold *h = arg;
    struct replica *left = h->left;
    struct range_store *rs = left->rs;
    struct resumption res = {.right = replica_find(rs, h->m.right), .err = ERR_NOT_FOUND};
    if (res.right != NULL) {
        replica_hold(res.right);
        res.err = prepare_right(res.right, h);
    }
    if (res.err != ERR_CANCELED) {
        LOG_DEBUG("range.merge.apply", F_U64("range", left->id), F_ERR(res.err));
        db_err err = replica_call(left, resume, &res);
        if (err == ERR_NOT_FOUND && res.err == ERR_OK) {
            /* the left replica was removed meanwhile: what was to be its own goes as well */
            err = replica_delete_halted(res.right);
            if (err != ERR_OK && err != ERR_CANCELED) {
                range_store_fatal(rs, err, "a replica cannot be removed");
            }
        }
    }
    if (res.right != NULL) {
        replica_let_go(res.right);
    }
    replica_let_go(left);
    atomic_fetch_sub(&rs->fibers, 1);
}

db_err merge_apply(struct range_loop *l, struct replica *r, const struct raft_entry *e,
                   struct slice payload, struct proposal *p, db_err *ret_result)
{
    struct merge_entry m;
    TRY(decode_merge(payload, &m));
    if (m.conf != r->apply_view->desc.epoch.conf) {
        *ret_result = ERR_STALE_EPOCH;
        return ERR_OK;
    }
    struct merge_hold *h = mem_calloc(1, sizeof(*h));
    uint8_t *end = mem_alloc(m.end.len + 1);
    if (h == NULL || end == NULL) {
        mem_free(h);
        mem_free(end);
        return ERR_NOMEM;
    }
    if (m.end.len != 0) {
        memcpy(end, m.end.ptr, m.end.len);
    }
    *h = (struct merge_hold){.left = r, .m = m, .end = end, .index = e->index, .term = e->term};
    h->m.end = slice_of(end, m.end.len);
    h->proposal = p;
    r->hold = h;
    atomic_fetch_add(&l->rs->fibers, 1);
    replica_hold(r);
    if (fiber_spawn(l->loop, merge_fiber, h) != ERR_OK) {
        replica_let_go(r);
        atomic_fetch_sub(&l->rs->fibers, 1);
        r->hold = NULL;
        hold_free(h);
        return ERR_NOMEM;
    }
    return ERR_OK;
}

/* A range is merged away once, so nobody else has it; numbers of leases are below (lease.c). */
static uint64_t merged_lock_number(range_id_t right)
{
    return right << 40 | UINT64_C(1) << 39;
}

/* The engine has it. Locks and intents come before the descriptor is published: whoever asks this
 * range for the keys must find them. Who asks the right one for a lock's release meanwhile is told
 * to come again. */
void merge_finish(struct range_loop *l, struct applied_change *c)
{
    struct range_store *rs = l->rs;
    struct replica *left = c->replica;
    struct replica *right = c->right;
    const struct range_hooks *h = rs->opts.hooks;
    FAULT(range_merge_in_engine);
    if (c->moved_locks) {
        db_err err = eval_range_merge(&left->eval, &right->eval, merged_lock_number(right->id),
                                      c->right_led);
        if (err != ERR_OK) {
            /* Their transactions do not find them under the left range's term: they validate. */
            LOG_WARN("range.merge.locks", F_U64("range", left->id), F_ERR(err));
        }
    } else { /* another's proposal: no locks to move, but the table ends where the range now does */
        db_err err = lock_table_set_end(left->eval.locks, c->view->desc.end);
        if (err != ERR_OK) {
            LOG_WARN("range.merge.locks", F_U64("range", left->id), F_ERR(err));
        }
    }
    eval_range_lease_end(&right->eval);
    right->log_left_flush = atomic_load(&rs->flush_begun);
    atomic_fetch_add(&rs->logs_left, 1);
    atomic_store(&right->log_left, true); /* before it is EMPTY and may go */
    pthread_mutex_lock(&rs->map_lock);
    range_view_publish(left, c->view);
    atomic_store(&right->state, REPLICA_EMPTY);
    pthread_mutex_unlock(&rs->map_lock);
    atomic_fetch_sub(&rs->replica_count, 1);
    atomic_fetch_add(&rs->stat_merges, 1);
    atomic_fetch_add(&left->size, atomic_load(&right->size));
    l->links_dirty = true;
    if (left->leading && atomic_load(&left->on_lane) && replica_runs(left)) {
        /* the others apply it as soon as they hear that it is committed */
        struct raft_event ev = {.type = RAFT_EV_HEARTBEAT};
        db_err err;
        if (replica_step(l, left, &ev, &err)) {
            replica_mark_dirty(l, left);
        }
    }
    if (h != NULL && atomic_load(&left->lease_term) != 0) {
        LOG_INFO("range.merged", F_U64("range", left->id), F_U64("with", right->id));
        h->changed(h->ctx, replica_desc(left));
    }
    mem_free(c);
}

/* ---- where its keys are now ---- */

static db_err tell_where(struct replica *r, struct arena *arena, struct range_desc *ret_desc)
{
    TRY(replica_copy_desc(r, arena, ret_desc));
    ret_desc->leader_hint = atomic_load(&r->leader_node);
    return ERR_OK;
}

/* From range to range that it became a part of, to one that is here. */
static db_err follow(struct range_store *rs, range_id_t id, struct arena *arena,
                     struct range_desc *ret_desc)
{
    for (unsigned hops = 0; id != 0 && hops < RANGE_GONE_HOPS_MAX; hops++) {
        struct gone_fate f = {0};
        struct replica *r = replica_find(rs, id);
        if (r != NULL && replica_is(r, REPLICA_LIVE)) {
            return tell_where(r, arena, ret_desc);
        }
        if (r != NULL) {
            f.into = atomic_load(&r->gone_into);
        } else if (gone_get(&rs->gone, id, &f) != GONE_KNOWN) {
            break;
        }
        id = f.into;
    }
    return ERR_RANGE_NOT_FOUND;
}

db_err range_store_redirect(struct range_store *rs, range_id_t gone, struct arena *arena,
                            struct range_desc *ret_desc)
{
    struct replica *g = replica_find(rs, gone);
    if (g == NULL) {
        return follow(rs, gone, arena, ret_desc);
    }
    if (atomic_load(&g->min_replica_id) != REPLICA_ID_NEVER) {
        return ERR_RANGE_NOT_FOUND;
    }
    db_err err = ERR_RANGE_NOT_FOUND;
    for (unsigned i = 0; i < REPLICA_BUCKETS && err == ERR_RANGE_NOT_FOUND; i++) {
        struct replica *r = atomic_load_explicit(&rs->buckets[i], memory_order_acquire);
        for (; r != NULL && err == ERR_RANGE_NOT_FOUND; r = r->map_next) {
            if (!replica_is(r, REPLICA_LIVE)) {
                continue;
            }
            unsigned slot = ebr_enter(&rs->ebr);
            bool has = range_desc_contains(replica_desc(r), replica_desc(g)->start);
            ebr_leave(&rs->ebr, slot);
            if (has) {
                err = tell_where(r, arena, ret_desc);
            }
        }
    }
    return err;
}
