/* A round: what waits is written together, made durable by one sync, and takes effect.
 *
 * Writing takes what is in the queue, as far as it fits the active segment and LOG_ROUND_MAX;
 * checks each batch against what its groups will be once the batches before it are durable; gives
 * its records their sequence numbers and checksums; and writes them with one call. From then on the
 * round is on its way. A sync makes durable all that was written before it began, so whoever ends
 * one completes every round up to the last that it covers, in the order in which they were written:
 * their records take effect in the index, and the batches are done, one post per loop. It does not
 * matter whose rounds they were. That is also how a thread that needs the log at rest gets it there
 * (log__settle): it syncs, and nothing is on its way any more.
 *
 * All of this runs with the turn (writer_int.h); only the syncs of writer.c run beside each other.
 *
 * Rolling. A round never spans segments, and a segment is wholly synced before the next one is
 * written to. Recovery relies on it: only the newest segment can have a torn tail. What it can miss
 * there are the rounds that were on their way: each record says how far the log was durable when it
 * was written.
 *
 * Failures.
 *
 * Disk full at a write: only possible where the file system does not overwrite in place. What the
 * failed round may have left behind must never be read as records: the segment is cut back to where
 * the round began and is not written to again. Every batch of the round fails with ERR_DISK_FULL.
 *
 * Disk full at a roll, no memory: the batch that needs it fails, nothing of it is written.
 *
 * After such a failure batches that were on their way behind a failed one of the same group fail
 * too: the failure has a number, the group remembers it, and a batch says which failures its thread
 * had been told of when it was submitted.
 *
 * Anything else: a failed sync says nothing about which bytes are safe, and asking again would
 * report success for pages that the kernel has dropped. The log fails for good; the node must stop.
 */
#include "node/log/writer_int.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

/* ---- the end of a round */

static void apply_batch(struct raft_log *log, struct raft_log_batch *b, uint64_t base)
{
    uint64_t trim_no = 0;
    BATCH_EACH(h, b)
    {
        uint32_t off = (uint32_t)((const uint8_t *)h - b->chunk->data);
        if (h->type == LOG_REC_TRIM) {
            struct log_trim_body body;
            memcpy(&body, log_rec_body(h), sizeof(body));
            trim_no = body.segment;
            continue;
        }
        struct log_group *g = log__group_find(log__stripe(log, h->group), h->group);
        log__apply(log, g, h, log->active, base + off, b->chunk, off);
        if (h->type != LOG_REC_STATE && !b->repeats && g->lost_failure <= b->seen_failure) {
            g->lost_failure = 0;
        }
        if (h->type == LOG_REC_APPEND) { /* it has taken the memory that was kept for it */
            uint32_t taken = 1 + log__append_steps(h);
            g->tent_appends -= g->tent_appends < taken ? g->tent_appends : taken;
        }
    }
    if (b->has_append) {
        log__cache_add(log, b->chunk);
    }
    if (trim_no != 0) {
        log__trim_apply(log, trim_no);
    }
}

static void round_durable(struct raft_log *log, const struct round *r)
{
    uint64_t base = r->base;
    log->durable_seq = r->end_seq;
    log->active_dirty = false;
    log->trim_retry_ns = 0;
    stat_add(&log->st_rounds, 1);
    stat_add(&log->st_batches, r->batches);
    stat_add(&log->st_records, r->records);
    stat_add(&log->st_bytes, r->bytes);
    if (r->bytes > atomic_load_explicit(&log->st_round_max, memory_order_relaxed)) {
        atomic_store_explicit(&log->st_round_max, r->bytes, memory_order_relaxed);
    }
    for (struct raft_log_batch *b = r->head; b != NULL; b = b->next) {
        stat_add(&log->st_entries, b->entries);
        apply_batch(log, b, base);
        base += b->chunk->len;
    }
}

/* After a failure that its owner tries again, what comes behind it may not go first. */
static void note_failure(struct raft_log *log, struct raft_log_batch *b, db_err err)
{
    if ((err == ERR_DISK_FULL || err == ERR_NOMEM) && !b->repeats) { /* nobody builds on that */
        log__lose_batch(log, b);
    }
}

static void finish_all(struct raft_log *log, const struct round *r, db_err err)
{
    struct raft_log_batch *next;
    for (struct raft_log_batch *b = r->head; b != NULL; b = next) {
        next = b->next;
        if (b->refused == ERR_OK) {
            note_failure(log, b, err);
        }
        log__finish(log, b, err_first(b->refused, err));
    }
}

void log__round_synced(struct raft_log *log, uint64_t covers)
{
    while (log->flight_count != 0 && log->flight[log->flight_head].no <= covers) {
        const struct round *r = &log->flight[log->flight_head];
        db_err err = atomic_load(&log->failed) ? ERR_IO : ERR_OK;
        if (err == ERR_OK) {
            round_durable(log, r);
        }
        finish_all(log, r, err);
        log->flight_head = (log->flight_head + 1) % LOG_FLIGHT_MAX;
        log->flight_count--;
    }
    if (log->flight_count == 0) {
        log__untouch_all(log, false);
    }
    log__complete_round(log);
}

