#include "node/range/range_int.h"

#include "base/assert.h"
#include "base/log.h"

/* The right to serve.
 *
 * A new leader may serve only after everything in the log before its term has been applied (its
 * first own entry marks the place) and the lock table was made ready for the term; both done, the
 * term is published in `lease_term`, which every read and write checks, with the time until which
 * it holds. Losing leadership takes the term back first and only then tells those who wait that
 * their writes' fate is unknown.
 *
 * A lease that runs out while the leader stays the leader (the others are not heard for a while) is
 * not taken back: its time has passed, which is enough to keep readers away, and when the same term
 * gets more time nobody else can have served in between (a quorum was still in the term when it
 * answered), so the locks are as good as before. A term in which the locks were once forgotten
 * never serves again. */

/* Of a lock table that begins with the lease: range and term, which nobody else has. The highest
 * bit of the term is a merge's. */
static uint64_t lock_number(const struct replica *r)
{
    return r->id << 40 | (r->lease_msg.term & ((UINT64_C(1) << 39) - 1));
}

static void take_locks(struct replica *r)
{
    db_err err = handed_take(r, &r->taken);
    if (err != ERR_OK) {
        LOG_WARN("range.locks.not_taken", F_U64("range", r->id), F_ERR(err));
        lock_table_open(r->eval.locks, false);
    } else {
        LOG_INFO("range.locks.taken", F_U64("range", r->id),
                 F_U64("locks", row_lock_count(r->eval.locks)));
    }
}

static void lease_fiber(void *arg)
{
    struct replica *r = arg;
    struct range_store *rs = r->rs;
    struct diag diag;
    struct arena a;
    struct range_desc desc;
    diag_reset(&diag);
    arena_init(&a, NULL, NULL, 0);
    unsigned slot = ebr_enter(&rs->ebr);
    db_err err = range_desc_copy(&a, replica_desc(r), &desc);
    ebr_leave(&rs->ebr, slot);
    if (err == ERR_OK) {
        uint64_t number = r->keep_locks ? 0 : lock_number(r);
        err = eval_range_lease_begin(&r->eval, desc.start, desc.end, number, &diag);
    }
    if (err == ERR_OK && r->taken.index != 0) {
        take_locks(r);
    }
    handed_drop(&r->taken);
    arena_fini(&a);
    if (err != ERR_OK) {
        LOG_WARN("range.lease.failed", F_U64("range", r->id), F_ERR(err),
                 F_STR("reason", diag.text));
    }
    r->lease_msg.err = err;
    r->lease_msg.msg.kind = INBOX_LEASE_READY;
    inbox_push(r, &r->lease_msg.msg);
    replica_let_go(r);
    atomic_fetch_sub(&rs->fibers, 1);
}

static void lease_stop(struct range_loop *l, struct replica *r, bool keep_locks)
{
    const struct range_hooks *h = l->rs->opts.hooks;
    if (atomic_exchange(&r->lease_term, 0) != 0) {
        atomic_fetch_sub(&l->rs->stat_leases, 1);
    }
    atomic_store(&r->lease_until_ns, 0);
    r->lease_wait_index = 0;
    if (r->lease_told) {
        r->lease_told = false;
        if (h != NULL && h->lease != NULL) {
            h->lease(h->ctx, replica_desc(r), false);
        }
    }
    if (r->leading && !keep_locks) {
        eval_range_lease_end(&r->eval);
    }
    r->leading = false;
    merge_hold_orphan(r);
    struct list *node;
    while ((node = list_pop_front(&r->inflight)) != NULL) {
        proposal_done(CONTAINER_OF(node, struct proposal, link), ERR_COMMIT_UNKNOWN);
    }
    r->inflight_count = 0;
    r->inflight_bytes = 0;
}

void replica_lease_end(struct range_loop *l, struct replica *r)
{
    lease_stop(l, r, false);
}

void replica_lease_stop(struct range_loop *l, struct replica *r)
{
    lease_stop(l, r, true);
}

void replica_soft_change(struct range_loop *l, struct replica *r, const struct raft_ready *rd)
{
    bool leader = rd->role == RAFT_LEADER;
    if (r->leading && (!leader || rd->term != r->lead_term)) {
        replica_lease_end(l, r);
    }
    bool valid = leader && rd->lease.valid;
    atomic_store_explicit(&r->lease_until_ns, valid ? rd->lease.until_ns : 0, memory_order_release);
    atomic_store(&r->leader_node, rd->leader == 0 ? 0
                                  : leader        ? l->rs->ident.node_id
                                                  : replica_node_of(r, rd->leader));
    if (!leader && r->keep_locks && rd->leader != 0) {
        r->keep_locks = false; /* they came with a split, and somebody else leads */
        eval_range_lease_end(&r->eval);
    }
    if (leader && r->lead_term != rd->term) {
        r->lead_term = rd->term;
        r->lead_index = raft_last_index(r->raft);
    }
    if (valid && !r->leading) {
        r->leading = true;
        /* the term's own first entry is in the log already, or comes with this very ready */
        r->lease_wait_index = raft_last_index(r->raft);
    }
}

void replica_lease_check(struct range_loop *l, struct replica *r)
{
    if (r->lease_wait_index == 0 || r->lease_starting || r->broken != ERR_OK ||
        atomic_load_explicit(&r->applied_index, memory_order_relaxed) < r->lease_wait_index) {
        return;
    }
    r->lease_wait_index = 0;
    r->lease_starting = true;
    if (r->handed.index != 0 && r->handed.index + 1 == r->lead_index && !r->keep_locks) {
        r->taken = r->handed;
        r->handed = (struct handed_locks){0};
    }
    r->lease_msg.term = raft_term(r->raft);
    atomic_fetch_add(&l->rs->fibers, 1);
    replica_hold(r);
    if (fiber_spawn(l->loop, lease_fiber, r) != ERR_OK) {
        replica_let_go(r);
        atomic_fetch_sub(&l->rs->fibers, 1);
        handed_drop(&r->taken);
        replica_break(l, r, ERR_NOMEM);
    }
}

void replica_lease_ready(struct range_loop *l, struct replica *r, const struct lease_msg *m)
{
    r->lease_starting = false;
    r->keep_locks = false;
    if (!r->leading || !replica_runs(r)) {
        eval_range_lease_end(&r->eval);
        return;
    }
    if (m->err != ERR_OK || m->term != raft_term(r->raft)) {
        r->lease_wait_index = raft_last_index(r->raft); /* once more */
        return;
    }
    const struct range_hooks *h = l->rs->opts.hooks;
    atomic_store(&r->lease_term, m->term);
    atomic_fetch_add(&l->rs->stat_leases, 1);
    if (atomic_load(&r->on_lane)) {
        LOG_INFO("range.lease.begun", F_U64("range", r->id), F_U64("node", l->rs->ident.node_id),
                 F_U64("term", m->term));
    }
    merge_lease_begun(l, r);
    if (h != NULL) {
        r->lease_told = true;
        if (h->lease != NULL) {
            h->lease(h->ctx, replica_desc(r), true);
        }
        h->changed(h->ctx, replica_desc(r));
    }
}
