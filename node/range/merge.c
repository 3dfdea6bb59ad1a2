#include "node/range/range_int.h"

#include "base/assert.h"
#include "base/faults.h"
#include "base/log.h"

/* Two neighbours become one range.
 *
 * Both have their members on the same nodes and are led here. Then, at the leader of the left one:
 *   1. Writes to the right range are kept out, and its log gets a last entry that counts, FREEZE.
 *      Applied, it raises the version of the descriptor and says into which range it is to go.
 *      From then on no member serves it, whoever leads it: reads, writes and changes of members
 *      are refused (ERR_BUSY: clients come again), entries after it are void.
 *   2. The leader waits until the logs of all members of the right range hold the freeze, durably.
 *      All, not most: each member is to take its own right replica into its left one.
 *   3. Writes to the left range are kept out, and its log gets MERGE, which names the freeze's
 *      place. Once that is committed there is no way back. merge_apply.c tells what each member
 *      does with it. Where both are led, the row locks of the right range and who waits for them
 *      move to the left one's table before the new descriptor is published, and the number of
 *      intents with them.
 * The merged range keeps the left one's id, members and log; its version is above both. So who
 * routes by an old descriptor is told the new one, or that the range is not there.
 *
 * No time of reads has to be carried over: timestamps come from one oracle, and a write asks for
 * its own after all reads that were served before it (node/lock/lock_table.c). Reads of the right
 * range end before its freeze is applied, under the old version; the merged one's begin after.
 *
 * What may go wrong. Before MERGE is given to the log, the leader thaws the right range and all is
 * as it was (with later versions). When it is gone or does not know the outcome, the right range
 * stays frozen until whoever leads it finds out (merge_resolve.c).
 *
 * A lease of the right range that moves between freeze and merge loses its locks as on any change
 * of leaders: transactions validate what they had locked.
 *
 * The protocol is that of CockroachDB's subsume trigger rather than of a commit that carries the
 * right range's missing entries along (TiKV): all members must be up for a merge, which is no
 * hurry, and in return a merge is one small entry, and a member never needs the right range's
 * group once the merge is committed. */

enum { POLL_MS = 2 };
#define FREEZE_WAIT_NS  (2 * NS_PER_S) /* for writes that are in flight */
#define GATHER_WAIT_NS  (2 * NS_PER_S) /* for a lease that comes */
#define MEMBERS_WAIT_NS (3 * NS_PER_S) /* for all logs to have the freeze */

struct merging {
    struct range_store *rs;
    struct replica *left;  /* held, */
    struct replica *right; /* and this one, once it is found */
    struct range_desc ldesc;
    struct range_desc rdesc;
    struct arena arena;
    struct diag *diag;
    uint64_t bytes_max; /* of the right range; UINT64_MAX: whatever it is */
    uint64_t freeze_index;
    uint64_t freeze_term;
};

/* ---- who is beside whom ---- */

struct replica *merge_find_beside(struct range_store *rs, struct slice key, bool ends)
{
    struct replica *found = NULL;
    for (unsigned i = 0; i < REPLICA_BUCKETS && found == NULL; i++) {
        struct replica *r = atomic_load_explicit(&rs->buckets[i], memory_order_acquire);
        for (; r != NULL && found == NULL; r = r->map_next) {
            if (!replica_is(r, REPLICA_LIVE)) {
                continue;
            }
            unsigned slot = ebr_enter(&rs->ebr);
            const struct range_desc *d = replica_desc(r);
            found = slice_eq(ends ? d->end : d->start, key) ? r : NULL;
            ebr_leave(&rs->ebr, slot);
        }
    }
    if (found != NULL) {
        replica_hold(found);
    }
    return found;
}

bool merge_pending_into(struct range_store *rs, range_id_t id)
{
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        struct replica *r = atomic_load_explicit(&rs->buckets[i], memory_order_acquire);
        for (; r != NULL; r = r->map_next) {
            if (atomic_load(&r->merging_into) == id && replica_is(r, REPLICA_LIVE)) {
                return true;
            }
        }
    }
    return false;
}

