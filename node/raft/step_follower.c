/* The follower: takes what the leader sends, promises, and acknowledges what is durable.
 *
 * `verified` is how far our log is known to be the leader's, in this term. An acknowledgement names
 * the smaller of that and of what is durable, and is sent when the latter grows, one for all
 * appends that one sync made durable; so no message ever waits outside the core for a write. */
#include "node/raft/raft_int.h"

void raft__follower_touch(struct raft *r, uint64_t from)
{
    ASSERT(r->role == RAFT_FOLLOWER);
    uint64_t until = r->now + r->cfg.election_timeout_ns;
    r->leader = from;
    r->promised_to = from;
    r->promised_term = r->term;
    r->promise_until = r->promise_until > until ? r->promise_until : until;
    r->quiescent = false;
    r->stood = 0;
    r->election_deadline = r->now + r->election_wait;
}

void raft__follower_ack(struct raft *r)
{
    ASSERT(r->role == RAFT_FOLLOWER);
    if (r->leader == 0 || r->snapshot_pending || r->hs_term != r->term) {
        return;
    }
    uint64_t match = r->verified < r->persisted ? r->verified : r->persisted;
    if (RAFT_BROKEN(RAFT_BREAK_ACK_UNPERSISTED)) {
        match = r->verified;
    }
    if (match > r->acked || r->ack_due) {
        struct raft_msg *resp = raft__out(r, RAFT_MSG_APPEND_RESP, r->leader);
        resp->index = match;
        resp->sent_ns = r->ack_sent_ns;
        r->acked = match;
        r->ack_due = false;
    }
}

/* The logs do not meet at the message's index: says where they may. */
static db_err refuse_append(struct raft *r, const struct raft_msg *m)
{
    uint64_t hint = m->index < r->last ? m->index : r->last;
    uint64_t term = 0;
    TRY(raft__find_conflict(r, hint, m->log_term, &hint, &term));
    ASSERT(hint <= r->last);
    struct raft_msg *resp = raft__out(r, RAFT_MSG_APPEND_RESP, m->from);
    resp->flags = RAFT_MSG_F_REJECT;
    resp->index = m->index;
    resp->hint = hint;
    resp->log_term = term;
    resp->sent_ns = r->hs_term == r->term ? m->sent_ns : 0; /* see follower_heartbeat */
    return ERR_OK;
}

/* Skips the entries we have, cuts what contradicts, appends the rest. Memory has been reserved. */
static db_err take_entries(struct raft *r, const struct raft_msg *m)
{
    size_t skip = 0;
    while (skip < m->entry_count && m->entries[skip].index <= r->last) {
        const struct raft_entry *e = &m->entries[skip];
        if (e->index > r->commit) {
            uint64_t term = 0;
            TRY(raft__term_of(r, e->index, &term));
            if (term != e->term) {
                TRY(raft__entries_truncate(r, e->index));
                break;
            }
        }
        skip++;
    }
    size_t count = m->entry_count - skip;
    ASSERT(count == 0 || m->entries[skip].index == r->last + 1);
    raft__entries_push(r, m->entries + skip, count);
    for (size_t i = skip; i < m->entry_count; i++) {
        if (m->entries[i].type == RAFT_ENTRY_CONF) {
            struct raft_conf conf;
            db_err err = raft_conf_decode(m->entries[i].data, &conf);
            ASSERT(err == ERR_OK); /* checked when the message came in */
            raft__conf_append(r, &conf, m->entries[i].index);
        }
    }
    return ERR_OK;
}

/* Does our log hold the entry before the message's first? */
static db_err append_meets(const struct raft *r, const struct raft_msg *m, bool *ret_meets)
{
    if (m->index <= r->commit) {
        *ret_meets = true; /* what is committed is in every later leader's log */
        return ERR_OK;
    }
    if (m->index > r->last) {
        *ret_meets = false;
        return ERR_OK;
    }
    uint64_t term = 0;
    TRY(raft__term_of(r, m->index, &term));
    ASSERT(term <= r->last_term);
    *ret_meets = term == m->log_term || RAFT_BROKEN(RAFT_BREAK_APPEND_NO_CHECK);
    return ERR_OK;
}

/* Entries wait for our disk, and more than a leader should have on its way have piled up. Only what
 * the disk can drain counts: refusing because of what is not committed could keep it from ever
 * being committed. */
static bool disk_behind(const struct raft *r)
{
    size_t limit = r->cfg.max_memory_bytes +
                   r->cfg.max_uncommitted_bytes * (size_t)RAFT_FOLLOWER_MEMORY_FACTOR;
    ASSERT(r->persisted <= r->last);
    return r->memory_bytes > limit && r->persisted < r->last;
}

