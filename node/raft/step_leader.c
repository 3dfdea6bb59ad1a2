/* The leader: takes proposals, counts acknowledgements, keeps in contact, hands over. */
#include "node/raft/raft_int.h"

void raft__become_leader(struct raft *r)
{
    ASSERT(r->role == RAFT_CANDIDATE && r->peers_cap >= r->conf.count);
    ASSERT(r->hs_term == r->term && r->hs_vote == r->id);
    r->role = RAFT_LEADER;
    r->leader = r->id;
    r->leader_since = r->active_at = r->now;
    r->stood = 0;
    r->heartbeat_at = r->now + r->cfg.heartbeat_ns;
    r->transfer_to = 0;
    r->lease_given_up = false;
    r->campaign_transfer = false;
    r->read_round = 0;
    for (uint32_t i = 0; i < r->conf.count; i++) {
        raft__progress_init(r, &r->peers[i], r->conf.members[i].id);
    }
    raft__leader_append(r, RAFT_ENTRY_NOOP, SLICE_EMPTY, NULL);
    r->term_start = r->last;
}

/* One entry; its place has been reserved. */
void raft__leader_append(struct raft *r, uint8_t type, struct slice data, struct blob *blob)
{
    ASSERT(r->role == RAFT_LEADER);
    struct raft_entry e = {
        .index = r->last + 1, .term = r->term, .data = data, .blob = blob, .type = type};
    raft__entries_push(r, &e, 1);
    r->send_due = true;
}

db_err raft__propose(struct raft *r, const struct raft_event *ev)
{
    size_t count = ev->u.propose.count;
    if (r->role != RAFT_LEADER) {
        return ERR_NOT_LEADER;
    }
    /* The second limit is for a leader whose own disk is the slow one: others commit, it cannot let
     * go. */
    if (r->transfer_to != 0 || r->uncommitted_bytes > r->cfg.max_uncommitted_bytes ||
        r->memory_bytes > r->cfg.max_memory_bytes + r->cfg.max_uncommitted_bytes) {
        return ERR_BUSY;
    }
    if (count == 0) {
        return ERR_OK;
    }
    TRY(raft__entries_reserve(r, count + 2));
    raft__wake(r);
    ASSERT(r->role == RAFT_LEADER);
    struct raft_entry *e = r->base + r->head + r->count;
    for (size_t i = 0; i < count; i++) {
        e[i] = (struct raft_entry){.index = r->last + 1 + i,
                                   .term = r->term,
                                   .data = ev->u.propose.data[i],
                                   .blob = ev->u.propose.blob,
                                   .type = RAFT_ENTRY_NORMAL};
    }
    raft__entries_pushed(r, count);
    r->send_due = true;
    return ERR_OK;
}

/* Commits what a quorum holds durably, if it is of our own term: an entry of an older term on a
 * quorum may still be overwritten by a leader that has a later one (section 5.4.2 of the paper,
 * figure 8). */
void raft__leader_commit(struct raft *r)
{
    uint64_t values[RAFT_MEMBERS_MAX];
    ASSERT(r->role == RAFT_LEADER);
    for (uint32_t i = 0; i < r->conf.count; i++) {
        values[i] = r->peers[i].match;
        if (r->peers[i].id == r->id && RAFT_BROKEN(RAFT_BREAK_COUNT_UNPERSISTED)) {
            values[i] = r->last;
        }
    }
    uint64_t index = raft__quorum_value(r, values);
    for (uint32_t i = 0; i < r->conf.count && RAFT_BROKEN(RAFT_BREAK_COMMIT_ALONE); i++) {
        index = r->peers[i].id == r->id && values[i] > index ? values[i] : index;
    }
    if (index <= r->commit || (index < r->term_start && !RAFT_BROKEN(RAFT_BREAK_COMMIT_OLD_TERM))) {
        return;
    }
    raft__commit_to(r, index);
    r->active_at = r->now;
    r->send_due = r->send_due || r->cfg.eager_commit;
    raft__read_resolve(r);
    raft__conf_committed(r);
}

/* ---- answers ---- */

