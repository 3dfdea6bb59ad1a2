/* Majorities, plain and joint: what a quorum has reached, and how a vote stands. A joint decision
 * needs a majority of the new voters and one of the old. */
#include "node/raft/raft_int.h"

/* The value that a majority of the members with `role` reaches: sorted downwards, the one in the
 * middle. */
static uint64_t majority_value(const struct raft_conf *conf, uint8_t role, const uint64_t *values)
{
    uint64_t sorted[RAFT_MEMBERS_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < conf->count; i++) {
        if ((conf->members[i].roles & role) == 0) {
            continue;
        }
        uint32_t at = n++;
        for (; at > 0 && sorted[at - 1] < values[i]; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = values[i];
    }
    ASSERT(n <= RAFT_MEMBERS_MAX);
    /* No voter at all reaches everything: the caller takes the minimum over both halves. */
    return n == 0 ? UINT64_MAX : sorted[n / 2];
}

uint64_t raft__quorum_value(const struct raft *r, const uint64_t *values)
{
    ASSERT(r->conf.count <= RAFT_MEMBERS_MAX);
    uint64_t value = majority_value(&r->conf, RAFT_ROLE_VOTER, values);
    if (r->conf_joint && !RAFT_BROKEN(RAFT_BREAK_JOINT_NEW_ONLY)) {
        uint64_t old = majority_value(&r->conf, RAFT_ROLE_OUTGOING, values);
        value = old < value ? old : value;
    }
    /* A replica that knows no voter (not initialised yet) never has a quorum. */
    return value == UINT64_MAX && r->conf.count == 0 ? 0 : value;
}

static enum raft__vote_result majority_votes(const struct raft_conf *conf, uint8_t role,
                                             uint32_t granted, uint32_t refused)
{
    uint32_t voters = 0;
    for (uint32_t i = 0; i < conf->count; i++) {
        if ((conf->members[i].roles & role) != 0) {
            voters |= 1u << i;
        }
    }
    int needed = __builtin_popcount(voters) / 2 + 1;
    ASSERT((granted & refused) == 0);
    if (voters == 0) {
        return RAFT_VOTE_LOST;
    }
    if (__builtin_popcount(granted & voters) >= needed) {
        return RAFT_VOTE_WON;
    }
    return __builtin_popcount(voters & ~refused) < needed ? RAFT_VOTE_LOST : RAFT_VOTE_PENDING;
}

enum raft__vote_result raft__quorum_votes(const struct raft_conf *conf, uint32_t granted,
                                          uint32_t refused)
{
    enum raft__vote_result now = majority_votes(conf, RAFT_ROLE_VOTER, granted, refused);
    ASSERT(conf->count <= RAFT_MEMBERS_MAX);
    if (!raft_conf_is_joint(conf) || RAFT_BROKEN(RAFT_BREAK_JOINT_NEW_ONLY)) {
        return now;
    }
    enum raft__vote_result old = majority_votes(conf, RAFT_ROLE_OUTGOING, granted, refused);
    if (now == RAFT_VOTE_LOST || old == RAFT_VOTE_LOST) {
        return RAFT_VOTE_LOST;
    }
    return now == RAFT_VOTE_WON && old == RAFT_VOTE_WON ? RAFT_VOTE_WON : RAFT_VOTE_PENDING;
}
