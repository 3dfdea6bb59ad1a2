/* Sleep: an idle group sends nothing.
 *
 * Going to sleep. A leader that has had nothing to do for a while, whose members all hold the whole
 * log durably and know that it is committed, marks its heartbeats QUIESCE. A follower that agrees
 * (same last entry, durable) stops its election timer, extends its promise to its link to the
 * leader's node as it stands (the link's epoch is remembered), and answers with that epoch. When
 * all members have answered with the epoch that the leader's own link has from them, the leader
 * stops sending.
 *
 * While asleep. The heartbeat between the two nodes keeps link.promise_until_ns moving on the
 * follower's node, and link.held_sent_ns on the leader's; promise and lease of all sleeping groups
 * follow, at no cost per group.
 *
 * Waking. Anything to do on the leader, any message of the group, or RAFT_EV_WAKE from the owner
 * when a link has died or changed its epoch. A follower that woke up alone (by an old, repeated
 * message) is still bound by what it has promised to the link: it waits. When the promise has run
 * out and it breaks it, it raises the link's epoch first, and no answer of its node counts for a
 * group of the old epoch any more.
 *
 * A leader may lose office while its followers sleep (its call to wake may be lost, and it may step
 * down or be removed before the next); its node lives, so the link goes on. A follower that refuses
 * a vote, or does not stand itself, only because of its link, therefore asks the leader (POKE): if
 * it still leads it wakes up, else it releases the follower (RELEASE).
 *
 * Why an answer of the old epoch, given before, is harmless: it vouches for the time at which it
 * was given, and the promise ran from there. Why a follower that was drawn into a later term by its
 * new leader need not raise the epoch: a quorum of others must have broken theirs to elect that
 * leader (or was released by the old one), and the old leader's lease needs one of them. */
#include "node/raft/raft_int.h"

/* Ends sleep, or the attempt to go to sleep. A leader tells the followers with a heartbeat. */
void raft__wake(struct raft *r)
{
    bool asleep = r->quiescent;
    r->quiescent = false;
    r->active_at = r->now;
    if (r->role != RAFT_LEADER) {
        if (asleep) {
            /* The leader has been silent for long: no reason to wait a whole time-out more. */
            ASSERT(r->election_wait >= r->cfg.election_timeout_ns);
            r->election_deadline = r->now + r->election_wait - r->cfg.election_timeout_ns;
        }
        return;
    }
    for (uint32_t i = 0; i < r->conf.count; i++) {
        struct raft__progress *p = &r->peers[i];
        if (p->link_epoch != 0) {
            asleep = true;
            if (p->link->held_epoch == p->link_epoch && p->link->held_sent_ns > p->acked_sent_ns) {
                p->acked_sent_ns = p->link->held_sent_ns;
            }
            p->link_epoch = 0;
        }
    }
    if (asleep) {
        r->leader_since = r->now; /* check-quorum starts anew */
        r->heartbeat_at = r->now;
        raft__heartbeat_all(r, 0);
    }
}

bool raft__can_quiesce(const struct raft *r)
{
    ASSERT(r->role == RAFT_LEADER);
    if (r->cfg.quiesce_after_ns == UINT64_MAX || r->cfg.link == NULL ||
        r->now - r->active_at < r->cfg.quiesce_after_ns) {
        return false;
    }
    if (r->commit != r->last || r->persisted != r->last || r->applied != r->last ||
        r->write_count > 0 || r->read_count > 0 || r->transfer_to != 0 || r->lease_given_up ||
        r->conf_joint) {
        return false;
    }
    for (uint32_t i = 0; i < r->conf.count; i++) {
        const struct raft__progress *p = &r->peers[i];
        if (p->id != r->id && (p->link == NULL || p->link->held_epoch == 0 ||
                               p->state != RAFT_REPLICATE || p->match != r->last)) {
            return false;
        }
    }
    return true;
}

/* Leader: a member has answered a QUIESCE heartbeat. */
void raft__quiesce_response(struct raft *r, struct raft__progress *p, const struct raft_msg *m)
{
    ASSERT(r->role == RAFT_LEADER);
    /* An answer to an earlier attempt, of before the last activity, says nothing about now. */
    if (!raft__can_quiesce(r) || m->index != r->last || m->sent_ns < r->active_at ||
        m->epoch == 0 || p->link->held_epoch != m->epoch) {
        return;
    }
    p->link_epoch = m->epoch;
    for (uint32_t i = 0; i < r->conf.count; i++) {
        if (r->peers[i].id != r->id && r->peers[i].link_epoch == 0) {
            return;
        }
    }
    r->quiescent = true;
}

/* Follower: nothing but the link keeps our promise alive. Is there still a leader behind it? */
void raft__poke(struct raft *r)
{
    if (r->role == RAFT_LEADER || r->now < r->promise_until || r->promised_link == NULL) {
        return;
    }
    ASSERT(r->promised_to != 0 && r->promised_term > 0);
    struct raft_msg *m = raft__out(r, RAFT_MSG_POKE, r->promised_to);
    m->context = r->promised_term;
}

/* Both sides of it. Terms play no part: what is released is a promise to a leader of the term in
 * `context`. */
void raft__poke_message(struct raft *r, const struct raft_msg *m)
{
    if (m->type == RAFT_MSG_POKE) {
        if (r->role == RAFT_LEADER && r->term == m->context) {
            raft__wake(r);
            return;
        }
        struct raft_msg *resp = raft__out(r, RAFT_MSG_RELEASE, m->from);
        resp->term = m->term; /* ours may be 0 */
        resp->context = m->context;
        return;
    }
    ASSERT(m->type == RAFT_MSG_RELEASE);
    if (r->promised_to == m->from && r->promised_term <= m->context) {
        r->promised_to = 0;
        r->promised_link = NULL;
        r->promise_until = r->silent_until;
        raft__wake(r);
    }
}

/* Follower: may we sleep? */
bool raft__quiesce_request(struct raft *r, const struct raft_msg *m, uint64_t *ret_epoch)
{
    ASSERT(r->role == RAFT_FOLLOWER);
    if (m->index != r->last || m->log_term != r->last_term || r->persisted != r->last ||
        r->commit != r->last || r->hs_term != r->term || r->read_count > 0 || r->snapshot_pending ||
        r->cfg.link == NULL) {
        return false;
    }
    struct raft_link *link = r->cfg.link(r->cfg.link_ctx, m->from);
    if (link == NULL || link->promise_until_ns <= r->now) {
        return false;
    }
    r->promised_link = link;
    r->promised_epoch = link->promise_epoch;
    r->quiescent = true;
    *ret_epoch = link->promise_epoch;
    return true;
}
