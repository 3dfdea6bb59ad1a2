/* What a leader knows of each member, and the appends it sends.
 *
 * Appends are made in raft_ready, not when entries are proposed: all that was proposed since the
 * last ready goes out as one message per follower, straight from the vector of entries.
 *
 * - PROBE: one append at a time, until one is acknowledged; then REPLICATE. Entered by a new
 * leader, after a refusal, and after a message is known to be lost.
 *
 * - REPLICATE: entries are sent ahead of acknowledgements, as long as the window (messages and
 * bytes) has room.
 *
 * - SNAPSHOT: the entries the follower needs have been compacted away, or it has told that it has
 * no state; it has been offered a snapshot, and nothing is sent until the owner reports the end of
 * it, or the follower acknowledges entries that we have.
 *
 * A member without state may have acknowledged all there is (its engine forgot what its log still
 * holds). What it acknowledged goes on to count: it neither votes nor forgets until it has a
 * snapshot that its log goes on from. So it is offered none that ends before its match; that much
 * gets committed without its help, or by its match.
 *
 * A lost append is noticed by the next one that is refused, or, when there is no next one, by a
 * heartbeat's answer: if nothing has been acknowledged since the last heartbeat, an empty append
 * asks where the follower stands. */
#include "node/raft/raft_int.h"

#include <string.h>

#include "base/alloc.h"

void raft__progress_init(struct raft *r, struct raft__progress *p, uint64_t id)
{
    ASSERT(id != 0);
    struct raft__inflight *window = p->window;
    uint32_t cap = p->window_cap;
    *p = (struct raft__progress){.id = id, .next = r->last + 1, .window = window};
    p->window_cap = cap;
    p->state = RAFT_PROBE;
    p->link = id == r->id || r->cfg.link == NULL ? NULL : r->cfg.link(r->cfg.link_ctx, id);
    if (id == r->id) {
        p->state = RAFT_REPLICATE;
        p->match = r->persisted;
    }
}

void raft__progress_free(struct raft *r)
{
    ASSERT(r->peers != NULL || r->peers_cap == 0);
    for (uint32_t i = 0; i < r->peers_cap; i++) {
        mem_free(r->peers[i].window);
    }
    mem_free(r->peers);
    r->peers = NULL;
    r->peers_cap = 0;
}

db_err raft__prepare_to_lead(struct raft *r, uint32_t members)
{
    ASSERT(members <= RAFT_MEMBERS_MAX);
    if (r->peers_cap >= members) {
        return ERR_OK;
    }
    struct raft__progress *peers = mem_realloc(r->peers, members * sizeof(*peers));
    if (peers == NULL) {
        return ERR_NOMEM;
    }
    memset(peers + r->peers_cap, 0, (members - r->peers_cap) * sizeof(*peers));
    r->peers = peers;
    r->peers_cap = members;
    return ERR_OK;
}

void raft__progress_rebuild(struct raft *r, const struct raft_conf *old)
{
    struct raft__progress was[RAFT_MEMBERS_MAX];
    ASSERT(r->conf.count <= r->peers_cap && r->peers_cap <= RAFT_MEMBERS_MAX);
    memcpy(was, r->peers, r->peers_cap * sizeof(*was));
    bool kept[RAFT_MEMBERS_MAX] = {false};
    memset(r->peers, 0, r->peers_cap * sizeof(*r->peers));
    for (uint32_t i = 0; i < r->conf.count; i++) {
        int at = raft__conf_find(old, r->conf.members[i].id);
        if (at >= 0) {
            r->peers[i] = was[at];
            kept[at] = true;
        } else {
            raft__progress_init(r, &r->peers[i], r->conf.members[i].id);
        }
    }
    for (uint32_t i = 0; i < r->peers_cap; i++) {
        if (!kept[i]) {
            mem_free(was[i].window);
        }
    }
    r->send_due = true;
}