db_err log__settle(struct raft_log *log)
{
    struct log_segment *seg = log->active;
    if (log->flight_count != 0 || (seg != NULL && log->active_dirty)) {
        db_err err = disk_sync(seg->files[log->turn_of]);
        if (err != ERR_OK) {
            log__fail(log, err, "sync", seg->no);
        }
        log__round_synced(log, UINT64_MAX);
    }
    if (atomic_load(&log->failed)) {
        return ERR_IO;
    }
    log->active_dirty = false;
    return ERR_OK;
}

/* ---- its beginning */

/* The active segment can take the batch, which is the first of its round. */
static db_err make_room(struct raft_log *log, const struct raft_log_batch *b)
{
    while (log__segment_room(log->active) < b->chunk->len) {
        ASSERT(log->turn_of != log->guest_writer.no); /* it may take long */
        TRY(log__settle(log));
        db_err err = log__segment_roll(log, b->has_append);
        if (err == ERR_IO) {
            log__fail(log, err, "making the successor", log->active == NULL ? 0 : log->active->no);
        }
        TRY(err);
        log->marked = false;
    }
    return ERR_OK;
}

static db_err admit(struct raft_log *log, const struct round *r, const struct raft_log_batch *b)
{
    if (atomic_load_explicit(&log->failed, memory_order_relaxed)) {
        return ERR_IO;
    }
    if (b->records == 0) {
        return ERR_OK;
    }
    if (r->batches == 0) {
        TRY(make_room(log, b));
    }
    if (b->has_append && !log__segment_may_append(log)) {
        return ERR_DISK_FULL;
    }
    return log__check_batch(log, b);
}

static void round_add(struct round *r, struct raft_log_batch *b)
{
    b->next = NULL;
    *r->tail = b;
    r->tail = &b->next;
    r->batches++;
    r->records += b->records;
    r->bytes += b->chunk->len;
}

/* Nothing of it is written; it ends in its place. */
static void refuse(struct raft_log *log, const struct round *r, struct raft_log_batch *b,
                   db_err err)
{
    log__recheck_round(log, r);
    note_failure(log, b, err);
    b->refused = err;
    b->chunk->len = b->records = b->entries = 0;
    b->has_append = false;
}

static void gather(struct raft_log *log, struct round *r)
{
    while (log->pending != NULL) {
        struct raft_log_batch *b = log->pending;
        uint64_t len = b->chunk->len;
        if (r->batches != 0 &&
            (r->bytes + len > LOG_ROUND_MAX || r->bytes + len > log__segment_room(log->active))) {
            return;
        }
        db_err err = admit(log, r, b);
        log->pending = b->next;
        if (log->pending == NULL) {
            log->pending_tail = &log->pending;
        }
        if (err != ERR_OK) {
            refuse(log, r, b, err);
        }
        if (b->records != 0 || r->batches != 0 || log->flight_count != 0) {
            round_add(r, b); /* an empty one keeps its place */
        } else {
            log__finish(log, b, err);
        }
    }
}

/* Sequence numbers and the rest of the checksums. */
static void stamp(struct raft_log *log, const struct round *r)
{
    uint64_t salt = log_salt(log->log_id, log->active->no);
    uint64_t seq = log->next_seq;
    for (struct raft_log_batch *b = r->head; b != NULL; b = b->next) {
        struct log_rec_header *h;
        for (uint32_t off = 0; off < b->chunk->len; off += h->size) {
            h = (struct log_rec_header *)(void *)(b->chunk->data + off);
            h->seq = seq;
            h->unsynced = (uint32_t)(seq - log->durable_seq);
            h->crc = log_rec_crc(h->crc, salt, h);
            seq++;
        }
    }
}

struct write_state {
    struct slice parts[DISK_IOV_MAX];
    size_t count;
    size_t bytes;
    size_t staged;
    uint64_t off;
};

static db_err write_flush(struct raft_log *log, struct write_state *w)
{
    if (w->count == 0) {
        return ERR_OK;
    }
    TRY(disk_pwritev(log->active->files[0], w->parts, w->count, w->off));
    w->off += w->bytes;
    w->count = w->bytes = w->staged = 0;
    return ERR_OK;
}

/* Small chunks are copied together, large ones written from where they are. */
static db_err write_chunk(struct raft_log *log, struct write_state *w, const struct log_chunk *c)
{
    bool small = c->len < LOG_STAGE_BELOW;
    if (w->count == DISK_IOV_MAX || (small && LOG_STAGE_SIZE - w->staged < c->len)) {
        TRY(write_flush(log, w));
    }
    const uint8_t *at = c->data;
    if (small) {
        uint8_t *to = log->stage + w->staged;
        memcpy(to, c->data, c->len);
        w->staged += c->len;
        w->bytes += c->len;
        if (w->count != 0 && w->parts[w->count - 1].ptr + w->parts[w->count - 1].len == to) {
            w->parts[w->count - 1].len += c->len;
            return ERR_OK;
        }
        w->parts[w->count++] = slice_of(to, c->len);
        return ERR_OK;
    }
    w->parts[w->count++] = slice_of(at, c->len);
    w->bytes += c->len;
    return ERR_OK;
}

