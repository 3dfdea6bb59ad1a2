/* The invariants. The checker sees more than any replica: all logs, all commits, true time.
 *
 * - election safety: one leader per term.
 *
 * - log matching: an entry (index, term) has the same history in every log (by chain hash).
 *
 * - leader completeness: a new leader's log holds everything that leaders of earlier terms have
 * committed.
 *
 * - state-machine safety: what is committed at an index is the same on all, is applied in order,
 * only when durable, and never changes.
 *
 * - lease exclusivity: at no true time do two replicas hold a valid lease, told or published; and a
 * holder's commit index is not behind anybody's.
 *
 * - reads: a read index is not below what anybody knew to be committed when the read began.
 *
 * - liveness: when all faults end, every group elects a leader, and every member of its
 * configuration applies a new entry, without standing still on the way. */
#include "tests/sim/sim.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "node/raft/raft_int.h"

/* ---- log matching ---- */

static struct sim_match *match_slot(struct sim_group *g, uint64_t index, uint64_t term)
{
    uint64_t key[2] = {index, term};
    size_t at = (size_t)sim_hash(1, key, sizeof(key)) & (g->match_cap - 1);
    while (g->matches[at].index != 0 &&
           (g->matches[at].index != index || g->matches[at].term != term)) {
        at = (at + 1) & (g->match_cap - 1);
    }
    return &g->matches[at];
}

static void matches_grow(struct sim_group *g)
{
    struct sim_match *old = g->matches;
    size_t old_cap = g->match_cap;
    g->match_cap = old_cap == 0 ? 4096 : old_cap * 2;
    g->matches = mem_calloc(g->match_cap, sizeof(*g->matches));
    ASSERT(g->matches != NULL);
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].index != 0) {
            *match_slot(g, old[i].index, old[i].term) = old[i];
        }
    }
    mem_free(old);
}

void sim_check_entry(struct sim_replica *rep, const struct sim_entry *e)
{
    struct sim_group *g = &rep->sim->groups[rep->group];
    if (g->match_count * 2 >= g->match_cap) {
        matches_grow(g);
    }
    struct sim_match *m = match_slot(g, e->e.index, e->e.term);
    if (m->index == 0) {
        *m = (struct sim_match){e->e.index, e->e.term, e->chain};
        g->match_count++;
    } else if (m->chain != e->chain) {
        sim_violation(rep->sim, "log matching: replica %lu, index %lu, term %lu",
                      (unsigned long)rep->id, (unsigned long)e->e.index, (unsigned long)e->e.term);
    }
}

void sim_check_fini(struct sim_group *g)
{
    mem_free(g->chains);
    mem_free(g->states);
    mem_free(g->matches);
}

/* How far rep->mem is the core's log: what the core has not handed to a busy disk yet is not in it.
 */
static uint64_t visible(const struct sim_replica *rep)
{
    uint64_t last = sim_log_last(&rep->mem);
    return last < rep->raft->handed ? last : rep->raft->handed;
}

/* ---- elections ---- */

static void check_elected(struct sim_replica *rep, const struct raft_status *st)
{
    struct sim *s = rep->sim;
    struct sim_group *g = &s->groups[rep->group];
    ASSERT(st->term < SIM_TERMS_MAX);
    s->elections++;
    if (g->leader_of_term[st->term] != 0 && g->leader_of_term[st->term] != rep->id) {
        sim_violation(s, "election safety: replicas %lu and %lu lead term %lu",
                      (unsigned long)rep->id, (unsigned long)g->leader_of_term[st->term],
                      (unsigned long)st->term);
    }
    g->leader_of_term[st->term] = rep->id;
    g->term_max = st->term > g->term_max ? st->term : g->term_max;
    uint64_t committed = 0;
    for (uint64_t t = 0; t < st->term; t++) {
        committed = g->commit_of_term[t] > committed ? g->commit_of_term[t] : committed;
    }
    uint64_t chain = 0;
    if (committed > 0 &&
        (!sim_log_chain(&rep->mem, committed, &chain) || chain != g->chains[committed])) {
        /* Compacted beyond it: then it has been applied, and was compared there. Not handed to the
         * disk yet: it is compared when it is. */
        bool waits = committed > visible(rep) && committed <= st->last_index;
        if (committed > rep->mem.base_index && !waits) {
            sim_violation(s, "leader completeness: replica %lu leads term %lu without index %lu",
                          (unsigned long)rep->id, (unsigned long)st->term,
                          (unsigned long)committed);
        }
    }
}

