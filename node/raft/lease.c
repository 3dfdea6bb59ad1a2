/* Promises, the leader's lease, and the links that keep both alive while a group sleeps.
 *
 * Promise (every replica). Whoever hears from a leader promises not to vote for anybody else for
 * one election time-out from then. A replica that has just started may have promised something it
 * has forgotten, so it keeps quiet for one election time-out too (a sole voter has nobody to have
 * promised anything to). A leader that is in contact with a quorum refuses votes in the same way.
 *
 * An answer is sent only when the term is durable: a replica without a term has never promised
 * anything, and all others keep quiet after a start.
 *
 * Lease (leader). Every message carries the time at which it was sent, by the leader's clock, and
 * answers echo it. An answer to a message sent at s proves a promise that was made after s and
 * holds, by the follower's clock, for one election time-out; so nobody can have been elected with
 * that follower's vote before s + election time-out - margin on the leader's clock, when the margin
 * covers the difference of the clocks' rates. The lease ends at that time for the s which a quorum
 * has reached. The leader's own promise is to itself.
 *
 * The lease counts only when an entry of the leader's term is committed (before that its
 * configuration could be older than that of a quorum) and while the leader is a voter of its last
 * configuration. A leader that tells another replica to take over releases the followers from their
 * promises, so it gives its lease up for the rest of the term (if the transfer fails it stands for
 * election anew, to have a lease again).
 *
 * Three things release a promise early: a vote request with the TRANSFER flag; a vote request by
 * the very replica the promise was made to (it is not the leader any more); and a message of a
 * leader of a later term, which a quorum has elected after their promises had ended.
 *
 * Links: see quiesce.c. */
#include "node/raft/raft_int.h"

void raft_link_init(struct raft_link *link, uint64_t own_incarnation)
{
    ASSERT(own_incarnation > 0 && own_incarnation <= UINT32_MAX);
    *link = (struct raft_link){.promise_epoch = own_incarnation << 32};
}

bool raft_link_heard(struct raft_link *link, uint64_t peer_incarnation, uint64_t now_ns,
                     uint64_t election_timeout_ns)
{
    ASSERT(link->promise_epoch > 0);
    if (peer_incarnation < link->peer_incarnation) {
        return false; /* a late packet of its former life */
    }
    bool restarted = link->peer_incarnation != 0 && link->peer_incarnation != peer_incarnation;
    if (restarted) {
        /* Its leaders are gone and their leases with them. */
        link->promise_epoch++;
        link->promise_until_ns = 0;
    }
    link->peer_incarnation = peer_incarnation;
    uint64_t until = now_ns + election_timeout_ns;
    link->promise_until_ns = link->promise_until_ns > until ? link->promise_until_ns : until;
    return restarted;
}

bool raft_link_acked(struct raft_link *link, uint64_t epoch, uint64_t sent_ns)
{
    ASSERT(link->promise_epoch > 0);
    if (epoch < link->held_epoch) {
        return false;
    }
    bool changed = epoch != link->held_epoch;
    if (changed || sent_ns > link->held_sent_ns) {
        link->held_sent_ns = sent_ns;
    }
    link->held_epoch = epoch;
    return changed;
}

uint64_t raft__promise_until(const struct raft *r)
{
    uint64_t until = r->promise_until;
    const struct raft_link *link = r->promised_link;
    ASSERT(link == NULL || r->promised_epoch <= link->promise_epoch);
    if (link != NULL && link->promise_epoch == r->promised_epoch &&
        link->promise_until_ns > until) {
        until = link->promise_until_ns;
    }
    return until;
}

bool raft__promise_holds(const struct raft *r, uint64_t candidate)
{
    ASSERT(candidate != 0);
    if (r->role == RAFT_LEADER) {
        uint64_t contact = raft__quorum_contact(r, r->now);
        contact = contact > r->leader_since ? contact : r->leader_since;
        return r->now < contact || r->now - contact < r->cfg.election_timeout_ns;
    }
    return r->now < r->silent_until ||
           (r->promised_to != candidate && r->now < raft__promise_until(r));
}

/* Before a vote is given, or asked for. A promise to a link that has run out is withdrawn by
 * raising the epoch: whoever leans on the old one learns that it is over. One that still runs has
 * been released by the leader it was made to; the epoch must stand then, because other groups'
 * promises rest on it. */
void raft__promise_break(struct raft *r)
{
    struct raft_link *link = r->promised_link;
    ASSERT(link == NULL || r->promised_epoch <= link->promise_epoch);
    if (link != NULL && link->promise_epoch == r->promised_epoch &&
        link->promise_until_ns <= r->now && !RAFT_BROKEN(RAFT_BREAK_KEEP_EPOCH)) {
        link->promise_epoch++;
    }
    r->promised_link = NULL;
    r->quiescent = false;
}

/* The latest time (our clock) such that a quorum has answered something sent then or later. */
uint64_t raft__quorum_contact(const struct raft *r, uint64_t now)
{
    uint64_t values[RAFT_MEMBERS_MAX];
    ASSERT(r->role == RAFT_LEADER);
    for (uint32_t i = 0; i < r->conf.count; i++) {
        const struct raft__progress *p = &r->peers[i];
        uint64_t v = p->acked_sent_ns;
        if (p->link_epoch != 0 && p->link->held_epoch == p->link_epoch &&
            p->link->held_sent_ns > v) {
            v = p->link->held_sent_ns;
        }
        values[i] = p->id == r->id ? now : v;
    }
    return raft__quorum_value(r, values);
}

struct raft_lease raft__lease(const struct raft *r, uint64_t now)
{
    struct raft_lease none = {.valid = false, .term = r->term, .until_ns = 0};
    if (r->role != RAFT_LEADER || r->commit < r->term_start || r->lease_given_up ||
        !r->self_voter) {
        return none;
    }
    if (r->sole_voter) {
        return (struct raft_lease){.valid = true, .term = r->term, .until_ns = UINT64_MAX};
    }
    uint64_t contact = raft__quorum_contact(r, now);
    ASSERT(r->cfg.lease_margin_ns < r->cfg.election_timeout_ns);
    uint64_t until = contact + r->cfg.election_timeout_ns - r->cfg.lease_margin_ns;
    if (contact == 0 || until <= now) {
        return none;
    }
    return (struct raft_lease){.valid = true, .term = r->term, .until_ns = until};
}

struct raft_lease raft_lease(const struct raft *raft, uint64_t now_ns)
{
    ASSERT(raft->id != 0);
    return raft__lease(raft, now_ns > raft->now ? now_ns : raft->now);
}
