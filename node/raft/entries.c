/* The log as the core sees it: what the owner has made durable (raft_log_ops), overlaid by a vector
 * of the newest entries in memory.
 *
 * The vector is one contiguous array with a moving head, not a ring: appends go to the end,
 * eviction moves the head, and when the end of the array is reached the rest is moved to its front
 * or the array doubled. So every message, every write and every batch to apply is one borrowed
 * slice of it, and no entry is copied or allocated on its own.
 *
 * What must be in the vector: entries that are not durable or not committed since they were
 * appended here. What else is there serves followers and the state machine without a read of the
 * log, bounded by max_memory_bytes. Everything below it is paged through log->entries.
 *
 * Persistence. Each ready with something to persist gets a write sequence number; what it contained
 * is remembered until RAFT_EV_PERSISTED. When a leader's append overwrites a suffix, the writes on
 * their way are cut to what is left, so that the late completion of a write cannot vouch for
 * entries that have been replaced since, even if an equal (index, term) has come back in between.
 */
#include "node/raft/raft_int.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"

db_err raft__entries_reserve(struct raft *r, size_t extra)
{
    ASSERT(r->head + r->count <= r->cap);
    if (r->cap - r->head - r->count >= extra) {
        return ERR_OK;
    }
    /* Move to the front when that frees half of the array; else double it, so that a move is paid
     * for by as many appends. */
    if (r->count + extra <= r->cap / 2) {
        memmove(r->base, r->base + r->head, r->count * sizeof(*r->base));
        r->head = 0;
        return ERR_OK;
    }
    size_t cap = r->cap == 0 ? 8 : r->cap * 2;
    while (cap < (r->count + extra) * 2) {
        cap *= 2;
    }
    struct raft_entry *base = mem_alloc(cap * sizeof(*base));
    if (base == NULL) {
        return ERR_NOMEM;
    }
    if (r->count > 0) {
        memcpy(base, r->base + r->head, r->count * sizeof(*base));
    }
    mem_free(r->base);
    r->base = base;
    r->head = 0;
    r->cap = cap;
    return ERR_OK;
}

/* How many entries at the front are of one blob. */
static size_t blob_run(const struct raft_entry *entries, size_t count)
{
    size_t run = 1;
    while (run < count && entries[run].blob == entries[0].blob) {
        run++;
    }
    return run;
}

/* Takes or drops one reference per entry, one atomic operation per run of entries of one blob. */
static void blobs_ref(const struct raft_entry *entries, size_t count)
{
    ASSERT(entries != NULL || count == 0);
    for (size_t i = 0; i < count;) {
        struct blob *blob = entries[i].blob;
        size_t run = blob_run(&entries[i], count - i);
        if (blob != NULL) {
            blob_ref_many(blob, (uint32_t)run);
        }
        i += run;
    }
}

static void blobs_unref(const struct raft_entry *entries, size_t count)
{
    ASSERT(entries != NULL || count == 0);
    for (size_t i = 0; i < count;) {
        struct blob *blob = entries[i].blob;
        size_t run = blob_run(&entries[i], count - i);
        if (blob != NULL) {
            blob_unref_many(blob, (uint32_t)run);
        }
        i += run;
    }
}

void raft__entries_push(struct raft *r, const struct raft_entry *entries, size_t count)
{
    ASSERT(r->cap - r->head - r->count >= count);
    if (count == 0) {
        return;
    }
    memcpy(r->base + r->head + r->count, entries, count * sizeof(*entries));
    raft__entries_pushed(r, count);
}

/* The caller has filled `count` free places at the end of the vector: they become part of the log.
 */
void raft__entries_pushed(struct raft *r, size_t count)
{
    const struct raft_entry *entries = r->base + r->head + r->count;
    ASSERT(count > 0 && entries[0].index == r->last + 1);
    blobs_ref(entries, count);
    size_t cost = 0;
    for (size_t i = 0; i < count; i++) {
        cost += raft__entry_cost(&entries[i]);
    }
    r->count += count;
    r->memory_bytes += cost;
    r->uncommitted_bytes += cost;
    r->last = entries[count - 1].index;
    ASSERT(entries[count - 1].term >= r->last_term);
    r->last_term = entries[count - 1].term;
}

db_err raft__entries_truncate(struct raft *r, uint64_t from)
{
    ASSERT(from > 0 && from <= r->last);
    ASSERT(from > r->commit);
    uint64_t term = 0;
    TRY(raft__term_of(r, from - 1, &term));
    uint64_t first = raft__memory_first(r);
    size_t keep = from > first ? (size_t)(from - first) : 0;
    struct raft_entry *cut = r->base + r->head + keep;
    size_t cut_count = r->count - keep;
    for (size_t i = 0; i < cut_count; i++) {
        r->memory_bytes -= raft__entry_cost(&cut[i]);
        r->uncommitted_bytes -= raft__entry_cost(&cut[i]);
    }
    blobs_unref(cut, cut_count);
    r->count = keep;
    r->last = from - 1;
    r->last_term = term;
    r->persisted = r->persisted < r->last ? r->persisted : r->last;
    r->handed = r->handed < r->last ? r->handed : r->last;
    for (uint32_t i = 0; i < r->write_count; i++) {
        struct raft__write *w = &r->writes[(r->write_head + i) % RAFT_WRITES_MAX];
        w->last = w->last < r->last ? w->last : r->last;
    }
    raft__conf_truncate(r, from);
    return ERR_OK;
}

/* How far the vector may be given up: what is durable, committed and handed to the state machine;
 * for a leader also acknowledged by the followers that keep up, as long as the bound on memory
 * allows it. */