/* ---- commits ---- */

static void chains_grow(struct sim_group *g, uint64_t index)
{
    if (index < g->chains_cap) {
        return;
    }
    size_t cap = g->chains_cap == 0 ? 1024 : g->chains_cap;
    while (cap <= index) {
        cap *= 2;
    }
    g->chains = mem_realloc(g->chains, cap * sizeof(*g->chains));
    g->states = mem_realloc(g->states, cap * sizeof(*g->states));
    ASSERT(g->chains != NULL && g->states != NULL);
    memset(g->chains + g->chains_cap, 0, (cap - g->chains_cap) * sizeof(*g->chains));
    memset(g->states + g->chains_cap, 0, (cap - g->chains_cap) * sizeof(*g->states));
    g->chains_cap = cap;
}

static void check_commit(struct sim_replica *rep, const struct raft_status *st)
{
    struct sim *s = rep->sim;
    struct sim_group *g = &s->groups[rep->group];
    chains_grow(g, st->commit);
    uint64_t chain = 0;
    /* An entry may be committed before it was handed to the disk: it is seen at the next step then.
     */
    uint64_t last = visible(rep);
    uint64_t commit = st->commit < last ? st->commit : last;
    for (uint64_t i = g->commit + 1; i <= commit; i++) {
        bool have = sim_log_chain(&rep->mem, i, &chain);
        ASSERT(have);
        g->chains[i] = chain;
        s->commits++;
    }
    g->commit = commit > g->commit ? commit : g->commit;
    if (sim_log_chain(&rep->mem, commit, &chain) && commit > 0 && g->chains[commit] != chain) {
        sim_violation(s, "state-machine safety: replica %lu has committed another index %lu",
                      (unsigned long)rep->id, (unsigned long)commit);
    }
    if (st->role == RAFT_LEADER && commit > g->commit_of_term[st->term]) {
        g->commit_of_term[st->term] = commit;
    }
    rep->seen_commit = st->commit;
    rep->seen_waits = commit < st->commit;
}

/* After every step of a replica, and before what it says leaves it. */
void sim_check_step(struct sim_replica *rep)
{
    struct raft_status st;
    raft_status(rep->raft, &st);
    if (st.term < rep->seen_term) {
        sim_violation(rep->sim, "replica %lu: term goes back", (unsigned long)rep->id);
    }
    bool elected =
        st.role == RAFT_LEADER && (rep->seen_role != RAFT_LEADER || rep->seen_term != st.term);
    rep->seen_role = st.role;
    rep->seen_term = st.term;
    if (elected) {
        check_elected(rep, &st);
    }
    if (st.commit != rep->seen_commit || rep->seen_waits) {
        check_commit(rep, &st);
    }
}

void sim_check_apply(struct sim_replica *rep, const struct raft_entry *e)
{
    struct sim *s = rep->sim;
    const struct sim_entry *mine = sim_log_at(&rep->disk, e->index);
    if (e->index != rep->state.applied + 1) {
        sim_violation(s, "replica %lu applies %lu after %lu", (unsigned long)rep->id,
                      (unsigned long)e->index, (unsigned long)rep->state.applied);
    }
    if (mine == NULL || mine->e.term != e->term) {
        sim_violation(s, "replica %lu applies index %lu, which is not durable",
                      (unsigned long)rep->id, (unsigned long)e->index);
    }
}

/* ---- leases and reads ---- */

