/* Elections: asking for votes, and giving them.
 *
 * A replica whose time is up first asks whether it would be elected (pre-vote: no term changes,
 * nothing is written), so that a replica which was cut off does not disturb the others when it
 * comes back. Only then it raises its term and votes for itself; when that is durable it asks for
 * real votes (before, a crash could make it forget that it stood in this term, and stand again in
 * it with a shorter log). TIMEOUT_NOW skips the pre-vote.
 *
 * An election that comes to nothing is followed by the next one soon: the others' promises to the
 * leader that has gone end at almost the same time as ours, and a request that came too early is
 * not answered; and votes that two candidates have split are nobody's. Waiting for a whole time-out
 * again would double the time without a leader. Whoever stands in vain, because it is cut off, does
 * so less and less often.
 *
 * A vote is answered when it is durable. A request that comes while a promise to a leader holds is
 * dropped without an answer, and without taking its term. */
#include "node/raft/raft_int.h"

static bool log_up_to_date(const struct raft *r, const struct raft_msg *m)
{
    ASSERT(m->type == RAFT_MSG_VOTE || m->type == RAFT_MSG_PREVOTE);
    if (RAFT_BROKEN(RAFT_BREAK_VOTE_STALE_LOG)) {
        return true;
    }
    return m->log_term > r->last_term || (m->log_term == r->last_term && m->index >= r->last);
}

static void prevote_answer(struct raft *r, const struct raft_msg *m)
{
    ASSERT(m->term >= r->term);
    bool grant = m->term > r->term && log_up_to_date(r, m);
    struct raft_msg *resp = raft__out(r, RAFT_MSG_PREVOTE_RESP, m->from);
    resp->term = grant ? m->term : r->term;
    resp->flags = grant ? 0 : RAFT_MSG_F_REJECT;
    if (!grant && resp->term == 0) {
        r->out_count--; /* a replica without any term has nothing to say against it */
    }
}

static void vote_answer(struct raft *r, bool grant, uint64_t to)
{
    ASSERT(to != 0);
    struct raft_msg *resp = raft__out(r, RAFT_MSG_VOTE_RESP, to);
    resp->flags = grant ? 0 : RAFT_MSG_F_REJECT;
}

void raft__vote_request(struct raft *r, const struct raft_msg *m)
{
    bool pre = m->type == RAFT_MSG_PREVOTE;
    bool transfer = (m->flags & RAFT_MSG_F_TRANSFER) != 0;
    if (m->term < r->term) {
        struct raft_msg *resp =
            raft__out(r, pre ? RAFT_MSG_PREVOTE_RESP : RAFT_MSG_VOTE_RESP, m->from);
        resp->flags = RAFT_MSG_F_REJECT;
        return;
    }
    bool again = !pre && m->term == r->term && r->vote == m->from;
    if (!transfer && !again && raft__promise_holds(r, m->from) &&
        !RAFT_BROKEN(RAFT_BREAK_VOTE_IGNORES_LEASE)) {
        raft__poke(r);
        return;
    }
    if (pre) {
        prevote_answer(r, m);
        return;
    }
    if (m->term > r->term) {
        raft__become_follower(r, m->term, 0);
    }
    bool grant = (r->vote == m->from || (r->vote == 0 && r->leader == 0)) && log_up_to_date(r, m);
    if (!grant) {
        vote_answer(r, false, m->from);
        return;
    }
    ASSERT(r->role != RAFT_LEADER);
    raft__promise_break(r);
    r->vote = m->from;
    r->vote_resp_due = true;
    raft__reset_election(r);
    raft__vote_persisted(r);
}

/* Answers the vote that was given, when it is durable. */
void raft__vote_persisted(struct raft *r)
{
    if (!r->vote_resp_due) {
        return;
    }
    ASSERT(r->vote != 0 && r->vote != r->id);
    if ((r->hs_term == r->term && r->hs_vote == r->vote) ||
        RAFT_BROKEN(RAFT_BREAK_VOTE_UNPERSISTED)) {
        r->vote_resp_due = false;
        vote_answer(r, true, r->vote);
    }
}

/* ---- standing ---- */