void raft__entries_evict(struct raft *r)
{
    uint64_t hard = r->persisted < r->commit ? r->persisted : r->commit;
    uint64_t soft = hard < r->applying ? hard : r->applying;
    for (uint32_t i = 0; r->role == RAFT_LEADER && i < r->conf.count; i++) {
        if (r->peers[i].state == RAFT_REPLICATE && r->peers[i].match < soft) {
            soft = r->peers[i].match;
        }
    }
    uint64_t first = raft__memory_first(r);
    size_t n = 0;
    size_t bytes = r->memory_bytes;
    struct raft_entry *e = r->base + r->head;
    while (n < r->count && first + n <= hard &&
           (first + n <= soft || bytes > r->cfg.max_memory_bytes)) {
        bytes -= raft__entry_cost(&e[n]);
        n++;
    }
    blobs_unref(e, n);
    r->head += n;
    r->count -= n;
    r->memory_bytes = bytes;
    if (r->count == 0) {
        ASSERT(bytes == 0);
        r->head = 0;
        if (r->cap > RAFT_ENTRIES_KEEP && r->quiescent) {
            mem_free(r->base);
            r->base = NULL;
            r->cap = 0;
        }
    }
}

/* Everything is replaced by a snapshot at index. */
void raft__entries_reset(struct raft *r, uint64_t index, uint64_t term)
{
    ASSERT(index >= r->commit);
    blobs_unref(r->base + r->head, r->count);
    r->head = r->count = 0;
    r->memory_bytes = r->uncommitted_bytes = 0;
    r->last = r->persisted = r->handed = index;
    r->last_term = term;
    r->commit = r->applying = r->applied = index;
    for (uint32_t i = 0; i < r->write_count; i++) {
        r->writes[(r->write_head + i) % RAFT_WRITES_MAX].last = 0;
    }
}

void raft__entries_fini(struct raft *r)
{
    ASSERT(r->head + r->count <= r->cap);
    blobs_unref(r->base + r->head, r->count);
    mem_free(r->base);
    r->base = NULL;
    r->head = r->count = r->cap = 0;
}

db_err raft__term_of(const struct raft *r, uint64_t index, uint64_t *ret_term)
{
    ASSERT(index <= r->last);
    if (index == r->last) {
        *ret_term = r->last_term;
        return ERR_OK;
    }
    uint64_t first = raft__memory_first(r);
    if (index >= first) {
        *ret_term = r->base[r->head + (index - first)].term;
        return ERR_OK;
    }
    if (index == 0) {
        *ret_term = 0;
        return ERR_OK;
    }
    return r->cfg.log->term(r->cfg.log_ctx, index, ret_term);
}

db_err raft__entries_get(struct raft *r, uint64_t lo, uint64_t hi, size_t max_bytes,
                         const struct raft_entry **ret_entries, size_t *ret_count)
{
    ASSERT(lo < hi && hi <= r->last + 1);
    uint64_t first = raft__memory_first(r);
    if (lo < first) {
        hi = hi < first ? hi : first;
        const struct raft_entry *entries = NULL;
        size_t count = 0;
        TRY(r->cfg.log->entries(r->cfg.log_ctx, lo, hi, max_bytes, &r->pages, &entries, &count));
        ASSERT(count > 0 && entries[0].index == lo);
        ASSERT(entries[count - 1].index < hi);
        *ret_entries = entries;
        *ret_count = count;
        return ERR_OK;
    }
    const struct raft_entry *e = r->base + r->head + (lo - first);
    size_t limit = (size_t)(hi - lo);
    size_t bytes = e[0].data.len;
    size_t n = 1;
    while (n < limit && bytes + e[n].data.len <= max_bytes) {
        bytes += e[n].data.len;
        n++;
    }
    *ret_entries = e;
    *ret_count = n;
    return ERR_OK;
}

void raft__commit_to(struct raft *r, uint64_t index)
{
    ASSERT(index <= r->last);
    if (index <= r->commit) {
        return;
    }
    uint64_t first = raft__memory_first(r);
    uint64_t from = r->commit + 1 > first ? r->commit + 1 : first;
    for (uint64_t i = from; i <= index; i++) {
        r->uncommitted_bytes -= raft__entry_cost(&r->base[r->head + (i - first)]);
    }
    r->commit = index;
}

db_err raft__persisted(struct raft *r, uint64_t seq)
{
    if (seq > r->write_seq) {
        return ERR_INVALID;
    }
    while (r->write_count > 0 && r->writes[r->write_head].seq <= seq) {
        const struct raft__write *w = &r->writes[r->write_head];
        ASSERT(w->last <= r->last);
        r->persisted = r->persisted > w->last ? r->persisted : w->last;
        r->hs_term = w->term;
        r->hs_vote = w->vote;
        r->write_head = (r->write_head + 1) % RAFT_WRITES_MAX;
        r->write_count--;
    }
    if (r->write_count == 0) {
        r->write_head = 0; /* the same cache line again */
    }
    return ERR_OK;
}

/* The newest entry at or below index whose term is not above `term`: no entry after it can be part
 * of the other log. Gives up after a bounded number of steps, with an answer that is safe but may
 * need another round. */
db_err raft__find_conflict(const struct raft *r, uint64_t index, uint64_t term, uint64_t *ret_index,
                           uint64_t *ret_term)
{
    ASSERT(index <= r->last);
    for (unsigned step = 0;; step++) {
        uint64_t t = 0;
        db_err err = raft__term_of(r, index, &t);
        if (err == ERR_NOT_FOUND) {
            *ret_index = index;
            *ret_term = 0;
            return ERR_OK;
        }
        TRY(err);
        if (t <= term || index == 0 || step == RAFT_CONFLICT_STEPS_MAX) {
            *ret_index = index;
            *ret_term = t;
            return ERR_OK;
        }
        index--;
    }
}