static bool all_voters(const struct range_desc *d)
{
    for (unsigned i = 0; i < d->replica_count; i++) {
        if (d->replicas[i].kind != REPLICA_VOTER) {
            return false;
        }
    }
    return true;
}

bool merge_same_nodes(const struct range_desc *a, const struct range_desc *b)
{
    for (unsigned i = 0; i < a->replica_count; i++) {
        if (desc_replica_on(b, a->replicas[i].node) == 0) {
            return false;
        }
    }
    return a->replica_count == b->replica_count;
}

/* All members answer and have all of the log: it is not frozen for one that is away. */
static db_err check_members(struct merging *m, struct replica *r)
{
    struct range_status st;
    TRY(range_store_status(m->rs, r->id, &st));
    for (unsigned i = 0; i < st.member_count; i++) {
        if (!st.members[i].live || !st.members[i].caught_up) {
            return diag_set(m->diag, ERR_UNAVAILABLE,
                            "range %llu: the member on node %llu is not up to date",
                            (unsigned long long)r->id, (unsigned long long)st.members[i].node);
        }
    }
    return ERR_OK;
}

static db_err check_pair(struct merging *m)
{
    const struct range_desc *l = &m->ldesc;
    const struct range_desc *r = &m->rdesc;
    if (l->merging_into != 0 || r->merging_into != 0 || merge_pending_into(m->rs, l->id) ||
        merge_pending_into(m->rs, r->id)) {
        return diag_set(m->diag, ERR_BUSY, "an earlier merge is not over yet");
    }
    if (!slice_eq(l->end, r->start)) {
        return diag_set(m->diag, ERR_BUSY, "the ranges have changed meanwhile");
    }
    if (!all_voters(l) || !all_voters(r) || !merge_same_nodes(l, r)) {
        return diag_set(m->diag, ERR_UNAVAILABLE,
                        "ranges %llu and %llu do not have their members on the same nodes",
                        (unsigned long long)l->id, (unsigned long long)r->id);
    }
    TRY(check_members(m, m->left));
    return check_members(m, m->right);
}

/* ---- the steps ---- */

static db_err propose_freeze(struct merging *m)
{
    struct buf payload;
    const struct merge_freeze f = {.conf = m->rdesc.epoch.conf, .into = m->left->id};
    buf_init(&payload, STORE_BATCH_SIZE_MAX);
    db_err err = merge_freeze_encode(&payload, &f);
    struct proposal p = {.kind = ENTRY_FREEZE,
                         .epoch_version = m->rdesc.epoch.version,
                         .lease_term = atomic_load(&m->right->lease_term),
                         .payload = buf_slice(&payload)};
    if (err == ERR_OK && p.lease_term == 0) {
        err = ERR_NOT_LEADER;
    }
    if (err == ERR_OK) {
        err = replica_propose(m->right, &p, m->diag);
    }
    m->freeze_index = p.index;
    m->freeze_term = p.term;
    buf_fini(&payload);
    return err;
}

struct look {
    uint64_t index;
    bool all;
};

static db_err look_at_logs(struct range_loop *l, struct replica *r, void *arg)
{
    struct look *k = arg;
    struct raft_status st;
    (void)l;
    if (!replica_runs(r)) {
        return ERR_NOT_LEADER;
    }
    raft_status(r->raft, &st);
    if (st.role != RAFT_LEADER) {
        return ERR_NOT_LEADER;
    }
    k->all = st.conf.count == st.peer_count;
    for (uint32_t i = 0; i < st.peer_count; i++) {
        uint64_t match = st.peers[i].id == st.id ? st.persisted : st.peers[i].match;
        k->all = k->all && match >= k->index;
    }
    return ERR_OK;
}

static db_err wait_for_logs(struct merging *m)
{
    uint64_t until = clock_mono_ns() + MEMBERS_WAIT_NS;
    struct look k = {.index = m->freeze_index};
    for (;;) {
        TRY(replica_call(m->right, look_at_logs, &k));
        if (k.all) {
            return ERR_OK;
        }
        if (clock_mono_ns() >= until) {
            return diag_set(m->diag, ERR_TIMEOUT, "range %llu: a member does not answer",
                            (unsigned long long)m->right->id);
        }
        TRY(fiber_sleep(POLL_MS * NS_PER_MS));
    }
}