struct raft__progress *raft__progress_of(struct raft *r, uint64_t id)
{
    ASSERT(r->role == RAFT_LEADER);
    for (uint32_t i = 0; i < r->conf.count; i++) {
        if (r->peers[i].id == id) {
            return &r->peers[i];
        }
    }
    return NULL;
}

/* ---- the window ---- */

static bool window_full(const struct raft *r, const struct raft__progress *p)
{
    ASSERT(p->window_count <= p->window_cap);
    return p->window_count >= r->cfg.max_inflight || p->window_bytes >= r->cfg.max_inflight_bytes;
}

/* Makes room for one more; without memory the follower is simply not sent more. */
static bool window_reserve(const struct raft *r, struct raft__progress *p)
{
    if (p->window_count < p->window_cap) {
        return true;
    }
    ASSERT(p->window_cap < r->cfg.max_inflight);
    uint32_t cap = p->window_cap == 0 ? 4 : p->window_cap * 2;
    cap = cap > r->cfg.max_inflight ? r->cfg.max_inflight : cap;
    struct raft__inflight *window = mem_alloc(cap * sizeof(*window));
    if (window == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < p->window_count; i++) {
        window[i] = p->window[(p->window_head + i) % p->window_cap];
    }
    mem_free(p->window);
    p->window = window;
    p->window_cap = cap;
    p->window_head = 0;
    return true;
}

static void window_push(struct raft__progress *p, uint64_t last_index, size_t bytes)
{
    ASSERT(p->window_count < p->window_cap);
    uint32_t at = p->window_head + p->window_count;
    at = at >= p->window_cap ? at - p->window_cap : at;
    p->window[at] = (struct raft__inflight){last_index, bytes};
    p->window_count++;
    p->window_bytes += bytes;
}

static void window_free_to(struct raft__progress *p, uint64_t index)
{
    while (p->window_count > 0 && p->window[p->window_head].last_index <= index) {
        ASSERT(p->window_bytes >= p->window[p->window_head].bytes);
        p->window_bytes -= p->window[p->window_head].bytes;
        p->window_head = p->window_head + 1 == p->window_cap ? 0 : p->window_head + 1;
        p->window_count--;
    }
}

static void window_clear(struct raft__progress *p)
{
    p->window_head = p->window_count = 0;
    p->window_bytes = 0;
    ASSERT(p->window_count == 0);
}

/* ---- moves between states ---- */

void raft__progress_probe(struct raft__progress *p, uint64_t next)
{
    ASSERT(next > p->match);
    p->state = RAFT_PROBE;
    p->next = next;
    p->probe_paused = false;
    p->pending_snapshot = 0;
    window_clear(p);
}

void raft__progress_acked(struct raft *r, struct raft__progress *p, uint64_t index)
{
    ASSERT(index <= r->last);
    p->probe_paused = false;
    if (index > p->match) {
        p->match = index;
        p->acked_since_beat = true;
    }
    p->next = p->next > p->match + 1 ? p->next : p->match + 1;
    switch (p->state) {
    case RAFT_PROBE:
        p->state = RAFT_REPLICATE;
        p->next = p->match + 1;
        break;
    case RAFT_REPLICATE: window_free_to(p, index); break;
    case RAFT_SNAPSHOT:
        /* The follower has what the log still holds the successor of: the snapshot is done or not
         * needed. */
        if (p->match + 1 >= r->cfg.log->first_index(r->cfg.log_ctx)) {
            raft__progress_probe(p, p->match + 1);
        }
        break;
    }
    r->send_due = r->send_due || p->next <= r->last;
}

/* ---- sending ---- */

/* Nothing can be sent now, and no event will tell when: its next answer to a heartbeat is the time
 * to look again. */
static void pause(struct raft__progress *p)
{
    raft__progress_probe(p, p->state == RAFT_PROBE ? p->next : p->match + 1);
    p->probe_paused = true;
}