static db_err write_direct(struct raft_log *log, const struct round *r)
{
    for (const struct raft_log_batch *b = r->head; b != NULL; b = b->next) {
        log__direct_add(log, b->chunk->data, b->chunk->len);
    }
    return log__direct_end(log, r->base + r->bytes);
}

static db_err write_round(struct raft_log *log, const struct round *r)
{
    struct write_state w = {.off = r->base};
    if (log__direct_begin(log, r->bytes)) {
        db_err err = write_direct(log, r);
        if (err != ERR_INVALID) {
            return err;
        }
    }
    if (r->batches == 1) { /* nothing to put together */
        return disk_pwrite(log->active->files[0], r->head->chunk->data, r->head->chunk->len, w.off);
    }
    for (const struct raft_log_batch *b = r->head; b != NULL; b = b->next) {
        if (b->chunk->len != 0) {
            TRY(write_chunk(log, &w, b->chunk));
        }
    }
    return write_flush(log, &w);
}

/* Nothing that a failed write may have left in the active segment is ever read: it ends where the
 * round began. */
void log__abandon_active(struct raft_log *log)
{
    struct log_segment *seg = log->active;
    uint64_t used = atomic_load_explicit(&seg->used, memory_order_relaxed);
    if (log__settle(log) != ERR_OK) {
        return;
    }
    db_err err = disk_truncate(seg->files[0], used);
    err = err == ERR_OK ? disk_sync(seg->files[log->turn_of]) : err;
    if (err != ERR_OK) {
        log__fail(log, err, "cutting back", seg->no);
        return;
    }
    (void)pthread_mutex_lock(&log->seg_lock);
    seg->size = used;
    log->active = NULL;
    (void)pthread_mutex_unlock(&log->seg_lock);
    log->active_dirty = false;
}

/* Writes the round, which is on its way afterwards. */
static db_err round_to_disk(struct raft_log *log, struct round *r)
{
    struct log_segment *seg = log->active;
    uint64_t t0 = clock_mono_ns();
    r->base = atomic_load_explicit(&seg->used, memory_order_relaxed);
    db_err err = write_round(log, r);
    if (err == ERR_DISK_FULL) {
        log__abandon_active(log);
        return atomic_load(&log->failed) ? ERR_IO : ERR_DISK_FULL;
    }
    if (err != ERR_OK) {
        log__fail(log, err, "write", seg->no);
        return ERR_IO;
    }
    if (seg->first_seq == 0) {
        seg->first_seq = log->next_seq;
    }
    atomic_store_explicit(&seg->used, r->base + r->bytes, memory_order_relaxed);
    log->next_seq += r->records;
    log->marked = false;
    r->end_seq = log->next_seq;
    r->no = ++log->round_no;
    log->flight[(log->flight_head + log->flight_count++) % LOG_FLIGHT_MAX] = *r;
    stat_add(&log->st_write_ns, clock_mono_ns() - t0);
    return ERR_OK;
}

/* The trim batch goes before all others: it repeats the durable state, so nothing may be on its
 * way. */
static void prepend_trim(struct raft_log *log)
{
    struct raft_log_batch *trim = NULL;
    if (atomic_load_explicit(&log->failed, memory_order_relaxed) || !log__trim_due(log)) {
        return;
    }
    if (log->flight_count != 0 && (log__settle(log) != ERR_OK || !log__trim_due(log))) {
        return;
    }
    log->trim_retry_ns = clock_mono_ns() + LOG_FULL_RETRY_MS * NS_PER_MS; /* unless it succeeds */
    if (log__trim_batch(log, &trim) != ERR_OK) {
        return;
    }
    trim->seen_failure = UINT64_MAX;
    trim->next = log->pending;
    if (log->pending == NULL) {
        log->pending_tail = &trim->next;
    }
    log->pending = trim;
}

void log__round_prepare(struct raft_log *log)
{
    uint64_t covers = atomic_exchange(&log->guest_covers, 0);
    if (covers != 0) {
        log__round_synced(log, covers);
    }
    if (log->flight_count == LOG_FLIGHT_MAX) {
        db_err err = log__settle(log);
        (void)err; /* the round that follows meets it */
    }
    log__take_queue(log);
    prepend_trim(log);
}

uint64_t log__round_write(struct raft_log *log)
{
    struct round r = {.tail = &r.head};
    gather(log, &r);
    db_err err = atomic_load(&log->failed) ? ERR_IO : ERR_OK;
    if (r.batches != 0 && err == ERR_OK) {
        stamp(log, &r);
        err = round_to_disk(log, &r);
    }
    if (r.batches != 0 && err == ERR_OK) {
        log__complete_round(log); /* what was refused before it */
        return r.no;
    }
    if (err != ERR_OK) {
        log__round_synced(log, UINT64_MAX); /* they come first */
    }
    finish_all(log, &r, err);
    log__round_synced(log, 0);
    return 0;
}