static db_err propose_merge(struct merging *m)
{
    struct buf payload;
    const struct merge_entry e = {.conf = m->ldesc.epoch.conf,
                                  .right = m->right->id,
                                  .right_version = m->rdesc.epoch.version + 1,
                                  .freeze_index = m->freeze_index,
                                  .freeze_term = m->freeze_term,
                                  .end = m->rdesc.end};
    buf_init(&payload, STORE_BATCH_SIZE_MAX);
    db_err err = merge_entry_encode(&payload, &e);
    struct proposal p = {.kind = ENTRY_MERGE,
                         .epoch_version = m->ldesc.epoch.version,
                         .lease_term = atomic_load(&m->left->lease_term),
                         .payload = buf_slice(&payload),
                         .moves_locks = true};
    if (err == ERR_OK && p.lease_term == 0) {
        err = ERR_NOT_LEADER;
    }
    if (err == ERR_OK) {
        err = replica_propose(m->left, &p, m->diag);
    }
    buf_fini(&payload);
    return err;
}

db_err merge_propose_thaw(struct replica *r, enum merge_thaw what, uint64_t version,
                          struct diag *diag)
{
    const uint8_t byte = (uint8_t)what;
    struct proposal p = {.kind = ENTRY_THAW,
                         .epoch_version = version,
                         .lease_term = atomic_load(&r->lease_term),
                         .payload = slice_of(&byte, 1)};
    if (what == MERGE_THAW) {
        TRY(FAULT_ERR(range_merge_thaw));
    }
    return p.lease_term == 0 ? ERR_NOT_LEADER : replica_propose(r, &p, diag);
}

/* The right range's evaluation is frozen. *ret_proposed: the merge may happen, whatever we return.
 */
static db_err freeze_and_merge(struct merging *m, bool *ret_proposed)
{
    TRY(propose_freeze(m));
    TRY(FAULT_ERR(range_merge_frozen));
    TRY(wait_for_logs(m));
    TRY(eval_range_freeze(&m->left->eval, clock_mono_ns() + FREEZE_WAIT_NS));
    FAULT(range_merge_before_commit);
    db_err err = propose_merge(m);
    *ret_proposed = err == ERR_COMMIT_UNKNOWN;
    eval_range_thaw(&m->left->eval);
    return err;
}

static db_err merge_pair(struct merging *m)
{
    bool unknown = false;
    FAULT(range_merge_begin);
    TRY(eval_range_freeze(&m->right->eval, clock_mono_ns() + FREEZE_WAIT_NS));
    db_err err = freeze_and_merge(m, &unknown);
    eval_range_thaw(&m->right->eval);
    if (err != ERR_OK && !unknown && atomic_load(&m->right->merging_into) == m->left->id) {
        db_err thawed = merge_propose_thaw(m->right, MERGE_THAW, m->rdesc.epoch.version + 1, NULL);
        LOG_INFO("range.merge.given_up", F_U64("range", m->left->id), F_U64("right", m->right->id),
                 F_ERR(err), F_STR("thaw", err_name(thawed)));
    }
    return err;
}

static void forget_right(struct merging *m)
{
    if (m->right != NULL) {
        replica_let_go(m->right);
        m->right = NULL;
    }
}

/* Are both led here, on the same nodes? */
static db_err find_right(struct merging *m)
{
    struct range_store *rs = m->rs;
    arena_reset(&m->arena);
    forget_right(m);
    TRY(replica_copy_desc(m->left, &m->arena, &m->ldesc));
    m->right = merge_find_beside(rs, m->ldesc.end, false);
    if (m->right == NULL) {
        return diag_set(m->diag, ERR_RANGE_NOT_FOUND,
                        "the range to the right of range %llu is not on this node",
                        (unsigned long long)m->left->id);
    }
    if (atomic_load(&m->right->lease_term) == 0) {
        return diag_set(m->diag, ERR_NOT_LEADER, "this node does not lead range %llu",
                        (unsigned long long)m->right->id);
    }
    TRY(replica_copy_desc(m->right, &m->arena, &m->rdesc));
    return merge_same_nodes(&m->ldesc, &m->rdesc)
               ? ERR_OK
               : diag_set(m->diag, ERR_UNAVAILABLE,
                          "ranges %llu and %llu do not have their members on the same nodes",
                          (unsigned long long)m->left->id, (unsigned long long)m->right->id);
}

