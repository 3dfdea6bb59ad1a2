/* The writer: one thread that makes batches durable, in rounds.
 *
 * A round takes what waits in the queue, as far as it fits the active segment and LOG_ROUND_MAX;
 * checks each batch against what its groups will be once the batches before it are durable; gives
 * its records their sequence numbers and checksums; writes them with one call; syncs once; lets
 * them take effect in the index; and completes the batches, one post per loop. While the disk
 * syncs, the next round's batches gather in the queue: load makes rounds larger, not more frequent,
 * and an idle log has the latency of one sync.
 *
 * Waiting. An idle writer sleeps on a futex; a submit costs a system call only then. Looking at the
 * queue for a while before sleeping (opts.spin_us) was measured and does not pay: alone, a batch is
 * dominated by the sync, and the spinning thread takes the core that the completion's loop needs;
 * under load the queue is never empty. The figures are in README.md.
 *
 * Rolling. A round never spans segments, and a segment is wholly synced before the next one is
 * written to. Recovery relies on it: only the newest segment can have a torn tail.
 *
 * Failures.
 *   disk full at a write   Only possible where the file system does not overwrite in place. What
 * the failed round may have left behind must never be read as records: the segment is cut back to
 * where the round began and is not written to again. Every batch of the round fails with
 * ERR_DISK_FULL. disk full at a roll    The batch that needs the new segment fails, nothing is
 * written. after such a failure   Batches that were on their way behind a failed one of the same
 * group fail too: the failure has a number, the group remembers it, and a batch says which failures
 * its thread had been told of when it was submitted. anything else          A failed sync says
 * nothing about which bytes are safe, and asking again would report success for pages that the
 * kernel has dropped. The log fails for good; the node must stop. */
#include "node/log/writer_int.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"

void log__fail(struct raft_log *log, db_err err, const char *what, uint64_t segment_no)
{
    if (atomic_exchange(&log->failed, true) || log->opts.on_fatal == NULL) {
        return;
    }
    struct diag diag;
    char path[DISK_PATH_MAX];
    diag_reset(&diag);
    log__segment_path(log, segment_no, path);
    (void)diag_set(
        &diag, ERR_IO,
        "raft log: %s of %.200s failed (%s). What was acknowledged is safe; the log cannot "
        "go on. Check the disk, then start the node again: it recovers from what is on the "
        "disk",
        what, path, err_text(err));
    log->opts.on_fatal(log->opts.on_fatal_arg, &diag);
}

/* ---- one round */

static uint64_t segment_room(const struct log_segment *seg)
{
    return seg == NULL ? 0 : seg->size - atomic_load_explicit(&seg->used, memory_order_relaxed);
}

static db_err sync_active(struct raft_log *log)
{
    if (log->active == NULL || !log->active_dirty) {
        return ERR_OK;
    }
    db_err err = disk_sync(log->active->file);
    if (err != ERR_OK) {
        log__fail(log, err, "sync", log->active->no);
        return ERR_IO;
    }
    log->active_dirty = false;
    log->durable_seq = log->next_seq;
    return ERR_OK;
}

