/* What the owner has to do: collected in raft_ready, taken as done by raft_advance; and what it may
 * ask. */
#include "node/raft/raft_int.h"

#include <string.h>

#include "base/alloc.h"

static uint64_t appliable(const struct raft *r)
{
    ASSERT(r->applying <= r->commit);
    if (r->snapshot_pending) {
        return r->applying;
    }
    /* Not what is committed elsewhere and not durable here: the state machine must never be ahead
     * of the log. */
    return r->commit < r->persisted ? r->commit : r->persisted;
}

static bool hard_state_due(const struct raft *r)
{
    ASSERT(r->hs_handed.term <= r->term);
    return r->hs_handed.term != r->term || r->hs_handed.vote != r->vote ||
           (r->save_commit && r->hs_handed.commit != r->commit);
}

/* Entries that a snapshot is about to replace are not written any more: the write could come after
 * the install. */
static bool entries_due(const struct raft *r)
{
    ASSERT(r->handed <= r->last);
    return r->handed < r->last && !r->snapshot_pending;
}

static bool soft_changed(const struct raft *r)
{
    ASSERT(r->role <= RAFT_LEADER);
    return r->told_role != r->role || r->told_leader != r->leader || r->told_term != r->term;
}

/* Worth telling: it came, went, became shorter, or became longer by a good part of itself. */
static bool lease_due(const struct raft *r, const struct raft_lease *lease)
{
    ASSERT(lease->term == r->term);
    if (lease->valid != r->told_lease.valid) {
        return true;
    }
    return lease->valid &&
           (lease->until_ns < r->told_lease.until_ns || lease->term != r->told_lease.term ||
            lease->until_ns - r->told_lease.until_ns > r->cfg.election_timeout_ns / 8);
}

static bool reads_due(const struct raft *r)
{
    ASSERT(r->read_count <= r->read_cap);
    return r->role == RAFT_LEADER && r->read_count > 0 &&
           r->reads[r->read_count - 1].round > r->read_round;
}

bool raft_has_ready(const struct raft *raft)
{
    const struct raft *r = raft;
    ASSERT(!r->in_ready);
    if (r->out_count > 0 || r->send_due || r->reads_done_count > 0 || soft_changed(r)) {
        return true;
    }
    if ((hard_state_due(r) || entries_due(r)) && r->write_count < RAFT_WRITES_MAX) {
        return true;
    }
    if (appliable(r) > r->applying && !r->apply_blocked) {
        return true;
    }
    if ((r->snapshot_pending && !r->snapshot_handed) || reads_due(r)) {
        return true;
    }
    if (r->role != RAFT_LEADER) {
        return r->told_lease.valid;
    }
    struct raft_lease lease = raft__lease(r, r->now);
    return lease_due(r, &lease);
}

static db_err collect_messages(struct raft *r)
{
    if (r->role == RAFT_LEADER) {
        if (reads_due(r)) {
            TRY(raft__out_reserve(r, r->conf.count + r->read_count));
            TRY(raft__read_reserve(r));
            raft__read_send(r);
        }
        if (r->send_due) {
            TRY(raft__out_reserve(r, (size_t)r->conf.count * (RAFT_SENDS_PER_READY_MAX + 2)));
            raft__send_appends(r);
        }
    }
    ASSERT(r->out_count <= r->out_cap);
    return ERR_OK;
}