static db_err weigh_right(struct merging *m)
{
    uint64_t bytes;
    if (m->bytes_max == UINT64_MAX) {
        return ERR_OK;
    }
    TRY(range_store_weigh(m->rs, m->right->id, m->diag, &bytes));
    return bytes <= m->bytes_max ? ERR_OK : ERR_LIMIT;
}

static db_err bring_right(struct merging *m)
{
    const struct range_hooks *h = m->rs->opts.hooks;
    db_err err = find_right(m);
    if (err == ERR_OK) {
        return weigh_right(m);
    }
    if (h == NULL || h->gather == NULL) {
        return err;
    }
    TRY(h->gather(h->ctx, &m->ldesc, m->bytes_max, m->diag));
    uint64_t until = clock_mono_ns() + GATHER_WAIT_NS; /* until it serves here */
    while ((err = find_right(m)) != ERR_OK && clock_mono_ns() < until) {
        TRY(fiber_sleep(POLL_MS * NS_PER_MS));
    }
    return err;
}

/* With both ranges reserved. */
static db_err merge_checked(struct merging *m)
{
    arena_reset(&m->arena);
    TRY(replica_copy_desc(m->left, &m->arena, &m->ldesc));
    TRY(replica_copy_desc(m->right, &m->arena, &m->rdesc));
    TRY(check_pair(m));
    return merge_pair(m);
}

static db_err with_left(struct merging *m)
{
    TRY(replica_copy_desc(m->left, &m->arena, &m->ldesc));
    if (m->ldesc.end.len == 0) {
        return diag_set(m->diag, ERR_INVALID, "range %llu is the last one",
                        (unsigned long long)m->left->id);
    }
    TRY(bring_right(m));
    if (atomic_exchange(&m->right->reshaping, true)) {
        return diag_set(m->diag, ERR_BUSY, "range %llu is being split or changed",
                        (unsigned long long)m->right->id);
    }
    db_err err = merge_checked(m);
    atomic_store(&m->right->reshaping, false);
    return err;
}

static db_err reserve_and_merge(struct merging *m, range_id_t *ret_right)
{
    if (atomic_exchange(&m->left->reshaping, true)) {
        return diag_set(m->diag, ERR_BUSY, "range %llu is being split or changed",
                        (unsigned long long)m->left->id);
    }
    arena_init(&m->arena, NULL, NULL, 0);
    db_err err = with_left(m);
    if (err == ERR_OK) {
        *ret_right = m->right->id;
    }
    forget_right(m);
    atomic_store(&m->left->reshaping, false);
    arena_fini(&m->arena);
    return err;
}

db_err merge_right_of(struct range_store *rs, range_id_t left, uint64_t bytes_max,
                      struct diag *diag, range_id_t *ret_right)
{
    struct merging m = {.rs = rs, .bytes_max = bytes_max, .diag = diag};
    if (left == RANGE_ID_META) {
        return diag_set(diag, ERR_INVALID, "the meta range cannot be merged");
    }
    TRY(replica_find_led(rs, left, diag, &m.left));
    atomic_fetch_add(&rs->proposers, 1); /* the store waits for us */
    db_err err = reserve_and_merge(&m, ret_right);
    replica_let_go(m.left);
    atomic_fetch_sub(&rs->proposers, 1);
    return err;
}

db_err range_store_merge(struct range_store *rs, range_id_t left, struct diag *diag,
                         range_id_t *ret_right)
{
    return merge_right_of(rs, left, UINT64_MAX, diag, ret_right);
}
