#include "node/range/range_int.h"

#include "base/assert.h"

/* How much of a group's log is kept for members that are behind.
 *
 * The engine needs nothing before its durable applied index; a member that is behind needs the
 * entries after its own, or else a snapshot of the whole range. A leader therefore keeps what any
 * member that was heard of lately still needs, within a bound of bytes. A follower does not know
 * what the others have, nor does a leader that has not heard of all yet; they keep the last while,
 * so that they can go on from where the old leader stood. It matters beyond the work that it saves:
 * who gets a snapshot instead of the entry of a split has nothing of the new half, and if a quorum
 * of that is so, it depends on the few that have it to keep leading until they have sent it. When
 * the shared log is short of space nothing is kept for others. */

/* Between half of it and all of it is kept at most. */
enum { KEEP_BYTES_MAX = 64 << 20 };

void retain_note(struct replica *r, uint64_t last_index, uint64_t bytes)
{
    r->kept_bytes += bytes;
    if (r->kept_bytes >= KEEP_BYTES_MAX / 2) {
        r->kept_bytes = 0;
        r->keep_from[0] = r->keep_from[1];
        r->keep_from[1] = last_index;
    }
}

static uint64_t needed_by_others(const struct replica *r, uint64_t index, uint64_t now,
                                 bool *ret_unknown)
{
    struct raft_status st;
    uint64_t away = (uint64_t)r->rs->opts.member_away_ms * NS_PER_MS;
    raft_status(r->raft, &st);
    for (uint32_t i = 0; i < st.peer_count; i++) {
        const struct raft_peer_status *p = &st.peers[i];
        bool live = st.quiescent || p->acked_sent_ns + away > now;
        *ret_unknown = *ret_unknown || (p->id != r->replica_id && p->match == 0);
        if (p->id != r->replica_id && live && p->match != 0 && p->match < index) {
            index = p->match;
        }
    }
    return index;
}

/* What was durable a while ago. */
static uint64_t of_late(struct replica *r, uint64_t index, uint64_t now)
{
    if (now - r->keep_mark_ns >= r->rs->opts.log_keep_ms * (uint64_t)NS_PER_MS) {
        r->keep_old = r->keep_mark;
        r->keep_mark = index;
        r->keep_mark_ns = now;
    }
    return r->keep_old < index ? r->keep_old : index;
}

uint64_t retain_limit(struct replica *r, uint64_t index, bool short_of_space)
{
    uint64_t now = clock_mono_ns();
    if (r->snapshots_out != 0 && index > r->snapshot_hold) {
        index = r->snapshot_hold;
    }
    if (short_of_space || !atomic_load(&r->on_lane)) {
        return index;
    }
    uint64_t late = of_late(r, index, now);
    bool unknown = raft_role(r->raft) != RAFT_LEADER;
    uint64_t keep = unknown ? late : needed_by_others(r, index, now, &unknown);
    keep = unknown && late < keep ? late : keep;
    if (keep < r->keep_from[0]) {
        keep = r->keep_from[0];
    }
    return keep < index ? keep : index;
}