static db_err collect_committed(struct raft *r, const struct raft_entry **ret_entries,
                                size_t *ret_count)
{
    uint64_t to = appliable(r);
    if (to <= r->applying || r->apply_blocked) {
        return ERR_OK;
    }
    db_err err = raft__entries_get(r, r->applying + 1, to + 1, r->cfg.max_apply_bytes, ret_entries,
                                   ret_count);
    if (err == ERR_WOULD_BLOCK) {
        r->apply_blocked = true;
        return ERR_OK;
    }
    ASSERT(err != ERR_OK || *ret_count > 0);
    /* What is not applied is never compacted. */
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

static void collect_writes(struct raft *r, struct raft_ready *rd)
{
    bool hard = hard_state_due(r);
    if ((!hard && !entries_due(r)) || r->write_count == RAFT_WRITES_MAX) {
        return;
    }
    if (entries_due(r)) {
        uint64_t first = raft__memory_first(r);
        ASSERT(r->handed + 1 >= first);
        rd->entries = r->base + r->head + (r->handed + 1 - first);
        rd->entry_count = (size_t)(r->last - r->handed);
        hard = hard || r->hs_handed.commit != r->commit;
        r->handed = r->last;
    }
    rd->has_hard_state = hard;
    if (hard) {
        r->hs_handed = (struct raft_hard_state){r->term, r->vote, r->commit};
        rd->hard_state = r->hs_handed;
        r->save_commit = false;
    }
    rd->persist_seq = ++r->write_seq;
    uint32_t at = (r->write_head + r->write_count) % RAFT_WRITES_MAX;
    r->writes[at] =
        (struct raft__write){rd->persist_seq, r->handed, r->hs_handed.term, r->hs_handed.vote};
    r->write_count++;
}

db_err raft_ready(struct raft *raft, struct raft_ready *ret_ready)
{
    struct raft *r = raft;
    ASSERT(!r->in_ready);
    const struct raft_entry *committed = NULL;
    size_t committed_count = 0;
    TRY(collect_committed(r, &committed, &committed_count));
    TRY(collect_messages(r)); /* nothing may fail after this: messages point into the vector */
    struct raft_ready *rd = ret_ready;
    memset(rd, 0, sizeof(*rd));
    rd->committed = committed;
    rd->committed_count = committed_count;
    collect_writes(r, rd);
    rd->soft_changed = soft_changed(r);
    rd->role = r->role;
    rd->leader = r->leader;
    rd->term = r->term;
    rd->lease = raft__lease(r, r->now);
    rd->lease_changed = lease_due(r, &rd->lease) || rd->lease.until_ns != r->told_lease.until_ns;
    rd->messages = r->out;
    rd->message_count = r->out_count;
    rd->reads = r->reads_done;
    rd->read_count = r->reads_done_count;
    if (r->snapshot_pending && !r->snapshot_handed) {
        r->snapshot_handed = true;
        rd->snapshot = &r->snapshot;
    }
    r->told_role = r->role;
    r->told_leader = r->leader;
    r->told_term = r->term;
    r->told_lease = rd->lease;
    r->ready_committed = (uint32_t)committed_count;
    r->in_ready = true;
    return ERR_OK;
}

void raft_advance(struct raft *raft)
{
    struct raft *r = raft;
    ASSERT(r->in_ready);
    r->in_ready = false;
    r->applying += r->ready_committed;
    ASSERT(r->applying <= r->commit);
    r->ready_committed = 0;
    r->out_count = 0;
    r->reads_done_count = 0;
    raft__entries_evict(r);
    if (r->pages.blocks != NULL) {
        arena_reset(&r->pages);
    }
    if (r->quiescent) {
        /* Most groups sleep most of the time: they keep no buffers. */
        arena_fini(&r->pages);
        arena_init(&r->pages, NULL, NULL, 0);
        mem_free(r->out);
        r->out = NULL;
        r->out_cap = 0;
    }
}

/* ---- questions ---- */

static uint64_t leader_deadline(const struct raft *r)
{
    ASSERT(r->role == RAFT_LEADER);
    uint64_t at = DEADLINE_NONE;
    if (r->conf.count > 1 || raft_conf_roles(&r->conf, r->id) == 0) {
        if (r->cfg.external_heartbeat) {
            uint64_t contact = raft__quorum_contact(r, r->now);
            contact = contact > r->leader_since ? contact : r->leader_since;
            at = contact > DEADLINE_NONE - r->cfg.election_timeout_ns
                     ? DEADLINE_NONE
                     : contact + r->cfg.election_timeout_ns;
        } else {
            at = r->heartbeat_at;
        }
    }
    if (r->transfer_to != 0 && r->transfer_deadline < at) {
        at = r->transfer_deadline;
    }
    return at;
}

uint64_t raft_deadline(const struct raft *raft)
{
    const struct raft *r = raft;
    ASSERT(r->id != 0);
    if (r->quiescent) {
        return DEADLINE_NONE;
    }
    if (r->role == RAFT_LEADER) {
        return leader_deadline(r);
    }
    uint64_t at = raft__may_campaign(r) ? r->election_deadline : DEADLINE_NONE;
    if (r->read_count > 0 && r->reads[0].since_ns + r->cfg.election_timeout_ns < at) {
        at = r->reads[0].since_ns + r->cfg.election_timeout_ns;
    }
    return at;
}

bool raft_heartbeat_due(const struct raft *raft)
{
    ASSERT(raft->id != 0);
    return raft->role == RAFT_LEADER && !raft->quiescent && raft->conf.count > 1;
}

bool raft_is_quiescent(const struct raft *raft)
{
    ASSERT(raft->id != 0);
    return raft->quiescent;
}

uint64_t raft_term(const struct raft *raft)
{
    ASSERT(raft->id != 0);
    return raft->term;
}

uint64_t raft_last_index(const struct raft *raft)
{
    ASSERT(raft->id != 0);
    return raft->last;
}

enum raft_role raft_role(const struct raft *raft)
{
    ASSERT(raft->id != 0);
    return raft->role;
}

void raft_status(const struct raft *raft, struct raft_status *ret_status)
{
    const struct raft *r = raft;
    ASSERT(r->id != 0);
    struct raft_status s = {
        .id = r->id,
        .role = r->role,
        .term = r->term,
        .vote = r->vote,
        .leader = r->leader,
        .commit = r->commit,
        .applied = r->applied,
        .persisted = r->persisted,
        .first_index = r->cfg.log->first_index(r->cfg.log_ctx),
        .last_index = r->last,
        .last_term = r->last_term,
        .conf_index = r->conf_index,
        .conf = r->conf,
        .transfer_to = r->transfer_to,
        .memory_bytes = r->memory_bytes,
        .quiescent = r->quiescent,
    };
    for (uint32_t i = 0; r->role == RAFT_LEADER && i < r->conf.count; i++) {
        const struct raft__progress *p = &r->peers[i];
        s.peers[s.peer_count++] =
            (struct raft_peer_status){p->id,   r->conf.members[i].roles, p->state,    p->match,
                                      p->next, p->acked_sent_ns,         p->stateless};
    }
    *ret_status = s;
}