static void send_snapshot_offer(struct raft *r, struct raft__progress *p)
{
    db_err err = r->cfg.log->snapshot_meta(r->cfg.log_ctx, &r->offer);
    bool useful = r->offer.index > p->match || (p->stateless && r->offer.index == p->match);
    if (err != ERR_OK || !useful) {
        pause(p);
        return;
    }
    struct raft_msg *m = raft__out(r, RAFT_MSG_SNAPSHOT, p->id);
    m->snapshot = &r->offer;
    m->index = r->offer.index;
    m->log_term = r->offer.term;
    m->sent_ns = r->now;
    p->state = RAFT_SNAPSHOT;
    p->pending_snapshot = r->offer.index;
    p->probe_paused = false;
    window_clear(p);
    ASSERT(p->pending_snapshot > 0);
}

static void emit_append(struct raft *r, struct raft__progress *p, uint64_t prev_term,
                        const struct raft_entry *entries, size_t count)
{
    ASSERT(count == 0 || entries[0].index == p->next);
    struct raft_msg *m = raft__out(r, RAFT_MSG_APPEND, p->id);
    m->index = p->next - 1;
    m->log_term = prev_term;
    m->commit = r->commit;
    m->sent_ns = r->now;
    m->entries = entries;
    m->entry_count = count;
    p->commit_sent = r->commit;
}

/* One append with what fits it. Returns false when no more should be tried now. */
static bool send_one(struct raft *r, struct raft__progress *p, bool allow_empty)
{
    uint64_t prev_term = 0;
    db_err err = raft__term_of(r, p->next - 1, &prev_term);
    if (err != ERR_OK || p->stateless) {
        send_snapshot_offer(r, p);
        return false;
    }
    const struct raft_entry *entries = NULL;
    size_t count = 0;
    if (p->next <= r->last && !allow_empty) {
        err =
            raft__entries_get(r, p->next, r->last + 1, r->cfg.max_message_bytes, &entries, &count);
        if (err == ERR_NOT_FOUND) {
            send_snapshot_offer(r, p);
            return false;
        }
        if (err == ERR_WOULD_BLOCK) {
            p->page_blocked = true; /* until RAFT_EV_LOG_READY */
            return false;
        }
        if (err != ERR_OK || !window_reserve(r, p)) {
            pause(p);
            return false;
        }
    }
    emit_append(r, p, prev_term, entries, count);
    if (p->state == RAFT_PROBE) {
        p->probe_paused = true;
        return false;
    }
    ASSERT(p->state == RAFT_REPLICATE);
    if (count == 0) {
        return false;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += entries[i].data.len;
    }
    window_push(p, entries[count - 1].index, bytes);
    p->next += count;
    return true;
}

/* An empty append: finds out where the follower stands. */
void raft__send_probe(struct raft *r, struct raft__progress *p)
{
    ASSERT(r->role == RAFT_LEADER);
    if (p->state == RAFT_SNAPSHOT || p->probe_paused) {
        return;
    }
    (void)send_one(r, p, true);
}

/* Space for the messages has been reserved by raft_ready. */
void raft__send_appends(struct raft *r)
{
    ASSERT(r->role == RAFT_LEADER);
    r->send_due = false;
    for (uint32_t i = 0; i < r->conf.count; i++) {
        struct raft__progress *p = &r->peers[i];
        if (p->id == r->id || p->state == RAFT_SNAPSHOT || p->page_blocked) {
            continue;
        }
        unsigned sends = 0;
        while (p->next <= r->last && !p->probe_paused && !p->page_blocked && !window_full(r, p)) {
            if (sends++ == RAFT_SENDS_PER_READY_MAX) {
                r->send_due = true;
                break;
            }
            if (!send_one(r, p, false)) {
                break;
            }
        }
        if (r->cfg.eager_commit && p->commit_sent < r->commit && p->state == RAFT_REPLICATE &&
            p->next > r->last && !r->quiescent) {
            (void)send_one(r, p, true);
        }
    }
}
