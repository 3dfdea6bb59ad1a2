/* The core's frame: life of a replica, checks of messages, terms, and the dispatch of events to the
 * role's file.
 *
 * Memory rule: raft_step first makes room for everything the event can produce (messages, two
 * entries, answers to reads), and only then changes anything; so ERR_NOMEM always means "nothing
 * has happened". */
#include "node/raft/raft_int.h"

#include <string.h>

#include "base/alloc.h"

#ifdef SKEIN_RAFT_TEST_FLAGS
unsigned raft_test_flags;
#endif

/* ---- life ---- */

static void config_defaults(struct raft_config *c)
{
    ASSERT(c->id != 0);
    c->heartbeat_ns = c->heartbeat_ns != 0 ? c->heartbeat_ns : RAFT_DEFAULT_HEARTBEAT_NS;
    c->election_timeout_ns =
        c->election_timeout_ns != 0 ? c->election_timeout_ns : RAFT_DEFAULT_ELECTION_NS;
    c->election_spread_ns =
        c->election_spread_ns != 0 ? c->election_spread_ns : c->election_timeout_ns;
    c->lease_margin_ns = c->lease_margin_ns != 0 ? c->lease_margin_ns : c->election_timeout_ns / 10;
    c->quiesce_after_ns = c->quiesce_after_ns != 0 ? c->quiesce_after_ns : RAFT_DEFAULT_QUIESCE_NS;
    c->max_message_bytes =
        c->max_message_bytes != 0 ? c->max_message_bytes : RAFT_DEFAULT_MESSAGE_BYTES;
    c->max_inflight_bytes =
        c->max_inflight_bytes != 0 ? c->max_inflight_bytes : RAFT_DEFAULT_INFLIGHT_BYTES;
    c->max_inflight = c->max_inflight != 0 ? c->max_inflight : RAFT_DEFAULT_INFLIGHT;
    c->max_memory_bytes =
        c->max_memory_bytes != 0 ? c->max_memory_bytes : RAFT_DEFAULT_MEMORY_BYTES;
    c->max_uncommitted_bytes =
        c->max_uncommitted_bytes != 0 ? c->max_uncommitted_bytes : RAFT_DEFAULT_UNCOMMITTED_BYTES;
    c->max_apply_bytes = c->max_apply_bytes != 0 ? c->max_apply_bytes : RAFT_DEFAULT_APPLY_BYTES;
}

static db_err load(struct raft *r)
{
    const struct raft_config *c = &r->cfg;
    r->term = r->hs_term = c->hard_state.term;
    r->vote = r->hs_vote = c->hard_state.vote;
    r->hs_handed = c->hard_state;
    r->conf = r->prev_conf = c->conf;
    r->conf_index = r->prev_conf_index = c->conf_index;
    raft__conf_note(r);
    r->last = c->log->last_index(c->log_ctx);
    uint64_t first = c->log->first_index(c->log_ctx);
    if (r->last > 0) {
        TRY(c->log->term(c->log_ctx, r->last, &r->last_term));
    }
    if (c->applied > r->last || first > c->applied + 1 || r->last_term > r->term) {
        return ERR_CORRUPT;
    }
    r->persisted = r->handed = r->last;
    r->applying = r->applied = c->applied;
    r->commit = c->hard_state.commit < r->last ? c->hard_state.commit : r->last;
    r->commit = r->commit > r->applied ? r->commit : r->applied;
    ASSERT(r->commit <= r->last);
    return raft__conf_scan(r);
}

/* A replica that may have forgotten a promise keeps quiet for one time-out after the last moment at
 * which it can have been made. */
static db_err begin(struct raft *r)
{
    bool fresh = r->term == 0 && r->last == 0;
    raft__reset_election(r);
    if (fresh) {
        r->election_deadline -= r->cfg.election_timeout_ns;
    }
    if (r->sole_voter) {
        TRY(raft__out_reserve(r, 4));
        TRY(raft__entries_reserve(r, 2));
        TRY(raft__prepare_to_lead(r, r->conf.count));
        raft__campaign(r, false);
    } else if (!fresh && !r->cfg.never_ran && !RAFT_BROKEN(RAFT_BREAK_RESTART_FORGETS)) {
        uint64_t before = r->cfg.promised_before_ns;
        before = before != 0 && before < r->now ? before : r->now;
        r->promise_until = r->silent_until = before + r->cfg.election_timeout_ns;
    }
    ASSERT(r->role != RAFT_LEADER);
    return ERR_OK;
}