static void ask_for_votes(struct raft *r, uint8_t type)
{
    ASSERT(type == RAFT_MSG_PREVOTE || type == RAFT_MSG_VOTE);
    for (uint32_t i = 0; i < r->conf.count; i++) {
        const struct raft_member *member = &r->conf.members[i];
        if (member->id == r->id || (member->roles & (RAFT_ROLE_VOTER | RAFT_ROLE_OUTGOING)) == 0) {
            continue;
        }
        struct raft_msg *m = raft__out(r, type, member->id);
        m->term = type == RAFT_MSG_PREVOTE ? r->term + 1 : r->term;
        m->index = r->last;
        m->log_term = r->last_term;
        m->flags = r->campaign_transfer ? RAFT_MSG_F_TRANSFER : 0;
    }
}

/* Our own vote, as a bit; none when the last configuration is without us. */
static uint32_t own_vote(const struct raft *r)
{
    int at = raft__conf_find(&r->conf, r->id);
    ASSERT(at < (int)RAFT_MEMBERS_MAX);
    return at < 0 ? 0 : 1u << at;
}

static void stand_again_soon(struct raft *r)
{
    enum { PART_OF_TIMEOUT = 8 };
    unsigned doublings = r->stood < 3 ? r->stood : 3;
    uint64_t wait = (r->cfg.election_timeout_ns / PART_OF_TIMEOUT) << doublings;
    r->election_deadline = r->now + wait + rand_below(&r->rand, r->cfg.election_spread_ns / 2 + 1);
}

static void become_candidate(struct raft *r)
{
    ASSERT(r->peers_cap >= r->conf.count);
    raft__promise_break(r);
    raft__reset_election(r);
    r->role = RAFT_CANDIDATE;
    r->term++;
    r->vote = r->id;
    r->vote_resp_due = false;
    r->votes_granted = r->votes_refused = 0;
    r->votes_requested = false;
}

static void count_votes(struct raft *r)
{
    ASSERT(r->role == RAFT_PRECANDIDATE || r->role == RAFT_CANDIDATE);
    switch (raft__quorum_votes(&r->conf, r->votes_granted, r->votes_refused)) {
    case RAFT_VOTE_WON:
        if (r->role == RAFT_CANDIDATE) {
            raft__become_leader(r);
        } else {
            become_candidate(r);
        }
        break;
    case RAFT_VOTE_LOST:
        raft__become_follower(r, r->term, 0);
        stand_again_soon(r);
        break;
    case RAFT_VOTE_PENDING: break;
    }
}

void raft__campaign(struct raft *r, bool transfer)
{
    ASSERT(raft__may_campaign(r));
    if (r->leader != 0) {
        raft__read_fail(r, UINT64_MAX);
    }
    r->leader = 0;
    r->verified = r->acked = r->ack_sent_ns = 0;
    r->ack_due = false;
    r->transfer_to = 0;
    r->send_due = false;
    r->quiescent = false;
    r->campaign_transfer = transfer;
    if (transfer) {
        become_candidate(r);
        return;
    }
    stand_again_soon(r);
    r->stood++;
    r->role = RAFT_PRECANDIDATE;
    r->votes_granted = own_vote(r);
    r->votes_refused = 0;
    ask_for_votes(r, RAFT_MSG_PREVOTE);
    count_votes(r);
}

/* Our own vote has become durable: it counts now, and others may be asked for theirs. */
void raft__candidate_persisted(struct raft *r)
{
    ASSERT(r->role == RAFT_CANDIDATE);
    if (r->votes_requested || r->hs_term != r->term || r->hs_vote != r->id) {
        return;
    }
    r->votes_requested = true;
    r->votes_granted |= own_vote(r);
    ask_for_votes(r, RAFT_MSG_VOTE);
    count_votes(r);
}

void raft__candidate_response(struct raft *r, const struct raft_msg *m)
{
    bool pre = m->type == RAFT_MSG_PREVOTE_RESP;
    bool reject = (m->flags & RAFT_MSG_F_REJECT) != 0;
    if (r->role != (pre ? RAFT_PRECANDIDATE : RAFT_CANDIDATE)) {
        return;
    }
    if (pre && !reject && m->term != r->term + 1) {
        return; /* of an earlier attempt */
    }
    int at = raft__conf_find(&r->conf, m->from);
    if (at < 0 || ((r->votes_granted | r->votes_refused) & (1u << at)) != 0) {
        return;
    }
    ASSERT(at < RAFT_MEMBERS_MAX);
    if (reject) {
        r->votes_refused |= 1u << at;
        if (!pre) { /* it has voted for another, or will not; and others may be gone */
            stand_again_soon(r);
        }
    } else {
        r->votes_granted |= 1u << at;
    }
    count_votes(r);
}