void sim_check_leases(struct sim *s)
{
    for (uint32_t g = 0; g < s->group_count; g++) {
        const struct sim_replica *holder = NULL;
        for (uint32_t i = 0; i < s->node_count; i++) {
            struct sim_replica *rep = &s->nodes[i].replicas[g];
            if (rep->raft == NULL) {
                continue;
            }
            uint64_t now = sim_local(rep->node, s->now);
            bool valid = rep->published.valid && now < rep->published.until_ns;
            if (raft_role(rep->raft) == RAFT_LEADER) {
                valid = valid || raft_lease(rep->raft, now).valid;
            }
            if (!valid) {
                continue;
            }
            if (holder != NULL) {
                sim_violation(s, "lease exclusivity: replicas %lu and %lu of group %u",
                              (unsigned long)holder->id, (unsigned long)rep->id, g);
            }
            holder = rep;
            if (rep->seen_commit < s->groups[g].commit) {
                sim_violation(s, "lease of replica %lu: commit %lu, others have %lu",
                              (unsigned long)rep->id, (unsigned long)rep->seen_commit,
                              (unsigned long)s->groups[g].commit);
            }
        }
    }
}

void sim_check_read(struct sim_replica *rep, const struct raft_read *read)
{
    struct sim *s = rep->sim;
    for (size_t i = 0; i < s->read_count; i++) {
        if (s->reads[i].context != read->context) {
            continue;
        }
        if (read->err == ERR_OK && read->index < s->reads[i].least) {
            sim_violation(s, "read at replica %lu: index %lu, but %lu was committed before",
                          (unsigned long)rep->id, (unsigned long)read->index,
                          (unsigned long)s->reads[i].least);
        }
        s->reads_done += read->err == ERR_OK ? 1 : 0;
        s->reads[i] = s->reads[--s->read_count];
        return;
    }
    sim_violation(s, "read %lu is answered twice", (unsigned long)read->context);
}

/* ---- liveness ---- */

static bool all_applied(struct sim *s, uint32_t group, uint64_t index, const struct raft_conf *conf)
{
    for (uint32_t i = 0; i < conf->count; i++) {
        uint32_t slot = (uint32_t)((conf->members[i].id - 1) % SIM_ID_STRIDE);
        const struct sim_replica *rep = &s->nodes[slot].replicas[group];
        if (rep->id == conf->members[i].id && rep->state.applied < index) {
            return false;
        }
    }
    return true;
}

static uint64_t progress(const struct sim *s, uint32_t group)
{
    uint64_t sum = s->groups[group].commit;
    for (uint32_t i = 0; i < s->node_count; i++) {
        sum += s->nodes[i].replicas[group].state.applied;
    }
    return sum;
}

/* Some runs have windows so small that catching up takes long: what counts is that the group never
 * stands still. */
static void group_liveness(struct sim *s, uint32_t group)
{
    uint64_t cap = s->now + 200 * NS_PER_S;
    uint64_t until = s->now + 20 * NS_PER_S;
    uint64_t index = 0;
    uint64_t seen = progress(s, group);
    while (s->now < until && s->now < cap && s->violation[0] == '\0') {
        struct sim_replica *leader = sim_leader(s, group);
        if (index == 0 && leader != NULL && sim_propose(leader, 1, 16) == ERR_OK) {
            index = raft_last_index(leader->raft);
        }
        sim_run_until(s, s->now + 50 * NS_PER_MS);
        leader = sim_leader(s, group);
        if (progress(s, group) > seen) {
            seen = progress(s, group);
            until = s->now + 20 * NS_PER_S;
        }
        if (leader == NULL || index == 0 || s->groups[group].commit < index) {
            /* The leader may have lost office with the entry: propose again, now and then; seldom
             * enough for it to be seen that the old one does not come through. */
            if (s->now % (5 * NS_PER_S) < 50 * NS_PER_MS && leader != NULL &&
                index > raft_last_index(leader->raft)) {
                index = 0;
            }
            continue;
        }
        struct raft_status st;
        raft_status(leader->raft, &st);
        if (!raft_conf_is_joint(&st.conf) && all_applied(s, group, index, &st.conf)) {
            return;
        }
    }
    sim_violation(s, "liveness: group %u does not recover (index %lu, commit %lu)", group,
                  (unsigned long)index, (unsigned long)s->groups[group].commit);
}

void sim_check_liveness(struct sim *s)
{
    for (uint32_t g = 0; g < s->group_count; g++) {
        group_liveness(s, g);
    }
}
