#include "node/range/range_int.h"

#include "base/assert.h"
#include "base/faults.h"
#include "base/log.h"

/* From committed entries to the engine.
 *
 * All entries that all ranges of a loop commit in a turn go into one engine batch, each range's
 * applied index with them. When the engine would stall the write, a fiber takes the batch and the
 * next turns fill the other one. Once the engine has it, splits and changes of members take effect,
 * waiting fibers are woken, and the cores are told.
 *
 * Applying is deterministic: an entry is without effect when it was evaluated under another epoch
 * than the range has at its place in the log. */

void replica_applied_note(struct range_loop *l, struct replica *r, const struct raft_entry *last)
{
    struct apply_slot *slot = &r->slot[l->apply_cur];
    if (!slot->linked) {
        slot->linked = true;
        list_push_back(&l->apply[l->apply_cur].slots, &slot->link);
    }
    slot->index = last->index;
    slot->term = last->term;
}

/* The proposal of this replica that the entry is, if its fiber still waits. Proposals whose place
 * was taken by another entry are lost for good. */
static struct proposal *match_proposal(struct replica *r, const struct raft_entry *e)
{
    while (!list_empty(&r->inflight)) {
        struct proposal *p = CONTAINER_OF(r->inflight.next, struct proposal, link);
        if (p->index > e->index) {
            return NULL;
        }
        list_remove(&p->link);
        r->inflight_count--;
        size_t size = p->payload.len + 11;
        r->inflight_bytes -= size < r->inflight_bytes ? size : r->inflight_bytes;
        if (p->index == e->index && p->term == e->term) {
            return p;
        }
        proposal_done(p, ERR_NOT_LEADER);
    }
    return NULL;
}

static db_err apply_normal(struct range_loop *l, struct replica *r, const struct raft_entry *e,
                           struct proposal *p, db_err *ret_result)
{
    enum entry_kind kind;
    uint64_t version;
    struct slice payload;
    TRY(entry_header_get(e->data, &kind, &version, &payload));
    bool frozen = r->apply_view->desc.merging_into != 0;
    if ((version != 0 && version != r->apply_version) || (frozen && kind != ENTRY_THAW)) {
        *ret_result = ERR_STALE_EPOCH;
        return ERR_OK;
    }
    *ret_result = ERR_OK;
    switch (kind) {
    case ENTRY_SPLIT: return split_apply(l, r, e->term, payload, p == NULL ? NULL : p->split);
    case ENTRY_LOCKS: return handed_apply(r, e->index, payload);
    case ENTRY_REPLICAS: return members_apply_replicas(l, r, payload, ret_result);
    case ENTRY_FREEZE: return merge_apply_freeze(l, r, payload, ret_result);
    case ENTRY_THAW: return merge_apply_thaw(l, r, payload, ret_result);
    case ENTRY_MERGE: return merge_apply(l, r, e, payload, p, ret_result);
    case ENTRY_BATCH: break;
    }
    return engine_wbatch_add(l->apply[l->apply_cur].wb, payload);
}

static void hold_back(struct range_loop *l, struct replica *r, const struct raft_entry *entries,
                      size_t count)
{
    db_err err = merge_hold_entries(r, entries, count);
    if (err != ERR_OK) {
        replica_break(l, r, err);
    }
}