static db_err append_refused(struct raft *r, struct raft__progress *p, const struct raft_msg *m)
{
    if (m->index > r->last || m->hint > r->last) {
        return m->index > r->last ? ERR_INVALID : ERR_OK;
    }
    bool stale = p->state == RAFT_PROBE ? p->next - 1 != m->index : m->index <= p->match;
    if (p->state == RAFT_SNAPSHOT || stale || m->index == 0) {
        return ERR_OK;
    }
    uint64_t hint = m->hint < m->index ? m->hint : m->index - 1;
    uint64_t term = 0;
    TRY(raft__find_conflict(r, hint, m->log_term, &hint, &term));
    hint = hint > p->match ? hint : p->match;
    ASSERT(hint < m->index || hint == p->match);
    bool lost = p->state == RAFT_PROBE && hint + 1 == p->next;
    raft__progress_probe(p, hint + 1);
    /* It refuses what it has acknowledged: its disk has forgotten. Asking again at once would not
     * help. */
    p->probe_paused = lost;
    r->send_due = r->send_due || !lost;
    return ERR_OK;
}

static db_err append_answered(struct raft *r, struct raft__progress *p, const struct raft_msg *m)
{
    if ((m->flags & RAFT_MSG_F_REJECT) != 0) {
        return append_refused(r, p, m);
    }
    if (m->index > r->last) {
        return ERR_INVALID;
    }
    ASSERT(p->id == m->from);
    bool more = m->index > p->match;
    raft__progress_acked(r, p, m->index);
    if (more) {
        raft__leader_commit(r);
        if (r->role == RAFT_LEADER) {
            raft__transfer_progress(r);
        }
    }
    return ERR_OK;
}

static void heartbeat_answered(struct raft *r, struct raft__progress *p, const struct raft_msg *m)
{
    ASSERT(p->id == m->from);
    if (m->context > p->read_acked) {
        p->read_acked = m->context < r->read_round ? m->context : r->read_round;
        raft__read_resolve(r);
    }
    if ((m->flags & RAFT_MSG_F_QUIESCE) != 0 && p->link != NULL) {
        raft__quiesce_response(r, p, m);
    }
    if (p->state == RAFT_PROBE) {
        p->probe_paused = false;
        r->send_due = r->send_due || p->next <= r->last;
        if (p->next > r->last) { /* nothing to send that it could acknowledge: ask */
            raft__send_probe(r, p);
        }
    } else if (p->state == RAFT_REPLICATE && p->match + 1 < p->next && !p->acked_since_beat) {
        raft__send_probe(r, p); /* lost, or only slow: the answer tells */
    }
}

/* Its owner answers: no state. */
static void stateless_answered(struct raft *r, struct raft__progress *p, const struct raft_msg *m)
{
    ASSERT(p->id == m->from);
    if (m->context <= p->settled_ns || m->context > r->now || p->state == RAFT_SNAPSHOT) {
        return;
    }
    p->stateless = true;
    /* Where it is asked next when it gets its state by itself meanwhile (a split that it applies
     * late): there, not at the beginning, of which no log has anything. */
    raft__progress_probe(p, p->state == RAFT_PROBE ? p->next : p->match + 1);
    raft__send_probe(r, p);
}

db_err raft__leader_response(struct raft *r, const struct raft_msg *m)
{
    ASSERT(r->role == RAFT_LEADER && m->term == r->term);
    struct raft__progress *p = raft__progress_of(r, m->from);
    if (p == NULL) {
        return ERR_OK; /* no member any more */
    }
    if (m->sent_ns > r->now) {
        return ERR_INVALID;
    }
    if ((m->flags & RAFT_MSG_F_NO_STATE) != 0) {
        stateless_answered(r, p, m);
        return ERR_OK;
    }
    p->stateless = false;
    p->acked_sent_ns = p->acked_sent_ns > m->sent_ns ? p->acked_sent_ns : m->sent_ns;
    if (m->type == RAFT_MSG_APPEND_RESP) {
        return append_answered(r, p, m);
    }
    heartbeat_answered(r, p, m);
    return ERR_OK;
}

void raft__snapshot_status(struct raft *r, uint64_t peer, bool ok)
{
    struct raft__progress *p = r->role == RAFT_LEADER ? raft__progress_of(r, peer) : NULL;
    if (p == NULL || p->state != RAFT_SNAPSHOT) {
        return;
    }
    if (ok) {
        p->stateless = false;
        p->settled_ns = r->now;
    }
    uint64_t reached = ok && p->pending_snapshot > p->match ? p->pending_snapshot : p->match;
    raft__progress_probe(p, ok ? reached + 1 : p->next);
    p->probe_paused = true; /* until it acknowledges, or answers a heartbeat */
    ASSERT(p->next <= r->last + 1);
}

void raft__unreachable(struct raft *r, uint64_t peer)
{
    struct raft__progress *p = r->role == RAFT_LEADER ? raft__progress_of(r, peer) : NULL;
    if (p != NULL && p->id != r->id && p->state == RAFT_REPLICATE) {
        raft__progress_probe(p, p->match + 1);
        p->probe_paused = true;
    }
    ASSERT(p == NULL || p->id == peer);
}

