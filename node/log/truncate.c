/* Giving segments back.
 *
 * Segments go oldest first. A segment can go when no group has its oldest entry in it (each group
 * sits in the list of exactly one segment, so that is one look at a list head) and when no group's
 * newest hard state or compaction lives only there. The second is never waited for: the writer
 * carries such states forward, as STATE records at the head of a round, where the durable state of
 * a group is also its newest. The same batch ends with a TRIM record that names the first record
 * that must still be there, so that recovery can tell dropped segments from lost ones. Only when
 * the TRIM is durable do the files go to the preparer, which recycles or removes them.
 *
 * A group that is idle and never compacted would hold its segment, and all after it, for ever:
 * raft_log_oldest names it to the layer above, which flushes its state machine and compacts it, or
 * has what it holds repeated at the end (repeat.c). */
#include "node/log/log_int.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

void log__entry_move(struct raft_log *log, struct log_group *g, struct log_segment *seg)
{
    (void)pthread_mutex_lock(&log->seg_lock);
    list_remove(&g->entry_node);
    if (seg != NULL) {
        list_push_back(&seg->entry_groups, &g->entry_node);
    }
    (void)pthread_mutex_unlock(&log->seg_lock);
    g->entry_seg = seg;
}

void log__state_move(struct log_group *g)
{
    struct log_segment *seg = g->hard_seg;
    if (seg == NULL || (g->compact_seg != NULL && g->compact_seg->no < seg->no)) {
        seg = g->compact_seg;
    }
    if (seg != g->state_seg) {
        list_remove(&g->state_node);
        if (seg != NULL) {
            list_push_back(&seg->state_groups, &g->state_node);
        }
        g->state_seg = seg;
    }
}

/* The first segment that must stay; seg_lock held. */
static struct log_segment *first_kept(const struct raft_log *log)
{
    LIST_FOREACH (n, &log->segments) {
        struct log_segment *seg = CONTAINER_OF(n, struct log_segment, node);
        if (n->next == &log->segments || !list_empty(&seg->entry_groups)) {
            return seg;
        }
    }
    return NULL;
}

bool log__trim_due(struct raft_log *log)
{
    if (log->trim_retry_ns != 0 && clock_mono_ns() < log->trim_retry_ns) {
        return false;
    }
    (void)pthread_mutex_lock(&log->seg_lock);
    struct log_segment *keep = first_kept(log);
    bool due = keep != NULL && log->segments.next != &keep->node;
    (void)pthread_mutex_unlock(&log->seg_lock);
    return due;
}

static db_err carry_group(struct raft_log_batch *b, const struct log_group *g)
{
    uint8_t *at = NULL;
    const struct log_state_body body = {
        .hard = {g->hard_state.term, g->hard_state.vote, g->hard_state.commit},
        .compact = {g->compacted_index, g->compacted_term},
        .flags = g->has_hard_state ? LOG_STATE_HAS_HARD : 0};
    TRY(log__batch_record(b, LOG_REC_STATE, g->id, 0, sizeof(body), &at));
    memcpy(at, &body, sizeof(body));
    log__batch_record_end(b, at);
    return ERR_OK;
}

static db_err carry_and_trim(struct raft_log *log, struct raft_log_batch *b)
{
    (void)pthread_mutex_lock(&log->seg_lock);
    struct log_segment *keep = first_kept(log);
    (void)pthread_mutex_unlock(&log->seg_lock);
    /* Segments are added and dropped with the turn only: the list can be walked without the lock.
     */
    struct log_trim_body trim = {keep->no, 0};
    bool before = true;
    LIST_FOREACH (n, &log->segments) {
        struct log_segment *seg = CONTAINER_OF(n, struct log_segment, node);
        before = before && seg != keep;
        if (!before) {
            trim.first_seq = trim.first_seq != 0 ? trim.first_seq : seg->first_seq;
            continue;
        }
        LIST_FOREACH (gn, &seg->state_groups) {
            TRY(carry_group(b, CONTAINER_OF(gn, struct log_group, state_node)));
        }
    }
    if (trim.first_seq == 0) {
        trim.first_seq = log->next_seq;
    }
    uint8_t *at = NULL;
    TRY(log__batch_record(b, LOG_REC_TRIM, 0, 0, sizeof(trim), &at));
    memcpy(at, &trim, sizeof(trim));
    log__batch_record_end(b, at);
    return ERR_OK;
}

db_err log__trim_batch(struct raft_log *log, struct raft_log_batch **ret_batch)
{
    struct raft_log_batch *b = NULL;
    TRY(raft_log_batch_new(log, 0, &b));
    db_err err = carry_and_trim(log, b);
    if (err == ERR_LIMIT && b->records != 0) {
        err = ERR_OK; /* more groups than one batch holds: the rest, and the TRIM, in the next round
                       */
    }
    if (err != ERR_OK) {
        raft_log_batch_free(b);
        return err;
    }
    *ret_batch = b;
    return ERR_OK;
}

void log__trim_apply(struct raft_log *log, uint64_t no)
{
    (void)pthread_mutex_lock(&log->seg_lock);
    while (log->segments.next->next != &log->segments) { /* the last one stays */
        struct log_segment *seg = CONTAINER_OF(log->segments.next, struct log_segment, node);
        if (seg->no >= no) {
            break;
        }
        ASSERT(list_empty(&seg->entry_groups));
        ASSERT(list_empty(&seg->state_groups));
        list_remove(&seg->node);
        log->segment_count--;
        list_push_back(&log->garbage, &seg->node);
    }
    (void)pthread_cond_signal(&log->seg_wake);
    (void)pthread_mutex_unlock(&log->seg_lock);
}

/* The last index that the group has in its oldest segment; false when the group has just moved on.
 */
static bool holder_index(struct raft_log *log, const struct log_group *g,
                         const struct log_segment *oldest, uint64_t *ret_index)
{
    struct log_stripe *s = log__stripe(log, g->id);
    (void)pthread_mutex_lock(&s->lock);
    uint32_t i = g->refs.head;
    bool holds = i < g->refs.count && g->refs.items[i].seg == oldest;
    while (i < g->refs.count && g->refs.items[i].seg == oldest) {
        i++;
    }
    *ret_index = i < g->refs.count ? g->refs.items[i].first_index - 1 : g->last_index;
    (void)pthread_mutex_unlock(&s->lock);
    return holds;
}

void raft_log_oldest(struct raft_log *log, struct raft_log_holder *holders, size_t max,
                     size_t *ret_count)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&log->seg_lock);
    if (log->segment_count > 1) {
        uint64_t behind = 0;
        LIST_FOREACH (n, &log->segments) {
            behind += atomic_load_explicit(&CONTAINER_OF(n, struct log_segment, node)->used,
                                           memory_order_relaxed);
        }
        struct log_segment *oldest = CONTAINER_OF(log->segments.next, struct log_segment, node);
        for (struct list *n = oldest->entry_groups.next; n != &oldest->entry_groups && count < max;
             n = n->next) {
            const struct log_group *g = CONTAINER_OF(n, struct log_group, entry_node);
            uint64_t index = 0;
            if (holder_index(log, g, oldest, &index)) {
                holders[count++] = (struct raft_log_holder){g->id, index, behind};
            }
        }
    }
    (void)pthread_mutex_unlock(&log->seg_lock);
    *ret_count = count;
}
