/* Linearizable reads without a log entry.
 *
 * A leader that holds its lease answers with its commit index at once. Without a lease it must
 * first be sure that no later leader has been elected: reads that came in since the last round
 * share the next one, a number that heartbeats carry and answers echo. When a quorum has answered a
 * round, the reads that were waiting when the round was sent are safe at the commit index of now.
 * Either way an entry of the leader's term must be committed, or its commit index may be older than
 * what its predecessor has told clients.
 *
 * A follower asks its leader. The cookie it sends is from a random start, so that an answer to a
 * question of before a restart is never taken for one of now. Unanswered questions fail after an
 * election time-out or when the leader changes; the reader asks again. */
#include "node/raft/raft_int.h"

#include "base/alloc.h"

/* Room for one more pending read, and for the answers of all that are pending. */
db_err raft__read_reserve(struct raft *r)
{
    ASSERT(r->read_count <= r->read_cap);
    if (r->read_count == r->read_cap) {
        size_t cap = r->read_cap == 0 ? 8 : r->read_cap * 2;
        struct raft__pending_read *reads = mem_realloc(r->reads, cap * sizeof(*reads));
        if (reads == NULL) {
            return ERR_NOMEM;
        }
        r->reads = reads;
        r->read_cap = cap;
    }
    if (r->reads_done_cap < r->reads_done_count + r->read_count + 1) {
        size_t cap = (r->reads_done_count + r->read_count + 4) * 2;
        struct raft_read *done = mem_realloc(r->reads_done, cap * sizeof(*done));
        if (done == NULL) {
            return ERR_NOMEM;
        }
        r->reads_done = done;
        r->reads_done_cap = cap;
    }
    return ERR_OK;
}

static void read_done(struct raft *r, const struct raft__pending_read *p, uint64_t index,
                      db_err err)
{
    if (p->from != 0) {
        struct raft_msg *m = raft__out(r, RAFT_MSG_READ_RESP, p->from);
        m->context = p->context;
        m->index = index;
        m->flags = err == ERR_OK ? 0 : RAFT_MSG_F_REJECT;
        return;
    }
    ASSERT(r->reads_done_count < r->reads_done_cap);
    r->reads_done[r->reads_done_count++] =
        (struct raft_read){.context = p->context, .index = index, .err = err};
}

/* A read that has come to the leader, its own or a follower's. */
static void leader_read(struct raft *r, uint64_t context, uint64_t from)
{
    ASSERT(r->role == RAFT_LEADER);
    struct raft__pending_read p = {.context = context, .from = from, .since_ns = r->now};
    bool safe = raft__lease(r, r->now).valid || RAFT_BROKEN(RAFT_BREAK_READ_NO_QUORUM);
    if (safe && r->commit >= r->term_start) {
        read_done(r, &p, r->commit, ERR_OK);
        return;
    }
    raft__wake(r);
    p.round = r->read_round + 1;
    r->reads[r->read_count++] = p;
}

db_err raft__read(struct raft *r, uint64_t context)
{
    if (r->read_count >= RAFT_READS_MAX) {
        return ERR_BUSY;
    }
    TRY(raft__read_reserve(r));
    if (r->role == RAFT_LEADER) {
        leader_read(r, context, 0);
        return ERR_OK;
    }
    if (r->leader == 0) {
        return ERR_NOT_LEADER;
    }
    ASSERT(r->leader != r->id);
    struct raft__pending_read p = {.context = context, .id = ++r->read_id, .since_ns = r->now};
    r->reads[r->read_count++] = p;
    struct raft_msg *m = raft__out(r, RAFT_MSG_READ, r->leader);
    m->context = p.id;
    return ERR_OK;
}

db_err raft__read_message(struct raft *r, const struct raft_msg *m)
{
    if (m->type == RAFT_MSG_READ) {
        if (r->role == RAFT_LEADER && r->read_count < RAFT_READS_MAX) {
            TRY(raft__read_reserve(r));
            leader_read(r, m->context, m->from);
        } else {
            struct raft_msg *resp = raft__out(r, RAFT_MSG_READ_RESP, m->from);
            resp->context = m->context;
            resp->flags = RAFT_MSG_F_REJECT;
        }
        return ERR_OK;
    }
    ASSERT(m->type == RAFT_MSG_READ_RESP);
    for (size_t i = 0; r->role != RAFT_LEADER && i < r->read_count; i++) {
        if (r->reads[i].from == 0 && r->reads[i].id == m->context) {
            bool ok = (m->flags & RAFT_MSG_F_REJECT) == 0;
            read_done(r, &r->reads[i], m->index, ok ? ERR_OK : ERR_NOT_LEADER);
            r->read_count--;
            for (size_t k = i; k < r->read_count; k++) {
                r->reads[k] = r->reads[k + 1];
            }
            break;
        }
    }
    return ERR_OK;
}

/* Leader: answers what has become safe. */
void raft__read_resolve(struct raft *r)
{
    if (r->read_count == 0 || r->commit < r->term_start) {
        return;
    }
    ASSERT(r->role == RAFT_LEADER);
    uint64_t values[RAFT_MEMBERS_MAX];
    for (uint32_t i = 0; i < r->conf.count; i++) {
        values[i] = r->peers[i].id == r->id ? r->read_round : r->peers[i].read_acked;
    }
    uint64_t round = raft__quorum_value(r, values);
    size_t n = 0;
    while (n < r->read_count && r->reads[n].round <= round) {
        read_done(r, &r->reads[n], r->commit, ERR_OK);
        n++;
    }
    for (size_t i = n; n > 0 && i < r->read_count; i++) {
        r->reads[i - n] = r->reads[i];
    }
    r->read_count -= n;
}

/* Leader, in raft_ready: starts a round for the reads that came in since the last one. */
void raft__read_send(struct raft *r)
{
    ASSERT(r->role == RAFT_LEADER);
    if (r->read_count == 0 || r->reads[r->read_count - 1].round <= r->read_round) {
        return;
    }
    r->read_round++;
    raft__heartbeat_all(r, 0);
    raft__read_resolve(r); /* a quorum of one */
}

/* Fails the reads that have waited since before the given time. */
void raft__read_fail(struct raft *r, uint64_t before_ns)
{
    size_t n = 0;
    while (n < r->read_count && r->reads[n].since_ns < before_ns) {
        read_done(r, &r->reads[n], 0, ERR_NOT_LEADER);
        n++;
    }
    ASSERT(n <= r->read_count);
    for (size_t i = n; n > 0 && i < r->read_count; i++) {
        r->reads[i - n] = r->reads[i];
    }
    r->read_count -= n;
}