db_err raft_new(const struct raft_config *config, struct raft **ret_raft)
{
    if (config->id == 0 || config->log == NULL || config->conf.count > RAFT_MEMBERS_MAX ||
        config->conf_index > config->applied) {
        return ERR_INVALID;
    }
    struct raft *r = mem_calloc(1, sizeof(*r));
    if (r == NULL) {
        return ERR_NOMEM;
    }
    r->cfg = *config;
    r->id = config->id;
    r->now = config->now_ns;
    config_defaults(&r->cfg);
    arena_init(&r->pages, NULL, NULL, 0);
    rand_seed(&r->rand, config->seed);
    r->read_id = rand_u64(&r->rand);
    db_err err = r->cfg.lease_margin_ns < r->cfg.election_timeout_ns ? load(r) : ERR_INVALID;
    if (err == ERR_OK) {
        err = begin(r);
    }
    if (err != ERR_OK) {
        raft_free(r);
        return err;
    }
    r->told_role = RAFT_FOLLOWER;
    r->told_term = UINT64_MAX; /* the first ready tells */
    ASSERT(r->commit >= r->applied);
    *ret_raft = r;
    return ERR_OK;
}

void raft_free(struct raft *raft)
{
    if (raft == NULL) {
        return;
    }
    ASSERT(raft->id != 0);
    raft__entries_fini(raft);
    raft__progress_free(raft);
    arena_fini(&raft->pages);
    mem_free(raft->reads);
    mem_free(raft->reads_done);
    mem_free(raft->out);
    mem_free(raft);
}

/* ---- shared by all roles ---- */

db_err raft__out_reserve(struct raft *r, size_t extra)
{
    ASSERT(r->out_count <= r->out_cap);
    if (r->out_cap - r->out_count >= extra) {
        return ERR_OK;
    }
    size_t cap = r->out_count + extra + r->out_cap / 2;
    struct raft_msg *out = mem_realloc(r->out, cap * sizeof(*out));
    if (out == NULL) {
        return ERR_NOMEM;
    }
    r->out = out;
    r->out_cap = cap;
    return ERR_OK;
}

struct raft_msg *raft__out(struct raft *r, uint8_t type, uint64_t to)
{
    ASSERT(r->out_count < r->out_cap);
    ASSERT(to != r->id);
    struct raft_msg *m = &r->out[r->out_count++];
    memset(m, 0, sizeof(*m));
    m->type = type;
    m->from = r->id;
    m->to = to;
    m->term = r->term;
    return m;
}

void raft__reset_election(struct raft *r)
{
    uint64_t timeout = r->cfg.election_timeout_ns;
    ASSERT(timeout > 0);
    r->election_wait = timeout + rand_below(&r->rand, r->cfg.election_spread_ns);
    r->election_deadline = r->now + r->election_wait;
}

/* leader: the sender of the message that brings the term, when it is its leader; else 0. */
void raft__become_follower(struct raft *r, uint64_t term, uint64_t leader)
{
    ASSERT(term >= r->term);
    if (r->leader != leader) {
        raft__read_fail(r, UINT64_MAX);
    }
    if (term > r->term) {
        r->term = term;
        r->vote = 0;
        r->vote_resp_due = false;
        if (leader != 0) {
            r->promised_link = NULL;
        }
    }
    if (r->role == RAFT_LEADER || r->role == RAFT_CANDIDATE || r->role == RAFT_PRECANDIDATE) {
        raft__progress_free(r);
    }
    r->role = RAFT_FOLLOWER;
    r->leader = leader;
    r->verified = r->acked = r->ack_sent_ns = 0;
    r->ack_due = false;
    r->transfer_to = 0;
    r->send_due = false;
    r->quiescent = false;
    r->campaign_transfer = false;
    raft__reset_election(r);
}

/* ---- messages ---- */

static bool append_valid(const struct raft_msg *m)
{
    uint64_t term = m->log_term;
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct raft_entry *e = &m->entries[i];
        if (e->index != m->index + 1 + i || e->term < term || e->term > m->term ||
            e->type > RAFT_ENTRY_CONF) {
            return false;
        }
        if (e->type == RAFT_ENTRY_CONF) {
            struct raft_conf conf;
            if (raft_conf_decode(e->data, &conf) != ERR_OK) {
                return false;
            }
        }
        term = e->term;
    }
    ASSERT(term <= m->term || m->entry_count == 0);
    return true;
}