/* The active segment can take the batch, which is the first of its round. */
static db_err make_room(struct raft_log *log, const struct raft_log_batch *b)
{
    while (log->active == NULL || segment_room(log->active) < b->chunk->len) {
        TRY(sync_active(log));
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

static void gather(struct raft_log *log, struct round *r)
{
    while (log->pending != NULL) {
        struct raft_log_batch *b = log->pending;
        uint64_t len = b->chunk->len;
        if (r->batches != 0 &&
            (r->bytes + len > LOG_ROUND_MAX || r->bytes + len > segment_room(log->active))) {
            return;
        }
        db_err err = admit(log, r, b);
        log->pending = b->next;
        if (log->pending == NULL) {
            log->pending_tail = &log->pending;
        }
        if (err == ERR_OK && len != 0) {
            round_add(r, b);
            continue;
        }
        if (err == ERR_OK && r->batches != 0) {
            round_add(r, b); /* an empty batch keeps its place */
            continue;
        }
        if (err != ERR_OK) {
            log__recheck_round(log, r);
        }
        if (err == ERR_DISK_FULL) {
            log__lose_batch(log, b);
        }
        log__finish(log, b, err);
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
    TRY(disk_pwritev(log->active->file, w->parts, w->count, w->off));
    w->off += w->bytes;
    w->count = w->bytes = w->staged = 0;
    return ERR_OK;
}

/* Small chunks are copied together, large ones written from where they are. */
static db_err write_chunk(struct raft_log *log, struct write_state *w, const struct log_chunk *c)
{
    bool small = c->len < LOG_STAGE_BELOW && log->stage != NULL;
    if (w->count == DISK_IOV_MAX || (small && log->stage_cap - w->staged < c->len)) {
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

static db_err write_round(struct raft_log *log, const struct round *r)
{
    struct write_state w = {.off = atomic_load_explicit(&log->active->used, memory_order_relaxed)};
    if (r->batches == 1) { /* nothing to put together */
        return disk_pwrite(log->active->file, r->head->chunk->data, r->head->chunk->len, w.off);
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
static void abandon_active(struct raft_log *log)
{
    struct log_segment *seg = log->active;
    uint64_t used = atomic_load_explicit(&seg->used, memory_order_relaxed);
    db_err err = disk_truncate(seg->file, used);
    err = err == ERR_OK ? disk_sync(seg->file) : err;
    if (err != ERR_OK) {
        log__fail(log, err, "cutting back", seg->no);
        return;
    }
    (void)pthread_mutex_lock(&log->seg_lock);
    seg->size = used;
    (void)pthread_mutex_unlock(&log->seg_lock);
    log->active_dirty = false;
    log->durable_seq = log->next_seq;
    log->active = NULL;
}

static db_err round_to_disk(struct raft_log *log, const struct round *r)
{
    uint64_t t0 = clock_mono_ns();
    db_err err = write_round(log, r);
    if (err == ERR_DISK_FULL) {
        abandon_active(log);
        return atomic_load(&log->failed) ? ERR_IO : ERR_DISK_FULL;
    }
    if (err != ERR_OK) {
        log__fail(log, err, "write", log->active->no);
        return ERR_IO;
    }
    uint64_t t1 = clock_mono_ns();
    err = disk_sync(log->active->file);
    if (err != ERR_OK) {
        log__fail(log, err, "sync", log->active->no);
        return ERR_IO;
    }
    stat_add(&log->st_write_ns, t1 - t0);
    stat_add(&log->st_sync_ns, clock_mono_ns() - t1);
    return ERR_OK;
}

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
        if (h->type != LOG_REC_STATE) {
            g->lost_failure = 0;
        }
    }
    if (b->has_append) {
        log__cache_add(log, b->chunk);
    }
    if (trim_no != 0) {
        log__trim_apply(log, trim_no);
    }
}

static void round_durable(struct raft_log *log, struct round *r)
{
    struct log_segment *seg = log->active;
    uint64_t base = atomic_load_explicit(&seg->used, memory_order_relaxed);
    if (seg->first_seq == 0) {
        seg->first_seq = log->next_seq;
    }
    atomic_store_explicit(&seg->used, base + r->bytes, memory_order_relaxed);
    log->next_seq += r->records;
    log->durable_seq = log->next_seq;
    log->active_dirty = false;
    log->marked = false;
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

/* The trim batch goes before all others: it repeats the durable state. */
static void prepend_trim(struct raft_log *log)
{
    struct raft_log_batch *trim = NULL;
    if (atomic_load_explicit(&log->failed, memory_order_relaxed) || !log__trim_due(log)) {
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

bool log__writer_round(struct raft_log *log)
{
    struct round r = {.tail = &r.head};
    log__take_queue(log);
    prepend_trim(log);
    gather(log, &r);
    db_err err = ERR_OK;
    if (r.batches != 0) {
        err = atomic_load(&log->failed) ? ERR_IO : ERR_OK;
        if (err == ERR_OK) {
            stamp(log, &r);
            err = round_to_disk(log, &r);
        }
        if (err == ERR_OK) {
            round_durable(log, &r);
            log->trim_retry_ns = 0;
        }
    }
    struct raft_log_batch *next;
    for (struct raft_log_batch *b = r.head; b != NULL; b = next) {
        next = b->next;
        if (err == ERR_DISK_FULL) {
            log__lose_batch(log, b);
        }
        log__finish(log, b, err);
    }
    log__untouch_all(log, false);
    log__complete_round(log);
    return log->pending != NULL;
}

db_err log__mark_write(struct raft_log *log, bool clean)
{
    struct log_segment *seg = log->active;
    uint64_t used = atomic_load_explicit(&seg->used, memory_order_relaxed);
    struct log_rec_header h = {.size = sizeof(h),
                               .seq = log->next_seq,
                               .unsynced = (uint32_t)(log->next_seq - log->durable_seq),
                               .count = clean ? 1 : 0,
                               .type = LOG_REC_MARK};
    ASSERT(segment_room(seg) >= sizeof(h));
    h.crc = log_rec_crc(0, log_salt(log->log_id, seg->no), &h);
    TRY(disk_pwrite(seg->file, &h, sizeof(h), used));
    if (seg->first_seq == 0) {
        seg->first_seq = log->next_seq;
    }
    atomic_store_explicit(&seg->used, used + sizeof(h), memory_order_relaxed);
    log->next_seq++;
    log->active_dirty = true;
    return ERR_OK;
}

void log__writer_mark(struct raft_log *log, bool clean)
{
    log->marked = true;
    if (log->active == NULL || segment_room(log->active) < sizeof(struct log_rec_header) ||
        atomic_load_explicit(&log->failed, memory_order_relaxed)) {
        return;
    }
    db_err err = log__mark_write(log, clean);
    if (err == ERR_DISK_FULL) {
        abandon_active(log);
    } else if (err != ERR_OK) {
        log__fail(log, err, "write", log->active->no);
    } else if (clean) {
        err = sync_active(log);
        (void)err; /* already reported; the next open then sees an unclean end */
    }
}

/* ---- the thread */

static bool queue_empty(struct raft_log *log)
{
    return atomic_load_explicit(&log->queue, memory_order_acquire) == NULL;
}

static void spin(struct raft_log *log)
{
    if (log->opts.spin_us == 0) {
        return;
    }
    uint64_t until = clock_mono_ns() + log->opts.spin_us * NS_PER_US;
    do {
        for (int i = 0; i < 32; i++) {
            if (!queue_empty(log)) {
                return;
            }
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
    } while (clock_mono_ns() < until);
}

/* False when the wait ended by time. */
static bool sleep_for_work(struct raft_log *log, const struct timespec *timeout)
{
    atomic_store(&log->sleeping, 1);
    if (!queue_empty(log) || atomic_load(&log->stopping)) {
        atomic_store(&log->sleeping, 0);
        return true;
    }
    long rc = syscall(SYS_futex, &log->sleeping, FUTEX_WAIT_PRIVATE, 1, timeout, NULL, 0);
    bool timed_out = rc != 0 && errno == ETIMEDOUT;
    atomic_store(&log->sleeping, 0);
    return !timed_out;
}

static void idle(struct raft_log *log)
{
    static const struct timespec mark_after = {.tv_nsec = LOG_IDLE_MARK_MS * 1000000L};
    static const struct timespec retry_after = {.tv_nsec = LOG_FULL_RETRY_MS * 1000000L};
    spin(log);
    if (!queue_empty(log)) {
        return;
    }
    if (!log->marked) {
        if (!sleep_for_work(log, &mark_after)) {
            log__writer_mark(log, false);
        }
    } else {
        (void)sleep_for_work(log, log->trim_retry_ns != 0 ? &retry_after : NULL);
    }
}

void *log__writer_main(void *arg)
{
    struct raft_log *log = arg;
    for (;;) {
        if (log__writer_round(log) || !queue_empty(log)) {
            continue;
        }
        bool due = !atomic_load_explicit(&log->failed, memory_order_relaxed) && log__trim_due(log);
        if (due) {
            continue;
        }
        if (atomic_load(&log->stopping)) {
            return NULL;
        }
        idle(log);
    }
}
