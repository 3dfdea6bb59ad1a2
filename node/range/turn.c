#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"

/* One loop's share of the work, at the end of each of its turns: every replica that has news is
 * driven once (what arrived in the turn is one step of its core), all their writes become one log
 * submission, all messages to one node leave together, all that was committed becomes one engine
 * batch. Applying may give the cores more to do, so it goes round until nothing is left. */

void range_store_fatal(struct range_store *rs, db_err err, const char *text)
{
    if (!atomic_exchange(&rs->failed, true)) {
        LOG_ERROR("range.store.failed", F_ERR(err), F_STR("reason", text));
        if (rs->opts.on_fatal != NULL) {
            rs->opts.on_fatal(rs->opts.on_fatal_arg, err, text);
        }
    }
}

bool replica_step(struct range_loop *l, struct replica *r, struct raft_event *ev, db_err *ret_err)
{
    ASSERT(r->raft != NULL);
    ev->now_ns = clock_mono_ns();
    db_err err = raft_step(r->raft, ev);
    if (UNLIKELY(err == ERR_CORRUPT || err == ERR_IO)) {
        replica_break(l, r, err);
        return false;
    }
    *ret_err = err;
    return true;
}

/* The core cannot go on: what is on its way is of unknown fate. */
void replica_break(struct range_loop *l, struct replica *r, db_err err)
{
    if (r->broken != ERR_OK) {
        return;
    }
    LOG_ERROR("range.replica.broken", F_U64("range", r->id), F_ERR(err));
    r->broken = err;
    replica_lease_end(l, r);
    replica_fail_pending(r, ERR_UNAVAILABLE);
    range_store_fatal(l->rs, err, "the Raft core of a range has failed");
}

/* A pinned one that can be driven is, from the first moment on. */
static void enter_lane(struct range_loop *l, struct replica *r)
{
    if (r->raft != NULL && !replica_draining(l, r) &&
        atomic_load_explicit(&r->pinned, memory_order_relaxed) &&
        !atomic_load_explicit(&r->on_lane, memory_order_relaxed) && replica_runs(r)) {
        lane_enter(l, r);
        if (r->campaign_until_ns != 0) {
            split_campaign(&r->campaign_timer);
        }
    }
}

static void take_inbox(struct range_loop *l, struct replica *r)
{
    for (struct inbox_msg *m = inbox_take(r), *next; m != NULL; m = next) {
        next = m->next;
        switch (m->kind) {
        case INBOX_PROPOSE:
            list_push_back(&r->pending, &CONTAINER_OF(m, struct proposal, msg)->link);
            break;
        case INBOX_OPENED:
            r->raft = r->opened;
            r->opened = NULL;
            enter_lane(l, r);
            break;
        case INBOX_LEASE_READY:
            replica_lease_ready(l, r, CONTAINER_OF(m, struct lease_msg, msg));
            break;
        case INBOX_FETCHED: replica_fetched(l, r, CONTAINER_OF(m, struct log_fetch, msg)); break;
        case INBOX_RAFT: {
            struct raft_in *in = CONTAINER_OF(m, struct raft_in, msg);
            replica_message(l, r, in);
            raft_in_free(in);
            break;
        }
        case INBOX_CALL: {
            struct call_msg *c = CONTAINER_OF(m, struct call_msg, msg);
            wait_signal(&c->waiter, (int)c->fn(l, r, c->arg));
            break;
        }
        case INBOX_COMPACT: {
            struct compact_msg *c = CONTAINER_OF(m, struct compact_msg, msg);
            replica_compact(l, r, c->index, c->short_of_space);
            wait_signal(&c->waiter, 0);
            break;
        }
        }
    }
}

void replica_work(struct range_loop *l, struct replica *r)
{
    bool drains = replica_draining(l, r);
    enter_lane(l, r);
    take_inbox(l, r);
    if (!replica_runs(r)) {
        replica_fail_pending(r, r->broken != ERR_OK ? ERR_UNAVAILABLE : ERR_NOT_LEADER);
        return;
    }
    if (!drains) {
        replica_step_proposals(l, r);
    }
    replica_drive(l, r);
    if (replica_runs(r)) {
        replica_lease_check(l, r);
    }
}

void range_loop_kick(struct range_loop *l)
{
    if (!l->turn_queued) {
        l->turn_queued = true;
        loop_at_turn_end(l->loop, &l->turn_task);
    }
}

/* What the turn had to say to others leaves. */
static void flush_messages(struct range_loop *l)
{
    struct replica_transport *t = l->rs->opts.transport;
    if (l->sent) {
        l->sent = false;
        if (t->ops->flush != NULL) {
            t->ops->flush(t);
        }
    }
}