static bool message_valid(const struct raft *r, const struct raft_msg *m)
{
    ASSERT(r->id != 0);
    if (m->type == 0 || m->type >= RAFT_MSG__END || m->to != r->id || m->from == 0 ||
        m->from == r->id) {
        return false;
    }
    if (m->term == 0 || m->term > RAFT_INDEX_MAX || m->index > RAFT_INDEX_MAX ||
        m->commit > RAFT_INDEX_MAX || m->hint > RAFT_INDEX_MAX || m->log_term > m->term) {
        return false;
    }
    if (m->entry_count > 0 && (m->type != RAFT_MSG_APPEND || m->entries == NULL)) {
        return false;
    }
    if (m->type == RAFT_MSG_SNAPSHOT &&
        (m->snapshot == NULL || m->snapshot->index == 0 || m->snapshot->index > RAFT_INDEX_MAX ||
         m->snapshot->term > m->term || m->snapshot->conf.count > RAFT_MEMBERS_MAX)) {
        return false;
    }
    return append_valid(m);
}

static bool from_leader(uint8_t type)
{
    ASSERT(type < RAFT_MSG__END);
    return type == RAFT_MSG_APPEND || type == RAFT_MSG_HEARTBEAT || type == RAFT_MSG_SNAPSHOT ||
           type == RAFT_MSG_TIMEOUT_NOW;
}

/* Messages of another term. Returns false when the message is done with. */
static bool message_term(struct raft *r, const struct raft_msg *m)
{
    if (m->term > r->term) {
        bool granted = m->type == RAFT_MSG_PREVOTE_RESP && (m->flags & RAFT_MSG_F_REJECT) == 0;
        if (!granted) { /* a granted pre-vote carries the term that was asked for */
            raft__become_follower(r, m->term, from_leader(m->type) ? m->from : 0);
        }
        return true;
    }
    ASSERT(m->term < r->term);
    if (from_leader(m->type) && m->type != RAFT_MSG_TIMEOUT_NOW) {
        /* A leader of the past learns the term and steps down; without this, a replica with a later
         * term than the leader of all others could never come back. */
        struct raft_msg *resp = raft__out(r, RAFT_MSG_APPEND_RESP, m->from);
        resp->flags = RAFT_MSG_F_REJECT;
    }
    return false;
}

static db_err step_message(struct raft *r, const struct raft_msg *m)
{
    if (!message_valid(r, m)) {
        return ERR_INVALID;
    }
    if (m->type == RAFT_MSG_VOTE || m->type == RAFT_MSG_PREVOTE) {
        raft__vote_request(r, m);
        return ERR_OK;
    }
    if (m->type == RAFT_MSG_POKE || m->type == RAFT_MSG_RELEASE) {
        raft__poke_message(r, m);
        return ERR_OK;
    }
    if (m->term != r->term && !message_term(r, m)) {
        return ERR_OK;
    }
    switch ((int)m->type) {
    case RAFT_MSG_PREVOTE_RESP:
    case RAFT_MSG_VOTE_RESP: raft__candidate_response(r, m); return ERR_OK;
    case RAFT_MSG_READ:
    case RAFT_MSG_READ_RESP: return raft__read_message(r, m);
    case RAFT_MSG_APPEND_RESP:
    case RAFT_MSG_HEARTBEAT_RESP:
        return r->role == RAFT_LEADER ? raft__leader_response(r, m) : ERR_OK;
    default: break;
    }
    ASSERT(from_leader(m->type));
    if (r->role == RAFT_LEADER || (r->leader != 0 && r->leader != m->from)) {
        return ERR_INVALID; /* two leaders in one term: somebody is broken, and it is not to be us
                             */
    }
    if (r->role != RAFT_FOLLOWER) {
        raft__become_follower(r, r->term, m->from);
    }
    return raft__follower_message(r, m);
}

/* ---- events ---- */

static db_err step_persisted(struct raft *r, uint64_t seq)
{
    TRY(raft__persisted(r, seq));
    ASSERT(r->persisted <= r->handed);
    raft__vote_persisted(r);
    if (r->role == RAFT_CANDIDATE) {
        raft__candidate_persisted(r);
    }
    if (r->role == RAFT_LEADER) {
        int self = raft__conf_find(&r->conf, r->id);
        if (self >= 0) {
            r->peers[self].match = r->persisted;
        }
        raft__leader_commit(r);
    } else if (r->role == RAFT_FOLLOWER) {
        raft__follower_ack(r);
    }
    return ERR_OK;
}