void replica_apply_entries(struct range_loop *l, struct replica *r,
                           const struct raft_entry *entries, size_t count)
{
    struct apply_batch *b = &l->apply[l->apply_cur];
    if (r->hold != NULL) {
        hold_back(l, r, entries, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct raft_entry *e = &entries[i];
        struct proposal *p = match_proposal(r, e);
        db_err result = ERR_OK;
        db_err err = ERR_OK;
        if (e->type == RAFT_ENTRY_NORMAL && e->data.len != 0) {
            err = apply_normal(l, r, e, p, &result);
        } else if (e->type == RAFT_ENTRY_CONF) {
            err = members_apply_conf(l, r, e);
        }
        if (err == ERR_OK && r->hold != NULL) { /* this one waits, and has p */
            b->entries += i;
            if (i != 0) {
                replica_applied_note(l, r, &entries[i - 1]);
            }
            hold_back(l, r, e + 1, count - i - 1);
            return;
        }
        if (p != NULL) {
            p->result = result;
            list_push_back(&b->proposals, &p->link);
        }
        if (err != ERR_OK) {
            replica_break(l, r, err);
            return;
        }
    }
    if (count != 0) {
        b->entries += count;
        replica_applied_note(l, r, &entries[count - 1]);
    }
}

static void finish_slots(struct range_loop *l, struct apply_batch *b)
{
    struct list *node;
    unsigned which = (unsigned)(b - l->apply);
    while ((node = list_pop_front(&b->slots)) != NULL) {
        struct apply_slot *slot = CONTAINER_OF(node, struct apply_slot, link);
        struct replica *r = CONTAINER_OF(slot - which, struct replica, slot);
        slot->linked = false;
        atomic_store_explicit(&r->applied_index, slot->index, memory_order_release);
        if (replica_runs(r)) {
            struct raft_event ev = {.type = RAFT_EV_APPLIED, .u.applied_index = slot->index};
            db_err err;
            if (replica_step(l, r, &ev, &err) && err != ERR_OK) {
                replica_break(l, r, err);
            }
        }
        replica_mark_dirty(l, r);
    }
}

static void finish_batch(struct range_loop *l, struct apply_batch *b)
{
    struct list *node;
    while ((node = list_pop_front(&b->changes)) != NULL) {
        struct applied_change *c = CONTAINER_OF(node, struct applied_change, link);
        switch (c->kind) {
        case CHANGE_SPLIT: split_finish(l, c); break;
        case CHANGE_DESC: members_finish(l, c); break;
        case CHANGE_MERGE: merge_finish(l, c); break;
        }
    }
    finish_slots(l, b);
    while ((node = list_pop_front(&b->proposals)) != NULL) {
        struct proposal *p = CONTAINER_OF(node, struct proposal, link);
        proposal_done(p, p->result);
    }
    atomic_fetch_add_explicit(&l->rs->stat_applies, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&l->rs->stat_entries, b->entries, memory_order_relaxed);
    b->entries = 0;
}

static db_err put_applied(struct apply_batch *b, unsigned which)
{
    LIST_FOREACH (it, &b->slots) {
        struct apply_slot *slot = CONTAINER_OF(it, struct apply_slot, link);
        struct replica *r = CONTAINER_OF(slot - which, struct replica, slot);
        TRY(engine_wbatch_applied(b->wb, r->id, slot->index, slot->term));
    }
    return ERR_OK;
}

/* The engine stalls or is out of space: wait in a fiber, on and on while there is hope. */
static void apply_fiber(void *arg)
{
    struct range_loop *l = arg;
    struct apply_batch *b = &l->apply[l->apply_cur ^ 1];
    struct diag diag;
    db_err err;
    diag_reset(&diag);
    while ((err = engine_apply(l->rs->opts.engine, b->wb, &diag)) == ERR_DISK_FULL ||
           err == ERR_NOMEM || err == ERR_BUSY) {
        range_store_set_full(l->rs, FULL_ENGINE, true);
        db_err slept = fiber_sleep(RANGE_RETRY_NS);
        (void)slept;
    }
    l->applying = false;
    if (err != ERR_OK) {
        range_store_fatal(l->rs, err, diag.text);
    } else {
        range_store_set_full(l->rs, FULL_ENGINE, false);
        finish_batch(l, b);
        range_loop_apply(l);
    }
    atomic_fetch_sub(&l->rs->fibers, 1);
}

void range_loop_apply(struct range_loop *l)
{
    struct apply_batch *b = &l->apply[l->apply_cur];
    if (list_empty(&b->slots) || l->applying || atomic_load(&l->rs->failed)) {
        return;
    }
    struct diag diag;
    diag_reset(&diag);
    db_err err = put_applied(b, l->apply_cur);
    if (err == ERR_OK) {
        FAULT(range_before_apply);
        err = engine_try_apply(l->rs->opts.engine, b->wb, &diag);
    }
    if (err == ERR_OK) {
        finish_batch(l, b);
        return;
    }
    if (err != ERR_WOULD_BLOCK && err != ERR_DISK_FULL && err != ERR_BUSY && err != ERR_NOMEM) {
        range_store_fatal(l->rs, err, diag.text);
        return;
    }
    l->apply_cur ^= 1;
    l->applying = true;
    atomic_fetch_add(&l->rs->fibers, 1);
    if (fiber_spawn(l->loop, apply_fiber, l) != ERR_OK) {
        atomic_fetch_sub(&l->rs->fibers, 1);
        range_store_fatal(l->rs, ERR_NOMEM, "no fiber for applying committed entries");
    }
}