void range_loop_turn(struct loop_task *task)
{
    struct range_loop *l = CONTAINER_OF(task, struct range_loop, turn_task);
    struct list *node;
    /* turn_queued stays set: what is marked on the way is seen by this very loop */
    while (!list_empty(&l->dirty)) {
        while ((node = list_pop_front(&l->dirty)) != NULL) {
            struct replica *r = CONTAINER_OF(node, struct replica, dirty_link);
            r->dirty = false;
            replica_work(l, r);
            if (!r->resting) {
                r->resting = true;
                list_push_back(&l->resting, &r->rest_link);
            }
        }
        range_loop_submit(l);
        flush_messages(l);
        range_loop_apply(l);
    }
    flush_messages(l);
    l->turn_queued = false;
    while ((node = list_pop_front(&l->resting)) != NULL) {
        struct replica *r = CONTAINER_OF(node, struct replica, rest_link);
        r->resting = false;
        replica_rest(l, r);
    }
}

static void on_tick(struct loop_timer *timer)
{
    struct range_loop *l = CONTAINER_OF(timer, struct range_loop, tick_timer);
    uint64_t now = clock_mono_ns();
    uint64_t next = now + RANGE_TICK_NS;
    l->ticking = false;
    LIST_FOREACH_SAFE (it, &l->awake) {
        struct replica *r = CONTAINER_OF(it, struct replica, awake_link);
        uint64_t due = replica_runs(r) ? raft_deadline(r->raft) : DEADLINE_NONE;
        if (due == DEADLINE_NONE) {
            list_remove(&r->awake_link);
            r->awake = false;
            replica_mark_dirty(l, r);
        } else if (due > now) {
            next = due < next ? due : next;
        } else {
            struct raft_event ev = {.type = RAFT_EV_TICK};
            db_err err;
            if (replica_step(l, r, &ev, &err)) {
                replica_mark_dirty(l, r);
            }
        }
    }
    if (!list_empty(&l->awake)) {
        l->ticking = true;
        next = next < now + RANGE_TICK_MIN_NS ? now + RANGE_TICK_MIN_NS : next;
        db_err err = loop_timer_start(l->loop, timer, next);
        ASSERT(err == ERR_OK);
    }
}

void replica_keep_awake(struct range_loop *l, struct replica *r)
{
    if (r->awake || raft_deadline(r->raft) == DEADLINE_NONE || replica_draining(l, r) ||
        atomic_load_explicit(&l->rs->closing, memory_order_relaxed)) {
        return;
    }
    r->awake = true;
    list_push_back(&l->awake, &r->awake_link);
    if (!l->ticking) {
        l->ticking = true;
        db_err err = loop_timer_start(l->loop, &l->tick_timer, clock_mono_ns() + RANGE_TICK_NS);
        ASSERT(err == ERR_OK);
    }
}

db_err range_loop_init(struct range_store *rs, unsigned index)
{
    struct range_loop *l = &rs->loops[index];
    l->rs = rs;
    l->index = index;
    l->loop = loop_group_get(rs->opts.loops, index);
    list_init(&l->dirty);
    list_init(&l->resting);
    list_init(&l->awake);
    list_init(&l->pinned);
    list_init(&l->asleep);
    list_init(&l->free_submissions);
    list_init(&l->failed);
    list_init(&l->held);
    l->turn_task.fn = range_loop_turn;
    l->notify_task.fn = range_loop_notified;
    loop_timer_init(&l->tick_timer, on_tick);
    loop_timer_init(&l->retry_timer, range_loop_retry);
    loop_timer_init(&l->beat_timer, range_loop_beat);
    for (int i = 0; i < 2; i++) {
        list_init(&l->apply[i].slots);
        list_init(&l->apply[i].proposals);
        list_init(&l->apply[i].changes);
        TRY(engine_wbatch_new(rs->opts.engine, &l->apply[i].wb));
    }
    return ERR_OK;
}

static void free_submissions(struct list *head)
{
    struct list *node;
    while ((node = list_pop_front(head)) != NULL) {
        struct submission *s = CONTAINER_OF(node, struct submission, link);
        for (size_t i = 0; i < s->entry_count; i++) {
            blob_unref(s->entries[i].blob);
        }
        mem_free(s->items);
        mem_free(s->entries);
        mem_free(s);
    }
}

void range_loop_fini(struct range_loop *l)
{
    if (l->rs == NULL) {
        return;
    }
    free_submissions(&l->free_submissions);
    free_submissions(&l->failed);
    free_submissions(&l->held);
    for (int i = 0; i < 2; i++) {
        if (l->apply[i].wb != NULL) {
            engine_wbatch_free(l->apply[i].wb);
        }
    }
    mem_free(l->scratch);
}