/* ---- time ---- */

void raft__heartbeat_all(struct raft *r, uint8_t flags)
{
    ASSERT(r->role == RAFT_LEADER);
    for (uint32_t i = 0; i < r->conf.count; i++) {
        struct raft__progress *p = &r->peers[i];
        if (p->id == r->id) {
            continue;
        }
        struct raft_msg *m = raft__out(r, RAFT_MSG_HEARTBEAT, p->id);
        m->flags = flags;
        m->commit = p->match < r->commit ? p->match : r->commit;
        m->sent_ns = r->now;
        m->context = r->read_round;
        if ((flags & RAFT_MSG_F_QUIESCE) != 0) {
            m->index = r->last;
            m->log_term = r->last_term;
        }
        p->acked_since_beat = false;
    }
}

void raft__leader_heartbeat(struct raft *r)
{
    ASSERT(r->role == RAFT_LEADER);
    r->heartbeat_at = r->now + r->cfg.heartbeat_ns;
    raft__conf_committed(r); /* what could not be done for lack of memory */
    if (r->role != RAFT_LEADER) {
        return;
    }
    bool sleepy = raft__can_quiesce(r);
    if (sleepy && r->conf.count == 1) {
        r->quiescent = true;
        return;
    }
    raft__heartbeat_all(r, sleepy ? RAFT_MSG_F_QUIESCE : 0);
    raft__transfer_progress(r);
}

/* Asleep: do the links still carry us? */
static void check_links(struct raft *r)
{
    ASSERT(r->quiescent);
    uint64_t timeout = r->cfg.election_timeout_ns;
    for (uint32_t i = 0; i < r->conf.count; i++) {
        const struct raft__progress *p = &r->peers[i];
        if (p->id != r->id && (p->link == NULL || p->link->held_epoch != p->link_epoch ||
                               r->now > p->link->held_sent_ns + timeout)) {
            raft__wake(r);
            return;
        }
    }
}

static void abort_transfer(struct raft *r)
{
    ASSERT(r->role == RAFT_LEADER);
    r->transfer_to = 0;
    if (r->lease_given_up && r->self_voter) {
        /* The target may still stand for the next term at any time, with everybody's leave: this
         * term never has a lease again. A new term of our own does. */
        raft__campaign(r, true);
    }
}

void raft__leader_tick(struct raft *r)
{
    ASSERT(r->role == RAFT_LEADER);
    if (r->quiescent) {
        check_links(r);
        return;
    }
    uint64_t contact = raft__quorum_contact(r, r->now);
    contact = contact > r->leader_since ? contact : r->leader_since;
    if (contact < r->now && r->now - contact >= r->cfg.election_timeout_ns) {
        raft__become_follower(r, r->term, 0); /* check-quorum */
        return;
    }
    if (r->transfer_to != 0 && r->now >= r->transfer_deadline) {
        abort_transfer(r);
        return;
    }
    if (!r->cfg.external_heartbeat && r->now >= r->heartbeat_at) {
        raft__leader_heartbeat(r);
    }
}

/* ---- leadership transfer ---- */

/* Tells the target to take over as soon as it has everything. */
void raft__transfer_progress(struct raft *r)
{
    if (r->transfer_to == 0) {
        return;
    }
    const struct raft__progress *p = raft__progress_of(r, r->transfer_to);
    if (p == NULL) {
        r->transfer_to = 0;
        return;
    }
    ASSERT(p->id != r->id);
    if (p->match == r->last) {
        if (!RAFT_BROKEN(RAFT_BREAK_TRANSFER_KEEPS_LEASE)) {
            r->lease_given_up = true;
        }
        raft__out(r, RAFT_MSG_TIMEOUT_NOW, p->id);
    }
}

db_err raft__transfer(struct raft *r, uint64_t to)
{
    if (r->role != RAFT_LEADER) {
        return ERR_NOT_LEADER;
    }
    if (to == r->id) {
        if (r->transfer_to != 0) {
            abort_transfer(r);
        }
        return ERR_OK;
    }
    if ((raft_conf_roles(&r->conf, to) & RAFT_ROLE_VOTER) == 0) {
        return ERR_INVALID;
    }
    if (r->transfer_to != 0) {
        return ERR_BUSY;
    }
    ASSERT(to != r->id);
    raft__wake(r);
    r->transfer_to = to;
    r->transfer_deadline = r->now + r->cfg.election_timeout_ns;
    r->send_due = true;
    raft__transfer_progress(r);
    return ERR_OK;
}
