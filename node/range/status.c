#include "node/range/range_int.h"

#include "base/assert.h"

/* What others may know of a replica: the owner publishes a copy now and then. */

void replica_publish_info(struct range_loop *l, struct replica *r)
{
    struct raft_status st;
    struct replica_info info = {0};
    const struct range_desc *d = replica_desc(r);
    uint64_t now = clock_mono_ns();
    raft_status(r->raft, &st);
    info.role = st.role;
    info.quiescent = st.quiescent;
    info.raft_term = st.term;
    for (unsigned i = 0; i < d->replica_count && i < RAFT_MEMBERS_MAX; i++) {
        struct range_member_status *m = &info.members[info.member_count++];
        *m = (struct range_member_status){.node = d->replicas[i].node,
                                          .replica_id = d->replicas[i].replica_id,
                                          .kind = d->replicas[i].kind};
        for (uint32_t k = 0; k < st.peer_count; k++) {
            const struct raft_peer_status *p = &st.peers[k];
            if (p->id != m->replica_id) {
                continue;
            }
            bool self = m->node == l->rs->ident.node_id;
            m->match = p->match;
            m->caught_up =
                self || (p->match != 0 && !p->stateless &&
                         (p->state == RAFT_REPLICATE || p->match >= raft_last_index(r->raft)));
            m->live = self || st.quiescent || p->acked_sent_ns + RANGE_ELECTION_NS > now;
        }
    }
    pthread_mutex_lock(&r->info_lock);
    r->info = info;
    pthread_mutex_unlock(&r->info_lock);
}

static void tell_status(struct range_store *rs, struct replica *r, struct range_status *ret_status)
{
    uint64_t term = atomic_load(&r->lease_term);
    pthread_mutex_lock(&r->info_lock);
    struct replica_info info = r->info;
    pthread_mutex_unlock(&r->info_lock);
    if (info.member_count == 0) { /* a group of one publishes nothing */
        info.role = term != 0 ? RAFT_LEADER : RAFT_FOLLOWER;
        info.raft_term = term;
        info.member_count = 1;
        info.members[0] = (struct range_member_status){.node = rs->ident.node_id,
                                                       .replica_id = r->replica_id,
                                                       .kind = REPLICA_VOTER,
                                                       .match = atomic_load(&r->applied_index),
                                                       .caught_up = true,
                                                       .live = true};
    }
    *ret_status = (struct range_status){
        .id = r->id,
        .serving = term != 0,
        .replica_id = r->replica_id,
        .leader_node = atomic_load(&r->leader_node),
        .role = info.role,
        .quiescent = info.quiescent,
        .raft_term = info.raft_term,
        .member_count = info.member_count,
        .term = term,
        .applied = atomic_load(&r->applied_index),
        .compacted = atomic_load(&r->compacted_index),
        .size = atomic_load(&r->size),
        .owner_loop = atomic_load(&r->owner) - 1,
        .proposals = atomic_load(&r->proposal_count),
        .load = atomic_load(&r->load_rate),
    };
    memcpy(ret_status->members, info.members, sizeof(info.members));
}

db_err range_store_status(struct range_store *rs, range_id_t id, struct range_status *ret_status)
{
    unsigned slot = ebr_enter(&rs->ebr); /* the caller may be no loop */
    struct replica *r = replica_find_live(rs, id);
    if (r != NULL) {
        tell_status(rs, r, ret_status);
    }
    ebr_leave(&rs->ebr, slot);
    return r == NULL ? ERR_RANGE_NOT_FOUND : ERR_OK;
}

static uint64_t load_of_all(struct range_store *rs)
{
    uint64_t sum = 0;
    unsigned slot = ebr_enter(&rs->ebr);
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        struct replica *r = atomic_load(&rs->buckets[i]);
        for (; r != NULL; r = atomic_load(&r->map_next)) {
            sum += atomic_load_explicit(&r->load_rate, memory_order_relaxed);
        }
    }
    ebr_leave(&rs->ebr, slot);
    return sum;
}

void range_store_get_stats(struct range_store *rs, struct range_store_stats *ret_stats)
{
    *ret_stats = (struct range_store_stats){
        .ranges = atomic_load(&rs->replica_count),
        .proposals = atomic_load(&rs->stat_proposals),
        .log_submits = atomic_load(&rs->stat_submits),
        .applies = atomic_load(&rs->stat_applies),
        .applied_entries = atomic_load(&rs->stat_entries),
        .owner_moves = atomic_load(&rs->stat_moves),
        .splits = atomic_load(&rs->stat_splits),
        .merges = atomic_load(&rs->stat_merges),
        .forced_flushes = atomic_load(&rs->stat_flushes),
        .disk_full = atomic_load(&rs->disk_full) != 0,
        .leases = atomic_load(&rs->stat_leases),
        .asleep = atomic_load(&rs->stat_asleep),
        .messages_in = atomic_load(&rs->stat_in),
        .messages_out = atomic_load(&rs->stat_out),
        .snapshots_sent = atomic_load(&rs->stat_snap_sent),
        .snapshots_received = atomic_load(&rs->stat_snap_received),
        .snapshot_bytes_sent = atomic_load(&rs->stat_snap_bytes),
        .replicas_removed = atomic_load(&rs->stat_removed),
        .load = load_of_all(rs),
        .objects = atomic_load(&rs->replica_objects),
        .gone = gone_count(&rs->gone),
    };
}