static db_err follower_append(struct raft *r, const struct raft_msg *m)
{
    if (disk_behind(r)) {
        return ERR_OK; /* as if lost: the leader comes again */
    }
    bool meets = false;
    TRY(append_meets(r, m, &meets));
    r->ack_sent_ns = m->sent_ns > r->ack_sent_ns ? m->sent_ns : r->ack_sent_ns;
    if (!meets) {
        return refuse_append(r, m);
    }
    TRY(take_entries(r, m));
    uint64_t end = m->index + m->entry_count;
    /* An append that lies wholly below our commit index tells us no more than that. */
    uint64_t known = end > r->commit ? end : r->commit;
    ASSERT(known <= r->last);
    r->verified = r->verified > known ? r->verified : known;
    raft__commit_to(r, m->commit < r->verified ? m->commit : r->verified);
    if (end <= r->persisted) {
        r->ack_due = true;
        raft__follower_ack(r);
    } /* else when it is durable: an answer now would only say what the leader has known or will
         hear again */
    return ERR_OK;
}

static void follower_heartbeat(struct raft *r, const struct raft_msg *m)
{
    /* The leader names no more than what we have acknowledged to it in this term, durably: nobody
     * else can have changed it since. `verified` would not do: it is forgotten by a pre-vote that
     * came to nothing and by a restart, and a leader that has nothing to append would never tell
     * again. */
    ASSERT(r->verified <= r->last);
    raft__commit_to(r, m->commit < r->last ? m->commit : r->last);
    uint64_t epoch = 0;
    bool asleep = (m->flags & RAFT_MSG_F_QUIESCE) != 0 && raft__quiesce_request(r, m, &epoch);
    if (r->hs_term != r->term) {
        return; /* an answer is a promise: a crash must leave a trace of the term in which it was
                   made */
    }
    struct raft_msg *resp = raft__out(r, RAFT_MSG_HEARTBEAT_RESP, m->from);
    resp->sent_ns = m->sent_ns;
    resp->context = m->context;
    if (asleep) {
        resp->flags = RAFT_MSG_F_QUIESCE;
        resp->epoch = epoch;
        resp->index = r->last;
    }
}

static db_err follower_snapshot(struct raft *r, const struct raft_msg *m)
{
    const struct raft_snapshot_meta *s = m->snapshot;
    r->ack_sent_ns = m->sent_ns > r->ack_sent_ns ? m->sent_ns : r->ack_sent_ns;
    bool have = s->index <= r->commit;
    if (!have && s->index <= r->last) {
        uint64_t term = 0;
        TRY(raft__term_of(r, s->index, &term));
        have = term == s->term;
    }
    if (have) {
        r->verified = r->verified > s->index ? r->verified : s->index;
        raft__commit_to(r, s->index);
        r->ack_due = true;
        raft__follower_ack(r);
        return ERR_OK;
    }
    ASSERT(s->index > r->commit);
    r->snapshot = *s;
    r->snapshot_pending = true;
    r->snapshot_handed = false;
    return ERR_OK;
}

void raft__snapshot_installed(struct raft *r, bool ok)
{
    ASSERT(r->snapshot_pending);
    r->snapshot_pending = false;
    if (!ok) {
        return;
    }
    const struct raft_snapshot_meta *s = &r->snapshot;
    raft__entries_reset(r, s->index, s->term);
    r->conf = r->prev_conf = s->conf;
    r->conf_index = r->prev_conf_index = s->index;
    raft__conf_note(r);
    r->verified = s->index; /* committed: part of every later leader's log */
    r->ack_due = true;
    if (r->role == RAFT_FOLLOWER) {
        raft__follower_ack(r);
    }
}

db_err raft__follower_message(struct raft *r, const struct raft_msg *m)
{
    ASSERT(r->role == RAFT_FOLLOWER && m->term == r->term);
    if (m->type == RAFT_MSG_APPEND) {
        TRY(raft__entries_reserve(r, m->entry_count));
    }
    raft__follower_touch(r, m->from);
    if (m->type == RAFT_MSG_HEARTBEAT) {
        follower_heartbeat(r, m);
        return ERR_OK;
    }
    if (r->snapshot_pending) {
        return ERR_OK; /* the log is about to be replaced */
    }
    if (m->type == RAFT_MSG_APPEND) {
        return follower_append(r, m);
    }
    if (m->type == RAFT_MSG_SNAPSHOT) {
        return follower_snapshot(r, m);
    }
    ASSERT(m->type == RAFT_MSG_TIMEOUT_NOW);
    if (raft__may_campaign(r)) {
        TRY(raft__prepare_to_lead(r, r->conf.count));
        raft__campaign(r, true);
    }
    return ERR_OK;
}

/* Also for candidates: their time is up when nobody has won. */
db_err raft__follower_tick(struct raft *r)
{
    ASSERT(r->role != RAFT_LEADER);
    if (r->quiescent) {
        if (raft__promise_until(r) > r->now) {
            return ERR_OK;
        }
        raft__wake(r);
    }
    if (r->now >= r->cfg.election_timeout_ns) {
        raft__read_fail(r, r->now - r->cfg.election_timeout_ns + 1);
    }
    if (r->now < r->election_deadline) {
        return ERR_OK;
    }
    if (!raft__may_campaign(r) || r->snapshot_pending) {
        raft__reset_election(r);
        return ERR_OK;
    }
    uint64_t promise = raft__promise_until(r);
    if (r->now < promise) {
        r->election_deadline = promise;
        raft__poke(r);
        return ERR_OK;
    }
    TRY(raft__prepare_to_lead(r, r->conf.count));
    raft__campaign(r, false);
    return ERR_OK;
}