static void log_ready(struct raft *r)
{
    r->apply_blocked = false;
    for (uint32_t i = 0; r->role == RAFT_LEADER && i < r->conf.count; i++) {
        r->send_due = r->send_due || r->peers[i].page_blocked;
        r->peers[i].page_blocked = false;
    }
    ASSERT(!r->apply_blocked);
}

static db_err step_tick(struct raft *r)
{
    log_ready(r);
    if (r->role != RAFT_LEADER) {
        return raft__follower_tick(r);
    }
    raft__leader_tick(r);
    return ERR_OK;
}

/* Commitment is final and the same for all members, so whoever knows of it may say it. */
static db_err step_committed(struct raft *r, uint64_t index, uint64_t term)
{
    uint64_t own = 0;
    if (index <= r->commit) {
        return ERR_OK;
    }
    if (r->snapshot_pending) {
        return ERR_BUSY;
    }
    if (index > r->last) {
        return ERR_NOT_FOUND;
    }
    TRY(raft__term_of(r, index, &own));
    if (own != term) {
        return ERR_NOT_FOUND;
    }
    raft__commit_to(r, index);
    return ERR_OK;
}

static db_err step_campaign(struct raft *r)
{
    if (!raft__may_campaign(r) || r->snapshot_pending) {
        return ERR_INVALID;
    }
    if (r->role == RAFT_LEADER || r->role == RAFT_CANDIDATE) {
        return ERR_OK;
    }
    if (r->now < raft__promise_until(r)) {
        return ERR_OK; /* our own promise: the time-out will do it */
    }
    TRY(raft__prepare_to_lead(r, r->conf.count));
    raft__campaign(r, false);
    return ERR_OK;
}

db_err raft_step(struct raft *raft, const struct raft_event *event)
{
    struct raft *r = raft;
    ASSERT(!r->in_ready);
    r->now = event->now_ns > r->now ? event->now_ns : r->now;
    TRY(raft__out_reserve(r, 3 * (size_t)r->conf.count + 8 + r->read_count));
    TRY(raft__entries_reserve(r, 2));
    switch (event->type) {
    case RAFT_EV_MESSAGE: return step_message(r, event->u.message);
    case RAFT_EV_TICK: return step_tick(r);
    case RAFT_EV_HEARTBEAT:
        log_ready(r);
        if (r->role == RAFT_LEADER && !r->quiescent) {
            raft__leader_heartbeat(r);
        }
        return ERR_OK;
    case RAFT_EV_PROPOSE: return raft__propose(r, event);
    case RAFT_EV_PERSISTED: return step_persisted(r, event->u.persist_seq);
    case RAFT_EV_APPLIED:
        if (event->u.applied_index > r->applying) {
            return ERR_INVALID;
        }
        r->applied = event->u.applied_index > r->applied ? event->u.applied_index : r->applied;
        return ERR_OK;
    case RAFT_EV_READ: return raft__read(r, event->u.read_context);
    case RAFT_EV_TRANSFER: return raft__transfer(r, event->u.transfer_to);
    case RAFT_EV_CONF_CHANGE:
        return raft__conf_change(r, event->u.conf_change.changes, event->u.conf_change.count);
    case RAFT_EV_CAMPAIGN: return step_campaign(r);
    case RAFT_EV_SAVE_COMMIT: r->save_commit = true; return ERR_OK;
    case RAFT_EV_SNAPSHOT_STATUS:
        raft__snapshot_status(r, event->u.snapshot_status.peer, event->u.snapshot_status.ok);
        return ERR_OK;
    case RAFT_EV_SNAPSHOT_INSTALLED:
        if (!r->snapshot_pending || event->u.snapshot_installed.index != r->snapshot.index) {
            return ERR_INVALID;
        }
        raft__snapshot_installed(r, event->u.snapshot_installed.ok);
        return ERR_OK;
    case RAFT_EV_UNREACHABLE: raft__unreachable(r, event->u.peer); return ERR_OK;
    case RAFT_EV_LOG_READY: log_ready(r); return ERR_OK;
    case RAFT_EV_WAKE: raft__wake(r); return ERR_OK;
    case RAFT_EV_COMMITTED:
        return step_committed(r, event->u.committed.index, event->u.committed.term);
    }
    return ERR_INVALID;
}
